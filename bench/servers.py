"""The servers that bench/run compares. Each is started and stopped by scripts beside this file
(utpost-start, postfix-start, ...), which say what they take from the environment."""
import os
import signal
import subprocess
import time

from measuring import HERE, Group, read, wait_until


class Server:
    def __init__(self, name, bench):
        self.name = name
        self.bench = bench
        self.group = Group(name)
        self.wishes = {}

    def environment(self):
        b = self.bench
        return {**os.environ, "PORT": str(b.port), "SINK_PORT": str(b.sink_port),
                "BENCH_DIR": str(b.state), **{k: str(v) for k, v in self.wishes.items()}}

    def start(self, **wishes):
        """MODE, HOLD, KEEP, RULES, POLICY ... Returns when the server answers."""
        self.begin(**wishes)
        if self.script.wait() != 0:
            raise RuntimeError(f"{self.name} did not start: {read(self.log)[-500:]}")

    def begin(self, **wishes):
        """Does not wait until it answers; finish() does."""
        self.wishes = wishes
        self.log = self.bench.state / f"{self.name}.start"
        self.since = time.monotonic_ns()
        with open(self.log, "w") as log:
            self.script = subprocess.Popen([HERE / f"{self.name}-start"], env=self.environment(),
                                           preexec_fn=self.group.enter, stdout=log, stderr=log)

    def finish(self):
        self.script.wait()

    def stop(self):
        try:
            subprocess.run([HERE / f"{self.name}-stop"], env=self.environment(), timeout=60,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            pass
        self.group.kill()

    def kill(self):
        """As a crash: SIGKILL for everything."""
        for pid in self.group.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        wait_until(lambda: not self.group.processes(), 10)


class Policy:
    """A policy service for Postfix: the smallest that counts, in a process of its own."""

    def __init__(self, bench):
        self.group = Group("policy")
        self.address = f"127.0.0.1:{bench.policy_port}"
        self.process = subprocess.Popen(["python3", HERE / "policy-count", str(bench.policy_port)],
                                        preexec_fn=self.group.enter)
        time.sleep(0.5)

    def stop(self):
        self.process.kill()
        self.process.wait()
