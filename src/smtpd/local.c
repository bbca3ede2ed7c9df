#include "smtpd/local.h"

#include <stdio.h>

void local_client_text(const struct listen_peer *peer, char text[LOCAL_CLIENT_MAX])
{
    if (peer->address.family == 0)
        snprintf(text, LOCAL_CLIENT_MAX, "uid=%u", peer->uid);
    else
        address_format(&peer->address, text);
}

bool local_account(const struct directory *d, const struct door *door,
                   const struct listen_peer *peer, stamp now, struct arena *a,
                   struct account *out)
{
    if (door->config.is_local_door)
        return directory_by_uid(d, peer->uid, now, a, out);
    if (!door->has_address_credentials)
        return false;
    return directory_by_address(d, &peer->address, now, a, out);
}
