# SPDX-License-Identifier: Apache-2.0
"""cgroup limits: written as asked, read back from the kernel's files, and felt inside."""

import os
import time
import unittest

from coffer import CofferTest, proc_status, wait_until

VM = True

# controller: (v1 file, v2 file)
FILES = {
    "pids": ("pids.max", "pids.max"),
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "swap": ("memory.memsw.limit_in_bytes", "memory.swap.max"),
    "reservation": ("memory.soft_limit_in_bytes", "memory.low"),
    "quota": ("cpu.cfs_quota_us", "cpu.max"),
    "period": ("cpu.cfs_period_us", "cpu.max"),
    "shares": ("cpu.shares", "cpu.weight"),
    "cpus": ("cpuset.cpus", "cpuset.cpus"),
    "devices": ("devices.list", None),
}
CONTROLLER = {"swap": "memory", "reservation": "memory", "quota": "cpu", "period": "cpu", "shares": "cpu", "cpus": "cpuset"}


def membership(pid):
    """{controller: path} of a process; "" is v2."""
    paths = {}
    with open(f"/proc/{pid}/cgroup") as f:
        for line in f:
            _, names, path = line.rstrip("\n").split(":", 2)
            for name in names.split(","):
                paths[name] = path
    return paths


class Limits(CofferTest):
    def knob(self, cid, what):
        """The kernel's word on @what for container @cid, or None where this host has no such file."""
        controller = CONTROLLER.get(what, what)
        paths = membership(self.pid(cid))
        v1, v2 = FILES[what]
        if controller in paths and os.path.isdir(f"/sys/fs/cgroup/{controller}"):
            path = f"/sys/fs/cgroup/{controller}{paths[controller]}/{v1}"
        else:
            path = f"/sys/fs/cgroup{paths['']}/{v2}"
        if not os.path.exists(path):
            return None
        with open(path) as f:
            return f.read().strip()

    def test_defaults(self):
        cid = self.sleeper()
        self.assertEqual(self.knob(cid, "pids"), "2048")
        self.assertEqual(self.coffer("exec", cid, "sh", "-c", "ulimit -c").word, "0")

    def test_every_process_is_in_the_container_s_own_cgroups(self):
        cid = self.sleeper()
        ours = [c for c, path in membership(self.pid(cid)).items() if path.endswith(cid)]
        for controller in ("pids", "memory", "cpu", "devices"):
            if os.path.isdir(f"/sys/fs/cgroup/{controller}"):
                self.assertIn(controller, ours)
        self.assertTrue(all(path.split("/")[1] == "coffer" for path in membership(self.pid(cid)).values() if cid in path))

    def test_the_monitor_is_not_in_them(self):
        """CVE-2019-14891: what watches is not killed with what is watched."""
        cid = self.sleeper("--memory", "64m")
        with open(f"/proc/{self.monitor_pid(cid)}/cgroup") as f:
            self.assertNotIn(cid, f.read())

    def test_pids(self):
        cid = self.sleeper("--pids-limit", "20")
        self.assertEqual(self.knob(cid, "pids"), "20")
        r = self.coffer("exec", cid, "sh", "-c", "for i in $(seq 40); do sleep 5 & done; wait", check=False, timeout=30)
        self.assertIn("fork", r.err)
        self.assertEqual(self.knob(self.sleeper("--pids-limit", "-1"), "pids"), "max")

    def test_memory(self):
        cid = self.sleeper("--memory", "64m")
        self.assertEqual(self.knob(cid, "memory"), str(64 << 20))
        swap = self.knob(cid, "swap")
        self.assertIn(swap, (str(128 << 20), str(64 << 20), None))
        cid = self.sleeper("-m", "64m", "--memory-swap", "64m", "--memory-reservation", "32m")
        self.assertEqual(self.knob(cid, "reservation"), str(32 << 20))

    def test_out_of_memory_is_told(self):
        cid = self.detached("-m", "32m", "--memory-swap", "32m", "busybox", "sh", "-c", "exec tail /dev/zero")
        self.assertEqual(self.coffer("wait", cid, timeout=60).word, "137")
        state = self.inspect(cid)["State"]
        self.assertTrue(state["OOMKilled"], state)
        self.assertEqual(self.sh("echo still here").word, "still here")

    def test_tmpfs_is_charged_to_the_container(self):
        r = self.sh("dd if=/dev/zero of=/dev/shm/x bs=1M count=60; echo end", "-m", "32m", "--memory-swap", "32m", check=False)
        self.assertNotIn("60+0 records out", r.err)

    def test_cpus(self):
        cid = self.sleeper("--cpus", "0.5")
        quota, period = self.knob(cid, "quota"), self.knob(cid, "period")
        if " " in quota:
            self.assertEqual(quota, "50000 100000")
        else:
            self.assertEqual(int(quota) / int(period), 0.5)
        cid = self.sleeper("--cpu-quota", "20000", "--cpu-period", "50000")
        self.assertIn(self.knob(cid, "quota"), ("20000", "20000 50000"))

    def test_cpus_is_felt(self):
        start = time.monotonic()
        cid = self.detached("--cpus", "0.2", "busybox", "sh", "-c", "while :; do :; done")
        pid = self.pid(cid)
        time.sleep(2)
        with open(f"/proc/{pid}/stat") as f:
            ticks = sum(int(x) for x in f.read().rsplit(")", 1)[1].split()[11:13])
        used = ticks / os.sysconf("SC_CLK_TCK") / (time.monotonic() - start)
        self.assertLess(used, 0.35)

    def test_shares_and_cpuset(self):
        cid = self.sleeper("--cpu-shares", "512", "--cpuset-cpus", "0")
        self.assertIn(self.knob(cid, "shares"), ("512", "59"))
        self.assertEqual(self.knob(cid, "cpus"), "0")
        self.assertEqual(proc_status(self.pid(cid))["Cpus_allowed_list"], "0")
        self.assertEqual(self.coffer("exec", cid, "nproc").word, "1")

    def test_devices(self):
        allowed = self.knob(self.sleeper(), "devices")
        if allowed is None:
            return  # v2: the list is a program; test_flags tries the devices themselves
        self.assertNotIn("a *:*", allowed)
        for rule in allowed.splitlines():
            self.assertRegex(rule, r"^c (1:[35789]|5:[012]|136:\*) [rwm]+$")

    def test_bad_values_are_refused(self):
        for flag, value in (("--memory", "lots"), ("--memory", "-5"), ("--memory", "100"), ("--cpus", "-1"), ("--cpus", "nan"), ("--cpus", "1e9"), ("--pids-limit", "x"), ("--cpu-shares", "-2"), ("--cpuset-cpus", "a"), ("--memory-swap", "-7"),
                            ("--cpu-quota", "10")):
            self.assertRefused("run", "--network", "none", f"{flag}={value}", "busybox", "true", words=[])
        self.assertRefused("run", "--network", "none", "-m", "64m", "--memory-swap", "32m", "busybox", "true", words=["memory"])
        self.assertRefused("run", "--network", "none", "--cpus", "1", "--cpu-quota", "1000", "busybox", "true", words=["cpu"])

    def test_cgroupfs_inside_is_read_only_and_its_own(self):
        """CVE-2022-0492, CVE-2023-25809."""
        r = self.sh("find /sys/fs/cgroup -name release_agent; find /sys/fs/cgroup -maxdepth 2 -type f | while read f; do echo 1 2>/dev/null >$f && echo WROTE $f; done; mkdir /sys/fs/cgroup/x /sys/fs/cgroup/*/x; cat /proc/self/cgroup", check=False)
        self.assertNotIn("WROTE", r.out)
        self.assertNotIn("release_agent", r.out)
        for line in r.lines:
            if line.count(":") >= 2:
                path = line.split(":", 2)[2]
                self.assertIn("/", path)
                self.assertNotRegex(path, "[0-9a-f]{64}", "the host's cgroup path shows inside")

    def test_removed_with_the_container(self):
        cid = self.sleeper("-m", "64m")
        paths = [f"/sys/fs/cgroup/{c}{p}" for c, p in membership(self.pid(cid)).items() if cid in p]
        self.assertTrue(paths and all(os.path.isdir(p) for p in paths), paths)
        self.coffer("kill", cid)
        self.coffer("wait", cid)
        self.assertTrue(wait_until(lambda: not any(os.path.isdir(p) for p in paths), 5), "cgroups outlive the process")


if __name__ == "__main__":
    unittest.main()
