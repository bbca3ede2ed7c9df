/* The manual pages that tables make: utpost.1 from the commands, utpost.conf.5 from the keys of
 * the configuration. */
#include "model/conf_rows.h"
#include "tool/command.h"

#include <stdio.h>
#include <string.h>

/* Text of roff: a leading dot or quote is no request, a hyphen is a hyphen. */
static void put(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool begins = i == 0 || text[i - 1] == '\n';
        if (begins && (text[i] == '.' || text[i] == '\''))
            fputs("\\&", stdout);
        if (text[i] == '\\')
            fputs("\\e", stdout);
        else if (text[i] == '-')
            fputs("\\-", stdout);
        else
            putchar(text[i]);
    }
}

static void put_line(const char *text)
{
    put(text, strlen(text));
    putchar('\n');
}

/* The same, with what stands in backquotes in bold. */
static void put_marked(const char *text)
{
    bool is_bold = false;
    for (; *text; text++) {
        if (*text != '`') {
            put(text, 1);
            continue;
        }
        is_bold = !is_bold;
        fputs(is_bold ? "\\fB" : "\\fR", stdout);
    }
}

static void put_options(const struct tool_option *o)
{
    for (; o->name; o++) {
        fputs(".TP\n.B \\-\\-", stdout);
        put(o->name, strlen(o->name));
        if (o->value) {
            fputs(" \\fI", stdout);
            put(o->value, strlen(o->value));
            fputs("\\fR", stdout);
        }
        putchar('\n');
        printf("%c", o->help[0] >= 'a' && o->help[0] <= 'z' ? o->help[0] - 32 : o->help[0]);
        put(o->help + 1, strlen(o->help) - 1);
        fputs(".\n", stdout);
    }
}

static void put_examples(const char *lines)
{
    fputs(".PP\n.nf\n.RS\n", stdout);
    while (*lines) {
        size_t len = strcspn(lines, "\n");
        fputs("utpost ", stdout);
        put(lines, len);
        putchar('\n');
        lines += len + (lines[len] == '\n');
    }
    fputs(".RE\n.fi\n", stdout);
}

static void put_command(const struct tool_command *c)
{
    fputs(".SS utpost ", stdout);
    put(c->name, strlen(c->name));
    if (c->arguments[0])
        printf(" %s", c->arguments);
    if (c->options[0].name)
        fputs(" [options]", stdout);
    printf("\n%c", c->summary[0] - 'a' + 'A');
    put(c->summary + 1, strlen(c->summary) - 1);
    fputs(".\n", stdout);
    if (c->details)
        put_line(c->details);
    if (c->options[0].name)
        put_options(c->options);
    put_examples(c->examples);
}

static void command_page(void)
{
    fputs(
        ".TH UTPOST 1 \"\" \"Utpost " UTPOST_VERSION "\" \"Utpost\"\n"
        ".SH NAME\nutpost \\- run and look after an outgoing mail service\n"
        ".SH SYNOPSIS\n.B utpost\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]\n"
        ".SH DESCRIPTION\n"
        "The command of the operator of\n.BR utpostd (8).\n"
        "Customers, accounts and credentials are kept by the service and changed through its\n"
        "API, over a Unix socket on the same machine; it serves root, the service's own user,\n"
        "and the members of the group that the configuration names.\n"
        "A change is in effect when the command ends.\n"
        "Options may stand anywhere; \\fB\\-\\-\\fR ends them.\n"
        ".SH OPTIONS OF EVERY COMMAND\n",
        stdout);
    put_options(tool_global_options);
    fputs(".SH COMMANDS\n", stdout);
    for (size_t i = 0; i < tool_command_count; i++)
        put_command(&tool_commands[i]);
    fputs(".SH EXIT STATUS\n"
          ".TP\n.B 0\nIt is done.\n"
          ".TP\n.B 1\nThe service refused, or something is wrong; why is on standard error.\n"
          ".TP\n.B 2\nThe command line is wrong.\n"
          ".TP\n.B 3\nThe service does not answer.\n"
          ".SH ENVIRONMENT\n"
          ".TP\n.B UTPOST_CONFIG\nThe server's configuration, unless \\-\\-config names it.\n"
          ".SH FILES\n.I " TOOL_CONFIG "\n"
          ".SH SEE ALSO\n.BR utpostd (8),\n.BR utpost.conf (5)\n",
          stdout);
}

/* Its default as the configuration would say it; empty when there is none. */
static void write_default(const struct conf_row *row, struct buf *out)
{
    union {
        slice text;
        uint64_t number;
        bool flag;
        unsigned choice;
    } value = {0};
    conf_set_default(&value, row);
    conf_write_value(row, &value, out);
}

static void put_key(const struct conf_row *row)
{
    struct buf range = BUF_INIT;
    struct buf value = BUF_INIT;
    fputs(".TP\n.B ", stdout);
    put(row->key, strlen(row->key));
    putchar('\n');
    put_marked(row->doc);
    putchar('\n');
    conf_write_range(row, &range);
    write_default(row, &value);
    if (range.len > 0) {
        putchar(range.ptr[0] >= 'a' && range.ptr[0] <= 'z' ? range.ptr[0] - 32 : range.ptr[0]);
        put(range.ptr + 1, range.len - 1);
        fputs(".\n", stdout);
    }
    if (value.len > 0) {
        fputs("Default: \\fB", stdout);
        put(value.ptr, value.len);
        fputs("\\fR.\n", stdout);
    }
    if (row->reload == CONF_RESTART)
        fputs("A change needs a restart.\n", stdout);
    buf_fini(&range);
    buf_fini(&value);
}

static void conf_page(void)
{
    fputs(
        ".TH UTPOST.CONF 5 \"\" \"Utpost " UTPOST_VERSION "\" \"Utpost\"\n"
        ".SH NAME\nutpost.conf \\- configuration of the outgoing mail service Utpost\n"
        ".SH DESCRIPTION\n"
        "What is of the machine: names, listeners, TLS, directories, the next host. "
        "Customers,\n"
        "accounts and credentials are not here; see\n.BR utpost (1).\n.PP\n"
        "The file has sections in brackets and lines \\fIkey\\fR = \\fIvalue\\fR; a line that\n"
        "begins with # is a comment. There is one section \\fB[listener\\fR"
        " \\fINAME\\fR\\fB]\\fR for\neach listener, and any number of"
        " \\fB[destination\\fR \\fINAME\\fR\\fB]\\fR: of a\ndomain, of \\fB.\\fR and a domain "
        "for all"
        " below it, or of \\fB*\\fR for all; the nearest one\ncounts. Unknown keys and bad "
        "values are refused,"
        " with the line and what would be\nright; \\fButpost config check\\fR reads the file as"
        " the server does. SIGHUP makes the server\nread it again; a file with errors changes"
        " nothing.\n"
        "Sizes are octets, with k, M and G for powers of 1024. Times are written as 50ms, "
        "30s,\n"
        "5m, 4h, 5d.\n",
        stdout);
    for (int section = 0; section < CONF_SECTIONS; section++) {
        enum conf_section s = (enum conf_section)section;
        printf(".SH [%s%s]\n", conf_section_name(s), conf_is_named(s) ? " NAME" : "");
        for (size_t i = 0; i < conf_row_count; i++)
            if (conf_rows[i].section == s)
                put_key(&conf_rows[i]);
    }
    fputs(".SH EXAMPLE\n.nf\n.RS\n"
          "[server]\nhostname = mail.example.org\n\n"
          "[tls]\ncertificate = /etc/ssl/mail.pem\nkey = /etc/ssl/mail.key\n\n"
          "[listener submission]\naddress = 0.0.0.0:587\ntls = starttls\n\n"
          "[listener submissions]\naddress = 0.0.0.0:465\ntls = implicit\n\n"
          "[delivery]\ntransport = smarthost\n\n"
          "[smarthost]\nhost = relay.example.net\nport = 587\ntls = verify\n"
          ".RE\n.fi\n"
          ".SH SEE ALSO\n.BR utpost (1),\n.BR utpostd (8)\n",
          stdout);
}

bool manual_print(const char *page)
{
    if (strcmp(page, "utpost.1") == 0)
        command_page();
    else if (strcmp(page, "utpost.conf.5") == 0)
        conf_page();
    else
        return false;
    return true;
}
