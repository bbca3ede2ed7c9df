#include "codec/sasl.h"

#include "base/utf8.h"
#include "codec/base64.h"

enum { NAME_MAX_LEN = 255, SECRET_MAX_LEN = 1024 };

/* Four characters, of which the last `padding` are "=". The bits that padding leaves over must
 * be zero: there is one encoding of everything. */
static bool decode_group(const char *in, size_t padding, unsigned char out[3])
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int six = i < 4 - padding ? base64_sextet(in[i]) : 0;
        if (six < 0)
            return false;
        bits = bits << 6 | (uint32_t)six;
    }
    out[0] = (unsigned char)(bits >> 16);
    out[1] = (unsigned char)(bits >> 8);
    out[2] = (unsigned char)bits;
    return !(padding >= 1 && out[2] != 0) && !(padding == 2 && out[1] != 0);
}

bool base64_decode(struct arena *a, slice in, size_t max, slice *out)
{
    if (in.len == 0 || slice_eq(in, SLICE("="))) {
        *out = (slice){"", 0};
        return true;
    }
    size_t padding = slice_ends(in, SLICE("==")) ? 2 : slice_ends(in, SLICE("=")) ? 1 : 0;
    size_t len = in.len / 4 * 3 - padding;
    if (in.len % 4 != 0 || len > max)
        return false;
    char *text = arena_alloc(a, len + 3);
    for (size_t i = 0; i < in.len; i += 4) {
        unsigned char group[3];
        if (!decode_group(in.ptr + i, i + 4 == in.len ? padding : 0, group))
            return false;
        memcpy(text + i / 4 * 3, group, 3);
    }
    *out = (slice){text, len};
    return true;
}

slice base64_encode(struct arena *a, slice in)
{
    size_t len = (in.len + 2) / 3 * 4;
    char *text = arena_alloc(a, len + 1);
    for (size_t i = 0, at = 0; i < in.len; i += 3, at += 4) {
        size_t n = in.len - i < 3 ? in.len - i : 3;
        unsigned char group[3] = {0};
        memcpy(group, in.ptr + i, n);
        uint32_t bits = (uint32_t)group[0] << 16 | (uint32_t)group[1] << 8 | group[2];
        for (size_t k = 0; k < 4; k++)
            text[at + k] = k <= n ? base64_alphabet[bits >> (18 - 6 * k) & 63] : '=';
    }
    return (slice){text, len};
}

bool sasl_plain_parse(slice message, struct sasl_identity *out)
{
    ptrdiff_t first = slice_find(message, '\0');
    if (first < 0)
        return false;
    slice rest = slice_from(message, (size_t)first + 1);
    ptrdiff_t second = slice_find(rest, '\0');
    if (second < 0)
        return false;
    struct sasl_identity id = {
        .authzid = slice_to(message, (size_t)first),
        .authcid = slice_to(rest, (size_t)second),
        .secret = slice_from(rest, (size_t)second + 1),
    };
    if (id.authcid.len == 0 || id.secret.len == 0 || slice_find(id.secret, '\0') >= 0)
        return false;
    if (id.authzid.len > NAME_MAX_LEN || id.authcid.len > NAME_MAX_LEN ||
        id.secret.len > SECRET_MAX_LEN || !utf8_is_valid(message))
        return false;
    *out = id;
    return true;
}
