# SPDX-License-Identifier: Apache-2.0
"""tools/check-rooms finds what it must find: each rule is broken once in a small tree."""

import importlib.machinery
import importlib.util
import os
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools")


def load(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), os.path.join(TOOLS, name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


rooms = load("check-rooms")
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"


class Tree(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.tree)
        table = "".join(f"| {level} | {room} | purpose | |\n" for room, level in rooms.LEVELS.items())
        self.put("docs/architecture.md", table)
        self.put("src/base/str.h", SPDX + "#pragma once\nint s(void);\n")
        self.put("src/kernel/mount.h", SPDX + '#pragma once\n#include "base/str.h"\nint m(void);\n')
        self.put("src/engine/engine.c", SPDX + '#include "kernel/mount.h"\n')

    def put(self, path, text):
        full = os.path.join(self.tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(text)

    def finds(self, *words):
        found = rooms.findings(self.tree)
        self.assertEqual(len(found), 1, found)
        for word in words:
            self.assertIn(word, found[0])

    def test_good_tree_is_silent(self):
        self.assertEqual(rooms.findings(self.tree), [])

    def test_include_upwards(self):
        self.put("src/base/str.c", SPDX + '#include "kernel/mount.h"\n')
        self.finds("src/base/str.c", "goes up", "kernel")

    def test_include_of_an_equal(self):
        self.put("src/db/db.c", SPDX + '#include "kernel/mount.h"\n')
        self.finds("src/db/db.c", "equals")

    def test_include_without_a_room(self):
        self.put("src/kernel/mount.c", SPDX + '#include "mount.h"\n')
        self.finds("does not name a room")

    def test_include_of_a_missing_header(self):
        self.put("src/kernel/mount.c", SPDX + '#include "base/nothing.h"\n')
        self.finds("no such header")

    def test_include_of_a_program(self):
        self.put("src/cmd/coffer/x.h", SPDX)
        self.put("src/cli/x.c", SPDX + '#include "cmd/coffer/x.h"\n')
        self.finds("programs are seen by nobody")

    def test_programs_see_everything(self):
        self.put("src/cmd/coffer/main.c", SPDX + '#include "kernel/mount.h"\n#include "base/str.h"\n')
        self.assertEqual(rooms.findings(self.tree), [])

    def test_internal_header_of_another_room(self):
        self.put("src/kernel/internal.h", SPDX)
        self.put("src/engine/x.c", SPDX + '#include "kernel/internal.h"\n')
        self.finds("internal to kernel")

    def test_third_party_header_behind_another_door(self):
        self.put("src/engine/x.c", SPDX + "#include <sqlite3.h>\n")
        self.finds("<sqlite3.h>", "belongs to db")

    def test_door_by_directory(self):
        self.put("src/db/x.c", SPDX + "#include <openssl/sha.h>\n")
        self.finds("<openssl/sha.h>", "belongs to codec")

    def test_owner_opens_its_door(self):
        self.put("src/db/x.c", SPDX + "#include <sqlite3.h>\n")
        self.assertEqual(rooms.findings(self.tree), [])

    def test_libseccomp_is_for_tests_alone(self):
        self.put("src/seccomp/x.c", SPDX + "#include <seccomp.h>\n")
        self.finds("belongs to tests")

    def test_header_cycle(self):
        self.put("src/base/a.h", SPDX + '#pragma once\n#include "base/b.h"\n')
        self.put("src/base/b.h", SPDX + '#pragma once\n#include "base/a.h"\n')
        self.finds("header cycle", "base/a.h -> base/b.h -> base/a.h")

    def test_header_that_does_not_compile_alone(self):
        self.put("src/base/x.h", SPDX + "#pragma once\nint f(size_t n);\n")
        self.finds("src/base/x.h", "does not compile alone")

    def test_missing_licence(self):
        self.put("src/base/x.c", "int x;\n")
        self.finds("src/base/x.c", "SPDX")

    def test_missing_licence_of_a_script(self):
        self.put("tools/x", "#!/bin/sh\n")
        self.finds("tools/x", "SPDX")

    def test_directory_that_is_no_room(self):
        self.put("src/util/x.c", SPDX)
        self.finds("src/util", "not a room")

    def test_document_that_disagrees(self):
        with open(os.path.join(self.tree, "docs/architecture.md"), "a") as f:
            f.write("| 3 | attic | purpose | |\n")
        self.finds("room attic")


if __name__ == "__main__":
    unittest.main()
