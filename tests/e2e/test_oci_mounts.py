# SPDX-License-Identifier: Apache-2.0
"""The mounts, devices and masks of a foreign document, read back from inside (runtime-spec config.md "Mounts", config-linux.md)."""

import json
import os
import re
import shutil
import stat
import subprocess
import unittest

import coffer
from oci import OciTest, config, shell

ASAN = True
MAP = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def parse_mountinfo(text):
    """{mount point: {options, tags, type, super, root}}; what is mounted last on a point wins."""
    found = {}
    for line in text.splitlines():
        if " - " not in line:
            continue
        left, right = line.split(" - ", 1)
        f = left.split()
        kind, source, sup = (right.split(" ") + ["", ""])[:3]
        found[f[4]] = {"root": f[3], "options": set(f[5].split(",")), "tags": f[6:], "type": kind, "source": source, "super": set(sup.split(","))}
    return found


def user_namespace(d, maps=MAP):
    d["linux"]["namespaces"].append({"type": "user"})
    d["linux"]["uidMappings"] = d["linux"]["gidMappings"] = maps


class MountTest(OciTest):
    def setUp(self):
        self.source = os.path.join(self.scratch, self.name() + ".src")
        os.makedirs(os.path.join(self.source, "sub"))
        with open(os.path.join(self.source, "file"), "w") as f:
            f.write("from the host\n")
        os.chmod(self.source, 0o755)

    def own_root(self):
        """A root file system that may be written to."""
        path = os.path.join(self.scratch, self.name() + ".root")
        shutil.copytree(self.rootfs, path, symlinks=True)
        return path

    def mounts(self, *extra, edit=None, script="cat /proc/self/mountinfo"):
        """mountinfo of a container with the mounts @extra behind the usual ones."""
        d = shell(script)
        d["root"] = {"path": self.own_root()}
        d["mounts"] += extra
        if edit:
            edit(d)
        self.own(d)
        return parse_mountinfo(self.run_document(d).out)

    @staticmethod
    def own(d):
        """In a user namespace mount points can be made only in a root that is the container's."""
        if any(n["type"] == "user" for n in d["linux"]["namespaces"]):
            host = d["linux"]["uidMappings"][0]["hostID"]
            subprocess.run(["chown", "-R", f"{host}:{host}", d["root"]["path"]], check=True)

    def inside(self, script, *extra, edit=None, **kw):
        d = shell(script)
        d["root"] = {"path": self.own_root()}
        d["mounts"] += extra
        if edit:
            edit(d)
        self.own(d)
        return self.run_document(d, **kw)

    def refused(self, word, *extra, edit=None):
        r = self.inside("true", *extra, edit=edit, check=False)
        self.assertNotEqual(r.code, 0, r)
        self.assertIn(word, r.err, r)
        return r


class Options(MountTest):
    def test_every_word_on_a_bind_mount(self):
        rows = {
            "ro": "ro", "rw": "rw", "nosuid": "nosuid", "nodev": "nodev", "noexec": "noexec", "noatime": "noatime", "nodiratime": "nodiratime",
            "relatime": "relatime", "nosymfollow": "nosymfollow", "rro": "ro", "rnosuid": "nosuid", "rnodev": "nodev", "rnoexec": "noexec",
            "rnoatime": "noatime", "rnodiratime": "nodiratime", "rrelatime": "relatime", "rnosymfollow": "nosymfollow",
        }
        extra = [{"destination": f"/m/{word}", "type": "bind", "source": self.source, "options": ["bind", word]} for word in rows]
        got = self.mounts(*extra)
        for word, flag in rows.items():
            self.assertIn(flag, got[f"/m/{word}"]["options"], word)
        for word in ("strictatime", "rstrictatime"):
            got = self.mounts({"destination": "/m", "type": "bind", "source": self.source, "options": ["bind", word]})
            self.assertFalse({"relatime", "noatime"} & got["/m"]["options"], word)

    def test_words_that_take_back(self):
        pairs = {"suid": "nosuid", "dev": "nodev", "exec": "noexec", "atime": "noatime", "diratime": "nodiratime", "symfollow": "nosymfollow", "rw": "ro"}
        extra = []
        for plus, minus in pairs.items():
            extra.append({"destination": f"/m/{plus}", "type": "bind", "source": self.source, "options": ["bind", minus, plus]})
            extra.append({"destination": f"/r/{plus}", "type": "bind", "source": self.source, "options": ["rbind", "r" + minus, "r" + plus]})
        got = self.mounts(*extra)
        for plus, minus in pairs.items():
            self.assertNotIn(minus, got[f"/m/{plus}"]["options"], plus)
            self.assertNotIn(minus, got[f"/r/{plus}"]["options"], "r" + plus)

    def test_words_without_a_sign_on_a_bind_mount(self):
        words = ["defaults", "async", "sync", "dirsync", "lazytime", "nolazytime", "mand", "nomand", "iversion", "noiversion", "silent", "loud", "norelatime",
                 "nostrictatime", "rnorelatime", "rnostrictatime", "acl", "noacl"]
        self.assertIn("/m", self.mounts({"destination": "/m", "type": "bind", "source": self.source, "options": ["bind", *words]}))

    def test_recursive_words_reach_what_is_mounted_below(self):
        script = f"""mount -t tmpfs t {self.source}/sub && {self.program} --root {self.state} run -b $0 $1"""
        for words, top, below in ((["ro"], "ro", "rw"), (["rro"], "ro", "ro"), (["ro", "rnoexec"], "noexec", "noexec")):
            d = shell("cat /proc/self/mountinfo")
            d["root"] = {"path": self.own_root()}
            d["mounts"].append({"destination": "/m", "type": "bind", "source": self.source, "options": ["rbind", *words]})
            r = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-ec", script, self.bundle(d), self.name()], capture_output=True, text=True)
            got = parse_mountinfo(r.stdout)
            self.assertIn(top, got["/m"]["options"], r)
            self.assertIn(below, got["/m/sub"]["options"], r)

    def test_superblock_words_on_a_fresh_filesystem(self):
        got = self.mounts({"destination": "/m", "type": "tmpfs", "source": "t", "options": ["sync", "dirsync", "lazytime", "mand", "nosuid,noexec,size=1m"]})
        self.assertLessEqual({"sync", "dirsync", "lazytime"}, got["/m"]["super"])
        self.assertIn("size=1024k", got["/m"]["super"])
        self.assertLessEqual({"nosuid", "noexec"}, got["/m"]["options"])
        got = self.mounts({"destination": "/m", "type": "tmpfs", "source": "t", "options": ["iversion", "noatime"]})
        self.assertIn("noatime", got["/m"]["options"])

    def test_remount_changes_what_is_there(self):
        got = self.mounts({"destination": "/m", "type": "tmpfs", "source": "t", "options": ["nosuid", "size=1m"]},
                          {"destination": "/m", "type": "none", "source": "t", "options": ["remount", "ro", "size=2m"]})
        self.assertLessEqual({"ro", "nosuid"}, got["/m"]["options"])
        self.assertIn("size=2048k", got["/m"]["super"])
        self.refused("nothing is mounted there", {"destination": "/bin", "type": "none", "source": "t", "options": ["remount", "ro"]})

    def test_unknown_words_are_named(self):
        self.refused("'frobnicate'", {"destination": "/m", "type": "bind", "source": self.source, "options": ["bind", "frobnicate"]})
        self.refused("frobnicate", {"destination": "/m", "type": "tmpfs", "source": "t", "options": ["frobnicate"]})
        self.refused("'nofs'", {"destination": "/m", "type": "nofs", "source": "t"})


class Propagation(MountTest):
    def test_words(self):
        """Tags of mountinfo: nothing, shared:N, unbindable."""
        want = {"private": "", "rprivate": "", "shared": "shared", "rshared": "shared", "slave": "", "rslave": "", "unbindable": "unbindable", "runbindable": "unbindable"}
        got = self.mounts(*({"destination": f"/m/{w}", "type": "bind", "source": self.source, "options": ["rbind", w]} for w in want))
        for w, tag in want.items():
            self.assertEqual([t.split(":")[0] for t in got[f"/m/{w}"]["tags"]], [tag] if tag else [], w)

    def in_a_shared_arena(self, options, root_propagation=None, edit=None):
        """Start with a bind of a shared host mount; then mount on the host's side, and inside. Return: (seen inside, seen outside)."""
        d = config("sh", "-c", "mount -t tmpfs inner /data/inner; echo x >/data/inner/f; sleep 1000", capabilities={k: ["CAP_SYS_ADMIN"] for k in ("bounding", "effective", "permitted")})
        d["root"] = {"path": self.own_root()}
        d["mounts"].append({"destination": "/data", "type": "bind", "source": self.source, "options": ["rbind", *options]})
        if root_propagation:
            d["linux"]["rootfsPropagation"] = root_propagation
        if edit:
            edit(d)
        self.own(d)
        name = self.name()
        script = f"""
            mount -t tmpfs t {self.source}; mount --make-shared {self.source}; mkdir -m 777 {self.source}/outer {self.source}/inner
            {self.program} --root {self.state} run -d -b {self.bundle(d)} {name} </dev/null >/dev/null 2>{self.source}.err
            for i in 1 2 3 4 5 6 7 8 9; do {self.program} --root {self.state} exec {name} test -e /data/inner/f && break; sleep 0.1; done
            mount -t tmpfs o {self.source}/outer; echo x >{self.source}/outer/f
            {self.program} --root {self.state} exec {name} test -e /data/outer/f && echo in
            test -e {self.source}/inner/f && echo out
            {self.program} --root {self.state} delete --force {name}
            """
        r = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script], capture_output=True, text=True, timeout=60)
        self.assertEqual(coffer.read_text(self.source + ".err"), "")
        return ("in" in r.stdout, "out" in r.stdout)

    def test_a_private_bind_hears_nothing(self):
        self.assertEqual(self.in_a_shared_arena([]), (False, False))
        self.assertEqual(self.in_a_shared_arena(["rprivate"]), (False, False))

    def test_a_slave_receives_the_host_s_mounts(self):
        self.assertEqual(self.in_a_shared_arena(["rslave"]), (True, False))
        self.assertEqual(self.in_a_shared_arena(["rslave"], "rslave"), (True, False))

    def test_a_slave_in_a_user_namespace_receives_too(self):
        self.assertEqual(self.in_a_shared_arena(["rslave"], edit=user_namespace), (True, False))

    def test_shared_reaches_the_host_only_when_the_root_is_shared_as_well(self):
        self.assertEqual(self.in_a_shared_arena(["rshared"]), (True, False))
        self.assertEqual(self.in_a_shared_arena(["rshared"], "rshared"), (True, True))

    def test_nothing_reaches_the_host_from_a_user_namespace(self):
        self.assertEqual(self.in_a_shared_arena(["rshared"], "rshared", edit=user_namespace), (True, False))

    def test_a_private_root_cuts_everything(self):
        self.assertEqual(self.in_a_shared_arena(["rslave"], "rprivate"), (False, False))

    def test_rootfs_propagation(self):
        for word, tag in (("shared", "shared"), ("rshared", "shared"), ("slave", ""), ("rslave", ""), ("private", ""), ("rprivate", ""), ("unbindable", "unbindable"), ("runbindable", "unbindable")):
            got = self.mounts(edit=lambda d: d["linux"].update(rootfsPropagation=word))
            self.assertEqual([t.split(":")[0] for t in got["/"]["tags"]], [tag] if tag else [], word)
        self.refused("linux.rootfsPropagation", edit=lambda d: d["linux"].update(rootfsPropagation="sideways"))

    def test_nothing_inside_is_shared_with_the_host(self):
        """Under systemd the host's mounts are shared: neither root, nor device nodes, nor a bind may be a peer."""
        d = shell("cat /proc/self/mountinfo")
        d["root"] = {"path": self.own_root()}
        d["mounts"].append({"destination": "/m", "type": "bind", "source": self.source, "options": ["rbind"]})
        for edit in (lambda d: None, user_namespace):
            edit(d)
            self.own(d)
            r = subprocess.run(["unshare", "-m", "--propagation", "shared", self.program, "--root", self.state, "run", "-b", self.bundle(d), self.name()], capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, r)
            self.assertEqual([p for p, m in parse_mountinfo(r.stdout).items() if m["tags"]], [], r.stdout)


class Targets(MountTest):
    def bind(self, destination, source=None, *options):
        return {"destination": destination, "type": "bind", "source": source or self.source, "options": ["bind", *options]}

    def test_made_when_missing(self):
        r = self.inside("cat /a/b/c/file; cat /new/file", self.bind("/a/b/c"), self.bind("/new/file", self.source + "/file"))
        self.assertEqual(r.out, "from the host\n" * 2)

    def test_relative_destination_and_dots(self):
        r = self.inside("cat /data/file /x/file /y/file", self.bind("data"), self.bind("/a/../x//./"), self.bind("/../../y"))
        self.assertEqual(r.out, "from the host\n" * 3)

    def test_relative_source_is_the_bundle_s(self):
        d = shell("cat /data/file /one")
        d["mounts"] += [self.bind("/data", "inner"), self.bind("/one", "./inner/file")]
        d["root"] = {"path": self.own_root()}
        bundle = self.bundle(d)
        shutil.copytree(self.source, os.path.join(bundle, "inner"))
        self.assertEqual(self.oci("run", "-b", bundle, self.name()).out, "from the host\n" * 2)

    def test_through_links_inside_the_root(self):
        root = self.own_root()
        os.symlink("/real", root + "/absolute")
        os.symlink("../../../../real2/deep", root + "/relative")
        os.symlink("/etc/nowhere", root + "/linkfile")
        d = shell("cat /absolute/data/file /real/data/file /relative/file /real2/deep/file /linkfile /etc/nowhere")
        d["root"] = {"path": root}
        d["mounts"] += [self.bind("/absolute/data"), self.bind("/relative"), self.bind("/linkfile", self.source + "/file")]
        self.assertEqual(self.run_document(d).out, "from the host\n" * 6)
        self.assertFalse(os.path.exists("/real") or os.path.exists("/real2"))

    def test_the_root_itself_is_refused(self):
        for destination in ("/", "//.", "/a/..", "/.."):
            self.refused("would cover the root", self.bind(destination))

    def test_kinds_must_match(self):
        self.refused("cannot mount a directory on a file", self.bind("/etc/passwd"))
        self.refused("cannot mount a file on a directory", self.bind("/etc", self.source + "/file"))

    def test_a_missing_source_is_named(self):
        self.refused(self.source + "/missing", self.bind("/m", self.source + "/missing"))

    def test_inside_of_proc(self):
        """CVE-2019-16884: what a mount would make of /proc."""
        self.refused("inside of a procfs", self.bind("/proc/self"))
        self.refused("inside of a procfs", self.bind("/proc/sys"))
        self.refused("only a procfs", self.bind("/proc"))
        self.refused("only a procfs", {"destination": "/proc", "type": "tmpfs", "source": "t"})
        self.assertEqual(self.inside("cat /proc/uptime", self.bind("/proc/uptime", self.source + "/file")).out, "from the host\n")

    def test_through_a_link_into_proc(self):
        root = self.own_root()
        os.symlink("/proc/self", root + "/inner")
        d = shell("true")
        d["root"] = {"path": root}
        d["mounts"].append(self.bind("/inner/attr"))
        r = self.run_document(d, check=False)
        self.assertNotEqual(r.code, 0, r)


class Filesystems(MountTest):
    def test_tmpfs_takes_the_mode_of_what_it_covers(self):
        root = self.own_root()
        os.mkdir(root + "/private")
        os.chmod(root + "/private", 0o710)
        d = shell("stat -c %a /private /fresh /told")
        d["root"] = {"path": root}
        d["mounts"] += [{"destination": "/private", "type": "tmpfs", "source": "t"}, {"destination": "/fresh", "type": "tmpfs", "source": "t"},
                        {"destination": "/told", "type": "tmpfs", "source": "t", "options": ["mode=0700", "uid=3", "gid=4"]}]
        self.assertEqual(self.run_document(d).out.split(), ["710", "1777", "700"])

    def test_tmpcopyup(self):
        root = self.own_root()
        os.makedirs(root + "/seed/d")
        os.symlink("d", root + "/seed/l")
        with open(root + "/seed/d/f", "w") as f:
            f.write("kept\n")
        os.chown(root + "/seed/d/f", 5, 6)
        d = shell("cat /seed/l/f; stat -c %u:%g /seed/d/f; echo new >/seed/d/f; grep -c ' /seed tmpfs ' /proc/mounts; stat -c %a /seed")
        d["root"] = {"path": root}
        d["mounts"].append({"destination": "/seed", "type": "tmpfs", "source": "t", "options": ["tmpcopyup", "mode=0750"]})
        self.assertEqual(self.run_document(d).out.split(), ["kept", "5:6", "1", "750"])
        self.assertEqual(coffer.read_text(root + "/seed/d/f"), "kept\n")
        self.refused("tmpcopyup", {"destination": "/m", "type": "bind", "source": self.source, "options": ["bind", "tmpcopyup"]})

    def test_a_read_only_tmpfs_holds_the_mounts_below_it(self):
        r = self.inside("cat /m/inner/file; touch /m/x", {"destination": "/m", "type": "tmpfs", "source": "t", "options": ["ro"]},
                        {"destination": "/m/inner", "type": "bind", "source": self.source, "options": ["bind"]}, check=False)
        self.assertIn("from the host", r.out)
        self.assertIn("Read-only", r.err)

    def test_a_read_only_dev_has_its_nodes(self):
        def edit(d):
            next(m for m in d["mounts"] if m["destination"] == "/dev")["options"].append("ro")
        r = self.inside("echo x >/dev/null && touch /dev/new", edit=edit, check=False)
        self.assertIn("Read-only", r.err)
        self.assertNotIn("/dev/null", r.err)

    def test_proc_options(self):
        def edit(options):
            def f(d):
                d["mounts"][0]["options"] = options
                d["process"]["user"] = {"uid": 1000, "gid": 1000}
                d["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
                d["linux"]["maskedPaths"] = d["linux"]["readonlyPaths"] = []
            return f
        self.assertEqual(self.inside("ls -d /proc/sys /proc/1", edit=edit(["subset=pid"]), check=False).out.strip(), "/proc/1")
        self.assertIn("hidepid", " ".join(self.mounts(edit=edit(["hidepid=2"]))["/proc"]["super"]))
        self.assertIn("ro", self.mounts(edit=edit(["ro"]))["/proc"]["options"])

    def test_any_type_that_the_kernel_knows(self):
        image = self.source + ".img"
        with open(image, "wb") as f:
            f.truncate(16 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], capture_output=True, check=True)
        loop = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True, check=True).stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "-d", loop])

        def allow(d):
            d["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
        got = self.mounts({"destination": "/m", "type": "ext4", "source": loop, "options": ["ro", "noload"]}, edit=allow)
        self.assertEqual(got["/m"]["type"], "ext4")
        self.assertIn("ro", got["/m"]["super"])
        lower, upper, work = (os.path.join(self.source, n) for n in ("lower", "upper", "work"))
        for p in (lower, upper, work):
            os.mkdir(p)
        with open(lower + "/f", "w") as f:
            f.write("below\n")
        overlay = {"destination": "/m", "type": "overlay", "source": "overlay", "options": [f"lowerdir={lower}", f"upperdir={upper}", f"workdir={work}"]}
        self.assertEqual(self.inside("cat /m/f; echo x >/m/g", overlay).out, "below\n")
        self.assertEqual(coffer.read_text(upper + "/g"), "x\n")

    def test_an_option_of_more_than_255_bytes(self):
        lowers = []
        for i in range(12):
            path = os.path.join(self.source, "a-rather-long-name-of-a-directory-%02d" % i)
            os.mkdir(path)
            lowers.append(path)
        with open(lowers[-1] + "/f", "w") as f:
            f.write("deep\n")
        overlay = {"destination": "/m", "type": "overlay", "source": "overlay", "options": ["lowerdir=" + ":".join(lowers), "nosuid"]}
        self.assertEqual(self.inside("cat /m/f", overlay).out, "deep\n")
        self.assertIn("nosuid", self.mounts(overlay)["/m"]["options"])

    def test_devpts_gid_that_is_not_mapped(self):
        got = self.mounts(edit=lambda d: user_namespace(d, [{"containerID": 0, "hostID": 100000, "size": 2}]))
        self.assertFalse([o for o in got["/dev/pts"]["super"] if o.startswith("gid=")])

    def test_namespaces_of_the_host_with_a_user_namespace(self):
        """sysfs, proc and mqueue belong to the owner of a namespace: bound from the host instead."""
        def edit(d):
            user_namespace(d)
            d["linux"]["namespaces"] = [n for n in d["linux"]["namespaces"] if n["type"] in ("mount", "user", "uts")]
            d["mounts"].append({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid"]})
            d["linux"]["maskedPaths"] = d["linux"]["readonlyPaths"] = []
        if not os.path.isdir("/dev/mqueue"):
            def edit2(d):
                edit(d)
                d["mounts"].pop()
        else:
            edit2 = edit
        got = self.mounts(edit=edit2)
        self.assertEqual((got["/sys"]["type"], got["/proc"]["type"]), ("sysfs", "proc"))
        self.assertIn("ro", got["/sys"]["options"])

    def test_the_host_s_namespaces_without_a_user_namespace(self):
        def edit(d):
            d["linux"]["namespaces"] = [{"type": "mount"}]
            del d["hostname"]
        got = self.mounts(edit=edit)
        self.assertEqual((got["/sys"]["type"], got["/proc"]["type"]), ("sysfs", "proc"))


class Idmap(MountTest):
    """Ids on disk 0 and 5; the container's user namespace maps 0 to 100000, the mount's own map 0 to 200000."""

    def setUp(self):
        super().setUp()
        os.chown(self.source + "/file", 5, 7)
        for p in (self.scratch, self.source):
            os.chmod(p, 0o755)

    def bind(self, *options, **more):
        return {"destination": "/m", "type": "bind", "source": self.source, "options": ["rbind", *options], **more}

    def maps(self, host, size=1000):
        return [{"containerID": 0, "hostID": host, "size": size}]

    def test_by_the_container_s_user_namespace(self):
        r = self.inside("stat -c %u:%g /m/file; touch /m/new", self.bind("idmap"), edit=user_namespace)
        self.assertEqual(r.word, "5:7")
        self.assertEqual(os.stat(self.source + "/new").st_uid, 0)

    def test_by_maps_of_its_own(self):
        r = self.inside("stat -c %u:%g /m/file", self.bind("idmap", uidMappings=self.maps(100000), gidMappings=self.maps(100010)), edit=user_namespace)
        self.assertEqual(r.word, "5:17")

    def test_without_a_user_namespace(self):
        r = self.inside("stat -c %u:%g /m/file; touch /m/new", self.bind("idmap", uidMappings=self.maps(0), gidMappings=self.maps(3000)), check=False)
        self.assertEqual(r.word, "5:3007")
        self.assertIn("too large", r.err)  # group 0 has no place on that disk: nothing is written that could not be read back

    def test_maps_without_the_word(self):
        r = self.inside("stat -c %u:%g /m/file", self.bind(uidMappings=self.maps(100), gidMappings=self.maps(200)))
        self.assertEqual(r.word, "105:207")

    def test_one_namespace_serves_equal_maps(self):
        extra = [dict(self.bind("idmap", uidMappings=self.maps(100), gidMappings=self.maps(200)), destination=f"/m{i}") for i in range(8)]
        r = self.inside("stat -c %u:%g /m0/file /m7/file", *extra)
        self.assertEqual(r.out.split(), ["105:207"] * 2)

    def test_recursive(self):
        inner = os.path.join(self.source, "sub")
        for word, below in (("idmap", "0"), ("ridmap", "100")):
            d = shell("stat -c %u /m/file /m/sub")
            d["root"] = {"path": self.own_root()}
            d["mounts"].append(self.bind(word, uidMappings=self.maps(100), gidMappings=self.maps(100)))
            other = self.source + ".other"
            os.makedirs(other, exist_ok=True)
            script = f"mount --bind {other} {inner} && {self.program} --root {self.state} run -b $0 $1"
            r = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-ec", script, self.bundle(d), self.name()], capture_output=True, text=True)
            self.assertEqual(r.stdout.split(), ["105", below], r)

    def test_what_cannot_shift_is_refused(self):
        self.refused("cannot shift ids", dict(self.bind("idmap", uidMappings=self.maps(0), gidMappings=self.maps(0)), source="/proc/self"))
        self.refused("'idmap' needs uidMappings", self.bind("idmap"))
        self.refused("gidMappings", self.bind("idmap", uidMappings=self.maps(0)))
        self.refused("only a bind mount", {"destination": "/m", "type": "tmpfs", "source": "t", "options": ["idmap"], "uidMappings": self.maps(0), "gidMappings": self.maps(0)})


class Cgroups(MountTest):
    def cgroup_mount(self, *options):
        return {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", *options]}

    @staticmethod
    def v1():
        return any(kind == "cgroup" for _, kind, _ in coffer.mount_points())

    def check(self, got, flag):
        points = [p for p in got if p.startswith("/sys/fs/cgroup/")] if self.v1() else ["/sys/fs/cgroup"]
        self.assertTrue(points, got)
        if self.v1():
            host = [os.path.basename(p) for p, kind, _ in coffer.mount_points() if kind == "cgroup"]
            self.assertEqual(sorted(os.path.basename(p) for p in points), sorted(set(host)))
        for p in points:
            self.assertIn(flag, got[p]["options"], p)

    def test_with_a_cgroup_namespace(self):
        def edit(d):
            d["linux"]["namespaces"].append({"type": "cgroup"})
        for flag in ("ro", "rw"):
            got = self.mounts(self.cgroup_mount(flag), edit=edit)
            self.check(got, flag)
            self.assertEqual({m["root"] for p, m in got.items() if p.startswith("/sys/fs/cgroup/")} - {"/"}, set())
        r = self.inside("cat /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/release_agent", self.cgroup_mount("ro"), edit=edit, check=False)
        self.assertEqual(r.out, "", "CVE-2022-0492: release_agent is in sight")

    def test_without_one(self):
        self.check(self.mounts(self.cgroup_mount("ro")), "ro")
        r = self.inside("cat /sys/fs/cgroup/*/release_agent", self.cgroup_mount("ro"), check=False)
        self.assertEqual(r.out, "")

    def test_in_a_user_namespace(self):
        def edit(d):
            user_namespace(d)
            d["linux"]["namespaces"].append({"type": "cgroup"})
        self.check(self.mounts(self.cgroup_mount("ro"), edit=edit), "ro")
        self.check(self.mounts(self.cgroup_mount("ro"), edit=user_namespace), "ro")

    def test_read_only_is_read_only(self):
        r = self.inside("for f in /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs; do test -e $f && echo 1 >$f; done; mkdir /sys/fs/cgroup/x", self.cgroup_mount("ro"), check=False)
        self.assertNotEqual(r.code, 0)
        self.assertIn("Read-only", r.err)


class Devices(MountTest):
    def devices(self, *devices, **kw):
        def edit(d):
            d["linux"]["devices"] = list(devices)
            d["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
            if kw.get("edit"):
                kw["edit"](d)
        return edit

    def test_by_number_with_owner_and_mode(self):
        edit = self.devices({"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 11, "gid": 12},
                            {"path": "/dev/deep/er/b", "type": "b", "major": 7, "minor": 99, "fileMode": 0o600},
                            {"path": "/dev/u", "type": "u", "major": 1, "minor": 5}, {"path": "/dev/p", "type": "p", "fileMode": 0o622, "uid": 5},
                            {"path": "/other/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o4777})
        r = self.inside("stat -c '%n %F %t:%T %a %u:%g' /dev/x /dev/deep/er/b /dev/u /dev/p /other/null", edit=edit)
        self.assertEqual(r.lines, ["/dev/x character special file 1:3 640 11:12", "/dev/deep/er/b block special file 7:63 600 0:0",
                                   "/dev/u character special file 1:5 666 0:0", "/dev/p fifo 0:0 622 5:0", "/other/null character special file 1:3 4777 0:0"])

    def test_default_devices_and_links(self):
        r = self.inside("cd /dev; stat -c '%n %t:%T %a' null zero full random urandom tty; for l in fd stdin stdout stderr ptmx; do readlink $l; done; ls -d /dev/console 2>&1; true")
        self.assertEqual(r.lines[:11], ["null 1:3 666", "zero 1:5 666", "full 1:7 666", "random 1:8 666", "urandom 1:9 666", "tty 5:0 666", "/proc/self/fd",
                                        "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"])
        self.assertIn("No such file", r.lines[11])

    def test_a_default_device_that_is_listed_is_the_document_s(self):
        r = self.inside("stat -c '%a %u' /dev/zero", edit=self.devices({"path": "/dev/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600, "uid": 9}))
        self.assertEqual(r.word, "600 9")

    def test_in_a_user_namespace_the_host_s_nodes(self):
        r = self.inside("stat -c '%n %t:%T' /dev/null /dev/tty /dev/x; echo x >/dev/null", edit=self.devices(
            {"path": "/dev/x", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600}, {"path": "/dev/fifo", "type": "p"}, edit=user_namespace), check=False)
        if r.code:
            self.assertIn("/dev/x", r.err)  # found by name only, where udev makes no /dev/char
            r = self.inside("stat -c '%n %t:%T' /dev/null /dev/tty /dev/zero; echo x >/dev/null; stat -c %F /dev/fifo", edit=self.devices(
                {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5}, {"path": "/dev/fifo", "type": "p"}, edit=user_namespace))
            self.assertEqual(r.lines, ["/dev/null 1:3", "/dev/tty 5:0", "/dev/zero 1:5", "fifo"])

    def without_dev(self, root, script="true", *devices, check=True):
        d = shell(script)
        d["root"] = {"path": root}
        d["mounts"] = [m for m in d["mounts"] if not m["destination"].startswith("/dev")]
        d["linux"]["devices"] = list(devices)
        d["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
        return self.run_document(d, check=check)

    def test_a_dev_that_is_not_mounted(self):
        root = self.own_root()
        r = self.without_dev(root, "stat -c '%n %t:%T' /dev/null; echo x >/dev/null; readlink /dev/fd")
        self.assertEqual(r.lines, ["/dev/null 1:3", "/proc/self/fd"])
        self.without_dev(root)  # the same again: an equal node is fine
        os.unlink(root + "/dev/zero")
        with open(root + "/dev/zero", "w"):
            pass
        r = self.without_dev(root, check=False)
        self.assertNotEqual(r.code, 0)
        self.assertIn("'/dev/zero' exists", r.err)

    def test_a_dev_of_the_document_s_own(self):
        def edit(d):
            d["mounts"] = [m for m in d["mounts"] if not m["destination"].startswith("/dev")]
            d["mounts"].append({"destination": "/dev", "type": "bind", "source": self.source, "options": ["bind"]})
        self.assertEqual(sorted(self.inside("ls /dev", edit=edit).out.split()), ["file", "sub"])
        self.assertEqual(sorted(os.listdir(self.source)), ["file", "sub"])

    def test_numbers_that_are_none(self):
        for major, minor in ((4096, 0), (-1, 0), (1, 1 << 20)):
            self.refused("devices", edit=self.devices({"path": "/dev/x", "type": "c", "major": major, "minor": minor}))


class Masks(MountTest):
    def test_exactly_the_document_s(self):
        def edit(d):
            d["linux"]["maskedPaths"] = ["/etc/passwd", "/etc/missing", "/home", "/etc/*"]
            d["linux"]["readonlyPaths"] = ["/root"]
        r = self.inside("wc -c </etc/passwd; ls /home | wc -l; touch /root/x; test -s /etc/plain && echo plain; touch /home/x; echo >/proc/sys/kernel/msgmax 2>&1 && echo sys", edit=edit, check=False)
        self.assertEqual(r.out.split()[:3], ["0", "0", "plain"])
        self.assertEqual(r.err.count("Read-only"), 2, r)
        self.assertEqual(self.mounts(edit=edit)["/etc/passwd"]["root"].rsplit("/")[-1], "null")

    def test_none_is_none(self):
        def edit(d):
            del d["linux"]["maskedPaths"], d["linux"]["readonlyPaths"]
        got = self.mounts(edit=edit)
        self.assertEqual([p for p in got if p.startswith(("/proc/", "/sys/"))], [])


class Root(MountTest):
    def test_read_only(self):
        r = self.inside("touch /x", edit=lambda d: d["root"].update(readonly=True), check=False)
        self.assertIn("Read-only", r.err)
        self.inside("touch /x", edit=lambda d: d["root"].update(readonly=False))

    def test_without_pivot(self):
        d = shell("cat /proc/self/mountinfo; ls /; pwd; ls -d /proc/1/root/lib/modules")
        d["root"] = {"path": self.own_root()}
        for edit in (lambda d: None, user_namespace):
            edit(d)
            self.own(d)
            r = self.run_document(d, "--no-pivot", check=False)
            self.assertIn("/", parse_mountinfo(r.out))
            self.assertIn("busybox", self.run_document(dict(d, process=dict(d["process"], args=["ls", "/bin"])), "--no-pivot").out)
            self.assertNotIn(" /mnt/", r.out)

    def test_a_relative_root(self):
        d = config("true")
        d["root"] = {"path": "inner/rootfs"}
        bundle = self.bundle(d, rootfs=False)
        os.mkdir(bundle + "/inner")
        shutil.copytree(self.rootfs, bundle + "/inner/rootfs", symlinks=True)
        self.oci("run", "-b", bundle, self.name())

    def test_a_missing_root_is_named(self):
        self.refused("root.path", edit=lambda d: d["root"].update(path=self.scratch + "/missing"))


@unittest.skipUnless(shutil.which("setpriv"), "setpriv")
class Rootless(MountTest):
    """An ordinary user, whose single id is root inside: everything that needs privilege happens in the container's own namespaces."""

    UID = 12345

    def rootless(self, d, *options):
        root = self.own_root()
        subprocess.run(["chown", "-R", f"{self.UID}:{self.UID}", root, self.source], check=True)
        d["root"] = {"path": root}
        user_namespace(d)
        d["linux"]["uidMappings"] = d["linux"]["gidMappings"] = [{"containerID": 0, "hostID": self.UID, "size": 1}]
        d["linux"].pop("cgroupsPath", None)
        d["mounts"] = [m for m in d["mounts"]]
        del d["linux"]["resources"]
        bundle = self.bundle(d)
        d["linux"].pop("cgroupsPath", None)
        with open(os.path.join(bundle, "config.json"), "w") as f:
            json.dump(d, f)
        state = os.path.join(self.scratch, self.name() + ".state")
        os.mkdir(state)
        for path in (state, bundle):
            os.chown(path, self.UID, self.UID)
        os.chmod(bundle, 0o755)
        argv = ["setpriv", f"--reuid={self.UID}", f"--regid={self.UID}", "--clear-groups", self.program, "--root", state, *options, "run", "-b", bundle, self.name()]
        return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, env=dict(os.environ, XDG_RUNTIME_DIR=state))

    def test_binds_and_devices(self):
        d = shell("cat /m/file /one; id -u; stat -c %t:%T /dev/null; echo x >/dev/null; cat /proc/self/mountinfo")
        d["mounts"] += [{"destination": "/m", "type": "bind", "source": self.source, "options": ["rbind", "rw", "ro"]},
                        {"destination": "/one", "type": "bind", "source": self.source + "/file", "options": ["bind", "rw"]}]
        r = self.rootless(d)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(r.stdout.splitlines()[:4], ["from the host", "from the host", "0", "1:3"])
        got = parse_mountinfo(r.stdout)
        self.assertIn("ro", got["/m"]["options"])
        self.assertEqual(got["/tmp"]["type"], "tmpfs")

    def test_relative_sources(self):
        d = shell("cat /cfg | head -c1")
        d["mounts"].append({"destination": "/cfg", "type": "bind", "source": "config.json", "options": ["bind"]})
        r = self.rootless(d)
        self.assertEqual((r.returncode, r.stdout), (0, "{"), r.stderr)

    def test_what_needs_privilege_is_refused(self):
        d = shell("true")
        d["mounts"].append({"destination": "/m", "type": "bind", "source": self.source, "options": ["rbind", "idmap"]})
        r = self.rootless(d)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("/m", r.stderr)


if __name__ == "__main__":
    coffer.main()
