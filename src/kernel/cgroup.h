/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroups as this host has them: v2 where its controllers are, v1 hierarchies where they are (a hybrid host has both). A container
 * is one directory "coffer/TENANT/ID" in every hierarchy that we use.
 *
 * Joining: on v2 by CLONE_INTO_CGROUP. On v1 the process itself writes "0" to `tasks`: that takes no cgroup_threadgroup_rwsem
 * (kernel/cgroup/cgroup.c cgroup_procs_write_start(): a thread that moves itself needs no lock), so no RCU grace period: 0.03 ms
 * measured against 7 ms for a pid written to cgroup.procs. See docs/adr/0005.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

enum cg_controller { CG_PIDS, CG_MEMORY, CG_CPU, CG_CPUSET, CG_DEVICES, CG_FREEZER, CG_CPUACCT, CG_BLKIO, CG_CONTROLLER_MAX_ };

/* Where each controller lives on this host, from /proc/self/mountinfo and cgroup.controllers. */
struct cgroup_layout {
	char mount[CG_CONTROLLER_MAX_][64]; /* mount point of its v1 hierarchy, "" when not v1 */
	char v2_mount[64];                  /* mount point of the v2 tree, "" when none */
	unsigned v2_mask;                   /* controllers that the v2 root offers, bit = enum cg_controller */
};

const char *cgroup_controller_name(enum cg_controller c);
/** cgroup_layout_read() - find the hierarchies. Return: 0 or -errno. Linux >= 4.5. */
int cgroup_layout_read(struct cgroup_layout *ret);
/** cgroup_has() - 1 on v1, 2 on v2, 0 absent. */
int cgroup_has(const struct cgroup_layout *l, enum cg_controller c);

/* One container's cgroup directories, open. */
struct cgroup {
	struct cgroup_layout layout;
	int v1[CG_CONTROLLER_MAX_]; /* owned; directory fd per used v1 hierarchy, -EBADF otherwise; shared mounts share one entry */
	int v2;                     /* owned; directory fd, -EBADF: not used */
	char path[192];
};
void cgroup_init(struct cgroup *cg);
void cgroup_done(struct cgroup *cg);
/** cgroup_create() - make the directories for @path below every hierarchy that offers one of @controllers (bit mask); on v2 enables them on the way.
 *  *@ret is filled even on failure (call cgroup_remove()). @ret_failed: name of the controller that failed. Return: 0 or -errno. */
int cgroup_create(struct cgroup *ret, const char *path, unsigned controllers, const char **ret_failed);
/** cgroup_open() - open what exists of @path. Return: 0, -ENOENT when nothing does. */
int cgroup_open(struct cgroup *ret, const char *path);
/** cgroup_write() - write @text to @v1_file or @v2_file, whichever this controller has. NULL: no such knob on that version: -EOPNOTSUPP. */
int cgroup_write(const struct cgroup *cg, enum cg_controller c, const char *v1_file, const char *v2_file, const char *text);
/** cgroup_read() - the reverse, small files only. */
int cgroup_read(const struct cgroup *cg, enum cg_controller c, const char *v1_file, const char *v2_file, char *buf, size_t size);
/** cgroup_join_fds() - open the v1 `tasks` files for a process to join by writing "0". @fds: room for CG_CONTROLLER_MAX_. Return: how many, or -errno. */
int cgroup_join_fds(const struct cgroup *cg, int *fds);
/** cgroup_kill() - SIGKILL everything in it until it is empty or @tries are over. Return: 0, -EBUSY. */
int cgroup_kill(const struct cgroup *cg, int tries);
/** cgroup_remove() - kill what is left, remove the directories (nested ones too) of @path everywhere. Return: 0 or -errno; missing is fine. */
int cgroup_remove(const char *path);
