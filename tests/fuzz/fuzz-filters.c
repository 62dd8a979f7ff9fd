/* SPDX-License-Identifier: Apache-2.0 */
/* ?filters=: a value that passes the check reads the same in both of docker's forms, and one that does not is never taken for "no filter". */
#include <stdio.h>

#include "engine/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const known[] = {"label", "label!", "until", "dangling", "name", "all", NULL};

/* {"k": ["a", "b"]} of what was read of @f */
static struct json *as_lists(const struct json *f)
{
	struct strbuf b = STRBUF_INIT(8 << 20);
	struct json *doc = NULL;
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	for (const char *const *k = known; *k; k++) {
		_cleanup_strv_ char **v = filter_get(f, *k);
		if (v)
			jw_strv(&w, *k, v);
	}
	jw_end(&w);
	if (strbuf_err(&b) == 0 && json_parse(b.s, b.len, b.max, "lists", &doc, NULL) < 0)
		abort();
	strbuf_done(&b);
	return doc;
}

static void use(const struct json *f)
{
	char *keys[] = {(char *) "a", NULL}, *values[] = {(char *) "b", NULL};
	const struct kv_list labels = {keys, values};
	struct err err = {0};
	int64_t until = 0;
	int on = filter_bool(f, "dangling", 2, &err);
	if ((on < 0 && !err.msg[0]) || on > 2)
		abort();
	(void) filter_labels(f, &labels); /* any answer will do */
	(void) filter_until(f, &until, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *f = NULL, *again = NULL;
	struct err err = {0};
	if (json_parse((const char *) data, size, 65536, "filters", &f, &err) < 0)
		return 0;
	if (filters_check(f, known, &err) < 0) {
		if (!strstr(err.msg, "filter") && err.kind == ERR_INVALID && !strstr(err.msg, "expected"))
			abort();
		return 0;
	}
	use(f);
	again = as_lists(f);
	if (again && filters_check(again, known, &err) < 0)
		abort();
	for (const char *const *k = known; again && *k; k++) {
		_cleanup_strv_ char **one = filter_get(f, *k), **two = filter_get(again, *k);
		if (strv_len(one) != strv_len(two))
			abort();
	}
	return 0;
}
