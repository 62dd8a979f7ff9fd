# SPDX-License-Identifier: Apache-2.0
"""The ways to a registry: proxies, client certificates, mirrors that fail."""

import json
import os
import subprocess
import unittest

import images
import registries
from images import Entry
from registries import Image, digest
from test_pull import PullTest, etc_overlay
from test_push import raw_manifest

ASAN = True
NAME = "registry.example"


class WayTest(PullTest):
    """coffer with other /etc: @hosts that lead to the loopback interface, a daemon.json, more files."""

    def etc(self, daemon=None, hosts=(), files=None):
        texts = {"hosts": "127.0.0.1 localhost " + " ".join(hosts) + "\n", "coffer/daemon.json": json.dumps(daemon or {}), **(files or {})}
        type(self).command = etc_overlay(os.path.join(self.scratch, self.unique("etc")), texts) + [self.stage.coffer]
        self.addCleanup(setattr, type(self), "command", [self.stage.coffer])

    def proxy(self, *names, **kw):
        p = registries.Proxy({n: "127.0.0.1" for n in names}, **kw)
        self.addCleanup(p.close)
        return p

    def gone(self, ref):
        self.coffer("rmi", "-f", ref)


class Proxies(WayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cert = registries.make_cert(cls.scratch, hosts=(NAME,))
        cls.tls, cls.plain = cls.fake(tls=cls.cert), cls.fake()
        cls.image = Image([[Entry.file("a", os.urandom(200000))]])
        for f in (cls.tls, cls.plain):
            f.add(cls.image, "x", "1")
        cls.ref, cls.plain_ref = f"{NAME}:{cls.tls.port}/x:1", f"{NAME}:{cls.plain.port}/x:1"
        cls.trust = {"SSL_CERT_FILE": cls.cert[0]}

    def pulled(self, ref=None, **env):
        r = self.pull(ref or self.ref, env=dict(self.trust, **env))
        self.assertIn("Downloaded newer image", r.out)
        self.gone(ref or self.ref)

    def test_connect(self):
        """The name is not known here at all: it is the proxy that finds it. What is inside the tunnel is the registry's alone."""
        p = self.proxy(NAME)
        self.etc({"proxies": {"https-proxy": "http://" + p.name}})
        home = os.path.join(self.scratch, "home")
        registries.auth_config(home, f"{NAME}:{self.tls.port}", "alice", "secret")
        lie = lambda h, path, q: h.headers.get("Authorization") != "Basic YWxpY2U6c2VjcmV0" and (h.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"') or True)
        self.tls.lies.append(lie)
        self.addCleanup(self.tls.lies.remove, lie)
        self.pulled(HOME=home)
        self.assertEqual({(m, t) for m, t, h in p.seen}, {("CONNECT", f"{NAME}:{self.tls.port}")})
        self.assertEqual([h for m, t, h in p.seen if "authorization" in h or "proxy-authorization" in h], [])

    def test_by_the_environment(self):
        for name in ("HTTPS_PROXY", "https_proxy"):
            p = self.proxy(NAME)
            self.etc()
            self.pulled(**{name: p.name})
            self.assertTrue(p.seen)

    def test_the_file_goes_before_the_environment(self):
        p, other = self.proxy(NAME), self.proxy(NAME)
        self.etc({"proxies": {"https-proxy": "http://" + p.name}})
        self.pulled(HTTPS_PROXY="http://" + other.name)
        self.assertEqual((bool(p.seen), other.seen), (True, []))

    def test_no_proxy(self):
        for no in (NAME, ".example", "other.test,registry.example", "*"):
            p = self.proxy(NAME)
            self.etc({"proxies": {"https-proxy": "http://" + p.name, "no-proxy": no}}, hosts=[NAME])
            self.pulled()
            self.assertEqual(p.seen, [], no)

    def test_a_proxy_that_wants_credentials(self):
        p = self.proxy(NAME, credentials="me:pw")
        self.etc({"proxies": {"https-proxy": "http://me:pw@" + p.name}})
        self.tls.seen.clear()
        self.pulled()
        self.assertEqual([h for m, t, h in self.tls.seen if "Proxy-Authorization" in h], [])
        self.etc({"proxies": {"https-proxy": "http://me:canary-wrong@" + p.name}})
        r = self.refused(self.ref, "407", env=self.trust)
        self.assertNotIn("canary-wrong", r.err)

    def test_a_proxy_that_refuses_or_is_not_there(self):
        p = self.proxy(NAME, refuse=403)
        self.etc({"proxies": {"https-proxy": "http://" + p.name}}, hosts=[NAME])
        self.tls.seen.clear()
        self.refused(self.ref, "403", env=self.trust)
        self.etc({"proxies": {"https-proxy": "http://127.0.0.1:1"}}, hosts=[NAME])
        self.refused(self.ref, "127.0.0.1", env=self.trust)
        self.assertEqual(self.tls.seen, [], "there is no way around the proxy")

    def test_plain_http(self):
        p = self.proxy(NAME)
        self.etc({"proxies": {"http-proxy": "http://" + p.name, "https-proxy": "http://" + p.name}, "insecure-registries": [f"{NAME}:{self.plain.port}"]})
        self.pulled(self.plain_ref)
        self.assertIn(("GET", f"http://{NAME}:{self.plain.port}/v2/x/manifests/1"), {(m, t) for m, t, h in p.seen})

    def test_this_host_s_own_registry_is_not_asked_for_by_a_proxy(self):
        p = self.proxy("127.0.0.1", "localhost")
        self.etc({"proxies": {"http-proxy": "http://" + p.name, "https-proxy": "http://" + p.name}})
        for name in ("127.0.0.1", "localhost"):
            self.pulled(f"{name}:{self.plain.port}/x:1")
        self.assertEqual(p.seen, [])

    def test_how_deep_a_registry_may_lead(self):
        """A registry on a private network leads to no loopback interface, but the operator's proxy there is no place that it leads to."""
        private = "10.99.8.7"
        subprocess.run(["ip", "addr", "add", private + "/32", "dev", "lo"], check=True)
        self.addCleanup(subprocess.run, ["ip", "addr", "del", private + "/32", "dev", "lo"], check=True)
        reg = self.fake(tls=registries.make_cert(self.scratch, "private", addresses=(private,)), address=private)
        ref = reg.add(self.image, "x", "1")
        self.tls.blobs.update(self.image.blobs)
        where = f"https://{NAME}:{self.tls.port}"
        reg.lies.append(lambda h, path, q: "/blobs/" in path and (h.answer(307, b"", Location=where + path) or True))
        self.etc({"insecure-registries": [reg.name]}, hosts=[NAME])
        self.refused(ref, "private, loopback or link-local", env=self.trust)
        home = os.path.join(self.scratch, "deep")
        registries.auth_config(home, reg.name, "alice", "secret")
        self.tls.seen.clear()
        token = lambda h, path, q: not h.headers.get("Authorization") and (h.error(401, "UNAUTHORIZED", WWW_Authenticate=f'Bearer realm="{where}/token"') or True)
        reg.lies.insert(0, token)
        self.refused(ref, "private, loopback or link-local", env=dict(self.trust, HOME=home))
        self.assertEqual(self.tls.seen, [], "no secret went to a token server on the loopback interface")
        reg.lies.remove(token)
        p = self.proxy(NAME)
        self.etc({"insecure-registries": [reg.name], "proxies": {"https-proxy": "http://" + p.name, "no-proxy": private}})
        self.pulled(ref)
        self.assertEqual({t for m, t, h in p.seen}, {where[8:]})

    def test_what_info_says(self):
        self.etc({"proxies": {"https-proxy": "http://me:canary@" + NAME + ":3128", "no-proxy": ".local"}, "insecure-registries": [NAME + ":5000", "10.0.0.0/8"], "registry-mirrors": ["https://mirror.example/"]})
        doc = json.loads(self.coffer("info", "--format", "json").out)
        self.assertEqual((doc["HttpProxy"], doc["HttpsProxy"], doc["NoProxy"]), ("", f"http://xxxxx:xxxxx@{NAME}:3128", ".local"))
        self.assertEqual(doc["RegistryConfig"]["InsecureRegistryCIDRs"], ["::1/128", "127.0.0.0/8", "10.0.0.0/8"])
        self.assertEqual(doc["RegistryConfig"]["IndexConfigs"], {"docker.io": {"Name": "docker.io", "Mirrors": ["https://mirror.example/"], "Secure": True, "Official": True},
                                                                 NAME + ":5000": {"Name": NAME + ":5000", "Mirrors": [], "Secure": False, "Official": False}})
        self.assertEqual(doc["RegistryConfig"]["Mirrors"], ["https://mirror.example/"])
        text = self.coffer("info").out
        self.assertIn(f" HTTPS Proxy: http://xxxxx:xxxxx@{NAME}:3128\n No Proxy: .local\n", text)
        self.assertIn(f" Insecure Registries:\n  {NAME}:5000\n  ::1/128\n  127.0.0.0/8\n  10.0.0.0/8\n Registry Mirrors:\n  https://mirror.example/\n", text)
        self.assertNotIn("canary", text)

    def test_push(self):
        reg = self.registry(tls=registries.make_cert(self.scratch, "push", hosts=(NAME,)))
        p = self.proxy(NAME)
        self.etc({"proxies": {"https-proxy": "http://" + p.name}, "insecure-registries": [f"{NAME}:{reg.port}"]})
        self.coffer("load", "-i", images.docker_archive([[Entry.file("p", os.urandom(30 << 20))]], ["proxied:1"]))
        ref = f"{NAME}:{reg.port}/proxied:1"
        self.coffer("tag", "proxied:1", ref)
        self.coffer("push", ref)
        self.assertTrue(json.loads(raw_manifest(f"{reg.name}/proxied:1"))["layers"])
        self.assertEqual({m for m, t, h in p.seen}, {"CONNECT"})
        self.coffer("rmi", "-f", "proxied:1", ref)


class ClientCertificates(WayTest):
    """A registry that lets in who shows a certificate, which certs.d has for it alone."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = registries.make_cert(cls.scratch, "server", hosts=(NAME, "localhost"))
        cls.mine = registries.make_cert(cls.scratch, "client")
        cls.reg = cls.fake(tls=cls.server, client_ca=cls.mine[0])
        cls.image = Image([[Entry.file("a")]])
        cls.ref = cls.reg.add(cls.image, "x", "1")

    def certs(self, pair, where="docker", host=None):
        files = {}
        for name, path in (("ca.crt", self.server[0]), ("client.cert", pair[0] if pair else None), ("client.key", pair[1] if pair else None)):
            if path:
                with open(path) as f:
                    files[f"{where}/certs.d/{host or self.reg.name}/{name}"] = f.read()
        return files

    def test_shown_or_not(self):
        other = registries.make_cert(self.scratch, "other-client")
        for where in ("docker", "coffer"):
            self.etc(files=self.certs(self.mine, where))
            self.pull(self.ref)
            self.gone(self.ref)
        for pair in (None, other):
            self.etc(files=self.certs(pair))
            self.reg.seen.clear()
            self.refused(self.ref)
            self.assertEqual(self.reg.seen, [])

    def test_broken_ones_are_an_error(self):
        files = self.certs(self.mine)
        key = next(k for k in files if k.endswith(".key"))
        self.etc(files={k: v for k, v in files.items() if k != key})
        self.refused(self.ref, "certs.d", "client.cert")
        self.etc(files=dict(files, **{key: "nonsense"}))
        self.refused(self.ref)

    def test_another_host_does_not_see_it(self):
        """The registry sends a blob's reader to a host that asks for a certificate as well: it gets none."""
        other = self.fake(tls=self.server, client_ca=self.mine[0])
        other.blobs.update(self.image.blobs)
        lie = lambda h, path, q: "/blobs/" in path and (h.answer(307, b"", Location=other.url + path) or True)
        self.reg.lies.append(lie)
        self.addCleanup(self.reg.lies.remove, lie)
        self.etc(files=self.certs(self.mine))
        self.refused(self.ref)
        self.assertEqual(other.seen, [])


class Mirrors(WayTest):
    """docker.io is played by a registry of our own at port 443, the name of which /etc/hosts leads here."""

    HUB = "registry-1.docker.io"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cert = registries.make_cert(cls.scratch, hosts=(cls.HUB,))
        cls.hub = cls.fake(tls=cls.cert, port=443)
        cls.image = Image([images.busybox_entries(), [Entry.file("m", os.urandom(300000))]])
        cls.hub.add(cls.image, "library/mirrored", "1")

    def setUp(self):
        self.mirror = self.fake()
        self.mirror.add(self.image, "library/mirrored", "1")
        self.hub.seen.clear()
        self.etc({"registry-mirrors": [self.mirror.url]}, hosts=[self.HUB])

    def pulled(self):
        r = self.pull("mirrored:1", env={"SSL_CERT_FILE": self.cert[0]})
        self.assertEqual(r.lines[-2], "Status: Downloaded newer image for mirrored:1")
        self.assertEqual(self.run_("mirrored:1", "sh", "-c", "wc -c </m").word, "300000")
        self.gone("mirrored:1")

    def test_one_that_works_is_all_that_is_asked(self):
        self.pulled()
        self.assertEqual(self.hub.seen, [])

    def test_answers_that_are_none(self):
        """A mirror that has nothing, is broken, wants credentials, lies about a digest or speaks of something else: the registry itself is asked."""
        lies = {
            "404": lambda h: h.error(404, "MANIFEST_UNKNOWN"), "401": lambda h: h.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"'), "403": lambda h: h.error(403, "DENIED"),
            "500": lambda h: h.error(500, "UNKNOWN"), "html": lambda h: h.answer(200, b"<html>", "text/html"), "digest": lambda h: h.answer(200, self.image.manifest, self.image.media_type, Docker_Content_Digest="sha256:" + "0" * 64),
            "elsewhere": lambda h: h.answer(302, b"", Location="http://192.0.2.1/"),
        }
        for what, lie in lies.items():
            with self.subTest(what):
                self.mirror.lies[:] = [lambda h, path, q, lie=lie: "/manifests/" in path and (lie(h) or True)]
                self.hub.seen.clear()
                self.pulled()
                self.assertTrue(self.hub.asked("/blobs/"))

    def test_one_that_is_not_there(self):
        self.etc({"registry-mirrors": ["http://127.0.0.1:1", "https://127.0.0.1:1/"]}, hosts=[self.HUB])
        self.pulled()

    def test_blobs_that_it_lacks_come_from_the_registry(self):
        """It has the manifest, and a layer is missing or breaks off in the middle of it."""
        layer = self.image.layers[1]

        def cut(h, path, q):
            if path.endswith(digest(layer)):
                h.send_response(200)
                h.send_header("Content-Length", str(len(layer)))
                h.end_headers()
                h.wfile.write(layer[:100000])
                h.wfile.flush()
                h.close_connection = True
                h.connection.shutdown(2)
                self.mirror.lies[:] = [lambda h, path, q: path.endswith(digest(layer)) and (h.error(404, "BLOB_UNKNOWN") or True)]
                return True
        for lie in (lambda h, path, q: path.endswith(digest(layer)) and (h.error(404, "BLOB_UNKNOWN") or True), cut):
            self.mirror.lies[:] = [lie]
            self.hub.seen.clear()
            self.pulled()
            self.assertEqual({p.rsplit("/", 1)[1] for m, p, h in self.hub.seen}, {digest(layer)})

    def test_its_bytes_are_not_believed(self):
        layer = self.image.layers[1]
        self.mirror.lies[:] = [lambda h, path, q: path.endswith(digest(layer)) and (h.answer(200, layer[:-1] + bytes([layer[-1] ^ 1]), "x/y") or True)]
        self.refused("mirrored:1", "wrong digest", env={"SSL_CERT_FILE": self.cert[0]})

    def test_pull_through(self):
        """Debian's docker-registry as a cache in front of another one: it fetches what it has not, and has it when the other is gone."""
        upstream = self.registry()
        upstream.push(images.docker_archive([images.busybox_entries(), [Entry.file("m", b"m" * 300000)]], ["t:1"]), "library/mirrored:1")
        cache = self.registry(upstream=f"http://{upstream.name}")
        self.etc({"registry-mirrors": [f"http://{cache.name}"]}, hosts=[self.HUB])
        self.hub.seen.clear()
        self.pulled()
        self.assertEqual(self.hub.seen, [])


if __name__ == "__main__":
    unittest.main()
