/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mount_option.h"

#include <string.h>
#include <sys/mount.h>

#include "kernel/compat.h"

#define NOATIME MOUNT_ATTR_NOATIME
#define STRICT MOUNT_ATTR_STRICTATIME
#define ATIME MOUNT_ATTR__ATIME

/* Alphabetical: `features` lists them in this order. Clearing "relatime" changes nothing: it is what is left when neither of the others is set. */
static const struct mnt_option options[] = {
	{"acl", MNT_OPTION_SUPER, false, MS_POSIXACL, 0},
	{"async", MNT_OPTION_SUPER, false, 0, MS_SYNCHRONOUS},
	{"atime", MNT_OPTION_ATTR, false, 0, NOATIME},
	{"bind", MNT_OPTION_BIND, false, 0, 0},
	{"defaults", MNT_OPTION_NONE, false, 0, 0},
	{"dev", MNT_OPTION_ATTR, false, 0, MOUNT_ATTR_NODEV},
	{"diratime", MNT_OPTION_ATTR, false, 0, MOUNT_ATTR_NODIRATIME},
	{"dirsync", MNT_OPTION_SUPER, false, MS_DIRSYNC, 0},
	{"exec", MNT_OPTION_ATTR, false, 0, MOUNT_ATTR_NOEXEC},
	{"idmap", MNT_OPTION_IDMAP, false, 0, 0},
	{"iversion", MNT_OPTION_SUPER, false, MS_I_VERSION, 0},
	{"lazytime", MNT_OPTION_SUPER, false, MS_LAZYTIME, 0},
	{"loud", MNT_OPTION_SUPER, false, 0, MS_SILENT},
	{"mand", MNT_OPTION_SUPER, false, MS_MANDLOCK, 0},
	{"noacl", MNT_OPTION_SUPER, false, 0, MS_POSIXACL},
	{"noatime", MNT_OPTION_ATTR, false, NOATIME, ATIME},
	{"nodev", MNT_OPTION_ATTR, false, MOUNT_ATTR_NODEV, 0},
	{"nodiratime", MNT_OPTION_ATTR, false, MOUNT_ATTR_NODIRATIME, 0},
	{"noexec", MNT_OPTION_ATTR, false, MOUNT_ATTR_NOEXEC, 0},
	{"noiversion", MNT_OPTION_SUPER, false, 0, MS_I_VERSION},
	{"nolazytime", MNT_OPTION_SUPER, false, 0, MS_LAZYTIME},
	{"nomand", MNT_OPTION_SUPER, false, 0, MS_MANDLOCK},
	{"norelatime", MNT_OPTION_ATTR, false, 0, MOUNT_ATTR_RELATIME},
	{"nostrictatime", MNT_OPTION_ATTR, false, 0, STRICT},
	{"nosuid", MNT_OPTION_ATTR, false, MOUNT_ATTR_NOSUID, 0},
	{"nosymfollow", MNT_OPTION_ATTR, false, MOUNT_ATTR_NOSYMFOLLOW, 0},
	{"private", MNT_OPTION_PROPAGATION, false, MS_PRIVATE, 0},
	{"ratime", MNT_OPTION_ATTR, true, 0, NOATIME},
	{"rbind", MNT_OPTION_BIND, true, 0, 0},
	{"rdev", MNT_OPTION_ATTR, true, 0, MOUNT_ATTR_NODEV},
	{"rdiratime", MNT_OPTION_ATTR, true, 0, MOUNT_ATTR_NODIRATIME},
	{"relatime", MNT_OPTION_ATTR, false, MOUNT_ATTR_RELATIME, ATIME},
	{"remount", MNT_OPTION_REMOUNT, false, 0, 0},
	{"rexec", MNT_OPTION_ATTR, true, 0, MOUNT_ATTR_NOEXEC},
	{"ridmap", MNT_OPTION_IDMAP, true, 0, 0},
	{"rnoatime", MNT_OPTION_ATTR, true, NOATIME, ATIME},
	{"rnodev", MNT_OPTION_ATTR, true, MOUNT_ATTR_NODEV, 0},
	{"rnodiratime", MNT_OPTION_ATTR, true, MOUNT_ATTR_NODIRATIME, 0},
	{"rnoexec", MNT_OPTION_ATTR, true, MOUNT_ATTR_NOEXEC, 0},
	{"rnorelatime", MNT_OPTION_ATTR, true, 0, MOUNT_ATTR_RELATIME},
	{"rnostrictatime", MNT_OPTION_ATTR, true, 0, STRICT},
	{"rnosuid", MNT_OPTION_ATTR, true, MOUNT_ATTR_NOSUID, 0},
	{"rnosymfollow", MNT_OPTION_ATTR, true, MOUNT_ATTR_NOSYMFOLLOW, 0},
	{"ro", MNT_OPTION_ATTR, false, MOUNT_ATTR_RDONLY, 0},
	{"rprivate", MNT_OPTION_PROPAGATION, true, MS_PRIVATE, 0},
	{"rrelatime", MNT_OPTION_ATTR, true, MOUNT_ATTR_RELATIME, ATIME},
	{"rro", MNT_OPTION_ATTR, true, MOUNT_ATTR_RDONLY, 0},
	{"rrw", MNT_OPTION_ATTR, true, 0, MOUNT_ATTR_RDONLY},
	{"rshared", MNT_OPTION_PROPAGATION, true, MS_SHARED, 0},
	{"rslave", MNT_OPTION_PROPAGATION, true, MS_SLAVE, 0},
	{"rstrictatime", MNT_OPTION_ATTR, true, STRICT, ATIME},
	{"rsuid", MNT_OPTION_ATTR, true, 0, MOUNT_ATTR_NOSUID},
	{"rsymfollow", MNT_OPTION_ATTR, true, 0, MOUNT_ATTR_NOSYMFOLLOW},
	{"runbindable", MNT_OPTION_PROPAGATION, true, MS_UNBINDABLE, 0},
	{"rw", MNT_OPTION_ATTR, false, 0, MOUNT_ATTR_RDONLY},
	{"shared", MNT_OPTION_PROPAGATION, false, MS_SHARED, 0},
	{"silent", MNT_OPTION_SUPER, false, MS_SILENT, 0},
	{"slave", MNT_OPTION_PROPAGATION, false, MS_SLAVE, 0},
	{"strictatime", MNT_OPTION_ATTR, false, STRICT, ATIME},
	{"suid", MNT_OPTION_ATTR, false, 0, MOUNT_ATTR_NOSUID},
	{"symfollow", MNT_OPTION_ATTR, false, 0, MOUNT_ATTR_NOSYMFOLLOW},
	{"sync", MNT_OPTION_SUPER, false, MS_SYNCHRONOUS, 0},
	{"tmpcopyup", MNT_OPTION_COPYUP, false, 0, 0},
	{"unbindable", MNT_OPTION_PROPAGATION, false, MS_UNBINDABLE, 0},
};

const struct mnt_option *mnt_option_find(const char *name)
{
	size_t lo = 0, hi = ARRAY_LEN(options);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, options[mid].name);
		if (c == 0)
			return &options[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct mnt_option *mnt_option_at(size_t i)
{
	return i < ARRAY_LEN(options) ? &options[i] : NULL;
}

void mnt_option_apply(const struct mnt_option *o, uint64_t *set, uint64_t *clear)
{
	*set = (*set & ~o->clear) | o->set;
	*clear = (*clear & ~o->set) | o->clear;
}
