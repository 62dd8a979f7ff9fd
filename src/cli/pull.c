/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pull.h"

#include <errno.h>

#include "cli/credentials.h"
#include "cli/link.h"
#include "cli/progress.h"
#include "spec/image.h"

static int target(struct strbuf *t, const struct image_ref *ref, const char *platform, bool all, struct err *err)
{
	_cleanup_free_ char *name = str_printf("%s/%s", ref->domain, ref->path);
	if (!name)
		return err_oom(err);
	target_start(t, "/images/create", NULL, NULL);
	target_query(t, "fromImage", name);
	if (!all)
		target_query(t, "tag", ref->digest ? ref->digest : ref->tag);
	if (platform)
		target_query(t, "platform", platform);
	return 0;
}

static int receive(struct cli *cli, struct http_conn *c, FILE *out, struct err *err)
{
	struct progress p;
	const char *text;
	size_t n;
	int r;
	progress_init(&p, out);
	while ((r = http_recv_body(c, &text, &n)) > 0)
		if ((r = progress_feed(&p, text, n, err)) < 0)
			break;
	if (r == 0)
		r = progress_feed(&p, "\n", 1, err);
	else if (r < 0 && err->kind == ERR_NONE)
		r = link_lost(cli, r, err);
	progress_done(&p);
	return r;
}

/* With the credentials for image @ref's registry, up to the answer's head. *@ret: owned. */
static int registry_call(struct cli *cli, const char *method, const struct strbuf *t, const char *ref, struct http_conn **ret, struct err *err)
{
	_cleanup_http_conn_ struct http_conn *c = NULL;
	_cleanup_strbuf_ struct strbuf headers = STRBUF_INIT(64 << 10);
	_cleanup_credentials_ struct credentials creds = {NULL};
	_cleanup_free_ char *server = NULL;
	struct http_answer a;
	int found = credentials_server(ref, &server, err);
	if (found >= 0)
		found = credentials_read(server, &creds, err);
	if (found < 0)
		return found;
	if (strbuf_err(t) < 0)
		return err_set(err, ERR_INVALID, "the request's path is too long");
	credentials_header(server, found > 0 ? &creds : NULL, &headers);
	int r = link_open(cli, &c, err);
	if (r < 0)
		return r;
	r = http_send(c, &(struct http_call) {.method = method, .target = t->s, .headers = headers.s});
	if (headers.s)
		explicit_bzero(headers.s, headers.len);
	if (r < 0 && r != -EPIPE)
		return link_lost(cli, r, err);
	r = call_head(cli, c, &a, err);
	if (r >= 0)
		*ret = take_ptr(c);
	return r;
}

int registry_post(struct cli *cli, const struct strbuf *t, const char *ref, FILE *out, struct err *err)
{
	_cleanup_http_conn_ struct http_conn *c = NULL;
	int r = registry_call(cli, "POST", t, ref, &c, err);
	*err = r < 0 ? *err : (struct err) {0};
	return r < 0 ? r : receive(cli, c, out, err);
}

int registry_get(struct cli *cli, const struct strbuf *t, const char *ref, struct json **ret, struct err *err)
{
	_cleanup_http_conn_ struct http_conn *c = NULL;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(REPLY_MAX);
	int r = registry_call(cli, "GET", t, ref, &c, err);
	if (r < 0)
		return r;
	r = http_recv_text(c, &text);
	return r < 0 ? link_lost(cli, r, err) : json_parse(text.s ? text.s : "", text.len, REPLY_MAX, "the engine's answer", ret, err);
}

int pull_image(struct cli *cli, const char *text, const char *platform, bool all, FILE *out, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	struct image_ref ref = {0};
	int r = image_ref_parse(text, &ref, err);
	if (r >= 0)
		r = target(&t, &ref, platform, all, err);
	image_ref_done(&ref);
	return r < 0 ? r : registry_post(cli, &t, text, out, err);
}

/* The command */

struct pull_options {
	bool all, quiet, untrusted;
	const char *platform; /* borrowed */
};

static const struct flag pull_rows[] = {
	{"all-tags", 'a', FLAG_BOOL, offsetof(struct pull_options, all), NULL, "Every tag of the repository"},
	{"disable-content-trust", 0, FLAG_BOOL, offsetof(struct pull_options, untrusted), NULL, "Taken for docker's sake: policy.json decides"},
	{"platform", 0, FLAG_STR, offsetof(struct pull_options, platform), "os/arch", "Of an image for several platforms, this one"},
	{"quiet", 'q', FLAG_BOOL, offsetof(struct pull_options, quiet), NULL, "Print the name alone"},
};

static bool is_bare(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	return !strchr(ref, '@') && !strchr(slash ? slash : ref, ':');
}

static int print_full(const char *text)
{
	struct image_ref ref = {0};
	_cleanup_free_ char *full = image_ref_parse(text, &ref, NULL) >= 0 ? image_ref_full(&ref) : NULL;
	image_ref_done(&ref);
	(void) printf("%s\n", full ? full : text);
	return 0;
}

static int pull_run(struct cli *cli, int argc, char **argv)
{
	struct pull_options o = {};
	_cleanup_args_ struct args a = {};
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (o.all && !is_bare(a.v[0]))
		return cli_error("tag can't be used with --all-tags/-a");
	if (!o.all && is_bare(a.v[0]) && !o.quiet)
		(void) printf("Using default tag: latest\n");
	(void) fflush(stdout);
	if (pull_image(cli, a.v[0], o.platform, o.all, o.quiet ? NULL : stdout, &err) < 0)
		return cli_fail(1, &err);
	return o.all ? 0 : print_full(a.v[0]);
}

const struct command command_pull = {
	.name = "pull",
	.group = GROUP_IMAGES,
	.usage = "[OPTIONS] NAME[:TAG|@DIGEST]",
	.summary = "Fetch an image from a registry",
	.examples = "  coffer pull debian:12\n  coffer pull registry.example:5000/team/app@sha256:...\n",
	.flags = {FLAGS(pull_rows)},
	.min_args = 1,
	.max_args = 1,
	.run = pull_run,
};
