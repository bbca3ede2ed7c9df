"""harness: real processes for the wire tests: utpostd, Postfix, a scripted SMTP receiver.

Everything runs on loopback with ports that were free a moment before, below one temporary
directory per case that is removed when the case has passed."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("UTPOST_BUILD", ROOT / "build"))
LOGIN = "anna@example.com"
PASSWORD = "correct horse battery"


class Skip(Exception):
    """A case cannot run here; its text says what is missing."""


GIVEN_PORTS = set()


def free_port():
    """One that nobody has, and that was not given to anybody before."""
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        if port not in GIVEN_PORTS:
            GIVEN_PORTS.add(port)
            return port


def wait_for(what, condition, seconds=20):
    """Polls until the condition gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


class Case:
    """What one test case owns: a directory and things to stop at its end."""

    def __init__(self, name, options):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"utpost-{name}-", dir="/var/tmp"))
        self.dir.chmod(0o755)
        self.options = options
        self._stack = contextlib.ExitStack()

    def at_end(self, fn, *args):
        self._stack.callback(fn, *args)

    def close(self, keep):
        try:
            self._stack.close()
        finally:
            if not keep:
                shutil.rmtree(self.dir, ignore_errors=True)

    def utpost(self, **options):
        return Utpost(self, **options)

    def postfix(self, **options):
        server = Postfix(self, **options)
        self.at_end(server.stop)
        return server

    def dns(self, *zones):
        """A real name server; see dns.py for Zone."""
        import dns
        server = dns.Dns(self.dir / "dns", zones)
        self.at_end(server.stop)
        return server

    def sink(self, **options):
        server = Sink(**options)
        self.at_end(server.stop)
        return server


class Utpost:
    """One utpostd with its state; sections: overrides {"delivery": {"hold": "yes"}}. With
    clock, the test moves its clocks: advance(), freeze()."""

    def __init__(self, case, sections=None, start=True, account=True, name="utpost", clock=False):
        self.case = case
        self.dir = case.dir / name
        self.dir.mkdir()
        self.ports = {"submission": free_port(), "submissions": free_port(), "smtp": free_port(),
                      "alternative": free_port()}
        self.sections = {
            "server": {"hostname": "out.example.com", "state-dir": self.dir / "state"},
            "listener submission": {"address": f"127.0.0.1:{self.ports['submission']}"},
            "listener submissions": {"address": f"127.0.0.1:{self.ports['submissions']}",
                                     "tls": "implicit"},
            "listener smtp": {"address": f"127.0.0.1:{self.ports['smtp']}",
                              "address-credentials": "yes"},
            "listener alternative": {"address": f"127.0.0.1:{self.ports['alternative']}"},
            "submission": {"auth-delay": "0s", "trace": "full"},
            "delivery": {"transport": "capture", "retry-first": "1s"},
        }
        for section, keys in (sections or {}).items():
            self.sections.setdefault(section, {}).update(keys)
        self.conf = self.dir / "utpost.conf"
        self.log_path = self.dir / "log"
        self.process = None
        self.clock = Clock(self.dir / "clock") if clock else None
        case.at_end(self.stop)  # also when it does not get ready
        self.write_conf()
        if start:
            self.start()
            if account:
                self.add_account()

    def write_conf(self):
        lines = []
        for section, keys in self.sections.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {value}" for key, value in keys.items()]
        self.conf.write_text("\n".join(lines) + "\n")

    def spawn(self, wrapper=()):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*wrapper, str(BUILD / "utpostd"), "--config", str(self.conf)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **self.clock.environment} if self.clock else None)
        return self.process

    def advance(self, seconds):
        """All clocks of the daemon go forward at once; what was due in between is due now."""
        self.clock.advance(seconds)

    def freeze(self, at=None):
        """The daemon's clock on the wall stands still (at a time in seconds since 1970), and that
        since boot with it. Timers run on. advance() moves it then; thaw() lets it go on."""
        self.clock.freeze(at)

    def thaw(self):
        self.clock.thaw()

    def step(self, seconds):
        """The daemon's clock on the wall is set, as an administrator would."""
        self.clock.step(seconds)

    def now(self):
        """Its clock on the wall, in seconds since 1970."""
        return self.clock.now() if self.clock else time.time()

    def start(self, wrapper=()):
        self.spawn(wrapper)
        self.wait_ready()

    def wait_ready(self, seconds=30):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"utpostd ended with {self.process.returncode}:\n{self.log()}")
            return self.cli("status", check=False).returncode == 0 and self.answers()
        try:
            wait_for("utpostd to be ready", ready, seconds)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.log()[-4000:]}") from None

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection(
                ("127.0.0.1", self.ports["submission"]), 5) as s:
            return s.recv(4) == b"220 "
        return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill_all()
                raise AssertionError("utpostd did not stop within 40 s") from None
        code = self.process.returncode if self.process else 0
        self.process = None
        self.assert_nothing_crashed()
        return code

    def assert_nothing_crashed(self):
        """No role died of a signal; that tests kill (SIGKILL) is their business."""
        crashes = [line for line in self.log().splitlines()
                   if "event=role-killed" in line and "signal=9" not in line]
        assert not crashes, "\n".join(crashes) + "\n" + self.log()[-3000:]

    def pids(self):
        """{"parent": pid, "smtpd": pid, …}, from the command lines."""
        found = {}
        if self.process and self.process.poll() is None:
            found["parent"] = self.process.pid
        out = subprocess.run(["ps", "-o", "pid=,args=", "-s", str(self.process.pid)],
                             capture_output=True, text=True).stdout
        for line in out.splitlines():
            pid, _, args = line.strip().partition(" ")
            role = re.search(r"--role[ =](\w+)", args)
            if role:
                found[role.group(1)] = int(pid)
        return found

    def kill_all(self):
        """SIGKILL to every process of it at once."""
        for pid in self.pids().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(20)
        wait_for("all processes to be gone", lambda: not self.session_pids())

    def session_pids(self):
        return subprocess.run(["ps", "-o", "pid=", "-s", str(self.process.pid)],
                              capture_output=True, text=True).stdout.split()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def cli(self, *args, check=True, stdin=None, json_=False):
        command = [str(BUILD / "utpost"), "--config", str(self.conf), *(["--json"] if json_ else []),
                   *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=60)
        if check and done.returncode:
            raise AssertionError(f"utpost {' '.join(map(str, args))}: exit {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def ask(self, *args):
        return json.loads(self.cli(*args, json_=True).stdout)

    def add_account(self, login=LOGIN, password=PASSWORD, customer="example", *options):
        if self.cli("customer", "show", customer, check=False).returncode:
            self.cli("customer", "add", customer)
        self.cli("account", "add", login, "--customer", customer,
                 *(options or ("--senders", "any")))
        if password:
            self.cli("credential", "add", login, "--password-stdin", stdin=password + "\n")

    @property
    def maildir(self):
        return self.dir / "state/capture/new"

    def captured(self, count=1, seconds=20):
        """The captured messages, in the order of their ids, when there are that many."""
        def there():
            files = sorted(self.maildir.iterdir()) if self.maildir.exists() else []
            return files if len(files) >= count else None
        return [f.read_bytes() for f in wait_for(f"{count} captured messages", there, seconds)]

    def smtp(self, login=LOGIN, password=PASSWORD, port="submission"):
        """A signed-in session of Python's smtplib."""
        s = smtplib.SMTP("127.0.0.1", self.ports[port], timeout=20)
        s.starttls(context=any_certificate())
        if login:
            s.login(login, password)
        return s


class Clock:
    """The clocks of a daemon, by way of the library clock.c."""

    def __init__(self, path):
        self.path = path
        self.ahead = self.wall = self.frozen = self.frozen_boot = 0
        self.write()
        self.environment = {"LD_PRELOAD": str(BUILD / "test/wire/clock.so"),
                            "UTPOST_TEST_CLOCK": str(path)}

    def write(self):
        if not self.path.exists():
            self.path.write_bytes(bytes(32))
        with open(self.path, "r+b") as f:
            f.write(struct.pack("4q", self.ahead, self.wall, self.frozen, self.frozen_boot))

    def advance(self, seconds):
        """In leaps that libuv, which counts milliseconds in an int, can follow."""
        while seconds > 0:
            by = min(seconds, 20 * 86400)
            seconds -= by
            self.ahead += round(by * 1e9)
            if self.frozen:
                self.frozen += round(by * 1e9)
                self.frozen_boot += round(by * 1e9)
            self.write()
            # A loop that is in the middle of its turn goes by the time of its beginning: what it
            # accepts then would be late at once.
            time.sleep(0.1 if seconds > 0 else 0.03)

    def freeze(self, at):
        self.frozen = round(at * 1e9) if at is not None else round(self.now() * 1e9)
        self.frozen_boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self.ahead
        self.write()

    def thaw(self):
        self.wall = self.frozen - time.time_ns() - self.ahead
        self.frozen = self.frozen_boot = 0
        self.write()

    def step(self, seconds):
        self.wall += round(seconds * 1e9)
        self.frozen += round(seconds * 1e9) if self.frozen else 0
        self.write()

    def now(self):
        return (self.frozen or time.time_ns() + self.ahead + self.wall) / 1e9


def any_certificate():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Wire:
    """A raw SMTP connection: what is sent is sent as it is."""

    def __init__(self, port, tls=False):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        if tls:
            self.sock = any_certificate().wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def reply(self):
        """(code, text) of one reply, lines joined by newlines; (0, "") at the end."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return 0, "\n".join(lines)
            lines.append(line[4:].decode(errors="replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(lines)

    def command(self, text):
        self.send(text + "\r\n")
        return self.reply()

    def expect(self, text, code):
        got = self.command(text)
        assert got[0] == code, f"{text}: {got}, not {code}"
        return got[1]

    def start_tls(self):
        self.expect("STARTTLS", 220)
        self.sock = any_certificate().wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")

    def hello(self, tls=True):
        code, _ = self.reply()
        assert code == 220, code
        text = self.expect("EHLO client.example.com", 250)
        if tls and not isinstance(self.sock, ssl.SSLSocket):
            self.start_tls()
            text = self.expect("EHLO client.example.com", 250)
        return text

    def sign_in(self, login=LOGIN, password=PASSWORD):
        import base64
        word = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {word}")


FIELDS_ADDED = {b"return-path", b"delivered-to", b"x-original-to", b"received"}


def without_trace(message, received=1):
    """The message without the trace fields on top: Return-Path, Delivered-To and that many
    Received. Line ends become LF."""
    message = message.replace(b"\r\n", b"\n")
    lines = message.split(b"\n")
    at = 0
    while at < len(lines):
        name = lines[at].split(b":")[0].lower()
        if name not in FIELDS_ADDED or (name == b"received" and received == 0):
            break
        received -= name == b"received"
        at += 1
        while at < len(lines) and lines[at][:1] in (b" ", b"\t"):
            at += 1
    return b"\n".join(lines[at:])


def sample(subject="sample", body=None, sender=LOGIN, to="bo@example.net"):
    """A message that nothing needs to be added to, with what is easily broken on the way; LF."""
    if body is None:
        body = ("..two dots\n.\n.one dot\n\nblåbärsgröt – ‰\nFrom the start of a line\n"
                + "x" * 900 + "\n\n=20 trailing blanks  \t\n.\n\nthe end\n\n")
    return (f"From: =?utf-8?q?Anna_=C3=85?= <{sender}>\nTo: {to}\nSubject: {subject}\n"
            f"Date: Sun, 22 Nov 2026 12:00:00 +0100\nMessage-ID: <{subject.replace(' ', '.')}@example.com>\n"
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: 8bit\nX-Folded: one\n\ttwo\n three\n\n" + body).encode()


def crlf(message):
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Postfix:
    """A real Postfix: receives for every domain into a Maildir, or relays to a smarthost.
    settings: more lines of main.cf."""

    def __init__(self, case, relayhost=None, login=None, password=None, name="postfix",
                 settings=""):
        self.dir = case.dir / name
        self.port = free_port()
        etc = self.dir / "etc"
        for sub in ("etc", "spool", "data", "mail"):
            (self.dir / sub).mkdir(parents=True)
        shutil.chown(self.dir / "data", "postfix")
        shutil.chown(self.dir / "mail", "nobody")
        for file in ("postfix-files", "dynamicmaps.cf"):
            for folder in ("/etc/postfix", "/usr/share/postfix"):
                if os.path.exists(f"{folder}/{file}"):
                    shutil.copy(f"{folder}/{file}", etc / file)
                    break
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", etc / "key.pem", "-out", etc / "cert.pem"],
                       check=True, capture_output=True)
        uid = subprocess.run(["id", "-u", "nobody"], capture_output=True, text=True).stdout.strip()
        main = f"""compatibility_level = 3.7
queue_directory = {self.dir}/spool
data_directory = {self.dir}/data
maillog_file = {self.dir}/log
maillog_file_prefixes = {self.dir}
myhostname = mx.example.net
mydestination =
local_recipient_maps =
local_transport = error:none
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = may
smtpd_tls_cert_file = {etc}/cert.pem
smtpd_tls_key_file = {etc}/key.pem
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
disable_dns_lookups = yes
smtpd_recipient_limit = 5000
message_size_limit = 0
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtputf8_enable = no
"""
        if relayhost:
            (etc / "secret").write_text(f"[127.0.0.1]:{relayhost} {login}:{password}\n")
            main += f"""relayhost = [127.0.0.1]:{relayhost}
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:{etc}/secret
smtp_sasl_security_options = noanonymous
smtp_tls_security_level = encrypt
"""
        else:
            main += f"""virtual_transport = virtual
virtual_mailbox_domains = static:all
virtual_mailbox_base = {self.dir}/mail
virtual_mailbox_maps = static:all/
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
"""
        (etc / "main.cf").write_text(main + settings)
        services = """pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
virtual unix - n n - - virtual
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
        (etc / "master.cf").write_text(f"127.0.0.1:{self.port} inet n - n - - smtpd\n" + services)
        self.cert = etc / "cert.pem"
        self._run("check")
        self._run("start")
        wait_for("Postfix to listen", self._listens)

    def _run(self, verb):
        return subprocess.run(["postfix", "-c", str(self.dir / "etc"), verb],
                              capture_output=True, text=True)

    def _listens(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as s:
            return s.recv(4) == b"220 "
        return False

    def received(self, count=1, seconds=30):
        def there():
            files = sorted((self.dir / "mail/all/new").glob("*"), key=lambda f: f.stat().st_mtime_ns)
            return files if len(files) >= count else None
        try:
            files = wait_for(f"{count} messages in Postfix's Maildir", there, seconds)
        except AssertionError as late:
            log = (self.dir / "log").read_text() if (self.dir / "log").exists() else ""
            raise AssertionError(f"{late}\n{log[-3000:]}") from None
        return [f.read_bytes() for f in files]

    def stop(self):
        self._run("stop")


class Sink:
    """An SMTP receiver that keeps what it gets. `script` may replace replies: a function of
    (verb, argument, count) that returns a reply, None for the usual one, or "close"."""

    def __init__(self, script=None, port=0, extensions=("PIPELINING", "8BITMIME", "SIZE 0"),
                 address="127.0.0.1"):
        self.script = script or (lambda verb, argument, count: None)
        self.extensions = extensions
        self.messages = []  # (reverse_path, [recipients], bytes)
        self.times = []     # (MAIL, accepted) of each, monotonic
        self.connections = 0
        self.lock = threading.Lock()
        self.counts = {}
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        self.stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self.stopped = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while not self.stopped:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _say(self, sock, verb, argument, usual):
        with self.lock:
            count = self.counts[verb] = self.counts.get(verb, 0) + 1
        reply = self.script(verb, argument, count) or usual
        if reply == "close":
            sock.close()
            raise OSError("closed by the script")
        sock.sendall((reply + "\r\n").encode())
        return reply[0] in "23"

    def _serve(self, sock):
        with contextlib.suppress(OSError, ValueError):
            sock.settimeout(120)
            file = sock.makefile("rb")
            self._say(sock, "CONNECT", "", "220 sink.example.net ESMTP")
            sender, recipients = None, []
            while line := file.readline():
                text = line.decode(errors="replace").rstrip("\r\n")
                verb = text.split(" ")[0].upper()
                path = re.search(r"<(.*?)>", text)
                if verb == "EHLO":
                    lines = ["sink.example.net", *self.extensions]
                    self._say(sock, verb, text, "\r\n".join(
                        f"250{'-' if i + 1 < len(lines) else ' '}{x}" for i, x in enumerate(lines)))
                elif verb == "MAIL":
                    started = time.monotonic()
                    if self._say(sock, verb, text, "250 2.1.0 Ok"):
                        sender, recipients = path.group(1), []
                elif verb == "RCPT":
                    if self._say(sock, verb, text, "250 2.1.5 Ok"):
                        recipients.append(path.group(1))
                elif verb == "DATA":
                    usual = "354 go" if recipients else "554 5.5.1 no valid recipients"
                    if self._say(sock, verb, text, usual) and recipients:
                        self._data(sock, file, sender, recipients, started)
                        sender, recipients = None, []
                elif verb == "QUIT":
                    self._say(sock, verb, text, "221 2.0.0 bye")
                    break
                else:
                    self._say(sock, verb, text, "250 2.0.0 Ok")
        sock.close()

    def _data(self, sock, file, sender, recipients, started):
        body = []
        while (line := file.readline()) != b".\r\n":
            if not line:
                raise OSError("ended within data")
            body.append(line[1:] if line.startswith(b".") else line)
        with self.lock:
            count = self.counts["END"] = self.counts.get("END", 0) + 1
        reply = self.script("END", "", count) or "250 2.0.0 Ok: kept"
        if reply.startswith("2"):
            with self.lock:
                self.messages.append((sender, list(recipients), b"".join(body)))
                self.times.append((started, time.monotonic()))
        if reply == "close":
            sock.close()
            raise OSError("closed by the script")
        sock.sendall((reply + "\r\n").encode())

    def got(self, count=1, seconds=20):
        wait_for(f"{count} messages at the sink", lambda: len(self.messages) >= count, seconds)
        with self.lock:
            return list(self.messages)
