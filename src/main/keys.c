#include "main/keys.h"

#include "base/log.h"
#include "base/secret.h"
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char own_chain[] = "tls/certificate.pem";
static const char own_key[] = "tls/key.pem";

static void wipe(struct buf *b)
{
    if (b->ptr)
        secret_wipe(b->ptr, b->len);
    buf_fini(b);
}

/* 0 or errno. */
static int read_at(int dir, const char *path, struct buf *out)
{
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int err = -channel_contents(fd, out);
    close(fd);
    return err;
}

static bool read_file(slice path, const char *key, struct buf *out, struct buf *why)
{
    struct arena a = ARENA_INIT;
    int err = read_at(AT_FDCWD, arena_cstr(&a, path), out);
    arena_fini(&a);
    if (err)
        buf_printf(why,
                   "%s: %.*s: %s; the file must be readable by the user who starts utpostd",
                   key, SLICE_ARG(path), strerror(err));
    return err == 0;
}

/* 0 or errno. */
static int write_whole(int dir, const char *path, slice text)
{
    char tmp[64];
    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    ssize_t n = write(fd, text.ptr, text.len);
    int err = n < 0 ? errno : (size_t)n < text.len ? ENOSPC : 0;
    if (err == 0 && fsync(fd) != 0)
        err = errno;
    close(fd);
    if (err == 0 && renameat(dir, tmp, dir, path) != 0)
        err = errno;
    return err;
}

/* The key first: a certificate is taken for the sign that both are there. */
static bool make_own(const struct conf *conf, int state, struct buf *chain, struct buf *key,
                     struct buf *why)
{
    struct arena a = ARENA_INIT;
    int err = -tls_make_certificate(arena_cstr(&a, conf->server.hostname), chain, key);
    arena_fini(&a);
    if (err == 0)
        err = write_whole(state, own_key, buf_slice(key));
    if (err == 0)
        err = write_whole(state, own_chain, buf_slice(chain));
    if (err)
        buf_printf(why, "no certificate is configured, and none could be made in %.*s/tls: %s",
                   SLICE_ARG(conf->server.state_dir), strerror(err));
    else
        log_info("certificate-made", LOG_S("host", conf->server.hostname),
                 LOG_C("file", own_chain));
    return err == 0;
}

static bool read_own(const struct conf *conf, int state, struct buf *chain, struct buf *key,
                     struct buf *why)
{
    int err = read_at(state, own_chain, chain);
    if (err == ENOENT)
        return make_own(conf, state, chain, key, why);
    const char *path = err ? own_chain : own_key;
    if (err == 0)
        err = read_at(state, own_key, key);
    if (err)
        buf_printf(why, "%.*s/%s: %s; make it readable, or remove both files to have new ones",
                   SLICE_ARG(conf->server.state_dir), path, strerror(err));
    return err == 0;
}

static bool check_server(const struct conf *conf, slice chain, slice key, struct buf *why)
{
    struct tls_options o = {.tls13_only = conf->tls.min_version == 1};
    struct buf reason = BUF_INIT;
    struct tls_context *t = tls_server(chain, key, &o, &reason);
    if (!t)
        buf_printf(
            why, "certificate: %.*s: %.*s",
            SLICE_ARG(conf->tls.certificate.len ? conf->tls.certificate : slice_of(own_chain)),
            SLICE_ARG(buf_slice(&reason)));
    buf_fini(&reason);
    bool ok = t != NULL;
    tls_unref(&t);
    return ok;
}

static bool add_text(struct handover *h, unsigned roles, const char *name, slice text,
                     struct buf *why)
{
    int fd = channel_sealed(name, text);
    if (fd >= 0)
        handover_add(h, roles, name, fd);
    else
        buf_printf(why, "memory for %s: %s", name, strerror(-fd));
    return fd >= 0;
}

static bool add_tls(const struct conf *conf, int state, struct handover *h, struct buf *why)
{
    struct buf chain = BUF_INIT, key = BUF_INIT;
    bool is_own = conf->tls.certificate.len == 0;
    bool ok = is_own && state < 0;
    if (!ok) {
        ok = is_own ? read_own(conf, state, &chain, &key, why)
                    : read_file(conf->tls.certificate, "certificate", &chain, why) &&
                          read_file(conf->tls.key, "key", &key, why);
        ok = ok && check_server(conf, buf_slice(&chain), buf_slice(&key), why) &&
             add_text(h, FOR(ROLE_SMTPD), "secret:tls-certificate", buf_slice(&chain), why) &&
             add_text(h, FOR(ROLE_SMTPD), "secret:tls-key", buf_slice(&key), why);
    }
    wipe(&chain);
    wipe(&key);
    return ok;
}

static bool add_authorities(const struct conf *conf, struct handover *h, struct buf *why)
{
    if (conf->smarthost.ca_file.len == 0)
        return true;
    struct buf ca = BUF_INIT, reason = BUF_INIT;
    bool ok = read_file(conf->smarthost.ca_file, "ca-file", &ca, why);
    struct tls_options o = {.verify = true, .ca_pem = buf_slice(&ca)};
    struct tls_context *t = ok ? tls_client(&o, &reason) : NULL;
    if (ok && !t) {
        buf_printf(why, "ca-file: %.*s: %.*s", SLICE_ARG(conf->smarthost.ca_file),
                   SLICE_ARG(buf_slice(&reason)));
        ok = false;
    }
    ok = ok && add_text(h, FOR(ROLE_DELIVERY), "secret:smarthost-ca", buf_slice(&ca), why);
    tls_unref(&t);
    buf_fini(&reason);
    buf_fini(&ca);
    return ok;
}

/* The password is the file's first line. */
static bool add_password(const struct conf *conf, struct handover *h, struct buf *why)
{
    if (conf->smarthost.secret_file.len == 0)
        return true;
    struct buf text = BUF_INIT;
    bool ok = read_file(conf->smarthost.secret_file, "password-file", &text, why);
    slice rest = buf_slice(&text);
    slice line = SLICE("");
    slice_split(&rest, '\n', &line);
    if (slice_ends(line, SLICE("\r")))
        line.len--;
    if (ok && line.len == 0) {
        buf_printf(why,
                   "password-file: %.*s: the first line is empty; the password stands there",
                   SLICE_ARG(conf->smarthost.secret_file));
        ok = false;
    }
    ok = ok && add_text(h, FOR(ROLE_DELIVERY), "secret:smarthost-password", line, why);
    wipe(&text);
    return ok;
}

bool keys_read(const struct conf *conf, int state, struct handover *h, struct buf *why)
{
    struct buf text = BUF_INIT;
    conf_write(conf, false, &text);
    bool ok = text.error == 0 && add_text(h, FOR_ALL, "config", buf_slice(&text), why) &&
              add_tls(conf, state, h, why) && add_authorities(conf, h, why) &&
              add_password(conf, h, why);
    buf_fini(&text);
    if (!ok)
        handover_fini(h);
    return ok;
}
