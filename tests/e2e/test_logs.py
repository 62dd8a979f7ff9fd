# SPDX-License-Identifier: Apache-2.0
"""Logs: what was printed, when, in docker's json-file form, followed, cut and rotated."""

import datetime
import glob
import json
import os
import time
import unittest

from coffer import CofferTest, read_text, wait_until

ASAN = True
VM = True


class Logs(CofferTest):
    def finished(self, script, *flags):
        cid = self.detached(*flags, "busybox", "sh", "-c", script)
        self.coffer("wait", cid)
        return cid

    def files(self, cid):
        return sorted(glob.glob(os.path.join(self.root, "containers", cid, "**", "*.log*"), recursive=True))

    def test_streams_stay_apart(self):
        r = self.coffer("logs", self.finished("echo out; echo err >&2"))
        self.assertEqual((r.out, r.err), ("out\n", "err\n"))

    def test_json_file_form(self):
        cid = self.finished('printf \'a"b\\\\c\\t\\001\\n\'; sleep 0.1; echo err >&2; sleep 0.1; printf unfinished')
        records = [json.loads(line) for line in read_text(self.files(cid)[0]).splitlines()]
        self.assertEqual([(r["log"], r["stream"]) for r in sorted(records, key=lambda r: r["time"])], [('a"b\\c\t\x01\n', "stdout"), ("err\n", "stderr"), ("unfinished", "stdout")])
        for r in records:
            self.assertRegex(r["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")
        self.assertEqual(self.inspect(cid)["LogPath"], self.files(cid)[0])

    def test_foreground_runs_are_logged_too(self):
        self.coffer("run", "--name", "fore", "--network", "none", "busybox", "echo", "logged")
        self.assertEqual(self.coffer("logs", "fore").out, "logged\n")

    def test_long_lines_and_invalid_utf8_come_back(self):
        cid = self.finished("head -c 100000 /dev/zero | tr '\\0' x; echo; printf '\\377\\376ok\\n'")
        out = self.coffer("logs", cid).out
        self.assertEqual(out.splitlines()[0], "x" * 100000)
        self.assertIn("ok", out.splitlines()[1])

    def test_tail(self):
        cid = self.finished("seq 1 1000")
        self.assertEqual(self.coffer("logs", "--tail", "3", cid).lines, ["998", "999", "1000"])
        self.assertEqual(self.coffer("logs", "-n", "0", cid).out, "")
        self.assertEqual(len(self.coffer("logs", "--tail", "all", cid).lines), 1000)
        self.assertEqual(len(self.coffer("logs", "--tail", "5000", cid).lines), 1000)

    def test_timestamps(self):
        line = self.coffer("logs", "-t", self.finished("echo x")).lines[0]
        stamp, text = line.split(" ", 1)
        self.assertEqual(text, "x")
        when = datetime.datetime.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
        self.assertLess(abs((datetime.datetime.now(datetime.timezone.utc) - when).total_seconds()), 60)

    def test_since_and_until(self):
        cid = self.finished("echo early; sleep 1.2; echo late")
        stamps = [line.split(" ")[0] for line in self.coffer("logs", "-t", cid).lines]
        self.assertEqual(self.coffer("logs", "--since", stamps[1], cid).out, "late\n")
        self.assertEqual(self.coffer("logs", "--until", stamps[0], cid).out, "early\n")
        self.assertEqual(self.coffer("logs", "--since", "10m", cid).out, "early\nlate\n")
        self.assertEqual(self.coffer("logs", "--since", str(time.time() + 100), cid).out, "")
        for bad in ("nonsense", "2020-99-99"):
            self.assertNotEqual(self.coffer("logs", "--since", bad, cid, check=False).code, 0, bad)

    def test_follow_until_the_end(self):
        cid = self.detached("busybox", "sh", "-c", "echo line-1; while [ ! -e /go ]; do sleep 0.02; done; echo line-2; echo line-3")
        p = self.popen("logs", "-f", cid)
        self.assertEqual(p.stdout.readline(), b"line-1\n")
        self.assertIsNone(p.poll())
        self.coffer("exec", cid, "touch", "/go", check=False)  # the container may end before the command does
        self.assertEqual(p.stdout.read(), b"line-2\nline-3\n")
        self.assertEqual(p.wait(10), 0)

    def test_follow_is_prompt(self):
        cid = self.detached("busybox", "sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done; echo went; sleep 1000")
        p = self.popen("logs", "-f", cid)
        time.sleep(0.3)
        self.coffer("exec", cid, "touch", "/go")
        start = time.monotonic()
        self.assertEqual(p.stdout.readline(), b"went\n")
        self.assertLess(time.monotonic() - start, 2)
        self.assertIsNone(p.poll())
        self.coffer("kill", cid)
        self.assertEqual(p.wait(10), 0)

    def test_follow_with_tail(self):
        cid = self.detached("busybox", "sh", "-c", "seq 1 100; sleep 0.5; echo end")
        self.assertTrue(wait_until(lambda: len(self.coffer("logs", cid).lines) >= 100))
        self.assertEqual(self.coffer("logs", "-f", "--tail", "1", cid).lines[-1], "end")

    def test_rotation(self):
        cid = self.finished("i=0; while [ $i -lt 3000 ]; do echo line-$i-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); done", "--log-opt", "max-size=50k", "--log-opt", "max-file=3")
        files = self.files(cid)
        self.assertEqual(len(files), 3, files)
        for f in files:
            self.assertLess(os.path.getsize(f), 60000, f)
        lines = self.coffer("logs", cid).lines
        numbers = [int(x.split("-")[1]) for x in lines]
        self.assertEqual(numbers[-1], 2999)
        self.assertEqual(numbers, list(range(numbers[0], 3000)), "lines are lost or out of order in the kept files")
        self.assertEqual(self.coffer("logs", "--tail", "2", cid).lines, lines[-2:])

    def test_follow_across_a_rotation(self):
        cid = self.detached("--log-opt", "max-size=20k", "--log-opt", "max-file=5", "busybox", "sh", "-c", "sleep 0.5; i=0; while [ $i -lt 800 ]; do echo line-$i-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.05; done")
        numbers = [int(x.split("-")[1]) for x in self.coffer("logs", "-f", cid).lines]
        self.assertEqual(numbers, list(range(800)))

    def test_bad_options_are_refused(self):
        for opt in ("max-size=lots", "max-file=0", "max-file=-1", "nonsense=1"):
            self.assertRefused("run", "--network", "none", "--log-opt", opt, "busybox", "true", words=[opt.split("=")[0]])
        self.assertRefused("run", "--network", "none", "--log-driver", "syslog", "busybox", "true", words=["syslog"])

    def test_driver_none(self):
        cid = self.finished("echo x", "--log-driver", "none")
        self.assertNotEqual(self.coffer("logs", cid, check=False).code, 0)
        self.assertEqual(self.files(cid), [])

    def test_terminal_output_is_logged(self):
        cid = self.finished("echo x", "-t")
        self.assertEqual(self.coffer("logs", cid).out, "x\r\n")

    def test_logs_are_for_root_alone_and_go_with_the_container(self):
        cid = self.finished("echo x")
        path = self.files(cid)[0]
        self.assertEqual(os.stat(path).st_mode & 0o007, 0)
        self.assertEqual(os.stat(self.root).st_mode & 0o077, 0)
        self.coffer("rm", cid)
        self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
    unittest.main()
