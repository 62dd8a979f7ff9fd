# SPDX-License-Identifier: Apache-2.0
"""cofferd for tests: a daemon per class on the class's private state, and a client of its API that knows HTTP only.

    class Thing(daemon.DaemonTest):
        def test(self):
            self.assertEqual(self.api("GET", "/_ping").status, 200)

`self.coffer(...)` of such a class finds the daemon by COFFER_RUN, as a user's would by /run/coffer/coffer.sock.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse

import coffer
import engine_api


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        return self.json()["message"]

    def __str__(self):
        return f"{self.status} {self.text[:2000]}"


class Client:
    """One call a connection. `body`: bytes, or what becomes JSON."""

    complaints = []  # of every client of this process: what does not fit the Engine API's description, where there is one

    def __init__(self, path):
        self.path = path
        self.judge = engine_api.find()

    def note(self, method, target, answer):
        if self.judge and (not target.startswith("/v") or target.startswith(("/v1.50/", "/version", "/volumes"))):
            self.complaints += self.judge.problems(method, target, answer.status, answer.headers.get("content-type"), answer.body)

    def __call__(self, method, target, body=None, headers=(), query=None, timeout=30):
        c = UnixConnection(self.path, timeout * coffer.SLOW)
        head = dict(headers)
        if query:
            target += ("&" if "?" in target else "?") + urllib.parse.urlencode({k: json.dumps(v) if isinstance(v, (dict, list)) else v for k, v in query.items()})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            head.setdefault("Content-Type", "application/json")
        try:
            c.request(method, target, body, head)
            r = c.getresponse()
            answer = Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
            self.note(method, target, answer)
            return answer
        finally:
            c.close()

    def raw(self, data, timeout=10):
        """Send bytes, return everything until the peer closes or is silent for @timeout."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(self.path)
            s.sendall(data)
            got = b""
            with contextlib.suppress(socket.timeout):
                while True:
                    piece = s.recv(65536)
                    if not piece:
                        break
                    got += piece
            return got

    def stream(self, method, target, timeout=30):
        """A response whose body is read piece by piece: http.client.HTTPResponse; close() it."""
        c = UnixConnection(self.path, timeout * coffer.SLOW)
        c.request(method, target)
        r = c.getresponse()
        r.connection = c
        return r

    def hijack(self, target, body=None):
        """POST with Upgrade: tcp. Return: (status, headers, socket, bytes behind the head)."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20 * coffer.SLOW)
        s.connect(self.path)
        text = json.dumps(body).encode() if body is not None else b""
        head = f"POST {target} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        s.sendall(head.encode() + text)
        got = b""
        while b"\r\n\r\n" not in got:
            piece = s.recv(65536)
            if not piece:
                break
            got += piece
        lines, _, rest = got.partition(b"\r\n\r\n")
        first, *more = lines.decode().split("\r\n")
        return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in more)}, s, rest


class Daemon:
    """A running cofferd."""

    def __init__(self, argv, env, log, sock, pass_fds=(), preexec=None):
        self.log_path, self.sock = log, sock
        with open(log, "ab") as f:
            self.proc = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=f, stderr=f, pass_fds=pass_fds, preexec_fn=preexec)

    def log(self):
        return coffer.read_text(self.log_path)

    def ready(self, timeout=15):
        client = Client(self.sock)

        def answers():
            with contextlib.suppress(OSError):
                return client("GET", "/_ping").status == 200

        if not coffer.wait_until(lambda: self.proc.poll() is not None or answers(), timeout) or self.proc.poll() is not None:
            raise AssertionError(f"cofferd did not come up (exit {self.proc.poll()}): {self.log()}")
        return self

    def stop(self, sig=signal.SIGTERM, timeout=15):
        """Return: (exit code, seconds)."""
        start = time.monotonic()
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        try:
            return self.proc.wait(timeout * coffer.SLOW), time.monotonic() - start
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            raise AssertionError(f"cofferd did not leave within {timeout} s of signal {sig}: {self.log()}") from None


class DaemonTest(coffer.CofferTest):
    DAEMON_FLAGS = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon = None
        try:
            cls.start_daemon()
            if not cls.NEEDS_IMAGE:  # there was no database before
                cls._remember_containers()
        except BaseException:
            cls._discard()
            raise

    @classmethod
    def start_daemon(cls, *flags):
        cls.sock = os.path.join(cls.run_dir, "coffer.sock")
        cls.daemon = Daemon([cls.stage.cofferd, *cls.DAEMON_FLAGS, *flags], cls.env, os.path.join(cls.scratch, "cofferd.log"), cls.sock).ready()
        cls.api = staticmethod(Client(cls.sock))
        return cls.daemon

    @classmethod
    def tearDownClass(cls):
        problems = [f"answers that do not fit the Engine API's description: {sorted(set(Client.complaints))}"] if Client.complaints else []
        Client.complaints.clear()
        if cls.daemon and cls.daemon.proc.poll() is None:
            code, seconds = cls.daemon.stop()
            if code != 0:
                problems.append(f"cofferd left with {code} after {seconds:.1f} s: {cls.daemon.log()}")
        super().tearDownClass()
        if problems:
            raise AssertionError("; ".join(problems))

    # -- containers over the API --------------------------------------------------------------------------------

    def create(self, *cmd, name=None, host=None, image=None, **config):
        """POST /containers/create. Return: the id; removed when the test ends."""
        body = dict({"Image": image or self.IMAGE, "Cmd": list(cmd), "HostConfig": dict({"NetworkMode": "none"}, **(host or {}))}, **config)
        a = self.api("POST", "/containers/create" + (f"?name={name}" if name else ""), body)
        self.assertEqual(a.status, 201, str(a))
        cid = a.json()["Id"]
        self.addCleanup(self.api, "DELETE", f"/containers/{cid}?force=1&v=1")
        return cid

    def started(self, *cmd, **kw):
        cid = self.create(*cmd, **kw)
        a = self.api("POST", f"/containers/{cid}/start")
        self.assertEqual(a.status, 204, str(a))
        return cid

    def state(self, ref):
        return self.api("GET", f"/containers/{ref}/json").json()["State"]
