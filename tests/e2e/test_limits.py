# SPDX-License-Identifier: Apache-2.0
"""cgroup limits: written as asked, read back from the kernel's files, and felt inside."""

import os
import re
import stat
import time
import unittest

from coffer import CofferTest, proc_status, read_text, wait_until

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
    "swappiness": ("memory.swappiness", None),
    "oom": ("memory.oom_control", None),
    "bfq": ("blkio.bfq.weight", "io.bfq.weight"),
    "weight": ("blkio.weight", "io.weight"),
    "bfq-device": ("blkio.bfq.weight_device", "io.bfq.weight"),
    "weight-device": ("blkio.weight_device", "io.weight"),
    "rbps": ("blkio.throttle.read_bps_device", "io.max"),
    "wbps": ("blkio.throttle.write_bps_device", "io.max"),
    "riops": ("blkio.throttle.read_iops_device", "io.max"),
    "wiops": ("blkio.throttle.write_iops_device", "io.max"),
}
CONTROLLER = {"swappiness": "memory", "oom": "memory", **{k: "blkio" for k in ("bfq", "weight", "bfq-device", "weight-device", "rbps", "wbps", "riops", "wiops")},
              "swap": "memory", "reservation": "memory", "quota": "cpu", "period": "cpu", "shares": "cpu", "cpus": "cpuset"}


def membership(pid):
    """{controller: path} of a process; "" is v2."""
    paths = {}
    with open(f"/proc/{pid}/cgroup") as f:
        for line in f:
            _, names, path = line.rstrip("\n").split(":", 2)
            for name in names.split(","):
                paths[name] = path
    return paths


class LimitsTest(CofferTest):
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


class Limits(LimitsTest):
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


class Knobs(LimitsTest):
    """What not every kernel has: in force, or left out with docker's warning."""

    def warned(self, *flags):
        """Run `sleep` with @flags. Return: (id, what was said)."""
        r = self.coffer("run", "-d", "--network", "none", *flags, "busybox", "sleep", "1000")
        self.addCleanup(self.coffer, "rm", "-f", r.word)
        return r.word, r.err

    def test_swappiness(self):
        cid, said = self.warned("--memory-swappiness", "30")
        value = self.knob(cid, "swappiness")
        if value is None:
            self.assertIn("Your kernel does not support memory swappiness", said)
            self.assertIsNone(self.inspect(cid)["HostConfig"]["MemorySwappiness"])
            return
        self.assertEqual((value, said), ("30", ""))
        self.coffer("update", "--memory-swappiness", "0", cid)
        self.assertEqual((self.knob(cid, "swappiness"), self.inspect(cid)["HostConfig"]["MemorySwappiness"]), ("0", 0))
        for value in ("101", "-2", "x"):
            self.assertRefused("run", "--network", "none", f"--memory-swappiness={value}", "busybox", "true", words=["memory-swappiness"])

    def test_oom_kill_disable(self):
        self.assertRefused("run", "--network", "none", "--oom-kill-disable", "busybox", "true", words=["OomKillDisable", "--memory"])
        cid, said = self.warned("--oom-kill-disable", "-m", "64m")
        control = self.knob(cid, "oom")
        if control is None:
            self.assertIn("Your kernel does not support OomKillDisable", said)
        else:
            self.assertIn("oom_kill_disable 1", control)
        self.assertEqual(self.inspect(cid)["HostConfig"]["OomKillDisable"], control is not None)

    def test_oom_score_adj(self):
        cid = self.sleeper("--oom-score-adj", "321")
        self.assertEqual(read_text(f"/proc/{self.pid(cid)}/oom_score_adj").strip(), "321")
        self.assertRefused("run", "--network", "none", "--oom-score-adj", "-1", "busybox", "true", words=["OomScoreAdj", "allow-host-oom-score"])
        for value in ("1001", "-1001", "x"):
            self.assertRefused("run", "--network", "none", f"--oom-score-adj={value}", "busybox", "true", words=["oom"])

    def test_cgroup_parent(self):
        cid = self.sleeper("--cgroup-parent", "/team/a")
        ours = [path for path in membership(self.pid(cid)).values() if cid in path]
        self.assertTrue(ours)
        self.assertTrue(all(path == f"/coffer/local/team/a/{cid}" for path in ours), ours)
        self.assertEqual(self.inspect(cid)["HostConfig"]["CgroupParent"], "/team/a")
        self.assertEqual(self.coffer("exec", cid, "sh", "-c", "echo in").word, "in")
        self.coffer("pause", cid)
        self.assertRefused("rm", cid, words=["paused"], code=1)
        self.coffer("unpause", cid)
        for value in ("../x", "a/../../x", ".", "/", "a b", "x" * 90, "a/" + "0" * 64):
            self.assertRefused("run", "--network", "none", "--cgroup-parent", value, "busybox", "true", words=["CgroupParent"])

    def test_device_cgroup_rule(self):
        cid = self.sleeper("--device-cgroup-rule", "c 42:7 rw", "--device-cgroup-rule", "b *:3 r")
        allowed = self.knob(cid, "devices")
        if allowed is not None:
            self.assertIn("c 42:7 rw", allowed.splitlines())
            self.assertIn("b *:3 r", allowed.splitlines())
        self.assertEqual(self.inspect(cid)["HostConfig"]["DeviceCgroupRules"], ["c 42:7 rw", "b *:3 r"])
        devices = next(x for x in self.coffer("posture", "--format", "json", cid).json()["Layers"] if x["Layer"] == "devices")
        if allowed is not None:
            self.assertEqual((devices["State"], devices["By"]), ("weakened", "--device-cgroup-rule"))
        for rule in ("c 42:7", "x 1:1 r", "c 1:1 z", "c 1 1 r", ""):
            self.assertRefused("run", "--network", "none", "--device-cgroup-rule", rule, "busybox", "true", words=["DeviceCgroupRules"])

    def test_realtime(self):
        r = self.coffer("run", "--rm", "--network", "none", "--cpu-rt-runtime", "1000", "--cpu-rt-period", "100000", "busybox", "true", check=False)
        if r.code:  # no such scheduler, or nothing handed down to coffer/ for containers
            self.assertRegex(r.err, "CpuRealtimeRuntime|realtimeRuntime")
        self.assertRefused("run", "--network", "none", "--cpu-rt-runtime", "200", "--cpu-rt-period", "100", "busybox", "true", words=["CpuRealtimeRuntime"])

    def test_what_is_not_there_is_refused_by_name(self):
        for flags, word in ((["--storage-opt", "size=1G"], "StorageOpt"), (["--gpus", "all"], "gpus"), (["--isolation", "hyperv"], "isolation"), (["--platform", "linux/riscv64"], "platform")):
            self.assertRefused("run", "--network", "none", *flags, "busybox", "true", words=[word])


class BlockIO(LimitsTest):
    """A disk of this host by a node of the test's own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        disks = [d for d in sorted(os.listdir("/sys/block")) if not d.startswith("zram")]
        cls.numbers = read_text(f"/sys/block/{disks[0]}/dev").strip()
        cls.node = os.path.join(cls.scratch, "disk")
        os.mknod(cls.node, 0o600 | stat.S_IFBLK, os.makedev(*map(int, cls.numbers.split(":"))))

    def limit(self, cid, what):
        """The number behind the test's disk in @cid's file of @what; None: no such file."""
        text = self.knob(cid, what)
        if text is None:
            return None
        line = next((x for x in text.splitlines() if x.split()[0] == self.numbers), "")
        keyed = re.search(rf"\b{what}=(\w+)", line)
        return keyed.group(1) if keyed else line.split()[-1] if line else ""

    def test_throttles(self):
        flags = [f for what, value in (("read-bps", "1mb"), ("write-bps", "2097152"), ("read-iops", "100"), ("write-iops", "200")) for f in (f"--device-{what}", f"{self.node}:{value}")]
        cid = self.coffer("run", "-d", "--network", "none", *flags, "busybox", "sleep", "1000").word
        self.addCleanup(self.coffer, "rm", "-f", cid)
        want = {"rbps": "1048576", "wbps": "2097152", "riops": "100", "wiops": "200"}
        host = self.inspect(cid)["HostConfig"]
        if self.limit(cid, "rbps") is None:
            self.assertEqual(host["BlkioDeviceReadBps"], [])
            return
        self.assertEqual({k: self.limit(cid, k) for k in want}, want)
        self.assertEqual((host["BlkioDeviceReadBps"], host["BlkioDeviceWriteIOps"]), ([{"Path": self.node, "Rate": 1048576}], [{"Path": self.node, "Rate": 200}]))
        self.coffer("update", "--device-read-bps", f"{self.node}:3mb", "--device-write-iops", f"{self.node}:0", cid)
        self.assertEqual(self.limit(cid, "rbps"), "3145728")
        self.assertIn(self.limit(cid, "wiops"), ("", "max"))

    def test_throttle_is_felt(self):
        """4 MB of direct writes at 2 MB a second."""
        disk = os.stat(self.scratch).st_dev
        found = [d for d in os.listdir("/sys/block") if read_text(f"/sys/block/{d}/dev").strip() == f"{os.major(disk)}:{os.minor(disk)}"]
        if not found:
            return  # the scratch directory is on a partition or on no block device: the files above have told
        node = os.path.join(self.scratch, "own-disk")
        os.mknod(node, 0o600 | stat.S_IFBLK, disk)
        where = os.path.join(self.scratch, "data")
        os.mkdir(where, 0o777)
        os.chmod(where, 0o777)
        start = time.monotonic()
        r = self.run_("--device-write-bps", f"{node}:2mb", "-v", f"{where}:/data", "busybox", "dd", "if=/dev/zero", "of=/data/x", "bs=1M", "count=4", "oflag=direct", check=False)
        if r.code == 0 and "discarded" not in r.err:
            self.assertGreater(time.monotonic() - start, 0.9)

    def test_weights(self):
        cid = self.coffer("run", "-d", "--network", "none", "--blkio-weight", "300", "busybox", "sleep", "1000")
        self.addCleanup(self.coffer, "rm", "-f", cid.word)
        value = self.knob(cid.word, "bfq") or self.knob(cid.word, "weight")
        if value is None:
            self.assertIn("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.", cid.err)
            self.assertEqual(self.inspect(cid.word)["HostConfig"]["BlkioWeight"], 0)
            return
        self.assertRegex(value, r"^(300|default 300|default 2930)\b")
        self.coffer("update", "--blkio-weight", "400", cid.word)
        self.assertIn("40", self.knob(cid.word, "bfq") or "40")

    def test_bad_values(self):
        for flags in (["--blkio-weight", "9"], ["--blkio-weight", "1001"], ["--blkio-weight-device", f"{self.node}:1"], ["--blkio-weight-device", self.node], ["--device-read-bps", "vda:1"], ["--device-read-bps", f"{self.node}:x"],
                      ["--device-read-bps", "/dev/null:1"], ["--device-write-bps", "/no/such:1"], ["--device-read-iops", f"{self.node}:1k"], ["--device-write-iops", f"{self.node}:-1"]):
            self.assertRefused("run", "--network", "none", *flags, "busybox", "true", words=[])


if __name__ == "__main__":
    unittest.main()
