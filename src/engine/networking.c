/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/networking.h"

#include <errno.h>
#include <netinet/in.h>
#include <strings.h>

#include "base/fault.h"
#include "base/ip.h"
#include "base/num.h"
#include "engine/events.h"
#include "engine/share.h"

bool networking_has(const struct container_request *r)
{
	return share_of(r, NS_NET, NULL) == SHARE_OWN && !r->network_disabled && !str_eq(r->network_mode, NETWORK_NONE);
}

void networking_endpoints_done(struct endpoints *p)
{
	endpoints_free(p->v, p->n);
	*p = (struct endpoints){0};
}

static bool is_default(const char *name)
{
	return str_empty(name) || str_eq(name, "default");
}

/* Ports as clients say them */

static int read_proto(const char *s, uint8_t *ret)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} rows[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcasecmp(s, rows[i].name) == 0) {
			*ret = rows[i].proto;
			return 0;
		}
	return -EINVAL;
}

/* "80" or "80-90". */
static int read_range(const char *s, size_t len, uint16_t *first, uint16_t *last)
{
	char text[16];
	uint32_t a, b;
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, len);
	text[len] = '\0';
	char *dash = strchr(text, '-');
	if (dash)
		*dash = '\0';
	if (parse_u32(text, &a) < 0 || parse_u32(dash ? dash + 1 : text, &b) < 0 || b < a || b > 65535)
		return -EINVAL;
	*first = (uint16_t) a;
	*last = (uint16_t) b;
	return 0;
}

/* "80/tcp", "80", "80-90/udp". */
static int read_container_ports(const char *s, uint8_t *proto, uint16_t *first, uint16_t *last, struct err *err)
{
	const char *slash = strchr(s, '/');
	if (read_range(s, slash ? (size_t) (slash - s) : strlen(s), first, last) < 0 || *first == 0 || read_proto(slash ? slash + 1 : "tcp", proto) < 0)
		return err_set(err, ERR_INVALID, "invalid port specification: '%.60s'", s);
	return 0;
}

struct ports {
	struct port *v; /* owned */
	size_t n;
};

static int add_port(struct ports *p, const struct port *one, struct err *err)
{
	if (p->n == PORTS_MAX)
		return err_set(err, ERR_QUOTA, "HostConfig.PortBindings (--publish): more than %d ports", PORTS_MAX);
	if ((p->n & (p->n - 1)) == 0) {
		struct port *v = reallocarray(p->v, MAX(2 * p->n, (size_t) 1), sizeof(*v));
		if (!v)
			return err_oom(err);
		p->v = v;
	}
	p->v[p->n++] = *one;
	return 0;
}

static int read_binding(struct ports *p, const char *key, uint8_t proto, uint16_t port, const struct json *v, struct err *err)
{
	struct port one = {.proto = proto, .container_port = port};
	const char *ip = json_str(json_get_fold(v, "HostIp"), ""), *host = json_str(json_get_fold(v, "HostPort"), "");
	if (json_kind(v) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "HostConfig.PortBindings: '%.60s': expected an object, got %s", key, json_kind_name(json_kind(v)));
	if (*ip && ip_parse(ip, &one.host) < 0)
		return err_set(err, ERR_INVALID, "HostConfig.PortBindings (--publish): '%.60s': '%.60s' is not an IP address", key, ip);
	if (*host && read_range(host, strlen(host), &one.host_port, &one.host_port_last) < 0)
		return err_set(err, ERR_INVALID, "HostConfig.PortBindings (--publish): '%.60s': '%.60s' is not a port or a range of ports of the host", key, host);
	return add_port(p, &one, err);
}

static int read_bindings(const struct container_request *r, struct ports *p, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	if (str_empty(r->port_bindings_json))
		return 0;
	int rc = json_parse(r->port_bindings_json, strlen(r->port_bindings_json), REQUEST_MAX, "PortBindings", &root, err);
	JSON_FOREACH_MEMBER(key, list, rc < 0 ? NULL : root) {
		uint8_t proto = 0;
		uint16_t first = 0, last = 0;
		rc = read_container_ports(key, &proto, &first, &last, err);
		for (uint32_t port = first; rc >= 0 && port <= last; port++) {
			JSON_FOREACH(v, i, list)
				rc = rc < 0 ? rc : read_binding(p, key, proto, (uint16_t) port, v, err);
			if (rc >= 0 && json_len(list) == 0)
				rc = add_port(p, &(struct port){.proto = proto, .container_port = (uint16_t) port}, err);
		}
		if (rc < 0)
			return rc;
	}
	return MIN(rc, 0);
}

static bool is_bound(const struct ports *p, uint8_t proto, uint16_t port)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].proto == proto && p->v[i].container_port == port)
			return true;
	return false;
}

/* --publish-all: every exposed port that is not bound yet, to a free one. */
static int read_exposed(const struct container_request *r, struct ports *p, struct err *err)
{
	if (!r->publish_all_ports)
		return 0;
	STRV_FOREACH(s, r->exposed_ports) {
		uint8_t proto = 0;
		uint16_t first = 0, last = 0;
		int rc = read_container_ports(s, &proto, &first, &last, err);
		for (uint32_t port = first; rc >= 0 && port <= last; port++)
			if (!is_bound(p, proto, (uint16_t) port))
				rc = add_port(p, &(struct port){.proto = proto, .container_port = (uint16_t) port}, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_ports(const struct container_request *r, struct ports *p, struct err *err)
{
	int rc = read_bindings(r, p, err);
	return rc < 0 ? rc : read_exposed(r, p, err);
}

/* Policy */

int networking_check(const struct container_request *r, struct err *err)
{
	struct ports p = {0};
	uint8_t mac[MAC_LEN];
	int rc = read_ports(r, &p, err);
	free(p.v);
	if (rc < 0)
		return rc;
	if (!str_empty(r->mac_address) && mac_parse(r->mac_address, mac) < 0)
		return err_set(err, ERR_INVALID, "Config.MacAddress (--mac-address): '%.32s' is not the hardware address of one interface", r->mac_address);
	if (share_of(r, NS_NET, NULL) != SHARE_JOIN)
		return 0;
	if (p.n > 0)
		return err_set(err, ERR_INVALID, "conflicting options: port publishing and the container type network mode");
	if (!str_empty(r->mac_address))
		return err_set(err, ERR_INVALID, "conflicting options: mac-address and the network mode");
	return 0;
}

/* At create */

/* "name:alias" entries as a JSON array; NULL for none. */
static int strv_json(char *const *v, char **ret)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 20);
	struct json_writer w;
	if (!v || !v[0])
		return 0;
	jw_init(&w, &b);
	jw_strv(&w, NULL, v);
	*ret = strbuf_steal(&b);
	return *ret ? 0 : -ENOMEM;
}

static int read_wanted(const char *text, int family, const char *field, struct ip_addr *ret, struct err *err)
{
	if (str_empty(text))
		return 0;
	if (ip_parse(text, ret) < 0 || ret->family != family)
		return err_set(err, ERR_INVALID, "invalid endpoint settings: %s: '%.60s' is not an %s address", field, text, family == AF_INET ? "IPv4" : "IPv6");
	return 0;
}

static bool asks_for_address(const struct endpoint_request *q)
{
	return !str_empty(q->ipv4) || !str_empty(q->ipv6) || q->link_local;
}

int networking_endpoint(const struct container *c, const struct network *n, const struct endpoint_request *q, struct endpoint *ret, struct err *err)
{
	if (!str_eq(n->driver, "bridge"))
		return err_set(err, ERR_DENIED, "container cannot be connected to network '%s' beside others", n->name);
	if (q->link_local)
		return err_set(err, ERR_UNSUPPORTED, "invalid endpoint settings: LinkLocalIPs '%.60s': addresses are an IPv4 and an IPv6 one", q->link_local[0]);
	if (q->driver_opts.keys)
		return err_set(err, ERR_UNSUPPORTED, "invalid endpoint settings: DriverOpts '%.100s': bridge networks know no options of an endpoint", q->driver_opts.keys[0]);
	if (n->is_default && asks_for_address(q))
		return err_set(err, ERR_INVALID, "user specified IP address is supported on user defined networks only");
	if (n->is_default && q->aliases)
		return err_set(err, ERR_INVALID, "network-scoped aliases are only supported for user-defined networks");
	struct endpoint p = {.gw_priority = q->gw_priority};
	memcpy(p.container, c->id, sizeof(p.container));
	memcpy(p.network, n->id, sizeof(p.network));
	int rc = read_wanted(q->ipv4, AF_INET, "IPv4Address (--ip)", &p.wanted[NETWORK_V4], err);
	rc = rc < 0 ? rc : read_wanted(q->ipv6, AF_INET6, "IPv6Address (--ip6)", &p.wanted[NETWORK_V6], err);
	if (rc >= 0 && !str_empty(q->mac) && mac_parse(q->mac, p.wanted_mac) < 0)
		rc = err_set(err, ERR_INVALID, "invalid endpoint settings: MacAddress (--mac-address): '%.32s' is not the hardware address of one interface", q->mac);
	if (rc >= 0 && (strv_json(q->aliases, &p.aliases) < 0 || strv_json(q->links, &p.links) < 0))
		rc = err_oom(err);
	if (rc < 0) {
		endpoint_release(&p);
		return rc;
	}
	*ret = p;
	return 0;
}

/* The mode's network gets what is said about the container as a whole. */
static int add_general(const struct container_request *r, struct endpoint_request *q)
{
	if (str_empty(q->mac) && !str_empty(r->mac_address)) {
		free(q->mac);
		q->mac = strdup(r->mac_address);
		if (!q->mac)
			return -ENOMEM;
	}
	STRV_FOREACH(l, r->links)
		if (strv_push(&q->links, l) < 0)
			return -ENOMEM;
	return 0;
}

static int try_endpoint(struct engine *e, const struct container *c, const char *ref, const struct json *settings, bool main, struct endpoints *out, struct err *err)
{
	_cleanup_network_ struct network n = {0};
	_cleanup_endpoint_request_ struct endpoint_request q = {0};
	struct err why = {0};
	int rc = network_find(e->networks, c->tenant, is_default(ref) ? NETWORK_BRIDGE : ref, &n, &why);
	if (rc < 0)
		/* docker's clients take 404 at create for a missing image, and pull */
		return err_set(err, why.kind == ERR_NOT_FOUND ? ERR_INVALID : (enum err_kind) why.kind, "%s", why.msg);
	rc = endpoint_request_parse(settings, "NetworkingConfig.EndpointsConfig", &q, err);
	if (rc >= 0 && main && add_general(c->req, &q) < 0)
		rc = err_oom(err);
	for (size_t i = 0; rc >= 0 && i < out->n; i++)
		if (str_eq(out->v[i].network, n.id))
			return err_set(err, ERR_INVALID, "NetworkingConfig.EndpointsConfig: network '%.64s' is given twice", n.name);
	rc = rc < 0 ? rc : networking_endpoint(c, &n, &q, &out->v[out->n], err);
	out->n += rc >= 0;
	return rc;
}

static int add_endpoint(struct engine *e, const struct container *c, const char *ref, const struct json *settings, bool main, struct endpoints *out, struct err *err)
{
	int rc = try_endpoint(e, c, ref, settings, main, out, err);
	return rc < 0 ? err_wrap(err, "NetworkingConfig") : rc;
}

#define ENDPOINTS_MAX 64

/* A mode that is no network has none of a network's settings, and no other network beside it. */
static int refuse_settings(const struct container_request *r, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	if (r->links)
		return err_set(err, ERR_INVALID, "HostConfig.Links (--link): conflicting options: links and the network mode %.64s", network_mode_of(r));
	int rc = str_empty(r->networking_json) ? 0 : json_parse(r->networking_json, strlen(r->networking_json), REQUEST_MAX, "NetworkingConfig", &root, err);
	JSON_FOREACH_MEMBER(name, v, rc < 0 ? NULL : json_get_fold(root, "EndpointsConfig")) {
		_cleanup_endpoint_request_ struct endpoint_request q = {0};
		rc = rc < 0 ? rc : endpoint_request_parse(v, "NetworkingConfig.EndpointsConfig", &q, err);
		if (rc < 0)
			return rc;
		if (!is_default(name) && !str_eq(name, network_mode_of(r)))
			return err_set(err, ERR_INVALID, "NetworkingConfig: container cannot be connected to multiple networks with one of the networks in %.64s mode", network_mode_of(r));
		if (asks_for_address(&q))
			return err_set(err, ERR_INVALID, "NetworkingConfig (--ip, --ip6): user specified IP address is supported on user defined networks only");
		if (q.aliases || q.links || q.mac || q.driver_opts.keys)
			return err_set(err, ERR_INVALID, "NetworkingConfig (--%s): only on networks, not with the network mode %.64s", q.aliases ? "network-alias" : q.links ? "link" : "mac-address", name);
	}
	return MIN(rc, 0);
}

/* docker's links on the default network name containers that are there. */
static int check_links(struct engine *e, const struct container *c, struct err *err)
{
	STRV_FOREACH(l, c->req->links) {
		_cleanup_container_ struct container other = {0};
		char name[160];
		size_t n = strcspn(l, ":");
		if (n == 0 || n >= sizeof(name))
			return err_set(err, ERR_INVALID, "HostConfig.Links (--link): bad format for links: %.100s", l);
		memcpy(name, l, n);
		name[n] = '\0';
		struct err why = {0};
		int rc = container_find(e, c->tenant, name, &other, &why);
		if (rc < 0)
			return err_set(err, why.kind == ERR_NOT_FOUND ? ERR_INVALID : (enum err_kind) why.kind, "HostConfig.Links (--link): could not get container for %.128s: %s", name, why.msg);
	}
	return 0;
}

int networking_plan(struct engine *e, const struct container *c, struct endpoints *ret, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	_cleanup_endpoints_ struct endpoints out = {.v = NULL};
	const struct container_request *r = c->req;
	const struct json *map = NULL, *main = NULL;
	int rc = 0;
	if (!networking_has(r))
		return refuse_settings(r, err);
	rc = check_links(e, c, err);
	if (rc >= 0 && !str_empty(r->networking_json)) {
		rc = json_parse(r->networking_json, strlen(r->networking_json), REQUEST_MAX, "NetworkingConfig", &root, err);
		map = rc < 0 ? NULL : json_get_fold(root, "EndpointsConfig");
	}
	if (rc >= 0 && json_len(map) >= ENDPOINTS_MAX)
		rc = err_set(err, ERR_QUOTA, "NetworkingConfig.EndpointsConfig: %zu networks, at most %d are taken", json_len(map), ENDPOINTS_MAX - 1);
	out.v = rc < 0 ? NULL : calloc(json_len(map) + 1, sizeof(*out.v));
	if (!out.v)
		return rc < 0 ? rc : err_oom(err);
	/* the mode's first: it is eth0 */
	bool usual = is_default(r->network_mode) || str_eq(r->network_mode, NETWORK_BRIDGE);
	JSON_FOREACH_MEMBER(name, v, map)
		if (str_eq(name, r->network_mode) || (usual && (is_default(name) || str_eq(name, NETWORK_BRIDGE))))
			main = v;
	rc = add_endpoint(e, c, r->network_mode, main, true, &out, err);
	JSON_FOREACH_MEMBER(name, v, map)
		if (rc >= 0 && v != main)
			rc = add_endpoint(e, c, name, v, false, &out, err);
	if (rc < 0)
		return rc;
	*ret = out;
	out = (struct endpoints){0};
	return 0;
}

int networking_attach(struct engine *e, const struct container *c, struct endpoints *p, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < p->n; i++)
		rc = endpoint_add(e->networks, &p->v[i], err);
	return rc;
}

/* At start and end */

int networking_up(struct engine *e, const struct container *c, struct network_plan *ret, struct err *err)
{
	struct ports p = {0};
	if (!networking_has(c->req))
		return 0;
	int rc = read_ports(c->req, &p, err);
	rc = rc < 0 ? rc : fault_point("engine.network.begin", err);
	rc = rc < 0 ? rc : network_up(e->networks, c->id, p.v, p.n, ret, err);
	rc = rc < 0 ? rc : fault_point("engine.network.up", err);
	free(p.v);
	if (rc < 0)
		return rc;
	bool main = str_eq(c->req->network_mode, NETWORK_BRIDGE) || is_default(c->req->network_mode);
	if (ret->n == 0 && !main && !c->req->networking_json)
		return err_set(err, ERR_NOT_FOUND, "network %.128s not found: it was removed, and the container is on no other", c->req->network_mode);
	return 0;
}

int networking_down(struct engine *e, const struct container *c, struct err *err)
{
	return networking_has(c->req) ? network_down(e->networks, c->id, err) : 0;
}

void networking_tell(struct engine *e, const struct container *c, const char *action)
{
	struct endpoints p = {0};
	if (!networking_has(c->req) || endpoints_of(e->networks, c->id, &p.v, &p.n, NULL) < 0)
		return; /* what is done is done */
	for (size_t i = 0; i < p.n; i++) {
		_cleanup_network_ struct network n = {0};
		if (network_load(e->networks, p.v[i].network, &n, NULL) > 0)
			event_object(e, c->tenant, "network", action, n.id, "container", c->id, "name", n.name, "type", n.driver, NULL);
	}
	networking_endpoints_done(&p);
}

static int dup_text(char **ret, const char *s)
{
	*ret = *s ? strdup(s) : NULL;
	return *s && !*ret ? -ENOMEM : 0;
}

static int spec_one(const struct interface *i, struct interface_spec *s)
{
	char mac[18], gateway_mac[18], text[2][IP_TEXT_MAX];
	s->mtu = i->mtu;
	s->ipv6 = i->ipv6;
	s->isolated = i->isolated;
	s->hairpin = i->hairpin;
	for (size_t k = 0; k < i->n_addresses; k++)
		if (strv_push(&s->addresses, ip_text_prefix(text[0], &i->addresses[k])) < 0)
			return -ENOMEM;
	const struct {
		char **to;
		const char *from;
	} rows[] = {
		{&s->name, i->name}, {&s->host_name, i->host_name}, {&s->bridge, i->bridge}, {&s->gateway_bridge, i->gateway_bridge}, {&s->mac, mac_text(mac, i->mac)}, {&s->gateway_mac, mac_text(gateway_mac, i->gateway_mac)},
		{&s->gateway4, ip_text(text[0], &i->gateway4)}, {&s->gateway6, ip_text(text[1], &i->gateway6)},
	};
	for (size_t k = 0; k < ARRAY_LEN(rows); k++)
		if (dup_text(rows[k].to, rows[k].from) < 0)
			return -ENOMEM;
	return 0;
}

int networking_spec(const struct network_plan *p, struct coffer_ext *x)
{
	if (!p || p->n == 0)
		return 0;
	x->interfaces = calloc(p->n, sizeof(*x->interfaces));
	if (!x->interfaces)
		return -ENOMEM;
	for (size_t i = 0; i < p->n; i++, x->n_interfaces++)
		if (spec_one(&p->endpoints[i].i, &x->interfaces[i]) < 0)
			return -ENOMEM;
	return 0;
}

int networking_hold(const struct network_plan *p, int link, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < p->n_fds; i += MONITOR_HOLD_FDS) {
		size_t n = MIN(p->n_fds - i, (size_t) MONITOR_HOLD_FDS);
		rc = link_send(link, MONITOR_HOLD, 0, NULL, 0, NULL, 0, p->fds + i, n, err);
	}
	return rc;
}
