#include "control/lock_story.h"

#include "codec/words.h"
#include "control/story_parts.h"
#include "policy/rule.h"

bool lock_story_holds(const struct ledger_lock *k, stamp now)
{
    return k->ended == 0 && (k->until > now || k->kind == LOCK_BY_RULE);
}

bool lock_story_share(const struct ledger_lock *k, unsigned *percent)
{
    uint64_t known = k->delivered + k->failed;
    if (known == 0)
        return false;
    *percent = (unsigned)((k->failed * 100 + known / 2) / known);
    return true;
}

void lock_story_who(struct buf *out, slice by)
{
    if (slice_starts(by, SLICE("uid="))) {
        story_text(out, "the local user ");
        by = slice_from(by, 4);
    } else if (slice_starts(by, SLICE("token="))) {
        story_text(out, "the API token ");
        by = slice_from(by, 6);
    }
    if (by.len > 0)
        story_put(out, by);
    else
        story_text(out, "an operator");
}

/* ---- the head ---- */

static void put_label(struct buf *out, const char *name)
{
    buf_printf(out, "  %-9s ", name);
}

static void put_rule(struct buf *out, const struct ledger_lock *k)
{
    static const char *const units[RULE_UNIT_COUNT] = {
        [RULE_MESSAGES] = "messages",
        [RULE_RECIPIENTS] = "recipients",
        [RULE_BYTES] = "octets",
        [RULE_NEW_RECIPIENTS] = "new recipients",
        [RULE_REFUSALS] = "refused attempts",
        [RULE_BOUNCES] = "bounces",
        [RULE_COMPLAINTS] = "complaints",
    };
    struct rule r;
    const char *error;
    slice word;
    put_label(out, "Rule");
    story_put(out, k->rule);
    buf_byte(out, '\n');
    if (k->used == 0 || !rule_parse(k->rule, &r, &error, &word))
        return;
    put_label(out, "");
    buf_printf(out, "%llu %s, and %llu are allowed", (unsigned long long)k->used, units[r.unit],
               (unsigned long long)r.max);
    if (r.window > 0) {
        story_text(out, " in ");
        story_span(out, r.window);
    }
    buf_byte(out, '\n');
}

static void put_end(struct buf *out, const struct ledger_lock *k, stamp now)
{
    put_label(out, "Ended");
    if (lock_story_holds(k, now)) {
        story_text(out, "no, it holds\n");
        return;
    }
    story_time(out, k->ended ? k->ended : k->until);
    switch (k->ended ? k->end_kind : LOCK_ENDED_IN_TIME) {
    case LOCK_LIFTED:
        story_text(out, ", lifted by ");
        lock_story_who(out, k->ended_by);
        break;
    case LOCK_OWNER_GONE:
        story_text(out, ", removed by ");
        lock_story_who(out, k->ended_by);
        break;
    default:
        story_text(out, ", as its time was over");
        break;
    }
    buf_byte(out, '\n');
}

static void put_head(struct buf *out, const struct ledger_lock *k, stamp now)
{
    char id[ID_TEXT_LEN + 1];
    id_format(k->id, id);
    buf_printf(out, "Lock %s of %s ", id, k->account ? "the account" : "all of the customer");
    story_put(out, k->name);
    story_text(out, "\n\n");
    put_label(out, "Since");
    story_time(out, k->since);
    story_text(out, " UTC, ");
    if (k->until == STAMP_NEVER) {
        story_text(out, "for good\n");
    } else {
        story_text(out, "until ");
        story_time(out, k->until);
        buf_byte(out, '\n');
    }
    put_end(out, k, now);
    put_label(out, "Locked by");
    if (k->kind == LOCK_BY_RULE)
        story_text(out, "a rule");
    else
        lock_story_who(out, k->made_by);
    buf_byte(out, '\n');
    if (k->rule.len > 0)
        put_rule(out, k);
    if (k->reason.len > 0) {
        put_label(out, k->kind == LOCK_BY_RULE ? "Told" : "Reason");
        story_put(out, k->reason);
        buf_byte(out, '\n');
    }
}

/* ---- evidence ---- */

static const struct {
    const char *title;
    const char *unit[2];
} sections[EVIDENCE_KINDS] = {
    [EVIDENCE_ACCOUNT] = {"Accounts", {"message", "messages"}},
    [EVIDENCE_CLIENT] = {"Came from", {"message", "messages"}},
    [EVIDENCE_HELO] = {"Called itself", {"message", "messages"}},
    [EVIDENCE_CREDENTIAL] = {"Signed in with credential", {"message", "messages"}},
    [EVIDENCE_SCRIPT] = {"Script", {"message", "messages"}},
    [EVIDENCE_SENDER] = {"Sent as", {"message", "messages"}},
    [EVIDENCE_SUBJECT] = {"Subject", {"message", "messages"}},
    [EVIDENCE_DOMAIN] = {"To domain", {"recipient", "recipients"}},
    [EVIDENCE_REFUSAL] = {"Refused by the limit", {"attempt", "attempts"}},
    [EVIDENCE_RECIPIENT] = {"To, for example", {"mail", "mails"}},
};
static const enum ledger_evidence_kind order[] = {
    EVIDENCE_ACCOUNT, EVIDENCE_CLIENT,  EVIDENCE_HELO,   EVIDENCE_CREDENTIAL, EVIDENCE_SCRIPT,
    EVIDENCE_SENDER,  EVIDENCE_SUBJECT, EVIDENCE_DOMAIN, EVIDENCE_RECIPIENT,  EVIDENCE_REFUSAL,
};

static void put_one(struct buf *out, const struct ledger_evidence *e)
{
    struct arena a = ARENA_INIT;
    story_text(out, "    ");
    if (slice_starts(e->value, SLICE("uid=")) && e->kind == EVIDENCE_CLIENT) {
        story_text(out, "a program on this machine, user ");
        story_put(out, slice_from(e->value, 4));
    } else {
        story_put(out, e->kind == EVIDENCE_SUBJECT ? words_decode(&a, e->value) : e->value);
    }
    story_text(out, ": ");
    story_count(out, e->count, sections[e->kind].unit[0], sections[e->kind].unit[1]);
    story_text(out, ", ");
    story_time(out, e->first);
    if (e->last != e->first) {
        story_text(out, " to ");
        story_time(out, e->last);
    }
    buf_byte(out, '\n');
    arena_fini(&a);
}

static void put_section(struct buf *out, const struct ledger_lock *k,
                        enum ledger_evidence_kind kind)
{
    bool has_title = false;
    for (size_t i = 0; i < k->evidence_count; i++) {
        if (k->evidence[i].kind != kind)
            continue;
        if (!has_title)
            buf_printf(out, "\n  %s\n", sections[kind].title);
        has_title = true;
        put_one(out, &k->evidence[i]);
    }
}

static void put_totals(struct buf *out, const struct ledger_lock *k)
{
    unsigned percent;
    story_text(out, "\nWhat was sent before, since ");
    story_time(out, k->looked_from);
    story_text(out, "\n  ");
    if (k->messages >= LEDGER_EVIDENCE_MESSAGES)
        story_text(out, "The newest ");
    story_count(out, k->messages, "message", "messages");
    story_text(out, " to ");
    story_count(out, k->recipients, "recipient", "recipients");
    if (lock_story_share(k, &percent))
        buf_printf(out,
                   "; when it was locked, %llu were delivered and %llu had failed: %u %% of"
                   " those whose end was known",
                   (unsigned long long)k->delivered, (unsigned long long)k->failed, percent);
    else if (k->recipients > 0)
        story_text(out, "; when it was locked, nothing was known yet of what became of them");
    story_text(out, ".\n");
}

static void put_evidence(struct buf *out, const struct ledger_lock *k)
{
    if (k->gathered == 0) {
        story_text(out, "\nThe evidence is being gathered.\n");
        return;
    }
    put_totals(out, k);
    for (size_t i = 0; i < COUNT_OF(order); i++)
        put_section(out, k, order[i]);
    if (k->messages > 0 && k->evidence_count == 0)
        story_text(out, "  The details are older than [retention] evidence, and gone.\n");
}

static void put_advice(struct buf *out, const struct ledger_lock *k, stamp now)
{
    if (!lock_story_holds(k, now))
        return;
    story_text(out,
               "\nWhat to do\n"
               "  Ask whether this is the owner's own mail. If it is not, somebody has the"
               " password or a way into\n"
               "  the web site: revoke the credentials named above, have it mended, and only"
               " then unlock.\n"
               "  To unlock: utpost ");
    story_text(out, k->account ? "account" : "customer");
    story_text(out, " unlock \"");
    story_put(out, k->name);
    story_text(out, "\"\n"
                    "  with --release to send the mail that it has frozen, or --purge to remove"
                    " it");
    story_text(out, k->account ? "; --revoke-credentials\n  takes all its passwords and tokens"
                                 " away.\n"
                               : ".\n");
}

void lock_story_write(struct buf *out, const struct ledger_lock *k, stamp now)
{
    put_head(out, k, now);
    put_evidence(out, k);
    put_advice(out, k, now);
}
