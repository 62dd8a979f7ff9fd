/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroups as this host has them: v2 where its controllers are, v1 hierarchies where they are (a hybrid host has both). A container
 * is one directory in every hierarchy that it uses: the engine's is "coffer/TENANT/ID", a foreign document names its own.
 *
 * A path is text: its first line holds in every hierarchy, from that hierarchy's root (leading and doubled slashes do not count); further lines "CONTROLLER=PATH"
 * or "unified=PATH" hold where it differs, as for a container made below its maker's own cgroups. No kernel path holds a newline (cgroup_mkdir()).
 * A path that is empty, is a root itself or has "." or ".." in it is -EINVAL everywhere: what is done to a container is never done to a whole host.
 *
 * Joining: on v2 by CLONE_INTO_CGROUP. On v1 the process itself writes "0" to `tasks`: that takes no cgroup_threadgroup_rwsem
 * (kernel/cgroup/cgroup.c cgroup_procs_write_start(): a thread that moves itself needs no lock), so no RCU grace period: 0.03 ms
 * measured against 7 ms for a pid written to cgroup.procs. See docs/adr/0005.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

/* The first eight are what the engine knows; CG_SYSTEMD is the v1 hierarchy without a controller in which systemd keeps its units. */
enum cg_controller {
	CG_PIDS, CG_MEMORY, CG_CPU, CG_CPUSET, CG_DEVICES, CG_FREEZER, CG_CPUACCT, CG_BLKIO,
	CG_HUGETLB, CG_NET_CLS, CG_NET_PRIO, CG_PERF_EVENT, CG_RDMA, CG_MISC, CG_SYSTEMD, CG_CONTROLLER_MAX_
};
#define CG_ALL ((1u << CG_CONTROLLER_MAX_) - 1)
#define CGROUP_PATH_MAX 512

/* Where each controller lives on this host, from /proc/self/mountinfo and cgroup.controllers. */
struct cgroup_layout {
	char mount[CG_CONTROLLER_MAX_][128]; /* mount point of its v1 hierarchy, "" when not v1 */
	char root[CG_CONTROLLER_MAX_][160];  /* what of the hierarchy is mounted there: "/" but in a container without a cgroup namespace */
	char v2_mount[128];                  /* mount point of the v2 tree, "" when none */
	char v2_root[160];
	unsigned v2_mask;                    /* controllers that the v2 root offers, bit = enum cg_controller; devices and freezer where v2 does their work */
};

const char *cgroup_controller_name(enum cg_controller c);
/** cgroup_layout_read() - find the hierarchies. Return: 0 or -errno. Linux >= 4.5. */
int cgroup_layout_read(struct cgroup_layout *ret);
/** cgroup_has() - 1 on v1, 2 on v2, 0 absent. */
int cgroup_has(const struct cgroup_layout *l, enum cg_controller c);
/** cgroup_is_unified() - no v1 hierarchy has a controller: the v2 tree is all there is. */
bool cgroup_is_unified(const struct cgroup_layout *l);
/** cgroup_path_below_own() - the path for @name where the caller is: on v1 below the caller's own cgroup of each hierarchy, on v2 beside it, as a cgroup that has
 *  processes can give its children no controllers (what runc does: libcontainer/cgroups/fs/paths.go, fs2/defaultpath.go). @buf: CGROUP_PATH_MAX.
 *  Return: 0; -EINVAL, -ENAMETOOLONG. */
int cgroup_path_below_own(const struct cgroup_layout *l, const char *name, char *buf);
/** cgroup_path_of_pid() - the path of the cgroups that @pid is in. Return as cgroup_path_below_own(); -ESRCH. */
int cgroup_path_of_pid(const struct cgroup_layout *l, pid_t pid, char *buf);

/** cgroup_path_in_hierarchy() - the line of @path that holds for @c, CG_CONTROLLER_MAX_ for v2, checked and without slashes in front. @buf: CGROUP_PATH_MAX. Return: 0, -EINVAL. */
int cgroup_path_in_hierarchy(const char *path, enum cg_controller c, char *buf);

/* One container's cgroup directories, open. */
struct cgroup {
	struct cgroup_layout layout;
	int v1[CG_CONTROLLER_MAX_]; /* owned; directory fd per used v1 hierarchy, -EBADF otherwise; shared mounts share one entry */
	int v2;                     /* owned; directory fd, -EBADF: not used */
	char path[CGROUP_PATH_MAX];
	unsigned made; /* the directories that cgroup_create() made, bit = index in v1; bit CG_CONTROLLER_MAX_: v2 */
};
void cgroup_init(struct cgroup *cg);
void cgroup_done(struct cgroup *cg);

enum cgroup_create_flags {
	CGROUP_FOREIGN = 1 << 0,  /* somebody else named the path: on v2 every controller that can be had is switched on, and one that cannot is no error here */
	CGROUP_EMPTY = 1 << 1,    /* a cgroup that exists is joined only when it is empty (else -EADDRINUSE) and not frozen (else -EBUSY) */
	CGROUP_WRITABLE = 1 << 2, /* a hierarchy that the caller may not write to is left out; -ENOENT when none is left */
	CGROUP_SWITCHED = 1 << 3, /* who made the v2 directory has switched its controllers on: systemd */
};
/** cgroup_create() - make the directories for @path below every hierarchy that offers one of @controllers (bit mask); on v2 enables them on the way.
 *  On failure what was made is taken away again, and *@ret is empty. @ret_failed: name of the controller that failed. Return: 0 or -errno. */
int cgroup_create(struct cgroup *ret, const char *path, unsigned controllers, unsigned flags, const char **ret_failed);
/** cgroup_undo() - take away the directories that cgroup_create() made, when nobody is in them, and close @cg. */
void cgroup_undo(struct cgroup *cg);
/** cgroup_open() - open what exists of @path. Return: 0, -ENOENT when nothing does. */
int cgroup_open(struct cgroup *ret, const char *path);
/** cgroup_open_one() - of @path only the directory that serves @c: v1's where @c is mounted, else v2's. Return: 0, -ENOENT, -errno. */
int cgroup_open_one(struct cgroup *ret, const char *path, enum cg_controller c);
/** cgroup_dir() - the open directory that serves @c: v1's, else v2's. Borrowed. @ret_version (may be NULL): 1 or 2. Return: fd, -EOPNOTSUPP when @c is not here. */
int cgroup_dir(const struct cgroup *cg, enum cg_controller c, int *ret_version);
/** cgroup_lead() - the index in @l->mount and in cgroup.v1 that serves @c when several controllers share one mount. */
int cgroup_lead(const struct cgroup_layout *l, enum cg_controller c);
/** cgroup_full_path() - "MOUNT/PATH" in @c's v1 hierarchy, or in the v2 tree for @c CG_CONTROLLER_MAX_. Return: 0, -ENOENT, -ENAMETOOLONG. */
int cgroup_full_path(const struct cgroup *cg, enum cg_controller c, char *buf, size_t size);
/** cgroup_enabled() - whether controller @name ("memory") is in this v2 cgroup's cgroup.controllers. */
bool cgroup_enabled(const struct cgroup *cg, const char *name);
/** cgroup_write() - write @text to @v1_file or @v2_file, whichever this controller has. NULL: no such knob on that version: -EOPNOTSUPP. */
int cgroup_write(const struct cgroup *cg, enum cg_controller c, const char *v1_file, const char *v2_file, const char *text);
/** cgroup_read() - the reverse, small files only; a longer one is cut. */
int cgroup_read(const struct cgroup *cg, enum cg_controller c, const char *v1_file, const char *v2_file, char *buf, size_t size);
/** cgroup_join_fds() - open the v1 `tasks` files for a process to join by writing "0". @fds: room for CG_CONTROLLER_MAX_. Return: how many, or -errno. */
int cgroup_join_fds(const struct cgroup *cg, int *fds);

/** cgroup_pids() - processes in it and in every cgroup below, ascending, each once. *@ret: caller frees. Return: how many, -errno. */
ssize_t cgroup_pids(const struct cgroup *cg, pid_t **ret);
/** cgroup_signal() - @sig to every process in it, once; SIGKILL by cgroup.kill on v2. Return: how many there were (v2 SIGKILL: 0 or 1), -errno. */
int cgroup_signal(const struct cgroup *cg, int sig);
/** cgroup_kill() - SIGKILL everything in it until it is empty or @tries are over; a frozen v1 cgroup is thawed for that. Return: 0, -EBUSY. */
int cgroup_kill(const struct cgroup *cg, int tries);
/** cgroup_freeze() - freeze or thaw, and wait until it is so, at most @timeout_ms. A host whose v1 freezer was not asked for at the start gets the directory now
 *  and every process in it. Return: 0; -ETIMEDOUT (thawed again); -EOPNOTSUPP no freezer here. Source: cgroup-v1/freezer-subsystem.rst, cgroup-v2.rst "cgroup.freeze". */
int cgroup_freeze(struct cgroup *cg, bool on, int timeout_ms);
/** cgroup_extend() - have controller @c, too, which was not asked for at the start: on v1 the directory is made now and every process moved into it (some milliseconds each,
 *  kernel/cgroup/cgroup.c cgroup_procs_write_start()), on v2 the controller is switched on. Return: 0 (also when it is there); -EOPNOTSUPP; -errno. */
int cgroup_extend(struct cgroup *cg, enum cg_controller c);
/** cgroup_is_frozen() - Return: 1, 0, -errno. */
int cgroup_is_frozen(const struct cgroup *cg);
/** cgroup_remove() - kill what is left, remove the directories (nested ones too) of @path everywhere. Return: 0 or -errno; missing is fine. */
int cgroup_remove(const char *path);

/** cgroup_oom_watch() - a non-blocking descriptor, owned by the caller, that polls readable after an OOM in it and when it is removed. v1: eventfd on
 *  memory.oom_control (cgroup-v1/memory.rst 9, 10); v2: inotify on memory.events. Return: fd, -EOPNOTSUPP without a memory controller, -errno. */
int cgroup_oom_watch(const struct cgroup *cg);
/** cgroup_oom_count() - how many times the OOM killer has come. Return: 0, -errno. Linux >= 4.13. */
int cgroup_oom_count(const struct cgroup *cg, uint64_t *ret);
