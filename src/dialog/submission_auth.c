#include "base/secret.h"
#include "dialog/submission_internal.h"

enum {
    /* Decoded octets: authzid NUL authcid NUL secret, each at its longest. */
    SASL_MESSAGE_MAX = 255 + 1 + 255 + 1 + 1024,
    AUTHZID_MAX = 255,
};

static const slice mechanism_names[] = {[VERIFY_PLAIN] = SLICE_INIT("PLAIN"),
                                        [VERIFY_LOGIN] = SLICE_INIT("LOGIN"),
                                        [VERIFY_EXTERNAL] = SLICE_INIT("EXTERNAL"),
                                        [VERIFY_CONTROL] = SLICE_INIT("UTPOST-CONTROL")};

static bool is_local_only(enum verify_mechanism m)
{
    return m == VERIFY_EXTERNAL || m == VERIFY_CONTROL;
}

bool submission_may_auth(const struct submission *s, enum verify_mechanism m)
{
    if (s->has_authenticated)
        return false;
    if (is_local_only(m))
        return s->config->is_local_door;
    return s->is_tls || s->config->plaintext_auth;
}

/* Nothing secret outlives the exchange. */
void submission_auth_end(struct submission *s)
{
    if (s->secret.len)
        secret_wipe((void *)(uintptr_t)s->secret.ptr, s->secret.len);
    s->secret = (slice){0};
    s->login_name = (slice){0};
    s->has_login_name = false;
    arena_fini(&s->scratch);
}

static void end_exchange(struct submission *s, enum phrase p)
{
    submission_auth_end(s);
    submission_say(s, p);
    submission_enter(s, submission_base(s));
}

/* A server challenge (RFC 4954 section 4); the texts are base64. */
static void challenge(struct submission *s, slice line)
{
    buf_append(&s->out, line);
    submission_enter(s, STATE_SASL);
}

static void verify(struct submission *s, const struct sasl_identity *identity)
{
    submission_push(
        s, &(struct effect){.kind = EFFECT_VERIFY,
                            .verify = {.mechanism = s->mechanism, .identity = *identity}});
    submission_enter(s, STATE_AWAITS_VERIFY);
}

static void verify_message(struct submission *s, slice message)
{
    struct sasl_identity identity;
    s->secret = message;
    if (sasl_plain_parse(message, &identity))
        verify(s, &identity);
    else
        end_exchange(s, PHRASE_AUTH_DECODE);
}

/* LOGIN's two answers become one message of PLAIN, so that the same rules hold for both. */
static void verify_login(struct submission *s, slice secret)
{
    size_t len = 1 + s->login_name.len + 1 + secret.len;
    char *message = arena_alloc(&s->scratch, len);
    if (s->login_name.len)
        memcpy(message + 1, s->login_name.ptr, s->login_name.len);
    if (secret.len) {
        memcpy(message + 2 + s->login_name.len, secret.ptr, secret.len);
        secret_wipe((void *)(uintptr_t)secret.ptr, secret.len);
    }
    verify_message(s, (slice){message, len});
}

static void respond(struct submission *s, slice response)
{
    slice message;
    if (!base64_decode(&s->scratch, response, SASL_MESSAGE_MAX, &message)) {
        end_exchange(s, PHRASE_AUTH_DECODE);
        return;
    }
    switch (s->mechanism) {
    case VERIFY_PLAIN:
    case VERIFY_CONTROL:
        verify_message(s, message);
        return;
    case VERIFY_LOGIN:
        if (s->has_login_name) {
            verify_login(s, message);
        } else {
            s->has_login_name = true;
            s->login_name = message;
            challenge(s, SLICE("334 UGFzc3dvcmQ6\r\n")); /* "Password:" */
        }
        return;
    case VERIFY_EXTERNAL:
        if (message.len > AUTHZID_MAX)
            end_exchange(s, PHRASE_AUTH_DECODE);
        else
            verify(s, &(struct sasl_identity){.authzid = message});
        return;
    }
}

void submission_sasl_line(struct submission *s, slice line)
{
    if (slice_eq(line, SLICE("*")))
        end_exchange(s, PHRASE_AUTH_CANCELLED);
    else
        respond(s, line);
}

static bool find_mechanism(const struct submission *s, slice name, enum verify_mechanism *out)
{
    for (size_t m = 0; m < COUNT_OF(mechanism_names); m++) {
        bool is_here = !is_local_only((enum verify_mechanism)m) || s->config->is_local_door;
        if (is_here && slice_ieq(name, mechanism_names[m])) {
            *out = (enum verify_mechanism)m;
            return true;
        }
    }
    return false;
}

void submission_auth(struct submission *s, slice argument)
{
    slice name;
    slice initial = argument;
    enum verify_mechanism m;
    bool is_known = slice_split(&initial, ' ', &name) && find_mechanism(s, name, &m);
    initial = slice_trim(initial);
    if (s->has_authenticated) {
        submission_say(s, PHRASE_AUTH_TWICE);
    } else if (!is_known) {
        slice use = s->config->is_local_door ? SLICE("EXTERNAL, PLAIN or LOGIN")
                                             : SLICE("PLAIN or LOGIN");
        submission_say_about(s, PHRASE_AUTH_MECHANISM, use, (slice){0});
    } else if (!submission_may_auth(s, m)) {
        bool is_possible = s->config->tls != SUBMISSION_TLS_NONE;
        submission_say(s, is_possible ? PHRASE_AUTH_NEEDS_TLS : PHRASE_AUTH_NOT_OFFERED);
    } else {
        s->mechanism = m;
        if (initial.len)
            respond(s, initial);
        else if (m == VERIFY_LOGIN)
            challenge(s, SLICE("334 VXNlcm5hbWU6\r\n")); /* "Username:" */
        else
            challenge(s, SLICE("334 \r\n"));
    }
}

/* A sign-in that failed for good counts; after too many the connection ends. */
static void count_failure(struct submission *s)
{
    s->auth_failures++;
    if (s->config->max_auth_failures && s->auth_failures >= s->config->max_auth_failures)
        submission_say(s, PHRASE_AUTH_TOO_MANY);
}

static void say_locked(struct submission *s, const struct account *account)
{
    struct arena a = ARENA_INIT;
    bool for_good = account->until == STAMP_NEVER;
    submission_say_about(s, for_good ? PHRASE_AUTH_LOCKED : PHRASE_AUTH_LOCKED_UNTIL,
                         submission_lock_reason(&a, account),
                         submission_lock_until(&a, account));
    arena_fini(&a);
    count_failure(s);
}

void submission_verified(struct submission *s, const struct account *account,
                         const struct reply *refusal)
{
    if (s->state != STATE_AWAITS_VERIFY)
        return;
    submission_auth_end(s);
    if (account && account->state == ACCOUNT_LOCKED) {
        say_locked(s, account);
    } else if (account) {
        submission_take_account(s, account);
        s->has_authenticated = true;
        s->has_told_lock = false;
        submission_say(s, PHRASE_SIGNED_IN);
    } else if (reply_refuses(refusal)) {
        submission_say_reply(s, refusal);
        if (refusal->code / 100 == 5)
            count_failure(s);
    } else {
        submission_say(s, PHRASE_AUTH_FAILED);
        count_failure(s);
    }
    submission_enter(s, submission_base(s));
}

slice submission_lock_reason(struct arena *a, const struct account *account)
{
    if (account->reason.len == 0)
        return (slice){0};
    return arena_printf(a, ": %.*s", SLICE_ARG(slice_to(account->reason, 400)));
}

/* "2026-11-22 01:02:03 UTC" */
slice submission_lock_until(struct arena *a, const struct account *account)
{
    enum { DAY_LEN = 10, TIME_LEN = 8 };
    char text[STAMP_TEXT_MAX];
    stamp_format(account->until, text);
    return arena_printf(a, "%.*s %.*s UTC", DAY_LEN, text, TIME_LEN, text + DAY_LEN + 1);
}
