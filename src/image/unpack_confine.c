/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confinement of the helper. The first stage is the host's root and sees no foreign byte: it makes a child in new namespaces, maps
 * the helpers' id range into it, hands over an idmapped clone of the target (so that ids on disk are 0-based, P3), and waits.
 *
 *	first stage (host root)                 child (own user, mount, pid, net, ipc, uts, cgroup namespace)
 *	clone3                          ->      waits
 *	uid_map, gid_map, idmapped tree ->      becomes its own root, attaches the tree, pivots into it
 *	waits for the end, or for the           closes all but the protocol socket and the archive, drops capabilities to
 *	engine to go away (then: kill)          five, no_new_privs, rlimits, seccomp: and only then reads the archive
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/helper_ids.h"
#include "base/str.h"
#include "image/unpack.h"
#include "kernel/compat.h"
#include "kernel/confine.h"
#include "kernel/helper.h"
#include "kernel/mount.h"
#include "kernel/process.h"

#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
#define CAP(c) (1ULL << (c))
#define KEEP_CAPS (CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_FOWNER) | CAP(CAP_FSETID) | CAP(CAP_SETFCAP))

static int write_map(pid_t pid, const char *file, struct err *err)
{
	char path[64], line[64];
	(void) str_format(path, sizeof(path), "/proc/%d/%s", (int) pid, file);
	(void) str_format(line, sizeof(line), "0 %u %u", HELPER_ID_FIRST, HELPER_ID_COUNT);
	int r = write_file(AT_FDCWD, path, line);
	return r < 0 ? err_sys(err, r, "unpacker: writing its %s", file) : 0;
}

/* The target as the child may have it. Return: mount fd. */
static int idmapped_target(pid_t pid, struct err *err)
{
	char path[64];
	(void) str_format(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
	_cleanup_close_ int ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return err_sys(err, -errno, "unpacker: opening its user namespace");
	_cleanup_close_ int m = mnt_clone(UNPACK_FD_TARGET, "", /* recursive= */ false);
	if (m < 0)
		return err_sys(err, m, "unpacker: cloning the target's mount");
	int r = mnt_propagation(m, MS_PRIVATE, /* recursive= */ false); /* pivot_root(2) takes no shared mount, and under systemd every one is */
	if (r >= 0)
		r = mnt_idmap(m, ns, /* recursive= */ false);
	if (r == -EINVAL || r == -EOPNOTSUPP)
		return err_set(err, ERR_UNSUPPORTED, "the filesystem of the state directory cannot be idmapped: put it on ext4, xfs or btrfs");
	if (r >= 0)
		r = mnt_attr(m, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW, 0, /* recursive= */ false);
	return r < 0 ? err_sys(err, r, "unpacker: idmapping the target") : take_fd(&m);
}

static int first_stage(const struct pidref *child, int sync, int *ret_exit, struct err *err)
{
	int r = write_map(child->pid, "uid_map", err);
	if (r >= 0)
		r = write_map(child->pid, "gid_map", err);
	_cleanup_close_ int m = r >= 0 ? idmapped_target(child->pid, err) : -EBADF;
	if (r >= 0)
		r = MIN(m, 0);
	if (r >= 0) {
		r = send_fds(sync, "m", 1, &m, 1);
		if (r < 0)
			r = err_sys(err, r, "unpacker: handing over the target");
	}
	if (r < 0) {
		(void) process_kill(child->fd, SIGKILL);
		(void) process_wait(child->pid, NULL);
		return r;
	}
	/* hold nothing that the child works on */
	(void) close(UNPACK_FD_TARGET);
	(void) close(UNPACK_FD_INPUT);
	*ret_exit = helper_mind(child, UNPACK_FD_SOCK);
	return 0;
}

static int set_limits(const struct unpack_budget *b, struct err *err)
{
	const struct helper_limit limits[] = {
		{RLIMIT_NOFILE, 64}, {RLIMIT_CORE, 1}, {RLIMIT_CPU, b->cpu_s}, {RLIMIT_FSIZE, b->bytes}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_MSGQUEUE, 0},
#ifndef BUILD_SANITIZED /* its shadow needs terabytes of address space */
		{RLIMIT_AS, b->memory},
#endif
	};
	int r = helper_limits(limits, ARRAY_LEN(limits));
	return r < 0 ? err_sys(err, r, "unpacker: setting its limits") : 0;
}

/* Make the tree the whole file system: attached over the old root of our own mount namespace, then pivoted into. */
static int enter_target(int tree, struct err *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, -errno, "unpacker: making its mounts private");
	int r = mnt_attach_at(tree, AT_FDCWD, "/proc"); /* any directory does, and this one is there */
	if (r >= 0)
		r = mnt_pivot(tree);
	if (r < 0)
		return err_sys(err, r, "unpacker: entering the target");
	char cwd[8];
	if (!getcwd(cwd, sizeof(cwd)) || strcmp(cwd, "/") != 0)
		return err_set(err, ERR_SYSTEM, "unpacker: the target did not become its root");
	return 0;
}

static int child_stage(const struct unpack_request *req, int sync, struct err *err)
{
	char c;
	int tree = -EBADF;
	size_t n = 1;
	ssize_t len = recv_fds(sync, &c, 1, &tree, &n);
	(void) close(sync);
	if (len != 1 || n != 1)
		return err_set(err, ERR_SYSTEM, "unpacker: no target came");
	(void) close(UNPACK_FD_TARGET); /* the host's own way to it */
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, -errno, "unpacker: becoming root of its namespace");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, -errno, "unpacker: prctl");
	(void) umask(0);
	int r = enter_target(tree, err);
	(void) close(tree);
	if (r < 0)
		return r;
	r = set_limits(&req->budget, err);
	if (r < 0)
		return r;
	r = helper_caps(KEEP_CAPS);
	if (r < 0)
		return err_sys(err, r, "unpacker: dropping capabilities");
	r = confine_keyring();
	if (r < 0 && r != -ENOSYS)
		return err_sys(err, r, "unpacker: making a session keyring");
	r = close_from(UNPACK_FD_INPUT + 1);
	return r < 0 ? err_sys(err, r, "unpacker: closing descriptors") : 0;
}

int unpack_confine(const struct unpack_request *req, int *ret_exit, struct err *err)
{
	int sync[2];
	struct pidref child;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) < 0)
		return err_sys(err, -errno, "unpacker: socketpair");
	pid_t pid = process_clone(NAMESPACES, -EBADF, &child);
	if (pid < 0) {
		(void) close(sync[0]);
		(void) close(sync[1]);
		return err_sys(err, pid, "unpacker: making its namespaces");
	}
	(void) close(sync[pid == 0 ? 0 : 1]);
	if (pid == 0) {
		*ret_exit = -1;
		return child_stage(req, sync[1], err);
	}
	int r = first_stage(&child, sync[0], ret_exit, err);
	(void) close(sync[0]);
	return r < 0 ? r : 1;
}
