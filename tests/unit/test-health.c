/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks as data: what an image adds, docker's defaults, and a monitor's record, whole or damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/health.h"

static struct container_request *request(const char *health)
{
	_cleanup_free_ char *text = str_printf("{\"Image\":\"i\"%s%s}", health ? ",\"Healthcheck\":" : "", health ?: "");
	_cleanup_json_ struct json *doc = NULL;
	struct container_request *r = NULL;
	struct err err = {0};
	if (json_parse(text, strlen(text), 1 << 20, "test", &doc, &err) < 0 || container_request_parse(doc, &r, NULL, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return r;
}

static void merge(void **state)
{
	static const char image[] = "{\"Test\":[\"CMD\",\"a\",\"b\"],\"Interval\":1000000000,\"Retries\":7}";
	static const struct {
		const char *mine, *image, *want; /* want: first word and interval, retries */
		int64_t interval, retries;
	} rows[] = {
		{NULL, NULL, NULL, 0, 0},
		{NULL, image, "CMD", 1000000000, 7},
		{"{\"Test\":[\"NONE\"]}", image, NULL, 0, 0},
		{"{\"Retries\":2}", image, "CMD", 1000000000, 2},
		{"{\"Test\":[\"CMD-SHELL\",\"x\"]}", image, "CMD-SHELL", 1000000000, 7},
		{"{\"Test\":[\"CMD-SHELL\",\"x\"],\"Interval\":2000000000}", NULL, "CMD-SHELL", 2000000000, 0},
		{NULL, "{\"Test\":[\"NONE\"]}", NULL, 0, 0},
		{NULL, "{}", NULL, 0, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_container_request_ struct container_request *r = request(rows[i].mine);
		struct image_config img = {.healthcheck_json = (char *) rows[i].image};
		struct err err = {0};
		if (health_merge_image(r, &img, &err) < 0)
			fail_msg("row %zu: %s", i, err.msg);
		assert_int_equal(health_is_on(r), rows[i].want != NULL);
		if (!rows[i].want)
			continue;
		assert_string_equal(r->health->test[0], rows[i].want);
		assert_int_equal(r->health->interval, rows[i].interval);
		assert_int_equal(r->health->retries, rows[i].retries);
	}
}

static void merge_refuses(void **state)
{
	static const char *const bad[] = {"{\"Test\":[\"RUN\",\"x\"]}", "{\"Test\":[\"CMD\"]}", "{\"Interval\":5}", "{\"Test\":5}", "[]", "{\"Retries\":-1}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_container_request_ struct container_request *r = request(NULL);
		struct image_config img = {.healthcheck_json = (char *) bad[i]};
		struct err err = {0};
		assert_true(health_merge_image(r, &img, &err) < 0);
		assert_non_null(strstr(err.msg, "the image's health check"));
	}
}

static void terms(void **state)
{
	struct monitor_health t;
	health_terms(&(struct health_request) {0}, &t);
	assert_int_equal(t.interval_ns, 30 * NSEC_PER_SEC);
	assert_int_equal(t.timeout_ns, 30 * NSEC_PER_SEC);
	assert_int_equal(t.start_period_ns, 0);
	assert_int_equal(t.start_interval_ns, 5 * NSEC_PER_SEC);
	assert_int_equal(t.retries, 3);
	health_terms(&(struct health_request) {.interval = 1, .timeout = 2, .start_period = 3, .start_interval = 4, .retries = 5}, &t);
	assert_int_equal(t.interval_ns + t.timeout_ns * 10 + t.start_period_ns * 100 + t.start_interval_ns * 1000 + t.retries * 10000, 54321);
}

static void command(void **state)
{
	_cleanup_strv_ char **a = NULL, **b = NULL;
	char *shell[] = {(char *) "CMD-SHELL", (char *) "x y", NULL}, *plain[] = {(char *) "CMD", (char *) "x", (char *) "y z", NULL};
	assert_int_equal(health_command(&(struct health_request) {.test = shell}, &a), 0);
	assert_int_equal(strv_len(a), 3);
	assert_string_equal(a[0], "/bin/sh");
	assert_string_equal(a[2], "x y");
	assert_int_equal(health_command(&(struct health_request) {.test = plain}, &b), 0);
	assert_int_equal(strv_len(b), 2);
	assert_string_equal(b[1], "y z");
}

/* Two entries; every prefix of it, and every byte changed, is read without a step outside. */
static void record(void **state)
{
	uint8_t buf[256];
	const struct monitor_health_head head = {.magic = MONITOR_HEALTH_MAGIC, .status = MONITOR_HEALTH_HEALTHY, .streak = 0, .n = 2};
	struct monitor_health_entry e = {.start_ns = 1, .end_ns = 2, .code = 0, .len = 3};
	struct health_record r;
	const char *text;
	size_t at = 0;
	memcpy(buf, &head, sizeof(head));
	at = sizeof(head);
	for (int i = 0; i < 2; i++) {
		memcpy(buf + at, &e, sizeof(e));
		memcpy(buf + at + sizeof(e), "abc", 3);
		at += sizeof(e) + 3;
	}
	assert_int_equal(health_record_open(buf, at, &r), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(health_record_next(&r, &e, &text), 1);
		assert_memory_equal(text, "abc", 3);
	}
	assert_int_equal(health_record_next(&r, &e, &text), 0);
	for (size_t n = 0; n < at; n++) {
		uint8_t *own = malloc(n ?: 1); /* so that a sanitizer sees a step outside */
		assert_non_null(own);
		memcpy(own, buf, n);
		int rc = health_record_open(own, n, &r);
		while (rc == 0 && (rc = health_record_next(&r, &e, &text)) > 0)
			rc = 0;
		assert_int_equal(rc, -EBADMSG);
		free(own);
	}
	for (size_t i = 0; i < at; i++) {
		buf[i] ^= 0xff;
		int rc = health_record_open(buf, at, &r);
		while (rc == 0 && (rc = health_record_next(&r, &e, &text)) > 0)
			rc = text + e.len > (const char *) buf + at ? -1000 : 0;
		assert_int_not_equal(rc, -1000);
		buf[i] ^= 0xff;
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(merge), cmocka_unit_test(merge_refuses), cmocka_unit_test(terms), cmocka_unit_test(command),
						  cmocka_unit_test(record)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
