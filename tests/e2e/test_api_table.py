# SPDX-License-Identifier: Apache-2.0
"""docs/engine-api.md against the Engine API's own description and against cofferd.

The description (engine-api.yaml, API 1.50; engine_api.py) is not part of the repository. Its paths and fields must all have rows; the rows must be
true of the daemon; what the daemon answers must fit the description's schemas.
"""

import json
import os
import re
import stat
import time
import unittest

import coffer
import daemon
import engine_api

TABLE = os.path.join(coffer.SOURCE, "docs", "engine-api.md")


def rows(heading, columns):
    """The cells of the table below @heading."""
    text = coffer.read_text(TABLE).split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    found = [[c.strip() for c in re.split(r"(?<!\\)\|", line.strip("|"))] for line in text.splitlines() if line.startswith("|")]
    return [r for r in found[2:] if len(r) == columns]


def paths():
    return [(m, p, state) for m, p, state, _ in rows("Paths", 4)]


def fields():
    return [(name, state, json.loads(value.strip("`").replace("\\|", "|")), note) for name, state, value, note in rows("Fields", 4)]


class Rows(unittest.TestCase):
    """Completeness: needs no daemon."""

    def setUp(self):
        self.schema = engine_api.load(self)

    def test_every_path_has_a_row(self):
        want = {(m.upper(), p) for p, item in self.schema.doc["paths"].items() for m in item if m in engine_api.METHODS}
        have = [(m, p) for m, p, _ in paths()]
        self.assertEqual(len(have), len(set(have)), "a row is there twice")
        self.assertEqual(sorted(want - set(have)), [], "paths without a row")
        self.assertEqual(sorted(set(have) - want), [], "rows without a path")

    def test_every_field_has_a_row(self):
        definitions = self.schema.doc["definitions"]
        groups = {"Config": "ContainerConfig", "HostConfig": "HostConfig", "NetworkingConfig": "NetworkingConfig", "EndpointSettings": "EndpointSettings"}
        want = {f"{short}.{name}" for short, full in groups.items() for name in self.schema.properties(definitions[full])[0]}
        have = [name for name, *_ in fields()]
        self.assertEqual(len(have), len(set(have)), "a row is there twice")
        self.assertEqual(sorted(want - set(have)), [], "fields without a row")
        self.assertEqual(sorted(set(have) - want), [], "rows without a field")

    def test_states_are_known_and_ignoring_has_a_reason(self):
        for m, p, state in paths():
            self.assertRegex(state, r"^(yes|404|501|503)$", f"{m} {p}")
        for name, state, _, note in fields():
            self.assertIn(state, ("yes", "warned", "refused", "ignored"), name)
            if state == "ignored":
                self.assertTrue(note, f"{name} is ignored without a reason")


class Facts(daemon.DaemonTest):
    """The rows are true of the daemon, and its answers fit the description."""

    # -- rows ---------------------------------------------------------------------------------------------------

    def test_paths(self):
        queries = {"/images/create": "?fromSrc=-", "/events": "?until=1"}
        for m, p, state in paths():
            with self.subTest(method=m, path=p):
                a = self.api(m, re.sub(r"\{[a-z]+\}", "zz9", p) + queries.get(p, ""))
                if state == "yes":
                    self.assertNotEqual(a.status, 501, str(a))
                    self.assertNotIn("page not found", a.text)
                    continue
                self.assertEqual(a.status, int(state), str(a))
                if m != "HEAD":
                    self.assertEqual(a.headers["content-type"], "application/json")
                    self.assertTrue(a.message)

    @staticmethod
    def body_with(name, value):
        group, key = name.split(".")
        body = {"Image": "busybox", "HostConfig": {"NetworkMode": "none"}}
        if group == "HostConfig":
            body["HostConfig"][key] = value
            if key in ("MemorySwap", "OomKillDisable"):
                body["HostConfig"]["Memory"] = 64 << 20
        elif group == "NetworkingConfig":
            body = {"Image": "busybox", "NetworkingConfig": {key: value}}
        elif group == "EndpointSettings":
            body = {"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"default": {key: value}}}}
        else:
            body[key] = value
        return body

    def shown(self, group, key, value, doc):
        if group == "Config" and key == "Env":
            self.assertEqual(doc[group][key][-1:], value)
        elif group == "HostConfig" and key == "Mounts":
            self.assertLessEqual(value[0].items(), doc[group][key][0].items())
        elif group in ("Config", "HostConfig"):
            self.assertEqual(doc[group][key], value)

    def test_fields(self):
        disk = os.path.join(self.scratch, "disk")
        os.mknod(disk, 0o600 | stat.S_IFBLK, os.makedev(7, 0))
        giver = self.create("true")
        for name, state, value, _ in fields():
            with self.subTest(field=name):
                group, key = name.split(".")
                value = json.loads(json.dumps(value).replace("DISK", disk).replace("CONTAINER", giver))
                a = self.api("POST", "/containers/create", self.body_with(name, value))
                if state == "refused":
                    self.assertIn(a.status, (400, 501), str(a))
                    self.assertIn(key if group != "EndpointSettings" else "NetworkingConfig", a.message)
                    continue
                self.assertEqual(a.status, 201, str(a))
                cid, warnings = a.json()["Id"], [w for w in a.json()["Warnings"] if "bridge networks" not in w]
                try:
                    self.assertEqual(any(key in w for w in warnings), state == "warned", warnings)
                    if state == "yes":
                        self.shown(group, key, value, self.api("GET", f"/containers/{cid}/json").json())
                finally:
                    self.api("DELETE", f"/containers/{cid}?force=1&v=1")

    def test_an_unknown_field_draws_a_warning_and_is_no_error(self):
        a = self.api("POST", "/containers/create", {"Image": "busybox", "hijack": True, "HostConfig": {"NoSuchThing": [1]}})
        self.assertEqual(a.status, 201, str(a))
        self.addCleanup(self.api, "DELETE", f"/containers/{a.json()['Id']}")
        self.assertIn("HostConfig.NoSuchThing", "".join(a.json()["Warnings"]))

    # -- schemas ------------------------------------------------------------------------------------------------

    def fits(self, schema, method, path, status, value):
        found = []
        schema.check(schema.answer(method, path, status), value, f"{method} {path}", found)
        self.assertEqual(found, [])

    def test_answers_fit_the_description(self):
        schema = engine_api.load(self)
        life = self.started("sh", "-c", "while :; do sleep 1; done", name="life", host={"Memory": 64 << 20, "Binds": ["vol:/v"]}, Labels={"a": "b"}, ExposedPorts={"80/tcp": {}}, Tty=True)
        over = self.started("true")
        self.api("POST", f"/containers/{over}/wait")
        exec_id = self.api("POST", f"/containers/{life}/exec", {"Cmd": ["true"], "AttachStdout": True}).json()["Id"]
        self.api("POST", f"/exec/{exec_id}/start", {"Detach": True})
        gets = (("/containers/json", "/containers/json?all=1&size=1"), ("/containers/{id}/json", f"/containers/{life}/json?size=1"), ("/containers/{id}/json", f"/containers/{over}/json"),
                ("/containers/{id}/top", f"/containers/{life}/top"), ("/containers/{id}/stats", f"/containers/{life}/stats?stream=0&one-shot=1"),
                ("/images/json", "/images/json"), ("/images/{name}/json", "/images/busybox/json"), ("/images/{name}/history", "/images/busybox/history"),
                ("/info", "/info"), ("/version", "/version"), ("/exec/{id}/json", f"/exec/{exec_id}/json"), ("/volumes", "/volumes"), ("/volumes/{name}", "/volumes/vol"), ("/plugins", "/plugins"), ("/system/df", "/system/df"))
        for path, target in gets:
            with self.subTest(path=path):
                a = self.api("GET", target)
                self.assertEqual(a.status, 200, str(a))
                self.fits(schema, "GET", path, 200, a.json())
        posts = (("/containers/create", "/containers/create?name=schema", {"Image": "busybox"}, 201), ("/containers/{id}/update", f"/containers/{life}/update", {"PidsLimit": 100}, 200),
                 ("/containers/{id}/wait", f"/containers/{over}/wait", None, 200), ("/containers/{id}/exec", f"/containers/{life}/exec", {"Cmd": ["x"]}, 201),
                 ("/volumes/create", "/volumes/create", {"Name": "schema"}, 201), ("/containers/prune", "/containers/prune", None, 200), ("/volumes/prune", "/volumes/prune", None, 200),
                 ("/images/prune", "/images/prune", None, 200), ("/networks/prune", "/networks/prune", None, 200), ("/build/prune", "/build/prune", None, 200))
        for path, target, body, status in posts:
            with self.subTest(path=path):
                a = self.api("POST", target, body)
                self.assertEqual(a.status, status, str(a))
                self.fits(schema, "POST", path, status, a.json())
        self.api("POST", "/images/busybox/tag?repo=gone&tag=1")
        self.fits(schema, "DELETE", "/images/{name}", 200, self.api("DELETE", "/images/gone:1").json())
        for line in self.api("GET", f"/events?since=1&until={time.time() + 0.01:.3f}").text.splitlines():
            found = []
            schema.check(schema.doc["definitions"]["EventMessage"], {k: v for k, v in json.loads(line).items() if k not in ("status", "id", "from")}, "event", found)
            self.assertEqual(found, [], line)
        self.fits(schema, "GET", "/containers/{id}/json", 404, self.api("GET", "/containers/nosuch/json").json())

    # -- the facts of HTTP that clients depend on (each broke one) ------------------------------------------------

    def test_headers_of_every_answer(self):
        for method, target in (("GET", "/_ping"), ("HEAD", "/_ping"), ("GET", "/version"), ("GET", "/nosuch"), ("POST", "/containers/nosuch/start"), ("GET", "/v1.30/info")):
            a = self.api(method, target)
            self.assertEqual((a.headers["api-version"], a.headers["docker-experimental"], a.headers["ostype"]), ("1.50", "false", "linux"), target)
            self.assertRegex(a.headers["server"], r"\(linux\)$")
        ping = self.api("HEAD", "/_ping")
        self.assertEqual((ping.status, ping.headers["builder-version"], ping.headers["swarm"], ping.headers["pragma"], ping.body), (200, "1", "inactive", "no-cache", b""))
        self.assertEqual(self.api("GET", "/_ping").text, "OK")

    def test_errors_are_json_and_nothing_else(self):
        for method, target, status in (("GET", "/containers/nosuch/json", 404), ("GET", "/v1.99/info", 400), ("GET", "/nosuch", 404), ("PATCH", "/info", 404), ("POST", "/containers/create", 400)):
            a = self.api(method, target)
            self.assertEqual((a.status, a.headers["content-type"]), (status, "application/json"), target)
            self.assertTrue(a.text.endswith("}\n"))
        self.assertEqual(self.api("GET", "/v1.99/info").message, "client version 1.99 is too new. Maximum supported API version is 1.50")

    def test_missing_image_is_404_so_that_clients_pull(self):
        a = self.api("POST", "/containers/create", {"Image": "no/such:tag"})
        self.assertEqual((a.status, a.message), (404, "No such image: no/such:tag"))

    def test_bodies(self):
        a = self.api("POST", "/containers/create", b'{"Image":"busybox"}', {"Content-Type": "text/plain"})
        self.assertEqual((a.status, a.message), (400, "unsupported Content-Type header (text/plain): must be 'application/json'"))
        self.assertEqual(self.api("POST", "/containers/create", b'{"Image":"busybox"} trailing', {"Content-Type": "application/json"}).status, 400)
        a = self.api("POST", "/containers/create", {"image": "busybox", "CMD": ["true"], "hostConfig": {"autoREMOVE": True, "Binds": None}, "Env": None})
        self.assertEqual(a.status, 201, str(a))
        doc = self.api("GET", f"/containers/{a.json()['Id']}/json").json()
        self.assertEqual((doc["Config"]["Cmd"], doc["HostConfig"]["AutoRemove"]), (["true"], True))
        self.api("DELETE", f"/containers/{a.json()['Id']}")
        cid = self.create("true")
        self.assertEqual(self.api("POST", f"/containers/{cid}/start", b"x" * 8, {"Content-Type": "application/json"}).status, 400)

    def test_filters_in_both_forms(self):
        cid = self.started("sleep", "60", Labels={"k": "v"})
        for f in ({"label": {"k=v": True}}, {"label": ["k=v"]}, {"label": ["k"], "status": ["running"]}):
            self.assertEqual([c["Id"] for c in self.api("GET", "/containers/json", query={"filters": f}).json()], [cid], f)
        self.assertEqual(self.api("GET", "/containers/json", query={"filters": {"label": ["k=w"]}}).json(), [])
        for bad in ({"nope": ["1"]}, "x", [1], {"label": 5}):
            a = self.api("GET", "/containers/json", query={"filters": bad})
            self.assertEqual(a.status, 400, str(a))
            self.assertIn("invalid filter", a.message)

    def test_wait_answers_its_head_before_the_start(self):
        for condition in ("next-exit", "removed"):
            cid = self.create("sh", "-c", "exit 5", host={"AutoRemove": condition == "removed"})
            r = self.api.stream("POST", f"/containers/{cid}/wait?condition={condition}")
            self.assertEqual((r.status, r.getheader("Transfer-Encoding")), (200, "chunked"))
            self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 204)
            self.assertEqual(json.loads(r.read()), {"StatusCode": 5})
            r.connection.close()

    def test_hijack_with_and_without_upgrade(self):
        cid = self.create("sh", "-c", "cat; echo end >&2", OpenStdin=True, StdinOnce=True, AttachStdin=True)
        status, headers, s, rest = self.api.hijack(f"/v1.44/containers/{cid}/attach?stream=1&stdin=1&stdout=1&stderr=1")
        self.assertEqual((status, headers["content-type"], headers["upgrade"]), (101, "application/vnd.docker.multiplexed-stream", "tcp"))
        self.assertEqual(self.api("POST", f"/containers/{cid}/start").status, 204)
        s.sendall(b"in\n")
        s.shutdown(1)  # SHUT_WR: the end of its stdin
        got = rest
        while piece := s.recv(4096):
            got += piece
        s.close()
        self.assertEqual(got, b"\1\0\0\0\0\0\0\3in\n\2\0\0\0\0\0\0\4end\n")
        old = self.create("echo", "x")
        _, headers, s, _ = self.api.hijack(f"/v1.41/containers/{old}/attach?stream=1&stdout=1")
        s.close()
        self.assertEqual(headers["content-type"], "application/vnd.docker.raw-stream")
        c = self.started("sleep", "60")
        e = self.api("POST", f"/containers/{c}/exec", {"Cmd": ["echo", "plain"], "AttachStdout": True}).json()["Id"]
        a = self.api.raw(f"POST /exec/{e}/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        head, _, body = a.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream"), head)
        self.assertNotIn(b"Transfer-Encoding", head)
        self.assertEqual(body, b"\1\0\0\0\0\0\0\6plain\n")

    def test_attach_replays_the_log(self):
        for tty in (False, True):
            cid = self.started("sh", "-c", "echo before; sleep 0.4; echo after", Tty=tty)
            self.assertTrue(coffer.wait_until(lambda: b"before" in self.api("GET", f"/containers/{cid}/logs?stdout=1").body, 5))
            _, _, s, got = self.api.hijack(f"/containers/{cid}/attach?logs=1&stream=1&stdout=1&stderr=1")
            while piece := s.recv(4096):
                got += piece
            s.close()
            self.assertEqual(got, b"before\r\nafter\r\n" if tty else b"\1\0\0\0\0\0\0\7before\n\1\0\0\0\0\0\0\6after\n")
            _, _, s, got = self.api.hijack(f"/containers/{cid}/attach?logs=1&stdout=1")
            while piece := s.recv(4096):
                got += piece
            s.close()
            self.assertIn(b"after", got)

    def test_attach_errors_are_raw(self):
        got = self.api.raw(b"POST /containers/nosuch/attach?stream=1 HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n")
        self.assertEqual(got, b"HTTP/1.1 404 Not Found\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nNo such container: nosuch\r\n")

    def test_resize_right_after_the_start_waits_for_the_process(self):
        for _ in range(5):
            cid = self.started("sleep", "60", Tty=True)
            self.assertEqual(self.api("POST", f"/containers/{cid}/resize?h=10&w=20").status, 200)
            e = self.api("POST", f"/containers/{cid}/exec", {"Cmd": ["sleep", "1"], "Tty": True}).json()["Id"]
            self.assertEqual(self.api("POST", f"/exec/{e}/start", {"Detach": True}).status, 200)
            self.assertEqual(self.api("POST", f"/exec/{e}/resize?h=10&w=20").status, 200)

    def test_events_answer_their_head_at_once_and_one_chunk_each(self):
        r = self.api.stream("GET", '/events?filters={"type":["volume"]}')
        self.assertEqual((r.status, r.getheader("Transfer-Encoding"), r.getheader("Content-Type")), (200, "chunked", "application/json"))
        self.api("POST", "/volumes/create", {"Name": "chunk"})
        self.api("DELETE", "/volumes/chunk")
        self.assertEqual([json.loads(r.readline())["Action"] for _ in range(2)], ["create", "destroy"])
        r.connection.close()

    def test_events_of_another_engine(self):
        """A coffer that runs an engine of its own tells the daemon."""
        r = self.api.stream("GET", '/events?filters={"type":["container"],"event":["create","destroy"]}')
        self.daemon_hidden(lambda: self.coffer("rm", self.coffer("create", "--name", "elsewhere", "--network", "none", "busybox", "true").word))
        seen = [json.loads(r.readline()) for _ in range(2)]
        self.assertEqual([(e["Action"], e["Actor"]["Attributes"]["name"]) for e in seen], [("create", "elsewhere"), ("destroy", "elsewhere")])
        r.connection.close()

    def test_events_keep_the_newest(self):
        c = daemon.UnixConnection(self.sock)
        for _ in range(520):
            for method, target, body in (("POST", "/volumes/create", b'{"Name":"ring"}'), ("DELETE", "/volumes/ring", None)):
                c.request(method, target, body, {"Content-Type": "application/json"} if body else {})
                c.getresponse().read()
        c.close()
        rows = [json.loads(line) for line in self.api("GET", f"/events?since=1&until={time.time() + 0.01:.3f}").text.splitlines()]
        self.assertEqual((len(rows), rows[-1]["Action"], rows[0]["Action"]), (1024, "destroy", "create"))
        self.assertEqual([r["timeNano"] for r in rows], sorted(r["timeNano"] for r in rows))

    def daemon_hidden(self, do):
        """While @do runs, coffer does not find the daemon's socket."""
        away = self.sock + ".away"
        os.rename(self.sock, away)
        try:
            do()
        finally:
            os.rename(away, self.sock)

    def test_keep_alive(self):
        c = daemon.UnixConnection(self.sock)
        for _ in range(3):
            c.request("GET", "/_ping")
            r = c.getresponse()
            self.assertEqual((r.status, r.read()), (200, b"OK"))
        c.close()


if __name__ == "__main__":
    coffer.main()
