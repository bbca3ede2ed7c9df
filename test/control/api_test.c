/* api: the whole way of a request, over its Unix socket. */
#include "control/api.h"
#include "model/conf.h"
#include "model/queue_command.h"
#include "net/query.h"
#include "scratch.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

static const uint64_t seed[2] = {3, 4};
static const stamp noon = 20000 * SPAN_DAY;

struct fixture {
    struct scratch scratch;
    struct env_test env;
    struct env_real disk;
    char socket[256];
    int listen_fd;
    struct conf *conf;
    struct shared_pages pages;
    struct store *store;
    struct directory *directory;
    int publish_result;
    struct buf command; /* fields of the last one */
    struct api *api;
    struct arena arena;
    /* of the last call */
    int status;
    json_t *answer;
};

static int publish(void *ctx, const struct store_outbox_row *row)
{
    struct fixture *f = ctx;
    if (f->publish_result < 0)
        return f->publish_result;
    if (row->is_command) {
        buf_clear(&f->command);
        buf_append(&f->command, row->fields);
        return 0;
    }
    int rc = directory_apply(f->directory, row->fields);
    return rc < 0 ? rc : 0;
}

static int listen_on(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
    assert_int_equal(0, bind(fd, (struct sockaddr *)&to, sizeof(to)));
    assert_int_equal(0, listen(fd, 16));
    return fd;
}

static void make_conf(struct fixture *f)
{
    char text[1024];
    struct buf errors = BUF_INIT;
    snprintf(
        text, sizeof(text),
        "[server]\nhostname = mail.example\nstate-dir = %s\nrun-dir = %s\n"
        "[listener submission]\naddress = 127.0.0.1:2525\n[submission]\nmax-recipients = 77\n",
        f->scratch.dir, f->scratch.dir);
    f->conf = conf_parse(SLICE("test"), slice_of(text), &errors);
    if (!f->conf)
        fail_msg("%.*s", SLICE_ARG(buf_slice(&errors)));
    buf_fini(&errors);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char path[256];
    assert_true(sodium_init() >= 0);
    assert_int_equal(0, scratch_init(&f->scratch));
    env_real_init(&f->disk, f->scratch.fd);
    env_test_init(&f->env, &f->disk.env, noon);
    make_conf(f);
    f->directory = directory_new(seed);
    assert_int_equal(0, store_open(&f->store, scratch_path(&f->scratch, "directory.db", path)));
    store_set_publisher(f->store, publish, f);
    f->listen_fd = listen_on(scratch_path(&f->scratch, "api.sock", f->socket));
    f->api = api_new(&(struct api_config){.listen_fd = f->listen_fd,
                                          .store = f->store,
                                          .env = &f->env.env,
                                          .pages = &f->pages,
                                          .conf = f->conf});
    assert_non_null(f->api);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    api_free(&f->api);
    close(f->listen_fd);
    store_close(&f->store);
    directory_free(&f->directory);
    conf_free(&f->conf);
    json_decref(f->answer);
    arena_fini(&f->arena);
    buf_fini(&f->command);
    scratch_fini(&f->scratch);
    free(f);
    return 0;
}

static int connect_to(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&to, sizeof(to)));
    return fd;
}

static void send_all(int fd, slice s)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        s = slice_from(s, (size_t)n);
    }
}

/* One request on a connection of its own; its status and answer in the fixture. */
static int call_bytes(struct fixture *f, const char *method, const char *path, slice body)
{
    struct buf got = BUF_INIT;
    char head[2048];
    char chunk[4096];
    ssize_t n;
    int fd = connect_to(f->socket);
    snprintf(head, sizeof(head),
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             "Content-Length: %zu\r\n\r\n",
             method, path, body.len);
    send_all(fd, slice_of(head));
    send_all(fd, body);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        buf_append(&got, slice_make(chunk, (size_t)n));
    close(fd);
    json_decref(f->answer);
    f->answer = NULL;
    f->status = 0;
    ptrdiff_t end = slice_search(buf_slice(&got), SLICE("\r\n\r\n"));
    if (end > 0 && slice_starts(buf_slice(&got), SLICE("HTTP/1.1 "))) {
        f->status = atoi(got.ptr + 9);
        slice json = slice_from(buf_slice(&got), (size_t)end + 4);
        f->answer = json_loadb(json.ptr, json.len, 0, NULL);
    }
    buf_fini(&got);
    return f->status;
}

static int call(struct fixture *f, const char *method, const char *path, const char *body)
{
    return call_bytes(f, method, path, slice_of(body));
}

static const char *text(struct fixture *f, const char *key)
{
    const char *s = json_string_value(json_object_get(f->answer, key));
    return s ? s : "";
}

static long number(struct fixture *f, const char *key)
{
    return (long)json_integer_value(json_object_get(f->answer, key));
}

static const char *error_text(struct fixture *f, const char *key)
{
    const char *s =
        json_string_value(json_object_get(json_object_get(f->answer, "error"), key));
    return s ? s : "";
}

/* The customer One with the account anna@x.test. */
static void populate(struct fixture *f)
{
    assert_int_equal(201, call(f, "POST", "/v1/customers", "{\"name\": \"One\"}"));
    assert_int_equal(201, call(f, "POST", "/v1/accounts",
                               "{\"login\": \"anna@x.test\", \"customer\": \"one\"}"));
}

static bool find(struct fixture *f, const char *login, struct account *a)
{
    return directory_account_by_login(f->directory, slice_of(login), f->env.now, &f->arena, a);
}

static void customers_live(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(201, call(f, "POST", "/v1/customers",
                               "{\"name\": \"Blåbær / Söner\", \"language\": \"nb\","
                               " \"time_zone\": \"Europe/Oslo\", \"contact\": \"a@b.test\"}"));
    assert_int_equal(1, number(f, "id"));
    assert_string_equal("active", text(f, "state"));
    assert_string_equal("2024-10-04T00:00:00.000Z", text(f, "created"));
    assert_int_equal(200,
                     call(f, "GET", "/v1/customers/Bl%C3%A5b%C3%A6r%20%2F%20S%C3%B6ner", ""));
    assert_string_equal("Europe/Oslo", text(f, "time_zone"));
    assert_int_equal(
        200, call(f, "PATCH", "/v1/customers/1", "{\"name\": \"B\", \"contact\": null}"));
    assert_string_equal("B", text(f, "name"));
    assert_string_equal("nb", text(f, "language"));
    assert_true(json_is_null(json_object_get(f->answer, "contact")));
    assert_int_equal(201,
                     call(f, "POST", "/v1/customers", "{\"name\": \"C\", \"parent\": \"B\"}"));
    assert_string_equal("B", text(f, "parent"));
    assert_int_equal(409, call(f, "PATCH", "/v1/customers/B", "{\"parent\": \"C\"}"));
    assert_string_equal("parent-loop", error_text(f, "code"));
    assert_int_equal(409, call(f, "DELETE", "/v1/customers/B", ""));
    assert_string_equal("customer-in-use", error_text(f, "code"));
    assert_int_equal(200, call(f, "PATCH", "/v1/customers/C", "{\"parent\": null}"));
    assert_int_equal(200, call(f, "DELETE", "/v1/customers/B", ""));
    assert_int_equal(404, call(f, "GET", "/v1/customers/B", ""));
    assert_int_equal(200, call(f, "GET", "/v1/customers", ""));
    assert_int_equal(1, json_array_size(json_object_get(f->answer, "customers")));
    assert_int_equal(5, directory_version(f->directory));
}

static void accounts_live(void **state)
{
    struct fixture *f = *state;
    struct account a;
    populate(f);
    assert_string_equal("exact", text(f, "senders"));
    assert_true(find(f, "anna@x.test", &a));
    assert_int_equal(SENDERS_EXACT, a.right);
    assert_int_equal(1, a.sender_count);
    assert_int_equal(
        200, call(f, "PATCH", "/v1/accounts/anna@x.test",
                  "{\"senders\": \"domains\", \"sender_list\": [\"X.test\", \"y.test\"],"
                  " \"max_recipients\": 50, \"max_size\": 90000000,"
                  " \"expire_after\": \"48h\", \"warn_after\": \"never\"}"));
    assert_true(find(f, "anna@x.test", &a));
    assert_int_equal(SENDERS_DOMAINS, a.right);
    assert_int_equal(2, a.sender_count);
    assert_memory_equal("x.test", a.senders[0].ptr, 6);
    assert_int_equal(50, a.max_recipients);
    assert_int_equal(90000000, a.max_size);
    span expiry = 0, warn_after = 1;
    directory_patience(f->directory, a.id, &expiry, &warn_after);
    assert_true(expiry == 2 * SPAN_DAY);
    assert_int_equal(0, warn_after);
    assert_string_equal(text(f, "expire_after"), "2d");
    assert_string_equal(text(f, "warn_after"), "never");
    assert_int_equal(200, call(f, "PATCH", "/v1/accounts/1", "{\"senders\": \"any\"}"));
    assert_true(find(f, "anna@x.test", &a));
    assert_int_equal(SENDERS_ANY, a.right);
    assert_int_equal(0, a.sender_count);
    assert_int_equal(200, call(f, "GET", "/v1/accounts/ANNA%40x.test", ""));
    assert_string_equal("One", text(f, "customer"));
    assert_int_equal(201, call(f, "POST", "/v1/customers", "{\"name\": \"Two\"}"));
    assert_int_equal(200, call(f, "PATCH", "/v1/accounts/1", "{\"customer\": \"Two\"}"));
    assert_int_equal(200, call(f, "GET", "/v1/accounts?customer=One", ""));
    assert_int_equal(0, json_array_size(json_object_get(f->answer, "accounts")));
    assert_int_equal(200, call(f, "GET", "/v1/accounts?customer=Two", ""));
    assert_int_equal(1, json_array_size(json_object_get(f->answer, "accounts")));
    assert_int_equal(404, call(f, "GET", "/v1/accounts?customer=Three", ""));
    assert_int_equal(200, call(f, "DELETE", "/v1/accounts/anna@x.test", ""));
    assert_false(find(f, "anna@x.test", &a));
    assert_int_equal(404, call(f, "DELETE", "/v1/accounts/anna@x.test", ""));
}

static void locks_take_effect_and_end(void **state)
{
    struct fixture *f = *state;
    struct account a;
    populate(f);
    assert_int_equal(200, call(f, "POST", "/v1/accounts/1/lock",
                               "{\"reason\": \"spam\", \"for\": \"24h\"}"));
    assert_string_equal("locked", text(f, "state"));
    assert_string_equal("2024-10-05T00:00:00.000Z", text(f, "until"));
    assert_true(find(f, "anna@x.test", &a));
    assert_int_equal(ACCOUNT_LOCKED, a.state);
    assert_memory_equal("spam", a.reason.ptr, 4);
    assert_true(a.until == noon + SPAN_DAY);
    env_test_advance(&f->env, SPAN_DAY);
    assert_int_equal(200, call(f, "GET", "/v1/accounts/1", ""));
    assert_string_equal("active", text(f, "state"));
    assert_int_equal(200, call(f, "POST", "/v1/accounts/1/lock", ""));
    assert_true(json_is_null(json_object_get(f->answer, "until")));
    assert_true(find(f, "anna@x.test", &a));
    assert_true(a.until == STAMP_NEVER);
    assert_int_equal(200, call(f, "POST", "/v1/accounts/1/unlock", ""));
    assert_string_equal("active", text(f, "state"));
    assert_true(find(f, "anna@x.test", &a));
    assert_int_equal(ACCOUNT_ACTIVE, a.state);
    assert_int_equal(200, call(f, "POST", "/v1/customers/One/lock", "{\"reason\": \"bill\"}"));
    assert_int_equal(200, call(f, "GET", "/v1/accounts/1", ""));
    assert_string_equal("active", text(f, "state"));
    assert_string_equal("locked", text(f, "customer_state"));
    assert_true(find(f, "anna@x.test", &a));
    assert_int_equal(ACCOUNT_LOCKED, a.state);
    assert_int_equal(200, call(f, "POST", "/v1/customers/One/unlock", ""));
    assert_int_equal(404, call(f, "POST", "/v1/accounts/9/lock", ""));
    assert_int_equal(400, call(f, "POST", "/v1/accounts/1/lock", "{\"for\": \"soon\"}"));
}

static const char *in(struct fixture *f, const char *object, const char *key)
{
    const char *value =
        json_string_value(json_object_get(json_object_get(f->answer, object), key));
    return value ? value : "";
}

/* Now is 2024-10-04 00:00:00 UTC. */
static void plans_have_periods(void **state)
{
    struct fixture *f = *state;
    struct directory_periods p;
    populate(f);
    assert_int_equal(200, call(f, "GET", "/v1/accounts/1/plan", ""));
    assert_true(json_is_null(json_object_get(f->answer, "plan")));
    assert_string_equal("2024-10-01T00:00:00.000Z", in(f, "period", "begin"));
    assert_string_equal("2024-11-01T00:00:00.000Z", in(f, "period", "end"));
    assert_int_equal(200, call(f, "PATCH", "/v1/accounts/1",
                               "{\"time_zone\": \"Europe/Oslo\", \"profile\": \"prudent\"}"));
    assert_string_equal("prudent", text(f, "profile"));
    assert_int_equal(200, call(f, "POST", "/v1/accounts/1/plan",
                               "{\"start\": \"2024-09-15\", \"end\": \"2025-09-15T12:30\"}"));
    assert_string_equal("2024-09-14T22:00:00.000Z", in(f, "plan", "start"));
    assert_string_equal("2025-09-15T10:30:00.000Z", in(f, "plan", "end"));
    assert_string_equal("2024-10-14T22:00:00.000Z", in(f, "period", "end"));
    assert_int_equal(200, call(f, "POST", "/v1/accounts/1/plan", "{\"credit\": \"10MB\"}"));
    assert_string_equal("2024-10-14T22:00:00.000Z", in(f, "plan", "credit_until"));
    assert_int_equal(200, call(f, "POST", "/v1/accounts/1/plan", "{\"reset\": true}"));
    assert_true(directory_periods(f->directory, 1, &p));
    assert_string_equal("CEST", zone_at(p.zone, noon).name);
    assert_int_equal(p.plan.credit, 10000000);
    assert_int_equal(p.plan.reset, noon);
    assert_false(p.plan.is_once);
    assert_int_equal(400,
                     call(f, "POST", "/v1/accounts/1/plan", "{\"start\": \"2024-02-30\"}"));
    assert_int_equal(400, call(f, "POST", "/v1/accounts/1/plan", "{\"start\": \"soon\"}"));
    assert_int_equal(400, call(f, "POST", "/v1/accounts/1/plan", "{\"end\": \"2024-09-14\"}"));
    assert_int_equal(400, call(f, "POST", "/v1/accounts/1/plan", "{\"credit\": \"much\"}"));
    assert_int_equal(400,
                     call(f, "POST", "/v1/accounts/1/plan", "{\"end\": null, \"once\": true}"));
    assert_int_equal(404, call(f, "POST", "/v1/accounts/9/plan", "{}"));
    assert_int_equal(400, call(f, "PATCH", "/v1/accounts/1", "{\"profile\": \"hasty\"}"));
    assert_int_equal(200, call(f, "POST", "/v1/accounts/1/plan",
                               "{\"start\": null, \"end\": null, \"credit\": 0}"));
    assert_string_equal("2024-09-30T22:00:00.000Z", in(f, "period", "begin"));
}

static const struct directory_credential *verifier(struct fixture *f)
{
    const struct directory_credential *c = NULL;
    assert_int_equal(1, directory_verifiers(f->directory, 1, &f->arena, &c));
    return c;
}

static void generated_secret_verifies(void **state)
{
    struct fixture *f = *state;
    unsigned char hash[32];
    char first[64];
    populate(f);
    assert_int_equal(201,
                     call(f, "POST", "/v1/accounts/1/credentials", "{\"label\": \"phone\"}"));
    const char *secret = text(f, "secret");
    assert_int_equal(26, strlen(secret));
    strcpy(first, secret);
    assert_string_equal("secret", text(f, "kind"));
    assert_string_equal("blake2b", text(f, "scheme"));
    assert_string_equal("phone", text(f, "label"));
    const struct directory_credential *c = verifier(f);
    assert_int_equal(48, c->verifier.len);
    crypto_generichash(hash, 32, (const unsigned char *)secret, 26,
                       (const unsigned char *)c->verifier.ptr, 16);
    assert_memory_equal(hash, c->verifier.ptr + 16, 32);

    assert_int_equal(200, call(f, "GET", "/v1/accounts/1/credentials", ""));
    json_t *list = json_object_get(f->answer, "credentials");
    assert_int_equal(1, json_array_size(list));
    assert_null(json_object_get(json_array_get(list, 0), "secret"));
    assert_null(json_object_get(json_array_get(list, 0), "verifier"));
    assert_int_equal(200, call(f, "DELETE", "/v1/credentials/1", ""));
    assert_false(directory_has_credential(f->directory, 1));
    assert_int_equal(404, call(f, "DELETE", "/v1/credentials/1", ""));
    assert_int_equal(201, call(f, "POST", "/v1/accounts/1/credentials", ""));
    assert_string_not_equal(first, text(f, "secret"));
}

static void chosen_password_verifies(void **state)
{
    struct fixture *f = *state;
    populate(f);
    assert_int_equal(201, call(f, "POST", "/v1/accounts/anna@x.test/credentials",
                               "{\"password\": \"benchpass\"}"));
    assert_null(json_object_get(f->answer, "secret"));
    const struct directory_credential *c = verifier(f);
    assert_memory_equal("argon2id", c->scheme.ptr, 8);
    char *hash = arena_cstr(&f->arena, c->verifier);
    assert_memory_equal("$argon2id$v=19$m=19456,t=2,p=1$", hash, 31);
    assert_int_equal(0, crypto_pwhash_str_verify(hash, "benchpass", 9));
    assert_int_equal(-1, crypto_pwhash_str_verify(hash, "benchpasS", 9));
    assert_int_equal(
        400, call(f, "POST", "/v1/accounts/1/credentials", "{\"password\": \"seven77\"}"));
    assert_non_null(strstr(error_text(f, "hint"), "at least 8"));
}

static void addresses_and_users_sign_in(void **state)
{
    struct fixture *f = *state;
    struct account a;
    struct address client;
    populate(f);
    assert_int_equal(201,
                     call(f, "POST", "/v1/accounts",
                          "{\"login\": \"bo\", \"customer\": \"One\", \"senders\": \"any\"}"));
    assert_int_equal(201, call(f, "POST", "/v1/accounts/1/credentials",
                               "{\"kind\": \"address\", \"cidr\": \"192.0.2.0/24\"}"));
    assert_string_equal("192.0.2.0/24", text(f, "cidr"));
    assert_true(address_parse(SLICE("192.0.2.7"), &client));
    assert_true(directory_by_address(f->directory, &client, noon, &f->arena, &a));
    assert_int_equal(1, a.id);
    assert_int_equal(409, call(f, "POST", "/v1/accounts/bo/credentials",
                               "{\"kind\": \"address\", \"cidr\": \"192.0.2.0/24\"}"));
    assert_non_null(strstr(error_text(f, "message"), "anna@x.test"));
    assert_int_equal(400, call(f, "POST", "/v1/accounts/bo/credentials",
                               "{\"kind\": \"address\", \"cidr\": \"192.0.2.1/24\"}"));

    assert_int_equal(201, call(f, "POST", "/v1/accounts/1/credentials",
                               "{\"kind\": \"uid\", \"uid\": 33, \"may_act_for\": [\"bo\"]}"));
    assert_true(directory_by_uid(f->directory, 33, noon, &f->arena, &a));
    assert_int_equal(1, a.id);
    assert_true(directory_may_act_for(f->directory, a.credential, 2));
    assert_int_equal(201, call(f, "POST", "/v1/accounts/1/credentials",
                               "{\"kind\": \"uid\", \"user\": \"root\"}"));
    assert_int_equal(0, number(f, "uid"));
    assert_true(directory_by_uid(f->directory, 0, noon, &f->arena, &a));
    assert_int_equal(400, call(f, "POST", "/v1/accounts/1/credentials",
                               "{\"kind\": \"uid\", \"user\": \"no-such-user\"}"));
    assert_int_equal(201, call(f, "POST", "/v1/customers", "{\"name\": \"Two\"}"));
    assert_int_equal(201, call(f, "POST", "/v1/accounts",
                               "{\"login\": \"c@y.test\", \"customer\": \"Two\"}"));
    assert_int_equal(409, call(f, "POST", "/v1/accounts/c@y.test/credentials",
                               "{\"kind\": \"uid\", \"uid\": 33}"));
    assert_string_equal("user-taken", error_text(f, "code"));
    assert_int_equal(
        404, call(f, "POST", "/v1/accounts/1/credentials", "{\"may_act_for\": [\"nobody\"]}"));
}

/* Every refusal says what is wrong; nothing is changed by any of them. */
static void refusals_say_why(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *code;
    } rows[] = {
        {"GET", "/", "", 404, "no-such-path"},
        {"DELETE", "/v1/customers/", "", 405, "bad-method"},
        {"GET", "/v2/customers", "", 404, "no-such-path"},
        {"GET", "/v1/accounts/1/lock", "", 405, "bad-method"},
        {"GET", "/v1/accounts/1/lock/x", "", 404, "no-such-path"},
        {"PUT", "/v1/customers", "{}", 405, "bad-method"},
        {"POST", "/v1/customers", "", 400, "bad-value"},
        {"POST", "/v1/customers", "nonsense", 400, "bad-json"},
        {"POST", "/v1/customers", "[]", 400, "bad-json"},
        {"POST", "/v1/customers", "{\"name\": \"a\", \"name\": \"b\"}", 400, "bad-json"},
        {"POST", "/v1/customers", "{\"name\": \"\xff\"}", 400, "bad-json"},
        {"POST", "/v1/customers", "{\"name\": 7}", 400, "bad-value"},
        {"POST", "/v1/customers", "{\"name\": \"\"}", 400, "bad-value"},
        {"POST", "/v1/customers", "{\"name\": \"123\"}", 400, "bad-value"},
        {"POST", "/v1/customers", "{\"name\": \"a\\nb\"}", 400, "bad-value"},
        {"POST", "/v1/customers", "{\"name\": \" a\"}", 400, "bad-value"},
        {"POST", "/v1/customers", "{\"name\": \"ONE\"}", 409, "name-taken"},
        {"POST", "/v1/customers", "{\"name\": \"a\", \"nmae\": \"b\"}", 400, "unknown-key"},
        {"POST", "/v1/customers", "{\"name\": \"a\", \"parent\": \"b\"}", 404,
         "no-such-customer"},
        {"POST", "/v1/customers", "{\"name\": \"a\", \"language\": \"English\"}", 400,
         "bad-value"},
        {"POST", "/v1/customers", "{\"name\": \"a\", \"time_zone\": \"a b\"}", 400,
         "bad-value"},
        {"POST", "/v1/customers", "{\"name\": \"a\", \"contact\": \"x\"}", 400, "bad-value"},
        {"GET", "/v1/customers/%ff", "", 404, "no-such-customer"},
        {"GET", "/v1/customers?limit=0", "", 400, "bad-value"},
        {"GET", "/v1/customers?limit=1001", "", 400, "bad-value"},
        {"GET", "/v1/customers?after=x", "", 400, "bad-value"},
        {"POST", "/v1/accounts", "{\"login\": \"a@b.test\"}", 400, "bad-value"},
        {"POST", "/v1/accounts", "{\"customer\": \"One\"}", 400, "bad-value"},
        {"POST", "/v1/accounts", "{\"login\": \"a\", \"customer\": \"One\"}", 400, "bad-value"},
        {"POST", "/v1/accounts", "{\"login\": \"a b\", \"customer\": \"One\"}", 400,
         "bad-value"},
        {"POST", "/v1/accounts", "{\"login\": \"42\", \"customer\": \"One\"}", 400,
         "bad-value"},
        {"POST", "/v1/accounts", "{\"login\": \"a@\", \"customer\": \"One\"}", 400,
         "bad-value"},
        {"POST", "/v1/accounts", "{\"login\": \"a@b.test\", \"customer\": \"X\"}", 404,
         "no-such-customer"},
        {"POST", "/v1/accounts", "{\"login\": \"Anna@x.test\", \"customer\": \"One\"}", 409,
         "login-taken"},
        {"PATCH", "/v1/accounts/1", "{\"senders\": \"all\"}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/1", "{\"senders\": \"domains\"}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/1", "{\"senders\": \"any\", \"sender_list\": [\"x.test\"]}",
         400, "bad-sender"},
        {"PATCH", "/v1/accounts/1", "{\"senders\": \"any\", \"sender_list\": [\"a@x.test\"]}",
         400, "bad-value"},
        {"PATCH", "/v1/accounts/1",
         "{\"senders\": \"domains\", \"sender_list\": [\"@x.test\"]}", 400, "bad-sender"},
        {"PATCH", "/v1/accounts/1", "{\"sender_list\": [\"x.test\"]}", 400, "bad-sender"},
        {"PATCH", "/v1/accounts/1", "{\"sender_list\": \"a@x.test\"}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/1", "{\"sender_list\": [7]}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/1", "{\"max_recipients\": -1}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/1", "{\"max_recipients\": 1000001}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/1", "{\"max_size\": 1.5}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/1", "{\"expire_after\": \"never\"}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/1", "{\"expire_after\": \"31d\"}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/1", "{\"warn_after\": \"5s\"}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/1", "{\"warn_after\": 5}", 400, "bad-value"},
        {"PATCH", "/v1/accounts/9", "{}", 404, "no-such-account"},
        {"POST", "/v1/accounts/9/credentials", "{}", 404, "no-such-account"},
        {"GET", "/v1/accounts/9/credentials", "", 404, "no-such-account"},
        {"POST", "/v1/accounts/1/credentials", "{\"kind\": \"x\"}", 400, "bad-value"},
        {"POST", "/v1/accounts/1/credentials", "{\"uid\": 7}", 400, "bad-value"},
        {"POST", "/v1/accounts/1/credentials", "{\"kind\": \"uid\"}", 400, "bad-value"},
        {"POST", "/v1/accounts/1/credentials", "{\"kind\": \"address\"}", 400, "bad-value"},
        {"POST", "/v1/accounts/1/credentials", "{\"kind\": \"uid\", \"uid\": 4294967295}", 400,
         "bad-value"},
        {"DELETE", "/v1/credentials/x", "", 404, "no-such-credential"},
        {"GET", "/v1/queue?limit=x", "", 400, "bad-value"},
        {"GET", "/v1/queue?after=x", "", 400, "bad-value"},
        {"GET", "/v1/queue?state=x", "", 400, "bad-value"},
        {"GET", "/v1/queue?account=x", "", 404, "no-such-account"},
        {"GET", "/v1/queue/nonsense", "", 400, "bad-value"},
        {"GET", "/v1/queue", "", 503, "delivery-not-reachable"},
        {"GET", "/v1/queue?older_than=x", "", 400, "bad-value"},
        {"GET", "/v1/queue?customer=x", "", 404, "no-such-customer"},
        {"POST", "/v1/queue/hold", "{}", 400, "bad-value"},
        {"POST", "/v1/queue/hold", "{\"all\": false}", 400, "bad-value"},
        {"POST", "/v1/queue/hold", "{\"ids\": [\"x\"]}", 400, "bad-value"},
        {"POST", "/v1/queue/hold", "{\"ids\": \"x\"}", 400, "bad-value"},
        {"POST", "/v1/queue/release", "{\"account\": \"x\"}", 404, "no-such-account"},
        {"POST", "/v1/queue/retry", "{\"older_than\": \"soon\"}", 400, "bad-value"},
        {"POST", "/v1/queue/remove", "{\"state\": \"failed\"}", 400, "unknown-key"},
        {"GET", "/v1/commands/x", "", 400, "bad-value"},
    };
    populate(f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        call(f, rows[i].method, rows[i].path, rows[i].body);
        if (f->status != rows[i].status || strcmp(rows[i].code, error_text(f, "code")) != 0)
            fail_msg("%s %s %s: %d %s", rows[i].method, rows[i].path, rows[i].body, f->status,
                     error_text(f, "code"));
        assert_true(strlen(error_text(f, "message")) > 10);
    }
    assert_int_equal(2, directory_version(f->directory));
    assert_int_equal(2, store_version(f->store));
}

static void large_bodies_are_refused(void **state)
{
    struct fixture *f = *state;
    size_t len = 1024 * 1024;
    char *body = malloc(len + 1);
    memset(body, ' ', len + 1);
    memcpy(body, "{}", 2);
    assert_int_equal(400, call_bytes(f, "POST", "/v1/customers", slice_make(body, len)));
    assert_int_equal(413, call_bytes(f, "POST", "/v1/customers", slice_make(body, len + 1)));
    assert_string_equal("body-too-large", error_text(f, "code"));
    free(body);
}

/* Kept in the database, but not in the journal: said so, and it comes with the next change. */
static void unpublished_change_is_not_success(void **state)
{
    struct fixture *f = *state;
    f->publish_result = -EIO;
    assert_int_equal(503, call(f, "POST", "/v1/customers", "{\"name\": \"One\"}"));
    assert_string_equal("not-in-effect", error_text(f, "code"));
    assert_int_equal(503, call(f, "POST", "/v1/customers", "{\"name\": \"Two\"}"));
    assert_string_equal("storage-failed", error_text(f, "code"));
    assert_int_equal(200, call(f, "GET", "/v1/customers", ""));
    assert_int_equal(1, json_array_size(json_object_get(f->answer, "customers")));
    f->publish_result = 0;
    assert_int_equal(201, call(f, "POST", "/v1/customers", "{\"name\": \"Two\"}"));
    assert_int_equal(2, directory_version(f->directory));
}

static void lists_come_in_pages(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        char body[64];
        snprintf(body, sizeof(body), "{\"name\": \"c%d\"}", i);
        assert_int_equal(201, call(f, "POST", "/v1/customers", body));
    }
    assert_int_equal(200, call(f, "GET", "/v1/customers?limit=3", ""));
    assert_int_equal(3, json_array_size(json_object_get(f->answer, "customers")));
    assert_int_equal(3, number(f, "next"));
    assert_int_equal(200, call(f, "GET", "/v1/customers?limit=3&after=3", ""));
    assert_int_equal(2, json_array_size(json_object_get(f->answer, "customers")));
    assert_true(json_is_null(json_object_get(f->answer, "next")));
}

/* Somebody else's process: asked from a child that has become another user. */
static int status_as(struct fixture *f, uid_t uid)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = setresuid(uid, uid, uid) == 0 ? connect_to(f->socket) : -1;
        char answer[32] = "";
        send_all(fd, SLICE("GET /v1/config HTTP/1.1\r\nHost: x\r\n\r\n"));
        if (fd < 0 || read(fd, answer, sizeof(answer) - 1) < 12)
            _exit(1);
        _exit(atoi(answer + 9) / 2);
    }
    int status;
    assert_int_equal(pid, waitpid(pid, &status, 0));
    return WEXITSTATUS(status) * 2;
}

static void others_are_refused(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(0, chmod(f->scratch.dir, 0755));
    assert_int_equal(0, chmod(f->socket, 0777));
    assert_int_equal(200, status_as(f, 0));
    assert_int_equal(402, status_as(f, 65534)); /* 403, halved to fit an exit status */
}

/* Answers for the delivery role. */
static void answer_query(void *ctx, slice question, struct buf *out)
{
    (void)ctx;
    json_t *q = json_loadb(question.ptr, question.len, 0, NULL);
    const char *name = json_string_value(json_object_get(q, "question"));
    const char *id = json_string_value(json_object_get(q, "id"));
    if (name && strcmp(name, "queue-list") == 0)
        buf_printf(out, "{\"ok\":true,\"messages\":[],\"limit\":%d,\"account\":%d}",
                   (int)json_integer_value(json_object_get(q, "limit")),
                   (int)json_integer_value(json_object_get(q, "account")));
    else if (name && strcmp(name, "queue-show") == 0 && id && strcmp(id, "0123456789abc") == 0)
        buf_printf(out, "{\"ok\":true,\"message\":{\"id\":\"%s\"}}", id);
    else if (name && strcmp(name, "queue-command") == 0)
        buf_printf(out, "{\"ok\":true,\"state\":\"done\",\"messages\":2,\"recipients\":3}");
    else if (name && strcmp(name, "queue-count") == 0)
        buf_printf(out, "{\"ok\":true,\"messages\":4,\"recipients\":5}");
    else if (name && strcmp(name, "status") == 0)
        buf_printf(out, "{\"fine\":true}");
    else
        buf_printf(out, "{\"ok\":false,\"error\":\"no such message\"}");
    json_decref(q);
}

static void *run_loop(void *ctx)
{
    loop_run(ctx);
    return NULL;
}

static void check_proxy(struct fixture *f)
{
    assert_int_equal(200, call(f, "GET", "/v1/queue?limit=7", ""));
    assert_int_equal(7, number(f, "limit"));
    assert_null(json_object_get(f->answer, "ok"));
    assert_int_equal(200, call(f, "GET", "/v1/queue?account=anna@x.test&state=failed", ""));
    assert_int_equal(1, number(f, "account"));
    assert_int_equal(200, call(f, "GET", "/v1/queue/0123456789abc", ""));
    assert_string_equal("0123456789abc", text(f, "id"));
    assert_int_equal(404, call(f, "GET", "/v1/queue/0123456789abd", ""));
    assert_non_null(strstr(error_text(f, "message"), "no such message"));
    assert_int_equal(200, call(f, "GET", "/v1/status", ""));
    json_t *roles = json_object_get(f->answer, "roles");
    json_t *delivery = json_object_get(roles, "delivery");
    assert_true(json_is_true(json_object_get(delivery, "answers")));
    assert_true(json_is_true(json_object_get(json_object_get(delivery, "says"), "fine")));
    assert_true(json_is_false(json_object_get(json_object_get(roles, "smtpd"), "answers")));
}

static void assert_command(struct fixture *f, enum queue_verb verb, struct queue_command *c)
{
    static uint64_t ids[QUEUE_COMMAND_IDS_MAX];
    assert_int_equal(0, queue_command_read(buf_slice(&f->command), ids, c));
    assert_int_equal(verb, c->verb);
    assert_non_null(memmem(c->by.ptr, c->by.len, "uid=", 4));
}

static void check_orders(struct fixture *f)
{
    struct queue_command c;
    assert_int_equal(200, call(f, "POST", "/v1/queue/remove",
                               "{\"ids\": [\"0123456789abc\"], \"account\": \"anna@x.test\","
                               " \"domain\": \"@Y.Test\", \"older_than\": \"1h\"}"));
    assert_string_equal("remove", text(f, "verb"));
    assert_int_equal(2, number(f, "messages"));
    assert_command(f, QUEUE_REMOVE, &c);
    assert_int_equal(1, c.id_count);
    assert_int_equal(1, c.account);
    assert_true(slice_eq(c.domain, SLICE("y.test")));
    assert_int_equal(noon - SPAN_HOUR, c.before);
    assert_int_equal(200, call(f, "POST", "/v1/queue/hold", "{\"customer\": \"One\"}"));
    assert_true(json_is_true(json_object_get(f->answer, "standing")));
    assert_command(f, QUEUE_HOLD, &c);
    assert_int_equal(1, c.customer);
}

static void check_unlocks(struct fixture *f)
{
    struct queue_command c;
    assert_int_equal(200, call(f, "POST", "/v1/accounts/anna@x.test/unlock", ""));
    json_t *queue = json_object_get(f->answer, "queue");
    assert_string_equal("frozen", json_string_value(json_object_get(queue, "is")));
    assert_int_equal(4, json_integer_value(json_object_get(queue, "messages")));
    uint64_t before = directory_version(f->directory);
    assert_int_equal(
        200, call(f, "POST", "/v1/accounts/anna@x.test/unlock", "{\"queue\": \"purge\"}"));
    assert_command(f, QUEUE_PURGE, &c);
    assert_int_equal(1, c.account);
    assert_int_equal(before + 1, c.version);
    assert_int_equal(200,
                     call(f, "POST", "/v1/customers/One/unlock", "{\"queue\": \"release\"}"));
    assert_command(f, QUEUE_THAW, &c);
    assert_int_equal(1, c.customer);
    assert_int_equal(before + 2, c.version);
    assert_int_equal(400, call(f, "POST", "/v1/customers/One/unlock", "{\"queue\": \"x\"}"));
    assert_int_equal(
        400, call(f, "POST", "/v1/customers/One/unlock", "{\"revoke_credentials\": true}"));
}

static void queue_is_asked_of_delivery(void **state)
{
    struct fixture *f = *state;
    char path[256];
    pthread_t thread;
    struct loop *loop = loop_new();
    populate(f);
    int fd = listen_on(scratch_path(&f->scratch, "query-delivery.sock", path));
    struct query_server *server = query_server_new(loop, fd, answer_query, f);
    assert_int_equal(0, pthread_create(&thread, NULL, run_loop, loop));
    check_proxy(f);
    check_orders(f);
    check_unlocks(f);
    loop_stop(loop);
    pthread_join(thread, NULL);
    query_server_free(&server);
    loop_free(&loop);
    close(fd);
}

static void status_counts(void **state)
{
    struct fixture *f = *state;
    populate(f);
    f->pages.stats.messages = 12;
    f->pages.stats.queued = 3;
    f->pages.watermark[ROLE_SMTPD].durable = 4096;
    assert_int_equal(200, call(f, "GET", "/v1/status", ""));
    assert_string_equal(UTPOST_VERSION, text(f, "version"));
    assert_string_equal("mail.example", text(f, "hostname"));
    json_t *directory = json_object_get(f->answer, "directory");
    assert_int_equal(2, json_integer_value(json_object_get(directory, "version")));
    assert_int_equal(1, json_integer_value(json_object_get(directory, "accounts")));
    assert_int_equal(0, json_integer_value(json_object_get(directory, "waiting")));
    assert_int_equal(12, json_integer_value(
                             json_object_get(json_object_get(f->answer, "mail"), "messages")));
    assert_int_equal(3, json_integer_value(json_object_get(json_object_get(f->answer, "queue"),
                                                           "recipients")));
}

static void config_is_shown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(200, call(f, "GET", "/v1/config", ""));
    json_t *submission = json_object_get(f->answer, "submission");
    assert_int_equal(77, json_integer_value(json_object_get(submission, "max-recipients")));
    assert_string_equal("5m",
                        json_string_value(json_object_get(submission, "command-timeout")));
    json_t *listener = json_object_get(json_object_get(f->answer, "listeners"), "submission");
    assert_string_equal("starttls", json_string_value(json_object_get(listener, "tls")));
    assert_true(json_is_false(json_object_get(listener, "require-tls")));

    struct buf errors = BUF_INIT;
    struct conf *next = conf_parse(SLICE("t"),
                                   SLICE("[submission]\nmax-recipients = 78\n"
                                         "[listener a]\naddress = 127.0.0.1:2525\n"),
                                   &errors);
    assert_non_null(next);
    api_set_conf(f->api, next);
    conf_free(&next);
    buf_fini(&errors);
    assert_int_equal(200, call(f, "GET", "/v1/config", ""));
    submission = json_object_get(f->answer, "submission");
    assert_int_equal(78, json_integer_value(json_object_get(submission, "max-recipients")));
}

/* Several at a time: every one gets in, in some order, and the directory hears of all. */
static void *add_many(void *arg)
{
    struct fixture own = *(struct fixture *)arg;
    own.answer = NULL;
    intptr_t wrong = 0;
    for (int i = 0; i < 20; i++) {
        char body[128];
        snprintf(body, sizeof(body),
                 "{\"login\": \"u%d-%lx\", \"customer\": \"One\","
                 " \"senders\": \"any\"}",
                 i, (unsigned long)pthread_self());
        wrong += call(&own, "POST", "/v1/accounts", body) != 201;
    }
    json_decref(own.answer);
    return (void *)wrong;
}

static void changes_at_a_time_are_ordered(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    populate(f);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, add_many, f));
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(82, directory_version(f->directory));
}

static void rules_are_checked(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *body;
        int status;
        const char *code;
        const char *message; /* a part of it */
    } wrong[] = {
        {"{\"rule\": \"account messages many/1h defer\"}", 400, "bad-rule", "\"many\""},
        {"{\"rule\": \"account messages\"}", 400, "bad-rule", "ends too early"},
        {"{}", 400, "bad-rule", "ends too early"},
        {"{\"rule\": 5}", 400, "bad-value", "not a text"},
        {"{\"rules\": \"account messages 1/1h defer\"}", 400, "unknown-key", "rules"},
        {"{\"rule\": \"customer messages 1/1h defer\"}", 400, "bad-rule", "customer"},
        {"{\"rule\": \"account messages 1/1h defer\"}", 200, "", ""},
    };
    populate(f);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(wrong[i].status,
                         call(f, "POST", "/v1/accounts/anna@x.test/rules", wrong[i].body));
        assert_string_equal(wrong[i].code, error_text(f, "code"));
        assert_non_null(strstr(error_text(f, "message"), wrong[i].message));
    }
    const struct limit *limits;
    assert_int_equal(1, directory_limits(f->directory, 1, 0, &f->arena, &limits));
    for (int i = 2; i <= 64; i++) {
        char body[96];
        snprintf(body, sizeof(body), "{\"rule\": \"account messages 1/%ds defer\"}", i);
        assert_int_equal(200, call(f, "POST", "/v1/accounts/anna@x.test/rules", body));
    }
    const char *more = "{\"rule\": \"account messages 1/100s defer\"}";
    assert_int_equal(409, call(f, "POST", "/v1/accounts/anna@x.test/rules", more));
    const char *changed = "{\"rule\": \"account messages 9/3s defer\"}";
    assert_int_equal(200, call(f, "POST", "/v1/accounts/anna@x.test/rules", changed));
    assert_string_equal("account messages 1/3s defer", text(f, "replaced"));
    assert_int_equal(
        200, call(f, "DELETE",
                  "/v1/accounts/anna@x.test/rules/account%20messages%201%2F2s%20defer", ""));
    assert_int_equal(63, json_array_size(json_object_get(f->answer, "rules")));
    assert_int_equal(
        404, call(f, "DELETE",
                  "/v1/accounts/anna@x.test/rules/account%20messages%201%2F2s%20defer", ""));
    assert_int_equal(400, call(f, "DELETE", "/v1/accounts/anna@x.test/rules/all", ""));
    assert_int_equal(63, directory_limits(f->directory, 1, 0, &f->arena, &limits));
}

static void presets_are_applied(void **state)
{
    struct fixture *f = *state;
    const struct limit *limits;
    populate(f);
    assert_int_equal(200, call(f, "GET", "/v1/presets", ""));
    assert_int_equal(5, json_array_size(json_object_get(f->answer, "presets")));
    assert_int_equal(404, call(f, "GET", "/v1/presets/gold", ""));
    assert_int_equal(400, call(f, "POST", "/v1/customers/one/preset", "{}"));
    assert_int_equal(400,
                     call(f, "POST", "/v1/customers/one/preset", "{\"preset\": \"gold\"}"));
    assert_string_equal("no-such-preset", error_text(f, "code"));
    assert_int_equal(
        200, call(f, "POST", "/v1/customers/one/preset", "{\"preset\": \"web-hosting\"}"));
    assert_int_equal(6, directory_limits(f->directory, 1, 0, &f->arena, &limits));
    assert_int_equal(200, call(f, "GET", "/v1/customers/one", ""));
    assert_string_equal("web-hosting", text(f, "preset"));
    assert_int_equal(200, call(f, "POST", "/v1/customers/one/preset", "{\"preset\": null}"));
    assert_int_equal(0, directory_limits(f->directory, 1, 0, &f->arena, &limits));
    assert_int_equal(503, call(f, "GET", "/v1/accounts/1/quota", ""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(customers_live),
        TEST(accounts_live),
        TEST(locks_take_effect_and_end),
        TEST(plans_have_periods),
        TEST(generated_secret_verifies),
        TEST(chosen_password_verifies),
        TEST(addresses_and_users_sign_in),
        TEST(refusals_say_why),
        TEST(large_bodies_are_refused),
        TEST(unpublished_change_is_not_success),
        TEST(lists_come_in_pages),
        TEST(others_are_refused),
        TEST(queue_is_asked_of_delivery),
        TEST(status_counts),
        TEST(config_is_shown),
        TEST(changes_at_a_time_are_ordered),
        TEST(rules_are_checked),
        TEST(presets_are_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
