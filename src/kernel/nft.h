/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nftables by netlink: tables, sets, chains and rules given as data, elements as bytes, all of it in batches that the kernel takes whole or not
 * at all. A batch may span families. A rule is an array of `struct nft_expr`, written with the macros below; it works on sixteen registers
 * of four bytes, of which a longer value takes as many as it needs (an interface's name takes four, an Ethernet address two).
 * Source: libnftnl, nft(8), include/uapi/linux/netfilter/nf_tables.h.
 */
#pragma once

#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <net/if.h>

#include "kernel/netlink.h"

enum nft_kind { NFT_META, NFT_SET_MARK, NFT_PAYLOAD, NFT_CMP, NFT_CT, NFT_MASK, NFT_LOOKUP, NFT_VERDICT, NFT_DNAT, NFT_MASQUERADE, NFT_FIB_TYPE, NFT_COUNTER, NFT_NOTRACK };

struct nft_expr {
	enum nft_kind kind;
	uint8_t reg, reg2;	/* where a value comes from or goes to; NFT_LOOKUP in a map: @reg2 takes what is found; NFT_DNAT: address and port */
	uint32_t a, b, len;	/* by kind */
	bool inverse;		/* NFT_LOOKUP: what is not in the set; NFT_CMP: what is not equal */
	bool map;		/* NFT_LOOKUP */
	const char *name;	/* set, chain */
	uint8_t data[16];	/* NFT_CMP, NFT_MASK */
};

#define NFT_R(n) ((uint8_t) (NFT_REG32_00 + (n)))
#define X_META(key, r) {.kind = NFT_META, .a = (key), .reg = NFT_R(r)}
#define X_LOAD(base, offset, length, r) {.kind = NFT_PAYLOAD, .a = (base), .b = (offset), .len = (length), .reg = NFT_R(r)}
#define X_IS(r, length, ...) {.kind = NFT_CMP, .reg = NFT_R(r), .len = (length), .data = {__VA_ARGS__}}
#define X_IS_NOT(r, length, ...) {.kind = NFT_CMP, .inverse = true, .reg = NFT_R(r), .len = (length), .data = {__VA_ARGS__}}
#define X_CT(key, r) {.kind = NFT_CT, .a = (key), .reg = NFT_R(r)}
#define X_MASK(r, length, ...) {.kind = NFT_MASK, .reg = NFT_R(r), .len = (length), .data = {__VA_ARGS__}}
#define X_SET_BITS(r, bits) {.kind = NFT_MASK, .reg = NFT_R(r), .len = 4, .a = (bits), .data = {0xff, 0xff, 0xff, 0xff}}
#define X_SET_MARK(r) {.kind = NFT_SET_MARK, .reg = NFT_R(r)}
#define X_IN(set, r) {.kind = NFT_LOOKUP, .name = (set), .reg = NFT_R(r)}
#define X_NOT_IN(set, r) {.kind = NFT_LOOKUP, .inverse = true, .name = (set), .reg = NFT_R(r)}
#define X_FIND(set, r, to) {.kind = NFT_LOOKUP, .map = true, .name = (set), .reg = NFT_R(r), .reg2 = NFT_R(to)}
#define X_ACCEPT {.kind = NFT_VERDICT, .a = NF_ACCEPT}
#define X_DROP {.kind = NFT_VERDICT, .a = NF_DROP}
#define X_RETURN {.kind = NFT_VERDICT, .a = (uint32_t) NFT_RETURN}
#define X_JUMP(chain) {.kind = NFT_VERDICT, .a = (uint32_t) NFT_JUMP, .name = (chain)}
#define X_DNAT(nfproto, address, port) {.kind = NFT_DNAT, .a = (nfproto), .reg = NFT_R(address), .reg2 = NFT_R(port)}
#define X_MASQUERADE {.kind = NFT_MASQUERADE}
#define X_FIB_DADDR_TYPE(r) {.kind = NFT_FIB_TYPE, .reg = NFT_R(r)}
#define X_NOTRACK {.kind = NFT_NOTRACK}
#define X_COUNTER {.kind = NFT_COUNTER}

struct nft_rule {
	const char *chain;
	const struct nft_expr *exprs;
	size_t n;
};

struct nft_chain {
	const char *name;
	const char *type; /* "filter", "nat"; NULL: no base chain */
	uint32_t hook;
	int32_t priority;
};

struct nft_set {
	const char *name;
	const char *types; /* how nft(8) shows the key: letters, one a part: i interface name, m Ethernet, 4, 6, p protocol, s service (port) */
	const char *data_types; /* of a map's values; NULL: a plain set */
};

/* One batch. */
struct nft_batch {
	struct nl_buf b;
	const char *table; /* borrowed; of the calls that follow */
	uint8_t family;	   /* NFPROTO_* of the calls that follow */
	uint32_t n_sets;
};
#define NFT_BATCH_INIT {.b = NL_BUF_INIT}
void nft_batch_done(struct nft_batch *n);
#define _cleanup_nft_ _cleanup_(nft_batch_done)

/** nft_use() - what follows is about @table of @family. @name borrowed until the commit. */
void nft_use(struct nft_batch *n, uint8_t family, const char *table);
/** nft_add_table() - @version: kept with it, for nft_table_version(); 0: none. One that is there keeps its own. */
void nft_add_table(struct nft_batch *n, uint32_t version);
/** nft_drop_table() - with all it holds; it must be there: add it first. */
void nft_drop_table(struct nft_batch *n);
void nft_add_set(struct nft_batch *n, const struct nft_set *s);
void nft_add_chain(struct nft_batch *n, const struct nft_chain *c);
/** nft_add_rule() - behind the others. nft_insert_rule(): before them. */
void nft_add_rule(struct nft_batch *n, const struct nft_rule *r);
void nft_insert_rule(struct nft_batch *n, const struct nft_rule *r);
/** nft_delete_rule() - by the kernel's number for it. */
void nft_delete_rule(struct nft_batch *n, const char *chain, uint64_t handle);
/** nft_add_element() - @key as the set's type has it, every part on a boundary of four bytes; @data: a map's value. One that is there already: fine. */
void nft_add_element(struct nft_batch *n, const char *set, const void *key, size_t key_len, const void *data, size_t data_len);
void nft_delete_element(struct nft_batch *n, const char *set, const void *key, size_t key_len);

/** nft_open() - a socket for batches and questions. Return: fd or -errno. */
int nft_open(void);
/** nft_commit() - all of @n, or nothing. Return: 0; -ENOENT a table, set or element that it names is not there; other -errno. */
int nft_commit(int sock, struct nft_batch *n);
/** nft_table_version() - Return: 0 with *@ret (0: none), -ENOENT, -errno. */
int nft_table_version(int sock, uint8_t family, const char *table, uint32_t *ret);
/** nft_count_uses() - chains of @table, and what they count: each rule in one, each jump to one. Without having the rules told. Return: number; -errno. */
int nft_count_uses(int sock, uint8_t family, const char *table);
/** nft_count_elements() - in @set. Return: number; -ENOENT no such table; -errno. */
int nft_count_elements(int sock, uint8_t family, const char *table, const char *set);
/** nft_find_rules() - rules of @chain whose user data is @mark (see nft_mark): *@ret_first handle of one. Return: their number; -errno. */
int nft_find_rules(int sock, uint8_t family, const char *table, const char *chain, const char *mark, uint64_t *ret_first);
/** nft_mark() - give the rule that was added last a text by which to find it: shown as its comment. */
void nft_mark(struct nft_batch *n, const char *mark);
/** nft_listen() - a socket that becomes readable when somebody changes the rules of this namespace. nft_heard(): read what is there; *@ret_gone: something other than
 *  elements was removed from @table; *@ret_came: a chain called @chain was made, of whatever table. Both are left alone otherwise. Return: 0; -errno. */
int nft_listen(void);
int nft_heard(int sock, const char *table, bool *ret_gone, const char *chain, bool *ret_came);
