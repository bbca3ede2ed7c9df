#include "writers.h"

#include "../check.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <time.h>

int writers_setup(void **state)
{
    struct house *h = house_new();
    house_set_clock(h, START);
    h->conf->submission.max_recipients = 1000;
    house_open_control(h);
    *state = h;
    return 0;
}

int writers_teardown(void **state)
{
    house_free(*state);
    return 0;
}

struct directory_account person(uint64_t id, const char *login, const char *language)
{
    return (struct directory_account){
        .id = id,
        .customer = 1,
        .login = slice_of(login),
        .language = slice_of(language),
        .time_zone = SLICE("UTC"),
        .state = ACCOUNT_ACTIVE,
    };
}

void add(struct house *h, uint64_t id, const char *login, const char *preset)
{
    struct directory_account a = person(id, login, "nb");
    a.preset = slice_of(preset);
    people_put_account(&h->people, &a);
    people_add_secret(&h->people, id + 90, id, "secret");
}

void put_with_rules(struct house *h, struct directory_account *a, const char *rules)
{
    enum { RULES = 8 };
    struct rule parsed[RULES];
    slice rest = slice_of(rules);
    slice line;
    a->rules = parsed;
    a->rule_count = 0;
    while (slice_split(&rest, '\n', &line)) {
        const char *error;
        slice word;
        assert_true(a->rule_count < RULES);
        assert_true(rule_parse(line, &parsed[a->rule_count++], &error, &word));
    }
    people_put_account(&h->people, a);
    a->rules = NULL;
    a->rule_count = 0;
}

void add_with_rule(struct house *h, uint64_t id, const char *login, const char *rules)
{
    struct directory_account a = person(id, login, "en");
    put_with_rules(h, &a, rules);
    people_add_secret(&h->people, id + 90, id, "secret");
}

void sign_in(struct client *c, const char *login, const char *want)
{
    char plain[128];
    char coded[200];
    char line[256];
    int len = snprintf(plain, sizeof(plain), "%c%s%csecret", 0, login, 0);
    EVP_EncodeBlock((unsigned char *)coded, (unsigned char *)plain, len);
    snprintf(line, sizeof(line), "AUTH PLAIN %s\r\n", coded);
    TALK(c, line, want);
}

struct client signed_in(struct house *h, const char *login)
{
    struct client c = client_connect(h, PLAIN);
    TALK(&c, NULL, "220 mx.test");
    TALK(&c, "EHLO client.example.org\r\n", "250 ");
    sign_in(&c, login, "235 ");
    return c;
}

void deliver(struct client *c, unsigned recipients, const char *want)
{
    TALK(c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    for (unsigned i = 0; i < recipients; i++)
        TALK(c, "RCPT TO:<bob@example.net>\r\n", "250 ");
    TALK(c, "DATA\r\n", "354 ");
    TALK(c, "From: <alice@example.org>\r\n\r\nHello\r\n.\r\n", want);
}

const char *refused(struct client *c, const char *want)
{
    static char reply[600];
    TALK(c, "MAIL FROM:<alice@example.org>\r\n", "250 ");
    client_send(c, "RCPT TO:<bob@example.net>\r\n");
    snprintf(reply, sizeof(reply), "%s", client_reply(c));
    if (strncmp(reply, want, strlen(want)) != 0)
        fail_msg("got \"%s\", not \"%s\"", reply, want);
    TALK(c, "RSET\r\n", "250 ");
    return reply;
}

stamp named(const char *reply)
{
    static const char words[] = "Works again ";
    struct tm tm = {0};
    const char *at = strstr(reply, words);
    if (!at || !strptime(at + sizeof(words) - 1, "%Y-%m-%d %H:%M:%S UTC", &tm))
        fail_msg("no moment in \"%s\"", reply);
    return timegm(&tm) * SPAN_SECOND;
}

unsigned count_records(struct house *h, enum record_type type)
{
    struct arena arena = ARENA_INIT;
    struct house_record r;
    unsigned n = 0;
    while (house_record(h, type, n, &arena, &r))
        n++;
    arena_fini(&arena);
    return n;
}
