#include "policy/wording.h"

#include <inttypes.h>

/* What people say of a span: alone ("per day"), and counted ("per 5 minutes"). */
struct span_words {
    span length;
    const char *one;
    const char *many;
};

enum { SPANS = 4 };

/* "%s" is the window in excesses, the duration in after_held, the number in at_most. */
struct language {
    const char *tag;
    const char *excess[RULE_UNIT_COUNT];
    struct span_words spans[SPANS]; /* longest first */
    const char *period;
    const char *short_spans[SPANS];
    const char *again;         /* then the time, and: */
    const char *in;            /* then the duration */
    const char *if_untried;    /* behind the moment */
    const char *after_held[2]; /* around the duration */
    const char *new_plan;
    const char *at_most[2]; /* around the number */
    const char *locked;
    const char *until;
    const char *contact;
};

static const struct language languages[WORDING_LANGUAGES] =
    {
        [WORDING_EN] =
            {
                .tag = "en",
                .excess =
                    {
                        [RULE_MESSAGES] = "Message rate exceeded",
                        [RULE_RECIPIENTS] = "Sender rate exceeded",
                        [RULE_BYTES] = "Data rate exceeded",
                        [RULE_NEW_RECIPIENTS] = "Rate of new recipients exceeded",
                        [RULE_REFUSALS] = "Too many refused attempts",
                        [RULE_BOUNCES] = "Too many bounces",
                        [RULE_COMPLAINTS] = "Too many complaints",
                    },
                .short_spans = {"d", "h", "min", "s"},
                .again = "Works again ",
                .in = ", in ",
                .if_untried = ", if nothing is tried before",
                .after_held = {"Works again ", " after the mail now under way"},
                .new_plan = "Works again with a new plan",
                .at_most = {"At most ", " at a time"},
                .locked = "Your account is locked",
                .until = " until ",
                .contact = ". Contact your provider to get going again",
            },
        [WORDING_SV] =
            {
                .tag = "sv",
                .excess =
                    {
                        [RULE_MESSAGES] = "För många meddelanden per ",
                        [RULE_RECIPIENTS] = "För många mottagare per ",
                        [RULE_BYTES] = "För mycket data per ",
                        [RULE_NEW_RECIPIENTS] = "För många nya mottagare per ",
                        [RULE_REFUSALS] = "För många avvisade försök per ",
                        [RULE_BOUNCES] = "För många returer per ",
                        [RULE_COMPLAINTS] = "För många klagomål per ",
                    },
                .spans = {{SPAN_DAY, "dygn", "dygn"},
                          {SPAN_HOUR, "timme", "timmar"},
                          {SPAN_MINUTE, "minut", "minuter"},
                          {SPAN_SECOND, "sekund", "sekunder"}},
                .period = "månad",
                .short_spans = {"d", "tim", "min", "s"},
                .again = "Fungerar igen ",
                .in = ", om ",
                .if_untried = ", om inget försöks innan dess",
                .after_held = {"Fungerar igen ", " efter den e-post som nu är på väg"},
                .new_plan = "Fungerar igen med ett nytt abonnemang",
                .at_most = {"Högst ", " åt gången"},
                .locked = "Ditt konto är spärrat",
                .until = " till ",
                .contact = ". Kontakta din leverantör",
            },
        [WORDING_NB] =
            {
                .tag = "nb",
                .excess =
                    {
                        [RULE_MESSAGES] = "For mange meldinger pr ",
                        [RULE_RECIPIENTS] = "For mange epost pr ",
                        [RULE_BYTES] = "For mye data pr ",
                        [RULE_NEW_RECIPIENTS] = "For mange nye mottakere pr ",
                        [RULE_REFUSALS] = "For mange avviste forsøk pr ",
                        [RULE_BOUNCES] = "For mange returer pr ",
                        [RULE_COMPLAINTS] = "For mange klager pr ",
                    },
                .spans = {{SPAN_DAY, "dag", "dager"},
                          {SPAN_HOUR, "time", "timer"},
                          {SPAN_MINUTE, "minutt", "minutter"},
                          {SPAN_SECOND, "sekund", "sekunder"}},
                .period = "måned",
                .short_spans = {"d", "t", "min", "s"},
                .again = "Virker igjen ",
                .in = ", om ",
                .if_untried = ", hvis ingenting forsøkes før det",
                .after_held = {"Virker igjen ", " etter eposten som nå er underveis"},
                .new_plan = "Virker igjen med et nytt abonnement",
                .at_most = {"Høyst ", " om gangen"},
                .locked = "Kontoen din er sperret",
                .until = " til ",
                .contact = ". Kontakt leverandøren din",
            },
        [WORDING_DE] =
            {
                .tag = "de",
                .excess =
                    {
                        [RULE_MESSAGES] = "Zu viele Nachrichten pro ",
                        [RULE_RECIPIENTS] = "Zu viele Empfänger pro ",
                        [RULE_BYTES] = "Zu viele Daten pro ",
                        [RULE_NEW_RECIPIENTS] = "Zu viele neue Empfänger pro ",
                        [RULE_REFUSALS] = "Zu viele abgelehnte Versuche pro ",
                        [RULE_BOUNCES] = "Zu viele Rückläufer pro ",
                        [RULE_COMPLAINTS] = "Zu viele Beschwerden pro ",
                    },
                .spans = {{SPAN_DAY, "Tag", "Tage"},
                          {SPAN_HOUR, "Stunde", "Stunden"},
                          {SPAN_MINUTE, "Minute", "Minuten"},
                          {SPAN_SECOND, "Sekunde", "Sekunden"}},
                .period = "Monat",
                .short_spans = {"T", "Std", "Min", "Sek"},
                .again = "Geht wieder ab ",
                .in = ", in ",
                .if_untried = ", wenn bis dahin nichts versucht wird",
                .after_held = {"Geht wieder ", " nach der gerade laufenden E-Mail"},
                .new_plan = "Geht wieder mit einem neuen Tarif",
                .at_most = {"Höchstens ", " auf einmal"},
                .locked = "Ihr Konto ist gesperrt",
                .until = " bis ",
                .contact = ". Wenden Sie sich an Ihren Anbieter",
            },
};

enum wording_language wording_language_of(slice tag)
{
    if (slice_ieq(slice_to(tag, 2), SLICE("no")))
        return WORDING_NB;
    for (int i = 0; i < WORDING_LANGUAGES; i++) {
        slice ours = slice_of(languages[i].tag);
        if (slice_istarts(tag, ours) && (tag.len == ours.len || tag.ptr[ours.len] == '-'))
            return (enum wording_language)i;
    }
    return WORDING_EN;
}

/* ---- letters ---- */

static const struct letter {
    const char *utf8;
    const char *ascii;
    const char *german;
} letters[] = {
    {"å", "a", "a"},   {"ä", "a", "ae"},  {"ö", "o", "oe"},  {"ø", "o", "oe"},
    {"æ", "ae", "ae"}, {"ü", "ue", "ue"}, {"ß", "ss", "ss"}, {"é", "e", "e"},
    {"Å", "A", "A"},   {"Ä", "A", "Ae"},  {"Ö", "O", "Oe"},  {"Ø", "O", "Oe"},
    {"Æ", "Ae", "Ae"}, {"Ü", "Ue", "Ue"}, {"É", "E", "E"},
};

void wording_to_ascii(enum wording_language language, slice text, struct buf *out)
{
    while (text.len > 0) {
        size_t used = 1;
        const char *written = NULL;
        for (size_t i = 0; i < COUNT_OF(letters) && !written; i++) {
            if (!slice_starts(text, slice_of(letters[i].utf8)))
                continue;
            written = language == WORDING_DE ? letters[i].german : letters[i].ascii;
            used = strlen(letters[i].utf8);
        }
        unsigned char c = (unsigned char)text.ptr[0];
        bool is_continuation = (c & 0xc0) == 0x80;
        if (written)
            buf_append(out, slice_of(written));
        else if (!is_continuation)
            buf_byte(out, c >= ' ' && c < 0x7f ? (char)c : '?');
        text = slice_from(text, used);
    }
}

/* ---- parts ---- */

/* A text that is being put together, in one language. */
struct words {
    struct buf *out;
    enum wording_language language;
    const struct language *of;
};

static struct words words_in(enum wording_language language, struct buf *out)
{
    return (struct words){out, language, &languages[language]};
}

static void say(const struct words *w, const char *text)
{
    wording_to_ascii(w->language, slice_of(text), w->out);
}

static void say_amount(struct buf *out, enum rule_unit unit, uint64_t n)
{
    static const struct {
        uint64_t factor;
        const char *suffix;
    } sizes[] = {{1000000000, "GB"}, {1000000, "MB"}, {1000, "KB"}};
    if (unit != RULE_BYTES) {
        buf_printf(out, "%" PRIu64, n);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        if (n < sizes[i].factor)
            continue;
        uint64_t tenths = n / (sizes[i].factor / 10) % 10;
        buf_printf(out, "%" PRIu64, n / sizes[i].factor);
        if (tenths > 0)
            buf_printf(out, ".%" PRIu64, tenths);
        buf_append(out, slice_of(sizes[i].suffix));
        return;
    }
    buf_printf(out, "%" PRIu64 "B", n);
}

/* "1d", as in the rule. */
static void say_window(struct buf *out, span window)
{
    static const struct {
        span length;
        char letter;
    } spans[] = {{SPAN_DAY, 'd'}, {SPAN_HOUR, 'h'}, {SPAN_MINUTE, 'm'}, {SPAN_SECOND, 's'}};
    if (window == RULE_PERIOD)
        buf_append(out, SLICE("month"));
    for (size_t i = 0; window > 0 && i < COUNT_OF(spans); i++) {
        if (window % spans[i].length == 0) {
            buf_printf(out, "%" PRId64 "%c", window / spans[i].length, spans[i].letter);
            return;
        }
    }
}

/* "dag", "5 minutter" */
static void say_span(const struct words *w, span window)
{
    if (window == RULE_PERIOD)
        say(w, w->of->period);
    for (size_t i = 0; window > 0 && i < SPANS; i++) {
        const struct span_words *s = &w->of->spans[i];
        if (window % s->length != 0)
            continue;
        if (window != s->length)
            buf_printf(w->out, "%" PRId64 " ", window / s->length);
        say(w, window == s->length ? s->one : s->many);
        return;
    }
}

/* "2 h 5 min": the two largest spans, never less than it takes. */
static void say_duration(const struct words *w, span length)
{
    static const span spans[SPANS] = {SPAN_DAY, SPAN_HOUR, SPAN_MINUTE, SPAN_SECOND};
    if (length < SPAN_SECOND)
        length = SPAN_SECOND;
    size_t first = 0;
    while (first + 1 < SPANS && length < spans[first])
        first++;
    size_t last = first + 1 < SPANS ? first + 1 : first;
    length = (length + spans[last] - 1) / spans[last] * spans[last];
    for (size_t i = first > 0 && length == spans[first - 1] ? first - 1 : first; i <= last;
         i++) {
        if (length < spans[i])
            continue;
        buf_printf(w->out, "%s%" PRId64 " ", i > first ? " " : "", length / spans[i]);
        say(w, w->of->short_spans[i]);
        length %= spans[i];
    }
}

/* "2026-11-22 15:04:05 CET": the first whole second at or after it. */
static void say_moment(const struct words *w, const struct wording_voice *voice, stamp at)
{
    enum { DAY_LEN = 10, TIME_LEN = 8 };
    char text[STAMP_TEXT_MAX];
    at = (at + SPAN_SECOND - 1) / SPAN_SECOND * SPAN_SECOND;
    struct zone_time local = zone_at(voice->zone, at);
    stamp_format(at + local.offset, text);
    buf_printf(w->out, "%.*s %.*s %s", DAY_LEN, text, TIME_LEN, text + DAY_LEN + 1, local.name);
}

/* ---- sentences ---- */

static bool has_own(const struct wording_voice *voice)
{
    return voice->language != WORDING_EN;
}

/* Which limit: "For mange epost pr dag/Sender rate exceeded, 1300/1d (max 1000)". */
static void say_excess(enum wording_language language, const struct limit_verdict *v,
                       uint64_t used, struct buf *out)
{
    const struct rule *r = &v->rule;
    if (language != WORDING_EN) {
        struct words w = words_in(language, out);
        say(&w, w.of->excess[r->unit]);
        say_span(&w, r->window);
        buf_byte(out, '/');
    }
    buf_append(out, slice_of(languages[WORDING_EN].excess[r->unit]));
    buf_append(out, SLICE(", "));
    say_amount(out, r->unit, used);
    if (r->action == RULE_PACE) {
        buf_append(out, SLICE(" waiting ("));
        say_amount(out, r->unit, r->max);
        buf_byte(out, '/');
        say_window(out, r->window);
        buf_byte(out, ')');
        return;
    }
    buf_byte(out, '/');
    say_window(out, r->window);
    buf_append(out, SLICE(" (max "));
    say_amount(out, r->unit, v->max);
    buf_byte(out, ')');
}

/* When, in one language. */
static void say_when(const struct words *w, const struct wording_voice *voice,
                     const struct limit_verdict *v)
{
    if (v->never_fits) {
        say(w, w->of->at_most[0]);
        say_amount(w->out, v->rule.unit, v->max);
        say(w, w->of->at_most[1]);
    } else if (v->free_at == STAMP_NEVER) {
        say(w, w->of->new_plan);
    } else if (v->is_after_held) {
        say(w, w->of->after_held[0]);
        say_duration(w, v->free_at - voice->now);
        say(w, w->of->after_held[1]);
        if (v->rule.attempts)
            say(w, w->of->if_untried);
    } else {
        say(w, w->of->again);
        say_moment(w, voice, v->free_at);
        say(w, w->of->in);
        say_duration(w, v->free_at - voice->now);
        if (v->rule.attempts)
            say(w, w->of->if_untried);
    }
}

/* "Max 100 recipients permitted per message" */
static void say_message_limit(const struct limit_verdict *v, struct buf *out)
{
    static const char *const names[RULE_UNIT_COUNT] = {
        [RULE_MESSAGES] = " messages",
        [RULE_RECIPIENTS] = " recipients",
        [RULE_BYTES] = "",
        [RULE_NEW_RECIPIENTS] = " new recipients",
        [RULE_REFUSALS] = " refusals",
        [RULE_BOUNCES] = " bounces",
        [RULE_COMPLAINTS] = " complaints",
    };
    buf_append(out, SLICE("Max "));
    say_amount(out, v->rule.unit, v->max);
    buf_append(out, slice_of(names[v->rule.unit]));
    buf_append(out, SLICE(" permitted per message"));
}

/* ---- replies ---- */

static const struct enhanced refused_now = {4, 7, 1};
static const struct enhanced refused_for_good = {5, 7, 1};
static const struct enhanced too_many_recipients = {4, 5, 3};
static const struct enhanced too_large = {5, 3, 4};

static struct reply code_of(const struct limit_verdict *v)
{
    const struct rule *r = &v->rule;
    bool lapses = v->free_at != STAMP_NEVER || v->never_fits;
    bool is_of_message = r->scope == RULE_MESSAGE;
    if (is_of_message && r->unit == RULE_BYTES && r->action != RULE_DEFER)
        return (struct reply){.code = 552, .enhanced = too_large};
    if (r->action == RULE_REJECT)
        return (struct reply){.code = 550, .enhanced = refused_for_good};
    if (is_of_message && r->unit != RULE_BYTES)
        return (struct reply){.code = 452, .enhanced = too_many_recipients};
    if (r->action == RULE_SUSPEND && !lapses)
        return (struct reply){.code = 550, .enhanced = refused_for_good};
    return (struct reply){.code = 450, .enhanced = refused_now};
}

static struct buf begin(struct wording *out)
{
    return (struct buf){.ptr = out->text, .cap = WORDING_TEXT_MAX, .max = WORDING_TEXT_MAX};
}

static void end(struct wording *out, struct reply code, const struct buf *text)
{
    out->reply = code;
    out->reply.text = buf_slice(text);
}

void wording_refusal(const struct wording_voice *voice, const struct limit_verdict *v,
                     struct wording *out)
{
    struct buf text = begin(out);
    if (v->rule.scope == RULE_MESSAGE) {
        say_message_limit(v, &text);
        end(out, code_of(v), &text);
        return;
    }
    say_excess(voice->language, v, v->used, &text);
    buf_append(&text, SLICE(". "));
    if (has_own(voice)) {
        struct words own = words_in(voice->language, &text);
        say_when(&own, voice, v);
        buf_byte(&text, '/');
    }
    struct words english = words_in(WORDING_EN, &text);
    say_when(&english, voice, v);
    end(out, code_of(v), &text);
}

void wording_reason(enum wording_language language, const struct limit_verdict *v,
                    struct buf *out)
{
    uint64_t with_this = v->used > UINT64_MAX - v->asked ? UINT64_MAX : v->used + v->asked;
    say_excess(language, v, with_this, out);
}

static void say_locked(const struct words *w, const struct wording_voice *voice, stamp until)
{
    say(w, w->of->locked);
    if (until == STAMP_NEVER) {
        say(w, w->of->contact);
        return;
    }
    say(w, w->of->until);
    say_moment(w, voice, until);
}

void wording_lock(const struct wording_voice *voice, const struct limit_verdict *v, stamp until,
                  struct wording *out)
{
    struct buf text = begin(out);
    wording_reason(voice->language, v, &text);
    buf_append(&text, SLICE(". "));
    if (has_own(voice)) {
        struct words own = words_in(voice->language, &text);
        say_locked(&own, voice, until);
        buf_byte(&text, '/');
    }
    struct words english = words_in(WORDING_EN, &text);
    say_locked(&english, voice, until);
    bool for_good = until == STAMP_NEVER;
    end(out,
        (struct reply){.code = for_good ? 550 : 450,
                       .enhanced = for_good ? refused_for_good : refused_now},
        &text);
}

void wording_no_memory(struct wording *out)
{
    out->reply = (struct reply){
        .code = 452,
        .enhanced = {4, 3, 1},
        .text = SLICE("No memory to count this; try again in a minute"),
    };
}

void wording_add_data(const struct limit_verdict *v, struct wording *out)
{
    char room[RULE_TEXT_MAX];
    struct buf rule = {.ptr = room, .cap = sizeof(room), .max = sizeof(room)};
    size_t at = out->reply.text.len;
    stamp again = v->free_at == STAMP_NEVER ? 0 : v->free_at;
    rule_format(&v->rule, &rule);
    struct buf text = {
        .ptr = out->text, .len = at, .cap = sizeof(out->text), .max = sizeof(out->text)};
    buf_printf(&text, "\nXLIMIT used=%llu max=%llu again=%lld rule=%.*s",
               (unsigned long long)v->used, (unsigned long long)v->max, (long long)again,
               SLICE_ARG(buf_slice(&rule)));
    if (!text.error)
        out->reply.text = buf_slice(&text);
}

bool wording_read_data(slice line, struct wording_data *out)
{
    static const slice names[] = {SLICE_INIT("used="), SLICE_INIT("max="),
                                  SLICE_INIT("again=")};
    uint64_t values[COUNT_OF(names)];
    slice word;
    if (!slice_split(&line, ' ', &word) || !slice_eq(word, SLICE("XLIMIT")))
        return false;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!slice_split(&line, ' ', &word) || !slice_starts(word, names[i]) ||
            !slice_to_u64(slice_from(word, names[i].len), &values[i]))
            return false;
    if (!slice_starts(line, SLICE("rule=")))
        return false;
    *out = (struct wording_data){values[0], values[1], (stamp)values[2], slice_from(line, 5)};
    return true;
}
