/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink messages: a buffer that several requests are built into and sent with one system call, and the answers to them. What the
 * messages mean is link.h's (routes, addresses, interfaces) and nft.h's (rules). A buffer latches its first failure, as strbuf does.
 * Source: netlink(7).
 */
#pragma once

#include <linux/netlink.h>
#include <sys/types.h>

#include "base/macro.h"

struct nl_buf {
	char *p;	 /* owned */
	size_t len, cap;
	size_t msg;	 /* where the current message begins */
	uint32_t first_seq, n_seq; /* messages so far have these numbers */
	int err;	 /* first failure as -errno */
};
#define NL_BUF_MAX (32u << 20)
#define NL_BUF_INIT {.first_seq = 1}

void nl_buf_done(struct nl_buf *b);
#define _cleanup_nl_buf_ _cleanup_(nl_buf_done)

/** nl_open() - a socket for @protocol (NETLINK_ROUTE, NETLINK_NETFILTER) in the calling thread's network namespace. Return: fd or -errno. */
int nl_open(int protocol);

/** nl_begin() - one more message, with @len bytes of fixed header behind the netlink header. NLM_F_REQUEST is added. */
void nl_begin(struct nl_buf *b, uint16_t type, uint16_t flags, const void *body, size_t len);
/** nl_put() - an attribute of the current message (or of the nest that is open). */
void nl_put(struct nl_buf *b, uint16_t type, const void *data, size_t len);
void nl_put_str(struct nl_buf *b, uint16_t type, const char *s); /* with its NUL */
void nl_put_u8(struct nl_buf *b, uint16_t type, uint8_t v);
void nl_put_u32(struct nl_buf *b, uint16_t type, uint32_t v);
void nl_put_be32(struct nl_buf *b, uint16_t type, uint32_t v); /* as nfnetlink wants its numbers */
/** nl_nest() - open a nested attribute. Return: to be given to nl_nest_end(). */
size_t nl_nest(struct nl_buf *b, uint16_t type);
void nl_nest_end(struct nl_buf *b, size_t mark);
/** nl_raw() - bytes that are no attribute: a fixed header inside a nest. */
void nl_raw(struct nl_buf *b, const void *data, size_t len);

/** nl_call() - send everything and read the acknowledgement of every message that asked for one (NLM_F_ACK). *@ret_failed (may be NULL): number, from 0, of the
 *  first message that failed. Return: 0 or its -errno. */
int nl_call(int sock, struct nl_buf *b, unsigned *ret_failed);
/** nl_ask() - send one question about one object. @ret[@size], *@ret_len: the answer; NULL: no matter. Return: 0 it is there; -ENOENT or another -errno. */
int nl_ask(int sock, struct nl_buf *b, void *ret, size_t size, size_t *ret_len);
/** nl_dump() - send one request with NLM_F_DUMP; @fn sees every message of the answer until it returns non-zero. Return: that, 0, or -errno. */
int nl_dump(int sock, struct nl_buf *b, int (*fn)(void *ctx, const struct nlmsghdr *h), void *ctx);

/** nl_attr_find() - attribute @type among those that begin at @p. NULL: none. *@ret_len: bytes of payload. */
const void *nl_attr_find(const void *p, size_t len, uint16_t type, size_t *ret_len);
