/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int safe_close(int fd)
{
	if (fd >= 0) {
		int e = errno;
		(void) close(fd); /* Linux frees the number even on EINTR: retrying would close another thread's */
		errno = e;
	}
	return -EBADF;
}

int write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t) n;
	}
	return 0;
}

ssize_t read_full(int fd, void *buf, size_t len)
{
	size_t got = 0;
	while (got < len) {
		ssize_t n = read(fd, (char *) buf + got, len - got);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			break;
		got += (size_t) n;
	}
	return (ssize_t) got;
}

int write_file(int dfd, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(dfd, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t len = strlen(text);
	ssize_t n;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t) n == len ? 0 : -EIO;
}

ssize_t read_file(int dfd, const char *path, size_t max, char **ret)
{
	_cleanup_close_ int fd = openat(dfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	size_t cap = 4096, len = 0;
	_cleanup_free_ char *buf = malloc(cap);
	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read_full(fd, buf + len, cap - len - 1);
		if (n < 0)
			return n;
		len += (size_t) n;
		if (len > max)
			return -EFBIG;
		if (len < cap - 1)
			break;
		char *p = realloc(buf, cap *= 2);
		if (!p)
			return -ENOMEM;
		buf = p;
	}
	buf[len] = '\0';
	*ret = take_ptr(buf);
	return (ssize_t) len;
}

int write_file_atomic(int dfd, const char *path, const void *buf, size_t len, mode_t mode)
{
	static unsigned counter;
	char tmp[300];
	int n = snprintf(tmp, sizeof(tmp), "%s.tmp.%d.%u", path, (int) gettid(), __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED));
	if (n < 0 || (size_t) n >= sizeof(tmp))
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = openat(dfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, buf, len);
	if (r >= 0 && renameat(dfd, tmp, dfd, path) < 0)
		r = -errno;
	if (r < 0)
		(void) unlinkat(dfd, tmp, 0); /* best effort: the name is ours alone */
	return r;
}

int send_fds(int sock, const void *buf, size_t len, const int *fds, size_t nfds)
{
	assert(len > 0 && nfds <= 253);
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(253 * sizeof(int))];
	} u;
	struct iovec io = {.iov_base = (void *) buf, .iov_len = len};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
	if (nfds > 0) {
		m.msg_control = u.b;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		memset(u.b, 0, m.msg_controllen);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(h), fds, nfds * sizeof(int));
	}
	ssize_t n;
	do
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t) n == len ? 0 : -EIO;
}

ssize_t recv_fds(int sock, void *buf, size_t len, int *fds, size_t *nfds)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(253 * sizeof(int))];
	} u;
	struct iovec io = {.iov_base = buf, .iov_len = len};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = u.b, .msg_controllen = sizeof(u.b)};
	size_t room = *nfds, got = 0;
	ssize_t n;
	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	bool overflow = m.msg_flags & (MSG_CTRUNC | MSG_TRUNC);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t k = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < k; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (got < room)
				fds[got++] = fd;
			else {
				safe_close(fd);
				overflow = true;
			}
		}
	}
	if (overflow) {
		for (size_t i = 0; i < got; i++)
			safe_close(fds[i]);
		*nfds = 0;
		return -EMSGSIZE;
	}
	*nfds = got;
	return n;
}

int fd_set_nonblock(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);
	if (fl < 0)
		return -errno;
	int want = on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK;
	return want != fl && fcntl(fd, F_SETFL, want) < 0 ? -errno : 0;
}

/*
 * Depth-first with one held descriptor a level, but never more than RM_LEVELS of them: a directory further down is first renamed
 * up into the top one and gets its turn there, so a tree of any depth goes with a bounded number of descriptors and bounded stack.
 */
enum { RM_LEVELS = 48 };
struct rm {
	int top; /* borrowed; the directory that goes */
	dev_t dev;
	unsigned counter;
	bool moved; /* something was put into the top: read it once more */
};

static int rm_lift(struct rm *rm, int dfd, const char *name)
{
	char to[32];
	for (;;) {
		(void) snprintf(to, sizeof(to), ".rm-%u", rm->counter++);
		if (renameat2(dfd, name, rm->top, to, RENAME_NOREPLACE) == 0)
			break;
		if (errno != EEXIST)
			return -errno;
	}
	rm->moved = true;
	return 0;
}

static int rm_contents(struct rm *rm, int fd_consume, int level);

static int rm_entry(struct rm *rm, int dfd, const char *name, int level)
{
	if (unlinkat(dfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (level >= RM_LEVELS)
		return rm_lift(rm, dfd, name);
	int fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = rm_contents(rm, fd, level + 1);
	if (r == 0 && unlinkat(dfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

static int rm_contents(struct rm *rm, int fd_consume, int level)
{
	struct stat st;
	DIR *d = fdopendir(fd_consume);
	if (!d) {
		safe_close(fd_consume);
		return -ENOMEM;
	}
	int r = fstat(dirfd(d), &st) < 0 ? -errno : st.st_dev != rm->dev ? -EXDEV : 0;
	struct dirent *e;
	while (r == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = rm_entry(rm, dirfd(d), e->d_name, level);
	(void) closedir(d);
	return r;
}

int rm_rf_at(int dfd, const char *name)
{
	if (unlinkat(dfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	_cleanup_close_ int top = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (top < 0 || fstat(top, &st) < 0)
		return -errno;
	struct rm rm = {.top = top, .dev = st.st_dev};
	int r;
	do {
		rm.moved = false;
		int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = fd < 0 ? -errno : rm_contents(&rm, fd, 0);
	} while (r == 0 && rm.moved);
	if (r == 0 && unlinkat(dfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int mkdir_open_at(int dfd, const char *name, mode_t mode)
{
	if (mkdirat(dfd, name, mode) < 0 && errno != EEXIST)
		return -errno;
	int fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
