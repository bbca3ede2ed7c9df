"""The ledger: what happened to every message, asked with the command."""
import email.utils
import http.client
import json
import os
import pathlib
import re
import signal

from harness import LOGIN, crlf, free_port, sample, wait_for


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
    """The one message of the trace that is no notification, once its recipients are in these
    states."""
    found = []

    def there():
        answer = server.cli("trace", query, check=False, json_=True)
        if answer.returncode:
            return False
        found[:] = [m for m in json.loads(answer.stdout)["messages"] if m["from"]]
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
                      ["messages"] if m["from"]] == [1, 1, 1])
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
    assert erased == {"recipients": 1, "senders": 0, "errors": 1, "evidence": 0}, erased
    assert server.cli("trace", "nobody@example.net", check=False).returncode == 1
    assert [r["address"] for r in trace(server, whole["id"], ["delivered"])["recipients"]] == ["bo@example.net"]
    assert not server.ask("errors", LOGIN)["errors"]
    for path in (server.dir / "state" / "control").glob("ledger.db*"):
        assert b"nobody@example.net" not in path.read_bytes(), path
    assert re.search(r"Recipients:? +0", server.cli("erase", "nobody@example.net").stdout)


def fetch(port, path, token=None, method="GET", body=None):
    """Status, answer and headers over TCP."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, dict(answer.getheaders())


def test_tokens_over_tcp(case):
    port = free_port()
    server = case.utpost(sections={"api": {"listen": f"127.0.0.1:{port}"}})
    server.add_account("bo@example.com")
    with server.smtp() as s:
        s.sendmail(LOGIN, ["cy@example.net"], crlf(sample()))
    server.captured()
    for token in (None, "x" * 26, "' OR 1=1"):
        status, text, headers = fetch(port, "/v1/status", token)
        assert status == 401 and json.loads(text)["error"]["hint"] and headers["WWW-Authenticate"] == "Bearer", text
    admin, read, mine = (server.ask("token", "add", scope)["token"] for scope in
                         ("admin", "read", f"account:{LOGIN}"))
    bo = server.ask("token", "add", "account:bo@example.com", "--label", "Bo's")["token"]
    assert fetch(port, "/v1/status", read)[0] == fetch(port, "/v1/status", admin)[0] == 200
    assert fetch(port, "/v1/status", mine)[0] == 403
    assert fetch(port, "/v1/tokens", read)[0] == 403
    assert fetch(port, "/v1/customers", read, "POST", '{"name": "x"}')[0] == 403
    assert fetch(port, "/v1/customers", admin, "POST", '{"name": "x"}')[0] == 201
    wait_for("the message in the ledger",
             lambda: fetch(port, "/v1/trace?q=cy@example.net", mine)[0] == 200)
    assert len(json.loads(fetch(port, "/v1/messages", mine)[1])["messages"]) == 1
    assert json.loads(fetch(port, "/v1/messages", bo)[1])["messages"] == []
    assert fetch(port, "/v1/trace?q=cy@example.net", bo)[0] == 404
    for path in (f"/v1/messages?account={LOGIN}", f"/v1/trace?q=cy@example.net&account={LOGIN}",
                 f"/v1/accounts/{LOGIN}/usage", f"/v1/accounts/{LOGIN}/errors",
                 "/v1/accounts/nobody/errors"):
        assert fetch(port, path, bo)[0] == 403, path
        assert fetch(port, path, mine)[0] == (403 if "nobody" in path else 200), path
    tokens = server.ask("token", "list")["tokens"]
    assert [t["scope"] for t in tokens] == ["admin", "read", f"account:{LOGIN}", "account:bo@example.com"], tokens
    for path in (server.dir / "state" / "control").glob("directory.db*"):
        assert admin.encode() not in path.read_bytes(), path
    server.cli("token", "revoke", tokens[0]["id"])
    assert fetch(port, "/v1/status", admin)[0] == 401
    server.cli("account", "remove", "bo@example.com")
    assert fetch(port, "/v1/messages", bo)[0] == 401
    wrong = server.cli("token", "add", "everything", check=False)
    assert wrong.returncode == 1 and "account:LOGIN" in wrong.stderr, wrong


def test_metrics(case):
    port = free_port()
    server = case.utpost(sections={"api": {"listen": f"127.0.0.1:{port}"}})
    token = server.ask("token", "add", "read")["token"]
    with server.smtp() as s:
        s.sendmail(LOGIN, ["cy@example.net"], crlf(sample()))
    server.captured()

    def numbers():
        status, text, headers = fetch(port, "/metrics", token)
        assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        assert all(re.fullmatch(r'utpost_[a-z_]+(\{[a-z]+="[^"]+"\})? [0-9]+', line) for line in lines), text
        return dict(line.rsplit(" ", 1) for line in lines)
    wait_for("the message in the metrics and in the ledger", lambda: (
        numbers()["utpost_messages_accepted_total"] == "1" and numbers()["utpost_delivered_total"] == "1"
        and numbers()["utpost_ledger_up"] == "1"
        and numbers()['utpost_ledger_behind_octets{journal="smtpd"}'] == "0"))
    documented = (pathlib.Path(__file__).parents[2] / "docs/operations.md").read_text()
    for name in numbers():
        assert name.split("{")[0] in documented, name


def test_the_openapi_document_is_served(case):
    port = free_port()
    server = case.utpost(sections={"api": {"listen": f"127.0.0.1:{port}"}})
    token = server.ask("token", "add", "read")["token"]
    served = json.loads(fetch(port, "/v1/openapi.json", token)[1])
    kept = json.loads((pathlib.Path(__file__).parents[2] / "docs/openapi.json").read_text())
    assert served == kept and "/v1/trace" in served["paths"], served
