/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees that are to go are renamed into `trash/` (of the state or of the run directory) and deleted when nobody waits: a removal is one
 * rename, whatever the size of what is removed, and half a tree is never in sight. Deleting ten files costs 4 ms each where the
 * filesystem discards freed blocks at once (ext4 without a journal, mounted with discard). What a kill -9 leaves in the trash
 * the next engine deletes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/internal.h"

int trash_put(int base_fd, int dfd, const char *name)
{
	_cleanup_close_ int trash = mkdir_open_at(base_fd, "trash", 0700);
	if (trash < 0)
		return trash;
	for (unsigned i = 0; i < 1000; i++) {
		char to[NAME_MAX];
		if (str_format(to, sizeof(to), "%.200s.%u", name, i) < 0)
			return -ENAMETOOLONG;
		if (renameat2(dfd, name, trash, to, RENAME_NOREPLACE) == 0 || errno == ENOENT)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static void empty(int base_fd)
{
	int fd = openat(base_fd, "trash", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		safe_close(fd);
		return;
	}
	struct dirent *e;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			(void) rm_rf_at(dirfd(d), e->d_name); /* somebody else may be at it; the next engine tries again */
	(void) closedir(d);
}

void engine_tidy(struct engine *e)
{
	empty(e->run_fd);
	empty(e->state_fd);
}
