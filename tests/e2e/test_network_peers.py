# SPDX-License-Identifier: Apache-2.0
"""Coffer's networks beside docker's and podman's in one network namespace: each engine's containers and published ports work, whoever came first.

Debian's dockerd (20.10, iptables-nft) and podman (4.3, CNI) run with their own bridge networks in an arena (peers.py), which has forwarding off at first, so that docker
sets the policy of its forward chain to drop. The world outside is a further namespace on a wire.
"""

import json
import os
import re
import unittest

import coffer
import images
import peers

HOST, WORLD = "192.0.2.1", "192.0.2.2"
PORTS = {"coffer": "9001", "docker": "9002", "podman": "9003"}
SERVE = "echo {0} >/tmp/index.html; httpd -p 81 -h /tmp; exec httpd -f -p 80 -h /tmp"


class Neighbours(peers.ArenaTest):
    @classmethod
    def setUpArena(cls):
        a, cls.stage = cls.arena, coffer.Stage.get()
        cls.archive = images.docker_archive([images.busybox_entries()], ["busybox:latest"], path=os.path.join(a.dir, "busybox.tar"))
        cls.env = {"COFFER_ROOT": a.dir + "/coffer", "COFFER_RUN": "/run/coffer", "COFFER_LIBEXEC": cls.stage.libexec}
        cls.world = a.run("sh", "-c", "unshare --net sleep 1000000 </dev/null >/dev/null 2>&1 & echo $!").word
        own = a.run("readlink", "/proc/self/ns/net").word
        assert coffer.wait_until(lambda: a.run("readlink", f"/proc/{cls.world}/ns/net").word != own, 10)
        outside = f"nsenter --net=/proc/{cls.world}/ns/net"
        a.run("sh", "-ec", f"""
            ip link add wire0 type veth peer name wire1 netns {cls.world}
            ip addr add {HOST}/24 dev wire0; ip link set wire0 up
            {outside} ip addr add {WORLD}/24 dev wire1; {outside} ip link set wire1 up; {outside} ip link set lo up
            mkdir {a.dir}/www; echo world >{a.dir}/www/index.html
            {outside} busybox httpd -p {WORLD}:80 -h {a.dir}/www </dev/null >/dev/null 2>&1""")
        cls.forwarding_off()

    @classmethod
    def forwarding_off(cls):
        cls.arena.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")

    # -- engines --------------------------------------------------------------------------------------------------------

    @classmethod
    def start_coffer(cls):
        cls.cofferd = cls.arena.daemon(cls.stage.cofferd, log="cofferd.log", env=cls.env)
        if not coffer.wait_until(lambda: cls.coffer("version", check=False).code == 0, 20, 0.05):
            raise RuntimeError("cofferd did not come up: " + cls.arena.log("cofferd.log"))
        cls.coffer("load", "-i", cls.archive)

    @classmethod
    def start_docker(cls):
        a = cls.arena
        cls.dockerd = a.daemon("dockerd", "--data-root", a.dir + "/docker", "--exec-root", "/run/docker", "--pidfile", "/run/docker.pid", "-H", "unix:///run/docker.sock",
                               "--oom-score-adjust", "0", log="dockerd.log")
        if not coffer.wait_until(lambda: cls.docker("version", check=False).code == 0 or cls.dockerd.poll() is not None, 60, 0.1) or cls.dockerd.poll() is not None:
            raise RuntimeError("dockerd did not come up: " + a.log("dockerd.log"))
        if cls.docker("image", "ls", "-q").word == "":
            cls.docker("load", "-i", cls.archive)

    @classmethod
    def stop_docker(cls):
        cls.arena.run("sh", "-c", "kill $(cat /run/docker.pid)")
        cls.dockerd.wait(60)

    @classmethod
    def coffer(cls, *args, **kw):
        return cls.arena.run(cls.stage.coffer, *args, env=cls.env, **kw)

    @classmethod
    def docker(cls, *args, **kw):
        return cls.arena.run("docker", "-H", "unix:///run/docker.sock", *args, **kw)

    @classmethod
    def podman(cls, *args, **kw):
        return cls.arena.run("podman", "--runtime", "crun", "--root", cls.arena.dir + "/podman", "--runroot", "/run/podman", "--cgroup-manager", "cgroupfs", "--events-backend", "file", *args, **kw)

    @classmethod
    def engine(cls, name):
        return getattr(cls, name)

    @classmethod
    def serve(cls, name):
        image = "localhost/busybox" if name == "podman" else "busybox"
        cls.engine(name)("run", "-d", "--name", "web", "--stop-timeout", "1", "-p", PORTS[name] + ":80", image, "sh", "-c", SERVE.format(name))

    # -- who reaches whom -------------------------------------------------------------------------------------------------

    @classmethod
    def get(cls, where, url, seconds=2):
        """What @where ("host", "world", or an engine: in its container's network) gets from @url; "" for nothing."""
        pid = cls.world if where == "world" else "self" if where == "host" else json.loads(cls.engine(where)("inspect", "web").out)[0]["State"]["Pid"]
        return cls.arena.run("nsenter", f"--net=/proc/{pid}/ns/net", "curl", "-s", "-m", seconds, url, check=False).word

    @classmethod
    def works(cls, pair):
        """From the host, the world or an engine's container to an engine's published port or the world."""
        where, to = pair
        address = WORLD + ":80" if to == "world" else ("127.0.0.1:" if where == "loopback" else HOST + ":") + PORTS[to]
        return cls.get("host" if where == "loopback" else where, f"http://{address}/") == to

    @classmethod
    def reach(cls, engines):
        """The pairs that work, of @engines."""
        ways = {(where, to) for to in engines for where in ("host", "world", "loopback", *engines) if where != to} | {(e, "world") for e in engines}
        return {pair for pair in ways if cls.works(pair)}

    def expect(self, pairs, message=None):
        for pair in sorted(pairs):
            if not coffer.wait_until(lambda: self.works(pair), 15):  # noqa: B023
                self.fail(f"{message or 'does not work'}: {' to '.join(pair)}: {self.arena.run('nft', 'list', 'ruleset').out}")

    @staticmethod
    def coffers(engines):
        """What has to work of Coffer's."""
        return {(where, "coffer") for where in ("host", "world", "loopback", *[e for e in engines if e != "coffer"])} | {("coffer", "world"), ("coffer", "docker")}

    @classmethod
    def rules(cls):
        """{(family, table): its rules, without counts and handles}, as text."""
        found = {}
        for entry in json.loads(cls.arena.run("nft", "-j", "list", "ruleset").out)["nftables"]:
            for kind, x in entry.items():
                if "family" in x:
                    text = re.sub(r'"(packets|bytes|handle)": \d+', "", json.dumps({kind: x}))
                    found.setdefault((x["family"], x.get("table", x["name"] if kind == "table" else "")), []).append(text)
        return found

    @classmethod
    def theirs(cls):
        """The same of others; Coffer's rules in docker's chain for others are Coffer's."""
        return {t: [r for r in rules if '"comment": "coffer ' not in r and "coffer cf" not in r] for t, rules in cls.rules().items() if not t[1].startswith("coffer")}

    @classmethod
    def ours(cls):
        return {t: rules for t, rules in cls.rules().items() if t[1].startswith("coffer")}

    def address_of_dockers(self):
        return json.loads(self.docker("inspect", "web").out)[0]["NetworkSettings"]["IPAddress"]

    def check_all(self):
        self.expect(self.coffers(list(PORTS)), "does not work beside docker and podman")
        self.expect({("host", "docker"), ("world", "docker"), ("loopback", "docker"), ("docker", "world"), ("podman", "world"), ("host", "podman"), ("loopback", "podman")})
        # what docker's containers do not publish is not Coffer's to open
        self.assertIn("policy drop", self.arena.run("nft", "list", "chain", "ip", "filter", "FORWARD").out)
        self.assertEqual(self.get("host", f"http://{self.address_of_dockers()}:81/"), "docker")
        self.assertEqual(self.get("coffer", f"http://{self.address_of_dockers()}:81/", 1), "")


class DockerFirst(Neighbours):
    @classmethod
    def setUpArena(cls):
        super().setUpArena()
        cls.start_docker()
        cls.podman("load", "-i", cls.archive)
        cls.serve("docker")
        cls.serve("podman")

    def test_theirs_work_as_before_and_ours_too(self):
        before, rules = self.reach(["docker", "podman"]), self.theirs()
        self.assertIn(("world", "docker"), before)
        self.start_coffer()
        self.serve("coffer")
        self.check_all()
        self.expect(before, "worked without Coffer")
        self.assertEqual(self.theirs(), rules)
        # docker goes and comes again
        self.stop_docker()
        self.expect({p for p in self.coffers(["coffer", "podman"]) if "docker" not in p})
        ours = self.ours()
        self.start_docker()
        self.docker("start", "web")
        self.assertEqual(self.ours(), ours)
        self.check_all()
        # and Coffer goes: theirs stay
        self.coffer("rm", "-f", "web")
        self.expect(before)


class CofferFirst(Neighbours):
    @classmethod
    def setUpArena(cls):
        super().setUpArena()
        cls.start_coffer()
        cls.serve("coffer")

    def test_docker_and_podman_come_later(self):
        self.expect({("host", "coffer"), ("loopback", "coffer"), ("world", "coffer"), ("coffer", "world")})
        ours = self.ours()
        self.forwarding_off()  # so that docker sets its policy, as after a boot at which it comes first
        self.start_docker()
        self.assertTrue(coffer.wait_until(lambda: "coffer cf" in self.arena.run("nft", "list", "chain", "ip", "filter", "DOCKER-USER").out, 10))
        self.podman("load", "-i", self.archive)
        self.serve("docker")
        self.serve("podman")
        self.assertEqual(self.ours(), ours)
        self.check_all()


del Neighbours  # its heirs are the tests

if __name__ == "__main__":
    unittest.main()
