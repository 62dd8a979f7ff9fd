# SPDX-License-Identifier: Apache-2.0
"""The n-th descriptor, mapping or process cannot be had, for n = 1, 2, ... until none fails: an error, and nothing is left.

strace(1) makes the calls fail, in the engine of a command, its monitor and the creator alike: it reaches static programs, too. The daemon's
are made to fail by a strace that is attached for the length of one command; n counts each thread's and each new process's calls.
COFFER_FAULTS_EVERY=1 leaves no n out, either, of a command with an engine of its own.
"""

import os
import subprocess
import unittest

import coffer
import daemon
import faults

INJECT = (("openat,openat2", "EMFILE"), ("socket,socketpair,accept4", "EMFILE"), ("mmap", "ENOMEM"), ("clone,clone3,fork,vfork", "EAGAIN"), ("epoll_create1,eventfd2,pipe2,inotify_init1", "EMFILE"))
N_MAX = 400


def rules(calls, error, n):
    return ["-e", "trace=" + calls, *(x for c in calls.split(",") for x in ("-e", f"inject={c}:error={error}:when={n}"))]


class Walk:
    """RUN at each n; a class below says how the n-th call is made to fail."""

    RUN = ("run", "--rm", "--network", "none", coffer.CofferTest.IMAGE, "true")

    def check(self, code, text, what):
        self.assertNotIn(code, (-11, -6, 139, 134), f"{what}: crashed: {text}")
        if code != 0:
            self.assertGreater(len(text.strip()), 10, f"{what}: failed without a word")

    def walk(self, calls, error):
        failed = 0
        for n in range(1, N_MAX, self.STEP):
            what = f"{calls} {error} at {n}"
            code, text, hit = self.inject(calls, error, n)
            if not hit:
                break
            self.check(code, text, what)
            failed += code != 0
            with self.subTest(what):
                for cid in self.coffer("ps", "-aq").out.split():
                    self.coffer("rm", "-f", cid)
                self.assertEqual(self.leftovers(), [], f"{what}: {text}")
        else:
            self.fail(f"{calls}: {N_MAX} and no end")
        if calls != "mmap":  # malloc finds another way
            self.assertGreater(failed, 0, "nothing ever failed")
        self.assertEqual(self.run_(self.IMAGE, "echo", "well").word, "well")


class Resources(Walk, coffer.CofferTest):
    STEP = 1 if faults.EVERY else 3  # CI takes each third n, beginning with the first

    def inject(self, calls, error, n):
        # the programs are ours, up to the exec of the container's command
        log = os.path.join(self.scratch, "strace.log")
        p = subprocess.run(["strace", "-f", "-qq", "-o", log, *rules(calls, error, n), self.stage.coffer, *self.RUN], env=self.env, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60 * coffer.SLOW)
        return p.returncode, p.stderr, "(INJECTED)" in coffer.read_text(log)


class OfTheDaemon(Walk, daemon.DaemonTest):
    STEP = 1

    def inject(self, calls, error, n):
        pid, log = self.daemon.proc.pid, os.path.join(self.scratch, "strace.log")
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", log, *rules(calls, error, n), "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.assertTrue(coffer.wait_until(lambda: all(coffer.read_text(f"/proc/{pid}/task/{t}/status").split("TracerPid:\t")[1].split()[0] != "0" for t in os.listdir(f"/proc/{pid}/task")), 20))
            r = self.coffer(*self.RUN, check=False, timeout=60 * coffer.SLOW)
        finally:
            tracer.kill()  # the kernel lets them go; strace itself, asked to, would wait for a parent in vfork whose child it holds
            tracer.wait()
        self.assertIsNone(self.daemon.proc.poll(), f"{calls} {error} at {n}: the daemon died: {self.daemon.log()}")
        return r.code, r.err, "(INJECTED)" in coffer.read_text(log)

    @classmethod
    def processes(cls):
        return [p for p in super().processes() if p != cls.daemon.proc.pid]


def add(calls, error):
    for cls in (Resources, OfTheDaemon):
        setattr(cls, f"test_{calls.split(',')[0]}_{error}", lambda self: self.walk(calls, error))


for each in INJECT:
    add(*each)

if __name__ == "__main__":
    unittest.main()
