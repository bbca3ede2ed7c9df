/* The relay dialog against a host that fails at every stage in every way: each recipient gets
 * one verdict, the one that the table of outcomes gives; nothing counts as delivered that the
 * host did not accept; and a conversation that can go on, goes on in step. */
#include "relay_talk.h"

/* A host. It answers what the client sends, but for one thing that it does at `stage`, the
 * first time it is there (RCPT: for recipient `nth`). */
struct host {
    bool is_piped;
    enum relay_stage stage;
    size_t nth;
    const char *instead;
    bool has_failed; /* did it: and if it was no reply, speaks no more */
    bool is_mute;
    bool in_content;
    bool has_content; /* an empty message does not count */
    size_t rcpts, rcpts_accepted;
    unsigned accepted; /* recipients whose message it took */
    struct buf heard;
    struct buf says;
};

static bool is_reply(const char *text)
{
    return strlen(text) > 4 && text[0] >= '2' && text[0] <= '5' && text[3] == ' ';
}

static void host_say(struct host *h, enum relay_stage stage, const char *text)
{
    if (h->is_mute)
        return;
    bool fails =
        stage == h->stage && !h->has_failed && (stage != STAGE_RCPT || h->rcpts == h->nth);
    if (fails) {
        h->has_failed = true;
        text = h->instead;
        h->is_mute = !is_reply(text) || memcmp(text, "421", 3) == 0;
    }
    buf_append(&h->says, slice_of(text));
    if (stage == STAGE_RCPT)
        h->rcpts_accepted += text[0] == '2' && !h->is_mute;
    if (stage == STAGE_DATA && text[0] == '3') {
        h->in_content = true;
        h->has_content = false;
        host_say(h, STAGE_BODY, "");
    }
    if (stage == STAGE_END && text[0] == '2' && !h->is_mute && h->has_content)
        h->accepted += (unsigned)h->rcpts_accepted;
}

static void host_command(struct host *h, slice line)
{
    if (slice_starts(line, SLICE("<tls>")))
        line = slice_from(line, 5);
    if (slice_starts(line, SLICE("EHLO")))
        host_say(h, STAGE_EHLO,
                 h->is_piped
                     ? "250-mx\r\n250-STARTTLS\r\n250-AUTH LOGIN PLAIN\r\n250 PIPELINING\r\n"
                     : "250-mx\r\n250-STARTTLS\r\n250 AUTH LOGIN PLAIN\r\n");
    else if (slice_starts(line, SLICE("HELO")))
        host_say(h, STAGE_LOCAL, "250 mx\r\n");
    else if (slice_starts(line, SLICE("STARTTLS")))
        host_say(h, STAGE_STARTTLS, "220 go\r\n");
    else if (slice_starts(line, SLICE("AUTH")))
        host_say(h, STAGE_AUTH, "235 ok\r\n");
    else if (slice_starts(line, SLICE("MAIL"))) {
        h->rcpts = h->rcpts_accepted = 0;
        host_say(h, STAGE_MAIL, "250 2.1.0 ok\r\n");
    } else if (slice_starts(line, SLICE("RCPT"))) {
        host_say(h, STAGE_RCPT, "250 2.1.5 ok\r\n");
        h->rcpts++;
    } else if (slice_starts(line, SLICE("DATA")))
        host_say(h, STAGE_DATA, "354 go\r\n");
    else if (slice_starts(line, SLICE("RSET")))
        host_say(h, STAGE_LOCAL, "250 ok\r\n");
    else if (slice_starts(line, SLICE("QUIT")))
        host_say(h, STAGE_LOCAL, "221 bye\r\n");
    else
        fail_msg("the client sent \"%.*s\"", SLICE_ARG(line));
}

/* Reads what the client sent, a line at a time, and says what there is to say. */
static void host_listen(struct host *h, struct buf *sent)
{
    buf_append(&h->heard, buf_slice(sent));
    buf_clear(sent);
    ptrdiff_t end;
    while ((end = slice_search(buf_slice(&h->heard), SLICE("\r\n"))) >= 0) {
        slice line = slice_to(buf_slice(&h->heard), (size_t)end);
        if (!h->in_content) {
            host_command(h, line);
        } else if (slice_eq(line, SLICE("."))) {
            h->in_content = false;
            host_say(h, STAGE_END, "250 2.0.0 queued\r\n");
        } else {
            h->has_content = true;
        }
        buf_consume(&h->heard, (size_t)end + 2);
    }
}

static const char *const faults[] = {"!closed", "!timeout"};
static const char *const texts[] = {
    "421 4.3.2 bye\r\n",
    "450 4.2.0 later\r\n",
    "550 5.0.0 no\r\n",
    "299-x\r\n250 y\r\n",   /* two codes in one reply */
    "hello\r\n",            /* no code */
    "\x16\x03\x01\x02\r\n", /* a TLS record */
    "999 x\r\n",
};

static const struct relay_recipient recipients[] = {
    {SLICE_INIT("r0@y.test"), {0}, 0},
    {SLICE_INIT("r1@y.test"), {0}, 1},
    {SLICE_INIT("r2@y.test"), {0}, 2},
};
static const struct relay_message messages[] = {
    {.reverse_path = SLICE_INIT("a@x.test"), .recipients = recipients, .recipient_count = 3},
    {.reverse_path = SLICE_INIT("b@x.test"), .recipients = recipients, .recipient_count = 2},
};
static const struct relay_config config = {
    .helo = SLICE_INIT("us.test"),
    .tls = RELAY_TLS_ENCRYPT,
    .login = SLICE_INIT("user"),
    .secret = SLICE_INIT("pass"),
};

static void converse(struct talk *t, struct host *h, bool is_trickled)
{
    talk_open(t);
    host_say(h, STAGE_GREETING, "220 mx ESMTP\r\n");
    for (unsigned rounds = 0; !t->is_closed; rounds++) {
        assert_true(rounds < 100);
        host_listen(h, &t->sent);
        struct buf says = h->says;
        h->says = BUF_INIT;
        slice text = buf_slice(&says);
        /* a fault is the host's last word, perhaps behind good ones */
        slice fault = {0};
        for (size_t i = 0; i < COUNT_OF(faults); i++)
            if (slice_ends(text, slice_of(faults[i])))
                fault = slice_of(faults[i]);
        talk_hear(t, slice_to(text, text.len - fault.len), is_trickled);
        if (!t->is_closed && (fault.len || text.len == 0))
            talk_hear(t, fault.len ? fault : SLICE("!closed"), false);
        buf_fini(&says);
    }
}

static enum relay_fault fault_of(enum relay_stage stage, const char *instead)
{
    if (instead[0] == '!')
        return instead[1] == 'c' ? FAULT_CLOSED : FAULT_TIMEOUT;
    /* PLAIN has said all: a further challenge is none of it */
    if (!is_reply(instead) || (stage == STAGE_AUTH && instead[0] == '3'))
        return FAULT_GARBAGE;
    return FAULT_NONE;
}

/* What the table says of it. */
static struct outcome expected(enum relay_stage stage, const char *instead)
{
    enum relay_fault fault = fault_of(stage, instead);
    if (fault)
        return outcome_of(stage, NULL, fault);
    uint64_t code = 0;
    assert_true(slice_to_u64(slice_make(instead, 3), &code));
    struct reply reply = {.code = (uint16_t)code};
    if (instead[5] == '.')
        reply.enhanced = (struct enhanced){(uint16_t)(code / 100), (uint16_t)(instead[6] - '0'),
                                           (uint16_t)(instead[8] - '0')};
    return outcome_of(stage, &reply, FAULT_NONE);
}

static void check_site(const struct talk *t, enum relay_stage stage, const char *instead)
{
    enum relay_stage where;
    struct reply reply;
    struct outcome o = relay_site_outcome(t->r, &where, &reply);
    assert_int_equal(t->given, 0);
    if (stage == STAGE_EHLO && memcmp(instead, "550", 3) == 0) {
        /* HELO, and then no TLS */
        assert_int_equal(where, STAGE_STARTTLS);
        assert_int_equal(relay_site_fault(t->r), FAULT_NO_TLS);
        return;
    }
    assert_int_equal(where, stage);
    assert_int_equal(o.next, expected(stage, instead).next);
    assert_int_equal(relay_site_fault(t->r), fault_of(stage, instead));
    assert_int_equal(o.scope, SCOPE_SITE);
}

/* Checks the first message's verdicts by the text of the events. */
static void check_message(const struct talk *t, const struct host *h)
{
    enum relay_fault fault = fault_of(h->stage, h->instead);
    struct outcome o = expected(h->stage, h->instead);
    bool spares_others = o.scope == SCOPE_RECIPIENT;
    for (size_t i = 0; i < 3; i++) {
        char text[80];
        if (spares_others && i != h->nth)
            snprintf(text, sizeof(text), "%zu=Cm-2.0.0@END/250", i);
        else
            snprintf(text, sizeof(text), "%zu=%c%c%c%u.%u.%u@%s%s%.*s", i, "CARFP"[o.next],
                     "rms"[o.scope], o.close ? '!' : '-', o.status.class, o.status.subject,
                     o.status.detail, talk_stages[h->stage], fault ? "#" : "/", 3,
                     fault == FAULT_TIMEOUT   ? "1"
                     : fault == FAULT_CLOSED  ? "2"
                     : fault == FAULT_GARBAGE ? "4"
                                              : h->instead);
        if (slice_search(buf_slice(&t->events), slice_of(text)) < 0)
            fail_msg("%s, %s: no %s in %.*s", talk_stages[h->stage], h->instead, text,
                     SLICE_ARG(buf_slice(&t->events)));
    }
    /* The second message goes when the connection lives. */
    assert_int_equal(t->given, o.close ? 1 : 2);
    assert_int_equal(t->delivered, (spares_others ? 2 : 0) + (o.close ? 0 : 2));
}

static unsigned check(enum relay_stage stage, size_t nth, const char *instead, bool is_piped,
                      bool is_trickled)
{
    struct talk t = {.config = &config,
                     .messages = messages,
                     .message_count = 2,
                     .body = SLICE_INIT("Subject: x\r\n\r\n.\r\n.x\r\n")};
    struct host h = {.stage = stage, .nth = nth, .instead = instead, .is_piped = is_piped};
    converse(&t, &h, is_trickled);
    assert_true(h.has_failed);
    assert_int_equal(t.delivered, h.accepted);
    if (stage < STAGE_MAIL)
        check_site(&t, stage, instead);
    else
        check_message(&t, &h);
    buf_fini(&h.heard);
    buf_fini(&h.says);
    talk_close(&t);
    return 1;
}

static const enum relay_stage spoken[] = {STAGE_GREETING, STAGE_EHLO, STAGE_STARTTLS,
                                          STAGE_AUTH,     STAGE_MAIL, STAGE_RCPT,
                                          STAGE_DATA,     STAGE_BODY, STAGE_END};

static unsigned sweep_matrix(const char *instead)
{
    unsigned cases = 0;
    for (size_t i = 0; i < COUNT_OF(spoken); i++)
        for (size_t nth = 0; nth < (spoken[i] == STAGE_RCPT ? 3 : 1); nth++)
            for (unsigned mode = 0; mode < 4; mode++) {
                bool is_trickled = mode & 1;
                /* Content is streamed in one go: trickled, the reply is no longer early. The
                 * same for a fault. */
                if (spoken[i] == STAGE_BODY && (is_trickled || instead[0] == '!'))
                    continue;
                cases += check(spoken[i], nth, instead, mode & 2, is_trickled);
            }
    return cases;
}

static void every_stage_and_reply(void **state)
{
    (void)state;
    unsigned cases = 0;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        cases += sweep_matrix(texts[i]);
    assert_int_equal(cases, COUNT_OF(texts) * (10 * 4 + 2));
}

static void every_stage_and_fault(void **state)
{
    (void)state;
    unsigned cases = 0;
    for (size_t i = 0; i < COUNT_OF(faults); i++)
        cases += sweep_matrix(faults[i]);
    assert_int_equal(cases, COUNT_OF(faults) * 10 * 4);
}

/* A reply that never ends, in lines or without any, is cut off everywhere. */
static void every_stage_and_endless_reply(void **state)
{
    (void)state;
    char *lines = malloc(200 * 7 + 1);
    char *line = malloc(70 * 1024 + 1);
    for (size_t i = 0; i < 200; i++)
        memcpy(lines + i * 7, "250-x\r\n", 8);
    memset(line, 'x', 70 * 1024);
    memcpy(line, "250-", 4);
    line[70 * 1024] = '\0';
    sweep_matrix(lines);
    for (size_t i = 0; i < COUNT_OF(spoken); i++)
        if (spoken[i] != STAGE_BODY)
            check(spoken[i], 0, line, true, false);
    free(lines);
    free(line);
}

/* 3xx and 2xx where they do not belong. */
static void every_stage_and_odd_reply(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(spoken); i++)
        for (unsigned mode = 0; mode < 4; mode++) {
            if (spoken[i] == STAGE_BODY)
                continue;
            check(spoken[i], 0, spoken[i] == STAGE_DATA ? "250 2.0.0 ok\r\n" : "354 go\r\n",
                  mode & 2, mode & 1);
        }
    check(STAGE_BODY, 0, "250 2.0.0 ok\r\n", true, false);
    check(STAGE_BODY, 0, "354 go\r\n", false, false);
}

static void nothing_fails(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode < 4; mode++) {
        struct talk t = {.config = &config,
                         .messages = messages,
                         .message_count = 2,
                         .body = SLICE_INIT("Subject: x\r\n\r\nx\r\n")};
        struct host h = {.stage = STAGE_COUNT, .is_piped = mode & 2};
        converse(&t, &h, mode & 1);
        assert_int_equal(t.delivered, 5);
        assert_int_equal(h.accepted, 5);
        buf_fini(&h.heard);
        buf_fini(&h.says);
        talk_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_fails),
        cmocka_unit_test(every_stage_and_reply),
        cmocka_unit_test(every_stage_and_fault),
        cmocka_unit_test(every_stage_and_endless_reply),
        cmocka_unit_test(every_stage_and_odd_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
