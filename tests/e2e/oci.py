# SPDX-License-Identifier: Apache-2.0
"""Bundles for the runtime's tests: take config(), edit the dict, run it, read back what the container saw.

Every class derived from OciTest has a state directory (--root) of its own and one busybox root file system, shared read-only by
its bundles. When the class ends, the harness proves that the runtime has left nothing: no state, process, cgroup or mount.
The runtime is coffer-oci of COFFER_BUILD; COFFER_TEST_RUNTIME=PATH puts another in its place, to see what runc or crun would do.
"""

import contextlib
import copy
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import coffer

APPLETS = """[ ash awk cat chmod chown cp cut date dd df echo egrep env expr false find grep head hostname id ip kill ls mkdir mknod mount mv nc nproc
od ping printf ps pwd readlink rm rmdir sed seq sh sleep sort stat stty sync tail tee test timeout touch tr true tty ulimit umount uname uniq vi wc which xargs""".split()

CAPS = ["CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID"]

BASE = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["PATH=/bin:/usr/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": True},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},
    ],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")],
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}


def program():
    """The path of the runtime under test."""
    if os.environ.get("COFFER_TEST_RUNTIME"):
        return os.environ["COFFER_TEST_RUNTIME"]
    path = os.path.join(os.path.abspath(os.environ["COFFER_BUILD"]), "src", "cmd", "coffer-oci", "coffer-oci")
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path}: no such program: build it first")
    return path


def config(*args, **process):
    """A document like `spec` writes, whose command is @args; keywords replace members of "process"."""
    c = copy.deepcopy(BASE)
    if args:
        c["process"]["args"] = list(args)
    c["process"].update(process)
    return c


def shell(script, **process):
    return config("sh", "-c", script, **process)


def rootfs_make(path):
    """A root file system of busybox, with the mount points that BASE needs."""
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "usr/bin", "root", "home", "mnt", "run"):
        os.makedirs(os.path.join(path, name))
    shutil.copy2(shutil.which("busybox"), os.path.join(path, "bin", "busybox"))
    for name in APPLETS:
        os.symlink("busybox", os.path.join(path, "bin", name))
    with open(os.path.join(path, "etc", "passwd"), "w") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n")
    with open(os.path.join(path, "etc", "plain"), "w") as f:
        f.write("not a program\n")


class Console:
    """A listener for --console-socket."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "console.sock")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(self.path)
        self.sock.listen(1)

    def receive(self):
        """(name, master descriptor)"""
        self.sock.settimeout(10)
        conn, _ = self.sock.accept()
        with conn:
            data, fds, _, _ = socket.recv_fds(conn, 4096, 4)
        assert len(fds) == 1, f"{len(fds)} descriptors"
        return data.decode(), fds[0]

    def close(self):
        self.sock.close()
        os.unlink(self.path)


def read_until(fd, word, timeout=10):
    """Read a terminal's master until @word was seen, or its end. Return: what was read."""
    seen, end = b"", time.monotonic() + timeout
    while word.encode() not in seen and time.monotonic() < end:
        ready, _, _ = coffer.select.select([fd], [], [], 0.2)
        if ready:
            try:
                chunk = os.read(fd, 4096)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
    return seen.decode(errors="replace")


def cgroups_of(word):
    """Cgroup directories anywhere whose path holds @word."""
    found = set()
    for root in coffer.cgroup_roots():
        for path, dirs, _ in os.walk(root):
            found.update(os.path.join(path, d) for d in dirs if word in os.path.join(path, d))
    return found


class OciTest(unittest.TestCase):
    maxDiff = None
    GLOBAL = ()  # options before every command

    @classmethod
    def setUpClass(cls):
        cls.program = program()
        cls.scratch = coffer.scratch_dir("coffer-oci.")
        os.chmod(cls.scratch, 0o755)
        cls.state = tempfile.mkdtemp(prefix="coffer-oci.", dir="/run")
        cls.word = os.path.basename(cls.scratch).replace(".", "-")
        cls.rootfs = os.path.join(cls.scratch, "rootfs")
        rootfs_make(cls.rootfs)
        cls.mounts_before = coffer.mount_points()
        cls._count = 0

    @classmethod
    def tearDownClass(cls):
        problems = []
        left = subprocess.run([cls.program, "--root", cls.state, "list", "-q"], capture_output=True, text=True).stdout.split()
        for name in left:
            subprocess.run([cls.program, "--root", cls.state, "delete", "--force", name], capture_output=True)
        if os.path.isdir(cls.state) and os.listdir(cls.state):
            problems.append(f"state left: {os.listdir(cls.state)}")
        if cgroups_of(cls.word):
            problems.append(f"cgroups left: {sorted(cgroups_of(cls.word))}")
        new = coffer.mount_points() - cls.mounts_before
        if any(cls.scratch in str(m) for m in new):
            problems.append(f"mounts left: {new}")
        # what SIGKILL has reached needs a moment to go; a process that stays is a finding
        if not coffer.wait_until(lambda: not cls.processes(), 5):
            problems.append(f"processes left: {cls.processes()}")
        shutil.rmtree(cls.scratch, ignore_errors=True)
        shutil.rmtree(cls.state, ignore_errors=True)
        if problems:
            raise AssertionError("; ".join(problems))

    @classmethod
    def processes(cls):
        """Processes whose root or working directory is ours, or that have our scratch directory among their words."""
        found, ours = [], os.stat(os.path.join(cls.rootfs, "bin/busybox"))
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                theirs = os.stat(f"/proc/{pid}/root/bin/busybox")
                if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino) and coffer.pid_exists(int(pid)):
                    with open(f"/proc/{pid}/cmdline") as f:
                        found.append((int(pid), f.read().replace("\0", " ")))
        return found

    def name(self):
        type(self)._count += 1
        return f"c{self._count}"

    def python(self, script, *args):
        """A document whose command is @script, run by the host's python."""
        d = config(os.path.realpath("/usr/bin/python3"), "-S", "-c", script, *args)
        for folder in ("/usr", "/lib", "/lib64"):
            os.makedirs(self.rootfs + folder, exist_ok=True)
            d["mounts"].append({"destination": folder, "type": "bind", "source": os.path.realpath(folder), "options": ["rbind", "ro"]})
        return d

    def bundle(self, document, rootfs=True):
        """A directory with config.json; "rootfs" is the class's. cgroupsPath is filled in unless the document says one."""
        folder = tempfile.mkdtemp(prefix="b.", dir=self.scratch)
        document["linux"].setdefault("cgroupsPath", f"/{self.word}.{os.path.basename(folder)}")
        if rootfs and document.get("root", {}).get("path") == "rootfs":
            document["root"]["path"] = self.rootfs
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump(document, f)
        self.addCleanup(shutil.rmtree, folder, True)
        return folder

    def oci(self, *args, check=True, code=None, timeout=60, input=None, env=None, cwd=None, pass_fds=(), root=None, stdin=None, **kw):
        """Run the runtime. @check: fail the test unless it exits 0 (or @code)."""
        argv = [self.program, "--root", root or self.state, *self.GLOBAL, *map(str, args)]
        start = time.monotonic()
        if input is None and stdin is None:
            stdin = subprocess.DEVNULL
        p = subprocess.run(argv, text=True, capture_output=True, timeout=timeout, input=input, stdin=None if input is not None else stdin,
                           env=dict(os.environ, **(env or {})), cwd=cwd, pass_fds=pass_fds, **kw)
        r = coffer.Result(argv[1:], p.returncode, p.stdout, p.stderr, time.monotonic() - start)
        if code is not None:
            self.assertEqual(r.code, code, r)
        elif check:
            self.assertEqual(r.code, 0, r)
        return r

    def run_document(self, document, *options, **kw):
        """`run` in the foreground."""
        return self.oci("run", *options, "-b", self.bundle(document), self.name(), **kw)

    def output(self, script, edit=None, **process):
        """What @script prints in a container of its own. @edit: called with the document."""
        document = shell(script, **process)
        if edit:
            edit(document)
        return self.run_document(document).out

    def created(self, document=None, *options):
        """A container that waits for start. Its streams are a file's. Return: id."""
        return self._detached("create", document, options)

    def running(self, document=None, *options):
        """A container whose command runs (`sleep` by default). Return: id."""
        return self._detached("run", document, ("-d", *options))

    def _detached(self, verb, document, options):
        name = self.name()
        folder = self.bundle(document or config("sleep", "1000"))
        self.log = os.path.join(folder, "output")
        with open(self.log, "w") as out:
            argv = [self.program, "--root", self.state, *self.GLOBAL, verb, *map(str, options), "--bundle", folder, name]
            p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=60)
        self.assertEqual(p.returncode, 0, coffer.read_text(self.log))
        self.addCleanup(self.oci, "delete", "--force", name)
        return name

    def state_of(self, name):
        return json.loads(self.oci("state", name).out)

    def wait_status(self, name, status, timeout=10):
        self.assertTrue(coffer.wait_until(lambda: self.state_of(name)["status"] == status, timeout), self.state_of(name))

    def nothing_of(self, name, *folders):
        """Assert that no state, cgroup or process of @name is there."""
        self.assertFalse(os.path.exists(os.path.join(self.state, name)))
        for folder in folders:
            self.assertEqual(cgroups_of(os.path.basename(folder)), set())

    def stop(self, name):
        self.oci("kill", name, "KILL", check=False)
        self.wait_status(name, "stopped")

    @contextlib.contextmanager
    def reaper(self):
        """Processes that lose their parent become ours meanwhile, as under conmon or a shim."""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(36, 1, 0, 0, 0)
        try:
            yield
        finally:
            libc.prctl(36, 0, 0, 0, 0)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


__all__ = ["BASE", "CAPS", "Console", "OciTest", "cgroups_of", "config", "program", "read_until", "rootfs_make", "shell", "signal"]
