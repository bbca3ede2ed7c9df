"""Limits of people, through a running server: exact over a crash; locks, and their ends."""
import datetime
import re
import smtplib
import time
import zoneinfo

from harness import LOGIN, wait_for


def send(server, count):
    """One message to so many recipients: the refusals, by recipient."""
    to = [f"r{n}@example.net" for n in range(count)]
    with server.smtp() as s:
        try:
            return s.sendmail(LOGIN, to, f"From: {LOGIN}\r\nSubject: limits\r\n\r\nHello\r\n")
        except smtplib.SMTPRecipientsRefused as e:
            return e.recipients


def test_a_crash_forgets_nothing(case):
    server = case.utpost()
    server.cli("rule", "add", "account recipients 1000/1d defer", "--account", LOGIN)
    assert send(server, 999) == {}
    server.kill_all()
    server.start()
    assert send(server, 1) == {}
    (code, text), = send(server, 1).values()
    assert code == 450 and b"4.7.1 Sender rate exceeded, 1000/1d (max 1000). Works again " in text, text
    line, = server.ask("quota", LOGIN)["quota"]
    assert line["used"] == 1000 and line["left"] == 0 and line["free_at"], line


def test_a_lock_and_its_end(case):
    server = case.utpost()
    server.cli("rule", "add", "account messages 3/30m lock", "--account", LOGIN)
    for _ in range(3):
        assert send(server, 1) == {}
    try:
        send(server, 1)
        raise AssertionError("the fourth message was accepted")
    except smtplib.SMTPDataError as e:
        assert e.smtp_code == 550 and b"Message rate exceeded, 4/30m (max 3)" in e.smtp_error, e
    server.kill_all()
    server.start()
    refused_to_sign_in(server)
    server.cli("account", "set", LOGIN, "--language", "nb")
    refused_to_sign_in(server)
    server.cli("account", "unlock", LOGIN)
    deadline = time.monotonic() + 5
    while not signs_in(server):
        assert time.monotonic() < deadline, "the unlock has not come through"
        time.sleep(0.05)
    assert send(server, 1) == {}
    server.kill_all()
    server.start()
    assert send(server, 1) == {}


def signs_in(server):
    try:
        server.smtp().quit()
        return True
    except smtplib.SMTPAuthenticationError as e:
        assert e.smtp_code == 525 and b"5.7.13" in e.smtp_error, e
        return False


def refused_to_sign_in(server):
    assert not signs_in(server), "the account is not locked"


ZONES = ("America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Pacific/Marquesas", "Europe/Oslo")


def test_every_zone_of_the_system(case):
    """The moment at which it works again is told as the clock on the account's wall shows it."""
    server = case.utpost()
    server.cli("rule", "add", "account recipients 1/1d defer", "--account", LOGIN)
    assert send(server, 1) == {}
    for zone in ZONES:
        server.cli("account", "set", LOGIN, "--time-zone", zone)
        wait_for(f"a refusal in the time of {zone}", lambda: tells_time_of(server, zone))
    server.kill_all()
    server.start()
    assert tells_time_of(server, ZONES[-1])


def tells_time_of(server, zone):
    (_, text), = send(server, 1).values()
    day, clock, name = re.search(r"Works again (\S+) (\S+) (\S+),", text.decode()).groups()
    local = datetime.datetime.now(zoneinfo.ZoneInfo(zone)) + datetime.timedelta(days=1)
    told = datetime.datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=local.tzinfo)
    return abs(told - local) < datetime.timedelta(minutes=5) and name == local.tzname()


def test_a_zone_that_nobody_knows(case):
    server = case.utpost()
    for command in (("account", "set", LOGIN), ("customer", "set", "example")):
        wrong = server.cli(*command, "--time-zone", "Europe/Atlantis", check=False)
        assert wrong.returncode == 1 and "a time zone that the server knows" in wrong.stderr, wrong
    assert server.ask("account", "show", LOGIN)["time_zone"] is None
    shown = server.cli("config", "check", check=False)
    assert shown.returncode == 0, shown
    server.conf.write_text(server.conf.read_text() + "\n[notices]\ntime-zone = Europe/Atlantis\n")
    wrong = server.cli("config", "check", check=False)
    assert wrong.returncode != 0 and "`Europe/Atlantis` is no time zone" in wrong.stderr, wrong
