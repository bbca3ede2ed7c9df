#include "policy/submission_fixup.h"

#include "codec/header.h"
#include "policy/sender.h"

enum {
    FROM_MAILBOXES_MAX = 100,
    OFFENDER_MAX = 120, /* octets of a bad line or value that a reply shows */
};

/* The fields that this file knows. */
enum field {
    FIELD_OTHER,
    FIELD_FROM,
    FIELD_SENDER,
    FIELD_REPLY_TO,
    FIELD_TO,
    FIELD_CC,
    FIELD_BCC,
    FIELD_RESENT_BCC,
    FIELD_DATE,
    FIELD_SUBJECT,
    FIELD_MESSAGE_ID,
    FIELD_IN_REPLY_TO,
    FIELD_REFERENCES,
    FIELD_RECEIVED,
    FIELD_RETURN_PATH,
};

/* is_once: RFC 5322 section 3.6, but for Bcc, which does not leave the house. */
static const struct {
    slice name;
    bool is_once;
    bool is_removed;
} fields[] = {
    [FIELD_FROM] = {SLICE_INIT("From"), true, false},
    [FIELD_SENDER] = {SLICE_INIT("Sender"), true, false},
    [FIELD_REPLY_TO] = {SLICE_INIT("Reply-To"), true, false},
    [FIELD_TO] = {SLICE_INIT("To"), true, false},
    [FIELD_CC] = {SLICE_INIT("Cc"), true, false},
    [FIELD_BCC] = {SLICE_INIT("Bcc"), false, true},
    [FIELD_RESENT_BCC] = {SLICE_INIT("Resent-Bcc"), false, true},
    [FIELD_DATE] = {SLICE_INIT("Date"), true, false},
    [FIELD_SUBJECT] = {SLICE_INIT("Subject"), true, false},
    [FIELD_MESSAGE_ID] = {SLICE_INIT("Message-ID"), true, false},
    [FIELD_IN_REPLY_TO] = {SLICE_INIT("In-Reply-To"), true, false},
    [FIELD_REFERENCES] = {SLICE_INIT("References"), true, false},
    [FIELD_RECEIVED] = {SLICE_INIT("Received"), false, false},
    [FIELD_RETURN_PATH] = {SLICE_INIT("Return-Path"), false, true},
};

/* What one pass over the header found. */
struct survey {
    unsigned seen; /* bit per enum field */
    unsigned received;
    slice from;
    slice sender;
    slice message_id;
    slice subject;
};

/* Names come without the blanks that may stand before the colon: a "From :" is a From. */
static enum field field_of(slice name)
{
    for (size_t f = FIELD_OTHER + 1; f < COUNT_OF(fields); f++)
        if (slice_ieq(name, fields[f].name))
            return (enum field)f;
    return FIELD_OTHER;
}

static slice shown(struct arena *a, slice value)
{
    return slice_to(header_unfold(a, slice_to(value, OFFENDER_MAX)), OFFENDER_MAX);
}

static slice first_line(slice s)
{
    ptrdiff_t cr = slice_find(s, '\r');
    return cr < 0 ? s : slice_to(s, (size_t)cr);
}

static enum fixup_result survey_header(struct arena *a, slice header, unsigned hops_max,
                                       struct survey *found, slice *offender)
{
    struct header_field field;
    enum header_result r;
    while ((r = header_next(&header, &field)) == HEADER_FIELD) {
        enum field f = field_of(field.name);
        if (f != FIELD_OTHER && fields[f].is_once && (found->seen & 1u << f)) {
            *offender = fields[f].name;
            return f == FIELD_FROM     ? FIXUP_FROM_TWICE
                   : f == FIELD_SENDER ? FIXUP_SENDER_SYNTAX
                                       : FIXUP_DUPLICATE;
        }
        found->seen |= 1u << f;
        if (f == FIELD_FROM)
            found->from = field.value;
        else if (f == FIELD_SENDER)
            found->sender = field.value;
        else if (f == FIELD_MESSAGE_ID)
            found->message_id = field.value;
        else if (f == FIELD_SUBJECT)
            found->subject = field.value;
        else if (f == FIELD_RECEIVED && ++found->received > hops_max)
            return FIXUP_LOOP;
    }
    if (r == HEADER_BAD) {
        *offender = shown(a, first_line(header));
        return FIXUP_BAD_HEADER;
    }
    return FIXUP_OK;
}

static enum fixup_result check_from(struct arena *a, const struct account *account,
                                    const struct survey *found, slice *offender)
{
    if (!(found->seen & 1u << FIELD_FROM))
        return account->right == SENDERS_ANY ? FIXUP_OK : FIXUP_FROM_MISSING;
    slice *boxes;
    size_t count;
    if (header_mailboxes(a, found->from, FROM_MAILBOXES_MAX, &boxes, &count) != MAILBOXES_OK ||
        count == 0) {
        *offender = shown(a, found->from);
        return FIXUP_FROM_SYNTAX;
    }
    for (size_t i = 0; i < count; i++) {
        if (!sender_may_use(account, boxes[i])) {
            *offender = boxes[i];
            return FIXUP_FROM_DENIED;
        }
    }
    return FIXUP_OK;
}

static enum fixup_result check_sender(struct arena *a, const struct account *account,
                                      const struct survey *found, slice *offender)
{
    if (!(found->seen & 1u << FIELD_SENDER))
        return FIXUP_OK;
    slice *boxes;
    size_t count;
    if (header_mailboxes(a, found->sender, 1, &boxes, &count) != MAILBOXES_OK || count != 1) {
        *offender = shown(a, found->sender);
        return FIXUP_SENDER_SYNTAX;
    }
    if (!sender_may_use(account, boxes[0])) {
        *offender = boxes[0];
        return FIXUP_SENDER_DENIED;
    }
    return FIXUP_OK;
}

/* Copies the block without the removed fields, in as few runs as there are gaps. */
static void copy_kept(slice header, struct buf *out)
{
    slice rest = header;
    slice run = {header.ptr, 0};
    struct header_field field;
    while (header_next(&rest, &field) == HEADER_FIELD) {
        enum field f = field_of(field.name);
        if (f != FIELD_OTHER && fields[f].is_removed) {
            run.len = (size_t)(field.raw.ptr - run.ptr);
            buf_append(out, run);
            run.ptr = field.raw.ptr + field.raw.len;
        }
    }
    if (header.len == 0)
        return;
    run.len = (size_t)(header.ptr + header.len - run.ptr);
    buf_append(out, run);
}

/* Our fields go on top: below them every byte stands as it was received. */
static void add_missing(struct arena *a, const struct fixup_request *q,
                        const struct survey *found, struct buf *out, slice *message_id)
{
    trace_received(out, q->trace);
    if (!(found->seen & 1u << FIELD_DATE))
        trace_date(out, q->trace->at);
    if (found->seen & 1u << FIELD_MESSAGE_ID) {
        *message_id = header_unfold(a, found->message_id);
        return;
    }
    size_t before = out->len;
    trace_message_id(out, q->trace->id, q->trace->by);
    if (out->error)
        return;
    slice field = slice_from(buf_slice(out), before);
    slice value = slice_from(first_line(field), sizeof("Message-ID:") - 1);
    *message_id = arena_dup(a, slice_trim(value));
}

/* Its beginning; a character is whole or not there. */
static slice subject_of(struct arena *a, slice value)
{
    slice text = header_unfold(a, slice_to(value, 2 * SUBMISSION_SUBJECT_MAX));
    size_t len = slice_to(text, SUBMISSION_SUBJECT_MAX).len;
    while (len < text.len && len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    while (len > 0 && text.ptr[len - 1] == '\r') /* it was cut within a fold */
        len--;
    return slice_to(text, len);
}

enum fixup_result submission_fixup(struct arena *a, const struct fixup_request *q, slice header,
                                   struct buf *out, struct fixup_answer *answer)
{
    struct survey found = {0};
    slice offender = {0};
    enum fixup_result r = survey_header(a, header, q->hops_max, &found, &offender);
    if (r == FIXUP_OK)
        r = check_from(a, q->account, &found, &offender);
    if (r == FIXUP_OK)
        r = check_sender(a, q->account, &found, &offender);
    *answer = (struct fixup_answer){.offender = offender};
    if (r != FIXUP_OK)
        return r;
    /* the header, our Received, Date and Message-ID */
    buf_reserve(out, header.len + 1024);
    add_missing(a, q, &found, out, &answer->message_id);
    copy_kept(header, out);
    answer->subject = subject_of(a, found.subject);
    return FIXUP_OK;
}
