#include "control/projection_inside.h"

#include <errno.h>

/* ---- messages ---- */

static size_t count_recipients(slice fields)
{
    struct record_field f;
    size_t count = 0;
    while (record_next(&fields, &f) > 0 && f.tag != TAG_RECIPIENT_INDEX)
        count += f.tag == TAG_RECIPIENT;
    return count;
}

/* False for a field that is not the message's own. */
static bool take_text(struct ledger_message *m, const struct record_field *f)
{
    slice *const to = f->tag == TAG_REVERSE_PATH        ? &m->reverse_path
                      : f->tag == TAG_CLIENT            ? &m->client
                      : f->tag == TAG_HELO              ? &m->helo
                      : f->tag == TAG_PROTOCOL          ? &m->protocol
                      : f->tag == TAG_LISTENER          ? &m->listener
                      : f->tag == TAG_LOGIN             ? &m->login
                      : f->tag == TAG_TLS               ? &m->tls
                      : f->tag == TAG_MESSAGE_ID        ? &m->message_id
                      : f->tag == TAG_SUBJECT           ? &m->subject
                      : f->tag == TAG_SCRIPT            ? &m->script
                      : f->tag == TAG_WORKING_DIRECTORY ? &m->directory
                                                        : NULL;
    if (to)
        *to = f->value;
    return to != NULL;
}

/* Of a message that was carried forward the record has groups of those recipients that were
 * still in the queue; what became of the others is not known, if the ledger does not know the
 * message: they are left out. */
static size_t keep_carried(struct ledger_recipient *to, size_t count, slice fields)
{
    struct record_field f;
    size_t kept = 0;
    while (record_next(&fields, &f) > 0)
        if (f.tag == TAG_RECIPIENT_INDEX && f.number < count && f.number >= kept)
            to[kept++] = to[f.number];
    return kept;
}

static int put_message(struct ledger *l, const struct journal_record *r, struct arena *a)
{
    const struct record_header *h = &r->header;
    struct ledger_message m = {
        .at = h->at,
        .customer = h->customer,
        .account = h->account,
        .credential = h->credential,
        .session = h->session,
        .recipient_count = count_recipients(r->fields),
    };
    struct ledger_recipient *to =
        arena_array(a, struct ledger_recipient, (size_t)m.recipient_count);
    slice rest = r->fields;
    struct record_field f;
    int more;
    m.recipients = to;
    while ((more = record_next(&rest, &f)) > 0 && f.tag != TAG_RECIPIENT_INDEX) {
        if (take_text(&m, &f))
            continue;
        if (f.tag == TAG_RECIPIENT) {
            to[m.count] = (struct ledger_recipient){.index = (uint32_t)m.count};
            to[m.count++].address = f.value;
        } else if (f.tag == TAG_ID) {
            m.id = f.number;
        } else if (f.tag == TAG_OCTETS) {
            m.octets = f.number;
        } else if (f.tag == TAG_ORIGIN_STAMP) {
            m.at = (stamp)f.number;
        }
    }
    if (more < 0 || m.id == 0)
        return -EBADMSG;
    if (h->type == RECORD_CARRIED)
        m.count = keep_carried(to, m.count, r->fields);
    /* One that was carried forward was counted when it was accepted. */
    return ledger_put_message(l, &m, h->type == RECORD_MESSAGE);
}

/* ---- outcomes: first the message's fields, then one group per recipient ---- */

struct group {
    uint32_t index;
    struct ledger_attempt attempt;
};

static bool is_sensible(const struct ledger_attempt *a)
{
    return a->outcome >= OUTCOME_DELIVERED && a->outcome <= OUTCOME_SUPPRESSED &&
           (unsigned)a->stage < STAGE_COUNT && a->code <= 999 && a->next >= 0;
}

static void take_field(struct ledger_attempt *a, const struct record_field *f)
{
    switch ((unsigned)f->tag) {
    case TAG_OUTCOME:
        a->outcome = (enum outcome_kind)f->number;
        break;
    case TAG_ATTEMPT:
        a->number = (uint32_t)f->number;
        break;
    case TAG_STAGE:
        a->stage = (enum relay_stage)f->number;
        break;
    case TAG_CODE:
        a->code = (uint32_t)f->number;
        break;
    case TAG_ENHANCED:
        a->enhanced = f->value;
        break;
    case TAG_REPLY:
        a->reply = f->value;
        break;
    case TAG_REMOTE:
        a->remote = f->value;
        break;
    case TAG_TLS:
        a->tls = f->value;
        break;
    case TAG_NEXT_ATTEMPT:
        a->next = (stamp)f->number;
        break;
    default:
        break;
    }
}

static int finish_group(struct ledger *l, const struct journal_record *r, uint64_t id,
                        const struct group *g)
{
    if (!is_sensible(&g->attempt))
        return -EBADMSG;
    return ledger_put_attempt(l, id, g->index, r->header.account, &g->attempt);
}

static int put_outcome(struct ledger *l, const struct journal_record *r)
{
    struct group common = {.attempt = {.at = r->header.at}};
    struct group g = {0};
    uint64_t id = record_get_u64(r->fields, TAG_ID);
    slice rest = r->fields;
    struct record_field f;
    bool has_group = false;
    int rc = id == 0 ? -EBADMSG : 0;
    int more = 0;
    while (rc == 0 && (more = record_next(&rest, &f)) > 0) {
        if (f.tag == TAG_RECIPIENT_INDEX) {
            if (has_group)
                rc = finish_group(l, r, id, &g);
            g = common;
            g.index = (uint32_t)f.number;
            has_group = true;
        } else {
            take_field(has_group ? &g.attempt : &common.attempt, &f);
        }
    }
    if (rc == 0 && has_group)
        rc = finish_group(l, r, id, &g);
    return rc == 0 && more < 0 ? -EBADMSG : rc;
}

/* ---- notifications: the fields of the mail, if there is one, then whom it reports ---- */

static int put_reports(struct ledger *l, const struct journal_record *r)
{
    struct ledger_report report = {
        .at = r->header.at,
        .notification = record_get_u64(r->fields, TAG_ID),
    };
    uint64_t message = 0;
    uint32_t index = 0;
    slice rest = r->fields;
    struct record_field f;
    int rc = 0;
    int more = 0;
    while (rc == 0 && (more = record_next(&rest, &f)) > 0) {
        if (f.tag == TAG_REPORTS) {
            message = f.number;
        } else if (f.tag == TAG_RECIPIENT_INDEX) {
            index = (uint32_t)f.number;
        } else if (f.tag == TAG_REPORT) {
            bool is_known = f.number > REPORT_NONE && f.number <= REPORT_IMPOSSIBLE;
            bool is_told = f.number < REPORT_UNWANTED;
            struct ledger_report one = report;
            one.report = (enum report)f.number;
            one.notification = is_told ? report.notification : 0;
            rc = is_known ? ledger_put_report(l, message, index, &one) : -EBADMSG;
        }
    }
    return rc == 0 && more < 0 ? -EBADMSG : rc;
}

static int put_notification(struct ledger *l, const struct journal_record *r, struct arena *a)
{
    int rc = record_get_u64(r->fields, TAG_ID) != 0 ? put_message(l, r, a) : 0;
    return rc < 0 ? rc : put_reports(l, r);
}

int projection_put(struct ledger *l, const struct journal_record *record, struct arena *a)
{
    switch ((unsigned)record->header.type) {
    case RECORD_MESSAGE:
    case RECORD_CARRIED:
        return put_message(l, record, a);
    case RECORD_DSN:
        return put_notification(l, record, a);
    case RECORD_USE:
        return ledger_put_use(l, record->header.account, record->header.at,
                              record_get_u64(record->fields, TAG_RECIPIENTS),
                              record_get_u64(record->fields, TAG_OCTETS));
    case RECORD_OUTCOME:
        return put_outcome(l, record);
    case RECORD_DIRECTORY:
        return projection_put_directory(l, record);
    case RECORD_NOTICE:
        return projection_put_notice(l, record);
    case RECORD_REFUSALS:
        return projection_put_refusals(l, record);
    case RECORD_LOCK:
        return projection_put_lock(l, record);
    case RECORD_SIGN_IN:
    case RECORD_COMMAND:
        return 0;
    default:
        return record->header.flags & RECORD_SKIPPABLE ? 0 : -ENOTSUP;
    }
}
