"""Disk use: old segments go though a message in them waits; a reader that is down is waited for up
to a bound, then new mail is refused until it is back."""
import os
import re
import signal
import smtplib
import time

from harness import LOGIN, crlf, sample, wait_for

KIB = 1024
SMALL = {"segment-size": "64K", "max-waste": "256K"}


def journal(server, role):
    """The sizes of its segments, oldest first, by the position at which they begin."""
    directory = server.dir / "state/journal" / role
    return {int(f.stem, 16): f.stat().st_size for f in sorted(directory.glob("*.seg"))}


def plain(server):
    """A session that is signed in by its address."""
    session = smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=20)
    session.ehlo()
    return session


def send(session, number, to):
    session.sendmail(LOGIN, [to], crlf(sample(f"number {number}", body="0123456789abcde\n" * 600)))


def by_subject(messages):
    found = {}
    for _, recipients, body in messages:
        number = int(re.search(rb"Subject: number (\d+)", body).group(1))
        found.setdefault(number, []).append((recipients, body))
    return found


def test_mail_that_waits_is_carried_forward(case):
    waits = {"now": True}

    def script(verb, argument, _count):
        return "450 4.2.1 later" if verb == "RCPT" and "slow" in argument and waits["now"] else None
    sink = case.sink(script=script)
    server = case.utpost(clock=True, sections={
        "journal": SMALL,
        "delivery": {"transport": "smarthost", "retry-first": "5m", "retry-longest": "5m"},
        "smarthost": {"host": "127.0.0.1", "port": sink.port, "tls": "none"}})
    server.cli("credential", "add", LOGIN, "--address", "127.0.0.1")
    wait_for("the address credential", lambda: plain(server).mail(LOGIN)[0] == 250)
    total = 0
    with plain(server) as session:
        for number in range(3):
            send(session, number, f"slow{number}@example.net")
        for number in range(3, 200):
            send(session, number, f"r{number}@example.net")
            total += 10 * KIB
    sink.got(197)
    first = min(journal(server, "smtpd"))
    assert first == 0, "the waiting messages are in the first segment"

    def is_small():
        server.advance(15)
        time.sleep(0.2)
        return min(journal(server, "smtpd")) > 0 and \
            sum(journal(server, "smtpd").values()) < 512 * KIB
    wait_for("the old segments to go", is_small, 40)
    assert "carried-forward" in server.log()

    # What was carried is what was accepted: after a kill, to the right ones, once, as it was.
    server.kill_all()
    server.start()
    assert len(server.ask("queue", "list")["messages"]) == 3
    again = server.ask("queue", "list")["messages"]
    assert all("4.2.1" in str(message) for message in again), again
    waits["now"] = False
    for _ in range(3):
        server.advance(310)
        time.sleep(0.3)
    wait_for("the waiting messages", lambda: len(by_subject(sink.messages)) == 200, 30)
    wait_for("the queue to be empty", lambda: not server.ask("queue", "list")["messages"])
    arrived = by_subject(sink.messages)
    assert all(len(copies) == 1 for copies in arrived.values())
    for number in range(3):
        recipients, body = arrived[number][0]
        assert recipients == [f"slow{number}@example.net"]
        want = crlf(sample(f"number {number}", body="0123456789abcde\n" * 600))
        assert body.endswith(want[want.index(b"From: "):]), number
    used = server.ask("usage", LOGIN)
    assert "200" in str(used), used  # carried messages are not counted again

    def is_free():
        server.advance(15)
        time.sleep(0.2)
        return min(journal(server, "delivery")) > 0
    wait_for("delivery's own segments to go", is_free, 40)


def test_a_reader_is_down(case):
    for role in ("control", "delivery"):
        reader_down(case, role)


def reader_down(case, role):
    server = case.utpost(name=f"without-{role}", clock=True, sections={
        "journal": {"segment-size": "64K", "alarm-size": "2M", "max-size": "3M"}})
    server.cli("credential", "add", LOGIN, "--address", "127.0.0.1")
    wait_for("the address credential", lambda: plain(server).mail(LOGIN)[0] == 250)
    pid = server.pids()[role]
    os.kill(pid, signal.SIGSTOP)
    case.at_end(lambda: server.process and os.kill(pid, signal.SIGCONT))
    accepted = 0
    refusal = None
    with plain(server) as session:
        while refusal is None and accepted < 1000:
            try:
                send(session, accepted, "bo@example.net")
                accepted += 1
            except smtplib.SMTPException as refused:
                refusal = refused
            if accepted % 20 == 0:
                server.advance(2)  # the numbers are told once a second
    assert refusal.smtp_code == 452 and b"4.3.1" in refusal.smtp_error, refusal
    assert sum(journal(server, "smtpd").values()) < 4 * KIB * KIB
    server.advance(15)
    wait_for("the alarm", lambda: "event=journal-full journal=smtpd" in server.log())
    assert "event=journal-large journal=smtpd" in server.log()
    if role != "control":
        shown = server.cli("status", check=False).stdout
        assert re.search(rf"FULL: new mail is refused \(kept for {role}\)", shown), shown
        status = server.cli("status", check=False, json_=True).stdout
        assert '"level": "full"' in status and f'"kept_for": "{role}"' in status, status
    os.kill(pid, signal.SIGCONT)

    def takes_mail():
        server.advance(15)
        time.sleep(0.2)
        try:
            with plain(server) as session:
                send(session, accepted, "bo@example.net")
            return True
        except smtplib.SMTPException:
            return False
    wait_for("mail to be taken again", takes_mail, 60)
    server.captured(accepted + 1, 30)

    def is_fine():
        server.advance(15)
        time.sleep(0.2)
        return "event=journal-fine-again journal=smtpd" in server.log()
    wait_for("the end of the alarm", is_fine, 40)
    assert "LARGE" not in server.cli("status").stdout
    server.stop()
