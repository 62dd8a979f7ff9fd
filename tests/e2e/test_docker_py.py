# SPDX-License-Identifier: Apache-2.0
"""docker-py, Debian's python3-docker, unchanged against cofferd.

Its scripts run by Debian's own interpreter, which has the package, and print what they saw as JSON.
"""

import json
import subprocess
import textwrap

import coffer
import daemon

PYTHON = "/usr/bin/python3"
HEAD = """
import json, docker
c = docker.DockerClient(base_url=BASE, timeout=30)
def show(v): print(json.dumps(v))
"""


class DockerPy(daemon.DaemonTest):
    def script(self, text):
        """Run @text with a client `c`. Return: the values that it showed."""
        source = f"BASE = 'unix://{self.sock}'\n" + HEAD + textwrap.dedent(text)
        env = {"PATH": self.env["PATH"], "HOME": self.scratch, "LANG": "C.UTF-8"}
        p = subprocess.run([PYTHON, "-c", source], env=env, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        return [json.loads(line) for line in p.stdout.splitlines()]

    def test_version_and_ping(self):
        self.assertEqual(self.script("show(c.version()['ApiVersion']); show(c.ping()); show(c.info()['Swarm']['LocalNodeState'])"), ["1.50", True, "inactive"])

    def test_run(self):
        got = self.script("""
            show(c.containers.run('busybox', 'echo hi', remove=True, network_mode='none').decode())
            try:
                c.containers.run('busybox', ['sh', '-c', 'echo bad >&2; exit 4'], remove=True, network_mode='none')
            except docker.errors.ContainerError as e:
                show([e.exit_status, e.stderr.decode()])
            try:
                c.containers.run('127.0.0.1:1/no-such:1', network_mode='none')  # nobody listens there
            except docker.errors.APIError as e:
                show(e.status_code)
            show(c.containers.list(all=True) == [])""")
        self.assertEqual(got, ["hi\n", [4, "bad\n"], 500, True])

    def test_exec_loses_no_output(self):
        """Its reader may swallow what comes in one read with the answer's head (docker-py 3332): a fast engine waits until it has read that."""
        got = self.script("""
            k = c.containers.run('busybox', 'sleep 60', detach=True, network_mode='none')
            rs = [k.exec_run('echo quick') for _ in range(20)]
            show([[r.exit_code, r.output.decode()] for r in rs])
            code, (out, err) = k.exec_run(['sh', '-c', 'echo out; echo err >&2; exit 3'], demux=True)
            show([code, out.decode(), err.decode()])
            k.remove(force=True)""")
        self.assertEqual(got, [[[0, "quick\n"]] * 20, [3, "out\n", "err\n"]])

    def test_life(self):
        got = self.script("""
            k = c.containers.run('busybox', ['sh', '-c', 'trap "exit 6" TERM; echo start; while :; do sleep 0.05; done'], detach=True, network_mode='none', labels={'a': 'b'}, name='one')
            k.reload(); show(k.status)
            show([x.name for x in c.containers.list(filters={'label': ['a=b']})])
            show(next(k.logs(stream=True, follow=True)).decode())
            k.pause(); k.reload(); show(k.status); k.unpause()
            k.rename('two'); show(c.containers.get('two').id == k.id)
            show(k.top()['Titles'][1])
            k.update(mem_limit='64m', memswap_limit='64m'); k.reload(); show(k.attrs['HostConfig']['Memory'])
            k.stop(timeout=5); show(k.wait()['StatusCode'])
            k.start(); k.restart(timeout=5); k.reload(); show(k.status)
            k.kill(); k.remove()
            show([e['Action'] for e in c.events(decode=True, since=1, until=__import__('time').time(), filters={'container': k.id})][-3:])
            show(len(c.containers.prune()['ContainersDeleted']))""")
        self.assertEqual(got, ["running", ["one"], "start\n", "paused", True, "PID", 64 << 20, 6, "running", ["kill", "die", "destroy"], 0])

    def test_images_and_volumes(self):
        got = self.script("""
            i = c.images.get('busybox'); show(i.tags)
            show(i.tag('other', '1')); c.images.remove('other:1')
            show([v.name for v in [c.volumes.create('pv')] + c.volumes.list(filters={'name': 'pv'})])
            show(c.containers.run('busybox', ['sh', '-c', 'echo x >/v/f; cat /v/f'], volumes={'pv': {'bind': '/v', 'mode': 'rw'}}, remove=True, network_mode='none').decode())
            c.volumes.get('pv').remove(); show(c.volumes.list())""")
        self.assertEqual(got, [["busybox:latest"], True, ["pv", "pv"], "x\n", []])


if __name__ == "__main__":
    coffer.main()
