/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkSettings and Ports: what inspect and lists show of a container's networks; never null where docker gives [] or {}. */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/ip.h"
#include "base/num.h"
#include "engine/networking.h"
#include "engine/share.h"

void network_view_done(struct network_view *v)
{
	endpoints_free(v->endpoints, v->n_endpoints);
	free(v->ports);
	free(v->holders);
	for (size_t i = 0; i < v->n_networks; i++)
		network_done(&v->networks[i]);
	free(v->networks);
	*v = (struct network_view){0};
}

static int take_network(void *ctx, struct network *n, struct err *err)
{
	struct network_view *v = ctx;
	struct network *more = reallocarray(v->networks, v->n_networks + 1, sizeof(*more));
	if (!more)
		return err_oom(err);
	v->networks = more;
	more[v->n_networks++] = *n;
	*n = (struct network){0};
	return 0;
}

int network_view_load(struct engine *e, const char *id, struct network_view *ret, struct err *err)
{
	struct network_view v = {0};
	int rc = id ? endpoints_of(e->networks, id, &v.endpoints, &v.n_endpoints, err) : endpoints_all(e->networks, &v.endpoints, &v.n_endpoints, err);
	rc = rc < 0 ? rc : ports_all(e->networks, id, &v.ports, &v.holders, &v.n_ports, err);
	if (rc >= 0 && v.n_endpoints > 0)
		rc = network_each(e->networks, NULL, take_network, &v, err);
	if (rc < 0) {
		network_view_done(&v);
		return rc;
	}
	*ret = v;
	return 0;
}

static const struct network *network_of(const struct network_view *v, const struct endpoint *p)
{
	for (size_t i = 0; i < v->n_networks; i++)
		if (str_eq(v->networks[i].id, p->network))
			return &v->networks[i];
	return NULL;
}

/* Where @id's begin, by bisection; they stand together. */
static size_t first_endpoint(const struct network_view *v, const char *id)
{
	size_t lo = 0, hi = v->n_endpoints;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (strcmp(v->endpoints[mid].container, id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t first_port(const struct network_view *v, const char *id)
{
	size_t lo = 0, hi = v->n_ports;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (strcmp(v->holders[mid], id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

#define EACH_ENDPOINT(p, v, id)                                                                                                                         \
	for (size_t at_ = first_endpoint(v, id); at_ < (v)->n_endpoints && str_eq((v)->endpoints[at_].container, id); at_++)                              \
		for (const struct endpoint *p = &(v)->endpoints[at_]; p; p = NULL)
#define EACH_PORT(p, v, id)                                                                                                                             \
	for (size_t at_ = first_port(v, id); at_ < (v)->n_ports && str_eq((v)->holders[at_], id); at_++)                                                  \
		for (const struct port *p = &(v)->ports[at_]; p; p = NULL)

/* One endpoint */

struct shown {
	char mac[18], gateway[2][IP_TEXT_MAX], address[2][IP_TEXT_MAX];
	unsigned prefix[2];
};

static struct shown show(const struct network *n, const struct endpoint *p)
{
	struct shown s = {0};
	if (!n || !p->up)
		return s;
	(void) mac_text(s.mac, p->i.mac);
	for (size_t i = 0; i < p->i.n_addresses; i++) {
		int f = p->i.addresses[i].family == AF_INET ? NETWORK_V4 : NETWORK_V6;
		(void) ip_text(s.address[f], &p->i.addresses[i]);
		s.prefix[f] = n->subnet[f].prefix;
		if (!n->internal)
			(void) ip_text(s.gateway[f], &n->gateway[f]);
	}
	return s;
}

static void write_ipam(struct json_writer *w, const struct endpoint *p)
{
	static const char *const keys[NETWORK_FAMILIES] = {"IPv4Address", "IPv6Address"};
	if (!p || (!p->wanted[0].family && !p->wanted[1].family)) {
		jw_null(w, "IPAMConfig");
		return;
	}
	jw_obj(w, "IPAMConfig");
	for (int f = 0; f < NETWORK_FAMILIES; f++) {
		char text[IP_TEXT_MAX];
		if (p->wanted[f].family)
			jw_str(w, keys[f], ip_text(text, &p->wanted[f]));
	}
	jw_end(w);
}

static void write_json_or_null(struct json_writer *w, const char *key, const char *json)
{
	if (json)
		jw_raw(w, key, json);
	else
		jw_null(w, key);
}

/* @p NULL: a mode without endpoints. */
static void write_endpoint(struct json_writer *w, const char *name, const struct network *n, const struct endpoint *p)
{
	static const struct endpoint none;
	const struct shown s = show(n, p ?: &none);
	jw_obj(w, name);
	write_ipam(w, p);
	write_json_or_null(w, "Links", p ? p->links : NULL);
	write_json_or_null(w, "Aliases", p ? p->aliases : NULL);
	jw_null(w, "DriverOpts");
	jw_int(w, "GwPriority", p ? p->gw_priority : 0);
	jw_str(w, "NetworkID", n && p ? n->id : "");
	jw_str(w, "EndpointID", p && p->up ? p->id : "");
	jw_str(w, "MacAddress", s.mac);
	jw_str(w, "Gateway", s.gateway[0]);
	jw_str(w, "IPAddress", s.address[0]);
	jw_uint(w, "IPPrefixLen", s.prefix[0]);
	jw_str(w, "IPv6Gateway", s.gateway[1]);
	jw_str(w, "GlobalIPv6Address", s.address[1]);
	jw_uint(w, "GlobalIPv6PrefixLen", s.prefix[1]);
	jw_null(w, "DNSNames");
	jw_end(w);
}

/* Ports */

static const char *proto_text(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "sctp";
}

static bool same_port(const struct port *a, const struct port *b)
{
	return a->proto == b->proto && a->container_port == b->container_port;
}

static bool is_published(const struct network_view *v, const char *id, const char *exposed)
{
	char text[24];
	EACH_PORT(p, v, id) {
		(void) str_format(text, sizeof(text), "%u/%s", p->container_port, proto_text(p->proto)); /* fits */
		if (str_eq(text, exposed))
			return true;
	}
	return false;
}

static void write_port_map(const struct network_view *v, struct json_writer *w, const struct container *c)
{
	const struct port *last = NULL;
	jw_obj(w, "Ports");
	EACH_PORT(p, v, c->id) {
		char text[IP_TEXT_MAX];
		if (!last || !same_port(last, p)) {
			if (last)
				jw_end(w);
			(void) str_format(text, sizeof(text), "%u/%s", p->container_port, proto_text(p->proto)); /* fits */
			jw_arr(w, text);
		}
		jw_obj(w, NULL);
		jw_str(w, "HostIp", ip_text(text, &p->host));
		(void) str_format(text, sizeof(text), "%u", p->host_port); /* fits */
		jw_str(w, "HostPort", text);
		jw_end(w);
		last = p;
	}
	if (last)
		jw_end(w);
	bool up = false;
	EACH_ENDPOINT(p, v, c->id)
		up |= p->up;
	STRV_FOREACH(s, up ? c->req->exposed_ports : NULL)
		if (!strchr(s, '-') && !is_published(v, c->id, s))
			jw_null(w, s);
	jw_end(w);
}

void network_view_ports(const struct network_view *v, struct json_writer *w, const struct container *c)
{
	bool up = false;
	EACH_ENDPOINT(p, v, c->id)
		up |= p->up;
	jw_arr(w, "Ports");
	EACH_PORT(p, v, c->id) {
		char text[IP_TEXT_MAX];
		jw_obj(w, NULL);
		jw_str(w, "IP", ip_text(text, &p->host));
		jw_uint(w, "PrivatePort", p->container_port);
		jw_uint(w, "PublicPort", p->host_port);
		jw_str(w, "Type", proto_text(p->proto));
		jw_end(w);
	}
	STRV_FOREACH(s, up ? c->req->exposed_ports : NULL) {
		char number[8];
		uint32_t port;
		size_t n = strcspn(s, "/");
		if (strchr(s, '-') || n >= sizeof(number) || is_published(v, c->id, s))
			continue;
		memcpy(number, s, n);
		number[n] = '\0';
		if (parse_u32(number, &port) < 0)
			continue;
		jw_obj(w, NULL);
		jw_uint(w, "PrivatePort", port);
		jw_str(w, "Type", s[n] ? s + n + 1 : "tcp");
		jw_end(w);
	}
	jw_end(w);
}

/* The whole */

/* docker's old place for the default bridge's endpoint. */
static void write_top(const struct network_view *v, struct json_writer *w, const struct container *c)
{
	static const char *const empty[] = {"Bridge", "SandboxID", "SandboxKey"};
	const struct network *n = NULL;
	const struct endpoint *main = NULL;
	static const struct endpoint none;
	EACH_ENDPOINT(p, v, c->id) {
		const struct network *of = network_of(v, p);
		if (of && of->is_default) {
			n = of;
			main = p;
		}
	}
	const struct shown s = show(n, main ?: &none);
	for (size_t i = 0; i < ARRAY_LEN(empty); i++)
		jw_str(w, empty[i], "");
	write_port_map(v, w, c);
	jw_bool(w, "HairpinMode", false);
	jw_str(w, "LinkLocalIPv6Address", "");
	jw_int(w, "LinkLocalIPv6PrefixLen", 0);
	jw_null(w, "SecondaryIPAddresses");
	jw_null(w, "SecondaryIPv6Addresses");
	jw_str(w, "EndpointID", main && main->up ? main->id : "");
	jw_str(w, "Gateway", s.gateway[0]);
	jw_str(w, "GlobalIPv6Address", s.address[1]);
	jw_uint(w, "GlobalIPv6PrefixLen", s.prefix[1]);
	jw_str(w, "IPAddress", s.address[0]);
	jw_uint(w, "IPPrefixLen", s.prefix[0]);
	jw_str(w, "IPv6Gateway", s.gateway[1]);
	jw_str(w, "MacAddress", s.mac);
}

void network_view_write(const struct network_view *v, struct json_writer *w, const struct container *c, bool full)
{
	jw_obj(w, "NetworkSettings");
	if (full)
		write_top(v, w, c);
	jw_obj(w, "Networks");
	EACH_ENDPOINT(p, v, c->id) {
		const struct network *n = network_of(v, p);
		if (n)
			write_endpoint(w, n->name, n, p);
	}
	if (!networking_has(c->req) && share_of(c->req, NS_NET, NULL) != SHARE_JOIN)
		write_endpoint(w, network_mode_of(c->req), NULL, NULL);
	jw_end(w);
	jw_end(w);
}

bool network_view_has(const struct network_view *v, const struct container *c, const char *ref)
{
	EACH_ENDPOINT(p, v, c->id) {
		const struct network *n = network_of(v, p);
		if (n && (str_eq(n->name, ref) || (id_is_prefix(ref) && strncmp(n->id, ref, strlen(ref)) == 0)))
			return true;
	}
	return str_eq(network_mode_of(c->req), ref);
}

bool network_view_publishes(const struct network_view *v, const struct container *c, const char *ports)
{
	char text[16];
	size_t n = strcspn(ports, "/");
	uint32_t first, last;
	if (n >= sizeof(text))
		return false;
	memcpy(text, ports, n);
	text[n] = '\0';
	char *dash = strchr(text, '-');
	if (dash)
		*dash = '\0';
	if (parse_u32(text, &first) < 0 || parse_u32(dash ? dash + 1 : text, &last) < 0)
		return false;
	const char *proto = ports[n] ? ports + n + 1 : NULL;
	EACH_PORT(p, v, c->id)
		if (p->host_port >= first && p->host_port <= last && (!proto || str_eq(proto, proto_text(p->proto))))
			return true;
	return false;
}
