# SPDX-License-Identifier: Apache-2.0
"""Request sequences of real clients: the docker CLI, new and old, with a recorder between it and cofferd (wire.py), and libraries' by hand on a socket.

COVERAGE says which test is for which sequence of the list that this project works from (api.md section 2); a test holds it to what there is. Each test looks
at what the user sees and at what was asked; every answer that was recorded is held against the Engine API's description where the client speaks 1.50.
"""

import json
import os
import re
import signal
import socket
import struct
import threading
import time
import unittest
import urllib.parse

import coffer
import daemon
import docker_cli
import engine_api
import wire

TRAPS = "trap 'exit 3' TERM INT; trap 'echo got-usr1' USR1; echo ready; while :; do sleep 0.05; done"

COVERAGE = {
    1: ("run_rm", "run_i", "run_it", "signals_without_a_terminal", "signals_with_a_terminal", "missing_image"),
    2: ("run_d", "start_and_start_a"),
    3: ("exec_it", "exec_i_and_d"),
    4: ("attach_it", "detach_and_again", "logs"),
    9: ("load",),
    10: ("events_since_until", "system_df"),
    11: ("lists_and_inspect", "rm_fv", "system_prune"),
    12: ("docker_py_run", "dockerode_exec", "testcontainers", "ryuk"),
    13: ("events_deliver_at_once", "devcontainer_run", "gitlab_runner"),
}
ELSEWHERE = {  # sequences of other suites, or of parts that are not there yet
    5: "cp: its own suite", 6: "compose: needs networks", 7: "build", 8: "build",
}


def frames(data):
    """[(stream, bytes)] of a multiplexed stream."""
    found = []
    while len(data) >= 8:
        stream, n = struct.unpack(">BxxxI", data[:8])
        found.append((stream, data[8:8 + n]))
        data = data[8 + n:]
    return found


class Recorded(docker_cli.DockerTest):
    """What every docker asks."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recorder = wire.Recorder(os.path.join(cls.scratch, "wire.sock"), cls.sock)
        cls.denv["DOCKER_HOST"] = "unix://" + cls.recorder.path

    @classmethod
    def tearDownClass(cls):
        if getattr(cls, "recorder", None):
            cls.recorder.close()
        super().tearDownClass()

    def setUp(self):
        self.recorder.forget()
        self.addCleanup(self.judge)

    def judge(self):
        d = engine_api.find()
        for x in self.recorder.exchanges() if d else ():
            if x.whole and (x.target.startswith(("/v1.50/", "/_ping"))):
                kind = x.answer_headers.get("content-type")
                self.assertEqual(d.problems(x.method, x.target, x.status, kind, x.answer), [], x)

    def asked(self, want=None):
        """["POST /containers/create", ...] since the last call, ids as C and E; once @want of them are there."""
        def once():
            return [f"{x.method} {re.sub('[0-9a-f]{64}', lambda m: 'E' if '/exec/' in x.path else 'C', x.path)}" for x in self.recorder.exchanges()]

        if want:
            coffer.wait_until(lambda: len(once()) >= len(want), 10)
        return once()

    def one(self, method, path):
        """The one exchange of @method and the regular expression @path."""
        found = [x for x in self.recorder.exchanges() if x.method == method and re.fullmatch(path, x.path)]
        self.assertEqual(len(found), 1, f"{method} {path}: {found} of {self.recorder.exchanges()}")
        return found[0]

    def count(self, method, path):
        return len([x for x in self.recorder.exchanges() if x.method == method and re.fullmatch(path, x.path)])

    def query(self, x):
        return dict(urllib.parse.parse_qsl(x.query, keep_blank_values=True))

    def assertAsked(self, *want):
        """The requests since setUp, pings aside: what runs in parallel may stand in any order."""
        got = [a for a in self.asked(want) if not a.endswith("/_ping") and a != "GET /version" and a != "GET /info"]
        self.assertEqual(sorted(got), sorted(want))
        return got

    # -- 1: run -------------------------------------------------------------------------------------------------

    def test_run_rm(self):
        r = self.docker("run", "--rm", "--network", "none", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
        self.assertEqual((r.code, r.out, r.err), (7, "out\n", "err\n"))
        got = self.assertAsked("POST /containers/create", "POST /containers/C/attach", "POST /containers/C/wait", "POST /containers/C/start")
        self.assertEqual((got[0], got[-1]), ("POST /containers/create", "POST /containers/C/start"))
        attach, wait = self.one("POST", ".*/attach"), self.one("POST", ".*/wait")
        self.assertEqual((attach.status, self.query(attach)), (101, {"stdout": "1", "stderr": "1", "stream": "1"}))
        self.assertEqual(frames(attach.answer), [(1, b"out\n"), (2, b"err\n")])
        self.assertEqual((self.query(wait)["condition"], json.loads(wait.answer)), ("removed", {"StatusCode": 7}))
        self.assertEqual(self.one("POST", ".*/start").status, 204)
        create = json.loads(self.one("POST", ".*/create").body)
        self.assertEqual((create["HostConfig"]["AutoRemove"], create["AttachStdout"], create["Tty"]), (True, True, False))

    def test_run_i(self):
        r = self.docker("run", "-i", "--rm", "--network", "none", "busybox", "sh", "-c", "cat; echo; echo end", input=b"\0binary\xff\n")
        self.assertEqual(r.bytes, b"\0binary\xff\n\nend\n")
        create = json.loads(self.one("POST", ".*/create").body)
        self.assertEqual((create["OpenStdin"], create["StdinOnce"]), (True, True))
        self.assertEqual(self.one("POST", ".*/attach").body, b"\0binary\xff\n")

    def test_run_it(self):
        t = self.term("run", "--rm", "-it", "--network", "none", "busybox", "sh", rows=31, cols=91)
        t.expect("#")
        t.line("stty size")
        t.expect("31 91")
        t.resize_live(22, 71)
        self.assertTrue(coffer.wait_until(lambda: self.count("POST", ".*/resize") >= 2, 10))
        for _ in range(50):
            t.line("stty size")
            if b"22 71" in t.drain(0.1):
                break
        else:
            self.fail("the resize did not arrive: " + t.text)
        t.line("exit 6")
        self.assertEqual(t.wait(), 6)
        create = json.loads(self.one("POST", ".*/create").body)
        if self.api_minor() >= 42:  # older clients had no console size that the API knew
            self.assertEqual(create["HostConfig"]["ConsoleSize"], [31, 91])
        sizes = [self.query(x) for x in self.recorder.exchanges() if x.path.endswith("/resize")]
        self.assertEqual((sizes[0], sizes[-1]), ({"h": "31", "w": "91"}, {"h": "22", "w": "71"}))
        self.assertTrue(all(x.status in (200, 409) for x in self.recorder.exchanges() if x.path.endswith("/resize")), self.recorder.exchanges())
        self.assertEqual(self.one("POST", ".*/attach").answer_headers["content-type"], "application/vnd.docker.raw-stream")

    def test_signals_without_a_terminal(self):
        p = self.background("run", "--rm", "--network", "none", "busybox", "sh", "-c", TRAPS)
        self.assertEqual(p.stdout.readline(), b"ready\n")
        p.send_signal(signal.SIGUSR1)
        self.assertEqual(p.stdout.readline(), b"got-usr1\n")
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 3)
        self.assertEqual([self.query(x)["signal"].removeprefix("SIG") for x in self.recorder.exchanges() if x.path.endswith("/kill")], ["USR1", "TERM"])

    def test_signals_with_a_terminal(self):
        """Those that come to the client by kill(1) are passed on with a terminal, too; ctrl-c is a byte of the stream."""
        t = self.term("run", "--rm", "-it", "--network", "none", "busybox", "sh", "-c", TRAPS)
        t.expect("ready")
        os.kill(t.proc.pid, signal.SIGUSR1)
        t.expect("got-usr1")
        t.send("\x03")
        self.assertEqual(t.wait(), 3)
        self.assertIn("USR1", [self.query(x)["signal"].removeprefix("SIG") for x in self.recorder.exchanges() if x.path.endswith("/kill")])

    def test_missing_image(self):
        """The 404 of create is what makes a client pull."""
        self.docker("run", "--rm", "--network", "none", "no-such/image:1", "true", check=False)
        creates = [x for x in self.recorder.exchanges() if x.path == "/containers/create"]
        self.assertEqual((creates[0].status, json.loads(creates[0].answer)["message"]), (404, "No such image: no-such/image:1"))
        pull = self.one("POST", "/images/create")
        self.assertEqual((self.query(pull)["fromImage"].removeprefix("docker.io/"), self.query(pull)["tag"]), ("no-such/image", "1"))

    # -- 2 ------------------------------------------------------------------------------------------------------

    def test_run_d(self):
        cid = self.docker("run", "-d", "--network", "none", "busybox", "sh", "-c", docker_cli.STAYS).word
        self.addCleanup(self.docker, "rm", "-f", cid, check=False)
        self.assertRegex(cid, "^[0-9a-f]{64}$")
        want = ["POST /containers/create", "POST /containers/C/start"]
        got = [a for a in self.asked() if not a.endswith("_ping") and not a.endswith("/wait")]  # newer ones ask to wait and leave
        self.assertEqual(got, want)
        self.assertTrue(self.running(cid[:12]) or self.docker("inspect", "-f", "{{.State.Running}}", cid).word == "true")

    def test_start_and_start_a(self):
        name = self.unique("s")
        self.docker("create", "--name", name, "-i", "--network", "none", "busybox", "sh", "-c", "read x; echo got-$x; exit 5")
        self.addCleanup(self.docker, "rm", "-f", name, check=False)
        self.recorder.forget()
        r = self.docker("start", "-ai", name, input=b"line\n", check=False)
        self.assertEqual((r.code, r.out), (5, "got-line\n"))
        self.assertEqual((self.count("GET", f"/containers/{name}/json"), self.count("POST", ".*/attach"), self.count("POST", ".*/start")), (1, 1, 1))
        self.assertEqual(self.query(self.one("POST", ".*/wait"))["condition"], "next-exit")
        self.recorder.forget()
        self.assertEqual(self.docker("start", name).word, name)
        self.assertEqual(self.asked()[-1], f"POST /containers/{name}/start")

    # -- 3: exec ------------------------------------------------------------------------------------------------

    def test_exec_it(self):
        name = self.up()
        self.recorder.forget()
        t = self.term("exec", "-it", name, "sh", rows=33, cols=99)
        t.expect("#")
        t.line("stty size")
        t.expect("33 99")
        t.resize_live(20, 60)
        self.assertTrue(coffer.wait_until(lambda: self.count("POST", "/exec/.*/resize") >= 2, 10))
        t.line("exit 4")
        self.assertEqual(t.wait(), 4)
        start = self.one("POST", "/exec/.*/start")
        self.assertEqual((start.status, start.answer_headers["content-type"]), (101, "application/vnd.docker.raw-stream"))
        self.assertEqual(self.query([x for x in self.recorder.exchanges() if x.path.endswith("/resize")][-1]), {"h": "20", "w": "60"})
        self.assertEqual(json.loads(self.recorder.exchanges()[-1].answer)["ExitCode"], 4)

    def test_exec_i_and_d(self):
        name = self.up()
        self.recorder.forget()
        data = bytes(range(256)) * 100
        r = self.docker("exec", "-i", "-u", "1000", name, "sh", "-c", "cat; exit 9", input=data, check=False)
        self.assertEqual((r.code, r.bytes), (9, data))
        body = json.loads(self.one("POST", ".*/exec").body)
        self.assertEqual((body["User"], body["AttachStdin"], body["Tty"]), ("1000", True, False))
        self.recorder.forget()
        self.docker("exec", "-d", name, "touch", "/tmp/detached")
        start = self.one("POST", "/exec/.*/start")
        self.assertEqual((start.status, start.answer, json.loads(start.body)["Detach"]), (200, b"", True))
        self.assertTrue(coffer.wait_until(lambda: self.docker("exec", name, "test", "-e", "/tmp/detached", check=False).code == 0, 10))

    # -- 4: attach, logs ----------------------------------------------------------------------------------------

    def test_attach_it(self):
        name = self.unique("a")
        self.docker("run", "-dit", "--name", name, "--network", "none", "busybox", "sh")
        self.addCleanup(self.docker, "rm", "-f", name, check=False)
        self.recorder.forget()
        t = self.term("attach", name, rows=25, cols=85)
        self.assertTrue(coffer.wait_until(lambda: self.count("POST", ".*/resize") >= 2, 10))
        t.line("echo $((40+2))-in")
        t.expect("42-in")
        t.line("exit 8")
        self.assertEqual(t.wait(), 8)
        sizes = [self.query(x) for x in self.recorder.exchanges() if x.path.endswith("/resize")]
        self.assertEqual(sizes[:2], [{"h": "26", "w": "86"}, {"h": "25", "w": "85"}])  # so that a full-screen program draws again
        attach = self.query(self.one("POST", ".*/attach"))
        self.assertEqual({k: attach.get(k) for k in ("stdin", "stdout", "stderr", "stream")}, dict.fromkeys(("stdin", "stdout", "stderr", "stream"), "1"))

    def test_detach_and_again(self):
        name = self.unique("d")
        self.addCleanup(self.docker, "rm", "-f", name, check=False)
        t = self.term("run", "-it", "--name", name, "--detach-keys", "ctrl-x,q", "--network", "none", "busybox", "sh")
        t.expect("#")
        t.line("x=kept; stty -echo; echo set")
        t.expect("set")
        t.send("\x18q")
        self.assertEqual(t.wait(), 0)
        self.assertTrue(self.running(name))
        t = self.term("attach", "--detach-keys", "ctrl-a", name)
        t.line("echo $x-again")
        t.expect("kept-again")
        t.send("\x01")
        t.wait()
        self.assertTrue(self.running(name))
        t = self.term("attach", name)
        t.line("exit 8")
        self.assertEqual(t.wait(), 8)

    def test_logs(self):
        name = self.up(script="echo one; echo two >&2; sleep 0.3; echo three; " + docker_cli.STAYS)
        self.assertTrue(coffer.wait_until(lambda: self.docker("logs", name).out == "one\nthree\n", 10))
        self.assertEqual(self.docker("logs", name).err, "two\n")
        self.assertEqual(self.docker("logs", "--tail", "1", name).out, "three\n")
        self.recorder.forget()
        p = self.background("logs", "-f", "--tail", "10", "--since", "1h", "-t", name)
        self.assertRegex(p.stdout.readline(), rb"^\d{4}-\d\d-\d\dT\S+Z one\n$")
        self.docker("kill", name)
        self.assertRegex(p.stdout.read(), rb"^\S+Z three\n$")
        self.assertEqual(p.wait(20), 0)
        x = self.one("GET", ".*/logs")
        q = self.query(x)
        self.assertEqual({k: q.get(k) for k in ("follow", "stdout", "stderr", "tail", "timestamps")}, {"follow": "1", "stdout": "1", "stderr": "1", "tail": "10", "timestamps": "1"})
        self.assertEqual((x.answer_headers["transfer-encoding"], x.status), ("chunked", 200))

    # -- 9, 10 --------------------------------------------------------------------------------------------------

    def test_load(self):
        import images
        path = images.docker_archive([[images.Entry.file("bin/y", self.unique())]], ["sequence:1"], path=os.path.join(self.scratch, self.unique("load") + ".tar"))
        self.assertEqual(self.docker("load", "-i", path).out, "Loaded image: sequence:1\n")
        x = self.one("POST", "/images/load")
        self.assertEqual((self.query(x)["quiet"], x.answer_headers["content-type"]), ("1", "application/json"))
        t = self.term("load", "-i", path)
        self.assertEqual(t.wait(), 0)
        self.assertIn("Loaded image: sequence:1", t.text)
        self.docker("rmi", "sequence:1")

    def test_events_since_until(self):
        start = time.time()
        name = self.up()
        self.docker("rm", "-f", name)
        rows = self.docker("events", "--since", f"{start:.6f}", "--until", f"{time.time():.6f}", "--filter", f"container={name}", "--format", "{{.Action}}").lines
        self.assertEqual(rows, ["create", "start", "kill", "die", "destroy"])
        self.assertEqual(set(self.query(self.one("GET", "/events"))), {"since", "until", "filters"})

    def test_system_df(self):
        self.assertIn("Local Volumes", self.docker("system", "df").out)
        self.assertIn("busybox", self.docker("system", "df", "-v").out)

    # -- 11 -----------------------------------------------------------------------------------------------------

    def test_lists_and_inspect(self):
        name = self.up()
        self.recorder.forget()
        for args, want in ((("ps",), ["GET /containers/json"]), (("ps", "-a"), ["GET /containers/json"]), (("images",), ["GET /images/json"]), (("volume", "ls"), ["GET /volumes"])):
            self.docker(*args)
            self.assertEqual([a for a in self.asked() if not a.endswith("_ping")], want)
            self.recorder.forget()
        self.assertEqual(self.docker("inspect", "-f", "{{.Name}}", name).word, "/" + name)
        self.assertEqual(self.asked()[-1], f"GET /containers/{name}/json")
        self.recorder.forget()
        self.docker("inspect", "busybox")
        self.assertEqual([a for a in self.asked() if not a.endswith("_ping")][:2], ["GET /containers/busybox/json", "GET /images/busybox/json"])
        self.recorder.forget()
        r = self.docker("inspect", "no-such-thing", check=False)
        self.assertFails(r, 1, "No such object: no-such-thing")
        got = [a for a in self.asked() if not a.endswith("_ping")]
        for path in ("/containers/no-such-thing/json", "/images/no-such-thing/json", "/networks/no-such-thing", "/volumes/no-such-thing", "/plugins/no-such-thing/json"):
            self.assertIn("GET " + path, got)
        self.assertTrue(all(x.status in (200, 404) for x in self.recorder.exchanges()), self.recorder.exchanges())

    def test_rm_fv(self):
        name = self.up("-v", "/anonymous")
        volume = self.docker("inspect", "-f", "{{(index .Mounts 0).Name}}", name).word
        self.recorder.forget()
        self.docker("rm", "-fv", name)
        self.assertEqual(self.query(self.one("DELETE", f"/containers/{name}")), {"force": "1", "v": "1"})
        self.assertNotIn(volume, self.docker("volume", "ls", "-q").lines)

    def test_system_prune(self):
        label = self.unique("prune")
        self.docker("create", "--label", label, "--network", "none", "busybox", "true")
        self.recorder.forget()
        r = self.docker("system", "prune", "-f", "--filter", f"label={label}")
        self.assertRegex(r.out, r"Deleted Containers:\n[0-9a-f]{64}\n")
        self.assertIn("Total reclaimed space:", r.out)
        for path in ("/containers/prune", "/networks/prune", "/images/prune"):
            self.assertEqual((self.one("POST", path).status, self.count("POST", path)), (200, 1))
        kept = self.docker("volume", "create").word
        self.recorder.forget()
        self.docker("system", "prune", "-f", "--volumes", "--filter", f"label={label}")
        self.assertEqual(self.one("POST", "/volumes/prune").status, 200)
        self.assertIn(kept, self.docker("volume", "ls", "-q").lines)
        self.docker("volume", "rm", kept)

    # -- 13: what drives the docker CLI ---------------------------------------------------------------------------

    def test_events_deliver_at_once(self):
        """VS Code's extension waits for the first event before it goes on."""
        p = self.background("events", "--format", "{{json .}}", "--filter", "event=start")
        self.assertTrue(coffer.wait_until(lambda: [x for x in self.recorder.exchanges() if x.path == "/events" and x.status == 200], 10))
        name = self.up()
        row = json.loads(p.stdout.readline())
        self.assertEqual((row["Action"], row["Actor"]["Attributes"]["name"]), ("start", name))

    def test_devcontainer_run(self):
        label = self.unique("dev.container=")
        p = self.background("run", "--sig-proxy=false", "-a", "STDOUT", "-a", "STDERR", "--mount", f"type=bind,source={self.scratch},target=/workspace", "-l", label, "--network", "none",
                            "--entrypoint", "/bin/sh", "busybox", "-c", "echo Container started; trap 'exit 0' 15; while :; do sleep 0.05; done")
        self.assertEqual(p.stdout.readline(), b"Container started\n")
        cid = self.docker("ps", "-q", "-a", "--filter", f"label={label}").word
        self.addCleanup(self.docker, "rm", "-f", cid, check=False)
        self.assertEqual(self.docker("inspect", "--type", "container", "-f", "{{.State.Status}}", cid).word, "running")
        data = os.urandom(100000)
        self.assertEqual(self.docker("exec", "-i", "-u", "root", cid, "cat", input=data).bytes, data)
        p.kill()  # the window is closed
        p.wait(20)
        self.assertEqual(self.docker("inspect", "-f", "{{.State.Status}}", cid).word, "running")


class NewestDocker(Recorded):
    client = docker_cli.newest()


class DebianDocker(Recorded):
    client = docker_cli.DEBIAN


class Libraries(daemon.DaemonTest):
    """What docker-py, dockerode and what is built on them send, written by hand."""

    def raw(self, method, target, body=None, headers=(), upgrade=False):
        """(status, headers, socket, bytes behind the head) of a request without a version, as these libraries write it."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(30)
        self.addCleanup(s.close)
        s.connect(self.sock)
        text = json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(text)}"]
        if upgrade:
            lines += ["Connection: Upgrade", "Upgrade: tcp"]
        s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
        got = b""
        while b"\r\n\r\n" not in got:
            piece = s.recv(65536)
            self.assertTrue(piece, got)
            got += piece
        head, _, rest = got.partition(b"\r\n\r\n")
        first, *more = head.decode().split("\r\n")
        return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in more)}, s, rest

    @staticmethod
    def rest(s, got):
        while piece := s.recv(65536):
            got += piece
        return got

    def test_docker_py_run(self):
        """create, inspect, start, logs that follow, inspect, wait; then exec with Upgrade."""
        cid = self.api("POST", "/v1.50/containers/create", {"Image": "busybox", "Cmd": ["sh", "-c", "echo a; exit 2"], "Tty": False, "HostConfig": {"NetworkMode": "none"}, "NetworkDisabled": False}).json()["Id"]
        self.addCleanup(self.api, "DELETE", f"/containers/{cid}?v=False&link=False&force=True")
        self.assertEqual(self.api("GET", f"/v1.50/containers/{cid}/json").status, 200)
        self.assertEqual(self.api("POST", f"/v1.50/containers/{cid}/start").status, 204)
        logs = self.api("GET", f"/v1.50/containers/{cid}/logs?stderr=0&stdout=1&timestamps=0&follow=1&tail=all")
        self.assertEqual(frames(logs.body), [(1, b"a\n")])
        self.assertEqual(self.api("POST", f"/v1.50/containers/{cid}/wait").json()["StatusCode"], 2)
        up = self.started("sleep", "1000")
        eid = self.api("POST", f"/v1.50/containers/{up}/exec", {"Container": up, "User": "", "Privileged": False, "Tty": False, "AttachStdin": False, "AttachStdout": True, "AttachStderr": True, "Cmd": ["echo", "x"]}).json()["Id"]
        status, headers, s, got = self.raw("POST", f"/v1.50/exec/{eid}/start", {"Tty": False, "Detach": False}, upgrade=True)
        self.assertEqual((status, headers["content-type"], frames(self.rest(s, got))), (101, "application/vnd.docker.multiplexed-stream", [(1, b"x\n")]))
        self.assertEqual(self.api("GET", f"/v1.50/exec/{eid}/json").json()["ExitCode"], 0)

    def test_dockerode_exec(self):
        """Without Upgrade it is a 200 that ends with the connection; keys that it adds for itself are ignored."""
        up = self.started("sleep", "1000")
        for tty in (False, True):
            eid = self.api("POST", f"/containers/{up}/exec", {"AttachStdout": True, "AttachStderr": True, "Cmd": ["echo", "plain"], "Tty": tty}).json()["Id"]
            status, headers, s, got = self.raw("POST", f"/exec/{eid}/start", {"hijack": True, "stdin": True, "Detach": False, "Tty": tty})
            self.assertEqual((status, headers["content-type"]), (200, "application/vnd.docker.raw-stream"))
            self.assertNotIn("content-length", headers)
            self.assertNotIn("transfer-encoding", headers)
            self.assertEqual(self.rest(s, got), b"plain\r\n" if tty else b"\1\0\0\0\0\0\0\6plain\n")
        eid = self.api("POST", f"/containers/{up}/exec", {"AttachStdin": True, "AttachStdout": True, "Cmd": ["cat"]}).json()["Id"]
        status, _, s, got = self.raw("POST", f"/exec/{eid}/start", {"hijack": True, "stdin": True}, upgrade=True)
        s.sendall(b"through\n")
        s.shutdown(socket.SHUT_WR)
        self.assertEqual((status, frames(self.rest(s, got))), (101, [(1, b"through\n")]))

    def test_testcontainers(self):
        """Its create puts everything into the query as well; it polls inspect and follows the log with tail=-1, since=0."""
        label = {"org.testcontainers": "true", "org.testcontainers.session-id": "s1"}
        body = {"Image": "busybox", "Cmd": ["sh", "-c", "echo Started; sleep 1000"], "Labels": label, "ExposedPorts": {}, "HostConfig": {"NetworkMode": "none", "PortBindings": {}, "AutoRemove": False, "Privileged": None}, "Env": None}
        a = self.api("POST", "/containers/create?Image=busybox&Cmd=sh&_query=%7B%7D", body)
        self.assertEqual(a.status, 201, str(a))
        cid = a.json()["Id"]
        self.addCleanup(self.api, "DELETE", f"/containers/{cid}?force=true&v=true")
        self.assertEqual(self.api("POST", f"/containers/{cid}/start", b"", {"Content-Type": "application/json"}).status, 204)
        doc = self.api("GET", f"/containers/{cid}/json").json()
        self.assertEqual((doc["NetworkSettings"]["Ports"], doc["State"]["Running"]), ({}, True))
        r = self.api.stream("GET", f"/containers/{cid}/logs?follow=true&stdout=true&stderr=true&tail=-1&since=0")
        self.assertEqual((r.getheader("Transfer-Encoding"), r.read(16)), ("chunked", b"\1\0\0\0\0\0\0\x08Started\n"))
        r.connection.close()
        for f in ({"label": [f"{k}={v}" for k, v in label.items()]}, {"label": {f"{k}={v}": True for k, v in label.items()}}, {"label": ["org.testcontainers=true"], "status": ["running", "exited"]}):
            rows = self.api("GET", "/containers/json", query={"all": "true", "filters": f}).json()
            self.assertEqual([c["Id"] for c in rows], [cid], f)
        self.assertEqual(self.api("POST", f"/containers/{cid}/stop?t=0").status, 204)
        self.assertEqual(self.api("POST", f"/containers/{cid}/stop?t=0").status, 304)

    def test_ryuk(self):
        """It reaps by label, in the map form, and tolerates what is going already by the message's text."""
        made = [self.create("sleep", "1000", Labels={"reap": "me"}) for _ in range(3)]
        other = self.create("true")
        self.api("POST", f"/containers/{made[0]}/start")
        self.api("POST", "/volumes/create", {"Name": "ryuk", "Labels": {"reap": "me"}})
        args = urllib.parse.quote(json.dumps({"label": {"reap=me": True}}))
        rows = self.api("GET", f"/v1.44/containers/json?all=1&filters={args}").json()
        self.assertEqual(sorted(c["Id"] for c in rows), sorted(made))
        results = []
        threads = [threading.Thread(target=lambda c=c: results.append(self.api("DELETE", f"/v1.44/containers/{c}?force=1&v=1"))) for c in made for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([r.status for r in results].count(204) >= 3, True)
        for r in results:
            if r.status != 204:
                self.assertIn(r.status, (404, 409), str(r))
                self.assertRegex(r.message, "No such container|already in progress")
        self.assertEqual([v["Name"] for v in self.api("GET", f"/v1.44/volumes?filters={args}").json()["Volumes"]], ["ryuk"])
        self.assertEqual(self.api("DELETE", "/v1.44/volumes/ryuk?force=1").status, 204)
        self.assertEqual(self.api("GET", f"/v1.44/images/json?filters={args}").json(), [])
        self.assertEqual(self.api("GET", f"/containers/{other}/json").status, 200)

    def test_gitlab_runner(self):
        """create, attach first, start, feed a script by stdin, wait by condition."""
        cid = self.create("sh", OpenStdin=True, StdinOnce=True, AttachStdin=True, AttachStdout=True, AttachStderr=True)
        status, _, s, got = self.raw("POST", f"/v1.44/containers/{cid}/attach?stderr=1&stdin=1&stdout=1&stream=1", upgrade=True, headers=("Content-Type: text/plain",))
        self.assertEqual(status, 101)
        waiting = self.api.stream("POST", f"/v1.44/containers/{cid}/wait?condition=not-running")
        self.assertEqual(json.loads(waiting.read()), {"StatusCode": 0})  # it does not run yet
        waiting.connection.close()
        self.assertEqual(self.api("POST", f"/v1.44/containers/{cid}/start").status, 204)
        s.sendall(b"echo job; echo oops >&2\nexit 3\n")
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(sorted(frames(self.rest(s, got))), [(1, b"job\n"), (2, b"oops\n")])
        self.assertEqual(self.api("POST", f"/v1.44/containers/{cid}/wait?condition=not-running").json()["StatusCode"], 3)


class Coverage(unittest.TestCase):
    def test_every_sequence_has_a_test_or_a_reason(self):
        have = {n.removeprefix("test_") for c in (NewestDocker, Libraries) for n in dir(c) if n.startswith("test_")}
        self.assertEqual({n for names in COVERAGE.values() for n in names} - have, set())
        self.assertEqual(have - {n for names in COVERAGE.values() for n in names}, set())
        self.assertEqual(set(COVERAGE) | set(ELSEWHERE), set(range(1, 14)))


del Recorded  # only its heirs are tests

if __name__ == "__main__":
    coffer.main()
