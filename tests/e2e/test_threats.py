# SPDX-License-Identifier: Apache-2.0
"""Regression tests named for what happened to other engines (docs: the mechanism in a line each)."""

import glob
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import images
from coffer import Canary, CofferTest, fd_links, pid_exists, proc_status, wait_until

ASAN = True
VM = True


class Hostile(CofferTest):
    """A rootfs that wants to write on the host."""

    def setUp(self):
        self.canary = Canary(os.path.join(self.scratch, self.unique("c")))
        os.chmod(self.scratch, 0o755)
        os.chmod(os.path.dirname(self.canary.path), 0o755)

    def attempt(self, tag, replace=(), config=None, args=(), command=("true",), extra=()):
        """Load the image, run it, and whatever comes of it: nothing on the host has changed. Return: Result."""
        self.coffer("load", "-i", images.variant(f"{tag}:latest", config, replace, extra))
        r = self.run_(*args, tag, *command, check=False, timeout=30)
        self.assertEqual(self.canary.changes(), {}, str(r))
        self.assertNotIn(self.canary.SECRET, r.out)
        self.assertNothingLeft()
        return r

    def test_mount_points_that_are_links(self):
        """CVE-2015-3627, CVE-2019-19921, runc CVE-2026-41579: /proc, /sys, /dev and what is below as symlinks to the host."""
        for name in ("proc", "sys", "dev"):
            self.attempt(f"l-{name}", [images.Entry.symlink(name, self.canary.path)])
            self.attempt(f"r-{name}", [images.Entry.symlink(name, "../../../../../../.." + self.canary.path)])
        for name in ("dev/pts", "dev/shm", "dev/console", "dev/null", "etc/hosts", "etc/resolv.conf", "etc/hostname", "etc/mtab", ".dockerenv"):
            target = self.canary.path if name in ("dev/pts", "dev/shm") else os.path.join(self.canary.path, "file")
            self.attempt("n-" + name.replace("/", "-").strip("."), [images.Entry.symlink(name, target)])

    def test_generated_files_under_a_linked_parent(self):
        """CVE-2018-19837 and kin: /etc itself leads away."""
        self.attempt("etc-link", [images.Entry.symlink("etc", self.canary.path)])

    def test_console_links_with_a_terminal(self):
        """CVE-2025-52565."""
        self.attempt("console", [images.Entry.symlink("dev/console", os.path.join(self.canary.path, "file"))], args=["-t"])

    def test_null_that_is_a_link(self):
        """CVE-2025-31133: a mask must not bind the attacker's file."""
        r = self.attempt("null", [images.Entry.symlink("dev/null", os.path.join(self.canary.path, "file"))], command=["sh", "-c", "stat -c %t:%T /proc/kcore"])
        if r.code == 0:
            self.assertEqual(r.word, "1:3")

    def test_workdir_through_a_link(self):
        """podman CVE-2026-55686."""
        self.attempt("wd", [images.Entry.symlink("a", self.canary.path)], {"WorkingDir": "/a/b/c"})
        self.assertFalse(os.path.exists(os.path.join(self.canary.path, "b")))

    def test_volume_path_with_dots(self):
        """containerd CVE-2022-23648: VOLUME with .. copies host files."""
        r = self.attempt("vol", config={"Volumes": {"/../../../../../../.." + self.canary.path: {}}}, command=["sh", "-c", f"find / -xdev -name passwd; ls -laR {self.canary.path}; cat {self.canary.path}/file"])
        self.assertNotIn("inner", r.out)

    def test_volume_target_through_a_link(self):
        self.attempt("voll", [images.Entry.symlink("data", self.canary.path)], args=["-v", "v1:/data/sub"])
        self.attempt("volm", [images.Entry.symlink("data", self.canary.path)], args=["--tmpfs", "/data/dir"])

    def test_copy_up_does_not_follow_links(self):
        """CVE-2021-25741 and kin: what the image has at a volume's target is copied as it is, not what it points to."""
        r = self.attempt("cu", extra=[[images.Entry.dir("seed"), images.Entry.symlink("seed/host", self.canary.path + "/file"), images.Entry.symlink("seed/up", "../../../../../../.." + self.canary.path)]],
                         args=["-v", "cu:/seed"], command=["sh", "-c", "cat /seed/host /seed/up/file; ls -l /seed"])
        self.assertIn("->", r.out)

    def test_configuration_in_the_image_is_data(self):
        """CVE-2014-6408, systemd-nspawn CVE-2026-40226: security options and engine files in an image mean nothing."""
        extra = [[images.Entry.file(n, '{"Privileged":true}') for n in ("config.json", ".coffer", "coffer.json")]]
        r = self.attempt("cfg", config={"HostConfig": {"Privileged": True}, "SecurityOpt": ["seccomp=unconfined"], "Privileged": True}, extra=extra, command=["sh", "-c", "grep -E 'Seccomp:|CapEff' /proc/self/status"])
        self.assertIn("Seccomp:\t2", r.out)
        self.assertIn("CapEff:\t00000000800405fb", r.out)

    def test_labels_and_environment_select_nothing(self):
        labels = {f"{p}.{k}": "host" for p in ("coffer", "io.containerd", "com.docker", "org.systemd.property", "run.oci") for k in ("userns", "network", "privileged", "runtime", "log-driver", "restart")}
        r = self.attempt("lab", config={"Labels": labels, "Env": ["LD_PRELOAD=/evil.so", "COFFER_ALLOW_HOST=userns", "PATH=/bin", "COFFER_FAIL_STEP=seccomp"]}, command=["sh", "-c", "grep Seccomp: /proc/self/status; cat /proc/self/uid_map"])
        self.assertEqual(r.code, 0, str(r))
        self.assertNotIn(" 0 4294967295", r.out)

    def test_race_of_a_mount_target(self):
        """CVE-2021-30465: a shared volume's directory is swapped for a link while others mount into it."""
        swapper = self.detached("-v", "arena:/v", "busybox", "sh", "-c", f"mkdir -p /v/real/sub; ln -s {self.canary.path} /v/link; mkdir -p /v/real; while :; do mv -T /v/t /v/keep 2>/dev/null; ln -sfn {self.canary.path} /v/t; rm -f /v/t; mkdir -p /v/t/sub; done")
        for _ in range(40):
            self.run_("-v", "arena:/v", "--tmpfs", "/v/t/sub", "busybox", "sh", "-c", "echo x >/v/t/sub/x; true", check=False)
        self.assertEqual(self.canary.changes(), {})
        self.coffer("rm", "-f", swapper)


class Leaks(CofferTest):
    def test_a_leaked_descriptor_is_not_the_container_s(self):
        """CVE-2024-21626: run with descriptors open on the host's root."""
        fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        fds = [os.dup2(fd, n, inheritable=True) for n in (9, 17, 63)]
        try:
            r = self.coffer("run", "--rm", "--network", "none", "busybox", "/bin/ls", "/proc/self/fd", pass_fds=fds)
            self.assertEqual(r.out.split(), ["0", "1", "2", "3"])  # 3 is ls's own
            cid = self.coffer("run", "-d", "--network", "none", "busybox", "sleep", "1000", pass_fds=fds).word
            self.addCleanup(self.coffer, "rm", "-f", cid)
            self.assertEqual(sorted(fd_links(self.pid(cid))), [0, 1, 2])
            self.assertFalse([t for t in fd_links(self.monitor_pid(cid)).values() if t == "/"], "the monitor keeps the caller's descriptors")
            r = self.coffer("exec", cid, "/bin/ls", "/proc/self/fd", pass_fds=fds)
            self.assertEqual(r.out.split(), ["0", "1", "2", "3"])
        finally:
            for n in fds + [fd]:
                os.close(n)

    def test_a_working_directory_that_is_a_descriptor(self):
        for n in list(range(3, 31)):
            if n % 3:
                continue
            r = self.run_("-w", f"/proc/self/fd/{n}", "busybox", "sh", "-c", "pwd; ls ..", check=False)
            self.assertTrue(r.code != 0 or r.lines[0].startswith("/proc"), str(r))
            self.assertNotIn("coffer", r.out)
        cid = self.sleeper()
        self.assertNotEqual(self.coffer("exec", "-w", "/proc/self/fd/7", cid, "true", check=False).code, 0)

    def test_the_engine_s_binary_cannot_be_written_from_inside(self):
        """CVE-2019-5736: /proc/PID/exe of a process that enters the container."""
        cid = self.detached("--cap-add", "SYS_PTRACE", "busybox", "sh", "-c", "while :; do for p in /proc/[0-9]*; do (echo x >$p/exe) 2>/dev/null && echo WROTE $p; readlink $p/exe; ls $p/fd 2>/dev/null | grep -v '^[012]$'; done; done | grep -v -e busybox -e ^$ | grep -e WROTE -e coffer")
        before = {p: os.stat(p).st_mtime_ns for p in glob.glob(self.stage.dir + "/**", recursive=True)}
        for _ in range(30):
            self.coffer("exec", cid, "/bin/true")
        self.assertEqual(self.coffer("logs", cid).out, "")
        self.assertEqual({p: os.stat(p).st_mtime_ns for p in glob.glob(self.stage.dir + "/**", recursive=True)}, before)

    def test_no_listening_socket_is_abstract_or_reachable(self):
        """CVE-2020-15257."""
        self.sleeper()
        with open("/proc/net/unix") as f:
            ours = [line.split()[-1] for line in f if "coffer" in line.split()[-1]]
        self.assertFalse([n for n in ours if n.startswith("@")], ours)
        for name in ours:
            directory = os.path.dirname(name)
            if directory.startswith(self.run_dir):
                self.assertEqual(os.stat(self.run_dir).st_mode & 0o077, 0)

    def test_no_setuid_program_is_shipped(self):
        for p in glob.glob(self.stage.dir + "/**", recursive=True):
            self.assertFalse(os.stat(p).st_mode & 0o6000, p)

    def test_environment_of_the_engine_stays_outside(self):
        cid = self.coffer("run", "-d", "--network", "none", "busybox", "sleep", "1000", env={"CANARYKEY": "secret-of-the-host"}).word
        self.addCleanup(self.coffer, "rm", "-f", cid)
        with open(f"/proc/{self.pid(cid)}/environ", "rb") as f:
            self.assertNotIn(b"CANARYKEY", f.read())
        self.assertNotIn("secret-of-the-host", self.coffer("inspect", cid).out + self.coffer("exec", cid, "env").out)


class Inside(CofferTest):
    """What a process finds when it looks around."""

    def test_files_of_the_kernel_are_covered_or_read_only(self):
        script = """
for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts /proc/kmsg /proc/kallsyms /proc/slabinfo /proc/sched_debug /proc/latency_stats; do [ -e $f ] && [ "$(head -c 1 $f 2>/dev/null | wc -c)" != 0 ] && echo READ $f; done
for d in /proc/acpi /proc/scsi /sys/firmware /sys/kernel/debug /sys/kernel/tracing /sys/kernel/security /sys/fs/bpf /sys/module /sys/devices/virtual/powercap; do [ -d $d ] && [ -n "$(ls -A $d 2>/dev/null)" ] && echo LISTED $d; done
for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/net/ipv4/ip_forward /proc/sysrq-trigger /proc/sys/user/max_user_namespaces; do (echo 1 >$f) 2>/dev/null && echo WROTE $f; done
{ find /sys -xdev -type f; find /proc -type f | grep -v -e '^/proc/[0-9]' -e /proc/self -e /proc/thread-self -e ^/proc/pressure; } 2>/dev/null | while read f; do [ -w $f ] && (: >>$f) 2>/dev/null && echo WROTE $f; done
exit 0"""
        for flags in ([], ["-u", "1000"]):
            self.assertEqual(self.sh(script, *flags).out, "", flags)

    def test_mounts_do_not_propagate(self):
        out = self.sh("cat /proc/self/mountinfo").out
        self.assertNotIn("shared:", out)
        self.assertNotIn("master:", out)
        self.assertNotIn("propagate_from:", out)

    def test_every_mount_is_nodev_or_the_devices_own(self):
        for line in self.sh("cat /proc/self/mounts").lines:
            _, where, kind, options = line.split()[:4]
            if where.startswith("/dev") or kind == "devtmpfs":
                continue
            self.assertIn("nodev", options.split(","), line)

    def test_namespaces_are_its_own(self):
        cid = self.sleeper()
        for ns in ("user", "mnt", "pid", "ipc", "uts", "net", "cgroup"):
            self.assertNotEqual(os.readlink(f"/proc/{self.pid(cid)}/ns/{ns}"), os.readlink(f"/proc/self/ns/{ns}"), ns)

    def test_mounting_and_namespaces_are_shut(self):
        for command in ("mount -t tmpfs x /mnt", "mount -t proc x /mnt", "mount -t overlay x /mnt -o lowerdir=/bin,upperdir=/tmp,workdir=/tmp", "umount /proc", "mount -o remount,rw /sys", "unshare -m true", "unshare -n true",
                        "unshare -U true", "nsenter -t 1 -m true", "mknod /x c 1 3", "chroot / swapon /x", "hostname evil", "date -s 2000-01-01; date +%Y | grep 2000", "dmesg", "insmod /x", "reboot -f"):
            r = self.sh(f"{command} >/dev/null 2>&1 && echo DONE", check=False)
            self.assertNotIn("DONE", r.out, command)

    def test_newlines_inject_nothing(self):
        """cri-o CVE-2022-4318."""
        for flags in (["--hostname", "a\nb"], ["--hostname", "a b"], ["--hostname", "x" * 65], ["-l", "a=b\0c"[:3] + "\n" + "c"], ["--domainname", "a\nb"]):
            r = self.coffer("run", "--rm", "--network", "none", *flags, "busybox", "sh", "-c", "cat /etc/hosts /etc/hostname", check=False)
            if r.code == 0:
                self.assertNotIn("\nb\n", r.out, flags)
            else:
                self.assertEqual(r.code, 125, str(r))
        self.assertRefused("run", "--network", "none", "--hostname", "a\nb", "busybox", "true")

    def test_setuid_files_do_not_reach_the_host(self):
        cid = self.sleeper("-v", "suid:/data")
        self.coffer("exec", cid, "sh", "-c", "cp /bin/busybox /data/su; chmod 4755 /data/su")
        path = glob.glob(os.path.join(self.root, "volumes", "suid", "**", "su"), recursive=True)[0]
        self.assertEqual(os.stat(path).st_uid, 0)  # 0-based on disk ...
        self.assertEqual(os.stat(self.root).st_mode & 0o077, 0)  # ... and out of everybody's reach
        self.assertIn("nosuid", self.coffer("exec", cid, "grep", " /data ", "/proc/mounts").out)

    def test_session_keyring_is_its_own(self):
        cid = self.sleeper()
        self.assertNotEqual(self.coffer("exec", cid, "sh", "-c", "cat /proc/keys | wc -l").word, "")
        self.assertEqual(self.coffer("exec", cid, "sh", "-c", "wc -c </proc/keys").word, "0")

    def test_oom_score_is_not_below_the_host_s(self):
        cid = self.sleeper()
        with open(f"/proc/{self.pid(cid)}/oom_score_adj") as f:
            self.assertGreaterEqual(int(f.read()), 0)
        self.assertRefused("run", "--network", "none", "--oom-score-adj=-2000", "busybox", "true")


class Exhaustion(CofferTest):
    def test_huge_requests_are_refused_quickly(self):
        """CVE-2018-20699 and kin."""
        for flags in (["--cpuset-cpus", "0-1000000000"], ["-e", "X=" + "x" * 120000 + "\0"[:0]], ["--name", "n" * 100000], ["--hostname", "h" * 100000], sum((["--ulimit", "nofile=1:1"] for _ in range(3000)), [])):
            start = time.monotonic()
            self.coffer("run", "--rm", "--network", "none", *flags, "busybox", "true", check=False, timeout=20)
            self.assertLess(time.monotonic() - start, 10)

    def test_unread_output_does_not_grow_the_monitor(self):
        cid = self.detached("--log-opt", "max-size=1m", "--log-opt", "max-file=2", "busybox", "yes")
        p = self.popen("attach", "--no-stdin", cid)
        time.sleep(2)
        with open(f"/proc/{self.monitor_pid(cid)}/status") as f:
            rss = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
        limit = 4096 if "ASAN_OPTIONS" not in self.env else 200000
        self.assertLess(rss, limit, "kB")
        p.kill()

    def test_clients_that_vanish_leave_no_descriptor(self):
        """CVE-2022-1708 and kin."""
        cid = self.detached("busybox", "sh", "-c", "while :; do echo x; sleep 0.01; done")
        monitor = self.monitor_pid(cid)
        self.coffer("exec", cid, "true")
        before = len(fd_links(monitor))
        for i in range(20):
            p = self.popen(*(["attach", "--no-stdin", cid] if i % 2 else ["exec", cid, "sleep", "1000"]))
            time.sleep(0.1)
            p.kill()
            p.wait()
        self.coffer("exec", cid, "sh", "-c", "killall sleep; true")
        self.assertTrue(wait_until(lambda: len(fd_links(monitor)) <= before + 1, 5), f"{before} before, {len(fd_links(monitor))} after")
        self.assertEqual(self.status(cid), "running")

    def test_generated_files_do_not_fill_the_run_directory(self):
        """/etc/hosts and its like are the container's to write to: what they take is of the disk that its own layer is on, not of the host's /run."""
        cid = self.detached("busybox", "sleep", "1000")
        for name in ("hosts", "hostname", "resolv.conf"):
            self.coffer("exec", cid, "dd", "if=/dev/zero", f"of=/etc/{name}", "bs=64k", "count=64")
            mine = os.stat(f"/proc/{self.inspect(cid)['State']['Pid']}/root/etc/{name}")
            self.assertEqual(mine.st_size, 64 << 16)
            stored = os.stat(os.path.join(self.root, "containers", cid, name))
            self.assertEqual((stored.st_ino, stored.st_uid, stored.st_size), (mine.st_ino, 0, 64 << 16))
        big = [p for p, _, files in os.walk(self.run_dir) for f in files if os.lstat(os.path.join(p, f)).st_size > 1 << 20]
        self.assertEqual(big, [])
        self.coffer("restart", "-t", "0", cid)  # they are made anew
        self.assertLess(os.stat(os.path.join(self.root, "containers", cid, "hosts")).st_size, 4096)
        self.assertEqual(self.inspect(cid)["HostsPath"], os.path.join(self.root, "containers", cid, "hosts"))

    def test_a_fork_bomb_stays_inside(self):
        cid = self.detached("--pids-limit", "64", "busybox", "sh", "-c", "f() { f | f & }; f; sleep 1000")
        time.sleep(1)
        self.assertEqual(self.sh("echo alive").word, "alive")
        self.coffer("rm", "-f", cid, timeout=30)
        self.assertNothingLeft()


if __name__ == "__main__":
    unittest.main()
