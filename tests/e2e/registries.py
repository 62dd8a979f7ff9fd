# SPDX-License-Identifier: Apache-2.0
"""Registries for tests, on loopback: Debian's docker-registry (plain, TLS, htpasswd), and one of our own that lies as it is told."""

import base64
import contextlib
import gzip
import hashlib
import http.server
import json
import os
import selectors
import signal
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request

import coffer
import images

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
MANIFEST, INDEX = OCI + "manifest.v1+json", OCI + "index.v1+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_cert(folder, name="registry", hosts=("localhost",), addresses=("127.0.0.1",), days=2):
    """A self-signed certificate. Return: (cert path, key path)."""
    cert, key = os.path.join(folder, name + ".crt"), os.path.join(folder, name + ".key")
    san = ",".join([f"DNS:{h}" for h in hosts] + [f"IP:{a}" for a in addresses])
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-days", str(max(days, 1)), "-subj", "/CN=test", "-addext", f"subjectAltName={san}"],
                   check=True, capture_output=True)
    if days < 0:  # has run out: by a request, since req -x509 makes none that is
        with open(cert + ".ext", "w") as f:
            f.write("subjectAltName=" + san)
        subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=test", "-out", cert + ".csr"], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", cert + ".csr", "-signkey", key, "-days", str(days), "-extfile", cert + ".ext", "-out", cert], check=True, capture_output=True)
    return cert, key


class Registry:
    """A docker-registry. close() it."""

    def __init__(self, folder, tls=None, users=None, upstream=None):
        self.dir = tempfile.mkdtemp(prefix="registry.", dir=folder)
        self.port = free_port()
        self.name = f"127.0.0.1:{self.port}"
        self.scheme = "https" if tls else "http"
        lines = ["version: 0.1", "log: {level: error}", f"storage: {{filesystem: {{rootdirectory: {self.dir}/data}}, delete: {{enabled: true}}}}", f"http:\n  addr: {self.name}"]
        if tls:
            lines[-1] += f"\n  tls: {{certificate: {tls[0]}, key: {tls[1]}}}"
        if users:
            path = os.path.join(self.dir, "htpasswd")
            with open(path, "w") as f:
                for user, password in users.items():
                    f.write(subprocess.run(["htpasswd", "-nbB", "-C", "4", user, password], check=True, capture_output=True, text=True).stdout.strip() + "\n")
            lines.append(f"auth: {{htpasswd: {{realm: test, path: {path}}}}}")
        if upstream:
            lines.append(f"proxy: {{remoteurl: {upstream}}}")
        config = os.path.join(self.dir, "config.yml")
        with open(config, "w") as f:
            f.write("\n".join(lines) + "\n")
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.proc = subprocess.Popen(["docker-registry", "serve", config], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        if not coffer.wait_until(self.answers, 20) or self.proc.poll() is not None:
            self.close()
            raise AssertionError("docker-registry did not come up: " + coffer.read_text(self.log.name))

    def answers(self):
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        return self.proc.poll() is not None

    def close(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()
        self.log.close()

    def push(self, archive, ref, creds=None, src="docker-archive", dst_args=()):
        """By skopeo: what an archive holds becomes REGISTRY/@ref."""
        argv = ["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", *dst_args, *(["--dest-creds", creds] if creds else []), f"{src}:{archive}", f"docker://{self.name}/{ref}"]
        subprocess.run(argv, check=True, capture_output=True, timeout=120)
        return f"{self.name}/{ref}"

    def put(self, path, data, kind, method="PUT"):
        """A request of the distribution API without credentials. Return: headers."""
        r = urllib.request.Request(f"http://{self.name}/v2/{path}", data=data, method=method, headers={"Content-Type": kind})
        with urllib.request.urlopen(r, timeout=20) as answer:
            return answer.headers

    def put_blob(self, repo, data):
        where = self.put(f"{repo}/blobs/uploads/", b"", "application/octet-stream", "POST")["Location"]
        url = urllib.parse.urlsplit(where)
        self.put(url.path.removeprefix("/v2/") + "?" + url.query + "&digest=" + digest(data), data, "application/octet-stream")
        return digest(data)


class Image:
    """The documents and blobs of an image, to be served or bent."""

    def __init__(self, layers, config=None, compress=True, media=OCI, arch=None):
        raw = [x if isinstance(x, bytes) else images.tar(x) for x in layers]
        self.layers = [gzip.compress(b, 1, mtime=0) if compress else b for b in raw]
        more = {"architecture": arch} if arch else {}
        self.config = images.config_of([digest(b) for b in raw], config, **more)
        docker = media == DOCKER
        kinds = (DOCKER + "container.image.v1+json", DOCKER + "image.rootfs.diff.tar.gzip", DOCKER + "distribution.manifest.v2+json") if docker else (OCI + "config.v1+json", OCI + "layer.v1.tar" + ("+gzip" if compress else ""), MANIFEST)
        self.media_type = kinds[2]
        self.doc = {"schemaVersion": 2, "mediaType": kinds[2], "config": {"mediaType": kinds[0], "digest": digest(self.config), "size": len(self.config)},
                    "layers": [{"mediaType": kinds[1], "digest": digest(b), "size": len(b)} for b in self.layers]}

    @property
    def manifest(self):
        return json.dumps(self.doc).encode()

    @property
    def digest(self):
        return digest(self.manifest)

    def descriptor(self, **platform):
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.manifest), **({"platform": platform} if platform else {})}

    @property
    def blobs(self):
        return {digest(b): b for b in [self.config, *self.layers]}


def index(*descriptors, media=INDEX):
    return json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": list(descriptors)}).encode()


class Fake:
    """A registry in this process. `manifests[(repo, reference)] = (type, bytes)`, `blobs[digest] = bytes`, and `lies`: functions (handler, path, query) that answer
    themselves and return True, or leave it."""

    def __init__(self, tls=None, address="127.0.0.1", port=0, client_ca=None):
        """@client_ca: certificates of clients that are let in; others are asked for one and are turned away."""
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes: the second would wait for the first one's acknowledgement

            def log_message(self, *args):
                pass

            def answer(self, status, body=b"", kind="application/json", **headers):
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                for k, v in headers.items():
                    self.send_header(k.replace("_", "-"), v)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def error(self, status, code, **headers):
                self.answer(status, json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode(), **headers)

            def handle_one(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length) if length else b""
                fake.seen.append((self.command, self.path, dict(self.headers)))
                for lie in list(fake.lies):
                    if lie(self, url.path, query):
                        return
                fake.honest(self, url.path)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # clients that leave in the middle are what is tested

        self.manifests, self.blobs, self.lies, self.seen = {}, {}, [], []
        self.server = Server((address, port), Handler)
        self.port = self.server.server_address[1]
        self.name = f"{address}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.name}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if client_ca:
                context.load_verify_locations(client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def add(self, image, repo, tag):
        self.manifests[(repo, tag)] = self.manifests[(repo, image.digest)] = (image.media_type, image.manifest)
        self.blobs.update(image.blobs)
        return f"{self.name}/{repo}:{tag}"

    def honest(self, h, path):
        parts = path.removeprefix("/v2/").rsplit("/", 2)
        if path == "/v2/":
            return h.answer(200, b"{}")
        if len(parts) == 3 and parts[1] == "manifests":
            kind, body = self.manifests.get((parts[0], parts[2]), (None, None))
            if body is None:
                return h.error(404, "MANIFEST_UNKNOWN")
            return h.answer(200, body, kind, Docker_Content_Digest=digest(body))
        if len(parts) == 3 and parts[1] == "blobs" and parts[2] in self.blobs:
            return self.send_blob(h, self.blobs[parts[2]])
        return h.error(404, "BLOB_UNKNOWN")

    @staticmethod
    def send_blob(h, data):
        start = h.headers.get("Range", "")
        if start.startswith("bytes="):
            at = int(start[6:].split("-")[0])
            return h.answer(206, data[at:], "application/octet-stream", Content_Range=f"bytes {at}-{len(data) - 1}/{len(data)}")
        return h.answer(200, data, "application/octet-stream")

    def asked(self, word, method=None):
        return [s for s in self.seen if word in s[1] and (not method or s[0] == method)]

    def credentials_seen(self):
        return [s for s in self.seen if "Authorization" in s[2]]


class Proxy:
    """A proxy of HTTP: CONNECT, and plain requests by their whole address. Names lead where @names says, and nowhere else. `seen`: (method, target, headers)."""

    def __init__(self, names, credentials=None, refuse=None, address="127.0.0.1"):
        proxy = self
        want = "Basic " + base64.b64encode(credentials.encode()).decode() if credentials else None

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                method, target, _ = self.rfile.readline().decode().split()
                lines = iter(lambda: self.rfile.readline().strip().decode(), "")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
                proxy.seen.append((method, target, headers))
                if want and headers.get("proxy-authorization") != want:
                    return self.wfile.write(b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                if refuse:
                    return self.wfile.write(f"HTTP/1.1 {refuse} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                url = urllib.parse.urlsplit(target if "://" in target else "//" + target)
                with socket.create_connection((proxy.names[url.hostname], url.port or 80), 20) as there:
                    if method == "CONNECT":
                        self.wfile.write(b"HTTP/1.1 200 Go\r\n\r\n")
                    else:
                        rest = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if not k.startswith("proxy-") and k != "connection")
                        there.sendall(f"{method} {url.path}{'?' + url.query if url.query else ''} HTTP/1.1\r\n{rest}connection: close\r\n\r\n".encode())
                    self.relay(there)

            def relay(self, there):
                with selectors.DefaultSelector() as s:
                    s.register(self.connection, selectors.EVENT_READ, there)
                    s.register(there, selectors.EVENT_READ, self.connection)
                    while True:
                        for key, _ in s.select():
                            data = key.fileobj.recv(1 << 16)
                            if not data:
                                return
                            key.data.sendall(data)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.names, self.seen = names, []
        self.server = Server((address, 0), Handler)
        self.name = f"{address}:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def auth_config(home, name, user, password, **more):
    """A docker config.json below @home with credentials for @name."""
    os.makedirs(os.path.join(home, ".docker"), exist_ok=True)
    auths = {name: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}} if name else {}
    with open(os.path.join(home, ".docker", "config.json"), "w") as f:
        json.dump({"auths": auths, **more}, f)
