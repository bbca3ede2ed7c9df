"""Notifications: who is told what, as real programs read them."""
import contextlib
import email
import email.policy
import email.utils
import os
import re
import signal
import subprocess
import time

from harness import LOGIN, Wire, crlf, sample, wait_for


def session(server):
    wire = Wire(server.ports["submission"])
    wire.hello()
    assert wire.sign_in()[0] == 235
    return wire


def submit(wire, recipients, subject="dinner", mail="", sender=LOGIN, body="soup\n"):
    """recipients: {address: parameters}. The message's id."""
    wire.expect(f"MAIL FROM:<{sender}>{mail}", 250)
    for address, parameters in recipients.items():
        wire.expect(f"RCPT TO:<{address}>{parameters}", 250)
    wire.expect("DATA", 354)
    wire.send(crlf(sample(subject, body=body)) + b".\r\n")
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


def test_every_notify_with_every_ret(case):
    """What the sender asks for decides whether it is told, and what is returned."""
    sink = case.sink(script=by_name)
    server = case.utpost(sections=smarthost(sink))
    wanted = {"": {"failed"}, "NEVER": set(), "SUCCESS": {"relayed"}, "FAILURE": {"failed"},
              "DELAY": set(), "SUCCESS,FAILURE": {"relayed", "failed"}, "SUCCESS,DELAY": {"relayed"},
              "FAILURE,DELAY": {"failed"}, "SUCCESS,FAILURE,DELAY": {"relayed", "failed"}}
    expected = {}
    with session(server) as wire:
        for notify, actions in wanted.items():
            for ret in ("", "FULL", "HDRS"):
                parameters = f" NOTIFY={notify}" if notify else ""
                id_ = submit(wire, {"dead@example.net": parameters, "live@example.net": parameters},
                             mail=f" RET={ret}" if ret else "", body="the soup is cold\n")
                if actions:
                    expected[id_] = (actions, ret)
    wait_for("all are told", lambda: {d.about["X-Queue-Id"] for d in told(sink)} == set(expected))
    wait_for("an empty queue", lambda: not server.ask("queue", "list")["messages"])
    all_told = told(sink)
    assert len(all_told) == len(expected), "each message gives one notification"
    for dsn in all_told:
        actions, ret = expected[dsn.about["X-Queue-Id"]]
        assert set(dsn.actions().values()) == actions, (dsn.actions(), actions)
        is_whole = ret == "FULL" and "failed" in actions
        assert dsn.original.get_content_type() == \
            ("message/rfc822" if is_whole else "text/rfc822-headers")
        assert ("soup is cold" in dsn.original.as_string()) == is_whole


def told(sink):
    return [Dsn(m) for m in list(sink.messages) if is_dsn(m)]


def test_a_host_with_dsn_is_asked_to_tell(case):
    said = []
    sink = case.sink(script=lambda verb, argument, count: said.append(argument),
                     extensions=("PIPELINING", "8BITMIME", "DSN", "SIZE 0"))
    server = case.utpost(sections=smarthost(sink))
    with session(server) as wire:
        submit(wire, {"live@example.net": " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@example.org"},
               mail=" RET=HDRS ENVID=a+2Bb")
    sink.got()
    assert any("RET=HDRS" in line and "ENVID=a+2Bb" in line for line in said), said
    assert any("NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@example.org" in line for line in said), said
    wait_for("an empty queue", lambda: not server.ask("queue", "list")["messages"])
    assert not told(sink)


def test_capture_is_delivery(case):
    server = case.utpost()
    with session(server) as wire:
        submit(wire, {"bo@example.net": " NOTIFY=SUCCESS", "cy@example.net": ""})
    texts = server.captured(2)
    dsn = next(Dsn(("", [LOGIN], crlf(t.split(b"\n\n", 1)[0] + b"\n\n" + t.split(b"\n\n", 1)[1])))
               for t in texts if b"multipart/report" in t)
    assert dsn.actions() == {"bo@example.net": "delivered"}
    assert dsn.message["Subject"] == "Your mail was delivered"


def test_a_notification_that_fails_ends_there(case):
    def refuse_all(verb, argument, count):
        return "550 5.1.1 nobody here" if verb == "RCPT" else None
    sink = case.sink(script=refuse_all)
    server = case.utpost(sections=smarthost(sink))
    with session(server) as wire:
        id_ = submit(wire, {"dead@example.net": ""})
    wait_for("an empty queue", lambda: not server.ask("queue", "list")["messages"])
    wait_for("the log", lambda: "event=not-reported" in server.log())
    assert sink.counts["RCPT"] == 2, "the mail, its notification, and nothing about that"

    def story():
        return server.cli("trace", id_).stdout
    wait_for("the trace", lambda: "the sender was told that it failed" in story())
    notification = re.search(r"told that it failed \(message (\w+)\)", story()).group(1)
    wait_for("its trace", lambda: "nobody was told that it failed: the message has no sender"
             in server.cli("trace", notification).stdout)
    assert "a notification to the sender of another message" in server.cli("trace", notification).stdout
    shown = server.ask("trace", id_)["messages"][0]["recipients"][0]["reports"]
    assert [(r["report"], r["notification"]) for r in shown] == [("failed", notification)], shown


def test_in_the_language_of_the_account(case):
    sink = case.sink(script=by_name)
    server = case.utpost(sections=smarthost(sink))
    server.cli("account", "set", LOGIN, "--language", "sv")
    with session(server) as wire:
        submit(wire, {"dead@example.net": ""}, subject="=?utf-8?Q?sm=C3=B6rg=C3=A5s?=")
    dsn = notifications(sink, 1)[0]
    assert dsn.message["Subject"] == "Ditt brev kunde inte levereras"
    swedish, english = dsn.text.split("-- English --")
    assert "INTE levereras" in swedish and "smörgås" in swedish, swedish
    assert "NOT be delivered" in english and "no such user here" in english


def test_a_mail_program_reads_it(case):
    sink = case.sink(script=by_name)
    server = case.utpost(sections=smarthost(sink))
    with session(server) as wire:
        submit(wire, {"dead@example.net": " NOTIFY=FAILURE"}, mail=" RET=FULL", body="cold soup\n")
    file = case.dir / "dsn.eml"
    file.write_bytes(notifications(sink, 1)[0].raw)

    def mblaze(*command):
        return subprocess.run([*command, file], capture_output=True, text=True, check=True).stdout
    parts = mblaze("mshow", "-t")
    for kind in ("multipart/report", "text/plain", "message/delivery-status", "message/rfc822"):
        assert kind in parts, parts
    shown = mblaze("mshow")
    assert "It could NOT be delivered to:" in shown and "no such user here" in shown, shown
    assert mblaze("mhdr", "-h", "subject").strip() == "Your mail could not be delivered"
    returned = re.search(r"(\d+): message/rfc822", parts).group(1)
    whole = subprocess.run(["mshow", "-O", file, returned], capture_output=True, text=True, check=True)
    assert "cold soup" in whole.stdout, whole


def test_patience_of_an_account(case):
    """Warned and given up as its account says, the others as the server does."""
    sink = case.sink(script=by_name)
    server = case.utpost(sections=smarthost(sink), clock=True)
    server.cli("account", "set", LOGIN, "--warn-after", "1h", "--expire-after", "12h")
    server.add_account("usual@example.com")
    hour = 3600

    def tell(count):
        wait_for(f"{count} notifications", lambda: len(told(sink)) >= count)
        return told(sink)[count - 1]
    with session(server) as wire:
        submit(wire, {"slow@example.net": "", "slow2@example.net": " NOTIFY=FAILURE"})
    with server.smtp(login="usual@example.com") as s:
        s.sendmail("usual@example.com", ["slow@example.org"], crlf(sample(sender="usual@example.com")))
    wait_for("a first attempt of each",
             lambda: all(r["attempts"] for m in server.ask("queue", "list")["messages"]
                         for r in server.ask("queue", "show", m["id"])["recipients"]))
    server.advance(hour - 60)
    time.sleep(2.5)  # two rounds of looking
    assert not told(sink)
    server.advance(120)
    late = tell(1)
    assert late.actions() == {"slow@example.net": "delayed"} and late.recipients == [LOGIN]
    assert late.message["Subject"] == "Your mail is delayed"
    group = late.groups["slow@example.net"]
    assert group["Status"].startswith("4.") and "come back later" in group["Diagnostic-Code"]
    until = email.utils.parsedate_to_datetime(group["Will-Retry-Until"])
    accepted = email.utils.parsedate_to_datetime(late.about["Arrival-Date"])
    assert (until - accepted).total_seconds() == 12 * hour
    server.advance(3 * hour)
    assert tell(2).recipients == ["usual@example.com"] and \
        tell(2).actions() == {"slow@example.org": "delayed"}
    for _ in range(9):
        server.advance(hour)
        time.sleep(0.3)
    gone = tell(3)
    assert gone.recipients == [LOGIN]
    assert gone.actions() == {"slow@example.net": "failed", "slow2@example.net": "failed"}
    assert gone.groups["slow@example.net"]["Status"] == "5.4.7"
    left = server.ask("queue", "list")["messages"]
    assert [m["from"] for m in left] == ["usual@example.com"], left
    assert len(told(sink)) == 3


def test_killed_while_telling(case):
    """kill -9 of delivery again and again: every sender is told of every failure, by one
    notification; that may be transmitted again as any mail may, and is never written anew."""
    ids = {}
    sink = case.sink(script=by_name)
    server = case.utpost(sections=smarthost(sink))

    def kill():
        pid = server.pids().get("delivery")
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    for round_ in range(6):
        with session(server) as wire:
            for i in range(40):
                id_ = submit(wire, {f"dead{k}.{round_}.{i}@example.net": "" for k in range(3)})
                ids[id_] = {f"dead{k}.{round_}.{i}@example.net" for k in range(3)}
                if i % 13 == 7:
                    kill()
    wait_for("an empty queue", lambda: not server.cli("queue", "list", check=False).returncode and
             not server.ask("queue", "list")["messages"], 60)
    by_original = {}
    for dsn in told(sink):
        by_original.setdefault(dsn.about["X-Queue-Id"], []).append(dsn)
    assert set(by_original) == set(ids), "somebody was not told, or told of what never was"
    again = 0
    for id_, all_of_it in by_original.items():
        again += len(all_of_it) - len({d.message["Message-ID"] for d in all_of_it})
        named = [a for d in {d.message["Message-ID"]: d for d in all_of_it}.values() for a in d.groups]
        assert sorted(named) == sorted(ids[id_]), (named, ids[id_])
    print(f"     {len(ids)} messages, {again} notifications were transmitted again")
