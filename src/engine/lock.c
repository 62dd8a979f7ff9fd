/* SPDX-License-Identifier: Apache-2.0 */
/*
 * L1: one OFD lock a container, RUN/locks/ID, around everything that changes its state, between threads as between processes. The
 * file goes with the container; who waited for a file that went away meanwhile finds no row any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/internal.h"

static int open_lock(struct engine *e, const char *id)
{
	char path[96];
	(void) str_format(path, sizeof(path), "locks/%s", id);
	int fd = openat(e->run_fd, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(e->run_fd, "locks", 0700) < 0 && errno != EEXIST)
			return -errno;
		fd = openat(e->run_fd, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	return fd < 0 ? -errno : fd;
}

static int take(struct engine *e, const char *id, int cmd)
{
	for (;;) {
		struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		struct stat st;
		_cleanup_close_ int fd = open_lock(e, id);
		if (fd < 0)
			return fd;
		while (fcntl(fd, cmd, &fl) < 0)
			if (errno != EINTR)
				return errno == EACCES ? -EAGAIN : -errno;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (st.st_nlink > 0)
			return take_fd(&fd);
	}
}

int lock_take(struct engine *e, const char *id, struct err *err)
{
	int fd = take(e, id, F_OFD_SETLKW);
	return fd < 0 ? err_sys(err, fd, "locking container %.12s", id) : fd;
}

int lock_try(struct engine *e, const char *id)
{
	return take(e, id, F_OFD_SETLK);
}

void lock_forget(struct engine *e, const char *id)
{
	char path[96];
	(void) str_format(path, sizeof(path), "locks/%s", id);
	fault_mark("engine.lock.forget");
	(void) unlinkat(e->run_fd, path, 0); /* best effort: an empty file on tmpfs */
}
