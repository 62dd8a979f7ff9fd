/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/lo_port.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

#define TABLE "coffer-lo"
#define CHAIN "lo"

struct batch {
	_Alignas(NLMSG_ALIGNTO) char bytes[4096];
	size_t len;  /* of finished messages */
	size_t msg;  /* where the open one starts */
};

/* Everything here is fixed in size: what does not fit is a mistake of ours. */
static void *grow(struct batch *b, size_t n)
{
	assert(b->len + NLMSG_ALIGN(n) <= sizeof(b->bytes));
	void *p = b->bytes + b->len;
	b->len += NLMSG_ALIGN(n);
	return p;
}

static void put(struct batch *b, uint16_t type, const void *data, size_t n)
{
	struct nlattr *a = grow(b, NLA_HDRLEN + n);
	a->nla_type = type;
	a->nla_len = (uint16_t) (NLA_HDRLEN + n);
	memcpy((char *) a + NLA_HDRLEN, data, n);
}

static void put_str(struct batch *b, uint16_t type, const char *s)
{
	put(b, type, s, strlen(s) + 1);
}

static void put_be32(struct batch *b, uint16_t type, uint32_t v)
{
	v = htonl(v);
	put(b, type, &v, sizeof(v));
}

static struct nlattr *nest(struct batch *b, uint16_t type)
{
	struct nlattr *a = grow(b, NLA_HDRLEN);
	a->nla_type = type | NLA_F_NESTED;
	return a;
}

static void unnest(struct batch *b, struct nlattr *a)
{
	a->nla_len = (uint16_t) (b->bytes + b->len - (char *) a);
}

static void begin(struct batch *b, uint16_t type, uint16_t flags, uint16_t res_id)
{
	b->msg = b->len;
	struct nlmsghdr *h = grow(b, NLMSG_LENGTH(sizeof(struct nfgenmsg)));
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	struct nfgenmsg *g = NLMSG_DATA(h);
	g->nfgen_family = res_id ? AF_UNSPEC : NFPROTO_NETDEV;
	g->version = NFNETLINK_V0;
	g->res_id = htons(res_id);
}

static void end(struct batch *b)
{
	((struct nlmsghdr *) (b->bytes + b->msg))->nlmsg_len = (uint32_t) (b->len - b->msg);
}

static void edge(struct batch *b, uint16_t type)
{
	begin(b, type, 0, NFNL_SUBSYS_NFTABLES);
	end(b);
}

static void table(struct batch *b)
{
	begin(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, NLM_F_CREATE, 0);
	put_str(b, NFTA_TABLE_NAME, TABLE);
	end(b);
}

static void chain(struct batch *b)
{
	begin(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN, NLM_F_CREATE, 0);
	put_str(b, NFTA_CHAIN_TABLE, TABLE);
	put_str(b, NFTA_CHAIN_NAME, CHAIN);
	put_str(b, NFTA_CHAIN_TYPE, "filter");
	struct nlattr *hook = nest(b, NFTA_CHAIN_HOOK);
	put_be32(b, NFTA_HOOK_HOOKNUM, NF_NETDEV_INGRESS);
	put_be32(b, NFTA_HOOK_PRIORITY, 0);
	put_str(b, NFTA_HOOK_DEV, "lo");
	unnest(b, hook);
	end(b);
}

static void flush(struct batch *b)
{
	begin(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELRULE, 0, 0);
	put_str(b, NFTA_RULE_TABLE, TABLE);
	put_str(b, NFTA_RULE_CHAIN, CHAIN);
	end(b);
}

/* Expressions: each is an element { name, data } of the rule's list. */
struct expr {
	struct nlattr *elem, *data;
};

static struct expr expr_begin(struct batch *b, const char *name)
{
	struct expr e = {.elem = nest(b, NFTA_LIST_ELEM)};
	put_str(b, NFTA_EXPR_NAME, name);
	e.data = nest(b, NFTA_EXPR_DATA);
	return e;
}

static void expr_end(struct batch *b, struct expr e)
{
	unnest(b, e.data);
	unnest(b, e.elem);
}

static void load_meta(struct batch *b, uint32_t key)
{
	struct expr e = expr_begin(b, "meta");
	put_be32(b, NFTA_META_KEY, key);
	put_be32(b, NFTA_META_DREG, NFT_REG_1);
	expr_end(b, e);
}

static void load_payload(struct batch *b, uint32_t base, uint32_t offset, uint32_t len)
{
	struct expr e = expr_begin(b, "payload");
	put_be32(b, NFTA_PAYLOAD_BASE, base);
	put_be32(b, NFTA_PAYLOAD_OFFSET, offset);
	put_be32(b, NFTA_PAYLOAD_LEN, len);
	put_be32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
	expr_end(b, e);
}

static void value(struct batch *b, uint16_t type, const void *v, size_t n)
{
	struct nlattr *a = nest(b, type);
	put(b, NFTA_DATA_VALUE, v, n);
	unnest(b, a);
}

static void compare(struct batch *b, uint32_t op, const void *v, size_t n)
{
	struct expr e = expr_begin(b, "cmp");
	put_be32(b, NFTA_CMP_SREG, NFT_REG_1);
	put_be32(b, NFTA_CMP_OP, op);
	value(b, NFTA_CMP_DATA, v, n);
	expr_end(b, e);
}

/* No checksum is mended: on lo it is left to be computed by a device that there is not (CHECKSUM_PARTIAL), and is not looked at. */
static void store_port(struct batch *b, uint32_t offset, uint16_t port)
{
	uint16_t v = htons(port);
	struct expr e = expr_begin(b, "immediate");
	put_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	value(b, NFTA_IMMEDIATE_DATA, &v, sizeof(v));
	expr_end(b, e);
	e = expr_begin(b, "payload");
	put_be32(b, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	put_be32(b, NFTA_PAYLOAD_OFFSET, offset);
	put_be32(b, NFTA_PAYLOAD_LEN, sizeof(v));
	put_be32(b, NFTA_PAYLOAD_SREG, NFT_REG_1);
	put_be32(b, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_NONE);
	expr_end(b, e);
}

/* @address_at: of the IPv4 header; @port_at: of the TCP or UDP header. */
static void rule(struct batch *b, struct in_addr address, uint32_t address_at, uint32_t port_at, uint16_t from, uint16_t to)
{
	const uint16_t ip = htons(ETH_P_IP), port = htons(from);
	const uint8_t tcp = IPPROTO_TCP, udp = IPPROTO_UDP;
	begin(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, 0);
	put_str(b, NFTA_RULE_TABLE, TABLE);
	put_str(b, NFTA_RULE_CHAIN, CHAIN);
	struct nlattr *list = nest(b, NFTA_RULE_EXPRESSIONS);
	load_meta(b, NFT_META_PROTOCOL);
	compare(b, NFT_CMP_EQ, &ip, sizeof(ip));
	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, address_at, sizeof(address));
	compare(b, NFT_CMP_EQ, &address, sizeof(address));
	load_meta(b, NFT_META_L4PROTO); /* TCP is 6 and UDP 17; what lies between them nobody speaks */
	compare(b, NFT_CMP_GTE, &tcp, sizeof(tcp));
	compare(b, NFT_CMP_LTE, &udp, sizeof(udp));
	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, port_at, sizeof(port));
	compare(b, NFT_CMP_EQ, &port, sizeof(port));
	store_port(b, port_at, to);
	unnest(b, list);
	end(b);
}

/* A batch is carried out before send() returns, and only what failed is answered. */
static int commit(int sock, struct batch *b)
{
	_Alignas(NLMSG_ALIGNTO) char answer[4096];
	edge(b, NFNL_MSG_BATCH_END);
	if (send(sock, b->bytes, b->len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(sock, answer, sizeof(answer), MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		const struct nlmsghdr *h = (const struct nlmsghdr *) answer;
		if (NLMSG_OK(h, (uint32_t) n) && h->nlmsg_type == NLMSG_ERROR && ((const struct nlmsgerr *) NLMSG_DATA(h))->error < 0)
			return ((const struct nlmsgerr *) NLMSG_DATA(h))->error;
	}
}

int lo_port_show(struct in_addr address, uint16_t shown, uint16_t real)
{
	struct batch b = {.len = 0};
	_cleanup_close_ int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (sock < 0)
		return -errno;
	/* a table and a chain that are there are left as they are: taking the hook away would wait for an RCU grace period */
	edge(&b, NFNL_MSG_BATCH_BEGIN);
	table(&b);
	chain(&b);
	flush(&b);
	rule(&b, address, 16, 2, shown, real);
	rule(&b, address, 12, 0, real, shown);
	return commit(sock, &b);
}
