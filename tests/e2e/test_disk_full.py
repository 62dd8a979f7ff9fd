# SPDX-License-Identifier: Apache-2.0
"""A disk that is full while an image is unpacked and while a container starts: an error that says so, nothing half-made, and all is well when there is room again.

The state lies on a small tmpfs in a mount namespace of the script's own.
"""

import os
import subprocess
import unittest

import coffer
import images

SCRIPT = """
mount -t tmpfs -o size=6m tmpfs "$COFFER_ROOT"
fill() { dd if=/dev/zero of="$COFFER_ROOT/fill" bs=4k $1 2>/dev/null || true; }
room() { rm "$COFFER_ROOT/fill"; }
fill count=900
coffer load -q -i "$IMAGE" && echo loaded || echo "load failed"
echo "left: $(ls -A "$COFFER_ROOT/tmp" "$COFFER_ROOT/blobs/sha256" | grep -v : | tr -d '\\n') $(coffer images -q)"
room
coffer load -q -i "$IMAGE"
fill count=100000
coffer run --name full --network none busybox true && echo ran || echo "run failed"
room
coffer rm -f full >/dev/null 2>&1 || true
coffer run --rm --network none busybox echo works
echo "containers: $(coffer ps -aq)"
"""


class DiskFull(coffer.CofferTest):
    NEEDS_IMAGE = False

    def test_while_unpacking_and_starting(self):
        os.makedirs(self.root)
        script = f'coffer() {{ "{self.stage.coffer}" "$@"; }}\n' + SCRIPT
        p = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-uc", script], env=dict(self.env, IMAGE=images.starter("busybox")), capture_output=True, text=True, timeout=120)
        self.assertEqual(p.stdout.splitlines(), ["load failed", "left:  ", "Loaded image: busybox:latest", "run failed", "works", "containers: "], p.stdout + p.stderr)
        self.assertEqual(p.stderr.count("No space left on device"), 2, p.stderr)


if __name__ == "__main__":
    unittest.main()
