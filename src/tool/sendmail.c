/* sendmail: the command that PHP, cron and programs hand mail to, for the local door of
 * utpostd. It proves nothing about its caller: the door asks the kernel who that is. */
#include "base/map.h"
#include "codec/path.h"
#include "model/conf.h"
#include "tool/sendmail_address.h"
#include "tool/sendmail_door.h"
#include "tool/sendmail_exit.h"
#include "tool/sendmail_header.h"
#include "tool/sendmail_input.h"
#include "tool/sendmail_options.h"
#include "tool/sendmail_session.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

enum { PIECE = 64 * 1024 };

static const char default_config[] = "/etc/utpost/utpost.conf";

static const char help[] =
    "usage: sendmail [-t] [-i] [-f ADDRESS] [-F NAME] [RECIPIENT…] < message\n"
    "       sendmail -bs\n"
    "Hands a message to utpostd on this machine. Who is accounted is the local user who\n"
    "runs it, whatever options and header say.\n"
    "  -t             recipients are also those of To, Cc and Bcc (Bcc is removed)\n"
    "  -i, -oi        a line that is only a dot does not end the message\n"
    "  -f, -r ADDRESS where bounces go (the reverse-path)\n"
    "  -F NAME        name in the From field that is added when there is none\n"
    "  -N NOTICES, -R full|hdrs, -V ID   delivery status notifications\n"
    "  --queue        what a limit refuses for now is accepted, and sent when the limit "
    "allows\n"
    "  -bs            speak SMTP on standard input and output\n"
    "  -v             say what the service answered\n"
    "  --config FILE  the server's configuration (default: $UTPOST_CONFIG, or\n"
    "                 /etc/utpost/utpost.conf); $UTPOST_SOCKET names the socket itself\n"
    "  --forward FILE give it to a service on another machine (default: when there is\n"
    "                 " SENDMAIL_FORWARD ")\n"
    "Other options of sendmail are accepted and do nothing. See sendmail-utpost(1).\n";

/* One message on its way from standard input to the door. */
struct job {
    struct arena arena;
    struct sendmail_options options;
    struct conf *conf;
    const char *socket; /* NULL: it is forwarded */
    struct sendmail_forward forward;
    slice hostname;
    slice login;
    struct sendmail_input input;
    struct sendmail_spool body;
    struct buf header; /* mended */
    struct map seen;   /* recipients by their canonical form */
    slice *recipients;
    size_t recipient_count;
    size_t recipient_room;
    struct sendmail_letter letter;
};

static int fail(int status, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int fail(int status, const char *fmt, ...)
{
    va_list args;
    fputs("sendmail: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

/* Each line of the text, for people. */
static void say_lines(FILE *to, slice text)
{
    slice line;
    while (slice_split(&text, '\n', &line))
        fprintf(to, "sendmail: %.*s\n", SLICE_ARG(line));
}

/* To another machine, when --forward or the host's file says so and nothing else is named. */
static int read_forward(struct job *j, bool *forwards)
{
    const char *path = j->options.forward;
    bool is_local =
        j->options.config || secure_getenv("UTPOST_CONFIG") || secure_getenv("UTPOST_SOCKET");
    struct buf why = BUF_INIT;
    if (!path && (is_local || access(SENDMAIL_FORWARD, F_OK) != 0))
        return EX_OK;
    *forwards = true;
    int status = sendmail_forward_read(&j->arena, path ? path : SENDMAIL_FORWARD, getuid(),
                                       &j->forward, &why);
    if (status != EX_OK)
        say_lines(stderr, buf_slice(&why));
    buf_fini(&why);
    return status;
}

/* A configuration that this user cannot see is no fault of his: the defaults hold then. */
static int read_conf(struct job *j, bool forwards)
{
    const char *named = j->options.config ? j->options.config : secure_getenv("UTPOST_CONFIG");
    const char *path = named && named[0] ? named : default_config;
    struct buf errors = BUF_INIT;
    bool is_hidden = forwards || (path == default_config && access(path, R_OK) != 0);
    j->conf =
        is_hidden ? conf_parse(slice_of(path), (slice){0}, &errors) : conf_read(path, &errors);
    if (!j->conf)
        say_lines(stderr, buf_slice(&errors));
    buf_fini(&errors);
    if (!j->conf)
        return EX_CONFIG;
    j->hostname = j->forward.hostname.len ? j->forward.hostname : j->conf->server.hostname;
    if (forwards)
        return EX_OK;
    const char *socket = secure_getenv("UTPOST_SOCKET");
    slice run_dir = j->conf->server.run_dir;
    j->socket = socket && socket[0]
                    ? socket
                    : arena_printf(&j->arena, "%.*s/local.sock", SLICE_ARG(run_dir)).ptr;
    return EX_OK;
}

static void find_login(struct job *j)
{
    const struct passwd *user = getpwuid(getuid());
    j->login = user ? arena_dup(&j->arena, slice_of(user->pw_name))
                    : arena_printf(&j->arena, "uid-%u", (unsigned)getuid());
}

/* Reads standard input to its end, or to the lone dot. */
static int read_input(struct job *j)
{
    char piece[PIECE];
    struct buf body = BUF_INIT;
    uint64_t max = j->conf->submission.max_message;
    int status = EX_OK;
    for (bool has_more = true; has_more && status == EX_OK;) {
        ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = fail(EX_IOERR, "the message could not be read: %s", strerror(errno));
        if (n > 0)
            sendmail_input_feed(&j->input, slice_make(piece, (size_t)n), &body);
        else
            sendmail_input_end(&j->input, &body);
        int err = body.error ? body.error : sendmail_spool_add(&j->body, buf_slice(&body));
        buf_clear(&body);
        if (err)
            status = fail(EX_TEMPFAIL, "the message could not be kept: %s", strerror(-err));
        else if (j->input.is_header_too_large)
            status = fail(EX_DATAERR, "the header is too large: at most %d octets",
                          SENDMAIL_HEADER_MAX);
        else if (j->body.size > max)
            status =
                fail(EX_DATAERR,
                     "the message is too large: at most %" PRIu64 " octets are taken", max);
        has_more = n > 0 && !j->input.is_over;
    }
    buf_fini(&body);
    if (status == EX_OK && j->input.has_nul)
        status = fail(EX_DATAERR, "the message has a NUL in it: encode binary data as base64");
    return status;
}

/* Whoever is named twice gets it once. */
static void add_recipient(struct job *j, slice address)
{
    struct path p;
    INVARIANT(mailbox_parse(address, &p) == PATH_OK);
    slice canonical = path_canonical(&j->arena, &p);
    if (map_get(&j->seen, canonical))
        return;
    map_put(&j->seen, canonical, j);
    if (j->recipient_count == j->recipient_room) {
        j->recipient_room = j->recipient_room ? j->recipient_room * 2 : 8;
        j->recipients = xrealloc(j->recipients, j->recipient_room, sizeof(slice));
    }
    j->recipients[j->recipient_count++] = address;
    j->letter.has_utf8 |= p.has_utf8;
}

static int add_arguments(struct job *j)
{
    for (size_t i = 0; i < j->options.recipient_count; i++) {
        struct sendmail_mailbox *boxes;
        size_t count;
        slice bad;
        if (!sendmail_addresses(&j->arena, slice_of(j->options.recipients[i]), j->hostname,
                                &boxes, &count, &bad))
            return fail(EX_DATAERR, "not a recipient's address: %.*s", SLICE_ARG(bad));
        for (size_t k = 0; k < count; k++)
            add_recipient(j, boxes[k].address);
    }
    return EX_OK;
}

/* -f: an address, or nothing ("" or "<>") for the null reverse-path. */
static int read_sender(struct job *j, slice *sender)
{
    struct sendmail_mailbox *boxes;
    size_t count;
    slice bad;
    slice given = slice_trim(slice_of(j->options.sender));
    *sender = (slice){0};
    if (given.len == 0 || slice_eq(given, SLICE("<>")))
        return EX_OK;
    if (!sendmail_addresses(&j->arena, given, j->hostname, &boxes, &count, &bad) || count != 1)
        return fail(EX_DATAERR, "not a sender's address: %.*s", SLICE_ARG(given));
    *sender = boxes[0].address;
    return EX_OK;
}

/* Sender, recipients and the mended header. */
static int address_letter(struct job *j)
{
    const struct sendmail_options *o = &j->options;
    struct sendmail_letter *l = &j->letter;
    struct sendmail_header header;
    int status = o->sender ? read_sender(j, &l->sender) : EX_OK;
    if (status == EX_OK)
        status = add_arguments(j);
    if (status != EX_OK)
        return status;
    slice self =
        arena_printf(&j->arena, "%.*s@%.*s", SLICE_ARG(j->login), SLICE_ARG(j->hostname));
    struct sendmail_author author = {
        .address = l->sender.len ? l->sender : self,
        .full_name = slice_of(o->full_name),
        .hostname = j->hostname,
    };
    sendmail_header_mend(&j->arena, &author, buf_slice(&j->input.header), &j->header, &header);
    if (j->header.error)
        return fail(EX_TEMPFAIL, "out of memory");
    if (!o->sender)
        l->sender = header.from.len ? header.from : self;
    if (!o->reads_recipients)
        return EX_OK;
    if (header.bad_field.len)
        return fail(EX_DATAERR, "the %.*s field has what is not an address: %.*s",
                    SLICE_ARG(header.bad_field), SLICE_ARG(header.bad_element));
    for (size_t i = 0; i < header.recipient_count; i++)
        add_recipient(j, header.recipients[i]);
    return EX_OK;
}

static int send_letter(struct job *j)
{
    struct sendmail_letter *l = &j->letter;
    struct buf text = BUF_INIT;
    struct path p;
    if (j->recipient_count == 0)
        return fail(EX_USAGE, "the message names no recipient in To, Cc or Bcc");
    l->recipients = j->recipients;
    l->recipient_count = j->recipient_count;
    l->header = buf_slice(&j->header);
    l->body = &j->body;
    l->has_8bit = j->input.has_8bit;
    l->has_utf8 |= mailbox_parse(l->sender, &p) == PATH_OK && p.has_utf8;
    l->notify = j->options.notify;
    l->ret = j->options.ret;
    l->may_wait = j->options.may_wait || j->forward.may_wait;
    l->envid = slice_of(j->options.envid);
    sendmail_origin_find(&j->arena, l->header, &l->origin);
    const struct sendmail_target target = {
        .path = j->socket,
        .forward = j->socket ? NULL : &j->forward,
        .hostname = j->hostname,
    };
    int status = sendmail_door_send(&target, l, &text);
    if (status != EX_OK)
        say_lines(stderr, buf_slice(&text));
    else if (j->options.is_verbose)
        say_lines(stdout, buf_slice(&text));
    buf_fini(&text);
    return status;
}

static int deliver(struct job *j)
{
    static const uint64_t seed[2]; /* collisions would only slow the one who chose them */
    if (j->options.recipient_count == 0 && !j->options.reads_recipients)
        return fail(EX_USAGE, "name the recipients, or give -t to take them from the message");
    find_login(j);
    sendmail_input_init(&j->input, !j->options.dots_are_text);
    sendmail_spool_init(&j->body);
    map_init(&j->seen, seed);
    int status = read_input(j);
    if (status == EX_OK)
        status = address_letter(j);
    if (status == EX_OK)
        status = send_letter(j);
    sendmail_input_fini(&j->input);
    sendmail_spool_fini(&j->body);
    map_fini(&j->seen);
    buf_fini(&j->header);
    free(j->recipients);
    return status;
}

static int run(struct job *j)
{
    switch (j->options.mode) {
    case SENDMAIL_HELP:
        fputs(help, stdout);
        return EX_OK;
    case SENDMAIL_VERSION:
        puts("sendmail (Utpost " UTPOST_VERSION ")");
        return EX_OK;
    case SENDMAIL_QUEUE:
        return fail(EX_UNAVAILABLE, "the queue is shown by `utpost queue list`, to those who "
                                    "may administer the service");
    case SENDMAIL_ALIASES:
        puts("sendmail: there are no aliases: utpostd only sends mail out; nothing to do");
        return EX_OK;
    case SENDMAIL_RUN:
        puts("sendmail: utpostd works off its queue by itself; nothing to do");
        return EX_OK;
    case SENDMAIL_SESSION:
    case SENDMAIL_DELIVER:
        break;
    }
    bool forwards = false;
    if (getauxval(AT_SECURE))
        j->options.config = NULL; /* it must not read for its caller what he cannot */
    int status = read_forward(j, &forwards);
    if (status == EX_OK)
        status = read_conf(j, forwards);
    if (status != EX_OK)
        return status;
    if (forwards && j->options.mode == SENDMAIL_SESSION)
        return fail(EX_UNAVAILABLE, "-bs is not offered here: mail of this host is forwarded");
    return j->options.mode == SENDMAIL_SESSION ? sendmail_session_run(j->socket) : deliver(j);
}

int main(int argc, char **argv)
{
    static struct job job;
    struct buf why = BUF_INIT;
    signal(SIGPIPE, SIG_IGN);
    int status = sendmail_options_read(&job.options, argc, argv, &why)
                     ? run(&job)
                     : fail(EX_USAGE, "%.*s", SLICE_ARG(buf_slice(&why)));
    buf_fini(&why);
    conf_free(&job.conf);
    arena_fini(&job.arena);
    return status;
}
