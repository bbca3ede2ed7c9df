"""Mail from programs that people use: byte for byte in the capture Maildir (plus our trace fields),
and through the smarthost transport in a real Postfix."""
import pathlib
import shutil
import smtplib
import subprocess

from harness import (LOGIN, PASSWORD, Postfix, any_certificate, crlf, sample, wait_for,
                     without_trace)

NODE = pathlib.Path(__file__).resolve().parent / "node"
TO = "bo@example.net"


def run(command, stdin=None):
    done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True,
                          timeout=60)
    assert done.returncode == 0, f"{command[0]}: exit {done.returncode}\n" + \
        (done.stdout + done.stderr).decode(errors="replace")


def by_swaks(server, message, directory):
    file = directory / "swaks.eml"
    file.write_bytes(message[:-1])  # swaks puts a line end behind what it reads
    run(["swaks", "--server", "127.0.0.1", "--port", server.ports["submission"], "-tls",
         "--auth", "PLAIN", "--auth-user", LOGIN, "--auth-password", PASSWORD, "--from", LOGIN,
         "--to", TO, "--data", f"@{file}", "--helo", "client.example.com"])


def by_curl(server, message, directory):
    file = directory / "curl.eml"
    file.write_bytes(crlf(message))
    run(["curl", "--silent", "--show-error", "--insecure", "--url",
         f"smtps://127.0.0.1:{server.ports['submissions']}", "--user", f"{LOGIN}:{PASSWORD}",
         "--mail-from", LOGIN, "--mail-rcpt", TO, "--upload-file", file])


def by_msmtp(server, message, directory):
    run(["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={server.ports['submission']}",
         "--auth=login", f"--user={LOGIN}", f"--passwordeval=echo '{PASSWORD}'", "--tls=on",
         "--tls-certcheck=off", f"--from={LOGIN}", "--domain=client.example.com", TO], message)


def by_smtplib(server, message, directory):
    with smtplib.SMTP("127.0.0.1", server.ports["alternative"], timeout=20) as s:
        s.starttls(context=any_certificate())
        s.login(LOGIN, PASSWORD)
        s.sendmail(LOGIN, [TO], crlf(message), mail_options=["BODY=8BITMIME"])


def by_nodemailer(server, message, directory):
    modules = directory / "node"
    shutil.copytree(NODE, modules)
    cache = pathlib.Path("/var/tmp/utpost-test-node")
    if not (cache / "node_modules/.package-lock.json").exists():  # npm writes it at the end
        shutil.copytree(NODE, cache, dirs_exist_ok=True)
        run(["npm", "ci", "--prefix", cache, "--no-audit", "--no-fund", "--silent"])
    (modules / "node_modules").symlink_to(cache / "node_modules")
    file = directory / "node.eml"
    file.write_bytes(crlf(message))
    run(["node", modules / "send.js", server.ports["submission"], LOGIN, PASSWORD, TO, file])


PROGRAMS = {"swaks": by_swaks, "curl": by_curl, "msmtp": by_msmtp, "smtplib": by_smtplib,
            "nodemailer": by_nodemailer}


def by_postfix(case, server, message):
    """Through a Postfix that uses us as its relayhost, with AUTH and TLS. It adds its own
    Received field below ours."""
    relay = Postfix(case, relayhost=server.ports["submission"], login=LOGIN, password=PASSWORD,
                    name="relaying-postfix")
    case.at_end(relay.stop)
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=20) as s:
        s.sendmail(LOGIN, [TO], crlf(message), mail_options=["BODY=8BITMIME"])


def capture(send):
    def test(case):
        server = case.utpost()
        message = sample("from a program")
        send(server, message, case.dir)
        got = server.captured()[0]
        assert b"\r" not in got, "line ends in the Maildir are LF"
        assert got.startswith(b"Return-Path: <" + LOGIN.encode() + b">\n"), got[:200]
        assert b"out.example.com" in got.split(b"From:")[0], "our trace field is on top"
        assert without_trace(got) == message, without_trace(got)
        wait_for("an empty queue", lambda: not server.ask("queue", "list")["messages"])
    return test


def relayed(send):
    def test(case):
        receiver = case.postfix()
        server = case.utpost(sections={
            "delivery": {"transport": "smarthost"},
            "smarthost": {"host": "127.0.0.1", "port": receiver.port, "tls": "verify",
                          "ca-file": receiver.cert}})
        message = sample("through the smarthost")
        send(server, message, case.dir)
        got = receiver.received()[0]
        assert without_trace(got, received=2) == message, got
    return test


for _name, _send in PROGRAMS.items():
    globals()[f"test_{_name}_captured"] = capture(_send)
    globals()[f"test_{_name}_relayed_to_postfix"] = relayed(_send)


def test_postfix_as_client_captured(case):
    server = case.utpost()
    message = sample("from postfix")
    by_postfix(case, server, message)
    assert without_trace(server.captured()[0], received=2) == message


def test_postfix_as_client_relayed_to_postfix(case):
    receiver = case.postfix()
    server = case.utpost(sections={
        "delivery": {"transport": "smarthost"},
        "smarthost": {"host": "127.0.0.1", "port": receiver.port, "tls": "encrypt"}})
    message = sample("from postfix to postfix")
    by_postfix(case, server, message)
    assert without_trace(receiver.received()[0], received=3) == message


def test_many_recipients_and_a_large_body(case):
    """100 recipients in one message; 5 MB, which goes through a file of its own."""
    server = case.utpost()
    recipients = [f"r{i}@example.net" for i in range(100)]
    message = sample("large", body="".join(f"{i:>60}\n" for i in range(80_000)))
    with server.smtp() as s:
        s.sendmail(LOGIN, recipients, crlf(message))
    got = server.captured()[0]
    assert without_trace(got) == message
    for recipient in recipients:
        assert f"Delivered-To: {recipient}\n".encode() in got[:20_000]
    wait_for("the large file to be removed",
             lambda: not [f for f in (server.dir / "state/large").iterdir() if f.is_file()])


def test_large_body_relayed(case):
    receiver = case.postfix()
    server = case.utpost(sections={"delivery": {"transport": "smarthost"},
                                   "smarthost": {"host": "127.0.0.1", "port": receiver.port}})
    message = sample("large", body="".join(f".{i:>60}\n" for i in range(40_000)))
    with server.smtp() as s:
        s.sendmail(LOGIN, [TO], crlf(message))
    assert without_trace(receiver.received()[0], received=2) == message
