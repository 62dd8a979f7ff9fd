/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a container's cgroups: kill what is left, then take the directories away, nested ones first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/cgroup_internal.h"

/* rmdir of a cgroup and its children: cgroup files cannot be unlinked, only directories go. */
static int rmdir_tree(int parent, const char *name, int depth)
{
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	int r = -errno;
	if (depth > 32)
		return r;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		safe_close(fd);
		return r;
	}
	struct dirent *e;
	while ((e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			(void) rmdir_tree(dirfd(d), e->d_name, depth + 1); /* the parent's own rmdir tells */
	(void) closedir(d);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static int remove_in(const struct cgroup *cg, int c)
{
	char full[CGROUP_PATH_MAX + 160];
	int r = cgroup_full_path(cg, (enum cg_controller) c, full, sizeof(full));
	if (r < 0)
		return r;
	r = rmdir_tree(AT_FDCWD, full, 0);
	/* the last task leaves it only when it has been reaped for good: give that a moment, and a killed crowd on v2 some seconds */
	for (int i = 0; r == -EBUSY && i < 600; i++) {
		(void) nanosleep(&(struct timespec) {.tv_nsec = i < 200 ? 500000 : 10000000}, NULL);
		r = rmdir_tree(AT_FDCWD, full, 0);
	}
	return r;
}

int cgroup_remove(const char *path)
{
	struct cgroup cg;
	int r = cgroup_open(&cg, path);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = cgroup_kill(&cg, 2000);
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		if (cg.v1[c] >= 0) {
			int k = remove_in(&cg, c);
			r = k < 0 ? k : r;
		}
	if (cg.v2 >= 0) {
		int k = remove_in(&cg, CGROUP_V2);
		r = k < 0 ? k : r;
	}
	cgroup_done(&cg);
	return r;
}
