#include "delivery/letter.h"

#include "base/arena.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_SIZE = 256, KEEP_BYTES = 512 * 1024 };

int letter_store_open(struct letter_store **out, struct env *env)
{
    struct letter_store *s = xcalloc(1, sizeof(*s));
    int err = journal_store_open(&s->accepted, env, "journal/smtpd");
    if (err == 0)
        err = journal_store_open(&s->own, env, "journal/delivery");
    if (err < 0) {
        letter_store_close(&s);
        return err;
    }
    *out = s;
    return 0;
}

void letter_store_follow(struct letter_store *s, const struct watermark *accepted,
                         const struct watermark *own)
{
    journal_store_follow(s->accepted, accepted);
    journal_store_follow(s->own, own);
}

void letter_store_close(struct letter_store **at)
{
    struct letter_store *s = *at;
    if (!s)
        return;
    *at = NULL;
    journal_store_close(&s->accepted);
    journal_store_close(&s->own);
    free(s);
}

struct journal_store *letter_journal(const struct letter_store *s, const struct parcel_facts *f)
{
    return f->flags & PARCEL_OWN ? s->own : s->accepted;
}

void letter_init(struct letter *l, struct env *env, const struct letter_store *store)
{
    *l = (struct letter){.env = env, .store = store, .fd = -1};
}

void letter_fini(struct letter *l)
{
    letter_close(l);
    buf_fini(&l->bytes);
    buf_fini(&l->more);
}

void letter_close(struct letter *l)
{
    if (l->fd >= 0)
        env_close(l->env, l->fd);
    l->fd = -1;
    if (l->bytes.cap > KEEP_BYTES)
        buf_fini(&l->bytes);
    buf_fini(&l->more);
    l->fields = l->first = l->reverse_path = (slice){0};
    l->id = 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What was read is what was written, and of the record that the queue means. */
static int check_record(struct letter *l, const struct parcel_facts *f, uint64_t seed)
{
    int err = record_decode_header(l->bytes.ptr, &l->header);
    if (err < 0)
        return err;
    if (l->header.fields_len != f->fields_len || l->header.body_len != f->body_len)
        return -EBADMSG;
    l->fields = slice_make(l->bytes.ptr + RECORD_HEADER_LEN, f->fields_len);
    l->first = slice_from(buf_slice(&l->bytes), RECORD_HEADER_LEN + (size_t)f->fields_len);
    if (!record_head_is_whole(l->bytes.ptr, l->fields, seed))
        return -EBADMSG;
    struct iovec body = {(void *)(uintptr_t)l->first.ptr, l->first.len};
    if (l->first.len == f->body_len && record_body_sum(&body, 1, seed) != l->header.body_sum)
        return -EBADMSG;
    return 0;
}

static int read_record(struct letter *l, const struct parcel_facts *f, uint64_t body_max)
{
    uint64_t head = RECORD_HEADER_LEN + (uint64_t)f->fields_len;
    size_t len = (size_t)(head + smaller(f->body_len, body_max));
    uint64_t seed;
    buf_clear(&l->bytes);
    l->journal = letter_journal(l->store, f);
    int err = buf_reserve(&l->bytes, len);
    if (err == 0)
        err = journal_pread_record(l->journal, f->position, l->bytes.ptr, len, &seed);
    if (err < 0)
        return err;
    l->bytes.len = len;
    l->position = f->position + head;
    l->size = f->body_len;
    l->given = 0;
    return check_record(l, f, seed);
}

static int open_file(struct letter *l, slice name, uint64_t len)
{
    char path[PATH_SIZE];
    uint64_t size;
    if (name.len >= sizeof(path) || memchr(name.ptr, '\0', name.len))
        return -EBADMSG;
    snprintf(path, sizeof(path), "%.*s", SLICE_ARG(name));
    int fd = env_open(l->env, path, ENV_READ);
    if (fd < 0)
        return fd;
    l->fd = fd;
    int err = env_size(l->env, fd, &size);
    if (err == 0 && size != len)
        err = -EBADMSG;
    l->position = 0;
    l->size = len;
    return err;
}

static int read_fields(struct letter *l, uint64_t id)
{
    slice rest = l->fields;
    slice file = {0};
    uint64_t file_len = 0;
    struct record_field f;
    int more;
    l->accepted = l->header.at;
    while ((more = record_next(&rest, &f)) > 0) {
        if (f.tag == TAG_ID)
            l->id = f.number;
        else if (f.tag == TAG_REVERSE_PATH)
            l->reverse_path = f.value;
        else if (f.tag == TAG_MESSAGE_FLAGS)
            l->flags = (unsigned)f.number;
        else if (f.tag == TAG_ORIGIN_STAMP)
            l->accepted = (stamp)f.number;
        else if (f.tag == TAG_FILE)
            file = f.value;
        else if (f.tag == TAG_FILE_LEN)
            file_len = f.number;
    }
    if (more < 0 || l->id != id)
        return -EBADMSG;
    return file.len > 0 ? open_file(l, file, file_len) : 0;
}

static int open_record(struct letter *l, const struct parcel_facts *f, uint64_t body_max)
{
    letter_close(l);
    l->flags = 0;
    int err = read_record(l, f, body_max);
    if (err == 0)
        err = read_fields(l, f->id);
    if (err < 0)
        letter_close(l);
    return err;
}

int letter_open(struct letter *l, const struct parcel_facts *f)
{
    return open_record(l, f, LETTER_PIECE);
}

int letter_open_envelope(struct letter *l, const struct parcel_facts *f)
{
    return open_record(l, f, 0);
}

int letter_recipients(const struct letter *l, const uint32_t *indexes, uint32_t count,
                      struct relay_recipient *out)
{
    slice rest = l->fields;
    struct record_field f;
    uint32_t index = 0, n = 0;
    bool is_wanted = false; /* the last recipient seen is one of them */
    while (record_next(&rest, &f) > 0) {
        if (f.tag == TAG_RECIPIENT) {
            is_wanted = n < count && indexes[n] == index;
            if (is_wanted)
                out[n++] = (struct relay_recipient){.address = f.value, .index = index};
            else if (n == count)
                break;
            index++;
        } else if (is_wanted && f.tag == TAG_RECIPIENT_NOTIFY) {
            out[n - 1].params.notify = (unsigned)f.number;
        } else if (is_wanted && f.tag == TAG_RECIPIENT_ORCPT) {
            out[n - 1].params.orcpt = f.value;
        }
    }
    return n == count ? 0 : -EBADMSG;
}

/* Eight octets at a time: every message that is sent is looked at. */
static bool has_high(slice s)
{
    uint64_t seen = 0, word;
    size_t i = 0;
    for (; i + sizeof(word) <= s.len; i += sizeof(word)) {
        memcpy(&word, s.ptr + i, sizeof(word));
        seen |= word;
    }
    word = 0;
    if (i < s.len)
        memcpy(&word, s.ptr + i, s.len - i);
    return (seen | word) & 0x8080808080808080u;
}

/* SMTPUTF8 was declared; is it needed? Clients declare it as a matter of course, and a host
 * that does not offer it should get what is plain ASCII. */
static bool needs_utf8(const struct letter *l, const struct relay_recipient *recipients,
                       uint32_t count)
{
    if (!(l->flags & MESSAGE_SMTPUTF8))
        return false;
    if (has_high(l->reverse_path))
        return true;
    for (uint32_t i = 0; i < count; i++)
        if (has_high(recipients[i].address))
            return true;
    if (l->first.len == 0)
        return true; /* the header is in a file */
    ptrdiff_t end = slice_search(l->first, SLICE("\r\n\r\n"));
    return has_high(end < 0 ? l->first : slice_to(l->first, (size_t)end));
}

/* Clients declare 8BITMIME as a matter of course: what is at hand is looked at. Of content that
 * is longer the first piece and the word of the client must do. */
static bool needs_8bit(const struct letter *l)
{
    if (has_high(l->first))
        return true;
    return l->first.len < l->size && l->flags & MESSAGE_8BITMIME;
}

void letter_message(const struct letter *l, const struct relay_recipient *recipients,
                    uint32_t count, struct relay_message *out)
{
    *out = (struct relay_message){
        .reverse_path = l->reverse_path,
        .size = l->size,
        .needs_8bit = needs_8bit(l),
        .needs_utf8 = needs_utf8(l, recipients, count),
        .envid = record_get(l->fields, TAG_ENVID),
        .ret = (enum dsn_ret)record_get_u64(l->fields, TAG_RET),
        .recipients = recipients,
        .recipient_count = count,
    };
}

int letter_piece(struct letter *l, slice *out)
{
    if (l->given == l->size)
        return 0;
    if (l->fd < 0 && l->given < l->first.len) {
        *out = l->first;
        l->given = l->first.len;
        return 1;
    }
    size_t len = (size_t)smaller(l->size - l->given, LETTER_PIECE);
    buf_clear(&l->more);
    int err = buf_reserve(&l->more, len);
    if (err < 0)
        return err;
    if (l->fd < 0) {
        err = journal_pread(l->journal, l->position + l->given, l->more.ptr, len);
    } else {
        ssize_t n = env_read_full(l->env, l->fd, l->more.ptr, len, l->given);
        err = n < 0 ? (int)n : (size_t)n < len ? -EBADMSG : 0;
    }
    if (err < 0)
        return err;
    l->given += len;
    *out = slice_make(l->more.ptr, len);
    return 1;
}

static void put_text(struct buf *out, enum record_tag tag, slice s)
{
    if (s.len > 0)
        record_put(out, tag, s);
}

void letter_reporting(const struct letter *l, struct buf *out)
{
    uint64_t ret = record_get_u64(l->fields, TAG_RET);
    record_put(out, TAG_REVERSE_PATH, l->reverse_path);
    put_text(out, TAG_ENVID, record_get(l->fields, TAG_ENVID));
    if (ret != 0)
        record_put_u64(out, TAG_RET, ret);
    put_text(out, TAG_MESSAGE_ID, record_get(l->fields, TAG_MESSAGE_ID));
    record_put_u64(out, TAG_ORIGIN_STAMP, (uint64_t)l->accepted);
}

void letter_facts(const struct relay_recipient *r, struct buf *out)
{
    record_put(out, TAG_RECIPIENT, r->address);
    if (r->params.notify != 0)
        record_put_u64(out, TAG_RECIPIENT_NOTIFY, r->params.notify);
    put_text(out, TAG_RECIPIENT_ORCPT, r->params.orcpt);
}
