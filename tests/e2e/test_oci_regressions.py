# SPDX-License-Identifier: Apache-2.0
"""Bugs of coffer-oci that were found and mended, one test each. The moments at which the runtime is killed are system calls that strace ends it at."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import coffer
import oci

ASAN = True


class Regressions(oci.OciTest):
    def caps(self, text):
        return {line.split()[1] for line in text.splitlines() if line.startswith("Cap")}

    def test_exec_has_no_capability_that_nobody_named(self):
        """An exec document without "capabilities" got all of the runtime's own."""
        document = oci.config("sleep", "1000")
        del document["process"]["capabilities"]
        name = self.running(document)
        self.assertEqual(self.caps(self.oci("exec", name, "grep", "Cap", "/proc/self/status").out), {"0" * 16})
        name = self.running()  # one with the harness's capabilities
        process = {"args": ["grep", "Cap", "/proc/self/status"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(process, f)
            f.flush()
            found = self.caps(self.oci("exec", "--process", f.name, name).out)
        own = self.caps(coffer.read_text(f"/proc/{self.state_of(name)['pid']}/status").replace("\t", " "))
        self.assertEqual(found, own)

    def test_a_cgroup_with_strangers_below_is_not_taken(self):
        """delete killed processes in child cgroups that were there before the container."""
        root = [r for r in coffer.cgroup_roots() if os.path.exists(os.path.join(r, "cgroup.procs"))][0]
        parent = os.path.join(root, f"{self.word}-strangers")
        child = os.path.join(parent, "child")
        os.makedirs(child)
        stranger = subprocess.Popen(["sleep", "1000"])
        try:
            with open(os.path.join(child, "cgroup.procs"), "w") as f:
                f.write(str(stranger.pid))
            document = oci.config("true")
            document["linux"]["cgroupsPath"] = f"/{self.word}-strangers"
            r = self.run_document(document, check=False)
            self.assertNotEqual(r.code, 0)
            self.assertIn("cgroupsPath", r.err)
            self.assertIsNone(stranger.poll())
            self.assertTrue(os.path.isdir(child))
        finally:
            stranger.kill()
            stranger.wait()
            for path in (child, parent):
                self.assertTrue(coffer.wait_until(lambda p=path: self.rmdir(p), 5))
            for other in coffer.cgroup_roots():
                self.rmdir(os.path.join(other, f"{self.word}-strangers"))

    @staticmethod
    def rmdir(path):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            pass
        except OSError:
            return False
        return True

    def killed_at(self, call, when, *args):
        """The runtime, killed at its @when-th system call @call. A file takes the streams: a container may have them still."""
        with open(os.path.join(self.scratch, "killed"), "w") as out:
            p = subprocess.run(["strace", "-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={when}", self.program, "--root", self.state, *args], stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=30)
        self.assertIn(p.returncode, (-signal.SIGKILL, 128 + signal.SIGKILL), coffer.read_text(os.path.join(self.scratch, "killed")))

    def test_killed_before_the_record_is_written(self):
        """create and run left a process that no record named, and a lock that it held for ever."""
        for verb in (["create"], ["run", "-d"]):
            with self.subTest(verb):
                folder, name = self.bundle(oci.config("sleep", "1000")), self.name()
                self.killed_at("renameat", 1, *verb, "-b", folder, name)
                self.assertTrue(coffer.wait_until(lambda: self.processes() == [], 5), "init has outlived its creator")
                self.oci("delete", "--force", name, timeout=10)
                self.nothing_of(name, folder)

    def test_killed_after_the_record_was_written(self):
        """The lock lived on in init: start and delete waited for ever."""
        folder, name = self.bundle(oci.config("sleep", "1000")), self.name()
        self.killed_at("flock", 2, "create", "-b", folder, name)
        state = self.state_of(name)["status"]
        if state == "created":
            self.oci("start", name, timeout=10)
            self.wait_status(name, "running")
        self.oci("delete", "--force", name, timeout=10)
        self.nothing_of(name, folder)

    def test_a_start_that_was_killed_can_be_repeated(self):
        """Between the rename of the socket and the word to init the container was "running" and could not be started."""
        name = self.created()
        self.killed_at("connect", 1, "start", name)
        self.oci("start", name, timeout=10)
        self.wait_status(name, "running")
        self.assertIn("running already", self.oci("start", name, check=False).err)

    def test_the_loser_of_two_creates_takes_nothing_away(self):
        """Between mkdir and lock another create could make the container, and the first one's undo removed it."""
        folder, other, name = self.bundle(oci.config("sleep", "1000")), self.bundle(oci.config("sleep", "1000")), self.name()
        with open(os.path.join(folder, "out"), "w") as out:
            slow = subprocess.Popen(["strace", "-o", "/dev/null", "-e", "inject=mkdirat:delay_exit=1000000:when=1", self.program, "--root", self.state, "create", "-b", folder, name],
                                    stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            self.assertTrue(coffer.wait_until(lambda: os.path.isdir(os.path.join(self.state, name))))
            time.sleep(0.2)
            subprocess.run([self.program, "--root", self.state, "create", "-b", other, name], check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=20)
            self.assertNotEqual(slow.wait(20), 0)
        self.assertEqual(self.state_of(name)["status"], "created")
        self.oci("delete", "--force", name)
        self.nothing_of(name, folder, other)

    def test_kill_reaches_a_paused_container(self):
        """On cgroup v1 a frozen process does not die of SIGKILL until it thaws."""
        name = self.running()
        self.oci("pause", name)
        self.oci("kill", name, "KILL")
        self.wait_status(name, "stopped", 5)

    def test_exec_inside_a_user_namespace(self):
        """run knew that setgroups is denied to a single-id map, exec did not."""
        state = tempfile.mkdtemp(prefix="nested.", dir=self.scratch)
        document = oci.config("sleep", "1000")
        document["linux"].pop("resources", None)
        folder = self.bundle(document)
        rootfs = os.path.join(self.scratch, "nested-rootfs")
        shutil.copytree(self.rootfs, rootfs, symlinks=True)
        document["root"]["path"] = rootfs
        document["mounts"] = [m for m in document["mounts"] if m["destination"] != "/dev/pts"]
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump(document, f)
        script = (f"p='{self.program} --root {state} --cgroup-manager disabled'; $p run -d -b {folder} n >{folder}/out 2>&1 </dev/null || {{ cat {folder}/out; exit 1; }}; $p exec n id -u; $p delete -f n")
        p = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual((p.returncode, p.stdout), (0, "0\n"), p.stderr)
