# SPDX-License-Identifier: Apache-2.0
"""Terminals: raw mode, size, ctrl-c, detach keys, job control, and the caller's terminal restored on every way out."""

import os
import signal
import termios
import time
import unittest

from coffer import CofferTest, children_of, pid_exists, wait_until

ASAN = True
VM = True
LFLAG, IFLAG, OFLAG = 3, 0, 1


class Base(CofferTest):
    def run_tty(self, *args, **kw):
        return self.tty("run", "--rm", "-it", "--network", "none", *args, **kw)

    def shell(self, *flags, **kw):
        """An interactive shell in a container, at its first prompt."""
        t = self.run_tty("-e", "PS1=ready> ", *flags, "busybox", "sh", **kw)
        t.expect("ready> ")
        return t

    def assertRestored(self, t):
        self.assertEqual(t.attrs(), t.before_attrs, "the caller's terminal is not as it was")


class Terminal(Base):
    def test_it_is_a_terminal_of_the_container(self):
        t = self.run_tty("busybox", "sh", "-c", "tty; test -t 0 && test -t 1 && test -t 2 && echo all; stat -c %t:%T $(tty)")
        self.assertEqual(t.wait(), 0)
        self.assertRegex(t.text, r"/dev/(pts/\d+|console)\r\nall\r\n")
        self.assertRestored(t)

    def test_its_device_is_on_the_container_s_own_devpts(self):
        t = self.shell()
        t.line("stat -c dev=%d /proc/self/fd/0 -L; grep -c devpts /proc/mounts")
        inside = int(t.expect(r"dev=(\d+)\r").group(1))
        self.assertNotIn(inside, {os.stat(p).st_dev for p in ("/dev/pts", "/dev")})
        t.line("exit")
        self.assertEqual(t.wait(), 0)

    def test_the_caller_s_terminal_is_raw_meanwhile_and_restored_after(self):
        t = self.shell()
        attrs = t.attrs()
        self.assertFalse(attrs[LFLAG] & (termios.ICANON | termios.ECHO | termios.ISIG), "not raw")
        t.line("exit 5")
        self.assertEqual(t.wait(), 5)
        self.assertRestored(t)

    def test_line_editing_and_echo_are_the_container_s(self):
        t = self.shell()
        t.send("echo abX\x7fc\r")
        t.expect("abc\r\n")
        t.line("exit")
        t.wait()

    def test_ctrl_d_ends_the_shell(self):
        t = self.shell()
        t.send("\x04")
        self.assertEqual(t.wait(), 0)

    def test_size_at_start(self):
        t = self.run_tty("busybox", "stty", "size", rows=33, cols=111)
        t.expect("33 111\r\n")
        self.assertEqual(t.wait(), 0)

    def test_size_follows(self):
        t = self.shell()
        for rows, cols in ((50, 132), (10, 40)):
            t.resize_live(rows, cols)
            for _ in range(20):
                t.line("stty size")
                if t.expect(r"\n(\d+ \d+)\r").group(1) == f"{rows} {cols}".encode():
                    break
                time.sleep(0.1)
            else:
                self.fail(f"the size did not become {rows} {cols}: {t.text}")
        t.line("exit")
        t.wait()

    def test_ctrl_c_interrupts_the_program_inside(self):
        t = self.shell()
        t.line("sleep 1000")
        time.sleep(0.5)
        t.send("\x03")
        t.expect("ready> ")
        t.line("echo code=$?")
        t.expect("code=130")
        t.line("exit 0")
        self.assertEqual(t.wait(), 0)

    def test_job_control(self):
        t = self.shell()
        self.assertNotIn("can't access tty", t.text)
        t.line("sleep 1000")
        time.sleep(0.5)
        t.send("\x1a")
        t.expect("Stopped")
        t.line("jobs; bg; echo back")
        t.expect("back\r\n")
        t.line("kill %1; wait; echo done")
        t.expect("done\r\n")
        t.line("exit")
        t.wait()

    def test_a_large_paste_arrives_whole(self):
        t = self.run_tty("busybox", "sh", "-c", "stty raw -echo; echo go; head -c 50000 | md5sum")
        t.expect("go")
        time.sleep(0.2)
        import hashlib

        data = bytes((65 + i % 26) for i in range(50000))
        t.send(data)
        t.expect(hashlib.md5(data).hexdigest())
        self.assertEqual(t.wait(), 0)

    def test_large_output_is_whole(self):
        t = self.run_tty("busybox", "seq", "1", "20000")
        self.assertEqual(t.wait(), 0)
        self.assertEqual(t.text.replace("\r\n", "\n"), "".join(f"{i}\n" for i in range(1, 20001)))

    def test_t_without_a_terminal_at_stdin_is_refused(self):
        r = self.run_("-it", "busybox", "true", check=False, input="")
        self.assertFails(r, 1 if r.code == 1 else 125, "tty")
        self.assertEqual(self.coffer("ps", "-aq").word, "")

    def test_t_alone_gives_a_terminal_with_crlf(self):
        self.assertEqual(self.run_("-t", "busybox", "echo", "x").out, "x\r\n")

    def test_exec_on_a_terminal(self):
        cid = self.sleeper()
        t = self.tty("exec", "-it", "-e", "PS1=in> ", cid, "sh", rows=20, cols=99)
        t.expect("in> ")
        t.line("stty size; tty")
        t.expect("20 99\r\n/dev/(pts/|console)")
        t.send("\x03")
        t.line("exit 6")
        self.assertEqual(t.wait(), 6)
        self.assertRestored(t)

    def test_the_terminal_cannot_be_fed(self):
        """TIOCSTI and TIOCLINUX are blocked: see the prober; here, that a program cannot reach the caller's terminal."""
        t = self.shell()
        t.line("ls /proc/self/fd | wc -l; echo fds")
        t.expect("fds\r\n")
        t.line("exit")
        t.wait()


class Detach(Base):
    def assertDetached(self, t, name):
        t.wait(10)
        self.assertRestored(t)
        self.assertEqual(self.status(name), "running")

    def start(self, *flags):
        name = self.unique("tty")
        t = self.tty("run", "-it", "--name", name, "--network", "none", "-e", "PS1=ready> ", *flags, "busybox", "sh")
        self.addCleanup(self.coffer, "rm", "-f", name, check=False)
        t.expect("ready> ")
        return t, name

    def test_default_keys_and_attach_again(self):
        t, name = self.start()
        t.line("X=remembered")
        t.expect("ready> ")
        t.send("\x10\x11")
        self.assertDetached(t, name)
        again = self.tty("attach", name)
        again.line("echo $X")
        again.expect("\nremembered\r")
        again.line("exit 3")
        self.assertEqual(again.wait(), 3)
        self.assertRestored(again)

    def test_own_keys(self):
        t, name = self.start("--detach-keys", "ctrl-x,q")
        t.send("\x10\x11")
        time.sleep(0.3)
        self.assertIsNone(t.proc.poll(), "the default keys detached in spite of --detach-keys")
        t.send("\x18q")
        self.assertDetached(t, name)

    def test_a_broken_sequence_is_passed_on(self):
        t = self.run_tty("busybox", "sh", "-c", "stty raw -echo; echo go; head -c 2 | xxd -p")
        t.expect("go")
        time.sleep(0.2)
        t.send("\x10")
        time.sleep(0.2)
        t.send("z")
        t.expect("107a")
        self.assertEqual(t.wait(), 0)

    def test_bad_keys_are_refused(self):
        t = self.run_tty("--detach-keys", "ctrl-nonsense", "busybox", "true")
        self.assertEqual(t.wait(), 125)
        self.assertIn("ctrl-nonsense", t.text)
        self.assertRestored(t)

    def test_attach_with_own_keys(self):
        t, name = self.start()
        t.send("\x10\x11")
        self.assertDetached(t, name)
        again = self.tty("attach", "--detach-keys", "a,b", name)
        time.sleep(0.5)
        again.send("ab")
        self.assertDetached(again, name)

    def test_exec_detaches_too(self):
        cid = self.sleeper()
        t = self.tty("exec", "-it", "-e", "PS1=in> ", cid, "sh")
        t.expect("in> ")
        t.send("\x10\x11")
        t.wait(10)
        self.assertRestored(t)
        self.assertIn("sh", self.coffer("exec", cid, "ps").out)


class EveryWayOut(Base):
    def test_the_container_is_killed(self):
        name = self.unique("out")
        t = self.shell("--name", name)
        self.coffer("kill", name)
        self.assertEqual(t.wait(), 137)
        self.assertRestored(t)

    def test_the_monitor_is_killed(self):
        name = self.unique("out")
        t = self.shell("--name", name)
        pid = self.pid(name)
        os.kill(self.monitor_pid(name), signal.SIGKILL)
        self.assertNotEqual(t.wait(15), 0)
        self.assertRestored(t)
        self.assertTrue(wait_until(lambda: not pid_exists(pid)))

    def test_the_client_gets_a_signal_that_ends_it(self):
        t = self.shell()
        os.kill(t.proc.pid, signal.SIGTERM)  # proxied to a shell that ignores it
        time.sleep(0.3)
        t.line("exit 0")
        t.wait(15)
        self.assertRestored(t)

    def test_the_start_fails(self):
        t = self.run_tty("busybox", "no-such-command")
        self.assertEqual(t.wait(15), 127)
        self.assertRestored(t)
        t = self.run_tty("no-such-image", "true")
        self.assertEqual(t.wait(15), 125)
        self.assertRestored(t)

    def test_the_terminal_hangs_up(self):
        t = self.tty("run", "--rm", "-it", "--name", "hup", "--network", "none", "-e", "PS1=ready> ", "busybox", "sh")
        t.expect("ready> ")
        t.hang_up()
        self.assertTrue(wait_until(lambda: t.proc.poll() is not None, 10), "the client survives its terminal")
        self.coffer("rm", "-f", "hup", check=False)


class UnderAShell(Base):
    """The client as a job of the caller's own shell."""

    def test_the_shell_has_its_terminal_back(self):
        t = self.shell_tty("sh")
        t.line("PS1='outer$ '")
        t.expect(r"outer\$ '\r\n")
        t.expect(r"outer\$ ")
        t.line(f"{self.stage.coffer} run --rm -it --network none busybox sh -c 'echo inner; exit 4'; echo code=$?")
        t.expect("inner\r\n")
        t.expect("code=4")
        t.line("stty -a | grep -c ' icanon'")
        t.expect(r"[\n ]1\r\n")
        t.line("exit")
        t.wait()


if __name__ == "__main__":
    unittest.main()
