/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: names, questions, and the check of what a resolver answered. */
#include "dns/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "dns/message_internal.h"

#define QUESTION_TAIL 4 /* type, class */
#define RECORD_TAIL 10  /* type, class, ttl, length */
#define OPT_DO 0x8000u

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t) (c | 0x20) : c;
}

/* A name without pointers at @at. Return: its length, or -EBADMSG. */
static int plain_name(const uint8_t *p, size_t len, size_t at)
{
	size_t n = 0;
	for (;;) {
		if (at + n >= len)
			return -EBADMSG;
		uint8_t label = p[at + n];
		if (label == 0)
			return (int) n + 1;
		n += label + 1u;
		if (label > 63 || n >= DNS_WIRE_NAME_MAX)
			return -EBADMSG;
	}
}

/* Any name at @at, its pointers followed (each leads before the label that holds it, so this ends). Return: bytes it takes there, or -EBADMSG. */
static int skip_name(const uint8_t *p, size_t len, size_t at)
{
	size_t total = 0, here = 0, pos = at, limit = at;
	bool jumped = false;
	for (;;) {
		if (pos >= len)
			return -EBADMSG;
		uint8_t label = p[pos];
		size_t step = label >= 0xc0 ? 2 : label + 1u;
		here += jumped ? 0 : step;
		if (label == 0)
			return (int) here;
		if (label >= 0xc0) {
			if (pos + 1 >= len)
				return -EBADMSG;
			size_t to = (label & 0x3fu) << 8 | p[pos + 1];
			if (to >= limit || to < DNS_HEADER)
				return -EBADMSG;
			pos = limit = to;
			jumped = true;
			continue;
		}
		total += step;
		if (label > 63 || total >= DNS_WIRE_NAME_MAX)
			return -EBADMSG;
		pos += step;
	}
}

/* A record at @at. Return: its length, or -EBADMSG. *@ret_body: where its type is. */
static ssize_t skip_record(const uint8_t *p, size_t len, size_t at, size_t *ret_body)
{
	int n = skip_name(p, len, at);
	if (n < 0 || at + (size_t) n + RECORD_TAIL > len)
		return -EBADMSG;
	*ret_body = at + (size_t) n;
	size_t data = get16(p + *ret_body + 8);
	if (*ret_body + RECORD_TAIL + data > len)
		return -EBADMSG;
	return (ssize_t) ((size_t) n + RECORD_TAIL + data);
}

/* What follows a question. Return: 0 or an enum dns_rcode. */
static int parse_additional(const uint8_t *p, size_t len, size_t at, struct dns_question *ret)
{
	unsigned rcode = 0;
	for (unsigned n = get16(p + 10); n > 0; n--) {
		size_t body;
		ssize_t size = skip_record(p, len, at, &body);
		if (size < 0)
			return DNS_FORMERR;
		if (get16(p + body) == DNS_TYPE_OPT) {
			if (ret->udp_size || body != at + 1) /* two of them, or not at the root (RFC 6891 6.1.1) */
				return DNS_FORMERR;
			ret->udp_size = MAX(get16(p + body + 2), DNS_PLAIN_MAX);
			ret->dnssec_ok = get16(p + body + 6) & OPT_DO;
			if (p[body + 5] != 0) /* a later EDNS */
				rcode = DNS_BADVERS;
		}
		at += (size_t) size;
	}
	return (int) rcode;
}

int dns_question_parse(const uint8_t *p, size_t len, struct dns_question *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (len < DNS_HEADER || get16(p + 2) & DNS_QR)
		return -EBADMSG;
	ret->id = get16(p);
	ret->flags = get16(p + 2);
	if ((ret->flags >> 11 & 15) != 0)
		return DNS_NOTIMP;
	if (get16(p + 4) != 1 || get16(p + 6) != 0 || get16(p + 8) != 0) /* RFC 9619: one question */
		return DNS_FORMERR;
	int n = plain_name(p, len, DNS_HEADER);
	if (n < 0 || (size_t) DNS_HEADER + (size_t) n + QUESTION_TAIL > len)
		return DNS_FORMERR;
	memcpy(ret->name, p + DNS_HEADER, (size_t) n);
	ret->name_len = (uint8_t) n;
	ret->type = get16(p + DNS_HEADER + n);
	ret->class = get16(p + DNS_HEADER + n + 2);
	return parse_additional(p, len, (size_t) (DNS_HEADER + n + QUESTION_TAIL), ret);
}

/* Names as text */

int dns_name_text(const uint8_t *wire, size_t len, char ret[DNS_TEXT_NAME_MAX])
{
	size_t n = 0;
	for (size_t at = 0; at < len && wire[at]; at += wire[at] + 1u) {
		assert(at + wire[at] < len && n + wire[at] + 2u <= DNS_TEXT_NAME_MAX + 1u); /* it was parsed */
		if (n)
			ret[n++] = '.';
		for (size_t i = 1; i <= wire[at]; i++) {
			uint8_t c = wire[at + i];
			if (c <= ' ' || c >= 0x7f || c == '.')
				return -EINVAL;
			ret[n++] = (char) lower(c);
		}
	}
	ret[n] = '\0';
	return 0;
}

int dns_name_wire(const char *text, uint8_t ret[DNS_WIRE_NAME_MAX])
{
	size_t n = 0;
	while (*text) {
		size_t label = strcspn(text, ".");
		if (label == 0 || label > 63 || n + label + 2 > DNS_WIRE_NAME_MAX)
			return -EINVAL;
		ret[n++] = (uint8_t) label;
		memcpy(ret + n, text, label);
		n += label;
		text += label;
		if (*text == '.' && !*++text)
			return -EINVAL;
	}
	ret[n++] = 0;
	return (int) n;
}

static int reverse4(const char *name, size_t len, char *ret)
{
	char text[16], *parts[4], *save = NULL;
	size_t n = 0;
	uint32_t v;
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, name, len);
	text[len] = '\0';
	for (char *p = strtok_r(text, ".", &save); p; p = strtok_r(NULL, ".", &save))
		if (n == 4 || parse_u32(p, &v) < 0 || v > 255)
			return -EINVAL;
		else
			parts[n++] = p;
	return n != 4 || str_format(ret, INET6_ADDRSTRLEN, "%s.%s.%s.%s", parts[3], parts[2], parts[1], parts[0]) < 0 ? -EINVAL : 0;
}

static int reverse6(const char *name, size_t len, char *ret)
{
	static const char hex[] = "0123456789abcdef";
	struct in6_addr a = {0};
	if (len != 63)
		return -EINVAL;
	for (size_t i = 0; i < 32; i++) {
		const char *digit = memchr(hex, name[2 * i], 16);
		if (!digit || (i < 31 && name[2 * i + 1] != '.'))
			return -EINVAL;
		size_t nibble = 31 - i;
		a.s6_addr[nibble / 2] |= (uint8_t) ((digit - hex) << (nibble % 2 ? 0 : 4));
	}
	return inet_ntop(AF_INET6, &a, ret, INET6_ADDRSTRLEN) ? 0 : -EINVAL;
}

int dns_reverse_text(const char *name, char *ret)
{
	static const struct {
		const char *suffix;
		int (*fn)(const char *name, size_t len, char *ret);
	} zones[] = {{".in-addr.arpa", reverse4}, {".ip6.arpa", reverse6}};
	size_t len = strlen(name);
	for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
		size_t n = strlen(zones[i].suffix);
		if (len > n && str_eq(name + len - n, zones[i].suffix))
			return zones[i].fn(name, len - n, ret);
	}
	return -EINVAL;
}

/* Answers of resolvers */

static enum dns_check check_name(const struct dns_question *q, const uint8_t *name, const uint8_t *p)
{
	enum dns_check r = DNS_CHECK_OK;
	for (size_t i = 0; i < q->name_len; i++)
		if (lower(p[i]) != lower(name[i])) /* length bytes are below 'A' and compare as themselves */
			return DNS_CHECK_FOREIGN;
		else if (p[i] != name[i])
			r = DNS_CHECK_CASE;
	return r;
}

enum dns_check dns_forward_check(const struct dns_question *q, const uint8_t *name, uint16_t id, const uint8_t *p, size_t len, size_t *ret_len)
{
	size_t at = DNS_HEADER + (size_t) q->name_len;
	if (len < DNS_HEADER || get16(p) != id || !(get16(p + 2) & DNS_QR) || (get16(p + 2) >> 11 & 15) != 0)
		return DNS_CHECK_FOREIGN;
	if (get16(p + 4) == 0 && dns_forward_rcode(p) != DNS_NOERROR)
		return DNS_CHECK_BROKEN; /* "I do not understand", without saying what */
	if (get16(p + 4) != 1 || at + QUESTION_TAIL > len)
		return DNS_CHECK_FOREIGN;
	enum dns_check r = check_name(q, name, p + DNS_HEADER);
	if (r == DNS_CHECK_FOREIGN || get16(p + at) != q->type || get16(p + at + 2) != q->class)
		return DNS_CHECK_FOREIGN;
	at += QUESTION_TAIL;
	unsigned records = (unsigned) get16(p + 6) + get16(p + 8) + get16(p + 10);
	for (; records > 0; records--) {
		size_t body;
		ssize_t n = skip_record(p, len, at, &body);
		if (n < 0)
			return DNS_CHECK_BROKEN;
		at += (size_t) n;
	}
	*ret_len = at;
	return r;
}

unsigned dns_forward_rcode(const uint8_t *p)
{
	return p[3] & 15;
}
