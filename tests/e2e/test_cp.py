# SPDX-License-Identifier: Apache-2.0
"""cp, diff, export and commit by the command line: coffer's, the newest docker's on PATH and Debian's 20.10, by the same tests. The classes at the end
differ in the program alone."""

import hashlib
import io
import itertools
import json
import os
import stat
import subprocess
import tarfile
import unittest

import coffer
import daemon
import docker_cli
import images
import test_docker_py
from images import Entry

STAYS = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


def listing(root):
    """{relative path: facts} of a tree, hard links by their first name."""
    found, seen = {}, {}
    for folder, dirs, files in os.walk(root):
        dirs.sort()
        for name in sorted(dirs + files):
            p = os.path.join(folder, name)
            st = os.lstat(p)
            kind = stat.S_IFMT(st.st_mode)
            what = os.readlink(p) if stat.S_ISLNK(st.st_mode) else None
            if stat.S_ISREG(st.st_mode):
                with open(p, "rb") as f:
                    what = hashlib.sha256(f.read()).hexdigest()
            rel = os.path.relpath(p, root)
            link = seen.setdefault(st.st_ino, rel) if stat.S_ISREG(st.st_mode) else None
            found[rel] = (kind, oct(st.st_mode & 0o1777) if not stat.S_ISLNK(st.st_mode) else None, what, link)
    return found


class Cp:
    """@program: how the command line is called."""

    program = None
    ours = False
    NOT_THERE = "Could not find the file {} in container"
    count = itertools.count()

    @classmethod
    def setUpClass(cls):
        if not cls.ours and (cls.program is None or not os.path.exists(cls.program)):
            raise unittest.SkipTest("no such docker here")
        super().setUpClass()
        cls.client_env = dict(cls.env, DOCKER_HOST="unix://" + cls.sock, DOCKER_CONFIG=os.path.join(cls.scratch, "docker"), DOCKER_CLI_HINTS="false")

    def setUp(self):
        super().setUp()
        self.dir = os.path.join(self.scratch, f"w{next(self.count)}")
        os.mkdir(self.dir)

    def tool(self, *args, check=True, input=None, cwd=None):
        argv = ([*self.command] if self.ours else [self.program]) + [str(a) for a in args]
        stdin = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        p = subprocess.run(argv, env=self.client_env, capture_output=True, timeout=120, cwd=cwd or self.dir, **stdin)
        if check and p.returncode != 0:
            raise AssertionError(f"$ {' '.join(argv)}: {p.returncode}\n{p.stdout[:2000]}{p.stderr[:2000]}")
        p.err = p.stderr.decode(errors="replace")
        return p

    def refused(self, words, *args, **kw):
        p = self.tool(*args, check=False, **kw)
        self.assertEqual(p.returncode, 1, p)
        self.assertIn(words, p.err)

    def up(self, **kw):
        return self.started("sh", "-c", STAYS, name=f"cp{next(self.count)}", **kw)

    def inside(self, cid, script):
        return self.coffer("exec", cid, "sh", "-c", script).out

    def make(self, name="src"):
        """A tree of one of everything that both sides can hold."""
        root = os.path.join(self.dir, name)
        os.makedirs(os.path.join(root, "sub", "deep"))
        for path, text, mode in (("one", "1", 0o755), ("sub/two", "2" * 70000, 0o640), ("sub/deep/\u00e4 b", "u", 0o600), ("two\nlines", "n", 0o644), ("empty", "", 0o400), ("l" * 200, "long", 0o644)):
            with open(os.path.join(root, path), "w") as f:
                f.write(text)
            os.chmod(os.path.join(root, path), mode)
        os.link(os.path.join(root, "one"), os.path.join(root, "zhard"))
        os.symlink("one", os.path.join(root, "sym"))
        os.symlink("/nowhere/at/all", os.path.join(root, "dangling"))
        os.mkdir(os.path.join(root, "sticky"))
        os.chmod(os.path.join(root, "sticky"), 0o1777)
        os.utime(os.path.join(root, "one"), (1600000000, 1600000000))
        return root

    def path(self, name):
        return os.path.join(self.dir, name)

    def test_there_and_back(self):
        """Into a running and a stopped container and out again: the same tree."""
        src = self.make()
        running, stopped = self.up(), self.create("sh")
        for i, cid in enumerate((running, stopped)):
            self.tool("cp", src, f"{cid}:/tree")
            self.tool("cp", f"{cid}:/tree", self.path(f"back{i}"))
            self.assertEqual(listing(self.path(f"back{i}")), listing(src))
            self.assertEqual(int(os.stat(self.path(f"back{i}/one")).st_mtime), 1600000000)
        self.assertEqual(self.inside(running, "cat /tree/zhard; readlink /tree/dangling; stat -c '%a %h' /tree/one /tree/sticky | head -1"), "1/nowhere/at/all\n755 2\n")

    def test_where_it_ends_up_in_a_container(self):
        """docker's table (docker cp --help, "Corresponding paths")."""
        self.make()
        cid = self.up()
        self.inside(cid, "mkdir /is; echo f > /file")
        for src, dst, want in (("src", "/new", "/new/one"), ("src", "/is", "/is/src/one"), ("src/", "/is/x", "/is/x/one"), ("src/.", "/is/y", "/is/y/one"), ("src/.", "/is", "/is/one"), ("src/one", "/plain", "/plain"),
                               ("src/one", "/is/under", "/is/under"), ("src/one", "/is/", "/is/one"), ("src/one", "/file", "/file"), ("./src/one", "is/relative", "/is/relative"), ("src/sym", "/is/link", "/is/link")):
            with self.subTest(src=src, dst=dst):
                self.tool("cp", src, f"{cid}:{dst}")
                self.assertTrue(self.inside(cid, f"test -L {want} || cat {want}").strip() in ("1", ""), want)
        self.assertEqual(self.inside(cid, "readlink /is/link"), "one\n")
        self.tool("cp", "-L", "src/sym", f"{cid}:/is/followed")
        self.assertEqual(self.inside(cid, "cat /is/followed"), "1")
        self.inside(cid, "ln -s /is /to-dir; ln -s /file /to-file")
        self.tool("cp", "src/one", f"{cid}:/to-dir/through")
        self.assertEqual(self.inside(cid, "cat /is/through"), "1")
        self.refused("cannot copy directory", "cp", "src", f"{cid}:/file")
        self.refused("no such directory", "cp", "src/one", f"{cid}:/nodir/")
        self.refused(self.NOT_THERE.format("/nodir"), "cp", "src/one", f"{cid}:/nodir/x")
        self.refused("no such file", "cp", "nosuch", f"{cid}:/") if not self.ours else self.refused("No such file", "cp", "nosuch", f"{cid}:/")

    def test_where_it_ends_up_here(self):
        cid = self.up()
        self.inside(cid, "mkdir -p /d/sub; echo 1 > /d/one; ln -s one /d/sym; ln -s d /to-dir")
        os.mkdir(self.path("is"))
        with open(self.path("file"), "w") as f:
            f.write("old")
        for src, dst, want in (("/d", "new", "new/one"), ("/d", "is", "is/d/one"), ("/d/.", "is/y", "is/y/one"), ("/d/.", "is", "is/one"), ("/d/one", "plain", "plain"), ("/d/one", "is/", "is/one"), ("/d/one", "file", "file"),
                               ("d/one", "./relative", "relative"), ("/to-dir/", "is/z", "is/z/one"), ("/to-dir/one", "q", "q")):
            with self.subTest(src=src, dst=dst):
                self.tool("cp", f"{cid}:{src}", dst)
                with open(self.path(want)) as f:
                    self.assertEqual(f.read(), "1\n")
        self.tool("cp", f"{cid}:/d/sym", "link")
        self.assertEqual(os.readlink(self.path("link")), "one")
        self.tool("cp", "-L", f"{cid}:/d/sym", "followed")
        with open(self.path("followed")) as f:
            self.assertEqual(f.read(), "1\n")
        self.tool("cp", "-L", f"{cid}:/d/sym", "is/")
        self.assertTrue(os.path.isfile(self.path("is/sym")) and not os.path.islink(self.path("is/sym")))
        self.refused("cannot copy directory", "cp", f"{cid}:/d", "file")
        self.refused("no such directory", "cp", f"{cid}:/d/one", "nodir/")
        self.refused('invalid output path: directory "', "cp", f"{cid}:/d/one", "nodir/x")
        self.refused(self.NOT_THERE.format("/nope"), "cp", f"{cid}:/nope", ".")
        self.refused("No such container", "cp", "nosuch:/x", ".")

    def test_tar_streams(self):
        cid = self.up()
        data = images.tar([Entry.dir("d"), Entry.file("d/f", "x", uid=7), Entry.link("d/g", "d/f")])
        self.tool("cp", "-", f"{cid}:/tmp", input=data)
        self.assertEqual(self.inside(cid, "stat -c '%u %h' /tmp/d/g"), "7 2\n")
        out = self.tool("cp", f"{cid}:/tmp/d", "-").stdout
        with tarfile.open(fileobj=io.BytesIO(out)) as t:
            self.assertEqual([(m.name, m.uid) for m in t], [("d", 0), ("d/f", 7), ("d/g", 7)])
        self.refused("must be a directory", "cp", "-", f"{cid}:/etc/passwd", input=data)

    def test_refused(self):
        cid = self.up()
        self.refused("copying between containers is not supported", "cp", f"{cid}:/etc", f"{cid}:/tmp")
        self.refused("must specify at least one container source", "cp", "a", "b")
        ro = self.up(host={"ReadonlyRootfs": True})
        self.make()
        self.refused("container rootfs is marked read-only", "cp", "src", f"{ro}:/x")

    def test_owners(self):
        self.make()
        cid = self.up(User="alice")
        self.tool("cp", "-a", "src", f"{cid}:/tmp/mine")
        self.assertEqual(self.inside(cid, "stat -c '%u:%g' /tmp/mine /tmp/mine/one"), "1000:1000\n1000:1000\n")

    def test_big(self):
        cid = self.up()
        with open(self.path("big"), "wb") as f:
            for i in range(64):
                f.write(os.urandom(1 << 20))
        self.tool("cp", "big", f"{cid}:/tmp")
        self.tool("cp", f"{cid}:/tmp/big", "again")
        self.assertEqual(subprocess.run(["cmp", self.path("big"), self.path("again")], check=False).returncode, 0)

    def test_diff_export_commit(self):
        cid = self.up()
        self.make()
        self.tool("cp", "src", f"{cid}:/new")
        self.inside(cid, "rm /etc/group; touch /etc/added")
        lines = self.tool("diff", cid).stdout.decode(errors="surrogateescape").splitlines()
        self.assertEqual([x for x in lines if "new" not in x and x != "lines"], ["C /etc", "A /etc/added", "D /etc/group"])
        self.assertIn("A /new/sub/two", lines)
        self.tool("export", "-o", "out.tar", cid)
        piped = self.tool("export", cid).stdout
        with open(self.path("out.tar"), "rb") as f:
            self.assertEqual(f.read(), piped)
        with tarfile.open(fileobj=io.BytesIO(piped)) as t:
            names = t.getnames()
        self.assertIn("new/sub/two", names)
        self.assertNotIn("etc/group", names)
        image = self.tool("commit", "-a", "me", "-m", "why", "-c", "ENV X=1", "-c", 'CMD ["cat", "/new/one"]', cid, "mine/it:1").stdout.decode().strip()
        self.assertRegex(image, "^sha256:[0-9a-f]{64}$")
        self.addCleanup(self.api, "DELETE", "/images/mine/it:1?force=1")
        self.assertEqual(self.coffer("run", "--rm", "--network", "none", "mine/it:1").out, "1")
        doc = json.loads(self.tool("image", "inspect", "mine/it:1").stdout)[0]
        self.assertEqual((doc["Author"], doc["Config"]["Cmd"], "X=1" in doc["Config"]["Env"]), ("me", ["cat", "/new/one"], True))
        self.tool("commit", "--pause=false", cid)
        again = self.create("sh", image="mine/it:1")
        self.tool("cp", f"{again}:/new", "from-image")
        self.assertEqual(listing(self.path("from-image")), listing(self.path("src")))


class Coffer(Cp, daemon.DaemonTest):
    ours = True

    def test_words(self):
        self.make()
        cid = self.create("sh")
        self.assertEqual(self.tool("cp", "src/one", f"{cid}:/x").err, "")  # no terminal, no progress
        t = self.tty("cp", self.path("src"), f"{cid}:/y")
        t.expect(rb"Successfully copied [0-9.]+kB to " + cid.encode() + rb":/y\r\n")
        self.assertEqual(t.wait(), 0)
        t = self.tty("cp", "-q", f"{cid}:/y", self.path("z"))
        self.assertEqual((t.wait(), t.text), (0, ""))
        t = self.tty("cp", f"{cid}:/y", "-")
        self.assertEqual(t.wait(), 1)
        self.assertIn("cowardly refusing", t.text)

    def test_what_comes_out_is_harmless(self):
        """As root, without --archive, nothing on the host gets more rights than the user gave it (CVE-2018-1002100 and its kin)."""
        cid = self.up()
        capable = {"SCHILY.xattr.security.capability": b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".decode("latin-1")}
        self.tool("cp", "-", f"{cid}:/tmp", input=images.tar([Entry.dir("d", 0o2755), Entry.file("d/suid", "x", 0o6755, uid=1000), Entry.file("d/cap", "x", 0o755, pax=capable)]))
        self.tool("cp", f"{cid}:/tmp/d", "plain")
        st = os.stat(self.path("plain/suid"))
        self.assertEqual((oct(st.st_mode & 0o7777), st.st_uid, os.listxattr(self.path("plain/cap"))), ("0o755", 0, []))
        self.tool("cp", "-a", f"{cid}:/tmp/d", "whole")
        st = os.stat(self.path("whole/suid"))
        self.assertEqual((oct(st.st_mode & 0o7777), st.st_uid, os.listxattr(self.path("whole/cap"))), ("0o6755", 1000, ["security.capability"]))

    def test_archives_that_lie(self):
        """An engine, or something in between, that answers with more than was asked for."""
        import socketserver
        import threading
        canary = coffer.Canary(self.dir)
        up = "../" * 12 + canary.path.lstrip("/")
        answers = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while self.rfile.readline().strip():
                    pass
                header = "eyJuYW1lIjoieCIsInNpemUiOjAsIm1vZGUiOjIxNDc0ODQxNDEsIm10aW1lIjoiIiwibGlua1RhcmdldCI6IiJ9"
                self.wfile.write(f"HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: {header}\r\nConnection: close\r\n\r\n".encode() + answers[-1])

        path = self.path("sock")
        with socketserver.UnixStreamServer(path, Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for entries in ([Entry.dir("x"), Entry.file(up + "/new", "x")], [Entry.dir("x"), Entry.symlink("x/l", canary.path), Entry.file("x/l/new", "x")], [Entry.dir("x"), Entry.link("x/h", up + "/file")],
                            [Entry.dir("x"), Entry.symlink("x/l", "."), Entry.file("x/l/new", "x")], [Entry.dir("x"), Entry.file("other", "x")], [Entry.dir("x"), Entry.file("xother", "x")],
                            [Entry.dir("x"), Entry.file("/etc/cron.d/new", "x")]):
                answers.append(images.tar(entries))
                out = os.path.join(self.dir, f"o{len(answers)}")
                os.mkdir(out)
                p = self.tool("-H", "unix://" + path, "cp", "c:/x", out, check=False)
                self.assertEqual(p.returncode, 1, (entries[-1].info.name, p))
                self.assertEqual(canary.changes(), {})
                self.assertFalse([n for n in os.listdir(out) if n != "x"])
            answers.append(images.tar([Entry.dir("x"), Entry.node("x/n", "c", 1, 3), Entry.symlink("x/l", canary.path)]))
            self.tool("-H", "unix://" + path, "cp", "c:/x", "fine")
            self.assertEqual(os.listdir(self.path("fine")), ["l"])  # device nodes are not made, links are kept as they are
            server.shutdown()

    def test_embedded_engine(self):
        """Without a daemon: the same."""
        self.daemon.stop()
        self.make()
        cid = self.coffer("create", self.IMAGE, "sh").out.strip()
        self.tool("cp", "src", f"{cid}:/t")
        self.tool("cp", f"{cid}:/t", "back")
        self.assertEqual(listing(self.path("back")), listing(self.path("src")))
        self.coffer("rm", cid)
        self.start_daemon()


class NewestDocker(Cp, daemon.DaemonTest):
    program = docker_cli.newest()


class DebianDocker(Cp, daemon.DaemonTest):
    program = docker_cli.DEBIAN
    NOT_THERE = ":{}\n"


class DockerPyFiles(daemon.DaemonTest):
    def test_archive_diff_export_commit(self):
        source = f"BASE = 'unix://{self.sock}'\n" + test_docker_py.HEAD + """
import io, tarfile
b = io.BytesIO(); t = tarfile.open(fileobj=b, mode='w'); i = tarfile.TarInfo('f'); i.size = 3; t.addfile(i, io.BytesIO(b'abc')); t.close()
k = c.containers.create('busybox', 'sh', network_mode='none')
show(k.put_archive('/tmp', b.getvalue()))
bits, stat = k.get_archive('/tmp/f')
show([stat['name'], stat['size'], stat['mode']])
t = tarfile.open(fileobj=io.BytesIO(b''.join(bits))); show(t.extractfile('f').read().decode())
show(k.diff())
show('tmp/f' in tarfile.open(fileobj=io.BytesIO(b''.join(k.export()))).getnames())
i = k.commit('pyimage', '1', message='m', changes='ENV A=1')
show([i.tags, 'A=1' in i.attrs['Config']['Env']])
try:
    k.get_archive('/nope')
except docker.errors.NotFound as e:
    show(e.explanation)
c.images.remove('pyimage:1'); k.remove()
"""
        p = subprocess.run([test_docker_py.PYTHON, "-c", source], env={"PATH": self.env["PATH"], "HOME": self.scratch, "LANG": "C.UTF-8"}, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        got = [json.loads(line) for line in p.stdout.splitlines()]
        self.assertEqual(got[:-1], [True, ["f", 3, 0o644], "abc", [{"Path": "/tmp", "Kind": 0}, {"Path": "/tmp/f", "Kind": 1}], True, [["pyimage:1"], True]])
        self.assertIn("Could not find the file /nope in container", got[-1])


if __name__ == "__main__":
    unittest.main()
