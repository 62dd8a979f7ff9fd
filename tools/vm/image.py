# SPDX-License-Identifier: Apache-2.0
"""The machine's disk: Debian with systemd and the cloud kernel, made once and kept by the hash of its recipe.

image() gives the directory of a finished image: disk.img (raw ext4, no partitions), vmlinuz, packages.txt. It lies in
COFFER_VM_CACHE (/var/cache/coffer-vm) and is never written to afterwards; machine.py boots it with a throw-away
overlay. Making it needs root, mmdebstrap and mke2fs, and takes about two minutes; the packages come from wherever this
host's own apt takes them. The kernel has NVMe and ext4 built in, so that no initrd is needed.

What changes often (the agent, the tests, the programs) is not in here but on the second disk, see machine.py.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

CACHE = os.environ.get("COFFER_VM_CACHE", "/var/cache/coffer-vm")
POLICY = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "share", "selinux", "coffer.cil")  # Debian's has no types for containers
RELEASE = "bookworm"
KEEP_DAYS = 14

PACKAGES = {
    "system": "systemd systemd-sysv dbus dbus-user-session libpam-systemd udev kmod linux-image-cloud-amd64 procps iproute2 util-linux",
    "security": "apparmor apparmor-utils selinux-policy-default policycoreutils selinux-utils semodule-utils checkpolicy attr acl libcap2-bin keyutils",
    "tests": "python3 busybox-static strace zstd xz-utils skopeo umoci uidmap ca-certificates gdb less curl iperf3 socat iputils-ping bind9-dnsutils",
    "libraries": "libcmocka0 libseccomp2 libjansson4 libisal2 libzstd1 libsqlite3-0 libssl3 zlib1g libhttp-parser2.9 libcurl4",
    "peers": "containerd runc crun podman conmon slirp4netns fuse-overlayfs iptables nftables",
}

FILES = {
    "/etc/hostname": "coffer-vm\n",
    "/etc/hosts": "127.0.0.1 localhost coffer-vm\n",
    "/etc/fstab": "",
    # the second disk brings the agent: a new agent needs no new image
    "/etc/systemd/system/coffer-vm.service": """[Unit]
Description=Runs the command of the second disk and reports on ttyS1
After=basic.target dbus.service systemd-logind.service apparmor.service systemd-user-sessions.service
Wants=dbus.service systemd-logind.service
[Service]
ExecStartPre=/bin/mount -o exec,suid,dev /dev/nvme1n1 /vm
ExecStart=/usr/bin/python3 -B /vm/agent.py
Environment=HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
StandardInput=null
TasksMax=infinity
LimitNOFILE=524288
OOMPolicy=continue
[Install]
WantedBy=multi-user.target
""",
    # nothing is kept, nothing waits
    "/etc/systemd/journald.conf.d/vm.conf": "[Journal]\nStorage=volatile\nRateLimitBurst=0\n",
    "/etc/systemd/system.conf.d/vm.conf": "[Manager]\nDefaultTimeoutStartSec=300s\nDefaultDeviceTimeoutSec=300s\n",
    "/etc/subuid": "tester:100000:65536\n",
    "/etc/subgid": "tester:100000:65536\n",
}

MASKED = ("serial-getty@ttyS0.service getty@tty1.service systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service "
          "fstrim.timer dpkg-db-backup.timer systemd-binfmt.service systemd-update-utmp.service systemd-pstore.service "
          "containerd.service podman.service podman.socket podman-auto-update.timer podman-restart.service selinux-autorelabel-mark.service systemd-networkd-wait-online.service")

# What is run inside the new root, in order. The labels are for the SELinux boot; the other boots do not look at them.
SCRIPT = """
set -eu
useradd -m -u 1000 -s /bin/bash tester
mkdir -p /var/lib/systemd/linger /vm
touch /var/lib/systemd/linger/tester
systemctl -q enable coffer-vm.service
systemctl -q mask @MASKED@
systemctl -q set-default multi-user.target
rm -f /etc/machine-id /var/lib/dbus/machine-id
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
semodule -n -N -s default -X 400 -i /root/coffer.cil
setfiles -F -q -e /proc -e /sys -e /dev /etc/selinux/default/contexts/files/file_contexts /
""".replace("@MASKED@", MASKED)

SIZE = "6G"  # sparse


def recipe():
    """What makes one image another: every word of it."""
    words = hashlib.sha256()
    for path in (__file__, POLICY):
        with open(path, "rb") as f:
            words.update(f.read())
    return words.hexdigest()[:16]


def say(text):
    print(f"vm: {text}", file=sys.stderr, flush=True)


def must(*argv, **kw):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if p.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)[:200]}: exit {p.returncode}\n" + "\n".join(p.stdout.splitlines()[-30:]))
    return p.stdout


def sources():
    """Lines for apt: the places where this host gets RELEASE from, all of its pockets."""
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    form = f"deb [signed-by={key}] $(REPO_URI) $(CODENAME) $(COMPONENT)"
    lines = {line for line in must("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines() if line.split()[3].split("-")[0] == RELEASE}
    if not lines:
        raise RuntimeError(f"apt on this host knows no source of {RELEASE}: the VM lane needs one")
    return "\n".join(sorted(lines)) + "\n"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def build(target):
    """Make the image in @target, a directory that exists and is empty."""
    root = os.path.join(target, "root")
    listing = os.path.join(target, "sources.list")
    write(listing, sources())
    packages = sorted(set(" ".join(PACKAGES.values()).split()))
    drop = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"]
    must("mmdebstrap", "--mode=root", "--variant=minbase", "--include=" + ",".join(packages), '--aptopt=APT::Install-Recommends "false"', "--dpkgopt=force-unsafe-io",
         *(f"--dpkgopt=path-exclude={d}" for d in drop), RELEASE, root, listing, cwd="/", env=dict(os.environ, LC_ALL="C.UTF-8", DEBIAN_FRONTEND="noninteractive"))
    for path, text in FILES.items():
        write(root + path, text)
    shutil.copyfile(POLICY, root + "/root/coffer.cil")
    # libselinux reaches files by /proc/self/fd: the mount lives in the namespace of this one command
    must("unshare", "-m", "--propagation", "private", "sh", "-ec", 'mount -t proc proc "$0/proc"; exec chroot "$0" /bin/sh -c "$1"', root, SCRIPT, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
    write(os.path.join(target, "packages.txt"), must("chroot", root, "dpkg-query", "-W"))
    kernel = sorted(glob.glob(root + "/boot/vmlinuz-*"))[-1]
    shutil.copyfile(kernel, os.path.join(target, "vmlinuz"))
    for extra in glob.glob(root + "/boot/initrd*"):
        os.unlink(extra)
    disk = os.path.join(target, "disk.img")
    must("truncate", "-s", SIZE, disk)
    must("mke2fs", "-q", "-F", "-t", "ext4", "-L", "coffer-vm", "-E", "root_owner=0:0,lazy_itable_init=1,nodiscard", "-d", root, disk)
    shutil.rmtree(root)


@contextlib.contextmanager
def lock(path):
    with open(path, "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def forget_old(keep):
    """Remove images that nobody has booted for KEEP_DAYS, and what an interrupted build left."""
    for path in glob.glob(os.path.join(CACHE, "*", "")):
        name = os.path.basename(os.path.dirname(path))
        used = os.path.join(path, "used")
        stale = name.startswith("new.") or (os.path.exists(used) and time.time() - os.stat(used).st_mtime > KEEP_DAYS * 86400)
        if name != keep and stale:
            shutil.rmtree(path, ignore_errors=True)


def image(rebuild=False):
    """The directory of the image, made first when it is not there. @rebuild: made anew with today's packages."""
    name = recipe()
    final = os.path.join(CACHE, name)
    os.makedirs(CACHE, exist_ok=True)
    with lock(os.path.join(CACHE, "lock")):
        if rebuild and os.path.isdir(final):
            shutil.rmtree(final)
        if not os.path.isdir(final):
            if os.geteuid() != 0:
                raise RuntimeError("making the machine's image needs root")
            start = time.monotonic()
            say(f"making the image {final} (about two minutes, once) ...")
            forget_old(name)
            new = tempfile.mkdtemp(prefix="new.", dir=CACHE)
            try:
                os.chmod(new, 0o755)
                build(new)
                write(os.path.join(new, "used"), "")
                os.rename(new, final)
            finally:
                shutil.rmtree(new, ignore_errors=True)
            say(f"made in {time.monotonic() - start:.0f} s")
    os.utime(os.path.join(final, "used"))
    return final
