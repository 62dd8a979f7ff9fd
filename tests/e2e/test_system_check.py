# SPDX-License-Identifier: Apache-2.0
"""system check: every flaw that a disk, a hand or a bug can make in the image store is found, attributed to its images, and repaired where that can be."""

import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import unittest

import coffer
import images
import registries
from images import Entry

ASAN = True
OWN = [Entry.dir("d", uid=3, gid=4), Entry.file("d/file", b"0123456789" * 5000, uid=5, gid=6, mode=0o4755, pax={"SCHILY.xattr.user.colour": "red"}), Entry.link("d/hard", "d/file"),
       Entry.symlink("soft", "d/file"), Entry.fifo("pipe"), Entry.file("bad\udcff\nname", "x"), Entry.file("implied/by/path", "y")]
OVER = [Entry.file("etc/.wh.hostname", ""), Entry.dir("home/alice", uid=1000, gid=1000), Entry.file("home/alice/.wh..wh..opq", ""), Entry.link("second", "etc/passwd"), Entry.file("over", "o")]


def content(tree):
    """A tree, but for the times of directories that the archive only implies: they are those of their unpacking."""
    return {name: [x if not isinstance(x, int) or x <= images.EPOCH * 10**9 else None for x in row] for name, row in coffer.tree_listing(tree).items()}


class Checks:
    """With an engine of the command's own, and with the daemon (test_system_check_daemon)."""

    NEEDS_IMAGE = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.coffer_("images")  # there is a database from here on
        cls._remember_containers()

    def setUp(self):
        self.base = [e for e in images.busybox_entries() if not e.info.islnk() or e.info.name[4:] in ("sh", "cat", "sleep", "true", "ls", "readlink", "rm", "stat")]
        self.archives = {name: images.docker_archive([self.base, OWN, *more], [name]) for name, more in (("one:1", []), ("two:1", [OVER]))}
        for path in self.archives.values():
            self.coffer("load", "-q", "-i", path)
        self.addCleanup(self.clean)

    def clean(self):
        self.coffer("system", "check", "--repair", check=False)
        for name in ("one:1", "two:1"):
            self.coffer("rmi", "-f", name, check=False)
        self.coffer("image", "prune", "-f", "-a")
        self.assertEqual([x for x in os.listdir(self.path("layers")) if x != "skeleton"] + os.listdir(self.path("blobs/sha256")) + os.listdir(self.path("tmp")), [])

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def query(self, sql, *args):
        db = sqlite3.connect(self.path("coffer.db"), timeout=20)
        try:
            rows = db.execute(sql, args).fetchall()
            db.commit()
            return rows
        finally:
            db.close()

    def layer(self, image, pos):
        """(chain id, tree, blob) of a layer."""
        (chain, blob), = self.query("SELECT chain_id, blob FROM image_layer l JOIN image_ref r ON r.image_id=l.image_id WHERE r.name=? AND l.pos=?", "docker.io/library/" + image.split(":")[0], pos)
        return chain, self.path("layers", chain[7:], "fs"), self.path("blobs", "sha256", blob[7:])

    def check(self, *flags, code=0):
        r = self.coffer("system", "check", *flags, "--format", "json", check=False)
        self.assertEqual(r.code, code, str(r))
        return json.loads(r.out)

    def listing(self):
        return {where: coffer.tree_listing(self.path(where)) for where in ("layers", "blobs")}

    def flawed(self, *kinds):
        """The flaws of a check that repairs nothing, and changes nothing."""
        before = self.listing()
        report = self.check(code=1)
        self.assertEqual(self.listing(), before)
        self.assertEqual([f["Kind"] for f in report["Flaws"]], list(kinds), report)
        self.assertEqual([f["Outcome"] for f in report["Flaws"]], ["found"] * len(kinds))
        return report["Flaws"]

    def whole(self):
        report = self.check()
        self.assertEqual(report["Flaws"], [])
        self.assertEqual(report["LayersUnproved"], 0)
        self.assertTrue(report["StraysSearched"])
        return report

    def repaired(self, **outcomes):
        """A repair, after which nothing is left to be found."""
        report = self.check("--repair", code=0 if set(outcomes.values()) <= {"repaired"} else 1)
        self.assertEqual({f["Kind"].replace("-", "_"): f["Outcome"] for f in report["Flaws"]}, outcomes, report)
        return report["Flaws"]

    def mended(self, kind):
        self.repaired(**{kind.replace("-", "_"): "repaired"})
        self.whole()

    def of_tree(self, change, words, image="one:1", pos=1, hits=("one:1", "two:1")):
        """@change(tree) makes a flaw that is told in @words, and repaired from the blob."""
        chain, tree, _ = self.layer(image, pos)
        before = content(tree)
        change(tree)
        flaw, = self.flawed("layer-changed")
        self.assertEqual((flaw["Object"], flaw["Images"]), (chain, list(hits)))
        self.assertIn(words, "\n".join(flaw["Details"]))
        self.mended("layer-changed")
        self.assertEqual(content(tree), before)

    # -- nothing is wrong ---------------------------------------------------------------------------------------------

    def test_a_whole_store(self):
        report = self.whole()
        self.assertEqual((report["Images"], report["Layers"], report["Blobs"]), (2, 3, 5))
        r = self.coffer("system", "check")
        self.assertRegex(r.out, r"^Images: 2, layers: 3, blobs: 5 \([0-9.]+MB\), containers: 0\nFlaws: 0\n$")
        self.assertRegex(self.coffer("system", "check", "--repair").out, r"Flaws: 0, left: 0\n$")
        t = self.tty("system", "check")
        self.assertEqual(t.wait(60), 0)
        self.assertIn("Checking blob", t.text)
        self.assertIn("Flaws: 0", t.text)
        self.assertFails(self.coffer("system", "check", "--format", "{{.Nope", check=False), 64, "template")
        self.assertEqual(self.coffer("system", "check", "--format", "{{.Images}} {{len .Flaws}}").out, "2 0\n")

    def test_a_container_beside_it(self):
        self.coffer("run", "--name", "beside", "--network", "none", "two:1", "sh", "-c", "echo x >/new; rm /d/file")
        self.addCleanup(self.coffer_, "rm", "-f", "beside", check=False)
        self.assertEqual(self.whole()["Containers"], 1)

    # -- trees ----------------------------------------------------------------------------------------------------------

    def test_flipped_byte_in_a_tree(self):
        def flip(tree):
            path = os.path.join(tree, "d/file")
            st = os.stat(path)
            with open(path, "r+b") as f:
                f.seek(30000)
                f.write(b"!")
            os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))  # nothing but the byte tells

        self.of_tree(flip, "d/file: its content differs")

    def test_missing_and_extra_files(self):
        self.of_tree(lambda tree: os.unlink(os.path.join(tree, "soft")), "soft: is missing")

        def add(tree):
            st = os.stat(os.path.join(tree, "d"))
            with open(os.path.join(tree, "d", "new"), "w") as f:
                f.write("who am I")
            os.utime(os.path.join(tree, "d"), ns=(st.st_atime_ns, st.st_mtime_ns))

        self.of_tree(add, "d/new: does not belong there")
        self.of_tree(lambda tree: shutil.rmtree(os.path.join(tree, "d")), "d: is missing")

    def test_wrong_metadata(self):
        def at(name):
            return lambda tree: os.path.join(tree, name)

        file, d, soft = at("d/file"), at("d"), at("soft")
        self.of_tree(lambda t: os.chmod(file(t), 0o755), "d/file: mode 0755, should be 4755")
        self.of_tree(lambda t: (os.chown(file(t), 0, 6), os.chmod(file(t), 0o4755)), "d/file: owner 0:6, should be 5:6")
        self.of_tree(lambda t: os.chmod(d(t), 0o777), "d: mode 0777, should be 0755")
        self.of_tree(lambda t: os.utime(file(t), ns=(0, 5)), "d/file: time 0.000000005")
        self.of_tree(lambda t: os.utime(soft(t), ns=(0, 5), follow_symlinks=False), "soft: time 0.000000005")
        self.of_tree(lambda t: os.truncate(file(t), 10), "d/file: 10 bytes, should be 50000")
        self.of_tree(lambda t: os.setxattr(file(t), "user.colour", b"blue"), "attribute 'user.colour' differs")
        self.of_tree(lambda t: os.removexattr(file(t), "user.colour"), "attribute 'user.colour' differs")
        self.of_tree(lambda t: os.setxattr(d(t), "trusted.overlay.opaque", b"y"), "d: attribute 'trusted.overlay.opaque' differs")
        self.of_tree(lambda t: os.chmod(t, 0o700), "/: mode 0700")

    def test_wrong_kinds_and_links(self):
        def replace(name, make):
            def change(tree):
                path = os.path.join(tree, name)
                os.unlink(path)
                make(path)

            return change

        self.of_tree(replace("soft", lambda p: os.symlink("/etc/shadow", p)), "soft: it leads elsewhere")
        self.of_tree(replace("pipe", lambda p: os.mknod(p, 0o600)), "pipe: a file, should be a pipe")
        self.of_tree(replace("soft", lambda p: os.mkfifo(p)), "soft: a pipe, should be a symbolic link")

        def cut(tree):
            path = os.path.join(tree, "d/hard")
            os.unlink(path)
            shutil.copy2(os.path.join(tree, "d/file"), path)
            os.chown(path, 5, 6)
            os.chmod(path, 0o4755)

        self.of_tree(cut, "d/hard: 1 names, should be 2")
        self.of_tree(replace("etc/hostname", lambda p: os.mknod(p, 0o600)), "etc/hostname: a file, should be a whiteout", image="two:1", pos=2, hits=["two:1"])
        self.of_tree(lambda t: os.removexattr(os.path.join(t, "home/alice"), "trusted.overlay.opaque"), "home/alice: attribute 'trusted.overlay.opaque'", image="two:1", pos=2, hits=["two:1"])

    def test_names_that_are_no_text(self):
        def change(tree):
            with open(os.path.join(tree, "bad\udcff\nname"), "w") as f:
                f.write("z")

        self.of_tree(change, "bad\\xff\\x0aname: its content differs")

    def test_a_tree_that_leads_out(self):
        """What somebody put into a tree is neither followed nor opened."""
        outside = os.path.join(self.scratch, "outside")
        os.makedirs(os.path.join(outside, "d"), exist_ok=True)

        def link(tree):
            shutil.rmtree(os.path.join(tree, "d"))
            os.symlink(os.path.join(outside, "d"), os.path.join(tree, "d"))

        self.of_tree(link, "d: a symbolic link, should be a directory")
        self.assertEqual(os.listdir(outside), ["d"])

    def test_a_missing_tree_and_its_layer_above(self):
        """The layer above is compared with what is made over the layer below as it should be, not as it is."""
        chain, tree, _ = self.layer("two:1", 1)
        before = content(tree)
        shutil.rmtree(self.path("layers", chain[7:]))
        flaw, = self.flawed("layer-missing")
        self.assertEqual((flaw["Object"], flaw["Images"]), (chain, ["one:1", "two:1"]))
        self.mended("layer-missing")
        self.assertEqual(content(tree), before)

    def test_meta_and_what_lies_beside_a_tree(self):
        chain, _, _ = self.layer("one:1", 1)
        with open(self.path("layers", chain[7:], "meta.json"), "w") as f:
            f.write("{")
        self.assertIn("meta.json: cannot be read", self.flawed("layer-changed")[0]["Details"])
        self.mended("layer-changed")
        with open(self.path("layers", chain[7:], "note"), "w") as f:
            f.write("hello")
        self.assertEqual(self.flawed("stray")[0]["Object"], f"layers/{chain[7:]}/note")
        self.mended("stray")

    # -- blobs ----------------------------------------------------------------------------------------------------------

    def flip(self, path):
        with open(path, "r+b") as f:
            f.seek(os.path.getsize(path) // 2)
            byte = f.read(1)
            f.seek(-1, 1)
            f.write(bytes([byte[0] ^ 1]))

    def test_flipped_byte_in_a_layer_s_blob(self):
        _, _, blob = self.layer("two:1", 2)
        self.flip(blob)
        flaw, = self.flawed("blob-changed")
        self.assertEqual((flaw["Object"], flaw["Images"]), ("sha256:" + os.path.basename(blob), ["two:1"]))
        self.repaired(blob_changed="needs-pull")
        self.assertFalse(os.path.exists(blob))
        self.assertEqual(os.listdir(self.path("damaged")), [os.path.basename(blob)])
        self.flawed("blob-missing")
        self.assertEqual(self.run_("two:1", "cat", "/over").out, "o", "its tree is good and still runs")
        self.coffer("load", "-q", "-i", self.archives["two:1"])
        self.whole()
        self.coffer("image", "prune", "-f")
        self.assertFalse(os.path.exists(self.path("damaged")))

    def test_missing_blob(self):
        _, _, blob = self.layer("one:1", 0)
        os.unlink(blob)
        flaw, = self.flawed("blob-missing")
        self.assertEqual(flaw["Images"], ["one:1", "two:1"])
        self.repaired(blob_missing="needs-pull")
        self.coffer("load", "-q", "-i", self.archives["one:1"])
        self.whole()

    def test_blob_and_tree_are_both_bad(self):
        """Without a good blob the tree cannot be proved; the pull or load that brings the blob back lets the next check prove and mend it."""
        _, tree, blob = self.layer("two:1", 2)
        before = content(tree)
        self.flip(blob)
        os.chmod(os.path.join(tree, "over"), 0o777)
        self.assertEqual(self.check(code=1)["LayersUnproved"], 1)
        self.repaired(blob_changed="needs-pull")
        self.coffer("load", "-q", "-i", self.archives["two:1"])
        self.repaired(layer_changed="repaired")
        self.assertEqual(content(tree), before)
        self.whole()

    def test_blob_and_tree_are_both_gone(self):
        chain, tree, blob = self.layer("two:1", 2)
        before = content(tree)
        os.unlink(blob)
        shutil.rmtree(self.path("layers", chain[7:]))
        self.repaired(blob_missing="needs-pull", layer_missing="needs-pull")
        self.coffer("load", "-q", "-i", self.archives["two:1"])
        self.assertEqual(content(tree).keys(), before.keys())
        self.whole()

    def test_a_config_is_lost(self):
        """The image is still listed, can be removed, and comes back by a load; others are not touched by it."""
        (ident,), = self.query("SELECT image_id FROM image_ref WHERE name='docker.io/library/two'")
        self.flip(self.path("blobs", "sha256", ident[7:]))
        flaw, = self.flawed("blob-changed")
        self.assertEqual(flaw["Images"], ["two:1"])
        self.repaired(blob_changed="needs-pull")
        self.assertEqual(sorted(self.coffer("images", "--format", "{{.Repository}}:{{.Tag}}").lines), ["one:1", "two:1"])
        self.assertFails(self.coffer("run", "--rm", "--network", "none", "two:1", "true", check=False), 125, "pull or load the image again")
        self.coffer("load", "-q", "-i", self.archives["two:1"])
        self.whole()
        self.assertEqual(self.run_("two:1", "cat", "/over").out, "o")

    def test_a_pull_brings_back_what_was_bad(self):
        fake = registries.Fake()
        self.addCleanup(fake.close)
        image = registries.Image([self.base, [Entry.file("pulled", b"p" * 100000)]])
        ref = fake.add(image, "team/app", "1")
        self.coffer("pull", "-q", ref)
        self.addCleanup(self.coffer_, "rmi", "-f", ref, check=False)
        self.whole()
        blob, manifest = image.doc["layers"][1]["digest"], image.digest
        self.flip(self.path("blobs", "sha256", blob[7:]))
        os.unlink(self.path("blobs", "sha256", manifest[7:]))
        self.repaired(blob_changed="needs-pull", blob_missing="needs-pull")
        fake.seen.clear()
        self.coffer("pull", "-q", ref)
        self.assertEqual([s[1] for s in fake.asked("/blobs/") if image.doc["config"]["digest"] not in s[1]], [f"/v2/team/app/blobs/{blob}"], "only what was lost is fetched")
        self.whole()
        fake.seen.clear()
        self.coffer("pull", "-q", ref)
        self.assertEqual(fake.asked("/blobs/"), [], "it is up to date again")

    def test_an_index_s_document_is_no_stray(self):
        fake = registries.Fake()
        self.addCleanup(fake.close)
        image = registries.Image([self.base])
        fake.add(image, "team/app", "other")
        text = registries.index(image.descriptor(architecture="amd64" if os.uname().machine == "x86_64" else "arm64", os="linux"))
        fake.manifests[("team/app", "1")] = (registries.INDEX, text)
        self.coffer("pull", "-q", f"{fake.name}/team/app:1")
        self.addCleanup(self.coffer_, "rmi", "-f", f"{fake.name}/team/app:1", check=False)
        self.whole()
        path = self.path("blobs", "sha256", registries.digest(text)[7:])
        if os.path.exists(path):  # nothing needs it
            self.flip(path)
            self.flawed("blob-changed")
            self.mended("blob-changed")

    def test_lost_blobs_come_back_in_another_coding(self):
        archive = images.oci_archive([self.base, [Entry.file("coded", "c")]], "coded:1")
        plain = images.docker_archive([self.base, [Entry.file("coded", "c")]], ["coded:1"])
        self.coffer("load", "-q", "-i", archive)
        self.addCleanup(self.coffer_, "rmi", "-f", "coded:1", check=False)
        _, _, blob = self.layer("coded:1", 1)
        self.flip(blob)
        self.repaired(blob_changed="needs-pull")
        self.coffer("load", "-q", "-i", plain)
        self.whole()
        out = os.path.join(self.scratch, "coded.tar")
        self.coffer("save", "-o", out, "coded:1")

    # -- rows -----------------------------------------------------------------------------------------------------------

    def test_names_of_no_image(self):
        none = "sha256:" + "0" * 64
        self.query("INSERT INTO image_ref VALUES('local','docker.io/library/ghost','1',?)", none)
        self.query("INSERT INTO image_digest VALUES('local','docker.io/library/ghost',?,?)", none, none)
        self.query("INSERT INTO image_layer VALUES('local',?,0,?,?,?,1)", none, none, none, none)
        flaws = self.flawed("row-stray", "row-stray", "row-stray", *())
        self.assertEqual([f["Object"] for f in flaws], ["docker.io/library/ghost:1", f"docker.io/library/ghost:{none}", f"{none}:0"])
        self.mended("row-stray")

    def test_rows_that_contradict_the_config(self):
        chain, _, _ = self.layer("one:1", 1)
        rows = self.query("SELECT * FROM image_layer ORDER BY 1,2,3")
        (ident,), = self.query("SELECT image_id FROM image_ref WHERE name='docker.io/library/one'")
        self.query("UPDATE image_layer SET chain_id=? WHERE image_id=? AND pos=1", "sha256:" + "1" * 64, ident)
        flaw = self.flawed("row-wrong")[0]
        self.assertEqual((flaw["Object"], flaw["Images"]), (ident, ["one:1"]))
        self.mended("row-wrong")
        self.query("DELETE FROM image_layer WHERE image_id=? AND pos=1", ident)
        self.assertIn("1 layers, its config names 2", self.flawed("row-wrong")[0]["Details"])
        self.check("--repair", code=1)  # an image without a manifest: nobody knows the blob any more
        self.coffer("load", "-q", "-i", self.archives["one:1"])
        self.whole()
        self.assertEqual(self.query("SELECT * FROM image_layer ORDER BY 1,2,3"), rows)

    def test_rows_of_a_tenant_that_has_it_in_another_coding(self):
        """They are mended by what that tenant has, not by another's."""
        _, _, blob = self.layer("one:1", 1)
        with open(blob, "rb") as f:
            packed = gzip.compress(f.read(), mtime=0)
        name = "sha256:" + hashlib.sha256(packed).hexdigest()
        with open(self.path("blobs", "sha256", name[7:]), "wb") as f:
            f.write(packed)
        (ident,), = self.query("SELECT image_id FROM image_ref WHERE name='docker.io/library/one'")
        self.query("INSERT INTO image SELECT 'other', id, NULL, created_ns, size, loaded_ns FROM image WHERE id=?", ident)
        self.query("INSERT INTO image_layer SELECT 'other', image_id, pos, diff_id, chain_id, CASE pos WHEN 1 THEN ? ELSE blob END, size FROM image_layer WHERE image_id=?", name, ident)
        self.addCleanup(self.query, "DELETE FROM image WHERE tenant='other'")
        self.addCleanup(self.query, "DELETE FROM image_layer WHERE tenant='other'")
        self.whole()
        before = self.query("SELECT * FROM image_layer ORDER BY 1,2,3")
        self.query("UPDATE image_layer SET chain_id=? WHERE tenant='other' AND pos=1", "sha256:" + "1" * 64)
        self.mended("row-wrong")
        self.assertEqual(self.query("SELECT * FROM image_layer ORDER BY 1,2,3"), before)

    def test_rows_come_back_from_the_manifest(self):
        self.coffer("load", "-q", "-i", images.oci_archive([self.base, [Entry.file("rows", "r")]], "rows:1"))
        self.addCleanup(self.coffer_, "rmi", "-f", "rows:1", check=False)
        before = self.query("SELECT * FROM image_layer ORDER BY 1,2,3"), self.query("SELECT id, size FROM image ORDER BY 1")
        (ident,), = self.query("SELECT image_id FROM image_ref WHERE name='docker.io/library/rows'")
        self.query("DELETE FROM image_layer WHERE image_id=? AND pos=1", ident)
        self.query("UPDATE image_layer SET blob=? WHERE image_id=? AND pos=0", "sha256:" + "2" * 64, ident)
        report = self.check("--repair", code=1)
        self.assertIn(("row-wrong", "repaired"), [(f["Kind"], f["Outcome"]) for f in report["Flaws"]])
        self.assertEqual((self.query("SELECT * FROM image_layer ORDER BY 1,2,3"), self.query("SELECT id, size FROM image ORDER BY 1")), before)

    def test_what_no_row_names(self):
        hexes = ["a" * 64, "b" * 64]
        os.makedirs(self.path("layers", hexes[0], "fs", "deep"))
        os.makedirs(self.path("tmp", "what"))
        os.makedirs(self.path("containers", "c" * 64, "upper"))
        for name in ("blobs/sha256/" + hexes[1], "blobs/note", "blobs/sha256/short", "partial/file", "layers/odd"):
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            with open(self.path(name), "w") as f:
                f.write("x")
        for where in ("layers", "containers", "blobs/sha256"):  # of a file system that was mounted there
            os.makedirs(self.path(where, "lost+found"))
            self.addCleanup(os.rmdir, self.path(where, "lost+found"))
        expected = sorted([f"layers/{hexes[0]}", f"blobs/sha256/{hexes[1]}", "blobs/note", "blobs/sha256/short", "partial/file", "layers/odd", "tmp/what", "containers/" + "c" * 64])
        report = self.check(code=1)
        self.assertEqual(sorted((f["Kind"], f["Object"]) for f in report["Flaws"]), [("stray", x) for x in expected])
        self.repaired(stray="repaired")
        self.whole()
        for name in expected:
            self.assertFalse(os.path.lexists(self.path(name)), name)

    # -- containers -----------------------------------------------------------------------------------------------------

    def test_a_container_runs_from_it(self):
        """It is named and not touched: its tree is mended once it has stopped."""
        chain, tree, _ = self.layer("one:1", 1)
        self.coffer("run", "-d", "--name", "busy", "--network", "none", "--stop-signal", "KILL", "two:1", "sleep", "1000")
        self.addCleanup(self.coffer_, "rm", "-f", "busy", check=False)
        os.chmod(os.path.join(tree, "soft"), 0o777)  # of what it leads to
        os.unlink(os.path.join(tree, "soft"))
        before = os.stat(tree).st_ino
        flaw, = self.flawed("layer-changed")
        self.assertEqual((flaw["Containers"], flaw["Images"]), (["busy"], ["one:1", "two:1"]))
        flaw, = self.repaired(layer_changed="in-use")
        self.assertEqual(flaw["Containers"], ["busy"])
        self.assertEqual(os.stat(tree).st_ino, before)
        r = self.coffer("system", "check", check=False)
        self.assertIn("containers: busy", r.out)
        self.coffer("stop", "busy")
        self.mended("layer-changed")
        self.coffer("start", "busy")
        self.assertEqual(self.coffer("exec", "busy", "readlink", "/soft").out, "d/file\n")

    def test_a_container_of_an_image_that_came_meanwhile(self):
        """The flaw was found when there was no such image: its containers are in the way all the same."""
        _, tree, _ = self.layer("one:1", 1)
        self.coffer("rmi", "two:1")
        os.unlink(os.path.join(tree, "soft"))
        before = os.stat(tree).st_ino
        p = subprocess.Popen([self.stage.coffer, "import", "-"], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(p.kill)
        self.assertTrue(coffer.wait_until(lambda: os.listdir(self.path("tmp")), 10))
        t = self.tty("system", "check", "--repair")
        t.expect("Waiting for pulls", 30)
        self.coffer("load", "-q", "-i", self.archives["two:1"])
        self.coffer("run", "-d", "--name", "late", "--network", "none", "--stop-signal", "KILL", "two:1", "sleep", "1000")
        self.addCleanup(self.coffer_, "rm", "-f", "late", check=False)
        p.stdin.close()
        p.wait()
        self.assertEqual(t.wait(60), 1, t.text)
        self.assertIn("late", t.text)
        self.assertEqual(os.stat(tree).st_ino, before)
        self.assertEqual(self.coffer("exec", "late", "stat", "-c", "%s", "/d/file").word, "50000")
        self.coffer("stop", "late")
        self.mended("layer-changed")

    def test_what_a_container_lost(self):
        cid = self.coffer("create", "--name", "lost", "--network", "none", "one:1", "true").word
        self.addCleanup(self.coffer_, "rm", "-f", "lost", check=False)
        self.whole()
        self.coffer("start", "-a", "lost")
        self.whole()
        shutil.rmtree(self.path("containers", cid, "upper"))
        flaw, = self.flawed("container-wrong")
        self.assertEqual((flaw["Object"], flaw["Containers"], flaw["Details"]), (cid, ["lost"], ["its writable layer is gone"]))
        self.repaired(container_wrong="found")

    # -- beside others ---------------------------------------------------------------------------------------------------

    def test_a_killed_load_is_no_flaw(self):
        p = subprocess.Popen([self.stage.coffer, "import", "-"], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertTrue(coffer.wait_until(lambda: os.listdir(self.path("tmp")), 10))
        report = self.check()  # pulls and loads may go on; what no row names cannot be told meanwhile
        self.assertFalse(report["StraysSearched"])
        p.kill()
        p.stdin.close()
        p.wait()
        self.assertTrue(coffer.wait_until(lambda: self.check()["StraysSearched"], 20))
        self.whole()


class Embedded(Checks, coffer.CofferTest):
    pass


if __name__ == "__main__":
    unittest.main()
