/* log: one line per event, logfmt or JSON, to standard error.
 *
 *   log_info("message-accepted", LOG_ID("id", id), LOG_S("account", login), LOG_I("size", n));
 *
 * Event names are words joined by hyphens. All text is escaped here and nowhere else; a value
 * that a peer chose can neither forge a line nor a field. A line is written with one write(2).
 * Thread-safe. Control characters (C0, DEL, C1) and bytes that are not UTF-8 appear as \xNN
 * (JSON: \u00NN), so that a line is always UTF-8, and harmless on a terminal. A field that does
 * not fit is left out whole; those after it may still fit. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"
#include "base/slice.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key;
    enum { LOG_FIELD_SLICE, LOG_FIELD_INT, LOG_FIELD_ID, LOG_FIELD_ERRNO } kind;
    slice text;
    int64_t number;
};

#define LOG_S(k, s)                                      \
    {                                                    \
        .key = (k), .kind = LOG_FIELD_SLICE, .text = (s) \
    }
#define LOG_C(k, cstr)                                              \
    {                                                               \
        .key = (k), .kind = LOG_FIELD_SLICE, .text = slice_of(cstr) \
    }
#define LOG_I(k, n)                                               \
    {                                                             \
        .key = (k), .kind = LOG_FIELD_INT, .number = (int64_t)(n) \
    }
/* A queue or session id, as its text. */
#define LOG_ID(k, n)                                             \
    {                                                            \
        .key = (k), .kind = LOG_FIELD_ID, .number = (int64_t)(n) \
    }
/* An errno, negative or positive, as its text. */
#define LOG_E(k, err)                                        \
    {                                                        \
        .key = (k), .kind = LOG_FIELD_ERRNO, .number = (err) \
    }

/* The process's name in each line ("smtpd"), the format and the most talkative level. Called
 * once at start and again on a reload; the defaults are "utpost", logfmt and LOG_INFO. */
void log_setup(const char *role, enum log_format format, enum log_level most) NONNULL(1);

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count) NONNULL(2);

#define LOG_FIELDS(...)        \
    (const struct log_field[]) \
    {                          \
        __VA_ARGS__            \
    }
#define LOG_EVENT(level, event, ...)                 \
    log_write(level, event, LOG_FIELDS(__VA_ARGS__), \
              sizeof(LOG_FIELDS(__VA_ARGS__)) / sizeof(struct log_field))
#define log_error(event, ...) LOG_EVENT(LOG_ERROR, event, __VA_ARGS__)
#define log_warning(event, ...) LOG_EVENT(LOG_WARNING, event, __VA_ARGS__)
#define log_info(event, ...) LOG_EVENT(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) LOG_EVENT(LOG_DEBUG, event, __VA_ARGS__)

/* Formats a line without writing it, for tests: returns its length without the newline. */
size_t log_format_line(char *out, size_t size, enum log_level level, const char *event,
                       const struct log_field *fields, size_t count) NONNULL(1, 4);

#endif
