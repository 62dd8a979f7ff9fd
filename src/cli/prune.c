/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `container prune`, `image prune`, `volume prune`: remove what is not in use, after a question.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/num.h"
#include "cli/call.h"
#include "cli/list.h"

struct prune_options {
	bool all, force;
	char **filters; /* owned */
};

struct prune_kind {
	const char *target, *list, *heading, *warning, *warning_all;
	const char *all; /* the filter that -a stands for; NULL: no -a */
};

#define O(field) offsetof(struct prune_options, field)
static const struct flag container_rows[] = {
	{"filter", 0, FLAG_LIST, O(filters), "key=value", "Only what matches: until, label, label!"},
	{"force", 'f', FLAG_BOOL, O(force), NULL, "Do not ask"},
};
static const struct flag image_rows[] = {
	{"all", 'a', FLAG_BOOL, O(all), NULL, "Every image that no container uses, not only those without a name"},
	{"filter", 0, FLAG_LIST, O(filters), "key=value", "Only what matches: until, label, label!"},
	{"force", 'f', FLAG_BOOL, O(force), NULL, "Do not ask"},
};
static const struct flag volume_rows[] = {
	{"all", 'a', FLAG_BOOL, O(all), NULL, "Every volume that no container uses, not only anonymous ones"},
	{"filter", 0, FLAG_LIST, O(filters), "key=value", "Only what matches: label, label!"},
	{"force", 'f', FLAG_BOOL, O(force), NULL, "Do not ask"},
};
#undef O

static bool is_sure(const char *warning)
{
	char line[16] = "";
	(void) printf("WARNING! %s\nAre you sure you want to continue? [y/N] ", warning);
	(void) fflush(stdout);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* Images come as objects of one member, the others as names. */
static void print_gone(const struct json *v)
{
	if (json_kind(v) == JSON_KIND_STRING)
		(void) printf("%s\n", json_str(v, ""));
	JSON_FOREACH_MEMBER(what, name, v) {
		const char *word = str_eq(what, "Untagged") ? "untagged" : "deleted";
		(void) printf("%s: %s\n", word, json_str(name, ""));
	}
}

static int prune(struct cli *cli, const struct prune_kind *k, struct prune_options *o)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_free_ char *filters = NULL;
	_cleanup_json_ struct json *answer = NULL;
	char size[24];
	struct err err;
	if (o->all && strv_push(&o->filters, k->all) < 0)
		return cli_error("out of memory");
	if (list_filters(o->filters, &filters, &err) < 0)
		return cli_fail(1, &err);
	if (!o->force && !is_sure(o->all ? k->warning_all : k->warning))
		return 0;
	target_start(&t, k->target, NULL, NULL);
	if (filters)
		target_query(&t, "filters", filters);
	if (call_json(cli, "POST", &t, NULL, &answer, &err) < 0)
		return cli_fail(1, &err);
	const struct json *gone = json_get(answer, k->list);
	if (json_len(gone) > 0)
		(void) printf("%s:\n", k->heading);
	JSON_FOREACH(v, i, gone)
		print_gone(v);
	(void) printf("%sTotal reclaimed space: %s\n", json_len(gone) > 0 ? "\n" : "",
		      format_size(size, sizeof(size), (uint64_t) MAX(json_int(json_get(answer, "SpaceReclaimed"), 0), (int64_t) 0)));
	return 0;
}

static int run(struct cli *cli, const struct prune_kind *k, int argc, char **argv)
{
	struct prune_options o = {};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = prune(cli, k, &o);
	flag_release(cli->command->flags, &o);
	return code;
}

static int container_run(struct cli *cli, int argc, char **argv)
{
	static const struct prune_kind kind = {"/containers/prune", "ContainersDeleted", "Deleted Containers", "This will remove all stopped containers.", NULL, NULL};
	return run(cli, &kind, argc, argv);
}

static int image_run(struct cli *cli, int argc, char **argv)
{
	static const struct prune_kind kind = {"/images/prune", "ImagesDeleted", "Deleted Images", "This will remove all dangling images.",
					       "This will remove all images without at least one container associated to them.", "dangling=false"};
	return run(cli, &kind, argc, argv);
}

static int volume_run(struct cli *cli, int argc, char **argv)
{
	static const struct prune_kind kind = {"/volumes/prune", "VolumesDeleted", "Deleted Volumes", "This will remove anonymous local volumes not used by at least one container.",
					       "This will remove all local volumes not used by at least one container.", "all=true"};
	return run(cli, &kind, argc, argv);
}

const struct command command_container_prune = {
	.name = "container prune",
	.group = GROUP_SUB,
	.usage = "[OPTIONS]",
	.summary = "Remove all stopped containers",
	.examples = "  coffer container prune --filter until=24h\n  coffer container prune -f --filter label=ci\n",
	.flags = {FLAGS(container_rows)},
	.max_args = 0,
	.run = container_run,
};

const struct command command_image_prune = {
	.name = "image prune",
	.group = GROUP_SUB,
	.usage = "[OPTIONS]",
	.summary = "Remove images that nobody uses",
	.examples = "  coffer image prune\n  coffer image prune -af\n",
	.flags = {FLAGS(image_rows)},
	.max_args = 0,
	.run = image_run,
};

const struct command command_volume_prune = {
	.name = "volume prune",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS]",
	.summary = "Remove volumes that nobody uses",
	.examples = "  coffer volume prune\n  coffer volume prune -af --filter label=ci\n",
	.flags = {FLAGS(volume_rows)},
	.max_args = 0,
	.run = volume_run,
};
