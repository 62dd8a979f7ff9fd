/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "spec/image.h"

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DIGEST "sha256:" HEX
#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"
#define DESC(type) "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":7}"

static void references(void **state)
{
	static const struct {
		const char *in, *familiar, *full; /* NULL: refused */
	} cases[] = {
		{"busybox", "busybox:latest", "docker.io/library/busybox:latest"},
		{"busybox:1.36", "busybox:1.36", "docker.io/library/busybox:1.36"},
		{"docker.io/busybox", "busybox:latest", "docker.io/library/busybox:latest"},
		{"index.docker.io/library/busybox", "busybox:latest", "docker.io/library/busybox:latest"},
		{"a/b", "a/b:latest", "docker.io/a/b:latest"},
		{"docker.io/library/a/b", "library/a/b:latest", "docker.io/library/a/b:latest"},
		{"localhost/x", "localhost/x:latest", "localhost/x:latest"},
		{"localhost:5000/x:v", "localhost:5000/x:v", "localhost:5000/x:v"},
		{"host:5000", "host:5000", "docker.io/library/host:5000"},
		{"Quay.IO/x/y", "Quay.IO/x/y:latest", "Quay.IO/x/y:latest"},
		{"[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"},
		{"x@" DIGEST, "x@" DIGEST, "docker.io/library/x@" DIGEST},
		{"x:t@" DIGEST, "x:t@" DIGEST, "docker.io/library/x:t@" DIGEST},
		{"a_b.c--d__e", "a_b.c--d__e:latest", "docker.io/library/a_b.c--d__e:latest"},
		{"x:_T.-9", "x:_T.-9", "docker.io/library/x:_T.-9"},
		{"", NULL, NULL}, {"UPPER", NULL, NULL}, {"a/UPPER", NULL, NULL}, {"-x", NULL, NULL}, {"x-", NULL, NULL}, {"a//b", NULL, NULL},
		{"/a", NULL, NULL}, {"a/", NULL, NULL}, {"../x", NULL, NULL}, {"a..b", NULL, NULL}, {"a___b", NULL, NULL}, {"x:", NULL, NULL},
		{"x:.t", NULL, NULL}, {"x:-t", NULL, NULL}, {"x:a/b", NULL, NULL}, {"a:b:c", NULL, NULL}, {"x y", NULL, NULL}, {"x\n", NULL, NULL},
		{"x@sha256:00", NULL, NULL}, {"x@md5:" HEX, NULL, NULL}, {"x@SHA256:" HEX, NULL, NULL}, {"-h.com/x", NULL, NULL},
		{"h..com/x", NULL, NULL}, {"h.com:/x", NULL, NULL}, {"h.com:123456/x", NULL, NULL}, {"h.com./x", NULL, NULL}, {HEX, NULL, NULL},
		{"sha256:" HEX "0000000000000000000000000000000000000000000000000000000000000000000", NULL, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct image_ref r;
		struct err err = {0};
		int got = image_ref_parse(cases[i].in, &r, &err);
		if ((got >= 0) != (cases[i].full != NULL))
			print_error("'%s': %d %s\n", cases[i].in, got, err.msg);
		assert_int_equal(got >= 0, cases[i].full != NULL);
		if (got < 0) {
			assert_int_equal(err.kind, ERR_INVALID);
			assert_non_null(strstr(err.msg, "invalid reference format"));
			continue;
		}
		char *familiar = image_ref_familiar(&r), *full = image_ref_full(&r);
		assert_string_equal(familiar, cases[i].familiar);
		assert_string_equal(full, cases[i].full);
		free(familiar);
		free(full);
		image_ref_done(&r);
	}
}

static void digests(void **state)
{
	assert_true(digest_is_valid(DIGEST));
	static const char *const bad[] = {"", "sha256:", HEX, "sha512:" HEX, "sha256:../../x", "sha256:" HEX "0",
		"sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(digest_is_valid(bad[i]));
	assert_false(digest_is_valid(NULL));
}

static void chain_ids(void **state)
{
	char id[DIGEST_TEXT_MAX], next[DIGEST_TEXT_MAX];
	assert_int_equal(chain_id(NULL, DIGEST, id), 0);
	assert_string_equal(id, DIGEST);
	assert_int_equal(chain_id(id, DIGEST, next), 0);
	/* printf 'sha256:e3b0... sha256:e3b0...' | sha256sum */
	assert_string_equal(next, "sha256:de9d9016b852e46e9f3973e20d3a6d17e120f7144931d50cd6e2a8ad53e81960");
	assert_true(chain_id("x", DIGEST, id) < 0);
	assert_true(chain_id(NULL, "md5:0", id) < 0);
}

static int try_manifest(const char *text, struct err *err)
{
	struct manifest *m = NULL;
	*err = (struct err) {0};
	int r = manifest_parse(text, strlen(text), &m, err);
	(void) manifest_free(m);
	return r;
}

static void manifests(void **state)
{
	struct manifest *m;
	struct err err;
	const char *good = "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE "\",\"config\":" DESC(CONFIG_TYPE) ",\"layers\":[" DESC(LAYER_TYPE) "]}";
	assert_int_equal(manifest_parse(good, strlen(good), &m, &err), 0);
	assert_int_equal(m->n_layers, 1);
	assert_int_equal(m->layers[0].size, 7);
	(void) manifest_free(m);
	static const struct {
		const char *text, *words;
	} bad[] = {
		{"{}", "required"},
		{"[]", "object"},
		{"{\"schemaVersion\":1}", "schema version 1"},
		{"{\"schemaVersion\":2,\"config\":" DESC(CONFIG_TYPE) ",\"layers\":[],\"manifests\":[]}", "both"},
		{"{\"schemaVersion\":2,\"config\":" DESC("application/x") ",\"layers\":[]}", "artifact"},
		{"{\"schemaVersion\":2,\"config\":" DESC(CONFIG_TYPE) ",\"layers\":[" DESC("application/x") "]}", "layers[0]: unknown media type 'application/x'"},
		{"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"config\":" DESC(CONFIG_TYPE) ",\"layers\":[]}", "media type"},
		{"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" CONFIG_TYPE "\",\"digest\":\"sha256:../../x\",\"size\":1},\"layers\":[]}", "digest 'sha256:../../x'"},
		{"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" CONFIG_TYPE "\",\"digest\":\"" DIGEST "\",\"size\":-1},\"layers\":[]}", "negative"},
		{"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" CONFIG_TYPE "\",\"digest\":\"" DIGEST "\"},\"layers\":[]}", "required"},
		{"{\"schemaVersion\":2,\"layers\":[],\"layers\":[]}", "JSON"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_true(try_manifest(bad[i].text, &err) < 0);
		if (!strstr(err.msg, bad[i].words))
			print_error("%s\n -> %s\n", bad[i].text, err.msg);
		assert_non_null(strstr(err.msg, bad[i].words));
	}
}

static void too_many(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(4 << 20);
	struct err err;
	strbuf_adds(&b, "{\"schemaVersion\":2,\"config\":" DESC(CONFIG_TYPE) ",\"layers\":[");
	for (int i = 0; i < 128; i++)
		strbuf_addf(&b, "%s%s", i ? "," : "", DESC(LAYER_TYPE));
	strbuf_adds(&b, "]}");
	assert_true(try_manifest(b.s, &err) < 0);
	assert_int_equal(err.kind, ERR_QUOTA);
	strbuf_reset(&b);
	strbuf_adds(&b, "{\"schemaVersion\":2,\"manifests\":[");
	for (int i = 0; i < 1001; i++)
		strbuf_addf(&b, "%s%s", i ? "," : "", DESC(MANIFEST_TYPE));
	strbuf_adds(&b, "]}");
	struct image_index *x;
	assert_true(image_index_parse(b.s, b.len, &x, &err) < 0);
	assert_int_equal(err.kind, ERR_QUOTA);
}

static void configs(void **state)
{
	struct image_config *c;
	struct err err;
	const char *text = "{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":\"2023-11-14T22:13:20Z\","
			   "\"config\":{\"User\":\"a\",\"Env\":[\"A=1\"],\"Cmd\":[\"x\"],\"Entrypoint\":null,\"Volumes\":{\"/v\":{}},\"Labels\":{\"k\":\"v\"},"
			   "\"ExposedPorts\":{\"80/tcp\":{}},\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGINT\"},"
			   "\"HostConfig\":{\"Privileged\":true},\"SecurityOpt\":[\"seccomp=unconfined\"],"
			   "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"]},\"history\":[{\"created_by\":\"me\",\"empty_layer\":true}]}";
	assert_int_equal(image_config_parse(text, strlen(text), &c, &err), 0);
	assert_string_equal(c->user, "a");
	assert_string_equal(c->env[0], "A=1");
	assert_string_equal(c->volumes[0], "/v");
	assert_string_equal(c->label_values[0], "v");
	assert_string_equal(c->exposed_ports[0], "80/tcp");
	assert_null(c->entrypoint);
	assert_true(c->created_ns == 1700000000LL * 1000000000);
	assert_int_equal(c->n_history, 1);
	assert_true(c->history[0].empty_layer);
	(void) image_config_free(c);
	static const struct {
		const char *text, *words;
	} bad[] = {
		{"{}", "rootfs"},
		{"{\"rootfs\":{\"type\":\"other\"}}", "other"},
		{"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:zz\"]}}", "diff_ids[0]"},
		{"{\"config\":{\"Env\":\"A\"},\"rootfs\":{\"type\":\"layers\"}}", "Env"},
		{"{\"config\":{\"Labels\":{\"a\":1}},\"rootfs\":{\"type\":\"layers\"}}", "Labels: 'a'"},
		{"{\"history\":[1],\"rootfs\":{\"type\":\"layers\"}}", "history[0]"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_true(image_config_parse(bad[i].text, strlen(bad[i].text), &c, &err) < 0);
		assert_non_null(strstr(err.msg, bad[i].words));
	}
}

/* @n times @head, a number and @tail, with commas between, in @before and @after. */
static bool config_is_taken(const char *before, const char *head, const char *tail, size_t n, const char *after, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(4 << 20);
	struct image_config *c = NULL;
	strbuf_adds(&b, before);
	for (size_t i = 0; i < n; i++) {
		strbuf_adds(&b, i ? "," : "");
		strbuf_addf(&b, "%s%zu%s", head, i, tail);
	}
	strbuf_adds(&b, after);
	assert_int_equal(strbuf_err(&b), 0);
	bool taken = image_config_parse(b.s, b.len, &c, err) >= 0;
	(void) image_config_free(c);
	return taken;
}

static void config_ceilings(void **state)
{
	static const struct {
		const char *before, *head, *tail, *after;
		size_t most;
	} rows[] = {
		{"{\"history\":[", "{\"created_by\":\"", "\"}", "],\"rootfs\":{\"type\":\"layers\"}}", 2000},
		{"{\"config\":{\"Labels\":{", "\"l", "\":\"v\"", "}},\"rootfs\":{\"type\":\"layers\"}}", 4096},
		{"{\"config\":{\"Env\":[", "\"E", "=v\"", "]},\"rootfs\":{\"type\":\"layers\"}}", 4096},
		{"{\"config\":{\"Volumes\":{", "\"/v", "\":{}", "}},\"rootfs\":{\"type\":\"layers\"}}", 4096},
		{"{\"config\":{\"Cmd\":[", "\"", "\"", "]},\"rootfs\":{\"type\":\"layers\"}}", 4096},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		if (!config_is_taken(rows[i].before, rows[i].head, rows[i].tail, rows[i].most, rows[i].after, &err))
			fail_msg("%s: %s", rows[i].before, err.msg);
		assert_false(config_is_taken(rows[i].before, rows[i].head, rows[i].tail, rows[i].most + 1, rows[i].after, &err));
		assert_int_equal(err.kind, ERR_QUOTA);
	}
}

static void media_types(void **state)
{
	assert_int_equal(layer_coding_from_media_type(LAYER_TYPE), LAYER_GZIP);
	assert_int_equal(layer_coding_from_media_type("application/vnd.oci.image.layer.v1.tar+zstd"), LAYER_ZSTD);
	assert_int_equal(layer_coding_from_media_type("application/vnd.docker.image.rootfs.diff.tar"), LAYER_PLAIN);
	assert_int_equal(layer_coding_from_media_type("application/vnd.oci.image.layer.v9.tar"), LAYER_CODING_INVALID_);
	assert_int_equal(layer_coding_from_media_type(NULL), LAYER_CODING_INVALID_);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(references), cmocka_unit_test(digests), cmocka_unit_test(chain_ids), cmocka_unit_test(manifests),
		cmocka_unit_test(too_many), cmocka_unit_test(configs), cmocka_unit_test(config_ceilings), cmocka_unit_test(media_types)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
