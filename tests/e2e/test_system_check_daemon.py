# SPDX-License-Identifier: Apache-2.0
"""system check by the daemon."""

import unittest

import daemon
import test_system_check


class Daemon(test_system_check.Checks, daemon.DaemonTest):
    NEEDS_IMAGE = False


if __name__ == "__main__":
    unittest.main()
