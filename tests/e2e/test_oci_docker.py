# SPDX-License-Identifier: Apache-2.0
"""coffer-oci under Debian's Docker (20.10): `--add-runtime` and `docker run --runtime`, with userns-remap off and on.

A dockerd and a containerd per class, in an arena of their own (peers.py).
"""

import json
import os
import re

import coffer
import images
import peers

IMAGE = "busybox"
TERMINATES = "trap 'exit 9' TERM; while :; do sleep 0.1; done"
TICKS = "while :; do echo x >>/ticks; sleep 0.02; done"


class Docker:
    """What both halves ask. `daemon_flags`: more words for dockerd."""

    daemon_flags = ()

    @classmethod
    def setUpArena(cls):
        a = cls.arena
        argv = ["dockerd", "--data-root", a.dir + "/data", "--exec-root", "/run/docker", "--pidfile", "/run/docker.pid", "-H", "unix:///run/docker.sock", "--bridge", "none", "--iptables=false",
                "--add-runtime", "coffer=" + cls.runtime, "--oom-score-adjust", "0", *cls.daemon_flags]
        cls.server = a.daemon(*argv, log="dockerd.log")
        if not coffer.wait_until(lambda: cls.docker("version", check=False).code == 0 or cls.server.poll() is not None, 60, 0.1) or cls.server.poll() is not None:
            raise RuntimeError("dockerd did not come up: " + a.log("dockerd.log"))
        cls.docker("load", "-i", images.docker_archive([images.busybox_entries()], ["busybox:latest"], path=os.path.join(a.dir, "busybox.tar")))

    @classmethod
    def docker(cls, *args, **kw):
        return cls.arena.run("docker", "-H", "unix:///run/docker.sock", *args, **kw)

    def run_(self, *args, flags=(), **kw):
        return self.docker("run", "--rm", "--runtime", "coffer", "--network", "none", *flags, IMAGE, *args, **kw)

    def sh(self, script, *flags, **kw):
        return self.run_("sh", "-c", script, flags=flags, **kw)

    def start(self, *args, flags=()):
        """A detached container, removed when the test ends. Return: its name."""
        name = self.unique()
        self.docker("run", "-d", "--runtime", "coffer", "--name", name, "--network", "none", *flags, IMAGE, *args)
        self.addCleanup(self.docker, "rm", "-f", name, check=False)
        return name

    def inspect(self, name):
        return json.loads(self.docker("inspect", name).out)[0]

    def pid(self, name):
        return self.inspect(name)["State"]["Pid"]

    def tty(self, *args, **kw):
        t = self.arena.tty("docker", "-H", "unix:///run/docker.sock", *args, **kw)
        self._ttys.append(t)
        return t

    # -- tests of both ------------------------------------------------------------------------------------------------

    def test_it_is_this_runtime(self):
        name = self.start("sleep", "1000")
        self.assertEqual(self.inspect(name)["HostConfig"]["Runtime"], "coffer")
        self.assertEqual(json.loads(self.docker("info", "--format", "{{json .Runtimes}}").out)["coffer"]["path"], self.runtime)

    def test_run(self):
        r = self.sh("id -u; cat; echo to-stderr >&2; exit 3", "-i", input="from stdin\n", check=False)
        self.assertEqual((r.code, r.out), (3, "0\nfrom stdin\n"))
        self.assertIn("to-stderr", r.err)

    def test_exit_codes_of_what_cannot_run(self):
        self.assertFails(self.run_("/no/such/program", check=False), 127, "no such file")
        self.assertFails(self.run_("/etc/passwd", check=False), 126, "permission denied")

    def test_terminal(self):
        t = self.tty("run", "--rm", "-it", "--runtime", "coffer", "--network", "none", IMAGE, "sh", rows=31, cols=99)
        t.expect("/ # ")
        t.line("tty; sleep 0.3; stty size; exit 4")
        t.expect("/dev/(pts/0|console)")
        t.expect("31 99")
        self.assertEqual(t.wait(), 4)

    def test_exec(self):
        name = self.start("sleep", "1000")
        r = self.docker("exec", name, "sh", "-c", "echo out; echo err >&2; exit 5", check=False)
        self.assertEqual((r.code, r.out, r.err.strip()), (5, "out\n", "err"))
        r = self.docker("exec", "-u", "alice", "-w", "/tmp", "-e", "A=b", name, "sh", "-c", "id -un; pwd; echo $A")
        self.assertEqual(r.out.split(), ["alice", "/tmp", "b"])
        r = self.docker("exec", name, "/no/such/program", check=False)
        self.assertIn(r.code, (126, 127), str(r))
        self.assertIn("no such file", (r.out + r.err).lower())

    def test_exec_terminal(self):
        name = self.start("sleep", "1000")
        t = self.tty("exec", "-it", name, "sh")
        t.expect("/ # ")
        t.line("test -t 0 && echo is-a-terminal; exit 6")
        t.expect("is-a-terminal\r")
        self.assertEqual(t.wait(), 6)

    def test_logs_top_stats(self):
        name = self.start("sh", "-c", "echo one; echo two >&2; sleep 1000")
        self.assertTrue(coffer.wait_until(lambda: self.docker("logs", name).out == "one\n"))
        self.assertEqual(self.docker("logs", name).err, "two\n")
        self.assertIn("sleep 1000", self.docker("top", name).out)
        self.assertRegex(self.docker("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", name).out, r"[KM]iB / .*[12]$")

    def test_stop_and_kill(self):
        name = self.start("sh", "-c", TERMINATES)
        coffer.time.sleep(0.3)
        self.docker("stop", "-t", "10", name)
        self.assertEqual(self.inspect(name)["State"]["ExitCode"], 9)
        name = self.start("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
        self.docker("stop", "-t", "1", name)
        self.assertEqual(self.inspect(name)["State"]["ExitCode"], 137)
        name = self.start("sh", "-c", "trap 'exit 12' USR1; while :; do sleep 0.1; done")
        coffer.time.sleep(0.3)
        self.docker("kill", "-s", "USR1", name)
        self.assertEqual(self.docker("wait", name).word, "12")

    def test_pause(self):
        name = self.start("sh", "-c", TICKS)
        coffer.time.sleep(0.2)
        self.docker("pause", name)
        self.assertEqual(self.inspect(name)["State"]["Status"], "paused")
        pid = self.pid(name)
        count = lambda: int(self.arena.run("sh", "-c", f"wc -c </proc/{pid}/root/ticks").word)  # noqa: E731
        first = count()
        coffer.time.sleep(0.3)
        self.assertEqual(count(), first)
        self.docker("unpause", name)
        self.assertTrue(coffer.wait_until(lambda: count() > first))

    def test_create_start_restart_rm(self):
        name = self.unique()
        self.docker("create", "--runtime", "coffer", "--name", name, "--network", "none", IMAGE, "sh", "-c", "echo run; sleep 1000")
        self.addCleanup(self.docker, "rm", "-f", name, check=False)
        self.docker("start", name)
        self.docker("restart", "-t", "0", name)
        self.assertTrue(coffer.wait_until(lambda: self.docker("logs", name).out == "run\nrun\n"), self.docker("logs", name))
        self.assertNotEqual(self.docker("rm", name, check=False).code, 0)
        self.docker("rm", "-f", name)
        self.assertNotEqual(self.docker("inspect", name, check=False).code, 0)

    def test_limits_and_update(self):
        name = self.start("sleep", "1000", flags=["--memory", "64m", "--cpus", "0.5", "--pids-limit", "33"])
        groups = dict(line.split(":", 2)[1:] for line in self.arena.run("cat", f"/proc/{self.pid(name)}/cgroup").out.splitlines())

        def check(memory):
            if self.arena.v1:
                facts = {f"memory{groups['memory']}/memory.limit_in_bytes": str(memory), f"cpu{groups['cpu']}/cpu.cfs_quota_us": "50000", f"pids{groups['pids']}/pids.max": "33"}
            else:
                facts = {groups[""] + "/memory.max": str(memory), groups[""] + "/cpu.max": "50000 100000", groups[""] + "/pids.max": "33"}
            for path, value in facts.items():
                self.assertEqual(self.arena.run("cat", f"{peers.CGROUP}/{path}").word, value, path)

        check(67108864)
        self.docker("update", "--memory", "32m", "--memory-swap", "64m", name)
        check(33554432)

    def test_oom_killed(self):
        name = self.start("sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=1; echo $?; sleep 0.3; exit 9", flags=["--memory", "20m"])
        self.assertEqual(self.docker("wait", name).word, "9")
        self.assertEqual(self.docker("logs", name).out, "137\n")
        self.assertTrue(self.inspect(name)["State"]["OOMKilled"])

    def test_confined(self):
        r = self.sh("grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status; cat /proc/kcore | wc -c; unshare -U true; mount -t tmpfs x /mnt", "--security-opt", "no-new-privileges", check=False)
        facts = dict(line.split(":\t") for line in r.out.splitlines() if ":\t" in line)
        self.assertEqual((facts["Seccomp"], facts["NoNewPrivs"], facts["CapEff"]), ("2", "1", "00000000a80425fb"))
        self.assertIn("0", r.out.split())
        self.assertNotEqual(r.code, 0)

    def test_volumes_tmpfs_and_read_only(self):
        folder = os.path.join(self.arena.dir, "volume")
        self.arena.run("sh", "-c", f"mkdir -p {folder} && echo volume >{folder}/f && chmod -R a+rwX {folder}")
        r = self.sh("cat /v/f; touch /v/g /t/x /y", "-v", f"{folder}:/v:ro", "--tmpfs", "/t:size=1m,mode=1777", "--read-only", check=False)
        self.assertIn("volume", r.out)
        self.assertEqual(re.findall(r"touch: (\S+): Read-only", r.err), ["/v/g", "/y"], str(r))
        self.assertEqual(self.sh("stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'", "--tmpfs", "/t:size=1m,mode=1770").out.split(), ["1770", "1024"])
        volume = self.unique("vol")
        self.docker("volume", "create", volume)
        self.sh("echo kept >/d/f", "-v", volume + ":/d")
        self.assertEqual(self.sh("cat /d/f", "-v", volume + ":/d").word, "kept")

    def test_user_groups_rlimits_sysctl(self):
        r = self.sh("id; ulimit -n; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; hostname; cat /proc/self/oom_score_adj", "-u", "1000:50", "--group-add", "29", "--ulimit", "nofile=99:99", "--sysctl",
                    "net.ipv4.ip_unprivileged_port_start=77", "--hostname", "guest", "--oom-score-adj", "500")
        self.assertIn("uid=1000(alice) gid=50(staff) groups=29(audio)", r.out)
        self.assertEqual(r.out.split()[-4:], ["99", "77", "guest", "500"])

    def test_init(self):
        self.assertEqual(self.sh("cat /proc/1/comm", "--init").word, "docker-init")

    def test_namespaces_of_another(self):
        one = self.start("sleep", "1000", flags=["--ipc", "shareable"])
        r = self.docker("run", "--rm", "--runtime", "coffer", "--network", "container:" + one, "--pid", "container:" + one, "--ipc", "container:" + one, IMAGE, "ps")
        self.assertIn("sleep 1000", r.out)

    def test_nothing_is_left(self):
        name = self.start("sleep", "1000")
        cid = self.inspect(name)["Id"]
        self.docker("rm", "-f", name)
        self.assertEqual(self.arena.run("find", peers.CGROUP, "-name", f"*{cid}*").out, "")
        self.assertEqual(self.arena.run("sh", "-c", f"grep -c {cid} /proc/self/mountinfo", check=False).word, "0")
        self.assertEqual(self.arena.run("sh", "-c", f"find /run -path '*{cid}*'").out, "")


class Plain(Docker, peers.ArenaTest):
    """userns-remap off."""

    def test_ids_are_the_hosts(self):
        self.assertEqual(self.arena.run("cat", f"/proc/{self.pid(self.start('sleep', '1000'))}/uid_map").out.split()[:2], ["0", "0"])

    def test_privileged(self):
        """All capabilities are asked for; one that the machine itself lacks is left out, as the specification has it (runc fails)."""
        self.assertEqual(self.sh("mount -t tmpfs x /mnt && echo mounted", "--privileged").word, "mounted")
        name = self.start("sleep", "1000")
        held = int(re.search(r"CapEff:\s+(\S+)", self.docker("exec", "--privileged", name, "cat", "/proc/self/status").out).group(1), 16)
        self.assertEqual(held, int(coffer.proc_status("self")["CapBnd"], 16) & (1 << 38) - 1)  # those that Docker 20.10 knows

    def test_device(self):
        self.assertEqual(self.sh("head -c 3 /dev/zero2 | wc -c", "--device", "/dev/zero:/dev/zero2:r").word, "3")

    def test_device_that_is_not_allowed(self):
        r = self.sh("mknod /dev/mem2 c 1 1 && head -c 1 /dev/mem2", "--cap-add", "MKNOD", check=False)
        self.assertNotEqual(r.code, 0, str(r))
        self.assertIn("Operation not permitted", r.err)


class Remapped(Docker, peers.ArenaTest):
    """userns-remap on."""

    EXTRA = """
echo dockremap:x:4343:4343::/nonexistent:/bin/false >>/etc/passwd
echo dockremap:x:4343: >>/etc/group
echo dockremap:300000:65536 >>/etc/subuid
echo dockremap:400000:65536 >>/etc/subgid
"""
    daemon_flags = ("--userns-remap", "dockremap")

    def test_ids_are_mapped(self):
        pid = self.pid(self.start("sleep", "1000"))
        self.assertEqual(self.arena.run("cat", f"/proc/{pid}/uid_map").out.split(), ["0", "300000", "65536"])
        self.assertEqual(self.arena.run("cat", f"/proc/{pid}/gid_map").out.split(), ["0", "400000", "65536"])
        self.assertRegex(self.arena.run("cat", f"/proc/{pid}/status").out, r"Uid:\s+300000\s")

    def test_userns_host(self):
        pid = self.pid(self.start("sleep", "1000", flags=["--userns", "host"]))
        self.assertEqual(self.arena.run("cat", f"/proc/{pid}/uid_map").out.split()[:2], ["0", "0"])

    def test_devices_are_bound(self):
        r = self.sh("head -c 3 /dev/zero | wc -c; stat -c %t:%T /dev/kmsg; mount | grep -c /dev/kmsg", "--device", "/dev/kmsg")
        self.assertEqual(r.out.split(), ["3", "1:b", "1"])


if __name__ == "__main__":
    coffer.main()
