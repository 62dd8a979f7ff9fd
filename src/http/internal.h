/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the http room: the server's side of a connection, shared by the reader of heads (request.c) and of bodies (body.c).
 *   E1 buf[pos..len) has been read and belongs to nobody yet.
 *   E2 at most one of body_left > 0 and in_chunks holds; neither means that the next byte starts a new head (or a raw stream).
 */
#pragma once

#include <http_parser.h>

#include "base/clock.h"
#include "http/request.h"

#define BUFFER_BYTES 16384
#define DISCARD_BYTES (256ULL << 20) /* of input that nobody wants */

enum event { EVENT_NONE, EVENT_HEAD, EVENT_BODY, EVENT_END };

/* Headers that mean something here; each may be given once. */
enum header { HEADER_HOST, HEADER_ORIGIN, HEADER_TYPE, HEADER_CODING, HEADER_TRANSFER, HEADER_EXPECT, HEADER_UPGRADE, HEADER_REGISTRY_AUTH, HEADER_OTHER };

struct http_peer {
	int fd;            /* owned; -EBADF once hijacked */
	unsigned flags;
	size_t pos, len;
	enum event event;
	const char *piece; /* EVENT_BODY: into buf */
	size_t piece_len;
	uint64_t body_left;
	bool in_chunks, expect, started; /* started: a byte of the head has come */
	usec_t head_began; /* when it came */
	int refusal;
	const char *reason;
	/* the head being read */
	size_t head_bytes, n_headers;
	char prev;         /* last raw byte of the head */
	bool value_seen;   /* the next name starts afresh */
	size_t field_len;
	char field[20];    /* the name as far as it matters */
	enum header header;
	unsigned given;    /* a bit per enum header */
	struct {
		char text[256];
		size_t len;
		bool cut;
	} values[HEADER_OTHER];
	struct strbuf target, registry_auth; /* the latter may be long, and is wiped */
	http_parser parser;
	char buf[BUFFER_BYTES];
};

extern const http_parser_settings http_peer_settings;

int http_peer_on_body(http_parser *hp, const char *at, size_t n);
int http_peer_on_end(http_parser *hp);
/* More bytes into the used-up buffer. Return: 1, 0 at EOF, -ETIMEDOUT, -errno. */
int http_peer_fill(struct http_peer *p);
/* Run the parser over what is there. Return: 0 (look at p->event), or -EPROTO. */
int http_peer_execute(struct http_peer *p);
/* What is left of a body that nobody wanted: read away before the next head, with a bound. */
int http_peer_skip_body(struct http_peer *p);
