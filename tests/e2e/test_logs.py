# SPDX-License-Identifier: Apache-2.0
"""Logs: what was printed, when, in docker's json-file form, followed, cut and rotated."""

import datetime
import glob
import gzip
import json
import os
import time
import unittest

import daemon
from coffer import CofferTest, read_text, wait_until

ASAN = True
VM = True


class LogsTest(CofferTest):
    def finished(self, script, *flags):
        cid = self.detached(*flags, "busybox", "sh", "-c", script)
        self.coffer("wait", cid)
        return cid

    def files(self, cid):
        return sorted(glob.glob(os.path.join(self.root, "containers", cid, "**", "*.log*"), recursive=True))


class Logs(LogsTest):
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
        for opt in ("max-size=lots", "max-file=0", "max-file=-1", "nonsense=1", "compress=maybe", "compress=true", "mode=sometimes", "max-buffer-size=1m", "labels-regex=(", "env-regex=[", "tag={{.Nothing}}", "tag={{"):
            self.assertRefused("run", "--network", "none", "--log-opt", opt, "busybox", "true", words=[opt.split("=")[0]])
        for opt in ("labels=a", "tag=x", "env=A"):
            self.assertRefused("run", "--network", "none", "--log-driver", "local", "--log-opt", opt, "busybox", "true", words=[f"unknown log opt '{opt.split('=')[0]}' for local log driver"])
        self.assertRefused("run", "--network", "none", "-l", "big=" + "x" * 5000, "--log-opt", "labels=big", "busybox", "true", words=["4096 bytes"])
        self.assertEqual(self.coffer("run", "--rm", "--network", "none", "--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=4m", "busybox", "echo", "ok").word, "ok")
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


NUMBERS = "i=0; while [ $i -lt {n} ]; do echo line-$i-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); done"


class Forms(LogsTest):
    """The local driver, compressed files, and what a record may carry."""

    def numbers(self, *args):
        return [int(x.split("-")[1]) for x in self.coffer("logs", *args).lines]

    def test_local(self):
        cid = self.finished("echo out; printf 'ab\\t\\001\\377\\n' >&2; sleep 0.1; printf unfinished", "--log-driver", "local")
        self.assertEqual([os.path.basename(f) for f in self.files(cid)], ["local.log"])
        self.assertEqual(self.coffer("logs", cid).out, "out\nunfinished")
        self.assertEqual(self.inspect(cid)["LogPath"], "")
        self.assertEqual(self.coffer("logs", "--tail", "1", cid).out, "unfinished")
        stamps = [x.split(" ")[0] for x in self.coffer("logs", "-t", cid).lines]
        self.assertEqual(self.coffer("logs", "--since", stamps[-1], cid).out, "unfinished")
        self.assertEqual(self.coffer("logs", "--until", stamps[0], cid).out.splitlines()[0], "out")
        with open(self.files(cid)[0], "rb") as f:
            self.assertIn(b'ab\t\x01\xff', f.read())

    def test_local_is_rotated_and_compressed_by_itself(self):
        cid = self.detached("--log-driver", "local", "--log-opt", "max-size=20k", "--log-opt", "max-file=4", "busybox", "sh", "-c", NUMBERS.format(n=3000) + "; while :; do sleep 0.05; echo line-$i-x; i=$((i+1)); done")
        self.assertTrue(wait_until(lambda: sum(f.endswith(".gz") for f in self.files(cid)) >= 2, 20), self.files(cid))
        self.assertTrue(wait_until(lambda: self.numbers("-n", "1", cid)[-1] >= 3000, 20))
        numbers = self.numbers(cid)
        self.assertEqual(numbers, list(range(numbers[0], numbers[-1] + 1)))
        self.assertEqual(len(self.numbers("--tail", "700", cid)), 700)
        self.coffer("kill", cid)

    def test_compress(self):
        cid = self.detached("--log-opt", "max-size=30k", "--log-opt", "max-file=5", "--log-opt", "compress=true", "busybox", "sh", "-c", NUMBERS.format(n=900) + "; while :; do sleep 0.05; echo line-$i-x; i=$((i+1)); done")
        self.assertTrue(wait_until(lambda: sum(f.endswith(".gz") for f in self.files(cid)) >= 3, 20), self.files(cid))
        names = [os.path.basename(f) for f in self.files(cid)]
        self.assertEqual([n for n in names if n != "squeezed"][:2], ["json.log", "json.log.1.gz"])
        numbers = self.numbers(cid)
        self.assertEqual(numbers, list(range(numbers[0], numbers[-1] + 1)))
        for f in self.files(cid):
            self.assertEqual(os.stat(f).st_mode & 0o777, 0o640, f)
        with gzip.open(next(f for f in self.files(cid) if f.endswith(".1.gz")), "rt") as f:
            self.assertIn("line-", json.loads(f.readline())["log"])
        self.coffer("kill", cid)

    def test_follow_across_rotations_that_are_compressed(self):
        for driver in ("json-file", "local"):
            with self.subTest(driver=driver):
                script = "sleep 0.3; i=0; while [ $i -lt 1500 ]; do echo line-$i-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.02; done"
                cid = self.detached("--log-driver", driver, "--log-opt", "max-size=20k", "--log-opt", "max-file=50", "--log-opt", "compress=true", "busybox", "sh", "-c", script)
                self.assertEqual(self.numbers("-f", cid), list(range(1500)))
                self.assertEqual(self.numbers(cid), list(range(1500)))
                self.assertEqual(self.numbers("-n", "1200", cid), list(range(300, 1500)))

    def test_follow_of_a_log_that_is_emptied(self):
        script = "sleep 0.3; i=0; while [ $i -lt 400 ]; do echo line-$i-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); sleep 0.01; done"
        cid = self.detached("--log-opt", "max-size=5k", "--log-opt", "max-file=1", "busybox", "sh", "-c", script)
        numbers = self.numbers("-f", cid)
        self.assertEqual(numbers[-1], 399)
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_attributes(self):
        cid = self.finished("echo x", "-l", "com.a=1/2", "-l", "b=two words", "-l", "other=no", "-e", "KEEP=yes", "-e", "KEPT=too", "-e", "DROP=1", "--log-opt", "labels=com.a", "--log-opt", "labels-regex=^b$", "--log-opt", "env=KEEP,NONE",
                            "--log-opt", "env-regex=^KEP", "--log-opt", "tag={{.ImageName}}/{{.Name}}/{{.ID}}", "--name", "tagged")
        record = json.loads(read_text(self.files(cid)[0]))
        self.assertEqual(record["attrs"], {"com.a": "1/2", "b": "two words", "KEEP": "yes", "KEPT": "too", "tag": f"busybox/tagged/{cid[:12]}"})
        self.assertEqual(list(record), ["log", "stream", "attrs", "time"])
        self.assertEqual(self.coffer("logs", "--details", cid).out, f"KEEP=yes,KEPT=too,b=two+words,com.a=1%2F2,tag=busybox%2Ftagged%2F{cid[:12]} x\n")
        self.assertRegex(self.coffer("logs", "--details", "-t", cid).out, r"^20\S+Z KEEP=yes,\S+ x\n$")
        self.assertEqual(self.coffer("logs", "--details", self.finished("echo y")).out, " y\n")

    def test_tags(self):
        for tag, want in (("plain", "plain"), ("{{ .FullID }}", "{cid}"), ("<{{.Command}}>", "<sh -c echo x>"), ("{{.DaemonName}}", "coffer"), ("{{.ImageID}}|{{.ImageFullID}}", None)):
            cid = self.finished("echo x", "--log-opt", f"tag={tag}")
            got = json.loads(read_text(self.files(cid)[0]))["attrs"]["tag"]
            image = self.inspect(cid)["Image"]
            self.assertEqual(got, want.format(cid=cid) if want else f"{image[7:19]}|{image}")

    def test_a_reader_that_never_reads_holds_up_nobody(self):
        cid = self.detached("busybox", "sh", "-c", "sleep 0.5; head -c 20000000 /dev/zero | tr '\\0' x | fold -w 100; echo; echo end")
        p = self.popen("logs", "-f", cid)
        self.assertEqual(self.coffer("wait", cid, timeout=60).word, "0")
        self.assertEqual(self.coffer("logs", "--tail", "1", cid).out, "end\n")
        p.kill()
        p.wait()


class Defaults(daemon.DaemonTest):
    """daemon.json's log-driver and log-opts."""

    @classmethod
    def start_daemon(cls, *flags):
        path = os.path.join(cls.scratch, "daemon.json")
        with open(path, "w") as f:
            json.dump({"log-driver": "local", "log-opts": {"max-size": "1m", "max-file": "3"}}, f)
        return super().start_daemon("--config-file", path, *flags)

    def config(self, *flags):
        cid = self.coffer("create", "--network", "none", *flags, "busybox", "true").word
        self.addCleanup(self.coffer, "rm", cid)
        return self.inspect(cid)["HostConfig"]["LogConfig"]

    def test_what_a_request_leaves_open(self):
        self.assertEqual(self.config(), {"Type": "local", "Config": {"max-size": "1m", "max-file": "3"}})
        self.assertEqual(self.config("--log-opt", "max-file=9"), {"Type": "local", "Config": {"max-file": "9", "max-size": "1m"}})
        self.assertEqual(self.config("--log-driver", "json-file"), {"Type": "json-file", "Config": {}})
        self.assertEqual(self.api("GET", "/info").json()["LoggingDriver"], "local")
        self.assertEqual(self.run_("--log-driver", "none", "busybox", "echo", "x").word, "x")


if __name__ == "__main__":
    unittest.main()
