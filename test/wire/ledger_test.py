"""The ledger: what happened to every message, asked with the command."""
import email.utils
import json
import os
import re
import signal

from harness import LOGIN, crlf, sample, wait_for


def script(verb, argument, _count):
    if verb != "RCPT":
        return None
    if "nobody@" in argument:
        return "550 5.1.1 no such user here"
    if "later@" in argument:
        return "451 4.7.1 greylisted, come back"
    return None


def relaying(case, **sections):
    sink = case.sink(script=script)
    server = case.utpost(sections={"delivery": {"transport": "smarthost"},
                                   "smarthost": {"host": "127.0.0.1", "port": sink.port, "tls": "none"},
                                   **sections})
    return server, sink


def trace(server, query, wanted):
    """The one message of the trace, once its recipients are in these states."""
    found = []

    def there():
        answer = server.cli("trace", query, check=False, json_=True)
        if answer.returncode:
            return False
        found[:] = json.loads(answer.stdout)["messages"]
        return found and sorted(r["state"] for r in found[0]["recipients"]) == sorted(wanted)
    wait_for(f"{query} to be {wanted}", there)
    return found[0]


def test_a_message_is_traced(case):
    server, sink = relaying(case)
    with server.smtp() as s:
        s.sendmail(LOGIN, ["bo@example.net", "nobody@example.net", "later@example.net"], crlf(sample()))
    sink.got()
    message_id = email.utils.make_msgid()
    seen = trace(server, "nobody@example.net", ["failed"])
    whole = trace(server, seen["id"], ["delivered", "failed", "queued"])
    assert whole["login"] == LOGIN and whole["from"] == LOGIN and whole["client"].startswith("127.0.0.1"), whole
    assert whole["tls"] and whole["helo"] and whole["protocol"] == "ESMTPSA", whole
    by_name = {r["address"]: r for r in whole["recipients"]}
    failed = by_name["nobody@example.net"]["tries"][0]
    assert failed["code"] == 550 and "no such user here" in failed["reply"], failed
    assert "127.0.0.1" in failed["remote"], failed
    assert by_name["later@example.net"]["next"], by_name
    assert trace(server, whole["message_id"], ["delivered", "failed", "queued"])["id"] == whole["id"]
    assert trace(server, whole["message_id"].strip("<>"), ["delivered", "failed", "queued"])
    text = server.cli("trace", whole["id"]).stdout
    for part in ("bo@example.net: delivered", "nobody@example.net: failed for good",
                 "this address does not exist", "later@example.net: waiting to be tried again",
                 "it said: 451 greylisted", "Next: it is tried again at", "To do:"):
        assert part in text, (part, text)
    none = server.cli("trace", message_id, check=False)
    assert none.returncode == 1 and "No message is known" in none.stderr, none


def test_lists_and_use(case):
    server, _ = relaying(case)
    for _ in range(3):
        with server.smtp() as s:
            s.sendmail(LOGIN, ["bo@example.net", "nobody@example.net"], crlf(sample()))
    wait_for("three messages in the list",
             lambda: [m["failed"] for m in server.ask("messages", "list", "--account", LOGIN, "--since", "1h")
                      ["messages"]] == [1, 1, 1])
    for by in ("day", "hour", "minute"):
        use = server.ask("usage", LOGIN, "--by", by)["usage"]
        total = {key: sum(u[key] for u in use) for key in ("messages", "recipients", "delivered", "failed")}
        assert total == {"messages": 3, "recipients": 6, "delivered": 3, "failed": 3}, (by, use)
        assert sum(u["octets"] for u in use) > 300, use
    assert "OCTETS" in server.cli("usage", LOGIN).stdout
    errors = server.ask("errors", LOGIN)["errors"]
    assert [(e["address"], e["count"], e["code"]) for e in errors] == [("nobody@example.net", 3, 550)], errors
    assert "does not exist" in server.cli("errors", LOGIN).stdout
    wrong = server.cli("usage", "nobody@here", check=False)
    assert wrong.returncode == 1 and "no account" in wrong.stderr, wrong


def test_nothing_is_lost_or_counted_twice_when_control_dies(case):
    server, _ = relaying(case)

    def kill_control():
        wait_for("control to run", lambda: "control" in server.pids())
        os.kill(server.pids()["control"], signal.SIGKILL)

    with server.smtp() as s:
        for n in range(200):
            s.sendmail(LOGIN, ["bo@example.net"], crlf(sample(subject=f"n{n}")))
            if n % 50 == 25:
                kill_control()

    def use():
        answer = server.cli("usage", LOGIN, check=False, json_=True)
        if answer.returncode:
            return None
        return [(u["messages"], u["delivered"]) for u in json.loads(answer.stdout)["usage"]]
    wait_for("all to be in the ledger", lambda: use() == [(200, 200)], seconds=30)
    server.stop()
    server.start()
    with server.smtp() as s:
        s.sendmail(LOGIN, ["bo@example.net"], crlf(sample()))
    wait_for("one more", lambda: use() == [(201, 201)])


def test_an_address_is_erased(case):
    server, _ = relaying(case)
    with server.smtp() as s:
        s.sendmail(LOGIN, ["bo@example.net", "nobody@example.net"], crlf(sample()))
    whole = trace(server, LOGIN, ["delivered", "failed"])
    erased = server.ask("erase", "nobody@example.net")
    assert erased == {"recipients": 1, "senders": 0, "errors": 1}, erased
    assert server.cli("trace", "nobody@example.net", check=False).returncode == 1
    assert [r["address"] for r in trace(server, whole["id"], ["delivered"])["recipients"]] == ["bo@example.net"]
    assert not server.ask("errors", LOGIN)["errors"]
    for path in (server.dir / "state" / "control").glob("ledger.db*"):
        assert b"nobody@example.net" not in path.read_bytes(), path
    assert re.search(r"Recipients:? +0", server.cli("erase", "nobody@example.net").stdout)
