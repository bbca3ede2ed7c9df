"""Started as root with a user per role: each role has its own, and mail goes through."""
import os
import pwd

from harness import LOGIN, Skip, crlf, sample, without_trace

USERS = {"smtpd": "daemon", "delivery": "mail", "control": "www-data"}


def test_a_user_per_role(case):
    if os.getuid() != 0:
        raise Skip("only root can start it for several users")
    server = case.utpost(sections={"server": {f"{role}-user": user for role, user in USERS.items()}})
    pids = server.pids()
    for role, user in USERS.items():
        uids = next(line for line in open(f"/proc/{pids[role]}/status") if line.startswith("Uid:"))
        assert set(uids.split()[1:]) == {str(pwd.getpwnam(user).pw_uid)}, (role, uids)
        status = open(f"/proc/{pids[role]}/status").read()
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status, (role, status)
    small = sample("small")
    large = sample("large", body="".join(f"{i:>60}\n" for i in range(20_000)))
    with server.smtp() as s:
        s.sendmail(LOGIN, ["bo@example.net"], crlf(small), mail_options=["BODY=8BITMIME"])
        s.sendmail(LOGIN, ["bo@example.net"], crlf(large))
    got = sorted((without_trace(m) for m in server.captured(2)), key=len)
    assert got == [small, large]
    server.stop()
    server.start()
    with server.smtp() as s:
        s.sendmail(LOGIN, ["bo@example.net"], crlf(small), mail_options=["BODY=8BITMIME"])
    server.captured(3)
