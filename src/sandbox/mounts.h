/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the files that carry out a plan's mounts: mounts.c (order and targets), bind.c, fs.c, cgroup_mount.c. Everything is built
 * detached and attached by descriptor on a target that openat2 resolved inside the root (R1, R2; CVE-2021-30465, CVE-2025-52881).
 */
#pragma once

#include "sandbox/internal.h"

/* Whether init clones the host's mounts itself, in its own copy of them: its creator has no privilege over the host's. */
static inline bool mounts_by_init(const struct sandbox *s)
{
	return s->rootless || s->nested;
}

/** bundle_open() - @path as the document means it: from the bundle when relative; in the caller's own mount namespace. Return: fd or -errno. */
int bundle_open(const struct sandbox *s, const char *path, int flags);
/** bind_prepare() - @m->fd: the detached clone of its source, shifted, with its options and its propagation. */
int bind_prepare(struct sandbox *s, struct plan_mount *m, struct err *err);
/** bind_words() - what the document says about propagation, on a mount that is private or a slave. */
int bind_words(const struct plan_mount *m, int mnt, struct err *err);

/** mount_target() - the object at @dst inside the root: a directory when @dir, else anything else; made when missing. @ret_existed: whether it was
 *  there; may be NULL. Return: O_PATH fd. */
int mount_target(struct sandbox *s, const char *dst, bool dir, bool *ret_existed, struct err *err);
/** mount_attach() - attach the detached @mnt on @target. */
int mount_attach(struct sandbox *s, struct plan_mount *m, int mnt, int target, struct err *err);

/** fs_prepare() - @m->fd: the filesystem of @m, detached, made by the creator inside the namespace that it shows. */
int fs_prepare(struct sandbox *s, struct plan_mount *m, struct err *err);
/** fs_attach() - make the filesystem of @m, unless the creator has, and attach it. */
int fs_attach(struct sandbox *s, struct plan_mount *m, struct err *err);
/** fs_remount() - other options for what is mounted at @m->dst. Only what is named changes. */
int fs_remount(struct sandbox *s, struct plan_mount *m, struct err *err);
/** cgroups_attach() - the cgroup filesystem of a document: the engine's is read-only and shows the container's own directories. */
int cgroups_attach(struct sandbox *s, struct plan_mount *m, struct err *err);
