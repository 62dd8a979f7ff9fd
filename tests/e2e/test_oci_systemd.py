# SPDX-License-Identifier: Apache-2.0
"""coffer-oci with --systemd-cgroup: a container is a scope of the machine's systemd, with its limits as properties. Needs systemd as pid 1: the lane."""

import json
import os
import subprocess
import unittest

import coffer
import oci
from test_oci_cgroups import knob, paths_of

VM = True
HOST = False


def properties(unit, *names, user=False):
    argv = ["systemctl", *(["--user"] if user else []), "show", unit, *(f"--property={n}" for n in names)]
    out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


class Scopes(oci.OciTest):
    GLOBAL = ("--systemd-cgroup",)

    def document(self, name, slice_="", prefix="box", **what):
        c = oci.config("sleep", "1000")
        c["linux"]["cgroupsPath"] = f"{slice_}:{prefix}:{name}"
        c["linux"]["resources"].update(what)
        return c

    def scope(self, name, **kw):
        """A running container in scope box-NAME.scope. Return: its pid."""
        return self.state_of(self.running(self.document(name, **kw)))["pid"]

    def unit(self, stem):
        return f"{stem}-{os.getpid()}"

    def test_its_life(self):
        stem = self.unit("life")
        name = self.running(self.document(stem))
        pid = self.state_of(name)["pid"]
        unit = f"box-{stem}.scope"
        self.assertEqual(paths_of(pid)["v2"], f"/system.slice/{unit}")
        p = properties(unit, "ActiveState", "Slice", "Delegate", "ControlGroup", "CollectMode")
        self.assertEqual(p, {"ActiveState": "active", "Slice": "system.slice", "Delegate": "yes", "ControlGroup": f"/system.slice/{unit}", "CollectMode": "inactive-or-failed"})
        # nobody but the container is in it: the holder has gone
        self.assertEqual(json.loads(self.oci("ps", "-f", "json", name).out), [pid])
        self.assertEqual(self.oci("exec", name, "cat", "/proc/self/cgroup").out, f"0::/system.slice/{unit}\n")
        self.oci("pause", name)
        self.assertEqual(self.state_of(name)["status"], "paused")
        self.oci("resume", name)
        self.oci("delete", "--force", name)
        self.assertEqual(properties(unit, "ActiveState", "LoadState"), {"ActiveState": "inactive", "LoadState": "not-found"})
        self.assertFalse(os.path.exists(f"/sys/fs/cgroup/system.slice/{unit}"))

    def test_one_that_ends_by_itself(self):
        stem = self.unit("ends")
        c = self.document(stem)
        c["process"]["args"] = ["sh", "-c", "cat /proc/self/cgroup; exit 3"]
        r = self.run_document(c, code=3)
        self.assertEqual(r.out, f"0::/system.slice/box-{stem}.scope\n")
        self.assertEqual(properties(f"box-{stem}.scope", "LoadState"), {"LoadState": "not-found"})

    def test_slices_and_names(self):
        stem = self.unit("slice")
        pid = self.scope(stem, slice_="coffer-a.slice", prefix="")
        self.assertEqual(paths_of(pid)["v2"], f"/coffer.slice/coffer-a.slice/{stem}.scope")
        c = oci.config("sleep", "1000")
        c["linux"]["cgroupsPath"] = ""
        name = self.name()
        folder = self.bundle(c)
        with open(os.path.join(folder, "out"), "w") as out:
            argv = [self.program, "--root", self.state, "--systemd-cgroup", "run", "-d", "-b", folder, name]
            self.assertEqual(subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode, 0, coffer.read_text(out.name))
        self.addCleanup(self.oci, "delete", "--force", name)
        self.assertEqual(paths_of(self.state_of(name)["pid"])["v2"], f"/system.slice/coffer-oci-{name}.scope")

    def test_bad_names(self):
        for path in ("/a/b", "a:b", "a:b:c:d", "x.slice:y:", "nosuffix:b:c"):
            c = oci.config("true")
            c["linux"]["cgroupsPath"] = path
            r = self.run_document(c, check=False)
            self.assertNotEqual(r.code, 0, path)

    def test_limits_are_properties_and_stay(self):
        stem = self.unit("limits")
        pid = self.scope(stem, memory={"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20}, pids={"limit": 50}, unified={"memory.high": str(48 << 20)},
                         cpu={"shares": 512, "quota": 40000, "period": 50000, "cpus": "0", "burst": 20000})
        unit = f"box-{stem}.scope"
        p = properties(unit, "MemoryMax", "MemorySwapMax", "MemoryLow", "MemoryHigh", "TasksMax", "CPUWeight", "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec", "AllowedCPUs")
        self.assertEqual(p, {"MemoryMax": str(64 << 20), "MemorySwapMax": str(32 << 20), "MemoryLow": str(32 << 20), "MemoryHigh": str(48 << 20), "TasksMax": "50",
                             "CPUWeight": "59", "CPUQuotaPerSecUSec": "800ms", "CPUQuotaPeriodUSec": "50ms", "AllowedCPUs": "0"})

        def files():
            return [knob(pid, c, "", f) for c, f in (("memory", "memory.max"), ("memory", "memory.swap.max"), ("memory", "memory.high"), ("pids", "pids.max"), ("cpu", "cpu.weight"),
                                                     ("cpu", "cpu.max"), ("cpuset", "cpuset.cpus"))]
        want = [str(64 << 20), str(32 << 20), str(48 << 20), "50", "59", "40000 50000", "0"]
        self.assertEqual(files(), want)
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        self.assertEqual(files(), want)

    def test_update_tells_systemd(self):
        stem = self.unit("update")
        name = self.running(self.document(stem, memory={"limit": 64 << 20}, pids={"limit": 50}))
        pid = self.state_of(name)["pid"]
        self.oci("update", "-r", "-", name, input=json.dumps({"memory": {"limit": 128 << 20}, "pids": {"limit": 60}, "cpu": {"quota": 20000, "period": 100000}}))
        self.assertEqual(properties(f"box-{stem}.scope", "MemoryMax", "TasksMax", "CPUQuotaPerSecUSec"), {"MemoryMax": str(128 << 20), "TasksMax": "60", "CPUQuotaPerSecUSec": "200ms"})
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        self.assertEqual(knob(pid, "memory", "", "memory.max"), str(128 << 20))
        self.assertEqual(knob(pid, "cpu", "", "cpu.max"), "20000 100000")

    def test_devices_after_a_reload(self):
        stem = self.unit("devices")
        c = self.document(stem, devices=[{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "r"}])
        caps = oci.CAPS + ["CAP_MKNOD"]
        c["process"]["capabilities"] = {k: caps for k in ("bounding", "effective", "permitted")}
        name = self.running(c)
        self.assertEqual(properties(f"box-{stem}.scope", "DevicePolicy"), {"DevicePolicy": "strict"})
        script = "cd /dev; [ -e f ] || mknod f c 10 229; [ -e k ] || mknod k c 1 11; for w in ':<f' ':>f' ':>k' ':>null'; do (eval $w) 2>/dev/null && echo $w; done; true"
        argv = ["exec", "--cap", "CAP_MKNOD", name, "sh", "-c", script]
        self.assertEqual(self.oci(*argv).out.split(), [":<f", ":>null"])
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        self.assertEqual(self.oci(*argv).out.split(), [":<f", ":>null"])

    def test_annotations(self):
        stem = self.unit("notes")
        c = self.document(stem)
        c["annotations"] = {"org.systemd.property.TimeoutStopUSec": "uint64 5000000", "org.systemd.property.RuntimeMaxSec": "600", "org.systemd.property.CollectMode": "'inactive'",
                            "org.systemd.property.Before": "['coffer-x.service']"}
        self.running(c)
        self.assertEqual(properties(f"box-{stem}.scope", "TimeoutStopUSec", "RuntimeMaxUSec", "CollectMode"),
                         {"TimeoutStopUSec": "5s", "RuntimeMaxUSec": "10min", "CollectMode": "inactive"})
        self.assertIn("coffer-x.service", properties(f"box-{stem}.scope", "Before")["Before"])
        c = self.document(self.unit("bad"))
        c["annotations"] = {"org.systemd.property.Bad": "maybe"}
        self.assertIn("org.systemd.property.Bad", self.run_document(c, check=False).err)
        c["annotations"] = {"org.systemd.property.NoSuchThing": "true"}
        r = self.run_document(c, check=False)
        self.assertIn("NoSuchThing", r.err)
        self.assertIn("systemd", r.err)

    def test_a_failed_start_leaves_no_scope(self):
        stem = self.unit("fails")
        c = self.document(stem)
        c["process"]["args"] = ["/no/such/program"]
        self.assertNotEqual(self.run_document(c, check=False).code, 0)
        self.assertTrue(coffer.wait_until(lambda: properties(f"box-{stem}.scope", "LoadState") == {"LoadState": "not-found"}, 5))

    def test_over_the_bus(self):
        """Without the manager's own socket."""
        stem = self.unit("bus")
        folder, name = self.bundle(self.document(stem)), self.name()
        inner = f"mount --bind /dev/null /run/systemd/private && exec {self.program} --root {self.state} --systemd-cgroup run -d -b {folder} {name}"
        with open(os.path.join(folder, "out"), "w") as out:
            r = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", inner], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.assertEqual(r.returncode, 0, coffer.read_text(out.name))
        self.addCleanup(self.oci, "delete", "--force", name)
        self.assertEqual(paths_of(self.state_of(name)["pid"])["v2"], f"/system.slice/box-{stem}.scope")

    def test_killed_from_outside(self):
        stem = self.unit("stopped")
        name = self.running(self.document(stem))
        subprocess.run(["systemctl", "kill", "--signal=KILL", f"box-{stem}.scope"], check=True)
        self.wait_status(name, "stopped")
        self.oci("delete", name)


class Delegated(oci.OciTest):
    """The cgroupfs driver in a unit that was delegated to its caller."""

    def test_below_a_delegated_unit(self):
        c = oci.config("sleep", "1000")
        c["linux"]["cgroupsPath"] = "inner"
        c["linux"]["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 7}}
        folder, name = self.bundle(c), self.name()
        unit = f"coffer-delegated-{os.getpid()}"
        # its first process goes one deeper: the unit's own cgroup must be free of processes to give its children controllers
        inner = (f"mkdir /sys/fs/cgroup/system.slice/{unit}.service/init && echo 0 >/sys/fs/cgroup/system.slice/{unit}.service/init/cgroup.procs && "
                 f"{self.program} --root {self.state} run -d -b {folder} {name} </dev/null >{folder}/out 2>&1; exec sleep 1000")
        subprocess.run(["systemd-run", "--quiet", f"--unit={unit}", "--property=Delegate=yes", "sh", "-c", inner], check=True)
        self.addCleanup(subprocess.run, ["systemctl", "stop", unit])
        self.addCleanup(self.oci, "delete", "--force", name)
        self.assertTrue(coffer.wait_until(lambda: self.oci("state", name, check=False).code == 0 and self.state_of(name)["status"] == "running", 20),
                        coffer.read_text(f"{folder}/out") if os.path.exists(f"{folder}/out") else "")
        pid = self.state_of(name)["pid"]
        self.assertEqual(paths_of(pid)["v2"], f"/system.slice/{unit}.service/inner")
        self.assertEqual((knob(pid, "memory", "", "memory.max"), knob(pid, "pids", "", "pids.max")), (str(64 << 20), "7"))


class OfAUser(oci.OciTest):
    """An ordinary user's containers are scopes of that user's own systemd."""

    USER, UID = "tester", 1000

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        subprocess.run(["systemctl", "start", f"user@{cls.UID}.service"], check=True)
        cls.box = os.path.join(cls.scratch, "user")
        os.mkdir(cls.box)
        os.chown(cls.box, cls.UID, cls.UID)
        oci.shutil.copy2(cls.program, os.path.join(cls.box, "coffer-oci"))

    def user(self, *argv, check=True):
        """Run in a unit of the user's manager, as from a terminal of theirs. Return: CompletedProcess."""
        env = {"XDG_RUNTIME_DIR": f"/run/user/{self.UID}", "PATH": os.environ["PATH"], "HOME": self.box}
        full = ["setpriv", f"--reuid={self.UID}", f"--regid={self.UID}", "--clear-groups", "systemd-run", "--user", "--quiet", "--wait", "--pipe", "--collect",
                f"--setenv=XDG_RUNTIME_DIR=/run/user/{self.UID}", *argv]
        r = subprocess.run(full, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, timeout=60)
        if check:
            self.assertEqual(r.returncode, 0, r.stderr)
        return r

    def runtime(self, *args, **kw):
        return self.user(f"{self.box}/coffer-oci", "--root", f"{self.box}/state", "--systemd-cgroup", *args, **kw)

    def document(self, *args, **limits):
        c = oci.config(*args)
        c["linux"]["cgroupsPath"] = f":own:{os.getpid()}"
        c["linux"]["resources"] = limits
        c["linux"]["namespaces"].append({"type": "user"})
        c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": self.UID, "size": 1}]
        c["mounts"] = [m for m in c["mounts"] if m["destination"] not in ("/sys", "/dev/pts")]
        folder = self.bundle(c)
        os.chmod(folder, 0o755)
        return folder

    def test_a_scope_with_limits(self):
        r = self.runtime("run", "-b", self.document("cat", "/proc/self/cgroup", memory={"limit": 64 << 20}, pids={"limit": 9}), "one")
        base = f"/user.slice/user-{self.UID}.slice/user@{self.UID}.service"
        self.assertEqual(r.stdout, f"0::{base}/user.slice/own-{os.getpid()}.scope\n")

    def test_its_life(self):
        folder = self.document("sleep", "1000", memory={"limit": 64 << 20}, pids={"limit": 9})
        # the runtime's own unit ends with it: what goes on is in the scope
        self.user("sh", "-c", f"{self.box}/coffer-oci --root {self.box}/state --systemd-cgroup run -d -b {folder} two </dev/null >{self.box}/out 2>&1")
        state = json.loads(self.runtime("state", "two").stdout)
        self.assertEqual(state["status"], "running")
        pid = state["pid"]
        self.assertTrue(paths_of(pid)["v2"].endswith(f"/user.slice/own-{os.getpid()}.scope"))
        self.assertEqual((knob(pid, "memory", "", "memory.max"), knob(pid, "pids", "", "pids.max")), (str(64 << 20), "9"))
        self.runtime("update", "--pids-limit", "12", "two")
        self.assertEqual(knob(pid, "pids", "", "pids.max"), "12")
        self.runtime("pause", "two")
        self.assertEqual(json.loads(self.runtime("state", "two").stdout)["status"], "paused")
        self.runtime("resume", "two")
        self.runtime("delete", "--force", "two")
        self.assertFalse(coffer.pid_exists(pid))

    def test_cgroupfs_below_the_users_own(self):
        c = self.document("cat", "/proc/self/cgroup", pids={"limit": 9})
        path = os.path.join(c, "config.json")
        document = json.loads(coffer.read_text(path))
        document["linux"]["cgroupsPath"] = "beside"
        with open(path, "w") as f:
            json.dump(document, f)
        r = self.user(f"{self.box}/coffer-oci", "--root", f"{self.box}/state", "run", "-b", c, "three")
        self.assertRegex(r.stdout, rf"^0::/user.slice/user-{self.UID}.slice/user@{self.UID}.service/(app.slice/)?beside\n$")


if __name__ == "__main__":
    unittest.main()
