"""`make run` and `make demo-mail`, as a person types them."""
import os
import signal
import subprocess

from harness import ROOT, free_port, wait_for


def test_quick_start(case):
    ports = {"SUBMISSION_PORT": str(free_port()), "SUBMISSIONS_PORT": str(free_port())}
    env = {**os.environ, "UTPOST_DEMO": str(case.dir / "demo"), **ports}
    captured = case.dir / "demo/state/capture/new"

    def run():
        out = open(case.dir / "out", "w")
        demo = subprocess.Popen(["tools/demo", "run"], cwd=ROOT, env=env, stdout=out, stderr=out,
                                start_new_session=True)
        case.at_end(lambda: demo.poll() is None and os.killpg(demo.pid, signal.SIGKILL))
        text = wait_for("the settings", lambda: (t := (case.dir / "out").read_text()) and
                        "Ctrl-C" in t and t, 30)
        return demo, text

    demo, text = run()
    assert "STARTTLS" in text and "curl" in text and str(captured) in text, text
    subprocess.run(["make", "demo-mail"], cwd=ROOT, env=env, check=True, capture_output=True)
    wait_for("the demo mail", lambda: captured.exists() and len(list(captured.iterdir())) == 1)
    password = (case.dir / "demo/password").read_text()
    os.killpg(demo.pid, signal.SIGINT)  # what Ctrl-C does
    assert demo.wait(40) == 0, (case.dir / "out").read_text()

    demo, text = run()  # the state is kept
    assert (case.dir / "demo/password").read_text() == password
    subprocess.run(["make", "demo-mail"], cwd=ROOT, env=env, check=True, capture_output=True)
    wait_for("both mails", lambda: len(list(captured.iterdir())) == 2)
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.wait(40) == 0
