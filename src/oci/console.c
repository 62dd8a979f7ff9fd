/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/console.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/str.h"

int console_check(bool terminal, bool detached, const char *socket, struct err *err)
{
	if (terminal && detached && !socket)
		return err_set(err, ERR_INVALID, "process.terminal is true and nobody stays to serve the terminal: pass --console-socket PATH, or set it to false");
	if (!terminal && socket)
		return err_set(err, ERR_INVALID, "--console-socket '%.200s': process.terminal is false: there is no terminal to send", socket);
	return 0;
}

int console_connect(const char *path, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_close_ int dir = -EBADF;
	if (str_copy(a.sun_path, sizeof(a.sun_path), path) < 0) {
		/* longer than an address: by way of its directory */
		const char *slash = strrchr(path, '/');
		_cleanup_free_ char *parent = slash ? strndup(path, (size_t) (slash - path) + 1) : NULL;
		dir = open(parent ?: ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return err_sys(err, -errno, "--console-socket '%.200s'", path);
		int r = str_format(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir, slash ? slash + 1 : path);
		if (r < 0)
			return err_sys(err, r, "--console-socket '%.200s'", path);
	}
	_cleanup_close_ int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *) &a, sizeof(a)) < 0)
		return err_sys(err, -errno, "--console-socket '%.200s'", path);
	return take_fd(&sock);
}

int console_send(int sock, int master, struct err *err)
{
	static const char name[] = "/dev/ptmx";
	int r = send_fds(sock, name, sizeof(name) - 1, &master, 1);
	return r < 0 ? err_sys(err, r, "sending the terminal to --console-socket") : 0;
}
