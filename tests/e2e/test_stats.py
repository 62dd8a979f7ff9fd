# SPDX-License-Identifier: Apache-2.0
"""GET /containers/ID/stats, `coffer stats` and docker's own, against what the kernel says."""

import calendar
import json
import os
import re
import shutil
import time
import unittest

import coffer
import daemon

VM = True
BUSY = ("sh", "-c", "while :; do :; done")


def seconds(stamp):
    whole, _, part = stamp.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{part or 0}")


class Api(daemon.DaemonTest):
    def stats(self, ref, query="?stream=0&one-shot=1"):
        a = self.api("GET", f"/containers/{ref}/stats{query}")
        self.assertEqual((a.status, a.headers["content-type"]), (200, "application/json"), str(a))
        return a.json()

    def test_one_shot(self):
        cid = self.started("sleep", "100", name="one", host={"Memory": 64 << 20, "PidsLimit": 55})
        s = self.stats(cid)
        self.assertEqual((s["name"], s["id"], s["preread"]), ("/one", cid, "0001-01-01T00:00:00Z"))
        self.assertEqual(s["pids_stats"], {"current": 1, "limit": 55})
        self.assertEqual(s["memory_stats"]["limit"], 64 << 20)
        self.assertGreater(s["memory_stats"]["usage"], 0)
        self.assertEqual(s["cpu_stats"]["online_cpus"], len([x for x in coffer.read_text("/proc/stat").splitlines() if re.match(r"cpu\d", x)]))
        self.assertEqual(s["precpu_stats"]["cpu_usage"]["total_usage"], 0)
        ticks = sum(int(x) for x in coffer.read_text("/proc/stat").split("\n", 1)[0].split()[1:8])
        self.assertAlmostEqual(s["cpu_stats"]["system_cpu_usage"] / 1e9, ticks / os.sysconf("SC_CLK_TCK"), delta=5)
        self.assertNotIn("networks", s)  # it has lo alone

    def test_without_a_limit_it_is_the_machine_s_memory(self):
        s = self.stats(self.started("sleep", "100"))
        self.assertEqual(s["memory_stats"]["limit"], os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE"))

    def test_two_samples_tell_the_share_of_a_cpu(self):
        cid = self.started(*BUSY, host={"NanoCpus": 300_000_000})
        self.stats(cid)
        s = self.stats(cid, "?stream=false")
        now, before = s["cpu_stats"], s["precpu_stats"]
        used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
        share = used / (now["system_cpu_usage"] - before["system_cpu_usage"]) * now["online_cpus"]
        self.assertTrue(0.02 < share < 1.5, share)  # an emulated machine loses ticks of /proc/stat
        share = used / 1e9 / (seconds(s["read"]) - seconds(s["preread"]))
        self.assertTrue(0.02 < share < 0.6, share)
        self.assertGreater(now["throttling_data"]["throttled_periods"], 0)

    def test_stream(self):
        cid = self.started(*BUSY)
        r = self.api.stream("GET", f"/containers/{cid}/stats")
        self.assertEqual((r.status, r.getheader("Transfer-Encoding")), (200, "chunked"))
        start = time.monotonic()
        first, second = (json.loads(r.readline()) for _ in range(2))
        self.assertGreater(time.monotonic() - start, 0.8)
        self.assertEqual(first["precpu_stats"]["cpu_usage"]["total_usage"], 0)
        self.assertEqual(second["precpu_stats"]["cpu_usage"]["total_usage"], first["cpu_stats"]["cpu_usage"]["total_usage"])
        self.assertEqual(second["preread"], first["read"])
        self.assertGreater(second["cpu_stats"]["cpu_usage"]["total_usage"], first["cpu_stats"]["cpu_usage"]["total_usage"])
        self.api("POST", f"/containers/{cid}/kill")
        self.api("POST", f"/containers/{cid}/wait")
        line = {"memory_stats": 1}
        for _ in range(5):
            line = json.loads(r.readline())
            if not line["memory_stats"]:
                break
        self.assertEqual((line["memory_stats"], line["read"]), ({}, "0001-01-01T00:00:00Z"))
        self.api("DELETE", f"/containers/{cid}")
        self.assertTrue(all(json.loads(x)["id"] == cid for x in r.read().splitlines()))  # and it ends

    def test_a_client_that_hangs_up_ends_the_stream(self):
        cid = self.started("sleep", "100")
        threads = len(os.listdir(f"/proc/{self.daemon.proc.pid}/task"))
        streams = [self.api.stream("GET", f"/containers/{cid}/stats") for _ in range(5)]
        for r in streams:
            r.readline()
        for r in streams:
            r.close()
            r.connection.close()
        self.assertTrue(coffer.wait_until(lambda: len(os.listdir(f"/proc/{self.daemon.proc.pid}/task")) <= threads + 1, 10))

    def test_stopped_and_missing(self):
        cid = self.create("true")
        s = self.stats(cid)
        self.assertEqual((s["id"], s["read"], s["memory_stats"], s["pids_stats"]), (cid, "0001-01-01T00:00:00Z", {}, {}))
        start = time.monotonic()
        self.stats(cid, "?stream=0")
        self.assertLess(time.monotonic() - start, 0.9, "there is nothing to wait for")
        self.assertEqual(self.api("GET", "/containers/nosuch/stats").status, 404)
        self.assertEqual(self.api("GET", f"/containers/{cid}/stats?stream=1&one-shot=1").status, 400)

    def test_accounting_ends_with_the_container(self):
        """CPU time and block I/O are accounted once somebody asks: whatever cgroups that made go as the others do (the class's end looks)."""
        cid = self.started("sh", "-c", "while :; do sleep 0.05; done")
        self.stats(cid)
        e = self.api("POST", f"/containers/{cid}/exec", {"Cmd": ["sh", "-c", "for i in $(seq 100000); do :; done"]}).json()["Id"]
        self.api("POST", f"/exec/{e}/start", {"Detach": True})
        self.assertTrue(coffer.wait_until(lambda: self.api("GET", f"/exec/{e}/json").json()["Running"] is False, 20))
        self.assertGreater(self.stats(cid)["cpu_stats"]["cpu_usage"]["total_usage"], 1_000_000, "an exec'ed process counts")

    def test_memory_without_the_cache(self):
        cid = self.started("sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null; echo done; sleep 100")
        self.assertTrue(coffer.wait_until(lambda: b"done" in self.api("GET", f"/containers/{cid}/logs?stdout=1").body, 10))
        m = self.stats(cid)["memory_stats"]
        cache = m["stats"].get("total_inactive_file", m["stats"].get("inactive_file", 0))
        self.assertGreater(m["usage"] - cache, 19 << 20)

    # -- clients ------------------------------------------------------------------------------------------------

    def test_coffer_s_table(self):
        cid = self.started(*BUSY, name="busy", host={"Memory": 64 << 20})
        idle = self.create("true", name="idle")
        r = self.coffer("stats", "--no-stream")
        self.assertEqual(re.split(r"\s{2,}", r.lines[0]), ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"])
        row = next(x for x in r.lines if x.startswith(cid[:12]))
        self.assertRegex(row, rf"^{cid[:12]} +busy +\d+\.\d\d% +[\d.]+[KM]iB / 64MiB +\d+\.\d\d% +0B / 0B +\S+ / \S+ +1$")
        self.assertGreater(float(re.search(r"([\d.]+)%", row).group(1)), 5)
        self.assertNotIn(idle[:12], r.out)
        self.assertIn(idle[:12], self.coffer("stats", "--no-stream", "-a").out)
        one = self.coffer("stats", "--no-stream", "--format", "json", "busy").json()
        self.assertEqual((one["Container"], one["Name"], one["ID"], one["PIDs"]), ("busy", "busy", cid[:12], "1"))
        self.assertEqual(self.coffer("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}", "busy").word, cid)
        self.assertFails(self.coffer("stats", "--no-stream", "nosuch", check=False), 1, "No such container: nosuch")

    def test_renewed_in_place_on_a_terminal(self):
        self.started("sleep", "100", name="shown")
        t = self.tty("stats", "shown")
        for _ in range(2):
            t.expect(r"\x1b\[H\x1b\[J.*CONTAINER ID.*shown")
        t.send("\x03")
        self.assertEqual(t.wait(), -2)

    def test_docker_s_own(self):
        if not shutil.which("docker"):
            return
        self.started(*BUSY, name="burner", host={"Memory": 128 << 20})
        env = dict(self.env, DOCKER_HOST="unix://" + self.sock, DOCKER_CONFIG=os.path.join(self.scratch, "docker"))
        for _ in range(3):  # a busy machine: the share of a CPU may be anything above nothing
            p = coffer.subprocess.run(["docker", "stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}", "burner"], env=env, capture_output=True, text=True, timeout=60)
            self.assertEqual(p.returncode, 0, p.stderr)
            m = re.fullmatch(r"burner ([\d.]+)% [\d.]+[KM]iB / 128MiB 1\n", p.stdout)
            self.assertTrue(m, p.stdout)
            if float(m.group(1)) > 5:
                return
        self.fail(p.stdout)


if __name__ == "__main__":
    unittest.main()
