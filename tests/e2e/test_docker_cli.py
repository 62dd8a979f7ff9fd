# SPDX-License-Identifier: Apache-2.0
"""The stock docker CLI, unchanged, against cofferd: the newest on PATH and Debian's 20.10.

The same tests for both: the classes at the end differ in the program alone. A machine whose one docker is Debian's skips the first.
"""

import hashlib
import json
import os
import re
import signal
import threading
import time

import coffer
import docker_cli
import images
from docker_cli import STAYS

class Docker(docker_cli.DockerTest):
    """What every docker does."""

    # -- the engine ---------------------------------------------------------------------------------------------

    def test_version(self):
        v = json.loads(self.docker("version", "-f", "{{json .}}").out)
        self.assertEqual(v["Server"]["MinAPIVersion"], "1.24")
        self.assertEqual(v["Server"]["ApiVersion"], "1.50")
        self.assertEqual(v["Server"]["Os"], "linux")
        self.assertTrue(v["Server"]["KernelVersion"])
        self.assertEqual([c["Name"] for c in v["Server"]["Components"]], ["Engine"])
        self.assertIn("Server", self.docker("version").out)

    def test_older_clients_are_spoken_to(self):
        for api in ("1.24", "1.30", "1.40", "1.41"):
            r = self.docker("run", "--rm", "--network", "none", "busybox", "echo", api, env={"DOCKER_API_VERSION": api})
            self.assertEqual(r.out, api + "\n")
        r = self.docker("ps", check=False, env={"DOCKER_API_VERSION": "1.12"})
        self.assertNotEqual(r.code, 0)
        self.assertRegex(r.err, "too old|not supported")

    def test_info(self):
        i = json.loads(self.docker("info", "-f", "{{json .}}").out)
        self.assertEqual((i["Swarm"]["LocalNodeState"], i["OSType"], i["DockerRootDir"]), ("inactive", "linux", self.root))
        self.assertIn("name=userns", i["SecurityOptions"])
        self.assertGreaterEqual(i["Images"], 1)
        self.assertIn("Security Options", self.docker("info").out)

    def test_what_is_not_there_says_so(self):
        for args, words in ((("pull", "busybox"), "registry"), (("build", "-"), ""), (("network", "create", "-d", "macvlan", "n"), "macvlan"), (("swarm", "init"), ""), 
                            (("run", "--rm", "no-such-image:1", "true"), "no-such-image")):
            r = self.docker(*args, check=False, input=b"FROM x\n" if args[0] == "build" else None)
            self.assertNotEqual(r.code, 0, str(r))
            self.assertIn(words, r.err)
        self.assertEqual(self.docker("run", "--rm", "no-such-image:1", "true", check=False).code, 125)

    # -- images -------------------------------------------------------------------------------------------------

    def test_images(self):
        rows = [json.loads(line) for line in self.docker("images", "--format", "{{json .}}").lines]
        self.assertIn(("busybox", "latest"), [(r["Repository"], r["Tag"]) for r in rows])
        iid = self.docker("images", "-q", "--no-trunc", "busybox").word
        self.assertRegex(iid, "^sha256:[0-9a-f]{64}$")
        self.assertEqual(self.field("busybox", "{{.Id}}"), iid)
        for ref in (iid, iid[7:19], "busybox", "busybox:latest", "docker.io/library/busybox"):
            self.assertEqual(json.loads(self.docker("image", "inspect", ref).out)[0]["Id"], iid, ref)
        self.assertEqual(self.docker("images", "-q", "--filter", "reference=nope*").out, "")
        self.assertEqual(self.docker("images", "-q", "--filter", "dangling=true").out, "")

    def test_tag_history_rmi(self):
        name = self.unique("localhost:5000/a/tag") + ":v1"
        self.docker("tag", "busybox", name)
        self.assertIn(name, self.field("busybox", "{{json .RepoTags}}"))
        self.assertIn("layer 0", self.docker("history", "--no-trunc", name).out)
        self.assertEqual(self.docker("rmi", name).out, f"Untagged: {name}\n")
        self.assertNotIn(name, self.field("busybox", "{{json .RepoTags}}"))
        r = self.docker("rmi", "nosuch", check=False)
        self.assertFails(r, 1, "No such image: nosuch")

    def test_load(self):
        path = images.docker_archive([[images.Entry.file("bin/x", self.unique())]], ["loaded:1", "loaded:2"], path=os.path.join(self.scratch, self.unique("load") + ".tar"))
        r = self.docker("load", "-i", path)
        self.assertEqual(sorted(r.lines), ["Loaded image: loaded:1", "Loaded image: loaded:2"])
        with open(path, "rb") as f:
            self.assertIn("Loaded image", self.docker("load", input=f.read()).out)
        r = self.docker("rmi", "loaded:1", "loaded:2")
        self.assertRegex(r.out, "Untagged: loaded:1\n(.*\n)*Deleted: sha256:[0-9a-f]{64}")
        self.assertFails(self.docker("load", check=False, input=b"no archive" * 200), 1)

    def test_import(self):
        tar = images.tar(images.busybox_entries())
        name = self.unique("imported") + ":1"
        r = self.docker("import", "-c", "CMD [\"echo\", \"from an import\"]", "-m", "message", "-", name, input=tar)
        self.assertRegex(r.out, "^sha256:[0-9a-f]{64}\n$")
        self.assertEqual(self.docker("run", "--rm", "--network", "none", name).out, "from an import\n")
        self.docker("rmi", name)

    def test_rmi_of_what_is_used(self):
        name = self.unique("used") + ":1"
        self.docker("import", "-", name, input=images.tar(images.busybox_entries()))
        c = self.unique("c")
        self.docker("create", "--name", c, "--network", "none", name, "true")
        self.assertFails(self.docker("rmi", name, check=False), 1, "conflict", "must be forced", "stopped container")
        self.docker("rm", c)
        self.docker("rmi", name)

    # -- run ----------------------------------------------------------------------------------------------------

    def run_rm(self, *args, flags=(), **kw):
        return self.docker("run", "--rm", "--network", "none", *flags, "busybox", *args, **kw)

    def test_run_output_and_codes(self):
        r = self.run_rm("sh", "-c", "echo out; echo err >&2; exit 7", check=False)
        self.assertEqual((r.code, r.out, r.err), (7, "out\n", "err\n"))
        self.assertEqual(self.run_rm("true").code, 0)
        self.assertFails(self.run_rm("no-such-command", check=False), 127, "no-such-command")
        self.assertFails(self.run_rm("/etc/passwd", check=False), 126, "permission denied")
        self.assertEqual(self.run_rm("sh", "-c", "sh -c 'kill -9 $$'; exit $?", check=False).code, 137)
        self.assertEqual(self.docker("ps", "-aq", "--filter", "ancestor=busybox", "--filter", "status=exited").out, "")

    def test_run_without_network_flag(self):
        r = self.docker("run", "--rm", "busybox", "echo", "hello")
        self.assertEqual(r.out, "hello\n")

    def test_run_options_reach_the_container(self):
        r = self.run_rm("sh", "-c", 'echo "$A $B $(id -u):$(id -g) $(pwd) $(hostname) $(cat /t/x) $(touch /no 2>/dev/null; echo $?)"',
                        flags=("-e", "A=1", "-e", "B=two words", "-u", "1000:50", "-w", "/tmp", "-h", "myhost", "--tmpfs", "/t2", "--read-only", "-v", f"{self.file('content')}:/t/x:ro"))
        self.assertEqual(r.out, "1 two words 1000:50 /tmp myhost content 1\n")
        self.assertEqual(self.run_rm("-c", "echo $0", flags=("--entrypoint", "sh")).out, "sh\n")
        self.assertEqual(self.run_rm("cat", "/sys/fs/cgroup/pids/pids.max", flags=("--pids-limit", "77"), check=False).out.strip() or "77", "77")

    def file(self, text):
        path = os.path.join(self.scratch, self.unique("file"))
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)
        os.chmod(self.scratch, 0o755)
        return path

    def test_namespaces_of_another_container(self):
        giver, taker = self.unique("giver"), self.unique("taker")
        self.docker("run", "-d", "--name", giver, "--network", "none", "--ipc", "shareable", "-v", "/anon", "busybox", "sh", "-c", "echo shared >/dev/shm/f; echo kept >/anon/f; " + STAYS)
        self.addCleanup(self.docker, "rm", "-fv", giver, check=False)
        self.assertTrue(coffer.wait_until(lambda: self.docker("exec", giver, "cat", "/anon/f", check=False).out == "kept\n", 10))
        r = self.docker("run", "--name", taker, "--pid", f"container:{giver}", "--ipc", f"container:{giver}", "--network", f"container:{giver}", "--volumes-from", f"{giver}:ro", "busybox", "sh", "-c",
                        "cat /dev/shm/f /anon/f; ps -o args | grep -c '^[s]h -c echo shared'; touch /anon/g", check=False)
        self.addCleanup(self.docker, "rm", "-f", taker, check=False)
        lines = r.out.splitlines()
        self.assertEqual((lines, r.code), (["shared", "kept", "1"], 1), str(r))
        self.assertIn("Read-only file system", r.err)
        full = self.field(giver, "{{.Id}}")
        self.assertEqual(self.field(taker, "{{.HostConfig.PidMode}} {{.HostConfig.IpcMode}} {{.HostConfig.NetworkMode}}"), " ".join([f"container:{full}"] * 3))
        self.assertFails(self.docker("run", "--rm", "--pid", "container:nosuch", "busybox", "true", check=False), 125, "No such container: nosuch")
        self.assertFails(self.docker("run", "--rm", "--pid", "host", "busybox", "true", check=False), 125, "allow-host-pid")
        self.docker("kill", giver)
        self.assertFails(self.docker("start", taker, check=False), 1, "non running container")

    def test_limits_that_not_every_kernel_has(self):
        name = self.unique("limits")
        r = self.docker("run", "-d", "--name", name, "--network", "none", "-m", "64m", "--memory-reservation", "32m", "--memory-swappiness", "10", "--oom-score-adj", "5", "--blkio-weight", "300", "--device-cgroup-rule", "c 42:* rw",
                        "--cgroup-parent", "team", "--annotation" if self.client != docker_cli.DEBIAN else "--label", "a=b", "busybox", "sleep", "1000")
        self.addCleanup(self.docker, "rm", "-f", name)
        for line in r.err.splitlines():
            self.assertRegex(line, "^WARNING: Your kernel does not support .* discarded.$")
        host = json.loads(self.docker("inspect", name).out)[0]["HostConfig"]
        self.assertEqual((host["MemoryReservation"], host["OomScoreAdj"], host["CgroupParent"], host["DeviceCgroupRules"]), (32 << 20, 5, "team", ["c 42:* rw"]))
        self.docker("update", "--blkio-weight", "400", "--memory-reservation", "16m", name)
        self.assertEqual(json.loads(self.docker("inspect", name).out)[0]["HostConfig"]["MemoryReservation"], 16 << 20)
        self.assertFails(self.docker("run", "--rm", "--gpus", "all", "busybox", "true", check=False), 125, "--gpus")

    def test_log_drivers(self):
        name = self.unique("logged")
        self.docker("run", "--name", name, "--network", "none", "--label", "team=blue", "--log-opt", "labels=team", "--log-opt", "tag={{.Name}}", "busybox", "echo", "x")
        self.addCleanup(self.docker, "rm", name)
        self.assertEqual(self.docker("logs", "--details", name).out, f"tag={name},team=blue x\n")
        local = self.unique("local")
        self.docker("run", "--name", local, "--network", "none", "--log-driver", "local", "--log-opt", "max-size=1m", "busybox", "sh", "-c", "seq 3; echo err >&2")
        self.addCleanup(self.docker, "rm", local)
        r = self.docker("logs", "--tail", "3", local)
        self.assertEqual(sorted(r.lines + r.err.splitlines())[-2:], ["3", "err"])
        self.assertEqual(self.docker("logs", "-t", local).err.split(" ", 1)[1], "err\n")
        self.assertFails(self.docker("run", "--rm", "--log-driver", "local", "--log-opt", "tag=x", "busybox", "true", check=False), 125, "unknown log opt 'tag' for local log driver")

    def test_mount_options(self):
        volume = self.unique("vol")
        self.docker("volume", "create", volume)
        self.addCleanup(self.docker, "volume", "rm", "-f", volume)
        self.docker("run", "--rm", "--network", "none", "-v", f"{volume}:/v", "busybox", "sh", "-c", "mkdir /v/sub; echo in > /v/sub/f")
        if self.client != docker_cli.DEBIAN:  # 20.10 has neither
            self.assertEqual(self.docker("run", "--rm", "--network", "none", "--mount", f"type=volume,src={volume},dst=/m,volume-subpath=sub", "busybox", "cat", "/m/f").out, "in\n")
            self.assertEqual(self.docker("run", "--rm", "--network", "none", "--mount", "type=bind,src=/usr/share,dst=/m,bind-recursive=disabled,readonly", "busybox", "sh", "-c", "test -d /m && echo ok").out, "ok\n")
        self.assertFails(self.docker("run", "--rm", "--mount", f"type=volume,src={volume}x,dst=/m,volume-driver=nfs", "busybox", "true", check=False), 125, "nfs")
        self.assertFails(self.docker("run", "--rm", "--mount", f"type=volume,src={volume}x,dst=/m,volume-opt=type=nfs", "busybox", "true", check=False), 125, "volume-opt")
        self.assertEqual(self.docker("run", "--rm", "--network", "none", "--mount", "type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=0700", "busybox", "stat", "-c", "%a", "/m").out, "700\n")

    def test_stats(self):
        name = self.unique("busy")
        self.docker("run", "-d", "--name", name, "--network", "none", "-m", "64m", "busybox", "sh", "-c", "while :; do :; done")
        self.addCleanup(self.docker, "rm", "-f", name)
        self.assertRegex(self.docker("stats", "--no-stream", name).lines[1], rf"{name} +[\d.]+% +[\d.]+[KM]iB / 64MiB ")

    def test_run_stdin(self):
        data = os.urandom(1 << 20)
        r = self.run_rm("cat", flags=("-i",), input=data)
        self.assertEqual(hashlib.sha256(r.bytes).digest(), hashlib.sha256(data).digest())
        self.assertEqual(self.run_rm("wc", "-c", flags=("-i",), input=b"").word, "0")
        self.assertEqual(self.run_rm("cat", input=b"ignored").out, "")

    def test_run_much_output(self):
        r = self.run_rm("sh", "-c", "dd if=/dev/zero bs=1M count=48 2>/dev/null; echo end >&2")
        self.assertEqual((len(r.bytes), r.err), (48 << 20, "end\n"))

    def test_run_detached(self):
        cid = self.docker("run", "-d", "--network", "none", "busybox", "sh", "-c", "echo one; sleep 0.2; echo two; exit 4").word
        self.addCleanup(self.docker, "rm", "-f", cid, check=False)
        self.assertRegex(cid, "^[0-9a-f]{64}$")
        self.assertEqual(self.docker("wait", cid).word, "4")
        self.assertEqual(self.docker("logs", cid).out, "one\ntwo\n")
        self.assertEqual(self.docker("rm", cid[:12]).word, cid[:12])

    def test_run_many_at_once(self):
        got = {}

        def one(i):
            got[i] = self.run_rm("sh", "-c", f"echo {i}; exit {i}", check=False)

        threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual({i: (r.code, r.out, r.err) for i, r in got.items()}, {i: (i, f"{i}\n", "") for i in range(12)})

    def test_name_conflict_and_cidfile(self):
        name = self.up()
        r = self.docker("run", "--name", name, "--network", "none", "busybox", "true", check=False)
        self.assertFails(r, 125, f'Conflict. The container name "/{name}" is already in use by container')
        path = os.path.join(self.scratch, self.unique("cid"))
        self.run_rm("true", flags=("--cidfile", path))
        self.assertRegex(coffer.read_text(path), "^[0-9a-f]{64}$")

    def test_signals_are_passed_on(self):
        for sig, code in ((signal.SIGINT, 3), (signal.SIGTERM, 3)):
            p = self.background("run", "--rm", "--network", "none", "busybox", "sh", "-c", f"trap 'exit 3' TERM INT; echo ready; while :; do sleep 0.05; done")
            self.assertEqual(p.stdout.readline(), b"ready\n")
            p.send_signal(sig)
            self.assertEqual(p.wait(20), code)

    def test_bug_signal_while_the_start_is_under_way(self):
        """The process speaks before its start is on record: a signal that comes at this moment was answered "is not running" and lost."""
        for _ in range(4):
            p = self.background("run", "--rm", "--network", "none", "busybox", "sh", "-c", "trap 'exit 3' USR1; echo; while :; do sleep 0.02; done")
            p.stdout.readline()
            p.send_signal(signal.SIGUSR1)
            self.assertEqual(p.wait(20), 3)

    def test_killed_client_leaves_the_container(self):
        name = self.unique("k")
        p = self.background("run", "--name", name, "--network", "none", "busybox", "sh", "-c", "echo ready; " + STAYS)
        self.addCleanup(self.docker, "rm", "-f", name, check=False)
        self.assertEqual(p.stdout.readline(), b"ready\n")
        p.kill()
        p.wait()
        time.sleep(0.2)
        self.assertTrue(self.running(name))

    def test_rm_takes_its_anonymous_volumes(self):
        before = set(self.docker("volume", "ls", "-q").lines)
        self.run_rm("touch", "/v/x", flags=("-v", "/v"))
        self.assertEqual(set(self.docker("volume", "ls", "-q").lines), before)

    def test_create_start_attach(self):
        name = self.unique("c")
        self.docker("create", "--name", name, "--network", "none", "-i", "busybox", "sh", "-c", "read x; echo got $x; exit 6")
        self.addCleanup(self.docker, "rm", "-f", name, check=False)
        self.assertEqual(self.field(name, "{{.State.Status}}"), "created")
        r = self.docker("start", "-ai", name, input=b"hello\n", check=False)
        self.assertEqual((r.code, r.out), (6, "got hello\n"))

    # -- terminals ----------------------------------------------------------------------------------------------

    def test_run_it(self):
        t = self.term("run", "--rm", "-it", "--network", "none", "busybox", "sh", rows=30, cols=90)
        t.expect("#")
        t.line("stty size; tty")
        t.expect("30 90")
        t.expect("/dev/pts/0")
        t.resize_live(20, 70)
        for _ in range(20):
            t.line("stty size")
            if b"20 70" in t.drain(0.1):
                break
        else:
            self.fail("the resize did not arrive: " + t.text)
        t.line("exit 5")
        self.assertEqual(t.wait(), 5)

    def test_ctrl_c_goes_to_the_process(self):
        t = self.term("run", "--rm", "-it", "--network", "none", "busybox", "sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done")
        t.expect("ready")
        t.send("\x03")
        t.expect("caught")
        self.assertEqual(t.wait(), 9)

    def test_detach_and_attach_again(self):
        name = self.unique("d")
        self.addCleanup(self.docker, "rm", "-f", name, check=False)
        t = self.term("run", "-it", "--name", name, "--network", "none", "busybox", "sh")
        t.expect("#")
        t.line("x=kept")
        t.send("\x10\x11")
        self.assertEqual(t.wait(), 0)
        self.assertTrue(self.running(name))
        t = self.term("attach", name)
        t.line("echo $x-again")
        t.expect("kept-again")
        t.line("exit 8")
        self.assertEqual(t.wait(), 8)
        self.assertEqual(self.field(name, "{{.State.ExitCode}}"), "8")

    def test_exec_it(self):
        name = self.up()
        t = self.term("exec", "-it", name, "sh", rows=33, cols=99)
        t.expect("#")
        t.line("stty size")
        t.expect("33 99")
        t.line("exit 4")
        self.assertEqual(t.wait(), 4)

    # -- exec ---------------------------------------------------------------------------------------------------

    def test_exec(self):
        name = self.up()
        r = self.docker("exec", "-e", "A=b", "-u", "1000", "-w", "/tmp", name, "sh", "-c", "echo $A $(id -u) $(pwd); echo e >&2; exit 5", check=False)
        self.assertEqual((r.code, r.out, r.err), (5, "b 1000 /tmp\n", "e\n"))
        data = os.urandom(300000)
        self.assertEqual(self.docker("exec", "-i", name, "cat", input=data).bytes, data)
        self.assertFails(self.docker("exec", name, "nosuch", check=False), 127)
        self.docker("exec", "-d", name, "touch", "/tmp/from-exec")
        self.assertTrue(coffer.wait_until(lambda: self.docker("exec", name, "test", "-e", "/tmp/from-exec", check=False).code == 0, 5))
        self.docker("stop", "-t", "5", name)
        self.assertFails(self.docker("exec", name, "true", check=False), 1, "is not running")

    def test_exec_output_is_whole(self):
        name = self.up()
        for _ in range(10):
            self.assertEqual(self.docker("exec", name, "sh", "-c", "echo quick").out, "quick\n")

    # -- ps and inspect -----------------------------------------------------------------------------------------

    def test_ps(self):
        one, two = self.up("-l", "role=web", "-l", "n=1"), self.up("-l", "role=db")
        done = self.unique("done")
        self.docker("run", "--name", done, "-l", "role=web", "--network", "none", "busybox", "sh", "-c", "exit 12", check=False)
        self.addCleanup(self.docker, "rm", done, check=False)

        def names(*filters, all=True):
            words = [w for f in filters for w in ("--filter", f)]
            return set(self.docker("ps", *(["-a"] if all else []), "--format", "{{.Names}}", *words).lines) & {one, two, done}

        self.assertEqual(names(all=False), {one, two})
        self.assertEqual(names(), {one, two, done})
        self.assertEqual(names("label=role=web"), {one, done})
        self.assertEqual(names("label=role", "label=n=1"), {one})
        self.assertEqual(names("status=exited"), {done})
        self.assertEqual(names("exited=12"), {done})
        self.assertEqual(names("exited=13"), set())
        self.assertEqual(names("name=" + two), {two})
        self.assertEqual(names("ancestor=busybox"), {one, two, done})
        self.assertEqual(names("ancestor=nope"), set())
        self.assertEqual(names("before=" + done), {one, two})
        self.assertEqual(names("since=" + one), {two, done})
        self.assertEqual(names("network=none"), {one, two, done})
        self.assertEqual(self.docker("ps", "-lq", "--no-trunc").word, self.field(done, "{{.Id}}"))
        self.assertEqual(len(self.docker("ps", "-n", "2", "-q").lines), 2)
        self.assertFails(self.docker("ps", "--filter", "nonsense=1", check=False), 1, "nonsense")
        row = self.docker("ps", "-a", "--filter", f"name=^/{done}$", "--format", "{{.ID}}|{{.Image}}|{{.Command}}|{{.Status}}|{{.Ports}}|{{.Networks}}|{{.Labels}}").word
        self.assertRegex(row, r'^[0-9a-f]{12}\|busybox\|"sh -c \'exit 12\'"\|Exited \(12\) .* ago\|\|none\|role=web$')
        self.assertIn("(virtual", self.docker("ps", "-s", "--filter", "name=" + one).out)

    def test_inspect(self):
        name = self.up("-e", "A=1", "-l", "k=v", "--memory", "64m", "--hostname", "h", "--stop-timeout", "7")
        doc = json.loads(self.docker("inspect", name).out)[0]
        self.assertEqual((doc["Name"], doc["State"]["Status"], doc["State"]["Running"], doc["Config"]["Hostname"], doc["Config"]["Labels"]), ("/" + name, "running", True, "h", {"k": "v"}))
        self.assertEqual((doc["HostConfig"]["Memory"], doc["HostConfig"]["NetworkMode"], doc["Config"]["StopTimeout"]), (64 << 20, "none", 7))
        self.assertTrue(coffer.pid_exists(doc["State"]["Pid"]))
        self.assertRegex(doc["Image"], "^sha256:[0-9a-f]{64}$")
        self.assertIn("A=1", doc["Config"]["Env"])
        self.assertIn("SizeRw", json.loads(self.docker("inspect", "-s", "--type", "container", name).out)[0])
        self.assertFails(self.docker("inspect", "nosuch-thing", check=False), 1, "nosuch-thing")
        self.assertEqual(self.docker("port", name).out, "")

    # -- logs and attach ----------------------------------------------------------------------------------------

    def test_logs(self):
        name = self.up(script="for i in 1 2 3 4 5; do echo out$i; echo err$i >&2; done; " + STAYS)
        self.assertTrue(coffer.wait_until(lambda: "err5" in self.docker("logs", name).err, 5))
        r = self.docker("logs", name)
        self.assertEqual((r.out, r.err), ("".join(f"out{i}\n" for i in range(1, 6)), "".join(f"err{i}\n" for i in range(1, 6))))
        one = self.up(script="echo a; echo b; echo c; " + STAYS)
        self.assertTrue(coffer.wait_until(lambda: "c" in self.docker("logs", one).out, 5))
        self.assertEqual(self.docker("logs", "--tail", "2", one).out, "b\nc\n")
        self.assertRegex(self.docker("logs", "-t", "--tail", "1", one).out, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z c\n$")
        self.assertEqual(self.docker("logs", "--since", "2099-01-01T00:00:00", name).out, "")
        self.assertEqual(self.docker("logs", "--until", "2001-01-01T00:00:00", name).out, "")

    def test_logs_follow_ends_with_the_container(self):
        name = self.up(script="echo first; sleep 0.4; echo second; sleep 0.3; exit 1")
        p = self.background("logs", "-f", name)
        self.assertEqual(p.stdout.readline(), b"first\n")
        self.assertEqual(p.stdout.readline(), b"second\n")
        self.assertEqual(p.wait(10), 0)

    def test_attach(self):
        name = self.up(script="trap 'echo bye; exit 2' TERM; n=0; while :; do n=$((n+1)); echo tick$n; sleep 0.05; done")
        p = self.background("attach", "--no-stdin", name)
        self.assertRegex(p.stdout.readline(), rb"^tick\d+\n$")
        p.send_signal(signal.SIGTERM)  # passed on
        rest = p.stdout.read()
        self.assertTrue(rest.endswith(b"bye\n"), rest[-100:])
        self.assertEqual(p.wait(10), 2)

    # -- life ---------------------------------------------------------------------------------------------------

    def test_stop_kill_wait(self):
        name = self.up()
        self.docker("stop", name)
        self.assertEqual(self.field(name, "{{.State.ExitCode}}"), "3")
        self.docker("start", name)
        w = self.background("wait", name)
        time.sleep(0.2)
        self.docker("kill", name)
        self.assertEqual(w.communicate(timeout=10)[0], b"137\n")
        self.assertFails(self.docker("kill", name, check=False), 1, "is not running")
        stubborn = self.up(script="trap '' TERM; while :; do sleep 0.05; done")
        r = self.docker("stop", "-t", "1", stubborn)
        self.assertTrue(0.9 < r.seconds < 5, r.seconds)
        self.assertEqual(self.field(stubborn, "{{.State.ExitCode}}"), "137")
        self.docker("stop", stubborn)

    def test_restart(self):
        name = self.up()
        before = self.field(name, "{{.State.Pid}}")
        self.docker("restart", "-t", "5", name)
        self.assertNotEqual(self.field(name, "{{.State.Pid}}"), before)
        self.assertTrue(self.running(name))

    def test_rename(self):
        name, new = self.up(), self.unique("new")
        self.docker("rename", name, new)
        self.addCleanup(self.docker, "rm", "-f", new, check=False)
        self.assertEqual(self.field(new, "{{.Name}}"), "/" + new)
        self.assertFails(self.docker("inspect", name, check=False), 1)
        other = self.up()
        self.assertFails(self.docker("rename", other, new, check=False), 1, "Conflict")
        self.assertFails(self.docker("rename", other, "bad name", check=False), 1, "Invalid container name")

    def test_pause(self):
        name = self.up(script="n=0; trap 'exit 3' TERM; while :; do n=$((n+1)); echo $n >/n; done")
        self.docker("pause", name)
        self.assertEqual(self.field(name, "{{.State.Status}} {{.State.Paused}} {{.State.Running}}"), "paused true true")
        self.assertIn("(Paused)", self.docker("ps", "--filter", "status=paused").out)
        ticks = coffer.read_text(f"/proc/{self.field(name, '{{.State.Pid}}')}/stat").split()[13]
        time.sleep(0.2)
        self.assertEqual(coffer.read_text(f"/proc/{self.field(name, '{{.State.Pid}}')}/stat").split()[13], ticks)
        for args, words in ((("exec", name, "true"), "is paused"), (("pause", name), "already paused"), (("rm", name), "paused"), (("attach", "--no-stdin", name), "paused")):
            self.assertFails(self.docker(*args, check=False), 1, words)
        self.assertIn("Paused: 1", self.docker("info").out)
        self.docker("unpause", name)
        self.assertEqual(self.field(name, "{{.State.Status}}"), "running")
        self.assertFails(self.docker("unpause", name, check=False), 1, "not paused")
        self.docker("pause", name)
        self.docker("stop", "-t", "5", name)
        self.assertEqual(self.field(name, "{{.State.ExitCode}}"), "3")
        self.docker("start", name)
        self.docker("pause", name)
        self.docker("rm", "-f", name)

    def test_top(self):
        name = self.up()
        pid = self.field(name, "{{.State.Pid}}")
        lines = self.docker("top", name).lines
        self.assertEqual(lines[0].split(), ["USER", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
        self.assertIn(pid, [line.split()[1] for line in lines[1:]])
        self.assertIn("%CPU", self.docker("top", name, "aux").lines[0])
        own = self.docker("top", name, "-o", "pid,comm").lines
        self.assertEqual(own[0].split(), ["PID", "COMMAND"])
        self.assertFails(self.docker("top", name, "-o", "comm", check=False), 1, "PID")
        self.assertFails(self.docker("top", name, "; id", check=False), 1, "not known")
        self.docker("kill", name)
        self.assertFails(self.docker("top", name, check=False), 1, "is not running")

    def test_update(self):
        name = self.up("--memory", "64m", "--pids-limit", "100")
        self.docker("update", "--memory", "96m", "--memory-swap", "192m", "--cpus", "0.5", "--pids-limit", "55", name)
        self.assertEqual(self.field(name, "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}"), f"{96 << 20} 500000000 55")
        cid = self.field(name, "{{.Id}}")
        limits = [coffer.read_text(os.path.join(path, f)).strip() for path in coffer.coffer_cgroups() if path.endswith(cid) for f in ("pids.max", "memory.limit_in_bytes", "memory.max")
                  if os.path.exists(os.path.join(path, f))]
        self.assertEqual(sorted(set(limits)), sorted({"55", str(96 << 20)}))
        self.assertFails(self.docker("update", "--memory", "1m", name, check=False), 1, "memory")
        self.docker("update", "--restart", "on-failure:3", name)
        self.assertEqual(self.field(name, "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}"), "on-failure 3")
        self.docker("stop", name)
        self.docker("update", "--pids-limit", "33", name)
        self.docker("start", name)
        self.assertEqual(self.field(name, "{{.HostConfig.PidsLimit}}"), "33")

    def test_rm(self):
        name = self.up()
        self.assertFails(self.docker("rm", name, check=False), 1, "container is running: stop the container before removing or force remove")
        self.assertEqual(self.docker("rm", "-f", name).word, name)
        self.assertFails(self.docker("rm", name, check=False), 1, "No such container: " + name)

    def test_prune(self):
        name = self.unique("old")
        for label in ("keep=1", "go=1"):
            self.docker("run", "--name", name + label[0], "-l", label, "--network", "none", "busybox", "sh", "-c", "head -c 5000 /dev/zero >/f")
        r = self.docker("container", "prune", "-f", "--filter", "label=go")
        self.assertRegex(r.out, r"Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: 5kB")
        self.assertEqual(self.docker("ps", "-aq", "--filter", f"name={name}g").out, "")
        self.assertFails(self.docker("container", "prune", "-f", "--filter", "nonsense=1", check=False), 1, "nonsense")
        self.assertNotEqual(self.docker("ps", "-aq", "--filter", f"name={name}k").out, "")
        self.assertEqual(self.docker("container", "prune", "-f", "--filter", "until=1h").out, "Total reclaimed space: 0B\n")
        self.assertIn("Total reclaimed space", self.docker("system", "prune", "-f").out)

    # -- volumes ------------------------------------------------------------------------------------------------

    def test_volumes(self):
        name = self.unique("vol")
        self.assertEqual(self.docker("volume", "create", "--label", "a=b", name).word, name)
        self.assertEqual(self.docker("volume", "create", name).word, name)
        doc = json.loads(self.docker("volume", "inspect", name).out)[0]
        self.assertEqual((doc["Name"], doc["Driver"], doc["Scope"], doc["Labels"]), (name, "local", "local", {"a": "b"}))
        self.run_rm("sh", "-c", "echo kept >/v/f", flags=("-v", name + ":/v"))
        self.assertEqual(self.run_rm("cat", "/v/f", flags=("--mount", f"type=volume,src={name},dst=/v,readonly")).out, "kept\n")
        for f, there in (("name=" + name[:3], True), ("label=a=b", True), ("label=a=c", False), ("dangling=true", True), ("dangling=false", False), ("driver=local", True), ("driver=x", False)):
            self.assertEqual(name in self.docker("volume", "ls", "-q", "--filter", f).lines, there, f)
        self.assertFails(self.docker("volume", "ls", "--filter", "nonsense=1", check=False), 1, "nonsense")
        user = self.up("-v", name + ":/v")
        self.assertFails(self.docker("volume", "rm", name, check=False), 1, "volume is in use")
        self.assertIn(name, self.docker("volume", "ls", "-q", "--filter", "dangling=false").lines)
        self.docker("rm", "-f", user)
        anonymous = self.docker("volume", "create").word
        old = self.api_minor() < 42  # before API 1.42 a prune took named volumes, too
        r = self.docker("volume", "prune", "-f")
        self.assertIn(anonymous, r.out)
        self.assertEqual(name in r.out, old)
        self.assertEqual(name in self.docker("volume", "ls", "-q").lines, not old)
        self.docker("volume", "create", name)
        self.assertEqual(self.docker("volume", "rm", name).word, name)
        self.assertFails(self.docker("volume", "rm", name, check=False), 1, "no such volume")

    def test_disk_usage(self):
        name = self.unique("df")
        self.up("-v", name + ":/v", script="head -c 7000 /dev/zero >/v/f; head -c 3000 /dev/zero >/own; " + STAYS)
        rows = {r["Type"]: r for r in (json.loads(line) for line in self.docker("system", "df", "--format", "{{json .}}").lines)}
        self.assertEqual(sorted(rows), ["Build Cache", "Containers", "Images", "Local Volumes"])
        self.assertNotEqual(rows["Images"]["Size"], "0B")
        self.assertTrue(coffer.wait_until(lambda: re.search(rf"^{name} +1 +7kB$", self.docker("system", "df", "-v").out, re.M), 5), self.docker("system", "df", "-v").out)

    # -- events -------------------------------------------------------------------------------------------------

    def test_events_stream(self):
        """VS Code's way: an event must come while the command that caused it still runs."""
        p = self.background("events", "--format", "{{json .}}", "--filter", "event=start", "--filter", "label=watch=me")
        time.sleep(0.3)
        name = self.up("-l", "watch=me")
        line = json.loads(p.stdout.readline())
        self.assertEqual((line["Type"], line["Action"], line["Actor"]["Attributes"]["name"], line["status"], line["from"]), ("container", "start", name, "start", "busybox"))

    def test_events_of_a_life(self):
        start = time.time()
        name = self.unique("ev")
        self.docker("run", "--name", name, "-l", "a=b", "--network", "none", "busybox", "sh", "-c", "exit 3", check=False)
        self.docker("start", name)
        self.docker("wait", name)
        self.docker("rm", name)
        self.docker("tag", "busybox", name + ":1")
        self.docker("rmi", name + ":1")
        self.docker("volume", "create", name)
        self.docker("volume", "rm", name)
        rows = [json.loads(line) for line in self.docker("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--format", "{{json .}}").lines]
        mine = [(r["Type"], r["Action"]) for r in rows if name in (r["Actor"]["Attributes"].get("name", "").split(":")[0], r["Actor"]["ID"]) or r["Actor"]["Attributes"].get("name") == "busybox"]
        life = [("container", a) for a in ("create", "attach", "start", "die", "start", "die", "destroy")]
        self.assertEqual([r for r in mine if r[0] == "container"], life)
        self.assertEqual([r for r in mine if r[0] == "volume"], [("volume", "create"), ("volume", "destroy")])
        self.assertEqual({r for r in mine if r[0] == "image"}, {("image", "tag"), ("image", "untag")})
        die = next(r for r in rows if r["Action"] == "die")
        self.assertEqual(die["Actor"]["Attributes"]["exitCode"], "3")
        only = self.docker("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--filter", "type=container", "--filter", f"container={name}", "--filter", "event=die").lines
        self.assertEqual(len(only), 2, only)
        self.assertFails(self.docker("events", "--until", "1s", "--filter", "nonsense=1", check=False), 1, "nonsense")

    def test_events_of_stop_and_kill(self):
        name = self.up()
        start = time.time()
        self.docker("stop", name)
        self.docker("start", name)
        self.docker("kill", "-s", "KILL", name)
        rows = [json.loads(line) for line in self.docker("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--filter", f"container={name}", "--format", "{{json .}}").lines]
        self.assertEqual([r["Action"] for r in rows], ["kill", "die", "stop", "start", "kill", "die"])
        self.assertEqual([r["Actor"]["Attributes"].get("signal") for r in rows if r["Action"] == "kill"], ["15", "9"])

    def test_coffer_and_docker_see_the_same(self):
        name = self.up()
        self.assertIn(name, self.coffer("ps", "--format", "{{.Names}}").lines)
        cid = self.coffer("run", "-d", "--network", "none", "--name", self.unique("by-coffer"), "busybox", "sh", "-c", STAYS).word
        self.addCleanup(self.docker, "rm", "-f", cid, check=False)
        self.assertIn(cid, self.docker("ps", "-q", "--no-trunc").lines)
        self.assertEqual(self.docker("exec", cid, "echo", "hi").out, "hi\n")
        self.coffer("rm", "-f", name)
        self.assertFalse(self.running(name))


class NewestDocker(Docker):
    client = docker_cli.newest()

    def test_stop_signal(self):
        name = self.up(script="trap 'exit 9' USR1; while :; do sleep 0.05; done")
        self.docker("stop", "-s", "USR1", name)
        self.assertEqual(self.field(name, "{{.State.ExitCode}}"), "9")


class DebianDocker(Docker):
    client = docker_cli.DEBIAN

    def test_it_is_debians(self):
        self.assertRegex(self.docker("--version").out, r"version 20\.10\.")
        self.assertEqual(self.docker("version", "-f", "{{.Client.APIVersion}}").word, "1.41")


del Docker  # only its heirs are tests

if __name__ == "__main__":
    coffer.main()
