/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree into an archive: parents before children, names in byte order, so that the same tree gives the same bytes. Nothing is followed: each
 * directory is opened by name in its parent's descriptor, without links (R1). Kernel file systems (proc, sysfs, ...) show as empty directories.
 */
#pragma once

#include "files/member.h"

struct pack {
	struct member_writer *m; /* borrowed */
	uint32_t depth_max;
	uint64_t hidden_mount; /* id of a mount whose root shows as an empty directory; 0: none */
};
/** pack_object() - @leaf in directory @dirfd ("." for itself) as @name ("/": the members' names start at the root), with all that is below. */
int pack_object(const struct pack *p, int dirfd, const char *leaf, const char *name, struct err *err);
/** pack_children() - all that is in the directory @fd (O_RDONLY), named from there on, without an entry of its own: as docker exports a root. */
int pack_children(const struct pack *p, int fd, struct err *err);
/** pack_is_kernel_fs() - no files of anybody's lie there: they are what the kernel says at the moment. */
bool pack_is_kernel_fs(int fd);
/** pack_mount_id() - of the mount that @name in @dirfd ("": @dirfd itself) is on; 0 when unknown. */
uint64_t pack_mount_id(int dirfd, const char *name);
