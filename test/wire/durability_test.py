"""Accepted means on disk: seen from outside, with strace."""
import re
import subprocess

from harness import LOGIN, crlf, sample, wait_for

CALL = re.compile(r"^(\d+) +([\d.]+) (?:<\.\.\. )?(\w+)(.*)$")


def test_the_sync_precedes_each_250(case):
    """Every `250 … Queued as` is written after an fdatasync of the journal that began after the
    message's record was written, and that has returned 0."""
    server = case.utpost(sections={"server": {"sandbox": "no"}})
    trace = case.dir / "trace"
    tracer = subprocess.Popen(
        ["strace", "-f", "-ttt", "-y", "-s", "256", "-o", str(trace), "-p", str(server.pids()["smtpd"]),
         "-e", "trace=write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,sendto,sendmsg"],
        stderr=subprocess.PIPE, text=True)
    assert "attached" in tracer.stderr.readline()
    # Without TLS the reply is readable: sign in by address on the port that allows it.
    server.cli("credential", "add", LOGIN, "--address", "127.0.0.1")
    import smtplib
    def signed_in():
        with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=20) as s:
            s.ehlo()
            return s.mail(LOGIN)[0] == 250
    wait_for("the address credential", signed_in)
    count = 20
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=20) as s:
        for i in range(count):
            s.sendmail(LOGIN, ["bo@example.net"], crlf(sample(f"durable {i}")))
    tracer.terminate()
    tracer.wait()

    written = synced = sync_began = 0
    replies = 0
    pending = {}
    for line in trace.read_text(errors="replace").splitlines():
        found = CALL.match(line)
        if not found:
            continue
        thread, _, call, rest = found.groups()
        if call.startswith("pwrite") and "journal/smtpd" in rest:
            written += 1
        elif call in ("fdatasync", "fsync"):
            if "journal/smtpd" in rest and "resumed" not in rest:
                pending[thread] = written
                sync_began += 1
            done = rest.rstrip().endswith("= 0") or "= 0" in rest
            if done and thread in pending:
                synced = max(synced, pending.pop(thread))
        elif "Queued as" in rest:
            replies += 1
            assert synced == written and written > 0, f"acknowledged before its sync: {line}"
    assert replies == count, f"{replies} of {count} acknowledgements seen"
    assert sync_began >= count


def test_syncs_are_shared(case):
    """Group commit: 40 clients at once need far fewer syncs than messages."""
    import threading
    server = case.utpost(sections={"submission": {"max-sessions-per-account": "0"}})
    before = server.ask("status")["roles"]["smtpd"]["says"]["journal"]

    def client():
        with server.smtp() as s:
            for i in range(10):
                s.sendmail(LOGIN, ["bo@example.net"], crlf(sample()))
    threads = [threading.Thread(target=client) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = server.ask("status")["roles"]["smtpd"]["says"]["journal"]
    records = after["records"] - before["records"]
    syncs = after["syncs"] - before["syncs"]
    assert records >= 400, records
    assert syncs < records, (syncs, records)
