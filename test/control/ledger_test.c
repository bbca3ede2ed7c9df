/* ledger and projector: from journals to rows, once, whatever happens. */
#include "control/ledger.h"
#include "control/ledger_read.h"
#include "control/projector.h"
#include "journal/snapshot.h"
#include "journal/writer.h"
#include "scratch.h"

#include <semaphore.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>

#include <cmocka.h>

static const stamp noon = 20000 * SPAN_DAY + 12 * SPAN_HOUR;

struct fixture {
    struct scratch scratch;
    struct env_test env;
    struct env_real disk;
    struct watermark watermark[LEDGER_JOURNALS];
    struct journal_writer *writer[LEDGER_JOURNALS];
    struct id_source ids;
    struct ledger *ledger;
    struct projector *projector;
    struct ledger_reader *reader;
    struct arena arena;
    char path[256];
};

static const char *const dirs[] = {"journal/smtpd", "journal/delivery", "journal/control"};
static const char *const heads[] = {PROJECTOR_HEAD};

static void open_writer(struct fixture *f, int j)
{
    struct journal_recovery recovery;
    struct journal_config config = {
        .env = &f->env.env,
        .dir = dirs[j],
        .self = (enum id_writer)j,
        .watermark = &f->watermark[j],
        .segment_bytes = 64 * 1024,
        .readers = heads,
        .reader_count = 1,
    };
    assert_int_equal(0, journal_writer_open(&f->writer[j], &config, &recovery));
}

static void open_projector(struct fixture *f)
{
    struct projector_config config = {
        .env = &f->env.env,
        .watermark = {&f->watermark[0], &f->watermark[1], &f->watermark[2]},
        .wake = -1,
    };
    assert_int_equal(0, ledger_open(&f->ledger, f->path));
    config.ledger = f->ledger;
    assert_int_equal(0, projector_new(&f->projector, &config));
}

static void close_projector(struct fixture *f)
{
    ledger_reader_close(&f->reader);
    projector_free(&f->projector);
    ledger_close(&f->ledger);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(0, scratch_init(&f->scratch));
    env_real_init(&f->disk, f->scratch.fd);
    env_test_init(&f->env, &f->disk.env, noon);
    id_source_init(&f->ids, 0, ID_SMTPD);
    assert_int_equal(0, env_mkdir(&f->env.env, "journal"));
    assert_int_equal(0, env_mkdir(&f->env.env, "snapshot"));
    assert_int_equal(0, env_mkdir(&f->env.env, "snapshot/control"));
    scratch_path(&f->scratch, "ledger.db", f->path);
    open_writer(f, ID_SMTPD);
    open_writer(f, ID_DELIVERY);
    open_writer(f, ID_CONTROL);
    open_projector(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close_projector(f);
    for (int j = 0; j < LEDGER_JOURNALS; j++)
        journal_writer_close(&f->writer[j]);
    arena_fini(&f->arena);
    scratch_fini(&f->scratch);
    free(f);
    return 0;
}

struct waiting {
    struct journal_entry entry;
    sem_t done;
};

static void on_done(struct journal_entry *e)
{
    sem_post(&CONTAINER_OF(e, struct waiting, entry)->done);
}

static void append(struct fixture *f, int j, enum record_type type, unsigned flags,
                   struct buf *fields)
{
    struct waiting w = {.entry = {.header = {.type = type,
                                             .flags = (uint8_t)flags,
                                             .at = f->env.now,
                                             .customer = 1,
                                             .account = 7},
                                  .fields = buf_slice(fields),
                                  .done = on_done}};
    sem_init(&w.done, 0, 0);
    journal_append(f->writer[j], &w.entry);
    sem_wait(&w.done);
    sem_destroy(&w.done);
    assert_int_equal(0, w.entry.result);
    buf_fini(fields);
}

static uint64_t add_message(struct fixture *f, const char *const *to, size_t count)
{
    struct buf b = BUF_INIT;
    uint64_t id = id_next(&f->ids, f->env.now);
    record_put_u64(&b, TAG_ID, id);
    record_put(&b, TAG_REVERSE_PATH, SLICE("anna@x.test"));
    for (size_t i = 0; i < count; i++)
        record_put(&b, TAG_RECIPIENT, slice_of(to[i]));
    record_put_u64(&b, TAG_OCTETS, 1000);
    record_put(&b, TAG_LOGIN, SLICE("anna@x.test"));
    record_put(&b, TAG_CLIENT, SLICE("192.0.2.1"));
    record_put(&b, TAG_MESSAGE_ID, SLICE("<one@x.test>"));
    append(f, ID_SMTPD, RECORD_MESSAGE, 0, &b);
    return id;
}

static void add_outcome(struct fixture *f, uint64_t id, uint32_t index, enum outcome_kind kind,
                        uint32_t attempt, unsigned code)
{
    struct buf b = BUF_INIT;
    record_put_u64(&b, TAG_ID, id);
    record_put(&b, TAG_REMOTE, SLICE("mx [192.0.2.9]:25"));
    record_put(&b, TAG_TLS, SLICE("TLSv1.3 X"));
    record_put(&b, TAG_MESSAGE_ID, SLICE("<one@x.test>")); /* for a report */
    record_put_u64(&b, TAG_RECIPIENT_INDEX, index);
    record_put_u64(&b, TAG_OUTCOME, kind);
    record_put_u64(&b, TAG_ATTEMPT, attempt);
    record_put_u64(&b, TAG_STAGE, STAGE_RCPT);
    record_put_u64(&b, TAG_CODE, code);
    record_put(&b, TAG_ENHANCED, SLICE("5.1.1"));
    record_put(&b, TAG_REPLY, SLICE("what it said"));
    if (kind == OUTCOME_RETRY)
        record_put_u64(&b, TAG_NEXT_ATTEMPT, (uint64_t)(f->env.now + SPAN_HOUR));
    append(f, ID_DELIVERY, RECORD_OUTCOME, 0, &b);
}

/* Reads everything there is. */
static void project(struct fixture *f)
{
    int more;
    while ((more = projector_step(f->projector)) > 0)
        continue;
    assert_int_equal(0, more);
}

static int find(struct fixture *f, const char *q, struct ledger_message **out)
{
    ledger_reader_close(&f->reader);
    assert_int_equal(0, ledger_reader_open(&f->reader, f->path));
    int n = ledger_find(f->reader, slice_of(q), 0, 10, &f->arena, out);
    ledger_reader_close(&f->reader);
    return n;
}

static struct ledger_usage usage_of(struct fixture *f, unsigned seconds)
{
    struct ledger_usage *u;
    struct ledger_usage sum = {0};
    assert_int_equal(0, ledger_reader_open(&f->reader, f->path));
    int n = ledger_usage(f->reader, 7, seconds, 0, 100, &f->arena, &u);
    ledger_reader_close(&f->reader);
    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        sum.messages += u[i].messages;
        sum.recipients += u[i].recipients;
        sum.octets += u[i].octets;
        sum.delivered += u[i].delivered;
        sum.failed += u[i].failed;
    }
    return sum;
}

static const char *const two[] = {"bo@y.test", "Cy@y.test"};

static void a_message_and_its_outcomes_become_rows(void **state)
{
    struct fixture *f = *state;
    struct ledger_message *m;
    char text[ID_TEXT_LEN + 1];
    uint64_t id = add_message(f, two, 2);
    add_outcome(f, id, 0, OUTCOME_RETRY, 1, 451);
    env_test_advance(&f->env, SPAN_MINUTE);
    add_outcome(f, id, 0, OUTCOME_DELIVERED, 2, 250);
    add_outcome(f, id, 1, OUTCOME_FAILED, 1, 550);
    project(f);
    id_format(id, text);
    assert_int_equal(1, find(f, text, &m));
    assert_int_equal(2, m->count);
    assert_int_equal(OUTCOME_DELIVERED, m->recipients[0].state);
    assert_int_equal(2, m->recipients[0].try_count);
    assert_int_equal(451, m->recipients[0].tries[0].code);
    assert_true(slice_eq(m->recipients[0].tries[1].tls, SLICE("TLSv1.3 X")));
    assert_true(slice_eq(m->recipients[0].tries[1].remote, SLICE("mx [192.0.2.9]:25")));
    assert_int_equal(OUTCOME_FAILED, m->recipients[1].state);
    assert_true(slice_eq(m->message_id, SLICE("<one@x.test>")));
    struct ledger_usage u = usage_of(f, 86400);
    assert_int_equal(1, u.messages);
    assert_int_equal(2, u.recipients);
    assert_int_equal(1000, u.octets);
    assert_int_equal(1, u.delivered);
    assert_int_equal(1, u.failed);
}

/* After a power cut delivery may have recovered its journal before smtpd has: outcomes must not
 * be read before their messages, of which they would find none. */
static void outcomes_wait_for_their_messages(void **state)
{
    struct fixture *f = *state;
    struct ledger_message *m;
    uint64_t id = add_message(f, two, 2);
    add_outcome(f, id, 0, OUTCOME_DELIVERED, 1, 250);
    uint64_t end = atomic_exchange(&f->watermark[ID_SMTPD].durable, 0);
    project(f);
    assert_int_equal(0, find(f, "one@x.test", &m));
    atomic_store(&f->watermark[ID_SMTPD].durable, end);
    project(f);
    assert_int_equal(1, find(f, "one@x.test", &m));
    assert_int_equal(OUTCOME_DELIVERED, m->recipients[0].state);
    assert_int_equal(1, usage_of(f, 86400).delivered);
}

/* mail: 0 when nobody is told. */
static void add_notification(struct fixture *f, uint64_t mail, uint64_t about,
                             const enum report reports[2])
{
    struct buf b = BUF_INIT;
    if (mail != 0) {
        record_put_u64(&b, TAG_ID, mail);
        record_put(&b, TAG_REVERSE_PATH, SLICE(""));
        record_put(&b, TAG_RECIPIENT, SLICE("anna@x.test"));
        record_put_u64(&b, TAG_OCTETS, 3000);
    }
    record_put_u64(&b, TAG_REPORTS, about);
    for (uint32_t i = 0; i < 2; i++) {
        record_put_u64(&b, TAG_RECIPIENT_INDEX, i);
        record_put_u64(&b, TAG_REPORT, reports[i]);
    }
    append(f, ID_DELIVERY, RECORD_DSN, 0, &b);
}

static void what_senders_were_told_is_kept(void **state)
{
    static const enum report late[] = {REPORT_DELAYED, REPORT_FAILED};
    static const enum report never[] = {REPORT_UNWANTED, REPORT_IMPOSSIBLE};
    struct fixture *f = *state;
    struct ledger_message *m;
    char text[ID_TEXT_LEN + 1];
    struct id_source own;
    id_source_init(&own, 0, ID_DELIVERY);
    uint64_t id = add_message(f, two, 2);
    add_outcome(f, id, 0, OUTCOME_RETRY, 1, 451);
    add_outcome(f, id, 1, OUTCOME_FAILED, 1, 550);
    uint64_t mail = id_next(&own, f->env.now);
    add_notification(f, mail, id, late);
    add_notification(f, mail, id, late); /* read twice */
    env_test_advance(&f->env, SPAN_MINUTE);
    add_outcome(f, mail, 0, OUTCOME_FAILED, 1, 550);
    add_notification(f, 0, mail, never);
    add_notification(f, mail, id + 1, late); /* about a message that is not known */
    project(f);
    id_format(id, text);
    assert_int_equal(1, find(f, text, &m));
    assert_int_equal(1, m->recipients[0].report_count);
    assert_int_equal(REPORT_DELAYED, m->recipients[0].reports[0].report);
    assert_true(m->recipients[0].reports[0].notification == mail);
    assert_int_equal(1, m->recipients[1].report_count);
    assert_int_equal(REPORT_FAILED, m->recipients[1].reports[0].report);
    id_format(mail, text);
    assert_int_equal(1, find(f, text, &m));
    assert_int_equal(0, m->reverse_path.len);
    assert_int_equal(OUTCOME_FAILED, m->recipients[0].state);
    assert_int_equal(1, m->recipients[0].report_count);
    assert_int_equal(REPORT_UNWANTED, m->recipients[0].reports[0].report);
    assert_true(m->recipients[0].reports[0].notification == 0);
    /* The notification is nobody's use, nor one of the addresses that failed. */
    struct ledger_usage u = usage_of(f, 86400);
    assert_int_equal(1, u.messages);
    assert_int_equal(1, u.failed);
    struct ledger_erased erased;
    assert_int_equal(0, ledger_erase(f->ledger, SLICE("cy@y.test"), &erased));
    assert_int_equal(1, erased.recipients);
    assert_int_equal(1, erased.errors);
    id_format(id, text);
    assert_int_equal(1, find(f, text, &m));
    assert_int_equal(1, m->count);
}

static void it_is_found_by_what_people_have(void **state)
{
    static const struct {
        const char *query;
        int found;
        size_t recipients;
    } rows[] = {
        {"one@x.test", 1, 2},  {"<one@x.test>", 1, 2}, {"anna@x.test", 1, 2},
        {"ANNA@x.test", 1, 2}, {"bo@y.test", 1, 1},    {"cy@Y.test", 1, 1},
        {"di@y.test", 0, 0},   {"' OR 1=1 --", 0, 0},  {"0000000000000", 0, 0},
    };
    struct fixture *f = *state;
    struct ledger_message *m;
    add_message(f, two, 2);
    project(f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int n = find(f, rows[i].query, &m);
        if (n != rows[i].found || (n > 0 && m->count != rows[i].recipients))
            fail_msg("%s: %d found", rows[i].query, n);
    }
}

static void what_was_read_is_counted_once(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        uint64_t id = add_message(f, two, 2);
        add_outcome(f, id, 0, OUTCOME_FAILED, 1, 550);
        if (i == 2)
            assert_int_equal(1, projector_step(f->projector));
        close_projector(f); /* without a word, as after a kill */
        open_projector(f);
    }
    project(f);
    assert_int_equal(5, usage_of(f, 60).messages);
    assert_int_equal(5, usage_of(f, 3600).failed);
    /* A ledger that lost its positions reads everything again: nothing is counted twice. */
    sqlite3 *db;
    close_projector(f);
    assert_int_equal(SQLITE_OK, sqlite3_open(f->path, &db));
    assert_int_equal(SQLITE_OK,
                     sqlite3_exec(db, "UPDATE positions SET position = 0", NULL, NULL, NULL));
    sqlite3_close(db);
    open_projector(f);
    project(f);
    assert_int_equal(5, usage_of(f, 60).messages);
    assert_int_equal(5, usage_of(f, 60).failed);
    assert_int_equal(50 / 10, usage_of(f, 86400).failed);
}

static void the_head_follows_what_is_synced(void **state)
{
    struct fixture *f = *state;
    struct snapshot head;
    struct projector_numbers n;
    assert_int_equal(-ENOENT, snapshot_read_head(&f->env.env, PROJECTOR_HEAD, &head));
    add_message(f, two, 2);
    projector_numbers(f->projector, &n);
    assert_true(n.behind[ID_SMTPD] > 0);
    project(f);
    assert_int_equal(0, projector_save(f->projector));
    assert_int_equal(0, snapshot_read_head(&f->env.env, PROJECTOR_HEAD, &head));
    assert_int_equal(f->watermark[ID_SMTPD].durable, head.position[ID_SMTPD]);
    assert_true(head.needs[ID_SMTPD] == UINT64_MAX);
    assert_int_equal(0, ledger_waiting(f->ledger));
    projector_numbers(f->projector, &n);
    assert_int_equal(0, n.behind[ID_SMTPD]);
}

static void segments_go_only_behind_it(void **state)
{
    struct fixture *f = *state;
    struct ledger_message *m;
    for (int i = 0; i < 600; i++)
        add_message(f, two, 2);
    assert_int_equal(0, journal_sweep(f->writer[ID_SMTPD])); /* the ledger has read nothing */
    project(f);
    assert_int_equal(0, journal_sweep(f->writer[ID_SMTPD])); /* and has not said so */
    assert_int_equal(0, projector_save(f->projector));
    assert_true(journal_sweep(f->writer[ID_SMTPD]) > 0);
    close_projector(f);
    add_message(f, two, 2);
    open_projector(f);
    project(f);
    assert_int_equal(601, usage_of(f, 86400).messages);
    assert_int_equal(10, find(f, "bo@y.test", &m));
}

static void an_unknown_record_ends_reading(void **state)
{
    struct fixture *f = *state;
    struct projector_numbers n;
    struct buf b = BUF_INIT;
    record_put_u64(&b, TAG_ID, 1);
    append(f, ID_SMTPD, (enum record_type)99, RECORD_SKIPPABLE, &b);
    project(f);
    record_put_u64(&b, TAG_ID, 1);
    append(f, ID_SMTPD, (enum record_type)99, 0, &b);
    add_message(f, two, 2);
    assert_int_equal(-ENOTSUP, projector_step(f->projector));
    projector_numbers(f->projector, &n);
    assert_true(n.is_stopped && n.behind[ID_SMTPD] > 0);
}

static void an_outcome_of_nothing_known_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct buf b = BUF_INIT;
    add_outcome(f, 12345, 0, OUTCOME_FAILED, 1, 550);
    record_put_u64(&b, TAG_RECIPIENT_INDEX, 0); /* no id */
    append(f, ID_DELIVERY, RECORD_OUTCOME, 0, &b);
    uint64_t id = add_message(f, two, 2);
    add_outcome(f, id, 17, OUTCOME_FAILED, 1, 550); /* no such recipient */
    add_outcome(f, id, 0, (enum outcome_kind)77, 1, 550);
    project(f);
    assert_int_equal(0, usage_of(f, 60).failed);
    assert_int_equal(1, usage_of(f, 60).messages);
}

static void an_address_is_erased(void **state)
{
    struct fixture *f = *state;
    struct ledger_erased erased;
    struct ledger_message *m;
    struct ledger_error *e;
    uint64_t id = add_message(f, two, 2);
    add_outcome(f, id, 0, OUTCOME_FAILED, 1, 550);
    project(f);
    assert_int_equal(0, ledger_erase(f->ledger, SLICE("BO@y.test"), &erased));
    assert_int_equal(1, erased.recipients);
    assert_int_equal(1, erased.errors);
    assert_int_equal(0, find(f, "bo@y.test", &m));
    assert_int_equal(1, find(f, "cy@y.test", &m));
    assert_int_equal(0, ledger_erase(f->ledger, SLICE("anna@x.test"), &erased));
    assert_int_equal(1, erased.senders);
    assert_int_equal(0, find(f, "anna@x.test", &m));
    /* What comes later does not bring it back. */
    add_outcome(f, id, 0, OUTCOME_FAILED, 2, 550);
    project(f);
    assert_int_equal(0, ledger_reader_open(&f->reader, f->path));
    assert_int_equal(0, ledger_errors(f->reader, 7, SLICE(""), 10, &f->arena, &e));
}

static void old_rows_go(void **state)
{
    static const struct ledger_retention keep = {.messages = 30 * SPAN_DAY,
                                                 .minutes = SPAN_DAY,
                                                 .hours = 90 * SPAN_DAY,
                                                 .errors = 60 * SPAN_DAY};
    struct fixture *f = *state;
    struct ledger_message *m;
    struct ledger_error *e;
    for (int i = 0; i < 3; i++) {
        uint64_t id = add_message(f, two, 2);
        add_outcome(f, id, 0, OUTCOME_FAILED, 1, 550);
        if (i > 0) /* the first one still has a recipient in the queue */
            add_outcome(f, id, 1, OUTCOME_DELIVERED, 1, 250);
    }
    project(f);
    assert_int_equal(0, ledger_expire(f->ledger, &keep, f->env.now));
    env_test_advance(&f->env, 31 * SPAN_DAY);
    add_message(f, two, 2);
    project(f);
    while (ledger_expire(f->ledger, &keep, f->env.now) > 0)
        continue;
    assert_int_equal(2, find(f, "cy@y.test", &m));
    assert_int_equal(1, usage_of(f, 60).messages);
    assert_int_equal(4, usage_of(f, 3600).messages);
    assert_int_equal(4, usage_of(f, 86400).messages);
    env_test_advance(&f->env, 31 * SPAN_DAY);
    assert_true(ledger_expire(f->ledger, &keep, f->env.now) > 0);
    assert_int_equal(0, ledger_reader_open(&f->reader, f->path));
    assert_int_equal(0, ledger_errors(f->reader, 7, SLICE(""), 10, &f->arena, &e));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_message_and_its_outcomes_become_rows),
        CASE(outcomes_wait_for_their_messages),
        CASE(what_senders_were_told_is_kept),
        CASE(it_is_found_by_what_people_have),
        CASE(what_was_read_is_counted_once),
        CASE(the_head_follows_what_is_synced),
        CASE(segments_go_only_behind_it),
        CASE(an_unknown_record_ends_reading),
        CASE(an_outcome_of_nothing_known_is_passed_over),
        CASE(an_address_is_erased),
        CASE(old_rows_go),
    };
    return cmocka_run_group_tests_name("control/ledger", tests, NULL, NULL);
}
