/* wording: the truth about a limit, in words, as SMTP replies.
 *
 * The account's language first, English beside it, joined by '/': which limit, how much of it
 * is used, its maximum, and the moment when it works again, as a time in the account's zone and
 * as a duration. ASCII (transliterated), one line, below 512 octets with its code. A moment
 * that cannot be kept is not named: where refused attempts count, the text says "if nothing is
 * tried before"; where mail that is still arriving fills the window, it gives the time from its
 * end; what can never fit is told how much may come at a time. No limit that lapses gives 5xx.
 */
#ifndef POLICY_WORDING_H
#define POLICY_WORDING_H

#include "codec/reply.h"
#include "policy/limiter.h"
#include "policy/zone.h"

enum wording_language { WORDING_EN, WORDING_SV, WORDING_NB, WORDING_DE, WORDING_LANGUAGES };

/* Of a tag such as "nb" or "de-AT"; English when it is none of ours. */
enum wording_language wording_language_of(slice tag);

/* To whom, and when (by the clock on the wall, as is the verdict's free_at). */
struct wording_voice {
    enum wording_language language;
    const struct zone *zone;
    stamp now;
};

enum {
    WORDING_TEXT_MAX = REPLY_LINE_MAX - sizeof("450-4.7.1 \r\n"),
    WORDING_DATA_MAX = 200, /* of wording_add_data */
};

/* A reply with room for its text. It must not be copied: the reply points into it. */
struct wording {
    struct reply reply;
    char text[WORDING_TEXT_MAX + WORDING_DATA_MAX];
};

/* What limiter_reserve and limiter_true_up have refused. */
void wording_refusal(const struct wording_voice *voice, const struct limit_verdict *v,
                     struct wording *out) NONNULL(1, 2, 3);
/* What limiter_settle has refused: the account is locked by this message, until then
 * (STAMP_NEVER: for good). */
void wording_lock(const struct wording_voice *voice, const struct limit_verdict *v, stamp until,
                  struct wording *out) NONNULL(1, 2, 4);
/* Why, for the lock's record and the account's state: "For manga …/Message rate exceeded,
 * 501/30m (max 500)". */
void wording_reason(enum wording_language language, const struct limit_verdict *v,
                    struct buf *out) NONNULL(2, 3);
/* Adds a line to a refusal's reply that programs of ours read: "XLIMIT used=… max=… again=…
 * rule=…", the moment as a stamp (0: none can be named). */
void wording_add_data(const struct limit_verdict *v, struct wording *out) NONNULL(1, 2);
/* The line's content, if `line` is one; slices point into it. */
struct wording_data {
    uint64_t used;
    uint64_t max;
    stamp again; /* 0: none */
    slice rule;
};
/* False, and *out is untouched: it is no such line. */
bool wording_read_data(slice line, struct wording_data *out) NONNULL(2);
/* The counters are out of memory. */
void wording_no_memory(struct wording *out) NONNULL(1);

/* Letters beyond ASCII as it is usual in that language; what has no usual form becomes '?'. */
void wording_to_ascii(enum wording_language language, slice text, struct buf *out) NONNULL(3);

#endif
