# SPDX-License-Identifier: Apache-2.0
"""docs/spec-conformance.md has a row for every property of the runtime document, and what it calls applied or refused is really read.

The properties come from runtime-schema.txt, which is ours, and from the JSON schema in Debian's golang-github-opencontainers-specs-dev,
which is older. That a property is read is seen by a document with a value of the wrong type there: the reader (spec-tool, in the build
directory COFFER_BUILD) refuses it and names the property."""

import copy
import itertools
import json
import os
import re
import subprocess
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
PAGE = os.path.join(TREE, "docs", "spec-conformance.md")
SCHEMA = "/usr/share/gocode/src/github.com/opencontainers/runtime-spec/schema"
WHOLE = os.path.join(TREE, "tests", "fuzz", "corpus", "runtime-spec", "whole-1.3.json")
PLATFORMS = ("solaris", "windows", "vm", "zos", "freebsd")
STATES = ("applied", "refused", "ignored")
OF_ANOTHER_PLATFORM = {"process.commandLine", "process.user.username"}
STEP = re.compile(r"\[\]|\*|[^.\[\]*]+")
ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \| (.*) \|$", re.M)


def expand(pattern):
    """a{b,c}d -> abd, acd"""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = [[p] if i % 2 == 0 else p.split(",") for i, p in enumerate(parts)]
    return ["".join(c) for c in itertools.product(*choices)]


def ours():
    """{property: JSON type}"""
    with open(os.path.join(HERE, "runtime-schema.txt")) as f:
        lines = [line.split() for line in f if line.strip() and not line.startswith("#")]
    return {path: kind for pattern, kind in lines for path in expand(pattern)}


def page():
    """[(property, state, text)], patterns expanded."""
    with open(PAGE) as f:
        rows = ROW.findall(f.read())
    return [(path, state, text) for pattern, state, text in rows for path in expand(pattern)]


class Schema:
    """The properties of a JSON schema, references followed."""

    def __init__(self, folder):
        self.folder, self.files, self.paths = folder, {}, set()
        self.walk(self.load("config-schema.json"), "config-schema.json", "")

    def load(self, name):
        if name not in self.files:
            with open(os.path.join(self.folder, name)) as f:
                self.files[name] = json.load(f)
        return self.files[name]

    def follow(self, ref, name):
        name, _, pointer = ref.partition("#") if not ref.startswith("#") else (name, "", ref[1:])
        value = self.load(name)
        for step in filter(None, pointer.split("/")):
            value = value[step]
        return value, name

    def walk(self, schema, name, path):
        if path:
            self.paths.add(path)
        if "$ref" in schema:
            self.walk(*self.follow(schema["$ref"], name), path)
        for part in sum((schema.get(k, []) for k in ("allOf", "anyOf", "oneOf")), []):
            self.walk(part, name, path)
        for key, value in schema.get("properties", {}).items():
            self.walk(value, name, f"{path}.{key}".lstrip("."))
        members = list(schema.get("patternProperties", {}).values())
        if isinstance(schema.get("additionalProperties"), dict):
            members.append(schema["additionalProperties"])
        for value in members:
            self.walk(value, name, path + ".*")
        if isinstance(schema.get("items"), dict):
            self.walk(schema["items"], name, path + "[]")


def is_property(path):
    """The elements of a list and the members of a map of plain values are their list's or map's business."""
    return not path.endswith(("[]", ".*"))


class Page(unittest.TestCase):
    def setUp(self):
        self.rows = page()
        self.known = {p for p in ours() if is_property(p)}

    def test_every_property_has_one_row(self):
        paths = [p for p, _, _ in self.rows]
        self.assertEqual(sorted(p for p in set(paths) if paths.count(p) > 1), [], "twice on the page")
        self.assertEqual(sorted(self.known - set(paths)), [], "not on the page")
        self.assertEqual(sorted(set(paths) - self.known - set(PLATFORMS)), [], "on the page, but not in runtime-schema.txt")
        self.assertEqual(sorted(set(PLATFORMS) - set(paths)), [])

    def test_states(self):
        for path, state, text in self.rows:
            with self.subTest(path):
                self.assertIn(state, STATES)
                self.assertTrue(text.replace("|", "").strip(), "says nothing")
                if path in PLATFORMS or path in OF_ANOTHER_PLATFORM:
                    self.assertEqual(state, "ignored")

    def test_files_exist(self):
        for path, state, text in self.rows:
            files = re.findall(r"`(src/[^`]+)`", text)
            with self.subTest(path):
                if state == "applied":
                    self.assertTrue(files, "names no file")
                for file in files:
                    self.assertTrue(os.path.exists(os.path.join(TREE, file)), file)

    @unittest.skipUnless(os.path.isdir(SCHEMA), "golang-github-opencontainers-specs-dev is not installed")
    def test_the_published_schema_is_covered(self):
        theirs = {p for p in Schema(SCHEMA).paths if is_property(p) and p.split(".")[0] not in PLATFORMS}
        self.assertGreater(len(theirs), 150)
        self.assertEqual(sorted(theirs - self.known), [])


def parent_and_key(doc, path):
    """Where @path is in @doc: the first element of each list, the first member of each map."""
    steps = STEP.findall(path)
    here = doc
    for i, step in enumerate(steps):
        key = 0 if step == "[]" else sorted(here)[0] if step == "*" else step
        if i == len(steps) - 1:
            return here, key
        here = here[key]


def spelled(path, doc):
    """The path as an error writes it."""
    text, here = "", doc
    for step in STEP.findall(path):
        key = 0 if step == "[]" else sorted(here)[0] if step == "*" else step
        text += f"[{key}]" if step == "[]" else f".{key}"
        here = here[key] if here and (step == "[]" or key in here) else None
    return text.lstrip(".")


class Reader(unittest.TestCase):
    """What the page calls applied or refused is read."""

    @classmethod
    def setUpClass(cls):
        cls.tool = os.path.join(os.environ["COFFER_BUILD"], "tests", "tools", "spec-tool")
        with open(WHOLE) as f:
            cls.whole = json.load(f)
        cls.whole["linux"]["seccomp"] = {
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "listenerPath": "/run/agent", "listenerMetadata": "m",
            "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}],
        }
        cls.whole["linux"]["timeOffsets"] = {"boottime": {"secs": 1, "nanosecs": 2}}

    def read(self, documents):
        text = "".join(json.dumps(d) + "\n" for d in documents)
        done = subprocess.run([self.tool], input=text, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def test_the_whole_document_is_taken(self):
        self.assertEqual(self.read([self.whole]), ["ok"])

    def wrong(self, path, kind):
        doc = copy.deepcopy(self.whole)
        parent, key = parent_and_key(doc, path)
        if parent == []:
            parent.append(None)
        parent[key] = "x" if kind in ("object", "array") else []
        return doc

    def test_a_value_of_the_wrong_type_is_named(self):
        state = {p: s for p, s, _ in page()}
        kinds = {p: k for p, k in ours().items() if state.get(re.sub(r"(\[\]|\.\*)$", "", p)) != "ignored"}
        self.assertGreater(len(kinds), 250)
        answers = self.read([self.wrong(p, k) for p, k in kinds.items()])
        self.assertEqual(len(answers), len(kinds))
        for (path, _), answer in zip(kinds.items(), answers):
            with self.subTest(path):
                self.assertNotEqual(answer, "ok")
                if path.startswith("linux.seccomp."):  # the profile's own reader: "seccomp profile 'linux.seccomp': syscalls[0]: args[0]: op: ..."
                    answer = answer.replace("seccomp profile 'linux.seccomp'", "linux.seccomp").replace(": ", ".")
                self.assertIn(spelled(path, self.whole), answer)

    def test_what_is_ignored_is_ignored(self):
        """Other platforms' objects and names that nobody knows."""
        doc = copy.deepcopy(self.whole)
        for name in PLATFORMS:
            doc[name] = 5
        doc["process"]["commandLine"] = doc["process"]["user"]["username"] = 5
        doc["linux"]["seccomp"]["unheardOf"] = doc["linux"]["seccomp"]["syscalls"][0]["unheardOf"] = [5]
        doc["unheardOf"] = doc["linux"]["unheardOf"] = doc["linux"]["resources"]["unheardOf"] = {"a": [1]}
        self.assertEqual(self.read([doc]), ["ok"])


if __name__ == "__main__":
    unittest.main()
