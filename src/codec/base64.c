#include "codec/base64.h"

const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode_group(const unsigned char *in, size_t n, char out[4])
{
    uint32_t bits = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) |
                    (n > 2 ? (uint32_t)in[2] : 0);
    for (size_t i = 0; i < 4; i++)
        out[i] = i <= n ? base64_alphabet[bits >> (18 - 6 * i) & 63] : '=';
}

void base64_write_lines(struct buf *out, slice bytes, size_t width)
{
    size_t column = 0;
    for (size_t i = 0; i < bytes.len; i += 3) {
        char group[4];
        size_t left = bytes.len - i;
        encode_group((const unsigned char *)bytes.ptr + i, left < 3 ? left : 3, group);
        buf_append(out, slice_make(group, sizeof(group)));
        column += sizeof(group);
        if (column == width) {
            buf_append(out, SLICE("\r\n"));
            column = 0;
        }
    }
    if (column > 0)
        buf_append(out, SLICE("\r\n"));
}

int base64_sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

struct decoder {
    struct buf *out;
    uint32_t bits;
    unsigned have;    /* characters of the running group */
    unsigned padding; /* of them, "=" */
};

/* A whole group; false when its padding leaves bits over. */
static bool end_group(struct decoder *d)
{
    char octets[3] = {(char)(d->bits >> 16), (char)(d->bits >> 8), (char)d->bits};
    unsigned count = 3 - d->padding;
    for (unsigned i = count; i < 3; i++)
        if (octets[i] != 0)
            return false;
    if (d->out)
        buf_append(d->out, slice_make(octets, count));
    d->bits = 0;
    d->have = 0;
    return true;
}

static bool take(struct decoder *d, char c)
{
    int six = base64_sextet(c);
    bool is_padding = c == '=' && d->have >= 2;
    if ((six < 0 && !is_padding) || (d->padding > 0 && !is_padding))
        return false;
    d->padding += is_padding;
    d->bits = d->bits << 6 | (is_padding ? 0 : (uint32_t)six);
    return ++d->have < 4 || end_group(d);
}

bool base64_read(struct buf *out, slice text)
{
    struct decoder d = {.out = out};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_blank = c == '\r' || c == '\n' || c == ' ' || c == '\t';
        if (!is_blank && !take(&d, c))
            return false;
    }
    return d.have == 0;
}
