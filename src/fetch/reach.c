/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Source: IANA special-purpose address registries, RFC 6890. First match wins. */
static const struct {
	uint32_t net;
	unsigned bits;
	enum fetch_reach reach;
} v4[] = {
	{0x7f000000, 8, FETCH_REACH_LOOPBACK},	 {0x0a000000, 8, FETCH_REACH_PRIVATE},	 {0xac100000, 12, FETCH_REACH_PRIVATE},
	{0xc0a80000, 16, FETCH_REACH_PRIVATE},	 {0x64400000, 10, FETCH_REACH_PRIVATE},	 {0xc6120000, 15, FETCH_REACH_PRIVATE},
	{0xa9fe0000, 16, FETCH_REACH_LINK_LOCAL}, {0x00000000, 8, FETCH_REACH_LINK_LOCAL}, {0xc0000000, 24, FETCH_REACH_LINK_LOCAL},
	{0xe0000000, 3, FETCH_REACH_LINK_LOCAL},
};

static enum fetch_reach reach_v4(uint32_t a)
{
	for (size_t i = 0; i < ARRAY_LEN(v4); i++)
		if ((a ^ v4[i].net) >> (32 - v4[i].bits) == 0)
			return v4[i].reach;
	return FETCH_REACH_PUBLIC;
}

static uint32_t word(const unsigned char *p)
{
	return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static enum fetch_reach reach_v6(const unsigned char *b)
{
	static const unsigned char zero[16], mapped[12] = {[10] = 0xff, [11] = 0xff}, nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	if (memcmp(b, zero, 15) == 0 && b[15] == 1)
		return FETCH_REACH_LOOPBACK;
	if (memcmp(b, mapped, 12) == 0 || memcmp(b, nat64, 12) == 0)
		return reach_v4(word(b + 12));
	if (b[0] == 0x20 && b[1] == 0x02)
		return reach_v4(word(b + 2));
	if ((b[0] & 0xfe) == 0xfc)
		return FETCH_REACH_PRIVATE;
	return (b[0] & 0xe0) == 0x20 ? FETCH_REACH_PUBLIC : FETCH_REACH_LINK_LOCAL; /* 2000::/3 is all that is global */
}

enum fetch_reach fetch_reach_of(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return reach_v4(ntohl(((const struct sockaddr_in *) a)->sin_addr.s_addr));
	if (a->sa_family == AF_INET6)
		return reach_v6(((const struct sockaddr_in6 *) a)->sin6_addr.s6_addr);
	return FETCH_REACH_LINK_LOCAL;
}
