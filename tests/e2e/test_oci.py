# SPDX-License-Identifier: Apache-2.0
"""coffer-oci's command line: every command, option and error, read back from what the container or the kernel saw.

Expected texts are those that callers look for: containerd's shim ("container not running", "does not exist"), Podman and docker
("executable file not found in", "permission denied").
"""

import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unittest

import coffer
import oci
from oci import config, shell


class CommandLine(oci.OciTest):
    def test_version_is_three_lines_as_go_runc_and_podman_read_them(self):
        for option in ("--version", "-v"):
            lines = self.oci(option).lines
            self.assertEqual(len(lines), 3)
            self.assertRegex(lines[0], r"^coffer-oci version \d+\.\d+\.\d+$")
            self.assertRegex(lines[1], r"^commit: \S+$")
            self.assertEqual(lines[2], "spec: 1.3.0")

    def test_help_of_every_command_has_options_and_examples(self):
        top = self.oci("--help").out
        for name in ("create", "start", "state", "kill", "delete", "run", "exec", "list", "ps", "pause", "resume", "update", "events", "spec", "features"):
            self.assertIn(f"\n  {name} ", top)
            text = self.oci(name, "--help").out
            self.assertIn(f"Usage: coffer-oci {name}", text)
            self.assertIn("Examples:", text)
        self.assertEqual(self.oci().out, top)
        self.assertEqual(self.oci("help", "exec").out, self.oci("exec", "-h").out)

    def test_what_is_unknown_is_named(self):
        r = self.oci("crate", code=3)
        self.assertIn("unknown command 'crate', did you mean 'create'?", r.err)
        self.assertIn("--bogus", self.oci("--bogus", "list", code=1).err)
        self.assertIn("--bogus", self.oci("state", "--bogus", "x", code=1).err)
        self.assertIn("--bundel, did you mean --bundle?", self.oci("create", "--bundel", "/b", "x", code=1).err)
        self.assertIn("'z'", self.oci("kill", "-z", "x", code=1).err)
        self.assertIn("'checkpoint' is not supported", self.oci("checkpoint", "x", code=3).err)

    def test_bad_values_are_named(self):
        for args, word in (
            (("--log-format", "xml", "list"), "--log-format: 'xml'"),
            (("--log-level", "loud", "list"), "--log-level: 'loud'"),
            (("--cgroup-manager", "magic", "list"), "--cgroup-manager: 'magic'"),
            (("--rootless", "perhaps", "list"), "--rootless: 'perhaps'"),
            (("list", "--format", "xml"), "--format: 'xml'"),
            (("create",), "usage: coffer-oci create"),
            (("state", "a", "b"), "too many arguments"),
            (("kill", "x", "NOPE"), "invalid signal: NOPE"),
            (("events", "--interval", "soon", "x"), "interval"),
            (("create", "--preserve-fds", "-1", "x"), "--preserve-fds"),
        ):
            with self.subTest(args):
                self.assertIn(word, self.oci(*args, code=1).err)

    def test_a_missing_container_does_not_exist(self):
        for args in (("state",), ("kill",), ("start",), ("delete",), ("ps",), ("pause",), ("resume",), ("update",), ("events",)):
            with self.subTest(args):
                self.assertIn("container 'nobody' does not exist", self.oci(*args, "nobody", code=1).err)
        self.assertIn("does not exist", self.oci("exec", "nobody", "true", code=255).err)
        self.oci("delete", "--force", "nobody", code=0)
        self.assertEqual(self.oci("list", "-q").out, "")

    def test_ids_are_checked(self):
        folder = self.bundle(config())
        for name in ("..", ".", "a/b", "../x", "a b", "x" * 1025, ""):
            with self.subTest(name):
                self.assertIn("container id", self.oci("create", "-b", folder, name, code=1).err)
                self.assertIn("container id", self.oci("state", name, code=1).err)
        self.oci("run", "-b", folder, "--", "-A_z+9.x-", code=0)
        self.assertIn("File name too long", self.oci("create", "-b", folder, "y" * 300, code=1).err)

    def test_log_goes_to_file_in_runcs_json_shape_and_to_stderr_as_one_line(self):
        log = os.path.join(self.scratch, "log.json")
        r = self.oci("--log", log, "--log-format", "json", "state", "nobody", code=1)
        entry = json.loads(coffer.read_text(log).splitlines()[-1])
        self.assertEqual(entry["level"], "error")
        self.assertIn("does not exist", entry["msg"])
        self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(r.err, f"coffer-oci: {entry['msg']}\n")

    def test_log_text_form(self):
        log = os.path.join(self.scratch, "log.txt")
        self.oci(f"--log={log}", "state", "nobody", code=1)
        self.assertRegex(coffer.read_text(log), r'^time="\S+" level=error msg="container \'nobody\' does not exist"\n$')

    def test_log_json_on_stderr_without_a_file(self):
        entry = json.loads(self.oci("--log-format=json", "state", "nobody", code=1).err)
        self.assertEqual((entry["level"], set(entry)), ("error", {"level", "msg", "time"}))

    def test_a_log_that_cannot_be_written_does_not_fail_the_command(self):
        self.oci("--log", "/nonexistent/dir/log", "list", code=0)
        self.assertIn("does not exist", self.oci("--log", "/nonexistent/dir/log", "state", "nobody", code=1).err)

    def test_crun_spells_log_with_its_kind(self):
        log = os.path.join(self.scratch, "log.kind")
        self.oci("--log", "file:" + log, "state", "nobody", code=1)
        self.assertIn("does not exist", coffer.read_text(log))
        self.assertIn("--log", self.oci("--log", "journald:x", "list", code=1).err)

    def test_root_is_made_private_and_may_be_relative(self):
        root = os.path.join(self.scratch, "deep", "er", "root")
        self.oci("run", "-b", self.bundle(config()), "x", root=root)
        self.assertEqual(os.stat(root).st_mode & 0o7777, 0o700)
        self.assertEqual(self.oci("list", "-q", root="root", cwd=os.path.dirname(root)).out, "")

    def test_global_options_of_callers_are_taken(self):
        self.oci("--debug", "--criu", "criu", "--rootless", "auto", "--cgroup-manager", "cgroupfs", "list")
        self.oci("--rootless=false", "--log-level=debug", "list")

    def test_closed_standard_streams_do_not_leak_our_files(self):
        folder = self.bundle(shell("ls -l /proc/self/fd > /tmp/x; grep -c . /tmp/x; cat /tmp/x"))
        script = f'exec "{self.program}" --root {self.state} run -b {folder} {self.name()} <&- 2>&-'
        p = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode, 0)
        self.assertNotIn(self.state, p.stdout)
        self.assertNotIn(self.scratch, p.stdout)
        self.assertEqual(p.stdout.count("/dev/null"), 2)


class Life(oci.OciTest):
    def test_create_start_kill_delete(self):
        pid_file = os.path.join(self.scratch, "pid")
        name = self.created(shell("echo started; exec sleep 1000"), "--pid-file", pid_file)
        log = self.log
        state = self.state_of(name)
        self.assertEqual((state["status"], state["id"], state["ociVersion"]), ("created", name, "1.0.2"))
        self.assertEqual(coffer.read_text(pid_file), str(state["pid"]))
        self.assertTrue(coffer.pid_exists(state["pid"]))
        self.assertEqual(coffer.read_text(log), "")
        self.oci("start", name)
        self.assertEqual(self.state_of(name)["status"], "running")
        self.assertTrue(coffer.wait_until(lambda: coffer.read_text(log) == "started\n"))
        self.assertIn("that is not stopped: running", self.oci("delete", name, code=1).err)
        self.assertIn("running already", self.oci("start", name, code=1).err)
        self.oci("kill", name, "KILL")
        self.wait_status(name, "stopped")
        self.assertEqual(self.state_of(name)["pid"], 0)
        self.assertIn("container not running", self.oci("kill", name, code=1).err)
        self.assertIn("has stopped", self.oci("start", name, code=1).err)
        self.assertIn("has stopped", self.oci("exec", name, "true", code=255).err)
        self.assertIn("has stopped", self.oci("update", "--pids-limit", "5", name, code=1).err)
        self.assertIn("has stopped", self.oci("events", "--stats", name, code=1).err)
        self.oci("delete", name)
        self.nothing_of(name)
        self.assertIn("does not exist", self.oci("delete", name, code=1).err)

    def test_a_created_container_is_not_deleted_without_force(self):
        name = self.created()
        pid = self.state_of(name)["pid"]
        self.assertIn("not stopped: created", self.oci("delete", name, code=1).err)
        self.assertEqual(self.state_of(name)["status"], "created")
        self.oci("delete", "--force", name)
        self.assertFalse(coffer.pid_exists(pid))
        self.nothing_of(name)

    def test_a_created_container_can_be_killed(self):
        name = self.created()
        self.oci("kill", name, "SIGKILL")
        self.wait_status(name, "stopped")
        self.oci("delete", name)

    def test_delete_force_of_a_running_one(self):
        name = self.running()
        pid = self.state_of(name)["pid"]
        self.oci("delete", "-f", name)
        self.assertFalse(coffer.pid_exists(pid))
        self.nothing_of(name)

    def test_an_id_in_use(self):
        name = self.running()
        before = self.state_of(name)
        self.assertIn("already exists", self.oci("create", "-b", self.bundle(config()), name, code=1).err)
        self.assertIn("already exists", self.oci("run", "-b", self.bundle(config()), name, code=1).err)
        self.assertEqual(self.state_of(name), before)

    def test_state_shows_bundle_rootfs_annotations_owner_and_time(self):
        document = config("sleep", "1000")
        document["annotations"] = {"org.example.key": "value", "empty": ""}
        name = self.created(document)
        state = self.state_of(name)
        self.assertEqual(state["annotations"], document["annotations"])
        self.assertEqual(state["rootfs"], self.rootfs)
        self.assertTrue(os.path.isfile(os.path.join(state["bundle"], "config.json")))
        self.assertEqual(state["owner"], "root")
        self.assertRegex(state["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")

    def test_relative_rootfs_and_bundle_are_shown_absolute(self):
        folder = self.bundle(config(), rootfs=False)
        os.symlink(self.rootfs, os.path.join(folder, "link"))
        os.mkdir(os.path.join(folder, "rootfs"))
        subprocess.run(["cp", "-a", self.rootfs + "/.", os.path.join(folder, "rootfs")], check=True)
        name = self.name()
        with open(os.path.join(folder, "out"), "w") as out:
            subprocess.run([self.program, "--root", self.state, "create", name], cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.addCleanup(self.oci, "delete", "-f", name)
        self.assertEqual((self.state_of(name)["bundle"], self.state_of(name)["rootfs"]), (folder, folder + "/rootfs"))

    def test_run_returns_the_exit_code_and_deletes(self):
        for script, code in (("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$; sleep 5", 137)):
            with self.subTest(script):
                document = shell(script)
                if "kill" in script:  # pid 1 of a namespace of its own cannot be killed from inside
                    document["linux"]["namespaces"] = [n for n in document["linux"]["namespaces"] if n["type"] != "pid"]
                folder, name = self.bundle(document), self.name()
                self.oci("run", "-b", folder, name, code=code)
                self.nothing_of(name, folder)

    def test_run_keep(self):
        name = self.name()
        self.oci("run", "--keep", "-b", self.bundle(config("sh", "-c", "exit 5")), name, code=5)
        self.assertEqual(self.state_of(name)["status"], "stopped")
        self.oci("delete", name)

    def test_run_detached_leaves_it_running(self):
        name = self.running(shell("echo up; exec sleep 1000"))
        self.assertEqual(self.state_of(name)["status"], "running")
        self.assertTrue(coffer.wait_until(lambda: coffer.read_text(self.log) == "up\n"))

    def test_stdin_stdout_stderr_are_the_callers(self):
        r = self.run_document(shell("cat; echo err >&2"), input="in\n")
        self.assertEqual((r.out, r.err), ("in\n", "err\n"))

    def test_config_option(self):
        folder = self.bundle(config("echo", "from config.json"))
        other = os.path.join(folder, "other.json")
        document = json.loads(coffer.read_text(os.path.join(folder, "config.json")))
        document["process"]["args"] = ["echo", "from other.json"]
        with open(other, "w") as f:
            json.dump(document, f)
        self.assertEqual(self.oci("run", "-b", folder, "-f", other, self.name()).out, "from other.json\n")
        self.assertEqual(self.oci("run", "--bundle", folder, "--config=other.json", self.name()).out, "from other.json\n")

    def test_options_after_the_id(self):
        folder = self.bundle(config("echo", "hi"))
        self.assertEqual(self.oci("run", self.name(), "--bundle", folder).out, "hi\n")

    def test_the_bundle_may_change_after_create(self):
        """exec, kill and delete go by what was created."""
        document = config("sleep", "1000", env=["PATH=/bin", "WHO=first"])
        name = self.running(document)
        path = os.path.join(self.state_of(name)["bundle"], "config.json")
        document["process"]["env"] = ["PATH=/bin", "WHO=second"]
        document["linux"]["cgroupsPath"] = "/"
        with open(path, "w") as f:
            json.dump(document, f)
        self.assertEqual(self.oci("exec", name, "sh", "-c", "echo $WHO").out, "first\n")
        os.unlink(path)
        self.assertEqual(self.oci("exec", name, "echo", "still").out, "still\n")
        self.oci("delete", "--force", name)
        self.nothing_of(name)

    def test_state_directory_is_private(self):
        name = self.created()
        folder = os.path.join(self.state, name)
        self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700)
        for entry in os.listdir(folder):
            mode = os.lstat(os.path.join(folder, entry)).st_mode
            self.assertTrue(mode & 0o077 == 0 or coffer.os.path.basename(entry) in ("start", "notify"), (entry, oct(mode)))

    def test_a_corrupt_state_is_an_error_and_list_goes_on(self):
        name, other = self.created(), self.created()
        path = os.path.join(self.state, name, "state.json")
        good = coffer.read_text(path)
        with open(path, "w") as f:
            f.write(good.replace('"pid":', '"pid":-'))
        self.assertIn("state.json: pid", self.oci("state", name, code=1).err)
        listed = self.oci("list", "-q").out.split()
        self.assertIn(other, listed)
        self.assertNotIn(name, listed)
        with open(path, "w") as f:
            f.write(good)
        self.assertEqual(self.state_of(name)["status"], "created")

    def test_a_reused_pid_is_not_ours(self):
        """state.json names a live process that is not the container: nobody is signalled."""
        name = self.created()
        self.stop(name)
        path = os.path.join(self.state, name, "state.json")
        time.sleep(0.05)  # a start time is told in ticks of 10 ms
        victim = subprocess.Popen(["sleep", "1000"])
        try:
            with open(path) as f:
                record = json.load(f)
            record["pid"] = victim.pid
            with open(path, "w") as f:
                json.dump(record, f)
            self.assertEqual(self.state_of(name)["status"], "stopped")
            self.assertIn("not running", self.oci("kill", name, "KILL", code=1).err)
            self.oci("delete", "--force", name)
            self.assertIsNone(victim.poll())
        finally:
            victim.kill()
            victim.wait()

    def test_what_a_killed_create_left_is_taken_over(self):
        for verb in ("create", "delete"):
            with self.subTest(verb):
                name = self.name()
                os.makedirs(os.path.join(self.state, name))
                with open(os.path.join(self.state, name, "config.json"), "w") as f:
                    f.write("{}")
                self.assertIn("does not exist", self.oci("state", name, code=1).err)
                if verb == "create":
                    self.assertEqual(self.oci("run", "-b", self.bundle(config("echo", "hi")), name).out, "hi\n")
                else:
                    self.oci("delete", "--force", name)
                self.nothing_of(name)


class Failing(oci.OciTest):
    """A failed create or run leaves nothing."""

    def failing(self, document, word, verb="create", options=(), code=1):
        folder, name = self.bundle(document), self.name()
        r = self.oci(verb, *options, "-b", folder, name, code=code)
        self.assertIn(word, r.err)
        self.assertEqual(len(r.err.splitlines()), 1, r.err)
        self.nothing_of(name, folder)
        return r

    def test_no_bundle_no_document(self):
        self.assertIn("'/nonexistent'", self.oci("create", "-b", "/nonexistent", "x", code=1).err)
        with tempfile.TemporaryDirectory(dir=self.scratch) as empty:
            self.assertIn("reading 'config.json': No such file", self.oci("create", "-b", empty, "x", code=1).err)
        self.assertFalse(os.path.exists(os.path.join(self.state, "x")))

    def test_bad_documents(self):
        for edit, word in (
            (lambda c: c.update(ociVersion="2.0.0"), "ociVersion"),
            (lambda c: c["process"].update(args=[]), "args"),
            (lambda c: c["process"].update(cwd="relative"), "cwd"),
            (lambda c: c["root"].update(path="/nonexistent/rootfs"), "/nonexistent/rootfs"),
            (lambda c: c["linux"]["namespaces"].append({"type": "magic"}), "magic"),
            (lambda c: c["process"].update(rlimits=[{"type": "RLIMIT_NOPE", "soft": 1, "hard": 1}]), "RLIMIT_NOPE"),
            (lambda c: c["mounts"].append({"destination": "/mnt", "type": "bind", "source": "/nonexistent/source", "options": ["bind"]}), "/nonexistent/source"),
        ):
            document = config()
            edit(document)
            with self.subTest(word):
                self.failing(document, word)

    def test_commands_that_cannot_run(self):
        for verb in ("run",):
            self.failing(config("nonexistent"), 'exec: "nonexistent": executable file not found in $PATH', verb)
            self.failing(config("/nonexistent"), "no such file or directory", verb)
            self.failing(config("/etc/plain"), "permission denied", verb)
            self.failing(config("/etc"), '"/etc"', verb)
            self.failing(config("true", cwd="/nonexistent"), "/nonexistent", verb)

    def test_a_pid_file_that_cannot_be_written(self):
        self.failing(config("sleep", "1000"), "--pid-file", options=("--pid-file", "/nonexistent/dir/pid"))

    def test_a_console_socket_that_is_not_there(self):
        self.failing(config("sleep", "1000", terminal=True), "--console-socket", options=("--console-socket", "/nonexistent/socket"))

    def test_terminal_and_socket_have_to_fit(self):
        self.failing(config("sleep", "1000", terminal=True), "--console-socket")
        self.failing(config("sleep", "1000"), "terminal", options=("--console-socket", "/nonexistent"))
        self.failing(config("sleep", "1000", terminal=True), "--console-socket", verb="run", options=("-d",))

    def test_descriptors_that_are_not_open(self):
        self.failing(config(), "descriptor", verb="run", options=("--preserve-fds", "900"))

    def test_a_failing_hook(self):
        for point in ("prestart", "createRuntime", "createContainer"):
            with self.subTest(point):
                document = config("sleep", "1000")
                document["hooks"] = {point: [{"path": "/bin/false"}]}
                self.failing(document, point)

    def test_every_step_that_fails_leaves_nothing(self):
        steps = subprocess.run([os.path.join(os.environ["COFFER_BUILD"], "src/cmd/coffer-monitor/coffer-monitor"), "--list-steps"], capture_output=True, text=True, check=True)
        steps = [s for s in steps.stdout.split() if not s.startswith("exec-")]
        self.assertGreater(len(steps), 20)
        reached = 0
        for step in steps:
            folder, name = self.bundle(config("true")), self.name()
            r = self.oci("run", "-b", folder, name, check=False, env={"COFFER_FAIL_STEP": step})
            self.nothing_of(name, folder)
            reached += r.code != 0
            self.assertEqual(self.processes(), [], step)
        self.assertGreater(reached, 20)

    def test_a_signal_during_create_leaves_nothing(self):
        document = config("sleep", "1000")
        document["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1"]}]}
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(sig):
                folder, name = self.bundle(document), self.name()
                with open(os.path.join(folder, "out"), "w") as out:
                    p = subprocess.Popen([self.program, "--root", self.state, "create", "-b", folder, name], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
                    self.assertTrue(coffer.wait_until(lambda: os.path.exists(os.path.join(self.state, name, "config.json"))))
                    time.sleep(0.2)
                    p.send_signal(sig)
                    self.assertNotEqual(p.wait(20), 0)
                self.nothing_of(name, folder)
                self.assertEqual(self.processes(), [])

    def test_kill_9_during_create_can_be_cleaned_up(self):
        document = config("sleep", "1000")
        document["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1"]}]}
        folder, name = self.bundle(document), self.name()
        with open(os.path.join(folder, "out"), "w") as out:
            p = subprocess.Popen([self.program, "--root", self.state, "create", "-b", folder, name], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            self.assertTrue(coffer.wait_until(lambda: os.path.exists(os.path.join(self.state, name, "config.json"))))
            time.sleep(0.2)
            p.kill()
            p.wait()
        self.assertTrue(coffer.wait_until(lambda: self.processes() == []), "init has outlived its creator")
        self.oci("delete", "--force", name)
        self.nothing_of(name)

    def test_a_start_that_fails_says_why(self):
        document = config("nonexistent")
        name = self.name()
        folder = self.bundle(document)
        r = self.oci("create", "-b", folder, name, check=False)
        if r.code == 0:  # found out at start, or before
            r = self.oci("start", name, code=1)
            self.wait_status(name, "stopped")
            self.oci("delete", name)
        self.assertIn("executable file not found in $PATH", r.err)
        self.nothing_of(name, folder)


class Races(oci.OciTest):
    def many(self, n, *args):
        """Run the same command @n times at once. Return: exit codes."""
        procs = [subprocess.Popen([self.program, "--root", self.state, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(n)]
        codes = []
        for p in procs:
            p.communicate(timeout=60)
            codes.append(p.returncode)
        return codes

    def test_one_of_many_creates_wins(self):
        for _ in range(5):
            folder, name = self.bundle(config("sleep", "1000")), self.name()
            with open(os.path.join(folder, "out"), "w") as out:
                procs = [subprocess.Popen([self.program, "--root", self.state, "create", "-b", folder, name], stdin=subprocess.DEVNULL, stdout=out, stderr=out) for _ in range(6)]
                codes = sorted(p.wait(60) for p in procs)
            self.assertEqual(codes, [0, 1, 1, 1, 1, 1])
            self.assertEqual(self.state_of(name)["status"], "created")
            self.oci("delete", "--force", name)

    def test_one_of_many_starts_wins(self):
        for _ in range(5):
            name = self.created()
            self.assertEqual(sorted(self.many(6, "start", name)), [0, 1, 1, 1, 1, 1])
            self.assertEqual(self.state_of(name)["status"], "running")

    def test_many_forced_deletes(self):
        for _ in range(5):
            name = self.running()
            self.assertEqual(self.many(6, "delete", "--force", name), [0] * 6)
            self.nothing_of(name)

    def test_delete_against_start(self):
        for _ in range(10):
            name = self.created()
            a = subprocess.Popen([self.program, "--root", self.state, "start", name], stderr=subprocess.DEVNULL)
            b = subprocess.Popen([self.program, "--root", self.state, "delete", "--force", name], stderr=subprocess.DEVNULL)
            a.wait(30)
            self.assertEqual(b.wait(30), 0)
            self.nothing_of(name)

    def test_delete_force_does_not_wait_for_a_start_that_hangs(self):
        document = config("sleep", "1000")
        document["mounts"].append({"destination": "/mnt", "type": "bind", "source": "/bin", "options": ["rbind", "ro"]})
        document["hooks"] = {"startContainer": [{"path": "/bin/sleep", "args": ["sleep", "600"]}]}
        name = self.created(document)
        start = subprocess.Popen([self.program, "--root", self.state, "start", name], stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        self.oci("delete", "--force", name, timeout=20)
        self.assertNotEqual(start.wait(20), 0)
        self.nothing_of(name)


class List(oci.OciTest):
    def test_table_json_and_quiet(self):
        self.assertEqual(self.oci("list").lines[0].split(), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"])
        self.assertEqual(json.loads(self.oci("list", "--format", "json").out), [])
        a, b = self.created(), self.running()
        self.assertEqual(self.oci("list", "-q").out.split(), sorted([a, b]))
        rows = {line.split()[0]: line.split() for line in self.oci("list", "-f", "table").lines[1:]}
        self.assertEqual({k: v[2] for k, v in rows.items()}, {a: "created", b: "running"})
        entries = {e["id"]: e for e in json.loads(self.oci("list", "--format=json").out)}
        self.assertEqual(entries[a], self.state_of(a))
        self.assertEqual(entries[b]["pid"], int(rows[b][1]))
        self.stop(b)
        self.assertEqual({e["id"]: (e["status"], e["pid"]) for e in json.loads(self.oci("list", "-fjson").out)}[b], ("stopped", 0))


class Kill(oci.OciTest):
    def test_signals_by_name_and_number(self):
        script = "for s in HUP INT USR1 USR2 TERM QUIT; do trap \"echo $s\" $s; done; echo ready; while :; do sleep 0.05; done"
        name = self.running(shell(script))
        log = self.log
        self.assertTrue(coffer.wait_until(lambda: "ready" in coffer.read_text(log)))
        for given, seen in (("HUP", "HUP"), ("SIGINT", "INT"), ("10", "USR1"), ("sigusr2", "USR2"), (None, "TERM"), ("quit", "QUIT")):
            self.oci("kill", name, *([given] if given else []))
            self.assertTrue(coffer.wait_until(lambda: coffer.read_text(log).split()[-1] == seen), (given, coffer.read_text(log)))

    def test_real_time_signals(self):
        name = self.running()
        pid = self.state_of(name)["pid"]
        self.oci("kill", name, "RTMIN+2")  # pid 1 without a handler is not ended by it
        self.assertTrue(coffer.pid_exists(pid))

    def test_all(self):
        document = shell("sleep 1000 & sleep 1000 & wait")
        document["linux"]["namespaces"] = [n for n in document["linux"]["namespaces"] if n["type"] != "pid"]
        name = self.running(document)
        self.assertTrue(coffer.wait_until(lambda: len(json.loads(self.oci("ps", "-f", "json", name).out)) == 3))
        self.oci("kill", "--all", name, "KILL")
        self.wait_status(name, "stopped")
        self.assertTrue(coffer.wait_until(lambda: json.loads(self.oci("ps", "-f", "json", name).out) == []))

    def test_sigkill_without_a_pid_namespace_ends_all(self):
        document = shell("sleep 1000 & sleep 1000 & wait")
        document["linux"]["namespaces"] = [n for n in document["linux"]["namespaces"] if n["type"] != "pid"]
        name = self.running(document)
        self.assertTrue(coffer.wait_until(lambda: len(json.loads(self.oci("ps", "-f", "json", name).out)) == 3))
        self.oci("kill", name, "KILL")
        self.assertTrue(coffer.wait_until(lambda: self.processes() == []))

    def test_regex(self):
        names = [self.running() for _ in range(3)]
        pattern = f"^({names[0]}|{names[1]})$"
        self.oci("kill", "--regex", pattern, "KILL")
        self.wait_status(names[0], "stopped")
        self.wait_status(names[1], "stopped")
        self.assertEqual(self.state_of(names[2])["status"], "running")
        self.oci("delete", "-r", pattern)
        self.assertEqual(self.oci("list", "-q").out.split(), [names[2]])
        self.assertIn("--regex", self.oci("kill", "--regex", "(", code=1).err)


class Exec(oci.OciTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(dir=cls.scratch)
        document = config("sleep", "1000", env=["PATH=/bin", "FROM=config"], cwd="/tmp", user={"uid": 7, "gid": 8, "additionalGids": [9]})
        document["linux"]["cgroupsPath"] = f"/{cls.word}.exec"
        document["root"]["path"] = cls.rootfs
        with open(os.path.join(cls.folder, "config.json"), "w") as f:
            json.dump(document, f)
        with open(os.path.join(cls.folder, "out"), "w") as out:
            subprocess.run([cls.program, "--root", cls.state, "run", "-d", "-b", cls.folder, "box"], check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=60)

    def sh(self, script, *options, **kw):
        return self.oci("exec", *options, "box", "sh", "-c", script, **kw)

    def test_exit_codes(self):
        self.assertEqual(self.sh("exit 0").code, 0)
        self.sh("exit 9", code=9)
        self.sh("kill -9 $$", code=137)
        self.sh("kill -TERM $$", code=143)

    def test_commands_that_cannot_run_exit_255(self):
        self.assertIn("executable file not found in $PATH", self.oci("exec", "box", "nonexistent", code=255).err)
        self.assertIn("no such file or directory", self.oci("exec", "box", "/nonexistent", code=255).err)
        self.assertIn("permission denied", self.oci("exec", "box", "/etc/plain", code=255).err)
        self.assertIn("no command", self.oci("exec", "box", code=255).err)

    def test_inherits_the_containers_process(self):
        lines = self.sh("pwd; echo $FROM; id -u; id -g; id -G; grep -E 'CapBnd|NoNewPrivs' /proc/self/status; ulimit -n").lines
        self.assertEqual(lines[:4], ["/tmp", "config", "7", "8"])
        self.assertIn("9", lines[4].split())
        bounding = sum(1 << n for n in (29, 0, 1, 5, 10, 6, 7))
        self.assertEqual(lines[5].split(), ["CapBnd:", f"{bounding:016x}"])
        self.assertEqual(lines[6].split(), ["NoNewPrivs:", "1"])
        self.assertEqual(lines[7], "1024")

    def test_stdin_and_streams(self):
        r = self.sh("cat; echo err >&2", input="in")
        self.assertEqual((r.out, r.err), ("in", "err\n"))

    def test_options(self):
        self.assertEqual(self.sh("pwd", "--cwd", "/etc").word, "/etc")
        self.assertEqual(self.sh("echo $FROM $MORE", "-e", "FROM=option", "--env=MORE=too").word, "option too")
        self.assertEqual(self.sh("id -u; id -g", "-u", "1000:1001").out.split(), ["1000", "1001"])
        self.assertEqual(self.sh("id -u; id -g", "--user=1000").out.split(), ["1000", "8"])
        self.assertEqual(sorted(self.sh("id -G", "-g", "20", "--additional-gids", "30").out.split()), ["20", "30", "8", "9"])
        self.assertEqual(self.sh("grep NoNewPrivs /proc/self/status", "--no-new-privs").out.split(), ["NoNewPrivs:", "1"])

    def test_cap_is_added(self):
        bounding = int(self.sh("grep CapBnd /proc/self/status", "--cap", "CAP_SYS_NICE", "-c", "net_raw").out.split()[1], 16)
        self.assertTrue(bounding & 1 << 23 and bounding & 1 << 13)

    def test_bad_options(self):
        for options, word in (
            (("-u", "root"), "--user"), (("-u", "1:x"), "--user"), (("-u", "4294967295"), "--user"), (("-e", "novalue"), "--env"), (("-g", "wheel"), "--additional-gids"),
            (("-c", "CAP_NOPE"), "CAP_NOPE"), (("--cwd", "relative"), "--cwd"), (("--cgroup", "../../up"), "--cgroup"), (("--process", "/nonexistent"), "--process"),
        ):
            with self.subTest(options):
                self.assertIn(word, self.sh("true", *options, code=255).err)

    def test_words_behind_the_id_are_the_commands(self):
        self.assertEqual(self.oci("exec", "box", "echo", "-t", "--user", "x").out, "-t --user x\n")

    def test_process_document(self):
        path = os.path.join(self.folder, "process.json")
        with open(path, "w") as f:
            json.dump({"args": ["sh", "-c", "pwd; id -u; echo $A"], "cwd": "/etc", "env": ["PATH=/bin", "A=b"], "user": {"uid": 3, "gid": 3}, "noNewPrivileges": True,
                       "capabilities": {"bounding": ["CAP_KILL"]}}, f)
        self.assertEqual(self.oci("exec", "--process", path, "box").out.split(), ["/etc", "3", "b"])
        self.assertEqual(self.oci("exec", "-p", path, "box").code, 0)
        with open(path, "w") as f:
            f.write('{"args": ["true"], "cwd": "relative"}')
        self.assertIn("cwd", self.oci("exec", "-p", path, "box", code=255).err)

    def test_detached_with_pid_file(self):
        pid_file = os.path.join(self.folder, "exec.pid")
        with open(os.path.join(self.folder, "exec.out"), "w") as out:
            p = subprocess.run([self.program, "--root", self.state, "exec", "-d", "--pid-file", pid_file, "box", "sleep", "1000"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=30)
        self.assertEqual(p.returncode, 0)
        pid = int(coffer.read_text(pid_file))
        self.assertTrue(coffer.pid_exists(pid))
        self.assertIn(pid, json.loads(self.oci("ps", "--format", "json", "box").out))
        self.assertEqual(os.readlink(f"/proc/{pid}/ns/mnt"), os.readlink(f"/proc/{self.state_of('box')['pid']}/ns/mnt"))
        os.kill(pid, signal.SIGKILL)

    def test_signals_are_passed_on(self):
        with tempfile.TemporaryFile() as out:
            p = subprocess.Popen([self.program, "--root", self.state, "exec", "box", "sh", "-c", "trap 'echo got; exit 4' USR1; echo up; while :; do sleep 0.05; done"], stdout=subprocess.PIPE, stderr=out)
            self.assertEqual(p.stdout.readline(), b"up\n")
            p.send_signal(signal.SIGUSR1)
            self.assertEqual(p.stdout.read(), b"got\n")
            self.assertEqual(p.wait(10), 4)
            p.stdout.close()

    def test_preserved_descriptors(self):
        r, w = os.pipe()
        try:
            high = fcntl.fcntl(w, fcntl.F_DUPFD, 50)
            script = f'exec 3>&{high}; exec "$0" "$@"'
            argv = ["bash", "-c", script, self.program, "--root", self.state, "exec", "--preserve-fds", "1", "box", "sh", "-c", "echo through >&3; ls /proc/self/fd"]
            p = subprocess.run(argv, pass_fds=(high,), capture_output=True, text=True, timeout=30)
            self.assertEqual(p.returncode, 0, p.stderr)
            self.assertEqual(os.read(r, 100), b"through\n")
            self.assertNotIn(str(high), p.stdout.split())
            os.close(high)
        finally:
            os.close(r)
            os.close(w)

    def test_exec_in_a_created_container(self):
        name = self.created()
        self.assertEqual(self.oci("exec", name, "echo", "hi").out, "hi\n")

    def test_a_cgroup_below_the_containers(self):
        path = f"/{self.word}.exec"
        made = [os.path.join(root, path.lstrip("/"), "sub") for root in coffer.cgroup_roots() if os.path.isdir(os.path.join(root, path.lstrip("/")))]
        self.assertTrue(made)
        for folder in made:
            os.mkdir(folder)
            for knob in ("cpuset.cpus", "cpuset.mems"):  # a new cpuset of v1 takes nobody
                if os.path.exists(f"{folder}/{knob}"):
                    with open(f"{folder}/{knob}", "w") as f:
                        f.write(coffer.read_text(f"{folder}/../{knob}"))
        try:
            for option in ("sub", "/sub"):
                lines = self.sh("cat /proc/self/cgroup", "--cgroup", option).lines
                self.assertTrue(any(line.endswith(f"{path}/sub") for line in lines), lines)
                self.assertFalse(any(line.endswith(path) for line in lines), lines)
            self.assertIn("pids", self.sh("true", "--cgroup", "pids:sub", code=255).err)
            self.sh("true", "--cgroup", "missing", code=255)
        finally:
            for folder in made:
                coffer.wait_until(lambda: not coffer.read_text(folder + "/cgroup.procs"))
                os.rmdir(folder)

    def test_labels_need_their_module(self):
        lsms = coffer.read_text("/sys/kernel/security/lsm") if os.path.exists("/sys/kernel/security/lsm") else ""
        for option, module, field in (("--apparmor", "apparmor", "apparmorProfile"), ("--process-label", "selinux", "selinuxLabel")):
            if module not in lsms.split(","):
                self.assertIn(field, self.sh("true", option, "nonexistent_label", code=255).err)

    def test_many_at_once(self):
        procs = [subprocess.Popen([self.program, "--root", self.state, "exec", "box", "sh", "-c", f"exit {i}"], stdin=subprocess.DEVNULL) for i in range(12)]
        self.assertEqual([p.wait(60) for p in procs], list(range(12)))


class Terminal(oci.OciTest):
    def console(self):
        console = oci.Console(tempfile.mkdtemp(dir=self.scratch))
        self.addCleanup(console.close)
        return console

    def test_create_sends_the_master(self):
        console = self.console()
        name = self.created(shell("tty; stty size; read x; echo got $x; exec sleep 1000", terminal=True, consoleSize={"height": 31, "width": 77}), "--console-socket", console.path)
        told, master = console.receive()
        try:
            self.assertEqual(told, "/dev/ptmx")
            self.assertTrue(os.isatty(master))
            self.oci("start", name)
            self.assertIn("31 77", oci.read_until(master, "31 77"))
            os.write(master, b"word\n")
            self.assertIn("got word", oci.read_until(master, "got word"))
        finally:
            os.close(master)

    def test_a_long_socket_path(self):
        folder = os.path.join(tempfile.mkdtemp(dir=self.scratch), "x" * 100)
        os.mkdir(folder)
        fd = os.open(folder, os.O_PATH)
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(f"/proc/self/fd/{fd}/s")
        sock.listen(1)
        name = self.created(config("sleep", "1000", terminal=True), "--console-socket", folder + "/s")
        sock.settimeout(5)
        conn, _ = sock.accept()
        _, fds, _, _ = socket.recv_fds(conn, 100, 1)
        self.assertTrue(os.isatty(fds[0]))
        for f in (*fds, fd):
            os.close(f)
        conn.close()
        sock.close()
        self.oci("delete", "-f", name)

    def tty(self, *args):
        t = coffer.Tty([self.program, "--root", self.state, *args], dict(os.environ), rows=33, cols=99)
        self.addCleanup(t.close)
        return t

    def test_run_in_the_foreground_is_a_terminal(self):
        t = self.tty("run", "-b", self.bundle(shell("tty; stty size; read x; echo got $x; stty size; exit 6", terminal=True)), self.name())
        t.expect(r"/dev/(console|pts/\d+)\r\n33 99\r\n")
        t.resize_live(44, 111)
        time.sleep(0.2)
        t.line("word")
        t.expect("got word\r\n44 111\r\n")
        self.assertEqual(t.wait(), 6)
        self.assertEqual(t.attrs(), t.before_attrs)

    def test_interrupt_by_key_reaches_the_command(self):
        t = self.tty("run", "-b", self.bundle(shell("trap 'echo int; exit 3' INT; echo up; while :; do sleep 0.05; done", terminal=True)), self.name())
        t.expect("up")
        t.send("\x03")
        t.expect("int")
        self.assertEqual(t.wait(), 3)

    def test_exec_with_a_terminal(self):
        name = self.running()
        t = self.tty("exec", "-t", name, "sh", "-c", "tty; stty size; read x; echo got $x; exit 8")
        t.expect(r"33 99\r\n")
        t.line("word")
        t.expect("got word\r\n")
        self.assertEqual(t.wait(), 8)

    def test_all_output_is_shown_before_the_end(self):
        t = self.tty("run", "-b", self.bundle(shell("seq 1 5000; echo end", terminal=True)), self.name())
        self.assertEqual(t.wait(), 0)
        self.assertEqual(t.text.replace("\r", "").split(), [str(i) for i in range(1, 5001)] + ["end"])

    def test_exec_detached_with_a_console_socket(self):
        name, console = self.running(), self.console()
        self.oci("exec", "-d", "-t", "--console-socket", console.path, "--pid-file", os.path.join(self.scratch, "p"), name, "sh", "-c", "echo hello; exec sleep 1000")
        _, master = console.receive()
        try:
            self.assertIn("hello", oci.read_until(master, "hello"))
        finally:
            os.close(master)
        self.assertIn("--console-socket", self.oci("exec", "-d", "-t", name, "true", code=255).err)


class Foreground(oci.OciTest):
    def start(self, script):
        p = subprocess.Popen([self.program, "--root", self.state, "run", "-b", self.bundle(shell(script)), self.name()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stderr.close)
        return p

    def listed(self):
        """The one container there is, once its record is: `run` writes it when the command has begun."""
        self.assertTrue(coffer.wait_until(lambda: self.oci("list", "-q").word, 10))
        return self.oci("list", "-q").word

    def test_signals_are_passed_on(self):
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            p = self.start(f"trap 'echo got; exit 4' {signal.Signals(sig).name[3:]}; echo up; while :; do sleep 0.05; done")
            self.assertEqual(p.stdout.readline(), b"up\n")
            p.send_signal(sig)
            self.assertEqual(p.stdout.read(), b"got\n", sig)
            self.assertEqual(p.wait(10), 4)

    def test_killed_from_outside(self):
        p = self.start("echo up; exec sleep 1000")
        self.assertEqual(p.stdout.readline(), b"up\n")
        name = self.listed()
        self.oci("kill", name, "KILL")
        self.assertEqual(p.wait(10), 137)
        self.nothing_of(name)

    def test_the_runtime_killed_leaves_a_container_that_can_be_deleted(self):
        p = self.start("echo up; exec sleep 1000")
        self.assertEqual(p.stdout.readline(), b"up\n")
        name = self.listed()
        p.kill()
        p.wait()
        self.oci("delete", "--force", name)
        self.nothing_of(name)
        self.assertTrue(coffer.wait_until(lambda: self.processes() == []))


class Descriptors(oci.OciTest):
    SCRIPT = "ls /proc/self/fd | sort -n | tr '\\n' ' '; echo; cat <&3; echo LISTEN $LISTEN_FDS $LISTEN_PID"

    def run_with(self, setup, *options, env=None):
        folder = self.bundle(shell(self.SCRIPT))
        argv = ["sh", "-c", setup + '; exec "$0" "$@"', self.program, "--root", self.state, "run", *options, "-b", folder, self.name()]
        p = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL)
        return p

    def test_preserved(self):
        path = os.path.join(self.scratch, "content")
        with open(path, "w") as f:
            f.write("content\n")
        p = self.run_with(f"exec 3<{path} 4<{path} 7<{path}", "--preserve-fds", "2")
        self.assertEqual(p.returncode, 0, p.stderr)
        fds, content, listen = p.stdout.splitlines()
        self.assertEqual(content, "content")
        self.assertTrue({"3", "4"} <= set(fds.split()))
        self.assertNotIn("7", fds.split())
        self.assertEqual(listen.strip(), "LISTEN")

    def test_nothing_else_is_left_open(self):
        folder = self.bundle(shell("for f in /proc/self/fd/*; do readlink $f; done; ls /proc/1/fd | wc -l"))
        argv = ["sh", "-c", 'exec 5</etc/passwd 9</etc; exec "$0" "$@"', self.program, "--root", self.state, "run", "-b", folder, self.name()]
        p = subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertNotIn("/etc", p.stdout)
        self.assertNotIn(self.state, p.stdout)

    def test_socket_activation(self):
        path = os.path.join(self.scratch, "content")
        with open(path, "w") as f:
            f.write("content\n")
        p = self.run_with(f"exec 3<{path} 4<{path}", env={"LISTEN_FDS": "2"})
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(p.stdout.splitlines()[2], "LISTEN 2 1")
        self.assertTrue({"3", "4"} <= set(p.stdout.splitlines()[0].split()))
        p = self.run_with(f"export LISTEN_FDS=1 LISTEN_PID=$$; exec 3<{path}")
        self.assertEqual(p.stdout.splitlines()[2], "LISTEN 1 1")

    def test_somebody_elses_activation_is_not_ours(self):
        folder = self.bundle(shell("echo LISTEN $LISTEN_FDS"))
        self.assertEqual(self.oci("run", "-b", folder, self.name(), env={"LISTEN_FDS": "2", "LISTEN_PID": "1"}).out.strip(), "LISTEN")


class Notify(oci.OciTest):
    """READY=1 from inside reaches the service manager, with the pid to watch."""

    SCRIPT = ("import os,socket,sys,time; s=socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET']); "
              "s.send(b'STATUS=warming up'); s.send(b'STATUS=up\\nREADY=1\\nX=1'); print('said', flush=True); time.sleep(float(sys.argv[1]))")

    def setUp(self):
        self.path = os.path.join(tempfile.mkdtemp(dir=self.scratch), "manager")
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(self.path)
        self.manager.settimeout(20)
        self.addCleanup(self.manager.close)

    def heard(self):
        """The one message that came, and the barrier behind it."""
        text = self.manager.recv(4096).decode()
        barrier, fds, _, _ = socket.recv_fds(self.manager, 100, 1)
        self.assertEqual(barrier, b"BARRIER=1")
        for fd in fds:
            os.close(fd)
        return text

    def document(self, seconds="1000"):
        return self.python(self.SCRIPT, seconds)

    def begin(self, *args):
        with open(os.path.join(self.scratch, "out"), "w") as out:
            return subprocess.Popen([self.program, "--root", self.state, *args], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(os.environ, NOTIFY_SOCKET=self.path))

    def test_create_and_start(self):
        name = self.name()
        p = self.begin("create", "-b", self.bundle(self.document()), name)
        self.assertEqual(p.wait(20), 0, coffer.read_text(os.path.join(self.scratch, "out")))
        self.addCleanup(self.oci, "delete", "-f", name)
        pid = self.state_of(name)["pid"]
        p = self.begin("start", name)
        self.assertEqual(self.heard(), f"READY=1\nMAINPID={pid}")
        self.assertEqual(p.wait(20), 0)

    def test_run_detached_waits_for_ready(self):
        name = self.name()
        p = self.begin("run", "-d", "-b", self.bundle(self.document()), name)
        self.addCleanup(self.oci, "delete", "-f", name)
        text = self.heard()
        self.assertEqual(p.wait(20), 0)
        self.assertEqual(text, f"READY=1\nMAINPID={self.state_of(name)['pid']}")

    def test_run_in_the_foreground(self):
        name = self.name()
        p = self.begin("run", "-b", self.bundle(self.document("0.3")), name)
        self.assertRegex(self.heard(), r"^READY=1\nMAINPID=\d+$")
        self.assertEqual(p.wait(20), 0)
        self.nothing_of(name)

    def test_a_container_that_never_says_so(self):
        name = self.name()
        p = self.begin("run", "-d", "-b", self.bundle(config("sleep", "0.3")), name)
        self.assertEqual(p.wait(20), 0)
        self.wait_status(name, "stopped")
        self.oci("delete", name)

    def test_nothing_of_it_without_the_variable(self):
        self.assertEqual(self.output("echo x$NOTIFY_SOCKET; grep -c notify /proc/mounts; true").split(), ["x", "0"])


class Keyring(oci.OciTest):
    ID = "import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.syscall(250, 0, -3, 0), flush=True)"  # keyctl(KEYCTL_GET_KEYRING_ID, session, no)
    CALLER = "import ctypes, os, sys; ctypes.CDLL(None).syscall(250, 1, 0); " + ID + "; os.execv(sys.argv[1], sys.argv[1:])"  # KEYCTL_JOIN_SESSION_KEYRING

    def keyrings(self, *options):
        """The session keyrings of the caller and of the container."""
        argv = ["/usr/bin/python3", "-S", "-c", self.CALLER, self.program, "--root", self.state, "run", *options, "-b", self.bundle(self.python(self.ID)), self.name()]
        p = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(p.returncode, 0, p.stderr)
        return [int(x) for x in p.stdout.split()]

    def test_a_session_keyring_of_its_own_unless_told(self):
        ours, own = self.keyrings()
        self.assertGreater(ours, 0)
        self.assertGreater(own, 0)
        self.assertNotEqual(own, ours)
        ours, kept = self.keyrings("--no-new-keyring")
        self.assertEqual(kept, ours)


class Ps(oci.OciTest):
    def test_table_and_json(self):
        name = self.running(shell("sleep 1000 & exec sleep 2000"))
        self.assertTrue(coffer.wait_until(lambda: len(json.loads(self.oci("ps", "--format=json", name).out)) == 2))
        pids = json.loads(self.oci("ps", "-f", "json", name).out)
        self.assertIn(self.state_of(name)["pid"], pids)
        lines = self.oci("ps", name).lines
        self.assertEqual(lines[0].split(), ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
        self.assertEqual({int(line.split()[1]) for line in lines[1:]}, set(pids))
        self.assertEqual({line.split(None, 7)[7].strip() for line in lines[1:]}, {"sleep 1000", "sleep 2000"})
        self.assertEqual(self.oci("ps", name, "-ef").lines[0], lines[0])
        self.assertIn("aux", self.oci("ps", name, "aux", code=1).err)

    def test_stopped_has_none(self):
        name = self.created()
        self.stop(name)
        self.assertEqual(json.loads(self.oci("ps", "-f", "json", name).out), [])


class Spec(oci.OciTest):
    def test_writes_a_document_that_runs(self):
        folder = tempfile.mkdtemp(dir=self.scratch)
        os.symlink(self.rootfs, os.path.join(folder, "rootfs"))
        self.oci("spec", "--bundle", folder)
        path = os.path.join(folder, "config.json")
        document = json.loads(coffer.read_text(path))
        self.assertEqual(document["ociVersion"], "1.3.0")
        self.assertIn("exists", self.oci("spec", "-b", folder, code=1).err)
        document["process"].update(terminal=False, args=["sh", "-c", "hostname; id -u; grep CapEff /proc/self/status"])
        document["root"]["path"] = self.rootfs
        document["linux"]["cgroupsPath"] = f"/{self.word}.spec"
        with open(path, "w") as f:
            json.dump(document, f)
        lines = self.oci("run", "-b", folder, self.name()).lines
        self.assertEqual(lines[:2], ["coffer", "0"])
        self.assertEqual(int(lines[2].split()[1], 16), 1 << 29 | 1 << 5 | 1 << 10)

    def test_file_option_and_current_directory(self):
        folder = tempfile.mkdtemp(dir=self.scratch)
        self.oci("spec", "-f", "other.json", cwd=folder)
        self.oci("spec", cwd=folder)
        self.assertEqual(sorted(os.listdir(folder)), ["config.json", "other.json"])

    def test_rootless_maps_the_caller(self):
        folder = tempfile.mkdtemp(dir=self.scratch)
        os.chmod(folder, 0o777)
        subprocess.run(["setpriv", "--reuid", "1234", "--regid", "1235", "--clear-groups", self.program, "--root", "/nonexistent", "spec", "--rootless", "-b", folder], check=True)
        document = json.loads(coffer.read_text(os.path.join(folder, "config.json")))
        self.assertEqual(document["linux"]["uidMappings"], [{"containerID": 0, "hostID": 1234, "size": 1}])
        self.assertEqual(document["linux"]["gidMappings"], [{"containerID": 0, "hostID": 1235, "size": 1}])
        self.assertIn({"type": "user"}, document["linux"]["namespaces"])
        self.assertNotIn({"type": "network"}, document["linux"]["namespaces"])


class Features(oci.OciTest):
    def test_document(self):
        d = json.loads(self.oci("features").out)
        self.assertEqual((d["ociVersionMin"], d["ociVersionMax"]), ("1.0.0", "1.3.0"))
        self.assertIn("createRuntime", d["hooks"])
        self.assertIn("user", d["linux"]["namespaces"])


class Rootless(oci.OciTest):
    def test_default_root_needs_a_runtime_directory(self):
        run = ["setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups"]
        env = {k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"}
        p = subprocess.run([*run, self.program, "list"], capture_output=True, text=True, env=env)
        self.assertEqual(p.returncode, 1)
        self.assertIn("XDG_RUNTIME_DIR", p.stderr)
        folder = tempfile.mkdtemp(dir=self.scratch)
        os.chown(folder, 1234, 1234)
        p = subprocess.run([*run, self.program, "list"], capture_output=True, text=True, env=dict(env, XDG_RUNTIME_DIR=folder))
        self.assertEqual((p.returncode, p.stdout.split()[0]), (0, "ID"))

    def test_an_ordinary_user_runs_a_container(self):
        folder = tempfile.mkdtemp(dir=self.scratch)
        os.chown(folder, 1234, 1234)
        run = ["setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups"]
        env = dict(os.environ, XDG_RUNTIME_DIR=folder)
        subprocess.run([*run, self.program, "spec", "--rootless", "-b", folder], check=True, env=env)
        path = os.path.join(folder, "config.json")
        document = json.loads(coffer.read_text(path))
        document["process"].update(terminal=False, args=["sh", "-c", "id -u; cat /proc/self/uid_map; exit 5"])
        document["root"]["path"] = self.rootfs
        with open(path, "w") as f:
            json.dump(document, f)
        p = subprocess.run([*run, self.program, "run", "-b", folder, "box"], capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(p.returncode, 5, p.stderr)
        self.assertEqual(p.stdout.split(), ["0", "0", "1234", "1"])
        self.assertEqual(os.listdir(os.path.join(folder, "coffer-oci")), [])


class Hooks(oci.OciTest):
    """The two points that belong to the runtime's commands; the others are the sandbox's (test_oci_hooks)."""

    def hook(self, tag, code=0):
        return {"path": "/bin/sh", "args": ["sh", "-c", f"(echo {tag}; cat; echo) >> {self.scratch}/hooks; exit {code}"], "env": ["PATH=/bin:/usr/bin"]}

    def seen(self):
        path = os.path.join(self.scratch, "hooks")
        text = coffer.read_text(path) if os.path.exists(path) else ""
        if text:
            os.unlink(path)
        words = text.split("\n")
        return [(tag, json.loads(state)) for tag, state in zip(words[0::2], words[1::2]) if tag]

    def document(self, code=0):
        d = config("sleep", "1000")
        d["hooks"] = {"poststart": [self.hook("poststart", code)], "poststop": [self.hook("poststop", code)]}
        d["annotations"] = {"a": "b"}
        return d

    def test_poststart_and_poststop(self):
        name = self.created(self.document())
        state = self.state_of(name)
        self.assertEqual(self.seen(), [])
        self.oci("start", name)
        (tag, told), = self.seen()
        self.assertEqual(tag, "poststart")
        self.assertEqual((told["id"], told["pid"], told["status"], told["bundle"], told["annotations"]), (name, state["pid"], "running", state["bundle"], {"a": "b"}))
        self.stop(name)
        self.oci("delete", name)
        (tag, told), = self.seen()
        self.assertEqual((tag, told["id"], told["status"]), ("poststop", name, "stopped"))
        self.assertFalse(told.get("pid"))

    def test_poststart_comes_after_what_the_command_does_first(self):
        for _ in range(20):
            d = shell("echo command >> /tmp/hooks")
            d["mounts"] = [m for m in d["mounts"] if m["destination"] != "/tmp"] + [{"destination": "/tmp", "type": "bind", "source": self.scratch, "options": ["bind"]}]
            d["hooks"] = {"poststart": [{"path": "/bin/sh", "args": ["sh", "-c", f"echo hook >> {self.scratch}/hooks"]}]}
            name = self.created(d)
            self.oci("start", name)
            path = os.path.join(self.scratch, "hooks")
            self.assertEqual(coffer.read_text(path).split(), ["command", "hook"])
            os.unlink(path)
            self.oci("delete", "--force", name)

    def test_failing_ones_are_logged_and_ignored(self):
        name = self.created(self.document(code=3))
        self.assertIn("poststart", self.oci("start", name, code=0).err)
        self.assertEqual(self.state_of(name)["status"], "running")
        self.stop(name)
        self.assertIn("poststop", self.oci("delete", name, code=0).err)
        self.assertEqual([tag for tag, _ in self.seen()], ["poststart", "poststop"])

    def test_run_calls_them_too(self):
        d = self.document()
        d["process"]["args"] = ["true"]
        self.run_document(d)
        self.assertEqual([tag for tag, _ in self.seen()], ["poststart", "poststop"])

    def test_poststop_goes_by_the_created_document(self):
        name = self.created(self.document())
        os.unlink(os.path.join(self.state_of(name)["bundle"], "config.json"))
        self.oci("delete", "-f", name)
        self.assertEqual([tag for tag, _ in self.seen()], ["poststop"])


class Cgroups(oci.OciTest):
    """What the commands do with a container's cgroups; the knobs themselves are test_oci_cgroup's."""

    def test_pause_and_resume(self):
        name = self.running(shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"))
        log = self.log
        self.oci("pause", name)
        self.assertEqual(self.state_of(name)["status"], "paused")
        self.assertIn("paused", self.oci("list").out)
        before = coffer.read_text(log)
        time.sleep(0.2)
        self.assertEqual(coffer.read_text(log), before)
        self.assertIn("paused", self.oci("exec", name, "true", code=255).err)
        self.assertIn("cannot pause", self.oci("pause", name, code=1).err)
        self.oci("resume", name)
        self.assertEqual(self.state_of(name)["status"], "running")
        self.assertTrue(coffer.wait_until(lambda: coffer.read_text(log) != before))
        self.assertIn("not paused", self.oci("resume", name, code=1).err)

    def test_exec_ignore_paused_waits_with_it(self):
        name = self.running()
        self.oci("pause", name)
        p = subprocess.Popen([self.program, "--root", self.state, "exec", "--ignore-paused", name, "echo", "hi"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.assertEqual(select.select([p.stdout], [], [], 0.4)[0], [])
        self.oci("resume", name)
        self.assertEqual(p.communicate(timeout=20)[0], b"hi\n")
        self.assertEqual(p.returncode, 0)

    def test_a_paused_container_is_killed_and_deleted(self):
        name = self.running()
        self.oci("pause", name)
        self.oci("delete", "--force", name)
        self.nothing_of(name)

    def limit(self, name, controller, v1, v2):
        pid = self.state_of(name)["pid"]
        for line in coffer.read_text(f"/proc/{pid}/cgroup").splitlines():
            number, names, path = line.split(":", 2)
            for root in coffer.cgroup_roots():
                f = os.path.join(root, path.lstrip("/"), v1 if controller in names.split(",") else v2 if number == "0" else "")
                if os.path.isfile(f):
                    return coffer.read_text(f).strip()
        self.fail(f"no {controller}")

    def test_update_by_options(self):
        name = self.running()
        self.oci("update", "--pids-limit", "123", "--memory", "64m", name)
        self.assertEqual(self.limit(name, "pids", "pids.max", "pids.max"), "123")
        self.assertEqual(self.limit(name, "memory", "memory.limit_in_bytes", "memory.max"), str(64 << 20))
        self.oci("update", name, "--pids-limit=-1")
        self.assertEqual(self.limit(name, "pids", "pids.max", "pids.max"), "max")
        self.assertIn("--memory", self.oci("update", "--memory", "lots", name, code=1).err)

    def test_update_by_document(self):
        name = self.running()
        self.oci("update", "--resources", "-", name, input=json.dumps({"pids": {"limit": 77}, "devices": [{"allow": False, "access": "rwm"}]}))
        self.assertEqual(self.limit(name, "pids", "pids.max", "pids.max"), "77")
        path = os.path.join(self.scratch, "resources.json")
        with open(path, "w") as f:
            json.dump({"pids": {"limit": 78}}, f)
        self.oci("update", "-r", path, name)
        self.assertEqual(self.limit(name, "pids", "pids.max", "pids.max"), "78")
        self.assertEqual(self.oci("exec", name, "sh", "-c", "echo x > /dev/null; head -c1 /dev/zero | wc -c").word, "1")
        for text, word in (("[]", "resources"), ("{", "resources"), ('{"pids":{"limit":"many"}}', "limit")):
            self.assertIn(word, self.oci("update", "-r", "-", name, input=text, code=1).err)

    def test_events_stats(self):
        document = shell("sleep 1000 & exec sleep 2000")
        document["linux"]["resources"]["pids"] = {"limit": 50}
        document["linux"]["resources"]["memory"] = {"limit": 100 << 20}
        name = self.running(document)
        self.assertTrue(coffer.wait_until(lambda: len(json.loads(self.oci("ps", "--format=json", name).out)) == 2))
        e = json.loads(self.oci("events", "--stats", name).out)
        self.assertEqual((e["type"], e["id"]), ("stats", name))
        self.assertEqual(e["data"]["pids"], {"current": 2, "limit": 50})
        self.assertEqual(e["data"]["memory"]["usage"]["limit"], 100 << 20)
        self.assertGreater(e["data"]["memory"]["usage"]["usage"], 0)
        self.assertGreater(e["data"]["cpu"]["usage"]["total"], 0)

    def test_events_follow_until_the_end(self):
        name = self.running()
        p = subprocess.Popen([self.program, "--root", self.state, "events", "--interval", "100ms", name], stdout=subprocess.PIPE, text=True)
        first, second = json.loads(p.stdout.readline()), json.loads(p.stdout.readline())
        self.assertEqual((first["type"], second["type"]), ("stats", "stats"))
        self.stop(name)
        p.stdout.read()
        p.stdout.close()
        self.assertEqual(p.wait(10), 0)

    def test_events_tell_of_oom(self):
        document = shell("read x < /tmp/go; exec tail -c 200000000 /dev/zero")
        document["process"]["args"] = ["sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.05; done; tail -c 200000000 /dev/zero; exec sleep 1000"]
        document["linux"]["resources"]["memory"] = {"limit": 20 << 20, "swap": 20 << 20}
        name = self.running(document)
        p = subprocess.Popen([self.program, "--root", self.state, "events", "--interval", "1s", name], stdout=subprocess.PIPE, text=True)
        self.assertEqual(json.loads(p.stdout.readline())["type"], "stats")  # it watches now
        self.oci("exec", name, "touch", "/tmp/go")
        told = (json.loads(line) for line in p.stdout)
        self.assertEqual(next(e for _, e in zip(range(60), told) if e["type"] == "oom"), {"type": "oom", "id": name})
        self.oci("delete", "-f", name)
        p.stdout.read()
        p.stdout.close()
        self.assertEqual(p.wait(10), 0)

    def test_no_cgroup_at_all(self):
        name = self.name()
        folder = self.bundle(config("sleep", "1000"))
        with open(os.path.join(folder, "out"), "w") as out:
            subprocess.run([self.program, "--root", self.state, "--cgroup-manager=disabled", "run", "-d", "-b", folder, name], check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=60)
        self.addCleanup(self.oci, "delete", "-f", name)
        pid = self.state_of(name)["pid"]
        self.assertEqual(oci.cgroups_of(os.path.basename(folder)), set())
        self.assertEqual(json.loads(self.oci("ps", "-f", "json", name).out), [pid])
        self.assertEqual(self.oci("exec", name, "echo", "hi").out, "hi\n")
        self.assertIn("no cgroup", self.oci("pause", name, code=1).err)


if __name__ == "__main__":
    unittest.main()
