# SPDX-License-Identifier: Apache-2.0
"""P8: kill -9 at every step of what else happens to containers, volumes and images under the daemon; and every point is passed by something."""

import subprocess
import unittest

import coffer
import faults
import faults_network


class Life(faults.FaultTest):
    pass


faults.tests_of(Life, [op for op in faults.LIFE + faults.IMAGES if op.name not in ("exec", "restart")], lambda op, point: "." in point)


class Coverage(faults_network.NetworkFaultTest):
    @classmethod
    def listed(cls):
        programs = (cls.stage.coffer, cls.stage.cofferd, cls.stage.libexec + "/coffer-monitor")
        return {p for program in programs for p in subprocess.run([program, "--list-fault-points"], capture_output=True, text=True, timeout=20, check=True).stdout.split()}

    def test_every_point_is_passed_by_an_operation(self):
        """Whoever adds a point adds an operation that comes there (faults.py), or says here who else tries it."""
        elsewhere = {"monitor.reaper", "monitor.leave"}  # test_faults_embedded: the daemon reaps by itself
        images = ("image.", "fetch.", "registry.")  # test_faults_images_failing
        listed = self.listed()
        self.assertGreater(len(listed), 100)
        for op in [faults.RUN, *faults.LIFE, *faults.FILES, *faults.AFTERWARDS, *faults.IMAGES, *faults_network.NETWORK]:
            self.points(op)
        self.daemon.stop()  # what a daemon does at its beginning and end
        self.page.clear_log()
        type(self).start_daemon()
        self.assertTrue(coffer.wait_until(lambda: "engine.trash.state" in self.page.log(), 10))
        type(self).passed |= set(self.page.log())
        self.assertEqual(sorted(p for p in listed - self.passed - elsewhere if not p.startswith(images)), [])
        self.assertEqual(sorted(self.passed - listed), [])


if __name__ == "__main__":
    unittest.main()
