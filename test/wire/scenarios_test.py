"""The services of the presets as their customers meet them: every number at its edge, through
SMTP, under the test clock; and the moment that a refusal names is kept to the second."""
import calendar
import re
import time

from harness import Wire

DAY = 86400
MAIL = "From: a@example.com\r\nSubject: edge\r\n\r\nHello\r\n"


class House:
    """A server whose clock stands still, and accounts to try its rules on."""

    def __init__(self, case, preset, **options):
        self.server = case.utpost(clock=True, account=False, **options)
        # Away from the midnight and the end of the month that a second may fall behind.
        self.server.freeze(float(int(self.server.now()) // DAY * DAY + 8 * 3600))
        self.preset = preset
        self.made = 0

    def account(self, *rules, customer="example", options=()):
        self.made += 1
        login = f"a{self.made}@example.com"
        self.server.add_account(login, "secret of mine", customer, "--senders", "any", *options)
        if self.preset:
            self.server.cli("preset", "apply", self.preset, "--account", login)
        for rule in rules:
            self.server.cli("rule", "add", rule, "--account", login)
        return Account(self, login)

    def go(self, seconds):
        self.server.advance(seconds)

    def go_to(self, moment):
        assert moment >= self.server.now(), "the moment has passed"
        self.go(moment - self.server.now())


class Account:
    def __init__(self, house, login):
        self.house, self.login = house, login

    def open(self):
        wire = Wire(self.house.server.ports["submission"])
        wire.hello()
        code, text = wire.sign_in(self.login, "secret of mine")
        assert code == 235, (code, text)
        return wire

    def mail(self, wire, recipients, text=MAIL, size=None):
        """One message: the refusals in the order of their recipients, then that of the message
        itself; [] when everything was accepted."""
        wire.expect(f"MAIL FROM:<{self.login}>" + (f" SIZE={size}" if size else ""), 250)
        wire.send("".join(f"RCPT TO:<r{n}@example.net>\r\n" for n in range(recipients)))
        answers = [wire.reply() for _ in range(recipients)]
        refused = [a for a in answers if a[0] != 250]
        if len(refused) == recipients:
            wire.expect("RSET", 250)
            return refused
        code, said = wire.command("DATA")
        assert code == 354, (code, said)
        wire.send(text + ".\r\n")
        end = wire.reply()
        return refused + ([end] if end[0] != 250 else [])

    def send(self, recipients=1, messages=1):
        """So many messages in one session; every refusal."""
        refused = []
        with self.open() as wire:
            for _ in range(messages):
                refused += self.mail(wire, recipients)
        return refused

    def fill(self, recipients, gap, times=1):
        """Messages so far apart that shorter rules have forgotten the one before."""
        for _ in range(times):
            assert self.send(recipients) == []
            self.house.go(gap)


def named_moment(text):
    """The moment that a refusal names, in seconds since 1970."""
    found = re.search(r"Works again (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", text)
    assert found, f"no moment in: {text}"
    return calendar.timegm(time.strptime(found.group(1), "%Y-%m-%d %H:%M:%S"))


def begins(answer, code, text):
    assert answer[0] == code and answer[1].startswith(text), (answer, code, text)


def is_lifted_when_said(house, one, other, text):
    """Two accounts alike were both refused: the first is refused once more a second before the
    moment, the other is let through at it."""
    (first,), (second,) = one.send(), other.send()
    begins(first, 450, text)
    begins(second, 450, text)
    moment = named_moment(second[1])
    house.go_to(moment - 1)
    assert one.send()[0][0] == 450, "it worked before the moment that was named"
    house.go_to(moment)
    assert other.send() == [], "it did not work at the moment that was named"


def test_p1_minute(case):
    house = House(case, "personal-mailbox")
    pair = house.account(), house.account()
    for account in pair:
        assert account.send(50) == []
    house.go(2)
    is_lifted_when_said(house, *pair, "4.7.1 Sender rate exceeded, 51/1m (max 50)")
    part = house.account()
    assert part.send(30) == []
    house.go(2)
    refused = part.send(25)
    assert len(refused) == 5, "with 20 left in the minute, 20 of 25 are accepted"
    begins(refused[0], 450, "4.7.1 Sender rate exceeded, 51/1m (max 50)")


def test_p1_hour(case):
    house = House(case, "personal-mailbox")
    pair = house.account(), house.account()
    for _ in range(4):
        for account in pair:
            assert account.send(50) == []
        house.go(61)
    is_lifted_when_said(house, *pair, "4.7.1 Sender rate exceeded, 201/1h (max 200)")


def test_p1_day(case):
    house = House(case, "personal-mailbox")
    pair = house.account(), house.account()
    for _ in range(5):
        for _ in range(4):
            for account in pair:
                assert account.send(50) == []
            house.go(61)
        house.go(3600)
    is_lifted_when_said(house, *pair, "4.7.1 Sender rate exceeded, 1001/1d (max 1000)")


def test_p1_second(case):
    house = House(case, "personal-mailbox")
    account = house.account()
    (refused,) = account.send(1, messages=2)
    begins(refused, 450, "4.7.1 Message rate exceeded, 2/1s (max 1)")


def test_p1_texts(case):
    house = House(case, "personal-mailbox")
    account = house.account("account recipients 1000/1m attempts defer",
                            "account recipients 1000/1h attempts defer",
                            options=("--language", "nb"))
    (refused,) = account.send(101)
    begins(refused, 452, "4.5.3 ")
    assert "Max 100 recipients permitted per message" in refused[1], refused
    house.go(DAY + DAY // 256 + 1)
    account.fill(100, 3600 + 15, times=10)
    with account.open() as wire:
        wire.expect(f"MAIL FROM:<{account.login}>", 250)
        for _ in range(300):
            refused = wire.command("RCPT TO:<late@example.net>")
    begins(refused, 450, "4.7.1 For mange epost pr dag/Sender rate exceeded, 1300/1d (max 1000)")
    assert "if nothing is tried before" in refused[1] and named_moment(refused[1]), refused


def test_p2(case):
    house = House(case, "presumed-hijack")
    account, calm = house.account(), house.account()
    assert account.send(messages=500) == []
    assert calm.send(messages=500) == []
    house.go(1799)
    (locked,) = account.send()
    begins(locked, 550, "5.7.1 ")
    assert "501/30m (max 500)" in locked[1], locked
    house.go(1 + 1800 / 256)
    assert calm.send() == [], "half an hour later the window is empty again"
    with Wire(house.server.ports["submission"]) as wire:
        wire.hello()
        code, text = wire.sign_in(account.login, "secret of mine")
        assert code == 525 and "5.7.13" in text, (code, text)
    many = house.account()
    refused = many.send(5001)
    assert len(refused) == 1
    begins(refused[0], 452, "4.5.3 ")
    assert "5000 recipients per message" in refused[0][1], refused


def test_p3_five_minutes(case):
    house = House(case, "web-hosting")
    account, wide = house.account(), house.account()
    assert account.send(messages=25) == []
    (refused,) = account.send()
    begins(refused, 450, "4.7.1 Message rate exceeded, 25/5m (max 25)")
    assert wide.send(250) == []
    (also,) = wide.send()
    begins(also, 450, "4.7.1 Sender rate exceeded, 250/5m (max 250)")
    moment = named_moment(refused[1])
    house.go_to(moment - 1)
    assert account.send()[0][0] == 450
    house.go_to(moment)
    assert account.send() == []
    house.go_to(max(moment, named_moment(also[1])))
    assert wide.send() == []


def test_p3_day_and_month(case):
    house = House(case, "web-hosting")
    account = house.account()
    for day in range(5):
        for _ in range(4):
            assert account.send(250) == []
            house.go(303)
        (refused,) = account.send()
        if day < 4:
            begins(refused, 450, "4.7.1 Sender rate exceeded, 1000/1d (max 1000)")
            house.go(DAY + DAY / 256)
    begins(refused, 450, "4.7.1 Sender rate exceeded, ")
    moment = named_moment(refused[1])
    house.go_to(moment - 1)
    assert account.send()[0][0] == 450
    house.go_to(moment)
    assert account.send() == []


def test_p3_customer(case):
    house = House(case, None)
    one, other = house.account(), house.account()
    house.server.cli("preset", "apply", "web-hosting", "--customer", "example")
    stranger = house.account(customer="else")
    for _ in range(5):
        assert one.send(messages=25) == []
        assert other.send(messages=25) == []
        house.go(303)
    (refused,) = one.send()
    begins(refused, 450, "4.7.1 ")
    assert "250/1h (max 250)" in refused[1], refused
    assert stranger.send() == [], "another customer is not concerned"
    moment = named_moment(refused[1])
    house.go_to(moment - 1)
    assert other.send()[0][0] == 450
    house.go_to(moment)
    assert other.send() == []
    house.go(2 * DAY)
    for _ in range(3):
        assert one.send(250) == []
        assert other.send(250) == []
        house.go(303)
    (refused,) = other.send()
    begins(refused, 450, "4.7.1 ")
    assert "1500/1h (max 1500)" in refused[1], refused
