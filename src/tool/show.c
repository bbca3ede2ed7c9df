#include "tool/show.h"

#include <stdio.h>
#include <string.h>

enum { PAIR_COLUMN = 18 };

void show_table_init(struct show_table *t, struct arena *a, const char *const *heads)
{
    *t = (struct show_table){.arena = a, .heads = heads};
    while (heads[t->columns])
        t->columns++;
    INVARIANT(t->columns > 0 && t->columns <= SHOW_COLUMNS_MAX);
}

/* A copy in which controls (C0, DEL, and C1 in UTF-8) are question marks. */
static const char *harmless(struct arena *a, const char *text)
{
    char *copy = arena_cstr(a, slice_of(text));
    for (unsigned char *c = (unsigned char *)copy; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
            c[0] = c[1] = '?';
    }
    return copy;
}

void show_cell(struct show_table *t, const char *text)
{
    if (t->count == t->room) {
        t->room = t->room ? t->room * 2 : 64;
        const char **grown = arena_array(t->arena, const char *, t->room);
        for (size_t i = 0; i < t->count; i++)
            grown[i] = t->cells[i];
        t->cells = grown;
    }
    t->cells[t->count++] = text && text[0] ? harmless(t->arena, text) : "-";
}

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static int width(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

static void print_row(const struct show_table *t, const char *const *cells, const int *widths)
{
    for (int i = 0; i < t->columns; i++) {
        bool is_last = i == t->columns - 1;
        int pad = is_last ? 0 : widths[i] - width(cells[i]) + 2;
        printf("%s%*s", cells[i], pad, "");
    }
    putchar('\n');
}

void show_table_print(const struct show_table *t, const char *nothing)
{
    int widths[SHOW_COLUMNS_MAX];
    INVARIANT(t->count % (size_t)t->columns == 0);
    if (t->count == 0) {
        puts(nothing);
        return;
    }
    for (int i = 0; i < t->columns; i++)
        widths[i] = width(t->heads[i]);
    for (size_t i = 0; i < t->count; i++) {
        int *w = &widths[i % (size_t)t->columns];
        if (width(t->cells[i]) > *w)
            *w = width(t->cells[i]);
    }
    print_row(t, t->heads, widths);
    for (size_t i = 0; i < t->count; i += (size_t)t->columns)
        print_row(t, t->cells + i, widths);
}

void show_pair(const char *name, const char *value)
{
    struct arena a = ARENA_INIT;
    if (value && value[0])
        printf("%s:%*s%s\n", name, PAIR_COLUMN - width(name) - 1, "", harmless(&a, value));
    arena_fini(&a);
}

void show_number(const char *name, const json_t *object, const char *key)
{
    struct arena a = ARENA_INIT;
    show_pair(name, show_text(&a, object, key));
    arena_fini(&a);
}

const char *show_text(struct arena *a, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value))
        return arena_cstr(a, slice_of(json_string_value(value)));
    if (json_is_integer(value))
        return arena_printf(a, "%lld", (long long)json_integer_value(value)).ptr;
    if (json_is_boolean(value))
        return json_is_true(value) ? "yes" : "no";
    return "";
}

const char *show_list(struct arena *a, const json_t *array)
{
    const char *all = "";
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item) all =
        arena_printf(a, "%s%s%s", all, i ? ", " : "", json_string_value(item)).ptr;
    return all;
}

const char *show_state(struct arena *a, const json_t *object)
{
    const char *state = show_text(a, object, "state");
    const char *until = show_text(a, object, "until");
    const char *reason = show_text(a, object, "reason");
    if (strcmp(state, "active") == 0)
        return state;
    return arena_printf(a, "%s%s%s%s%s", state, until[0] ? " until " : "", until,
                        reason[0] ? ": " : "", reason)
        .ptr;
}
