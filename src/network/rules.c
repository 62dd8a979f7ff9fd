/* SPDX-License-Identifier: Apache-2.0 */
#include "network/rules.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"

/* Names of sets, shared by rules and elements */
#define NETS "networks"
#define INTERNAL "internal"
#define PAIRS "same-network"
#define MASQUERADED "masqueraded"
#define HOSTS "host-access"
#define GUARDED4 "guarded4"
#define GUARDED6 "guarded6"
#define ISOLATED "isolated"
#define SIBLINGS "siblings"
#define ENDS "senders"
#define ENDS6 "senders6"
#define PORTS "ports"
#define PORTS_ANY "ports-any"
#define PORTS6 "ports6"
#define PORTS6_ANY "ports6-any"

/* What rules are made of */
#define LL NFT_PAYLOAD_LL_HEADER
#define NH NFT_PAYLOAD_NETWORK_HEADER
#define TH NFT_PAYLOAD_TRANSPORT_HEADER
#define IIF(r) X_META(NFT_META_IIFNAME, r)
#define OIF(r) X_META(NFT_META_OIFNAME, r)
#define L4(r) X_META(NFT_META_L4PROTO, r)
#define FAMILY_IS(f, r) X_META(NFT_META_NFPROTO, r), X_IS(r, 1, f)
#define ETHERTYPE_IS(hi, lo, r) X_LOAD(LL, 12, 2, r), X_IS(r, 2, hi, lo) /* as it was on the wire: a VLAN tag is none of the types below */
#define L4_IS(p, r) L4(r), X_IS(r, 1, p)
#define ETHER_SOURCE(r) X_LOAD(LL, 6, 6, r)
#define SOURCE4(r) X_LOAD(NH, 12, 4, r)
#define DEST4(r) X_LOAD(NH, 16, 4, r)
#define SOURCE6(r) X_LOAD(NH, 8, 16, r)
#define DEST6(r) X_LOAD(NH, 24, 16, r)
#define DPORT(r) X_LOAD(TH, 2, 2, r)
#define LOOPBACK(r) X_MASK(r, 4, 0xff), X_IS(r, 4, 127)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define U32(v) (v) & 0xff, (v) >> 8 & 0xff, (v) >> 16 & 0xff, (v) >> 24
#else
#define U32(v) (v) >> 24, (v) >> 16 & 0xff, (v) >> 8 & 0xff, (v) & 0xff
#endif
#define CT_HAS(key, bits, r) X_CT(key, r), X_MASK(r, 4, U32(bits)), X_IS_NOT(r, 4, 0)
#define ANSWERS(r) CT_HAS(NFT_CT_STATE, (unsigned) (NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED)), r)
#define TURNED 0x00c0f000u /* bit of a packet's mark: to a published port of the sender's own network */
#define PUBLISHED(r) CT_HAS(NFT_CT_STATUS, (unsigned) IPS_DST_NAT, r)

#define RULE(chain_, ...) {.chain = chain_, .exprs = (const struct nft_expr[]){__VA_ARGS__}, .n = ARRAY_LEN(((const struct nft_expr[]){__VA_ARGS__}))}

static const struct nft_set bridge_sets[] = {{ENDS, "im4", NULL}, {ENDS6, "im6", NULL}};
static const struct nft_chain bridge_chains[] = {{"from-port", "filter", NF_BR_PRE_ROUTING, -300}};

enum { ICMP6_RS = 133, ICMP6_RA, ICMP6_NS, ICMP6_NA, ICMP6_REDIRECT, MLD2_REPORT = 143 };

static const struct nft_rule bridge_rules[] = {
	/* before these: what does not come from a container's port of ours is accepted (put_port_rule()) */
	RULE("from-port", ETHERTYPE_IS(0x08, 0x00, 0), IIF(0), ETHER_SOURCE(4), SOURCE4(6), X_IN(ENDS, 0), X_ACCEPT),
	/* both who sends it and who it says that sent it */
	RULE("from-port", ETHERTYPE_IS(0x08, 0x06, 0), IIF(0), ETHER_SOURCE(4), X_LOAD(NH, 14, 4, 6), X_NOT_IN(ENDS, 0), X_DROP),
	RULE("from-port", ETHERTYPE_IS(0x08, 0x06, 0), IIF(0), X_LOAD(NH, 8, 6, 4), X_LOAD(NH, 14, 4, 6), X_IN(ENDS, 0), X_ACCEPT),
	RULE("from-port", ETHERTYPE_IS(0x86, 0xdd, 0), L4_IS(IPPROTO_ICMPV6, 0), X_LOAD(TH, 0, 1, 0), X_IS(0, 1, ICMP6_RA), X_DROP),
	RULE("from-port", ETHERTYPE_IS(0x86, 0xdd, 0), L4_IS(IPPROTO_ICMPV6, 0), X_LOAD(TH, 0, 1, 0), X_IS(0, 1, ICMP6_REDIRECT), X_DROP),
	RULE("from-port", ETHERTYPE_IS(0x86, 0xdd, 0), L4_IS(IPPROTO_ICMPV6, 0), X_LOAD(TH, 0, 1, 0), X_IS(0, 1, ICMP6_NA), IIF(0), ETHER_SOURCE(4), X_LOAD(TH, 8, 16, 6), X_NOT_IN(ENDS6, 0),
	     X_DROP),
	RULE("from-port", ETHERTYPE_IS(0x86, 0xdd, 0), IIF(0), ETHER_SOURCE(4), SOURCE6(6), X_IN(ENDS6, 0), X_ACCEPT),
	/* an address that is being tried out, and memberships before there is one */
	RULE("from-port", ETHERTYPE_IS(0x86, 0xdd, 0), L4_IS(IPPROTO_ICMPV6, 0), X_LOAD(TH, 0, 1, 0), X_IS(0, 1, ICMP6_NS), SOURCE6(0), X_IS(0, 16, 0), IIF(0), ETHER_SOURCE(4), X_LOAD(TH, 8, 16, 6),
	     X_IN(ENDS6, 0), X_ACCEPT),
	RULE("from-port", X_COUNTER, X_DROP),
};

static const struct nft_set inet_sets[] = {
	{NETS, "i", NULL},   {INTERNAL, "i", NULL},   {PAIRS, "ii", NULL},  {MASQUERADED, "i", NULL}, {HOSTS, "i", NULL},
	{GUARDED4, "i", NULL}, {GUARDED6, "i", NULL}, {ISOLATED, "i", NULL}, {SIBLINGS, "i", NULL}, {PORTS, "p4s", "4s"}, {PORTS_ANY, "ps", "4s"}, {PORTS6, "p6s", "6s"}, {PORTS6_ANY, "ps", "6s"},
};

static const struct nft_chain inet_chains[] = {
	{"published", NULL, 0, 0},
	{"from-network", NULL, 0, 0},
	{"to-network", NULL, 0, 0},
	{"to-host", NULL, 0, 0},
	{"early", "filter", NF_INET_PRE_ROUTING, -300},
	{"arriving", "nat", NF_INET_PRE_ROUTING, -100},
	{"leaving-host", "nat", NF_INET_LOCAL_OUT, -100},
	{"forward", "filter", NF_INET_FORWARD, 0},
	{"input", "filter", NF_INET_LOCAL_IN, 0},
	{"leaving", "nat", NF_INET_POST_ROUTING, 100},
};

static const struct nft_rule inet_rules[] = {
	/* where bridges are filtered a frame comes by twice: addresses are translated at the network's first bridge alone */
	RULE("early", IIF(0), X_IN(SIBLINGS, 0), X_NOTRACK),
	/* the bridges route loopback addresses where a port is published: for answers to the host alone (CVE-2020-8558) */
	RULE("early", IIF(0), X_IN(NETS, 0), FAMILY_IS(NFPROTO_IPV4, 0), DEST4(0), LOOPBACK(0), X_DROP),
	RULE("early", IIF(0), X_IN(NETS, 0), FAMILY_IS(NFPROTO_IPV4, 0), SOURCE4(0), LOOPBACK(0), X_DROP),

	RULE("arriving", X_JUMP("published")),
	RULE("leaving-host", X_JUMP("published")),
	/* CVE-2025-54388, CNI 2025-67499: what is only passing through is not ours */
	RULE("published", X_FIB_DADDR_TYPE(0), X_IS_NOT(0, 4, U32((unsigned) RTN_LOCAL)), X_RETURN),
	RULE("published", FAMILY_IS(NFPROTO_IPV4, 0), L4(0), DEST4(1), DPORT(2), X_FIND(PORTS, 0, 8), X_DNAT(NFPROTO_IPV4, 8, 9)),
	RULE("published", FAMILY_IS(NFPROTO_IPV4, 0), L4(0), DPORT(1), X_FIND(PORTS_ANY, 0, 8), X_DNAT(NFPROTO_IPV4, 8, 9)),
	RULE("published", FAMILY_IS(NFPROTO_IPV6, 0), L4(0), DEST6(1), DPORT(5), X_FIND(PORTS6, 0, 8), X_DNAT(NFPROTO_IPV6, 8, 12)),
	RULE("published", FAMILY_IS(NFPROTO_IPV6, 0), L4(0), DPORT(1), X_FIND(PORTS6_ANY, 0, 8), X_DNAT(NFPROTO_IPV6, 8, 12)),

	RULE("forward", FAMILY_IS(NFPROTO_IPV4, 0), IIF(0), X_IN(GUARDED4, 0), OIF(0), X_IN(GUARDED4, 0), X_DROP),
	RULE("forward", FAMILY_IS(NFPROTO_IPV6, 0), IIF(0), X_IN(GUARDED6, 0), OIF(0), X_IN(GUARDED6, 0), X_DROP),
	RULE("forward", IIF(0), X_IN(NETS, 0), X_JUMP("from-network")),
	RULE("forward", OIF(0), X_IN(NETS, 0), X_JUMP("to-network")),
	RULE("from-network", IIF(0), OIF(4), X_IN(PAIRS, 0), PUBLISHED(0), X_META(NFT_META_MARK, 0), X_SET_BITS(0, TURNED), X_SET_MARK(0)),
	RULE("from-network", IIF(0), X_NOT_IN(ISOLATED, 0), OIF(4), X_IN(PAIRS, 0), X_ACCEPT),
	RULE("from-network", ANSWERS(0), X_ACCEPT),
	RULE("from-network", IIF(0), X_IN(INTERNAL, 0), X_DROP),
	RULE("from-network", PUBLISHED(0), X_ACCEPT),
	RULE("from-network", OIF(0), X_IN(NETS, 0), X_DROP),
	RULE("from-network", X_ACCEPT),
	RULE("to-network", ANSWERS(0), X_ACCEPT),
	RULE("to-network", OIF(0), X_IN(INTERNAL, 0), X_DROP),
	RULE("to-network", PUBLISHED(0), X_ACCEPT),
	RULE("to-network", X_DROP),

	RULE("input", IIF(0), X_IN(NETS, 0), X_JUMP("to-host")),
	RULE("to-host", ANSWERS(0), X_ACCEPT),
	RULE("to-host", L4_IS(IPPROTO_ICMP, 0), X_ACCEPT),
	RULE("to-host", L4_IS(IPPROTO_ICMPV6, 0), X_ACCEPT),
	RULE("to-host", IIF(0), X_IN(HOSTS, 0), X_ACCEPT),
	RULE("to-host", X_DROP),

	/* to a published port of one's own network: the answer has to come back this way to be translated (a bridge that filters tells no incoming interface here) */
	RULE("leaving", X_META(NFT_META_MARK, 0), X_MASK(0, 4, U32(TURNED)), X_IS(0, 4, U32(TURNED)), X_MASQUERADE),
	RULE("leaving", IIF(0), X_IN(MASQUERADED, 0), OIF(0), X_NOT_IN(NETS, 0), X_MASQUERADE),
	RULE("leaving", OIF(0), X_IN(NETS, 0), FAMILY_IS(NFPROTO_IPV4, 0), SOURCE4(0), LOOPBACK(0), X_MASQUERADE),
};

static const struct {
	uint8_t family;
	const struct nft_set *sets;
	size_t n_sets;
	const struct nft_chain *chains;
	size_t n_chains;
	const struct nft_rule *rules;
	size_t n_rules;
} tables[] = {
	{NFPROTO_BRIDGE, bridge_sets, ARRAY_LEN(bridge_sets), bridge_chains, ARRAY_LEN(bridge_chains), bridge_rules, ARRAY_LEN(bridge_rules)},
	{NFPROTO_INET, inet_sets, ARRAY_LEN(inet_sets), inet_chains, ARRAY_LEN(inet_chains), inet_rules, ARRAY_LEN(inet_rules)},
};

void rules_drop(struct nft_batch *n, const char *table)
{
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		nft_use(n, tables[t].family, table);
		nft_add_table(n, 0); /* so that there is one to drop */
		nft_drop_table(n);
	}
}

/* Ports are told by their names: not every kernel can ask for the bridge. */
static void put_port_rule(struct nft_batch *n, const char *ports)
{
	struct nft_expr x[] = {IIF(0), {.kind = NFT_CMP, .inverse = true, .reg = NFT_R(0), .len = (uint32_t) MIN(strlen(ports), sizeof(x[0].data))}, X_ACCEPT};
	memcpy(x[1].data, ports, x[1].len);
	nft_add_rule(n, &(struct nft_rule){"from-port", x, ARRAY_LEN(x)});
}

static void build(struct nft_batch *n, const char *table, const char *ports, uint32_t version)
{
	rules_drop(n, table);
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		nft_use(n, tables[t].family, table);
		nft_add_table(n, version);
		for (size_t i = 0; i < tables[t].n_sets; i++)
			nft_add_set(n, &tables[t].sets[i]);
		for (size_t i = 0; i < tables[t].n_chains; i++)
			nft_add_chain(n, &tables[t].chains[i]);
		if (tables[t].family == NFPROTO_BRIDGE)
			put_port_rule(n, ports);
		for (size_t i = 0; i < tables[t].n_rules; i++)
			nft_add_rule(n, &tables[t].rules[i]);
	}
}

/* A number for what the rules say: another version of ours has another one. */
static uint32_t version_of(const char *table, const char *ports)
{
	_cleanup_nft_ struct nft_batch n = NFT_BATCH_INIT;
	uint64_t h = 14695981039346656037u; /* FNV-1a, by words: netlink's messages are whole ones, and this is on the way of a start */
	build(&n, table, ports, 0);
	for (size_t i = 0; i + sizeof(uint32_t) <= n.b.len; i += sizeof(uint32_t)) {
		uint32_t word;
		memcpy(&word, n.b.p + i, sizeof(word));
		h = (h ^ word) * 1099511628211u;
	}
	return (uint32_t) (h ^ h >> 32) ?: 1;
}

void rules_build(struct nft_batch *n, const char *table, const char *ports)
{
	build(n, table, ports, version_of(table, ports));
}

/* What nft_count_uses() says of a table that is whole. */
static int uses_of(size_t t)
{
	int n = (int) (tables[t].n_chains + tables[t].n_rules) + (tables[t].family == NFPROTO_BRIDGE) /* put_port_rule() */;
	for (size_t i = 0; i < tables[t].n_rules; i++)
		for (size_t k = 0; k < tables[t].rules[i].n; k++) {
			const struct nft_expr *x = &tables[t].rules[i].exprs[k];
			n += x->kind == NFT_VERDICT && x->a == (uint32_t) NFT_JUMP;
		}
	return n;
}

int rules_are_whole(int sock, const char *table, const char *ports)
{
	const uint32_t wanted = version_of(table, ports);
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		uint32_t version = 0;
		int n = nft_table_version(sock, tables[t].family, table, &version);
		n = n < 0 || version != wanted ? n : nft_count_uses(sock, tables[t].family, table);
		if (n < 0 && n != -ENOENT)
			return n;
		if (n != uses_of(t))
			return 0;
	}
	return 1;
}

/* Elements */

#define NAME_LEN IFNAMSIZ /* 16: four registers */

static void change(struct nft_batch *n, bool on, const char *set, const void *key, size_t key_len, const void *data, size_t data_len)
{
	if (on)
		nft_add_element(n, set, key, key_len, data, data_len);
	else
		nft_delete_element(n, set, key, key_len);
}

static void put_name(char key[NAME_LEN], const char *name)
{
	memset(key, 0, NAME_LEN);
	(void) str_copy(key, NAME_LEN, name); /* names of interfaces fit */
}

static void change_name(struct nft_batch *n, bool on, const char *set, const char *name)
{
	char key[NAME_LEN];
	put_name(key, name);
	change(n, on, set, key, sizeof(key), NULL, 0);
}

void rules_network(struct nft_batch *n, const char *table, const char *bridge, unsigned flags, bool on)
{
	char pair[2 * NAME_LEN];
	put_name(pair, bridge);
	put_name(pair + NAME_LEN, bridge);
	nft_use(n, NFPROTO_INET, table);
	change_name(n, on, NETS, bridge);
	change(n, on, PAIRS, pair, sizeof(pair), NULL, 0);
	const struct {
		unsigned flag;
		const char *set;
	} rows[] = {{RULES_INTERNAL, INTERNAL}, {RULES_MASQUERADE, MASQUERADED}, {RULES_HOST_ACCESS, HOSTS}, {RULES_ISOLATED, ISOLATED}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (flags & rows[i].flag)
			change_name(n, on, rows[i].set, bridge);
}

void rules_sibling(struct nft_batch *n, const char *table, const char *sibling, bool on)
{
	nft_use(n, NFPROTO_INET, table);
	change_name(n, on, SIBLINGS, sibling);
}

/* The link-local address that the kernel makes of a hardware address (RFC 4291 appendix A). */
static void link_local(uint8_t ret[16], const uint8_t mac[MAC_LEN])
{
	const uint8_t a[16] = {0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
	memcpy(ret, a, sizeof(a));
}

void rules_endpoint(struct nft_batch *n, const char *table, const struct interface *i, bool on)
{
	uint8_t key[NAME_LEN + 8 + 16] = {0};
	put_name((char *) key, i->host_name);
	memcpy(key + NAME_LEN, i->mac, MAC_LEN);
	nft_use(n, NFPROTO_BRIDGE, table);
	for (size_t k = 0; k < i->n_addresses; k++) {
		size_t len = i->addresses[k].family == AF_INET ? 4 : 16;
		memcpy(key + NAME_LEN + 8, i->addresses[k].bytes, len);
		change(n, on, len == 4 ? ENDS : ENDS6, key, NAME_LEN + 8 + len, NULL, 0);
	}
	if (i->ipv6) {
		link_local(key + NAME_LEN + 8, i->mac);
		change(n, on, ENDS6, key, NAME_LEN + 8 + 16, NULL, 0);
	}
}

static bool is_any(const struct ip_addr *a)
{
	static const uint8_t zero[16];
	return memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

void rules_port(struct nft_batch *n, const char *table, const struct rules_port *p, bool on)
{
	uint8_t key[4 + 16 + 4] = {p->proto}, data[16 + 4] = {0};
	size_t len = p->host.family == AF_INET ? 4 : 16, at = 4;
	bool any = is_any(&p->host);
	if (!any) {
		memcpy(key + at, p->host.bytes, len);
		at += len;
	}
	key[at] = (uint8_t) (p->host_port >> 8);
	key[at + 1] = (uint8_t) p->host_port;
	memcpy(data, p->to.bytes, len);
	data[len] = (uint8_t) (p->to_port >> 8);
	data[len + 1] = (uint8_t) p->to_port;
	nft_use(n, NFPROTO_INET, table);
	change(n, on, len == 4 ? (any ? PORTS_ANY : PORTS) : (any ? PORTS6_ANY : PORTS6), key, at + 4, data, len + 4);
}

void rules_guard(struct nft_batch *n, const char *table, int family, const char *name)
{
	nft_use(n, NFPROTO_INET, table);
	change_name(n, true, family == AF_INET ? GUARDED4 : GUARDED6, name);
}

/* Docker's chain for others */

/* @name: of an interface, or with '*' at its end what it begins with. Return: expressions used. */
static size_t name_is(struct nft_expr *x, uint32_t key, const char *name)
{
	size_t len = strlen(name), cut = name[len - 1] == '*' ? len - 1 : len + 1;
	x[0] = (struct nft_expr) X_META(key, 0);
	x[1] = (struct nft_expr){.kind = NFT_CMP, .reg = NFT_R(0), .len = (uint32_t) MIN(cut, sizeof(x[1].data))};
	memcpy(x[1].data, name, x[1].len);
	return 2;
}

#define DOCKER_RULES 4

/* In the order in which they are to stand. What goes to a container of docker's is docker's to judge: it knows what is published. */
static void put_docker_rules(struct nft_batch *n, const char *bridges, const char *mark)
{
	const struct {
		const char *in, *out; /* NULL: any */
		struct nft_expr verdict;
	} rows[DOCKER_RULES] = {{bridges, "docker0", X_RETURN}, {bridges, "br-*", X_RETURN}, {bridges, NULL, X_ACCEPT}, {NULL, bridges, X_ACCEPT}};
	for (size_t i = DOCKER_RULES; i-- > 0;) { /* each is put before those that are there */
		struct nft_expr x[6];
		size_t k = rows[i].in ? name_is(x, NFT_META_IIFNAME, rows[i].in) : 0;
		k += rows[i].out ? name_is(x + k, NFT_META_OIFNAME, rows[i].out) : 0;
		x[k++] = (struct nft_expr) X_COUNTER; /* iptables has one in every rule */
		x[k++] = rows[i].verdict;
		nft_insert_rule(n, &(struct nft_rule){DOCKER_USER, x, k});
		nft_mark(n, mark);
	}
}

int rules_beside_docker(int sock, const char *prefix)
{
	static const uint8_t families[] = {NFPROTO_IPV4, NFPROTO_IPV6};
	char bridges[IFNAMSIZ + 1], mark[IFNAMSIZ + 8];
	(void) str_format(bridges, sizeof(bridges), "%.15s*", prefix); /* fits, like the next: every engine has rules of its own */
	(void) str_format(mark, sizeof(mark), "coffer %.15s", prefix);
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		_cleanup_nft_ struct nft_batch n = NFT_BATCH_INIT;
		uint64_t handle;
		int found = nft_find_rules(sock, families[f], "filter", DOCKER_USER, mark, &handle);
		if (found != 0) {
			if (found < 0 && found != -ENOENT)
				return found;
			continue; /* no docker, or done */
		}
		nft_use(&n, families[f], "filter");
		put_docker_rules(&n, bridges, mark);
		int r = nft_commit(sock, &n);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}
