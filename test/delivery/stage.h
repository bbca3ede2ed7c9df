/* stage: what tests of a transport share: an office, a mail host that plays by rules, and a
 * configuration that names it. One at a time. */
#ifndef TEST_DELIVERY_STAGE_H
#define TEST_DELIVERY_STAGE_H

#include "office.h"
#include "sink.h"

#include "delivery/direct.h"
#include "delivery/site.h"

struct stage {
    struct office *office;
    struct sink *sink;
    bool is_started; /* the sink */
    struct conf *conf;
    struct site *site; /* what the test has opened: one of them */
    struct direct *direct;
};

static struct stage *on; /* the test that runs */

static int stage_set_up(void **state)
{
    on = xcalloc(1, sizeof(*on));
    on->office = office_new();
    on->sink = sink_new();
    *state = on;
    return 0;
}

/* The transport must be gone. */
static void stage_free(void)
{
    sink_free(on->sink, on->is_started);
    office_free(on->office);
    conf_free(&on->conf);
    free(on);
    on = NULL;
}

static void start(void)
{
    sink_start(on->sink);
    on->is_started = true;
}

/* The test's lines behind those that every configuration has. */
static void stage_read_conf(const char *hostname, const struct buf *lines, struct buf *errors)
{
    struct buf text = BUF_INIT;
    buf_printf(&text,
               "[server]\nhostname = %s\nstate-dir = /nonexistent\n"
               "[listener a]\naddress = 127.0.0.1:2525\n%.*s",
               hostname, SLICE_ARG(buf_slice(lines)));
    on->conf = conf_parse(SLICE("test"), buf_slice(&text), errors);
    if (!on->conf)
        fail_msg("%.*s", (int)errors->len, errors->ptr);
    buf_fini(&text);
}

/* Mail goes to this destination; attempts are soon made again. */
static void stage_use(struct settings *settings, struct destination *to,
                      void (*pump)(struct office *o))
{
    settings->retry.first = settings->retry.longest = 100 * SPAN_MS;
    on->office->replay.destination = to;
    on->office->pump = pump;
}

/* What was closed ends, and its mail goes back where it was before. */
static void stage_close(bool (*is_closed)(struct office *o))
{
    office_run(on->office, is_closed);
    queue_move(&on->office->queue, NULL, &on->office->limbo);
    on->office->pump = NULL;
}

#endif
