/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of one HTTP/1.1 connection over a stream socket: send a request (one system call), read the answer's
 * head, then its body piece by piece without copying. The connection may be kept for the next request once the answer is
 * read to its end. Blocking unless the caller made the descriptor non-blocking; never raises SIGPIPE.
 *
 *   http_send(c, &call);  http_recv_head(c, &answer);  while ((r = http_recv_body(c, &p, &n)) > 0) use(p, n);
 *
 * After "101" the stream belongs to the caller: http_early() are the bytes that came behind the head, http_fd() the rest.
 */
#pragma once

#include "base/macro.h"
#include "base/str.h"

struct http_conn; /* owns its descriptor, a 16 KiB buffer and the parser */

#define HTTP_TYPE_MAX 80

enum http_call_flags {
	HTTP_UPGRADE = 1, /* ask for a raw stream: "Connection: Upgrade", "Upgrade: tcp" */
	HTTP_CHUNKED = 2, /* the body follows as chunks, written by the caller: http_chunk_head() */
	HTTP_STREAMED = 4, /* the body of body_len bytes follows raw, written by the caller */
};

struct http_call {
	const char *method, *target; /* borrowed; @target is escaped already */
	const char *content_type;    /* borrowed; NULL: application/json when there is a body */
	const char *headers;         /* borrowed; more whole lines, each ending in CR LF; NULL: none */
	const char *body;            /* borrowed; NULL: none */
	uint64_t body_len;
	unsigned flags;              /* enum http_call_flags */
	const char *want;            /* borrowed; static name of a header whose value is asked for; NULL: none */
	struct strbuf *ret_want;     /* borrowed until the head has come; the value is appended */
};

struct http_answer {
	int status;
	bool upgraded; /* 101: a raw stream from here on */
	char content_type[HTTP_TYPE_MAX];
};

/** http_conn_new() - a connection over the connected socket @fd, which it owns on success. NULL when out of memory. */
struct http_conn *http_conn_new(int fd_take);
struct http_conn *http_conn_free(struct http_conn *c);
void http_conn_freep(struct http_conn **c);
#define _cleanup_http_conn_ _cleanup_(http_conn_freep)

/** http_fd() - the socket, borrowed, for poll(2). */
int http_fd(const struct http_conn *c);
/** http_send() - write head and body in one go (more only when the socket is full). Return: 0 or -errno; -EPIPE when the peer is gone. */
int http_send(struct http_conn *c, const struct http_call *call);
/** http_recv_head() - wait for the final head (100 Continue is skipped). Return: 0; -ECONNRESET when the peer left first; -EPROTO
 *  for something that is not HTTP; -errno. */
int http_recv_head(struct http_conn *c, struct http_answer *ret);
/** http_recv_body() - next piece of the decoded body, borrowed until the next call. Return: 1; 0 at the end; -ECONNRESET when it was
 *  cut short; -EPROTO; -EAGAIN on a non-blocking socket; -errno. */
int http_recv_body(struct http_conn *c, const char **ret, size_t *ret_len);
/** http_recv_text() - the whole body appended to @out (its ceiling holds: -EFBIG). Return: 0 or -errno. */
int http_recv_text(struct http_conn *c, struct strbuf *out);
/** http_buffered() - bytes have been read from the socket that nobody has asked for yet: do not poll before reading. */
bool http_buffered(const struct http_conn *c);
/** http_early() - what came behind a 101 head. @ret_len: 0 when nothing did. Borrowed from @c. */
const char *http_early(const struct http_conn *c, size_t *ret_len);
/** http_reusable() - the last answer was read to its end and the peer keeps the connection. */
bool http_reusable(const struct http_conn *c);

#define HTTP_CHUNK_HEAD 10 /* "%08x\r\n" */
/** http_chunk_head() - the line in front of a chunk of @len bytes; "\r\n" goes behind the chunk; a chunk of 0 ends the body. */
void http_chunk_head(char out[HTTP_CHUNK_HEAD], uint32_t len);
