/* writers: people who send under limits, for the tests of limits over a socket. */
#ifndef TEST_SMTPD_WRITERS_H
#define TEST_SMTPD_WRITERS_H

#include "house.h"

enum { ALICE = 10, BOB = 11, ALICE_SECRET = 100, BOB_SECRET = 101 };

/* 2026-11-22 13:00:00 UTC */
#define START ((stamp)1795352400 * SPAN_SECOND)

/* A house with its clock at START, and control's journal open. */
int writers_setup(void **state);
int writers_teardown(void **state);

/* An account of customer 1. */
struct directory_account person(uint64_t id, const char *login, const char *language);
/* The same in the directory, with the password "secret"; with a preset and in Norwegian, or
 * with rules ('\n' between them) and in English. */
void add(struct house *h, uint64_t id, const char *login, const char *preset);
void add_with_rule(struct house *h, uint64_t id, const char *login, const char *rules);
/* Puts the account once more, changed, with these rules. */
void put_with_rules(struct house *h, struct directory_account *a, const char *rules);

void sign_in(struct client *c, const char *login, const char *want);
struct client signed_in(struct house *h, const char *login);
/* One message to so many recipients, who are all accepted; what its end is answered with. */
void deliver(struct client *c, unsigned recipients, const char *want);
/* The first recipient of a message is refused so; the reply until the next one. */
const char *refused(struct client *c, const char *want);
/* The moment in "… Works again 2026-11-22 13:01:00 UTC, …". */
stamp named(const char *reply);
unsigned count_records(struct house *h, enum record_type type);

#endif
