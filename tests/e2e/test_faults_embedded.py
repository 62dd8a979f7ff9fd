# SPDX-License-Identifier: Apache-2.0
"""P8 without a daemon: kill -9 to the CLI, to the engine of one command, to the monitor and to the reaper that it becomes."""

import unittest

import faults
from faults import Op

WITH = "self cli engine"
FEW = ("bad command", "stop", "rename", "rm -f", "volume rm", "load", "rmi")


class Embedded(faults.FaultTest):
    EMBEDDED = True


def embedded(op):
    return Op(op.name, *op.argv, before=op.before, names=op.names, victims=WITH, stays=" ".join(op.stays), fails=op.fails)


OPS = [
    Op("run", *faults.RUN.argv, victims=WITH + " monitor"),
    Op("run --rm", "run", "--rm", *faults.FLAGS, "IMAGE", "true", victims=WITH + " monitor"),
    Op("run -d --rm", "run", "-d", "--rm", *faults.FLAGS, "IMAGE", "true", victims="self engine monitor reaper"),
    *[embedded(op) for op in faults.LIFE + faults.IMAGES if op.name in FEW],
]
faults.tests_of(Embedded, OPS, lambda op, point: "." in point)

if __name__ == "__main__":
    unittest.main()
