# SPDX-License-Identifier: Apache-2.0
"""The same question by the newest docker CLI and by coffer, of one daemon: the same table, the same JSON, the same template's text.

What differs on purpose is in DIFFERENT, with its reason. A machine whose one docker is Debian's skips this: that one's tables are five years older.
"""

import json
import os
import re
import subprocess
import unittest

import coffer
import daemon
import docker_cli

CLIENT = docker_cli.newest()
LABELS = ("-l", "team=web", "-l", "a=<b>&c")

DIFFERENT = {
    "version": "another program's version and build",
    "info": "the first lines are about the client; coffer leaves out what is empty",
}

SAME = (
    ("ps",), ("ps", "-a"), ("ps", "-as"), ("ps", "-a", "--no-trunc"), ("ps", "-aq"), ("ps", "-aq", "--no-trunc"), ("ps", "-n", "2"), ("ps", "-l"), ("ps", "-a", "--format", "json"),
    ("ps", "-a", "--format", "{{json .}}"), ("ps", "-aq", "--format", "table"), ("ps", "-a", "--format", "table"), ("ps", "-a", "-f", "status=exited", "--filter", "label=team"),
    ("ps", "-a", "--format", r"table {{.Names}}\t{{.Labels}}\t{{.Mounts}}\t{{.Networks}}\t{{.LocalVolumes}}\t{{.Platform}}\t{{.State}}\t{{.CreatedAt}}"),
    ("ps", "-a", "--format", r'table {{.ID}}\t{{.Label "team"}}\t{{upper .Names}}\t{{json .Image}}'), ("ps", "--format", '{{.Label "team"}}|{{.Label "none"}}|{{.Size}}'),
    ("ps", "-a", "--format", '{{if eq .State "running"}}{{.Names}}{{else}}-{{end}}'), ("ps", "-a", "--format", '{{range split .Labels ","}}<{{.}}>{{end}}{{pad .Names 1 2}}{{truncate .ID 3}}'),
    ("images",), ("images", "--digests"), ("images", "-q", "--no-trunc"), ("images", "--format", "json"), ("images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}"), ("images", "busybox"),
    ("images", "--format", "table {{.ID}}\t{{.Repository}}"), ("image", "ls"), ("history", "busybox"), ("history", "--no-trunc", "-q", "busybox"), ("history", "--format", "json", "busybox"),
    ("history", "-H=false", "busybox"), ("volume", "ls"), ("volume", "ls", "-q"), ("volume", "ls", "--format", "json"), ("volume", "ls", "--format", 'table {{.Name}}\t{{.Label "kind"}}\t{{.Scope}}'),
    ("volume", "inspect", "same-data"), ("system", "df"), ("system", "df", "-v"), ("system", "df", "--format", "json"), ("system", "df", "--format", "{{.Type}}={{.TotalCount}}"),
    ("inspect", "same-up"), ("inspect", "-s", "same-over"), ("inspect", "busybox"), ("image", "inspect", "-f", "{{json .RepoTags}}", "busybox"), ("container", "inspect", "same-up"),
    ("inspect", "-f", "{{.State.Status}} {{.Config.Labels}} {{.Name}}", "same-up", "same-over"), ("inspect", "-f", "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}", "same-up"),
    ("inspect", "-f", '{{with .State}}{{printf "%d %s %5.2f|" .ExitCode .Status 1.5}}{{end}}{{len .Mounts}}{{index .Args 0}}{{join .Config.Cmd " "}}', "same-over"),
    ("inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Destination}}{{println}}{{end}}", "same-up"), ("inspect", "--type", "volume", "-f", "{{.Name}}", "same-data"),
    ("top", "same-up"), ("top", "same-up", "-o", "pid,args"), ("port", "same-up"), ("events", "--since", "1h", "--until", "0s", "--filter", "container=same-over"),
    ("events", "--since", "1h", "--until", "0s", "--filter", "container=same-over", "--format", "json"), ("version", "-f", "{{.Server.APIVersion}}"), ("info", "-f", "{{.OSType}}/{{.Containers}}"),
)

# The same exit code, and nothing on stdout: what is said has our own words.
REFUSED = (
    ("ps", "--nope"), ("ps", "extra"), ("ps", "--format", "{{.Nope}}"), ("ps", "--format", "{{"), ("ps", "-f", "nope"), ("ps", "-f", "nope=1"), ("inspect", "-f", "{{", "same-up"), ("run",),
    ("inspect",), ("logs",), ("psss",), ("container", "nope"), ("rm", "nope"), ("rm", "-f", "nope"), ("rmi", "nope"), ("image", "rm", "-f", "nope"), ("kill", "nope"), ("start", "nope"), ("wait", "nope"),
    ("stop",), ("pause", "same-over"), ("attach", "same-over"), ("exec", "same-over", "true"), ("volume", "rm", "same-data"), ("image", "inspect", "nope"), ("tag", "nope", "a"),
    ("history", "nope"), ("inspect", "--type", "nope", "same-up"), ("run", "--rm", "--nope", "busybox"), ("exec", "--nope", "same-up", "true"), ("help", "nope"), ("port", "nope"), ("system", "nope"),
    ("create", "-m", "1x", "busybox"), ("port", "same-up", "80"),
)


@unittest.skipUnless(CLIENT, "the one docker here is Debian's")
class NewestDocker(daemon.DaemonTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.denv = dict(cls.env, DOCKER_HOST="unix://" + cls.sock, DOCKER_CONFIG=os.path.join(cls.scratch, "docker"), DOCKER_CLI_HINTS="false")
        cls.denv.pop("COFFER_RUN")
        net = ("--network", "none")
        cls.coffer_("volume", "create", "--label", "kind=test", "same-data")
        cls.coffer_("run", "-d", "--name", "same-up", *net, *LABELS, "-v", "same-data:/data", "--tmpfs", "/t", "busybox", "sh", "-c", "while :; do sleep 100; done")
        cls.coffer_("run", "--name", "same-over", *net, "busybox", "sh", "-c", "exit 3", check=False)
        cls.coffer_("create", "--name", "same-created", *net, "-v", "/anonymous", "busybox", "echo", "a rather long command that no table shows as a whole")

    def both(self, args):
        r = subprocess.run([CLIENT, *args], env=self.denv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        return r, self.coffer(*args, check=False)

    def test_same_output(self):
        for args in SAME:
            with self.subTest(args=args):
                got = []

                def same():  # "4 seconds ago" may become 5 between the two, and docker's --until 0s is the second's beginning
                    got[:] = self.both(args)
                    if args[0] == "events" and args[-1] == "json":  # a map's members have docker's order there, and the engine's here
                        return [json.loads(line) for line in got[0].stdout.splitlines()] == [json.loads(line) for line in got[1].lines]
                    return got[0].stdout == got[1].out

                if not coffer.wait_until(same, 3, 0.3):
                    self.assertEqual(got[0].stdout, got[1].out)
                self.assertEqual(got[0].returncode, got[1].code)

    def test_same_refusals(self):
        for args in REFUSED:
            with self.subTest(args=args):
                theirs, ours = self.both(args)
                self.assertEqual((theirs.returncode, theirs.stdout), (ours.code, ours.out), f"{theirs.stderr}\n{ours.err}")
                self.assertTrue(ours.err.startswith("coffer: "), ours.err)

    def test_info_and_version_have_dockers_lines(self):
        for args in (("info",), ("version",)):
            theirs, ours = self.both(args)
            self.assertIn(args[0], DIFFERENT)
            mine = {line.strip() for line in ours.out.splitlines()}
            for line in theirs.stdout.split("Server:", 1)[1].splitlines():
                key, _, value = line.strip().partition(":")
                if value.strip() and key not in ("Runtimes", "API version") and "Go version" not in line:  # a map's order is Go's own
                    self.assertIn(re.sub(r"\s+", " ", line.strip()), {re.sub(r"\s+", " ", m) for m in mine}, args)


if __name__ == "__main__":
    coffer.main()
