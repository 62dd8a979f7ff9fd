# SPDX-License-Identifier: Apache-2.0
"""The life of a container: run, create, start, stop, kill, rm, ps, attach, exec, wait, inspect; names, prefixes, exit codes."""

import json
import os
import re
import signal
import threading
import time
import unittest

import images
from coffer import CofferTest, children_of, fd_links, pid_exists, proc_status, read_text, wait_until

ASAN = True
VM = True


class Run(CofferTest):
    def test_prints_what_the_command_prints(self):
        r = self.run_("busybox", "echo", "hello  world")
        self.assertEqual((r.out, r.err), ("hello  world\n", ""))

    def test_keeps_stdout_and_stderr_apart(self):
        r = self.sh("echo out; echo err >&2")
        self.assertEqual((r.out, r.err), ("out\n", "err\n"))

    def test_the_streams_can_be_opened_by_name(self):
        """Images link their log files to /dev/stdout; the pipe must be the user's, in the user namespace, too."""
        script = "echo one >/dev/stdout; echo two >/proc/self/fd/1; sh -c 'echo three >/proc/1/fd/1; echo four >/dev/stderr'"
        for flags in ((), ("-u", "1000")):
            r = self.run_(*flags, "busybox", "sh", "-c", script)
            self.assertEqual((r.lines, r.err), (["one", "two", "three"], "four\n"), flags)
            cid = self.sleeper(*flags)
            for user in ((), ("-u", "77")):
                self.assertEqual(self.coffer("exec", *user, cid, "sh", "-c", "echo one >/dev/stdout").word, "one", (flags, user))

    def test_a_monitor_made_in_advance_shows_whose_it_is(self):
        """Of a run it is spawned before there is an id (src/engine/spare.c)."""
        for cid in (self.sleeper(), self.sleeper("--rm")):
            self.assertEqual(read_text(f"/proc/{self.monitor_pid(cid)}/cmdline").split("\0")[:2], ["coffer-monitor", cid[:12]])
            self.assertEqual(len([t for t in children_of(self.monitor_pid(cid))]), 1)

    def test_mounts_outlive_only_what_has_none_of_the_host_s(self):
        """A file system of the host that was mounted in a container can be unmounted as soon as the caller hears of the end."""
        def holds(cid):
            return os.readlink(f"/proc/{self.pid(cid)}/ns/mnt") in fd_links(self.monitor_pid(cid)).values()

        self.assertTrue(holds(self.sleeper("--rm")))
        self.assertFalse(holds(self.sleeper()), "it may be started again, with the same writable layer")
        self.assertFalse(holds(self.sleeper("--rm", "-v", f"{self.scratch}:/host")))
        self.assertFalse(holds(self.sleeper("--rm", "-v", "outliving:/volume")))

    def test_exit_code_is_the_command_s(self):
        for code in (0, 1, 3, 42, 124, 125, 126, 127, 255):
            self.assertEqual(self.sh(f"exit {code}", check=False).code, code)

    def test_exit_code_after_a_signal(self):
        # pid 1 cannot kill itself: its child does the dying and the shell tells
        self.assertEqual(self.sh("sh -c 'kill -KILL $$'; exit $?", check=False).code, 137)
        cid = self.sleeper()
        self.coffer("kill", cid)
        self.assertEqual(self.coffer("wait", cid).word, "137")
        cid = self.detached("busybox", "sleep", "1000", )
        self.coffer("kill", "-s", "KILL", cid)
        self.assertEqual(self.inspect(cid)["State"]["ExitCode"], 137)

    def test_command_not_found_is_127(self):
        r = self.run_("busybox", "no-such-command", check=False)
        self.assertFails(r, 127, "no-such-command")
        r = self.run_("busybox", "/no/such/file", check=False)
        self.assertFails(r, 127, "/no/such/file")

    def test_command_that_cannot_be_executed_is_126(self):
        for command in ("/etc/passwd", "/etc"):
            self.assertFails(self.run_("busybox", command, check=False), 126, command)

    def test_bad_flag_is_125(self):
        self.assertRefused("run", "--no-such-flag", "busybox", "true", words=["no-such-flag"])

    def test_unknown_image_is_125(self):
        self.assertRefused("run", "--network", "none", "no-such-image", "true", words=["no-such-image"])

    def test_flags_behind_the_image_are_the_command_s(self):
        self.assertEqual(self.run_("busybox", "echo", "--rm", "-e", "--", "-x").out, "--rm -e -- -x\n")

    def test_stdin_is_passed_with_i(self):
        self.assertEqual(self.run_("-i", "busybox", "cat", input="line 1\nline 2\n").out, "line 1\nline 2\n")

    def test_stdin_is_empty_without_i(self):
        self.assertEqual(self.run_("busybox", "cat", input="ignored\n").out, "")

    def test_binary_data_passes_both_ways_unchanged(self):
        data = bytes(range(256)) * 4096  # 1 MiB
        p = self.popen("run", "--rm", "-i", "--network", "none", "busybox", "cat", stdin=-1)
        out, err = p.communicate(data, 60)
        self.assertEqual((p.returncode, err), (0, b""))
        self.assertTrue(out == data, f"{len(out)} bytes came back of {len(data)}")

    def test_large_output_is_whole(self):
        r = self.sh("i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done")
        self.assertEqual(r.lines, [f"line-{i}" for i in range(20000)])

    def test_a_million_bytes_on_both_streams_at_once(self):
        r = self.sh("(yes err | head -c 500000 >&2) & yes out | head -c 500000; wait")
        self.assertEqual((len(r.out), len(r.err)), (500000, 500000))
        self.assertEqual(set(r.out.split()[:-1]), {"out"})

    def test_output_survives_a_reader_that_leaves(self):
        p = self.popen("run", "--rm", "--network", "none", "busybox", "sh", "-c", "yes | head -n 100000; exit 7")
        p.stdout.read(10)
        p.stdout.close()
        self.assertIsNotNone(p.wait(30))
        self.assertTrue(wait_until(lambda: not self.coffer("ps", "-aq").word), "the container outlived its reader")

    def test_rm_removes_it(self):
        self.run_("--name", "gone", "busybox", "true")
        self.assertEqual(self.coffer("ps", "-aq").word, "")
        self.assertNothingLeft()

    def test_without_rm_it_stays_until_rm(self):
        name = self.unique()
        self.coffer("run", "--network", "none", "--name", name, "busybox", "sh", "-c", "exit 3", check=False)
        state = self.inspect(name)["State"]
        self.assertEqual((state["Status"], state["ExitCode"], state["Running"]), ("exited", 3, False))
        self.assertEqual(self.coffer("rm", name).word, name)
        self.assertFails(self.coffer("inspect", name, check=False), 1, name)

    def test_detach_prints_the_id_and_returns(self):
        start = time.monotonic()
        cid = self.detached("busybox", "sleep", "1000")
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(self.status(cid), "running")

    def test_detached_with_rm_is_gone_at_its_end(self):
        cid = self.coffer("run", "-d", "--rm", "--network", "none", "busybox", "sleep", "0.3").word
        self.assertTrue(wait_until(lambda: self.coffer("inspect", cid, check=False).code != 0), "still there")
        self.assertNothingLeft()

    def test_cidfile(self):
        path = os.path.join(self.scratch, self.unique("cid"))
        cid = self.detached("--cidfile", path, "busybox", "sleep", "1000")
        with open(path) as f:
            self.assertEqual(f.read().strip(), cid)
        self.assertRefused("run", "-d", "--network", "none", "--cidfile", path, "busybox", "true", words=[path])

    def test_create_then_start(self):
        cid = self.coffer("create", "--network", "none", "busybox", "sh", "-c", "echo made; exit 4").word
        self.addCleanup(self.coffer, "rm", "-f", cid, check=False)
        self.assertEqual(self.status(cid), "created")
        r = self.coffer("start", "-a", cid, check=False)
        self.assertEqual((r.out, r.code), ("made\n", 4))
        self.coffer("start", cid)
        self.assertEqual(self.coffer("wait", cid).word, "4")

    def test_start_again_keeps_the_writable_layer(self):
        cid = self.coffer("create", "--network", "none", "busybox", "sh", "-c", "echo x >>/data; wc -l </data").word
        self.addCleanup(self.coffer, "rm", "-f", cid, check=False)
        self.assertEqual([self.coffer("start", "-a", cid).word for _ in range(3)], ["1", "2", "3"])

    def test_start_of_a_running_one_is_no_error(self):
        cid = self.sleeper()
        pid = self.pid(cid)
        self.assertEqual(self.coffer("start", cid).code, 0)
        self.assertEqual(self.pid(cid), pid)

    def test_two_containers_do_not_see_each_other_s_files(self):
        self.sh("echo secret >/tmp/file")
        self.assertEqual(self.sh("ls /tmp").word, "")

    def test_the_image_is_not_changed(self):
        self.sh("rm -rf /etc /bin/ls; echo gone")
        self.assertIn("passwd", self.sh("ls /etc").out)

    def test_many_at_once(self):
        results = [None] * 16

        def one(i):
            results[i] = self.coffer("run", "--rm", "--network", "none", "busybox", "sh", "-c", f"echo {i}; exit {i}", check=False)

        threads = [threading.Thread(target=one, args=(i,)) for i in range(len(results))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for i, r in enumerate(results):
            self.assertEqual((r.code, r.out), (i, f"{i}\n"), str(r))
        self.assertNothingLeft()


class Names(CofferTest):
    def test_a_generated_name_is_docker_like_and_unique(self):
        a, b = self.sleeper(), self.sleeper()
        names = {self.inspect(c)["Name"] for c in (a, b)}
        self.assertEqual(len(names), 2)
        for n in names:
            self.assertRegex(n, "^/[a-z]+_[a-z]+[0-9]*$")

    def test_every_way_to_name_a_container(self):
        cid = self.sleeper("--name", "known")
        for ref in ("known", cid, cid[:12], cid[:5]):
            self.assertEqual(self.inspect(ref)["Id"], cid, ref)

    def test_an_ambiguous_prefix_is_refused(self):
        ids = [self.coffer("create", "--network", "none", "busybox", "true").word for _ in range(17)]  # two of them share a first digit
        self.addCleanup(self.coffer, "rm", "-f", *ids, check=False)
        first = [i[0] for i in ids]
        shared = next(d for d in first if first.count(d) > 1)
        self.assertFails(self.coffer("inspect", "--type", "container", shared, check=False), 1, shared)

    def test_a_name_in_use_is_refused(self):
        cid = self.sleeper("--name", "taken")
        self.assertRefused("run", "-d", "--network", "none", "--name", "taken", "busybox", "true", words=["taken", "in use", cid])

    def test_a_name_is_free_again_after_rm(self):
        for _ in range(2):
            self.coffer("rm", "-f", self.sleeper("--name", "again"))

    def test_bad_names_are_refused(self):
        for name in ("..", "a/b", "-x", ".hidden", "sp ace", "a\nb", "ü", "x" * 300, "%2e%2e", "a:b"):
            self.assertRefused("create", f"--name={name}", "--network", "none", "busybox", "true")
        self.assertFalse([n for n in os.listdir(self.root) if n in ("..x", "a")])

    def test_no_such_container(self):
        for verb in (["inspect"], ["logs"], ["stop"], ["kill"], ["rm"], ["start"], ["wait"], ["attach"]):
            self.assertFails(self.coffer(*verb, "nobody", check=False), 1, "nobody")
        self.assertNotEqual(self.coffer("exec", "nobody", "true", check=False).code, 0)

    def test_rename_is_there_or_is_refused_by_name(self):
        r = self.coffer("rename", "a", "b", check=False)
        self.assertNotEqual(r.code, 0)


class Stop(CofferTest):
    def test_stop_sends_term_first(self):
        cid = self.detached("busybox", "sh", "-c", "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.1; done")
        self.assertTrue(wait_until(lambda: "ready" in self.coffer("logs", cid).out))
        start = time.monotonic()
        self.assertEqual(self.coffer("stop", cid).word, cid)
        self.assertLess(time.monotonic() - start, 8)
        self.assertEqual(self.inspect(cid)["State"]["ExitCode"], 5)
        self.assertIn("caught", self.coffer("logs", cid).out)

    def test_stop_kills_after_its_patience(self):
        cid = self.detached("busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
        start = time.monotonic()
        self.coffer("stop", "-t", "1", cid)
        self.assertGreater(time.monotonic() - start, 0.9)
        self.assertEqual(self.inspect(cid)["State"]["ExitCode"], 137)

    def test_stop_signal_and_stop_timeout_of_the_container(self):
        cid = self.detached("--stop-signal", "USR1", "--stop-timeout", "30", "busybox", "sh", "-c", "trap 'exit 9' USR1; trap '' TERM; echo ready; while :; do sleep 0.1; done")
        self.assertTrue(wait_until(lambda: "ready" in self.coffer("logs", cid).out))
        self.coffer("stop", cid)
        self.assertEqual(self.inspect(cid)["State"]["ExitCode"], 9)
        config = self.inspect(cid)["Config"]
        self.assertEqual((config["StopSignal"], config["StopTimeout"]), ("USR1", 30))

    def test_bad_stop_signal_is_refused(self):
        self.assertRefused("run", "--stop-signal", "NOPE", "--network", "none", "busybox", "true", words=["NOPE"])

    def test_stop_of_a_stopped_one_is_no_error(self):
        cid = self.sleeper()
        self.coffer("stop", "-t", "2", cid)
        self.assertEqual(self.coffer("stop", cid).code, 0)

    def test_kill_with_any_spelling(self):
        for spelling in ("USR1", "SIGUSR1", "10"):
            cid = self.detached("busybox", "sh", "-c", "trap 'exit 11' USR1; echo ready; while :; do sleep 0.1; done")
            self.assertTrue(wait_until(lambda: "ready" in self.coffer("logs", cid).out))
            self.coffer("kill", "-s", spelling, cid)
            self.assertEqual(self.coffer("wait", cid).word, "11", spelling)

    def test_kill_of_a_stopped_one_is_an_error(self):
        cid = self.sleeper()
        self.coffer("kill", cid)
        self.coffer("wait", cid)
        self.assertFails(self.coffer("kill", cid, check=False), 1, "not running")

    def test_bad_signals(self):
        cid = self.sleeper()
        for sig in ("NOPE", "0", "65", "-1", "1000"):
            self.assertEqual(self.coffer("kill", f"--signal={sig}", cid, check=False).code, 1, sig)
        self.assertEqual(self.status(cid), "running")

    def test_rm_of_a_running_one_needs_force(self):
        cid = self.sleeper()
        self.assertFails(self.coffer("rm", cid, check=False), 1, "running")
        self.assertEqual(self.status(cid), "running")
        self.coffer("rm", "-f", cid)
        self.assertNothingLeft()

    def test_all_processes_of_the_container_end_with_its_init(self):
        cid = self.detached("busybox", "sh", "-c", "sleep 1000 & sleep 1000 & setsid sleep 1000 & echo ready; sleep 1000")
        self.assertTrue(wait_until(lambda: "ready" in self.coffer("logs", cid).out))
        pids = children_of(self.pid(cid))
        self.assertGreaterEqual(len(pids), 3)
        self.coffer("kill", cid)
        self.assertTrue(wait_until(lambda: not any(pid_exists(p) for p in pids)))

    def test_several_at_once(self):
        ids = [self.sleeper() for _ in range(3)]
        self.assertEqual(self.coffer("stop", "-t", "3", *ids).lines, ids)
        self.assertEqual(self.coffer("rm", *ids).lines, ids)

    def test_one_bad_name_does_not_keep_the_others_back(self):
        cid = self.sleeper()
        r = self.coffer("rm", "-f", "nobody", cid, check=False)
        self.assertIn(cid, r.out)
        self.assertNotEqual(self.coffer("inspect", cid, check=False).code, 0)


class WaitAndAttach(CofferTest):
    def test_wait_prints_the_code(self):
        cid = self.detached("busybox", "sh", "-c", "sleep 0.3; exit 6")
        self.assertEqual(self.coffer("wait", cid).word, "6")
        self.assertEqual(self.coffer("wait", cid).word, "6")  # and at once when it has exited

    def test_several_waiters(self):
        cid = self.detached("busybox", "sh", "-c", "sleep 1; exit 8")
        waiters = [self.popen("wait", cid) for _ in range(4)]
        for w in waiters:
            out, _ = w.communicate(timeout=20)
            self.assertEqual((w.returncode, out), (0, b"8\n"))

    def test_attach_gets_output_and_the_code(self):
        cid = self.detached("busybox", "sh", "-c", "while [ ! -e /go ]; do sleep 0.1; done; echo attached; exit 12")
        p = self.popen("attach", "--no-stdin", cid)
        time.sleep(0.5)
        self.coffer("exec", cid, "touch", "/go", check=False)  # the container may end before the command does
        out, err = p.communicate(timeout=20)
        self.assertEqual((p.returncode, out), (12, b"attached\n"), err)

    def test_attach_passes_stdin(self):
        cid = self.detached("-i", "busybox", "sh", "-c", "read line; echo got $line")
        p = self.popen("attach", cid, stdin=-1)
        out, err = p.communicate(b"this\n", timeout=20)
        self.assertIn(b"got this", out, err)

    def test_attach_to_a_stopped_one_is_refused(self):
        cid = self.detached("busybox", "true")
        self.coffer("wait", cid)
        self.assertNotEqual(self.coffer("attach", cid, check=False).code, 0)

    def test_two_attached_clients_see_the_same(self):
        cid = self.detached("busybox", "sh", "-c", "while [ ! -e /go ]; do sleep 0.1; done; seq 1 100")
        clients = [self.popen("attach", "--no-stdin", cid) for _ in range(2)]
        time.sleep(0.5)
        self.coffer("exec", cid, "touch", "/go", check=False)  # as above
        wanted = "".join(f"{i}\n" for i in range(1, 101)).encode()
        for p in clients:
            self.assertEqual(p.communicate(timeout=20)[0], wanted)


class Exec(CofferTest):
    def setUp(self):
        self.cid = self.sleeper("-e", "FROM=container", "-w", "/tmp")

    def test_output_and_code(self):
        r = self.coffer("exec", self.cid, "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
        self.assertEqual((r.out, r.err, r.code), ("out\n", "err\n", 3))

    def test_stdin(self):
        self.assertEqual(self.coffer("exec", "-i", self.cid, "wc", "-c", input=b"x" * 300000).word, "300000")

    def test_environment_directory_and_user(self):
        self.assertEqual(self.coffer("exec", self.cid, "sh", "-c", "echo $FROM $PWD $(id -u)").word, "container /tmp 0")
        self.assertEqual(self.coffer("exec", "-e", "FROM=exec", "-e", "MORE=1", "-w", "/etc", "-u", "alice", self.cid, "sh", "-c", "echo $FROM $MORE $PWD $(id -u):$(id -g)").word, "exec 1 /etc 1000:1000")

    def test_not_found_and_not_executable(self):
        for command, code in (("no-such-command", 127), ("/etc/passwd", 126)):
            r = self.coffer("exec", self.cid, command, check=False)
            self.assertEqual(r.code, code, str(r))
            self.assertIn(command, r.out + r.err)  # the Engine API sends it in the stream

    def test_same_namespaces_and_cgroups_as_init(self):
        pid = self.pid(self.cid)
        p = self.popen("exec", self.cid, "sleep", "1000")
        other = wait_until(lambda: [c for c in self.members(self.cid) if "1000" in read_text(f"/proc/{c}/cmdline") and c not in children_of(pid) and c != pid])
        self.assertTrue(other, "the exec'ed process was not found in the container's cgroup")
        for ns in ("user", "mnt", "pid", "ipc", "uts", "net", "cgroup"):
            self.assertEqual(os.readlink(f"/proc/{other[0]}/ns/{ns}"), os.readlink(f"/proc/{pid}/ns/{ns}"), ns)
        with open(f"/proc/{pid}/cgroup") as a, open(f"/proc/{other[0]}/cgroup") as b:
            self.assertEqual(a.read(), b.read())
        mine, its = proc_status(other[0]), proc_status(pid)
        for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Groups"):
            self.assertEqual(mine.get(field), its.get(field), field)
        p.kill()
        p.wait()

    def members(self, cid):
        path = next(line.split(":", 2)[2].strip() for line in read_text(f"/proc/{self.pid(cid)}/cgroup").splitlines() if ":pids:" in line or line.startswith("0::") and cid in line)
        for root in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"):
            procs = root + path + "/cgroup.procs"
            if os.path.exists(procs):
                with open(procs) as f:
                    return [int(x) for x in f.read().split()]
        return []

    def test_detached_exec_runs_on(self):
        self.coffer("exec", "-d", self.cid, "sh", "-c", "sleep 0.2; touch /tmp/done")
        self.assertTrue(wait_until(lambda: self.coffer("exec", self.cid, "test", "-e", "/tmp/done", check=False).code == 0))

    def test_not_into_a_stopped_container(self):
        self.coffer("kill", self.cid)
        self.coffer("wait", self.cid)
        r = self.coffer("exec", self.cid, "true", check=False)
        self.assertFails(r, 1, "not running")

    def test_many_at_once(self):
        procs = [self.popen("exec", self.cid, "sh", "-c", f"echo {i}; exit {i}") for i in range(12)]
        for i, p in enumerate(procs):
            out, err = p.communicate(timeout=60)
            self.assertEqual((p.returncode, out), (i, f"{i}\n".encode()), err)

    def test_leaves_no_descriptor_in_the_monitor(self):
        monitor = self.monitor_pid(self.cid)
        for _ in range(3):
            self.coffer("exec", self.cid, "true")
        before = len(fd_links(monitor))
        for _ in range(20):
            self.coffer("exec", self.cid, "true")
        self.assertTrue(wait_until(lambda: len(fd_links(monitor)) <= before, 3), f"{before} descriptors before, {len(fd_links(monitor))} after")

    def test_ends_when_the_container_ends(self):
        p = self.popen("exec", self.cid, "sleep", "1234")
        self.assertTrue(wait_until(lambda: "sleep 1234" in self.coffer("exec", self.cid, "ps").out))
        self.coffer("kill", self.cid)
        self.assertEqual(p.wait(20), 137)


class List(CofferTest):
    def test_ps_shows_running_ones_and_a_shows_all(self):
        cid = self.sleeper("--name", "lister")
        done = self.coffer("create", "--network", "none", "--name", "idle", "busybox", "true").word
        self.addCleanup(self.coffer, "rm", "-f", done, check=False)
        out = self.coffer("ps").out
        self.assertIn("CONTAINER ID", out)
        self.assertIn(cid[:12], out)
        self.assertNotIn(done[:12], out)
        self.assertRegex(out, r"lister")
        self.assertRegex(self.coffer("ps", "-a").out, rf"{done[:12]}.*Created")

    def test_quiet_and_no_trunc(self):
        cid = self.sleeper()
        self.assertEqual(self.coffer("ps", "-q").word, cid[:12])
        self.assertEqual(self.coffer("ps", "-q", "--no-trunc").word, cid)

    def test_filters(self):
        cid = self.sleeper("--name", "filtered", "-l", "colour=red")
        other = self.sleeper("-l", "colour=blue")
        for f, wanted in (("name=filtered", [cid]), ("label=colour=red", [cid]), ("label=colour", [other, cid]), ("status=running", [other, cid]), ("status=exited", []), (f"id={cid[:8]}", [cid])):
            self.assertEqual(sorted(self.coffer("ps", "-aq", "--no-trunc", "--filter", f).out.split()), sorted(wanted), f)
        self.assertNotEqual(self.coffer("ps", "--filter", "nonsense=1", check=False).code, 0)

    def test_status_words(self):
        cid = self.sleeper()
        self.assertRegex(self.coffer("ps").out, r"Up (Less than a second|\d+ seconds?|About a minute)")
        self.coffer("kill", cid)
        self.coffer("wait", cid)
        self.assertRegex(self.coffer("ps", "-a").out, r"Exited \(137\)")

    def test_inspect_is_docker_shaped(self):
        cid = self.sleeper("--name", "looked", "--hostname", "box", "-e", "A=1", "-l", "k=v")
        d = self.inspect(cid)
        self.assertEqual((d["Id"], d["Name"], d["Config"]["Hostname"], d["Config"]["Labels"]), (cid, "/looked", "box", {"k": "v"}))
        self.assertIn("A=1", d["Config"]["Env"])
        self.assertRegex(d["Image"], "^sha256:[0-9a-f]{64}$")
        self.assertRegex(d["Created"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.assertEqual((d["HostConfig"]["NetworkMode"], d["Path"]), ("none", "sh"))
        self.assertEqual((d["State"]["Status"], d["State"]["Running"], d["State"]["OOMKilled"]), ("running", True, False))

    def test_inspect_format_is_there_or_refused(self):
        cid = self.sleeper()
        r = self.coffer("inspect", "--format", "{{.Id}}", cid, check=False)
        self.assertTrue(r.word == cid or r.code != 0, str(r))


class Survival(CofferTest):
    """P8: state survives kill -9 of everything of ours."""

    def test_a_container_outlives_the_client(self):
        p = self.popen("run", "--name", "orphan", "--network", "none", "busybox", "sh", "-c", "echo one; sleep 1; echo two; sleep 1000")
        self.assertTrue(wait_until(lambda: self.coffer("logs", "orphan", check=False).out == "one\n"))
        p.send_signal(signal.SIGKILL)
        p.wait()
        self.assertTrue(wait_until(lambda: self.coffer("logs", "orphan").out == "one\ntwo\n", 5))
        self.assertEqual(self.status("orphan"), "running")
        self.coffer("rm", "-f", "orphan")

    def test_killed_monitor_takes_the_container_with_it(self):
        cid = self.sleeper()
        pid, monitor = self.pid(cid), self.monitor_pid(cid)
        os.kill(monitor, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not pid_exists(pid), 5), "init outlives its monitor")
        self.assertTrue(wait_until(lambda: self.status(cid) == "exited", 5))
        self.coffer("rm", "-f", cid)
        self.assertNothingLeft()

    def test_killed_client_of_an_rm_container_leaves_nothing(self):
        p = self.popen("run", "--rm", "--name", "cut", "--network", "none", "busybox", "sleep", "1")
        self.assertTrue(wait_until(lambda: self.coffer("ps", "-q").word))
        p.kill()
        p.wait()
        self.assertTrue(wait_until(lambda: not self.coffer("ps", "-aq").word, 10), "still listed after its end")
        self.assertNothingLeft()

    def test_kill_at_any_moment_of_a_start(self):
        for ms in (1, 2, 3, 5, 8, 12, 20, 30):
            p = self.popen("run", "--rm", "--network", "none", "busybox", "true")
            time.sleep(ms / 1000)
            p.kill()
            p.wait()
        self.coffer("ps", "-a")
        for cid in self.coffer("ps", "-aq", "--no-trunc").out.split():
            gone = self.coffer("rm", "-f", cid, check=False)  # its monitor may be removing it at this very moment
            self.assertTrue(gone.code == 0 or "No such container" in gone.err, gone)
        self.assertTrue(wait_until(lambda: not self.coffer("ps", "-aq").word, 10), "still listed after its removal")
        self.assertNothingLeft()
        self.assertEqual(self.sh("echo well").word, "well")

    def test_the_host_s_mount_table_is_never_touched(self):
        with open("/proc/self/mountinfo") as f:
            before = f.read()
        cid = self.sleeper("--tmpfs", "/x", "-v", "vol:/y")
        with open("/proc/self/mountinfo") as f:
            self.assertEqual(f.read(), before)
        self.coffer("rm", "-f", "-v", cid)
        with open("/proc/self/mountinfo") as f:
            self.assertEqual(f.read(), before)


if __name__ == "__main__":
    unittest.main()
