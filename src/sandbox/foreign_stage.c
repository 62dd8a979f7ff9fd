/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage: a tmpfs of a few pages over a directory that every system has, in a mount namespace that ends with the creator. Every
 * part of its path can be searched by everybody, which the state directories cannot: another runtime's init resolves its root as the container's root.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/mount.h"
#include "sandbox/foreign_internal.h"

#define V2_BESIDE_V1 "/sys/fs/cgroup/unified" /* where systemd mounts cgroup2 on a host of v1 ("hybrid") */

/* A directory that holds nothing which the runtime has to reach by name. */
static const char *const places[] = {"/mnt", "/media", "/srv", "/opt"};

static bool is_below(const char *path, const char *dir)
{
	const char *rest = path ? str_after(path, dir) : NULL;
	return rest && (*rest == '/' || *rest == '\0');
}

static int choose(struct foreign *f, struct err *err)
{
	struct stat st;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		bool free_ = !is_below(f->bundle, places[i]) && !is_below(f->ext.runtime, places[i]);
		if (free_ && stat(places[i], &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0001))
			return str_copy(f->dir, sizeof(f->dir), places[i]);
	}
	return err_set(err, ERR_UNSUPPORTED, "none of /mnt, /media, /srv and /opt is a directory that others may search, or the bundle and the runtime lie there");
}

char *stage_path(const struct foreign *f, char *buf, const char *name)
{
	(void) snprintf(buf, 64, "%s/%s", f->dir, name);
	return buf;
}

/* Other runtimes chown their standard descriptors to the container's root: never the host's null device. */
static int make_null(struct foreign *f, struct err *err)
{
	if (mknodat(f->stage, "null", S_IFCHR | 0666, makedev(1, 3)) < 0 || fchmodat(f->stage, "null", 0666, 0) < 0)
		return err_sys(err, -errno, "a null device of the stage's own");
	for (int i = 0; i < 3; i++) {
		struct stat st;
		if (f->s.stdio[i] < 0 || (fstat(f->s.stdio[i], &st) == 0 && (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))))
			continue;
		int fd = openat(f->stage, "null", (i ? O_WRONLY : O_RDONLY) | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, -errno, "opening the stage's null device");
		safe_close(f->s.stdio[i]);
		f->s.stdio[i] = fd;
	}
	return 0;
}

int stage_make(struct foreign *f, struct err *err)
{
	static const char *const options[][2] = {{"mode", "0711"}, {"size", "1m"}, {NULL, NULL}};
	int r = choose(f, err);
	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(err, -errno, "a private mount namespace");
	/* with controllers on both sides of a hybrid host crun refuses to work; they are v1's there, as for the rest of us */
	if (umount2(V2_BESIDE_V1, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		return err_sys(err, -errno, "taking %s out of the runtime's view", V2_BESIDE_V1);
	f->stage = mnt_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (f->stage < 0)
		return err_sys(err, f->stage, "a tmpfs");
	_cleanup_close_ int over = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = over < 0 ? -errno : mnt_attach(f->stage, over);
	return r < 0 ? err_sys(err, r, "attaching it over %s", f->dir) : make_null(f, err);
}

int stage_attach(struct foreign *f, int mnt, const char *name, struct err *err)
{
	struct stat st;
	if (fstat(mnt, &st) < 0)
		return err_sys(err, -errno, "stage/%s", name);
	int r = S_ISDIR(st.st_mode) ? mkdirat(f->stage, name, 0711) : mknodat(f->stage, name, S_IFREG | 0600, 0);
	r = r < 0 ? -errno : mnt_attach_at(mnt, f->stage, name);
	return r < 0 ? err_sys(err, r, "attaching stage/%s", name) : 0;
}
