# SPDX-License-Identifier: Apache-2.0
"""P5: the layers fail closed. Every step of a start is made to fail once; the start fails, says which layer, leaves nothing."""

import os
import subprocess
import unittest

from coffer import CofferTest, pid_exists, wait_until

ASAN = True
VM = True


class EveryStep(CofferTest):
    @classmethod
    def steps(cls):
        p = subprocess.run([os.path.join(cls.stage.libexec, "coffer-monitor"), "--list-steps"], capture_output=True, text=True, timeout=20)
        if p.returncode != 0 or not p.stdout.split():
            raise AssertionError(f"coffer-monitor --list-steps: exit {p.returncode}: {p.stdout}{p.stderr}")
        return list(dict.fromkeys(s for s in p.stdout.split() if not s.startswith("exec-")))  # those of exec come in a container that runs

    def test_the_layers_are_steps(self):
        steps = self.steps()
        self.assertGreaterEqual(len(steps), 30, steps)
        for layer in ("seccomp", "caps", "masks"):
            self.assertTrue([s for s in steps if layer in s], f"no step for {layer}: {steps}")

    def test_each_step_that_fails_ends_the_start(self):
        marker = os.path.join(self.scratch, "ran")
        os.mkdir(marker, 0o777)
        os.chmod(marker, 0o777)
        os.chmod(self.scratch, 0o755)
        failed = []
        for step in self.steps():
            with self.subTest(step=step):
                args = ["run", "--rm", "--network", "none", "-v", f"{marker}:/marker", "-v", "vol:/vol", "busybox", "touch", f"/marker/{step}"]
                r = self.coffer(*args, check=False, env={"COFFER_FAIL_STEP": step})
                self.assertEqual(r.code, 125, str(r))
                self.assertFalse(os.path.exists(os.path.join(marker, step)), "the command ran all the same")
                self.assertGreater(len(r.err.strip()), 20, str(r))
                self.assertEqual(self.coffer("ps", "-aq").word, "")
                self.assertNothingLeft()
                failed.append(step)
        self.assertEqual(failed, self.steps())
        self.assertEqual(self.sh("echo well").word, "well")

    def test_a_failed_start_of_a_created_container_can_be_repeated(self):
        cid = self.coffer("create", "--network", "none", "busybox", "echo", "second").word
        self.addCleanup(self.coffer, "rm", "-f", cid, check=False)
        step = [s for s in self.steps() if "seccomp" in s][0]
        r = self.coffer("start", "-a", cid, check=False, env={"COFFER_FAIL_STEP": step})
        self.assertNotEqual(r.code, 0)
        self.assertIn("seccomp", r.err.lower())
        self.assertIn(self.status(cid), ("created", "exited"))
        self.assertEqual(self.coffer("start", "-a", cid).word, "second")

    def test_messages_name_the_layer(self):
        for word in ("seccomp", "caps", "masks", "cgroup"):
            for step in [s for s in self.steps() if word in s][:1]:
                r = self.run_("busybox", "true", check=False, env={"COFFER_FAIL_STEP": step})
                self.assertTrue(word.rstrip("s")[:3] in r.err.lower() or {"caps": "capabilit", "masks": "mask", "cgroup": "cgroup", "seccomp": "seccomp"}[word] in r.err.lower(), str(r))


class Withheld(CofferTest):
    """The same without the hook: the file or program that a layer needs is taken away."""

    def test_a_missing_monitor(self):
        empty = os.path.join(self.scratch, "empty")
        os.mkdir(empty)
        r = self.run_("busybox", "true", check=False, env={"COFFER_LIBEXEC": empty})
        self.assertFails(r, 125, "coffer-monitor")
        self.assertNothingLeft()

    def test_a_limit_that_the_kernel_refuses(self):
        for flags in (["--cpuset-cpus", "4000"], ["--memory", "1"], ["--cpuset-cpus", "nonsense"], ["--cpuset-cpus", "0-1000000000"]):
            self.assertRefused("run", "--rm", "--network", "none", *flags, "busybox", "true")
            self.assertNothingLeft()

    def test_a_hard_limit_above_the_engine_s_own(self):
        r = self.run_("--ulimit", "nofile=1000000000:1000000000", "busybox", "true", check=False)
        self.assertEqual(r.code, 125, str(r))
        self.assertNothingLeft()

    def test_a_rootfs_whose_mount_points_are_links(self):
        import images

        for name in ("proc", "sys", "dev"):
            self.coffer("load", "-i", images.variant(f"link-{name}:latest", replace=[images.Entry.symlink(name, "/tmp")]))
            r = self.run_(f"link-{name}", "true", check=False)
            if r.code != 0:
                self.assertFails(r, 125, name)
            self.assertNothingLeft()


if __name__ == "__main__":
    unittest.main()
