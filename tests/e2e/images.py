# SPDX-License-Identifier: Apache-2.0
"""Images for the end-to-end tests, made with tarfile alone: layers from lists of entries, docker archives, OCI archives.

A layer is a list of Entry; `busybox_layer()` is a root file system from Debian's busybox-static with a few users. Its
shell runs applets without execve: where a test needs a real one it names /bin/busybox or a copy of it by path.
"""

import atexit
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile

BUSYBOX = "/bin/busybox"
PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = "root:x:0:\ndaemon:x:1:\nbin:x:2:\naudio:x:29:alice\nstaff:x:50:alice,daemon\nalice:x:1000:\nnogroup:x:65534:\n"
EPOCH = 1700000000

_tmp = None


def tmp():
    """A directory of this process for made images."""
    global _tmp
    if _tmp is None:
        _tmp = tempfile.mkdtemp(prefix="coffer-images.", dir="/var/tmp")
        atexit.register(shutil.rmtree, _tmp, True)
    return _tmp


class Entry:
    """One tar member: Entry.file(), .dir(), .link(), .symlink(), .node()."""

    def __init__(self, name, kind, mode, data=b"", target="", uid=0, gid=0, pax=None, major=0, minor=0):
        self.info = tarfile.TarInfo(name)
        self.info.type, self.info.mode, self.info.linkname, self.info.uid, self.info.gid = kind, mode, target, uid, gid
        self.info.size, self.info.mtime, self.info.devmajor, self.info.devminor = len(data), EPOCH, major, minor
        self.info.pax_headers = dict(pax or {})
        self.data = data

    @classmethod
    def file(cls, name, data=b"", mode=0o644, **kw):
        return cls(name, tarfile.REGTYPE, mode, data.encode() if isinstance(data, str) else data, **kw)

    @classmethod
    def dir(cls, name, mode=0o755, **kw):
        return cls(name, tarfile.DIRTYPE, mode, **kw)

    @classmethod
    def link(cls, name, target, **kw):
        return cls(name, tarfile.LNKTYPE, 0o755, target=target, **kw)

    @classmethod
    def symlink(cls, name, target, **kw):
        return cls(name, tarfile.SYMTYPE, 0o777, target=target, **kw)

    @classmethod
    def fifo(cls, name, mode=0o644, **kw):
        return cls(name, tarfile.FIFOTYPE, mode, **kw)

    @classmethod
    def node(cls, name, kind, major, minor, mode=0o666):
        return cls(name, tarfile.CHRTYPE if kind == "c" else tarfile.BLKTYPE, mode, major=major, minor=minor)


def tar(entries):
    """The bytes of an uncompressed pax tar of @entries."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for e in entries:
            t.addfile(e.info, io.BytesIO(e.data) if e.info.isreg() else None)
    return out.getvalue()


def applets():
    return subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()


def busybox_entries(replace=()):
    """Entries of a busybox root file system. @replace: entries that take the place of those with the same name and of what is below them."""
    with open(BUSYBOX, "rb") as f:
        binary = f.read()
    entries = [Entry.dir(d) for d in ("bin", "dev", "etc", "home", "lib", "proc", "sbin", "sys", "usr", "var", "mnt")]
    entries += [Entry.dir("root", 0o700), Entry.dir("tmp", 0o1777), Entry.dir("home/alice", 0o755, uid=1000, gid=1000), Entry.dir("usr/bin")]
    entries += [Entry.file("bin/busybox", binary, 0o755)]
    entries += [Entry.link("bin/" + a, "bin/busybox") for a in applets() if a != "busybox"]
    entries += [Entry.file("etc/passwd", PASSWD), Entry.file("etc/group", GROUP), Entry.file("etc/hostname", "image\n"), Entry.file("etc/hosts", "127.0.0.1 image\n")]
    gone = [e.info.name.rstrip("/") for e in replace]
    kept = [e for e in entries if not any(e.info.name == g or e.info.name.startswith(g + "/") for g in gone)]
    return kept + list(replace)


def config_of(diff_ids, config=None, history=None, **top):
    defaults = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    if "Entrypoint" not in (config or {}):
        defaults["Cmd"] = ["sh"]
    body = {
        "created": "2023-11-14T22:13:20Z",
        "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
        "os": "linux",
        "config": dict(defaults, **(config or {})),
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history or [{"created": "2023-11-14T22:13:20Z", "created_by": f"layer {i}"} for i in range(len(diff_ids))],
    }
    body.update(top)
    return json.dumps(body).encode()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def _write(path, members):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as t:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o644, EPOCH
            t.addfile(info, io.BytesIO(data))
    return path


def docker_archive(layers, tags, config=None, path=None, edit=None):
    """A `docker save` archive of @layers (lists of Entry, or bytes of tars). @edit(members): may change the dict of members."""
    blobs = [x if isinstance(x, bytes) else tar(x) for x in layers]
    cfg = config_of(["sha256:" + sha(b) for b in blobs], config)
    names = [f"{sha(b)}-{i}/layer.tar" for i, b in enumerate(blobs)]
    manifest = [{"Config": sha(cfg) + ".json", "RepoTags": list(tags), "Layers": names}]
    members = {sha(cfg) + ".json": cfg, **dict(zip(names, blobs)), "manifest.json": json.dumps(manifest).encode()}
    if edit:
        edit(members)
    return _write(path or tempfile.mktemp(prefix="docker.", suffix=".tar", dir=tmp()), members.items())


def oci_archive(layers, ref, config=None, compress="gzip", path=None):
    """An OCI archive with @layers compressed by "gzip", "zstd" or "none"."""
    raw = [x if isinstance(x, bytes) else tar(x) for x in layers]
    suffix = {"gzip": "+gzip", "zstd": "+zstd", "none": ""}[compress]
    pack = {"gzip": lambda b: gzip.compress(b, 1, mtime=0), "zstd": _zstd, "none": lambda b: b}[compress]
    packed = [pack(b) for b in raw]
    cfg = config_of(["sha256:" + sha(b) for b in raw], config)

    def descriptor(kind, data, **more):
        return dict({"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + sha(data), "size": len(data)}, **more)

    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": descriptor("config.v1+json", cfg),
                           "layers": [descriptor("layer.v1.tar" + suffix, b) for b in packed]}).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [descriptor("manifest.v1+json", manifest, annotations={"org.opencontainers.image.ref.name": ref})]}).encode()
    members = [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index)]
    members += [("blobs/sha256/" + sha(b), b) for b in {sha(b): b for b in [cfg, manifest] + packed}.values()]
    return _write(path or tempfile.mktemp(prefix="oci.", suffix=".tar", dir=tmp()), members)


def _zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


_made = {}


def starter(name="busybox"):
    """Path of a docker archive of busybox tagged `NAME:latest`; made once per process."""
    if name not in _made:
        _made[name] = docker_archive([busybox_entries()], [name + ":latest"])
    return _made[name]


def variant(tag, config=None, replace=(), extra_layers=()):
    """An archive of busybox with another image configuration, other entries or more layers, tagged @tag."""
    return docker_archive([busybox_entries(replace), *extra_layers], [tag], config)
