/* SPDX-License-Identifier: Apache-2.0 */
/* Which subnet a network gets, and which address of it a container. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/str.h"
#include "network/internal.h"

/* Docker's default pools: the sizes in which they are handed out. */
static const struct {
	const char *from;
	uint8_t size;
} pools[] = {{"172.17.0.0/16", 16}, {"172.18.0.0/16", 16}, {"172.19.0.0/16", 16}, {"172.20.0.0/14", 16}, {"172.24.0.0/14", 16}, {"172.28.0.0/14", 16}, {"192.168.0.0/16", 20}};

#define TAKEN_MAX 8192
#define RANDOM_TRIES 1000 /* somebody may have all of fd00::/8 */

struct taken {
	struct ip_addr *v; /* owned */
	size_t n;
};

static int add_taken(void *ctx, const struct ip_addr *subnet)
{
	struct taken *t = ctx;
	if (t->n == TAKEN_MAX)
		return 0;
	if ((t->n & (t->n - 1)) == 0) {
		struct ip_addr *v = realloc(t->v, MAX(2 * t->n, 1u) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		t->v = v;
	}
	t->v[t->n++] = *subnet;
	return 0;
}

static const struct ip_addr *find_taken(const struct taken *t, const struct ip_addr *subnet)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].family == subnet->family && ip_overlaps(&t->v[i], subnet))
			return &t->v[i];
	return NULL;
}

/* Subnets of all networks but @n, whoever's they are. */
static int networks_taken(struct network_room *r, const struct network *n, struct taken *t, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err,
			  "SELECT subnet4 FROM network WHERE subnet4 IS NOT NULL AND id<>?1 UNION ALL SELECT subnet6 FROM network WHERE subnet6 IS NOT NULL AND id<>?1", "s", n->id);
	while (rc >= 0 && (rc = db_step(st, err)) > 0) {
		struct ip_addr a;
		if (ip_parse_prefix(db_text(st, 0) ?: "", &a) == 0 && add_taken(t, &a) < 0)
			return err_oom(err);
	}
	return rc;
}

/* Behind @s, and behind @taken, which is in its way: it may be as wide as the pool is. */
static bool step_over(struct ip_addr *s, const struct ip_addr *taken)
{
	struct ip_addr next = taken->prefix < s->prefix ? ip_subnet(taken) : *s;
	bool more = ip_next_subnet(&next);
	next.prefix = s->prefix;
	*s = next;
	return more;
}

static bool choose_from(const struct network_pool *pool, const struct taken *t, struct ip_addr *ret)
{
	struct ip_addr s = pool->base;
	const struct ip_addr *taken;
	s.prefix = pool->size;
	while ((taken = find_taken(t, &s)))
		if (!step_over(&s, taken) || !ip_contains(&pool->base, &s))
			return false;
	*ret = s;
	return true;
}

/* Return: 1 *@ret is free, 0 the operator has no pool of this family, <0. */
static int choose_given(const struct network_room *r, int family, const struct taken *t, struct ip_addr *ret, struct err *err)
{
	bool any = false;
	for (size_t i = 0; r->defaults && i < r->defaults->n_pools; i++) {
		const struct network_pool *pool = &r->defaults->pools[i];
		if (pool->base.family != family)
			continue;
		any = true;
		if (choose_from(pool, t, ret))
			return 1;
	}
	return any ? err_set(err, ERR_QUOTA, "all of default-address-pools has been fully subnetted: give a subnet (--subnet)") : 0;
}

static int choose4(const struct network_room *r, const struct taken *t, struct ip_addr *ret, struct err *err)
{
	int rc = choose_given(r, AF_INET, t, ret, err);
	if (rc != 0)
		return rc;
	for (size_t p = 0; p < ARRAY_LEN(pools); p++) {
		struct network_pool pool = {.size = pools[p].size};
		if (ip_parse_prefix(pools[p].from, &pool.base) == 0 && choose_from(&pool, t, ret))
			return 0;
	}
	return err_set(err, ERR_QUOTA, "all predefined address pools have been fully subnetted: give a subnet (--subnet)");
}

/* A unique local prefix (RFC 4193) of a network's own. */
static int choose6(const struct network_room *r, const struct taken *t, struct ip_addr *ret, struct err *err)
{
	int rc = choose_given(r, AF_INET6, t, ret, err);
	if (rc != 0)
		return rc;
	struct ip_addr s = {.family = AF_INET6, .prefix = 64, .bytes = {0xfd}};
	for (int tries = 0; tries < RANDOM_TRIES; tries++) {
		if (getrandom(s.bytes + 1, 5, 0) != 5)
			return err_sys(err, -errno, "random bytes");
		if (!find_taken(t, &s)) {
			*ret = s;
			return 0;
		}
	}
	return err_set(err, ERR_QUOTA, "no IPv6 subnet of fd00::/8 was found that is free: give a subnet (--subnet)");
}

static int check_given(const struct network *n, int f, const struct taken *networks, struct err *err)
{
	char text[IP_TEXT_MAX], other[IP_TEXT_MAX];
	const struct ip_addr *s = &n->subnet[f], *g = &n->gateway[f], *range = &n->range[f];
	if (f == NETWORK_V4 ? s->prefix < 8 || s->prefix > 30 : s->prefix < 3 || s->prefix > 126)
		return err_set(err, ERR_INVALID, "subnet '%s': a prefix length of %s is taken", ip_text_prefix(text, s), f == NETWORK_V4 ? "8 to 30" : "3 to 126");
	const struct ip_addr *taken = find_taken(networks, s);
	if (taken)
		return err_set(err, ERR_DENIED, "invalid pool request: Pool overlaps with other one on this address space ('%s' with '%s')", ip_text_prefix(text, s), ip_text_prefix(other, taken));
	if (g->family && !ip_contains(s, g))
		return err_set(err, ERR_INVALID, "gateway '%s' is not in subnet '%s'", ip_text(other, g), ip_text_prefix(text, s));
	if (range->family && (range->prefix < s->prefix || !ip_contains(s, range)))
		return err_set(err, ERR_INVALID, "ip-range '%s' is not in subnet '%s'", ip_text_prefix(other, range), ip_text_prefix(text, s));
	return 0;
}

int subnet_choose(struct network_room *r, struct network *n, struct err *err)
{
	struct taken networks = {0}, all = {0};
	int rc = networks_taken(r, n, &networks, err);
	for (int f = 0; rc >= 0 && f < NETWORK_FAMILIES; f++)
		if (n->subnet[f].family)
			rc = check_given(n, f, &networks, err);
	bool need4 = !n->subnet[NETWORK_V4].family, need6 = n->ipv6 && !n->subnet[NETWORK_V6].family;
	if (rc >= 0 && (need4 || need6)) {
		rc = networks_taken(r, n, &all, err);
		(void) pthread_mutex_lock(&r->lock);
		rc = rc < 0 ? rc : sockets_open(r, err);
		if (rc >= 0 && (rc = link_each_subnet(r->route, add_taken, &all)) < 0)
			rc = err_sys(err, rc, "looking which subnets this host uses");
		(void) pthread_mutex_unlock(&r->lock);
	}
	rc = rc < 0 || !need4 ? rc : choose4(r, &all, &n->subnet[NETWORK_V4], err);
	rc = rc < 0 || !need6 ? rc : choose6(r, &all, &n->subnet[NETWORK_V6], err);
	free(networks.v);
	free(all.v);
	for (int f = 0; rc >= 0 && f < NETWORK_FAMILIES; f++)
		if (n->subnet[f].family && !n->gateway[f].family) {
			/* the first of the range that addresses come from, as docker does */
			const struct ip_addr *base = n->range[f].family ? &n->range[f] : &n->subnet[f];
			n->gateway[f] = ip_nth(base, base == &n->subnet[f] || ip_equal(base, &n->subnet[f]) ? 1 : 0);
			n->gateway[f].prefix = n->subnet[f].prefix;
		}
	return MIN(rc, 0);
}

/* Addresses */

static const char *const column[NETWORK_FAMILIES] = {"v4", "v6"};

static bool is_reserved(const struct network *n, int f, const struct ip_addr *a)
{
	uint64_t offset = ip_offset(&n->subnet[f], a);
	char text[IP_TEXT_MAX + 4];
	if (offset == 0 || (f == NETWORK_V4 && offset == ip_hosts(&n->subnet[f]) - 1) || ip_equal(a, &n->gateway[f]))
		return true;
	/* auxiliary addresses: {"name":"address"} */
	char plain[IP_TEXT_MAX];
	(void) str_format(text, sizeof(text), "\"%s\"", ip_text(plain, a)); /* fits */
	return n->aux && strstr(n->aux, text);
}

int address_check(const struct network *n, const struct endpoint *p, struct err *err)
{
	char text[IP_TEXT_MAX], subnet[IP_TEXT_MAX];
	for (int f = 0; f < NETWORK_FAMILIES; f++) {
		const struct ip_addr *a = &p->wanted[f];
		if (!a->family)
			continue;
		if (!n->subnet[f].family)
			return err_set(err, ERR_INVALID, "address '%s': network %s has no %s subnet", ip_text(text, a), n->name, f == NETWORK_V4 ? "IPv4" : "IPv6");
		if (!ip_contains(&n->subnet[f], a))
			return err_set(err, ERR_INVALID, "address '%s' is not in subnet '%s' of network %s", ip_text(text, a), ip_text_prefix(subnet, &n->subnet[f]), n->name);
		if (is_reserved(n, f, a))
			return err_set(err, ERR_INVALID, "address '%s' of network %s is its gateway's, or nobody's to have", ip_text(text, a), n->name);
	}
	return 0;
}

/* Return: 1 somebody has it, 0 free, <0. */
static int is_held(struct network_room *r, const struct network *n, int f, const struct ip_addr *a, struct err *err)
{
	char text[IP_TEXT_MAX];
	_cleanup_stmt_ struct db_stmt *st = NULL;
	const char *sql = f == NETWORK_V4 ? "SELECT 1 FROM network_endpoint WHERE network=?1 AND v4=?2" : "SELECT 1 FROM network_endpoint WHERE network=?1 AND v6=?2";
	int rc = db_query(r->db, &st, err, sql, "ss", n->id, ip_text(text, a));
	return rc < 0 ? rc : db_step(st, err);
}

static int take_wanted(struct network_room *r, const struct network *n, int f, const struct ip_addr *a, struct err *err)
{
	char text[IP_TEXT_MAX];
	int rc = is_held(r, n, f, a, err);
	return rc > 0 ? err_set(err, ERR_CONFLICT, "Address already in use: '%s' of network %s", ip_text(text, a), n->name) : rc;
}

static int64_t cursor_of(struct network_room *r, const struct network *n, int f, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, f == NETWORK_V4 ? "SELECT cursor4 FROM network WHERE id=?1" : "SELECT cursor6 FROM network WHERE id=?1", "s", n->id);
	rc = rc < 0 ? rc : db_step(st, err);
	return rc > 0 ? db_int(st, 0) : rc;
}

/* The next one that is free, going round: an address is not used again at once. */
static int take_next(struct network_room *r, const struct network *n, int f, struct ip_addr *ret, struct err *err)
{
	const struct ip_addr *pool = n->range[f].family ? &n->range[f] : &n->subnet[f];
	uint64_t size = ip_hosts(pool);
	int64_t cursor = cursor_of(r, n, f, err);
	if (cursor < 0)
		return (int) cursor;
	for (uint64_t i = 0, at = (uint64_t) cursor % size; i < size; i++, at = (at + 1) % size) {
		struct ip_addr a = ip_nth(pool, at);
		if (is_reserved(n, f, &a))
			continue;
		int rc = is_held(r, n, f, &a, err);
		if (rc < 0)
			return rc;
		if (rc > 0)
			continue;
		rc = db_exec(r->db, err, f == NETWORK_V4 ? "UPDATE network SET cursor4=?2 WHERE id=?1" : "UPDATE network SET cursor6=?2 WHERE id=?1", "si", n->id, (int64_t) (at + 1));
		*ret = a;
		return MIN(rc, 0);
	}
	return err_set(err, ERR_QUOTA, "no available %s addresses on network %s", column[f], n->name);
}

/* What it had in its last life. Return: 1 it has it again, 0 not so, <0. */
static int take_again(struct network_room *r, const struct network *n, int f, const struct ip_addr *was, struct ip_addr *ret, struct err *err)
{
	const struct ip_addr *pool = n->range[f].family ? &n->range[f] : &n->subnet[f];
	if (!was->family || !ip_contains(pool, was) || is_reserved(n, f, was))
		return 0;
	int rc = is_held(r, n, f, was, err);
	if (rc != 0)
		return MIN(rc, 0);
	*ret = *was;
	return 1;
}

static int take_any(struct network_room *r, const struct network *n, int f, const struct ip_addr *was, struct ip_addr *ret, struct err *err)
{
	int rc = take_again(r, n, f, was, ret, err);
	return rc == 0 ? take_next(r, n, f, ret, err) : MIN(rc, 0);
}

int address_take(struct network_room *r, const struct network *n, struct endpoint *p, struct err *err)
{
	static const uint8_t none[MAC_LEN];
	int rc = address_check(n, p, err);
	p->i.n_addresses = 0;
	for (int f = 0; rc >= 0 && f < NETWORK_FAMILIES; f++) {
		struct ip_addr a = p->wanted[f];
		if (!n->subnet[f].family)
			continue;
		rc = a.family ? take_wanted(r, n, f, &a, err) : take_any(r, n, f, &p->was[f], &a, err);
		a.prefix = n->subnet[f].prefix;
		p->i.addresses[p->i.n_addresses++] = a;
	}
	if (rc < 0)
		return rc;
	if (memcmp(p->wanted_mac, none, MAC_LEN) != 0)
		memcpy(p->i.mac, p->wanted_mac, MAC_LEN);
	else if (p->i.n_addresses && p->i.addresses[0].family == AF_INET) {
		/* the same address has the same hardware address: nobody's memory of it is wrong */
		const uint8_t *b = p->i.addresses[0].bytes, mac[MAC_LEN] = {0x02, 0x42, b[0], b[1], b[2], b[3]};
		memcpy(p->i.mac, mac, MAC_LEN);
	} else {
		if (getrandom(p->i.mac, MAC_LEN, 0) != MAC_LEN)
			return err_sys(err, -errno, "random bytes");
		p->i.mac[0] = 0x02;
	}
	return 0;
}
