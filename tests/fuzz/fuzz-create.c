/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any create body is refused or gives a request that survives the way to the database and back: parse -> write -> parse -> write
 * yields the same text twice. No mount target escapes the rule either.
 */
#include <stdio.h>

#include "apimodel/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct container_request *parse(const char *text, size_t len, char ***unknown)
{
	_cleanup_json_ struct json *doc = NULL;
	struct container_request *req = NULL;
	struct err err = {0};
	if (json_parse(text, len, 4 << 20, "body", &doc, &err) < 0)
		return NULL;
	int r = container_request_parse(doc, &req, unknown, &err);
	if (r < 0 && (err.kind != ERR_INVALID || !err.msg[0]))
		abort();
	return req;
}

static char *write_text(const struct container_request *req)
{
	struct strbuf b = STRBUF_INIT(64 << 20);
	if (container_request_write(req, &b) < 0)
		abort();
	return strbuf_steal(&b);
}

static void check_target(const char *t)
{
	if (t[0] != '/' || t[1] == '\0' || strstr(t, "//") || str_eq(t, "/proc") || str_after(t, "/proc/") || str_eq(t, "/sys") || str_after(t, "/sys/"))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_strv_ char **unknown = NULL, **none = NULL;
	_cleanup_container_request_ struct container_request *a = parse((const char *) data, size, &unknown), *b = NULL;
	if (!a)
		return 0;
	for (size_t i = 0; i < a->n_mounts; i++)
		check_target(a->mounts[i].target);
	STRV_FOREACH(v, a->volumes)
		check_target(v);
	_cleanup_free_ char *one = write_text(a);
	b = parse(one, strlen(one), &none);
	if (!b)
		abort();
	_cleanup_free_ char *two = write_text(b);
	if (!str_eq(one, two)) {
		fprintf(stderr, "%s\n%s\n", one, two);
		abort();
	}
	return 0;
}
