/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"

#define ANSWER_MAX 65536

void nl_buf_done(struct nl_buf *b)
{
	free(b->p);
	*b = (struct nl_buf) NL_BUF_INIT;
}

int nl_open(int protocol)
{
	static const int on = 1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	/* answers need not repeat what was asked; before 4.2: they do */
	(void) setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	return fd;
}

/* @n more bytes, zeroed, aligned as attributes are. NULL: latched. */
static char *grow(struct nl_buf *b, size_t n)
{
	size_t need = b->len + NLMSG_ALIGN(n);
	if (b->err < 0)
		return NULL;
	if (need > NL_BUF_MAX) {
		b->err = -E2BIG;
		return NULL;
	}
	if (need > b->cap) {
		size_t cap = MAX(need, b->cap ? 2 * b->cap : 2048);
		char *p = realloc(b->p, cap);
		if (!p) {
			b->err = -ENOMEM;
			return NULL;
		}
		b->p = p;
		b->cap = cap;
	}
	char *at = b->p + b->len;
	memset(at, 0, NLMSG_ALIGN(n));
	b->len = need;
	return at;
}

static void fix_length(struct nl_buf *b)
{
	if (b->err == 0)
		((struct nlmsghdr *) (b->p + b->msg))->nlmsg_len = (uint32_t) (b->len - b->msg);
}

void nl_begin(struct nl_buf *b, uint16_t type, uint16_t flags, const void *body, size_t len)
{
	b->msg = b->len;
	char *at = grow(b, NLMSG_HDRLEN + len);
	if (!at)
		return;
	*(struct nlmsghdr *) at = (struct nlmsghdr){.nlmsg_type = type, .nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags), .nlmsg_seq = b->first_seq + b->n_seq++};
	if (len > 0)
		memcpy(at + NLMSG_HDRLEN, body, len);
	fix_length(b);
}

void nl_raw(struct nl_buf *b, const void *data, size_t len)
{
	char *at = grow(b, len);
	if (at)
		memcpy(at, data, len);
	fix_length(b);
}

void nl_put(struct nl_buf *b, uint16_t type, const void *data, size_t len)
{
	if (len > UINT16_MAX - NLA_HDRLEN) {
		b->err = b->err ?: -EMSGSIZE;
		return;
	}
	char *at = grow(b, NLA_HDRLEN + len);
	if (!at)
		return;
	*(struct nlattr *) at = (struct nlattr){.nla_len = (uint16_t) (NLA_HDRLEN + len), .nla_type = type};
	if (len > 0)
		memcpy(at + NLA_HDRLEN, data, len);
	fix_length(b);
}

void nl_put_str(struct nl_buf *b, uint16_t type, const char *s)
{
	nl_put(b, type, s, strlen(s) + 1);
}

void nl_put_u8(struct nl_buf *b, uint16_t type, uint8_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

void nl_put_u32(struct nl_buf *b, uint16_t type, uint32_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

void nl_put_be32(struct nl_buf *b, uint16_t type, uint32_t v)
{
	nl_put_u32(b, type, htonl(v));
}

size_t nl_nest(struct nl_buf *b, uint16_t type)
{
	size_t mark = b->len;
	nl_put(b, type | NLA_F_NESTED, NULL, 0);
	return mark;
}

void nl_nest_end(struct nl_buf *b, size_t mark)
{
	size_t len = b->len - mark;
	if (b->err < 0)
		return;
	if (len > UINT16_MAX)
		b->err = -EMSGSIZE;
	else
		((struct nlattr *) (b->p + mark))->nla_len = (uint16_t) len;
}

static int send_all(int sock, struct nl_buf *b)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	if (b->err < 0)
		return b->err;
	char left[256]; /* what a batch that failed in several places left behind */
	while (recv(sock, left, sizeof(left), MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
	if (b->len > 128u << 10) { /* more than the usual buffer takes: a rule set with all its elements */
		int size = (int) (2 * b->len);
		(void) setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)); /* the send tells */
	}
	ssize_t n;
	do
		n = sendto(sock, b->p, b->len, 0, (const struct sockaddr *) &kernel, sizeof(kernel));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static ssize_t receive(int sock, void *buf, size_t size, int flags)
{
	ssize_t n;
	do
		n = recv(sock, buf, size, flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* How many answers come: one for each message that asked. Those that did not answer, too, when they fail. */
static unsigned count_acks(const struct nl_buf *b)
{
	unsigned n = 0, left = (unsigned) b->len;
	for (const struct nlmsghdr *h = (const struct nlmsghdr *) b->p; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
		n += (h->nlmsg_flags & NLM_F_ACK) != 0;
	return n;
}

int nl_call(int sock, struct nl_buf *b, unsigned *ret_failed)
{
	_Alignas(NLMSG_ALIGNTO) char answer[8192];
	unsigned wanted = count_acks(b);
	int r = send_all(sock, b), first = 0, flags = 0; /* a message that did not ask answers, too, when it fails: what is left over of that the next call throws away */
	while (r == 0 && wanted > 0) {
		ssize_t n = receive(sock, answer, sizeof(answer), flags);
		if (n == -ENOBUFS && !flags) { /* so many failed that their answers had no room (netlink(7)): those that had are here, the first among them */
			flags = MSG_DONTWAIT;
			continue;
		}
		if (n < 0)
			return n == -EAGAIN && first < 0 ? first : n == -EAGAIN ? -ENOBUFS : (int) n;
		unsigned left = (unsigned) n;
		for (const struct nlmsghdr *h = (const struct nlmsghdr *) answer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
				return -EBADMSG;
			int e = ((const struct nlmsgerr *) NLMSG_DATA(h))->error;
			wanted = wanted > 0 ? wanted - 1 : 0;
			if (e < 0 && first == 0) {
				first = e;
				if (ret_failed)
					*ret_failed = h->nlmsg_seq - b->first_seq;
			}
		}
	}
	return r < 0 ? r : first;
}

int nl_ask(int sock, struct nl_buf *b, void *ret, size_t size, size_t *ret_len)
{
	_Alignas(NLMSG_ALIGNTO) char answer[8192];
	int r = send_all(sock, b);
	ssize_t n = r < 0 ? r : receive(sock, answer, sizeof(answer), 0);
	const struct nlmsghdr *h = (const struct nlmsghdr *) answer;
	if (n < 0)
		return (int) n;
	if (!NLMSG_OK(h, (unsigned) n))
		return -EBADMSG;
	if (h->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *) NLMSG_DATA(h))->error;
	if (ret && h->nlmsg_len > size)
		return -EMSGSIZE;
	if (ret) {
		memcpy(ret, h, h->nlmsg_len);
		*ret_len = h->nlmsg_len;
	}
	return 0;
}

int nl_dump(int sock, struct nl_buf *b, int (*fn)(void *ctx, const struct nlmsghdr *h), void *ctx)
{
	_cleanup_free_ char *answer = malloc(ANSWER_MAX); /* aligned for anything */
	int r = answer ? send_all(sock, b) : -ENOMEM, found = 0;
	while (r == 0) {
		ssize_t n = receive(sock, answer, ANSWER_MAX, 0);
		if (n < 0)
			return (int) n;
		unsigned left = (unsigned) n;
		for (const struct nlmsghdr *h = (const struct nlmsghdr *) answer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return found;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *) NLMSG_DATA(h))->error;
			found = found ?: fn(ctx, h);
		}
	}
	return r;
}

const void *nl_attr_find(const void *p, size_t len, uint16_t type, size_t *ret_len)
{
	const char *at = p;
	while (len >= NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *) at;
		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			return NULL;
		if ((a->nla_type & NLA_TYPE_MASK) == type) {
			*ret_len = a->nla_len - NLA_HDRLEN;
			return at + NLA_HDRLEN;
		}
		size_t step = NLA_ALIGN(a->nla_len);
		if (step >= len)
			return NULL;
		at += step;
		len -= step;
	}
	return NULL;
}
