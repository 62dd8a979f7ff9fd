# SPDX-License-Identifier: Apache-2.0
"""P8: kill -9 at every step of `run -d` under the daemon: CLI, daemon, monitor, creator, init."""

import unittest

import faults


class Run(faults.FaultTest):
    pass


faults.tests_of(Run, [faults.RUN])

if __name__ == "__main__":
    unittest.main()
