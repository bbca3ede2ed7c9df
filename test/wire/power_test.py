"""Power cuts under load: the state is on an ext4 of its own, on a loop device. A cut stops every
thread of the daemon, takes that file system away (EXT4_IOC_SHUTDOWN without flushing its journal:
what was not synced is lost), kills the daemon, mounts it again, and starts. Every third time only
the disk fails, and the daemon runs on for a moment before it is killed. Then: what was acknowledged
is delivered, whole, and nothing is transmitted again but for what a cut explains (I1 to I4); the
ledger is sound, and has never told the journals that it is further than it is."""
import contextlib
import fcntl
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import time

from dns import Zone
from harness import LOGIN, Skip, crlf, sample, wait_for
from kill_test import Load, recipients_at, transmitted_without_need

EXT4_IOC_SHUTDOWN = 0x8004587D
GOING_FLAGS_NOLOGFLUSH = 2
DOMAINS = 6


class Disk:
    """An ext4 that can lose its power."""

    def __init__(self, case):
        if os.getuid() != 0:
            raise Skip("only root can mount a file system")
        if not shutil.which("mkfs.ext4"):
            raise Skip("mkfs.ext4 is missing")
        self.image = case.dir / "disk.img"
        self.mount_point = case.dir / "disk"
        self.mount_point.mkdir()
        with open(self.image, "wb") as f:
            f.truncate(512 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self.image)], check=True)
        why = self.mount()
        if why:
            raise Skip(f"no loop device can be mounted: {why}")
        case.at_end(self.unmount)

    def mount(self):
        done = subprocess.run(["mount", "-o", "loop", str(self.image), str(self.mount_point)],
                              capture_output=True, text=True)
        return done.stderr.strip() if done.returncode else None

    def unmount(self):
        with contextlib.suppress(AssertionError):
            wait_for("the file system to be free", lambda: subprocess.run(
                ["umount", str(self.mount_point)], capture_output=True).returncode == 0, 10)

    def cut(self):
        fd = os.open(self.mount_point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", GOING_FLAGS_NOLOGFLUSH))
        finally:
            os.close(fd)

    def power_on(self):
        self.unmount()
        why = self.mount()
        assert not why, f"the file system cannot be mounted again: {why}"


def positions_in(path):
    """How far the ledger had read by its database, from a copy: {journal: position}."""
    copy = path.parent.parent / "ledger-copy"
    copy.mkdir(exist_ok=True)
    for suffix in ("", "-wal"):
        (copy / f"ledger.db{suffix}").unlink(missing_ok=True)
        if path.with_name(path.name + suffix).exists():
            shutil.copy(path.with_name(path.name + suffix), copy / f"ledger.db{suffix}")
    with contextlib.closing(sqlite3.connect(copy / "ledger.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'positions'").fetchone():
            return {}  # the cut came before the first checkpoint
        return dict(db.execute("SELECT journal, position FROM positions"))


def told_in(path):
    """How far it has told the journals that it had read: its head file."""
    if not path.exists():
        return {}
    head = path.read_bytes()
    assert len(head) >= 96 and head[:4] == b"UTP1", "a torn head of the ledger"
    return dict(enumerate(struct.unpack("<3Q", head[24:48])))


def stop_all(server):
    """No thread of the daemon runs in user space when this returns: each is stopped, or in a system
    call that it cannot come back from before it is killed."""
    pids = [int(pid) for pid in server.session_pids()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    def stands(pid):
        states = [(path / "stat").read_text().rpartition(")")[2].split()[0]
                  for path in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        return "T" in states and set(states) <= {"T", "D"}
    wait_for("the daemon to stand still", lambda: all(stands(pid) for pid in pids))


def had_power(load, failures):
    """The recipients whose 250 was read while there was a disk. A sync that runs when the file
    system is shut down may still be told that all is well (jbd2_complete_transaction finds its
    transaction gone, and takes it for committed): who runs on sends a 250 that a machine without
    power would not."""
    return {recipient for recipient in load.acknowledged
            if not any(begin <= load.when[recipient] <= end for begin, end in failures)}


def look_at_ledger(state):
    database = state / "control/ledger.db"
    if not database.exists():
        return
    known = positions_in(database)
    for journal, position in told_in(state / "snapshot/control/ledger").items():
        assert position <= known.get(journal, 0), \
            f"the ledger was taken back to {known}, but told journal {journal} {position}"


def body_of(number):
    return f"line {number}\n" * (70_000 if number % 97 == 0 else 2000 if number % 10 == 0 else 100)


class Numbered(Load):
    """Its messages can be told from their number alone."""

    def message(self, number):
        return crlf(sample(f"number {number}", body=body_of(number)))


def assert_whole(sink):
    """I4: what arrived is what was sent, behind the trace field."""
    for _, _, body in sink.messages:
        number = int(re.search(rb"Subject: number (\d+)", body).group(1))
        sent = crlf(sample(f"number {number}", body=body_of(number)))
        assert body.startswith(b"Received: ") and body.endswith(sent), f"number {number} was changed"


def assert_ledger_has(state, acknowledged):
    """Every recipient that was acknowledged is in the ledger, delivered, counted once."""
    with contextlib.closing(sqlite3.connect(f"file:{state}/control/ledger.db?mode=ro", uri=True)) as db:
        states = {}
        for address, outcome in db.execute("SELECT address, state FROM recipients"):
            states.setdefault(address, []).append(outcome)
        wrong = {a: states.get(a) for a in acknowledged if states.get(a) != [1]}
        assert not wrong, f"{len(wrong)} in the ledger are not delivered once: {list(wrong.items())[:5]}"
        used, = db.execute("SELECT sum(recipients) FROM usage WHERE period = 86400").fetchone()
        assert used == len(states), (used, len(states))


def test_power_cuts_under_load(case):
    disk = Disk(case)
    sink = case.sink()
    dns = case.dns(*(Zone(f"d{i}.example", "@ MX 10 mx\nmx A 127.0.0.1\n") for i in range(DOMAINS)))
    server = case.utpost(sections={
        "server": {"state-dir": disk.mount_point / "state", "run-dir": case.dir / "run"},
        "submission": {"max-sessions-per-address": "0", "max-sessions-per-account": "0",
                       "min-free-space": "1M"},
        "journal": {"segment-size": "1M", "max-waste": "1M"},
        "delivery": {"transport": "direct", "direct-port": sink.port, "allow-private": "yes",
                     "retry-first": "1s", "retry-longest": "2s"},
        "resolver": {"forward": dns.forward},
        "log": {"level": "warning"}})
    server.cli("credential", "add", LOGIN, "--address", "127.0.0.1")

    def recipients_of(number):
        return [f"r{number}@d{(number + i) % DOMAINS}.example" for i in range(2 if number % 3 == 0 else 1)]
    load = Numbered(server, sink, recipients_of)
    state = disk.mount_point / "state"
    random.seed(2)
    cut_at = []  # when outcomes may have been lost
    failures = []  # of the disk alone: (before it, before the start after it)
    for cut in range(case.options.cuts):
        is_disk_alone = cut % 3 == 2
        wait_for("load", lambda goal=len(load.acknowledged) + 20: len(load.acknowledged) >= goal, 60)
        time.sleep(random.random() * 0.3)
        begin = time.monotonic()
        cut_at.append(begin)
        if not is_disk_alone:
            stop_all(server)
        disk.cut()
        cut_at.append(time.monotonic())
        if is_disk_alone:
            time.sleep(random.choice((0, 0, 0.05)))
        server.kill_all()
        cut_at.append(time.monotonic())
        disk.power_on()
        look_at_ledger(state)
        if is_disk_alone:
            failures.append((begin, time.monotonic()))  # a later 250 is of the next life
        server.start()
    load.stop()
    acknowledged = had_power(load, failures)
    try:
        wait_for("all acknowledged messages to arrive", lambda: acknowledged <= set(recipients_at(sink)), 60)
    except AssertionError:
        lost = sorted(acknowledged - set(recipients_at(sink)))
        raise AssertionError(f"{len(lost)} of {len(acknowledged)} acknowledged are not delivered: {lost[:10]}\n"
                             f"{server.cli('queue', 'list', check=False).stdout[:2000]}\n"
                             f"{server.log()[-3000:]}") from None
    try:
        wait_for("the queue to be empty", lambda: not server.ask("queue", "list")["messages"], 60)
    except AssertionError as late:
        raise AssertionError(f"{late}\n{server.cli('queue', 'list', json_=True).stdout[:3000]}\n"
                             f"{server.cli('status').stdout}\n{server.log()[-3000:]}") from None
    assert_whole(sink)
    got = recipients_at(sink)
    print(f"    {case.options.cuts} cuts, {len(acknowledged)} acknowledged (and "
          f"{len(load.acknowledged) - len(acknowledged)} while the disk was gone), {len(set(got))} delivered, "
          f"{len(got) - len(set(got))} transmitted again (I3)", flush=True)
    strange = transmitted_without_need(got, sink.times, cut_at)
    assert not strange, f"transmitted again, and no cut explains it: {strange}"
    time.sleep(0.5)

    def ledger_is_up():
        with contextlib.suppress(AssertionError):
            assert_ledger_has(state, acknowledged)
            return True
    try:
        wait_for("the ledger to have it all", ledger_is_up, 20)
    except AssertionError:
        assert_ledger_has(state, acknowledged)
    server.stop()


test_power_cuts_under_load.seconds = 300
