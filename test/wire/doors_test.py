"""The other ways in: the local door, address credentials."""
import os
import smtplib
import socket
import subprocess

from harness import BUILD, LOGIN, Wire, crlf, free_port, sample, wait_for


class LocalDoor(Wire):
    def __init__(self, server):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(server.dir / "state/run/local.sock"))
        self.file = self.sock.makefile("rb")


def test_local_door(case):
    server = case.utpost()
    with LocalDoor(server) as wire:
        assert wire.reply()[0] == 220
        wire.expect("EHLO localhost", 250)
        code, text = wire.command(f"MAIL FROM:<{LOGIN}>")
        assert code == 530, (code, text)
    server.add_account("bo@example.com", None)
    server.add_account("cy@example.com", None)
    server.cli("credential", "add", LOGIN, "--uid", os.getuid(), "--may-act-for", "bo@example.com")

    def signed_in():
        with LocalDoor(server) as wire:
            wire.reply()
            wire.expect("EHLO localhost", 250)
            return wire.command(f"MAIL FROM:<{LOGIN}>")[0] == 250
    wait_for("the uid credential", signed_in)
    with LocalDoor(server) as wire:
        wire.reply()
        assert "EXTERNAL" in wire.expect("EHLO localhost", 250)
        import base64
        for login, code in (("bo@example.com", 235), ):
            wire.expect("AUTH EXTERNAL " + base64.b64encode(login.encode()).decode(), code)
        wire.expect("MAIL FROM:<bo@example.com>", 250)
        wire.expect("RCPT TO:<x@example.net>", 250)
        wire.expect("DATA", 354)
        wire.send(crlf(sample(sender="bo@example.com", body="text\n")) + b".\r\n")
        assert wire.reply()[0] == 250
    with LocalDoor(server) as wire:
        wire.reply()
        wire.expect("EHLO localhost", 250)
        code, _ = wire.command("AUTH EXTERNAL " + base64.b64encode(b"cy@example.com").decode())
        assert code == 535, code
    assert b"bo@example.com" in server.captured()[0]


def test_address_credential_only_where_allowed(case):
    server = case.utpost()
    server.cli("credential", "add", LOGIN, "--address", "127.0.0.0/8")

    def accepted(port):
        with smtplib.SMTP("127.0.0.1", server.ports[port], timeout=20) as s:
            s.ehlo()
            return s.mail(LOGIN)[0]
    wait_for("the address credential", lambda: accepted("smtp") == 250)
    assert accepted("alternative") == 530


def test_every_door_counts_alike(case):
    """SMTP, sendmail, the API and a Postfix that asks: one account, one window, one refusal."""
    from messages_test import Api
    from policy_test import Ask
    ports = free_port(), free_port()
    server = case.utpost(sections={"api": {"listen": f"127.0.0.1:{ports[0]}"},
                                   "policy-service": {"address": f"127.0.0.1:{ports[1]}"}})
    server.cli("rule", "add", "account recipients 8/1h defer", "--account", LOGIN)
    server.cli("credential", "add", LOGIN, "--uid", os.getuid())
    api, ask = Api(server, ports[0], f"account:{LOGIN}"), Ask(ports[1])
    to = ["a@example.net", "b@example.net"]

    def by_smtp():
        with server.smtp() as s:
            try:
                return s.sendmail(LOGIN, to, f"From: {LOGIN}\r\n\r\nx\r\n")
            except smtplib.SMTPRecipientsRefused as e:
                return list(e.recipients.values())[0][1].decode()

    def by_sendmail():
        done = subprocess.run([BUILD / "sendmail", "--config", server.conf, *to], timeout=60,
                              input=f"From: {LOGIN}\n\nx\n".encode(), capture_output=True)
        return done.stderr.decode()

    def by_api():
        return api.post({"from": LOGIN, "to": to, "text": "x"})[1].get("error", {}).get("message")

    def by_policy():
        answer = ask("END-OF-MESSAGE", "x", recipient_count=2, size=100)
        return answer if answer != "DUNNO" else None

    doors = [by_smtp, by_sendmail, by_api, by_policy]
    wait_for("the credential", lambda: server.ask("credential", "list", LOGIN)["credentials"])
    for used, door in enumerate(doors, 1):
        refusal = door()
        assert not refusal, (door, refusal)
        assert server.ask("quota", LOGIN)["quota"][0]["used"] == 2 * used, door
    for door in doors:
        assert "Sender rate exceeded, 8/1h (max 8). Works again " in (door() or ""), door
    server.kill_all()
    server.start()
    assert server.ask("quota", LOGIN)["quota"][0]["used"] == 8
