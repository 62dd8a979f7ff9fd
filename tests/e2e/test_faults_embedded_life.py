# SPDX-License-Identifier: Apache-2.0
"""P8 without a daemon: kill -9 to the CLI and to the engine of one command, for what follows a run (test_faults_embedded)."""

import unittest

import faults
from faults import Op

FEW = ("bad command", "stop", "rename", "rm -f", "volume rm", "load", "rmi")


class Embedded(faults.FaultTest):
    EMBEDDED = True


def embedded(op):
    return Op(op.name, *op.argv, before=op.before, names=op.names, victims="self cli engine", stays=" ".join(op.stays), fails=op.fails)


faults.tests_of(Embedded, [embedded(op) for op in faults.LIFE + faults.IMAGES if op.name in FEW], lambda op, point: "." in point)

if __name__ == "__main__":
    unittest.main()
