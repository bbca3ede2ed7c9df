/* api: the JSON API of the control role, HTTP on a Unix socket, and over TCP for tokens.
 *
 * Serves root, the server's own user, and members of a configured group, by the credentials
 * that the kernel tells of the peer; everybody else gets 403. Over TCP a token
 * says who may do what (control/api_tokens): 401 without one, 403 out of its scope. Bodies are
 * bounded before they are taken (1 MiB; 48 MiB for a mail, 256 MiB of such in all). Answers are
 * JSON objects; an error is
 *   {"error": {"code": "…", "message": "what is wrong", "hint": "what would be right"}}.
 * A change has been made durable in the control journal when its answer is sent, and smtpd goes
 * by it unless it is down or a second behind. */
#ifndef CONTROL_API_H
#define CONTROL_API_H

#include "base/env.h"
#include "control/projector.h"
#include "control/store.h"
#include "net/role.h"

#include <sys/types.h>

struct api;

struct api_config {
    int listen_fd; /* stays the caller's */
    int tcp_fd;    /* for those with tokens, stays the caller's; -1 or 0: none */
    struct store *store;
    struct env *env;
    struct shared_pages *pages;
    const struct conf *conf; /* copied */
    /* NULL: there is none, and what needs it is refused. */
    struct ledger *ledger;
    const struct projector *projector;
    const struct door *door; /* NULL: mail cannot be sent */
    bool has_group;
    gid_t group; /* whose members may use it */
};

/* Starts the server's threads. NULL: it could not start (logged). */
struct api *api_new(const struct api_config *config) NONNULL(1);
/* Finishes the requests that run, accepts no more, ends. */
void api_free(struct api **a);
/* The configuration was read again; copied. Thread-safe. */
void api_set_conf(struct api *a, const struct conf *conf) NONNULL(1, 2);

#endif
