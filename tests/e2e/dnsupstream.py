# SPDX-License-Identifier: Apache-2.0
"""Resolvers that behave, and some that do not, for test_dns: python3 dnsupstream.py LOG ADDRESS[=silent]...

Each ADDRESS listens on UDP and TCP port 53. What a question gets depends on its name; what was asked is written to LOG, a line each:
ADDRESS udp|tcp SOURCE-PORT ID NAME TYPE (the name as it came, letters and all).
"""

import random
import select
import socket
import struct
import sys
import time

A, CNAME, TXT, AAAA, HTTPS = 1, 5, 16, 28, 65
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5


def wire(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0"


def question_of(p):
    at, labels = 12, []
    while p[at]:
        labels.append(p[at + 1:at + 1 + p[at]].decode("latin-1"))
        at += p[at] + 1
    return ".".join(labels), struct.unpack(">H", p[at + 1:at + 3])[0], p[12:at + 5], p[at + 5:]


def record(kind, data, name=b"\xc0\x0c", ttl=77):
    return name + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def message(ident, question, records=(), rcode=0, flags=0x8180, opt=False):
    extra = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0) if opt else b""
    return struct.pack(">HHHHHH", ident, flags | rcode, 1, len(records), 0, int(opt)) + question + b"".join(records) + extra


class Upstream:
    def __init__(self, log, places):
        self.log = open(log, "a", buffering=1)
        self.socks = {}
        self.conns = {}
        self.later = []  # (when, function)
        self.seen = {}
        for place in places:
            address, _, mode = place.partition("=")
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                s = socket.socket(family, kind)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((address, 53))
                if kind == socket.SOCK_STREAM:
                    s.listen(64)
                self.socks[s] = (address, kind, mode)

    def answer(self, address, tcp, p, reply, liar):
        name, kind, question, rest = question_of(p)
        ident, opt = struct.unpack(">H", p[:2])[0], p[10:12] != b"\0\0"
        low = name.lower()
        first = self.seen.setdefault((low, tcp), 0) == 0
        self.seen[(low, tcp)] += 1
        ok = lambda *records, **more: message(ident, question, records, opt=opt, **more)  # noqa: E731
        lowered = question[:-4].lower() + question[-4:]
        if low == "one.test":
            return reply(ok(*([record(A, bytes([192, 0, 2, 1]))] if kind == A else [record(AAAA, socket.inet_pton(socket.AF_INET6, "2001:db8::1"))] if kind == AAAA else [])))
        if low == "where.test":
            return reply(ok(record(A, socket.inet_aton(address))))
        if low == "cname.test":
            return reply(ok(record(CNAME, wire("one.test")), record(A, bytes([192, 0, 2, 1]), wire("one.test"))))
        if low == "big.test":
            texts = [record(TXT, bytes([200]) + b"x" * 200) for _ in range(15)]
            return reply(ok(*texts) if tcp else ok(flags=0x8380))
        if low == "cut.test":  # truncated in the middle of a record
            return reply(ok(record(A, bytes([192, 0, 2, 8]))) if tcp else ok(record(A, bytes([192, 0, 2, 8])), flags=0x8380)[:-2 - 11 * opt])
        if low == "odd.test":
            return reply(ok(record(HTTPS, b"\0\1\0\0\1\0\3\2h2")))
        if low == "slow.test":
            return self.later.append((time.monotonic() + 0.7, lambda: reply(ok(record(A, bytes([192, 0, 2, 3]))))))
        if low == "lost.test":
            return None if first else reply(ok(record(A, bytes([192, 0, 2, 4]))))
        if low.endswith("never.test"):
            return None
        if low == "liar.test" and not tcp:
            evil = [record(A, bytes([6, 6, 6, 6]))]
            reply(message(ident ^ 1, question, evil))
            reply(message(ident, wire("other.test") + question[-4:], evil))
            reply(message(ident, question[:-4] + struct.pack(">HH", AAAA, 1), evil))
            reply(b"\xff" * 40)
            liar(message(ident, question, evil))  # right in every way, but from another port
            return self.later.append((time.monotonic() + 0.1, lambda: reply(ok(record(A, bytes([192, 0, 2, 5]))))))
        if low == "lowered-all-of-these-many-letters.test":
            return reply(message(ident, lowered, [record(A, bytes([192, 0, 2, 7] if tcp else [6, 6, 6, 6]))]))
        if low == "broken.test" and not tcp:
            return reply(message(ident, question, [b"\xc0\x1d" + b"\0" * 10]))
        if low == "broken.test":
            return reply(ok(record(A, bytes([192, 0, 2, 6]))))
        if low == "servfail.test" or (low == "half.test" and address.endswith(".53")):
            return reply(ok(rcode=SERVFAIL))
        if low == "half.test":
            return reply(ok(record(A, bytes([192, 0, 2, 9]))))
        return reply(ok(rcode=NXDOMAIN))

    def note(self, address, proto, peer, p):
        name, kind, _, _ = question_of(p)
        self.log.write(f"{address} {proto} {peer[1]} {struct.unpack('>H', p[:2])[0]} {name} {kind}\n")

    def udp(self, s):
        address, _, mode = self.socks[s]
        p, peer = s.recvfrom(4096)
        self.note(address, "udp", peer, p)

        def liar(data):
            with socket.socket(s.family, socket.SOCK_DGRAM) as other:
                other.sendto(data, peer)

        if mode != "silent":
            self.answer(address, False, p, lambda data: s.sendto(data, peer), liar)

    def tcp(self, c):
        address, peer, mode, got = self.conns[c]
        data = c.recv(4096)
        got += data
        if not data:
            del self.conns[c]
            return c.close()
        self.conns[c] = (address, peer, mode, got)
        if len(got) >= 2 and len(got) - 2 >= struct.unpack(">H", got[:2])[0]:
            p = got[2:]
            self.conns[c] = (address, peer, mode, b"")
            self.note(address, "tcp", peer, p)
            if mode != "silent":
                self.answer(address, True, p, lambda data: c.sendall(struct.pack(">H", len(data)) + data), None)
        return None

    def run(self):
        print("ready", flush=True)
        while True:
            wait = max(0.0, min([t for t, _ in self.later], default=time.monotonic() + 10) - time.monotonic())
            for s in select.select([*self.socks, *self.conns], [], [], wait)[0]:
                try:
                    if s in self.conns:
                        self.tcp(s)
                    elif self.socks[s][1] == socket.SOCK_STREAM:
                        c, peer = s.accept()
                        self.conns[c] = (self.socks[s][0], peer, self.socks[s][2], b"")
                    else:
                        self.udp(s)
                except OSError:
                    pass  # the asker has gone
            due = [x for x in self.later if x[0] <= time.monotonic()]
            self.later = [x for x in self.later if x not in due]
            for _, reply in due:
                try:
                    reply()
                except OSError:
                    pass


if __name__ == "__main__":
    random.seed()
    Upstream(sys.argv[1], sys.argv[2:]).run()
