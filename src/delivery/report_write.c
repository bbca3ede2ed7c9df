#include "delivery/report_write.h"

#include "base/id.h"
#include "base/utf8.h"
#include "codec/header.h"
#include "codec/words.h"
#include "delivery/reported.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Octets of the fields of a recipient in the status part, its texts apart. */
enum { STATUS_FIELDS = 250 };

static const enum dsn_action actions[] = {
    [REPORT_FAILED] = DSN_FAILED,
    [REPORT_DELAYED] = DSN_DELAYED,
    [REPORT_DELIVERED] = DSN_DELIVERED,
    [REPORT_RELAYED] = DSN_RELAYED,
};

/* ---- whom ---- */

static int open_letter(struct round *r)
{
    return r->letter->id == r->id ? 0 : letter_open(r->letter, &r->facts);
}

static void read_reporting(struct round *r, slice fields)
{
    r->reverse_path = arena_dup(&r->arena, record_get(fields, TAG_REVERSE_PATH));
    r->envid = arena_dup(&r->arena, record_get(fields, TAG_ENVID));
    uint64_t ret = record_get_u64(fields, TAG_RET);
    r->ret = ret == RET_FULL || ret == RET_HDRS ? (enum dsn_ret)ret : RET_NONE;
}

/* Sender and so on: kept with what failed, else from the message's own record. */
static int find_message(struct round *r)
{
    struct parcel *p = queue_find(r->courier->queue, r->id);
    r->facts = p->facts;
    while (p && !p->reporting)
        p = queue_also(p);
    if (p) {
        read_reporting(r, slice_make(p->reporting->bytes, p->reporting->len));
        return 0;
    }
    int err = open_letter(r);
    if (err < 0)
        return err;
    struct buf reporting = BUF_INIT;
    letter_reporting(r->letter, &reporting);
    err = reporting.error;
    read_reporting(r, buf_slice(&reporting));
    buf_fini(&reporting);
    return err;
}

/* "550 no such user", or our own words. */
static slice diagnostic_of(struct arena *a, const struct trouble *t)
{
    slice text = trouble_reply(t);
    return t->code == 0 ? text : arena_printf(a, "%u %.*s", t->code, SLICE_ARG(text));
}

/* What is said of an attempt: the host is named when it spoke. */
static void describe(struct round *r, const struct trouble *t, struct dsn_recipient *out)
{
    slice remote = trouble_remote(t);
    ptrdiff_t blank = slice_find(remote, ' '); /* "name [address]:port" */
    out->status = t->status;
    out->diagnostic = diagnostic_of(&r->arena, t);
    out->last_attempt = t->at;
    if (t->code != 0)
        out->remote = blank < 0 ? remote : slice_to(remote, (size_t)blank);
}

static void name(struct round *r, const struct dsn_recipient *who)
{
    if (r->count == r->room) {
        r->room = r->room ? r->room * 2 : 16;
        r->list = xrealloc(r->list, r->room, sizeof(r->list[0]));
    }
    r->list[r->count++] = *who;
    r->status_bytes += STATUS_FIELDS + who->address.len + who->orcpt.len + who->remote.len +
                       who->diagnostic.len;
    r->is_full = r->count == REPORT_RECIPIENTS_MAX || r->status_bytes >= REPORT_STATUS_MAX;
}

/* A status class that fits: a host's 4.x.x of a recipient that was given up is a failure now
 * (RFC 3464 section 2.3.4), and one of success may be missing. */
static void mend_status(struct dsn_recipient *who)
{
    unsigned class = who->action == DSN_FAILED ? 5 : who->action == DSN_DELAYED ? 4 : 2;
    if (who->status.class == class)
        return;
    bool is_expired = who->action == DSN_FAILED && who->status.class == 4;
    who->status = (struct enhanced){(uint16_t) class, is_expired ? 4 : 0, is_expired ? 7 : 0};
}

static enum report report_of(const struct round *r, const struct recipient *who,
                             unsigned notify)
{
    if (who->state == RECIPIENT_TAKEN)
        return (enum report)who->trouble->report;
    return notify_of_failure(notify, r->reverse_path.len > 0);
}

/* One that failed, or was taken and its sender wants to know. */
static void take_finished(struct round *r, const struct recipient *who)
{
    slice facts = who->trouble ? trouble_facts(who->trouble) : (slice){0};
    slice address = record_get(facts, TAG_RECIPIENT);
    unsigned notify = (unsigned)record_get_u64(facts, TAG_RECIPIENT_NOTIFY);
    enum report report = address.len > 0 ? report_of(r, who, notify) : REPORT_IMPOSSIBLE;
    reported_put(&r->groups, who->index, report);
    if (report == REPORT_UNWANTED || report == REPORT_IMPOSSIBLE) {
        ++*(report == REPORT_UNWANTED ? &r->unwanted : &r->impossible);
        return;
    }
    struct dsn_recipient out = {
        .address = address,
        .orcpt = record_get(facts, TAG_RECIPIENT_ORCPT),
        .action = actions[report],
    };
    describe(r, who->trouble, &out);
    mend_status(&out);
    if (report == REPORT_DELIVERED)
        out.diagnostic = (slice){0}; /* a directory of ours says nothing to the sender */
    r->has_failed |= report == REPORT_FAILED;
    name(r, &out);
}

static void take_all_finished(struct round *r)
{
    struct parcel *p = queue_find(r->courier->queue, r->id);
    for (; p && !r->is_full; p = queue_also(p)) {
        if (p->failed == 0)
            continue;
        for (uint32_t i = 0; i < p->count && !r->is_full; i++) {
            uint8_t state = p->recipients[i].state;
            if (state >= RECIPIENT_FAILED && state <= RECIPIENT_TAKEN)
                take_finished(r, &p->recipients[i]);
        }
    }
}

/* ---- delays ---- */

static void take_delayed(struct round *r, struct recipient *who,
                         const struct relay_recipient *read)
{
    enum report report = notify_of_delay(read->params.notify, r->reverse_path.len > 0);
    if (report == REPORT_NONE) {
        who->flags |= RECIPIENT_WARNED; /* nobody wants to know: that needs no record */
        return;
    }
    struct dsn_recipient out = {
        .address = arena_dup(&r->arena, read->address),
        .orcpt = arena_dup(&r->arena, read->params.orcpt),
        .action = DSN_DELAYED,
        .retry_until = r->facts.accepted + r->expiry,
    };
    if (who->trouble)
        describe(r, who->trouble, &out);
    mend_status(&out);
    reported_put(&r->groups, who->index, REPORT_DELAYED);
    name(r, &out);
}

static int take_delays_of(struct round *r, struct parcel *p)
{
    uint32_t *indexes = arena_array(&r->arena, uint32_t, p->count);
    struct relay_recipient *read = arena_array(&r->arena, struct relay_recipient, p->count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (recipient_is_delayed(&p->recipients[i]))
            indexes[count++] = p->recipients[i].index;
    if (count == 0)
        return 0;
    int err = open_letter(r);
    if (err == 0)
        err = letter_recipients(r->letter, indexes, count, read);
    for (uint32_t i = 0; i < count && err == 0 && !r->is_full; i++)
        take_delayed(r, parcel_recipient(p, indexes[i]), &read[i]);
    return err;
}

static int take_delays(struct round *r)
{
    int err = 0;
    if (r->warn_after == 0 || r->now - r->facts.accepted < r->warn_after)
        return 0;
    struct parcel *p = queue_find(r->courier->queue, r->id);
    for (; p && !r->is_full && err == 0; p = queue_also(p))
        if (p->living > 0 && !parcel_is_stopped(p))
            err = take_delays_of(r, p);
    return err;
}

int round_collect(struct round *r)
{
    if (!queue_find(r->courier->queue, r->id))
        return 0;
    int err = find_message(r);
    if (err < 0)
        return err;
    reported_put_head(&r->groups, r->id);
    size_t head = r->groups.len;
    take_all_finished(r);
    err = take_delays(r);
    if (r->groups.error)
        return r->groups.error;
    if (r->groups.len > head)
        return 1; /* what failed is told, whatever is wrong with the record */
    return err;
}

void round_fini(struct round *r)
{
    letter_close(r->letter);
    buf_fini(&r->groups);
    free(r->list);
    arena_fini(&r->arena);
}

/* ---- the mail ---- */

static slice subject_of(struct round *r, slice header)
{
    struct header_field f;
    while (header_next(&header, &f) == HEADER_FIELD)
        if (slice_ieq(f.name, SLICE("Subject")))
            return words_decode(&r->arena, header_unfold(&r->arena, f.value));
    return (slice){0};
}

static slice cut_at_line(slice s, size_t max)
{
    if (s.len <= max)
        return s;
    ptrdiff_t end = slice_rfind(slice_to(s, max), '\n');
    return slice_to(s, end < 0 ? 0 : (size_t)end + 1);
}

/* What is returned of the message, as far as it can still be read: its header, or all of it. */
static void quote(struct round *r, struct dsn_facts *f)
{
    slice piece;
    if (open_letter(r) < 0 || letter_piece(r->letter, &piece) <= 0)
        return;
    size_t end = header_end(piece, 0);
    slice header = end > 0 ? slice_to(piece, end - 2) : piece;
    f->subject = subject_of(r, header);
    f->is_whole = r->has_failed && r->ret == RET_FULL && r->letter->size <= REPORT_FULL_MAX &&
                  piece.len == r->letter->size;
    f->original = f->is_whole ? piece : cut_at_line(header, REPORT_HEADER_MAX);
}

static slice language_of(struct round *r)
{
    struct account account;
    bool is_known =
        directory_account(r->courier->directory, r->facts.account, r->now, &r->arena, &account);
    return is_known ? account.language : SLICE("en");
}

static void put_envelope(const struct round *r, uint64_t id, const struct buf *body,
                         struct buf *fields)
{
    char text[ID_TEXT_LEN + 1], message_id[ID_TEXT_LEN + 300];
    uint64_t flags = (utf8_is_ascii(buf_slice(body)) ? 0 : MESSAGE_8BITMIME) |
                     (utf8_is_ascii(r->reverse_path) ? 0 : MESSAGE_SMTPUTF8);
    id_format(id, text);
    int n = snprintf(message_id, sizeof(message_id), "<%s.dsn@%.*s>", text,
                     SLICE_ARG(slice_to(r->hostname, 255)));
    record_put_u64(fields, TAG_ID, id);
    record_put(fields, TAG_REVERSE_PATH, SLICE(""));
    record_put(fields, TAG_RECIPIENT, r->reverse_path);
    record_put_u64(fields, TAG_RECIPIENT_NOTIFY, NOTIFY_NEVER); /* RFC 3461 section 6.1 */
    if (flags != 0)
        record_put_u64(fields, TAG_MESSAGE_FLAGS, flags);
    record_put_u64(fields, TAG_OCTETS, body->len);
    record_put(fields, TAG_MESSAGE_ID, slice_make(message_id, (size_t)n));
}

int round_write(struct round *r, uint64_t id, struct buf *fields, struct buf *body)
{
    if (id != 0) {
        struct dsn_facts f = {
            .reporting_mta = r->hostname,
            .to = r->reverse_path,
            .language = language_of(r),
            .id = id,
            .original_id = r->id,
            .envid = r->envid,
            .arrived = r->facts.accepted,
            .at = r->now,
            .recipients = r->list,
            .recipient_count = r->count,
        };
        quote(r, &f);
        dsn_write(body, &f);
        put_envelope(r, id, body, fields);
    }
    buf_append(fields, buf_slice(&r->groups));
    return fields->error ? fields->error : body->error;
}
