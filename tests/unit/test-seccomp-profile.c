/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>

#include "seccomp-model.h"
#include "seccomp/simulate.h"

static struct seccomp_profile *parse(const char *text)
{
	struct seccomp_profile *p = NULL;
	struct err err;
	if (seccomp_profile_parse(text, strlen(text), "t", &p, &err) < 0)
		fail_msg("%s", err.msg);
	return p;
}

static void both_forms_are_read(void **state)
{
	_cleanup_seccomp_profile_ struct seccomp_profile *oci =
	    parse("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\","
		  "\"SCMP_ARCH_X32\"],"
		  "\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\",\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\"],\"listenerPath\":\"/run/"
		  "l\",\"listenerMetadata\":\"m\","
		  "\"syscalls\":[{\"names\":[\"read\",\"write\"],\"action\":\"SCMP_ACT_TRACE\",\"errnoRet\":7,"
		  "\"args\":[{\"index\":1,\"value\":4611686018427387904,\"valueTwo\":9,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}");
	assert_int_equal(oci->default_ret, SECCOMP_RET_ERRNO | ENOSYS);
	assert_int_equal(oci->arches, 1u << SECCOMP_ARCH_X86_64 | 1u << SECCOMP_ARCH_X86);
	assert_int_equal(oci->flags, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	assert_string_equal(oci->listener_path, "/run/l");
	assert_string_equal(oci->listener_metadata, "m");
	assert_int_equal(oci->n_rules, 1);
	assert_string_equal(oci->rules[0].names[1], "write");
	assert_int_equal(oci->rules[0].ret, SECCOMP_RET_TRACE | 7);
	assert_int_equal(oci->rules[0].conds[0].value, UINT64_C(1) << 62);
	assert_int_equal(oci->rules[0].conds[0].value2, 9);

	_cleanup_seccomp_profile_ struct seccomp_profile *docker =
	    parse("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"archMap\":[{\"architecture\":\"SCMP_ARCH_NATIVE\",\"subArchitectures\":[\"SCMP_"
		  "ARCH_X86\"]},"
		  "{\"architecture\":\"SCMP_ARCH_S390X\",\"subArchitectures\":[\"SCMP_ARCH_S390\"]}],\"futureKey\":false,"
		  "\"syscalls\":[{\"name\":\"stat\",\"action\":\"SCMP_ACT_ALLOW\",\"comment\":\"c\",\"errno\":\"\",\"args\":[],"
		  "\"includes\":{\"caps\":[\"CAP_KILL\",\"CAP_BPF\"],\"arches\":[\"amd64\",\"s390\"],\"minKernel\":\"4.8\"},\"excludes\":{"
		  "\"minKernel\":\"10.0\"}}]}");
	const struct seccomp_rule *r = &docker->rules[0];
	assert_true(docker->arches & 1u << SECCOMP_ARCH_X86);
	assert_int_equal(docker->default_ret, SECCOMP_RET_ERRNO | EPERM);
	assert_string_equal(r->names[0], "stat");
	assert_null(r->names[1]);
	assert_int_equal(r->includes.caps, UINT64_C(1) << 5 | UINT64_C(1) << 39);
	assert_int_equal(r->includes.arches, 1u << SECCOMP_ARCH_X86_64);
	assert_int_equal(r->includes.kernel_major * 100 + r->includes.kernel_minor, 408);
	assert_true(r->excludes.has_kernel && r->excludes.kernel_major == 10 && !r->excludes.has_arches);
}

#define RULE(x) "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\"},{" x "}]}"
#define ARGS(x) RULE("\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{" x "}]")

static void errors_name_field_and_value(void **state)
{
	static const struct {
		const char *text, *want[3];
	} rows[] = {
	    {"", {"not valid JSON"}},
	    {"[]", {"expected an object", "an array"}},
	    {"{}", {"defaultAction", "missing"}},
	    {"{\"defaultAction\":3}", {"defaultAction", "a string"}},
	    {"{\"defaultAction\":\"SCMP_ACT_MAYBE\"}", {"defaultAction", "SCMP_ACT_MAYBE"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}", {"defaultErrnoRet", "SCMP_ACT_ALLOW"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}", {"defaultErrnoRet", "4096", "4095"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":-1}", {"defaultErrnoRet", "-1"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrno\":\"EWHAT\"}", {"defaultErrno", "EWHAT"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrno\":\"EPERM\",\"defaultErrnoRet\":38}", {"defaultErrno", "EPERM", "38"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscall\":[1]}", {"syscall", "no such field"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultAction\":\"SCMP_ACT_ERRNO\"}", {"defaultAction"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_Z80\"]}", {"architectures", "SCMP_ARCH_Z80"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86\"],\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86\"}"
	     "]}",
	     {"architectures", "archMap"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{\"architecture\":\"X\"}]}", {"archMap[0]", "architecture", "'X'"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"FAST\"]}", {"flags", "FAST"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}", {"syscalls", "an array"}},
	    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[7]}", {"syscalls[0]", "an object"}},
	    {RULE(""), {"syscalls[1]", "names", "empty"}},
	    {RULE("\"names\":[]"), {"syscalls[1]", "names"}},
	    {RULE("\"names\":[\"\"]"), {"syscalls[1]", "names"}},
	    {RULE("\"names\":[\"a\"],\"name\":\"b\""), {"syscalls[1]", "name", "'b'"}},
	    {RULE("\"names\":[\"a\"]"), {"syscalls[1]", "action", "missing"}},
	    {RULE("\"names\":[\"a\"],\"action\":\"allow\""), {"syscalls[1]", "action", "'allow'"}},
	    {RULE("\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\",\"errnoRet\":1"), {"syscalls[1]", "errnoRet", "SCMP_ACT_LOG"}},
	    {RULE("\"names\":[\"a\"],\"action\":\"SCMP_ACT_TRACE\",\"errnoRet\":65536"), {"syscalls[1]", "errnoRet", "65536"}},
	    {RULE("\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\",\"exclude\":{\"caps\":[\"CAP_KILL\"]}"),
	     {"syscalls[1]", "exclude:", "no such field"}},
	    {RULE("\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\",\"excludes\":{\"caps\":[\"CAP_FLY\"]}"),
	     {"syscalls[1]", "excludes", "CAP_FLY"}},
	    {RULE("\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\",\"includes\":{\"minKernel\":\"five\"}"),
	     {"includes", "minKernel", "five"}},
	    {RULE("\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\",\"includes\":{\"minKernel\":\"4.8.1\"}"),
	     {"includes", "minKernel", "4.8.1"}},
	    {RULE("\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\",\"includes\":{\"kernel\":\"4.8\"}"),
	     {"includes", "kernel", "no such field"}},
	    {ARGS("\"index\":6,\"op\":\"SCMP_CMP_EQ\""), {"syscalls[1]: args[0]", "index", "6"}},
	    {ARGS("\"op\":\"SCMP_CMP_EQ\""), {"args[0]", "index", "missing"}},
	    {ARGS("\"index\":0"), {"args[0]", "op"}},
	    {ARGS("\"index\":0,\"op\":\"==\""), {"args[0]", "op", "=="}},
	    {ARGS("\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"value\":-1"), {"args[0]", "value", "-1"}},
	    {ARGS("\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"value\":\"1\""), {"args[0]", "value", "a string"}},
	    {ARGS("\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"valueTow\":1"), {"args[0]", "valueTow"}},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct seccomp_profile *p = NULL;
		struct err err = {0};
		if (seccomp_profile_parse(rows[i].text, strlen(rows[i].text), "web.json", &p, &err) != -EINVAL)
			fail_msg("taken: %s", rows[i].text);
		assert_null(p);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_non_null(strstr(err.msg, "web.json"));
		for (size_t k = 0; k < ARRAY_LEN(rows[i].want) && rows[i].want[k]; k++)
			if (!strstr(err.msg, rows[i].want[k]))
				fail_msg("'%s' lacks '%s'", err.msg, rows[i].want[k]);
	}
}

/* @n times @piece between @head and @tail must be refused with @want in the message */
static void refuse_many(const char *head, const char *piece, int n, const char *tail, const char *want)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(8 << 20);
	struct seccomp_profile *p = NULL;
	struct err err = {0};
	strbuf_adds(&b, head);
	for (int i = 0; i < n; i++)
		strbuf_addf(&b, "%s%s", i ? "," : "", piece);
	strbuf_adds(&b, tail);
	assert_int_equal(strbuf_err(&b), 0);
	assert_int_equal(seccomp_profile_parse(b.s, b.len, "t", &p, &err), -EINVAL);
	if (!strstr(err.msg, want))
		fail_msg("'%s' lacks '%s'", err.msg, want);
}

static void everything_is_bounded(void **state)
{
	static const char head[] = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[";
	refuse_many(head, "{\"name\":\"read\",\"action\":\"SCMP_ACT_ALLOW\"}", SECCOMP_RULES_MAX + 1, "]}", "2049 rules");
	refuse_many("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"action\":\"SCMP_ACT_ALLOW\",\"names\":[", "\"read\"",
		    SECCOMP_NAMES_MAX + 1, "]}]}", "16385 entries");
	refuse_many("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"action\":\"SCMP_ACT_ALLOW\",\"name\":\"read\",\"args\":[",
		    "{\"index\":0,\"op\":\"SCMP_CMP_EQ\"}", SECCOMP_CONDS_MAX + 1, "]}]}", "65 conditions");
	refuse_many("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[", "\"SCMP_ARCH_X86\"", 257, "]}", "257 entries");
	refuse_many("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[", "          ", 120000, "]}", "1048576");
}

static int same_verdict(const struct seccomp_data *d, void *ctx)
{
	const struct seccomp_program *two = ctx;
	assert_int_equal(seccomp_simulate(two[0].insn, two[0].n, d), seccomp_simulate(two[1].insn, two[1].n, d));
	return 0;
}

static void written_profiles_read_back_equal(void **state)
{
	static const uint64_t caps[] = {0, UINT64_C(0x800405fb), (UINT64_C(1) << 41) - 1};
	uint64_t seed = 99;
	for (size_t i = 0; i < 60; i++) {
		struct err err;
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 20);
		_cleanup_free_ char *text = model_random_profile(&seed, false);
		_cleanup_seccomp_profile_ struct seccomp_profile *first = parse(text), *again = NULL;
		const struct seccomp_profile *p = i == 0 ? seccomp_profile_default() : first;
		assert_int_equal(seccomp_profile_write(p, &b, &err), 0);
		again = parse(b.s);
		for (size_t c = 0; c < ARRAY_LEN(caps) && (i == 0 || c == 0); c++) {
			struct seccomp_env env = {.arch = SECCOMP_ARCH_X86_64, .caps = caps[c], .kernel_major = 6, .kernel_minor = 1};
			struct seccomp_program two[2] = {0};
			assert_int_equal(seccomp_compile(p, &env, &two[0], &err), 0);
			assert_int_equal(seccomp_compile(again, &env, &two[1], &err), 0);
			(void) model_each_call(again, env.arch, same_verdict, two);
			seccomp_program_done(&two[0]);
			seccomp_program_done(&two[1]);
		}
	}
}

/* What another runtime is given: the gates are resolved for the container, and the verdicts are those of our own filter for it. */
static void oci_form_has_the_same_verdicts_and_no_gates(void **state)
{
	static const uint64_t caps[] = {0, UINT64_C(1) << 16, UINT64_MAX};
	for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
		struct err err;
		const struct seccomp_profile *p = seccomp_profile_default();
		struct seccomp_env env = {.arch = SECCOMP_ARCH_X86_64, .caps = caps[i], .kernel_major = 6, .kernel_minor = 1}, bare = {.arch = SECCOMP_ARCH_X86_64};
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 20);
		_cleanup_seccomp_profile_ struct seccomp_profile *again = NULL;
		struct seccomp_program two[2] = {0};
		assert_int_equal(seccomp_profile_write_oci(p, &env, &b, &err), 0);
		assert_null(strstr(b.s, "includes"));
		assert_null(strstr(b.s, "excludes"));
		again = parse(b.s);
		assert_int_equal(seccomp_compile(p, &env, &two[0], &err), 0);
		assert_int_equal(seccomp_compile(again, &bare, &two[1], &err), 0); /* whatever the reader thinks the container has */
		(void) model_each_call(again, env.arch, same_verdict, two);
		seccomp_program_done(&two[0]);
		seccomp_program_done(&two[1]);
	}
}

/* Found by fuzz-seccomp: a gate for foreign architectures only was written as an empty list, which reads as no gate. */
static void foreign_gate_stays_a_gate(void **state)
{
	struct err err;
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 20);
	_cleanup_seccomp_profile_ struct seccomp_profile *again = NULL,
							 *p = parse(
							     "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"name\":\"mmap\","
							     "\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":[\"s390x\"]}}]}");
	assert_int_equal(seccomp_profile_write(p, &b, &err), 0);
	again = parse(b.s);
	assert_true(again->rules[0].includes.has_arches);
	assert_int_equal(again->rules[0].includes.arches, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(both_forms_are_read), cmocka_unit_test(errors_name_field_and_value),
					   cmocka_unit_test(everything_is_bounded), cmocka_unit_test(written_profiles_read_back_equal),
					   cmocka_unit_test(foreign_gate_stays_a_gate), cmocka_unit_test(oci_form_has_the_same_verdicts_and_no_gates)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
