"""sendmail at the local door: whoever runs it is accounted, whatever it is told."""
import concurrent.futures
import os
import pwd
import shutil
import subprocess

from harness import BUILD, LOGIN, PASSWORD, crlf, sample, wait_for, without_trace

NOPERM, TEMPFAIL, DATAERR = 77, 75, 65
TO = "bo@example.net"
# Accounts of three local users; nobody's is mapped in no test.
SITES = {"root": LOGIN, "daemon": "shop@example.com"}


def uid(user):
    return pwd.getpwnam(user).pw_uid


def as_user(user, command):
    """The command as that user runs it; the tests run as root."""
    if uid(user) == os.getuid():
        return command
    entry = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", *command]


class Host:
    """A web host: utpostd, its sendmail where every user can run it, a credential per user."""

    def __init__(self, case, sections=None, users=tuple(SITES), clock=False):
        self.server = case.utpost(sections=sections, account=False, clock=clock)
        self.path = case.dir / "sendmail"
        shutil.copy(BUILD / "sendmail", self.path)
        self.path.chmod(0o755)
        for user in users:
            self.server.add_account(SITES[user], None)
            self.server.cli("credential", "add", SITES[user], "--uid", uid(user))
            wait_for(f"the credential of {user}", lambda: b"250 2.1.0" in self.run(
                user, "-bs", stdin=b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nQUIT\r\n").stdout)

    def run(self, user, *args, stdin=b"", env=None):
        command = as_user(user, [str(self.path), "--config", str(self.server.conf), *args])
        return subprocess.run(command, input=stdin, capture_output=True, timeout=120, cwd="/",
                              env={**os.environ, **(env or {})})

    def send(self, user, *args, stdin, env=None):
        done = self.run(user, *args, stdin=stdin, env=env)
        assert done.returncode == 0 and not done.stderr, done

    def php(self, user, call, options="-t -i"):
        """PHP's mail() with that sendmail; what it returned."""
        path = f"{self.path} --config {self.server.conf} {options}"
        done = subprocess.run(as_user(user, ["php", "-d", f"sendmail_path={path}", "-r",
                                             f"echo var_export({call}, true);"]),
                              capture_output=True, timeout=60, cwd="/")
        return done.stdout.decode().strip(), done.stderr.decode()

    def accounts(self, count):
        """The logins of the accounts of the messages in the queue, in the order of their ids."""
        def there():
            messages = self.server.ask("queue", "list")["messages"]
            return messages if len(messages) == count else None
        messages = wait_for(f"{count} queued messages", there)
        logins = {a["id"]: a["login"] for a in self.server.ask("account", "list")["accounts"]}
        return [logins[self.server.ask("queue", "show", m["id"])["account"]]
                for m in sorted(messages, key=lambda m: m["id"])]


HELD = {"delivery": {"hold": "yes"}}


def test_as_it_is(case):
    """LF input with 8 bits, long lines and lone dots arrives byte for byte."""
    host = Host(case, users=("root",))
    message = sample(body="å" * 2000 + "\n.\n..\n" + "x" * 20000 + "\n.x\n")
    for stdin in (message, crlf(message)):
        host.send("root", "-oi", "-f", LOGIN, TO, stdin=stdin)
    for got in host.server.captured(2):
        assert got.startswith(b"Return-Path: <" + LOGIN.encode() + b">\n"), got[:200]
        assert without_trace(got) == message, without_trace(got)


def test_lone_dot_ends(case):
    host = Host(case, users=("root",))
    host.send("root", TO, stdin=sample(body="one\n.\ntwo\n"))
    assert host.server.captured()[0].endswith(b"\n\none\n")


def test_recipients_from_the_header(case):
    host = Host(case, users=("root",))
    host.send("root", "-t", "-i", stdin=b"From: anna@example.com\nTo: Bo <bo@example.net>,\n cy@example.net\n"
              b"Bcc: di@example.net, hidden@example.net\nSubject: x\n\ntext\n")
    got = host.server.captured()[0]
    for name in (b"bo", b"cy", b"di", b"hidden"):
        assert b"Delivered-To: " + name + b"@example.net\n" in got, got
    message = without_trace(got.replace(b"Delivered-To", b"X-Original-To"))
    assert b"Bcc" not in got and b"hidden" not in message, got
    assert message.endswith(b"\n\ntext\n") and b"Message-ID:" in got and b"Date:" in got


def test_php_mail_of_two_users(case):
    host = Host(case, HELD)
    call = f"mail('{TO}', 'subject', \"one\\n.\\ntwo\", 'From: info@example.com')"
    for user in ("root", "daemon", "root"):
        result, errors = host.php(user, call)
        assert result == "true" and not errors, (result, errors)
    assert host.accounts(3) == [SITES["root"], SITES["daemon"], SITES["root"]]


def test_php_mail_of_a_stranger(case):
    host = Host(case, HELD)
    result, errors = host.php("nobody", f"mail('{TO}', 'subject', 'text', 'From: {LOGIN}')")
    assert result == "false" and "no account" in errors, (result, errors)
    done = host.run("nobody", TO, stdin=sample())
    assert done.returncode == NOPERM and b"uid credential" in done.stderr, done
    assert not host.server.ask("queue", "list")["messages"]


def test_nothing_said_changes_who_is_accounted(case):
    host = Host(case, HELD)
    forged = {"USER": "root", "LOGNAME": "root", "HOME": "/root", "SUDO_UID": "0",
              "REMOTE_USER": LOGIN, "UTPOST_ACCOUNT": LOGIN}
    header = f"From: {LOGIN}\nSender: {LOGIN}\nX-Authenticated-Sender: {LOGIN}\nX-PHP-Originating-Script: 0:x\n"
    for args in (["-f", LOGIN], [f"-r{LOGIN}"], ["-f", "root"], ["-F", LOGIN]):
        host.send("daemon", *args, TO, stdin=header.encode() + b"\ntext\n", env=forged)
    session = (f"EHLO root\r\nMAIL FROM:<{LOGIN}> AUTH={LOGIN}\r\nRCPT TO:<{TO}>\r\nDATA\r\n"
               f"{header}\n\ntext\n.\nQUIT\n").replace("\r", "").replace("\n", "\r\n").encode()
    done = host.run("daemon", "-bs", stdin=session, env=forged)
    assert b"Queued as" in done.stdout, done
    assert host.accounts(5) == [SITES["daemon"]] * 5
    # to act for another account takes more than naming it
    done = host.run("daemon", "-bs", stdin=b"EHLO root\r\nAUTH EXTERNAL YW5uYUBleGFtcGxlLmNvbQ==\r\nQUIT\r\n")
    assert b"535 5.7.8" in done.stdout, done


def released(server, count):
    """When each message in the queue is released: (moment, id), the moment "" when it does not wait."""
    messages = wait_for(f"{count} queued messages",
                        lambda: (m := server.ask("queue", "list")["messages"]) and len(m) == count and m)
    shown = [(server.ask("queue", "show", m["id"]), m["id"]) for m in messages]
    return sorted((m["recipients"][0]["not_before"] or "", i) for m, i in shown)


def test_what_a_limit_refuses_waits(case):
    """With --queue PHP's mail() over the limit is true, and the mail leaves when the limit allows,
    over a crash too; other doors see what waits; without it mail() is false as before."""
    host = Host(case, users=("root",), clock=True)
    server = host.server
    server.cli("credential", "add", LOGIN, "--password-stdin", stdin=PASSWORD + "\n")
    server.cli("rule", "add", "account", "messages", "2/1h", "defer", "--account", LOGIN)
    call = f"mail('{TO}', 'subject', 'text', 'From: {LOGIN}')"
    for _ in range(2):
        assert host.php("root", call) == ("true", "")
    server.captured(2)
    result, errors = host.php("root", call)
    assert result == "false" and "Message rate exceeded, 2/1h (max 2)" in errors, (result, errors)
    for _ in range(3):
        assert host.php("root", call, "-t -i --queue") == ("true", "")
    waiting = released(server, 3)
    (first, _), (second, _), (third, last) = waiting
    assert "" < first == second < third, waiting
    quota = next(q for q in server.ask("quota", LOGIN)["quota"] if q["rule"] == "account messages 2/1h defer")
    assert quota["used"] == 2 and quota["free_at"] >= third and quota["paced_until"] == third, quota
    assert f"mail waits until {third}" in server.cli("quota", LOGIN).stdout
    assert "released at" in server.cli("trace", last).stdout
    server.kill_all()
    server.start()
    assert released(server, 3) == waiting
    server.advance(59 * 60)
    assert released(server, 3) == waiting
    server.advance(2 * 60)
    server.captured(4)
    assert released(server, 1) == [(third, last)]
    with server.smtp() as client:  # two were used now, by those that waited
        client.mail(LOGIN)
        code, text = client.rcpt(TO)
        assert code == 450 and b"Message rate exceeded, 2/1h (max 2)" in text, text
    done = host.run("root", TO, stdin=sample())
    assert done.returncode == TEMPFAIL and b"Message rate exceeded" in done.stderr, done
    server.advance(60 * 60)
    server.captured(5)
    done = host.run("root", "--queue", TO, stdin=sample())  # one is used, so this goes at once
    assert done.returncode == 0, done
    server.captured(6)


def test_what_does_not_wait(case):
    """Locks, rules that reject, more than a day's line: sysexits as without --queue."""
    host = Host(case, users=("root",))
    server = host.server
    server.cli("rule", "add", "account", "messages", "1/1h", "reject", "--account", LOGIN)
    host.send("root", "--queue", TO, stdin=sample())
    done = host.run("root", "--queue", TO, stdin=sample())
    assert done.returncode == NOPERM and b"550 5.7.1 Message rate exceeded" in done.stderr, done
    server.cli("rule", "remove", "account", "messages", "1/1h", "reject", "--account", LOGIN)
    server.cli("rule", "add", "account", "recipients", "1/31d", "defer", "--account", LOGIN)
    done = wait_for("the rule of 31 days", lambda: (
        d := host.run("root", "--queue", TO, stdin=sample())).returncode == TEMPFAIL and d)
    assert done.returncode == TEMPFAIL and b"450 4.7.1 Sender rate exceeded, 1/31d" in done.stderr, done
    server.cli("account", "lock", LOGIN, "--reason", "spam")
    done = wait_for("the lock", lambda: (
        d := host.run("root", "--queue", TO, stdin=sample())).returncode != TEMPFAIL and d)
    assert done.returncode == NOPERM and b"spam" in done.stderr, done


def test_a_locked_account(case):
    host = Host(case, users=("root",))
    host.server.cli("account", "lock", LOGIN, "--reason", "spam from /var/www/contact.php")

    def refused():
        done = host.run("root", TO, stdin=sample())
        return done.returncode and done
    done = wait_for("the lock", refused)
    assert done.returncode == NOPERM and b"/var/www/contact.php" in done.stderr, done
    host.server.cli("account", "lock", LOGIN, "--for", "1h")
    done = wait_for("the lock for an hour",
                    lambda: (d := host.run("root", TO, stdin=sample())).returncode == TEMPFAIL and d)
    assert b"locked until" in done.stderr, done


def test_a_shared_uid(case):
    """A local user of two customers could be either: that is refused where it would be made."""
    host = Host(case, HELD, users=("daemon",))
    host.server.add_account("other@example.org", None, "other")
    done = host.server.cli("credential", "add", "other@example.org", "--uid", uid("daemon"), check=False)
    assert done.returncode == 1 and f"signs in {SITES['daemon']}, an account of another customer" in done.stderr, done
    host.send("daemon", TO, stdin=sample())
    assert host.accounts(1) == [SITES["daemon"]]


def test_scripts_are_evidence(case):
    """Which script sends is kept with the message and shown with a lock; it is nobody's identity."""
    host = Host(case, HELD)
    site = case.dir / "site"
    site.mkdir()
    site.chmod(0o755)
    (site / "contact.php").write_text(f"<?php exit(mail('{TO}', 's', 't', 'From: info@example.com') ? 0 : 1);")
    path = f"{host.path} --config {host.server.conf} -t -i"
    for header in ("On", "Off"):
        done = subprocess.run(as_user("daemon", [
            "php", "-d", f"sendmail_path={path}", "-d", f"mail.add_x_header={header}",
            str(site / "contact.php")]), cwd=site, capture_output=True, timeout=60)
        assert done.returncode == 0, done
    host.send("daemon", TO, stdin=sample(), env={"SCRIPT_FILENAME": "/srv/www/form.cgi"})
    host.server.cli("account", "lock", SITES["daemon"], "--reason", "spam")

    def gathered():
        locks = host.server.ask("lock", "list")["locks"]
        return [e["value"] for lock in locks
                for e in (host.server.ask("lock", "show", lock["id"])["evidence"] or {}).get("scripts", [])]
    scripts = wait_for("the evidence", lambda: len(s := gathered()) >= 3 and s)
    assert f"0:contact.php in {site}" in scripts, scripts  # whose file it is
    assert any(s.startswith("php ") and s.endswith(f" in {site}") for s in scripts), scripts
    assert "/srv/www/form.cgi in /" in scripts, scripts


def test_sender_rights(case):
    host = Host(case, users=())
    host.server.add_account(LOGIN, None, "example", "--senders", "domains", "--sender", "example.com")
    host.server.cli("credential", "add", LOGIN, "--uid", os.getuid())

    def sent(*args):
        return host.run("root", *args, TO, stdin=sample(sender=LOGIN))
    wait_for("the credential", lambda: sent().returncode == 0)
    done = sent("-f", "eve@example.org")
    assert done.returncode == NOPERM and b"eve@example.org" in done.stderr, done
    done = host.run("root", "-f", LOGIN, TO, stdin=sample(sender="eve@example.org"))
    assert done.returncode == NOPERM and b"eve@example.org" in done.stderr, done


def test_refused_content(case):
    host = Host(case, users=("root",))
    done = host.run("root", TO, stdin=b"From: a@example.com\nFrom: b@example.com\n\nx\n")
    assert done.returncode == DATAERR and b"more than one From" in done.stderr, done


def test_as_cron_writes(case):
    host = Host(case, users=("root",))
    host.send("root", "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root", stdin=(
        b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@web> backup\nMIME-Version: 1.0\n"
        b"Content-Type: text/plain; charset=UTF-8\nAuto-Submitted: auto-generated\n\ndone\n"))
    got = host.server.captured()[0]
    assert b"Return-Path: <root@out.example.com>\n" in got, got
    assert b"From: root@out.example.com (Cron Daemon)\nTo: root@out.example.com\n" in got, got


def test_large_message(case):
    """Through sendmail's temporary file and the service's file for large bodies."""
    host = Host(case, users=("root",))
    message = sample("large", body="".join(f".{i:>60}\n" for i in range(80_000)))
    host.send("root", "-i", "-f", LOGIN, TO, stdin=message)
    assert without_trace(host.server.captured()[0]) == message


def test_a_hundred_at_once(case):
    """More than may be signed in at once: each waits for its turn, none is lost or refused."""
    host = Host(case, {"submission": {"max-sessions-per-account": "10"}})

    def one(i):
        user = ("root", "daemon")[i % 2]
        return host.run(user, "-t", "-i", stdin=sample(f"number {i}"))
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        done = list(pool.map(one, range(100)))
    assert [d.returncode for d in done] == [0] * 100, [d for d in done if d.returncode]
    got = host.server.captured(100, 60)
    assert sorted(without_trace(m) for m in got) == sorted(sample(f"number {i}") for i in range(100))


def test_over_a_restart(case):
    """PHP never tries again: while the service restarts, sendmail does."""
    host = Host(case, users=("root",))
    host.server.stop()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sending = pool.submit(host.run, "root", "-i", TO, stdin=sample())
        host.server.start()
        done = sending.result(60)
    assert done.returncode == 0, done
    host.server.captured()


def test_service_is_away(case):
    host = Host(case, users=("root",))
    host.server.stop()
    done = host.run("root", TO, stdin=sample())
    assert done.returncode == TEMPFAIL and b"is utpostd running?" in done.stderr, done
    done = host.run("root", "-bs", stdin=b"QUIT\r\n")
    assert done.returncode == TEMPFAIL and done.stdout.startswith(b"421 "), done


class WebHost:
    """A host whose sendmail forwards to a service on another machine: the command belongs to a
    group that alone may read the host's password. Its accounts: those of two users."""

    USERS = {"daemon": "shop@example.com", "nobody": "forum@example.com"}
    GROUP = "mail"

    def __init__(self, case, sections=None, **keys):
        cert = case.dir / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", case.dir / "key.pem",
                        "-out", cert], check=True, capture_output=True)
        self.server = case.utpost(account=False, sections={
            "tls": {"certificate": cert, "key": case.dir / "key.pem"}, **(sections or {})})
        for login in self.USERS.values():
            self.server.add_account(login, None, "example")
        self.server.add_account("stranger@example.com", None, "example")
        self.server.add_account("web1@example.com", None, "hosts")
        self.server.cli("credential", "add", "web1@example.com", "--password-stdin",
                        *(w for login in self.USERS.values() for w in ("--may-act-for", login)),
                        stdin="host secret\n")
        self.password = case.dir / "password"
        self.password.write_text("host secret\n")
        self.password.chmod(0o640)
        shutil.chown(self.password, "root", self.GROUP)
        self.conf = case.dir / "sendmail.conf"
        keys = {"host": "localhost", "port": self.server.ports["submission"], "login": "web1@example.com",
                "password-file": self.password, "ca-file": cert, "hostname": "web1.example.com", **keys}
        self.conf.write_text("[forward]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items())
                             + "\n[accounts]\n" + "".join(f"{u} = {a}\n" for u, a in self.USERS.items()))
        self.conf.chmod(0o644)
        self.path = case.dir / "sendmail"
        shutil.copy(BUILD / "sendmail", self.path)
        shutil.chown(self.path, "root", self.GROUP)
        self.path.chmod(0o2755)

    def run(self, user, *args, stdin=b"", env=None, conf=None):
        command = as_user(user, [str(self.path), "--forward", str(conf or self.conf), *args])
        return subprocess.run(command, input=stdin, capture_output=True, timeout=60, cwd="/",
                              env={**os.environ, **(env or {})})

    accounts = Host.accounts


def test_forwarding(case):
    """Over TLS, for the account of the real user, whatever he says; bytes arrive as they are."""
    host = WebHost(case, HELD)
    message = sample(body="å" * 2000 + "\n.\n..\n" + "x" * 20000 + "\n.x\n")
    wait_for("the host's credential", lambda: host.run("daemon", TO, stdin=message).returncode == 0)
    forged = {"USER": "root", "UTPOST_CONFIG": "/nonexistent", "UTPOST_SOCKET": "/nonexistent"}
    for user, args in (("nobody", []), ("daemon", ["-f", "forum@example.com"]), ("nobody", ["-F", "root"])):
        done = host.run(user, *args, "-i", TO, stdin=message, env=forged)
        assert done.returncode == 0, done
    assert host.accounts(4) == [host.USERS[u] for u in ("daemon", "nobody", "daemon", "nobody")]
    done = host.run("root", TO, stdin=message)  # no account there
    assert done.returncode == NOPERM and b"the local user root has no account" in done.stderr, done
    done = host.run("daemon", "-bs", stdin=b"QUIT\r\n")
    assert done.returncode == 69 and b"-bs" in done.stderr, done


def test_forwarded_mail_waits(case):
    """By `queue = yes` in the host's file, or --queue; both users' mail counts on its own account."""
    host = WebHost(case, HELD, queue="yes")
    for login in host.USERS.values():
        host.server.cli("rule", "add", "account", "messages", "1/1h", "defer", "--account", login)
    wait_for("the host's credential", lambda: host.run("daemon", TO, stdin=sample()).returncode == 0)
    for user in ("daemon", "nobody", "nobody"):
        done = host.run(user, TO, stdin=sample())
        assert done.returncode == 0, done
    waiting = released(host.server, 4)
    assert [at != "" for at, _ in waiting] == [False, False, True, True], waiting
    host.conf.write_text(host.conf.read_text().replace("queue = yes", "queue = no"))
    done = host.run("daemon", TO, stdin=sample())
    assert done.returncode == TEMPFAIL and b"Message rate exceeded" in done.stderr, done
    done = host.run("daemon", "--queue", TO, stdin=sample())
    assert done.returncode == 0, done


def test_forwarding_keeps_the_bytes(case):
    host = WebHost(case)
    message = sample(body="å" * 2000 + "\n.\n..\n" + "x" * 200000 + "\n.x\n")
    wait_for("the host's credential",
             lambda: host.run("daemon", "-i", "-f", LOGIN, TO, stdin=message).returncode == 0)
    assert without_trace(host.server.captured()[0]) == message


def test_forwarding_trusts_nobody(case):
    """Not another certificate, not a user's file, not the caller's wish to read ours."""
    host = WebHost(case)
    message = sample()
    wait_for("the host's credential", lambda: host.run("daemon", TO, stdin=message).returncode == 0)
    own = case.dir / "own.conf"
    shutil.copy(host.conf, own)
    shutil.chown(own, "daemon")
    done = host.run("daemon", TO, stdin=message, conf=own)
    assert done.returncode == 78 and b"must be root's" in done.stderr, done
    done = subprocess.run(as_user("daemon", ["cat", host.password]), capture_output=True)
    assert done.returncode, "a user can read the host's password"
    done = subprocess.run(as_user("daemon", [str(host.path), "--config", str(host.password), TO]),
                          input=message, capture_output=True, timeout=60)
    assert b"secret" not in done.stderr + done.stdout, done
    text = host.conf.read_text()
    for change, status, word in [
            (("shop@example.com", "stranger@example.com"), NOPERM, b"535 5.7.8"),
            ((f"ca-file = {case.dir}/cert.pem", ""), TEMPFAIL, b"TLS with localhost failed: "),
            (("localhost", "127.0.0.2"), TEMPFAIL, b""),
            (("port", "prot"), 78, b"`prot` is not known")]:
        host.conf.write_text(text.replace(*change))
        done = host.run("daemon", TO, stdin=message)
        assert done.returncode == status and word in done.stderr, (change, done)
    host.conf.write_text(text.replace(str(host.server.ports["submission"]),
                                      str(host.server.ports["submissions"]) + "\ntls = implicit"))
    done = host.run("daemon", TO, stdin=message)
    assert done.returncode == 0, done
