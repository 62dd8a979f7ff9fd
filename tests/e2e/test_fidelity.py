# SPDX-License-Identifier: Apache-2.0
"""What an image holds is the same whoever carries it: trees compared, file by file, between coffer, podman, buildah and skopeo, in both directions; and between containers
that had different host ids."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile
import unittest

import coffer
import images
import registries

CAPABLE = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service=ep
NANO = 1700000001_123456789
LONG = "n" * 200


def run(*argv, **kw):
    p = subprocess.run(argv, capture_output=True, timeout=300 * coffer.SLOW, **kw)
    if p.returncode != 0:
        raise AssertionError(f"$ {argv}\n{p.stdout[-2000:]!r}\n{p.stderr[-2000:]!r}")
    return p.stdout


def listing(root):
    """{path: facts} of a tree on disk, all as bytes; names of one file are told by the first of them. Device nodes are left out: coffer drops them."""
    root = os.fsencode(root)
    found, first = {}, {}
    for top, dirs, files in os.walk(root):
        dirs.sort()
        for name in sorted(dirs + files):
            full = os.path.join(top, name)
            rel, st = os.path.relpath(full, root), os.lstat(full)
            if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
                continue
            content = b""
            if stat.S_ISLNK(st.st_mode):
                content = os.readlink(full)
            elif stat.S_ISREG(st.st_mode):
                with open(full, "rb") as f:
                    content = hashlib.file_digest(f, "sha256").digest()
            xattrs = {a: os.getxattr(full, a, follow_symlinks=False) for a in os.listxattr(full, follow_symlinks=False) if a.startswith("user.") or a == "security.capability"}
            twin = first.setdefault(st.st_ino, rel) if st.st_nlink > 1 and not stat.S_ISDIR(st.st_mode) else rel
            found[rel] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_size if stat.S_ISREG(st.st_mode) else 0, content, st.st_mtime_ns, xattrs, twin)
    return found


def by_podman(tree):
    """What podman 4.3 can hold of a listing: no attribute without a value, no time before 1970."""
    return {name: (*f[:5], max(f[5], 0), {k: v for k, v in f[6].items() if v}, f[7]) for name, f in tree.items()}


def make(top):
    """A directory f/ below @top with one of everything."""
    def at(name):
        path = os.path.join(top, "f", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def file(name, data=b"data", mode=0o644, uid=0, gid=0, ns=NANO):
        with open(at(name), "wb") as f:
            f.write(data)
        os.chown(at(name), uid, gid)
        os.chmod(at(name), mode)
        os.utime(at(name), ns=(ns, ns))

    file("plain")
    file("owned", uid=1000, gid=50, mode=0o640)
    file("owned-high", uid=65534, gid=65535)
    for mode in (0o4755, 0o2755, 0o1644, 0o6711, 0o000):
        file(f"mode-{mode:o}", mode=mode, uid=7, gid=8)
    file("capable", mode=0o755)
    os.setxattr(at("capable"), "security.capability", CAPABLE)
    file("noted")
    os.setxattr(at("noted"), "user.note", b"a=b\nc\x00\xff")
    os.setxattr(at("noted"), "user.empty", b"")
    file("linked")
    os.link(at("linked"), at("a-link"))
    os.link(at("linked"), at("sub/link-of-it"))
    os.symlink("/no/where/" + "x" * 300, at("soft"))
    os.symlink("plain", at("soft-owned"))
    os.chown(at("soft-owned"), 5, 6, follow_symlinks=False)
    os.mkfifo(at("pipe"), 0o622)
    os.chmod(at("pipe"), 0o622)
    os.mknod(at("node"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    file(f"{LONG}/{LONG}/deep")
    file("bad\udcff\udcfename")
    file("line\nbreak \"quoted\" \\ ünïcode")
    with open(at("sparse"), "wb") as f:
        f.truncate(3 << 20)
        f.seek(1 << 20)
        f.write(b"island")
    file("empty", b"")
    file("old", ns=1)
    file("before", ns=-86400 * 10**9)
    file("far", ns=5000000000 * 10**9)
    os.makedirs(at("d-sticky"))
    os.chmod(at("d-sticky"), 0o1777)
    os.makedirs(at("d-setgid"))
    os.chown(at("d-setgid"), 1000, 1000)
    os.chmod(at("d-setgid"), 0o2750)
    os.setxattr(at("d-setgid"), "user.dir", b"yes")
    os.makedirs(at("gone/deep"))
    file("gone/deep/file")
    file("covered/below")
    for path, dirs, _ in os.walk(os.path.join(top, "f"), topdown=False):
        for d in [os.path.join(path, x) for x in dirs] + [path]:
            os.utime(d, ns=(NANO, NANO))


def pack(top, *flags):
    """As GNU tar writes it: pax, every attribute, times to the nanosecond."""
    return run("tar", "--format=posix", *flags, "--xattrs", "--xattrs-include=*", "--numeric-owner", "--sort=name", "-C", top, "-cf", "-", "f")


class Fidelity(coffer.CofferTest):
    NEEDS_IMAGE = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = os.path.join(cls.scratch, "source")
        make(cls.source)
        cls.rich = pack(cls.source)  # podman 4.3 cannot give a layer back that has a sparse file
        cls.coffer_("load", "-q", "-i", images.docker_archive([images.busybox_entries(), cls.rich], ["rich:1"]))
        cls._remember_containers()
        cls.reg = registries.Registry(cls.scratch)
        cls.stores = []

    @classmethod
    def tearDownClass(cls):
        cls.reg.close()
        for path in cls.stores:
            shutil.rmtree(path, True)
        super().tearDownClass()

    def podman(self):
        """podman with a store of its own: a function that runs it."""
        base = os.path.join(self.scratch, f"podman{len(self.stores)}")
        self.stores.append(base)
        return lambda *args, **kw: run("podman", "--root", base + "/root", "--runroot", base + "/run", "--storage-driver", "vfs", *args, **kw)

    def shown(self, ref):
        """What a container of @ref has below /f, by export."""
        cid = self.coffer("create", "--network", "none", ref, "true").word
        top = os.path.join(self.scratch, self.unique("shown"))
        os.mkdir(top)
        try:
            data = run(self.stage.coffer, "export", cid, env=self.env)
            run("tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-p", "-C", top, "-xf", "-", input=data)
            self.assertFalse(os.path.lexists(os.path.join(top, "f/node")), "a device came along")
            return listing(os.path.join(top, "f"))
        finally:
            shutil.rmtree(top)
            self.coffer("rm", cid)

    def mounted(self, podman, ref):
        """The same of an image of podman's, as it lies on disk."""
        return listing(os.path.join(podman("image", "mount", ref).decode().strip(), "f"))

    def assertSame(self, got, want, what=""):
        self.assertEqual(sorted(got), sorted(want), what)
        for name in want:
            self.assertEqual(got[name], want[name], f"{what}: {name!r}")

    def inspect(self, ref):
        return self.coffer("image", "inspect", ref).json()[0]

    # -- one archive, read by everybody ----------------------------------------------------------------------------------

    def test_what_was_packed_comes_out(self):
        want = listing(os.path.join(self.source, "f"))
        self.assertGreater(len(want), 30)
        self.assertSame(self.shown("rich:1"), want, "coffer's load and export")
        self.coffer("load", "-q", "-i", images.docker_archive([images.busybox_entries(), pack(self.source, "--sparse")], ["holes:1"]))
        self.assertSame(self.shown("holes:1"), want, "a sparse archive")
        self.coffer("rmi", "holes:1")
        path = os.path.join(self.scratch, "rich.tar")
        with open(path, "wb") as f:
            f.write(self.rich)
        self.coffer("import", path, "imported:1")
        self.assertSame(self.shown("imported:1"), want, "coffer's import")
        self.coffer("rmi", "imported:1")

    # -- made by coffer ----------------------------------------------------------------------------------------------------

    CHANGE = ("cd /f && rm plain && rm -r gone && rm -r covered && mkdir covered && echo new >covered/new && mkdir -p gone2/x && chown 1000:50 empty && chmod 4711 empty && ln owned owned-too"
              " && cp -a d-setgid d-copy && mv noted moved && chmod 711 d-sticky && echo more >>old && find . -exec touch -h -d @1600000000 {} +")

    def committed(self, ref, *flags):
        """@ref: rich:1 with changes by a container that was started with @flags. Return: lines of its diff below /f."""
        cid = self.coffer("run", "-d", "--network", "none", *flags, "rich:1", "sh", "-c", self.CHANGE + "; exec sleep 1000").word
        self.addCleanup(self.coffer_, "rm", "-f", cid, check=False)
        done = ["exec", cid, "sh", "-c", "[ $(stat -c %Y /f) = 1600000000 ] && [ -d /f/gone2 ]"]
        self.assertTrue(coffer.wait_until(lambda: self.coffer(*done, check=False).code == 0, 20), self.coffer("logs", cid).err)
        with open(os.path.join(self.scratch, "in.tar"), "wb") as f:
            f.write(images.tar([images.Entry.file("late", "x", uid=3, gid=4, mode=0o2750, pax={"SCHILY.xattr.user.colour": "red", "mtime": "1600000000.5"})]))
        with open(os.path.join(self.scratch, "in.tar"), "rb") as f:
            run(self.stage.coffer, "cp", "-a", "-", f"{cid}:/f", env=self.env, stdin=f)
        self.coffer("exec", cid, "touch", "-d", "@1600000000", "/f")
        self.coffer("commit", cid, ref)
        lines = sorted(x for x in self.coffer("diff", cid).lines if x[2:].startswith("/f"))
        self.coffer("rm", "-f", cid)
        return lines

    def test_ids_are_zero_based_whatever_range_it_had(self):
        """diff, commit, save and export of containers with other host ids are the same."""
        found = {}
        for n, flags in enumerate(([], [], ["--userns", "auto:size=131072"], ["--userns", "map", "--uidmap", "0:1900000000:65536", "--gidmap", "0:2000000000:65536"])):
            ref = f"range:{n}"
            diff = self.committed(ref, *flags)
            self.addCleanup(self.coffer_, "rmi", "-f", ref, check=False)
            found[n] = (diff, self.shown(ref), {k: v for k, v in self.layer(ref).items() if k.startswith("f")})
        self.assertIn(b"owned-too", found[0][1])
        self.assertEqual(found[0][1][b"empty"][:3], ("0o104711", 1000, 50))
        self.assertEqual(found[0][1][b"late"][:3] + found[0][1][b"late"][5:7], ("0o102750", 3, 4, 1600000000_500000000, {"user.colour": b"red"}))
        self.assertTrue({"f/.wh.plain", "f/.wh.gone", "f/covered/.wh..wh..opq"} <= set(found[0][2]), found[0][2].keys())
        for n in (1, 2, 3):
            self.assertEqual(found[n][0], found[0][0])
            self.assertSame(found[n][1], found[0][1], n)
            self.assertSame(found[n][2], found[0][2], n)

    def layer(self, ref):
        """{name: facts} of the top layer as save writes it."""
        path = os.path.join(self.scratch, "layer.tar")
        self.coffer("save", "-o", path, ref)
        with tarfile.open(path) as t:
            manifest = json.load(t.extractfile("manifest.json"))[0]
            with tarfile.open(fileobj=t.extractfile(manifest["Layers"][-1]), errors="surrogateescape") as inner:
                return {m.name: (m.type, m.mode, m.uid, m.gid, m.size, m.mtime, m.linkname, m.pax_headers) for m in inner}

    def test_coffer_to_podman_and_back(self):
        self.committed("made:1")
        self.addCleanup(self.coffer_, "rmi", "-f", "made:1", check=False)
        want, before = self.shown("made:1"), self.inspect("made:1")
        ours, theirs, oci = (os.path.join(self.scratch, n) for n in ("ours.tar", "theirs.tar", "theirs-oci.tar"))
        self.coffer("save", "-o", ours, "made:1")
        podman = self.podman()
        podman("load", "-q", "-i", ours)
        podman("tag", before["Id"][7:], "localhost/made:1")
        self.assertSame(self.mounted(podman, "localhost/made:1"), by_podman(want), "loaded by podman")
        podman("save", "-q", "--format", "docker-archive", "-o", theirs, "localhost/made:1")
        podman("save", "-q", "--format", "oci-archive", "-o", oci, "localhost/made:1")
        podman("push", "-q", "--tls-verify=false", "localhost/made:1", f"{self.reg.name}/by-podman:1")
        self.coffer("rmi", "made:1")
        for how, words, ref in (("docker-archive", ("load", "-i", theirs), "localhost/made:1"), ("oci-archive", ("load", "-i", oci), "localhost/made:1"),
                                ("registry", ("pull", "-q", f"{self.reg.name}/by-podman:1"), f"{self.reg.name}/by-podman:1")):
            with self.subTest(how):
                self.coffer(*words)
                after = self.inspect(ref)
                self.assertEqual(after["RootFS"], before["RootFS"])
                self.assertSame(self.shown(ref), want, how)  # podman keeps what it cannot hold in its record of the archive
                if how != "oci-archive":  # whose config podman may write anew
                    self.assertEqual(after["Id"], before["Id"])
                self.coffer("rmi", ref)

    def test_coffer_to_skopeo_and_back(self):
        """Not a bit changes: manifest, config and layers have the digests that they had."""
        self.committed("copied:1")
        ref = f"{self.reg.name}/copied:1"
        self.coffer("tag", "copied:1", ref)
        self.coffer("push", "-q", ref)
        self.addCleanup(self.coffer_, "rmi", "-f", "copied:1", ref, check=False)
        want, before = self.shown(ref), self.inspect(ref)
        digest = before["RepoDigests"][0].split("@")[1]
        archive = os.path.join(self.scratch, "skopeo.tar")
        run("skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false", "--preserve-digests", "docker://" + ref, f"oci-archive:{archive}:copied-again:1")
        self.assertEqual(registries.digest(run("skopeo", "inspect", "--raw", f"oci-archive:{archive}")), digest)
        self.coffer("rmi", "-f", "copied:1", ref)
        self.coffer("load", "-q", "-i", archive)
        self.addCleanup(self.coffer_, "rmi", "-f", "copied-again:1", check=False)
        after = self.inspect("copied-again:1")
        self.assertEqual((after["Id"], after["RootFS"], after["RepoDigests"][0].split("@")[1]), (before["Id"], before["RootFS"], digest))
        self.assertSame(self.shown("copied-again:1"), want)

    # -- made by podman ------------------------------------------------------------------------------------------------------

    def test_podman_to_coffer_and_back(self):
        podman, fresh, last = self.podman(), self.podman(), self.podman()
        path = os.path.join(self.scratch, "to-podman.tar")
        with open(path, "wb") as f:
            f.write(self.rich)
        podman("import", "-q", path, "localhost/theirs:base")
        cid = podman("create", "localhost/theirs:base", "true").decode().strip()
        root = podman("mount", cid).decode().strip()
        os.unlink(os.path.join(root, "f/plain"))
        shutil.rmtree(os.path.join(root, "f/gone"))
        shutil.rmtree(os.path.join(root, "f/covered"))
        os.makedirs(os.path.join(root, "f/covered/new"))
        os.link(os.path.join(root, "f/owned"), os.path.join(root, "f/owned-too"))
        os.setxattr(os.path.join(root, "f/empty"), "user.late", b"1")
        podman("umount", cid)
        podman("commit", "-q", cid, "localhost/theirs:1")
        ref = f"{self.reg.name}/theirs:1"
        podman("push", "-q", "--tls-verify=false", "localhost/theirs:1", ref)
        fresh("pull", "-q", "--tls-verify=false", ref)
        want = self.mounted(fresh, ref)  # as podman unpacks it: the format that it writes may have lost something on the way
        self.assertIn(b"owned-too", want)
        self.assertNotIn(b"plain", want)
        raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", "docker://" + ref)
        self.coffer("pull", "-q", ref)
        self.addCleanup(self.coffer_, "rmi", "-f", ref, check=False)
        doc = self.inspect(ref)
        self.assertEqual(doc["RepoDigests"], [f"{self.reg.name}/theirs@{registries.digest(raw)}"])
        self.assertSame(by_podman(self.shown(ref)), want, "pulled by coffer")
        again = f"{self.reg.name}/theirs-again:1"
        self.coffer("tag", ref, again)
        self.addCleanup(self.coffer_, "rmi", "-f", again, check=False)
        self.coffer("push", "-q", again)
        self.assertEqual(run("skopeo", "inspect", "--raw", "--tls-verify=false", "docker://" + again), raw)
        archive = os.path.join(self.scratch, "back.tar")
        self.coffer("save", "-o", archive, ref)
        last("load", "-q", "-i", archive)
        self.assertSame(self.mounted(last, doc["Id"][7:]), want, "back in podman")

    def test_whole(self):
        """What all of this left in the store is what its blobs say."""
        r = self.coffer("system", "check", check=False)
        self.assertEqual(r.code, 0, str(r))


if __name__ == "__main__":
    unittest.main()
