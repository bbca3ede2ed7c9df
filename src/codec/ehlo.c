#include "codec/ehlo.h"

static const struct {
    slice keyword;
    enum ehlo_extension extension;
} extensions[] = {
    {SLICE_INIT("PIPELINING"), EHLO_PIPELINING},
    {SLICE_INIT("SIZE"), EHLO_SIZE},
    {SLICE_INIT("8BITMIME"), EHLO_8BITMIME},
    {SLICE_INIT("SMTPUTF8"), EHLO_SMTPUTF8},
    {SLICE_INIT("STARTTLS"), EHLO_STARTTLS},
    {SLICE_INIT("ENHANCEDSTATUSCODES"), EHLO_ENHANCEDSTATUSCODES},
    {SLICE_INIT("CHUNKING"), EHLO_CHUNKING},
    {SLICE_INIT("DSN"), EHLO_DSN},
    {SLICE_INIT("AUTH"), EHLO_AUTH},
    {SLICE_INIT("LIMITS"), EHLO_LIMITS},
    {SLICE_INIT("XSCRIPT"), EHLO_XSCRIPT},
    {SLICE_INIT("XQUEUE"), EHLO_XQUEUE},
};

static const struct {
    slice name;
    enum ehlo_auth mechanism;
} mechanisms[] = {
    {SLICE_INIT("PLAIN"), EHLO_AUTH_PLAIN},
    {SLICE_INIT("LOGIN"), EHLO_AUTH_LOGIN},
    {SLICE_INIT("EXTERNAL"), EHLO_AUTH_EXTERNAL},
};

static bool next_word(slice *text, slice *word)
{
    *text = slice_trim(*text);
    return slice_split(text, ' ', word);
}

static void note_auth(struct ehlo *e, slice words)
{
    slice word;
    while (next_word(&words, &word))
        for (size_t i = 0; i < COUNT_OF(mechanisms); i++)
            if (slice_ieq(word, mechanisms[i].name))
                e->auth |= mechanisms[i].mechanism;
}

static void note_limit(slice word, slice prefix, uint32_t *limit)
{
    uint64_t n;
    if (slice_istarts(word, prefix) && slice_to_u64(slice_from(word, prefix.len), &n))
        *limit = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static void note_limits(struct ehlo *e, slice words)
{
    slice word;
    while (next_word(&words, &word)) {
        note_limit(word, SLICE("RCPTMAX="), &e->rcpt_max);
        note_limit(word, SLICE("MAILMAX="), &e->mail_max);
    }
}

void ehlo_line(struct ehlo *e, slice text)
{
    static const slice old_auth = SLICE_INIT("AUTH=");
    slice word;
    if (!next_word(&text, &word))
        return;
    if (slice_istarts(word, old_auth)) {
        /* "AUTH=PLAIN LOGIN", as servers wrote before RFC 2554 */
        e->extensions |= EHLO_AUTH;
        note_auth(e, slice_from(word, old_auth.len));
        note_auth(e, text);
        return;
    }
    unsigned found = 0;
    for (size_t i = 0; i < COUNT_OF(extensions); i++)
        if (slice_ieq(word, extensions[i].keyword))
            found = extensions[i].extension;
    e->extensions |= found;
    if (found == EHLO_AUTH)
        note_auth(e, text);
    if (found == EHLO_LIMITS)
        note_limits(e, text);
    uint64_t size;
    if (found == EHLO_SIZE && slice_to_u64(slice_trim(text), &size))
        e->size = size;
}
