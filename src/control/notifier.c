#include "control/notifier.h"

#include "base/env.h"
#include "base/log.h"
#include "base/utf8.h"
#include "codec/path.h"
#include "control/ledger_read.h"
#include "control/lock_story.h"
#include "control/names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const span LOOK_EVERY = SPAN_SECOND;
/* An event that is older when it becomes known is not told any more. */
static const span TELL_WITHIN = SPAN_DAY;
/* Behind the first attempt: the door knows a token for a day. */
static const span TRY_WITHIN = 23 * SPAN_HOUR;
static const span WAIT_FIRST = 10 * SPAN_SECOND;
static const span WAIT_LONGEST = 30 * SPAN_MINUTE;

struct notifier {
    struct notifier_config config;
    struct arena settings; /* copies of the configuration */
    slice operator_address;
    slice from;
    slice host;
    struct zone operator_zone;
    struct zone zone; /* of who reads the notice */
    enum wording_language language;
    struct timer timer;
    struct arena arena; /* of the notice that is being sent */
    struct ledger_notice notice;
    bool is_sending;
};

static const char *const states[NOTICE_STATES] = {
    [NOTICE_WAITS] = "waits to be sent",
    [NOTICE_SENT] = "sent",
    [NOTICE_REFUSED] = "not sent: refused",
    [NOTICE_GIVEN_UP] = "not sent: given up",
    [NOTICE_NOBODY] = "not sent: no contact is set",
    [NOTICE_KNOWN] = "not sent: another one went to the same address",
    [NOTICE_TOO_LATE] = "not sent: it was known too late",
};
static const char *const readers[NOTICE_READERS] = {
    [NOTICE_TO_ACCOUNT] = "account",
    [NOTICE_TO_CUSTOMER] = "customer",
    [NOTICE_TO_OPERATOR] = "operator",
};

const char *notifier_state(enum ledger_notice_state state)
{
    return (size_t)state < COUNT_OF(states) ? states[state] : "unknown";
}

const char *notifier_reader(enum notice_reader reader)
{
    return (size_t)reader < COUNT_OF(readers) && readers[reader] ? readers[reader] : "unknown";
}

/* ---- who is told, and what ---- */

/* Who reads it. */
struct addressee {
    slice address;
    slice language;
    slice time_zone;
    slice customer; /* the account's customer, for who looks after several accounts */
};

/* What account and customer say of themselves; empty when they are gone. */
static int find_people(struct notifier *n, struct addressee *account,
                       struct addressee *customer)
{
    struct store *s = n->config.store;
    const struct ledger_notice *what = &n->notice;
    struct store_account a = {0};
    struct store_customer c = {0};
    store_lock(s);
    int rc = what->account ? store_account_get(s, what->account, &n->arena, &a) : 0;
    if (rc == 0 || rc == -ENOENT)
        rc = store_customer_get(s, what->customer, &n->arena, &c);
    store_unlock(s);
    *account = (struct addressee){a.d.contact, a.d.language, a.d.time_zone, {0}};
    *customer = (struct addressee){c.d.contact, c.d.language, c.d.time_zone, c.d.name};
    if (account->language.len == 0)
        account->language = customer->language;
    if (account->time_zone.len == 0)
        account->time_zone = customer->time_zone;
    return rc == -ENOENT ? 0 : rc;
}

static int find_addressee(struct notifier *n, struct addressee *out)
{
    struct addressee account, customer;
    int rc = find_people(n, &account, &customer);
    if (rc < 0)
        return rc;
    *out = n->notice.reader == NOTICE_TO_ACCOUNT ? account : customer;
    if (n->notice.reader == NOTICE_TO_OPERATOR)
        out->address = n->operator_address;
    /* The first attempt may have been taken: it goes to the same one. */
    if (n->notice.address.len > 0)
        out->address = n->notice.address;
    return 0;
}

/* An address that can stand in a header, with an ASCII domain. False: it is none. */
static bool is_usable(struct arena *a, slice *address)
{
    struct path p;
    if (address->len == 0 || mailbox_parse(*address, &p) != PATH_OK)
        return false;
    *address = path_canonical(a, &p);
    return utf8_is_ascii(*address);
}

/* What only the lock's own row knows. */
static int add_lock(struct notifier *n, struct notice *out)
{
    struct ledger_reader *reader;
    struct ledger_lock lock;
    struct buf details = BUF_INIT;
    int rc = ledger_reader_open(&reader, ledger_path(n->config.ledger));
    if (rc < 0)
        return rc;
    rc = ledger_lock_get(reader, n->notice.event, &n->arena, &lock);
    ledger_reader_close(&reader);
    if (rc < 0)
        return rc;
    char *id = arena_alloc(&n->arena, ID_TEXT_LEN + 1);
    id_format(lock.id, id);
    out->id = slice_make(id, ID_TEXT_LEN);
    out->until = lock.until;
    out->is_in_time = lock.end_kind == LOCK_ENDED_IN_TIME;
    lock_story_write(&details, &lock, env_now(n->config.env));
    out->details = arena_dup(&n->arena, buf_slice(&details));
    buf_fini(&details);
    return 0;
}

static int describe(struct notifier *n, const struct addressee *to, struct notice *out)
{
    const struct ledger_notice *what = &n->notice;
    const char *error;
    slice word;
    bool is_operator = what->reader == NOTICE_TO_OPERATOR;
    n->zone = is_operator ? n->operator_zone : name_zone(to->time_zone);
    *out = (struct notice){
        .kind = what->kind,
        .reader = what->reader,
        .language = is_operator ? n->language : wording_language_of(to->language),
        .zone = &n->zone,
        .from = n->from,
        .to = to->address,
        .host = n->host,
        .is_customer = what->account == 0,
        .name = what->name,
        .customer = what->account ? to->customer : (slice){0},
        .at = what->at,
        .until = STAMP_NEVER,
        .used = what->used,
        .reason = what->reason,
    };
    out->has_rule = rule_parse(what->rule, &out->rule, &error, &word);
    out->max = what->max ? what->max : out->rule.max;
    bool is_lock = what->kind == NOTICE_LOCKED || what->kind == NOTICE_UNLOCKED;
    int rc = is_lock ? add_lock(n, out) : 0;
    return rc == -ENOENT ? 0 : rc; /* a lock that is too old to be kept */
}

/* ---- sending ---- */

static void look(void *ctx);

static span wait_of(uint32_t tries)
{
    span wait = WAIT_FIRST;
    while (tries-- > 1 && wait < WAIT_LONGEST)
        wait *= 2;
    return wait < WAIT_LONGEST ? wait : WAIT_LONGEST;
}

/* Writes down what came of it and goes on with the next one. */
static void settle(struct notifier *n, enum ledger_notice_state state, slice answer)
{
    struct ledger_notice *what = &n->notice;
    what->state = state;
    what->answer = answer;
    if (state == NOTICE_WAITS)
        what->next = env_now(n->config.env) + wait_of(what->tries + 1);
    int rc = ledger_notice_settle(n->config.ledger, what);
    if (rc < 0)
        log_error("notice-not-noted", LOG_ID("event", what->event), LOG_E("error", rc));
    if (state != NOTICE_WAITS)
        log_info(state == NOTICE_SENT ? "notice-sent" : "notice-not-sent",
                 LOG_ID("event", what->event), LOG_C("to", notifier_reader(what->reader)),
                 LOG_ID("id", what->id), LOG_C("state", notifier_state(state)),
                 LOG_S("answer", answer));
    arena_reset(&n->arena);
    timer_set(&n->timer, rc < 0 ? LOOK_EVERY : SPAN_MS);
}

static void on_answer(void *ctx, const struct door_answer *a)
{
    struct notifier *n = ctx;
    n->is_sending = false;
    switch (a->result) {
    case DOOR_QUEUED:
    case DOOR_REPEATED:
        n->notice.id = a->id;
        settle(n, NOTICE_SENT, (slice){0});
        return;
    case DOOR_REFUSED:
        settle(n, a->code >= 500 ? NOTICE_REFUSED : NOTICE_WAITS,
               arena_printf(&n->arena, "%u %s", a->code, a->text));
        return;
    default:
        settle(n, NOTICE_WAITS, SLICE("smtpd did not answer"));
        return;
    }
}

static int post(struct notifier *n, const struct notice *what)
{
    struct buf message = BUF_INIT;
    const slice to[] = {what->to};
    struct door_letter letter = {
        .sender = {0}, /* <>: nobody is told that a notice came back */
        .recipients = to,
        .recipient_count = 1,
        .token = arena_printf(&n->arena, "notice-%" PRIu64 "-%u-%u", n->notice.event,
                              (unsigned)what->kind, (unsigned)what->reader),
    };
    notice_compose(&message, what);
    letter.message = buf_slice(&message);
    int rc = message.error ? message.error : door_post(n->config.door, &letter, on_answer, n);
    n->is_sending = rc == 0;
    buf_fini(&message);
    return rc;
}

/* 0, or -errno: nothing was done, later. */
static int send_notice(struct notifier *n, stamp now)
{
    struct ledger_notice *what = &n->notice;
    struct addressee to;
    struct notice notice;
    if (what->tried == 0 && what->at < now - TELL_WITHIN) {
        settle(n, NOTICE_TOO_LATE, (slice){0});
        return 0;
    }
    if (what->tried != 0 && what->tried < now - TRY_WITHIN) {
        settle(n, NOTICE_GIVEN_UP, what->answer);
        return 0;
    }
    int rc = find_addressee(n, &to);
    if (rc < 0)
        return rc;
    if (!is_usable(&n->arena, &to.address)) {
        settle(n, NOTICE_NOBODY, (slice){0});
        return 0;
    }
    rc = describe(n, &to, &notice);
    if (rc < 0)
        return rc;
    int is_new = ledger_notice_try(n->config.ledger, what, to.address, now);
    if (is_new < 0)
        return is_new;
    if (is_new == 0) {
        settle(n, NOTICE_KNOWN, (slice){0});
        return 0;
    }
    return post(n, &notice);
}

static void look(void *ctx)
{
    struct notifier *n = ctx;
    stamp now = env_now(n->config.env);
    if (n->is_sending)
        return; /* the answer goes on */
    int rc = ledger_look_at_locks(n->config.ledger, now);
    if (rc == 0)
        rc = ledger_next_notice(n->config.ledger, now, &n->arena, &n->notice);
    if (rc == 1) {
        rc = send_notice(n, now);
        if (rc == 0)
            return; /* what was settled, or is being sent, goes on */
    }
    if (rc < 0 && rc != -EAGAIN)
        log_warning("notice-not-sent", LOG_E("error", rc));
    arena_reset(&n->arena);
    timer_set(&n->timer, LOOK_EVERY);
}

/* ---- life ---- */

void notifier_set_conf(struct notifier *n, const struct conf *conf)
{
    struct arena *a = &n->settings;
    static const slice tags[] = {SLICE_INIT("en"), SLICE_INIT("sv"), SLICE_INIT("nb"),
                                 SLICE_INIT("de")}; /* as in params.def */
    arena_reset(a);
    n->operator_address = arena_dup(a, conf->notices.operator_address);
    n->host = arena_dup(a, conf->server.hostname);
    n->operator_zone = name_zone(conf->notices.time_zone);
    n->from = conf->notices.from.len > 0
                  ? arena_dup(a, conf->notices.from)
                  : arena_printf(a, "postmaster@%.*s", SLICE_ARG(conf->server.hostname));
    n->language = wording_language_of(tags[conf->notices.language % COUNT_OF(tags)]);
}

struct notifier *notifier_new(const struct notifier_config *c)
{
    struct notifier *n = xcalloc(1, sizeof(*n));
    n->config = *c;
    n->config.conf = NULL;
    notifier_set_conf(n, c->conf);
    timer_init(&n->timer, c->loop, look, n);
    timer_set(&n->timer, LOOK_EVERY);
    return n;
}

void notifier_free(struct notifier **at)
{
    struct notifier *n = *at;
    if (!n)
        return;
    *at = NULL;
    timer_cancel(&n->timer);
    arena_fini(&n->arena);
    arena_fini(&n->settings);
    free(n);
}
