# SPDX-License-Identifier: Apache-2.0
"""Restart policies: with an engine of the command's own (a process waits for the delay), and with the daemon.

A long delay is made by writing the last one into the database: the next is twice as long.
"""

import concurrent.futures
import contextlib
import glob
import json
import os
import shutil
import signal
import sqlite3
import time

import coffer
import daemon

ASAN = True
FLAPS = "echo run >>/runs; echo run; exit 3"
ENDS_ON_GO = "trap 'exit 9' TERM; echo up; while [ ! -e /go ]; do sleep 0.02; done; rm /go; exit 7"


class Policies:
    def up(self, policy, *flags, script=FLAPS, name=None):
        name = name or self.unique("c")
        self.coffer("run", "-d", "--name", name, "--network", "none", "--restart", policy, *flags, self.IMAGE, "sh", "-c", script)
        self.addCleanup(self.coffer_, "rm", "-f", name, check=False)
        return name

    def field(self, ref, template):
        return self.coffer("inspect", "-f", template, ref).word

    def count(self, ref):
        return int(self.field(ref, "{{.RestartCount}}"))

    def until(self, condition, timeout=20):
        self.assertTrue(coffer.wait_until(condition, timeout), self.coffer("ps", "-a").out)

    def until_count(self, ref, n):
        self.until(lambda: self.count(ref) >= n)

    def until_status(self, ref, status):
        self.until(lambda: self.status(ref) == status)

    def row(self, sql, *args):
        """One statement on the database, as another process."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.root, "coffer.db"), timeout=20)) as db, db:
            return db.execute(sql, args).fetchall()

    def go(self, ref):
        self.coffer("exec", ref, "touch", "/go", check=False)  # the container may end before the command does

    def waiting(self, delay_s=32, policy="always", **kw):
        """A container whose next start is @delay_s away. Return: its name."""
        name = self.up(policy, script=ENDS_ON_GO, **kw)
        self.row("UPDATE container SET restart_delay_ms=? WHERE name=?", delay_s * 500, name)
        self.go(name)
        self.until_status(name, "restarting")
        return name

    def waiters(self, ref):
        """Pids of the processes that wait for @ref's delay."""
        cid = self.inspect(ref)["Id"]
        return [p for p in self.processes() if coffer.cmdline(p)[1:] == ["restart-wait", cid]]

    # -- policies -----------------------------------------------------------------------------------------------

    def test_always(self):
        name = self.up("always", script="echo run >>/runs; wc -l </runs; exit 0")
        before = self.field(name, "{{json .IdMappings}}")
        self.until_count(name, 3)
        self.assertEqual(self.coffer("stop", name).word, name)
        state = self.inspect(name)
        self.assertEqual((state["State"]["Status"], state["State"]["Running"], state["State"]["Restarting"]), ("exited", False, False))
        self.assertEqual(self.field(name, "{{json .IdMappings}}"), before, "a restart moved the ids")
        self.assertEqual(self.coffer("logs", name).lines[:3], ["1", "2", "3"], "a restart lost the container's own layer")
        n = self.count(name)
        time.sleep(0.5)
        self.assertEqual((self.count(name), self.status(name)), (n, "exited"), "a stopped container was started")
        self.coffer("start", name)
        self.assertLess(self.count(name), 3, "a start by hand begins the count anew")

    def test_on_failure(self):
        name = self.up("on-failure:2")
        self.until_status(name, "exited")
        self.assertEqual((self.count(name), self.field(name, "{{.State.ExitCode}}"), self.coffer("logs", name).out), (2, "3", "run\n" * 3))
        ok = self.up("on-failure", script="exit 0")
        self.until_status(ok, "exited")
        self.assertEqual(self.count(ok), 0)
        no = self.up("no")
        self.until_status(no, "exited")
        self.assertEqual(self.count(no), 0)

    def test_delays_double(self):
        name = self.up("unless-stopped")
        self.until_count(name, 4)
        self.coffer("stop", name)
        seconds = [line.split()[0] for line in self.coffer("logs", "-t", name).lines]
        times = [time.mktime(time.strptime(s[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + s[19:-1]) for s in seconds]
        gaps = [b - a for a, b in zip(times, times[1:])]
        self.assertGreaterEqual(len(gaps), 3)
        for gap, least in zip(gaps, (0.1, 0.2, 0.4, 0.8)):
            self.assertGreaterEqual(gap, least - 0.02, gaps)

    def test_what_is_asked_for_is_shown(self):
        name = self.up("on-failure:4", script="sleep 100")
        self.assertEqual(self.inspect(name)["HostConfig"]["RestartPolicy"], {"Name": "on-failure", "MaximumRetryCount": 4})
        self.coffer("update", "--restart", "unless-stopped", name)
        self.assertEqual(self.inspect(name)["HostConfig"]["RestartPolicy"], {"Name": "unless-stopped", "MaximumRetryCount": 0})
        for bad, words in (("sometimes", "unknown policy"), ("always:3", "can only be used with 'on-failure'"), ("on-failure:x", "must be an integer"), (":3", "no policy provided"),
                           ("on-failure:-1", "MaximumRetryCount")):
            self.assertRefused("create", "--restart", bad, self.IMAGE, "true", words=(words,))
        self.assertRefused("create", "--rm", "--restart", "always", self.IMAGE, "true", words=("--restart and --rm",))
        removed = self.unique("rm")
        self.coffer("run", "-d", "--rm", "--name", removed, "--network", "none", self.IMAGE, "sleep", "100")
        self.assertFails(self.coffer("update", "--restart", "always", removed, check=False), 1, "AutoRemove")
        self.coffer("rm", "-f", removed)

    def test_update_gives_a_policy_to_what_runs(self):
        name = self.up("no", script=ENDS_ON_GO)
        self.coffer("update", "--restart", "always", name)
        self.go(name)
        self.until_count(name, 1)
        self.until_status(name, "running")
        self.coffer("update", "--restart", "no", name)
        self.go(name)
        self.until_status(name, "exited")

    # -- the machine's end ----------------------------------------------------------------------------------------

    def test_down_and_up_again(self):
        """`system down`: each gets its own signal and time, no end of it counts as one by hand, nothing starts until it is taken back."""
        saves = "trap 'sleep 0.3; echo saved; exit 4' USR1; echo up; while :; do sleep 0.02; done"
        again = {self.up(policy, "--stop-signal", "USR1", script=saves) for policy in ("always", "unless-stopped", "on-failure")}
        stays = {self.up("no", "--stop-signal", "USR1", script=saves)}
        for name in again | stays:
            self.until(lambda name=name: self.coffer("logs", name).out == "up\n")
        by_hand = self.up("unless-stopped", script=self.STAYS)
        self.coffer("stop", "-t", "0", by_hand)
        waits = self.waiting(policy="unless-stopped")
        flaps = self.up("always")
        ids = {name: self.field(name, "{{.Id}}") for name in again | stays | {waits, flaps, by_hand}}
        told = self.coffer("system", "down").lines
        self.assertEqual(set(told) - {ids[flaps]}, {ids[name] for name in again | stays | {waits}})  # the one that flaps may have been between two states
        for name in again | stays:
            self.assertEqual((self.status(name), self.field(name, "{{.State.ExitCode}}"), self.coffer("logs", name).out), ("exited", "4", "up\nsaved\n"))
        for what in (("start", by_hand), ("restart", by_hand), ("run", "--rm", "--network", "none", self.IMAGE, "true")):
            self.assertIn("the machine is going down", self.coffer(*what, check=False).err)
        self.assertEqual(self.row("SELECT count(*) FROM container WHERE restart_due_ns>0"), [(0,)])
        self.assertEqual(self.coffer("ps", "-q").out, "")
        up = {self.field(i, "{{.Name}}")[1:] for i in self.coffer("system", "restore").lines}
        self.assertEqual(up, again | {waits, flaps})
        for name in again | {waits}:
            self.until_status(name, "running")
        self.assertEqual(self.status(by_hand), "exited")
        self.assertEqual(self.coffer("run", "--rm", "--network", "none", self.IMAGE, "echo", "well").word, "well")

    # -- by hand ------------------------------------------------------------------------------------------------

    def test_ends_by_hand(self):
        for how in (("stop",), ("kill",), ("kill", "-s", "TERM"), ("stop", "-t", "0")):
            name = self.up("always", script=ENDS_ON_GO)
            self.until(lambda name=name: self.coffer("logs", name).out == "up\n")
            self.coffer(*how, name)
            self.until_status(name, "exited")
            self.assertEqual(self.count(name), 0, how)
        # another signal counts when the end follows at once, and not later
        for age, status in ((0, "exited"), (11, "running")):
            name = self.up("always", script="trap 'echo usr' USR1; " + ENDS_ON_GO)
            self.until(lambda name=name: self.coffer("logs", name).out == "up\n")
            self.coffer("kill", "-s", "USR1", name)
            self.until(lambda name=name: "usr" in self.coffer("logs", name).out)
            mark = os.path.join(self.run_dir, "containers", self.inspect(name)["Id"], "signalled")
            os.utime(mark, (time.time() - age,) * 2)
            self.go(name)
            self.until_status(name, "exited") if status == "exited" else self.until_count(name, 1)
            self.until_status(name, status)

    def test_restart_by_hand(self):
        name = self.up("unless-stopped", script=ENDS_ON_GO)
        pid = self.pid(name)
        self.coffer("restart", name)
        self.assertNotEqual(self.pid(name), pid)
        self.assertEqual(self.count(name), 0)
        self.go(name)
        self.until_count(name, 1)

    # -- in the delay -------------------------------------------------------------------------------------------

    def test_in_the_delay(self):
        name = self.waiting()
        state = self.inspect(name)["State"]
        self.assertEqual([state[k] for k in ("Status", "Running", "Restarting", "Paused", "Pid", "ExitCode")], ["restarting", True, True, False, 0, 7])
        self.assertRegex(self.coffer("ps", "--filter", "name=" + name, "--format", "{{.Status}}").out, r"^Restarting \(7\) .* ago$")
        self.assertEqual(self.coffer("ps", "-q", "--filter", "status=restarting", "--filter", "name=" + name).word, self.inspect(name)["Id"][:12])
        self.assertEqual(self.coffer("ps", "-aq", "--filter", "status=exited", "--filter", "name=" + name).out, "")
        for verb in (("exec", name, "true"), ("attach", name), ("pause", name), ("top", name)):
            self.assertFails(self.coffer(*verb, check=False), 1, "is restarting")
        self.assertFails(self.coffer("rm", name, check=False), 1, "container is restarting: stop the container")
        self.assertNotIn(self.inspect(name)["Id"], self.coffer("container", "prune", "-f").out)
        self.assertFails(self.coffer("rmi", "-f", self.IMAGE, check=False), 1, "running container")
        self.coffer("start", name)
        self.assertEqual(self.status(name), "restarting", "a start in the delay is docker's 304")
        new = name + "-new"
        self.coffer("rename", name, new)
        self.coffer("update", "--memory", "64m", "--memory-swap", "-1", new)
        self.assertEqual(self.status(new), "restarting")
        self.coffer("rm", "-f", new)
        self.assertEqual(os.listdir(os.path.join(self.run_dir, "restarts")), ["daemon"] if self.daemon else [])

    def test_the_delay_ends_by_hand(self):
        for how in (("stop",), ("kill",), ("kill", "-s", "HUP"), ("update", "--restart", "no")):
            name = self.waiting()
            self.coffer(*how, name)
            self.assertEqual(self.status(name), "exited", how)
            self.assertEqual(self.row("SELECT restart_due_ns FROM container WHERE name=?", name), [(0,)])
            self.until(lambda name=name: not self.waiters(name))
        name = self.waiting()
        self.coffer("restart", name)
        self.assertEqual((self.status(name), self.count(name)), ("running", 0))

    def test_a_longer_delay_passes(self):
        name = self.waiting(delay_s=1)
        self.until_status(name, "running")

    def test_wait(self):
        name = self.up("always", script=ENDS_ON_GO)
        first = self.popen("wait", name, text=True)
        self.until(lambda: self.coffer("exec", name, "true", check=False).code == 0)
        time.sleep(0.2)
        self.go(name)
        self.assertEqual((first.communicate(timeout=20)[0], first.returncode), ("7\n", 0), "wait answers at the first end")
        name = self.waiting()
        inside = self.popen("wait", name, text=True)
        time.sleep(0.3)
        self.assertIsNone(inside.poll(), "between two runs it has not ended for docker")
        self.coffer("stop", name)
        self.assertEqual(inside.communicate(timeout=20)[0], "7\n")

    def test_run_ends_with_the_first_run(self):
        name = self.unique("fg")
        r = self.coffer("run", "--name", name, "--network", "none", "--restart", "always", self.IMAGE, "sh", "-c", FLAPS, check=False)
        self.addCleanup(self.coffer_, "rm", "-f", name, check=False)
        self.assertEqual((r.code, r.out), (3, "run\n"))
        self.until_count(name, 2)

    def test_logs_follow_over_restarts(self):
        name = self.up("on-failure:2", script="echo run; sleep 0.2; exit 3")
        self.assertEqual(self.coffer("logs", "-f", name, timeout=30).out, "run\n" * 3)

    def test_a_start_that_fails_counts(self):
        host = os.path.join(self.scratch, self.unique("bin"))
        os.mkdir(host)
        command = os.path.join(host, "run")

        def place():
            with open(command, "w") as f:
                f.write("#!/bin/sh\necho run\nwhile [ ! -e /b/go ]; do sleep 0.05; done\nexit 1\n")
            os.chmod(command, 0o755)

        place()
        name = self.unique("c")
        self.coffer("run", "-d", "--name", name, "--network", "none", "--restart", "always", "-v", host + ":/b", self.IMAGE, "/b/run")
        self.addCleanup(self.coffer_, "rm", "-f", name, check=False)
        self.until(lambda: self.coffer("logs", name).out == "run\n")
        os.remove(command)
        with open(os.path.join(host, "go"), "w"):
            pass
        self.until_count(name, 3)
        state = self.inspect(name)["State"]
        self.assertEqual((state["Status"], state["ExitCode"]), ("restarting", 127), state)
        os.remove(os.path.join(host, "go"))
        place()
        self.until_status(name, "running")
        # a start by hand that fails is not tried again
        self.coffer("stop", "-t", "0", name)
        os.remove(command)
        self.assertEqual(self.coffer("start", name, check=False).code, 1)
        self.assertEqual(self.status(name), "exited")

    # -- whatever is killed -------------------------------------------------------------------------------------

    def test_killed_monitor(self):
        name = self.up("always", script=ENDS_ON_GO)
        self.row("UPDATE container SET restart_delay_ms=0 WHERE name=?", name)
        os.kill(self.monitor_pid(name), signal.SIGKILL)
        self.until_count(name, 1)
        self.until_status(name, "running")

    def test_twenty_at_once(self):
        names = [self.unique("flap") for _ in range(20)]
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda n: self.up("always", name=n), names))
            self.until(lambda: min(n for n, in self.row("SELECT restart_count FROM container WHERE name LIKE 'flap%'")) >= 3, 60)
            list(pool.map(lambda n: self.coffer("stop", n), names))
        self.assertEqual(set(self.coffer("ps", "-a", "--filter", "name=flap", "--format", "{{.State}}").lines), {"exited"})
        counts = self.row("SELECT name, restart_count FROM container WHERE name LIKE 'flap%'")
        time.sleep(0.5)
        self.assertEqual(self.row("SELECT name, restart_count FROM container WHERE name LIKE 'flap%'"), counts)
        self.coffer("rm", *names)

    # -- the machine's restart ----------------------------------------------------------------------------------

    def boot(self):
        """The machine again: every process gone, /run fresh. (No daemon is started.)"""
        if self.daemon and self.daemon.proc.poll() is None:
            self.daemon.proc.kill()
            self.daemon.proc.wait()

        def kill():
            left = self.processes()
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            return not left

        self.assertTrue(coffer.wait_until(kill, 10))
        for path in glob.glob(os.path.join(self.run_dir, "*")):
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.remove(path)

    STAYS = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
    # name: (policy, what happens before, whether it is up again)
    FATES = {
        "always": ("always", None, True),
        "always-stopped": ("always", "stop", True),
        "unless": ("unless-stopped", None, True),
        "unless-stopped": ("unless-stopped", "stop", False),
        "failure": ("on-failure", None, True),
        "failure-stopped": ("on-failure", "stop", False),
        "none": ("no", None, False),
        "again": ("unless-stopped", "restart", True),
        "again-none": ("no", "restart", False),
    }

    def fates(self):
        for name, (policy, before, _) in self.FATES.items():
            self.up(policy, script=self.STAYS, name=name)
            if before:
                self.coffer(before, "-t", "0", name)
        self.waiting(name="waits")
        self.coffer("create", "--name", "never", "--network", "none", "--restart", "always", self.IMAGE, "true")
        self.addCleanup(self.coffer_, "rm", "-f", "never", check=False)
        self.boot()

    def assertFates(self):
        up = {name for name, (_, _, again) in self.FATES.items() if again} | {"waits"}
        self.until(lambda: set(self.coffer("ps", "--format", "{{.Names}}").lines) == up)
        self.assertEqual(self.status("never"), "created")
        for name in up:
            self.until_status(name, "running")


class Embedded(Policies, coffer.CofferTest):
    daemon = None

    def test_bug_exit_while_the_engine_closes(self):
        """The engine had its monitor's word in hand and left, and the monitor had seen it there and called no reaper."""
        names = [self.unique("quick") for _ in range(40)]
        for name in names:
            self.coffer("run", "-d", "--name", name, "--network", "none", self.IMAGE, "true")
        left = lambda: [n for n, in self.row("SELECT name FROM container WHERE name LIKE 'quick%' AND finished_ns=0")]  # noqa: E731
        self.assertTrue(coffer.wait_until(lambda: not left(), 10), left())
        self.coffer("rm", *names)

    def test_killed_waiter(self):
        name = self.waiting(delay_s=10)
        self.until(lambda: len(self.waiters(name)) == 1)
        first = self.waiters(name)[0]
        os.kill(first, signal.SIGKILL)
        self.assertTrue(coffer.wait_until(lambda: not coffer.pid_exists(first), 5))
        self.assertEqual(self.status(name), "restarting")  # and this carried on
        self.until(lambda: len(self.waiters(name)) == 1)
        self.until_status(name, "running")
        self.assertTrue(coffer.wait_until(lambda: not self.waiters(name), 5))

    def test_waiter_is_small(self):
        name = self.waiting()
        self.until(lambda: len(self.waiters(name)) == 1)
        pid = self.waiters(name)[0]
        with open(f"/proc/{pid}/smaps_rollup") as f:
            kib = {line.split(":")[0]: int(line.split()[1]) for line in f if line.endswith("kB\n")}
        if not os.environ.get("ASAN_OPTIONS"):
            self.assertLess(kib["Private_Dirty"], 400)
        self.assertEqual(len(os.listdir(f"/proc/{pid}/task")), 1)
        self.assertFalse([t for t in coffer.fd_links(pid).values() if t.endswith((".db", "-wal"))])

    def test_a_daemon_takes_over_and_hands_back(self):
        name, soon = self.waiting(), self.waiting(delay_s=3)
        self.until(lambda: self.waiters(name))
        d = daemon.Daemon([self.stage.cofferd], self.env, os.path.join(self.scratch, "cofferd.log"), os.path.join(self.run_dir, "coffer.sock")).ready()
        try:
            self.until(lambda: not self.waiters(name) and not self.waiters(soon))
            self.until_status(soon, "running")
            self.assertEqual(self.status(name), "restarting")
        finally:
            d.stop()
        self.until(lambda: len(self.waiters(name)) == 1)
        self.coffer("stop", name)

    def test_boot(self):
        self.fates()
        states = {line.split()[0]: line for line in self.coffer("ps", "-a", "--format", "{{.Names}} {{.Status}}").lines}
        for name in ("always", "unless", "failure", "none", "again", "again-none"):
            self.assertRegex(states[name], r"Exited \(137\)", "a machine that went down under a container is told")
        self.assertRegex(states["waits"], r"Exited \(7\)")
        self.assertEqual(self.field("again", "{{.State.Error}}"), "the host went down while the container ran")
        time.sleep(0.3)
        self.assertEqual(self.coffer("ps", "-q").out, "", "something started without being asked to")
        ids = self.coffer("system", "restore").lines
        names = {self.field(i, "{{.Name}}")[1:] for i in ids}
        self.assertEqual(names, {name for name, (_, _, again) in self.FATES.items() if again} | {"waits"})
        self.assertFates()
        self.assertEqual(self.coffer("system", "restore").out, "")


    def test_a_monitor_that_hangs_up_behind_run_d_is_no_end(self):
        """The engine of `run -d` took the quick hanging up of a monitor that it parted with for the container's end, and held the caller's pipe for two seconds."""
        seconds = []
        for _ in range(10):
            r = self.coffer("run", "-d", "--network", "none", self.IMAGE, "sleep", "100")
            seconds.append(r.seconds)
            self.coffer("rm", "-f", r.word)
        self.assertGreaterEqual(len([s for s in seconds if s < 1.9]), 7, seconds)

    def test_an_engine_of_its_own_beside_a_daemon(self):
        d = daemon.Daemon([self.stage.cofferd], self.env, os.path.join(self.scratch, "cofferd.log"), os.path.join(self.run_dir, "coffer.sock")).ready()
        try:
            name = self.up("no", script=self.STAYS)
            cid = self.field(name, "{{.Id}}")
            os.kill(d.proc.pid, signal.SIGSTOP)  # it answers nobody
            self.assertEqual(self.coffer("--host", "embedded", "system", "down", "-t", "0").lines, [cid])
            os.kill(d.proc.pid, signal.SIGCONT)
            self.assertEqual(self.status(name), "exited")
            self.assertEqual(self.coffer("system", "restore").out, "")
        finally:
            os.kill(d.proc.pid, signal.SIGCONT)
            d.stop()


class WithDaemon(Policies, daemon.DaemonTest):
    def again(self):
        type(self).daemon = None
        self.start_daemon()

    def test_killed_daemon(self):
        name, soon = self.waiting(), self.waiting(delay_s=2)
        runs = self.up("always", script=ENDS_ON_GO)
        self.daemon.proc.kill()
        self.daemon.proc.wait()
        self.again()
        self.until_status(soon, "running")
        self.assertEqual(self.status(name), "restarting", "the daemon's start did not make it earlier")
        self.go(runs)
        self.until_count(runs, 1)

    def test_killed_monitor_of_an_earlier_daemon(self):
        """The next daemon hears of the end, though nobody tells it."""
        name = self.up("always", script=ENDS_ON_GO)
        self.daemon.proc.kill()
        self.daemon.proc.wait()
        self.again()
        pid = self.monitor_pid(name)
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(coffer.wait_until(lambda: self.row("SELECT restart_count FROM container WHERE name=?", name) == [(1,)], 10))

    def test_boot(self):
        self.fates()
        self.again()
        self.assertFates()
        self.assertEqual(self.coffer("system", "restore").out, "")
        self.assertEqual(self.field("always", "{{.RestartCount}}"), "0")

    def test_daemon_restart_starts_what_always_means(self):
        name = self.up("always", script=self.STAYS)
        other = self.up("unless-stopped", script=self.STAYS)
        self.coffer("stop", "-t", "0", name, other)
        self.daemon.stop()
        self.again()
        self.until_status(name, "running")
        self.assertEqual(self.status(other), "exited")

    def test_events(self):
        start = time.time()
        name = self.up("on-failure:2", "-l", "told=1", script="exit 3")
        self.until_status(name, "exited")
        self.assertEqual(self.count(name), 2)
        rows = [json.loads(line) for line in self.coffer("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--filter", "label=told=1", "--format", "json").lines]
        self.assertEqual([r["Action"] for r in rows], ["create", "start", "die", "start", "die", "start", "die"])
        self.assertEqual({r["Actor"]["Attributes"].get("exitCode") for r in rows if r["Action"] == "die"}, {"3"})
        name = self.waiting()
        start = time.time()
        self.coffer("stop", name)
        rows = [json.loads(line) for line in self.coffer("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--filter", "container=" + name, "--format", "json").lines]
        self.assertEqual([r["Action"] for r in rows], ["stop"])

    def test_api(self):
        """The answers' shapes, and docker's meaning of a follow: it ends with the run."""
        cid = self.create("sh", "-c", ENDS_ON_GO, host={"NetworkMode": "none", "RestartPolicy": {"Name": "always"}})
        self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 204)
        follow = self.api.stream("GET", f"/containers/{cid}/logs?stdout=1&follow=1")
        self.assertEqual(follow.read(11)[8:], b"up\n")
        self.row("UPDATE container SET restart_delay_ms=16000 WHERE id=?", cid)
        self.go(cid)
        self.assertEqual(follow.read(), b"")
        follow.connection.close()
        self.until_status(cid, "restarting")
        self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 304)
        self.assertEqual(self.api("POST", f"/containers/{cid}/exec", {"Cmd": ["true"]}).status, 409)
        self.assertEqual(self.api("DELETE", f"/containers/{cid}").status, 409)
        self.assertEqual(self.api("POST", f"/containers/{cid}/stop").status, 204)
        self.assertEqual(self.api("POST", f"/containers/{cid}/stop").status, 304)
        a = self.api("POST", f"/containers/{cid}/update", {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}})
        self.assertEqual((a.status, a.json()), (200, {"Warnings": None}) if a.json()["Warnings"] is None else (200, {"Warnings": []}))
        for policy, words in (({"Name": "x"}, "unknown policy"), ({"Name": "always", "MaximumRetryCount": 2}, "can only be used")):
            a = self.api("POST", "/containers/create", {"Image": self.IMAGE, "HostConfig": {"RestartPolicy": policy}})
            self.assertEqual(a.status, 400)
            self.assertIn(words, a.message)


if __name__ == "__main__":
    coffer.main()
