# SPDX-License-Identifier: Apache-2.0
"""P5 for coffer-oci: every step of create, start and exec is made to fail once; it fails with a word, and leaves nothing."""

import os
import subprocess

import coffer
import oci

ASAN = True
VM = True


class EveryStep(oci.OciTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        p = subprocess.run([os.path.join(coffer.Stage.get().libexec, "coffer-monitor"), "--list-steps"], capture_output=True, text=True, timeout=20)
        assert p.returncode == 0, p.stderr
        cls.steps = list(dict.fromkeys(p.stdout.split()))

    def document(self):
        document = oci.config("touch", "/mnt/ran")
        self.marker = os.path.join(self.scratch, "marker")
        os.makedirs(self.marker, exist_ok=True)
        document["mounts"].append({"destination": "/mnt", "type": "bind", "source": self.marker, "options": ["bind"]})
        document["linux"]["resources"]["pids"] = {"limit": 50}
        return document

    def fails(self, step, *argv):
        r = self.oci(*argv, check=False, env={"COFFER_FAIL_STEP": step}, timeout=20)
        self.assertNotEqual(r.code, 0, r)
        self.assertGreater(len(r.err.strip()), 15, r)
        self.assertFalse(os.path.exists(os.path.join(self.marker, "ran")), "the command ran all the same")

    def test_run(self):
        steps = [s for s in self.steps if not s.startswith("exec-")]
        self.assertGreaterEqual(len(steps), 50, steps)
        for step in steps:
            with self.subTest(step):
                folder, name = self.bundle(self.document()), self.name()
                self.fails(step, "run", "-b", folder, name)
                self.nothing_of(name, folder)
        self.run_document(self.document())
        self.assertTrue(os.path.exists(os.path.join(self.marker, "ran")))

    def test_create_and_start(self):
        for step in ("namespaces", "mounts", "masks-verify", "hooks", "pivot", "ids", "caps"):
            with self.subTest(step):
                folder, name = self.bundle(self.document()), self.name()
                self.fails(step, "create", "-b", folder, name)
                self.nothing_of(name, folder)

    def test_exec(self):
        steps = [s for s in self.steps if s.startswith("exec-")]
        self.assertGreaterEqual(len(steps), 20, steps)
        self.document()
        document = oci.config("sleep", "1000")
        document["mounts"].append({"destination": "/mnt", "type": "bind", "source": self.marker, "options": ["bind"]})
        name = self.running(document)
        pid = self.state_of(name)["pid"]
        for step in steps:
            with self.subTest(step):
                self.fails(step, "exec", name, "touch", "/mnt/ran")
                self.assertEqual(coffer.read_text(f"/proc/{pid}/task/{pid}/children"), "", "somebody stayed inside")
        self.assertEqual(self.oci("exec", name, "echo", "well").out, "well\n")
