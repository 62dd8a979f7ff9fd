# SPDX-License-Identifier: Apache-2.0
"""P8: kill -9 at every step of exec and restart under the daemon."""

import unittest

import faults


class Exec(faults.FaultTest):
    pass


faults.tests_of(Exec, [op for op in faults.LIFE if op.name == "exec"])
faults.tests_of(Exec, [op for op in faults.LIFE if op.name == "restart"], lambda op, point: "." in point)

if __name__ == "__main__":
    unittest.main()
