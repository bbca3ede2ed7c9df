/* What a failed attempt means, and what to do about it. */
#include "control/story.h"

enum {
    ANY = 1000,
    WAITS = 10, /* 5xx that was not taken for a refusal for good, see policy/outcome */
};

/* The first row that fits counts. class: 4 or 5 as the reply's code, WAITS, 0: no reply; ANY:
 * all. subject and detail: of the enhanced code (RFC 3463). */
static const struct meaning {
    unsigned stage; /* ANY: all */
    unsigned class;
    unsigned subject;
    unsigned detail;
    const char *means;
    const char *advice;
} meanings[] = {
    {STAGE_AUTH, ANY, ANY, ANY, "The next mail server did not let this one sign in.",
     "The operator of this service should check login and password of [smarthost]."},
    {STAGE_LOCAL, ANY, ANY, ANY, "Something is wrong on this machine, not with the mail.",
     "The operator of this service should look into its log."},
    {STAGE_RESOLVE, ANY, 1, 10, "The domain of the address takes no mail, and says so in DNS.",
     "Use another address; mail to this domain can never arrive."},
    {STAGE_RESOLVE, ANY, 1, ANY, "The domain of the address does not exist, or takes no mail.",
     "Check the part behind the @ for a typing error."},
    {STAGE_RESOLVE, ANY, 4, 4,
     "The domain's mail server cannot be found: DNS has no usable address.",
     "Check the part behind the @; its owner has to mend the domain's DNS."},
    {STAGE_RESOLVE, ANY, 4, 6, "DNS sends mail for this domain back to this very machine.",
     "The domain's owner has to mend its MX records; if it should be so, the operator of this"
     " service can look at allow-private."},
    {STAGE_RESOLVE, ANY, 7, ANY,
     "What DNS says of this domain is not genuine, or its signatures broke.",
     "If it lasts, the domain's owner has to mend DNSSEC there."},
    {STAGE_RESOLVE, ANY, ANY, ANY, "It could not be found out where mail for this domain goes.",
     "If it lasts, the domain's own name servers are the likely cause."},
    {STAGE_CONNECT, ANY, ANY, ANY, "The other mail server could not be reached.",
     "Usually it is down, or a network between is. If every mail waits like this, check this"
     " machine's own network and firewall (port 25)."},
    {STAGE_STARTTLS, ANY, ANY, ANY, "No encrypted connection could be agreed on.",
     "The operators of the two servers have to look at TLS and certificates."},
    {STAGE_TLS, ANY, ANY, ANY, "No encrypted connection could be agreed on.",
     "The operators of the two servers have to look at TLS and certificates."},
    {ANY, 5, 1, 1, "The other server says that this address does not exist.",
     "Check it for a typing error; ask the person in another way; take it off lists."},
    {ANY, 5, 1, 2, "The domain of the address takes no mail there.",
     "Check the part behind the @ for a typing error."},
    {ANY, 5, 1, 7, "The other server does not accept the sender's address.",
     "Check that the sender's own address exists and can be replied to."},
    {ANY, 5, 1, 8, "The other server does not accept the sender's address.",
     "Check that the sender's own address exists and can be replied to."},
    {ANY, 5, 1, ANY, "The other server does not accept this address.",
     "Check it for a typing error; ask the person in another way."},
    {ANY, 5, 2, 1, "The mailbox is there, but switched off.",
     "Ask the person in another way; take it off lists."},
    {ANY, ANY, 2, 2, "The recipient's mailbox is full.",
     "The recipient has to make room; tell them in another way."},
    {ANY, ANY, 2, 3, "The message is larger than the recipient's server takes.",
     "Send it without attachments, or share them in another way."},
    {ANY, ANY, 3, 4, "The message is larger than the other server takes.",
     "Send it without attachments, or share them in another way."},
    {ANY, ANY, 6, ANY, "The other server cannot take this kind of message.",
     "Its words above say what it does not support."},
    {ANY, ANY, 7, 25, "The other server does not trust this server's network address.",
     "The operator of this service should check the reverse DNS of its address."},
    {ANY, ANY, 7, 28, "The other server finds that it gets too much mail from here.",
     "It gets better by itself when less is sent; the operator should know."},
    {ANY, ANY, 7, 26, "The other server finds that the sender's domain is not proven.",
     "The operator should check SPF, DKIM and DMARC of the sender's domain."},
    {ANY, WAITS, 7, 1,
     "The other server takes no mail from this server's network address at present; this mail "
     "is"
     " not to blame.",
     "The operator of this service should check whether its address is on a blocklist; the "
     "words"
     " above often name it."},
    {ANY, 4, 7, ANY, "The other server wants to wait before it takes mail from here.",
     "Nothing: this is usual for servers that do not know a sender yet (greylisting)."},
    {ANY, 5, 7, ANY,
     "The other server refuses the message by its own rules: its content, the"
     " sender, or this server's reputation.",
     "Its words above often name the reason or a page about it; its operator can be asked."},
    {STAGE_GREETING, ANY, ANY, ANY, "The other server does not talk to this one at present.",
     "If its words above name this server's address, the operator should know."},
    {STAGE_EHLO, ANY, ANY, ANY, "The other server does not talk to this one at present.",
     "If its words above name this server's address, the operator should know."},
    {STAGE_MAIL, 5, ANY, ANY, "The other server does not accept this sender.",
     "Its words above say why; its operator can be asked."},
    {STAGE_RCPT, 5, ANY, ANY, "The other server does not accept mail for this address.",
     "Check it for a typing error; ask the person in another way."},
    {ANY, 5, ANY, ANY, "The other server refuses the message.",
     "Its words above say why; its operator can be asked."},
    {STAGE_RCPT, 4, ANY, ANY, "The other server cannot take mail for this address just now.",
     "Nothing: this is usual for servers that do not know a sender yet (greylisting)."},
    {ANY, 4, ANY, ANY, "The other server cannot take the message just now.",
     "Nothing, unless it lasts for hours."},
    {ANY, ANY, ANY, ANY, "The connection to the other server broke.",
     "Nothing, unless it lasts for hours."},
};

static bool fits(unsigned want, unsigned have)
{
    return want == ANY || want == have;
}

static const struct meaning *find(const struct ledger_attempt *a)
{
    uint64_t part[3] = {0};
    slice rest = a->enhanced;
    slice text;
    for (int i = 0; i < 3; i++)
        if (!slice_split(&rest, '.', &text) || !slice_to_u64(text, &part[i]) || part[i] > 999)
            break;
    /* Our own verdict has an enhanced code and no reply. */
    unsigned class = a->code ? a->code / 100 : 0;
    bool waits = class == 5 && a->outcome == OUTCOME_RETRY;
    for (const struct meaning *m = meanings;; m++)
        if (fits(m->stage, a->stage) &&
            (fits(m->class, class) || (waits && m->class == WAITS)) &&
            fits(m->subject, (unsigned)part[1]) && fits(m->detail, (unsigned)part[2]))
            return m;
}

const char *story_meaning(const struct ledger_attempt *a)
{
    return find(a)->means;
}

const char *story_advice(const struct ledger_attempt *a)
{
    return find(a)->advice;
}
