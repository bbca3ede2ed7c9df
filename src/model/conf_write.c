/* A configuration as a file again, and what a reload may not change. */
#include "model/conf_rows.h"

enum { DOC_COLUMNS = 92 };

static void write_wrapped(slice text, struct buf *out)
{
    while (text.len) {
        size_t take = text.len;
        if (take > DOC_COLUMNS) {
            ptrdiff_t space = slice_rfind(slice_to(text, DOC_COLUMNS), ' ');
            take = space > 0 ? (size_t)space : DOC_COLUMNS;
        }
        buf_printf(out, "# %.*s\n", SLICE_ARG(slice_to(text, take)));
        text = slice_trim(slice_from(text, take));
    }
}

static void write_doc(const struct conf_row *row, struct buf *out)
{
    struct buf facts = BUF_INIT;
    buf_byte(out, '\n');
    write_wrapped(slice_of(row->doc), out);
    conf_write_range(row, &facts);
    if (row->reload == CONF_RESTART)
        buf_printf(&facts, "%sneeds a restart", facts.len ? "; " : "");
    if (facts.len)
        write_wrapped(buf_slice(&facts), out);
    buf_fini(&facts);
}

static bool is_default(const struct conf *c, const struct conf_row *row, const void *value)
{
    /* Any of the types fits in the largest of them. */
    union {
        slice text;
        uint64_t number;
    } standard = {0};
    conf_set_default(&standard, row);
    if (conf_value_eq(&standard, value, row))
        return true;
    if (row->type != CONF_TEXT || conf_is_named(row->section))
        return false;
    struct arena a = ARENA_INIT;
    slice derived = conf_derived(c, row, &a);
    bool is_derived = slice_eq(derived, *(const slice *)value);
    arena_fini(&a);
    return is_derived;
}

static void write_section(const struct conf *c, const void *named, enum conf_section s,
                          bool documented, struct buf *out)
{
    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (row->section != s)
            continue;
        const void *value = conf_value(c, named, row);
        bool is_comment = documented && is_default(c, row, value);
        if (documented)
            write_doc(row, out);
        buf_printf(out, "%s%s =", is_comment ? "#" : "", row->key);
        struct buf text = BUF_INIT;
        /* A derived value is of this machine: its documentation says where it comes from. */
        if (is_comment && row->type == CONF_TEXT)
            buf_append(&text, slice_of(row->text_default));
        else
            conf_write_value(row, value, &text);
        if (text.len)
            buf_printf(out, " %.*s", SLICE_ARG(buf_slice(&text)));
        buf_byte(out, '\n');
        buf_fini(&text);
    }
}

static const char intro[] = "# Configuration of Utpost: what is of this machine. Customers, "
                            "accounts and limits are in\n"
                            "# the directory; see `utpost --help`. A line that begins with `#` "
                            "is a comment; a key that\n"
                            "# is not set has the value shown. `utpost config check` reads "
                            "this file as the server does;\n"
                            "# SIGHUP makes the server read it again.\n";

static const char alternatives[] = "\n# Alternatives, for clients behind networks that close "
                                   "the ports above, and for servers\n"
                                   "# that are signed in by their address:\n"
                                   "#[listener smtp]\n"
                                   "#address = [::]:25\n"
                                   "#tls = starttls\n"
                                   "#\n"
                                   "#[listener alternative]\n"
                                   "#address = [::]:2525\n"
                                   "#tls = starttls\n";

static void write_listeners(const struct conf *c, bool documented, struct buf *out)
{
    for (size_t i = 0; i < c->listener_count; i++) {
        buf_printf(out, "\n[listener %.*s]\n", SLICE_ARG(c->listeners[i].name));
        write_section(c, &c->listeners[i], CONF_IN_LISTENER, documented && i == 0, out);
    }
    if (documented)
        buf_append(out, slice_of(alternatives));
}

/* Without any, what one would say is in comments. */
static void write_destinations(const struct conf *c, bool documented, struct buf *out)
{
    struct conf_destination none = {.tls = CONF_DESTINATION_TLS_OPPORTUNISTIC};
    if (c->destination_count == 0 && documented) {
        buf_append(out, SLICE("\n#[destination example.com]\n"));
        write_section(c, &none, CONF_IN_DESTINATION, true, out);
    }
    for (size_t i = 0; i < c->destination_count; i++) {
        buf_printf(out, "\n[destination %.*s]\n", SLICE_ARG(c->destinations[i].name));
        write_section(c, &c->destinations[i], CONF_IN_DESTINATION, documented && i == 0, out);
    }
}

void conf_write(const struct conf *c, bool documented, struct buf *out)
{
    if (documented)
        buf_append(out, slice_of(intro));
    for (enum conf_section s = 0; s < CONF_SECTIONS; s++) {
        if (s == CONF_IN_LISTENER) {
            write_listeners(c, documented, out);
        } else if (s == CONF_IN_DESTINATION) {
            write_destinations(c, documented, out);
        } else {
            buf_printf(out, "%s[%s]\n", out->len ? "\n" : "", conf_section_name(s));
            write_section(c, NULL, s, documented, out);
        }
    }
}

static bool same_listeners(const struct conf *a, const struct conf *b)
{
    if (a->listener_count != b->listener_count)
        return false;
    for (size_t i = 0; i < a->listener_count; i++) {
        const struct conf_listener *x = &a->listeners[i];
        const struct conf_listener *y = &b->listeners[i];
        if (!slice_eq(x->name, y->name))
            return false;
        for (size_t r = 0; r < conf_row_count; r++)
            if (conf_rows[r].section == CONF_IN_LISTENER &&
                !conf_value_eq(conf_value(NULL, x, &conf_rows[r]),
                               conf_value(NULL, y, &conf_rows[r]), &conf_rows[r]))
                return false;
    }
    return true;
}

static void copy_value(struct arena *a, void *to, const void *from, const struct conf_row *row)
{
    static const size_t sizes[] = {
        [CONF_NUMBER] = sizeof(uint64_t), [CONF_SIZE] = sizeof(uint64_t),
        [CONF_SPAN] = sizeof(span),       [CONF_FLAG] = sizeof(bool),
        [CONF_CHOICE] = sizeof(unsigned),
    };
    if (row->type == CONF_TEXT)
        *(slice *)to = arena_dup(a, *(const slice *)from);
    else
        memcpy(to, from, sizes[row->type]);
}

static void keep_listeners(struct conf *fresh, const struct conf *old)
{
    struct arena *a = &fresh->arena;
    struct conf_listener *copy = arena_array(a, struct conf_listener, old->listener_count);
    for (size_t i = 0; i < old->listener_count; i++) {
        copy[i].name = arena_dup(a, old->listeners[i].name);
        for (size_t r = 0; r < conf_row_count; r++)
            if (conf_rows[r].section == CONF_IN_LISTENER)
                copy_value(a, conf_value(NULL, &copy[i], &conf_rows[r]),
                           conf_value(NULL, &old->listeners[i], &conf_rows[r]), &conf_rows[r]);
    }
    fresh->listeners = copy;
    fresh->listener_count = old->listener_count;
}

unsigned conf_keep_fixed(struct conf *fresh, const struct conf *old, struct buf *names)
{
    unsigned kept = 0;
    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (row->reload != CONF_RESTART || conf_is_named(row->section))
            continue;
        void *to = conf_value(fresh, NULL, row);
        const void *from = conf_value(old, NULL, row);
        if (conf_value_eq(to, from, row))
            continue;
        buf_printf(names, "%s%s.%s", kept++ ? ", " : "", conf_section_name(row->section),
                   row->key);
        copy_value(&fresh->arena, to, from, row);
    }
    if (!same_listeners(fresh, old)) {
        buf_printf(names, "%slisteners", kept++ ? ", " : "");
        keep_listeners(fresh, old);
    }
    return kept;
}
