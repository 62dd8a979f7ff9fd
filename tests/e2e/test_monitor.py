# SPDX-License-Identifier: Apache-2.0
"""The monitor, spoken to as the engine does (src/monitor/proto.h), over a sandbox that confines nothing
(tests/unit/fake-monitor.c): streams, logs, exec, exit records, and what is left behind."""

import errno
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unittest

ASAN = True

BUILD = os.environ.get("COFFER_BUILD") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build")
MONITOR = os.path.join(BUILD, "tests/unit/fake-monitor")
SANITIZED = b"__asan_init" in open(MONITOR, "rb").read() if os.path.exists(MONITOR) else False

SETUP, START, ATTACH, WAIT, KILL, RESIZE, EXEC, HOLD, EXEC_WAIT, REPLY = range(1, 11)
TTY, OPEN_STDIN, STDIN_ONCE, LOG = 1, 2, 4, 8
STDIN, STDOUT, STDERR = 1, 2, 4
HEADER = struct.Struct("<IIiI")
ERR = struct.Struct("<HHi504s")
STARTED = struct.Struct("<iiQq")
EXIT = struct.Struct("<Iiiiqq")
STATE = struct.Struct("<IiQiiQq")
ERR_INVALID, ERR_NOT_FOUND, ERR_CONFLICT, ERR_QUOTA, ERR_UNSUPPORTED, ERR_CMD_NOT_FOUND = 1, 2, 3, 5, 6, 9


class Refused(Exception):
    def __init__(self, payload):
        self.kind, _, self.sys, msg = ERR.unpack(payload)
        self.msg = msg.split(b"\0")[0].decode()
        super().__init__(self.msg)


class Conn:
    """One control connection."""

    def __init__(self, sock, bundle):
        self.sock, self.bundle, self.seq, self.early = sock, bundle, 0, {}
        sock.settimeout(30)

    def send(self, verb, body=b"", fds=()):
        self.seq += 1
        data = HEADER.pack(verb, self.seq, 0, len(body)) + body
        if fds:
            socket.send_fds(self.sock, [data], list(fds))
        else:
            self.sock.send(data)
        return self.seq

    def reply(self, seq):
        while seq not in self.early:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the monitor hung up")
            verb, s, result, n = HEADER.unpack_from(data)
            assert verb == REPLY and n == len(data) - HEADER.size
            self.early[s] = (result, data[HEADER.size:])
        result, body = self.early.pop(seq)
        if result < 0:
            raise Refused(body)
        return body

    def call(self, verb, body=b"", fds=()):
        return self.reply(self.send(verb, body, fds))

    def start(self):
        return STARTED.unpack(self.call(START))

    def wait(self):
        """As an engine does: a monitor that has left already has left its record."""
        try:
            return Exit(self.call(WAIT))
        except (BrokenPipeError, ConnectionResetError, EOFError):
            with open(os.path.join(self.bundle, "exit"), "rb") as f:
                return Exit(f.read())

    def kill(self, sig=signal.SIGKILL):
        self.call(KILL, struct.pack("<i", sig))

    def resize(self, rows, cols, exec_id=""):
        self.call(RESIZE, struct.pack("<65sxHH", exec_id.encode(), rows, cols))

    def close(self):
        self.sock.close()


class Exit:
    def __init__(self, data):
        self.magic, self.code, self.signal, self.oom, self.started, self.finished = EXIT.unpack(data)
        assert self.magic == 0x31544958


def attach_body(streams, raw=0, keys=b"", early=b""):
    return struct.pack("<III16sI", streams, raw, len(keys), keys, len(early)) + early


def document(word, *argv):
    return b"\0".join([word.encode()] + [a.encode() for a in argv]) + b"\0"


def frames(data):
    """{stream: bytes} of an stdcopy stream; the stream must end on a frame."""
    out, i = {1: b"", 2: b"", 3: b""}, 0
    while i < len(data):
        stream, z, n = data[i], data[i + 1:i + 4], struct.unpack_from(">I", data, i + 4)[0]
        assert z == b"\0\0\0" and i + 8 + n <= len(data), (stream, z, n)
        out[stream] += data[i + 8:i + 8 + n]
        i += 8 + n
    return out


def read_all(sock, timeout=20):
    sock.settimeout(timeout)
    parts = []
    while True:
        b = sock.recv(1 << 16)
        if not b:
            return b"".join(parts)
        parts.append(b)


def read_until(sock, word, timeout=10):
    sock.settimeout(timeout)
    data = b""
    while word not in data:
        b = sock.recv(1 << 16)
        if not b:
            raise EOFError(repr(data))
        data += b
    return data


class Container:
    """A monitor and its bundle."""

    def __init__(self, argv, word="pipe", flags=LOG, log_max=0, log_files=1, reaper="", cgroup="", env=None, logdir=None):
        self.dir = tempfile.mkdtemp(prefix="coffer-monitor-")
        self.conns = []
        self.bundle = os.path.join(self.dir, "bundle")
        self.logdir = logdir or os.path.join(self.dir, "log")
        os.makedirs(self.bundle, 0o700)
        os.makedirs(self.logdir, 0o700, exist_ok=True)
        self.id = os.urandom(32).hex()
        with open(os.path.join(self.bundle, "config.json"), "wb") as f:
            f.write(document(word, *argv))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def third():
            os.dup2(theirs.fileno(), 3)
            os.set_inheritable(3, True)

        self.proc = subprocess.Popen(["coffer-monitor", self.id[:12]], executable=MONITOR, close_fds=False, preexec_fn=third,
                                     env=dict(os.environ, **(env or {})))
        theirs.close()
        self.conn = Conn(ours, self.bundle)
        body = struct.pack("<65s3xI", self.id.encode(), flags) + struct.pack("<QI256s64s256s", log_max, log_files, reaper.encode(), b"", cgroup.encode())
        body += b"\0" * (-len(body) % 8)
        b, l = os.open(self.bundle, os.O_RDONLY | os.O_DIRECTORY), os.open(self.logdir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.conn.call(SETUP, body, [b, l] if flags & LOG else [b])
        finally:
            os.close(b)
            os.close(l)

    def connect(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(os.path.join(self.bundle, "ctl"))
        k = Conn(s, self.bundle)
        self.conns.append(k)
        return k

    def attach(self, streams=STDOUT | STDERR, raw=0, keys=b"", early=b"", conn=None):
        ours, theirs = socket.socketpair()
        (conn or self.conn).call(ATTACH, attach_body(streams, raw, keys, early), [theirs.fileno()])
        theirs.close()
        return ours

    def exec(self, argv, word="pipe", flags=0, streams=STDOUT | STDERR, stream=True, raw=0, keys=b"", conn=None):
        """Return: (id, our end or None)"""
        eid = os.urandom(32).hex()
        with open(os.path.join(self.bundle, f"exec-{eid}.json"), "wb") as f:
            f.write(document(word, *argv))
        ours, theirs = socket.socketpair()
        try:
            body = struct.pack("<65s3xI", eid.encode(), flags) + attach_body(streams, raw, keys)
            (conn or self.conn).call(EXEC, body, [theirs.fileno()] if stream else [])
        except Refused as e:
            e.id, e.stream = eid, ours
            raise
        finally:
            theirs.close()
        if not stream:
            ours.close()
            return eid, None
        return eid, ours

    def exec_wait(self, eid, conn=None):
        return Exit((conn or self.conn).call(EXEC_WAIT, eid.encode() + b"\0"))

    def log(self):
        names = sorted((n for n in os.listdir(self.logdir) if n.startswith("json.log")), key=lambda n: -int(n.rpartition(".")[2]) if n[-1].isdigit() else 0)
        out = []
        for n in names:
            with open(os.path.join(self.logdir, n), encoding="utf-8") as f:
                out += [json.loads(line) for line in f]
        return out

    def log_text(self, stream="stdout"):
        return "".join(r["log"] for r in self.log() if r["stream"] == stream)

    def file(self, name):
        with open(os.path.join(self.bundle, name), "rb") as f:
            return f.read()

    def end(self):
        """The monitor's exit status, when it leaves by itself."""
        return self.proc.wait(15)

    def done(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        for k in [self.conn] + self.conns:
            k.close()
        shutil.rmtree(self.dir)


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def state_of(pid):
    """The state's letter, "" when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children_of(pid):
    out = []
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                with open(f"/proc/{p}/stat") as f:
                    fields = f.read().rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    out.append((int(p), fields[0]))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return out


def smaps(pid):
    out = {}
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f.read().splitlines()[1:]:
            key, value = line.split(":")
            out[key] = int(value.split()[0])
    return out


class Case(unittest.TestCase):
    def container(self, *args, **kw):
        c = Container(*args, **kw)
        self.addCleanup(c.done)
        return c

    def sh(self, script, **kw):
        return self.container(["sh", "-c", script], **kw)

    def wait_for(self, what, seconds=5):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if what():
                return
            time.sleep(0.01)
        self.fail("it did not happen in time")


class Life(Case):
    def test_exit_record_state_and_log(self):
        c = self.sh("echo out; echo err >&2; sleep 0.3; exit 7")
        pid, _, ticks, started = c.conn.start()
        magic, spid, sticks, mpid, _, mticks, sstarted = STATE.unpack(c.file("state"))
        self.assertEqual((magic, spid, sticks, mpid, sstarted), (0x31415453, pid, ticks, c.proc.pid, started))
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        self.assertEqual(int(fields[19]), ticks)
        self.assertEqual(int(fields[1]), c.proc.pid, "init is the monitor's own child")
        self.assertEqual(threads_of(c.proc.pid), 1)
        e = c.conn.wait()
        self.assertEqual((e.code, e.signal, e.oom), (7, 0, 0))
        self.assertTrue(e.started == started < e.finished)
        self.assertEqual(Exit(c.file("exit")).code, 7)
        self.assertEqual([(r["stream"], r["log"]) for r in sorted(c.log(), key=lambda r: r["stream"])], [("stderr", "err\n"), ("stdout", "out\n")])
        self.assertEqual(os.stat(os.path.join(c.logdir, "json.log")).st_mode & 0o7777, 0o640)
        self.assertEqual(c.end(), 0)
        self.assertNotIn("ctl", os.listdir(c.bundle))

    def test_signal_and_oom(self):
        c = self.container(["sleep", "60"], cgroup="/oom")
        c.conn.start()
        c.conn.kill(signal.SIGKILL)
        e = c.conn.wait()
        self.assertEqual((e.code, e.signal, e.oom), (137, 9, 1))

    def test_terminating_signals_do_not_end_the_monitor(self):
        c = self.container(["sleep", "60"])
        c.conn.start()
        for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
            os.kill(c.proc.pid, s)
        c.conn.kill(signal.SIGTERM)
        self.assertEqual(c.conn.wait().code, 143, "and the container has its default handlers")

    def test_the_container_dies_with_the_monitor(self):
        c = self.container(["sleep", "60"])
        pid = c.conn.start()[0]
        os.kill(c.proc.pid, signal.SIGKILL)
        c.proc.wait()
        self.wait_for(lambda: state_of(pid) in ("Z", ""))

    def test_start_fails(self):
        for argv, word, kind in ((["/no/such/command"], "pipe", ERR_CMD_NOT_FOUND), (["true"], "fail", ERR_UNSUPPORTED), (["true"], "die", 7), (["sleep", "60"], "die-late", 7)):
            with self.subTest(word=word, argv=argv):
                c = self.container(argv, word=word)
                client = c.attach()
                other = c.connect()
                waiting = other.send(WAIT)
                with self.assertRaises(Refused) as r:
                    c.conn.start()
                if kind != 7:
                    self.assertEqual(r.exception.kind, kind, r.exception.msg)
                self.assertEqual(read_all(client), b"")
                client.close()
                with self.assertRaises(Refused):
                    other.reply(waiting)
                self.assertEqual(c.end(), 1)
                self.assertEqual(sorted(os.listdir(c.bundle)), ["config.json"])

    def test_engine_gone_before_start(self):
        c = self.container(["true"])
        c.conn.close()
        self.assertEqual(c.end(), 0)
        self.assertEqual(os.listdir(c.bundle), ["config.json"])

    def test_three_connections_wait(self):
        c = self.sh("read x; exit 3", flags=OPEN_STDIN)
        stdin = c.attach(STDIN)
        early = c.connect()
        seqs = [(early, early.send(WAIT))]
        c.conn.start()
        for _ in range(3):
            k = c.connect()
            seqs.append((k, k.send(WAIT)))
        stdin.send(b"go\n")
        self.assertEqual([Exit(k.reply(s)).code for k, s in seqs], [3] * 4)
        stdin.close()
        self.assertEqual(c.end(), 0)

    def test_reaper_when_the_engine_is_gone(self):
        out = tempfile.NamedTemporaryFile(suffix=".reaped")
        script = tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False)
        self.addCleanup(os.unlink, script.name)
        script.write(f'#!/bin/sh\necho "$@" > {out.name}.tmp; tr "\\0" "\\n" < /proc/$$/environ >> {out.name}.tmp; kill -0 $$; mv {out.name}.tmp {out.name}\n')
        script.close()
        os.chmod(script.name, 0o700)
        c = self.sh("sleep 0.3; exit 4", reaper=script.name, env={"COFFER_STATE_DIR": "/private", "SECRET": "no"})
        c.conn.start()
        c.conn.close()
        c.end()
        with open(out.name) as f:
            text = f.read()
        self.assertEqual(text.split("\n")[0], f"reap {c.id}")
        self.assertIn("COFFER_STATE_DIR=/private\n", text)
        self.assertNotIn("SECRET", text)
        self.assertEqual(Exit(c.file("exit")).code, 4)

    def test_no_reaper_while_the_engine_is_there(self):
        c = self.sh("exit 4", reaper="/bin/false")
        c.conn.start()
        c.conn.wait()
        self.assertEqual(c.end(), 0)

    def test_control_requests_are_checked(self):
        c = self.container(["sleep", "60"])
        for verb, body, kind in ((99, b"", ERR_UNSUPPORTED), (KILL, b"xx", ERR_INVALID), (KILL, struct.pack("<i", 9), ERR_CONFLICT), (SETUP, b"", ERR_INVALID),
                                 (ATTACH, attach_body(STDOUT), ERR_INVALID), (RESIZE, struct.pack("<65sxHH", b"", 1, 1), ERR_INVALID),
                                 (EXEC, struct.pack("<65s3xI", b"../../x", 0) + attach_body(STDOUT), ERR_INVALID),
                                 (EXEC_WAIT, b"a" * 64 + b"\0", ERR_NOT_FOUND), (EXEC_WAIT, b"a" * 65, ERR_INVALID)):
            with self.subTest(verb=verb), self.assertRaises(Refused) as r:
                c.conn.call(verb, body)
            self.assertEqual(r.exception.kind, kind, r.exception.msg)
        c.conn.start()
        for sig in (-1, 65, 1000):
            with self.assertRaises(Refused):
                c.conn.kill(sig)
        with self.assertRaises(Refused):
            c.conn.start()
        r, w = os.pipe()
        with self.assertRaises(Refused):
            c.conn.call(ATTACH, attach_body(STDOUT), [w])
        with self.assertRaises(Refused):
            c.conn.call(ATTACH, struct.pack("<III16sI", 2, 0, 17, b"", 0), [w])
        os.close(r)
        os.close(w)
        broken = c.connect()
        broken.sock.send(b"short")
        self.assertEqual(broken.sock.recv(1), b"", "a message that is no message ends its connection")
        c.connect().kill()
        self.assertEqual(c.conn.wait().code, 137)

    def test_socket_is_private(self):
        c = self.container(["true"])
        self.assertEqual(os.stat(os.path.join(c.bundle, "ctl")).st_mode & 0o7777, 0o600)

    def test_two_hundred_starts_leave_nothing(self):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(200 if not SANITIZED else 20):
            c = Container(["true"], flags=0)
            out = c.attach()
            pid = c.conn.start()[0]
            self.assertEqual(c.conn.wait().code, 0)
            self.assertEqual(read_all(out), b"")
            out.close()
            self.assertEqual(c.end(), 0)
            self.assertFalse(os.path.exists(f"/proc/{pid}"))
            c.done()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class Streams(Case):
    def test_before_and_after_start(self):
        c = self.sh("echo one; echo two >&2; read x; echo three; exit 5", flags=OPEN_STDIN | LOG)
        first = c.attach(STDIN | STDOUT | STDERR)
        c.conn.start()
        data = read_until(first, b"two")
        if b"one" not in data:
            data += read_until(first, b"one")
        second = c.attach(STDOUT)
        first.send(b"go on\n")
        e = c.conn.wait()
        data += read_all(first)
        self.assertEqual({k: v for k, v in frames(data).items() if v}, {1: b"one\nthree\n", 2: b"two\n"})
        self.assertEqual(frames(read_all(second))[1], b"three\n")
        self.assertEqual(e.code, 5)
        self.assertEqual((c.log_text(), c.log_text("stderr")), ("one\nthree\n", "two\n"))
        first.close()
        second.close()

    def test_wait_answers_after_all_output(self):
        c = self.sh("head -c 3000000 /dev/zero | tr '\\0' x", flags=0)
        out = c.attach()
        c.conn.start()
        got = []
        t = threading.Thread(target=lambda: got.append(read_all(out)))
        t.start()
        e = c.conn.wait()
        t.join()
        self.assertEqual(e.code, 0)
        self.assertEqual(len(frames(got[0])[1]), 3000000)
        out.close()

    def test_unread_output_is_there_after_the_monitor_left(self):
        c = self.sh("head -c 100000 /dev/zero", flags=0)
        out = c.attach(STDOUT, raw=1)
        c.conn.start()
        self.assertEqual(c.conn.wait().code, 0)
        time.sleep(0.2)
        self.assertEqual(len(read_all(out)), 100000)
        out.close()

    def test_stdin_once(self):
        c = self.container(["sort"], flags=OPEN_STDIN | STDIN_ONCE)
        s = c.attach(STDIN | STDOUT, early=b"b\nc\n")
        c.conn.start()
        s.send(b"a\n")
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(frames(read_all(s))[1], b"a\nb\nc\n")
        self.assertEqual(c.conn.wait().code, 0)
        s.close()

    def test_stdin_once_closes_when_the_client_vanishes(self):
        c = self.container(["cat"], flags=OPEN_STDIN | STDIN_ONCE | LOG)
        s = c.attach(STDIN | STDOUT)
        c.conn.start()
        s.send(b"last words\n")
        s.close()
        self.assertEqual(c.conn.wait().code, 0)
        self.assertEqual(c.log_text(), "last words\n")

    def test_stdin_stays_open(self):
        c = self.container(["cat"], flags=OPEN_STDIN)
        a = c.attach(STDIN | STDOUT)
        c.conn.start()
        a.send(b"one\n")
        a.shutdown(socket.SHUT_WR)
        data = read_until(a, b"one\n")
        b = c.attach(STDIN | STDOUT)
        b.send(b"two\n")
        data += read_until(a, b"two\n")
        self.assertEqual(frames(data)[1], b"one\ntwo\n", "output goes on for the one that sent its end of file")
        c.conn.kill()
        a.close()
        b.close()

    def test_no_stdin_is_dev_null(self):
        c = self.sh("cat; readlink /proc/self/fd/0")
        s = c.attach(STDIN | STDOUT)
        s.send(b"ignored\n")
        c.conn.start()
        self.assertEqual(frames(read_all(s))[1], b"/dev/null\n")
        s.close()

    def test_binary_stdin_of_some_megabytes(self):
        c = self.container(["md5sum"], flags=OPEN_STDIN | STDIN_ONCE)
        s = c.attach(STDIN | STDOUT)
        c.conn.start()
        data = os.urandom(5_000_000)
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        want = subprocess.run(["md5sum"], input=data, stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(frames(read_all(s))[1], want)
        s.close()

    def test_unread_input_does_not_reset_the_client(self):
        for _ in range(20):
            c = self.sh("echo done; sleep 0.02", flags=OPEN_STDIN)
            s = c.attach(STDIN | STDOUT)
            c.conn.start()
            s.setblocking(False)
            try:
                while True:
                    s.send(b"x" * 4096)
            except BlockingIOError:
                pass
            self.assertEqual(c.conn.wait().code, 0)
            self.assertEqual(frames(read_all(s))[1], b"done\n")
            s.close()

    def test_closing_streams_early_is_not_the_end(self):
        c = self.sh("exec >&- 2>&- <&-; sleep 0.3; exit 6", flags=OPEN_STDIN)
        c.conn.start()
        self.assertEqual(c.conn.wait().code, 6)

    def test_background_writer_does_not_hold_the_exit(self):
        c = self.sh("(sleep 4; echo too late) & echo now")
        s = c.attach()
        c.conn.start()
        t = time.monotonic()
        self.assertEqual(c.conn.wait().code, 0)
        self.assertLess(time.monotonic() - t, 3.5)
        self.assertEqual(frames(read_all(s))[1], b"now\n")
        s.close()

    def test_too_many_attach(self):
        c = self.container(["sleep", "60"], flags=0)
        c.conn.start()
        clients = [c.attach() for _ in range(32)]
        with self.assertRaises(Refused) as r:
            c.attach()
        self.assertEqual(r.exception.kind, ERR_QUOTA)
        clients.pop().close()
        self.wait_for(lambda: self.attaches(c, clients))
        c.conn.kill()
        c.conn.wait()
        for k in clients:
            k.close()

    def attaches(self, c, clients):
        try:
            clients.append(c.attach())
            return True
        except Refused:
            return False


class Slow(Case):
    def test_slow_reader_gets_everything(self):
        c = self.sh("head -c 4000000 /dev/zero | tr '\\0' y", flags=0)
        s = c.attach(STDOUT, raw=1)
        c.conn.start()
        n = 0
        s.settimeout(10)
        for i in range(40):
            time.sleep(0.02)
            n += len(s.recv(20000))
        n += len(read_all(s))
        self.assertEqual(n, 4000000)
        self.assertEqual(c.conn.wait().code, 0)
        s.close()

    def test_reader_that_never_reads(self):
        c = self.sh("head -c 6000000 /dev/zero | tr '\\0' z; echo END", flags=LOG)
        stuck = c.attach(STDOUT)
        fine = c.attach(STDOUT)
        c.conn.start()
        got = []
        t = threading.Thread(target=lambda: got.append(read_all(fine, 60)))
        t.start()
        began = time.monotonic()
        c.conn.sock.settimeout(60)
        e = c.conn.wait()
        took = time.monotonic() - began
        t.join()
        self.assertEqual(e.code, 0)
        self.assertTrue(8 < took < 25, took)
        self.assertEqual(len(frames(got[0])[1]), 6000004)
        self.assertEqual(len(c.log_text()), 6000004)
        data = frames(read_all(stuck))
        self.assertGreater(len(data[1]), 1 << 20, "what it was owed is still delivered")
        self.assertLess(len(data[1]), 3000000)
        self.assertIn(b"output skipped", data[3])
        stuck.close()
        fine.close()
        self.assertEqual(c.end(), 0)

    def test_reaper_does_not_wait_for_a_reader_that_never_reads(self):
        d = tempfile.mkdtemp(prefix="coffer-reaper-")
        self.addCleanup(shutil.rmtree, d)
        script = os.path.join(d, "reaper")
        with open(script, "w") as f:
            f.write('#!/bin/sh\necho "$2" > "$COFFER_REAPED"\n')
        os.chmod(script, 0o700)
        c = self.sh("head -c 1000000 /dev/zero", flags=0, reaper=script, env={"COFFER_REAPED": os.path.join(d, "id")})
        stuck = c.attach(STDOUT, raw=1)
        c.conn.start()
        c.conn.close()
        self.wait_for(lambda: os.path.exists(os.path.join(d, "id")) and os.stat(os.path.join(d, "id")).st_size == 65, 20)
        self.assertIsNone(c.proc.poll(), "the client is still served")
        self.assertEqual(Exit(c.file("exit")).code, 0)
        self.assertEqual(len(read_all(stuck)), 1000000)
        stuck.close()
        self.assertEqual(c.end(), 0)

    def test_vanished_reader_is_forgotten(self):
        c = self.sh("read x; head -c 4000000 /dev/zero; echo END", flags=OPEN_STDIN)
        s = c.attach(STDIN | STDOUT)
        c.conn.start()
        s.send(b"\n")
        time.sleep(0.1)
        s.close()
        t = time.monotonic()
        self.assertEqual(c.conn.wait().code, 0)
        self.assertLess(time.monotonic() - t, 3)


class Terminal(Case):
    def test_resize_before_the_console_is_there(self):
        # the size is set when the terminal arrives, which the program on it may see a moment later
        c = self.sh('for i in $(seq 50); do [ "$(stty size)" = "33 101" ] && break; sleep 0.1; done; stty size', word="tty", flags=TTY)
        s = c.attach(STDOUT, raw=1)
        c.conn.resize(33, 101)
        c.conn.start()
        self.assertEqual(read_all(s), b"33 101\r\n")
        s.close()

    def test_resize_detach_reattach(self):
        c = self.container(["sh", "-c", "stty -echo; echo ready; while read l; do case $l in size) stty size;; bye) exit 9;; *) echo got $l;; esac; done"],
                           word="tty", flags=TTY | OPEN_STDIN | LOG)
        s = c.attach(STDIN | STDOUT, raw=1, keys=b"\x10\x11")
        other = c.attach(STDOUT, raw=1)
        c.conn.start()
        read_until(s, b"ready")
        c.conn.resize(40, 120)
        s.send(b"size\n")
        read_until(s, b"40 120")
        s.send(b"a\x10b\n")
        read_until(s, b"got a\x10b")
        s.send(b"\x10")
        time.sleep(0.05)
        s.send(b"\x11")
        self.assertEqual(read_all(s)[-20:].strip(b"\r\n"), b"")
        s.close()
        s = c.attach(STDIN | STDOUT, raw=1, keys=b"\x10\x11")
        s.send(b"back\nbye\n")
        self.assertIn(b"got back\r\n", read_all(s))
        self.assertEqual(c.conn.wait().code, 9)
        self.assertIn(b"got back\r\n", read_all(other))
        self.assertIn("40 120\r\n", c.log_text())
        s.close()
        other.close()

    def test_output_of_the_last_moment(self):
        for _ in range(30):
            c = self.sh("seq 1 500", word="tty", flags=TTY | LOG)
            s = c.attach(STDOUT, raw=1)
            c.conn.start()
            e = c.conn.wait()
            self.assertEqual(e.code, 0)
            self.assertEqual(read_all(s), b"".join(b"%d\r\n" % i for i in range(1, 501)))
            s.close()
            c.end()

    def test_terminal_survives_a_moment_without_slave(self):
        c = self.sh("exec 3</dev/tty; exec 0<&- 1>&- 2>&- 3<&-; sleep 0.3; exec >/dev/tty; echo again", word="tty", flags=TTY)
        s = c.attach(STDOUT, raw=1)
        c.conn.start()
        self.assertEqual(read_all(s), b"again\r\n")
        s.close()


class Exec(Case):
    def test_exec(self):
        c = self.container(["sleep", "60"])
        with self.assertRaises(Refused) as r:
            c.exec(["true"])
        self.assertEqual(r.exception.kind, ERR_CONFLICT)
        c.conn.start()
        eid, s = c.exec(["sh", "-c", "echo out; echo err >&2; exit 12"])
        data = frames(read_all(s))
        self.assertEqual((data[1], data[2]), (b"out\n", b"err\n"))
        self.assertEqual(c.exec_wait(eid).code, 12)
        self.assertEqual(Exit(c.file(f"exec-{eid}.exit")).code, 12)
        s.close()
        eid, s = c.exec(["sort"], flags=OPEN_STDIN, streams=7)
        s.send(b"2\n1\n")
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(frames(read_all(s))[1], b"1\n2\n")
        s.close()
        eid, _ = c.exec(["sh", "-c", "echo nobody reads this; exit 3"], stream=False)
        self.assertEqual(c.exec_wait(eid).code, 3)
        self.assertEqual(c.exec_wait(eid, c.connect()).code, 3, "from the record")
        self.assertEqual(c.log(), [], "an exec is not logged")
        c.conn.kill()
        self.assertEqual(c.conn.wait().code, 137)

    def test_exec_with_terminal(self):
        c = self.container(["sleep", "60"])
        c.conn.start()
        eid, s = c.exec(["sh", "-c", "stty -echo; echo ready; read x; stty size"], word="tty", flags=TTY | OPEN_STDIN, streams=7, raw=1)
        read_until(s, b"ready")
        c.conn.resize(7, 8, eid)
        s.send(b"\n")
        self.assertIn(b"7 8\r\n", read_all(s))
        self.assertEqual(c.exec_wait(eid).code, 0)
        with self.assertRaises(Refused) as r:
            c.conn.resize(7, 8, "f" * 64)
        self.assertEqual(r.exception.kind, ERR_NOT_FOUND)
        s.close()

    def test_a_process_that_ends_before_it_is_reported_is_no_stray(self):
        """The monitor's tick reaped a process that had ended before its creator could report it: the exec failed with "no such process"."""
        c = self.container(["sleep", "60"])
        c.conn.start()
        eid, s = c.exec(["sh", "-c", "echo out; exit 5"], word="slow")
        self.assertEqual(frames(read_all(s))[1], b"out\n")
        self.assertEqual(c.exec_wait(eid).code, 5)
        s.close()
        c = self.container(["sh", "-c", "exit 6"], word="slow")
        c.conn.start()
        self.assertEqual(c.conn.wait().code, 6)

    def test_exec_fails(self):
        c = self.container(["sleep", "60"])
        c.conn.start()
        with self.assertRaises(Refused) as r:
            c.exec(["/no/such"])
        self.assertEqual(r.exception.kind, ERR_CMD_NOT_FOUND)
        self.assertEqual(frames(read_all(r.exception.stream))[1], b"/no/such\r\n")
        r.exception.stream.close()
        self.assertEqual(c.exec_wait(r.exception.id).code, 127)
        with self.assertRaises(Refused) as r:
            c.exec(["true"], word="die-late")
        r.exception.stream.close()
        self.wait_for(lambda: len(children_of(c.proc.pid)) == 1)
        self.assertEqual(threads_of(c.proc.pid), 1)

    def test_sixty_four_at_once(self):
        c = self.container(["sleep", "60"], flags=0)
        c.conn.start()
        fds = len(os.listdir(f"/proc/{c.proc.pid}/fd"))
        runs = [c.exec(["sh", "-c", "read x; echo $x"], flags=OPEN_STDIN, streams=7) for _ in range(64)]
        with self.assertRaises(Refused) as r:
            c.exec(["true"])
        self.assertEqual(r.exception.kind, ERR_QUOTA)
        r.exception.stream.close()
        for i, (_, s) in enumerate(runs):
            s.send(b"%d\n" % i)
        for i, (eid, s) in enumerate(runs):
            self.assertEqual(frames(read_all(s))[1], b"%d\n" % i)
            s.close()
            self.assertEqual(c.exec_wait(eid).code, 0)
        for _ in range(50 if not SANITIZED else 10):
            eid, s = c.exec(["true"])
            self.assertEqual(c.exec_wait(eid).code, 0)
            read_all(s)
            s.close()
        self.wait_for(lambda: len(os.listdir(f"/proc/{c.proc.pid}/fd")) == fds)
        self.assertEqual([state for _, state in children_of(c.proc.pid)], ["S"])

    def test_container_exit_ends_execs(self):
        c = self.sh("read x", flags=OPEN_STDIN)
        stdin = c.attach(STDIN)
        c.conn.start()
        eid, s = c.exec(["sleep", "60"])
        k = c.connect()
        waiting = k.send(EXEC_WAIT, eid.encode() + b"\0")
        time.sleep(0.1)
        stdin.send(b"\n")
        self.assertEqual(c.conn.wait().code, 0)
        self.assertEqual(Exit(k.reply(waiting)).code, 137)
        s.close()
        stdin.close()
        self.assertEqual(c.end(), 0)

    def test_descriptors_inside(self):
        c = self.sh("ls /proc/self/fd", flags=OPEN_STDIN | LOG)
        stdin = c.attach(STDIN)
        s = c.attach()
        c.conn.start()
        self.assertEqual(frames(read_all(s))[1], b"0\n1\n2\n3\n", "3 is the directory that ls reads")
        s.close()
        stdin.close()


class Logs(Case):
    def test_rotation_loses_nothing(self):
        c = self.sh("seq 1 20000", flags=LOG, log_max=200_000, log_files=20)
        c.conn.start()
        self.assertEqual(c.conn.wait().code, 0)
        self.assertEqual(c.log_text(), "".join(f"{i}\n" for i in range(1, 20001)))
        names = os.listdir(c.logdir)
        self.assertGreater(len(names), 5)
        for n in names:
            self.assertLessEqual(os.stat(os.path.join(c.logdir, n)).st_size, 200_000)

    def test_rotation_keeps_max_files(self):
        c = self.sh("seq 1 20000", flags=LOG, log_max=100_000, log_files=3)
        c.conn.start()
        self.assertEqual(c.conn.wait().code, 0)
        self.assertEqual(sorted(os.listdir(c.logdir)), ["json.log", "json.log.1", "json.log.2"])
        self.assertTrue(c.log_text().endswith("19999\n20000\n"))

    def test_long_line_and_end_without_newline(self):
        c = self.container(["sh", "-c", "head -c 40000 /dev/zero | tr '\\0' x; printf '\\ntail'"], flags=LOG)
        c.conn.start()
        self.assertEqual(c.conn.wait().code, 0)
        self.assertEqual([len(r["log"]) for r in c.log()], [16384, 16384, 7233, 4])
        self.assertEqual(c.log_text(), "x" * 40000 + "\ntail")

    def test_full_disk(self):
        """A tmpfs of 64 KiB; the private mount namespace is the test's child's."""
        inner = """
import sys
sys.path.insert(0, %r)
import test_monitor as t
c = t.Container(["sh", "-c", "seq 1 20000; read x; echo after"], flags=t.OPEN_STDIN | t.LOG, logdir=%r)
s = c.attach(t.STDIN | t.STDOUT)
c.conn.start()
data = t.read_until(s, b"20000\\n")
t.os.unlink(%r + "/ballast")
s.send(b"\\n")
data += t.read_all(s)
assert t.frames(data)[1].endswith(b"20000\\nafter\\n")
assert c.conn.wait().code == 0
records = c.log()
lost = [r for r in records if r["stream"] == "stderr"]
assert len(lost) == 1 and "records lost" in lost[0]["log"], lost
n = int(lost[0]["log"].rpartition(" ")[2])
assert n + len(records) - 1 == 20001, (n, len(records))
assert records[-1]["log"] == "after\\n"
c.done()
print("fine")
"""
        d = tempfile.mkdtemp(prefix="coffer-full-")
        self.addCleanup(os.rmdir, d)
        here = os.path.dirname(os.path.abspath(__file__))
        script = f'mount -t tmpfs -o size=64k none {d} && head -c 16k /dev/zero > {d}/ballast && exec python3 -c "$1"'
        p = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", inner % (here, d, d)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(p.stdout.decode().splitlines()[-1:], ["fine"], p.stdout.decode())


INIT = os.path.join(BUILD, "src/cmd/coffer-init/coffer-init")


class Init(Case):
    """coffer-init, as pid 1 of a pid namespace."""

    def run_init(self, *argv, **kw):
        return subprocess.run(["unshare", "--pid", "--fork", "--kill-child", INIT, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, **kw)

    def test_codes(self):
        for argv, code, err in ((["true"], 0, b""), (["sh", "-c", "exit 42"], 42, b""), (["sh", "-c", "kill -9 $$"], 137, b""), (["--", "false"], 1, b""),
                                (["/no/such"], 127, b"coffer-init: '/no/such': no such file or directory\n"),
                                (["no-such-command"], 127, b"coffer-init: 'no-such-command': no such file or directory\n"),
                                (["/etc/passwd"], 126, b"coffer-init: '/etc/passwd': permission denied\n"),
                                (["/etc"], 126, b"coffer-init: '/etc': permission denied\n"), ([""], 127, b"coffer-init: '': no such file or directory\n"),
                                ([], 125, b"coffer-init: usage: coffer-init COMMAND [ARG...]\n")):
            with self.subTest(argv=argv):
                p = self.run_init(*argv)
                self.assertEqual((p.returncode, p.stderr), (code, err))

    def test_path(self):
        d = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, d)
        for name, mode in (("a/tool", 0o600), ("b/tool", 0o700), ("c/tool", 0o700)):
            os.mkdir(os.path.join(d, name[0]))
            with open(os.path.join(d, name), "w") as f:
                f.write(f"#!/bin/sh\necho {name}\n")
            os.chmod(os.path.join(d, name), mode)
        unshare = dict(os.environ, PATH=f"{d}/none:{d}/a:{d}/b:{d}/c")
        p = subprocess.run([shutil.which("unshare"), "--pid", "--fork", INIT, "tool"], env=unshare, stdout=subprocess.PIPE)
        self.assertEqual(p.stdout, b"b/tool\n")
        p = subprocess.run([shutil.which("unshare"), "--pid", "--fork", INIT, "tool"], env=dict(os.environ, PATH=f"{d}/a"), stderr=subprocess.PIPE)
        self.assertEqual((p.returncode, p.stderr), (126, b"coffer-init: 'tool': permission denied\n"))
        p = subprocess.run([shutil.which("unshare"), "--pid", "--fork", INIT, "sh", "-c", "echo default"], env={}, stdout=subprocess.PIPE)
        self.assertEqual(p.stdout, b"default\n")

    def test_is_pid_1_and_reaps(self):
        script = "test $PPID = 1 || exit 9; (sleep 0.1 & sleep 0.1 &); sleep 0.5; mount -t proc none /proc; grep -c '^State:.Z' /proc/[0-9]*/status | grep -v ':0' ; exit 5"
        p = self.run_init("unshare", "-m", "sh", "-c", script)
        self.assertEqual((p.returncode, p.stdout), (5, b""))

    def test_forwards_signals(self):
        p = subprocess.Popen(["unshare", "--pid", "--fork", INIT, "sh", "-c", "trap 'echo usr1' USR1; trap 'echo term; exit 3' TERM; echo ready; while :; do sleep 0.05; done"],
                             stdout=subprocess.PIPE)
        self.addCleanup(p.stdout.close)
        self.assertEqual(p.stdout.readline(), b"ready\n")
        init = children_of(p.pid)[0][0]
        os.kill(init, signal.SIGUSR1)
        self.assertEqual(p.stdout.readline(), b"usr1\n")
        os.kill(init, signal.SIGTERM)
        self.assertEqual(p.stdout.readline(), b"term\n")
        self.assertEqual(p.wait(), 3)

    def test_terminal_foreground(self):
        master, slave = os.openpty()
        p = subprocess.Popen(["unshare", "--pid", "--fork", "setsid", "-c", "-w", INIT, "sh", "-c", "stty size >/dev/null; ps -o tpgid=,pgid= -p $$ | xargs; read x; echo got $x"],
                             stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.addCleanup(os.close, master)
        os.write(master, b"hello\n")
        data = b""
        while b"got hello" not in data:
            self.assertTrue(select.select([master], [], [], 10)[0], data)
            data += os.read(master, 4096)
        self.assertEqual(p.wait(), 0)

    def test_is_small_and_static(self):
        with open(INIT, "rb") as f:
            data = f.read()
        self.assertNotIn(b"ld-linux", data)
        p = subprocess.run([INIT, "sh", "-c", "cat /proc/$PPID/smaps_rollup"], stdout=subprocess.PIPE, check=True)
        pss = int([line for line in p.stdout.decode().splitlines() if line.startswith("Pss:")][0].split()[1])
        self.assertLess(pss, 40)


if not SANITIZED:  # sanitizers have a memory of their own

    class Cost(Case):
        def test_idle_pss(self):
            """A monitor under 150 kB PSS while its container idles, whatever it did before."""
            c = self.sh("seq 1 50000; echo hello; exec sleep 60", flags=LOG)
            s = c.attach()
            c.conn.start()
            read_until(s, b"hello")
            s.close()
            eid, s = c.exec(["true"])
            self.assertEqual(c.exec_wait(eid).code, 0)
            s.close()
            time.sleep(1.2)
            m = smaps(c.proc.pid)
            self.assertLess(m["Pss"], 150, m)


if __name__ == "__main__":
    unittest.main()
