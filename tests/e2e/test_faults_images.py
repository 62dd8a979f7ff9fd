# SPDX-License-Identifier: Apache-2.0
"""P8 for the image store: kill -9 at every step of what happens to it under the daemon (faults_images); then rounds of many clients at once, on images with common
layers, by the daemon and by engines of commands, with somebody killed in each.

COFFER_FAULT_ROUNDS=200 makes the rounds as many; COFFER_FAULT_SEED repeats them.
"""

import contextlib
import os
import random
import subprocess
import time
import unittest

import coffer
import daemon
import faults
import images
import registries
from faults_images import OPS, OURS, ImageFaults
from images import Entry

ROUNDS = int(os.environ.get("COFFER_FAULT_ROUNDS", "8"))
SEED = int(os.environ.get("COFFER_FAULT_SEED", "0") or 0) or random.randrange(1 << 30)


class Daemon(ImageFaults):
    pass


faults.tests_of(Daemon, OPS, lambda op, point: point.startswith(OURS))


def overlapping():
    """{name: layers} of images that share many of them."""
    base = images.busybox_entries()
    a, b, c, d = ([Entry.dir(n), Entry.file(f"{n}/big", os.urandom(200000)), Entry.link(f"{n}/hard", f"{n}/big"), Entry.file(f"{n}/name", n)] for n in "abcd")
    over = [Entry.file("a/.wh.hard"), Entry.file("a/name", "over")]
    return {"one": [base, a], "two": [base, a, b], "three": [base, a, b, c], "four": [base, d], "five": [base, a, over], "six": [base, d, c]}


class Rounds(daemon.DaemonTest):
    """One state directory, a daemon, and commands with engines of their own beside it."""

    IMAGES = overlapping()

    @classmethod
    def setUpClass(cls):
        cls.page = faults.Page()
        cls.EXTRA_ENV = dict(cls.EXTRA_ENV, COFFER_FAULT=cls.page.path)
        try:
            super().setUpClass()
        except BaseException:
            cls.page.close()
            raise
        cls.reg = registries.Registry(cls.scratch)
        cls.archives = {}
        for name, layers in cls.IMAGES.items():
            cls.archives[name] = images.oci_archive(layers, f"{name}:1", compress=random.choice(("gzip", "zstd")))
            cls.reg.push(cls.archives[name], f"{name}:1", src="oci-archive")
        cls.coffer_("create", "--name", "source", "--network", "none", cls.IMAGE, "true")

    @classmethod
    def start_daemon(cls, *flags):
        cls.elsewhere = os.path.join(cls.run_dir, "elsewhere.sock")  # commands without --host do not find it
        cls.daemon = daemon.Daemon([cls.stage.cofferd, "-H", "unix://" + cls.elsewhere], cls.env, os.path.join(cls.scratch, "rounds.log"), cls.elsewhere).ready()
        return cls.daemon

    @classmethod
    def tearDownClass(cls):
        cls.page.disarm()
        cls.reg.close()
        cls.coffer_("rm", "-f", "source", check=False)
        try:
            super().tearDownClass()
        finally:
            cls.page.close()

    engine_processes = faults.FaultTest.__dict__["engine_processes"]

    def chosen(self, rng):
        name = rng.choice(list(self.IMAGES))
        ref = f"{self.reg.name}/{name}:1"
        words = rng.choice([("pull", "-q", ref)] * 6 + [("load", "-q", "-i", self.archives[name])] * 2 + [("rmi", "-f", ref)] * 2 + [("rmi", "-f", f"{name}:1"), ("image", "prune", "-f"),
                           ("commit", "source", "made:1"), ("push", "-q", ref), ("system", "check", "--repair")])
        host = ["--host", "unix://" + self.elsewhere] if rng.random() < 0.5 else []
        return [*host, *words]

    def victims(self, rng, clients):
        programs = self.engine_processes()
        kinds = {"cli": [c.pid for c in clients if c.poll() is None], "daemon": [self.daemon.proc.pid],
                 "engine": [p for c in clients for p in faults.child_pids(c.pid) if programs.get(p) == "coffer"],
                 "unpack": [p for p, n in programs.items() if n == "coffer-unpack"], "fetch": [p for p, n in programs.items() if n == "coffer-fetch"]}
        kinds = {k: v for k, v in kinds.items() if v}
        kind = rng.choice(sorted(kinds))
        return kind, [rng.choice(kinds[kind])]

    def play(self, rng, points):
        """One round: clients, a point where somebody may stop or a moment, a victim. Return: what happened, for people."""
        commands = [self.chosen(rng) for _ in range(rng.randint(2, 4))]
        point = rng.choice(points) if rng.random() < 0.7 else ""
        if point:
            self.page.arm(point)
        clients = [self.popen(*c, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for c in commands]
        if point:
            coffer.wait_until(lambda: self.page.state == faults.HELD or all(c.poll() is not None for c in clients), 5, 0.002)
        else:
            time.sleep(rng.uniform(0, 0.6))
        kind, pids = self.victims(rng, clients)
        if self.page.state == faults.HELD and rng.random() < 0.5:
            kind, pids = "self", [self.page.pid]
        for pid in pids:
            faults.kill(pid)
        if self.daemon.proc.pid in pids:
            self.daemon.proc.wait()
        self.page.disarm()
        story = f"{[' '.join(c[-3:]) for c in commands]}, {kind} killed at {point or 'a moment'}"
        for c in clients:
            try:
                c.wait(faults.PATIENCE * coffer.SLOW)
            except subprocess.TimeoutExpired:
                self.fail(f"a command does not end: {story}")
            type(self)._procs.remove(c)
        if self.daemon.proc.poll() is not None:
            type(self).start_daemon()
        return story

    def quiet(self):
        """Whoever still works for a command that was killed has ended."""
        daemons = {self.daemon.proc.pid}

        def busy():
            with open("/proc/net/unix") as f:
                answering = any(f" {self.elsewhere}" in line and line.split()[5] == "03" for line in f)
            return answering or [p for p in self.engine_processes() if p not in daemons]

        self.assertTrue(coffer.wait_until(lambda: not busy(), faults.PATIENCE), "something is still under way")

    def whole(self, story):
        r = self.coffer("system", "check", check=False)
        self.assertEqual(r.code, 0, f"seed {SEED}: {story}: {r}")
        self.assertNotIn("not looked for", r.out, story)

    def test_rounds(self):
        rng = random.Random(SEED)
        listed = subprocess.run([self.stage.coffer, "--list-fault-points"], capture_output=True, text=True, timeout=20, check=True).stdout.split()
        points = sorted(p for p in listed if p.startswith(OURS))
        for n in range(ROUNDS):
            story = f"round {n}: {self.play(rng, points)}"
            self.quiet()
            self.whole(story)
            with contextlib.suppress(FileNotFoundError):
                self.assertEqual([x for x in os.listdir(os.path.join(self.root, "tmp"))], [], story)
        for name, layers in self.IMAGES.items():
            ref = f"{self.reg.name}/{name}:1"
            self.coffer("pull", "-q", ref)
            self.assertEqual(self.run_(ref, "sh", "-c", "cat /?/name").out, "".join(sorted({e.info.name[0]: e.data.decode() for x in layers[1:] for e in x if e.info.name.endswith("/name")}.values())))
        self.whole("pulled in peace")
        self.coffer("rm", "-f", "source")
        self.coffer("image", "prune", "-f", "-a")
        self.assertEqual([x for x in os.listdir(os.path.join(self.root, "layers")) if x != "skeleton"] + os.listdir(os.path.join(self.root, "blobs", "sha256")), [])
        self.assertEqual(os.listdir(os.path.join(self.root, "partial", "local")), [])

    def test_common_layers_are_fetched_once(self):
        """Several images with common layers, pulled at once by the daemon and by engines of commands: each blob is asked for once."""
        fake = registries.Fake()
        self.addCleanup(fake.close)
        made = {name: registries.Image(layers) for name, layers in self.IMAGES.items()}
        layers = {registries.digest(b) for image in made.values() for b in image.layers}

        def slowly(h, path, query):
            if path.rsplit("/", 1)[-1] in layers:
                time.sleep(0.3)  # so that all of them want it meanwhile

        fake.lies.append(slowly)
        refs = [fake.add(image, name, "1") for name, image in made.items()]
        clients = [self.popen(*(["--host", "unix://" + self.elsewhere] if i % 2 else []), "pull", "-q", ref, stdout=subprocess.DEVNULL) for i, ref in enumerate(refs * 2)]
        for c in clients:
            _, err = c.communicate(timeout=60 * coffer.SLOW)
            type(self)._procs.remove(c)
            self.assertEqual(c.returncode, 0, err)
        asked = [s[1].rsplit("/", 1)[-1] for s in fake.asked("/blobs/", "GET")]
        self.assertEqual(sorted(x for x in asked if x in layers), sorted(layers))
        self.whole("pulled at once")
        for ref in refs:
            self.coffer("rmi", "-f", ref)


if __name__ == "__main__":
    unittest.main()
