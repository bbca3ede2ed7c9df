/* fixture: a directory with one customer and accounts as the tests want them. */
#ifndef TEST_SMTPD_FIXTURE_H
#define TEST_SMTPD_FIXTURE_H

#include "base/arena.h"
#include "model/directory.h"

struct people {
    struct directory *directory;
    uint64_t version;
};

struct people people_new(void);
/* The customer alone, as a change like those below. */
void people_begin(struct people *p);
/* Each is one change of the directory; they end the test when they are not applied. */
void people_add_account(struct people *p, uint64_t id, const char *login);
void people_put_customer(struct people *p, const struct directory_customer *c);
void people_put_account(struct people *p, const struct directory_account *a);
/* A generated secret. */
void people_add_secret(struct people *p, uint64_t id, uint64_t account, const char *secret);
/* A chosen password, hashed with the least effort that there is. */
void people_add_password(struct people *p, uint64_t id, uint64_t account, const char *password);
void people_add_uid(struct people *p, uint64_t id, uint64_t account, uint32_t uid);
void people_add_address(struct people *p, uint64_t id, uint64_t account, const char *cidr);
void people_put_credential(struct people *p, const struct directory_credential *c);
void people_remove(struct people *p, enum directory_entity entity, uint64_t id);

/* Where changes go instead of into p->directory; NULL: there. */
extern void (*people_on_change)(void *ctx, slice fields);
extern void *people_ctx;

#endif
