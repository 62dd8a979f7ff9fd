# SPDX-License-Identifier: Apache-2.0
"""Collection: what a running pull counts on stays, what nobody needs goes, whoever was in whose way; and what `system df` says of it is so."""

import os
import subprocess
import threading
import unittest

import coffer
import daemon
import images
import registries
from images import Entry


def disk_bytes(*tops):
    """Bytes of the files below @tops, each once."""
    seen = {}
    for top in tops:
        for path, _, files in os.walk(top):
            for f in files:
                st = os.lstat(os.path.join(path, f))
                seen[st.st_ino] = st.st_size if not os.path.islink(os.path.join(path, f)) else 0
    return sum(seen.values())


class Collection(daemon.DaemonTest):
    """A daemon whose socket commands find by --host alone: the others have engines of their own, on the same state."""

    NEEDS_IMAGE = False

    @classmethod
    def start_daemon(cls, *flags):
        cls.elsewhere = os.path.join(cls.run_dir, "elsewhere.sock")
        cls.daemon = daemon.Daemon([cls.stage.cofferd, "-H", "unix://" + cls.elsewhere], cls.env, os.path.join(cls.scratch, "gc.log"), cls.elsewhere).ready()
        return cls.daemon

    def setUp(self):
        self.fake = registries.Fake()
        self.addCleanup(self.fake.close)
        self.gate, self.reached = threading.Event(), threading.Event()
        self.addCleanup(self.gate.set)
        self.base = images.busybox_entries()

    def by(self, which):
        return ["--host", "unix://" + self.elsewhere] if which == "daemon" else []

    def names(self):
        return sorted(n for n in os.listdir(os.path.join(self.root, "layers")) if n != "skeleton"), sorted(os.listdir(os.path.join(self.root, "blobs", "sha256")))

    def whole(self):
        r = self.coffer("system", "check", check=False)
        self.assertEqual(r.code, 0, str(r))

    def stalled(self, repo, image, layer, which):
        """A pull of @image that hangs at its layer @layer until the gate opens."""
        wanted = image.doc["layers"][layer]["digest"]

        def stall(h, path, query):
            if path.endswith(wanted) and not self.gate.is_set():
                self.reached.set()
                self.gate.wait(60)

        self.fake.lies.append(stall)
        ref = self.fake.add(image, repo, "1")
        self.addCleanup(self.coffer_, "rmi", "-f", ref, check=False)
        p = self.popen(*self.by(which), "pull", "-q", ref, stdout=subprocess.DEVNULL)
        self.assertTrue(self.reached.wait(20), "the pull did not come to its layer")
        return ref, p

    def finish(self, p):
        self.gate.set()
        _, err = p.communicate(timeout=60 * coffer.SLOW)
        type(self)._procs.remove(p)
        self.assertEqual(p.returncode, 0, err)

    def test_a_pull_keeps_what_it_has_found(self):
        """The image whose layers a pull shares goes, and everything is pruned, while the pull waits: it ends well. What it did not need goes then."""
        for n, (puller, remover) in enumerate((("own", "own"), ("own", "daemon"), ("daemon", "own"), ("daemon", "daemon"))):
            with self.subTest(puller=puller, remover=remover):
                self.gate.clear(), self.reached.clear()
                shared = [Entry.file("shared", f"s{n}")]
                old = registries.Image([self.base, shared, [Entry.file("old-alone", "o")]])
                old_ref = self.fake.add(old, f"old{n}", "1")
                self.coffer("pull", "-q", old_ref)
                ref, p = self.stalled(f"new{n}", registries.Image([self.base, shared, [Entry.file("new", f"n{n}")]]), 2, puller)
                self.coffer(*self.by(remover), "rmi", old_ref)
                self.coffer(*self.by(remover), "image", "prune", "-f", "-a")
                self.coffer(*self.by(remover), "system", "prune", "-f", "-a")
                self.finish(p)
                self.assertEqual(self.run_(ref, "cat", "/shared", "/new").out, f"s{n}n{n}")
                gone = os.path.join(self.root, "blobs", "sha256", old.doc["layers"][2]["digest"][7:])
                self.assertTrue(coffer.wait_until(lambda: not os.path.exists(gone), 10), "what the pull was in the way of was never collected")  # noqa: B023
                self.whole()
                self.coffer("rmi", ref)
                self.assertTrue(coffer.wait_until(lambda: self.names() == ([], []), 10), self.names())

    def test_a_killed_pull_hands_the_collection_on(self):
        """The rmi found it in the way; it never got to the collection; the next engine does it."""
        old = registries.Image([self.base, [Entry.file("old-alone", "killed")]])
        old_ref = self.fake.add(old, "killed-old", "1")
        self.coffer("pull", "-q", old_ref)
        _, p = self.stalled("killed-new", registries.Image([self.base, [Entry.file("never", "x")]]), 1, "own")
        self.coffer("rmi", old_ref)
        p.kill()
        p.communicate()
        type(self)._procs.remove(p)
        self.gate.set()

        def clean():
            self.coffer("images")
            return self.names() == ([], [])

        self.assertTrue(coffer.wait_until(clean, 20), self.names())
        self.whole()
        self.coffer("image", "prune", "-f")

    def usage(self):
        return daemon.Client(self.elsewhere)("GET", "/system/df").json()

    def test_df_tells_what_lies_on_disk(self):
        """Layers that images share are counted once, blobs that they share as well; what prune says that it reclaimed is what it did."""
        extra = [Entry.file("extra", os.urandom(1 << 20))]
        for name, layers in (("a", [self.base, extra]), ("b", [self.base, extra, [Entry.file("b", os.urandom(300000))]]), ("c", [[Entry.file("c", os.urandom(200000))]])):
            self.coffer("load", "-q", "-i", images.oci_archive(layers, f"df-{name}:1", compress="gzip"))
        self.addCleanup(self.coffer_, "rmi", "-f", "df-a:1", "df-b:1", "df-c:1", check=False)
        blobs, layers = os.path.join(self.root, "blobs"), os.path.join(self.root, "layers")
        trees = [os.path.join(layers, n, "fs") for n in os.listdir(layers) if n != "skeleton"]
        self.assertEqual(self.usage()["LayersSize"], disk_bytes(blobs, *trees))
        by_tag = {i["RepoTags"][0]: i for i in self.usage()["Images"]}
        self.assertEqual([by_tag[f"df-{x}:1"]["SharedSize"] > 0 for x in "abc"], [True, True, False])
        self.coffer("create", "--name", "keeper", "--network", "none", "df-a:1", "true")
        self.addCleanup(self.coffer_, "rm", "-f", "keeper", check=False)
        before = self.usage()["LayersSize"]
        self.assertEqual({i["RepoTags"][0]: i["Containers"] for i in self.usage()["Images"]}, {"df-a:1": 1, "df-b:1": 0, "df-c:1": 0})
        pruned = daemon.Client(self.elsewhere)("POST", "/images/prune", query={"filters": {"dangling": ["false"]}}).json()
        self.assertEqual(sorted(x["Untagged"] for x in pruned["ImagesDeleted"] if "Untagged" in x and "@" not in x["Untagged"]), ["df-b:1", "df-c:1"])
        after = self.usage()["LayersSize"]
        trees = [os.path.join(layers, n, "fs") for n in os.listdir(layers) if n != "skeleton"]
        self.assertEqual(after, disk_bytes(blobs, *trees))
        self.assertEqual(pruned["SpaceReclaimed"], before - after)
        self.assertEqual(self.coffer("run", "--rm", "--network", "none", "df-a:1", "ls", "/extra").out, "/extra\n")

    def test_prune_leaves_what_has_a_name_or_a_container(self):
        for n in (1, 2):
            self.coffer("load", "-q", "-i", images.docker_archive([self.base, [Entry.file(f"prune{n}")]], ["prune:1"]))  # the second takes the name
        self.coffer("load", "-q", "-i", images.docker_archive([self.base, [Entry.file("used")]], ["prune:used"]))
        self.addCleanup(self.coffer_, "rmi", "-f", "prune:1", check=False)
        self.coffer("create", "--name", "keeper2", "--network", "none", "prune:used", "true")
        self.addCleanup(self.coffer_, "rm", "-f", "keeper2", check=False)
        self.coffer("load", "-q", "-i", images.docker_archive([self.base, [Entry.file("other")]], ["prune:used"]))
        self.addCleanup(self.coffer_, "rmi", "-f", "prune:used", check=False)
        self.assertEqual(len(self.coffer("images", "-q", "--no-trunc", "--filter", "dangling=true").lines), 2)
        r = self.coffer("image", "prune", "-f")
        self.assertEqual(len([x for x in r.out.splitlines() if x.startswith("deleted: ")]), 2, r.out)  # an image, and the layer that it alone had
        left = self.coffer("images", "-q", "--no-trunc", "--filter", "dangling=true").lines
        self.assertEqual(left, [self.coffer("inspect", "--format", "{{.Image}}", "keeper2").word], "a container's image stays")
        self.coffer("start", "-a", "keeper2")
        self.whole()
        self.coffer("rm", "keeper2")
        self.coffer("image", "prune", "-f")
        self.assertEqual(self.coffer("images", "-q", "--filter", "dangling=true").out, "")


if __name__ == "__main__":
    unittest.main()
