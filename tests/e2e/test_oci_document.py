# SPDX-License-Identifier: Apache-2.0
"""What coffer-oci reads of a config.json, and what `features` says about it: every property, by the list of docs/spec-conformance.md."""

import json
import os
import sys
import tempfile
import unittest

import oci
from coffer import SOURCE

sys.path.insert(0, os.path.join(SOURCE, "tests", "tools"))
import test_spec_conformance as conformance  # noqa: E402


class Document(oci.OciTest):
    def test_a_value_of_the_wrong_type_is_refused_by_name(self):
        """As the reader alone does in tests/tools; here by the program, which must leave nothing."""
        case = conformance.Reader("test_the_whole_document_is_taken")
        case.setUpClass()
        state = {p: s for p, s, _ in conformance.page()}
        kinds = conformance.ours()
        # one property of every group is enough to see that it is the same reader: a process each is slow
        wanted = [p for p in kinds if not p.endswith("[]") and p.count(".") + p.count("[]") <= 2 and state.get(p) not in (None, "ignored")]
        self.assertGreater(len(wanted), 60)
        folder = tempfile.mkdtemp(prefix="b.", dir=self.scratch)
        for path in wanted:
            with self.subTest(path):
                document = case.wrong(path, kinds[path])
                if path.startswith("linux.seccomp."):  # read when everything else of the document was found possible
                    document, wrong = oci.config("true"), document
                    document["linux"]["seccomp"] = wrong["linux"]["seccomp"]
                    document["root"]["path"] = self.rootfs
                with open(os.path.join(folder, "config.json"), "w") as f:
                    json.dump(document, f)
                r = self.oci("create", "--bundle", folder, self.name(), check=False)
                self.assertNotEqual(r.code, 0)
                self.assertIn(path.replace("[]", "[0]") if not path.startswith("linux.seccomp.") else path.split(".")[-1], r.err)

    def test_versions(self):
        for version, good in (("1.0.0", True), ("1.0.2-dev", True), ("1.3.0", True), ("2.0.0", False), ("", False)):
            with self.subTest(version):
                document = oci.config("true")
                document["ociVersion"] = version
                r = self.run_document(document, check=False)
                self.assertEqual(r.code == 0, good, r)
                if not good:
                    self.assertIn("ociVersion", r.err)

    def test_a_capability_that_nobody_knows_is_a_warning(self):
        caps = {k: ["CAP_KILL", "CAP_FLY"] for k in ("bounding", "effective", "permitted")}
        r = self.run_document(oci.config("grep", "CapBnd", "/proc/self/status", capabilities=caps))
        self.assertEqual(r.out.split()[-1], f"{1 << 5:016x}")
        self.assertIn("CAP_FLY", r.err)

    def test_a_relative_destination_is_below_the_root(self):
        document = oci.config("cat", "/proc/mounts")
        document["mounts"].append({"destination": "tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]})
        self.assertIn(" /tmp tmpfs ", self.run_document(document).out)

    def test_unknown_keys_and_other_platforms_are_ignored(self):
        document = oci.config("echo", "hi")
        document.update(windows={"layerFolders": 5}, vm=[], unheardOf={"a": 1})
        document["linux"]["unheardOf"] = document["process"]["user"]["username"] = 5
        self.assertEqual(self.run_document(document).out, "hi\n")


class Features(oci.OciTest):
    def setUp(self):
        self.features = json.loads(self.oci("features").out)

    def test_it_is_a_features_document(self):
        f = self.features
        self.assertEqual((f["ociVersionMin"], f["ociVersionMax"]), ("1.0.0", "1.3.0"))
        self.assertEqual(f["hooks"], ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"])
        self.assertEqual(f["mountOptions"], sorted(f["mountOptions"]))
        self.assertTrue(all(isinstance(v, bool) for v in f["linux"]["cgroup"].values()))
        self.assertEqual(set(f["linux"]["seccomp"]["supportedFlags"]) - set(f["linux"]["seccomp"]["knownFlags"]), set())

    def test_every_namespace_of_it_is_made(self):
        document = oci.config("sh", "-c", "for n in user mnt pid net ipc uts cgroup time; do readlink /proc/self/ns/$n; done")
        document["linux"]["namespaces"] = [{"type": t} for t in self.features["linux"]["namespaces"]]
        document["linux"]["uidMappings"] = document["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 65536}]
        inside = self.run_document(document).out.split()
        host = [os.readlink(f"/proc/self/ns/{n}") for n in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time")]
        self.assertEqual(len(inside), 8)
        self.assertEqual([n for n in inside if n in host], [])

    def test_every_mount_option_of_it_is_known(self):
        """None goes to the filesystem, which would refuse it."""
        for option in self.features["mountOptions"]:
            if option in ("idmap", "ridmap", "remount", "bind", "rbind"):  # these need more than a tmpfs
                continue
            with self.subTest(option):
                document = oci.config("true")
                document["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": [option]})
                self.run_document(document)


if __name__ == "__main__":
    unittest.main()
