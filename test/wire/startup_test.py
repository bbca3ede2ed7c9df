"""What stops a start, and says so: configuration, certificate, port, a second daemon; reload."""
import os
import signal
import socket
import subprocess

from harness import BUILD, LOGIN, PASSWORD, Wire, crlf, sample, wait_for


def fails(server, *words):
    server.spawn()
    code = server.process.wait(20)
    assert code != 0
    text = server.log()
    for word in words:
        assert str(word) in text, f"{word!r} is not in:\n{text}"
    server.process = None


def test_unknown_key(case):
    server = case.utpost(start=False)
    text = server.conf.read_text() + "[submission]\nmax-recipient = 7\n"
    server.conf.write_text(text)
    line = text.splitlines().index("max-recipient = 7") + 1
    fails(server, f"utpost.conf:{line}:", "max-recipient", "max-recipients")
    done = server.cli("config", "check", check=False)
    assert done.returncode != 0 and f":{line}:" in done.stdout + done.stderr


def test_bad_value(case):
    server = case.utpost(start=False, sections={"submission": {"max-recipients": "many"}})
    fails(server, "max-recipients", "1", "1000000")


def test_unreadable_certificate(case):
    server = case.utpost(start=False, sections={"tls": {"certificate": "/nonexistent/cert.pem"}})
    fails(server, "/nonexistent/cert.pem", "No such file")
    (server.dir / "empty.pem").write_text("not a certificate\n")
    server.sections["tls"] = {"certificate": server.dir / "empty.pem"}
    server.write_conf()
    fails(server, "empty.pem", "certificate")


def test_port_in_use(case):
    server = case.utpost(start=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", server.ports["submission"]))
        taken.listen()
        fails(server, server.ports["submission"], "in use", "submission")


def test_second_daemon(case):
    server = case.utpost()
    done = subprocess.run([str(BUILD / "utpostd"), "--config", str(server.conf)],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert "already" in done.stderr and str(server.dir / "state") in done.stderr, done.stderr
    assert server.answers(), "the first one goes on"


def test_reload_keeps_a_good_configuration(case):
    server = case.utpost()
    server.sections["submission"]["max-recipients"] = "lots"
    server.write_conf()
    os.kill(server.process.pid, signal.SIGHUP)
    wait_for("the complaint", lambda: "max-recipients" in server.log())
    with server.smtp() as s:
        s.sendmail(LOGIN, [f"r{i}@example.net" for i in range(5)], crlf(sample()))
    server.sections["submission"]["max-recipients"] = "2"
    server.write_conf()
    os.kill(server.process.pid, signal.SIGHUP)

    def limited():
        with Wire(server.ports["submission"]) as wire:
            wire.hello()
            wire.sign_in()
            wire.expect(f"MAIL FROM:<{LOGIN}>", 250)
            return [wire.command(f"RCPT TO:<r{i}@example.net>")[0] for i in range(3)] == \
                [250, 250, 452]
    wait_for("the new limit", limited)


def test_drain_finishes_what_runs(case):
    """SIGTERM in the middle of DATA: the message is finished, then the session ends."""
    server = case.utpost()
    with Wire(server.ports["submission"]) as wire:
        wire.hello()
        wire.sign_in()
        wire.expect(f"MAIL FROM:<{LOGIN}>", 250)
        wire.expect("RCPT TO:<bo@example.net>", 250)
        wire.expect("DATA", 354)
        wire.send(b"Subject: drained\r\n\r\nbody\r\n")
        server.process.send_signal(signal.SIGTERM)
        wait_for("the listener to close", lambda: not server.answers())
        wire.send(".\r\n")
        assert wire.reply()[0] == 250
        assert wire.reply()[0] in (421, 0)
    assert server.process.wait(40) == 0
    server.process = None
    server.start()
    assert len(server.captured()) == 1


def test_state_is_kept(case):
    server = case.utpost(sections={"delivery": {"hold": "yes"}})
    with server.smtp() as s:
        s.sendmail(LOGIN, ["bo@example.net"], crlf(sample()))
    assert len(server.ask("queue", "list")["messages"]) == 1
    assert server.stop() == 0
    server.start()
    assert len(server.ask("queue", "list")["messages"]) == 1
    server.sections["delivery"]["hold"] = "no"
    server.write_conf()
    os.kill(server.process.pid, signal.SIGHUP)
    assert len(server.captured()) == 1
    with Wire(server.ports["submission"]) as wire:
        wire.hello()
        assert wire.sign_in(password=PASSWORD)[0] == 235
