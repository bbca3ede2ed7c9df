#include "model/directory_codec.h"

#include "model/preset.h"

#include <errno.h>
#include <stdlib.h>

/* Texts that are empty and numbers that are 0 are left out, but for those that give rights:
 * what a record must say is said, so that nothing missing can be read as a permission. */
static void put_text(struct buf *b, enum record_tag tag, slice value)
{
    if (value.len > 0)
        record_put(b, tag, value);
}

static void put_number(struct buf *b, enum record_tag tag, uint64_t value)
{
    if (value != 0)
        record_put_u64(b, tag, value);
}

static void put_head(struct buf *b, uint64_t version, enum directory_entity entity, uint64_t id)
{
    record_put_u64(b, TAG_VERSION, version);
    record_put_u64(b, TAG_ENTITY, (uint64_t)entity);
    record_put_u64(b, TAG_KEY, id);
}

/* TAG_PLAN: start, end, once, reset, credit, end of the credit; left out when all are 0. */
enum { PLAN_NUMBERS = 6 };

static void put_plan(struct buf *b, const struct plan *p)
{
    const uint64_t numbers[PLAN_NUMBERS] = {(uint64_t)p->start, (uint64_t)p->end,
                                            p->is_once,         (uint64_t)p->reset,
                                            p->credit,          (uint64_t)p->credit_until};
    uint64_t any = 0;
    for (size_t i = 0; i < PLAN_NUMBERS; i++)
        any |= numbers[i];
    if (any != 0)
        record_put(b, TAG_PLAN, slice_make(numbers, sizeof(numbers)));
}

static int take_plan(struct plan *out, slice value)
{
    uint64_t numbers[PLAN_NUMBERS];
    if (value.len != sizeof(numbers))
        return -EBADMSG;
    memcpy(numbers, value.ptr, sizeof(numbers));
    *out = (struct plan){
        .start = (stamp)numbers[0],
        .end = (stamp)numbers[1],
        .is_once = numbers[2] != 0,
        .reset = (stamp)numbers[3],
        .credit = numbers[4],
        .credit_until = (stamp)numbers[5],
    };
    return 0;
}

static void put_rules(struct buf *b, slice preset, const struct rule *rules, size_t count)
{
    struct buf line = BUF_INIT;
    put_text(b, TAG_PRESET, preset);
    for (size_t i = 0; i < count; i++) {
        buf_clear(&line);
        rule_format(&rules[i], &line);
        INVARIANT(!line.error);
        record_put(b, TAG_RULE, buf_slice(&line));
    }
    buf_fini(&line);
}

void directory_put_customer(struct buf *fields, uint64_t version,
                            const struct directory_customer *c)
{
    put_head(fields, version, ENTITY_CUSTOMER, c->id);
    put_number(fields, TAG_PARENT, c->parent);
    put_text(fields, TAG_NAME, c->name);
    put_text(fields, TAG_LANGUAGE, c->language);
    put_text(fields, TAG_TIME_ZONE, c->time_zone);
    put_text(fields, TAG_CONTACT, c->contact);
    record_put_u64(fields, TAG_STATE, (uint64_t)c->state);
    put_number(fields, TAG_UNTIL, (uint64_t)c->until);
    put_text(fields, TAG_REASON, c->reason);
    put_number(fields, TAG_UNLOCKED, c->unlocked);
    put_rules(fields, c->preset, c->rules, c->rule_count);
}

void directory_put_account(struct buf *fields, uint64_t version,
                           const struct directory_account *a)
{
    put_head(fields, version, ENTITY_ACCOUNT, a->id);
    record_put_u64(fields, TAG_PARENT, a->customer);
    record_put(fields, TAG_NAME, a->login);
    put_text(fields, TAG_LANGUAGE, a->language);
    put_text(fields, TAG_TIME_ZONE, a->time_zone);
    put_text(fields, TAG_CONTACT, a->contact);
    record_put_u64(fields, TAG_STATE, (uint64_t)a->state);
    put_number(fields, TAG_UNTIL, (uint64_t)a->until);
    put_text(fields, TAG_REASON, a->reason);
    record_put_u64(fields, TAG_SENDERS, (uint64_t)a->right);
    for (size_t i = 0; i < a->sender_count; i++)
        record_put(fields, TAG_SENDER, a->senders[i]);
    put_number(fields, TAG_MAX_RECIPIENTS, a->max_recipients);
    put_number(fields, TAG_MAX_SIZE, a->max_size);
    put_number(fields, TAG_EXPIRE_AFTER, (uint64_t)a->expire_after);
    put_number(fields, TAG_WARN_AFTER, (uint64_t)a->warn_after);
    put_number(fields, TAG_UNLOCKED, a->unlocked);
    put_plan(fields, &a->plan);
    put_text(fields, TAG_PROFILE, a->profile);
    put_rules(fields, a->preset, a->rules, a->rule_count);
}

void directory_put_credential(struct buf *fields, uint64_t version,
                              const struct directory_credential *c)
{
    put_head(fields, version, ENTITY_CREDENTIAL, c->id);
    record_put_u64(fields, TAG_PARENT, c->account);
    record_put_u64(fields, TAG_KIND, (uint64_t)c->kind);
    put_text(fields, TAG_LABEL, c->label);
    if (c->kind == CREDENTIAL_SECRET) {
        record_put(fields, TAG_SCHEME, c->scheme);
        record_put(fields, TAG_VERIFIER, c->verifier);
    } else if (c->kind == CREDENTIAL_ADDRESS) {
        char text[ADDRESS_TEXT_MAX];
        cidr_format(&c->cidr, text);
        record_put(fields, TAG_CIDR, slice_of(text));
    } else {
        record_put_u64(fields, TAG_UID, c->uid);
    }
    for (size_t i = 0; i < c->may_act_for_count; i++)
        record_put_u64(fields, TAG_MAY_ACT_FOR, c->may_act_for[i]);
}

void directory_put_removal(struct buf *fields, uint64_t version, enum directory_entity entity,
                           uint64_t id)
{
    put_head(fields, version, entity, id);
    record_put_u64(fields, TAG_REMOVED, 1);
}

void directory_put_restatement(struct buf *fields, uint64_t version,
                               enum directory_entity entity)
{
    put_head(fields, version, entity, 0);
}

int directory_change_parse(slice fields, struct directory_change *out)
{
    struct directory_change change = {0};
    struct record_field f;
    uint64_t entity = 0;
    int rc;
    while ((rc = record_next(&fields, &f)) == 1) {
        if (f.tag == TAG_VERSION)
            change.version = f.number;
        else if (f.tag == TAG_ENTITY)
            entity = f.number;
        else if (f.tag == TAG_KEY)
            change.key = f.number;
        else if (f.tag == TAG_REMOVED)
            change.is_removal = f.number != 0;
    }
    if (rc < 0 || change.version == 0)
        return -EBADMSG;
    if (entity < ENTITY_CUSTOMER || entity > ENTITY_RESTATEMENT_END)
        return -EBADMSG;
    change.entity = (enum directory_entity)entity;
    if (change.entity < ENTITY_RESTATEMENT && change.key == 0)
        return -EBADMSG;
    *out = change;
    return 0;
}

static size_t count_tag(slice fields, enum record_tag tag)
{
    struct record_field f;
    size_t count = 0;
    while (record_next(&fields, &f) == 1)
        count += f.tag == tag;
    return count;
}

/* A lock that says no end has none. */
static stamp end_of_state(enum account_state state, stamp until)
{
    return state != ACCOUNT_ACTIVE && until == 0 ? STAMP_NEVER : until;
}

/* One block: `head` bytes, zeroed, then a copy of the fields, then `tail` bytes. */
static void *node_new(size_t head, slice fields, size_t tail, slice *copy)
{
    char *block = xcalloc(1, head + fields.len + tail);
    if (fields.len > 0)
        memcpy(block + head, fields.ptr, fields.len);
    *copy = slice_make(block + head, fields.len);
    return block;
}

/* A limit that cannot be understood must not be read as none. */
static int take_rule(struct rule *out, slice line)
{
    const char *error;
    slice word;
    return rule_parse(line, out, &error, &word) ? 0 : -EBADMSG;
}

static int take_preset(slice *out, slice name)
{
    *out = name;
    return preset_find(name) ? 0 : -EBADMSG;
}

int customer_node_new(slice fields, struct customer_node **out)
{
    slice rest;
    size_t rules = count_tag(fields, TAG_RULE);
    struct customer_node *n =
        node_new(sizeof(*n) + rules * sizeof(struct rule), fields, 0, &rest);
    struct directory_customer *c = &n->value;
    struct rule *rule = (struct rule *)(void *)(n + 1);
    struct record_field f;
    uint64_t state = UINT64_MAX;
    int rc = 0;
    n->node.fields = rest;
    c->rules = rule;
    while (record_next(&rest, &f) == 1) {
        switch (f.tag) {
        case TAG_KEY:
            c->id = f.number;
            break;
        case TAG_PARENT:
            c->parent = f.number;
            break;
        case TAG_NAME:
            c->name = f.value;
            break;
        case TAG_LANGUAGE:
            c->language = f.value;
            break;
        case TAG_TIME_ZONE:
            c->time_zone = f.value;
            break;
        case TAG_CONTACT:
            c->contact = f.value;
            break;
        case TAG_STATE:
            state = f.number;
            break;
        case TAG_UNTIL:
            c->until = (stamp)f.number;
            break;
        case TAG_REASON:
            c->reason = f.value;
            break;
        case TAG_UNLOCKED:
            c->unlocked = f.number;
            break;
        case TAG_PRESET:
            rc = rc < 0 ? rc : take_preset(&c->preset, f.value);
            break;
        case TAG_RULE:
            rc = rc < 0 ? rc : take_rule(&rule[c->rule_count++], f.value);
            break;
        default:
            break;
        }
    }
    if (rc < 0 || state > ACCOUNT_SUSPENDED) {
        free(n);
        return -EBADMSG;
    }
    c->state = (enum account_state)state;
    c->until = end_of_state(c->state, c->until);
    *out = n;
    return 0;
}

/* What has no range to be checked. */
static void take_account_field(struct directory_account *a, const struct record_field *f)
{
    switch (f->tag) {
    case TAG_KEY:
        a->id = f->number;
        break;
    case TAG_PARENT:
        a->customer = f->number;
        break;
    case TAG_NAME:
        a->login = f->value;
        break;
    case TAG_LANGUAGE:
        a->language = f->value;
        break;
    case TAG_TIME_ZONE:
        a->time_zone = f->value;
        break;
    case TAG_CONTACT:
        a->contact = f->value;
        break;
    case TAG_UNTIL:
        a->until = (stamp)f->number;
        break;
    case TAG_REASON:
        a->reason = f->value;
        break;
    case TAG_MAX_SIZE:
        a->max_size = f->number;
        break;
    case TAG_EXPIRE_AFTER:
        a->expire_after = (span)f->number;
        break;
    case TAG_WARN_AFTER:
        a->warn_after = (span)f->number;
        break;
    case TAG_UNLOCKED:
        a->unlocked = f->number;
        break;
    default:
        break;
    }
}

static bool is_account_whole(const struct directory_account *a, uint64_t state, uint64_t right,
                             uint64_t recipients)
{
    return state <= ACCOUNT_SUSPENDED && right <= SENDERS_EXACT && recipients <= UINT32_MAX &&
           a->customer != 0 && a->login.len > 0 && a->expire_after >= 0 && a->warn_after >= -1;
}

int account_node_new(slice fields, struct account_node **out)
{
    size_t senders = count_tag(fields, TAG_SENDER);
    size_t rules = count_tag(fields, TAG_RULE);
    slice login = record_get(fields, TAG_NAME);
    size_t head =
        sizeof(struct account_node) + senders * sizeof(slice) + rules * sizeof(struct rule);
    slice rest;
    struct account_node *n = node_new(head, fields, login.len, &rest);
    struct directory_account *a = &n->value;
    slice *sender = (slice *)(void *)(n + 1);
    struct rule *rule = (struct rule *)(void *)(sender + senders);
    struct record_field f;
    uint64_t state = UINT64_MAX, right = UINT64_MAX, recipients = 0;
    int rc = 0;
    n->node.fields = rest;
    list_init(&n->credentials);
    a->senders = sender;
    a->rules = rule;
    while (record_next(&rest, &f) == 1) {
        if (f.tag == TAG_STATE)
            state = f.number;
        else if (f.tag == TAG_SENDERS)
            right = f.number;
        else if (f.tag == TAG_MAX_RECIPIENTS)
            recipients = f.number;
        else if (f.tag == TAG_SENDER)
            sender[a->sender_count++] = f.value;
        else if (f.tag == TAG_PRESET)
            rc = rc < 0 ? rc : take_preset(&a->preset, f.value);
        else if (f.tag == TAG_PROFILE)
            rc = rc < 0 ? rc : take_preset(&a->profile, f.value);
        else if (f.tag == TAG_PLAN)
            rc = rc < 0 ? rc : take_plan(&a->plan, f.value);
        else if (f.tag == TAG_RULE)
            rc = rc < 0 ? rc : take_rule(&rule[a->rule_count++], f.value);
        else
            take_account_field(a, &f);
    }
    if (rc < 0 || !is_account_whole(a, state, right, recipients)) {
        free(n);
        return -EBADMSG;
    }
    a->state = (enum account_state)state;
    a->until = end_of_state(a->state, a->until);
    a->right = (enum sender_right)right;
    a->max_recipients = (uint32_t)recipients;
    char *key = (char *)(void *)n + head + fields.len;
    for (size_t i = 0; i < a->login.len; i++)
        key[i] = ascii_lower(a->login.ptr[i]);
    n->login_key = slice_make(key, a->login.len);
    *out = n;
    return 0;
}

static bool is_credential_whole(struct credential_node *n, uint64_t kind, slice cidr,
                                uint64_t uid)
{
    struct directory_credential *c = &n->value;
    if (c->account == 0)
        return false;
    switch (kind) {
    case CREDENTIAL_SECRET:
        return c->scheme.len > 0 && c->verifier.len > 0;
    case CREDENTIAL_ADDRESS:
        if (!cidr_parse(cidr, &c->cidr))
            return false;
        n->door = directory_door_of_address(&c->cidr.address, c->cidr.prefix, n->door_bytes);
        return true;
    case CREDENTIAL_UID:
        if (uid > UINT32_MAX)
            return false;
        c->uid = (uint32_t)uid;
        n->door = directory_door_of_uid(c->uid, n->door_bytes);
        return true;
    default:
        return false;
    }
}

int credential_node_new(slice fields, struct credential_node **out)
{
    size_t others = count_tag(fields, TAG_MAY_ACT_FOR);
    slice rest;
    struct credential_node *n =
        node_new(sizeof(struct credential_node) + others * sizeof(uint64_t), fields, 0, &rest);
    struct directory_credential *c = &n->value;
    uint64_t *other = (uint64_t *)(void *)(n + 1);
    struct record_field f;
    uint64_t kind = 0, uid = UINT64_MAX;
    slice cidr = {0};
    n->node.fields = rest;
    list_init(&n->of_account);
    c->may_act_for = other;
    while (record_next(&rest, &f) == 1) {
        if (f.tag == TAG_KEY)
            c->id = f.number;
        else if (f.tag == TAG_PARENT)
            c->account = f.number;
        else if (f.tag == TAG_KIND)
            kind = f.number;
        else if (f.tag == TAG_LABEL)
            c->label = f.value;
        else if (f.tag == TAG_SCHEME)
            c->scheme = f.value;
        else if (f.tag == TAG_VERIFIER)
            c->verifier = f.value;
        else if (f.tag == TAG_CIDR)
            cidr = f.value;
        else if (f.tag == TAG_UID)
            uid = f.number;
        else if (f.tag == TAG_MAY_ACT_FOR)
            other[c->may_act_for_count++] = f.number;
    }
    if (!is_credential_whole(n, kind, cidr, uid)) {
        free(n);
        return -EBADMSG;
    }
    c->kind = (enum credential_kind)kind;
    *out = n;
    return 0;
}

slice directory_door_of_address(const struct address *a, uint8_t prefix,
                                char key[DIRECTORY_DOOR_MAX])
{
    size_t len = a->family == 4 ? 4 : 16;
    key[0] = 'a';
    key[1] = (char)a->family;
    key[2] = (char)prefix;
    for (size_t i = 0; i < len; i++) {
        unsigned bits = prefix >= (i + 1) * 8 ? 8
                        : prefix <= i * 8     ? 0
                                              : prefix - (unsigned)i * 8;
        key[3 + i] = (char)(a->bytes[i] & (0xff00u >> bits & 0xffu));
    }
    return slice_make(key, 3 + len);
}

slice directory_door_of_uid(uint32_t uid, char key[DIRECTORY_DOOR_MAX])
{
    key[0] = 'u';
    memcpy(key + 1, &uid, sizeof(uid));
    return slice_make(key, 1 + sizeof(uid));
}
