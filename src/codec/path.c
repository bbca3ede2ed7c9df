#include "codec/path.h"

#include "codec/host.h"
#include "base/utf8.h"

#include <idn2.h>

enum { LOCAL_MAX = 64, DOMAIN_MAX = 255, PATH_MAX_LEN = 256 };

static bool is_atext(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Octets of the Dot-string at the start of s; 0 when there is none. A dot is taken only
 * between atoms. */
static size_t dot_string_len(slice s)
{
    size_t n = 0;
    while (n < s.len && (is_atext(s.ptr[n]) || (s.ptr[n] == '.' && n > 0))) {
        if (s.ptr[n] == '.' && (n + 1 == s.len || !is_atext(s.ptr[n + 1])))
            return 0;
        n++;
    }
    return n;
}

/* Octets of the Quoted-string at the start of s, with its quotes; 0 when there is none. */
static size_t quoted_string_len(slice s)
{
    if (s.len == 0 || s.ptr[0] != '"')
        return 0;
    for (size_t i = 1; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '"')
            return i + 1;
        if (c == '\\' && ++i == s.len)
            return 0;
        c = s.ptr[i];
        if ((unsigned char)c < ' ' || c == 0x7f)
            return 0;
    }
    return 0;
}

/* Octets of the domain or address literal at the start of s: up to what cannot be in one. */
static size_t domain_len(slice s)
{
    if (s.len && s.ptr[0] == '[') {
        ptrdiff_t end = slice_find(s, ']');
        return end < 0 ? 0 : (size_t)end + 1;
    }
    size_t n = 0;
    while (n < s.len && (is_atext(s.ptr[n]) || s.ptr[n] == '.'))
        n++;
    return n;
}

static enum path_result check_domain(slice domain)
{
    struct address literal;
    if (domain.len > DOMAIN_MAX)
        return PATH_TOO_LONG;
    if (domain.len && domain.ptr[0] == '[')
        return address_literal_parse(domain, &literal) ? PATH_OK : PATH_SYNTAX;
    if (!utf8_is_valid(domain))
        return PATH_UTF8;
    return host_is_name(domain, true) ? PATH_OK : PATH_SYNTAX;
}

/* Local-part "@" domain at the start of s; *len is what it takes. */
static enum path_result take_mailbox(slice s, struct path *out, size_t *len)
{
    size_t local = s.len && s.ptr[0] == '"' ? quoted_string_len(s) : dot_string_len(s);
    if (local == 0 || local == s.len || s.ptr[local] != '@')
        return PATH_SYNTAX;
    slice domain = slice_from(s, local + 1);
    domain = slice_to(domain, domain_len(domain));
    enum path_result r = check_domain(domain);
    if (r != PATH_OK)
        return r;
    slice address = slice_to(s, local + 1 + domain.len);
    if (local > LOCAL_MAX)
        return PATH_TOO_LONG;
    if (!utf8_is_valid(address))
        return PATH_UTF8;
    *out = (struct path){
        .has_utf8 = !utf8_is_ascii(address),
        .local = slice_to(s, local),
        .domain = domain,
        .address = address,
    };
    *len = address.len;
    return PATH_OK;
}

/* Drops a source route, "@a,@b:", off *s. */
static enum path_result skip_route(slice *s)
{
    slice rest = *s;
    while (rest.len && rest.ptr[0] == '@') {
        rest = slice_from(rest, 1);
        slice domain = slice_to(rest, domain_len(rest));
        enum path_result r = check_domain(domain);
        if (r != PATH_OK)
            return r;
        rest = slice_from(rest, domain.len);
        if (rest.len == 0 || (rest.ptr[0] != ',' && rest.ptr[0] != ':'))
            return PATH_SYNTAX;
        bool more = rest.ptr[0] == ',';
        rest = slice_from(rest, 1);
        if (more != (rest.len && rest.ptr[0] == '@'))
            return PATH_SYNTAX;
    }
    *s = rest;
    return PATH_OK;
}

/* What is between the angle brackets, up to what cannot belong to it; *len is what it takes. */
static enum path_result take_inner(slice s, struct path *out, size_t *len)
{
    static const slice postmaster = SLICE_INIT("postmaster");
    slice rest = s;
    if (s.len && s.ptr[0] == '>') {
        *out = (struct path){.is_null = true};
        *len = 0;
        return PATH_OK;
    }
    if (slice_istarts(s, postmaster) && s.len > postmaster.len &&
        s.ptr[postmaster.len] == '>') {
        slice local = slice_to(s, postmaster.len);
        *out = (struct path){.is_postmaster = true, .local = local, .address = local};
        *len = local.len;
        return PATH_OK;
    }
    enum path_result r = skip_route(&rest);
    if (r != PATH_OK)
        return r;
    size_t mailbox;
    r = take_mailbox(rest, out, &mailbox);
    if (r == PATH_OK)
        *len = s.len - rest.len + mailbox;
    return r;
}

enum path_result path_parse(slice *in, struct path *out)
{
    if (in->len == 0 || in->ptr[0] != '<')
        return PATH_SYNTAX;
    struct path p;
    size_t inner;
    enum path_result r = take_inner(slice_from(*in, 1), &p, &inner);
    if (r != PATH_OK)
        return r;
    slice rest = slice_from(*in, 1 + inner);
    if (rest.len == 0 || rest.ptr[0] != '>')
        return PATH_SYNTAX;
    rest = slice_from(rest, 1);
    if (rest.len && rest.ptr[0] != ' ' && rest.ptr[0] != '\t')
        return PATH_SYNTAX;
    if (inner + 2 > PATH_MAX_LEN)
        return PATH_TOO_LONG;
    *in = slice_trim(rest);
    *out = p;
    return PATH_OK;
}

enum path_result mailbox_parse(slice in, struct path *out)
{
    struct path p;
    size_t len;
    enum path_result r = take_mailbox(in, &p, &len);
    if (r != PATH_OK)
        return r;
    if (len != in.len)
        return PATH_SYNTAX;
    if (len + 2 > PATH_MAX_LEN)
        return PATH_TOO_LONG;
    *out = p;
    return PATH_OK;
}

/* The local part without quotes if it can stand without them, else with as few quoted pairs as
 * it needs. */
static slice canonical_local(struct arena *a, slice local)
{
    if (local.len < 2 || local.ptr[0] != '"')
        return local;
    char *text = arena_alloc(a, local.len);
    size_t len = 0;
    for (size_t i = 1; i + 1 < local.len; i++) {
        if (local.ptr[i] == '\\')
            i++;
        text[len++] = local.ptr[i];
    }
    slice plain = {text, len};
    if (len && dot_string_len(plain) == len)
        return plain;
    char *quoted = arena_alloc(a, len * 2 + 2);
    size_t n = 0;
    quoted[n++] = '"';
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            quoted[n++] = '\\';
        quoted[n++] = text[i];
    }
    quoted[n++] = '"';
    return (slice){quoted, n};
}

static slice canonical_literal(struct arena *a, slice domain)
{
    struct address literal;
    char text[ADDRESS_TEXT_MAX];
    if (!address_literal_parse(domain, &literal))
        return arena_lower(a, domain);
    address_format(&literal, text);
    return arena_printf(a, literal.family == 6 ? "[ipv6:%s]" : "[%s]", text);
}

slice path_domain(struct arena *a, slice domain)
{
    if (domain.len && domain.ptr[0] == '[')
        return canonical_literal(a, domain);
    slice lower = arena_lower(a, domain);
    if (utf8_is_ascii(lower))
        return lower;
    uint8_t *ascii = NULL;
    if (idn2_lookup_u8((const uint8_t *)lower.ptr, &ascii,
                       IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return lower;
    /* mapping may make ASCII of what only looks like it: a full-width "@", say */
    slice mapped = slice_of((const char *)ascii);
    if (host_is_name(mapped, false))
        lower = arena_lower(a, mapped);
    idn2_free(ascii);
    return lower;
}

slice path_canonical(struct arena *a, const struct path *p)
{
    if (p->is_null)
        return (slice){"", 0};
    if (p->is_postmaster)
        return arena_lower(a, p->local);
    slice local = canonical_local(a, p->local);
    slice domain = path_domain(a, p->domain);
    char *text = arena_alloc(a, local.len + 1 + domain.len + 1);
    memcpy(text, local.ptr, local.len);
    text[local.len] = '@';
    memcpy(text + local.len + 1, domain.ptr, domain.len);
    return (slice){text, local.len + 1 + domain.len};
}
