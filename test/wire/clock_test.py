"""The test clock itself: a real daemon whose clocks are moved."""
from harness import LOGIN, crlf, sample


def test_timers_and_windows_follow_the_clock(case):
    server = case.utpost(clock=True)
    server.freeze()
    server.cli("rule", "add", "account recipients 1/31d defer", "--account", LOGIN)
    with server.smtp() as s:
        assert s.sendmail(LOGIN, ["bo@example.net"], crlf(sample())) == {}
    assert server.ask("quota", LOGIN)["quota"][0]["left"] == 0
    with server.smtp() as idle:
        server.advance(32 * 86400)
        code, text = idle.getreply()
        assert code == 421, text
    assert server.ask("quota", LOGIN)["quota"][0]["left"] == 1
    assert server.stop() == 0
