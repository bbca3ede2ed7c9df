"""What bench/run measures with: the load generator, the sink, a server's CPU, memory and syncs."""
import json
import mmap
import os
import pathlib
import signal
import struct
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE.parent / "build" / "bench"
CGROUPS = pathlib.Path("/sys/fs/cgroup")


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def wait_until(condition, seconds, every=0.01):
    """True as soon as condition() is; False when that did not happen in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


class Group:
    """A control group for a server's processes: their CPU time, ended ones included."""

    def __init__(self, name):
        self.is_v2 = (CGROUPS / "cgroup.controllers").exists()
        self.dir = (CGROUPS if self.is_v2 else CGROUPS / "cpuacct") / f"utpost-bench-{name}"
        if self.is_v2:
            (CGROUPS / "cgroup.subtree_control").write_text("+cpu")
        self.dir.mkdir(exist_ok=True)

    def enter(self):
        (self.dir / "cgroup.procs").write_text(str(os.getpid()))

    def processes(self):
        return [int(line) for line in read(self.dir / "cgroup.procs").split()]

    def cpu(self):
        """Seconds since the group was made."""
        if self.is_v2:
            return int(read(self.dir / "cpu.stat").split()[1]) / 1e6
        return int(read(self.dir / "cpuacct.usage") or 0) / 1e9

    def memory(self):
        """Octets that the processes hold for themselves, by what they are."""
        by_name = {}
        for pid in self.processes():
            words = read(f"/proc/{pid}/cmdline").split("\0")
            role = next((words[i + 1] for i, w in enumerate(words[:-1]) if w == "--role"), None)
            name = role or os.path.basename(words[0])
            for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith("Anonymous:"):
                    by_name[name] = by_name.get(name, 0) + int(line.split()[1]) * 1024
        return by_name

    def rest(self, seconds=10):
        """Waits until it uses less than 3 % of a core."""
        deadline, last = time.monotonic() + seconds, self.cpu()
        while time.monotonic() < deadline:
            time.sleep(0.3)
            now = self.cpu()
            if now - last < 0.01:
                return
            last = now

    def kill(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes():
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
            if wait_until(lambda: not self.processes(), 3):
                return


class Sink:
    """The receiver, and its counters."""
    NAMES = ("messages", "recipients", "octets", "connections", "open", "first", "last")

    def __init__(self, state, port):
        path = state / "sink.counters"
        path.unlink(missing_ok=True)
        self.process = subprocess.Popen([TOOLS / "sink", "--port", str(port), "--stats", path])
        if not wait_until(lambda: path.exists() and path.stat().st_size >= 4096, 5):
            raise RuntimeError(f"the sink did not start: is port {port} in use?")
        with open(path, "rb") as file:
            self.page = mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ)

    def get(self):
        return dict(zip(self.NAMES, struct.unpack("7Q", self.page[:56])))

    def stop(self):
        self.process.kill()
        self.process.wait()


class Syncs:
    """fsync and fdatasync calls of the whole machine, when perf can count them; else None."""
    EVENTS = "syscalls:sys_enter_fsync,syscalls:sys_enter_fdatasync"

    def __enter__(self):
        self.count = None
        try:
            self.perf = subprocess.Popen(["perf", "stat", "-x,", "-a", "-e", self.EVENTS],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            time.sleep(0.1)
        except OSError:
            self.perf = None
        return self

    def __exit__(self, *_):
        if not self.perf:
            return
        self.perf.send_signal(signal.SIGINT)
        lines = self.perf.communicate()[1].splitlines()
        counts = [line.split(",")[0] for line in lines if "sys_enter" in line]
        if counts and all(c.isdigit() for c in counts):
            self.count = sum(map(int, counts))


def options_of(**wishes):
    """Keywords as options: per_connection=10 is --per-connection 10, starttls=True --starttls."""
    out = []
    for name, value in wishes.items():
        if value is None or value is False:
            continue
        out.append("--" + name.replace("_", "-"))
        if value is not True:
            out.append(str(value))
    return out


def load(port, **wishes):
    """Runs the load generator to its end; its report."""
    run = subprocess.run([TOOLS / "load", "--port", str(port), *options_of(**wishes)],
                         capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"load: {run.stderr.strip()}")
    return json.loads(run.stdout)


class Idle:
    """Sessions that are signed on and do nothing, until stop()."""

    def __init__(self, port, **wishes):
        self.process = subprocess.Popen(
            [TOOLS / "load", "--port", str(port), "--idle", *options_of(**wishes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.report = json.loads(self.process.stdout.readline() or '{"idle": 0, "errors": -1}')

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
