/* conf: the configuration file, read whole or refused with file, line and what would be right.
 *
 * The keys are the rows of params.def. A struct conf is immutable once it was read; a reload
 * reads a new one. It lives on this floor and not in main, since the roles read it. */
#ifndef MODEL_CONF_H
#define MODEL_CONF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/stamp.h"
#include "codec/host.h"

/* Values of the CHOICE rows, in their order. */
enum conf_destination_tls {
    CONF_DESTINATION_TLS_NONE,
    CONF_DESTINATION_TLS_OPPORTUNISTIC,
    CONF_DESTINATION_TLS_ENCRYPT,
    CONF_DESTINATION_TLS_VERIFY,
};
enum conf_tls { CONF_TLS_NONE, CONF_TLS_STARTTLS, CONF_TLS_IMPLICIT };
enum conf_transport { CONF_CAPTURE, CONF_SMARTHOST, CONF_DIRECT };
enum conf_relay_tls {
    CONF_RELAY_TLS_NONE,
    CONF_RELAY_TLS_OPPORTUNISTIC,
    CONF_RELAY_TLS_ENCRYPT,
    CONF_RELAY_TLS_VERIFY,
    CONF_RELAY_TLS_IMPLICIT,
};
enum conf_log_format { CONF_LOGFMT, CONF_JSON };

/* The rows of one section become the fields of its struct: CONF_SECTION_<name> selects them.
 * Text is a slice, everything else a number. */
#define CONF_PICK(section, field_declaration) CONF_PICK_##section(field_declaration)
#define TEXT(section, field, ...) CONF_PICK(section, slice field;)
#define NUMBER(section, field, ...) CONF_PICK(section, uint64_t field;)
#define SIZE(section, field, ...) CONF_PICK(section, uint64_t field;)
#define SPAN(section, field, ...) CONF_PICK(section, span field;)
#define FLAG(section, field, ...) CONF_PICK(section, bool field;)
#define CHOICE(section, field, ...) CONF_PICK(section, unsigned field;)

#define CONF_NOTHING(declaration)
#define CONF_TAKE(declaration) declaration
#define CONF_PICK_server CONF_NOTHING
#define CONF_PICK_log CONF_NOTHING
#define CONF_PICK_tls CONF_NOTHING
#define CONF_PICK_listener CONF_NOTHING
#define CONF_PICK_submission CONF_NOTHING
#define CONF_PICK_delivery CONF_NOTHING
#define CONF_PICK_destination CONF_NOTHING
#define CONF_PICK_smarthost CONF_NOTHING
#define CONF_PICK_resolver CONF_NOTHING
#define CONF_PICK_journal CONF_NOTHING
#define CONF_PICK_api CONF_NOTHING
#define CONF_PICK_retention CONF_NOTHING
#define CONF_PICK_policy_service CONF_NOTHING
#define CONF_PICK_notices CONF_NOTHING

struct conf_server {
#undef CONF_PICK_server
#define CONF_PICK_server CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_server
#define CONF_PICK_server CONF_NOTHING
};

struct conf_log {
#undef CONF_PICK_log
#define CONF_PICK_log CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_log
#define CONF_PICK_log CONF_NOTHING
};

struct conf_tls_files {
#undef CONF_PICK_tls
#define CONF_PICK_tls CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_tls
#define CONF_PICK_tls CONF_NOTHING
};

struct conf_listener {
    slice name; /* of the section */
#undef CONF_PICK_listener
#define CONF_PICK_listener CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_listener
#define CONF_PICK_listener CONF_NOTHING
};

struct conf_submission {
#undef CONF_PICK_submission
#define CONF_PICK_submission CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_submission
#define CONF_PICK_submission CONF_NOTHING
};

struct conf_delivery {
#undef CONF_PICK_delivery
#define CONF_PICK_delivery CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_delivery
#define CONF_PICK_delivery CONF_NOTHING
};

struct conf_destination {
    slice name; /* of the section: a domain, ".DOMAIN" for all below it, "*" for all */
#undef CONF_PICK_destination
#define CONF_PICK_destination CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_destination
#define CONF_PICK_destination CONF_NOTHING
};

struct conf_smarthost {
#undef CONF_PICK_smarthost
#define CONF_PICK_smarthost CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_smarthost
#define CONF_PICK_smarthost CONF_NOTHING
};

struct conf_resolver {
#undef CONF_PICK_resolver
#define CONF_PICK_resolver CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_resolver
#define CONF_PICK_resolver CONF_NOTHING
};

struct conf_journal {
#undef CONF_PICK_journal
#define CONF_PICK_journal CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_journal
#define CONF_PICK_journal CONF_NOTHING
};

struct conf_api {
#undef CONF_PICK_api
#define CONF_PICK_api CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_api
#define CONF_PICK_api CONF_NOTHING
};

struct conf_retention {
#undef CONF_PICK_retention
#define CONF_PICK_retention CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_retention
#define CONF_PICK_retention CONF_NOTHING
};

struct conf_policy_service {
#undef CONF_PICK_policy_service
#define CONF_PICK_policy_service CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_policy_service
#define CONF_PICK_policy_service CONF_NOTHING
};

struct conf_notices {
#undef CONF_PICK_notices
#define CONF_PICK_notices CONF_TAKE
#include "model/params.def"
#undef CONF_PICK_notices
#define CONF_PICK_notices CONF_NOTHING
};

#undef TEXT
#undef NUMBER
#undef SIZE
#undef SPAN
#undef FLAG
#undef CHOICE

struct conf {
    struct conf_server server;
    struct conf_log log;
    struct conf_tls_files tls;
    struct conf_submission submission;
    struct conf_delivery delivery;
    struct conf_smarthost smarthost;
    struct conf_resolver resolver;
    struct conf_journal journal;
    struct conf_api api;
    struct conf_retention retention;
    struct conf_policy_service policy_service;
    struct conf_notices notices;
    const struct conf_listener *listeners;
    size_t listener_count;
    const struct conf_destination *destinations;
    size_t destination_count;
    struct arena arena; /* owns all of the above */
};

/* Parses the text of a configuration (name: for the errors). NULL and lines of "file:line: what
 * is wrong; what would be right" in *errors when anything is wrong: all of it is reported, not
 * only the first. Relations between keys (a smarthost's host, plaintext AUTH off loopback, a
 * listener without an address) are checked too. Default paths are filled in. */
struct conf *conf_parse(slice name, slice text, struct buf *errors) NONNULL(3);
/* Reads the file; its being missing or unreadable is an error of the same kind. */
struct conf *conf_read(const char *path, struct buf *errors) NONNULL(1, 2);
/* Clears the pointer; takes NULL. */
void conf_free(struct conf **c);

/* The effective configuration as a file; with `documented`, each key with its doc, unit, range
 * and default as comments. */
void conf_write(const struct conf *c, bool documented, struct buf *out) NONNULL(1, 3);

/* After a reload: what needs a restart keeps its old value in `fresh`. The number of values
 * that were kept, their names ("server.node, listeners") appended to *names. */
unsigned conf_keep_fixed(struct conf *fresh, const struct conf *old, struct buf *names)
    NONNULL(1, 2, 3);

/* The one for a domain (lower case, as DNS knows it): its own, else the longest ".DOMAIN" that
 * it is below, else "*"; NULL: there is none. */
const struct conf_destination *conf_destination_find(const struct conf_destination *list,
                                                     size_t count, slice domain);

/* A listener's address, taken apart: *address and *port are set for CONF_ENDPOINT_INET only. */
enum conf_endpoint_kind { CONF_ENDPOINT_BAD, CONF_ENDPOINT_INET, CONF_ENDPOINT_UNIX };
enum conf_endpoint_kind conf_endpoint(slice text, struct address *address, uint16_t *port)
    NONNULL(2, 3);
/* Takes the next name server off *list (the value of [resolver] forward): its words, and what
 * they mean. False at the end of the list. A server that is none of ADDRESS or ADDRESS@PORT has
 * family 0. */
struct conf_name_server {
    slice text;
    struct address address;
    uint16_t port;
};
bool conf_next_name_server(slice *list, struct conf_name_server *out) NONNULL(1, 2);
enum { CONF_NAME_SERVERS_MAX = 8 };
/* Takes the next word off a list with blanks between; false at its end. */
bool conf_next_word(slice *list, slice *word) NONNULL(1, 2);
/* Longest path of a Unix socket. */
enum { CONF_SOCKET_PATH_MAX = 107 };

#endif
