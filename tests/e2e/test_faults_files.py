# SPDX-License-Identifier: Apache-2.0
"""P8: kill -9 while the files of a container are looked at, and while what no command waits for happens: restarts by policy, health checks."""

import unittest

import faults


class Files(faults.FaultTest):
    pass


faults.tests_of(Files, faults.FILES, lambda op, point: "." in point)


class Afterwards(faults.FaultTest):
    pass


faults.tests_of(Afterwards, faults.AFTERWARDS, lambda op, point: "restart" in point or "probe" in point or point.startswith(("engine.reap", "engine.start", "creator")))

if __name__ == "__main__":
    unittest.main()
