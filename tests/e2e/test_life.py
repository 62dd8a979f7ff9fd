# SPDX-License-Identifier: Apache-2.0
"""coffer's verbs on containers that are there: pause, unpause, rename, top, update, restart, events, and the prunes.

The same tests with an engine of the command's own and with the daemon.
"""

import json
import os
import re
import time

import coffer
import daemon
import images

STAYS = "trap 'exit 3' TERM; echo up; n=0; while :; do n=$((n+1)); sleep 0.02; done"
ASAN = True
VM = True  # cgroup v2: freezer, limits
VERBS = ("pause", "unpause", "rename", "top", "update", "restart", "events", "container prune", "image prune", "volume prune")


class Verbs:
    def up(self, *flags, script=STAYS):
        name = self.unique("c")
        self.coffer("run", "-d", "--name", name, "--network", "none", *flags, self.IMAGE, "sh", "-c", script)
        self.addCleanup(self.coffer_, "rm", "-f", name, check=False)
        if script == STAYS:  # its trap is set
            self.assertTrue(coffer.wait_until(lambda: self.coffer("logs", name).out), name)
        return name

    def field(self, ref, template):
        return self.coffer("inspect", "-f", template, ref).word

    def limit(self, ref, *files):
        """The first of @files that one of the container's cgroups has."""
        cid = self.field(ref, "{{.Id}}")
        for path in coffer.coffer_cgroups():
            for f in files:
                if path.endswith(cid) and os.path.exists(os.path.join(path, f)):
                    return coffer.read_text(os.path.join(path, f)).strip()
        self.fail(f"no {files} of {ref}")

    def test_help_has_an_example(self):
        for verb in VERBS:
            r = self.coffer(*verb.split(), "--help")
            self.assertIn(f"Usage:  coffer {verb}", r.out)
            self.assertRegex(r.out, rf"Examples:\n  coffer {verb}", verb)

    def test_pause(self):
        name = self.up()
        self.assertEqual(self.coffer("pause", name).word, name)
        self.assertEqual(self.status(name), "paused")
        self.assertIn("(Paused)", self.coffer("ps", "--filter", "status=paused").out)
        self.assertFails(self.coffer("exec", name, "true", check=False), 1, "paused")
        self.assertFails(self.coffer("pause", name, check=False), 1, "already paused")
        self.assertEqual(self.coffer("unpause", name).word, name)
        self.assertEqual(self.status(name), "running")
        self.assertFails(self.coffer("unpause", name, check=False), 1, "not paused")
        self.assertFails(self.coffer("pause", "nosuch", check=False), 1, "No such container")
        stopped = self.up(script="exit 0")
        self.coffer("wait", stopped)
        self.assertFails(self.coffer("pause", stopped, check=False), 1, "is not running")

    def test_paused_takes_signals_when_it_goes_on(self):
        for verb, code in (("stop", "3"), ("kill", "137")):
            name = self.up()
            self.coffer("pause", name)
            start = time.monotonic()
            self.coffer(verb, name)
            self.assertLess(time.monotonic() - start, 5)
            self.assertEqual(self.field(name, "{{.State.ExitCode}}"), code)
        name = self.up()
        self.coffer("pause", name)
        self.assertFails(self.coffer("rm", name, check=False), 1, "paused and must be unpaused")
        self.coffer("rm", "-f", name)

    def test_rename(self):
        name, new = self.up(), self.unique("new")
        cid = self.field(name, "{{.Id}}")
        self.coffer("rename", name, new)
        self.addCleanup(self.coffer_, "rm", "-f", new, check=False)
        self.assertEqual(self.field(new, "{{.Id}} {{.Name}}"), f"{cid} /{new}")
        other = self.up()
        for bad, words in ((new, "Conflict"), ("", "empty"), ("x y", "Invalid container name"), (other, "same name")):
            self.assertFails(self.coffer("rename", other, bad, check=False), 1, words)
        self.coffer("stop", new)
        self.coffer("start", new)

    def test_top(self):
        name = self.up("-u", "1000")
        pid = self.field(name, "{{.State.Pid}}")
        lines = self.coffer("top", name).lines
        self.assertEqual(lines[0].split(), ["USER", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
        self.assertIn(pid, [line.split()[1] for line in lines[1:]])
        own = [line.split(None, 1) for line in self.coffer("top", name, "-o", "pid,args").lines]
        self.assertIn([pid, f"sh -c {STAYS}"], own)
        self.assertEqual(self.coffer("top", name, "-o", "pid=WHO").lines[0].strip(), "WHO")
        for args, words in ((("-o", "comm"), "PID"), (("-o", "pid,nosuch"), "nosuch"), (("-C", "x"), "-C"), (("$(id)",), "not known")):
            self.assertFails(self.coffer("top", name, *args, check=False), 1, words)

    def test_top_shows_one_line_a_process(self):
        """A process may call itself what it likes."""
        name = self.up(script="sh -c 'while :; do sleep 1; done' \"$(printf 'a\\nroot 1\\033[2J')\"; true")
        self.assertTrue(coffer.wait_until(lambda: "root 1" in self.coffer("top", name, "-o", "pid,cmd").out, 5))
        rows = self.coffer("top", name, "-o", "pid,cmd").out
        self.assertNotIn("\x1b", rows)
        self.assertEqual([line for line in rows.splitlines() if not re.match(r"^(PID|\d+) ", line)], [])

    def test_update(self):
        name = self.up("--memory", "64m", "--pids-limit", "100")
        self.coffer("update", "--memory", "96m", "--memory-swap", "-1", "--pids-limit", "60", "--cpus", "0.5", name)
        self.assertEqual(self.limit(name, "memory.limit_in_bytes", "memory.max"), str(96 << 20))
        self.assertEqual(self.limit(name, "pids.max"), "60")
        self.assertIn(self.limit(name, "cpu.cfs_quota_us", "cpu.max"), ("50000", "50000 100000"))
        self.assertEqual(self.field(name, "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}}"), f"{96 << 20} -1 60 500000000")
        self.coffer("update", "--cpu-quota", "20000", "--cpu-period", "100000", name)
        self.assertEqual(self.field(name, "{{.HostConfig.CpuQuota}} {{.HostConfig.NanoCpus}}"), "20000 0")
        self.coffer("restart", "-t", "5", name)
        self.assertEqual(self.limit(name, "pids.max"), "60")
        before = self.field(name, "{{json .HostConfig}}")
        for flags, words in ((("--memory", "1m"), "memory"), (("--memory", "96m", "--memory-swap", "32m"), "MemorySwap"), (("--cpus", "0.5", "--cpu-quota", "1000"), "Nano CPUs")):
            self.assertFails(self.coffer("update", *flags, name, check=False), 1, words)
        self.assertEqual(self.field(name, "{{json .HostConfig}}"), before, "a refused update changed the record")
        self.assertFails(self.coffer("update", name, check=False), 1, "one or more flags")

    def test_restart(self):
        name = self.up()
        before = self.field(name, "{{.State.Pid}}")
        self.assertEqual(self.coffer("restart", name).word, name)
        self.assertNotEqual(self.field(name, "{{.State.Pid}}"), before)
        self.coffer("stop", name)
        self.coffer("restart", name)
        self.assertEqual(self.status(name), "running")

    def test_restart_of_what_is_removed_at_its_end(self):
        """docker's meaning: --rm counts again from the next end on. What was written is still there."""
        name = self.up("--rm", script="test -e /kept && echo again >/kept2; touch /kept; " + STAYS)
        self.assertTrue(coffer.wait_until(lambda: self.coffer("exec", name, "test", "-e", "/kept", check=False).code == 0, 5))
        before = self.field(name, "{{.State.Pid}}")
        for _ in range(2):
            self.coffer("restart", "-t", "5", name)
        self.assertNotEqual(self.field(name, "{{.State.Pid}}"), before)
        self.assertTrue(coffer.wait_until(lambda: self.coffer("exec", name, "cat", "/kept2", check=False).out == "again\n", 5))
        self.coffer("stop", "-t", "5", name)
        self.assertTrue(coffer.wait_until(lambda: self.coffer("inspect", name, check=False).code == 1, 5))

    def test_container_prune(self):
        for label in ("keep", "go"):
            self.coffer("run", "--name", self.unique(label), "-l", label, "--network", "none", self.IMAGE, "sh", "-c", "head -c 5000 /dev/zero >/f")
        running = self.up("-l", "go")
        r = self.coffer("container", "prune", "-f", "--filter", "label=go")
        self.assertRegex(r.out, r"^Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: 5kB\n$")
        self.assertEqual(self.status(running), "running")
        asked = self.coffer("container", "prune", input="n\n")
        self.assertIn("[y/N]", asked.out)
        self.assertEqual(len(self.coffer("ps", "-aq", "--filter", "label=keep").lines), 1)
        self.assertFails(self.coffer("container", "prune", "-f", "--filter", "nope=1", check=False), 1, "nope")
        self.assertEqual(len(self.coffer("ps", "-aq", "--filter", "label=keep").lines), 1, "a filter that is not understood removed something")
        self.assertIn("Deleted Containers", self.coffer("container", "prune", input="y\n").out)
        self.assertEqual(self.coffer("ps", "-aq", "--filter", "label=keep").out, "")

    def test_image_prune(self):
        for tag in ("old:1", "used:1"):
            path = images.docker_archive([[images.Entry.file("bin/x", tag)], images.busybox_entries()], [tag], path=os.path.join(self.scratch, self.unique("i") + ".tar"))
            self.coffer("load", "-i", path)
        user = self.unique("user")
        self.coffer("create", "--name", user, "--network", "none", "used:1", "true")
        self.addCleanup(self.coffer_, "rm", "-f", user, check=False)
        keeper = self.up()
        self.assertEqual(self.coffer("image", "prune", "-f").out, "Total reclaimed space: 0B\n")
        r = self.coffer("image", "prune", "-af")
        self.assertIn("untagged: old:1\n", r.out)
        self.assertIn("deleted: sha256:", r.out)
        self.assertEqual(sorted(self.coffer("images", "--format", "{{.Repository}}").lines), ["busybox", "used"])
        self.coffer("rm", "-f", user, keeper)
        self.coffer("rmi", "used:1")

    def test_volume_prune(self):
        named, anonymous = self.coffer("volume", "create", self.unique("vol")).word, self.coffer("volume", "create").word
        self.up("-v", "busy:/v")
        self.assertEqual(self.coffer("volume", "prune", "-f").out, f"Deleted Volumes:\n{anonymous}\n\nTotal reclaimed space: 0B\n")
        self.assertIn(named, self.coffer("volume", "ls", "-q").lines)
        self.assertIn(named, self.coffer("volume", "prune", "-af").out)
        self.assertEqual(self.coffer("volume", "ls", "-q", "--filter", "name=busy").word, "busy")

    def test_events(self):
        p = self.popen("events", "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}", "--filter", "type=container", "--filter", "label=seen", text=True)
        time.sleep(0.5)
        name = self.unique("ev")
        self.coffer("run", "--name", name, "-l", "seen", "--network", "none", self.IMAGE, "sh", "-c", "exit 4", check=False)
        self.coffer("rename", name, name + "x")
        self.coffer("rm", name + "x")
        want = [f"container {a} {name}{x} {code}".rstrip() for a, x, code in (("create", "", ""), ("attach", "", ""), ("start", "", ""), ("die", "", "4"), ("rename", "x", ""), ("destroy", "x", ""))]
        self.assertEqual([p.stdout.readline().replace("<no value>", "").rstrip() for _ in want], want)
        p.terminate()
        p.wait()
        for args, words in ((("--filter", "nope=1"), "nope"), (("--since", "yesterday"), "--since")):
            self.assertFails(self.coffer("events", "--until", "1s", *args, check=False), 1, words)


class Embedded(Verbs, coffer.CofferTest):
    pass


class WithDaemon(Verbs, daemon.DaemonTest):
    def test_past_events(self):
        start = time.time()
        name = self.up("-l", "past=1")
        self.coffer("rm", "-f", name)
        rows = [json.loads(line) for line in self.coffer("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--filter", "label=past=1", "--format", "json").lines]
        self.assertEqual([r["Action"] for r in rows], ["create", "start", "kill", "die", "destroy"])
        plain = self.coffer("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--filter", "label=past=1").lines[0]
        self.assertRegex(plain, rf"^\d{{4}}-\d\d-\d\dT[\d:]+\.\d{{9}}Z container create [0-9a-f]{{64}} \(.*image=busybox.*name={name}.*\)$")


if __name__ == "__main__":
    coffer.main()
