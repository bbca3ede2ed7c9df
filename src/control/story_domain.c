/* Why the mail for a domain is where it is. */
#include "control/story.h"
#include "control/story_parts.h"

static void put(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "  %s: %s\n", name, text);
}

static bool is_direct(const struct story_domain *d)
{
    return slice_eq(d->transport, SLICE("direct"));
}

/* What lies in the way whatever the domain is like. */
static bool put_standstill(struct buf *out, const struct story_domain *d)
{
    if (slice_eq(d->transport, SLICE("capture"))) {
        put(out, "What happens",
            "nothing is sent to anybody: mail is put into a Maildir of this"
            " machine.");
        put(out, "To do", "Set transport in [delivery] to send mail for real.");
        return true;
    }
    if (d->is_held) {
        put(out, "What happens", "all mail waits: hold is set in [delivery].");
        put(out, "Next", "nothing, until that is changed.");
        put(out, "To do", "Set hold = no and reload the service.");
        return true;
    }
    if (!d->is_domain_held)
        return false;
    put(out, "What happens", "an operator holds all mail for it.");
    put(out, "Next", "nothing, until the domain is released.");
    story_text(out, "  To do: Release it: utpost queue release --domain ");
    story_put(out, d->domain);
    buf_byte(out, '\n');
    return true;
}

static void put_waiting(struct buf *out, const struct story_domain *d)
{
    if (is_direct(d))
        story_count(out, d->waiting, "message waits", "messages wait");
    else
        story_count(out, d->waiting, "recipient of all domains waits",
                    "recipients of all domains wait");
}

static void put_failure(struct buf *out, const struct story_domain *d)
{
    const struct ledger_attempt *a = &d->failure;
    story_text(out, "  What happened: ");
    story_time(out, a->at);
    story_text(out, " UTC, ");
    story_put(out, a->reply);
    if (a->remote.len > 0) {
        story_text(out, " (");
        story_put(out, a->remote);
        buf_byte(out, ')');
    }
    buf_byte(out, '\n');
    put(out, "Means", story_meaning(a));
    story_text(out, "  Next: it is tried again ");
    if (d->pause > 0) {
        story_text(out, "in ");
        story_span(out, d->pause);
    } else {
        story_text(out, "as soon as there is mail for it");
    }
    story_text(out, "; ");
    put_waiting(out, d);
    story_text(out, ".\n");
    put(out, "To do", story_advice(a));
    story_text(out, "  To try at once: utpost queue retry --domain ");
    story_put(out, d->domain);
    buf_byte(out, '\n');
}

void story_why_domain(struct buf *out, const struct story_domain *d, stamp now)
{
    (void)now;
    story_text(out, "Mail for ");
    story_put(out, d->domain);
    if (d->relay.len > 0) {
        story_text(out, ", which goes by ");
        story_put(out, d->relay);
    }
    buf_byte(out, '\n');
    if (put_standstill(out, d))
        return;
    if (d->failure.reply.len > 0) {
        put_failure(out, d);
        return;
    }
    if (!d->is_known) {
        put(out, "What happens", "nothing waits for this domain now.");
        put(out, "To do", "If a mail is missed: utpost trace with its id or an address.");
        return;
    }
    story_text(out, "  What happens: nothing stands in its way; ");
    put_waiting(out, d);
    story_text(out, ", ");
    story_count(out, d->connections, "connection is", "connections are");
    story_text(out, " open.\n");
    put(out, "To do",
        "Nothing. What single messages wait for: utpost queue list --domain, then"
        " utpost queue why ID.");
}
