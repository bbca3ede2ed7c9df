"""Notifications: who is told what, as real programs read them."""
import email
import email.policy
import re
import time

from harness import LOGIN, Wire, crlf, sample, wait_for


def session(server):
    wire = Wire(server.ports["submission"])
    wire.hello()
    assert wire.sign_in()[0] == 235
    return wire


def submit(wire, recipients, subject="dinner", mail="", sender=LOGIN, body=None):
    """recipients: {address: parameters}. The message's id."""
    wire.expect(f"MAIL FROM:<{sender}>{mail}", 250)
    for address, parameters in recipients.items():
        wire.expect(f"RCPT TO:<{address}>{parameters}", 250)
    wire.expect("DATA", 354)
    wire.send(crlf(sample(subject, body=body)) + b"\r\n.\r\n")
    code, text = wire.reply()
    assert code == 250, text
    return text.rsplit(" ", 1)[1]


class Dsn:
    """One as Python's email package reads it."""

    def __init__(self, envelope):
        self.sender, self.recipients, self.raw = envelope
        self.message = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert not list(self.message.defects), self.message.defects
        assert self.message.get_content_type() == "multipart/report"
        assert self.message["Content-Type"].params["report-type"] == "delivery-status"
        parts = list(self.message.iter_parts())
        self.human, self.status = parts[0], parts[1]
        self.original = parts[2] if len(parts) > 2 else None
        assert self.human.get_content_type() == "text/plain"
        assert self.status.get_content_type() == "message/delivery-status"
        self.text = self.human.get_content()
        blocks = self.status.get_payload()
        self.about = blocks[0]
        self.groups = {g["Final-Recipient"].split(";")[1].strip(): g for g in blocks[1:]}

    def actions(self):
        return {address: group["Action"] for address, group in self.groups.items()}


def is_dsn(envelope):
    return envelope[0] == ""


def smarthost(sink, **delivery):
    return {"delivery": {"transport": "smarthost", **delivery},
            "smarthost": {"host": "127.0.0.1", "port": str(sink.port), "tls": "none"}}


def by_name(verb, argument, count):
    """The host refuses dead…, and puts off slow…."""
    if verb == "RCPT" and "<dead" in argument:
        return "550 5.1.1 no such user here"
    if verb == "RCPT" and "<slow" in argument:
        return "450 4.2.0 come back later"
    return None


def notifications(sink, count, seconds=20):
    wait_for(f"{count} notifications",
             lambda: len([m for m in sink.messages if is_dsn(m)]) >= count, seconds)
    return [Dsn(m) for m in sink.messages if is_dsn(m)]


def test_a_failure_is_told(case):
    sink = case.sink(script=by_name)
    server = case.utpost(sections=smarthost(sink))
    with session(server) as wire:
        id_ = submit(wire, {"dead1@example.net": "", "live@example.net": "",
                            "dead2@example.net": " ORCPT=rfc822;first@example.org"},
                     mail=" ENVID=trip+2B7")
    dsn = notifications(sink, 1)[0]
    assert dsn.recipients == [LOGIN]
    assert dsn.message["To"] == LOGIN and dsn.message["Auto-Submitted"] == "auto-replied"
    assert dsn.message["Subject"] == "Your mail could not be delivered"
    assert dsn.actions() == {"dead1@example.net": "failed", "dead2@example.net": "failed"}
    assert dsn.about["Reporting-MTA"] == "dns; out.example.com"
    assert dsn.about["Original-Envelope-Id"] == "trip+7"
    assert dsn.about["X-Queue-Id"] == id_
    dead = dsn.groups["dead2@example.net"]
    assert dead["Original-Recipient"] == "rfc822; first@example.org" or \
        dead["Original-Recipient"] == "rfc822;first@example.org"
    assert dead["Status"] == "5.1.1" and dead["Remote-MTA"] == "dns; 127.0.0.1", dead.as_string()
    assert dead["Diagnostic-Code"] == "smtp; 550 no such user here"
    assert "NOT be delivered" in dsn.text and "no such user here" in dsn.text
    assert dsn.original.get_content_type() == "text/rfc822-headers"
    assert "Subject: dinner" in dsn.original.get_payload()
    wait_for("the queue is empty", lambda: not server.ask("queue", "list")["messages"])


def test_a_crowd_of_dead_recipients_gives_one_notification(case):
    sink = case.sink(script=by_name)
    server = case.utpost(sections={**smarthost(sink), "submission": {"max-recipients": "6000"}})
    with session(server) as wire:
        submit(wire, {f"dead{i}@example.net": "" for i in range(5000)})
    dsn = notifications(sink, 1, 60)[0]
    assert len(dsn.groups) == 5000
    assert "and 4980 more" in dsn.text
    wait_for("nothing is left", lambda: not server.ask("queue", "list")["messages"])
    assert len(notifications(sink, 1)) == 1
