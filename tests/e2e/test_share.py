# SPDX-License-Identifier: Apache-2.0
"""Namespaces that are not the container's own: another container's, the host's, and /dev/shm that goes with them."""

import os
import unittest

from coffer import CofferTest, id_map, pid_exists, proc_status, read_text, wait_until

VM = True
ALL = "network,pid,ipc,uts,cgroupns,userns"


def ns(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


class ShareTest(CofferTest):
    def donor(self, *flags, name="donor", cmd=("sleep", "1000")):
        cid = self.coffer("run", "-d", "--name", name, "--network", "none", *flags, "busybox", *cmd).word
        self.addCleanup(self.coffer, "rm", "-f", name, check=False)
        return cid

    def joiner(self, *flags, cmd=("sleep", "1000")):
        cid = self.coffer("run", "-d", *([] if "--network" in flags else ["--network", "none"]), *flags, "busybox", *cmd).word
        self.addCleanup(self.coffer, "rm", "-f", cid, check=False)
        return cid


class Join(ShareTest):
    def test_each_kind_alone(self):
        donor = self.pid(self.donor("--ipc", "shareable"))
        for flag, kind in (("--pid", "pid"), ("--ipc", "ipc"), ("--network", "net")):
            with self.subTest(kind=kind):
                cid = self.joiner(flag, "container:donor")
                pid = self.pid(cid)
                for k in ("pid", "ipc", "net", "uts", "mnt", "cgroup"):
                    self.assertEqual(ns(pid, k) == ns(donor, k), k == kind, k)
                self.assertEqual(ns(pid, "user"), ns(donor, "user"), "who owns the namespace is joined, too")
                self.assertEqual(id_map(pid), id_map(donor))
                key = {"pid": "PidMode", "ipc": "IpcMode", "net": "NetworkMode"}[kind]
                self.assertEqual(self.inspect(cid)["HostConfig"][key], f"container:{self.inspect('donor')['Id']}")
                status = proc_status(pid)
                self.assertEqual((status["NoNewPrivs"], status["Seccomp"], status["CapInh"].strip("0")), ("1", "2", ""))
                self.coffer("rm", "-f", cid)

    def test_all_at_once_with_exec_and_posture(self):
        self.donor("--ipc", "shareable")
        cid = self.joiner("--pid", "container:donor", "--ipc", "container:donor", "--network", "container:donor")
        self.assertEqual(self.coffer("exec", cid, "sh", "-c", "readlink /proc/1/exe >/dev/null; ps -o args | grep -c '^sleep 1000'").word, "2")
        layer = next(x for x in self.coffer("posture", "--format", "json", cid).json()["Layers"] if x["Layer"] == "namespaces")
        self.assertEqual(layer["State"], "weakened")
        for word in ("--pid container:donor", "--ipc container:donor", "--network container:donor"):
            self.assertIn(word, layer["By"])
        self.assertIn("another container's: pid net ipc", layer["Value"])
        self.assertEqual(self.inspect(cid)["NetworkSettings"]["Networks"], {})

    def test_files_of_the_network_s_owner(self):
        self.donor("--hostname", "lender")
        r = self.joiner("--network", "container:donor", cmd=("sh", "-c", "hostname; cat /etc/hostname; grep -c lender /etc/hosts; sleep 1000"))
        self.assertTrue(wait_until(lambda: len(self.coffer("logs", r).lines) == 3, 10))
        self.assertEqual(self.coffer("logs", r).lines, ["lender", "lender", "1"])

    def test_shared_memory(self):
        self.donor("--ipc", "shareable", "--shm-size", "5m", cmd=("sh", "-c", "echo told >/dev/shm/word; exec sleep 1000"))
        cid = self.joiner("--ipc", "container:donor")
        self.assertEqual(self.coffer("exec", cid, "sh", "-c", "cat /dev/shm/word; echo back >/dev/shm/answer; df -k /dev/shm | tail -1 | awk '{print $2}'; grep ' /dev/shm ' /proc/mounts").lines[:2], ["told", "5120"])
        self.assertEqual(self.coffer("exec", "donor", "cat", "/dev/shm/answer").word, "back")
        self.assertRegex(self.coffer("exec", cid, "grep", " /dev/shm ", "/proc/mounts").out, "nosuid,nodev,noexec")

    def test_shm_of_a_donor_that_has_a_link_there(self):
        """The donor's files are its own to make: what it puts in the place of /dev/shm is not followed."""
        secret = os.path.join(self.scratch, "secret")
        os.mkdir(secret)
        self.donor("--ipc", "shareable", "--privileged", cmd=("sh", "-c", "umount /dev/shm; rmdir /dev/shm; ln -s / /dev/shm; echo done; exec sleep 1000"))
        self.assertTrue(wait_until(lambda: self.coffer("logs", "donor").word == "done", 10))
        if self.coffer("exec", "donor", "readlink", "/dev/shm", check=False).word != "/":
            return  # it could not be taken away
        self.assertRefusedStart("--ipc", "container:donor", words=["/dev/shm"])

    def assertRefusedStart(self, *flags, words=()):
        r = self.coffer("run", "--rm", *([] if "--network" in flags else ["--network", "none"]), *flags, "busybox", "true", check=False)
        self.assertEqual(r.code, 125, str(r))
        for w in words:
            self.assertIn(w, r.err)

    def test_shared_memory_lives_as_long_as_the_last(self):
        """CVE-2024-3056: and not longer."""
        self.donor("--ipc", "shareable", cmd=("sh", "-c", "head -c 4000000 /dev/zero >/dev/shm/big; exec sleep 1000"))
        cid = self.joiner("--ipc", "container:donor")
        before = [m for m in read_text("/proc/self/mountinfo").splitlines() if "/dev/shm" in m]
        self.assertTrue(wait_until(lambda: self.coffer("exec", cid, "sh", "-c", "stat -c %s /dev/shm/big", check=False).word == "4000000", 10))
        self.coffer("rm", "-f", "donor")
        self.assertEqual(self.coffer("exec", cid, "sh", "-c", "stat -c %s /dev/shm/big").word, "4000000")
        self.coffer("rm", "-f", cid)
        self.assertEqual([m for m in read_text("/proc/self/mountinfo").splitlines() if "/dev/shm" in m], before)

    def test_the_end_of_a_pid_namespace_ends_who_joined(self):
        self.donor()
        cid = self.joiner("--pid", "container:donor")
        pid = self.pid(cid)
        self.coffer("kill", "donor")
        self.assertEqual(self.coffer("wait", cid, timeout=30).word, "137")
        self.assertFalse(pid_exists(pid))

    def test_what_a_joiner_leaves_in_the_pid_namespace_goes_with_it(self):
        self.donor()
        cid = self.joiner("--pid", "container:donor", cmd=("sh", "-c", "sleep 987 & exit 3"))
        self.assertEqual(self.coffer("wait", cid).word, "3")
        self.assertTrue(wait_until(lambda: "sleep 987" not in self.coffer("exec", "donor", "ps", "-o", "args").out, 10))

    def test_a_donor_that_does_not_run(self):
        self.donor()
        cid = self.joiner("--network", "container:donor")
        self.coffer("stop", "-t", "0", "donor")
        self.assertTrue(pid_exists(self.pid(cid)), "a network outlives its first owner")
        self.coffer("stop", "-t", "0", cid)
        r = self.coffer("start", cid, check=False)
        self.assertNotEqual(r.code, 0)
        self.assertIn("cannot join network namespace of a non running container: donor", r.err)
        self.coffer("start", "donor")
        self.coffer("start", cid)
        self.assertEqual(ns(self.pid(cid), "net"), ns(self.pid("donor"), "net"), "looked up again at the start")

    def test_a_donor_that_is_renamed_or_removed(self):
        self.donor()
        cid = self.joiner("--pid", "container:donor")
        self.coffer("rename", "donor", "giver")
        self.addCleanup(self.coffer, "rm", "-f", "giver", check=False)
        self.coffer("restart", "-t", "0", cid)
        self.assertEqual(ns(self.pid(cid), "pid"), ns(self.pid("giver"), "pid"))
        range_before = id_map(self.pid(cid))
        self.coffer("rm", "-f", "giver")
        self.coffer("wait", cid)
        r = self.coffer("start", cid, check=False)
        self.assertIn("No such container", r.err)
        other = self.joiner()
        self.assertNotEqual(id_map(self.pid(other)), range_before, "the range has a holder still")

    def test_what_cannot_go_together(self):
        self.donor("--ipc", "shareable")
        self.donor(name="other")
        for flags, word in (
            (["--pid", "container:nobody"], "No such container: nobody"), (["--pid", "container:"], "invalid PID mode"), (["--pid", "frob"], "invalid PID mode"), (["--ipc", "frob"], "invalid IPC mode"),
            (["--uts", "container:donor"], "invalid UTS mode"), (["--cgroupns", "frob"], "invalid cgroup mode"), (["--ipc", "container:other"], "non-shareable IPC"),
            (["--ipc", "container:donor", "--pid", "container:other"], "another user namespace"), (["--pid", "container:donor", "--userns", "auto"], "UsernsMode"),
            (["--pid", "container:donor", "--uidmap", "0:5000000:1000"], "UsernsMode"), (["--network", "container:donor", "--hostname", "x"], "hostname and the network mode"),
            (["--network", "container:donor", "--sysctl", "net.core.somaxconn=5"], "somaxconn"), (["--ipc", "container:donor", "--sysctl", "kernel.msgmax=5"], "msgmax"),
        ):
            with self.subTest(flags=flags):
                self.assertRefused("run", *([] if "--network" in flags else ["--network", "none"]), *flags, "busybox", "true", words=[word])

    def test_another_runtime_shares_nothing(self):
        self.donor()
        if not any(os.path.exists(f"/usr/{d}/runc") for d in ("bin", "sbin")):
            return  # refused as a runtime that is not there
        self.assertRefused("run", "--network", "none", "--runtime", "runc", "--pid", "container:donor", "busybox", "true", words=["--pid"])

    def test_a_chain(self):
        self.donor()
        self.joiner("--network", "container:donor", "--name", "middle")
        cid = self.joiner("--network", "container:middle")
        self.assertEqual(ns(self.pid(cid), "net"), ns(self.pid("donor"), "net"))


class Host(ShareTest):
    FLAGS = (("--pid", "pid"), ("--ipc", "ipc"), ("--uts", "uts"), ("--cgroupns", "cgroup"))

    def test_only_where_the_operator_allows(self):
        for flag, _ in self.FLAGS:
            name = flag.lstrip("-")
            self.assertRefused("run", "--network", "none", flag, "host", "busybox", "true", words=[flag, f"allow-host-{name}", f"COFFER_ALLOW_HOST={name}"])

    def test_each_is_the_host_s_and_shows_in_the_posture(self):
        for flag, kind in self.FLAGS:
            with self.subTest(flag=flag):
                cid = self.coffer("run", "-d", "--network", "none", flag, "host", "busybox", "sleep", "1000", env={"COFFER_ALLOW_HOST": ALL}).word
                self.addCleanup(self.coffer, "rm", "-f", cid, check=False)
                pid = self.pid(cid)
                self.assertEqual(ns(pid, kind), os.readlink(f"/proc/self/ns/{kind}"))
                self.assertNotEqual(ns(pid, "user"), os.readlink("/proc/self/ns/user"))
                layer = next(x for x in self.coffer("posture", "--format", "json", cid).json()["Layers"] if x["Layer"] == "namespaces")
                self.assertEqual((layer["State"], layer["By"]), ("weakened", f"{flag}=host"))
                self.coffer("rm", "-f", cid)

    def test_the_word_is_asked_again_at_every_start(self):
        cid = self.coffer("create", "--network", "none", "--pid", "host", "busybox", "true", env={"COFFER_ALLOW_HOST": "pid"}).word
        self.addCleanup(self.coffer, "rm", cid)
        r = self.coffer("start", cid, check=False)
        self.assertIn("allow-host-pid", r.err)

    def test_a_joiner_of_one_with_the_host_s(self):
        """No way around the operator's word: it is asked of who joins as well."""
        self.coffer("run", "-d", "--name", "donor", "--network", "none", "--pid", "host", "busybox", "sleep", "1000", env={"COFFER_ALLOW_HOST": "pid"})
        self.addCleanup(self.coffer, "rm", "-f", "donor")
        r = self.coffer("run", "--rm", "--network", "none", "--pid", "container:donor", "busybox", "true", check=False)
        self.assertEqual(r.code, 125, str(r))
        self.assertIn("allow-host-pid", r.err)
        r = self.coffer("run", "--rm", "--network", "none", "--pid", "container:donor", "busybox", "readlink", "/proc/self/ns/pid", env={"COFFER_ALLOW_HOST": "pid"})
        self.assertEqual(r.word, os.readlink("/proc/self/ns/pid"))

    def test_a_joiner_of_one_with_the_host_s_ids(self):
        self.coffer("run", "-d", "--name", "donor", "--network", "none", "--userns", "host", "busybox", "sleep", "1000", env={"COFFER_ALLOW_HOST": "userns"})
        self.addCleanup(self.coffer, "rm", "-f", "donor")
        self.assertRefused("run", "--network", "container:donor", "busybox", "true", words=["allow-host-userns"])
        r = self.coffer("run", "--rm", "--network", "container:donor", "busybox", "readlink", "/proc/self/ns/user", env={"COFFER_ALLOW_HOST": "userns"})
        self.assertEqual(r.word, os.readlink("/proc/self/ns/user"))

    def test_the_host_s_processes_are_seen_and_out_of_reach(self):
        r = self.coffer("run", "--rm", "--network", "none", "--pid", "host", "busybox", "sh", "-c", f"test -d /proc/{os.getpid()} && echo seen; kill -0 {os.getpid()}; cat /proc/{os.getpid()}/environ; echo x > /proc/sys/kernel/hostname", check=False,
                        env={"COFFER_ALLOW_HOST": "pid"})
        self.assertIn("seen", r.out)
        self.assertIn("not permitted", r.err)
        self.assertEqual(r.err.count("\n"), 3, r.err)

    def test_host_names(self):
        r = self.coffer("run", "--rm", "--network", "none", "--uts", "host", "busybox", "sh", "-c", "hostname; hostname evil", check=False, env={"COFFER_ALLOW_HOST": "uts"})
        self.assertEqual(r.lines[0], os.uname().nodename)
        self.assertEqual(os.uname().nodename, r.lines[0])
        self.assertRefused("run", "--network", "none", "--uts", "host", "--hostname", "x", "busybox", "true", words=["hostname and the UTS mode"], env={"COFFER_ALLOW_HOST": "uts"})


class Ipc(ShareTest):
    def test_none_has_no_shm(self):
        self.assertEqual(self.sh("ls -d /dev/shm 2>&1 | grep -c 'No such'", "--ipc", "none").word, "1")
        self.assertEqual(self.inspect(self.sleeper("--ipc", "none"))["HostConfig"]["IpcMode"], "none")


if __name__ == "__main__":
    unittest.main()
