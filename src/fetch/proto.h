/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the engine and coffer-fetch: fixed-size structs over one SOCK_SEQPACKET pair (descriptor 3 of the helper).
 *
 *	engine                                  helper
 *	fetch_setup [+ CA, cert, key]   ->      once, before it confines itself
 *	fetch_request + out [+ body]    ->
 *	                                <-      FETCH_HEAD: the answer's status and the headers that mean something
 *	                                <-      (body through the pipe `out`, then its end)
 *	                                <-      FETCH_DONE: bytes, or why it failed (then perhaps without a head before it)
 *
 * One request at a time. The engine takes all that comes back as foreign: the helper has read hostile bytes before it spoke. The helper
 * follows no redirect and knows no credential but what stands in one request's headers.
 */
#pragma once

#include "base/err.h"

enum { FETCH_FD_SOCK = 3 };
#define FETCH_MAGIC 0x43464531u /* "CFE1" */
#define FETCH_URL_MAX 8192
#define FETCH_HEADERS_MAX 32768
#define FETCH_VALUE_MAX 8192

enum fetch_method { FETCH_GET, FETCH_HEAD_ONLY, FETCH_POST, FETCH_PUT, FETCH_PATCH, FETCH_DELETE, FETCH_METHOD_MAX_ };

/* How far a host is from the open network. A registry's own address sets how far its redirects and realms may lead (R19). */
enum fetch_reach { FETCH_REACH_PUBLIC, FETCH_REACH_PRIVATE, FETCH_REACH_LOOPBACK, FETCH_REACH_LINK_LOCAL, FETCH_REACH_MAX_ };

enum fetch_setup_flags { FETCH_SETUP_CA = 1, FETCH_SETUP_CERT = 2, FETCH_SETUP_KEY = 4 }; /* which descriptors come along, in this order */
struct fetch_setup {
	uint32_t magic, flags;
	char http_proxy[1024], https_proxy[1024], no_proxy[4096];
};

enum fetch_request_flags {
	FETCH_PLAIN = 1,    /* http:// is allowed */
	FETCH_INSECURE = 2, /* certificates are not verified: only for registries that the operator has named */
	FETCH_BODY = 4,     /* a second descriptor is the body, a regular file */
	FETCH_CLIENT_CERT = 8, /* show the client's certificate: to the registry that it belongs to, nobody else */
};
struct fetch_request {
	uint32_t magic, method, flags; /* enum fetch_method, fetch_request_flags */
	uint32_t reach;     /* enum fetch_reach; addresses beyond it are not connected to */
	uint32_t connect_ms, stall_s, total_s; /* total_s 0: none; stall_s: so long under 1 KiB/s */
	uint32_t rsvd;
	uint64_t body_offset, body_len;
	uint64_t answer_max; /* bytes of the answer's body */
	char url[FETCH_URL_MAX];
	char headers[FETCH_HEADERS_MAX]; /* "Name: value" lines, each ending in LF */
};

enum fetch_kind { FETCH_HEAD = 1, FETCH_DONE };
enum fetch_failure {
	FETCH_FAIL_NONE,
	FETCH_FAIL_RETRY,   /* the network: worth another try */
	FETCH_FAIL_NOT_TLS, /* the other side does not speak TLS */
	FETCH_FAIL_FINAL,
};
struct fetch_msg {
	uint32_t kind, failure; /* enum fetch_kind; DONE: enum fetch_failure */
	uint32_t status;        /* HEAD */
	uint32_t reach;         /* HEAD: of the address that answered */
	uint64_t length;        /* HEAD: Content-Length, UINT64_MAX: none */
	uint64_t bytes;         /* DONE */
	char content_type[256], digest[256], content_range[128], retry_after[64], range[128], upload_id[256];
	char location[FETCH_VALUE_MAX], challenge[FETCH_VALUE_MAX], link[FETCH_VALUE_MAX];
	struct err err; /* DONE */
};
