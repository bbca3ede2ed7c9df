#include "model/conf_rows.h"

#include <stdlib.h>
#include <unistd.h>

#define STRUCT_server struct conf_server
#define STRUCT_log struct conf_log
#define STRUCT_tls struct conf_tls_files
#define STRUCT_listener struct conf_listener
#define STRUCT_submission struct conf_submission
#define STRUCT_delivery struct conf_delivery
#define STRUCT_destination struct conf_destination
#define STRUCT_smarthost struct conf_smarthost
#define STRUCT_resolver struct conf_resolver
#define STRUCT_journal struct conf_journal
#define STRUCT_api struct conf_api
#define STRUCT_retention struct conf_retention
#define STRUCT_policy_service struct conf_policy_service
#define STRUCT_notices struct conf_notices

#define ID_server CONF_IN_SERVER
#define ID_log CONF_IN_LOG
#define ID_tls CONF_IN_TLS
#define ID_listener CONF_IN_LISTENER
#define ID_submission CONF_IN_SUBMISSION
#define ID_delivery CONF_IN_DELIVERY
#define ID_destination CONF_IN_DESTINATION
#define ID_smarthost CONF_IN_SMARTHOST
#define ID_resolver CONF_IN_RESOLVER
#define ID_journal CONF_IN_JOURNAL
#define ID_api CONF_IN_API
#define ID_retention CONF_IN_RETENTION
#define ID_policy_service CONF_IN_POLICY_SERVICE
#define ID_notices CONF_IN_NOTICES

#define AT(sect, field_) .section = ID_##sect, .offset = offsetof(STRUCT_##sect, field_)
#define TEXT(sect, field_, key_, default_, reload_, doc_)                 \
    {AT(sect, field_),           .type = CONF_TEXT,        .key = (key_), \
     .text_default = (default_), .reload = CONF_##reload_, .doc = (doc_)},
#define NUMBER(sect, field_, key_, default_, min_, max_, unit_, reload_, doc_)              \
    {AT(sect, field_), .type = CONF_NUMBER, .key = (key_),    .number_default = (default_), \
     .min = (min_),    .max = (max_),       .words = (unit_), .reload = CONF_##reload_,     \
     .doc = (doc_)},
#define SIZE(sect, field_, key_, default_, min_, max_, reload_, doc_) \
    {AT(sect, field_),                                                \
     .type = CONF_SIZE,                                               \
     .key = (key_),                                                   \
     .number_default = (default_),                                    \
     .min = (min_),                                                   \
     .max = (max_),                                                   \
     .reload = CONF_##reload_,                                        \
     .doc = (doc_)},
#define SPAN(sect, field_, key_, default_, min_, max_, reload_, doc_) \
    {AT(sect, field_),                                                \
     .type = CONF_SPAN,                                               \
     .key = (key_),                                                   \
     .number_default = (uint64_t)(default_),                          \
     .min = (uint64_t)(min_),                                         \
     .max = (uint64_t)(max_),                                         \
     .reload = CONF_##reload_,                                        \
     .doc = (doc_)},
#define FLAG(sect, field_, key_, default_, reload_, doc_)                                      \
    {AT(sect, field_),         .type = CONF_FLAG, .key = (key_), .number_default = (default_), \
     .reload = CONF_##reload_, .doc = (doc_)},
#define CHOICE(sect, field_, key_, default_, values_, reload_, doc_) \
    {                                                                \
        AT(sect, field_),   .type = CONF_CHOICE,                     \
        .key = (key_),      .number_default = (default_),            \
        .words = (values_), .reload = CONF_##reload_,                \
        .doc = (doc_)},

const struct conf_row conf_rows[] = {
#include "model/params.def"
};
const size_t conf_row_count = COUNT_OF(conf_rows);

static const struct {
    const char *name;
    size_t offset; /* in struct conf; named ones are elsewhere */
} sections[CONF_SECTIONS] = {
    [CONF_IN_SERVER] = {"server", offsetof(struct conf, server)},
    [CONF_IN_LOG] = {"log", offsetof(struct conf, log)},
    [CONF_IN_TLS] = {"tls", offsetof(struct conf, tls)},
    [CONF_IN_LISTENER] = {"listener", 0},
    [CONF_IN_SUBMISSION] = {"submission", offsetof(struct conf, submission)},
    [CONF_IN_DELIVERY] = {"delivery", offsetof(struct conf, delivery)},
    [CONF_IN_DESTINATION] = {"destination", 0},
    [CONF_IN_SMARTHOST] = {"smarthost", offsetof(struct conf, smarthost)},
    [CONF_IN_RESOLVER] = {"resolver", offsetof(struct conf, resolver)},
    [CONF_IN_JOURNAL] = {"journal", offsetof(struct conf, journal)},
    [CONF_IN_API] = {"api", offsetof(struct conf, api)},
    [CONF_IN_RETENTION] = {"retention", offsetof(struct conf, retention)},
    [CONF_IN_POLICY_SERVICE] = {"policy-service", offsetof(struct conf, policy_service)},
    [CONF_IN_NOTICES] = {"notices", offsetof(struct conf, notices)},
};

const char *conf_section_name(enum conf_section s)
{
    return sections[s].name;
}

enum conf_section conf_section_find(slice name)
{
    enum conf_section s = 0;
    while (s < CONF_SECTIONS && !slice_eq(name, slice_of(sections[s].name)))
        s++;
    return s;
}

const struct conf_row *conf_row_find(enum conf_section s, slice key)
{
    for (size_t i = 0; i < conf_row_count; i++)
        if (conf_rows[i].section == s && slice_eq(key, slice_of(conf_rows[i].key)))
            return &conf_rows[i];
    return NULL;
}

bool conf_is_named(enum conf_section s)
{
    return s == CONF_IN_LISTENER || s == CONF_IN_DESTINATION;
}

void *conf_value(const struct conf *c, const void *named, const struct conf_row *row)
{
    const char *base = named;
    if (!conf_is_named(row->section))
        base = (const char *)c + sections[row->section].offset;
    return (void *)(uintptr_t)(base + row->offset);
}

void conf_set_default(void *value, const struct conf_row *row)
{
    switch (row->type) {
    case CONF_TEXT:
        *(slice *)value = slice_of(row->text_default);
        break;
    case CONF_NUMBER:
    case CONF_SIZE:
        *(uint64_t *)value = row->number_default;
        break;
    case CONF_SPAN:
        *(span *)value = (span)row->number_default;
        break;
    case CONF_FLAG:
        *(bool *)value = row->number_default != 0;
        break;
    case CONF_CHOICE:
        *(unsigned *)value = (unsigned)row->number_default;
        break;
    }
}

bool conf_value_eq(const void *a, const void *b, const struct conf_row *row)
{
    switch (row->type) {
    case CONF_TEXT:
        return slice_eq(*(const slice *)a, *(const slice *)b);
    case CONF_NUMBER:
    case CONF_SIZE:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case CONF_SPAN:
        return *(const span *)a == *(const span *)b;
    case CONF_FLAG:
        return *(const bool *)a == *(const bool *)b;
    case CONF_CHOICE:
        return *(const unsigned *)a == *(const unsigned *)b;
    }
    return false;
}

size_t conf_distance(slice a, slice b)
{
    enum { LONGEST = 40 };
    size_t row[LONGEST + 1];
    if (a.len > LONGEST || b.len > LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b.len];
}

static slice host_name(struct arena *a)
{
    char name[256];
    if (gethostname(name, sizeof(name)) != 0)
        return SLICE("localhost");
    name[sizeof(name) - 1] = '\0';
    return name[0] ? arena_dup(a, slice_of(name)) : SLICE("localhost");
}

slice conf_derived(const struct conf *c, const struct conf_row *row, struct arena *a)
{
    const void *value = conf_value(c, NULL, row);
    if (conf_is_named(row->section))
        return SLICE("");
    if (value == &c->server.hostname)
        return host_name(a);
    if (value == &c->server.run_dir)
        return arena_printf(a, "%.*s/run", SLICE_ARG(c->server.state_dir));
    if (value == &c->api.socket)
        return arena_printf(a, "%.*s/api.sock", SLICE_ARG(c->server.run_dir));
    if (value == &c->tls.key)
        return c->tls.certificate;
    return SLICE("");
}

/* The part of a destination's name that must be the end of the domain: all of it for "*". */
static bool is_below(slice domain, slice name)
{
    return slice_eq(name, SLICE("*")) ||
           (slice_starts(name, SLICE(".")) && slice_ends(domain, name));
}

const struct conf_destination *conf_destination_find(const struct conf_destination *list,
                                                     size_t count, slice domain)
{
    const struct conf_destination *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(list[i].name, domain))
            return &list[i];
        if (is_below(domain, list[i].name) && (!best || list[i].name.len > best->name.len))
            best = &list[i];
    }
    return best;
}
