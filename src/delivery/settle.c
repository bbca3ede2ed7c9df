#include "delivery/settle.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { SLIPS_KEPT = 256, WAITING_MAX = 20000, SLIP_KEEP_BYTES = 4096 };
static const span APPEND_AGAIN = SPAN_SECOND;

struct slip {
    struct list node; /* gathering, failed, or spare */
    struct settle *settle;
    struct journal_entry entry;
    struct loop_task task;
    struct buf groups;
    struct buf fields;
    slice tls; /* borrowed until it is handed in */
    bool is_reported;
    stamp moment; /* 0: not asked for yet */
    /* of a message of our own: */
    struct buf body;
    struct iovec piece; /* all of it */
    bool may_fail;
    void (*done)(void *ctx, int result);
    void *ctx;
    size_t *left; /* see slip_track */
};

struct settle {
    struct settle_config config;
    struct journal_writer *writer;
    pthread_mutex_t writer_lock; /* it is replaced, or swept on another thread */
    struct timer gather;
    struct timer again;
    struct list gathering;
    struct list flying; /* with the journal */
    struct list failed; /* to be appended again */
    struct list spare;
    size_t spare_count;
    size_t gathering_count;
    size_t appended; /* with the journal, not yet done */
    size_t failed_count;
    int last_error;
    uint64_t position;
};

static void on_gathered(void *ctx)
{
    settle_flush(ctx);
}

static void append_again(void *ctx);

int settle_new(struct settle **out, const struct settle_config *c,
               struct journal_recovery *recovery)
{
    struct settle *s = xcalloc(1, sizeof(*s));
    s->config = *c;
    int err = journal_writer_open(&s->writer, &s->config.journal, recovery);
    if (err < 0) {
        free(s);
        return err;
    }
    pthread_mutex_init(&s->writer_lock, NULL);
    list_init(&s->gathering);
    list_init(&s->flying);
    list_init(&s->failed);
    list_init(&s->spare);
    timer_init(&s->gather, c->loop, on_gathered, s);
    timer_init(&s->again, c->loop, append_again, s);
    *out = s;
    return 0;
}

static void slip_free(struct slip *p)
{
    buf_fini(&p->groups);
    buf_fini(&p->fields);
    buf_fini(&p->body);
    free(p);
}

static void free_all(struct list *slips)
{
    struct list *n;
    while ((n = list_pop(slips)))
        slip_free(LIST_ITEM(n, struct slip, node));
}

void settle_free(struct settle **at)
{
    struct settle *s = *at;
    if (!s)
        return;
    *at = NULL;
    settle_flush(s);
    journal_writer_close(&s->writer); /* calls done for all; their tasks are not run any more */
    timer_cancel(&s->gather);
    timer_cancel(&s->again);
    free_all(&s->gathering);
    free_all(&s->flying);
    free_all(&s->failed);
    free_all(&s->spare);
    pthread_mutex_destroy(&s->writer_lock);
    free(s);
}

struct slip *slip_new(struct settle *s)
{
    struct list *n = list_pop(&s->spare);
    if (n) {
        s->spare_count--;
        return LIST_ITEM(n, struct slip, node);
    }
    struct slip *p = xcalloc(1, sizeof(*p));
    list_init(&p->node);
    p->settle = s;
    return p;
}

static void slip_drop(struct slip *p)
{
    struct settle *s = p->settle;
    if (p->left)
        --*p->left;
    if (s->spare_count >= SLIPS_KEPT || p->fields.cap > SLIP_KEEP_BYTES) {
        slip_free(p);
        return;
    }
    buf_clear(&p->groups);
    buf_clear(&p->fields);
    buf_fini(&p->body);
    p->is_reported = p->may_fail = false;
    p->left = NULL;
    p->tls = (slice){0};
    p->moment = 0;
    p->done = NULL;
    list_push(&s->spare, &p->node);
    s->spare_count++;
}

void slip_add(struct slip *p, const struct settled *r)
{
    settled_put(&p->groups, r);
    INVARIANT(p->groups.error == 0); /* small, and bounded by recipients per transaction */
    if (r->kind == OUTCOME_FAILED || r->kind == OUTCOME_EXPIRED || r->report != REPORT_NONE)
        p->is_reported = true;
}

void slip_set_tls(struct slip *p, slice tls)
{
    p->tls = tls;
}

void slip_track(struct slip *p, size_t *left)
{
    p->left = left;
    ++*left;
}

stamp slip_moment(struct slip *p, stamp now)
{
    if (p->moment == 0)
        p->moment = now;
    return p->moment;
}

bool slip_is_reported(const struct slip *p)
{
    return p->is_reported;
}

static void keep_failed(struct settle *s, struct slip *p, int err)
{
    s->last_error = err;
    s->failed_count++;
    list_push(&s->failed, &p->node);
    if (!heap_has(&s->again.node))
        timer_set(&s->again, APPEND_AGAIN);
}

/* The queue makes of it what it will make of it when the journal is read again. */
static void apply(struct settle *s, struct slip *p)
{
    const struct journal_entry *e = &p->entry;
    struct journal_record record = {
        .header = e->header, .position = e->position, .fields = buf_slice(&p->fields)};
    record.header.fields_len = (uint32_t)p->fields.len;
    record.header.body_len = p->body.len;
    int err = replay_record(s->config.replay, &record, env_now(s->config.journal.env));
    INVARIANT(err >= 0); /* we wrote it */
    uint64_t end = e->position + record_size((uint32_t)p->fields.len, p->body.len);
    if (end > s->position)
        s->position = end;
}

/* On the loop: the journal has spoken. */
static void on_done(struct loop_task *t)
{
    struct slip *p = CONTAINER_OF(t, struct slip, task);
    struct settle *s = p->settle;
    int result = p->entry.result;
    s->appended--;
    list_remove(&p->node);
    if (result < 0 && !p->may_fail) {
        keep_failed(s, p, result);
        return;
    }
    if (result == 0)
        apply(s, p);
    if (p->done)
        p->done(p->ctx, result);
    slip_drop(p);
    s->config.on_settled(s->config.ctx);
}

/* On the committer's thread. */
static void hand_over(struct journal_entry *e)
{
    struct slip *p = CONTAINER_OF(e, struct slip, entry);
    loop_post(p->settle->config.loop, &p->task);
}

static void append(struct settle *s, struct slip *p)
{
    if (!s->writer) {
        keep_failed(s, p, s->last_error);
        return;
    }
    p->task = (struct loop_task){.fn = on_done};
    p->entry.fields = buf_slice(&p->fields);
    p->piece = (struct iovec){p->body.ptr, p->body.len};
    p->entry.body = &p->piece;
    p->entry.body_count = p->body.len > 0;
    p->entry.unrepeatable = !p->may_fail;
    p->entry.done = hand_over;
    s->appended++;
    list_push(&s->flying, &p->node);
    journal_append(s->writer, &p->entry);
}

/* The committer is told how many will come, so that one sync serves them all. */
static void append_all(struct settle *s, struct list *slips, size_t count)
{
    struct list *n;
    if (s->writer)
        journal_expect(s->writer, (int)count);
    while ((n = list_pop(slips))) {
        append(s, LIST_ITEM(n, struct slip, node));
        if (s->writer)
            journal_expect(s->writer, -1);
    }
}

void settle_flush(struct settle *s)
{
    size_t count = s->gathering_count;
    timer_cancel(&s->gather);
    s->gathering_count = 0;
    append_all(s, &s->gathering, count);
}

/* The writer refuses everything once it could not save what cannot be repeated: it is opened
 * anew, which recovers the journal. */
static int reopen(struct settle *s)
{
    struct journal_recovery recovery;
    if (s->writer && s->last_error != -EROFS)
        return 0;
    pthread_mutex_lock(&s->writer_lock);
    journal_writer_close(&s->writer);
    int err = journal_writer_open(&s->writer, &s->config.journal, &recovery);
    pthread_mutex_unlock(&s->writer_lock);
    return err;
}

static void append_again(void *ctx)
{
    struct settle *s = ctx;
    if (s->appended > 0) { /* they will come back too; a closed writer takes nothing */
        timer_set(&s->again, APPEND_AGAIN);
        return;
    }
    log_error("outcomes-not-synced", LOG_I("records", s->failed_count),
              LOG_E("error", s->last_error), LOG_C("effect", "nothing is sent until they are"));
    int err = reopen(s);
    if (err < 0) {
        s->last_error = err;
        timer_set(&s->again, APPEND_AGAIN);
        return;
    }
    struct list failed;
    size_t count = s->failed_count;
    list_init(&failed);
    list_splice(&failed, &s->failed);
    s->failed_count = 0;
    append_all(s, &failed, count);
}

static void gather(struct settle *s, struct slip *p)
{
    list_push(&s->gathering, &p->node);
    s->gathering_count++;
    if (!heap_has(&s->gather.node))
        timer_set(&s->gather, SETTLE_GATHER);
}

void slip_hand_in(struct slip *p, const struct settlement *head,
                  const struct record_header *message, stamp now)
{
    struct settle *s = p->settle;
    if (p->groups.len == 0) {
        slip_drop(p);
        return;
    }
    struct settlement with_tls = *head;
    with_tls.tls = p->tls;
    p->tls = (slice){0};
    settlement_put(&p->fields, &with_tls);
    buf_append(&p->fields, buf_slice(&p->groups));
    INVARIANT(p->fields.error == 0);
    p->entry = (struct journal_entry){
        .header =
            {
                .type = RECORD_OUTCOME,
                .at = now,
                .customer = message->customer,
                .account = message->account,
                .credential = message->credential,
                .session = message->session,
            },
    };
    gather(s, p);
}

void settle_message(struct settle *s, const struct settle_message *m)
{
    struct slip *p = slip_new(s);
    buf_fini(&p->fields);
    p->fields = m->fields;
    p->body = m->body;
    p->may_fail = m->may_fail;
    p->done = m->done;
    p->ctx = m->ctx;
    p->entry = (struct journal_entry){.header = m->header};
    gather(s, p);
}

bool settle_is_well(const struct settle *s)
{
    return s->failed_count == 0 && s->gathering_count + s->appended < WAITING_MAX;
}

size_t settle_backlog(const struct settle *s)
{
    return s->failed_count + s->gathering_count + s->appended;
}

bool settle_is_idle(const struct settle *s)
{
    return settle_backlog(s) == 0;
}

uint64_t settle_position(const struct settle *s)
{
    return s->position;
}

void settle_set_position(struct settle *s, uint64_t position)
{
    s->position = position;
}

void settle_numbers(struct settle *s, struct journal_numbers *out)
{
    if (s->writer)
        journal_writer_numbers(s->writer, out);
    else
        *out = (struct journal_numbers){0};
}

int settle_sweep(struct settle *s)
{
    pthread_mutex_lock(&s->writer_lock);
    int count = s->writer ? journal_sweep(s->writer) : 0;
    pthread_mutex_unlock(&s->writer_lock);
    return count;
}
