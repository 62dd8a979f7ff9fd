# SPDX-License-Identifier: Apache-2.0
"""Layers of one image that are unpacked at once: what each needs of those below it, and what becomes of the others when one fails."""

import hashlib
import os
import stat
import threading

import images
from coffer import wait_until
from images import Entry
from registries import Image, digest
from test_pull import PullTest

ASAN = True


class Layers(PullTest):
    def setUp(self):
        self.reg = self.fake()

    def blob_asked(self, d):
        return any(s[1].endswith(d) for s in self.reg.asked("/blobs/"))

    def hold(self, d, until):
        """Blob @d is sent when @until says so."""
        self.reg.lies.append(lambda h, path, q: path.endswith(d) and not wait_until(until, 60))

    def fs(self, image, n):
        """The tree of layer @n in the store."""
        chain = ""
        for diff in image.diff_ids[: n + 1]:
            chain = "sha256:" + hashlib.sha256(f"{chain} {diff}".encode()).hexdigest() if chain else diff
        return os.path.join(self.root, "layers", chain.removeprefix("sha256:"), "fs")

    def image(self, *layers):
        made = Image(list(layers))
        made.diff_ids = [digest(images.tar(x)) for x in layers]
        return made

    def test_what_a_layer_needs_of_those_below_it_is_waited_for(self):
        image = self.image([Entry.dir("a", 0o700, uid=7, gid=8), Entry.file("a/f", "f\n"), Entry.file("a/g", "g\n", 0o640, uid=9), Entry.symlink("link", "a")],
                           [Entry.file("a/new", "new\n")], [Entry.file("a/.wh.f")], [Entry.link("h", "a/g")], [Entry.file("link/through", "through\n")])
        ref = self.reg.add(image, "x", "1")
        above = [digest(b) for b in image.layers[1:]]
        self.hold(digest(image.layers[0]), lambda: all(self.blob_asked(d) for d in above))
        self.pull(ref)
        self.addCleanup(self.coffer, "rmi", "-f", ref)
        for n in (1, 2, 4):
            st = os.lstat(self.fs(image, n) + "/a")
            self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid), (0o700, 7, 8), n)
        hidden = os.lstat(self.fs(image, 2) + "/a/f")
        self.assertTrue(stat.S_ISCHR(hidden.st_mode) and hidden.st_rdev == 0)
        linked = self.fs(image, 3) + "/h"
        with open(linked) as f:
            self.assertEqual(f.read(), "g\n")
        self.assertEqual((stat.S_IMODE(os.lstat(linked).st_mode), os.lstat(linked).st_uid), (0o640, 9))
        self.assertTrue(os.path.exists(self.fs(image, 4) + "/a/through"))

    def test_one_that_fails_stops_the_others_and_nothing_is_left(self):
        ended = threading.Event()
        self.addCleanup(ended.set)
        image = self.image([Entry.file("slow", os.urandom(200000))], [Entry.file("bad", "not what the config says\n")], *[[Entry.file(f"big{i}", os.urandom(1 << 20))] for i in range(4)])
        image.diff_ids[1] = "sha256:" + "3" * 64
        image.config = images.config_of(image.diff_ids)
        image.doc["config"].update(digest=digest(image.config), size=len(image.config))
        ref = self.reg.add(image, "x", "1")
        if os.cpu_count() > 1:  # else the first layer comes first
            self.hold(digest(image.layers[0]), ended.is_set)
        self.refused(ref, "layer 2 (", "wrong diff id")

    def test_one_blob_may_be_two_layers(self):
        again = [Entry.dir("d"), Entry.file("d/f", "f\n")]
        image = self.image(again, [Entry.file("d/.wh.f")], again, again)
        ref = self.reg.add(image, "x", "1")
        self.pull(ref)
        self.addCleanup(self.coffer, "rmi", "-f", ref)
        self.assertEqual(len([s for s in self.reg.asked("/blobs/") if s[1].endswith(digest(image.layers[0]))]), 1)
        for n in (0, 2, 3):
            self.assertTrue(os.path.exists(self.fs(image, n) + "/d/f"), n)
