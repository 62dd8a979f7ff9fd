/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's side. RUN/dns/lock orders three things: whoever speaks holds it shared, whoever starts a server holds it alone, and a server that wants to end
 * takes it alone without waiting: it never ends under somebody's words.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "dns/proto.h"
#include "kernel/spawn.h"

#define SEND_PATIENCE_S 2
#define LOG_NAME "log"
#define LOG_MAX 4096

struct channel {
	int dir, lock; /* owned */
	int sock;      /* owned; connected, -EBADF: nobody is there */
};
#define CHANNEL_INIT {.dir = -EBADF, .lock = -EBADF, .sock = -EBADF}

static void channel_close(struct channel *c)
{
	c->sock = safe_close(c->sock);
	c->lock = safe_close(c->lock);
	c->dir = safe_close(c->dir);
}
#define _cleanup_channel_ _cleanup_(channel_close)

static int open_lock(int dir)
{
	int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* Reached through the directory's descriptor: a path may be longer than sun_path holds. */
static void address(struct sockaddr_un *sa, int dir)
{
	*sa = (struct sockaddr_un) {.sun_family = AF_UNIX};
	(void) str_format(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/" DNS_SOCKET, dir); /* fits */
}

/* Return: 1 connected, 0 nobody is there, -errno. */
static int reach(struct channel *c)
{
	struct sockaddr_un sa;
	const struct timeval patience = {.tv_sec = SEND_PATIENCE_S};
	address(&sa, c->dir);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *) &sa, sizeof(sa)) < 0)
		return errno == ENOENT || errno == ECONNREFUSED ? 0 : -errno;
	c->sock = take_fd(&fd);
	return 1;
}

static int lock_it(int fd, int how)
{
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* The lock, shared, and the socket if somebody is there. @make: the directory and the lock, when they are missing. Return as reach(). */
static int channel_open(struct channel *c, int run_fd, bool make)
{
	c->dir = make ? mkdir_open_at(run_fd, DNS_DIR, 0700) : openat(run_fd, DNS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->dir < 0)
		return !make && (c->dir == -ENOENT || errno == ENOENT) ? 0 : c->dir < -1 ? c->dir : -errno;
	c->lock = open_lock(c->dir);
	int r = c->lock < 0 ? c->lock : lock_it(c->lock, LOCK_SH);
	return r < 0 ? r : reach(c);
}

/* Starting */

static int listening(int dir)
{
	struct sockaddr_un sa;
	address(&sa, dir);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || (unlinkat(dir, DNS_SOCKET, 0) < 0 && errno != ENOENT))
		return -errno;
	if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *) &sa, sizeof(sa)) < 0) /* unix(7): the socket's mode is the file's, less the umask */
		return -errno;
	return take_fd(&fd);
}

static int failed(int dir, const char *path, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(dir, LOG_NAME, LOG_MAX, &text);
	if (n > 0)
		text[strcspn(text, "\n")] = '\0';
	return err_set(err, ERR_SYSTEM, "'%s' did not start: %s", path, n > 0 && str_is_plain(text) ? text : "it does not say why");
}

static int spawn(int dir, const char *libexec_dir, struct err *err)
{
	_cleanup_free_ char *path = str_printf("%s/coffer-dns", libexec_dir);
	_cleanup_close_ int sock = listening(dir);
	_cleanup_close_ int lock = open_lock(dir); /* a lock of its own, not ours */
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int log = openat(dir, LOG_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (!path)
		return err_oom(err);
	if (sock < 0 || lock < 0 || null < 0 || log < 0)
		return err_sys(err, sock < 0 ? sock : lock < 0 ? lock : -errno, "preparing '%s'", path);
	struct spawn_fd fds[] = {{null, 0}, {null, 1}, {log, 2}, {sock, DNS_FD_SOCKET}, {lock, DNS_FD_LOCK}};
	char *argv[] = {(char *) "coffer-dns", NULL}, *envp[] = {NULL};
	struct pidref child = PIDREF_NULL;
	int status = 0, r = spawn_program(path, argv, envp, fds, ARRAY_LEN(fds), &child);
	if (r < 0)
		return err_sys(err, r, "starting '%s'", path);
	safe_close(child.fd);
	r = process_wait(child.pid, &status); /* it leaves the server behind once that is confined */
	if (r < 0)
		return err_sys(err, r, "waiting for '%s'", path);
	return exit_code_from_status(status) != 0 ? failed(dir, path, err) : 0;
}

/* Alone with the lock: is one there by now? Else start it. Return: 1 started, 0 there. */
static int start(struct channel *c, const char *libexec_dir, struct err *err)
{
	int r = lock_it(c->lock, LOCK_EX); /* gives the shared one up first, so two that do this do not block each other */
	r = r < 0 ? r : reach(c);
	if (r != 0)
		return r < 0 ? err_sys(err, r, "reaching the name server") : 0;
	r = spawn(c->dir, libexec_dir, err);
	if (r < 0)
		return r;
	r = fault_point("dns.start.spawned", err);
	if (r < 0)
		return r;
	r = reach(c);
	if (r <= 0)
		return err_sys(err, r < 0 ? r : -ECONNREFUSED, "reaching the name server");
	return 1;
}

static int ensure(struct channel *c, int run_fd, const char *libexec_dir, struct err *err)
{
	int r = channel_open(c, run_fd, /* make= */ true);
	if (r < 0)
		return err_sys(err, r, "reaching the name server");
	return r > 0 ? 0 : start(c, libexec_dir, err);
}

/* What engines call */

int dns_ensure(int run_fd, const char *libexec_dir, struct err *err)
{
	_cleanup_channel_ struct channel c = CHANNEL_INIT;
	return ensure(&c, run_fd, libexec_dir, err);
}

int dns_tell(int run_fd, const char *libexec_dir, const struct dns_container *ctr, struct err *err)
{
	_cleanup_channel_ struct channel c = CHANNEL_INIT;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(DNS_TEXT_MAX);
	int r = dns_told_write(ctr, &text, err);
	int started = r < 0 ? r : ensure(&c, run_fd, libexec_dir, err);
	if (started < 0)
		return started;
	r = send_fds(c.sock, text.s, text.len, NULL, 0);
	return r < 0 ? err_sys(err, r, "telling the name server of '%s'", ctr->name) : started;
}

/* "@verb @id" to a server that is there. Return: 0; -ENOENT: none is. */
static int say(int run_fd, const char *verb, const char *id, const int *fds, size_t n_fds)
{
	_cleanup_channel_ struct channel c = CHANNEL_INIT;
	char text[ID_LEN + 16];
	int r = channel_open(&c, run_fd, /* make= */ false);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	int n = str_format(text, sizeof(text), "%s %s\n", verb, id);
	return n < 0 ? n : send_fds(c.sock, text, (size_t) n, fds, n_fds);
}

int dns_give(int run_fd, const char *id, const int sockets[DNS_SOCKETS])
{
	int r = say(run_fd, "sockets", id, sockets, DNS_SOCKETS);
	return r == -ENOENT ? -ECONNREFUSED : r;
}

int dns_forget(int run_fd, const char *id)
{
	int r = say(run_fd, "forget", id, NULL, 0);
	return r == -ENOENT ? 0 : r;
}

int dns_watch(int run_fd)
{
	_cleanup_channel_ struct channel c = CHANNEL_INIT;
	int ends[2], r = channel_open(&c, run_fd, /* make= */ false);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	_cleanup_close_ int ours = ends[0], theirs = ends[1];
	r = send_fds(c.sock, "watch\n", 6, &theirs, 1);
	return r < 0 ? r : take_fd(&ours);
}
