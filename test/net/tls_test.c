#include "net/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cmocka.h>

static struct buf chain, key, other_chain, other_key, locked;

static int make_keys(void **state)
{
    (void)state;
    if (tls_make_certificate("mail.example.com", &chain, &key) != 0 ||
        tls_make_certificate("mail.example.com", &other_chain, &other_key) != 0)
        return -1;
    BIO *in = BIO_new_mem_buf(key.ptr, (int)key.len);
    EVP_PKEY *k = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    BIO *out = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(out, k, EVP_aes_128_cbc(), (const unsigned char *)"pw", 2, NULL,
                             NULL);
    char *text;
    long len = BIO_get_mem_data(out, &text);
    buf_append(&locked, slice_make(text, (size_t)len));
    BIO_free(in);
    BIO_free(out);
    EVP_PKEY_free(k);
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    buf_fini(&chain);
    buf_fini(&key);
    buf_fini(&other_chain);
    buf_fini(&other_key);
    buf_fini(&locked);
    return 0;
}

static void refuses(slice c, slice k, const char *want)
{
    struct tls_options o = {0};
    struct buf why = BUF_INIT;
    struct tls_context *t = tls_server(c, k, &o, &why);
    assert_null(t);
    if (!slice_eq(buf_slice(&why), slice_of(want)))
        fail_msg("%.*s", SLICE_ARG(buf_slice(&why)));
    buf_fini(&why);
}

static void bad_keys_are_told_for_people(void **state)
{
    (void)state;
    slice c = buf_slice(&chain), k = buf_slice(&key);
    refuses(SLICE(""), k, "the certificate file has no certificate in PEM form");
    refuses(k, k, "the certificate file has no certificate in PEM form");
    refuses(SLICE("nonsense"), k, "the certificate file has no certificate in PEM form");
    refuses(c, SLICE(""), "the key file has no private key in PEM form");
    refuses(c, SLICE("nonsense"), "the key file has no private key in PEM form");
    refuses(c, buf_slice(&other_key), "the private key does not belong to the certificate");
    refuses(c, buf_slice(&locked),
            "the private key is encrypted; store it without a passphrase");
}

static void chain_and_key_may_share_a_file(void **state)
{
    (void)state;
    struct buf both = BUF_INIT, why = BUF_INIT;
    buf_append(&both, buf_slice(&key));
    buf_append(&both, buf_slice(&chain));
    buf_append(&both, buf_slice(&other_chain)); /* as an intermediate */
    struct tls_options o = {.tls13_only = true};
    struct tls_context *t = tls_server(buf_slice(&both), SLICE(""), &o, &why);
    assert_non_null(t);
    struct tls_context *again = tls_ref(t);
    tls_unref(&t);
    assert_null(t);
    assert_non_null(tls_ssl_ctx(again));
    tls_unref(&again);
    buf_fini(&both);
}

static void authorities_must_be_there(void **state)
{
    (void)state;
    struct tls_options o = {.verify = true, .ca_pem = SLICE("nonsense")};
    struct buf why = BUF_INIT;
    assert_null(tls_client(&o, &why));
    assert_true(
        slice_eq(buf_slice(&why),
                 SLICE("the file of certificate authorities has no certificate in PEM form")));
    buf_clear(&why);
    o.ca_pem = SLICE("");
    struct tls_context *t = tls_client(&o, &why);
    assert_non_null(t);
    tls_unref(&t);
    buf_fini(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_keys_are_told_for_people),
        cmocka_unit_test(chain_and_key_may_share_a_file),
        cmocka_unit_test(authorities_must_be_there),
    };
    return cmocka_run_group_tests_name("net/tls", tests, make_keys, drop_keys);
}
