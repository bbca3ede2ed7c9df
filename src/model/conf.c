#include "model/conf_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONF_FILE_MAX = 1024 * 1024, CONF_LISTENERS_MAX = 64, CONF_DESTINATIONS_MAX = 10000 };

struct parser {
    slice name;
    struct buf *errors;
    unsigned problems;
    unsigned line;
    struct conf *conf;
    enum conf_section section; /* CONF_SECTIONS: none that is known */
    bool has_section;          /* a header was seen, known or not */
    unsigned *keys;            /* line of each key, by index in conf_rows */
    struct conf_listener *listeners;
    struct conf_named_lines *listener_lines;
    size_t listener_count;
    struct conf_destination *destinations; /* room for destination_room */
    struct conf_named_lines *destination_lines;
    size_t destination_count;
    size_t destination_room;
    /* The listener or destination that is read, and the lines of its keys. */
    void *named;
    unsigned *named_keys;
};

void conf_problem(struct buf *errors, slice name, unsigned line, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    buf_append(errors, name);
    if (line)
        buf_printf(errors, ":%u", line);
    buf_printf(errors, ": %s\n", text);
}

/* Text of the file in a message: short, without bytes that a terminal would obey. */
static slice shown(struct parser *p, slice text)
{
    slice copy = arena_dup(&p->conf->arena, slice_to(text, 100));
    char *c = (char *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < copy.len; i++)
        if ((unsigned char)c[i] < ' ' || c[i] == 0x7f)
            c[i] = '?';
    return copy;
}

#define PROBLEM(p, ...) \
    (conf_problem((p)->errors, (p)->name, (p)->line, __VA_ARGS__), (p)->problems++)

/* Of a named one, or (NULL) of all sections that have no name. */
static void set_defaults(struct conf *c, enum conf_section s, void *named)
{
    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (named ? row->section == s : !conf_is_named(row->section))
            conf_set_default(conf_value(c, named, row), row);
    }
}

static void suggest_section(struct parser *p, slice name)
{
    size_t nearest = SIZE_MAX;
    const char *best = NULL;
    for (enum conf_section s = 0; s < CONF_SECTIONS; s++) {
        size_t d = conf_distance(name, slice_of(conf_section_name(s)));
        if (d < nearest) {
            nearest = d;
            best = conf_section_name(s);
        }
    }
    if (best && nearest <= 3)
        PROBLEM(p, "unknown section [%.*s]; did you mean [%s]?", SLICE_ARG(shown(p, name)),
                best);
    else
        PROBLEM(p,
                "unknown section [%.*s]; the sections are server, log, tls, listener NAME, "
                "submission, delivery, destination NAME, smarthost, resolver, journal, api, "
                "retention, policy-service and notices",
                SLICE_ARG(shown(p, name)));
}

static bool is_listener_name(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = ascii_lower(s.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return s.len > 0 && s.len <= 32;
}

static void begin_named(struct parser *p, enum conf_section s, void *named,
                        struct conf_named_lines *lines)
{
    set_defaults(p->conf, s, named);
    lines->keys = arena_array(&p->conf->arena, unsigned, conf_row_count);
    p->section = s;
    p->named = named;
    p->named_keys = lines->keys;
}

static void begin_listener(struct parser *p, slice name)
{
    struct arena *a = &p->conf->arena;
    p->section = CONF_SECTIONS; /* what follows is skipped when the name is bad */
    if (!is_listener_name(name)) {
        PROBLEM(p, "a listener needs a name of letters, digits and hyphens; for example "
                   "[listener submission]");
        return;
    }
    if (p->listener_count == CONF_LISTENERS_MAX) {
        PROBLEM(p, "too many listeners; at most %d", CONF_LISTENERS_MAX);
        return;
    }
    if (slice_eq(name, SLICE("local"))) {
        PROBLEM(p, "the listener `local` is the local door, which is always there; give this "
                   "one another name");
        return;
    }
    for (size_t i = 0; i < p->listener_count; i++) {
        if (slice_eq(p->listeners[i].name, name)) {
            PROBLEM(p, "listener %.*s is there already, in line %u; give this one another name",
                    SLICE_ARG(name), p->listener_lines[i].section);
            return;
        }
    }
    size_t at = p->listener_count++;
    p->listeners[at].name = arena_dup(a, name);
    p->listener_lines[at].section = p->line;
    begin_named(p, CONF_IN_LISTENER, &p->listeners[at], &p->listener_lines[at]);
}

static bool is_destination_name(slice s)
{
    if (slice_starts(s, SLICE(".")))
        s = slice_from(s, 1);
    else if (slice_eq(s, SLICE("*")))
        return true;
    return host_is_name(s, false);
}

static void make_room(struct parser *p)
{
    struct arena *a = &p->conf->arena;
    size_t room = p->destination_room ? 2 * p->destination_room : 16;
    struct conf_destination *list = arena_array(a, struct conf_destination, room);
    struct conf_named_lines *lines = arena_array(a, struct conf_named_lines, room);
    for (size_t i = 0; i < p->destination_count; i++) {
        list[i] = p->destinations[i];
        lines[i] = p->destination_lines[i];
    }
    p->destinations = list;
    p->destination_lines = lines;
    p->destination_room = room;
}

static void begin_destination(struct parser *p, slice name)
{
    struct arena *a = &p->conf->arena;
    p->section = CONF_SECTIONS;
    if (!is_destination_name(name)) {
        PROBLEM(p,
                "a destination needs a domain, `.` and a domain for all below it, or `*` for "
                "all; for example [destination example.com]");
        return;
    }
    if (p->destination_count == CONF_DESTINATIONS_MAX) {
        PROBLEM(p, "too many destinations; at most %d", CONF_DESTINATIONS_MAX);
        return;
    }
    name = arena_lower(a, name);
    for (size_t i = 0; i < p->destination_count; i++)
        if (slice_eq(p->destinations[i].name, name)) {
            PROBLEM(p, "destination %.*s is there already, in line %u; keep one of them",
                    SLICE_ARG(name), p->destination_lines[i].section);
            return;
        }
    if (p->destination_count == p->destination_room)
        make_room(p);
    size_t at = p->destination_count++;
    p->destinations[at].name = name;
    p->destination_lines[at].section = p->line;
    begin_named(p, CONF_IN_DESTINATION, &p->destinations[at], &p->destination_lines[at]);
}

static void parse_section(struct parser *p, slice line)
{
    p->has_section = true;
    p->section = CONF_SECTIONS;
    if (line.ptr[line.len - 1] != ']') {
        PROBLEM(p, "a section's line ends with `]`; for example [server]");
        return;
    }
    slice name = slice_trim(slice_make(line.ptr + 1, line.len - 2));
    slice rest = name;
    slice word = SLICE("");
    slice_split(&rest, ' ', &word);
    rest = slice_trim(rest);
    enum conf_section s = conf_section_find(word);
    if (s == CONF_IN_LISTENER)
        begin_listener(p, rest);
    else if (s == CONF_IN_DESTINATION)
        begin_destination(p, rest);
    else if (s == CONF_SECTIONS)
        suggest_section(p, name);
    else if (!slice_is_empty(rest))
        PROBLEM(p, "section [%s] has no name; write [%s]", conf_section_name(s),
                conf_section_name(s));
    else
        p->section = s;
}

static const char *elsewhere(slice key, enum conf_section *s)
{
    for (*s = 0; *s < CONF_SECTIONS; (*s)++)
        if (conf_row_find(*s, key))
            return conf_section_name(*s);
    return NULL;
}

static void suggest_key(struct parser *p, slice key)
{
    const char *section = conf_section_name(p->section);
    size_t nearest = SIZE_MAX;
    const char *best = NULL;
    for (size_t i = 0; i < conf_row_count; i++) {
        size_t d = conf_distance(key, slice_of(conf_rows[i].key));
        if (conf_rows[i].section == p->section && d < nearest) {
            nearest = d;
            best = conf_rows[i].key;
        }
    }
    enum conf_section other;
    slice text = shown(p, key);
    if (elsewhere(key, &other))
        PROBLEM(p, "[%s] has no key `%.*s`; it belongs in [%s%s]", section, SLICE_ARG(text),
                conf_section_name(other), conf_is_named(other) ? " NAME" : "");
    else if (best && nearest <= 2 + key.len / 4)
        PROBLEM(p, "unknown key `%.*s` in [%s]; did you mean `%s`?", SLICE_ARG(text), section,
                best);
    else
        PROBLEM(p, "unknown key `%.*s` in [%s]; `utpost config show --documented` lists all",
                SLICE_ARG(text), section);
}

static void parse_key(struct parser *p, slice line)
{
    ptrdiff_t equals = slice_find(line, '=');
    if (equals < 0) {
        PROBLEM(p, "`%.*s` is neither a section nor a setting; write `key = value`",
                SLICE_ARG(shown(p, line)));
        return;
    }
    slice key = slice_trim(slice_to(line, (size_t)equals));
    slice text = slice_trim(slice_from(line, (size_t)equals + 1));
    if (!p->has_section) {
        PROBLEM(p, "`%.*s` stands before any section; begin with one, for example [server]",
                SLICE_ARG(shown(p, key)));
        return;
    }
    if (p->section == CONF_SECTIONS)
        return; /* its section was reported */
    const struct conf_row *row = conf_row_find(p->section, key);
    if (!row) {
        suggest_key(p, key);
        return;
    }
    bool is_named = conf_is_named(p->section);
    unsigned *keys = is_named ? p->named_keys : p->keys;
    unsigned *seen = &keys[row - conf_rows];
    if (*seen) {
        PROBLEM(p, "`%s` was set already, in line %u; keep one of them", row->key, *seen);
        return;
    }
    *seen = p->line;
    if (slice_is_empty(text))
        return; /* the default */
    void *value = conf_value(p->conf, is_named ? p->named : NULL, row);
    char room[256];
    struct buf right = BUF_INIT;
    if (!conf_read_value(&p->conf->arena, row, text, value, &right)) {
        snprintf(room, sizeof(room), "%.*s", SLICE_ARG(buf_slice(&right)));
        PROBLEM(p, "%s: `%.*s` is not possible; %s", row->key, SLICE_ARG(shown(p, text)), room);
    }
    buf_fini(&right);
}

static void parse_line(struct parser *p, slice line)
{
    line = slice_trim(line);
    if (slice_ends(line, SLICE("\r")))
        line = slice_trim(slice_to(line, line.len - 1));
    if (slice_is_empty(line) || line.ptr[0] == '#' || line.ptr[0] == ';')
        return;
    if (memchr(line.ptr, '\0', line.len))
        PROBLEM(p, "the line has a NUL byte; the file must be plain text");
    else if (line.ptr[0] == '[')
        parse_section(p, line);
    else
        parse_key(p, line);
}

/* Without any listener section: submission with STARTTLS and with TLS from the first byte. */
static void add_default_listeners(struct parser *p)
{
    static const struct {
        slice name;
        slice address;
        enum conf_tls tls;
    } defaults[] = {
        {SLICE_INIT("submission"), SLICE_INIT("[::]:587"), CONF_TLS_STARTTLS},
        {SLICE_INIT("submissions"), SLICE_INIT("[::]:465"), CONF_TLS_IMPLICIT},
    };
    for (size_t i = 0; i < COUNT_OF(defaults); i++) {
        p->line = 0;
        begin_listener(p, defaults[i].name);
        p->listeners[i].address = defaults[i].address;
        p->listeners[i].tls = defaults[i].tls;
    }
}

static void derive(struct conf *c)
{
    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (row->type != CONF_TEXT || conf_is_named(row->section))
            continue;
        slice *value = conf_value(c, NULL, row);
        if (slice_is_empty(*value))
            *value = conf_derived(c, row, &c->arena);
    }
}

struct conf *conf_parse(slice name, slice text, struct buf *errors)
{
    struct conf *c = xcalloc(1, sizeof(*c));
    struct arena *a = &c->arena;
    struct parser p = {
        .name = name,
        .errors = errors,
        .conf = c,
        .section = CONF_SECTIONS,
        .keys = arena_array(a, unsigned, conf_row_count),
        .listeners = arena_array(a, struct conf_listener, CONF_LISTENERS_MAX),
        .listener_lines = arena_array(a, struct conf_named_lines, CONF_LISTENERS_MAX),
    };
    set_defaults(c, CONF_SECTIONS, NULL);
    if (slice_starts(text, SLICE("\xef\xbb\xbf"))) /* a byte order mark */
        text = slice_from(text, 3);
    slice line;
    while (slice_split(&text, '\n', &line)) {
        p.line++;
        parse_line(&p, line);
    }
    if (p.listener_count == 0)
        add_default_listeners(&p);
    c->listeners = p.listeners;
    c->listener_count = p.listener_count;
    c->destinations = p.destinations;
    c->destination_count = p.destination_count;
    derive(c);
    struct conf_lines lines = {p.keys, p.listener_lines, p.destination_lines};
    /* Relations of values that could not be read would only confuse. */
    if (p.problems == 0)
        p.problems = conf_check(c, name, &lines, errors);
    if (p.problems)
        conf_free(&c);
    return c;
}

struct conf *conf_read(const char *path, struct buf *errors)
{
    struct buf text = BUF_BOUNDED(CONF_FILE_MAX);
    struct conf *c = NULL;
    int err = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err = errno;
    while (err == 0) {
        if (buf_reserve(&text, 4096) < 0) {
            err = EFBIG;
            break;
        }
        ssize_t n = read(fd, text.ptr + text.len, 4096);
        if (n < 0)
            err = errno;
        if (n <= 0)
            break;
        text.len += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    if (err == ENOENT)
        conf_problem(errors, slice_of(path), 0,
                     "the configuration file is missing; make it, or name another one with "
                     "--config");
    else if (err != 0)
        conf_problem(errors, slice_of(path), 0, "%s; the configuration file must be readable",
                     strerror(err));
    else
        c = conf_parse(slice_of(path), buf_slice(&text), errors);
    buf_fini(&text);
    return c;
}

void conf_free(struct conf **c)
{
    if (!*c)
        return;
    struct arena a = (*c)->arena;
    free(*c);
    *c = NULL;
    arena_fini(&a);
}
