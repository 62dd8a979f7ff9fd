/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `network create`, `connect`, `disconnect`, `ls` and `rm` (`network inspect` is in inspect.c, `network prune` in prune.c).
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/ip.h"
#include "cli/call.h"
#include "cli/each.h"
#include "cli/list.h"

/* create */

struct create_options {
	char **labels, **opts, **subnets, **gateways, **ranges, **aux; /* owned */
	const char *driver; /* borrowed */
	bool internal, ipv6, attachable;
};

#define O(field) offsetof(struct create_options, field)
static const struct flag create_rows[] = {
	{"attachable", 0, FLAG_BOOL, O(attachable), NULL, "Let containers join by hand (all networks here do)"},
	{"aux-address", 0, FLAG_LIST, O(aux), "name=address", "An address that no container gets"},
	{"config-from", 0, FLAG_REFUSED, 0, NULL, "it is of a swarm"},
	{"config-only", 0, FLAG_REFUSED_BOOL, 0, NULL, "it is of a swarm"},
	{"driver", 'd', FLAG_STR, O(driver), "driver", "bridge"},
	{"gateway", 0, FLAG_LIST, O(gateways), "address", "Gateway of a subnet"},
	{"ingress", 0, FLAG_REFUSED_BOOL, 0, NULL, "it is of a swarm"},
	{"internal", 0, FLAG_BOOL, O(internal), NULL, "No way out of it, and none in"},
	{"ip-range", 0, FLAG_LIST, O(ranges), "subnet", "Give addresses out of this part of a subnet"},
	{"ipam-driver", 0, FLAG_REFUSED, 0, NULL, "addresses are the engine's own affair"},
	{"ipam-opt", 0, FLAG_REFUSED, 0, NULL, "addresses are the engine's own affair"},
	{"ipv6", 0, FLAG_BOOL, O(ipv6), NULL, "IPv6 as well"},
	{"label", 0, FLAG_LIST, O(labels), "key=value", "Set a label"},
	{"opt", 'o', FLAG_LIST, O(opts), "key=value", "Option of the driver, such as com.docker.network.driver.mtu=1400"},
	{"scope", 0, FLAG_REFUSED, 0, NULL, "networks are local"},
	{"subnet", 0, FLAG_LIST, O(subnets), "address/prefix", "Subnet, one for IPv4 and one for IPv6 (default: a free one)"},
};
#undef O

static int put_pairs(struct json_writer *w, const char *key, char *const *v, struct err *err)
{
	if (!v)
		return 0;
	jw_obj(w, key);
	STRV_FOREACH (s, v) {
		size_t n = strcspn(s, "=");
		_cleanup_free_ char *name = strndup(s, n);
		if (!name || n == 0)
			return name ? err_set(err, ERR_INVALID, "invalid argument \"%.60s\": use key=value", s) : err_oom(err);
		jw_str(w, name, s[n] ? s + n + 1 : "");
	}
	jw_end(w);
	return 0;
}

/* Gateways, ranges and auxiliary addresses go to the subnet that they lie in. */
static bool lies_in(const char *subnet, const char *text)
{
	struct ip_addr s, a;
	const char *value = strchr(text, '=') ? strchr(text, '=') + 1 : text;
	return ip_parse_subnet(subnet, &s, NULL) == 0 && (strchr(value, '/') ? ip_parse_prefix(value, &a) : ip_parse(value, &a)) == 0 && ip_contains(&s, &a);
}

static int check_homes(const struct create_options *o, struct err *err)
{
	const struct {
		const char *flag;
		char *const *v;
	} rows[] = {{"gateway", o->gateways}, {"ip-range", o->ranges}, {"aux-address", o->aux}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		STRV_FOREACH (s, rows[i].v) {
			bool home = false;
			STRV_FOREACH (subnet, o->subnets)
				home |= lies_in(subnet, s);
			if (!home)
				return err_set(err, ERR_INVALID, "no matching subnet for --%s %.60s: give it with --subnet", rows[i].flag, s);
		}
	return 0;
}

static const char *first_in(const char *subnet, char *const *v)
{
	STRV_FOREACH (s, v)
		if (lies_in(subnet, s))
			return s;
	return NULL;
}

static void put_ipam(struct json_writer *w, const struct create_options *o)
{
	if (!o->subnets)
		return;
	jw_obj(w, "IPAM");
	jw_str(w, "Driver", "default");
	jw_arr(w, "Config");
	STRV_FOREACH (subnet, o->subnets) {
		const char *gateway = first_in(subnet, o->gateways), *range = first_in(subnet, o->ranges);
		jw_obj(w, NULL);
		jw_str(w, "Subnet", subnet);
		if (gateway)
			jw_str(w, "Gateway", gateway);
		if (range)
			jw_str(w, "IPRange", range);
		if (first_in(subnet, o->aux)) {
			jw_obj(w, "AuxiliaryAddresses");
			STRV_FOREACH (s, o->aux) {
				size_t n = strcspn(s, "=");
				_cleanup_free_ char *name = strndup(s, n);
				if (lies_in(subnet, s) && s[n])
					jw_str(w, name ? name : "", s + n + 1);
			}
			jw_end(w);
		}
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

static int create_body_of(const struct create_options *o, const char *name, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	int r = check_homes(o, err);
	jw_init(&w, out);
	jw_obj(&w, NULL);
	jw_str(&w, "Name", name);
	jw_str(&w, "Driver", o->driver ? o->driver : "bridge");
	if (o->internal)
		jw_bool(&w, "Internal", true);
	if (o->attachable)
		jw_bool(&w, "Attachable", true);
	if (o->ipv6)
		jw_bool(&w, "EnableIPv6", true);
	put_ipam(&w, o);
	r = r < 0 ? r : put_pairs(&w, "Options", o->opts, err);
	r = r < 0 ? r : put_pairs(&w, "Labels", o->labels, err);
	jw_end(&w);
	return r < 0 ? r : strbuf_err(out) < 0 ? err_oom(err) : 0;
}

static int create(struct cli *cli, const struct create_options *o, const struct args *a)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, body = STRBUF_INIT(1 << 20);
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	if (create_body_of(o, a->v[0], &body, &err) < 0)
		return cli_fail(1, &err);
	target_start(&t, "/networks/create", NULL, NULL);
	if (call_json(cli, "POST", &t, body.s, &answer, &err) < 0)
		return cli_fail(1, &err);
	(void) printf("%s\n", json_str(json_get(answer, "Id"), ""));
	return 0;
}

static int create_run(struct cli *cli, int argc, char **argv)
{
	struct create_options o = {};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = create(cli, &o, &a);
	flag_release(cli->command->flags, &o);
	return code;
}

const struct command command_network_create = {
	.name = "network create",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS] NETWORK",
	.summary = "Create a network",
	.examples = "  coffer network create --subnet 10.5.0.0/24 backend\n",
	.flags = {FLAGS(create_rows)},
	.min_args = 1,
	.max_args = 1,
	.run = create_run,
};

/* connect, disconnect */

struct connect_options {
	char **aliases, **links, **link_local, **driver_opts; /* owned */
	const char *ip, *ip6; /* borrowed */
	int64_t priority;
	bool force;
};

#define O(field) offsetof(struct connect_options, field)
static const struct flag connect_rows[] = {
	{"alias", 0, FLAG_LIST, O(aliases), "name", "One more name on the network"},
	{"driver-opt", 0, FLAG_LIST, O(driver_opts), "key=value", "Option of the driver"},
	{"gw-priority", 0, FLAG_INT, O(priority), "n", "The network with the highest one is the way out"},
	{"ip", 0, FLAG_STR, O(ip), "address", "IPv4 address"},
	{"ip6", 0, FLAG_STR, O(ip6), "address", "IPv6 address"},
	{"link", 0, FLAG_LIST, O(links), "container[:alias]", "Another container, and what it is called in this one"},
	{"link-local-ip", 0, FLAG_LIST, O(link_local), "address", "Link-local address"},
};
static const struct flag disconnect_rows[] = {
	{"force", 'f', FLAG_BOOL, O(force), NULL, "Whatever state the container is in"},
};
#undef O

static int connect_body_of(const struct connect_options *o, const char *container, bool on, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	int r = 0;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	jw_str(&w, "Container", container);
	if (on) {
		jw_obj(&w, "EndpointConfig");
		if (o->ip || o->ip6 || o->link_local) {
			jw_obj(&w, "IPAMConfig");
			if (o->ip)
				jw_str(&w, "IPv4Address", o->ip);
			if (o->ip6)
				jw_str(&w, "IPv6Address", o->ip6);
			if (o->link_local)
				jw_strv(&w, "LinkLocalIPs", o->link_local);
			jw_end(&w);
		}
		if (o->aliases)
			jw_strv(&w, "Aliases", o->aliases);
		if (o->links)
			jw_strv(&w, "Links", o->links);
		if (o->priority)
			jw_int(&w, "GwPriority", o->priority);
		r = put_pairs(&w, "DriverOpts", o->driver_opts, err);
		jw_end(&w);
	} else
		jw_bool(&w, "Force", o->force);
	jw_end(&w);
	return r < 0 ? r : strbuf_err(out) < 0 ? err_oom(err) : 0;
}

static int change(struct cli *cli, const struct connect_options *o, const struct args *a, bool on)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, body = STRBUF_INIT(1 << 20);
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	struct err err;
	if (connect_body_of(o, a->v[1], on, &body, &err) < 0)
		return cli_fail(1, &err);
	target_start(&t, "/networks/", a->v[0], on ? "/connect" : "/disconnect");
	return call(cli, "POST", &t, body.s, &reply, &err) < 0 ? cli_fail(1, &err) : 0;
}

static int change_run(struct cli *cli, int argc, char **argv, bool on)
{
	struct connect_options o = {};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = change(cli, &o, &a, on);
	flag_release(cli->command->flags, &o);
	return code;
}

static int connect_run(struct cli *cli, int argc, char **argv)
{
	return change_run(cli, argc, argv, true);
}

static int disconnect_run(struct cli *cli, int argc, char **argv)
{
	return change_run(cli, argc, argv, false);
}

const struct command command_network_connect = {
	.name = "network connect",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS] NETWORK CONTAINER",
	.summary = "Put a container on a network, running or not",
	.examples = "  coffer network connect --alias db backend web\n",
	.flags = {FLAGS(connect_rows)},
	.min_args = 2,
	.max_args = 2,
	.run = connect_run,
};

const struct command command_network_disconnect = {
	.name = "network disconnect",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS] NETWORK CONTAINER",
	.summary = "Take a container off a network, running or not",
	.examples = "  coffer network disconnect backend web\n",
	.flags = {FLAGS(disconnect_rows)},
	.min_args = 2,
	.max_args = 2,
	.run = disconnect_run,
};

/* ls */

static void cell_network_id(const struct json *n, size_t i, const struct list_view *view, struct strbuf *out)
{
	cell_id(json_str(json_get(n, "Id"), ""), view, out);
}

static void cell_text(const struct json *n, const char *key, struct strbuf *out)
{
	strbuf_adds(out, json_str(json_get(n, key), ""));
}

static void cell_network_name(const struct json *n, size_t i, const struct list_view *view, struct strbuf *out)
{
	cell_text(n, "Name", out);
}

static void cell_network_driver(const struct json *n, size_t i, const struct list_view *view, struct strbuf *out)
{
	cell_text(n, "Driver", out);
}

static void cell_network_scope(const struct json *n, size_t i, const struct list_view *view, struct strbuf *out)
{
	cell_text(n, "Scope", out);
}

static void cell_created_at(const struct json *n, size_t i, const struct list_view *view, struct strbuf *out)
{
	cell_text(n, "Created", out);
}

static void cell_ipv4(const struct json *n, size_t i, const struct list_view *view, struct strbuf *out)
{
	strbuf_adds(out, json_bool(json_get(n, "EnableIPv4"), false) ? "true" : "false");
}

static void cell_ipv6(const struct json *n, size_t i, const struct list_view *view, struct strbuf *out)
{
	strbuf_adds(out, json_bool(json_get(n, "EnableIPv6"), false) ? "true" : "false");
}

static void cell_internal(const struct json *n, size_t i, const struct list_view *view, struct strbuf *out)
{
	strbuf_adds(out, json_bool(json_get(n, "Internal"), false) ? "true" : "false");
}

static void cell_network_labels(const struct json *n, size_t i, const struct list_view *view, struct strbuf *out)
{
	cell_labels(json_get(n, "Labels"), out);
}

static const struct column columns[] = {
	{"CreatedAt", "CREATED AT", cell_created_at}, {"Driver", "DRIVER", cell_network_driver}, {"ID", "NETWORK ID", cell_network_id}, {"IPv4", "IPV4", cell_ipv4},
	{"IPv6", "IPV6", cell_ipv6},		      {"Internal", "INTERNAL", cell_internal},	 {"Labels", "LABELS", cell_network_labels}, {"Name", "NAME", cell_network_name},
	{"Scope", "SCOPE", cell_network_scope},
};
static const struct list_kind kind = {columns, ARRAY_LEN(columns), "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}", "{{.ID}}", NULL, "Labels"};

struct ls_options {
	char **filters; /* owned */
	struct list_view view;
};

#define O(field) offsetof(struct ls_options, field)
static const struct flag ls_rows[] = {
	{"filter", 'f', FLAG_FILTER, O(filters), "key=value", "Keep what matches: name, id, driver, label, scope, type, dangling"},
	{"format", 0, FLAG_STR, O(view.format), "template", FORMAT_HELP},
	{"no-trunc", 0, FLAG_BOOL, O(view.no_trunc), NULL, "Show whole ids"},
	{"quiet", 'q', FLAG_BOOL, O(view.quiet), NULL, "Show ids only"},
};
#undef O

static int ls(struct cli *cli, const struct ls_options *o)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_free_ char *filters = NULL;
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	target_start(&t, "/networks", NULL, NULL);
	if (list_filters(o->filters, &filters, &err) < 0)
		return cli_fail(1, &err);
	if (filters)
		target_query(&t, "filters", filters);
	if (call_json(cli, "GET", &t, NULL, &answer, &err) < 0 || list_print(&kind, answer, &o->view, &err) < 0)
		return cli_fail(1, &err);
	return 0;
}

static int ls_run(struct cli *cli, int argc, char **argv)
{
	struct ls_options o = {};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = ls(cli, &o);
	flag_release(cli->command->flags, &o);
	return code;
}

const struct command command_network_ls = {
	.name = "network ls",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS]",
	.summary = "List networks",
	.examples = "  coffer network ls\n",
	.flags = {FLAGS(ls_rows)},
	.max_args = 0,
	.run = ls_run,
};

/* rm */

struct rm_options {
	bool force;
};

static const struct flag rm_rows[] = {
	{"force", 'f', FLAG_BOOL, offsetof(struct rm_options, force), NULL, "A missing network is no failure"},
};

static int rm_run(struct cli *cli, int argc, char **argv)
{
	struct rm_options o = {};
	_cleanup_args_ struct args a = {};
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	struct each_call e = {"DELETE", "/networks/", .missing_ok = o.force};
	return each_name(cli, &e, &a);
}

const struct command command_network_rm = {
	.name = "network rm",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS] NETWORK [NETWORK...]",
	.summary = "Remove networks",
	.examples = "  coffer network rm backend\n",
	.flags = {FLAGS(rm_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = rm_run,
};
