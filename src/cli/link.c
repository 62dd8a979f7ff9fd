/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/link.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

/* Return: socket, or -errno. */
static int connect_unix(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (str_copy(a.sun_path, sizeof(a.sun_path), path) < 0)
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *) &a, sizeof(a)) < 0)
		return -errno;
	return take_fd(&fd);
}

#define HOST_EMBEDDED "embedded"

static int connect_host(const char *host, struct err *err)
{
	const char *path = str_after(host, "unix://");
	if (!path && *host == '/')
		path = host;
	if (!path || *path != '/')
		return err_set(err, ERR_INVALID, "host '%.200s' cannot be used: it is unix:///PATH, or " HOST_EMBEDDED, host);
	int fd = connect_unix(path);
	if (fd < 0) {
		return err_set(err, ERR_SYSTEM, "cannot connect to the engine at unix://%.200s: %s: is cofferd running?", path, strerrordesc_np(-fd));
	}
	return fd;
}

/* The engine's last message before it left: the error that kept it from serving. Return: negative errno, 0: it said nothing. */
static int last_words(int control_fd, struct err *err)
{
	struct err e;
	for (int tries = 0; tries < 2; tries++) { /* a reset is told before the queued message */
		ssize_t n = recv(control_fd, &e, sizeof(e), MSG_DONTWAIT);
		if (n == sizeof(e) && e.kind > ERR_NONE && e.kind < ERR_KIND_MAX_ && e.sys < 0) {
			e.msg[sizeof(e.msg) - 1] = '\0';
			*err = e;
			return e.sys;
		}
		if (n >= 0 || errno != ECONNRESET)
			break;
	}
	return 0;
}

int link_lost(struct cli *cli, int r, struct err *err)
{
	if (cli->control_fd >= 0 && cli->engine_died.kind == ERR_NONE)
		(void) last_words(cli->control_fd, &cli->engine_died); /* said once, told for every call that failed by it */
	if (cli->engine_died.kind != ERR_NONE) {
		if (err)
			*err = cli->engine_died;
		return cli->engine_died.sys;
	}
	if (r == -EPROTO)
		return err_set(err, ERR_CORRUPT, "the engine's answer is not HTTP");
	if (r == -EFBIG)
		return err_set(err, ERR_CORRUPT, "the engine's answer is larger than this command takes");
	if (r == -ECONNRESET || r == -EPIPE)
		return err_set(err, ERR_SYSTEM, "lost the connection to the engine");
	return err_sys(err, r, "talking to the engine");
}

/* "Connect" to the embedded engine, starting it the first time. Return: stream socket, or negative errno with @err. */
static int connect_embedded(struct cli *cli, struct err *err)
{
	if (cli->control_fd < 0) {
		int r = cli->embedded->start(cli->embedded->ctx, &cli->control_fd, err);
		if (r < 0)
			return r;
	}
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "making a connection to the engine");
	int r = send_fds(cli->control_fd, "c", 1, &pair[1], 1);
	safe_close(pair[1]);
	if (r < 0) {
		safe_close(pair[0]);
		return link_lost(cli, r, err);
	}
	return pair[0];
}

static int connect_default(struct cli *cli, struct err *err)
{
	const char *run = getenv("COFFER_RUN");
	char path[256];
	if (str_format(path, sizeof(path), "%s/coffer.sock", !str_empty(run) ? run : "/run/coffer") < 0)
		return err_set(err, ERR_INVALID, "COFFER_RUN is too long");
	bool can_embed = cli->embedded && geteuid() == 0;
	if (cli->control_fd >= 0)
		return connect_embedded(cli, err);
	int fd = connect_unix(path);
	if (fd >= 0)
		return fd;
	if (can_embed && (fd == -ENOENT || fd == -ECONNREFUSED || fd == -ENOTDIR || fd == -ENAMETOOLONG))
		return connect_embedded(cli, err);
	if (can_embed || fd == -EACCES)
		return err_set(err, ERR_DENIED, "cannot connect to the engine at unix://%s: %s", path, strerrordesc_np(-fd));
	return err_set(err, ERR_DENIED, "no engine at unix://%s (%s): ask for a socket of yours and name it by --host, or run as root", path,
		       strerrordesc_np(-fd));
}

static int connect_named(struct cli *cli, struct err *err)
{
	if (!str_eq(cli->host, HOST_EMBEDDED))
		return connect_host(cli->host, err);
	if (!cli->embedded || geteuid() != 0)
		return err_set(err, ERR_DENIED, "host '%s': an engine of the command's own is root's", cli->host);
	return connect_embedded(cli, err);
}

int link_open(struct cli *cli, struct http_conn **ret, struct err *err)
{
	_cleanup_close_ int fd = cli->host ? connect_named(cli, err) : connect_default(cli, err);
	if (fd < 0)
		return fd;
	struct http_conn *c = http_conn_new(fd);
	if (!c)
		return err_oom(err);
	(void) take_fd(&fd);
	*ret = c;
	return 0;
}

void link_close(struct cli *cli)
{
	cli->conn = http_conn_free(cli->conn);
	cli->control_fd = safe_close(cli->control_fd);
}
