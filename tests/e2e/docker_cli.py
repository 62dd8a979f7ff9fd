# SPDX-License-Identifier: Apache-2.0
"""The stock docker CLI for tests: programs, environment, and how they are run against a class's cofferd."""

import os
import shutil
import subprocess
import time
import unittest

import coffer
import daemon

DEBIAN = "/usr/bin/docker"
STAYS = "trap 'exit 3' TERM INT; while :; do sleep 0.05; done"


def newest():
    """The first docker on PATH, unless it is Debian's."""
    path = shutil.which("docker")
    return path if path and os.path.realpath(path) != os.path.realpath(DEBIAN) else None


class DockerTest(daemon.DaemonTest):
    """A docker program and a daemon. @client: the program; a class without one is skipped."""

    client = None

    @classmethod
    def setUpClass(cls):
        if cls.client is None or not os.path.exists(cls.client):
            raise unittest.SkipTest("no such docker here")
        super().setUpClass()
        cls.denv = dict(cls.env, DOCKER_HOST="unix://" + cls.sock, DOCKER_CONFIG=os.path.join(cls.scratch, "docker"), DOCKER_CLI_HINTS="false")
        cls.denv.pop("COFFER_RUN")  # so that the client is no "process of ours"

    def docker(self, *args, check=True, input=None, timeout=60, env=None):
        stdin = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        start = time.monotonic()
        p = subprocess.run([self.client, *map(str, args)], env=dict(self.denv, **(env or {})), capture_output=True, timeout=timeout, **stdin)
        r = coffer.Result(list(map(str, args)), p.returncode, p.stdout.decode(errors="surrogateescape"), p.stderr.decode(errors="surrogateescape"), time.monotonic() - start)
        r.bytes = p.stdout
        if check and r.code != 0:
            raise AssertionError(str(r).replace("$ coffer", "$ docker", 1))
        return r

    def background(self, *args, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen([self.client, *map(str, args)], env=self.denv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
        self.addCleanup(self.reap, p)
        return p

    @staticmethod
    def reap(p):
        if p.poll() is None:
            p.kill()
        p.wait()
        for stream in (p.stdin, p.stdout, p.stderr):
            if stream:
                stream.close()

    def term(self, *args, rows=24, cols=80):
        t = coffer.Tty([self.client, *map(str, args)], self.denv, rows, cols)
        self.addCleanup(t.close)
        return t

    def up(self, *flags, script=STAYS, name=None):
        """A detached container. Return: its name."""
        name = name or self.unique("up")
        self.docker("run", "-d", "--name", name, "--network", "none", *flags, "busybox", "sh", "-c", script)
        self.addCleanup(self.docker, "rm", "-f", name, check=False)
        return name

    def field(self, ref, template):
        return self.docker("inspect", "-f", template, ref).word

    def api_minor(self):
        """Of the version that this client speaks."""
        return int(self.docker("version", "-f", "{{.Client.APIVersion}}").word.split(".")[1])

    def running(self, name):
        return self.docker("ps", "-q", "--filter", f"name=^/{name}$").word != ""
