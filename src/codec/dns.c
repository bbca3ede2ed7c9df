#include "codec/dns.h"

enum { NAME_WIRE_MAX = 255, LABEL_MAX = 63 };

/* One name that fills the data. */
static bool read_name(struct arena *a, slice data, slice *out)
{
    if (data.len == 0 || data.len > NAME_WIRE_MAX)
        return false;
    char text[NAME_WIRE_MAX];
    size_t len = 0, at = 0;
    for (;;) {
        size_t label = (unsigned char)data.ptr[at++];
        if (label == 0)
            break;
        if (label > LABEL_MAX || label >= data.len - at)
            return false; /* a pointer, or no room for the root behind it */
        if (len > 0)
            text[len++] = '.';
        for (size_t i = 0; i < label; i++) {
            char c = data.ptr[at++];
            text[len++] = c > ' ' && c < 0x7f && c != '.' ? c : '?';
        }
    }
    if (at != data.len)
        return false;
    *out = arena_dup(a, slice_make(text, len));
    return true;
}

bool dns_mx_read(struct arena *a, slice data, uint16_t *preference, slice *host)
{
    if (data.len < 3 || !read_name(a, slice_from(data, 2), host))
        return false;
    *preference = (uint16_t)((unsigned char)data.ptr[0] << 8 | (unsigned char)data.ptr[1]);
    return true;
}

bool dns_address_read(slice data, struct address *out)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (data.len == 16 && memcmp(data.ptr, mapped, sizeof(mapped)) == 0)
        data = slice_from(data, sizeof(mapped));
    if (data.len != 4 && data.len != 16)
        return false;
    *out = (struct address){.family = data.len == 4 ? 4 : 6};
    memcpy(out->bytes, data.ptr, data.len);
    return true;
}

bool dns_tlsa_read(slice data, struct dns_tlsa *out)
{
    if (data.len < 4)
        return false;
    *out = (struct dns_tlsa){
        .usage = (unsigned char)data.ptr[0],
        .selector = (unsigned char)data.ptr[1],
        .matching = (unsigned char)data.ptr[2],
        .data = slice_from(data, 3),
    };
    return true;
}
