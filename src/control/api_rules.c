/* /v1/presets, and the rules and preset of /v1/accounts/X and /v1/customers/X */
#include "control/api_request.h"
#include "model/limits.h"
#include "model/preset.h"

#include <errno.h>

enum { RULES_MAX = 64 };

static const char rule_hint[] =
    "A rule is SCOPE UNIT MAX[/WINDOW] [attempts] ACTION, for example:"
    " account recipients 1000/24h defer";

static slice line_of(struct api_request *r, const struct rule *rule)
{
    struct buf line = BUF_INIT;
    rule_format(rule, &line);
    slice copy = arena_dup(&r->arena, buf_slice(&line));
    buf_fini(&line);
    return copy;
}

static json_t *lines_of(struct api_request *r, const struct rule *rules, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, api_text(line_of(r, &rules[i])));
    return list;
}

static json_t *preset_to_json(struct api_request *r, const struct preset *p)
{
    const struct rule *rules;
    size_t count = preset_rules(p, &r->arena, &rules);
    return json_pack("{s:s, s:o, s:o, s:o}", "name", p->name, "summary",
                     api_text(preset_summary(p)), "rules", lines_of(r, rules, count), "text",
                     api_text(p->text));
}

void api_presets_list(struct api_request *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < preset_count; i++)
        json_array_append_new(list, preset_to_json(r, &presets[i]));
    api_answer(r, 200, json_pack("{s:o}", "presets", list));
}

/* NULL with an answer: there is none. */
static const struct preset *find_preset(struct api_request *r, slice name, unsigned status)
{
    const struct preset *p = preset_find(name);
    slice known = {0};
    if (p)
        return p;
    for (size_t i = 0; i < preset_count; i++)
        known = arena_printf(&r->arena, "%.*s%s%s", SLICE_ARG(known), i ? ", " : "",
                             presets[i].name);
    api_error(r, status, "no-such-preset",
              arena_printf(&r->arena, "There are: %.*s.", SLICE_ARG(known)).ptr,
              "There is no preset \"%.*s\".", SLICE_ARG(slice_to(name, 255)));
    return NULL;
}

void api_preset_show(struct api_request *r)
{
    const struct preset *p = find_preset(r, r->args[0], 404);
    if (p)
        api_answer(r, 200, preset_to_json(r, p));
}

/* Whose rules a request is about; what it may change of them. */
struct owner {
    bool is_customer;
    struct store_account account;
    struct store_customer customer; /* or the account's */
    slice *preset;
    const struct rule **rules;
    size_t *count;
};

/* The one that the path names, with the mutex held; false with an answer. */
static bool find(struct api_request *r, struct owner *o)
{
    bool is_customer = r->route->is_of_customer;
    *o = (struct owner){.is_customer = is_customer};
    if (is_customer) {
        o->preset = &o->customer.d.preset;
        o->rules = &o->customer.d.rules;
        o->count = &o->customer.d.rule_count;
        return api_take_customer(r, &o->customer);
    }
    o->preset = &o->account.d.preset;
    o->rules = &o->account.d.rules;
    o->count = &o->account.d.rule_count;
    if (!api_take_account(r, &o->account))
        return false;
    int rc = store_customer_get(r->api->config.store, o->account.d.customer, &r->arena,
                                &o->customer);
    if (rc < 0)
        api_fail(r, rc);
    return rc == 0;
}

static struct rule_set preset_set(struct api_request *r, slice name)
{
    const struct preset *p = preset_find(name);
    struct rule_set set = {0};
    if (p)
        set.count = preset_rules(p, &r->arena, &set.rules);
    return set;
}

static slice origin_text(struct api_request *r, const struct owner *o, enum limit_origin origin)
{
    switch (origin) {
    case LIMIT_FROM_ACCOUNT_PRESET:
        return arena_printf(&r->arena, "preset %.*s", SLICE_ARG(o->account.d.preset));
    case LIMIT_FROM_CUSTOMER_PRESET:
        return arena_printf(&r->arena, "preset %.*s of the customer",
                            SLICE_ARG(o->customer.d.preset));
    case LIMIT_FROM_PROFILE:
        return arena_printf(&r->arena, "profile %.*s", SLICE_ARG(o->account.d.profile));
    case LIMIT_FROM_ACCOUNT:
        return SLICE("account");
    case LIMIT_FROM_CUSTOMER:
        return SLICE("customer");
    }
    return (slice){0};
}

/* All that applies to the account, or to every account of the customer without own rules. */
static json_t *applied_to_json(struct api_request *r, const struct owner *o)
{
    const struct directory_account *a = &o->account.d;
    const struct directory_customer *c = &o->customer.d;
    struct limit_sources sources = {
        .account = a->id,
        .customer = c->id,
        .credential = UINT64_MAX, /* any: the rules for one are to be seen */
        .account_preset = preset_set(r, a->preset),
        .customer_preset = preset_set(r, c->preset),
        .profile = preset_set(r, a->profile),
        .account_rules = {a->rules, a->rule_count},
        .customer_rules = {c->rules, c->rule_count},
    };
    const struct limit *limits;
    const enum limit_origin *origins;
    json_t *list = json_array();
    if (slice_eq(a->preset, c->preset))
        sources.account_preset = sources.customer_preset;
    size_t count = limits_merge(&sources, &r->arena, &limits, &origins);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:o, s:o}", "rule",
                                              api_text(line_of(r, &limits[i].rule)), "from",
                                              api_text(origin_text(r, o, origins[i]))));
    return list;
}

static json_t *to_json(struct api_request *r, const struct owner *o)
{
    json_t *answer =
        json_pack("{s:o, s:o, s:o, s:o}", "customer", api_text(o->customer.d.name), "preset",
                  api_text(*o->preset), "rules", lines_of(r, *o->rules, *o->count), "applied",
                  applied_to_json(r, o));
    if (answer && !o->is_customer)
        json_object_set_new(answer, "account", api_text(o->account.d.login));
    return answer;
}

void api_rules_show(struct api_request *r)
{
    struct owner o;
    store_lock(r->api->config.store);
    bool found = find(r, &o);
    store_unlock(r->api->config.store);
    if (found)
        api_answer(r, 200, to_json(r, &o));
}

/* Puts the owner into the store, commits, answers with what applies then. */
static void put(struct api_request *r, struct owner *o, slice replaced)
{
    struct store *s = r->api->config.store;
    int rc = o->is_customer ? store_customer_put(s, &o->customer.d, r->now)
                            : store_account_put(s, &o->account.d, r->now);
    if (rc < 0) {
        api_fail(r, rc);
        api_rollback(r);
        return;
    }
    json_t *answer = to_json(r, o);
    if (answer && replaced.len > 0)
        json_object_set_new(answer, "replaced", api_text(replaced));
    api_commit(r, 200, answer);
}

static bool parse_rule(struct api_request *r, slice line, struct rule *out)
{
    const char *error;
    slice word;
    if (rule_parse(line, out, &error, &word))
        return true;
    if (word.len > 0)
        api_error(r, 400, "bad-rule", rule_hint, "The rule is wrong at \"%.*s\": %s.",
                  SLICE_ARG(slice_to(word, 100)), error);
    else
        api_error(r, 400, "bad-rule", rule_hint, "The rule ends too early: %s.", error);
    return false;
}

/* What would never do anything is told, not kept. */
static bool check_effect(struct api_request *r, const struct rule *rule)
{
    const char *error;
    if (rule_has_effect(rule, &error))
        return true;
    api_error(r, 400, "bad-rule", rule_hint, "The rule would have no effect: %s.", error);
    return false;
}

static bool take_rule(struct api_request *r, const struct owner *o, struct rule *out)
{
    static const char *const keys[] = {"rule", NULL};
    slice line = {0};
    if (!api_knows_keys(r, keys) || !api_take_text(r, "rule", NULL, &line) ||
        !parse_rule(r, line, out) || !check_effect(r, out))
        return false;
    if (out->scope != RULE_CUSTOMER || o->is_customer)
        return true;
    api_error(r, 400, "bad-rule", "Give it to the customer.",
              "The rule is wrong at \"customer\": it would count all accounts of the customer,"
              " and this is one account.");
    return false;
}

/* Of one unit and window there may be a rule that notifies, one that defers and one that locks;
 * a second that defers says that the first is to be changed. */
static bool is_same_kind(const struct rule *a, const struct rule *b)
{
    return rule_replaces(a, b) && a->action == b->action;
}

void api_rule_add(struct api_request *r)
{
    struct owner o;
    struct rule fresh = {0};
    slice replaced = {0};
    if (!api_begin(r))
        return;
    if (!find(r, &o) || !take_rule(r, &o, &fresh)) {
        api_rollback(r);
        return;
    }
    struct rule *rules = arena_array(&r->arena, struct rule, *o.count + 1);
    size_t at = *o.count;
    for (size_t i = 0; i < *o.count; i++) {
        rules[i] = (*o.rules)[i];
        if (is_same_kind(&rules[i], &fresh))
            at = i;
    }
    if (at == RULES_MAX) {
        api_error(r, 409, "too-many-rules", "Remove what is no longer needed.",
                  "There are %d rules already.", RULES_MAX);
        api_rollback(r);
        return;
    }
    if (at < *o.count)
        replaced = line_of(r, &rules[at]);
    else
        ++*o.count;
    rules[at] = fresh;
    *o.rules = rules;
    put(r, &o, replaced);
}

void api_rule_remove(struct api_request *r)
{
    struct owner o;
    struct rule gone;
    size_t kept = 0;
    if (!api_begin(r))
        return;
    if (!find(r, &o) || !parse_rule(r, r->args[1], &gone)) {
        api_rollback(r);
        return;
    }
    slice line = line_of(r, &gone);
    struct rule *rules = arena_array(&r->arena, struct rule, *o.count);
    for (size_t i = 0; i < *o.count; i++)
        if (!slice_eq(line_of(r, &(*o.rules)[i]), line))
            rules[kept++] = (*o.rules)[i];
    if (kept == *o.count) {
        api_error(r, 404, "no-such-rule",
                  "Only its own rules can be removed; they are listed by: utpost rule list",
                  "It has no rule \"%.*s\" of its own.", SLICE_ARG(line));
        api_rollback(r);
        return;
    }
    *o.rules = rules;
    *o.count = kept;
    put(r, &o, (slice){0});
}

void api_preset_set(struct api_request *r)
{
    static const char *const keys[] = {"preset", NULL};
    struct owner o;
    slice name = {0};
    if (!api_begin(r))
        return;
    bool is_right =
        find(r, &o) && api_knows_keys(r, keys) && api_take_text(r, "preset", NULL, &name);
    if (is_right && !api_has(r, "preset")) {
        api_error(r, 400, "bad-value", "The name of a preset; null: none.",
                  "\"preset\" is missing.");
        is_right = false;
    }
    if (is_right && name.len > 0)
        is_right = find_preset(r, name, 400) != NULL;
    if (!is_right) {
        api_rollback(r);
        return;
    }
    *o.preset = name;
    put(r, &o, (slice){0});
}
