#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The static programs are linked with ld's warnings off (glibc's about dlopen and getpwnam), which takes its errors about names that two rooms
define along: the registry's endpoint_done() was the network's for a day. Here they are linked once more with ld's mouth open."""

import os
import shlex
import subprocess
import tempfile
import unittest

BUILD = os.environ["COFFER_BUILD"]


class Links(unittest.TestCase):
    def relink(self, program):
        lines = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", f"src/cmd/{program}/{program}"], capture_output=True, text=True, check=True).stdout.splitlines()
        words = [w for w in shlex.split(lines[-1]) if w != "-Wl,--no-warnings"]
        with tempfile.TemporaryDirectory() as scratch:
            words[words.index("-o") + 1] = os.path.join(scratch, program)
            return subprocess.run(words, cwd=BUILD, capture_output=True, text=True)

    def test_no_name_is_defined_twice(self):
        for program in ("coffer", "cofferd", "coffer-monitor", "coffer-oci"):
            with self.subTest(program):
                r = self.relink(program)
                self.assertNotIn("multiple definition", r.stderr)
                self.assertEqual(r.returncode, 0, r.stderr)


if __name__ == "__main__":
    unittest.main()
