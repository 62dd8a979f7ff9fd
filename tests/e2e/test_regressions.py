# SPDX-License-Identifier: Apache-2.0
"""One test for each bug that was found by using Coffer, named for it."""

import unittest

from coffer import CofferTest, wait_until


class Regressions(CofferTest):
    def test_no_output_is_lost_between_attach_and_start(self):
        """A start that overtook its own client's attach lost the whole output, about one run in twenty."""
        for i in range(120):
            r = self.coffer("run", "--rm", "--network", "none", "busybox", "echo", "hello")
            self.assertEqual(r.out, "hello\n", f"run {i}")

    def test_loopback_is_up_without_a_network(self):
        """`--network none` left lo down: nothing could talk to itself."""
        r = self.coffer("run", "--rm", "--network", "none", "busybox", "sh", "-c", "ip link show lo; cat /proc/sys/net/ipv4/ping_group_range")
        self.assertIn("UP", r.out)
        self.assertRegex(r.out, r"\n0\s+65535\n")

    def test_exit_code_survives_a_foreign_reaper(self):
        """`coffer kill` in another process reaped and removed a --rm container first, and its own client got 0 instead of 137."""
        for i in range(8):
            name = f"killed{i}"
            run = self.popen("run", "--rm", "--name", name, "--network", "none", "busybox", "sleep", "60")
            wait_until(lambda: self.coffer("kill", name, check=False).code == 0)
            self.assertEqual(run.wait(20), 137, f"round {i}")


if __name__ == "__main__":
    unittest.main()
