/* The certificate that a server without one makes for itself. */
#include "net/tls.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum { COMMON_NAME_MAX = 64, YEARS = 10 };

static bool add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool add_names(X509 *cert, const char *host)
{
    char names[300];
    ASN1_OCTET_STRING *ip = a2i_IPADDRESS(host);
    snprintf(names, sizeof(names), "%s:%s", ip ? "IP" : "DNS", host);
    ASN1_OCTET_STRING_free(ip);
    ERR_clear_error();
    X509_NAME *name = X509_get_subject_name(cert);
    if (strlen(host) <= COMMON_NAME_MAX &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1,
                                   -1, 0) != 1)
        return false;
    return X509_set_issuer_name(cert, name) == 1 &&
           add_extension(cert, NID_subject_alt_name, names);
}

static bool fill(X509 *cert, EVP_PKEY *key, const char *host)
{
    uint64_t serial = 0;
    if (RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
        return false;
    serial >>= 1; /* positive */
    /* A day back: the clock of a fresh machine is often wrong. */
    return X509_set_version(cert, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -86400L) &&
           X509_gmtime_adj(X509_getm_notAfter(cert), YEARS * 365L * 86400L) &&
           X509_set_pubkey(cert, key) == 1 && add_names(cert, host) &&
           add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
           add_extension(cert, NID_ext_key_usage, "serverAuth") &&
           X509_sign(cert, key, EVP_sha256()) > 0;
}

static void take_text(BIO *from, struct buf *out)
{
    char *text = NULL;
    long len = BIO_get_mem_data(from, &text);
    if (len > 0)
        buf_append(out, slice_make(text, (size_t)len));
}

int tls_make_certificate(const char *host, struct buf *chain_pem, struct buf *key_pem)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    BIO *chain_out = BIO_new(BIO_s_mem());
    BIO *key_out = BIO_new(BIO_s_secmem());
    bool ok = key && cert && chain_out && key_out && fill(cert, key, host) &&
              PEM_write_bio_X509(chain_out, cert) == 1 &&
              PEM_write_bio_PrivateKey(key_out, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (ok) {
        take_text(chain_out, chain_pem);
        take_text(key_out, key_pem);
    }
    ERR_clear_error();
    BIO_free(chain_out);
    BIO_free(key_out);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ok && !chain_pem->error && !key_pem->error ? 0 : -EIO;
}
