# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C: the command ends at once, by the signal (a shell's 130), and leaves nothing half made. The same with an engine of the command's own and with the daemon."""

import contextlib
import os
import random
import signal
import subprocess
import time

import coffer
import daemon
import images

STAYS = ("sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done")


class Interrupts:
    def interrupted(self, *args, after=None, until=None, stdin=subprocess.DEVNULL):
        """The exit code of coffer @args that got SIGINT after @after seconds, or once @until() holds."""
        p = self.popen(*args, stdin=stdin)
        if until:
            self.assertTrue(coffer.wait_until(lambda: until() or p.poll() is not None, 15), args)
        time.sleep(after or 0)
        for _ in range(20):  # one that comes before a process in a container has its handlers is lost on it, as under docker: people press again
            p.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(1)
                break
        code = p.wait(1)
        p.stdout.close()
        p.stderr.close()
        return code

    def assertEmptyTmp(self):
        tmp = os.path.join(self.root, "tmp")
        self.assertTrue(coffer.wait_until(lambda: not os.path.isdir(tmp) or not os.listdir(tmp), 15), os.listdir(tmp) if os.path.isdir(tmp) else None)

    def archive(self):
        path = os.path.join(self.scratch, "big.tar")
        if not os.path.exists(path):
            big = [images.Entry.file(f"big{i}", os.urandom(1 << 20)) for i in range(24)]
            images.docker_archive([images.busybox_entries(), big], ["interrupted:1"], path=path)
        return path

    def test_load(self):
        path = self.archive()
        for i in range(6):
            code = self.interrupted("load", "-i", path, after=0.03 * i)
            self.assertIn(code, (-signal.SIGINT, 0))
            self.assertEmptyTmp()
            there = coffer.wait_until(lambda: "interrupted:1" in self.coffer("images", "--format", "{{.Repository}}:{{.Tag}}").lines, 2 if code == 0 else 0.1)
            if there:  # whole, then
                self.assertEqual(self.run_("interrupted:1", "ls", "/big23").out, "/big23\n")
                self.coffer("rmi", "interrupted:1")
        self.coffer("load", "-i", path)
        self.coffer("rmi", "interrupted:1")

    def test_import_from_a_pipe(self):
        p = subprocess.Popen(["sleep", "100"], stdout=subprocess.PIPE)
        self.addCleanup(lambda: (p.kill(), p.wait(), p.stdout.close()))
        self.assertEqual(self.interrupted("import", "-", "half:1", stdin=p.stdout, after=0.2), -signal.SIGINT)
        self.assertEmptyTmp()
        self.assertNotIn("half", self.coffer("images").out)

    def test_run_at_any_moment(self):
        """Before the container's process has it, the signal is coffer's; from then on it is the process's."""
        rng = random.Random(4)
        for _ in range(8):
            code = self.interrupted("run", "--rm", "--init", "--network", "none", "busybox", "sleep", "1000", after=rng.uniform(0, 0.12))
            self.assertIn(code, (-signal.SIGINT, 130, 125))
            self.assertTrue(coffer.wait_until(lambda: not self.coffer("ps", "-aq").out, 15), self.coffer("ps", "-a").out)

    def test_create_leaves_a_whole_container_or_none(self):
        for i in range(6):
            self.assertIn(self.interrupted("create", "--network", "none", "busybox", "true", after=0.004 * i), (-signal.SIGINT, 0))
            for cid in coffer.wait_until(lambda: self.coffer("ps", "-aq").out.split(), 0.3) or []:
                self.assertEqual(self.status(cid), "created")
                self.coffer("rm", cid)

    def test_streams_and_waits(self):
        name = self.unique("w")
        self.coffer("run", "-d", "--name", name, "--network", "none", "busybox", *STAYS)
        self.addCleanup(self.coffer_, "rm", "-f", name, check=False)
        for args in (("logs", "-f", name), ("wait", name), ("events",), ("attach", "--sig-proxy=false", name), ("stop", "-t", "100", name)):
            with self.subTest(args=args):
                start = time.monotonic()
                code = self.interrupted(*args, after=0.3)
                self.assertIn(code, (-signal.SIGINT, 130, 0) if args[0] == "stop" else (-signal.SIGINT, 130))
                self.assertLess(time.monotonic() - start, 10)
        self.coffer("kill", name, check=False)

    def test_prompt(self):
        self.coffer("create", "--name", "kept", "--network", "none", "busybox", "true")
        self.addCleanup(self.coffer_, "rm", "kept", check=False)
        for args in (("container", "prune"), ("system", "prune", "-a", "--volumes"), ("image", "prune", "-a"), ("volume", "prune")):
            t = self.tty(*args)
            t.expect(r"\[y/N\] ")
            t.send("\x03")
            self.assertEqual(t.wait(), -signal.SIGINT)
            for answer in ("n\r", "\r", "\x04", "nonsense\r"):
                t = self.tty(*args)
                t.expect(r"\[y/N\] ")
                t.send(answer)
                self.assertEqual(t.wait(), 0)
        self.assertEqual(self.status("kept"), "created")
        self.assertIn("busybox", self.coffer("images").out)
        t = self.tty("container", "prune")
        t.expect(r"\[y/N\] ")
        t.line("y")
        self.assertEqual(t.wait(), 0)
        self.assertIn("Deleted Containers:", t.text)

    def test_a_shell_sees_130(self):
        t = self.shell_tty("sh")
        t.line("PS1='sh''> '")
        t.expect("sh> ")
        t.line(f"{self.command[-1]} events")
        t.drain(0.5)
        t.send("\x03")
        t.expect("sh> ")
        t.line("echo code $?")
        t.expect("code 130")
        t.line("exit")
        t.wait()

    def test_progress_bars_on_terminals_only(self):
        path = self.archive()
        r = self.coffer("load", "-i", path)
        self.assertEqual(r.out, "Loaded image: interrupted:1\n")
        self.coffer("rmi", "interrupted:1")
        t = self.tty("load", "-i", path)
        self.assertEqual(t.wait(60), 0)
        self.assertRegex(t.text, r"Loading layer \[[=>]")
        self.assertIn("Loaded image: interrupted:1", t.text)
        self.coffer("rmi", "interrupted:1")
        self.assertRegex(self.coffer("import", path, "tarred:1").out, r"^sha256:[0-9a-f]{64}\n$")
        self.coffer("rmi", "tarred:1")


class Embedded(Interrupts, coffer.CofferTest):
    pass


class Daemon(Interrupts, daemon.DaemonTest):
    pass


if __name__ == "__main__":
    coffer.main()
