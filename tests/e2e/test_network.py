# SPDX-License-Identifier: Apache-2.0
"""Networks with real traffic: bridges, published ports, isolation, what outlives a flush and a kill.

Everything happens in a network namespace of the test process (coffer.new_network()), with a second one as the world outside of the host.
"""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import unittest

import coffer
import daemon
import images

SERVE = "while :; do echo {0} | nc -l -p {1} >/dev/null; done"
HTTPD = "httpd -f -p 80 -h /tmp"


def sh(*argv, check=True, timeout=20, **kw):
    p = subprocess.run([str(a) for a in argv], capture_output=True, timeout=timeout * coffer.SLOW, text=True, **kw)
    if check and p.returncode != 0:
        raise AssertionError(f"{argv}: {p.returncode}: {p.stdout}{p.stderr}")
    return p


class World:
    """A machine beside the host, on a wire of its own: 192.0.2.2 and 2001:db8::2; the host is .1 and ::1 there."""

    HOST, ADDRESS, HOST6, ADDRESS6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"

    def __init__(self):
        self.proc = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"])
        own = os.stat("/proc/self/ns/net").st_ino
        if not coffer.wait_until(lambda: os.path.exists(f"/proc/{self.proc.pid}/ns/net") and os.stat(f"/proc/{self.proc.pid}/ns/net").st_ino != own, 10):
            raise RuntimeError("no namespace for the world outside")
        sh("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1", "netns", self.proc.pid)
        for where, name, four, six in (([], "wire0", self.HOST, self.HOST6), (self.prefix, "wire1", self.ADDRESS, self.ADDRESS6)):
            sh(*where, "ip", "addr", "add", four + "/24", "dev", name)
            sh(*where, "ip", "addr", "add", six + "/64", "dev", name, "nodad")
            sh(*where, "ip", "link", "set", name, "up")
            sh(*where, "ip", "link", "set", "lo", "up")

    @property
    def prefix(self):
        return ["nsenter", f"--net=/proc/{self.proc.pid}/ns/net"]

    def run(self, *argv, **kw):
        return sh(*self.prefix, *argv, **kw)

    def python(self, code, *args, **kw):
        return self.run("python3", "-c", code, *args, **kw)

    def close(self):
        self.proc.kill()
        self.proc.wait()


CONNECT = """
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]))
except OSError as e:
    print("no", e)
else:
    s.settimeout(20)
    s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print("yes", s.recv(12).decode())
"""

# says who asks
WHO = """
import socket
family = socket.AF_INET6 if %r else socket.AF_INET
s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("", %d)); s.listen()
print("ready", flush=True)
while True:
    c, peer = s.accept(); c.sendall((peer[0] + "\\n").encode()); c.close()
"""


def connects(host, port, timeout=1.0):
    """Does a TCP connection from the host come about, and is it answered?"""
    return sh("python3", "-c", CONNECT, host, port, timeout * coffer.SLOW, timeout=60).stdout.startswith("yes")


class NetworkTest(daemon.DaemonTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = World()

    @classmethod
    def tearDownClass(cls):
        cls.world.close()
        super().tearDownClass()

    _n = 0

    def unique(self, stem="n"):
        type(self)._n += 1
        return f"{stem}{type(self)._n}"

    def network(self, *flags, name=None, **body):
        name = name or self.unique("net")
        a = self.api("POST", "/networks/create", dict({"Name": name}, **body))
        self.assertEqual(a.status, 201, str(a))
        self.addCleanup(self.api, "DELETE", "/networks/" + name)
        return name

    def start(self, script, *, net=None, host=None, **config):
        cid = self.create("sh", "-c", script, host=dict({"NetworkMode": net or "bridge"}, **(host or {})), **config)
        a = self.api("POST", f"/containers/{cid}/start")
        self.assertEqual(a.status, 204, str(a))
        return cid

    def web(self, net=None, **kw):
        cid = self.start(HTTPD, net=net, **kw)
        pid = self.inspect(cid)["State"]["Pid"]
        # it listens
        ok = coffer.wait_until(lambda: re.search(r"^ *\d+: 0+:0050 0+:0000 0A", sh("nsenter", f"--net=/proc/{pid}/ns/net", "cat", f"/proc/{pid}/net/tcp6").stdout, re.M), 10)
        self.assertTrue(ok)
        return cid

    def inspect(self, cid):
        a = self.api("GET", f"/containers/{cid}/json")
        self.assertEqual(a.status, 200, str(a))
        return a.json()

    def endpoint(self, cid, net="bridge"):
        return self.inspect(cid)["NetworkSettings"]["Networks"][net]

    def address(self, cid, net="bridge"):
        return self.endpoint(cid, net)["IPAddress"]

    def inside(self, cid, *argv, **kw):
        """Run a program of the host's in the container's network."""
        return sh("nsenter", f"--net=/proc/{self.inspect(cid)['State']['Pid']}/ns/net", *argv, **kw)

    def reaches(self, cid, host, port=80, timeout=1.0):
        return self.inside(cid, "python3", "-c", CONNECT, host, port, timeout * coffer.SLOW, timeout=60).stdout.startswith("yes")

    def serve_who(self, where, port, six=False):
        """A server in the namespace behind @where that answers with its client's address."""
        p = subprocess.Popen([*where, "python3", "-c", WHO % (six, port)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.assertEqual(p.stdout.readline(), "ready\n")

    def ask(self, where, host, port):
        code = "import socket,sys; s=socket.create_connection((sys.argv[1],int(sys.argv[2])),5); print(s.recv(100).decode().strip())"
        return sh(*where, "python3", "-c", code, host, port).stdout.strip()

    def in_ns(self, cid):
        return ["nsenter", f"--net=/proc/{self.inspect(cid)['State']['Pid']}/ns/net"]


class Default(NetworkTest):
    def test_a_container_has_an_address_a_route_and_no_ipv6(self):
        cid = self.web()
        ep = self.endpoint(cid)
        self.assertRegex(ep["IPAddress"], r"^172\.17\.")
        self.assertEqual(ep["Gateway"], "172.17.0.1")
        self.assertEqual(self.inside(cid, "cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6").stdout, "1\n")
        self.assertIn("default via 172.17.0.1", self.inside(cid, "ip", "route").stdout)
        self.assertIn(ep["MacAddress"], self.inside(cid, "ip", "link").stdout)
        # its network is owned by its own user namespace
        pid = self.inspect(cid)["State"]["Pid"]
        self.assertNotEqual(os.stat(f"/proc/{pid}/ns/user").st_ino, os.stat("/proc/self/ns/user").st_ino)
        owner = sh("python3", "-c", "import fcntl,os,sys; fd=os.open(sys.argv[1],0); u=fcntl.ioctl(fd,0xb701); print(os.fstat(u).st_ino)", f"/proc/{pid}/ns/net").stdout
        self.assertEqual(int(owner), os.stat(f"/proc/{pid}/ns/user").st_ino)

    def test_the_world_outside_sees_the_host(self):
        self.serve_who(self.world.prefix, 7001)
        cid = self.web()
        self.assertEqual(self.ask(self.in_ns(cid), World.ADDRESS, 7001), World.HOST)

    def test_what_is_not_published_is_not_reached_from_outside(self):
        cid = self.web()
        self.world.run("ip", "route", "replace", "172.16.0.0/12", "via", World.HOST)
        self.assertTrue(connects(self.address(cid), 80, timeout=10))  # from the host itself
        self.assertFalse(self.world.python(CONNECT, self.address(cid), "80", "1").stdout.startswith("yes"))

    def test_none_has_loopback_alone(self):
        cid = self.start("sleep 100", net="none")
        self.assertEqual([line.split()[0] for line in self.inside(cid, "ip", "-br", "link").stdout.splitlines()], ["lo"])

    def test_the_three_default_networks(self):
        nets = {n["Name"]: n for n in self.api("GET", "/networks").json()}
        self.assertEqual({n: nets[n]["Driver"] for n in ("bridge", "host", "none")}, {"bridge": "bridge", "host": "host", "none": "null"})
        for name in ("bridge", "host", "none"):
            a = self.api("DELETE", f"/networks/{name}")
            self.assertEqual((a.status, a.message), (403, f"{name} is a pre-defined network and cannot be removed"))

    def test_nothing_is_left_of_one_that_ended(self):
        cid = self.start("read x; exit 3", host={"PortBindings": {"80/tcp": [{"HostPort": "9099"}]}}, OpenStdin=True)
        address = self.address(cid)
        known = lambda: sh("ip", "neigh", "show", address, "nud", "permanent").stdout  # noqa: E731
        self.assertIn("lladdr", known())
        os.kill(self.inspect(cid)["State"]["Pid"], signal.SIGKILL)
        self.assertEqual(self.api("POST", f"/containers/{cid}/wait").json()["StatusCode"], 137)
        self.assertEqual(known(), "")
        self.assertEqual(self.endpoint(cid)["IPAddress"], "")
        self.assertNotIn("9099", sh("nft", "list", "ruleset").stdout)
        with socket.socket() as s:
            s.bind(("", 9099))


class OperatorTest(NetworkTest):
    """What daemon.json says of networks."""

    CONFIG = {"default-address-pools": [{"base": "10.64.0.0/16", "size": 26}], "bip": "10.200.0.9/24", "fixed-cidr": "10.200.0.128/25", "ip": "127.0.0.1", "mtu": 1400, "icc": False,
              "ipv6": True, "fixed-cidr-v6": "fd00:200::/64"}

    @classmethod
    def start_daemon(cls, *flags):
        path = os.path.join(cls.scratch, "daemon.json")
        with open(path, "w") as f:
            json.dump(cls.CONFIG, f)
        return super().start_daemon("--config-file", path, *flags)


class Operator(OperatorTest):
    def test_the_default_network(self):
        a, b = self.web(host={"PortBindings": {"80/tcp": [{"HostPort": "8150"}]}}), self.web()
        self.assertRegex(self.address(a), r"^10\.200\.0\.1(2[89]|[3-9]\d)$")
        self.assertEqual(self.endpoint(a)["Gateway"], "10.200.0.9")
        self.assertIn("mtu 1400", self.inside(a, "ip", "link", "show", "eth0").stdout)
        self.assertFalse(self.reaches(a, self.address(b)))
        self.assertTrue(connects("127.0.0.1", 8150, timeout=10))
        self.assertFalse(connects(World.HOST, 8150))
        self.assertRegex(self.endpoint(a)["GlobalIPv6Address"], "^fd00:200::")
        self.serve_who(self.world.prefix, 7041, six=True)
        self.assertEqual(self.ask(self.in_ns(a), World.ADDRESS6, 7041), World.HOST6)
        self.serve_who(self.world.prefix, 7040)
        self.assertEqual(self.ask(self.in_ns(a), World.ADDRESS, 7040), World.HOST)

    def test_networks_come_from_the_pools(self):
        one, two = self.network(), self.network()
        subnets = [self.api("GET", f"/networks/{n}").json()["IPAM"]["Config"][0]["Subnet"] for n in (one, two)]
        self.assertEqual(len(set(subnets)), 2)
        for s in subnets:
            self.assertRegex(s, r"^10\.64\.\d+\.\d+/26$")
        a, b = self.web(one), self.web(one)
        self.assertTrue(self.reaches(a, self.address(b, one), timeout=10))


class OperatorLater(OperatorTest):
    def test_another_word_holds_when_nobody_is_there_any_more(self):
        cid = self.web()
        self.daemon.stop()
        type(self).CONFIG = dict(self.CONFIG, **{"bip": "10.201.0.1/24", "fixed-cidr": ""})
        type(self).start_daemon()
        self.assertTrue(connects(self.address(cid), 80, timeout=10))
        self.assertRegex(self.address(self.web()), r"^10\.200\.0\.")
        for c in self.api("GET", "/containers/json").json():
            self.api("DELETE", f"/containers/{c['Id']}?force=1")
        self.assertRegex(self.address(self.web()), r"^10\.201\.0\.")


class Ports(NetworkTest):
    def publish(self, *bindings, net=None, **kw):
        table = {}
        for key, ip, port in bindings:
            table.setdefault(key, []).append({"HostIp": ip, "HostPort": port})
        return self.web(net=net, host={"PortBindings": table, **kw})

    def test_every_way_to_a_published_port(self):
        cid = self.publish(("80/tcp", "", "8081"))
        other = self.web()
        for filtered in ("0", "1"):
            path = "/proc/sys/net/bridge/bridge-nf-call-iptables"
            if os.path.exists(path):
                with open(path, "w") as f:
                    f.write(filtered)
            for host in ("127.0.0.1", "127.0.0.7", World.HOST, "172.17.0.1"):
                self.assertTrue(connects(host, 8081, timeout=10), (host, filtered))
            self.assertTrue(self.world.python(CONNECT, World.HOST, "8081", "10").stdout.startswith("yes"))
            for host in (World.HOST, "172.17.0.1"):
                self.assertTrue(self.reaches(other, host, 8081, timeout=10), (host, filtered))
                self.assertTrue(self.reaches(cid, host, 8081, timeout=10), ("itself", host, filtered))

    def test_the_source_address_is_kept(self):
        cid = self.publish(("7002/tcp", "", "7003"))
        self.serve_who(self.in_ns(cid), 7002)
        self.assertEqual(self.ask(self.world.prefix, World.HOST, 7003), World.ADDRESS)
        self.assertNotIn(self.ask([], "127.0.0.1", 7003), ("127.0.0.1", ""))  # CVE-2021-20199: never as if it came from inside

    def test_on_one_address_alone(self):
        self.publish(("80/tcp", "127.0.0.1", "8082"))
        self.assertTrue(connects("127.0.0.1", 8082, timeout=10))
        self.assertFalse(connects(World.HOST, 8082))
        self.assertFalse(self.world.python(CONNECT, World.HOST, "8082", "1").stdout.startswith("yes"))

    def test_what_passes_through_is_not_ours(self):
        # CVE-2025-54388: a port is published on the host's addresses, not on those of machines behind it
        self.publish(("80/tcp", "", "8083"))
        cid = self.web()
        self.assertFalse(self.reaches(cid, World.ADDRESS, 8083))

    def test_a_port_in_use_is_told_before_the_start(self):
        cid = self.publish(("80/tcp", "", "8084"))
        for binding, who in (("8084", cid[:12]), ("8085", "a program of this host")):
            with socket.socket() as s:
                if binding == "8085":
                    s.bind(("", 8085))
                    s.listen()
                second = self.create("true", host={"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostPort": binding}]}})
                a = self.api("POST", f"/containers/{second}/start")
                self.assertEqual(a.status, 409, str(a))
                self.assertIn("port is already allocated", a.message)
                self.assertIn(who, a.message)
        # and nobody else can take it while it runs
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.assertRaises(OSError, s.bind, ("", 8084))

    def test_ranges_and_free_ones(self):
        first = self.publish(("80/tcp", "", "8090-8092"))
        second = self.publish(("80/tcp", "", "8090-8092"))
        ports = [self.inspect(c)["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"] for c in (first, second)]
        self.assertEqual(ports, ["8090", "8091"])
        third = self.publish(("80/tcp", "", ""))
        port = int(self.inspect(third)["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])
        self.assertTrue(connects("127.0.0.1", port, timeout=10))
        shown = [c for c in self.api("GET", "/containers/json").json() if c["Id"] == third][0]["Ports"]
        self.assertEqual(shown, [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": port, "Type": "tcp"}])

    def test_publish_all(self):
        cid = self.web(host={"PublishAllPorts": True}, ExposedPorts={"80/tcp": {}, "53/udp": {}})
        ports = self.inspect(cid)["NetworkSettings"]["Ports"]
        self.assertEqual(sorted(ports), ["53/udp", "80/tcp"])
        self.assertTrue(connects("127.0.0.1", int(ports["80/tcp"][0]["HostPort"]), timeout=10))

    def test_udp(self):
        cid = self.start("sleep 100", host={"PortBindings": {"7004/udp": [{"HostPort": "7005"}]}})
        p = subprocess.Popen([*self.in_ns(cid), "python3", "-c",
                              "import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('',7004)); print('ready',flush=True)\n"
                              "while True: d,a=s.recvfrom(100); s.sendto(a[0].encode(),a)"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.assertEqual(p.stdout.readline(), "ready\n")
        code = "import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(5); s.connect((sys.argv[1],7005)); s.send(b'x'); print(s.recv(99).decode())"
        self.assertEqual(self.world.python(code, World.HOST).stdout.strip(), World.ADDRESS)
        sh("python3", "-c", code, "127.0.0.1")

    def test_ipv6(self):
        net = self.network(EnableIPv6=True)
        cid = self.publish(("80/tcp", "", "8095"), net=net)
        six = self.endpoint(cid, net)["GlobalIPv6Address"]
        self.assertTrue(six)
        self.assertTrue(connects(six, 80, timeout=10))
        self.assertTrue(connects(World.HOST6, 8095, timeout=10))
        self.assertTrue(self.world.python(CONNECT, World.HOST6, "8095", "10").stdout.startswith("yes"))
        self.serve_who(self.world.prefix, 7006, six=True)
        self.assertEqual(self.ask(self.in_ns(cid), World.ADDRESS6, 7006), World.HOST6)
        other = self.web(net=net)
        self.assertTrue(self.reaches(other, six, timeout=10))

    def test_refusals(self):
        cases = (
            ({"80/tcp": [{"HostIp": "x"}]}, "is not an IP address"),
            ({"80/tcp": [{"HostPort": "70000"}]}, "is not a port"),
            ({"80/xyz": [{"HostPort": "1"}]}, "invalid port specification"),
            ({"0/tcp": [{}]}, "invalid port specification"),
        )
        for bindings, words in cases:
            a = self.api("POST", "/containers/create", {"Image": self.IMAGE, "HostConfig": {"PortBindings": bindings}})
            self.assertEqual(a.status, 400, str(a))
            self.assertIn(words, a.message)
        six = self.network(EnableIPv6=True)
        for net, ip, status, words in (("bridge", "192.0.2.77", 400, "is not an address of this host"), ("bridge", "::1", 400, "IPv6"),
                                       (six, "::1", 501, "::1 cannot be translated by the kernel: publish on 127.0.0.1")):
            cid = self.create("true", host={"NetworkMode": net, "PortBindings": {"80/tcp": [{"HostIp": ip, "HostPort": "1234"}]}})
            a = self.api("POST", f"/containers/{cid}/start")
            self.assertEqual(a.status, status, str(a))
            self.assertIn(words, a.message)

    def test_a_thousand(self):
        cid = self.start("sleep 100", host={"PortBindings": {f"{p}/tcp": [{"HostPort": str(p)}] for p in range(20000, 21000)}})
        self.serve_who(self.in_ns(cid), 20500)
        self.assertEqual(self.ask(self.world.prefix, World.HOST, 20500), World.ADDRESS)


class Isolation(NetworkTest):
    def test_networks_do_not_reach_each_other(self):
        one, two = self.network(), self.network()
        a, b, c = self.web(one), self.web(one), self.web(two)
        d = self.web()
        where = {a: one, b: one, c: two, d: "bridge"}
        for x in where:
            for y in where:
                if x != y:
                    self.assertEqual(self.reaches(x, self.address(y, where[y]), timeout=0.5 if where[x] != where[y] else 10), where[x] == where[y], (where[x], where[y]))

    def test_a_published_port_is_for_all_networks(self):
        one, two = self.network(), self.network()
        self.web(one, host={"PortBindings": {"80/tcp": [{"HostPort": "8100"}]}})
        self.assertTrue(self.reaches(self.web(two), World.HOST, 8100, timeout=10))
        inner = self.network(Internal=True)
        self.assertFalse(self.reaches(self.web(inner), World.HOST, 8100))

    def test_internal(self):
        inner = self.network(Internal=True)
        a, b = self.web(inner), self.web(inner)
        self.assertTrue(self.reaches(a, self.address(b, inner), timeout=10))
        self.assertNotIn("default", self.inside(a, "ip", "route").stdout)
        # and a route of its own making leads nowhere
        gateway = self.api("GET", f"/networks/{inner}").json()["IPAM"]["Config"][0]["Gateway"]
        self.inside(a, "ip", "route", "add", "default", "via", gateway)
        self.serve_who(self.world.prefix, 7010)
        self.assertFalse(self.reaches(a, World.ADDRESS, 7010))

    def test_no_way_to_the_host(self):
        cid = self.web()
        with socket.socket() as s, socket.socket() as lo:
            s.bind(("", 7011))
            s.listen()
            lo.bind(("127.0.0.1", 7012))
            lo.listen()
            self.web(host={"PortBindings": {"80/tcp": [{"HostPort": "8101"}]}})  # loopback is routed now
            self.inside(cid, "ip", "route", "add", "unicast", "127.0.0.0/8", "via", "172.17.0.1", "table", "99", check=False)
            self.inside(cid, "ip", "rule", "add", "pref", "1", "to", "127.0.0.0/8", "lookup", "99", check=False)
            self.inside(cid, "ip", "rule", "del", "pref", "0", check=False)
            for host, port in (("172.17.0.1", 7011), (World.HOST, 7011), ("127.0.0.1", 7012)):
                self.assertFalse(self.reaches(cid, host, port), (host, port))
            open_ = self.network(Options={"coffer.host-access": "true"})
            self.assertTrue(sh(*self.in_ns(self.web(open_)), "python3", "-c", "import socket; socket.create_connection(('192.0.2.1',7011),3); print('yes')").stdout.startswith("yes"))

    def test_isolated_from_each_other(self):
        net = self.network(Options={"com.docker.network.bridge.enable_icc": "false"})
        a, b = self.web(net), self.web(net)
        self.assertFalse(self.reaches(a, self.address(b, net)))
        self.serve_who(self.world.prefix, 7013)
        self.assertEqual(self.ask(self.in_ns(a), World.ADDRESS, 7013), World.HOST)

    FORGE = r"""
import socket, struct, sys
mac = lambda s: bytes.fromhex(s.replace(":", ""))
me, gateway, victim = mac(sys.argv[1]), mac(sys.argv[2]), sys.argv[3]
my_ip, other_ip = socket.inet_aton(sys.argv[4]), socket.inet_aton(sys.argv[5])
liar = mac("02:42:de:ad:be:ef")
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
def sum16(b):
    t = sum(struct.unpack("!%dH" % (len(b) // 2), b)); t = (t >> 16) + (t & 0xffff); return ~(t + (t >> 16)) & 0xffff
def udp(src, dst, ether_src):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + 5, 1, 0, 64, 17, 0, src, dst)
    head = head[:10] + struct.pack("!H", sum16(head)) + head[12:]
    return gateway + ether_src + b"\x08\x00" + head + struct.pack("!HHHH", 1, 9, 13, 0) + b"forge"
def arp(ether_src, sha, spa):
    return b"\xff" * 6 + ether_src + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 2) + sha + spa + b"\xff" * 6 + other_ip
def six(kind):
    body = bytes([kind, 0, 0, 0]) + bytes(12)
    src = bytes.fromhex("fe80000000000000") + bytes([me[0] ^ 2, me[1], me[2], 0xff, 0xfe, me[3], me[4], me[5]]); dst = bytes.fromhex("ff020000000000000000000000000001")
    pseudo = src + dst + struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", sum16(pseudo + body)) + body[4:]
    return bytes.fromhex("333300000001") + me + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + src + dst + body
frames = {
    "ip": udp(other_ip, socket.inet_aton(sys.argv[6]), me), "mac": udp(my_ip, socket.inet_aton(sys.argv[6]), liar), "arp": arp(me, me, other_ip), "arp-mac": arp(me, liar, my_ip),
    "arp-ether": arp(liar, me, my_ip), "ra": six(134), "redirect": six(137), "vlan": gateway + me + b"\x81\x00\x00\x05\x08\x00" + bytes(40), "other": b"\xff" * 6 + me + b"\x88\xcc" + bytes(40),
}
for name in sys.argv[7:]:
    s.send(frames[name])
"""

    def dropped(self):
        text = sh("nft", "list", "ruleset").stdout
        chain = text[text.index("chain from-port"):]
        return int(re.search(r"counter packets (\d+)", chain).group(1))

    def test_nothing_forged_gets_out(self):
        net = self.network(EnableIPv6=True)
        a, b = self.start("sleep 100", net=net), self.start("sleep 100", net=net)
        ep = self.endpoint(a, net)
        mac = self.inside(a, "ip", "neigh", "show", ep["Gateway"]).stdout.split("lladdr ")[1].split()[0]
        listener = subprocess.Popen([*self.in_ns(b), "python3", "-c",
                                     "import socket,sys; s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3)); s.bind(('eth0',3)); print('ready',flush=True)\n"
                                     "me=bytes.fromhex(sys.argv[1].replace(':',''))\n"
                                     "while True:\n d=s.recv(2000)\n if d[6:12] in (me, bytes.fromhex('0242deadbeef')): print(d.hex(),flush=True)", ep["MacAddress"]], stdout=subprocess.PIPE, text=True)
        self.addCleanup(listener.stdout.close)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        self.assertEqual(listener.stdout.readline(), "ready\n")
        catch = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        self.addCleanup(catch.close)
        catch.settimeout(0.3)
        forged = ("ip", "mac", "arp", "arp-mac", "arp-ether", "ra", "redirect", "vlan", "other")
        args = (ep["MacAddress"], mac, self.endpoint(b, net)["MacAddress"], ep["IPAddress"], self.address(b, net), ep["Gateway"])
        self.inside(a, "python3", "-c", self.FORGE, *args, *forged)
        seen = []
        try:
            while True:
                seen.append(catch.recv(2000))
        except socket.timeout:
            pass
        self.assertFalse([p for p in seen if b"forge" in p])
        self.assertEqual(self.dropped() > 0, True)
        # what is not forged arrives, and is the first that does
        self.inside(a, "python3", "-c", "import socket; s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW); s.bind(('eth0',0)); import sys\n"
                    "m=lambda x: bytes.fromhex(x.replace(':','')); s.send(b'\\xff'*6+m(sys.argv[1])+b'\\x08\\x06'+bytes.fromhex('0001080006040001')+m(sys.argv[1])+socket.inet_aton(sys.argv[2])+b'\\0'*6+socket.inet_aton(sys.argv[3]))",
                    ep["MacAddress"], ep["IPAddress"], self.address(b, net))
        while True:
            frame = bytes.fromhex(listener.stdout.readline().strip())
            if frame[12:14] == b"\x86\xdd" and frame[54] not in (134, 137):
                continue  # the kernel's own neighbour discovery
            self.assertEqual(frame[12:14], b"\x08\x06", frame.hex())
            self.assertEqual(frame[22:28].hex(":"), ep["MacAddress"])
            self.assertEqual(socket.inet_ntoa(frame[28:32]), ep["IPAddress"])
            break

    def test_a_flush_is_mended(self):
        one, two = self.network(), self.network()
        a, b = self.web(one), self.web(two, host={"PortBindings": {"80/tcp": [{"HostPort": "8110"}]}})
        for command in (("flush", "ruleset"), ("delete", "table", "inet", self.table()), ("flush", "chain", "inet", self.table(), "forward")):
            sh("nft", *command)
            self.assertTrue(coffer.wait_until(lambda: "8110" in sh("nft", "list", "ruleset").stdout and "jump from-network" in sh("nft", "list", "ruleset").stdout, 5), command)
            self.assertFalse(self.reaches(a, self.address(b, two), timeout=0.5))
            self.assertTrue(connects("127.0.0.1", 8110, timeout=10))

    def table(self):
        return re.search(r"table inet (coffer\S*)", sh("nft", "list", "tables").stdout).group(1)

    def test_what_others_set_up_is_left_alone(self):
        sh("nft", "add table ip filter; add chain ip filter DOCKER-USER; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }; add rule ip filter FORWARD jump DOCKER-USER")
        self.addCleanup(sh, "nft", "delete", "table", "ip", "filter")
        self.serve_who(self.world.prefix, 7014)
        sh("nft", "delete", "table", "inet", self.table()) if "inet coffer" in sh("nft", "list", "tables").stdout else None
        cid = self.web()
        self.assertTrue(coffer.wait_until(lambda: "iifname" in sh("nft", "list", "chain", "ip", "filter", "DOCKER-USER").stdout, 5))
        self.assertEqual(self.ask(self.in_ns(cid), World.ADDRESS, 7014), World.HOST)
        self.assertIn("policy drop", sh("nft", "list", "ruleset").stdout)

    def test_forwarding_of_others_stays_off(self):
        with open("/proc/sys/net/ipv4/ip_forward", "w") as f:
            f.write("0")
        sh("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
        self.addCleanup(sh, "ip", "link", "del", "lan0")
        self.coffer("run", "--rm", self.IMAGE, "true", env={"COFFER_HOST": ""})
        self.web()
        text = sh("nft", "list", "ruleset").stdout
        if coffer.read_text("/proc/sys/net/ipv4/ip_forward") == "1\n":
            self.assertRegex(text, r'set guarded4 \{[^}]*"wire0"')


class Changes(NetworkTest):
    def connect(self, net, cid, **settings):
        a = self.api("POST", f"/networks/{net}/connect", {"Container": cid, "EndpointConfig": settings})
        self.assertEqual(a.status, 200, str(a))

    def disconnect(self, net, cid):
        a = self.api("POST", f"/networks/{net}/disconnect", {"Container": cid})
        self.assertEqual(a.status, 200, str(a))

    def test_while_it_runs(self):
        one, two = self.network(), self.network(EnableIPv6=True)
        cid, other = self.web(one, host={"PortBindings": {"80/tcp": [{"HostPort": "8120"}]}}), self.web(two)
        self.assertFalse(self.reaches(cid, self.address(other, two), timeout=0.5))
        self.connect(two, cid)
        self.assertTrue(self.reaches(cid, self.address(other, two), timeout=10))
        self.assertTrue(self.reaches(cid, self.endpoint(other, two)["GlobalIPv6Address"], timeout=10))
        self.assertIn("default", self.inside(cid, "ip", "-6", "route").stdout)
        self.assertIn(cid, self.api("GET", f"/networks/{two}").json()["Containers"])
        # the published port follows to what is left
        self.disconnect(one, cid)
        self.assertTrue(connects("127.0.0.1", 8120, timeout=10))
        self.assertIn("default", self.inside(cid, "ip", "route").stdout)
        self.disconnect(two, cid)
        self.assertFalse(connects("127.0.0.1", 8120))
        self.assertEqual(self.inside(cid, "ip", "route").stdout, "")
        self.connect(one, cid)
        self.assertIn("default", self.inside(cid, "ip", "route").stdout)
        self.serve_who(self.world.prefix, 7020)
        self.assertEqual(self.ask(self.in_ns(cid), World.ADDRESS, 7020), World.HOST)

    def test_before_the_first_start(self):
        one, two = self.network(), self.network()
        cid = self.create("sh", "-c", HTTPD, host={"NetworkMode": one})
        self.disconnect(one, cid)
        self.connect(one, cid, Aliases=["alias"])  # as docker-compose 1 does
        self.connect(two, cid)
        self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 204)
        self.assertTrue(self.address(cid, one) and self.address(cid, two))
        self.assertEqual(self.endpoint(cid, one)["Aliases"], ["alias"])
        self.assertEqual(self.api("POST", f"/containers/{cid}/restart?t=0").status, 204)
        self.assertTrue(self.address(cid, one) and self.address(cid, two))

    def test_refusals(self):
        net = self.network()
        cid = self.web(net)
        none = self.start("sleep 100", net="none")
        for target, body, status, words in (
            (f"/networks/{net}/connect", {"Container": cid}, 403, "already exists in network"),
            ("/networks/nosuch/connect", {"Container": cid}, 404, "network nosuch not found"),
            (f"/networks/{net}/connect", {"Container": "nosuch"}, 404, "No such container: nosuch"),
            ("/networks/host/connect", {"Container": cid}, 403, "host"),
            (f"/networks/{net}/connect", {"Container": none}, 403, "private (none) mode"),
            ("/networks/bridge/disconnect", {"Container": cid}, 403, "is not connected to network bridge"),
            ("/networks/bridge/connect", {"Container": cid, "EndpointConfig": {"IPAMConfig": {"IPv4Address": "172.17.0.9"}}}, 400, "user defined networks only"),
        ):
            a = self.api("POST", target, body)
            self.assertEqual(a.status, status, f"{target} {body}: {a}")
            self.assertIn(words, a.message)
        a = self.api("DELETE", f"/networks/{net}")
        self.assertEqual(a.status, 403, str(a))
        self.assertIn("has active endpoints", a.message)

    def test_create_refusals(self):
        for body, status, words in (
            ({"Name": "x y"}, 400, "invalid network name"),
            ({"Name": "ok1", "Driver": "macvlan"}, 501, "macvlan"),
            ({"Name": "ok1", "Options": {"com.docker.network.bridge.inhibit_ipv4": "true"}}, 501, "inhibit_ipv4"),
            ({"Name": "ok1", "IPAM": {"Config": [{"Subnet": "10.9.0.1/24"}]}}, 400, "bits behind its prefix"),
            ({"Name": "ok1", "IPAM": {"Config": [{"Subnet": "10.9.0.0/24", "Gateway": "10.8.0.1"}]}}, 400, "is not in subnet"),
            ({"Name": "ok1", "IPAM": {"Config": [{"Subnet": "172.17.0.0/24"}]}}, 403, "Pool overlaps"),
            ({"Name": "ok1", "IPAM": {"Config": [{"Subnet": "fd00::/64"}]}}, 400, "EnableIPv6"),
            ({"Name": "ok1", "EnableIPv4": False}, 501, "EnableIPv4"),
            ({"Name": "bridge"}, 409, "network with name bridge already exists"),
        ):
            a = self.api("POST", "/networks/create", body)
            self.assertEqual(a.status, status, f"{body}: {a}")
            self.assertIn(words, a.message)

    def test_addresses(self):
        net = self.network(IPAM={"Config": [{"Subnet": "10.77.0.0/29", "AuxiliaryAddresses": {"router": "10.77.0.2"}}]})
        fixed = self.create("sleep", "100", host={"NetworkMode": net}, NetworkingConfig={"EndpointsConfig": {net: {"IPAMConfig": {"IPv4Address": "10.77.0.3"}, "MacAddress": "02:00:00:00:77:03"}}})
        self.assertEqual(self.api("POST", f"/containers/{fixed}/start").status, 204)
        ep = self.endpoint(fixed, net)
        self.assertEqual((ep["IPAddress"], ep["MacAddress"]), ("10.77.0.3", "02:00:00:00:77:03"))
        rest = [self.start("sleep 100", net=net) for _ in range(3)]
        self.assertEqual(sorted(self.address(c, net) for c in rest), ["10.77.0.4", "10.77.0.5", "10.77.0.6"])
        full = self.create("true", host={"NetworkMode": net})
        a = self.api("POST", f"/containers/{full}/start")
        self.assertEqual(a.status, 403, str(a))
        self.assertIn("no available", a.message)
        same = self.api("POST", "/containers/create", {"Image": self.IMAGE, "HostConfig": {"NetworkMode": net}, "NetworkingConfig": {"EndpointsConfig": {net: {"IPAMConfig": {"IPv4Address": "10.77.0.3"}}}}}).json()["Id"]
        self.addCleanup(self.api, "DELETE", f"/containers/{same}")
        a = self.api("POST", f"/containers/{same}/start")
        self.assertEqual((a.status, "Address already in use" in a.message), (409, True), str(a))
        for address, words in (("10.78.0.3", "is not in subnet"), ("10.77.0.2", "nobody's"), ("10.77.0.1", "gateway")):
            a = self.api("POST", "/containers/create", {"Image": self.IMAGE, "HostConfig": {"NetworkMode": net}, "NetworkingConfig": {"EndpointsConfig": {net: {"IPAMConfig": {"IPv4Address": address}}}}})
            self.assertEqual(a.status, 400, str(a))
            self.assertIn(words, a.message)

    def test_prune_takes_what_nobody_is_on(self):
        used, free = self.network(), self.network(Labels={"a": "b"})
        self.create("true", host={"NetworkMode": used})
        a = self.api("POST", "/networks/prune", query={"filters": {"label": ["a=b"]}})
        self.assertEqual(a.json(), {"NetworksDeleted": [free]})
        self.assertEqual([n["Name"] for n in self.api("GET", "/networks", query={"filters": {"name": [used]}}).json()], [used])

    def test_under_load(self):
        one, two = self.network(), self.network()
        cid, peer = self.web(one), self.web(one)
        failures = []

        def load():
            for _ in range(20):
                if not self.reaches(cid, self.address(peer, one), timeout=5):
                    failures.append("no")

        t = threading.Thread(target=load)
        t.start()
        for _ in range(8):
            self.connect(two, cid)
            self.disconnect(two, cid)
        t.join()
        self.assertEqual(failures, [])


class Traffic(NetworkTest):
    """Data, not connections alone, by the programs that people try a network with."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        libraries = re.findall(r"(/\S+) \(0x", sh("ldd", "/usr/bin/iperf3").stdout)
        entries = []
        for path in ["/usr/bin/iperf3", *libraries]:
            with open(path, "rb") as f:
                entries.append(images.Entry.file(path.lstrip("/"), f.read(), 0o755))
        cls.coffer_("load", "-i", images.variant("iperf3:latest", extra_layers=[entries]))

    def iperf_server(self, net, **kw):
        cid = self.create("iperf3", "-s", "-p", "5201", image="iperf3", host=dict({"NetworkMode": net}, **kw))
        self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 204)
        pid = self.inspect(cid)["State"]["Pid"]
        self.assertTrue(coffer.wait_until(lambda: ":1451 " in coffer.read_text(f"/proc/{pid}/net/tcp") + coffer.read_text(f"/proc/{pid}/net/tcp6"), 20))
        return cid

    def check_iperf(self, words, host, port):
        """Both ways by TCP, and UDP."""
        # the server takes one client at a time, and the last one's end may not have come to it yet
        def measure(*flags):
            results = []

            def once():
                p = sh(*words, "iperf3", "-J", "-c", host, "-p", port, *flags, check=False, timeout=120)
                results.append(p.stdout)
                return p.returncode == 0 and "error" not in json.loads(p.stdout)  # a busy server is an error of exit code 0

            self.assertTrue(coffer.wait_until(once, 30, 0.2), results[-1])
            return json.loads(results[-1])["end"]

        for flags in ((), ("-R",)):
            end = measure("-n", "16M", *flags)
            self.assertGreaterEqual(end["sum_sent"]["bytes"], 16 << 20)
            self.assertGreater(end["sum_received"]["bytes"], 1 << 20)  # what is under way at the end is not counted
        end = measure("-u", "-b", "5M", "-k", "200")
        self.assertGreater(end["sum"]["packets"] - end["sum"]["lost_packets"], 100, end["sum"])  # a receiver that waits for a processor loses some

    def test_iperf(self):
        net = self.network()
        server = self.iperf_server(net, PortBindings={"5201/tcp": [{"HostPort": "8160"}], "5201/udp": [{"HostPort": "8160"}]})
        other = self.start("sleep 1000", net=net)
        with self.subTest("between two containers"):
            self.check_iperf(self.in_ns(other), self.address(server, net), "5201")
        with self.subTest("from outside to a published port"):
            self.check_iperf(self.world.prefix, World.HOST, "8160")
        with self.subTest("from the host's loopback to a published port"):
            self.check_iperf([], "127.0.0.1", "8160")

    def test_ping(self):
        net = self.network(EnableIPv6=True)
        a, b = self.start("sleep 1000", net=net), self.start("sleep 1000", net=net)
        ep = self.endpoint(b, net)
        for address in (ep["IPAddress"], ep["Gateway"], World.ADDRESS, World.HOST, ep["GlobalIPv6Address"], ep["IPv6Gateway"], World.ADDRESS6):
            with self.subTest(address):
                text = self.inside(a, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", address).stdout
                self.assertIn("3 received, 0% packet loss", text)
        self.assertIn("3 received", sh("ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", ep["IPAddress"]).stdout)
        self.assertIn("100% packet loss", self.inside(self.start("sleep 1000"), "ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", ep["IPAddress"], check=False).stdout)

    def test_a_big_packet_comes_in_pieces(self):
        net = self.network(Options={"com.docker.network.driver.mtu": "1300"})
        a, b = self.start("sleep 1000", net=net), self.start("sleep 1000", net=net)
        for address in (self.address(b, net), World.ADDRESS):
            self.assertIn("1 received", self.inside(a, "ping", "-n", "-c", "1", "-W", "5", "-s", "4000", address).stdout)
        self.assertIn("message too long", self.inside(a, "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", World.ADDRESS, check=False).stderr)

    def test_a_file_through_a_published_port(self):
        """Four megabytes each way, by socat and curl: the same bytes."""
        path = os.path.join(self.scratch, "data")
        with open(path, "wb") as f:
            f.write(os.urandom(4 << 20))
        digest = sh("sha256sum", path).stdout.split()[0]
        into = self.create("sh", "-c", "nc -l -p 80 >/got; sha256sum /got; exec httpd -f -p 81 -h /", host={"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostPort": "8161"}], "81/tcp": [{"HostPort": "8162"}]}})
        self.assertEqual(self.api("POST", f"/containers/{into}/start").status, 204)
        pid = self.inspect(into)["State"]["Pid"]
        self.assertTrue(coffer.wait_until(lambda: ":0050 " in coffer.read_text(f"/proc/{pid}/net/tcp6") + coffer.read_text(f"/proc/{pid}/net/tcp"), 10))
        self.world.run("socat", "-u", "OPEN:" + path, f"TCP:{World.HOST}:8161")
        self.assertTrue(coffer.wait_until(lambda: digest in self.coffer("logs", into).out, 20))
        back = os.path.join(self.scratch, "back")
        self.assertTrue(coffer.wait_until(lambda: self.world.run("curl", "-sf", "-m", "20", "-o", back, f"http://{World.HOST}:8162/got", check=False).returncode == 0, 20))
        self.assertEqual(sh("sha256sum", back).stdout.split()[0], digest)


# Its standard input: [[[pid, address], ...] of each network]. Becomes each container's network in turn and tries every address at once; prints what should connect and
# does not, and what should not and does. Neighbours are forgotten as it goes: the kernel has 1,024 entries for all namespaces of the machine together.
MATRIX = r"""
import ctypes, json, os, select, socket, struct, subprocess, sys, time
nets, libc = json.load(sys.stdin), ctypes.CDLL(None, use_errno=True)
everyone = [a for members in nets for _, a in members]

def go(pid):
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if libc.setns(fd, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)

def forget(members):
    for pid, _ in members:
        go(pid)
        subprocess.run(["ip", "neigh", "flush", "dev", "eth0"], stderr=subprocess.DEVNULL)

def attempt(addresses, wanted, patience):
    waiting, reached = {}, set()
    for host in addresses:
        s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.connect_ex((host, 80))
        waiting[s] = host
    end = time.monotonic() + patience
    while waiting and not wanted <= reached and time.monotonic() < end:
        for s in select.select([], list(waiting), [], 0.1)[1]:
            host = waiting.pop(s)
            if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                reached.add(host)
            s.close()
    for s in select.select([], list(waiting), [], 0.02)[1]:  # those that were sent before the last one that arrived, and should not arrive
        if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            reached.add(waiting[s])
    for s in waiting:
        s.close()
    return reached

for members in nets:
    own = {a for _, a in members}
    foreign = [a for a in everyone if a not in own]
    for n, (pid, address) in enumerate(members):
        go(pid)
        reached = attempt(foreign + sorted(own), own, 5)
        if own - reached:  # other tests' neighbours fill the table, too
            forget(members)
            go(pid)
            reached |= attempt(sorted(own - reached), own - reached, 20)
        if reached != own:
            print(address, "misses", sorted(own - reached), "reaches", sorted(reached - own))
        if n % 4 == 3:
            forget(members)
"""


class Matrix(NetworkTest):
    EACH = 50

    def test_every_pair_of_two_networks(self):
        nets = [self.network(), self.network()]
        members = {net: [self.start(HTTPD, net=net) for _ in range(self.EACH)] for net in nets}
        there = [[self.inspect(cid) for cid in members[net]] for net in nets]
        table = [[[c["State"]["Pid"], c["NetworkSettings"]["Networks"][net]["IPAddress"]] for c in cs] for net, cs in zip(nets, there, strict=True)]
        self.assertEqual(len({a for rows in table for _, a in rows}), 2 * self.EACH)

        def listens(pid):
            return re.search(r"^ *\d+: 0+:0050 0+:0000 0A", coffer.read_text(f"/proc/{pid}/net/tcp6"), re.M)

        self.assertTrue(coffer.wait_until(lambda: all(listens(pid) for rows in table for pid, _ in rows), 30, 0.2))
        self.assertEqual(sh("python3", "-c", MATRIX, input=json.dumps(table), timeout=240).stdout, "")
        for cid in members[nets[0]] + members[nets[1]]:
            self.assertEqual(self.api("DELETE", f"/containers/{cid}?force=1").status, 204)


class Siblings(NetworkTest):
    """A bridge that is full gets a sibling: one network all the same."""

    EXTRA_ENV = {"COFFER_BRIDGE_PORTS": "2"}

    def test_across_bridges(self):
        net = self.network(EnableIPv6=True)
        cids = [self.web(net) for _ in range(5)]
        bridges = {line.split("master ")[1].split()[0] for line in sh("ip", "-o", "link").stdout.splitlines() if re.search(r"cf[0-9a-f]{3}v", line)}
        self.assertEqual(len(bridges), 3)
        for a in (cids[0], cids[4]):
            for b in cids:
                if a != b:
                    self.assertTrue(self.reaches(a, self.address(b, net), timeout=10))
                    self.assertTrue(self.reaches(a, self.endpoint(b, net)["GlobalIPv6Address"], timeout=10))
        self.serve_who(self.world.prefix, 7030)
        self.assertEqual(self.ask(self.in_ns(cids[4]), World.ADDRESS, 7030), World.HOST)
        # published from the last bridge, isolated from another network
        self.web(net, host={"PortBindings": {"80/tcp": [{"HostPort": "8140"}]}})
        self.assertTrue(connects("127.0.0.1", 8140, timeout=10))
        self.assertFalse(self.reaches(self.web(), self.address(cids[4], net), timeout=0.5))
        # places are taken again
        self.api("DELETE", f"/containers/{cids[0]}?force=1")
        self.web(net)
        self.assertLessEqual(len([i for i in coffer.interfaces() if "." in i]), 3)
        for c in self.api("GET", "/containers/json").json():
            self.api("DELETE", f"/containers/{c['Id']}?force=1")
        self.assertEqual(self.api("DELETE", f"/networks/{net}").status, 204)
        self.assertEqual([i for i in coffer.interfaces() if "." in i or re.match("cf[0-9a-f]{3}t", i)], [])


class Killed(coffer.CofferTest):
    """What a kill -9 in the middle leaves is gone after the next look."""

    POINTS = ("engine.network.begin", "engine.network.up", "engine.bundle.made", "engine.start.spawned", "engine.start.sent", "engine.start.answered", "engine.start.watched",
              "engine.reap.facts", "engine.reap.network", "engine.reap.cgroups", "engine.remove.deleted")
    KEPT = ("engine.reap.network",)  # with --rm its rows and its network go together

    def armed(self, point):
        """A page that kills the first process that comes to @point (base/fault.h)."""
        path = os.path.join(self.scratch, "fault")
        with open(path, "wb") as f:
            f.write(struct.pack("IIiIIiII48s", 0x31544C46, 2, 0, 1, 1, 0, 0, 0, point.encode()) + bytes(4000 * 52))
        return path

    def test_every_step(self):
        for point in self.POINTS:
            with self.subTest(point=point):
                page = self.armed(point)
                self.coffer("run", *(() if point in self.KEPT else ("--rm",)), "-p", "8130:80", self.IMAGE, "true", check=False, env={"COFFER_FAULT": page})
                with open(page, "rb") as f:
                    self.assertEqual(struct.unpack("IIiIIi", f.read(24))[4], 3, "nobody came there")
                self.assertTrue(coffer.wait_until(lambda: self.coffer("ps", "-aq").word == "" or self.coffer("rm", "-f", *self.coffer("ps", "-aq").out.split(), check=False) is None, 15))
                rules = sh("nft", "list", "ruleset").stdout
                self.assertNotIn("8130", rules)
                self.assertNotRegex(rules, r'"cf[0-9a-f]{3}v[0-9a-f]{9}"')
                self.assertTrue(coffer.wait_until(lambda: not [i for i in coffer.interfaces() if re.fullmatch(r"cf[0-9a-f]{3}v[0-9a-f]{9}", i)], 10), coffer.interfaces())
                self.coffer("run", "--rm", "-p", "8130:80", self.IMAGE, "true")


if __name__ == "__main__":
    unittest.main()
