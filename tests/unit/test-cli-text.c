/* SPDX-License-Identifier: Apache-2.0 */
/* What people read and type: templates, tables, pretty JSON, progress bars, filters; the detach scanner and the frame reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "cli/demux.h"
#include "cli/detach.h"
#include "cli/list.h"
#include "base/pretty.h"
#include "cli/progress.h"
#include "base/table.h"
#include "cli/template.h"

static const char doc_text[] = "{\"Id\":\"abc\",\"N\":3,\"F\":1.5,\"Off\":false,\"State\":{\"Running\":true,\"Health\":null},\"Config\":{\"Labels\":{\"a.b\":\"x\",\"c\":\"y\"},"
			       "\"Env\":[\"A=1\",\"B=2\"]},\"Empty\":[],\"Name\":\"/web\"}";

static void expect(const char *text, const char *want)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(1 << 16);
	struct err err = {};
	assert_int_equal(json_parse(doc_text, strlen(doc_text), 1 << 16, "doc", &doc, &err), 0);
	if (template_run(text, doc, &out, &err) != 0)
		fail_msg("%s: %s", text, err.msg);
	assert_string_equal(out.s ? out.s : "", want);
}

static void expect_error(const char *text, const char *part)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(1 << 16);
	struct err err = {};
	assert_int_equal(json_parse(doc_text, strlen(doc_text), 1 << 16, "doc", &doc, &err), 0);
	assert_true(template_run(text, doc, &out, &err) < 0);
	if (!strstr(err.msg, part))
		fail_msg("%s: '%s' is not in '%s'", text, part, err.msg);
}

static void test_template_values(void **state)
{
	expect("plain", "plain");
	expect("{{.Id}}", "abc");
	expect("{{ .ID }}-{{.State.Running}}", "abc-true"); /* as docker's struct fields */
	expect("{{.N}} {{.F}} {{.Off}}", "3 1.5 false");
	expect("{{.Config.Env}} {{.Config.Labels}}", "[A=1 B=2] map[a.b:x c:y]");
	expect("{{json .Config.Env}}", "[\"A=1\",\"B=2\"]");
	expect("{{json .State}}", "{\"Running\":true,\"Health\":null}");
	expect("{{.Config.Labels.nope}}", "<no value>");
	expect("{{index .Config.Labels \"a.b\"}} {{index .Config.Env 1}}", "x B=2");
	expect("{{len .Config.Env}} {{len .Id}}", "2 3");
	expect("{{join .Config.Env \";\"}}", "A=1;B=2");
	expect("{{upper .Id}} {{.Id | upper | lower}} {{title .Id}}", "ABC abc Abc");
	expect("{{println .Id 1}}{{print \"a\\tb\"}}", "abc 1\na\tb");
	expect("{{json \"x\"}}{{/* nothing */}}", "\"x\"");
	expect("a {{- .Id -}} b", "aabcb");
}

static void test_template_blocks(void **state)
{
	expect("{{if .State.Running}}up{{else}}down{{end}}", "up");
	expect("{{if .Off}}on{{else}}off{{end}}", "off");
	expect("{{if .Empty}}1{{else if eq .N 3}}three{{else}}2{{end}}", "three");
	expect("{{if and .State.Running (not .Off)}}yes{{end}}", "yes");
	expect("{{if or .Off .Empty}}yes{{end}}no", "no");
	expect("{{if ne .Id \"x\"}}differs{{end}}", "differs");
	expect("{{range .Config.Env}}<{{.}}>{{end}}", "<A=1><B=2>");
	expect("{{range .Config.Labels}}{{.}}{{end}}", "xy");
	expect("{{range .Empty}}x{{else}}none{{end}}", "none");
	expect("{{range .Config.Env}}{{$.Id}}{{end}}", "abcabc");
	expect("{{with .Config}}{{len .Env}}{{end}}", "2");
	expect("{{if .State.Health}}{{.Missing}}{{end}}ok", "ok"); /* a branch not taken is not evaluated */
	expect("{{range .Empty}}{{range .X}}{{end}}{{end}}done", "done");
}

static void test_template_variables(void **state)
{
	expect("{{$x := .N}}{{$x}}-{{$x}}", "3-3");
	expect("{{$x := 1}}{{if .N}}{{$x = 2}}{{$y := 9}}{{end}}{{$x}}", "2");
	expect("{{range $i, $e := .Config.Env}}{{$i}}:{{$e}} {{end}}", "0:A=1 1:B=2 ");
	expect("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a.b=x;c=y;");
	expect("{{range $e := .Config.Env}}{{$e}}{{end}}", "A=1B=2");
	expect("{{range $i, $e := .Empty}}{{$i}}{{$e}}{{else}}none{{end}}", "none");
	expect("{{range $i, $e := .Config.Env}}{{if eq $i 1}}{{break}}{{end}}{{$e}}{{end}}.", "A=1.");
	expect("{{range $i, $e := .Config.Env}}{{if eq $i 0}}{{continue}}{{end}}{{$e}}{{end}}.", "B=2.");
	expect("{{with $l := .Config.Labels}}{{len $l}}{{.c}}{{end}}", "2y");
	expect("{{if $x := .Off}}{{else}}{{$x}}{{end}}", "false");
	expect("{{with .Empty}}x{{else with .Config}}{{len .Env}}{{end}}", "2");
	expect("{{with \"text\"}}{{.}}{{end}}{{(index .Config.Env 0)}}", "textA=1");
	expect("{{range split .Name \"\"}}{{.}}{{end}}{{range split \"a,b\" \",\"}}<{{.}}>{{end}}", "/web<a><b>");
}

static void test_template_functions(void **state)
{
	expect("{{printf \"%s|%5s|%-5s|%.2s\" .Id .Id .Id .Id}}", "abc|  abc|abc  |ab");
	expect("{{printf \"%d|%05d|%x|%q|%v|%t|%%\" 42 42 255 .Id .Config.Env .Off}}", "42|00042|ff|\"abc\"|[A=1 B=2]|false|%");
	expect("{{printf \"%.2f %5.1f %d\" .F 2.25}}", "1.50   2.2 %!d(MISSING)");
	expect("{{pad .Id 1 2}}|{{truncate .Id 2}}|{{slice .Id 1 2}}|{{slice .Config.Env 1}}", " abc  |ab|b|[B=2]");
	expect("{{lt .N 10}} {{gt .N 10}} {{le 3 .N}} {{ge \"b\" \"a\"}}", "true false true true"); /* numbers by size */
	expect("{{html \"<a>\"}}{{len nil}}", "&lt;a&gt;0");
	expect("{{.Config.Labels}}", "map[a.b:x c:y]");
	expect_error("{{index .Config.Env 7}}", "index 7 is out of range");
	expect_error("{{slice .Id 2 9}}", "out of range");
	expect_error("{{printf \"%y\" 1}}", "printf has no verb %y");
}

static void test_template_rows(void **state)
{
	_cleanup_json_ struct json *dot = NULL, *methods = NULL;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(1 << 16);
	struct err err = {};
	assert_int_equal(json_parse("{\"ID\":\"x\"}", 10, 1 << 16, "row", &dot, &err), 0);
	assert_int_equal(json_parse("{\"Label\":{\"a\":\"b\"}}", 19, 1 << 16, "methods", &methods, &err), 0);
	struct template_row row = {.dot = dot, .methods = methods};
	static const char text[] = "{{.Label \"a\"}}{{.Label \"none\"}}-{{upper .ID}}{{json .ID}}";
	assert_int_equal(template_check(text, &err), 0);
	assert_int_equal(template_row(text, &row, &out, &err), 0);
	assert_string_equal(out.s, "b-X\"x\"");
	strbuf_reset(&out);
	row.header = true;
	assert_int_equal(template_row(text, &row, &out, &err), 0);
	assert_string_equal(out.s, "anone-xx"); /* docker's headers go through functions unchanged */
	assert_true(template_check("{{.Id", &err) < 0 && template_check("{{range .X}}", &err) < 0 && template_check("{{$x}}", &err) < 0);
	assert_true(template_check("{{break}}", &err) < 0);
}

static void test_template_errors(void **state)
{
	expect_error("{{.State.Health.Status}}", "there is no field 'Status' in nothing");
	expect_error("{{.Id \"a\"}}", "takes no argument");
	expect_error("{{$x}}", "undefined variable");
	expect_error("{{.Name", "'}}' is missing");

	expect_error("{{.Nope}}", "there is no field 'Nope'");
	expect_error("{{.Id", "'}}' is missing");
	expect_error("{{frob .Id}}", "cannot read this");
	expect_error("{{if .Id}}x", "{{end}} is missing");
	expect_error("x{{end}}", "without a beginning");
	expect_error("{{join .Config.Env}}", "wrong number of arguments for join");
	expect_error("{{\"open}}", "a string does not end");
	expect_error("{{((((((((((((((((((((((((((((((((((((((((((.Id}}", "too many levels");
	expect_error("{{.Id | 3}}", "a pipe must end in a function");
}

static void test_table(void **state)
{
	struct table t = {.cols = 3};
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(4096);
	static const char *const cells[] = {"ID", "COMMAND", "NAME", "1", "a rather long command", "web", "22", "ls\033[2J", "döb"};
	for (size_t i = 0; i < ARRAY_LEN(cells); i++)
		assert_int_equal(table_add(&t, cells[i]), 0);
	table_render(&t, 0, &out);
	assert_string_equal(out.s, "ID        COMMAND                 NAME\n1         a rather long command   web\n22        ls?[2J                  döb\n");
	strbuf_reset(&out);
	table_render(&t, 24, &out);
	assert_string_equal(out.s, "ID   COMMAND        NAME\n1    a rather lo…   web\n22   ls?[2J         döb\n"); /* the air first, then the longest */
	strbuf_reset(&out);
	table_render(&t, 12, &out);
	assert_string_equal(out.s, "ID COM… NAME\n1  a r… web\n22 ls?… döb\n"); /* gaps, too; the first column last */
	strbuf_reset(&out);
	t.min_width = 20;
	table_render(&t, 0, &out);
	assert_string_equal(out.s, "ID                  COMMAND                 NAME\n1                   a rather long command   web\n22                  ls?[2J                  döb\n");
	table_done(&t);
}

static void test_ellipsis(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(256);
	text_ellipsis(&out, "abcdef", 4);
	strbuf_addc(&out, ' ');
	text_ellipsis(&out, "äöüß", 4);
	strbuf_addc(&out, ' ');
	text_ellipsis(&out, "äöüßx", 4);
	assert_string_equal(out.s, "abc… äöüß äöü…");
}

static void test_pretty(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(4096);
	json_pretty("{\"a\":[1,2,{}],\"b\":{\"c\":\"x:{,\\\"y\"},\"d\":[]}", 0, &out);
	assert_string_equal(out.s, "{\n    \"a\": [\n        1,\n        2,\n        {}\n    ],\n    \"b\": {\n        \"c\": \"x:{,\\\"y\"\n    },\n    \"d\": []\n}");
}

static void test_progress(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(256);
	struct progress p = {.line = STRBUF_INIT(4096)};
	struct err err;
	progress_bar(&out, 500, 1000, 44);
	assert_string_equal(out.s, "[==========>         ]  500B/1kB");
	static const char stream[] = "{\"error\":\"bad layer\",\"errorDetail\":{\"message\":\"bad layer\"}}\r\n";
	assert_int_equal(progress_feed(&p, stream, 10, &err), 0); /* half a line waits */
	assert_true(progress_feed(&p, stream + 10, sizeof(stream) - 11, &err) < 0);
	assert_string_equal(err.msg, "bad layer");
	progress_done(&p);
}

static void test_filters(void **state)
{
	static const char *const v[] = {"label=a=b", "status=exited", "label=c", NULL}, *const bad[] = {"x", NULL};
	_cleanup_free_ char *s = NULL;
	struct err err;
	assert_int_equal(list_filters((char *const *) v, &s, &err), 0);
	assert_string_equal(s, "{\"label\":{\"a=b\":true,\"c\":true},\"status\":{\"exited\":true}}");
	assert_true(list_filters((char *const *) bad, &s, &err) < 0);
}

/* Feed @in in pieces of @step bytes. Return: whether it detached; *@out: what was sent on. */
static bool scan(const char *keys, const char *in, size_t step, char *out)
{
	struct detach d;
	struct err err;
	size_t o = 0;
	assert_int_equal(detach_parse(keys, &d, &err), 0);
	for (size_t at = 0, len = strlen(in); at < len; at += step) {
		size_t n;
		bool hit = detach_scan(&d, in + at, MIN(step, len - at), out + o, &n);
		o += n;
		out[o] = '\0';
		if (hit)
			return true;
	}
	return false;
}

static void test_detach_scan(void **state)
{
	for (size_t step = 1; step <= 6; step++) {
		char out[64] = "";
		assert_true(scan("ctrl-p,ctrl-q", "ab\x10\x11more", step, out));
		assert_string_equal(out, "ab");
		assert_false(scan("ctrl-p,ctrl-q", "a\x10" "b\x11", step, out)); /* held back, then sent */
		assert_string_equal(out, "a\x10" "b\x11");
		assert_true(scan("ctrl-p,ctrl-q", "\x10\x10\x11", step, out)); /* the first one goes on */
		assert_string_equal(out, "\x10");
		assert_true(scan("a,a,b", "aaab", step, out));
		assert_string_equal(out, "a");
		assert_true(scan("a,b,a,c", "ababac", step, out));
		assert_string_equal(out, "ab");
	}
}

static void test_detach_parse(void **state)
{
	struct detach d;
	struct err err;
	assert_int_equal(detach_parse("ctrl-a,x,ctrl-[,ctrl-@,ctrl-_", &d, &err), 0);
	assert_int_equal(d.n, 5);
	assert_memory_equal(d.keys, "\x01x\x1b\0\x1f", 5);
	assert_int_equal(detach_parse("", &d, &err), 0);
	assert_int_equal(d.n, 0);
	assert_true(detach_parse("ctrl-1", &d, &err) < 0);
	assert_true(detach_parse("ctrl-", &d, &err) < 0);
	assert_true(detach_parse("ab", &d, &err) < 0);
	assert_true(detach_parse("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", &d, &err) < 0);
}

/* Reads frames cut at every @step bytes. */
static void test_demux(void **state)
{
	static const char in[] = "\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\2xy\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\1!";
	for (size_t step = 1; step < sizeof(in); step++) {
		struct demux d = {};
		char got[3][16] = {"", "", ""};
		for (size_t at = 0; at < sizeof(in) - 1; at += step) {
			const char *p = in + at, *slice;
			size_t n = MIN(step, sizeof(in) - 1 - at), len;
			int sink;
			while ((sink = demux_next(&d, &p, &n, &slice, &len)) > 0)
				(void) str_format(got[sink] + strlen(got[sink]), 8, "%.*s", (int) len, slice);
			assert_int_equal(sink, 0);
		}
		assert_string_equal(got[1], "abc");
		assert_string_equal(got[2], "xy!");
	}
	struct demux d = {};
	const char *p = "\7\0\0\0\0\0\0\1x", *slice;
	size_t n = 9, len;
	assert_int_equal(demux_next(&d, &p, &n, &slice, &len), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_template_values), cmocka_unit_test(test_template_blocks), cmocka_unit_test(test_template_variables), cmocka_unit_test(test_template_functions), cmocka_unit_test(test_template_rows), cmocka_unit_test(test_template_errors),
		cmocka_unit_test(test_table),		cmocka_unit_test(test_ellipsis),	cmocka_unit_test(test_pretty),
		cmocka_unit_test(test_progress),	cmocka_unit_test(test_filters),		cmocka_unit_test(test_detach_scan),
		cmocka_unit_test(test_detach_parse),	cmocka_unit_test(test_demux),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
