/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `inspect` and its kind-bound forms: what the engine records about containers, images and volumes.
 */
#include <stdio.h>

#include "cli/call.h"
#include "base/pretty.h"
#include "cli/template.h"

#define OUTPUT_MAX ((size_t) 256 << 20)

struct inspect_options {
	const char *format, *type; /* borrowed */
	bool size;
};

#define O(field) offsetof(struct inspect_options, field)
static const struct flag any_rows[] = {
	{"format", 'f', FLAG_STR, O(format), "template", "Go template, or json"},
	{"size", 's', FLAG_BOOL, O(size), NULL, "Show sizes of containers"},
	{"type", 0, FLAG_STR, O(type), "type", "Look for a container, image or volume only"},
};
static const struct flag container_rows[] = {
	{"format", 'f', FLAG_STR, O(format), "template", "Go template, or json"},
	{"size", 's', FLAG_BOOL, O(size), NULL, "Show sizes"},
};
static const struct flag rows[] = {
	{"format", 'f', FLAG_STR, O(format), "template", "Go template, or json"},
};

/* Where a name is looked for, in this order. */
static const struct place {
	const char *type, *before, *after;
} places[] = {
	{"container", "/containers/", "/json"},
	{"image", "/images/", "/json"},
	{"volume", "/volumes/", NULL},
	{"network", "/networks/", NULL},
};

static int find(struct cli *cli, const struct inspect_options *o, const char *name, struct reply *ret, struct err *err)
{
	int r = -1;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
		if (o->type && !str_eq(o->type, places[i].type))
			continue;
		target_start(&t, places[i].before, name, places[i].after);
		if (o->size && i == 0)
			target_query(&t, "size", "1");
		r = call(cli, "GET", &t, NULL, ret, err);
		bool go_on = err->kind == ERR_NOT_FOUND || (err->kind == ERR_INVALID && !o->type); /* an image's name may be no container's */
		if (r == 0 || !go_on)
			return r;
	}
	if (!o->type)
		return err_set(err, ERR_NOT_FOUND, "no such object: %.200s", name);
	return r;
}

static int show(const struct inspect_options *o, const struct reply *reply, bool first, struct strbuf *out, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	if (!o->format) {
		strbuf_adds(out, first ? "\n    " : ",\n    ");
		json_pretty(reply->text.s ? reply->text.s : "null", 1, out);
		return 0;
	}
	int r = json_parse(reply->text.s ? reply->text.s : "", reply->text.len, REPLY_MAX, "the engine's answer", &doc, err);
	if (r == 0)
		r = template_run(str_eq(o->format, "json") ? "{{json .}}" : o->format, doc, out, err);
	strbuf_addc(out, '\n');
	return r;
}

static int inspect(struct cli *cli, const struct inspect_options *o, const struct args *a)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(OUTPUT_MAX);
	int code = 0;
	bool first = true;
	struct err bad;
	if (o->format && template_check(o->format, &bad) < 0)
		return cli_fail(CLI_EXIT_TEMPLATE, &bad);
	for (size_t i = 0; i < a->n; i++) {
		_cleanup_reply_ struct reply reply = REPLY_INIT;
		struct err err = {};
		if (find(cli, o, a->v[i], &reply, &err) < 0) {
			code = cli_fail(1, &err);
			continue;
		}
		if (show(o, &reply, first, &out, &err) < 0)
			return cli_fail(1, &err);
		first = false;
	}
	if (strbuf_err(&out) < 0)
		return cli_error("the answer is too large to show");
	if (!o->format)
		(void) printf("[%s%s]\n", out.s ? out.s : "", first ? "" : "\n");
	else
		(void) printf("%s", out.s ? out.s : "");
	return code;
}

static int run_typed(struct cli *cli, const char *type, int argc, char **argv)
{
	struct inspect_options o = {.type = type};
	_cleanup_args_ struct args a = {};
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	bool known = !o.type;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		known = known || str_eq(o.type, places[i].type);
	if (!known)
		return cli_error("'%.60s' is not a type to inspect: use container, image or volume", o.type);
	return inspect(cli, &o, &a);
}

static int any_run(struct cli *cli, int argc, char **argv)
{
	return run_typed(cli, NULL, argc, argv);
}

static int container_run(struct cli *cli, int argc, char **argv)
{
	return run_typed(cli, "container", argc, argv);
}

static int image_run(struct cli *cli, int argc, char **argv)
{
	return run_typed(cli, "image", argc, argv);
}

static int network_run(struct cli *cli, int argc, char **argv)
{
	return run_typed(cli, "network", argc, argv);
}

static int volume_run(struct cli *cli, int argc, char **argv)
{
	return run_typed(cli, "volume", argc, argv);
}

const struct command command_inspect = {
	.name = "inspect",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] NAME [NAME...]",
	.summary = "Show everything that is recorded about containers, images, volumes or networks",
	.examples = "  coffer inspect web\n  coffer inspect -f '{{.State.Status}} {{.State.ExitCode}}' web\n",
	.flags = {FLAGS(any_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = any_run,
};

const struct command command_container_inspect = {
	.name = "container inspect",
	.group = GROUP_SUB,
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Show everything that is recorded about containers",
	.examples = "  coffer container inspect web\n",
	.flags = {FLAGS(container_rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = container_run,
};

const struct command command_image_inspect = {
	.name = "image inspect",
	.group = GROUP_SUB,
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Show everything that is recorded about images",
	.examples = "  coffer image inspect -f '{{json .Config.Env}}' busybox\n",
	.flags = {FLAGS(rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = image_run,
};

const struct command command_network_inspect = {
	.name = "network inspect",
	.group = GROUP_SUB,
	.usage = "[OPTIONS] NETWORK [NETWORK...]",
	.summary = "Show everything that is recorded about networks, and who is on them",
	.examples = "  coffer network inspect -f '{{(index .IPAM.Config 0).Subnet}}' bridge\n",
	.flags = {FLAGS(rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = network_run,
};

const struct command command_volume_inspect = {
	.name = "volume inspect",
	.group = GROUP_SUB,
	.usage = "[OPTIONS] VOLUME [VOLUME...]",
	.summary = "Show everything that is recorded about volumes",
	.examples = "  coffer volume inspect data\n",
	.flags = {FLAGS(rows)},
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = volume_run,
};
