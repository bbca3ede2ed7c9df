"""Locks under load, and tenants beside each other: nobody can lock another's account, change
another's counters or use up another's windows."""
import collections
import shutil
import smtplib
import subprocess
import threading
import time

from harness import BUILD, LOGIN, PASSWORD, Wire, wait_for

OTHER = "bo@example.org"
MESSAGE, LOCK = 10, 13  # types of records

Record = collections.namedtuple("Record", "position type customer account id removed")


def journal(server, name="smtpd"):
    """The records of one of its journals, from a copy."""
    root = server.dir / "copied"
    shutil.rmtree(root, ignore_errors=True)
    (root / "journal").mkdir(parents=True)
    shutil.copytree(server.dir / "state/journal" / name, root / "journal" / name)
    out = subprocess.run([BUILD / "test/wire/journal", root, f"journal/{name}"], check=True,
                         capture_output=True, text=True).stdout
    return [Record(*map(int, line.split())) for line in out.splitlines()]


def send(session, sender, to="x@example.net"):
    """One message: 250, or the code of its refusal."""
    try:
        session.sendmail(sender, [to], f"From: {sender}\r\nSubject: tenants\r\n\r\nHello\r\n")
        return 250
    except smtplib.SMTPResponseException as e:
        return e.smtp_code
    except smtplib.SMTPRecipientsRefused as e:
        return next(iter(e.recipients.values()))[0]
    except smtplib.SMTPServerDisconnected:
        return 421


class Load:
    """Sessions of an account that send one message after the other until they are refused, or
    until stop()."""

    def __init__(self, server, login, sessions):
        self.codes = collections.Counter()
        self.going = True
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(server, login), daemon=True)
                        for _ in range(sessions)]
        for t in self.threads:
            t.start()

    def run(self, server, login):
        try:
            s = server.smtp(login)
        except smtplib.SMTPAuthenticationError:
            return  # it was locked already
        code = 250
        while code == 250 and self.going:
            code = send(s, login)
            with self.lock:
                self.codes[code] += 1
        s.close()

    def join(self):
        for t in self.threads:
            t.join(60)
            assert not t.is_alive()
        return self.codes

    def stop(self):
        self.going = False
        return self.join()


def is_locked(server, login=LOGIN):
    try:
        server.smtp(login).quit()
        return False
    except smtplib.SMTPAuthenticationError as e:
        assert e.smtp_code == 525, e
        return True


def account_id(server, login=LOGIN):
    return server.ask("account", "show", login)["id"]


def lock_under_load(case, **options):
    """Two accounts send over many sessions; one is locked by its 61st message."""
    server = case.utpost(**options)
    server.add_account(OTHER, PASSWORD, "other")
    server.cli("rule", "add", "account messages 60/30m lock", "--account", LOGIN)
    other = Load(server, OTHER, 3)
    codes = Load(server, LOGIN, 8).join()
    other_codes = other.stop()
    assert codes[250] == 60, codes
    assert set(codes) == {250, 550} or set(codes) == {250, 550, 421}, codes
    assert set(other_codes) == {250}, other_codes
    assert is_locked(server) and not is_locked(server, OTHER)
    return server


def test_nothing_follows_a_lock_in_the_journal(case):
    server = lock_under_load(case)
    account = account_id(server)
    server.kill_all()
    records = journal(server)
    lock, = (r for r in records if r.type == LOCK)
    assert lock.account == account and not lock.removed, lock
    own = [r for r in records if r.type == MESSAGE and r.account == account]
    assert len(own) == 60 and all(r.position < lock.position for r in own)
    assert any(r.type == MESSAGE and r.account != account for r in records)


def test_a_message_under_way_is_refused_when_the_lock_comes(case):
    """It was reserved before, and the rule that locks does not count it."""
    server = case.utpost()
    for rule in ("account recipients 3/1h defer", "account refusals 5/1d lock"):
        server.cli("rule", "add", rule, "--account", LOGIN)
    account = account_id(server)
    with Wire(server.ports["submission"]) as slow:
        slow.hello()
        assert slow.sign_in()[0] == 235
        slow.expect(f"MAIL FROM:<{LOGIN}>", 250)
        slow.expect("RCPT TO:<slow@example.net>", 250)
        slow.expect("DATA", 354)
        slow.send(f"From: {LOGIN}\r\n\r\nnot yet\r\n")
        with server.smtp() as s:
            codes = [send(s, LOGIN) for _ in range(8)]
        assert codes == [250] * 2 + [450] * 6, codes
        code, text = slow.command(".")
        assert code == 550 and "locked" in text, (code, text)
    assert is_locked(server)
    server.kill_all()
    records = journal(server)
    lock, = (r for r in records if r.type == LOCK)
    own = [r for r in records if r.type == MESSAGE and r.account == account]
    assert len(own) == 2 and all(r.position < lock.position for r in own), records


def test_replaying_after_an_unlock_does_not_lock_again(case):
    server = lock_under_load(case)
    server.cli("account", "unlock", LOGIN)
    wait_for("the unlock to come through", lambda: not is_locked(server))
    with server.smtp() as s:
        assert send(s, LOGIN) == 250
    for removed in ([], ["smtpd/limits"], ["smtpd/limits", "smtpd/directory", "control/ledger"]):
        server.kill_all()
        for name in removed:  # everything is read again
            (server.dir / "state/snapshot" / name).unlink(missing_ok=True)
        if len(removed) > 1:
            for file in (server.dir / "state/control").glob("ledger.db*"):
                file.unlink()
        server.start()
        assert not is_locked(server), removed
        with server.smtp() as s:
            assert send(s, LOGIN) == 250, removed
    wait_for("the ledger to be made again", lambda: len(server.ask("lock", "list", "--all")["locks"]) == 1)
    assert not server.ask("lock", "list")["locks"]


def test_no_delivery_starts_after_delivery_has_read_the_lock(case):
    """While the sink takes its time with each message, the queue is long when the lock comes."""
    sink = case.sink(script=lambda verb, argument, count: time.sleep(0.1) if verb == "END" else None)
    server = lock_under_load(case, sections={
        "delivery": {"transport": "smarthost", "connections": 2, "messages-per-connection": 5},
        "smarthost": {"host": "127.0.0.1", "port": sink.port, "tls": "none"}})
    frozen = wait_for("the queue to be frozen", lambda: frozen_messages(server))
    read = time.monotonic()  # delivery has read the lock before it answered

    def own():
        with sink.lock:
            return [t for m, t in zip(sink.messages, sink.times) if m[0] == LOGIN]
    def of_other():
        with sink.lock:
            return sum(m[0] == OTHER for m in sink.messages)
    wait_for("all of the other's mail", lambda: of_other() == journal_count(server, 2), 60)
    late = [started for started, _ in own() if started > read]
    assert not late and len(own()) < 60, (len(own()), late)
    assert len(own()) + len(frozen_messages(server)) == 60, (len(own()), len(frozen))
    server.kill_all()
    server.start()
    time.sleep(1.5)  # its first attempts would be now
    assert len(own()) + len(frozen_messages(server)) == 60


def frozen_messages(server):
    return [m for m in server.ask("queue", "list", "--account", LOGIN)["messages"]
            if all(r["state"] == "frozen" for r in m["recipients"])]


def journal_count(server, account):
    return sum(r.type == MESSAGE and r.account == account for r in journal(server))


def quota(server, login=LOGIN):
    return [(q["rule"], q["used"]) for q in server.ask("quota", login)["quota"]]


def test_wrong_passwords_lock_nobody(case):
    server = case.utpost(sections={"submission": {"auth-delay": "0s", "max-auth-failures": "100"}})
    for rule in ("account messages 5/1d lock", "account refusals 3/1d lock",
                 "credential recipients 5/1d attempts defer"):
        server.cli("rule", "add", rule, "--account", LOGIN)
    with server.smtp() as s:
        assert send(s, LOGIN) == 250
    before = quota(server)
    tried = 0
    for port in ("submission", "submissions"):
        for _ in range(4):
            with Wire(server.ports[port], tls=port == "submissions") as w:
                w.hello()
                for n in range(40):
                    code, text = w.sign_in(password=f"wrong {n}")
                    assert code in (535, 421, 454), (code, text)
                    tried += code == 535
                    if code != 535:
                        break
    assert tried >= 200, tried
    assert quota(server) == before
    assert not is_locked(server)
    with server.smtp() as s:
        assert send(s, LOGIN) == 250
    assert not server.ask("lock", "list", "--all")["locks"]


def test_one_tenant_cannot_use_up_anothers_windows(case):
    """Neither by its own mail, nor with the other's name in the envelope, in the header, in the
    EHLO, in the authorisation identity, or by refusals and aborted transactions."""
    server = case.utpost()
    server.add_account(OTHER, PASSWORD, "other", "--senders", "exact", "--sender", OTHER)
    for login in (LOGIN, OTHER):
        for rule in ("account recipients 5/1d attempts defer", "account refusals 100/1d lock"):
            server.cli("rule", "add", rule, "--account", login)
    with server.smtp() as s:
        assert send(s, LOGIN) == 250
    before = quota(server)

    with server.smtp(OTHER) as s:
        codes = [send(s, OTHER) for _ in range(8)]
        assert codes == [250] * 5 + [450] * 3, codes
        assert send(s, LOGIN) in (550, 553, 450)  # as another
    with Wire(server.ports["submission"]) as w:
        w.hello()
        assert w.sign_in(OTHER)[0] == 235
        for _ in range(10):
            code, _ = w.command(f"MAIL FROM:<{LOGIN}>")
            assert code in (550, 553), code
            w.command(f"MAIL FROM:<{OTHER}>")
            w.command(f"RCPT TO:<{LOGIN}>")
            w.expect("RSET", 250)
    with Wire(server.ports["submission"]) as w:  # acts for somebody whom it may not act for
        import base64
        w.hello()
        word = base64.b64encode(f"{LOGIN}\0{OTHER}\0{PASSWORD}".encode()).decode()
        code, text = w.command(f"AUTH PLAIN {word}")
        assert code in (535, 550), (code, text)
        assert w.command(f"MAIL FROM:<{LOGIN}>")[0] == 530
    assert quota(server) == before
    with server.smtp() as s:
        assert [send(s, LOGIN) for _ in range(5)] == [250] * 4 + [450]
