# SPDX-License-Identifier: Apache-2.0
"""tools/check-docs finds what it must find."""

import os
import shutil
import tempfile
import unittest

from test_check_rooms import load

docs = load("check-docs")


class Docs(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.tree)
        self.put("Makefile", "run:\n\techo\n")
        self.put("README.md", "# Title\n`make run`, see [hacking](docs/hacking.md#a-heading) and [away](https://example.org/)\n")
        self.put("docs/hacking.md", "## A heading\n[up](../README.md)\n")
        self.put("docs/adr/README.md", "[0001](0001-x.md)\n")
        self.put("docs/adr/0001-x.md", "\n".join(docs.ADR_HEADINGS))

    def put(self, path, text):
        full = os.path.join(self.tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(text)

    def finds(self, word):
        found = docs.findings(self.tree)
        self.assertEqual(len(found), 1, found)
        self.assertIn(word, found[0])

    def test_good_tree_is_silent(self):
        self.assertEqual(docs.findings(self.tree), [])

    def test_dead_link(self):
        self.put("docs/x.md", "[gone](gone.md)")
        self.finds("no such file")

    def test_dead_anchor(self):
        self.put("docs/x.md", "[gone](hacking.md#nowhere)")
        self.finds("no such heading")

    def test_target_that_is_none(self):
        self.put("docs/x.md", "    $ make coffee")
        self.finds("make coffee")

    def test_record_that_is_not_listed(self):
        self.put("docs/adr/0002-y.md", "\n".join(docs.ADR_HEADINGS))
        self.finds("does not list 0002-y.md")

    def test_record_without_its_headings(self):
        self.put("docs/adr/0001-x.md", "\n".join(docs.ADR_HEADINGS[1:]))
        self.finds("## Status")

    def test_path_of_a_checkout(self):
        self.put("docs/x.md", "see /home" + "/me/x")
        self.finds("names /home")


if __name__ == "__main__":
    unittest.main()
