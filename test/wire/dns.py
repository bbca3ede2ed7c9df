"""dns: a real name server (Knot) for the wire tests, on a free port of 127.0.0.1, with zones that
are made for the case: plain, signed, signed and then falsified, or broken (SERVFAIL)."""
import contextlib
import pathlib
import socket
import struct
import subprocess

import harness

SOA = "@ 3600 SOA ns hostmaster 1 3600 600 86400 5\n@ 3600 NS ns\nns 3600 A 127.0.0.1\n"


class Zone:
    """One zone. text: its records in the form of a zone file, names relative to it, without SOA and
    NS. signed: by a key of its own, which is in the trust anchors. falsify: {old: new}, replaced in
    the records after signing. broken: the server answers SERVFAIL."""

    def __init__(self, name, text="", signed=False, falsify=None, broken=False):
        self.name, self.text, self.signed = name.rstrip("."), text, signed or bool(falsify)
        self.falsify, self.broken = falsify or {}, broken


class Dns:
    """A running server. forward: for `[resolver] forward`; anchors: the file for `trust-anchor`."""

    def __init__(self, directory, zones, address="127.0.0.1"):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir()
        for name in ("zones", "run", "db", "signed"):
            (self.dir / name).mkdir()
        self.address, self.port, self.process = address, self.free_port(address), None
        self.forward = f"{address}@{self.port}"
        self.anchors = self.dir / "anchors"
        self.conf = self.dir / "knot.conf"
        self.zones = {zone.name: zone for zone in zones}
        self.write_conf()
        anchors = []
        for zone in self.zones.values():
            if not zone.broken:
                anchors += self.write_zone(zone)
        self.anchors.write_text("".join(anchors))
        self.start()

    @staticmethod
    def free_port(address):
        """A port that is free for both UDP and TCP."""
        while True:
            with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
                tcp.bind((address, 0))
                with contextlib.suppress(OSError):
                    udp.bind(tcp.getsockname())
                    return tcp.getsockname()[1]

    def write_conf(self):
        lines = ["server:", f'    rundir: "{self.dir}/run"', f'    listen: "{self.forward}"',
                 "    udp-workers: 1", "    tcp-workers: 1", "    background-workers: 1",
                 "log:", "  - target: stderr", "    any: warning",
                 "database:", f'    storage: "{self.dir}/db"',
                 "policy:", "  - id: test", "    algorithm: ecdsap256sha256", "    nsec3: off",
                 "template:", "  - id: default", f'    storage: "{self.dir}/zones"',
                 '    file: "%s.zone"', "    zonefile-sync: -1", "    journal-content: none",
                 "zone:"]
        for name, zone in self.zones.items():
            lines.append(f'  - domain: "{name}."')
            if zone.signed:  # for kzonesign; the server gets the signed file as it is
                lines += ["    dnssec-policy: test"]
        self.conf.write_text("\n".join(lines) + "\n")

    def tool(self, *command):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def write_zone(self, zone):
        """Writes the zone's file; returns its trust anchors."""
        path = self.dir / "zones" / f"{zone.name}.zone"
        path.write_text(f"$ORIGIN {zone.name}.\n$TTL 300\n{SOA}{zone.text}\n")
        if not zone.signed:
            return []
        self.tool("kzonesign", "-c", self.conf, "-o", self.dir / "signed", f"{zone.name}.")
        signed = (self.dir / "signed" / f"{zone.name}.zone").read_text()
        for old, new in zone.falsify.items():
            assert old in signed, f"{old} is not in {zone.name}"
            signed = signed.replace(old, new)
        path.write_text(signed)
        digests = self.tool("keymgr", "-c", self.conf, f"{zone.name}.", "ds").splitlines()
        return [line + "\n" for line in digests if line.split()[4] == "2"]  # SHA-256

    def start(self):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(["knotd", "-c", str(self.conf)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        harness.wait_for("knotd to answer", self.answers)

    def answers(self):
        """Does every zone that is to be there answer?"""
        if self.process.poll() is not None:
            raise AssertionError((self.dir / "log").read_text())
        return all(self.rcode(name) == 0 for name, zone in self.zones.items() if not zone.broken)

    def rcode(self, name, record=6):
        """The response code to one question (default: SOA), or None."""
        question = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        query = struct.pack("!6H", 4711, 0, 1, 0, 0, 0) + question + struct.pack("!BHH", 0, record, 1)
        with socket.socket(type=socket.SOCK_DGRAM) as s, contextlib.suppress(OSError):
            s.settimeout(1)
            s.connect((self.address, self.port))
            s.send(query)
            return s.recv(4096)[3] & 15
        return None

    def change(self, name, text):
        """Other records for an unsigned zone."""
        zone = self.zones[name]
        assert not zone.signed
        zone.text = text
        self.write_zone(zone)
        self.tool("knotc", "-c", self.conf, "-b", "-f", "zone-reload", f"{name}.")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
