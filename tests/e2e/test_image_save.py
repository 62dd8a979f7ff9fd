# SPDX-License-Identifier: Apache-2.0
"""save: archives that docker, podman, skopeo and umoci read, and that bring the same digests back; what images take on disk."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import unittest

import coffer
import daemon
import images
import peers
from coffer import CofferTest
from images import Entry

ASAN = True
LAYERS = [images.busybox_entries(), [Entry.file("own", "x", uid=5, gid=6, mode=0o4755, pax={"SCHILY.xattr.user.colour": "red"}), Entry.link("hard", "own"), Entry.symlink("soft", "own")]]


def members(data):
    """{name: bytes} of the files of a tar."""
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        names = t.getnames()
        assert len(names) == len(set(names)), names
        return {m.name: t.extractfile(m).read() for m in t if m.isreg()}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Save(CofferTest):
    NEEDS_IMAGE = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.archives = {"plain": images.docker_archive(LAYERS, ["s-plain:1", "s-plain:2"])}
        for coding in ("gzip", "zstd", "none"):
            cls.archives[coding] = images.oci_archive(LAYERS + [[Entry.file(coding)]], f"s-{coding}:1", compress=coding)
        for path in cls.archives.values():
            cls.coffer_("load", "-i", path)

    def save(self, *names):
        r = subprocess.run([self.stage.coffer, "save", *names], env=self.env, capture_output=True, timeout=60)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout

    def image_id(self, ref):
        return self.coffer("image", "inspect", ref).json()[0]["Id"]

    def test_every_blob_has_the_digest_of_its_name(self):
        got = members(self.save("s-plain", "s-gzip:1", "s-zstd:1", "s-none:1"))
        blobs = {n: d for n, d in got.items() if n.startswith("blobs/")}
        for name, data in blobs.items():
            self.assertEqual(name, "blobs/sha256/" + digest(data)[7:])
        self.assertEqual(set(got) - set(blobs), {"manifest.json", "index.json", "oci-layout", "repositories"})
        tags = [t for e in json.loads(got["manifest.json"]) for t in e["RepoTags"]]
        self.assertEqual(tags, ["s-plain:1", "s-plain:2", "s-gzip:1", "s-zstd:1", "s-none:1"])
        self.assertEqual([d["annotations"]["io.containerd.image.name"] for d in json.loads(got["index.json"])["manifests"]], ["docker.io/library/" + t for t in tags])
        self.assertEqual(sorted(json.loads(got["repositories"])), ["s-gzip", "s-none", "s-plain", "s-zstd"])

    def test_what_came_with_a_manifest_leaves_with_it(self):
        for coding in ("gzip", "zstd", "none"):
            with open(self.archives[coding], "rb") as f:
                came = members(f.read())
            left = members(self.save(f"s-{coding}:1"))
            self.assertEqual({n: d for n, d in came.items() if n.startswith("blobs/")}, {n: d for n, d in left.items() if n.startswith("blobs/")}, coding)

    def test_round_trip_keeps_ids_digests_and_metadata(self):
        for name in ("s-plain:1", "s-gzip:1", "s-zstd:1", "s-none:1"):
            data = self.save(name)
            before = self.coffer("image", "inspect", name).json()[0]
            layer = self.top_layers(before)
            self.coffer("rmi", "-f", before["Id"])
            self.coffer("load", input=data)
            after = self.coffer("image", "inspect", name).json()[0]
            self.assertEqual((after["Id"], after["RootFS"]), (before["Id"], before["RootFS"]))
            if name != "s-plain:1":
                self.assertEqual(after["RepoDigests"], before["RepoDigests"])
            self.assertEqual(self.top_layers(after), layer)
            self.assertEqual(self.save(name), data, "saved again it is the same")
        self.coffer("load", "-i", self.archives["plain"])

    def top_layers(self, image):
        found = {}
        for name in sorted(os.listdir(os.path.join(self.root, "layers"))):
            for path, dirs, files in os.walk(os.path.join(self.root, "layers", name, "fs")):
                for f in dirs + files:
                    full = os.path.join(path, f)
                    st = os.lstat(full)
                    found[full] = (st.st_mode, st.st_uid, st.st_gid, st.st_nlink if f in files else 0, st.st_mtime_ns, {a: os.getxattr(full, a, follow_symlinks=False) for a in os.listxattr(full, follow_symlinks=False)})
        return found

    def test_a_name_without_a_tag_is_all_of_its_tags_and_an_id_none(self):
        self.assertEqual(json.loads(members(self.save("s-plain"))["manifest.json"])[0]["RepoTags"], ["s-plain:1", "s-plain:2"])
        self.assertEqual(json.loads(members(self.save("s-plain:2"))["manifest.json"])[0]["RepoTags"], ["s-plain:2"])
        for ref in (self.image_id("s-plain:1"), self.image_id("s-plain:1")[7:19]):
            self.assertEqual(json.loads(members(self.save(ref))["manifest.json"])[0]["RepoTags"], [])

    def test_output_file_appears_whole_or_not_at_all(self):
        path = os.path.join(self.scratch, "out.tar")
        self.coffer("save", "-o", path, "s-gzip:1")
        with open(path, "rb") as f:
            self.assertEqual(f.read(), self.save("s-gzip:1"))
        before = sorted(os.listdir(self.scratch))
        self.assertFails(self.coffer("save", "-o", os.path.join(self.scratch, "none.tar"), "s-gzip:1", "nosuch", check=False), 1, "No such image: nosuch")
        self.assertEqual(sorted(os.listdir(self.scratch)), before)

    def test_a_changed_blob_is_not_saved(self):
        self.coffer("load", "-i", images.docker_archive([[Entry.file("victim", "v" * 5000)]], ["victim:1"]))
        top = json.loads(members(self.save("victim:1"))["manifest.json"])[0]["Layers"][0]
        path = os.path.join(self.root, top)
        with open(path, "r+b") as f:
            f.seek(1000)
            f.write(b"!")
        before = sorted(os.listdir(self.scratch))
        self.assertNotEqual(self.coffer("save", "-o", os.path.join(self.scratch, "victim.tar"), "victim:1", check=False).code, 0)
        self.assertEqual(sorted(os.listdir(self.scratch)), before)
        self.coffer("rmi", "victim:1")

    def test_other_tools_read_it(self):
        path, layout = os.path.join(self.scratch, "tools.tar"), os.path.join(self.scratch, "layout")
        self.coffer("save", "-o", path, "s-gzip:1")
        os.mkdir(layout)
        with tarfile.open(path) as t:
            t.extractall(layout)
        inspect = self.coffer("image", "inspect", "s-gzip:1").json()[0]
        manifest = inspect["RepoDigests"][0].split("@")[1]
        raw = subprocess.run(["skopeo", "inspect", "--raw", f"oci:{layout}:1"], capture_output=True, check=True).stdout
        self.assertEqual(digest(raw), manifest)
        config = subprocess.run(["skopeo", "inspect", "--config", "--raw", f"docker-archive:{path}:s-gzip:1"], capture_output=True, check=True).stdout
        self.assertEqual(digest(config), inspect["Id"])
        self.assertEqual(subprocess.run(["umoci", "ls", "--layout", layout], capture_output=True, text=True, check=True).stdout.split(), ["1"])
        copied = os.path.join(self.scratch, "copied")
        subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", f"oci:{layout}:1", f"oci:{copied}:x"], check=True, capture_output=True)
        with open(os.path.join(copied, "index.json")) as f:
            self.assertEqual(json.load(f)["manifests"][0]["digest"], manifest)

    def test_podman_loads_it(self):
        path, base = os.path.join(self.scratch, "podman.tar"), os.path.join(self.scratch, "podman")
        self.coffer("save", "-o", path, "s-plain:1", "s-zstd:1")
        podman = ["podman", "--root", base + "/root", "--runroot", base + "/run", "--storage-driver", "vfs"]
        self.addCleanup(shutil.rmtree, base, True)
        subprocess.run([*podman, "load", "-q", "-i", path], check=True, capture_output=True, timeout=120)
        ids = {json.loads(subprocess.run([*podman, "image", "inspect", f"localhost/{n}"], check=True, capture_output=True).stdout)[0]["Id"] for n in ("s-plain:1", "s-zstd:1")}
        self.assertEqual(ids, {self.image_id(n)[7:] for n in ("s-plain:1", "s-zstd:1")})


class Usage(CofferTest):
    NEEDS_IMAGE = False

    def test_shared_layers_are_counted_once(self):
        base = [images.busybox_entries()]
        blob = len(images.tar(base[0]))
        for i in (1, 2):
            self.coffer("load", "-i", images.docker_archive([*base, [Entry.file("own", b"x" * (i << 20))]], [f"usage:{i}"]))
        df = self.df()
        by_tag = {i["RepoTags"][0]: i for i in df["Images"]}
        self.assertEqual(by_tag["usage:1"]["SharedSize"], by_tag["usage:2"]["SharedSize"])
        self.assertGreater(by_tag["usage:1"]["SharedSize"], 2 * os.path.getsize(images.BUSYBOX))
        self.assertGreater(by_tag["usage:2"]["Size"] - by_tag["usage:1"]["Size"], (2 << 20) - 16384)
        self.assertEqual(df["LayersSize"], sum(i["Size"] for i in df["Images"]) - by_tag["usage:1"]["SharedSize"])
        on_disk = sum(os.lstat(os.path.join(p, f)).st_size for p, _, files in os.walk(os.path.join(self.root, "blobs")) for f in files)
        trees = df["LayersSize"] - on_disk
        self.assertGreater(trees, os.path.getsize(images.BUSYBOX) + (3 << 20) - 1)
        self.assertLess(trees, blob + (4 << 20))
        r = self.coffer("image", "prune", "-a", "-f")
        self.assertEqual(self.df()["LayersSize"], 0)
        self.assertEqual(os.listdir(os.path.join(self.root, "blobs", "sha256")), [], r.out)

    def df(self):
        sock = os.path.join(self.run_dir, "df.sock")
        d = daemon.Daemon([self.stage.cofferd, "-H", "unix://" + sock], self.env, os.path.join(self.scratch, "df.log"), sock).ready()
        try:
            return daemon.Client(sock)("GET", "/system/df").json()
        finally:
            d.stop()

    def test_history_has_the_size_of_each_layer(self):
        self.coffer("load", "-i", images.docker_archive([[Entry.file("a", "x" * 1000)], [Entry.file("b", "x" * 3000)]], ["history:1"]))
        sizes = self.coffer("history", "--human=false", "--format", "{{.Size}}", "history:1").lines
        self.assertEqual(sizes, ["3000", "1000"])


class Docker(peers.ArenaTest):
    """Debian's docker (20.10) loads what we save, and we load what it saves."""

    @classmethod
    def setUpArena(cls):
        a = cls.arena
        argv = ["dockerd", "--data-root", a.dir + "/data", "--exec-root", "/run/docker", "--pidfile", "/run/docker.pid", "-H", "unix:///run/docker.sock", "--bridge", "none", "--iptables=false", "--oom-score-adjust", "0"]
        cls.server = a.daemon(*argv, log="dockerd.log")
        cls.build = os.path.abspath(os.environ.get("COFFER_BUILD", os.path.join(coffer.SOURCE, "build")))
        if not coffer.wait_until(lambda: cls.docker("version", check=False).code == 0 or cls.server.poll() is not None, 60, 0.1) or cls.server.poll() is not None:
            raise RuntimeError("dockerd did not come up: " + a.log("dockerd.log"))

    @classmethod
    def docker(cls, *args, **kw):
        return cls.arena.run("docker", "-H", "unix:///run/docker.sock", *args, **kw)

    def tool(self, *args):
        argv = [os.path.join(self.build, "tests", "tools", "image-tool"), os.path.join(self.arena.dir, "store"), os.path.join(self.build, "src", "cmd", "coffer-unpack", "coffer-unpack"), *args]
        r = subprocess.run(argv, capture_output=True, timeout=120)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout

    def test_both_ways(self):
        for name, archive in (("plain", images.docker_archive(LAYERS, ["d-plain:1"])), ("gzip", images.oci_archive(LAYERS + [[Entry.file("gz")]], "d-gzip:1"))):
            self.tool("load", archive)
            ours, theirs, back = (os.path.join(self.arena.dir, f"{name}.{n}.tar") for n in ("ours", "theirs", "back"))
            with open(ours, "wb") as f:
                f.write(self.tool("save", f"d-{name}:1"))
            self.assertIn(f"Loaded image: d-{name}:1", self.docker("load", "-i", ours).out)
            image = json.loads(self.docker("image", "inspect", f"d-{name}:1").out)[0]
            ident = self.tool("find", f"d-{name}:1").decode().strip()
            self.assertEqual(image["Id"], ident)
            self.docker("save", "-o", theirs, f"d-{name}:1")
            self.tool("rm", f"d-{name}:1")
            self.tool("load", theirs)
            self.assertEqual(self.tool("find", f"d-{name}:1").decode().strip(), ident)
            self.assertEqual(json.loads(self.tool("config", ident))["rootfs"]["diff_ids"], image["RootFS"]["Layers"])
            with open(back, "wb") as f:
                f.write(self.tool("save", f"d-{name}:1"))
            with open(back, "rb") as f:
                plain = {digest(d) for n, d in members(f.read()).items() if n.startswith("blobs/")}
            self.assertLessEqual(set(image["RootFS"]["Layers"]), plain)


if __name__ == "__main__":
    unittest.main()
