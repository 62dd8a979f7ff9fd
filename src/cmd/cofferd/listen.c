/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cofferd/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"

#define GROUP_FILE "/etc/group"
#define GROUP_FILE_MAX (4 << 20)
#define DEFAULT_GROUP "coffer"

/* "name:password:gid:members". Return: 1 when @line is @name's. */
static int group_line(const char *line, const char *name, gid_t *ret)
{
	const char *p = str_after(line, name);
	uint32_t gid;
	char number[16];
	if (!p || *p != ':' || !(p = strchr(p + 1, ':')))
		return 0;
	size_t n = strcspn(++p, ":\n");
	if (str_format(number, sizeof(number), "%.*s", (int) MIN(n, sizeof(number)), p) < 0 || parse_u32(number, &gid) < 0)
		return 0;
	*ret = gid;
	return 1;
}

int group_find(const char *name, gid_t *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(AT_FDCWD, GROUP_FILE, GROUP_FILE_MAX, &text);
	if (n == -ENOENT)
		return 0;
	if (n < 0)
		return err_sys(err, (int) n, "reading %s", GROUP_FILE);
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (group_line(line, name, ret))
			return 1;
	return 0;
}

static int choose_group(const char *name, gid_t *ret, struct err *err)
{
	*ret = 0;
	int r = group_find(name ? name : DEFAULT_GROUP, ret, err);
	if (r == 0 && name && parse_u32(name, ret) == 0)
		return 0;
	if (r == 0 && name)
		return err_set(err, ERR_INVALID, "group: '%.64s' is not in %s", name, GROUP_FILE);
	return MIN(r, 0);
}

/*
 * Is a daemon listening there? A listener can outlive who made it, in the hands of a child that was killed midway to its exec: SO_PEERCRED
 * of a listening socket names who called listen(2) (unix(7)). 0: in another pid namespace, so nobody we could look for. Return: 1, 0, <0.
 */
static int is_alive(const struct sockaddr_un *sa)
{
	struct ucred maker;
	socklen_t n = sizeof(maker);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *) sa, sizeof(*sa)) < 0)
		return errno == EAGAIN ? 1 : errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &maker, &n) < 0)
		return -errno;
	return maker.pid == 0 || kill(maker.pid, 0) == 0 || errno != ESRCH;
}

static int clear_place(const struct sockaddr_un *sa, struct err *err)
{
	struct stat st;
	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "looking at '%s'", sa->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_CONFLICT, "'%s' is there and is no socket: it is not replaced", sa->sun_path);
	int r = is_alive(sa);
	if (r < 0)
		return err_sys(err, r, "looking whether somebody listens on '%s'", sa->sun_path);
	if (r > 0)
		return err_set(err, ERR_CONFLICT, "another daemon listens on '%s'", sa->sun_path);
	return unlink(sa->sun_path) < 0 && errno != ENOENT ? err_sys(err, -errno, "removing the old socket '%s'", sa->sun_path) : 0;
}

/* Bound under a name nobody knows, given its mode and group, then renamed: nobody ever connects to a socket that is still open to more. */
static int bind_there(const struct sockaddr_un *sa, gid_t gid, struct err *err)
{
	struct sockaddr_un temp = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, -errno, "making a socket");
	if (str_format(temp.sun_path, sizeof(temp.sun_path), "%s.%d", sa->sun_path, (int) getpid()) < 0)
		return err_set(err, ERR_INVALID, "hosts: the socket's path '%s' is too long", sa->sun_path);
	mode_t before = umask(0177);
	int r = bind(fd, (const struct sockaddr *) &temp, sizeof(temp)) < 0 ? -errno : 0;
	(void) umask(before);
	if (r < 0)
		return err_sys(err, r, "binding '%s'", sa->sun_path);
	if (lchown(temp.sun_path, 0, gid) < 0 || chmod(temp.sun_path, 0660) < 0 || listen(fd, SOMAXCONN) < 0 || rename(temp.sun_path, sa->sun_path) < 0) {
		r = -errno;
		(void) unlink(temp.sun_path); /* ours, and of no use */
		return err_sys(err, r, "giving '%s' to its group", sa->sun_path);
	}
	return take_fd(&fd);
}

static int listen_unix(struct listeners *l, const char *path, gid_t gid, struct err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (str_copy(sa.sun_path, sizeof(sa.sun_path), path) < 0)
		return err_set(err, ERR_INVALID, "hosts: the socket's path '%.200s' is too long", path);
	int r = clear_place(&sa, err);
	if (r < 0)
		return r;
	char *copy = strdup(path);
	int fd = copy ? bind_there(&sa, gid, err) : err_oom(err);
	if (fd < 0) {
		free(copy);
		return fd;
	}
	l->fds[l->n] = fd;
	l->paths[l->n++] = copy;
	return 0;
}

/* Return: how many descriptors the service manager handed over to this process. */
static size_t handed_over(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	uint32_t p, count;
	if (str_empty(pid) || str_empty(n) || parse_u32(pid, &p) < 0 || parse_u32(n, &count) < 0 || p != (uint32_t) getpid())
		return 0;
	return MIN(count, (uint32_t) LISTEN_MAX);
}

static int check_handed(int fd, struct err *err)
{
	int domain = 0, type = 0, on = 0;
	socklen_t n = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) < 0)
		return err_sys(err, -errno, "LISTEN_FDS: descriptor %d is no socket", fd);
	if (domain != AF_UNIX || type != SOCK_STREAM || !on)
		return err_set(err, ERR_INVALID, "LISTEN_FDS: descriptor %d is no listening unix stream socket", fd);
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? err_sys(err, -errno, "LISTEN_FDS: descriptor %d", fd) : 0;
}

static int listen_handed(struct listeners *l, size_t n, struct err *err)
{
	if (n == 0)
		return err_set(err, ERR_INVALID, "hosts: fd:// says that a service manager hands the sockets over, but none came (LISTEN_FDS)");
	for (size_t i = 0; i < n; i++) {
		int fd = LISTEN_FDS_START + (int) i, r = check_handed(fd, err);
		if (r < 0)
			return r;
		if (l->n == LISTEN_MAX)
			return err_set(err, ERR_INVALID, "hosts: more than %d sockets", LISTEN_MAX);
		l->fds[l->n++] = fd;
	}
	return 0;
}

/* The group may go through the run directory to its socket, and see nothing else there. */
static int open_run_dir(const char *run_dir, gid_t gid, struct err *err)
{
	if (gid == 0)
		return 0;
	_cleanup_close_ int fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fchown(fd, 0, gid) < 0 || fchmod(fd, 0710) < 0)
		return err_sys(err, -errno, "letting the group into '%s'", run_dir);
	return 0;
}

static int listen_default(struct listeners *l, size_t handed, gid_t gid, const char *run_dir, struct err *err)
{
	char path[PATH_MAX];
	if (handed)
		return listen_handed(l, handed, err);
	if (str_format(path, sizeof(path), "%s/coffer.sock", run_dir) < 0)
		return err_set(err, ERR_INVALID, "exec-root: the path is too long");
	return listen_unix(l, path, gid, err);
}

int listen_open(struct listeners *l, char *const *hosts, const char *group, const char *run_dir, struct err *err)
{
	gid_t gid;
	size_t handed = handed_over();
	*l = (struct listeners) {.n = 0};
	int r = choose_group(group, &gid, err);
	r = r < 0 ? r : open_run_dir(run_dir, gid, err);
	if (r >= 0 && !hosts)
		r = listen_default(l, handed, gid, run_dir, err);
	STRV_FOREACH(host, hosts) {
		if (r < 0)
			break;
		if (l->n == LISTEN_MAX)
			r = err_set(err, ERR_INVALID, "hosts: more than %d sockets", LISTEN_MAX);
		else
			r = str_eq(host, "fd://") ? listen_handed(l, handed, err) : listen_unix(l, str_after(host, "unix://"), gid, err);
	}
	if (r < 0)
		listen_close(l);
	return r;
}

void listen_close(struct listeners *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->paths[i])
			(void) unlink(l->paths[i]); /* the next daemon replaces it otherwise */
		l->fds[i] = safe_close(l->fds[i]);
		free(take_ptr(l->paths[i]));
	}
	l->n = 0;
}
