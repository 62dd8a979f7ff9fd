# SPDX-License-Identifier: Apache-2.0
"""cofferd as a program: its configuration, its sockets, its end, and the state that it shares with coffer."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import coffer
import daemon

ASAN = True
SLEEP = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
DOCKER_KEYS = ("live-restore", "max-concurrent-downloads", "labels", "default-ulimits", "iptables", "seccomp-profile")


class Config(coffer.CofferTest):
    """No daemon runs: what is said before one would."""

    NEEDS_IMAGE = False

    def cofferd(self, *args, config=None, env=None):
        argv = [self.stage.cofferd]
        if config is not None:
            path = os.path.join(self.scratch, "daemon.json")
            with open(path, "w") as f:
                f.write(config if isinstance(config, str) else json.dumps(config))
            argv += ["--config-file", path]
        p = subprocess.run([*argv, *args], env=dict(self.env, **(env or {})), capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        return coffer.Result(list(args), p.returncode, p.stdout, p.stderr, 0)

    def test_help_and_version(self):
        text = self.cofferd("--help").out
        for word in ("--host", "--config-file", "--validate", "--group", "fd://", "Examples:"):
            self.assertIn(word, text)
        self.assertRegex(self.cofferd("--version").out, r"^Coffer version \d+\.\d+\.\d+\n$")

    def test_validate_takes_every_key(self):
        whole = {"hosts": ["unix:///run/x.sock", "fd://"], "group": "root", "pidfile": "/run/x.pid", "debug": True, "log-level": "warn", "data-root": "/var/lib/x", "exec-root": "/run/x",
                 "userns-remap": "", "runtimes": {"other": {"path": "/usr/bin/true"}}, "allow-host-userns": False, "allow-host-network": True,
                 "log-driver": "local", "log-opts": {"max-size": "5m", "compress": "false"}, "allow-host-pid": True, "allow-host-ipc": True,
                 "allow-host-uts": False, "allow-host-cgroupns": True, "allow-host-oom-score": True, "selinux-process-type": "container_t", "selinux-file-type": "container_file_t"}
        for config in (whole, {}, {"debug": False}):
            r = self.cofferd("--validate", config=config)
            self.assertEqual((r.code, r.out, r.err), (0, "configuration OK\n", ""))

    def test_every_bad_value_names_its_key(self):
        rows = (({"hosts": "unix:///x"}, "hosts"), ({"hosts": ["tcp://0.0.0.0:2375"]}, "hosts", "tcp://0.0.0.0:2375", "unix:///path"), ({"hosts": ["unix://x"]}, "hosts", "absolute"),
                ({"hosts": ["unix:///" + "x" * 200]}, "hosts", "107"), ({"hosts": ["unix:///x"] * 17}, "hosts", "16"), ({"group": 5}, "group"), ({"group": "no-such-group"}, "group", "no-such-group"),
                ({"pidfile": "x"}, "pidfile", "'x'", "absolute"), ({"debug": "yes"}, "debug"), ({"log-level": "loud"}, "log-level", "loud"), ({"data-root": "rel"}, "data-root", "rel"),
                ({"exec-root": 1}, "exec-root"), ({"runtimes": []}, "runtimes"), ({"allow-host-userns": 1}, "allow-host-userns"), ({"log-driver": "syslog"}, "log-driver", "syslog"), ({"log-opts": {"max-size": "lots"}}, "log-opts", "max-size"), ({"log-opts": {"max-file": 3}}, "log-opts", "max-file"),
                ({"log-driver": "local", "log-opts": {"tag": "x"}}, "log-opts", "tag"), ({"no-such-key": 1}, "no-such-key", "unknown", "data-root"),
                ("[]", "object"), ("{", "daemon.json"), ('{"debug":true,"debug":false}', "debug"))
        for config, *words in rows:
            with self.subTest(config=config):
                self.assertFails(self.cofferd("--validate", config=config), 1, "daemon.json" if "group" not in words else "group", *words)

    def test_keys_about_registries(self):
        good = {"insecure-registries": ["localhost:5000", "10.0.0.0/8"], "registry-mirrors": ["https://mirror.example"], "proxies": {"https-proxy": "http://proxy:3128", "no-proxy": "x"}}
        r = self.cofferd("--validate", config=good)
        self.assertEqual(r.code, 0, str(r))
        for key, value, words in (("insecure-registries", "x", "array"), ("insecure-registries", [""], "empty"), ("registry-mirrors", [5], "string"), ("proxies", {"ftp-proxy": "x"}, "ftp-proxy"), ("proxies", [], "object")):
            self.assertFails(self.cofferd("--validate", config={key: value}), 1, key, words)

    def test_keys_about_networks(self):
        good = {"default-address-pools": [{"base": "10.64.0.0/12", "size": 24}, {"base": "fd00:64::/48", "size": 64}], "bip": "10.200.0.1/24", "fixed-cidr": "10.200.0.128/25", "ipv6": True,
                "fixed-cidr-v6": "fd00:200::/64", "ip": "127.0.0.1", "mtu": 1400, "icc": False}
        r = self.cofferd("--validate", config=good)
        self.assertEqual((r.code, r.out), (0, "configuration OK\n"), str(r))
        for key, value, words in (("default-address-pools", {}, "array"), ("default-address-pools", [{"base": "10.0.0.0/16", "size": 8}], "size 8"), ("bip", "10.0.0.0/24", "first or the last"),
                                  ("fixed-cidr", "10.0.0.0/25", "bip"), ("fixed-cidr-v6", "fd00::/64", "ipv6"), ("ip", "x", "IPv4"), ("mtu", 3, "68"), ("mtu", "1400", "number"), ("icc", 1, "bool"),
                                  ("ipv6", "yes", "bool"), ("default-gateway", "10.0.0.1", "not there yet"), ("ip-masq", False, "not there yet")):
            with self.subTest(key=key, value=value):
                self.assertFails(self.cofferd("--validate", config={key: value}), 1, "daemon.json", key, words)

    def test_keys_of_dockers_that_are_not_there_are_refused_by_name(self):
        for key in DOCKER_KEYS:
            with self.subTest(key=key):
                self.assertFails(self.cofferd("--validate", config={key: True}), 1, key, "not there yet")

    def test_flags(self):
        self.assertFails(self.cofferd("--validate", "-H", "tcp://1.2.3.4:1"), 1, "--host", "tcp://1.2.3.4:1")
        self.assertFails(self.cofferd("--validate", "--data-root", "x"), 1, "--data-root", "absolute")
        self.assertFails(self.cofferd("--validate", "-l", "loud"), 1, "--log-level", "loud")
        self.assertFails(self.cofferd("--validate", "-G", "no-such-group"), 1, "group", "no-such-group")
        self.assertFails(self.cofferd("serve"), 125, "'serve'", "no arguments")
        self.assertFails(self.cofferd("--nope"), 125, "--nope")
        r = self.cofferd("--validate", "-H", "unix:///a", config={"hosts": ["unix:///b"]})
        self.assertFails(r, 1, "both as a flag and in the configuration file: hosts")
        self.assertFails(self.cofferd("--validate", "--config-file", "/nonexistent/x"), 1, "/nonexistent/x")

    def test_coffer_reads_the_same_file(self):
        """A key that is the daemon's alone does not stop `coffer`; /etc is another one in this mount namespace."""
        path = os.path.join(self.scratch, "coffer-etc")
        os.makedirs(path, exist_ok=True)
        script = f"mount -t tmpfs none /etc && mkdir -p /etc/coffer && printf '%s' \"$1\" >/etc/coffer/daemon.json && exec {self.stage.coffer} ps"
        for text, code in (('{"hosts":["unix:///x"],"debug":false}', 0), ('{"hosts":"x"}', 1)):
            p = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-ec", script, "sh", text], env=self.env, capture_output=True, text=True, timeout=20)
            self.assertEqual(p.returncode, code, p.stderr)


class Sockets(coffer.CofferTest):
    """Each test starts daemons of its own."""

    NEEDS_IMAGE = False

    def start(self, *flags, sock=None, **kw):
        d = daemon.Daemon([self.stage.cofferd, *flags], self.env, os.path.join(self.scratch, self.unique("log")), sock or os.path.join(self.run_dir, "coffer.sock"), **kw)
        self.addCleanup(d.stop)
        return d

    def test_modes_and_group(self):
        d = self.start("-G", "nogroup").ready()
        st = os.lstat(d.sock)
        self.assertTrue(stat.S_ISSOCK(st.st_mode))
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid), (0o660, 0, 65534))
        self.assertEqual((stat.S_IMODE(os.stat(self.run_dir).st_mode), os.stat(self.run_dir).st_gid), (0o710, 65534))
        who = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'GET /_ping HTTP/1.1\\r\\nHost: d\\r\\nConnection: close\\r\\n\\r\\n'); print(s.recv(4096).decode())"
        os.chmod(self.scratch, 0o755)
        member = subprocess.run(["python3", "-c", who, d.sock], user=65534, group=65534, extra_groups=[], capture_output=True, text=True, timeout=20)
        self.assertIn("200 OK", member.stdout, member.stderr)
        stranger = subprocess.run(["python3", "-c", who, d.sock], user=65533, group=65533, extra_groups=[], capture_output=True, text=True, timeout=20)
        self.assertIn("PermissionError", stranger.stderr)
        self.coffer("ps")  # an engine of its own, were there no daemon, leaves the mode as it is
        self.assertEqual(d.stop()[0], 0)
        self.coffer("ps")
        self.assertEqual(stat.S_IMODE(os.stat(self.run_dir).st_mode), 0o710)
        os.chmod(self.run_dir, 0o700)

    def test_several_sockets(self):
        one, two = (os.path.join(self.run_dir, n) for n in ("one.sock", "two.sock"))
        d = self.start("-H", "unix://" + one, "-H", "unix://" + two, sock=one).ready()
        for path in (one, two):
            self.assertEqual(daemon.Client(path)("GET", "/_ping").text, "OK")
        self.assertFalse(os.path.exists(os.path.join(self.run_dir, "coffer.sock")))
        r = self.coffer("--host", "unix://" + two, "version")
        self.assertIn("coffer", r.out.lower())
        self.assertEqual(self.coffer("ps", "-q", env={"COFFER_HOST": "unix://" + one}).out, "")
        self.assertEqual(d.stop()[0], 0)
        self.assertEqual([p for p in (one, two) if os.path.exists(p)], [])

    def test_a_listener_in_the_hands_of_a_dead_daemons_child_is_replaced(self):
        """A daemon killed while it spawns a monitor leaves its sockets to a child that has not come to its exec (faults_life saw it)."""
        path = os.path.join(self.run_dir, "coffer.sock")
        maker = "import os, socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); pid = os.fork(); pid and (print(pid, flush=True), os._exit(0)); os.close(1), os.close(2), time.sleep(600)"
        pid = int(subprocess.run([sys.executable, "-c", maker, path], capture_output=True, text=True, timeout=20, check=True).stdout)
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)  # it seems to be served
        before, d = os.stat(path).st_ino, self.start()
        self.assertTrue(coffer.wait_until(lambda: [e.inode() for e in os.scandir(self.run_dir) if e.path == path] not in ([], [before]), 15), d.log())
        self.assertEqual(d.ready().stop()[0], 0)

    def test_a_stale_socket_is_replaced_and_a_live_one_is_not(self):
        path = os.path.join(self.run_dir, "coffer.sock")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
        first = self.start().ready()
        second = self.start()
        self.assertEqual(second.proc.wait(15), 1)
        self.assertIn("another daemon listens", second.log())
        self.assertEqual(daemon.Client(path)("GET", "/_ping").status, 200)
        first.stop()
        with open(path, "w"):
            pass
        third = self.start()
        self.assertEqual(third.proc.wait(15), 1)
        self.assertIn("is no socket", third.log())
        os.unlink(path)

    def test_socket_activation(self):
        path = os.path.join(self.run_dir, "handed.sock")
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.bind(path)
        s.listen(16)
        early = socket.socket(socket.AF_UNIX)  # comes before the daemon does, and is served
        self.addCleanup(early.close)
        early.settimeout(15)
        early.connect(path)
        early.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        notify = os.path.join(self.run_dir, "notify")
        n = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(n.close)
        n.bind(notify)
        n.settimeout(15)
        script = f'exec 3<&{s.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 NOTIFY_SOCKET={notify} exec {self.stage.cofferd} -H fd://'
        p = subprocess.Popen(["sh", "-c", script], env=self.env, pass_fds=[s.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(p.wait)
        self.addCleanup(p.terminate)
        self.assertEqual(n.recv(100), b"READY=1\n")
        self.assertIn(b"200 OK", early.recv(4096))
        self.assertFalse(os.path.exists(os.path.join(self.run_dir, "coffer.sock")))
        p.terminate()
        self.assertEqual(p.wait(15), 0)
        self.assertEqual(n.recv(100), b"STOPPING=1\n")
        self.assertTrue(os.path.exists(path), "the service manager's socket is not the daemon's to remove")

    def test_fd_without_a_service_manager(self):
        d = self.start("-H", "fd://")
        self.assertEqual(d.proc.wait(15), 1)
        self.assertIn("LISTEN_FDS", d.log())

    def test_pidfile(self):
        path = os.path.join(self.run_dir, "pid")
        d = self.start("-p", path).ready()
        self.assertEqual(int(coffer.read_text(path)), d.proc.pid)
        d.stop()
        self.assertFalse(os.path.exists(path))


class Life(daemon.DaemonTest):
    """The daemon's end and its neighbours."""

    def test_coffer_is_its_client(self):
        """While the daemon is there `coffer` starts no engine of its own: what is attached to the daemon's socket is the proof."""
        cid = self.detached(self.IMAGE, *SLEEP)
        self.assertEqual(self.api("GET", f"/containers/{cid}/json").json()["State"]["Status"], "running")
        # the monitor is the daemon's child: its engine spawned it
        self.assertEqual(int(coffer.proc_status(self.monitor_pid(cid))["PPid"]), self.daemon.proc.pid)

    def test_containers_outlive_the_daemon_and_are_found_again(self):
        cid = self.started(*SLEEP)
        pid = self.state(cid)["Pid"]
        code, seconds = self.daemon.stop()
        self.assertEqual(code, 0, self.daemon.log())
        self.assertLess(seconds, 5)
        self.assertTrue(coffer.pid_exists(pid))
        # now an embedded engine looks, then a new daemon
        self.assertEqual(self.coffer("inspect", "-f", "{{.State.Pid}}", cid).word, str(pid))
        self.start_daemon()
        self.assertEqual(self.state(cid)["Pid"], pid)
        waiter = {}
        t = threading.Thread(target=lambda: waiter.update(a=self.api("POST", f"/containers/{cid}/wait")))
        t.start()
        time.sleep(0.2)
        self.assertEqual(self.api("POST", f"/containers/{cid}/stop").status, 204)
        t.join(15)
        self.assertEqual(waiter["a"].json(), {"StatusCode": 0})

    def test_a_killed_daemon_loses_nothing(self):
        running, ending = self.started(*SLEEP), self.started("sh", "-c", "sleep 0.5; exit 5")
        removed = self.started("sh", "-c", "sleep 0.5", host={"AutoRemove": True})
        self.daemon.stop(signal.SIGKILL)
        time.sleep(1)
        self.start_daemon()
        self.assertEqual(self.state(running)["Status"], "running")
        self.assertEqual((self.state(ending)["Status"], self.state(ending)["ExitCode"]), ("exited", 5))
        self.assertEqual(self.api("GET", f"/containers/{removed}/json").status, 404)
        # its mailbox for events goes with the first event that finds nobody there
        self.api("POST", "/volumes/create", {"Name": "any"})
        self.assertEqual([n.split(".")[0] for n in os.listdir(os.path.join(self.run_dir, "events"))], [str(self.daemon.proc.pid)])

    def test_a_container_of_an_embedded_engine_is_the_daemons_too(self):
        self.daemon.stop()
        cid = self.detached(self.IMAGE, "sh", "-c", "until [ -e /go ]; do sleep 0.05; done; exit 4")
        self.start_daemon()
        self.assertEqual(self.state(cid)["Status"], "running")
        self.coffer("exec", cid, "touch", "/go", check=False)  # the container may end before the command does
        self.assertEqual(self.api("POST", f"/containers/{cid}/wait").json(), {"StatusCode": 4})
        self.assertEqual(self.state(cid)["ExitCode"], 4)

    def test_stopping_ends_waiting_requests_and_keeps_containers(self):
        cid = self.started(*SLEEP)
        got = []
        t = threading.Thread(target=lambda: got.append(self.api.raw(f"POST /containers/{cid}/wait HTTP/1.1\r\nHost: d\r\n\r\n".encode(), 20)))
        t.start()
        time.sleep(0.2)
        code, seconds = self.daemon.stop()
        t.join(10)
        self.assertEqual(code, 0)
        self.assertLess(seconds, 5)
        self.assertIn(b"200 OK", got[0])
        self.start_daemon()
        self.assertEqual(self.state(cid)["Status"], "running")

    def test_bug_a_client_that_does_not_read_does_not_hold_up_the_end(self):
        """A log that nobody reads filled the socket, and SIGTERM waited for its thread for ever."""
        cid = self.started("sh", "-c", "dd if=/dev/zero bs=1M count=4 2>/dev/null | tr '\\0' x | fold -w 100; echo end >&2; sleep 100")
        self.assertTrue(coffer.wait_until(lambda: b"end" in self.api("GET", f"/containers/{cid}/logs?stderr=1").body, 20))
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.sock)
            s.sendall(f"GET /containers/{cid}/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            self.assertTrue(s.recv(10))
            time.sleep(0.3)
            code, seconds = self.daemon.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 10)
        self.start_daemon()

    def test_trash_is_emptied_behind_removals(self):
        cid = self.create("true")
        self.api("POST", f"/containers/{cid}/start")
        self.api("POST", f"/containers/{cid}/wait")
        self.assertEqual(self.api("DELETE", f"/containers/{cid}").status, 204)

        def trash():
            return [n for d in (self.root, self.run_dir) for n in os.listdir(os.path.join(d, "trash"))]

        self.assertTrue(coffer.wait_until(lambda: not trash(), 5), trash())
        # what another process puts there goes, too
        for d in (self.root, self.run_dir):
            os.mkdir(os.path.join(d, "other"))
            os.rename(os.path.join(d, "other"), os.path.join(d, "trash", "other"))
        self.assertTrue(coffer.wait_until(lambda: not trash(), 5), trash())

    def test_no_descriptors_or_threads_are_left(self):
        """Forty lives of a container and as many cut connections: the daemon is as it was."""
        def settled():
            return len(coffer.fd_links(self.daemon.proc.pid)), int(coffer.proc_status(self.daemon.proc.pid)["Threads"])

        self.run_("busybox", "true")
        before = settled()
        def cut(path):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.sock)
                s.sendall(f"POST {path} HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\nContent-Type: application/json\r\n\r\n{{".encode())

        for i in range(8):
            threads = [threading.Thread(target=self.run_, args=("busybox", "true")) for _ in range(4)]
            for t in threads:
                t.start()
            cut("/containers/create")
            cut("/images/load")
            for t in threads:
                t.join()
        self.assertTrue(coffer.wait_until(lambda: settled() <= before, 10, 0.1), f"{before} became {settled()}")

    def facts(self):
        """What must come back to where it was: descriptors, threads, and what is on disk of containers."""
        pid = self.daemon.proc.pid
        files = [n for d in (self.root, self.run_dir) for sub in ("containers", "trash", "locks") if os.path.isdir(os.path.join(d, sub)) for n in os.listdir(os.path.join(d, sub))]
        return len(coffer.fd_links(pid)), int(coffer.proc_status(pid)["Threads"]), len(files)

    def together(self, work, n, clients):
        """work(i) for 0..n-1 from @clients threads. Return: what they raised."""
        wrong = []

        def client(k):
            for i in range(k, n, clients):
                try:
                    work(i)
                except Exception as e:
                    wrong.append(repr(e))

        threads = [threading.Thread(target=client, args=(k,)) for k in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return wrong

    def test_soak_of_lives(self):
        def life(i):
            cid = self.api("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sh", "-c", f"exit {i % 3}"], "HostConfig": {"NetworkMode": "none"}}).json()["Id"]
            got = [self.api("POST", f"/containers/{cid}/start").status, self.api("POST", f"/containers/{cid}/wait").json(), self.api("DELETE", f"/containers/{cid}").status]
            if got != [204, {"StatusCode": i % 3}, 204]:
                raise AssertionError(got)

        life(0)
        before = self.facts()
        self.assertEqual(self.together(life, 160, 16), [])
        self.assertTrue(coffer.wait_until(lambda: all(now <= then for now, then in zip(self.facts(), before)), 10, 0.1), f"{before} became {self.facts()}")

    def test_soak_of_cut_streams(self):
        """Attach, exec, logs and events, cut at random moments."""
        before = self.facts()
        cid = self.started("sh", "-c", "while :; do echo line; sleep 0.002; done")

        def cut(i):
            if i % 4 == 0:
                s = self.api.hijack(f"/containers/{cid}/attach?stream=1&stdout=1")[2]
            elif i % 4 == 1:
                e = self.api("POST", f"/containers/{cid}/exec", {"Cmd": ["sh", "-c", "while :; do echo x; sleep 0.01; done"], "AttachStdout": True}).json()["Id"]
                s = self.api.hijack(f"/exec/{e}/start", {})[2]
            else:
                s = socket.socket(socket.AF_UNIX)
                s.connect(self.sock)
                target = f"/containers/{cid}/logs?follow=1&stdout=1&tail=10" if i % 4 == 2 else "/events"
                s.sendall(f"GET {target} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            time.sleep(i % 7 * 0.005)
            s.close()

        self.assertEqual(self.together(cut, 80, 8), [])
        self.assertEqual(self.state(cid)["Status"], "running")
        self.assertEqual(self.api("DELETE", f"/containers/{cid}?force=1").status, 204)
        self.assertTrue(coffer.wait_until(lambda: all(now <= then for now, then in zip(self.facts(), before)), 10, 0.1), f"{before} became {self.facts()}")

    def test_bug_a_process_that_ends_at_once_has_started(self):
        """Its monitor may be gone before the engine asks it for the exit: the start was answered with an error then, and docker left with 125."""
        pid = self.daemon.proc.pid
        slow = subprocess.Popen(["strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=sendmsg", "-e", "inject=sendmsg:delay_enter=30000", "-p", str(pid)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.assertTrue(coffer.wait_until(lambda: coffer.proc_status(pid)["TracerPid"] != "0", 10), "strace did not attach")
            for code in (0, 7):
                self.assertEqual(self.run_("busybox", "sh", "-c", f"exit {code}", check=False).code, code)
                cid = self.create("sh", "-c", f"exit {code}")
                self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 204)
                self.assertEqual(self.api("POST", f"/containers/{cid}/wait").json(), {"StatusCode": code})
        finally:
            slow.terminate()
            slow.wait()

    def test_malformed_requests_do_not_harm(self):
        for text in (b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET /_ping HTTP/9.9\r\n\r\n", b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{x}",
                     b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", b"POST /containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nzz\r\n"):
            got = self.api.raw(text, 3)
            self.assertTrue(got == b"" or got.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), got[:200])
        self.assertEqual(self.api("GET", "/_ping").status, 200)

    def test_a_slow_client_blocks_nobody(self):
        slow = []
        self.addCleanup(lambda: [s.close() for s in slow])
        for _ in range(50):
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.sock)
            s.sendall(b"GET /_ping HT")
            slow.append(s)
        start = time.monotonic()
        self.assertEqual(self.api("GET", "/_ping").status, 200)
        self.assertLess(time.monotonic() - start, 2)
        # one that reads no answer: the others do not notice
        for _ in range(20):
            slow[0].sendall(b"TP/1.1\r\nHost: d\r\n\r\n" + b"GET /info HTTP/1.1\r\nHost: d\r\n\r\n" * 10 + b"GET /_ping HT")
        self.assertEqual(self.api("GET", "/info").status, 200)


if __name__ == "__main__":
    coffer.main()
