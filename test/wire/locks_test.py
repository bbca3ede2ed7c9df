"""Locks: who is locked, with the evidence."""
import smtplib
import time

from harness import LOGIN, PASSWORD, wait_for

OTHER = "bo@example.com"


def message(subject="locks", sender=LOGIN):
    return f"From: {sender}\r\nSubject: {subject}\r\n\r\nHello\r\n"


def lock_by_rule(server, count=3):
    """Sends until the rule locks."""
    server.cli("rule", "add", f"account messages {count}/30m lock", "--account", LOGIN)
    with server.smtp() as s:
        for n in range(count):
            s.sendmail(LOGIN, [f"r{n}@example.net", "all@example.org"],
                       message("=?utf-8?q?K=C3=B6p_nu?="))
        try:
            s.sendmail(LOGIN, ["last@example.net"], message())
        except smtplib.SMTPDataError as e:
            assert e.smtp_code == 550, e
            return
    raise AssertionError("the rule did not lock")


def locks(server, *options):
    return server.ask("lock", "list", *options)["locks"]


def the_lock(server, *options):
    return wait_for("a lock in the ledger", lambda: locks(server, *options))[0]


def evidence(server, lock_id):
    return wait_for("the evidence", lambda: server.ask("lock", "show", lock_id)["evidence"])


def values(evidence, kind):
    return {e["value"]: e["count"] for e in evidence[kind]}


def test_a_lock_by_rule_and_its_evidence(case):
    server = case.utpost()
    lock_by_rule(server)
    lock = the_lock(server)
    assert lock["kind"] == "rule" and lock["name"] == LOGIN and lock["holds"], lock
    assert lock["rule"] == "account messages 3/30m lock" and lock["used"] == 4, lock
    found = evidence(server, lock["id"])
    assert found["messages"] == 3 and found["recipients"] == 6, found
    assert values(found, "clients") == {"127.0.0.1": 3}, found
    assert values(found, "subjects") == {"Köp nu": 3}, found
    assert values(found, "domains") == {"example.net": 3, "example.org": 3}, found
    assert values(found, "sample_recipients")["all@example.org"] == 3, found
    assert list(values(found, "credentials")) == ["1"] and found["helo"], found
    text = server.cli("lock", "show", lock["id"]).stdout
    assert "4 messages, and 3 are allowed in 30 minutes" in text and "Köp nu: 3 messages" in text, text

    server.cli("account", "unlock", LOGIN)
    wait_for("the lock's end", lambda: not locks(server))
    lock, = locks(server, "--all", "--account", LOGIN)
    assert lock["ended"]["why"] == "unlock" and lock["ended"]["by"] == "uid=0", lock


def test_operators_locks(case):
    server = case.utpost()
    server.cli("account", "lock", LOGIN, "--reason", "hijacked")
    lock = the_lock(server)
    assert lock["kind"] == "operator" and lock["by"] == "uid=0" and lock["reason"] == "hijacked", lock
    server.kill_all()
    server.start()
    assert [k["id"] for k in locks(server)] == [lock["id"]]
    server.cli("customer", "lock", "example", "--for", "1h")
    wait_for("both locks", lambda: len(locks(server)) == 2)
    assert len(locks(server, "--account", LOGIN)) == 2
    server.cli("account", "unlock", LOGIN)
    server.cli("customer", "unlock", "example")
    wait_for("their ends", lambda: not locks(server))
    assert [k["ended"]["why"] for k in locks(server, "--all")] == ["unlock", "unlock"]


CONTACTS = {"account": "anna.private@example.net", "customer": "boss@example.net",
            "operator": "ops@example.net"}


def told(server, account=True):
    """A server whose people have contacts."""
    if account:
        server.cli("account", "set", LOGIN, "--contact", CONTACTS["account"], "--language", "sv",
                   "--time-zone", "Europe/Stockholm")
    server.cli("customer", "set", "example", "--contact", CONTACTS["customer"], "--language", "de")


def notices(server, count):
    """{address: [message, …]} of the notices that were captured, when there are that many."""
    import email
    import email.policy

    def there():
        files = sorted(server.maildir.iterdir()) if server.maildir.exists() else []
        mails = [email.message_from_bytes(f.read_bytes(), policy=email.policy.default) for f in files]
        mails = [m for m in mails if m["Auto-Submitted"]]
        return mails if len(mails) >= count else None
    found = {}
    for m in wait_for(f"{count} notices", there):
        found.setdefault(m["To"].strip("<>"), []).append(m)
    return found


def states(server, lock_id, of="lock"):
    return {n["to"]: n["state"] for n in server.ask("lock", "show", lock_id)["notices"] if n["of"] == of}


def test_people_are_told_in_their_language(case):
    server = case.utpost(sections={"notices": {"operator": CONTACTS["operator"], "language": "nb"}})
    told(server)
    lock_by_rule(server)
    lock = the_lock(server)
    mails = notices(server, 3)
    assert sorted(mails) == sorted(CONTACTS.values()), mails.keys()
    (anna,), (boss,), (ops,) = (mails[CONTACTS[who]] for who in ("account", "customer", "operator"))
    assert anna["Subject"] == f"Utskick spärrade: {LOGIN} / Sending is locked: {LOGIN}", anna["Subject"]
    assert "Varför: 4 meddelanden på 30 minuter, och högst 3 är tillåtna" in anna.get_content()
    assert "Why: 4 messages in 30 minutes, and at most 3 are allowed" in anna.get_content()
    assert " CET" in anna.get_content() and lock["id"] in anna.get_content()
    assert boss["Subject"].startswith("Versand gesperrt: ") and "Kunde: example" in boss.get_content()
    assert ops["Subject"].startswith("Utsending sperret: ") and "Köp nu: 3 messages" in ops.get_content()
    assert anna["From"].strip("<>") == "postmaster@out.example.com" and anna["Message-ID"] and anna["Date"]
    wait_for("the notices to be noted",
             lambda: set(states(server, lock["id"]).values()) == {"sent"})

    server.cli("account", "unlock", LOGIN)
    mails = notices(server, 6)
    assert [len(mails[a]) for a in CONTACTS.values()] == [2, 2, 2]
    assert mails[CONTACTS["account"]][1]["Subject"].startswith("Spärren är hävd: ")
    status = server.ask("status")["notices"]
    assert status["operator"] == CONTACTS["operator"], status


def test_who_has_no_contact_is_not_told(case):
    server = case.utpost()
    server.cli("account", "lock", LOGIN)
    lock = the_lock(server)
    wait_for("the notices to be settled", lambda: states(server, lock["id"]) == {
        who: "not sent: no contact is set" for who in ("account", "customer", "operator")})
    assert "not told: [notices] operator is not set" in server.cli("status").stdout
    assert server.ask("status")["notices"]["operator"] is None


def test_one_address_is_told_once(case):
    server = case.utpost(sections={"notices": {"operator": "One@example.net"}})
    server.cli("account", "set", LOGIN, "--contact", "one@example.net")
    server.cli("customer", "set", "example", "--contact", "one@EXAMPLE.net")
    server.cli("account", "lock", LOGIN, "--reason", "hijacked")
    lock = the_lock(server)
    wait_for("the notices to be settled",
             lambda: (lambda all_: len(all_) == 3 and not any(s.startswith("waits") for s in all_))(
                 states(server, lock["id"]).values()))
    assert states(server, lock["id"]) == {
        "account": "sent", "customer": "not sent: another one went to the same address",
        "operator": "not sent: another one went to the same address"}, states(server, lock["id"])


def test_each_notice_once_over_crashes(case):
    """Killed again and again while notices are on their way."""
    server = case.utpost(sections={"notices": {"operator": CONTACTS["operator"]}})
    told(server)
    logins = [f"user{n}@example.com" for n in range(6)]
    for login in logins:
        server.add_account(login, None, "example")
        server.cli("account", "lock", login)
        if login in logins[1::2]:
            time.sleep(0.15)
            server.kill_all()
            server.start()
    wait_for("the locks", lambda: len(locks(server)) == 6)
    for pause in (0.3, 0.9, 1.2):
        time.sleep(pause)  # anywhere within the sending
        server.kill_all()
        server.start()
    wait_for("the notices to be settled",
             lambda: server.ask("status")["notices"]["waiting"] == 0, 60)
    mails = notices(server, 12)
    subjects = sorted((to, m["Subject"]) for to, list_ in mails.items() for m in list_)
    assert len(subjects) == len(set(subjects)) == 12, subjects


def test_a_notice_that_was_not_noted_is_not_sent_again(case):
    """As after a crash between the door's answer and its note in the ledger."""
    import sqlite3
    server = case.utpost(sections={"notices": {"operator": CONTACTS["operator"]}})
    server.cli("account", "lock", LOGIN)
    lock = the_lock(server)
    notices(server, 1)
    wait_for("it to be noted", lambda: states(server, lock["id"])["operator"] == "sent")
    server.stop()
    with sqlite3.connect(server.dir / "state/control/ledger.db") as db:
        assert db.execute("UPDATE notices SET state = 0, message = NULL WHERE reader = 3").rowcount == 1
    db.close()
    server.start()
    wait_for("it to be noted again", lambda: states(server, lock["id"])["operator"] == "sent")
    time.sleep(0.5)
    assert len(notices(server, 1)[CONTACTS["operator"]]) == 1


def test_a_rule_that_notifies_tells_people(case):
    server = case.utpost(sections={"notices": {"operator": CONTACTS["operator"]}})
    told(server)
    server.cli("rule", "add", "account messages 2/1h notify", "--account", LOGIN)
    with server.smtp() as s:
        for n in range(5):
            s.sendmail(LOGIN, ["x@example.net"], message())
    mails = notices(server, 3)
    (ops,) = mails[CONTACTS["operator"]]
    assert ops["Subject"] == f"A limit was passed: {LOGIN}", ops["Subject"]
    assert "Why: 3 messages in 1 hour, and at most 2 are allowed" in ops.get_content(), ops.get_content()


def test_a_plan_that_is_used_up_is_told_once(case):
    server = case.utpost(sections={"notices": {"operator": CONTACTS["operator"]}})
    told(server)
    server.cli("rule", "add", "account bytes 30KB/month suspend", "--account", LOGIN)
    refused = 0
    for n in range(6):
        with server.smtp() as s:
            try:
                s.sendmail(LOGIN, ["x@example.net"], message())
            except smtplib.SMTPResponseException as e:
                refused += e.smtp_code in (450, 550)
            except smtplib.SMTPRecipientsRefused:
                refused += 1
        if n == 4:
            server.kill_all()
            server.start()
    assert refused == 3, refused
    mails = notices(server, 3)
    (ops,) = mails[CONTACTS["operator"]]
    assert ops["Subject"] == f"The plan is used up: {LOGIN}", ops["Subject"]
    time.sleep(1.5)  # another one would come now
    assert sum(map(len, notices(server, 3).values())) == 3


def test_a_lock_for_a_time_ends_and_is_told(case):
    """By a rule and by an operator, at their time, under the test clock."""
    server = case.utpost(clock=True, sections={"notices": {"operator": CONTACTS["operator"]}})
    server.add_account(OTHER, None, "example")
    server.cli("account", "lock", OTHER, "--for", "1h")
    server.cli("rule", "add", "account messages 1/30m lock 2h", "--account", LOGIN)
    with server.smtp() as s:
        s.sendmail(LOGIN, ["x@example.net"], message())
        try:
            s.sendmail(LOGIN, ["x@example.net"], message())
        except smtplib.SMTPDataError as e:
            assert e.smtp_code == 450 and b"locked until" in e.smtp_error, e
    wait_for("both locks", lambda: len(locks(server)) == 2)
    server.advance(3)
    notices(server, 2)
    server.advance(3600)
    wait_for("the operator's lock to end", lambda: len(locks(server)) == 1)
    assert locks(server)[0]["kind"] == "rule"
    notices(server, 3)
    server.advance(3600)
    wait_for("the rule's lock to end", lambda: not locks(server))
    assert {k["ended"]["why"] for k in locks(server, "--all")} == {"time"}
    subjects = [m["Subject"] for m in notices(server, 4)[CONTACTS["operator"]]]
    assert sorted(s.split(":")[0] for s in subjects) == ["Sending is locked"] * 2 + ["Sending is unlocked"] * 2
    server.smtp().quit()


def test_a_rule_for_a_whole_customer(case):
    """It locks all of its accounts; one lock, with the evidence of all of them."""
    server = case.utpost(sections={"notices": {"operator": CONTACTS["operator"]}})
    told(server, account=False)
    server.add_account(OTHER, PASSWORD, "example")
    server.cli("rule", "add", "customer messages 3/30m lock", "--customer", "example")
    for login in (LOGIN, OTHER, LOGIN):
        with server.smtp(login) as s:
            s.sendmail(login, ["x@example.net"], message(sender=login))
    with server.smtp(OTHER) as s:
        try:
            s.sendmail(OTHER, ["x@example.net"], message(sender=OTHER))
            raise AssertionError("the fourth message was accepted")
        except smtplib.SMTPDataError as e:
            assert e.smtp_code == 550, e
    lock = the_lock(server)
    assert lock["scope"] == "customer" and lock["name"] == "example" and lock["used"] == 4, lock
    found = evidence(server, lock["id"])
    assert values(found, "accounts") == {LOGIN: 2, OTHER: 1}, found
    mails = notices(server, 2)
    assert sorted(mails) == sorted((CONTACTS["customer"], CONTACTS["operator"])), mails.keys()
    assert "All accounts of: example" in mails[CONTACTS["operator"]][0].get_content()
    server.cli("customer", "unlock", "example")
    wait_for("the lock's end", lambda: not locks(server))
    lock, = locks(server, "--all")
    assert lock["ended"]["why"] == "unlock" and lock["ended"]["by"] == "uid=0", lock
