"""Every refusal, as a client sees it: the right code, and a text that says what to do."""
import base64
import re
import statistics
import time

from harness import LOGIN, PASSWORD, Wire, crlf, sample, wait_for


def session(server, port="submission", sign_in=True):
    wire = Wire(server.ports[port], tls=port == "submissions")
    wire.hello()
    if sign_in:
        assert wire.sign_in()[0] == 235
    return wire


def expect(got, code, enhanced, *words):
    """The code, the enhanced code, and words that the text must have."""
    assert got[0] == code, f"{got}, not {code}"
    assert got[1].startswith(enhanced + " "), f"{got}, not {enhanced}"
    for word in words:
        assert word.lower() in got[1].lower(), f"{word!r} is not in {got}"


def send(wire, message, sender=LOGIN, to="bo@example.net"):
    wire.expect(f"MAIL FROM:<{sender}>", 250)
    wire.expect(f"RCPT TO:<{to}>", 250)
    wire.expect("DATA", 354)
    wire.send(stuffed(message) + b"\r\n.\r\n")
    return wire.reply()


def stuffed(message):
    return re.sub(rb"(^|\n)\.", rb"\1..", message)


def test_commands_and_paths(case):
    server = case.utpost(sections={"submission": {"max-recipients": "3", "max-message-size": "20k"}})
    with session(server) as wire:
        expect(wire.command("FROBNICATE"), 500, "5.5.2", "command")
        expect(wire.command("DATA"), 503, "5.5.1", "MAIL")
        expect(wire.command("RCPT TO:<bo@example.net>"), 503, "5.5.1", "MAIL")
        expect(wire.command("MAIL FROM:anna"), 501, "5.1.7", "<")
        expect(wire.command(f"MAIL FROM:<{LOGIN}> SIZE=999999"), 552, "5.3.4", "20480")
        expect(wire.command(f"MAIL FROM:<{LOGIN}> FOO=1"), 555, "5.5.4", "FOO")
        wire.expect(f"MAIL FROM:<{LOGIN}>", 250)
        expect(wire.command("RCPT TO:<bo@@example>"), 501, "5.1.3", "<")
        for i in range(3):
            wire.expect(f"RCPT TO:<r{i}@example.net>", 250)
        expect(wire.command("RCPT TO:<r3@example.net>"), 452, "4.5.3", "3")
        wire.expect("RSET", 250)
        expect(send(wire, crlf(sample(body="x" * 70 + "\n") * 1) + b"y" * 60 + b"\r\n" * 12_000),
               552, "5.3.4", "20480")
        wire.expect("NOOP", 250)


def test_sign_in(case):
    server = case.utpost()
    with Wire(server.ports["submission"]) as wire:
        assert "AUTH" not in wire.hello(tls=False)
        expect(wire.command("MAIL FROM:<anna@example.com>"), 530, "5.7.0", "TLS")
        word = base64.b64encode(f"\0{LOGIN}\0{PASSWORD}".encode()).decode()
        expect(wire.command(f"AUTH PLAIN {word}"), 538, "5.7.11", "STARTTLS")
        wire.start_tls()
        assert "AUTH" in wire.expect("EHLO client.example.com", 250)
        expect(wire.command("MAIL FROM:<anna@example.com>"), 530, "5.7.0", "sign in")
        expect(wire.sign_in(password="wrong"), 535, "5.7.8", "password")
        expect(wire.sign_in(login="nobody@example.com"), 535, "5.7.8", "password")
        assert wire.sign_in()[0] == 235


def test_unknown_account_takes_as_long_as_a_wrong_password(case):
    """Medians of several tries each, alternating; far apart only if one of them skips the work."""
    server = case.utpost(sections={"submission": {"max-auth-failures": "100"}})
    times = {LOGIN: [], "nobody@example.com": []}
    with session(server, sign_in=False) as wire:
        for _ in range(9):
            for login, taken in times.items():
                started = time.perf_counter()
                assert wire.sign_in(login=login, password="wrong")[0] == 535
                taken.append(time.perf_counter() - started)
    known, unknown = (statistics.median(taken) for taken in times.values())
    assert 0.5 < known / unknown < 2, (known, unknown)


def test_failed_sign_ins_are_slowed(case):
    server = case.utpost(sections={"submission": {"auth-delay": "200ms", "max-auth-failures": "10"}})
    with session(server, sign_in=False) as wire:
        taken = []
        for _ in range(3):
            started = time.monotonic()
            assert wire.sign_in(password="wrong")[0] == 535
            taken.append(time.monotonic() - started)
    assert taken[0] >= 0.2 and taken[1] >= 0.4 and taken[2] >= 0.8, taken


def test_locked_account(case):
    server = case.utpost()
    with session(server) as wire:
        server.cli("account", "lock", LOGIN, "--reason", "looks hijacked")
        wait_for("the lock to hold in the session",
                 lambda: wire.command(f"MAIL FROM:<{LOGIN}>")[0] == 550 or
                 (wire.command("RSET") and False))
    with session(server, sign_in=False) as wire:
        expect(wire.sign_in(), 525, "5.7.13", "looks hijacked")
        expect(wire.sign_in(password="wrong"), 535, "5.7.8")
    server.cli("account", "unlock", LOGIN)
    wait_for("the unlock", lambda: Wire_signs_in(server) == 235)
    server.cli("account", "lock", LOGIN, "--for", "1h")
    wait_for("the timed lock", lambda: Wire_signs_in(server) == 454)


def Wire_signs_in(server):
    with session(server, sign_in=False) as wire:
        return wire.sign_in()[0]


def test_sender_not_permitted(case):
    server = case.utpost(account=False)
    server.add_account(LOGIN, PASSWORD, "example", "--senders", "domains", "--sender", "example.com")
    with session(server) as wire:
        expect(wire.command("MAIL FROM:<eve@example.org>"), 553, "5.7.1", "example.com")
        expect(send(wire, crlf(sample(sender="eve@example.org"))), 550, "5.7.1", "eve@example.org")
        two = sample().replace(b"Subject:", b"From: <eve@example.org>\nSubject:")
        expect(send(wire, crlf(two)), 550, "5.6.0", "From")
        ambiguous = sample().replace(b"From: =?utf-8?q?Anna_=C3=85?= <", b"From: eve@example.org <")
        expect(send(wire, crlf(ambiguous)), 550, "5.6.0", "From")
        both = sample().replace(f"<{LOGIN}>\n".encode(), f"<{LOGIN}>, <eve@example.org>\n".encode(), 1)
        expect(send(wire, crlf(both)), 550, "5.7.1", "eve@example.org")
        quoted = sample().replace(b"From: =?utf-8?q?Anna_=C3=85?=",
                                  b'From: "eve@example.org, <eve@example.org>"')
        assert send(wire, crlf(quoted))[0] == 250


def test_bare_line_feed(case):
    server = case.utpost()
    with session(server) as wire:
        expect(send(wire, b"Subject: x\r\n\r\none\ntwo"), 554, "5.6.0", "CRLF")
        expect(send(wire, b"Subject: x\r\n\r\none\rtwo"), 554, "5.6.0", "CRLF")
        expect(send(wire, b"Subject: x\r\n\r\none\0two"), 554, "5.6.0", "NUL")
        # What looks like an end of data to a lenient server is none.
        wire.expect(f"MAIL FROM:<{LOGIN}>", 250)
        wire.expect("RCPT TO:<bo@example.net>", 250)
        wire.expect("DATA", 354)
        wire.send(stuffed(crlf(sample())) + b"x\n.\nMAIL FROM:<smuggled@example.com>\r\n.\r\n")
        expect(wire.reply(), 554, "5.6.0", "CRLF")
        wire.expect("NOOP", 250)
    assert not server.ask("queue", "list")["messages"]


def test_no_space(case):
    server = case.utpost(sections={"submission": {"min-free-space": "1000000G"}})
    with session(server) as wire:
        wire.expect(f"MAIL FROM:<{LOGIN}>", 250)
        wire.expect("RCPT TO:<bo@example.net>", 250)
        expect(wire.command("DATA"), 452, "4.3.1", "later")


def test_too_many_sessions(case):
    server = case.utpost(sections={"submission": {"max-sessions-per-address": "3",
                                                  "max-sessions-per-account": "2"}})
    def settled():
        return server.ask("status")["mail"]["sessions_open"] == 0
    wait_for("earlier sessions to be gone", settled)
    with session(server), session(server) as second:
        with session(server, sign_in=False) as third:
            expect(third.sign_in(), 421, "4.7.0", "connections")
        second.expect("QUIT", 221)
        wait_for("room", lambda: server.ask("status")["mail"]["sessions_open"] == 1)
        with session(server, sign_in=False), session(server, sign_in=False), \
                Wire(server.ports["submission"]) as last:
            expect(last.reply(), 421, "4.7.0", "connections")


def test_one_byte_does_not_reset_a_deadline(case):
    server = case.utpost(sections={"submission": {"command-timeout": "2s"}})
    with Wire(server.ports["submission"]) as wire:
        assert wire.reply()[0] == 220
        started = time.monotonic()
        wire.sock.settimeout(0.4)
        wire.file.close()
        answer = b""
        while not answer:
            wire.send("N")
            try:
                answer = wire.sock.recv(100)
            except TimeoutError:
                pass
            assert time.monotonic() - started < 10, "still open"
        assert answer.startswith(b"421 4.4.2"), answer
        assert time.monotonic() - started > 1.5


def test_starttls_with_bytes_behind_it(case):
    server = case.utpost()
    with Wire(server.ports["submission"]) as wire:
        wire.hello(tls=False)
        wire.send("STARTTLS\r\nNOOP\r\n")
        code, text = wire.reply()
        assert code // 100 in (4, 5), (code, text)
        assert wire.reply() == (0, ""), "the bytes behind it were executed"
