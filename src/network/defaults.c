/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's words about networks: pools that subnets come from, and what the default network is like. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/num.h"
#include "base/str.h"
#include "network/internal.h"

#define POOLS_MAX 256

void network_defaults_done(struct network_defaults *d)
{
	free(d->pools);
	*d = (struct network_defaults){0};
}

static int read_pool(const struct json *v, struct network_pool *ret, struct err *err)
{
	const char *base = NULL;
	uint32_t size = 0;
	bool clean;
	if (json_kind(v) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "default-address-pools: expected an object, got %s", json_kind_name(json_kind(v)));
	JSON_FOREACH_MEMBER(key, value, v)
		if (!str_eq(key, "base") && !str_eq(key, "size"))
			return err_set(err, ERR_INVALID, "default-address-pools: %.60s: unknown key; known are base, size", key);
	int rc = json_read_str(v, "base", &base, err);
	rc = rc < 0 ? rc : json_read_u32(v, "size", &size, err);
	if (rc < 0)
		return err_wrap(err, "default-address-pools");
	if (str_empty(base) || ip_parse_subnet(base, &ret->base, &clean) < 0 || !clean)
		return err_set(err, ERR_INVALID, "default-address-pools: base '%.60s' is not ADDRESS/PREFIX without bits behind the prefix", base ?: "");
	uint32_t most = ret->base.family == AF_INET ? 30 : 126, least = ret->base.family == AF_INET ? 8 : 3;
	if (ret->base.prefix < least || size < ret->base.prefix || size > most)
		return err_set(err, ERR_INVALID, "default-address-pools: base '%.60s', size %u: a size is a prefix length from the base's, which is %u at least, to %u", base, size, least, most);
	ret->size = (uint8_t) size;
	return 0;
}

static int read_pools(const struct json *list, struct network_defaults *d, struct err *err)
{
	size_t n = json_len(list);
	if (n > POOLS_MAX)
		return err_set(err, ERR_QUOTA, "default-address-pools: %zu pools, at most %d are taken", n, POOLS_MAX);
	d->pools = n ? calloc(n, sizeof(*d->pools)) : NULL;
	if (n && !d->pools)
		return err_oom(err);
	JSON_FOREACH(v, i, list) {
		int rc = read_pool(v, &d->pools[i], err);
		if (rc < 0)
			return rc;
		d->n_pools++;
	}
	return 0;
}

static int read_bip(const char *s, struct network_defaults *d, struct err *err)
{
	struct ip_addr subnet;
	if (str_empty(s))
		return 0;
	if (ip_parse_prefix(s, &d->gateway4) < 0 || d->gateway4.family != AF_INET || ip_parse_subnet(s, &subnet, NULL) < 0 || subnet.prefix < 8 || subnet.prefix > 30)
		return err_set(err, ERR_INVALID, "bip: '%.60s' is not an IPv4 address with a prefix length of 8 to 30", s);
	uint64_t at = ip_offset(&subnet, &d->gateway4);
	if (at == 0 || at == ip_hosts(&subnet) - 1)
		return err_set(err, ERR_INVALID, "bip: '%.60s' is the first or the last address of its subnet, which nobody can have", s);
	return 0;
}

static int read_range(const char *s, struct network_defaults *d, struct err *err)
{
	if (str_empty(s))
		return 0;
	if (!d->gateway4.family)
		return err_set(err, ERR_INVALID, "fixed-cidr: needs bip, in whose subnet it is");
	struct ip_addr subnet = ip_subnet(&d->gateway4);
	if (ip_parse_subnet(s, &d->range4, NULL) < 0 || d->range4.prefix < subnet.prefix || d->range4.family != AF_INET || !ip_contains(&subnet, &d->range4))
		return err_set(err, ERR_INVALID, "fixed-cidr: '%.60s' is not a subnet of bip's", s);
	return 0;
}

static int read_six(const char *s, struct network_defaults *d, struct err *err)
{
	bool clean;
	if (str_empty(s))
		return 0;
	if (!d->ipv6)
		return err_set(err, ERR_INVALID, "fixed-cidr-v6: needs ipv6: true");
	if (ip_parse_subnet(s, &d->subnet6, &clean) < 0 || !clean || d->subnet6.family != AF_INET6 || d->subnet6.prefix < 3 || d->subnet6.prefix > 126)
		return err_set(err, ERR_INVALID, "fixed-cidr-v6: '%.60s' is not an IPv6 subnet with a prefix length of 3 to 126", s);
	return 0;
}

static int read_publish_on(const char *s, struct network_defaults *d, struct err *err)
{
	if (str_empty(s))
		return 0;
	if (ip_parse(s, &d->publish_on) < 0 || d->publish_on.family != AF_INET)
		return err_set(err, ERR_INVALID, "ip: '%.60s' is not an IPv4 address", s);
	if (ip_is_any(&d->publish_on))
		d->publish_on = (struct ip_addr){0};
	return 0;
}

int network_defaults_read(const struct network_words *w, struct network_defaults *ret, struct err *err)
{
	struct network_defaults d = {.mtu = w->mtu, .isolated = !w->icc, .ipv6 = w->ipv6};
	int rc = d.mtu != 0 && (d.mtu < 68 || d.mtu > 65535) ? err_set(err, ERR_INVALID, "mtu: %u is not a number from 68 to 65535", d.mtu) : 0;
	rc = rc < 0 ? rc : read_pools(w->pools, &d, err);
	rc = rc < 0 ? rc : read_bip(w->bip, &d, err);
	rc = rc < 0 ? rc : read_range(w->fixed_cidr, &d, err);
	rc = rc < 0 ? rc : read_six(w->fixed_cidr6, &d, err);
	rc = rc < 0 ? rc : read_publish_on(w->ip, &d, err);
	if (rc < 0) {
		network_defaults_done(&d);
		return rc;
	}
	*ret = d;
	return 0;
}

void defaults_put(const struct network_defaults *d, struct network *n)
{
	n->mtu = d->mtu;
	n->isolated = d->isolated;
	n->ipv6 = d->ipv6;
	n->publish_on = d->publish_on;
	n->range[NETWORK_V4] = d->range4;
	if (d->gateway4.family) {
		n->subnet[NETWORK_V4] = ip_subnet(&d->gateway4);
		n->gateway[NETWORK_V4] = d->gateway4;
	}
	if (d->subnet6.family && !(n->subnet[NETWORK_V6].family && ip_equal(&n->subnet[NETWORK_V6], &d->subnet6) && n->subnet[NETWORK_V6].prefix == d->subnet6.prefix)) {
		n->subnet[NETWORK_V6] = d->subnet6;
		n->gateway[NETWORK_V6] = (struct ip_addr){0}; /* the first one of it */
	}
	if (!d->ipv6)
		n->subnet[NETWORK_V6] = n->gateway[NETWORK_V6] = (struct ip_addr){0};
}

static bool same(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && (!a->family || (ip_equal(a, b) && a->prefix == b->prefix));
}

bool defaults_hold(const struct network_defaults *d, const struct network *n)
{
	const struct ip_addr gateway = n->gateway[NETWORK_V4];
	bool four = !d->gateway4.family || (ip_equal(&d->gateway4, &gateway) && n->subnet[NETWORK_V4].prefix == d->gateway4.prefix);
	bool six = d->ipv6 == n->ipv6 && (!d->subnet6.family || same(&d->subnet6, &n->subnet[NETWORK_V6]));
	return four && six && same(&d->range4, &n->range[NETWORK_V4]) && same(&d->publish_on, &n->publish_on) && d->mtu == n->mtu && d->isolated == n->isolated;
}
