/* SPDX-License-Identifier: Apache-2.0 */
/* The private directory of one load: born locked, gone with its owner (I3, I4). */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/id.h"
#include "image/internal.h"
#include "image/parts.h"

static int lock_file(int dirfd, const char *name, int how)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return -errno;
	return take_fd(&fd);
}

/* tmp/ itself is locked shared while a directory is made and not locked yet, so that no collection takes it for a leftover. */
static int make_dir(struct image_store *s, struct work *w)
{
	char id[ID_LEN + 1];
	int r = id_new(id);
	if (r < 0)
		return r;
	(void) str_format(w->name, sizeof(w->name), "%s%s", WORK_PREFIX, id);
	_cleanup_close_ int tmp = openat(s->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tmp < 0 || flock(tmp, LOCK_SH) < 0)
		return -errno;
	w->fd = mkdir_open_at(s->tmp, w->name, 0700);
	if (w->fd < 0)
		return w->fd;
	return flock(w->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

int work_mark(struct image_store *s, struct work *ret, struct err *err)
{
	*ret = (struct work) {.fd = -EBADF, .store_lock = -EBADF};
	int r = make_dir(s, ret);
	if (r >= 0)
		return 0;
	ret->fd = safe_close(ret->fd);
	return err_sys(err, r, "making a directory below tmp");
}

int image_hold(struct image_store *s, struct err *err)
{
	int fd = lock_file(s->root, IMAGE_LOCK, LOCK_SH);
	return fd < 0 ? err_sys(err, fd, "locking the image store") : fd;
}

int work_begin(struct image_store *s, struct work *ret, struct err *err)
{
	*ret = (struct work) {.fd = -EBADF};
	ret->store_lock = image_hold(s, err);
	if (ret->store_lock < 0)
		return ret->store_lock;
	int r = fault_point("image.work.locked", err);
	r = r < 0 ? r : make_dir(s, ret);
	if (r < 0) {
		work_end(s, ret);
		return err_sys(err, r, "making a directory below tmp");
	}
	return 0;
}

void work_end(struct image_store *s, struct work *w)
{
	fault_mark("image.work.end");
	if (w->fd >= 0)
		(void) rm_rf_at(s->tmp, w->name); /* what stays is collected at the next open */
	w->fd = safe_close(w->fd);
	w->store_lock = safe_close(w->store_lock);
	struct err ignored;
	if (s->gc_wanted || image_gc_is_due(s))
		(void) image_gc(s, &ignored); /* the next one tries again */
}
