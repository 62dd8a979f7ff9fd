# SPDX-License-Identifier: Apache-2.0
"""Every flag of `coffer run`: its effect read back inside the container or from /proc, and its bad values refused."""

import json
import os
import re
import stat
import unittest

import images
from coffer import CofferTest, id_map, proc_status, read_text, wait_until

ASAN = True
VM = True


class Process(CofferTest):
    def test_env(self):
        self.assertEqual(self.sh('echo "$A|$B|$C"', "-e", "A=1", "--env", "B=two words", "-e", "C=").word, "1|two words|")

    def test_env_from_the_caller(self):
        self.assertEqual(self.sh('echo "${GIVEN-unset}|${MISSING-unset}"', "-e", "GIVEN", "-e", "MISSING", env={"GIVEN": "yes"}).word, "yes|unset")

    def test_env_is_clean(self):
        names = {line.split("=", 1)[0] for line in self.sh("env", env={"LEAK": "1"}).lines}
        self.assertLessEqual(names, {"PATH", "HOSTNAME", "HOME", "SHLVL", "PWD"})

    def test_home_follows_the_user(self):
        self.assertEqual(self.sh("echo $HOME").word, "/root")
        self.assertEqual(self.sh("echo $HOME", "-u", "alice").word, "/home/alice")
        self.assertEqual(self.sh("echo $HOME", "-u", "1234").word, "/")

    def test_env_file(self):
        path = os.path.join(self.scratch, "env")
        with open(path, "w") as f:
            f.write("# comment\n\nONE=1\nTWO=with space \nGIVEN\n")
        r = self.sh('echo "$ONE|$TWO|$GIVEN"', "--env-file", path, env={"GIVEN": "yes"})
        self.assertEqual(r.out, "1|with space |yes\n")
        self.assertRefused("run", "--network", "none", "--env-file", "/no/such", "busybox", "true", words=["/no/such"])

    def test_bad_env(self):
        for value in ("=x", "=", ""):
            self.assertRefused("run", "--network", "none", "-e", value, "busybox", "true")

    def test_workdir(self):
        self.assertEqual(self.sh("pwd", "-w", "/etc").word, "/etc")
        self.assertEqual(self.sh("pwd; stat -c %u:%a .", "-w", "/new/dir").lines, ["/new/dir", "0:755"])
        self.assertRefused("run", "--network", "none", "-w", "relative", "busybox", "true", words=["relative"])

    def test_entrypoint(self):
        self.assertEqual(self.run_("--entrypoint", "echo", "busybox", "a", "b").word, "a b")
        archive = images.variant("entry:latest", {"Entrypoint": ["echo", "image"], "Cmd": ["cmd"]})
        self.coffer("load", "-i", archive)
        self.assertEqual(self.run_("entry").word, "image cmd")
        self.assertEqual(self.run_("entry", "mine").word, "image mine")
        self.assertEqual(self.run_("--entrypoint", "echo", "entry").word, "")  # resets the image's command, as docker does
        self.assertEqual(self.run_("--entrypoint", "", "entry", "echo", "bare").word, "bare")

    def test_image_configuration_is_used(self):
        archive = images.variant("configured:latest", {"Env": ["PATH=/bin", "X=image"], "WorkingDir": "/tmp", "User": "alice:staff", "Cmd": ["sh", "-c", "echo $X $PWD $(id -u):$(id -g)"], "Labels": {"l": "image"}, "StopSignal": "SIGUSR2"})
        self.coffer("load", "-i", archive)
        self.assertEqual(self.run_("configured").word, "image /tmp 1000:50")
        self.assertEqual(self.run_("-e", "X=flag", "-w", "/", "-u", "0", "configured").word, "flag / 0:0")
        cid = self.coffer("create", "--network", "none", "-l", "m=flag", "configured").word
        self.addCleanup(self.coffer, "rm", cid)
        config = self.inspect(cid)["Config"]
        self.assertEqual((config["Labels"], config["StopSignal"]), ({"l": "image", "m": "flag"}, "SIGUSR2"))

    def test_no_command_is_refused(self):
        self.coffer("load", "-i", images.variant("nothing:latest", {"Cmd": None}))
        self.assertRefused("run", "--network", "none", "nothing", words=["no command"])

    def test_labels(self):
        path = os.path.join(self.scratch, "labels")
        with open(path, "w") as f:
            f.write("from=file\n")
        cid = self.sleeper("-l", "a=1", "--label", "flag", "--label-file", path)
        self.assertEqual(self.inspect(cid)["Config"]["Labels"], {"a": "1", "flag": "", "from": "file"})

    def test_hostname(self):
        self.assertEqual(self.sh("hostname; cat /etc/hostname; grep -c box /etc/hosts", "--hostname", "box").lines[:2], ["box", "box"])
        cid = self.sleeper()
        self.assertEqual(self.coffer("exec", cid, "hostname").word, cid[:12])

    def test_init(self):
        cid = self.detached("--init", "busybox", "sh", "-c", "echo ready; exec sleep 1000")
        self.assertIn("init", self.coffer("exec", cid, "cat", "/proc/1/cmdline").out)
        self.coffer("stop", "-t", "5", cid)
        self.assertEqual(self.inspect(cid)["State"]["ExitCode"], 143)
        r = self.run_("--init", "busybox", "sh", "-c", "(sh -c 'sleep 0.1' &) ; sleep 0.5; ps -o stat,comm | grep -c ^Z", check=False)
        self.assertEqual(r.word, "0", "a zombie that nobody reaped")
        self.assertEqual(self.run_("--init", "busybox", "sh", "-c", "exit 9", check=False).code, 9)


class Users(CofferTest):
    def id_of(self, *flags, **kw):
        return self.sh("echo $(id -u):$(id -g) $(id -G)", *flags, **kw).word

    def test_default_is_root_with_its_own_group_alone(self):
        self.assertEqual(self.id_of(), "0:0 0")

    def test_names_and_numbers(self):
        for user, wanted in (("alice", "1000:1000 1000 29 50"), ("1000", "1000:1000 1000 29 50"), ("alice:staff", "1000:50 50"), ("1000:50", "1000:50 50"), ("4321", "4321:0 0"),
                             ("4321:77", "4321:77 77"), ("daemon", "1:1 1 50"), ("0:50", "0:50 50"), (":50", "0:50 50")):
            got = self.id_of("-u", user)
            self.assertEqual((got.split()[0], sorted(got.split()[1:])), (wanted.split()[0], sorted(wanted.split()[1:])), user)

    def test_unknown_names_are_refused(self):
        for user in ("nobody-here", "alice:no-such-group", "no-such:0"):
            self.assertRefused("run", "--rm", "--network", "none", "-u", user, "busybox", "true", words=[user.split(":")[0] if user.startswith("no") else "no-such-group"], code=125)

    def test_numeric_tricks_never_give_root(self):
        """CVE-2016-3697, CVE-2024-40635 and kin: passwd lines whose *names* are numbers that map to 0."""
        tricks = ["1", "4294967295", "4294967296", "-1", "99999999999", "0x0", "00", "1:1", " 1", "+0", "1e0"]
        passwd = images.PASSWD + "".join(f"{t}:x:0:0::/root:/bin/sh\n" for t in tricks if ":" not in t)
        group = images.GROUP + "".join(f"{t}:x:0:\n" for t in tricks if ":" not in t)
        archive = images.variant("tricks:latest", replace=[images.Entry.file("etc/passwd", passwd), images.Entry.file("etc/group", group)])
        self.coffer("load", "-i", archive)
        for t in tricks:
            if t == "00":
                continue  # as a number it is 0: root by the rules, or refused; never by the passwd line
            r = self.run_(f"--user={t}", "tricks", "sh", "-c", "id -u", check=False)
            self.assertNotEqual((r.code, r.word), (0, "0"), f"user {t!r} became root")
        for t in ("4294967295", "4294967296", "99999999999", "-1"):
            r = self.run_(f"--user={t}", "tricks", "true", check=False)
            self.assertEqual(r.code, 125, f"user {t!r} out of range: {r}")
            self.assertEqual(self.run_(f"--user=0:{t}", "tricks", "true", check=False).code, 125, t)

    def test_an_id_outside_the_range_is_refused_by_name(self):
        self.assertRefused("run", "--rm", "--network", "none", "-u", "70000", "busybox", "true", words=["70000"], code=125)

    def test_group_add(self):
        self.assertEqual(sorted(self.sh("id -G", "--group-add", "audio", "--group-add", "777").word.split()), ["0", "29", "777"])
        self.assertRefused("run", "--rm", "--network", "none", "--group-add", "no-such-group", "busybox", "true", words=["no-such-group"])

    def test_primary_group_is_in_the_list(self):
        """CVE-2022-36109 and kin: a group that denies must not be shed."""
        self.assertIn("50", self.sh("grep ^Groups: /proc/self/status", "-u", "1000:50").out.split())

    def test_the_image_s_passwd_is_untrusted_input(self):
        """CVE-2024-9676: FIFO, device link, huge file."""
        for name, entry in (("fifo", images.Entry.fifo("etc/passwd")), ("zero", images.Entry.symlink("etc/passwd", "/dev/zero")), ("host", images.Entry.symlink("etc/passwd", "../../../../etc/passwd"))):
            self.coffer("load", "-i", images.variant(f"pw-{name}:latest", replace=[entry]))
            r = self.run_("-u", "somebody", f"pw-{name}", "true", check=False, timeout=20)
            self.assertEqual(r.code, 125, f"{name}: {r}")
            self.assertLess(r.seconds, 5, name)


class Storage(CofferTest):
    def test_read_only(self):
        r = self.sh("touch /x; touch /tmp/x; touch /dev/shm/ok && echo shm", "--read-only", check=False)
        self.assertEqual(r.err.count("Read-only file system"), 2, str(r))
        self.assertEqual(r.word, "shm")
        self.assertEqual(self.sh("touch /run/x && echo ok", "--read-only", "--tmpfs", "/run").word, "ok")

    def test_tmpfs(self):
        line = self.sh("grep ' /scratch ' /proc/mounts; df -k /scratch | tail -1", "--tmpfs", "/scratch:size=1m,mode=700").lines
        self.assertTrue(line[0].startswith("tmpfs /scratch tmpfs rw,nosuid,nodev"), line)
        self.assertIn("mode=700", line[0])
        self.assertEqual(line[1].split()[1], "1024")
        self.assertIn("noexec", self.sh("grep ' /s ' /proc/mounts", "--tmpfs", "/s").out)
        self.assertNotIn("noexec", self.sh("grep ' /s ' /proc/mounts", "--tmpfs", "/s:exec").out)

    def test_bad_tmpfs(self):
        for value in ("relative", "/x:nonsense=1", "/x:size=abc", "/x:lowerdir=/"):
            self.assertRefused("run", "--network", "none", "--tmpfs", value, "busybox", "true")

    def test_shm_size(self):
        self.assertEqual(self.sh("df -k /dev/shm | tail -1 | awk '{print $2}'").word, "65536")
        self.assertEqual(self.sh("df -k /dev/shm | tail -1 | awk '{print $2}'", "--shm-size", "1m").word, "1024")
        self.assertRefused("run", "--network", "none", "--shm-size", "lots", "busybox", "true", words=["lots"])

    def host_dir(self, name, mode=0o755):
        path = os.path.join(self.scratch, self.unique(name))
        os.mkdir(path, mode)
        os.chmod(path, mode)
        os.chmod(self.scratch, 0o755)
        return path

    def test_bind(self):
        d = self.host_dir("bind", 0o777)
        with open(os.path.join(d, "from-host"), "w") as f:
            f.write("host\n")
        self.assertEqual(self.sh("cat /data/from-host; echo ctr >/data/from-container; echo ok", "-v", f"{d}:/data").lines, ["host", "ok"])
        st = os.stat(os.path.join(d, "from-container"))
        self.assertGreaterEqual(st.st_uid, 65536, "a bind without idmap is written as the container's own host ids")
        self.assertEqual(st.st_uid, st.st_gid)

    def test_bind_read_only(self):
        d = self.host_dir("ro", 0o777)
        for flag in (["-v", f"{d}:/data:ro"], ["--mount", f"type=bind,source={d},target=/data,readonly"]):
            self.assertIn("Read-only", self.sh("touch /data/x", *flag, check=False).err)
        self.assertEqual(os.listdir(d), [])

    def test_bind_idmap_shows_the_same_ids_on_both_sides(self):
        d = self.host_dir("idmap", 0o755)
        os.chown(d, 1000, 1000)
        with open(os.path.join(d, "rooted"), "w"):
            pass
        self.assertEqual(self.sh("stat -c %u:%g /data /data/rooted; touch /data/new; chown 7:8 /data/new", "-v", f"{d}:/data:idmap").lines, ["1000:1000", "0:0"])
        st = os.stat(os.path.join(d, "new"))
        self.assertEqual((st.st_uid, st.st_gid), (7, 8))

    def test_bind_of_a_file(self):
        path = os.path.join(self.scratch, "single")
        with open(path, "w") as f:
            f.write("file\n")
        os.chmod(path, 0o644)
        self.assertEqual(self.sh("cat /etc/single", "-v", f"{path}:/etc/single:ro").word, "file")

    def test_bind_of_what_is_not_there(self):
        missing = os.path.join(self.scratch, "made-by-v")
        self.sh("true", "-v", f"{missing}:/x")
        self.assertTrue(os.path.isdir(missing))
        self.assertRefused("run", "--network", "none", "--mount", f"type=bind,source={self.scratch}/not-there,target=/x", "busybox", "true", words=["not-there"])

    def test_bad_mounts(self):
        for value in ("/x:relative", "relative/path:/x", "/a:/b:nonsense", "::", "/a:/b:ro:rw:z"):
            self.assertRefused("run", "--network", "none", "-v", value, "busybox", "true")
        for value in ("type=bind,target=/x", "type=nfs,source=x,target=/x", "type=volume,source=v", "target=", "type=tmpfs,target=/x,tmpfs-size=abc", "type=bind,source=/tmp,target=/x,nonsense=1"):
            self.assertRefused("run", "--network", "none", "--mount", value, "busybox", "true")

    def test_targets_that_would_hide_the_kernel_s_files_are_refused(self):
        """CVE-2019-16884 and kin."""
        for target in ("/proc", "/proc/self", "/sys", "/proc/../proc", "/dev/../proc", "/"):
            for flag in (["-v", f"{self.scratch}:{target}"], ["--tmpfs", target], ["--mount", f"type=tmpfs,target={target}"]):
                self.assertRefused("run", "--network", "none", *flag, "busybox", "true")

    def test_named_volume_keeps_its_content(self):
        self.sh("echo kept >/data/file", "-v", "keep:/data")
        self.assertEqual(self.sh("cat /data/file", "-v", "keep:/data").word, "kept")
        self.assertIn("keep", self.coffer("volume", "ls").out)
        self.assertNotEqual(self.coffer("volume", "rm", "no-such", check=False).code, 0)
        self.coffer("volume", "rm", "keep")
        self.assertNotIn("keep", self.coffer("volume", "ls").out)

    def test_volume_in_use_cannot_be_removed(self):
        cid = self.sleeper("-v", "busy:/data")
        self.assertNotEqual(self.coffer("volume", "rm", "busy", check=False).code, 0)
        self.coffer("rm", "-f", cid)
        self.coffer("volume", "rm", "busy")

    def test_first_use_copies_the_image_s_content(self):
        archive = images.variant("content:latest", {"Volumes": {"/seed": {}}}, extra_layers=[[images.Entry.dir("seed", 0o750, uid=1000, gid=50), images.Entry.file("seed/file", "seed\n", 0o640, uid=7, gid=8), images.Entry.symlink("seed/link", "/etc/passwd"), images.Entry.dir("seed/sub")]])
        self.coffer("load", "-i", archive)
        wanted = ["1000:50 750", "7:8 640", "seed", "/etc/passwd"]
        script = "stat -c '%u:%g %a' /seed /seed/file; cat /seed/file; readlink /seed/link"
        self.assertEqual(self.run_("-v", "seeded:/seed", "content", "sh", "-c", script).lines, wanted)
        self.assertEqual(self.run_("content", "sh", "-c", script).lines, wanted)  # anonymous, from VOLUME
        self.assertEqual(self.run_("--mount", "type=volume,source=bare,target=/seed,volume-nocopy", "content", "sh", "-c", "ls -A /seed").word, "")
        self.run_("-v", "seeded:/seed", "content", "sh", "-c", "echo changed >/seed/file")
        self.assertEqual(self.run_("-v", "seeded:/seed", "content", "cat", "/seed/file").word, "changed")  # copied once

    def test_anonymous_volume_goes_with_rm(self):
        before = self.coffer("volume", "ls", "-q").out.split()
        self.sh("echo x >/anon/x", "-v", "/anon")
        self.assertEqual(self.coffer("volume", "ls", "-q").out.split(), before)

    def test_volume_options_of_mount(self):
        self.assertIn("Read-only", self.sh("touch /v/x", "--mount", "type=volume,source=ro1,target=/v,readonly", check=False).err)
        self.assertRefused("run", "--network", "none", "-v", "a/../evil:/x", "busybox", "true")
        self.assertRefused("run", "--network", "none", "--mount", "type=volume,source=..,target=/x", "busybox", "true")

    def test_volumes_are_nosuid_and_nodev(self):
        line = self.sh("grep ' /data ' /proc/mounts", "-v", "flags:/data").out
        self.assertIn("nosuid", line)
        self.assertIn("nodev", line)

    def test_mount_onto_a_directory_that_the_image_lacks(self):
        self.assertEqual(self.sh("stat -c %u /new/deep; touch /new/deep/x && echo ok", "-v", "deep:/new/deep").lines, ["0", "ok"])

    def test_nested_mounts_in_order(self):
        self.assertEqual(self.sh("ls /a; df -k /a/b | tail -1 | awk '{print $2}'", "--tmpfs", "/a/b:size=1m", "-v", "outer:/a").lines, ["b", "1024"])


class Privileges(CofferTest):
    DEFAULT = 0x800405FB

    def caps(self, *flags, field="CapEff"):
        return int(self.sh(f"grep ^{field}: /proc/self/status", *flags).word.split()[1], 16)

    def test_default_set(self):
        for field, wanted in (("CapEff", self.DEFAULT), ("CapPrm", self.DEFAULT), ("CapBnd", self.DEFAULT), ("CapInh", 0), ("CapAmb", 0)):
            self.assertEqual(f"{self.caps(field=field):x}", f"{wanted:x}", field)

    def test_another_user_has_none(self):
        for field in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            self.assertEqual(self.caps("-u", "1000", field=field), 0, field)
        cid = self.sleeper()
        self.assertIn("CapEff:\t0000000000000000", self.coffer("exec", "-u", "1000", cid, "cat", "/proc/self/status").out)

    def test_add_and_drop(self):
        self.assertEqual(self.caps("--cap-add", "NET_RAW"), self.DEFAULT | 1 << 13)
        self.assertEqual(self.caps("--cap-add", "cap_sys_ptrace"), self.DEFAULT | 1 << 19)
        self.assertEqual(self.caps("--cap-drop", "CHOWN"), self.DEFAULT & ~1)
        self.assertEqual(self.caps("--cap-drop", "ALL"), 0)
        self.assertEqual(self.caps("--cap-drop", "ALL", "--cap-add", "KILL"), 1 << 5)
        self.assertEqual(self.caps("--cap-drop", "ALL", field="CapBnd"), 0)
        self.assertRefused("run", "--network", "none", "--cap-add", "NOT_A_CAP", "busybox", "true", words=["NOT_A_CAP"])

    def test_cap_add_all_and_privileged_stay_inside(self):
        with open("/proc/sys/kernel/cap_last_cap") as f:
            every = (1 << int(f.read()) + 1) - 1
        bounding = int(proc_status(os.getpid())["CapBnd"], 16)
        for flags in (["--cap-add", "ALL"], ["--privileged"]):
            self.assertIn(self.caps(*flags), (every, every & bounding), flags)
        cid = self.sleeper("--privileged")
        pid = self.pid(cid)
        self.assertGreaterEqual(id_map(pid)[0][1], 65536)
        self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/user"), os.readlink("/proc/self/ns/user"))
        # nothing of the host: not its devices, not its kernel's knobs, not its mounts
        for script in ("mknod /dev/sda b 8 0", "echo 1 >/proc/sys/kernel/panic", "dd if=/dev/mem bs=1 count=1", "mount -o remount,rw /sys"):
            self.assertNotEqual(self.coffer("exec", cid, "sh", "-c", script, check=False).code, 0, script)

    def test_no_new_privileges(self):
        self.assertIn("NoNewPrivs:\t1", self.sh("cat /proc/self/status").out)
        self.assertIn("NoNewPrivs:\t0", self.sh("cat /proc/self/status", "--security-opt", "no-new-privileges=false").out)
        self.assertIn("NoNewPrivs:\t1", self.sh("cat /proc/self/status", "--security-opt", "no-new-privileges").out)

    def test_seccomp_unconfined(self):
        self.assertIn("Seccomp:\t2", self.sh("cat /proc/self/status").out)
        self.assertIn("Seccomp:\t0", self.sh("cat /proc/self/status", "--security-opt", "seccomp=unconfined").out)

    def test_seccomp_profile_from_a_file(self):
        path = os.path.join(self.scratch, "profile.json")
        with open(path, "w") as f:
            f.write('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":121}]}')
        r = self.sh("mkdir /x", "--security-opt", f"seccomp={path}", check=False)
        self.assertIn("Remote I/O error", r.err, str(r))
        for bad in ('{"defaultAction":"SCMP_ACT_NOPE"}', "{", '{"syscalls":[]}', "[]"):
            with open(path, "w") as f:
                f.write(bad)
            self.assertRefused("run", "--rm", "--network", "none", "--security-opt", f"seccomp={path}", "busybox", "true")
        self.assertRefused("run", "--network", "none", "--security-opt", "seccomp=/no/such", "busybox", "true", words=["/no/such"])

    def test_systempaths_unconfined(self):
        self.assertEqual(self.sh("wc -c </proc/interrupts").word, "0")
        self.assertGreater(int(self.sh("wc -c </proc/interrupts", "--security-opt", "systempaths=unconfined").word), 0)

    def test_unknown_security_options_are_refused(self):
        for value in ("nonsense", "nonsense=1", "no-new-privileges=maybe", "systempaths=other"):
            self.assertRefused("run", "--network", "none", "--security-opt", value, "busybox", "true", words=[value.split("=")[0]])

    def test_ulimit(self):
        self.assertEqual(self.sh("ulimit -Sn; ulimit -Hn", "--ulimit", "nofile=100:200").lines, ["100", "200"])
        self.assertEqual(self.sh("ulimit -Sn; ulimit -Hn", "--ulimit", "nofile=150").lines, ["150", "150"])
        for value in ("nonsense=1", "nofile=2:1", "nofile=x", "nofile"):
            self.assertRefused("run", "--network", "none", "--ulimit", value, "busybox", "true", words=[value.split("=")[0]])

    def test_core_files_are_limited_to_one_byte(self):
        self.assertEqual(self.sh("grep 'Max core file size' /proc/self/limits").word.split()[4:6], ["1", "1"])

    def test_sysctl(self):
        self.assertEqual(self.sh("cat /proc/sys/kernel/msgmax", "--sysctl", "kernel.msgmax=4096").word, "4096")
        self.assertEqual(self.sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "--sysctl", "net.ipv4.ip_unprivileged_port_start=99").word, "99")

    def test_sysctls_that_are_the_host_s_or_smuggle_are_refused(self):
        """CVE-2022-0811 and kin."""
        core = read_text("/proc/sys/kernel/core_pattern")
        for value in ("kernel.shm_rmid_forced=1+kernel.core_pattern=x", "kernel/core_pattern=x", "kernel.core_pattern=x", "net.../../../kernel/core_pattern=x", "user.max_user_namespaces=9", "vm.swappiness=1",
                      "net.ipv4.ip_unprivileged_port_start=1\n2", "kernel.msgmax", "=1", "net..ipv4=1", "fs.file-max=1"):
            self.assertRefused("run", "--network", "none", "--sysctl", value, "busybox", "true")
        self.assertEqual(read_text("/proc/sys/kernel/core_pattern"), core)

    def test_device(self):
        r = self.sh("stat -c '%t:%T' /dev/myzero; head -c 3 /dev/myzero | wc -c", "--device", "/dev/zero:/dev/myzero:r")
        self.assertEqual(r.lines, ["1:5", "3"])
        for value in ("/no/such/device", "/etc/passwd", "/dev/zero:relative", "/dev/zero:/dev/x:q"):
            self.assertRefused("run", "--network", "none", "--device", value, "busybox", "true")

    def test_a_device_that_was_not_given_does_not_open(self):
        """GHSA-g54h-m393-cpwq: the list allows, it does not deny."""
        for flags in ([], ["--cap-add", "MKNOD"], ["--privileged"]):
            for node in ("b 8 0", "c 10 229", "c 1 1", "c 10 200"):
                r = self.sh(f"mknod /dev/bad {node} && head -c 1 /dev/bad", *flags, check=False)
                self.assertNotEqual(r.code, 0, f"{flags} {node}: {r}")


class Names(CofferTest):
    """/etc/hosts, /etc/hostname and /etc/resolv.conf."""

    def etc(self, name, *flags, **more):
        return self.sh(f"cat /etc/{name}", *flags, **more).lines

    def test_add_host(self):
        lines = self.etc("hosts", "--add-host", "db:10.1.2.3", "--add-host", "six=[fd00::5]", "--add-host", "db:10.1.2.4", "--hostname", "me")
        for line in ("10.1.2.3\tdb", "10.1.2.4\tdb", "fd00::5\tsix", "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", "127.0.0.1\tme"):
            self.assertIn(line, lines)
        for value in ("db", "db:", ":10.1.2.3", "db:10.1.2", "d b:10.1.2.3", "db:10.1.2.3\n10.9.9.9 evil", "db\n:10.1.2.3", "db:nowhere", "-x:10.1.2.3"):
            self.assertRefused("run", "--network", "none", "--add-host", value, "busybox", "true", words=["ExtraHosts"])

    def test_host_gateway_needs_one(self):
        self.assertRefused("run", "--network", "none", "--add-host", "host.docker.internal:host-gateway", "busybox", "true", words=["gateway"])

    def test_domainname(self):
        self.assertIn("127.0.0.1\tweb.example.org web", self.etc("hosts", "--hostname", "web", "--domainname", "example.org"))
        self.assertEqual(self.etc("hostname", "--hostname", "web", "--domainname", "example.org"), ["web"])

    def test_dns(self):
        lines = self.etc("resolv.conf", "--dns", "9.9.9.9", "--dns=2620:fe::fe", "--dns-search", "a.example", "--dns-search", "b.example", "--dns-option", "ndots:3", "--dns-opt", "timeout:1")
        self.assertEqual(lines[1:], ["nameserver 9.9.9.9", "nameserver 2620:fe::fe", "search a.example b.example", "options ndots:3 timeout:1"])
        for flag, values in (("--dns", ("x", "1.1.1.1\nnameserver 6.6.6.6", "1.1.1", "fe80::1%eth0", "1.1.1.1 2.2.2.2")), ("--dns-search", ("a b", "a\nb", "", "-a")), ("--dns-option", ("a b", "a\nb", "", "a#b"))):
            for value in values:
                self.assertRefused("run", "--network", "none", flag, value, "busybox", "true", words=[flag.replace("-", "")])

    def test_no_network_asks_nobody(self):
        self.assertFalse([line for line in self.etc("resolv.conf") if not line.startswith("#")])
        self.assertEqual(self.etc("resolv.conf", "--dns", "9.9.9.9", "--dns-search", ".")[1:], ["nameserver 9.9.9.9"])

    def test_the_hosts_network_has_the_hosts_names(self):
        host = {"env": {"COFFER_ALLOW_HOST": "network"}}
        run = lambda name, *flags: self.coffer("run", "--rm", "--network", "host", *flags, "busybox", "cat", f"/etc/{name}", **host).lines  # noqa: E731
        words = lambda lines: sorted(" ".join(line.split()) for line in lines if line.split() and line.split()[0] in ("nameserver", "search"))  # noqa: E731
        self.assertEqual(words(run("resolv.conf")), words(line.split("#")[0] for line in read_text("/etc/resolv.conf").splitlines()))
        mine = run("hosts", "--add-host", "db:10.1.2.3", "--add-host", "up:host-gateway")
        self.assertLessEqual(set(read_text("/etc/hosts").splitlines()), set(mine))
        self.assertLessEqual({"10.1.2.3\tdb", "127.0.0.1\tup"}, set(mine))

    def test_the_container_may_write_them(self):
        self.assertEqual(self.sh("echo 10.0.0.1 x >>/etc/hosts && tail -n 1 /etc/hosts").word, "10.0.0.1 x")


class Notes(CofferTest):
    def test_annotations_are_in_the_document(self):
        cid = self.sleeper("--annotation", "team=blue", "--annotation", "org.example.note=two words")
        with open(os.path.join(self.run_dir, "containers", cid, "config.json")) as f:
            self.assertEqual(json.load(f)["annotations"], {"team": "blue", "org.example.note": "two words"})
        self.assertEqual(self.inspect(cid)["HostConfig"]["Annotations"], {"team": "blue", "org.example.note": "two words"})

    def test_annotations_that_are_orders_are_refused(self):
        """CVE-2025-47291, CVE-2023-6476, CVE-2024-3154."""
        for key in ("run.oci.hooks.stderr", "org.systemd.property.CPUQuota", "org.criu.config", "io.kubernetes.cri-o.UnifiedCgroup.x", "RUN.OCI.x"):
            self.assertRefused("run", "--network", "none", "--annotation", f"{key}=x", "busybox", "true", words=["Annotations", key])

    def test_platform_and_isolation(self):
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        for platform in (f"linux/{machine}", ""):
            self.assertEqual(self.run_("--platform", platform, "--isolation", "default", "busybox", "echo", "ok").word, "ok")
        for platform in ("linux/riscv64", "windows/amd64", "nonsense"):
            self.assertRefused("run", "--network", "none", "--platform", platform, "busybox", "true", words=["platform"])


class Refused(CofferTest):
    def test_flags_of_docker_that_are_not_there_are_refused_by_name(self):
        for flags in (["--link", "x"], ["--gpus", "all"],
                      ["--pid", "host"], ["--ipc", "host"], ["--uts", "host"], ["--cgroupns", "host"],
                      ["--ip", "1.2.3.4"], ["--mac-address", "02:00:00:00:00:01"], ["--network-alias", "x"], ["--volumes-from", "x"]):
            word = flags[0].lstrip("-")
            self.assertRefused("run", *(["--network", "none"] if flags[0] != "--network" else []), *flags, "busybox", "true", words=[] if len(word) == 1 else [word.split("-")[0]])

    def test_host_network_needs_the_operator(self):
        self.assertRefused("run", "--network", "host", "busybox", "true", words=["host"])
        r = self.coffer("run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net", env={"COFFER_ALLOW_HOST": "network"})
        self.assertEqual(r.word, os.readlink("/proc/self/ns/net"))

    def test_network_none_has_loopback_alone(self):
        self.assertEqual(self.sh("ls /sys/class/net; ip -o addr").out.split()[0], "lo")
        self.assertEqual(len(self.sh("ls /sys/class/net").out.split()), 1)
        self.assertIn("127.0.0.1", self.sh("ip -o addr").out)

    def test_missing_values(self):
        for flag in ("-e", "--name", "-v", "--user", "--memory"):
            self.assertEqual(self.coffer("run", flag, check=False).code, 125, flag)

    def test_help_names_every_verb(self):
        text = self.coffer("--help").out
        for verb in ("run", "create", "start", "stop", "kill", "rm", "ps", "logs", "attach", "exec", "wait", "inspect", "load", "import", "images", "rmi", "tag", "history", "posture"):
            self.assertRegex(text, rf"(?m)^\s+{verb}\b", verb)

    def test_unknown_verb(self):
        r = self.coffer("rum", check=False)
        self.assertNotEqual(r.code, 0)
        self.assertIn("rum", r.err)


if __name__ == "__main__":
    unittest.main()
