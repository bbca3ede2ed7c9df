/* limiter: the cost of the limiter alone, with the rules of web hosting: nanoseconds for the
 * reserve, settle and commit of a message with one recipient, of accounts in random order, and
 * bytes of memory per account.
 *
 *     build/bench/limiter [ACCOUNTS [MESSAGES]]
 *
 * Each account has sent 100 messages at random moments of the last 30 days before it begins. */
#include "policy/limiter.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 5, BEFORE = 100, ACCOUNTS_EACH = 10 };

static const stamp START = 1790000000 * SPAN_SECOND;

static const char *const lines[] = {
    "account messages 25/5m defer",      "account recipients 250/5m defer",
    "account recipients 1000/24h defer", "account recipients 5000/30d defer",
    "customer messages 250/1h defer",    "customer recipients 1500/1h defer",
};
enum { RULES = sizeof(lines) / sizeof(lines[0]) };

struct load {
    struct limiter *limiter;
    struct limit limits[RULES];
    uint64_t accounts;
    uint64_t random;
    stamp now;
    unsigned long refused;
};

static uint64_t next_random(struct load *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return l->random;
}

static void aim(struct load *l, uint64_t account)
{
    for (size_t i = 0; i < RULES; i++)
        l->limits[i].entity =
            l->limits[i].rule.scope == RULE_CUSTOMER ? account / ACCOUNTS_EACH : account;
}

static void parse_rules(struct load *l)
{
    for (size_t i = 0; i < RULES; i++) {
        const char *error;
        slice word;
        bool is_right = rule_parse(slice_of(lines[i]), &l->limits[i].rule, &error, &word);
        INVARIANT(is_right);
    }
}

/* 30 days of traffic, in the order of time. */
static void fill(struct load *l)
{
    static const struct amounts one = {.of = {[RULE_MESSAGES] = 1, [RULE_RECIPIENTS] = 1}};
    uint64_t messages = l->accounts * BEFORE;
    for (uint64_t i = 0; i < messages; i++) {
        l->now = START + (stamp)((unsigned __int128)(30 * SPAN_DAY) * i / messages);
        aim(l, next_random(l) % l->accounts);
        if (limiter_replay(l->limiter, l->limits, RULES, &one, l->now) < 0)
            abort();
    }
}

static void send_one(struct load *l)
{
    static const struct amounts one = {
        .of = {[RULE_MESSAGES] = 1, [RULE_RECIPIENTS] = 1, [RULE_BYTES] = 10000}};
    struct limiter_reservation r = {0};
    struct limit_verdict v;
    aim(l, next_random(l) % l->accounts);
    l->now += 5 * SPAN_MINUTE / (span)l->accounts; /* each one in five minutes */
    if (limiter_reserve(l->limiter, &r, l->limits, RULES, &one, l->now, &v) != LIMITER_OK) {
        l->refused++;
        limiter_release(l->limiter, &r, l->now);
        return;
    }
    if (limiter_settle(l->limiter, &r, l->now, NULL, NULL, &v) != LIMITER_OK)
        abort();
    limiter_commit(l->limiter, &r, l->now);
}

/* Of the processor: others may use the machine too. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static const uint64_t seed[2] = {1, 2};
    struct load l = {.limiter = limiter_new(seed), .random = 88172645463325252u};
    l.accounts = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    uint64_t messages = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    if (l.accounts == 0 || messages == 0) {
        fprintf(stderr, "usage: limiter [ACCOUNTS [MESSAGES]]\n");
        return 2;
    }
    parse_rules(&l);
    fill(&l);
    size_t entities, bytes;
    limiter_numbers(l.limiter, &entities, &bytes);
    printf("accounts %llu, entities %zu, bytes per account %zu\n",
           (unsigned long long)l.accounts, entities, bytes / (size_t)l.accounts);
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double begin = seconds();
        for (uint64_t i = 0; i < messages; i++)
            send_one(&l);
        double each = (seconds() - begin) / (double)messages * 1e9;
        printf("round %d: %.0f ns per message\n", round + 1, each);
        best = each < best ? each : best;
    }
    printf("best %.0f ns per reserve, settle and commit; refused %lu\n", best, l.refused);
    limiter_free(&l.limiter);
    return 0;
}
