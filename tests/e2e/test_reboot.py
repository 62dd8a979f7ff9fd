# SPDX-License-Identifier: Apache-2.0
"""Restart policies over a reboot of the machine under a real systemd, in the VM lane: what runs before, and what is up after.

The module runs twice on one machine (docs/vm.md): the first time it starts containers and asks for the reboot, the second time it looks.
"""

import json
import os
import unittest

import coffer
import images
import test_daemon_systemd as units

HOST = False
VM = "reboot"
BOOT = os.environ.get("COFFER_VM_BOOT")
NOTES = "/var/lib/coffer-test.json"
SAVES = "echo up >>/ups; trap 'sleep 1; echo saved >>/ups; exit 0' TERM; while :; do sleep 0.2; done"  # it needs its time
STAYS = "echo up >>/ups; while :; do sleep 0.2; done"  # a pid 1 without a trap: what systemd sends everybody at the end does not end it
# name: (policy, whether it is stopped by hand before, whether it is up again)
FATES = {
    "always": ("always", False, True),
    "always-stopped": ("always", True, True),
    "unless": ("unless-stopped", False, True),
    "unless-stopped": ("unless-stopped", True, False),
    "failure": ("on-failure", False, True),
    "none": ("no", False, False),
    "saves": ("unless-stopped", False, True),
}


def run(*args, check=True):
    return units.sh(os.path.join(units.BIN, "coffer"), *args, check=check).stdout


def field(name, template):
    return run("inspect", "-f", template, name).strip()


class Reboot(unittest.TestCase):
    def test_reboot(self):
        self.after() if BOOT == "2" else self.before()

    def before(self):
        units.install()
        units.sh("systemctl", "enable", "--now", "cofferd.socket", "cofferd.service", "coffer-containers.service")
        run("load", "-i", images.starter("busybox"))
        for name, (policy, stopped, _) in FATES.items():
            run("run", "-d", "--name", name, "--network", "none", "--restart", policy, "--health-cmd", "true", "--health-interval", "1s", "--stop-timeout", "60" if name == "saves" else "1", "busybox", "sh", "-c", SAVES if name == "saves" else STAYS)
            if stopped:
                run("stop", "-t", "0", name)
        notes = {name: {"ids": field(name, "{{json .IdMappings}}"), "boot": coffer.read_text("/proc/sys/kernel/random/boot_id")} for name in FATES}
        with open(NOTES, "w") as f:
            json.dump(notes, f)
        with open("/vm/reboot", "w"):
            pass

    def after(self):
        with open(NOTES) as f:
            notes = json.load(f)
        self.assertNotEqual(coffer.read_text("/proc/sys/kernel/random/boot_id"), notes["always"]["boot"], "this is no other boot")
        up = {name for name, (_, _, again) in FATES.items() if again}
        # nobody has asked the daemon for anything yet: systemd has started it
        self.assertTrue(coffer.wait_until(lambda: units.sh("systemctl", "is-active", "cofferd.service", check=False).stdout == "active\n", 60, 0.5), units.journal())
        self.assertTrue(coffer.wait_until(lambda: set(run("ps", "--format", "{{.Names}}").split()) == up, 60, 0.5), run("ps", "-a") + units.journal())
        for name, (policy, stopped, again) in FATES.items():
            self.assertEqual(field(name, "{{json .IdMappings}}"), notes[name]["ids"], f"{name} has moved to other ids")
            if again:
                self.assertEqual(run("exec", name, "cat", "/ups"), "up\nsaved\nup\n" if name == "saves" else "up\nup\n", "its own files are there")
                self.assertTrue(coffer.wait_until(lambda name=name: field(name, "{{.State.Health.Status}}") == "healthy", 30, 0.5))
            elif not stopped:
                self.assertEqual(field(name, "{{.State.Status}} {{.State.ExitCode}}"), "exited 137")
        run("rm", "-f", *FATES)


if __name__ == "__main__":
    coffer.main()
