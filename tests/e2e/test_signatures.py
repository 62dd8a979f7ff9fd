# SPDX-License-Identifier: Apache-2.0
"""The signature policy (policy.json) where images come in: pull, load, import. skopeo is asked the same about the same images (Debian 12's knows no sigstore: scopes alone)."""

import base64
import json
import os
import shutil
import subprocess
import unittest

import daemon
import images
import registries
from images import Entry
from registries import Image, digest, index
from test_pull import PullTest

ASAN = True
ANY, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
PAYLOAD_TYPE, KEY = "application/vnd.dev.cosign.simplesigning.v1+json", "dev.cosignproject.cosign/signature"


def make_key(folder, name, *how):
    """A key pair by openssl. Return: (private, public) paths."""
    private, public = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".pub")
    subprocess.run(["openssl", "genpkey", *how, "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def payload_for(image_digest, reference):
    return json.dumps({"critical": {"identity": {"docker-reference": reference}, "image": {"docker-manifest-digest": image_digest}, "type": "cosign container image signature"}, "optional": None}).encode()


def signature_of(private, data, folder):
    path = os.path.join(folder, "signed")
    with open(path, "wb") as f:
        f.write(data)
    ed = b"ED25519" in subprocess.run(["openssl", "pkey", "-in", private, "-noout", "-text"], check=True, capture_output=True).stdout
    argv = ["openssl", "pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", path] if ed else ["openssl", "dgst", "-sha256", "-sign", private, path]
    return base64.b64encode(subprocess.run(argv, check=True, capture_output=True).stdout).decode()


def signatures(*pairs):
    """A manifest of signatures, and its blobs. @pairs: (payload, signature)."""
    config = b"{}"
    layers = [{"mediaType": PAYLOAD_TYPE, "digest": digest(p), "size": len(p), "annotations": {KEY: s}} for p, s in pairs]
    doc = {"schemaVersion": 2, "mediaType": registries.MANIFEST, "config": {"mediaType": registries.OCI + "config.v1+json", "digest": digest(config), "size": len(config)}, "layers": layers}
    return json.dumps(doc).encode(), [config, *(p for p, s in pairs)]


class SignatureTest(PullTest):
    """An engine that sees @self.policy as /etc/containers/policy.json (None: there is none)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.etc, top = os.path.join(cls.scratch, "containers"), os.path.join(cls.scratch, "etc-top")
        os.makedirs(cls.etc)
        os.makedirs(top + "/containers")
        os.makedirs(top + "/coffer")
        cls.daemon_json = top + "/coffer/daemon.json"
        with open(cls.daemon_json, "w") as f:
            f.write("{}")
        cls.command = ["unshare", "-m", "--propagation", "private", "sh", "-ec", f'mount -t overlay etc -o lowerdir={top}:/etc /etc; mount --bind {cls.etc} /etc/containers; exec "$0" "$@"', cls.stage.coffer]
        cls.p256, cls.other = make_key(cls.scratch, "p256", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"), make_key(cls.scratch, "other", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")

    def setUp(self):
        self.write_policy(None)

    def write_policy(self, doc):
        self.policy = os.path.join(self.etc, "policy.json")
        if os.path.lexists(self.policy):
            os.unlink(self.policy)
        if doc is not None:
            with open(self.policy, "w") as f:
                f.write(doc if isinstance(doc, str) else json.dumps(doc))

    @staticmethod
    def write_json(path, doc):
        with open(path, "w") as f:
            json.dump(doc, f)

    def signed(self, key=None, **more):
        return dict({"type": "sigstoreSigned", "keyPath": (key or self.p256)[1]}, **more)

    def sign(self, image_digest, reference, key=None):
        p = payload_for(image_digest, reference)
        return p, signature_of((key or self.p256)[0], p, self.scratch)

    def denied(self, ref, *words):
        return self.refused(ref, "rejected by the signature policy", *words)


class Registry(SignatureTest):
    """Images and signatures in Debian's docker-registry."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reg = cls.registry()
        cls.lookaside = os.path.join(cls.scratch, "registries.d")
        os.makedirs(cls.lookaside)
        with open(os.path.join(cls.lookaside, "default.yaml"), "w") as f:
            f.write(f"docker:\n  {cls.reg.name}:\n    use-sigstore-attachments: true\n")

    def put_image(self, repo, tag="1", image=None):
        image = image or Image([[Entry.file("of", repo + tag)]])
        for b in image.blobs.values():
            self.reg.put_blob(repo, b)
        self.reg.put(f"{repo}/manifests/{tag}", image.manifest, image.media_type)
        return image.digest

    def put_signatures(self, repo, image_digest, *pairs):
        doc, blobs = signatures(*pairs)
        for b in blobs:
            self.reg.put_blob(repo, b)
        self.reg.put(f"{repo}/manifests/{image_digest.replace(':', '-')}.sig", doc, registries.MANIFEST)

    def skopeo_takes(self, ref):
        out = os.path.join(self.scratch, "skopeo-out")
        shutil.rmtree(out, True)
        p = subprocess.run(["skopeo", "--policy", self.policy, "--registries.d", self.lookaside, "copy", "-q", "--remove-signatures", "--src-tls-verify=false", "docker://" + ref, "dir:" + out], capture_output=True, text=True, timeout=60)
        if "sigstore disabled" in p.stderr:
            return None  # Debian 12's was built without: it is a peer for scopes and documents alone
        self.assertTrue(p.returncode == 0 or "signature" in p.stderr.lower() or "policy" in p.stderr.lower(), p.stderr)
        return p.returncode == 0

    def both(self, ref, want, *words):
        """We and skopeo think the same of it."""
        if want:
            self.pull(ref)
            self.coffer("rmi", "-f", ref)
        else:
            self.denied(ref, *words)
        self.assertIn(self.skopeo_takes(ref), (want, None), ref)

    def test_identities_as_skopeo_sees_them(self):
        name, none = f"{self.reg.name}/id/app", f"{self.reg.name}/id/unsigned"
        d = self.put_image("id/app")
        self.put_image("id/app", "2", Image([[Entry.file("of", "id/app1")]]))
        self.put_image("id/unsigned")
        self.put_signatures("id/app", d, self.sign(d, name + ":1"))
        at = f"{name}@{d}"
        remap = {"type": "remapIdentity", "prefix": self.reg.name + "/id", "signedPrefix": "vendor.example"}
        rows = [
            ({}, name + ":1", True), ({}, name + ":2", False), ({}, at, True), ({}, none + ":1", False),
            ({"signedIdentity": {"type": "matchExact"}}, name + ":1", True), ({"signedIdentity": {"type": "matchExact"}}, at, False),
            ({"signedIdentity": {"type": "matchRepository"}}, name + ":2", True), ({"signedIdentity": {"type": "matchRepository"}}, none + ":1", False),
            ({"signedIdentity": {"type": "exactReference", "dockerReference": name + ":1"}}, name + ":2", True), ({"signedIdentity": {"type": "exactReference", "dockerReference": name + ":3"}}, name + ":1", False),
            ({"signedIdentity": {"type": "exactRepository", "dockerRepository": name}}, at, True), ({"signedIdentity": {"type": "exactRepository", "dockerRepository": none}}, name + ":1", False),
            ({"signedIdentity": remap}, name + ":1", False), ({"signedIdentity": dict(remap, prefix="elsewhere.example")}, name + ":1", True),
        ]
        for more, ref, want in rows:
            self.write_policy({"default": REJECT, "transports": {"docker": {self.reg.name: [self.signed(**more)]}}})
            self.both(ref, want)

    def test_remapped_and_cosign_s_own_names(self):
        d = self.put_image("mirror/app")
        ref = f"{self.reg.name}/mirror/app:1"
        self.put_signatures("mirror/app", d, self.sign(d, "vendor.example/app:1"))
        for prefix, signed, want in ((self.reg.name + "/mirror", "vendor.example", True), (self.reg.name, "vendor.example", False), (self.reg.name + "/mirror/app", "vendor.example/app", True)):
            self.write_policy({"default": [self.signed(signedIdentity={"type": "remapIdentity", "prefix": prefix, "signedPrefix": signed})]})
            self.both(ref, want)
        d = self.put_image("cosign/app")
        ref = f"{self.reg.name}/cosign/app:1"
        self.put_signatures("cosign/app", d, self.sign(d, f"{self.reg.name}/cosign/app"))
        for identity, want in (("matchRepository", True), ("matchRepoDigestOrExact", False), ("matchExact", False)):
            self.write_policy({"default": [self.signed(signedIdentity={"type": identity})]})
            self.both(ref, want)

    def test_signatures_that_are_none(self):
        other = self.put_image("bad/other", image=Image([[Entry.file("another")]]))
        good = lambda d, name: self.sign(d, name)
        cases = {
            "key": lambda d, name: [self.sign(d, name, self.other)],
            "image": lambda d, name: [good(other, name)],
            "bytes": lambda d, name: [(good(d, name)[0], good(other, name)[1])],
            "text": lambda d, name: [(good(d, name)[0], "no base64 %%")],
            "empty": lambda d, name: [(good(d, name)[0], "AAAA")],
            "type": lambda d, name: [(lambda p: (p, signature_of(self.p256[0], p, self.scratch)))(payload_for(d, name).replace(b"cosign container", b"atomic container"))],
            "more": lambda d, name: [(lambda p: (p, signature_of(self.p256[0], p, self.scratch)))(payload_for(d, name).replace(b'{"identity"', b'{"x":1,"identity"'))],
        }
        for what, make in cases.items():
            d, ref = self.put_image("bad/" + what), f"{self.reg.name}/bad/{what}:1"
            self.put_signatures("bad/" + what, d, *make(d, ref))
            self.write_policy({"default": [self.signed()]})
            self.both(ref, False, "none of the 1")
        d, ref = self.put_image("bad/then-good"), f"{self.reg.name}/bad/then-good:1"
        self.put_signatures("bad/then-good", d, *(make(d, ref)[0] for make in cases.values()), good(d, ref))
        self.both(ref, True)

    def test_every_requirement_must_be_fulfilled(self):
        d, ref = self.put_image("all/app"), f"{self.reg.name}/all/app:1"
        self.put_signatures("all/app", d, self.sign(d, ref))
        for requirements, want in (([self.signed(), self.signed()], True), ([self.signed(), self.signed(self.other)], False), (ANY + [self.signed(self.other)], False), ([self.signed()] + REJECT, False), (ANY + [self.signed()], True)):
            self.write_policy({"default": requirements})
            self.both(ref, want)
        self.put_signatures("all/app", d, self.sign(d, ref), self.sign(d, ref, self.other))
        self.write_policy({"default": [self.signed(), self.signed(self.other)]})
        self.both(ref, True)

    def test_scopes_as_skopeo_sees_them(self):
        self.put_image("scope/team/app")
        host = self.reg.name
        ref, sub = f"{host}/scope/team/app:1", "*" + host[host.index("."):host.index(":")]
        for scope in ("", sub, host, host + "/scope", host + "/scope/team", host + "/scope/team/app", ref):
            self.write_policy({"default": REJECT, "transports": {"docker": {scope: ANY}}})
            self.both(ref, True)
            self.write_policy({"default": ANY, "transports": {"docker": {scope: REJECT}}})
            self.both(ref, False, "images from there are rejected")
        for scope in (host + "/scop", host + "/scope/team/app:2", "127.0.0.1", "*.example"):
            self.write_policy({"default": ANY, "transports": {"docker": {scope: REJECT}}})
            self.both(ref, True)
        self.write_policy({"default": REJECT, "transports": {"docker": {host: REJECT, host + "/scope/team": ANY}, "docker-archive": {"": ANY}}})
        self.both(ref, True)

    def test_a_policy_that_is_none_lets_nothing_in(self):
        self.put_image("none/app")
        ref = f"{self.reg.name}/none/app:1"
        for doc in ("", "{", "[]", {}, {"default": []}, {"default": [{"type": "acceptAnything"}]}, {"default": ANY, "transport": {}}, {"default": [dict(ANY[0], x=1)]}, '{"default":%s,"default":%s}' % ((json.dumps(ANY),) * 2),
                    {"default": ANY, "transports": {"docker": {"elsewhere.example": [{"type": "sigstoreSigned"}]}}}):
            self.write_policy(doc)
            self.refused(ref, "the signature policy cannot be read, and so no image may come in", "/etc/containers/policy.json")
            self.assertFalse(self.skopeo_takes(ref), doc)
        os.unlink(self.policy)
        os.symlink("/nonexistent", self.policy)
        self.refused(ref, "the signature policy cannot be read")
        os.unlink(self.policy)
        os.mkdir(self.policy)
        self.refused(ref, "the signature policy cannot be read")
        os.rmdir(self.policy)
        self.pull(ref)  # without a policy nothing is asked for, as with docker
        self.coffer("rmi", ref)

    def test_what_cannot_be_checked_is_refused(self):
        d, ref = self.put_image("cannot/app"), f"{self.reg.name}/cannot/app:1"
        self.put_signatures("cannot/app", d, self.sign(d, ref))
        for requirement, word in (({"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}, "GPG"), (self.signed(rekorPublicKeyPath="/r"), "rekorPublicKeyPath"),
                                  ({"type": "sigstoreSigned", "fulcio": {"caPath": "/c", "oidcIssuer": "https://x", "subjectEmail": "a@b"}}, "fulcio"),
                                  ({"type": "sigstoreSigned", "keyPath": "/nonexistent.pub"}, "/nonexistent.pub"), ({"type": "sigstoreSigned", "keyPath": self.p256[0]}, "not one public key")):
            self.write_policy({"default": [requirement]})
            self.denied(ref, word)

    def test_kinds_of_keys(self):
        keys = [make_key(self.scratch, "p384", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"), make_key(self.scratch, "ed", "-algorithm", "ED25519"), make_key(self.scratch, "rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")]
        for i, key in enumerate(keys):
            d, ref = self.put_image(f"kind/k{i}"), f"{self.reg.name}/kind/k{i}:1"
            self.put_signatures(f"kind/k{i}", d, self.sign(d, ref, key))
            self.write_policy({"default": [self.signed(key)]})
            self.both(ref, True)
            self.write_policy({"default": [self.signed()]})
            self.both(ref, False)
        with open(keys[0][1], "rb") as f:
            data = base64.b64encode(f.read()).decode()
        self.write_policy({"default": [{"type": "sigstoreSigned", "keyData": data}]})
        self.both(f"{self.reg.name}/kind/k0:1", True)
        self.write_policy({"default": [{"type": "sigstoreSigned", "keyPaths": [self.other[1], keys[0][1]]}]})
        self.pull(f"{self.reg.name}/kind/k0:1")
        self.coffer("rmi", f"{self.reg.name}/kind/k0:1")

    def test_an_image_that_is_there_is_asked_for_again(self):
        self.put_image("again/app")
        ref = f"{self.reg.name}/again/app:1"
        self.write_policy({"default": ANY})
        self.pull(ref)
        self.write_policy({"default": REJECT})
        self.denied(ref)
        self.coffer("rmi", ref)
        self.assertFails(self.run_(ref, "true", check=False), 125, "rejected by the signature policy")

    def test_all_tags_are_asked_for_one_by_one(self):
        d = self.put_image("many/app", "a")
        self.put_image("many/app", "b", Image([[Entry.file("b")]]))
        self.put_signatures("many/app", d, self.sign(d, f"{self.reg.name}/many/app:a"))
        self.write_policy({"default": [self.signed()]})
        self.assertFails(self.pull(f"{self.reg.name}/many/app", "-a", check=False), 1, "rejected by the signature policy")
        self.assertNotIn(f"{self.reg.name}/many/app:b", self.coffer("images", "--format", "{{.Repository}}:{{.Tag}}").lines)
        self.coffer("rmi", "-f", f"{self.reg.name}/many/app:a", check=False)


class Found(SignatureTest):
    """Where signatures are looked for, with a registry of our own that tells what it was asked."""

    def serve(self, fake, tag, *pairs):
        doc, blobs = signatures(*pairs)
        fake.manifests[("x", tag)] = fake.manifests[("x", digest(doc))] = (registries.MANIFEST, doc)
        fake.blobs.update({digest(b): b for b in blobs})
        return {"mediaType": registries.MANIFEST, "digest": digest(doc), "size": len(doc), "artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json"}

    def test_nothing_is_asked_where_nothing_is_wanted(self):
        fake = self.fake()
        ref = fake.add(Image([[Entry.file("a")]]), "x", "1")
        self.write_policy({"default": ANY})
        self.pull(ref)
        self.coffer("rmi", ref)
        self.assertEqual([s for s in fake.seen if "sha256-" in s[1] or "/referrers/" in s[1]], [])

    def test_referrers(self):
        for by_tag in (False, True):
            fake, image = self.fake(), Image([[Entry.file("a")]])
            ref = fake.add(image, "x", "1")
            doc = index(self.serve(fake, "other", self.sign(image.digest, ref, self.other)), self.serve(fake, "mine", self.sign(image.digest, ref)))
            if by_tag:
                fake.manifests[("x", image.digest.replace(":", "-"))] = (registries.INDEX, doc)
            else:
                fake.lies.append(lambda h, path, q, doc=doc, d=image.digest: path == f"/v2/x/referrers/{d}" and (h.answer(200, doc, registries.INDEX) or True))
            self.write_policy({"default": [self.signed()]})
            self.pull(ref)
            self.coffer("rmi", ref)
            self.write_policy({"default": [self.signed(make_key(self.scratch, "third", "-algorithm", "ED25519"))]})
            self.denied(ref, "none of the 2")

    def test_an_index_or_what_is_taken_out_of_it(self):
        for which in ("index", "manifest", "neither"):
            fake, image = self.fake(), Image([[Entry.file("a")]])
            fake.add(image, "x", "inner")
            doc = index(image.descriptor())
            fake.manifests[("x", "1")] = fake.manifests[("x", digest(doc))] = (registries.INDEX, doc)
            ref = f"{fake.name}/x:1"
            d = {"index": digest(doc), "manifest": image.digest, "neither": "sha256:" + "0" * 64}[which]
            self.serve(fake, (digest(doc) if which == "index" else image.digest).replace(":", "-") + ".sig", self.sign(d, ref))
            self.write_policy({"default": [self.signed()]})
            if which == "neither":
                self.denied(ref, "another image")
            else:
                self.pull(ref)
                self.coffer("rmi", ref)

    def test_lies(self):
        """What goes wrong on the way to a signature is a refusal, never a pull without it."""
        image = Image([[Entry.file("a")]])
        for status in (401, 403, 500):
            fake = self.fake()
            ref = fake.add(image, "x", "1")
            fake.lies.append(lambda h, path, q, s=status: path.endswith(".sig") and (h.error(s, "UNKNOWN") or True))
            self.write_policy({"default": [self.signed()]})
            self.refused(ref)
        fake = self.fake()
        ref = fake.add(image, "x", "1")
        tag = image.digest.replace(":", "-") + ".sig"
        self.serve(fake, tag, *[self.sign(image.digest, ref)] * 65)
        self.refused(ref, "more than 64 signatures")
        good = self.sign(image.digest, ref)
        self.serve(fake, tag, good)
        fake.blobs[digest(good[0])] = good[0].replace(b"optional", b"OPTIONAL")
        self.refused(ref, "wrong digest")
        self.serve(fake, tag, (b" " * 70000, "AAAA"))
        self.refused(ref, "65536")
        fake.manifests[("x", tag)] = (registries.MANIFEST, b'{"schemaVersion":2,"layers":{}}')
        self.refused(ref)
        self.serve(fake, tag, good)
        self.pull(ref)
        self.coffer("rmi", ref)


class Archives(SignatureTest):
    def test_load_and_import(self):
        docker, oci = images.docker_archive([[Entry.file("d")]], ["arch-d:1"]), images.oci_archive([[Entry.file("o")]], "arch-o:1")
        tar = os.path.join(self.scratch, "root.tar")
        with open(tar, "wb") as f:
            f.write(images.tar([Entry.file("t")]))
        ways = {"docker-archive": ("load", "-i", docker), "oci-archive": ("load", "-i", oci), "tarball": ("import", tar, "arch-t:1")}
        for kind, argv in ways.items():
            for doc, want in (({"default": ANY}, True), ({"default": REJECT}, False), ({"default": REJECT, "transports": {kind: {"": ANY}}}, True), ({"default": ANY, "transports": {kind: {"": REJECT}}}, False),
                              ({"default": [self.signed()]}, False), ({"default": REJECT, "transports": {"docker": {"": ANY}}}, False), ("{", False)):
                self.write_policy(doc)
                before = self.store()
                r = self.coffer(*argv, check=False)
                self.assertEqual(r.code, 0 if want else 1, f"{kind} {doc} {r}")
                if want:
                    self.coffer("rmi", *self.coffer("images", "-q").lines)
                else:
                    self.assertIn("signature policy", r.err)
                    self.assertEqual(self.store(), before)
        self.write_policy({"default": ANY, "transports": {"oci-archive": {"/some/where": REJECT}}})
        self.assertFails(self.coffer("load", "-i", oci, check=False), 1, "has no path")
        self.coffer("load", "-i", docker)
        self.coffer("rmi", "arch-d:1")

    def test_the_operator_may_name_another_file(self):
        docker, mine = images.docker_archive([[Entry.file("m")]], ["mine:1"]), os.path.join(self.scratch, "mine.json")
        self.addCleanup(self.write_json, self.daemon_json, {})
        self.write_json(self.daemon_json, {"signature-policy": mine})
        self.write_policy({"default": ANY})
        self.assertFails(self.coffer("load", "-i", docker, check=False), 1, "the signature policy cannot be read", "mine.json")
        self.write_json(mine, {"default": REJECT})
        self.assertFails(self.coffer("load", "-i", docker, check=False), 1, "images from there are rejected")
        self.write_policy({"default": REJECT})
        self.write_json(mine, {"default": ANY})
        self.coffer("load", "-i", docker)
        self.coffer("rmi", "mine:1")
        self.write_json(self.daemon_json, {"signature-policy": "relative.json"})
        self.assertFails(self.coffer("images", check=False), 1, "absolute path")


class Daemon(daemon.DaemonTest):
    """cofferd with a policy of its own: 403 before the first byte, and a change counts at once."""

    NEEDS_IMAGE = False

    @classmethod
    def start_daemon(cls, *flags):
        cls.policy, config = os.path.join(cls.scratch, "policy.json"), os.path.join(cls.scratch, "daemon.json")
        for path, doc in ((cls.policy, {"default": REJECT}), (config, {"signature-policy": cls.policy})):
            SignatureTest.write_json(path, doc)
        return super().start_daemon("--config-file", config, *flags)

    def test_statuses(self):
        fake = registries.Fake()
        self.addCleanup(fake.close)
        ref = fake.add(Image([[Entry.file("a")]]), "x", "1")
        with open(images.docker_archive([[Entry.file("d")]], ["api:1"]), "rb") as f:
            archive = f.read()
        create = lambda: self.api("POST", "/images/create", query={"fromImage": ref})
        a = create()
        self.assertEqual(a.status, 403, str(a))
        self.assertIn("rejected by the signature policy", a.json()["message"])
        self.assertEqual([s for s in fake.seen if "/blobs/" in s[1]], [], "nothing of the image itself was fetched")
        self.assertIn("rejected by the signature policy", self.api("POST", "/images/load", archive, headers={"Content-Type": "application/x-tar"}).text)
        self.assertEqual(self.api("POST", "/images/create", archive, query={"fromSrc": "-"}, headers={"Content-Type": "application/x-tar"}).status, 403)
        self.assertEqual(self.api("GET", "/images/json").json(), [])
        SignatureTest.write_json(self.policy, {"default": ANY})
        self.assertIn("Downloaded newer image", create().text)
        os.unlink(self.policy)
        self.assertEqual(create().status, 403)
        self.api("DELETE", "/images/" + ref)


if __name__ == "__main__":
    unittest.main()
