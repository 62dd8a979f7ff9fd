/* SPDX-License-Identifier: Apache-2.0 */
#include "http/response.h"

#include <errno.h>
#include <http_parser.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/str.h"

#define HEAD_MAX 2048

static int send_parts(int fd, struct iovec *io, size_t n)
{
	while (n > 0) {
		struct msghdr m = {.msg_iov = io, .msg_iovlen = n};
		ssize_t sent = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (sent < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		for (; n > 0 && (size_t) sent >= io->iov_len; io++, n--)
			sent -= (ssize_t) io->iov_len;
		if (n > 0) {
			io->iov_base = (char *) io->iov_base + sent;
			io->iov_len -= (size_t) sent;
		}
	}
	return 0;
}

const char *http_reason(int status)
{
	return http_status_str((enum http_status) status);
}

int http_respond(int fd, const struct http_response *r)
{
	char head[HEAD_MAX];
	bool bare = r->status < 200 || r->status == 204 || r->status == 304;
	char length[48] = "";
	if (r->flags & HTTP_RESPONSE_CHUNKED)
		(void) str_copy(length, sizeof(length), "Transfer-Encoding: chunked\r\n");
	else if (!bare)
		(void) str_format(length, sizeof(length), "Content-Length: %zu\r\n", r->len);
	int n = str_format(head, sizeof(head), "HTTP/1.1 %d %s\r\n%s%s%s%s%s%s\r\n", r->status, http_reason(r->status), r->headers ? r->headers : "",
			   r->content_type && !bare ? "Content-Type: " : "", r->content_type && !bare ? r->content_type : "",
			   r->content_type && !bare ? "\r\n" : "", length, r->flags & HTTP_RESPONSE_CLOSE ? "Connection: close\r\n" : "");
	if (n < 0)
		return n;
	bool body = r->len > 0 && !bare && !(r->flags & (HTTP_RESPONSE_CHUNKED | HTTP_RESPONSE_NO_BODY));
	struct iovec io[2] = {{head, (size_t) n}, {(void *) r->body, r->len}};
	return send_parts(fd, io, body ? 2 : 1);
}

int http_chunk_send(int fd, const void *p, size_t n, bool last)
{
	char size[24];
	int len = n > 0 ? str_format(size, sizeof(size), "%zx\r\n", n) : 0;
	static const char end[] = "\r\n0\r\n\r\n";
	const char *tail = n > 0 ? end : end + 2;
	struct iovec io[3] = {{size, (size_t) len}, {(void *) p, n}, {(void *) tail, last ? strlen(tail) : n > 0 ? 2 : 0}};
	return n > 0 || last ? send_parts(fd, io, 3) : 0;
}

int http_send_raw(int fd, const void *p, size_t n)
{
	struct iovec io = {(void *) p, n};
	return send_parts(fd, &io, 1);
}
