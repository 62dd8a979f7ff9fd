/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `manifest inspect`: what a registry has under a name, without fetching the image. Docker asks the registry itself; here the engine does, so that its certificates, mirrors
 * and proxies are the same as for a pull.
 */
#include <stdio.h>

#include "base/base64.h"
#include "base/pretty.h"
#include "cli/pull.h"
#include "spec/image.h"

struct manifest_options {
	bool verbose, insecure;
};

static const struct flag rows[] = {
	{"insecure", 0, FLAG_REFUSED_BOOL, 0, NULL, "name the registry in insecure-registries"},
	{"verbose", 'v', FLAG_BOOL, offsetof(struct manifest_options, verbose), NULL, "Every manifest of an index, with its platform and digest"},
};

/* docker indents by tabs, and what is an index by three blanks. */
static int show_raw(const struct json *answer, struct strbuf *out, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(16 << 20);
	bool index = media_type_is_index(json_str(json_get(json_get(answer, "Descriptor"), "mediaType"), ""));
	if (base64_decode(json_str(json_get(answer, "Raw"), ""), &text) < 0 || !text.s)
		return err_set(err, ERR_CORRUPT, "the engine's answer holds no manifest");
	json_pretty_by(text.s, index ? "   " : "\t", 0, out);
	return 0;
}

static int show_each(const struct json *answer, struct strbuf *out, struct err *err)
{
	const struct json *list = json_get(answer, "Manifests");
	bool index = media_type_is_index(json_str(json_get(json_get(answer, "Descriptor"), "mediaType"), ""));
	_cleanup_free_ char *text = json_dump(index ? list : json_at(list, 0));
	if (!text)
		return err_set(err, ERR_CORRUPT, "the engine's answer holds no manifest");
	json_pretty_by(text, "\t", 0, out);
	return 0;
}

static int manifest_run(struct cli *cli, int argc, char **argv)
{
	struct manifest_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, out = STRBUF_INIT(REPLY_MAX);
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/distribution/", a.v[a.n - 1], "/manifests");
	if (o.verbose)
		target_query(&t, "each", "1");
	r = a.n == 2 ? err_set(&err, ERR_UNSUPPORTED, "manifest lists are not made here: '%.100s' is no list on this host", a.v[0]) : registry_get(cli, &t, a.v[0], &answer, &err);
	r = r < 0 ? r : o.verbose ? show_each(answer, &out, &err) : show_raw(answer, &out, &err);
	if (r >= 0 && strbuf_err(&out) < 0)
		r = err_set(&err, ERR_QUOTA, "more than can be shown");
	if (r < 0)
		return cli_fail(1, &err);
	(void) printf("%s\n", out.s ? out.s : "");
	return 0;
}

const struct command command_manifest_inspect = {
	.name = "manifest inspect",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS] [MANIFEST_LIST] MANIFEST",
	.summary = "Show an image's manifest, or a list of them, as a registry has it",
	.examples = "  coffer manifest inspect debian:12\n",
	.flags = {FLAGS(rows)},
	.min_args = 1,
	.max_args = 2,
	.run = manifest_run,
};
