#include "../check.h"

#include "codec/header.h"
#include "codec/trace.h"

/* 2026-11-22 01:02:03 UTC */
#define AT (1795309323 * SPAN_SECOND)
#define X58 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X60 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *name;
    struct trace_facts facts;
    const char *want;
} rows[] = {
    {"all of it",
     {.detail = TRACE_FULL,
      .helo = SLICE_INIT("laptop.example"),
      .client = SLICE_INIT("192.0.2.1"),
      .by = SLICE_INIT("mail.example"),
      .protocol = SLICE_INIT("ESMTPSA"),
      .tls = SLICE_INIT("TLSv1.3 TLS_AES_256_GCM_SHA384"),
      .for_ = SLICE_INIT("you@there.example"),
      .id = 1,
      .at = AT},
     "Received: from laptop.example ([192.0.2.1]) by mail.example with ESMTPSA\r\n"
     "\t(TLSv1.3 TLS_AES_256_GCM_SHA384) id 0000000000001 for <you@there.example>;\r\n"
     "\tSun, 22 Nov 2026 01:02:03 +0000\r\n"},
    {"name only",
     {.detail = TRACE_HELO,
      .helo = SLICE_INIT("[127.0.0.1]"),
      .client = SLICE_INIT("192.0.2.1"),
      .by = SLICE_INIT("mail.example"),
      .protocol = SLICE_INIT("ESMTP"),
      .at = AT},
     "Received: from [127.0.0.1] by mail.example with ESMTP id 0000000000000;\r\n"
     "\tSun, 22 Nov 2026 01:02:03 +0000\r\n"},
    {"nothing of the client",
     {.detail = TRACE_NONE,
      .helo = SLICE_INIT("laptop.example"),
      .client = SLICE_INIT("192.0.2.1"),
      .by = SLICE_INIT("mail.example"),
      .protocol = SLICE_INIT("ESMTPA"),
      .at = AT},
     "Received: by mail.example with ESMTPA id 0000000000000;\r\n"
     "\tSun, 22 Nov 2026 01:02:03 +0000\r\n"},
    {"IPv6",
     {.detail = TRACE_FULL,
      .helo = SLICE_INIT("a"),
      .client = SLICE_INIT("2001:db8::1"),
      .by = SLICE_INIT("b"),
      .protocol = SLICE_INIT("ESMTP"),
      .at = AT},
     "Received: from a ([IPv6:2001:db8::1]) by b with ESMTP id 0000000000000;\r\n"
     "\tSun, 22 Nov 2026 01:02:03 +0000\r\n"},
    {"local user",
     {.detail = TRACE_FULL,
      .helo = SLICE_INIT("a"),
      .client = SLICE_INIT("uid=1000"),
      .by = SLICE_INIT("b"),
      .protocol = SLICE_INIT("ESMTPA"),
      .at = AT},
     "Received: from a (uid=1000) by b with ESMTPA id 0000000000000;\r\n"
     "\tSun, 22 Nov 2026 01:02:03 +0000\r\n"},
    {"hostile",
     {.detail = TRACE_FULL,
      .helo = SLICE_INIT("a\r\nFrom: x"),
      .client = SLICE_INIT("x)\r\nY: (\\"),
      .by = SLICE_INIT("b"),
      .protocol = SLICE_INIT("ESMTP"),
      .for_ = SLICE_INIT("a\r\nb"),
      .at = AT},
     "Received: from unknown (x???Y: ?\?) by b with ESMTP id 0000000000000;\r\n"
     "\tSun, 22 Nov 2026 01:02:03 +0000\r\n"},
    {"a pair that just does not fit",
     {.detail = TRACE_HELO,
      .helo = SLICE_INIT("x" X58),
      .by = SLICE_INIT("b"),
      .protocol = SLICE_INIT("ESMTP"),
      .at = AT},
     "Received: from x" X58 "\r\n\tby b with ESMTP id 0000000000000;"
     " Sun, 22 Nov 2026 01:02:03 +0000\r\n"},
    {"a pair that just fits",
     {.detail = TRACE_HELO,
      .helo = SLICE_INIT(X58),
      .by = SLICE_INIT("b"),
      .protocol = SLICE_INIT("ESMTP"),
      .at = AT},
     "Received: from " X58 " by b\r\n\twith ESMTP id 0000000000000;"
     " Sun, 22 Nov 2026 01:02:03 +0000\r\n"},
    {"long names",
     {.detail = TRACE_FULL,
      .helo = SLICE_INIT(X60 "." X60),
      .client = SLICE_INIT("192.0.2.1"),
      .by = SLICE_INIT(X60 ".example"),
      .protocol = SLICE_INIT("ESMTP"),
      .for_ = SLICE_INIT("you@" X60 "." X60),
      .at = AT},
     "Received:\r\n\tfrom\r\n\t" X60 "." X60 "\r\n\t([192.0.2.1])\r\n\tby " X60
     ".example\r\n\twith ESMTP id 0000000000000\r\n\tfor\r\n\t<you@" X60 "." X60
     ">;\r\n\tSun, 22 Nov 2026 01:02:03 +0000\r\n"},
};

static void writes_received(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b = BUF_INIT;
        trace_received(&b, &rows[i].facts);
        check_slice(rows[i].name, buf_slice(&b), slice_of(rows[i].want));
        slice in = buf_slice(&b);
        struct header_field f;
        check_int(rows[i].name, header_next(&in, &f), HEADER_FIELD);
        check_int(rows[i].name, (long long)in.len, 0);
        buf_fini(&b);
    }
}

static void writes_date_and_message_id(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    trace_date(&b, AT);
    trace_message_id(&b, 31, SLICE("mail.example"));
    check_slice("both", buf_slice(&b),
                SLICE("Date: Sun, 22 Nov 2026 01:02:03 +0000\r\n"
                      "Message-ID: <000000000000z@mail.example>\r\n"));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_received),
        cmocka_unit_test(writes_date_and_message_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
