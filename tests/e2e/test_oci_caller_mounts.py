# SPDX-License-Identifier: Apache-2.0
"""Containers without a mount namespace of their own: they stay in the caller's, with a root that its mount table never shows."""

import json
import os
import unittest

import coffer
import oci


def without_mounts(document, entry=None):
    """@document without its mount namespace, or with @entry in its place, on the host's ids."""
    linux = document["linux"]
    linux["namespaces"] = [n for n in linux["namespaces"] if n["type"] not in ("mount", "user")] + ([entry] if entry else [])
    for key in ("uidMappings", "gidMappings"):
        linux.pop(key, None)
    return document


class CallerMounts(oci.OciTest):
    def table(self):
        return [line.split(" ", 2)[2] for line in coffer.read_text("/proc/self/mountinfo").splitlines()]

    def test_run(self):
        """The namespace is the caller's, the root and what is mounted in it the container's, and the caller's table has none of it."""
        before = self.table()
        document = without_mounts(oci.shell("readlink /proc/self/ns/mnt; cat /etc/plain; ls / /.. | grep -c etc; ls /dev | grep -c null; ls /proc | grep -c self; ls /sys | grep -c kernel; cat /data/f; "
                                            "touch /x; touch /data/x; cat /proc/kcore | wc -c; mount | wc -l"))
        document["root"]["readonly"] = True
        document["linux"]["maskedPaths"] = ["/proc/kcore"]
        folder = os.path.join(self.scratch, "data")
        os.mkdir(folder)
        with open(os.path.join(folder, "f"), "w") as f:
            f.write("bound\n")
        document["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"})
        document["mounts"].append({"destination": "/mnt", "type": "bind", "source": folder, "options": ["rbind", "ro"]})
        document["process"]["args"][2] = document["process"]["args"][2].replace("/data", "/mnt")
        r = self.run_document(document, check=False)
        self.assertEqual(r.out.split(), [os.readlink("/proc/self/ns/mnt"), "not", "a", "program", "2", "1", "2", "1", "bound", "0", "0"], r)
        self.assertEqual(r.err.count("Read-only file system"), 2, r)
        self.assertEqual(self.table(), before)

    def test_exec_and_what_is_left(self):
        before = self.table()
        name = self.running(without_mounts(oci.config("sleep", "1000")))
        self.assertEqual(self.oci("exec", name, "cat", "/etc/plain").out, "not a program\n")
        self.assertEqual(self.oci("exec", name, "readlink", "/proc/self/ns/mnt").out.strip(), os.readlink("/proc/self/ns/mnt"))
        pid = json.loads(self.oci("state", name).out)["pid"]
        self.assertEqual(os.readlink(f"/proc/{pid}/ns/mnt"), os.readlink("/proc/self/ns/mnt"))
        self.assertEqual(self.table(), before)
        self.oci("delete", "--force", name)
        self.assertEqual(self.table(), before)

    def test_by_the_path_of_the_callers(self):
        """The host's root must not be covered by the container's when a document names the host's mount namespace."""
        before = self.table()
        document = without_mounts(oci.shell("cat /etc/plain; readlink /proc/self/ns/mnt"), {"type": "mount", "path": f"/proc/{os.getpid()}/ns/mnt"})
        self.assertEqual(self.run_document(document).out.splitlines(), ["not a program", os.readlink("/proc/self/ns/mnt")])
        self.assertEqual(self.table(), before)
        self.assertNotEqual(os.stat("/").st_ino, os.stat(self.rootfs).st_ino)

    def test_refused_with_a_user_namespace(self):
        document = without_mounts(oci.config("true"))
        document["linux"]["namespaces"].append({"type": "user"})
        for key in ("uidMappings", "gidMappings"):
            document["linux"][key] = [{"containerID": 0, "hostID": 1000000, "size": 65536}]
        for entry in (None, {"type": "mount", "path": "/proc/self/ns/mnt"}):
            if entry:
                document["linux"]["namespaces"].append(entry)
            r = self.run_document(document, check=False)
            self.assertNotEqual(r.code, 0)
            self.assertIn("linux.namespaces", r.err)
            self.assertIn("mount namespace", r.err)


if __name__ == "__main__":
    unittest.main()
