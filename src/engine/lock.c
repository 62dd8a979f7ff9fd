/* SPDX-License-Identifier: Apache-2.0 */
/*
 * L1: one OFD lock a container, RUN/locks/ID, around everything that changes its state, between threads as between processes. The
 * file goes with the container; who waited for a file that went away meanwhile finds no row any more.
 *
 * A start is done by others' hands: the monitor and the creator go on when the engine is killed, and the creator when the monitor is. So the
 * last byte of the lock is lent to them (a lock on an open file of its own, which they hold in common), and whoever takes the lock whole
 * waits until they have finished or died:
 *
 *   engine                              monitor, creator
 *     lock_take(): all bytes
 *     lock_lend(): the last one   --->    hold it (SETUP)
 *                                         start decided: closed, then the answer
 *     undo: lock_whole()                  or killed: closed
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/internal.h"

#define LENT_BYTE 1

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

static int set(int fd, int cmd, short type)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = LENT_BYTE, .l_len = 1};
	while (fcntl(fd, cmd, &fl) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int lock_lend(struct engine *e, const char *id, int lock, struct err *err)
{
	_cleanup_close_ int lent = open_lock(e, id);
	int r = lent < 0 ? lent : set(lock, F_OFD_SETLK, F_UNLCK);
	r = r < 0 ? r : set(lent, F_OFD_SETLK, F_WRLCK); /* nobody else gets it: they want the first byte, too */
	return r < 0 ? err_sys(err, r, "lending the lock of container %.12s", id) : take_fd(&lent);
}

void lock_whole(int lock)
{
	(void) set(lock, F_OFD_SETLKW, F_WRLCK); /* cannot fail on a lock of ours */
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
