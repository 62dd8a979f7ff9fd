# SPDX-License-Identifier: Apache-2.0
"""The prober (tests/prober/prober.c) as first process of a default container, its outcomes held against a golden table.

tests/prober/golden.txt is made by `COFFER_WRITE_GOLDEN=1 python3 -m unittest test_prober` on x86_64 and read by a person before
it is committed: a line that says "open" is a call that a container may make. Lines are runs: SECTION FIRST-LAST OUTCOME.
"""

import os
import platform
import unittest

import images
from coffer import SOURCE, CofferTest

GOLDEN = os.path.join(SOURCE, "tests", "prober", "golden.txt")
SWEEPS = ("native", "x32", "int80")
NEWEST_CERTAIN = 450  # calls above are younger than the oldest kernel we run on: there they may be ENOSYS though allowed


def parse(text):
    """{section: {key: outcome}}."""
    found = {}
    for line in text.splitlines():
        section, key, outcome = line.split(" ", 2)
        found.setdefault(section, {})[key] = outcome
    return found


def runs(numbers):
    """[(first, last, outcome)] of {number: outcome}."""
    out = []
    for n in sorted(numbers):
        if out and out[-1][2] == numbers[n] and out[-1][1] == n - 1:
            out[-1] = (out[-1][0], n, numbers[n])
        else:
            out.append((n, n, numbers[n]))
    return out


def read_golden():
    found = {s: {} for s in SWEEPS}
    with open(GOLDEN) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                section, span, outcome = line.split()
                first, last = (int(x) for x in span.split("-")) if "-" in span else (int(span),) * 2
                found[section].update({n: outcome for n in range(first, last + 1)})
    return found


def write_golden(found):
    with open(GOLDEN, "w") as f:
        f.write("# What the system calls of a default container come to; see tests/e2e/test_prober.py.\n")
        for section in SWEEPS:
            for first, last, outcome in runs({int(k): v for k, v in found[section].items()}):
                f.write(f"{section} {first}-{last} {outcome}\n" if first != last else f"{section} {first} {outcome}\n")


class Prober(CofferTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        program = os.path.join(cls.stage.build, "tests", "prober", "prober")
        with open(program, "rb") as f:
            layer = [images.Entry.dir(d) for d in ("proc", "sys", "dev", "etc")] + [images.Entry.dir("tmp", 0o1777), images.Entry.file("prober", f.read(), 0o755)]
        cls.coffer_("load", "-i", images.docker_archive([layer], ["prober:latest"], {"Cmd": ["/prober"], "Env": []}))
        cls.probes = {}

    def probe(self, *flags, fast=True):
        key = (flags, fast)
        if key not in self.probes:
            r = self.run_(*flags, "prober", "/prober", *(["fast"] if fast else []), timeout=300)
            self.assertTrue(r.out.endswith("end prober done\n"), str(r)[-2000:])
            type(self).probes[key] = parse(r.out)
        return self.probes[key]

    @unittest.skipUnless(platform.machine() == "x86_64", "the golden table is for x86_64")
    def test_every_system_call_against_the_golden_table(self):
        found = self.probe(fast=False)
        if os.environ.get("COFFER_WRITE_GOLDEN"):
            write_golden(found)
        golden = read_golden()
        wrong = []
        for section in SWEEPS:
            self.assertEqual(len(found[section]), 1024, section)
            for key, outcome in found[section].items():
                wanted = golden[section].get(int(key))
                if outcome != wanted and not (int(key) > NEWEST_CERTAIN and outcome == "ENOSYS" and wanted == "open"):
                    wrong.append(f"{section} {key}: {outcome}, golden says {wanted}")
        self.assertEqual(wrong, [])

    @unittest.skipUnless(platform.machine() == "x86_64", "numbers of x86_64")
    def test_calls_that_must_be_shut(self):
        native = self.probe(fast=False)["native"]
        shut = {"mount": 165, "umount2": 166, "pivot_root": 155, "swapon": 167, "reboot": 169, "init_module": 175, "delete_module": 176, "finit_module": 313, "kexec_load": 246, "kexec_file_load": 320, "bpf": 321,
                "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "setns": 308,
                "open_by_handle_at": 304, "settimeofday": 164, "clock_settime": 227, "acct": 163, "quotactl": 179, "iopl": 172, "ioperm": 173, "syslog": 103, "nfsservctl": 180, "lookup_dcookie": 212,
                "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "open_tree": 428, "move_mount": 429, "mount_setattr": 442, "vhangup": 153}
        for name, nr in shut.items():
            self.assertIn(native[str(nr)], ("EPERM", "ENOSYS"), name)
        for nr in range(480, 1024):
            self.assertEqual(native[str(nr)], "ENOSYS", nr)
        self.assertEqual(native["435"], "ENOSYS", "clone3 must look absent, so that libraries fall back to clone")

    @unittest.skipUnless(platform.machine() == "x86_64", "numbers of x86_64")
    def test_calls_that_programs_need(self):
        native = self.probe(fast=False)["native"]
        for nr in (0, 1, 2, 3, 9, 16, 39, 56, 57, 59, 61, 202, 257, 262, 281, 288, 318, 332, 334, 436, 437, 439, 441):
            self.assertEqual(native[str(nr)], "open", nr)

    @unittest.skipUnless(platform.machine() == "x86_64", "other entries exist on x86_64 alone")
    def test_foreign_entries_are_shut(self):
        found = self.probe(fast=False)
        for section in ("x32", "int80"):
            self.assertFalse([k for k, v in found[section].items() if v == "open"], section)

    def test_sockets(self):
        sockets = self.probe()["socket"]
        self.assertEqual((sockets["1"], sockets["2"], sockets["10"]), ("open", "open", "open"))
        for family, name in ((38, "AF_ALG"), (40, "AF_VSOCK"), (17, "AF_PACKET")):
            self.assertNotEqual(sockets[str(family)], "open", name)
        self.assertNotEqual(sockets["inet-raw"], "open")

    def test_namespaces_are_shut(self):
        for flags in ((), ("-u", "1000")):
            found = self.probe(*flags)
            for section in ("unshare", "clone", "clone3", "setns"):
                for key, outcome in found[section].items():
                    self.assertNotEqual(outcome, "open", f"{flags} {section} {key}")

    def test_nested_user_namespaces_stay_shut_without_the_filter(self):
        found = self.probe("--security-opt", "seccomp=unconfined")
        self.assertEqual((found["unshare"]["user"], found["clone"]["user"]), ("ENOSPC", "ENOSPC"))

    def test_terminal_injection_is_shut(self):
        for flags in ((), ("-t",), ("--privileged",)):
            if flags == ("-t",):
                continue  # the output has carriage returns; test_tty has the terminal itself
            for key, outcome in self.probe(*flags)["ioctl"].items():
                if flags == () or key.startswith("TIOCSTI"):
                    self.assertEqual(outcome, "EPERM", f"{flags} {key}")

    def test_devices(self):
        found = self.probe()
        self.assertEqual(sorted(found["dev"].items()), [("full", "c:1:7"), ("null", "c:1:3"), ("random", "c:1:8"), ("tty", "c:5:0"), ("urandom", "c:1:9"), ("zero", "c:1:5")])
        for key, outcome in found["mknod"].items():
            self.assertIn(outcome, ("EPERM", "EACCES"), key)
        for key, outcome in self.probe("--privileged")["mknod"].items():
            self.assertNotEqual(outcome, "open", f"--privileged {key}")

    def test_mounts_are_shut(self):
        found = self.probe()
        for section in ("mount", "fsopen"):
            for key, outcome in found[section].items():
                self.assertNotEqual(outcome, "open", f"{section} {key}")

    def test_nothing_of_proc_and_sys_is_writable(self):
        allowed = {"/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory", "/proc/pressure/irq"}  # mode 0666 in the kernel: a trigger on one's own descriptor
        for flags in ((), ("-u", "1000")):
            self.assertLessEqual(set(self.probe(*flags).get("writable", {})), allowed, flags)


if __name__ == "__main__":
    unittest.main()
