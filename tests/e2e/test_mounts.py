# SPDX-License-Identifier: Apache-2.0
"""--volumes-from, and every option of --mount: read back inside the container."""

import os
import subprocess
import unittest

import images
from coffer import Canary, CofferTest

VM = True


class MountsTest(CofferTest):
    def made(self, *flags, name, image="busybox"):
        self.coffer("create", "--name", name, "--network", "none", *flags, image, "true")
        self.addCleanup(self.coffer, "rm", "-f", "-v", name, check=False)
        return name

    def points(self, ref):
        return {m["Destination"]: m for m in self.inspect(ref)["Mounts"]}


class VolumesFrom(MountsTest):
    def setUp(self):
        self.host = os.path.join(self.scratch, "host")
        os.makedirs(self.host, exist_ok=True)
        with open(os.path.join(self.host, "f"), "w") as f:
            f.write("of the host\n")
        os.chmod(self.host, 0o755)
        self.made("-v", "data:/data", "-v", "/anon", "-v", f"{self.host}:/host:ro", "--tmpfs", "/tmp", name="giver")
        self.addCleanup(self.coffer, "volume", "rm", "-f", "data", check=False)

    def test_volumes_and_binds_of_one_that_never_ran(self):
        self.sh("echo one > /data/x; echo two > /anon/y", "--volumes-from", "giver")
        self.assertEqual(self.sh("cat /data/x /anon/y /host/f; touch /host/g", "--volumes-from", "giver", check=False).lines, ["one", "two", "of the host"])
        self.assertFalse(os.path.exists(os.path.join(self.host, "g")), "it was read-only over there")

    def test_read_only(self):
        r = self.sh("touch /data/x /anon/y", "--volumes-from", "giver:ro", check=False)
        self.assertEqual(r.err.count("Read-only file system"), 2, r.err)
        self.sh("touch /data/x /anon/y", "--volumes-from", "giver:rw")

    def test_what_inspect_says(self):
        self.made("--volumes-from", "giver:ro", "-v", "own:/own", name="taker")
        self.addCleanup(self.coffer, "volume", "rm", "-f", "own", check=False)
        doc = self.inspect("taker")
        self.assertEqual((doc["HostConfig"]["VolumesFrom"], doc["HostConfig"]["Binds"]), (["giver:ro"], ["own:/own"]))
        points, giver = self.points("taker"), self.points("giver")
        self.assertEqual(set(points), {"/data", "/anon", "/host", "/own"})
        self.assertEqual((points["/data"]["Name"], points["/data"]["RW"]), ("data", False))
        self.assertEqual(points["/anon"]["Name"], giver["/anon"]["Name"])
        self.assertEqual((points["/host"]["Type"], points["/host"]["Source"], points["/host"]["RW"]), ("bind", self.host, False))

    def test_the_request_s_own_mounts_go_before_and_the_last_giver_wins(self):
        self.made("-v", "other:/data", name="second")
        self.addCleanup(self.coffer, "volume", "rm", "-f", "other", "mine", check=False)
        for flags, name in ((["--volumes-from", "giver", "--volumes-from", "second"], "other"), (["--volumes-from", "second", "--volumes-from", "giver"], "data"),
                            (["-v", "mine:/data", "--volumes-from", "giver"], "mine"), (["--mount", "type=volume,src=mine,dst=/data", "--volumes-from", "giver"], "mine")):
            self.made(*flags, name="taker")
            self.assertEqual(self.points("taker")["/data"]["Name"], name, flags)
            self.coffer("rm", "-v", "taker")

    def test_an_image_s_volume_is_covered(self):
        self.coffer("load", "-i", images.variant("withvolume:latest", {"Volumes": {"/data": {}, "/more": {}}}))
        self.made("--volumes-from", "giver", name="taker", image="withvolume")
        points = self.points("taker")
        self.assertEqual(points["/data"]["Name"], "data")
        self.assertNotEqual(points["/more"]["Name"], "data")

    def test_from_one_that_inherited(self):
        self.made("--volumes-from", "giver:ro", name="middle")
        self.made("--volumes-from", "middle", name="taker")
        self.assertFalse(self.points("taker")["/data"]["RW"])
        self.assertEqual(self.points("taker")["/anon"]["Name"], self.points("giver")["/anon"]["Name"])

    def test_from_one_that_runs_and_after_it_went(self):
        self.coffer("start", "giver")
        self.coffer("wait", "giver")
        self.made("--volumes-from", "giver", name="taker")
        anon = self.points("taker")["/anon"]["Name"]
        self.coffer("rm", "-f", "-v", "giver")
        self.assertIn(anon, self.coffer("volume", "ls", "-q").lines, "somebody else uses it")
        self.coffer("start", "taker")
        self.coffer("wait", "taker")
        self.coffer("rm", "-v", "taker")
        self.assertNotIn(anon, self.coffer("volume", "ls", "-q").lines)

    def test_bad_ones(self):
        for value, word in (("nobody", "No such container: nobody"), ("giver:rx", "invalid mode"), ("", "malformed"), (":ro", "malformed"), ("giver:ro:rw", "invalid mode")):
            self.assertRefused("run", "--network", "none", "--volumes-from", value, "busybox", "true", words=[word])


class Mount(MountsTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.host = os.path.join(cls.scratch, "tree")
        os.makedirs(os.path.join(cls.host, "below"))

    def bound(self, script, *options, check=True):
        """Run @script with a bind of a directory that has a tmpfs with the file `deep` mounted below it, in a mount namespace of the test's own."""
        line = f"mount -t tmpfs -o mode=0777 t {self.host}/below && touch {self.host}/below/deep && chmod 777 {self.host} && exec \"$@\""
        argv = ["unshare", "-m", "sh", "-c", line, "sh", self.stage.coffer, "run", "--rm", "--network", "none", "--mount", ",".join([f"type=bind,src={self.host},dst=/m", *options]), "busybox", "sh", "-c", script]
        p = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=60)
        if check:
            self.assertEqual(p.returncode, 0, p.stderr)
        return p

    def test_bind_recursive(self):
        self.assertEqual(self.bound("ls /m/below").stdout, "deep\n")
        self.assertEqual(self.bound("ls /m/below", "bind-recursive=enabled").stdout, "deep\n")
        self.assertEqual(self.bound("ls /m/below", "bind-recursive=disabled").stdout, "")
        self.assertEqual(self.bound("ls /m/below", "bind-nonrecursive").stdout, "")

    def test_read_only_recursively(self):
        touch = "touch /m/x; touch /m/below/x; true"
        self.assertEqual(self.bound(touch, "readonly").stderr.count("Read-only"), 2)
        self.assertEqual(self.bound(touch, "readonly", "bind-recursive=readonly", "bind-propagation=rprivate").stderr.count("Read-only"), 2)
        said = self.bound(touch, "readonly", "bind-recursive=writable").stderr
        self.assertEqual((said.count("/m/x: Read-only"), said.count("/m/below/x: Read-only")), (1, 0), said)

    def test_propagation(self):
        for word in ("rprivate", "private", "rslave", "slave"):
            tags = self.bound("grep ' /m ' /proc/self/mountinfo", f"bind-propagation={word}").stdout
            self.assertEqual("master:" in tags, False, "nothing of ours is shared in that namespace")  # unshare(1) makes everything private
        self.assertRefused("run", "--network", "none", "--mount", f"type=bind,src={self.host},dst=/m,bind-propagation=frob", "busybox", "true", words=["propagation"])

    def test_subpath(self):
        self.addCleanup(self.coffer, "volume", "rm", "-f", "sub")
        self.sh("mkdir -p /v/a/b; echo inner > /v/a/b/f; echo outer > /v/f", "-v", "sub:/v")
        self.assertEqual(self.sh("cat /m/f; ls /m", "--mount", "type=volume,src=sub,dst=/m,volume-subpath=a/b").lines, ["inner", "f"])
        self.assertEqual(self.sh("cat /m", "--mount", "type=volume,src=sub,dst=/m,volume-subpath=f").word, "outer")
        r = self.coffer("run", "--rm", "--network", "none", "--mount", "type=volume,src=sub,dst=/m,volume-subpath=gone", "busybox", "true", check=False)
        self.assertEqual(r.code, 125)
        self.assertIn("'gone' inside the volume", r.err)
        for bad in ("../x", "/abs", "a/../../x"):
            self.assertRefused("run", "--network", "none", "--mount", f"type=volume,src=sub,dst=/m,volume-subpath={bad}", "busybox", "true", words=["Subpath"])

    def test_subpath_that_is_a_link_out_of_the_volume(self):
        """CVE-2023-5528 and its like: what the container makes of its volume leads nowhere else."""
        canary = Canary(self.scratch)
        self.addCleanup(self.coffer, "volume", "rm", "-f", "evil")
        self.sh(f"ln -s {canary.path} /v/out; ln -s ../../../../../../../../.. /v/up; mkdir /v/etc", "-v", "evil:/v")
        for sub in ("out", "up"):
            r = self.coffer("run", "--rm", "--network", "none", "--mount", f"type=volume,src=evil,dst=/m,volume-subpath={sub}", "busybox", "sh", "-c", "ls /m; touch /m/made", check=False)
            self.assertNotIn("bin", r.out.split())
            self.assertNotIn("coffer.db", r.out)
        self.assertEqual(canary.changes(), {})

    def test_volume_labels_and_driver(self):
        self.addCleanup(self.coffer, "volume", "rm", "-f", "labelled")
        self.sh("true", "--mount", "type=volume,src=labelled,dst=/m,volume-driver=local,volume-label=a=b,volume-label=c")
        self.assertEqual(self.coffer("volume", "inspect", "labelled").json()[0]["Labels"], {"a": "b", "c": ""})
        self.sh("true", "--volume-driver", "local")
        for option in ("volume-driver=nfs", "volume-opt=device=/", "image-subpath=x"):
            self.assertRefused("run", "--network", "none", "--mount", f"type=volume,src=labelled,dst=/m,{option}", "busybox", "true", words=[option.split("=")[0]])
        self.assertRefused("run", "--network", "none", "--volume-driver", "nfs", "busybox", "true", words=["volume-driver"])

    def test_nocopy(self):
        self.coffer("load", "-i", images.variant("full:latest", replace=[images.Entry.dir("full"), images.Entry.file("full/of", "the image\n")]))
        self.addCleanup(self.coffer, "volume", "rm", "-f", "copied", "empty")
        self.assertEqual(self.run_("--mount", "type=volume,src=copied,dst=/full", "full", "ls", "/full").word, "of")
        self.assertEqual(self.run_("--mount", "type=volume,src=empty,dst=/full,volume-nocopy", "full", "ls", "/full").word, "")

    def test_tmpfs(self):
        r = self.sh("stat -c %a /m; df -k /m | tail -1 | awk '{print $2}'; grep ' /m ' /proc/mounts", "--mount", "type=tmpfs,dst=/m,tmpfs-size=3m,tmpfs-mode=0751")
        self.assertEqual(r.lines[:2], ["751", "3072"])
        self.assertRegex(r.lines[2], "nosuid,nodev")

    def test_consistency_means_nothing_and_types_are_checked(self):
        self.assertEqual(self.sh("ls /m", "--mount", f"type=bind,src={self.host},dst=/m,consistency=cached").word, "below")
        for option, word in (("type=image,src=busybox,dst=/m", "image"), ("type=npipe,src=x,dst=/m", "npipe"), ("type=bind,src=/no/such/dir,dst=/m", "/no/such/dir"), ("type=tmpfs,dst=/m,volume-nocopy", "volume-nocopy"),
                             (f"type=bind,src={self.host},dst=/m,bind-recursive=frob", "bind-recursive"), (f"type=bind,src={self.host},dst=/m,bind-recursive=writable", "readonly"),
                             (f"type=bind,src={self.host},dst=/m,readonly,bind-recursive=readonly", "bind-propagation=rprivate")):
            self.assertRefused("run", "--network", "none", "--mount", option, "busybox", "true", words=[word])


if __name__ == "__main__":
    unittest.main()
