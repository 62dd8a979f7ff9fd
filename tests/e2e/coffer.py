# SPDX-License-Identifier: Apache-2.0
"""The end-to-end harness: a private engine per test class, terminals, host facts, and a check that nothing is left.

Every class derived from CofferTest gets its own state (COFFER_ROOT, on a disk file system) and run directory
(COFFER_RUN), so classes may run side by side. Binaries come from the build directory named by COFFER_BUILD; they are
staged as hard links in a directory of this process, so that a process that outlives its test is recognised by its
executable. tearDownClass removes every container and then proves that the host is as it was: no mount, no cgroup, no
process and no file of a container left.

Only the standard library is used.
"""

import atexit
import contextlib
import ctypes
import errno
import fcntl
import glob
import hashlib
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import images  # noqa: E402  (a sibling module)

PROGRAMS = ("coffer-monitor", "coffer-unpack", "coffer-fetch", "coffer-files", "coffer-init", "coffer-dns")
DEFAULT_TIMEOUT = 60
SLOW = int(os.environ.get("COFFER_SLOW", "1"))  # every wait is that many times longer: the VM lane says 4
CGROUP = "/sys/fs/cgroup"


# ---- the network ----------------------------------------------------------------------------------------------------


CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


_machine_network = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def machine_network():
    """Within it this process is in the machine's own network, for what fetches packages."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(_machine_network, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns(the machine's network)")
        yield
    finally:
        if _libc.setns(own, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns(the test's network)")
        os.close(own)


def new_network():
    """Move this process, and what it starts from now on, into a network namespace of its own: bridges, rules and switches of the machine are not the tests'."""
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(s, 0x8913, request))[1]  # SIOCGIFFLAGS
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", flags | 1))  # SIOCSIFFLAGS, IFF_UP


def interfaces():
    """Names of the interfaces here."""
    return sorted(name for _, name in socket.if_nameindex())


# ---- staging -------------------------------------------------------------------------------------------------------


def scratch_dir(prefix):
    """A fresh directory on a disk file system: overlays on tmpfs are another path through the kernel."""
    for base in ("/var/tmp", "/var/lib", "/tmp"):
        if os.path.isdir(base) and os.access(base, os.W_OK) and filesystem_of(base) not in ("tmpfs", "ramfs", "overlay"):
            return tempfile.mkdtemp(prefix=prefix, dir=base)
    raise RuntimeError("no writable directory on a disk file system among /var/tmp, /var/lib and /tmp")


def read_text(path):
    with open(path) as f:
        return f.read()


def filesystem_of(path):
    """The type of the file system that holds @path, from mountinfo."""
    path, best, kind = os.path.realpath(path), "", ""
    for line in read_text("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ", 1)
        point = left.split()[4]
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


class Stage:
    """The programs under test, as one installation would lay them out; made once per process."""

    _one = None

    def __init__(self):
        build = os.environ.get("COFFER_BUILD")
        if not build:
            raise RuntimeError("COFFER_BUILD must name the build directory under test")
        self.build = os.path.abspath(build)
        self.dir = tempfile.mkdtemp(prefix="coffer-stage.", dir="/var/tmp")
        atexit.register(shutil.rmtree, self.dir, True)
        self.libexec = os.path.join(self.dir, "libexec")
        os.mkdir(self.libexec)
        self.coffer = self._place("coffer", os.path.join(self.dir, "coffer"))
        for name in PROGRAMS:
            self._place(name, os.path.join(self.libexec, name))

    def _place(self, name, target):
        found = [p for p in glob.glob(os.path.join(self.build, "src", "cmd", "*", name)) if os.access(p, os.X_OK) and os.path.isfile(p)]
        if not found:
            raise RuntimeError(f"{self.build} holds no program '{name}': build it first")
        try:
            os.link(found[0], target)
        except OSError:
            shutil.copy2(found[0], target)
        return target

    @property
    def cofferd(self):
        """The daemon, beside coffer; placed when a test first asks for it."""
        path = os.path.join(self.dir, "cofferd")
        return path if os.path.exists(path) else self._place("cofferd", path)

    @classmethod
    def get(cls):
        if cls._one is None:
            cls._one = Stage()
        return cls._one


# ---- results -------------------------------------------------------------------------------------------------------


class Result:
    """What a command did: exit code, stdout, stderr (text) and the seconds it took."""

    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def word(self):
        return self.out.strip()

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"$ coffer {' '.join(self.argv)}\nexit {self.code} after {self.seconds:.2f} s\nstdout: {self.out}\nstderr: {self.err}"


class Tty:
    """A command on a terminal of its own (session leader, controlling terminal), driven as by expect(1)."""

    def __init__(self, argv, env, rows=24, cols=80, cwd=None):
        self.master, self.slave = pty.openpty()
        self.resize(rows, cols)
        self.before_attrs = termios.tcgetattr(self.slave)
        self.seen = b""
        self._pos = 0
        slave = self.slave

        def child():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.proc = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env, cwd=cwd, preexec_fn=child, close_fds=True)

    def resize(self, rows, cols):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def resize_live(self, rows, cols):
        """Resize and tell the foreground program, as a terminal emulator's ioctl does by itself."""
        self.resize(rows, cols)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.proc.pid, signal.SIGWINCH)

    def send(self, data):
        if isinstance(data, str):
            data = data.encode()
        while data:
            data = data[os.write(self.master, data):]

    def line(self, text):
        self.send(text + "\r")

    def _pump(self, timeout):
        ready, _, _ = select.select([self.master], [], [], timeout)
        if not ready:
            return False
        try:
            chunk = os.read(self.master, 65536)
        except OSError as e:
            if e.errno == errno.EIO:
                return False
            raise
        self.seen += chunk
        return bool(chunk)

    def expect(self, pattern, timeout=15):
        """Wait for the regular expression @pattern after what was already matched. Return: the match."""
        expression = re.compile(pattern.encode() if isinstance(pattern, str) else pattern, re.S)
        timeout *= SLOW
        deadline = time.monotonic() + timeout
        while True:
            m = expression.search(self.seen, self._pos)
            if m:
                self._pos = m.end()
                return m
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no {pattern!r} within {timeout} s; after the last match: {self.seen[self._pos:]!r} (exit {self.proc.poll()})")
            self._pump(min(left, 0.2))

    def drain(self, seconds=0.3):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._pump(0.05)
        return self.seen[self._pos:]

    def wait(self, timeout=30):
        """Wait for the command to end, reading its output meanwhile. Return: exit code."""
        timeout *= SLOW
        deadline = time.monotonic() + timeout
        while self.proc.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"still running after {timeout} s; output: {self.seen!r}")
            self._pump(0.05)
        while self._pump(0.05):
            pass
        return self.proc.returncode

    def attrs(self):
        return termios.tcgetattr(self.slave)

    @property
    def text(self):
        return self.seen.decode(errors="replace")

    def hang_up(self):
        """Close the terminal, as when its window goes."""
        for fd in (self.slave, self.master):
            if fd >= 0:
                os.close(fd)
        self.master = self.slave = -1

    def close(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        self.hang_up()


# ---- host facts ----------------------------------------------------------------------------------------------------


def mount_points():
    """(mount point, file system type, source) of every mount in the host's table."""
    facts = set()
    for line in read_text("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ", 1)
        kind, source = right.split()[:2]
        facts.add((left.split()[4], kind, source))
    return facts


def cgroup_roots():
    """The mounted cgroup hierarchies, v1 and v2."""
    return sorted(point for point, kind, _ in mount_points() if kind in ("cgroup", "cgroup2"))


def coffer_cgroups():
    """Directories of containers (64 hex digits) below coffer/ in every hierarchy, as paths."""
    found = set()
    for root in cgroup_roots():
        base = os.path.join(root, "coffer")
        for path, dirs, _ in os.walk(base):
            found.update(os.path.join(path, d) for d in dirs if re.fullmatch("[0-9a-f]{64}", d))
    return found


def engine_of(path):
    """COFFER_RUN of the engine whose container has processes in the cgroup at @path: its monitor's. None: no process, or no monitor above it."""
    try:
        pids = read_text(os.path.join(path, "cgroup.procs")).split()
    except OSError:
        return None
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, StopIteration):  # a process that has left: the next one knows
            for _ in range(64):
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)") == "coffer-monitor":
                    with open(f"/proc/{pid}/environ", "rb") as f:
                        return next(v[11:].decode() for v in f.read().split(b"\0") if v.startswith(b"COFFER_RUN="))
                pid = read_text(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[1]
    return None


def proc_status(pid):
    """/proc/PID/status as a dict."""
    with open(f"/proc/{pid}/status") as f:
        return dict((k, v.strip()) for k, v in (line.split(":", 1) for line in f if ":" in line))


def id_map(pid, which="uid"):
    """[(inside, outside, count)] of /proc/PID/uid_map or gid_map, seen from the host."""
    with open(f"/proc/{pid}/{which}_map") as f:
        return [tuple(int(x) for x in line.split()) for line in f]


def fd_links(pid):
    """{fd: link target} of a process."""
    links = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            links[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return links


def children_of(pid):
    found = []
    for stat in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError):
            with open(stat) as f:
                text = f.read()
            if int(text.rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(text.split(" ", 1)[0]))
    return found


def pid_exists(pid):
    """True while @pid runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def tree_listing(root):
    """{relative path: facts} of a directory tree, contents by digest: what a canary compares."""
    facts = {}
    for path, dirs, files in os.walk(root):
        for name in dirs + files + ["."]:
            full = os.path.normpath(os.path.join(path, name))
            st = os.lstat(full)
            digest = ""
            if os.path.islink(full):
                digest = os.readlink(full)
            elif os.path.isfile(full):
                with open(full, "rb") as f:
                    digest = hashlib.sha256(f.read()).hexdigest()
            facts[os.path.relpath(full, root)] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_size if not os.path.isdir(full) else 0, st.st_mtime_ns, digest)
    return facts


class Canary:
    """A host directory that no container may read, change or create in."""

    SECRET = "canary-content-that-must-not-leak"

    def __init__(self, parent):
        self.path = os.path.join(parent, "canary")
        os.makedirs(os.path.join(self.path, "dir"))
        for name in ("file", "passwd", "dir/inner"):
            with open(os.path.join(self.path, name), "w") as f:
                f.write(self.SECRET + "\n")
        os.chmod(self.path, 0o755)
        self._before = tree_listing(self.path)

    def changes(self):
        now = tree_listing(self.path)
        return {k: (self._before.get(k), now.get(k)) for k in set(now) | set(self._before) if now.get(k) != self._before.get(k)}


def wait_until(condition, timeout=10, interval=0.02):
    """Poll @condition until it is true. Return: its last value."""
    deadline = time.monotonic() + timeout * SLOW
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(interval)


# ---- the test case -------------------------------------------------------------------------------------------------


class CofferTest(unittest.TestCase):
    """One private engine per class, with the image `IMAGE` (busybox) loaded when NEEDS_IMAGE is set."""

    IMAGE = "busybox"
    NEEDS_IMAGE = True
    EXTRA_ENV = {}
    ETC = {}  # {"/etc/subuid": text}: coffer runs in a mount namespace where these files say that
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        new_network()
        cls.stage = Stage.get()
        cls.scratch = scratch_dir("coffer-e2e.")
        cls.root = os.path.join(cls.scratch, "root")
        cls.run_dir = tempfile.mkdtemp(prefix="coffer-t.", dir="/run")
        os.chmod(cls.run_dir, 0o700)
        cls.mounts_before = mount_points()
        cls._ttys, cls._procs = [], []
        cls.env = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "HOME": cls.scratch,
            "TERM": "xterm",
            "LANG": "C",
            "COFFER_ROOT": cls.root,
            "COFFER_RUN": cls.run_dir,
            "COFFER_LIBEXEC": cls.stage.libexec,
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "COFFER_DEBUG"):
            if name in os.environ:
                cls.env[name] = os.environ[name]
        cls.env.update(cls.EXTRA_ENV)
        cls.command = cls._with_etc(cls.ETC) + [cls.stage.coffer]
        if cls.NEEDS_IMAGE:
            try:
                cls.coffer_("load", "-i", images.starter(cls.IMAGE), timeout=120)
                cls._remember_containers()
            except BaseException:
                cls._discard()
                raise

    @classmethod
    def _remember_containers(cls):
        """Have the database keep the id of every container that is made, so that leftovers() knows whose a cgroup is: engines of other tests, which
        may have a /run of their own, make and lose containers at the same time."""
        with contextlib.closing(sqlite3.connect(os.path.join(cls.root, "coffer.db"), timeout=20)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS made_by_test(id TEXT)")
            db.execute("CREATE TRIGGER IF NOT EXISTS made_by_test AFTER INSERT ON container BEGIN INSERT INTO made_by_test VALUES(new.id); END")

    @classmethod
    def made_containers(cls):
        """The ids of all containers of this class, those that are gone included; None when that cannot be told."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{cls.root}/coffer.db?mode=ro", timeout=20, uri=True)) as db:
                return {cid for cid, in db.execute("SELECT id FROM made_by_test")}
        except sqlite3.Error:
            return None

    @classmethod
    def _with_etc(cls, files):
        """The words in front of coffer that show it other contents of @files; the host's files are not touched."""
        if not files:
            return []
        script = []
        for path, text in files.items():
            mine = os.path.join(cls.scratch, "etc-" + os.path.basename(path))
            with open(mine, "w") as f:
                f.write(text)
            os.chmod(mine, 0o644)
            script.append(f"mount --bind {mine} {path}")
        return ["unshare", "-m", "--propagation", "private", "sh", "-ec", "; ".join(script) + '; exec "$0" "$@"']

    @classmethod
    def tearDownClass(cls):
        for t in cls._ttys:
            t.close()
        for p in cls._procs:
            if p.poll() is None:
                p.kill()
            p.wait()
            for stream in (p.stdin, p.stdout, p.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
        try:
            ids = cls.coffer_("ps", "-aq", "--no-trunc", check=False).out.split()
            removed = cls.coffer_("rm", "-f", *ids, check=False) if ids else None
            problems = [] if not removed or removed.code == 0 else [f"rm -f of what was left failed: {removed}"]
            problems += cls.leftovers()
        finally:
            cls._discard()
        if problems:
            raise AssertionError("left behind: " + "; ".join(problems))

    @classmethod
    def _discard(cls):
        for pid in cls.processes():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not cls.processes(), 5)
        shutil.rmtree(cls.scratch, ignore_errors=True)
        shutil.rmtree(cls.run_dir, ignore_errors=True)

    # -- running ------------------------------------------------------------------------------------------------

    @classmethod
    def coffer_(cls, *args, input=None, check=True, timeout=DEFAULT_TIMEOUT, env=None, cwd=None, pass_fds=()):
        argv = [str(a) for a in args]
        full = dict(cls.env, **(env or {}))
        timeout *= SLOW
        start = time.monotonic()
        if isinstance(input, str):
            input = input.encode()
        stdin = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        try:
            p = subprocess.run(cls.command + argv, capture_output=True, env=full, timeout=timeout, cwd=cwd, pass_fds=pass_fds, **stdin)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f"coffer {' '.join(argv)} did not end within {timeout} s; stdout {e.stdout!r}, stderr {e.stderr!r}") from None
        err = p.stderr.decode(errors="surrogateescape")
        if "ASAN_OPTIONS" in full:  # the leak checker's own trouble, once in thousands of processes
            err = re.sub(r"(?m)^==\d+==(LeakSanitizer has encountered a fatal error|HINT: ).*\n", "", err)
        result = Result(argv, p.returncode, p.stdout.decode(errors="surrogateescape"), err, time.monotonic() - start)
        if check and result.code != 0:
            raise AssertionError(str(result))
        return result

    def coffer(self, *args, **kw):
        """Run coffer with @args; fail the test unless it exits 0 (check=False: whatever). Return: Result."""
        return self.coffer_(*args, **kw)

    def run_(self, *args, **kw):
        """`coffer run --rm --network none ARGS`."""
        return self.coffer_("run", "--rm", "--network", "none", *args, **kw)

    def sh(self, script, *flags, **kw):
        """Run @script by the image's shell in a fresh default container. Return: Result."""
        return self.run_(*flags, self.IMAGE, "sh", "-c", script, **kw)

    def detached(self, *args, **kw):
        """`coffer run -d --network none ARGS`. Return: the id; removed when the test ends."""
        cid = self.coffer_("run", "-d", "--network", "none", *args, **kw).word
        self.assertRegex(cid, "^[0-9a-f]{64}$")
        self.addCleanup(self.coffer_, "rm", "-f", cid, check=False)
        return cid

    def sleeper(self, *flags):
        """A detached container that sleeps until it is killed; its init ends on TERM."""
        return self.detached(*flags, self.IMAGE, "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done")

    def popen(self, *args, env=None, **kw):
        """Start coffer in the background, with pipes unless told otherwise. Ended with the test class."""
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        p = subprocess.Popen(self.command + [str(a) for a in args], env=dict(self.env, **(env or {})), **kw)
        type(self)._procs.append(p)
        return p

    def tty(self, *args, rows=24, cols=80, env=None):
        """Start coffer on a terminal. Return: Tty."""
        t = Tty(self.command + [str(a) for a in args], dict(self.env, **(env or {})), rows, cols)
        type(self)._ttys.append(t)
        return t

    def shell_tty(self, *argv, rows=24, cols=80):
        """Start any command on a terminal (say `sh`, to run coffer under job control). Return: Tty."""
        t = Tty([str(a) for a in argv], self.env, rows, cols)
        type(self)._ttys.append(t)
        return t

    # -- asking -------------------------------------------------------------------------------------------------

    def inspect(self, ref):
        return self.coffer_("inspect", ref).json()[0]

    def pid(self, ref):
        """Host pid of the container's init."""
        pid = self.inspect(ref)["State"]["Pid"]
        self.assertGreater(pid, 0)
        return pid

    def status(self, ref):
        return self.inspect(ref)["State"]["Status"]

    def wait_status(self, ref, status, timeout=10):
        wait_until(lambda: self.status(ref) == status, timeout)
        self.assertEqual(self.status(ref), status)

    def monitor_pid(self, ref):
        """Host pid of the container's monitor: the parent of its init."""
        return int(proc_status(self.pid(ref))["PPid"])

    def unique(self, stem="c"):
        type(self)._n = getattr(type(self), "_n", 0) + 1
        return f"{stem}{type(self)._n}"

    def posture(self, ref):
        return self.coffer_("posture", "--format", "json", ref).json()

    def assertFails(self, result, code, *words):
        """@result has exit @code and says every one of @words (case does not matter) on stderr."""
        self.assertEqual(result.code, code, str(result))
        for word in words:
            self.assertIn(word.lower(), result.err.lower(), str(result))

    def assertRefused(self, *args, code=125, words=(), **kw):
        """`coffer ARGS` is refused with @code, says @words, and leaves nothing new behind."""
        before = set(self.coffer_("ps", "-aq", "--no-trunc").out.split())
        result = self.coffer_(*args, check=False, **kw)
        self.assertFails(result, code, *words)
        self.assertEqual(set(self.coffer_("ps", "-aq", "--no-trunc").out.split()), before, f"a refused command left a container: {result}")
        return result

    # -- leftovers ----------------------------------------------------------------------------------------------

    @classmethod
    def processes(cls):
        """Pids of coffer programs of this class: by their environment or, once staged programs of ours, by the bundle they hold."""
        found = []
        needle = f"COFFER_RUN={cls.run_dir}".encode()
        for entry in glob.glob("/proc/[0-9]*"):
            try:
                pid = int(entry[6:])
                if pid == os.getpid() or not os.readlink(entry + "/exe").startswith(cls.stage.dir + "/"):
                    continue
                with open(entry + "/environ", "rb") as f:
                    ours = needle in f.read().split(b"\0")
                if not ours:
                    ours = any(t.startswith((cls.run_dir + "/", cls.root + "/")) for t in fd_links(pid).values())
                if ours and pid_exists(pid):
                    found.append(pid)
            except (OSError, ValueError):
                continue
        return found

    @classmethod
    def leftovers(cls, containers=()):
        """What this engine left on the host besides the containers with the full ids @containers. Return: list of complaints."""

        def once():
            problems = []
            made = cls.made_containers()
            for point, kind, source in mount_points() - cls.mounts_before:
                if point.startswith((cls.scratch, cls.run_dir)) or kind == "overlay":
                    problems.append(f"mount of {kind} {source} at {point}")
            for path in coffer_cgroups():
                cid = os.path.basename(path)
                if made is not None:
                    ours = cid in made
                else:
                    ours = not glob.glob(f"/run/coffer*/containers/{cid}") and engine_of(path) in (None, cls.run_dir)
                if ours and cid not in containers:
                    problems.append(f"cgroup {path}")
            if not containers:
                problems += [f"interface {name}" for name in interfaces() if re.fullmatch("cf[0-9a-f]{3}v[0-9a-f]{9}", name)]
                problems += [f"process {pid} ({' '.join(cmdline(pid))})" for pid in cls.processes()]
            bundles = os.path.join(cls.run_dir, "containers")
            if os.path.isdir(bundles):
                problems += [f"bundle {b}" for b in os.listdir(bundles) if b not in containers]
            stored = os.path.join(cls.root, "containers")
            if os.path.isdir(stored):
                problems += [f"container directory {b}" for b in os.listdir(stored) if b not in containers]
            temp = os.path.join(cls.root, "tmp")
            if os.path.isdir(temp):
                problems += [f"temporary {b}" for b in os.listdir(temp)]
            return problems

        # suites run side by side, and another one's container may come or go between two looks: only what every look sees is left behind
        lasting = once()

        def gone():
            seen = set(once())
            lasting[:] = [p for p in lasting if p in seen]
            return not lasting

        wait_until(gone, 5, 0.1)
        return lasting

    def assertNothingLeft(self, containers=()):
        self.assertEqual(self.leftovers(containers), [])


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return [a.decode(errors="replace") for a in f.read().rstrip(b"\0").split(b"\0")]
    except OSError:
        return []


def main():
    unittest.main(module="__main__", verbosity=2)
