# SPDX-License-Identifier: Apache-2.0
"""coffer-oci under Debian's containerd (1.6): ctr's verbs through the runc shim, and pods through the CRI plugin.

One containerd per class, in an arena of its own (peers.py), with the configuration of docs/kubernetes.md. The shim is
io.containerd.runc.v2 with another binary, which is how every containerd from 1.3 to 2.x takes a runtime like this one.
"""

import json
import os
import re

import coffer
import cri
import images
import peers

SOCKET = "/run/containerd/containerd.sock"
BUSYBOX = "docker.io/library/busybox:latest"
PAUSE = "localhost/pause:1"
MAP = (("--uidmap", "0:200000:65536"), ("--gidmap", "0:300000:65536"))
TERMINATES = "trap 'exit 9' TERM; while :; do sleep 0.1; done"


def snippets():
    """{name: text} of the configuration snippets in docs/kubernetes.md: each follows a comment <!-- snippet: NAME -->."""
    text = coffer.read_text(os.path.join(coffer.SOURCE, "docs", "kubernetes.md"))
    return dict(re.findall(r"<!-- snippet: (\S+) -->\s*```\w*\n(.*?)```", text, re.S))


LAST = "; sleep 0.3"


class Containerd(peers.ArenaTest):
    """An arena with a containerd in it that has busybox and a pause image."""

    @classmethod
    def setUpArena(cls):
        a = cls.arena
        runtime = snippets()["containerd-1.x"].replace("/usr/local/bin/coffer-oci", cls.runtime)
        if not int(coffer.proc_status("self")["CapEff"], 16) >> 24 & 1:  # a machine without CAP_SYS_RESOURCE: a sandbox cannot have a score of -998
            runtime = runtime.replace("  sandbox_image", "  restrict_oom_score_adj = true\n  sandbox_image")
        config = os.path.join(a.dir, "config.toml")
        with open(config, "w") as f:
            f.write(f'root = "{a.dir}/lib"\nstate = "/run/containerd"\n{runtime}')
        cls.configure()
        cls.server = a.daemon("containerd", "--config", config, log="containerd.log")
        if not coffer.wait_until(lambda: cls.ctr("version", check=False).code == 0 or cls.server.poll() is not None, 30, 0.1) or cls.server.poll() is not None:
            raise RuntimeError("containerd did not come up: " + a.log("containerd.log"))
        cls.load()

    @classmethod
    def configure(cls):
        spec = json.loads(cls.arena.run("ctr", "oci", "spec").out)
        spec["linux"]["namespaces"].append({"type": "user"})
        spec["linux"].update(json.loads(snippets()["user-namespace"]))
        cls.arena.run("sh", "-c", "mkdir -p /etc/containerd && cat >/etc/containerd/coffer-userns.json", input=json.dumps(spec))

    @classmethod
    def load(cls):
        folder = cls.arena.dir
        # a mount point that is missing in the image cannot be made by a container whose root does not own the image's files
        data = images.docker_archive([images.busybox_entries(), [images.Entry.dir("run"), images.Entry.file("etc/resolv.conf")]], ["busybox:latest"], path=os.path.join(folder, "busybox.tar"))
        cls.ctr("images", "import", data)
        cls.ctr("--namespace", "k8s.io", "images", "import", data)
        layer, entrypoint = peers.pause_layer(folder)
        data = images.docker_archive([layer], [PAUSE], {"Entrypoint": entrypoint}, path=os.path.join(folder, "pause.tar"))
        cls.ctr("--namespace", "k8s.io", "images", "import", data)

    @classmethod
    def ctr(cls, *args, **kw):
        return cls.arena.run("ctr", "--address", SOCKET, *args, **kw)

    def run_(self, *args, flags=(), name=None, **kw):
        """`ctr run --rm` of busybox with the runtime under test. Tests that read the output let the command last a moment (LAST): ctr 1.6 cancels the
        opening of its own fifos when the task is over, and a command that is quicker than that loses its output (1 of 200 on a loaded machine)."""
        return self.ctr("run", "--rm", "--runc-binary", self.runtime, *flags, BUSYBOX, name or self.unique(), *args, **kw)

    def start(self, *args, flags=(), name=None):
        """A detached container of busybox, removed when the test ends. Return: its name."""
        name = name or self.unique()
        self.ctr("run", "-d", "--runc-binary", self.runtime, *flags, BUSYBOX, name, *args)
        self.addCleanup(self.ctr, "container", "rm", name, check=False)
        self.addCleanup(self.ctr, "task", "rm", "-f", name, check=False)
        return name

    def task(self, name):
        """(host pid or 0, status) of a task as containerd sees it."""
        for line in self.ctr("task", "ls").out.splitlines()[1:]:
            words = line.split()
            if words[0] == name:
                return int(words[1]), words[2]
        return 0, "GONE"

    def inside(self, pid, path):
        """A file of /proc/PID in the arena, where @pid is known."""
        return self.arena.run("cat", f"/proc/{pid}/{path}").out


class Ctr(Containerd):
    """ctr: a container's whole life, one verb a test."""

    def test_run_plain(self):
        r = self.run_("sh", "-c", "id -u; hostname; cat /proc/self/cgroup; echo to-stderr >&2" + LAST)
        self.assertEqual(r.out.splitlines()[0], "0")
        self.assertIn("to-stderr", r.err)

    def test_exit_codes(self):
        for code in (0, 1, 42, 255):
            self.assertEqual(self.run_("sh", "-c", f"exit {code}", check=False).code, code)

    def test_program_that_is_not_there(self):
        r = self.run_("/no/such/program", check=False)
        self.assertFails(r, 1, "OCI runtime create failed", "/no/such/program", "no such file")

    def test_it_was_this_runtime(self):
        """A binary that is not there, to know that the option decides."""
        r = self.ctr("run", "--rm", "--runc-binary", "/no/runtime", BUSYBOX, self.unique(), "true", check=False)
        self.assertFails(r, 1, "/no/runtime")

    def test_pid_1_and_namespaces(self):
        name = self.start("sleep", "1000")
        pid, status = self.task(name)
        self.assertEqual(status, "RUNNING")
        for ns in ("mnt", "pid", "net", "ipc", "uts"):
            self.assertNotEqual(self.arena.run("readlink", f"/proc/{pid}/ns/{ns}").word, self.arena.run("readlink", f"/proc/1/ns/{ns}").word, ns)
        self.assertIn("/default/" + name, self.inside(pid, "cgroup"))

    def test_tty(self):
        t = self.arena.tty("ctr", "--address", SOCKET, "run", "--rm", "--tty", "--runc-binary", self.runtime, BUSYBOX, self.unique(), "sh", rows=33, cols=101)
        self._ttys.append(t)
        t.expect("/ # ")
        t.line("tty; stty size; exit 4")
        t.expect("/dev/(pts/0|console)")
        t.expect("33 101")
        self.assertEqual(t.wait(), 4)

    def test_user_namespace(self):
        name = self.start("sleep", "1000", flags=[w for m in MAP for w in m])
        pid, _ = self.task(name)
        self.assertEqual(self.inside(pid, "uid_map").split(), ["0", "200000", "65536"])
        self.assertEqual(self.inside(pid, "gid_map").split(), ["0", "300000", "65536"])
        self.assertRegex(self.inside(pid, "status"), r"Uid:\s+200000\s")
        r = self.ctr("task", "exec", "--exec-id", "x", name, "sh", "-c", "id -u; stat -c %u /bin/busybox; touch /new && stat -c %u:%g /new")
        self.assertEqual(r.out.split(), ["0", "0", "0:0"])

    def test_user_namespace_with_labels(self):
        """--remap-labels leaves the ownership to the snapshotter, and overlayfs in 1.6 does nothing: the image's files are nobody's."""
        r = self.run_("sh", "-c", "id -u; stat -c %u /bin/busybox; cat /proc/self/uid_map" + LAST, flags=[w for m in MAP for w in m] + ["--remap-labels"])
        self.assertEqual(r.out.split(), ["0", "65534", "0", "200000", "65536"])

    def test_exec(self):
        name = self.start("sleep", "1000")
        r = self.ctr("task", "exec", "--exec-id", "x1", name, "sh", "-c", "echo out; echo err >&2; exit 5", check=False)
        self.assertEqual((r.code, r.out), (5, "out\n"))
        self.assertIn("err", r.err)
        r = self.ctr("task", "exec", "--exec-id", "x2", "--cwd", "/tmp", "--user", "1000:1000", name, "sh", "-c", "pwd; id -u; id -g")
        self.assertEqual(r.out.split(), ["/tmp", "1000", "1000"])

    def test_exec_tty(self):
        name = self.start("sleep", "1000")
        t = self.arena.tty("ctr", "--address", SOCKET, "task", "exec", "--tty", "--exec-id", "x", name, "sh")
        self._ttys.append(t)
        t.expect("/ # ")
        t.line("test -t 0 && echo is-a-terminal; exit 6")
        t.expect("is-a-terminal\r")
        self.assertEqual(t.wait(), 6)

    def test_exec_of_what_is_not_there(self):
        name = self.start("sleep", "1000")
        self.assertFails(self.ctr("task", "exec", "--exec-id", "x", name, "/no/such/program", check=False), 1, "exec failed", "/no/such/program")
        self.assertEqual(self.task(name)[1], "RUNNING")

    def test_pause_and_resume(self):
        name = self.start("sh", "-c", "while :; do echo x >>/ticks; sleep 0.02; done")
        count = lambda: int(self.arena.run("sh", "-c", f"wc -c </proc/{pid}/root/ticks").word)  # noqa: E731
        pid, _ = self.task(name)
        coffer.wait_until(lambda: self.arena.run("test", "-s", f"/proc/{pid}/root/ticks", check=False).code == 0)
        self.ctr("task", "pause", name)
        self.assertEqual(self.task(name)[1], "PAUSED")
        first = count()
        coffer.time.sleep(0.3)
        self.assertEqual(count(), first)
        self.ctr("task", "resume", name)
        self.assertEqual(self.task(name)[1], "RUNNING")
        self.assertTrue(coffer.wait_until(lambda: count() > first))

    def test_kill_and_delete(self):
        name = self.start("sh", "-c", TERMINATES)
        coffer.time.sleep(0.2)  # the trap is set
        self.ctr("task", "kill", "-s", "TERM", name)
        self.assertTrue(coffer.wait_until(lambda: self.task(name)[1] == "STOPPED"))
        self.assertIn("exit code 9", self.ctr("task", "delete", name, check=False).err)
        self.assertEqual(self.task(name)[1], "GONE")
        self.ctr("container", "rm", name)

    def test_kill_all(self):
        name = self.start("sh", "-c", "sleep 1000 & sleep 1001 & wait")
        self.ctr("task", "kill", "-a", "-s", "KILL", name)
        self.assertTrue(coffer.wait_until(lambda: self.task(name)[1] == "STOPPED"))

    def test_delete_with_force(self):
        name = self.start("sleep", "1000")
        self.assertNotEqual(self.ctr("task", "rm", name, check=False).code, 0)
        self.assertEqual(self.task(name)[1], "RUNNING")
        self.ctr("task", "rm", "-f", name, check=False)
        self.assertEqual(self.task(name)[1], "GONE")

    def test_metrics(self):
        name = self.start("sleep", "1000", flags=["--memory-limit", "50331648"])
        r = self.ctr("task", "metrics", name).out
        self.assertIn("50331648", r)
        self.assertRegex(r, r"pids\.current\s+1\b")
        self.assertRegex(r, r"memory\.(usage_in_bytes|usage)\s+[1-9]")

    def test_ps(self):
        name = self.start("sh", "-c", "sleep 1000 & wait")
        self.assertTrue(coffer.wait_until(lambda: len(self.ctr("task", "ps", name).out.splitlines()) == 3))

    def test_oom(self):
        """The kernel's OOM kill reaches containerd as an event."""
        log = os.path.join(self.arena.dir, "events.log")
        events = self.arena.daemon("ctr", "--address", SOCKET, "events", log="events.log")
        self.addCleanup(events.wait)
        self.addCleanup(events.kill)
        name = self.unique()
        r = self.run_("sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=1; echo $?; sleep 0.3", flags=["--memory-limit", "20971520"], name=name)
        self.assertEqual(r.word, "137", str(r))
        self.assertTrue(coffer.wait_until(lambda: re.search(r"/tasks/oom .*" + name, coffer.read_text(log)), 5), coffer.read_text(log))

    def test_limits_are_set(self):
        name = self.start("sleep", "1000", flags=["--memory-limit", "50331648", "--cpu-quota", "50000", "--cpu-period", "100000"])
        base = peers.CGROUP if self.arena.v1 else ""
        files = {f"{base}/memory/default/{name}/memory.limit_in_bytes": "50331648", f"{base}/cpu/default/{name}/cpu.cfs_quota_us": "50000"} if base else {
            f"{peers.CGROUP}/default/{name}/memory.max": "50331648", f"{peers.CGROUP}/default/{name}/cpu.max": "50000 100000"}
        for path, value in files.items():
            self.assertEqual(self.arena.run("cat", path).word, value)

    def test_read_only_and_mounts(self):
        r = self.run_("sh", "-c", "sleep 0.3; touch /x; cat /data/f; touch /data/y", flags=["--read-only", "--mount", f"type=bind,src={self.folder()},dst=/data,options=rbind:ro"], check=False)
        self.assertIn("hello", r.out)
        self.assertEqual(r.err.count("Read-only file system"), 2, str(r))

    def folder(self):
        path = os.path.join(self.arena.dir, "data")
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "f"), "w") as f:
            f.write("hello\n")
        return path

    def test_seccomp_profile_and_capabilities(self):
        r = self.run_("sh", "-c", "grep -E '^(Seccomp|CapEff|NoNewPrivs):' /proc/self/status" + LAST, flags=["--seccomp", "--cap-drop", "CAP_CHOWN"])
        facts = dict(line.split(":\t") for line in r.out.splitlines())
        self.assertEqual(facts["Seccomp"], "2")
        self.assertEqual(facts["NoNewPrivs"], "1")
        self.assertEqual(int(facts["CapEff"], 16) & 1, 0)

    def test_own_spec_file_and_host_network(self):
        r = self.run_("sh", "-c", "ip -o link" + LAST, flags=["--net-host"])
        self.assertEqual(len(r.out.splitlines()), 1)
        self.assertIn("lo:", r.out)

    def test_nothing_is_left(self):
        name = self.unique()
        self.run_("true", name=name)
        found = self.arena.run("find", peers.CGROUP, "-name", name).out
        self.assertEqual(found, "")
        self.assertEqual(self.arena.run("sh", "-c", f"grep -c {name} /proc/self/mountinfo", check=False).word, "0")
        self.assertEqual(self.arena.run("sh", "-c", f"find /run/containerd -path '*{name}*'").out, "")


class Pods(Containerd):
    """Pods through the CRI plugin, as a kubelet asks for them (RuntimeClass handler `coffer`)."""

    EXTRA = "mkdir -p /etc/cni/net.d /opt/cni && mount -t tmpfs tmpfs /opt/cni && ln -s /usr/lib/cni /opt/cni/bin"

    @classmethod
    def configure(cls):
        super().configure()
        cls.arena.run("sh", "-c", "cat >/etc/cni/net.d/10-pods.conflist", input=snippets()["cni"])

    @classmethod
    def setUpArena(cls):
        super().setUpArena()
        cls.cri = cri.Client(SOCKET, cls.arena.argv)

    def pod(self, handler="coffer", network=2, **linux):
        """A sandbox, ended with the test. @network: 0 a network of its own by CNI, 2 the node's. Return: (id, its configuration)."""
        name = self.unique("pod")
        options = dict({"network": network, "pid": 1}, **linux.pop("namespaces", {}))
        config = {"metadata": {"name": name, "uid": "uid-" + name, "namespace": "default", "attempt": 0}, "log_directory": os.path.join(self.arena.dir, "logs", name),
                  "linux": dict({"cgroup_parent": "/kubepods/" + name, "security_context": {"namespace_options": options}}, **linux)}
        if network == 0:
            config["hostname"] = name
        pod = self.cri.call("RunPodSandbox", config=config, runtime_handler=handler)["pod_sandbox_id"]

        def remove():
            self.cri.call("StopPodSandbox", pod_sandbox_id=pod)
            self.cri.call("RemovePodSandbox", pod_sandbox_id=pod)

        self.addCleanup(remove)
        return pod, config

    def container(self, pod, *command, linux=None, start=True, **more):
        """A container in @pod, ended with the test. Return: its id."""
        pod_id, config = pod
        options = config["linux"]["security_context"]["namespace_options"]
        linux = dict(linux or {})
        linux["security_context"] = dict({"namespace_options": options, "seccomp": {"profile_type": 0}, "capabilities": {}}, **linux.get("security_context", {}))
        body = dict({"metadata": {"name": self.unique("app"), "attempt": 0}, "image": {"image": BUSYBOX}, "command": list(command), "log_path": "app.log", "linux": linux}, **more)
        cid = self.cri.call("CreateContainer", pod_sandbox_id=pod_id, config=body, sandbox_config=config)["container_id"]
        self.addCleanup(lambda: self.cri.call("RemoveContainer", container_id=cid))
        if start:
            self.cri.call("StartContainer", container_id=cid)
        return cid

    def status(self, cid):
        return self.cri.call("ContainerStatus", container_id=cid)["status"]

    def ended(self, cid, timeout=15):
        self.assertTrue(coffer.wait_until(lambda: self.status(cid).get("state") == 2, timeout), self.status(cid))
        return self.status(cid)

    def info(self, cid):
        return json.loads(self.cri.call("ContainerStatus", container_id=cid, verbose=1)["info"]["info"])

    def log(self, pod):
        path = os.path.join(pod[1]["log_directory"], "app.log")
        return [line.split(" ", 3)[3] for line in coffer.read_text(path).splitlines()]

    def test_version(self):
        self.assertEqual(self.cri.call("Version", version="v1")["runtime_name"], "containerd")

    def test_sandbox_and_container(self):
        pod = self.pod()
        self.assertEqual(self.cri.call("PodSandboxStatus", pod_sandbox_id=pod[0])["status"].get("state", 0), 0)
        self.assertEqual(self.cri.call("PodSandboxStatus", pod_sandbox_id=pod[0])["status"]["runtime_handler"], "coffer")
        cid = self.container(pod, "sh", "-c", "echo from the pod; exit 7")
        status = self.ended(cid)
        self.assertEqual((status["exit_code"], status["reason"]), (7, "Error"))
        self.assertEqual(self.log(pod), ["from the pod"])
        info = self.info(cid)
        self.assertEqual(info["runtimeOptions"]["binary_name"], self.runtime)

    def test_completed(self):
        pod = self.pod()
        self.assertEqual(self.ended(self.container(pod, "true"))["reason"], "Completed")

    def test_exec_sync(self):
        cid = self.container(self.pod(), "sleep", "1000")
        r = self.cri.call("ExecSync", container_id=cid, cmd=["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=10)
        self.assertEqual((r["stdout"], r["stderr"], r["exit_code"]), (b"out\n", b"err\n", 3))
        with self.assertRaises(cri.Error) as e:
            self.cri.call("ExecSync", container_id=cid, cmd=["sleep", "1000"], timeout=1)
        self.assertIn("timeout", e.exception.text)
        self.assertEqual(self.status(cid)["state"], 1)

    def test_stop_with_grace_and_without(self):
        pod = self.pod()
        polite = self.container(pod, "sh", "-c", TERMINATES)
        stubborn = self.container(pod, "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
        coffer.time.sleep(0.3)
        self.cri.call("StopContainer", container_id=polite, timeout=10)
        self.assertEqual(self.status(polite)["exit_code"], 9)
        self.cri.call("StopContainer", container_id=stubborn, timeout=1)
        self.assertEqual(self.status(stubborn)["exit_code"], 137)

    def test_namespaces_of_a_pod(self):
        """Containers of a pod share net, ipc and uts with its sandbox; the pid namespace is shared on request."""
        pod = self.pod(network=0, namespaces={"pid": 0})
        one, two = (self.container(pod, "sleep", "1000") for _ in range(2))
        pids = [self.info(c)["pid"] for c in (one, two)]
        sandbox = json.loads(self.cri.call("PodSandboxStatus", pod_sandbox_id=pod[0], verbose=1)["info"]["info"])["pid"]
        for ns, shared in (("net", True), ("ipc", True), ("uts", True), ("pid", True), ("mnt", False)):
            links = {self.arena.run("readlink", f"/proc/{p}/ns/{ns}").word for p in pids + [sandbox]}
            self.assertEqual(len(links), 1 if shared else 3, ns)
        self.assertRegex(self.cri.call("ExecSync", container_id=one, cmd=["ps"], timeout=10)["stdout"], b"/pause|sleep 1000000")

    def test_network_of_its_own(self):
        pod = self.pod(network=0)
        address = self.cri.call("PodSandboxStatus", pod_sandbox_id=pod[0])["status"]["network"]["ip"]
        self.assertTrue(address.startswith("10.88.7."))
        cid = self.container(pod, "sleep", "1000")
        self.assertIn(address.encode(), self.cri.call("ExecSync", container_id=cid, cmd=["ip", "-o", "-4", "addr"], timeout=10)["stdout"])
        self.assertEqual(self.cri.call("ExecSync", container_id=cid, cmd=["hostname"], timeout=10)["stdout"].decode().strip(), pod[1]["metadata"]["name"])

    def test_resources_and_update(self):
        pod = self.pod()
        cid = self.container(pod, "sleep", "1000", linux={"resources": {"memory_limit_in_bytes": 67108864, "cpu_quota": 50000, "cpu_period": 100000, "oom_score_adj": 500}})
        pid = self.info(cid)["pid"]
        where = next(line.split(":", 2)[2] for line in self.inside(pid, "cgroup").splitlines() if ":memory:" in line or line.startswith("0::"))
        self.assertTrue(where.startswith(pod[1]["linux"]["cgroup_parent"] + "/"), where)
        limit = f"{peers.CGROUP}/memory{where}/memory.limit_in_bytes" if self.arena.v1 else f"{peers.CGROUP}{where}/memory.max"
        self.assertEqual(self.arena.run("cat", limit).word, "67108864")
        self.assertEqual(self.inside(pid, "oom_score_adj").strip(), "500")
        self.cri.call("UpdateContainerResources", container_id=cid, linux={"memory_limit_in_bytes": 33554432})
        self.assertEqual(self.arena.run("cat", limit).word, "33554432")
        stats = self.cri.call("ContainerStats", container_id=cid)["stats"]
        self.assertGreater(stats["memory"]["working_set_bytes"]["value"], 0)

    def test_oom_killed(self):
        pod = self.pod()
        cid = self.container(pod, "sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=100M count=1", linux={"resources": {"memory_limit_in_bytes": 20971520}})
        status = self.ended(cid)
        self.assertEqual((status["exit_code"], status["reason"]), (137, "OOMKilled"))

    def test_security_context(self):
        pod = self.pod()
        context = {"run_as_user": {"value": 1000}, "run_as_group": {"value": 1000}, "supplemental_groups": [29], "no_new_privs": 1, "readonly_rootfs": 1, "capabilities": {"drop_capabilities": ["ALL"]}}
        cid = self.container(pod, "sh", "-c", "id -u; id -g; id -G; touch /x; grep -E '^(CapBnd|Seccomp|NoNewPrivs):' /proc/self/status; cat /proc/kcore | wc -c; touch /proc/sys/kernel/domainname", linux={"security_context": context})
        self.ended(cid)
        lines = self.log(pod)
        self.assertEqual(lines[:2], ["1000", "1000"])
        self.assertIn("29", lines[2].split())
        text = "\n".join(lines)
        self.assertIn("Read-only file system", text)
        self.assertRegex(text, r"CapBnd:\s+0000000000000000")
        self.assertRegex(text, r"Seccomp:\s+2")
        self.assertRegex(text, r"NoNewPrivs:\s+1")

    def test_privileged(self):
        pod = self.pod()
        with self.assertRaises(cri.Error) as e:
            self.container(pod, "true", linux={"security_context": {"privileged": 1}})
        self.assertIn("privileged", e.exception.text)

    def test_volumes(self):
        folder = os.path.join(self.arena.dir, "volume")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "f"), "w") as f:
            f.write("volume\n")
        pod = self.pod()
        cid = self.container(pod, "sh", "-c", "cat /v/f; touch /v/g; touch /w/h; ls /w", mounts=[{"container_path": "/v", "host_path": folder, "readonly": 1}, {"container_path": "/w", "host_path": folder}])
        self.ended(cid)
        self.assertEqual(self.log(pod), ["volume", "touch: /v/g: Read-only file system", "f", "h"])

    def test_user_namespace_is_ignored_by_containerd_1_6(self):
        """What docs/kubernetes.md says of this version: the pod asks for a user namespace and gets none, without a word."""
        mapping = [{"host_id": 200000, "container_id": 0, "length": 65536}]
        pod = self.pod(namespaces={"userns_options": {"mode": 0, "uids": mapping, "gids": mapping}})
        cid = self.container(pod, "sleep", "1000")
        self.assertEqual(self.inside(self.info(cid)["pid"], "uid_map").split()[:2], ["0", "0"])

    def test_user_namespace_by_base_spec(self):
        """docs/kubernetes.md's way for 1.6: a handler whose base_runtime_spec has the namespace."""
        pod = self.pod(handler="coffer-userns")
        cid = self.container(pod, "sh", "-c", "id -u; sleep 1000")
        pid = self.info(cid)["pid"]
        self.assertEqual(self.inside(pid, "uid_map").split(), ["0", "200000", "65536"])
        self.assertRegex(self.inside(pid, "status"), r"Uid:\s+200000\s")
        self.assertTrue(coffer.wait_until(lambda: self.log(pod) == ["0"]))

    def test_nothing_is_left(self):
        before = self.arena.run("sh", "-c", "ls /run/containerd/io.containerd.runtime.v2.task/k8s.io /run/netns 2>/dev/null || true").out
        pod = self.pod()
        cid = self.container(pod, "sleep", "1000")
        self.doCleanups()
        self.assertEqual(self.arena.run("sh", "-c", "ls /run/containerd/io.containerd.runtime.v2.task/k8s.io /run/netns 2>/dev/null || true").out, before)
        self.assertEqual(self.arena.run("find", peers.CGROUP, "-name", f"*{cid}*").out, "")


if __name__ == "__main__":
    coffer.main()
