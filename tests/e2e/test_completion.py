# SPDX-License-Identifier: Apache-2.0
"""Completion through real shells, and the manual pages: both are made while building from the tables of commands and flags.

Every command and every flag that `--help` shows must be offered and must have its place in a page.
"""

import glob
import os
import re
import subprocess
import unittest

import coffer
import daemon

COMPLETE = "__complete"


def docs():
    return [os.path.join(coffer.Stage.get().build, "src/cmd/coffer-docs", d) for d in ("docs", "oci-docs")]


def script(name):
    return os.path.join(docs()[0], name)


def help_flags(text):
    """The long names below "Options:" of a help text."""
    options = text.split("\nOptions:\n", 1)[-1].split("\n\n", 1)[0] if "\nOptions:\n" in text else ""
    return set(re.findall(r"^ +(?:-\w, )?--([a-z0-9-]+)", options, re.M))


class Completion(daemon.DaemonTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["PATH"] = os.path.dirname(cls.stage.coffer) + ":" + cls.env["PATH"]
        cls.coffer_("volume", "create", "comp-volume")
        cls.coffer_("create", "--name", "comp-created", "--network", "none", "busybox", "true")
        cls.coffer_("run", "-d", "--name", "comp-up", "--network", "none", "busybox", "sleep", "1000")

    def offered(self, *words):
        """(candidates, hints) for the words behind "coffer"."""
        *lines, last = self.coffer(COMPLETE, *words).lines
        self.assertRegex(last, r"^:\d+$")
        return [line.split("\t")[0] for line in lines], int(last[1:])

    def commands(self):
        names, _ = self.offered("")
        families = [n for n in names if "Usage:  coffer " + n + " COMMAND" in self.coffer(n, "--help").out]
        own = [[n] for n in names if n not in families and n != "help"]
        self.assertIn("Management commands:", self.coffer("help", "--help").out)
        return own + [[f, n] for f in families for n in self.offered(f, "")[0]]

    # -- what is offered ----------------------------------------------------------------------------------------

    def test_every_command_has_a_help_with_an_example_and_offers_its_flags(self):
        commands = self.commands()
        self.assertGreater(len(commands), 60)
        for words in commands:
            with self.subTest(command=words):
                r = self.coffer(*words, "--help")
                self.assertTrue(r.out.startswith("Usage:  coffer "), r)
                self.assertRegex(r.out, r"\nExamples:\n  .*\bcoffer ")
                self.assertEqual({f"--{f}" for f in help_flags(r.out)} | {"--help"}, set(self.offered(*words, "--")[0]))

    def test_names_by_what_a_command_can_use(self):
        for words, want in (
            (("start", ""), ["comp-created"]), (("stop", ""), ["comp-up"]), (("exec", "comp"), ["comp-up"]), (("rm", "comp-c"), ["comp-created"]), (("volume", "rm", ""), ["comp-volume"]),
            (("rmi", ""), ["busybox:latest"]), (("run", "--rm", "-e", "A=1", "busy"), ["busybox:latest"]), (("container", "rm", "-f", "comp-u"), ["comp-up"]), (("rename", "comp-up", ""), []),
            (("inspect", "comp-"), ["comp-created", "comp-up", "comp-volume"]), (("rm", "comp-up", "comp-c"), ["comp-created"]), (("tag", ""), ["busybox:latest"]),
            (("run", "--volumes-from", "comp-c"), ["comp-created"]), (("--debug", "stop", ""), ["comp-up"]), (("run", "-v", "comp"), ["comp-volume"]), (("nosuch", ""), []),
        ):
            with self.subTest(words=words):
                self.assertEqual(sorted(self.offered(*words)[0]), sorted(want))

    def test_values_of_flags(self):
        for words, want in ((("kill", "-s", "HU"), "HUP"), (("kill", "--signal=HU"), "--signal=HUP"), (("run", "--cap-add", "NET_A"), "NET_ADMIN"), (("run", "--network", ""), "none"),
                            (("ps", "--filter", "stat"), "status="), (("ps", "--format", ""), "json"), (("run", "--restart", "unl"), "unless-stopped"), (("run", "--runtime", "cr"), "crun")):
            with self.subTest(words=words):
                self.assertIn(want, self.offered(*words)[0])

    def test_hints(self):
        self.assertEqual(self.offered("load", "-i", ""), ([], 2))
        self.assertEqual(self.offered("run", "--env-file", ""), ([], 2))
        self.assertEqual(self.offered("ps", "-f", "")[1], 1)
        self.assertEqual(self.offered("run", "busybox", ""), ([], 0))  # another program's words
        self.assertEqual(self.offered("run", "busybox", "-")[0], [])

    def test_no_engine_is_no_error(self):
        r = self.coffer("--host", "unix:///nonexistent/s", COMPLETE, "stop", "")
        self.assertEqual((r.out, r.err), (":0\n", ""))
        self.assertEqual(self.offered("--host", "unix:///nonexistent/s", "stop", "")[0], [])

    # -- the shells ---------------------------------------------------------------------------------------------

    def run_shell(self, *argv):
        r = subprocess.run(argv, capture_output=True, text=True, env=self.env, timeout=60, stdin=subprocess.DEVNULL, cwd=self.scratch)
        self.assertEqual(r.stderr, "", r)
        return r.stdout.splitlines()

    def bash(self, *words):
        quoted = " ".join(f"'{w}'" for w in words)
        return self.run_shell("bash", "--norc", "-c", f"source {script('bash-completion/completions/coffer')}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _coffer; printf '%s\\n' \"${{COMPREPLY[@]}}\"")

    def test_bash(self):
        for words, want in (
            (("coffer", "pos"), ["posture"]), (("coffer", "volume", "rm", "comp"), ["comp-volume"]), (("coffer", "stop", ""), ["comp-up"]), (("coffer", "run", "--rea"), ["--read-only"]),
            (("coffer", "rmi", "busybox", ":", "la"), ["latest"]), (("coffer", "rmi", "busybox", ":"), ["latest"]), (("coffer", "kill", "--signal", "=", "HU"), ["HUP"]),
            (("coffer", "kill", "--signal", "="), None), (("coffer", "run", "-e", "A", "=", "1", "busy"), ["busybox:latest"]), (("coffer", "nosuch", ""), [""]),
        ):
            with self.subTest(words=words):
                got = self.bash(*words)
                if want is None:
                    self.assertIn("HUP", got)
                else:
                    self.assertEqual(got, want)

    def test_bash_offers_files(self):
        with open(os.path.join(self.scratch, "an archive.tar"), "w"):
            pass
        self.assertEqual(self.bash("coffer", "load", "-i", "an"), ["an archive.tar"])

    def test_bash_at_a_terminal(self):
        t = self.shell_tty("bash", "--norc", "-i")
        t.line(f"source {script('bash-completion/completions/coffer')}; PS1='rea''dy> '")
        t.expect("ready> ")
        t.send("coffer inspect -f '{{.Name}}' comp-u\t")
        t.expect("comp-up ")
        t.send("\r")
        t.expect("/comp-up")
        t.line("exit")
        t.wait()

    def test_zsh(self):
        path = script("zsh/site-functions/_coffer")
        self.run_shell("zsh", "-n", path)
        stub = "compdef() { }; _describe() { print -rl -- ${(P)4} }; _files() { print files }"

        def ask(line, current):
            return self.run_shell("zsh", "-fc", f"{stub}; source {path}; words=({line}); CURRENT={current}; _coffer; true")

        self.assertTrue(any(line.startswith("posture:") for line in ask("coffer pos", 2)), ask("coffer pos", 2))
        self.assertEqual([line.split(":")[0] for line in ask("coffer stop ''", 3)], ["comp-up"])
        self.assertEqual(ask("coffer rmi bu", 3), [r"busybox\:latest"])
        self.assertEqual(ask("coffer load -i ''", 4), ["files"])

    def test_fish(self):
        path = script("fish/vendor_completions.d/coffer.fish")
        self.run_shell("fish", "-n", path)

        def ask(line):
            return [out.split("\t")[0] for out in self.run_shell("fish", "--no-config", "-c", f"source {path}; complete -C '{line}'")]

        self.assertEqual(ask("coffer pos"), ["posture"])
        self.assertEqual(ask("coffer stop "), ["comp-up"])
        self.assertEqual(ask("coffer rmi bu"), ["busybox:latest"])
        self.assertIn("--read-only", ask("coffer run --rea"))

    def test_the_command_prints_what_is_installed(self):
        for shell, path in (("bash", "bash-completion/completions/coffer"), ("zsh", "zsh/site-functions/_coffer"), ("fish", "fish/vendor_completions.d/coffer.fish")):
            self.assertEqual(self.coffer("completion", shell).out, coffer.read_text(script(path)))
        self.assertEqual(self.coffer("completion", "tcsh", check=False).code, 1)

    # -- the manual ---------------------------------------------------------------------------------------------

    def test_every_command_has_a_page_with_every_flag(self):
        for words in self.commands():
            with self.subTest(command=words):
                path = os.path.join(docs()[0], "man/man1", "-".join(["coffer", *words]) + ".1")
                text = coffer.read_text(path).replace("\\-", "-")
                for flag in help_flags(self.coffer(*words, "--help").out):
                    self.assertIn(f"--{flag}\\fR", text)
                self.assertIn("EXAMPLES", text)


class Manual(unittest.TestCase):
    def pages(self):
        found = [p for d in docs() for p in glob.glob(os.path.join(d, "man/man?/*.?"))]
        self.assertGreater(len(found), 60)
        for name in ("man1/coffer.1", "man1/coffer-run.1", "man8/cofferd.8", "man8/coffer-oci.8", "man5/coffer-daemon.json.5"):
            self.assertTrue(any(p.endswith("/" + name) for p in found), name)
        return sorted(found)

    def test_lint(self):
        """mandoc and groff have nothing to say."""
        pages = self.pages()
        r = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages], capture_output=True, text=True, timeout=120)
        self.assertEqual((r.returncode, r.stdout, r.stderr), (0, "", ""))
        for page in [p for p in pages if not os.path.islink(p)]:
            r = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], capture_output=True, text=True, timeout=60, env=dict(os.environ, LC_ALL="C.UTF-8"))
            self.assertEqual((r.returncode, r.stderr), (0, ""), page)

    def test_programs_flags_and_keys(self):
        stage = coffer.Stage.get()
        out = subprocess.run([stage.cofferd, "--help"], capture_output=True, text=True).stdout
        text = coffer.read_text(os.path.join(docs()[0], "man/man8/cofferd.8")).replace("\\-", "-")
        self.assertGreater(len(help_flags(out)), 8)
        for flag in help_flags(out):
            self.assertIn(f"--{flag}\\fR", text)
        keys = coffer.read_text(os.path.join(docs()[0], "man/man5/coffer-daemon.json.5")).replace("\\-", "-")
        known = subprocess.run([stage.cofferd, "--validate", "--config-file", "/dev/stdin"], input='{"nosuch": 1}', capture_output=True, text=True).stderr.split("known are ", 1)[1].strip().split(", ")
        self.assertGreater(len(known), 10)
        for key in known:
            self.assertIn(f".TP\n\\fB{key}: ", keys)


if __name__ == "__main__":
    coffer.main()
