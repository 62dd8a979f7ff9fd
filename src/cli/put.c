/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/put.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "cli/link.h"

int put_begin(struct cli *cli, const struct strbuf *target, struct put *ret, struct err *err)
{
	*ret = (struct put){.cli = cli};
	if (strbuf_err(target) < 0)
		return err_set(err, ERR_INVALID, "the path is too long");
	int r = link_open(cli, &ret->c, err);
	if (r < 0)
		return r;
	r = http_send(ret->c, &(struct http_call){.method = "PUT", .target = target->s, .content_type = "application/x-tar", .flags = HTTP_CHUNKED});
	return r < 0 && r != -EPIPE ? link_lost(cli, r, err) : 0;
}

void put_done(struct put *p)
{
	p->c = http_conn_free(p->c);
}

static int send_all(struct put *p, const char *s, size_t n)
{
	while (n > 0 && !p->answered) {
		struct pollfd f = {.fd = http_fd(p->c), .events = POLLIN | POLLOUT};
		if (poll(&f, 1, -1) < 0 && errno != EINTR)
			return -errno;
		if (f.revents & (POLLIN | POLLHUP | POLLERR)) {
			p->answered = true;
			break;
		}
		ssize_t sent = send(f.fd, s, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			p->answered = true;
		s += MAX(sent, (ssize_t) 0);
		n -= (size_t) MAX(sent, (ssize_t) 0);
	}
	return p->answered ? -EPIPE : 0;
}

int put_bytes(void *ctx, const void *bytes, size_t n)
{
	struct put *p = ctx;
	char head[HTTP_CHUNK_HEAD];
	if (n == 0)
		return 0;
	http_chunk_head(head, (uint32_t) n);
	int r = send_all(p, head, sizeof(head));
	r = r < 0 ? r : send_all(p, bytes, n);
	r = r < 0 ? r : send_all(p, "\r\n", 2);
	p->bytes += n;
	if (r == 0 && p->progress)
		p->progress(p->ctx, p->bytes);
	return r;
}

int put_end(struct put *p, struct err *err)
{
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	if (!p->answered) {
		char head[HTTP_CHUNK_HEAD];
		http_chunk_head(head, 0);
		int r = send_all(p, head, sizeof(head));
		r = r < 0 ? r : send_all(p, "\r\n", 2);
		if (r < 0 && r != -EPIPE)
			return link_lost(p->cli, r, err);
	}
	return call_recv(p->cli, p->c, &reply, err);
}
