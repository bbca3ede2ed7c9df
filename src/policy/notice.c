#include "policy/notice.h"

#include "base/utf8.h"
#include "codec/field.h"
#include "codec/quoted.h"

#include <inttypes.h>

enum { SPANS = 4 };

/* {} stands for what is filled in. */
struct language {
    const char *subject[NOTICE_KINDS]; /* the name */
    const char *opening[NOTICE_KINDS];
    const char *account;
    const char *all_of; /* a customer's accounts */
    const char *customer;
    const char *at;
    const char *since;
    const char *until;
    const char *until_lifted;
    const char *why;
    const char *lock;
    const char *numbers; /* how many, unit and window, the maximum */
    const char *in;      /* a window */
    const char *in_period;
    const char *spans[SPANS][2]; /* days, hours, minutes, seconds: one, many */
    const char *units[RULE_UNIT_COUNT];
    const char *in_time;
    const char *lifted;
    const char *closing[NOTICE_KINDS];
    const char *advice; /* to the people, of a lock by rule */
};

static const struct language languages[WORDING_LANGUAGES] = {
    [WORDING_EN] =
        {
            .subject = {[NOTICE_LOCKED] = "Sending is locked: {}",
                        [NOTICE_UNLOCKED] = "Sending is unlocked: {}",
                        [NOTICE_PASSED] = "A limit was passed: {}",
                        [NOTICE_SUSPENDED] = "The plan is used up: {}"},
            .opening = {[NOTICE_LOCKED] = "Sending mail has been locked.",
                        [NOTICE_UNLOCKED] = "The lock has ended: mail can be sent again.",
                        [NOTICE_PASSED] =
                            "A limit was passed of which you are to be told. No mail was"
                            " refused because of it.",
                        [NOTICE_SUSPENDED] =
                            "The volume of the plan is used up: mail was refused"
                            " as there is no room left for it."},
            .account = "Account",
            .all_of = "All accounts of",
            .customer = "Customer",
            .at = "At",
            .since = "Since",
            .until = "Until",
            .until_lifted = "somebody lifts it",
            .why = "Why",
            .lock = "Lock",
            .numbers = "{}, and at most {} are allowed",
            .in = " in {}",
            .in_period = " in the period of the plan",
            .spans = {{"day", "days"},
                      {"hour", "hours"},
                      {"minute", "minutes"},
                      {"second", "seconds"}},
            .units = {[RULE_MESSAGES] = "messages",
                      [RULE_RECIPIENTS] = "recipients",
                      [RULE_BYTES] = "of mail",
                      [RULE_NEW_RECIPIENTS] = "new recipients",
                      [RULE_REFUSALS] = "refused attempts",
                      [RULE_BOUNCES] = "bounces",
                      [RULE_COMPLAINTS] = "complaints"},
            .in_time = "the time of the lock was over",
            .lifted = "it was lifted",
            .closing = {[NOTICE_LOCKED] =
                            "Until then new mail is refused. Mail that was accepted"
                            " before and is not delivered yet may be held back.",
                        [NOTICE_SUSPENDED] = "It goes on with the next period, or with a larger"
                                             " plan."},
            .advice = "If you have not sent this mail yourself, somebody else probably has your"
                      " password or a way into your web site: change the password, look at your"
                      " computer and your web site, and contact your provider.",
        },
    [WORDING_SV] =
        {
            .subject = {[NOTICE_LOCKED] = "Utskick spärrade: {}",
                        [NOTICE_UNLOCKED] = "Spärren är hävd: {}",
                        [NOTICE_PASSED] = "En gräns har passerats: {}",
                        [NOTICE_SUSPENDED] = "Planen är förbrukad: {}"},
            .opening = {[NOTICE_LOCKED] = "Utgående e-post har spärrats.",
                        [NOTICE_UNLOCKED] = "Spärren är hävd: e-post kan skickas igen.",
                        [NOTICE_PASSED] = "En gräns har passerats som du ska få veta om. Ingen"
                                          " e-post har avvisats på grund av den.",
                        [NOTICE_SUSPENDED] = "Planens volym är förbrukad: e-post har avvisats,"
                                             " eftersom det inte finns plats för den."},
            .account = "Konto",
            .all_of = "Alla konton hos",
            .customer = "Kund",
            .at = "Tid",
            .since = "Sedan",
            .until = "Till",
            .until_lifted = "den hävs",
            .why = "Varför",
            .lock = "Spärr",
            .numbers = "{}, och högst {} är tillåtna",
            .in = " på {}",
            .in_period = " under planens period",
            .spans = {{"dygn", "dygn"},
                      {"timme", "timmar"},
                      {"minut", "minuter"},
                      {"sekund", "sekunder"}},
            .units = {[RULE_MESSAGES] = "meddelanden",
                      [RULE_RECIPIENTS] = "mottagare",
                      [RULE_BYTES] = "e-post",
                      [RULE_NEW_RECIPIENTS] = "nya mottagare",
                      [RULE_REFUSALS] = "avvisade försök",
                      [RULE_BOUNCES] = "returer",
                      [RULE_COMPLAINTS] = "klagomål"},
            .in_time = "spärrens tid var över",
            .lifted = "den hävdes",
            .closing = {[NOTICE_LOCKED] = "Till dess avvisas ny e-post. E-post som redan har"
                                          " tagits emot men inte levererats kan hållas kvar.",
                        [NOTICE_SUSPENDED] = "Det fortsätter med nästa period, eller med en"
                                             " större plan."},
            .advice =
                "Om du inte själv har skickat den här e-posten har någon annan troligen ditt"
                " lösenord eller en väg in i din webbplats: byt lösenordet, undersök din"
                " dator och din webbplats, och kontakta din leverantör.",
        },
    [WORDING_NB] =
        {
            .subject = {[NOTICE_LOCKED] = "Utsending sperret: {}",
                        [NOTICE_UNLOCKED] = "Sperren er opphevet: {}",
                        [NOTICE_PASSED] = "En grense er passert: {}",
                        [NOTICE_SUSPENDED] = "Planen er brukt opp: {}"},
            .opening = {[NOTICE_LOCKED] = "Utgående e-post er sperret.",
                        [NOTICE_UNLOCKED] = "Sperren er opphevet: e-post kan sendes igjen.",
                        [NOTICE_PASSED] = "En grense som du skal få vite om, er passert. Ingen"
                                          " e-post er avvist på grunn av den.",
                        [NOTICE_SUSPENDED] = "Planens volum er brukt opp: e-post er avvist, "
                                             "fordi det ikke er plass til den."},
            .account = "Konto",
            .all_of = "Alle kontoer hos",
            .customer = "Kunde",
            .at = "Tid",
            .since = "Siden",
            .until = "Til",
            .until_lifted = "den oppheves",
            .why = "Hvorfor",
            .lock = "Sperre",
            .numbers = "{}, og høyst {} er tillatt",
            .in = " på {}",
            .in_period = " i planens periode",
            .spans = {{"døgn", "døgn"},
                      {"time", "timer"},
                      {"minutt", "minutter"},
                      {"sekund", "sekunder"}},
            .units = {[RULE_MESSAGES] = "meldinger",
                      [RULE_RECIPIENTS] = "mottakere",
                      [RULE_BYTES] = "e-post",
                      [RULE_NEW_RECIPIENTS] = "nye mottakere",
                      [RULE_REFUSALS] = "avviste forsøk",
                      [RULE_BOUNCES] = "returer",
                      [RULE_COMPLAINTS] = "klager"},
            .in_time = "tiden for sperren var ute",
            .lifted = "den ble opphevet",
            .closing = {[NOTICE_LOCKED] =
                            "Inntil da avvises ny e-post. E-post som allerede er tatt"
                            " imot, men ikke levert, kan bli holdt tilbake.",
                        [NOTICE_SUSPENDED] =
                            "Det fortsetter med neste periode, eller med en større plan."},
            .advice =
                "Hvis du ikke selv har sendt denne e-posten, har noen andre trolig passordet"
                " ditt eller en vei inn i nettstedet ditt: bytt passordet, undersøk"
                " datamaskinen og nettstedet, og kontakt leverandøren din.",
        },
    [WORDING_DE] =
        {
            .subject = {[NOTICE_LOCKED] = "Versand gesperrt: {}",
                        [NOTICE_UNLOCKED] = "Sperre aufgehoben: {}",
                        [NOTICE_PASSED] = "Ein Grenzwert wurde überschritten: {}",
                        [NOTICE_SUSPENDED] = "Das Kontingent ist aufgebraucht: {}"},
            .opening = {[NOTICE_LOCKED] = "Der Versand von E-Mail ist gesperrt.",
                        [NOTICE_UNLOCKED] =
                            "Die Sperre ist aufgehoben: E-Mail kann wieder gesendet werden.",
                        [NOTICE_PASSED] =
                            "Ein Grenzwert wurde überschritten, von dem Sie erfahren sollen."
                            " Es wurde deswegen keine E-Mail abgewiesen.",
                        [NOTICE_SUSPENDED] =
                            "Das Volumen des Tarifs ist aufgebraucht: E-Mail"
                            " wurde abgewiesen, da kein Platz mehr für sie ist."},
            .account = "Konto",
            .all_of = "Alle Konten von",
            .customer = "Kunde",
            .at = "Zeitpunkt",
            .since = "Seit",
            .until = "Bis",
            .until_lifted = "jemand sie aufhebt",
            .why = "Grund",
            .lock = "Sperre",
            .numbers = "{}, und höchstens {} sind erlaubt",
            .in = " in {}",
            .in_period = " im Zeitraum des Tarifs",
            .spans = {{"Tag", "Tagen"},
                      {"Stunde", "Stunden"},
                      {"Minute", "Minuten"},
                      {"Sekunde", "Sekunden"}},
            .units = {[RULE_MESSAGES] = "Nachrichten",
                      [RULE_RECIPIENTS] = "Empfänger",
                      [RULE_BYTES] = "E-Mail",
                      [RULE_NEW_RECIPIENTS] = "neue Empfänger",
                      [RULE_REFUSALS] = "abgelehnte Versuche",
                      [RULE_BOUNCES] = "Rückläufer",
                      [RULE_COMPLAINTS] = "Beschwerden"},
            .in_time = "die Zeit der Sperre war vorbei",
            .lifted = "sie wurde aufgehoben",
            .closing =
                {[NOTICE_LOCKED] = "Bis dahin wird neue E-Mail abgewiesen. E-Mail, die schon"
                                   " angenommen, aber noch nicht zugestellt ist, kann"
                                   " zurückgehalten werden.",
                 [NOTICE_SUSPENDED] =
                     "Es geht weiter mit dem nächsten Zeitraum oder einem größeren Tarif."},
            .advice =
                "Falls Sie diese E-Mails nicht selbst gesendet haben, hat wahrscheinlich"
                " jemand anderes Ihr Passwort oder einen Zugang zu Ihrer Website: ändern Sie"
                " das Passwort, prüfen Sie Ihren Computer und Ihre Website, und wenden Sie"
                " sich an Ihren Anbieter.",
        },
};

/* ---- pieces ---- */

static void say(struct buf *out, const char *text)
{
    buf_append(out, slice_of(text));
}

/* The template with the values in place of its {}. */
static void fill(struct buf *out, const char *template, const slice *values)
{
    slice rest = slice_of(template);
    ptrdiff_t at;
    while ((at = slice_search(rest, SLICE("{}"))) >= 0) {
        buf_append(out, slice_to(rest, (size_t)at));
        buf_append(out, *values++);
        rest = slice_from(rest, (size_t)at + 2);
    }
    buf_append(out, rest);
}

/* What others chose, on one line. */
static void put_foreign(struct buf *out, slice text)
{
    while (text.len > 0) {
        size_t n = utf8_sequence(text);
        unsigned char c = (unsigned char)text.ptr[0];
        if (n == 0 || c < ' ' || c == 0x7f)
            buf_byte(out, '?');
        else
            buf_append(out, slice_to(text, n));
        text = slice_from(text, n ? n : 1);
    }
}

/* "2026-11-22 15:04:05 CET" */
static void put_moment(struct buf *out, const struct zone *zone, stamp at)
{
    enum { DAY_LEN = 10, TIME_LEN = 8 };
    char text[STAMP_TEXT_MAX];
    struct zone_time local = zone_at(zone, at);
    stamp_format(at + local.offset, text);
    buf_printf(out, "%.*s %.*s %s", DAY_LEN, text, TIME_LEN, text + DAY_LEN + 1, local.name);
}

static void put_amount(struct buf *out, enum rule_unit unit, uint64_t n)
{
    static const struct {
        uint64_t factor;
        const char *suffix;
    } sizes[] = {{1000000000, "GB"}, {1000000, "MB"}, {1000, "KB"}};
    for (size_t i = 0; unit == RULE_BYTES && i < COUNT_OF(sizes); i++) {
        if (n < sizes[i].factor)
            continue;
        buf_printf(out, "%" PRIu64 ".%" PRIu64 " %s", n / sizes[i].factor,
                   n / (sizes[i].factor / 10) % 10, sizes[i].suffix);
        return;
    }
    buf_printf(out, unit == RULE_BYTES ? "%" PRIu64 " B" : "%" PRIu64, n);
}

static void put_window(struct buf *out, const struct language *l, span window)
{
    static const span lengths[SPANS] = {SPAN_DAY, SPAN_HOUR, SPAN_MINUTE, SPAN_SECOND};
    struct buf text = BUF_INIT;
    if (window == RULE_PERIOD)
        say(out, l->in_period);
    for (size_t i = 0; window > 0 && i < SPANS; i++) {
        if (window % lengths[i] != 0)
            continue;
        int64_t n = window / lengths[i];
        buf_printf(&text, "%" PRId64 " %s", n, l->spans[i][n != 1]);
        fill(out, l->in, (const slice[]){buf_slice(&text)});
        break;
    }
    buf_fini(&text);
}

/* "501 messages in 30 minutes, and at most 500 are allowed" */
static void put_numbers(struct buf *out, const struct language *l, const struct notice *n)
{
    struct buf used = BUF_INIT, max = BUF_INIT;
    put_amount(&used, n->rule.unit, n->used);
    buf_byte(&used, ' ');
    say(&used, l->units[n->rule.unit]);
    put_window(&used, l, n->rule.window);
    put_amount(&max, n->rule.unit, n->max);
    fill(out, l->numbers, (const slice[]){buf_slice(&used), buf_slice(&max)});
    buf_fini(&used);
    buf_fini(&max);
}

/* ---- the text, in one language ---- */

static void put_label(struct buf *out, const char *label)
{
    buf_printf(out, "%s: ", label);
}

static void put_who(struct buf *out, const struct language *l, const struct notice *n)
{
    put_label(out, n->is_customer ? l->all_of : l->account);
    put_foreign(out, n->name);
    buf_byte(out, '\n');
    if (n->customer.len == 0)
        return;
    put_label(out, l->customer);
    put_foreign(out, n->customer);
    buf_byte(out, '\n');
}

static void put_when(struct buf *out, const struct language *l, const struct notice *n)
{
    put_label(out, n->kind == NOTICE_LOCKED ? l->since : l->at);
    put_moment(out, n->zone, n->at);
    buf_byte(out, '\n');
    if (n->kind != NOTICE_LOCKED)
        return;
    put_label(out, l->until);
    if (n->until == STAMP_NEVER)
        say(out, l->until_lifted);
    else
        put_moment(out, n->zone, n->until);
    buf_byte(out, '\n');
}

static void put_why(struct buf *out, const struct language *l, const struct notice *n)
{
    bool is_end = n->kind == NOTICE_UNLOCKED;
    if (!is_end && !n->has_rule && n->reason.len == 0)
        return;
    put_label(out, l->why);
    if (is_end)
        say(out, n->is_in_time ? l->in_time : l->lifted);
    else if (n->has_rule)
        put_numbers(out, l, n);
    else
        put_foreign(out, n->reason);
    buf_byte(out, '\n');
}

static void put_text(struct buf *out, const struct language *l, const struct notice *n)
{
    say(out, l->opening[n->kind]);
    say(out, "\n\n");
    put_who(out, l, n);
    put_when(out, l, n);
    put_why(out, l, n);
    if (n->id.len > 0) {
        put_label(out, l->lock);
        buf_append(out, n->id);
        buf_byte(out, '\n');
    }
    if (l->closing[n->kind]) {
        buf_byte(out, '\n');
        say(out, l->closing[n->kind]);
        buf_byte(out, '\n');
    }
    if (n->kind == NOTICE_LOCKED && n->has_rule && n->reader != NOTICE_TO_OPERATOR) {
        buf_byte(out, '\n');
        say(out, l->advice);
        buf_byte(out, '\n');
    }
}

static void put_body(struct buf *out, const struct notice *n)
{
    if (n->language != WORDING_EN) {
        put_text(out, &languages[n->language], n);
        say(out, "\n-------- English --------\n\n");
    }
    put_text(out, &languages[WORDING_EN], n);
    if (n->details.len > 0 && n->reader == NOTICE_TO_OPERATOR) {
        say(out, "\n--------\n\n");
        buf_append(out, n->details);
    }
    say(out, "\n-- \n");
    put_foreign(out, n->host);
    buf_byte(out, '\n');
}

/* ---- the message ---- */

/* "Utskick spärrade: anna@x.test / Sending is locked: anna@x.test" */
static void put_subject(struct buf *out, const struct notice *n)
{
    const slice name[] = {n->name};
    struct buf text = BUF_INIT;
    if (n->language != WORDING_EN) {
        fill(&text, languages[n->language].subject[n->kind], name);
        say(&text, " / ");
    }
    fill(&text, languages[WORDING_EN].subject[n->kind], name);
    field_write(out, SLICE("Subject"), buf_slice(&text));
    buf_fini(&text);
}

void notice_compose(struct buf *out, const struct notice *n)
{
    struct buf body = BUF_INIT;
    buf_printf(out, "From: <%.*s>\r\nTo: <%.*s>\r\n", SLICE_ARG(n->from), SLICE_ARG(n->to));
    put_subject(out, n);
    buf_append(out, SLICE("Auto-Submitted: auto-generated\r\n"
                          "MIME-Version: 1.0\r\n"
                          "Content-Type: text/plain; charset=utf-8\r\n"
                          "Content-Transfer-Encoding: quoted-printable\r\n\r\n"));
    put_body(&body, n);
    quoted_put_text(out, buf_slice(&body));
    if (body.error)
        out->error = body.error;
    buf_fini(&body);
}
