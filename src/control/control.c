#include "control/control.h"

#include "base/log.h"
#include "control/api.h"
#include "control/door.h"
#include "control/notifier.h"
#include "control/projector.h"
#include "control/publish.h"
#include "journal/readers.h"
#include "net/journal_watch.h"

#include <errno.h>
#include <grp.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdlib.h>

#define NUMBERS_EVERY SPAN_SECOND
#define RETRY_EVERY (5 * SPAN_SECOND)
#define SWEEP_EVERY (30 * SPAN_SECOND)
#define EXPIRE_EVERY (10 * SPAN_MINUTE)
#define EXPIRE_NEXT (200 * SPAN_MS)

struct control {
    struct role *role;
    struct store *store;
    struct publish publish;
    struct door *door; /* sends mail */
    struct api *api;
    struct ledger *ledger;
    struct projector *projector;
    struct notifier *notifier; /* NULL without a ledger */
    struct timer expire;
    struct timer numbers;
    struct journal_watch watch;
    struct timer retry;
    struct timer sweep;
    int status;
};

static void on_numbers(void *ctx)
{
    struct control *c = ctx;
    struct journal_numbers n;
    journal_writer_numbers(c->publish.writer, &n);
    journal_watch_look(&c->watch, c->role, &n);
    timer_set(&c->numbers, NUMBERS_EVERY);
}

/* A change that the journal did not take waits in the outbox. A journal that refuses everything
 * can be opened again by a new process only. */
static void on_retry(void *ctx)
{
    struct control *c = ctx;
    int rc = store_publish(c->store);
    if (rc == -EROFS) {
        log_error("control-journal-closed", LOG_C("what", "starting again to open it again"));
        c->status = EXIT_FAILURE;
        loop_stop(c->role->loop);
        return;
    }
    timer_set(&c->retry, RETRY_EVERY);
}

static void on_sweep(void *ctx)
{
    struct control *c = ctx;
    int rc = journal_sweep(c->publish.writer);
    if (rc < 0)
        log_warning("control-journal-not-swept", LOG_E("error", rc));
    timer_set(&c->sweep, SWEEP_EVERY);
}

/* A little at a time, so that the projector is not kept waiting. */
static void on_expire(void *ctx)
{
    struct control *c = ctx;
    const struct conf_retention *keep = &c->role->conf->retention;
    const struct ledger_retention retention = {
        .messages = keep->message_log,
        .minutes = keep->usage_minutes,
        .hours = keep->usage_hours,
        .days = keep->usage_days,
        .errors = keep->error_list,
        .evidence = keep->evidence,
    };
    int removed = ledger_expire(c->ledger, &retention, env_now(c->role->env));
    if (removed < 0)
        log_warning("ledger-not-expired", LOG_E("error", removed));
    timer_set(&c->expire, removed > 0 ? EXPIRE_NEXT : EXPIRE_EVERY);
}

static void on_reload(void *ctx)
{
    struct control *c = ctx;
    const struct conf *conf = c->role->conf;
    log_setup("control", (enum log_format)conf->log.format, (enum log_level)conf->log.level);
    api_set_conf(c->api, conf);
    if (c->notifier)
        notifier_set_conf(c->notifier, conf);
}

/* The API ends when the loop has: a request that runs is finished. */
static void on_drain(void *ctx)
{
    struct control *c = ctx;
    loop_stop(c->role->loop);
}

static int open_journal(struct control *c)
{
    struct role *r = c->role;
    const int wake[] = {r->wake[ROLE_SMTPD], r->wake[ROLE_DELIVERY], r->wake[ROLE_CONTROL]};
    struct journal_recovery recovery;
    size_t reader_count;
    const char *const *readers = journal_readers(ID_CONTROL, &reader_count);
    struct journal_config config = {
        .env = r->env,
        .dir = "journal/control",
        .node = (uint16_t)r->conf->server.node,
        .self = ID_CONTROL,
        .watermark = &r->pages->watermark[ROLE_CONTROL],
        .wake = wake,
        .wake_count = COUNT_OF(wake),
        .segment_bytes = r->conf->journal.segment,
        .readers = readers,
        .reader_count = reader_count,
    };
    int rc = journal_writer_open(&c->publish.writer, &config, &recovery);
    if (rc < 0) {
        log_error("control-journal-not-opened", LOG_E("error", rc));
        return rc;
    }
    if (recovery.cut > 0 || recovery.quarantined > 0)
        log_warning("control-journal-recovered", LOG_I("octets-cut", recovery.cut),
                    LOG_I("damaged-places", recovery.quarantined));
    return 0;
}

static int open_store(struct control *c)
{
    struct arena a = ARENA_INIT;
    int rc = env_mkdir(c->role->env, "control");
    if (rc == 0 || rc == -EEXIST) {
        slice path = arena_printf(&a, "%.*s/control/directory.db",
                                  SLICE_ARG(c->role->conf->server.state_dir));
        rc = store_open(&c->store, path.ptr);
    }
    arena_fini(&a);
    return rc;
}

static int open_publish(struct control *c)
{
    int rc = open_journal(c);
    if (rc < 0)
        return rc;
    c->publish.env = c->role->env;
    c->publish.store = c->store;
    c->publish.dir = "journal/control";
    c->publish.watermark = &c->role->pages->watermark[ROLE_CONTROL];
    c->publish.readers = journal_readers(ID_CONTROL, &c->publish.reader_count);
    rc = publish_start(&c->publish);
    if (rc < 0)
        log_error("directory-not-published", LOG_E("error", rc));
    return rc;
}

/* Without a ledger the directory serves on: accounts can still be changed and locked. What the
 * ledger has not read stays in the journals. */
static void open_ledger(struct control *c)
{
    struct role *r = c->role;
    struct arena a = ARENA_INIT;
    slice path =
        arena_printf(&a, "%.*s/control/ledger.db", SLICE_ARG(r->conf->server.state_dir));
    struct projector_config config = {
        .env = r->env,
        .watermark = {[ID_SMTPD] = &r->pages->watermark[ROLE_SMTPD],
                      [ID_DELIVERY] = &r->pages->watermark[ROLE_DELIVERY],
                      [ID_CONTROL] = &r->pages->watermark[ROLE_CONTROL]},
        .loop = r->loop,
        .wake = r->wake[ROLE_CONTROL],
    };
    int rc = ledger_open(&c->ledger, path.ptr);
    config.ledger = c->ledger;
    if (rc == 0)
        rc = projector_new(&c->projector, &config);
    if (rc < 0) {
        log_error("ledger-not-kept", LOG_E("error", rc),
                  LOG_C("effect", "no message log, and the journals grow until it is mended"));
        ledger_close(&c->ledger);
    }
    arena_fini(&a);
}

static void open_notifier(struct control *c)
{
    struct notifier_config config = {
        .env = c->role->env,
        .loop = c->role->loop,
        .ledger = c->ledger,
        .store = c->store,
        .door = c->door,
        .conf = c->role->conf,
    };
    if (c->ledger)
        c->notifier = notifier_new(&config);
}

static bool find_group(slice name, gid_t *out)
{
    struct arena a = ARENA_INIT;
    struct group *found = name.len > 0 ? getgrnam(arena_cstr(&a, name)) : NULL;
    if (name.len > 0 && !found)
        log_warning("api-group-unknown", LOG_S("group", name),
                    LOG_C("what", "only root and the server's own user may use the API"));
    if (found)
        *out = found->gr_gid;
    arena_fini(&a);
    return found != NULL;
}

static int open_door(struct control *c)
{
    struct role *r = c->role;
    struct arena a = ARENA_INIT;
    slice path = arena_printf(&a, "%.*s/local.sock", SLICE_ARG(r->conf->server.run_dir));
    struct door_config config = {
        .path = path.ptr,
        .secret = role_secret(r, "control"),
        .hostname = r->conf->server.hostname,
        .loop = r->loop,
    };
    c->door = door_new(&config);
    arena_fini(&a);
    return c->door ? 0 : -EAGAIN;
}

static int open_api(struct control *c)
{
    struct role *r = c->role;
    struct api_config config = {
        .listen_fd = role_fd(r, "api"),
        .tcp_fd = role_fd(r, "api-tcp"),
        .store = c->store,
        .env = r->env,
        .pages = r->pages,
        .conf = r->conf,
        .ledger = c->ledger,
        .projector = c->projector,
        .door = c->door,
    };
    config.has_group = find_group(r->conf->api.group, &config.group);
    if (config.listen_fd < 0) {
        log_error("api-not-started", LOG_C("what", "the parent gave no socket"));
        return -EBADF;
    }
    c->api = api_new(&config);
    return c->api ? 0 : -EIO;
}

static void serve(struct control *c)
{
    struct role *r = c->role;
    timer_init(&c->numbers, r->loop, on_numbers, c);
    timer_init(&c->retry, r->loop, on_retry, c);
    timer_init(&c->sweep, r->loop, on_sweep, c);
    timer_init(&c->expire, r->loop, on_expire, c);
    if (c->ledger)
        timer_set(&c->expire, SPAN_MINUTE);
    on_numbers(c);
    timer_set(&c->retry, RETRY_EVERY);
    timer_set(&c->sweep, SWEEP_EVERY);
    r->ctx = c;
    r->on_reload = on_reload;
    r->on_drain = on_drain;
    log_info("directory-open", LOG_I("version", store_version(c->store)));
    role_ready(r);
    loop_run(r->loop);
    r->on_reload = NULL;
    r->on_drain = NULL;
    timer_cancel(&c->numbers);
    timer_cancel(&c->retry);
    timer_cancel(&c->sweep);
    timer_cancel(&c->expire);
}

int control_run(struct role *role)
{
    struct control c = {.role = role, .status = EXIT_SUCCESS};
    int rc = sodium_init() < 0 ? -EIO : 0;
    /* Before any database is open: a mutex around each malloc, for numbers that nobody reads.
     */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (rc == 0)
        rc = open_store(&c);
    if (rc == 0)
        rc = open_publish(&c);
    if (rc == 0)
        rc = open_door(&c);
    if (rc == 0) {
        open_ledger(&c);
        open_notifier(&c);
        rc = open_api(&c);
    }
    if (rc == 0)
        serve(&c);
    else
        c.status = EXIT_FAILURE;
    api_free(&c.api);
    door_free(&c.door);
    notifier_free(&c.notifier);
    projector_free(&c.projector);
    ledger_close(&c.ledger);
    journal_writer_close(&c.publish.writer);
    store_close(&c.store);
    return c.status;
}
