# SPDX-License-Identifier: Apache-2.0
"""P8 for the image store without a daemon: kill -9 to the CLI, the engine of one command, coffer-unpack and coffer-fetch (test_faults_images)."""

import unittest

import faults
from faults import Op
from faults_images import OPS, OURS, ImageFaults


class Embedded(ImageFaults):
    EMBEDDED = True


def embedded(op):
    victims = [v for v in op.victims if v != "daemon"] + ["engine"]
    return Op(op.name, *op.argv, before=op.before, victims=" ".join(victims), fails=op.fails)


faults.tests_of(Embedded, [embedded(op) for op in OPS if op.name in ("pull", "load", "commit", "image prune", "check")], lambda op, point: point.startswith(OURS))

if __name__ == "__main__":
    unittest.main()
