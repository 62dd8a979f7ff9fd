# SPDX-License-Identifier: Apache-2.0
"""Every step of the image store that can fail does so once; and every point is passed by some operation."""

import errno
import subprocess
import unittest

import faults
from faults_images import OPS, OURS, ImageFaults


class Failing(ImageFaults):
    def test_every_step_can_fail(self):
        """A full disk at every step that can fail: the command says so, and the store is whole."""
        refused = 0
        for op in OPS:
            for point in [p for p in self.points(op) if p.startswith(OURS)]:
                with self.subTest(op=op.name, point=point):
                    self.begin(op)
                    self.page.arm(point, faults.FAIL, errno.ENOSPC)
                    cli = self.launch(op)
                    err = self.end(cli)
                    self.page.disarm()
                    if "No space left" in err:
                        self.assertNotEqual(cli.returncode, 0)
                        refused += 1
                    else:
                        self.assertEqual(cli.returncode != 0, op.fails, err)
                    self.settle(op)
        self.assertGreater(refused, 15)


class Coverage(ImageFaults):
    def test_every_point_is_passed_by_an_operation(self):
        """Whoever adds a point of the image store adds an operation that comes there."""
        listed = {p for p in subprocess.run([self.stage.coffer, "--list-fault-points"], capture_output=True, text=True, timeout=20, check=True).stdout.split() if p.startswith(OURS)}
        for op in OPS:
            self.points(op)
        self.assertEqual(sorted(listed - self.passed), [])
        self.assertEqual(sorted(p for p in self.passed - listed if p.startswith(OURS)), [])


if __name__ == "__main__":
    unittest.main()
