#include "fixture.h"

#include "smtpd/auth.h"
#include "smtpd/verified.h"

#include "../check.h"

#include <sodium.h>

enum { ALICE = 10, BOB = 11, WEB = 12, SHOP = 13 };

struct fixture {
    struct env_real real;
    struct env_test clock;
    struct people people;
    struct conf_submission conf;
    struct limits *limits;
    struct loop *loop;
    struct auth *auth;
    /* the last answer */
    unsigned answers;
    enum auth_result result;
    uint64_t account;
    uint64_t credential;
    unsigned code;
    slice text;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    env_test_init(&f->clock, NULL, 0);
    f->people = people_new();
    people_add_account(&f->people, ALICE, "alice@example.org");
    people_add_account(&f->people, BOB, "bob@example.org");
    people_add_account(&f->people, WEB, "web");
    people_add_account(&f->people, SHOP, "shop@example.org");
    people_add_secret(&f->people, 1, ALICE, "generated-1");
    people_add_secret(&f->people, 2, ALICE, "generated-2");
    people_add_password(&f->people, 3, BOB, "chosen by bob");
    people_add_password(&f->people, 4, BOB, "chosen by bob as well");
    static const uint64_t shop[] = {SHOP};
    struct directory_credential web = {.id = 5,
                                       .account = WEB,
                                       .kind = CREDENTIAL_UID,
                                       .uid = 33,
                                       .may_act_for = shop,
                                       .may_act_for_count = 1};
    people_put_credential(&f->people, &web);
    f->limits = limits_new(&f->clock.env, &f->conf);
    f->loop = loop_new();
    f->auth = auth_new(&f->clock.env, f->people.directory, f->limits);
    assert_non_null(f->auth);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    auth_free(&f->auth);
    loop_free(&f->loop);
    limits_free(&f->limits);
    directory_free(&f->people.directory);
    free(f);
    return 0;
}

static void on_answer(void *ctx, const struct auth_answer *a)
{
    struct fixture *f = ctx;
    f->answers++;
    f->result = a->result;
    assert_true((a->account != NULL) != (a->refusal != NULL));
    f->account = a->account ? a->account->id : 0;
    f->credential = a->account ? a->account->credential : 0;
    f->code = a->refusal ? a->refusal->code : 0;
    f->text = a->refusal ? a->refusal->text : (slice){0};
}

static struct auth_question plain(const char *login, const char *secret)
{
    return (struct auth_question){
        .mechanism = VERIFY_PLAIN,
        .identity = {.authcid = slice_of(login), .secret = slice_of(secret)},
        .client = {.family = 4, .bytes = {192, 0, 2, 1}},
    };
}

/* Asks and waits for the answer; how many password hashes it took. */
static unsigned ask(struct fixture *f, const struct auth_question *q)
{
    uint64_t before = auth_hashes(f->auth);
    f->answers = 0;
    (void)auth_begin(f->auth, f->loop, q, on_answer, f);
    loop_run(f->loop);
    assert_int_equal(f->answers, 1);
    return (unsigned)(auth_hashes(f->auth) - before);
}

static void secrets_and_passwords(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        const char *login;
        const char *secret;
        enum auth_result want;
        uint64_t credential;
        unsigned hashes;
    } rows[] = {
        {"generated", "alice@example.org", "generated-1", AUTH_OK, 1, 0},
        {"the other device", "alice@example.org", "generated-2", AUTH_OK, 2, 0},
        {"case of the login", "Alice@Example.ORG", "generated-2", AUTH_OK, 2, 0},
        {"chosen", "bob@example.org", "chosen by bob", AUTH_OK, 3, 1},
        {"chosen, remembered", "bob@example.org", "chosen by bob", AUTH_OK, 3, 0},
        {"the second one", "bob@example.org", "chosen by bob as well", AUTH_OK, 4, 2},
        {"wrong, only generated ones", "alice@example.org", "generated-3", AUTH_WRONG, 0, 1},
        {"wrong, chosen ones", "bob@example.org", "Chosen by bob", AUTH_WRONG, 0, 2},
        {"no such login", "nobody@example.org", "generated-1", AUTH_WRONG, 0, 1},
        {"no credential", "shop@example.org", "x", AUTH_WRONG, 0, 1},
        {"another's", "bob@example.org", "generated-1", AUTH_WRONG, 0, 2},
        {"empty", "alice@example.org", "", AUTH_WRONG, 0, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct auth_question q = plain(rows[i].login, rows[i].secret);
        unsigned hashes = ask(f, &q);
        check_int(rows[i].name, f->result, rows[i].want);
        check_int(rows[i].name, (long long)f->credential, (long long)rows[i].credential);
        check_int(rows[i].name, hashes, rows[i].hashes);
    }
}

static void failures_look_alike(void **state)
{
    struct fixture *f = *state;
    struct auth_question unknown = plain("nobody@example.org", "x");
    struct auth_question wrong = plain("alice@example.org", "x");
    check_int("a hash for nobody", ask(f, &unknown), 1);
    unsigned code = f->code;
    slice text = f->text;
    check_int("a hash for somebody", ask(f, &wrong), 1);
    check_int("code", f->code, code);
    check_slice("text", f->text, text);
    check_int("535", code, 535);
    check_int(
        "the effort of every password",
        crypto_pwhash_str_needs_rehash(auth_nobody(f->auth), ARGON2ID_PASSES, ARGON2ID_MEMORY),
        0);
}

static void a_changed_password_is_not_the_remembered_one(void **state)
{
    struct fixture *f = *state;
    struct auth_question q = plain("bob@example.org", "chosen by bob");
    check_int("hashed", ask(f, &q), 1);
    check_int("remembered", ask(f, &q), 0);
    people_remove(&f->people, ENTITY_CREDENTIAL, 4);
    people_add_password(&f->people, 3, BOB, "changed");
    check_int("hashed again", ask(f, &q), 1);
    check_int("and wrong", f->result, AUTH_WRONG);
    people_remove(&f->people, ENTITY_CREDENTIAL, 3);
    ask(f, &q);
    check_int("revoked", f->result, AUTH_WRONG);
}

static void remembered_for_a_while(void **state)
{
    struct fixture *f = *state;
    struct auth_question q = plain("bob@example.org", "chosen by bob");
    check_int("hashed", ask(f, &q), 1);
    env_test_advance(&f->clock, AUTH_CACHE_AGE - 1);
    check_int("remembered", ask(f, &q), 0);
    env_test_advance(&f->clock, 1);
    check_int("forgotten", ask(f, &q), 1);
}

static void local_users_and_authorisation_ids(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        bool is_local;
        uint32_t uid;
        const char *authzid;
        enum auth_result want;
        uint64_t account;
        uint64_t credential;
    } rows[] = {
        {"himself", true, 33, "", AUTH_OK, WEB, 5},
        {"himself by name", true, 33, "web", AUTH_OK, WEB, 5},
        {"for the shop", true, 33, "shop@example.org", AUTH_OK, SHOP, 5},
        {"for another", true, 33, "alice@example.org", AUTH_NOT_FOR, 0, 0},
        {"for nobody", true, 33, "nobody", AUTH_NOT_FOR, 0, 0},
        {"unknown user", true, 34, "", AUTH_NO_MAPPING, 0, 0},
        {"not local", false, 33, "", AUTH_NO_MAPPING, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct auth_question q = {
            .mechanism = VERIFY_EXTERNAL,
            .identity = {.authzid = slice_of(rows[i].authzid)},
            .is_local = rows[i].is_local,
            .uid = rows[i].uid,
        };
        check_int(rows[i].name, ask(f, &q), 0);
        check_int(rows[i].name, f->result, rows[i].want);
        check_int(rows[i].name, (long long)f->account, (long long)rows[i].account);
        check_int(rows[i].name, (long long)f->credential, (long long)rows[i].credential);
    }
}

static void plain_with_an_authorisation_id(void **state)
{
    struct fixture *f = *state;
    struct auth_question q = plain("alice@example.org", "generated-1");
    q.identity.authzid = SLICE("ALICE@example.org");
    ask(f, &q);
    check_int("oneself", f->result, AUTH_OK);
    q.identity.authzid = SLICE("bob@example.org");
    ask(f, &q);
    check_int("another", f->result, AUTH_NOT_FOR);
    q.identity.secret = SLICE("wrong");
    ask(f, &q);
    check_int("a wrong password says no more", f->result, AUTH_WRONG);
}

static void a_failure_waits_for_its_time(void **state)
{
    struct fixture *f = *state;
    f->conf.auth_delay = 300 * SPAN_MS;
    limits_configure(f->limits, &f->conf);
    struct auth_question q = plain("nobody@example.org", "x");
    span before = loop_time(f->loop);
    ask(f, &q);
    CHECK("the first", loop_time(f->loop) - before >= 300 * SPAN_MS);
    before = loop_time(f->loop);
    ask(f, &q);
    CHECK("the second", loop_time(f->loop) - before >= 600 * SPAN_MS);
    struct auth_question right = plain("alice@example.org", "generated-1");
    ask(f, &right);
    check_int("right at once", f->result, AUTH_OK);
}

static void a_cancelled_sign_in_is_not_answered(void **state)
{
    struct fixture *f = *state;
    f->conf.auth_delay = 10 * SPAN_SECOND;
    limits_configure(f->limits, &f->conf);
    struct auth_question q = plain("nobody@example.org", "x");
    struct sign_in *s = auth_begin(f->auth, f->loop, &q, on_answer, f);
    assert_non_null(s);
    auth_cancel(&s);
    assert_null(s);
    loop_run(f->loop);
    assert_int_equal(f->answers, 0);
    check_int("but it counts", limits_sign_in_failed(f->limits, &q.client), 20 * SPAN_SECOND);
}

static void too_many_wait(void **state)
{
    struct fixture *f = *state;
    struct auth_question q = plain("nobody@example.org", "x");
    unsigned busy = 0;
    for (int i = 0; i < AUTH_QUEUE_MAX + AUTH_THREADS + 1; i++) {
        struct sign_in *s = auth_begin(f->auth, f->loop, &q, on_answer, f);
        busy += s == NULL;
        auth_cancel(&s);
    }
    CHECK("some were refused", busy >= 1);
    check_int("for now", f->result, AUTH_BUSY);
    check_int("for now", f->code, 454);
}

static void the_oldest_mark_goes_first(void **state)
{
    struct fixture *f = *state;
    struct verified *v = verified_new(&f->clock.env, 2, SPAN_MINUTE);
    struct directory_credential c = {.id = 1, .verifier = SLICE("v")};
    verified_add(v, &c, SLICE("one"));
    verified_add(v, &c, SLICE("two"));
    verified_add(v, &c, SLICE("two"));
    assert_true(verified_has(v, &c, SLICE("one")));
    verified_add(v, &c, SLICE("three"));
    assert_false(verified_has(v, &c, SLICE("one")));
    assert_true(verified_has(v, &c, SLICE("two")));
    assert_true(verified_has(v, &c, SLICE("three")));
    struct directory_credential other = {.id = 2, .verifier = SLICE("v")};
    assert_false(verified_has(v, &other, SLICE("two")));
    struct directory_credential changed = {.id = 1, .verifier = SLICE("w")};
    assert_false(verified_has(v, &changed, SLICE("two")));
    verified_free(&v);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(secrets_and_passwords),
        TEST(failures_look_alike),
        TEST(a_changed_password_is_not_the_remembered_one),
        TEST(remembered_for_a_while),
        TEST(local_users_and_authorisation_ids),
        TEST(plain_with_an_authorisation_id),
        TEST(a_failure_waits_for_its_time),
        TEST(a_cancelled_sign_in_is_not_answered),
        TEST(too_many_wait),
        TEST(the_oldest_mark_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
