"""Limits of the real server against a log of every recipient that it ever took: never one above a
window, and no refusal that the log does not explain within w/256. Messages that are aborted,
crashes, clocks that are set and rules that change are among the steps."""
import random

from harness import wait_for
from scenarios_test import MAIL, House

RULES = (("recipients", "1m", 60, 12), ("recipients", "10m", 600, 40), ("recipients", "2h", 7200, 90))
STEPS = 120


class Log:
    """Every recipient that was accepted, and the rules with the moment since when they count."""

    def __init__(self):
        self.accepted = []  # moments of the clock since boot, in seconds
        self.rules = {}     # name: (window, max, since)

    def used(self, now, window, since=0.0):
        return sum(1 for t in self.accepted if t > now - window and t >= since)

    def may_accept(self, now, held):
        return all(self.used(now, w, since) + held + 1 <= most for w, most, since in self.rules.values())

    def may_refuse(self, now, held):
        return any(self.used(now, w + w / 256 + 1e-6) + held + 1 > most
                   for w, most, _ in self.rules.values())


class Trace:
    def __init__(self, case, seed):
        self.random = random.Random(seed)
        self.house = House(case, None)
        self.account = self.house.account()
        self.log = Log()
        self.accepted = self.refused = 0
        for index in range(len(RULES)):
            self.set_rule(index, RULES[index][3])

    def now(self):
        return self.house.server.clock.ahead / 1e9

    def set_rule(self, index, most):
        unit, name, window, _ = RULES[index]
        self.house.server.cli("rule", "add", f"account {unit} {most}/{name} defer",
                              "--account", self.account.login)
        wait_for("the rule to hold", lambda: any(
            line["rule"] == f"account {unit} {most}/{name} defer" and line["max"] == most
            for line in self.house.server.ask("quota", self.account.login)["quota"]))
        since = self.log.rules.get(name, (0, 0, self.now()))[2]
        self.log.rules[name] = (window, most, since)

    def message(self):
        """One message: each answer to RCPT is what the log says; then the end, or an abort."""
        fate = self.random.choice(("end", "end", "end", "abort", "reset"))
        with self.account.open() as wire:
            wire.expect(f"MAIL FROM:<{self.account.login}>", 250)
            held = 0
            for _ in range(self.random.randint(1, 30)):
                code, text = wire.command(f"RCPT TO:<r{held}@example.net>")
                if code == 250:
                    assert self.log.may_accept(self.now(), held), f"accepted beyond the log: {text}"
                    held += 1
                else:
                    assert code == 450, (code, text)
                    assert self.log.may_refuse(self.now(), held), f"no reason for: {text}"
                    self.refused += 1
                if self.random.random() < 0.05:
                    self.house.go(self.random.uniform(0, 20))
            if held and fate == "end":
                wire.expect("DATA", 354)
                self.house.go(self.random.uniform(0, 5))
                wire.expect(MAIL + ".", 250)
                self.log.accepted += [self.now()] * held
                self.accepted += held
            elif fate == "reset":
                wire.expect("RSET", 250)

    def step(self):
        match self.random.choices(("mail", "wait", "crash", "set", "rule"), (60, 30, 4, 3, 3))[0]:
            case "mail":
                self.message()
            case "wait":
                self.house.go(self.random.choice((0.3, 1.7, 13, 31.9, 64, 290, 1300)) *
                              self.random.uniform(0.5, 1.5))
            case "crash":
                self.house.server.kill_all()
                self.house.server.start()
            case "set":
                self.house.server.step(self.random.choice((-86400, -3600, 3600, 86400)))
            case "rule":
                index = self.random.randrange(len(RULES))
                self.set_rule(index, self.random.randint(1, RULES[index][3]))


def follow(case, seed):
    trace = Trace(case, seed)
    for _ in range(STEPS):
        trace.step()
    assert trace.accepted > 50 and trace.refused > 50, (trace.accepted, trace.refused)


def test_first_trace(case):
    follow(case, 1)


def test_second_trace(case):
    follow(case, 2)


def test_third_trace(case):
    follow(case, 3)
