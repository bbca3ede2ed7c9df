#include "smtpd/status.h"

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

static json_t *answer_json(const struct status_view *v, slice question)
{
    json_t *q = json_loadb(question.ptr ? question.ptr : "", question.len, 0, NULL);
    const char *name = json_string_value(json_object_get(q, "question"));
    json_t *answer;
    if (name && strcmp(name, "status") == 0)
        answer = status_json(v);
    else
        answer = json_pack("{s:s}", "error",
                           "unknown question; smtpd answers {\"question\":\"status\"}");
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
