# SPDX-License-Identifier: Apache-2.0
"""What happened to other runtimes, tried on ours: the rows of threats.md section 1 that concern a runtime and are no race (those are in
test_oci_races.py). Each test is named for what it tries and cites its ids."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import coffer
from coffer import wait_until
from oci import Console, OciTest, config, shell
from test_oci_races import Canary

MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]
SETS = ("bounding", "effective", "permitted")


def caps(*names):
    return {k: list(names) for k in SETS}


def user_namespace(document, maps=MAPS):
    document["linux"]["namespaces"].append({"type": "user"})
    document["linux"]["uidMappings"] = document["linux"]["gidMappings"] = maps
    return document


class ThreatTest(OciTest):
    def own_root(self, owner=0):
        path = os.path.join(self.scratch, self.name() + ".root")
        shutil.copytree(self.rootfs, path, symlinks=True)
        if owner:
            subprocess.run(["chown", "-R", f"{owner}:{owner}", path], check=True)
        return path

    def document(self, script="true", **process):
        d = shell(script, **process)
        d["root"] = {"path": self.own_root()}
        return d

    def replace(self, root, name, target):
        """What the image has at @name is a symlink to @target."""
        path = os.path.join(root, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)

    def canary(self):
        c = Canary(os.path.join(self.scratch, self.name() + ".canary"))
        self.addCleanup(shutil.rmtree, c.path, True)
        self.addCleanup(c.close)
        return c

    def untouched(self, canary, note=""):
        self.assertEqual(canary.events(), [], note)
        self.assertEqual(canary.listing(), canary.before, note)


class Images(ThreatTest):
    """A root file system that wants to write on the host."""

    def attempt(self, d, canary, *options):
        before = coffer.read_text("/proc/self/mountinfo")
        r = self.run_document(d, *options, check=False, timeout=20)
        self.untouched(canary, r)
        self.assertNotIn("canary", r.out)
        self.assertEqual(coffer.read_text("/proc/self/mountinfo"), before)
        return r

    def test_mount_points_that_are_links(self):
        """CVE-2015-3627, 2015-3629, 2019-18837: every place where a mount goes, absolute and by '..'."""
        canary = self.canary()
        places = {"proc": "dir", "sys": "dir", "dev": "dir", "dev/pts": "dir", "dev/shm": "dir", "tmp": "dir", "etc/hosts": "file", "etc/resolv.conf": "file", "etc/hostname": "file", "run/secrets/x": "file"}
        for place, kind in places.items():
            for prefix in ("", "../" * 12):
                d = self.document("cat /etc/hosts /etc/resolv.conf; ls /tmp /dev/pts; true")
                d["mounts"] += [{"destination": "/" + p, "type": "bind", "source": "/etc/hostname", "options": ["bind"]} for p, k in places.items() if k == "file"]
                self.replace(d["root"]["path"], place, prefix + os.path.join(canary.path, kind))
                self.attempt(d, canary)

    def test_parents_that_are_links(self):
        canary = self.canary()
        for place in ("etc", "run", "var", "mnt"):
            d = self.document("true")
            d["mounts"] += [{"destination": f"/{place}/a/b", "type": "bind", "source": "/etc/hostname", "options": ["bind"]},
                            {"destination": f"/{place}/c/d", "type": "tmpfs", "source": "t"}]
            self.replace(d["root"]["path"], place, canary.path)
            self.attempt(d, canary)

    def test_proc_sys_and_dev_must_be_directories(self):
        """CVE-2019-19921, 2023-27561, 2023-28642, 2025-54867, runc CVE-2026-41579: also links that stay inside are refused."""
        for place in ("proc", "sys", "dev"):
            d = self.document()
            root = d["root"]["path"]
            shutil.rmtree(os.path.join(root, place))
            os.mkdir(os.path.join(root, "bad-" + place))
            os.symlink("bad-" + place, os.path.join(root, place))
            r = self.run_document(d, check=False)
            self.assertEqual(r.code, 1, r)
            self.assertIn("not an ordinary directory", r.err)
            self.assertEqual(os.listdir(os.path.join(root, "bad-" + place)), [])

    def test_devices_through_a_linked_dev(self):
        """runc CVE-2026-41579, crun CVE-2026-47766: no mount covers /dev, and it leads away."""
        canary = self.canary()
        for edit in (lambda d: d, user_namespace):
            d = edit(self.document())
            d["mounts"] = [m for m in d["mounts"] if not m["destination"].startswith("/dev")]
            d["linux"]["devices"] = [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}, {"path": "/data/y", "type": "p"}]
            self.replace(d["root"]["path"], "dev", os.path.join(canary.path, "dir"))
            self.replace(d["root"]["path"], "data", os.path.join(canary.path, "dir"))
            self.assertNotEqual(self.attempt(d, canary).code, 0)

    def test_a_null_that_is_a_link(self):
        """CVE-2025-31133, youki GHSA-3q8j-pf29-vwv8: a mask never binds what the image calls /dev/null."""
        canary = self.canary()
        d = self.document("stat -c %t:%T /etc/passwd; cat /etc/passwd")
        d["mounts"] = [m for m in d["mounts"] if not m["destination"].startswith("/dev")]
        d["linux"]["maskedPaths"] = ["/etc/passwd"]
        self.replace(d["root"]["path"], "dev/null", os.path.join(canary.path, "file"))
        r = self.attempt(d, canary)
        if r.code == 0:
            self.assertEqual(r.word, "1:3")
        else:
            self.assertIn("/dev/null", r.err)

    def test_a_null_that_is_the_host_s_file(self):
        """crun CVE-2026-88265: what stands at /dev/null is not given to anybody, and the command's streams are the caller's."""
        canary = self.canary()
        d = self.document("sleep 1000")
        d["mounts"] = [m for m in d["mounts"] if not m["destination"].startswith("/dev")]
        d["mounts"].append({"destination": "/dev", "type": "bind", "source": canary.path, "options": ["rbind"]})
        d["process"]["user"] = {"uid": 1000, "gid": 1000}
        pid = self.state_of(self.running(d))["pid"]
        self.assertEqual(os.readlink(f"/proc/{pid}/fd/0"), "/dev/null")
        self.assertEqual(os.stat(f"/proc/{pid}/fd/0").st_rdev, os.makedev(1, 3))
        self.untouched(canary)

    def test_a_console_that_is_a_link(self):
        """CVE-2025-52565, crun CVE-2026-88264."""
        canary = self.canary()
        for name in ("dev/console", "dev/pts/0", "dev/ptmx"):
            d = self.document()
            d["process"]["terminal"] = True
            d["mounts"] = [m for m in d["mounts"] if m["destination"] not in ("/dev", "/dev/shm") and (name != "dev/pts/0" or m["destination"] != "/dev/pts")]
            os.makedirs(os.path.join(d["root"]["path"], "dev/pts"), exist_ok=True)
            self.replace(d["root"]["path"], name, os.path.join(canary.path, "console"))
            listener = Console(tempfile.mkdtemp(dir=self.scratch))
            self.addCleanup(listener.close)
            r = self.oci("create", "--console-socket", listener.path, "-b", self.bundle(d), self.name(), check=False, timeout=20)
            self.untouched(canary, r)

    def test_masks_cover_all_that_is_listed(self):
        """CVE-2015-3630, 2017-16539, 2018-10892, GHSA-7ww5-4wqc-m92c, GHSA-6fw5-f8r9-fgfm: read as nothing, written never, seen in mountinfo."""
        masked = ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
                  "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux", "/proc/kallsyms", "/proc/kmsg", "/sys/kernel/debug", "/sys/module"]
        readonly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        script = """cat /proc/self/mountinfo; echo ==
            for p in $MASKED; do test -e $p || continue; if test -d $p; then echo "$p $(ls -A $p | wc -l)"; else echo "$p $(head -c 64 $p 2>/dev/null | wc -c)"; fi; done; echo ==
            for p in $READONLY; do test -e $p || continue; (: >>$p/x) 2>/dev/null && echo "wrote $p"; (: >>$p) 2>/dev/null && echo "wrote $p"; done
            (echo 1 >/proc/sys/kernel/msgmax) 2>/dev/null && echo wrote sys; true"""
        for edit in (lambda d: d, user_namespace):
            d = edit(self.document(script))
            d["root"]["path"] = self.own_root(100000 if edit is user_namespace else 0)
            d["process"]["env"] += ["MASKED=" + " ".join(masked), "READONLY=" + " ".join(readonly)]
            d["linux"].update(maskedPaths=masked, readonlyPaths=readonly)
            info, seen, wrote = self.run_document(d).out.split("==\n")
            self.assertEqual(wrote, "")
            points = {line.split()[4] for line in info.splitlines()}
            there = [line.split() for line in seen.splitlines()]
            self.assertGreater(len(there), 3)
            for path, size in there:
                self.assertEqual(size, "0", path)
                self.assertIn(path, points)

    def test_files_that_we_read_ourselves(self):
        """CVE-2024-9676 and kin: /etc/passwd as fifo, endless device, huge or leading away does not hold or fool the start."""
        canary = self.canary()
        for kind in ("fifo", "zero", "huge", "link", "directory"):
            d = self.document("echo $HOME")
            path = os.path.join(d["root"]["path"], "etc/passwd")
            os.unlink(path)
            if kind == "fifo":
                os.mkfifo(path)
            elif kind == "zero":
                os.symlink("/dev/zero", path)
            elif kind == "huge":
                with open(path, "w") as f:
                    f.truncate(5 << 30)
            elif kind == "link":
                with open(os.path.join(canary.path, "passwd"), "w") as f:
                    f.write("root:x:0:0::/stolen:/bin/sh\n")
                canary.before = canary.listing()
                canary.events()
                os.symlink(os.path.join(canary.path, "passwd"), path)
            else:
                os.mkdir(path)
            r = self.attempt(d, canary)
            self.assertLess(r.seconds, 5, kind)
            self.assertNotIn("stolen", r.out)


class Descriptors(ThreatTest):
    def test_a_working_directory_that_is_a_descriptor(self):
        """CVE-2024-21626."""
        held = [os.open("/", os.O_RDONLY | os.O_DIRECTORY) for _ in range(3)]
        fds = [os.dup2(held[0], n, inheritable=True) for n in range(20, 31)]
        try:
            name = self.running(config("sleep", "1000"))
            for n in range(3, 31):
                for cwd in (f"/proc/self/fd/{n}", f"/proc/1/fd/{n}", f"/proc/self/fd/{n}/../.."):
                    d = config("pwd", cwd=cwd)
                    r = self.run_document(d, check=False, pass_fds=fds)
                    self.assertNotEqual(r.code, 0, f"{cwd}: {r}")
                r = self.oci("exec", "--cwd", f"/proc/self/fd/{n}", name, "pwd", check=False, pass_fds=fds)
                self.assertNotEqual(r.code, 0, f"{n}: {r}")
        finally:
            for fd in held + fds:
                os.close(fd)

    def test_leaked_descriptors_stay_outside(self):
        fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        os.dup2(fd, 9, inheritable=True)
        try:
            for edit in (lambda d: d, user_namespace):
                r = self.run_document(edit(config("ls", "/proc/self/fd")), pass_fds=[9])
                self.assertEqual(r.out.split(), ["0", "1", "2", "3"])  # 3 is ls's own
            name = self.running(config("sleep", "1000"))
            self.assertEqual(sorted(coffer.fd_links(self.state_of(name)["pid"])), [0, 1, 2])
            self.assertEqual(self.oci("exec", name, "ls", "/proc/self/fd", pass_fds=[9]).out.split(), ["0", "1", "2", "3"])
        finally:
            os.close(fd)
            os.close(9)


class Program(ThreatTest):
    """The runtime's own file and processes, seen from inside."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.peek = os.path.join(cls.scratch, "peek")
        subprocess.run(["cc", "-O2", "-static", "-D_GNU_SOURCE", "-o", cls.peek, os.path.join(coffer.SOURCE, "tests", "evil", "peek.c")], check=True)

    def hostile(self, how, edit=lambda d: d, capabilities=()):
        """A container that runs peek. Return: (id, its notes' path on the host, its root)."""
        d = edit(config("/peek", how, "/out/notes", capabilities=caps(*capabilities)))
        root = self.own_root()
        shutil.copy2(self.peek, os.path.join(root, "peek"))
        os.mkdir(os.path.join(root, "out"))
        os.chmod(os.path.join(root, "out"), 0o777)
        os.makedirs(os.path.join(root, "hang"))
        os.mkfifo(os.path.join(root, "hang", "config.json"), 0o666)
        d["root"] = {"path": root}
        name = self.running(d)
        notes = os.path.join(root, "out", "notes")
        self.assertTrue(wait_until(lambda: os.path.exists(notes) and "ready" in coffer.read_text(notes)), "the attacker is not there")
        return name, notes, root

    def hang_inside(self, program, name):
        """`exec` of our own program by way of /proc/self/exe, which then waits inside for a document that never comes. Return: its pid."""
        with tempfile.NamedTemporaryFile(dir=self.scratch) as f:
            subprocess.run([program, "--root", self.state, "exec", "-d", "--pid-file", f.name, name, "/proc/self/exe", "--root", "/tmp/x", "run", "-b", "/hang", "x"],
                           stdin=subprocess.DEVNULL, check=False, timeout=20)
            text = coffer.read_text(f.name)
        self.assertTrue(text, "exec did not start")
        return int(text)

    def test_the_program_s_file_cannot_be_overwritten(self):
        """CVE-2019-5736: our program runs inside, is opened there, and is opened for writing once nobody runs it."""
        program = os.path.join(self.scratch, "coffer-oci-copy")  # nobody else runs this one
        shutil.copy2(self.program, program)
        digest = hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest()
        name, notes, _ = self.hostile("overwrite", capabilities=["CAP_DAC_OVERRIDE"])
        for _ in range(3):
            pid = self.hang_inside(program, name)
            self.assertTrue(wait_until(lambda: "exe " in coffer.read_text(notes)), "the attacker saw no program of ours: nothing was tried")
            time.sleep(0.2)
            self.assertFalse(os.access(f"/proc/{pid}/exe", os.W_OK), "not even host root may write what runs inside")
            os.kill(pid, signal.SIGKILL)
            time.sleep(1.2)
        self.assertNotIn("\nwrite", coffer.read_text(notes))
        self.assertEqual(hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest(), digest)

    def test_an_ordinary_user_s_program_is_a_sealed_copy(self):
        """The same where the container's root is the user who owns the program: no mount can be made, so a sealed copy in memory runs."""
        uid = 12345
        folder = tempfile.mkdtemp(dir=self.scratch)
        program = os.path.join(folder, "coffer-oci")
        shutil.copy2(self.program, program)
        d = config("/proc/self/exe", "--root", "/tmp/x", "run", "-b", "/hang", "x")
        root = self.own_root()
        os.makedirs(os.path.join(root, "hang"))
        os.mkfifo(os.path.join(root, "hang", "config.json"), 0o666)
        d["root"] = {"path": root}
        user_namespace(d, [{"containerID": 0, "hostID": uid, "size": 1}])
        del d["linux"]["resources"]
        bundle = self.bundle(d)
        d["linux"].pop("cgroupsPath", None)
        with open(os.path.join(bundle, "config.json"), "w") as f:
            json.dump(d, f)
        os.mkdir(os.path.join(folder, "state"))
        subprocess.run(["chown", "-R", f"{uid}:{uid}", root, folder, bundle], check=True)
        os.chmod(folder, 0o755)
        os.chmod(bundle, 0o755)
        argv = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", program, "--root", os.path.join(folder, "state")]
        pid_file = os.path.join(folder, "pid")
        with open(os.path.join(folder, "log"), "w") as log:
            r = subprocess.run([*argv, "run", "-d", "--pid-file", pid_file, "-b", bundle, "x"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=20)
        self.assertEqual(r.returncode, 0, coffer.read_text(log.name))
        try:
            exe = os.readlink(f"/proc/{coffer.read_text(pid_file)}/exe")
            self.assertTrue(exe.startswith("/memfd:coffer-oci"), exe)
        finally:
            subprocess.run([*argv, "delete", "--force", "x"], check=True, timeout=20)

    def test_a_user_namespace_needs_no_copy(self):
        """Nobody inside may write the file of the host's root: the start is not made slower."""
        d = user_namespace(config("true"))
        for document, again in ((d, 0), (config("true"), 1)):
            r = subprocess.run(["strace", "-f", "-e", "trace=execveat", "-o", "/dev/stderr", self.program, "--root", self.state, "run", "-b", self.bundle(document), self.name()],
                               capture_output=True, text=True, stdin=subprocess.DEVNULL)
            self.assertEqual(r.stderr.count("execveat("), again, r.stderr)

    def check_notes(self, notes):
        text = coffer.read_text(notes)
        self.assertNotIn("\nwrite", text)
        for line in re.findall(r"^fd (\d+) (.*)", text, re.M):
            self.assertLess(int(line[0]), 3, text)
        self.assertNotIn("coffer", text)
        return text

    def test_nothing_is_seen_of_an_entering_process(self):
        """CVE-2016-9962, LXC CVE-2016-8649: until it is the command, neither its program nor a descriptor."""
        for edit, capabilities in ((lambda d: d, []), (user_namespace, ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"])):
            name, notes, _ = self.hostile("look", edit, capabilities)
            for _ in range(200):
                self.oci("exec", name, "true")
            self.check_notes(notes)


class Privileges(ThreatTest):
    def test_users_that_are_no_numbers(self):
        """CVE-2016-3697, 2024-40635, 2026-46680, crun 2026-30892: never uid 0 by accident."""
        root = self.own_root()
        with open(os.path.join(root, "etc/passwd"), "w") as f:
            f.write("".join(f"{n}:x:0:0::/:/bin/sh\n" for n in ("root", "1", "1000", "4294967296", "-1", "00")))
        for uid in (4294967295, 4294967296, -1, 99999999999, "1", "root", 1.5, None):
            d = config("id", "-u")
            d["root"] = {"path": root}
            d["process"]["user"] = {"uid": uid, "gid": 0}
            r = self.run_document(d, check=False)
            if uid is None:
                continue  # "null" is as absent
            self.assertEqual((r.code, r.out), (1, ""), f"{uid}: {r}")
        d = config("id", "-u")
        d["root"] = {"path": root}
        d["process"]["user"] = {"uid": 1, "gid": 1}
        self.assertEqual(self.run_document(d).word, "1")
        d = config("sleep", "1000")
        d["root"] = {"path": root}
        name = self.running(d)
        for user in ("4294967295", "4294967296", "-1", "99999999999", "1:-1", " 1", "0x0", "1:4294967295", "", "root", "1:"):
            r = self.oci("exec", "--user", user, name, "id", "-u", check=False)
            self.assertNotEqual(r.code, 0, f"'{user}': {r}")
            self.assertEqual(r.out, "")
        self.assertEqual(self.oci("exec", "--user", "1", name, "id", "-u").word, "1")

    def status(self, text):
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def test_inheritable_capabilities(self):
        """CVE-2022-24769, 29162, 27649-27652, GHSA-c9cp-9c75-9v8c."""
        d = config("sleep", "1000", capabilities=caps("CAP_CHOWN", "CAP_KILL"))
        name = self.running(d)
        for text in (coffer.read_text(f"/proc/{self.state_of(name)['pid']}/status"), self.oci("exec", name, "cat", "/proc/self/status").out,
                     self.oci("exec", "--cap", "CAP_CHOWN", name, "cat", "/proc/self/status").out):
            s = self.status(text)
            self.assertEqual((int(s["CapInh"], 16), int(s["CapAmb"], 16)), (0, 0))

    def test_another_user_has_none(self):
        """CVE-2018-10856, 2016-8867, 2021-20188, youki's exec of 2025."""
        d = config("sleep", "1000", user={"uid": 1000, "gid": 1000}, capabilities=caps("CAP_CHOWN", "CAP_KILL"))
        name = self.running(d)
        first = self.status(coffer.read_text(f"/proc/{self.state_of(name)['pid']}/status"))
        for text in (None, self.oci("exec", name, "cat", "/proc/self/status").out, self.oci("exec", "--user", "1001", name, "cat", "/proc/self/status").out):
            s = self.status(text) if text else first
            self.assertEqual((int(s["CapEff"], 16), int(s["CapPrm"], 16)), (0, 0))
            self.assertEqual(int(s["CapBnd"], 16) & ~int(first["CapBnd"], 16), 0)

    def test_groups_are_the_listed_ones(self):
        """CVE-2022-36109, 2023-25173, 2022-2989, 2990, 2995: a group that is denied stays denied, and none of the caller's comes along."""
        d = self.document("id -G; grep Groups: /proc/self/status; ls /denied && echo in", user={"uid": 1000, "gid": 500, "additionalGids": [500, 7]})
        path = os.path.join(d["root"]["path"], "denied")
        os.mkdir(path)
        os.chown(path, 0, 500)
        os.chmod(path, 0o705)
        folder = self.bundle(d)
        r = self.oci("run", "-b", folder, self.name(), check=False, extra_groups=[0, 4, 27])
        self.assertEqual(sorted(set(r.lines[0].split())), ["500", "7"], r)
        self.assertNotIn("\nin", r.out)
        self.assertEqual(sorted(r.lines[1].split()[1:]), ["500", "7"])

    def test_no_group_of_the_caller_comes_along(self):
        r = self.oci("run", "-b", self.bundle(self.document("cat /proc/self/status", user={"uid": 1000, "gid": 500})), self.name(), extra_groups=[0, 4, 27])
        self.assertLessEqual(set(self.status(r.out)["Groups"].split()), {"500"})

    def test_exec_where_proc_is_covered(self):
        """LXC CVE-2015-1334, CVE-2019-16884: a container whose /proc is something else is entered with everything in force, seen from the host."""
        d = config("sh", "-c", "mount -t tmpfs t /proc; mkdir -p /proc/self/attr /proc/sys/kernel; touch /proc/self/attr/exec /proc/self/setgroups; touch /tmp/up; exec sleep 1000",
                   capabilities=caps("CAP_SYS_ADMIN"))
        d["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ERRNO"}]}
        d["root"] = {"path": self.own_root()}
        name = self.running(d)
        self.assertTrue(wait_until(lambda: self.oci("exec", name, "test", "-e", "/tmp/up", check=False).code == 0))
        pid_file = os.path.join(self.scratch, self.name() + ".pid")
        subprocess.run([self.program, "--root", self.state, "exec", "-d", "--pid-file", pid_file, name, "sleep", "1000"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=20)
        s = coffer.proc_status(int(coffer.read_text(pid_file)))
        self.assertEqual((s["Seccomp"], s["NoNewPrivs"], int(s["CapBnd"], 16), int(s["CapEff"], 16)), ("2", "1", 1 << 21, 1 << 21))


class Kernel(ThreatTest):
    def test_sysctls_that_smuggle(self):
        """CVE-2022-0811, 2022-0532, GHSA-w2j5-3rcx-vx7x."""
        watched = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/shm_rmid_forced", "/proc/sys/kernel/panic")
        before = [coffer.read_text(p) for p in watched]
        for key, value in (("kernel.shm_rmid_forced", "1+kernel.core_pattern=x"), ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=x"), ("kernel/core_pattern", "x"),
                           ("kernel.core_pattern", "x"), ("net.ipv4.../../../kernel/core_pattern", "x"), ("net/../kernel/core_pattern", "x"), ("net.ipv4", "1"), ("", "1"),
                           ("kernel.shm_rmid_forced/../core_pattern", "x"), ("user.max_user_namespaces", "1"), ("kernel.panic", "1")):
            d = config("true")
            d["linux"]["sysctl"] = {key: value}
            r = self.run_document(d, check=False)
            self.assertEqual(r.code, 1, f"{key}={value!r}: {r}")
            self.assertIn("sysctl", r.err)
            self.assertEqual([coffer.read_text(p) for p in watched], before)

    def test_documents_that_are_too_much(self):
        """CVE-2021-43784 and kin: refused in a moment, with a clean message."""
        def maps(d):
            user_namespace(d, [{"containerID": i, "hostID": 100000 + i, "size": 1} for i in range(20000)])

        def path(d):
            d["linux"]["namespaces"] = [{"type": "mount"}, {"type": "network", "path": "/" + "x" * 70000}]

        def destination(d):
            d["mounts"].append({"destination": "/" + "y" * 70000, "type": "tmpfs", "source": "t"})

        def deep(d):
            d["annotations"] = {"x": "y"}
            d["linux"]["deep"] = json.loads("[" * 900 + "]" * 900)

        def arguments(d):
            d["process"]["args"] = ["true"] + ["z" * 1000] * 3500

        for edit in (maps, path, destination, deep, arguments):
            d = config("true")
            edit(d)
            r = self.run_document(d, check=False)
            self.assertEqual(r.code, 1, f"{edit.__name__}: {r.err[:400]}")
            self.assertLess(len(r.err), 2000, edit.__name__)
            self.assertTrue(r.err.startswith("coffer-oci: "), r.err[:200])
            self.assertLess(r.seconds, 5, edit.__name__)

    def test_devices_are_an_allow_list(self):
        """GHSA-g54h-m393-cpwq: what was not named cannot be opened, not even by root with CAP_MKNOD."""
        script = "cd /tmp; for n in 'b 8 0' 'c 10 229' 'c 1 1' 'c 10 200' 'b 7 0' 'c 1 3'; do rm -f n; mknod n $n 2>/dev/null || echo \"no node $n\"; (: <n) 2>/dev/null && echo \"opened $n\"; done; true"
        d = self.document(script, capabilities=caps("CAP_MKNOD"))
        next(m for m in d["mounts"] if m["destination"] == "/tmp")["options"] = ["nosuid", "dev", "mode=1777"]
        d["linux"]["resources"]["devices"] = [{"allow": False, "access": "rwm"}]
        r = self.run_document(d)
        self.assertEqual([line for line in r.lines if line.startswith("opened")], ["opened c 1 3"], r)

    def test_cgroups_are_out_of_reach(self):
        """CVE-2022-0492, 2023-25809: no hierarchy can be mounted, release_agent is not in sight, what is shown read-only stays so."""
        d = self.document("mkdir /mnt/x; for t in cgroup cgroup2; do mount -t $t none /mnt/x && echo mounted; done; find /sys/fs/cgroup -name release_agent; "
                          "find /sys/fs/cgroup -type f -name cgroup.procs -exec sh -c 'echo 1 >$1' x {} \\; -exec echo wrote \\;")
        d["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"]})
        d["linux"]["namespaces"].append({"type": "cgroup"})
        r = self.run_document(d, check=False)
        self.assertEqual(r.out, "")
        self.assertIn("Read-only", r.err)

    def test_nothing_listens_on_an_abstract_address(self):
        """CVE-2020-15257: whoever shares the host's network must not reach a socket of ours."""
        def abstract():
            return {line.split()[-1] for line in coffer.read_text("/proc/net/unix").splitlines() if line.split()[-1].startswith("@")}
        before = abstract()
        name = self.created()
        self.assertEqual([a for a in abstract() - before if "coffer" in a or "oci" in a or name in a], [])


class Calls(ThreatTest):
    """The runtime's system calls: what cannot be raced cannot be won."""

    def trace(self, edit=lambda d: d):
        d = edit(self.document("true"))
        d["process"]["oomScoreAdj"] = 500
        d["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"}
        d["mounts"].append({"destination": "/made/for/this", "type": "tmpfs", "source": "t"})
        d["linux"]["devices"] = [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "uid": 5, "gid": 5}] if edit is not user_namespace else []
        if edit is user_namespace:
            d["root"]["path"] = self.own_root(100000)
        log = os.path.join(self.scratch, self.name() + ".strace")
        subprocess.run(["strace", "-f", "-y", "-s", "256", "-o", log, self.program, "--root", self.state, "run", "-b", self.bundle(d), self.name()], check=True, stdin=subprocess.DEVNULL)
        return coffer.read_text(log).splitlines(), d["root"]["path"]

    def test_writes_to_procfs_go_through_our_own(self):
        """CVE-2025-52881, 2019-16884: sysctls and attributes never by a path that the container could have mounted over."""
        for edit in (lambda d: d, user_namespace):
            lines, _ = self.trace(edit)
            opened = [x for x in lines if re.search(r'openat2?\(.*"[^"]*sys/(net|kernel)/', x)]
            self.assertEqual(len(opened), 2, opened)
            for x in opened:
                self.assertIn("openat2(", x)
                for word in ("RESOLVE_NO_XDEV", "RESOLVE_NO_SYMLINKS", "RESOLVE_NO_MAGICLINKS", "RESOLVE_BENEATH"):
                    self.assertIn(word, x)
                self.assertRegex(x, r'openat2\(\d+<[^>]*>, "sys/')
            moved = next(i for i, x in enumerate(lines) if "move_mount(" in x)
            for x in lines[moved:]:
                self.assertNotRegex(x, r'openat\([^,]*, "/proc/(self|\d+)/(attr|oom|setgroups|uid_map)', x)

    def test_no_path_of_the_root_is_mounted_on_chowned_or_made(self):
        """R1, R2: all by descriptor."""
        for edit in (lambda d: d, user_namespace):
            lines, root = self.trace(edit)
            for x in lines:
                self.assertNotRegex(x, r"\b(chown|lchown|chmod|mknod|mkdir|symlink|link|rename|unlink|umount)\(\"", x)
                if re.search(r" mount\(", x):
                    self.assertRegex(x, r'mount\(NULL, "/", NULL, MS_REC\|MS_(PRIVATE|SLAVE)')
                if re.search(r"(mkdirat|mknodat|symlinkat|fchownat|fchmodat|linkat|unlinkat)\(", x):
                    self.assertNotIn(f'"{root}', x)
            self.assertGreater(sum("move_mount(" in x for x in lines), 8)


if __name__ == "__main__":
    coffer.main()
