#include "net/jobs.h"

#include "base/arena.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct jobs {
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct job *first;
    struct job **last;
    unsigned waiting;
    unsigned queue_max;
    bool is_ending;
    unsigned thread_count;
    pthread_t threads[];
};

static void finish(struct loop_task *t)
{
    struct job *job = CONTAINER_OF(t, struct job, task);
    struct loop *l = job->loop;
    job->done(job); /* may free the job */
    loop_release(l);
}

static struct job *take(struct jobs *j)
{
    struct job *job = NULL;
    pthread_mutex_lock(&j->lock);
    while (!j->first && !j->is_ending)
        pthread_cond_wait(&j->change, &j->lock);
    if (!j->is_ending) {
        job = j->first;
        j->first = job->next;
        if (!j->first)
            j->last = &j->first;
        j->waiting--;
    }
    pthread_mutex_unlock(&j->lock);
    return job;
}

static void *work(void *arg)
{
    struct jobs *j = arg;
    struct job *job;
    while ((job = take(j))) {
        job->work(job);
        job->task.fn = finish;
        loop_post(job->loop, &job->task);
    }
    return NULL;
}

struct jobs *jobs_new(unsigned threads, unsigned queue_max)
{
    struct jobs *j = xcalloc(1, sizeof(*j) + threads * sizeof(pthread_t));
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->change, NULL);
    j->last = &j->first;
    j->queue_max = queue_max;
    sigset_t all, before; /* signals are for the main thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (j->thread_count < threads &&
           pthread_create(&j->threads[j->thread_count], NULL, work, j) == 0)
        j->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (j->thread_count == 0)
        jobs_free(&j);
    return j;
}

void jobs_free(struct jobs **at)
{
    struct jobs *j = *at;
    if (!j)
        return;
    *at = NULL;
    pthread_mutex_lock(&j->lock);
    j->is_ending = true;
    pthread_cond_broadcast(&j->change);
    pthread_mutex_unlock(&j->lock);
    for (unsigned i = 0; i < j->thread_count; i++)
        pthread_join(j->threads[i], NULL);
    for (struct job *job = j->first; job; job = job->next)
        loop_release(job->loop);
    pthread_cond_destroy(&j->change);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

int jobs_submit(struct jobs *j, struct job *job)
{
    pthread_mutex_lock(&j->lock);
    bool is_full = j->waiting >= j->queue_max;
    if (!is_full) {
        job->next = NULL;
        *j->last = job;
        j->last = &job->next;
        j->waiting++;
        loop_hold(job->loop);
        pthread_cond_signal(&j->change);
    }
    pthread_mutex_unlock(&j->lock);
    return is_full ? -EAGAIN : 0;
}
