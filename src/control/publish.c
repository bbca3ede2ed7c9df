#include "control/publish.h"

#include "base/log.h"
#include "journal/reader.h"
#include "journal/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* Records that wait for one sync together while everything is written again. */
enum { BATCH = 256, PAGE = 64 };

static int publish_row(void *ctx, const struct store_outbox_row *row)
{
    struct publish *p = ctx;
    struct journal_entry e = {
        .header = {.version = RECORD_VERSION,
                   .type = row->is_command ? RECORD_COMMAND : RECORD_DIRECTORY,
                   .at = env_now(p->env),
                   .customer = row->customer,
                   .account = row->account,
                   .credential = row->credential},
        .fields = row->fields,
        .unrepeatable = true,
    };
    return journal_append_wait(p->writer, &e);
}

/* What reading the journal once shows. */
struct history {
    bool has_records;
    bool has_beginning; /* the first change is there, or a restatement */
    bool is_restating;
    uint64_t newest;
};

static void look_at(struct history *h, slice fields)
{
    uint64_t version = record_get_u64(fields, TAG_VERSION);
    uint64_t entity = record_get_u64(fields, TAG_ENTITY);
    if (version == 1 || entity == ENTITY_RESTATEMENT)
        h->has_beginning = true;
    h->has_records = true;
    if (version > h->newest)
        h->newest = version;
    if (entity == ENTITY_RESTATEMENT)
        h->is_restating = true;
    else if (entity == ENTITY_RESTATEMENT_END)
        h->is_restating = false;
}

static int read_history(const struct publish *p, struct history *out)
{
    struct journal_reader *r;
    struct journal_record record;
    int rc = journal_reader_open(&r, p->env, p->dir, p->watermark, 0);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0)
        return rc;
    while ((rc = journal_next(r, &record)) == 1 || rc == -EBADMSG) {
        if (rc == -EBADMSG)
            log_warning("control-journal-damaged",
                        LOG_C("what", "a damaged place was left out"));
        else if (record.header.type == RECORD_DIRECTORY)
            look_at(out, record.fields);
    }
    journal_reader_close(&r);
    return rc;
}

/* Every reader can start from a snapshot of its own. */
static bool readers_have_snapshots(const struct publish *p)
{
    for (size_t i = 0; i < p->reader_count; i++) {
        struct snapshot head;
        if (snapshot_read_head(p->env, p->readers[i], &head) < 0)
            return false;
    }
    return true;
}

int publish_compare(const struct publish *p, enum publish_history *history, uint64_t *newest)
{
    struct history h = {0};
    uint64_t waiting = 0;
    int rc = read_history(p, &h);
    if (rc < 0)
        return rc;
    store_lock(p->store);
    uint64_t known = store_version(p->store);
    rc = store_outbox_first(p->store, &waiting);
    store_unlock(p->store);
    if (rc < 0)
        return rc;
    uint64_t wanted = waiting != 0 ? waiting - 1 : known;
    *newest = h.newest;
    if (h.newest > known)
        *history = PUBLISH_AHEAD;
    else if (h.newest < wanted || h.is_restating)
        *history = PUBLISH_LOST;
    else if (h.has_records && !h.has_beginning && !readers_have_snapshots(p))
        *history = PUBLISH_HEADLESS;
    else
        *history = PUBLISH_UP_TO_DATE;
    return 0;
}

/* Entries on their way in one batch. */
struct batch {
    struct publish *p;
    uint64_t version; /* of the last one */
    size_t count;
    int result;
    size_t left;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    struct batch_entry {
        struct journal_entry entry;
        struct buf fields;
        struct batch *batch;
    } entries[BATCH];
};

static void entry_done(struct journal_entry *e)
{
    struct batch_entry *b = CONTAINER_OF(e, struct batch_entry, entry);
    struct batch *batch = b->batch;
    pthread_mutex_lock(&batch->mutex);
    if (e->result < 0)
        batch->result = e->result;
    if (--batch->left == 0)
        pthread_cond_signal(&batch->done);
    pthread_mutex_unlock(&batch->mutex);
}

/* Appends what was gathered and waits for it. */
static int batch_flush(struct batch *b)
{
    size_t count = b->count;
    b->count = 0;
    b->left = count;
    for (size_t i = 0; i < count; i++) {
        b->entries[i].entry.fields = buf_slice(&b->entries[i].fields);
        if (b->entries[i].fields.error)
            return b->entries[i].fields.error;
    }
    for (size_t i = 0; i < count; i++)
        journal_append(b->p->writer, &b->entries[i].entry);
    pthread_mutex_lock(&b->mutex);
    while (b->left > 0)
        pthread_cond_wait(&b->done, &b->mutex);
    pthread_mutex_unlock(&b->mutex);
    return b->result;
}

/* Room for the next change's fields, in *fields, and its version. */
static int batch_next(struct batch *b, uint64_t customer, uint64_t account, uint64_t credential,
                      struct buf **fields)
{
    if (b->count == BATCH) {
        int rc = batch_flush(b);
        if (rc < 0)
            return rc;
    }
    struct batch_entry *e = &b->entries[b->count++];
    buf_clear(&e->fields);
    e->batch = b;
    e->entry = (struct journal_entry){
        .header = {.version = RECORD_VERSION,
                   .type = RECORD_DIRECTORY,
                   .at = env_now(b->p->env),
                   .customer = customer,
                   .account = account,
                   .credential = credential},
        .unrepeatable = true,
        .done = entry_done,
    };
    b->version++;
    *fields = &e->fields;
    return 0;
}

static int restate_customers(struct batch *b, struct arena *a)
{
    uint64_t after = 0;
    int count;
    do {
        struct store_customer *page;
        struct buf *fields;
        arena_reset(a);
        count = store_customer_list(b->p->store, after, PAGE, a, &page);
        for (int i = 0; i < count; i++) {
            int rc = batch_next(b, page[i].d.id, 0, 0, &fields);
            if (rc < 0)
                return rc;
            directory_put_customer(fields, b->version, &page[i].d);
            after = page[i].d.id;
        }
    } while (count == PAGE);
    return count < 0 ? count : 0;
}

static int restate_accounts(struct batch *b, struct arena *a)
{
    uint64_t after = 0;
    int count;
    do {
        struct store_account *page;
        struct buf *fields;
        arena_reset(a);
        count = store_account_list(b->p->store, 0, after, PAGE, a, &page);
        for (int i = 0; i < count; i++) {
            int rc = batch_next(b, page[i].d.customer, page[i].d.id, 0, &fields);
            if (rc < 0)
                return rc;
            directory_put_account(fields, b->version, &page[i].d);
            after = page[i].d.id;
        }
    } while (count == PAGE);
    return count < 0 ? count : 0;
}

static int restate_credentials(struct batch *b, struct arena *a)
{
    uint64_t after = 0;
    int count;
    do {
        struct store_credential *page;
        struct buf *fields;
        arena_reset(a);
        count = store_credential_list(b->p->store, 0, after, PAGE, a, &page);
        for (int i = 0; i < count; i++) {
            int rc = batch_next(b, 0, page[i].d.account, page[i].d.id, &fields);
            if (rc < 0)
                return rc;
            directory_put_credential(fields, b->version, &page[i].d);
            after = page[i].d.id;
        }
    } while (count == PAGE);
    return count < 0 ? count : 0;
}

static int put_mark(struct batch *b, enum directory_entity entity)
{
    struct buf *fields;
    int rc = batch_next(b, 0, 0, 0, &fields);
    if (rc == 0)
        directory_put_restatement(fields, b->version, entity);
    return rc;
}

static int restate_all(struct batch *b)
{
    struct arena arena = ARENA_INIT;
    int rc = put_mark(b, ENTITY_RESTATEMENT);
    if (rc == 0)
        rc = restate_customers(b, &arena);
    if (rc == 0)
        rc = restate_accounts(b, &arena);
    if (rc == 0)
        rc = restate_credentials(b, &arena);
    if (rc == 0)
        rc = put_mark(b, ENTITY_RESTATEMENT_END);
    if (rc == 0)
        rc = batch_flush(b);
    arena_fini(&arena);
    return rc;
}

static struct batch *batch_new(struct publish *p, uint64_t newest)
{
    struct batch *b = xcalloc(1, sizeof(*b));
    b->p = p;
    b->version = newest;
    pthread_mutex_init(&b->mutex, NULL);
    pthread_cond_init(&b->done, NULL);
    return b;
}

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < BATCH; i++)
        buf_fini(&b->entries[i].fields);
    pthread_cond_destroy(&b->done);
    pthread_mutex_destroy(&b->mutex);
    free(b);
}

/* The journal goes first: if we end in between, the next start finds it ahead of the database
 * and in the middle of a restatement, and begins again. */
int publish_restate(struct publish *p, uint64_t newest)
{
    store_lock(p->store);
    uint64_t known = store_version(p->store);
    struct batch *b = batch_new(p, newest > known ? newest : known);
    int rc = restate_all(b);
    if (rc == 0)
        rc = store_restated(p->store, b->version);
    store_unlock(p->store);
    batch_free(b);
    return rc;
}

static const char *const why[] = {
    [PUBLISH_LOST] = "the journal lacks changes that the database has",
    [PUBLISH_AHEAD] = "the database is older than the journal",
    [PUBLISH_HEADLESS] = "the journal's beginning is gone and a reader has no snapshot",
};

int publish_start(struct publish *p)
{
    enum publish_history history;
    uint64_t newest = 0;
    store_set_publisher(p->store, publish_row, p);
    int rc = publish_compare(p, &history, &newest);
    if (rc < 0)
        return rc;
    if (history == PUBLISH_UP_TO_DATE)
        return store_publish(p->store);
    log_warning("directory-restated", LOG_C("why", why[history]), LOG_I("newest", newest));
    rc = publish_restate(p, newest);
    return rc == 0 ? store_publish(p->store) : rc;
}
