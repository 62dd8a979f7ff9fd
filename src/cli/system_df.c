/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `system df`: what images, containers and volumes take, and how much of it nobody uses.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/call.h"
#include "cli/list.h"
#include "cli/show.h"
#include "cli/template.h"

struct df_options {
	const char *format; /* borrowed */
	bool verbose;
};

#define O(field) offsetof(struct df_options, field)
static const struct flag rows[] = {
	{"format", 0, FLAG_STR, O(format), "template", FORMAT_HELP},
	{"verbose", 'v', FLAG_BOOL, O(verbose), NULL, "Show every image, container and volume"},
};
#undef O

/* ---- the summary ---- */

struct usage {
	const char *type;
	size_t total, active;
	int64_t bytes, reclaimable;
};

static int64_t positive(const struct json *v)
{
	return MAX(json_int(v, 0), (int64_t) 0);
}

static struct usage image_usage(const struct json *df)
{
	const struct json *images = json_get(df, "Images");
	struct usage u = {.type = "Images", .total = json_len(images), .bytes = positive(json_get(df, "LayersSize"))};
	int64_t used = 0;
	JSON_FOREACH(image, i, images)
		if (json_int(json_get(image, "Containers"), 0) > 0) {
			int64_t shared = json_int(json_get(image, "SharedSize"), -1);
			u.active++;
			used += shared < 0 ? 0 : positive(json_get(image, "Size")) - shared;
		}
	u.reclaimable = MAX(u.bytes - used, (int64_t) 0);
	return u;
}

static struct usage container_usage(const struct json *df)
{
	const struct json *containers = json_get(df, "Containers");
	struct usage u = {.type = "Containers", .total = json_len(containers)};
	JSON_FOREACH(c, i, containers) {
		const char *state = json_str(json_get(c, "State"), "");
		bool active = str_eq(state, "running") || str_eq(state, "paused") || str_eq(state, "restarting");
		int64_t bytes = positive(json_get(c, "SizeRw"));
		u.active += active;
		u.bytes += bytes;
		u.reclaimable += active ? 0 : bytes;
	}
	return u;
}

static struct usage volume_usage(const struct json *df)
{
	const struct json *volumes = json_get(df, "Volumes");
	struct usage u = {.type = "Local Volumes", .total = json_len(volumes)};
	JSON_FOREACH(v, i, volumes) {
		const struct json *data = json_get(v, "UsageData");
		bool active = json_int(json_get(data, "RefCount"), 0) > 0;
		int64_t bytes = positive(json_get(data, "Size"));
		u.active += active;
		u.bytes += bytes;
		u.reclaimable += active ? 0 : bytes;
	}
	return u;
}

static struct usage cache_usage(const struct json *df)
{
	const struct json *cache = json_get(df, "BuildCache");
	struct usage u = {.type = "Build Cache", .total = json_len(cache)};
	JSON_FOREACH(c, i, cache) {
		bool active = json_bool(json_get(c, "InUse"), false);
		int64_t bytes = positive(json_get(c, "Size"));
		u.active += active;
		u.bytes += bytes;
		u.reclaimable += active || json_bool(json_get(c, "Shared"), false) ? 0 : bytes;
	}
	return u;
}

static void write_usage(struct json_writer *w, const struct usage *u)
{
	jw_obj(w, NULL);
	jw_str(w, "Type", u->type);
	jw_uint(w, "TotalCount", u->total);
	jw_uint(w, "Active", u->active);
	jw_int(w, "Size", u->bytes);
	jw_int(w, "Reclaimable", u->reclaimable);
	jw_end(w);
}

static void cell_type(const struct json *u, size_t i, const struct list_view *v, struct strbuf *out)
{
	strbuf_adds(out, json_str(json_get(u, "Type"), ""));
}

static void cell_total(const struct json *u, size_t i, const struct list_view *v, struct strbuf *out)
{
	strbuf_addf(out, "%lld", (long long) json_int(json_get(u, "TotalCount"), 0));
}

static void cell_active(const struct json *u, size_t i, const struct list_view *v, struct strbuf *out)
{
	strbuf_addf(out, "%lld", (long long) json_int(json_get(u, "Active"), 0));
}

static void cell_size(const struct json *u, size_t i, const struct list_view *v, struct strbuf *out)
{
	char buf[24];
	strbuf_adds(out, format_size(buf, sizeof(buf), (uint64_t) positive(json_get(u, "Size"))));
}

static void cell_reclaimable(const struct json *u, size_t i, const struct list_view *v, struct strbuf *out)
{
	char buf[24];
	int64_t all = positive(json_get(u, "Size")), some = positive(json_get(u, "Reclaimable"));
	strbuf_adds(out, format_size(buf, sizeof(buf), (uint64_t) some));
	if (all > 0)
		strbuf_addf(out, " (%lld%%)", (long long) (some * 100 / all));
}

static const struct column columns[] = {
	{"Active", "ACTIVE", cell_active}, {"Reclaimable", "RECLAIMABLE", cell_reclaimable}, {"Size", "SIZE", cell_size},
	{"TotalCount", "TOTAL", cell_total}, {"Type", "TYPE", cell_type},
};
static const struct list_kind kind = {columns, ARRAY_LEN(columns), "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}", "{{.Type}}", NULL, NULL};

static int summary(const struct json *df, const struct list_view *view, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(64 << 10);
	_cleanup_json_ struct json *items = NULL;
	const struct usage all[] = {image_usage(df), container_usage(df), volume_usage(df), cache_usage(df)};
	struct json_writer w;
	jw_init(&w, &b);
	jw_arr(&w, NULL);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		write_usage(&w, &all[i]);
	jw_end(&w);
	int r = strbuf_err(&b) < 0 ? err_oom(err) : json_parse(b.s, b.len, b.max, "usage", &items, err);
	return r < 0 ? r : list_print(&kind, items, view, err);
}

/* ---- -v: the lists ---- */

static const struct part {
	const char *title, *key;
	const struct list_kind *kind;
} parts[] = {
	{"Images space usage", "Images", &list_image_usage},
	{"Containers space usage", "Containers", &list_container_usage},
	{"Local Volumes space usage", "Volumes", &list_volume_usage},
};

static void print_cache(const struct json *df)
{
	char buf[24];
	const struct usage u = cache_usage(df);
	(void) printf("\nBuild cache usage: %s\n\n", format_size(buf, sizeof(buf), (uint64_t) u.bytes));
	(void) printf("CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n"); /* images are built elsewhere */
}

static int lists(const struct json *df, const struct list_view *view, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		(void) printf("%s%s:\n\n", i ? "\n" : "", parts[i].title);
		int r = list_print(parts[i].kind, json_get(df, parts[i].key), view, err);
		if (r < 0)
			return r;
	}
	print_cache(df);
	return 0;
}

/* With a template: one object, {"Images": [...], "Containers": [...], ...} */
static int by_template(const struct json *df, const struct list_view *view, const char *format, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(256 << 20);
	strbuf_adds(&b, "{\"Images\":");
	int r = list_json(&list_image_usage, json_get(df, "Images"), view, &b, err);
	strbuf_adds(&b, ",\"Containers\":");
	r = r < 0 ? r : list_json(&list_container_usage, json_get(df, "Containers"), view, &b, err);
	strbuf_adds(&b, ",\"Volumes\":");
	r = r < 0 ? r : list_json(&list_volume_usage, json_get(df, "Volumes"), view, &b, err);
	strbuf_adds(&b, ",\"BuildCache\":[]}");
	return r < 0 ? r : strbuf_err(&b) < 0 ? err_oom(err) : show_template(format, b.s, b.len, err);
}

static int df(struct cli *cli, const struct df_options *o)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *answer = NULL;
	struct list_view view = {.now_ns = now_ns(), .own_size = true, .no_trunc = o->verbose && o->format};
	struct err err;
	target_start(&t, "/system/df", NULL, NULL);
	if (o->format && template_check(o->format, &err) < 0)
		return cli_fail(CLI_EXIT_TEMPLATE, &err);
	if (call_json(cli, "GET", &t, NULL, &answer, &err) < 0)
		return cli_fail(1, &err);
	int r;
	if (o->verbose && o->format)
		r = by_template(answer, &view, o->format, &err);
	else if (o->verbose)
		r = lists(answer, &view, &err);
	else {
		view.format = o->format;
		r = summary(answer, &view, &err);
	}
	return r < 0 ? cli_fail(1, &err) : 0;
}

static int df_run(struct cli *cli, int argc, char **argv)
{
	struct df_options o = {};
	_cleanup_args_ struct args a = {};
	int r = cli_parse(cli, argc, argv, &o, &a);
	return r == CLI_PARSED ? df(cli, &o) : r;
}

const struct command command_system_df = {
	.name = "system df",
	.group = GROUP_SUB,
	.usage = "[OPTIONS]",
	.summary = "Show how much space images, containers and volumes take",
	.examples = "  coffer system df\n  coffer system df -v\n  coffer system df --format '{{.Type}}: {{.Reclaimable}}'\n",
	.flags = {FLAGS(rows)},
	.max_args = 0,
	.run = df_run,
};
