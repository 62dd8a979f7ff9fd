/* SPDX-License-Identifier: Apache-2.0 */
/* Networks as clients see them: create, inspect, list, remove, prune. Connect and disconnect are in connect.c. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/num.h"
#include "engine/events.h"
#include "engine/naming.h"
#include "engine/networking.h"
#include "engine/share.h"

/* What the operator says of all of them */

int network_defaults_open(const struct network_words *w, struct network_defaults **ret, struct err *err)
{
	struct network_defaults *d = calloc(1, sizeof(*d));
	int rc = d ? network_defaults_read(w, d, err) : err_oom(err);
	if (rc < 0) {
		free(d);
		return rc;
	}
	*ret = d;
	return 0;
}

int engine_network_words_check(const struct network_words *w, struct err *err)
{
	struct network_defaults d;
	int rc = network_defaults_read(w, &d, err);
	if (rc >= 0)
		network_defaults_done(&d);
	return rc;
}

/* Options of the bridge driver */

static int read_bool(const char *key, const char *value, bool *ret, struct err *err)
{
	bool on = str_eq(value, "true") || str_eq(value, "1");
	if (!on && !str_eq(value, "false") && !str_eq(value, "0"))
		return err_set(err, ERR_INVALID, "invalid value for option %s: '%.60s' is not true or false", key, value);
	*ret = on;
	return 0;
}

static int option_bridge(const char *key, const char *value, struct network *n, struct err *err)
{
	if (!*value || str_copy(n->bridge, sizeof(n->bridge), value) < 0 || value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] != '\0' || value[0] == '.')
		return err_set(err, ERR_INVALID, "invalid value for option %s: '%.60s' is not a name of at most 15 letters, digits, '_', '.' and '-'", key, value);
	return 0;
}

static int option_masquerade(const char *key, const char *value, struct network *n, struct err *err)
{
	return read_bool(key, value, &n->masquerade, err);
}

static int option_icc(const char *key, const char *value, struct network *n, struct err *err)
{
	bool icc = true;
	int rc = read_bool(key, value, &icc, err);
	n->isolated = !icc;
	return rc;
}

static int option_host_access(const char *key, const char *value, struct network *n, struct err *err)
{
	return read_bool(key, value, &n->host_access, err);
}

static int option_publish_on(const char *key, const char *value, struct network *n, struct err *err)
{
	if (ip_parse(value, &n->publish_on) < 0 || n->publish_on.family != AF_INET)
		return err_set(err, ERR_INVALID, "invalid value for option %s: '%.60s' is not an IPv4 address", key, value);
	if (ip_is_any(&n->publish_on))
		n->publish_on = (struct ip_addr){0};
	return 0;
}

static int option_mtu(const char *key, const char *value, struct network *n, struct err *err)
{
	uint32_t mtu;
	if (parse_u32(value, &mtu) < 0 || (mtu != 0 && (mtu < 68 || mtu > 65535)))
		return err_set(err, ERR_INVALID, "invalid value for option %s: '%.60s' is not a number from 68 to 65535", key, value);
	n->mtu = mtu;
	return 0;
}

static int option_gateway_mode(const char *key, const char *value, struct network *n, struct err *err)
{
	(void) n;
	return str_eq(value, "nat") ? 0 : err_set(err, ERR_UNSUPPORTED, "option %s: '%.60s' is not there: nat is", key, value);
}

static int option_enabled(const char *key, const char *value, struct network *n, struct err *err)
{
	bool on = true;
	int rc = read_bool(key, value, &on, err);
	(void) n;
	return rc < 0 || on ? rc : err_set(err, ERR_UNSUPPORTED, "option %s: networks have IPv4", key);
}

static const struct {
	const char *key;
	int (*set)(const char *key, const char *value, struct network *n, struct err *err);
} options[] = {
	{"com.docker.network.bridge.name", option_bridge},
	{"com.docker.network.bridge.enable_ip_masquerade", option_masquerade},
	{"com.docker.network.bridge.enable_icc", option_icc},
	{"com.docker.network.bridge.host_binding_ipv4", option_publish_on},
	{"com.docker.network.bridge.gateway_mode_ipv4", option_gateway_mode},
	{"com.docker.network.bridge.gateway_mode_ipv6", option_gateway_mode},
	{"com.docker.network.driver.mtu", option_mtu},
	{"com.docker.network.enable_ipv4", option_enabled},
	{"coffer.host-access", option_host_access},
};

static int set_option(const char *key, const char *value, struct network *n, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (str_eq(options[i].key, key))
			return options[i].set(key, value, n, err);
	return err_set(err, ERR_UNSUPPORTED, "Options (--opt): the bridge driver here does not know '%.100s'", key);
}

/* Creation */

static int kv_json(const struct kv_list *l, char **ret)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(REQUEST_MAX);
	struct json_writer w;
	if (!l->keys)
		return 0;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	for (size_t i = 0; l->keys[i]; i++)
		jw_str(&w, l->keys[i], l->values[i]);
	jw_end(&w);
	*ret = strbuf_steal(&b);
	return *ret ? 0 : -ENOMEM;
}

static int check_request(const struct network_request *q, struct err *err)
{
	const struct {
		bool asked;
		const char *what;
	} rows[] = {
		{q->ingress, "Ingress"}, {q->config_only, "ConfigOnly (--config-only)"}, {q->config_from != NULL, "ConfigFrom (--config-from)"},
		{!str_empty(q->scope) && !str_eq(q->scope, "local"), "Scope (--scope)"}, {q->ipv4 == 0, "EnableIPv4=false (--ipv4=false)"},
		{!str_empty(q->ipam_driver) && !str_eq(q->ipam_driver, "default"), "IPAM.Driver (--ipam-driver)"}, {q->ipam_options.keys != NULL, "IPAM.Options (--ipam-opt)"},
	};
	bool one = q->name && ((q->name[0] >= 'a' && q->name[0] <= 'z') || (q->name[0] >= 'A' && q->name[0] <= 'Z') || (q->name[0] >= '0' && q->name[0] <= '9')) && !q->name[1];
	if (str_empty(q->name) || (!one && !name_is_valid(q->name)))
		return err_set(err, ERR_INVALID, "invalid network name '%.128s': only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", q->name ?: "");
	if (id_is_full(q->name))
		return err_set(err, ERR_INVALID, "invalid network name '%.128s': it looks like an id", q->name);
	if (str_eq(q->name, "default") || str_eq(q->name, "container"))
		return err_set(err, ERR_DENIED, "operation is not permitted on predefined %s network", q->name);
	if (!str_empty(q->driver) && !str_eq(q->driver, "bridge") && !str_eq(q->driver, "default"))
		return err_set(err, ERR_UNSUPPORTED, "Driver (--driver) '%.60s': the one driver of networks is bridge", q->driver);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].asked)
			return err_set(err, ERR_UNSUPPORTED, "%s is not there", rows[i].what);
	return 0;
}

static int take_subnet(const struct ipam_request *q, struct network *n, struct kv_list *aux, struct err *err)
{
	struct ip_addr subnet, a;
	bool clean;
	if (str_empty(q->subnet))
		return str_empty(q->gateway) && str_empty(q->ip_range) && !q->aux.keys ? 0
										       : err_set(err, ERR_INVALID, "IPAM.Config: a gateway or a range needs its subnet (--subnet)");
	if (ip_parse_subnet(q->subnet, &subnet, &clean) < 0)
		return err_set(err, ERR_INVALID, "invalid subnet '%.60s': use ADDRESS/PREFIX", q->subnet);
	if (!clean)
		return err_set(err, ERR_INVALID, "invalid subnet '%.60s': it has bits behind its prefix", q->subnet);
	int f = subnet.family == AF_INET ? NETWORK_V4 : NETWORK_V6;
	if (n->subnet[f].family)
		return err_set(err, ERR_UNSUPPORTED, "IPAM.Config: a network has one IPv4 and one IPv6 subnet: '%.60s' is one too many", q->subnet);
	n->subnet[f] = subnet;
	if (!str_empty(q->gateway) && (ip_parse(q->gateway, &n->gateway[f]) < 0 || n->gateway[f].family != subnet.family))
		return err_set(err, ERR_INVALID, "invalid gateway '%.60s' of subnet '%.60s'", q->gateway, q->subnet);
	n->gateway[f].prefix = subnet.prefix;
	if (!str_empty(q->ip_range) && (ip_parse_subnet(q->ip_range, &n->range[f], NULL) < 0 || n->range[f].family != subnet.family))
		return err_set(err, ERR_INVALID, "invalid ip-range '%.60s' of subnet '%.60s': use ADDRESS/PREFIX", q->ip_range, q->subnet);
	for (size_t i = 0; q->aux.keys && q->aux.keys[i]; i++) {
		char text[IP_TEXT_MAX];
		if (ip_parse(q->aux.values[i], &a) < 0 || !ip_contains(&subnet, &a))
			return err_set(err, ERR_INVALID, "auxiliary address '%.60s' is not in subnet '%.60s'", q->aux.values[i], q->subnet);
		if (kv_list_set(aux, q->aux.keys[i], ip_text(text, &a)) < 0)
			return err_oom(err);
	}
	return 0;
}

static int fill(const struct caller *caller, const struct network_request *q, struct network *n, struct err *err)
{
	struct kv_list aux = {0};
	n->tenant = strdup(caller->tenant);
	n->name = strdup(q->name);
	n->driver = strdup("bridge");
	n->internal = q->internal;
	n->attachable = q->attachable;
	n->ipv6 = q->ipv6 == 1;
	n->masquerade = true;
	if (!n->tenant || !n->name || !n->driver)
		return err_oom(err);
	int rc = 0;
	for (size_t i = 0; rc >= 0 && q->options.keys && q->options.keys[i]; i++)
		rc = set_option(q->options.keys[i], q->options.values[i], n, err);
	for (size_t i = 0; rc >= 0 && i < q->n_ipam; i++)
		rc = take_subnet(&q->ipam[i], n, &aux, err);
	if (rc >= 0 && n->subnet[NETWORK_V6].family && !n->ipv6)
		rc = err_set(err, ERR_INVALID, "IPAM.Config: an IPv6 subnet needs EnableIPv6 (--ipv6)");
	if (rc >= 0 && (kv_json(&q->options, &n->options) < 0 || kv_json(&q->labels, &n->labels) < 0 || kv_json(&aux, &n->aux) < 0))
		rc = err_oom(err);
	kv_list_done(&aux);
	return rc;
}

int engine_network_create(struct engine *e, const struct caller *caller, const struct network_request *q, char ret_id[65], struct err *err)
{
	_cleanup_network_ struct network n = {0};
	int rc = check_request(q, err);
	rc = rc < 0 ? rc : fill(caller, q, &n, err);
	rc = rc < 0 ? rc : network_create(e->networks, &n, err);
	if (rc < 0)
		return rc;
	fault_mark("engine.network.created");
	memcpy(ret_id, n.id, sizeof(n.id));
	struct err ignored;
	(void) dns_ensure(e->run_fd, e->libexec_dir, &ignored); /* so that no start waits for it; one that needs it tells why it is not there */
	event_object(e, caller->tenant, "network", "create", n.id, "name", n.name, "type", n.driver, NULL);
	return 0;
}

/* Showing */

static void write_kv(struct json_writer *w, const char *key, const char *json)
{
	jw_raw(w, key, json ?: "{}");
}

static void write_ipam(struct json_writer *w, const struct network *n)
{
	char text[IP_TEXT_MAX];
	jw_obj(w, "IPAM");
	jw_str(w, "Driver", "default");
	jw_null(w, "Options");
	jw_arr(w, "Config");
	for (int f = 0; f < NETWORK_FAMILIES; f++) {
		if (!n->subnet[f].family)
			continue;
		jw_obj(w, NULL);
		jw_str(w, "Subnet", ip_text_prefix(text, &n->subnet[f]));
		if (n->range[f].family)
			jw_str(w, "IPRange", ip_text_prefix(text, &n->range[f]));
		if (n->gateway[f].family)
			jw_str(w, "Gateway", ip_text(text, &n->gateway[f]));
		if (n->aux && f == NETWORK_V4)
			jw_raw(w, "AuxiliaryAddresses", n->aux);
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

/* "a/16" of family @f; "" when there is none. */
static const char *address_text(char *buf, const struct network *n, const struct endpoint *p, int f)
{
	buf[0] = '\0';
	for (size_t i = 0; i < p->i.n_addresses; i++) {
		struct ip_addr a = p->i.addresses[i];
		if ((a.family == AF_INET) != (f == NETWORK_V4))
			continue;
		a.prefix = n->subnet[f].prefix;
		(void) ip_text_prefix(buf, &a);
	}
	return buf;
}

static int write_members(struct engine *e, struct json_writer *w, const struct network *n, struct err *err)
{
	struct endpoints p = {0};
	int rc = endpoints_on(e->networks, n->id, &p.v, &p.n, err);
	jw_obj(w, "Containers");
	for (size_t i = 0; rc >= 0 && i < p.n; i++) {
		_cleanup_container_ struct container c = {0};
		char mac[18], text[IP_TEXT_MAX];
		if (!p.v[i].up || container_load(e, p.v[i].container, &c, NULL) <= 0)
			continue;
		jw_obj(w, c.id);
		jw_str(w, "Name", c.name);
		jw_str(w, "EndpointID", p.v[i].id);
		jw_str(w, "MacAddress", mac_text(mac, p.v[i].i.mac));
		jw_str(w, "IPv4Address", address_text(text, n, &p.v[i], NETWORK_V4));
		jw_str(w, "IPv6Address", address_text(text, n, &p.v[i], NETWORK_V6));
		jw_end(w);
	}
	jw_end(w);
	networking_endpoints_done(&p);
	return rc;
}

static int write_one(struct engine *e, struct json_writer *w, const struct network *n, bool members, struct err *err)
{
	char created[TIME_RFC3339_MAX];
	int rc = 0;
	jw_obj(w, NULL);
	jw_str(w, "Name", n->name);
	jw_str(w, "Id", n->id);
	jw_str(w, "Created", time_format_rfc3339(created, n->created_ns, /* fixed= */ false));
	jw_str(w, "Scope", "local");
	jw_str(w, "Driver", n->driver);
	jw_bool(w, "EnableIPv4", true);
	jw_bool(w, "EnableIPv6", n->ipv6);
	write_ipam(w, n);
	jw_bool(w, "Internal", n->internal);
	jw_bool(w, "Attachable", n->attachable);
	jw_bool(w, "Ingress", false);
	jw_obj(w, "ConfigFrom");
	jw_str(w, "Network", "");
	jw_end(w);
	jw_bool(w, "ConfigOnly", false);
	if (members)
		rc = write_members(e, w, n, err);
	else {
		jw_obj(w, "Containers");
		jw_end(w);
	}
	write_kv(w, "Options", n->options);
	write_kv(w, "Labels", n->labels);
	jw_end(w);
	return rc;
}

/* A start that was cut off by the host's end has left nothing but its rows. */
static void settle_one(struct engine *e, const char *id)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	struct err ignored;
	if (container_load(e, id, &c, &ignored) <= 0 || state_read(e, &c, /* locked= */ false, &info, &ignored) < 0 || info.state == RUN_RUNNING)
		return; /* or it went by that */
	_cleanup_close_ int lock = lock_try(e, id);
	if (lock >= 0 && state_peek(e, &c, &info, &ignored) >= 0 && info.state != RUN_RUNNING)
		(void) networking_down(e, &c, &ignored); /* tried again at the next look */
}

/* What ended unseen is reaped first: who is up is who runs. */
static int settle_members(struct engine *e, const struct network *n, struct err *err)
{
	struct endpoints p = {0};
	int rc = endpoints_on(e->networks, n->id, &p.v, &p.n, err);
	for (size_t i = 0; rc >= 0 && i < p.n; i++)
		if (p.v[i].up)
			settle_one(e, p.v[i].container);
	networking_endpoints_done(&p);
	return rc;
}

int engine_network_inspect(struct engine *e, const struct caller *caller, const char *ref, struct json_writer *w, struct err *err)
{
	_cleanup_network_ struct network n = {0};
	int rc = network_find(e->networks, caller->tenant, ref, &n, err);
	rc = rc < 0 ? rc : settle_members(e, &n, err);
	return rc < 0 ? rc : write_one(e, w, &n, true, err);
}

/* Filters */

struct listing {
	struct engine *e;
	const struct json *filters;
	struct json_writer *w;
	const struct caller *caller;
	int dangling;	    /* -1: not asked */
	int64_t until_ns;   /* INT64_MAX: not asked */
	char **names;	    /* prune: what was removed; owned */
};

static bool any_of(const struct json *f, const char *key, bool (*match)(const struct network *n, const char *v), const struct network *n)
{
	_cleanup_strv_ char **values = filter_get(f, key);
	if (!values)
		return true;
	STRV_FOREACH(v, values)
		if (match(n, v))
			return true;
	return false;
}

/* docker takes a regular expression here; what clients send are names, with anchors. */
static bool match_name(const struct network *n, const char *v)
{
	size_t len;
	bool head = *v == '^';
	v += head;
	len = strlen(v);
	bool tail = len && v[len - 1] == '$';
	len -= tail;
	for (const char *s = n->name; strlen(s) >= len; s++) {
		if (strncmp(s, v, len) == 0 && (!tail || s[len] == '\0'))
			return true;
		if (head || !*s)
			break;
	}
	return false;
}

static bool match_id(const struct network *n, const char *v)
{
	return strncmp(n->id, v, strlen(v)) == 0;
}

static bool match_driver(const struct network *n, const char *v)
{
	return str_eq(n->driver, v);
}

static bool match_scope(const struct network *n, const char *v)
{
	(void) n;
	return str_eq(v, "local");
}

static bool match_type(const struct network *n, const char *v)
{
	return str_eq(v, n->is_default ? "builtin" : "custom");
}

static int labels_of_network(const struct network *n, struct kv_list *ret)
{
	_cleanup_json_ struct json *doc = NULL;
	if (!n->labels || json_parse(n->labels, strlen(n->labels), REQUEST_MAX, "labels", &doc, NULL) < 0)
		return 0;
	JSON_FOREACH_MEMBER(key, v, doc)
		if (kv_list_set(ret, key, json_str(v, "")) < 0)
			return -ENOMEM;
	return 0;
}

static bool is_used(struct engine *e, const struct network *n)
{
	struct endpoints p = {0};
	if (endpoints_on(e->networks, n->id, &p.v, &p.n, NULL) < 0)
		return true; /* nothing goes that could not be looked at */
	bool used = p.n > 0;
	networking_endpoints_done(&p);
	return used;
}

static bool passes(const struct listing *l, const struct network *n)
{
	static const struct {
		const char *key;
		bool (*match)(const struct network *n, const char *v);
	} rows[] = {{"name", match_name}, {"id", match_id}, {"driver", match_driver}, {"scope", match_scope}, {"type", match_type}};
	struct kv_list labels = {0};
	bool ok = labels_of_network(n, &labels) >= 0 && filter_labels(l->filters, &labels);
	kv_list_done(&labels);
	for (size_t i = 0; ok && i < ARRAY_LEN(rows); i++)
		ok = any_of(l->filters, rows[i].key, rows[i].match, n);
	if (ok && l->dangling >= 0)
		ok = (!n->is_default && !is_used(l->e, n)) == l->dangling;
	return ok && n->created_ns < l->until_ns;
}

static int list_one(void *ctx, struct network *n, struct err *err)
{
	struct listing *l = ctx;
	return passes(l, n) ? write_one(l->e, l->w, n, false, err) : 0;
}

int engine_network_list(struct engine *e, const struct caller *caller, const struct json *filters, struct json_writer *w, struct err *err)
{
	static const char *const known[] = {"name", "id", "driver", "scope", "type", "label", "label!", "dangling", NULL};
	struct listing l = {.e = e, .filters = filters, .w = w, .caller = caller, .until_ns = INT64_MAX};
	int rc = filters_check(filters, known, err);
	if (rc < 0)
		return rc;
	l.dangling = filter_bool(filters, "dangling", -1, err);
	if (l.dangling < -1)
		return l.dangling;
	jw_arr(w, NULL);
	rc = network_each(e->networks, caller->tenant, list_one, &l, err);
	jw_end(w);
	return rc;
}

/* Removal */

static int remove_one(struct engine *e, const struct caller *caller, const char *ref, struct err *err)
{
	_cleanup_network_ struct network n = {0};
	int rc = network_find(e->networks, caller->tenant, ref, &n, err);
	rc = rc < 0 ? rc : settle_members(e, &n, err);
	network_done(&n);
	rc = rc < 0 ? rc : fault_point("engine.network.remove", err);
	rc = rc < 0 ? rc : network_remove(e->networks, caller->tenant, ref, &n, err);
	if (rc >= 0)
		event_object(e, caller->tenant, "network", "destroy", n.id, "name", n.name, "type", n.driver, NULL);
	return rc;
}

int engine_network_remove(struct engine *e, const struct caller *caller, const char *ref, struct err *err)
{
	return remove_one(e, caller, ref, err);
}

static int prune_one(void *ctx, struct network *n, struct err *err)
{
	struct listing *l = ctx;
	struct err ignored;
	if (n->is_default || !passes(l, n) || is_used(l->e, n))
		return 0;
	if (remove_one(l->e, l->caller, n->id, &ignored) < 0)
		return 0; /* somebody uses it since */
	return strv_push(&l->names, n->name) < 0 ? err_oom(err) : 0;
}

int engine_network_prune(struct engine *e, const struct caller *caller, const struct json *filters, struct json_writer *w, struct err *err)
{
	static const char *const known[] = {"label", "label!", "until", NULL};
	struct listing l = {.e = e, .filters = filters, .w = w, .caller = caller, .dangling = -1, .until_ns = INT64_MAX};
	int rc = filters_check(filters, known, err);
	rc = rc < 0 ? rc : filter_until(filters, &l.until_ns, err);
	rc = rc < 0 ? rc : network_each(e->networks, caller->tenant, prune_one, &l, err);
	if (rc >= 0) {
		jw_obj(w, NULL);
		if (l.names)
			jw_strv(w, "NetworksDeleted", l.names);
		else
			jw_null(w, "NetworksDeleted");
		jw_end(w);
	}
	strv_free(l.names);
	return rc;
}

void engine_network_watcher(struct engine *e, int stop_fd)
{
	network_watcher(e->networks, stop_fd);
}
