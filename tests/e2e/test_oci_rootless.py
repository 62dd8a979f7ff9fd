# SPDX-License-Identifier: Apache-2.0
"""coffer-oci for an ordinary user: their own id alone, a range by newuidmap, and what is refused. The user's passwd and subuid entries
exist only in a mount namespace of each command."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

import coffer
import oci

VM = True
USER, UID, START = "rootless-test", 54321, 5400000


class Rootless(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = coffer.scratch_dir("coffer-rootless.")
        cls.rootfs = os.path.join(cls.dir, "rootfs")
        oci.rootfs_make(cls.rootfs)
        cls.program = shutil.copy2(oci.program(), os.path.join(cls.dir, "coffer-oci"))
        cls.home = os.path.join(cls.dir, "home")
        os.makedirs(os.path.join(cls.home, "run"))
        with open("/etc/passwd") as f:
            passwd = f.read()
        cls.etc = os.path.join(cls.dir, "etc")
        os.mkdir(cls.etc)
        for name, text in (("passwd", f"{passwd}{USER}:x:{UID}:{UID}::{cls.home}:/bin/sh\n"), ("subuid", f"{USER}:{START}:65536\n"), ("subgid", f"{USER}:{START}:65536\n")):
            with open(os.path.join(cls.etc, name), "w") as f:
                f.write(text)
        subprocess.run(["chown", "-R", f"{UID}:{UID}", cls.home], check=True)
        for path in (cls.dir, cls.etc):
            os.chmod(path, 0o755)
        cls.made = [p for p in ("/etc/subuid", "/etc/subgid") if not os.path.exists(p)]
        for p in cls.made:
            open(p, "w").close()

    @classmethod
    def tearDownClass(cls):
        def left():  # zombies wait for the machine's own pid 1, which takes its time
            return [pid for pid in filter(str.isdigit, os.listdir("/proc")) if cls.uid_of(pid) in (UID, *range(START, START + 65536)) and coffer.pid_exists(int(pid))]
        gone = coffer.wait_until(lambda: not left(), 5)
        shutil.rmtree(cls.dir)
        for p in cls.made:
            os.unlink(p)
        assert gone, f"processes left: {left()}"

    @staticmethod
    def uid_of(pid):
        try:
            return os.stat(f"/proc/{pid}").st_uid
        except OSError:
            return -1

    def user(self, *argv, check=True, timeout=30, streams=subprocess.PIPE):
        binds = "; ".join(f"mount --bind {self.etc}/{n} /etc/{n}" for n in ("passwd", "subuid", "subgid"))
        script = f'{binds}; exec setpriv --reuid {UID} --regid {UID} --clear-groups env -i PATH="$PATH" HOME={self.home} XDG_RUNTIME_DIR={self.home}/run "$@"'
        p = subprocess.run(["unshare", "-m", "sh", "-ec", script, "sh", *map(str, argv)], stdout=streams, stderr=streams, text=True, timeout=timeout, stdin=subprocess.DEVNULL, cwd=self.home)
        if check:
            self.assertEqual(p.returncode, 0, (argv, p.stdout, p.stderr))
        return p

    def oci(self, *argv, **kw):
        return self.user(self.program, *argv, **kw)

    def bundle(self, *args, maps=None, edit=None):
        document = oci.config(*args)
        document["root"]["path"] = self.rootfs
        document["linux"]["namespaces"] = [{"type": t} for t in ("user", "pid", "network", "ipc", "uts", "mount", "cgroup")]
        one = [{"containerID": 0, "hostID": UID, "size": 1}]
        document["linux"].update(uidMappings=maps or one, gidMappings=maps or one, resources={})
        document["mounts"] = [m for m in document["mounts"] if m["destination"] != "/dev/pts"]
        document["mounts"].append({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]})
        if edit:
            edit(document)
        folder = tempfile.mkdtemp(prefix="b.", dir=self.home)
        os.chmod(folder, 0o755)
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump(document, f)
        return folder

    WHOLE = [{"containerID": 0, "hostID": UID, "size": 1}, {"containerID": 1, "hostID": START, "size": 65536}]

    def test_with_one_s_own_id_alone(self):
        out = self.oci("run", "-b", self.bundle("sh", "-c", "id -u; cat /proc/self/uid_map; cat /proc/self/setgroups; touch /tmp/x && echo made"), "a").stdout
        self.assertEqual(out.split(), ["0", "0", str(UID), "1", "deny", "made"])

    def test_with_a_range_by_newuidmap(self):
        out = self.oci("run", "-b", self.bundle("sh", "-c", "cat /proc/self/uid_map; cat /proc/self/setgroups; chown 5:6 /tmp && stat -c %u:%g /tmp", maps=self.WHOLE), "b").stdout
        self.assertEqual(out.split(), ["0", str(UID), "1", "1", str(START), "65536", "allow", "5:6"])

    def test_another_user_inside(self):
        def edit(document):
            document["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7]}
        out = self.oci("run", "-b", self.bundle("sh", "-c", "id -u; id -G; grep CapEff /proc/self/status", maps=self.WHOLE, edit=edit), "c").stdout.splitlines()
        self.assertEqual((out[0], set(out[1].split())), ("1000", {"1000", "7"}))

    def test_a_range_of_somebody_else_s_is_refused(self):
        stolen = [{"containerID": 0, "hostID": UID, "size": 1}, {"containerID": 1, "hostID": START - 10, "size": 65536}]
        p = self.oci("run", "-b", self.bundle("true", maps=stolen), "d", check=False)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn("uidMappings", p.stderr)
        self.assertIn("newuidmap", p.stderr)
        p = self.oci("run", "-b", self.bundle("true", maps=[{"containerID": 0, "hostID": 0, "size": 1}]), "d", check=False)
        self.assertNotEqual(p.returncode, 0, "host root is nobody's to map")

    def test_a_life(self):
        with open(os.path.join(self.home, "log"), "w") as log:  # its streams stay the container's
            self.oci("run", "-d", "-b", self.bundle("sleep", "1000", maps=self.WHOLE), "life", streams=log)
        try:
            self.assertEqual(json.loads(self.oci("state", "life").stdout)["status"], "running")
            self.assertEqual(self.oci("exec", "life", "sh", "-c", "id -u; ls /proc/1/exe >/dev/null && echo inside").stdout.split(), ["0", "inside"])
            self.assertIn("life", self.oci("list", "-q").stdout.split())
            self.oci("kill", "life", "KILL")
            self.assertTrue(coffer.wait_until(lambda: json.loads(self.oci("state", "life").stdout)["status"] == "stopped", 10))
        finally:
            self.oci("delete", "--force", "life")
        self.assertEqual(self.oci("list", "-q").stdout, "")

    def test_a_bind_and_a_volume_are_the_user_s(self):
        volume = os.path.join(self.home, "volume")
        self.user("mkdir", volume)

        def edit(document):
            document["mounts"].append({"destination": "/mnt", "type": "bind", "source": volume, "options": ["rbind", "rw"]})
            document["mounts"].append({"destination": "/etc/plain", "type": "bind", "source": os.path.join(self.rootfs, "etc/passwd"), "options": ["bind", "ro"]})
        self.oci("run", "-b", self.bundle("sh", "-c", "echo hello >/mnt/file; grep -q root /etc/plain && ! echo x 2>/dev/null >>/etc/plain", edit=edit), "e")
        st = os.stat(os.path.join(volume, "file"))
        self.assertEqual((st.st_uid, coffer.read_text(os.path.join(volume, "file"))), (UID, "hello\n"))

    def test_spec_rootless_runs(self):
        folder = os.path.join(self.home, "spec")
        self.user("mkdir", folder)
        self.user("sh", "-c", f"cd {folder} && {self.program} spec --rootless")
        document = json.loads(coffer.read_text(os.path.join(folder, "config.json")))
        self.assertEqual(document["linux"]["uidMappings"], [{"containerID": 0, "hostID": UID, "size": 1}])
        document["root"]["path"] = self.rootfs
        document["process"].update(terminal=False, args=["echo", "ran"])
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump(document, f)
        self.assertEqual(self.oci("run", "-b", folder, "f").stdout, "ran\n")

    def test_what_only_host_root_may_do_is_refused_by_name(self):
        def limits(document):
            document["linux"]["resources"] = {"memory": {"limit": 1 << 26}}
        p = self.oci("run", "-b", self.bundle("true", edit=limits), "g", check=False)  # no cgroup is delegated to this user
        self.assertNotEqual(p.returncode, 0, "a limit that nobody enforces is not a limit")
        self.assertRegex(p.stderr, "memory|cgroup")

        def no_userns(document):
            document["linux"]["namespaces"] = [n for n in document["linux"]["namespaces"] if n["type"] != "user"]
            del document["linux"]["uidMappings"], document["linux"]["gidMappings"]
        p = self.oci("run", "-b", self.bundle("true", edit=no_userns), "h", check=False)
        self.assertNotEqual(p.returncode, 0)
        self.assertGreater(len(p.stderr), 20)
