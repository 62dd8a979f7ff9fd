# SPDX-License-Identifier: Apache-2.0
"""The fault harness: kill -9 to whom you like at every named point of an operation, then nothing may be lost or left (P8).

src/base/fault.h has the points and the page through which they are armed. A walk takes one operation, learns by one undisturbed run which
points it passes, and repeats it for each point and each victim: the process that comes to the point is held there, the victim is
killed, the held one goes on. Then the daemon is started anew if it was the victim, and FaultTest.settle() asks:

  every container is as recorded (what is said to run does, what is said not to run has no process and no cgroup, and starts again)
  or cleanly gone; its name is free after a forced removal; no row, directory, lock, cgroup, process or temporary file is left

The next round uses the same names and the same image: the next command works.

An operation is a row of a walk's OPS:

    Op("rename", ("rename", "xx", "yy"), before="running", names=("xx", "yy"), victims="self cli daemon")

before: what the container xx is when the operation begins ("": no container). names: what the container may be called afterwards.
"""

import contextlib
import errno
import glob
import mmap
import os
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import tempfile
import time

import coffer
import daemon
import images

NAME_MAX, LOG_MAX = 48, 4000
MAGIC = 0x31544C46
HOLD, KILL, FAIL, DELAY = 1, 2, 3, 4
IDLE, ARMED, HELD, RELEASED = range(4)
LOG_AT, LOG_ROW = 32 + NAME_MAX, 4 + NAME_MAX
PATIENCE = 30
EVERY = bool(os.environ.get("COFFER_FAULTS_EVERY"))  # no round is left out
FAILURES_MAX = int(os.environ.get("COFFER_FAULTS_FAILURES", "8"))


class Page:
    """struct fault_page of src/base/fault.h, in a file that every process of the engine under test maps."""

    def __init__(self):
        fd, self.path = tempfile.mkstemp(prefix="coffer-fault.", dir="/run")
        os.ftruncate(fd, LOG_AT + LOG_MAX * LOG_ROW)
        self.map = mmap.mmap(fd, 0)
        os.close(fd)
        self._put(0, MAGIC)

    def close(self):
        self.map.close()
        os.unlink(self.path)

    def _put(self, at, value):
        self.map[at:at + 4] = struct.pack("=I", value & 0xFFFFFFFF)

    def _get(self, at):
        return struct.unpack("=I", self.map[at:at + 4])[0]

    @property
    def state(self):
        return self._get(16)

    @property
    def pid(self):
        """Of the held process, in its own pid namespace."""
        return self._get(20)

    def arm(self, name, action=HOLD, value=0, nth=1):
        self._put(16, IDLE)
        self.map[32:32 + NAME_MAX] = name.encode().ljust(NAME_MAX, b"\0")
        self._put(4, action)
        self._put(8, value)
        self._put(12, nth)
        self._put(16, ARMED)

    def disarm(self):
        """Nothing is armed; whoever is held goes on."""
        self._put(16, RELEASED if self.state == HELD else IDLE)

    def release(self):
        self._put(16, RELEASED)

    def clear_log(self):
        self._put(24, 0)
        self.map[LOG_AT:] = bytes(LOG_MAX * LOG_ROW)

    def log(self):
        """[point] in the order in which they were passed."""
        n = self._get(24)
        if n > LOG_MAX:
            raise AssertionError(f"{n} points were passed, and the page has room for {LOG_MAX}")
        rows = (self.map[LOG_AT + i * LOG_ROW + 4:LOG_AT + (i + 1) * LOG_ROW] for i in range(n))
        names = [r.rstrip(b"\0").decode() for r in rows]
        return [name for name in names if name]  # a row is counted before it is written


class Op:
    """One row of a walk. @argv: coffer's arguments; IMAGE is the test image, ARCHIVE a small one that is not loaded. @before: what the container
    xx is when it begins (BEFORE has the words; "": there is none). @victims: who is killed; "self" is whoever comes to the point. @stays: the
    container still runs when one of these was killed. @fails: the command fails even undisturbed. @until: what inspect's State is once it is over
    that the command does not wait for."""

    def __init__(self, name, *argv, before="", names=("xx",), victims="self cli daemon monitor", stays="", fails=False, until=None):
        self.name, self.argv, self.before, self.names = name, argv, before, names
        self.victims, self.stays, self.fails, self.until = victims.split(), stays.split(), fails, until


FLAGS = ("--name", "xx", "--network", "none", "--stop-signal", "KILL", "-v", "named:/n", "-v", "/anonymous")
SLEEP = ("IMAGE", "sleep", "1000")
START = "self cli daemon monitor creator init"
BEFORE = {
    "created": [("create", *FLAGS, *SLEEP)],
    "running": [("run", "-d", *FLAGS, *SLEEP)],
    "exited": [("run", "-d", *FLAGS, "IMAGE", "true"), ("wait", "xx")],
    "paused": [("run", "-d", *FLAGS, *SLEEP), ("pause", "xx")],
    "restarting": [("run", "-d", "--restart", "unless-stopped", *FLAGS, "IMAGE", "false")],
    "volume": [("volume", "create", "named")],
    "image": [("load", "-i", "ARCHIVE")],
}

RUN = Op("run", "run", "-d", *FLAGS, *SLEEP, victims=START)
LIFE = [
    Op("start", "start", "xx", before="created", victims="self cli daemon monitor"),
    Op("run --rm", "run", "--rm", *FLAGS, "IMAGE", "true"),
    Op("bad command", "run", "-d", *FLAGS, "IMAGE", "/no/such/program", fails=True),
    Op("exec", "exec", "xx", "true", before="running", victims=START, stays="cli daemon creator"),
    Op("stop", "stop", "xx", before="running"),
    Op("kill", "kill", "xx", before="running"),
    Op("restart", "restart", "-t", "1", "xx", before="running"),
    Op("pause", "pause", "xx", before="running", stays="self cli daemon"),
    Op("unpause", "unpause", "xx", before="paused", stays="self cli daemon"),
    Op("rename", "rename", "xx", "yy", before="running", names=("xx", "yy"), stays="self cli daemon"),
    Op("update", "update", "--memory", "64m", "--memory-swap", "128m", "xx", before="running", stays="self cli daemon"),
    Op("rm", "rm", "-v", "xx", before="exited"),
    Op("rm -f", "rm", "-f", "-v", "xx", before="running"),
    Op("prune", "container", "prune", "-f", before="exited"),
    Op("volume create", "volume", "create", "named"),
    Op("volume rm", "volume", "rm", "named", before="volume"),
]
ENTERED = "self cli daemon files"
FILES = [
    Op("cp in", "cp", "ARCHIVE", "xx:/there", before="running", victims=ENTERED, stays=ENTERED),
    Op("cp in, exited", "cp", "ARCHIVE", "xx:/there", before="exited", victims=ENTERED),
    Op("cp out", "cp", "xx:/bin", "-", before="running", victims=ENTERED, stays=ENTERED),
    Op("export", "export", "xx", before="exited", victims=ENTERED),
    Op("diff", "diff", "xx", before="running", victims=ENTERED, stays=ENTERED),
]
AFTERWARDS = [  # what happens to a container when no command is under way
    Op("policy", "run", "-d", "--restart", "on-failure:1", *FLAGS, "IMAGE", "false", victims="self daemon monitor", until=lambda s: s["Status"] == "exited"),
    Op("policy cut", "stop", "xx", before="restarting", victims="self cli daemon"),
    Op("down", "system", "down", "-t", "0", before="running", victims="self cli daemon"),
    Op("health", "run", "-d", "--health-cmd", "true", "--health-interval", "100ms", *FLAGS, *SLEEP, victims="self daemon monitor creator", until=lambda s: s["Health"]["Status"] == "healthy"),
]
IMAGES = [
    Op("load", "load", "-i", "ARCHIVE", victims="self cli daemon unpack"),
    Op("rmi", "rmi", "fresh", before="image", victims="self cli daemon"),
]


def tests_of(cls, ops, only=lambda op, point: True):
    """Give @cls a test for each of @ops."""
    for op in ops:
        def test(self, op=op):
            self.assertGreater(self.walk(op, lambda point: only(op, point)), 0, "nobody was killed")

        setattr(cls, "test_" + "_".join(re.findall("[a-z]+", op.name)), test)


def listing(path):
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def child_pids(pid):
    """Children of @pid, those of its threads included."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            found += [int(x) for x in coffer.read_text(path).split()]
    return found


def namespaced(pid):
    """Whether @pid lives in a pid namespace below ours: a container's process."""
    with contextlib.suppress(OSError, KeyError):
        return len(coffer.proc_status(pid)["NSpid"].split()) > 1
    return False


def remove_cgroup(path):
    """Return: whether something of it is still there."""
    for top, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(top)
    return os.path.exists(path)


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class FaultTest(daemon.DaemonTest):
    """An engine whose processes map a page. EMBEDDED: no daemon, every command has an engine of its own."""

    EMBEDDED = False

    @classmethod
    def setUpClass(cls):
        cls.page = Page()
        cls.EXTRA_ENV = dict(cls.EXTRA_ENV, COFFER_FAULT=cls.page.path)
        cls.passed = set()  # every point that was passed by anything in this class
        cls.ids = set()  # every container that was ever seen in the database
        try:
            super().setUpClass()
        except BaseException:
            cls.page.close()
            raise
        cls.take_base()

    @classmethod
    def take_base(cls):
        """What the rows are without a container."""
        cls.archive = images.variant("fresh:latest", extra_layers=[[images.Entry.file("fresh", "fresh")]])
        cls.coffer_("run", "--rm", "--network", "none", cls.IMAGE, "true")  # the tenant's slice of ids, the skeleton layer, the compiled filter
        cls.base_rows = {t: n for t, n in cls.rows().items() if t not in ("idrange_free", "network", "network_bridge", "made_by_test", "image_packed")}  # made once, kept
        cls.base_store = cls.store()

    @classmethod
    def start_daemon(cls, *flags):
        if cls.EMBEDDED:
            return None
        return super().start_daemon(*flags)

    @classmethod
    def tearDownClass(cls):
        cls.page.disarm()
        try:
            super().tearDownClass()
        finally:
            cls.page.close()

    @classmethod
    def leftovers(cls, containers=()):
        foreign = {os.path.basename(path) for path in coffer.coffer_cgroups()} - cls.ids  # of engines beside this one
        return [p for p in super().leftovers(containers) if not (p.startswith("cgroup ") and os.path.basename(p) in foreign)]

    # -- who is who ---------------------------------------------------------------------------------------------------

    @classmethod
    def engine_processes(cls):
        """{pid: its program} of the coffer programs of this test process."""
        found = {}
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            try:
                exe = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue
            if exe.startswith(cls.stage.dir + "/") and coffer.pid_exists(pid):
                found[int(pid)] = os.path.basename(exe.removesuffix(" (deleted)"))
        return found

    def busy(self):
        """Whether the daemon still answers somebody, who may be dead."""
        with open("/proc/net/unix") as f:
            return any(f" {self.sock}" in line and line.split()[5] == "03" for line in f)

    def find(self, victim, cli):
        """Pids of @victim while @cli (a Popen) is under way; [] when there is none now."""
        programs = self.engine_processes()
        if victim == "cli":
            return [cli.pid] if cli.poll() is None else []
        if victim == "daemon":
            return [self.daemon.proc.pid]
        if victim == "engine":
            return [p for p in child_pids(cli.pid) if programs.get(p) == "coffer"]
        if victim == "files":
            return [p for p, name in programs.items() if name == "coffer-files"]
        if victim in ("unpack", "fetch"):
            return [p for p, name in programs.items() if name == "coffer-" + victim]
        if victim == "reaper":
            return [p for p, name in programs.items() if name == "coffer" and coffer.cmdline(p)[1:2] == ["reap"]]
        monitors = [p for p, name in programs.items() if name == "coffer-monitor" and not namespaced(p)]
        creators = [c for m in monitors for c in child_pids(m) if c in monitors]
        monitors = [m for m in monitors if m not in creators]
        if victim == "monitor":
            return monitors
        if victim == "creator":
            return creators
        if victim == "init":
            return [c for m in monitors for c in child_pids(m) if namespaced(c)]
        raise ValueError(victim)

    def find_held(self, cli):
        """The pid of the held process, as the host sees it."""
        pid = self.page.pid
        if pid in self.engine_processes() and not namespaced(pid):
            return pid
        inner = [p for p in self.find("init", cli) if coffer.proc_status(p)["NSpid"].split()[-1] == str(pid)]
        return inner[0] if inner else None

    # -- the state ----------------------------------------------------------------------------------------------------

    @classmethod
    def query(cls, sql):
        db = sqlite3.connect(f"file:{cls.root}/coffer.db?mode=ro", uri=True, timeout=20)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    @classmethod
    def rows(cls):
        tables = [t for (t,) in cls.query("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite%'")]
        return {t: cls.query(f"SELECT count(*) FROM {t}")[0][0] for t in tables}

    @classmethod
    def store(cls):
        return {f"{where}/{name}" for where in ("layers", "blobs/sha256") for name in listing(os.path.join(cls.root, where))}

    def remember(self):
        type(self).ids |= {i for (i,) in self.query("SELECT id FROM container")}

    def remains(self):
        """What is there of containers that are all gone. Return: complaints."""
        problems = []
        for where in ("run_dir/containers", "run_dir/locks", "root/containers", "root/tmp"):
            base, sub = where.split("/")
            problems += [f"{where}/{name}" for name in listing(os.path.join(getattr(self, base), sub))]
        known = {v for (v,) in self.query("SELECT name FROM volume")}
        problems += [f"directory of volume {v}" for v in listing(os.path.join(self.root, "volumes")) if v not in known]
        problems += [f"{name} in the image store" for name in self.store() - self.base_store]
        for root in coffer.cgroup_roots():
            problems += [f"cgroup {root} of {i}" for i in self.ids if os.path.exists(f"{root}/coffer/local/{i}")]
        mine = self.daemon.proc.pid if self.daemon else 0
        problems += [f"process {p} ({name})" for p, name in self.engine_processes().items() if p != mine]
        rows = self.rows()
        problems += [f"rows of {t}: {n}, not {self.base_rows.get(t)}" for t, n in rows.items() if self.base_rows.get(t, n) not in (None, n)]
        return problems

    # -- the engine's answers, by the daemon or by a command ------------------------------------------------------------

    def containers(self):
        if self.EMBEDDED:
            ids = self.coffer("ps", "-aq", "--no-trunc").out.split()
            answers = [self.coffer("inspect", i, check=False) for i in ids]
            return [a.json()[0] for a in answers if a.code == 0 or "o such" not in a.err]  # the others went meanwhile
        a = self.api("GET", "/containers/json?all=1")
        self.assertEqual(a.status, 200, str(a))
        found = []
        for row in a.json():
            b = self.api("GET", f"/containers/{row['Id']}/json")
            if b.status != 404:
                self.assertEqual(b.status, 200, str(b))
                found.append(b.json())
        return found

    def start_again(self, cid):
        if self.EMBEDDED:
            r = self.coffer("start", cid, check=False)
            return r.code == 0, str(r)
        a = self.api("POST", f"/containers/{cid}/start")
        return a.status in (204, 304), str(a)

    def remove(self, ref):
        if self.EMBEDDED:
            r = self.coffer("rm", "-fv", ref, check=False)
            return r.code == 0 or "No such container" in r.err, str(r)
        a = self.api("DELETE", f"/containers/{ref}?force=1&v=1")
        return a.status in (204, 404), str(a)

    def remove_image(self, name):
        if self.EMBEDDED:
            r = self.coffer("rmi", name, check=False)
            ok = r.code == 0 or "No such image" in r.err
        else:
            r = self.api("DELETE", f"/images/{name}")
            ok = r.status in (200, 404)
        self.assertTrue(ok, f"image {name} cannot be removed: {r}")

    def remove_volume(self, name):
        if self.EMBEDDED:
            r = self.coffer("volume", "rm", name, check=False)
            ok = r.code == 0 or "o such volume" in r.err
        else:
            r = self.api("DELETE", f"/volumes/{name}")
            ok = r.status in (204, 404)
        self.assertTrue(ok, f"volume {name} cannot be removed: {r}")

    def remove_more(self, op):
        """What else an operation of a class's own makes (faults_network.py)."""

    # -- checks ---------------------------------------------------------------------------------------------------------

    def check_container(self, c, names):
        state, cid = c["State"], c["Id"]
        self.assertIn(c["Name"].lstrip("/"), names)
        if state["Running"] and not state["Restarting"]:
            pid = state["Pid"]
            self.assertTrue(coffer.pid_exists(pid), f"is said to run as {pid}, which is no process")
            self.assertIn(cid, coffer.read_text(f"/proc/{pid}/cgroup"), "runs in another cgroup")
            return
        self.assertFalse(state["Restarting"], "is still to be started")
        self.assertIn(state["Status"], ("created", "exited"))
        self.assertEqual([r for r in coffer.cgroup_roots() if os.path.exists(f"{r}/coffer/local/{cid}")], [], "does not run, and has cgroups")

    def revive(self):
        """A new daemon in the place of one that was killed."""
        if self.daemon and self.daemon.proc.poll() is not None:
            type(self).start_daemon()

    def settle(self, op, point="", victim=""):
        """After a fault: every container is as recorded or gone, nothing is left of it when it is removed."""
        self.revive()
        # an attach of who was killed before the start is forgotten when the next one comes
        if self.daemon and point != "cli.run.attached" and not coffer.wait_until(lambda: not self.busy(), PATIENCE, 0.002):
            self.fail(f"the daemon still answers after {PATIENCE} s")
        if op.name == "down":
            self.coffer("system", "restore")
        self.remember()
        error = []

        def consistent():  # what a client had asked for before it was killed may still be under way
            error.clear()
            for c in self.containers():
                try:
                    self.check_container(c, op.names)
                except (AssertionError, OSError) as e:
                    error.append(f"{c['Id'][:12]} ({c['State']}): {e}")
            return not error

        if not coffer.wait_until(consistent, 5):
            self.fail("; ".join(error))
        if victim in op.stays and not (victim == "self" and point.startswith("monitor.")):
            self.assertEqual([c["State"]["Running"] for c in self.containers()], [True], "it no longer runs")
        for c in self.containers():
            if not c["State"]["Running"] and not op.fails:
                ok, text = self.start_again(c["Id"])
                self.assertTrue(ok, f"{c['State']}: does not start again: {text}")
        for cid in sorted({c["Id"] for c in self.containers()}):
            ok, text = self.remove(cid)
            self.assertTrue(ok, f"cannot be removed: {text}")
        self.remove_volume("named")
        self.remove_more(op)
        if op.name == "prune" and not self.EMBEDDED:
            self.api("POST", "/volumes/prune?all=1")  # of containers alone: it leaves volumes, as docker's
        elif op.name == "prune":
            self.coffer("volume", "prune", "-f", "-a")
        if "ARCHIVE" in str(op.argv) + str(BEFORE.get(op.before)):
            self.remove_image("fresh")
        left = []
        if not coffer.wait_until(lambda: not left.__setitem__(slice(None), self.remains()) and not left, 10, 0.01):
            self.fail(f"left behind: {left}")

    # -- walking --------------------------------------------------------------------------------------------------------

    def argv(self, words):
        return [w.replace("IMAGE", self.IMAGE).replace("ARCHIVE", self.archive) for w in words]

    def begin(self, op):
        """What the operation finds."""
        for words in BEFORE.get(op.before, ()):
            self.coffer(*self.argv(words))
        self.remember()

    def launch(self, op):
        return self.popen(*self.argv(op.argv), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def end(self, cli):
        try:
            _, err = cli.communicate(timeout=PATIENCE * coffer.SLOW)
        except subprocess.TimeoutExpired:
            cli.kill()
            cli.communicate()
            self.fail(f"the command did not end within {PATIENCE} s")
        finally:
            type(self)._procs.remove(cli)
        return err.decode(errors="replace")

    def points(self, op):
        """The points that @op passes when nobody disturbs it, in order, each once."""
        self.page.disarm()
        self.begin(op)
        time.sleep(0.05)  # what begin() started may still be saying so
        self.page.clear_log()
        cli = self.launch(op)
        err = self.end(cli)
        self.assertEqual(cli.returncode != 0, op.fails, f"{op.name}: {err}")
        coffer.wait_until(lambda: not [p for p in self.engine_processes().values() if p == "coffer"], 10)
        if op.until:
            self.assertTrue(coffer.wait_until(lambda: [op.until(c["State"]) for c in self.containers()] == [True], PATIENCE), f"{op.name}: {self.containers()}")
        passed = list(dict.fromkeys(self.page.log()))
        self.settle(op)
        type(self).passed |= set(passed)
        return passed

    def await_held(self, cli):
        """Until somebody is at the point; a monitor and its reaper may come there behind the command's end."""
        patience = time.monotonic() + 20 * coffer.SLOW
        ended = None
        while self.page.state == ARMED and time.monotonic() < patience:
            if cli.poll() is not None:
                ended = ended or time.monotonic()
                if time.monotonic() > ended + 0.5 and not [p for p, n in self.engine_processes().items() if n == "coffer"]:
                    return
            time.sleep(0.001)
        coffer.wait_until(lambda: self.page.state == HELD, 5, 0.001)

    def round(self, op, point, victim):
        self.begin(op)
        self.page.arm(point)
        cli = self.launch(op)
        self.await_held(cli)
        if self.page.state == HELD:
            self.remember()
            targets = [self.find_held(cli)] if victim == "self" else self.find(victim, cli)
            for pid in targets:
                self.assertIsNotNone(pid, "the held process is not to be found")
                kill(pid)
                coffer.wait_until(lambda: not coffer.pid_exists(pid), 10, 0.001)  # noqa: B023
            if self.daemon and self.daemon.proc.pid in targets:
                self.daemon.proc.wait()
        else:
            targets = []
        self.page.disarm()
        self.end(cli)
        self.settle(op, point, victim)
        return bool(targets)

    def start_over(self):
        """After a failure: a state without its traces, so that one bug is one failure."""
        cls = type(self)
        cls.page.disarm()
        if cls.daemon:
            kill(cls.daemon.proc.pid)
            cls.daemon.proc.wait()
        for pid in cls.engine_processes():
            kill(pid)
        for cid in cls.ids:
            for root in coffer.cgroup_roots():
                path = f"{root}/coffer/local/{cid}"
                for procs in glob.glob(path + "/**/cgroup.procs", recursive=True):
                    for pid in coffer.read_text(procs).split():
                        kill(int(pid))
                coffer.wait_until(lambda: not os.path.exists(path) or not remove_cgroup(path), 5)  # noqa: B023
        for top in (cls.root, cls.run_dir):
            for name in listing(top):
                path = os.path.join(top, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        self.coffer("load", "-i", images.starter(cls.IMAGE))
        cls.start_daemon()
        cls.take_base()

    def walk(self, op, only=lambda point: True):
        """@op, each of its points for which @only is true, each of its victims. Return: rounds in which somebody was killed."""
        killed, failed = 0, 0
        try:
            points = [p for p in self.points(op) if only(p)]
        except AssertionError:
            self.start_over()
            raise
        for n, point in enumerate(points):
            for victim in op.victims:
                ok = False
                if victim in ("cli", "daemon") and "." not in point and n % 4 and not EVERY:
                    continue  # they have no part in the sandbox's steps
                with self.subTest(op=op.name, point=point, victim=victim):
                    try:
                        killed += self.round(op, point, victim)
                        ok = True
                    except AssertionError as e:
                        raise AssertionError(f"{op.name}: {victim} killed at {point}: {e}") from None
                if not ok:
                    self.start_over()
                    failed += 1
                    if failed == FAILURES_MAX:
                        self.fail(f"{failed} failures are enough")
        return killed
