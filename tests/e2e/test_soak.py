# SPDX-License-Identifier: Apache-2.0
"""Soak: containers from many clients at once, streams that are cut at random moments; then everything is back at its start.

COFFER_SOAK_ROUNDS=10000 COFFER_SOAK_STREAMS=500 is the long version.
"""

import glob
import os
import random
import signal
import socket
import threading
import time
import unittest

import coffer
import daemon
import faults

CLIENTS = 16
ROUNDS = int(os.environ.get("COFFER_SOAK_ROUNDS", "300"))
STREAMS = int(os.environ.get("COFFER_SOAK_STREAMS", "60"))
STARTS = 64


class Soak(daemon.DaemonTest):
    def facts(self):
        pid = self.daemon.proc.pid
        status = coffer.proc_status(pid)
        ids = {os.path.basename(p) for p in coffer.coffer_cgroups()} & self.ids
        return {
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": int(status["Threads"]),
            "children": len(faults.child_pids(pid)),
            "cgroups": len(ids),
            "mounts": len(coffer.mount_points()),
            "bundles": len(faults.listing(os.path.join(self.run_dir, "containers"))),
            "locks": len(faults.listing(os.path.join(self.run_dir, "locks"))),
            "directories": len(faults.listing(os.path.join(self.root, "containers"))),
            "trash": len(faults.listing(os.path.join(self.root, "trash"))) + len(faults.listing(os.path.join(self.run_dir, "trash"))),
        }

    def rss_kib(self):
        return int(coffer.proc_status(self.daemon.proc.pid)["VmRSS"].split()[0])

    def setUp(self):
        type(self).ids = set()
        self.errors = []
        self.together(self.one_container, 4 * CLIENTS)  # the allocator, the watcher, the caches
        self.assertEqual(self.errors, [])
        time.sleep(0.5)
        self.before, self.rss_before = self.facts(), self.rss_kib()

    def together(self, work, n):
        """@work n times, by CLIENTS threads."""
        left = list(range(n))
        lock = threading.Lock()

        def client():
            while True:
                with lock:
                    if not left or len(self.errors) > 5:
                        return
                    i = left.pop()
                try:
                    work(i)
                except Exception as e:  # noqa: BLE001  (whatever it is, it is told)
                    self.errors.append(f"{type(e).__name__}: {e}")

        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def call(self, method, target, body=None, want=(200, 201, 204)):
        a = self.api(method, target, body, timeout=120 * coffer.SLOW)
        if a.status not in want:
            raise AssertionError(f"{method} {target}: {a}")
        return a

    def new(self, *cmd, **config):
        cid = self.call("POST", "/containers/create", dict({"Image": self.IMAGE, "Cmd": list(cmd), "HostConfig": {"NetworkMode": "none"}}, **config)).json()["Id"]
        self.ids.add(cid)
        return cid

    def one_container(self, i):
        cid = self.new("true")
        self.call("POST", f"/containers/{cid}/start")
        code = self.call("POST", f"/containers/{cid}/wait").json()["StatusCode"]
        if code != 0:
            raise AssertionError(f"exit code {code}")
        self.call("DELETE", f"/containers/{cid}?v=1")

    def check_back(self):
        self.assertEqual(self.errors, [])
        now = {}

        def back():
            now.update(self.facts())
            return all(now[k] <= self.before[k] for k in now)

        self.assertTrue(coffer.wait_until(back, 20, 0.1), f"before {self.before}, now {now}")
        self.assertLess(self.rss_kib(), self.rss_before + 6144, "the daemon has grown")

    def test_rounds(self):
        start = time.monotonic()
        self.together(self.one_container, ROUNDS)
        took = time.monotonic() - start
        self.check_back()
        print(f"\n{ROUNDS} rounds in {took:.1f} s, {ROUNDS / took:.0f} a second; RSS {self.rss_before} -> {self.rss_kib()} KiB")

    def test_sixty_four_starts_at_once(self):
        ids = [self.new("sleep", "1000", StopSignal="KILL") for _ in range(STARTS)]
        threads = []
        for cid in ids:
            t = threading.Thread(target=lambda c: self.errors.append(a) if (a := self.api("POST", f"/containers/{c}/start", timeout=120 * coffer.SLOW)).status != 204 else None, args=(cid,))
            t.start()
            threads.append(t)
        for t in threads:
            t.join()
        self.assertEqual([str(e) for e in self.errors], [])
        self.assertEqual(len(self.api("GET", "/containers/json").json()), STARTS)
        self.together(lambda i: self.call("DELETE", f"/containers/{ids[i]}?force=1"), STARTS)
        self.check_back()

    # -- streams --------------------------------------------------------------------------------------------------------

    def cut(self, kind, cid):
        """Open a stream of @kind, read for a random moment, cut it off."""
        if kind == "exec":
            xid = self.call("POST", f"/containers/{cid}/exec", {"Cmd": ["sh", "-c", "echo on; sleep 0.05; yes | head -c 100000"], "AttachStdout": True}).json()["Id"]
            _, _, s, _ = self.api.hijack(f"/exec/{xid}/start", {"Detach": False})
        elif kind == "attach":
            _, _, s, _ = self.api.hijack(f"/containers/{cid}/attach?stream=1&stdout=1&stdin=1")
        else:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(20)
            s.connect(self.sock)
            s.sendall(f"GET /containers/{cid}/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        with s:
            s.settimeout(0.001)
            end = time.monotonic() + random.random() * 0.05
            while time.monotonic() < end:
                try:
                    if not s.recv(4096):
                        return
                except socket.timeout:
                    continue

    def test_streams_cut_at_random_moments(self):
        cid = self.new("sh", "-c", "while :; do echo line; usleep 2000; done", OpenStdin=True)
        self.call("POST", f"/containers/{cid}/start")
        kinds = ("attach", "exec", "logs")
        self.together(lambda i: self.cut(kinds[i % 3], cid), STREAMS)
        self.assertTrue(self.state(cid)["Running"])
        self.call("DELETE", f"/containers/{cid}?force=1")
        self.check_back()

    def test_readers_that_never_read(self):
        """An attach and a log reader that take nothing: others are served, the container goes when it is told to, and so do they."""
        cid = self.new("sh", "-c", "yes | head -c 3000000; sleep 1000", StopSignal="KILL")
        _, _, attached, _ = self.api.hijack(f"/containers/{cid}/attach?stream=1&stdout=1")
        self.call("POST", f"/containers/{cid}/start")
        logs = socket.socket(socket.AF_UNIX)
        logs.connect(self.sock)
        logs.sendall(f"GET /containers/{cid}/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        for _ in range(20):
            self.assertEqual(self.api("GET", "/_ping", timeout=10 * coffer.SLOW).status, 200)
            self.assertTrue(self.state(cid)["Running"])
        self.one_container(0)
        self.call("DELETE", f"/containers/{cid}?force=1")
        attached.close()
        logs.close()
        self.check_back()


class Reboot(daemon.DaemonTest):
    """The machine goes down: no process, no /run, in every state that a container can have."""

    def test_every_state(self):
        created = self.create("true", name="created")
        exited = self.started("true", name="exited")
        self.api("POST", f"/containers/{exited}/wait")
        running = self.started("sleep", "1000", name="running")
        paused = self.started("sleep", "1000", name="paused")
        self.assertEqual(self.api("POST", f"/containers/{paused}/pause").status, 204)
        rm = self.started("sleep", "1000", name="goes", host={"AutoRemove": True})
        ids = (created, exited, running, paused, rm)
        self.api("POST", f"/containers/{paused}/unpause")
        self.daemon.proc.kill()
        self.daemon.proc.wait()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.assertTrue(coffer.wait_until(lambda: not self.processes(), 10))
        for path in sorted(coffer.coffer_cgroups(), key=len, reverse=True):
            if os.path.basename(path) in ids:
                coffer.wait_until(lambda: not faults.remove_cgroup(path), 10)  # noqa: B023
        for entry in glob.glob(os.path.join(self.run_dir, "*")):
            coffer.shutil.rmtree(entry) if os.path.isdir(entry) else os.unlink(entry)
        type(self).start_daemon()
        self.assertEqual(self.state(created)["Status"], "created")
        self.assertEqual((self.state(exited)["Status"], self.state(exited)["ExitCode"]), ("exited", 0))
        for cid in (running, paused):
            self.assertEqual((self.state(cid)["Status"], self.state(cid)["ExitCode"]), ("exited", 137))
        self.assertTrue(coffer.wait_until(lambda: self.api("GET", f"/containers/{rm}/json").status == 404, 10), "--rm is still there")
        for cid in (created, exited, running, paused):
            self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 204)
            self.assertEqual(self.api("DELETE", f"/containers/{cid}?force=1").status, 204)
        self.assertEqual([p for p in self.leftovers() if f"process {self.daemon.proc.pid} " not in p], [])


if __name__ == "__main__":
    unittest.main()
