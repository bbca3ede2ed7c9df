#include "smtpd/limiting_internal.h"

#include "base/log.h"

void limiting_notice(struct limiting *l, const struct limiting_charge *c,
                     const struct limit_verdict *v, stamp now)
{
    struct record_header h = {
        .type = RECORD_NOTICE,
        .flags = RECORD_SKIPPABLE,
        .node = l->config.node,
        .at = now + limiting_wall(l, now),
        .customer = c->customer,
        .account = c->account,
        .credential = c->credential,
    };
    char rule_room[RULE_TEXT_MAX];
    char reason_room[LIMITING_REASON_MAX];
    struct buf rule = {.ptr = rule_room, .cap = sizeof(rule_room), .max = sizeof(rule_room)};
    struct buf reason = {
        .ptr = reason_room, .cap = sizeof(reason_room), .max = sizeof(reason_room)};
    struct buf fields = BUF_INIT;
    uint64_t id = id_next(l->config.ids, env_now(l->config.env));
    rule_format(&v->rule, &rule);
    wording_reason(c->language, v, &reason);
    record_put_u64(&fields, TAG_ID, id);
    record_put(&fields, TAG_RULE, buf_slice(&rule));
    record_put_u64(&fields, TAG_KEY, v->entity);
    record_put_u64(&fields, TAG_USED, v->used + v->asked);
    record_put_u64(&fields, TAG_MAXIMUM, v->max);
    record_put(&fields, TAG_REASON, buf_slice(&reason));
    record_put_u64(&fields, TAG_COUNTED_AT, (uint64_t)now);
    limiting_append_own(l, &h, &fields);
    log_warning("limit-passed", LOG_I("account", c->account), LOG_ID("notice", id),
                LOG_S("rule", buf_slice(&rule)), LOG_I("used", v->used + v->asked));
}

void limiting_notice_replay(struct limiting *l, slice fields)
{
    struct limit limit = {.entity = record_get_u64(fields, TAG_KEY)};
    const char *error;
    slice word;
    if (rule_parse(record_get(fields, TAG_RULE), &limit.rule, &error, &word))
        limiter_noticed(l->limiter, &limit);
}
