# SPDX-License-Identifier: Apache-2.0
"""docker-compose 1.29 (Debian's), unchanged, against cofferd: two networks, published ports, scale."""

import json
import os
import shutil
import subprocess
import unittest

import coffer
import test_network

FILE = """
version: "2.4"
services:
  web:
    image: busybox
    command: httpd -f -p 80 -h /tmp
    stop_signal: SIGKILL
    ports: ["18080:80"]
    networks:
      front: {aliases: [www]}
      back: {}
  db:
    image: busybox
    command: httpd -f -p 80 -h /tmp
    stop_signal: SIGKILL
    networks: [back]
  lonely:
    image: busybox
    command: httpd -f -p 80 -h /tmp
    stop_signal: SIGKILL
    networks:
      front: {ipv4_address: 10.99.1.77}
networks:
  front:
    ipam: {config: [{subnet: 10.99.1.0/24}]}
  back:
    internal: true
"""


@unittest.skipUnless(shutil.which("docker-compose"), "no docker-compose here")
class Compose(test_network.NetworkTest):
    def compose(self, *args, check=True):
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.scratch, "DOCKER_HOST": "unix://" + self.sock, "COMPOSE_PROJECT_NAME": "proj", "COMPOSE_HTTP_TIMEOUT": "60"}
        p = subprocess.run(["docker-compose", "-f", self.file, *args], env=env, cwd=self.scratch, capture_output=True, text=True, timeout=120)
        if check and p.returncode != 0:
            raise AssertionError(f"docker-compose {args}: {p.returncode}\n{p.stdout}{p.stderr}")
        return p

    def ids(self, service):
        rows = self.api("GET", "/containers/json", query={"filters": {"label": [f"com.docker.compose.service={service}"]}}).json()
        return [r["Id"] for r in rows]

    def resolve(self, cid, name):
        return sorted(self.inside(cid, "dig", "@127.0.0.11", "+short", "+tries=3", "+time=5", name, "A").stdout.split())

    def test_up_scale_down(self):
        self.file = os.path.join(self.scratch, "docker-compose.yml")
        with open(self.file, "w") as f:
            f.write(FILE)
        self.addCleanup(lambda: self.compose("down", "-t", "0", check=False))
        self.compose("up", "-d")
        web, db, lonely = self.ids("web")[0], self.ids("db")[0], self.ids("lonely")[0]
        self.assertEqual(sorted(self.inspect(web)["NetworkSettings"]["Networks"]), ["proj_back", "proj_front"])
        self.assertIn("www", self.endpoint(web, "proj_front")["Aliases"])
        self.assertEqual(self.address(lonely, "proj_front"), "10.99.1.77")
        self.assertTrue(coffer.wait_until(lambda: test_network.connects("127.0.0.1", 18080), 10))
        self.assertTrue(self.reaches(web, self.address(db, "proj_back"), timeout=5))
        self.assertTrue(self.reaches(lonely, self.address(web, "proj_front"), timeout=5))
        self.assertFalse(self.reaches(lonely, self.address(db, "proj_back"), timeout=0.5))
        self.assertEqual(self.resolve(web, "db"), [self.address(db, "proj_back")])
        self.assertEqual(self.resolve(lonely, "www"), [self.address(web, "proj_front")])
        self.assertEqual(self.resolve(lonely, "db.proj_back"), [])
        self.compose("up", "-d", "--scale", "db=3")
        self.assertEqual(self.resolve(web, "db"), sorted(self.address(c, "proj_back") for c in self.ids("db")))
        self.assertEqual(len({self.address(c, "proj_back") for c in self.ids("db")}), 3)
        self.assertIn("18080->80/tcp", self.compose("ps").stdout)
        self.compose("restart", "-t", "0", "web")
        self.assertTrue(coffer.wait_until(lambda: test_network.connects("127.0.0.1", 18080), 10))
        self.assertEqual(self.resolve(lonely, "web"), [self.address(web, "proj_front")])
        # recreated: its name, port and address change hands
        with open(self.file, "w") as f:
            f.write(FILE.replace("18080", "18081"))
        self.compose("up", "-d", "-t", "0", "--scale", "db=1")
        self.assertEqual(len(self.ids("db")), 1)
        self.assertTrue(coffer.wait_until(lambda: test_network.connects("127.0.0.1", 18081), 10))
        self.assertFalse(test_network.connects("127.0.0.1", 18080))
        self.compose("down", "-t", "0")
        self.assertEqual([n["Name"] for n in self.api("GET", "/networks").json() if n["Name"].startswith("proj")], [])
        self.assertNotIn("1808", test_network.sh("nft", "list", "ruleset").stdout)


if __name__ == "__main__":
    unittest.main()
