# SPDX-License-Identifier: Apache-2.0
"""Signals of the caller reach the container's process, and none is lost."""

import os
import signal
import time
import unittest

from coffer import CofferTest, pid_exists, wait_until

ASAN = True
VM = True
SCRIPT = "trap 'echo got-%s; exit 21' %s; echo ready; while :; do sleep 0.05; done"


class Proxy(CofferTest):
    def client(self, sig, *flags):
        p = self.popen("run", "--rm", "--network", "none", *flags, "busybox", "sh", "-c", SCRIPT % (sig, sig))
        self.assertEqual(p.stdout.readline(), b"ready\n")
        return p

    def test_each_signal_is_passed_on(self):
        for sig in ("TERM", "INT", "HUP", "USR1", "USR2", "QUIT", "ALRM", "WINCH"):
            p = self.client(sig)
            p.send_signal(getattr(signal, "SIG" + sig))
            out, err = p.communicate(timeout=20)
            self.assertEqual((p.returncode, out), (21, f"got-{sig}\n".encode()), f"{sig}: {err}")

    def test_attach_passes_signals_on(self):
        cid = self.detached("busybox", "sh", "-c", SCRIPT % ("USR1", "USR1"))
        p = self.popen("attach", cid)
        time.sleep(0.5)
        p.send_signal(signal.SIGUSR1)
        self.assertEqual(p.wait(20), 21)

    def test_sig_proxy_false_keeps_them(self):
        p = self.client("TERM", "--sig-proxy=false", "--name", "unproxied")
        p.send_signal(signal.SIGTERM)
        p.wait(20)
        self.assertNotEqual(p.returncode, 21)
        self.assertEqual(self.status("unproxied"), "running")
        self.coffer("rm", "-f", "unproxied")

    def test_a_signal_right_at_the_start_is_not_lost(self):
        for _ in range(5):
            p = self.popen("run", "--rm", "--network", "none", "busybox", "sh", "-c", "trap 'exit 21' TERM; echo ready; while :; do sleep 0.05; done")
            time.sleep(0.02)
            deadline = time.monotonic() + 10
            while p.poll() is None and time.monotonic() < deadline:
                p.terminate()
                time.sleep(0.1)
            self.assertIsNotNone(p.poll(), "TERM does not end it")
        self.assertTrue(wait_until(lambda: not self.coffer("ps", "-aq").word, 5))

    def test_the_monitor_is_out_of_reach_of_the_terminal_s_signals(self):
        cid = self.sleeper()
        monitor = self.monitor_pid(cid)
        self.assertNotEqual(os.getsid(monitor), os.getsid(0))
        self.assertTrue(pid_exists(monitor))


if __name__ == "__main__":
    unittest.main()
