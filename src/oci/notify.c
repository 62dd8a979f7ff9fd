/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/notify.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fd.h"

#define VARIABLE "NOTIFY_SOCKET"
#define FOLDER "notify"
#define NAME "notify.sock"
#define INSIDE "/run/notify"
#define BARRIER_MS 5000

bool notify_wanted(void)
{
	return !str_empty(getenv(VARIABLE));
}

int notify_prepare(const struct oci *o, const struct container *c, struct runtime_spec *spec, struct err *err)
{
	static char *const options[] = {(char *) "bind", (char *) "nosuid", (char *) "noexec", (char *) "nodev", (char *) "ro", NULL};
	char path[PATH_MAX];
	if (mkdirat(c->dir, FOLDER, 0755) < 0)
		return err_sys(err, -errno, "container '%s': making the directory of its " VARIABLE, c->id);
	int r = str_format(path, sizeof(path), "%s/%s/" FOLDER, o->root, c->id);
	r = r < 0 ? r : runtime_spec_add_mount(spec, INSIDE, "bind", path, options, NULL);
	r = r < 0 ? r : strv_push(&spec->process.env, VARIABLE "=" INSIDE "/" NAME);
	return r < 0 ? err_sys(err, r, "container '%s': " VARIABLE, c->id) : 0;
}

int notify_listen(const struct container *c, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_close_ int dir = openat(c->dir, FOLDER, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0 && errno == ENOENT)
		return -EBADF;
	_cleanup_close_ int sock = dir < 0 ? -errno : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void) snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" NAME, dir);
	/* the command may be anybody inside */
	if (sock < 0 || bind(sock, (struct sockaddr *) &a, sizeof(a)) < 0 || fchmodat(dir, NAME, 0777, 0) < 0)
		return err_sys(err, -errno, "container '%s': making its " VARIABLE, c->id);
	return take_fd(&sock);
}

/* "@name" is an abstract address (sd_notify(3)). */
static int connect_manager(struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *path = getenv(VARIABLE);
	size_t len = path ? strlen(path) : 0;
	if (len == 0 || len >= sizeof(a.sun_path))
		return err_set(err, ERR_INVALID, VARIABLE ": '%.120s' is no address of a unix socket", path ?: "");
	memcpy(a.sun_path, path, len);
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	_cleanup_close_ int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *) &a, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return err_sys(err, -errno, VARIABLE " '%s'", path);
	return take_fd(&sock);
}

/* The manager closes the descriptor when it has read what came before (sd_notify_barrier(3)); one that does not know this is waited for in vain. */
static void await_manager(int sock)
{
	int pair[2];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return;
	int r = send_fds(sock, "BARRIER=1", strlen("BARRIER=1"), &pair[1], 1);
	(void) safe_close(pair[1]);
	struct pollfd p = {.fd = pair[0], .events = POLLIN};
	if (r == 0)
		(void) poll(&p, 1, BARRIER_MS);
	(void) safe_close(pair[0]);
}

static bool says_ready(const char *text)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (str_after(line, "READY=1") && (line[7] == '\0' || line[7] == '\n'))
			return true;
	}
	return false;
}

int notify_take(int sock, pid_t pid, struct err *err)
{
	char text[4097];
	for (;;) {
		ssize_t n = recv(sock, text, sizeof(text) - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : err_sys(err, -errno, "reading the container's notification");
		text[n] = '\0';
		if (says_ready(text))
			break;
	}
	_cleanup_close_ int manager = connect_manager(err);
	if (manager < 0)
		return manager;
	int n = snprintf(text, sizeof(text), "READY=1\nMAINPID=%d", (int) pid);
	int r = send_fds(manager, text, (size_t) n, NULL, 0);
	if (r < 0)
		return err_sys(err, r, VARIABLE);
	await_manager(manager);
	return 1;
}

int notify_wait(int sock, int pidfd, pid_t pid, struct err *err)
{
	for (;;) {
		struct pollfd p[] = {{.fd = sock, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_sys(err, -errno, "poll");
		int r = p[0].revents ? notify_take(sock, pid, err) : 0;
		if (r != 0 || p[1].revents)
			return MIN(r, 0);
	}
}
