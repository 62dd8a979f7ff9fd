# SPDX-License-Identifier: Apache-2.0
"""Where foreign engines run for a test: an arena of their own, and the runtimes they are given.

An Arena is a set of fresh namespaces (mount, pid, net, uts, ipc, cgroup) under a cgroup of its own in every hierarchy:
/run, /var/lib/{containerd,containers,docker,cni} and /home are private, /etc is a copy-on-write view of the host's, the
cgroup mounts show the arena's own subtree as if it were the machine's, and /dev/null is a node of its own (foreign runtimes
chown their standard input to the container's root). Whatever a daemon leaves behind dies with the arena's pid 1; what could
outlive it, the cgroups, is removed and the removal is checked. An arena hides the cgroup2 mount of a host whose controllers
are all on v1, because crun before 1.9 refuses to run beside it.

COFFER_TEST_RUNTIME=PATH puts another runtime in coffer-oci's place (the harness was made green with crun and runc first).

Only the standard library is used.
"""

import contextlib
import glob
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import coffer
import images

CGROUP = "/sys/fs/cgroup"
PRIVATE = ("/run", "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/cni", "/home")


def runtime():
    """The path of the runtime under test: coffer-oci of COFFER_BUILD, or what COFFER_TEST_RUNTIME names."""
    named = os.environ.get("COFFER_TEST_RUNTIME")
    if named:
        return shutil.which(named) or os.path.abspath(named)
    build = os.path.abspath(os.environ.get("COFFER_BUILD") or "")
    path = os.path.join(build, "src", "cmd", "coffer-oci", "coffer-oci")
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{build} holds no program 'coffer-oci': build it first")
    return path


def hierarchies():
    """[(name of the mount point, options)] of the v1 hierarchies mounted here; empty on a host of pure v2."""
    found = []
    for line in coffer.read_text("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ", 1)
        kind, _, options = right.split()[:3]
        point = left.split()[4]
        if kind == "cgroup" and os.path.dirname(point) == CGROUP:
            found.append((os.path.basename(point), ",".join(o for o in options.split(",") if o != "rw")))
    return found


def remove_tree(base):
    """Remove a cgroup and those below it, as far as nobody is in them."""
    for path, _, _ in os.walk(base, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)


class Result:
    """What a command in the arena did."""

    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds

    @property
    def word(self):
        return self.out.strip()

    def __str__(self):
        return f"$ {shlex.join(self.argv)}\nexit {self.code} after {self.seconds:.2f} s\nstdout: {self.out}\nstderr: {self.err}"


class Arena:
    """One set of namespaces with a cgroup subtree. `extra`: shell lines run inside, as root, before anything else."""

    def __init__(self, extra=""):
        self.name = f"coffer-arena.{os.getpid()}.{id(self) & 0xffff:x}"
        self.dir = tempfile.mkdtemp(prefix="coffer-arena.", dir="/var/tmp")
        os.chmod(self.dir, 0o755)
        self.tmp = os.path.join(self.dir, "tmp")
        os.mkdir(self.tmp, 0o1777)
        os.chmod(self.tmp, 0o1777)
        self.v1 = hierarchies()
        self.cgroups = [os.path.join(CGROUP, point, self.name) for point, _ in self.v1] or [os.path.join(CGROUP, self.name)]
        self.proc = None
        try:
            self._make_cgroups()
            self._start(extra)
        except BaseException:
            self.close()
            raise

    # -- making it ----------------------------------------------------------------------------------------------------

    def _make_cgroups(self):
        for old in glob.glob(os.path.join(os.path.dirname(self.cgroups[0]), "coffer-arena.*")):  # of test runs that were killed
            if not os.path.exists("/proc/" + old.split(".")[-2]):
                for path in [os.path.join(os.path.dirname(c), os.path.basename(old)) for c in self.cgroups]:
                    remove_tree(path)
        for path in self.cgroups:
            os.mkdir(path)
            for name in ("cpuset.cpus", "cpuset.mems"):  # v1: empty until somebody says so, and nothing can join
                own, above = os.path.join(path, name), os.path.join(os.path.dirname(path), name)
                if self.v1 and os.path.exists(own):
                    with open(own, "w") as f:
                        f.write(coffer.read_text(above).strip() or "0")
            clone = os.path.join(path, "cgroup.clone_children")
            if os.path.exists(clone):
                with open(clone, "w") as f:
                    f.write("1")

    def _joining(self, *argv):
        """@argv, run in the arena's cgroups."""
        inner = "/init" if self.proc and not self.v1 else ""
        words = " ".join(shlex.quote(c + inner + "/cgroup.procs") for c in self.cgroups)
        return ["sh", "-c", f'for c in {words}; do echo 0 >"$c" || exit 119; done; exec "$@"', "join"] + [str(a) for a in argv]

    def _script(self, extra):
        lines = ["set -e", "trap '' CHLD", "mount -t proc proc /proc", "mkdir -p " + " ".join(PRIVATE)]
        lines += [f"mkdir {self.dir}/null.d && mknod -m 666 {self.dir}/null.d/null c 1 3 && mount --bind {self.dir}/null.d/null /dev/null"]
        lines += [f"mount -t tmpfs -o mode=755 tmpfs {p}" for p in PRIVATE]
        lines += ["mkdir -p /run/lock /run/user && chmod 1777 /run/lock"]
        lines += [f"mkdir {self.dir}/etc {self.dir}/etc.w", f"mount -t overlay -o lowerdir=/etc,upperdir={self.dir}/etc,workdir={self.dir}/etc.w overlay /etc"]
        lines += [f"umount -R {CGROUP}"]
        if self.v1:
            lines += [f"mount -t tmpfs -o mode=755 tmpfs {CGROUP}"]
            lines += [f"mkdir {CGROUP}/{p} && mount -t cgroup -o {shlex.quote(o)} cgroup {CGROUP}/{p}" for p, o in self.v1]
        else:
            lines += [f"mount -t cgroup2 cgroup2 {CGROUP}", f"mkdir {CGROUP}/init", f"echo 0 >{CGROUP}/init/cgroup.procs"]
            # a cgroup with processes hands no controllers down: _start() takes the last one, our parent, away
            lines += [f"for c in $(cat {CGROUP}/cgroup.controllers); do n=0; until echo +$c >{CGROUP}/cgroup.subtree_control; do n=$((n + 1)); [ $n -lt 250 ]; sleep 0.02; done 2>/dev/null; done"]
        lines += ["ip link set lo up 2>/dev/null || true", "hostname arena", extra, "echo ready", "exec sleep infinity"]
        return "\n".join(lines)

    def _start(self, extra):
        # with us go unshare, by its parent's death, and everything inside, by its child's
        argv = self._joining("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--cgroup", "--propagation", "private", "--kill-child", "sh", "-c", self._script(extra))
        # what it writes goes to a file: a pipe would be held open by whatever it leaves running
        log = os.path.join(self.dir, "arena.log")
        with open(log, "w") as out:
            unshare = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self._unshare = unshare
        inner = os.path.join(self.cgroups[0], "init")
        if not self.v1 and coffer.wait_until(lambda: os.path.isdir(inner) or unshare.poll() is not None, 30):
            with open(os.path.join(inner, "cgroup.procs"), "w") as f:
                f.write(str(unshare.pid))
        if not coffer.wait_until(lambda: "ready" in coffer.read_text(log).split() or unshare.poll() is not None, 30) or unshare.poll() is not None:
            raise RuntimeError(f"the arena did not start: {coffer.read_text(log)}")
        self.proc = coffer.children_of(unshare.pid)[0]

    # -- using it -----------------------------------------------------------------------------------------------------

    def argv(self, *argv):
        """The words that run @argv inside."""
        return self._joining("nsenter", "--target", self.proc, "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--wd=/", "--", *argv)

    def env(self, extra=None):
        return dict({"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.dir, "TERM": "xterm", "LANG": "C.UTF-8", "TMPDIR": self.tmp}, **(extra or {}))

    def popen(self, *argv, env=None, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.argv(*argv), env=self.env(env), **kw)

    def run(self, *argv, input=None, check=True, timeout=60, env=None):
        """Run @argv inside. Return: Result; AssertionError unless it exits 0 (check=False: whatever it does)."""
        start = time.monotonic()
        stdin = {"input": input.encode() if isinstance(input, str) else input} if input is not None else {"stdin": subprocess.DEVNULL}
        argv = [str(a) for a in argv]
        try:
            p = subprocess.run(self.argv(*argv), capture_output=True, env=self.env(env), timeout=timeout, **stdin)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f"{shlex.join(argv)} did not end within {timeout} s; stdout {e.stdout!r}, stderr {e.stderr!r}") from None
        result = Result(argv, p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace"), time.monotonic() - start)
        if check and p.returncode != 0:
            raise AssertionError(str(result))
        return result

    def tty(self, *argv, env=None, rows=24, cols=80):
        """Start @argv inside on a terminal. Return: coffer.Tty."""
        return coffer.Tty(self.argv(*argv), self.env(env), rows, cols)

    def daemon(self, *argv, log, env=None):
        """Start a program that stays. @log: file name in the arena's directory. Return: Popen."""
        path = os.path.join(self.dir, log)
        with open(path, "ab") as out:
            return self.popen(*argv, env=env, stdout=out, stderr=out, start_new_session=True)

    def log(self, name, size=6000):
        with contextlib.suppress(OSError):
            return coffer.read_text(os.path.join(self.dir, name))[-size:]
        return ""

    def pids(self):
        """Host pids in the arena's cgroups (freezer, or the one hierarchy of v2), pid 1's left out."""
        base = next((c for c in self.cgroups if "/freezer/" in c), self.cgroups[0])
        found = set()
        for path, _, files in os.walk(base):
            with contextlib.suppress(OSError):
                found.update(int(p) for p in coffer.read_text(os.path.join(path, "cgroup.procs")).split())
        return found - {self.proc, self._unshare.pid}

    # -- ending it ----------------------------------------------------------------------------------------------------

    def _thaw(self):
        for base in self.cgroups:
            for path, _, files in os.walk(base):
                for name, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                    if name in files:
                        with contextlib.suppress(OSError), open(os.path.join(path, name), "w") as f:
                            f.write(word)

    def _remove_cgroups(self):
        for base in self.cgroups:
            remove_tree(base)
        return not any(os.path.isdir(c) for c in self.cgroups)

    def close(self):
        """End everything inside. Raises when something of it stays."""
        if self.proc:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.proc, signal.SIGKILL)
            self._thaw()
            self._unshare.wait()
        gone = coffer.wait_until(self._remove_cgroups, 10, 0.05)
        shutil.rmtree(self.dir, ignore_errors=True)
        if not gone:
            raise AssertionError(f"cgroups of the arena stayed: {[c for c in self.cgroups if os.path.isdir(c)]}")


# ---- images and bundles ------------------------------------------------------------------------------------------------


PAUSE_C = r"""
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int sig) { _exit(sig == SIGTERM || sig == SIGINT ? 0 : 1); }
static void reap(int sig) { (void) sig; while (waitpid(-1, NULL, WNOHANG) > 0); }
int main(void) { signal(SIGTERM, end); signal(SIGINT, end); signal(SIGCHLD, reap); for (;;) pause(); }
"""


def pause_layer(folder):
    """(entries, entrypoint) of an image that waits for its end and reaps: what stands in a pod's sandbox. Without a compiler it is busybox's sleep."""
    folders = [images.Entry.dir(d) for d in ("dev", "proc", "sys", "etc", "run", "bin")]
    if not shutil.which("gcc"):
        with open(images.BUSYBOX, "rb") as f:
            return folders + [images.Entry.file("bin/busybox", f.read(), 0o755)], ["/bin/busybox", "sleep", "1000000"]
    source, target = os.path.join(folder, "pause.c"), os.path.join(folder, "pause")
    with open(source, "w") as f:
        f.write(PAUSE_C)
    subprocess.run(["gcc", "-Os", "-static", "-o", target, source], check=True)
    with open(target, "rb") as f:
        return folders + [images.Entry.file("pause", f.read(), 0o755)], ["/pause"]


class ArenaTest(coffer.unittest.TestCase):
    """A test case with one arena per class; subclasses start their daemon in setUpArena()."""

    EXTRA = ""
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.mounts_before = coffer.mount_points()
        program = runtime()
        cls.arena = Arena(cls.EXTRA)
        cls._ttys = []
        # a copy that every user can reach, wherever the build directory is
        cls.runtime = shutil.copy2(program, os.path.join(cls.arena.dir, os.path.basename(program)))
        os.chmod(cls.runtime, 0o755)
        try:
            cls.setUpArena()
        except BaseException:
            cls.arena.close()
            raise

    @classmethod
    def setUpArena(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        for t in cls._ttys:
            t.close()
        cls.arena.close()
        left = [m for m in coffer.mount_points() - cls.mounts_before if cls.arena.dir in m[0]]
        if left:
            raise AssertionError(f"left behind: mounts {left}")

    def unique(self, stem="c"):
        type(self)._n = getattr(type(self), "_n", 0) + 1
        return f"{stem}{type(self)._n}"

    def assertFails(self, result, code, *words):
        self.assertEqual(result.code, code, str(result))
        for word in words:
            self.assertIn(word.lower(), (result.err + result.out).lower(), str(result))
