/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `push`: an image goes to a registry.
 */
#include <stdio.h>

#include "cli/pull.h"
#include "spec/image.h"

struct push_options {
	bool all, quiet, untrusted;
	const char *platform; /* borrowed */
};

static const struct flag push_rows[] = {
	{"all-tags", 'a', FLAG_BOOL, offsetof(struct push_options, all), NULL, "Every tag of the repository"},
	{"disable-content-trust", 0, FLAG_BOOL, offsetof(struct push_options, untrusted), NULL, "Taken for docker's sake: nothing is signed here"},
	{"platform", 0, FLAG_STR, offsetof(struct push_options, platform), "os/arch", "Push only if the image is for this one"},
	{"quiet", 'q', FLAG_BOOL, offsetof(struct push_options, quiet), NULL, "Print the name alone"},
};

static bool is_bare(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	return !strchr(ref, '@') && !strchr(slash ? slash : ref, ':');
}

/* "linux/arm/v7" as the API takes it. */
static int platform_query(struct strbuf *t, const char *text, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1000);
	static const char *const keys[] = {"os", "architecture", "variant"};
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	for (size_t i = 0; *text || i < 2; i++) {
		size_t n = strcspn(text, "/");
		if (i >= ARRAY_LEN(keys) || n == 0)
			return err_set(err, ERR_INVALID, "--platform: use os/architecture[/variant], as in linux/amd64");
		jw_strn(&w, keys[i], text, n);
		text += n + (text[n] == '/');
	}
	jw_end(&w);
	if (strbuf_err(&b) < 0)
		return err_set(err, ERR_INVALID, "--platform: too long");
	target_query(t, "platform", b.s);
	return 0;
}

static int push(struct cli *cli, const struct push_options *o, const char *text, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	struct image_ref ref = {0};
	int r = image_ref_parse(text, &ref, err);
	if (r >= 0 && ref.digest)
		r = err_set(err, ERR_INVALID, "cannot push a digest reference");
	_cleanup_free_ char *name = r < 0 ? NULL : str_printf("%s/%s", ref.domain, ref.path);
	if (r >= 0 && !name)
		r = err_oom(err);
	if (r >= 0) {
		target_start(&t, "/images/", name, "/push");
		if (!o->all)
			target_query(&t, "tag", ref.tag);
		if (o->platform)
			r = platform_query(&t, o->platform, err);
	}
	image_ref_done(&ref);
	return r < 0 ? r : registry_post(cli, &t, text, o->quiet ? NULL : stdout, err);
}

static int push_run(struct cli *cli, int argc, char **argv)
{
	struct push_options o = {};
	_cleanup_args_ struct args a = {};
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (o.all && !is_bare(a.v[0]))
		return cli_error("tag can't be used with --all-tags/-a");
	if (!o.all && is_bare(a.v[0]) && !o.quiet)
		(void) printf("Using default tag: latest\n");
	if (push(cli, &o, a.v[0], &err) < 0)
		return cli_fail(1, &err);
	if (o.quiet)
		(void) printf("%s\n", a.v[0]);
	return 0;
}

const struct command command_push = {
	.name = "push",
	.group = GROUP_IMAGES,
	.usage = "[OPTIONS] NAME[:TAG]",
	.summary = "Send an image to a registry",
	.examples = "  coffer push registry.example:5000/team/app:1\n",
	.flags = {FLAGS(push_rows)},
	.min_args = 1,
	.max_args = 1,
	.run = push_run,
};
