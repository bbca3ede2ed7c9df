/* local: who comes in by where he comes from: the local door's users (their uid from the
 * kernel) and client addresses on the doors that allow it. */
#ifndef SMTPD_LOCAL_H
#define SMTPD_LOCAL_H

#include "model/directory.h"
#include "net/listen.h"
#include "smtpd/settings.h"

enum { LOCAL_CLIENT_MAX = ADDRESS_TEXT_MAX };

/* The client as text: its address, or "uid=N". */
void local_client_text(const struct listen_peer *peer, char text[LOCAL_CLIENT_MAX]) NONNULL(1);

/* The account that the peer is signed in to without a word, in the arena; false: none. */
bool local_account(const struct directory *d, const struct door *door,
                   const struct listen_peer *peer, stamp now, struct arena *a,
                   struct account *out) NONNULL(1, 2, 3, 5, 6);

#endif
