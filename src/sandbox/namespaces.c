/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces that are not simply made by clone3: those joined by path, and time. All paths are opened on the host side before
 * anything is joined; then the creator joins them with host privilege, the user namespace last, because that costs it its
 * capabilities over the others. It never comes back: only a forked creator takes these steps. The mount namespace is joined by init,
 * so that the creator keeps the host's /proc.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"
#include "kernel/path.h"
#include "kernel/process.h"
#include "sandbox/internal.h"

#define NSFS_MAGIC_ 0x6e736673 /* linux/magic.h NSFS_MAGIC */

static const struct {
	const char *name, *file; /* in the document; below /proc/self/ns */
	int flag;
} kinds[NS_KIND_MAX_] = {
	[NS_USER] = {"user", "user", CLONE_NEWUSER}, [NS_MOUNT] = {"mount", "mnt", CLONE_NEWNS}, [NS_PID] = {"pid", "pid", CLONE_NEWPID},
	[NS_NET] = {"network", "net", CLONE_NEWNET}, [NS_IPC] = {"ipc", "ipc", CLONE_NEWIPC},    [NS_UTS] = {"uts", "uts", CLONE_NEWUTS},
	[NS_CGROUP] = {"cgroup", "cgroup", CLONE_NEWCGROUP}, [NS_TIME] = {"time", "time", CLONE_NEWTIME},
};

static bool is_own(int fd, const char *file)
{
	char path[32];
	struct stat theirs, ours;
	(void) str_format(path, sizeof(path), "/proc/self/ns/%s", file);
	return fstat(fd, &theirs) == 0 && stat(path, &ours) == 0 && theirs.st_ino == ours.st_ino;
}

/* A container in the mount namespace of its caller, as a document may have it. Its root is built in a namespace for that alone, cloned detached, and
 * entered by chroot (rootfs_enter()): nothing of it is ever in the caller's mount table. */
static int caller_mounts(struct sandbox *s, struct err *err)
{
	if (s->spec->ns[NS_USER].mode != NS_MODE_HOST || s->rootless || s->nested)
		return err_set(err, ERR_UNSUPPORTED, "linux.namespaces: only the host's root can do without a mount namespace of the container's own");
	s->ns_fds[NS_MOUNT] = safe_close(s->ns_fds[NS_MOUNT]);
	s->plan.clone_flags |= CLONE_NEWNS;
	s->caller_mnt_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	return s->caller_mnt_fd < 0 ? err_sys(err, -errno, "opening the mount namespace") : 0;
}

/* A pid names a process only as long as that lives: what was opened by it belongs to the one that was meant if that is still there now. */
static int check_joins(const struct sandbox *s, struct err *err)
{
	for (size_t i = 0; i < s->ext->n_joins; i++) {
		const struct join_spec *j = &s->ext->joins[i];
		if (!proc_is((pid_t) j->pid, j->start_ticks))
			return err_set(err, ERR_CONFLICT, "container %s, whose namespaces are to be joined, has ended", j->name);
	}
	return 0;
}

static int open_shm_ns(struct sandbox *s, struct err *err)
{
	if (!s->ext->shm_from)
		return 0;
	s->shm_ns_fd = open(s->ext->shm_from, O_RDONLY | O_CLOEXEC);
	return s->shm_ns_fd < 0 ? err_sys(err, -errno, "opening '%s'", s->ext->shm_from) : 0;
}

int namespaces_open(struct sandbox *s, struct err *err)
{
	for (int k = 0; k < NS_KIND_MAX_; k++) {
		const struct ns_spec *ns = &s->spec->ns[k];
		s->has_own[k] = ns->mode == NS_MODE_NEW;
		if (ns->mode != NS_MODE_PATH)
			continue;
		s->ns_fds[k] = open(ns->path, O_RDONLY | O_CLOEXEC);
		if (s->ns_fds[k] < 0)
			return err_sys(err, -errno, "linux.namespaces: %s namespace '%s'", kinds[k].name, ns->path);
		if (fd_is_on(s->ns_fds[k], NSFS_MAGIC_) != 1)
			return err_set(err, ERR_INVALID, "linux.namespaces: '%s' is not a namespace", ns->path);
		s->has_own[k] = !is_own(s->ns_fds[k], kinds[k].file);
	}
	if (s->spec->ns[NS_MOUNT].mode == NS_MODE_HOST || (s->spec->ns[NS_MOUNT].mode == NS_MODE_PATH && !s->has_own[NS_MOUNT])) {
		int r = caller_mounts(s, err);
		if (r < 0)
			return r;
	}
	int r = open_shm_ns(s, err);
	r = r < 0 ? r : check_joins(s, err);
	if (r < 0)
		return r;
	s->userns_fd = s->ns_fds[NS_USER] < 0 ? -EBADF : fcntl(s->ns_fds[NS_USER], F_DUPFD_CLOEXEC, 3);
	return 0;
}

int namespaces_join(struct sandbox *s, struct err *err)
{
	static const enum ns_kind order[] = {NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_PID, NS_TIME, NS_USER};
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		enum ns_kind k = order[i];
		/* joining the user namespace that one is in already is an error (setns(2)); a document may well name it */
		if (s->ns_fds[k] < 0 || (k == NS_USER && !s->has_own[k]))
			continue;
		if (setns(s->ns_fds[k], kinds[k].flag) < 0)
			return err_sys(err, -errno, "linux.namespaces: joining the %s namespace '%s'", kinds[k].name, s->spec->ns[k].path);
		s->ns_fds[k] = safe_close(s->ns_fds[k]);
	}
	return 0;
}

int namespaces_join_mount(struct sandbox *s, struct err *err)
{
	if (s->ns_fds[NS_MOUNT] < 0)
		return 0;
	if (setns(s->ns_fds[NS_MOUNT], CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "linux.namespaces: joining the mount namespace '%s'", s->spec->ns[NS_MOUNT].path);
	s->ns_fds[NS_MOUNT] = safe_close(s->ns_fds[NS_MOUNT]);
	return 0;
}

int namespaces_time(struct sandbox *s, struct err *err)
{
	static const char *const clocks[] = {"monotonic", "boottime"};
	if (s->spec->ns[NS_TIME].mode != NS_MODE_NEW)
		return 0;
	/* children are born into it; the offsets can be written until the first one is (time_namespaces(7)) */
	if (unshare(CLONE_NEWTIME) < 0)
		return err_sys(err, -errno, "linux.namespaces: a time namespace");
	for (int i = 0; i < 2; i++) {
		char text[96];
		if (!s->spec->has_time_offset[i])
			continue;
		(void) snprintf(text, sizeof(text), "%s %lld %u\n", clocks[i], (long long) s->spec->time_secs[i], s->spec->time_nanosecs[i]);
		int r = write_file(AT_FDCWD, "/proc/self/timens_offsets", text);
		if (r < 0)
			return err_sys(err, r, "linux.timeOffsets: %s: %lld s", clocks[i], (long long) s->spec->time_secs[i]);
	}
	return 0;
}
