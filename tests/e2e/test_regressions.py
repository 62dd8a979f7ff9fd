# SPDX-License-Identifier: Apache-2.0
"""One test for each bug that was found by using Coffer, named for it."""

import json
import os
import subprocess
import unittest

from coffer import CofferTest, read_text, wait_until

VM = True


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

    def test_a_user_has_no_capabilities_at_execve(self):
        """The command of another user than root was looked up and executed with CAP_DAC_OVERRIDE of the container's root."""
        cid = self.detached("busybox", "sh", "-c", "mkdir -m 700 /private; cp /bin/busybox /private/true; chmod 700 /private/true; sleep 100")
        wait_until(lambda: self.coffer("exec", cid, "/private/true", check=False).code == 0)
        self.assertEqual(self.coffer("exec", "-u", "1000", cid, "/private/true", check=False).code, 126)
        self.assertEqual(self.coffer("exec", "-u", "1000", "-w", "/private", cid, "/bin/true", check=False).code, 126)
        self.coffer("rm", "-f", cid)

    def test_many_starts_fill_one_volume_once(self):
        """Containers that started at once on one empty volume each tried to fill it: the losers failed."""
        runs = [self.popen("run", "--rm", "--network", "none", "-v", "filled:/etc", "busybox", "sh", "-c", "ls /etc | wc -l") for _ in range(12)]
        counts = {p.communicate(timeout=60)[0] for p in runs}
        self.assertEqual([p.returncode for p in runs], [0] * 12)
        self.assertEqual(len(counts), 1, counts)

    def test_attach_beside_start(self):
        """A client that attached while the start was under way was never given to the monitor."""
        for i in range(15):
            cid = self.coffer("create", "--network", "none", "busybox", "sh", "-c", "sleep 0.3; echo late").word
            start = self.popen("start", cid)
            attach = self.popen("attach", cid)
            out = attach.communicate(timeout=20)[0]
            start.communicate(timeout=20)
            if attach.returncode == 0:  # else it came before the start: docker refuses that, too
                self.assertIn(b"late", out, f"round {i}")
            self.coffer("rm", "-f", cid)

    def test_a_wait_is_not_ended_by_another_s(self):
        """`wait` on a created container told every waiter that it had exited with 0."""
        for _ in range(5):
            run = self.popen("run", "--name", "waited", "--network", "none", "busybox", "sh", "-c", "sleep 0.3; exit 7")
            other = self.popen("wait", "waited")
            self.assertEqual(run.wait(20), 7)
            other.communicate(timeout=20)
            self.coffer("rm", "-f", "waited")

    def test_flags_of_a_seccomp_profile_reach_the_loader(self):
        """`flags` of a profile were read and then forgotten on the way to seccomp(2)."""
        profile = os.path.join(self.scratch, "log.json")
        with open(profile, "w") as f:
            json.dump({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"], "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ERRNO"}]}, f)
        cid = self.detached("--security-opt", f"seccomp={profile}", "busybox", "sleep", "100")
        with open(os.path.join(self.run_dir, "containers", cid, "config.json")) as f:
            self.assertEqual(json.load(f)["coffer"]["seccompFlags"], 2)
        self.assertEqual(self.coffer("exec", cid, "echo", "ok").word, "ok")
        self.coffer("rm", "-f", cid)


    def test_a_container_that_has_ended_before_it_is_watched(self):
        """A monitor that had left before the engine could ask it to WAIT made the start fail: "talking to the monitor: broken pipe"."""
        slow = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e", "inject=sendmsg:delay_enter=100000", *self.command]
        p = subprocess.run([*slow, "run", "--rm", "--network", "none", "busybox", "sh", "-c", "exit 7"], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.assertEqual(p.returncode, 7, p.stderr)
        p = subprocess.run([*slow, "run", "-d", "--network", "none", "busybox", "sh", "-c", "exit 8"], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(self.coffer("wait", p.stdout.strip()).word, "8")
        self.coffer("rm", p.stdout.strip())


class SharedMounts(CofferTest):
    """On a host whose mounts are shared, as systemd makes them."""

    ETC = {"/etc/subuid": ""}  # with a mount namespace of its own, which is then made shared: the test's host is left alone

    @classmethod
    def _with_etc(cls, files):
        command = super()._with_etc(files)
        # a slave first, so that nothing can reach the real host, then shared with what comes out of this namespace
        return command[:-1] + ["mount --make-rshared /; " + command[-1]]

    def test_images_are_unpacked(self):
        """The unpacker's target stayed a peer of the host's mount: pivot_root refused it, and no image could be loaded under systemd."""
        self.assertEqual(self.sh("echo ok").word, "ok")

    def test_nothing_mounted_inside_appears_outside(self):
        """No mount of a container is a peer of one of the host's."""
        cid = self.detached("--cap-add", "SYS_ADMIN", "--device", "/dev/full:/dev/other", "-v", f"{self.scratch}:/mnt", "busybox", "sleep", "100")
        peers = [line for line in read_text(f"/proc/{self.pid(cid)}/mountinfo").splitlines() if " shared:" in line]
        self.assertEqual(peers, [])


if __name__ == "__main__":
    unittest.main()
