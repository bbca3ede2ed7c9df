"""Rules that pace, from acceptance to delivery: each mail waits for its turn, over a crash too."""
from harness import LOGIN, crlf, sample, wait_for


def send(server, count):
    with server.smtp() as client:
        for i in range(count):
            client.sendmail(LOGIN, [f"r{i}@example.net"], crlf(sample(subject=f"turn {i}")))


def wait_until_queued(server, count):
    """What was delivered leaves the queue when its outcome is on disk."""
    wait_for(f"{count} in the queue",
             lambda: len(server.ask("queue", "list")["messages"]) == count)


def test_each_mail_waits_for_its_turn(case):
    server = case.utpost(clock=True)
    server.cli("rule", "add", "account", "messages", "6/1h", "pace", "--account", LOGIN)
    send(server, 3)
    server.captured(1)
    wait_until_queued(server, 2)
    quota = server.ask("quota", LOGIN)["quota"]
    pace = next(line for line in quota if line["rule"].endswith("pace"))
    assert pace["used"] == 3 and pace["paced_until"], pace
    server.kill_all()
    server.start()
    wait_until_queued(server, 2)
    server.advance(9 * 60)
    wait_until_queued(server, 2)
    server.advance(2 * 60)
    server.captured(2)
    wait_until_queued(server, 1)
    server.advance(10 * 60)
    server.captured(3)


def test_the_prudent_profile(case):
    server = case.utpost(clock=True)
    server.cli("account", "set", LOGIN, "--profile", "prudent")
    send(server, 2)
    server.captured(1)
    wait_until_queued(server, 1)
    server.advance(11)
    server.captured(2)
