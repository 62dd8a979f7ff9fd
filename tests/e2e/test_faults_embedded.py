# SPDX-License-Identifier: Apache-2.0
"""P8 without a daemon: kill -9 to the CLI, to the engine of one run, to the monitor and to the reaper that it becomes."""

import unittest

import faults
from faults import Op

WITH = "self cli engine"


class Embedded(faults.FaultTest):
    EMBEDDED = True


OPS = [
    Op("run", *faults.RUN.argv, victims=WITH + " monitor"),
    Op("run --rm", "run", "--rm", *faults.FLAGS, "IMAGE", "true", victims=WITH + " monitor"),
    Op("run -d --rm", "run", "-d", "--rm", *faults.FLAGS, "IMAGE", "true", victims="self engine monitor reaper"),
]
faults.tests_of(Embedded, OPS, lambda op, point: "." in point)

if __name__ == "__main__":
    unittest.main()
