#include "tool/sendmail_forward.h"

#include "tool/sendmail_exit.h"

#include <errno.h>
#include <ini.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PASSWORD_MAX = 1024 };

struct reading {
    struct arena *arena;
    struct sendmail_forward *out;
    const char *user; /* the user's name; NULL: he has none */
    unsigned long uid;
    const char *password_file;
    const char *bad; /* the first key that is not known, or its value */
};

static const char *keep(struct reading *r, const char *text)
{
    return arena_cstr(r->arena, slice_of(text));
}

static bool take_forward(struct reading *r, const char *name, const char *value)
{
    struct sendmail_forward *f = r->out;
    if (strcmp(name, "host") == 0)
        f->host = keep(r, value);
    else if (strcmp(name, "port") == 0)
        f->port = keep(r, value);
    else if (strcmp(name, "login") == 0)
        f->login = slice_of(keep(r, value));
    else if (strcmp(name, "hostname") == 0)
        f->hostname = slice_of(keep(r, value));
    else if (strcmp(name, "ca-file") == 0)
        f->ca_file = keep(r, value);
    else if (strcmp(name, "password-file") == 0)
        r->password_file = keep(r, value);
    else if (strcmp(name, "tls") == 0 && strcmp(value, "implicit") == 0)
        f->is_implicit = true;
    else if (strcmp(name, "queue") == 0 && strcmp(value, "yes") == 0)
        f->may_wait = true;
    else
        return (strcmp(name, "tls") == 0 && strcmp(value, "starttls") == 0) ||
               (strcmp(name, "queue") == 0 && strcmp(value, "no") == 0);
    return true;
}

/* A line of [accounts]: a name, or a number. */
static void take_account(struct reading *r, const char *name, const char *value)
{
    char *end;
    unsigned long uid = strtoul(name, &end, 10);
    bool is_number = *name && !*end;
    if (is_number ? uid == r->uid : r->user && strcmp(name, r->user) == 0)
        r->out->account = slice_of(keep(r, value));
}

static int on_value(void *ctx, const char *section, const char *name, const char *value)
{
    struct reading *r = ctx;
    bool is_good = true;
    if (strcmp(section, "accounts") == 0)
        take_account(r, name, value);
    else
        is_good = strcmp(section, "forward") == 0 && take_forward(r, name, value);
    if (!is_good && !r->bad)
        r->bad = keep(r, name);
    return 1;
}

static bool read_password(struct reading *r, struct buf *why)
{
    char line[PASSWORD_MAX];
    FILE *file = r->password_file ? fopen(r->password_file, "re") : NULL;
    if (!file) {
        buf_printf(why,
                   "password-file: %s: %s; the command must be installed with the group "
                   "that may read it",
                   r->password_file ? r->password_file : "not given",
                   strerror(r->password_file ? errno : ENOENT));
        return false;
    }
    if (!fgets(line, sizeof(line), file))
        line[0] = '\0';
    fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    r->out->password = slice_of(keep(r, line));
    if (line[0] == '\0')
        buf_printf(why, "password-file: %s: its first line is empty", r->password_file);
    return line[0] != '\0';
}

/* Whoever could write it could send as anybody. */
static bool is_trusted(FILE *file, const char *path, struct buf *why)
{
    struct stat st;
    if (fstat(fileno(file), &st) == 0 && st.st_uid == 0 &&
        (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
        return true;
    buf_printf(why, "%s: must be root's, and writable by nobody else", path);
    return false;
}

int sendmail_forward_read(struct arena *a, const char *path, uid_t user,
                          struct sendmail_forward *out, struct buf *why)
{
    const struct passwd *entry = getpwuid(user);
    struct reading r = {.arena = a, .out = out, .uid = user};
    *out = (struct sendmail_forward){.port = NULL};
    if (entry)
        r.user = keep(&r, entry->pw_name);
    FILE *file = fopen(path, "re");
    if (!file) {
        buf_printf(why, "%s: %s", path, strerror(errno));
        return EX_CONFIG;
    }
    int line = is_trusted(file, path, why) ? ini_parse_file(file, on_value, &r) : -1;
    fclose(file);
    if (line < 0)
        return EX_CONFIG;
    if (line > 0 || r.bad || !out->host || out->login.len == 0) {
        if (line > 0)
            buf_printf(why, "%s:%d: not a line of \"key = value\"", path, line);
        else if (r.bad)
            buf_printf(why, "%s: `%s` is not known there, or its value is wrong", path, r.bad);
        else
            buf_printf(why, "%s: [forward] needs host and login", path);
        return EX_CONFIG;
    }
    if (!out->port)
        out->port = out->is_implicit ? "465" : "587";
    if (out->account.len == 0) {
        buf_printf(why,
                   "the local user %s has no account; the administrator can add him to "
                   "[accounts] in %s",
                   r.user ? r.user : "without a name", path);
        return EX_NOPERM;
    }
    return read_password(&r, why) ? EX_OK : EX_CONFIG;
}
