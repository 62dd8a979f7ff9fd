# SPDX-License-Identifier: Apache-2.0
"""Health checks: what the monitor probes and tells, with an engine of the command's own, with the daemon, and through the docker CLI."""

import json
import os
import re
import signal
import subprocess
import time
import unittest

import coffer
import daemon
import images

ASAN = True
FAST = ("--health-interval", "100ms", "--health-timeout", "20s")
STAYS = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


class Checks:
    def up(self, check, *flags, script=STAYS, image=None, fast=True):
        name = self.unique("c")
        health = (["--health-cmd", check] if check else []) + (list(FAST) if fast else [])
        self.coffer("run", "-d", "--name", name, "--network", "none", *health, *flags, image or self.IMAGE, "sh", "-c", script)
        self.addCleanup(self.coffer_, "rm", "-f", name, check=False)
        return name

    def health(self, ref):
        return self.inspect(ref)["State"].get("Health")

    def until(self, condition, timeout=20):
        self.assertTrue(coffer.wait_until(condition, timeout), self.coffer("ps", "-a").out)

    def until_health(self, ref, status):
        self.until(lambda: self.health(ref)["Status"] == status)

    def probes(self, ref, n=1):
        """The log, once it has @n entries."""
        self.until(lambda: len(self.health(ref)["Log"]) >= n)
        return self.health(ref)["Log"]

    def cmdlines(self, ref):
        return self.coffer("top", ref, "-o", "pid,args").out

    # -- the verdict --------------------------------------------------------------------------------------------

    def test_life(self):
        name = self.up("echo probe; test -e /ok", "--health-retries", "2")
        self.assertIn(self.health(name)["Status"], ("starting", "unhealthy"))
        self.until_health(name, "unhealthy")
        h = self.health(name)
        self.assertGreaterEqual(h["FailingStreak"], 2)
        self.assertEqual({(e["ExitCode"], e["Output"]) for e in h["Log"]}, {(1, "probe\n")})
        for e in h["Log"]:
            for key in ("Start", "End"):
                self.assertRegex(e[key], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")
        ps = ("ps", "--filter", "name=" + name, "--format", "{{.Status}}")
        self.assertRegex(self.coffer(*ps).out, r"^Up .* \(unhealthy\)$")
        self.coffer("exec", name, "touch", "/ok")
        self.until_health(name, "healthy")
        self.assertEqual(self.health(name)["FailingStreak"], 0)
        self.assertRegex(self.coffer(*ps).out, r"^Up .* \(healthy\)$")
        self.until(lambda: all(e["ExitCode"] == 0 for e in self.health(name)["Log"]))
        self.assertEqual(len(self.probes(name, 5)), 5)
        # what is known stays when it has ended, with docker's word for a check that nobody makes
        self.coffer("stop", "-t", "5", name)
        h = self.health(name)
        self.assertEqual((h["Status"], len(h["Log"]), h["Log"][-1]["Output"]), ("unhealthy", 5, "probe\n"))
        self.coffer("exec", name, "true", check=False)

    def test_starting_and_filters(self):
        slow = self.up("true", "--health-interval", "1h", fast=False)
        well, none = self.up("true"), self.up(None, fast=False)
        self.until_health(well, "healthy")
        for status, names in (("starting", {slow}), ("healthy", {well}), ("unhealthy", set())):
            self.assertEqual(set(self.coffer("ps", "--filter", "health=" + status, "--format", "{{.Names}}").lines), names)
        self.assertIn(none, self.coffer("ps", "--filter", "health=none", "--format", "{{.Names}}").lines)
        self.assertNotIn(slow, self.coffer("ps", "--filter", "health=none", "--format", "{{.Names}}").lines)
        self.assertEqual(self.health(slow), {"Status": "starting", "FailingStreak": 0, "Log": []})
        self.assertIn("(health: starting)", self.coffer("ps", "--filter", "name=" + slow, "--format", "{{.Status}}").out)
        self.assertIsNone(self.health(none))
        created = self.unique("created")
        self.coffer("create", "--name", created, "--network", "none", "--health-cmd", "true", self.IMAGE, "true")
        self.addCleanup(self.coffer_, "rm", created, check=False)
        self.assertIsNone(self.health(created))

    def test_start_period(self):
        name = self.up("exit 1", "--health-start-period", "1h", "--health-start-interval", "50ms", "--health-interval", "1h", "--health-retries", "1", fast=False)
        self.assertEqual(len(self.probes(name, 5)), 5)
        self.assertEqual((self.health(name)["Status"], self.health(name)["FailingStreak"]), ("starting", 0))
        # the first success ends it: probes come at their own pace from then on, and failures count
        name = self.up("test -e /ok || exit 1; exit $(cat /ok)", "--health-start-period", "1h", "--health-start-interval", "50ms", "--health-retries", "1", "--health-interval", "300ms", fast=False)
        self.probes(name, 1)
        self.coffer("exec", name, "sh", "-c", "echo 0 >/ok")
        self.until_health(name, "healthy")
        self.coffer("exec", name, "sh", "-c", "echo 1 >/ok")
        self.until_health(name, "unhealthy")

    # -- one probe ----------------------------------------------------------------------------------------------

    def test_output_is_bounded(self):
        name = self.up("head -c 9000 /dev/zero | tr '\\0' x")
        self.assertEqual(self.probes(name)[0]["Output"], "x" * 4096 + "...")
        name = self.up("printf 'a\\000b\\377c\\n'; printf err >&2")
        out = self.probes(name)[0]["Output"]
        self.assertIn("a\0b\ufffdc\n", out)
        self.assertIn("err", out)

    def test_timeout_ends_the_whole_probe(self):
        name = self.up("echo began; sleep 4321 & sleep 4322", "--health-timeout", "300ms", "--health-retries", "1", "--health-interval", "1s", fast=False)
        self.until_health(name, "unhealthy")
        e = self.health(name)["Log"][0]
        self.assertEqual((e["ExitCode"], e["Output"]), (-1, "Health check exceeded timeout (300ms): began\n"))
        self.coffer("exec", name, "touch", "/x")  # the container itself is well
        self.until(lambda: len(re.findall("sleep 432", self.cmdlines(name))) <= 2)
        self.coffer("stop", "-t", "5", name)

    def test_probe_that_cannot_be_started(self):
        name = self.unique("c")
        body = {"Test": ["CMD", "/no/such/probe"], "Interval": 100000000}
        path = images.docker_archive([images.busybox_entries()], [name + ":1"], config={"Healthcheck": body}, path=os.path.join(self.scratch, name + ".tar"))
        self.coffer("load", "-i", path)
        name = self.up(None, "--health-retries", "1", image=name + ":1", fast=False)
        self.until_health(name, "unhealthy")
        e = self.health(name)["Log"][0]
        self.assertEqual(e["ExitCode"], -1)
        self.assertIn("/no/such/probe", e["Output"])

    def test_confined_as_an_exec(self):
        """R8, R9: never more than PID 1 has, and what an exec has."""
        fields = "grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):' /proc/self/status"
        for flags in ((), ("-u", "1000:50"), ("--cap-drop", "ALL"), ("--cap-add", "NET_RAW", "--security-opt", "no-new-privileges")):
            name = self.up(fields, *flags)
            probe = self.probes(name)[0]["Output"]
            self.assertEqual(probe, self.coffer("exec", name, "sh", "-c", fields).out, flags)
            mine = dict(line.split(":", 1) for line in probe.splitlines())
            init = coffer.proc_status(self.pid(name))
            self.assertEqual(mine["CapInh"].strip(), "0" * 16)
            self.assertEqual(int(mine["CapBnd"], 16) & ~int(init["CapBnd"], 16), 0)
            self.assertEqual(mine["Seccomp"].strip(), "2")
            self.coffer("rm", "-f", name)

    def test_environment_and_directory(self):
        name = self.up("pwd; echo $WHO; id -u", "-e", "WHO=me", "-w", "/tmp", "-u", "1000")
        self.assertEqual(self.probes(name)[0]["Output"], "/tmp\nme\n1000\n")

    # -- the image's --------------------------------------------------------------------------------------------

    def test_of_the_image(self):
        tag = self.unique("img") + ":1"
        body = {"Test": ["CMD-SHELL", "echo of the image"], "Interval": 100000000, "Retries": 9}
        path = images.docker_archive([images.busybox_entries()], [tag], config={"Healthcheck": body}, path=os.path.join(self.scratch, self.unique("i") + ".tar"))
        self.coffer("load", "-i", path)
        name = self.up(None, image=tag, fast=False)
        self.assertEqual(self.inspect(name)["Config"]["Healthcheck"], body)
        self.assertEqual(self.probes(name)[0]["Output"], "of the image\n")
        name = self.up("echo mine", image=tag, fast=False)
        self.assertEqual(self.inspect(name)["Config"]["Healthcheck"], dict(body, Test=["CMD-SHELL", "echo mine"]))
        self.assertEqual(self.probes(name)[0]["Output"], "mine\n")
        name = self.up(None, "--no-healthcheck", image=tag, fast=False)
        self.assertIsNone(self.health(name))
        self.assertEqual(self.inspect(name)["Config"]["Healthcheck"], {"Test": ["NONE"]})
        # an image is data: what is no check is refused, and can be gone without
        bad = self.unique("bad") + ":1"
        path = images.docker_archive([images.busybox_entries()], [bad], config={"Healthcheck": {"Test": ["CMD", "x"], "Interval": 3}}, path=os.path.join(self.scratch, self.unique("i") + ".tar"))
        self.coffer("load", "-i", path)
        self.assertRefused("create", "--network", "none", bad, "true", words=("image's health check", "Interval"))
        self.coffer("run", "--rm", "--network", "none", "--no-healthcheck", bad, "true")

    def test_bad_flags(self):
        for flags, words in ((("--health-interval", "5"), "--health-interval"), (("--health-cmd", "x", "--health-interval", "5us"), "1ms"), (("--health-cmd", "x", "--health-timeout", "-1s"), "negative"),
                             (("--health-retries", "-1"), "negative"), (("--health-cmd", "x", "--no-healthcheck"), "conflicts")):
            self.assertRefused("create", "--network", "none", *flags, self.IMAGE, "true", words=(words,))

    # -- life ---------------------------------------------------------------------------------------------------

    def test_paused_is_not_probed(self):
        name = self.up("true")
        self.probes(name)
        self.coffer("pause", name)
        time.sleep(0.3)
        before = self.health(name)["Log"][-1]["End"]
        time.sleep(0.6)
        self.assertEqual(self.health(name)["Log"][-1]["End"], before)
        self.coffer("unpause", name)
        self.until(lambda: self.health(name)["Log"][-1]["End"] > before)
        # a probe that the pause has caught does not fail by it
        name = self.up("sleep 0.5", "--health-timeout", "700ms", "--health-interval", "50ms", "--health-retries", "1", fast=False)
        self.until(lambda: "sleep 0.5" in self.cmdlines(name))
        self.coffer("pause", name)
        time.sleep(1.2)
        self.coffer("unpause", name)
        self.assertEqual({e["ExitCode"] for e in self.probes(name, 2)}, {0})

    def test_the_end_ends_the_probe(self):
        for end in ("kill", "stop", "monitor"):
            name = self.up("sleep 4323")
            self.until(lambda name=name: "sleep 4323" in self.cmdlines(name))
            if end == "monitor":
                os.kill(self.monitor_pid(name), signal.SIGKILL)
                self.until(lambda name=name: self.status(name) == "exited")
            else:
                self.coffer(end, *(["-t", "5"] if end == "stop" else []), name)
            self.assertEqual(self.health(name)["Log"], [], "a probe that the end cut off says nothing")
            left = subprocess.run(["pgrep", "-f", "^sleep 4323"], capture_output=True, text=True).stdout
            self.assertEqual(left, "")

    def test_restart_begins_anew(self):
        name = self.up("test -e /ok", "--restart", "always", script="while [ ! -e /go ]; do sleep 0.05; done; rm /go; exit 1")
        self.coffer("exec", name, "touch", "/ok")
        self.until_health(name, "healthy")
        self.coffer("exec", name, "sh", "-c", "rm /ok; touch /go", check=False)
        self.until(lambda: self.inspect(name)["RestartCount"] == 1 and self.status(name) == "running")
        self.until(lambda: self.health(name)["Log"])
        self.assertEqual({e["ExitCode"] for e in self.health(name)["Log"]}, {1})

    def test_costs_nothing_without(self):
        plain, checked = self.up(None, fast=False), self.up("true", "--health-interval", "1h", fast=False)

        def timers(ref):
            return [t for t in coffer.fd_links(self.monitor_pid(ref)).values() if "timerfd" in t]

        self.assertEqual((len(timers(plain)), len(timers(checked))), (0, 1))
        bundle = os.path.join(self.run_dir, "containers", self.inspect(plain)["Id"])
        self.assertFalse([f for f in os.listdir(bundle) if "health" in f])
        self.assertEqual(len(os.listdir(f"/proc/{self.monitor_pid(checked)}/task")), 1)

    def test_monitor_stays_small(self):
        name = self.up("head -c 9000 /dev/zero", "--health-start-period", "1h", "--health-start-interval", "50ms", "--health-interval", "1h", fast=False)
        self.until_health(name, "healthy")
        pid = self.monitor_pid(name)

        def dirty():
            return sum(int(line.split()[1]) for line in coffer.read_text(f"/proc/{pid}/smaps_rollup").splitlines() if line.startswith("Private_"))

        if not os.environ.get("ASAN_OPTIONS"):
            self.assertTrue(coffer.wait_until(lambda: dirty() < 200, 10), dirty())
        fds = len(os.listdir(f"/proc/{pid}/fd"))
        self.assertLess(fds, 16)


class Embedded(Checks, coffer.CofferTest):
    daemon = None


class WithDaemon(Checks, daemon.DaemonTest):
    def again(self):
        self.daemon.proc.kill()
        self.daemon.proc.wait()
        type(self).daemon = None
        self.start_daemon()

    def test_outlives_the_daemon(self):
        name = self.up("true")
        self.until_health(name, "healthy")
        last = self.health(name)["Log"][-1]["End"]
        self.again()
        self.assertEqual(self.health(name)["Status"], "healthy")
        self.until(lambda: self.health(name)["Log"][-1]["End"] > last)
        start = time.time()
        self.until(lambda: "exec_die" in self.coffer("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--filter", "container=" + name, "--format", "{{.Action}}").out)

    def test_events(self):
        start = time.time()
        name = self.up("test -e /ok", "--health-retries", "2", "-l", "told=1")
        self.until_health(name, "unhealthy")
        self.coffer("exec", name, "touch", "/ok")
        self.until_health(name, "healthy")
        self.until(lambda: all(e["ExitCode"] == 0 for e in self.health(name)["Log"]))
        rows = [json.loads(line) for line in self.coffer("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--filter", "label=told=1", "--format", "json").lines]
        self.assertEqual([r["Action"] for r in rows if r["Action"].startswith("health_status")], ["health_status: unhealthy", "health_status: healthy"])
        only = self.coffer("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--filter", "event=health_status", "--filter", "container=" + name, "--format", "{{.Action}}").lines
        self.assertEqual(only, ["health_status: unhealthy", "health_status: healthy"])
        probe = next(r["Actor"]["Attributes"]["execID"] for r in rows if r["Action"].startswith("exec_create"))
        mine = [r for r in rows if r["Actor"]["Attributes"].get("execID") == probe]
        self.assertEqual([r["Action"] for r in mine], ["exec_create: /bin/sh -c test -e /ok", "exec_start: /bin/sh -c test -e /ok", "exec_die"])
        self.assertEqual(mine[2]["Actor"]["Attributes"]["exitCode"], "1")
        # the verdict comes behind the probe that made it
        at = [r["Action"] for r in rows].index("health_status: unhealthy")
        self.assertEqual(rows[at - 1]["Action"], "exec_die")

    def test_api(self):
        for health, words in (({"Test": ["CMD", "x"], "Interval": 5}, "Interval"), ({"Test": ["RUN", "x"]}, "RUN"), ({"Test": ["CMD"]}, "no command"), ({"Test": ["CMD", "x"], "Retries": -1}, "Retries")):
            a = self.api("POST", "/containers/create", {"Image": self.IMAGE, "Healthcheck": health})
            self.assertEqual(a.status, 400, str(a))
            self.assertIn(words, a.message)
        cid = self.started("sh", "-c", STAYS, Healthcheck={"Test": ["CMD", "echo", "a b"], "Interval": 100000000})
        self.until(lambda: self.state(cid)["Health"]["Status"] == "healthy")
        self.assertEqual(self.state(cid)["Health"]["Log"][0]["Output"], "a b\n")
        listed = self.api("GET", "/containers/json", query={"filters": {"health": ["healthy"], "id": [cid]}}).json()
        self.assertRegex(listed[0]["Status"], r"^Up .* \(healthy\)$")

    def test_many_at_once(self):
        """20 containers that are probed ten times a second."""
        names = [self.up("true") for _ in range(20)]
        for name in names:
            self.until_health(name, "healthy")
        self.coffer("rm", "-f", *names)


@unittest.skipUnless(os.path.exists("/usr/local/bin/docker"), "no such docker here")
class DockerCli(daemon.DaemonTest):
    def docker(self, *args):
        env = dict(self.env, DOCKER_HOST="unix://" + self.sock, DOCKER_CONFIG=os.path.join(self.scratch, "docker"))
        env.pop("COFFER_RUN")
        p = subprocess.run(["/usr/local/bin/docker", *args], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout

    def test_all(self):
        self.docker("run", "-d", "--name", "well", "--network", "none", "--health-cmd", "test -e /ok", "--health-interval", "100ms", "--health-retries", "1", "--health-timeout", "9s", "--health-start-period", "1ms",
                    "--restart", "on-failure:3", "busybox", "sh", "-c", STAYS)
        self.addCleanup(self.docker, "rm", "-f", "well")
        status = lambda: self.docker("inspect", "-f", "{{.State.Health.Status}} {{.State.Health.FailingStreak}}", "well").split()[0]  # noqa: E731
        self.assertTrue(coffer.wait_until(lambda: status() == "unhealthy", 20))
        self.docker("exec", "well", "touch", "/ok")
        self.assertTrue(coffer.wait_until(lambda: status() == "healthy", 20))
        self.assertRegex(self.docker("ps", "--filter", "health=healthy", "--format", "{{.Names}} {{.Status}}"), r"^well Up .* \(healthy\)\n$")
        self.assertEqual(self.docker("inspect", "-f", "{{json .Config.Healthcheck}}", "well").strip(),
                         '{"Test":["CMD-SHELL","test -e /ok"],"Interval":100000000,"Timeout":9000000000,"StartPeriod":1000000,"Retries":1}')
        self.assertEqual(self.docker("inspect", "-f", "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}} {{.RestartCount}}", "well").strip(), "on-failure 3 0")


if __name__ == "__main__":
    coffer.main()
