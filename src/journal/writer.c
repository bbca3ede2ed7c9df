#include "journal/writer.h"
#include "journal/committer.h"
#include "journal/sweep.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { LONGEST_PAUSE = 64 };

static const span LONGEST_LINGER = 2 * SPAN_MS;

struct journal_writer {
    struct committer committer; /* the thread's alone, but for its atomics */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t bell;
    /* under the mutex: */
    struct journal_entry *first;
    struct journal_entry **last;
    unsigned waiting;
    unsigned ring_at; /* how many must wait for the bell to be rung */
    bool is_closing;
    bool is_lingering;
    atomic_int expected;
    /* the thread's: lingering that brought nothing pauses for ever more batches */
    unsigned pause;
    unsigned pause_left;
    /* what the configuration points at: */
    char *dir;
    int *wake;
    char **readers;
};

/* ---- the committer thread ---- */

static struct timespec after(span wait)
{
    /* A deadline of the kernel's own clock; it decides nothing that is written down. */
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)(wait * 1000);
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/* Waits for the appends that were announced. When that brings none (slow clients in DATA), the
 * next batches go at once, so that nobody is slowed down by somebody else's line. */
static void linger(struct journal_writer *w)
{
    int expected = atomic_load(&w->expected);
    span wait = w->committer.config.linger;
    if (expected <= 0 || wait <= 0)
        return;
    if (w->pause_left > 0) {
        w->pause_left--;
        return;
    }
    unsigned before = w->waiting;
    w->ring_at = before + (unsigned)expected;
    w->is_lingering = true;
    struct timespec deadline = after(wait);
    while (!w->is_closing && w->waiting < w->ring_at && atomic_load(&w->expected) > 0) {
        if (pthread_cond_timedwait(&w->bell, &w->mutex, &deadline) == ETIMEDOUT)
            break;
    }
    w->is_lingering = false;
    if (w->waiting > before)
        w->pause = 0;
    else
        w->pause = w->pause ? w->pause * 2 : 1;
    if (w->pause > LONGEST_PAUSE)
        w->pause = LONGEST_PAUSE;
    w->pause_left = w->pause;
}

static struct journal_entry *take_waiting(struct journal_writer *w)
{
    struct journal_entry *list = w->first;
    w->first = NULL;
    w->last = &w->first;
    w->waiting = 0;
    w->ring_at = UINT_MAX;
    return list;
}

static void *run(void *arg)
{
    struct journal_writer *w = arg;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->first && !w->is_closing) {
            w->ring_at = 1;
            pthread_cond_wait(&w->bell, &w->mutex);
        }
        if (!w->first)
            break;
        linger(w);
        struct journal_entry *list = take_waiting(w);
        pthread_mutex_unlock(&w->mutex);
        committer_commit(&w->committer, list);
        pthread_mutex_lock(&w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* Signals are for the threads that expect them. */
static int start_thread(struct journal_writer *w)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

/* ---- opening and closing ---- */

static int copy_config(struct journal_writer *w, struct journal_config *config)
{
    w->dir = strdup(config->dir);
    w->wake = calloc(config->wake_count + 1, sizeof(*w->wake));
    w->readers = calloc(config->reader_count + 1, sizeof(*w->readers));
    if (!w->dir || !w->wake || !w->readers)
        return -ENOMEM;
    for (size_t i = 0; i < config->wake_count; i++)
        w->wake[i] = config->wake[i];
    for (size_t i = 0; i < config->reader_count; i++) {
        w->readers[i] = strdup(config->readers[i]);
        if (!w->readers[i])
            return -ENOMEM;
    }
    config->dir = w->dir;
    config->wake = w->wake;
    config->readers = (const char *const *)w->readers;
    if (config->linger > LONGEST_LINGER)
        config->linger = LONGEST_LINGER;
    return 0;
}

static void destroy(struct journal_writer *w)
{
    pthread_cond_destroy(&w->bell);
    pthread_mutex_destroy(&w->mutex);
    for (size_t i = 0; w->readers && w->readers[i]; i++)
        free(w->readers[i]);
    free(w->readers);
    free(w->wake);
    free(w->dir);
    free(w);
}

int journal_writer_open(struct journal_writer **out, const struct journal_config *config,
                        struct journal_recovery *recovery)
{
    struct journal_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->bell, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&w->mutex, NULL);
    w->last = &w->first;
    w->ring_at = UINT_MAX;
    struct journal_config own = *config;
    struct journal_recovery found;
    int err = copy_config(w, &own);
    if (err == 0)
        err = committer_open(&w->committer, &own, &found);
    if (err == 0) {
        err = start_thread(w);
        if (err < 0)
            committer_close(&w->committer);
    }
    if (err < 0) {
        destroy(w);
        return err;
    }
    *recovery = found;
    *out = w;
    return 0;
}

void journal_writer_close(struct journal_writer **out)
{
    struct journal_writer *w = *out;
    if (!w)
        return;
    *out = NULL;
    pthread_mutex_lock(&w->mutex);
    w->is_closing = true;
    pthread_cond_signal(&w->bell);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    committer_close(&w->committer);
    destroy(w);
}

/* ---- appending ---- */

void journal_append(struct journal_writer *w, struct journal_entry *e)
{
    e->next = NULL;
    pthread_mutex_lock(&w->mutex);
    INVARIANT(!w->is_closing);
    *w->last = e;
    w->last = &e->next;
    w->waiting++;
    bool is_enough = w->waiting >= w->ring_at;
    if (is_enough)
        w->ring_at = UINT_MAX;
    pthread_mutex_unlock(&w->mutex);
    if (is_enough)
        pthread_cond_signal(&w->bell);
}

struct waited {
    struct journal_entry entry;
    sem_t is_done;
};

static void waited_done(struct journal_entry *e)
{
    sem_post(&CONTAINER_OF(e, struct waited, entry)->is_done);
}

int journal_append_wait(struct journal_writer *w, struct journal_entry *e)
{
    struct waited own = {.entry = *e};
    own.entry.done = waited_done;
    sem_init(&own.is_done, 0, 0);
    journal_append(w, &own.entry);
    while (sem_wait(&own.is_done) < 0)
        INVARIANT(errno == EINTR);
    sem_destroy(&own.is_done);
    e->header = own.entry.header;
    e->result = own.entry.result;
    e->position = own.entry.position;
    return e->result;
}

void journal_expect(struct journal_writer *w, int change)
{
    int now = atomic_fetch_add(&w->expected, change) + change;
    if (change >= 0 || now > 0)
        return;
    /* Nobody is left to wait for. */
    pthread_mutex_lock(&w->mutex);
    if (w->is_lingering)
        pthread_cond_signal(&w->bell);
    pthread_mutex_unlock(&w->mutex);
}

/* ---- the rest ---- */

int journal_sweep(struct journal_writer *w)
{
    uint64_t freed = 0;
    uint64_t current = atomic_load(&w->committer.current_base);
    int holder = -1;
    int count = sweep_segments(&w->committer.config, current, &freed, &holder);
    atomic_store(&w->committer.holder, holder);
    atomic_fetch_sub(&w->committer.disk_bytes, freed);
    return count;
}

void journal_set_max_bytes(struct journal_writer *w, uint64_t max_bytes)
{
    atomic_store(&w->committer.max_bytes, max_bytes);
}

void journal_writer_numbers(struct journal_writer *w, struct journal_numbers *out)
{
    struct committer *c = &w->committer;
    *out = (struct journal_numbers){
        .records = atomic_load(&c->records),
        .batches = atomic_load(&c->batches),
        .syncs = atomic_load(&c->syncs),
        .bytes = atomic_load(&c->bytes),
        .failures = atomic_load(&c->failures),
        .disk_bytes = atomic_load(&c->disk_bytes),
        .holder = atomic_load(&c->holder),
    };
}
