"""receivers: Exim and OpenSMTPD as real mail hosts for the wire tests.

Their packages cannot be installed beside Postfix: tools/install-deps unpacks them in the build's
directory. What they expect of a system (users, directories) is made in a mount namespace of their
own, so that nothing of the machine is touched."""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess

import harness

UNPACKED = harness.ROOT / "build/receivers"
USERS = {"Debian-exim": 64001, "opensmtpd": 64002, "opensmtpq": 64003, "vmail": 64004}


def unpacked():
    if not (UNPACKED / "usr/sbin/exim4").exists() or not (UNPACKED / "usr/sbin/smtpd").exists():
        subprocess.run([str(harness.ROOT / "tools/install-deps"), "receivers"], check=True, timeout=300)
    return UNPACKED


def make_certificate(directory, name):
    """A self-signed one in cert.pem and key.pem."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                    "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
                   check=True, capture_output=True)


class Receiver:
    """A mail host that keeps mail for every address in a Maildir. address: one, or for Exim several
    with " ; " between, the first of which is asked whether it listens."""
    user = None     # who owns the mail
    setup = ""      # shell, in the namespace
    command = ()

    def __init__(self, case, name, address="127.0.0.1", port=0, host="mx.example.net"):
        self.dir = case.dir / name
        self.address, self.host = address, host
        self.port = port or harness.free_port()
        self.root = unpacked()
        for sub in ("mail", "spool", "log"):
            (self.dir / sub).mkdir(parents=True)
            os.chown(self.dir / sub, USERS[self.user], USERS[self.user])
        (self.dir / "mail").chmod(0o700)
        make_certificate(self.dir, host)
        for file in ("passwd", "group"):
            shutil.copy(f"/etc/{file}", self.dir / file)
        with open(self.dir / "passwd", "a") as passwd, open(self.dir / "group", "a") as group:
            for user, number in USERS.items():
                with contextlib.suppress(KeyError):
                    if pwd.getpwnam(user):
                        continue
                passwd.write(f"{user}:x:{number}:{number}::{self.dir}/mail:/bin/sh\n")
                group.write(f"{user}:x:{number}:\n")
        self.write_conf()
        case.at_end(self.stop)
        self.start()

    def write_conf(self):
        raise NotImplementedError

    def start(self):
        script = ("set -e\n" + "".join(f"mount --bind {self.dir}/{file} /etc/{file}\n"
                                       for file in ("passwd", "group"))
                  + self.setup.format(root=self.root) + "exec "
                  + " ".join(str(word).format(root=self.root, dir=self.dir, port=self.port)
                             for word in self.command))
        with open(self.dir / "output", "ab") as output:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        harness.wait_for(f"{type(self).__name__} to listen", self.listens)

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError(self.log())
        with contextlib.suppress(OSError), socket.create_connection(
                (self.address.split()[0], self.port), 5) as s:
            return s.recv(4) == b"220 "
        return False

    def log(self):
        files = [self.dir / "output", *(self.dir / "log").glob("*")]
        return "".join(f.read_text(errors="replace") for f in files if f.exists())[-4000:]

    def received(self, count=1, seconds=30):
        def there():
            files = sorted((self.dir / "mail/new").glob("*"), key=lambda f: f.stat().st_mtime_ns)
            return files if len(files) >= count else None
        try:
            files = harness.wait_for(f"{count} messages at {type(self).__name__}", there, seconds)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.log()}") from None
        return [f.read_bytes() for f in files]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)  # and so its child, and all in its namespace
            self.process.wait(10)


class Exim(Receiver):
    user = "Debian-exim"
    command = ("{root}/usr/sbin/exim4", "-C", "{dir}/exim.conf", "-bdf", "-oX", "{port}")

    def write_conf(self):
        (self.dir / "exim.conf").write_text(f"""primary_hostname = {self.host}
exim_path = {self.root}/usr/sbin/exim4
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {self.dir}/spool
log_file_path = {self.dir}/log/%s
local_interfaces = <; {self.address}
keep_environment =
never_users =
tls_advertise_hosts = *
tls_certificate = {self.dir}/cert.pem
tls_privatekey = {self.dir}/key.pem
message_size_limit = 50M
smtputf8_advertise_hosts = *
host_lookup =
acl_smtp_rcpt = take
begin acl
take:
  accept
begin routers
everybody:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  directory = {self.dir}/mail
  maildir_format
  batch_max = 1000
  user = Debian-exim
begin retry
""")
        os.chown(self.dir / "key.pem", USERS[self.user], USERS[self.user])


class OpenSmtpd(Receiver):
    """Debian 12's offers STARTTLS and then cannot sign (6.8 with OpenSSL 3): a host as there are many,
    which gets its mail in plain text when TLS is not a must."""
    user = "vmail"
    setup = """for d in /var/spool /var/lib /run /usr/libexec; do mount -t tmpfs tmpfs $d; done
mkdir -p /var/lib/opensmtpd/empty /usr/libexec/opensmtpd /var/spool/smtpd
chmod 711 /var/spool/smtpd
mount --bind {root}/usr/libexec/opensmtpd /usr/libexec/opensmtpd
"""
    command = ("{root}/usr/sbin/smtpd", "-d", "-f", "{dir}/smtpd.conf")

    def write_conf(self):
        (self.dir / "smtpd.conf").write_text(f"""table everybody {{ "@" = vmail }}
pki {self.host} cert "{self.dir}/cert.pem"
pki {self.host} key "{self.dir}/key.pem"
listen on {self.address} port {self.port} tls pki {self.host} hostname {self.host}
action "keep" maildir "{self.dir}/mail" virtual <everybody>
match from any for any action "keep"
""")
        for file in ("key.pem", "smtpd.conf"):
            (self.dir / file).chmod(0o600)
