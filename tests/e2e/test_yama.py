# SPDX-License-Identifier: Apache-2.0
"""Yama: with ptrace_scope a process inside reaches only what it started itself, and the posture report says so."""

import unittest

from coffer import CofferTest, read_text, wait_until

VM = True
HOST = False  # the setting is the whole host's

SCOPE = "/proc/sys/kernel/yama/ptrace_scope"
# opening another's memory asks what ptrace(2) asks (PTRACE_MODE_ATTACH); nothing is mapped at 0, so an open file reads as an I/O error
PEEK = "head -c 1 /proc/$1/mem"


class Yama(CofferTest):
    @classmethod
    def setUpClass(cls):
        cls.before = read_text(SCOPE)
        super().setUpClass()

    def tearDown(self):
        self.scope(self.before)

    def scope(self, value):
        with open(SCOPE, "w") as f:
            f.write(str(value))

    def row(self, cid):
        return next(r for r in self.posture(cid)["Layers"] if r["Layer"] == "Yama")

    def peek(self, cid):
        """What comes of reading the memory of a process that somebody else started."""
        pid = self.coffer("exec", cid, "pidof", "sleep").word.split()[0]
        return self.coffer("exec", cid, "sh", "-c", PEEK, "sh", pid, check=False).err

    def test_siblings_are_out_of_reach(self):
        cid = self.detached("--security-opt", "apparmor=unconfined", "--security-opt", "landlock=unconfined", "busybox", "sh", "-c", "sleep 1000 & wait")
        self.assertTrue(wait_until(lambda: self.coffer("exec", cid, "pidof", "sleep", check=False).code == 0))
        self.scope(0)
        self.assertIn("Input/output error", self.peek(cid))
        self.assertEqual(self.row(cid)["State"], "absent")
        self.scope(1)
        self.assertIn("Permission denied", self.peek(cid))
        self.assertEqual(self.row(cid)["State"], "ok")
        self.assertIn("ptrace_scope 1", self.row(cid)["Value"])

    def test_a_process_may_trace_what_it_started(self):
        self.scope(1)
        r = self.sh("sleep 100 & " + PEEK.replace("$1", "$!"), check=False)
        self.assertIn("Input/output error", r.err)

    def test_nobody_may_trace(self):
        self.scope(2)
        r = self.sh("sleep 100 & " + PEEK.replace("$1", "$!"), check=False)
        self.assertIn("Permission denied", r.err)


if __name__ == "__main__":
    unittest.main()
