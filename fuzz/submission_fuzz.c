/* submission: a client that says anything, against an owner that answers anything. Effects come
 * in a legal order (the driver sees to that), each "Queued" stands for a commit that went well,
 * every reply is well-formed, what is kept is clean CRLF text, and the conversation is the same
 * however its bytes are split and its answers delayed.
 *
 * Two bytes choose the listener and the client. The rest is what the client sends, but for some
 * control characters, which are what else happens: see happen(). */
#include "fuzz.h"

#include "../test/dialog/submission_driver.h"

enum { EVENT_MAX = 8 };

/* An event or a client's bytes that must not depend on how they were split. */
struct run {
    struct driver d;
    bool is_sensitive;
};

static void toggle(struct reply *r, uint16_t code)
{
    *r = r->code ? (struct reply){0} : (struct reply){code, {4, 7, 1}, SLICE("Not now")};
}

static void become(struct driver *d, unsigned which)
{
    struct account account = driver_account(which);
    submission_account_changed(d->s, which % (DRIVER_ACCOUNTS + 1) ? &account : NULL);
}

/* \1 timeout, \2 shutdown, \3 gone, \4 the account changes (to the one of the next byte), and
 * from now on, or no longer: \5 no room at DATA, \6 bodies fail, \7 commits fail, \10 limits
 * refuse at the end of data. */
static void happen(struct run *r, unsigned event, slice *in)
{
    struct driver *d = &r->d;
    switch (event) {
    case 1:
        submission_timeout(d->s);
        break;
    case 2:
        submission_shutdown(d->s);
        break;
    case 3:
        submission_gone(d->s);
        break;
    case 4:
        become(d, fuzz_byte(in));
        break;
    case 5:
        toggle(&d->open_refusal, 452);
        break;
    case 6:
        d->body_err = d->body_err ? 0 : -ENOSPC;
        r->is_sensitive = true; /* the chunk that notices depends on the reads */
        break;
    case 7:
        d->commit_err = d->commit_err ? 0 : -EIO;
        break;
    case 8:
        toggle(&d->commit_refusal, 550);
        break;
    default:
        break;
    }
    driver_settle(d);
}

static size_t next_event(slice in)
{
    size_t n = 0;
    while (n < in.len &&
           !((unsigned char)in.ptr[n] >= 1 && (unsigned char)in.ptr[n] <= EVENT_MAX))
        n++;
    return n;
}

static void configure(struct driver *d, slice *in, struct account *account)
{
    unsigned listener = fuzz_byte(in);
    unsigned client = fuzz_byte(in);
    driver_init(d);
    d->config.tls = (enum submission_tls)(listener % 3);
    d->config.plaintext_auth = listener & 4;
    d->config.is_local_door = listener & 8;
    d->config.needs_tls = listener & 16;
    d->config.max_line = listener & 32 ? 40 : 0;
    d->config.max_header = listener & 64 ? 60 : 2000;
    d->config.max_size = listener & 128 ? 100 : 0;
    d->config.max_errors = client & 16 ? 3 : 200;
    d->config.max_messages = client & 32 ? 1 : 0;
    d->config.trace = (enum trace_detail)(client >> 6) % 3;
    d->peer.tls = d->config.tls == SUBMISSION_TLS_IMPLICIT;
    d->tls_fails = (client & 15) == 15;
    if ((client & 15) < DRIVER_ACCOUNTS) {
        *account = driver_account(client & 15);
        d->peer.account = account;
    }
}

/* The whole conversation; ends with the client's going away. */
static void converse(struct run *r, slice in, size_t step, bool late)
{
    struct account account;
    configure(&r->d, &in, &account);
    r->d.answers_late = late;
    r->is_sensitive = false;
    driver_start(&r->d);
    driver_settle(&r->d);
    while (in.len) {
        size_t n = next_event(in);
        driver_feed(&r->d, slice_to(in, n), step);
        in = slice_from(in, n);
        if (in.len)
            happen(r, fuzz_byte(&in), &in);
    }
    submission_gone(r->d.s);
    driver_settle(&r->d);
    INVARIANT(r->d.is_closed && !r->d.holds);
    INVARIANT(submission_waits(r->d.s) == SUBMISSION_CLOSED);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void check_replies(const struct driver *d)
{
    slice said = buf_slice(&d->said);
    slice line;
    unsigned queued = 0;
    INVARIANT(said.len == 0 || slice_ends(said, SLICE("\r\n")));
    while (slice_split(&said, '\n', &line)) {
        INVARIANT(line.len >= 5 && line.len < REPLY_LINE_MAX);
        INVARIANT(line.ptr[0] >= '2' && line.ptr[0] <= '5' && is_digit(line.ptr[1]) &&
                  is_digit(line.ptr[2]) && (line.ptr[3] == ' ' || line.ptr[3] == '-'));
        for (size_t i = 0; i + 1 < line.len; i++)
            INVARIANT(line.ptr[i] >= ' ' && line.ptr[i] <= '~');
        queued += slice_starts(line, SLICE("250 2.0.0 Queued as "));
    }
    INVARIANT(queued == d->commits);
}

/* Each message that was kept is in CRLF lines ("\n" alone stands between messages). */
static void check_kept(const struct driver *d)
{
    slice kept = buf_slice(&d->committed);
    unsigned messages = 0;
    for (size_t i = 0; i < kept.len; i++) {
        INVARIANT(kept.ptr[i] != '\0');
        bool is_crlf = kept.ptr[i] == '\r';
        if (is_crlf)
            INVARIANT(i + 1 < kept.len && kept.ptr[++i] == '\n');
        else
            messages += kept.ptr[i] == '\n';
    }
    INVARIANT(messages == d->commits);
}

static bool has_starttls(slice in)
{
    static const slice verb = SLICE_INIT("STARTTLS");
    for (size_t i = 0; i + verb.len <= in.len; i++)
        if (slice_istarts(slice_from(in, i), verb))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 3, 50};
    slice in = fuzz_slice(data, size);
    struct run whole;
    converse(&whole, in, SIZE_MAX / 2, false);
    check_replies(&whole.d);
    check_kept(&whole.d);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct run part;
        converse(&part, in, steps[i], i % 2 == 0);
        check_replies(&part.d);
        check_kept(&part.d);
        /* bytes behind STARTTLS are a matter of what came in one read */
        if (!whole.is_sensitive && !has_starttls(in)) {
            fuzz_same(buf_slice(&part.d.said), buf_slice(&whole.d.said));
            fuzz_same(buf_slice(&part.d.committed), buf_slice(&whole.d.committed));
        }
        driver_fini(&part.d);
    }
    driver_fini(&whole.d);
    return 0;
}
