# SPDX-License-Identifier: Apache-2.0
"""The runtime-tools validation suite against coffer-oci, beside Debian's runc and crun on the same machine.

Every program of the suite's validation/ directory is one test here. It passes when coffer-oci draws no complaint (a result
that is not ok, an error without a result, an exit code) that either peer is spared, and confirms no fewer assertions than a
peer that passes whole. What draws complaints all the same must be explained in docs/validation-suite.md.

The sources come from the Debian pool by apt's own downloader, pinned by digest, since the -dev package leaves them out; they
build with Debian's Go in GOPATH mode against Debian's Go packages into BUILD/validation-KEY (KEY: sources, compiler,
packages), so a second run builds nothing. The one library that no package has, a TAP writer, is tests/e2e/validation/tap.
"""

import collections
import concurrent.futures
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import coffer
import peers

ALONE = True

PACKAGE = "golang-github-opencontainers-runtime-tools-dev"  # names the pool directory
SOURCE = ("golang-github-opencontainers-runtime-tools_0.9.0.109.ge931285.orig.tar.xz", "203989a1ea98cf2aaced79155bbda09270b20db19b03376dde91ab12e5e6a0fe")
IMPORT = "src/github.com/opencontainers/runtime-tools"
TAP = os.path.join(coffer.HERE, "validation", "tap", "tap.go")
DOC = os.path.join(coffer.SOURCE, "docs", "validation-suite.md")
GO_PACKAGES = "golang-go golang-github-opencontainers-specs-dev golang-github-google-uuid-dev golang-github-mrunalp-fileutils-dev golang-gocapability-dev"
PEERS = ("runc", "crun")

# Passed by a peer because it ignores a confinement that was asked for and is not to be had here. We refuse (the layers fail closed); the words say so.
REFUSED = {
    "linux_mount_label": "this host has no SELinux",
    "linux_process_apparmor_profile": "AppArmor",
}
# What it asserts depends on who is quicker: docs/validation-suite.md says how.
RACES = ("pidfile",)

WORKERS = 4  # programs at a time for one runtime: they sleep most of the time


def output(*argv, **kw):
    p = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, **kw)
    if p.returncode != 0:
        raise RuntimeError(f"{shlex.join(argv)}: exit {p.returncode}: {(p.stderr or p.stdout).strip()[-2000:]}")
    return p.stdout


# ---- building the suite ------------------------------------------------------------------------------------------------


def pool_directory():
    """Where the Debian archive that this machine installs from keeps the package's source."""
    ask = ("apt-get", "download", "--print-uris", PACKAGE)
    try:
        text = output(*ask)
    except RuntimeError:
        output("apt-get", "-q", "update")
        text = output(*ask)
    return re.search(r"'([^']+)/[^/']+\.deb'", text).group(1)


def fetch(folder):
    """The source archive in @folder, fetched unless it is there. Return: its path."""
    name, digest = SOURCE
    path = os.path.join(folder, name)
    if not os.path.exists(path) or hashlib.sha256(open(path, "rb").read()).hexdigest() != digest:
        output("/usr/lib/apt/apt-helper", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "download-file", f"{pool_directory()}/{name}", path, "SHA256:" + digest)
    return path


def key():
    facts = [SOURCE[1], output("go", "version"), output("dpkg-query", "-W", *GO_PACKAGES.split()), coffer.read_text(TAP), "1"]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


def build(folder):
    """Programs of the suite, built below @folder unless they are there.

    Return: the directory they run in; it holds runtimetest, the root file system's archive and bin/NAME for every test."""
    target = os.path.join(folder, "validation-" + key())
    if os.path.isdir(target):
        return target
    archive = fetch(folder)
    with tempfile.TemporaryDirectory(prefix="coffer-gopath.", dir="/var/tmp") as gopath, tempfile.TemporaryDirectory(prefix="validation.", dir=folder) as made:
        source = os.path.join(gopath, IMPORT)
        with tarfile.open(archive) as t:
            t.extractall(os.path.join(gopath, "x"), filter="data") if hasattr(tarfile, "data_filter") else t.extractall(os.path.join(gopath, "x"))
        os.makedirs(os.path.dirname(source))
        os.rename(os.path.join(gopath, "x", os.listdir(os.path.join(gopath, "x"))[0]), source)
        os.makedirs(os.path.join(gopath, "src/github.com/mndrix/tap-go"))
        shutil.copy(TAP, os.path.join(gopath, "src/github.com/mndrix/tap-go/"))
        env = {"PATH": os.environ["PATH"], "HOME": gopath, "GO111MODULE": "off", "GOPATH": gopath + ":/usr/share/gocode", "GOCACHE": os.path.join(gopath, "cache"), "CGO_ENABLED": "0", "GOFLAGS": ""}
        ready = os.path.join(made, "ready")
        os.makedirs(os.path.join(ready, "bin"))
        output("go", "build", "-o", os.path.join(ready, "runtimetest"), "./cmd/runtimetest", env=env, cwd=source)
        output("go", "build", "-o", os.path.join(ready, "bin") + "/", "./validation/...", env=env, cwd=source)
        for name in os.listdir(source):
            if name.startswith("rootfs-"):
                shutil.copy(os.path.join(source, name), ready)
        os.chmod(ready, 0o755)
        os.rename(ready, target)
    return target


# ---- running it --------------------------------------------------------------------------------------------------------


class Verdict:
    """What one program said of one runtime."""

    def __init__(self, result):
        self.result = result
        lines = result.out.splitlines()
        results = [re.match(r"\s*(not ok|ok) \d+ ?-? ?(.*)", line) for line in lines]
        results = [m.groups() for m in results if m]
        self.confirmed = sum(word == "ok" for word, _ in results)
        self.complaints = collections.Counter(self.plain(text) for word, text in results if word == "not ok")
        if result.code != 0:
            self.complaints[f"exit {result.code}"] += 1
        if not results and '"error":' in result.out:
            self.complaints["an error without a result"] += 1

    @staticmethod
    def plain(text):
        """A description without what differs from run to run."""
        return re.sub(r"/\S*ocitest\d+|[0-9a-f]{8}-[0-9a-f-]{27}", "X", text)


class Suite:
    """All programs run against one runtime, in an arena of its own."""

    def __init__(self, folder, name, program):
        self.folder, self.name, self.program = folder, name, program
        self.verdicts = {}

    def run(self):
        arena = peers.Arena()
        try:
            command = os.path.join(arena.dir, "runtime")
            with open(command, "w") as f:
                f.write(f'#!/bin/sh\nexec {shlex.quote(self.program)} --root {arena.dir}/state "$@"\n')
            os.chmod(command, 0o755)

            def one(name):
                result = arena.run("sh", "-c", f'cd "$0" && exec "./bin/{name}"', self.folder, env={"RUNTIME": command}, check=False, timeout=240)
                self.verdicts[name] = Verdict(result)

            names = sorted(os.listdir(os.path.join(self.folder, "bin")))
            shared = [n for n in names if "cgroup" in n or n == "delete_resources" or n == "delete_only_create_resources"]  # they use one cgroup path
            with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
                work = [pool.submit(lambda: [one(n) for n in shared])] + [pool.submit(one, n) for n in names if n not in shared]
                for w in work:
                    w.result()
        finally:
            arena.close()
        return self


_suites = {}


def suites():
    """{runtime's name: Suite}, run once per process."""
    if not _suites:
        folder = build(os.path.abspath(os.environ["COFFER_BUILD"]))
        todo = [Suite(folder, "coffer-oci", peers.runtime())] + [Suite(folder, p, shutil.which(p) or p) for p in PEERS]
        with concurrent.futures.ThreadPoolExecutor(len(todo)) as pool:
            for done in pool.map(Suite.run, todo):
                _suites[done.name] = done
    return _suites


def explained():
    """{program: reason} of the table in docs/validation-suite.md."""
    return dict(re.findall(r"^\| `([a-z0-9_]+)` \|.*\| (.+) \|$", coffer.read_text(DOC), re.M))


class Validation(unittest.TestCase):
    """One test per program of the suite; see load_tests()."""

    maxDiff = None

    def check(self, name):
        all_ = suites()
        ours = all_["coffer-oci"].verdicts[name]
        for peer in PEERS:
            theirs = all_[peer].verdicts[name]
            if theirs.result.code != 0 or name in RACES:
                continue  # it came to nothing: no assertion is one that the peer passes
            if name in REFUSED and REFUSED[name] in ours.result.err:
                continue
            worse = ours.complaints - theirs.complaints
            self.assertEqual(worse, collections.Counter(), f"{peer} is spared what coffer-oci is told:\n{ours.result}")
            if not theirs.complaints:
                self.assertGreaterEqual(ours.confirmed, theirs.confirmed, f"{peer} gets more assertions confirmed:\n{ours.result}")
        if ours.complaints:
            self.assertIn(name, explained(), f"no word in docs/validation-suite.md about {dict(ours.complaints)}:\n{ours.result}")

    def test_the_suite_is_whole(self):
        verdicts = suites()["coffer-oci"].verdicts
        self.assertGreaterEqual(len(verdicts), 55)
        self.assertGreaterEqual(sum(v.confirmed for v in verdicts.values()), 4000)

    def test_what_is_explained_is_so(self):
        verdicts = suites()["coffer-oci"].verdicts
        self.assertEqual([n for n in explained() if not verdicts[n].complaints and n not in RACES], [], "explained in docs/validation-suite.md, and yet without a complaint")


def add_programs():
    folder = build(os.path.abspath(os.environ["COFFER_BUILD"]))
    for name in sorted(os.listdir(os.path.join(folder, "bin"))):
        setattr(Validation, "test_" + name, lambda self, name=name: self.check(name))


class Build(unittest.TestCase):
    def test_it_builds(self):
        self.assertTrue(os.access(os.path.join(build(os.path.abspath(os.environ["COFFER_BUILD"])), "runtimetest"), os.X_OK))


def load_tests(loader, standard, pattern):
    """The programs are known once they are built; when that fails, Build says why."""
    try:
        add_programs()
    except Exception:
        return loader.loadTestsFromTestCase(Build)
    return unittest.TestSuite([loader.loadTestsFromTestCase(Build), loader.loadTestsFromTestCase(Validation)])


def table():
    """Print the rows for docs/validation-suite.md: python3 test_oci_validation.py with COFFER_BUILD set."""
    all_ = suites()
    for name, verdict in sorted(all_["coffer-oci"].verdicts.items()):
        row = [f"{s.verdicts[name].confirmed}/{sum(s.verdicts[name].complaints.values())}" for s in all_.values()]
        print(f"| `{name}` | " + " | ".join(row) + " | " + "; ".join(verdict.complaints) + " |")


if __name__ == "__main__":
    table()
