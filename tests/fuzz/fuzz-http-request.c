/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes on a connection are refused or read as the same requests whether they come at once or in crumbs; every path that
 * comes out is canonical.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "http/request.h"

#define INPUT_MAX 12000 /* less than the reader's buffer and the socket's: no thread is needed */
#define REQUESTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const char *p)
{
	if (p[0] != '/' || strstr(p, "//") || strstr(p, "/../") || strstr(p, "/./"))
		abort();
	for (; *p; p++)
		if ((unsigned char) *p <= 0x20 || (unsigned char) *p > 0x7e)
			abort();
}

static void read_body(struct http_peer *peer, struct strbuf *log)
{
	const char *piece;
	size_t n;
	int r;
	while ((r = http_peer_recv_body(peer, &piece, &n)) > 0)
		strbuf_add(log, piece, n);
	strbuf_addf(log, "|%d\n", r);
}

/* What a server would see, as text. The socket keeps record borders, so that each read(2) sees one piece of @step bytes. */
static void run(const uint8_t *data, size_t size, size_t step, struct strbuf *log)
{
	int sv[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	for (size_t i = 0; i < size; i += step)
		if (send(sv[1], data + i, MIN(step, size - i), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			abort();
	(void) shutdown(sv[1], SHUT_WR);
	struct http_peer *peer = http_peer_new(sv[0], 0);
	if (!peer)
		abort();
	for (int i = 0; i < REQUESTS_MAX; i++) {
		struct http_request req;
		int r = http_peer_recv_head(peer, &req);
		if (r > 0) {
			check_path(req.path);
			strbuf_addf(log, "%s %s %s %d%d%d%d ", req.method, req.path, req.content_type, req.upgrade, req.chunked, req.keep_alive, req.expect);
			read_body(peer, log);
		} else
			strbuf_addf(log, "%s %d\n", r == -EPROTO ? "refused" : "end", req.refusal);
		http_request_done(&req);
		if (r <= 0)
			break;
	}
	http_peer_free(peer);
	safe_close(sv[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_strbuf_ struct strbuf whole = STRBUF_INIT(1 << 20), crumbs = STRBUF_INIT(1 << 20);
	if (size == 0 || size > INPUT_MAX)
		return 0;
	run(data, size, size, &whole);
	run(data, size, size / 100 + 1, &crumbs);
	if (!str_eq(whole.s, crumbs.s)) {
		fprintf(stderr, "at once:\n%s\nin crumbs:\n%s\n", whole.s, crumbs.s);
		abort();
	}
	return 0;
}
