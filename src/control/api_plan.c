/* /v1/accounts/X/plan: from when to when an account's volume counts, and what is credited. */
#include "control/api_request.h"
#include "control/names.h"

json_t *api_plan(const struct directory_account *d)
{
    const struct plan *p = &d->plan;
    if (!p->start && !p->end && !p->is_once && !p->reset && !p->credit)
        return json_null();
    return json_pack("{s:o, s:o, s:b, s:o, s:I, s:o}", "start", api_stamp(p->start), "end",
                     api_stamp(p->end), "once", (int)p->is_once, "reset", api_stamp(p->reset),
                     "credit", (json_int_t)p->credit, "credit_until",
                     api_stamp(p->credit_until));
}

/* The zone that the account's clock on the wall shows; with the mutex held. */
static struct zone account_zone(struct api_request *r, const struct directory_account *d)
{
    enum { DEPTH_MAX = 16 };
    slice name = d->time_zone;
    uint64_t customer = d->customer;
    for (int depth = 0; name.len == 0 && customer != 0 && depth < DEPTH_MAX; depth++) {
        struct store_customer c;
        if (store_customer_get(r->api->config.store, customer, &r->arena, &c) < 0)
            break;
        name = c.d.time_zone;
        customer = c.d.parent;
    }
    return name_zone(name);
}

static json_t *to_json(struct api_request *r, const struct store_account *a,
                       const struct zone *zone)
{
    struct plan_period p;
    plan_period_at(&a->d.plan, zone, r->now, &p);
    json_t *period = json_pack("{s:b, s:o, s:o, s:I}", "is_open", (int)p.is_open, "begin",
                               p.is_open ? api_stamp(p.begin) : json_null(), "end",
                               api_stamp(p.end), "credit", (json_int_t)p.credit);
    return json_pack("{s:o, s:o, s:o}", "account", api_text(a->d.login), "plan",
                     api_plan(&a->d), "period", period);
}

static bool take_moment(struct api_request *r, const char *key, const struct zone *zone,
                        stamp *out)
{
    slice text = {0};
    if (!api_take_text(r, key, NULL, &text))
        return false;
    if (!api_has(r, key))
        return true;
    *out = 0;
    if (text.len == 0 || name_parse_moment(text, zone, r->now, out))
        return true;
    api_error(r, 400, "bad-value",
              "A day, as 2026-12-01, or a moment, as 2026-12-01T08:30 (of the account's time"
              " zone) or 2026-12-01T08:30:00Z; null: none.",
              "\"%s\" is not right here.", key);
    return false;
}

/* true, false, or not there. */
static bool take_flag(struct api_request *r, const char *key, bool *out)
{
    const json_t *value = json_object_get(r->body, key);
    if (!value)
        return true;
    if (json_is_boolean(value)) {
        *out = json_is_true(value);
        return true;
    }
    api_error(r, 400, "bad-value", "Give true or false.", "\"%s\" is not right here.", key);
    return false;
}

/* Without an end of its own, a credit is of the running period. */
static bool take_credit(struct api_request *r, const struct zone *zone, struct plan *p)
{
    struct plan_period period;
    slice text = {0};
    if (!api_has(r, "credit"))
        return take_moment(r, "credit_until", zone, &p->credit_until);
    if (json_is_integer(json_object_get(r->body, "credit"))) {
        if (!api_take_number(r, "credit", INT64_MAX, &p->credit))
            return false;
    } else if (!api_take_text(r, "credit", NULL, &text)) {
        return false;
    } else if (text.len == 0) {
        p->credit = 0;
    } else if (!name_parse_amount(text, &p->credit)) {
        api_error(r, 400, "bad-value", "A whole number, or a size such as 10MB.",
                  "\"credit\" is not right here.");
        return false;
    }
    plan_period_at(p, zone, r->now, &period);
    p->credit_until = period.end == STAMP_NEVER ? 0 : period.end;
    return take_moment(r, "credit_until", zone, &p->credit_until);
}

static bool read_plan(struct api_request *r, const struct zone *zone, struct plan *p)
{
    static const char *const keys[] = {"start",        "end",   "once", "credit",
                                       "credit_until", "reset", NULL};
    bool is_reset = false;
    if (!api_knows_keys(r, keys) || !take_moment(r, "start", zone, &p->start) ||
        !take_moment(r, "end", zone, &p->end) || !take_flag(r, "once", &p->is_once) ||
        !take_flag(r, "reset", &is_reset) || !take_credit(r, zone, p))
        return false;
    if (is_reset)
        p->reset = r->now;
    const char *wrong =
        p->is_once && (!p->start || !p->end) ? "A plan of one period needs a start and an end."
        : p->start && p->end && p->end <= p->start ? "The plan would end before it starts."
                                                   : NULL;
    if (wrong)
        api_error(r, 400, "bad-value", "Give \"start\" and a later \"end\".", "%s", wrong);
    return !wrong;
}

void api_account_plan_show(struct api_request *r)
{
    struct store_account a;
    struct zone zone = zone_utc;
    store_lock(r->api->config.store);
    bool found = api_take_account(r, &a);
    if (found)
        zone = account_zone(r, &a.d);
    store_unlock(r->api->config.store);
    if (found)
        api_answer(r, 200, to_json(r, &a, &zone));
}

void api_account_plan(struct api_request *r)
{
    struct store_account a;
    if (!api_begin(r))
        return;
    struct zone zone = zone_utc;
    bool is_right = api_take_account(r, &a);
    if (is_right) {
        zone = account_zone(r, &a.d);
        is_right = read_plan(r, &zone, &a.d.plan);
    }
    if (!is_right) {
        api_rollback(r);
        return;
    }
    int rc = store_account_put(r->api->config.store, &a.d, r->now);
    if (rc == 0) {
        api_commit(r, 200, to_json(r, &a, &zone));
        return;
    }
    api_fail(r, rc);
    api_rollback(r);
}
