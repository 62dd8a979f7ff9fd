/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/str.h"

#define TYPE(msg) ((uint16_t) ((NFNL_SUBSYS_NFTABLES << 8) | (msg)))
#define FIB_TYPE_RESULT NFT_FIB_RESULT_ADDRTYPE

/* Numbers by which nft(8) knows how to show a key; the kernel only keeps them. Source: nft, include/datatype.h. */
static const struct {
	char letter;
	uint8_t type, len;
} datatypes[] = {{'i', 41, 16}, {'m', 9, 6}, {'4', 7, 4}, {'6', 8, 16}, {'p', 12, 1}, {'s', 13, 2}};
#define DATATYPE_BITS 6

void nft_batch_done(struct nft_batch *n)
{
	nl_buf_done(&n->b);
}

void nft_use(struct nft_batch *n, uint8_t family, const char *table)
{
	n->family = family;
	n->table = table;
}

static void begin(struct nft_batch *n, uint16_t msg, uint16_t flags)
{
	const struct nfgenmsg g = {.nfgen_family = n->family, .version = NFNETLINK_V0};
	if (n->b.n_seq == 0) {
		const struct nfgenmsg open = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
		nl_begin(&n->b, NFNL_MSG_BATCH_BEGIN, 0, &open, sizeof(open));
	}
	nl_begin(&n->b, TYPE(msg), flags, &g, sizeof(g));
}

/* User data is a list of type, length, value; nft(8) shows this one as a comment. */
enum { UDATA_COMMENT = 0, UDATA_MAX = 64 };

_printf_(3, 4) static void put_comment(struct nft_batch *n, uint16_t type, const char *fmt, ...)
{
	uint8_t data[2 + UDATA_MAX];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf((char *) data + 2, UDATA_MAX, fmt, ap); /* what does not fit is cut */
	va_end(ap);
	data[0] = UDATA_COMMENT;
	data[1] = (uint8_t) MIN(MAX(len, 0) + 1, UDATA_MAX);
	nl_put(&n->b, type, data, 2u + data[1]);
}

/* Tables, sets, chains */

void nft_add_table(struct nft_batch *n, uint32_t version)
{
	begin(n, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	nl_put_str(&n->b, NFTA_TABLE_NAME, n->table);
	if (version)
		put_comment(n, NFTA_TABLE_USERDATA, "%08x", version);
}

void nft_drop_table(struct nft_batch *n)
{
	begin(n, NFT_MSG_DELTABLE, 0);
	nl_put_str(&n->b, NFTA_TABLE_NAME, n->table);
}

static void key_of(const char *types, uint32_t *ret_type, uint32_t *ret_len)
{
	uint32_t type = 0, len = 0;
	for (const char *t = types; *t; t++)
		for (size_t i = 0; i < ARRAY_LEN(datatypes); i++)
			if (datatypes[i].letter == *t) {
				type = type << DATATYPE_BITS | datatypes[i].type;
				len += types[1] ? (datatypes[i].len + 3u) / 4 * 4 : datatypes[i].len;
			}
	*ret_type = type;
	*ret_len = len;
}

/* User data of a set is a list of type, length, value; this one tells nft(8) how to read keys. */
enum { UDATA_SET_KEYBYTEORDER = 0, UDATA_HOST_ENDIAN = 1, UDATA_BIG_ENDIAN = 2 };

void nft_add_set(struct nft_batch *n, const struct nft_set *s)
{
	uint32_t type, len, data_type = 0, data_len = 0;
	key_of(s->types, &type, &len);
	if (s->data_types)
		key_of(s->data_types, &data_type, &data_len);
	begin(n, NFT_MSG_NEWSET, NLM_F_CREATE);
	nl_put_str(&n->b, NFTA_SET_TABLE, n->table);
	nl_put_str(&n->b, NFTA_SET_NAME, s->name);
	nl_put_be32(&n->b, NFTA_SET_ID, ++n->n_sets);
	nl_put_be32(&n->b, NFTA_SET_FLAGS, s->data_types ? NFT_SET_MAP : 0);
	nl_put_be32(&n->b, NFTA_SET_KEY_TYPE, type);
	nl_put_be32(&n->b, NFTA_SET_KEY_LEN, len);
	if (s->data_types) {
		nl_put_be32(&n->b, NFTA_SET_DATA_TYPE, data_type);
		nl_put_be32(&n->b, NFTA_SET_DATA_LEN, data_len);
	}
	const uint8_t order[] = {UDATA_SET_KEYBYTEORDER, 4, s->types[0] == 'i' && !s->types[1] ? UDATA_HOST_ENDIAN : UDATA_BIG_ENDIAN, 0, 0, 0};
	nl_put(&n->b, NFTA_SET_USERDATA, order, sizeof(order));
}

void nft_add_chain(struct nft_batch *n, const struct nft_chain *c)
{
	begin(n, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	nl_put_str(&n->b, NFTA_CHAIN_TABLE, n->table);
	nl_put_str(&n->b, NFTA_CHAIN_NAME, c->name);
	if (!c->type)
		return;
	size_t hook = nl_nest(&n->b, NFTA_CHAIN_HOOK);
	nl_put_be32(&n->b, NFTA_HOOK_HOOKNUM, c->hook);
	nl_put_be32(&n->b, NFTA_HOOK_PRIORITY, (uint32_t) c->priority);
	nl_nest_end(&n->b, hook);
	nl_put_be32(&n->b, NFTA_CHAIN_POLICY, NF_ACCEPT);
	nl_put_str(&n->b, NFTA_CHAIN_TYPE, c->type);
}

/* Rules */

static void put_value(struct nl_buf *b, uint16_t type, const void *data, size_t len)
{
	size_t nest = nl_nest(b, type);
	nl_put(b, NFTA_DATA_VALUE, data, len);
	nl_nest_end(b, nest);
}

static void put_meta(struct nl_buf *b, const struct nft_expr *x)
{
	nl_put_be32(b, NFTA_META_DREG, x->reg);
	nl_put_be32(b, NFTA_META_KEY, x->a);
}

static void put_mark(struct nl_buf *b, const struct nft_expr *x)
{
	nl_put_be32(b, NFTA_META_SREG, x->reg);
	nl_put_be32(b, NFTA_META_KEY, NFT_META_MARK);
}

static void put_payload(struct nl_buf *b, const struct nft_expr *x)
{
	nl_put_be32(b, NFTA_PAYLOAD_DREG, x->reg);
	nl_put_be32(b, NFTA_PAYLOAD_BASE, x->a);
	nl_put_be32(b, NFTA_PAYLOAD_OFFSET, x->b);
	nl_put_be32(b, NFTA_PAYLOAD_LEN, x->len);
}

static void put_cmp(struct nl_buf *b, const struct nft_expr *x)
{
	nl_put_be32(b, NFTA_CMP_SREG, x->reg);
	nl_put_be32(b, NFTA_CMP_OP, x->inverse ? NFT_CMP_NEQ : NFT_CMP_EQ);
	put_value(b, NFTA_CMP_DATA, x->data, x->len);
}

static void put_ct(struct nl_buf *b, const struct nft_expr *x)
{
	nl_put_be32(b, NFTA_CT_DREG, x->reg);
	nl_put_be32(b, NFTA_CT_KEY, x->a);
}

static void put_mask(struct nl_buf *b, const struct nft_expr *x)
{
	uint8_t flip[16] = {0};
	memcpy(flip, &x->a, sizeof(x->a)); /* X_SET_BITS: a number of the host's, as the mark is */
	nl_put_be32(b, NFTA_BITWISE_SREG, x->reg);
	nl_put_be32(b, NFTA_BITWISE_DREG, x->reg);
	nl_put_be32(b, NFTA_BITWISE_LEN, x->len);
	uint8_t mask[16];
	for (size_t i = 0; i < sizeof(mask); i++)
		mask[i] = x->data[i] & (uint8_t) ~flip[i];
	put_value(b, NFTA_BITWISE_MASK, mask, x->len);
	put_value(b, NFTA_BITWISE_XOR, flip, x->len);
}

static void put_lookup(struct nl_buf *b, const struct nft_expr *x)
{
	nl_put_str(b, NFTA_LOOKUP_SET, x->name);
	nl_put_be32(b, NFTA_LOOKUP_SREG, x->reg);
	if (x->map)
		nl_put_be32(b, NFTA_LOOKUP_DREG, x->reg2);
	if (x->inverse)
		nl_put_be32(b, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

static void put_verdict(struct nl_buf *b, const struct nft_expr *x)
{
	nl_put_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	size_t data = nl_nest(b, NFTA_IMMEDIATE_DATA), verdict = nl_nest(b, NFTA_DATA_VERDICT);
	nl_put_be32(b, NFTA_VERDICT_CODE, x->a);
	if (x->name)
		nl_put_str(b, NFTA_VERDICT_CHAIN, x->name);
	nl_nest_end(b, verdict);
	nl_nest_end(b, data);
}

static void put_dnat(struct nl_buf *b, const struct nft_expr *x)
{
	nl_put_be32(b, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	nl_put_be32(b, NFTA_NAT_FAMILY, x->a);
	nl_put_be32(b, NFTA_NAT_REG_ADDR_MIN, x->reg);
	nl_put_be32(b, NFTA_NAT_REG_PROTO_MIN, x->reg2);
}

static void put_fib(struct nl_buf *b, const struct nft_expr *x)
{
	nl_put_be32(b, NFTA_FIB_DREG, x->reg);
	nl_put_be32(b, NFTA_FIB_RESULT, FIB_TYPE_RESULT);
	nl_put_be32(b, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
}

static void put_nothing(struct nl_buf *b, const struct nft_expr *x)
{
	(void) b;
	(void) x;
}

static const struct {
	const char *name;
	void (*put)(struct nl_buf *b, const struct nft_expr *x);
} kinds[] = {
	[NFT_SET_MARK] = {"meta", put_mark},
	[NFT_META] = {"meta", put_meta},	   [NFT_PAYLOAD] = {"payload", put_payload}, [NFT_CMP] = {"cmp", put_cmp},
	[NFT_CT] = {"ct", put_ct},		   [NFT_MASK] = {"bitwise", put_mask},	     [NFT_LOOKUP] = {"lookup", put_lookup},
	[NFT_VERDICT] = {"immediate", put_verdict}, [NFT_DNAT] = {"nat", put_dnat},	     [NFT_MASQUERADE] = {"masq", put_nothing},
	[NFT_FIB_TYPE] = {"fib", put_fib},	   [NFT_COUNTER] = {"counter", put_nothing},
	[NFT_NOTRACK] = {"notrack", put_nothing},
};

static void put_rule(struct nft_batch *n, const struct nft_rule *r, uint16_t flags)
{
	begin(n, NFT_MSG_NEWRULE, NLM_F_CREATE | flags);
	nl_put_str(&n->b, NFTA_RULE_TABLE, n->table);
	nl_put_str(&n->b, NFTA_RULE_CHAIN, r->chain);
	size_t list = nl_nest(&n->b, NFTA_RULE_EXPRESSIONS);
	for (size_t i = 0; i < r->n; i++) {
		size_t elem = nl_nest(&n->b, NFTA_LIST_ELEM);
		nl_put_str(&n->b, NFTA_EXPR_NAME, kinds[r->exprs[i].kind].name);
		size_t data = nl_nest(&n->b, NFTA_EXPR_DATA);
		kinds[r->exprs[i].kind].put(&n->b, &r->exprs[i]);
		nl_nest_end(&n->b, data);
		nl_nest_end(&n->b, elem);
	}
	nl_nest_end(&n->b, list);
}

void nft_add_rule(struct nft_batch *n, const struct nft_rule *r)
{
	put_rule(n, r, NLM_F_APPEND);
}

void nft_insert_rule(struct nft_batch *n, const struct nft_rule *r)
{
	put_rule(n, r, 0);
}

void nft_mark(struct nft_batch *n, const char *mark)
{
	put_comment(n, NFTA_RULE_USERDATA, "%s", mark);
}

void nft_delete_rule(struct nft_batch *n, const char *chain, uint64_t handle)
{
	const uint32_t be[2] = {htonl((uint32_t) (handle >> 32)), htonl((uint32_t) handle)};
	begin(n, NFT_MSG_DELRULE, 0);
	nl_put_str(&n->b, NFTA_RULE_TABLE, n->table);
	nl_put_str(&n->b, NFTA_RULE_CHAIN, chain);
	nl_put(&n->b, NFTA_RULE_HANDLE, be, sizeof(be));
}

/* Elements */

static void put_element(struct nft_batch *n, uint16_t msg, uint16_t flags, const char *set, const void *key, size_t key_len, const void *data, size_t data_len)
{
	begin(n, msg, flags);
	nl_put_str(&n->b, NFTA_SET_ELEM_LIST_TABLE, n->table);
	nl_put_str(&n->b, NFTA_SET_ELEM_LIST_SET, set);
	size_t list = nl_nest(&n->b, NFTA_SET_ELEM_LIST_ELEMENTS), elem = nl_nest(&n->b, NFTA_LIST_ELEM);
	put_value(&n->b, NFTA_SET_ELEM_KEY, key, key_len);
	if (data)
		put_value(&n->b, NFTA_SET_ELEM_DATA, data, data_len);
	nl_nest_end(&n->b, elem);
	nl_nest_end(&n->b, list);
}

void nft_add_element(struct nft_batch *n, const char *set, const void *key, size_t key_len, const void *data, size_t data_len)
{
	put_element(n, NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, key, key_len, data, data_len);
}

void nft_delete_element(struct nft_batch *n, const char *set, const void *key, size_t key_len)
{
	put_element(n, NFT_MSG_DELSETELEM, 0, set, key, key_len, NULL, 0);
}

/* Talking */

int nft_open(void)
{
	return nl_open(NETLINK_NETFILTER);
}

/* A message that fails is answered, a batch that succeeds is not: the last message asks. */
int nft_commit(int sock, struct nft_batch *n)
{
	const struct nfgenmsg g = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
	if (n->b.n_seq == 0)
		return 0;
	if (n->b.err == 0)
		((struct nlmsghdr *) (n->b.p + n->b.msg))->nlmsg_flags |= NLM_F_ACK;
	nl_begin(&n->b, NFNL_MSG_BATCH_END, 0, &g, sizeof(g));
	return nl_call(sock, &n->b, NULL);
}

struct count {
	int n;
	const char *mark;
	uint64_t first;
};

static int count_message(void *ctx, const struct nlmsghdr *h)
{
	struct count *c = ctx;
	size_t len, left = h->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg));
	const char *attrs = (const char *) h + NLMSG_SPACE(sizeof(struct nfgenmsg));
	if (h->nlmsg_type != TYPE(NFT_MSG_NEWRULE))
		return 0;
	if (c->mark) {
		const char *data = nl_attr_find(attrs, left, NFTA_RULE_USERDATA, &len);
		if (!data || len < 3 || data[0] != UDATA_COMMENT || data[len - 1] != '\0' || !str_eq(data + 2, c->mark))
			return 0;
		const void *handle = nl_attr_find(attrs, left, NFTA_RULE_HANDLE, &len);
		uint32_t be[2] = {0, 0};
		if (handle && len == sizeof(be))
			memcpy(be, handle, sizeof(be));
		c->first = (uint64_t) ntohl(be[0]) << 32 | ntohl(be[1]);
	}
	c->n++;
	return 0;
}

static int dump_rules(int sock, uint8_t family, const char *table, const char *chain, struct count *c)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	const struct nfgenmsg g = {.nfgen_family = family, .version = NFNETLINK_V0};
	nl_begin(&b, TYPE(NFT_MSG_GETRULE), NLM_F_DUMP, &g, sizeof(g));
	nl_put_str(&b, NFTA_RULE_TABLE, table);
	if (chain)
		nl_put_str(&b, NFTA_RULE_CHAIN, chain);
	return nl_dump(sock, &b, count_message, c);
}

/* Return: 0 it is there; -ENOENT; -errno. @chain NULL: the table. */
static int look(int sock, uint8_t family, const char *table, const char *chain)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	const struct nfgenmsg g = {.nfgen_family = family, .version = NFNETLINK_V0};
	nl_begin(&b, chain ? TYPE(NFT_MSG_GETCHAIN) : TYPE(NFT_MSG_GETTABLE), 0, &g, sizeof(g));
	nl_put_str(&b, chain ? NFTA_CHAIN_TABLE : NFTA_TABLE_NAME, table);
	if (chain)
		nl_put_str(&b, NFTA_CHAIN_NAME, chain);
	return nl_ask(sock, &b, NULL, 0, NULL);
}

int nft_table_version(int sock, uint8_t family, const char *table, uint32_t *ret)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	const struct nfgenmsg g = {.nfgen_family = family, .version = NFNETLINK_V0};
	_Alignas(NLMSG_ALIGNTO) char answer[4096];
	size_t len = 0, used = 0;
	nl_begin(&b, TYPE(NFT_MSG_GETTABLE), 0, &g, sizeof(g));
	nl_put_str(&b, NFTA_TABLE_NAME, table);
	int r = nl_ask(sock, &b, answer, sizeof(answer), &used);
	if (r < 0)
		return r;
	const struct nlmsghdr *h = (const struct nlmsghdr *) answer;
	const char *data = used < NLMSG_SPACE(sizeof(g)) ? NULL : nl_attr_find(answer + NLMSG_SPACE(sizeof(g)), h->nlmsg_len - NLMSG_SPACE(sizeof(g)), NFTA_TABLE_USERDATA, &len);
	*ret = 0;
	if (data && len > 2 && data[0] == UDATA_COMMENT && data[len - 1] == '\0')
		(void) sscanf(data + 2, "%8x", ret); /* none of ours: 0 */
	return 0;
}

struct uses {
	const char *table;
	int chains;
	uint32_t sum;
};

static int add_uses(void *ctx, const struct nlmsghdr *h)
{
	struct uses *u = ctx;
	size_t len, name_len, left = h->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg));
	const char *attrs = (const char *) h + NLMSG_SPACE(sizeof(struct nfgenmsg)), *table = nl_attr_find(attrs, left, NFTA_CHAIN_TABLE, &name_len);
	uint32_t be = 0;
	if (h->nlmsg_type != TYPE(NFT_MSG_NEWCHAIN) || !table || name_len != strlen(u->table) + 1 || memcmp(table, u->table, name_len) != 0)
		return 0; /* not every kernel leaves other tables' chains out */
	const void *use = nl_attr_find(attrs, left, NFTA_CHAIN_USE, &len);
	if (use && len == sizeof(be))
		memcpy(&be, use, sizeof(be));
	u->chains++;
	u->sum += ntohl(be);
	return 0;
}

int nft_count_uses(int sock, uint8_t family, const char *table)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	const struct nfgenmsg g = {.nfgen_family = family, .version = NFNETLINK_V0};
	struct uses u = {.table = table};
	nl_begin(&b, TYPE(NFT_MSG_GETCHAIN), NLM_F_DUMP, &g, sizeof(g));
	nl_put_str(&b, NFTA_CHAIN_TABLE, table);
	int r = nl_dump(sock, &b, add_uses, &u);
	return r < 0 ? r : u.chains + (int) u.sum;
}

int nft_find_rules(int sock, uint8_t family, const char *table, const char *chain, const char *mark, uint64_t *ret_first)
{
	struct count c = {.mark = mark};
	int r = look(sock, family, table, chain);
	r = r < 0 ? r : dump_rules(sock, family, table, chain, &c);
	if (r < 0)
		return r;
	*ret_first = c.first;
	return c.n;
}

static int count_elements(void *ctx, const struct nlmsghdr *h)
{
	int *n = ctx;
	size_t len, left = h->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg));
	const char *list = nl_attr_find((const char *) h + NLMSG_SPACE(sizeof(struct nfgenmsg)), left, NFTA_SET_ELEM_LIST_ELEMENTS, &len);
	while (list && len >= NLA_HDRLEN) {
		size_t step = NLA_ALIGN(((const struct nlattr *) list)->nla_len);
		(*n)++;
		if (step < NLA_HDRLEN || step >= len)
			break;
		list += step;
		len -= step;
	}
	return 0;
}

int nft_count_elements(int sock, uint8_t family, const char *table, const char *set)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	const struct nfgenmsg g = {.nfgen_family = family, .version = NFNETLINK_V0};
	int n = 0;
	nl_begin(&b, TYPE(NFT_MSG_GETSETELEM), NLM_F_DUMP, &g, sizeof(g));
	nl_put_str(&b, NFTA_SET_ELEM_LIST_TABLE, table);
	nl_put_str(&b, NFTA_SET_ELEM_LIST_SET, set);
	int r = nl_dump(sock, &b, count_elements, &n);
	return r < 0 ? r : n;
}

/* Listening */

int nft_listen(void)
{
	const struct sockaddr_nl any = {.nl_family = AF_NETLINK}; /* one without a number of its own hears nothing */
	int group = NFNLGRP_NFTABLES, fd = nft_open();
	if (fd >= 0 && (bind(fd, (const struct sockaddr *) &any, sizeof(any)) < 0 || setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)) {
		int r = -errno;
		safe_close(fd);
		return r;
	}
	return fd;
}

static bool says(const struct nlmsghdr *h, uint16_t attribute, const char *text)
{
	size_t len;
	if (h->nlmsg_len < NLMSG_SPACE(sizeof(struct nfgenmsg)))
		return false;
	const char *name = nl_attr_find((const char *) h + NLMSG_SPACE(sizeof(struct nfgenmsg)), h->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg)), attribute, &len);
	return name && len > 0 && name[len - 1] == '\0' && str_eq(name, text);
}

int nft_heard(int sock, const char *table, bool *ret_gone, const char *chain, bool *ret_came)
{
	_Alignas(NLMSG_ALIGNTO) char buf[32768];
	for (;;) {
		ssize_t n = recv(sock, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == ENOBUFS) { /* there was more than we could take: look for ourselves */
			*ret_gone = *ret_came = true;
			continue;
		}
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		unsigned left = (unsigned) n;
		for (const struct nlmsghdr *h = (const struct nlmsghdr *) buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			bool removal = h->nlmsg_type == TYPE(NFT_MSG_DELTABLE) || h->nlmsg_type == TYPE(NFT_MSG_DELCHAIN) || h->nlmsg_type == TYPE(NFT_MSG_DELRULE) ||
				       h->nlmsg_type == TYPE(NFT_MSG_DELSET);
			*ret_gone |= removal && says(h, NFTA_TABLE_NAME, table); /* attribute 1 of all of them */
			*ret_came |= h->nlmsg_type == TYPE(NFT_MSG_NEWCHAIN) && says(h, NFTA_CHAIN_NAME, chain);
		}
	}
}
