#include "net/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

struct sum {
    struct job job;
    pthread_t loop_thread;
    int in;
    int out;
    unsigned *done;
};

static void work(struct job *j)
{
    struct sum *s = CONTAINER_OF(j, struct sum, job);
    assert_false(pthread_equal(pthread_self(), s->loop_thread));
    s->out = s->in * 2;
}

static void done(struct job *j)
{
    struct sum *s = CONTAINER_OF(j, struct sum, job);
    assert_true(pthread_equal(pthread_self(), s->loop_thread));
    assert_int_equal(s->out, s->in * 2);
    (*s->done)++;
}

static void every_job_is_done_and_the_loop_ends(void **state)
{
    (void)state;
    enum { JOBS = 100 };
    struct loop *l = loop_new();
    struct jobs *pool = jobs_new(3, JOBS);
    struct sum sums[JOBS];
    unsigned count = 0;
    for (int i = 0; i < JOBS; i++) {
        sums[i] = (struct sum){.job = {work, done, l, {0}, NULL},
                               .loop_thread = pthread_self(),
                               .in = i,
                               .done = &count};
        assert_int_equal(jobs_submit(pool, &sums[i].job), 0);
    }
    loop_run(l);
    assert_int_equal(count, JOBS);
    jobs_free(&pool);
    assert_null(pool);
    loop_free(&l);
}

struct gate {
    struct job job;
    sem_t begun;
    sem_t open;
    unsigned done;
};

static void wait_at_gate(struct job *j)
{
    struct gate *g = CONTAINER_OF(j, struct gate, job);
    sem_post(&g->begun);
    sem_wait(&g->open);
}

static void count_gate(struct job *j)
{
    CONTAINER_OF(j, struct gate, job)->done++;
}

static void a_full_queue_refuses_and_waiting_jobs_are_dropped(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    struct jobs *pool = jobs_new(1, 2);
    struct gate g = {.job = {wait_at_gate, count_gate, l, {0}, NULL}};
    sem_init(&g.begun, 0, 0);
    sem_init(&g.open, 0, 0);
    assert_int_equal(jobs_submit(pool, &g.job), 0);
    sem_wait(&g.begun); /* the one thread is busy */
    struct gate waiting[3];
    for (int i = 0; i < 3; i++)
        waiting[i] = (struct gate){.job = {wait_at_gate, count_gate, l, {0}, NULL}};
    assert_int_equal(jobs_submit(pool, &waiting[0].job), 0);
    assert_int_equal(jobs_submit(pool, &waiting[1].job), 0);
    assert_int_equal(jobs_submit(pool, &waiting[2].job), -EAGAIN);
    /* Let the running one go once the pool is ending: the rest is dropped either way, since
     * the first waiting job would block for ever at its gate. */
    for (int i = 0; i < 3; i++) {
        sem_init(&waiting[i].begun, 0, 0);
        sem_init(&waiting[i].open, 0, 1);
    }
    sem_post(&g.open);
    jobs_free(&pool);
    loop_run(l);
    assert_int_equal(g.done, 1);
    assert_int_equal(waiting[2].done, 0);
    loop_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_is_done_and_the_loop_ends),
        cmocka_unit_test(a_full_queue_refuses_and_waiting_jobs_are_dropped),
    };
    return cmocka_run_group_tests_name("net/jobs", tests, NULL, NULL);
}
