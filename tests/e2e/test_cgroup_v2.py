# SPDX-License-Identifier: Apache-2.0
"""cgroup v2, the whole of it: limits in force and read back, events, OOM kills, exec, systemd's tree beside ours."""

import contextlib
import os
import signal
import subprocess
import time
import unittest

from coffer import CofferTest, children_of, proc_status, read_text, wait_until

VM = True
HOST = False  # few hosts that run `make check` have v2 and systemd; the lane always has

MOUNT = "/sys/fs/cgroup"
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")


def group_of(pid):
    """The one cgroup of a process, as a path on the host."""
    lines = read_text(f"/proc/{pid}/cgroup").splitlines()
    return MOUNT + next(line.split("::", 1)[1] for line in lines if line.startswith("0::"))


def keyed(path):
    """{key: number} of a file such as memory.events."""
    return {k: int(v) for k, v in (line.split() for line in read_text(path).splitlines())}


class CgroupV2(CofferTest):
    @classmethod
    def setUpClass(cls):
        there = set(read_text(f"{MOUNT}/cgroup.controllers").split())
        assert set(CONTROLLERS) <= there, f"this kernel has {there} on v2"
        super().setUpClass()

    def group(self, cid):
        return group_of(self.pid(cid))

    def knob(self, cid, name):
        return read_text(os.path.join(self.group(cid), name)).strip()

    # -- the tree ---------------------------------------------------------------------------------------------------

    def test_one_group_with_every_controller(self):
        cid = self.sleeper()
        group = self.group(cid)
        self.assertTrue(group.endswith("/" + cid), group)
        self.assertLessEqual(set(CONTROLLERS), set(self.knob(cid, "cgroup.controllers").split()))
        self.assertEqual(read_text(f"/proc/{self.pid(cid)}/cgroup").count("\n"), 1, "in one hierarchy, and in one place of it")

    def test_no_process_above_a_container(self):
        """"No internal processes": a group that hands controllers down holds none itself."""
        group = os.path.dirname(self.group(self.sleeper()))
        self.assertNotEqual(group, MOUNT)
        while group != MOUNT:
            self.assertEqual(read_text(f"{group}/cgroup.procs"), "", group)
            self.assertLessEqual(set(CONTROLLERS), set(read_text(f"{group}/cgroup.subtree_control").split()), group)
            group = os.path.dirname(group)

    def test_the_monitor_is_elsewhere(self):
        cid = self.sleeper("-m", "64m")
        self.assertNotIn(cid, group_of(self.monitor_pid(cid)))

    def test_what_a_container_sees(self):
        r = self.sh("cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.controllers; cat /sys/fs/cgroup/pids.max; echo 9 2>/dev/null >/sys/fs/cgroup/pids.max || echo refused; mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused", "--pids-limit", "77")
        lines = r.lines
        self.assertEqual(lines[0], "0::/")
        self.assertIn("pids", lines[1].split())
        self.assertEqual(lines[2:], ["77", "refused", "refused"])

    def test_removed_with_its_container(self):
        cid = self.sleeper()
        group = self.group(cid)
        self.coffer("kill", cid)
        self.coffer("wait", cid)
        self.assertTrue(wait_until(lambda: not os.path.exists(group), 10), "the group outlives its container")

    def test_every_process_goes_with_its_container(self):
        """Sessions of their own do not save a process: the group is killed as a whole."""
        cid = self.detached("busybox", "sh", "-c", "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & wait' & done; sleep 1000")
        group = self.group(cid)
        self.assertTrue(wait_until(lambda: len(read_text(f"{group}/cgroup.procs").split()) >= 7, 15))
        pids = [int(p) for p in read_text(f"{group}/cgroup.procs").split()]
        self.coffer("rm", "-f", cid)
        self.assertTrue(wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 10), pids)

    # -- limits -----------------------------------------------------------------------------------------------------

    def test_defaults(self):
        cid = self.sleeper()
        self.assertEqual([self.knob(cid, k) for k in ("pids.max", "memory.max", "cpu.max", "cpu.weight")], ["2048", "max", "max 100000", "100"])

    def test_pids(self):
        cid = self.sleeper("--pids-limit", "12")
        self.assertEqual(self.knob(cid, "pids.max"), "12")
        before = keyed(self.group(cid) + "/pids.events")["max"]
        r = self.coffer("exec", cid, "sh", "-c", "for i in $(seq 30); do sleep 3 & done; wait", check=False)
        self.assertIn("fork", r.err)
        self.assertGreater(keyed(self.group(cid) + "/pids.events")["max"], before)
        self.assertEqual(self.knob(self.sleeper("--pids-limit", "-1"), "pids.max"), "max")

    def test_memory(self):
        cid = self.sleeper("-m", "64m", "--memory-swap", "96m", "--memory-reservation", "32m")
        self.assertEqual([self.knob(cid, k) for k in ("memory.max", "memory.swap.max", "memory.low")], [str(64 << 20), str(32 << 20), str(32 << 20)])
        cid = self.sleeper("-m", "64m", "--memory-swap", "64m")
        self.assertEqual(self.knob(cid, "memory.swap.max"), "0")
        self.assertEqual(self.knob(self.sleeper("-m", "64m", "--memory-swap", "-1"), "memory.swap.max"), "max")

    def test_an_oom_kill_of_the_command_is_told(self):
        cid = self.detached("-m", "24m", "--memory-swap", "24m", "busybox", "sh", "-c", "exec tail /dev/zero")
        self.assertEqual(self.coffer("wait", cid).word, "137")
        self.assertTrue(self.inspect(cid)["State"]["OOMKilled"])

    def test_an_oom_kill_of_a_child_is_told_and_counted(self):
        cid = self.detached("-m", "24m", "--memory-swap", "24m", "busybox", "sh", "-c", "tail /dev/zero; echo child $?; sleep 100")
        group = self.group(cid)
        self.assertTrue(wait_until(lambda: "child 137" in self.coffer("logs", cid).out, 30))
        events = keyed(group + "/memory.events")
        self.assertGreaterEqual(events["oom_kill"], 1, events)
        self.assertGreater(events["max"], 0, events)
        self.assertEqual(self.status(cid), "running", "the rest of the container goes on")
        self.coffer("kill", cid)
        self.coffer("wait", cid)
        self.assertTrue(self.inspect(cid)["State"]["OOMKilled"])

    def test_no_oom_kill_is_not_told(self):
        cid = self.detached("-m", "64m", "busybox", "sh", "-c", "sleep 100")
        self.coffer("kill", cid)
        self.assertEqual(self.coffer("wait", cid).word, "137")
        self.assertFalse(self.inspect(cid)["State"]["OOMKilled"])

    def test_an_oom_kill_of_an_exec(self):
        cid = self.sleeper("-m", "24m", "--memory-swap", "24m")
        self.assertEqual(self.coffer("exec", cid, "tail", "/dev/zero", check=False).code, 137)
        self.assertGreaterEqual(keyed(self.group(cid) + "/memory.events")["oom_kill"], 1)

    def test_files_in_shm_are_charged(self):
        cid = self.sleeper("-m", "48m", "--memory-swap", "48m")
        self.coffer("exec", cid, "dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=16")
        self.assertGreaterEqual(keyed(self.group(cid) + "/memory.stat")["shmem"], 16 << 20)

    def test_cpu(self):
        cid = self.detached("--cpus", "0.2", "--cpu-shares", "512", "busybox", "sh", "-c", "while :; do :; done")
        self.assertEqual([self.knob(cid, "cpu.max"), self.knob(cid, "cpu.weight")], ["20000 100000", "59"])
        group = self.group(cid)
        self.assertTrue(wait_until(lambda: keyed(group + "/cpu.stat")["nr_throttled"] > 5, 30), "never throttled")
        a, start = keyed(group + "/cpu.stat")["usage_usec"], time.monotonic()
        time.sleep(2)
        used = (keyed(group + "/cpu.stat")["usage_usec"] - a) / 1e6 / (time.monotonic() - start)
        self.assertLess(used, 0.3)
        cid = self.sleeper("--cpu-quota", "20000", "--cpu-period", "50000")
        self.assertEqual(self.knob(cid, "cpu.max"), "20000 50000")

    def test_cpuset(self):
        last = str((os.cpu_count() or 1) - 1)
        cid = self.sleeper("--cpuset-cpus", last, "--cpuset-mems", "0")
        self.assertEqual([self.knob(cid, k) for k in ("cpuset.cpus", "cpuset.cpus.effective", "cpuset.mems")], [last, last, "0"])
        self.assertEqual(proc_status(self.pid(cid))["Cpus_allowed_list"], last)
        self.assertEqual(self.coffer("exec", cid, "nproc").word, "1")

    # -- exec -------------------------------------------------------------------------------------------------------

    def test_exec_joins(self):
        cid = self.sleeper("--pids-limit", "20")
        group, before = self.group(cid), children_of(self.monitor_pid(cid))
        run = self.popen("exec", cid, "sleep", "100")

        def entered():
            """The exec'ed process: a new child of the monitor that runs the command. Its creator is one for a moment, and gone."""
            for pid in children_of(self.monitor_pid(cid)):
                with contextlib.suppress(OSError):
                    if pid not in before and "sleep" in read_text(f"/proc/{pid}/cmdline"):
                        return pid
            return None
        self.assertTrue(wait_until(entered, 15))
        pid = entered()
        self.assertEqual(group_of(pid), group)
        self.assertIn(str(pid), read_text(f"{group}/cgroup.procs").split())
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(run.wait(20), 137)


class UnderSystemd(CofferTest):
    """systemd writes the same tree: neither undoes the other's work."""

    def service(self, *words, properties=()):
        """Run coffer in a transient unit. Return: what it printed on stdout."""
        argv = ["systemd-run", "--quiet", "--collect", "--wait", "--pipe", *(f"--property={p}" for p in properties), *(f"--setenv={k}={v}" for k, v in self.env.items()), *self.command, *words]
        p = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout

    def test_limits_survive_a_reload_of_systemd(self):
        """systemd takes controllers away that none of its units needs."""
        cid = self.sleeper("-m", "64m", "--cpus", "0.5", "--cpuset-cpus", "0", "--pids-limit", "50")
        group = group_of(self.pid(cid))

        def knobs():
            return [read_text(f"{group}/{k}").strip() for k in ("memory.max", "cpu.max", "cpuset.cpus.effective", "pids.max")]

        self.assertEqual(knobs(), [str(64 << 20), "50000 100000", "0", "50"])
        for command in (["systemctl", "daemon-reload"], ["systemd-run", "--quiet", "--wait", "--collect", "-p", "MemoryMax=64M", "-p", "AllowedCPUs=0", "true"], ["systemctl", "daemon-reload"]):
            subprocess.run(command, check=True, timeout=120)
        self.assertEqual(knobs(), [str(64 << 20), "50000 100000", "0", "50"])
        second = self.sleeper("-m", "32m", "--cpuset-cpus", "0")
        self.assertEqual(read_text(group_of(self.pid(second)) + "/cpuset.cpus").strip(), "0")

    def test_units_of_every_kind(self):
        """From a plain unit, a delegated one, and one with limits of its own, whose limits are not the container's."""
        script = "cat /proc/self/cgroup /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max"
        for properties in ((), ("Delegate=yes",), ("MemoryMax=300M", "TasksMax=200")):
            out = self.service("run", "--rm", "--network", "none", "-m", "64m", "--pids-limit", "60", "busybox", "sh", "-c", script, properties=properties)
            self.assertEqual(out.split(), ["0::/", str(64 << 20), "60"], properties)

    def test_a_container_outlives_the_unit_that_started_it(self):
        """Its monitor must not be in the unit's group when systemd kills what is left there... unless the unit was asked to keep it."""
        cid = self.service("run", "-d", "--network", "none", "busybox", "sleep", "1000", properties=("KillMode=process",)).strip()
        self.addCleanup(self.coffer, "rm", "-f", cid, check=False)
        self.assertEqual(self.status(cid), "running")
        self.assertEqual(self.coffer("exec", cid, "echo", "ok").word, "ok")


if __name__ == "__main__":
    unittest.main()
