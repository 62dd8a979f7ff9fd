/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP(S) requests to the network, by a confined helper program (coffer-fetch: nobody's ids, no capability, no files to write,
 * seccomp). A fetcher is one helper with one connection kept alive, for one thread at a time:
 *
 *	fetch_begin(f, &call, &err)   -> fetch_head(f)->status ...
 *	while ((n = fetch_read(f, buf, sizeof(buf), &err)) > 0) ...    (0: the whole body came; < 0: it did not)
 *
 * A body that nobody reads to its end costs the connection, nothing else.
 */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "base/str.h"
#include "fetch/proto.h"

struct fetch_config {
	const char *program;      /* absolute path of coffer-fetch */
	const char *ca;           /* PEM; certificates that are trusted, NULL: the system's */
	const char *cert, *key;   /* PEM of a client certificate, NULL: none */
	const char *http_proxy, *https_proxy, *no_proxy; /* NULL: none */
	const atomic_bool *cancel; /* borrowed; looked at while waiting: true ends the call with -ECANCELED. NULL: never */
};
struct fetcher;
/** fetcher_new() - nothing is started before the first request. All of @cfg is copied but cancel. NULL when out of memory. */
struct fetcher *fetcher_new(const struct fetch_config *cfg);
struct fetcher *fetcher_free(struct fetcher *f);

struct fetch_call {
	enum fetch_method method;
	const char *url, *headers; /* borrowed; headers NULL: none */
	unsigned flags;            /* enum fetch_request_flags but FETCH_BODY */
	enum fetch_reach reach;
	int body_fd;               /* borrowed regular file or memfd; -EBADF: none */
	uint64_t body_offset, body_len;
	uint64_t answer_max;
	unsigned stall_s, total_s; /* 0: 60, none */
};
/** fetch_begin() - send @c and wait for the answer's head. Return: 0 (whatever the status); ERR_SYSTEM with fetch_failure() telling whether another
 *  try makes sense; -ECANCELED. */
int fetch_begin(struct fetcher *f, const struct fetch_call *c, struct err *err);
/** fetch_head() - of the last fetch_begin() that succeeded; strings are plain text. */
const struct fetch_msg *fetch_head(const struct fetcher *f);
/** fetch_read() - up to @len bytes of the body. Return: bytes; 0 when all of it came; as fetch_begin(), ERR_QUOTA beyond answer_max. */
ssize_t fetch_read(struct fetcher *f, void *buf, size_t len, struct err *err);
/** fetch_text() - the whole body appended to @out; its ceiling is answer_max's twin. */
int fetch_text(struct fetcher *f, struct strbuf *out, struct err *err);
enum fetch_failure fetch_failure(const struct fetcher *f);
