/* publish: the database and the control journal come to agree, whatever was lost. */
#include "control/publish.h"
#include "journal/reader.h"
#include "journal/snapshot.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint64_t seed[2] = {3, 4};
static const stamp noon = 20000 * SPAN_DAY;
static const char *const readers[] = {"directory"};

struct fixture {
    struct scratch scratch;
    struct env_real env;
    struct watermark watermark;
    struct publish publish;
    struct store *store;
    /* What a reader of the journal knows. */
    struct directory *directory;
    struct arena arena;
};

static void start(struct fixture *f)
{
    char path[256];
    struct journal_recovery recovery;
    struct journal_config config = {
        .env = &f->env.env,
        .dir = "journal",
        .watermark = &f->watermark,
        .segment_bytes = 64 * 1024,
        .readers = readers,
        .reader_count = 1,
    };
    assert_int_equal(0, store_open(&f->store, scratch_path(&f->scratch, "directory.db", path)));
    f->publish = (struct publish){
        .env = &f->env.env,
        .store = f->store,
        .dir = "journal",
        .watermark = &f->watermark,
        .readers = readers,
        .reader_count = 1,
    };
    assert_int_equal(0, journal_writer_open(&f->publish.writer, &config, &recovery));
}

static void stop(struct fixture *f)
{
    journal_writer_close(&f->publish.writer);
    store_close(&f->store);
    f->watermark.durable = 0;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(0, scratch_init(&f->scratch));
    env_real_init(&f->env, f->scratch.fd);
    f->directory = directory_new(seed);
    start(f);
    assert_int_equal(0, publish_start(&f->publish));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    stop(f);
    directory_free(&f->directory);
    arena_fini(&f->arena);
    scratch_fini(&f->scratch);
    free(f);
    return 0;
}

/* Reads the journal from its beginning into the directory, as a role does that starts. */
static void follow(struct fixture *f)
{
    struct journal_reader *r;
    struct journal_record record;
    assert_int_equal(0, journal_reader_open(&r, &f->env.env, "journal", &f->watermark, 0));
    while (journal_next(r, &record) == 1)
        assert_true(directory_apply(f->directory, record.fields) >= 0);
    journal_reader_close(&r);
}

static void commit(struct fixture *f)
{
    int published = -1;
    assert_int_equal(0, store_commit(f->store, &published));
    assert_int_equal(0, published);
}

static uint64_t add_account(struct fixture *f, const char *login)
{
    uint64_t customer = 0;
    uint64_t holder;
    assert_int_equal(0, store_begin(f->store));
    if (store_customer_find(f->store, SLICE("One"), &customer) == -ENOENT) {
        struct directory_customer c = {.name = SLICE("One")};
        assert_int_equal(0, store_customer_put(f->store, &c, noon));
        customer = c.id;
    }
    struct directory_account a = {.customer = customer, .login = slice_of(login)};
    assert_int_equal(0, store_account_put(f->store, &a, noon));
    struct directory_credential c = {.account = a.id,
                                     .kind = CREDENTIAL_SECRET,
                                     .scheme = SLICE("blake2b"),
                                     .verifier = slice_of(login)};
    assert_int_equal(0, store_credential_add(f->store, &c, noon, &holder));
    commit(f);
    return a.id;
}

static void remove_account(struct fixture *f, uint64_t id)
{
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, store_account_remove(f->store, id));
    commit(f);
}

static bool knows(struct fixture *f, const char *login)
{
    struct account a;
    const struct directory_credential *c;
    return directory_account_by_login(f->directory, slice_of(login), noon, &f->arena, &a) &&
           directory_verifiers(f->directory, a.id, &f->arena, &c) == 1 &&
           slice_eq(c[0].verifier, slice_of(login));
}

static enum publish_history history(struct fixture *f)
{
    enum publish_history h = PUBLISH_UP_TO_DATE;
    uint64_t newest;
    assert_int_equal(0, publish_compare(&f->publish, &h, &newest));
    return h;
}

static void remove_journal(struct fixture *f)
{
    char path[256];
    nftw(scratch_path(&f->scratch, "journal", path), scratch_remove_one, 16,
         FTW_DEPTH | FTW_PHYS);
}

static void changes_reach_readers(void **state)
{
    struct fixture *f = *state;
    add_account(f, "anna");
    follow(f);
    assert_true(knows(f, "anna"));
    assert_int_equal(3, directory_version(f->directory));
    assert_int_equal(PUBLISH_UP_TO_DATE, history(f));
    stop(f);
    start(f);
    assert_int_equal(PUBLISH_UP_TO_DATE, history(f));
    assert_int_equal(0, publish_start(&f->publish));
    add_account(f, "bo");
    follow(f);
    assert_true(knows(f, "bo"));
    assert_int_equal(5, store_version(f->store));
}

/* Many enough that they come in several batches and pages. */
static void lost_journal_is_written_again(void **state)
{
    struct fixture *f = *state;
    uint64_t gone = add_account(f, "gone");
    for (int i = 0; i < 150; i++) {
        char login[16];
        snprintf(login, sizeof(login), "user%d", i);
        add_account(f, login);
    }
    follow(f);
    remove_account(f, gone);
    stop(f);
    remove_journal(f);
    start(f);
    assert_int_equal(PUBLISH_LOST, history(f));
    assert_int_equal(0, publish_start(&f->publish));
    assert_int_equal(PUBLISH_UP_TO_DATE, history(f));
    /* One who knew the directory, and did not hear of the removal. */
    assert_true(knows(f, "gone"));
    follow(f);
    assert_false(knows(f, "gone"));
    assert_true(knows(f, "user149"));
    assert_int_equal(store_version(f->store), directory_version(f->directory));
    /* One who begins with nothing. */
    directory_free(&f->directory);
    f->directory = directory_new(seed);
    follow(f);
    assert_true(knows(f, "user0"));
    assert_true(knows(f, "user149"));
    add_account(f, "later");
    follow(f);
    assert_true(knows(f, "later"));
}

static void older_database_is_told(void **state)
{
    struct fixture *f = *state;
    char path[256], copy[256], command[600];
    add_account(f, "anna");
    stop(f);
    snprintf(command, sizeof(command), "cp %s %s",
             scratch_path(&f->scratch, "directory.db", path),
             scratch_path(&f->scratch, "copy.db", copy));
    assert_int_equal(0, system(command));
    start(f);
    assert_int_equal(0, publish_start(&f->publish));
    add_account(f, "newer");
    follow(f);
    assert_true(knows(f, "newer"));
    stop(f);
    assert_int_equal(0, rename(copy, path));
    start(f);
    assert_int_equal(PUBLISH_AHEAD, history(f));
    assert_int_equal(0, publish_start(&f->publish));
    follow(f);
    assert_true(knows(f, "anna"));
    assert_false(knows(f, "newer"));
    add_account(f, "newest");
    follow(f);
    assert_true(knows(f, "newest"));
}

/* A crash in the middle of writing everything again: it is written again from its beginning. */
static void broken_off_restatement_is_repeated(void **state)
{
    struct fixture *f = *state;
    struct buf fields = BUF_INIT;
    add_account(f, "anna");
    directory_put_restatement(&fields, store_version(f->store) + 1, ENTITY_RESTATEMENT);
    struct journal_entry e = {
        .header = {.version = RECORD_VERSION, .type = RECORD_DIRECTORY, .at = noon},
        .fields = buf_slice(&fields),
    };
    assert_int_equal(0, journal_append_wait(f->publish.writer, &e));
    stop(f);
    start(f);
    assert_int_equal(PUBLISH_AHEAD, history(f));
    assert_int_equal(0, publish_start(&f->publish));
    assert_int_equal(PUBLISH_UP_TO_DATE, history(f));
    follow(f);
    assert_true(knows(f, "anna"));
    assert_int_equal(store_version(f->store), directory_version(f->directory));
    buf_fini(&fields);
}

/* The journal begins in the middle: fine for a reader with a snapshot, not for one without. */
static void journal_without_beginning_needs_snapshots(void **state)
{
    struct fixture *f = *state;
    struct buf fields = BUF_INIT;
    add_account(f, "anna");
    add_account(f, "bo");
    stop(f);
    remove_journal(f);
    start(f);
    directory_put_customer(&fields, store_version(f->store),
                           &(struct directory_customer){.id = 1, .name = SLICE("One")});
    struct journal_entry e = {
        .header = {.version = RECORD_VERSION, .type = RECORD_DIRECTORY, .at = noon},
        .fields = buf_slice(&fields),
    };
    assert_int_equal(0, journal_append_wait(f->publish.writer, &e));
    assert_int_equal(PUBLISH_HEADLESS, history(f));
    struct snapshot s = {.version = 1, .at = noon};
    assert_int_equal(0, snapshot_write(&f->env.env, "directory", &s));
    assert_int_equal(PUBLISH_UP_TO_DATE, history(f));
    assert_int_equal(0, unlink(strcat(strcpy((char[256]){0}, f->scratch.dir), "/directory")));
    assert_int_equal(0, publish_start(&f->publish));
    assert_int_equal(PUBLISH_UP_TO_DATE, history(f));
    buf_fini(&fields);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_reach_readers),
        TEST(lost_journal_is_written_again),
        TEST(older_database_is_told),
        TEST(broken_off_restatement_is_repeated),
        TEST(journal_without_beginning_needs_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
