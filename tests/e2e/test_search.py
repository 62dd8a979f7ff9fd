# SPDX-License-Identifier: Apache-2.0
"""Looking at registries without fetching: search, manifest inspect; what a login keeps; rate limits; push for one platform."""

import json
import os
import subprocess
import unittest

import daemon
import docker_cli
import images
import registries
from images import Entry
from registries import Image, digest, index
from test_pull import PullTest
from test_push import raw_manifest

ASAN = True
RESULTS = [{"name": "team/second", "description": "A description that is longer than any table of docker's would show it", "star_count": 7, "is_official": False, "is_automated": False},
           {"name": "first", "description": "short\nline", "star_count": 90, "is_official": True, "is_automated": False}, {"name": "third", "star_count": 0, "is_official": False}]


def search_lie(h, path, query):
    if path == "/v1/search":
        h.answer(200, json.dumps({"num_results": 3, "query": query.get("q"), "results": RESULTS}).encode())
        return True


class Search(PullTest):
    def setUp(self):
        self.reg = self.fake()
        self.reg.lies.append(search_lie)
        self.term = self.reg.name + "/thing"

    def test_the_table(self):
        out = self.coffer("search", self.term).lines
        self.assertEqual(out[0].split(), ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"])
        self.assertEqual([line.split()[0] for line in out[1:]], ["first", "team/second", "third"])
        self.assertIn("short line", out[1])
        self.assertEqual(out[1].split()[-2:], ["90", "[OK]"])
        self.assertIn("A description that is longer than any table …", out[2])
        self.assertIn("docker's would show it", self.coffer("search", "--no-trunc", self.term).out)
        self.assertEqual(self.reg.seen[-1][1], "/v1/search?q=thing&n=25")
        self.coffer("search", "--limit", "3", self.reg.name + "/a b&c=d")
        self.assertEqual(self.reg.seen[-1][1], "/v1/search?q=a%20b%26c%3Dd&n=3")

    def test_formats_and_filters(self):
        self.assertEqual(self.coffer("search", "--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}", self.term).lines, ["first 90 [OK]", "team/second 7 ", "third 0 "])
        self.assertEqual([json.loads(line)["Name"] for line in self.coffer("search", "--format", "json", self.term).lines], ["first", "team/second", "third"])
        for flags, names in ((["is-official=true"], ["first"]), (["is-official=false", "stars=5"], ["team/second"]), (["stars=5"], ["first", "team/second"]), (["is-automated=true"], [])):
            self.assertEqual(self.coffer("search", "--format", "{{.Name}}", *[x for f in flags for x in ("-f", f)], self.term).lines, names)
        for flags, word in ((["-f", "nope=1"], "nope"), (["-f", "stars=x"], "stars"), (["--limit", "101"], "[1, 100]"), (["--limit", "x"], "limit")):
            self.assertFails(self.coffer("search", *flags, self.term, check=False), 1, word)

    def test_answers_that_are_none(self):
        for status, body, word in ((404, b"", "has no search"), (500, b"", "500"), (200, b"[", "answer"), (200, b'{"results":{}}', "results"), (200, b'{"results":[{"name":5}]}', "name"), (200, b" " * (5 << 20), "")):
            self.reg.lies[:] = [lambda h, path, q, s=status, b=body: path == "/v1/search" and (h.answer(s, b) or True)]
            self.assertFails(self.coffer("search", self.term, check=False), 1, word)
        evil = {"results": [{"name": "x\x1b[2J\ny", "description": "\x07d", "star_count": 1, "is_official": True}]}
        self.reg.lies[:] = [lambda h, path, q: path == "/v1/search" and (h.answer(200, json.dumps(evil).encode()) or True)]
        self.assertNotIn("\x1b", self.coffer("search", "--no-trunc", self.term).out)

    def test_credentials_when_they_are_asked_for(self):
        home = os.path.join(self.scratch, "home")
        registries.auth_config(home, self.reg.name, "alice", "secret")
        self.coffer("search", self.term, env={"HOME": home})
        self.assertEqual(self.reg.credentials_seen(), [])
        self.reg.lies.insert(0, lambda h, path, q: not h.headers.get("Authorization") and (h.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"') or True))
        self.assertFails(self.coffer("search", self.term, check=False), 1, "no basic auth credentials")
        self.assertEqual(len(self.coffer("search", self.term, env={"HOME": home}).lines), 4)


class Manifest(PullTest):
    def test_of_one_and_of_many(self):
        reg = self.registry()
        one = reg.push(images.docker_archive([[Entry.file("a")]], ["m:1"]), "m:1", dst_args=("--format", "v2s2"))
        shown = self.coffer("manifest", "inspect", one).out
        self.assertEqual(json.loads(shown), json.loads(raw_manifest(one)))
        self.assertIn('\n\t"schemaVersion": 2', shown)
        each = json.loads(self.coffer("manifest", "inspect", "-v", one).out)
        raw = raw_manifest(one)
        self.assertEqual((each["Ref"], each["SchemaV2Manifest"], each["Descriptor"]["digest"], each["Descriptor"]["size"]), (one, json.loads(raw), digest(raw), len(raw)))
        self.assertEqual(each["Descriptor"]["platform"]["os"], "linux")
        ours, theirs = Image([[Entry.file("arch", "1")]], arch="amd64"), Image([[Entry.file("arch", "2")]], arch="arm64")
        for image in (ours, theirs):
            for b in image.blobs.values():
                reg.put_blob("multi", b)
            reg.put(f"multi/manifests/{image.digest}", image.manifest, image.media_type)
        doc = index(ours.descriptor(os="linux", architecture="amd64"), theirs.descriptor(os="linux", architecture="arm64", variant="v8"))
        reg.put("multi/manifests/1", doc, registries.INDEX)
        many = f"{reg.name}/multi:1"
        shown = self.coffer("manifest", "inspect", many).out
        self.assertEqual(json.loads(shown), json.loads(doc))
        self.assertIn('\n   "schemaVersion": 2', shown)
        each = json.loads(self.coffer("manifest", "inspect", "--verbose", many).out)
        self.assertEqual([(e["Ref"], e["OCIManifest"], e["Descriptor"]["platform"]) for e in each], [
            (f"{many}@{ours.digest}", ours.doc, {"architecture": "amd64", "os": "linux"}), (f"{many}@{theirs.digest}", theirs.doc, {"architecture": "arm64", "os": "linux", "variant": "v8"})])
        self.assertFails(self.coffer("manifest", "inspect", f"{reg.name}/nosuch", check=False), 1, "not found")
        self.assertFails(self.coffer("manifest", "inspect", "list", many, check=False), 1, "no list")
        self.assertEqual(self.store(), [])

    def test_a_config_that_is_another(self):
        """Its bytes are hashed before they are read, as for a pull."""
        fake, image = self.fake(), Image([[Entry.file("a")]])
        ref = fake.add(image, "x", "1")
        self.coffer("manifest", "inspect", "-v", ref)
        name = json.loads(image.manifest)["config"]["digest"]
        fake.blobs[name] = fake.blobs[name].replace(b"amd64", b"arm64")
        self.assertFails(self.coffer("manifest", "inspect", "-v", ref, check=False), 1, "wrong digest")


class Tokens(PullTest):
    """A token server that gives an identity token at login, and takes it in the password's place."""

    def test_an_identity_token_is_kept_and_used(self):
        fake, image = self.fake(), Image([[Entry.file("a")]])
        ref, home, asked = fake.add(image, "x", "1"), os.path.join(self.scratch, "token-home"), []

        def serve(h, path, query):
            if path == "/token":
                form = dict(p.split("=", 1) for p in h.body.decode().split("&")) if h.command == "POST" else {}
                asked.append((h.command, query, form))
                if h.command == "GET" and h.headers.get("Authorization") == "Basic YWxpY2U6cHc=":
                    return h.answer(200, json.dumps({"token": "good", **({"refresh_token": "for-later"} if query.get("offline_token") == "true" else {})}).encode()) or True
                if h.command == "POST" and form.get("refresh_token") == "for-later":
                    return h.answer(200, b'{"access_token":"good"}') or True
                return h.error(401, "UNAUTHORIZED") or True
            if h.headers.get("Authorization") != "Bearer good":
                return h.error(401, "UNAUTHORIZED", WWW_Authenticate=f'Bearer realm="{fake.url}/token",service="svc"') or True
        fake.lies.append(serve)
        env = {"HOME": home}
        os.makedirs(home)
        self.assertFails(self.coffer("login", "-u", "alice", "--password-stdin", fake.name, input="wrong", check=False, env=env), 1, "unauthorized")
        self.assertFalse(os.path.exists(home + "/.docker/config.json"))
        self.coffer("login", "-u", "alice", "--password-stdin", fake.name, input="pw", env=env)
        with open(home + "/.docker/config.json") as f:
            entry = json.load(f)["auths"][fake.name]
        self.assertEqual(entry["identitytoken"], "for-later")
        self.assertNotIn("cHc", entry.get("auth", ""))  # the password is not there
        registries.auth_config(home + "2", fake.name, "alice", "pw")
        fake.lies.append(search_lie)
        self.coffer("search", fake.name + "/thing", env={"HOME": home + "2"})  # who searches has no use for a token that lasts
        self.assertNotIn("offline_token", asked[-1][1])
        self.pull(ref, env=env)
        self.assertEqual(asked[-1][0], "POST")
        self.assertEqual({k: asked[-1][2][k] for k in ("grant_type", "client_id", "service")}, {"grant_type": "refresh_token", "client_id": "coffer", "service": "svc"})
        self.coffer("rmi", ref)


class Limits(PullTest):
    def test_a_push_that_is_turned_away_for_a_while(self):
        """429 at every step of a push: what was not done is done again, after the time that the registry names."""
        fake, store, turned = self.fake(), {}, set()

        def serve(h, path, query):
            if path == "/v2/":
                return None
            key = (h.command, path.split("?")[0])
            if key not in turned:
                turned.add(key)
                return h.error(429, "TOOMANYREQUESTS", Retry_After="0") or True
            if h.command == "POST" and path.endswith("/blobs/uploads/"):
                store["u"] = b""
                return h.answer(202, b"", Location="/v2/x/blobs/uploads/u") or True
            if h.command == "PATCH":
                store["u"] += h.body
                return h.answer(202, b"", Location="/v2/x/blobs/uploads/u", Range=f"0-{len(store['u']) - 1}") or True
            if h.command == "PUT" and "/uploads/" in path:
                if digest(store["u"]) != query["digest"]:
                    return h.error(400, "DIGEST_INVALID") or True
                fake.blobs[query["digest"]] = store["u"]
                return h.answer(201) or True
            if h.command == "PUT":
                fake.manifests[("x", path.rsplit("/", 1)[1])] = (h.headers["Content-Type"], h.body)
                return h.answer(201) or True
        fake.lies.append(serve)
        self.coffer("load", "-i", images.docker_archive([[Entry.file("limited")]], ["limited:1"]))
        ref = f"{fake.name}/x:1"
        self.coffer("tag", "limited:1", ref)
        self.coffer("push", ref)
        self.assertIn(("x", "1"), fake.manifests)
        self.assertEqual({c for c, p in turned}, {"HEAD", "POST", "PATCH", "PUT"})
        fake.lies.insert(0, lambda h, path, q: h.error(429, "TOOMANYREQUESTS", Retry_After="0") or True)
        self.coffer("rmi", "-f", "limited:1", ref)
        self.assertFails(self.pull(ref, check=False), 1, "toomanyrequests")

    def test_push_for_a_platform(self):
        fake = self.registry()
        self.coffer("load", "-i", images.docker_archive([[Entry.file("plat")]], ["plat:1"]))
        ref = f"{fake.name}/plat:1"
        self.coffer("tag", "plat:1", ref)
        arch = self.coffer("image", "inspect", ref).json()[0]["Architecture"]
        self.assertFails(self.coffer("push", "--platform", "linux/s390x", ref, check=False), 1, f"its platform (linux/{arch}) does not match the specified platform (linux/s390x)")
        self.assertFails(self.coffer("push", "--platform", "linux", ref, check=False), 1, "--platform")
        self.coffer("push", "--platform", "linux/" + arch, ref)
        self.coffer("rmi", "-f", "plat:1", ref)


class Docker(daemon.DaemonTest):
    """docker's own client asks the daemon the same."""

    NEEDS_IMAGE = False

    def test_search(self):
        reg = registries.Fake()
        self.addCleanup(reg.close)
        reg.lies.append(search_lie)
        clients = {"docker", docker_cli.newest() or "docker"}
        for client in clients:
            r = subprocess.run([client, "-H", "unix://" + self.sock, "search", "--format", "{{.Name}}|{{.Description}}|{{.StarCount}}|{{.IsOfficial}}", reg.name + "/x"], capture_output=True, text=True, timeout=60, env=dict(self.env))
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertEqual(r.stdout, self.coffer("search", "--format", "{{.Name}}|{{.Description}}|{{.StarCount}}|{{.IsOfficial}}", reg.name + "/x").out)
        self.assertEqual(self.api("GET", "/images/search", query={"term": reg.name + "/x", "limit": "2"}).json()[0], {"star_count": 90, "is_official": True, "name": "first", "is_automated": False, "description": "short line"})
        self.assertEqual(self.api("GET", "/images/search").status, 400)
        self.assertEqual(self.api("GET", "/images/search", query={"term": "https://x"}).status, 400)


if __name__ == "__main__":
    unittest.main()
