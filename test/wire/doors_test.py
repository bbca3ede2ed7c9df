"""The other ways in: the local door, address credentials."""
import os
import smtplib
import socket

from harness import LOGIN, Wire, crlf, sample, wait_for


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
