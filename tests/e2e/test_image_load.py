# SPDX-License-Identifier: Apache-2.0
"""The image room on its own, through tests/tools/image-tool: the tar corpus, broken archives, bombs, interop, races, crashes.

Each refusal must say what and where, leave the store as it was, and leave a canary directory of the host untouched.
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest
import zlib

import images
import tarcorpus
from coffer import SOURCE, scratch_dir
from tarcorpus import BASE, Fs, d, f, h, s, tar

ASAN = True
BUILD = os.path.abspath(os.environ.get("COFFER_BUILD", os.path.join(SOURCE, "build")))
TOOL = os.path.join(BUILD, "tests", "tools", "image-tool")
UNPACK = os.path.join(BUILD, "src", "cmd", "coffer-unpack", "coffer-unpack")


def slurp(path, mode="r"):
    with open(path, mode) as src:
        return src.read()


def listing(top):
    """Everything below @top: kind, mode, owner, size, time, content."""
    found = {}
    for path, dirs, files in os.walk(top):
        for name in dirs + files:
            full = os.path.join(path, name)
            st = os.lstat(full)
            text = slurp(full, "rb") if os.path.isfile(full) and not os.path.islink(full) else os.readlink(full) if os.path.islink(full) else ""
            found[os.path.relpath(full, top)] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, text)
    return found


def sha(data):
    return hashlib.sha256(data).hexdigest()


class ImageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir("coffer-image.")
        cls.store = os.path.join(cls.scratch, "store")
        cls.canary = os.path.join(cls.scratch, "canary")
        os.mkdir(cls.canary)
        with open(os.path.join(cls.canary, "file"), "w") as out:
            out.write("untouched")
        cls.untouched = listing(cls.canary)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.scratch)

    def tearDown(self):
        self.assertEqual(listing(self.canary), self.untouched, "the canary changed")
        if os.path.isdir(os.path.join(self.store, "tmp")):
            self.assertEqual(os.listdir(os.path.join(self.store, "tmp")), [], "something stayed in tmp")

    def tool(self, *args, check=True, input=None, store=None, env=None):
        r = subprocess.run([TOOL, store or self.store, UNPACK, *args], input=input, capture_output=True, timeout=300, env=dict(os.environ, **(env or {})))
        r.out, r.err = r.stdout.decode(), r.stderr.decode(errors="replace")
        if check:
            self.assertEqual(r.returncode, 0, r.err)
        return r

    def write(self, data, name="archive"):
        path = os.path.join(self.scratch, name)
        with open(path, "wb") as out:
            out.write(data)
        return path

    def state(self):
        found = []
        for top in ("blobs/sha256", "layers", "tmp"):
            path = os.path.join(self.store, top)
            found += [os.path.join(top, n) for n in os.listdir(path)] if os.path.isdir(path) else []
        return sorted(found), self.tool("list").out

    def refuse(self, path, *words, verb="load"):
        before = self.state()
        r = self.tool(verb, path, check=False)
        self.assertEqual(r.returncode, 1, f"not refused: {r.out} {r.err}")
        for w in words:
            self.assertIn(w, r.err)
        self.assertNotIn("\x1b", r.err)
        self.assertEqual(self.state(), before)
        return r.err

    def top_layer(self, ref):
        return Fs(self.tool("layers", ref).out.split("\n")[0])

    def load(self, layers, tag="t:1", **kw):
        path = images.docker_archive(layers, [tag], path=os.path.join(self.scratch, "archive"), **kw)
        self.tool("load", path)
        return self.top_layer(tag)


class Corpus(ImageTest):
    def run_case(self, case):
        path = images.docker_archive(list(case.layers), ["case:1"], path=os.path.join(self.scratch, "case.tar"))
        if case.refused is not None:
            words = self.refuse(path, *case.refused)
            self.assertIn(f"layer {len(case.layers)} (", words)
            return
        r = self.tool("load", path, check=False)
        self.assertEqual(r.returncode, 0, r.err)
        try:
            if case.check:
                case.check(self.top_layer("case:1"))
        finally:
            self.tool("rm", "case:1")
        self.assertEqual(os.listdir(os.path.join(self.store, "layers")), [])

    def test_corpus(self):
        cases = tarcorpus.corpus(self.canary)
        self.assertEqual(len({c.name for c in cases}), len(cases))
        for case in cases:
            with self.subTest(case.name):
                self.run_case(case)
                self.assertEqual(listing(self.canary), self.untouched)

    def test_same_layers_compressed(self):
        for case in tarcorpus.replacement() + tarcorpus.whiteouts():
            if case.refused is not None:
                continue
            for how in ("gzip", "zstd"):
                with self.subTest(case.name, how=how):
                    self.tool("load", images.oci_archive(list(case.layers), "case:1", compress=how, path=os.path.join(self.scratch, "case.tar")))
                    case.check(self.top_layer("case:1"))
                    self.tool("rm", "case:1")

    def test_read_as_others_read(self):
        """The same names, kinds and bytes as python's tarfile finds, for archives of every writer here."""
        def fill(top):
            os.makedirs(top + "/a/b")
            for i in range(50):
                with open(f"{top}/a/f{i}", "wb") as out:
                    out.write(os.urandom(i * 97))
            os.link(top + "/a/f1", top + "/a/b/hard")
            os.symlink("../f2", top + "/a/b/soft")
            with open(top + "/" + "n" * 90, "w") as out:
                out.write("x")

        for form in ("gnu", "pax", "ustar", "v7", "oldgnu"):
            data = tarcorpus.gnu_tar(fill, "--format=" + form)
            fs = self.load([data])
            with tarfile.open(fileobj=io.BytesIO(data)) as t:
                want = {os.path.normpath(m.name): m for m in t.getmembers() if os.path.normpath(m.name) != "."}
                self.assertEqual(fs.names(), sorted(want), form)
                for name, m in want.items():
                    if m.isreg() or m.islnk():
                        self.assertEqual(fs.text(name), t.extractfile(m).read(), name)
            self.tool("rm", "t:1")


class Bombs(ImageTest):
    sanitized = os.path.isfile(UNPACK) and b"__asan_init" in slurp(UNPACK, "rb")

    @staticmethod
    def high_water(pid):
        """KiB of memory that a process of ours had at most."""
        try:
            if os.readlink(f"/proc/{pid}/exe") not in (os.path.realpath(UNPACK), os.path.realpath(TOOL)):
                return 0
            return next((int(line.split()[1]) for line in slurp(f"/proc/{pid}/status").splitlines() if line.startswith("VmHWM:")), 0)
        except OSError:
            return 0

    def stored(self):
        """Bytes on disk below the store: others may be using the same disk."""
        return sum(os.lstat(os.path.join(path, name)).st_blocks * 512 for path, _, files in os.walk(self.store) for name in files)

    def limited(self, *words, layer=None, archive=None):
        """Refused, with little memory and the disk as before."""
        before = self.stored()
        if archive is None:
            cfg = images.config_of(["sha256:" + "0" * 64])
            archive = images._write(os.path.join(self.scratch, "bomb.tar"), [("c.json", cfg), ("l.tar", layer), ("manifest.json", json.dumps([{"Config": "c.json", "RepoTags": [], "Layers": ["l.tar"]}]).encode())])
        p = subprocess.Popen([TOOL, self.store, UNPACK, "load", archive], stderr=subprocess.PIPE)
        peak = 0
        while p.poll() is None:  # ru_maxrss would count what this interpreter had before exec
            peak = max([peak] + [rss for rss in map(self.high_water, filter(str.isdigit, os.listdir("/proc")))])
            time.sleep(0.005)
        text = p.stderr.read().decode()
        p.stderr.close()
        self.assertEqual(p.returncode, 1, text)
        for w in words:
            self.assertIn(w, text)
        if not self.sanitized:
            self.assertLess(peak, 64 << 10, "KiB of memory")
        os.unlink(archive)
        self.assertLess(self.stored(), before + (1 << 20))

    def big_file(self, size):
        return tarcorpus.block(b"zeros", size=size)

    def test_ten_gib_of_zeros_gzip(self):
        head = self.big_file(8589934591)
        chunk = gzip.compress(b"\0" * (64 << 20), 9, mtime=0)
        self.limited("layer 1", "compressed more than 200 to 1", layer=gzip.compress(head, mtime=0) + chunk * 160)

    def test_ten_gib_of_zeros_zstd(self):
        chunk = images._zstd(b"\0" * (64 << 20))
        self.limited("layer 1", "compressed more than 200 to 1", layer=images._zstd(self.big_file(8589934591)) + chunk * 160)

    def test_the_outer_archive(self):
        path = os.path.join(self.scratch, "outer.gz")
        with open(path, "wb") as out:
            out.write(gzip.compress(self.big_file(8589934591), mtime=0) + gzip.compress(b"\0" * (64 << 20), 9, mtime=0) * 160)
        self.limited("reading the archive", "compressed more than 200 to 1", archive=path)

    def test_a_million_gzip_members(self):
        self.limited("layer 1", "more than 500000 gzip members", layer=gzip.compress(b"", mtime=0) * 1000000)

    def test_two_million_entries(self):
        """Of one directory, which takes no room: the count alone ends it."""
        z = zlib.compressobj(6, zlib.DEFLATED, -15)
        piece = z.compress(tarcorpus.block(b"d/", b"5", 0) * 8192) + z.flush(zlib.Z_FULL_FLUSH)
        self.limited("layer 1", "more than 2000000 entries", layer=b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + piece * 245)

    def test_zstd_window_of_2_gib(self):
        self.limited("layer 1", "zstd window is larger than 128 MiB", layer=b"\x28\xb5\x2f\xfd\x00\xa8" + b"\1\0\0")

    def test_other_compression(self):
        self.limited("layer 1", "compressed with xz", layer=b"\xfd7zXZ\0" + b"x" * 100)

    def test_damaged_gzip(self):
        good = gzip.compress(tar(f("x", b"d" * 10000)), mtime=0)
        self.limited("gzip data is cut short", layer=good[:-20])
        self.limited("wrong gzip checksum", layer=good[:-8] + b"\0\0\0\0" + good[-4:])
        self.limited("trailing bytes", layer=good + b"garbage")


class Archives(ImageTest):
    """What is around the layers."""

    def docker(self, members):
        return images._write(os.path.join(self.scratch, "docker.tar"), members.items() if isinstance(members, dict) else members)

    def parts(self, **config):
        layer = tar(f("x"))
        cfg = images.config_of(["sha256:" + sha(layer)], **config)
        return {sha(cfg) + ".json": cfg, "l/layer.tar": layer, "manifest.json": json.dumps([{"Config": sha(cfg) + ".json", "RepoTags": ["p:1"], "Layers": ["l/layer.tar"]}]).encode()}

    def oci(self, edit):
        """An OCI archive, taken apart for @edit(index, manifest, blobs) and put together again with right digests for what was not edited."""
        with tarfile.open(images.oci_archive([BASE, tar(f("x"))], "o/o:1", path=os.path.join(self.scratch, "o.tar"))) as t:
            members = {m.name: t.extractfile(m).read() for m in t.getmembers()}
        index = json.loads(members["index.json"])
        name = "blobs/sha256/" + index["manifests"][0]["digest"][7:]
        manifest = json.loads(members.pop(name))
        edit(index, manifest, members)
        data = json.dumps(manifest).encode()
        if index["manifests"] and index["manifests"][0]["digest"] == "sha256:" + name[13:]:
            index["manifests"][0].update(digest="sha256:" + sha(data), size=len(data))
        members["blobs/sha256/" + sha(data)] = data
        members["index.json"] = json.dumps(index).encode()
        return self.docker(members)

    def test_unedited(self):
        self.assertEqual(self.tool("load", self.oci(lambda *a: None)).out, "o/o:1\n")
        self.assertRegex(self.tool("list").out, r"^sha256:[0-9a-f]{64} \d+ o/o:1 o/o@sha256:[0-9a-f]{64}\n$")
        self.assertEqual(self.tool("load", self.docker(self.parts())).out, "p:1\n")
        self.tool("rm", "o/o:1")
        self.tool("rm", "p:1")

    def test_docker_archive(self):
        for name, change, words in (
            ("no manifest", {"manifest.json": None}, ["neither 'manifest.json' nor 'index.json'"]),
            ("repositories only", {"manifest.json": None, "repositories": b"{}"}, ["before 1.10"]),
            ("no layer", {"l/layer.tar": None}, ["image 1", "'l/layer.tar', which is not in the archive"]),
            ("not JSON", {"manifest.json": b"{"}, ["manifest.json", "not valid JSON"]),
            ("no array", {"manifest.json": b"{}"}, ["expected an array"]),
            ("duplicate keys", {"manifest.json": b'[{"Config":"a","Config":"b"}]'}, ["JSON"]),
            ("deep", {"manifest.json": b"[" * 100 + b"]" * 100}, ["nested deeper"]),
            ("empty", {"manifest.json": b"[]"}, ["holds no image"]),
            ("layers out", {"manifest.json": b'[{"Config":"../x","Layers":[]}]'}, ["'..' in its name"]),
            ("too many layers", {"manifest.json": json.dumps([{"Config": "c", "Layers": ["l/layer.tar"] * 128}]).encode()}, ["128 layers, at most 127"]),
            ("bad tag", {"manifest.json": b'[{"Config":"c","RepoTags":["UP:1"],"Layers":[]}]'}, ["RepoTags", "invalid reference format"]),
        ):
            with self.subTest(name):
                members = dict(self.parts(), **change)
                self.refuse(self.docker({k: v for k, v in members.items() if v is not None}), *words)

    def test_wrong_content(self):
        members = self.parts()
        members["l/layer.tar"] = tar(f("other"))
        self.refuse(self.docker(members), "image 1: layer 1 (", "wrong diff id", "sha256:" + sha(members["l/layer.tar"]))
        members = self.parts()
        name = next(iter(members))
        members[name] += b" "
        self.refuse(self.docker(members), name, "wrong digest")

    def test_another_blob_for_a_layer_that_is_there(self):
        """The store's layer stands for blobs that were unpacked to it, and for no others: they would be what the next push of an honest image sends."""
        good = self.parts()
        bad = dict(good, **{"l/layer.tar": tar(f("other"))})
        self.tool("load", self.docker(good))
        before = self.state()
        for env in ({}, {"IMAGE_TOOL_TENANT": "a"}):
            self.assertIn("wrong diff id", self.tool("load", self.docker(bad), check=False, env=env).err)
        self.assertEqual(self.state(), before)
        self.tool("load", self.docker(dict(good, **{"l/layer.tar": gzip.compress(good["l/layer.tar"], mtime=0)})))  # the same in another coding
        self.tool("rm", "p:1")
        twice = json.loads(good["manifest.json"])
        twice.append(dict(twice[0], Layers=["other"], RepoTags=["p:2"]))
        self.refuse(self.docker(dict(good, other=bad["l/layer.tar"], **{"manifest.json": json.dumps(twice).encode()})), "image 2", "wrong diff id")

    def test_layer_count(self):
        members = self.parts()
        manifest = json.loads(members["manifest.json"])
        manifest[0]["Layers"] *= 2
        members["manifest.json"] = json.dumps(manifest).encode()
        self.refuse(self.docker(members), "its config names 1 layers, its manifest 2")

    def test_members_by_name_only(self):
        def build(*extra):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as t:
                for name, data in list(self.parts().items()) + list(extra):
                    info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
                    info.size = 0 if isinstance(data, tarfile.TarInfo) else len(data)
                    t.addfile(info, io.BytesIO(b"" if isinstance(data, tarfile.TarInfo) else data))
            return self.write(out.getvalue())

        def link(name, target, kind=tarfile.SYMTYPE):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            return name, info

        self.refuse(build(("../evil", b"x")), "'..' in its name")
        self.refuse(build(("manifest.json", b"[]")), "twice")
        self.refuse(build(link("more", "../../etc/passwd")), "leads out of the archive")
        self.refuse(build(link("null", "", tarfile.CHRTYPE)), "not devices")
        parts = self.parts()
        parts["real"] = parts.pop("manifest.json")
        self.parts, saved = lambda: parts, self.parts
        self.refuse(build(link("manifest.json", self.canary + "/file")), "which is not in the archive")
        self.refuse(build(link("manifest.json", "manifest.json")), "links in a row")
        self.tool("load", build(link("manifest.json", "real")))  # a name for a name is fine
        self.tool("rm", "p:1")
        self.tool("load", build(link("a", "real"), link("manifest.json", "./x/../a")))
        self.tool("rm", "p:1")
        self.parts = saved

    def test_links_between_layers_as_docker_saved_them(self):
        layer = tar(f("x"))
        cfg = images.config_of(["sha256:" + sha(layer)] * 2)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as t:
            for name, data in (("1/layer.tar", layer), ("c.json", cfg), ("manifest.json", json.dumps([{"Config": "c.json", "RepoTags": ["p:1"], "Layers": ["1/layer.tar", "2/layer.tar"]}]).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
            info = tarfile.TarInfo("2/layer.tar")
            info.type, info.linkname = tarfile.SYMTYPE, "../1/layer.tar"
            t.addfile(info)
        self.tool("load", self.write(out.getvalue()))
        self.assertEqual(len(self.tool("layers", "p:1").out.split()), 2)
        self.tool("rm", "p:1")

    def test_oci(self):
        def blob(members, digest):
            return "blobs/sha256/" + digest[7:]

        def change_layer(i, m, b):
            b[blob(b, m["layers"][0]["digest"])] += b"\0"

        def flip_layer(i, m, b):
            n = blob(b, m["layers"][0]["digest"])
            b[n] = b[n][:-1] + bytes([b[n][-1] ^ 1])

        def index_of(depth):
            def edit(i, m, b):
                inner = json.dumps(m).encode()
                for _ in range(depth):
                    b["blobs/sha256/" + sha(inner)] = inner
                    kind = "manifest" if _ == 0 else "index"
                    inner = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": f"application/vnd.oci.image.{kind}.v1+json", "digest": "sha256:" + sha(inner), "size": len(inner)}]}).encode()
                b["blobs/sha256/" + sha(inner)] = inner
                i["manifests"] = [{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:" + sha(inner), "size": len(inner), "annotations": {"io.containerd.image.name": "docker.io/n/n:1"}}]
            return edit

        def platform(os_, arch):
            return lambda i, m, b: i["manifests"][0].update(platform={"os": os_, "architecture": arch})

        for name, edit, words in (
            ("missing blob", lambda i, m, b: b.pop(blob(b, m["layers"][1]["digest"])), ["image 1", "is missing"]),
            ("wrong size", change_layer, ["wrong size"]),
            ("wrong digest", flip_layer, ["wrong digest"]),
            ("size that lies", lambda i, m, b: m["config"].update(size=5), ["wrong size", "says 5"]),
            ("unknown layer type", lambda i, m, b: m["layers"][1].update(mediaType="application/vnd.oci.image.layer.v9.tar"), ["layers[1]: unknown media type 'application/vnd.oci.image.layer.v9.tar'"]),
            ("artifact", lambda i, m, b: m["config"].update(mediaType="application/vnd.cncf.helm.config.v1+json"), ["artifact"]),
            ("unknown entry type", lambda i, m, b: i["manifests"][0].update(mediaType="application/x-evil"), ["unknown media type 'application/x-evil'"]),
            ("both", lambda i, m, b: m.update(manifests=[]), ["both"]),
            ("index as manifest", lambda i, m, b: i["manifests"][0].update(mediaType="application/vnd.oci.image.index.v1+json"), ["image 1"]),
            ("media types differ", lambda i, m, b: m.update(mediaType="application/vnd.docker.distribution.manifest.v2+json"), ["media type differs"]),
            ("traversal in a digest", lambda i, m, b: m["layers"][0].update(digest="sha256:../../../etc/passwd"), ["digest 'sha256:../../../etc/passwd'"]),
            ("md5", lambda i, m, b: m["layers"][0].update(digest="md5:" + "0" * 32), ["digest 'md5:"]),
            ("upper case", lambda i, m, b: m["layers"][0].update(digest=m["layers"][0]["digest"].upper()), ["lower-case"]),
            ("no layout file", lambda i, m, b: b.pop("oci-layout"), ["no 'oci-layout'"]),
            ("layout 2.0", lambda i, m, b: b.update({"oci-layout": b'{"imageLayoutVersion":"2.0.0"}'}), ["version '2.0.0'"]),
            ("index of a thousand", lambda i, m, b: i.update(manifests=i["manifests"] * 1001), ["1001 entries, at most 1000"]),
            ("no platform of ours", platform("linux", "s390x"), ["no image for linux/", "linux/s390x"]),
            ("windows", platform("windows", "amd64"), ["no image for linux/"]),
            ("nested too deep", index_of(4), ["nested deeper than 2"]),
        ):
            with self.subTest(name):
                self.refuse(self.oci(edit), *words)
        for name, edit, ref in (("nested index", index_of(1), "n/n:1"), ("nested twice", index_of(2), "n/n:1")):
            with self.subTest(name):
                self.assertEqual(self.tool("load", self.oci(edit)).out.strip(), ref)
                self.tool("rm", ref)

    def test_config_is_data(self):
        members = self.parts(HostConfig={"Privileged": True, "Binds": ["/:/host"]}, SecurityOpt=["seccomp=unconfined"], Privileged=True)
        self.tool("load", self.docker(members))
        self.assertIn("Privileged", self.tool("config", "p:1").out)  # kept byte for byte, read by nobody
        self.tool("rm", "p:1")

    def test_truncated_everywhere(self):
        with open(images.docker_archive([BASE, tar(f("x", os.urandom(20000)))], ["cut:1"], path=os.path.join(self.scratch, "whole")), "rb") as src:
            data = src.read()
        end = len(data.rstrip(b"\0"))
        for n in list(range(0, end, 1777)) + [end]:
            self.refuse(self.write(data[:n]))
        packed = gzip.compress(data, 1, mtime=0)
        for n in range(1, len(packed), 2999):
            self.refuse(self.write(packed[:n]))

    def test_multi_image_and_shared_layers(self):
        one, two = tar(f("1")), tar(f("2"))
        c1, c2 = images.config_of(["sha256:" + sha(BASE), "sha256:" + sha(one)]), images.config_of(["sha256:" + sha(BASE), "sha256:" + sha(two)])
        manifest = json.dumps([{"Config": "c1", "RepoTags": ["m:1", "m:also"], "Layers": ["b", "1"]}, {"Config": "c2", "RepoTags": None, "Layers": ["b", "2"]}]).encode()
        out = self.tool("load", self.docker({"c1": c1, "c2": c2, "b": BASE, "1": one, "2": two, "manifest.json": manifest})).out.split()
        self.assertEqual(out, ["m:1", "m:also", "sha256:" + sha(c2)])
        self.assertEqual(len(os.listdir(os.path.join(self.store, "layers"))), 3)
        # nothing is made again
        before = {n: os.stat(os.path.join(self.store, "layers", n)).st_ino for n in os.listdir(os.path.join(self.store, "layers"))}
        self.tool("load", self.docker({"c1": c1, "b": BASE, "1": one, "manifest.json": json.dumps([{"Config": "c1", "RepoTags": ["m:1"], "Layers": ["b", "1"]}]).encode()}))
        self.assertEqual({n: os.stat(os.path.join(self.store, "layers", n)).st_ino for n in os.listdir(os.path.join(self.store, "layers"))}, before)
        self.assertIn("multiple repositories", self.tool("rm", sha(c1)[:12], check=False).err)
        self.assertEqual(self.tool("rm", "m:also").out, "Untagged: m:also\n")
        self.assertIn("Deleted: sha256:" + sha(c1), self.tool("rm", "m:1").out)
        self.assertEqual(len(os.listdir(os.path.join(self.store, "layers"))), 2)
        self.tool("rm", sha(c2)[:12])
        self.assertEqual(self.state(), ([], ""))

    def test_tenants(self):
        path = self.docker(self.parts())
        self.tool("load", path, env={"IMAGE_TOOL_TENANT": "a"})
        self.assertEqual(self.tool("list").out, "")
        other, none = self.tool("find", "p:1", check=False), self.tool("find", "q:1", check=False)
        self.assertEqual(other.err.replace("p:1", "q:1"), none.err)
        self.tool("load", path)
        self.tool("rm", "p:1", env={"IMAGE_TOOL_TENANT": "a"})
        self.assertTrue(self.top_layer("p:1").has("x"))  # the other's layer is still there
        self.tool("rm", "p:1")
        self.assertEqual(self.state(), ([], ""))

    def test_removal_in_use(self):
        self.tool("load", self.docker(self.parts()))
        running, stopped = {"IMAGE_TOOL_IN_USE": "2"}, {"IMAGE_TOOL_IN_USE": "1"}
        self.assertIn("cannot be forced", self.tool("rm", "-f", "p:1", check=False, env=running).err)
        self.assertIn("must be forced", self.tool("rm", "p:1", check=False, env=stopped).err)
        self.assertEqual(self.tool("rm", "-f", "p:1", env=stopped).out, "Untagged: p:1\n")
        self.assertEqual(len(os.listdir(os.path.join(self.store, "layers"))), 1)  # the container keeps it
        self.tool("rm", self.tool("list").out.split()[0])
        self.assertEqual(self.state(), ([], ""))


class Import(ImageTest):
    def test_import(self):
        for data in (BASE, gzip.compress(BASE, mtime=0), images._zstd(BASE)):
            iid = self.tool("import", "-", "imp:1", 'CMD ["/x"]', "ENV A=b", "LABEL k=v", "EXPOSE 80", input=data).out.strip()
            config = json.loads(self.tool("config", "imp:1").out)
            self.assertEqual(config["rootfs"]["diff_ids"], ["sha256:" + sha(BASE)])
            self.assertEqual((config["config"]["Cmd"], config["config"]["Env"], config["config"]["Labels"], config["config"]["ExposedPorts"]), (["/x"], ["A=b"], {"k": "v"}, {"80/tcp": {}}))
            self.assertEqual(self.top_layer("imp:1").text("f"), b"lower")
            self.tool("rm", iid)

    def test_refused(self):
        self.refuse(self.write(BASE.rstrip(b"\0").ljust(len(BASE) // 512 * 512 - 1024, b"\0")[:-1024]), verb="import")
        for n in (0, 100, 512, 1024):
            self.refuse(self.write(BASE[:n]), "cut short", verb="import")
        path = self.write(BASE)
        for args in (("x:1", "NONSENSE"), ("UP",), ("x@sha256:" + "0" * 64,)):
            self.assertNotEqual(self.tool("import", path, *args, check=False).returncode, 0)
        self.assertEqual(self.state(), ([], ""))


class Real(ImageTest):
    """Sizes and makers of the real world."""

    def test_sixty_layers(self):
        layers = [BASE] + [tar(f(f"l/{i}"), f("last", b"%d" % i)) for i in range(59)]
        self.assertEqual(self.load(layers).text("last"), b"58")
        self.assertEqual(len(self.tool("layers", "t:1").out.split()), 60)
        self.tool("rm", "t:1")

    def test_127_layers_and_no_more(self):
        self.load([tar(f(str(i))) for i in range(127)])
        self.tool("rm", "t:1")
        self.refuse(images.docker_archive([tar(f(str(i))) for i in range(128)], ["t:1"], path=os.path.join(self.scratch, "many")), "at most 127")

    def test_nine_thousand_files(self):
        rng = os.urandom(1 << 20)
        entries = []
        for i in range(300):
            entries.append(d(f"usr/{i}"))
            entries += [f(f"usr/{i}/{k}", rng[(i * 31 + k) * 7 % 1000:][: 22600], mode=0o755 if k % 5 else 0o4755, uid=k) for k in range(29)]
            entries.append(s(f"usr/{i}/link", "0"))
        data = tar(*entries)
        self.assertGreater(len(data), 190 << 20)
        start = time.monotonic()
        fs = self.load([data])
        print(f"{len(data) >> 20} MiB, {len(entries)} entries loaded in {time.monotonic() - start:.2f} s")
        with tarfile.open(fileobj=io.BytesIO(data)) as t:
            for m in t.getmembers():
                st = fs.stat(m.name)
                self.assertEqual((st.st_mode & 0o7777, st.st_uid, st.st_mtime), (m.mode if not m.issym() else 0o777, m.uid, m.mtime), m.name)
                if m.isreg():
                    self.assertEqual(fs.text(m.name), t.extractfile(m).read(), m.name)
        self.tool("rm", "t:1")

    def check(self, ref):
        fs = self.top_layer(ref)
        self.assertEqual(fs.text("new"), b"data")
        self.assertTrue(fs.whiteout("f"))
        self.tool("rm", ref)

    def source(self, tag):
        return images.docker_archive([BASE, tar(f("new"), tarcorpus.entry(".wh.f"))], [tag], path=os.path.join(self.scratch, "source.tar"))

    def run_tool(self, *argv):
        r = subprocess.run(argv, capture_output=True, text=True, cwd=self.scratch)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout

    def test_skopeo(self):
        source = self.source("s/s:1")
        for form in ("docker-archive", "oci-archive"):
            for extra in ([], ["--dest-compress-format", "zstd"] if form == "oci-archive" else []):
                target = os.path.join(self.scratch, "target.tar")
                self.run_tool("skopeo", "copy", "-q", "--insecure-policy", *extra, "docker-archive:" + source, f"{form}:{target}:s/s:1")
                self.assertEqual(self.tool("load", target).out, "s/s:1\n")
                self.check("s/s:1")
                os.unlink(target)
        layout = os.path.join(self.scratch, "layout")
        self.run_tool("skopeo", "copy", "-q", "--insecure-policy", "docker-archive:" + source, f"oci:{layout}:s/s:1")
        self.assertEqual(self.tool("layout", layout).out, "s/s:1\n")
        self.check("s/s:1")
        os.symlink("/etc/passwd", os.path.join(layout, "evil"))
        os.rename(os.path.join(layout, "index.json"), os.path.join(layout, "real"))
        os.symlink("real", os.path.join(layout, "index.json"))
        self.refuse(layout, "not a regular file", verb="layout")

    def test_podman(self):
        store = ["--root", os.path.join(self.scratch, "podman"), "--runroot", os.path.join(self.scratch, "podman-run"), "--storage-driver", "vfs"]
        try:
            self.run_tool("podman", *store, "load", "-q", "-i", self.source("localhost/pod:1"))
            for form in ("docker-archive", "oci-archive"):
                target = os.path.join(self.scratch, "podman.tar")
                self.run_tool("podman", *store, "save", "-q", "--format", form, "-o", target, "localhost/pod:1")
                self.assertEqual(self.tool("load", target).out, "localhost/pod:1\n")
                self.check("localhost/pod:1")
                os.unlink(target)
        finally:
            subprocess.run(["podman", *store, "rmi", "-af"], capture_output=True)

    def test_umoci(self):
        layout, root = os.path.join(self.scratch, "umoci"), os.path.join(self.scratch, "umoci-root")
        os.makedirs(root + "/etc")
        with open(root + "/etc/new", "w") as out:
            out.write("data")
        self.run_tool("umoci", "init", "--layout", layout)
        self.run_tool("umoci", "new", "--image", layout + ":first")
        self.run_tool("umoci", "insert", "--image", layout + ":first", root, "/")
        self.run_tool("umoci", "insert", "--image", layout + ":first", "--opaque", root + "/etc", "/etc")
        iid = self.tool("layout", layout).out.strip()
        self.assertRegex(iid, "^sha256:")
        self.assertEqual(self.top_layer(iid).text("etc/new"), b"data")
        self.assertTrue(self.top_layer(iid).opaque("etc"))
        self.tool("rm", iid)

    def test_starter_image(self):
        paths = [os.path.join(self.scratch, n) for n in ("st1", "st2")]
        for p in paths:
            self.run_tool(os.path.join(SOURCE, "tools", "starter-image"), p)
        self.assertEqual(*[slurp(p, "rb") for p in paths])
        self.assertEqual(self.tool("load", paths[0]).out, "starter:latest\n")
        fs = self.top_layer("starter")
        self.assertEqual((fs.link("bin/sh"), fs.mode("tmp"), fs.mode("root")), ("busybox", 0o1777, 0o700))
        self.tool("rm", "starter")


class Helper(ImageTest):
    def stalled(self):
        """A load that has sent half of an archive and waits."""
        with open(images.docker_archive([tar(f("x", os.urandom(3 << 20)))], ["stall:1"], path=os.path.join(self.scratch, "stall")), "rb") as src:
            data = src.read()
        p = subprocess.Popen([TOOL, self.store, UNPACK, "load", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(data[: 2 << 20])
        p.stdin.flush()
        return p, data[2 << 20:]

    def helper(self):
        """Pid and status of the confined process, once it is."""
        for _ in range(200):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if os.readlink(f"/proc/{pid}/exe") != os.path.realpath(UNPACK):
                        continue
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in slurp(f"/proc/{pid}/status").splitlines() if ":\t" in line)
                except OSError:
                    continue
                if status.get("Seccomp") == "2":
                    return int(pid), status
            time.sleep(0.02)
        self.fail("no confined helper appeared")

    def test_confinement_as_the_kernel_tells_it(self):
        """CVE-2014-9357."""
        p, rest = self.stalled()
        pid, status = self.helper()
        first = 4294836224
        self.assertEqual(status["Uid"].split(), [str(first)] * 4)
        self.assertEqual(status["Gid"].split(), [str(first)] * 4)
        self.assertEqual(status["Groups"].split(), [])
        self.assertEqual((status["NoNewPrivs"], status["Seccomp_filters"]), ("1", "1"))
        keep = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 31  # chown, dac_override, fowner, fsetid, setfcap
        self.assertEqual([int(status[k], 16) for k in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")], [keep, keep, keep, 0, 0])
        self.assertEqual(slurp(f"/proc/{pid}/uid_map").split(), ["0", str(first), "65536"])
        self.assertEqual(slurp(f"/proc/{pid}/gid_map").split(), ["0", str(first), "65536"])
        for ns in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{ns}"), os.readlink(f"/proc/self/ns/{ns}"), ns)
        self.assertEqual(status["NSpid"].split()[1:], ["1"])
        mounts = slurp(f"/proc/{pid}/mountinfo").splitlines()
        self.assertEqual(len(mounts), 1, mounts)
        self.assertTrue({"nosuid", "nodev", "noexec"} <= set(mounts[0].split()[5].split(",")) and "idmapped" in mounts[0], mounts)
        names = os.listdir(f"/proc/{pid}/root")
        self.assertTrue(names and all(n.startswith("m0000") for n in names), names)
        limits = slurp(f"/proc/{pid}/limits")
        self.assertRegex(limits, r"Max open files\s+64\s+64")
        for fd in os.listdir(f"/proc/{pid}/fd"):
            self.assertNotIn(self.scratch, os.readlink(f"/proc/{pid}/fd/{fd}"), "a way back to the host")
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        p.stdin.write(rest)
        p.stdin.close()
        self.assertEqual(p.stdout.read(), b"stall:1\n")
        self.assertEqual(p.wait(), 0, p.stderr.read())
        p.stdout.close(), p.stderr.close()
        self.tool("rm", "stall:1")

    def gone(self, pid):
        for _ in range(250):
            if not os.path.exists(f"/proc/{pid}"):
                return True
            time.sleep(0.02)
        return False

    def test_helper_dies_with_its_engine_and_nothing_stays(self):
        p, _ = self.stalled()
        pid, _ = self.helper()
        p.kill()
        p.wait()
        for stream in (p.stdin, p.stdout, p.stderr):
            with_error = stream
            try:
                with_error.close()
            except BrokenPipeError:
                pass
        self.assertTrue(self.gone(pid))
        self.assertEqual(len(os.listdir(os.path.join(self.store, "tmp"))), 1)
        self.tool("gc")
        self.assertEqual(self.state(), ([], ""))

    def test_helper_killed(self):
        p, _ = self.stalled()
        pid, _ = self.helper()
        os.kill(pid, signal.SIGKILL)
        try:
            p.stdin.close()
        except BrokenPipeError:
            pass
        self.assertEqual(p.wait(), 1)
        self.assertIn(b"killed by signal 9", p.stderr.read())
        p.stdout.close(), p.stderr.close()
        self.assertEqual(self.state(), ([], ""))

    def test_on_its_own_it_does_nothing(self):
        r = subprocess.run([UNPACK], capture_output=True, text=True)
        self.assertEqual(r.returncode, 2)
        self.assertIn("not a command", r.stderr)

    def test_live_work_is_not_collected(self):
        p, rest = self.stalled()
        self.helper()
        self.tool("gc")
        p.stdin.write(rest)
        p.stdin.close()
        self.assertEqual(p.wait(), 0, p.stderr.read())
        p.stdout.close(), p.stderr.close()
        self.tool("rm", "stall:1")


class Races(ImageTest):
    def test_concurrent_loads_of_the_same_image(self):
        path = images.docker_archive([BASE, tar(*[f(f"x{i}", os.urandom(20000)) for i in range(100)])], ["race:1"], path=os.path.join(self.scratch, "race"))
        for _ in range(5):
            ps = [subprocess.Popen([TOOL, self.store, UNPACK, "load", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
            for p in ps:
                out, err = p.communicate()
                self.assertEqual((p.returncode, out), (0, "race:1\n"), err)
            self.assertEqual(len(os.listdir(os.path.join(self.store, "layers"))), 2)
            self.tool("rm", "race:1")
            self.assertEqual(self.state(), ([], ""))

    def test_removal_during_loads(self):
        path = images.docker_archive([BASE, tar(*[f(f"x{i}", os.urandom(2000)) for i in range(50)])], ["race:1"], path=os.path.join(self.scratch, "race"))
        stop = threading.Event()

        def remove():
            while not stop.is_set():
                self.tool("rm", "race:1", check=False)

        t = threading.Thread(target=remove)
        t.start()
        try:
            for _ in range(30):
                self.tool("load", path)
        finally:
            stop.set()
            t.join()
        self.tool("load", path)
        for layer in self.tool("layers", "race:1").out.split():
            self.assertTrue(os.path.isdir(layer))
        self.tool("rm", "race:1")
        self.tool("gc")
        self.assertEqual(self.state(), ([], ""))

    def test_killed_at_any_time(self):
        path = images.docker_archive([BASE, tar(*[f(f"x{i}", os.urandom(20000)) for i in range(300)])], ["kill:1"], path=os.path.join(self.scratch, "kill"))
        for ms in (2, 5, 10, 15, 20, 30, 40, 60, 80, 120):
            p = subprocess.Popen([TOOL, self.store, UNPACK, "load", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(ms / 1000)
            p.kill()
            p.wait()
            time.sleep(0.2)  # the helper notices, and dies
            if self.tool("find", "kill:1", check=False).returncode == 0:
                self.assertEqual(len(self.tool("layers", "kill:1").out.split()), 2)
                self.assertTrue(all(os.path.isdir(p) for p in self.tool("layers", "kill:1").out.split()))
                self.tool("rm", "kill:1")
            self.tool("gc")
            self.assertEqual(self.state(), ([], ""), ms)


if __name__ == "__main__":
    unittest.main()
