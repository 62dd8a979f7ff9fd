# SPDX-License-Identifier: Apache-2.0
"""The n-th descriptor, mapping or process cannot be had, for n = 1, 2, ... until none fails: an error, and nothing is left.

strace(1) makes the calls fail, in the engine of a command, its monitor and the creator alike: it reaches static programs, too.
COFFER_FAULTS_EVERY=1 leaves no n out.
"""

import os
import subprocess
import unittest

import coffer
import faults

EVERY = 1 if faults.EVERY else 3  # CI takes each third n, beginning with the first
INJECT = (("openat,openat2", "EMFILE"), ("socket,socketpair,accept4", "EMFILE"), ("mmap", "ENOMEM"), ("clone,clone3,fork,vfork", "EAGAIN"), ("epoll_create1,eventfd2,pipe2,inotify_init1", "EMFILE"))
N_MAX = 400


class Resources(coffer.CofferTest):
    def inject(self, calls, error, n, *argv):
        # the programs are ours, up to the exec of the container's command
        rule = [x for c in calls.split(",") for x in ("-e", f"inject={c}:error={error}:when={n}")]
        log = os.path.join(self.scratch, "strace.log")
        p = subprocess.run(["strace", "-f", "-qq", "-o", log, "-e", "trace=" + calls, *rule, self.stage.coffer, *argv], env=self.env, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60 * coffer.SLOW)
        return p, "(INJECTED)" in coffer.read_text(log)

    def check(self, p, what):
        self.assertNotIn(p.returncode, (-11, -6, 139, 134), f"{what}: crashed: {p.stderr}")
        if p.returncode != 0:
            self.assertGreater(len(p.stderr.strip()), 10, f"{what}: failed without a word")

    def walk(self, calls, error):
        failed = 0
        for n in range(1, N_MAX, EVERY):
            what = f"{calls} {error} at {n}"
            p, hit = self.inject(calls, error, n, "run", "--rm", "--network", "none", self.IMAGE, "true")
            if not hit:
                break
            self.check(p, what)
            failed += p.returncode != 0
            with self.subTest(what):
                for cid in self.coffer("ps", "-aq").out.split():
                    self.coffer("rm", "-f", cid)
                self.assertEqual(self.leftovers(), [], f"{what}: {p.stderr}")
        else:
            self.fail(f"{calls}: {N_MAX} and no end")
        if calls != "mmap":  # malloc finds another way
            self.assertGreater(failed, 0, "nothing ever failed")
        self.assertEqual(self.run_(self.IMAGE, "echo", "well").word, "well")


def add(calls, error):
    setattr(Resources, f"test_{calls.split(',')[0]}_{error}", lambda self: self.walk(calls, error))


for each in INJECT:
    add(*each)

if __name__ == "__main__":
    unittest.main()
