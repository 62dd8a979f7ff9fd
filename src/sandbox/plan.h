/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an OCI document to data: what will be cloned, mounted, masked and dropped, with every option already understood. A
 * plan touches nothing and needs no privilege, so that tests can look at it; apply (creator.c, init.c) only carries it out.
 */
#pragma once

#include "base/err.h"
#include "spec/runtime.h"

enum plan_mount_kind {
	PLAN_FS,      /* a new superblock, made by init inside its namespaces: proc, tmpfs, devpts, mqueue, sysfs */
	PLAN_BIND,    /* a clone of a host path, opened by the creator (by init when there is no host privilege) */
	PLAN_CGROUP,  /* the container's own cgroup directories, below /sys/fs/cgroup */
	PLAN_REMOUNT, /* other options for what an earlier mount put there */
};

struct plan_mount {
	enum plan_mount_kind kind;
	const char *dst;     /* borrowed from the spec, or from @dst_own; absolute inside the rootfs, without ".." */
	char *dst_own;       /* owned; @dst where the document's words had to be cleaned; NULL */
	const char *src;     /* borrowed; PLAN_BIND: on the host, relative to the bundle when not absolute */
	const char *fallback; /* borrowed; PLAN_FS: bound where init alone would have to make a foreign one, and the kernel refuses; NULL */
	const char *fstype;  /* borrowed; PLAN_FS */
	const char *subpath; /* borrowed; PLAN_BIND: what of @src, resolved inside it; NULL: @src itself */
	bool shm;            /* PLAN_BIND: not of @src, but the /dev/shm of sandbox.shm_ns_fd */
	bool foreign;        /* PLAN_FS: it shows a namespace that the container's user namespace does not own: the creator makes it, once it has joined */
	char **fs_options;   /* owned; "key=value" or "flag" for fsconfig */
	uint64_t attr_set, attr_clear; /* MOUNT_ATTR_* of the mount itself */
	uint64_t tree_set, tree_clear; /* the same of its whole tree: "rro" and friends */
	uint64_t super_set, super_clear; /* MS_* of the superblock; only PLAN_FS and PLAN_REMOUNT */
	uint64_t propagation; /* MS_PRIVATE by default; MS_SLAVE | MS_SHARED: first the one, then the other; | MS_REC */
	bool recursive;      /* rbind */
	bool idmap;          /* shift ids */
	bool idmap_tree;     /* the whole tree: "ridmap" */
	bool idmap_optional; /* where the filesystem cannot shift: unshifted and read-only instead (tmpfs before 6.3) */
	const struct id_map *uids, *gids; /* borrowed; shift by these maps; NULL: by the container's user namespace */
	bool copyup;         /* fill an empty mount from what the rootfs has at dst */
	bool optional;       /* may be absent on the host (cgroup) */
	int fd;              /* apply's, owned: the detached mount that the creator made; PLAN_FS: one to be made read-only at the end; -EBADF */
	int map_fd;          /* apply's, owned: the user namespace with @uids and @gids; -EBADF */
};

struct plan {
	const struct runtime_spec *spec; /* borrowed */
	bool obey;            /* a foreign document: exactly what it says (SANDBOX_OBEY) */
	uint64_t clone_flags; /* CLONE_NEW* for clone3; the cgroup namespace is unshared later, from inside the cgroup */
	bool new_userns, own_netns;
	bool new_cgroupns;
	bool no_dev;          /* the document binds a /dev of its own: nothing is made in there */
	uint64_t root_propagation; /* MS_* | MS_REC of "/" once it is the root; 0: as it is, private */
	struct plan_mount *mounts; /* owned */
	size_t n_mounts;
	uint32_t root_uid, root_gid; /* host ids of the container's root; 0 without a user namespace */
	unsigned controllers;        /* bit mask of enum cg_controller to create */
};

/** plan_build() - understand @spec. @flags: enum sandbox_flags. Return: 0; ERR_INVALID / ERR_UNSUPPORTED naming field and value. */
int plan_build(const struct runtime_spec *spec, unsigned flags, struct plan *ret, struct err *err);
void plan_done(struct plan *p);
/** plan_clean_path() - @path as an absolute path without empty parts, "." and ".." (lexically: ".." at the root stays there). Return: owned text, NULL when
 *  out of memory or over PATH_MAX. */
char *plan_clean_path(const char *path);
/** plan_id_map_text() - @m in the form of /proc/PID/uid_map into @b. */
void plan_id_map_text(const struct id_map *m, struct strbuf *b);
