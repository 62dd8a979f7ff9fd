# SPDX-License-Identifier: Apache-2.0
"""SELinux in enforcing mode on Debian's refpolicy with share/selinux/coffer.cil: a type and a pair of categories for every container.

OPEN switches every other layer off that would keep two containers apart: host ids, no filter, no Landlock, no masks. A control with
label=disable shows that it is SELinux alone that says no. The module changes the mode of the whole machine, so it runs alone.
"""

import ctypes
import json
import os
import sqlite3
import subprocess
import sys
import unittest

from coffer import CofferTest, read_text
from oci import OciTest, config

VM = "selinux"
ALONE = True
HOST = False

OPEN = ["--userns", "host", "--security-opt", "seccomp=unconfined", "--security-opt", "landlock=unconfined", "--security-opt", "systempaths=unconfined", "--security-opt", "no-new-privileges=false"]
DISABLED = ["--security-opt", "label=disable"]
ALLOW = {"COFFER_ALLOW_HOST": "userns"}
PROCESS = r"^system_u:system_r:container_t:s0:c\d+,c\d+$"
FILE = r"^system_u:object_r:container_file_t:s0:c\d+,c\d+$"
SHARED = "system_u:object_r:container_file_t:s0"

INSIDE = """
import ctypes, errno, os
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
"""


def setUpModule():
    global before
    before = subprocess.run(["getenforce"], capture_output=True, text=True, check=True).stdout.strip()
    enforce(True)


def tearDownModule():
    enforce(before == "Enforcing")


def enforce(on):
    subprocess.run(["setenforce", "1" if on else "0"], check=True)


def label(pid):
    return read_text(f"/proc/{pid}/attr/current").strip("\0\n")


def file_label(path):
    return os.getxattr(path, "security.selinux", follow_symlinks=False).decode().strip("\0")


LIBC = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind, flags):
    """mount(2) by this process: the program mount has a domain of its own, which may do less."""
    if LIBC.mount(source, target, kind, flags, None) < 0:
        raise OSError(ctypes.get_errno(), target)


def umount(target):
    if LIBC.umount2(target, 2) < 0:
        raise OSError(ctypes.get_errno(), target)


def as_label(context, expression):
    """Evaluate @expression in a process of the host's root that has taken the label @context: "ok" or the error's name."""
    code = INSIDE + f"open('/proc/self/attr/current', 'w').write({context!r})\nprint(try_(lambda: {expression}))"
    p = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=60)
    if p.returncode != 0:
        raise AssertionError(p.stderr)
    return p.stdout.strip()


class SELinuxTest(CofferTest):
    def row(self, cid):
        return {r["Layer"]: r for r in self.posture(cid)["Layers"]}["SELinux"]

    def directory(self, name, text="secret\n"):
        path = os.path.join(self.scratch, name)
        os.mkdir(path, 0o755)
        with open(os.path.join(path, "file"), "w") as f:
            f.write(text)
        return path


class Labels(SELinuxTest):
    def test_every_container_has_a_pair_of_its_own(self):
        ids = [self.sleeper() for _ in range(3)]
        labels = [label(self.pid(c)) for c in ids]
        self.assertEqual(len(set(labels)), 3)
        for cid, have in zip(ids, labels):
            self.assertRegex(have, PROCESS)
            facts = self.inspect(cid)
            self.assertEqual(facts["ProcessLabel"], have)
            self.assertRegex(facts["MountLabel"], FILE)
            self.assertEqual(facts["MountLabel"].split(":", 3)[3], have.split(":", 3)[3])
            self.assertEqual(self.coffer("exec", cid, "cat", "/proc/self/attr/current").out.strip("\0\n"), have)
        with sqlite3.connect(f"file:{self.root}/coffer.db?mode=ro", uri=True) as db:
            self.assertLessEqual(set(ids), {row[0] for row in db.execute("SELECT container FROM container_label")})
        self.coffer("rm", "-f", *ids)
        with sqlite3.connect(f"file:{self.root}/coffer.db?mode=ro", uri=True) as db:
            self.assertFalse(set(ids) & {row[0] for row in db.execute("SELECT container FROM container_label")}, "not released")

    def test_who_joins_its_processes_or_ipc_has_its_pair(self):
        one, two = (self.sleeper("--ipc", "shareable") for _ in range(2))
        self.coffer("exec", one, "sh", "-c", "echo shared >/dev/shm/f")
        for flags in (("--ipc", f"container:{one}"), ("--pid", f"container:{one}"), ("--ipc", f"container:{one}", "--pid", f"container:{one}")):
            other = self.sleeper(*flags)
            self.assertEqual(label(self.pid(other)), label(self.pid(one)), flags)
            self.coffer("rm", "-f", other)
        self.assertEqual(self.sh("cat /dev/shm/f && echo more >>/dev/shm/f && echo ok", "--ipc", f"container:{one}").lines, ["shared", "ok"])
        self.assertFails(self.sh("true", "--ipc", f"container:{one}", "--pid", f"container:{two}", check=False), 125, "another user namespace")

    def test_the_label_stays_over_a_restart(self):
        cid = self.sleeper()
        have = label(self.pid(cid))
        self.coffer("restart", "-t", "30", cid)
        self.assertEqual(label(self.pid(cid)), have)

    def test_mounts(self):
        cid = self.sleeper("--tmpfs", "/t")
        mine, root = self.inspect(cid)["MountLabel"], f"/proc/{self.pid(cid)}/root"
        self.coffer("exec", cid, "sh", "-c", "echo x >/made; echo x >/t/made; mkdir /dir")
        for path in ("/", "/bin/busybox", "/etc", "/etc/hosts", "/dev", "/dev/pts", "/dev/shm", "/t", "/t/made", "/made", "/dir"):
            self.assertEqual(file_label(root + path), mine, path)
        for path, kind in (("/proc", "proc_t"), ("/sys", "sysfs_t"), ("/dev/null", "null_device_t")):
            self.assertEqual(file_label(root + path).split(":")[2], kind, path)
        self.assertEqual(file_label(os.path.join(self.root, "containers", cid, "upper", "made")), mine)

    def test_what_containers_do_works(self):
        out = self.sh("echo a >/f && cat /f && ln -s /f /l && cat /l && mkfifo /p && (echo b >/p & cat /p) && echo c >/dev/shm/s && cat /dev/shm/s && head -c 3 /dev/urandom | wc -c"
                      " && cat /proc/meminfo >/dev/null && ls /sys/class >/dev/null && ps >/dev/null && cat /proc/sys/kernel/hostname >/dev/null && echo d >/dev/null && echo e >/etc/new && chmod 600 /etc/new && mv /etc/new /etc/newer && rm /etc/newer && echo done").lines
        self.assertEqual(out, ["a", "a", "b", "c", "3", "done"])
        self.assertEqual(self.sh("sleep 100 & kill -9 $!; wait $!; echo $?").word, "137")
        self.assertEqual(self.run_("--init", self.IMAGE, "sh", "-c", "readlink /proc/1/exe").word, "/dev/init")
        t = self.tty("run", "--rm", "--network", "none", "-it", self.IMAGE, "sh")
        t.line("tty; echo $((6*7))")
        t.expect(r"/dev/pts/0\s+42")
        t.line("exit 3")
        self.assertEqual(t.wait(), 3)
        self.assertEqual(self.sh("(echo hi | nc -l -p 7 >/dev/null) & sleep 1; nc 127.0.0.1 7 </dev/null").word, "hi")
        self.assertEqual(self.coffer("run", "-i", "--rm", "--network", "none", self.IMAGE, "cat", input="stdin").out, "stdin")

    def test_options(self):
        for opts, wanted in ((["label=level:s0:c7,c9"], "system_u:system_r:container_t:s0:c7,c9"), (["label=type:container_t", "label=level:s0:c900,c3"], "system_u:system_r:container_t:s0:c3,c900")):
            cid = self.sleeper(*[w for o in opts for w in ("--security-opt", o)])
            self.assertEqual(label(self.pid(cid)), wanted)
        for flags in (DISABLED, ["--privileged"]):
            cid = self.sleeper(*flags)
            self.assertEqual(label(self.pid(cid)), label("self"))
            self.assertEqual((self.inspect(cid)["ProcessLabel"], self.inspect(cid)["MountLabel"]), ("", ""))

    def test_it_fails_closed(self):
        for opt in ("label=type:no_such_t", "label=user:no_such_u", "label=level:s5", "label=filetype:no_such_t"):
            result = self.sh("echo started", "--security-opt", opt, check=False)
            self.assertFails(result, 125, opt.split(":", 1)[1])
            self.assertNotIn("started", result.out)
        for bad in ("label=nonsense", "label=type:a:b", "label=level:s0\"x", "label="):
            self.assertRefused("create", "--security-opt", bad, self.IMAGE, "true", words=["label"])

    def test_posture(self):
        cid = self.sleeper()
        have = label(self.pid(cid))
        self.assertEqual((self.row(cid)["State"], self.row(cid)["Value"]), ("ok", f"{have} (enforcing)"))
        self.assertEqual(self.posture(cid)["Facts"]["SELinux"], {"Present": True, "Enforcing": True, "Label": have})
        self.assertRegex(self.coffer("posture", cid).out, r"(?m)^  AppArmor +absent +absent on this host$")
        self.addCleanup(enforce, True)
        enforce(False)
        self.assertEqual((self.row(cid)["State"], self.row(cid)["Value"]), ("weakened", f"{have} (permissive)"))
        enforce(True)
        row = self.row(self.sleeper(*DISABLED))
        self.assertEqual((row["State"], row["By"]), ("weakened", "--security-opt label=disable"))
        self.assertIn("name=selinux", self.coffer("info", "--format", "{{json .SecurityOptions}}").out)


class Apart(SELinuxTest):
    EXTRA_ENV = ALLOW

    def test_two_containers_cannot_read_each_other_s_files(self):
        """Every other layer is off: both are the host's root with the same directory bound in."""
        shared = self.directory("private")
        one = self.sleeper(*OPEN, "-v", f"{shared}:/d:Z")
        self.coffer("exec", one, "sh", "-c", "cat /d/file; echo more >/d/more; echo mine >/in-the-layer")
        upper = os.path.join(self.root, "containers", one, "upper")
        for path, name in ((shared, "file"), (shared, "more"), (upper, "in-the-layer")):
            with self.subTest(path=path, name=name):
                self.assertEqual(self.sh(f"cat /x/{name}", *OPEN, *DISABLED, "-v", f"{path}:/x").code, 0, "the control")
                for script in (f"cat /x/{name}", f"echo spoilt >/x/{name}", f"rm /x/{name}", "echo new >/x/new", "ls /x/"):
                    self.assertFails(self.sh(script, *OPEN, "-v", f"{path}:/x", check=False), 1, "denied")
        self.assertEqual(self.coffer("exec", one, "cat", "/d/file", "/d/more", "/in-the-layer").lines, ["secret", "more", "mine"])

    def test_nor_trace_or_signal(self):
        one, two = (self.pid(self.sleeper(*OPEN)) for _ in range(2))
        context = label(one)
        for pid, wanted in ((one, "ok"), (two, "EACCES"), (1, "EACCES")):
            self.assertEqual(as_label(context, f"os.kill({pid}, 28)"), wanted)
            self.assertIn(as_label(context, f"call(libc.ptrace(0x4206, {pid}, 0, 0))"), ("ok",) if wanted == "ok" else ("EACCES", "EPERM"))
        self.assertEqual(as_label(label("self"), f"os.kill({two}, 28)"), "ok", "the control")

    def test_the_host_s_files_are_out_of_reach(self):
        for path, name in (("/etc", "hostname"), ("/root", "."), ("/var/lib", "dpkg")):
            self.assertEqual(self.sh(f"ls /x/{name}", *OPEN, *DISABLED, "-v", f"{path}:/x:ro").code, 0, "the control")
            self.assertFails(self.sh(f"ls /x/{name}; cat /x/{name}", *OPEN, "-v", f"{path}:/x:ro", check=False), 1, "denied")

    def test_shared_on_request(self):
        shared = self.directory("shared")
        one = self.sleeper(*OPEN, "-v", f"{shared}:/d:z")
        self.coffer("exec", one, "sh", "-c", "echo from-one >/d/new")
        self.assertEqual(self.sh("cat /d/file /d/new; echo from-two >>/d/new", *OPEN, "-v", f"{shared}:/d:z").lines, ["secret", "from-one"])
        self.assertEqual(self.coffer("exec", one, "cat", "/d/new").lines, ["from-one", "from-two"])
        self.assertEqual({file_label(os.path.join(shared, n)) for n in (".", "file", "new")}, {SHARED})

    def test_volumes_are_shared(self):
        self.sh("echo kept >/v/f", "-v", "named:/v")
        self.assertEqual(self.sh("cat /v/f", "-v", "named:/v").word, "kept")
        self.assertEqual(file_label(os.path.join(self.root, "volumes", "named", "_data")), SHARED)


class Relabelling(SELinuxTest):
    def test_links_are_not_followed(self):
        inside, outside = self.directory("inside"), self.directory("outside")
        before = file_label(os.path.join(outside, "file"))
        os.symlink(outside, os.path.join(inside, "link"))
        os.symlink(os.path.join(outside, "file"), os.path.join(inside, "file-link"))
        os.mkdir(os.path.join(inside, "sub"))
        cid = self.sleeper("-v", f"{inside}:/d:Z")
        mine = self.inspect(cid)["MountLabel"]
        for name in (".", "file", "link", "file-link", "sub"):
            self.assertEqual(file_label(os.path.join(inside, name)), mine, name)
        self.assertEqual([file_label(outside) != mine, file_label(os.path.join(outside, "file"))], [True, before])

    def test_other_mounts_are_left_alone(self):
        inside = self.directory("with-mount")
        sub = os.path.join(inside, "sub")
        os.mkdir(sub)
        mount(b"x", sub.encode(), b"tmpfs", 0)
        self.addCleanup(umount, sub.encode())
        before = file_label(sub)
        self.sh("true", "-v", f"{inside}:/d:z")
        self.assertEqual(file_label(inside), SHARED)
        self.assertEqual(file_label(sub), before)

    def test_refused_for_the_host_s_own(self):
        for path in ("/", "/usr", "/usr/bin", "/etc", "/home", "/root", "/var", "/var/lib", "/tmp", "/home/tester"):
            before = file_label(path)
            result = self.sh("echo started", "-v", f"{path}:/d:Z", check=False)
            self.assertFails(result, 125, "relabelling", path)
            self.assertEqual(file_label(path), before)

    def test_not_asked_for_not_done(self):
        plain = self.directory("plain")
        before = file_label(plain)
        self.assertFails(self.sh("cat /d/file", "-v", f"{plain}:/d", check=False), 1, "denied")
        self.sh("true", *DISABLED, "-v", f"{plain}:/d:Z")
        self.assertEqual([file_label(plain), file_label(os.path.join(plain, "file"))], [before, before])


class OtherTypes(SELinuxTest):
    """The operator's settings name types that the policy lacks: no container, and the setting is named."""

    SETTINGS = {"selinux-process-type": "no_such_t"}
    # coffer in a mount namespace of its own where daemon.json says SETTINGS
    WRAP = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def must(r):
    if r < 0:
        raise OSError(ctypes.get_errno(), 'mount')
must(libc.unshare(0x20000))
must(libc.mount(None, b'/', None, 0x44000, None))
must(libc.mount(sys.argv[1].encode(), b'/etc/coffer', None, 0x1000, None))
os.execv(sys.argv[2], sys.argv[2:])
"""

    @classmethod
    def _with_etc(cls, files):
        os.makedirs("/etc/coffer", exist_ok=True)
        mine = os.path.join(cls.scratch, "etc-coffer")
        os.mkdir(mine)
        with open(os.path.join(mine, "daemon.json"), "w") as f:
            json.dump(cls.SETTINGS, f)
        return [sys.executable, "-S", "-c", cls.WRAP, mine]

    def test_it_fails_closed(self):
        self.assertFails(self.sh("echo started", check=False), 125, "no_such_t", "selinux-process-type", "coffer.cil")
        self.assertEqual(self.sh("echo started", *DISABLED).word, "started")


class Runtime(OciTest):
    """coffer-oci: process.selinuxLabel and linux.mountLabel as they stand, and exec --process-label."""

    PROCESS, FILE = "system_u:system_r:container_t:s0:c11,c22", "system_u:object_r:container_file_t:s0:c11,c22"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for path, dirs, files in os.walk(cls.rootfs):
            for name in [*files, *dirs, "."]:
                os.setxattr(os.path.join(path, name), "security.selinux", SHARED.encode() + b"\0", follow_symlinks=False)

    def document(self, *args, process=PROCESS, mount=FILE):
        document = config(*args, selinuxLabel=process)
        document["linux"]["mountLabel"] = mount
        return document

    def test_the_document_is_obeyed(self):
        cid = self.running(self.document("sleep", "1000"))
        pid = self.state_of(cid)["pid"]
        self.assertEqual(label(pid), self.PROCESS)
        self.assertEqual({file_label(f"/proc/{pid}/root{p}") for p in ("/dev", "/dev/pts", "/dev/shm")}, {self.FILE})
        self.assertEqual(file_label(f"/proc/{pid}/root/proc").split(":")[2], "proc_t")
        self.assertEqual(self.oci("exec", cid, "cat", "/proc/self/attr/current").out.strip("\0\n"), self.PROCESS)
        other = "system_u:system_r:container_t:s0:c1,c22"
        self.assertEqual(self.oci("exec", "--process-label", other, cid, "cat", "/proc/self/attr/current").out.strip("\0\n"), other)

    def test_keys(self):
        """The session keyring has the container's label. Permissive meanwhile: the program that tells is the host's."""
        self.addCleanup(enforce, True)
        enforce(False)
        document = self.document("keyctl", "security", "@s")
        document["root"] = {"path": "/", "readonly": True}
        self.assertEqual(self.run_document(document).out.strip("\0\n"), self.PROCESS)

    def test_it_fails_closed(self):
        for field, document in (("process.selinuxLabel", self.document("echo", "started", process="a:b:no_such_t:s0")),
                                ("linux.mountLabel", self.document("echo", "started", mount="a:b:no_such_t:s0"))):
            result = self.run_document(document, check=False)
            self.assertNotEqual(result.code, 0)
            self.assertIn(field, result.err)
            self.assertIn("no_such_t", result.err)
            self.assertNotIn("started", result.out)


if __name__ == "__main__":
    unittest.main()
