# SPDX-License-Identifier: Apache-2.0
"""How much memory a pull takes: the same whatever its layers hold."""

import contextlib
import glob
import os
import re
import threading

from coffer import wait_until
from images import Entry
from registries import Image
from test_pull import PullTest

BYTES, TAIL = 192 << 20, 1000
MAX_KB = 64 << 10


class Memory(PullTest):
    """Every layer but its last bytes has come, and is unpacked as far as that goes; then everybody's largest resident set so far is looked at."""

    def setUp(self):
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)
        self.reg = self.fake()
        self.reg.lies.append(self.send_slowly)

    def send_slowly(self, h, path, query):
        data = self.reg.blobs.get(path.rsplit("/", 1)[-1])
        if "/blobs/" not in path or not data or len(data) < 10 * TAIL:
            return False
        h.send_response(200)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data[:-TAIL])
        h.wfile.flush()
        wait_until(self.go_on.is_set, 120)
        h.wfile.write(data[-TAIL:])
        return True

    def unpacked(self):
        """Bytes of all files in the work directories."""
        return sum(os.lstat(f).st_size for f in glob.glob(self.root + "/tmp/*/layer*/fs/big*"))

    def largest(self):
        """kB: VmHWM of each of our processes, added up."""
        total = 0
        for entry in glob.glob("/proc/[0-9]*"):
            with contextlib.suppress(OSError, AttributeError):
                if os.readlink(entry + "/exe").startswith(self.stage.dir + "/"):
                    with open(entry + "/status") as f:
                        total += int(re.search(r"^VmHWM:\s+(\d+)", f.read(), re.M).group(1))
        return total

    def look(self, image, expect):
        ref = self.reg.add(image, "x", "1")
        self.addCleanup(self.coffer, "rmi", "-f", ref, check=False)
        puller = threading.Thread(target=self.pull, args=(ref,))
        puller.start()
        self.addCleanup(puller.join)
        self.addCleanup(self.go_on.set)
        self.assertTrue(wait_until(lambda: self.unpacked() >= expect, 120), self.unpacked())
        kb = self.largest()
        self.assertGreater(kb, 1 << 10)
        self.assertLess(kb, MAX_KB)

    def test_one_large_layer(self):
        self.look(Image([[Entry.file("big", bytes(BYTES))]]), BYTES * 3 // 4)

    def test_many_at_once(self):
        self.look(Image([[Entry.file(f"big{i}", bytes(BYTES // 4 + i))] for i in range(6)]), BYTES // 4 * min(os.cpu_count(), 3) * 3 // 4)
