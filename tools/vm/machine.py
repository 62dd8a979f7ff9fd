# SPDX-License-Identifier: Apache-2.0
"""One run of the machine: QEMU under software emulation, a disk with what is asked, the serial line that answers.

The first NVMe disk is the image (image.py) under an overlay that is thrown away; the second is made here for this run
and carries the agent, the request, the checkout's files and the built programs, which the machine shows under the same
paths as this host does: a build directory works there as it is. ttyS0 is the kernel's console and goes to a log, ttyS1
carries the frames that agent.py describes. A machine that may reboot
has a copy of the image instead of the overlay: QEMU ends with the reboot and is started again on the disks as they were left, where the same is asked
once more. The machine has no network. When the end is told, or time is up, QEMU is killed: nothing
of the machine outlives the run.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import termios
import time
import tty

import image

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
BOOT_SECONDS = 180  # four times what a loaded host of two slow cores took

KERNEL = "root=/dev/nvme0n1 rw console=ttyS0 panic=-1 oops=panic quiet loglevel=4 systemd.show_status=0 mitigations=off nokaslr no_timer_check random.trust_cpu=on net.ifnames=0 audit_backlog_limit=8192"
BOOTS = {  # what a boot is called, and the words it adds to the kernel's
    "plain": "lsm=landlock,lockdown,yama,integrity,bpf",
    "apparmor": "security=apparmor apparmor=1",
    "selinux": "security=selinux selinux=1 enforcing=0",
}
TIMED_OUT, BROKEN = 124, 125


class MachineError(Exception):
    """The machine did not come up, or died."""


def qemu(folder, boot, append, memory, cpus, disk):
    log = os.path.join(folder, "console")
    base = image.image()
    return ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max,-avx,-avx2", "-machine", "q35", "-smp", str(cpus), "-m", memory, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", os.path.join(base, "vmlinuz"), "-append", f"{KERNEL} {BOOTS[boot]} {append}".strip(),
            "-drive", f"file={disk or base + '/disk.img'},if=none,id=d0,format=raw," + ("cache=unsafe" if disk else "snapshot=on"), "-device", "nvme,drive=d0,serial=system",
            "-drive", f"file={folder}/payload.img,if=none,id=d1,format=raw,cache=unsafe", "-device", "nvme,drive=d1,serial=payload",
            "-serial", f"file:{log}", "-chardev", f"socket,id=line,path={folder}/line", "-serial", "chardev:line"]


# ---- the second disk ------------------------------------------------------------------------------------------------


def tree_files():
    """Paths of the checkout, relative to it: tracked ones and new ones, not what is ignored."""
    out = subprocess.run(["git", "-C", TREE, "ls-files", "-coz", "--exclude-standard"], capture_output=True, check=False)
    if out.returncode == 0:
        return [p for p in out.stdout.decode().split("\0") if p]
    found = []  # not a checkout: an unpacked archive
    for path, folders, names in os.walk(TREE):
        folders[:] = [d for d in folders if not d.startswith("build") and d != ".git"]
        found += [os.path.relpath(os.path.join(path, n), TREE) for n in names]
    return found


def build_files(build):
    """What a test needs of a build directory: the programs and the list of tests, not objects and libraries."""
    for path, folders, names in os.walk(build):
        folders[:] = [d for d in folders if not d.endswith(".p") and d not in ("bench", "meson-logs", "meson-private")]
        for name in names:
            full = os.path.join(path, name)
            mode = os.lstat(full).st_mode
            if stat.S_ISLNK(mode) or stat.S_ISREG(mode) and (mode & 0o111 and not name.endswith((".so", ".a")) or name == "intro-tests.json"):
                yield os.path.relpath(full, build)


def copy(files, source, target):
    for name in files:
        a, b = os.path.join(source, name), os.path.join(target, name)
        if not os.path.lexists(a):
            continue  # removed in the working tree
        os.makedirs(os.path.dirname(b), exist_ok=True)
        shutil.copy2(a, b, follow_symlinks=False)


def payload(folder, request, build, extra):
    """Make the second disk: FOLDER/payload.img. @extra: [(path here, path there)]."""
    root = os.path.join(folder, "payload")
    os.makedirs(root + "/out")
    copy(tree_files(), TREE, root + "/tree")
    binds = [("/vm/tree", TREE)]
    if build:
        build = os.path.abspath(build)
        copy(build_files(build), build, root + "/build")
        binds.append(("/vm/build", build))
    for n, (here, there) in enumerate(extra):
        os.makedirs(f"{root}/extra{n}")
        if os.path.isdir(here):
            shutil.copytree(here, f"{root}/extra{n}", symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(here, f"{root}/extra{n}")
        binds.append((f"/vm/extra{n}", there))
    shutil.copy2(os.path.join(HERE, "agent.py"), root)
    with open(os.path.join(root, "request.json"), "w") as f:
        json.dump(dict(request, binds=binds), f)
    used = sum(os.lstat(os.path.join(p, n)).st_size for p, _, names in os.walk(root) for n in names)
    disk = os.path.join(folder, "payload.img")
    image.must("truncate", "-s", str((used >> 20) * 2 + 1024) + "M", disk)
    image.must("mke2fs", "-q", "-F", "-t", "ext4", "-L", "payload", "-E", "root_owner=0:0,lazy_itable_init=1,nodiscard", "-O", "^has_journal", "-d", root, disk)
    shutil.rmtree(root)


# ---- the line -------------------------------------------------------------------------------------------------------


class Frames:
    """Cuts what comes over the line into frames."""

    def __init__(self):
        self.pending = b""

    def feed(self, data):
        self.pending += data
        while b"\n" in self.pending:
            head, rest = self.pending.split(b"\n", 1)
            kind, length = head.decode().split()
            if len(rest) < int(length):
                return
            self.pending = rest[int(length):]
            yield kind, rest[:int(length)]


@contextlib.contextmanager
def raw_terminal(on):
    """This host's terminal in raw mode while a terminal of the machine is shown on it."""
    if not on:
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def window_size():
    size = shutil.get_terminal_size()
    return size.lines, size.columns


class Machine:
    """One machine. run() gives the exit code of the command; the fields tell how it went."""

    def __init__(self, boot="plain", append="", memory="3G", cpus=2, timeout=600, out=None, sink=None, verbose=False, reboots=False):
        assert boot in BOOTS, boot
        self.reboots = reboots  # the command may ask for another boot of the same machine (agent.py)
        self.boot, self.append, self.memory, self.cpus, self.timeout, self.out, self.verbose = boot, append, memory, cpus, timeout, out, verbose
        self.sink = sink or self._print  # called with (letter, bytes) for O and E
        self.boot_seconds = None

    @staticmethod
    def _print(kind, data):
        stream = sys.stdout if kind == "O" else sys.stderr
        stream.buffer.write(data)
        stream.flush()

    def run(self, command, build=None, extra=(), cwd=TREE, env=None, unit=None, user=None, terminal=False):
        request = {"command": command, "cwd": cwd, "env": dict({"COFFER_SLOW": "4"}, **(env or {})), "unit": unit, "user": user, "terminal": window_size() if terminal else None}
        with tempfile.TemporaryDirectory(prefix="coffer-vm.", dir="/var/tmp") as folder:
            payload(folder, request, build, extra)
            argv = qemu(folder, self.boot, self.append, self.memory, self.cpus, self._own_disk(folder))
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(folder + "/line")
                server.listen(1)
                while True:
                    code = self._boot(argv, server, folder, terminal)
                    if code is not None:
                        return code

    def _own_disk(self, folder):
        """A copy of the image that lasts from boot to boot, or None."""
        if not self.reboots:
            return None
        image.must("cp", "--sparse=always", os.path.join(image.image(), "disk.img"), os.path.join(folder, "disk.img"))
        return os.path.join(folder, "disk.img")

    def _boot(self, argv, server, folder, terminal):
        """One life of QEMU. Return: the exit code of the command, or None when the machine reboots."""
        self.boot_seconds, self.rebooting = None, False
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ, TMPDIR="/var/tmp"), start_new_session=True)
        try:
            server.settimeout(20)
            try:
                line, _ = server.accept()
            except OSError:
                process.kill()
                raise MachineError("QEMU did not start: " + process.stderr.read().decode(errors="replace").strip()) from None
            with line, raw_terminal(terminal):
                return self._converse(line, process, terminal)
        except MachineError as e:
            raise MachineError(f"{e}\n{self._console(folder)}") from None
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
            if self.verbose:
                print(self._console(folder, 100000), file=sys.stderr)

    @staticmethod
    def _console(folder, size=6000):
        """The end of what the kernel and systemd said."""
        try:
            with open(folder + "/console", "rb") as f:
                return "console: " + f.read()[-size:].decode(errors="replace").replace("\r", "").strip().replace("\n", "\nconsole: ")
        except OSError:
            return "console: (nothing)"

    def _converse(self, line, process, terminal):
        start, frames = time.monotonic(), Frames()
        if terminal:
            resized = lambda *_: self._send(line, "W", "{} {}".format(*window_size()).encode())  # noqa: E731
            signal.signal(signal.SIGWINCH, resized)
        while True:
            limit = start + (BOOT_SECONDS if self.boot_seconds is None else self.boot_seconds + self.timeout)
            left = limit - time.monotonic()
            if left <= 0:
                if self.boot_seconds is None:
                    raise MachineError(f"the machine did not come up within {BOOT_SECONDS} s")
                print(f"vm: still running after {self.timeout} s: killed", file=sys.stderr, flush=True)
                return TIMED_OUT
            ready, _, _ = select.select([line] + ([0] if terminal else []), [], [], left)
            if 0 in ready:
                data = os.read(0, 1024)
                self._send(line, "I", data)
            if line not in ready:
                continue
            data = line.recv(65536)
            if not data and self.rebooting:
                return None
            if not data:
                raise MachineError(f"the machine stopped by itself (QEMU: exit {process.wait()})")
            for kind, body in frames.feed(data):
                if kind == "B":
                    self.boot_seconds = time.monotonic() - start
                elif kind == "R":
                    self.rebooting = self.reboots
                elif kind == "X":
                    return int(body)
                elif kind == "F":
                    self._keep(body)
                else:
                    self.sink(kind, body)

    @staticmethod
    def _send(line, kind, data):
        line.sendall(f"{kind} {len(data)}\n".encode() + data)

    def _keep(self, body):
        if not self.out:
            return
        name, data = body.split(b"\0", 1)
        path = os.path.normpath(os.path.join(self.out, name.decode()))
        if not path.startswith(os.path.abspath(self.out) + "/"):
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
