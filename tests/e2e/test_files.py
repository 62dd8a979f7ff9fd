# SPDX-License-Identifier: Apache-2.0
"""Files of a container over the API: archive (HEAD, GET, PUT), export, changes; what goes in comes out, docker's rules, and nothing else (docs/files.md)."""

import base64
import bz2
import contextlib
import gzip
import io
import itertools
import json
import lzma
import os
import re
import signal
import struct
import subprocess
import tarfile
import time
import urllib.parse

import coffer
import daemon
import images
from images import Entry

STAYS = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"
CAP_NET_BIND = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
PAX = {"SCHILY.xattr.user.note": "a=b\nc", "mtime": "1600000000.25"}


def quote(path):
    return urllib.parse.quote(path)


def pack(entries, **kw):
    return images.tar(entries, **kw)


def members(data):
    """{name: facts} of a tar, as clients see it."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as t:
        for m in t:
            content = t.extractfile(m).read() if m.isreg() else m.linkname if m.islnk() or m.issym() else None
            xattrs = {k: v for k, v in m.pax_headers.items() if k.startswith("SCHILY.xattr.")}
            assert m.name not in found, m.name
            found[m.name] = (m.type, oct(m.mode), m.uid, m.gid, content, xattrs, m.mtime if m.isreg() else None)
    return found


def tree():
    """One of everything, under "t/"."""
    return [
        Entry.dir("t", 0o750, uid=1000, gid=50), Entry.dir("t/empty", 0o1777), Entry.file("t/plain", "plain\n", pax=PAX), Entry.file("t/setuid", "x", 0o4711, uid=1000),
        Entry.file("t/none", "", 0), Entry.file("t/two\nlines", "n"), Entry.file("t/\u00e4\u00f6", "u"), Entry.file("t/" + "l" * 200, "long"), Entry.symlink("t/to-plain", "plain"),
        Entry.symlink("t/dangling", "../../../nowhere"), Entry.symlink("t/abs", "/etc/passwd"), Entry.link("t/zhard", "t/plain"), Entry.fifo("t/fifo", 0o620),
        Entry.file("t/capable", "c", 0o755, pax={"SCHILY.xattr.security.capability": CAP_NET_BIND.decode("latin-1")}), Entry.dir("t/deep", 0o700), Entry.dir("t/deep/er", 0o700), Entry.file("t/deep/er/f", "deep"),
    ]


class FilesTest(daemon.DaemonTest):
    """Helpers."""

    count = itertools.count()

    def name(self):
        return f"n{next(self.count)}"

    def head(self, cid, path):
        a = self.api("HEAD", f"/containers/{cid}/archive?path={quote(path)}")
        return json.loads(base64.b64decode(a.headers["x-docker-container-path-stat"])) if a.status == 200 else a.status

    def get(self, cid, path, check=True):
        a = self.api("GET", f"/containers/{cid}/archive?path={quote(path)}")
        if check:
            self.assertEqual(a.status, 200, str(a))
            return a.body
        return a

    def put(self, cid, path, data, check=True, **query):
        more = "".join(f"&{k}={v}" for k, v in query.items())
        a = self.api("PUT", f"/containers/{cid}/archive?path={quote(path)}{more}", data, {"Content-Type": "application/x-tar"})
        if check:
            self.assertEqual((a.status, a.body), (200, b""), str(a))
        return a

    def up(self, **kw):
        cid = self.started("sh", "-c", STAYS, **kw)
        return cid

    def inside(self, cid, script):
        r = self.coffer("exec", cid, "sh", "-c", script)
        return r.out

    def helpers(self):
        """pids of this class's coffer-files."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.path.basename(os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")) == "coffer-files" and self.daemon.proc.pid in ancestors(int(pid)):
                    found.append(int(pid))
        return found


def ancestors(pid):
    found = []
    while pid > 1:
        with open(f"/proc/{pid}/stat") as f:
            pid = int(f.read().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


class Archive(FilesTest):
    def test_stat(self):
        cid = self.create("sh")
        self.put(cid, "/", pack(tree()))
        for path, name, mode, size in (("/t", "t", 1 << 31 | 0o750, None), ("/t/", "t", 1 << 31 | 0o750, None), ("/t/.", ".", 1 << 31 | 0o750, None), ("/", "/", 1 << 31 | 0o755, None),
                                       ("t/plain", "plain", 0o644, 6), ("/t/setuid", "setuid", 1 << 23 | 0o711, 1), ("/t/empty", "empty", 1 << 31 | 1 << 20 | 0o777, None),
                                       ("/t/fifo", "fifo", 1 << 25 | 0o620, None), ("/t/../t//./plain", "plain", 0o644, 6), ("/t/two\nlines", "two\nlines", 0o644, 1)):
            s = self.head(cid, path)
            self.assertEqual((s["name"], s["mode"]), (name, mode), path)
            if size is not None:
                self.assertEqual(s["size"], size)
            self.assertEqual(s["linkTarget"], "")
        self.assertEqual(self.head(cid, "/t/plain")["mtime"], "2020-09-13T12:26:40.25Z")
        for path, target in (("/t/to-plain", "/t/plain"), ("/t/dangling", "/nowhere"), ("/t/abs", "/etc/passwd")):
            s = self.head(cid, path)
            self.assertEqual((s["mode"] & 1 << 27, s["linkTarget"]), (1 << 27, target))

    def test_not_there(self):
        cid = self.create("sh", name="nothere")
        for path in ("/nope", "/etc/nope/x", "/t/../../../nope"):
            a = self.get("nothere", path, check=False)
            self.assertEqual((a.status, a.message), (404, f"Could not find the file {path} in container nothere"))
            self.assertEqual(self.head("nothere", path), 404)
        a = self.put("nothere", "/nope", pack([]), check=False)
        self.assertEqual((a.status, a.message), (404, "Could not find the file /nope in container nothere"))
        self.assertEqual(self.get(cid, "", check=False).status, 400)
        for a in (self.get("nosuch", "/", check=False), self.put("nosuch", "/", b"", check=False)):
            self.assertEqual((a.status, a.message), (404, "No such container: nosuch"))
        a = self.get(cid, "/etc/passwd/x", check=False)
        self.assertEqual(a.status, 400, str(a))
        self.assertIn("not a directory", a.message)
        self.assertEqual(self.get(cid, "/" + "a/" * 2100, check=False).status, 400)

    def test_names(self):
        cid = self.create("sh")
        self.put(cid, "/", pack([Entry.dir("d"), Entry.file("d/f", "x"), Entry.symlink("l", "d"), Entry.symlink("al", "/d")]))
        for path, want in (("/d", ["d", "d/f"]), ("/d/", ["d", "d/f"]), ("/d/.", [".", "./f"]), ("/d/f", ["f"]), ("/l", ["l"]), ("/l/", ["l", "l/f"]), ("/al/", ["al", "al/f"]), ("/l/.", [".", "./f"]), ("/l/f", ["f"])):
            self.assertEqual(list(members(self.get(cid, path))), want, path)
        self.assertEqual(members(self.get(cid, "/l"))["l"][0], tarfile.SYMTYPE)
        names = list(members(self.get(cid, "/")))
        self.assertTrue(all(n.startswith("/") for n in names[1:]), names[:5])  # tarfile strips the root's own "/" to ""
        self.assertIn("/d/f", names)

    def test_round_trip_running_stopped_paused(self):
        want = members(pack(tree()))
        running, stopped, created, paused = self.up(), self.up(), self.create("sh"), self.up()
        self.api("POST", f"/containers/{stopped}/stop?t=0")
        self.api("POST", f"/containers/{paused}/pause")
        first = None
        for cid in (running, stopped, created, paused):
            self.put(cid, "/", pack(tree()))
            data = self.get(cid, "/t")
            got = members(data)
            self.assertEqual(sorted(got), sorted(want))
            for name, facts in want.items():
                if name != "t/zhard":
                    self.assertEqual(got[name], facts, name)
            self.assertEqual(got["t/zhard"][:5], (tarfile.LNKTYPE, "0o644", 0, 0, "t/plain"))
            names = list(got)
            self.assertEqual(names, sorted(names, key=lambda n: n.encode("utf-8", "surrogateescape").split(b"/")))
            # the same tree gives the same bytes, whatever the container does
            plain = [(m.name, m.size) for m in tarfile.open(fileobj=io.BytesIO(data))]
            first = first or plain
            self.assertEqual(plain, first)
        self.assertEqual(self.inside(running, "stat -c '%u:%g %a' /t /t/setuid; cat /t/zhard; stat -c %h /t/plain"), "1000:50 750\n1000:0 4711\nplain\n2\n")
        self.api("POST", f"/containers/{created}/start")  # what was copied in before the start is there
        self.assertEqual(members(self.get(created, "/t"))["t/plain"], want["t/plain"])

    def test_a_failed_start_keeps_what_was_copied_in(self):
        cid = self.create("/nosuch")
        self.put(cid, "/root", pack([Entry.file("kept", "x")]))
        self.assertEqual(self.state(cid)["Status"], "created")
        self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 400)
        self.assertEqual(list(members(self.get(cid, "/root/kept"))), ["kept"])

    def test_codings(self):
        cid = self.up()
        data = pack([Entry.file("f", b"x" * 100000)])
        zstd = subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout
        for i, body in enumerate((data, gzip.compress(data), zstd)):
            self.put(cid, "/tmp", pack([Entry.dir(f"d{i}")]))
            self.put(cid, f"/tmp/d{i}", body)
            self.assertEqual(len(members(self.get(cid, f"/tmp/d{i}/f"))["f"][4]), 100000)
        for body, word in ((bz2.compress(data), "bzip2"), (lzma.compress(data), "xz")):
            a = self.put(cid, "/tmp", body, check=False)
            self.assertEqual(a.status, 501, str(a))
            self.assertIn(word, a.message)
        a = self.put(cid, "/tmp", b"this is no archive" * 1000, check=False)
        self.assertEqual((a.status, a.message), (400, "not a tar archive"))

    def test_extraction_point(self):
        cid = self.up()
        for path in ("/etc/passwd", "/etc/passwd/x"):
            a = self.put(cid, path, pack([]), check=False)
            self.assertEqual((a.status, a.message), (400, "extraction point is not a directory"))
        # links are followed inside the container
        self.put(cid, "/", pack([Entry.dir("real"), Entry.symlink("link", "/real"), Entry.symlink("up", "../../../real")]))
        self.put(cid, "/link", pack([Entry.file("a", "a")]))
        self.put(cid, "/up", pack([Entry.file("b", "b")]))
        self.put(cid, "/", pack([Entry.file("link/c", "c")]))
        self.assertEqual(self.inside(cid, "ls /real"), "a\nb\nc\n")

    def test_directories_and_others(self):
        cid = self.up()
        self.put(cid, "/tmp", pack([Entry.dir("d", 0o700), Entry.file("d/old", "o"), Entry.file("f", "f")]))
        a = self.put(cid, "/tmp", pack([Entry.file("d", "x")]), check=False, noOverwriteDirNonDir=1)
        self.assertEqual((a.status, a.message), (400, 'cannot overwrite directory "d" with non-directory "d"'))
        a = self.put(cid, "/tmp", pack([Entry.dir("f")]), check=False, noOverwriteDirNonDir="true")
        self.assertEqual((a.status, a.message), (400, 'cannot overwrite non-directory "f" with directory "f"'))
        self.put(cid, "/tmp", pack([Entry.dir("d", 0o755, uid=1000), Entry.file("d/new", "n")]), noOverwriteDirNonDir=1)  # merged
        self.assertEqual(self.inside(cid, "ls /tmp/d; stat -c '%u %a' /tmp/d"), "new\nold\n1000 755\n")
        self.put(cid, "/tmp", pack([Entry.file("d", "x"), Entry.dir("f")]))
        self.assertEqual(self.inside(cid, "cat /tmp/d; stat -c %F /tmp/f"), "xdirectory\n")
        self.put(cid, "/tmp", pack([Entry.symlink("s", "/etc/passwd")]))
        self.put(cid, "/tmp", pack([Entry.file("s", "own")]))  # replaced, not written through
        self.assertEqual(self.inside(cid, "cat /tmp/s; head -1 /etc/passwd"), "ownroot:x:0:0:root:/root:/bin/sh\n")
        self.put(cid, "/tmp", pack([Entry.file("not/there/yet", "x")]))
        self.assertEqual(self.inside(cid, "stat -c '%u:%g %a' /tmp/not/there"), "0:0 755\n")

    def test_owners(self):
        cid = self.up(User="alice:staff")
        self.put(cid, "/tmp", pack([Entry.dir("mine"), Entry.file("mine/f", "x", uid=7, gid=8), Entry.symlink("mine/l", "f")]), copyUIDGID=1)
        self.assertEqual(self.inside(cid, "stat -c '%u:%g' /tmp/mine /tmp/mine/f /tmp/mine/l"), "1000:50\n" * 3)
        self.put(cid, "/tmp", pack([Entry.file("g", "x", uid=7, gid=8), Entry.file("far", "x", uid=65536, gid=4000000000)]))
        self.assertEqual(self.inside(cid, "stat -c '%u:%g' /tmp/g /tmp/far"), "7:8\n65534:65534\n")
        nobody = self.up()  # without a user of its own copyUIDGID changes nothing
        self.put(nobody, "/tmp", pack([Entry.file("f", "x", uid=7, gid=8)]), copyUIDGID=1)
        self.assertEqual(self.inside(nobody, "stat -c '%u:%g' /tmp/f"), "7:8\n")
        a = self.put(self.create("sh", User="nosuch"), "/tmp", pack([Entry.file("f")]), check=False, copyUIDGID=1)
        self.assertIn("unable to find user nosuch", a.message)

    def test_read_only(self):
        for start in (self.up, lambda **kw: self.create("sh", **kw)):
            cid = start(host={"ReadonlyRootfs": True, "Binds": [f"ro{self.name()}:/ro:ro", f"rw{self.name()}:/rw"]})
            for path, words in (("/tmp", "container rootfs is marked read-only"), ("/ro", "mounted volume is marked read-only")):
                a = self.put(cid, path, pack([Entry.file("f", "x")]), check=False)
                self.assertEqual((a.status, a.message), (400, words))
            self.put(cid, "/rw", pack([Entry.file("f", "x")]))
            self.assertEqual(list(members(self.get(cid, "/rw"))), ["rw", "rw/f"])

    def test_volumes_and_tmpfs(self):
        volume = self.name()
        self.addCleanup(self.api, "DELETE", f"/volumes/{volume}?force=1")
        first = self.up(host={"Binds": [f"{volume}:/data"], "Tmpfs": {"/scratch": ""}})
        second = self.create("sh", host={"Binds": [f"{volume}:/data"], "Tmpfs": {"/scratch": ""}})
        self.put(first, "/data", pack(tree()))
        self.assertEqual(members(self.get(second, "/data/t")), members(self.get(first, "/data/t")))
        self.put(first, "/scratch", pack([Entry.file("f", "x")]))
        self.assertEqual(list(members(self.get(first, "/scratch"))), ["scratch", "scratch/f"])
        self.assertEqual(list(members(self.get(second, "/scratch"))), ["scratch"])
        for cid in (first, second):
            names = members(self.api("GET", f"/containers/{cid}/export").body)
            self.assertIn("data", names)
            self.assertFalse([n for n in names if n.startswith(("data/", "scratch/", "proc/", "sys/", "dev/"))])

    def test_kernel_file_systems_are_empty(self):
        cid = self.up()
        for path in ("/proc", "/sys", "/dev"):
            self.assertEqual(list(members(self.get(cid, path))), [path[1:]])
        for path in ("/proc/self/root/etc/passwd", "/proc/1/root", "/proc/1/environ", "/proc/self/environ", "/proc/cpuinfo", "/sys/kernel"):
            self.assertEqual(self.head(cid, path) in (404, 400), True, path)
        self.assertFalse([n for n in members(self.get(cid, "/")) if n.startswith(("/proc/", "/sys/", "/dev/"))])

    def test_big_and_sparse(self):
        """300 MB through a daemon that does not grow by them, and holes stay holes."""
        cid = self.up()

        def rss():
            return int(re.search(r"VmHWM:\s+(\d+)", coffer.read_text(f"/proc/{self.daemon.proc.pid}/status"))[1])

        size = 300 << 20
        before = rss()
        info = tarfile.TarInfo("big")
        info.size, info.mode = size, 0o644
        block = bytes(range(256)) * 4096

        def body():
            yield info.tobuf(tarfile.PAX_FORMAT)
            for _ in range(size // len(block) // 2):
                yield block
            for _ in range(size // len(block) // 2):
                yield bytes(len(block))
            yield bytes(1024)

        c = daemon.UnixConnection(self.sock, 120)
        c.request("PUT", f"/containers/{cid}/archive?path=/tmp", body(), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        self.assertEqual(c.getresponse().status, 200)
        c.close()
        blocks = int(self.inside(cid, "stat -c %b /tmp/big"))
        self.assertLess(blocks * 512, size * 3 // 4)
        r = self.api.stream("GET", f"/containers/{cid}/archive?path=/tmp/big", timeout=120)
        with tarfile.open(fileobj=r, mode="r|") as t:
            m = t.next()
            f = t.extractfile(m)
            for i in range(size // len(block)):
                self.assertEqual(f.read(len(block)) == (block if i < size // len(block) // 2 else bytes(len(block))), True, i)
        r.connection.close()
        self.assertLess(rss() - before, 16 << 10)

    def test_sockets_are_left_out(self):
        cid = self.up()
        self.inside(cid, "mkdir /s; touch /s/f; (timeout 0.5 nc -l -U /s/sock 2>/dev/null || timeout 0.5 nc -lU /s/sock) 2>/dev/null; true")
        self.assertEqual(list(members(self.get(cid, "/s"))), ["s", "s/f"])


class Hostile(FilesTest):
    """Archives and containers that want more than their own files."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.canary = coffer.Canary(cls.scratch)

    def tearDown(self):
        super().tearDown()
        self.assertEqual(self.canary.changes(), {})
        self.assertTrue(coffer.wait_until(lambda: not self.helpers()))

    def test_archives(self):
        cid = self.up()
        canary = self.canary.path
        self.put(cid, "/tmp", pack([Entry.dir("keep")]))
        for what, entries, words in (
            ("dotdot", [Entry.file("../../../" + canary.lstrip("/") + "/new", "x")], "'..' in its name"),
            ("dotdot inside", [Entry.file("a/../../x", "x")], "'..' in its name"),
            ("empty name", [Entry.file("", "x")], "name"),
            ("hard link to outside", [Entry.link("h", "../../etc/passwd")], "'..'"),
            ("hard link to nothing", [Entry.link("h", canary + "/file")], "hard link"),
            ("char node", [Entry.node("n", "c", 1, 3)], "device nodes cannot be made here"),
            ("block node", [Entry.node("n", "b", 8, 0)], "device nodes cannot be made here"),
            ("long part", [Entry.file("x" * 256, "x")], "255"),
        ):
            with self.subTest(what):
                a = self.put(cid, "/tmp/keep", pack(entries), check=False)
                self.assertIn(a.status, (400, 403, 500), str(a))
                self.assertIn(words, a.message)
        # absolute names and links are the container's own
        self.inside(cid, f"mkdir -p {canary}")
        self.put(cid, "/tmp/keep", pack([Entry.file(canary + "/new", "x"), Entry.symlink("out", canary), Entry.file("out/through", "x")]))
        self.assertEqual(self.inside(cid, f"find /tmp/keep{canary} {canary} -type f"), f"/tmp/keep{canary}/new\n{canary}/through\n")

    def test_links_of_the_image(self):
        cid = self.up(image=self.image(replace=[Entry.symlink("mnt", self.canary.path), Entry.symlink("lib", "../../../.." + self.canary.path)]))
        for path in ("/mnt", "/mnt/file", "/mnt/.", "/lib/file"):
            a = self.get(cid, path, check=False)
            if a.status == 200:
                self.assertNotIn(self.canary.SECRET.encode(), a.body)
        a = self.put(cid, "/mnt", pack([Entry.file("new", "x")]), check=False)
        self.assertEqual(a.status, 404, str(a))
        self.inside(cid, f"mkdir -p {self.canary.path}")
        self.put(cid, "/mnt", pack([Entry.file("new", "x")]))
        self.assertEqual(self.inside(cid, f"ls {self.canary.path}"), "new\n")

    def test_programs_and_libraries_of_the_image_are_not_touched(self):
        """CVE-2019-14271, moby CVE-2026-41567: the markers are neither read nor run."""
        script = "#!/bin/sh\necho ran > /ran\n"
        names = [*(f"usr/lib/libnss_{n}.so.2" for n in ("files", "compat", "db")), "lib64/libnss_files.so.2", *(f"usr/bin/{p}" for p in ("xz", "unpigz", "gzip", "zstd", "tar", "bzip2", "ps"))]
        cid = self.up(image=self.image(replace=[Entry.dir("usr/lib"), Entry.dir("lib64"), *(Entry.file(n, script, 0o755) for n in names)]), User="alice")
        root = f"/proc/{self.pid_of(cid)}/root"
        watch = Inotify([os.path.join(root, n) for n in names], Inotify.OPEN | Inotify.ACCESS)
        self.addCleanup(watch.close)
        data = pack([Entry.file("f", b"x" * 70000)])
        for body in (data, gzip.compress(data), lzma.compress(data), bz2.compress(data)):
            self.put(cid, "/tmp", body, check=False, copyUIDGID=1)
        self.get(cid, "/etc")
        self.head(cid, "/usr/bin/tar")
        self.api("GET", f"/containers/{cid}/changes")
        self.api("GET", f"/containers/{cid}/top")
        self.assertEqual(watch.events(), [])
        self.assertEqual(self.head(cid, "/ran"), 404)

    def test_fifos_do_not_hang(self):
        """CVE-2024-9676: whatever becomes a FIFO under the walk."""
        cid = self.started("sh", "-c", "mkdir /r; while :; do rm -rf /r/d /r/f; mkfifo /r/d /r/f; rm -f /r/d /r/f; mkdir /r/d; echo x > /r/d/x; echo y > /r/f; done")
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            a = self.get(cid, "/r", check=False)
            self.assertIn(a.status, (200, 404))
        for name in ("etc/passwd", "etc/group"):
            fifo = self.create("sh", image=self.image(replace=[Entry.fifo(name)]), User="alice")
            a = self.put(fifo, "/tmp", pack([Entry.file("f")]), check=False, copyUIDGID=1)
            self.assertEqual(a.status, 400, str(a))

    def test_helper_is_confined(self):
        """What /proc says of a helper at work, in a running container and for a stopped one."""
        for start in (self.up, lambda: self.create("sh")):
            cid = start()
            self.put(cid, "/tmp", pack([Entry.file("big", bytes(24 << 20))]))
            r = self.api.stream("GET", f"/containers/{cid}/archive?path=/tmp/big")
            try:
                self.assertTrue(coffer.wait_until(lambda: len(self.helpers()) == 2, 15), self.helpers())
                child = max(self.helpers(), key=lambda p: len(ancestors(p)))
                status = coffer.read_text(f"/proc/{child}/status")
                field = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
                self.assertEqual((field["Seccomp"], field["NoNewPrivs"]), ("2", "1"))
                self.assertEqual({int(field[c], 16) & ~(1 << 1) for c in ("CapEff", "CapPrm", "CapBnd")}, {0})  # DAC_OVERRIDE alone, of its own user namespace
                self.assertEqual((int(field["CapInh"], 16), int(field["CapAmb"], 16)), (0, 0))
                uids = set(map(int, field["Uid"].split()))
                self.assertEqual(len(uids), 1)
                self.assertGreaterEqual(uids.pop(), 1 << 20)
                for ns in ("user", "mnt", "pid", "net", "ipc", "uts"):
                    self.assertNotEqual(os.readlink(f"/proc/{child}/ns/{ns}"), os.readlink(f"/proc/self/ns/{ns}"), ns)
                if self.state(cid)["Running"]:
                    pid = self.pid_of(cid)
                    self.assertEqual(os.readlink(f"/proc/{child}/ns/user"), os.readlink(f"/proc/{pid}/ns/user"))
                    self.assertNotEqual(os.readlink(f"/proc/{child}/ns/pid"), os.readlink(f"/proc/{pid}/ns/pid"))
                    self.assertNotIn("coffer-files", self.inside(cid, "ps"))
                links = coffer.fd_links(child)
                self.assertLessEqual(len([n for n in links if int(n) > 2]), 5, links)
                self.assertNotIn(self.env["COFFER_ROOT"], coffer.read_text("/proc/self/mountinfo"))
            finally:
                r.connection.close()
            self.assertTrue(coffer.wait_until(lambda: not self.helpers(), 15), "a client that left ends the helper")

    def test_helper_killed(self):
        for start in (self.up, lambda: self.create("sh")):
            cid = start()
            self.put(cid, "/tmp", pack([Entry.file("big", bytes(24 << 20))]))
            for which in (max, min):
                r = self.api.stream("GET", f"/containers/{cid}/archive?path=/tmp/big")
                self.assertTrue(coffer.wait_until(lambda: len(self.helpers()) == 2, 15))
                os.kill(which(self.helpers(), key=lambda p: len(ancestors(p))), signal.SIGKILL)
                with self.assertRaises(Exception):  # http.client says IncompleteRead or ConnectionReset
                    while r.read(1 << 20):
                        pass
                    raise ConnectionError("no error, but the end: an archive without an end")
                r.connection.close()
                self.assertTrue(coffer.wait_until(lambda: not self.helpers(), 15))
            self.assertEqual(list(members(self.get(cid, "/etc/passwd"))), ["passwd"])
            self.assertEqual(self.api("DELETE", f"/containers/{cid}?force=1").status, 204)

    def test_swapped_paths(self):
        """CVE-2018-15664 and its kin: archive calls in a volume where a directory and a link to the canary change places all the time."""
        rounds = int(os.environ.get("COFFER_RACE_ROUNDS", "1000"))
        swapper = os.path.join(self.scratch, "swap")
        subprocess.run(["cc", "-O2", "-static", "-D_GNU_SOURCE", "-o", swapper, os.path.join(coffer.SOURCE, "tests", "evil", "swap.c")], check=True)
        volume = self.name()
        cid = self.up(host={"Binds": [f"{volume}:/v"]})
        with open(swapper, "rb") as f:
            self.put(cid, "/usr/bin", pack([Entry.file("swap", f.read(), 0o755)]))
        self.put(cid, "/v", pack([Entry.dir("a"), Entry.file("a/file", "own"), Entry.symlink("b", self.canary.path)]))
        self.coffer("exec", "-d", cid, "/usr/bin/swap", "/v/a", "/v/b")
        watch = Inotify([d for d, _, _ in os.walk(self.canary.path)], Inotify.CHANGES)
        self.addCleanup(watch.close)
        conn = daemon.UnixConnection(self.sock, 30)
        self.addCleanup(conn.close)
        archive = pack([Entry.file("file", "own"), Entry.file("d/x", "own")])
        calls = [("GET", "/v/a/", None), ("PUT", "/v/a", archive), ("HEAD", "/v/a/file", None), ("GET", "/v/a/file", None), ("PUT", "/v", pack([Entry.file("a/file", "own")])), ("GET", "/v", None)]
        seen = {}
        for i in range(rounds):
            method, path, body = calls[i % len(calls)]
            try:
                conn.request(method, f"/containers/{cid}/archive?path={path}", body)
                r = conn.getresponse()
                data = r.read()
            except Exception as e:  # an archive that was cut short closes the connection
                data = getattr(e, "partial", b"")
                conn.close()
            else:
                seen[method, r.status] = seen.get((method, r.status), 0) + 1
                self.assertNotIn(r.status, (501,), data)
            self.assertNotIn(self.canary.SECRET.encode(), data)
        self.assertEqual(watch.events(), [])
        self.assertGreater(seen.get(("GET", 200), 0), 0)
        self.assertGreater(seen.get(("PUT", 200), 0), 0, seen)

    def image(self, replace):
        tag = self.name() + ":latest"
        self.coffer("load", "-i", images.variant(tag, replace=replace))
        self.addCleanup(self.api, "DELETE", f"/images/{tag}?force=1")
        return tag

    def pid_of(self, cid):
        return self.state(cid)["Pid"]


class Inotify:
    ACCESS, OPEN = 0x1, 0x20
    CHANGES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800  # MODIFY ATTRIB MOVED_* CREATE DELETE DELETE_SELF MOVE_SELF

    def __init__(self, paths, mask):
        import ctypes
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for p in paths:
            assert self.libc.inotify_add_watch(self.fd, p.encode(), mask) > 0, p

    def events(self):
        found = []
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.fd, 1 << 16)
            while data:
                wd, mask, _, n = struct.unpack_from("iIII", data)
                found.append((wd, hex(mask), data[16:16 + n].rstrip(b"\0").decode()))
                data = data[16 + n:]
        return found

    def close(self):
        os.close(self.fd)


class Faults(FilesTest):
    """Each step that can fail does, and nothing stays; the way of older kernels to the same files."""

    STOPPED = ("view-document", "view-choose", "view-lsm", "view-maps", "view-maps-done", "view-rootfs", "view-volumes", "view-hand-over", "view-await-maps", "view-ids", "view-receive", "view-root", "view-mounts",
               "view-root-options", "view-pivot")

    def restart(self, step):
        self.daemon.stop()
        type(self).env = dict(self.env, COFFER_FAIL_STEP=step)
        self.addCleanup(self.restore)
        self.start_daemon()

    def restore(self):
        if "COFFER_FAIL_STEP" in self.env:
            type(self).env = {k: v for k, v in self.env.items() if k != "COFFER_FAIL_STEP"}
            self.daemon.stop()
            self.start_daemon()

    def test_every_step(self):
        """With an engine of the command's own: one a step."""
        running, stopped = self.up(), self.create("sh")
        self.daemon.stop()
        self.addCleanup(self.start_daemon)
        for args, steps in ((("cp", running + ":/etc", "-"), ("view-enter", "view-minder")), (("cp", stopped + ":/etc", "-"), self.STOPPED), (("diff", stopped), ("view-layer",))):
            for step in steps:
                with self.subTest(step):
                    r = self.coffer(*args, check=False, env={"COFFER_FAIL_STEP": step})
                    self.assertEqual((r.code, r.out), (1, ""), str(r))
                    self.assertRegex(r.err, "made to fail by a test|the archive was cut short")  # or the answer had begun
            self.assertEqual(self.coffer(*args).code, 0)
        self.assertEqual([m for m in coffer.read_text("/proc/self/mountinfo").splitlines() if self.env["COFFER_ROOT"] in m], [])

    def test_overlays_of_older_kernels(self):
        """Linux before 6.13: layers by name, in a mount namespace that ends with the helper."""
        self.restart("feature:overlay-fd")
        cid = self.create("sh")
        self.put(cid, "/", pack(tree()))
        self.assertIn("t/plain", members(self.get(cid, "/t")))
        self.assertIn({"Path": "/t", "Kind": 1}, self.api("GET", f"/containers/{cid}/changes").json())
        self.assertIn("t/plain", members(self.api("GET", f"/containers/{cid}/export").body))

    def test_the_daemon_is_killed(self):
        for start in (self.up, lambda: self.create("sh")):
            cid = start()
            self.put(cid, "/tmp", pack([Entry.file("big", bytes(24 << 20))]))
            r = self.api.stream("GET", f"/containers/{cid}/archive?path=/tmp/big")
            self.assertTrue(coffer.wait_until(lambda: len(self.helpers()) == 2, 15))
            pids = self.helpers()
            self.daemon.proc.kill()
            self.daemon.proc.wait()
            self.assertTrue(coffer.wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 15))
            r.connection.close()
            self.start_daemon()
            self.assertEqual(list(members(self.get(cid, "/etc/passwd"))), ["passwd"])

    def test_a_container_does_not_start_while_it_is_read(self):
        cid = self.create("sh", "-c", STAYS)
        self.put(cid, "/tmp", pack([Entry.file("big", bytes(24 << 20))]))
        r = self.api.stream("GET", f"/containers/{cid}/archive?path=/tmp/big")
        self.assertTrue(coffer.wait_until(lambda: len(self.helpers()) == 2, 15))
        c = daemon.UnixConnection(self.sock, 30)
        c.request("POST", f"/containers/{cid}/start")
        time.sleep(0.2)
        self.assertEqual(self.state(cid)["Status"], "created")
        r.connection.close()
        self.assertEqual(c.getresponse().status, 204)
        c.close()


class Changes(FilesTest):
    def changes(self, cid):
        a = self.api("GET", f"/containers/{cid}/changes")
        self.assertEqual(a.status, 200, str(a))
        return [("CAD"[c["Kind"]], c["Path"]) for c in a.json() or []]

    def test_changes(self):
        script = ("mkdir -p /new/deep; echo x > /new/deep/f; rm /etc/group; echo y >> /etc/passwd; chmod 700 /home; rm -rf /usr; mkdir /usr; touch /usr/n; rm -rf /var; echo z > /var; "
                  "touch /tmp/gone; rm /tmp/gone; echo up; " + STAYS)
        want = [("C", "/etc"), ("D", "/etc/group"), ("C", "/etc/passwd"), ("C", "/home"), ("A", "/new"), ("A", "/new/deep"), ("A", "/new/deep/f"), ("C", "/usr"), ("D", "/usr/bin"), ("A", "/usr/n"), ("C", "/var")]
        cid = self.started("sh", "-c", script)
        self.assertTrue(coffer.wait_until(lambda: self.changes(cid)[-1:] == [("C", "/var")], 15), self.changes(cid))
        self.assertEqual(self.changes(cid), want)
        self.api("POST", f"/containers/{cid}/pause")
        self.assertEqual(self.changes(cid), want)
        self.api("POST", f"/containers/{cid}/unpause")
        self.api("POST", f"/containers/{cid}/stop?t=0")
        self.assertEqual(self.changes(cid), want)

    def test_nothing_changed(self):
        for cid in (self.create("sh"), self.up()):
            self.assertEqual(self.api("GET", f"/containers/{cid}/changes").json(), None)

    def test_copied_up_and_not_written(self):
        cid = self.started("sh", "-c", ": >> /etc/passwd; touch -c -r /etc/passwd /etc/passwd; echo up; " + STAYS)
        self.assertTrue(coffer.wait_until(lambda: "up" in self.api("GET", f"/containers/{cid}/logs?stdout=1").text))
        self.assertEqual(self.changes(cid), [])

    def test_export(self):
        cid = self.up()
        self.put(cid, "/", pack(tree()))
        exported = members(self.api("GET", f"/containers/{cid}/export").body)
        copied = members(self.get(cid, "/t"))
        for name, facts in copied.items():
            self.assertEqual(exported[name], facts, name)
        self.api("POST", f"/containers/{cid}/stop?t=0")
        self.assertEqual(members(self.api("GET", f"/containers/{cid}/export").body), exported)
        self.assertEqual(self.api("GET", "/containers/nosuch/export").status, 404)


class Commit(FilesTest):
    def commit(self, cid, body=None, **query):
        a = self.api("POST", "/commit", body, query={"container": cid, **query})
        self.assertEqual(a.status, 201, str(a))
        self.addCleanup(self.api, "DELETE", f"/images/{a.json()['Id']}?force=1")
        return a.json()["Id"]

    def config(self, image):
        return self.api("GET", f"/images/{image}/json").json()

    def test_what_it_holds(self):
        """cp, export and a container of the committed image show one and the same tree."""
        script = "rm /etc/group; rm -rf /usr; mkdir /usr; touch /usr/n; rm -rf /var; echo z > /var; chmod 700 /home; chown 1000:50 /home"
        cid = self.up()
        self.put(cid, "/", pack(tree()))
        self.inside(cid, script)
        exported = members(self.api("GET", f"/containers/{cid}/export").body)
        image = self.commit(cid, repo="committed", tag="1")
        again = self.create("sh", image=image)
        self.assertEqual(members(self.get(again, "/t")), members(self.get(cid, "/t")))
        got = members(self.api("GET", f"/containers/{again}/export").body)
        mounted = ("etc/hosts", "etc/hostname", "etc/resolv.conf")
        self.assertEqual({k: v for k, v in got.items() if k not in mounted}, {k: v for k, v in exported.items() if k not in mounted})
        self.assertNotIn("etc/group", got)
        self.assertNotIn("usr/bin", got)
        self.assertEqual(self.api("GET", f"/containers/{again}/changes").json(), None)
        # the layer as images carry it
        data = self.api("GET", f"/images/{image}/get").body
        with tarfile.open(fileobj=io.BytesIO(data)) as t:
            manifest = json.load(t.extractfile("manifest.json"))[0]
            layer = members(t.extractfile(manifest["Layers"][-1]).read())
        self.assertEqual({n for n in layer if ".wh." in n}, {"etc/.wh.group", "usr/.wh..wh..opq"})
        self.assertEqual(layer["t/zhard"][:5], (tarfile.LNKTYPE, "0o644", 0, 0, "t/plain"))
        self.assertEqual(layer["t/plain"][5], {"SCHILY.xattr.user.note": "a=b\nc"})
        self.assertEqual(layer["t/capable"][5]["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape"), CAP_NET_BIND)
        self.assertEqual({(v[2], v[3]) for v in layer.values()}, {(0, 0), (1000, 50), (1000, 0)})

    def test_config(self):
        cid = self.started("sh", "-c", STAYS, Env=["A=1", "B=2"], Labels={"l": "1"}, User="alice", WorkingDir="/tmp", ExposedPorts={"80/tcp": {}})
        image = self.commit(cid, repo="configured", author="me <m@e>", comment="said so", changes="ENV A=3")
        c = self.config(image)
        self.assertEqual((c["RepoTags"], c["Author"]), (["configured:latest"], "me <m@e>"))
        cfg = c["Config"]
        self.assertEqual((cfg["User"], cfg["WorkingDir"], cfg["Labels"], cfg["Cmd"], cfg["ExposedPorts"]), ("alice", "/tmp", {"l": "1"}, ["sh", "-c", STAYS], {"80/tcp": {}}))
        self.assertEqual(cfg["Env"][:1], ["A=3"])
        self.assertIn("B=2", cfg["Env"])
        history = self.api("GET", f"/images/{image}/history").json()
        self.assertEqual((history[0]["Comment"], len(history)), ("said so", 2))
        cfg = self.config(self.commit(cid, {"Cmd": ["true"], "User": "bin"}, changes='ENTRYPOINT ["/bin/echo"]'))["Config"]
        self.assertEqual((cfg["Cmd"], cfg["Entrypoint"], cfg["User"]), (["true"], ["/bin/echo"], "bin"))
        cfg = self.config(self.commit(cid, changes='ENTRYPOINT ["/bin/echo"]'))["Config"]
        self.assertEqual((cfg["Cmd"], cfg["Entrypoint"]), (None, ["/bin/echo"]))
        self.assertEqual(self.state(cid)["Status"], "running")

    def test_refused(self):
        cid = self.create("sh")
        for query, words in (({"changes": "FROM x"}, "unknown instruction"), ({"repo": "Bad Name"}, ""), ({"repo": "x@sha256:" + "0" * 64}, "digest")):
            a = self.api("POST", "/commit", query={"container": cid, **query})
            self.assertEqual(a.status, 400, str(a))
            self.assertIn(words, a.message)
        self.assertEqual(self.api("POST", "/commit?container=nosuch").status, 404)

    def test_holes_do_not_fill_the_disk(self):
        cid = self.up()
        self.inside(cid, "truncate -s 8796093022208 /hole")
        a = self.api("POST", f"/commit?container={cid}")
        self.assertEqual(a.status, 403, str(a))
        self.assertRegex(a.message, "'hole' and what came before it hold more than [0-9]+ bytes")
        self.assertEqual(self.state(cid)["Status"], "running")

    def test_host_user_namespace(self):
        """Where the operator allows it: the helper has a user namespace all the same, and no capability on the host."""
        self.daemon.stop()
        type(self).env = dict(self.env, COFFER_ALLOW_HOST="userns")
        self.start_daemon()
        for start in (self.up, lambda **kw: self.create("sh", **kw)):
            cid = start(host={"UsernsMode": "host"})
            self.put(cid, "/", pack(tree()))
            self.assertEqual(members(self.get(cid, "/t"))["t/setuid"][:4], (tarfile.REGTYPE, "0o4711", 1000, 0))
            self.assertEqual(self.api("GET", f"/containers/{cid}/changes").json()[0], {"Path": "/t", "Kind": 1})
            self.put(cid, "/tmp", pack([Entry.file("big", bytes(24 << 20))]))
            r = self.api.stream("GET", f"/containers/{cid}/archive?path=/tmp/big")
            self.assertTrue(coffer.wait_until(lambda: len(self.helpers()) == 2, 15))
            child = max(self.helpers(), key=lambda p: len(ancestors(p)))
            self.assertNotEqual(os.readlink(f"/proc/{child}/ns/user"), os.readlink("/proc/self/ns/user"))
            self.assertRegex(coffer.read_text(f"/proc/{child}/status"), r"CapEff:\s+0000000000000002\n")
            r.connection.close()

    def test_pause(self):
        """A running container is frozen meanwhile, unless told otherwise; one that was paused stays so; one that does not run is committed as it lies."""
        cid = self.up()
        since = int(time.time()) - 1
        self.commit(cid, pause="1")
        self.commit(cid, pause="0")
        got = [json.loads(line)["Action"] for line in self.api("GET", "/events", query={"since": str(since), "until": str(int(time.time()) + 1), "filters": {"container": [cid]}}).text.splitlines()]
        self.assertEqual([a for a in got if a in ("pause", "unpause", "commit")], ["pause", "unpause", "commit", "commit"])
        self.api("POST", f"/containers/{cid}/pause")
        self.commit(cid)
        self.assertEqual(self.state(cid)["Status"], "paused")
        self.api("POST", f"/containers/{cid}/unpause")
        self.api("POST", f"/containers/{cid}/stop?t=0")
        self.commit(cid)
        self.commit(self.create("sh"))


if __name__ == "__main__":
    import unittest
    unittest.main()
