/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/answer.h"

#include <arpa/inet.h>

#define TYPE_ANY 255
#define TYPE_META 249 /* TKEY, TSIG, IXFR, AXFR, MAILB, MAILA: about a server, not about a name */

static bool asks_for(const struct dns_question *q, uint16_t type)
{
	return q->type == type || q->type == TYPE_ANY;
}

static void add_address(struct dns_writer *w, const struct dns_question *q, const struct dns_address *a)
{
	uint16_t type = a->family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA;
	if (a->family && asks_for(q, type))
		dns_answer_add(w, type, DNS_TTL, a->bytes, a->family == AF_INET ? 4 : 16);
}

/* All of them, from a random one on: who takes the first spreads over all. */
static size_t answer_found(const struct dns_found *f, const struct dns_question *q, struct dns_random *random, uint8_t *p, size_t max)
{
	struct dns_writer w;
	size_t start = f->n > 1 ? dns_random_u32(random) % f->n : 0;
	dns_answer_begin(&w, q, p, max);
	for (size_t i = 0; i < f->n; i++) {
		const struct dns_stay *s = f->stays[(start + i) % f->n];
		add_address(&w, q, &s->v4);
		add_address(&w, q, &s->v6);
	}
	return dns_answer_end(&w, q, DNS_NOERROR);
}

static bool is_localhost(const char *name)
{
	static const char suffix[] = ".localhost";
	size_t n = strlen(name);
	return str_eq(name, suffix + 1) || (n > sizeof(suffix) - 1 && str_eq(name + n - (sizeof(suffix) - 1), suffix));
}

/* RFC 6761 6.3: never asked of anybody. */
static size_t answer_localhost(const struct dns_question *q, struct dns_random *random, uint8_t *p, size_t max)
{
	static const struct dns_stay self = {.v4 = {AF_INET, {127, 0, 0, 1}}, .v6 = {AF_INET6, {[15] = 1}}};
	const struct dns_found f = {.n = 1, .stays = {&self}};
	return answer_found(&f, q, random, p, max);
}

static size_t answer_pointer(const char *name, const struct dns_question *q, uint8_t *p, size_t max)
{
	struct dns_writer w;
	uint8_t wire[DNS_WIRE_NAME_MAX];
	int n = dns_name_wire(name, wire);
	dns_answer_begin(&w, q, p, max);
	if (n > 0 && asks_for(q, DNS_TYPE_PTR))
		dns_answer_add(&w, DNS_TYPE_PTR, DNS_TTL, wire, (size_t) n);
	return dns_answer_end(&w, q, DNS_NOERROR);
}

static size_t answer_reverse(const struct dns_state *st, const struct dns_member *m, const char *name, const struct dns_question *q, uint8_t *p, size_t max)
{
	char address[INET6_ADDRSTRLEN];
	if (dns_reverse_text(name, address) < 0)
		return 0;
	if (str_eq(address, "127.0.0.1") || str_eq(address, "::1"))
		return answer_pointer("localhost", q, p, max);
	_cleanup_free_ char *found = dns_state_reverse(st, m, address);
	return found ? answer_pointer(found, q, p, max) : 0;
}

static size_t answer_name(const struct dns_state *st, const struct dns_member *m, const struct dns_question *q, struct dns_random *random, uint8_t *p, size_t max)
{
	char name[DNS_TEXT_NAME_MAX];
	struct dns_found f;
	if (dns_name_text(q->name, q->name_len, name) < 0)
		return 0;
	if (dns_state_find(st, m, name, &f))
		return answer_found(&f, q, random, p, max);
	if (is_localhost(name))
		return answer_localhost(q, random, p, max);
	return answer_reverse(st, m, name, q, p, max);
}

size_t dns_answer_local(const struct dns_state *st, const struct dns_member *m, const struct dns_question *q, struct dns_random *random, uint8_t *p, size_t max)
{
	if (q->class != DNS_CLASS_IN || q->type == DNS_TYPE_OPT || (q->type >= TYPE_META && q->type < TYPE_ANY))
		return dns_refusal(q, DNS_REFUSED, p, max);
	size_t n = answer_name(st, m, q, random, p, max);
	if (n == 0 && !dns_state_external(m))
		return dns_refusal(q, DNS_NXDOMAIN, p, max);
	return n;
}
