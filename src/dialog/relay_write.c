#include "dialog/relay_write.h"

#include "base/secret.h"
#include "codec/sasl.h"

enum { COMMAND_LINE_MAX = 512 };

void relay_write_command(struct buf *out, slice verb, slice argument)
{
    buf_append(out, verb);
    if (argument.len) {
        buf_byte(out, ' ');
        buf_append(out, argument);
    }
    buf_append(out, SLICE("\r\n"));
}

static bool has_control(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
            return true;
    return false;
}

/* No control character, so no line end; "<", ">" and " " only inside a quoted local part. */
static bool is_safe(slice address)
{
    bool is_quoted = false;
    if (has_control(address))
        return false;
    for (size_t i = 0; i < address.len; i++) {
        char c = address.ptr[i];
        if (c == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && c == '\\')
            i++;
        else if (!is_quoted && (c == '<' || c == '>' || c == ' '))
            return false;
    }
    return !is_quoted;
}

bool relay_write_is_safe(const struct relay_message *m)
{
    if (!is_safe(m->reverse_path))
        return false;
    for (size_t i = 0; i < m->recipient_count; i++)
        if (m->recipients[i].address.len == 0 || !is_safe(m->recipients[i].address))
            return false;
    return true;
}

static void write_path(struct buf *out, slice verb, slice address)
{
    buf_append(out, verb);
    buf_append(out, address);
    buf_byte(out, '>');
}

void relay_write_mail(struct buf *out, struct arena *a, const struct relay_message *m,
                      const struct ehlo *peer)
{
    write_path(out, SLICE("MAIL FROM:<"), m->reverse_path);
    if (peer->extensions & EHLO_SIZE)
        buf_printf(out, " SIZE=%llu", (unsigned long long)m->size);
    if (m->needs_8bit && peer->extensions & EHLO_8BITMIME)
        buf_append(out, SLICE(" BODY=8BITMIME"));
    if (m->needs_utf8)
        buf_append(out, SLICE(" SMTPUTF8"));
    if (peer->extensions & EHLO_DSN) {
        if (m->ret != RET_NONE)
            buf_append(out, m->ret == RET_FULL ? SLICE(" RET=FULL") : SLICE(" RET=HDRS"));
        if (m->envid.len) {
            buf_append(out, SLICE(" ENVID="));
            buf_append(out, xtext_encode(a, m->envid));
        }
    }
    buf_append(out, SLICE("\r\n"));
}

static void write_notify(struct buf *out, unsigned notify)
{
    static const struct {
        unsigned flag;
        char word[8];
    } words[] = {{NOTIFY_NEVER, "NEVER"},
                 {NOTIFY_SUCCESS, "SUCCESS"},
                 {NOTIFY_FAILURE, "FAILURE"},
                 {NOTIFY_DELAY, "DELAY"}};
    const char *separator = " NOTIFY=";
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (notify & words[i].flag) {
            buf_append(out, slice_of(separator));
            buf_append(out, slice_of(words[i].word));
            separator = ",";
        }
}

/* ORCPT is "type;address": the type is an atom and stays, the address is xtext (RFC 3461 4.2).
 */
static void write_orcpt(struct buf *out, struct arena *a, slice orcpt)
{
    slice type;
    if (!slice_split(&orcpt, ';', &type) || orcpt.len == 0)
        return;
    buf_append(out, SLICE(" ORCPT="));
    buf_append(out, xtext_encode(a, type));
    buf_byte(out, ';');
    buf_append(out, xtext_encode(a, orcpt));
}

void relay_write_rcpt(struct buf *out, struct arena *a, const struct relay_recipient *to,
                      const struct ehlo *peer)
{
    write_path(out, SLICE("RCPT TO:<"), to->address);
    if (peer->extensions & EHLO_DSN) {
        write_notify(out, to->params.notify);
        write_orcpt(out, a, to->params.orcpt);
    }
    buf_append(out, SLICE("\r\n"));
}

/* What the arena held of the secret is wiped: it is ours alone at this moment. */
static void forget(slice secret)
{
    secret_wipe((char *)(uintptr_t)secret.ptr, secret.len);
}

void relay_write_base64(struct buf *out, struct arena *a, slice text)
{
    slice encoded = base64_encode(a, text);
    relay_write_command(out, encoded, SLICE(""));
    forget(encoded);
}

static slice plain_message(struct arena *a, slice login, slice secret)
{
    size_t len = login.len + secret.len + 2;
    char *p = arena_alloc(a, len);
    memcpy(p + 1, login.ptr, login.len);
    if (secret.len)
        memcpy(p + 2 + login.len, secret.ptr, secret.len);
    return slice_make(p, len);
}

void relay_write_plain(struct buf *out, struct arena *a, slice login, slice secret)
{
    slice message = plain_message(a, login, secret);
    relay_write_base64(out, a, message);
    forget(message);
}

bool relay_write_auth_plain(struct buf *out, struct arena *a, slice login, slice secret)
{
    size_t encoded_len = (login.len + secret.len + 2 + 2) / 3 * 4;
    if (strlen("AUTH PLAIN ") + encoded_len + 2 > COMMAND_LINE_MAX) {
        relay_write_command(out, SLICE("AUTH PLAIN"), SLICE(""));
        return false;
    }
    buf_append(out, SLICE("AUTH PLAIN "));
    relay_write_plain(out, a, login, secret);
    return true;
}
