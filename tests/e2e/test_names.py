# SPDX-License-Identifier: Apache-2.0
"""Names of containers on networks, end to end: the engine, the name server, and what programs in containers see. test_dns has the server by itself."""

import os
import re
import signal
import struct
import subprocess
import sys

import coffer
import daemon
from coffer import wait_until

ASAN = True
UID = "4294836277"  # coffer-dns (base/helper_ids.h)
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


class NamesTest(daemon.DaemonTest):
    """A resolver of the test's own, 192.0.2.53, stands for the host's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.asked = os.path.join(cls.scratch, "asked")
        subprocess.run(["ip", "addr", "add", "192.0.2.53/32", "dev", "lo"], check=True)
        cls.upstream = subprocess.Popen([sys.executable, "-B", os.path.join(coffer.HERE, "dnsupstream.py"), cls.asked, "192.0.2.53"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.end_upstream)
        cls.upstream.stdout.readline()

    @classmethod
    def end_upstream(cls):
        cls.upstream.kill()
        cls.upstream.wait()
        cls.upstream.stdout.close()

    _n = 0

    def unique(self, stem):
        type(self)._n += 1
        return f"{stem}{type(self)._n}"

    def network(self, **body):
        name = self.unique("net")
        a = self.api("POST", "/networks/create", dict({"Name": name}, **body))
        self.assertEqual(a.status, 201, str(a))
        self.addCleanup(self.api, "DELETE", "/networks/" + name)
        return name

    def start(self, net, name=None, aliases=(), more=(), host=None, **config):
        """A container that sleeps, on @net and then on each of @more. It asks 192.0.2.53, as if the host did."""
        name = name or self.unique("box")
        endpoints = {net: {"Aliases": list(aliases)}} if aliases else {}
        cid = self.create("sleep", "100000", name=name, host=dict({"NetworkMode": net, "Dns": ["192.0.2.53"]}, **(host or {})), NetworkingConfig={"EndpointsConfig": endpoints}, **config)
        for other in more:
            self.connect(other, cid)
        a = self.api("POST", f"/containers/{cid}/start")
        self.assertEqual(a.status, 204, str(a))
        return cid

    def connect(self, net, cid, **endpoint):
        a = self.api("POST", f"/networks/{net}/connect", {"Container": cid, "EndpointConfig": endpoint})
        self.assertEqual(a.status, 200, str(a))

    def disconnect(self, net, cid):
        a = self.api("POST", f"/networks/{net}/disconnect", {"Container": cid})
        self.assertEqual(a.status, 200, str(a))

    def inspect(self, cid):
        a = self.api("GET", f"/containers/{cid}/json")
        self.assertEqual(a.status, 200, str(a))
        return a.json()

    def address(self, cid, net):
        return self.inspect(cid)["NetworkSettings"]["Networks"][net]["IPAddress"]

    def dig(self, cid, *words):
        pid = self.inspect(cid)["State"]["Pid"]
        p = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "dig", "@127.0.0.11", "+short", "+tries=3", "+time=6", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return p.stdout.splitlines()

    def file(self, cid, name):
        """/etc/@name as the container sees it."""
        return coffer.read_text(f"/proc/{self.inspect(cid)['State']['Pid']}/root/etc/{name}").splitlines()

    def servers(self):
        """Processes of the name server of this class's engine: those in our network namespace."""
        own = os.stat("/proc/self/ns/net").st_ino
        found = []
        for pid in (p for p in os.listdir("/proc") if p.isdigit()):
            try:
                if os.stat(f"/proc/{pid}/ns/net").st_ino == own and coffer.proc_status(pid)["Uid"].split()[0] == UID and coffer.proc_status(pid)["State"][0] != "Z":
                    found.append(int(pid))
            except (OSError, KeyError):
                pass
        return sorted(found)


class Names(NamesTest):
    def test_two_networks(self):
        front, back = self.network(), self.network(Internal=True)
        web = self.start(front, aliases=["www"])
        app = self.start(front, aliases=["api"], more=[back])
        db = self.start(back, aliases=["data"], Hostname="dbhost")
        name = lambda cid: self.inspect(cid)["Name"].lstrip("/")  # noqa: E731
        for who, what, want in ((web, name(app), self.address(app, front)), (web, "api", self.address(app, front)), (web, app[:12], self.address(app, front)), (web, "WWW", self.address(web, front)),
                                (app, "www", self.address(web, front)), (app, "data", self.address(db, back)), (app, "dbhost", self.address(db, back)), (db, name(app), self.address(app, back)),
                                (app, f"{name(app)}.{back}", self.address(app, back))):
            self.assertEqual(self.dig(who, what, "A"), [want], (name(who), what))
        for who, what in ((web, "data"), (db, "www"), (db, "api"), (web, name(db)), (db, "one.test")):
            self.assertEqual(self.dig(who, what, "A"), [], (name(who), what))
        self.assertEqual(self.dig(web, "one.test", "A"), ["192.0.2.1"])
        self.assertEqual(self.dig(web, "-x", self.address(app, front)), [f"{name(app)}.{front}."])

    def test_programs_inside_use_it(self):
        net = self.network()
        web = self.start(net, name="webserver")
        a = self.coffer("run", "--rm", "--network", net, self.IMAGE, "sh", "-c", "ping -c 1 -W 1 webserver; cat /etc/resolv.conf", check=False)
        self.assertIn(f"PING webserver ({self.address(web, net)})", a.out)  # at once: nothing has to settle
        self.assertIn("nameserver 127.0.0.11", a.lines)
        self.assertTrue([line for line in a.lines if line.startswith("options") and "ndots:0" in line])

    def test_shared_aliases(self):
        net = self.network()
        pair = [self.start(net, aliases=["pair"]) for _ in range(2)]
        want = sorted(self.address(c, net) for c in pair)
        self.assertEqual(sorted(self.dig(pair[0], "pair", "A")), want)
        self.assertEqual({self.dig(pair[0], "pair", "A")[0] for _ in range(40)}, set(want))
        self.api("POST", f"/containers/{pair[1]}/stop?t=0")
        self.assertEqual(self.dig(pair[0], "pair", "A"), [self.address(pair[0], net)])

    def test_a_restart_changes_the_address(self):
        net = self.network()
        web, other = self.start(net, aliases=["web"]), self.start(net)
        before = self.address(web, net)
        self.assertEqual(self.dig(other, "web", "A"), [before])
        self.api("POST", f"/containers/{web}/stop?t=0")
        self.assertEqual(self.dig(other, "web", "A"), [])
        thief = self.create("sleep", "1000", host={"NetworkMode": net}, NetworkingConfig={"EndpointsConfig": {net: {"IPAMConfig": {"IPv4Address": before}}}})
        self.assertEqual(self.api("POST", f"/containers/{thief}/start").status, 204)
        self.assertEqual(self.api("POST", f"/containers/{web}/start").status, 204)
        self.assertNotEqual(self.address(web, net), before)
        self.assertEqual(self.dig(other, "web", "A"), [self.address(web, net)])
        self.assertEqual(self.dig(web, "web", "A"), [self.address(web, net)])  # by its new sockets

    def test_an_address_that_is_still_free_is_kept(self):
        net = self.network(EnableIPv6=True)
        for where in ("bridge", net):
            cid = self.start(where, host={"RestartPolicy": {"Name": "always"}})
            first = self.inspect(cid)
            address = lambda: {k: v for k, v in self.inspect(cid)["NetworkSettings"]["Networks"][where].items() if k in ("IPAddress", "GlobalIPv6Address", "MacAddress")}  # noqa: E731,B023
            before = address()
            for again in (lambda: os.kill(first["State"]["Pid"], signal.SIGKILL), lambda: self.api("POST", f"/containers/{cid}/restart?t=0")):  # noqa: B023
                pid = self.inspect(cid)["State"]["Pid"]
                again()
                self.assertTrue(wait_until(lambda: self.inspect(cid)["State"]["Pid"] not in (0, pid), 20))  # noqa: B023
                self.start(where)  # gets another one
                self.assertEqual(address(), before)

    def test_connect_and_disconnect_while_running(self):
        one, two = self.network(), self.network()
        web, other = self.start(one), self.start(two)
        self.assertEqual(self.dig(other, "late", "A"), [])
        self.connect(two, web, Aliases=["late"])
        there = self.address(web, two)
        self.assertEqual(self.dig(other, "late", "A"), [there])
        self.assertIn(f"{there}\t{web[:12]}", self.file(web, "hosts"))
        self.disconnect(two, web)
        self.assertEqual(self.dig(other, "late", "A"), [])
        self.assertNotIn(f"{there}\t{web[:12]}", self.file(web, "hosts"))
        self.assertIn(f"{self.address(web, one)}\t{web[:12]}", self.file(web, "hosts"))

    def test_before_the_first_start(self):
        """What docker-compose 1.29 does with every container: disconnect, connect with aliases, start."""
        net = self.network()
        other = self.start(net)
        cid = self.create("sleep", "100000", host={"NetworkMode": net})
        self.disconnect(net, cid)
        self.connect(net, cid, Aliases=["service", cid[:12]])
        self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 204)
        self.assertEqual(self.dig(other, "service", "A"), [self.address(cid, net)])

    def test_from_the_default_network_to_one_with_names(self):
        net = self.network()
        other = self.start(net, name="named")
        cid = self.start("bridge")
        self.assertNotIn("nameserver 127.0.0.11", self.file(cid, "resolv.conf"))
        self.connect(net, cid)
        self.assertIn("nameserver 127.0.0.11", self.file(cid, "resolv.conf"))
        self.assertEqual(self.dig(cid, "named", "A"), [self.address(other, net)])

    def test_links(self):
        net = self.network()
        db = self.start(net, name="database")
        web, other = self.start(net, host={"Links": ["database:shop"]}), self.start(net)
        self.assertEqual(self.dig(web, "shop", "A"), [self.address(db, net)])
        self.assertEqual(self.dig(other, "shop", "A"), [])
        old = self.start("bridge", name="oldstyle")
        cid = self.start("bridge", host={"Links": ["oldstyle:legacy"]})
        self.assertIn(f"{self.address(old, 'bridge')}\tlegacy {old[:12]} oldstyle", self.file(cid, "hosts"))

    def test_rename(self):
        net = self.network()
        web, other = self.start(net, name="before"), self.start(net)
        self.assertEqual(self.api("POST", f"/containers/{web}/rename?name=after").status, 204)
        self.assertEqual(self.dig(other, "after", "A"), [self.address(web, net)])
        self.assertEqual(self.dig(other, "before", "A"), [])

    def test_ipv6(self):
        net = self.network(EnableIPv6=True, IPAM={"Config": [{"Subnet": "fd00:77::/64"}]})
        web, other = self.start(net, aliases=["web"]), self.start(net)
        self.assertEqual(self.dig(other, "web", "AAAA"), [self.inspect(web)["NetworkSettings"]["Networks"][net]["GlobalIPv6Address"]])
        self.assertEqual(self.dig(other, "web", "A"), [self.address(web, net)])

    def test_a_container_that_shares_the_network_shares_the_names(self):
        net = self.network()
        web = self.start(net, name="sharer")
        cid = self.create("sleep", "100000", host={"NetworkMode": f"container:{web}"})
        self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 204)
        self.assertEqual(self.file(cid, "resolv.conf"), self.file(web, "resolv.conf"))
        self.assertEqual(self.dig(cid, "sharer", "A"), [self.address(web, net)])


class Lines(NamesTest):
    """--link on the default network: lines of hosts. It has room for five containers here."""

    @classmethod
    def start_daemon(cls, *flags):
        path = os.path.join(cls.scratch, "daemon.json")
        with open(path, "w") as f:
            f.write('{"bip": "10.200.0.1/29"}')
        return super().start_daemon("--config-file", path, *flags)

    def line(self, cid):
        return [line for line in self.file(cid, "hosts") if "legacy" in line]

    def test_a_line_follows_the_other_ones_restart(self):
        old = self.start("bridge", name="oldstyle")
        cid = self.start("bridge", host={"Links": ["oldstyle:legacy"]})
        path = f"/proc/{self.inspect(cid)['State']['Pid']}/root/etc/hosts"
        with open(path, "a") as f:
            f.write("192.0.2.99\tits.own\n")
        before = self.address(old, "bridge")
        self.assertEqual(self.line(cid), [f"{before}\tlegacy {old[:12]} oldstyle"])
        self.assertEqual(self.api("POST", f"/containers/{old}/stop?t=0").status, 204)
        net = self.network()
        self.connect(net, cid)  # while the other one does not run
        self.assertEqual(self.line(cid), [f"{before}\tlegacy {old[:12]} oldstyle"])
        others = [self.start("bridge") for _ in range(4)]
        thief = [o for o in others if self.address(o, "bridge") == before]
        self.assertEqual(len(thief), 1)
        self.api("DELETE", f"/containers/{next(o for o in others if o not in thief)}?force=1")
        self.assertEqual(self.api("POST", f"/containers/{old}/start").status, 204)
        now = self.address(old, "bridge")
        self.assertNotEqual(now, before)
        self.assertEqual(self.line(cid), [f"{now}\tlegacy {old[:12]} oldstyle"])
        self.assertIn("192.0.2.99\tits.own", self.file(cid, "hosts"))
        # one that is not running cannot be linked to at a start
        self.assertEqual(self.api("POST", f"/containers/{old}/stop?t=0").status, 204)
        a = self.api("POST", f"/containers/{cid}/restart?t=0")
        self.assertIn("Cannot link to a non running container", a.message)


class Server(NamesTest):
    """The name server's life, as the daemon minds it."""

    def test_a_killed_server_comes_back_with_everybody(self):
        net = self.network()
        web, other = self.start(net, aliases=["web"]), self.start(net)
        self.assertEqual(self.dig(other, "web", "A"), [self.address(web, net)])
        before = self.servers()
        self.assertEqual(len(before), 2)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: len([p for p in self.servers() if p not in before]) == 2, 30), "no other server")
        self.assertTrue(wait_until(lambda: self.dig(other, "web", "A") == [self.address(web, net)], 30))
        self.assertEqual(self.dig(web, "one.test", "A"), ["192.0.2.1"])

    def test_nothing_is_left(self):
        net = self.network()
        cid = self.start(net)
        pid = self.inspect(cid)["State"]["Pid"]
        self.assertEqual(self.dig(cid, "one.test", "A"), ["192.0.2.1"])
        self.api("DELETE", f"/containers/{cid}?force=1")
        self.assertFalse(os.path.exists(f"/proc/{pid}"))
        self.assertTrue(wait_until(lambda: not self.servers(), 30), "a server without containers")


class Killed(coffer.CofferTest):
    """Without a daemon: what a kill -9 in the middle of a start leaves is gone after the next look, names too."""

    def test_a_start_that_was_cut_off(self):
        self.coffer("network", "create", "net")
        self.addCleanup(self.coffer, "network", "rm", "net", check=False)
        for point in ("engine.start.named", "engine.start.sent"):
            with self.subTest(point=point):
                page = os.path.join(self.scratch, "fault")
                with open(page, "wb") as f:
                    f.write(struct.pack("IIiIIiII48s", 0x31544C46, 2, 0, 1, 1, 0, 0, 0, point.encode()) + bytes(4000 * 52))
                self.coffer("run", "-d", "--name", "ghost", "--network", "net", self.IMAGE, "sleep", "1000", check=False, env={"COFFER_FAULT": page})
                with open(page, "rb") as f:
                    self.assertEqual(struct.unpack("IIiIIi", f.read(24))[4], 3, "nobody came there")
                self.coffer("run", "-d", "--name", "asker", "--network", "net", self.IMAGE, "sleep", "1000")
                pid = self.coffer("inspect", "-f", "{{.State.Pid}}", "asker").word
                running = self.coffer("ps", "-q", "-f", "name=ghost").word  # after "sent" it may run on by itself
                p = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "dig", "@127.0.0.11", "+short", "ghost.net", "A"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
                self.assertEqual(bool(ADDRESS.fullmatch(p.stdout.strip())), bool(running), p.stdout)
                self.coffer("rm", "-f", "asker", "ghost", check=False)


if __name__ == "__main__":
    import unittest
    unittest.main()
