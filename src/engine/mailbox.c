/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events between engines on one state: RUN/events/PID.N is the datagram socket of an engine that has readers (or is a daemon); whoever
 * writes an event sends it to each of them, "TENANT\0JSON", without waiting. Monitors send a struct monitor_note. A socket whose owner died refuses, and is removed then.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/events.h"
#include "engine/health.h"
#include "engine/internal.h"

#define MESSAGE_MAX (160u << 10) /* what the default send buffer takes */

struct mailbox {
	pthread_t thread;
	int fd, stop_fd; /* owned */
	char name[48];
};

/* Reached through the directory's descriptor: a path may be longer than sun_path holds. */
static int address(struct sockaddr_un *sa, int dir, const char *name)
{
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	return str_format(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s", dir, name);
}

/* A monitor's word on a container's health, in place of an event. */
static bool take_note(struct engine *e, const char *buf, size_t n)
{
	struct monitor_note note;
	if (n != sizeof(note))
		return false;
	memcpy(&note, buf, sizeof(note));
	if (note.magic != MONITOR_NOTE_MAGIC)
		return false;
	health_note(e, &note);
	return true;
}

static void take_one(struct engine *e, const struct mailbox *m, char *buf)
{
	ssize_t n = recv(m->fd, buf, MESSAGE_MAX, MSG_DONTWAIT);
	if (n <= 0)
		return;
	if (take_note(e, buf, (size_t) n))
		return;
	buf[n] = '\0';
	size_t tenant = strlen(buf);
	if ((size_t) n > tenant + 1)
		(void) events_store(e->events, buf, buf + tenant + 1); /* what is no event is nobody's */
}

static void *run(void *ctx)
{
	struct engine *e = ctx;
	struct mailbox *m = e->mailbox;
	_cleanup_free_ char *buf = malloc(MESSAGE_MAX + 1);
	while (buf) {
		struct pollfd p[2] = {{m->fd, POLLIN, 0}, {m->stop_fd, POLLIN, 0}};
		if (poll(p, ARRAY_LEN(p), -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents)
			break;
		if (p[0].revents)
			take_one(e, m, buf);
	}
	return NULL;
}

static void discard(struct engine *e, struct mailbox *m)
{
	if (!m)
		return;
	char path[64];
	(void) str_format(path, sizeof(path), "events/%s", m->name); /* fits */
	if (m->name[0])
		(void) unlinkat(e->run_fd, path, 0); /* a writer removes it otherwise */
	safe_close(m->fd);
	safe_close(m->stop_fd);
	free(m);
}

static int bind_there(struct engine *e, struct mailbox *m)
{
	struct sockaddr_un sa;
	_cleanup_close_ int dir = mkdir_open_at(e->run_fd, "events", 0700);
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	m->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (dir < 0 || m->fd < 0 || m->stop_fd < 0)
		return dir < 0 ? dir : -errno;
	char name[sizeof(m->name)];
	(void) str_format(name, sizeof(name), "%d.%llx", (int) getpid(), (unsigned long long) now_usec()); /* fits */
	int r = address(&sa, dir, name);
	if (r >= 0)
		r = bind(m->fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 ? -errno : 0;
	if (r >= 0)
		memcpy(m->name, name, sizeof(m->name));
	return r;
}

int mailbox_open(struct engine *e, struct err *err)
{
	int r = 0;
	(void) pthread_mutex_lock(&e->lock);
	if (!e->mailbox) {
		struct mailbox *m = calloc(1, sizeof(*m));
		r = m ? 0 : -ENOMEM;
		if (m) {
			m->fd = m->stop_fd = -EBADF;
			r = bind_there(e, m);
			e->mailbox = m; /* for the thread */
			r = r < 0 ? r : -pthread_create(&m->thread, NULL, run, e);
		}
		if (r < 0) {
			discard(e, e->mailbox);
			e->mailbox = NULL;
		}
	}
	(void) pthread_mutex_unlock(&e->lock);
	return r < 0 ? err_sys(err, r, "making a mailbox for events") : 0;
}

void mailbox_close(struct engine *e)
{
	struct mailbox *m = e->mailbox;
	if (!m)
		return;
	(void) eventfd_write(m->stop_fd, 1); /* cannot fail: the counter is 0 */
	(void) pthread_join(m->thread, NULL); /* fails only for a thread that is none */
	e->mailbox = NULL;
	discard(e, m);
}

static bool is_own(struct engine *e, const char *name)
{
	(void) pthread_mutex_lock(&e->lock);
	bool own = e->mailbox && str_eq(e->mailbox->name, name);
	(void) pthread_mutex_unlock(&e->lock);
	return own;
}

static void send_to(int sock, int dir, const char *name, struct msghdr *msg)
{
	struct sockaddr_un sa;
	if (address(&sa, dir, name) < 0)
		return;
	msg->msg_name = &sa;
	msg->msg_namelen = sizeof(sa);
	if (sendmsg(sock, msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return;
	if (errno == ECONNREFUSED)
		(void) unlinkat(dir, name, 0); /* its engine was killed */
	else
		log_debug("an event for '%s': %s, ignoring: it is full", name, strerrordesc_np(errno));
}

void mailbox_post(struct engine *e, const char *tenant, const char *text)
{
	struct iovec iov[2] = {{(char *) tenant, strlen(tenant) + 1}, {(char *) text, strlen(text)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov)};
	int fd = openat(e->run_fd, "events", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) { /* nobody has a mailbox */
		safe_close(fd);
		return;
	}
	_cleanup_close_ int sock = -EBADF; /* usually nobody is there */
	for (struct dirent *de; (de = readdir(d));) {
		if (de->d_name[0] == '.' || is_own(e, de->d_name))
			continue;
		if (sock < 0)
			sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (sock >= 0)
			send_to(sock, fd, de->d_name, &msg);
	}
	(void) closedir(d);
}
