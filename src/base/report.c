/* SPDX-License-Identifier: Apache-2.0 */
#include "base/report.h"

#include <errno.h>

#include "base/fd.h"

int report_send(int sock, const struct report *r, int fd)
{
	return send_fds(sock, r, sizeof(*r), &fd, fd >= 0 ? 1 : 0);
}

int report_recv(int sock, struct report *ret, int *ret_fd)
{
	struct report r;
	int fd = -EBADF;
	size_t n = 1;
	ssize_t got = recv_fds(sock, &r, sizeof(r), &fd, &n);
	if (got <= 0)
		return (int) got;
	if ((size_t) got != sizeof(r)) {
		if (n)
			safe_close(fd);
		return -EBADMSG;
	}
	*ret = r;
	*ret_fd = n ? fd : -EBADF;
	return 1;
}
