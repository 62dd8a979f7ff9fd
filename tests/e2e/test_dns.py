# SPDX-License-Identifier: Apache-2.0
"""coffer-dns by itself: told by its client library (tests/unit/dns-tell.c), asked from network namespaces of the test's own.

"host" is a network and mount namespace in which the server and fake resolvers (dnsupstream.py) run; every "container" is a network namespace. Nothing
touches the machine's own network.
"""

import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

import coffer
from coffer import SLOW, proc_status

ASAN = True
UID = 4294836224 + 53
NET = {name: format(i + 10, "064x") for i, name in enumerate(("front", "back", "inside"))}


def wait_until(condition, message):
    if not coffer.wait_until(condition, timeout=30):
        raise AssertionError(f"waited in vain for {message}")


def full_id(n):
    return format(n, "064x")


class Space:
    """A network and mount namespace, for as long as a process of ours holds it."""

    def __init__(self, scratch, resolv=None):
        self.process = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", "echo up; exec sleep 100000"], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        self.pid = self.process.pid
        self.run("ip", "link", "set", "lo", "up")
        self.resolv = None
        if resolv is not None:
            self.resolv = os.path.join(scratch, f"resolv.{self.pid}")
            self.set_resolv(resolv)
            self.run("mount", "--bind", self.resolv, "/etc/resolv.conf")

    def set_resolv(self, text):
        with open(self.resolv, "w") as f:
            f.write(text)

    def argv(self, *argv):
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "--", *argv]

    def run(self, *argv, check=True, timeout=60 * SLOW, **more):
        return subprocess.run(self.argv(*argv), check=check, timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more).stdout

    def python(self, script, *args, **more):
        return self.run(sys.executable, "-c", script, *args, **more)

    def popen(self, *argv, **more):
        return subprocess.Popen(self.argv(*argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, **more)

    def netns(self):
        return f"/proc/{self.pid}/ns/net"

    def dig(self, *words, tries=3):
        """Answer lines of dig's short form."""
        return self.run("dig", "@127.0.0.11", f"+tries={tries}", f"+time={6 * SLOW}", "+short", *words, check=False).splitlines()

    def ask(self, *words):
        """(status, flags, answer lines) of dig's long form."""
        text = self.run("dig", "@127.0.0.11", "+tries=3", f"+time={6 * SLOW}", *words, check=False)
        status = re.search(r"status: (\w+)", text)
        flags = re.search(r"flags: ([a-z ]*);", text)
        section = re.search(r";; ANSWER SECTION:\n(.*?)\n\n", text, re.S)
        return status.group(1) if status else text, flags.group(1).split() if flags else [], section.group(1).splitlines() if section else []

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class DnsTest(unittest.TestCase):
    RESOLV = "nameserver 127.0.0.53\nsearch corp.example\n"
    KILLS = False  # the class kills workers itself
    UPSTREAMS = ("127.0.0.53", "127.0.0.54=silent", "192.0.2.53", "192.0.2.54")

    @classmethod
    def setUpClass(cls):
        cls.stage = coffer.Stage.get()
        cls.scratch = tempfile.mkdtemp(prefix="coffer-dns.", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.scratch, True)
        cls.run_dir = os.path.join(cls.scratch, "run")
        os.mkdir(cls.run_dir, 0o700)
        cls.log = os.path.join(cls.scratch, "asked")
        cls.host = cls.space(cls.RESOLV)
        for address in ("192.0.2.53", "192.0.2.54"):
            cls.host.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        cls.upstream = cls.host.popen(sys.executable, "-B", os.path.join(coffer.HERE, "dnsupstream.py"), cls.log, *cls.UPSTREAMS)
        cls.addClassCleanup(cls.stop, cls.upstream)
        cls.upstream.stdout.readline()
        cls.addClassCleanup(cls.end_server)
        cls.addClassCleanup(cls.no_accidents)

    @classmethod
    def space(cls, resolv=None):
        s = Space(cls.scratch, resolv)
        cls.addClassCleanup(s.close)
        return s

    @staticmethod
    def stop(process):
        process.kill()
        process.wait()
        process.stdout.close()

    @classmethod
    def no_accidents(cls):
        """A worker that died would be replaced before anybody looks."""
        text = coffer.read_text(os.path.join(cls.run_dir, "dns", "log"))
        if not cls.KILLS and "worker" in text:
            raise AssertionError(text)

    @classmethod
    def end_server(cls):
        for pid in cls.server():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not cls.server(), message="the end of the name server")

    @classmethod
    def server(cls):
        """Its processes, the keeper first: those that have our lock, or a parent that has."""
        found = []
        for pid in (int(p) for p in os.listdir("/proc") if p.isdigit()):
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat(cls.host.netns()).st_ino and os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "coffer-dns":
                    found.append((int(proc_status(pid)["PPid"]), pid))
        pids = {pid for _, pid in found}
        return [pid for parent, pid in sorted(found, key=lambda x: x[0] in pids)]

    @classmethod
    def worker(cls):
        return cls.server()[1]

    @classmethod
    def client(cls, *words, text=None, check=True):
        tool = os.path.join(cls.stage.build, "tests", "unit", "dns-tell")
        p = subprocess.run(cls.host.argv(tool, cls.run_dir, cls.stage.libexec, *words), input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60 * SLOW)
        if check and p.returncode != 0:
            raise AssertionError(f"{words}: {p.stderr}")
        return p.stdout.strip() if p.returncode == 0 else p.stderr.strip()

    @classmethod
    def tell(cls, n, name, networks, space=None, extra=""):
        """networks: [(network, address, [names], "internal" or "external")]"""
        text = f"tell {full_id(n)} {name}\n{extra}"
        for network, addresses, names, kind in networks:
            text += f"network {NET[network]} {network} {kind}\n" + "".join(f"address {a}\n" for a in addresses.split()) + "".join(f"name {x}\n" for x in names)
        return cls.client("tell", *([space.netns()] if space else []), text=text)

    def asked(self, name):
        """What reached a resolver about @name: [(address, proto, port, id, name as it came, type)]"""
        with open(self.log) as f:
            return [line.split() for line in f.read().splitlines() if line.split()[4].lower() == name]


class Names(DnsTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.web, cls.db, cls.alone = cls.space("nameserver 127.0.0.11\noptions ndots:0\n"), cls.space(), cls.space()
        cls.tell(1, "web", [("front", "10.0.0.2 fd00::2", ["web", "www", "0000000000aa"], "external")], cls.web)
        cls.tell(2, "db", [("back", "10.1.0.2", ["db", "data"], "internal"), ("front", "10.0.0.3", ["db", "data", "sql"], "external")], cls.db, extra="link shop web\n")
        cls.tell(3, "alone", [("back", "10.1.0.3", ["alone"], "internal")], cls.alone)

    def test_names_are_those_of_shared_networks(self):
        for space, name, want in ((self.web, "web", "10.0.0.2"), (self.web, "www", "10.0.0.2"), (self.web, "0000000000aa", "10.0.0.2"), (self.web, "db", "10.0.0.3"), (self.web, "sql", "10.0.0.3"),
                                  (self.db, "db", "10.1.0.2"), (self.db, "www", "10.0.0.2"), (self.db, "alone", "10.1.0.3"), (self.alone, "data", "10.1.0.2"), (self.db, "shop", "10.0.0.2"),
                                  (self.db, "db.front", "10.0.0.3"), (self.db, "db.back", "10.1.0.2"), (self.web, "WeB", "10.0.0.2")):
            self.assertEqual(space.dig(name, "A"), [want], name)
        for space, name in ((self.alone, "web"), (self.alone, "sql"), (self.web, "alone"), (self.web, "shop"), (self.web, "db.back"), (self.alone, "db.front")):
            self.assertEqual(space.ask(name, "A")[0], "NXDOMAIN", name)

    def test_other_families_and_types_of_a_known_name_are_empty(self):
        self.assertEqual(self.web.dig("web", "AAAA"), ["fd00::2"])
        for kind in ("AAAA", "MX", "TXT", "SRV", "TYPE65"):
            status, _, answers = self.web.ask("db", kind)
            self.assertEqual((status, answers), ("NOERROR", []), kind)
        self.assertEqual(sorted(self.web.dig("web", "ANY")), ["10.0.0.2", "fd00::2"])
        self.assertFalse(self.asked("db"))

    def test_addresses_have_names(self):
        self.assertEqual(self.web.dig("-x", "10.0.0.3"), ["db.front."])
        self.assertEqual(self.web.dig("-x", "fd00::2"), ["web.front."])
        self.assertEqual(self.db.dig("-x", "10.1.0.3"), ["alone.back."])
        self.assertEqual(self.web.ask("-x", "10.1.0.3")[0], "NXDOMAIN")  # nobody that web can see
        self.assertEqual(self.web.dig("-x", "127.0.0.1"), ["localhost."])

    def test_localhost_is_never_asked_of_anybody(self):
        self.assertEqual(self.web.dig("localhost", "A"), ["127.0.0.1"])
        self.assertEqual(self.web.dig("x.localhost", "AAAA"), ["::1"])
        self.assertFalse(self.asked("localhost"))

    def test_internal_networks_resolve_nothing_external(self):
        """CVE-2024-29018."""
        self.assertEqual(self.alone.ask("one.test", "A")[0], "NXDOMAIN")
        self.assertEqual(self.alone.ask("+tcp", "one.test", "A")[0], "NXDOMAIN")
        self.assertEqual(self.alone.ask("-x", "192.0.2.1")[0], "NXDOMAIN")
        before = len(self.asked("where.test"))
        self.assertEqual(self.alone.ask("where.test", "A")[0], "NXDOMAIN")
        self.assertEqual(len(self.asked("where.test")), before)
        self.assertEqual(self.db.dig("one.test", "A"), ["192.0.2.1"])  # on an external network, too

    def test_letters_of_the_question_come_back(self):
        _, _, answers = self.web.ask("wWw", "A")
        self.assertEqual(answers[0].split()[0], "wWw.")
        _, _, answers = self.web.ask("oNe.TesT", "A")
        self.assertEqual(answers[0].split()[0], "oNe.TesT.")

    def test_edns(self):
        text = self.web.run("dig", "@127.0.0.11", "web", "+bufsize=4096")
        self.assertIn("EDNS: version: 0", text)
        self.assertNotIn("EDNS", self.web.run("dig", "@127.0.0.11", "web", "+noedns"))
        self.assertIn("status: BADVERS", self.web.run("dig", "@127.0.0.11", "web", "+edns=5", "+noednsneg"))
        self.assertIn("flags: do", self.web.run("dig", "@127.0.0.11", "web", "+dnssec"))

    def test_questions_that_are_refused(self):
        self.assertEqual(self.web.ask("version.bind", "TXT", "CH")[0], "REFUSED")
        self.assertEqual(self.web.ask("+opcode=5", "web")[0], "NOTIMP")
        self.assertEqual(self.web.ask("+header-only")[0], "FORMERR")

    def test_what_programs_use(self):
        for address in ("10.0.0.2/32", "fd00::2/128"):  # libc asks for the families that it has itself
            self.web.run("ip", "addr", "add", address, "dev", "lo")
        self.assertEqual(self.web.run("getent", "ahostsv4", "db").split()[0], "10.0.0.3")
        self.assertEqual(self.web.run("getent", "hosts", "10.0.0.3").split()[1], "db.front")
        self.assertIn("10.0.0.3", self.web.run("busybox", "nslookup", "db", check=False))
        self.assertEqual(self.web.python("import socket; print(socket.getaddrinfo('www', 80, socket.AF_INET6)[0][4][0])").strip(), "fd00::2")
        self.assertEqual(self.web.python("import socket; print(sorted({a[4][0] for a in socket.getaddrinfo('www', 80)}))").strip(), "['10.0.0.2', 'fd00::2']")

    def test_a_server_of_the_containers_own_has_port_53(self):
        """Docker's server leaves 0.0.0.0:53 free, and so do we: CoreDNS, AdGuard."""
        out = self.db.python("""
import socket, threading
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("0.0.0.0", 53))
t = socket.socket(); t.bind(("0.0.0.0", 53)); t.listen()
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.connect(("127.0.0.1", 53)); c.send(b"mine")
print(u.recv(10).decode())
import subprocess
print(subprocess.run(["dig", "@127.0.0.11", "+short", "alone"], stdout=subprocess.PIPE, text=True).stdout.strip())
""")
        self.assertEqual(out.split(), ["mine", "10.1.0.3"])

    def test_nobody_listens_on_the_host(self):
        """R13: what containers can reach of the host does not grow with us."""
        for name in ("udp", "tcp"):
            table = self.host.run("cat", f"/proc/net/{name}").splitlines()[1:]
            listening = [line.split()[1] for line in table if name == "udp" or line.split()[3] == "0A"]
            for local in listening:
                address = socket.inet_ntoa(struct.pack("<I", int(local.split(":")[0], 16)))
                self.assertIn(address, ("127.0.0.53", "127.0.0.54", "192.0.2.53", "192.0.2.54"), local)


class Shared(DnsTest):
    COUNT = 100

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.web = cls.space()
        for i in range(cls.COUNT):
            cls.tell(i, f"web{i}", [("front", f"10.0.1.{i + 1}", [f"web{i}", "all"] + (["pair"] if i < 2 else []), "external")], cls.web)

    def test_everybody_answers_to_a_shared_alias_in_turns(self):
        first = {self.web.dig("pair", "A")[0] for _ in range(40)}
        self.assertEqual(first, {"10.0.1.1", "10.0.1.2"})  # one chance in 2^39 to fail
        for _ in range(5):
            self.assertEqual(sorted(self.web.dig("pair", "A")), ["10.0.1.1", "10.0.1.2"])

    def test_what_does_not_fit_comes_by_tcp(self):
        self.assertEqual(len(set(self.web.dig("+noedns", "all", "A"))), self.COUNT)
        status, flags, answers = self.web.ask("+noedns", "+ignore", "all", "A")
        self.assertIn("tc", flags)
        self.assertGreater(len(answers), 20)  # musl takes what there is
        self.assertNotIn("tc", self.web.ask("+bufsize=4096", "+ignore", "all", "A")[1])


class Forwarded(DnsTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.web = cls.space()
        cls.tell(1, "web", [("front", "10.0.0.2", ["web"], "external")], cls.web)

    def test_answers_pass(self):
        self.assertEqual(self.web.dig("one.test", "A"), ["192.0.2.1"])
        self.assertEqual(self.web.dig("one.test", "AAAA"), ["2001:db8::1"])
        self.assertEqual(self.web.ask("one.test", "MX"), ("NOERROR", ["qr", "rd", "ra"], []))
        self.assertEqual(self.web.dig("cname.test", "A"), ["one.test.", "192.0.2.1"])
        self.assertEqual(self.web.ask("nx.test", "A")[0], "NXDOMAIN")
        self.assertEqual(self.web.ask("nas", "A")[0], "NXDOMAIN")
        self.assertTrue(self.asked("nas"))  # a name without a dot may well be known out there
        self.assertTrue(self.web.dig("odd.test", "TYPE65"))
        self.assertIn("77", self.web.ask("one.test", "A")[2][0].split()[1])

    def test_tcp(self):
        self.assertEqual(self.web.dig("+tcp", "one.test", "A"), ["192.0.2.1"])
        self.assertEqual(self.asked("one.test")[-1][1], "tcp")
        self.assertEqual(len(self.web.dig("big.test", "TXT")), 15)  # truncated by UDP, whole by TCP
        status, flags, _ = self.web.ask("+ignore", "big.test", "TXT")
        self.assertIn("tc", flags)

    def test_ports_ids_and_letters_cannot_be_guessed(self):
        for i in range(30):
            self.web.dig(f"onceuponatimeinthewest{i}.example", "A")
        seen = [line for i in range(30) for line in self.asked(f"onceuponatimeinthewest{i}.example")]
        self.assertGreaterEqual(len(seen), 30)
        self.assertGreater(len({line[2] for line in seen}), 20, "source ports")
        self.assertGreater(len({line[3] for line in seen}), 25, "ids")
        self.assertGreater(len({re.sub(r"\d+", "", line[4]) for line in seen}), 25, "letters")

    def test_liars_are_not_believed(self):
        self.assertEqual(self.web.dig("liar.test", "A"), ["192.0.2.5"])

    def test_an_answer_in_other_letters_is_asked_for_by_tcp(self):
        name = "lowered-all-of-these-many-letters.test"  # so many that chance does not make them all small
        self.assertEqual(self.web.dig(name.upper(), "A"), ["192.0.2.7"])
        self.assertEqual([line[1] for line in self.asked(name)], ["udp", "tcp"])

    def test_broken_answers(self):
        self.assertEqual(self.web.dig("broken.test", "A"), ["192.0.2.6"])
        self.assertEqual(self.web.dig("cut.test", "A"), ["192.0.2.8"])

    def test_a_lost_packet_is_sent_again(self):
        self.assertEqual(self.web.dig("lost.test", "A", tries=1), ["192.0.2.4"])

    def test_servfail(self):
        self.assertEqual(self.web.ask("servfail.test", "A")[0], "SERVFAIL")

    def test_a_slow_answer_holds_nobody_up(self):
        slow = self.web.popen("dig", "@127.0.0.11", "+short", "slow.test", "A")
        for _ in range(5):
            self.assertEqual(self.web.dig("web", "A"), ["10.0.0.2"])
        self.assertIsNone(slow.poll())
        self.assertEqual(slow.communicate()[0].strip(), "192.0.2.3")

    def test_pipelined_questions(self):
        """RFC 7766: several on one connection, answers as they come."""
        out = self.web.python("""
import socket, struct
def q(i, name): m = struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0) + b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\\0\\0\\1\\0\\1"; return struct.pack(">H", len(m)) + m
c = socket.create_connection(("127.0.0.11", 53), 10)
c.sendall(q(1, "slow.test") + q(2, "web") + q(3, "one.test")[:5]); c.sendall(q(3, "one.test")[5:])
got, order = b"", []
while len(order) < 3:
    got += c.recv(4096)
    while len(got) >= 2 and len(got) >= 2 + struct.unpack(">H", got[:2])[0]:
        n = struct.unpack(">H", got[:2])[0]; order.append(struct.unpack(">H", got[2:4])[0]); got = got[2 + n:]
print(order)
""")
        order = eval(out)  # noqa: S307 (a list of numbers of our own)
        self.assertEqual(sorted(order), [1, 2, 3])
        self.assertEqual(order[-1], 1)


class Resolvers(DnsTest):
    """Which resolver is asked."""

    def setUp(self):
        self.web = self.space()
        self.host.set_resolv(self.RESOLV)

    def tell_web(self, extra=""):
        self.tell(1, "web", [("front", "10.0.0.2", ["web"], "external")], self.web, extra=extra)

    def resolve_when_noticed(self, want, *words):
        wait_until(lambda: self.web.dig(*words) == want, message=f"{words} to be {want}")

    def test_the_hosts_file_is_read_again(self):
        self.tell_web()
        self.resolve_when_noticed(["127.0.0.53"], "where.test", "A")
        self.host.set_resolv("nameserver 192.0.2.54\n")
        self.resolve_when_noticed(["192.0.2.54"], "where.test", "A")
        self.host.set_resolv("# nobody\n")
        wait_until(lambda: self.web.ask("where.test", "A")[0] == "SERVFAIL", message="no resolver to be left")

    def test_own_servers(self):
        self.tell_web("server 192.0.2.53\n")
        self.assertEqual(self.web.dig("where.test", "A"), ["192.0.2.53"])

    def test_own_servers_are_never_the_hosts_loopback(self):
        self.tell_web("server 127.0.0.53\nserver ::1\nserver 0.0.0.0\n")
        before = len(self.asked("where.test"))
        self.assertEqual(self.web.ask("where.test", "A")[0], "SERVFAIL")
        self.assertEqual(len(self.asked("where.test")), before)

    def test_a_silent_one_is_passed_over_and_then_left_alone(self):
        self.tell_web()
        self.host.set_resolv("nameserver 127.0.0.54\nnameserver 192.0.2.53\n")
        self.resolve_when_noticed(["192.0.2.53"], "where.test", "A")
        self.assertEqual(self.web.dig("next.test", "A"), [])
        self.assertEqual({line[0] for line in self.asked("next.test")}, {"192.0.2.53"})

    def test_one_that_is_not_there_is_passed_over_at_once(self):
        self.tell_web("server 192.0.2.99\nserver 192.0.2.53\n")
        self.assertEqual(self.web.dig("where.test", "A"), ["192.0.2.53"])

    def test_one_that_fails_is_passed_over(self):
        self.tell_web("server 192.0.2.53\nserver 192.0.2.54\n")
        self.assertEqual(self.web.dig("half.test", "A"), ["192.0.2.9"])


class Hostile(DnsTest):
    """R21, R23: what one container does is felt by itself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.evil, cls.good = cls.space(), cls.space()
        cls.tell(1, "evil", [("front", "10.0.0.2", ["evil"], "external")], cls.evil)
        cls.tell(2, "good", [("front", "10.0.0.3", ["good"], "external")], cls.good)

    def assertServed(self, names=("good", "one.test")):
        for name in names:
            self.assertTrue(self.good.dig(name, "A", tries=1), name)

    def background(self, script):
        p = self.evil.popen(sys.executable, "-c", script)
        self.addCleanup(self.stop, p)
        p.stdout.readline()
        return p

    def test_a_flood_of_questions(self):
        self.background("""
import socket, struct
q = struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\\4evil\\0\\0\\1\\0\\1"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("127.0.0.11", 53)); print("up", flush=True)
while True:
    try: s.send(q)
    except OSError: pass
""")
        for _ in range(5):
            self.assertServed()

    def test_idle_connections(self):
        """CVE-2024-8418: aardvark-dns served one TCP client at a time."""
        p = self.background("""
import socket, time
c = []
for i in range(200):
    s = socket.create_connection(("127.0.0.11", 53), 30)
    s.send(b"\\0")
    c.append(s)
print("up", flush=True); time.sleep(1000)
""")
        self.assertServed()
        self.assertTrue(self.good.dig("+tcp", "good", "A", tries=1))
        self.assertEqual(self.evil.dig("+tcp", "good", "A"), ["10.0.0.3"])  # the oldest idle one made room
        descriptors = len(os.listdir(f"/proc/{self.worker()}/fd"))
        self.assertLess(descriptors, 60)
        self.assertIsNone(p.poll())

    def test_questions_that_nobody_answers(self):
        self.background("""
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("127.0.0.11", 53))
for i in range(2000):
    name = b"q%d" % i
    try: s.send(struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0) + bytes([len(name)]) + name + b"\\5never\\4test\\0\\0\\1\\0\\1")
    except OSError: pass
print("up", flush=True)
import time; time.sleep(1000)
""")
        self.assertServed()
        self.assertLess(len(os.listdir(f"/proc/{self.worker()}/fd")), 600)

    def test_garbage(self):
        worker = self.worker()
        out = self.evil.python("""
import random, socket
random.seed(7)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("127.0.0.11", 53)); s.setblocking(False)
answer = bytes.fromhex("000181800001000100000000") + b"\\4evil\\0\\0\\1\\0\\1\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\5\\0\\4\\6\\6\\6\\6"
for i in range(3000):
    p = random.choice([random.randbytes(random.randrange(0, 600)), answer[:random.randrange(len(answer))], answer, bytes(12) + random.randbytes(40), b"", random.randbytes(12) + b"\\xc0\\x0c" * 100])
    try: s.send(p)
    except OSError: pass
c = [socket.create_connection(("127.0.0.11", 53), 30) for _ in range(8)]
for s in c:
    try: s.sendall(random.randbytes(70000))
    except OSError: pass
print("done")
""")
        self.assertEqual(out.strip(), "done")
        self.assertServed()
        self.assertEqual(self.worker(), worker, "it was started again")

    def test_an_answer_gets_no_answer(self):
        """Two servers that answer answers would never stop."""
        out = self.evil.python("""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("127.0.0.11", 53))
s.settimeout(2)
for _ in range(25):  # a datagram may get lost where the server has much to read
    s.send(bytes.fromhex("000181800001000000000000") + b"\\4evil\\0\\0\\1\\0\\1")
    s.send(bytes.fromhex("000201000001000000000000") + b"\\4evil\\0\\0\\1\\0\\1")
    try: print(s.recv(512)[:2].hex())
    except TimeoutError: continue
    break
""")
        self.assertEqual(out.strip(), "0002")

    def test_messages_of_engines_that_make_no_sense(self):
        keeper = self.server()[0]
        out = subprocess.run([sys.executable, "-c", """
import os, random, socket, sys
random.seed(3)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(sys.argv[1])
for i in range(300):
    s.send(random.choice([b"tell", b"tell x y\\n", b"\\0" * 40, random.randbytes(200), b"forget " + b"9" * 64 + b"\\n", b"watch\\n", b"tell " + b"9" * 64 + b" new\\nname x\\n"]))
socket.send_fds(s, [b"tell " + b"9" * 64 + b" new\\n"], [1]); socket.send_fds(s, [b"nonsense"], [0, 1, 2, 0, 1, 2])
"""] + [os.path.join(self.run_dir, "dns", "socket")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * SLOW)
        self.assertEqual(out.returncode, 0, out.stdout)
        self.assertServed()
        self.assertEqual(self.server()[0], keeper)


class Life(DnsTest):
    KILLS = True

    def setUp(self):
        self.web = self.space()
        self.tell(1, "web", [("front", "10.0.0.2", ["web"], "external")], self.web)

    def tearDown(self):
        self.client("forget", full_id(1))

    def test_confinement(self):
        """CVE-2014-9357's lesson: read back from the kernel, of both processes."""
        self.assertEqual(self.web.dig("web", "A"), ["10.0.0.2"])
        keeper, worker = self.server()
        for pid in (keeper, worker):
            status = proc_status(pid)
            for key in ("Uid", "Gid"):
                self.assertEqual(set(status[key].split()), {str(UID)}, key)
            self.assertEqual(status["Groups"].split(), [])
            for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(status[key], 16), 0, key)
            self.assertEqual(status["NoNewPrivs"], "1")
            self.assertEqual(status["Seccomp"], "2")
        self.assertEqual(proc_status(keeper)["Seccomp_filters"], "1")
        self.assertEqual(proc_status(worker)["Seccomp_filters"], "2")
        targets = [os.readlink(f"/proc/{worker}/fd/{fd}") for fd in os.listdir(f"/proc/{worker}/fd")]
        self.assertFalse([t for t in targets if t.startswith("/") and t != "/dev/null"], targets)
        control = os.readlink(f"/proc/{keeper}/fd/3")
        self.assertNotIn(control, targets)

    def test_a_worker_that_dies_is_replaced(self):
        keeper, worker = self.server()
        for _ in range(3):
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: [p for p in self.server() if p not in (keeper, worker)], message="another worker")
            self.assertEqual(self.web.dig("web", "A"), ["10.0.0.2"])
            self.assertEqual(self.web.dig("one.test", "A"), ["192.0.2.1"])
            keeper, worker = self.server()

    def test_a_keeper_that_dies_is_noticed_and_replaced(self):
        watch = self.host.popen(os.path.join(self.stage.build, "tests", "unit", "dns-tell"), self.run_dir, self.stage.libexec, "watch")
        self.addCleanup(self.stop, watch)
        self.assertEqual(watch.stdout.readline().strip(), "watching")
        wait_until(lambda: any("pipe:" in os.readlink(f"/proc/{self.server()[0]}/fd/{fd}") for fd in os.listdir(f"/proc/{self.server()[0]}/fd")), message="the watcher to be known")
        os.kill(self.server()[0], signal.SIGKILL)
        self.assertEqual(watch.stdout.readline().strip(), "0")
        wait_until(lambda: not self.server(), message="the worker to go with its keeper")
        self.assertEqual(self.client("forget", full_id(1)), "0")
        self.assertEqual(self.tell(1, "web", [("front", "10.0.0.2", ["web"], "external")], self.web), "1")  # started: tell it of everybody
        self.assertEqual(self.web.dig("web", "A"), ["10.0.0.2"])

    def test_it_ends_when_there_is_nobody_left(self):
        self.client("forget", full_id(1))
        wait_until(lambda: not self.server(), message="the end of a server that nobody needs")
        self.assertEqual(self.client("ensure"), "1")
        self.assertEqual(self.client("ensure"), "0")
        self.assertEqual(self.tell(1, "web", [("front", "10.0.0.2", ["web"], "external")], self.web), "0")
        self.assertEqual(self.web.dig("web", "A"), ["10.0.0.2"])

    def test_one_is_started_however_many_ask_for_it(self):
        self.end_server()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            said = sorted(pool.map(lambda _: self.client("ensure"), range(8)))
        self.assertEqual(said, ["0"] * 7 + ["1"])
        wait_until(lambda: len(self.server()) == 2, message="a keeper and a worker")

    def test_a_container_that_moved(self):
        """A restart: other namespace, other address, the same names."""
        other, db = self.space(), self.space()
        self.tell(2, "db", [("front", "10.0.0.3", ["db"], "external")], db)
        self.addCleanup(self.client, "forget", full_id(2))
        self.assertEqual(db.dig("web", "A"), ["10.0.0.2"])
        self.tell(1, "web", [("front", "10.0.0.9", ["web"], "external")], other)
        self.assertEqual(db.dig("web", "A"), ["10.0.0.9"])
        self.assertEqual(other.dig("db", "A"), ["10.0.0.3"])
        self.tell(1, "web", [("back", "10.1.0.9", ["web"], "internal")])  # disconnect and connect, sockets as they are
        self.assertEqual(db.ask("web", "A")[0], "NXDOMAIN")
        self.assertEqual(other.dig("web", "A"), ["10.1.0.9"])
        self.client("forget", full_id(1))
        wait_until(lambda: "status" not in other.run("dig", "@127.0.0.11", "+tries=1", "+time=1", "web", check=False), message="its sockets to be closed")

    def test_a_container_is_found_before_it_can_ask(self):
        self.tell(5, "early", [("front", "10.0.0.5", ["early"], "external")])
        self.addCleanup(self.client, "forget", full_id(5))
        self.assertEqual(self.web.dig("early", "A"), ["10.0.0.5"])

    def test_names_that_would_be_two_lines(self):
        for text in (f"tell {full_id(7)} a b\n", f"tell {full_id(7)} x\nnetwork {NET['front']} front external\nname a b\n"):
            self.assertIn("reading stdin", self.client("tell", text=text, check=False))

    def test_it_is_no_command(self):
        p = subprocess.run([os.path.join(self.stage.libexec, "coffer-dns")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual((p.returncode, p.stdout), (2, "coffer-dns is a part of coffer, not a command\n"))

    def test_a_directory_that_is_deep(self):
        deep = os.path.join(self.scratch, "d" * 100, "e" * 100)
        os.makedirs(deep, 0o700)
        tool = os.path.join(self.stage.build, "tests", "unit", "dns-tell")
        self.assertEqual(self.host.run(tool, deep, self.stage.libexec, "ensure").strip(), "1")


if __name__ == "__main__":
    unittest.main()
