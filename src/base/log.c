#include "base/log.h"

#include "base/id.h"
#include "base/stamp.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192 };

/* The log is the one global of the house: where lines go is a property of the process. */
static struct {
    const char *role;
    enum log_format format;
    enum log_level most;
} sink = {"utpost", LOG_LOGFMT, LOG_INFO};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

struct line {
    char *out;
    size_t size;
    size_t len;
};

static void put(struct line *l, const char *text, size_t len)
{
    size_t room = l->size - l->len;
    if (len > room)
        len = room;
    memcpy(l->out + l->len, text, len);
    l->len += len;
}

PRINTF_LIKE(2, 3) static void putf(struct line *l, const char *fmt, ...)
{
    char text[80];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    put(l, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static void put_cstr(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* May stand in logfmt without quotes. */
static bool is_plain(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return s.len > 0;
}

/* Octets of the character at the start of s when it may stand as it is, else 0. */
static size_t harmless(slice s)
{
    size_t n = utf8_sequence(s);
    unsigned char first = (unsigned char)s.ptr[0];
    bool is_c0 = n == 1 && (first < ' ' || first == 0x7f);
    bool is_c1 = n == 2 && first == 0xc2 && (unsigned char)s.ptr[1] < 0xa0;
    return is_c0 || is_c1 ? 0 : n;
}

static void put_quoted(struct line *l, slice s, enum log_format format)
{
    put_cstr(l, "\"");
    while (s.len) {
        unsigned char c = (unsigned char)s.ptr[0];
        size_t n = harmless(s);
        if (c == '"' || c == '\\')
            put_cstr(l, "\\");
        if (n == 0)
            putf(l, format == LOG_JSON ? "\\u%04x" : "\\x%02x", c);
        else
            put(l, s.ptr, n);
        s = slice_from(s, n ? n : 1);
    }
    put_cstr(l, "\"");
}

static void put_text(struct line *l, slice s, enum log_format format)
{
    if (format == LOG_LOGFMT && is_plain(s))
        put(l, s.ptr, s.len);
    else
        put_quoted(l, s, format);
}

static void put_key(struct line *l, const char *key, enum log_format format)
{
    put_cstr(l, format == LOG_JSON ? ",\"" : " ");
    put_cstr(l, key);
    put_cstr(l, format == LOG_JSON ? "\":" : "=");
}

static void put_value(struct line *l, const struct log_field *f, enum log_format format)
{
    char id[ID_TEXT_LEN + 1];
    switch (f->kind) {
    case LOG_FIELD_SLICE:
        put_text(l, f->text, format);
        break;
    case LOG_FIELD_INT:
        putf(l, "%lld", (long long)f->number);
        break;
    case LOG_FIELD_ID:
        id_format((uint64_t)f->number, id);
        put_text(l, slice_of(id), format);
        break;
    case LOG_FIELD_ERRNO: {
        char text[128];
        int err = (int)(f->number < 0 ? -f->number : f->number);
        put_text(l, slice_of(strerror_r(err, text, sizeof(text))), format);
        break;
    }
    }
}

void log_setup(const char *role, enum log_format format, enum log_level most)
{
    sink.role = role;
    sink.format = format;
    sink.most = most;
}

size_t log_format_line(char *out, size_t size, enum log_level level, const char *event,
                       const struct log_field *fields, size_t count)
{
    struct line l = {out, size, 0};
    bool is_json = sink.format == LOG_JSON;
    put_cstr(&l, is_json ? "{\"level\":\"" : "level=");
    put_cstr(&l, level_names[level]);
    put_cstr(&l, is_json ? "\",\"role\":\"" : " role=");
    put_cstr(&l, sink.role);
    put_cstr(&l, is_json ? "\",\"event\":\"" : " event=");
    put_cstr(&l, event);
    if (is_json)
        put_cstr(&l, "\"");
    for (size_t i = 0; i < count; i++) {
        size_t before = l.len;
        put_key(&l, fields[i].key, sink.format);
        put_value(&l, &fields[i], sink.format);
        if (l.len == l.size) /* does not fit: leave the whole field out, never half of it */
            l.len = before;
    }
    if (is_json)
        put_cstr(&l, "}");
    return l.len;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    char line[LINE_MAX_BYTES];
    if (level > sink.most)
        return;
    int saved = errno;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char at[STAMP_TEXT_MAX];
    stamp_format((stamp)now.tv_sec * SPAN_SECOND + now.tv_nsec / 1000, at);
    size_t len = 0;
    if (sink.format == LOG_JSON) {
        len = (size_t)snprintf(line, sizeof(line), "{\"time\":\"%s\",", at);
        /* the object's own brace goes: its fields follow the time */
        size_t body =
            log_format_line(line + len, sizeof(line) - len - 2, level, event, fields, count);
        memmove(line + len, line + len + 1, body - 1);
        len += body - 1;
    } else {
        len = (size_t)snprintf(line, sizeof(line), "time=%s ", at);
        len += log_format_line(line + len, sizeof(line) - len - 2, level, event, fields, count);
    }
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0) {
        /* nobody reads: there is nowhere left to say so */
    }
    errno = saved;
}
