/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ps`: the containers of GET /containers/json as docker shows them.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/call.h"
#include "cli/list.h"
#include "base/table.h"

#define COMMAND_WIDTH 20

static void cell_container_id(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	cell_id(json_str(json_get(c, "Id"), ""), v, out);
}

static void cell_image(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	const char *image = json_str(json_get(c, "Image"), "");
	if (str_after(image, "sha256:"))
		cell_id(image, v, out);
	else
		strbuf_adds(out, *image ? image : "<no image>");
}

static void cell_command(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	const char *command = json_str(json_get(c, "Command"), "");
	strbuf_addc(out, '"');
	text_ellipsis(out, command, v->no_trunc ? SIZE_MAX : COMMAND_WIDTH);
	strbuf_addc(out, '"');
}

static void cell_created(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	cell_date(json_int(json_get(c, "Created"), 0), out);
}

static void cell_running_for(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	cell_ago(json_int(json_get(c, "Created"), 0), v, out);
}

static void cell_ports(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	JSON_FOREACH(p, n, json_get(c, "Ports")) {
		strbuf_adds(out, n > 0 ? ", " : "");
		if (json_get(p, "PublicPort"))
			strbuf_addf(out, "%s:%lld->", json_str(json_get(p, "IP"), ""), (long long) json_int(json_get(p, "PublicPort"), 0));
		strbuf_addf(out, "%lld/%s", (long long) json_int(json_get(p, "PrivatePort"), 0), json_str(json_get(p, "Type"), "tcp"));
	}
}

static void cell_state(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	strbuf_adds(out, json_str(json_get(c, "State"), ""));
}

static void cell_status(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	strbuf_adds(out, json_str(json_get(c, "Status"), ""));
}

static void cell_size(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	char a[24], b[24];
	int64_t rw = json_int(json_get(c, "SizeRw"), 0), all = json_int(json_get(c, "SizeRootFs"), 0);
	strbuf_addf(out, "%s", format_size_short(a, sizeof(a), (uint64_t) MAX(rw, (int64_t) 0)));
	if (all > 0 && !v->own_size)
		strbuf_addf(out, " (virtual %s)", format_size_short(b, sizeof(b), (uint64_t) all));
}

static void cell_names(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	JSON_FOREACH(n, k, json_get(c, "Names")) {
		const char *name = json_str(n, "");
		strbuf_addf(out, "%s%s", k > 0 ? "," : "", name + (*name == '/'));
	}
}

static void cell_container_labels(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	cell_labels(json_get(c, "Labels"), out);
}

static void cell_mounts(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	JSON_FOREACH(m, k, json_get(c, "Mounts")) {
		const char *name = json_str(json_get(m, "Name"), "");
		strbuf_adds(out, k > 0 ? "," : "");
		text_ellipsis(out, *name ? name : json_str(json_get(m, "Source"), ""), v->no_trunc ? SIZE_MAX : 15);
	}
}

static void cell_networks(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	bool first = true;
	JSON_FOREACH_MEMBER(key, net, json_get(json_get(c, "NetworkSettings"), "Networks")) {
		strbuf_addf(out, "%s%s", first ? "" : ",", net ? key : "");
		first = false;
	}
}

static void cell_local_volumes(const struct json *c, size_t i, const struct list_view *v, struct strbuf *out)
{
	size_t n = 0;
	JSON_FOREACH(m, k, json_get(c, "Mounts"))
		n += str_eq(json_str(json_get(m, "Driver"), ""), "local");
	strbuf_addf(out, "%zu", n);
}

static const struct column columns[] = {
	{"Command", "COMMAND", cell_command},
	{"CreatedAt", "CREATED AT", cell_created},
	{"ID", "CONTAINER ID", cell_container_id},
	{"Image", "IMAGE", cell_image},
	{"Labels", "LABELS", cell_container_labels},
	{"LocalVolumes", "LOCAL VOLUMES", cell_local_volumes},
	{"Mounts", "MOUNTS", cell_mounts},
	{"Names", "NAMES", cell_names},
	{"Networks", "NETWORKS", cell_networks},
	{"Platform", "PLATFORM", NULL}, /* an engine says it when it keeps manifests of several platforms */
	{"Ports", "PORTS", cell_ports},
	{"RunningFor", "CREATED", cell_running_for},
	{"Size", "SIZE", cell_size},
	{"State", "STATE", cell_state},
	{"Status", "STATUS", cell_status},
};

#define TABLE "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
static const struct list_kind kind = {columns, ARRAY_LEN(columns), TABLE, "{{.ID}}", NULL, "Labels"};
static const struct list_kind kind_sized = {columns, ARRAY_LEN(columns), TABLE "\t{{.Size}}", "{{.ID}}", NULL, "Labels"};
#define USAGE_TABLE "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}"
const struct list_kind list_container_usage = {columns, ARRAY_LEN(columns), USAGE_TABLE, "{{.ID}}", NULL, "Labels"};

struct ps_options {
	bool all, latest, size;
	int64_t last;
	char **filters; /* owned */
	struct list_view view;
};

#define O(field) offsetof(struct ps_options, field)
static const struct flag rows[] = {
	{"all", 'a', FLAG_BOOL, O(all), NULL, "Show stopped containers too"},
	{"filter", 'f', FLAG_FILTER, O(filters), "key=value", "Keep what matches: status, name, label, ancestor, id, exited, before, since, volume, network"},
	{"format", 0, FLAG_STR, O(view.format), "template", FORMAT_HELP},
	{"last", 'n', FLAG_INT, O(last), "n", "Show the n containers created last"},
	{"latest", 'l', FLAG_BOOL, O(latest), NULL, "Show the container created last"},
	{"no-trunc", 0, FLAG_BOOL, O(view.no_trunc), NULL, "Do not shorten"},
	{"quiet", 'q', FLAG_BOOL, O(view.quiet), NULL, "Show ids only"},
	{"size", 's', FLAG_BOOL, O(size), NULL, "Show sizes"},
};

static int list(struct cli *cli, const struct ps_options *o)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_free_ char *filters = NULL;
	_cleanup_json_ struct json *items = NULL;
	struct err err;
	char number[24];
	int64_t last = o->latest ? 1 : o->last;
	target_start(&t, "/containers/json", NULL, NULL);
	if (o->all)
		target_query(&t, "all", "1");
	if (last > 0) {
		(void) snprintf(number, sizeof(number), "%lld", (long long) last);
		target_query(&t, "limit", number);
	}
	bool sized = o->size || (o->view.format && (strstr(o->view.format, ".Size") || strstr(o->view.format, "json .}}"))); /* as docker finds out */
	if (sized)
		target_query(&t, "size", "1");
	if (list_filters(o->filters, &filters, &err) < 0)
		return cli_fail(1, &err);
	if (filters)
		target_query(&t, "filters", filters);
	if (call_json(cli, "GET", &t, NULL, &items, &err) < 0 || list_print(o->size ? &kind_sized : &kind, items, &o->view, &err) < 0)
		return cli_fail(1, &err);
	return 0;
}

static int ps_run(struct cli *cli, int argc, char **argv)
{
	struct ps_options o = {.last = -1, .view = {.now_ns = now_ns()}};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = list(cli, &o);
	flag_release(cli->command->flags, &o);
	return code;
}

const struct command command_ps = {
	.name = "ps",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS]",
	.summary = "List containers",
	.examples = "  coffer ps -a\n  coffer ps --filter status=exited --format '{{.Names}}: {{.Status}}'\n",
	.flags = {FLAGS(rows)},
	.max_args = 0,
	.run = ps_run,
};
