# SPDX-License-Identifier: Apache-2.0
"""coffer-fetch by itself, spoken to as the engine does (src/fetch/proto.h): what it does about servers that are slow, endless, or not where a request may lead."""

import contextlib
import os
import socket
import struct
import subprocess
import threading
import unittest

import coffer

MAGIC, PLAIN = 0x43464531, 1
GET = 0
PUBLIC, PRIVATE, LOOPBACK = 0, 1, 2
HEAD, DONE = 1, 2
NONE, RETRY, NOT_TLS, FINAL = range(4)
SETUP, REQUEST = struct.Struct("=II1024s1024s4096s"), struct.Struct("=8I3Q8192s32768s")
MSG = struct.Struct("=4I2Q256s256s128s64s128s256s8192s8192s8192sHHi504s")


def text(raw):
    return raw.split(b"\0")[0].decode()


class Message:
    def __init__(self, raw):
        v = MSG.unpack(raw)
        self.kind, self.failure, self.status, self.reach, self.length, self.bytes = v[:6]
        self.location, self.challenge, self.error = text(v[12]), text(v[13]), text(v[18])


class Helper:
    def __init__(self, program):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(60)
        self.proc = subprocess.Popen(["sh", "-c", f'exec "$0" 3<&{theirs.fileno()} {theirs.fileno()}<&-', program], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env={})
        theirs.close()
        self.sock.send(SETUP.pack(MAGIC, 0, b"", b"", b""))

    def close(self):
        self.sock.close()
        try:
            return self.proc.wait(20)
        finally:
            self.proc.kill()

    def ask(self, url, reach=LOOPBACK, flags=PLAIN, stall=60, total=0, most=1 << 20, method=GET, headers=b"", magic=MAGIC):
        """Return: (head or None, done, the body)."""
        out, theirs = os.pipe()
        with open(out, "rb") as f:
            socket.send_fds(self.sock, [REQUEST.pack(magic, method, flags, reach, 5000, stall, total, 0, 0, 0, most, url.encode(), headers)], [theirs])
            os.close(theirs)
            body = []
            reader = threading.Thread(target=lambda: body.append(f.read()))
            reader.start()
            got = []
            while not got or got[-1].kind != DONE:
                raw = self.sock.recv(MSG.size + 1)
                if not raw:
                    break
                got.append(Message(raw))
            reader.join(60)
        return (got[0] if got and got[0].kind == HEAD else None), (got[-1] if got and got[-1].kind == DONE else None), body[0]


class Server:
    """Answers each connection with what @answer yields, as it yields it, until the other side has gone."""

    def __init__(self, answer, address="127.0.0.1"):
        self.answer, self.gone, self.requests = answer, threading.Event(), []
        self.sock = socket.create_server((address, 0))
        self.url = f"http://{address}:{self.sock.getsockname()[1]}/"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                c, _ = self.sock.accept()
                threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        with c:
            self.requests.append(c.recv(65536))
            try:
                for piece in self.answer():
                    c.sendall(piece)
                    if self.gone.wait(0 if len(piece) > 1 else 0.2):
                        return
            except OSError:
                self.gone.set()

    def close(self):
        self.gone.set()
        self.sock.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self.thread.join()
        self.sock.close()


class Fetch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        coffer.new_network()
        cls.program = os.path.join(coffer.Stage.get().libexec, "coffer-fetch")

    def setUp(self):
        self.helper = Helper(self.program)
        self.addCleanup(self.helper.close)

    def serve(self, answer):
        s = Server(answer)
        self.addCleanup(s.close)
        return s

    def test_an_honest_one(self):
        s = self.serve(lambda: iter([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"]))
        head, done, body = self.helper.ask(s.url, headers=b"X-A: b\n")
        self.assertEqual((head.status, head.length, head.reach, done.failure, done.bytes, body), (200, 5, LOOPBACK, NONE, 5, b"hello"))
        self.assertIn(b"\r\nX-A: b\r\n", s.requests[0])
        self.assertEqual(self.helper.close(), 0)

    def test_a_slow_body_is_given_up(self):
        """A byte now and then, for ever: under the speed that a request must have, it ends, and another try may help."""
        def drip():
            yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
            while True:
                yield b"x"
        head, done, body = self.helper.ask(self.serve(drip).url, stall=2)
        self.assertEqual((head.status, done.failure), (200, RETRY))
        self.assertLess(len(body), 1024)

    def test_a_head_that_never_ends(self):
        def drip():
            yield b"HTTP/1.1 200 OK\r\n"
            while True:
                yield b"X"
        head, done, body = self.helper.ask(self.serve(drip).url, stall=2)
        self.assertEqual((head, done.failure, body), (None, RETRY, b""))

        def flood():
            yield b"HTTP/1.1 200 OK\r\n"
            while True:
                yield b"X-Header: " + b"y" * 1000 + b"\r\n"
        head, done, body = self.helper.ask(self.serve(flood).url)
        self.assertEqual((head, done.failure), (None, FINAL))

    def test_a_body_that_never_ends(self):
        def flood():
            yield b"HTTP/1.1 200 OK\r\n\r\n"
            while True:
                yield b"z" * 65536
        head, done, body = self.helper.ask(self.serve(flood).url, most=1000000)
        self.assertEqual(done.failure, FINAL)
        self.assertIn("more than 1000000 bytes", done.error)
        self.assertLessEqual(len(body), 1000000)

    def test_the_whole_may_take_so_long_and_no_longer(self):
        def drip():
            yield b"HTTP/1.1 200 OK\r\n\r\n"
            while True:
                yield b"w" * 2000
                yield b"w"
        head, done, body = self.helper.ask(self.serve(drip).url, total=2)
        self.assertEqual((head.status, done.failure), (200, RETRY))

    def test_silence(self):
        head, done, body = self.helper.ask(self.serve(lambda: iter(())).url)
        self.assertEqual((head and head.status, done.failure, done.error), (None, RETRY, "Empty reply from server"))
        s = socket.create_server(("127.0.0.1", 0))  # takes connections, and says nothing
        self.addCleanup(s.close)
        head, done, body = self.helper.ask(f"http://127.0.0.1:{s.getsockname()[1]}/", stall=2)
        self.assertEqual((head, done.failure), (None, RETRY))

    def test_nonsense(self):
        for answer in (b"garbage\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
                       b"HTTP/1.1 200 OK\r\nLocation: a\r\nLocation: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nLocation: " + b"x" * 9000 + b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", b"\0" * 5000):
            with self.subTest(answer[:60]):
                head, done, body = self.helper.ask(self.serve(lambda answer=answer: iter([answer])).url)
                self.assertNotEqual(done.failure, NONE)
        self.assertIsNone(self.helper.proc.poll())

    def test_a_redirect_is_told_and_not_followed(self):
        other = self.serve(lambda: iter([b"HTTP/1.1 200 OK\r\n\r\n"]))
        head, done, body = self.helper.ask(self.serve(lambda: iter([f"HTTP/1.1 302 Found\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()])).url)
        self.assertEqual((head.status, head.location, done.failure), (302, other.url, NONE))
        self.assertEqual(other.requests, [])

    def test_addresses_that_lie_too_deep(self):
        s = self.serve(lambda: iter([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]))
        for reach in (PUBLIC, PRIVATE):
            for url in (s.url, s.url.replace("127.0.0.1", "localhost"), s.url.replace("127.0.0.1", "[::ffff:127.0.0.1]"), s.url.replace("127.0.0.1", "2130706433"), s.url.replace("127.0.0.1", "0x7f.1")):
                head, done, body = self.helper.ask(url, reach=reach)
                self.assertEqual((head, done.failure), (None, FINAL), url)
                self.assertIn("link-local", done.error, url)
        self.assertEqual(s.requests, [])

    def test_schemes(self):
        for url in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "dict://127.0.0.1/x", "ldap://127.0.0.1/x", "smb://127.0.0.1/x", "", "/etc/passwd", "http://", "\x01"):
            head, done, body = self.helper.ask(url)
            self.assertEqual((head, done.failure, body), (None, FINAL, b""), url)
        head, done, body = self.helper.ask(self.serve(lambda: iter([b"HTTP/1.1 200 OK\r\n\r\n"])).url, flags=0)
        self.assertEqual((head, done.failure), (None, FINAL), "plain text, not asked for")

    def test_a_client_that_is_none(self):
        """A request that makes no sense ends the helper: nobody who has one sends such."""
        head, done, body = self.helper.ask("http://127.0.0.1/", magic=5)
        self.assertEqual((head, done), (None, None))
        self.assertEqual(self.helper.proc.wait(20), 1)
        p = subprocess.run([self.program], capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
        self.assertEqual(p.returncode, 2)
        self.assertIn(b"not a command", p.stderr)


if __name__ == "__main__":
    unittest.main()
