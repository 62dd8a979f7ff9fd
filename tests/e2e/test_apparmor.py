# SPDX-License-Identifier: Apache-2.0
"""AppArmor: our profile is generated, loaded and enforced; every denial with the other layers that would deny it too switched off.

Two ways to have AppArmor alone: a container with --privileged (every capability of its namespace, no filter, no Landlock, no
masks) that is given the profile nevertheless, beside one that is not; and a process of the host's root that enters a container's profile
by /proc/self/attr, with nothing else around it.

The module takes profiles out of the kernel, so it runs alone.
"""

import os
import subprocess
import sys
import unittest

from coffer import CofferTest, read_text
from oci import OciTest, config

VM = "apparmor"
ALONE = True
HOST = False

OPEN = ["--privileged", "--security-opt", "apparmor=unconfined"]
ONLY = ["--privileged", "--security-opt", "apparmor=coffer-default"]

ENTER = """
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def try_(what):
    try:
        what()
        return 'ok'
    except OSError as e:
        return errno.errorcode[e.errno]
def call(r):
    if r < 0:
        raise OSError(ctypes.get_errno(), '')
def close(fd):
    os.close(fd)
"""


def label(pid):
    return read_text(f"/proc/{pid}/attr/apparmor/current").strip()


def profiles():
    return dict(line.rsplit(" ", 1) for line in read_text("/sys/kernel/security/apparmor/profiles").splitlines())


def under(profile, *expressions):
    """Evaluate each of @expressions in a process of the host's root under @profile. Return: "ok" or the error's name; a list of several."""
    code = ENTER + "print(open('/proc/self/attr/apparmor/current').read().split()[0])\n" + "".join(f"print(try_(lambda: {e}))\n" for e in expressions)

    def enter():
        with open("/proc/self/attr/apparmor/exec", "w") as f:
            f.write(f"exec {profile}")

    p = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=60, preexec_fn=enter)
    if p.returncode != 0:
        raise AssertionError(p.stderr)
    got, *answers = p.stdout.split()
    if got != profile:
        raise AssertionError(f"entered {got} instead of {profile}")
    return answers if len(answers) > 1 else answers[0]


def load_profile(text):
    subprocess.run(["apparmor_parser", "-r", "-K"], input=text, text=True, check=True, capture_output=True)


def unload_profile(name):
    with open("/sys/kernel/security/apparmor/.remove", "w") as f:
        f.write(name)


class Enforced(CofferTest):
    def test_every_container_has_a_profile_of_its_own(self):
        one, two = self.sleeper(), self.sleeper()
        names = [label(self.pid(c)) for c in (one, two)]
        for name, cid in zip(names, (one, two)):
            self.assertRegex(name, r"^coffer-default-\d+ \(enforce\)$")
            self.assertEqual(self.inspect(cid)["AppArmorProfile"], name.split()[0])
            self.assertEqual(profiles()[name.split()[0]], "(enforce)")
            self.assertEqual(self.coffer("exec", cid, "cat", "/proc/self/attr/apparmor/current").word, name)
        self.assertNotEqual(*names)

    def test_a_number_is_given_again(self):
        first = self.sh("cat /proc/self/attr/apparmor/current").word
        self.assertEqual(self.sh("cat /proc/self/attr/apparmor/current").word, first)
        state = os.listdir(os.path.join(self.root, "apparmor"))
        self.assertIn(first.split()[0] + ".bin", state)
        self.assertFalse([n for n in state if n.endswith((".tmp", ".log"))], state)

    def test_info_says_so(self):
        self.assertIn("name=apparmor", self.coffer("info", "--format", "{{json .SecurityOptions}}").out)

    def assertOnly(self, script, wanted="denied"):
        """@script works in an open container, and AppArmor alone stops it in another."""
        control = self.sh(script, *OPEN, "--tmpfs", "/mnt", check=False)
        self.assertEqual(control.code, 0, f"the control: {control}")
        confined = self.sh(script, *ONLY, "--tmpfs", "/mnt", check=False)
        self.assertNotEqual(confined.code, 0, str(confined))
        self.assertIn(wanted, (confined.out + confined.err).lower(), str(confined))

    def test_mounts(self):
        self.assertOnly("mount -t tmpfs x /tmp")
        self.assertOnly("mount -o bind /etc /mnt")
        self.assertOnly("mount -o remount,bind,ro /mnt")
        self.assertOnly("umount /dev/shm")
        self.assertOnly("mkdir /mnt/old && pivot_root /mnt /mnt/old")

    def test_proc_sys(self):
        self.assertOnly("echo 1 >/proc/sys/net/ipv4/ip_forward")
        self.assertOnly("echo 1000 >/proc/sys/kernel/shmmni")

    def test_own_process_directory_is_writable(self):
        self.assertEqual(self.sh("echo 500 >/proc/self/oom_score_adj; echo x >/proc/self/comm; cat /proc/self/oom_score_adj", *ONLY).word, "500")

    def test_a_process_cannot_leave(self):
        out = self.sh("echo 'changeprofile unconfined' >/proc/self/attr/apparmor/current; cat /proc/self/attr/apparmor/current", *ONLY, check=False)
        self.assertRegex(out.word, r"^coffer-default-\d+ \(enforce\)$", str(out))
        self.assertIn("denied", out.err.lower())

    def test_the_host_s_root_under_the_profile(self):
        """Nothing but AppArmor: the same calls by the same root, in and out of the profile."""
        profile = label(self.pid(self.sleeper())).split()[0]
        subprocess.run(["modprobe", "af_alg"], check=False)
        alg, reach = "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)", "close(os.open('{}', os.O_{}))"
        self.assertEqual(under("unconfined", alg), "ok")
        allowed = ["socket.socket(socket.AF_INET, socket.SOCK_STREAM)", "socket.socketpair(socket.AF_UNIX)", reach.format("/proc/self/comm", "WRONLY"), reach.format("/etc/hostname", "RDONLY")]
        self.assertEqual(under(profile, *allowed), ["ok"] * len(allowed))
        writes = ["/proc/sysrq-trigger", "/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/irq/default_smp_affinity",
                  "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/pm_async", "/sys/class/net/lo/mtu", "/sys/module/printk/parameters/time"]
        reads = ["/sys/kernel/security/lsm", "/sys/kernel/security/apparmor/profiles", "/proc/kcore"]
        opens = [reach.format(p, "WRONLY") for p in writes] + [reach.format(p, "RDONLY") for p in reads]
        control = under("unconfined", *opens)
        there = [o for o, r in zip(opens, control) if r == "ok"]
        self.assertEqual(set(control) - {"ok", "ENOENT"}, set(), control)  # a kernel may lack one or the other
        self.assertGreaterEqual(len(there), 8, control)
        calls = [f"call({c})" for c in ("libc.mount(b'x', b'/mnt', b'tmpfs', 0, None)", "libc.umount2(b'/dev/shm', 2)", "libc.syscall(155, b'/mnt', b'/mnt')")]
        denied = [alg, *there, *calls]
        self.assertEqual(dict(zip(denied, under(profile, *denied))), dict.fromkeys(denied, "EACCES"))

    def test_powercap_is_out_of_reach(self):
        """Where the kernel has no such directory, another stands in its place: paths are what AppArmor looks at."""
        profile = label(self.pid(self.sleeper())).split()[0]
        script = "mount -t tmpfs x /sys/devices/virtual && mkdir /sys/devices/virtual/powercap /sys/devices/virtual/other && touch /sys/devices/virtual/{powercap,other}/energy_uj && exec \"$@\""
        for where, wanted in (("powercap", "Permission denied"), ("other", "")):
            argv = [sys.executable, "-S", "-c", f"open('/proc/self/attr/apparmor/exec', 'w').write('exec {profile}'); import os; os.execv('/bin/cat', ['cat', '/sys/devices/virtual/{where}/energy_uj'])"]
            p = subprocess.run(["unshare", "-m", "bash", "-ec", script, "x", *argv], capture_output=True, text=True, timeout=60)
            self.assertEqual("Permission denied" if "Permission denied" in p.stderr else p.stderr, wanted)

    def test_two_containers_cannot_trace_or_signal_each_other(self):
        one, two = (self.pid(self.sleeper()) for _ in range(2))
        profile = label(one).split()[0]
        seize = "call(libc.ptrace(0x4206, {}, 0, 0))"  # PTRACE_SEIZE; ends with the tracer
        for pid, wanted in ((one, "ok"), (two, "EACCES"), (os.getpid(), "EACCES")):
            self.assertEqual(under(profile, f"os.kill({pid}, 0)", f"os.kill({pid}, 28)", seize.format(pid)), [wanted] * 3)  # SIGWINCH: ignored
        self.assertEqual(under(profile, f"close(os.open('/proc/{two}/environ', os.O_RDONLY))"), "EACCES")
        self.assertEqual(under("unconfined", f"os.kill({two}, 28)", seize.format(two)), ["ok", "ok"], "the control")

    def test_who_joins_its_processes_has_its_profile(self):
        one = self.sleeper("--ipc", "shareable")
        number = self.inspect(one)["AppArmorProfile"]
        other = self.sleeper("--pid", f"container:{one}", "--ipc", f"container:{one}")
        self.assertEqual(label(self.pid(other)).split()[0], number)
        self.assertEqual(self.sh("kill -0 1 && kill -WINCH 1 && echo sent", "--pid", f"container:{one}").word, "sent")
        self.coffer("rm", "-f", one, other)
        self.assertEqual(self.inspect(self.sleeper())["AppArmorProfile"], number, "its number is free when both are gone")

    def test_the_host_still_stops_and_watches_it(self):
        cid = self.sleeper()
        self.assertEqual({r["Layer"]: r["State"] for r in self.posture(cid)["Layers"]}["seccomp"], "ok")  # read back by ptrace
        self.coffer("stop", "-t", "30", cid)
        self.assertEqual(self.inspect(cid)["State"]["ExitCode"], 0)


class Chosen(CofferTest):
    CUSTOM = "profile coffer-test-{0} flags=({1}) {{\n file,\n network,\n capability,\n signal,\n deny /etc/passwd r,\n}}\n"

    def custom(self, name, flags="attach_disconnected"):
        load_profile(self.CUSTOM.format(name, flags))
        self.addCleanup(unload_profile, f"coffer-test-{name}")
        return f"coffer-test-{name}"

    def row(self, cid):
        return {r["Layer"]: r for r in self.posture(cid)["Layers"]}["AppArmor"]

    def test_posture(self):
        cid = self.sleeper()
        row = self.row(cid)
        self.assertEqual((row["State"], row["Value"]), ("ok", label(self.pid(cid))))
        self.assertEqual(self.posture(cid)["Facts"]["AppArmor"], {"Present": True, "Profile": label(self.pid(cid)).split()[0], "Mode": "enforce"})
        self.assertRegex(self.coffer("posture", cid).out, r"(?m)^  AppArmor +ok +coffer-default-\d+ \(enforce\)$")
        self.assertRegex(self.coffer("posture", cid).out, r"(?m)^  SELinux +absent +absent on this host$")

    def test_unconfined(self):
        for flags, by in ((["--security-opt", "apparmor=unconfined"], "--security-opt apparmor=unconfined"), (["--privileged"], "--privileged")):
            cid = self.sleeper(*flags)
            self.assertEqual(label(self.pid(cid)), "unconfined")
            self.assertEqual(self.inspect(cid)["AppArmorProfile"], "unconfined")
            self.assertEqual((self.row(cid)["State"], self.row(cid)["By"]), ("weakened", by))

    def test_custom_profile(self):
        name = self.custom("custom")
        self.assertEqual(self.sh("cat /proc/self/attr/apparmor/current", "--security-opt", f"apparmor={name}").word, f"{name} (enforce)")
        self.assertFails(self.sh("cat /etc/passwd", "--security-opt", f"apparmor={name}", check=False), 1, "permission denied")
        self.assertIn("root", self.sh("cat /etc/passwd").out)
        cid = self.sleeper("--security-opt", f"apparmor={name}")
        self.assertEqual((self.row(cid)["State"], self.inspect(cid)["AppArmorProfile"]), ("ok", name))
        self.assertFails(self.coffer("exec", cid, "cat", "/etc/passwd", check=False), 1, "permission denied")

    def test_complain_mode(self):
        name = self.custom("complain", "attach_disconnected,complain")
        self.assertIn("root", self.sh("cat /etc/hostname; head -1 /etc/passwd || echo root", "--security-opt", f"apparmor={name}").out)
        cid = self.sleeper("--security-opt", f"apparmor={name}")
        row = self.row(cid)
        self.assertEqual((row["State"], row["Value"]), ("weakened", f"{name} (complain)"))
        self.assertIn("complain", row["Why"])

    def test_a_profile_that_is_not_loaded_ends_the_start(self):
        result = self.sh("echo started", "--security-opt", "apparmor=coffer-test-missing", check=False)
        self.assertFails(result, 125, "coffer-test-missing", "apparmor_parser")
        self.assertNotIn("started", result.out)
        name = self.custom("gone")
        cid = self.coffer("create", "--network", "none", "--security-opt", f"apparmor={name}", self.IMAGE, "true").word
        unload_profile(name)
        self.assertFails(self.coffer("start", cid, check=False), 1, name)
        load_profile(self.CUSTOM.format("gone", "attach_disconnected"))
        self.coffer("start", "-a", cid)

    def test_another_container_s_profile_cannot_be_asked_for(self):
        name = label(self.pid(self.sleeper())).split()[0]
        self.assertRefused("create", "--security-opt", f"apparmor={name}", self.IMAGE, "true", words=[name])
        for bad in ("", "a b", ":ns:x", "a//&b"):
            self.assertRefused("create", "--security-opt", f"apparmor={bad}", self.IMAGE, "true", words=["apparmor"])

    def test_a_profile_that_was_taken_out_of_the_kernel_is_loaded_again(self):
        name = self.sh("cat /proc/self/attr/apparmor/current").word.split()[0]
        before = os.stat(os.path.join(self.root, "apparmor", name + ".bin")).st_mtime_ns
        unload_profile(name)
        self.assertNotIn(name, profiles())
        self.assertEqual(self.sh("cat /proc/self/attr/apparmor/current").word, f"{name} (enforce)")
        self.assertEqual(os.stat(os.path.join(self.root, "apparmor", name + ".bin")).st_mtime_ns, before, "compiled again")

    def test_a_profile_of_another_version_is_replaced(self):
        name = self.sh("cat /proc/self/attr/apparmor/current").word.split()[0]
        text = os.path.join(self.root, "apparmor", name)
        with open(text, "a") as f:
            f.write("# older\n")
        os.unlink(os.path.join(self.run_dir, "apparmor", name))
        self.sh("true")
        self.assertNotIn("# older", read_text(text))

    def test_exec_has_no_more_than_the_container(self):
        cid = self.sleeper()
        result = self.coffer("exec", "--privileged", cid, "cat", "/proc/self/attr/apparmor/current", check=False)
        self.assertTrue(result.code != 0 or result.word == label(self.pid(cid)), str(result))


class WithoutParser(CofferTest):
    """Where apparmor_parser is not installed and nothing was compiled yet, there is no profile: then no container."""

    ETC = {"/usr/sbin/apparmor_parser": "not a program\n"}

    def test_it_fails_closed(self):
        result = self.sh("echo started", check=False)
        self.assertFails(result, 125, "apparmor_parser", "not installed")
        self.assertNotIn("started", result.out)
        self.assertEqual(self.sh("echo started", "--security-opt", "apparmor=unconfined").word, "started")


class Runtime(OciTest):
    """coffer-oci: process.apparmorProfile as it stands, and exec --apparmor."""

    TEXT = "profile coffer-oci-{0} flags=(attach_disconnected) {{\n file,\n network,\n capability,\n signal,\n mount,\n umount,\n deny /etc/plain r,\n}}\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("one", "two"):
            load_profile(cls.TEXT.format(name))

    @classmethod
    def tearDownClass(cls):
        for name in ("one", "two"):
            unload_profile(f"coffer-oci-{name}")
        super().tearDownClass()

    def test_the_document_is_obeyed(self):
        for profile, wanted in (("coffer-oci-one", "coffer-oci-one (enforce)"), ("unconfined", "unconfined"), (None, "unconfined"), ("", "unconfined")):
            process = {} if profile is None else {"apparmorProfile": profile}
            self.assertEqual(self.output("cat /proc/self/attr/apparmor/current", **process).strip(), wanted)
        self.assertEqual(self.output("cat /etc/plain >/dev/null 2>&1 || echo denied", apparmorProfile="coffer-oci-one").strip(), "denied")

    def test_exec(self):
        cid = self.running(config("sleep", "1000", apparmorProfile="coffer-oci-one"))
        self.assertEqual(label(self.state_of(cid)["pid"]), "coffer-oci-one (enforce)")
        cat = ("cat", "/proc/self/attr/apparmor/current")
        self.assertEqual(self.oci("exec", cid, *cat).word, "coffer-oci-one (enforce)")
        self.assertEqual(self.oci("exec", "--apparmor", "coffer-oci-two", cid, *cat).word, "coffer-oci-two (enforce)")
        self.assertEqual(self.oci("exec", "--apparmor", "unconfined", cid, *cat).word, "unconfined")
        failed = self.oci("exec", "--apparmor", "coffer-oci-missing", cid, *cat, check=False)
        self.assertNotEqual(failed.code, 0)
        self.assertIn("coffer-oci-missing", failed.err)

    def test_it_fails_closed(self):
        document = config("echo", "started", apparmorProfile="coffer-oci-missing")
        result = self.run_document(document, check=False)
        self.assertNotEqual(result.code, 0)
        self.assertIn("process.apparmorProfile", result.err)
        self.assertIn("coffer-oci-missing", result.err)
        self.assertNotIn("started", result.out)

    def test_a_mount_over_proc_does_not_take_the_label(self):
        """CVE-2019-16884: a /proc of the bundle's making, in which the attribute is an ordinary file."""
        fake = os.path.join(self.scratch, "fake-proc")
        for pid in ("self", "1"):
            os.makedirs(os.path.join(fake, pid, "attr", "apparmor"))
            for path in ("attr/exec", "attr/apparmor/exec"):
                with open(os.path.join(fake, pid, path), "w"):
                    pass
        document = config("sleep", "1000", apparmorProfile="coffer-oci-one")
        document["mounts"] = [m for m in document["mounts"] if m["destination"] != "/proc"] + [{"destination": "/proc", "type": "bind", "source": fake, "options": ["bind"]}]
        document["linux"].pop("maskedPaths")
        document["linux"].pop("readonlyPaths")
        folder = self.bundle(document)
        name = self.name()
        with open(os.path.join(folder, "output"), "w") as out:
            p = subprocess.run([self.program, "--root", self.state, "run", "-d", "-b", folder, name], stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=60)
        if p.returncode == 0:  # refused is as good
            self.addCleanup(self.oci, "delete", "--force", name)
            self.assertEqual(label(self.state_of(name)["pid"]), "coffer-oci-one (enforce)")


if __name__ == "__main__":
    unittest.main()
