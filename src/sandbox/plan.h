/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an OCI document to data: what will be cloned, mounted, masked and dropped, with every option already understood. A
 * plan touches nothing and needs no privilege, so that tests can look at it; apply (creator.c, init.c) only carries it out.
 */
#pragma once

#include "base/err.h"
#include "spec/runtime.h"

enum plan_mount_kind {
	PLAN_FS,     /* a new superblock, made by init inside its namespaces: proc, tmpfs, devpts, mqueue, sysfs */
	PLAN_BIND,   /* a clone of a host path, opened by the creator */
	PLAN_CGROUP, /* clones of the container's own cgroup directories, below /sys/fs/cgroup */
};

struct plan_mount {
	enum plan_mount_kind kind;
	const char *dst;     /* borrowed from the spec; absolute inside the rootfs */
	const char *src;     /* borrowed; PLAN_BIND */
	const char *fstype;  /* borrowed; PLAN_FS */
	char **fs_options;   /* owned; "key=value" or "flag" for fsconfig */
	uint64_t attr_set, attr_clear; /* MOUNT_ATTR_* */
	uint64_t propagation; /* MS_PRIVATE by default */
	bool recursive;      /* rbind */
	bool attr_recursive; /* "rro" and friends */
	bool idmap;          /* shift by the container's user namespace */
	bool idmap_optional; /* where the filesystem cannot shift: unshifted and read-only instead (tmpfs before 6.3) */
	bool copyup;         /* fill an empty mount from what the rootfs has at dst */
	bool optional;       /* may be absent on the host (cgroup) */
	int fd;              /* apply's: the detached mount that the creator made; -EBADF */
};

struct plan {
	const struct runtime_spec *spec; /* borrowed */
	uint64_t clone_flags; /* CLONE_NEW* for clone3; the cgroup namespace is unshared later, from inside the cgroup */
	bool new_userns, own_netns;
	bool new_cgroupns;
	struct plan_mount *mounts; /* owned */
	size_t n_mounts;
	uint32_t root_uid, root_gid; /* host ids of the container's root; 0 without a user namespace */
	unsigned controllers;        /* bit mask of enum cg_controller to create */
};

/** plan_build() - understand @spec. Return: 0; ERR_INVALID / ERR_UNSUPPORTED naming field and value. */
int plan_build(const struct runtime_spec *spec, struct plan *ret, struct err *err);
void plan_done(struct plan *p);
