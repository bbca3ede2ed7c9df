/* door: the client of the local door, against a peer that says what it is told to say. */
#include "control/door.h"

#include "../check.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One conversation: what is said after each line that comes; NULL: the peer closes. */
struct peer {
    char dir[32];
    char path[64];
    int fd;
    const char *const *says;
    struct buf heard;
    pthread_t thread;
};

static void *answer(void *ctx)
{
    struct peer *p = ctx;
    int fd = accept(p->fd, NULL, NULL);
    FILE *in = fdopen(dup(fd), "r");
    char line[4096];
    for (size_t i = 0; p->says[i]; i++) {
        assert_int_equal(send(fd, p->says[i], strlen(p->says[i]), MSG_NOSIGNAL),
                         strlen(p->says[i]));
        if (!fgets(line, sizeof(line), in))
            break;
        buf_append(&p->heard, slice_of(line));
        size_t octets = 0;
        if (sscanf(line, "BDAT %zu LAST", &octets) == 1) {
            assert_int_equal(fread(line, 1, octets, in), octets);
            buf_append(&p->heard, slice_make(line, octets));
        }
    }
    fclose(in);
    close(fd);
    return NULL;
}

static void begin(struct peer *p, const char *const *says)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    *p = (struct peer){.dir = "/tmp/utpost-door-XXXXXX", .says = says};
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->path, sizeof(p->path), "%s/sock", p->dir);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", p->path);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(p->fd, 1), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, answer, p), 0);
}

static void end(struct peer *p, const char *heard)
{
    pthread_join(p->thread, NULL);
    check_slice("heard", buf_slice(&p->heard), slice_of(heard));
    buf_fini(&p->heard);
    close(p->fd);
    unlink(p->path);
    rmdir(p->dir);
}

static struct door *door_to(const char *path, struct loop *l)
{
    struct door_config c = {
        .path = path, .secret = SLICE("s"), .hostname = SLICE("h.test"), .loop = l};
    struct door *d = door_new(&c);
    assert_non_null(d);
    return d;
}

static const slice two[] = {SLICE_INIT("a@x.test"), SLICE_INIT("b@x.test")};

static const struct door_letter letter = {
    .account = 7,
    .client = SLICE_INIT("192.0.2.7"),
    .sender = SLICE_INIT("me@y.test"),
    .recipients = two,
    .recipient_count = 2,
    .token = SLICE_INIT("day 1"),
    .message = SLICE_INIT("From: <me@y.test>\r\n\r\n.\r\n"),
};

/* base64 of "7" NUL "192.0.2.7" NUL "s" */
#define HELLO "EHLO h.test\r\nAUTH UTPOST-CONTROL NwAxOTIuMC4yLjcAcw==\r\n"
#define MAIL "MAIL FROM:<me@y.test> SIZE=24 XTOKEN=day+201\r\n"
#define RCPT "RCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"
#define BODY "BDAT 24 LAST\r\nFrom: <me@y.test>\r\n\r\n.\r\n"

#define GREETING "220 h\r\n", "250-h\r\n250 CHUNKING\r\n", "235 2.7.0 in\r\n"

static struct door_answer send_to(struct peer *p, const struct door_letter *l)
{
    struct door_answer answer;
    struct door *d = door_to(p->path, NULL);
    door_send(d, l, &answer);
    door_free(&d);
    return answer;
}

static void queued(void **state UNUSED)
{
    static const char *const says[] = {GREETING,
                                       "250 2.1.0 ok\r\n",
                                       "250 2.1.5 ok\r\n",
                                       "250 2.1.5 ok\r\n",
                                       "250 2.0.0 Queued as 0000000000007\r\n",
                                       NULL};
    struct peer p;
    begin(&p, says);
    struct door_answer a = send_to(&p, &letter);
    check_int("result", a.result, DOOR_QUEUED);
    check_int("id", (long long)a.id, 7);
    end(&p, HELLO MAIL RCPT BODY "QUIT\r\n");
}

static void repeated(void **state UNUSED)
{
    static const char *const says[] = {GREETING, "250 2.0.0 Queued as 000000000000a\r\n", NULL};
    struct peer p;
    begin(&p, says);
    struct door_answer a = send_to(&p, &letter);
    check_int("result", a.result, DOOR_REPEATED);
    check_int("id", (long long)a.id, 10);
    end(&p, HELLO MAIL "QUIT\r\n");
}

static void refusals(void **state UNUSED)
{
    static const struct {
        const char *name;
        const char *says[8];
        unsigned code;
        ptrdiff_t recipient;
        const char *heard;
    } rows[] = {
        {"greeting", {"421 4.7.0 no\r\n"}, 421, -1, "QUIT\r\n"},
        {"locked", {"220 h\r\n", "250 h\r\n", "525 5.7.13 no\r\n"}, 525, -1, HELLO "QUIT\r\n"},
        {"sender", {GREETING, "553 5.7.1 no\r\n"}, 553, -1, HELLO MAIL "QUIT\r\n"},
        {"second recipient",
         {GREETING, "250 2.1.0 ok\r\n", "250 2.1.5 ok\r\n", "450 4.7.1 no\r\n"},
         450,
         1,
         HELLO MAIL RCPT "QUIT\r\n"},
        {"message",
         {GREETING, "250 2.1.0 ok\r\n", "250 2.1.5 ok\r\n", "250 2.1.5 ok\r\n",
          "452 4.3.1 no\r\n"},
         452,
         -1,
         HELLO MAIL RCPT BODY "QUIT\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct peer p;
        begin(&p, rows[i].says);
        struct door_answer a = send_to(&p, &letter);
        check_int(rows[i].name, a.result, DOOR_REFUSED);
        check_int(rows[i].name, a.code, rows[i].code);
        check_int(rows[i].name, a.recipient, rows[i].recipient);
        check_slice(rows[i].name, slice_of(a.text), SLICE("no"));
        end(&p, rows[i].heard);
    }
}

static void what_is_not_known(void **state UNUSED)
{
    static const char *const breaks_off[] = {GREETING, "250 2.1.0 ok\r\n", NULL};
    static const char *const nonsense[] = {"220 h\r\n", "what?\r\n", NULL};
    static const slice bad[] = {SLICE_INIT("a@x.test>\r\nRSET")};
    struct peer p;
    begin(&p, breaks_off);
    struct door_answer a = send_to(&p, &letter);
    check_int("breaks off", a.result, DOOR_FAILED);
    check_int("breaks off", a.error, -ECONNRESET);
    end(&p, HELLO MAIL "RCPT TO:<a@x.test>\r\n");

    begin(&p, nonsense);
    a = send_to(&p, &letter);
    check_int("nonsense", a.result, DOOR_FAILED);
    check_int("nonsense", a.error, -EPROTO);
    end(&p, "EHLO h.test\r\n");

    struct door *d = door_to("/nowhere/sock", NULL);
    door_send(d, &letter, &a);
    check_int("nobody", a.result, DOOR_FAILED);
    check_int("nobody", a.error, -ENOENT);
    struct door_letter l = letter;
    l.recipients = bad;
    l.recipient_count = 1;
    door_send(d, &l, &a);
    check_int("no address", a.error, -EINVAL);
    door_free(&d);
}

static void on_answer(void *ctx, const struct door_answer *answer)
{
    *(struct door_answer *)ctx = *answer;
}

static void without_waiting(void **state UNUSED)
{
    static const char *const says[] = {GREETING, "250 2.0.0 Queued as 0000000000007\r\n", NULL};
    struct peer p;
    struct loop *loop = loop_new();
    struct door_answer a = {0};
    begin(&p, says);
    struct door *d = door_to(p.path, loop);
    char sender[] = "me@y.test";
    struct door_letter l = letter;
    l.sender = slice_of(sender);
    assert_int_equal(door_post(d, &l, on_answer, &a), 0);
    memset(sender, '#', sizeof(sender)); /* it was copied */
    loop_run(loop);
    check_int("result", a.result, DOOR_REPEATED);
    door_free(&d);
    loop_free(&loop);
    end(&p, HELLO MAIL "QUIT\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queued),          cmocka_unit_test(repeated),
        cmocka_unit_test(refusals),        cmocka_unit_test(what_is_not_known),
        cmocka_unit_test(without_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
