# SPDX-License-Identifier: Apache-2.0
"""The tar corpus: one Case for each trick that an image layer can try, with what must become of it.

A case is a stack of layers (bytes of tars, base first), the words that a refusal must hold (None: it must be taken), and a check of
the unpacked top layer. `corpus(canary)` makes them; CANARY is a directory of the host that the tricks aim at.
"""

import io
import os
import stat
import struct
import subprocess
import tarfile
import tempfile

EPOCH = 1700000000
CAP = struct.pack("<IIIII", 0x02000001, 0x2000, 0, 0, 0)  # cap_net_raw=ep, revision 2


class Case:
    def __init__(self, name, *layers, refused=None, check=None):
        self.name, self.layers, self.refused, self.check = name, layers, refused, check


class Fs:
    """The unpacked directory of a layer, looked at without following links."""

    def __init__(self, root):
        self.root = root

    def path(self, name):
        return os.path.join(self.root, name)

    def stat(self, name):
        return os.lstat(self.path(name))

    def has(self, name):
        return os.path.lexists(self.path(name))

    def text(self, name):
        assert stat.S_ISREG(self.stat(name).st_mode), name
        with open(self.path(name), "rb") as f:
            return f.read()

    def link(self, name):
        return os.readlink(self.path(name))

    def mode(self, name):
        return stat.S_IMODE(self.stat(name).st_mode)

    def is_dir(self, name):
        return stat.S_ISDIR(self.stat(name).st_mode)

    def whiteout(self, name):
        st = self.stat(name)
        return stat.S_ISCHR(st.st_mode) and st.st_rdev == 0

    def opaque(self, name):
        try:
            return os.getxattr(self.path(name), "trusted.overlay.opaque", follow_symlinks=False) == b"y"
        except OSError:
            return False

    def xattrs(self, name):
        return sorted(os.listxattr(self.path(name), follow_symlinks=False))

    def names(self):
        found = []
        for path, dirs, files in os.walk(self.root):
            found += [os.path.relpath(os.path.join(path, n), self.root) for n in dirs + files]
        return sorted(found)


def entry(name, kind=tarfile.REGTYPE, data=b"", link="", mode=None, uid=0, gid=0, mtime=EPOCH, major=0, minor=0, pax=None):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.uid, info.gid, info.mtime = kind, len(data), link, uid, gid, mtime
    info.mode = mode if mode is not None else 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.devmajor, info.devminor, info.pax_headers = major, minor, dict(pax or {})
    return info, data


def d(name, **kw):
    return entry(name, tarfile.DIRTYPE, **kw)


def f(name, data=b"data", **kw):
    return entry(name, data=data, **kw)


def s(name, target, **kw):
    return entry(name, tarfile.SYMTYPE, link=target, **kw)


def h(name, target, **kw):
    return entry(name, tarfile.LNKTYPE, link=target, **kw)


def tar(*entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as t:
        for info, data in entries:
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def block(name=b"x", kind=b"0", size=0, link=b"", magic=b"ustar\x0000", mode=b"0000644\0", tail=b""):
    """One raw header block. @tail: bytes from offset 345 on."""
    b = bytearray(512)
    b[0:len(name)] = name
    b[100:108] = mode
    b[108:116] = b[116:124] = b"0000000\0"
    b[124:136] = b"%011o\0" % size
    b[136:148] = b"%011o\0" % EPOCH
    b[156:157] = kind
    b[157:157 + len(link)] = link
    b[257:265] = magic
    b[345:345 + len(tail)] = tail
    b[148:156] = b" " * 8
    b[148:156] = b"%06o\0 " % sum(b)
    return bytes(b)


def padded(data):
    return data + b"\0" * (-len(data) % 512)


def pax(*records, kind=b"x", size=None):
    body = b""
    for r in records:
        n = len(r) + 3
        while len(b"%d %s\n" % (n, r)) != n:
            n += 1
        body += b"%d %s\n" % (n, r)
    return block(b"pax", kind, len(body) if size is None else size) + padded(body)


END = b"\0" * 1024


def gnu_sparse_blocks(blocks):
    """An old GNU sparse header whose map goes on for @blocks continuation blocks of 21 pieces each."""
    piece = lambda i: b"%011o\0%011o\0" % (i * 1024, 0)
    tail = b"\0" * 41 + b"".join(piece(i) for i in range(4)) + b"\1" + b"%011o\0" % (1 << 32)
    out = [block(b"sparse", b"S", 0, magic=b"ustar  \0", tail=tail)]
    n = 4
    for i in range(blocks):
        out.append((b"".join(piece(n + k) for k in range(21)) + (b"\1" if i + 1 < blocks else b"\0")).ljust(512, b"\0"))
        n += 21
    return b"".join(out) + END


def gnu_tar(setup, *args):
    """What GNU tar makes of the directory that @setup fills."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
        setup(top)
        return subprocess.run(["tar", "-C", top, "-cf", "-", *args, "."], check=True, capture_output=True).stdout


def make_sparse(top):
    with open(os.path.join(top, "sparse"), "wb") as out:
        out.truncate(20 << 20)
        for at in (0, 5000000, 12345678):
            out.seek(at)
            out.write(b"island at %d" % at)


def check_sparse(fs):
    st, text = fs.stat("sparse"), fs.text("sparse")
    assert st.st_size == len(text) == 20 << 20 and st.st_blocks * 512 < 1 << 20, st
    for at in (0, 5000000, 12345678):
        assert text[at:].startswith(b"island at %d" % at)
    assert text.replace(b"\0", b"") == b"".join(b"island at %d" % at for at in (0, 5000000, 12345678))


def yes(condition):
    assert condition


BASE = tar(d("d"), f("d/a", b"a"), f("d/b", b"b"), d("d/deep"), f("f", b"lower", mode=0o4750, uid=7, gid=8), d("t", mode=0o1777, uid=3, gid=4),
           s("run", "usr/run"), d("usr"), d("usr/run"), f("attr", pax={"SCHILY.xattr.user.x": "1"}))


def traversal(canary):
    low = canary.lstrip("/")
    up = "../" * 30
    inside = lambda name: lambda fs: yes(fs.text(low + "/" + name) == b"data")
    return [
        Case("absolute name", tar(f(canary + "/new")), check=inside("new")),
        Case("absolute name, GNU", tar(f(canary + "/new"), form=tarfile.GNU_FORMAT), check=inside("new")),
        Case("dotdot", tar(f("../x")), refused=["'../x'", "'..' in its name"]),
        Case("dotdot inside", tar(f("a/../../x")), refused=["'..' in its name"]),
        Case("dotdot that stays inside", tar(d("a"), f("a/../x")), refused=["'..' in its name"]),
        Case("dotdot at the end", tar(d("a/..")), refused=["'..' in its name"]),
        Case("dotdot to the canary", tar(f(up + low + "/file")), refused=["'..' in its name"]),
        Case("4097-byte name", tar(f("/".join(["x" * 99] * 41)[:4097])), refused=["4097", "4096"]),
        Case("4096-byte name", tar(f("/".join(["x" * 99] * 41)[:4096])), check=lambda fs: yes(len(list(os.fwalk(fs.root))) == 41)),
        Case("256-byte component", tar(f("x" * 256)), refused=["256 bytes", "255"]),
        Case("deep", tar(f("/".join("d" * 600))), refused=["512 directories deep"]),
        Case("empty name", block(b"") + END, refused=["an empty name"]),
        Case("only slashes", block(b"/") + END, refused=["name ends in '/'"]),
        Case("dot is the root", tar(d(".", mode=0o711, uid=5)), check=lambda fs: yes((fs.mode("."), fs.stat(".").st_uid) == (0o711, 5))),
        Case("dot as a symlink", tar(s(".", canary), f("x")), refused=["root of a layer can only be a directory"]),
        Case("dot as a file", tar(f(".")), refused=["root of a layer can only be a directory"]),
        Case("NUL in a pax path", pax(b"path=a\0b") + block() + END, refused=["NUL"]),
        Case("NUL in a GNU long name", block(b"././@LongLink", b"L", 4, magic=b"ustar  \0") + padded(b"a\0b\0") + block(magic=b"ustar  \0") + END, refused=["NUL"]),
        Case("symlink to the canary and a file below", tar(s("l", canary), f("l/new")), check=inside("new")),
        Case("relative symlink and a file below", tar(s("l", up + low), f("l/new")), check=inside("new")),
        Case("symlink chain", tar(s("a", "b"), s("b", "c/../" + up + low), d("c"), f("a/new")), check=inside("new")),
        Case("symlink to / and a file below", tar(s("l", "/"), f("l/etc/passwd")), check=lambda fs: yes(fs.text("etc/passwd") == b"data")),
        Case("symlink loop", tar(s("a", "b"), s("b", "a"), f("a/x")), refused=["symbolic links on its way"]),
        Case("symlink to itself", tar(s("a", "a"), f("a/x")), refused=["symbolic links on its way"]),
        Case("file as a parent", tar(f("a"), f("a/x")), refused=["is not a directory"]),
        Case("file over a symlink to a file", tar(s("l", canary + "/file"), f("l", b"new")), check=lambda fs: yes(fs.text("l") == b"new")),
        Case("verbatim links", tar(s("l", canary), s("m", "../../.."), s("n", "\n\x1b[2J")), check=lambda fs: yes((fs.link("l"), fs.link("m"), fs.link("n")) == (canary, "../../..", "\n\x1b[2J"))),
        Case("hard link out", tar(h("x", "../../etc/passwd")), refused=["hard link to '../../etc/passwd'", "'..'"]),
        Case("hard link to an absolute path", tar(h("x", canary + "/file")), refused=["no file of this layer"]),
        Case("hard link through a symlink out", tar(s("l", canary), h("x", "l/file")), refused=["no file of this layer"]),
        Case("hard link to a symlink, then written", tar(s("l", canary + "/file"), h("x", "l"), f("x", b"new")), check=lambda fs: yes((fs.text("x"), fs.link("l")) == (b"new", canary + "/file"))),
        Case("hard link to a symlink", tar(s("l", canary + "/file"), h("x", "l")), check=lambda fs: yes(fs.link("x") == canary + "/file")),
        Case("hard link to a directory", tar(d("a"), h("x", "a")), refused=["which is no file"]),
        Case("hard link to itself", tar(h("x", "x")), refused=["no file of this layer"]),
        Case("hard link to the root", tar(h("x", ".")), refused=["hard link to the root"]),
        Case("dir replaced by a symlink, then written through", tar(d("e"), f("e/old"), s("e", canary), f("e/new")), check=inside("new")),
        Case("the same in the next layer", BASE, tar(s("d", canary), f("d/new")), check=inside("new")),
        Case("symlink of a layer below written through", tar(s("l", canary)), tar(f("l/new")), check=inside("new")),
        Case("symlink of a layer below that stays inside", BASE, tar(f("run/pid")), check=lambda fs: yes(fs.names() == ["usr", "usr/run", "usr/run/pid"])),
        Case("named like the store's own", tar(f("meta.json", b"evil"), d("fs"), f("fs/x"), f("coffer.db")), check=lambda fs: yes(fs.text("meta.json") == b"evil" and fs.text("fs/x") == b"data")),
        Case("device nodes", tar(entry("c", tarfile.CHRTYPE, major=1, minor=1), entry("b", tarfile.BLKTYPE, major=8), f("x")), check=lambda fs: yes(fs.names() == ["x"])),
        Case("raw node 0:0 is no whiteout", BASE, tar(entry("f", tarfile.CHRTYPE), f("x")), check=lambda fs: yes(fs.names() == ["x"])),
    ]


def replacement():
    return [
        Case("file, then directory", tar(f("x"), d("x"), f("x/y")), check=lambda fs: yes(fs.text("x/y") == b"data")),
        Case("directory, then file", tar(d("x"), d("x/y"), f("x/y/z"), f("x", b"new")), check=lambda fs: yes(fs.names() == ["x"] and fs.text("x") == b"new")),
        Case("directory twice", tar(d("x", mode=0o700), f("x/y"), d("x", mode=0o750)), check=lambda fs: yes(fs.mode("x") == 0o750 and fs.has("x/y"))),
        Case("duplicates: the later wins", tar(f("x", b"1"), f("x", b"2")), check=lambda fs: yes(fs.text("x") == b"2")),
        Case("a replaced name leaves its other links alone", tar(f("x", b"1"), h("y", "x"), f("x", b"2")), check=lambda fs: yes((fs.text("x"), fs.text("y")) == (b"2", b"1"))),
        Case("hard link twice", tar(f("x"), h("y", "x"), h("y", "x")), check=lambda fs: yes(fs.stat("x").st_ino == fs.stat("y").st_ino)),
        Case("hard link over a directory", tar(f("x"), d("y"), f("y/z"), h("y", "x")), check=lambda fs: yes(fs.stat("x").st_ino == fs.stat("y").st_ino)),
        Case("hard links", tar(f("x", mode=0o4755), h("y", "./x"), h("z", "/y")), check=lambda fs: yes(fs.stat("z").st_nlink == 3 and fs.mode("z") == 0o4755)),
        Case("hard link to a file below", BASE, tar(h("g", "f")), check=lambda fs: yes((fs.text("g"), fs.mode("g"), fs.stat("g").st_uid, fs.stat("g").st_gid, fs.stat("g").st_mtime) == (b"lower", 0o4750, 7, 8, EPOCH))),
        Case("hard link to a file below that was removed", BASE, tar(entry(".wh.f")), tar(h("g", "f")), refused=["no file of this layer"]),
        Case("hard link to a file hidden by this layer", BASE, tar(entry(".wh.f"), h("g", "f")), refused=["which is no file"]),
        Case("hard link to a file below with attributes", BASE, tar(h("g", "attr")), refused=["no file of this layer"]),
        Case("implied parents are as they are below", BASE, tar(f("t/x"), f("new/x")), check=lambda fs: yes((fs.mode("t"), fs.stat("t").st_uid, fs.stat("t").st_gid, fs.mode("new")) == (0o1777, 3, 4, 0o755))),
    ]


def whiteouts():
    w = entry
    return [
        Case("whiteout", BASE, tar(d("d"), w("d/.wh.a"), w(".wh.f")), check=lambda fs: yes(fs.whiteout("d/a") and fs.whiteout("f") and not fs.has("d/.wh.a") and not fs.opaque("d"))),
        Case("whiteout of a directory", BASE, tar(w(".wh.d")), check=lambda fs: yes(fs.whiteout("d"))),
        Case("whiteout without its parent's entry", BASE, tar(w("t/../d/.wh.a")), refused=["'..'"]),
        Case("whiteout under an implied parent", tar(d("t", mode=0o1777, uid=3), f("t/x")), tar(w("t/.wh.x")), check=lambda fs: yes(fs.whiteout("t/x") and (fs.mode("t"), fs.stat("t").st_uid) == (0o1777, 3))),
        Case("whiteout of nothing", BASE, tar(w(".wh.nothing"), w("no/where/.wh.x")), check=lambda fs: yes(fs.names() == [])),
        Case("whiteout in the base", tar(w(".wh.x"), d("d"), w("d/.wh..wh..opq")), check=lambda fs: yes(fs.names() == ["d"] and not fs.opaque("d"))),
        Case("whiteout by hard link, as aufs has them", BASE, tar(d("d"), h("d/.wh.a", ".wh..wh.aufs")), check=lambda fs: yes(fs.whiteout("d/a"))),
        Case("opaque before", BASE, tar(d("d"), w("d/.wh..wh..opq"), f("d/new")), check=lambda fs: yes(fs.opaque("d") and fs.text("d/new") == b"data" and not fs.has("d/.wh..wh..opq"))),
        Case("opaque after", BASE, tar(d("d"), f("d/new"), w("d/.wh..wh..opq")), check=lambda fs: yes(fs.opaque("d") and fs.text("d/new") == b"data")),
        Case("opaque root", BASE, tar(w(".wh..wh..opq")), check=lambda fs: yes(fs.opaque("."))),
        Case("whiteout, then file", BASE, tar(w(".wh.f"), f("f", b"new")), check=lambda fs: yes(fs.text("f") == b"new")),
        Case("file, then whiteout", BASE, tar(f("f", b"new"), w(".wh.f")), check=lambda fs: yes(fs.text("f") == b"new")),
        Case("whiteout, then directory", BASE, tar(w(".wh.d"), d("d"), f("d/new")), check=lambda fs: yes(fs.opaque("d") and fs.has("d/new"))),
        Case("whiteout, then something below", BASE, tar(w(".wh.d"), f("d/new")), check=lambda fs: yes(fs.opaque("d") and fs.has("d/new"))),
        Case("directory, then whiteout", BASE, tar(d("d"), f("d/new"), w(".wh.d")), check=lambda fs: yes(fs.opaque("d") and fs.has("d/new"))),
        Case("whiteout .wh.", BASE, tar(w(".wh.")), refused=["whiteout of nothing"]),
        Case("whiteout .wh..", BASE, tar(w("d/.wh..")), refused=["whiteout of nothing"]),
        Case("whiteout .wh...", BASE, tar(w("d/.wh...")), refused=["whiteout of nothing"]),
        Case("whiteout .wh.../x", BASE, tar(f("d/.wh.../x")), refused=["whiteout among its parents"]),
        Case("whiteout as a parent", BASE, tar(f(".wh.d/a")), refused=["whiteout among its parents"]),
        Case("whiteout through a symlink", BASE, tar(s("l", "d"), w("l/.wh.a")), refused=["symbolic link"]),
        Case("whiteout through a symlink below", BASE, tar(w("run/.wh.x")), refused=["symbolic link"]),
        Case("whiteout that is a directory", BASE, tar(d(".wh.f")), refused=["not a plain file"]),
        Case("aufs bookkeeping", BASE, tar(d(".wh..wh.plnk"), f(".wh..wh.plnk/1.2"), w(".wh..wh.aufs"), d(".wh..wh.orph"), f("x")), check=lambda fs: yes(fs.names() == ["x"])),
        Case("hard link to a whiteout", BASE, tar(w(".wh.f"), h("x", "f")), refused=["which is no file"]),
    ]


def attributes():
    x = lambda **kw: {"SCHILY.xattr." + k.replace("__", "."): v for k, v in kw.items()}
    raw = lambda name, value: pax(b"SCHILY.xattr." + name + b"=" + value) + block(b"x") + END

    def check_times(fs):
        assert fs.stat("d").st_mtime == 1000 and fs.stat("d/f").st_mtime == 2000.5 and fs.stat("d/l").st_mtime == 3000 and fs.stat("old").st_mtime == -1

    def check_cap(fs):
        value = os.getxattr(fs.path("x"), "security.capability")
        # the kernel shows revision 3 with root id 0 as revision 2 to the namespace of that root
        assert value[4:20] == CAP[4:20] and value[3] in (2, 3) and value[20:] in (b"", b"\0\0\0\0"), value

    return [
        Case("kept and stripped", tar(f("x", pax=x(user__a="1", user__overlay__opaque="y", trusted__overlay__opaque="y", trusted__overlay__redirect="/", security__selinux="a", security__ima="b", security__evm="c"))), check=lambda fs: yes(fs.xattrs("x") == ["user.a"])),
        Case("on directories", tar(d("x", pax=x(user__a="1", trusted__overlay__opaque="y"))), check=lambda fs: yes(fs.xattrs("x") == ["user.a"] and not fs.opaque("x"))),
        Case("acl", raw(b"system.posix_acl_access", b"\2\0\0\0\1\0\6\0\xff\xff\xff\xff"), check=lambda fs: yes(fs.xattrs("x") == [])),
        Case("file capabilities", raw(b"security.capability", CAP), check=check_cap),
        Case("capabilities of another root", raw(b"security.capability", b"\1\0\0\3" + CAP[4:] + struct.pack("<I", 1000)), check=lambda fs: yes(fs.xattrs("x") == [])),
        Case("capabilities that are none", raw(b"security.capability", b"nonsense"), check=lambda fs: yes(fs.xattrs("x") == [])),
        Case("too many bytes of attributes", raw(b"user.a", b"x" * 200000), refused=["bytes of extended attributes"]),
        Case("mode bits", tar(f("u", mode=0o4755), f("g", mode=0o2755, uid=5, gid=6), d("t", mode=0o1777), d("s", mode=0o2775, gid=9), f("s/in"), f("none", mode=0)),
             check=lambda fs: yes([fs.mode(n) for n in ("u", "g", "t", "s", "s/in", "none")] == [0o4755, 0o2755, 0o1777, 0o2775, 0o644, 0] and fs.stat("s/in").st_gid == 0)),
        Case("fifo", tar(entry("p", tarfile.FIFOTYPE, mode=0o600, uid=3)), check=lambda fs: yes(stat.S_ISFIFO(fs.stat("p").st_mode) and fs.stat("p").st_uid == 3)),
        Case("owners", tar(f("x", uid=65535, gid=65534), s("l", "x", uid=1, gid=2), d("d", uid=3)), check=lambda fs: yes([(fs.stat(n).st_uid, fs.stat(n).st_gid) for n in ("x", "l", "d")] == [(65535, 65534), (1, 2), (3, 0)])),
        Case("owner out of range", tar(f("x", uid=65536)), refused=["'x'", "owner 65536", "0..65535"]),
        Case("group out of range", tar(d("x", gid=4294967296)), refused=["'x/'", "group 4294967296"]),
        Case("times", tar(d("d", mtime=1000), f("d/f", mtime=2000.5), s("d/l", "x", mtime=3000), f("old", mtime=-1)), check=check_times),
        Case("long names", tar(f("n" * 255), s("l", "t" * 1000), d("a" * 200 + "/" + "b" * 200), form=tarfile.GNU_FORMAT), check=lambda fs: yes(fs.has("n" * 255) and fs.link("l") == "t" * 1000)),
        Case("names that are not UTF-8", block(b"\xff\xfe") + END, check=lambda fs: yes(os.listdir(fs.root.encode()) == [b"\xff\xfe"])),
    ]


def forms():
    two = padded(b"x" * 600) + block(b"after") + END
    hidden = block(b"hidden", size=0)
    return [
        Case("sparse, GNU", gnu_tar(make_sparse, "-S", "--format=gnu"), check=check_sparse),
        Case("sparse 0.0", gnu_tar(make_sparse, "-S", "--format=pax", "--sparse-version=0.0"), check=check_sparse),
        Case("sparse 0.1", gnu_tar(make_sparse, "-S", "--format=pax", "--sparse-version=0.1"), check=check_sparse),
        Case("sparse 1.0", gnu_tar(make_sparse, "-S", "--format=pax", "--sparse-version=1.0"), check=check_sparse),
        Case("sparse with a million pieces", gnu_sparse_blocks(47620), refused=["'sparse'", "65536 pieces"]),
        Case("sparse map out of order", pax(b"GNU.sparse.size=100", b"GNU.sparse.map=10,1,5,1") + block(size=2) + padded(b"ab") + END, refused=["out of order"]),
        Case("sparse beyond its size", pax(b"GNU.sparse.size=10", b"GNU.sparse.map=9,2") + block(size=2) + padded(b"ab") + END, refused=["beyond its end"]),
        Case("a 1 GiB pax header", block(b"pax", b"x", 1 << 30) + END, refused=["extended header of 1073741824 bytes"]),
        Case("a 1 GiB long name", block(b"long", b"L", 1 << 30, magic=b"ustar  \0") + END, refused=["1073741824"]),
        Case("pax size over ustar size", pax(b"size=600") + block(size=0) + two, check=lambda fs: yes(fs.names() == ["after", "x"] and len(fs.text("x")) == 600)),
        Case("pax size below ustar size", pax(b"size=0") + block(size=512) + hidden + END, check=lambda fs: yes(fs.names() == ["hidden", "x"])),
        Case("size hidden by a second header", pax(b"size=512") + pax(b"path=y") + block() + hidden + END, refused=["two extended headers"]),
        Case("pax and long name together", pax(b"size=512") + block(b"l", b"L", 4, magic=b"ustar  \0") + padded(b"abc\0") + block() + END, refused=["two extended headers"]),
        Case("global size", pax(b"size=512", kind=b"g") + block() + hidden + END, refused=["global header that sets 'size'"]),
        Case("global comment", pax(b"comment=0123456789abcdef", kind=b"g") + block() + END, check=lambda fs: yes(fs.names() == ["x"])),
        Case("data on a directory", block(b"d", b"5", 512) + hidden + END, refused=["cannot have any"]),
        Case("data on a symlink", block(b"l", b"2", 512, b"x") + hidden + END, refused=["cannot have any"]),
        Case("file that ends in a slash", block(b"d/", b"0") + END, refused=["ends in '/'"]),
        Case("unknown type", block(kind=b"V") + END, refused=["type 'V'"]),
        Case("Solaris header", block(kind=b"X") + END, refused=["type 'X'"]),
        Case("negative size", block()[:124] + b"\xff" * 12 + block()[136:] + END, refused=["not a tar archive"]),
        Case("entry behind the end", tar(f("x")) + tar(f("hidden")), refused=["bytes behind the end"]),
        Case("damaged checksum", block()[:148] + b"0000000\0" + block()[156:] + END, refused=["not a tar archive"]),
        Case("damaged second header", tar(f("x"))[:1024] + b"garbage".ljust(512, b"!") + END, refused=["'x'", "damaged header"]),
        Case("not a tar", b"hello world " * 1000, refused=["not a tar archive"]),
        Case("cut in a file", tar(f("x", b"d" * 5000))[:3000], refused=["cut short"]),
        Case("cut in a header", tar(f("x", b"d" * 5000))[:300], refused=["cut short"]),
        Case("cut after a pax header", pax(b"path=y"), refused=["cut short"]),
        Case("v7", tar(f("x"), d("e"), form=tarfile.USTAR_FORMAT).replace(b"ustar\x0000", b"\0" * 8), refused=["not a tar archive"]),
        Case("empty", END, check=lambda fs: yes(fs.names() == [])),
    ]


def corpus(canary):
    return traversal(canary) + replacement() + whiteouts() + attributes() + forms()
