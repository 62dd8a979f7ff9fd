# SPDX-License-Identifier: Apache-2.0
"""The shapes of cofferd's answers with real content: against the description at 1.50, and what older API versions had instead.

Every other test with a daemon has its answers checked as well (daemon.Client); here is what those do not come by.
"""

import json
import os
import re
import time
import unittest

import coffer
import daemon
import engine_api

STAYS = ("sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done")
NEVER_NULL = {  # what clients take for granted (api.md section 3): a null or a missing member here broke one of them
    "list": ("Id", "Names", "Image", "ImageID", "Command", "Created", "Ports", "Labels", "State", "Status", "HostConfig.NetworkMode", "NetworkSettings.Networks", "Mounts"),
    "inspect": ("Id", "Created", "Path", "Args", "State.Status", "State.StartedAt", "State.FinishedAt", "Image", "Name", "RestartCount", "HostConfig.LogConfig.Type", "HostConfig.LogConfig.Config",
                "HostConfig.NetworkMode", "HostConfig.PortBindings", "HostConfig.RestartPolicy", "Mounts", "Config.Labels", "Config.Image", "Config.Env", "NetworkSettings.Ports", "NetworkSettings.Networks"),
    "image": ("Id", "RepoTags", "RepoDigests", "Created", "Size", "RootFS.Type", "RootFS.Layers", "Config", "Architecture", "Os", "GraphDriver.Name"),
    "images": ("Id", "RepoTags", "RepoDigests", "Created", "Size", "SharedSize", "Containers", "ParentId"),
    "info": ("ID", "Containers", "Images", "Plugins.Volume", "Plugins.Network", "Plugins.Log", "RegistryConfig.IndexConfigs", "RegistryConfig.InsecureRegistryCIDRs", "Runtimes", "DefaultRuntime",
             "SecurityOptions", "CgroupDriver", "CgroupVersion", "Swarm.LocalNodeState", "NCPU", "MemTotal", "OSType", "Architecture", "IndexServerAddress", "ServerVersion", "Driver"),
    "version": ("Version", "ApiVersion", "MinAPIVersion", "Os", "Arch", "KernelVersion", "Platform.Name", "Components"),
    "volume": ("Name", "Driver", "Mountpoint", "Scope", "CreatedAt"),
}
STATES = {"created", "running", "paused", "restarting", "removing", "exited", "dead"}


def member(doc, path):
    for key in path.split("."):
        doc = doc[key]
    return doc


class Shapes(daemon.DaemonTest):
    """At 1.50, and without a version, which is the same."""

    def setUp(self):
        self.schema = engine_api.load(self)

    def get(self, target, status=200, method="GET", body=None):
        """The answer's JSON, once it fits."""
        a = self.api(method, target, body)
        self.assertEqual(a.status, status, str(a))
        self.assertEqual(self.schema.problems(method, target, a.status, a.headers.get("content-type"), a.body), [])
        return a.json() if a.body and a.headers.get("content-type") == "application/json" and not target.startswith("/events") else a.body

    def has(self, kind, doc):
        for path in NEVER_NULL[kind]:
            try:
                self.assertIsNotNone(member(doc, path), f"{kind} {path}")
            except (KeyError, TypeError):
                self.fail(f"{kind}: no {path} in {doc}")

    def containers(self):
        """{state: id} of containers with something in every field that can have something."""
        os.chmod(self.scratch, 0o755)
        host = {"Memory": 64 << 20, "Binds": ["shape-vol:/v", f"{self.scratch}:/host:ro"], "Tmpfs": {"/t": "size=1m"}, "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}], "CapAdd": ["NET_ADMIN"],
                "Mounts": [{"Type": "volume", "Source": "shape-other", "Target": "/o", "ReadOnly": True}], "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}, "NanoCpus": 500000000,
                "PidsLimit": 100, "ReadonlyRootfs": True, "SecurityOpt": ["no-new-privileges"], "ShmSize": 1 << 20, "Sysctls": {"net.ipv4.ip_forward": "1"}, "GroupAdd": ["10"], "Init": True}
        config = {"Labels": {"a": "b"}, "Env": ["A=1"], "ExposedPorts": {"80/tcp": {}}, "StopSignal": "TERM", "StopTimeout": 3, "User": "0:0", "Volumes": {"/anonymous": {}}, "OpenStdin": True, "Hostname": "shape"}
        found = {"created": self.create(*STAYS, host=host, **config), "running": self.started(*STAYS, host=host, **config), "paused": self.started(*STAYS), "exited": self.started("sh", "-c", "exit 3", Tty=True)}
        self.assertEqual(self.api("POST", f"/containers/{found['paused']}/pause").status, 204)
        self.api("POST", f"/containers/{found['exited']}/wait")
        return found

    def test_containers_in_every_state(self):
        ids = self.containers()
        rows = {c["Id"]: c for c in self.get("/containers/json?all=1&size=1")}
        for state, cid in ids.items():
            with self.subTest(state=state):
                doc = self.get(f"/containers/{cid}/json?size=1")
                self.has("inspect", doc)
                self.has("list", rows[cid])
                self.assertEqual((doc["State"]["Status"], rows[cid]["State"]), (state, state))
                self.assertIn(doc["State"]["Status"], STATES)
                self.assertEqual((doc["State"]["Running"], doc["State"]["Paused"]), (state in ("running", "paused"), state == "paused"))
                self.assertRegex(rows[cid]["Status"], {"created": "^Created$", "running": "^Up ", "paused": r"^Up .*\(Paused\)$", "exited": r"^Exited \(3\) "}[state])
                self.assertEqual(doc["State"]["FinishedAt"] == "0001-01-01T00:00:00Z", state != "exited")
                self.assertTrue(rows[cid]["Names"][0].startswith("/") and doc["Name"] == rows[cid]["Names"][0])
        doc = self.get(f"/containers/{ids['running']}/json")
        self.assertEqual(sorted(m["Destination"] for m in doc["Mounts"]), ["/anonymous", "/host", "/o", "/t", "/v"] if any(m["Type"] == "tmpfs" for m in doc["Mounts"]) else ["/anonymous", "/host", "/o", "/v"])
        self.assertEqual(doc["HostConfig"]["Ulimits"], [{"Name": "nofile", "Soft": 100, "Hard": 200}])
        self.get(f"/containers/{ids['running']}/top")
        self.get(f"/containers/{ids['running']}/top?ps_args=aux")
        self.get(f"/containers/{ids['running']}/update", method="POST", body={"Memory": 128 << 20, "MemorySwap": 256 << 20})
        self.get(f"/containers/{ids['exited']}/wait", method="POST")
        for verb, status in (("kill?signal=USR1", 204), ("rename?name=shape-renamed", 204), ("restart?t=0", 204), ("stop?t=0", 204), ("stop", 304), ("start", 204), ("start", 304), ("pause", 204), ("unpause", 204)):
            self.get(f"/containers/{ids['running']}/{verb}", status, "POST")
        self.get(f"/containers/{ids['created']}?v=1", 204, "DELETE")
        self.get("/containers/prune", method="POST")

    def test_lists_that_are_empty_are_lists(self):
        for target in ("/containers/json?filters=" + '{"label":["no-such-label"]}', "/images/json?filters=" + '{"reference":["no-such-image"]}', "/plugins"):
            self.assertEqual(self.get(target), [])
        self.assertEqual(self.get("/volumes?filters=" + '{"name":["no-such-volume"]}')["Volumes"], [])

    def test_images(self):
        self.assertEqual(self.api("POST", "/images/busybox/tag?repo=shape/tagged&tag=1").status, 201)
        for image in self.get("/images/json?digests=1&shared-size=1"):
            self.has("images", image)
        self.has("image", self.get("/images/busybox/json"))
        self.get("/images/shape/tagged:1/history")
        self.get("/images/shape/tagged:1?noprune=1", method="DELETE")
        self.get("/images/prune", method="POST")

    def test_execs(self):
        cid = self.started(*STAYS)
        for body, code in (({"Cmd": ["sh", "-c", "exit 4"], "AttachStdout": True, "Env": ["A=1"], "User": "1"}, 4), ({"Cmd": ["no-such-command"], "Tty": True}, 127)):
            eid = self.get(f"/containers/{cid}/exec", 201, "POST", body)["Id"]
            self.get(f"/exec/{eid}/json")
            self.api("POST", f"/exec/{eid}/start", {"Detach": True})
            self.assertTrue(coffer.wait_until(lambda: self.api("GET", f"/exec/{eid}/json").json()["Running"] is False, 10))
            self.assertEqual(self.get(f"/exec/{eid}/json")["ExitCode"], code)
        running = self.get(f"/containers/{cid}/exec", 201, "POST", {"Cmd": ["sleep", "100"]})["Id"]
        self.api("POST", f"/exec/{running}/start", {"Detach": True})
        self.get(f"/exec/{running}/json")
        self.get(f"/containers/{cid}/json")  # ExecIDs

    def test_volumes(self):
        self.has("volume", self.get("/volumes/create", 201, "POST", {"Name": "shape", "Labels": {"a": "b"}, "Driver": "local", "DriverOpts": {}}))
        self.get("/volumes/create", 201, "POST", {})
        self.has("volume", self.get("/volumes/shape"))
        self.get("/volumes")
        self.get("/volumes/shape", 204, "DELETE")
        self.get("/volumes/nosuch?force=1", 204, "DELETE")
        self.get("/volumes/prune", method="POST")

    def test_system(self):
        self.containers()
        self.has("info", self.get("/info"))
        self.assertEqual(self.get("/info")["Swarm"]["LocalNodeState"], "inactive")
        self.has("version", self.get("/version"))
        self.assertNotIn("podman", json.dumps(self.get("/version")).lower())
        self.get("/system/df")
        for kind in ("image", "container", "volume", "build-cache"):
            self.get(f"/system/df?type={kind}")
        self.get(f"/events?since=1&until={time.time() + 0.01:.3f}")
        self.get("/networks/prune", method="POST")
        self.get("/build/prune", method="POST")

    def test_errors(self):
        cid = self.started(*STAYS, name="shape-up")
        for method, target, body, status in (
            ("GET", "/containers/nosuch/json", None, 404), ("POST", "/containers/nosuch/start", None, 404), ("DELETE", f"/containers/{cid}", None, 409), ("POST", f"/containers/{cid}/rename?name=-", None, 400),
            ("POST", "/containers/create?name=shape-up", {"Image": "busybox"}, 409), ("POST", "/containers/create", {"Image": "nosuch"}, 404), ("POST", "/containers/create", {}, 400), ("GET", "/images/nosuch/json", None, 404),
            ("POST", f"/containers/{cid}/exec", {}, 400), ("POST", f"/containers/{cid}/wait?condition=x", None, 400), ("GET", "/volumes/nosuch", None, 404), ("GET", "/exec/nosuch/json", None, 404),
            ("POST", f"/containers/{cid}/unpause", None, 409), ("GET", f"/containers/{cid}/logs", None, 400), ("POST", f"/containers/{cid}/kill?signal=NOPE", None, 400), ("GET", "/nosuch", None, 404),
            ("GET", "/containers/json?filters=x", None, 400), ("GET", "/v1.99/info", None, 400), ("POST", f"/containers/{cid}/resize?h=x&w=1", None, 400), ("POST", f"/containers/{cid}/stop?t=x", None, 400),
        ):
            with self.subTest(target=target):
                self.get(target, status, method, body)


class Versions(daemon.DaemonTest):
    """What clients that ask for an older version get (api.md 1.2 "Version shaping")."""

    def at(self, version, target, method="GET", body=None, status=200):
        a = self.api(method, f"/v{version}{target}", body)
        self.assertEqual(a.status, status, str(a))
        return a.json() if a.body else None

    def test_every_version_answers(self):
        cid = self.started(*STAYS)
        for minor in range(24, 51):
            for target in ("/info", "/version", "/containers/json?all=1", f"/containers/{cid}/json", "/images/json", "/images/busybox/json", "/volumes", "/system/df"):
                self.at(f"1.{minor}", target)
        self.assertEqual(self.api("GET", "/v1.23/info").status, 400)
        self.assertEqual(self.api("GET", "/v1.51/info").status, 400)

    def test_images_before_1_44_have_a_virtual_size(self):
        for version, has in (("1.24", True), ("1.43", True), ("1.44", False), ("1.50", False)):
            for doc in (self.at(version, "/images/json")[0], self.at(version, "/images/busybox/json"), self.at(version, "/system/df")["Images"][0]):
                self.assertEqual("VirtualSize" in doc, has, version)
                if has:
                    self.assertEqual(doc["VirtualSize"], doc["Size"])

    def test_images_without_a_name_before_1_43(self):
        with open(os.path.join(self.scratch, "nameless.tar"), "wb") as f:
            import images
            f.write(images.tar(images.busybox_entries()))
        iid = self.coffer("import", f.name).word
        for version, tags in (("1.42", ["<none>:<none>"]), ("1.43", [])):
            row = next(i for i in self.at(version, "/images/json") if i["Id"] == iid)
            self.assertEqual(row["RepoTags"], tags, version)
        self.coffer("rmi", iid)

    def test_images_before_1_45_have_a_container(self):
        for version, has in (("1.44", True), ("1.45", False)):
            doc = self.at(version, "/images/busybox/json")
            self.assertEqual(("Container" in doc, "ContainerConfig" in doc), (has, True), version)  # docker-compose 1 looks into the second one whatever it speaks

    def test_image_config_before_1_50_has_the_fields_of_a_container(self):
        legacy = {"Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "Image"}
        self.assertEqual(legacy - set(self.at("1.49", "/images/busybox/json")["Config"]), set())
        self.assertEqual(legacy & set(self.at("1.50", "/images/busybox/json")["Config"]), set())

    def test_streams_before_1_42_are_raw(self):
        cid = self.started(*STAYS)
        for version, kind in (("1.41", "application/vnd.docker.raw-stream"), ("1.42", "application/vnd.docker.multiplexed-stream")):
            self.assertEqual(self.api("GET", f"/v{version}/containers/{cid}/logs?stdout=1").headers["content-type"], kind)

    def test_disk_usage_before_1_42_has_a_builder_size(self):
        for version, has in (("1.41", True), ("1.42", False)):
            self.assertEqual("BuilderSize" in self.at(version, "/system/df"), has)

    def test_volume_prune_before_1_42_takes_named_ones(self):
        for version, gone in (("1.42", False), ("1.41", True)):
            self.at(version, "/volumes/create", "POST", {"Name": "shape-named"}, 201)
            self.assertEqual("shape-named" in (self.at(version, "/volumes/prune", "POST")["VolumesDeleted"] or []), gone, version)
        self.at("1.50", "/volumes/create", "POST", {"Name": "shape-named"}, 201)
        self.assertIn("shape-named", self.api("POST", "/v1.50/volumes/prune", query={"filters": {"all": ["true"]}}).json()["VolumesDeleted"])

    def test_networks_before_1_44_are_one_at_create(self):
        two = {"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": {}}}}
        a = self.api("POST", "/v1.43/containers/create", two)
        self.assertEqual((a.status, a.json()["message"]), (400, "Container cannot be connected to network endpoints: a, b"))

    def test_info_before_1_50_has_the_bridge_fields(self):
        for version, has in (("1.49", True), ("1.50", False)):
            doc = self.at(version, "/info")
            self.assertEqual({"BridgeNfIptables", "BridgeNfIp6tables"} <= set(doc), has, version)

    def test_exec_console_size_from_1_42(self):
        cid = self.started(*STAYS)
        self.at("1.42", f"/containers/{cid}/exec", "POST", {"Cmd": ["true"], "ConsoleSize": [10, 20], "Tty": True}, 201)
        self.at("1.41", f"/containers/{cid}/exec", "POST", {"Cmd": ["true"], "ConsoleSize": [10, 20], "Tty": True}, 201)


class Judge(unittest.TestCase):
    """The judge itself finds what is wrong."""

    def test_complaints(self):
        d = engine_api.load(self)
        for method, target, status, body, words in (
            ("GET", "/_nosuch", 200, b"{}\n", "not in the description"), ("GET", "/containers/json", 201, b"[]\n", "the description has"), ("GET", "/containers/json", 200, b'[{"Id": 5}]\n', "is no string"),
            ("GET", "/containers/x/json", 200, b'{"State": {"Status": "configured"}}\n', "is none of"), ("GET", "/containers/x/json", 200, b'{"Frob": 1}\n', "Frob: unknown"),
            ("GET", "/containers/x/json", 200, b'{"State": {"Pid": null}}\n', "Pid: null"), ("GET", "/volumes/x", 200, b'{"Driver": "local"}\n', "Name: missing"), ("GET", "/containers/json", 200, b"[]", "no newline"),
            ("GET", "/containers/x/json", 200, b'{"Created": "yesterday"}\n', "is no dateTime"), ("GET", "/containers/json", 404, b'{"error": "x"}\n', "is no error"), ("POST", "/containers/x/start", 204, b"x", "a body"),
            ("GET", "/containers/json", 200, b'[{"Ports": [{"PrivatePort": 70000, "Type": "tcp"}]}]\n', "is no uint16"),
        ):
            found = d.problems(method, target, status, "application/json", body)
            self.assertTrue(any(words in f for f in found), (target, found))
        self.assertEqual(d.problems("GET", "/v1.50/images/a/b:1/json?x=1", 404, "application/json", b'{"message":"No such image"}\n'), [])
        self.assertEqual(d.route("GET", "/images/json"), "/images/json")
        self.assertEqual(d.route("GET", "/images/a/b/c:1/history"), "/images/{name}/history")
        self.assertTrue(re.match("/containers", d.route("GET", "/containers/abc/json")))


if __name__ == "__main__":
    coffer.main()
