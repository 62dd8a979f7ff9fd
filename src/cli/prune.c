/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `container prune`, `image prune`, `volume prune` and `system prune`: remove what is not in use, after a question.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/num.h"
#include "cli/call.h"
#include "cli/list.h"

struct prune_options {
	bool all, force, volumes;
	char **filters; /* owned */
};

struct prune_kind {
	const char *target, *list, *heading, *warning, *warning_all;
	const char *all; /* the filter that -a stands for; NULL: no -a */
};

#define O(field) offsetof(struct prune_options, field)
static const struct flag container_rows[] = {
	{"filter", 0, FLAG_FILTER, O(filters), "key=value", "Only what matches: until, label, label!"},
	{"force", 'f', FLAG_BOOL, O(force), NULL, "Do not ask"},
};
static const struct flag image_rows[] = {
	{"all", 'a', FLAG_BOOL, O(all), NULL, "Every image that no container uses, not only those without a name"},
	{"filter", 0, FLAG_FILTER, O(filters), "key=value", "Only what matches: until, label, label!"},
	{"force", 'f', FLAG_BOOL, O(force), NULL, "Do not ask"},
};
static const struct flag volume_rows[] = {
	{"all", 'a', FLAG_BOOL, O(all), NULL, "Every volume that no container uses, not only anonymous ones"},
	{"filter", 0, FLAG_FILTER, O(filters), "key=value", "Only what matches: label, label!"},
	{"force", 'f', FLAG_BOOL, O(force), NULL, "Do not ask"},
};
static const struct flag network_rows[] = {
	{"filter", 0, FLAG_FILTER, O(filters), "key=value", "Only what matches: until, label, label!"},
	{"force", 'f', FLAG_BOOL, O(force), NULL, "Do not ask"},
};
static const struct flag system_rows[] = {
	{"all", 'a', FLAG_BOOL, O(all), NULL, "Every image that no container uses, not only those without a name"},
	{"filter", 0, FLAG_FILTER, O(filters), "key=value", "Only what matches: until, label, label!"},
	{"force", 'f', FLAG_BOOL, O(force), NULL, "Do not ask"},
	{"volumes", 0, FLAG_BOOL, O(volumes), NULL, "Anonymous volumes, too"},
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

/* One kind: asks the engine, prints what went. *@bytes: grows by what was reclaimed. */
static int prune_kind(struct cli *cli, const struct prune_kind *k, char *const *filters, int64_t *bytes, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_free_ char *value = NULL;
	_cleanup_json_ struct json *answer = NULL;
	int r = list_filters(filters, &value, err);
	if (r < 0)
		return r;
	target_start(&t, k->target, NULL, NULL);
	if (value)
		target_query(&t, "filters", value);
	if ((r = call_json(cli, "POST", &t, NULL, &answer, err)) < 0)
		return r;
	const struct json *gone = json_get(answer, k->list);
	if (json_len(gone) > 0)
		(void) printf("%s:\n", k->heading);
	JSON_FOREACH(v, i, gone)
		print_gone(v);
	if (json_len(gone) > 0)
		(void) printf("\n");
	*bytes += MAX(json_int(json_get(answer, "SpaceReclaimed"), 0), (int64_t) 0);
	return 0;
}

static int print_total(int64_t bytes)
{
	char size[24];
	(void) printf("Total reclaimed space: %s\n", format_size(size, sizeof(size), (uint64_t) bytes));
	return 0;
}

static int prune(struct cli *cli, const struct prune_kind *k, struct prune_options *o)
{
	struct err err;
	int64_t bytes = 0;
	if (o->all && strv_push(&o->filters, k->all) < 0)
		return cli_error("out of memory");
	if (!o->force && !is_sure(o->all ? k->warning_all : k->warning))
		return 0;
	if (prune_kind(cli, k, o->filters, &bytes, &err) < 0)
		return cli_fail(1, &err);
	return str_eq(k->list, "NetworksDeleted") ? 0 : print_total(bytes); /* networks take no space */
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

static const struct prune_kind containers = {"/containers/prune", "ContainersDeleted", "Deleted Containers", "This will remove all stopped containers.", NULL, NULL};
static const struct prune_kind images = {"/images/prune", "ImagesDeleted", "Deleted Images", "This will remove all dangling images.",
					 "This will remove all images without at least one container associated to them.", "dangling=false"};
static const struct prune_kind volumes = {"/volumes/prune", "VolumesDeleted", "Deleted Volumes", "This will remove anonymous local volumes not used by at least one container.",
					  "This will remove all local volumes not used by at least one container.", "all=true"};
static const struct prune_kind networks = {"/networks/prune", "NetworksDeleted", "Deleted Networks", "This will remove all custom networks not used by at least one container.", NULL, NULL};

static int container_run(struct cli *cli, int argc, char **argv)
{
	return run(cli, &containers, argc, argv);
}

static int image_run(struct cli *cli, int argc, char **argv)
{
	return run(cli, &images, argc, argv);
}

static int network_run(struct cli *cli, int argc, char **argv)
{
	return run(cli, &networks, argc, argv);
}

static int volume_run(struct cli *cli, int argc, char **argv)
{
	return run(cli, &volumes, argc, argv);
}

/* The filters that @k understands: the engine refuses the others by name, and a volume has no time to be younger than. */
static int system_prune_kind(struct cli *cli, const struct prune_kind *k, const struct prune_options *o, int64_t *bytes, struct err *err)
{
	_cleanup_strv_ char **filters = NULL;
	if (strv_dup(o->filters, &filters) < 0 || (k == &images && strv_push(&filters, o->all ? "dangling=false" : "dangling=true") < 0))
		return err_oom(err);
	return prune_kind(cli, k, filters, bytes, err);
}

static bool has_until(char *const *filters)
{
	STRV_FOREACH (f, filters)
		if (str_after(f, "until="))
			return true;
	return false;
}

static int system_prune(struct cli *cli, const struct prune_options *o)
{
	const struct prune_kind *const order[] = {&containers, &networks, o->volumes ? &volumes : NULL, &images};
	char warning[512];
	struct err err;
	int64_t bytes = 0;
	if (o->volumes && has_until(o->filters))
		return cli_error("the \"until\" filter is not supported with \"--volumes\"");
	(void) snprintf(warning, sizeof(warning), "This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n%s  - all %s\n",
			o->volumes ? "  - all anonymous volumes not used by at least one container\n" : "",
			o->all ? "images without at least one container associated to them" : "dangling images");
	if (!o->force && !is_sure(warning))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (order[i] && system_prune_kind(cli, order[i], o, &bytes, &err) < 0)
			return cli_fail(1, &err);
	return print_total(bytes);
}

static int system_run(struct cli *cli, int argc, char **argv)
{
	struct prune_options o = {};
	_cleanup_args_ struct args a = {};
	int code = cli_parse(cli, argc, argv, &o, &a);
	if (code == CLI_PARSED)
		code = system_prune(cli, &o);
	flag_release(cli->command->flags, &o);
	return code;
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

const struct command command_network_prune = {
	.name = "network prune",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS]",
	.summary = "Remove networks that no container is on",
	.examples = "  coffer network prune -f --filter until=24h\n",
	.flags = {FLAGS(network_rows)},
	.max_args = 0,
	.run = network_run,
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

const struct command command_system_prune = {
	.name = "system prune",
	.group = GROUP_SUB,
	.usage = "[OPTIONS]",
	.summary = "Remove containers, networks and images that nobody uses",
	.examples = "  coffer system prune\n  coffer system prune -af --volumes\n  coffer system prune -f --filter until=24h\n",
	.flags = {FLAGS(system_rows)},
	.max_args = 0,
	.run = system_run,
};
