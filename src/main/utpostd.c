/* utpostd: the parent and its three roles, one program. */
#include "control/control.h"
#include "delivery/delivery.h"
#include "main/start.h"
#include "smtpd/smtpd.h"

int main(int argc, char **argv)
{
    static role_run_fn *const runs[ROLE_COUNT] = {
        [ROLE_SMTPD] = smtpd_run,
        [ROLE_DELIVERY] = delivery_run,
        [ROLE_CONTROL] = control_run,
    };
    return start_main(argc, argv, runs);
}
