# SPDX-License-Identifier: Apache-2.0
"""Reads prober reports and golden files and compares them; used by run.py here and by tests/e2e/test_prober_report.py."""

import os

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden-default.txt")


def parse(text):
    """{key: value} of a report or golden file; `#` starts a comment."""
    found = {}
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line:
            key, _, value = line.partition(" ")
            assert key not in found, f"'{key}' twice"
            found[key] = value.strip()
    return found


def load(path=GOLDEN):
    with open(path) as f:
        return parse(f.read())


def differences(golden, report, baseline, sections=None):
    """["key: expected X, got Y"]. @baseline: the sweep of the same place without a filter; what the filter lets in answers
    as the kernel does there. @sections: only keys that start with one of these words and a dot."""
    bad = []
    for key, want in golden.items():
        section = key.split(".")[0]
        if sections and section not in sections:
            continue
        got = report.get(key, "nothing")
        if section == "sweep" and want == "allowed":
            want = baseline.get(key, "nothing")
        if got not in want.split("|"):
            bad.append(f"{key}: expected {want}, got {got}")
    return bad
