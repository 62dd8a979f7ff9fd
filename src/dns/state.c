/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/random.h>

#include "base/fd.h"

#define BUCKETS_MIN 64
#define KEY_MAX 260

enum node_kind { NODE_MEMBER = 'm', NODE_NAME = 'n', NODE_ADDRESS = 'a' };

struct dns_node {
	struct dns_node *next;
	uint64_t hash;
	struct dns_member *m;
	const struct dns_stay *stay; /* NULL: NODE_MEMBER */
	char kind;
	const char *key;             /* borrowed from the member, or: */
	char address[INET6_ADDRSTRLEN];
};

/* FNV-1a from a random start, finished as murmur3 does: names are chosen by whoever makes containers. */
static uint64_t hash_of(const struct dns_state *st, enum node_kind kind, const char *network, const char *key)
{
	const char *parts[] = {network, key};
	uint64_t h = st->seed ^ (uint64_t) kind;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		for (const char *p = parts[i]; *p; p++)
			h = (h ^ (uint8_t) *p) * 0x100000001b3ULL;
	h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdULL;
	return h ^ (h >> 33);
}

static void insert(struct dns_state *st, struct dns_node *n)
{
	struct dns_node **b = &st->buckets[n->hash & (st->n_buckets - 1)];
	n->next = *b;
	*b = n;
}

static void take_out(struct dns_state *st, struct dns_node *n)
{
	struct dns_node **p = &st->buckets[n->hash & (st->n_buckets - 1)];
	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
}

/* Chains grow instead when there is no memory. */
static void grow(struct dns_state *st)
{
	struct dns_node **fresh = calloc(st->n_buckets * 2, sizeof(struct dns_node *));
	if (!fresh)
		return;
	struct dns_node **old = st->buckets;
	size_t n_old = st->n_buckets;
	st->buckets = fresh;
	st->n_buckets *= 2;
	for (size_t i = 0; i < n_old; i++)
		for (struct dns_node *n = old[i], *next; n; n = next) {
			next = n->next;
			insert(st, n);
		}
	free(old);
}

int dns_state_init(struct dns_state *st)
{
	*st = (struct dns_state) {.n_buckets = BUCKETS_MIN};
	if (getrandom(&st->seed, sizeof(st->seed), 0) != (ssize_t) sizeof(st->seed))
		return -errno;
	st->buckets = calloc(BUCKETS_MIN, sizeof(struct dns_node *));
	return st->buckets ? 0 : -ENOMEM;
}

void dns_state_done(struct dns_state *st)
{
	while (st->members)
		dns_state_forget(st, st->members);
	free(st->buckets);
	*st = (struct dns_state) {0};
}

/* Nodes */

static void add_node(struct dns_state *st, struct dns_node *v, size_t *n, struct dns_member *m, const struct dns_stay *stay, enum node_kind kind, const char *key)
{
	struct dns_node *node = &v[(*n)++];
	*node = (struct dns_node) {.m = m, .stay = stay, .kind = (char) kind, .key = key, .hash = hash_of(st, kind, stay ? stay->id : "", key)};
}

static void add_address(struct dns_state *st, struct dns_node *v, size_t *n, struct dns_member *m, const struct dns_stay *stay, const struct dns_address *a)
{
	char text[INET6_ADDRSTRLEN];
	if (!a->family || !inet_ntop(a->family, a->bytes, text, sizeof(text)))
		return;
	add_node(st, v, n, m, stay, NODE_ADDRESS, text);
	memcpy(v[*n - 1].address, text, sizeof(text));
	v[*n - 1].key = v[*n - 1].address; /* the array does not move */
}

/* The nodes of @m when it is told @t. Return: array with *@ret_n of them, not in the table; NULL: no memory. */
static struct dns_node *make_nodes(struct dns_state *st, struct dns_member *m, const struct dns_told *t, size_t *ret_n)
{
	size_t max = 1, n = 0;
	for (size_t i = 0; i < t->n_stays; i++)
		max += strv_len(t->stays[i].names) + 2;
	struct dns_node *v = calloc(max, sizeof(*v));
	if (!v)
		return NULL;
	add_node(st, v, &n, m, NULL, NODE_MEMBER, m->told.id[0] ? m->told.id : t->id);
	for (size_t i = 0; i < t->n_stays; i++) {
		const struct dns_stay *s = &t->stays[i];
		STRV_FOREACH(name, s->names)
			add_node(st, v, &n, m, s, NODE_NAME, name);
		add_address(st, v, &n, m, s, &s->v4);
		add_address(st, v, &n, m, s, &s->v6);
	}
	*ret_n = n;
	return v;
}

static void drop_nodes(struct dns_state *st, struct dns_member *m)
{
	for (size_t i = 0; i < m->n_nodes; i++)
		take_out(st, &m->nodes[i]);
	st->n_nodes -= m->n_nodes;
	m->n_nodes = 0;
	free(m->nodes);
	m->nodes = NULL;
}

static void put_nodes(struct dns_state *st, struct dns_member *m, struct dns_node *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		insert(st, &v[i]);
	m->nodes = v;
	m->n_nodes = n;
	st->n_nodes += n;
	while (st->n_nodes > st->n_buckets) {
		size_t before = st->n_buckets;
		grow(st);
		if (st->n_buckets == before)
			break;
	}
}

/* Members */

static struct dns_member *member_new(struct dns_state *st)
{
	struct dns_member *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->sockets[DNS_UDP] = m->sockets[DNS_TCP] = -EBADF;
	m->next = st->members;
	if (m->next)
		m->next->prev = m;
	st->members = m;
	st->n_members++;
	return m;
}

static void close_sockets(struct dns_member *m)
{
	for (int i = 0; i < DNS_SOCKETS; i++)
		m->sockets[i] = safe_close(m->sockets[i]);
}

void dns_state_forget(struct dns_state *st, struct dns_member *m)
{
	drop_nodes(st, m);
	close_sockets(m);
	dns_told_done(&m->told);
	*(m->prev ? &m->prev->next : &st->members) = m->next;
	if (m->next)
		m->next->prev = m->prev;
	st->n_members--;
	free(m);
}

struct dns_member *dns_state_get(const struct dns_state *st, const char *id)
{
	uint64_t h = hash_of(st, NODE_MEMBER, "", id);
	for (const struct dns_node *n = st->buckets[h & (st->n_buckets - 1)]; n; n = n->next)
		if (n->hash == h && n->kind == NODE_MEMBER && str_eq(n->key, id))
			return n->m;
	return NULL;
}

int dns_state_tell(struct dns_state *st, struct dns_told *t, struct dns_member **ret)
{
	struct dns_member *m = dns_state_get(st, t->id);
	bool fresh = !m;
	size_t n = 0;
	m = m ? m : member_new(st);
	struct dns_node *v = m ? make_nodes(st, m, t, &n) : NULL;
	if (!v) {
		if (m && fresh)
			dns_state_forget(st, m);
		return -ENOMEM;
	}
	drop_nodes(st, m);
	dns_told_done(&m->told);
	m->told = *t;
	*t = (struct dns_told) {0};
	v[0].key = m->told.id; /* NODE_MEMBER comes first */
	put_nodes(st, m, v, n);
	*ret = m;
	return 0;
}

void dns_state_give(struct dns_member *m, int sockets[DNS_SOCKETS])
{
	close_sockets(m);
	for (int i = 0; i < DNS_SOCKETS; i++)
		m->sockets[i] = take_fd(&sockets[i]);
}

/* Looking up */

static const struct dns_node *next_of(const struct dns_node *n, uint64_t h, enum node_kind kind, const char *network, const char *key)
{
	for (; n; n = n->next)
		if (n->hash == h && n->kind == (char) kind && str_eq(n->stay->id, network) && str_eq(n->key, key))
			return n;
	return NULL;
}

static bool find_on(const struct dns_state *st, const char *network, const char *name, struct dns_found *ret)
{
	uint64_t h = hash_of(st, NODE_NAME, network, name);
	const struct dns_node *n = next_of(st->buckets[h & (st->n_buckets - 1)], h, NODE_NAME, network, name);
	for (; n && ret->n < DNS_FOUND_MAX; n = next_of(n->next, h, NODE_NAME, network, name))
		ret->stays[ret->n++] = n->stay;
	return ret->n > 0;
}

static bool find_plain(const struct dns_state *st, const struct dns_member *m, const char *name, struct dns_found *ret)
{
	for (size_t i = 0; i < m->told.n_stays; i++)
		if (find_on(st, m->told.stays[i].id, name, ret))
			return true;
	return false;
}

static bool find_link(const struct dns_state *st, const struct dns_member *m, const char *name, struct dns_found *ret)
{
	for (size_t i = 0; i < m->told.n_links; i++)
		if (str_eq(m->told.links[i].name, name) && find_plain(st, m, m->told.links[i].target, ret))
			return true;
	return false;
}

/* NAME.NETWORK; either part may hold dots. */
static bool find_full(const struct dns_state *st, const struct dns_stay *s, const char *name, struct dns_found *ret)
{
	char part[KEY_MAX];
	size_t len = strlen(name), tail = strlen(s->name);
	if (len < tail + 2 || len >= sizeof(part) || name[len - tail - 1] != '.' || !str_eq(name + len - tail, s->name))
		return false;
	memcpy(part, name, len - tail - 1);
	part[len - tail - 1] = '\0';
	return find_on(st, s->id, part, ret);
}

bool dns_state_find(const struct dns_state *st, const struct dns_member *m, const char *name, struct dns_found *ret)
{
	ret->n = 0;
	if (find_link(st, m, name, ret) || find_plain(st, m, name, ret))
		return true;
	for (size_t i = 0; i < m->told.n_stays; i++)
		if (find_full(st, &m->told.stays[i], name, ret))
			return true;
	return false;
}

char *dns_state_reverse(const struct dns_state *st, const struct dns_member *m, const char *text)
{
	for (size_t i = 0; i < m->told.n_stays; i++) {
		const char *network = m->told.stays[i].id;
		uint64_t h = hash_of(st, NODE_ADDRESS, network, text);
		const struct dns_node *n = next_of(st->buckets[h & (st->n_buckets - 1)], h, NODE_ADDRESS, network, text);
		if (n)
			return str_printf("%s.%s", n->m->told.name, n->stay->name);
	}
	return NULL;
}

bool dns_state_external(const struct dns_member *m)
{
	for (size_t i = 0; i < m->told.n_stays; i++)
		if (!m->told.stays[i].internal)
			return true;
	return m->told.n_stays == 0; /* the default bridge with a resolver on the host's loopback: names are not its business */
}
