# SPDX-License-Identifier: Apache-2.0
"""pull, from Debian's docker-registry: plain, with passwords, over TLS; indexes, tags, digests, codings; run's automatic pull; resume."""

import gzip
import json
import os
import signal
import subprocess
import threading
import time
import unittest

import coffer
import daemon
import images
import registries
from coffer import CofferTest, wait_until
from images import Entry
from registries import Image, digest, index

ASAN = True


def etc_overlay(scratch, files):
    """Words in front of a program that show it /etc with @files ({"coffer/daemon.json": text}) added."""
    top = os.path.join(scratch, "etc-added")
    for name, text in files.items():
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
    return ["unshare", "-m", "--propagation", "private", "sh", "-ec", f'mount -t overlay etc -o lowerdir={top}:/etc /etc; exec "$0" "$@"']


class PullTest(CofferTest):
    NEEDS_IMAGE = False
    FOLDER = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._registries = []
        cls.coffer_("images")  # there is a database now, which can remember whose containers are whose
        cls._remember_containers()

    @classmethod
    def registry(cls, **kw):
        r = registries.Registry(cls.scratch, **kw)
        cls._registries.append(r)
        return r

    @classmethod
    def fake(cls, **kw):
        f = registries.Fake(**kw)
        cls._registries.append(f)
        return f

    @classmethod
    def tearDownClass(cls):
        for r in cls._registries:
            r.close()
        super().tearDownClass()

    def pull(self, ref, *flags, check=True, **kw):
        return self.coffer("pull", *flags, ref, check=check, **kw)

    def refused(self, ref, *words, **kw):
        """A pull that fails, says @words, and leaves nothing behind."""
        before = self.store()
        r = self.pull(ref, check=False, **kw)
        self.assertEqual(r.code, 1, str(r))
        for w in words:
            self.assertIn(w, r.err)
        self.assertNotIn("\x1b", r.err)
        self.assertEqual(self.store(), before)
        return r

    def store(self):
        found = []
        for top in ("blobs/sha256", "layers", "tmp"):
            path = os.path.join(self.root, top)
            found += [os.path.join(top, n) for n in os.listdir(path)] if os.path.isdir(path) else []
        return sorted(found)

    def partial(self):
        path = os.path.join(self.root, "partial", "local")
        return sorted(os.listdir(path)) if os.path.isdir(path) else []


class Plain(PullTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reg = cls.registry()
        cls.ref = cls.reg.push(images.docker_archive([images.busybox_entries(), [Entry.file("own", "x\n", uid=5)]], ["p:1"]), "team/app:1")

    def remove(self, ref):
        self.coffer("rmi", "-f", ref, check=False)

    def test_the_words_and_the_image(self):
        self.addCleanup(self.remove, self.ref)
        out = self.pull(self.ref).lines
        self.assertEqual(out[0], "1: Pulling from team/app")
        self.assertEqual(sum(line.endswith(": Pull complete") for line in out), 2)
        self.assertRegex(out[-3], r"^Digest: sha256:[0-9a-f]{64}$")
        self.assertEqual(out[-2:], [f"Status: Downloaded newer image for {self.ref}", self.ref])
        self.assertEqual(self.run_(self.ref, "cat", "/own").word, "x")
        again = self.pull(self.ref).lines
        self.assertEqual(again[1:], [out[-3], f"Status: Image is up to date for {self.ref}", self.ref])
        pinned = f"{self.reg.name}/team/app@{out[-3][8:]}"
        self.assertEqual(self.pull(pinned).lines[-2], f"Status: Image is up to date for {pinned}")
        self.assertEqual(self.coffer("image", "inspect", self.ref).json()[0]["RepoDigests"], [pinned])
        self.assertEqual(self.partial(), [])

    def test_by_digest_alone(self):
        image = Image([images.busybox_entries(), [Entry.file("pinned")]])
        for b in image.blobs.values():
            self.reg.put_blob("pin", b)
        self.reg.put(f"pin/manifests/{image.digest}", image.manifest, image.media_type)
        ref = f"{self.reg.name}/pin@{image.digest}"
        self.addCleanup(self.remove, ref)
        self.pull(ref)
        self.assertEqual(self.coffer("image", "inspect", ref).json()[0]["RepoTags"], [])
        self.assertEqual(self.run_(ref, "ls", "/pinned").word, "/pinned")
        self.refused(f"{self.reg.name}/pin@sha256:" + "0" * 64, "not found")

    def test_what_is_not_there(self):
        r = self.refused(f"{self.reg.name}/team/app:2", f"manifest for {self.reg.name}/team/app:2 not found: manifest unknown")
        self.assertEqual(r.out, "")
        self.refused(f"{self.reg.name}/nosuch", "not found")
        self.refused(f"{self.reg.name}/UPPER", "lowercase")
        self.refused("127.0.0.1:1/x", "connect")

    def test_every_coding(self):
        for coding in ("gzip", "zstd", "none"):
            layers = [images.busybox_entries(), [Entry.file("coding", coding)]]
            ref = self.reg.push(images.oci_archive(layers, f"c-{coding}:1", compress=coding), f"c-{coding}:1", src="oci-archive")
            self.addCleanup(self.remove, ref)
            self.pull(ref)
            raw = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", "docker://" + ref], check=True, capture_output=True).stdout
            self.assertEqual(self.coffer("image", "inspect", ref).json()[0]["RepoDigests"], [ref[:-2] + "@" + digest(raw)], coding)
            self.assertEqual(self.run_(ref, "ls", "/coding").word, "/coding")

    def test_indexes_and_platforms(self):
        host, other = ("amd64", "arm64") if os.uname().machine == "x86_64" else ("arm64", "amd64")
        ours, theirs = Image([images.busybox_entries(), [Entry.file("arch", host)]], arch=host), Image([[Entry.file("arch", other)]], arch=other)
        for image in (ours, theirs):
            for b in image.blobs.values():
                self.reg.put_blob("multi", b)
            self.reg.put(f"multi/manifests/{image.digest}", image.manifest, image.media_type)
        attestation = dict(ours.descriptor(os="unknown", architecture="unknown"))
        doc = index(attestation, theirs.descriptor(os="linux", architecture=other), ours.descriptor(os="linux", architecture=host))
        self.reg.put("multi/manifests/1", doc, registries.INDEX)
        ref = f"{self.reg.name}/multi:1"
        self.addCleanup(self.remove, ref)
        out = self.pull(ref).out
        self.assertIn("Digest: " + digest(doc), out)
        self.assertEqual(self.run_(ref, "cat", "/arch").word, host)
        self.assertEqual(self.coffer("image", "inspect", ref).json()[0]["RepoDigests"], [f"{self.reg.name}/multi@{digest(doc)}"])
        self.assertIn("up to date", self.pull(ref).out)
        self.pull(ref, "--platform", "linux/" + other)
        self.assertEqual(self.coffer("image", "inspect", ref).json()[0]["Architecture"], other)
        r = self.pull(ref, "--platform", "linux/s390x", check=False)
        self.assertFails(r, 1, "no matching manifest for linux/s390x in the manifest list entries")
        self.assertFails(self.pull(ref, "--platform", "windows/amd64", check=False), 1, "linux")

    def test_all_tags(self):
        for tag in ("a", "b", "c"):
            self.reg.push(images.docker_archive([[Entry.file(tag)]], [f"many:{tag}"]), f"many:{tag}")
        self.pull(f"{self.reg.name}/many", "-a")
        names = self.coffer("images", "--format", "{{.Repository}}:{{.Tag}}", f"{self.reg.name}/many").lines
        self.assertEqual(sorted(names), [f"{self.reg.name}/many:{t}" for t in "abc"])
        for n in names:
            self.remove(n)

    def test_run_pulls_what_is_missing(self):
        self.addCleanup(self.remove, self.ref)
        self.assertFails(self.run_("--pull", "never", self.ref, "true", check=False), 125, "No such image")
        r = self.run_(self.ref, "cat", "/own")
        self.assertEqual(r.word, "x")
        self.assertIn(f"Unable to find image '{self.ref}' locally", r.err)
        self.assertIn("Pull complete", r.err)
        self.assertEqual(self.run_(self.ref, "true").err, "")
        self.assertIn("up to date", self.run_("--pull", "always", self.ref, "true").err)
        self.assertEqual(self.run_("--pull", "always", "-q", self.ref, "true").err, "")

    def test_layers_that_are_there_are_not_fetched(self):
        base = images.docker_archive([images.busybox_entries(), [Entry.file("v", "1")]], ["v:1"]), images.docker_archive([images.busybox_entries(), [Entry.file("v", "2")]], ["v:2"])
        refs = [self.reg.push(path, f"v:{i}") for i, path in enumerate(base, 1)]
        for r in refs:
            self.addCleanup(self.remove, r)
        self.pull(refs[0])
        out = self.pull(refs[1]).lines
        self.assertEqual([line.split(": ")[1] for line in out[1:3]], ["Already exists", "Pulling fs layer"])
        self.assertEqual(self.run_(refs[1], "cat", "/v").word, "2")

    def test_a_pulled_image_is_saved_with_its_digests(self):
        self.addCleanup(self.remove, self.ref)
        self.pull(self.ref)
        path, layout = os.path.join(self.scratch, "saved.tar"), os.path.join(self.scratch, "saved")
        self.coffer("save", "-o", path, self.ref)
        os.mkdir(layout)
        subprocess.run(["tar", "-C", layout, "-xf", path], check=True)
        with open(os.path.join(layout, "index.json")) as f:
            saved = json.load(f)["manifests"][0]["digest"]
        self.assertEqual(self.coffer("image", "inspect", self.ref).json()[0]["RepoDigests"][0].split("@")[1], saved)

    def test_quiet(self):
        self.addCleanup(self.remove, self.ref)
        self.assertEqual(self.pull(self.ref, "-q").lines, [self.ref])

    def test_bars_on_a_terminal(self):
        self.addCleanup(self.remove, self.ref)
        t = self.tty("pull", self.ref)
        t.expect("Downloaded newer image")
        self.assertEqual(t.wait(), 0)
        self.assertIn("\x1b[1A", t.text)

    def test_two_at_once_fetch_a_layer_once(self):
        fake = self.fake()
        big = os.urandom(3 << 20)
        image = Image([images.busybox_entries(), [Entry.file("big", big)]])
        ref = fake.add(image, "both", "1")
        self.addCleanup(self.remove, ref)

        def slowly(h, path, query):
            if path.endswith(digest(image.layers[1])):
                time.sleep(1)
        fake.lies.append(slowly)
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.pull(ref, check=False))) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([r.code for r in results], [0, 0, 0], [str(r) for r in results])
        self.assertEqual(len(fake.asked(digest(image.layers[1]), "GET")), 1)
        self.assertEqual(self.run_(ref, "sh", "-c", "wc -c </big").word, str(len(big)))
        self.assertEqual(self.partial(), [])


class Resume(PullTest):
    def cut_image(self):
        return Image([images.busybox_entries(), [Entry.file("big", os.urandom(4 << 20))]])

    def test_a_broken_connection_is_taken_up(self):
        fake, image = self.fake(), self.cut_image()
        ref, cuts = fake.add(image, "cut", "1"), []

        def cut(h, path, query):
            if path.endswith(digest(image.layers[1])) and len(cuts) < 3:
                at = int(h.headers.get("Range", "bytes=0-")[6:].split("-")[0])
                cuts.append(at)
                data = image.layers[1]
                h.send_response(206 if at else 200)
                h.send_header("Content-Length", str(len(data) - at))
                if at:
                    h.send_header("Content-Range", f"bytes {at}-{len(data) - 1}/{len(data)}")
                h.end_headers()
                h.wfile.write(data[at:at + (1 << 20)])
                h.wfile.flush()
                h.close_connection = True
                h.connection.shutdown(2)
                return True
        fake.lies.append(cut)
        self.pull(ref)
        self.assertEqual(cuts, sorted(set(cuts)), "each try begins where the last one broke")
        self.assertGreater(cuts[-1], 1 << 20)
        self.coffer("rmi", ref)

    def test_a_killed_pull_goes_on_where_it_was(self):
        for sig in (signal.SIGINT, signal.SIGKILL):
            fake, image = self.fake(), self.cut_image()
            ref, half = fake.add(image, "killed", "1"), threading.Event()

            def stall(h, path, query):
                if path.endswith(digest(image.layers[1])) and not half.is_set():
                    data = image.layers[1]
                    h.send_response(200)
                    h.send_header("Content-Length", str(len(data)))
                    h.end_headers()
                    h.wfile.write(data[:len(data) // 2])
                    h.wfile.flush()
                    half.set()
                    time.sleep(30)
                    return True
            fake.lies.append(stall)
            p = self.popen("pull", ref, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.assertTrue(half.wait(20))
            part = os.path.join(self.root, "partial", "local", digest(image.layers[1])[7:])
            self.assertTrue(wait_until(lambda: os.path.exists(part) and os.path.getsize(part) > 1 << 20, 20))
            p.send_signal(sig)
            p.wait(20)
            self.assertTrue(wait_until(lambda: not self.processes(), 20), "the engine and its helpers end with the command")
            have = os.path.getsize(part)
            self.pull(ref)
            again = [h.get("Range") for m, path, h in fake.asked(digest(image.layers[1]))][-1]
            self.assertEqual(again, f"bytes={have}-")
            self.coffer("rmi", ref)
            self.assertEqual(self.partial(), [])

    def test_a_part_that_was_changed_is_not_used(self):
        fake, image = self.fake(), self.cut_image()
        ref = fake.add(image, "bent", "1")
        folder = os.path.join(self.root, "partial", "local")
        os.makedirs(folder, exist_ok=True)
        part = os.path.join(folder, digest(image.layers[1])[7:])
        with open(part, "wb") as f:
            f.write(b"x" * (1 << 20))
        self.refused(ref, "wrong digest", "try again")
        self.assertFalse(os.path.exists(part))
        with open(part, "wb") as f:
            f.write(b"x" * len(image.layers[1]))  # as long as it should be
        self.pull(ref)
        self.coffer("rmi", ref)

    def test_what_nobody_takes_up_goes_after_a_day(self):
        """Nothing but a prune removed the beginnings of blobs: the day that they were said to be kept for never ended."""
        folder = os.path.join(self.root, "partial", "local")
        os.makedirs(folder, exist_ok=True)
        for name, age in (("a", 25), ("b", 23)):
            path = os.path.join(folder, name * 64)
            with open(path, "wb") as f:
                f.write(b"left")
            os.utime(path, (time.time() - age * 3600,) * 2)
        self.coffer("load", "-q", "-i", images.docker_archive([[Entry.file("x")]], ["passing:1"]))
        self.coffer("rmi", "passing:1")
        self.assertEqual(self.partial(), ["b" * 64])
        self.coffer("image", "prune", "-f")

    def test_prune_takes_what_is_left_of_pulls(self):
        folder = os.path.join(self.root, "partial", "local")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "a" * 64), "wb") as f:
            f.write(b"left")
        self.coffer("images")
        self.assertEqual(self.partial(), ["a" * 64])
        self.coffer("image", "prune", "-f")
        self.assertEqual(self.partial(), [])

    def test_a_registry_without_ranges(self):
        fake, image = self.fake(), self.cut_image()
        ref = fake.add(image, "noranges", "1")
        folder = os.path.join(self.root, "partial", "local")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, digest(image.layers[1])[7:]), "wb") as f:
            f.write(image.layers[1][:100000])
        fake.send_blob = lambda h, data: h.answer(200, data, "application/octet-stream")
        self.pull(ref)
        self.coffer("rmi", ref)


class Secured(PullTest):
    """TLS by a certificate that only certs.d knows, and passwords."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cert = registries.make_cert(cls.scratch)
        cls.reg = cls.registry(tls=cls.cert, users={"alice": "s3cret:with colon"})
        cls.ref = cls.reg.push(images.docker_archive([images.busybox_entries()], ["s:1"]), "sec/app:1", creds="alice:s3cret:with colon")
        with open(cls.cert[0]) as f:
            cls.command = etc_overlay(cls.scratch, {f"docker/certs.d/{cls.reg.name}/ca.crt": f.read()}) + [cls.stage.coffer]
        cls.home = os.path.join(cls.scratch, "home")

    def test_credentials_of_docker_s_config(self):
        registries.auth_config(self.home, self.reg.name, "alice", "s3cret:with colon")
        self.pull(self.ref, env={"HOME": self.home})
        self.coffer("rmi", self.ref)

    def test_without_or_with_wrong_ones(self):
        registries.auth_config(self.home, self.reg.name, "alice", "wrong")
        self.refused(self.ref, "no basic auth credentials")
        self.refused(self.ref, "unauthorized", env={"HOME": self.home})

    def test_a_credential_helper(self):
        bin_dir = os.path.join(self.scratch, "bin")
        os.makedirs(bin_dir, exist_ok=True)
        with open(os.path.join(bin_dir, "docker-credential-mine"), "w") as f:
            f.write('#!/bin/sh\nread server\n[ "$1" = get ] && [ "$server" = "%s" ] || { echo credentials not found in native keychain; exit 1; }\n'
                    'echo \'{"ServerURL":"x","Username":"alice","Secret":"s3cret:with colon"}\'\n' % self.reg.name)
        os.chmod(f.name, 0o755)
        env = {"HOME": self.home, "PATH": bin_dir + ":" + self.env["PATH"]}
        registries.auth_config(self.home, None, "", "", credsStore="mine")
        self.pull(self.ref, env=env)
        self.coffer("rmi", self.ref)
        registries.auth_config(self.home, None, "", "", credHelpers={self.reg.name: "mine"})
        self.pull(self.ref, env=env)
        self.coffer("rmi", self.ref)
        registries.auth_config(self.home, None, "", "", credsStore="x;y")
        self.refused(self.ref, "credential helper", env=env)

    def test_the_certificate_is_not_trusted_without(self):
        env_command, type(self).command = self.command, [self.stage.coffer]
        try:
            self.refused(self.ref, "certificate is not trusted")
        finally:
            type(self).command = env_command


class Insecure(PullTest):
    """A registry whose certificate nobody knows, named by the operator."""

    def test_named_or_not(self):
        cert = registries.make_cert(self.scratch, hosts=("elsewhere",), addresses=("192.0.2.1",))
        reg = self.registry(tls=cert)
        ref = reg.push(images.docker_archive([images.busybox_entries()], ["i:1"]), "i:1")
        self.refused(ref, "certificate is not trusted")
        for i, name in enumerate((reg.name, "127.0.0.0/8")):
            type(self).command = etc_overlay(os.path.join(self.scratch, str(i)), {"coffer/daemon.json": json.dumps({"insecure-registries": [name]})}) + [self.stage.coffer]
            try:
                self.pull(ref)
                self.coffer("rmi", ref)
            finally:
                type(self).command = [self.stage.coffer]


class Mirror(PullTest):
    """docker.io by a mirror of the operator's: asked first, without credentials."""

    def test_the_mirror_is_asked_and_told_nothing(self):
        fake = self.fake()
        fake.add(Image([images.busybox_entries()]), "hub/library/mirrored", "1")
        home = os.path.join(self.scratch, "home")
        registries.auth_config(home, "https://index.docker.io/v1/", "alice", "secret")
        type(self).command = etc_overlay(self.scratch, {"coffer/daemon.json": json.dumps({"registry-mirrors": [fake.url + "/hub"]})}) + [self.stage.coffer]
        self.addCleanup(setattr, type(self), "command", [self.stage.coffer])

        def below(h, path, query):
            if path.startswith("/hub/v2/"):
                fake.honest(h, "/v2/hub/" + path.removeprefix("/hub/v2/"))
                return True
        fake.lies.append(below)
        out = self.pull("mirrored:1", env={"HOME": home})
        self.assertIn("Status: Downloaded newer image for mirrored:1", out.out)
        self.assertEqual(out.lines[-1], "docker.io/library/mirrored:1")
        self.assertEqual(fake.credentials_seen(), [])
        self.assertEqual(self.coffer("images", "-q", "mirrored:1").out.count("\n"), 1)
        self.coffer("rmi", "mirrored:1")


class Api(daemon.DaemonTest):
    """The daemon's side: statuses before the first byte, the stream behind it, a client that leaves."""

    NEEDS_IMAGE = False

    def setUp(self):
        self.fake = registries.Fake()
        self.addCleanup(self.fake.close)

    def create(self, ref, **query):
        return self.api("POST", "/images/create", query=dict({"fromImage": ref}, **query), headers={"X-Registry-Auth": "e30="})

    def test_statuses(self):
        self.assertEqual((self.create(self.fake.name + "/no", tag="1").status), 404)
        self.assertEqual(self.create("UPPER", tag="1").status, 400)
        self.fake.lies.append(lambda h, path, query: h.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"') or True)
        self.assertEqual(self.create(self.fake.name + "/no", tag="1").status, 401)

    def test_stream_and_events(self):
        ref = self.fake.add(Image([[Entry.file("a")]]), "s", "1")
        a = self.create(ref.rsplit(":", 1)[0], tag="1")
        self.assertEqual((a.status, a.headers["content-type"]), (200, "application/json"))
        lines = [json.loads(line) for line in a.text.split("\r\n") if line]
        self.assertEqual(lines[0], {"status": "Pulling from s", "id": "1"})
        self.assertIn({"status": "Pull complete", "progressDetail": {}, "id": digest(Image([[Entry.file("a")]]).layers[0])[7:19]}, lines)
        events = self.api("GET", "/events", query={"since": "0", "until": str(int(time.time()) + 1), "filters": {"event": ["pull"]}}).text
        self.assertIn('"Action":"pull"', events)
        self.api("DELETE", "/images/" + ref)

    def test_an_error_behind_the_first_byte_is_in_the_stream(self):
        image = Image([[Entry.file("b")]])
        ref = self.fake.add(image, "late", "1")
        self.fake.blobs[digest(image.layers[0])] = b"x" * len(image.layers[0])
        a = self.create(ref)
        self.assertEqual(a.status, 200)
        last = json.loads(a.text.split("\r\n")[-2])
        self.assertIn("wrong digest", last["error"])
        self.assertEqual(last["errorDetail"], {"message": last["error"]})

    def test_a_client_that_leaves_ends_the_pull(self):
        image = Image([[Entry.file("c", os.urandom(100000))]])
        ref, came = self.fake.add(image, "left", "1"), threading.Event()

        def stall(h, path, query):
            if path.endswith(digest(image.layers[0])):
                h.send_response(200)
                h.send_header("Content-Length", str(len(image.layers[0])))
                h.end_headers()
                h.wfile.write(image.layers[0][:1000])
                h.wfile.flush()
                came.set()
                time.sleep(30)
                return True
        self.fake.lies.append(stall)
        r = self.api.stream("POST", f"/images/create?fromImage={ref}")
        self.assertTrue(came.wait(20))
        r.close()
        r.connection.close()
        self.assertTrue(wait_until(lambda: not any("coffer-fetch" in coffer.cmdline(p) for p in coffer.children_of(self.daemon.proc.pid)), 20))

    def test_docker_pulls(self):
        ref = self.fake.add(Image([images.busybox_entries()]), "docker/cli", "1")
        for cli in ("docker",):
            r = subprocess.run([cli, "-H", "unix://" + self.sock, "pull", ref], capture_output=True, text=True, timeout=60, env=dict(self.env))
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertIn(f"Status: Downloaded newer image for {ref}", r.stdout)
            self.api("DELETE", "/images/" + ref + "?force=1")


if __name__ == "__main__":
    unittest.main()
