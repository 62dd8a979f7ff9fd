# SPDX-License-Identifier: Apache-2.0
"""The process of a runtime document and the namespaces around it: what was asked for is read back from inside, or refused by name."""

import contextlib
import ctypes
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import coffer
import oci

ASAN = True
NS_FILES = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "user": "user", "cgroup": "cgroup", "time": "time"}
IDS = [{"containerID": 0, "hostID": 1500000, "size": 65536}]


def namespaces(document, **paths):
    """Replace or add namespaces: name=path, name=True (new), name=None (none)."""
    keep = [n for n in document["linux"]["namespaces"] if n["type"] not in paths]
    document["linux"]["namespaces"] = keep + [{"type": k} if v is True else {"type": k, "path": v} for k, v in paths.items() if v]
    return document


@contextlib.contextmanager
def holder(*flags):
    """A sleeping process in new namespaces (unshare's flags). Yields its pid."""
    p = subprocess.Popen(["unshare", *flags, "sh", "-c", "echo ready; exec sleep 1000"], stdout=subprocess.PIPE, text=True)
    try:
        assert p.stdout.readline() == "ready\n"
        children = coffer.read_text(f"/proc/{p.pid}/task/{p.pid}/children").split()
        yield int(children[0]) if children else p.pid
    finally:
        for pid in coffer.read_text(f"/proc/{p.pid}/task/{p.pid}/children").split():
            os.kill(int(pid), signal.SIGKILL)
        p.kill()
        p.wait()
        p.stdout.close()


class Namespaces(oci.OciTest):
    def refused(self, document, *words):
        r = self.run_document(document, check=False)
        self.assertNotEqual(r.code, 0, r)
        for word in words:
            self.assertIn(word, r.err)
        return r

    def test_each_kind_is_joined_by_path(self):
        for kind, flags in (("network", ["-n"]), ("ipc", ["-i"]), ("uts", ["-u"]), ("cgroup", ["-C"]), ("time", ["-T", "--fork"])):
            with self.subTest(kind), holder(*flags) as pid:
                path = f"/proc/{pid}/ns/{NS_FILES[kind]}"
                document = namespaces(oci.shell(f"readlink /proc/self/ns/{NS_FILES[kind]}"), **{kind: path})
                if kind == "uts":
                    del document["hostname"]
                self.assertEqual(self.run_document(document).out.strip(), os.readlink(path))

    def test_a_pid_namespace_is_joined_by_path(self):
        with holder("-p", "--fork", "--mount-proc", "--kill-child") as pid:
            document = namespaces(oci.shell("echo $$; readlink /proc/self/ns/pid"), pid=f"/proc/{pid}/ns/pid")
            own, ns = self.run_document(document).out.split()
            self.assertEqual(ns, os.readlink(f"/proc/{pid}/ns/pid"))
            self.assertGreater(int(own), 1, "somebody else is pid 1 there")

    def test_a_user_namespace_is_joined_by_path(self):
        with holder("-U") as pid:
            for name in ("uid_map", "gid_map"):
                with open(f"/proc/{pid}/{name}", "w") as f:
                    f.write("0 1500000 65536")
            document = namespaces(oci.shell("readlink /proc/self/ns/user; tr -s ' ' </proc/self/uid_map; id -u"), user=f"/proc/{pid}/ns/user")
            ns, uids, me = self.run_document(document).out.splitlines()
            self.assertEqual(ns, os.readlink(f"/proc/{pid}/ns/user"))
            self.assertEqual((uids.split(), me), (["0", "1500000", "65536"], "0"))

    def test_a_pod_of_two(self):
        """A second container in all of the first one's namespaces but the mount namespace, as a pod's are."""
        first = namespaces(oci.config("sleep", "1000"), user=True)
        first["linux"].update(uidMappings=IDS, gidMappings=IDS)
        pid = self.state_of(self.running(first))["pid"]
        second = oci.shell("for n in user net ipc uts pid; do readlink /proc/self/ns/$n; done; ps | grep -c 'sleep 1000'")
        namespaces(second, **{k: f"/proc/{pid}/ns/{NS_FILES[k]}" for k in ("user", "network", "ipc", "uts", "pid")})
        second["linux"].update(uidMappings=IDS, gidMappings=IDS)
        del second["hostname"]
        out = self.run_document(second).out.splitlines()
        self.assertEqual(out[:5], [os.readlink(f"/proc/{pid}/ns/{n}") for n in ("user", "net", "ipc", "uts", "pid")])
        self.assertGreaterEqual(int(out[5]), 1, out)

    def test_what_is_no_namespace_is_refused(self):
        self.refused(namespaces(oci.config("true"), network="/etc/passwd"), "/etc/passwd", "not a namespace")
        self.refused(namespaces(oci.config("true"), network="/run/no/such/ns"), "/run/no/such/ns")
        self.refused(namespaces(oci.config("true"), network="/proc/self/ns/uts"), "network namespace")

    def test_time_offsets(self):
        document = namespaces(oci.shell("cat /proc/uptime; cat /proc/self/timens_offsets"), time=True)
        document["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000}, "monotonic": {"secs": 1000, "nanosecs": 500}}
        out = self.run_document(document).out
        self.assertGreater(float(out.split()[0]), 1000000)
        self.assertRegex(out, r"monotonic\s+1000\s+500")
        self.assertRegex(out, r"boottime\s+1000000\s+0")

    def test_time_offsets_without_the_namespace_are_refused(self):
        document = oci.config("true")
        document["linux"]["timeOffsets"] = {"boottime": {"secs": 1}}
        self.refused(document, "timeOffsets")

    def test_hostname_and_domainname(self):
        document = oci.shell("hostname; cat /proc/sys/kernel/domainname")
        document.update(hostname="web", domainname="example")
        self.assertEqual(self.run_document(document).out.split(), ["web", "example"])
        self.refused(namespaces(oci.config("true"), uts=None), "hostname", "uts")

    def test_sysctls_of_an_own_namespace(self):
        document = oci.shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced")
        document["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel/shm_rmid_forced": "1"}
        self.assertEqual(self.run_document(document).out.split(), ["1", "1"])

    def test_sysctls_of_the_host_are_refused(self):
        before = coffer.read_text("/proc/sys/kernel/core_pattern")
        for key, value in (("kernel.core_pattern", "x"), ("kernel/core_pattern", "x"), ("vm.swappiness", "1"), ("kernel.shm_rmid_forced", "1+kernel.core_pattern=x"),
                           ("net/../kernel/core_pattern", "x"), ("net...kernel.core_pattern", "x"), ("kernel.hostname", "x"), ("", "x")):
            with self.subTest(key):
                document = oci.config("true")
                document["linux"]["sysctl"] = {key: value}
                self.refused(document, "linux.sysctl")
        self.assertEqual(coffer.read_text("/proc/sys/kernel/core_pattern"), before)
        document = namespaces(oci.config("true"), network=None)
        document["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
        self.refused(document, "linux.sysctl", "network namespace")
        document = namespaces(oci.config("true"), network="/proc/self/ns/net")
        document["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
        self.refused(document, "linux.sysctl", "network namespace")

    def test_network_devices_move_with_their_addresses(self):
        document = oci.shell("ip addr; cat /proc/net/dev | grep -c moved0; ip link show dev moved0 | head -1")
        document["process"]["args"][2] = "cat /sys/class/net/moved0/mtu /sys/class/net/moved0/flags /sys/class/net/moved0/address; ip -o addr show dev moved0"
        document["linux"]["netDevices"] = {"veth-a": {"name": "moved0"}}
        folder = self.bundle(document)
        script = (f"ip link add veth-a address 02:00:00:00:00:07 mtu 1400 type veth peer name veth-b && ip addr add 192.0.2.7/24 dev veth-a && ip -6 addr add 2001:db8::7/64 dev veth-a nodad && "
                  f"exec {self.program} --root {self.state} run -b {folder} {self.name()}")
        p = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(p.returncode, 0, p.stderr)
        for word in ("1400", "02:00:00:00:00:07", "192.0.2.7/24", "2001:db8::7/64"):
            self.assertIn(word, p.stdout)
        self.assertEqual(int(p.stdout.split()[1], 16) & 1, 1, "the interface is up")

    def test_network_devices_that_cannot_move_are_refused(self):
        document = oci.config("true")
        document["linux"]["netDevices"] = {"no-such-dev": {}}
        self.refused(document, "linux.netDevices", "no-such-dev")
        document = namespaces(oci.config("true"), network=None)
        document["linux"]["netDevices"] = {"lo": {}}
        self.refused(document, "linux.netDevices", "network namespace")

    def test_rdt_is_refused_where_there_is_none(self):
        if os.path.isdir("/sys/fs/resctrl/info"):
            self.fail("this host has resctrl: write the test that uses it")
        document = oci.config("true")
        document["linux"]["intelRdt"] = {"closID": "x", "l3CacheSchema": "L3:0=f"}
        self.refused(document, "linux.intelRdt", "resctrl")
        for more, words in (({"closID": "x", "enableMonitoring": True}, "enableMonitoring"), ({"closID": "x", "enableMBM": True}, "enableMonitoring"), ({"schemata": ["L3:0=f"]}, "closID")):
            document["linux"]["intelRdt"] = more
            self.refused(document, "linux.intelRdt." + words, "this version")


class Attributes(oci.OciTest):
    def status(self, key, edit=None, **process):
        out = self.output("cat /proc/self/status", edit, **process)
        return re.search(rf"^{key}:\s*(.*)$", out, re.M).group(1)

    def test_scheduler(self):
        self.assertEqual(self.output("awk '{print $19, $41}' /proc/self/stat", scheduler={"policy": "SCHED_BATCH", "nice": 7}).split(), ["7", "3"])

    def test_scheduler_that_is_unknown_is_refused(self):
        r = self.run_document(oci.config("true", scheduler={"policy": "SCHED_WISHFUL"}), check=False)
        self.assertNotEqual(r.code, 0)
        self.assertIn("SCHED_WISHFUL", r.err)

    def test_io_priority(self):
        name = self.running(oci.config("sleep", "1000", ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 6}))
        libc = ctypes.CDLL(None, use_errno=True)
        self.assertEqual(libc.syscall(252 if os.uname().machine == "x86_64" else 31, 1, self.state_of(name)["pid"]), 2 << 13 | 6)

    def test_personality(self):
        def edit(document):
            document["linux"]["personality"] = {"domain": "LINUX32"}
        self.assertEqual(int(self.output("cat /proc/self/personality", edit), 16) & 0xff, 8)

    def test_memory_policy(self):
        def edit(document):
            document["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
        if not os.path.exists("/proc/self/numa_maps"):
            r = self.run_document(self.edited(edit), check=False)
            self.assertIn("memoryPolicy", r.err)
            return
        self.assertIn("bind:0", self.output("head -1 /proc/self/numa_maps", edit))

    def edited(self, edit):
        document = oci.config("true")
        edit(document)
        return document

    def test_oom_score(self):
        self.assertEqual(self.output("cat /proc/self/oom_score_adj", oomScoreAdj=321).strip(), "321")
        name = self.running(oci.config("sleep", "1000", oomScoreAdj=123))
        self.assertEqual(coffer.read_text(f"/proc/{self.state_of(name)['pid']}/oom_score_adj").strip(), "123")

    def test_exec_affinity(self):
        name = self.running()
        document = dict(oci.config("sh", "-c", "grep Cpus_allowed_list /proc/self/status")["process"], execCPUAffinity={"initial": "0", "final": "0"})
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(document, f)
            f.flush()
            self.assertEqual(self.oci("exec", "--process", f.name, name).out.split(), ["Cpus_allowed_list:", "0"])

    def test_umask_groups_and_ids(self):
        user = {"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o77}
        out = self.output("umask; id -u; id -g; id -G; echo $HOME", user=user).split("\n")
        self.assertEqual(out[0], "0077")
        self.assertEqual(out[1:3], ["1000", "1001"])
        self.assertEqual(set(out[3].split()), {"1001", "5", "6"})
        self.assertEqual(out[4], "/home", "from the container's passwd")

    def test_no_capabilities_named_is_none_held(self):
        def edit(document):
            del document["process"]["capabilities"]
        out = self.output("grep ^Cap /proc/self/status", edit)
        self.assertEqual(set(re.findall(r"[0-9a-f]{16}", out)), {"0" * 16})

    def test_capabilities_that_cannot_be_granted_are_left_out_with_a_warning(self):
        """Asked for with one taken away from the caller, as `--privileged` of an engine that lacks it itself does."""
        every = [f"CAP_{n}" for n in ("CHOWN", "KILL", "SYS_TIME")]
        document = oci.shell("grep ^CapPrm /proc/self/status", capabilities={k: every for k in ("bounding", "effective", "permitted")})
        bundle, name = self.bundle(document), self.name()
        p = subprocess.run(["setpriv", "--bounding-set=-sys_time", "--inh-caps=-sys_time", self.program, "--root", self.state, "run", "-b", bundle, name], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(int(p.stdout.split()[1], 16), 1 << 0 | 1 << 5)
        self.assertIn("process.capabilities: CAP_SYS_TIME is not this host's to grant", p.stderr)
        self.assertEqual(p.stderr.count("level=warning"), 1)

    def test_ambient_capabilities(self):
        caps = {k: ["CAP_NET_BIND_SERVICE"] for k in ("bounding", "effective", "permitted", "inheritable", "ambient")}
        out = self.output("grep ^Cap /proc/self/status", capabilities=caps, user={"uid": 1000, "gid": 1000})
        self.assertEqual(set(re.findall(r"[0-9a-f]{16}", out)), {f"{1 << 10:016x}"})

    def test_rlimits(self):
        limits = [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
        self.assertEqual(self.output("ulimit -Sn; ulimit -Hn; ulimit -c", rlimits=limits).split(), ["77", "99", "0"])

    def test_no_new_privileges_both_ways(self):
        self.assertEqual(self.status("NoNewPrivs"), "1")
        self.assertEqual(self.status("NoNewPrivs", noNewPrivileges=False), "0")


class Hooks(oci.OciTest):
    POINTS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="hooks.", dir=self.scratch)
        self.script = os.path.join(self.dir, "hook")
        self.journal = os.path.join(self.dir, "journal")
        with open(self.script, "w") as f:
            f.write(f"#!/bin/sh\n{{ echo \"point=$1 cwd=$PWD env=$(env | grep -v -E '^(PWD|_|OLDPWD|SHLVL)=' | tr '\\n' ,) ns=$(readlink /proc/self/ns/mnt) fds=$(ls /proc/self/fd | tr '\\n' ,)\"; cat; echo; }} >> {self.journal}\n")
        os.chmod(self.script, 0o755)

    def hook(self, point, **more):
        return dict({"path": self.script, "args": ["hook", point], "env": [f"POINT={point}"]}, **more)

    def test_all_points_in_order_with_state(self):
        document = oci.config("sh", "-c", "sleep 0.2")
        # startContainer is looked up inside the container: busybox writes the state to a bind mount
        document["mounts"].append({"destination": "/mnt", "type": "bind", "source": self.dir, "options": ["bind"]})
        document["annotations"] = {"org.example": "yes"}
        document["hooks"] = {p: [self.hook(p)] for p in self.POINTS if p != "startContainer"}
        document["hooks"]["startContainer"] = [{"path": "/bin/sh", "args": ["sh", "-c", "{ echo point=startContainer cwd=$PWD ns=$(readlink /proc/self/ns/mnt); cat; echo; } >> /mnt/journal"]}]
        self.run_document(document)
        lines = coffer.read_text(self.journal).splitlines()
        points = [re.match(r"point=(\w+)", line).group(1) for line in lines[::2]]
        self.assertEqual(points, list(self.POINTS))
        states = [json.loads(line) for line in lines[1::2]]
        host = os.readlink("/proc/self/ns/mnt")
        for point, line, state in zip(points, lines[::2], states):
            with self.subTest(point):
                self.assertIn("cwd=/ ", line)
                self.assertEqual(state["annotations"], {"org.example": "yes"})
                self.assertEqual(state["ociVersion"], "1.0.2")
                self.assertTrue(state["bundle"].startswith("/"))
                self.assertEqual(f"ns={host}" in line, point not in ("createContainer", "startContainer"), line)
                if point != "startContainer":
                    self.assertIn(f"env=POINT={point},", line)
                    self.assertIn("fds=0,1,2,3,", line)  # 3: ls reading the directory
        self.assertEqual([s["status"] for s in states], ["created", "created", "created", "created", "running", "stopped"])
        pids = {s.get("pid") for s in states[:5]}
        self.assertEqual(len(pids), 1, "the same pid, as the host counts")

    def test_a_hook_that_fails_ends_the_create(self):
        for point in ("prestart", "createRuntime", "createContainer", "startContainer"):
            with self.subTest(point):
                document = oci.config("true")
                document["hooks"] = {point: [{"path": "/bin/false" if point != "startContainer" else "/bin/nothing"}]}
                name, folder = self.name(), self.bundle(document)
                r = self.oci("run", "-b", folder, name, check=False)
                self.assertNotEqual(r.code, 0)
                self.assertIn(f"hooks.{point}[0]", r.err)
                self.nothing_of(name, folder)

    def test_a_hook_that_hangs_is_killed(self):
        document = oci.config("true")
        document["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}
        r = self.run_document(document, check=False)
        self.assertNotEqual(r.code, 0)
        self.assertIn("timeout of 1 s", r.err)
        self.assertLess(r.seconds, 10)

    def test_poststart_and_poststop_failures_do_not_end_the_container(self):
        document = oci.config("sh", "-c", "echo ran")
        document["hooks"] = {"poststop": [{"path": "/bin/false"}]}
        self.assertEqual(self.run_document(document, check=False).out, "ran\n")


class Seccomp(oci.OciTest):
    def document(self, script, default="SCMP_ACT_ALLOW", nnp=True, **seccomp):
        document = oci.shell(script, noNewPrivileges=nnp)
        arch = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[os.uname().machine]
        document["linux"]["seccomp"] = dict({"defaultAction": default, "architectures": [arch]}, **seccomp)
        return document

    def rule(self, *names, action="SCMP_ACT_ERRNO", **more):
        return dict({"names": list(names), "action": action}, **more)

    def test_errno_with_its_number(self):
        for nnp in (True, False):
            with self.subTest(nnp=nnp):
                r = self.run_document(self.document("mkdir /tmp/x", nnp=nnp, syscalls=[self.rule("mkdir", "mkdirat", errnoRet=33)]), check=False)
                self.assertIn("Numerical argument out of domain", r.err)

    def test_filter_is_in_force_and_counted(self):
        for nnp in (True, False):
            out = self.run_document(self.document("grep ^Seccomp /proc/self/status", nnp=nnp, syscalls=[self.rule("mkdir")])).out.split()
            self.assertEqual(out, ["Seccomp:", "2", "Seccomp_filters:", "1"])

    def test_kill_and_trap(self):
        for action, code in (("SCMP_ACT_KILL_PROCESS", 128 + 31), ("SCMP_ACT_KILL", 128 + 31), ("SCMP_ACT_TRAP", 128 + 31)):
            with self.subTest(action):
                r = self.run_document(self.document("exec mkdir /tmp/x", syscalls=[self.rule("mkdir", "mkdirat", action=action)]), check=False)
                self.assertEqual(r.code, code)

    def test_log_allows(self):
        r = self.run_document(self.document("mkdir /tmp/x && echo made", syscalls=[self.rule("mkdir", "mkdirat", action="SCMP_ACT_LOG")]))
        self.assertEqual(r.out, "made\n")

    def test_flags(self):
        r = self.run_document(self.document("echo ran", flags=["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"], syscalls=[self.rule("mkdir")]))
        self.assertEqual(r.out, "ran\n")

    def test_exec_gets_the_filter_too(self):
        document = self.document("sleep 1000", syscalls=[self.rule("mkdir", "mkdirat", errnoRet=33)])
        name = self.running(document)
        self.assertIn("out of domain", self.oci("exec", name, "mkdir", "/tmp/x", check=False).err)

    def test_what_it_cannot_read_is_refused_by_name(self):
        for seccomp, word in (({"syscalls": [self.rule("mkdir", action="SCMP_ACT_PRAY")]}, "SCMP_ACT_PRAY"), ({"architectures": ["SCMP_ARCH_PDP11"]}, "SCMP_ARCH_PDP11"),
                              ({"syscalls": [self.rule("mkdir", action="SCMP_ACT_NOTIFY")]}, "listenerPath"), ({"listenerMetadata": "m", "syscalls": []}, "listenerMetadata")):
            with self.subTest(word):
                r = self.run_document(self.document("true", **seccomp), check=False)
                self.assertNotEqual(r.code, 0)
                self.assertIn(word, r.err)

    def agent(self, path, errno_value, rounds):
        """Answer @rounds notifications with @errno_value. Fills self.told."""
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(path)
        server.listen(4)

        def serve():
            with server:
                server.settimeout(20)
                for _ in range(rounds):
                    conn, _ = server.accept()
                    data, fds, _, _ = socket.recv_fds(conn, 65536, 1)
                    self.told.append(json.loads(data))
                    note = bytearray(80)
                    fcntl.ioctl(fds[0], 0xc0502100, note)  # SECCOMP_IOCTL_NOTIF_RECV
                    ident = struct.unpack_from("Q", note)[0]
                    fcntl.ioctl(fds[0], 0xc0182101, struct.pack("QqiI", ident, 0, -errno_value, 0))  # SECCOMP_IOCTL_NOTIF_SEND
                    conn.close()
                    self.listeners.append(fds[0])
        self.told, self.listeners = [], []
        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(lambda fds=self.listeners: [os.close(fds.pop()) for _ in list(fds)])
        self.addCleanup(thread.join)
        return thread

    def test_a_listener_is_handed_on(self):
        for nnp in (True, False):
            with self.subTest(nnp=nnp):
                path = os.path.join(tempfile.mkdtemp(prefix="agent.", dir=self.scratch), "sock")
                thread = self.agent(path, 33, rounds=2)
                document = self.document("mkdir /tmp/x; exec sleep 1000", nnp=nnp, listenerPath=path, listenerMetadata="hello", syscalls=[self.rule("mkdir", "mkdirat", action="SCMP_ACT_NOTIFY")])
                name = self.running(document)
                r = self.oci("exec", name, "mkdir", "/tmp/y", check=False)
                self.assertIn("out of domain", r.err)
                thread.join()
                self.assertEqual(self.told[0]["metadata"], "hello")
                self.assertEqual(self.told[0]["fds"], ["seccompFd"])
                self.assertEqual(self.told[0]["pid"], self.state_of(name)["pid"])
                self.assertEqual(self.told[0]["state"]["id"], name)
                self.assertTrue(coffer.wait_until(lambda: "out of domain" in coffer.read_text(self.log), 10))
                # a listener that goes away gives ENOSYS; the container must still be removable
                self.oci("delete", "--force", name)

    def test_a_listener_that_nothing_asks_is_ignored(self):
        """config-linux.md: without SCMP_ACT_NOTIFY the value is ignored; and unknown keys are, here too."""
        document = self.document("echo ran", listenerPath="/run/no-such-agent.sock", unheardOf=[1], syscalls=[dict(self.rule("mkdir"), unheardOf={"a": 1})])
        self.assertEqual(self.run_document(document).out, "ran\n")

    def test_a_listener_that_nobody_takes_ends_the_start(self):
        document = self.document("true", listenerPath="/run/no-such-agent.sock", syscalls=[self.rule("mkdir", action="SCMP_ACT_NOTIFY")])
        name, folder = self.name(), self.bundle(document)
        r = self.oci("run", "-b", folder, name, check=False)
        self.assertNotEqual(r.code, 0)
        self.assertIn("no-such-agent", r.err)
        self.nothing_of(name, folder)


