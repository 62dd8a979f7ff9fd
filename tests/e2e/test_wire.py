# SPDX-License-Identifier: Apache-2.0
"""What a hostile or broken client may put on the socket: it is answered or cut off, bounded, and the others do not notice."""

import contextlib
import json
import os
import re
import resource
import socket
import threading
import time

import coffer
import daemon
import engine_api

QUICK = 5  # seconds for an answer that is ready at once, on a loaded machine

BODIES = (  # none of them may do anything but draw a 4xx
    b"", b"{", b"}", b"[]", b"null", b"true", b"5", b'"x"', b"{}x", b"\xff\xfe", b'{"a":1,"a":2}', b'{"Image":"\x00"}', b'{"Image":"\\u0000"}', b'{"Image":"\xed\xa0\x80"}', b"[" * 100000, b'{"a":' * 5000, b'{"Image":' + b"9" * 400 + b"}",
    b'{"Image":{}}', b'{"HostConfig":[]}', b'{"HostConfig":{"Binds":"x"}}', b'{"HostConfig":{"Memory":1e999}}', b'{"HostConfig":{"Memory":99999999999999999999}}', b'{"Cmd":[1,2]}', b'{"Labels":[]}', b'{"Env":{"a":1}}',
    b'{"Image":"' + b"a" * 200000 + b'"}', b'{"Cmd":["' + b"x" * 200000 + b'"]}', b'{"Labels":{' + b",".join(b'"%d":""' % i for i in range(20000)) + b"}}", b"\x1f\x8b\x08\x00", b"a=b&c=d",
)
QUERIES = ("?filters=", "?filters={", "?filters=[]", "?filters=%7B%22label%22%3A5%7D", "?filters=" + "%7B" * 3000, "?filters=%00", "?filters=%", "?filters=%zz", "?filters=%ff", "?limit=-99999999999999999999", "?limit=x", "?size=&size=1",
           "?all=maybe", "?=&&&==", "?" + "a&" * 500, "?" + "x" * 30000, "?since=x&until=y", "?tail=-9999999999", "?stdout=1&tail=99999999999999999999", "?h=-1&w=99999999999", "?t=-2", "?t=1e9", "?signal=", "?signal=-9", "?name=%2e%2e%2f",
           "?condition=%00", "?detachKeys=ctrl-%C3%A9", "?ps_args=%3Brm", "?type=x", "?force=2&v=x", "?since=-1", "?since=1.1.1", "?until=99999999999999999999", "?path=%2Fetc%2F..%2F..%2F", "?fromSrc=-&repo=..", "?names=%00")
HEADS = (  # (bytes, status or None for "cut off without an answer")
    (b"\0\0\0\0\r\n\r\n", 400), (b"GET\r\n\r\n", 400), (b"GET /_ping HTTP/9.9\r\n\r\n", 505), (b"GET /_ping\r\n\r\n", 505), (b"GET  /_ping HTTP/1.1\r\n\r\n", 400), (b"GET /_ping HTTP/1.1\nHost: d\n\n", 400),
    (b"GET /_ping HTTP/1.1\r\nHost: d\r\n folded: x\r\n\r\n", 400), (b"GET /_ping HTTP/1.1\r\nHost d\r\n\r\n", 400), (b"GET /_ping HTTP/1.1\r\nA: \0\r\n\r\n", 400), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", 414), (b"GET /_ping HTTP/1.1\r\n" + b"A: b\r\n" * 250 + b"\r\n", 431), (b"GET /_ping HTTP/1.1\r\nA: " + b"b" * 70000 + b"\r\n\r\n", 431),
    (b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400), (b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: -1\r\n\r\n", 400), (b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400), (b"POST /x HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    (b"GET http://evil/_ping HTTP/1.1\r\nHost: d\r\n\r\n", 400), (b"GET /../../etc/passwd HTTP/1.1\r\nHost: d\r\n\r\n", 400), (b"GET /%00 HTTP/1.1\r\nHost: d\r\n\r\n", 400), (b"GET /_ping HTTP/1.1\r\nHost: d\r\nOrigin: http://evil\r\n\r\n", 403),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", None),
)


class Wire(daemon.DaemonTest):
    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
        super().setUpClass()

    def connect(self, data=b"", timeout=30):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(self.sock)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(data)
        return s

    def flood(self, n, data):
        found = [self.connect(data) for _ in range(n)]
        self.addCleanup(lambda: [s.close() for s in found])
        return found

    def threads(self):
        return int(coffer.proc_status(self.daemon.proc.pid)["Threads"])

    def rss_mib(self):
        return int(coffer.proc_status(self.daemon.proc.pid)["VmRSS"].split()[0]) / 1024

    def assertServed(self):
        """Somebody else's requests are answered as if nothing were."""
        for method, target in (("GET", "/_ping"), ("GET", "/info"), ("GET", "/containers/json?all=1")):
            start = time.monotonic()
            self.assertEqual(self.api(method, target).status, 200)
            self.assertLess(time.monotonic() - start, QUICK * coffer.SLOW)

    def assertQuiet(self, before):
        """Threads and descriptors are back where they were."""
        fds, threads = before
        pid = self.daemon.proc.pid
        coffer.wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= fds and self.threads() <= threads, 15, 0.1)
        self.assertLessEqual((len(os.listdir(f"/proc/{pid}/fd")), self.threads()), (fds, threads))

    def setUp(self):
        self.assertServed()
        coffer.wait_until(lambda: self.threads() <= 6, 10)
        self.before = (len(os.listdir(f"/proc/{self.daemon.proc.pid}/fd")), self.threads())

    # -- many and slow ------------------------------------------------------------------------------------------

    def test_1000_idle_connections(self):
        idle = self.flood(1000, b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        for s in idle:
            self.assertTrue(s.recv(4096).startswith(b"HTTP/1.1 200"))
        self.assertServed()
        self.assertLess(self.rss_mib(), 120)
        idle[0].sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")  # idle is no fault: it is still there
        self.assertTrue(idle[0].recv(4096).startswith(b"HTTP/1.1 200"))
        for s in idle:
            s.close()
        self.assertQuiet(self.before)

    def test_more_connections_than_there_is_room_for(self):
        """The ones whose turn it has been longest make place, so that a newcomer is always served."""
        half = self.flood(2600, b"GET /_ping HTTP/1.1\r\nX-Slow: ")
        self.assertServed()
        self.assertLess(self.threads(), 2100)
        self.assertEqual(half[0].recv(4096), b"")  # the oldest one was ended
        for s in half:
            s.close()
        self.assertQuiet(self.before)

    def test_a_body_that_comes_a_byte_at_a_time(self):
        body = json.dumps({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}).encode()
        s = self.connect(b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        for byte in body[:-1]:
            s.sendall(bytes([byte]))
            time.sleep(0.005)
        self.assertServed()
        s.sendall(body[-1:])
        answer = s.recv(65536)
        s.close()
        self.assertTrue(answer.startswith(b"HTTP/1.1 201"), answer)
        self.api("DELETE", "/containers/" + re.search(rb'"Id":"([0-9a-f]{64})"', answer)[1].decode())

    def test_clients_that_never_read(self):
        pipelined = b"GET /info HTTP/1.1\r\nHost: d\r\n\r\n" * 400
        deaf = []
        for _ in range(50):
            s = self.connect()
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                s.send(pipelined)
            deaf.append(s)
        self.addCleanup(lambda: [s.close() for s in deaf])
        for _ in range(5):
            self.assertServed()
        self.assertLess(self.rss_mib(), 120)
        for s in deaf:
            s.close()
        self.assertQuiet(self.before)

    def test_streams_that_nobody_reads(self):
        """Events, logs and attach of a container that writes without end: it goes on, and so do the others."""
        cid = self.started("sh", "-c", "while :; do echo 0123456789012345678901234567890123456789; done")
        deaf = self.flood(10, b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
        deaf += self.flood(10, f"GET /containers/{cid}/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        deaf += self.flood(10, f"POST /containers/{cid}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode())
        for _ in range(10):
            self.assertServed()
            self.api("POST", "/volumes/create", {"Name": "deaf"})
            self.api("DELETE", "/volumes/deaf")
        self.assertEqual(self.api("POST", f"/containers/{cid}/kill").status, 204)
        self.assertEqual(self.api("POST", f"/containers/{cid}/wait", timeout=60).json()["StatusCode"], 137)
        for s in deaf:
            s.close()
        self.api("DELETE", f"/containers/{cid}?force=1")
        self.assertQuiet(self.before)

    # -- too much -----------------------------------------------------------------------------------------------

    def test_heads(self):
        for data, status in HEADS:
            with self.subTest(head=data[:60]):
                s = self.connect(data)
                s.shutdown(socket.SHUT_WR)
                got = b""
                with contextlib.suppress(ConnectionResetError):
                    while piece := s.recv(65536):
                        got += piece
                s.close()
                if status:
                    self.assertTrue(got.startswith(b"HTTP/1.1 %d " % status), got[:200])
                    self.assertNotIn(b"\r\n\r\nOK", got)
                else:
                    self.assertNotIn(b"200 OK", got)
        self.assertServed()
        self.assertQuiet(self.before)

    def test_a_head_without_end(self):
        s = self.connect(b"GET /_ping HTTP/1.1\r\n")
        with contextlib.suppress(OSError):  # it is answered early, and what comes behind is read away for a while
            for _ in range(8000):
                s.sendall(b"X-Header: " + b"y" * 1000 + b"\r\n")
        with contextlib.suppress(ConnectionResetError):
            self.assertTrue(s.recv(4096).startswith(b"HTTP/1.1 431"))
        s.close()
        self.assertLess(self.rss_mib(), 120)
        self.assertServed()
        self.assertQuiet(self.before)

    def test_huge_bodies(self):
        for head, piece in ((b"Content-Length: 1099511627776\r\n", b"{" + b" " * 65535), (b"Transfer-Encoding: chunked\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n")):
            for target in (b"/containers/create", b"/volumes/create", b"/containers/x/exec"):
                with self.subTest(head=head, target=target):
                    s = self.connect(b"POST " + target + b" HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n" + head + b"\r\n")
                    with contextlib.suppress(OSError):  # refused above 4 MiB; what comes behind is read away for a while
                        for _ in range(512):
                            s.sendall(piece)
                    got = b""
                    with contextlib.suppress(ConnectionResetError):
                        got = s.recv(65536)
                    s.close()
                    self.assertTrue(got.startswith(b"HTTP/1.1 400") and b"more than 4194304 bytes" in got, got[:400])
        self.assertLess(self.rss_mib(), 120)
        self.assertServed()
        self.assertQuiet(self.before)

    def test_a_length_that_does_not_come(self):
        for n in (10, 1 << 20, 1 << 40):
            s = self.connect(b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{}" % n)
            s.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                got = s.recv(4096)
                self.assertTrue(got == b"" or got.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), got)
            s.close()
        self.assertServed()

    def test_pipelined(self):
        s = self.connect()
        n = 1000
        thread = threading.Thread(target=s.sendall, args=(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" * n,))
        thread.start()
        got = b""
        while got.count(b"\r\n\r\nOK") < n:
            piece = s.recv(65536)
            self.assertTrue(piece, got[-300:])
            got += piece
        thread.join()
        s.close()
        self.assertEqual(got.count(b"HTTP/1.1 200 OK\r\n"), n)

    # -- nonsense for every route ---------------------------------------------------------------------------------

    def routes(self):
        """(method, path) of everything that is there, with a container's id where one goes."""
        import test_api_table
        cid = self.create("true", Labels={"wire": "1"})
        never = {("POST", "/images/load"), ("POST", "/images/create"), ("DELETE", "/containers/{id}"), ("GET", "/events")}
        return [(m, re.sub(r"\{[a-z]+\}", "busybox" if p.startswith("/images") else cid, p)) for m, p, state in test_api_table.paths() if state == "yes" and (m, p) not in never]

    def test_nonsense_bodies(self):
        judge = engine_api.find()
        for method, path in self.routes():
            if method not in ("POST", "PUT"):
                continue
            for body in BODIES:
                if re.search("/(wait|prune|tag|attach|stop|restart|start|kill|archive|commit)$", path) or (re.search("/(volumes/create|update|auth|push)$", path) and body in (b"", b"null")):
                    break  # they have no body, or may have none
                a = self.api(method, path, body, {"Content-Type": "application/json"}, timeout=60)
                self.assertTrue(400 <= a.status < 500 or a.status == 501 or path.endswith(("/resize", "/pause", "/unpause", "/rename")) or (path.endswith("/update") and a.status == 200) or (path == "/volumes/create" and a.status == 201),
                                f"{method} {path} {body[:60]}: {a}")
                if judge and a.status >= 400:
                    self.assertEqual(judge.error_problems(path, a.headers.get("content-type"), a.body), [])
        self.api("POST", '/volumes/prune?filters={"all":["1"]}')
        self.assertServed()

    def test_nonsense_queries(self):
        for method, path in self.routes():
            for query in QUERIES:
                if path.endswith("prune") or (method == "DELETE" and "busybox" in path) or path.endswith(("/attach", "/wait", "/export", "/get", "/stats", "/logs")) or path in ("/images/get", "/commit"):
                    continue
                a = self.api(method, path + query, timeout=60)
                self.assertLess(a.status, 502, f"{method} {path}{query}: {a}")
                if "Could not resolve host" not in str(a):  # a registry that was really asked
                    self.assertNotEqual(a.status, 500, f"{method} {path}{query}: {a}")
        self.assertServed()
        self.assertIsNone(self.daemon.proc.poll())

    def test_nonsense_prune_filters_remove_nothing(self):
        """An ignored filter deletes data (podman 9758)."""
        cid = self.create("true")
        for query in ("?filters={", "?filters=[]", '?filters={"nope":["1"]}', '?filters={"label":5}', '?filters={"until":["yesterday"]}', "?filters=%00", '?filters={"label":["no=such"]}', '?filters={"label":{"no=such":true}}'):
            for kind in ("containers", "volumes", "images"):
                a = self.api("POST", f"/{kind}/prune{query}")
                self.assertIn(a.status, (200, 400), str(a))
                if a.status == 200:
                    self.assertIn("no=such", query, str(a))
        self.assertEqual(self.api("GET", f"/containers/{cid}/json").status, 200)


if __name__ == "__main__":
    coffer.main()
