# SPDX-License-Identifier: Apache-2.0
"""Images by each engine and tool go to a registry and come from it, and ours the same: digests, ids and files stay equal.

                     plain   TLS   TLS and htpasswd
    skopeo             x      x          x
    podman             x      x          x           OCI and docker's media types; zstd
    buildah            x      x          x
    umoci by skopeo    x      x          x
    dockerd            x                 x           20.10
"""

import json
import os
import shutil
import subprocess
import unittest

import coffer
import images
import peers
import registries
from images import Entry
from registries import digest
from test_pull import PullTest, etc_overlay

LAYERS = [images.busybox_entries(), [Entry.file("own", "x\n", uid=5, gid=6, mode=0o4755), Entry.link("hard", "own")]]
USER, PASSWORD = "alice", "s3cret with blanks"


class Matrix(PullTest):
    TLS, USERS = False, None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tls = registries.make_cert(cls.scratch) if cls.TLS else None
        cls.reg = cls.registry(tls=tls, users=cls.USERS)
        cls.certs, cls.auth = os.path.join(cls.scratch, "certs"), os.path.join(cls.scratch, ".docker", "config.json")
        os.mkdir(cls.certs)
        files = {"coffer/daemon.json": "{}"}
        if tls:
            shutil.copy(tls[0], os.path.join(cls.certs, "ca.crt"))
            with open(tls[0]) as f:
                files[f"docker/certs.d/{cls.reg.name}/ca.crt"] = f.read()
        registries.auth_config(cls.scratch, cls.reg.name if cls.USERS else None, USER, PASSWORD)
        cls.command = etc_overlay(cls.scratch, files) + [cls.stage.coffer]
        base = os.path.join(cls.scratch, "podman")
        cls.storage = ["--root", base + "/root", "--runroot", base + "/run", "--storage-driver", "vfs"]
        cls.addClassCleanup(shutil.rmtree, base, True)

    def peer(self, *argv):
        return subprocess.run(argv, check=True, capture_output=True, timeout=180, env=dict(os.environ, HOME=self.scratch, REGISTRY_AUTH_FILE=self.auth)).stdout

    def tls(self, side=""):
        """Flags that make a peer verify the registry's certificate; of a plain registry, that it may be plain."""
        prefix = f"--{side}-" if side else "--"
        return [prefix + "cert-dir=" + self.certs] if self.TLS else [prefix + "tls-verify=false"]

    def raw(self, ref):
        return self.peer("skopeo", "inspect", "--raw", *self.tls(), "docker://" + ref)

    def comes(self, ref):
        """We pull it: the digest is that of the registry's document, the id its config's, the files as they were."""
        self.coffer("pull", ref)
        raw, image = self.raw(ref), self.coffer("image", "inspect", ref).json()[0]
        self.assertEqual(image["RepoDigests"], [ref.rsplit(":", 1)[0] + "@" + digest(raw)])
        self.assertEqual(image["Id"], json.loads(raw)["config"]["digest"])
        self.assertEqual(self.run_(ref, "sh", "-c", "cat /own; stat -c '%a %u:%g %h' /own").lines, ["x", "4755 5:6 2"])
        self.coffer("rmi", "-f", ref)

    def goes(self, name, archive, tag):
        """We push it: what the registry has is what was said. Return: reference, id."""
        ref = f"{self.reg.name}/{name}"
        self.coffer("load", "-i", archive)
        self.coffer("tag", tag, ref)
        said = self.coffer("push", ref).lines[-1]
        self.assertIn(digest(self.raw(ref)), said)
        ident = self.coffer("image", "inspect", ref).json()[0]["Id"]
        self.coffer("rmi", "-f", ref, tag)
        return ref, ident

    def ours(self, who):
        """Images of ours for @who: gzip, zstd, and plain layers without a manifest, which go out compressed."""
        layers = LAYERS + [[Entry.file("for", who)]]
        yield self.goes(f"for-{who}-gzip:1", images.oci_archive(layers, f"for-{who}-gzip:1"), f"for-{who}-gzip:1")
        yield self.goes(f"for-{who}-zstd:1", images.oci_archive(layers + [[Entry.file("z")]], f"for-{who}-zstd:1", compress="zstd"), f"for-{who}-zstd:1")
        yield self.goes(f"for-{who}-plain:1", images.docker_archive(layers + [[Entry.file("p")]], [f"for-{who}-plain:1"]), f"for-{who}-plain:1")

    def test_podman_and_buildah(self):
        for program, ways in (("podman", {"oci": ["--format", "oci"], "docker": ["--format", "v2s2"], "zstd": ["--format", "oci", "--compression-format", "zstd"]}), ("buildah", {"oci": ["--format", "oci"], "docker": ["--format", "v2s2"]})):
            run = lambda *a: self.peer(program, *self.storage, *a)
            run("pull", "-q", "docker-archive:" + images.docker_archive(LAYERS + [[Entry.file(program)]], [f"{program}-src:1"]))
            for way, flags in ways.items():
                with self.subTest(f"{program} {way}"):
                    theirs = f"{self.reg.name}/{program}-{way}:1"
                    run("push", "-q", *flags, *self.tls(), f"localhost/{program}-src:1", theirs)
                    self.comes(theirs)
            for ref, ident in self.ours(program):
                with self.subTest(ref):
                    run("pull", "-q", *self.tls(), ref)
                    got = json.loads(run("inspect", "--type", "image", ref))
                    self.assertEqual("sha256:" + (got[0]["Id"] if isinstance(got, list) else got["FromImageID"]), ident)
                    if isinstance(got, list):
                        self.assertEqual(got[0]["Digest"], digest(self.raw(ref)))

    def test_umoci_and_skopeo(self):
        layout = os.path.join(self.scratch, "umoci")
        self.peer("skopeo", "copy", "-q", "--insecure-policy", "docker-archive:" + images.docker_archive(LAYERS, ["u:1"]), f"oci:{layout}:1")
        theirs = f"{self.reg.name}/skopeo:1"
        self.peer("skopeo", "copy", "-q", "--insecure-policy", *self.tls("dest"), f"oci:{layout}:1", "docker://" + theirs)
        self.comes(theirs)
        self.peer("umoci", "config", "--image", layout + ":1", "--author", "umoci", "--config.label", "by=umoci")
        theirs = f"{self.reg.name}/umoci:1"
        self.peer("skopeo", "copy", "-q", "--insecure-policy", *self.tls("dest"), f"oci:{layout}:1", "docker://" + theirs)
        self.comes(theirs)
        for i, (ref, ident) in enumerate(self.ours("skopeo")):
            out = os.path.join(self.scratch, f"out{i}")
            self.peer("skopeo", "copy", "-q", "--insecure-policy", "--preserve-digests", *self.tls("src"), "docker://" + ref, f"oci:{out}:1")
            with open(os.path.join(out, "index.json")) as f:
                self.assertEqual(json.load(f)["manifests"][0]["digest"], digest(self.raw(ref)))
            self.assertEqual(self.peer("umoci", "ls", "--layout", out).decode().split(), ["1"])
            if "zstd" not in ref:  # umoci knows none
                self.peer("umoci", "unpack", "--image", out + ":1", out + "-root")
                st = os.stat(out + "-root/rootfs/own")
                self.assertEqual((st.st_mode & 0o7777, st.st_uid, st.st_gid, st.st_nlink), (0o4755, 5, 6, 2))


class Plain(Matrix):
    pass


class Tls(Matrix):
    TLS = True


class Passwords(Matrix):
    TLS, USERS = True, {USER: PASSWORD}


del Matrix


class Dockerd(peers.ArenaTest):
    """Debian's dockerd (20.10) pushes what we pull, and pulls what we push: through a registry beside it, plain, and over TLS with passwords."""

    @classmethod
    def setUpArena(cls):
        a = cls.arena
        cls.stage = coffer.Stage.get()
        cls.name = "127.0.0.1:5000"
        config = os.path.join(a.dir, "registry.yml")
        with open(config, "w") as f:
            f.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {a.dir}/registry}}}}\nhttp: {{addr: '{cls.name}'}}\n")
        a.run("ip", "link", "set", "lo", "up", check=False)
        a.daemon("docker-registry", "serve", config, log="registry.log")
        cls.secure = "127.0.0.1:5443"
        cert, key = registries.make_cert(a.dir)
        with open(a.dir + "/htpasswd", "w") as f:
            f.write(subprocess.run(["htpasswd", "-nbB", "-C", "4", USER, PASSWORD], check=True, capture_output=True, text=True).stdout.strip() + "\n")
        with open(a.dir + "/secure.yml", "w") as f:
            f.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {a.dir}/secure}}}}\nhttp:\n  addr: '{cls.secure}'\n  tls: {{certificate: {cert}, key: {key}}}\n"
                    f"auth: {{htpasswd: {{realm: test, path: {a.dir}/htpasswd}}}}\n")
        a.daemon("docker-registry", "serve", a.dir + "/secure.yml", log="secure.log")
        a.run("mkdir", "-p", f"/etc/docker/certs.d/{cls.secure}")
        a.run("cp", cert, f"/etc/docker/certs.d/{cls.secure}/ca.crt")
        registries.auth_config(a.dir, cls.secure, USER, PASSWORD)
        argv = ["dockerd", "--data-root", a.dir + "/data", "--exec-root", "/run/docker", "--pidfile", "/run/docker.pid", "-H", "unix:///run/docker.sock", "--bridge", "none", "--iptables=false", "--oom-score-adjust", "0"]
        cls.server = a.daemon(*argv, log="dockerd.log")
        if not coffer.wait_until(lambda: cls.docker("version", check=False).code == 0 or cls.server.poll() is not None, 60, 0.1) or cls.server.poll() is not None:
            raise RuntimeError("dockerd did not come up: " + a.log("dockerd.log"))

    @classmethod
    def docker(cls, *args, **kw):
        return cls.arena.run("docker", "-H", "unix:///run/docker.sock", *args, env={"HOME": cls.arena.dir}, **kw)

    @classmethod
    def ours(cls, *args, **kw):
        env = {"COFFER_ROOT": cls.arena.dir + "/coffer", "COFFER_RUN": "/run/coffer-test", "COFFER_LIBEXEC": cls.stage.libexec, "HOME": cls.arena.dir}
        return cls.arena.run(cls.stage.coffer, *args, env=env, **kw)

    def test_both_ways(self):
        self.both_ways(self.name)

    def test_both_ways_over_tls_with_passwords(self):
        self.both_ways(self.secure)

    def both_ways(self, name):
        theirs = f"{name}/theirs:1"
        self.docker("load", "-i", images.docker_archive(LAYERS, ["theirs:1"]))
        self.docker("tag", "theirs:1", theirs)
        pushed = self.docker("push", theirs).out
        self.assertIn("Downloaded newer image", self.ours("pull", theirs).out)
        image, inspect = json.loads(self.docker("image", "inspect", theirs).out)[0], json.loads(self.ours("image", "inspect", theirs).out)[0]
        self.assertEqual((inspect["Id"], inspect["RootFS"]["Layers"]), (image["Id"], image["RootFS"]["Layers"]))
        self.assertIn(inspect["RepoDigests"][0].split("@")[1], pushed)
        for kind, archive in (("gzip", images.oci_archive(LAYERS + [[Entry.file("g")]], "mine-gzip:1")), ("plain", images.docker_archive(LAYERS + [[Entry.file("p")]], ["mine-plain:1"]))):
            ref = f"{name}/mine-{kind}:1"
            self.ours("load", "-i", archive)
            self.ours("tag", f"mine-{kind}:1", ref)
            said = self.ours("push", ref).out
            self.docker("pull", ref)
            image, inspect = json.loads(self.docker("image", "inspect", ref).out)[0], json.loads(self.ours("image", "inspect", ref).out)[0]
            self.assertEqual(image["Id"], inspect["Id"])
            self.assertIn(image["RepoDigests"][0].split("@")[1], said)


if __name__ == "__main__":
    unittest.main()
