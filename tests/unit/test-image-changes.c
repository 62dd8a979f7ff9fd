/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "image/changes.h"

static void all_instructions(void **state)
{
	struct image_config *c = calloc(1, sizeof(*c));
	struct err err;
	char *const lines[] = {(char *) "CMD [\"a\",\"b c\"]", (char *) "entrypoint echo $x", (char *) "ENV A=1 B='x y' C=\"q\\\"q\"", (char *) "ENV A=2",
		(char *) "ENV OLD the rest of it", (char *) "EXPOSE 80 53/udp 80/tcp", (char *) "LABEL k=v k2=\"v 2\"", (char *) "USER 1:2",
		(char *) "VOLUME /a /b", (char *) "VOLUME [\"/c d\"]", (char *) "WORKDIR /w", (char *) "STOPSIGNAL SIGINT", NULL};
	assert_int_equal(changes_apply(c, lines, &err), 0);
	assert_string_equal(c->cmd[1], "b c");
	assert_string_equal(c->entrypoint[0], "/bin/sh");
	assert_string_equal(c->entrypoint[2], "echo $x");
	assert_string_equal(strv_find_key(c->env, "A"), "2");
	assert_string_equal(strv_find_key(c->env, "B"), "x y");
	assert_string_equal(strv_find_key(c->env, "C"), "q\"q");
	assert_string_equal(strv_find_key(c->env, "OLD"), "the rest of it");
	assert_int_equal(strv_len(c->exposed_ports), 2);
	assert_string_equal(c->label_values[1], "v 2");
	assert_int_equal(strv_len(c->volumes), 3);
	assert_string_equal(c->user, "1:2");
	assert_string_equal(c->working_dir, "/w");
	(void) image_config_free(c);
}

static void refused(void **state)
{
	static const char *const bad[] = {"", "RUN true", "CMD", "ENV A", "ENV =x", "ENV A='x", "EXPOSE 0", "EXPOSE 99999x", "WORKDIR rel", "LABEL x", "USER a\nb", "FROM x"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct image_config *c = calloc(1, sizeof(*c));
		struct err err = {0};
		char *const lines[] = {(char *) bad[i], NULL};
		int r = changes_apply(c, lines, &err);
		if (r >= 0)
			print_error("'%s' was taken\n", bad[i]);
		assert_true(r < 0);
		assert_non_null(strstr(err.msg, "change '"));
		(void) image_config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(all_instructions), cmocka_unit_test(refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
