#include "policy/blocked.h"

static const slice about_us[] = {
    SLICE_INIT("client host"),
    SLICE_INIT("client address"),
    SLICE_INIT("client ip"),
    SLICE_INIT("your ip"),
    SLICE_INIT("your ip address"),
    SLICE_INIT("your server"),
    SLICE_INIT("your mail server"),
    SLICE_INIT("your network"),
    SLICE_INIT("your host"),
    SLICE_INIT("the ip is in"),
    SLICE_INIT("ip reputation"),
    SLICE_INIT("sending ip"),
    SLICE_INIT("sending host"),
    SLICE_INIT("sending server"),
    SLICE_INIT("connecting ip"),
    SLICE_INIT("our block list"),
    SLICE_INIT("our blocklist"),
    SLICE_INIT("our blacklist"),
    SLICE_INIT("reverse dns"),
    SLICE_INIT("ptr record"),
    SLICE_INIT("rdns"),
    SLICE_INIT("dnsbl"),
    SLICE_INIT("rbl"),
    SLICE_INIT("zen.spamhaus.org"),
    SLICE_INIT("bl.spamcop.net"),
    SLICE_INIT("sbl.spamhaus.org"),
    SLICE_INIT("pbl.spamhaus.org"),
    SLICE_INIT("xbl.spamhaus.org"),
    SLICE_INIT("b.barracudacentral.org"),
};

static const slice about_others[] = {
    SLICE_INIT("sender address"), SLICE_INIT("sender domain"), SLICE_INIT("from address"),
    SLICE_INIT("recipient"),      SLICE_INIT("helo command"),  SLICE_INIT("url"),
    SLICE_INIT("urls"),           SLICE_INIT("link"),          SLICE_INIT("links"),
    SLICE_INIT("content"),        SLICE_INIT("attachment"),    SLICE_INIT("spf"),
    SLICE_INIT("dkim"),           SLICE_INIT("dmarc"),         SLICE_INIT("dbl.spamhaus.org"),
    SLICE_INIT("relay"),          SLICE_INIT("relaying"),
};

static bool is_word_char(char c)
{
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* As whole words, whatever the case. */
static bool says(slice text, slice words)
{
    for (size_t i = 0; i + words.len <= text.len; i++) {
        bool begins = i == 0 || !is_word_char(text.ptr[i - 1]);
        bool ends = i + words.len == text.len || !is_word_char(text.ptr[i + words.len]);
        if (begins && ends && slice_ieq(slice_make(text.ptr + i, words.len), words))
            return true;
    }
    return false;
}

static bool says_any(slice text, const slice *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (says(text, list[i]))
            return true;
    return false;
}

bool blocked_is_our_address(slice text)
{
    return says_any(text, about_us, COUNT_OF(about_us)) &&
           !says_any(text, about_others, COUNT_OF(about_others));
}
