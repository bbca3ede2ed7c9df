#include "codec/dsn.h"

#include "base/id.h"
#include "base/utf8.h"
#include "codec/field.h"
#include "codec/quoted.h"

#include <stdio.h>

/* What people read, per language; English is written below every other one. */
struct wording {
    const char *language;
    const char *subject[DSN_ACTION_COUNT];
    const char *opening; /* %s: the subject of the original, quoted, or empty */
    const char *about[DSN_ACTION_COUNT];
    const char *answered; /* {}: the host */
    const char *until;    /* {}: the moment */
    const char *more;     /* {}: how many recipients are not named */
    const char *closing[DSN_ACTION_COUNT];
};

static const struct wording wordings[] = {
    {
        .language = "en",
        .subject = {"Your mail could not be delivered", "Your mail is delayed",
                    "Your mail was delivered", "Your mail was passed on"},
        .opening = "This is about your mail{} of {}.",
        .about = {"It could NOT be delivered to:", "It could not be delivered yet to:",
                  "It was delivered to:",
                  "It was passed on to a server that does not report delivery, for:"},
        .answered = "The server {} answered:",
        .until = "We go on trying until {}. You need not send it again.",
        .more = "and {} more; the attached report names all of them.",
        .closing =
            {"Nothing more will be tried for these recipients. Check the address, or write "
             "to them in another way.",
             NULL, NULL, NULL},
    },
    {
        .language = "sv",
        .subject = {"Ditt brev kunde inte levereras", "Ditt brev är försenat",
                    "Ditt brev har levererats", "Ditt brev har lämnats vidare"},
        .opening = "Det här gäller ditt brev{} från {}.",
        .about = {"Det kunde INTE levereras till:", "Det har ännu inte kunnat levereras till:",
                  "Det har levererats till:",
                  "Det har lämnats vidare till en server som inte rapporterar leverans, för:"},
        .answered = "Servern {} svarade:",
        .until = "Vi fortsätter att försöka till {}. Du behöver inte skicka det igen.",
        .more = "och {} till; den bifogade rapporten nämner alla.",
        .closing =
            {"Inget mer försök görs för dessa mottagare. Kontrollera adressen, eller nå dem "
             "på annat sätt.",
             NULL, NULL, NULL},
    },
    {
        .language = "nb",
        .subject = {"E-posten din kunne ikke leveres", "E-posten din er forsinket",
                    "E-posten din er levert", "E-posten din er sendt videre"},
        .opening = "Dette gjelder e-posten din{} fra {}.",
        .about = {"Den kunne IKKE leveres til:", "Den har ennå ikke kunnet leveres til:",
                  "Den er levert til:",
                  "Den er sendt videre til en server som ikke rapporterer levering, for:"},
        .answered = "Serveren {} svarte:",
        .until = "Vi fortsetter å prøve til {}. Du trenger ikke å sende den igjen.",
        .more = "og {} til; den vedlagte rapporten nevner alle.",
        .closing =
            {"Det gjøres ikke flere forsøk for disse mottakerne. Kontroller adressen, eller "
             "nå dem på en annen måte.",
             NULL, NULL, NULL},
    },
    {
        .language = "de",
        .subject = {"Ihre E-Mail konnte nicht zugestellt werden", "Ihre E-Mail verzögert sich",
                    "Ihre E-Mail wurde zugestellt", "Ihre E-Mail wurde weitergegeben"},
        .opening = "Es geht um Ihre E-Mail{} vom {}.",
        .about =
            {"Sie konnte NICHT zugestellt werden an:",
             "Sie konnte noch nicht zugestellt werden an:", "Sie wurde zugestellt an:",
             "Sie wurde an einen Server weitergegeben, der die Zustellung nicht meldet, für:"},
        .answered = "Der Server {} hat geantwortet:",
        .until =
            "Wir versuchen es weiter bis {}. Sie brauchen sie nicht noch einmal zu senden.",
        .more = "und {} weitere; der angehängte Bericht nennt alle.",
        .closing =
            {"Für diese Empfänger wird nichts mehr versucht. Prüfen Sie die Adresse oder "
             "erreichen Sie sie auf anderem Weg.",
             NULL, NULL, NULL},
    },
};

static const char *const action_names[DSN_ACTION_COUNT] = {"failed", "delayed", "delivered",
                                                           "relayed"};
static const struct enhanced usual_status[DSN_ACTION_COUNT] = {
    {5, 0, 0}, {4, 0, 0}, {2, 0, 0}, {2, 0, 0}};

static const struct wording *wording_of(slice language)
{
    for (size_t i = 0; i < COUNT_OF(wordings); i++) {
        if (slice_eq(language, slice_of(wordings[i].language)))
            return &wordings[i];
    }
    return &wordings[0];
}

static bool needs_utf8(const struct dsn_facts *f)
{
    bool utf8 = !utf8_is_ascii(f->to);
    for (size_t i = 0; i < f->recipient_count; i++)
        utf8 |= !utf8_is_ascii(f->recipients[i].address);
    return utf8;
}

/* Text from peers, on one line of a field or of the human part: UTF-8 without control
 * characters. */
static void put_clean(struct buf *out, slice text)
{
    while (text.len > 0) {
        unsigned char c = (unsigned char)text.ptr[0];
        size_t n = utf8_sequence(text);
        if (c == '\n' || c == '\r' || c == '\t')
            buf_byte(out, ' ');
        else if (n == 0 || c < 0x20 || c == 0x7f)
            buf_byte(out, '?');
        else
            buf_append(out, slice_to(text, n));
        text = slice_from(text, n ? n : 1);
    }
}

/* The same in ASCII: a field of the status part has no other words (RFC 3464 section 2.1.2). */
static void put_ascii(struct buf *out, slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        buf_byte(out, c == '\n' || c == '\r' || c == '\t' ? ' '
                      : c < 0x20 || c >= 0x7f             ? '?'
                                                          : (char)c);
    }
}

/* A sentence with each {} replaced by the next of the values, and a line end. */
static void put_sentence(struct buf *out, const char *sentence, const slice *values)
{
    slice rest = slice_of(sentence);
    for (ptrdiff_t at; (at = slice_search(rest, SLICE("{}"))) >= 0; values++) {
        buf_append(out, slice_to(rest, (size_t)at));
        put_clean(out, *values);
        rest = slice_from(rest, (size_t)at + 2);
    }
    buf_append(out, rest);
    buf_byte(out, '\n');
}

static void explain_recipient(struct buf *out, const struct wording *w,
                              const struct dsn_recipient *r)
{
    buf_append(out, SLICE("\n  "));
    put_clean(out, r->address);
    buf_byte(out, '\n');
    if (r->diagnostic.len == 0)
        return;
    if (r->remote.len > 0) {
        buf_append(out, SLICE("    "));
        put_sentence(out, w->answered, &r->remote);
    }
    slice rest = r->diagnostic;
    slice line;
    while (slice_split(&rest, '\n', &line)) {
        buf_append(out, SLICE("    "));
        put_clean(out, line);
        buf_byte(out, '\n');
    }
}

static void explain_action(struct buf *out, const struct wording *w, const struct dsn_facts *f,
                           enum dsn_action action)
{
    size_t count = 0;
    stamp until = 0;
    for (size_t i = 0; i < f->recipient_count; i++) {
        const struct dsn_recipient *r = &f->recipients[i];
        if (r->action != action)
            continue;
        if (count++ == 0)
            buf_printf(out, "\n%s\n", w->about[action]);
        if (count <= DSN_NAMED_MAX)
            explain_recipient(out, w, r);
        if (r->retry_until > until)
            until = r->retry_until;
    }
    if (count > DSN_NAMED_MAX) {
        buf_append(out, SLICE("\n  "));
        char more[24];
        snprintf(more, sizeof(more), "%zu", count - DSN_NAMED_MAX);
        put_sentence(out, w->more, &(slice){more, strlen(more)});
    }
    if (count > 0 && action == DSN_DELAYED && until > 0) {
        char moment[STAMP_TEXT_MAX];
        stamp_format_mail(until, moment);
        buf_byte(out, '\n');
        put_sentence(out, w->until, &(slice){moment, strlen(moment)});
    }
    if (count > 0 && w->closing[action])
        buf_printf(out, "\n%s\n", w->closing[action]);
}

static void explain(struct buf *out, const struct wording *w, const struct dsn_facts *f)
{
    struct buf about = BUF_INIT;
    char moment[STAMP_TEXT_MAX];
    stamp_format_mail(f->arrived, moment);
    if (f->subject.len > 0) {
        buf_append(&about, SLICE(" \""));
        put_clean(&about, slice_to(f->subject, 200));
        buf_append(&about, SLICE("\""));
    }
    slice values[] = {buf_slice(&about), slice_of(moment)};
    put_sentence(out, w->opening, values);
    for (int action = 0; action < DSN_ACTION_COUNT; action++)
        explain_action(out, w, f, (enum dsn_action)action);
    buf_fini(&about);
}

static void put_human_part(struct buf *out, const struct dsn_facts *f)
{
    const struct wording *w = wording_of(f->language);
    struct buf text = BUF_INIT;
    explain(&text, w, f);
    if (w != &wordings[0]) {
        buf_append(&text, SLICE("\n-- English --\n\n"));
        explain(&text, &wordings[0], f);
    }
    buf_append(out, SLICE("Content-Type: text/plain; charset=utf-8\r\n"
                          "Content-Transfer-Encoding: quoted-printable\r\n\r\n"));
    quoted_put_text(out, buf_slice(&text));
    if (text.error)
        out->error = text.error;
    buf_fini(&text);
}

static void put_address_field(struct buf *out, const char *name, slice address)
{
    buf_printf(out, "%s: %s; ", name, utf8_is_ascii(address) ? "rfc822" : "utf-8");
    put_clean(out, address);
    buf_append(out, SLICE("\r\n"));
}

static void put_recipient_fields(struct buf *out, const struct dsn_recipient *r)
{
    struct enhanced s = r->status.class ? r->status : usual_status[r->action];
    char moment[STAMP_TEXT_MAX];
    buf_append(out, SLICE("\r\n"));
    if (r->orcpt.len > 0) {
        buf_append(out, SLICE("Original-Recipient: "));
        put_ascii(out, r->orcpt);
        buf_append(out, SLICE("\r\n"));
    }
    put_address_field(out, "Final-Recipient", r->address);
    buf_printf(out, "Action: %s\r\nStatus: %u.%u.%u\r\n", action_names[r->action], s.class,
               s.subject, s.detail);
    if (r->remote.len > 0) {
        buf_append(out, SLICE("Remote-MTA: dns; "));
        put_ascii(out, slice_to(r->remote, 255));
        buf_append(out, SLICE("\r\n"));
    }
    if (r->diagnostic.len > 0) {
        buf_append(out, SLICE("Diagnostic-Code: "));
        buf_append(out, r->remote.len > 0 ? SLICE("smtp; ") : SLICE("X-Utpost; "));
        put_ascii(out, slice_to(r->diagnostic, 900));
        buf_append(out, SLICE("\r\n"));
    }
    if (r->last_attempt > 0) {
        stamp_format_mail(r->last_attempt, moment);
        buf_printf(out, "Last-Attempt-Date: %s\r\n", moment);
    }
    if (r->action == DSN_DELAYED && r->retry_until > 0) {
        stamp_format_mail(r->retry_until, moment);
        buf_printf(out, "Will-Retry-Until: %s\r\n", moment);
    }
}

static void put_status_part(struct buf *out, const struct dsn_facts *f, bool utf8)
{
    char moment[STAMP_TEXT_MAX];
    char id[ID_TEXT_LEN + 1];
    id_format(f->original_id, id);
    stamp_format_mail(f->arrived, moment);
    buf_printf(out, "Content-Type: message/%sdelivery-status\r\n", utf8 ? "global-" : "");
    if (utf8)
        buf_append(out, SLICE("Content-Transfer-Encoding: 8bit\r\n"));
    buf_append(out, SLICE("\r\nReporting-MTA: dns; "));
    put_clean(out, f->reporting_mta);
    buf_append(out, SLICE("\r\n"));
    if (f->envid.len > 0) {
        buf_append(out, SLICE("Original-Envelope-Id: "));
        put_ascii(out, f->envid);
        buf_append(out, SLICE("\r\n"));
    }
    buf_printf(out, "X-Queue-Id: %s\r\nArrival-Date: %s\r\n", id, moment);
    for (size_t i = 0; i < f->recipient_count; i++)
        put_recipient_fields(out, &f->recipients[i]);
}

static void put_original_part(struct buf *out, const struct dsn_facts *f, bool utf8)
{
    const char *type = f->is_whole ? (utf8 ? "message/global" : "message/rfc822")
                                   : (utf8 ? "message/global-headers" : "text/rfc822-headers");
    buf_printf(out, "Content-Type: %s\r\n", type);
    if (!utf8_is_ascii(f->original))
        buf_append(out, SLICE("Content-Transfer-Encoding: 8bit\r\n"));
    buf_append(out, SLICE("\r\n"));
    buf_append(out, f->original);
    if (!slice_ends(f->original, SLICE("\r\n")))
        buf_append(out, SLICE("\r\n"));
}

/* The most serious action gives the subject. */
static enum dsn_action gravest(const struct dsn_facts *f)
{
    enum dsn_action gravest = DSN_RELAYED;
    for (size_t i = 0; i < f->recipient_count; i++) {
        if (f->recipients[i].action < gravest)
            gravest = f->recipients[i].action;
    }
    return gravest;
}

static void put_header(struct buf *out, const struct dsn_facts *f, const char *boundary)
{
    char moment[STAMP_TEXT_MAX];
    char id[ID_TEXT_LEN + 1];
    id_format(f->id, id);
    stamp_format_mail(f->at, moment);
    buf_append(out, SLICE("From: Mail Delivery System <MAILER-DAEMON@"));
    put_clean(out, f->reporting_mta);
    buf_append(out, SLICE(">\r\nTo: <"));
    put_clean(out, f->to);
    buf_append(out, SLICE(">\r\n"));
    field_write(out, SLICE("Subject"), slice_of(wording_of(f->language)->subject[gravest(f)]));
    buf_printf(out, "Date: %s\r\nMessage-ID: <%s.dsn@", moment, id);
    put_clean(out, f->reporting_mta);
    buf_printf(out,
               ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
               "Content-Type: multipart/report; report-type=delivery-status;\r\n"
               "\tboundary=\"%s\"\r\n\r\n",
               boundary);
}

void dsn_write(struct buf *out, const struct dsn_facts *f)
{
    /* Quoted-printable never has "=_" in it; of the original only a whole copy of the id would
     * do, which nobody could know before. */
    char boundary[ID_TEXT_LEN + 8];
    char id[ID_TEXT_LEN + 1];
    id_format(f->id, id);
    snprintf(boundary, sizeof(boundary), "=_%s", id);
    bool utf8 = needs_utf8(f);
    put_header(out, f, boundary);
    buf_printf(out, "--%s\r\n", boundary);
    put_human_part(out, f);
    buf_printf(out, "\r\n--%s\r\n", boundary);
    put_status_part(out, f, utf8);
    if (f->original.len > 0) {
        buf_printf(out, "\r\n--%s\r\n", boundary);
        put_original_part(out, f, utf8);
    }
    buf_printf(out, "\r\n--%s--\r\n", boundary);
}
