/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: our own answers, questions to resolvers, and what of a resolver's answer is changed on its way to the client. */
#include <arpa/inet.h>
#include <string.h>

#include "dns/message.h"
#include "dns/message_internal.h"

#define OPT_SIZE 11
#define RECORD_HEAD 12 /* pointer to the question's name, type, class, ttl, length */
#define KEPT (DNS_RD | DNS_CD) /* of the client's flags in our answer */

static size_t put_question(const struct dns_question *q, const uint8_t *name, uint8_t *p)
{
	if (!q->name_len)
		return 0;
	memcpy(p, name, q->name_len);
	put16(p + q->name_len, q->type);
	put16(p + q->name_len + 2, q->class);
	return q->name_len + 4u;
}

/* @rcode: its upper bits go here (RFC 6891 6.1.3). */
static size_t put_opt(const struct dns_question *q, unsigned size, unsigned rcode, uint8_t *p)
{
	if (!q->udp_size)
		return 0;
	memset(p, 0, OPT_SIZE);
	put16(p + 1, DNS_TYPE_OPT);
	put16(p + 3, size);
	p[5] = (uint8_t) (rcode >> 4);
	put16(p + 7, q->dnssec_ok ? 0x8000 : 0);
	return OPT_SIZE;
}

void dns_answer_begin(struct dns_writer *w, const struct dns_question *q, uint8_t *p, size_t max)
{
	assert(max >= DNS_PLAIN_MAX);
	*w = (struct dns_writer){.p = p, .len = DNS_HEADER, .max = max - (q->udp_size ? OPT_SIZE : 0)};
	memset(p, 0, DNS_HEADER);
	put16(p, q->id);
	put16(p + 4, q->name_len ? 1 : 0);
	w->len += put_question(q, q->name, p + w->len);
}

void dns_answer_add(struct dns_writer *w, uint16_t type, uint32_t ttl, const void *data, size_t len)
{
	if (w->full || w->len + RECORD_HEAD + len > w->max) {
		w->full = true;
		return;
	}
	uint8_t *p = w->p + w->len;
	put16(p, 0xc000 | DNS_HEADER);
	put16(p + 2, type);
	put16(p + 4, DNS_CLASS_IN);
	put16(p + 6, ttl >> 16);
	put16(p + 8, ttl);
	put16(p + 10, (unsigned) len);
	memcpy(p + RECORD_HEAD, data, len);
	w->len += RECORD_HEAD + len;
	w->records++;
}

size_t dns_answer_end(struct dns_writer *w, const struct dns_question *q, unsigned rcode)
{
	put16(w->p + 2, DNS_QR | DNS_RA | (q->flags & KEPT) | (q->flags & 0x7800u) | (w->full ? DNS_TC : 0) | (rcode & 15));
	put16(w->p + 6, (unsigned) w->records);
	put16(w->p + 10, q->udp_size ? 1 : 0);
	return w->len + put_opt(q, DNS_EDNS_MAX, rcode, w->p + w->len);
}

size_t dns_refusal(const struct dns_question *q, unsigned rcode, uint8_t *p, size_t max)
{
	struct dns_writer w;
	dns_answer_begin(&w, q, p, max);
	return dns_answer_end(&w, q, rcode);
}

size_t dns_udp_max(const struct dns_question *q, size_t ceiling)
{
	return MIN(MAX((size_t) q->udp_size, (size_t) DNS_PLAIN_MAX), ceiling);
}

size_t dns_forward_write(const struct dns_question *q, const uint8_t *name, uint16_t id, uint8_t *p)
{
	memset(p, 0, DNS_HEADER);
	put16(p, id);
	put16(p + 2, q->flags & (DNS_RD | DNS_CD | DNS_AD));
	put16(p + 4, 1);
	put16(p + 10, q->udp_size ? 1 : 0);
	size_t n = DNS_HEADER + put_question(q, name, p + DNS_HEADER);
	return n + put_opt(q, MIN(q->udp_size, DNS_EDNS_MAX), 0, p + n);
}

size_t dns_forward_finish(const struct dns_question *q, uint8_t *p, size_t len, size_t max)
{
	unsigned flags = (get16(p + 2) | DNS_RA) & ~(unsigned) DNS_AA;
	if (len > max) {
		flags |= DNS_TC;
		memset(p + 6, 0, 6);
		put16(p + 10, q->udp_size ? 1 : 0);
		len = DNS_HEADER + q->name_len + 4u;
		len += put_opt(q, DNS_EDNS_MAX, 0, p + len);
	}
	put16(p, q->id);
	put16(p + 2, flags);
	memcpy(p + DNS_HEADER, q->name, q->name_len);
	return len;
}
