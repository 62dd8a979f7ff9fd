/* SPDX-License-Identifier: Apache-2.0 */
/* features: what this runtime can do, as the specification's features document. */
#include "oci/view.h"
#include "sandbox/features.h"

static const char *const annotations[][2] = {
	{"org.coffer.version", COFFER_VERSION},
	{NULL, NULL},
};

static int run_features(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1u << 20);
	struct features_facts facts = {};
	sandbox_features(&facts);
	facts.annotations = annotations;
	int r = features_write(&facts, &b, err);
	return r < 0 ? r : view_print(&b, err);
}

const struct oci_command oci_features = {
	.name = "features", .usage = "", .summary = "Print what this runtime supports as JSON", .examples = "  coffer-oci features", .max_args = 0, .run = run_features,
};
