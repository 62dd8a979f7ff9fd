# SPDX-License-Identifier: Apache-2.0
"""What of Podman and containerd depends on the cgroup version and the kernel, once more on full cgroup v2 and Linux 6.1: the VM lane.

The rest of test_oci_podman.py and test_oci_containerd.py runs outside alone; in there everything takes ten times as long.
"""

import unittest

import test_oci_containerd
import test_oci_podman

VM = True
HOST = False

CHOSEN = (
    (test_oci_podman.Rootful, ("test_run", "test_exec", "test_pause", "test_limits", "test_oom_kill", "test_userns_auto", "test_privileged_and_devices", "test_nothing_is_left")),
    (test_oci_podman.Rootless, ("test_run", "test_nobody_special")),
    (test_oci_containerd.Ctr, ("test_user_namespace", "test_pause_and_resume", "test_metrics", "test_oom", "test_limits_are_set", "test_nothing_is_left")),
)


def load_tests(loader, standard, pattern):
    return unittest.TestSuite(unittest.TestSuite(case(name) for name in names) for case, names in CHOSEN)
