# SPDX-License-Identifier: Apache-2.0
"""A socket in front of the daemon's that passes every byte on and remembers them: what a client asked, and what it got.

Nothing is parsed while it passes, so neither side's timing, half-closes nor cuts change. Read `exchanges()` when the client has left.
"""

import bisect
import contextlib
import os
import select
import socket
import threading
import time

import engine_api


class Exchange:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.status, self.answer_headers, self.answer = None, {}, b""
        self.hijacked = False
        self.at = 0.0  # when its first byte came
        self.whole = False  # the answer came to its end; false when somebody left before

    @property
    def path(self):
        """Without the version and the query."""
        path = self.target.split("?", 1)[0]
        return path[path.index("/", 2):] if path.startswith("/v1.") else path

    @property
    def query(self):
        return self.target.split("?", 1)[1] if "?" in self.target else ""

    def __repr__(self):
        return f"{self.method} {self.target} -> {self.status}"


def _head(data):
    """(first line's words, headers, rest), or None while the head is not whole."""
    head, sep, rest = data.partition(b"\r\n\r\n")
    if not sep:
        return None
    first, *lines = head.decode(errors="replace").split("\r\n")
    return first.split(" ", 2), {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}, rest


def _body(headers, data, to_the_end=False):
    """(body, rest, whether it is whole)"""
    if headers.get("transfer-encoding") == "chunked":
        at = 0
        while at < len(data):
            line = data.find(b"\r\n", at)
            if line < 0:
                break
            n = int(data[at:line].split(b";")[0], 16)
            at = line + 2 + n + 2
            if n == 0:
                return engine_api.dechunk(data[:at]), data[at:], True
        return engine_api.dechunk(data), b"", False
    if "content-length" in headers:
        n = int(headers["content-length"])
        return data[:n], data[n:], len(data) >= n
    return (data, b"", True) if to_the_end else (b"", data, True)


class _Connection:
    def __init__(self, recorder, client):
        self.asked, self.got = bytearray(), bytearray()
        self.marks = []  # (bytes asked so far, when), before each piece
        self.client, self.server = client, socket.socket(socket.AF_UNIX)
        self.server.connect(recorder.target)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        pairs = {self.client: (self.server, self.asked), self.server: (self.client, self.got)}
        open_ends = set(pairs)
        with self.client, self.server:
            while open_ends:
                for s in select.select(list(open_ends), [], [])[0]:
                    peer, log = pairs[s]
                    try:
                        data = s.recv(65536)
                    except OSError:
                        data = b""
                    if s is self.client:
                        self.marks.append((len(log), time.monotonic()))
                    log += data
                    try:
                        peer.sendall(data) if data else peer.shutdown(socket.SHUT_WR)
                    except OSError:
                        data = b""
                    if not data:
                        open_ends.discard(s)
                        if s is self.client and self.client_is_gone():
                            return

    def client_is_gone(self):
        """The client closed, rather than having ended what it sends: nobody reads the answer any more."""
        with contextlib.suppress(OSError):
            p = select.poll()
            p.register(self.client, 0)
            return any(event & (select.POLLHUP | select.POLLERR) for _, event in p.poll(0))
        return True

    def exchanges(self):
        found, asked, got = [], bytes(self.asked), bytes(self.got)
        total = len(asked)
        while head := _head(asked):
            start = total - len(asked)
            (method, target, *_), headers, asked = head
            body, asked, _ = _body(headers, asked)
            x = Exchange(method, target, headers, body)
            x.at = self.marks[bisect.bisect_right([m[0] for m in self.marks], start) - 1][1]
            found.append(x)
            answer = _head(got)
            while answer and answer[0][1] == "100":
                answer = _head(answer[2])
            if not answer:
                continue
            words, x.answer_headers, got = answer
            x.status = int(words[1])
            x.hijacked = x.status == 101 or "raw-stream" in x.answer_headers.get("content-type", "") and "content-length" not in x.answer_headers and "chunked" not in str(x.answer_headers)
            if x.hijacked:
                x.answer, x.body = got, asked
                return found
            x.whole = True
            if method != "HEAD" and x.status not in (204, 304):
                x.answer, got, x.whole = _body(x.answer_headers, got, to_the_end=True)
        return found


class Recorder:
    """Listens at @path until close(), in front of @target."""

    def __init__(self, path, target):
        self.path, self.target, self.connections = path, target, []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                self.connections.append(_Connection(self, client))

    def forget(self):
        self.connections.clear()

    def exchanges(self):
        """Every request since forget(), in the order in which they were made."""
        return sorted((x for c in list(self.connections) for x in c.exchanges()), key=lambda x: x.at)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)
