/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `volume create`, `volume ls` and `volume rm` (`volume inspect` is in inspect.c).
 */
#include <stdio.h>

#include "base/num.h"
#include "cli/call.h"
#include "cli/each.h"
#include "cli/list.h"

struct create_options {
	char **labels, **opts; /* owned */
	const char *driver, *name; /* borrowed */
};

#define O(field) offsetof(struct create_options, field)
static const struct flag create_rows[] = {
	{"driver", 'd', FLAG_STR, O(driver), "driver", "local"},
	{"label", 0, FLAG_LIST, O(labels), "key=value", "Set a label"},
	{"name", 0, FLAG_STR, O(name), NULL, NULL},
	{"opt", 'o', FLAG_REFUSED, 0, NULL, "volumes are directories of this host in this version"},
};
#undef O

static int volume_body(const struct create_options *o, const char *name, struct strbuf *out)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	if (name)
		jw_str(&w, "Name", name);
	jw_str(&w, "Driver", o->driver ? o->driver : "local");
	if (o->labels) {
		jw_obj(&w, "Labels");
		STRV_FOREACH (label, o->labels) {
			char key[256];
			size_t n = strcspn(label, "=");
			if (str_format(key, sizeof(key), "%.*s", (int) n, label) <= 0)
				return -1;
			jw_str(&w, key, label[n] ? label + n + 1 : "");
		}
		jw_end(&w);
	}
	jw_end(&w);
	return strbuf_err(out);
}

static int create(struct cli *cli, const struct create_options *o, const struct args *a)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, body = STRBUF_INIT(1 << 20);
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	if (o->name && a->n > 0)
		return cli_error("conflicting options: give the volume's name once, either as --name or as the argument");
	if (volume_body(o, a->n > 0 ? a->v[0] : o->name, &body) < 0)
		return cli_error("a label has no key, or one above 255 bytes");
	target_start(&t, "/volumes/create", NULL, NULL);
	if (call_json(cli, "POST", &t, body.s, &answer, &err) < 0)
		return cli_fail(1, &err);
	(void) printf("%s\n", json_str(json_get(answer, "Name"), ""));
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

const struct command command_volume_create = {
	.name = "volume create",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS] [VOLUME]",
	.summary = "Create a volume",
	.examples = "  coffer volume create --label team=web data\n",
	.flags = {FLAGS(create_rows)},
	.max_args = 1,
	.run = create_run,
};

static void cell_driver(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	strbuf_adds(out, json_str(json_get(v, "Driver"), ""));
}

static void cell_name(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	strbuf_adds(out, json_str(json_get(v, "Name"), ""));
}

static void cell_mountpoint(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	strbuf_adds(out, json_str(json_get(v, "Mountpoint"), ""));
}

static void cell_scope(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	strbuf_adds(out, json_str(json_get(v, "Scope"), ""));
}

static void cell_volume_labels(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	cell_labels(json_get(v, "Labels"), out);
}

static void cell_volume_size(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	char buf[24];
	int64_t n = json_int(json_get(json_get(v, "UsageData"), "Size"), -1);
	strbuf_adds(out, n < 0 ? "N/A" : format_size(buf, sizeof(buf), (uint64_t) n));
}

static void cell_links(const struct json *v, size_t i, const struct list_view *view, struct strbuf *out)
{
	int64_t n = json_int(json_get(json_get(v, "UsageData"), "RefCount"), -1);
	if (n < 0)
		strbuf_adds(out, "N/A");
	else
		strbuf_addf(out, "%lld", (long long) n);
}

static const struct column columns[] = {
	{"Availability", "AVAILABILITY", cell_na}, /* this one, Group and Status are of a swarm's volumes */
	{"Driver", "DRIVER", cell_driver},
	{"Group", "GROUP", cell_na},
	{"Labels", "LABELS", cell_volume_labels},
	{"Links", "LINKS", cell_links},
	{"Mountpoint", "MOUNTPOINT", cell_mountpoint},
	{"Name", "VOLUME NAME", cell_name},
	{"Scope", "SCOPE", cell_scope},
	{"Size", "SIZE", cell_volume_size},
	{"Status", "STATUS", cell_na},
};
static const struct list_kind kind = {columns, ARRAY_LEN(columns), "{{.Driver}}\t{{.Name}}", "{{.Name}}", NULL, "Labels"};
const struct list_kind list_volume_usage = {columns, ARRAY_LEN(columns), "{{.Name}}\t{{.Links}}\t{{.Size}}", "{{.Name}}", NULL, "Labels"};

struct ls_options {
	char **filters; /* owned */
	struct list_view view;
};

#define O(field) offsetof(struct ls_options, field)
static const struct flag ls_rows[] = {
	{"filter", 'f', FLAG_FILTER, O(filters), "key=value", "Keep what matches: name, label, dangling, driver"},
	{"format", 0, FLAG_STR, O(view.format), "template", FORMAT_HELP},
	{"quiet", 'q', FLAG_BOOL, O(view.quiet), NULL, "Show names only"},
};
#undef O

static int ls(struct cli *cli, const struct ls_options *o)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_free_ char *filters = NULL;
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	target_start(&t, "/volumes", NULL, NULL);
	if (list_filters(o->filters, &filters, &err) < 0)
		return cli_fail(1, &err);
	if (filters)
		target_query(&t, "filters", filters);
	if (call_json(cli, "GET", &t, NULL, &answer, &err) < 0 || list_print(&kind, json_get(answer, "Volumes"), &o->view, &err) < 0)
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

const struct command command_volume_ls = {
	.name = "volume ls",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS]",
	.summary = "List volumes",
	.examples = "  coffer volume ls -q\n",
	.flags = {FLAGS(ls_rows)},
	.max_args = 0,
	.run = ls_run,
};

struct rm_options {
	bool force;
};

static const struct flag rm_rows[] = {
	{"force", 'f', FLAG_BOOL, offsetof(struct rm_options, force), NULL, "A missing volume is no failure"},
};

static int rm_run(struct cli *cli, int argc, char **argv)
{
	struct rm_options o = {};
	_cleanup_args_ struct args a = {};
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	struct each_call e = {"DELETE", "/volumes/", NULL, o.force ? "force=1" : NULL, NULL};
	return each_name(cli, &e, &a);
}

const struct command command_volume_rm = {
	.name = "volume rm",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS] VOLUME [VOLUME...]",
	.summary = "Remove volumes",
	.examples = "  coffer volume rm data\n",
	.flags = {FLAGS(rm_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = rm_run,
};
