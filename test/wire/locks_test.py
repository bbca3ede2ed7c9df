"""Locks: who is locked, with the evidence."""
import smtplib
import time

from harness import LOGIN, wait_for

OTHER = "bo@example.com"


def message(subject="locks", sender=LOGIN):
    return f"From: {sender}\r\nSubject: {subject}\r\n\r\nHello\r\n"


def lock_by_rule(server, count=3):
    """Sends until the rule locks."""
    server.cli("rule", "add", f"account messages {count}/30m lock", "--account", LOGIN)
    with server.smtp() as s:
        for n in range(count):
            s.sendmail(LOGIN, [f"r{n}@example.net", "all@example.org"],
                       message("=?utf-8?q?K=C3=B6p_nu?="))
        try:
            s.sendmail(LOGIN, ["last@example.net"], message())
        except smtplib.SMTPDataError as e:
            assert e.smtp_code == 550, e
            return
    raise AssertionError("the rule did not lock")


def locks(server, *options):
    return server.ask("lock", "list", *options)["locks"]


def the_lock(server, *options):
    return wait_for("a lock in the ledger", lambda: locks(server, *options))[0]


def evidence(server, lock_id):
    return wait_for("the evidence", lambda: server.ask("lock", "show", lock_id)["evidence"])


def values(evidence, kind):
    return {e["value"]: e["count"] for e in evidence[kind]}


def test_a_lock_by_rule_and_its_evidence(case):
    server = case.utpost()
    lock_by_rule(server)
    lock = the_lock(server)
    assert lock["kind"] == "rule" and lock["name"] == LOGIN and lock["holds"], lock
    assert lock["rule"] == "account messages 3/30m lock" and lock["used"] == 4, lock
    found = evidence(server, lock["id"])
    assert found["messages"] == 3 and found["recipients"] == 6, found
    assert values(found, "clients") == {"127.0.0.1": 3}, found
    assert values(found, "subjects") == {"Köp nu": 3}, found
    assert values(found, "domains") == {"example.net": 3, "example.org": 3}, found
    assert values(found, "sample_recipients")["all@example.org"] == 3, found
    assert list(values(found, "credentials")) == ["1"] and found["helo"], found
    text = server.cli("lock", "show", lock["id"]).stdout
    assert "4 messages, and 3 are allowed in 30 minutes" in text and "Köp nu: 3 messages" in text, text

    server.cli("account", "unlock", LOGIN)
    wait_for("the lock's end", lambda: not locks(server))
    lock, = locks(server, "--all", "--account", LOGIN)
    assert lock["ended"]["why"] == "unlock" and lock["ended"]["by"] == "uid=0", lock


def test_operators_locks(case):
    server = case.utpost()
    server.cli("account", "lock", LOGIN, "--reason", "hijacked")
    lock = the_lock(server)
    assert lock["kind"] == "operator" and lock["by"] == "uid=0" and lock["reason"] == "hijacked", lock
    server.kill_all()
    server.start()
    assert [k["id"] for k in locks(server)] == [lock["id"]]
    server.cli("customer", "lock", "example", "--for", "1h")
    wait_for("both locks", lambda: len(locks(server)) == 2)
    assert len(locks(server, "--account", LOGIN)) == 2
    server.cli("account", "unlock", LOGIN)
    server.cli("customer", "unlock", "example")
    wait_for("their ends", lambda: not locks(server))
    assert [k["ended"]["why"] for k in locks(server, "--all")] == ["unlock", "unlock"]
