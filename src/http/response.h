/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing HTTP/1.1 answers: one system call each, no SIGPIPE. Streams are chunked, a chunk per call.
 */
#pragma once

#include "base/macro.h"

enum http_response_flags {
	HTTP_RESPONSE_CHUNKED = 1, /* the body follows by http_chunk_send() */
	HTTP_RESPONSE_CLOSE = 2,   /* say "Connection: close" */
	HTTP_RESPONSE_NO_BODY = 4, /* the answer to a HEAD: its length, but not its bytes */
};

struct http_response {
	int status;
	const char *content_type; /* borrowed; NULL: none */
	const char *headers;      /* borrowed; whole lines, each ending in CR LF; NULL: none */
	const void *body;         /* borrowed */
	size_t len;
	unsigned flags;           /* enum http_response_flags */
};

/** http_respond() - write the head and what there is of the body. 1xx, 204 and 304 carry neither body nor length. Return: 0 or -errno. */
int http_respond(int fd, const struct http_response *r);
/** http_chunk_send() - one chunk, and with @last the end of the body in the same write. Return: 0 or -errno. */
int http_chunk_send(int fd, const void *p, size_t n, bool last);
/** http_send_raw() - all of @n bytes, without SIGPIPE. Return: 0 or -errno. */
int http_send_raw(int fd, const void *p, size_t n);
/** http_reason() - "Not Found". */
const char *http_reason(int status);
