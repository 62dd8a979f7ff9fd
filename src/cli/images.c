/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `images`, `rmi`, `tag` and `history`.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/call.h"
#include "cli/list.h"
#include "base/table.h"

#define NONE "<none>"

/* ---- images ---- */

/* One row a tag, or one for an image that has none. */
static size_t image_rows(const struct json *image)
{
	return MAX(json_len(json_get(image, "RepoTags")), (size_t) 1);
}

/* Where the tag begins in "host:5000/a/b:tag": behind the last colon that no slash follows. */
static const char *tag_of(const char *ref)
{
	const char *colon = strrchr(ref, ':');
	return colon && !strchr(colon, '/') ? colon + 1 : NULL;
}

static void cell_repository(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	const char *ref = json_str(json_at(json_get(image, "RepoTags"), i), NULL), *tag;
	if (!ref) { /* "name@sha256:..." alone still has a name */
		ref = json_str(json_at(json_get(image, "RepoDigests"), 0), NONE);
		strbuf_addf(out, "%.*s", (int) strcspn(ref, "@"), ref);
	} else if ((tag = tag_of(ref)))
		strbuf_add(out, ref, (size_t) (tag - 1 - ref));
	else
		strbuf_adds(out, ref);
}

static void cell_tag(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	const char *tag = tag_of(json_str(json_at(json_get(image, "RepoTags"), i), ""));
	strbuf_adds(out, tag ? tag : NONE);
}

static void cell_digest(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	const char *ref = json_str(json_at(json_get(image, "RepoDigests"), 0), ""), *at = strchr(ref, '@');
	strbuf_adds(out, at ? at + 1 : NONE);
}

static void cell_image_id(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	cell_id(json_str(json_get(image, "Id"), ""), v, out);
}

static void cell_created_since(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	cell_ago(json_int(json_get(image, "Created"), 0), v, out);
}

static void cell_created_at(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	cell_date(json_int(json_get(image, "Created"), 0), out);
}

static void cell_size(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	char buf[24];
	strbuf_adds(out, format_size_short(buf, sizeof(buf), (uint64_t) MAX(json_int(json_get(image, "Size"), 0), (int64_t) 0)));
}

static void cell_virtual_size(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	char buf[24];
	strbuf_adds(out, format_size(buf, sizeof(buf), (uint64_t) MAX(json_int(json_get(image, "Size"), 0), (int64_t) 0)));
}

static void cell_shared_size(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	char buf[24];
	int64_t n = json_int(json_get(image, "SharedSize"), -1);
	strbuf_adds(out, n < 0 ? "N/A" : format_size(buf, sizeof(buf), (uint64_t) n));
}

static void cell_unique_size(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	char buf[24];
	int64_t all = json_int(json_get(image, "Size"), -1), shared = json_int(json_get(image, "SharedSize"), -1);
	strbuf_adds(out, all < 0 || shared < 0 ? "N/A" : format_size(buf, sizeof(buf), (uint64_t) MAX(all - shared, (int64_t) 0)));
}

static void cell_containers(const struct json *image, size_t i, const struct list_view *v, struct strbuf *out)
{
	int64_t n = json_int(json_get(image, "Containers"), -1);
	if (n < 0)
		strbuf_adds(out, "N/A");
	else
		strbuf_addf(out, "%lld", (long long) n);
}

static const struct column image_columns[] = {
	{"Containers", "CONTAINERS", cell_containers},
	{"CreatedAt", "CREATED AT", cell_created_at},
	{"CreatedSince", "CREATED", cell_created_since},
	{"Digest", "DIGEST", cell_digest},
	{"ID", "IMAGE ID", cell_image_id},
	{"Repository", "REPOSITORY", cell_repository},
	{"SharedSize", "SHARED SIZE", cell_shared_size},
	{"Size", "SIZE", cell_size},
	{"Tag", "TAG", cell_tag},
	{"UniqueSize", "UNIQUE SIZE", cell_unique_size},
	{"VirtualSize", "SIZE", cell_virtual_size},
};

#define HEAD "{{.Repository}}\t{{.Tag}}\t"
#define TAIL "{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
static const struct list_kind image_kind = {image_columns, ARRAY_LEN(image_columns), HEAD TAIL, "{{.ID}}", image_rows, NULL};
static const struct list_kind image_kind_digests = {image_columns, ARRAY_LEN(image_columns), HEAD "{{.Digest}}\t" TAIL, "{{.ID}}", image_rows, NULL};
const struct list_kind list_image_usage = {image_columns, ARRAY_LEN(image_columns), HEAD TAIL "\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}", "{{.ID}}",
					   image_rows, NULL};

struct images_options {
	bool all, digests;
	char **filters; /* owned */
	struct list_view view;
};

#define O(field) offsetof(struct images_options, field)
static const struct flag images_rows[] = {
	{"all", 'a', FLAG_BOOL, O(all), NULL, "Show every image (no image is hidden here)"},
	{"digests", 0, FLAG_BOOL, O(digests), NULL, "Show digests"},
	{"filter", 'f', FLAG_FILTER, O(filters), "key=value", "Keep what matches: dangling, label, before, since, reference"},
	{"format", 0, FLAG_STR, O(view.format), "template", FORMAT_HELP},
	{"no-trunc", 0, FLAG_BOOL, O(view.no_trunc), NULL, "Do not shorten"},
	{"quiet", 'q', FLAG_BOOL, O(view.quiet), NULL, "Show ids only"},
	{"tree", 0, FLAG_REFUSED_BOOL, 0, NULL, "images have one platform each in this version"},
};
#undef O

/* `images NAME` keeps what the reference matches, as --filter reference=NAME does. */
static int list_images(struct cli *cli, struct images_options *o, const struct args *a)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_free_ char *filters = NULL;
	_cleanup_json_ struct json *items = NULL;
	struct err err;
	if (a->n > 0 && strv_push_take(&o->filters, str_printf("reference=%s", a->v[0])) < 0)
		return cli_error("out of memory");
	target_start(&t, "/images/json", NULL, NULL);
	if (o->all)
		target_query(&t, "all", "1");
	if (list_filters(o->filters, &filters, &err) < 0)
		return cli_fail(1, &err);
	if (filters)
		target_query(&t, "filters", filters);
	if (call_json(cli, "GET", &t, NULL, &items, &err) < 0 || list_print(o->digests ? &image_kind_digests : &image_kind, items, &o->view, &err) < 0)
		return cli_fail(1, &err);
	return 0;
}

static int images_run(struct cli *cli, int argc, char **argv)
{
	struct images_options o = {.view = {.now_ns = now_ns()}};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = list_images(cli, &o, &a);
	flag_release(cli->command->flags, &o);
	return code;
}

const struct command command_images = {
	.name = "images",
	.group = GROUP_IMAGES,
	.usage = "[OPTIONS] [REPOSITORY[:TAG]]",
	.summary = "List images",
	.examples = "  coffer images\n  coffer images --format '{{.Repository}}:{{.Tag}} {{.Size}}'\n",
	.flags = {FLAGS(images_rows)},
	.max_args = 1,
	.run = images_run,
};

/* ---- rmi ---- */

struct rmi_options {
	bool force, no_prune;
};

static const struct flag rmi_rows[] = {
	{"force", 'f', FLAG_BOOL, offsetof(struct rmi_options, force), NULL, "Remove it although stopped containers use it or it has more tags"},
	{"no-prune", 0, FLAG_BOOL, offsetof(struct rmi_options, no_prune), NULL, "Keep untagged parents (there are none here)"},
	{"platform", 0, FLAG_REFUSED, 0, NULL, "images have one platform each in this version"},
};

static int rmi_one(struct cli *cli, const struct rmi_options *o, const char *name)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	target_start(&t, "/images/", name, NULL);
	if (o->force)
		target_query(&t, "force", "1");
	if (o->no_prune)
		target_query(&t, "noprune", "1");
	if (call_json(cli, "DELETE", &t, NULL, &answer, &err) < 0)
		return err.kind == ERR_NOT_FOUND && o->force ? (void) cli_fail(1, &err), 0 : cli_fail(1, &err);
	JSON_FOREACH(e, i, answer) {
		const char *deleted = json_str(json_get(e, "Deleted"), NULL);
		(void) printf("%s: %s\n", deleted ? "Deleted" : "Untagged", deleted ? deleted : json_str(json_get(e, "Untagged"), ""));
	}
	return 0;
}

static int rmi_run(struct cli *cli, int argc, char **argv)
{
	struct rmi_options o = {};
	_cleanup_args_ struct args a = {};
	int code = 0, r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	for (size_t i = 0; i < a.n; i++)
		if (rmi_one(cli, &o, a.v[i]) != 0)
			code = 1;
	return code;
}

const struct command command_rmi = {
	.name = "rmi",
	.group = GROUP_IMAGES,
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Remove images",
	.examples = "  coffer rmi busybox\n",
	.flags = {FLAGS(rmi_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = rmi_run,
};

/* ---- tag ---- */

static int tag_run(struct cli *cli, int argc, char **argv)
{
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	struct err err;
	int r = cli_parse(cli, argc, argv, NULL, &a);
	if (r != CLI_PARSED)
		return r;
	const char *tag = tag_of(a.v[1]);
	_cleanup_free_ char *repo = str_printf("%.*s", (int) (tag ? tag - 1 - a.v[1] : (ptrdiff_t) strlen(a.v[1])), a.v[1]);
	if (!repo)
		return cli_error("out of memory");
	target_start(&t, "/images/", a.v[0], "/tag");
	target_query(&t, "repo", repo);
	target_query(&t, "tag", tag ? tag : "latest");
	return call(cli, "POST", &t, NULL, &reply, &err) < 0 ? cli_fail(1, &err) : 0;
}

const struct command command_tag = {
	.name = "tag",
	.group = GROUP_IMAGES,
	.usage = "SOURCE[:TAG] TARGET[:TAG]",
	.summary = "Give an image one more name",
	.examples = "  coffer tag busybox:latest tools/busybox:stable\n",
	.min_args = 2,
	.max_args = 2,
	.run = tag_run,
};

/* ---- history ---- */

static void cell_history_id(const struct json *h, size_t i, const struct list_view *v, struct strbuf *out)
{
	const char *id = json_str(json_get(h, "Id"), "");
	if (str_after(id, "sha256:"))
		cell_id(id, v, out);
	else
		strbuf_adds(out, *id ? id : "<missing>");
}

static void cell_created_by(const struct json *h, size_t i, const struct list_view *v, struct strbuf *out)
{
	text_ellipsis(out, json_str(json_get(h, "CreatedBy"), ""), v->no_trunc ? SIZE_MAX : 45);
}

static void cell_history_size(const struct json *h, size_t i, const struct list_view *v, struct strbuf *out)
{
	if (v->human)
		cell_size(h, i, v, out);
	else
		strbuf_addf(out, "%lld", (long long) json_int(json_get(h, "Size"), 0));
}

static void cell_comment(const struct json *h, size_t i, const struct list_view *v, struct strbuf *out)
{
	strbuf_adds(out, json_str(json_get(h, "Comment"), ""));
}

static void cell_history_date(const struct json *h, size_t i, const struct list_view *v, struct strbuf *out)
{
	char buf[TIME_RFC3339_MAX];
	(void) time_format_rfc3339(buf, json_int(json_get(h, "Created"), 0) * NSEC_PER_SEC, /* fixed= */ false);
	strbuf_adds(out, buf);
}

static void cell_history_since(const struct json *h, size_t i, const struct list_view *v, struct strbuf *out)
{
	if (v->human)
		cell_created_since(h, i, v, out);
	else
		cell_history_date(h, i, v, out);
}

static const struct column history_columns[] = {
	{"Comment", "COMMENT", cell_comment},
	{"CreatedAt", "CREATED AT", cell_history_date},
	{"CreatedBy", "CREATED BY", cell_created_by},
	{"CreatedSince", "CREATED", cell_history_since},
	{"ID", "IMAGE", cell_history_id},
	{"Size", "SIZE", cell_history_size},
};
#define HISTORY(since) {history_columns, ARRAY_LEN(history_columns), "{{.ID}}\t{{." since "}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}", "{{.ID}}", NULL, NULL}
static const struct list_kind history_kind = HISTORY("CreatedSince"), history_kind_exact = HISTORY("CreatedAt");

static const struct flag history_rows[] = {
	{"format", 0, FLAG_STR, offsetof(struct list_view, format), "template", FORMAT_HELP},
	{"human", 'H', FLAG_BOOL, offsetof(struct list_view, human), NULL, "Sizes and dates for people (default true)"},
	{"no-trunc", 0, FLAG_BOOL, offsetof(struct list_view, no_trunc), NULL, "Do not shorten"},
	{"quiet", 'q', FLAG_BOOL, offsetof(struct list_view, quiet), NULL, "Show ids only"},
};

static int history_run(struct cli *cli, int argc, char **argv)
{
	struct list_view v = {.human = true, .now_ns = now_ns()};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *items = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, &v, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/images/", a.v[0], "/history");
	if (call_json(cli, "GET", &t, NULL, &items, &err) < 0 || list_print(v.human ? &history_kind : &history_kind_exact, items, &v, &err) < 0)
		return cli_fail(1, &err);
	return 0;
}

const struct command command_history = {
	.name = "history",
	.group = GROUP_IMAGES,
	.usage = "[OPTIONS] IMAGE",
	.summary = "Show how an image was made",
	.examples = "  coffer history --no-trunc busybox\n",
	.flags = {FLAGS(history_rows)},
	.min_args = 1,
	.max_args = 1,
	.run = history_run,
};
