#include "tool/sendmail_options.h"

#include <getopt.h>

/* Of all sendmails that programs were written for; two colons: the value is optional. */
static const char letters[] = "A:B:b:C:cd::D:e:F:f:Gh:IiL:M:mN:nO:o:p:Q::q::R:r:sTtUV:vX:x";

enum { LONG_CONFIG = 256, LONG_FORWARD, LONG_HELP, LONG_QUEUE, LONG_VERSION };

static const struct option long_options[] = {
    {"config", required_argument, NULL, LONG_CONFIG},
    {"forward", required_argument, NULL, LONG_FORWARD},
    {"help", no_argument, NULL, LONG_HELP},
    {"queue", no_argument, NULL, LONG_QUEUE},
    {"version", no_argument, NULL, LONG_VERSION},
    {0},
};

static const struct {
    const char *name;
    enum sendmail_mode mode;
} names[] = {{"mailq", SENDMAIL_QUEUE}, {"newaliases", SENDMAIL_ALIASES}};

static const struct {
    char letter;
    enum sendmail_mode mode;
} modes[] = {
    {'m', SENDMAIL_DELIVER},
    {'s', SENDMAIL_SESSION},
    {'p', SENDMAIL_QUEUE},
    {'i', SENDMAIL_ALIASES},
};

static const struct {
    slice name;
    unsigned flag;
} notices[] = {
    {SLICE_INIT("never"), NOTIFY_NEVER},
    {SLICE_INIT("success"), NOTIFY_SUCCESS},
    {SLICE_INIT("failure"), NOTIFY_FAILURE},
    {SLICE_INIT("delay"), NOTIFY_DELAY},
};

static bool read_mode(struct sendmail_options *o, const char *value, struct buf *why)
{
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        if (value[0] != modes[i].letter)
            continue;
        o->mode = modes[i].mode;
        return true;
    }
    buf_printf(why,
               "-b%s is not offered: this command hands mail to utpostd, which is started and "
               "watched over by the system",
               value);
    return false;
}

static unsigned notice_of(slice word)
{
    for (size_t i = 0; i < COUNT_OF(notices); i++)
        if (slice_ieq(word, notices[i].name))
            return notices[i].flag;
    return 0;
}

static bool read_notices(struct sendmail_options *o, const char *value, struct buf *why)
{
    slice list = slice_of(value);
    slice word;
    unsigned flags = 0;
    bool is_good = list.len > 0;
    while (slice_split(&list, ',', &word)) {
        unsigned flag = notice_of(word);
        is_good = is_good && flag;
        flags |= flag;
    }
    if (!is_good || (flags & NOTIFY_NEVER && flags != NOTIFY_NEVER)) {
        buf_printf(why, "-N %s: write never, or some of success,failure,delay", value);
        return false;
    }
    o->notify = flags;
    return true;
}

static bool read_ret(struct sendmail_options *o, const char *value, struct buf *why)
{
    if (slice_ieq(slice_of(value), SLICE("full")))
        o->ret = RET_FULL;
    else if (slice_ieq(slice_of(value), SLICE("hdrs")))
        o->ret = RET_HDRS;
    else
        buf_printf(why, "-R %s: write full or hdrs", value);
    return o->ret != RET_NONE;
}

static bool read_option(struct sendmail_options *o, int letter, const char *value,
                        struct buf *why)
{
    switch (letter) {
    case 'b':
        return read_mode(o, value, why);
    case 'f':
    case 'r':
        o->sender = value;
        return true;
    case 'F':
        o->full_name = value;
        return true;
    case 'i':
        o->dots_are_text = true;
        return true;
    case 'o': /* old options: a letter and its value */
        o->dots_are_text |= value[0] == 'i';
        return true;
    case 't':
        o->reads_recipients = true;
        return true;
    case 'v':
        o->is_verbose = true;
        return true;
    case 'N':
        return read_notices(o, value, why);
    case 'R':
        return read_ret(o, value, why);
    case 'V':
        o->envid = value;
        return true;
    case 'I':
        o->mode = SENDMAIL_ALIASES;
        return true;
    case 'q':
        o->mode = SENDMAIL_RUN;
        return true;
    case LONG_CONFIG:
        o->config = value;
        return true;
    case LONG_FORWARD:
        o->forward = value;
        return true;
    case LONG_HELP:
        o->mode = SENDMAIL_HELP;
        return true;
    case LONG_QUEUE:
        o->may_wait = true;
        return true;
    case LONG_VERSION:
        o->mode = SENDMAIL_VERSION;
        return true;
    default:
        return true; /* one that does nothing here */
    }
}

static enum sendmail_mode mode_of_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    slice name = slice_of(slash ? slash + 1 : path);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_eq(name, slice_of(names[i].name)))
            return names[i].mode;
    return SENDMAIL_DELIVER;
}

bool sendmail_options_read(struct sendmail_options *o, int argc, char **argv, struct buf *why)
{
    *o = (struct sendmail_options){.mode = mode_of_name(argc > 0 ? argv[0] : NULL)};
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    for (;;) {
        int letter = getopt_long(argc, argv, letters, long_options, NULL);
        if (letter < 0)
            break;
        if (letter == '?') {
            if (optopt > ' ' && optopt < 0x7f)
                buf_printf(why, "-%c: %s", optopt,
                           strchr(letters, optopt) ? "its value is missing"
                                                   : "there is no such option");
            else
                buf_printf(why, "%s: there is no such option", argv[optind - 1]);
            return false;
        }
        if (!read_option(o, letter, optarg, why))
            return false;
    }
    if (optind < argc) {
        o->recipients = (const char *const *)argv + optind;
        o->recipient_count = (size_t)(argc - optind);
    }
    return true;
}
