# SPDX-License-Identifier: Apache-2.0
"""push, login, logout, and the look at what a registry has (other engines' images: test_registry_peers)."""

import contextlib
import gzip
import io
import json
import os
import sqlite3
import subprocess
import tarfile
import threading
import unittest
import urllib.parse

import coffer
import daemon
import images
import registries
from images import Entry
from registries import Image, digest
from test_pull import PullTest, etc_overlay

ASAN = True
LAYERS = [images.busybox_entries(), [Entry.file("own", "x\n", uid=5, gid=6, mode=0o4755), Entry.link("hard", "own")]]


def raw_manifest(ref, *flags):
    return subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", *flags, "docker://" + ref], check=True, capture_output=True).stdout


class Push(PullTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reg = cls.registry()

    def load(self, archive, tag, ref):
        self.coffer("load", "-i", archive)
        self.coffer("tag", tag, ref)
        self.addCleanup(self.coffer, "rmi", "-f", ref, check=False)
        self.addCleanup(self.coffer, "rmi", "-f", tag, check=False)
        return ref

    def test_words_and_digests(self):
        ref = self.load(images.oci_archive(LAYERS, "push-gz:1"), "push-gz:1", f"{self.reg.name}/team/gz:1")
        out = self.coffer("push", ref).lines
        self.assertEqual(out[0], f"The push refers to repository [{self.reg.name}/team/gz]")
        self.assertEqual(sum(line.endswith(": Pushed") for line in out), 3)
        manifest = raw_manifest(ref)
        self.assertEqual(out[-1], f"1: digest: {digest(manifest)} size: {len(manifest)}")
        self.assertIn(f"{self.reg.name}/team/gz@{digest(manifest)}", self.coffer("image", "inspect", ref).json()[0]["RepoDigests"])
        again = self.coffer("push", ref).lines
        self.assertEqual(sum(line.endswith(": Layer already exists") for line in again), 3)
        self.assertEqual(again[-1], out[-1])
        self.assertEqual(self.coffer("push", "-q", ref).lines, [ref])

    def test_another_repository_of_the_same_registry_lends_its_blobs(self):
        ref = self.load(images.oci_archive(LAYERS + [[Entry.file("lent")]], "push-lent:1"), "push-lent:1", f"{self.reg.name}/a/lent:1")
        self.coffer("push", ref)
        other = f"{self.reg.name}/b/lent:1"
        self.coffer("tag", ref, other)
        self.addCleanup(self.coffer, "rmi", "-f", other, check=False)
        out = self.coffer("push", other).out
        self.assertIn("Mounted from a/lent", out)
        self.assertEqual(raw_manifest(ref), raw_manifest(other))

    def test_pulled_again_it_is_the_same(self):
        for coding, archive in (("plain", images.docker_archive(LAYERS + [[Entry.file("p")]], ["again-plain:1"])), ("zstd", images.oci_archive(LAYERS + [[Entry.file("z")]], "again-zstd:1", compress="zstd"))):
            ref = self.load(archive, f"again-{coding}:1", f"{self.reg.name}/again-{coding}:1")
            self.coffer("push", ref)
            before = self.coffer("image", "inspect", ref).json()[0]
            self.coffer("rmi", "-f", before["Id"])
            self.coffer("pull", ref)
            after = self.coffer("image", "inspect", ref).json()[0]
            self.assertEqual((after["Id"], after["RootFS"]), (before["Id"], before["RootFS"]))
            self.assertEqual(self.run_(ref, "sh", "-c", "stat -c '%a %u:%g %h' /own").lines, ["4755 5:6 2"])

    def test_large_blobs_go_in_pieces(self):
        ref = self.load(images.docker_archive([[Entry.file("big", os.urandom(40 << 20))]], ["big:1"]), "big:1", f"{self.reg.name}/big:1")
        self.coffer("push", ref)
        self.coffer("rmi", "-f", "big:1", ref, check=False)
        self.coffer("pull", ref)

    def test_all_tags_and_what_is_not_there(self):
        for tag in ("a", "b"):
            self.load(images.docker_archive([[Entry.file(tag)]], [f"all:{tag}"]), f"all:{tag}", f"{self.reg.name}/all:{tag}")
        self.coffer("push", "-a", f"{self.reg.name}/all")
        self.assertEqual(sorted(json.loads(subprocess.run(["skopeo", "list-tags", "--tls-verify=false", f"docker://{self.reg.name}/all"], check=True, capture_output=True).stdout)["Tags"]), ["a", "b"])
        self.assertFails(self.coffer("push", f"{self.reg.name}/nosuch:1", check=False), 1, "does not exist locally")
        self.assertFails(self.coffer("push", f"{self.reg.name}/all@sha256:" + "0" * 64, check=False), 1, "digest")

    def test_uploads_that_break_are_taken_up(self):
        """A registry of our own that takes uploads, and drops the connection in the middle of the second piece."""
        fake = self.fake()
        store, broken, begun = {}, [], []

        def uploads(h, path, query):
            if h.command == "POST" and path.endswith("/blobs/uploads/"):
                begun.append(1)
                store[str(len(begun))] = b""
                return h.answer(202, b"", Location=f"/v2/x/blobs/uploads/{len(begun)}?s=1") or True
            if "/uploads/" in path:
                key = path.rsplit("/", 1)[1]
                if h.command == "PATCH" and len(store[key]) > 0 and not broken:
                    broken.append(key)
                    store[key] += h.body[:1000]
                    h.close_connection = True
                    h.connection.shutdown(2)
                    return True
                if h.command == "PATCH":
                    start = int(h.headers["Content-Range"].split("-")[0])
                    if start != len(store[key]):
                        return h.error(416, "RANGE_INVALID") or True
                    store[key] += h.body
                    return h.answer(202, b"", Location=path + "?s=2", Range=f"0-{len(store[key]) - 1}") or True
                if h.command == "GET":
                    return h.answer(204, b"", Location=path + "?s=3", Range=f"0-{len(store[key]) - 1}") or True
                if h.command == "PUT" and digest(store[key]) == query["digest"]:
                    fake.blobs[query["digest"]] = store[key]
                    return h.answer(201) or True
                return h.error(400, "DIGEST_INVALID") or True
            if h.command == "PUT" and "/manifests/" in path:
                fake.manifests[("x", path.rsplit("/", 1)[1])] = (h.headers["Content-Type"], h.body)
                return h.answer(201) or True
        fake.lies.append(uploads)
        ref = self.load(images.docker_archive([[Entry.file("big", os.urandom(40 << 20))]], ["broken:1"]), "broken:1", f"{fake.name}/x:1")
        self.coffer("push", ref)
        self.assertEqual(len(broken), 1)
        self.assertEqual({d for d, b in fake.blobs.items()}, {digest(b) for b in fake.blobs.values()})
        self.assertEqual(len(fake.blobs), 2)

    def test_uploads_do_not_lead_elsewhere_with_the_secret(self):
        fake, other = self.fake(), self.fake()
        home = os.path.join(self.scratch, "home")
        registries.auth_config(home, fake.name, "alice", "secret")
        fake.lies.append(lambda h, path, q: not h.headers.get("Authorization") and (h.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"') or True))
        fake.lies.append(lambda h, path, q: h.command == "POST" and (h.answer(202, b"", Location=other.url + "/upload") or True))
        ref = self.load(images.docker_archive([[Entry.file("else")]], ["else:1"]), "else:1", f"{fake.name}/x:1")
        self.assertFails(self.coffer("push", ref, check=False, env={"HOME": home}), 1, "not encrypted")
        self.assertEqual(other.seen, [])


class Uploads:
    """For a registries.Fake: takes uploads in one piece or several, and says how many were under way at once. `gate`: uploads wait until so many are."""

    def __init__(self, fake, gate=1, mounts=False):
        self.fake, self.gate, self.mounts, self.lock, self.parts, self.now, self.most, self.gzip, self.mounted = fake, gate, mounts, threading.Condition(), {}, 0, 0, [], []
        fake.lies.append(self)

    def __call__(self, h, path, query):
        repo = path.removeprefix("/v2/").split("/blobs/")[0]
        if h.command == "POST" and path.endswith("/blobs/uploads/"):
            if "mount" in query and self.mounts and query["mount"] in self.fake.blobs:
                self.mounted.append((query["mount"], query["from"]))
                return h.answer(201) or True
            with self.lock:
                key = str(len(self.parts))
                self.parts[key] = b""
            return h.answer(202, b"", Location=f"/v2/{repo}/blobs/uploads/{key}") or True
        if h.command == "PATCH":
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
                self.lock.notify_all()
                self.lock.wait_for(lambda: self.most >= self.gate, 30)
                self.now -= 1
                key = path.rsplit("/", 1)[1]
                self.parts[key] += h.body
            return h.answer(202, b"", Location=path, Range=f"0-{len(self.parts[key]) - 1}") or True
        if h.command == "PUT" and "/uploads/" in path:
            data = self.parts[path.rsplit("/", 1)[1]]
            if digest(data) != query["digest"]:
                return h.error(400, "DIGEST_INVALID") or True
            self.fake.blobs[query["digest"]] = data
            return h.answer(201) or True
        if h.command == "PUT" and "/manifests/" in path:
            repo, tag = path.removeprefix("/v2/").split("/manifests/")
            self.fake.manifests[(repo, tag)] = self.fake.manifests[(repo, digest(h.body))] = (h.headers["Content-Type"], h.body)
            return h.answer(201) or True


class Packing(PullTest):
    """Layers that lie here uncompressed go out as gzip; what an image is known by stays."""

    def setUp(self):
        self.reg = self.fake()
        self.up = Uploads(self.reg)

    def load(self, archive, tag, path):
        ref = f"{self.reg.name}/{path}"
        self.coffer("load", "-i", archive)
        self.coffer("tag", tag, ref)
        self.addCleanup(self.coffer, "rmi", "-f", ref, tag, check=False)
        return ref

    def layers(self, path):
        return json.loads(self.reg.manifests[tuple(path.rsplit(":", 1))][1])["layers"]

    def packed(self):
        """How many layers' compressed form is remembered."""
        with contextlib.closing(sqlite3.connect(f"file:{self.root}/coffer.db?mode=ro", timeout=20, uri=True)) as db:
            return db.execute("SELECT count(*) FROM image_packed").fetchone()[0]

    def sent(self):
        return [s for s in self.reg.seen if s[0] == "PATCH"]

    def test_plain_layers_are_compressed_once(self):
        files = [Entry.file("text", "the same again and again\n" * 50000)]
        archive = images.docker_archive([files, [Entry.file("second")]], ["packed:1"])
        ref = self.load(archive, "packed:1", "packed:1")
        first = self.coffer("push", ref).lines
        layers = self.layers("packed:1")
        self.assertEqual({x["mediaType"] for x in layers}, {registries.OCI + "layer.v1.tar+gzip"})
        self.assertLess(layers[0]["size"], 20000)
        config = self.coffer("image", "inspect", ref).json()[0]
        self.assertEqual([digest(gzip.decompress(self.reg.blobs[x["digest"]])) for x in layers], config["RootFS"]["Layers"])
        self.assertIn(first[-1].split("digest: ")[1].split()[0], config["RepoDigests"][0])
        self.assertEqual(len(self.sent()), 3)
        again = self.coffer("push", ref).lines
        self.assertEqual(again[-1], first[-1])
        self.assertEqual(sum(line.endswith(": Layer already exists") for line in again), 3)
        self.assertEqual(len(self.sent()), 3)
        for x in layers:  # the registry lost them: the same bytes are made again
            del self.reg.blobs[x["digest"]]
        self.assertEqual(self.coffer("push", ref).lines[-1], first[-1])
        self.assertEqual(self.packed(), 2)
        self.coffer("rmi", "-f", ref, "packed:1")
        self.assertEqual(self.packed(), 0)
        self.coffer("pull", ref)
        self.assertEqual(self.coffer("image", "inspect", ref).json()[0]["Id"], config["Id"])

    def test_what_came_from_a_registry_goes_on_as_it_is(self):
        image = Image([[Entry.file("plain", "x" * 100000)]], compress=False)
        ref = self.reg.add(image, "came", "1")
        self.coffer("pull", ref)
        self.reg.manifests.pop(("came", "1"))
        self.assertIn(image.digest, self.coffer("push", ref).lines[-1])
        other = f"{self.reg.name}/elsewhere:1"
        self.coffer("tag", ref, other)
        self.addCleanup(self.coffer, "rmi", "-f", ref, other, check=False)
        self.assertIn(image.digest, self.coffer("push", other).lines[-1])
        self.assertEqual(self.reg.manifests[("elsewhere", "1")][1], image.manifest)

    def test_a_manifest_that_came_along_is_kept(self):
        for coding, kind in (("none", "layer.v1.tar"), ("gzip", "layer.v1.tar+gzip"), ("zstd", "layer.v1.tar+zstd")):
            ref = self.load(images.oci_archive([[Entry.file("oci", coding * 100000)], [Entry.file("b")]], f"oci-{coding}:1", compress=coding), f"oci-{coding}:1", f"oci-{coding}:1")
            came = self.coffer("image", "inspect", ref).json()[0]["RepoDigests"][0].split("@")[1]
            self.assertIn(came, self.coffer("push", ref).lines[-1])
            self.assertEqual({x["mediaType"] for x in self.layers(f"oci-{coding}:1")}, {registries.OCI + kind})

    def test_what_is_made_here_is_compressed(self):
        """import and commit make images without a manifest."""
        tar = os.path.join(self.scratch, "root.tar")
        with open(tar, "wb") as f:
            f.write(images.tar(images.busybox_entries()))
        self.coffer("import", tar, "made:1")
        cid = self.coffer("run", "-d", "--network", "none", "made:1", "sh", "-c", "echo more >/more").word
        self.coffer("wait", cid)
        self.coffer("commit", cid, "made:2")
        self.coffer("rm", cid)
        for tag in ("made:1", "made:2"):
            ref = f"{self.reg.name}/{tag}"
            self.coffer("tag", tag, ref)
            self.addCleanup(self.coffer, "rmi", "-f", ref, tag, check=False)
            self.coffer("push", ref)
            self.assertEqual({x["mediaType"] for x in self.layers(tag)}, {registries.OCI + "layer.v1.tar+gzip"})
        self.coffer("rmi", "-f", "made:1", "made:2", f"{self.reg.name}/made:2")
        self.assertEqual(self.run_(f"{self.reg.name}/made:2", "cat", "/more").word, "more")

    def test_a_blob_that_was_changed_on_disk_is_not_sent(self):
        ref = self.load(images.docker_archive([[Entry.file("bent2", os.urandom(50000))]], ["bent:1"]), "bent:1", "bent:1")
        layer = self.coffer("image", "inspect", ref).json()[0]["RootFS"]["Layers"][0]
        path = os.path.join(self.root, "blobs", "sha256", layer[7:])
        with open(path, "r+b") as f:
            f.seek(600)
            f.write(b"\xff")
        self.assertFails(self.coffer("push", ref, check=False), 1, "changed on disk")
        self.assertNotIn(("bent", "1"), self.reg.manifests)

    def test_several_at_once(self):
        """Five uploads are under way before the first one is answered."""
        self.up.gate = 5
        ref = self.load(images.oci_archive([[Entry.file(f"f{i}", os.urandom(1000))] for i in range(8)], "several:1"), "several:1", "several:1")
        self.coffer("push", ref)
        self.assertEqual(self.up.most, 5)
        self.assertEqual(len(self.layers("several:1")), 8)

    def test_the_first_failure_ends_the_others(self):
        ref = self.load(images.oci_archive([[Entry.file(f"g{i}", os.urandom(1000))] for i in range(8)], "fails:1"), "fails:1", "fails:1")
        self.reg.lies.insert(0, lambda h, path, q: h.command == "PATCH" and (h.error(403, "DENIED") or True))
        self.assertFails(self.coffer("push", ref, check=False), 1, "denied")
        self.assertNotIn(("fails", "1"), self.reg.manifests)
        self.assertTrue(coffer.wait_until(lambda: not self.processes(), 20))

    def test_another_image_s_repository_lends_its_layers(self):
        """The layers of a base that came from the same registry are mounted from there, by a token that may read it."""
        base, asked = Image([images.busybox_entries()[:5]]), []
        base_ref = self.reg.add(base, "base/image", "1")
        self.up.mounts = True

        def tokens(h, path, query):
            if path == "/token":
                asked.append([v for k, v in urllib.parse.parse_qsl(urllib.parse.urlsplit(h.path).query) if k == "scope"])
                return h.answer(200, b'{"token":"good"}') or True
            if h.headers.get("Authorization") != "Bearer good":
                return h.error(401, "UNAUTHORIZED", WWW_Authenticate=f'Bearer realm="{self.reg.url}/token",service="s"') or True
        self.reg.lies.insert(0, tokens)
        self.reg.lies.append(lambda h, path, q: h.command == "HEAD" and path.startswith("/v2/app/blobs/") and (h.error(404, "BLOB_UNKNOWN") or True))
        self.coffer("pull", base_ref)
        self.addCleanup(self.coffer, "rmi", "-f", base_ref, check=False)
        asked.clear()
        ref = self.load(self.derived(base), "derived:1", "app:1")
        out = self.coffer("push", ref).out
        self.assertIn("Mounted from base/image", out)
        self.assertEqual(self.up.mounted, [(digest(base.layers[0]), "base/image")])
        self.assertEqual(asked, [["repository:app:pull,push", "repository:base/image:pull"]])

    def derived(self, base):
        image = Image([images.busybox_entries()[:5], [Entry.file("mine")]])
        image.layers[0] = base.layers[0]
        image.doc["layers"][0] = base.doc["layers"][0]
        path = os.path.join(self.scratch, "derived.tar")
        with tarfile.open(path, "w") as t:
            index = {"schemaVersion": 2, "manifests": [dict(image.descriptor(), annotations={"org.opencontainers.image.ref.name": "docker.io/library/derived:1"})]}
            for name, data in (("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", json.dumps(index).encode()), *(("blobs/sha256/" + digest(b)[7:], b) for b in (image.manifest, image.config, *image.layers))):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
        return path


class Login(PullTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cert = registries.make_cert(cls.scratch)
        cls.reg = cls.registry(tls=cls.cert, users={"alice": "pass word"})
        cls.home = os.path.join(cls.scratch, "login-home")
        os.mkdir(cls.home)
        cls.as_user = {"HOME": cls.home, "SSL_CERT_FILE": cls.cert[0]}

    def test_the_whole_way(self):
        r = self.coffer("login", "-u", "alice", "--password-stdin", self.reg.name, input="pass word\n", env=self.as_user)
        self.assertEqual(r.lines, ["Login Succeeded"])
        self.assertIn("stored unencrypted", r.err)
        path = os.path.join(self.home, ".docker", "config.json")
        with open(path) as f:
            self.assertEqual(json.load(f), {"auths": {self.reg.name: {"auth": "YWxpY2U6cGFzcyB3b3Jk"}}})
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.coffer("load", "-i", images.docker_archive([[Entry.file("l")]], ["l:1"]))
        ref = f"{self.reg.name}/l:1"
        self.coffer("tag", "l:1", ref)
        self.assertFails(self.coffer("push", ref, check=False, env={"SSL_CERT_FILE": self.cert[0]}), 1, "no basic auth credentials")
        self.coffer("push", ref, env=self.as_user)
        subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", "--authfile", path, "docker://" + ref], check=True, capture_output=True)
        self.assertEqual(self.coffer("logout", self.reg.name, env=self.as_user).lines, [f"Removing login credentials for {self.reg.name}"])
        self.assertEqual(self.coffer("logout", self.reg.name, env=self.as_user).lines, [f"Not logged in to {self.reg.name}"])
        self.coffer("rmi", "-f", "l:1", ref)

    def test_wrong_passwords(self):
        r = self.coffer("login", "-u", "alice", "--password-stdin", self.reg.name, input="wrong", check=False, env=self.as_user)
        self.assertFails(r, 1, "unauthorized")
        self.assertFails(self.coffer("login", self.reg.name, check=False, env=self.as_user), 1, "terminal")
        self.assertFails(self.coffer("login", "-u", "a", "-p", "b", "--password-stdin", self.reg.name, check=False, env=self.as_user), 1, "mutually exclusive")

    def test_on_a_terminal(self):
        t = self.tty("login", self.reg.name, env=self.as_user)
        t.expect("Username: ")
        t.line("alice")
        t.expect("Password: ")
        t.line("pass word")
        t.expect("Login Succeeded")
        self.assertEqual(t.wait(), 0)
        self.assertNotIn("pass word", t.text)
        self.coffer("logout", self.reg.name, env=self.as_user)

    def test_what_is_in_the_config_stays(self):
        registries.auth_config(self.home, "other.example", "o", "p", HttpHeaders={"X": "y"}, detachKeys="ctrl-a")
        self.coffer("login", "-u", "alice", "--password-stdin", self.reg.name, input="pass word", env=self.as_user)
        with open(os.path.join(self.home, ".docker", "config.json")) as f:
            config = json.load(f)
        self.assertEqual((set(config["auths"]), config["HttpHeaders"], config["detachKeys"]), ({"other.example", self.reg.name}, {"X": "y"}, "ctrl-a"))
        self.coffer("logout", self.reg.name, env=self.as_user)


class Api(daemon.DaemonTest):
    NEEDS_IMAGE = False

    def test_push_stream_and_distribution(self):
        reg = registries.Registry(self.scratch)
        self.addCleanup(reg.close)
        ref = reg.push(images.docker_archive([[Entry.file("a")]], ["a:1"]), "api/a:1")
        self.assertEqual(self.api("POST", "/images/create", query={"fromImage": ref}).status, 200)
        d = self.api("GET", f"/distribution/{ref}/json")
        self.assertEqual(d.status, 200, str(d))
        manifest = raw_manifest(ref)
        self.assertEqual(d.json()["Descriptor"], {"mediaType": json.loads(manifest)["mediaType"], "digest": digest(manifest), "size": len(manifest)})
        self.assertEqual(d.json()["Platforms"], [{"architecture": "amd64" if os.uname().machine == "x86_64" else "arm64", "os": "linux"}])
        self.assertEqual(self.api("GET", f"/distribution/{reg.name}/nosuch/json").status, 404)
        self.assertEqual(self.api("POST", f"/images/{ref[:-2]}/tag?repo={reg.name}/api/b&tag=2").status, 404)
        self.assertEqual(self.api("POST", f"/images/{ref}/tag?repo={reg.name}/api/b&tag=2").status, 201)
        a = self.api("POST", f"/images/{reg.name}/api/b/push?tag=2", headers={"X-Registry-Auth": "e30="})
        lines = [json.loads(line) for line in a.text.split("\r\n") if line]
        self.assertEqual(lines[-2], {"status": f"2: digest: {digest(manifest)} size: {len(manifest)}"})
        self.assertEqual(lines[-1], {"progressDetail": {}, "aux": {"Tag": "2", "Digest": digest(manifest), "Size": len(manifest)}})
        self.assertEqual(self.api("POST", "/images/nosuch/push?tag=1").status, 404)
        for name in (ref, f"{reg.name}/api/b:2"):
            self.api("DELETE", "/images/" + name)

    def test_auth(self):
        reg = registries.Registry(self.scratch, users={"bob": "b"})
        self.addCleanup(reg.close)
        body = {"username": "bob", "password": "b", "serveraddress": reg.name}
        self.assertEqual(self.api("POST", "/auth", body).json(), {"Status": "Login Succeeded", "IdentityToken": ""})
        self.assertEqual(self.api("POST", "/auth", dict(body, password="x")).status, 401)

    def test_docker_s_cli(self):
        reg = registries.Registry(self.scratch, users={"bob": "b"})
        self.addCleanup(reg.close)
        home = os.path.join(self.scratch, "docker-home")
        docker = lambda *a, **kw: subprocess.run(["docker", "-H", "unix://" + self.sock, *a], capture_output=True, text=True, timeout=60, env=dict(self.env, HOME=home), **kw)
        r = docker("login", "-u", "bob", "--password-stdin", reg.name, input="b")
        self.assertIn("Login Succeeded", r.stdout, r.stderr)
        docker("load", "-i", images.docker_archive([images.busybox_entries()], ["dc:1"]), check=True)
        docker("tag", "dc:1", f"{reg.name}/dc:1", check=True)
        r = docker("push", f"{reg.name}/dc:1")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("digest: sha256:", r.stdout)
        docker("rmi", "-f", "dc:1", f"{reg.name}/dc:1", check=True)
        self.assertEqual(docker("run", "--rm", "--network", "none", f"{reg.name}/dc:1", "echo", "pulled").stdout, "pulled\n")
        docker("rmi", "-f", f"{reg.name}/dc:1")


if __name__ == "__main__":
    unittest.main()
