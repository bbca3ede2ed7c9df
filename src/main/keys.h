/* keys: the configuration and the secrets, read by the parent and handed over in sealed memory
 * files: certificate and key to smtpd, what the smarthost needs to delivery. */
#ifndef MAIN_KEYS_H
#define MAIN_KEYS_H

#include "main/handover.h"
#include "model/conf.h"

/* Reads all that the configuration names and checks that it can be used. When no certificate is
 * configured, the one in the state directory is taken, made at the first start. `state` -1:
 * only check, make nothing. False with the reason for people in *why; *h stays empty then. */
bool keys_read(const struct conf *conf, int state, struct handover *h, struct buf *why) MUST_USE
    NONNULL(1, 3, 4);

#endif
