/* POST /v1/messages: takes a mail as JSON and gives it to smtpd at its local door. */
#include "codec/mime.h"
#include "codec/params.h"
#include "base/id.h"
#include "codec/path.h"
#include "control/api_request.h"
#include "control/door.h"
#include "control/names.h"
#include "net/address.h"

#include <errno.h>
#include <stdio.h>

enum {
    FIELDS_MAX = 50,
    PARTS_MAX = 100,
    WORDS_MAX = 255,     /* octets of a name */
    LINE_MAX_LEN = 2000, /* of a subject or a field */
    LEAST_RETRY = 1,     /* seconds */
};

/* What one request asks for; everything lives in the request. */
struct sending {
    struct mime_letter letter;
    struct mime_mailboxes bcc;
    const char *raw; /* base64; NULL: it is composed */
    size_t raw_len;
    struct door_letter door;
    struct buf message;
};

static const char *const keys[] = {"account",     "from",     "sender",  "to",         "cc",
                                   "bcc",         "reply_to", "subject", "text",       "html",
                                   "attachments", "headers",  "raw",     "recipients", NULL};

/* ---- mailboxes ---- */

static bool is_address(slice s)
{
    struct path path;
    return s.len > 0 && s.len <= 320 && mailbox_parse(s, &path) == PATH_OK;
}

static slice text_of(const json_t *value)
{
    return slice_make(json_string_value(value), json_string_length(value));
}

/* "address", or "Name <address>". */
static void split_mailbox(slice text, struct mime_mailbox *out)
{
    text = slice_trim(text);
    ptrdiff_t open = slice_ends(text, SLICE(">")) ? slice_rfind(text, '<') : -1;
    if (open < 0) {
        out->address = text;
        return;
    }
    slice name = slice_trim(slice_to(text, (size_t)open));
    if (name.len >= 2 && name.ptr[0] == '"' && name.ptr[name.len - 1] == '"')
        name = slice_make(name.ptr + 1, name.len - 2);
    out->name = name;
    out->address = slice_make(text.ptr + open + 1, text.len - (size_t)open - 2);
}

static bool take_mailbox(struct api_request *r, const char *key, const json_t *value,
                         struct mime_mailbox *out)
{
    const json_t *address = json_object_get(value, "address");
    const json_t *name = json_object_get(value, "name");
    if (json_is_string(value))
        split_mailbox(text_of(value), out);
    else if (json_is_string(address))
        out->address = text_of(address);
    if (json_is_string(name))
        out->name = text_of(name);
    if (is_address(out->address) && out->name.len <= WORDS_MAX)
        return true;
    api_error(r, 400, "bad-value",
              "An address, \"Name <address>\", or {\"address\": …, \"name\": …}.",
              "\"%s\" has something that is no address.", key);
    return false;
}

/* One or an array of them. */
static bool take_mailboxes(struct api_request *r, const char *key, struct mime_mailboxes *out)
{
    json_t *value = json_object_get(r->body, key);
    size_t count = json_is_array(value) ? json_array_size(value) : value ? 1 : 0;
    struct mime_mailbox *list = arena_array(&r->arena, struct mime_mailbox, count);
    for (size_t i = 0; i < count; i++)
        if (!take_mailbox(r, key, json_is_array(value) ? json_array_get(value, i) : value,
                          &list[i]))
            return false;
    *out = (struct mime_mailboxes){list, count};
    return true;
}

/* ---- the message ---- */

static const char *check_line(slice s)
{
    if (s.len > LINE_MAX_LEN)
        return "a text of at most 2000 octets";
    return slice_find(s, '\n') >= 0 || slice_find(s, '\r') >= 0 ? "a text of one line" : NULL;
}

static bool take_fields(struct api_request *r, struct mime_letter *l)
{
    json_t *headers = json_object_get(r->body, "headers");
    const char *name;
    json_t *value;
    size_t count = 0;
    struct mime_field *fields = arena_array(&r->arena, struct mime_field, FIELDS_MAX);
    bool is_right =
        !headers || (json_is_object(headers) && json_object_size(headers) <= FIELDS_MAX);
    json_object_foreach(headers, name, value)
    {
        is_right = is_right && json_is_string(value) && mime_is_free_field(slice_of(name)) &&
                   !check_line(text_of(value));
        if (!is_right)
            break;
        fields[count++] = (struct mime_field){slice_of(name), text_of(value)};
    }
    l->fields = fields;
    l->field_count = count;
    if (!is_right)
        api_error(
            r, 400, "bad-value",
            "An object of at most 50 fields: names such as X-Campaign or List-Unsubscribe, "
            "values of one line; not what is written by itself (From, Date, Content-…).",
            "\"headers\" is not right here.");
    return is_right;
}

static bool take_part_text(const json_t *part, const char *key, size_t max, slice *out)
{
    const json_t *value = json_object_get(part, key);
    if (!value)
        return true;
    *out = json_is_string(value) ? text_of(value) : (slice){0};
    return json_is_string(value) && (max == 0 || (out->len <= max && !check_line(*out)));
}

static bool is_content_id(slice id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= ' ' || id.ptr[i] > '~' ||
            slice_find(SLICE("<>()\"\\,;:"), id.ptr[i]) >= 0)
            return false;
    return true;
}

static bool take_part(const json_t *value, struct mime_part *p)
{
    return json_is_object(value) && take_part_text(value, "name", WORDS_MAX, &p->name) &&
           take_part_text(value, "type", WORDS_MAX, &p->type) &&
           take_part_text(value, "id", WORDS_MAX, &p->id) &&
           take_part_text(value, "content", 0, &p->base64) &&
           (p->type.len == 0 || mime_is_leaf_type(p->type)) && is_content_id(p->id) &&
           json_object_get(value, "content") && mime_is_base64(p->base64);
}

static bool take_parts(struct api_request *r, struct mime_letter *l)
{
    const json_t *list = json_object_get(r->body, "attachments");
    size_t count = json_array_size(list);
    bool is_right = !list || (json_is_array(list) && count <= PARTS_MAX);
    struct mime_part *parts = arena_array(&r->arena, struct mime_part, is_right ? count : 0);
    for (size_t i = 0; i < count && is_right; i++)
        is_right = take_part(json_array_get(list, i), &parts[i]);
    l->parts = parts;
    l->part_count = count;
    if (!is_right)
        api_error(r, 400, "bad-value",
                  "An array of at most 100 objects: \"content\" in base64, \"name\", \"type\" "
                  "such as image/png (not multipart/… or message/…), and \"id\" for what the "
                  "HTML shows as cid:ID.",
                  "\"attachments\" is not right here.");
    return is_right;
}

static void make_boundary(struct api_request *r, struct mime_letter *l)
{
    unsigned char bytes[12];
    char *text = arena_alloc(&r->arena, 2 * sizeof(bytes) + 1);
    env_random(r->api->config.env, bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    l->boundary = slice_make(text, 2 * sizeof(bytes));
}

static bool compose(struct api_request *r, struct sending *s)
{
    struct mime_letter *l = &s->letter;
    if (!api_take_text(r, "subject", check_line, &l->subject) ||
        !api_take_text(r, "text", NULL, &l->text) ||
        !api_take_text(r, "html", NULL, &l->html) || !take_fields(r, l) || !take_parts(r, l))
        return false;
    if (l->from.address.len == 0) {
        api_error(r, 400, "missing-value", NULL, "\"from\" is needed: whose mail it is.");
        return false;
    }
    make_boundary(r, l);
    mime_compose(&s->message, l);
    return true;
}

/* A message as it is, in base64; lines may end in LF. */
static bool take_raw(struct api_request *r, struct sending *s)
{
    struct buf octets = BUF_INIT;
    const json_t *value = json_object_get(r->body, "raw");
    bool is_right = json_is_string(value) && mime_base64_decode(&octets, text_of(value));
    slice rest = buf_slice(&octets);
    if (!is_right)
        api_error(r, 400, "bad-value", "The whole message in base64.",
                  "\"raw\" is not right here.");
    for (slice line; is_right && rest.len > 0;) {
        bool is_ended = slice_find(rest, '\n') >= 0;
        slice_split(&rest, '\n', &line);
        buf_append(&s->message, is_ended && slice_ends(line, SLICE("\r"))
                                    ? slice_to(line, line.len - 1)
                                    : line);
        buf_append(&s->message, SLICE("\r\n"));
    }
    if (octets.error)
        s->message.error = octets.error;
    buf_fini(&octets);
    return is_right;
}

/* ---- the envelope ---- */

static size_t add_recipients(slice *list, size_t count, const struct mime_mailboxes *m)
{
    for (size_t i = 0; i < m->count; i++)
        list[count++] = m->list[i].address;
    return count;
}

/* "recipients", or else all of to, cc and bcc. */
static bool take_recipients(struct api_request *r, struct sending *s)
{
    struct mime_mailboxes named;
    bool is_named = api_has(r, "recipients");
    if (!take_mailboxes(r, "recipients", &named))
        return false;
    const struct mime_letter *l = &s->letter;
    size_t most = named.count + l->to.count + l->cc.count + s->bcc.count;
    slice *list = arena_array(&r->arena, slice, most);
    size_t count = add_recipients(list, 0, &named);
    if (!is_named) {
        count = add_recipients(list, count, &l->to);
        count = add_recipients(list, count, &l->cc);
        count = add_recipients(list, count, &s->bcc);
    }
    s->door.recipients = list;
    s->door.recipient_count = count;
    if (count == 0)
        api_error(r, 400, "missing-value", "Give \"to\", \"cc\", \"bcc\" or \"recipients\".",
                  "There is nobody to send to.");
    return count > 0;
}

static bool take_envelope(struct api_request *r, struct sending *s)
{
    struct mime_letter *l = &s->letter;
    struct mime_mailboxes from, sender;
    if (!take_mailboxes(r, "from", &from) || !take_mailboxes(r, "sender", &sender) ||
        !take_mailboxes(r, "reply_to", &l->reply_to) || !take_mailboxes(r, "to", &l->to) ||
        !take_mailboxes(r, "cc", &l->cc) || !take_mailboxes(r, "bcc", &s->bcc) ||
        !take_recipients(r, s))
        return false;
    if (from.count > 1 || sender.count > 1 || from.count + sender.count == 0) {
        api_error(r, 400, "bad-value", "One address.", "\"from\" is not right here.");
        return false;
    }
    if (from.count > 0)
        l->from = from.list[0];
    s->door.sender = sender.count > 0 ? sender.list[0].address : l->from.address;
    return true;
}

/* A token of the API is for one account; who may do everything names it. */
static bool take_account(struct api_request *r, struct sending *s)
{
    slice login = {0};
    if (r->access == API_READ) {
        api_error(r, 403, "out-of-scope", "Send with a token of scope account:LOGIN or admin.",
                  "This token may look, but not send.");
        return false;
    }
    if (!api_take_text(r, "account", NULL, &login))
        return false;
    if (login.len > 0)
        return api_find_account(r, login, &s->door.account);
    s->door.account = r->only_account;
    if (s->door.account == 0)
        api_error(r, 400, "missing-value", "Accounts are listed by: utpost account list",
                  "\"account\" is needed: who sends.");
    return s->door.account != 0;
}

static bool take_token(struct api_request *r, struct sending *s)
{
    const char *value =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Idempotency-Key");
    slice token = value ? slice_of(value) : (slice){0};
    for (size_t i = 0; i < token.len; i++)
        if (token.ptr[i] < ' ' || token.ptr[i] > '~')
            token.len = PARAMS_TOKEN_MAX + 1;
    s->door.token = token;
    if (token.len > PARAMS_TOKEN_MAX || (value && token.len == 0)) {
        api_error(r, 400, "bad-value",
                  "1 to 128 printable ASCII characters, new for each mail.",
                  "The header Idempotency-Key is not right.");
        return false;
    }
    return true;
}

/* Who has asked, for the record. */
static slice client_of(struct api_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct address address;
    uint16_t port;
    if (!r->is_tcp || !info)
        return arena_printf(&r->arena, "uid=%u", (unsigned)r->uid);
    char *text = arena_alloc(&r->arena, ADDRESS_TEXT_MAX);
    address_from_sockaddr(info->client_addr, &address, &port);
    address_format(&address, text);
    return slice_of(text);
}

/* ---- the answer ---- */

static void add_limit(json_t *error, const struct door_limit *limit)
{
    if (limit->is_there)
        json_object_set_new(error, "limit",
                            json_pack("{s:s, s:I, s:I, s:o}", "rule", limit->rule, "used",
                                      (json_int_t)limit->used, "max", (json_int_t)limit->max,
                                      "retry_at", api_stamp(limit->again)));
}

/* What smtpd has refused: 429 what a later moment heals, 503 our own trouble, 403 what the
 * account may not do, 422 what is wrong with the mail. */
static unsigned status_of(const struct door_answer *a)
{
    if (a->code / 100 == 4)
        return a->enhanced.subject == 7 || a->code == 450 || a->enhanced.subject == 5 ? 429
                                                                                      : 503;
    return a->enhanced.subject == 7 ? 403 : 422;
}

static void refuse(struct api_request *r, const struct sending *s, const struct door_answer *a)
{
    const struct enhanced *e = &a->enhanced;
    char enhanced[24];
    snprintf(enhanced, sizeof(enhanced), "%u.%u.%u", e->class, e->subject, e->detail);
    api_error(r, status_of(a), "refused", NULL, "%s", a->text);
    json_t *error = json_object_get(r->answer, "error");
    json_object_set_new(error, "smtp",
                        json_pack("{s:i, s:s}", "code", (int)a->code, "enhanced", enhanced));
    if (a->recipient >= 0)
        json_object_set_new(error, "recipient", api_foreign(s->door.recipients[a->recipient]));
    add_limit(error, &a->limit);
    if (a->limit.is_there && a->limit.again != STAMP_NEVER) {
        span left = a->limit.again - r->now;
        r->retry_after =
            left <= 0 ? LEAST_RETRY : (uint64_t)((left + SPAN_SECOND - 1) / SPAN_SECOND);
    }
}

static void answer(struct api_request *r, const struct sending *s, const struct door_answer *a)
{
    char id[ID_TEXT_LEN + 1];
    switch (a->result) {
    case DOOR_QUEUED:
    case DOOR_REPEATED:
        id_format(a->id, id);
        api_answer(r, 202,
                   json_pack("{s:s, s:b, s:I}", "id", id, "repeated",
                             a->result == DOOR_REPEATED, "recipients",
                             (json_int_t)s->door.recipient_count));
        return;
    case DOOR_REFUSED:
        refuse(r, s, a);
        return;
    case DOOR_FAILED:
        api_error(r, 503, "not-known",
                  s->door.token.len
                      ? "Send it again with the same Idempotency-Key: it is taken once."
                      : "With an Idempotency-Key it could be sent again safely.",
                  "Whether the mail was taken is not known: %s.", strerror(-a->error));
        return;
    }
}

void api_message_send(struct api_request *r)
{
    struct sending s = {.message = BUF_INIT};
    struct door_answer a;
    bool is_raw = api_has(r, "raw");
    bool ok = api_knows_keys(r, keys) && take_account(r, &s) && take_token(r, &s) &&
              take_envelope(r, &s) && (is_raw ? take_raw(r, &s) : compose(r, &s));
    if (ok && s.message.error) {
        api_fail(r, s.message.error);
        ok = false;
    }
    if (ok && !r->api->config.door) {
        api_error(r, 503, "not-known", NULL, "There is no way to smtpd.");
        ok = false;
    }
    if (ok) {
        s.door.client = client_of(r);
        s.door.message = buf_slice(&s.message);
        door_send(r->api->config.door, &s.door, &a);
        answer(r, &s, &a);
    }
    buf_fini(&s.message);
}
