"""Presets, rules and quota, as an operator manages them on a running server."""
import json

from harness import LOGIN


def applied(server, *owner):
    return [line["rule"] for line in server.ask("rule", "list", *owner)["applied"]]


def test_presets_are_built_in(case):
    server = case.utpost()
    names = [p["name"] for p in server.ask("preset", "list")["presets"]]
    assert names == ["personal-mailbox", "presumed-hijack", "web-hosting", "relay-plan",
                     "prudent"], names
    for name in names:
        shown = server.cli("preset", "show", name).stdout
        assert shown.startswith("# ") and " recipients " in shown, shown


def test_rules_survive_a_restart(case):
    server = case.utpost()
    server.cli("preset", "apply", "web-hosting", "--customer", "example")
    server.cli("rule", "add", "account", "recipients", "2000/24h", "defer", "--account", LOGIN)
    server.cli("rule", "add", "customer", "recipients", "3000/1h", "defer", "--customer", "example")
    wanted = ["account messages 25/5m defer", "account recipients 250/5m defer",
              "account recipients 5000/30d defer", "customer messages 250/1h defer",
              "account recipients 2000/1d defer", "customer recipients 3000/1h defer"]
    assert applied(server, "--account", LOGIN) == wanted
    server.kill_all()
    server.start()
    assert applied(server, "--account", LOGIN) == wanted
    server.cli("rule", "remove", "account recipients 2000/1d defer", "--account", LOGIN)
    server.cli("preset", "apply", "none", "--customer", "example")
    assert applied(server, "--account", LOGIN) == ["customer recipients 3000/1h defer"]


def test_a_wrong_rule_is_pointed_at(case):
    server = case.utpost()
    wrong = server.cli("rule", "add", "account messages 25/5min defer", "--account", LOGIN, check=False)
    rule, marks = wrong.stderr.splitlines()[1:3]
    assert wrong.returncode == 2 and "^^^^" in marks and rule[marks.index("^"):].startswith("5min"), wrong
    wrong = server.cli("rule", "add", "customer messages 25/5m defer", "--account", LOGIN, check=False)
    assert wrong.returncode == 1 and "customer" in wrong.stderr, wrong
    assert applied(server, "--account", LOGIN) == [], json.dumps(applied(server, "--account", LOGIN))
