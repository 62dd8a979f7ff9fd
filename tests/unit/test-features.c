/* SPDX-License-Identifier: Apache-2.0 */
/* The features document tells the truth: every word in it is taken where a document would use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"
#include "codec/json.h"
#include "kernel/mount_option.h"
#include "sandbox/features.h"
#include "seccomp/profile.h"
#include "spec/runtime.h"

static struct json *doc;

static int load(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 20);
	struct features_facts f;
	struct err err = {0};
	sandbox_features(&f);
	assert_int_equal(features_write(&f, &b, &err), 0);
	if (json_parse(b.s, b.len, 1 << 20, "features", &doc, &err) < 0)
		fail_msg("%s", err.msg);
	return 0;
}

static int unload(void **state)
{
	doc = json_free(doc);
	return 0;
}

static const struct json *part(const char *a, const char *b, const char *c)
{
	const struct json *v = json_get(doc, a);
	v = b ? json_get(v, b) : v;
	v = c ? json_get(v, c) : v;
	assert_non_null(v);
	return v;
}

/* Put each word of @list into @format as config.json and let it be read, without an error and without a warning. */
static void assert_taken(const struct json *list, size_t least, const char *format)
{
	assert_true(json_len(list) >= least);
	JSON_FOREACH(v, i, list) {
		const char *word = json_str(v, NULL), *at = strstr(format, "WORD");
		_cleanup_free_ char *text = str_printf("{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"r\"},%.*s%s%s}", (int) (at - format), format, word, at + 4);
		_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
		struct err err = {0};
		if (runtime_spec_parse(text, strlen(text), &s, &err) < 0)
			fail_msg("%s: %s", word, err.msg);
		assert_int_equal(strv_len(s->process.warnings), 0);
	}
}

static void test_words_of_the_document(void **state)
{
	assert_taken(part("linux", "namespaces", NULL), NS_KIND_MAX_, "\"linux\":{\"namespaces\":[{\"type\":\"WORD\"}]}");
	assert_taken(part("linux", "capabilities", NULL), CAP_LAST_KNOWN + 1, "\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"capabilities\":{\"bounding\":[\"WORD\"]}}");
	assert_taken(part("linux", "memoryPolicy", "flags"), 3, "\"linux\":{\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0\",\"flags\":[\"WORD\"]}}");
}

static void test_hooks_are_read(void **state)
{
	const struct json *list = part("hooks", NULL, NULL);
	assert_int_equal(json_len(list), HOOK_POINT_MAX_);
	JSON_FOREACH(v, i, list) {
		_cleanup_free_ char *text = str_printf("{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"r\"},\"hooks\":{\"%s\":[{\"path\":\"/h\"}]}}", json_str(v, ""));
		_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
		struct err err = {0};
		assert_int_equal(runtime_spec_parse(text, strlen(text), &s, &err), 0);
		assert_int_equal(s->hooks[i].n, 1);
	}
}

static void test_memory_policy_modes_are_read(void **state)
{
	const struct json *list = part("linux", "memoryPolicy", "modes");
	assert_int_equal(json_len(list), 7);
	JSON_FOREACH(v, i, list) {
		const char *word = json_str(v, "");
		bool none = str_eq(word, "MPOL_DEFAULT") || str_eq(word, "MPOL_LOCAL");
		_cleanup_free_ char *text = str_printf("{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"r\"},\"linux\":{\"memoryPolicy\":{\"mode\":\"%s\",\"nodes\":\"%s\"}}}", word,
						       none ? "" : "0");
		_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
		struct err err = {0};
		if (runtime_spec_parse(text, strlen(text), &s, &err) < 0)
			fail_msg("%s", err.msg);
		assert_string_equal(s->memory_policy.mode, word);
	}
}

static void test_mount_options_are_the_table(void **state)
{
	static const char *const must[] = {"bind", "rbind", "ro", "rro", "idmap", "ridmap", "tmpcopyup", "rslave", "nosymfollow", "rnosuid", "unbindable"};
	const struct json *list = part("mountOptions", NULL, NULL);
	JSON_FOREACH(v, i, list)
		assert_non_null(mnt_option_find(json_str(v, "?")));
	for (size_t k = 0; k < ARRAY_LEN(must); k++) {
		bool there = false;
		JSON_FOREACH(v, i, list)
			there |= str_eq(json_str(v, ""), must[k]);
		if (!there)
			fail_msg("'%s' is not among the mount options", must[k]);
	}
}

static void assert_profiles(const struct json *list, size_t least, const char *format)
{
	assert_true(json_len(list) >= least);
	JSON_FOREACH(v, i, list) {
		const char *word = json_str(v, NULL), *at = strstr(format, "WORD");
		_cleanup_free_ char *text = str_printf("%.*s%s%s", (int) (at - format), format, word, at + 4);
		_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
		struct err err = {0};
		if (seccomp_profile_parse(text, strlen(text), "profile", &p, &err) < 0)
			fail_msg("%s: %s", word, err.msg);
	}
}

static void test_seccomp_words(void **state)
{
	assert_profiles(part("linux", "seccomp", "actions"), 9, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"WORD\"}]}");
	assert_profiles(part("linux", "seccomp", "operators"), 7,
			"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":0,\"value\":1,\"op\":\"WORD\"}]}]}");
	assert_profiles(part("linux", "seccomp", "archs"), 2, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"WORD\"]}");
	assert_profiles(part("linux", "seccomp", "knownFlags"), 4, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"WORD\"]}");
	const struct json *known = part("linux", "seccomp", "knownFlags"), *supported = part("linux", "seccomp", "supportedFlags");
	assert_true(json_len(supported) >= 3); /* Linux 6.1, the oldest that we run on, has all four; a sandbox around the test may take some away */
	JSON_FOREACH(v, i, supported) {
		bool there = false;
		JSON_FOREACH(k, j, known)
			there |= str_eq(json_str(k, ""), json_str(v, "?"));
		assert_true(there);
	}
}

static void test_versions_are_taken(void **state)
{
	static const char *const keys[] = {"ociVersionMin", "ociVersionMax"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		_cleanup_free_ char *text = str_printf("{\"ociVersion\":\"%s\",\"root\":{\"path\":\"r\"}}", json_str(part(keys[i], NULL, NULL), ""));
		_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
		struct err err = {0};
		assert_int_equal(runtime_spec_parse(text, strlen(text), &s, &err), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_of_the_document),	    cmocka_unit_test(test_hooks_are_read),
		cmocka_unit_test(test_memory_policy_modes_are_read), cmocka_unit_test(test_mount_options_are_the_table),
		cmocka_unit_test(test_seccomp_words),		    cmocka_unit_test(test_versions_are_taken),
	};
	return cmocka_run_group_tests(tests, load, unload);
}
