#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py GOLDEN-PROGRAM CONFINE PROBER: the prober under the default filter alone, against the golden file.

1. the golden file's sweep is what the compiler and the simulator say today
2. the kernel answers every number as the golden file has it
3. so do sockets, namespaces, mounts, keys, terminals and the other entries
"""

import subprocess
import sys
import tempfile

import golden

FILTERED = ("sweep", "ns", "socket", "mount", "fsopen", "keyctl", "tty", "int80", "x32", "seccomp", "no_new_privs", "end")


def out(*argv, text=True):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=text, timeout=250).stdout


def main():
    generator, confine, prober = sys.argv[1:4]
    want = golden.load()
    bad = [f"golden-default.txt is stale: {k} is {want.get(k)}, the compiler says {v}" for k, v in golden.parse(out(generator)).items() if want.get(k) != v]
    with tempfile.NamedTemporaryFile() as f:
        f.write(out(generator, "--filter", text=False))
        f.flush()
        baseline = golden.parse(out(confine, "-", prober, "sweep"))
        report = golden.parse(out(confine, f.name, prober))
    bad += golden.differences(want, report, baseline, FILTERED)
    refused = sum(1 for k, v in want.items() if k.startswith("sweep.") and v == "EPERM")
    through = sum(1 for k, v in want.items() if k.startswith("sweep.") and v == "EPERM" and baseline.get(k) not in ("EPERM", "ENOSYS"))
    if through < 20:
        bad.append(f"the baseline refuses too much to tell: of {refused} refused calls only {through} would have gone in")
    print("\n".join(bad) or f"{len([k for k in want if k.split('.')[0] in FILTERED])} answers as expected")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
