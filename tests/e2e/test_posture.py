# SPDX-License-Identifier: Apache-2.0
"""`coffer posture`: what it says is what /proc of the process says; each weakening is shown with its flag."""

import os
import re
import unittest

from coffer import CofferTest, id_map, proc_status

ASAN = True
VM = "apparmor selinux"
CAP_NAMES = {0: "CAP_CHOWN", 1: "CAP_DAC_OVERRIDE", 3: "CAP_FOWNER", 4: "CAP_FSETID", 5: "CAP_KILL", 6: "CAP_SETGID", 7: "CAP_SETUID", 8: "CAP_SETPCAP", 10: "CAP_NET_BIND_SERVICE", 18: "CAP_SYS_CHROOT", 31: "CAP_SETFCAP", 13: "CAP_NET_RAW"}
LAYERS = ["user namespace", "namespaces", "capabilities", "no_new_privs", "seccomp", "cgroup limits", "devices", "masked paths", "read-only paths", "root filesystem", "AppArmor", "SELinux", "Landlock", "Yama", "rlimits"]


class Posture(CofferTest):
    def layers(self, cid):
        return {row["Layer"]: row for row in self.posture(cid)["Layers"]}

    def assertWeakened(self, flags, layer, by, env=None):
        cid = self.coffer("run", "-d", "--network", "none", *flags, "busybox", "sleep", "1000", env=env).word
        self.addCleanup(self.coffer, "rm", "-f", cid, check=False)
        row = self.layers(cid)[layer]
        self.assertEqual(row["State"], "weakened", row)
        self.assertIn(by, row["By"], row)
        return row

    def test_a_default_container_has_every_layer_on(self):
        rows = self.layers(self.sleeper())
        self.assertEqual(list(rows), LAYERS)
        for name, row in rows.items():
            self.assertIn(row["State"], ("ok", "absent", "unverified"), row)
            if row["State"] == "absent":
                self.assertTrue(row["Why"], row)
                self.assertIn(name, ("AppArmor", "SELinux", "Landlock", "Yama"), f"this host should have {name}")

    def test_facts_are_the_kernel_s(self):
        cid = self.sleeper("--pids-limit", "77", "-m", "64m", "--ulimit", "nofile=99:111", "--cap-add", "NET_RAW")
        pid = self.pid(cid)
        facts, status = self.posture(cid)["Facts"], proc_status(pid)
        self.assertEqual(facts["Pid"], pid)
        self.assertEqual([facts["HostUid"], facts["HostGid"]], [int(status["Uid"].split()[0]), int(status["Gid"].split()[0])])
        for which in ("uid", "gid"):
            self.assertEqual([(m["ContainerID"], m["HostID"], m["Size"]) for m in facts[which.capitalize() + "Map"]], id_map(pid, which))
        for name, file in (("user", "user"), ("mount", "mnt"), ("pid", "pid"), ("net", "net"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup")):
            self.assertEqual(facts["Namespaces"][name]["Inode"], int(re.search(r"\d+", os.readlink(f"/proc/{pid}/ns/{file}")).group()), name)
            self.assertIs(facts["Namespaces"][name]["Own"], True, name)
        for name, field in (("Bounding", "CapBnd"), ("Effective", "CapEff"), ("Permitted", "CapPrm"), ("Inheritable", "CapInh"), ("Ambient", "CapAmb")):
            bits = int(status[field], 16)
            self.assertEqual(sorted(facts["Capabilities"][name]), sorted(CAP_NAMES[i] for i in range(41) if bits >> i & 1), field)
        self.assertEqual(facts["NoNewPrivs"], int(status["NoNewPrivs"]))
        self.assertEqual((facts["Seccomp"]["Mode"], facts["Seccomp"]["Filters"]), (int(status["Seccomp"]), int(status["Seccomp_filters"])))
        self.assertEqual((facts["Cgroup"]["PidsMax"], facts["Cgroup"]["MemoryMax"]), ("77", str(64 << 20)))
        self.assertEqual(facts["Rlimits"]["Max open files"], ["99", "111"])
        self.assertGreater(facts["MaskedPaths"], 5)
        self.assertGreater(facts["ReadonlyPaths"], 3)

    def test_weakened_layers_name_their_flag(self):
        self.assertWeakened(["--security-opt", "no-new-privileges=false"], "no_new_privs", "no-new-privileges")
        self.assertWeakened(["--security-opt", "seccomp=unconfined"], "seccomp", "seccomp=unconfined")
        self.assertWeakened(["--security-opt", "systempaths=unconfined"], "masked paths", "systempaths=unconfined")
        self.assertWeakened(["--cap-add", "NET_RAW"], "capabilities", "NET_RAW")
        self.assertWeakened(["--privileged"], "capabilities", "--privileged")
        self.assertWeakened(["--pids-limit", "-1"], "cgroup limits", "--pids-limit")
        self.assertWeakened(["--ulimit", "core=0"], "rlimits", "--ulimit core")
        self.assertWeakened(["--userns", "host"], "user namespace", "--userns=host", env={"COFFER_ALLOW_HOST": "userns"})

    def test_it_is_not_answered_from_the_record(self):
        """P9: a limit changed behind our back shows."""
        cid = self.sleeper()
        path = next((p for p in (f"/sys/fs/cgroup/pids/coffer/local/{cid}/pids.max", f"/sys/fs/cgroup/coffer/local/{cid}/pids.max") if os.path.exists(p)), None)
        self.assertIsNotNone(path)
        with open(path, "w") as f:
            f.write("1234")
        self.assertEqual(self.posture(cid)["Facts"]["Cgroup"]["PidsMax"], "1234")

    def test_a_filter_of_the_workload_s_own_shows_as_a_second_one(self):
        self.assertEqual(self.posture(self.sleeper())["Facts"]["Seccomp"]["Filters"], 1)

    def test_text_is_one_line_a_layer(self):
        cid = self.sleeper("--name", "shown", "--cap-add", "NET_RAW")
        out = self.coffer("posture", "shown").out
        self.assertIn("shown", out)
        for layer in LAYERS:
            self.assertEqual(len([line for line in out.splitlines() if line.strip().startswith(layer + "  ")]), 1, f"{layer}:\n{out}")
        self.assertRegex(out, r"(?m)^.*capabilities.*$")
        self.assertIn("weakened", out)
        self.assertIn("NET_RAW", out)
        self.assertNotIn("\x1b", out, "colours in a pipe")

    def test_not_of_a_stopped_one(self):
        cid = self.sleeper()
        self.coffer("kill", cid)
        self.coffer("wait", cid)
        self.assertFails(self.coffer("posture", cid, check=False), 1, "running")
        self.assertFails(self.coffer("posture", "nobody", check=False), 1, "nobody")

    def test_the_process_runs_on_afterwards(self):
        cid = self.detached("busybox", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done")
        for _ in range(5):
            self.posture(cid)
        before = len(self.coffer("logs", cid).lines)
        import time

        time.sleep(0.6)
        self.assertGreater(len(self.coffer("logs", cid).lines), before)
        self.assertEqual(proc_status(self.pid(cid))["TracerPid"], "0")


if __name__ == "__main__":
    unittest.main()
