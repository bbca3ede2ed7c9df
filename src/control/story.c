#include "control/story.h"

#include "control/story_parts.h"

#include <stdio.h>

enum { TRIES_SHOWN = 8 };

static void put_size(struct buf *out, uint64_t octets)
{
    if (octets < 10 * 1024)
        story_count(out, octets, "octet", "octets");
    else if (octets < 10 * 1024 * 1024)
        buf_printf(out, "%llu KiB", (unsigned long long)(octets / 1024));
    else
        buf_printf(out, "%llu MiB", (unsigned long long)(octets / 1024 / 1024));
}

/* ---- the head ---- */

static void put_pair(struct buf *out, const char *name, slice value, const char *otherwise)
{
    buf_printf(out, "  %-11s ", name);
    if (value.len > 0)
        story_put(out, value);
    else
        story_text(out, otherwise);
    buf_byte(out, '\n');
}

static void put_client(struct buf *out, const struct ledger_message *m)
{
    buf_printf(out, "  %-11s ", "Came from");
    if (id_writer(m->id) == ID_DELIVERY) {
        buf_append(out,
                   SLICE("this server: a notification to the sender of another message\n"));
        return;
    }
    if (slice_starts(m->client, SLICE("uid="))) {
        story_text(out, "a program on this machine, user ");
        story_put(out, slice_from(m->client, 4));
    } else if (m->client.len > 0) {
        story_put(out, m->client);
    } else {
        story_text(out, "not known");
    }
    if (m->helo.len > 0) {
        story_text(out, ", which called itself ");
        story_put(out, m->helo);
    }
    if (m->tls.len > 0) {
        story_text(out, ", encrypted (");
        story_put(out, m->tls);
        buf_byte(out, ')');
    } else if (!slice_starts(m->client, SLICE("uid="))) {
        story_text(out, ", not encrypted");
    }
    buf_byte(out, '\n');
}

static void put_states(struct buf *out, const struct ledger_message *m)
{
    static const struct {
        uint32_t state;
        const char *name;
    } states[] = {
        {OUTCOME_DELIVERED, "delivered"}, {LEDGER_QUEUED, "waiting"},
        {OUTCOME_FAILED, "failed"},       {OUTCOME_EXPIRED, "given up"},
        {OUTCOME_REMOVED, "removed"},     {OUTCOME_SUPPRESSED, "not sent"},
    };
    bool has_one = false;
    buf_printf(out, "  %-11s %llu", "Recipients", (unsigned long long)m->recipient_count);
    for (size_t s = 0; s < COUNT_OF(states); s++) {
        size_t count = 0;
        for (size_t i = 0; i < m->count; i++)
            count += m->recipients[i].state == states[s].state;
        if (count == 0)
            continue;
        buf_printf(out, "%s%zu %s", has_one ? ", " : ": ", count, states[s].name);
        has_one = true;
    }
    if (m->count < m->recipient_count)
        buf_printf(out, " (%zu shown)", m->count);
    buf_byte(out, '\n');
}

static void put_head(struct buf *out, const struct ledger_message *m)
{
    char id[ID_TEXT_LEN + 1];
    id_format(m->id, id);
    buf_printf(out, "Message %s\n  %-11s ", id, "Accepted");
    story_time(out, m->at);
    story_text(out, " UTC, and on disk since then\n");
    put_pair(out, "Signed in", m->login, "nobody");
    put_client(out, m);
    put_pair(out, "Sender", m->reverse_path, "none (a report, or erased)");
    put_pair(out, "Message-ID", m->message_id, "none");
    buf_printf(out, "  %-11s ", "Size");
    put_size(out, m->octets);
    buf_byte(out, '\n');
    put_states(out, m);
}

/* ---- one recipient ---- */

static void put_remote(struct buf *out, const struct ledger_attempt *a)
{
    if (a->stage == STAGE_LOCAL && a->outcome == OUTCOME_DELIVERED) {
        story_text(out, "put into the Maildir ");
        story_put(out, a->remote);
        story_text(out, " of this machine (capture: nothing is sent)");
        return;
    }
    story_text(out, a->outcome == OUTCOME_DELIVERED ? "taken by " : "tried ");
    if (a->remote.len > 0)
        story_put(out, a->remote);
    else
        story_text(out, "no server");
    if (a->tls.len > 0) {
        story_text(out, ", encrypted (");
        story_put(out, a->tls);
        buf_byte(out, ')');
    }
}

static void put_reply(struct buf *out, const struct ledger_attempt *a)
{
    char code[8];
    snprintf(code, sizeof(code), "%u", a->code % 1000);
    if (a->reply.len == 0 && a->code == 0)
        return;
    story_text(out, a->code ? "\n      it said: " : "\n      ");
    if (a->code && !slice_starts(a->reply, slice_of(code))) {
        story_text(out, code);
        buf_byte(out, ' ');
    }
    story_put(out, a->reply);
}

/* "removed by uid=0 …" (delivery's words), for people. */
static void put_removal(struct buf *out, slice text)
{
    static const struct {
        const char *from;
        const char *to;
    } names[] = {
        {"removed by uid=0", "removed by root"},
        {"removed by uid=", "removed by user "},
        {"removed by token=", "removed with the API token "},
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        slice from = slice_of(names[i].from);
        if (!slice_starts(text, from))
            continue;
        bool is_whole = text.len == from.len || text.ptr[from.len] == ' ';
        if (i == 0 && !is_whole)
            continue;
        buf_append(out, slice_of(names[i].to));
        text = slice_from(text, from.len);
        break;
    }
    story_put(out, text);
}

static void put_try(struct buf *out, const struct ledger_attempt *a)
{
    story_text(out, "    ");
    story_time(out, a->at);
    story_text(out, "  ");
    if (a->outcome == OUTCOME_REMOVED) {
        put_removal(out, a->reply);
    } else {
        put_remote(out, a);
        put_reply(out, a);
    }
    buf_byte(out, '\n');
}

static void put_report(struct buf *out, const struct ledger_report *p)
{
    static const char *const phrases[] = {
        [REPORT_FAILED] = "the sender was told that it failed",
        [REPORT_DELAYED] = "the sender was told that it is late",
        [REPORT_DELIVERED] = "the sender was told that it was delivered, as asked",
        [REPORT_RELAYED] = "the sender was told that it was passed on, as asked",
        [REPORT_UNWANTED] = "nobody was told that it failed: the sender did not want to know",
        [REPORT_IMPOSSIBLE] = "nobody was told that it failed: the message has no sender",
    };
    char id[ID_TEXT_LEN + 1];
    if ((size_t)p->report >= COUNT_OF(phrases) || !phrases[p->report])
        return;
    buf_append(out, SLICE("    "));
    story_time(out, p->at);
    buf_append(out, SLICE("  "));
    buf_append(out, slice_of(phrases[p->report]));
    if (p->notification != 0) {
        id_format(p->notification, id);
        buf_printf(out, " (message %s)", id);
    }
    buf_byte(out, '\n');
}

/* What was tried and told, in its order. */
static void put_tries(struct buf *out, const struct ledger_recipient *r)
{
    size_t from = r->try_count > TRIES_SHOWN ? r->try_count - TRIES_SHOWN : 0;
    size_t told = 0;
    if (from > 0)
        buf_printf(out, "    %zu earlier attempts\n", from);
    for (size_t i = from; i < r->try_count; i++) {
        while (told < r->report_count && r->reports[told].at < r->tries[i].at)
            put_report(out, &r->reports[told++]);
        put_try(out, &r->tries[i]);
    }
    while (told < r->report_count)
        put_report(out, &r->reports[told++]);
}

static const char *waiting_phrase(const struct ledger_recipient *r)
{
    switch (r->live) {
    case LIVE_SENDING:
        return "being sent";
    case LIVE_PACED:
        return "waiting for its time";
    case LIVE_HELD:
    case LIVE_HELD_DOMAIN:
    case LIVE_HELD_LOCK:
        return "held in the queue";
    case LIVE_STOPPED_HOLD:
    case LIVE_STOPPED_LOCK:
    case LIVE_STOPPED_OPERATOR:
        return "frozen in the queue";
    case LIVE_UNKNOWN:
        break;
    }
    return r->attempts ? "waiting to be tried again" : "waiting for its first attempt";
}

static const char *state_phrase(const struct ledger_recipient *r)
{
    switch (r->state) {
    case LEDGER_QUEUED:
        return waiting_phrase(r);
    case OUTCOME_DELIVERED:
        return "delivered";
    case OUTCOME_FAILED:
        return "failed for good";
    case OUTCOME_EXPIRED:
        return "given up";
    case OUTCOME_REMOVED:
        return "removed from the queue by an operator";
    case OUTCOME_SUPPRESSED:
        return "not sent: the address is on a list of those not to be written to";
    default:
        return "in a state that this version does not know";
    }
}

static void put_line(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "    %s: %s\n", name, text);
}

static void put_next(struct buf *out, const struct ledger_recipient *r, stamp now)
{
    story_text(out, "    Next: it is tried ");
    story_text(out, r->attempts ? "again " : "");
    if (r->next <= now) {
        story_text(out, "as soon as its turn comes.\n");
        return;
    }
    story_text(out, "at ");
    story_time(out, r->next);
    story_text(out, " UTC (in ");
    story_span(out, r->next - now);
    story_text(out, ").\n");
}

/* What somebody, or a rule, makes it wait for: why, what comes next, what to do. The commands
 * end in the id, the domain, or the login; of a customer nobody here knows the name. */
static const struct stop {
    const char *why;
    const char *next; /* NULL: a moment */
    const char *to_do;
    enum { OF_NOTHING, OF_ID, OF_DOMAIN, OF_LOGIN } of;
} stops[] = {
    [LIVE_SENDING] = {NULL, "it is being sent at this moment.",
                      "Nothing; look again in a minute.", OF_NOTHING},
    [LIVE_PACED] = {"A rule spreads this account's mail over time.", NULL,
                    "Nothing. What the rule allows: utpost quota ", OF_LOGIN},
    [LIVE_HELD] = {"An operator holds this message.", "nothing, until it is released.",
                   "Release it: utpost queue release ", OF_ID},
    [LIVE_HELD_DOMAIN] = {"An operator holds all mail for this domain.",
                          "nothing, until the domain is released.",
                          "Release it: utpost queue release --domain ", OF_DOMAIN},
    [LIVE_HELD_LOCK] =
        {"It was queued when its account was locked. The lock was lifted, but its"
         " queue was not released.",
         "nothing, until somebody decides.",
         "If it is not wanted: utpost queue remove; if it is: utpost queue release; each with"
         " --account ",
         OF_LOGIN},
    [LIVE_STOPPED_HOLD] = {"An operator holds all mail of this account.",
                           "nothing, until it is released.",
                           "Release it: utpost queue release --account ", OF_LOGIN},
    [LIVE_STOPPED_LOCK] = {"The account is locked: it sent more than a rule allows.", NULL,
                           "Find out why: utpost lock list. Then lift it, with --release or "
                           "--purge for its queue:"
                           " utpost account unlock ",
                           OF_LOGIN},
    [LIVE_STOPPED_OPERATOR] =
        {"An operator has locked the account.", NULL,
         "Who did it tells utpost lock list. To lift it, with --release or --purge for its"
         " queue: utpost account unlock ",
         OF_LOGIN},
};

/* The same of a customer, with all its accounts. */
static const struct stop customer_stops[] = {
    [LIVE_STOPPED_HOLD] = {"An operator holds all mail of its customer.",
                           "nothing, until it is released.",
                           "Release it: utpost queue release --customer NAME", OF_NOTHING},
    [LIVE_STOPPED_LOCK] = {"Its customer is locked: it sent more than a rule allows.", NULL,
                           "Find out why: utpost lock list. Then lift it, with --release or "
                           "--purge for its queue:"
                           " utpost customer unlock NAME",
                           OF_NOTHING},
    [LIVE_STOPPED_OPERATOR] =
        {"An operator has locked its customer.", NULL,
         "Who did it tells utpost lock list. To lift it, with --release or --purge for its"
         " queue: utpost customer unlock NAME",
         OF_NOTHING},
};

static void put_until(struct buf *out, const struct ledger_recipient *r, stamp now)
{
    bool is_paced = r->live == LIVE_PACED;
    stamp until = is_paced ? r->next : r->until;
    if (until == 0) {
        story_text(out, "    Next: nothing, until the lock is lifted.\n");
        return;
    }
    story_text(out, is_paced ? "    Next: it is released at "
                             : "    Next: nothing; the lock ends at ");
    story_time(out, until);
    story_text(out, " UTC (in ");
    story_span(out, until > now ? until - now : 0);
    story_text(out, is_paced ? ").\n" : "), and it is sent then.\n");
}

static void put_stop(struct buf *out, const struct ledger_message *m,
                     const struct ledger_recipient *r, stamp now)
{
    const struct stop *s = r->of_customer ? &customer_stops[r->live] : &stops[r->live];
    char id[ID_TEXT_LEN + 1];
    if (s->why)
        put_line(out, "Waits because", s->why);
    if (s->next)
        put_line(out, "Next", s->next);
    else
        put_until(out, r, now);
    ptrdiff_t at = slice_rfind(r->address, '@');
    id_format(m->id, id);
    buf_printf(out, "    To do: %s", s->to_do);
    if (s->of == OF_ID)
        story_text(out, id);
    else if (s->of == OF_DOMAIN)
        story_put(out, slice_from(r->address, (size_t)(at + 1)));
    else if (s->of == OF_LOGIN)
        story_put(out, m->login);
    buf_byte(out, '\n');
}

static void put_waiting(struct buf *out, const struct ledger_recipient *r, stamp now)
{
    const struct ledger_attempt *last = r->try_count ? &r->tries[r->try_count - 1] : NULL;
    if (r->trouble.len > 0 && !last) {
        story_text(out, "    Waits because: ");
        story_put(out, r->trouble);
        buf_byte(out, '\n');
    }
    if (last)
        put_line(out, "Means", story_meaning(last));
    put_next(out, r, now);
    put_line(out, "To do",
             last                 ? story_advice(last)
             : r->trouble.len > 0 ? "Nothing, unless it lasts; see: utpost status"
                                  : "Nothing; see utpost queue list if it lasts.");
}

static void put_end(struct buf *out, const struct ledger_recipient *r)
{
    const struct ledger_attempt *last = r->try_count ? &r->tries[r->try_count - 1] : NULL;
    bool is_captured = last && last->stage == STAGE_LOCAL;
    if (r->state == OUTCOME_DELIVERED) {
        put_line(out, "Next",
                 is_captured ? "nothing; it stays there."
                             : "nothing here: the other server has it now.");
        put_line(out, "To do",
                 is_captured ? "Set transport in [delivery] to send mail for real."
                             : "If the mail does not show, look into the junk folder, then ask"
                               " that server's operator, with its words above.");
        return;
    }
    if (last && (r->state == OUTCOME_FAILED || r->state == OUTCOME_EXPIRED))
        put_line(out, "Means", story_meaning(last));
    put_line(out, "Next",
             r->state == OUTCOME_EXPIRED
                 ? "nothing: it was tried for too long, and is not tried any more."
                 : "nothing: it is not tried any more.");
    if (last && (r->state == OUTCOME_FAILED || r->state == OUTCOME_EXPIRED))
        put_line(out, "To do", story_advice(last));
    else
        put_line(out, "To do", "Send it again if it is still wanted.");
}

static void put_recipient(struct buf *out, const struct ledger_message *m,
                          const struct ledger_recipient *r, stamp now)
{
    if (r->state != LEDGER_QUEUED)
        put_end(out, r);
    else if (r->live != LIVE_UNKNOWN)
        put_stop(out, m, r, now);
    else
        put_waiting(out, r, now);
}

static void put_name(struct buf *out, const struct ledger_recipient *r)
{
    story_text(out, "\n  ");
    story_put(out, r->address);
    buf_printf(out, ": %s\n", state_phrase(r));
}

void story_write(struct buf *out, const struct ledger_message *m, stamp now)
{
    put_head(out, m);
    for (size_t i = 0; i < m->count; i++) {
        put_name(out, &m->recipients[i]);
        put_tries(out, &m->recipients[i]);
        put_recipient(out, m, &m->recipients[i], now);
    }
}

/* ---- why ---- */

void story_why(struct buf *out, const struct ledger_message *m, stamp now)
{
    char id[ID_TEXT_LEN + 1];
    size_t delivered = 0;
    id_format(m->id, id);
    buf_printf(out, "Message %s of ", id);
    story_put(out, m->reverse_path.len > 0 ? m->reverse_path : SLICE("this service"));
    story_text(out, ", accepted ");
    story_time(out, m->at);
    story_text(out, " UTC\n");
    for (size_t i = 0; i < m->count; i++) {
        const struct ledger_recipient *r = &m->recipients[i];
        if (r->state == OUTCOME_DELIVERED && m->count > 1) {
            delivered++;
            continue;
        }
        put_name(out, r);
        if (r->try_count > 0)
            put_try(out, &r->tries[r->try_count - 1]);
        put_recipient(out, m, r, now);
    }
    if (delivered == 0)
        return;
    story_text(out, "\n  ");
    story_count(out, delivered, "recipient has", "recipients have");
    story_text(out, " it already.\n");
}
