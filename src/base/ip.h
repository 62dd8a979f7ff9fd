/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and subnets: text, comparison, counting. Pure functions. A subnet is a `struct ip_addr` whose host bits are zero. */
#pragma once

#include "base/macro.h"

#define IP_TEXT_MAX 56 /* with a prefix length */
#define MAC_LEN 6

struct ip_addr {
	uint8_t family;	   /* AF_INET, AF_INET6; 0: none */
	uint8_t prefix;
	uint8_t bytes[16]; /* network order; 4 or 16 of them */
};

/** ip_parse() - "10.0.0.1", "fd00::1"; no prefix length (it becomes the whole of it), no zone. Return: 0 or -EINVAL. */
int ip_parse(const char *s, struct ip_addr *ret);
/** ip_parse_prefix() - "10.0.0.1/16". ip_parse_subnet(): the same without its host bits; *@ret_clean (may be NULL): there were none. */
int ip_parse_prefix(const char *s, struct ip_addr *ret);
int ip_parse_subnet(const char *s, struct ip_addr *ret, bool *ret_clean);
/** ip_text() - without the prefix length; ip_text_prefix() with it. @buf: IP_TEXT_MAX bytes. Return: @buf; "" for none. */
const char *ip_text(char *buf, const struct ip_addr *a);
const char *ip_text_prefix(char *buf, const struct ip_addr *a);
/** ip_subnet() - that which @a with its prefix length is in. */
struct ip_addr ip_subnet(const struct ip_addr *a);
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b); /* the address alone */
bool ip_contains(const struct ip_addr *subnet, const struct ip_addr *a);
bool ip_overlaps(const struct ip_addr *a, const struct ip_addr *b);
/** ip_hosts() - how many addresses @subnet has, at most 2^62. */
uint64_t ip_hosts(const struct ip_addr *subnet);
/** ip_nth() - the @n-th address of @subnet, with its prefix length. ip_offset() - the inverse. */
struct ip_addr ip_nth(const struct ip_addr *subnet, uint64_t n);
uint64_t ip_offset(const struct ip_addr *subnet, const struct ip_addr *a);
/** ip_next_subnet() - the one of the same size behind @a. false: there is none. */
bool ip_next_subnet(struct ip_addr *a);
bool ip_is_any(const struct ip_addr *a);
bool ip_is_loopback(const struct ip_addr *a);

/** mac_parse() - "02:42:ac:11:00:02", unicast. Return: 0 or -EINVAL. mac_text(): @buf 18 bytes. */
int mac_parse(const char *s, uint8_t ret[MAC_LEN]);
const char *mac_text(char *buf, const uint8_t mac[MAC_LEN]);
