# SPDX-License-Identifier: Apache-2.0
"""tests/prober/report.c as pid 1 of a default container, its whole report against tests/prober/golden-default.txt."""

import os
import platform
import sys
import unittest

import images
from coffer import SOURCE, CofferTest

sys.path.insert(0, os.path.join(SOURCE, "tests", "prober"))
import golden  # noqa: E402  (beside the prober)

UNCONFINED = ("--security-opt", "seccomp=unconfined")


@unittest.skipUnless(platform.machine() == "x86_64", "the golden file is for x86_64")
class ProberReport(CofferTest):
    NEEDS_IMAGE = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(os.path.join(cls.stage.build, "tests", "prober", "prober-report"), "rb") as f:
            program = f.read()
        layer = [images.Entry.dir(d) for d in ("proc", "sys", "dev", "etc")]
        layer += [images.Entry.dir("tmp", 0o1777), images.Entry.file("report", program, 0o755)]
        cls.coffer_("load", "-i", images.docker_archive([layer], ["report:latest"], {"Entrypoint": ["/report"], "Env": []}))

    def report(self, *flags, sections=()):
        r = self.coffer("run", "--rm", "--network", "none", *flags, "report", *sections, timeout=300)
        self.assertTrue(r.out.endswith("end prober\n"), str(r)[-2000:])
        return golden.parse(r.out)

    def test_default_container_is_as_the_golden_file_says(self):
        baseline = self.report(*UNCONFINED, sections=("sweep",))
        self.assertEqual(golden.differences(golden.load(), self.report(), baseline), [])

    def test_an_unprivileged_user_gets_no_more(self):
        want = golden.load()
        want.update({f"caps.{s}": "0" * 16 for s in ("permitted", "effective")})
        baseline = self.report("-u", "1000", *UNCONFINED, sections=("sweep",))
        self.assertEqual(golden.differences(want, self.report("-u", "1000"), baseline), [])

    def test_the_comparison_sees_a_missing_filter(self):
        open_report = self.report(*UNCONFINED)
        bad = golden.differences(golden.load(), open_report, open_report)
        self.assertTrue([b for b in bad if b.startswith("seccomp:")], bad)
        self.assertTrue([b for b in bad if b.startswith("sweep.0425")], bad)

    def test_nested_user_namespaces_stay_shut_without_the_filter(self):
        report = self.report(*UNCONFINED, sections=("ns",))
        self.assertEqual((report["ns.unshare.user"], report["ns.clone.user"], report["ns.clone3.user"]), ("ENOSPC",) * 3)

    def test_privileged_makes_no_device_of_the_host_s(self):
        devices = {k: v for k, v in self.report("--privileged", sections=("devices",)).items() if k.startswith("device.")}
        self.assertGreater(len(devices), 3)
        self.assertFalse({k: v for k, v in devices.items() if v.endswith((":ok", "open:0")) or v == "ok"}, devices)


if __name__ == "__main__":
    unittest.main()
