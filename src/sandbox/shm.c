/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sharing /dev/shm between containers that share an IPC namespace. A mount can be cloned in its own mount namespace only (fs/namespace.c), so a
 * child of the creator goes there for as long as that takes and sends the clone home. The superblock, and with it the memory, lives as
 * long as the last container that has it mounted (CVE-2024-3056): nothing is ever attached on the host.
 */
#include "sandbox/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/report.h"
#include "kernel/mount.h"
#include "kernel/path.h"
#include "kernel/process.h"

/* In that namespace, whose files are the other container's: no link is followed, and what is cloned must be a tmpfs by its root. */
static int clone_there(int ns_fd, struct err *err)
{
	struct statx st;
	if (setns(ns_fd, CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "joining the mount namespace");
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int shm = root < 0 ? -errno : open_beneath_nosymlink(root, "dev/shm", O_PATH | O_DIRECTORY, 0);
	bool is_mount = shm >= 0 && statx(shm, "", AT_EMPTY_PATH, STATX_TYPE, &st) == 0 && st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	if (!is_mount || fd_is_on(shm, TMPFS_MAGIC) != 1)
		return err_set(err, ERR_CONFLICT, "it has no tmpfs there");
	int mnt = mnt_clone(shm, "", false);
	return mnt < 0 ? err_sys(err, mnt, "cloning it") : mnt;
}

static _Noreturn void child(int sock, int ns_fd)
{
	struct report r = {.kind = REPORT_READY};
	int mnt = clone_there(ns_fd, &r.err);
	if (mnt < 0)
		r.kind = REPORT_FAILED;
	_exit(report_send(sock, &r, mnt) < 0);
}

int shm_clone(int ns_fd, struct err *err)
{
	struct report r;
	int pair[2], status, mnt = -EBADF;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "socketpair");
	_cleanup_close_ int ours = pair[0], theirs = pair[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, -errno, "fork");
	if (pid == 0)
		child(theirs, ns_fd);
	theirs = safe_close(theirs);
	int n = report_recv(ours, &r, &mnt);
	(void) process_wait(pid, &status); /* what it had to say came as a report */
	if (n <= 0)
		return err_sys(err, n < 0 ? n : -ECHILD, "cloning the other container's /dev/shm");
	if (r.kind == REPORT_FAILED) {
		*err = r.err;
		return err_wrap(err, "the other container's /dev/shm");
	}
	return mnt < 0 ? err_set(err, ERR_SYSTEM, "the other container's /dev/shm did not come along") : mnt;
}
