# SPDX-License-Identifier: Apache-2.0
"""`coffer run --runtime runc|crun`: another project's runtime makes the container, under our monitor, with our layers, ids, logs and exit codes.

Debian's runc and crun are used as they are; coffer-oci too where the build has it."""

import json
import os
import shutil
import signal
import stat
import unittest

import images
import oci
from coffer import CofferTest, children_of, fd_links, id_map, mount_points, pid_exists, proc_status, wait_until

RUN = ("run", "--rm", "--network", "none")


def null_device():
    s = os.stat("/dev/null")
    return s.st_uid, s.st_gid, stat.S_IMODE(s.st_mode), s.st_rdev


class Foreign:
    """What every runtime has to do; mixed into one class a runtime."""

    RUNTIME = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.null_before = null_device()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        if null_device() != cls.null_before:
            os.chown("/dev/null", 0, 0)
            raise AssertionError("the host's /dev/null was changed")

    def run_(self, *args, **kw):
        return self.coffer(*RUN, "--runtime", self.RUNTIME, *args, **kw)

    def up(self, *flags):
        return self.sleeper("--runtime", self.RUNTIME, *flags)

    # what is run

    def test_streams_and_exit_code(self):
        r = self.sh("echo out; echo err >&2; exit 7", check=False)
        self.assertEqual((r.code, r.out, r.err), (7, "out\n", "err\n"))

    def test_stdin(self):
        self.assertEqual(self.run_("-i", "busybox", "wc", "-c", input=b"x" * 300000).word, "300000")
        self.assertEqual(self.sh("wc -c").word, "0")  # nobody's: the end of file at once

    def test_command_not_found_and_not_executable(self):
        self.assertFails(self.run_("busybox", "no-such-program", check=False), 127, "no-such-program")
        self.assertFails(self.run_("busybox", "/etc/passwd", check=False), 126)

    def test_environment_directory_and_user(self):
        out = self.sh("echo $A $HOME $PWD $(id -u):$(id -g)", "-e", "A=b", "-w", "/new/dir", "-u", "alice").word
        self.assertEqual(out, "b /home/alice /new/dir 1000:1000")
        self.assertFails(self.run_("-u", "nobody-has-this-name", "busybox", "true", check=False), 125, "nobody-has-this-name")

    def test_init(self):
        self.assertEqual(self.sh("cat /proc/1/cmdline | tr '\\0' ' '; exit 4", "--init", check=False).out.split()[0], "/dev/init")
        self.assertEqual(self.sh("exit 4", "--init", check=False).code, 4)

    # terminals

    def test_terminal(self):
        t = self.tty(*RUN, "-it", "--runtime", self.RUNTIME, "-e", "PS1=ready> ", "busybox", "sh", rows=31, cols=97)
        t.expect("ready> ")
        t.line("test -t 0 && stty size")
        t.expect("31 97\r\n")
        t.resize(40, 120)
        t.expect("ready> ")
        t.line("stty size")
        t.expect("40 120\r\n")
        t.line("exit 5")
        self.assertEqual(t.wait(), 5)

    def test_terminal_of_an_exec(self):
        cid = self.up()
        t = self.tty("exec", "-it", cid, "sh", "-c", "tty; exit 6")
        self.assertEqual(t.wait(), 6)
        self.assertIn("/dev/", t.text)

    # confinement

    def test_ids_are_shifted_and_nobody_s(self):
        cid = self.up()
        inside, outside, size = id_map(self.pid(cid))[0]
        self.assertEqual((inside, size), (0, 65536))
        self.assertGreaterEqual(outside, 1 << 20)
        self.assertEqual(self.coffer("exec", cid, "stat", "-c", "%u:%g", "/bin/busybox").word, "0:0")
        self.coffer("exec", cid, "touch", "/mine")
        found = os.path.join(self.root, "containers", cid, "upper", "mine")
        self.assertEqual((os.stat(found).st_uid, os.stat(found).st_gid), (0, 0))  # unshifted on disk (P3)

    def test_layers_of_confinement(self):
        status = proc_status(self.pid(self.up()))
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Seccomp"], "2")
        self.assertEqual(status["CapBnd"], status["CapPrm"])
        own = proc_status(self.pid(self.sleeper()))
        self.assertEqual(status["CapBnd"], own["CapBnd"])
        self.assertNotEqual(self.sh("unshare -U true", check=False).code, 0)
        self.assertNotEqual(self.sh("cat /proc/kcore", check=False).code, 0, "a masked path")
        self.assertNotEqual(self.sh("echo 1 > /proc/sys/kernel/panic", check=False).code, 0, "a read-only path")

    def test_seccomp_profile_is_the_runtime_s_to_compile(self):
        profile = os.path.join(self.scratch, "profile.json")
        with open(profile, "w") as f:
            json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]}, f)
        r = self.sh("mkdir /x", "--security-opt", f"seccomp={profile}", check=False)
        self.assertFails(r, 1, "input/output error")

    def test_posture_says_what_another_runtime_leaves_out(self):
        layers = {r["Layer"]: r for r in self.posture(self.up())["Layers"]}
        self.assertEqual((layers["seccomp"]["State"], layers["seccomp"]["By"]), ("unverified", f"--runtime {self.RUNTIME}"), layers)
        self.assertIn((layers["Landlock"]["State"], layers["Landlock"]["By"]), (("weakened", f"--runtime {self.RUNTIME}"), ("absent", "")), layers)
        for name in ("user namespace", "namespaces", "capabilities", "no_new_privs", "masked paths", "read-only paths", "rlimits"):
            self.assertEqual(layers[name]["State"], "ok", layers[name])

    def test_limits_are_in_its_own_cgroup(self):
        cid = self.up("--pids-limit", "77")
        with open(f"/proc/{self.pid(cid)}/cgroup") as f:
            paths = [line.rstrip("\n").split(":", 2) for line in f]
        pids = [path for _, names, path in paths if names in ("pids", "")]
        self.assertTrue(any(p.endswith(f"coffer/local/{cid}") for p in pids), paths)
        found = [p for p in (f"/sys/fs/cgroup/pids{pids[0]}/pids.max", f"/sys/fs/cgroup{pids[-1]}/pids.max") if os.path.exists(p)]
        with open(found[0]) as f:
            self.assertEqual(f.read().strip(), "77")

    # files

    def test_volumes_binds_and_generated_files(self):
        self.sh("echo kept > /v/file; stat -c %u /v/file", "-v", f"{self.RUNTIME}-volume:/v")
        self.assertEqual(self.sh("cat /v/file; stat -c %u:%g /v/file", "-v", f"{self.RUNTIME}-volume:/v").out, "kept\n0:0\n")
        self.coffer("volume", "rm", f"{self.RUNTIME}-volume")
        host = os.path.join(self.scratch, f"bind-{self.RUNTIME}")
        os.mkdir(host)
        with open(os.path.join(host, "f"), "w") as f:
            f.write("from the host\n")
        self.assertEqual(self.sh("cat /b/f", "-v", f"{host}:/b:ro").out, "from the host\n")
        self.assertNotEqual(self.sh("touch /b/x", "-v", f"{host}:/b:ro", check=False).code, 0)
        self.assertEqual(self.sh("cat /etc/hostname", "--hostname", "web").word, "web")
        self.assertEqual(self.sh("touch /x", "--read-only", check=False).code, 1)
        self.assertEqual(self.sh("touch /t/x && echo yes", "--read-only", "--tmpfs", "/t").word, "yes")

    def test_first_use_of_a_volume_copies_the_image_s_content(self):
        seed = [images.Entry.dir("seed", 0o750, uid=1000, gid=50), images.Entry.file("seed/file", "seed\n", 0o640, uid=7, gid=8)]
        self.coffer("load", "-i", images.variant("content:latest", {"Volumes": {"/seed": {}}}, extra_layers=[seed]))
        script = "stat -c '%u:%g %a' /seed /seed/file; cat /seed/file"
        self.assertEqual(self.run_("content", "sh", "-c", script).lines, ["1000:50 750", "7:8 640", "seed"])

    def test_the_host_s_network_and_its_sys(self):
        """A second /sys in the runtime's view would be a second set of cgroup mounts, which runc takes for the first."""
        allow = {"COFFER_ALLOW_HOST": "network"}
        r = self.coffer("run", "--rm", "--network", "host", "--runtime", self.RUNTIME, "busybox", "sh", "-c", "readlink /proc/self/ns/net; touch /sys/x", env=allow, check=False)
        self.assertEqual((r.code, r.word), (1, os.readlink("/proc/self/ns/net")), r)
        self.assertIn("Read-only", r.err)

    def test_the_host_s_user_namespace(self):
        r = self.run_("--userns", "host", "busybox", "cat", "/proc/self/uid_map", env={"COFFER_ALLOW_HOST": "userns"})
        self.assertEqual(r.out.split(), ["0", "0", "4294967295"])

    def test_flags_reach_the_document(self):
        out = self.sh("ulimit -n; cat /proc/sys/net/core/somaxconn; nproc; grep CapEff /proc/self/status; df -k /dev/shm | tail -1", "--ulimit", "nofile=55:66", "--sysctl", "net.core.somaxconn=77",
                      "--cpuset-cpus", "0", "--cap-drop", "ALL", "--shm-size", "1m").lines
        self.assertEqual((out[0], out[1], out[2], out[3].split()[1], out[4].split()[1]), ("55", "77", "1", "0" * 16, "1024"))

    def test_what_does_not_go_with_it_is_refused_by_name(self):
        self.assertRefused(*RUN, "--runtime", self.RUNTIME, "--domainname", "d", "busybox", "true", words=["domainname", "runtime"])

    def test_nothing_is_in_the_host_s_mount_table(self):
        """P4, while it runs."""
        before = mount_points()
        cid = self.up()
        self.assertEqual(set(mount_points()) - set(before), set())
        self.coffer("exec", cid, "true")
        self.assertEqual(set(mount_points()) - set(before), set())

    # life

    def test_exec(self):
        cid = self.up("-e", "FROM=container")
        r = self.coffer("exec", cid, "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
        self.assertEqual((r.code, r.out, r.err), (3, "out\n", "err\n"))
        self.assertEqual(self.coffer("exec", "-i", cid, "wc", "-c", input=b"y" * 100000).word, "100000")
        self.assertEqual(self.coffer("exec", "-e", "MORE=1", "-w", "/etc", "-u", "alice", cid, "sh", "-c", "echo $FROM $MORE $PWD $(id -u):$(id -g)").word, "container 1 /etc 1000:1000")
        self.assertFails(self.coffer("exec", cid, "no-such-program", check=False), 127)
        self.assertEqual(self.coffer("exec", cid, "grep", "-c", "^Seccomp:.2$", "/proc/self/status").word, "1")
        with open(f"/proc/{self.pid(cid)}/cgroup") as f:
            mine = f.read()
        self.coffer("exec", "-d", cid, "sleep", "987")
        pids = wait_until(lambda: [p for p in os.listdir("/proc") if p.isdigit() and _cmdline(p) == ["sleep", "987"]])
        with open(f"/proc/{pids[0]}/cgroup") as f:
            self.assertEqual(f.read(), mine)

    def test_init_is_the_monitor_s_child(self):
        cid = self.up()
        ppid = int(proc_status(self.pid(cid))["PPid"])
        with open(f"/proc/{ppid}/comm") as f:
            self.assertEqual(f.read().strip(), "coffer-monitor")

    def test_stop_kill_restart_logs_wait(self):
        cid = self.detached("--runtime", self.RUNTIME, "busybox", "sh", "-c", "trap 'echo term; exit 0' TERM; echo up; while :; do sleep 1000 & wait $!; done")
        self.assertTrue(wait_until(lambda: "up" in self.coffer("logs", cid).out))
        self.coffer("stop", cid)
        self.assertEqual(self.inspect(cid)["State"]["ExitCode"], 0)
        self.assertEqual(self.coffer("logs", cid).out, "up\nterm\n")
        self.coffer("start", cid)
        self.assertEqual(self.status(cid), "running")
        self.coffer("kill", cid)
        self.assertEqual(self.coffer("wait", cid).word, "137")
        self.assertEqual(self.inspect(cid)["HostConfig"]["Runtime"], self.RUNTIME)

    def test_health_check_and_restart_policy(self):
        """A probe that takes too long ends with what it started, though the runtime gives it no session of its own."""
        cid = self.detached("--runtime", self.RUNTIME, "--restart", "always", "--health-cmd", "echo probe; sleep 4444 & sleep 4445", "--health-interval", "200ms", "--health-timeout", "500ms",
                            "--health-retries", "1", "busybox", "sh", "-c", "while [ ! -e /go ]; do sleep 0.1; done; rm /go; exit 1")
        self.assertTrue(wait_until(lambda: self.inspect(cid)["State"]["Health"]["Status"] == "unhealthy", 20))
        self.assertEqual(self.inspect(cid)["State"]["Health"]["Log"][0]["Output"], "Health check exceeded timeout (500ms): probe\n")
        self.assertTrue(wait_until(lambda: len([line for line in self.coffer("top", cid, "-o", "pid,args").lines if "sleep 444" in line]) <= 2))
        self.coffer("exec", cid, "touch", "/go", check=False)
        self.assertTrue(wait_until(lambda: self.inspect(cid)["RestartCount"] == 1 and self.status(cid) == "running", 20))

    def test_rm_forced_leaves_nothing(self):
        cid = self.coffer("run", "-d", "--network", "none", "--runtime", self.RUNTIME, "busybox", "sleep", "1000").word
        pid = self.pid(cid)
        self.coffer("rm", "-f", cid)
        self.assertTrue(wait_until(lambda: not pid_exists(pid)))
        self.assertNothingLeft([cid])

    def test_a_monitor_that_is_killed(self):
        """It takes the container along, as under the sandbox, before anybody looks."""
        cid = self.up()
        pid = self.pid(cid)
        os.kill(self.monitor_pid(cid), signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not pid_exists(pid)))
        self.wait_status(cid, "exited")

    def test_the_guard_leaves_with_the_container(self):
        cid = self.up()
        monitor = self.monitor_pid(cid)
        guards = [p for p in children_of(monitor) if p != self.pid(cid)]
        self.assertEqual(len(guards), 1)
        self.assertEqual(len([n for n in fd_links(guards[0]) if int(n) > 2]), 2, fd_links(guards[0]))
        self.coffer("kill", cid)
        self.assertTrue(wait_until(lambda: not pid_exists(guards[0])))

    def test_eight_at_once(self):
        procs = [self.popen(*RUN, "--runtime", self.RUNTIME, "busybox", "sh", "-c", f"echo {i}; exit {i}") for i in range(8)]
        for i, p in enumerate(procs):
            out, err = p.communicate(timeout=60)
            self.assertEqual((p.returncode, out), (i, f"{i}\n".encode()), err)

    def test_failing_steps_leave_nothing(self):
        for step in ("foreign-maps", "foreign-volumes", "foreign-rootfs", "foreign-stage", "foreign-fill", "foreign-document", "foreign-create", "foreign-start"):
            with self.subTest(step):
                self.assertFails(self.run_("busybox", "true", check=False, env={"COFFER_FAIL_STEP": step}), 125, "made to fail")
        self.assertNothingLeft()


def _cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return f.read().rstrip("\0").split("\0")
    except OSError:
        return []


class Runc(Foreign, CofferTest):
    RUNTIME = "runc"


class Crun(Foreign, CofferTest):
    RUNTIME = "crun"

    def test_a_hybrid_host_s_cgroup2_is_out_of_its_view_alone(self):
        """crun refuses controllers on both sides of a hybrid host: what it sees has one side, and the host keeps both."""
        before = mount_points()
        self.run_("busybox", "true")
        self.assertEqual(mount_points(), before)


class Names(CofferTest):
    """A client says a name; which programs there are is the operator's word."""

    ETC = {}

    def test_a_name_that_nobody_allowed(self):
        for name in ("kata", "/usr/sbin/runc", "../runc", "runc2", "RUNC"):
            with self.subTest(name):
                self.assertRefused(*RUN, "--runtime", name, "busybox", "true", words=["HostConfig.Runtime", "no runtime of this host"])

    def test_our_own_by_its_name(self):
        self.assertEqual(self.coffer(*RUN, "--runtime", "coffer", "busybox", "echo", "hi").word, "hi")

    def test_info_lists_them(self):
        found = self.coffer("info", "--format", "json").json()["Runtimes"]
        self.assertEqual({"coffer", "runc", "crun"} - set(found), set())
        self.assertTrue(found["crun"]["path"].startswith("/"))


class Operator(CofferTest):
    """daemon.json's runtimes."""

    def daemon(self, runtimes):
        """The words in front of coffer that show it an /etc/coffer/daemon.json."""
        top = os.path.join(self.scratch, self.unique("etc"))
        os.makedirs(top)
        with open(os.path.join(top, "daemon.json"), "w") as f:
            json.dump({"runtimes": runtimes}, f)
        os.chmod(os.path.join(top, "daemon.json"), 0o644)
        # /etc/coffer may not be there: a whole /etc of symbolic links would be too much, so an overlay over it
        script = f"mkdir -p {top}/up/coffer {top}/work && cp {top}/daemon.json {top}/up/coffer/ && mount -t overlay overlay -o lowerdir=/etc,upperdir={top}/up,workdir={top}/work /etc"
        return ["unshare", "-m", "--propagation", "private", "sh", "-ec", script + '; exec "$0" "$@"']

    def with_daemon(self, runtimes, *args, **kw):
        saved, cls = type(self).command, type(self)
        cls.command = self.daemon(runtimes) + saved
        try:
            return self.coffer(*args, check=False, **kw)
        finally:
            cls.command = saved

    def test_another_name_for_a_program(self):
        r = self.with_daemon({"mine": {"path": "/usr/bin/crun"}}, *RUN, "--runtime", "mine", "busybox", "echo", "hi")
        self.assertEqual((r.code, r.out), (0, "hi\n"), r)

    def test_coffer_oci_in_place_of_the_sandbox(self):
        """Our own runtime on the command line, called as another project's."""
        mine = os.path.join(self.scratch, "coffer-oci")
        shutil.copy2(oci.program(), mine)
        os.chown(mine, 0, 0)
        os.chmod(mine, 0o755)
        table = {"coffer-oci": {"path": mine}}
        r = self.with_daemon(table, *RUN, "--runtime", "coffer-oci", "-u", "alice", "-v", "oci:/v", "busybox", "sh", "-c", "id -u; cat /proc/self/uid_map; touch /v/x; exit 3")
        self.assertEqual((r.code, r.out.split()[0], r.out.split()[3]), (3, "1000", "65536"), r)
        cid = self.with_daemon(table, "run", "-d", "--network", "none", "--runtime", "coffer-oci", "busybox", "sleep", "1000").word
        self.assertEqual(self.coffer("exec", cid, "sh", "-c", "echo in; exit 4", check=False).code, 4)
        self.coffer("rm", "-f", cid)
        self.coffer("volume", "rm", "oci")

    def test_paths_that_are_not_taken(self):
        loose = os.path.join(self.scratch, "loose")
        with open(loose, "w") as f:
            f.write("#!/bin/sh\n")
        os.chmod(loose, 0o777)
        for path, words in (("bin/crun", "not absolute"), ("/no/such", "no such file"), (loose, "changed by others"), ("/etc", "not a program")):
            with self.subTest(path):
                self.assertFails(self.with_daemon({"mine": {"path": path}}, *RUN, "--runtime", "mine", "busybox", "true"), 125, words)
        self.assertFails(self.with_daemon({"coffer": {"path": "/usr/bin/crun"}}, *RUN, "busybox", "true"), 125, "sandbox of this program")


if __name__ == "__main__":
    unittest.main()
