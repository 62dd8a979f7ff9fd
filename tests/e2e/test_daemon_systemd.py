# SPDX-License-Identifier: Apache-2.0
"""cofferd.service and cofferd.socket under a real systemd, in the VM lane: activation, restart under a running container, stop, the group.

The machine is this run's own: what `make install` would put below /usr is put there, and the real /run/coffer and /var/lib/coffer are used.
"""

import grp
import os
import shutil
import stat
import subprocess
import time
import unittest

import coffer
import daemon
import images

HOST = False
VM = True
SOCK = "/run/coffer/coffer.sock"
BIN, LIBEXEC = "/usr/bin", "/usr/libexec/coffer"


def sh(*argv, check=True, timeout=240):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    if check and p.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: exit {p.returncode}\n{p.stdout}{p.stderr}{journal()}")
    return p


def journal():
    return subprocess.run(["journalctl", "-q", "--no-pager", "-n", "40", "-u", "cofferd.service", "-u", "cofferd.socket"], capture_output=True, text=True).stdout


def install():
    """What `make install` does, below /usr, and the steps that docs/daemon.md names behind it."""
    stage = coffer.Stage.get()
    os.makedirs(LIBEXEC, exist_ok=True)
    for program in ("coffer", "cofferd"):
        shutil.copy2(getattr(stage, program), os.path.join(BIN, program))
    for program in coffer.PROGRAMS:
        shutil.copy2(os.path.join(stage.libexec, program), LIBEXEC)
    units = os.path.join(coffer.SOURCE, "share", "systemd")
    for unit in ("cofferd.service", "cofferd.socket", "coffer-restore.service", "coffer-containers.service"):
        with open("/etc/systemd/system/" + unit, "w") as f:
            f.write(coffer.read_text(os.path.join(units, unit)).replace("@BINDIR@", BIN))
    for kind, command in (("sysusers", "systemd-sysusers"), ("tmpfiles", "systemd-tmpfiles")):
        os.makedirs(f"/etc/{kind}.d", exist_ok=True)
        shutil.copy(os.path.join(units, f"coffer.{kind}"), f"/etc/{kind}.d/coffer.conf")
        sh(command, *(["--create"] if kind == "tmpfiles" else []), f"/etc/{kind}.d/coffer.conf")
    sh("systemctl", "daemon-reload")


class Units(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        install()
        sh("systemctl", "start", "cofferd.socket")
        cls.api = staticmethod(daemon.Client(SOCK))

    @classmethod
    def tearDownClass(cls):
        sh("systemctl", "stop", "cofferd.service", "cofferd.socket", check=False)
        sh("sh", "-c", "for c in $(coffer ps -aq); do coffer rm -f $c; done; coffer rmi busybox", check=False)

    def coffer(self, *args, check=True):
        return sh(os.path.join(BIN, "coffer"), *args, check=check).stdout

    def main_pid(self):
        return int(sh("systemctl", "show", "-p", "MainPID", "--value", "cofferd.service").stdout)

    def test_life(self):
        """One story, as a machine is slow here: connect, start, restart, stop."""
        st = os.lstat(SOCK)
        gid = grp.getgrnam("coffer").gr_gid
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid), (0o660, 0, gid))
        self.assertEqual((stat.S_IMODE(os.stat("/run/coffer").st_mode), os.stat("/run/coffer").st_gid), (0o710, gid))
        self.assertEqual(self.main_pid(), 0, "the daemon runs before anybody has asked for it")

        # the first connection starts it, and is answered
        self.assertEqual(self.api("GET", "/_ping", timeout=120).text, "OK")
        first = self.main_pid()
        self.assertGreater(first, 0)
        self.assertEqual(sh("systemctl", "is-active", "cofferd.service").stdout, "active\n")

        # a container outlives restarts of the service, and its exit is seen by the next daemon
        self.coffer("load", "-i", images.starter("busybox"))
        self.assertEqual(self.coffer("run", "--rm", "--network", "none", "busybox", "echo", "hello"), "hello\n")
        self.coffer("run", "-d", "--name", "stays", "--network", "none", "busybox", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.2; done")
        pid = self.coffer("inspect", "-f", "{{.State.Pid}}", "stays").strip()
        sh("systemctl", "restart", "cofferd.service")
        self.assertNotEqual(self.main_pid(), first)
        self.assertEqual(self.coffer("inspect", "-f", "{{.State.Pid}} {{.State.Status}}", "stays").strip(), f"{pid} running")
        self.assertEqual(self.coffer("exec", "stays", "echo", "in"), "in\n")

        # killed: systemd brings it back, nothing is lost
        os.kill(self.main_pid(), 9)
        self.assertTrue(coffer.wait_until(lambda: sh("systemctl", "is-active", "cofferd.service", check=False).stdout == "active\n" and self.main_pid() > 0, 60, 0.5), journal())
        self.assertEqual(self.coffer("inspect", "-f", "{{.State.Status}}", "stays").strip(), "running")

        # under load: containers write and are probed while systemd restarts and kills the daemon; no line is lost, nothing of theirs is touched
        names = [f"load{i}" for i in range(3)]
        for name in names:
            self.coffer("run", "-d", "--name", name, "--network", "none", "--restart", "unless-stopped", "--health-cmd", "true", "--health-interval", "2s", "busybox", "sh", "-c",
                        "trap 'exit 0' TERM; n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done")
        pids = {name: self.coffer("inspect", "-f", "{{.State.Pid}} {{.RestartCount}}", name) for name in names}
        for how in ("restart", "kill"):
            if how == "kill":
                os.kill(self.main_pid(), 9)
            else:
                sh("systemctl", "restart", "cofferd.service")
            self.assertEqual(self.api("GET", "/_ping", timeout=120).text, "OK")
        for name in names:
            self.assertEqual(self.coffer("inspect", "-f", "{{.State.Pid}} {{.RestartCount}}", name), pids[name])
            lines = self.coffer("logs", name).split()
            self.assertEqual(lines, [str(i + 1) for i in range(len(lines))])
            self.assertTrue(coffer.wait_until(lambda name=name: self.coffer("inspect", "-f", "{{.State.Health.Status}}", name) == "healthy\n", 30, 0.5))
        # the daemon's own subtree is delegated, and no container is in it: what systemd does to the service is not done to them
        self.assertEqual(sh("systemctl", "show", "-p", "Delegate", "--value", "cofferd.service").stdout, "yes\n")
        for name in names:
            where = coffer.read_text(f"/proc/{pids[name].split()[0]}/cgroup")
            self.assertNotIn("cofferd.service", where)
        self.coffer("rm", "-f", *names)

        # requests that come while it restarts wait in the socket
        restart = subprocess.Popen(["systemctl", "restart", "cofferd.service"])
        answers = [self.api("GET", "/_ping", timeout=120).text for _ in range(3)]
        self.assertEqual(restart.wait(120), 0)
        self.assertEqual(answers, ["OK"] * 3)

        # stop ends the daemon, not the container
        start = time.monotonic()
        sh("systemctl", "stop", "cofferd.service")
        self.assertLess(time.monotonic() - start, 60)
        self.assertTrue(os.path.exists(SOCK), "the socket is systemd's")
        self.assertTrue(coffer.pid_exists(int(pid)))
        self.assertEqual(self.api("GET", "/containers/stays/json", timeout=120).json()["State"]["Status"], "running")  # and this starts it again
        self.coffer("stop", "stays")
        self.assertEqual(self.coffer("inspect", "-f", "{{.State.ExitCode}}", "stays").strip(), "5")
        self.coffer("rm", "stays")


if __name__ == "__main__":
    coffer.main()
