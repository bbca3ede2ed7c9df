/* wording: texts to the letter, and the form of every one of them. */
#include "policy/wording.h"

#include "../check.h"
#include "zones.h"

#include <stdio.h>

/* 2026-11-22 13:00:00 UTC */
static const stamp NOW = 1795352400 * SPAN_SECOND;

static const struct row {
    const char *rule;
    const char *language;
    uint64_t used;
    uint64_t asked;
    span wait; /* 0: never */
    bool after_held;
    unsigned code;
    const char *want;
} rows[] = {
    {"account recipients 1000/1d attempts defer", "nb", 1300, 1, 2 * SPAN_HOUR + 200, false,
     450,
     "For mange epost pr dag/Sender rate exceeded, 1300/1d (max 1000). Virker igjen 2026-11-22 "
     "16:00:01 CET, om 2 t 1 min, hvis ingenting forsokes for det/Works again 2026-11-22 "
     "16:00:01 CET, in 2 h 1 min, if nothing is tried before"},
    {"account recipients 50/1m attempts defer", "nb", 51, 1, 31 * SPAN_SECOND, false, 450,
     "For mange epost pr minutt/Sender rate exceeded, 51/1m (max 50). Virker igjen 2026-11-22 "
     "14:00:31 CET, om 31 s, hvis ingenting forsokes for det/Works again 2026-11-22 14:00:31 "
     "CET, in 31 s, if nothing is tried before"},
    {"account recipients 50/1m attempts defer", "nb", 51, 1, 60234375, true, 450,
     "For mange epost pr minutt/Sender rate exceeded, 51/1m (max 50). Virker igjen 1 min 1 s "
     "etter eposten som na er underveis, hvis ingenting forsokes for det/Works again 1 min 1 s "
     "after the mail now under way, if nothing is tried before"},
    {"message recipients 100 defer", "nb", 0, 1, 0, false, 452,
     "Max 100 recipients permitted per message"},
    {"account messages 25/5m defer", "en", 25, 1, SPAN_MINUTE, false, 450,
     "Message rate exceeded, 25/5m (max 25). Works again 2026-11-22 14:01:00 CET, in 1 min"},
    {"account messages 25/5m defer", "sv", 25, 1, 59 * SPAN_SECOND + 1, false, 450,
     "For manga meddelanden per 5 minuter/Message rate exceeded, 25/5m (max 25). Fungerar igen "
     "2026-11-22 14:01:00 CET, om 1 min/Works again 2026-11-22 14:01:00 CET, in 1 min"},
    {"account recipients 5000/30d defer", "de", 5000, 1, 3 * SPAN_DAY, false, 450,
     "Zu viele Empfaenger pro 30 Tage/Sender rate exceeded, 5000/30d (max 5000). Geht wieder "
     "ab "
     "2026-11-25 14:00:00 CET, in 3 T/Works again 2026-11-25 14:00:00 CET, in 3 d"},
    {"account bytes 5MB/1h defer", "sv", 0, 5000001, 0, false, 450,
     "For mycket data per timme/Data rate exceeded, 0B/1h (max 5MB). Hogst 5MB at gangen/At "
     "most 5MB at a time"},
    {"account bytes 500MB/month suspend", "en", 499999000, 10000, 0, false, 550,
     "Data rate exceeded, 499.9MB/month (max 500MB). Works again with a new plan"},
    {"account bytes 90MB/month suspend", "nb", 90000000, 10000, 8 * SPAN_DAY + 10 * SPAN_HOUR,
     false, 450,
     "For mye data pr maned/Data rate exceeded, 90MB/month (max 90MB). Virker igjen 2026-12-01 "
     "00:00:00 CET, om 8 d 10 t/Works again 2026-12-01 00:00:00 CET, in 8 d 10 h"},
    {"account recipients 10/1h reject", "en", 10, 1, SPAN_HOUR, false, 550,
     "Sender rate exceeded, 10/1h (max 10). Works again 2026-11-22 15:00:00 CET, in 1 h"},
    {"account bounces 100/1d defer", "en", 101, 0, SPAN_HOUR, false, 450,
     "Too many bounces, 101/1d (max 100). Works again 2026-11-22 15:00:00 CET, in 1 h"},
    {"account bounces 100/1d defer", "sv", 101, 0, SPAN_HOUR, false, 450,
     "For manga returer per dygn/Too many bounces, 101/1d (max 100). Fungerar igen 2026-11-22 "
     "15:00:00 CET, om 1 tim/Works again 2026-11-22 15:00:00 CET, in 1 h"},
    {"account bounces 100/1d defer", "nb", 101, 0, SPAN_HOUR, false, 450,
     "For mange returer pr dag/Too many bounces, 101/1d (max 100). Virker igjen 2026-11-22 "
     "15:00:00 CET, om 1 t/Works again 2026-11-22 15:00:00 CET, in 1 h"},
    {"account bounces 100/1d reject", "de", 101, 0, SPAN_HOUR, false, 550,
     "Zu viele Ruecklaeufer pro Tag/Too many bounces, 101/1d (max 100). Geht wieder ab "
     "2026-11-22 15:00:00 CET, in 1 Std/Works again 2026-11-22 15:00:00 CET, in 1 h"},
    {"message bytes 10MB reject", "en", 0, 10000001, 0, false, 552,
     "Max 10MB permitted per message"},
};

static struct limit_verdict verdict_of(const struct row *r)
{
    struct limit_verdict v = {.used = r->used, .asked = r->asked};
    const char *error;
    slice word;
    assert_true(rule_parse(slice_of(r->rule), &v.rule, &error, &word));
    v.max = v.rule.max;
    v.never_fits = v.asked > v.max;
    v.free_at = r->wait ? NOW + r->wait : STAMP_NEVER;
    v.is_after_held = r->after_held;
    return v;
}

static struct zone central; /* of Oslo and Berlin */

static void every_row(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        struct limit_verdict v = verdict_of(r);
        struct wording_voice voice = {wording_language_of(slice_of(r->language)), &central,
                                      NOW};
        struct wording w;
        wording_refusal(&voice, &v, &w);
        check_int(r->rule, w.reply.code, r->code);
        check_slice(r->rule, w.reply.text, slice_of(r->want));
    }
}

static void a_lock_says_why(void **state UNUSED)
{
    struct row r = {
        .rule = "account messages 500/30m lock", .used = 500, .asked = 1, .wait = 1};
    struct limit_verdict v = verdict_of(&r);
    struct wording_voice voice = {WORDING_SV, &zone_utc, NOW};
    struct wording w;
    wording_lock(&voice, &v, STAMP_NEVER, &w);
    check_int("for good", w.reply.code, 550);
    check_slice(
        "for good", w.reply.text,
        SLICE("For manga meddelanden per 30 minuter/Message rate exceeded, 501/30m (max "
              "500). Ditt konto ar sparrat. Kontakta din leverantor/Your account is "
              "locked. Contact your provider to get going again"));
    voice.language = WORDING_DE;
    wording_lock(&voice, &v, NOW + SPAN_DAY, &w);
    check_int("for a time", w.reply.code, 450);
    check_slice(
        "for a time", w.reply.text,
        SLICE("Zu viele Nachrichten pro 30 Minuten/Message rate exceeded, 501/30m (max "
              "500). Ihr Konto ist gesperrt bis 2026-11-23 13:00:00 UTC/Your account is "
              "locked until 2026-11-23 13:00:00 UTC"));
}

/* ASCII, one line of at most 510 octets with its code, and nothing cut. */
static void check_form(const struct wording *w)
{
    char room[1024];
    struct buf line = {.ptr = room, .cap = sizeof(room), .max = sizeof(room)};
    reply_write(&line, w->reply.code, w->reply.enhanced, w->reply.text);
    assert_true(line.len < REPLY_LINE_MAX);
    for (size_t i = 0; i + 2 < line.len; i++)
        assert_true(room[i] >= ' ' && room[i] < 0x7f && room[i] != '?');
    assert_true(w->reply.text.len < sizeof(w->text) - 64);
}

static void every_text_fits(void **state UNUSED)
{
    static const span windows[] = {SPAN_SECOND,    SPAN_MINUTE, 90 * SPAN_SECOND,
                                   25 * SPAN_HOUR, SPAN_DAY,    31 * SPAN_DAY};
    struct wording w;
    for (int at = 0; at < 4 * WORDING_LANGUAGES * RULE_UNIT_COUNT * 6; at++) {
        int kind = at % 4;
        int unit = at / 4 % RULE_UNIT_COUNT;
        int language = at / 4 / RULE_UNIT_COUNT % WORDING_LANGUAGES;
        span window = windows[at / 4 / RULE_UNIT_COUNT / WORDING_LANGUAGES];
        struct limit_verdict v = {
            .rule = {RULE_ACCOUNT, (enum rule_unit)unit, UINT64_MAX, window, true, RULE_DEFER,
                     0},
            .used = UINT64_MAX,
            .asked = 1,
            .max = UINT64_MAX,
            .free_at = kind == 0 ? STAMP_NEVER : NOW + 31 * SPAN_DAY - SPAN_SECOND,
            .is_after_held = kind == 1,
            .never_fits = kind == 2,
        };
        struct wording_voice voice = {(enum wording_language)language, &central, NOW};
        wording_refusal(&voice, &v, &w);
        check_form(&w);
        assert_true(w.reply.code < 500);
        wording_lock(&voice, &v, kind ? v.free_at : STAMP_NEVER, &w);
        check_form(&w);
    }
}

static void languages_by_tag(void **state UNUSED)
{
    check_int("nb", wording_language_of(SLICE("nb")), WORDING_NB);
    check_int("no", wording_language_of(SLICE("no")), WORDING_NB);
    check_int("de-AT", wording_language_of(SLICE("de-AT")), WORDING_DE);
    check_int("sv", wording_language_of(SLICE("SV")), WORDING_SV);
    check_int("fr", wording_language_of(SLICE("fr")), WORDING_EN);
    check_int("none", wording_language_of((slice){0}), WORDING_EN);
    check_int("dex", wording_language_of(SLICE("dex")), WORDING_EN);
}

/* What programs of ours read is what was refused, in every language, at the longest too. */
static void data_is_read_back(void **state UNUSED)
{
    struct limit_verdict v = {.used = 1300, .asked = 1, .max = 1000, .free_at = NOW + SPAN_DAY};
    struct wording_data data;
    const char *error;
    slice word;
    assert_true(
        rule_parse(SLICE("account recipients 1000/1d attempts defer"), &v.rule, &error, &word));
    for (unsigned i = 0; i < WORDING_LANGUAGES; i++) {
        struct wording_voice voice = {(enum wording_language)i, &zone_utc, NOW};
        struct wording out;
        wording_refusal(&voice, &v, &out);
        slice before = out.reply.text;
        wording_add_data(&v, &out);
        ptrdiff_t end = slice_rfind(out.reply.text, '\n');
        assert_int_equal(end, before.len);
        assert_true(wording_read_data(slice_from(out.reply.text, (size_t)end + 1), &data));
        assert_true(data.used == 1300 && data.max == 1000 && data.again == NOW + SPAN_DAY);
        check_slice("rule", data.rule, SLICE("account recipients 1000/1d attempts defer"));
    }
    struct wording_voice voice = {WORDING_EN, &zone_utc, NOW};
    struct wording out;
    v.free_at = STAMP_NEVER;
    wording_refusal(&voice, &v, &out);
    wording_add_data(&v, &out);
    slice text = out.reply.text;
    assert_true(
        wording_read_data(slice_from(text, (size_t)slice_rfind(text, '\n') + 1), &data));
    assert_true(data.again == 0);
    assert_false(wording_read_data(SLICE("Works again later"), &data));
    assert_false(wording_read_data(SLICE("XLIMIT used=1 max=x again=0 rule=a"), &data));
}

int main(void)
{
    central = zone_of(SLICE(RULE_OSLO));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),        cmocka_unit_test(data_is_read_back),
        cmocka_unit_test(a_lock_says_why),  cmocka_unit_test(every_text_fits),
        cmocka_unit_test(languages_by_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
