# SPDX-License-Identifier: Apache-2.0
"""Whose ids a container has: ranges of their own, kept for life, 0-based on disk, shared layers; remap, custom maps, host."""

import concurrent.futures
import glob
import os
import re
import subprocess
import unittest

import images
from coffer import CofferTest, fd_links, id_map, proc_status, read_text, wait_until

POOL_FIRST, POOL_END = 1048576, 4294901760


def spans(pid):
    """Host ids of a process's maps: ([(first, end)] of uids, the same of gids)."""
    return tuple([(outside, outside + count) for _, outside, count in id_map(pid, which)] for which in ("uid", "gid"))


def overlap(a, b):
    return any(x < v and u < y for x, y in a for u, v in b)


def claimed(*files):
    """Ranges that subid files give away."""
    found = []
    for path in files:
        with open(path) as f:
            for line in f:
                parts = line.strip().split(":")
                if len(parts) == 3:
                    found.append((int(parts[1]), int(parts[1]) + int(parts[2])))
    return found


SUBIDS = "coffer:3000000000:65536\nalice:2000000:200000\nbob:1114112:65536\ndefault:700000:65536\n"
PASSWD = read_text("/etc/passwd") + "high:x:1310720:1310720::/:/bin/false\ncofferuser:x:1501:1501::/:/bin/false\n"


class Disjoint(CofferTest):
    ETC = {"/etc/subuid": SUBIDS, "/etc/subgid": SUBIDS.replace("1114112", "1179648"), "/etc/passwd": PASSWD}
    N = 200

    def test_two_hundred_at_once(self):
        custom = self.sleeper("--userns", "map", "--uidmap", "0:1572864:65536", "--gidmap", "0:1638400:65536")

        def start(_):
            return self.coffer("run", "-d", "--network", "none", "busybox", "sleep", "100000", timeout=180).word

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            ids = list(pool.map(start, range(self.N)))
        self.addCleanup(lambda: [self.coffer("rm", "-f", *ids[i:i + 50], timeout=120) for i in range(0, len(ids), 50)])
        self.assertEqual(len(set(ids)), self.N)
        maps = {cid: spans(self.pid(cid)) for cid in ids}
        self.assertIn((1572864, 1638400), spans(self.pid(custom))[0])
        for axis, name in ((0, "uid"), (1, "gid")):
            ranges = sorted((r, cid) for cid in ids for r in maps[cid][axis])
            for (a, ca), (b, cb) in zip(ranges, ranges[1:]):
                self.assertLessEqual(a[1], b[0], f"{name} ranges of {ca[:12]} and {cb[:12]} overlap")
            taken = claimed(self.scratch + "/etc-subuid", self.scratch + "/etc-subgid") + [(0, 65536), (1310720, 1310721)] + spans(self.pid(custom))[axis]
            for r, cid in ranges:
                self.assertFalse(overlap([r], taken), f"{name} range {r} of {cid[:12]} meets ids of somebody else")
                self.assertGreaterEqual(r[0], POOL_FIRST)
                self.assertLessEqual(r[1], POOL_END)
                self.assertEqual((r[0] % 65536, r[1] - r[0]), (0, 65536))
        for cid in ids:
            self.assertEqual([(i, c) for i, _, c in id_map(self.pid(cid))], [(0, 65536)])

    def test_two_processes_allocating_at_the_same_time(self):
        """Creates alone, as fast as two clients can: no start in between that would space them out."""
        def burst(_):
            return [self.coffer("create", "--network", "none", "busybox", "sleep", "1000").word for _ in range(15)]

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            ids = sum(pool.map(burst, range(2)), [])
        self.addCleanup(self.coffer, "rm", "-f", *ids)
        self.coffer("start", *ids, timeout=120)
        ranges = sorted(r for cid in ids for r in spans(self.pid(cid))[0])
        self.assertEqual(len(ranges), 30)
        for a, b in zip(ranges, ranges[1:]):
            self.assertLessEqual(a[1], b[0])


class FullPool(CofferTest):
    # everything but three blocks is somebody else's
    FREE = 1048576 + 3 * 65536
    TEXT = f"somebody:{FREE}:{POOL_END - FREE}\n"
    ETC = {"/etc/subuid": TEXT, "/etc/subgid": TEXT}

    def test_the_fourth_is_refused_and_a_freed_range_is_used_again(self):
        held = [self.sleeper() for _ in range(3)]
        self.assertRefused("run", "-d", "--network", "none", "busybox", "sleep", "1000", words=["pool", "full"])
        self.assertRefused("run", "-d", "--network", "none", "--userns", "auto:size=131072", "busybox", "sleep", "1000")
        gone = spans(self.pid(held[1]))
        self.coffer("rm", "-f", held[1])
        self.assertEqual(spans(self.pid(self.sleeper())), gone)


class Range(CofferTest):
    def test_root_inside_is_nobody_outside(self):
        cid = self.sleeper()
        status = proc_status(self.pid(cid))
        for field in ("Uid", "Gid"):
            self.assertTrue(all(int(x) >= POOL_FIRST for x in status[field].split()), status[field])

    def test_a_restart_keeps_the_range(self):
        cid = self.sleeper()
        before = spans(self.pid(cid))
        others = [self.sleeper() for _ in range(2)]
        self.coffer("kill", cid)
        self.coffer("wait", cid)
        self.coffer("start", cid)
        self.assertEqual(spans(self.pid(cid)), before)
        self.assertTrue(all(spans(self.pid(o)) != before for o in others))

    def test_the_size_can_be_chosen(self):
        cid = self.sleeper("--userns", "auto:size=131072")
        self.assertEqual([(i, c) for i, _, c in id_map(self.pid(cid))], [(0, 131072)])
        self.assertEqual(self.coffer("exec", "-u", "100000", cid, "id", "-u").word, "100000")

    def test_bad_modes_are_refused(self):
        for mode in ("nonsense", "auto:size=0", "auto:size=-1", "auto:size=99999999999", "auto:what=1", "remap:no-such-user", "container:nobody", "map", "keep-id"):
            self.assertRefused("run", "--network", "none", "--userns", mode, "busybox", "true")

    def test_host_needs_the_operator(self):
        self.assertRefused("run", "--network", "none", "--userns", "host", "busybox", "true", words=["host"])
        r = self.sh("cat /proc/self/uid_map", "--userns", "host", env={"COFFER_ALLOW_HOST": "userns"})
        self.assertEqual(r.out.split(), ["0", "0", "4294967295"])

    def test_another_container_s_map_can_be_joined(self):
        a = self.sleeper("--name", "lender")
        b = self.sleeper("--userns", "container:lender")
        self.assertEqual(spans(self.pid(b)), spans(self.pid(a)))
        mine = spans(self.pid(a))
        self.coffer("rm", "-f", a)
        other = self.sleeper()
        self.assertFalse(overlap(spans(self.pid(other))[0], mine[0]), "a range that is still in use was given away")

    def test_nested_user_namespaces_are_off(self):
        r = self.sh("unshare -U true", check=False)
        self.assertNotEqual(r.code, 0)
        r = self.sh("cat /proc/sys/user/max_user_namespaces; unshare -U true", "--security-opt", "seccomp=unconfined", check=False)
        self.assertEqual(r.lines[0], "0")
        self.assertNotEqual(r.code, 0)


class Remap(CofferTest):
    """Phase 1 (one delegated map) and phase 2 (maps by hand)."""

    ETC = {"/etc/subuid": "coffer:3000000000:65536\ncofferuser:3100000000:70000\n", "/etc/subgid": "coffer:3200000000:65536\ncofferuser:3300000000:70000\n",
           "/etc/passwd": PASSWD, "/etc/group": read_text("/etc/group") + "cofferuser:x:1501:\n"}

    def both(self, *flags, script="cat /proc/self/uid_map /proc/self/gid_map"):
        """The maps as the container sees them and as the host sees them."""
        cid = self.sleeper(*flags)
        inside = [tuple(int(x) for x in line.split()) for line in self.coffer("exec", cid, "sh", "-c", script).lines]
        return inside, id_map(self.pid(cid), "uid"), id_map(self.pid(cid), "gid"), cid

    def test_remap_of_the_default_user(self):
        inside, uid, gid, _ = self.both("--userns", "remap")
        self.assertEqual((uid, gid), ([(0, 3000000000, 65536)], [(0, 3200000000, 65536)]))
        self.assertEqual([(i, c) for i, _, c in inside], [(0, 65536), (0, 65536)])

    def test_remap_of_a_named_user_and_by_number(self):
        for who in ("cofferuser", "1501", "cofferuser:cofferuser", "1501:1501"):
            _, uid, gid, _ = self.both("--userns", f"remap:{who}")
            self.assertEqual((uid[0][1], gid[0][1]), (3100000000, 3300000000), who)

    def test_remapped_containers_share_one_map_and_files(self):
        a, b = self.sleeper("--userns", "remap"), self.sleeper("--userns", "remap")
        self.assertEqual(spans(self.pid(a)), spans(self.pid(b)))

    def test_maps_by_hand_with_uid_and_gid_apart_and_several_extents(self):
        flags = []
        for m in ("0:500000000:1000", "1000:600000000:1", "1001:700000000:500"):
            flags += ["--uidmap", m]
        for m in ("0:800000000:2000", "2000:900000000:10"):
            flags += ["--gidmap", m]
        inside, uid, gid, cid = self.both(*flags)
        self.assertEqual(uid, [(0, 500000000, 1000), (1000, 600000000, 1), (1001, 700000000, 500)])
        self.assertEqual(gid, [(0, 800000000, 2000), (2000, 900000000, 10)])
        self.assertEqual([(i, c) for i, _, c in inside], [(0, 1000), (1000, 1), (1001, 500), (0, 2000), (2000, 10)])
        self.assertEqual(self.coffer("exec", "-u", "1000:2005", cid, "sh", "-c", "touch /tmp/f; stat -c %u:%g /tmp/f").word, "1000:2005")
        self.assertEqual(self.coffer("exec", cid, "stat", "-c", "%u:%g", "/bin/busybox").word, "0:0")
        upper = os.path.join(self.root, "containers", cid, "upper", "tmp", "f")
        self.assertEqual((os.stat(upper).st_uid, os.stat(upper).st_gid), (1000, 2005))

    def test_bad_maps_are_refused(self):
        for maps in (["0:0:65536"], ["0:1:10"], ["0:500000000:0"], ["0:500000000"], ["a:b:c"], ["0:500000000:10", "5:600000000:10"], ["0:500000000:10", "10:500000005:10"], ["0:4294967290:100"],
                     [f"{i}:{500000000 + i * 10}:1" for i in range(5)], ["1:500000000:10"]):
            self.assertRefused("run", "--network", "none", *[x for m in maps for x in ("--uidmap", m)], "busybox", "true")

    def test_a_map_that_meets_another_container_s_is_refused_and_names_it(self):
        self.sleeper("--name", "holder", "--uidmap", "0:1000000000:65536")
        r = self.assertRefused("run", "--network", "none", "--uidmap", "0:1000065535:10", "busybox", "true")
        self.assertIn("holder", r.err)


class OnDisk(CofferTest):
    """P3: unshifted on disk, shared layers, no chown, no copy."""

    def test_upper_and_volumes_hold_unshifted_ids(self):
        cid = self.sleeper("-v", "plain:/data")
        self.coffer("exec", cid, "sh", "-c", "touch /root/r /data/r; mkdir /data/d; touch /home/alice/a; chown 1000:50 /home/alice/a /data/d; rm /etc/hostname; chmod u+s /bin/ls")
        checked = 0
        for top in (os.path.join(self.root, "containers", cid, "upper"), os.path.join(self.root, "volumes")):
            for path, dirs, files in os.walk(top):
                for name in dirs + files:
                    st = os.lstat(os.path.join(path, name))
                    self.assertLess(max(st.st_uid, st.st_gid), 65536, os.path.join(path, name))
                    checked += 1
        self.assertGreater(checked, 6)
        self.assertEqual(self.coffer("exec", cid, "stat", "-c", "%u:%g", "/home/alice/a", "/data/d").lines, ["1000:50", "1000:50"])

    def test_a_volume_reads_the_same_from_two_ranges(self):
        a, b = self.sleeper("-v", "shared:/data"), self.sleeper("-v", "shared:/data")
        self.assertNotEqual(spans(self.pid(a)), spans(self.pid(b)))
        self.coffer("exec", a, "sh", "-c", "touch /data/root /data/alice; chown 1000:1000 /data/alice; chmod 600 /data/alice")
        self.assertEqual(self.coffer("exec", b, "stat", "-c", "%n %u:%g", "/data/root", "/data/alice").lines, ["/data/root 0:0", "/data/alice 1000:1000"])
        self.coffer("exec", "-u", "alice", b, "sh", "-c", "echo from-b >>/data/alice")
        self.assertEqual(self.coffer("exec", "-u", "alice", a, "cat", "/data/alice").word, "from-b")
        self.assertNotEqual(self.coffer("exec", "-u", "daemon", b, "cat", "/data/alice", check=False).code, 0)

    def test_a_lower_layer_s_file_is_one_inode_for_all(self):
        a, b = self.sleeper(), self.sleeper()
        layer = [p for p in glob.glob(os.path.join(self.root, "layers", "**", "bin", "busybox"), recursive=True)]
        self.assertEqual(len(layer), 1, layer)
        with open(layer[0], "rb") as f:
            self.assertEqual(f.read(4), b"\x7fELF")
        seen = {self.coffer("exec", c, "stat", "-c", "%i", "/bin/busybox").word for c in (a, b)}
        self.assertEqual(seen, {str(os.stat(layer[0]).st_ino)})
        for c in (a, b):
            self.assertEqual(glob.glob(os.path.join(self.root, "containers", c, "upper", "bin", "*")), [])

    def usage(self):
        return int(subprocess.run(["du", "-s", "--block-size=1", self.root], capture_output=True, text=True, check=True).stdout.split()[0])

    def test_a_start_with_a_fresh_range_costs_no_extra_bytes(self):
        self.sleeper()
        before = self.usage()
        for _ in range(5):
            self.sleeper()
        # directories, logs and database rows; a copy would be 2 MB of image for each of the five
        self.assertLess(self.usage() - before, 5 * 100 * 1024)

    def test_a_start_calls_no_chown(self):
        trace = os.path.join(self.scratch, "trace")
        command = ["strace", "-f", "-qq", "-e", "trace=chown,fchown,lchown,fchownat", "-o", trace, *self.command, "run", "--rm", "--network", "none", "-v", "tracked:/data", "busybox", "true"]
        p = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120)
        self.assertEqual(p.returncode, 0, p.stderr)
        with open(trace) as f:
            calls = [line for line in f if "chown" in line]
        # by name nothing; by descriptor the database's own files, a new volume's root and the standard streams: their number does not
        # grow with the image, which has hundreds of files
        self.assertFalse([c for c in calls if " fchown(" not in c], "".join(calls))
        self.assertLessEqual(len(calls), 8, "".join(calls))

    def test_the_host_cannot_be_reached_from_the_store_by_a_mapped_root(self):
        """CVE-2021-41091 and kin: state directories are closed to everybody else."""
        cid = self.sleeper()
        host_root = spans(self.pid(cid))[0][0][0]
        for uid in (1000, host_root):
            for top in (self.root, self.run_dir):
                p = subprocess.run(["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "ls", top], capture_output=True, text=True)
                self.assertIn("Permission denied", p.stderr, f"{uid} lists {top}")
                self.assertEqual(os.stat(top).st_mode & 0o777, 0o700)


if __name__ == "__main__":
    unittest.main()
