# SPDX-License-Identifier: Apache-2.0
"""A database that is held, cut, overwritten, too new, read-only or lost: a clear error that names it, and nothing is destroyed."""

import os
import shutil
import sqlite3
import subprocess
import threading
import time
import unittest

import coffer
import daemon

ASAN = True


class Held(daemon.DaemonTest):
    def test_locked_for_five_seconds(self):
        """A write waits for the other process; who asks for nothing of the database is answered meanwhile."""
        db = sqlite3.connect(os.path.join(self.root, "coffer.db"), isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        answers = []
        t = threading.Thread(target=lambda: answers.append(self.api("POST", "/containers/create?name=late", {"Image": self.IMAGE, "Cmd": ["true"]}, timeout=60 * coffer.SLOW)))
        t.start()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            self.assertEqual(self.api("GET", "/_ping", timeout=4 * coffer.SLOW).status, 200)
            self.assertEqual(answers, [])
            time.sleep(0.2)
        db.execute("ROLLBACK")
        db.close()
        t.join()
        self.assertEqual(answers[0].status, 201, str(answers[0]))
        self.assertEqual(self.api("DELETE", "/containers/late").status, 204)


class Broken(coffer.CofferTest):
    def setUp(self):
        self.cid = self.coffer("create", "--name", "kept", "--network", "none", "-v", "kept:/v", self.IMAGE, "sh", "-c", "echo data >/v/file").word
        self.coffer("start", "-a", "kept")
        self.db = os.path.join(self.root, "coffer.db")
        self.assertTrue(coffer.wait_until(lambda: not self.processes(), 10))
        self.safe = os.path.join(self.scratch, "safe")
        os.mkdir(self.safe)
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.db + suffix):
                shutil.copy2(self.db + suffix, os.path.join(self.safe, "coffer.db" + suffix))
        self.before = self.data()
        self.addCleanup(self.put_back)

    def data(self):
        return {where: coffer.tree_listing(os.path.join(self.root, where)) for where in ("volumes", "containers", "blobs", "layers")}

    def remove_wal(self):
        for suffix in ("-wal", "-shm"):
            if os.path.exists(self.db + suffix):
                os.unlink(self.db + suffix)

    def put_back(self):
        self.remove_wal()
        for name in os.listdir(self.safe):
            shutil.copy2(os.path.join(self.safe, name), os.path.join(self.root, name))
        self.coffer("rm", "kept")
        self.coffer("volume", "rm", "kept")
        shutil.rmtree(self.safe)

    def refused(self, *words):
        for argv in (("ps", "-a"), ("run", "--rm", "--network", "none", self.IMAGE, "true"), ("volume", "prune", "-a", "-f")):
            r = self.coffer(*argv, check=False)
            self.assertNotEqual(r.code, 0, str(r))
            for w in words:
                self.assertIn(w.lower(), r.err.lower(), str(r))
        p = subprocess.run([self.stage.cofferd], env=self.env, capture_output=True, text=True, timeout=30 * coffer.SLOW)
        self.assertNotEqual(p.returncode, 0)
        for w in words:
            self.assertIn(w.lower(), p.stderr.lower())
        self.assertTrue(coffer.wait_until(lambda: not self.processes(), 10))
        self.assertEqual(self.data(), self.before, "something was destroyed")

    def test_lost(self):
        self.remove_wal()
        os.unlink(self.db)
        self.refused(self.db, "missing", "put a copy")

    def test_truncated_to_nothing(self):
        self.remove_wal()
        os.truncate(self.db, 0)
        self.refused(self.db, "empty", "put a copy")

    def test_truncated_to_a_part(self):
        self.remove_wal()
        os.truncate(self.db, os.path.getsize(self.db) // 2 // 4096 * 4096 + 100)
        self.refused(self.db, "put a copy")

    def test_overwritten_with_garbage(self):
        self.remove_wal()
        with open(self.db, "r+b") as f:
            f.write(b"not a database at all. " * 400)
        self.refused(self.db, "put a copy")

    def test_of_a_newer_version(self):
        db = sqlite3.connect(self.db)
        db.execute("UPDATE component SET version=version+1000 WHERE name='engine'")
        db.commit()
        db.close()
        self.refused(self.db, "newer")

    def test_read_only(self):
        script = f"mount --bind {self.root} {self.root} && mount -o remount,bind,ro {self.root} && exec {self.stage.coffer} run --rm --network none {self.IMAGE} true"
        p = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script], env=self.env, capture_output=True, text=True, timeout=30 * coffer.SLOW)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn(self.root, p.stderr)
        self.assertRegex(p.stderr.lower(), "read-?only")
        self.assertEqual(self.data(), self.before)


if __name__ == "__main__":
    unittest.main()
