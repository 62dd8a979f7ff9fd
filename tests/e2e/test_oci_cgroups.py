# SPDX-License-Identifier: Apache-2.0
"""coffer-oci and cgroups: where a container's are, what of linux.resources gets into their files, what is refused, and what is done to them later.

Runs on v1, v2 and both at once: each limit is looked for where this host has its controller.
"""

import json
import os
import subprocess
import unittest

import coffer
import oci

VM = True


def mounts():
    """{controller or "v2": mount point}"""
    found = {}
    for line in coffer.read_text("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            found.setdefault("v2", left.split()[4])
        elif kind == "cgroup":
            for word in options.split(","):
                found.setdefault(word, left.split()[4])
    return found


def v2_controllers():
    return coffer.read_text(os.path.join(mounts()["v2"], "cgroup.controllers")).split() if "v2" in mounts() else []


def version(controller):
    return 1 if controller in mounts() else 2 if {"blkio": "io"}.get(controller, controller) in v2_controllers() else 0


def paths_of(pid):
    """{controller or "v2": path below its root}"""
    found = {}
    for line in coffer.read_text(f"/proc/{pid}/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(",") if names else ["v2"]:
            found[name] = path
    return found


def directory(pid, controller):
    key = controller if version(controller) == 1 else "v2"
    return mounts()[key] + paths_of(pid)[key]


def knob(pid, controller, v1, v2):
    name = v1 if version(controller) == 1 else v2
    return coffer.read_text(os.path.join(directory(pid, controller), name)).strip()


def resources(**what):
    c = oci.config("sleep", "1000")
    c["linux"]["resources"].update(what)
    return c


class Paths(oci.OciTest):
    def test_every_hierarchy_of_the_host(self):
        name = self.running()
        state = self.state_of(name)
        path = json.loads(coffer.read_text(os.path.join(state["bundle"], "config.json")))["linux"]["cgroupsPath"]
        have = paths_of(state["pid"])
        unified = not any(c in mounts() for c in ("pids", "memory", "cpu"))
        for key in mounts():
            if key in have and (key != "v2" or unified):
                self.assertEqual(have[key], path, key)

    def test_nested_absolute(self):
        c = oci.config("sleep", "1000")
        c["linux"]["cgroupsPath"] = f"//{self.word}.deep/a/b//c/"
        self.addCleanup(self.remove_parents, f"{self.word}.deep")  # those are no container's
        pid = self.state_of(self.running(c))["pid"]
        self.assertEqual(paths_of(pid)["pids" if version("pids") == 1 else "v2"], f"/{self.word}.deep/a/b/c")

    def remove_parents(self, name):
        for root in set(mounts().values()):
            for sub in ("/a/b/c", "/a/b", "/a", ""):
                try:
                    os.rmdir(f"{root}/{name}{sub}")
                except OSError:
                    pass

    def test_relative_is_seen_from_the_caller(self):
        c = oci.config("sleep", "1000")
        c["linux"]["cgroupsPath"] = f"{self.word}.rel"
        pid = self.state_of(self.running(c))["pid"]
        own, has = paths_of("self"), paths_of(pid)
        for key in ("pids", "memory", "cpu", "devices"):
            if key in mounts():
                self.assertEqual(has[key], f"{own[key].rstrip('/')}/{self.word}.rel", key)
        if version("pids") == 2:  # beside the caller: its own cgroup has processes
            self.assertEqual(has["v2"], f"{os.path.dirname(own['v2']).rstrip('/')}/{self.word}.rel")

    def test_without_a_path_by_id(self):
        name = self.name()
        c = oci.config("sleep", "1000")
        c["linux"]["cgroupsPath"] = ""
        folder = self.bundle(c)
        with open(os.path.join(folder, "out"), "w") as out:
            self.assertEqual(subprocess.run([self.program, "--root", self.state, "run", "-d", "-b", folder, name], stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode, 0)
        self.addCleanup(self.oci, "delete", "--force", name)
        self.assertEqual(paths_of(self.state_of(name)["pid"])["pids" if version("pids") == 1 else "v2"], f"/coffer-oci-{name}")
        self.oci("delete", "--force", name)
        self.assertEqual(oci.cgroups_of(f"coffer-oci-{name}"), set())

    def test_bad_paths_are_refused(self):
        if os.environ.get("COFFER_TEST_RUNTIME"):
            self.fail("not with another runtime: runc takes '/' and removes what is empty on the whole host afterwards")
        for path in ("/", "/..", "../x", "/a/../../b", "/a/./b", "/" + "x" * 300, "/" + "y/" * 300):
            c = oci.config("true")
            c["linux"]["cgroupsPath"] = path
            r = self.run_document(c, check=False)
            self.assertNotEqual(r.code, 0, path)
            self.assertIn("linux.cgroupsPath", r.err)

    def test_somebody_elses_processes_are_left_alone(self):
        path = f"/{self.word}.taken"
        c = oci.config("sleep", "1000")
        c["linux"]["cgroupsPath"] = path
        pid = self.state_of(self.running(c))["pid"]
        other = oci.config("true")
        other["linux"]["cgroupsPath"] = path
        r = self.run_document(other, check=False)
        self.assertNotEqual(r.code, 0)
        self.assertIn("has processes in it already", r.err)
        self.assertTrue(coffer.pid_exists(pid))

    def test_an_empty_cgroup_is_joined_and_taken_away(self):
        path = f"{self.word}.empty"
        root = mounts()["pids" if version("pids") == 1 else "v2"]
        os.mkdir(f"{root}/{path}")
        c = oci.shell("cat /proc/self/cgroup")
        c["linux"]["cgroupsPath"] = f"/{path}"
        self.assertIn(f"/{path}\n", self.run_document(c).out)
        self.assertFalse(os.path.exists(f"{root}/{path}"))

    def test_a_failed_start_takes_its_cgroups_away(self):
        c = oci.config("/no/such/program")
        folder = self.bundle(c)
        self.assertNotEqual(self.oci("run", "-b", folder, self.name(), check=False).code, 0)
        self.assertEqual(oci.cgroups_of(os.path.basename(folder)), set())
        c = resources(cpu={"cpus": "none-of-these"})
        folder = self.bundle(c)
        r = self.oci("run", "-b", folder, self.name(), check=False)
        self.assertIn("linux.resources.cpu.cpus", r.err)
        self.assertEqual(oci.cgroups_of(os.path.basename(folder)), set())


class Limits(oci.OciTest):
    def check(self, what, *rows):
        """Start a container with resources @what; each row is (controller, v1 file, v1 value, v2 file, v2 value)."""
        pid = self.state_of(self.running(resources(**what)))["pid"]
        for controller, v1, value1, v2, value2 in rows:
            self.assertEqual(knob(pid, controller, v1, v2), value1 if version(controller) == 1 else value2, (controller, v1, v2))

    def test_memory(self):
        self.check({"memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20}},
                   ("memory", "memory.limit_in_bytes", str(64 << 20), "memory.max", str(64 << 20)),
                   ("memory", "memory.memsw.limit_in_bytes", str(96 << 20), "memory.swap.max", str(32 << 20)),
                   ("memory", "memory.soft_limit_in_bytes", str(32 << 20), "memory.low", str(32 << 20)))

    def test_memory_without_swap(self):
        self.check({"memory": {"limit": 64 << 20, "swap": 64 << 20}}, ("memory", "memory.memsw.limit_in_bytes", str(64 << 20), "memory.swap.max", "0"))

    def test_unlimited_is_said_as_such(self):
        self.check({"memory": {"limit": -1, "swap": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1}},
                   ("pids", "pids.max", "max", "pids.max", "max"), ("cpu", "cpu.cfs_quota_us", "-1", "cpu.max", "max 100000"))

    def test_zero_is_not_asked(self):
        self.check({"memory": {"limit": 0, "swap": 0}, "cpu": {"shares": 0, "quota": 0, "period": 0}},
                   ("cpu", "cpu.shares", "1024", "cpu.weight", "100"), ("cpu", "cpu.cfs_quota_us", "-1", "cpu.max", "max 100000"))

    def test_cpu(self):
        self.check({"cpu": {"shares": 512, "quota": 40000, "period": 50000, "burst": 20000, "cpus": "0", "mems": "0"}},
                   ("cpu", "cpu.shares", "512", "cpu.weight", "59"), ("cpu", "cpu.cfs_quota_us", "40000", "cpu.max", "40000 50000"),
                   ("cpu", "cpu.cfs_period_us", "50000", "cpu.max", "40000 50000"), ("cpu", "cpu.cfs_burst_us", "20000", "cpu.max.burst", "20000"),
                   ("cpuset", "cpuset.cpus", "0", "cpuset.cpus", "0"), ("cpuset", "cpuset.mems", "0", "cpuset.mems", "0"))

    def test_idle(self):
        self.check({"cpu": {"shares": 512, "idle": 1}}, ("cpu", "cpu.idle", "1", "cpu.idle", "1"))

    def test_pids_in_force(self):
        c = oci.shell("for i in 1 2 3 4 5 6; do sleep 1000 & done; wait")
        c["linux"]["resources"]["pids"] = {"limit": 4}
        r = self.run_document(c, check=False)
        self.assertIn("can't fork", r.err)

    def test_throttle(self):
        device = next((d for d in os.listdir("/sys/block") if not d.startswith(("loop", "ram", "zram"))), None)
        self.assertIsNotNone(device)
        major, minor = map(int, coffer.read_text(f"/sys/block/{device}/dev").split(":"))
        at = {"major": major, "minor": minor}
        what = {"throttleReadBpsDevice": [dict(at, rate=1048576)], "throttleWriteBpsDevice": [dict(at, rate=2097152)],
                "throttleReadIOPSDevice": [dict(at, rate=100)], "throttleWriteIOPSDevice": [dict(at, rate=200)]}
        pid = self.state_of(self.running(resources(blockIO=what)))["pid"]
        if version("blkio") == 2:
            self.assertEqual(knob(pid, "blkio", "", "io.max"), f"{major}:{minor} rbps=1048576 wbps=2097152 riops=100 wiops=200")
        else:
            for name, value in (("read_bps", 1048576), ("write_bps", 2097152), ("read_iops", 100), ("write_iops", 200)):
                self.assertEqual(knob(pid, "blkio", f"blkio.throttle.{name}_device", ""), f"{major}:{minor} {value}")

    def test_hugepages(self):
        sizes = [int(d.split("-")[1][:-2]) for d in os.listdir("/sys/kernel/mm/hugepages")]
        size = min(sizes) * 1024
        name = f"{size >> 20}MB" if size >= 1 << 20 else f"{size >> 10}KB"
        pid = self.state_of(self.running(resources(hugepageLimits=[{"pageSize": name, "limit": 4 * size}])))["pid"]
        self.assertEqual(knob(pid, "hugetlb", f"hugetlb.{name}.limit_in_bytes", f"hugetlb.{name}.max"), str(4 * size))
        self.assertEqual(knob(pid, "hugetlb", f"hugetlb.{name}.rsvd.limit_in_bytes", f"hugetlb.{name}.rsvd.max"), str(4 * size))

    def test_unified(self):
        what = {"memory.high": str(128 << 20), "cpu.weight": "42"} if version("memory") == 2 else {"hugetlb.2MB.max": str(8 << 20)}
        pid = self.state_of(self.running(resources(unified=what)))["pid"]
        for name, value in what.items():
            self.assertEqual(coffer.read_text(mounts()["v2"] + paths_of(pid)["v2"] + "/" + name).strip(), value)

    def refused(self, what, *words):
        r = self.run_document(resources(**what), check=False)
        self.assertNotEqual(r.code, 0)
        for word in words:
            self.assertIn(word, r.err)

    def test_what_cannot_be_is_refused_by_name(self):
        self.refused({"unified": {"../cgroup.procs": "1"}}, "linux.resources.unified", "../cgroup.procs")
        self.refused({"unified": {"nosuch.max": "1"}}, "linux.resources.unified", "nosuch")
        self.refused({"memory": {"kernel": 1 << 20}}, "linux.resources.memory.kernel")
        self.refused({"memory": {"swappiness": 200}}, "linux.resources.memory.swappiness")
        self.refused({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, "linux.resources.hugepageLimits")
        self.refused({"hugepageLimits": [{"pageSize": "../x", "limit": 1}]}, "linux.resources.hugepageLimits")
        self.refused({"blockIO": {"weight": 1}}, "linux.resources.blockIO.weight")
        if version("memory") == 2:
            self.refused({"memory": {"swap": 1 << 30}}, "linux.resources.memory.swap")
            self.refused({"memory": {"limit": 2 << 20, "swap": 1 << 20}}, "linux.resources.memory.swap")
            self.refused({"memory": {"swappiness": 10}}, "linux.resources.memory.swappiness", "v2")
            self.refused({"memory": {"disableOOMKiller": True}}, "linux.resources.memory.disableOOMKiller", "v2")
            self.refused({"cpu": {"realtimeRuntime": 1000}}, "linux.resources.cpu.realtimeRuntime", "v2")
            self.refused({"network": {"classID": 5}}, "linux.resources.network.classID")
        else:
            self.refused({"rdma": {"x": {"hcaHandles": 1}}}, "linux.resources.rdma")
            self.refused({"network": {"priorities": [{"name": "lo", "priority": 1}]}}, "linux.resources.network.priorities")

    def test_memory_of_v1(self):
        if version("memory") == 2:
            return self.refused({"memory": {"kernelTCP": 1 << 20}}, "linux.resources.memory.kernelTCP")
        pid = self.state_of(self.running(resources(memory={"swappiness": 10, "disableOOMKiller": True, "useHierarchy": True, "limit": 32 << 20})))["pid"]
        self.assertEqual(knob(pid, "memory", "memory.swappiness", ""), "10")
        self.assertIn("oom_kill_disable 1", knob(pid, "memory", "memory.oom_control", ""))


class Devices(oci.OciTest):
    CAPS = {k: oci.CAPS + ["CAP_MKNOD"] for k in ("bounding", "effective", "permitted")}
    PROBE = """cd /dev; mknod k c 1 11; mknod n c 1 3; mknod f c 10 229; mknod b b 7 200
        t() { if (eval "$2") 2>/dev/null; then echo $1; fi; }
        t fuse-read ': <f'; t fuse-write ': >f'; t null ': >n'; t zero ': <zero'; t kmsg ': >k'; t made 'test -c k'"""

    def probe(self, rules, prefix=()):
        c = oci.shell(self.PROBE, capabilities=self.CAPS)
        c["linux"]["resources"]["devices"] = rules
        folder = self.bundle(c)
        argv = [*prefix, self.program, "--root", self.state, "run", "-b", folder, self.name()]
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(r.returncode, 0, r.stderr)
        return set(r.stdout.split())

    NONE = {"allow": False, "access": "rwm"}
    ALWAYS = {"null", "zero", "made"}  # and every node may be made

    def all_shapes(self, prefix=()):
        self.assertEqual(self.probe([self.NONE], prefix), self.ALWAYS)
        self.assertEqual(self.probe([self.NONE, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "r"}], prefix), self.ALWAYS | {"fuse-read"})
        self.assertEqual(self.probe([self.NONE, {"allow": True, "type": "c", "major": 10, "minor": 229}], prefix), self.ALWAYS | {"fuse-read", "fuse-write"})
        # taken back
        self.assertEqual(self.probe([self.NONE, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
                                     {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "w"}], prefix), self.ALWAYS | {"fuse-read"})
        # refused is where a list starts, whether or not it says so; and what stands before "everything" is past
        self.assertEqual(self.probe([{"allow": True, "type": "c", "major": 10, "minor": 229, "access": "w"}], prefix), self.ALWAYS | {"fuse-write"})
        self.assertEqual(self.probe([{"allow": True, "type": "c", "major": 10, "minor": 229, "access": "w"}, self.NONE], prefix), self.ALWAYS)
        # a list that starts from everything
        self.assertIn("fuse-write", self.probe([{"allow": True, "access": "rwm"}, {"allow": False, "type": "b", "access": "rwm"}], prefix))
        self.assertEqual(self.probe([{"allow": True, "access": "rwm"}, {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "w"}], prefix) & {"fuse-read", "fuse-write"}, {"fuse-read"})

    def test_as_this_host_does_it(self):
        self.all_shapes()

    def hidden(self):
        """A prefix under which the host has no v1 devices hierarchy: the filter is a program then."""
        return () if "devices" not in mounts() else ("unshare", "--mount", "--propagation", "private", "sh", "-c", f"umount {mounts()['devices']} && exec \"$@\"", "sh")

    def test_as_a_program(self):
        self.assertIn("v2", mounts())
        self.all_shapes(self.hidden())
        # what v1 cannot say
        self.assertEqual(self.probe([self.NONE, {"allow": True, "type": "c", "major": 10, "access": "r"}, {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "r"}],
                                    self.hidden()), self.ALWAYS)

    def test_v1_says_what_it_cannot(self):
        if "devices" not in mounts():
            return self.test_as_a_program()
        c = oci.config("true")
        c["linux"]["resources"]["devices"] = [self.NONE, {"allow": True, "type": "c", "major": 10, "access": "r"}, {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "r"}]
        r = self.run_document(c, check=False)
        self.assertIn("linux.resources.devices", r.err)
        self.assertIn("c 10:229 r", r.err)


class Later(oci.OciTest):
    def test_update(self):
        name = self.running(resources(memory={"limit": 32 << 20, "swap": 32 << 20}, pids={"limit": 10}))
        pid = self.state_of(name)["pid"]
        for limit, swap in ((256 << 20, 512 << 20), (64 << 20, 64 << 20), (1 << 30, -1), (128 << 20, 256 << 20)):
            self.oci("update", "-r", "-", name, input=json.dumps({"memory": {"limit": limit, "swap": swap}}))
            self.assertEqual(knob(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(limit))
            if swap > 0:
                self.assertEqual(knob(pid, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"), str(swap if version("memory") == 1 else swap - limit))
        self.assertEqual(knob(pid, "pids", "pids.max", "pids.max"), "10")
        self.oci("update", "-r", "-", name, input=json.dumps({"pids": {"limit": 20}, "cpu": {"quota": 30000}}))
        self.oci("update", "-r", "-", name, input=json.dumps({"cpu": {"period": 60000}}))
        self.assertEqual(knob(pid, "pids", "pids.max", "pids.max"), "20")
        self.assertEqual(knob(pid, "cpu", "cpu.cfs_quota_us", "cpu.max"), "30000" if version("cpu") == 1 else "30000 60000")

    def test_update_below_use_is_refused_when_asked(self):
        name = self.running(resources(memory={"limit": 64 << 20}))
        pid = self.state_of(name)["pid"]
        r = self.oci("update", "-r", "-", name, input=json.dumps({"memory": {"limit": 4096, "checkBeforeUpdate": True}}), check=False)
        self.assertNotEqual(r.code, 0)
        self.assertIn("checkBeforeUpdate", r.err)
        self.assertEqual(knob(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(64 << 20))

    def test_pause(self):
        name = self.running(oci.shell("i=0; while :; do i=$((i+1)); echo $i >/tmp/n; done"))
        pid = self.state_of(name)["pid"]
        ticks = lambda: int(coffer.read_text(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[11])
        self.assertTrue(coffer.wait_until(lambda: ticks() > 0 or None, 20))
        self.oci("pause", name)
        self.assertEqual(self.state_of(name)["status"], "paused")
        before = ticks()
        self.assertFalse(coffer.wait_until(lambda: ticks() != before, 0.3))
        self.oci("resume", name)
        self.assertEqual(self.state_of(name)["status"], "running")
        self.assertTrue(coffer.wait_until(lambda: ticks() > before, 20))
        self.oci("pause", name)
        self.oci("delete", "--force", name)

    def test_exec_is_in_the_same_cgroups(self):
        name = self.running()
        state = self.state_of(name)
        inside = self.oci("exec", name, "cat", "/proc/self/cgroup").out
        self.assertEqual(inside, coffer.read_text(f"/proc/{state['pid']}/cgroup"))
        c = oci.config("sleep", "1000")
        c["linux"]["namespaces"].append({"type": "cgroup"})
        name = self.running(c)
        self.assertEqual({line.split(":", 2)[2] for line in self.oci("exec", name, "cat", "/proc/self/cgroup").out.split()}, {"/"})

    def test_exec_beside_controllers(self):
        """A container that gives its own children controllers (systemd, docker in docker) takes no process into its own cgroup on v2."""
        name = self.running()
        pid = self.state_of(name)["pid"]
        if version("pids") == 1:
            own = directory(pid, "pids")
            os.mkdir(f"{own}/inner")
            with open(f"{own}/inner/cgroup.procs", "w") as f:
                f.write(str(pid))
            self.assertIn(os.path.relpath(own, mounts()["pids"]), self.oci("exec", name, "cat", "/proc/self/cgroup").out)
            self.assertIn(str(pid), self.oci("ps", "-f", "json", name).out)
            return
        own = directory(pid, "pids")
        os.mkdir(f"{own}/inner")
        with open(f"{own}/inner/cgroup.procs", "w") as f:
            f.write(str(pid))
        with open(f"{own}/cgroup.subtree_control", "w") as f:
            f.write("+pids")
        self.assertIn("/inner\n", self.oci("exec", name, "cat", "/proc/self/cgroup").out)
        self.assertIn(str(pid), self.oci("ps", "-f", "json", name).out)

    def test_stats(self):
        name = self.running(resources(memory={"limit": 64 << 20}, pids={"limit": 9}))
        s = json.loads(self.oci("events", "--stats", name).out)["data"]
        self.assertEqual(s["pids"]["limit"], 9)
        self.assertEqual(s["pids"]["current"], 1)
        self.assertEqual(s["memory"]["usage"]["limit"], 64 << 20)
        self.assertGreater(s["memory"]["usage"]["usage"], 0)
        self.assertGreater(s["cpu"]["usage"]["total"], 0)
        self.assertGreater(len(s["memory"]["raw"]), 10)


class Without(oci.OciTest):
    """A host without cgroups: a private mount namespace that shows none."""

    HIDE = ("unshare", "--mount", "--propagation", "private", "sh", "-c", "umount -R /sys/fs/cgroup && exec \"$@\"", "sh")

    def run_hidden(self, document):
        argv = [*self.HIDE, self.program, "--root", self.state, "run", "-b", self.bundle(document), self.name()]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def test_goes_on_when_nothing_was_asked(self):
        c = oci.config("echo", "here")
        c["linux"]["resources"] = {}
        r = self.run_hidden(c)
        self.assertEqual((r.returncode, r.stdout), (0, "here\n"), r.stderr)

    def test_says_what_cannot_be(self):
        c = oci.config("true")
        c["linux"]["resources"] = {"pids": {"limit": 5}}
        r = self.run_hidden(c)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("linux.resources.pids.limit", r.stderr)
        c["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
        r = self.run_hidden(c)
        self.assertIn("linux.resources.devices", r.stderr)

    def test_a_user_without_delegation(self):
        """Root of a user namespace: no cgroup is writable. Nothing asked: without; something asked: an error that names it."""
        def run(limits):
            c = oci.config("echo", "here")
            c["linux"]["resources"] = limits
            c["linux"]["namespaces"].append({"type": "user"})
            c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
            c["mounts"] = [m for m in c["mounts"] if m["destination"] not in ("/sys", "/dev/pts")]
            folder, root = self.bundle(c), os.path.join(self.scratch, "user-state")
            os.chmod(folder, 0o755)
            os.makedirs(root, exist_ok=True)
            os.chown(root, 65534, 65534)
            argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "--user", "--map-root-user", self.program, "--root", root, "run", "-b", folder, self.name()]
            return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        r = run({"devices": [{"allow": False, "access": "rwm"}]})
        self.assertEqual((r.returncode, r.stdout), (0, "here\n"), r.stderr)
        r = run({"memory": {"limit": 64 << 20}})
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("linux.resources.memory.limit", r.stderr)


if __name__ == "__main__":
    unittest.main()
