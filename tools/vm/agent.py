# SPDX-License-Identifier: Apache-2.0
"""Runs inside the machine, as root, from a unit of systemd: does what /vm/request.json asks and tells it over ttyS1.

The request (written by machine.py):
  command   argv
  binds     [[directory on the second disk, where it shall be seen]]
  cwd, env  of the command
  unit      properties of a transient unit that the command runs in; null: it runs in the agent's own unit
  user      null, or an account: the command runs under that user's own systemd (unit properties apply)
  terminal  null, or [rows, columns]: the command gets a terminal, and input comes from the host

Frames on the line, both ways: a letter, a space, a decimal length, a line feed, that many bytes.
  to the host   B booted (kernel release)   O stdout   E stderr   F file (name, NUL, bytes)   R the machine reboots   X the end (exit code)
  to us         I input for the terminal    W window size "ROWS COLUMNS"
Files that the command leaves in /vm/out are sent before the end.

A command that leaves /vm/reboot behind is not at its end: the machine boots again, if it was made for that, and the command is run once more with
COFFER_VM_BOOT=2 in its environment (it is 1 the first time).
"""

import fcntl
import json
import os
import pty
import selectors
import shutil
import struct
import subprocess
import termios
import time
import tty

LINE = "/dev/ttyS1"
HERE = "/vm"


class Line:
    """The serial line, raw."""

    def __init__(self):
        self.fd = os.open(LINE, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        self.pending = b""

    def send(self, kind, data):
        data = f"{kind} {len(data)}\n".encode() + data
        while data:
            data = data[os.write(self.fd, data):]

    def receive(self):
        """What came: a list of (letter, bytes), whole frames only."""
        self.pending += os.read(self.fd, 4096)
        found = []
        while b"\n" in self.pending:
            head, rest = self.pending.split(b"\n", 1)
            kind, length = head.decode().split()
            if len(rest) < int(length):
                break
            found.append((kind, rest[:int(length)]))
            self.pending = rest[int(length):]
        return found


def place(binds):
    """Show the directories of the second disk where the host has them."""
    for source, target in binds:
        os.makedirs(target, exist_ok=True)
        subprocess.run(["mount", "--bind", source, target], check=True)


def count_boot():
    path, n = os.path.join(HERE, "boots"), 1
    if os.path.exists(path):
        with open(path) as f:
            n = int(f.read()) + 1
    with open(path, "w") as f:
        f.write(str(n))
    return n


def boot_again(line):
    """If the command asked for it. Does not come back then."""
    path = os.path.join(HERE, "reboot")
    if not os.path.exists(path):
        return
    os.remove(path)
    line.send("R", b"")
    termios.tcdrain(line.fd)
    os.sync()
    subprocess.run(["systemctl", "reboot"], check=True)
    while True:
        time.sleep(60)


def argv(request):
    """The command, or the systemd-run that starts it."""
    command, unit, user = request["command"], request.get("unit"), request.get("user")
    if unit is None and not user:
        return command
    run = ["systemd-run", "--quiet", "--collect", "--wait", "--pty" if request.get("terminal") else "--pipe", "-p", "WorkingDirectory=" + request["cwd"]]
    run += [f"--setenv={k}={v}" for k, v in request["env"].items()]
    if user:
        run += ["--user", "--machine", user + "@.host"]
    for p in unit or []:
        run += ["-p", p]
    return run + ["--"] + command


def relay(line, process, streams):
    """Carry the command's output to the line until all of it is told."""
    with selectors.DefaultSelector() as sel:
        for fd, kind in streams.items():
            sel.register(fd, selectors.EVENT_READ, kind)
        open_ones = len(streams)
        while open_ones:
            # a daemon that the command left behind may hold its pipes: do not wait for it
            ready = sel.select(0.5)
            if not ready and process.poll() is not None:
                return
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                if data:
                    line.send(key.data, data)
                else:
                    sel.unregister(key.fd)
                    open_ones -= 1


def run_piped(line, request):
    process = subprocess.Popen(argv(request), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=request["cwd"], env=dict(os.environ, **request["env"]), start_new_session=True)
    relay(line, process, {process.stdout.fileno(): "O", process.stderr.fileno(): "E"})
    return process.wait()


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def run_on_terminal(line, request):
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(request["cwd"])
        os.environ.update(request["env"])
        os.execvp(argv(request)[0], argv(request))
    set_size(master, *request["terminal"])
    with selectors.DefaultSelector() as sel:
        sel.register(master, selectors.EVENT_READ)
        sel.register(line.fd, selectors.EVENT_READ)
        while True:
            for key, _ in sel.select():
                if key.fd == line.fd:
                    for kind, data in line.receive():
                        if kind == "I":
                            os.write(master, data)
                        elif kind == "W":
                            set_size(master, *map(int, data.split()))
                    continue
                try:
                    data = os.read(master, 65536)
                except OSError:  # every holder of the other end is gone
                    data = b""
                if not data:
                    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                line.send("O", data)


def send_files(line, folder):
    for path, _, names in os.walk(folder):
        for name in names:
            full = os.path.join(path, name)
            if os.path.isfile(full) and not os.path.islink(full):
                with open(full, "rb") as f:
                    line.send("F", os.path.relpath(full, folder).encode() + b"\0" + f.read())


def main():
    line = Line()
    code, out = 125, os.path.join(HERE, "out")
    try:
        line.send("B", os.uname().release.encode())
        with open(os.path.join(HERE, "request.json")) as f:
            request = json.load(f)
        request["env"]["COFFER_VM_BOOT"] = str(count_boot())
        os.makedirs(out, exist_ok=True)
        place(request["binds"])
        try:
            code = (run_on_terminal if request.get("terminal") else run_piped)(line, request)
        except FileNotFoundError as e:
            line.send("E", f"{e}\n".encode())
            code = 127
        boot_again(line)
        send_files(line, out)
        shutil.rmtree(out, ignore_errors=True)
    except Exception as e:  # whatever it is, the host must hear of it
        line.send("E", f"the machine's agent: {e!r}\n".encode())
    line.send("X", str(code if code >= 0 else 128 - code).encode())
    termios.tcdrain(line.fd)


main()
