# SPDX-License-Identifier: Apache-2.0
"""Images: load, import, images, tag, rmi, inspect, history; real archives and broken ones."""

import gzip
import json
import os
import subprocess
import tarfile
import tempfile
import time
import unittest

import coffer
import images
from coffer import SOURCE, CofferTest, tree_listing, wait_until
from images import Entry

ASAN = True


def store(root):
    """What the store holds: names of blobs and layers and whatever is temporary."""
    found = []
    for top in ("blobs/sha256", "layers", "tmp"):
        path = os.path.join(root, top)
        found += [os.path.join(top, n) for n in os.listdir(path)] if os.path.isdir(path) else []
    return sorted(found)


class Load(CofferTest):
    NEEDS_IMAGE = False

    def test_every_form(self):
        layers = [images.busybox_entries(), [Entry.file("form", "x\n")]]
        for name, archive in (("docker", images.docker_archive(layers, ["f-docker:1"])), ("gzip", images.oci_archive(layers, "f-gzip:1")), ("zstd", images.oci_archive(layers, "f-zstd:1", compress="zstd")), ("none", images.oci_archive(layers, "f-none:1", compress="none"))):
            r = self.coffer("load", "-i", archive)
            self.assertIn(f"f-{name}:1", r.out)
            self.assertEqual(self.run_(f"f-{name}:1", "cat", "/form").word, "x", name)

    def test_stdin_and_compressed_archives(self):
        with open(images.starter("viastdin"), "rb") as f:
            data = f.read()
        self.coffer("load", input=data)
        self.coffer("load", "-i", "-", input=gzip.compress(data, 1))
        self.assertEqual(self.run_("viastdin", "echo", "ok").word, "ok")

    def test_layout_directory(self):
        with tempfile.TemporaryDirectory(dir=self.scratch) as d:
            with tarfile.open(images.oci_archive([images.busybox_entries()], "fromdir:1")) as t:
                t.extractall(d)
            self.coffer("load", "-i", d)
        self.assertEqual(self.run_("fromdir:1", "echo", "ok").word, "ok")

    def test_an_archive_of_skopeo_s(self):
        target = os.path.join(self.scratch, "skopeo.tar")
        subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", "docker-archive:" + images.starter("skop"), f"oci-archive:{target}:skopeo:2"], check=True, capture_output=True)
        self.coffer("load", "-i", target)
        self.assertEqual(self.run_("skopeo:2", "echo", "ok").word, "ok")

    def test_the_starter_image(self):
        target = os.path.join(self.scratch, "starter.tar")
        subprocess.run([os.path.join(SOURCE, "tools", "starter-image"), target], check=True, capture_output=True)
        self.coffer("load", "-i", target)
        self.assertEqual(self.run_("starter", "echo", "ok").word, "ok")

    def test_loading_twice_changes_nothing(self):
        archive = images.starter("twice")
        for _ in range(2):  # what another form of the same image left unreferenced goes when the store is next opened
            self.coffer("load", "-i", archive)
        before = store(self.root)
        self.coffer("load", "-i", archive)
        self.assertEqual(store(self.root), before)

    def test_layers_are_shared_by_chain(self):
        base = images.busybox_entries()
        self.coffer("load", "-i", images.docker_archive([base, [Entry.file("one")]], ["share:1"]))
        layers = len(os.listdir(os.path.join(self.root, "layers")))
        self.coffer("load", "-i", images.docker_archive([base, [Entry.file("two")]], ["share:2"]))
        self.assertEqual(len(os.listdir(os.path.join(self.root, "layers"))), layers + 1)

    def test_sixty_layers(self):
        layers = [images.busybox_entries()] + [[Entry.file(f"layers/{i}", str(i)), Entry.file("last", str(i))] for i in range(59)]
        self.coffer("load", "-i", images.docker_archive(layers, ["sixty:1"]))
        self.assertEqual(self.run_("sixty:1", "sh", "-c", "ls /layers | wc -l; cat /last").out.split(), ["59", "58"])

    def test_whiteouts(self):
        layers = [images.busybox_entries(), [Entry.dir("d"), Entry.file("d/a", "1"), Entry.file("d/b", "1"), Entry.dir("o"), Entry.file("o/old"), Entry.dir("o/deep"), Entry.file("o/deep/x"), Entry.file("f")],
                  [Entry.file("d/.wh.a"), Entry.dir("o"), Entry.file("o/.wh..wh..opq"), Entry.file("o/new"), Entry.file(".wh.f"), Entry.dir("f"), Entry.file("f/in")],
                  [Entry.file("d/a", "3")]]
        self.coffer("load", "-i", images.docker_archive(layers, ["white:1"]))
        out = self.run_("white:1", "sh", "-c", "cat /d/a /d/b; echo; ls -A /o; ls -A /f; find / -xdev -name '.wh.*'").lines
        self.assertEqual(out, ["31", "new", "in"])

    def test_kinds_of_files(self):
        long = "d" * 100 + "/" + "e" * 120 + "/" + "f" * 150
        extra = [Entry.file("suid", "x", 0o4755), Entry.file("sticky", "x", 0o1777, uid=5, gid=6), Entry.link("hard", "suid"), Entry.symlink("soft", "suid"), Entry.fifo("pipe"), Entry.file(long, "long"), Entry.file("ünï", "u"),
                 Entry.file("attr", "x", pax={"SCHILY.xattr.user.colour": "red", "SCHILY.xattr.trusted.overlay.opaque": "y"})]
        self.coffer("load", "-i", images.docker_archive([images.busybox_entries(), extra], ["kinds:1"]))
        out = self.run_("kinds:1", "sh", "-c", f"stat -c '%a %h %u:%g' suid sticky; readlink soft; test -p pipe && echo pipe; cat {long}; echo; cat ünï; stat -c %i suid hard | uniq | wc -l").lines
        self.assertEqual(out, ["4755 2 0:0", "1777 1 5:6", "suid", "pipe", "long", "u1"])
        layer = [os.path.join(p, "attr") for p, _, f in os.walk(os.path.join(self.root, "layers")) if "attr" in f][0]
        self.assertEqual((os.listxattr(layer), os.getxattr(layer, "user.colour")), (["user.colour"], b"red"))

    def test_debian(self):
        """The 200 MB image that debootstrap makes."""
        cache = os.environ.get("COFFER_DEBIAN", os.path.join(self.stage.build, "bench", "debian-layer.tar"))
        if not os.path.exists(cache):
            os.makedirs(os.path.dirname(cache), exist_ok=True)
            with tempfile.TemporaryDirectory(dir="/var/tmp") as d:
                lines = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)"], capture_output=True, text=True, check=True).stdout.splitlines()
                code = next(line.strip().split("=")[1] for line in open("/etc/os-release") if line.startswith("VERSION_CODENAME"))
                mirror = next(line.split()[0] for line in lines if line.split()[1:] == [code])
                with coffer.machine_network():
                    subprocess.run(["unshare", "-m", "--propagation", "private", "debootstrap", "--variant=minbase", code, d + "/root", mirror], check=True, capture_output=True)
                subprocess.run(["tar", "-C", d + "/root", "--xattrs", "-cf", cache + ".new", "."], check=True)
                os.rename(cache + ".new", cache)
        with open(cache, "rb") as f:
            self.coffer("load", "-i", images.docker_archive([f.read()], ["debian:12"]), timeout=300)
        self.assertEqual(self.run_("debian:12", "/bin/bash", "-c", ". /etc/os-release; echo $ID; dpkg-query -W -f '${Status}\\n' bash; perl -e 'print 6*7'").out, "debian\ninstall ok installed\n42")
        self.assertEqual(self.run_("-u", "www-data", "debian:12", "id", "-un").word, "www-data")


class Names(CofferTest):
    def test_images_lists_and_filters(self):
        out = self.coffer("images").out
        self.assertRegex(out, r"REPOSITORY\s+TAG\s+IMAGE ID\s+CREATED\s+SIZE")
        self.assertRegex(out, r"(?m)^busybox\s+latest\s+[0-9a-f]{12}\s")
        self.assertEqual(len(self.coffer("images", "-q").out.split()), 1)

    def test_tag_and_rmi(self):
        self.coffer("tag", "busybox", "other/name:v1")
        self.assertEqual(self.run_("other/name:v1", "echo", "ok").word, "ok")
        r = self.coffer("rmi", "other/name:v1")
        self.assertIn("Untagged: other/name:v1", r.out)
        self.assertNotIn("Deleted:", r.out)
        self.assertNotEqual(self.run_("other/name:v1", "true", check=False).code, 0)
        self.assertEqual(self.run_("busybox", "echo", "ok").word, "ok")

    def test_every_way_to_name_an_image(self):
        full = self.coffer("image", "inspect", "busybox").json()[0]["Id"]
        for ref in ("busybox", "busybox:latest", full, full[7:], full[7:19], "docker.io/library/busybox"):
            self.assertEqual(self.coffer("image", "inspect", ref).json()[0]["Id"], full, ref)
        for ref in ("BUSYBOX", "busybox:no", "", "busybox@sha256:00", "../busybox", "a b"):
            self.assertNotEqual(self.coffer("image", "inspect", ref, check=False).code, 0, ref)

    def test_bad_tags_are_refused(self):
        for name in ("UPPER", "a:b:c", "x:" + "t" * 129, "-x", "a//b", "../x", "x:.."):
            self.assertNotEqual(self.coffer("tag", "busybox", name, check=False).code, 0, name)

    def test_rmi_of_an_image_in_use(self):
        self.coffer("load", "-i", images.variant("used:1", extra_layers=[[Entry.file("unique", "1")]]))
        cid = self.coffer("run", "-d", "--network", "none", "used:1", "sleep", "1000").word
        self.assertFails(self.coffer("rmi", "used:1", check=False), 1, cid[:12])
        self.coffer("rm", "-f", cid)
        r = self.coffer("rmi", "used:1")
        self.assertIn("Deleted: sha256:", r.out)

    def test_rmi_frees_what_nobody_else_has(self):
        before = store(self.root)
        self.coffer("load", "-i", images.variant("freed:1", extra_layers=[[Entry.file("big", b"x" * 100000)]]))
        self.assertNotEqual(store(self.root), before)
        self.coffer("rmi", "freed:1")
        self.assertEqual(store(self.root), before)

    def test_inspect_and_history(self):
        self.coffer("load", "-i", images.variant("told:1", {"Env": ["A=1"], "Cmd": ["x"], "ExposedPorts": {"80/tcp": {}}}))
        d = self.coffer("image", "inspect", "told:1").json()[0]
        self.assertEqual((d["RepoTags"], d["Config"]["Env"], d["Config"]["Cmd"], d["Os"], d["RootFS"]["Type"]), (["told:1"], ["A=1"], ["x"], "linux", "layers"))
        self.assertEqual(len(d["RootFS"]["Layers"]), 1)
        self.assertIn("layer 0", self.coffer("history", "told:1").out)


class Import(CofferTest):
    def test_a_root_file_system_becomes_an_image(self):
        data = images.tar(images.busybox_entries())
        iid = self.coffer("import", "-", "imported:1", input=data).word
        self.assertRegex(iid, "^sha256:[0-9a-f]{64}$")
        self.assertEqual(self.run_("imported:1", "/bin/echo", "ok").word, "ok")

    def test_changes(self):
        path = os.path.join(self.scratch, "root.tar")
        with open(path, "wb") as f:
            f.write(images.tar(images.busybox_entries()))
        self.coffer("import", "--change", 'CMD ["/bin/echo", "changed"]', "-c", "ENV A=b", path, "changed:1")
        self.assertEqual(self.run_("changed:1").word, "changed")
        for bad in ("NONSENSE x", "RUN true", ""):
            self.assertNotEqual(self.coffer("import", "-c", bad, path, "bad:1", check=False).code, 0, bad)


class Broken(CofferTest):
    """Bad input: an error that says what and where; nothing is left."""

    def setUp(self):
        self.before = store(self.root)
        self.listed = self.coffer("images", "--no-trunc").out

    def refuse(self, archive, *words):
        r = self.coffer("load", "-i", archive, check=False, timeout=60)
        self.assertNotEqual(r.code, 0, str(r))
        for w in words:
            self.assertIn(w.lower(), r.err.lower(), str(r))
        self.assertGreater(len(r.err), 10)
        self.assertEqual(store(self.root), self.before, str(r))
        self.assertEqual(self.coffer("images", "--no-trunc").out, self.listed)

    def archive(self, *entries, **kw):
        return images.docker_archive([images.busybox_entries(), list(entries)], ["broken:1"], **kw)

    def raw(self, data):
        path = os.path.join(self.scratch, self.unique("raw"))
        with open(path, "wb") as f:
            f.write(data)
        return path

    def test_not_an_archive(self):
        self.refuse(self.raw(b""))
        self.refuse(self.raw(b"hello\n" * 1000))
        self.refuse(self.raw(os.urandom(5000)))
        self.refuse(os.path.join(self.scratch, "not-there"), "not-there")
        self.refuse(self.raw(images.tar([Entry.file("x")])), "manifest")

    def test_truncated(self):
        with open(images.starter("cut"), "rb") as f:
            data = f.read()
        for n in (100, 512, 5000, len(data) // 2, len(data) - 20000):
            self.refuse(self.raw(data[:n]))
            self.refuse(self.raw(gzip.compress(data, 1)[:n // 3]))

    def test_wrong_diff_id(self):
        def edit(members):
            name = next(n for n in members if n.endswith(".json") and n != "manifest.json")
            members[name] = members[name].replace(b'"sha256:', b'"sha256:0000', 1)

        self.refuse(self.archive(Entry.file("x"), edit=edit))

        def swap(members):
            layer = [n for n in members if n.endswith("layer.tar")][-1]
            members[layer] = images.tar([Entry.file("other")])

        self.refuse(self.archive(Entry.file("x"), edit=swap), "sha256:")

    def test_missing_members_and_bad_manifests(self):
        for text in (b"[]", b"{}", b"nonsense", b'[{"Config":"../../etc/passwd","Layers":[]}]', b'[{"Config":"x","RepoTags":["a:b"],"Layers":["y"]}]', b"[" * 100000, b'[{"Config":1}]'):
            self.refuse(self.archive(edit=lambda m, t=text: m.update({"manifest.json": t})))

    def test_bad_reference(self):
        for ref in ("UPPER:1", "../../x:1", "a:b:c", "x:" + "t" * 200):
            self.refuse(images.docker_archive([images.busybox_entries()], [ref]))

    def test_oci_digest_and_media_type(self):
        good = images.oci_archive([images.busybox_entries()], "x:1", compress="none")
        with tarfile.open(good) as t:
            members = {m.name: t.extractfile(m).read() for m in t.getmembers()}
        for old, new in ((b"sha256:", b"md5:"), (b"sha256:", b"sha256:../../"), (b"image.layer.v1.tar", b"image.layer.v9.tar"), (b'"size": ', b'"size": 1')):
            changed = dict(members)
            for n in changed:
                if n == "index.json" or b'"layers"' in changed[n] and len(changed[n]) < 5000:
                    changed[n] = changed[n].replace(old, new)
            self.refuse(images._write(os.path.join(self.scratch, self.unique("oci")), changed.items()))

    def test_traversal(self):
        """The corpus: each either refused whole, or unpacked inside its layer; never outside."""
        outside = os.path.join(self.scratch, "outside")
        os.makedirs(outside, exist_ok=True)
        with open(outside + "/file", "w") as f:
            f.write("untouched")
        before = tree_listing(outside)
        up = "../" * 20
        cases = [
            [Entry.file("../x", "evil")], [Entry.file(up + outside[1:] + "/x", "evil")], [Entry.file(outside + "/abs", "evil")], [Entry.file("a/../../x", "evil")], [Entry.file("a/./../../x", "evil")],
            [Entry.symlink("l", outside), Entry.file("l/x", "evil")], [Entry.symlink("l", up + outside[1:]), Entry.file("l/file", "evil")], [Entry.symlink("a", "b"), Entry.symlink("b", outside), Entry.file("a/x", "evil")],
            [Entry.link("h", up + "etc/passwd")], [Entry.link("h", outside + "/file"), Entry.file("h", "evil")], [Entry.symlink("s", outside + "/file"), Entry.link("h", "s"), Entry.file("h", "evil")],
            [Entry.dir("d"), Entry.symlink("d", outside), Entry.file("d/x", "evil")], [Entry.symlink(".", outside), Entry.file("x", "evil")], [Entry.symlink("l", outside), Entry.file("l/.wh.file")],
            [Entry.file(".wh..")], [Entry.file(".wh.")], [Entry.file(".wh.../x")], [Entry.file("x" * 5000)], [Entry.file("/".join(["d"] * 3000))],
            [Entry.node("n", "c", 1, 1)], [Entry.node("wh", "c", 0, 0)], [Entry.node("b", "b", 8, 0)],
        ]
        for i, entries in enumerate(cases):
            with self.subTest(case=[e.info.name[:60] for e in entries]):
                r = self.coffer("load", "-i", images.docker_archive([images.busybox_entries(), entries], [f"corpus:{i}"]), check=False)
                self.assertEqual(tree_listing(outside), before, str(r))
                self.assertFalse(os.path.exists(os.path.join(os.path.dirname(self.scratch), "x")))
                if r.code == 0:
                    for path, _, files in os.walk(os.path.join(self.root, "layers")):
                        for name in files:
                            full = os.path.join(path, name)
                            self.assertFalse(os.path.islink(full) is False and os.stat(full).st_rdev not in (0,), f"device node {full} in the store")
                    self.coffer("rmi", f"corpus:{i}")
        self.assertEqual(store(self.root), self.before)

    def test_link_of_one_layer_written_through_in_the_next(self):
        outside = os.path.join(self.scratch, "outside2")
        os.makedirs(outside)
        archive = images.docker_archive([images.busybox_entries(), [Entry.symlink("l", outside)], [Entry.file("l/x", "evil"), Entry.dir("l")]], ["through:1"])
        self.coffer("load", "-i", archive, check=False)
        self.assertEqual(os.listdir(outside), [])

    def test_bombs(self):
        zeros = gzip.compress(b"\0" * (64 << 20), 9)
        layer = gzip.compress(images.tar([Entry.file("x")])[:512], 9) + zeros * 40  # 2.5 GiB of trailing zeros in 2.6 MB

        def edit(members):
            name = [n for n in members if n.endswith("layer.tar")][-1]
            members[name] = layer

        self.refuse(self.archive(Entry.file("x"), edit=edit))

    def test_a_thousand_layers(self):
        manifest = json.dumps([{"Config": "x.json", "RepoTags": ["b:1"], "Layers": ["l"] * 1000}]).encode()
        self.refuse(self.archive(edit=lambda m: m.update({"manifest.json": manifest})))

    def test_a_header_that_does_not_add_up(self):
        data = bytearray(images.tar([Entry.file("x", "1")]))
        data[100:108] = b"zzzzzzz\0"  # a mode that is no number; the checksum no longer fits either
        self.refuse(images.docker_archive([images.busybox_entries(), bytes(data)], ["sum:1"]))

    def test_killed_while_loading(self):
        archive = images.docker_archive([images.busybox_entries(), [Entry.file("big", os.urandom(20 << 20))]], ["killed:1"])
        for ms in (5, 20, 60, 120):
            p = self.popen("load", "-i", archive)
            time.sleep(ms / 1000)
            p.kill()
            p.wait()

        def clean():  # the engine of a killed client ends by itself; whichever way its load went, nothing half-made stays
            self.coffer("rmi", "killed:1", check=False)
            return store(self.root) == self.before

        self.assertTrue(wait_until(clean, 20, 0.2), sorted(set(store(self.root)) ^ set(self.before)))
        self.assertEqual(self.coffer("images", "--no-trunc").out, self.listed)


if __name__ == "__main__":
    unittest.main()
