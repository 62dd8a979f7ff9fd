/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/network_arg.h"

#include <errno.h>

#include "base/ip.h"
#include "base/num.h"

/* --publish [[IP:]HOST:]CONTAINER[/PROTOCOL], each port a range if need be; an IPv6 address in brackets */

struct binding {
	uint32_t port;	    /* of the container */
	const char *proto;  /* static */
	char host_ip[IP_TEXT_MAX], host_port[16]; /* "": any */
};

struct bindings {
	struct binding *v; /* owned */
	size_t n;
};

#define BINDINGS_MAX 65536

static int add_binding(struct bindings *b, const struct binding *one, struct err *err)
{
	if (b->n == BINDINGS_MAX)
		return err_set(err, ERR_INVALID, "more than %d ports", BINDINGS_MAX);
	if ((b->n & (b->n - 1)) == 0) {
		struct binding *v = reallocarray(b->v, b->n ? 2 * b->n : 1, sizeof(*v));
		if (!v)
			return err_oom(err);
		b->v = v;
	}
	b->v[b->n++] = *one;
	return 0;
}

struct range {
	uint32_t first, last; /* 0, 0: none given */
};

static int read_range(const char *s, struct range *ret)
{
	char text[16];
	if (str_copy(text, sizeof(text), s) < 0)
		return -EINVAL;
	char *dash = strchr(text, '-');
	if (dash)
		*dash = '\0';
	if (parse_u32(text, &ret->first) < 0 || parse_u32(dash ? dash + 1 : text, &ret->last) < 0 || ret->first < 1 || ret->last < ret->first || ret->last > 65535)
		return -EINVAL;
	return 0;
}

static int bad_publish(const char *s, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID, "invalid argument \"%.100s\" for \"-p, --publish\": %s: use [[IP:]HOST_PORT:]CONTAINER_PORT[/tcp|udp|sctp]", s, why);
}

static const char *proto_of(const char *s)
{
	static const char *const known[] = {"tcp", "udp", "sctp"};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(s, known[i]))
			return known[i];
	return NULL;
}

/* One port to a range of the host's means: the first free one of it. */
static int spread(struct bindings *b, const char *s, struct binding *one, const struct range *host, const struct range *ctr, struct err *err)
{
	uint32_t n_host = host->last - host->first, n_ctr = ctr->last - ctr->first;
	if (host->first && n_host != n_ctr && n_ctr != 0)
		return bad_publish(s, "the ranges are not of the same length", err);
	for (uint32_t i = 0; i <= n_ctr; i++) {
		one->port = ctr->first + i;
		one->host_port[0] = '\0';
		if (host->first && n_ctr == 0 && n_host > 0)
			(void) str_format(one->host_port, sizeof(one->host_port), "%u-%u", host->first, host->last); /* fits, like the next */
		else if (host->first)
			(void) str_format(one->host_port, sizeof(one->host_port), "%u", host->first + i);
		int r = add_binding(b, one, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_publish(struct bindings *b, const char *s, struct err *err)
{
	struct binding one = {.proto = "tcp"};
	struct range host = {0, 0}, ctr;
	struct ip_addr a;
	char text[160];
	if (str_copy(text, sizeof(text), s) < 0)
		return bad_publish(s, "too long", err);
	char *slash = strrchr(text, '/'), *rest = text;
	if (slash) {
		*slash = '\0';
		one.proto = proto_of(slash + 1);
		if (!one.proto)
			return bad_publish(s, "the protocol is none of tcp, udp and sctp", err);
	}
	char *ctr_text = strrchr(rest, ':');
	if (ctr_text && ctr_text[-(ctr_text > rest)] != ']' ) {
		*ctr_text++ = '\0';
		char *host_text = strrchr(rest, ':');
		/* what is before the host's port is an address; in brackets it holds colons of its own */
		bool bracketed = rest[0] == '[';
		if (bracketed && (!strchr(rest, ']') || (host_text && host_text < strchr(rest, ']'))))
			host_text = NULL;
		if (host_text || bracketed) {
			char *ip = rest, *end = bracketed ? strchr(rest, ']') : host_text;
			if (!end || !host_text || host_text[0] != ':')
				return bad_publish(s, "the address is not followed by a port", err);
			*host_text++ = '\0';
			if (bracketed) {
				ip++;
				*end = '\0';
			}
			if (*ip && ip_parse(ip, &a) < 0)
				return bad_publish(s, "the address is none", err);
			(void) str_copy(one.host_ip, sizeof(one.host_ip), ip); /* an address fits */
		} else
			host_text = rest;
		if (*host_text && read_range(host_text, &host) < 0)
			return bad_publish(s, "the host's port is not a number from 1 to 65535", err);
	} else
		ctr_text = rest;
	if (read_range(ctr_text, &ctr) < 0)
		return bad_publish(s, "the container's port is not a number from 1 to 65535", err);
	return spread(b, s, &one, &host, &ctr, err);
}

static int read_all(const struct container_options *o, struct bindings *b, struct err *err)
{
	STRV_FOREACH(s, o->publish) {
		int r = read_publish(b, s, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool same_key(const struct binding *a, const struct binding *b)
{
	return a->port == b->port && str_eq(a->proto, b->proto);
}

static void put_key(const struct binding *b, char *buf, size_t size)
{
	(void) str_format(buf, size, "%u/%s", b->port, b->proto); /* fits */
}

/* Each of @b once: @key of the first with the same port. */
static bool is_first(const struct bindings *b, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_key(&b->v[k], &b->v[i]))
			return false;
	return true;
}

int put_exposed_ports(struct json_writer *w, const struct container_options *o, struct err *err)
{
	struct bindings b = {0};
	_cleanup_strv_ char **keys = NULL;
	int r = read_all(o, &b, err);
	for (size_t i = 0; r >= 0 && i < b.n; i++) {
		char key[24];
		put_key(&b.v[i], key, sizeof(key));
		if (is_first(&b, i) && strv_push(&keys, key) < 0)
			r = err_oom(err);
	}
	free(b.v);
	STRV_FOREACH(s, o->expose) {
		char text[32], key[24];
		struct range range;
		if (r < 0 || str_copy(text, sizeof(text), s) < 0)
			return r < 0 ? r : err_set(err, ERR_INVALID, "invalid range format for --expose: %.60s", s);
		char *slash = strchr(text, '/');
		const char *proto = slash ? proto_of(slash + 1) : "tcp";
		if (slash)
			*slash = '\0';
		if (!proto || read_range(text, &range) < 0)
			return err_set(err, ERR_INVALID, "invalid range format for --expose: %.60s: use PORT[-PORT][/tcp|udp|sctp]", s);
		for (uint32_t p = range.first; p <= range.last; p++) {
			(void) str_format(key, sizeof(key), "%u/%s", p, proto); /* fits */
			if (!strv_has(keys, key) && strv_push(&keys, key) < 0)
				return err_oom(err);
		}
	}
	if (r < 0 || !keys)
		return r;
	jw_obj(w, "ExposedPorts");
	STRV_FOREACH(key, keys) {
		jw_obj(w, key);
		jw_end(w);
	}
	jw_end(w);
	return 0;
}

int put_port_bindings(struct json_writer *w, const struct container_options *o, struct err *err)
{
	struct bindings b = {0};
	int r = read_all(o, &b, err);
	if (r >= 0 && b.n > 0) {
		jw_obj(w, "PortBindings");
		for (size_t i = 0; i < b.n; i++) {
			char key[24];
			if (!is_first(&b, i))
				continue;
			put_key(&b.v[i], key, sizeof(key));
			jw_arr(w, key);
			for (size_t k = i; k < b.n; k++) {
				if (!same_key(&b.v[k], &b.v[i]))
					continue;
				jw_obj(w, NULL);
				jw_str(w, "HostIp", b.v[k].host_ip);
				jw_str(w, "HostPort", b.v[k].host_port);
				jw_end(w);
			}
			jw_end(w);
		}
		jw_end(w);
	}
	free(b.v);
	if (r >= 0 && o->publish_all)
		jw_bool(w, "PublishAllPorts", true);
	return r;
}

/* --network NAME, or name=NAME,alias=A,ip=ADDRESS,ip6=ADDRESS,mac-address=MAC,gw-priority=N,link-local-ip=ADDRESS,driver-opt=K=V */

struct network_arg {
	char *name;			     /* owned */
	const char *ip, *ip6, *mac, *priority; /* borrowed, of @text or of the options */
	char **aliases, **link_local, **driver_opts; /* owned */
	char *text;			     /* owned */
};

static void network_arg_done(struct network_arg *a)
{
	free(a->name);
	free(a->text);
	strv_free(a->aliases);
	strv_free(a->link_local);
	strv_free(a->driver_opts);
}

static int set_part(struct network_arg *a, char *part, struct err *err)
{
	char *value = strchr(part, '=');
	if (!value)
		return err_set(err, ERR_INVALID, "invalid field \"%.60s\" of --network: use key=value", part);
	*value++ = '\0';
	const struct {
		const char *key, **to;
	} rows[] = {{"ip", &a->ip}, {"ip6", &a->ip6}, {"mac-address", &a->mac}, {"gw-priority", &a->priority}};
	const struct {
		const char *key;
		char ***to;
	} lists[] = {{"alias", &a->aliases}, {"link-local-ip", &a->link_local}, {"driver-opt", &a->driver_opts}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_eq(part, rows[i].key)) {
			*rows[i].to = value;
			return 0;
		}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (str_eq(part, lists[i].key))
			return strv_push(lists[i].to, value) < 0 ? err_oom(err) : 0;
	if (!str_eq(part, "name"))
		return err_set(err, ERR_INVALID, "invalid field key \"%.60s\" of --network: name, alias, ip, ip6, mac-address, link-local-ip, driver-opt and gw-priority are known", part);
	free(a->name);
	a->name = strdup(value);
	return a->name ? 0 : err_oom(err);
}

static int read_network(const char *s, struct network_arg *a, struct err *err)
{
	*a = (struct network_arg){.text = strdup(s)};
	if (!a->text)
		return err_oom(err);
	if (!strchr(s, '=')) {
		a->name = strdup(s);
		return a->name ? 0 : err_oom(err);
	}
	int r = 0;
	for (char *p = a->text, *next; r >= 0 && p; p = next) {
		next = strchr(p, ',');
		if (next)
			*next++ = '\0';
		r = set_part(a, p, err);
	}
	return r >= 0 && str_empty(a->name) ? err_set(err, ERR_INVALID, "network name is not specified in --network %.100s", s) : r;
}

bool network_is_user_defined(const char *name)
{
	return name && !str_eq(name, "default") && !str_eq(name, "bridge") && !str_eq(name, "host") && !str_eq(name, "none") && !str_after(name, "container:");
}

const char *network_mode_arg(const struct container_options *o, char *buf)
{
	struct network_arg a = {0};
	struct err ignored;
	if (!o->networks)
		return NULL;
	if (read_network(o->networks[0], &a, &ignored) < 0 || str_copy(buf, 256, a.name) < 0)
		(void) str_copy(buf, 256, o->networks[0]); /* told when the rest of it is read */
	network_arg_done(&a);
	return buf;
}

/* The flags without a network's name are about the first. */
static int add_general(const struct container_options *o, struct network_arg *a, struct err *err)
{
	const struct {
		const char *flag, *value, **to;
	} rows[] = {{"ip", o->ip, &a->ip}, {"ip6", o->ip6, &a->ip6}, {"mac-address", o->mac, &a->mac}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].value) {
			if (*rows[i].to)
				return err_set(err, ERR_INVALID, "conflicting options: cannot specify both --%s and --network %.100s", rows[i].flag, o->networks[0]);
			*rows[i].to = rows[i].value;
		}
	STRV_FOREACH(s, o->network_alias)
		if (strv_push(&a->aliases, s) < 0)
			return err_oom(err);
	STRV_FOREACH(s, o->link_local_ip)
		if (strv_push(&a->link_local, s) < 0)
			return err_oom(err);
	return 0;
}

static int put_endpoint(struct json_writer *w, const struct network_arg *a, char *const *links, struct err *err)
{
	int64_t priority = 0;
	if (a->priority && parse_i64(a->priority, &priority) < 0)
		return err_set(err, ERR_INVALID, "invalid gw-priority of --network: '%.40s' is not a number", a->priority);
	jw_obj(w, a->name);
	if (a->ip || a->ip6 || a->link_local) {
		jw_obj(w, "IPAMConfig");
		if (a->ip)
			jw_str(w, "IPv4Address", a->ip);
		if (a->ip6)
			jw_str(w, "IPv6Address", a->ip6);
		if (a->link_local)
			jw_strv(w, "LinkLocalIPs", a->link_local);
		jw_end(w);
	}
	if (a->mac)
		jw_str(w, "MacAddress", a->mac);
	if (a->aliases)
		jw_strv(w, "Aliases", a->aliases);
	if (links)
		jw_strv(w, "Links", links);
	if (priority)
		jw_int(w, "GwPriority", priority);
	if (a->driver_opts) {
		jw_obj(w, "DriverOpts");
		STRV_FOREACH(s, a->driver_opts) {
			char *eq = strchr(s, '=');
			_cleanup_free_ char *key = eq ? strndup(s, (size_t) (eq - s)) : strdup(s);
			jw_str(w, key ? key : "", eq ? eq + 1 : "");
		}
		jw_end(w);
	}
	jw_end(w);
	return 0;
}

static bool has_general(const struct container_options *o)
{
	return o->ip || o->ip6 || o->mac || o->network_alias || o->link_local_ip;
}

int put_networking(struct json_writer *w, const struct container_options *o, struct err *err)
{
	static char *none[] = {(char *) "default", NULL};
	int r = 0;
	if (!o->networks && !has_general(o))
		return 0;
	char *const *names = o->networks ? o->networks : none;
	bool open = false;
	STRV_FOREACH(s, names) {
		struct network_arg a = {0};
		bool first = s == names[0];
		r = r < 0 ? r : read_network(s, &a, err);
		r = r < 0 || !first ? r : add_general(o, &a, err);
		/* modes that are no networks have nothing to say, unless somebody asks for it: then the engine tells */
		bool said = a.ip || a.ip6 || a.mac || a.aliases || a.link_local || a.driver_opts || a.priority;
		bool wanted = r >= 0 && (said || network_is_user_defined(a.name) || !first);
		if (wanted && !open) {
			open = true;
			jw_obj(w, "NetworkingConfig");
			jw_obj(w, "EndpointsConfig");
		}
		if (wanted)
			r = put_endpoint(w, &a, first && network_is_user_defined(a.name) ? o->links : NULL, err);
		network_arg_done(&a);
	}
	if (open) {
		jw_end(w);
		jw_end(w);
	}
	return r;
}
