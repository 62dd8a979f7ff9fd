/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"

#define CONNECT_TIMEOUT_MS 10000
#define AUTH_LINE_MAX 256
#define BUS "org.freedesktop.DBus"

/* Wait until @events or the deadline. */
static int wait_for(struct dbus_bus *b, short events)
{
	for (;;) {
		usec_t now = now_usec();
		if (now >= b->deadline)
			return -ETIMEDOUT;
		struct pollfd p = {.fd = b->fd, .events = events};
		int n = poll(&p, 1, (int) MIN((b->deadline - now) / USEC_PER_MSEC + 1, (usec_t) 60000));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_bytes(struct dbus_bus *b, const void *bytes, size_t len)
{
	const char *p = bytes;
	while (len > 0) {
		ssize_t n = send(b->fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			int r = wait_for(b, POLLOUT);
			if (r < 0)
				return r;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t) n;
	}
	return 0;
}

static int recv_bytes(struct dbus_bus *b, void *bytes, size_t len)
{
	char *p = bytes;
	while (len > 0) {
		ssize_t n = recv(b->fd, p, len, 0);
		if (n < 0 && errno == EAGAIN) {
			int r = wait_for(b, POLLIN);
			if (r < 0)
				return r;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		p += n;
		len -= (size_t) n;
	}
	return 0;
}

/* A line of the authentication, without its end. Byte by byte: what follows it is not ours to read yet. */
static int auth_line(struct dbus_bus *b, char *line)
{
	for (size_t n = 0; n < AUTH_LINE_MAX; n++) {
		int r = recv_bytes(b, line + n, 1);
		if (r < 0)
			return r;
		if (line[n] == '\n') {
			line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
			return 0;
		}
	}
	return -EMSGSIZE;
}

/* SASL EXTERNAL with the answer left empty: the peer takes who we are from the socket (SO_PEERCRED). A name of our own would be wrong inside a user namespace.
 *   ours                        theirs
 *   \0 AUTH EXTERNAL DATA BEGIN
 *                               DATA, OK guid
 * All of ours goes out at once, as sd-bus does it, and no message before the OK: systemd's side reads BEGIN and what comes with it in one piece, and would not look
 * at a message in there until more bytes came. */
static int authenticate(struct dbus_bus *b)
{
	static const char ours[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
	char line[AUTH_LINE_MAX];
	int r = send_bytes(b, ours, sizeof(ours) - 1);
	if (r == 0)
		r = auth_line(b, line);
	if (r == 0 && strncmp(line, "DATA", 4) == 0)
		r = auth_line(b, line);
	if (r < 0)
		return r;
	return strncmp(line, "OK ", 3) == 0 || strcmp(line, "OK") == 0 ? 0 : -EACCES;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One "unix:key=value,key=value" into a socket's address; values are escaped like URLs. Return: the address's length, -EINVAL. */
static int parse_address(const char *text, size_t n, struct sockaddr_un *a)
{
	size_t used = 0;
	if (n < 5 || strncmp(text, "unix:", 5) != 0)
		return -EINVAL;
	for (size_t i = 5; i < n;) {
		size_t k = strcspn(text + i, ",;");
		k = MIN(k, n - i);
		const char *value = k > 5 && strncmp(text + i, "path=", 5) == 0 ? text + i + 5 : k > 9 && strncmp(text + i, "abstract=", 9) == 0 ? text + i + 9 : NULL;
		if (value) {
			used = 0;
			bool abstract = text[i] == 'a';
			if (abstract)
				a->sun_path[used++] = '\0';
			for (const char *p = value; p < text + i + k; p++) {
				bool escaped = *p == '%' && p + 2 < text + i + k && hex(p[1]) >= 0 && hex(p[2]) >= 0;
				if (used + 1 >= sizeof(a->sun_path))
					return -ENAMETOOLONG;
				a->sun_path[used++] = escaped ? (char) (hex(p[1]) << 4 | hex(p[2])) : *p;
				p += escaped ? 2 : 0;
			}
			if (!abstract)
				a->sun_path[used++] = '\0';
		}
		i += k + 1;
	}
	return used > 1 ? (int) (offsetof(struct sockaddr_un, sun_path) + used) : -EINVAL;
}

static int connect_one(struct dbus_bus *b, const char *text, size_t n)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int len;
	if (text[0] == '/') {
		if (n >= sizeof(a.sun_path))
			return -ENAMETOOLONG;
		memcpy(a.sun_path, text, n);
		len = (int) sizeof(a);
	} else
		len = parse_address(text, n, &a);
	if (len < 0)
		return len;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *) &a, (socklen_t) len) < 0)
		return -errno;
	b->fd = take_fd(&fd);
	b->direct = text[0] == '/';
	return 0;
}

int dbus_connect(struct dbus_bus *b, const char *address, struct err *err)
{
	int r = -ENOENT;
	*b = DBUS_BUS_NULL;
	for (const char *p = address; *p && b->fd < 0; p += *p == ';') {
		size_t n = strcspn(p, ";");
		r = n ? connect_one(b, p, n) : r;
		p += n;
	}
	if (b->fd < 0) {
		if (r == -ENOENT || r == -ECONNREFUSED || r == -EACCES)
			return err_set(err, ERR_NOT_FOUND, "nobody answers at '%s' (%s)", address, r == -EACCES ? "permission denied" : r == -ENOENT ? "no such socket" : "connection refused");
		return err_sys(err, r, "connecting to '%s'", address);
	}
	b->deadline = now_usec() + (usec_t) CONNECT_TIMEOUT_MS * USEC_PER_MSEC;
	r = authenticate(b);
	if (r < 0) {
		dbus_close(b);
		return err_sys(err, r, "authenticating at '%s'", address);
	}
	r = b->direct ? 0 : dbus_call(b, BUS, "/org/freedesktop/DBus", BUS, "Hello", "", NULL, CONNECT_TIMEOUT_MS, NULL, err);
	if (r < 0)
		dbus_close(b);
	return r;
}

void dbus_close(struct dbus_bus *b)
{
	b->fd = safe_close(b->fd);
	free(b->in);
	b->in = NULL;
}

/* The next message, whatever it is. */
static int receive(struct dbus_bus *b, struct dbus_message *ret, struct err *err)
{
	uint8_t head[DBUS_HEAD];
	size_t n;
	int r = recv_bytes(b, head, sizeof(head));
	if (r == 0)
		r = dbus_message_size(head, &n);
	if (r < 0)
		return err_sys(err, r, "waiting for a message");
	free(b->in);
	b->in = malloc(n);
	if (!b->in)
		return err_oom(err);
	memcpy(b->in, head, sizeof(head));
	r = n > sizeof(head) ? recv_bytes(b, b->in + sizeof(head), n - sizeof(head)) : 0;
	if (r == 0)
		r = dbus_message_parse(b->in, n, ret);
	return r < 0 ? err_sys(err, r, "reading a message") : 0;
}

/* "name: text", both the peer's and so made plain. */
static int tell_error(const struct dbus_message *m, struct err *err)
{
	struct dbus_cursor c = m->body;
	char text[400];
	const char *words = m->signature[0] == 's' ? dbus_get_str(&c) : "";
	(void) snprintf(text, sizeof(text), "%.120s%s%.250s", m->error, *words ? ": " : "", words);
	for (char *p = text; *p; p++)
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			*p = ' ';
	(void) err_set(err, ERR_SYSTEM, "%s", text);
	err->sys = -EREMOTEIO;
	return -EREMOTEIO;
}

int dbus_call(struct dbus_bus *b, const char *dest, const char *path, const char *interface, const char *member, const char *signature, const struct strbuf *body,
	      int timeout_ms, struct dbus_message *reply, struct err *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(DBUS_MESSAGE_MAX);
	uint32_t serial = ++b->serial;
	dbus_put_call(&out, serial, b->direct ? NULL : dest, path, interface, member, signature, body);
	int r = strbuf_err(&out);
	b->deadline = now_usec() + (usec_t) timeout_ms * USEC_PER_MSEC;
	if (r == 0)
		r = send_bytes(b, out.s, out.len);
	if (r < 0)
		return err_sys(err, r, "calling %s", member);
	for (;;) {
		struct dbus_message m;
		r = receive(b, &m, err);
		if (r < 0)
			return err_wrap(err, "calling %s", member);
		if (m.type == DBUS_SIGNAL && b->on_signal)
			b->on_signal(b->ctx, &m);
		if (m.type == DBUS_ERROR && m.reply_serial == serial)
			return tell_error(&m, err);
		if (m.type == DBUS_RETURN && m.reply_serial == serial) {
			if (reply)
				*reply = m;
			return 0;
		}
	}
}

int dbus_match(struct dbus_bus *b, const char *rule, struct err *err)
{
	if (b->direct)
		return 0;
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(4096);
	dbus_put_str(&body, rule);
	return dbus_call(b, BUS, "/org/freedesktop/DBus", BUS, "AddMatch", "s", &body, CONNECT_TIMEOUT_MS, NULL, err);
}

int dbus_next_signal(struct dbus_bus *b, usec_t deadline, struct dbus_message *ret, struct err *err)
{
	b->deadline = deadline;
	for (;;) {
		int r = receive(b, ret, err);
		if (r < 0)
			return r;
		if (ret->type == DBUS_SIGNAL)
			return 0;
	}
}
