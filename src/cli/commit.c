/* SPDX-License-Identifier: Apache-2.0 */
/* `commit`: an image of what a container has written. */
#include <errno.h>
#include <stdio.h>

#include "cli/call.h"

struct commit_options {
	const char *author, *message; /* borrowed */
	char **changes;               /* owned */
	bool pause;
};

static const struct flag commit_rows[] = {
	{"author", 'a', FLAG_STR, offsetof(struct commit_options, author), "text", "Author, such as \"Jane Doe <jane@example.org>\""},
	{"change", 'c', FLAG_LIST, offsetof(struct commit_options, changes), "instruction", "Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, USER, WORKDIR, ..."},
	{"message", 'm', FLAG_STR, offsetof(struct commit_options, message), "text", "Comment in the image's history"},
	{"pause", 'p', FLAG_BOOL, offsetof(struct commit_options, pause), NULL, "Pause the container meanwhile (default true)"},
};

/* "name:tag" as the two that the API takes; a colon before a '/' belongs to a registry's port. */
static int add_ref(struct strbuf *t, const char *ref)
{
	const char *slash = strrchr(ref, '/'), *colon = strrchr(ref, ':');
	bool tagged = colon && (!slash || colon > slash) && !strchr(ref, '@');
	_cleanup_free_ char *repo = tagged ? strndup(ref, (size_t) (colon - ref)) : strdup(ref);
	if (!repo)
		return -ENOMEM;
	target_query(t, "repo", repo);
	if (tagged)
		target_query(t, "tag", colon + 1);
	return 0;
}

static int commit(struct cli *cli, const struct commit_options *o, const struct args *a, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *doc = NULL;
	target_start(&t, "/commit", NULL, NULL);
	target_query(&t, "container", a->v[0]);
	if (a->n > 1 && add_ref(&t, a->v[1]) < 0)
		return err_oom(err);
	if (o->author)
		target_query(&t, "author", o->author);
	if (o->message)
		target_query(&t, "comment", o->message);
	target_query(&t, "pause", o->pause ? "1" : "0");
	STRV_FOREACH(line, o->changes)
		target_query(&t, "changes", line);
	int r = call_json(cli, "POST", &t, NULL, &doc, err);
	if (r >= 0)
		printf("%s\n", json_str(json_get(doc, "Id"), ""));
	return r;
}

static int commit_run(struct cli *cli, int argc, char **argv)
{
	struct commit_options o = {.pause = true};
	_cleanup_args_ struct args a = {};
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r == CLI_PARSED)
		r = commit(cli, &o, &a, &err) < 0 ? cli_fail(1, &err) : 0;
	flag_release(cli->command->flags, &o);
	return r;
}

const struct command command_commit = {
	.name = "commit",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
	.summary = "Make an image of a container's image and what it has changed",
	.examples = "  coffer commit web web:patched\n  coffer commit -m 'with curl' -c 'CMD [\"nginx\"]' web web:2\n",
	.flags = {FLAGS(commit_rows)},
	.min_args = 1,
	.max_args = 2,
	.run = commit_run,
};
