#include "../check.h"

#include "codec/policyd.h"

#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X500 X100 X100 X100 X100 X100
#define KIND "request=smtpd_access_policy\n"

/* As Postfix 3.7 sends it, with names and addresses of the examples. */
static const char from_postfix[] = "request=smtpd_access_policy\n"
                                   "protocol_state=RCPT\n"
                                   "protocol_name=ESMTP\n"
                                   "client_address=192.0.2.17\n"
                                   "client_name=pc.example.com\n"
                                   "client_port=40114\n"
                                   "reverse_client_name=pc.example.com\n"
                                   "server_address=192.0.2.1\n"
                                   "server_port=587\n"
                                   "helo_name=[192.0.2.17]\n"
                                   "sender=anna@example.com\n"
                                   "recipient=bo@example.net\n"
                                   "recipient_count=0\n"
                                   "queue_id=\n"
                                   "instance=2b9.65a1.d3.0\n"
                                   "size=12345\n"
                                   "etrn_domain=\n"
                                   "stress=\n"
                                   "sasl_method=PLAIN\n"
                                   "sasl_username=anna@example.com\n"
                                   "sasl_sender=\n"
                                   "ccert_subject=\n"
                                   "ccert_issuer=\n"
                                   "ccert_fingerprint=\n"
                                   "ccert_pubkey_fingerprint=\n"
                                   "encryption_protocol=TLSv1.3\n"
                                   "encryption_cipher=TLS_AES_256_GCM_SHA384\n"
                                   "encryption_keysize=256\n"
                                   "policy_context=submission\n"
                                   "\n";

static void reads_all_that_postfix_sends(void **state)
{
    (void)state;
    struct policyd_request r;
    size_t seen = 0, used = 0;
    assert_int_equal(policyd_parse(slice_of(from_postfix), &seen, &r, &used), POLICYD_REQUEST);
    assert_int_equal(used, sizeof(from_postfix) - 1);
    assert_int_equal(seen, 0);
    struct address client;
    assert_true(address_parse(SLICE("192.0.2.17"), &client));
    assert_int_equal(r.state, POLICYD_RCPT);
    check_slice("protocol", r.protocol_name, SLICE("ESMTP"));
    check_slice("address", r.client_address, SLICE("192.0.2.17"));
    assert_true(address_eq(&r.client, &client));
    check_slice("name", r.client_name, SLICE("pc.example.com"));
    check_slice("helo", r.helo_name, SLICE("[192.0.2.17]"));
    check_slice("sender", r.sender, SLICE("anna@example.com"));
    check_slice("recipient", r.recipient, SLICE("bo@example.net"));
    assert_int_equal(r.recipient_count, 0);
    assert_int_equal(r.size, 12345);
    check_slice("instance", r.instance, SLICE("2b9.65a1.d3.0"));
    check_slice("queue id", r.queue_id, SLICE(""));
    check_slice("method", r.sasl_method, SLICE("PLAIN"));
    check_slice("user", r.sasl_username, SLICE("anna@example.com"));
    check_slice("sasl sender", r.sasl_sender, SLICE(""));
    check_slice("encryption", r.encryption_protocol, SLICE("TLSv1.3"));
    check_slice("context", r.policy_context, SLICE("submission"));
}

static const struct row {
    const char *name;
    slice in;
    enum policyd_result result;
    enum policyd_state state;
    uint64_t size;
    const char *sender;
} rows[] = {
    {"least", SLICE_INIT(KIND "\n"), POLICYD_REQUEST, POLICYD_OTHER, 0, ""},
    {"any order", SLICE_INIT("size=7\nsender=a@b\n" KIND "\n"), POLICYD_REQUEST, POLICYD_OTHER,
     7, "a@b"},
    {"what follows is left", SLICE_INIT(KIND "size=1\n\nrequest="), POLICYD_REQUEST,
     POLICYD_OTHER, 1, ""},
    {"unknown state", SLICE_INIT(KIND "protocol_state=XCLIENT\n\n"), POLICYD_REQUEST,
     POLICYD_OTHER, 0, ""},
    {"connect", SLICE_INIT(KIND "protocol_state=CONNECT\n\n"), POLICYD_REQUEST, POLICYD_CONNECT,
     0, ""},
    {"ehlo", SLICE_INIT(KIND "protocol_state=EHLO\n\n"), POLICYD_REQUEST, POLICYD_EHLO, 0, ""},
    {"helo", SLICE_INIT(KIND "protocol_state=HELO\n\n"), POLICYD_REQUEST, POLICYD_EHLO, 0, ""},
    {"mail", SLICE_INIT(KIND "protocol_state=MAIL\n\n"), POLICYD_REQUEST, POLICYD_MAIL, 0, ""},
    {"data", SLICE_INIT(KIND "protocol_state=DATA\n\n"), POLICYD_REQUEST, POLICYD_DATA, 0, ""},
    {"end", SLICE_INIT(KIND "protocol_state=END-OF-MESSAGE\n\n"), POLICYD_REQUEST,
     POLICYD_END_OF_MESSAGE, 0, ""},
    {"vrfy", SLICE_INIT(KIND "protocol_state=VRFY\n\n"), POLICYD_REQUEST, POLICYD_VRFY, 0, ""},
    {"etrn", SLICE_INIT(KIND "protocol_state=ETRN\n\n"), POLICYD_REQUEST, POLICYD_ETRN, 0, ""},
    {"equals in a value", SLICE_INIT(KIND "sender=a=b@c=d\n\n"), POLICYD_REQUEST, POLICYD_OTHER,
     0, "a=b@c=d"},
    {"the first counts", SLICE_INIT(KIND "sender=a@b\nsender=c@d\nsize=1\nsize=2\n\n"),
     POLICYD_REQUEST, POLICYD_OTHER, 1, "a@b"},
    {"the first counts, empty", SLICE_INIT(KIND "sender=\nsender=c@d\n\n"), POLICYD_REQUEST,
     POLICYD_OTHER, 0, ""},
    {"the first state counts", SLICE_INIT(KIND "protocol_state=RCPT\nprotocol_state=DATA\n\n"),
     POLICYD_REQUEST, POLICYD_RCPT, 0, ""},
    {"empty number", SLICE_INIT(KIND "size=\nrecipient_count=\n\n"), POLICYD_REQUEST,
     POLICYD_OTHER, 0, ""},
    {"largest number", SLICE_INIT(KIND "size=18446744073709551615\n\n"), POLICYD_REQUEST,
     POLICYD_OTHER, UINT64_MAX, ""},
    {"number too large", SLICE_INIT(KIND "size=18446744073709551616\n\n"), POLICYD_BAD, 0, 0,
     0},
    {"no number", SLICE_INIT(KIND "recipient_count=two\n\n"), POLICYD_BAD, 0, 0, 0},
    {"negative", SLICE_INIT(KIND "size=-1\n\n"), POLICYD_BAD, 0, 0, 0},
    {"unknown attribute", SLICE_INIT(KIND "size_of_shoe=x\n\n"), POLICYD_REQUEST, POLICYD_OTHER,
     0, ""},
    {"a line that is no attribute", SLICE_INIT(KIND "hello\n\n"), POLICYD_BAD, 0, 0, 0},
    {"no name", SLICE_INIT(KIND "=x\n\n"), POLICYD_BAD, 0, 0, 0},
    {"NUL", SLICE_INIT(KIND "sender=a\0b\n\n"), POLICYD_BAD, 0, 0, 0},
    {"empty line first", SLICE_INIT("\n" KIND "\n"), POLICYD_BAD, 0, 0, 0},
    {"no kind", SLICE_INIT("sender=a@b\n\n"), POLICYD_BAD, 0, 0, 0},
    {"another kind", SLICE_INIT("request=junk\n\n"), POLICYD_BAD, 0, 0, 0},
    {"another kind behind", SLICE_INIT(KIND "request=junk\n\n"), POLICYD_BAD, 0, 0, 0},
    {"SMTP by mistake", SLICE_INIT("EHLO there\r\n\r\n\n\n"), POLICYD_BAD, 0, 0, 0},
    {"nothing yet", SLICE_INIT(""), POLICYD_MORE, 0, 0, 0},
    {"no end yet", SLICE_INIT(KIND "sender=a@b\n"), POLICYD_MORE, 0, 0, 0},
};

static void check_row(const struct row *row, enum policyd_result result,
                      const struct policyd_request *r)
{
    check_int(row->name, result, row->result);
    if (result != POLICYD_REQUEST)
        return;
    check_int(row->name, r->state, row->state);
    CHECK(row->name, r->size == row->size);
    check_slice(row->name, r->sender, slice_of(row->sender));
}

static void reads_rows_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct policyd_request r = {.size = 77};
        size_t seen = 0, used = 99;
        enum policyd_result result = policyd_parse(rows[i].in, &seen, &r, &used);
        check_row(&rows[i], result, &r);
        if (result != POLICYD_REQUEST) {
            check_int(rows[i].name, (long long)used, 99);
            check_int(rows[i].name, (long long)r.size, 77);
        }
    }
}

static void reads_rows_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct policyd_request r;
        size_t seen = 0, used = 0;
        enum policyd_result result = POLICYD_MORE;
        for (size_t n = 0; n <= rows[i].in.len && result == POLICYD_MORE; n++)
            result = policyd_parse(slice_to(rows[i].in, n), &seen, &r, &used);
        check_row(&rows[i], result, &r);
    }
}

static void reads_one_after_another(void **state)
{
    (void)state;
    static const slice stream = SLICE_INIT(KIND "size=1\n\n" KIND "size=2\n\n" KIND "size=3\n");
    slice rest = stream;
    struct policyd_request r;
    size_t seen = 0, used = 0;
    for (uint64_t n = 1; n <= 2; n++) {
        assert_int_equal(policyd_parse(rest, &seen, &r, &used), POLICYD_REQUEST);
        assert_int_equal(r.size, n);
        rest = slice_from(rest, used);
    }
    assert_int_equal(policyd_parse(rest, &seen, &r, &used), POLICYD_MORE);
    assert_int_equal(seen, rest.len);
}

static void bounds_the_request(void **state)
{
    (void)state;
    struct buf in = BUF_INIT;
    struct policyd_request r;
    buf_append(&in, SLICE(KIND "stress="));
    while (in.len < POLICYD_REQUEST_MAX - 2)
        buf_byte(&in, 'x');
    size_t seen = 0, used = 0;
    assert_int_equal(policyd_parse(buf_slice(&in), &seen, &r, &used), POLICYD_MORE);
    buf_append(&in, SLICE("\n\n"));
    assert_int_equal(policyd_parse(buf_slice(&in), &seen, &r, &used), POLICYD_REQUEST);
    assert_int_equal(used, POLICYD_REQUEST_MAX);
    in.len -= 2;
    buf_append(&in, SLICE("x\n\n"));
    seen = 0;
    assert_int_equal(policyd_parse(buf_slice(&in), &seen, &r, &used), POLICYD_BAD);
    buf_fini(&in);
}

static void bounds_the_attributes(void **state)
{
    (void)state;
    struct buf in = BUF_INIT;
    struct policyd_request r;
    size_t seen = 0, used = 0;
    buf_append(&in, SLICE(KIND));
    for (int i = 1; i < POLICYD_ATTRIBUTES_MAX; i++)
        buf_printf(&in, "a%d=\n", i);
    buf_append(&in, SLICE("\n"));
    assert_int_equal(policyd_parse(buf_slice(&in), &seen, &r, &used), POLICYD_REQUEST);
    in.len--;
    buf_append(&in, SLICE("one=more\n\n"));
    assert_int_equal(policyd_parse(buf_slice(&in), &seen, &r, &used), POLICYD_BAD);
    buf_fini(&in);
}

static const struct {
    const char *name;
    const char *address;
    uint8_t family;
} addresses[] = {
    {"IPv4", "192.0.2.1", 4},    {"IPv6", "2001:db8::1", 6}, {"mapped", "::ffff:192.0.2.1", 4},
    {"not known", "unknown", 0}, {"empty", "", 0},
};

static void reads_the_client_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        struct buf in = BUF_INIT;
        struct policyd_request r;
        size_t seen = 0, used = 0;
        buf_printf(&in, KIND "client_address=%s\n\n", addresses[i].address);
        check_int(addresses[i].name, policyd_parse(buf_slice(&in), &seen, &r, &used),
                  POLICYD_REQUEST);
        check_int(addresses[i].name, r.client.family, addresses[i].family);
        buf_fini(&in);
    }
}

static const struct {
    const char *name;
    unsigned code; /* 0: DEFER_IF_PERMIT */
    struct enhanced enhanced;
    const char *text;
    const char *want;
} answers[] = {
    {"for now", 450, {4, 7, 1}, "25/24h (max 24)", "action=450 4.7.1 25/24h (max 24)\n\n"},
    {"for good", 550, {5, 7, 1}, "locked", "action=550 5.7.1 locked\n\n"},
    {"two lines", 450, {4, 7, 1}, "one\ntwo\r\nthree", "action=450 4.7.1 one two  three\n\n"},
    {"not ASCII",
     450,
     {4, 7, 1},
     "f\xc3\xb6r m\xc3\xa5nga\x1b\x7f",
     "action=450 4.7.1 f?r m?nga??\n\n"},
    {"long",
     450,
     {4, 7, 1},
     X500,
     "action=450 4.7.1 " X100 X100 X100 X100 X10 X10 X10 X10 X10 X10 X10 X10 "\n\n"},
    {"empty", 450, {4, 7, 1}, "", "action=450 4.7.1 \n\n"},
    {"defer",
     0,
     {4, 7, 1},
     "later\naction=OK",
     "action=DEFER_IF_PERMIT 4.7.1 later action=OK\n\n"},
};

static void writes_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct buf out = BUF_INIT;
        slice text = slice_of(answers[i].text);
        if (answers[i].code)
            policyd_write_reply(&out, answers[i].code, answers[i].enhanced, text);
        else
            policyd_write_defer_if_permit(&out, answers[i].enhanced, text);
        check_slice(answers[i].name, buf_slice(&out), slice_of(answers[i].want));
        buf_fini(&out);
    }
    struct buf out = BUF_INIT;
    policyd_write_dunno(&out);
    check_slice("dunno", buf_slice(&out), SLICE("action=DUNNO\n\n"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_that_postfix_sends),
        cmocka_unit_test(reads_rows_whole),
        cmocka_unit_test(reads_rows_byte_by_byte),
        cmocka_unit_test(reads_one_after_another),
        cmocka_unit_test(bounds_the_request),
        cmocka_unit_test(bounds_the_attributes),
        cmocka_unit_test(reads_the_client_address),
        cmocka_unit_test(writes_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
