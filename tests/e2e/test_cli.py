#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line against a scripted engine: a unix socket that speaks the Engine API's real sequences, so that what goes
over the wire, and every way that an engine can fail, is seen without containers."""

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

import coffer

CID = "c0ffee" + "0" * 58
MUX, RAW = "application/vnd.docker.multiplexed-stream", "application/vnd.docker.raw-stream"


def frame(stream, data):
    return struct.pack(">BxxxL", stream, len(data)) + data


class Call:
    """One request as it came, and the connection to answer on."""

    def __init__(self, conn, method, target, headers, body):
        self.conn, self.method, self.headers, self.body = conn, method, headers, body
        self.path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))

    @property
    def json(self):
        return json.loads(self.body)

    def answer(self, status, body=b"", kind="application/json"):
        if not isinstance(body, bytes):
            body = (json.dumps(body) + "\n").encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.conn.sendall((head.encode() if status not in (204, 304) else f"HTTP/1.1 {status} X\r\n\r\n".encode()) + (body if status not in (204, 304) else b""))

    def fail(self, status, message):
        self.answer(status, {"message": message})

    def head(self, kind="application/json"):
        """Head now, body in chunks later: wait and logs."""
        self.conn.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    def chunk(self, data):
        self.conn.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self.conn.sendall(b"0\r\n\r\n")

    def upgrade(self, kind=MUX):
        self.conn.sendall(f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode())

    def hang_up(self):
        """As an engine does: what was sent is delivered, then the end."""
        self.conn.shutdown(socket.SHUT_WR)

    def read_all(self):
        data = b""
        while True:
            part = self.conn.recv(65536)
            if not part:
                return data
            data += part


class FakeEngine:
    """Routes: {(method, regex of the path behind /v1.50): function(call)}; every call is kept in order."""

    def __init__(self, routes):
        self.routes = [(m, re.compile(p + r"\Z"), f) for (m, p), f in routes.items()]
        self.calls, self.errors, self.lock = [], [], threading.Lock()
        self.dir = tempfile.mkdtemp(prefix="coffer-fake.")
        self.path = os.path.join(self.dir, "s")
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(self.path)
        self.sock.listen(64)
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)  # wakes accept(); the number is free for another only when its thread has left
        self.acceptor.join()
        self.sock.close()
        shutil.rmtree(self.dir)

    def _accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            with conn, conn.makefile("rb") as f:
                while self._one(conn, f):
                    pass
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client left, as it may
        except Exception as e:  # noqa: BLE001 (told to the test)
            self.errors.append(repr(e))

    def _one(self, conn, f):
        line = f.readline()
        if not line:
            return False
        method, target, _ = line.decode().split()
        headers = {}
        while (h := f.readline().decode().strip()):
            k, v = h.split(":", 1)
            headers[k.lower()] = v.strip()
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while (n := int(f.readline(), 16)):
                body += f.read(n)
                f.readline()
            f.readline()
        elif "content-length" in headers:
            body = f.read(int(headers["content-length"]))
        call = Call(conn, method, target, headers, body)
        with self.lock:
            self.calls.append(call)
        if not call.path.startswith("/v1.50/"):
            raise ValueError(f"unversioned {call.path}")
        for m, p, fn in self.routes:
            if m == method and p.match(call.path[6:]):
                return fn(call) is not False
        call.fail(404, "page not found")
        return True

    def seen(self):
        """["POST /containers/create", ...] in the order of arrival, queries left out."""
        with self.lock:
            return [f"{c.method} {c.path[6:]}" for c in self.calls]

    def find(self, method, path):
        with self.lock:
            return [c for c in self.calls if c.method == method and re.fullmatch(path, c.path[6:])]


class Process:
    """The engine's side of one container: create, attach, wait, start."""

    def __init__(self, body=lambda stream: None, code=0, tty=False, start=None):
        self.body, self.code, self.tty, self.start_answer = body, code, tty, start
        self.attached, self.started, self.over = threading.Event(), threading.Event(), threading.Event()

    def routes(self):
        return {
            ("POST", "/containers/create"): lambda c: c.answer(201, {"Id": CID, "Warnings": []}),
            ("POST", f"/containers/{CID}/attach"): self.attach,
            ("POST", f"/containers/{CID}/wait"): self.wait,
            ("POST", f"/containers/{CID}/start"): self.start,
            ("POST", f"/containers/{CID}/resize"): lambda c: c.answer(200),
            ("POST", f"/containers/{CID}/kill"): lambda c: c.answer(204),
        }

    def attach(self, call):
        call.upgrade(RAW if self.tty else MUX)
        self.attached.set()
        self.started.wait(20)
        self.body(call)
        call.hang_up()
        self.over.set()
        call.read_all()
        return False

    def wait(self, call):
        call.head()
        self.over.wait(20)
        call.chunk(json.dumps({"StatusCode": self.code}).encode() + b"\n")
        call.end()

    def start(self, call):
        if self.start_answer:
            self.over.set()
            return self.start_answer(call)
        call.answer(204)
        self.started.set()


class CliTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = coffer.Stage.get().coffer

    def engine(self, routes):
        e = FakeEngine(routes)
        self.addCleanup(e.close)
        self.addCleanup(lambda: self.assertEqual(e.errors, []))
        return e

    def env(self, **more):
        return dict({"PATH": os.environ["PATH"], "LANG": "C", "TERM": "xterm", "COFFER_RUN": "/nonexistent"}, **more)

    def argv(self, engine, *args):
        return [self.program, "-H", f"unix://{engine.path}", *args]

    def run_(self, engine, *args, input=b"", **env):
        p = subprocess.run(self.argv(engine, *args), input=input, capture_output=True, env=self.env(**env), timeout=30)
        return coffer.Result(list(args), p.returncode, p.stdout.decode(), p.stderr.decode(), 0)

    def tty(self, engine, *args, rows=24, cols=80):
        t = coffer.Tty(self.argv(engine, *args), self.env(), rows, cols)
        self.addCleanup(t.close)
        return t


class RunTest(CliTest):
    def test_sequence_streams_and_code(self):
        def body(call):
            call.conn.sendall(frame(1, b"out\n") + frame(2, b"err\n") + frame(1, b"more"))

        e = self.engine(Process(body, code=7).routes())
        r = self.run_(e, "run", "--rm", "--name", "web", "img", "sh")
        self.assertEqual((r.code, r.out, r.err), (7, "out\nmore", "err\n"))
        seen = e.seen()
        self.assertEqual(seen[0], "POST /containers/create")
        self.assertEqual(sorted(seen[1:3]), [f"POST /containers/{CID}/attach", f"POST /containers/{CID}/wait"])
        self.assertEqual(seen[3:], [f"POST /containers/{CID}/start"])  # no ping, no version, nothing else
        self.assertEqual(e.calls[0].query, {"name": "web"})
        self.assertEqual(e.find("POST", ".*/wait")[0].query, {"condition": "removed"})
        attach = e.find("POST", ".*/attach")[0]
        self.assertEqual(attach.query, {"stream": "1", "stdout": "1", "stderr": "1"})
        self.assertEqual(attach.headers["upgrade"], "tcp")

    def test_stdin_half_close_and_output_after_it(self):
        got = []

        def body(call):
            got.append(call.read_all())
            call.conn.sendall(frame(1, b"%d bytes" % len(got[0])))

        e = self.engine(Process(body).routes())
        r = self.run_(e, "run", "-i", "img", "wc", input=b"x" * 300000)
        self.assertEqual((r.code, r.out), (0, "300000 bytes"))
        self.assertEqual(got[0], b"x" * 300000)
        self.assertTrue(e.calls[0].json["OpenStdin"] and e.calls[0].json["StdinOnce"])
        self.assertEqual(e.find("POST", ".*/wait")[0].query, {"condition": "next-exit"})

    def test_both_ways_at_once_do_not_block(self):
        """A cat(1) of 8 MB: the engine reads only as fast as its own output is taken."""

        def body(call):
            while data := call.conn.recv(65536):
                call.conn.sendall(frame(1, data))

        e = self.engine(Process(body).routes())
        data = os.urandom(8 << 20)
        p = subprocess.run(self.argv(e, "run", "-i", "img", "cat"), input=data, capture_output=True, env=self.env(), timeout=60)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(p.stdout, data)

    def test_frames_cut_anywhere(self):
        def body(call):
            for b in frame(1, b"hello ") + frame(2, b"e") + frame(1, b"world"):
                call.conn.sendall(bytes([b]))

        r = self.run_(self.engine(Process(body).routes()), "run", "img")
        self.assertEqual((r.out, r.err), ("hello world", "e"))

    def test_missing_image(self):
        e = self.engine({("POST", "/containers/create"): lambda c: c.fail(404, "No such image: nope:latest"),
                         ("POST", "/images/create"): lambda c: c.fail(404, "pull access denied for nope")})
        r = self.run_(e, "run", "nope")
        self.assertEqual(r.code, 125)
        self.assertEqual(r.err, "Unable to find image 'nope:latest' locally\ncoffer: Error response from engine: pull access denied for nope\n")

    def test_exit_codes_of_failed_starts(self):
        for status, message, code in (
            (400, 'exec: "foo": executable file not found in $PATH: unknown', 127),
            (400, "exec /x: no such file or directory", 127),
            (400, 'exec: "/etc": is a directory', 126),
            (400, "exec /etc/passwd: permission denied", 126),
            (500, "mounting '/x': permission denied", 125),
            (409, "busy", 125),
        ):
            with self.subTest(message=message):
                e = self.engine(Process(start=lambda c: c.fail(status, message)).routes())
                r = self.run_(e, "run", "--rm", "img", "foo")
                self.assertEqual((r.code, r.out), (code, ""), r)
                self.assertEqual(r.err, f"coffer: Error response from engine: {message}\n")

    def test_detached_and_cidfile(self):
        e = self.engine(Process().routes())
        with tempfile.TemporaryDirectory() as d:
            r = self.run_(e, "run", "-d", "--cidfile", d + "/cid", "img")
            self.assertEqual((r.code, r.out), (0, CID + "\n"))
            with open(d + "/cid") as f:
                self.assertEqual(f.read(), CID)
            r = self.run_(e, "run", "-d", "--cidfile", d + "/cid", "img")
            self.assertEqual(r.code, 125)
            self.assertIn("container ID file found", r.err)
        self.assertEqual(e.seen(), ["POST /containers/create", f"POST /containers/{CID}/start"])

    def test_engine_dies(self):
        def body(call):
            call.conn.sendall(frame(1, b"partial"))

        process = Process(body)

        def dying_wait(call):
            call.head()
            process.over.wait(20)
            call.conn.close()
            return False

        e = self.engine({**process.routes(), ("POST", f"/containers/{CID}/wait"): dying_wait})
        r = self.run_(e, "run", "img")
        self.assertEqual((r.code, r.out), (125, "partial"))
        self.assertIn("lost the connection to the engine", r.err)

    def test_engine_dies_but_the_container_goes_on(self):
        """The monitor holds the stream: its output is shown to the end, and then what is missing is told."""
        process = Process()

        def dying_wait(call):
            call.head()
            process.started.wait(20)
            call.hang_up()
            return False

        def body(call):
            time.sleep(0.3)
            call.conn.sendall(frame(1, b"still here"))

        process.body = body
        e = self.engine({**process.routes(), ("POST", f"/containers/{CID}/wait"): dying_wait})
        r = self.run_(e, "run", "img")
        self.assertEqual((r.code, r.out), (125, "still here"))
        self.assertIn("lost the connection to the engine", r.err)

    def test_closed_stdout(self):
        def body(call):
            try:
                while True:
                    call.conn.sendall(frame(1, b"y\n" * 1000))
            except OSError:
                pass

        e = self.engine(Process(body).routes())
        p = subprocess.Popen(self.argv(e, "run", "img", "yes"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env())
        self.assertEqual(p.stdout.read(2), b"y\n")
        p.stdout.close()
        self.assertEqual(p.wait(20), 128 + signal.SIGPIPE)
        p.stderr.close()

    def test_signals_are_passed_on(self):
        process = Process()
        kills = threading.Event()

        def body(call):
            call.conn.sendall(frame(1, b"ready\n"))
            kills.wait(20)

        def kill(call):
            call.answer(204)
            if len(e.find("POST", ".*/kill")) == 4:
                kills.set()

        process.body, process.code = body, 130
        e = self.engine({**process.routes(), ("POST", f"/containers/{CID}/kill"): kill})
        p = subprocess.Popen(self.argv(e, "run", "img"), stdout=subprocess.PIPE, env=self.env())
        p.stdout.readline()
        for sig in (signal.SIGUSR1, signal.SIGWINCH, signal.SIGINT, signal.SIGRTMIN + 3):
            p.send_signal(sig)
            coffer.wait_until(lambda: any(c.query["signal"] in (sig.name[3:] if isinstance(sig, signal.Signals) else "", str(int(sig))) for c in e.find("POST", ".*/kill")), 5)
        self.assertEqual(p.wait(20), 130)
        p.stdout.close()
        self.assertEqual([c.query["signal"] for c in e.find("POST", ".*/kill")], ["USR1", "WINCH", "INT", str(signal.SIGRTMIN + 3)])

    def test_no_proxy_means_the_signal_is_ours(self):
        over = threading.Event()

        def body(call):
            call.conn.sendall(frame(1, b"ready\n"))
            over.wait(20)

        e = self.engine(Process(body).routes())
        p = subprocess.Popen(self.argv(e, "run", "--sig-proxy=false", "img"), stdout=subprocess.PIPE, env=self.env())
        p.stdout.readline()
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 128 + signal.SIGTERM)
        p.stdout.close()
        over.set()
        self.assertEqual(e.find("POST", ".*/kill"), [])

    def test_input_device_is_not_a_tty(self):
        r = self.run_(self.engine({}), "run", "-it", "img")
        self.assertEqual((r.code, r.err), (1, "coffer: the input device is not a TTY\n"))


class TerminalTest(CliTest):
    def shell(self, call):
        """Echoes in upper case until it reads Q; says what it got."""
        call.conn.sendall(b"ready\r\n")
        while (data := call.conn.recv(1000)) and b"q" not in data:
            call.conn.sendall(data.upper() + b"|")

    def test_raw_mode_resize_and_restore(self):
        e = self.engine(Process(self.shell, code=3, tty=True).routes())
        t = self.tty(e, "run", "-it", "img", "sh", rows=30, cols=90)
        t.expect("ready")
        self.assertNotEqual(t.attrs(), t.before_attrs)
        self.assertEqual(e.calls[0].json["HostConfig"]["ConsoleSize"], [30, 90])
        t.send("\x03\x1a")  # ctrl-c and ctrl-z are bytes
        t.expect("\x03\x1a\\|")
        t.resize_live(40, 100)
        self.assertTrue(coffer.wait_until(lambda: len(e.find("POST", ".*/resize")) >= 2))
        sizes = [(int(c.query["h"]), int(c.query["w"])) for c in e.find("POST", ".*/resize")]
        self.assertEqual((sizes[0], sizes[-1]), ((30, 90), (40, 100)))
        t.send("q")
        self.assertEqual(t.wait(), 3)
        self.assertEqual(t.attrs(), t.before_attrs)
        self.assertEqual(e.find("POST", ".*/kill"), [])

    def test_detach_keys(self):
        for keys, flags in (("\x10\x11", []), ("\x01x", ["--detach-keys", "ctrl-a,x"])):
            with self.subTest(flags=flags):
                e = self.engine(Process(self.shell, tty=True).routes())
                t = self.tty(e, "run", "-it", *flags, "img", "sh")
                t.expect("ready")
                t.send("a" + keys[0] + "b")
                t.expect("A" + keys[0] + "B")
                for k in keys:  # one key at a time
                    t.send(k)
                    time.sleep(0.05)
                self.assertEqual(t.wait(), 0)
                self.assertEqual(t.attrs(), t.before_attrs)
                if flags:
                    self.assertEqual(e.find("POST", ".*/attach")[0].query["detachKeys"], "ctrl-a,x")

    def test_attach_redraws(self):
        process = Process(self.shell, code=2, tty=True)
        process.started.set()
        e = self.engine({**process.routes(), ("GET", "/containers/web/json"): lambda c: c.answer(
            200, {"Id": CID, "State": {"Running": True}, "Config": {"Tty": True, "OpenStdin": True}})})
        t = self.tty(e, "attach", "web")
        t.expect("ready")
        self.assertTrue(coffer.wait_until(lambda: len(e.find("POST", ".*/resize")) >= 2))
        self.assertEqual([c.query for c in e.find("POST", ".*/resize")], [{"h": "25", "w": "81"}, {"h": "24", "w": "80"}])
        t.send("q")
        self.assertEqual(t.wait(), 2)

    def test_terminal_restored_on_every_way_out(self):
        def die(call):
            call.conn.sendall(b"ready\r\n")
            call.conn.recv(10)

        for name, args, act, code in (
            ("SIGTERM", ["run", "--sig-proxy=false", "-it", "img"], lambda t: t.proc.send_signal(signal.SIGTERM), 143),
            ("SIGHUP", ["run", "--sig-proxy=false", "-it", "img"], lambda t: t.proc.send_signal(signal.SIGHUP), 129),
            ("engine gone", ["run", "-it", "img"], lambda t: t.send("x"), 125),
        ):
            with self.subTest(name):
                process = Process(die, tty=True)

                def dying_wait(call):
                    call.head()
                    process.over.wait(20)
                    call.conn.close()
                    return False

                e = self.engine({**process.routes(), ("POST", f"/containers/{CID}/wait"): dying_wait})
                t = self.tty(e, *args)
                t.expect("ready")
                self.assertNotEqual(t.attrs(), t.before_attrs)
                act(t)
                self.assertEqual(t.wait(), code)
                self.assertEqual(t.attrs(), t.before_attrs)


class ExecTest(CliTest):
    def routes(self, code=4, start=None):
        def default_start(call):
            call.upgrade()
            data = call.read_all() if call.query.get("x") else b""
            call.conn.sendall(frame(1, b"exec out" + data))
            call.hang_up()
            return False

        return {
            ("POST", "/containers/web/exec"): lambda c: c.answer(201, {"Id": "e1"}),
            ("POST", "/exec/e1/start"): start or default_start,
            ("GET", "/exec/e1/json"): lambda c: c.answer(200, {"ExitCode": code, "Running": False}),
        }

    def test_exec(self):
        e = self.engine(self.routes())
        r = self.run_(e, "exec", "-e", "A=1", "-u", "nobody", "-w", "/w", "web", "ls", "-l")
        self.assertEqual((r.code, r.out), (4, "exec out"))
        self.assertEqual(e.seen(), ["POST /containers/web/exec", "POST /exec/e1/start", "GET /exec/e1/json"])
        body = e.calls[0].json
        self.assertEqual((body["Cmd"], body["Env"], body["User"], body["WorkingDir"]), (["ls", "-l"], ["A=1"], "nobody", "/w"))
        self.assertEqual((body["AttachStdin"], body["AttachStdout"], body["Tty"]), (False, True, False))

    def test_exit_code_that_is_recorded_late(self):
        answers = [{"ExitCode": None, "Running": True}, {"ExitCode": 0, "Running": True}, {"ExitCode": 6, "Running": False}]
        e = self.engine({**self.routes(), ("GET", "/exec/e1/json"): lambda c: c.answer(200, answers.pop(0))})
        self.assertEqual(self.run_(e, "exec", "web", "true").code, 6)

    def test_exec_detached(self):
        e = self.engine(self.routes(start=lambda c: c.answer(200)))
        r = self.run_(e, "exec", "-d", "web", "true")
        self.assertEqual((r.code, r.out), (0, ""))
        self.assertTrue(e.calls[1].json["Detach"])

    def test_exec_of_what_is_not_there(self):
        e = self.engine({("POST", "/containers/nope/exec"): lambda c: c.fail(404, "No such container: nope")})
        r = self.run_(e, "exec", "nope", "true")
        self.assertEqual((r.code, r.err), (1, "coffer: Error response from engine: No such container: nope\n"))


class ListTest(CliTest):
    CONTAINERS = [
        {"Id": CID, "Names": ["/web"], "Image": "img:1", "Command": "sleep 100000000000000000", "Created": int(time.time()) - 7200, "State": "running",
         "Status": "Up 2 hours", "Ports": [], "Labels": {"a": "b"}, "Mounts": [], "NetworkSettings": {"Networks": {"none": {}}}},
        {"Id": "d" * 64, "Names": ["/old"], "Image": "sha256:" + "e" * 64, "Command": "x", "Created": 1, "State": "exited", "Status": "Exited (0) 50 years ago",
         "Ports": [{"IP": "0.0.0.0", "PublicPort": 80, "PrivatePort": 8080, "Type": "tcp"}], "Labels": {}, "Mounts": []},
    ]

    def ps(self):
        return self.engine({("GET", "/containers/json"): lambda c: c.answer(200, self.CONTAINERS)})

    def test_ps_table(self):
        r = self.run_(self.ps(), "ps", "-a")
        lines = r.out.splitlines()
        self.assertEqual(lines[0].split("   ")[0], "CONTAINER ID")
        self.assertRegex(lines[1], r'^c0ffee000000   img:1 +"sleep 1000000000000…"   2 hours ago +Up 2 hours +web$')
        self.assertRegex(lines[2], r'^dddddddddddd   eeeeeeeeeeee   "x" +\d+ years ago   Exited \(0\) 50 years ago   0.0.0.0:80->8080/tcp   old$')

    def test_ps_forms(self):
        for args, want in (
            (["-q"], "c0ffee000000\ndddddddddddd\n"),
            (["-q", "--no-trunc"], CID + "\n" + "d" * 64 + "\n"),
            (["--format", "{{.Names}}: {{.State}}"], "web: running\nold: exited\n"),
            (["--format", r"table {{.Names}}\t{{.Image}}"], "NAMES     IMAGE\nweb       img:1\nold       eeeeeeeeeeee\n"),
            (["--format", "{{json .Labels}}"], '"a=b"\n""\n'),
        ):
            with self.subTest(args=args):
                self.assertEqual(self.run_(self.ps(), "ps", *args).out, want)
        rows = [json.loads(line) for line in self.run_(self.ps(), "ps", "--format", "json").lines]
        self.assertEqual([r["Names"] for r in rows], ["web", "old"])

    def test_ps_query(self):
        e = self.ps()
        self.assertEqual(self.run_(e, "ps", "-a", "-n", "3", "-f", "status=exited", "--filter", "label=a=b").code, 0)
        q = e.calls[0].query
        self.assertEqual((q["all"], q["limit"], json.loads(q["filters"])), ("1", "3", {"status": {"exited": True}, "label": {"a=b": True}}))

    def test_ps_fits_the_terminal(self):
        t = self.tty(self.ps(), "ps", cols=90)
        self.assertEqual(t.wait(), 0)
        for line in t.text.splitlines():
            self.assertLessEqual(len(line), 90)

    def test_bad_template(self):
        r = self.run_(self.ps(), "ps", "--format", "{{.Frob}}")
        self.assertEqual((r.code, r.err), (1, "coffer: template: there is no field 'Frob'\n"))

    def test_images(self):
        items = [{"Id": "sha256:" + "a" * 64, "RepoTags": ["host:5000/x/y:1", "z:latest"], "RepoDigests": [], "Created": 1, "Size": 4261550},
                 {"Id": "sha256:" + "b" * 64, "RepoTags": [], "RepoDigests": [], "Created": 1, "Size": 12}]
        e = self.engine({("GET", "/images/json"): lambda c: c.answer(200, items)})
        lines = self.run_(e, "images").lines
        self.assertEqual(lines[0].split(), ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"])
        self.assertRegex(lines[1], r"^host:5000/x/y +1 +a{12} +\d+ years ago +4.26MB$")
        self.assertRegex(lines[2], r"^z +latest +a{12} ")
        self.assertRegex(lines[3], r"^<none> +<none> +b{12} .* 12B$")
        self.assertEqual(self.run_(e, "image", "ls", "-q", "img").word.split(), ["a" * 12, "a" * 12, "b" * 12])
        self.assertEqual(json.loads(e.calls[-1].query["filters"]), {"reference": {"img": True}})

    def test_history_and_volumes(self):
        e = self.engine({
            ("GET", "/images/img/history"): lambda c: c.answer(200, [{"Id": "<missing>", "Created": 1, "CreatedBy": "/bin/sh -c " + "x" * 60, "Size": 5, "Comment": "c", "Tags": None}]),
            ("GET", "/volumes"): lambda c: c.answer(200, {"Volumes": [{"Name": "data", "Driver": "local"}], "Warnings": None}),
        })
        self.assertRegex(self.run_(e, "history", "img").lines[1], r"^<missing> +\d+ years ago +/bin/sh -c x{33}… +5B +c$")
        self.assertEqual(self.run_(e, "volume", "ls").out, "DRIVER    VOLUME NAME\nlocal     data\n")

    def test_inspect(self):
        e = self.engine({
            ("GET", "/containers/web/json"): lambda c: c.answer(200, {"Id": CID, "State": {"ExitCode": 3}, "E": {}}),
            ("GET", "/images/a/b:1/json"): lambda c: c.answer(200, {"Id": "sha256:1"}),
            ("GET", "/volumes/data"): lambda c: c.answer(200, {"Name": "data"}),
        })
        r = self.run_(e, "inspect", "web", "a/b:1", "data")
        self.assertEqual(json.loads(r.out), [{"Id": CID, "State": {"ExitCode": 3}, "E": {}}, {"Id": "sha256:1"}, {"Name": "data"}])
        self.assertTrue(r.out.startswith(f'[\n    {{\n        "Id": "{CID}",\n        "State": {{\n            "ExitCode": 3\n        }},\n        "E": {{}}\n    }},\n'))
        self.assertEqual(self.run_(e, "inspect", "-f", "{{.State.ExitCode}}", "web").out, "3\n")
        r = self.run_(e, "inspect", "web", "nope")
        self.assertEqual((r.code, r.err), (1, "coffer: no such object: nope\n"))
        self.assertEqual(len(json.loads(r.out)), 1)
        self.assertEqual(self.run_(e, "inspect", "--type", "image", "web").code, 1)


class VerbTest(CliTest):
    def test_short_verbs(self):
        ok = lambda c: c.answer(204)  # noqa: E731
        e = self.engine({("POST", "/containers/[ab]/(start|stop|restart|kill)"): ok, ("DELETE", "/containers/[ab]"): ok})
        for args, path, query in (
            (["start", "a", "b"], "start", {}),
            (["stop", "-t", "3", "-s", "INT", "a", "b"], "stop", {"t": "3", "signal": "INT"}),
            (["restart", "--time=1", "a", "b"], "restart", {"t": "1"}),
            (["kill", "-s", "HUP", "a", "b"], "kill", {"signal": "HUP"}),
        ):
            with self.subTest(args=args):
                r = self.run_(e, *args)
                self.assertEqual((r.code, r.out, r.err), (0, "a\nb\n", ""))
                self.assertEqual(e.find("POST", "/containers/b/" + path)[0].query, query)
        self.assertEqual(self.run_(e, "rm", "-fv", "a").code, 0)
        self.assertEqual(e.calls[-1].query, {"force": "1", "v": "1"})

    def test_failures_do_not_stop_the_rest(self):
        e = self.engine({("POST", "/containers/a/stop"): lambda c: c.fail(404, "No such container: a"), ("POST", "/containers/b/stop"): lambda c: c.answer(304)})
        r = self.run_(e, "stop", "a", "b")
        self.assertEqual((r.code, r.out, r.err), (1, "b\n", "coffer: Error response from engine: No such container: a\n"))

    def test_names_are_stopped_together(self):
        both = threading.Barrier(2, timeout=10)

        def stop(call):
            both.wait()
            call.answer(204)

        self.assertEqual(self.run_(self.engine({("POST", "/containers/./stop"): stop}), "stop", "a", "b").out, "a\nb\n")

    def test_wait_tag_rmi_volume(self):
        e = self.engine({
            ("POST", "/containers/a/wait"): lambda c: c.answer(200, {"StatusCode": 9}),
            ("POST", "/images/x:1/tag"): lambda c: c.answer(201),
            ("DELETE", "/images/x"): lambda c: c.answer(200, [{"Untagged": "x:latest"}, {"Deleted": "sha256:1"}]),
            ("POST", "/volumes/create"): lambda c: c.answer(201, {"Name": c.json["Name"]}),
            ("DELETE", "/volumes/data"): lambda c: c.answer(204),
        })
        self.assertEqual(self.run_(e, "wait", "a").out, "9\n")
        self.assertEqual(self.run_(e, "tag", "x:1", "host:5000/y").code, 0)
        self.assertEqual(e.calls[-1].query, {"repo": "host:5000/y", "tag": "latest"})
        self.assertEqual(self.run_(e, "rmi", "x").out, "Untagged: x:latest\nDeleted: sha256:1\n")
        self.assertEqual(self.run_(e, "volume", "create", "--label", "a=b", "data").out, "data\n")
        self.assertEqual(e.calls[-1].json["Labels"], {"a": "b"})
        self.assertEqual(self.run_(e, "volume", "rm", "data").out, "data\n")

    def test_logs(self):
        def logs(call):
            call.head(MUX)
            for part in (frame(1, b"one\n")[:5], frame(1, b"one\n")[5:], frame(2, b"two\n")):
                call.chunk(part)
            call.end()

        e = self.engine({("GET", "/containers/web/logs"): logs})
        r = self.run_(e, "logs", "-f", "-n", "5", "-t", "--since", "2026-01-02T03:04:05.5Z", "--until", "1700000000", "web")
        self.assertEqual((r.code, r.out, r.err), (0, "one\n", "two\n"))
        self.assertEqual(e.calls[0].query, {"stdout": "1", "stderr": "1", "follow": "1", "restarts": "1", "timestamps": "1", "tail": "5",
                                            "since": "1767323045.500000000", "until": "1700000000.000000000"})
        self.assertEqual(self.run_(e, "logs", "--since", "yesterday", "web").code, 1)

    def test_posture(self):
        doc = {"Container": CID, "Name": "/web", "Layers": [
            {"Layer": "user namespace", "State": "ok", "Value": "0 -> 1048576", "By": "", "Why": ""},
            {"Layer": "seccomp", "State": "weakened", "Value": "off", "By": "--security-opt seccomp=unconfined", "Why": ""},
            {"Layer": "LSM label", "State": "absent", "Value": "", "By": "", "Why": "this host has none"}], "Facts": {}}
        e = self.engine({("GET", "/containers/web/posture"): lambda c: c.answer(200, doc)})
        r = self.run_(e, "posture", "web")
        self.assertEqual(r.lines, ["web  c0ffee000000", "", "  user namespace  ok          0 -> 1048576",
                                   "  seccomp         weakened    off (by --security-opt seccomp=unconfined)",
                                   "  LSM label       absent      this host has none", "", "  1 ok, 1 weakened, 1 absent"])
        self.assertEqual(json.loads(self.run_(e, "posture", "--format", "json", "web").out), doc)
        t = self.tty(e, "posture", "web")
        self.assertEqual(t.wait(), 0)
        self.assertIn("\x1b[33mweakened", t.text)

    def test_version_and_info(self):
        e = self.engine({("GET", "/version"): lambda c: c.answer(200, {"Version": "9", "ApiVersion": "1.50", "Components": []}),
                         ("GET", "/info"): lambda c: c.answer(200, {"Containers": 2, "SecurityOptions": ["name=seccomp,profile=builtin"], "MemTotal": 1 << 30})})
        self.assertEqual(self.run_(e, "version", "-f", "{{.Server.Version}} {{.Client.ApiVersion}}").out, "9 1.50\n")
        self.assertIn(" Containers: 2\n Security Options:\n  seccomp\n   Profile: builtin\n Total Memory: 1GiB\n", self.run_(e, "info").out)


class LoadTest(CliTest):
    def load(self, lines, got):
        def fn(call):
            got.append(call)
            call.head()
            for line in lines:
                call.chunk(json.dumps(line).encode() + b"\r\n")
            call.end()

        return self.engine({("POST", "/images/load"): fn, ("POST", "/images/create"): fn})

    LINES = [{"status": "Loading layer", "progressDetail": {"current": 5, "total": 10}, "id": "abc"}, {"stream": "Loaded image: x:1\n"}]

    def test_file_and_pipe(self):
        data = os.urandom(3 << 20)
        for source in ("file", "pipe"):
            with self.subTest(source), tempfile.NamedTemporaryFile() as f:
                got = []
                e = self.load(self.LINES, got)
                f.write(data)
                f.flush()
                r = self.run_(e, "load", "-i", f.name) if source == "file" else self.run_(e, "load", input=data)
                self.assertEqual((r.code, r.out, r.err), (0, "Loaded image: x:1\n", ""))
                self.assertEqual(got[0].body, data)
                self.assertEqual(got[0].query, {"quiet": "1"})
                self.assertEqual("content-length" in got[0].headers, source == "file")

    def test_error_in_the_stream(self):
        r = self.run_(self.load([{"error": "layer 1: bad digest", "errorDetail": {"message": "layer 1: bad digest"}}], []), "load", input=b"x")
        self.assertEqual((r.code, r.err), (1, "coffer: layer 1: bad digest\n"))

    def test_refused_before_the_end(self):
        """The engine answers and closes while most of the archive is still here."""

        class Early(FakeEngine):
            def _one(self, conn, f):
                f.readline()
                conn.sendall(b"HTTP/1.1 400 X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 24\r\n\r\n" + b'{"message":"not a tar!"}')
                conn.shutdown(socket.SHUT_WR)
                time.sleep(0.2)
                return False

        e = Early({})
        self.addCleanup(e.close)
        with tempfile.NamedTemporaryFile() as f:
            f.truncate(32 << 20)
            r = self.run_(e, "load", "-i", f.name)
        self.assertEqual((r.code, r.err), (1, "coffer: Error response from engine: not a tar!\n"))

    def test_progress_on_a_terminal(self):
        e = self.load([{"status": "Loading layer", "progressDetail": {"current": n, "total": 1000}, "id": i} for n in (10, 600) for i in ("aaa", "bbb")]
                      + [{"stream": "Loaded image: x:1\n"}], [])
        with tempfile.NamedTemporaryFile() as f:
            t = self.tty(e, "load", "-i", f.name)
            self.assertEqual(t.wait(), 0)
        self.assertIn("\x1b[2A\r\x1b[2Kaaa: Loading layer [", t.text)
        self.assertIn("600B/1kB", t.text)
        self.assertEqual(e.calls[0].query, {"quiet": "0"})

    def test_bug_progress_while_the_archive_is_still_sent(self):
        """The engine says how far it is after each piece that it has read: the client waited for more of that, the engine for more of the archive."""

        class Talkative(FakeEngine):
            def _one(self, conn, f):
                while f.readline().strip():
                    pass
                conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
                left = 32 << 20
                while left:
                    left -= len(f.read(min(1 << 20, left)))
                    line = json.dumps({"status": "Loading layer", "progressDetail": {"current": 1, "total": 2}, "id": "aaa"}).encode() + b"\r\n"
                    conn.sendall(b"%x\r\n%s\r\n" % (len(line), line))
                conn.sendall(b"0\r\n\r\n")
                return False

        e = Talkative({})
        self.addCleanup(e.close)
        with tempfile.NamedTemporaryFile() as f:
            f.truncate(32 << 20)
            t = self.tty(e, "load", "-i", f.name)
            self.assertEqual(t.wait(20), 0)
        self.assertIn("aaa: Loading layer [", t.text)

    def test_import(self):
        got = []
        e = self.load([{"status": "sha256:" + "a" * 64}], got)
        r = self.run_(e, "import", "-c", 'CMD ["/bin/sh"]', "-c", "ENV A=1", "-m", "why", "-", "me/img:2", input=b"tar")
        self.assertEqual(r.out, "sha256:" + "a" * 64 + "\n")
        self.assertEqual((got[0].query["repo"], got[0].query["fromSrc"], got[0].query["message"], got[0].body), ("me/img:2", "-", "why", b"tar"))


class UsageTest(CliTest):
    def test_refusals_and_codes(self):
        e = self.engine({})
        for args, code, words in (
            (["run", "-p", "80:x", "x"], 125, "-p, --publish"),
            (["run", "--gpus", "all", "x"], 125, "--gpus is not there yet"),
            (["run", "--frob", "x"], 125, "unknown flag: --frob"),
            (["run"], 1, "requires at least 1 argument"),
            (["ps", "x"], 1, "accepts no arguments"),
            (["rnu"], 1, "did you mean 'run'?"),
            (["swarm", "x"], 1, "'swarm' is not there yet"),
            (["image", "build", "a"], 1, "'build' is not there yet"),
            (["run", "--pul", "x", "x"], 125, "did you mean --pull?"),
        ):
            with self.subTest(args=args):
                r = self.run_(e, *args)
                self.assertEqual(r.code, code, r)
                self.assertIn(words, r.err)
        self.assertEqual(e.calls, [])

    def test_help_everywhere(self):
        for verb in ("run create start stop kill rm ps logs attach exec wait inspect restart load save pull import images rmi tag history posture version info").split():
            for argv in ([verb, "--help"], ["help", verb]):
                p = subprocess.run([self.program] + argv, capture_output=True, text=True, env=self.env())
                self.assertEqual((p.returncode, p.stderr), (0, ""))
                self.assertTrue(p.stdout.startswith(f"Usage:  coffer {verb}"))
                self.assertIn("Examples:", p.stdout)

    def test_hosts(self):
        for host, words in (("tcp://1.2.3.4:5", "it is unix:///PATH, or embedded"), ("unix:///nonexistent/s", "is cofferd running?")):
            p = subprocess.run([self.program, "ps"], capture_output=True, text=True, env=self.env(COFFER_HOST=host))
            self.assertEqual(p.returncode, 1)
            self.assertIn(words, p.stderr)


if __name__ == "__main__":
    coffer.main()
