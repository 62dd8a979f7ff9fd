/* SPDX-License-Identifier: Apache-2.0 */
/* What an overlay of the layers below would show at a path: for implied parents, whiteouts and hard links across layers. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/internal.h"

static bool is_opaque(int dirfd)
{
	char v[2];
	return fgetxattr(dirfd, "trusted.overlay.opaque", v, sizeof(v)) == 1 && v[0] == 'y';
}

/* Has the file attributes that a plain copy would lose? */
static bool has_xattrs(int fd)
{
	return flistxattr(fd, NULL, 0) > 0;
}

static void describe(int dirfd, const char *name, bool want_fd, const struct stat *st, struct unpack_msg *m, int *ret_fd)
{
	m->mode = st->st_mode & 07777;
	m->uid = st->st_uid;
	m->gid = st->st_gid;
	m->mtime_s = st->st_mtim.tv_sec;
	m->mtime_ns = (uint32_t) st->st_mtim.tv_nsec;
	m->size = (uint64_t) st->st_size;
	m->what = S_ISDIR(st->st_mode) ? UNPACK_DIR : S_ISREG(st->st_mode) ? UNPACK_FILE : S_ISLNK(st->st_mode) ? UNPACK_LINK : UNPACK_OTHER;
	if (m->what == UNPACK_LINK) {
		ssize_t n = readlinkat(dirfd, name, m->link, sizeof(m->link) - 1);
		m->link[MAX(n, 0)] = '\0';
		if (n <= 0)
			m->what = UNPACK_OTHER;
	}
	if (m->what == UNPACK_FILE && want_fd) {
		_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 || has_xattrs(fd))
			m->what = UNPACK_OTHER; /* said so by the helper: no file that could be linked to */
		else
			*ret_fd = take_fd(&fd);
	}
}

enum step { STEP_FOUND, STEP_HIDDEN, STEP_BELOW };

/* Look in one layer. *@stop: an opaque directory on the way hides what is further below. */
static enum step find_in(int root, const char *path, bool want_fd, bool *stop, struct unpack_msg *m, int *ret_fd)
{
	_cleanup_close_ int held = -EBADF;
	int dir = root;
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");
		char name[256];
		struct stat st;
		if (n == 0 || n >= sizeof(name))
			return STEP_HIDDEN;
		memcpy(name, p, n);
		name[n] = '\0';
		if (strcmp(name, "..") == 0)
			return STEP_HIDDEN;
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? STEP_BELOW : STEP_HIDDEN;
		if (S_ISCHR(st.st_mode))
			return STEP_HIDDEN;
		if (!p[n]) {
			describe(dir, name, want_fd, &st, m, ret_fd);
			return STEP_FOUND;
		}
		int next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return STEP_HIDDEN; /* not a directory here: what is below it in other layers does not show */
		(void) safe_close(held);
		dir = held = next;
		*stop |= is_opaque(next);
		p += n + 1;
	}
}

void lower_find(const int *fds, size_t n, const char *path, bool want_fd, struct unpack_msg *m, int *ret_fd)
{
	bool stop = false;
	for (size_t i = 0; i < n && !stop; i++) {
		enum step s = find_in(fds[i], path, want_fd, &stop, m, ret_fd);
		if (s == STEP_FOUND)
			return;
		if (s == STEP_HIDDEN)
			break;
	}
	m->what = UNPACK_NONE;
}
