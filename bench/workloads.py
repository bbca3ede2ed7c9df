"""The workloads of bench/run: what each does to one server and what it measures."""
import smtplib
import statistics
import time

import measuring
from measuring import Idle, Sink, Syncs, load, wait_until
from servers import Policy

LOGIN = {"starttls": True, "login": "user%d@x.test", "password": "benchpass"}


def warm_up(bench, sink, wishes, cold=False):
    """Processes are forked, files made, connections open before anything is measured, and (unless
    cold) each of the hundred accounts has signed in once."""
    extra = {k: wishes[k] for k in ("starttls", "login", "password") if k in wishes}
    once = {"messages": 100, "per_connection": 1} if extra and not cold else {"messages": 20}
    done = load(bench.port, sessions=10, size=1024, **once, **extra)
    if sink:
        wait_until(lambda: sink.get()["recipients"] >= done["accepted"], 15)


def transfer(bench, server, start, relay=True, cold=False, **wishes):
    """Load, and with relay also until all of it is at the receiver."""
    recipients = wishes.get("recipients", 1)
    sink = Sink(bench.state, bench.sink_port)
    try:
        server.start(**start)
        warm_up(bench, sink if relay else None, wishes, cold)
        server.group.rest(5)
        before, cpu = sink.get(), server.group.cpu()
        with Syncs() as syncs:
            report = load(bench.port, limit=bench.limit, **wishes)
            accept_cpu = server.group.cpu() - cpu
            want = report["accepted"] * recipients
            arrived = lambda: sink.get()["recipients"] - before["recipients"]
            if relay:
                wait_until(lambda: arrived() >= want, bench.limit - report["seconds"])
            server.group.rest(30)
            rested = time.monotonic_ns()
        after, cpu = sink.get(), server.group.cpu() - cpu
        messages = max(1, report["accepted"])
        row = {"messages": report["accepted"], "accept": report["rate"],
               "p50_ms": report["p50_ms"], "p99_ms": report["p99_ms"],
               "refused": report["refused_for_now"] + report["refused_for_good"],
               "errors": report["errors"], "cpu_ms": 1000 * cpu / messages,
               "accept_cpu_ms": 1000 * accept_cpu / messages}
        if syncs.count is not None:
            row["syncs"] = syncs.count / messages
        if relay:
            seconds = (after["last"] - report["start_ns"]) / 1e9
            row["books_s"] = max(0, (rested - after["last"]) / 1e9 - 0.3)
            row["missing"] = want - arrived()
            row["end_to_end"] = arrived() / recipients / seconds if seconds > 0 else 0
        return row
    finally:
        server.stop()
        sink.stop()


def relay(bench, server, messages, **wishes):
    return transfer(bench, server, {"MODE": "plain"}, messages=messages, **wishes)


def accept(bench, server, messages, **wishes):
    return transfer(bench, server, {"MODE": "plain", "HOLD": 1}, relay=False, messages=messages,
                    **wishes)


def tls_auth(bench, server, messages, cold=False, **wishes):
    return transfer(bench, server, {"MODE": "auth"}, cold=cold, messages=messages, **LOGIN,
                    **wishes)


def rules(bench, server, messages, **wishes):
    """With the limits of web hosting, set so high that nothing is refused; Postfix asks the
    smallest policy service that counts."""
    if server.name == "utpost":
        return transfer(bench, server, {"MODE": "plain", "RULES": "web-hosting"},
                        messages=messages, **wishes)
    policy = Policy(bench)
    try:
        cpu = policy.group.cpu()
        row = transfer(bench, server, {"MODE": "plain", "POLICY": policy.address},
                       messages=messages, **wishes)
        row["policy_cpu_ms"] = 1000 * (policy.group.cpu() - cpu) / max(1, row["messages"])
        return row
    finally:
        policy.stop()


def deliver(bench, server, messages, **wishes):
    """A queue that is there already leaves: from the first message to the last at the receiver."""
    try:
        server.start(MODE="plain", HOLD=1)
        accepted = load(bench.port, limit=bench.limit, messages=messages, **wishes)["accepted"]
        server.group.rest(5)
        server.stop()
        sink = Sink(bench.state, bench.sink_port)
        try:
            cpu = server.group.cpu()
            server.start(MODE="plain", KEEP=1)
            wait_until(lambda: sink.get()["messages"] >= accepted, bench.limit)
            end, cpu = sink.get(), server.group.cpu() - cpu
        finally:
            sink.stop()
        seconds = max(1e-6, (end["last"] - end["first"]) / 1e9)
        return {"messages": end["messages"], "missing": accepted - end["messages"],
                "deliver": end["messages"] / seconds, "cpu_ms": 1000 * cpu / max(1, accepted)}
    finally:
        server.stop()


def idle(bench, server, sessions, tls=False):
    """Memory of the server for a session that has signed on and does nothing."""
    wishes = LOGIN if tls else {}
    try:
        server.start(MODE="auth" if tls else "plain", PROCESSES=sessions + 100)
        # The first sessions pay for what all share.
        Idle(bench.port, sessions=50, **wishes).stop()
        server.group.rest(5)
        before = server.group.memory()
        held = Idle(bench.port, sessions=sessions, limit=bench.limit, **wishes)
        server.group.rest(10)
        after = server.group.memory()
        held.stop()
        count = max(1, held.report["idle"])
        grown = {k: after[k] - before.get(k, 0) for k in after}
        return {"sessions": held.report["idle"], "errors": held.report["errors"],
                "seconds": held.report["seconds"],
                "octets_per_session": sum(grown.values()) / count}
    finally:
        server.stop()


def send_one(port, seconds):
    """One message as soon as the server takes it: the time of its 250 (ns)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=seconds) as client:
                client.sendmail("s@x.test", ["first@example.test"],
                                "Subject: the first one\r\n\r\nHello\r\n")
                return time.monotonic_ns()
        except (OSError, smtplib.SMTPException):
            time.sleep(0.005)
    raise RuntimeError("no message was accepted after the restart")


def restart(bench, server):
    """Seconds from the start of the processes to the first 250, and to the first delivery of
    what was queued."""
    sink = Sink(bench.state, bench.sink_port)
    try:
        server.begin(MODE="plain", KEEP=1)
        first = send_one(bench.port, 60)
        wait_until(lambda: sink.get()["first"], 60, 0.005)
        out = (first - server.since) / 1e9, (sink.get()["first"] - server.since) / 1e9
        server.finish()
        return out
    finally:
        sink.stop()


def fill(bench, server, messages, recipients, wishes):
    """An empty queue, held back, is filled: its memory before, and the load's report."""
    server.start(MODE="plain", HOLD=1)
    warm_up(bench, None, wishes)
    server.group.rest(5)
    before = server.group.memory()
    return before, load(bench.port, limit=bench.limit, messages=messages, recipients=recipients,
                        **wishes)


def queue(bench, server, messages, recipients=1, fills=1, **wishes):
    """A growing queue: memory per recipient, whether accepting stays as fast (the tenths of all
    fills: one alone says more of the disk at that moment), and how long a start takes with it:
    after a stop, and after a kill of everything."""
    try:
        tenths = []
        for left in reversed(range(fills)):
            before, report = fill(bench, server, messages, recipients, wishes)
            if report["accepted"] < messages:
                raise RuntimeError(f"only {report['accepted']} messages were accepted in time")
            tenths.append(report["segments"])
            if left:
                server.stop()
        server.group.rest(15)
        after = server.group.memory()
        server.stop()
        total = report["accepted"] * recipients
        rates = [messages / 10 / statistics.mean(seconds) for seconds in zip(*tenths)]
        row = {"messages": report["accepted"], "recipients": report["accepted"] * recipients,
               "accept": report["rate"], "last_to_first": rates[-1] / rates[0],
               "slowest_to_median": min(rates) / statistics.median(rates),
               "octets_per_recipient": (after.get("delivery", 0) - before.get("delivery", 0)) / total,
               "octets_per_recipient_smtpd": (after.get("smtpd", 0) - before.get("smtpd", 0)) / total}
        server.wishes = {"MODE": "plain", "KEEP": 1}
        row["restart_first_250"], row["restart_delivering"] = restart(bench, server)
        server.kill()
        row["crash_first_250"], row["crash_delivering"] = restart(bench, server)
        return row
    finally:
        server.stop()


BOTH = ("utpost", "postfix")

# name: (what it is, function, servers, messages of each, other arguments); what matters most
# first, so that little is lost when the time is up
WORKLOADS = {
    "relay-100": ("accept and relay, 100 sessions, 10 KB", relay, BOTH,
                  {"utpost": 40000, "postfix": 4000}, {"sessions": 100}),
    "rules": ("accept and relay with the limits of web hosting (Postfix: a policy service)", rules,
              BOTH, {"utpost": 40000, "postfix": 4000}, {"sessions": 100}),
    "accept": ("accept only, 100 sessions, 10 KB, nothing is delivered", accept, BOTH,
               {"utpost": 40000, "postfix": 4000}, {"sessions": 100}),
    "recipients": ("accept and relay, 100 recipients per message, 10 sessions, 10 KB", relay, BOTH,
                   {"utpost": 2000, "postfix": 200}, {"sessions": 10, "recipients": 100}),
    "tls-auth": ("STARTTLS, and AUTH of accounts that signed in before, 10 messages per connection, 100 sessions, 10 KB", tls_auth,
                 BOTH, {"utpost": 10000, "postfix": 2000}, {"sessions": 100, "per_connection": 10}),
    "queue-100k": ("100,000 queued recipients, one per message, 1 KB", queue, ("utpost",),
                   {"utpost": 100000}, {"sessions": 100, "size": 1024, "fills": 10}),
    "idle-plain": ("memory of idle sessions", idle, ("utpost",), {}, {"sessions": 10000}),
    "idle-tls": ("memory of idle sessions, TLS, signed in", idle, ("utpost",), {},
                 {"sessions": 4000, "tls": True}),
    "deliver": ("deliver only: a queue of 10 KB messages leaves", deliver, BOTH,
                {"utpost": 30000, "postfix": 3000}, {"sessions": 100}),
    "relay-10": ("accept and relay, 10 sessions, 10 KB", relay, BOTH,
                 {"utpost": 20000, "postfix": 3000}, {"sessions": 10}),
    "relay-100-1k": ("accept and relay, 100 sessions, 1 KB", relay, BOTH,
                     {"utpost": 40000, "postfix": 4000}, {"sessions": 100, "size": 1024}),
    "relay-10-1k": ("accept and relay, 10 sessions, 1 KB", relay, BOTH,
                    {"utpost": 20000, "postfix": 3000}, {"sessions": 10, "size": 1024}),
    "relay-100-100k": ("accept and relay, 100 sessions, 100 KB", relay, BOTH,
                       {"utpost": 8000, "postfix": 2000}, {"sessions": 100, "size": 102400}),
    "relay-10-100k": ("accept and relay, 10 sessions, 100 KB", relay, BOTH,
                      {"utpost": 6000, "postfix": 2000}, {"sessions": 10, "size": 102400}),
    "queue-1m": ("1,000,000 queued recipients, one per message, 1 KB", queue, ("utpost",),
                 {"utpost": 1000000}, {"sessions": 100, "size": 1024}),
    "queue-1m-10": ("1,000,000 queued recipients, ten per message, 1 KB", queue, ("utpost",),
                    {"utpost": 100000}, {"sessions": 100, "size": 1024, "recipients": 10}),
    "cold-auth": ("as tls-auth, but no account has signed in before", tls_auth, BOTH,
                  {"utpost": 10000, "postfix": 2000},
                  {"sessions": 100, "per_connection": 10, "cold": True}),
}

# These take long, or say little more a second time: one repetition is enough.
ONCE = {"queue-1m", "queue-1m-10", "cold-auth", "relay-10-1k", "relay-10-100k"}
