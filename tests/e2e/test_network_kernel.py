# SPDX-License-Identifier: Apache-2.0
"""Networks on the VM lane's kernel (Linux 6.1, a cloud kernel with modules): one of each kind of test_network's and test_names' tests, and SCTP, which hosts often lack."""

import socket
import subprocess
import unittest

import test_names
import test_network

VM = True
HOST = False

CHOSEN = {
    test_network.Default: ("test_a_container_has_an_address_a_route_and_no_ipv6",),
    test_network.Ports: ("test_every_way_to_a_published_port", "test_ipv6", "test_udp"),
    test_network.Isolation: ("test_networks_do_not_reach_each_other", "test_no_way_to_the_host", "test_nothing_forged_gets_out", "test_a_flush_is_mended"),
    test_network.Changes: ("test_while_it_runs",),
    test_network.Siblings: ("test_across_bridges",),
    test_network.Traffic: ("test_ping",),
    test_names.Names: ("test_two_networks", "test_programs_inside_use_it"),
}

SERVER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP); s.bind(("", 7050)); s.listen()
print("ready", flush=True)
while True:
    c, peer = s.accept(); c.sendall((peer[0] + " " + c.recv(100).decode()).encode()); c.close()
"""
CLIENT = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP); s.settimeout(float(sys.argv[3])); s.connect((sys.argv[1], int(sys.argv[2])))
s.sendall(b"hello"); print(s.recv(100).decode())
"""


class Sctp(test_network.NetworkTest):
    def server(self, net=None, port=None):
        cid = self.start("sleep 1000", net=net, host={"PortBindings": {"7050/sctp": [{"HostPort": port}]}} if port is not None else {})
        p = subprocess.Popen([*self.in_ns(cid), "python3", "-c", SERVER], stdout=subprocess.PIPE, text=True)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.assertEqual(p.stdout.readline(), "ready\n")
        return cid

    def ask_sctp(self, where, host, port, timeout=20, check=True):
        return test_network.sh(*where, "python3", "-c", CLIENT, host, port, timeout, check=check, timeout=60).stdout.split()

    def test_between_containers_and_not_between_networks(self):
        one, two = self.network(), self.network()
        cid, near, far = self.server(one), self.start("sleep 1000", net=one), self.start("sleep 1000", net=two)
        self.assertEqual(self.ask_sctp(self.in_ns(near), self.address(cid, one), "7050"), [self.address(near, one), "hello"])
        self.assertEqual(self.ask_sctp(self.in_ns(far), self.address(cid, one), "7050", timeout=2, check=False), [])

    def test_a_published_port(self):
        cid = self.server(port="8170")
        self.assertEqual(self.ask_sctp(self.world.prefix, test_network.World.HOST, "8170"), [test_network.World.ADDRESS, "hello"])
        self.assertEqual(self.ask_sctp([], test_network.World.HOST, "8170")[1:], ["hello"])
        self.assertEqual(self.inspect(cid)["NetworkSettings"]["Ports"], {"7050/sctp": [{"HostIp": "0.0.0.0", "HostPort": "8170"}]})

    def test_a_port_in_use(self):
        self.server(port="8171")
        for port in ("8171", "8172"):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as s:
                if port == "8172":
                    s.bind(("", 8172))
                    s.listen()
                second = self.create("true", host={"NetworkMode": "bridge", "PortBindings": {"7050/sctp": [{"HostPort": port}]}})
                a = self.api("POST", f"/containers/{second}/start")
                self.assertEqual(a.status, 409, str(a))
                self.assertIn("port is already allocated", a.message)

    def test_a_free_port(self):
        cid = self.server(port="")
        binding = self.inspect(cid)["NetworkSettings"]["Ports"]["7050/sctp"][0]
        self.assertEqual(self.ask_sctp(self.world.prefix, test_network.World.HOST, binding["HostPort"]), [test_network.World.ADDRESS, "hello"])


def load_tests(loader, standard, pattern):
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(Sctp))
    for case, names in CHOSEN.items():
        suite.addTests(case(name) for name in names)
    return suite


if __name__ == "__main__":
    unittest.main()
