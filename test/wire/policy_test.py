"""The policy service: limits for a real Postfix, and its protocol by hand."""
import contextlib
import smtplib
import socket
import time

from harness import LOGIN, free_port, wait_for

OTHER = "bert@example.com"


def service(case, rules, clock=False, **keys):
    """A server with the policy service, and its port."""
    port = free_port()
    server = case.utpost(sections={"policy-service": {"address": f"127.0.0.1:{port}", **keys}},
                         clock=clock)
    for rule in rules:
        server.cli("rule", "add", rule, "--account", LOGIN)
    return server, port


def postfix(case, port):
    # with one process, the next client is served by the one whose client has gone
    return case.postfix(settings=f"""smtpd_authorized_xclient_hosts = 127.0.0.0/8
default_process_limit = 1
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{port}
smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:{port}
""")


def session(server, login=LOGIN):
    s = smtplib.SMTP("127.0.0.1", server.port, timeout=30)
    s.ehlo()
    if login:
        code, text = s.docmd("XCLIENT", f"LOGIN={login}")
        assert code == 220, (code, text)
        s.ehlo()
    return s


def send(s, count, sender=LOGIN):
    """One message to so many: the refusals, by recipient."""
    to = [f"r{n}@example.net" for n in range(count)]
    try:
        return s.sendmail(sender, to, f"From: {sender}\r\nSubject: limits\r\n\r\nHello\r\n")
    except smtplib.SMTPRecipientsRefused as e:
        return e.recipients


def used(server):
    return server.ask("quota", LOGIN)["quota"][0]["used"]


def test_new_recipients(case):
    """Who was written to before is not new, over a crash too."""
    server, port = service(case, ["account new-recipients 3/1d defer"])
    relay = postfix(case, port)
    with session(relay) as s:
        assert send(s, 3) == {} and send(s, 3) == {}
        assert used(server) == 3
        assert [code for code, _ in send(s, 4).values()] == [450]
    server.kill_all()
    server.start()
    assert used(server) == 3
    with session(relay) as s:
        assert send(s, 3) == {}
        (code, text), = send(s, 4).values()
        assert code == 450 and b"Rate of new recipients exceeded, 3/1d (max 3)" in text, text


def test_real_postfix(case):
    server, port = service(case, ["account recipients 250/5m defer"])
    relay = postfix(case, port)
    with session(relay) as s:
        for _ in range(5):
            assert send(s, 50) == {}
        assert used(server) == 250
        wait_for("it in the ledger", lambda: [
            (u["messages"], u["recipients"]) for u in server.ask("usage", LOGIN)["usage"]] == [(5, 250)])
        (code, text), = send(s, 1).values()
        assert code == 450 and b"4.7.1 <r0@example.net>: Recipient address rejected: " in text, text
        assert b"Sender rate exceeded, 250/5m (max 250). Works again " in text, text
    server.kill_all()
    server.start()  # what was counted was written down
    assert used(server) == 250
    with session(relay) as s:
        (code, text), = send(s, 1).values()
        assert code == 450 and b"Sender rate exceeded, 250/5m (max 250)" in text, text
    with session(relay, login=None) as s:
        assert send(s, 3) == {}  # mail of nobody we know
    relay.received(6)
    server.cli("account", "lock", LOGIN, "--reason", "stolen password")
    with session(relay) as s:
        (code, text), = send(s, 1).values()
        assert code == 550 and b"The account is locked: stolen password" in text, text


def test_who_aborts_uses_nothing(case):
    server, port = service(case, ["account recipients 250/5m defer"])
    relay = postfix(case, port)
    counted = 0
    for end in ("RSET", "close"):
        with contextlib.suppress(smtplib.SMTPServerDisconnected), session(relay) as s:
            s.mail(LOGIN)
            for n in range(200):
                assert s.rcpt(f"r{n}@example.net")[0] == 250
            assert used(server) == counted + 200
            if end == "RSET":
                s.rset()
                assert send(s, 1) == {}
                counted += 1
                assert used(server) == counted
            else:
                s.sock.close()
    with session(relay) as s:
        for _ in range(4):
            assert send(s, 50) == {}
        assert send(s, 49) == {}
        (code, text), = send(s, 1).values()
        assert code == 450 and b"250/5m (max 250)" in text, text
    assert used(server) == 250


class Ask:
    """A connection to the policy service."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.sock.makefile("r")

    def close(self):
        self.file.close()
        self.sock.close()

    def __call__(self, state, instance, **values):
        values = {"request": "smtpd_access_policy", "protocol_state": state,
                  "instance": instance, "sasl_username": LOGIN, "sender": LOGIN, **values}
        self.sock.sendall(("".join(f"{k}={v}\n" for k, v in values.items()) + "\n").encode())
        answer = self.file.readline().rstrip("\n")
        assert answer.startswith("action=") and self.file.readline() == "\n", answer
        return answer[7:]


def test_instances(case):
    server, port = service(case, ["account recipients 10/1h defer",
                                  "account bytes 1MB/1h defer"])
    ask = Ask(port)
    assert ask("CONNECT", "a") == "DUNNO"
    for _ in range(4):
        assert ask("RCPT", "a") == "DUNNO"
    assert ask("DATA", "a") == "DUNNO"
    assert used(server) == 4
    assert ask("RCPT", "b") == "DUNNO"  # the first was aborted
    assert used(server) == 1
    assert ask("END-OF-MESSAGE", "b", recipient_count=1, size=5000) == "DUNNO"
    assert ask("END-OF-MESSAGE", "c", recipient_count=3, size=5000) == "DUNNO"  # alone
    assert used(server) == 4
    for _ in range(5):
        assert ask("RCPT", "d") == "DUNNO"
    # Postfix refused three of them itself
    assert ask("END-OF-MESSAGE", "d", recipient_count=2, size=5000) == "DUNNO"
    assert used(server) == 6
    assert ask("END-OF-MESSAGE", "e", recipient_count=5).startswith("450 4.7.1 Sender rate")
    assert used(server) == 6  # all or nothing
    assert ask("END-OF-MESSAGE", "f", recipient_count=4, size=300000).startswith("450 4.7.1 ")
    assert ask("END-OF-MESSAGE", "g", recipient_count=4, size=10000) == "DUNNO"
    assert ask("RCPT", "h").startswith("450 4.7.1 Sender rate exceeded, 10/1h (max 10)")
    assert ask("RCPT", "i", sasl_username="nobody", sender="x@example.org") == "DUNNO"
    ask.close()


def test_lost_connections(case):
    server, port = service(case, ["account recipients 10/1h defer"], clock=True,
                           **{"hold-time": "1m"})
    first = Ask(port)
    for _ in range(3):
        assert first("RCPT", "a") == "DUNNO"
    first.close()
    assert used(server) == 3  # held
    second = Ask(port)  # Postfix comes back with the same message
    assert second("END-OF-MESSAGE", "a", recipient_count=3, size=1) == "DUNNO"
    for _ in range(2):
        assert second("RCPT", "b") == "DUNNO"
    second.close()
    time.sleep(0.2)
    server.advance(61)  # nobody knows what became of it
    wait_for("it to be counted", lambda: "lost-message-counted" in server.log())
    server.kill_all()
    server.start()
    assert used(server) == 5


def test_accounts(case):
    server, port = service(case, ["account messages 1/1h defer"],
                           **{"account-by": "client sender", "unknown": "refuse"})
    server.add_account(OTHER)
    server.cli("credential", "add", OTHER, "--address", "192.0.2.0/24")
    ask = Ask(port)
    assert ask("END-OF-MESSAGE", "a", client_address="192.0.2.7", recipient_count=1) == "DUNNO"
    assert used(server) == 0
    assert ask("END-OF-MESSAGE", "b", client_address="198.51.100.1", recipient_count=1) == "DUNNO"
    assert used(server) == 1
    assert ask("RCPT", "c", sender=LOGIN).startswith("450 4.7.1 ")
    refusal = ask("RCPT", "d", sender="x@example.org")
    assert refusal.startswith("550 5.7.1 There is no account for this mail"), refusal
    ask.sock.sendall(b"nonsense\n\n")
    assert ask.file.readline() == ""  # closed
    ask.close()


def test_who_may_ask(case):
    path = str(case.dir / "policy.sock")
    server = case.utpost(sections={"policy-service": {"address": path}})
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(b"request=smtpd_access_policy\nprotocol_state=RCPT\n\n")
        assert s.recv(100) == b"action=DUNNO\n\n"
    server.stop()
    port = free_port()
    server.sections["policy-service"] = {"address": f"127.0.0.1:{port}", "clients": "192.0.2.1"}
    server.write_conf()
    server.start()
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        with contextlib.suppress(ConnectionResetError):
            assert s.recv(100) == b""
