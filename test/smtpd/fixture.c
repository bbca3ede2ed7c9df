#include "fixture.h"

#include "../check.h"

#include <sodium.h>

void (*people_on_change)(void *ctx, slice fields);
void *people_ctx;

static void apply(struct people *p, struct buf *fields)
{
    assert_int_equal(fields->error, 0);
    if (people_on_change)
        people_on_change(people_ctx, buf_slice(fields));
    else
        assert_int_equal(directory_apply(p->directory, buf_slice(fields)), 1);
    buf_fini(fields);
}

void people_begin(struct people *p)
{
    struct directory_customer c = {
        .id = 1, .name = SLICE("customer"), .language = SLICE("en"), .time_zone = SLICE("UTC")};
    struct buf fields = BUF_INIT;
    directory_put_customer(&fields, ++p->version, &c);
    apply(p, &fields);
}

struct people people_new(void)
{
    static const uint64_t seed[2] = {1, 2};
    assert_true(sodium_init() >= 0);
    struct people p = {.directory = directory_new(seed)};
    people_begin(&p);
    return p;
}

void people_put_account(struct people *p, const struct directory_account *a)
{
    struct buf fields = BUF_INIT;
    directory_put_account(&fields, ++p->version, a);
    apply(p, &fields);
}

void people_put_customer(struct people *p, const struct directory_customer *c)
{
    struct buf fields = BUF_INIT;
    directory_put_customer(&fields, ++p->version, c);
    apply(p, &fields);
}

void people_add_account(struct people *p, uint64_t id, const char *login)
{
    struct directory_account a = {.id = id, .customer = 1, .login = slice_of(login)};
    people_put_account(p, &a);
}

void people_put_credential(struct people *p, const struct directory_credential *c)
{
    struct buf fields = BUF_INIT;
    directory_put_credential(&fields, ++p->version, c);
    apply(p, &fields);
}

void people_add_secret(struct people *p, uint64_t id, uint64_t account, const char *secret)
{
    unsigned char verifier[48];
    memset(verifier, (int)id, 16);
    crypto_generichash(verifier + 16, 32, (const unsigned char *)secret, strlen(secret),
                       verifier, 16);
    struct directory_credential c = {
        .id = id,
        .account = account,
        .kind = CREDENTIAL_SECRET,
        .scheme = SLICE("blake2b"),
        .verifier = slice_make(verifier, sizeof(verifier)),
    };
    people_put_credential(p, &c);
}

void people_add_password(struct people *p, uint64_t id, uint64_t account, const char *password)
{
    char verifier[crypto_pwhash_STRBYTES];
    assert_int_equal(crypto_pwhash_str(verifier, password, strlen(password),
                                       crypto_pwhash_OPSLIMIT_MIN, crypto_pwhash_MEMLIMIT_MIN),
                     0);
    struct directory_credential c = {
        .id = id,
        .account = account,
        .kind = CREDENTIAL_SECRET,
        .scheme = SLICE("argon2id"),
        .verifier = slice_of(verifier),
    };
    people_put_credential(p, &c);
}

void people_add_uid(struct people *p, uint64_t id, uint64_t account, uint32_t uid)
{
    struct directory_credential c = {
        .id = id, .account = account, .kind = CREDENTIAL_UID, .uid = uid};
    people_put_credential(p, &c);
}

void people_add_address(struct people *p, uint64_t id, uint64_t account, const char *cidr)
{
    struct directory_credential c = {.id = id, .account = account, .kind = CREDENTIAL_ADDRESS};
    assert_true(cidr_parse(slice_of(cidr), &c.cidr));
    people_put_credential(p, &c);
}

void people_remove(struct people *p, enum directory_entity entity, uint64_t id)
{
    struct buf fields = BUF_INIT;
    directory_put_removal(&fields, ++p->version, entity, id);
    apply(p, &fields);
}
