# SPDX-License-Identifier: Apache-2.0
"""coffer-oci under Debian's Podman (4.3): `podman --runtime`, rootful and rootless.

Everything runs in an arena (peers.py): storage, /run and /etc are private, and the ordinary user of the rootless half exists
in the arena's /etc only, with subordinate ids for newuidmap.
"""

import json
import os
import re

import coffer
import images
import peers

IMAGE = "localhost/busybox"
TERMINATES = "trap 'exit 9' TERM; while :; do sleep 0.1; done"
TICKS = "while :; do echo x >>/ticks; sleep 0.02; done"


class Podman:
    """What both halves ask; `words` starts podman, `flags` every `podman run`."""

    flags = ()

    @classmethod
    def podman(cls, *args, **kw):
        return cls.arena.run(*cls.words, *args, env=cls.env, **kw)

    @classmethod
    def load(cls):
        folder = cls.arena.dir
        cls.podman("load", "-i", images.docker_archive([images.busybox_entries()], ["busybox:latest"], path=os.path.join(folder, "busybox.tar")))
        layer, entrypoint = peers.pause_layer(folder)
        cls.podman("load", "-i", images.docker_archive([layer], ["pause:1"], {"Entrypoint": entrypoint}, path=os.path.join(folder, "pause.tar")))

    def run_(self, *args, flags=(), **kw):
        return self.podman("run", "--rm", "--network", "none", *self.flags, *flags, IMAGE, *args, **kw)

    def sh(self, script, *flags, **kw):
        return self.run_("sh", "-c", script, flags=flags, **kw)

    def start(self, *args, flags=()):
        """A detached container, removed when the test ends. Return: its name."""
        name = self.unique()
        self.podman("run", "-d", "--name", name, "--network", "none", *self.flags, *flags, IMAGE, *args)
        self.addCleanup(self.podman, "rm", "-f", "-t", "0", name, check=False)
        return name

    def inspect(self, name):
        return json.loads(self.podman("inspect", name).out)[0]

    def tty(self, *args, **kw):
        t = self.arena.tty(*self.words, *args, env=self.env, **kw)
        self._ttys.append(t)
        return t

    # -- tests of both ------------------------------------------------------------------------------------------------

    def test_it_is_this_runtime(self):
        name = self.start("sleep", "1000")
        self.assertEqual(self.inspect(name)["OCIRuntime"], self.runtime)

    def test_run(self):
        r = self.sh("id -u; cat; echo to-stderr >&2; exit 3", "-i", input="from stdin\n", check=False)
        self.assertEqual((r.code, r.out), (3, "0\nfrom stdin\n"))
        self.assertIn("to-stderr", r.err)

    def test_exit_codes_of_what_cannot_run(self):
        self.assertFails(self.run_("/no/such/program", check=False), 127, "no such file")
        self.assertFails(self.run_("/etc/passwd", check=False), 126, "permission denied")

    def test_terminal(self):
        t = self.tty("run", "--rm", "-it", "--network", "none", *self.flags, IMAGE, "sh", rows=31, cols=99)
        t.expect("/ # ")
        t.line("tty; sleep 0.2; stty size; exit 4")
        t.expect("/dev/(pts/0|console)")
        t.expect("31 99")
        self.assertEqual(t.wait(), 4)

    def test_exec(self):
        name = self.start("sleep", "1000")
        r = self.podman("exec", name, "sh", "-c", "echo out; echo err >&2; exit 5", check=False)
        self.assertEqual((r.code, r.out, r.err.strip()), (5, "out\n", "err"))
        r = self.podman("exec", "-u", "alice", "-w", "/tmp", "-e", "A=b", name, "sh", "-c", "id -un; pwd; echo $A")
        self.assertEqual(r.out.split(), ["alice", "/tmp", "b"])
        self.assertFails(self.podman("exec", name, "/no/such/program", check=False), 127, "no such file")

    def test_exec_terminal(self):
        name = self.start("sleep", "1000")
        t = self.tty("exec", "-it", name, "sh")
        t.expect("/ # ")
        t.line("test -t 0 && echo is-a-terminal; exit 6")
        t.expect("is-a-terminal\r")
        self.assertEqual(t.wait(), 6)

    def test_stop_and_kill(self):
        name = self.start("sh", "-c", TERMINATES)
        coffer.time.sleep(0.3)
        self.podman("stop", "-t", "10", name)
        self.assertEqual(self.inspect(name)["State"]["ExitCode"], 9)
        name = self.start("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
        self.podman("stop", "-t", "1", name)
        self.assertEqual(self.inspect(name)["State"]["ExitCode"], 137)
        name = self.start("sh", "-c", "trap 'exit 12' USR1; while :; do sleep 0.1; done")
        coffer.time.sleep(0.3)
        self.podman("kill", "-s", "USR1", name)
        self.assertEqual(self.podman("wait", name).word, "12")

    def test_create_start_restart(self):
        name = self.unique()
        self.podman("create", "--name", name, "--network", "none", *self.flags, IMAGE, "sh", "-c", "echo run; sleep 1000")
        self.addCleanup(self.podman, "rm", "-f", "-t", "0", name, check=False)
        self.podman("start", name)
        coffer.wait_until(lambda: self.podman("logs", name).out == "run\n")
        self.podman("restart", "-t", "0", name)
        self.assertTrue(coffer.wait_until(lambda: self.podman("logs", name).out == "run\nrun\n"), self.podman("logs", name))

    def test_init_and_restart_by_podman(self):
        """`podman init` creates without starting: the runtime's `created` state lasts."""
        name = self.unique()
        self.podman("create", "--name", name, "--network", "none", *self.flags, IMAGE, "true")
        self.addCleanup(self.podman, "rm", "-f", "-t", "0", name, check=False)
        self.podman("init", name)
        self.assertIn(self.inspect(name)["State"]["Status"], ("created", "initialized"))
        self.podman("start", "--attach", name)

    def test_pod(self):
        pod = self.unique("pod")
        self.podman("pod", "create", "--name", pod, "--network", "none", "--infra-image", "localhost/pause:1")
        self.addCleanup(self.podman, "pod", "rm", "-f", "-t", "0", pod, check=False)
        one = self.podman("run", "-d", "--pod", pod, *self.flags, IMAGE, "sleep", "1000").word
        r = self.podman("run", "--rm", "--pod", pod, *self.flags, IMAGE, "sh", "-c", "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done; hostname")
        other = self.podman("exec", one, "sh", "-c", "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done; hostname").out.split()
        mine = r.out.split()
        self.assertEqual(mine[:3] + mine[4:], other[:3] + other[4:])
        self.assertNotEqual(mine[3], other[3])
        self.podman("pod", "stop", "-t", "0", pod)
        self.assertIn(self.podman("pod", "inspect", "--format", "{{.State}}", pod).word, ("Exited", "Stopped"))

    def test_confined(self):
        r = self.sh("grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status; cat /proc/kcore | wc -c; mount -t tmpfs x /mnt; echo x >/proc/sys/kernel/domainname", "--security-opt", "no-new-privileges", check=False)
        facts = dict(line.split(":\t") for line in r.out.splitlines() if ":\t" in line)
        self.assertEqual((facts["Seccomp"], facts["NoNewPrivs"]), ("2", "1"))
        self.assertEqual(int(facts["CapEff"], 16) >> 21 & 1, 0)
        self.assertIn("0", r.out.split())
        self.assertNotEqual(r.code, 0)

    def test_volumes_tmpfs_and_read_only(self):
        folder = os.path.join(self.home, "volume")
        self.arena.run("sh", "-c", f"mkdir -p {folder} && echo volume >{folder}/f && chmod -R a+rwX {folder}")
        r = self.sh("cat /v/f; touch /v/g /t/x /y", "-v", f"{folder}:/v:ro", "--tmpfs", "/t:size=1m,mode=1777", "--read-only", check=False)
        self.assertIn("volume", r.out)
        self.assertEqual(re.findall(r"touch: (\S+): Read-only", r.err), ["/v/g", "/y"], str(r))
        r = self.sh("stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'", "--tmpfs", "/t:size=1m,mode=1770")
        self.assertEqual(r.out.split(), ["1770", "1024"])

    def test_user_groups_rlimits_sysctl(self):
        r = self.sh("id; ulimit -n; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; hostname", "-u", "1000:50", "--group-add", "29", "--ulimit", "nofile=99:99", "--ulimit", "nproc=900:900", "--sysctl", "net.ipv4.ip_unprivileged_port_start=77", "--hostname", "guest")
        self.assertIn("uid=1000(alice) gid=50(staff) groups=29(audio)", r.out)
        self.assertEqual(r.out.split()[-3:], ["99", "77", "guest"])

    def test_custom_map(self):
        r = self.sh("cat /proc/self/uid_map /proc/self/gid_map; stat -c %u /bin/busybox", "--uidmap", "0:1:1000", "--gidmap", "0:1:1000")
        words = r.out.split()
        self.assertEqual((words[0], words[2], words[5], words[6]), ("0", "1000", "1000", "0"))

    def test_logs_and_top(self):
        name = self.start("sh", "-c", "echo one; echo two >&2; sleep 1000")
        self.assertTrue(coffer.wait_until(lambda: "one" in self.podman("logs", name).out))
        self.assertIn("sleep 1000", self.podman("top", name, "pid", "args").out)

    def test_oom_score_and_health(self):
        r = self.sh("cat /proc/self/oom_score_adj", "--oom-score-adj", "500")
        self.assertEqual(r.word, "500")


class Rootful(Podman, peers.ArenaTest):
    EXTRA = "echo containers:100000000:10000000 >>/etc/subuid; echo containers:100000000:10000000 >>/etc/subgid"

    @classmethod
    def setUpArena(cls):
        cls.home, cls.env = cls.arena.dir, {}
        cls.words = ["podman", "--runtime", cls.runtime, "--root", cls.arena.dir + "/root", "--runroot", "/run/podman", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        cls.load()

    def test_pause(self):
        name = self.start("sh", "-c", TICKS)
        coffer.time.sleep(0.2)
        self.podman("pause", name)
        self.assertEqual(self.inspect(name)["State"]["Status"], "paused")
        pid = self.inspect(name)["State"]["Pid"]
        count = lambda: int(self.arena.run("sh", "-c", f"wc -c </proc/{pid}/root/ticks").word)  # noqa: E731
        first = count()
        coffer.time.sleep(0.3)
        self.assertEqual(count(), first)
        self.podman("unpause", name)
        self.assertTrue(coffer.wait_until(lambda: count() > first))

    def test_userns_auto(self):
        """Two containers, two ranges that do not overlap."""
        maps = []
        for _ in range(2):
            name = self.start("sleep", "1000", flags=["--userns", "auto:size=4096"])
            pid = self.inspect(name)["State"]["Pid"]
            maps.append(self.arena.run("cat", f"/proc/{pid}/uid_map").out.split())
            self.assertEqual(self.podman("exec", name, "stat", "-c", "%u:%g", "/bin/busybox").word, "0:0")
        self.assertEqual([(m[0], m[2]) for m in maps], [("0", "4096")] * 2)
        starts = sorted(int(m[1]) for m in maps)
        self.assertGreaterEqual(starts[0], 100000000)
        self.assertGreaterEqual(starts[1] - starts[0], 4096)

    def test_limits(self):
        name = self.start("sleep", "1000", flags=["--memory", "64m", "--cpus", "0.5", "--pids-limit", "33"])
        pid = self.inspect(name)["State"]["Pid"]
        groups = dict(line.split(":", 2)[1:] for line in self.arena.run("cat", f"/proc/{pid}/cgroup").out.splitlines())
        if self.arena.v1:
            facts = {f"memory{groups['memory']}/memory.limit_in_bytes": "67108864", f"cpu{groups['cpu']}/cpu.cfs_quota_us": "50000", f"pids{groups['pids']}/pids.max": "33"}
        else:
            facts = {groups[""] + "/memory.max": "67108864", groups[""] + "/cpu.max": "50000 100000", groups[""] + "/pids.max": "33"}
        for path, value in facts.items():
            self.assertEqual(self.arena.run("cat", f"{peers.CGROUP}/{path}").word, value, path)
        self.assertRegex(self.podman("stats", "--no-stream", "--format", "{{.MemUsage}}", name).out, "67.11MB")

    def test_oom_kill(self):
        """Within the container's own limit. (Podman 4.3 with conmon 2.1 says no OOMKilled of it here, whatever the runtime and the cgroup version.)"""
        name = self.start("sh", "-c", "sleep 0.3; dd if=/dev/zero of=/dev/null bs=100M count=1; echo $?; sleep 0.3", flags=["--memory", "20m"])
        self.podman("wait", name)
        self.assertEqual(self.podman("logs", name).out, "137\n")

    def test_bridge_network(self):
        r = self.podman("run", "--rm", *self.flags, IMAGE, "ip", "-o", "-4", "addr")
        self.assertIn("eth0", r.out)

    def test_privileged_and_devices(self):
        r = self.sh("mount -t tmpfs x /mnt && echo mounted", "--privileged")
        self.assertEqual(r.word, "mounted")
        r = self.sh("ls -l /dev/full; head -c 3 /dev/zero2 | wc -c", "--device", "/dev/zero:/dev/zero2:r")
        self.assertEqual(r.out.split()[-1], "3")

    def test_container_namespaces_of_another(self):
        one = self.start("sleep", "1000")
        r = self.podman("run", "--rm", "--network", "container:" + one, "--pid", "container:" + one, "--ipc", "container:" + one, IMAGE, "ps")
        self.assertIn("sleep 1000", r.out)

    def test_nothing_is_left(self):
        before = self.arena.run("sh", "-c", "ls /run/coffer-oci /run/crun /run/runc 2>/dev/null || true").out
        cid = self.start("sleep", "1000")
        full = self.inspect(cid)["Id"]
        self.podman("rm", "-f", "-t", "0", cid)
        self.assertEqual(self.arena.run("find", peers.CGROUP, "-name", f"*{full}*").out, "")
        self.assertEqual(self.arena.run("sh", "-c", "ls /run/coffer-oci /run/crun /run/runc 2>/dev/null || true").out, before)


class Rootless(Podman, peers.ArenaTest):
    """As an ordinary user, its ids mapped by newuidmap and newgidmap."""

    UID = 4242
    EXTRA = f"""
echo arenauser:x:{UID}:{UID}::/home/arenauser:/bin/sh >>/etc/passwd
echo arenauser:x:{UID}: >>/etc/group
echo arenauser:200000:65536 >>/etc/subuid
echo arenauser:200000:65536 >>/etc/subgid
mkdir -p /home/arenauser /run/user/{UID}
chown {UID}:{UID} /home/arenauser /run/user/{UID}
chmod 700 /run/user/{UID}
"""

    @classmethod
    def setUpArena(cls):
        cls.home = "/home/arenauser"
        cls.env = {"HOME": cls.home, "USER": "arenauser", "XDG_RUNTIME_DIR": f"/run/user/{cls.UID}"}
        cls.words = ["setpriv", f"--reuid={cls.UID}", f"--regid={cls.UID}", "--init-groups", "--", "podman", "--runtime", cls.runtime, "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--storage-driver", "vfs"]
        cls.load()

    def test_nobody_special(self):
        name = self.start("sleep", "1000")
        pid = self.inspect(name)["State"]["Pid"]
        status = self.arena.run("cat", f"/proc/{pid}/status").out
        self.assertRegex(status, rf"Uid:\s+{self.UID}\s")
        self.assertEqual(self.arena.run("cat", f"/proc/{pid}/uid_map").out.split(), ["0", str(self.UID), "1", "1", "200000", "65536"])

    def test_keep_id(self):
        r = self.sh("id -u; touch /tmp/x; stat -c %u /tmp/x", "--userns", "keep-id")
        self.assertEqual(r.out.split(), [str(self.UID)] * 2)

    def test_userns_auto(self):
        """Within the user's own subordinate ids."""
        name = self.start("sleep", "1000", flags=["--userns", "auto:size=4096"])
        pid = self.inspect(name)["State"]["Pid"]
        words = self.arena.run("cat", f"/proc/{pid}/uid_map").out.split()
        self.assertEqual((words[0], words[2]), ("0", "4096"))
        self.assertTrue(200000 <= int(words[1]) <= 265536 - 4096, words)


if __name__ == "__main__":
    coffer.main()
