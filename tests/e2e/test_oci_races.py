# SPDX-License-Identifier: Apache-2.0
"""Paths inside a root file system that change under the runtime's feet: 500 starts each while tests/evil/swap.c exchanges a directory with a
symlink to a canary tree of the host (threats.md section 1: CVE-2021-30465, CVE-2024-45310, CVE-2025-31133, CVE-2025-52565, CVE-2025-52881,
runc CVE-2026-41579, CVE-2024-21626). Whether a start succeeds does not matter; the canary, the host's mount table and what a container sees do."""

import contextlib
import ctypes
import hashlib
import os
import pathlib
import shutil
import signal
import struct
import subprocess

import coffer
import oci

ROUNDS = int(os.environ.get("COFFER_RACE_ROUNDS", "500"))
IN_ALL = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800  # MODIFY ATTRIB MOVED_* CREATE DELETE DELETE_SELF MOVE_SELF


class Canary:
    """A tree of the host's that nobody may touch: content, owners and modes compared, and every change told by inotify(7)."""

    def __init__(self, path):
        self.path = path
        os.makedirs(os.path.join(path, "dir", "sub"))
        for name in ("file", "null", "console", "dir/file", "dir/sub/file"):
            with open(os.path.join(path, name), "w") as f:
                f.write(f"canary {name}\n")
        self.before = self.listing()
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for folder, _, _ in os.walk(path):
            assert self.libc.inotify_add_watch(self.fd, folder.encode(), IN_ALL) > 0

    def listing(self):
        found = {}
        for folder, dirs, files in os.walk(self.path):
            for name in dirs + files:
                p = os.path.join(folder, name)
                st = os.lstat(p)
                content = hashlib.sha256(pathlib.Path(p).read_bytes()).hexdigest() if name in files else ""
                found[p] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, content)
        return found

    def events(self):
        names = []
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.fd, 1 << 16)
            while data:
                _, mask, _, n = struct.unpack_from("iIII", data)
                names.append((hex(mask), data[16:16 + n].rstrip(b"\0").decode()))
                data = data[16 + n:]
        return names

    def close(self):
        os.close(self.fd)


class Races(oci.OciTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.swapper = os.path.join(cls.scratch, "swap")
        subprocess.run(["cc", "-O2", "-static", "-D_GNU_SOURCE", "-o", cls.swapper, os.path.join(coffer.SOURCE, "tests", "evil", "swap.c")], check=True)

    def setUp(self):
        self.root = os.path.join(self.scratch, f"race-{self._testMethodName[:40]}")
        oci.rootfs_make(self.root)
        self.addCleanup(shutil.rmtree, self.root, True)
        self.canary = Canary(self.root + ".canary")
        self.addCleanup(shutil.rmtree, self.canary.path, True)
        self.addCleanup(self.canary.close)

    def document(self, script="true"):
        document = oci.shell(script)
        document["root"] = {"path": self.root, "readonly": False}
        return document

    @contextlib.contextmanager
    def swapping(self, a, b):
        p = subprocess.Popen([self.swapper, a, b], stdout=subprocess.PIPE)
        try:
            self.assertEqual(p.stdout.read(3), b"up\n")
            yield
            self.assertIsNone(p.poll(), "the race ended early")
        finally:
            p.send_signal(signal.SIGKILL)
            p.wait()
            p.stdout.close()

    def pair(self, name, target):
        """A directory and a symlink to @target side by side in the root file system. Return: their paths."""
        real, link = os.path.join(self.root, name), os.path.join(self.root, name + "-link")
        if not os.path.isdir(real):
            os.makedirs(real)
        os.symlink(target, link)
        return real, link

    def rounds(self, document, *options, verb="run", after=lambda: None):
        """(how many succeeded, what they printed). Every start, failed or not, must leave the host alone."""
        folder, well, out = self.bundle(document), 0, []
        before = coffer.read_text("/proc/self/mountinfo")
        name = self.name()
        argv = [self.program, "--root", self.state, verb, *options, "-b", folder, name]
        for _ in range(ROUNDS):
            p = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
            self.assertIn(p.returncode, (0, 1), p.stderr)
            well += p.returncode == 0
            out.append(p.stdout)
            if verb == "create" and p.returncode == 0:
                self.oci("delete", "--force", name)
            after()
        self.assertEqual(coffer.read_text("/proc/self/mountinfo"), before)
        self.untouched()
        return well, "".join(out)

    def untouched(self):
        self.assertEqual(self.canary.events(), [])
        self.assertEqual(self.canary.listing(), self.canary.before)

    def targets(self):
        return (self.canary.path, os.path.relpath(self.canary.path, self.root))

    def test_the_canary_sings(self):
        """What the other tests rely on: a touch of any kind is told."""
        os.chmod(os.path.join(self.canary.path, "dir/sub/file"), 0o600)
        self.assertTrue(self.canary.events())
        self.assertNotEqual(self.canary.listing(), self.canary.before)

    def test_mount_targets(self):
        """CVE-2021-30465, CVE-2024-45310: neither a mount nor a directory made for one lands outside."""
        for i, target in enumerate(self.targets()):
            with self.subTest(target):
                real, link = self.pair(f"race{i}", target)
                document = self.document("grep -c canary /proc/self/mountinfo; true")
                document["mounts"] += [{"destination": f"/race{i}/dir/made/deep", "type": "tmpfs", "source": "tmpfs"},
                                       {"destination": f"/race{i}/file", "type": "bind", "source": "/etc/hostname", "options": ["bind", "ro"]}]
                with self.swapping(real, link):
                    well, _ = self.rounds(document)
                self.assertGreater(well, 0, "no start ever succeeded: nothing was raced")

    def test_a_shared_volume(self):
        """CVE-2021-30465 as it was found: one container swaps in a volume where the other has a mount."""
        volume = os.path.join(self.root + ".volume")
        os.makedirs(os.path.join(volume, "dir"))
        self.addCleanup(shutil.rmtree, volume, True)
        os.symlink("/", os.path.join(volume, "link"))
        shutil.copy2(self.swapper, os.path.join(volume, "swap"))
        bind = {"destination": "/vol", "type": "bind", "source": volume, "options": ["rbind"]}
        attacker = oci.config("/vol/swap", "/vol/dir", "/vol/link")
        attacker["mounts"].append(bind)
        self.running(attacker)
        victim = self.document("cat /proc/self/mountinfo")
        victim["mounts"] += [bind, {"destination": "/vol/dir/x", "type": "bind", "source": "/", "options": ["rbind", "ro"]}]
        self.rounds(victim)

    def test_masked_and_read_only_paths(self):
        """CVE-2025-31133: what stands behind a path when it is masked is inside, or the start fails."""
        real, link = self.pair("race", self.canary.path)
        with open(os.path.join(real, "file"), "w") as f:
            f.write("secret\n")
        document = self.document("cat /race/file 2>/dev/null; cat /race-link/file 2>/dev/null; true")
        document["linux"]["maskedPaths"] += ["/race/file", "/race/dir"]
        document["linux"]["readonlyPaths"] += ["/race"]
        with self.swapping(real, link):
            _, out = self.rounds(document)
        self.assertNotIn("canary", out)

    def test_dev(self):
        """runc CVE-2026-41579: no device node or link is made outside through /dev."""
        for i, target in enumerate(self.targets()):
            with self.subTest(target):
                dev, link = os.path.join(self.root, "dev"), os.path.join(self.root, f"dev-link{i}")
                os.symlink(target, link)
                document = self.document()
                document["mounts"] = [m for m in document["mounts"] if not m["destination"].startswith("/dev")]
                with self.swapping(dev, link):
                    self.rounds(document)
                if os.path.islink(dev):
                    os.unlink(dev)
                    os.rename(link, dev)

    def test_dev_null_and_console(self):
        """CVE-2025-31133, CVE-2025-52565, crun CVE-2026-88264: /dev/null and /dev/console that turn into links."""
        document = self.document("true")
        document["process"]["terminal"] = True
        document["mounts"] = [m for m in document["mounts"] if m["destination"] not in ("/dev", "/dev/shm")]
        os.makedirs(os.path.join(self.root, "dev", "pts"))
        for name in ("console", "null"):
            real, link = os.path.join(self.root, "dev", name), os.path.join(self.root, "dev", name + "-link")
            open(real, "w").close()
            os.symlink(os.path.join(self.canary.path, name), link)
        listener = oci.Console(self.scratch)
        self.addCleanup(listener.close)
        listener.sock.listen(64)
        listener.sock.setblocking(False)
        dev = os.path.join(self.root, "dev")

        def drain():  # the runtime connects before it can fail
            with contextlib.suppress(BlockingIOError):
                while True:
                    listener.sock.accept()[0].close()
        with self.swapping(dev + "/console", dev + "/console-link"), self.swapping(dev + "/null", dev + "/null-link"):
            self.rounds(document, "--console-socket", listener.path, verb="create", after=drain)

    def test_working_directory(self):
        """CVE-2024-21626, podman CVE-2026-55686: the command never stands outside."""
        real, link = self.pair("race", self.canary.path)
        with open(os.path.join(real, "inside"), "w"):
            pass
        document = self.document("pwd; ls")
        document["process"]["cwd"] = "/race"
        with self.swapping(real, link):
            well, out = self.rounds(document)
        self.assertGreater(well, 0)
        self.assertNotIn("file", out)
        self.assertNotIn("unreachable", out)
        self.assertLessEqual(set(out.split()), {"/race", "/race-link", "inside"})

    def test_proc_and_sys(self):
        """CVE-2019-19921, CVE-2023-27561: /proc and /sys that turn into links are refused or mounted on, never elsewhere."""
        shutil.rmtree(os.path.join(self.root, "proc"))
        real, link = self.pair("proc", self.canary.path)
        with self.swapping(real, link):
            self.rounds(self.document("test -e /proc/self/status"))
