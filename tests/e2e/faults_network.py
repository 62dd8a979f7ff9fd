# SPDX-License-Identifier: Apache-2.0
"""The fault harness for networks: what faults.py asks after a kill, and the kernel's part of it besides.

A container that is said to be on a network has the interface, the address and the rules for it, is found there by its name, and is on no other; when it is gone
there is no interface, no bridge of a network that is none, no element of a set or map, no address and no port that is held, and no name. The next round asks for
the same network, subnet, address and port.
"""

import json
import os
import re
import subprocess

import coffer
import faults
from faults import Op

PORT = "8180"
NET = ("network", "create", "--subnet", "10.99.0.0/24", "net")
NET2 = ("network", "create", "--ipv6", "--subnet", "10.98.0.0/24", "--subnet", "fd00:98::/64", "net2")
FLAGS = ("--name", "xx", "--stop-signal", "KILL", "--network", "net", "--ip", "10.99.0.9", "--network-alias", "other", "-p", PORT + ":80")
BRIDGE = ("--name", "xx", "--stop-signal", "KILL", "-p", PORT + ":80")
SLEEP = ("IMAGE", "sleep", "1000")

faults.BEFORE.update({
    "network": [NET],
    "on-network-created": [NET, ("create", *FLAGS, *SLEEP)],
    "on-network": [NET, ("run", "-d", *FLAGS, *SLEEP)],
    "on-network-exited": [NET, ("run", "-d", *FLAGS, "IMAGE", "true"), ("wait", "xx")],
    "beside-network": [NET, NET2, ("run", "-d", *FLAGS, *SLEEP)],
    "on-two-networks": [NET, NET2, ("run", "-d", *FLAGS, *SLEEP), ("network", "connect", "net2", "xx")],
})

DAEMON = "self cli daemon"
NETWORK = [
    Op("network create", *NET, victims=DAEMON),
    Op("network rm", "network", "rm", "net", before="network", victims=DAEMON),
    Op("network prune", "network", "prune", "-f", before="network", victims="self daemon"),
    Op("run --rm on the bridge", "run", "--rm", *BRIDGE, "IMAGE", "true", victims="self daemon monitor"),
    Op("run on a network", "run", "-d", *FLAGS, *SLEEP, before="network", victims=faults.START),
    Op("run --rm on a network", "run", "--rm", *FLAGS, "IMAGE", "true", before="network"),
    Op("bad command on a network", "run", "-d", *FLAGS, "IMAGE", "/no/such/program", before="network", victims="self daemon monitor", fails=True),
    Op("start on a network", "start", "xx", before="on-network-created", victims="self daemon"),
    Op("stop on a network", "stop", "xx", before="on-network", victims="self daemon monitor"),
    Op("rm on a network", "rm", "xx", before="on-network-exited", victims="self daemon"),
    Op("rm -f on a network", "rm", "-f", "xx", before="on-network", victims="self daemon monitor"),
    Op("connect", "network", "connect", "--alias", "second", "net2", "xx", before="beside-network", victims="self cli daemon monitor", stays=DAEMON),
    Op("disconnect", "network", "disconnect", "net2", "xx", before="on-two-networks", victims="self cli daemon monitor", stays=DAEMON),
    Op("disconnect from the first", "network", "disconnect", "net", "xx", before="on-two-networks", victims="self daemon", stays=DAEMON),
]
# Where networks have a part: their own points, those between which they are told, held and given back, and the sandbox's steps. The rest is test_faults_run's and _life's.
POINTS = ("engine.network.", "engine.connect.", "engine.disconnect.", "network.", "dns.", "engine.start.named", "engine.start.sent", "engine.undo.begin", "engine.undo.network", "engine.reap.facts",
          "engine.reap.network", "engine.remove.deleted", "monitor.start.created", "monitor.exit.reaped", "interfaces")


def of_networks(op, point):
    return point.startswith(POINTS)


def elements(ruleset):
    """{set or map: its elements as text} of Coffer's tables in the answer of nft -j."""
    found = {}
    for entry in ruleset["nftables"]:
        for kind in ("set", "map"):
            if kind in entry and entry[kind]["table"].startswith("coffer"):
                found.setdefault(entry[kind]["name"], []).extend(json.dumps(e) for e in entry[kind].get("elem", []))
    return found


class NetworkFaultTest(faults.FaultTest):
    @classmethod
    def take_base(cls):
        super().take_base()
        cls.coffer_("run", "--rm", cls.IMAGE, "true")  # the bridge, the tables, the switches: made once
        cls.base_rows = {t: n for t, n in cls.rows().items() if t in cls.base_rows}

    def kernel_elements(self):
        p = subprocess.run(["nft", "-j", "list", "ruleset"], capture_output=True, text=True, timeout=20, check=True)
        return elements(json.loads(p.stdout))

    def in_netns(self, pid, *argv):
        return subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", *argv], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL).stdout

    # -- what runs ------------------------------------------------------------------------------------------------------

    def check_container(self, c, names):
        super().check_container(c, names)
        networks = {n: e for n, e in c["NetworkSettings"]["Networks"].items() if n != "none"}
        if not c["State"]["Running"]:
            self.assertEqual([n for n, e in networks.items() if e["IPAddress"]], [], "does not run, and has addresses")
            return
        pid = c["State"]["Pid"]
        there = {i["ifname"]: [a["local"] for a in i["addr_info"]] for i in json.loads(self.in_netns(pid, "ip", "-j", "addr")) if i["ifname"] != "lo"}
        addresses = sorted(a for v in there.values() for a in v if not a.startswith("fe80:"))
        self.assertEqual(addresses, sorted(a for e in networks.values() for a in (e["IPAddress"], e["GlobalIPv6Address"]) if a), "has other addresses than it is said to have")
        self.assertEqual([n for n, e in networks.items() if not e["IPAddress"]], [], "is said to be on a network, and has no address there")
        self.assertEqual(len(there), len(networks), "has an interface of no network")
        if networks:
            self.assertIn("default", self.in_netns(pid, "ip", "route"))
        text = json.dumps(self.kernel_elements())
        self.assertEqual([a for a in addresses if a not in text], [], "no rule knows its address")
        self.assertEqual(PORT in text, bool(networks), "the published port and the networks do not agree")
        self.check_names(pid, c["Name"].lstrip("/"), networks)

    def check_names(self, pid, name, networks):
        """Its hosts file and the name server say what the engine says."""
        hosts = coffer.read_text(f"/proc/{pid}/root/etc/hosts")
        for e in networks.values():
            self.assertIn(e["IPAddress"] + "\t", hosts)
        own = [n for n in networks if n != "bridge"]
        if "127.0.0.11" not in coffer.read_text(f"/proc/{pid}/root/etc/resolv.conf") or not own:
            return
        for net in own:
            said = self.in_netns(pid, "dig", "@127.0.0.11", "+short", "+tries=4", "+time=2", f"{name}.{net}").split()
            self.assertEqual(said, [networks[net]["IPAddress"]], f"what the name server says of {name}.{net}")

    # -- what is left ----------------------------------------------------------------------------------------------------

    def remove_more(self, op):
        for name in ("net", "net2"):
            if self.EMBEDDED:
                r = self.coffer("network", "rm", name, check=False)
                ok = r.code == 0 or "not found" in r.err
            else:
                r = self.api("DELETE", f"/networks/{name}")
                ok = r.status in (204, 404)
            self.assertTrue(ok, f"network {name} cannot be removed: {r}")

    def remains(self):
        problems = [p for p in super().remains() if not p.endswith("(coffer-dns)")]  # it goes 2 s after the last name: whoever left one is told when the class ends
        bridges = {b for (b,) in self.query("SELECT bridge FROM network WHERE bridge IS NOT NULL")}
        problems += [f"interface {i}" for i in coffer.interfaces() if re.match("cf[0-9a-f]{3}", i) and i not in bridges]
        for name, found in self.kernel_elements().items():
            if not name.startswith("guarded"):
                problems += [f"element {e} of {name}" for e in found if not any(b in e for b in bridges)]
        neighbours = subprocess.run(["ip", "neigh", "show", "nud", "permanent"], capture_output=True, text=True, timeout=20, check=True).stdout
        problems += [f"neighbour {line}" for line in neighbours.splitlines() if re.search(" dev cf[0-9a-f]{3}", line) and not re.match("ff|33:", line)]
        problems += [f"socket of port {PORT}" for path in ("/proc/net/tcp", "/proc/net/tcp6") if f":{int(PORT):04X} " in coffer.read_text(path)]
        return problems

    def start_over(self):
        super().start_over()
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        for name in [i for i in coffer.interfaces() if re.match("cf[0-9a-f]{3}", i)]:
            subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)  # or its other end took it along
        self.coffer("run", "--rm", self.IMAGE, "true")

    def walk(self, op, only=lambda point: True):
        killed = super().walk(op, only)
        self.points(op)  # and once more undisturbed
        return killed
