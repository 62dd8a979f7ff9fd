# SPDX-License-Identifier: Apache-2.0
"""What the walks over the image store's points do and find (faults.py has the rest): pull, push, load, import, commit, rmi, prune and check, with the CLI, the daemon or
engine, coffer-unpack and coffer-fetch killed. `coffer system check` finds nothing afterwards."""

import os

import coffer
import faults
import images
import registries
from faults import Op
from images import Entry

OURS = ("image.", "fetch.", "registry.")
ALL = "self cli daemon unpack fetch"
BEFORE = {
    "two names": [("load", "-q", "-i", "ARCHIVE"), ("tag", "fresh", "fresh:second")],
    "dangling": [("load", "-q", "-i", "ARCHIVE"), ("tag", "IMAGE", "fresh:latest")],
    "pushable": [("load", "-q", "-i", "ARCHIVE"), ("tag", "fresh", "REGISTRY/pushROUND:1")],
    "flawed": [("load", "-q", "-i", "ARCHIVE")],
}
OPS = [
    Op("pull", "pull", "REGISTRY/fresh:1", victims=ALL),
    Op("push", "push", "REGISTRY/pushROUND:1", before="pushable", victims="self cli daemon fetch"),
    Op("load", "load", "-i", "ARCHIVE", victims="self cli daemon unpack"),
    Op("import", "import", "ROOTFS", "fresh:latest", victims="self cli daemon unpack"),
    Op("commit", "commit", "xx", "fresh:latest", before="exited", victims="self cli daemon unpack"),
    Op("rmi", "rmi", "fresh", before="image", victims="self cli daemon"),
    Op("untag", "rmi", "fresh:second", before="two names", victims="self cli daemon"),
    Op("image prune", "image", "prune", "-f", before="dangling", victims="self cli daemon"),
    Op("check", "system", "check", "--repair", before="flawed", victims="self cli daemon unpack", fails=True),
]


class ImageFaults(faults.FaultTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reg = registries.Registry(cls.scratch)
        cls.round_number = 0
        cls.reg.push(images.docker_archive([images.busybox_entries(), [Entry.file("pulled", b"p" * 300000)], [Entry.file("more", "m")]], ["fresh:1"]), "fresh:1")
        cls.rootfs = os.path.join(cls.scratch, "rootfs.tar")
        with open(cls.rootfs, "wb") as f:
            f.write(images.tar([Entry.dir("etc"), Entry.file("etc/imported", "i")]))

    @classmethod
    def tearDownClass(cls):
        cls.reg.close()
        super().tearDownClass()

    def argv(self, words):
        more = {"REGISTRY": self.reg.name, "ROOTFS": self.rootfs, "ROUND": str(self.round_number)}
        found = []
        for w in super().argv(words):
            for word, value in more.items():
                w = w.replace(word, value)
            found.append(w)
        return found

    def begin(self, op):
        type(self).round_number += 1  # what was pushed once would not be sent again
        for words in BEFORE.get(op.before, ()):
            self.coffer(*self.argv(words))
        super().begin(op)
        if op.before == "flawed":
            self.spoil()

    def spoil(self):
        (chain, blob), = self.query("SELECT chain_id, blob FROM image_layer l JOIN image_ref r ON r.image_id=l.image_id WHERE r.name='docker.io/library/fresh' AND l.pos=1")
        os.chmod(os.path.join(self.root, "layers", chain[7:], "fs", "fresh"), 0o777)
        (ident,), = self.query("SELECT image_id FROM image_ref WHERE name='docker.io/library/fresh'")
        with open(os.path.join(self.root, "blobs", "sha256", ident[7:]), "a") as f:
            f.write(" ")

    def settle(self, op, point="", victim=""):
        self.revive()
        if self.EMBEDDED:  # the engine of a killed command ends by itself
            self.assertTrue(coffer.wait_until(lambda: "coffer" not in self.engine_processes().values(), faults.PATIENCE), "an engine outlives its command")
        elif not coffer.wait_until(lambda: not self.busy(), faults.PATIENCE, 0.002):
            self.fail(f"the daemon still answers after {faults.PATIENCE} s")
        if op.name == "check":
            self.coffer("system", "check", "--repair", check=False)
            self.coffer("load", "-q", "-i", self.archive)
        r = self.coffer("system", "check", check=False)
        self.assertEqual(r.code, 0, f"the store is not whole: {r}")
        self.assertNotIn("not looked for", r.out)
        names = {w for words in [op.argv, *BEFORE.get(op.before, ())] for w in self.argv(words) if w.startswith(self.reg.name)}
        for name in ["fresh:latest", "fresh:second", *names]:
            self.remove_image(name)
        self.coffer("image", "prune", "-f")
        if os.path.isdir(os.path.join(self.root, "partial", "local")):
            self.assertEqual(os.listdir(os.path.join(self.root, "partial", "local")), [])
        super().settle(op, point, victim)
