#include "codec/params.h"

#include "codec/path.h"

enum {
    SIZE_DIGITS_MAX = 20, /* RFC 1870 section 4 */
    ENVID_MAX = 100,      /* RFC 3461 section 4.4 */
    ORCPT_MAX = 500,      /* section 4.2 */
    AUTH_MAX = 500,       /* RFC 4954 section 3 */
};

/* One parameter's row: parses the value into the struct of its command. */
struct param {
    slice keyword;
    bool has_value;
    enum params_result (*parse)(struct arena *a, slice value, void *out);
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool xtext_decode(struct arena *a, slice in, slice *out)
{
    char *text = arena_alloc(a, in.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c <= ' ' || c > '~' || c == '=')
            return false;
        if (c == '+') {
            if (in.len - i < 3 || hex_digit(in.ptr[i + 1]) < 0 || hex_digit(in.ptr[i + 2]) < 0)
                return false;
            c = (char)(hex_digit(in.ptr[i + 1]) * 16 + hex_digit(in.ptr[i + 2]));
            i += 2;
        }
        text[len++] = c;
    }
    *out = (slice){text, len};
    return true;
}

slice xtext_encode(struct arena *a, slice in)
{
    static const char digits[] = "0123456789ABCDEF";
    char *text = arena_alloc(a, in.len * 3 + 1);
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        unsigned char c = (unsigned char)in.ptr[i];
        if (c > ' ' && c <= '~' && c != '=' && c != '+') {
            text[len++] = (char)c;
            continue;
        }
        text[len++] = '+';
        text[len++] = digits[c >> 4];
        text[len++] = digits[c & 15];
    }
    return (slice){text, len};
}

/* Text that may stand in a DSN: what was encoded must not smuggle in line ends. */
static bool is_printable(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < ' ' || s.ptr[i] > '~')
            return false;
    return s.len > 0;
}

static enum params_result parse_size(struct arena *a, slice value, void *out)
{
    struct mail_params *p = out;
    (void)a;
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return PARAMS_SYNTAX;
    if (value.len > SIZE_DIGITS_MAX || !slice_to_u64(value, &p->size))
        return PARAMS_VALUE;
    p->has_size = true;
    return PARAMS_OK;
}

static enum params_result parse_body(struct arena *a, slice value, void *out)
{
    static const slice types[] = {
        [BODY_7BIT] = SLICE_INIT("7BIT"),
        [BODY_8BITMIME] = SLICE_INIT("8BITMIME"),
        [BODY_BINARYMIME] = SLICE_INIT("BINARYMIME"),
    };
    struct mail_params *p = out;
    (void)a;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (slice_ieq(value, types[i])) {
            p->body = (enum body_type)i;
            return PARAMS_OK;
        }
    }
    return PARAMS_VALUE;
}

static enum params_result parse_smtputf8(struct arena *a, slice value, void *out)
{
    struct mail_params *p = out;
    (void)a;
    (void)value;
    p->smtputf8 = true;
    return PARAMS_OK;
}

static enum params_result parse_auth(struct arena *a, slice value, void *out)
{
    struct mail_params *p = out;
    slice text;
    struct path mailbox;
    if (value.len > AUTH_MAX)
        return PARAMS_VALUE;
    if (!xtext_decode(a, value, &text))
        return PARAMS_SYNTAX;
    if (!slice_eq(text, SLICE("<>")) && mailbox_parse(text, &mailbox) != PATH_OK)
        return PARAMS_VALUE;
    p->auth = text;
    return PARAMS_OK;
}

static enum params_result parse_ret(struct arena *a, slice value, void *out)
{
    struct mail_params *p = out;
    (void)a;
    p->ret = slice_ieq(value, SLICE("FULL"))   ? RET_FULL
             : slice_ieq(value, SLICE("HDRS")) ? RET_HDRS
                                               : RET_NONE;
    return p->ret == RET_NONE ? PARAMS_VALUE : PARAMS_OK;
}

static enum params_result parse_envid(struct arena *a, slice value, void *out)
{
    struct mail_params *p = out;
    slice text;
    if (value.len > ENVID_MAX)
        return PARAMS_VALUE;
    if (!xtext_decode(a, value, &text))
        return PARAMS_SYNTAX;
    if (!is_printable(text))
        return PARAMS_VALUE;
    p->envid = text;
    return PARAMS_OK;
}

static enum params_result parse_text(struct arena *a, slice value, size_t max, slice *out)
{
    slice text;
    if (!xtext_decode(a, value, &text))
        return PARAMS_SYNTAX;
    if (text.len > max || !is_printable(text))
        return PARAMS_VALUE;
    *out = text;
    return PARAMS_OK;
}

static enum params_result parse_token(struct arena *a, slice value, void *out)
{
    return parse_text(a, value, PARAMS_TOKEN_MAX, &((struct mail_params *)out)->token);
}

static enum params_result parse_script(struct arena *a, slice value, void *out)
{
    return parse_text(a, value, PARAMS_SCRIPT_MAX, &((struct mail_params *)out)->script);
}

static enum params_result parse_directory(struct arena *a, slice value, void *out)
{
    return parse_text(a, value, PARAMS_SCRIPT_MAX, &((struct mail_params *)out)->directory);
}

static enum params_result parse_queue(struct arena *a, slice value, void *out)
{
    struct mail_params *p = out;
    (void)a;
    (void)value;
    p->may_wait = true;
    return PARAMS_OK;
}

static unsigned notify_of(slice word)
{
    static const struct {
        slice word;
        enum dsn_notify bit;
    } words[] = {
        {SLICE_INIT("NEVER"), NOTIFY_NEVER},
        {SLICE_INIT("SUCCESS"), NOTIFY_SUCCESS},
        {SLICE_INIT("FAILURE"), NOTIFY_FAILURE},
        {SLICE_INIT("DELAY"), NOTIFY_DELAY},
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (slice_ieq(word, words[i].word))
            return words[i].bit;
    return 0;
}

static enum params_result parse_notify(struct arena *a, slice value, void *out)
{
    struct rcpt_params *p = out;
    (void)a;
    unsigned bits = 0;
    slice word;
    if (slice_ends(value, SLICE(",")))
        return PARAMS_VALUE;
    while (slice_split(&value, ',', &word)) {
        unsigned bit = notify_of(word);
        if (bit == 0)
            return PARAMS_VALUE;
        bits |= bit;
    }
    if ((bits & NOTIFY_NEVER) && bits != NOTIFY_NEVER)
        return PARAMS_VALUE;
    p->notify = bits;
    return PARAMS_OK;
}

static enum params_result parse_orcpt(struct arena *a, slice value, void *out)
{
    struct rcpt_params *p = out;
    ptrdiff_t semicolon = slice_find(value, ';');
    slice text;
    if (value.len > ORCPT_MAX)
        return PARAMS_VALUE;
    if (semicolon <= 0)
        return PARAMS_SYNTAX;
    slice type = slice_to(value, (size_t)semicolon);
    for (size_t i = 0; i < type.len; i++)
        if (!ascii_is_alnum(type.ptr[i]) && type.ptr[i] != '-')
            return PARAMS_SYNTAX;
    if (!xtext_decode(a, value, &text))
        return PARAMS_SYNTAX;
    if (text.len == type.len + 1 || !is_printable(text))
        return PARAMS_VALUE;
    p->orcpt = text;
    return PARAMS_OK;
}

static const struct param mail_table[] = {
    {SLICE_INIT("SIZE"), true, parse_size},
    {SLICE_INIT("BODY"), true, parse_body},
    {SLICE_INIT("AUTH"), true, parse_auth},
    {SLICE_INIT("RET"), true, parse_ret},
    {SLICE_INIT("ENVID"), true, parse_envid},
    {SLICE_INIT("SMTPUTF8"), false, parse_smtputf8},
    {SLICE_INIT("XTOKEN"), true, parse_token},
    {SLICE_INIT("XSCRIPT"), true, parse_script},
    {SLICE_INIT("XDIRECTORY"), true, parse_directory},
    {SLICE_INIT("XQUEUE"), false, parse_queue},
};

static const struct param rcpt_table[] = {
    {SLICE_INIT("NOTIFY"), true, parse_notify},
    {SLICE_INIT("ORCPT"), true, parse_orcpt},
};

/* esmtp-keyword ["=" esmtp-value]; 8-bit values have no use in any parameter that we know. */
static bool split_param(slice param, slice *keyword, slice *value, bool *has_value)
{
    ptrdiff_t equals = slice_find(param, '=');
    *has_value = equals >= 0;
    *keyword = equals < 0 ? param : slice_to(param, (size_t)equals);
    *value = equals < 0 ? slice_from(param, param.len) : slice_from(param, (size_t)equals + 1);
    if (keyword->len == 0 || keyword->ptr[0] == '-' || (*has_value && value->len == 0))
        return false;
    for (size_t i = 0; i < keyword->len; i++)
        if (!ascii_is_alnum(keyword->ptr[i]) && keyword->ptr[i] != '-')
            return false;
    for (size_t i = 0; i < value->len; i++)
        if (value->ptr[i] <= ' ' || value->ptr[i] > '~' || value->ptr[i] == '=')
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes the next word off *in. */
static bool next_word(slice *in, slice *word)
{
    slice s = slice_trim(*in);
    size_t n = 0;
    while (n < s.len && !is_blank(s.ptr[n]))
        n++;
    *word = slice_to(s, n);
    *in = slice_from(s, n);
    return n > 0;
}

static enum params_result parse_one(struct arena *a, slice word, const struct param *table,
                                    size_t count, unsigned *seen, void *out)
{
    slice keyword;
    slice value;
    bool has_value;
    if (!split_param(word, &keyword, &value, &has_value))
        return PARAMS_SYNTAX;
    for (size_t i = 0; i < count; i++) {
        if (!slice_ieq(keyword, table[i].keyword))
            continue;
        if (*seen & (1u << i))
            return PARAMS_DUPLICATE;
        *seen |= 1u << i;
        if (has_value != table[i].has_value)
            return PARAMS_SYNTAX;
        return table[i].parse(a, value, out);
    }
    return PARAMS_UNKNOWN;
}

static enum params_result parse_all(struct arena *a, slice in, const struct param *table,
                                    size_t count, void *out, slice *bad)
{
    unsigned seen = 0;
    slice word;
    while (next_word(&in, &word)) {
        enum params_result r = parse_one(a, word, table, count, &seen, out);
        if (r != PARAMS_OK) {
            *bad = word;
            return r;
        }
    }
    return PARAMS_OK;
}

enum params_result mail_params_parse(struct arena *a, slice in, struct mail_params *out,
                                     slice *bad)
{
    struct mail_params p = {0};
    enum params_result r = parse_all(a, in, mail_table, COUNT_OF(mail_table), &p, bad);
    if (r == PARAMS_OK)
        *out = p;
    return r;
}

enum params_result rcpt_params_parse(struct arena *a, slice in, struct rcpt_params *out,
                                     slice *bad)
{
    struct rcpt_params p = {0};
    enum params_result r = parse_all(a, in, rcpt_table, COUNT_OF(rcpt_table), &p, bad);
    if (r == PARAMS_OK)
        *out = p;
    return r;
}
