#include "smtpd/message.h"

#include "base/log.h"
#include "journal/large.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct message_piece {
    struct message_piece *next; /* in the pool */
    char bytes[MESSAGE_PIECE];
};

struct message {
    struct journal_entry entry;
    struct message_store *store;
    struct message *next; /* in the pool, or among the committed */
    message_fn *fn;
    void *ctx;
    uint64_t id;
    bool is_expected;
    bool is_committing;
    int error;      /* sticky: 0 or -errno */
    size_t charged; /* of the memory budget */
    size_t held;    /* of that, for the dialog */
    struct message_piece *pieces[MESSAGE_PIECES];
    struct iovec body[MESSAGE_PIECES]; /* what is in the pieces */
    unsigned piece_count;              /* pieces that it has */
    unsigned filled;                   /* pieces with bytes; the last one may have room */
    bool has_file;                     /* false: all of it is in the pieces */
    bool is_file_named;                /* it is durable, and nobody's yet */
    struct large file;
    struct job job;
    struct buf fields;
    size_t recipient_count;
    struct limiting_charge charge;
    struct token_claim *token;
};

static void on_committed(struct loop_task *t);
static void hand_over(struct limiting_after *a);

void message_store_init(struct message_store *st)
{
    st->task = (struct loop_task){.fn = on_committed};
    st->after = (struct limiting_after){.fn = hand_over};
    atomic_init(&st->committed, NULL);
}

void message_store_fini(struct message_store *st)
{
    while (st->spare_pieces) {
        struct message_piece *p = st->spare_pieces;
        st->spare_pieces = p->next;
        free(p);
    }
    while (st->spares) {
        struct message *m = st->spares;
        st->spares = m->next;
        buf_fini(&m->fields);
        free(m);
    }
}

static bool charge(struct message *m, size_t bytes)
{
    if (!limits_memory_take(m->store->limits, bytes))
        return false;
    m->charged += bytes;
    return true;
}

/* One more piece: 0, or -ENOSPC when the budget or the memory is used up. */
static int add_piece(struct message *m)
{
    struct message_store *st = m->store;
    if (!charge(m, MESSAGE_PIECE))
        return -ENOSPC;
    struct message_piece *p = st->spare_pieces;
    if (p) {
        st->spare_pieces = p->next;
        st->spare_piece_count--;
    } else {
        p = malloc(sizeof(*p));
        if (!p)
            return -ENOSPC;
    }
    m->pieces[m->piece_count++] = p;
    return 0;
}

static void give_pieces(struct message *m)
{
    struct message_store *st = m->store;
    for (unsigned i = 0; i < m->piece_count; i++) {
        struct message_piece *p = m->pieces[i];
        if (st->spare_piece_count >= MESSAGE_SPARE_PIECES) {
            free(p);
            continue;
        }
        p->next = st->spare_pieces;
        st->spare_pieces = p;
        st->spare_piece_count++;
    }
    m->piece_count = 0;
}

/* Gives back everything; the message may be used again by another. */
static void reuse(struct message *m)
{
    struct message_store *st = m->store;
    INVARIANT(!m->is_expected);
    if (m->has_file)
        large_abort(&m->file);
    give_pieces(m);
    limits_memory_give(st->limits, m->charged);
    st->open--;
    if (st->spare_count >= MESSAGE_SPARES) {
        buf_fini(&m->fields);
        free(m);
        return;
    }
    if (m->fields.cap > MESSAGE_FIELDS_KEPT)
        buf_fini(&m->fields);
    struct buf fields = m->fields;
    *m = (struct message){.fields = fields, .next = st->spares};
    st->spares = m;
    st->spare_count++;
}

static void message_release(struct message *m)
{
    struct message_store *st = m->store;
    reuse(m);
    if (st->on_release)
        st->on_release(st->ctx);
}

static struct message *message_take(struct message_store *st)
{
    struct message *m = st->spares;
    if (m) {
        st->spares = m->next;
        st->spare_count--;
        m->next = NULL;
    } else {
        m = xcalloc(1, sizeof(*m));
        m->fields = BUF_BOUNDED(RECORD_FIELDS_MAX);
    }
    m->store = st;
    st->open++;
    return m;
}

struct message *message_open(struct message_store *st, uint64_t id)
{
    struct message *m = message_take(st);
    m->id = id;
    if (add_piece(m) < 0) {
        message_release(m);
        return NULL;
    }
    m->is_expected = true;
    journal_expect(st->journal, 1);
    return m;
}

static void expect_no_more(struct message *m)
{
    if (!m->is_expected)
        return;
    m->is_expected = false;
    journal_expect(m->store->journal, -1);
}

void message_abort(struct message **m)
{
    struct message *was = *m;
    *m = NULL;
    if (!was)
        return;
    INVARIANT(!was->is_committing);
    expect_no_more(was);
    message_release(was);
}

void message_hold(struct message *m, uint64_t octets)
{
    bool has_body = m->filled > 0 || m->has_file;
    if (m->error || has_body || octets <= m->held)
        return;
    size_t more = (size_t)octets - m->held;
    if (more < MESSAGE_PIECE)
        more = MESSAGE_PIECE;
    if (charge(m, more))
        m->held += more;
    else
        m->error = -ENOSPC;
}

/* Writes what is gathered to the file and begins to gather again. */
static int spill(struct message *m)
{
    int err = 0;
    if (!m->has_file) {
        err = large_begin(&m->file, m->store->env, m->id);
        m->has_file = err == 0;
    }
    if (err == 0 && m->filled > 0)
        err = large_append_vector(&m->file, m->body, (int)m->filled);
    m->filled = 0;
    return err;
}

/* A piece with room. */
static int next_piece(struct message *m)
{
    if (m->filled > 0 && m->body[m->filled - 1].iov_len < MESSAGE_PIECE)
        return 0;
    int err = 0;
    if (m->filled == MESSAGE_PIECES)
        err = spill(m);
    else if (m->filled == m->piece_count)
        err = add_piece(m);
    if (err < 0)
        return err;
    m->body[m->filled] = (struct iovec){m->pieces[m->filled]->bytes, 0};
    m->filled++;
    return 0;
}

/* The header is whole and comes now; what the dialog held is free again. */
static void let_go(struct message *m)
{
    limits_memory_give(m->store->limits, m->held);
    m->charged -= m->held;
    m->held = 0;
}

int message_append(struct message *m, slice bytes)
{
    let_go(m);
    while (bytes.len > 0 && m->error == 0) {
        m->error = next_piece(m);
        if (m->error)
            break;
        struct iovec *to = &m->body[m->filled - 1];
        slice part = slice_to(bytes, MESSAGE_PIECE - to->iov_len);
        memcpy((char *)to->iov_base + to->iov_len, part.ptr, part.len);
        to->iov_len += part.len;
        bytes = slice_from(bytes, part.len);
    }
    return m->error;
}

static void put_text(struct buf *b, enum record_tag tag, slice text)
{
    if (!slice_is_empty(text))
        record_put(b, tag, text);
}

static void put_number(struct buf *b, enum record_tag tag, uint64_t n)
{
    if (n != 0)
        record_put_u64(b, tag, n);
}

static void put_recipients(struct buf *b, const struct submission_transaction *t)
{
    for (size_t i = 0; i < t->recipient_count; i++) {
        const struct submission_recipient *r = &t->recipients[i];
        record_put(b, TAG_RECIPIENT, r->address);
        put_number(b, TAG_RECIPIENT_NOTIFY, r->params.notify);
        put_text(b, TAG_RECIPIENT_ORCPT, r->params.orcpt);
    }
}

static void put_fields(struct message *m, const struct message_facts *f)
{
    const struct submission_transaction *t = f->transaction;
    struct buf *b = &m->fields;
    uint64_t flags = (t->params.body == BODY_8BITMIME ? MESSAGE_8BITMIME : 0) |
                     (t->params.smtputf8 ? MESSAGE_SMTPUTF8 : 0);
    buf_clear(b);
    record_put_u64(b, TAG_ID, m->id);
    record_put(b, TAG_REVERSE_PATH, t->reverse_path);
    put_recipients(b, t);
    put_text(b, TAG_ENVID, t->params.envid);
    put_number(b, TAG_RET, t->params.ret);
    put_number(b, TAG_MESSAGE_FLAGS, flags);
    record_put_u64(b, TAG_OCTETS, t->octets);
    put_text(b, TAG_CLIENT, f->client);
    put_text(b, TAG_HELO, t->helo);
    put_text(b, TAG_PROTOCOL, t->protocol);
    put_text(b, TAG_LISTENER, f->listener);
    if (t->account)
        put_text(b, TAG_LOGIN, t->account->login);
    put_text(b, TAG_TLS, t->tls);
    put_text(b, TAG_MESSAGE_ID, t->message_id);
    put_text(b, TAG_TOKEN, t->params.token);
    put_text(b, TAG_SCRIPT, t->params.script);
    put_text(b, TAG_WORKING_DIRECTORY, t->params.directory);
    put_text(b, TAG_SUBJECT, t->subject);
    if (m->has_file) {
        record_put(b, TAG_FILE, slice_of(m->file.file));
        record_put_u64(b, TAG_FILE_LEN, m->file.len);
    }
}

static void set_header(struct message *m, const struct message_facts *f)
{
    const struct submission_transaction *t = f->transaction;
    struct record_header *h = &m->entry.header;
    *h = (struct record_header){
        .type = RECORD_MESSAGE,
        .node = f->node,
        .at = t->at,
        .session = f->session,
    };
    if (t->account) {
        h->customer = t->account->customer;
        h->account = t->account->id;
        h->credential = t->account->credential;
    }
}

static void log_accepted(const struct message *m)
{
    slice fields = buf_slice(&m->fields);
    log_info("message-accepted", LOG_ID("id", m->id),
             LOG_ID("session", m->entry.header.session),
             LOG_S("account", record_get(fields, TAG_LOGIN)),
             LOG_S("client", record_get(fields, TAG_CLIENT)),
             LOG_S("from", record_get(fields, TAG_REVERSE_PATH)),
             LOG_I("recipients", m->recipient_count),
             LOG_I("size", record_get_u64(fields, TAG_OCTETS)),
             LOG_S("message-id", record_get(fields, TAG_MESSAGE_ID)));
}

static void log_failed(const struct message *m, int err)
{
    log_error("message-not-kept", LOG_ID("id", m->id),
              LOG_ID("session", m->entry.header.session), LOG_E("error", err));
}

static void end_commit(struct message *m, int err, const struct reply *refusal)
{
    m->is_committing = false;
    m->store->committing--;
    tokens_drop(m->store->tokens, &m->token);
    if (m->fn)
        m->fn(m->ctx, err, refusal);
    message_release(m);
}

/* A limit has spoken. */
static void refuse(struct message *m, const struct reply *refusal)
{
    if (m->is_file_named)
        (void)!large_remove(m->store->env, m->file.file);
    end_commit(m, 0, refusal);
}

/* The disk has spoken. */
static void finish(struct message *m, int err)
{
    struct message_store *st = m->store;
    if (st->limiting)
        limiting_release(st->limiting, &m->charge);
    if (err == 0) {
        atomic_fetch_add(&st->stats->messages, 1);
        atomic_fetch_add(&st->stats->recipients, m->recipient_count);
        log_accepted(m);
    } else {
        log_failed(m, err);
        if (m->is_file_named)
            (void)!large_remove(st->env, m->file.file);
    }
    end_commit(m, err, NULL);
}

void message_store_settle(struct message_store *st)
{
    struct message *newest = atomic_exchange(&st->committed, NULL);
    struct message *oldest = NULL;
    while (newest) {
        struct message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct message *m = oldest;
        oldest = m->next;
        m->next = NULL;
        finish(m, m->entry.result);
    }
}

static void on_committed(struct loop_task *t)
{
    message_store_settle(CONTAINER_OF(t, struct message_store, task));
}

/* On the committer's thread: all that is done of a batch, and the loop is woken once. */
static void hand_over(struct limiting_after *a)
{
    struct message_store *st = CONTAINER_OF(a, struct message_store, after);
    struct message *before = atomic_load(&st->committed);
    do {
        st->done_oldest->next = before;
    } while (!atomic_compare_exchange_weak(&st->committed, &before, st->done_newest));
    st->done_newest = st->done_oldest = NULL;
    if (!before)
        loop_post(st->loop, &st->task);
}

/* On the committer's thread. */
static void entry_done(struct journal_entry *e)
{
    struct message *m = CONTAINER_OF(e, struct message, entry);
    struct message_store *st = m->store;
    if (m->token && e->result == 0)
        tokens_keep(st->tokens, &m->token, m->id, e->header.at);
    m->next = st->done_newest;
    st->done_newest = m;
    if (!st->done_oldest)
        st->done_oldest = m;
    if (st->limiting)
        limiting_settle(st->limiting, &m->charge, e, &st->after);
    else
        hand_over(&st->after);
}

static void append_record(struct message *m)
{
    struct message_store *st = m->store;
    struct wording refusal;
    m->entry.fields = buf_slice(&m->fields);
    m->entry.body = m->body;
    m->entry.body_count = (int)m->filled; /* none when all went to the file */
    m->entry.done = entry_done;
    /* In this order: a committer that lingers for this record must not be sent off before it
     * has it. */
    bool is_appended = true;
    if (st->limiting)
        is_appended =
            limiting_append(st->limiting, &m->charge, &m->entry, &m->fields, &refusal);
    else
        journal_append(st->journal, &m->entry);
    expect_no_more(m);
    if (!is_appended)
        refuse(m, &refusal.reply);
}

static void file_work(struct job *j)
{
    struct message *m = CONTAINER_OF(j, struct message, job);
    m->error = large_finish(&m->file);
    m->is_file_named = m->error == 0;
}

static void file_done(struct job *j)
{
    struct message *m = CONTAINER_OF(j, struct message, job);
    if (m->error == 0) {
        append_record(m);
        return;
    }
    expect_no_more(m);
    finish(m, m->error);
}

void message_commit(struct message *m, const struct message_facts *f, message_fn *fn, void *ctx)
{
    struct message_store *st = m->store;
    m->fn = fn;
    m->ctx = ctx;
    m->is_committing = true;
    st->committing++;
    m->recipient_count = f->transaction->recipient_count;
    if (f->charge) {
        m->charge = *f->charge;
        *f->charge = (struct limiting_charge){0};
    }
    if (f->token) {
        m->token = *f->token;
        *f->token = NULL;
    }
    if (m->error == 0 && m->has_file)
        m->error = spill(m);
    set_header(m, f);
    put_fields(m, f);
    if (m->error == 0 && m->fields.error)
        m->error = m->fields.error == -EMSGSIZE ? -ENOSPC : m->fields.error;
    if (m->error == 0 && !m->has_file) {
        append_record(m);
        return;
    }
    int err = m->error;
    if (err == 0) {
        m->job = (struct job){.work = file_work, .done = file_done, .loop = st->loop};
        err = jobs_submit(st->jobs, &m->job);
        if (err == 0)
            return; /* the message is the job's until it is done */
    }
    expect_no_more(m);
    finish(m, err);
}

void message_abandon(struct message **m)
{
    if (*m)
        (*m)->fn = NULL;
    *m = NULL;
}

bool message_is_committing(const struct message *m)
{
    return m->is_committing;
}
