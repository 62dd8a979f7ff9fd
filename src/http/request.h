/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of one HTTP/1.1 connection: read a request's head strictly, then its body piece by piece without
 * copying. What two readers could understand differently is refused (R15, CVE-2026-34040): Content-Length beside
 * Transfer-Encoding or twice, a transfer coding other than chunked, folded or bare-LF lines, a target that names another
 * host, a Content-Encoding. Browsers (`Origin`) are turned away with 403.
 *
 *   while ((r = http_peer_recv_head(p, &req)) > 0) { ... http_peer_recv_body(p, &piece, &n) ...; http_respond(fd, ...); }
 */
#pragma once

#include "base/err.h"
#include "base/macro.h"
#include "http/target.h"

#define HTTP_HEAD_MAX 65536
#define HTTP_CTYPE_MAX 128
#define HTTP_REGISTRY_AUTH_MAX 32768

struct http_peer; /* owns the descriptor, a 16 KiB buffer and the parser */

enum http_peer_flags {
	HTTP_PEER_TIMED = 1, /* a half-sent head or body may stall for HTTP_STALL_S only; for peers that are not our own */
};
#define HTTP_STALL_S 30

struct http_request {
	const char *method;      /* static */
	char *path;              /* owned; decoded, canonical */
	struct http_query query; /* owned */
	char content_type[HTTP_CTYPE_MAX]; /* "": none; the media type alone, lower case */
	char *registry_auth;     /* owned; X-Registry-Auth as it came, NULL: none; wiped when it is freed */
	bool upgrade;            /* "Upgrade: tcp" */
	bool chunked;
	uint64_t content_length; /* 0: no body (or chunked) */
	bool keep_alive;
	bool expect;             /* the body comes only after "100 Continue" */
	/* Set when http_peer_recv_head() returns -EPROTO: what to answer before closing. */
	int refusal;             /* HTTP status */
	const char *reason;      /* static */
};
void http_request_done(struct http_request *r);
#define _cleanup_http_request_ _cleanup_(http_request_done)

/** http_peer_new() - serve the connected stream socket @fd, owned on success. NULL when out of memory. */
struct http_peer *http_peer_new(int fd_take, unsigned flags);
/** http_peer_free() - close and free; the descriptor is left alone when it was taken. Return: NULL. */
struct http_peer *http_peer_free(struct http_peer *p);
int http_peer_fd(const struct http_peer *p);

/** http_peer_recv_head() - wait for the next request; what is left of the last one's body is discarded first.
 *  Return: 1; 0 the peer left between requests; -EPROTO with @ret->refusal and reason; -errno. */
int http_peer_recv_head(struct http_peer *p, struct http_request *ret);
/** http_peer_recv_body() - next piece of the decoded body, borrowed until the next call; answers "Expect: 100-continue" first.
 *  Return: 1; 0 at the end; -ECONNRESET when it was cut short; -EPROTO for broken chunks; -ETIMEDOUT; -errno. */
int http_peer_recv_body(struct http_peer *p, const char **ret, size_t *ret_len);
/** http_peer_recv_text() - the whole body appended to @out. Return: 0; -EFBIG over its ceiling; as http_peer_recv_body(). */
int http_peer_recv_text(struct http_peer *p, struct strbuf *out);
/** http_peer_body_to_fd() - write the whole body to @fd, by splice(2) where it is a pipe and the body is not chunked.
 *  Return: 0; -EPIPE when the reader of @fd is gone; as http_peer_recv_body(). SIGPIPE must be blocked in this thread. */
int http_peer_body_to_fd(struct http_peer *p, int fd);
/** http_peer_in_body() - is something of the last request's body still to come? */
bool http_peer_in_body(const struct http_peer *p);
/** http_peer_hijack() - take the descriptor away; *@ret_early (borrowed from @p) are bytes already read behind the request. */
int http_peer_hijack(struct http_peer *p, const char **ret_early, size_t *ret_len);
/** http_peer_linger() - end the answer (SHUT_WR) and read away what the peer still sends, for a short while: closing a unix
 *  socket with unread input would make the peer lose the answer (api.md fact 1). */
void http_peer_linger(struct http_peer *p);
