# SPDX-License-Identifier: Apache-2.0
"""A registry of our own that lies in every way (threats.md section 3, R17-R19): nothing of it is believed, nothing stays, no credential leaves its origin."""

import base64
import gzip
import hashlib
import io
import json
import os
import socket
import subprocess
import tarfile
import time
import unittest
import zlib

import coffer
import daemon
import images
import registries
from coffer import wait_until
from images import Entry
from registries import DOCKER, Image, digest, index
from test_pull import PullTest, etc_overlay

ASAN = True
SECRET = "canary-p4ssword"


def basic(user="alice", password=SECRET):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class LieTest(PullTest):
    def setUp(self):
        self.fake_ = self.fake()

    def serve(self, image, repo="x", tag="1"):
        return self.fake_.add(image, repo, tag)

    def manifest(self, doc, kind=registries.MANIFEST, tag="1"):
        body = doc if isinstance(doc, bytes) else json.dumps(doc).encode()
        self.fake_.manifests[("x", tag)] = self.fake_.manifests[("x", digest(body))] = (kind, body)
        return f"{self.fake_.name}/x:{tag}"


class Documents(LieTest):
    def test_a_pinned_digest_must_match(self):
        image = Image([[Entry.file("a")]])
        self.serve(image)
        other = Image([[Entry.file("b")]])
        self.fake_.manifests[("x", other.digest)] = (image.media_type, image.manifest)
        self.refused(f"{self.fake_.name}/x@{other.digest}", "wrong digest")

    def test_what_the_registry_says_of_its_digest_must_be_true(self):
        ref = self.serve(Image([[Entry.file("a")]]))
        kind, body = self.fake_.manifests[("x", "1")]
        self.fake_.lies.append(lambda h, path, q: "/manifests/" in path and (h.answer(200, body, kind, Docker_Content_Digest="sha256:" + "0" * 64) or True))
        self.refused(ref, "wrong digest")

    def test_media_types_are_not_mixed(self):
        image = Image([[Entry.file("a")]])
        self.fake_.blobs.update(image.blobs)
        both = dict(image.doc, manifests=[image.descriptor()])
        self.refused(self.manifest(both), "layers", "manifests")
        self.refused(self.manifest(dict(both, mediaType=registries.INDEX), registries.INDEX))
        self.refused(self.manifest(image.doc, registries.INDEX), "calls it")
        self.refused(self.manifest(dict(image.doc, mediaType=DOCKER + "distribution.manifest.v2+json")), "calls it")
        self.refused(self.manifest(image.doc, "text/html"), "no manifest")
        self.refused(self.manifest(image.doc, DOCKER + "distribution.manifest.v1+prettyjws"), "schema 1")
        self.refused(self.manifest(image.doc, "application/json"), "no manifest")

    def test_bad_digests_make_no_request(self):
        image = Image([[Entry.file("a")]])
        self.fake_.blobs.update(image.blobs)
        for bad in ("sha256:../../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "0" * 32, "", "sha256:" + "0" * 63, "sha512:" + "0" * 128, "sha256:" + "0" * 64 + "/../x"):
            for where in ("config", "layer"):
                doc = json.loads(image.manifest)
                (doc["config"] if where == "config" else doc["layers"][0])["digest"] = bad
                seen = len(self.fake_.asked("/blobs/"))
                self.refused(self.manifest(doc), "digest")
                self.assertEqual(len(self.fake_.asked("/blobs/")), seen)
        self.refused(self.manifest(index({"mediaType": registries.MANIFEST, "digest": "sha256:../x", "size": 2}), registries.INDEX), "digest")

    def test_an_index_s_entries_are_what_it_says(self):
        image = Image([[Entry.file("a")]])
        self.serve(image, tag="inner")
        self.refused(self.manifest(index(dict(image.descriptor(), size=5)), registries.INDEX), "wrong size")
        self.refused(self.manifest(index(dict(image.descriptor(), mediaType=DOCKER + "distribution.manifest.v2+json")), registries.INDEX), "media type")
        self.refused(self.manifest(index(), registries.INDEX), "no matching manifest")

    def test_nested_and_large_indexes(self):
        inner = index(Image([[Entry.file("a")]]).descriptor())
        for _ in range(4):
            self.manifest(inner, registries.INDEX, tag="t")
            inner = index({"mediaType": registries.INDEX, "digest": digest(inner), "size": len(inner)})
        self.refused(self.manifest(inner, registries.INDEX), "nested deeper")
        many = index(*[{"mediaType": registries.MANIFEST, "digest": "sha256:" + f"{i:064x}", "size": 5} for i in range(1001)])
        self.refused(self.manifest(many, registries.INDEX), "1000")
        self.refused(self.manifest(b'{"schemaVersion":2,' + b'"a":' * 1 + b"[" * 100 + b"]" * 100 + b"}"))
        self.refused(self.manifest(b"{" + b" " * (5 << 20) + b"}"), "bytes")

    def test_endless_documents(self):
        def endless(h, path, query):
            if "/manifests/" in path:
                h.send_response(200)
                h.send_header("Content-Type", registries.MANIFEST)
                h.end_headers()
                h.close_connection = True
                try:
                    for _ in range(1 << 14):
                        h.wfile.write(b" " * (1 << 14))
                except OSError:
                    pass
                return True
        self.fake_.lies.append(endless)
        start = time.monotonic()
        self.refused(f"{self.fake_.name}/x:1", "bytes")
        self.assertLess(time.monotonic() - start, 30)

    def test_configs(self):
        image = Image([[Entry.file("a")]])
        ref = self.serve(image)
        self.fake_.blobs[digest(image.config)] = b"x" * len(image.config)
        self.refused(ref, "config", "wrong digest")
        doc = json.loads(image.manifest)
        doc["config"]["size"] = 9 << 20
        self.refused(self.manifest(doc), "config")
        doc = json.loads(image.manifest)
        doc["layers"].append(doc["layers"][0])
        self.fake_.blobs[digest(image.config)] = image.config
        self.refused(self.manifest(doc), "layers")
        doc["layers"] = doc["layers"][:1] * 200
        self.refused(self.manifest(doc), "127")

    def test_headers(self):
        ref = self.serve(Image([[Entry.file("a")]]))

        def many(h, path, query):
            if "/manifests/" in path:
                h.send_response(200)
                for i in range(1000):
                    h.send_header(f"X-{i}", "y" * 100)
                h.send_header("Content-Length", "0")
                h.end_headers()
                return True
        self.fake_.lies.append(many)
        self.refused(ref)
        self.fake_.lies[:] = [lambda h, path, q: h.answer(200, b"{}", registries.MANIFEST, Content_Type=registries.INDEX) or True]
        self.refused(ref, "doubled")
        self.fake_.lies[:] = [lambda h, path, q: h.error(401, "UNAUTHORIZED", WWW_Authenticate='Bearer realm="x') or True]
        self.refused(ref, "WWW-Authenticate")


    def test_a_list_of_tags_does_not_go_on_elsewhere(self):
        other = self.fake()
        self.serve(Image([[Entry.file("a")]]))
        for link in (f"<{other.url}/v2/x/tags/list?last=1>", "<https://169.254.169.254/v2/x/tags/list>", f"<//{other.name}/x>", "<file:///etc/passwd>"):
            self.fake_.lies[:] = [lambda h, path, q, link=link: path.endswith("/tags/list") and (h.answer(200, b'{"name":"x","tags":["1"]}', Link=link + '; rel="next"') or True)]
            self.assertEqual(self.coffer("pull", "-a", f"{self.fake_.name}/x", check=False).code, 1, link)
            self.assertEqual(self.store(), [])
        self.assertEqual(other.seen, [])
        self.fake_.lies[:] = [lambda h, path, q: path.endswith("/tags/list") and (h.answer(200, b'{"name":"x","tags":["1"]}', Link='</v2/x/tags/list?n=1>; rel="next"') or True)]
        self.assertFails(self.coffer("pull", "-a", f"{self.fake_.name}/x", check=False), 1, "pages")  # one that never ends

    def test_embedded_data_is_not_used(self):
        """A descriptor may bring its content along: what is used is what the digest says."""
        image = Image([images.busybox_entries(), [Entry.file("data", "good")]])
        evil = gzip.compress(images.tar([Entry.file("data", "evil")]), 1)
        image.doc["layers"][1]["data"] = base64.b64encode(evil).decode()
        ref = self.serve(image)
        self.pull(ref)
        self.assertEqual(self.run_(ref, "cat", "/data").word, "good")
        self.coffer("rmi", ref)

    def test_file_systems_are_no_layers(self):
        """An image of a file system would be the kernel's to parse: none is taken, whatever it is called."""
        for kind in ("application/vnd.oci.image.layer.v1.erofs", "application/vnd.oci.image.layer.v1.squashfs", "application/vnd.erofs.layer.v1", "application/vnd.in-toto+json"):
            image = Image([[Entry.file("a")]])
            image.doc["layers"][0]["mediaType"] = kind
            self.refused(self.serve(image), "media type")
        image = Image([[Entry.file("a")]], compress=False)
        image.layers = [b"hsqs" + bytes(4096)]
        image.doc["layers"][0].update(digest=digest(image.layers[0]), size=len(image.layers[0]))
        self.refused(self.serve(image), "not a tar archive")


class Blobs(LieTest):
    def blob_lie(self, fn):
        image = Image([images.busybox_entries()[:20], [Entry.file("a", os.urandom(300000))]])
        ref, bad = self.serve(image), image.layers[1]
        self.fake_.lies[:] = [lambda h, path, query: path.endswith(digest(bad)) and fn(h, bad) or None]
        return ref

    def test_other_bytes(self):
        bad = []
        self.refused(self.blob_lie(lambda h, b: bad.append(digest(b)[7:]) or h.answer(200, b[:-1] + bytes([b[-1] ^ 1]), "x/y") or True), "wrong digest")
        self.assertNotIn(bad[0], self.partial())

    def test_more_and_fewer_bytes(self):
        self.refused(self.blob_lie(lambda h, b: h.answer(200, b + b"suffix", "x/y") or True), "wrong size")
        self.refused(self.blob_lie(lambda h, b: h.answer(200, b[:-5], "x/y") or True), "wrong size")

        def unsaid(h, b):
            h.send_response(200)
            h.end_headers()
            h.close_connection = True
            h.wfile.write(b + b"x" * 100000)
            return True
        self.refused(self.blob_lie(unsaid), "bytes")

    def test_a_blob_that_is_not_there(self):
        self.refused(self.blob_lie(lambda h, b: h.error(404, "BLOB_UNKNOWN") or True), "blob unknown")

    def test_the_wrong_part(self):
        def part(h, b):
            if h.headers.get("Range"):
                h.answer(206, b[5:], "x/y", Content_Range=f"bytes 5-{len(b) - 1}/{len(b)}")
            else:
                h.send_response(200)
                h.send_header("Content-Length", str(len(b)))
                h.end_headers()
                h.wfile.write(b[:100000])
                h.wfile.flush()
                h.close_connection = True
                h.connection.shutdown(2)
            return True
        self.refused(self.blob_lie(part), "wrong")

    def test_content_encoding_is_not_undone(self):
        self.refused(self.blob_lie(lambda h, b: h.answer(200, gzip.compress(b), "x/y", Content_Encoding="gzip") or True), "wrong size")

    def test_layers_that_are_not_what_the_config_says(self):
        image = Image([[Entry.file("a")]])
        cfg = json.loads(image.config)
        cfg["rootfs"]["diff_ids"] = ["sha256:" + "1" * 64]
        image.config = json.dumps(cfg).encode()
        image.doc["config"].update(digest=digest(image.config), size=len(image.config))
        self.refused(self.serve(image), "wrong diff id")

    def test_unknown_layer_types_and_foreign_urls(self):
        image = Image([[Entry.file("a")]])
        image.doc["layers"][0]["mediaType"] = "application/vnd.evil"
        self.refused(self.serve(image), "media type")
        other = self.fake()
        image = Image([[Entry.file("u")]])
        image.doc["layers"][0].update(mediaType=DOCKER + "image.rootfs.foreign.diff.tar.gzip", urls=[other.url + "/stolen"])
        ref = self.serve(image)
        del self.fake_.blobs[digest(image.layers[0])]
        self.refused(ref, "blob unknown")
        self.assertEqual(other.seen, [])


class Archives(LieTest):
    """What unpacks badly from a file (test_image_load has the corpus) does from a registry, too."""

    def layer(self, data, raw=None, kind="gzip"):
        """An image whose one layer is the compressed bytes @data."""
        image = Image([[Entry.file("a")]])
        image.layers = [data]
        image.config = images.config_of([digest(raw) if raw is not None else "sha256:" + "2" * 64])
        image.doc["config"].update(digest=digest(image.config), size=len(image.config))
        image.doc["layers"] = [{"mediaType": "application/vnd.oci.image.layer.v1.tar" + ("+" + kind if kind else ""), "digest": digest(data), "size": len(data)}]
        return self.serve(image)

    def test_bombs(self):
        z = zlib.compressobj(6, zlib.DEFLATED, -15)
        piece = z.compress(bytes(4 << 20)) + z.flush(zlib.Z_FULL_FLUSH)
        self.refused(self.layer(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + piece * 700), "compressed more than")
        frame = subprocess.run(["zstd", "-q", "-3"], input=bytes(16 << 20), capture_output=True, check=True).stdout
        self.refused(self.layer(frame * 200, kind="zstd"), "compressed more than")

    def test_windows_and_members(self):
        wide = subprocess.run(["sh", "-c", "head -c 3000000 /dev/urandom | zstd -q --ultra --long=31 -1"], capture_output=True, check=True).stdout
        self.refused(self.layer(wide, kind="zstd"), "window")
        self.refused(self.layer(gzip.compress(b"", 1) * 500001), "members")

    def test_broken_and_trailing(self):
        good = images.tar([Entry.file("a", "x" * 100000)])
        packed = gzip.compress(good, 1)
        self.refused(self.layer(packed[:-20], good), "cut short")
        self.refused(self.layer(packed + b"trailing", good), "trailing")
        self.refused(self.layer(b"BZh91AY" + packed, good), "bzip2")

    def test_paths_and_pax(self):
        canary = os.path.join(self.scratch, "canary")
        os.makedirs(canary, exist_ok=True)
        for entries in ([Entry.file("../../../../../../../.." + canary + "/x", "evil")], [Entry.symlink("l", canary), Entry.file("l/x", "evil")], [Entry.link("h", "../../../../../etc/passwd")]):
            raw = images.tar(entries)
            r = self.pull(self.layer(gzip.compress(raw, 1), raw), check=False)
            self.assertEqual(os.listdir(canary), [], str(r))
            self.coffer("rmi", "-f", f"{self.fake_.name}/x:1", check=False)
        out = io.BytesIO()
        info = tarfile.TarInfo("a")
        info.pax_headers = {"size": "1024"}
        info.size = 512
        out.write(info.tobuf(format=tarfile.PAX_FORMAT))
        out.write(b"x" * 512 + images.tar([Entry.file("smuggled")]))
        raw = out.getvalue()
        r = self.pull(self.layer(gzip.compress(raw, 1), raw), check=False)
        if r.code == 0:
            self.assertFails(self.coffer("run", "--rm", "--network", "none", f"{self.fake_.name}/x:1", "x", check=False), 127)


class Credentials(LieTest):
    """Where a secret goes. The caller's config has one for the lying registry."""

    def setUp(self):
        super().setUp()
        self.other = self.fake()
        self.home = os.path.join(self.scratch, "home")
        registries.auth_config(self.home, self.fake_.name, "alice", SECRET)
        self.image = Image([[Entry.file("a")]])
        self.ref = self.serve(self.image)

    def pull_(self, check=False):
        return self.pull(self.ref, check=check, env={"HOME": self.home})

    def need_basic(self, h, path, query):
        if h.headers.get("Authorization") != basic():
            return h.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"') or True

    def test_nothing_is_sent_before_it_is_asked_for(self):
        self.pull_(check=True)
        self.assertEqual(self.fake_.credentials_seen(), [])
        self.coffer("rmi", self.ref)

    def test_basic_goes_to_the_origin_and_not_along_redirects(self):
        self.fake_.lies.append(self.need_basic)
        self.fake_.lies.append(lambda h, path, q: "/blobs/" in path and (h.answer(307, b"", Location=self.other.url + path) or True))
        self.other.blobs.update(self.image.blobs)
        r = self.pull_()
        self.assertFails(r, 1, "redirects to 'http://", "not encrypted")  # plain, and another origin: not even without credentials
        self.assertEqual(self.other.seen, [])
        self.assertTrue(self.fake_.credentials_seen())

    def test_redirects_to_tls_carry_none(self):
        cert = registries.make_cert(self.scratch, "redirect")
        secure = self.fake(tls=cert)
        secure.blobs.update(self.image.blobs)
        self.fake_.lies.append(self.need_basic)
        self.fake_.lies.append(lambda h, path, q: "/blobs/" in path and (h.answer(302, b"", Location=secure.url + path) or True))
        r = self.pull(self.ref, env={"HOME": self.home, "SSL_CERT_FILE": cert[0]})
        self.assertIn("Downloaded newer image", r.out)
        self.assertGreater(len(secure.seen), 0)
        self.assertEqual(secure.credentials_seen(), [])
        self.coffer("rmi", self.ref)

    def test_redirects_are_counted_and_checked(self):
        self.fake_.lies[:] = [lambda h, path, q: "/blobs/" in path and (h.answer(307, b"", Location=path) or True)]
        self.assertFails(self.pull_(), 1, "redirects")
        for to in ("ftp://x/", "file:///etc/passwd", "gopher://127.0.0.1/", "//other/x", "", "https://user:pass@127.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://[fe80::1]/", "http://0.0.0.0/"):
            self.fake_.lies[:] = [lambda h, path, q, to=to: "/blobs/" in path and (h.answer(307, b"", Location=to) or True)]
            self.assertEqual(self.pull_().code, 1, to)

    def test_a_token_server_elsewhere_in_plain_text_sees_nothing(self):
        self.fake_.lies.append(lambda h, path, q: not h.headers.get("Authorization") and (h.error(401, "UNAUTHORIZED", WWW_Authenticate=f'Bearer realm="{self.other.url}/token",service="s"') or True))
        self.assertFails(self.pull_(), 1, "not encrypted")
        self.assertEqual(self.other.seen, [])

    def test_a_token_server_by_link_local_or_strange_addresses(self):
        for realm in ("https://169.254.169.254/token", "http://[::ffff:169.254.169.254]/token", "file:///etc/passwd", "https://a@b/", "ftp://x", ""):
            self.fake_.lies[:] = [lambda h, path, q, realm=realm: h.error(401, "UNAUTHORIZED", WWW_Authenticate=f'Bearer realm="{realm}"') or True]
            self.assertEqual(self.pull_().code, 1, realm)

    def token_registry(self, answer):
        def lie(h, path, query):
            if path == "/token":
                return answer(h, query) or True
            if h.headers.get("Authorization") != "Bearer good":
                return h.error(401, "UNAUTHORIZED", WWW_Authenticate=f'Bearer realm="{self.fake_.url}/token",service="svc",scope="repository:other/secret:pull,push,delete"') or True
        self.fake_.lies[:] = [lie]

    def test_tokens_are_asked_for_our_scope(self):
        asked = []
        self.token_registry(lambda h, q: asked.append((q, h.headers.get("Authorization"))) or h.answer(200, b'{"token":"good"}'))
        self.pull_(check=True)
        self.assertEqual(asked, [({"service": "svc", "scope": "repository:x:pull", "account": "alice"}, basic())])
        self.assertTrue(all(h["Authorization"] in ("Bearer good", basic()) for m, p, h in self.fake_.credentials_seen()))
        self.coffer("rmi", self.ref)

    def test_identity_tokens_go_by_the_form(self):
        registries.auth_config(self.home, None, "", "")
        with open(os.path.join(self.home, ".docker", "config.json"), "w") as f:
            json.dump({"auths": {self.fake_.name: {"identitytoken": SECRET}}}, f)
        forms = []
        self.token_registry(lambda h, q: forms.append((h.command, h.body.decode())) or h.answer(200, b'{"access_token":"good"}'))
        self.pull_(check=True)
        self.assertEqual(forms[0][0], "POST")
        self.assertIn("grant_type=refresh_token", forms[0][1])
        self.assertIn("refresh_token=" + SECRET, forms[0][1])
        self.coffer("rmi", self.ref)

    def test_bad_tokens(self):
        for body in (b"", b"{}", b'{"token":5}', b'{"token":"a\\r\\nX-Evil: 1"}', b'{"token":"' + b"x" * 100000 + b'"}', b"[]", b'{"token":"bad"}'):
            self.token_registry(lambda h, q, body=body: h.answer(200, body))
            self.assertEqual(self.pull_().code, 1, body[:60])
        self.assertFalse([s for s in self.fake_.seen if "X-Evil" in s[2]])
        self.token_registry(lambda h, q: h.error(401, "UNAUTHORIZED"))
        self.assertFails(self.pull_(), 1, "unauthorized")
        self.token_registry(lambda h, q: h.answer(302, b"", Location=self.other.url))
        self.assertEqual(self.pull_().code, 1)
        self.assertEqual(self.other.seen, [])

    def test_no_secret_is_told(self):
        self.fake_.lies.append(lambda h, path, q: h.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"') or True)
        r = self.pull_()
        self.assertNotIn(SECRET, r.out + r.err)
        self.assertNotIn(basic()[6:], r.out + r.err)

    def test_denied_in_docker_s_words(self):
        self.fake_.lies.append(lambda h, path, q: h.error(403, "DENIED") or True)
        self.assertFails(self.pull_(), 1, f"pull access denied for {self.fake_.name}/x, repository does not exist or may require 'docker login': denied")


class Tls(LieTest):
    def test_certificates(self):
        image = Image([[Entry.file("a")]])
        good = registries.make_cert(self.scratch, "good")
        wrong = registries.make_cert(self.scratch, "wrong", hosts=("elsewhere",), addresses=("192.0.2.1",))
        for cert, trusted, ok in ((good, good, True), (good, None, False), (wrong, wrong, False)):
            f = self.fake(tls=cert)
            ref = f.add(image, "x", "1")
            env = {"SSL_CERT_FILE": trusted[0]} if trusted else {}
            r = self.pull(ref, check=False, env=env)
            self.assertEqual(r.code, 0 if ok else 1, str(r))
            if ok:
                self.coffer("rmi", ref)
            else:
                self.assertIn("certificate is not trusted", r.err)
                self.assertEqual(f.seen, [], "not one request was sent")

    def test_every_command_verifies(self):
        """Self-signed, of another name, run out: not one request is sent, whoever asks."""
        expired = registries.make_cert(self.scratch, "expired", days=-1)
        wrong = registries.make_cert(self.scratch, "wrong-name", hosts=("elsewhere",), addresses=("192.0.2.1",))
        unknown = registries.make_cert(self.scratch, "unknown")
        self.coffer("load", "-i", images.docker_archive([[Entry.file("v")]], ["verify:1"]))
        for cert, trusted in ((expired, True), (wrong, True), (unknown, False)):
            f = self.fake(tls=cert)
            ref = f.add(Image([[Entry.file("a")]]), "x", "1")
            self.coffer("tag", "verify:1", ref)
            env = {"SSL_CERT_FILE": cert[0]} if trusted else {}
            for argv, code, kw in ((("pull", ref), 1, {}), (("push", ref), 1, {}), (("login", "-u", "a", "--password-stdin", f.name), 1, {"input": SECRET}), (("search", f.name + "/x"), 1, {}), (("manifest", "inspect", ref), 1, {}),
                                   (("run", "--rm", "--pull", "always", "--network", "none", ref, "true"), 125, {})):
                r = self.coffer(*argv, check=False, env=env, **kw)
                self.assertFails(r, code, "certificate is not trusted")
            self.assertEqual(f.seen, [])
            self.coffer("rmi", ref)
        self.coffer("rmi", "verify:1")

    def test_link_local_addresses_are_not_connected_to(self):
        """The metadata service of a cloud: by its address and by a name; not even a connection is made."""
        address = "169.254.169.254"
        subprocess.run(["ip", "addr", "add", address + "/32", "dev", "lo"], check=True)
        self.addCleanup(subprocess.run, ["ip", "addr", "del", address + "/32", "dev", "lo"], check=True)
        with socket.create_server((address, 443)) as one, socket.create_server((address, 80)) as two:
            type(self).command = etc_overlay(os.path.join(self.scratch, "metadata"), {"hosts": f"{address} metadata.example\n", "coffer/daemon.json": json.dumps({"insecure-registries": ["metadata.example:80"]})}) + [self.stage.coffer]
            self.addCleanup(setattr, type(self), "command", [self.stage.coffer])
            for name in (address, "metadata.example", "metadata.example:80"):
                for argv in (("pull", f"{name}/x:1"), ("login", "-u", "a", "--password-stdin", name), ("search", name + "/x"), ("manifest", "inspect", name + "/x:1")):
                    r = self.coffer(*argv, check=False, input=SECRET)
                    self.assertEqual(r.code, 1, str(r))
                    self.assertIn("link-local", r.err, str(r))
            for server in (one, two):
                server.setblocking(False)
                with self.assertRaises(BlockingIOError):
                    server.accept()

    def test_plain_text_is_for_loopback_and_named_registries(self):
        # the loopback interface under a name that does not say so
        ref = self.serve(Image([[Entry.file("a")]])).replace("127.0.0.1", "registry.example")
        type(self).command = etc_overlay(os.path.join(self.scratch, "names"), {"hosts": "127.0.0.1 registry.example\n"}) + [self.stage.coffer]
        self.addCleanup(setattr, type(self), "command", [self.stage.coffer])
        self.refused(ref, "HTTP answer to an HTTPS request")
        self.assertEqual(self.fake_.seen, [])
        type(self).command = etc_overlay(os.path.join(self.scratch, "names2"), {"hosts": "127.0.0.1 registry.example\n", "coffer/daemon.json": json.dumps({"insecure-registries": [ref.split("/")[0]]})}) + [self.stage.coffer]
        self.pull(ref)
        self.coffer("rmi", ref)


class Patience(LieTest):
    def test_busy_registries_are_waited_for(self):
        image = Image([[Entry.file("a")]])
        ref, times = self.serve(image), []

        def busy(h, path, query):
            times.append(time.monotonic())
            if len(times) == 1:
                return h.error(429, "TOOMANYREQUESTS", Retry_After="1") or True
            if len(times) == 2:
                return h.error(503, "UNAVAILABLE") or True
        self.fake_.lies.append(busy)
        self.pull(ref)
        self.assertGreaterEqual(times[1] - times[0], 1)
        self.coffer("rmi", ref)

    def test_slow_bodies_can_be_left(self):
        image = Image([[Entry.file("a", os.urandom(100000))]])
        ref, began = self.serve(image), []

        def slow(h, path, query):
            if path.endswith(digest(image.layers[0])):
                h.send_response(200)
                h.send_header("Content-Length", str(len(image.layers[0])))
                h.end_headers()
                began.append(1)
                try:
                    for i in range(600):
                        h.wfile.write(image.layers[0][i:i + 1])
                        h.wfile.flush()
                        time.sleep(0.05)
                except OSError:
                    pass
                return True
        self.fake_.lies.append(slow)
        p = self.popen("pull", ref, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertTrue(wait_until(lambda: began, 20))
        p.terminate()
        p.wait(20)
        self.assertTrue(wait_until(lambda: not self.processes(), 20))


class Helper(daemon.DaemonTest):
    """coffer-fetch while it works: nobody, without a capability, filtered, holding nothing of the state."""

    NEEDS_IMAGE = False

    def test_confinement(self):
        fake = registries.Fake()
        self.addCleanup(fake.close)
        image = Image([[Entry.file("a", os.urandom(100000))]])
        ref, found = fake.add(image, "x", "1"), []

        def look(h, path, query):
            if path.endswith(digest(image.layers[0])):
                for pid in coffer.children_of(self.daemon.proc.pid):
                    if "coffer-fetch" in coffer.cmdline(pid):
                        fds = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
                        found.append((coffer.proc_status(pid), fds, coffer.read_text(f"/proc/{pid}/environ")))
        fake.lies.append(look)
        a = self.api("POST", "/images/create", query={"fromImage": ref})
        self.assertEqual(a.status, 200)
        self.assertTrue(found)
        for status, fds, environ in found:
            self.assertEqual(set(status["Uid"].split()), {str(4294836224 + 65535)})
            self.assertEqual(set(status["Gid"].split()), {str(4294836224 + 65535)})
            self.assertEqual([status[k] for k in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")], ["0" * 16] * 5)
            self.assertEqual((status["Seccomp"], status["NoNewPrivs"], status["Groups"].strip()), ("2", "1", ""))
            self.assertFalse([f for f in fds if f.startswith(self.root)])
            self.assertEqual(environ, "")
        self.api("DELETE", "/images/" + ref)


if __name__ == "__main__":
    unittest.main()
