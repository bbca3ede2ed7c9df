"""The command `utpost`, as an operator uses it."""
import json

from harness import LOGIN, crlf, sample, wait_for


def test_customers_and_accounts(case):
    server = case.utpost(account=False)
    server.cli("customer", "add", "example")
    server.cli("account", "add", LOGIN, "--customer", "example", "--senders", "domains",
               "--sender", "example.com", "--max-recipients", "7")
    account = server.ask("account", "show", LOGIN)
    assert account["login"] == LOGIN and account["max_recipients"] == 7, account
    server.cli("account", "set", LOGIN, "--max-recipients", "9")
    assert server.ask("account", "show", LOGIN)["max_recipients"] == 9
    assert LOGIN in server.cli("account", "list").stdout
    again = server.cli("account", "add", LOGIN, "--customer", "example", check=False)
    assert again.returncode == 1 and "already" in again.stderr, again
    missing = server.cli("account", "add", "x@example.com", "--customer", "nobody", check=False)
    assert missing.returncode == 1 and "nobody" in missing.stderr, missing
    secret = server.ask("credential", "add", LOGIN, "--label", "phone")["secret"]
    with server.smtp(password=secret) as s:
        s.sendmail(LOGIN, ["bo@example.net"], crlf(sample()))
    credentials = server.ask("credential", "list", LOGIN)["credentials"]
    assert [c["label"] for c in credentials] == ["phone"] and secret not in json.dumps(credentials)
    server.cli("credential", "revoke", credentials[0]["id"])

    def refused():
        try:
            server.smtp(password=secret).quit()
        except Exception:
            return True
        return False
    wait_for("the credential to be gone", refused)
    server.cli("account", "remove", LOGIN)
    server.cli("customer", "remove", "example")
    assert not server.ask("customer", "list")["customers"]


def test_queue(case):
    server = case.utpost(sections={"delivery": {"hold": "yes"}})
    with server.smtp() as s:
        s.sendmail(LOGIN, ["bo@example.net", "cy@example.net"], crlf(sample()))
    message = server.ask("queue", "list")["messages"][0]
    assert message["from"] == LOGIN, message
    shown = server.ask("queue", "show", message["id"])
    assert [r["address"] for r in shown["recipients"]] == ["bo@example.net", "cy@example.net"], shown
    assert "bo@example.net" in server.cli("queue", "show", message["id"]).stdout
    none = server.cli("queue", "show", "0000000000000", check=False)
    assert none.returncode == 1 and none.stderr, none


def test_a_failed_recipient_leaves_the_queue_when_it_was_reported(case):
    sink = case.sink(script=lambda verb, argument, count:
                     "550 5.1.1 no such user" if verb == "RCPT" and "nobody@" in argument else None)
    server = case.utpost(sections={"delivery": {"transport": "smarthost"},
                                   "smarthost": {"host": "127.0.0.1", "port": sink.port, "tls": "none"}})
    with server.smtp() as s:
        s.sendmail(LOGIN, ["bo@example.net", "nobody@example.net"], crlf(sample()))
    envelopes = [m[:2] for m in sink.got(2)]
    assert envelopes == [(LOGIN, ["bo@example.net"]), ("", [LOGIN])], envelopes
    wait_for("an empty queue", lambda: not server.ask("queue", "list")["messages"])


def test_retry_until_it_works(case):
    sink = case.sink(script=lambda verb, argument, count:
                     "451 4.7.1 greylisted" if verb == "RCPT" and count <= 2 else None)
    server = case.utpost(sections={
        "delivery": {"transport": "smarthost", "retry-first": "1s", "retry-longest": "1s"},
        "smarthost": {"host": "127.0.0.1", "port": sink.port, "tls": "none"}})
    with server.smtp() as s:
        s.sendmail(LOGIN, ["bo@example.net"], crlf(sample()))
    assert len(sink.got()) == 1
    wait_for("an empty queue", lambda: not server.ask("queue", "list")["messages"])


def test_help_and_errors(case):
    server = case.utpost()
    for words in (["help"], ["--help"], ["customer", "--help"], ["account", "add", "--help"],
                  ["queue", "list", "--help"]):
        done = server.cli(*words)
        assert "utpost" in done.stdout.lower(), words
    wrong = server.cli("acount", "list", check=False)
    assert wrong.returncode == 2 and "account" in wrong.stderr, wrong
    assert "state-dir" in server.cli("config", "show").stdout
    assert "sessions" in server.cli("status").stdout.lower()
    server.stop()
    away = server.cli("status", check=False)
    assert away.returncode == 3 and "utpostd" in away.stderr, away
