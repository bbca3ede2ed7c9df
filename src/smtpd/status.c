#include "smtpd/status.h"

#include "smtpd/limiting_tally.h"

#include <jansson.h>
#include <stdlib.h>

static json_int_t number(uint64_t n)
{
    return (json_int_t)n;
}

static json_t *journal_json(const struct status_view *v)
{
    struct journal_numbers n = {0};
    journal_writer_numbers(v->service->journal, &n);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "records", number(n.records), "batches",
                     number(n.batches), "syncs", number(n.syncs), "bytes", number(n.bytes),
                     "failures", number(n.failures), "disk_bytes", number(n.disk_bytes));
}

static json_t *status_json(const struct status_view *v)
{
    const struct stats_page *s = v->service->stats;
    char started[STAMP_TEXT_MAX];
    stamp_format(v->started, started);
    return json_pack(
        "{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I}, s:o}",
        "role", "smtpd", "started", started, "draining", (int)v->is_draining, "threads",
        number(v->threads), "sessions_open", number(limits_sessions(v->service->limits)),
        "sessions", number(s->sessions), "messages", number(s->messages), "recipients",
        number(s->recipients), "refused", number(s->refused), "sign_ins", number(s->sign_ins),
        "sign_in_failures", number(s->sign_in_failures), "memory",
        number(limits_memory(v->service->limits)), "directory", "version",
        number(directory_version(v->service->directory)), "position",
        number(follow_position(v->follow)), "journal", journal_json(v));
}

/* NULL: there is none. */
static json_t *moment(stamp at)
{
    char text[STAMP_TEXT_MAX];
    if (at == STAMP_NEVER)
        return json_null();
    stamp_format(at, text);
    return json_string(text);
}

/* Of a plan; begin: null before the first, end: null when none follows. */
static json_t *period_json(const struct limit *limit)
{
    return json_pack("{s:b, s:o, s:o, s:I}", "is_open", !limit->is_closed, "begin",
                     limit->is_closed ? json_null() : moment(limit->period_start), "end",
                     moment(limit->period_end), "credit", number(limit->credit));
}

static json_t *rule_json(const struct limiting_answer *a, size_t i)
{
    static const char *const scopes[RULE_SCOPE_COUNT] = {
        [RULE_MESSAGE] = "message",
        [RULE_CREDENTIAL] = "credential",
        [RULE_ACCOUNT] = "account",
        [RULE_CUSTOMER] = "customer",
        [RULE_SENDER_DOMAIN] = "sender-domain",
        [RULE_HOST] = "host",
    };
    const struct limit *limit = &a->limits[i];
    const struct limit_verdict *v = &a->verdicts[i];
    bool is_free = limit->rule.scope == RULE_MESSAGE || v->free_at <= a->now;
    char room[RULE_TEXT_MAX];
    struct buf rule = {.ptr = room, .cap = sizeof(room) - 1, .max = sizeof(room) - 1};
    rule_format(&limit->rule, &rule);
    room[rule.len] = '\0';
    json_t *line =
        json_pack("{s:s, s:s, s:I, s:I, s:o}", "rule", room, "scope", scopes[limit->rule.scope],
                  "used", number(v->used), "max",
                  number(limit->rule.scope == RULE_MESSAGE ? limit->rule.max : v->max),
                  "free_at", is_free ? json_null() : moment(v->free_at));
    if (line && v->paced_until != 0)
        json_object_set_new(line, "paced_until", moment(v->paced_until));
    if (line && limit->rule.window == RULE_PERIOD)
        json_object_set_new(line, "period", period_json(limit));
    return line;
}

/* free_at is null where there is room now, and where nothing lapses before a period's end. */
static json_t *quota_json(const struct status_view *v, json_int_t account)
{
    struct arena arena = ARENA_INIT;
    struct limiting_answer a;
    json_t *answer = NULL;
    if (limiting_ask(v->service->limiting, (uint64_t)account, &arena, &a)) {
        bool is_locked = a.account.state == ACCOUNT_LOCKED;
        json_t *rules = json_array();
        for (size_t i = 0; i < a.count; i++)
            json_array_append_new(rules, rule_json(&a, i));
        answer =
            json_pack("{s:o, s:b, s:o, s:o}", "rules", rules, "locked", (int)is_locked, "until",
                      is_locked ? moment(a.account.until) : json_null(), "reason",
                      is_locked ? json_stringn(a.account.reason.ptr ? a.account.reason.ptr : "",
                                               a.account.reason.len)
                                : json_null());
    } else {
        answer = json_pack("{s:s}", "error", "no such account");
    }
    arena_fini(&arena);
    return answer;
}

static json_t *tally_line(const char *rule, const uint64_t of[TALLY_KINDS])
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I}", "rule", rule, "used", number(of[TALLY_USED]),
                     "refused", number(of[TALLY_REFUSED]), "locked", number(of[TALLY_LOCKED]),
                     "paced", number(of[TALLY_PACED]));
}

/* What each rule has done since the start. */
static json_t *limits_json(const struct status_view *v)
{
    static const uint64_t none[TALLY_KINDS];
    struct tally *t = limiting_tally(v->service->limiting);
    json_t *rules = json_array();
    for (size_t i = 0; i < TALLY_RULES; i++) {
        char room[RULE_TEXT_MAX];
        struct buf rule = {.ptr = room, .cap = sizeof(room) - 1, .max = sizeof(room) - 1};
        if (!t->lines[i].is_taken)
            continue;
        rule_format(&t->lines[i].rule, &rule);
        room[rule.len] = '\0';
        json_array_append_new(rules, tally_line(room, t->lines[i].of));
    }
    if (memcmp(t->others, none, sizeof(none)) != 0)
        json_array_append_new(rules, tally_line("others", t->others));
    free(t);
    return json_pack("{s:o}", "rules", rules);
}

static json_t *answer_json(const struct status_view *v, slice question)
{
    json_t *q = json_loadb(question.ptr ? question.ptr : "", question.len, 0, NULL);
    const char *name = json_string_value(json_object_get(q, "question"));
    json_t *answer;
    if (name && strcmp(name, "status") == 0)
        answer = status_json(v);
    else if (name && strcmp(name, "quota") == 0)
        answer = quota_json(v, json_integer_value(json_object_get(q, "account")));
    else if (name && strcmp(name, "limits") == 0)
        answer = limits_json(v);
    else
        answer = json_pack("{s:s}", "error",
                           "unknown question; smtpd answers {\"question\":\"status\"}, "
                           "{\"question\":\"limits\"} and "
                           "{\"question\":\"quota\",\"account\":ID}");
    json_decref(q);
    return answer;
}

void status_answer(const struct status_view *v, slice question, struct buf *out)
{
    json_t *answer = answer_json(v, question);
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    json_decref(answer);
    if (text)
        buf_append(out, slice_of(text));
    else
        buf_append(out, SLICE("{\"error\":\"out of memory\"}"));
    free(text);
}
