/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's end of src/monitor/proto.h: spawning a monitor, connecting to one, one request and its reply. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/internal.h"
#include "kernel/spawn.h"

#define FDS_MAX MONITOR_HOLD_FDS

static int add_env(char ***env, const char *key, const char *value)
{
	return strv_push_take(env, str_printf("%s=%s", key, value));
}

/* For the reaper that the monitor may become: where the state is, and what else of the engine's own the caller had set. */
int link_env(struct engine *e, char ***env)
{
	static const char *const own[] = {"COFFER_ROOT=", "COFFER_RUN=", "COFFER_LIBEXEC="};
	for (char **v = environ; v && *v; v++) {
		bool mine = !str_after(*v, "COFFER_");
		for (size_t i = 0; i < ARRAY_LEN(own); i++)
			mine |= str_after(*v, own[i]) != NULL;
		if (!mine && strv_push(env, *v) < 0)
			return -ENOMEM;
	}
	int r = add_env(env, "COFFER_ROOT", e->state_dir);
	r = r < 0 ? r : add_env(env, "COFFER_RUN", e->run_dir);
	return r < 0 ? r : add_env(env, "COFFER_LIBEXEC", e->libexec_dir);
}

int link_spawn(struct engine *e, const char *id, pid_t *ret_pid, struct err *err)
{
	_cleanup_strv_ char **env = NULL;
	_cleanup_free_ char *path = str_printf("%s/coffer-monitor", e->libexec_dir);
	char short_id[ID_SHORT_LEN + 1];
	int sp[2];
	if (!path || link_env(e, &env) < 0)
		return err_oom(err);
	if (id[0])
		memcpy(short_id, id, ID_SHORT_LEN);
	else
		memset(short_id, '-', ID_SHORT_LEN); /* room for it (monitor.h, "title") */
	short_id[ID_SHORT_LEN] = '\0';
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sp) < 0)
		return err_sys(err, -errno, "a socket for the monitor");
	_cleanup_close_ int ours = sp[0], theirs = sp[1];
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_sys(err, -errno, "opening /dev/null");
	struct spawn_fd fds[] = {{null, 0}, {null, 1}, {null, 2}, {theirs, 3}};
	char *argv[] = {(char *) "coffer-monitor", short_id, NULL};
	struct pidref child = PIDREF_NULL;
	int r = spawn_program(path, argv, env, fds, ARRAY_LEN(fds), &child);
	if (r < 0)
		return err_sys(err, r, "starting '%s'", path);
	(void) safe_close(child.fd);
	*ret_pid = child.pid;
	return take_fd(&ours);
}

/* The path may be longer than sun_path holds: it is reached through the bundle's descriptor. */
int link_connect(struct engine *e, const char *id, struct err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_close_ int dir = bundle_open(e, id);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (dir < 0 || fd < 0)
		return err_sys(err, dir < 0 ? dir : -errno, "reaching the container's monitor");
	(void) str_format(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/ctl", dir);
	if (connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
		return err_sys(err, -errno, "reaching the container's monitor");
	return take_fd(&fd);
}

int link_send(int fd, enum monitor_verb verb, uint32_t seq, const void *payload, size_t len, const void *more, size_t more_len, const int *fds, size_t n_fds, struct err *err)
{
	struct monitor_header h = {.verb = verb, .seq = seq, .len = (uint32_t) (len + more_len)};
	struct iovec iov[3] = {{&h, sizeof(h)}, {(void *) payload, len}, {(void *) more, more_len}};
	union {
		char buf[CMSG_SPACE(sizeof(int) * FDS_MAX)];
		struct cmsghdr align;
	} control = {0};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};
	assert(len + more_len <= MONITOR_PAYLOAD_MAX && n_fds <= FDS_MAX);
	if (n_fds) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cm), fds, sizeof(int) * n_fds);
	}
	ssize_t n;
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(err, -errno, "talking to the monitor") : 0;
}

int link_recv(int fd, uint32_t seq, void *buf, size_t size, struct err *err)
{
	struct monitor_header h;
	char payload[1024];
	for (;;) {
		struct iovec iov[2] = {{&h, sizeof(h)}, {payload, sizeof(payload)}};
		struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
		ssize_t n;
		do
			n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return err_sys(err, -errno, "listening to the monitor");
		if (n == 0)
			return err_sys(err, -EPIPE, "the monitor has gone");
		if ((size_t) n < sizeof(h) || h.len != (size_t) n - sizeof(h) || (msg.msg_flags & MSG_TRUNC))
			return err_set(err, ERR_CORRUPT, "the monitor sent a message that is not one");
		if (h.verb == MONITOR_REPLY && h.seq == seq)
			break;
	}
	if (h.result < 0 && h.len == sizeof(struct err)) {
		struct err theirs;
		memcpy(&theirs, payload, sizeof(theirs));
		theirs.msg[sizeof(theirs.msg) - 1] = '\0';
		if (theirs.kind == ERR_NONE || theirs.kind >= ERR_KIND_MAX_ || theirs.sys >= 0)
			return err_set(err, ERR_SYSTEM, "the monitor failed without a reason");
		if (err)
			*err = theirs;
		return theirs.sys;
	}
	if (h.result < 0)
		return err_sys(err, h.result, "the monitor refused");
	memcpy(buf, payload, MIN(size, (size_t) h.len));
	return (int) h.len;
}

int link_call(int fd, enum monitor_verb verb, const void *payload, size_t len, void *reply, size_t reply_size, struct err *err)
{
	char none[1];
	int r = link_send(fd, verb, 1, payload, len, NULL, 0, NULL, 0, err);
	r = r < 0 ? r : link_recv(fd, 1, reply ?: none, reply ? reply_size : 0, err);
	if (r >= 0 && (size_t) r < reply_size)
		return err_set(err, ERR_CORRUPT, "the monitor's answer is %d bytes short of %zu", r, reply_size);
	return r;
}
