/* /metrics: numbers for Prometheus (text format 0.0.4). */
#include "control/api_request.h"

#include <stdio.h>

static uint64_t load(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP utpost_%s %s\n# TYPE utpost_%s %s\n", name, help, name, type);
}

static void plain(struct buf *out, const char *name, const char *type, const char *help,
                  uint64_t value)
{
    head(out, name, type, help);
    buf_printf(out, "utpost_%s %llu\n", name, (unsigned long long)value);
}

static void put_mail(struct buf *out, const struct stats_page *s)
{
    const struct {
        const char *name;
        const char *type;
        const char *help;
        const _Atomic uint64_t *value;
    } rows[] = {
        {"sessions_open", "gauge", "Connections of clients now.", &s->sessions_open},
        {"sessions_total", "counter", "Connections of clients.", &s->sessions},
        {"sign_ins_total", "counter", "Sign-ins that succeeded.", &s->sign_ins},
        {"sign_in_failures_total", "counter", "Sign-ins that failed.", &s->sign_in_failures},
        {"messages_accepted_total", "counter", "Messages that were accepted.", &s->messages},
        {"recipients_accepted_total", "counter", "Recipients of those.", &s->recipients},
        {"refused_total", "counter", "Commands and messages that were refused.", &s->refused},
        {"queue_recipients", "gauge", "Recipients in the queue.", &s->queued},
        {"queue_failed_unreported", "gauge", "Failed recipients not reported yet.",
         &s->failed_unreported},
        {"delivered_total", "counter", "Recipients delivered.", &s->delivered},
        {"retried_total", "counter", "Attempts that are made again later.", &s->retried},
        {"failed_total", "counter", "Recipients that failed for good.", &s->failed},
        {"notifications_total", "counter", "Notifications written to senders.",
         &s->notifications},
        {"unreportable_total", "counter", "Failed recipients without a sender to tell.",
         &s->unreportable},
        {"connections_out", "gauge", "Connections to other mail servers now.",
         &s->connections_out},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        plain(out, rows[i].name, rows[i].type, rows[i].help, load(rows[i].value));
}

static void by_role(struct buf *out, const char *name, const char *label, const char *type,
                    const char *help, const _Atomic uint64_t value[ROLE_COUNT])
{
    head(out, name, type, help);
    for (int k = 0; k < ROLE_COUNT; k++)
        buf_printf(out, "utpost_%s{%s=\"%s\"} %llu\n", name, label,
                   role_name((enum role_kind)k), (unsigned long long)load(&value[k]));
}

static void put_roles(struct buf *out, const struct shared_pages *p)
{
    const struct stats_page *s = &p->stats;
    by_role(out, "role_starts_total", "role", "counter", "Times a role was started.",
            s->started);
    by_role(out, "journal_records_total", "journal", "counter", "Records written.",
            s->journal_records);
    by_role(out, "journal_syncs_total", "journal", "counter", "Batches synced to disk.",
            s->journal_syncs);
    by_role(out, "journal_failures_total", "journal", "counter",
            "Writes and syncs of a journal that failed.", s->journal_failures);
    by_role(out, "journal_disk_octets", "journal", "gauge", "Disk use of a journal's segments.",
            s->journal_bytes);
    by_role(out, "journal_level", "journal", "gauge",
            "0: fine, 1: beyond alarm-size, 2: beyond max-size, new mail is refused.",
            s->journal_level);
    head(out, "journal_position_octets", "counter", "Octets that a journal has on disk.");
    for (int k = 0; k < ROLE_COUNT; k++)
        buf_printf(out, "utpost_journal_position_octets{journal=\"%s\"} %llu\n",
                   role_name((enum role_kind)k),
                   (unsigned long long)load(&p->watermark[k].durable));
}

static void put_ledger(struct buf *out, const struct projector *p)
{
    static const char *const journals[] = {"smtpd", "delivery", "control"};
    struct projector_numbers n = {.is_stopped = true};
    if (p)
        projector_numbers(p, &n);
    plain(out, "ledger_up", "gauge", "1 when the ledger follows the journals.", !n.is_stopped);
    if (!p)
        return;
    head(out, "ledger_behind_octets", "gauge", "Octets of a journal the ledger has not read.");
    for (int j = 0; j < LEDGER_JOURNALS; j++)
        buf_printf(out, "utpost_ledger_behind_octets{journal=\"%s\"} %llu\n", journals[j],
                   (unsigned long long)n.behind[j]);
}

/* Rules are of a grammar without quotes and backslashes. */
static void put_rules(struct buf *out, const json_t *rules)
{
    static const struct {
        const char *key;
        const char *help;
    } rows[] = {
        {"used", "What a rule has let pass, in its unit, since smtpd started."},
        {"refused", "Recipients and messages that a rule has refused."},
        {"locked", "Locks that a rule has made."},
        {"paced", "What a rule has made wait, in its unit."},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t k;
        const json_t *line;
        char name[32];
        snprintf(name, sizeof(name), "limit_%s_total", rows[i].key);
        head(out, name, "counter", rows[i].help);
        json_array_foreach(rules, k, line)
        {
            const char *rule = json_string_value(json_object_get(line, "rule"));
            if (rule)
                buf_printf(out, "utpost_%s{rule=\"%s\"} %lld\n", name, rule,
                           (long long)json_integer_value(json_object_get(line, rows[i].key)));
        }
    }
}

void api_metrics(struct api_request *r)
{
    const struct api_config *c = &r->api->config;
    struct buf *out = &r->plain;
    head(out, "build_info", "gauge", "The version that runs.");
    buf_printf(out, "utpost_build_info{version=\"" UTPOST_VERSION "\"} 1\n");
    put_mail(out, &c->pages->stats);
    put_roles(out, c->pages);
    put_ledger(out, c->projector);
    int rc;
    json_t *limits =
        api_ask(r, "smtpd", json_pack("{s:s}", "question", "limits"), 2 * SPAN_SECOND, &rc);
    put_rules(out, json_object_get(limits, "rules"));
    json_decref(limits);
    r->status = 200;
    r->plain_type = "text/plain; version=0.0.4; charset=utf-8";
}
