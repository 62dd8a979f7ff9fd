/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/num.h"
#include "base/str.h"

static unsigned bits_of(uint8_t family)
{
	return family == AF_INET ? 32 : 128;
}

int ip_parse(const char *s, struct ip_addr *ret)
{
	struct ip_addr a = {.family = strchr(s, ':') ? AF_INET6 : AF_INET};
	if (inet_pton(a.family, s, a.bytes) != 1)
		return -EINVAL;
	a.prefix = (uint8_t) bits_of(a.family);
	*ret = a;
	return 0;
}

int ip_parse_prefix(const char *s, struct ip_addr *ret)
{
	char text[IP_TEXT_MAX];
	const char *slash = strchr(s, '/');
	uint32_t prefix;
	struct ip_addr a;
	if (!slash || (size_t) (slash - s) >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, (size_t) (slash - s));
	text[slash - s] = '\0';
	if (ip_parse(text, &a) < 0 || parse_u32(slash + 1, &prefix) < 0 || prefix > a.prefix)
		return -EINVAL;
	a.prefix = (uint8_t) prefix;
	*ret = a;
	return 0;
}

struct ip_addr ip_subnet(const struct ip_addr *p)
{
	struct ip_addr a = *p;
	for (unsigned i = 0; i < bits_of(a.family) / 8; i++) {
		unsigned kept = a.prefix > 8 * i ? MIN(a.prefix - 8 * i, 8u) : 0;
		a.bytes[i] &= (uint8_t) (0xff00 >> kept);
	}
	return a;
}

int ip_parse_subnet(const char *s, struct ip_addr *ret, bool *ret_clean)
{
	struct ip_addr a;
	if (ip_parse_prefix(s, &a) < 0)
		return -EINVAL;
	*ret = ip_subnet(&a);
	if (ret_clean)
		*ret_clean = memcmp(ret->bytes, a.bytes, sizeof(a.bytes)) == 0;
	return 0;
}

const char *ip_text(char *buf, const struct ip_addr *a)
{
	buf[0] = '\0';
	if (a->family)
		(void) inet_ntop(a->family, a->bytes, buf, IP_TEXT_MAX); /* it fits */
	return buf;
}

const char *ip_text_prefix(char *buf, const struct ip_addr *a)
{
	char plain[IP_TEXT_MAX];
	buf[0] = '\0';
	if (a->family)
		(void) str_format(buf, IP_TEXT_MAX, "%s/%u", ip_text(plain, a), a->prefix); /* 39 + 4 */
	return buf;
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, bits_of(a->family) / 8) == 0;
}

bool ip_contains(const struct ip_addr *subnet, const struct ip_addr *a)
{
	struct ip_addr cut = *a;
	if (a->family != subnet->family)
		return false;
	cut.prefix = subnet->prefix;
	cut = ip_subnet(&cut);
	return ip_equal(&cut, subnet);
}

bool ip_overlaps(const struct ip_addr *a, const struct ip_addr *b)
{
	struct ip_addr wide = a->prefix <= b->prefix ? *a : *b, other = a->prefix <= b->prefix ? *b : *a;
	wide = ip_subnet(&wide);
	return ip_contains(&wide, &other);
}

/* The last eight bytes as a number: no network here is wider than what they count. */
static uint64_t tail(const struct ip_addr *a)
{
	uint64_t v = 0;
	unsigned n = bits_of(a->family) / 8;
	for (unsigned i = n > 8 ? n - 8 : 0; i < n; i++)
		v = v << 8 | a->bytes[i];
	return v;
}

static unsigned host_bits(const struct ip_addr *subnet)
{
	return MIN(bits_of(subnet->family) - subnet->prefix, 62u);
}

uint64_t ip_hosts(const struct ip_addr *subnet)
{
	return 1ull << host_bits(subnet);
}

struct ip_addr ip_nth(const struct ip_addr *subnet, uint64_t n)
{
	struct ip_addr a = *subnet;
	unsigned len = bits_of(a.family) / 8;
	uint64_t v = tail(subnet) + n;
	for (unsigned i = 0; i < MIN(len, 8u); i++, v >>= 8)
		a.bytes[len - 1 - i] = (uint8_t) v;
	return a;
}

uint64_t ip_offset(const struct ip_addr *subnet, const struct ip_addr *a)
{
	return (tail(a) - tail(subnet)) & (ip_hosts(subnet) - 1);
}

bool ip_next_subnet(struct ip_addr *a)
{
	for (int i = (int) (a->prefix + 7) / 8 - 1; i >= 0; i--) {
		unsigned step = i == (a->prefix - 1) / 8 ? 1u << ((8 - a->prefix % 8) % 8) : 1;
		unsigned sum = a->bytes[i] + step;
		a->bytes[i] = (uint8_t) sum;
		if (sum < 256)
			return true;
	}
	return false;
}

bool ip_is_any(const struct ip_addr *a)
{
	static const uint8_t zero[16];
	return memcmp(a->bytes, zero, bits_of(a->family) / 8) == 0;
}

bool ip_is_loopback(const struct ip_addr *a)
{
	static const uint8_t one[16] = {[15] = 1};
	return a->family == AF_INET ? a->bytes[0] == 127 : memcmp(a->bytes, one, 16) == 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *p = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
	return p ? (int) (p - digits) : -1;
}

int mac_parse(const char *s, uint8_t ret[MAC_LEN])
{
	uint8_t mac[MAC_LEN], any = 0;
	if (strlen(s) != 3 * MAC_LEN - 1)
		return -EINVAL;
	for (int i = 0; i < MAC_LEN; i++) {
		int hi = hex_digit(s[3 * i]), lo = hex_digit(s[3 * i + 1]);
		if (hi < 0 || lo < 0 || (i < MAC_LEN - 1 && s[3 * i + 2] != ':' && s[3 * i + 2] != '-'))
			return -EINVAL;
		mac[i] = (uint8_t) (hi << 4 | lo);
		any |= mac[i];
	}
	if (mac[0] & 1 || !any)
		return -EINVAL; /* a group's, or nobody's */
	memcpy(ret, mac, MAC_LEN);
	return 0;
}

const char *mac_text(char *buf, const uint8_t mac[MAC_LEN])
{
	(void) str_format(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]); /* 17 and NUL */
	return buf;
}
