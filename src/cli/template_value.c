/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values print as Go prints them: lists as [a b], maps as map[k:v] in the order of their keys, nothing as <no value>.
 */
#include "cli/template_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"

#define WIDTH_MAX 4096

void pool_done(struct pool *p)
{
	p->texts = strv_free(p->texts);
	for (size_t i = 0; i < p->n_docs; i++)
		json_free(p->docs[i]);
	free(p->docs);
	p->docs = NULL;
	p->n_docs = 0;
}

struct value value_of(const struct json *json)
{
	return json ? (struct value) {.kind = VALUE_JSON, .json = json} : (struct value) {};
}

int value_keep(struct pool *p, struct value *ret, char *owned)
{
	if (strv_push_take(&p->texts, owned) < 0) {
		free(owned);
		return err_oom(p->err);
	}
	*ret = (struct value) {.kind = VALUE_TEXT, .text = owned};
	return 0;
}

static int keep_doc(struct pool *p, struct value *ret, const struct strbuf *text)
{
	struct json **docs = reallocarray(p->docs, p->n_docs + 1, sizeof(*docs));
	if (!docs || strbuf_err(text) < 0) {
		p->docs = docs ? docs : p->docs;
		return err_oom(p->err);
	}
	p->docs = docs;
	int r = json_parse(text->s, text->len, text->max, "list", &p->docs[p->n_docs], p->err);
	if (r < 0)
		return r;
	*ret = value_of(p->docs[p->n_docs++]);
	return 0;
}

int value_number(struct pool *p, struct value *ret, const char *text, size_t len)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(4096);
	strbuf_addf(&b, "[%.*s]", (int) len, text);
	int r = keep_doc(p, ret, &b);
	if (r == 0)
		*ret = value_of(json_at(ret->json, 0));
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

int sorted_keys(const struct json *object, char ***ret)
{
	_cleanup_strv_ char **keys = NULL;
	JSON_FOREACH_MEMBER(key, value, object)
		if (strv_push(&keys, key) < 0)
			return -ENOMEM;
	if (keys)
		qsort(keys, strv_len(keys), sizeof(*keys), by_name);
	*ret = take_ptr(keys);
	return 0;
}

static void print_json(struct strbuf *b, const struct json *v, bool top)
{
	_cleanup_strv_ char **keys = NULL;
	switch (json_kind(v)) {
	case JSON_KIND_STRING:
		strbuf_adds(b, json_str(v, ""));
		break;
	case JSON_KIND_INT:
		strbuf_addf(b, "%lld", (long long) json_int(v, 0));
		break;
	case JSON_KIND_REAL:
		strbuf_addf(b, "%.17g", json_number(v, 0));
		break;
	case JSON_KIND_BOOL:
		strbuf_adds(b, json_bool(v, false) ? "true" : "false");
		break;
	case JSON_KIND_ARRAY:
		strbuf_addc(b, '[');
		JSON_FOREACH(e, i, v) {
			if (i > 0)
				strbuf_addc(b, ' ');
			print_json(b, e, false);
		}
		strbuf_addc(b, ']');
		break;
	case JSON_KIND_OBJECT:
		strbuf_adds(b, "map[");
		if (sorted_keys(v, &keys) < 0)
			b->err = -ENOMEM;
		STRV_FOREACH (key, keys) {
			strbuf_addf(b, "%s%s:", key == keys[0] ? "" : " ", key);
			print_json(b, json_get(v, key), false);
		}
		strbuf_addc(b, ']');
		break;
	default:
		strbuf_adds(b, top && !v ? "<no value>" : "<nil>");
	}
}

void value_print(struct strbuf *b, const struct value *v)
{
	if (v->kind == VALUE_JSON)
		print_json(b, v->json, true);
	else if (v->kind == VALUE_TEXT)
		strbuf_adds(b, v->text);
	else if (v->kind == VALUE_INT)
		strbuf_addf(b, "%lld", (long long) v->number);
	else
		strbuf_adds(b, v->kind == VALUE_MISSING ? "<no value>" : v->number ? "true" : "false");
}

const char *value_text(struct pool *p, const struct value *v)
{
	struct strbuf b = STRBUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct value kept = {.text = ""};
	if (v->kind == VALUE_TEXT)
		return v->text;
	strbuf_adds(&b, "");
	value_print(&b, v);
	return value_keep(p, &kept, strbuf_steal(&b)) < 0 ? "" : kept.text;
}

bool value_is_true(const struct value *v)
{
	if (v->kind == VALUE_TEXT)
		return *v->text;
	if (v->kind != VALUE_JSON)
		return v->kind != VALUE_MISSING && v->number != 0;
	switch (json_kind(v->json)) {
	case JSON_KIND_STRING:
		return *json_str(v->json, "");
	case JSON_KIND_BOOL:
		return json_bool(v->json, false);
	case JSON_KIND_INT:
	case JSON_KIND_REAL:
		return json_number(v->json, 0) != 0;
	default:
		return json_len(v->json) > 0;
	}
}

static int64_t as_int(const struct value *v)
{
	int64_t n = 0;
	if (v->kind == VALUE_TEXT)
		return parse_i64(v->text, &n) < 0 ? 0 : n;
	return v->kind == VALUE_JSON ? (int64_t) json_number(v->json, 0) : v->number;
}

static bool is_number(const struct value *v)
{
	return v->kind == VALUE_INT || (v->kind == VALUE_JSON && (json_kind(v->json) == JSON_KIND_INT || json_kind(v->json) == JSON_KIND_REAL));
}

static double as_double(const struct value *v)
{
	return v->kind == VALUE_JSON ? json_number(v->json, 0) : (double) as_int(v);
}

/* ---- functions ---- */

static int fn_json(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	if (p->header) {
		*ret = v[0];
		return 0;
	}
	if (v->kind == VALUE_JSON && v->json)
		return value_keep(p, ret, json_dump(v->json));
	struct strbuf b = STRBUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct json_writer w;
	jw_init(&w, &b);
	if (v->kind == VALUE_TEXT)
		jw_str(&w, NULL, v->text);
	else if (v->kind == VALUE_INT)
		jw_int(&w, NULL, v->number);
	else if (v->kind == VALUE_BOOL)
		jw_bool(&w, NULL, v->number != 0);
	else
		jw_null(&w, NULL);
	return value_keep(p, ret, strbuf_steal(&b));
}

static int fn_len(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	size_t len = v->kind == VALUE_TEXT ? strlen(v->text) : 0;
	if (v->kind == VALUE_JSON)
		len = json_kind(v->json) == JSON_KIND_STRING ? strlen(json_str(v->json, "")) : json_len(v->json);
	*ret = (struct value) {.kind = VALUE_INT, .number = (int64_t) len};
	return 0;
}

static int fn_index(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	struct value at = v[0];
	for (size_t i = 1; i < n; i++) {
		const struct json *next = NULL;
		bool list = at.kind == VALUE_JSON && json_kind(at.json) == JSON_KIND_ARRAY;
		if (list && (as_int(&v[i]) < 0 || (size_t) as_int(&v[i]) >= json_len(at.json)))
			return err_set(p->err, ERR_INVALID, "template: index %lld is out of range: the list has %zu", (long long) as_int(&v[i]), json_len(at.json));
		if (list)
			next = json_at(at.json, (size_t) as_int(&v[i]));
		else if (at.kind == VALUE_JSON)
			next = json_get(at.json, value_text(p, &v[i]));
		at = next ? value_of(next) : (struct value) {.kind = VALUE_TEXT, .text = ""};
	}
	*ret = at;
	return 0;
}

static int slice_text(struct pool *p, const char *s, int64_t from, int64_t to, struct value *ret)
{
	return value_keep(p, ret, strndup(s + from, (size_t) (to - from)));
}

static int slice_list(struct pool *p, const struct json *list, int64_t from, int64_t to, struct value *ret)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct json_writer w;
	jw_init(&w, &b);
	jw_arr(&w, NULL);
	for (int64_t i = from; i < to; i++) {
		_cleanup_free_ char *text = json_dump(json_at(list, (size_t) i));
		jw_raw(&w, NULL, text ? text : "null");
	}
	jw_end(&w);
	return keep_doc(p, ret, &b);
}

/* slice x from [to], of a text or a list */
static int fn_slice(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	bool list = v->kind == VALUE_JSON && json_kind(v->json) == JSON_KIND_ARRAY;
	const char *text = list ? "" : value_text(p, v);
	int64_t len = (int64_t) (list ? json_len(v->json) : strlen(text)), from = n > 1 ? as_int(&v[1]) : 0, to = n > 2 ? as_int(&v[2]) : len;
	if (from < 0 || to < from || to > len)
		return err_set(p->err, ERR_INVALID, "template: slice %lld:%lld is out of range: there are %lld", (long long) from, (long long) to, (long long) len);
	return list ? slice_list(p, v->json, from, to, ret) : slice_text(p, text, from, to, ret);
}

static int fn_join(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	struct strbuf b = STRBUF_INIT(TEMPLATE_OUTPUT_MAX);
	strbuf_adds(&b, "");
	if (p->header)
		strbuf_adds(&b, value_text(p, v));
	JSON_FOREACH(e, i, v[0].kind == VALUE_JSON && !p->header ? v[0].json : NULL) {
		if (i > 0)
			strbuf_adds(&b, value_text(p, &v[1]));
		print_json(&b, e, false);
	}
	return value_keep(p, ret, strbuf_steal(&b));
}

static int fn_split(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(TEMPLATE_OUTPUT_MAX);
	const char *s = value_text(p, v), *by = value_text(p, &v[1]), *at;
	struct json_writer w;
	if (p->header) {
		*ret = v[0];
		return 0;
	}
	jw_init(&w, &b);
	jw_arr(&w, NULL);
	for (; *by && (at = strstr(s, by)); s = at + strlen(by))
		jw_strn(&w, NULL, s, (size_t) (at - s));
	jw_str(&w, NULL, s);
	jw_end(&w);
	return keep_doc(p, ret, &b);
}

static int change_case(struct pool *p, const struct value *v, int (*first)(int), int (*rest)(int), struct value *ret)
{
	char *s = strdup(value_text(p, v));
	for (char *c = s; c && *c && !p->header; c++)
		*c = (char) (c == s || c[-1] == ' ' ? first : rest)((unsigned char) *c);
	return value_keep(p, ret, s);
}

static int same(int c)
{
	return c;
}

static int fn_upper(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return change_case(p, v, toupper, toupper, ret);
}

static int fn_lower(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return change_case(p, v, tolower, tolower, ret);
}

static int fn_title(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return change_case(p, v, toupper, same, ret);
}

/* pad text before after: blanks around it, none around nothing */
static int fn_pad(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	const char *s = value_text(p, v);
	int64_t before = as_int(&v[1]), after = as_int(&v[2]);
	if (before < 0 || after < 0 || before > WIDTH_MAX || after > WIDTH_MAX)
		return err_set(p->err, ERR_INVALID, "template: pad: the widths are not within 0 and %d", WIDTH_MAX);
	if (!*s) {
		*ret = v[0];
		return 0;
	}
	return value_keep(p, ret, str_printf("%*s%s%*s", (int) before, "", s, (int) after, ""));
}

static int fn_truncate(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	const char *s = value_text(p, v);
	int64_t max = as_int(&v[1]);
	if (p->header || max < 0 || (size_t) max >= strlen(s)) {
		*ret = v[0];
		return 0;
	}
	return value_keep(p, ret, strndup(s, (size_t) max));
}

static int print_all(struct pool *p, const struct value *v, size_t n, const char *between, const char *end, struct value *ret)
{
	struct strbuf b = STRBUF_INIT(TEMPLATE_OUTPUT_MAX);
	for (size_t i = 0; i < n; i++) {
		strbuf_adds(&b, i > 0 ? between : "");
		value_print(&b, &v[i]);
	}
	strbuf_adds(&b, end);
	return value_keep(p, ret, strbuf_steal(&b));
}

static int fn_print(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return print_all(p, v, n, "", "", ret);
}

static int fn_println(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return print_all(p, v, n, " ", "\n", ret);
}

/* "%-08.3f": what stands between the % and the verb */
struct verb {
	bool left, zero, has_precision;
	int width, precision;
	char letter;
};

static int read_width(const char **s)
{
	int n = 0;
	for (; isdigit((unsigned char) **s); (*s)++)
		n = MIN(n * 10 + **s - '0', WIDTH_MAX);
	return n;
}

static struct verb read_verb(const char **s)
{
	struct verb f = {};
	for (; **s && strchr("-0+# ", **s); (*s)++) {
		f.left |= **s == '-';
		f.zero |= **s == '0';
	}
	f.width = read_width(s);
	if (**s == '.') {
		(*s)++;
		f.has_precision = true;
		f.precision = read_width(s);
	}
	f.letter = **s;
	*s += f.letter != '\0';
	return f;
}

/* One verb's value; -EINVAL for a verb that there is not. */
static int print_verb(struct pool *p, struct strbuf *b, const struct verb *f, const struct value *v)
{
	char number[WIDTH_MAX / 8];
	struct value quoted;
	const char *s = number;
	int precision = f->has_precision ? MIN(f->precision, 60) : 6;
	switch (f->letter) {
	case 'd':
		(void) snprintf(number, sizeof(number), "%lld", (long long) as_int(v));
		break;
	case 'x':
	case 'X':
		(void) snprintf(number, sizeof(number), f->letter == 'x' ? "%llx" : "%llX", (unsigned long long) as_int(v));
		break;
	case 'o':
		(void) snprintf(number, sizeof(number), "%llo", (unsigned long long) as_int(v));
		break;
	case 'f':
	case 'F':
		(void) snprintf(number, sizeof(number), "%.*f", precision, as_double(v));
		break;
	case 'e':
		(void) snprintf(number, sizeof(number), "%.*e", precision, as_double(v));
		break;
	case 'g':
		(void) snprintf(number, sizeof(number), "%.*g", f->has_precision ? precision : 17, as_double(v));
		break;
	case 'q':
		if (fn_json(p, &(struct value) {.kind = VALUE_TEXT, .text = value_text(p, v)}, 1, &quoted) < 0)
			return -ENOMEM;
		s = quoted.text;
		break;
	case 's':
	case 'v':
	case 't':
		s = value_text(p, v);
		break;
	default:
		return -EINVAL;
	}
	int len = f->has_precision && s != number ? MIN(f->precision, WIDTH_MAX) : (int) MIN(strlen(s), (size_t) INT32_MAX);
	int pad = MAX(f->width - MIN((int) MIN(strlen(s), (size_t) INT32_MAX), len), 0);
	if (!f->left && f->zero && s == number && *s != '-')
		while (pad > 0 && pad--)
			strbuf_addc(b, '0');
	strbuf_addf(b, "%*s%.*s%*s", f->left ? 0 : pad, "", len, s, f->left ? pad : 0, "");
	return 0;
}

static int fn_printf(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	struct strbuf b = STRBUF_INIT(TEMPLATE_OUTPUT_MAX);
	size_t at = 1;
	strbuf_adds(&b, "");
	for (const char *s = value_text(p, v); *s;) {
		if (*s != '%') {
			strbuf_addc(&b, *s++);
			continue;
		}
		s++;
		struct verb f = read_verb(&s);
		if (f.letter == '%') {
			strbuf_addc(&b, '%');
			continue;
		}
		if (at >= n) {
			strbuf_addf(&b, "%%!%c(MISSING)", f.letter ? f.letter : ' ');
			continue;
		}
		if (print_verb(p, &b, &f, &v[at++]) < 0) {
			strbuf_done(&b);
			return err_set(p->err, ERR_INVALID, "template: printf has no verb %%%c: use d, s, v, q, x, o, f, e, g or t", f.letter ? f.letter : ' ');
		}
	}
	return value_keep(p, ret, strbuf_steal(&b));
}

static int fn_html(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	static const struct {
		char c;
		const char *as;
	} rows[] = {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&#34;"}, {'\'', "&#39;"}};
	struct strbuf b = STRBUF_INIT(TEMPLATE_OUTPUT_MAX);
	strbuf_adds(&b, "");
	for (const char *s = value_text(p, v); *s; s++) {
		const char *as = NULL;
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			as = rows[i].c == *s ? rows[i].as : as;
		if (as)
			strbuf_adds(&b, as);
		else
			strbuf_addc(&b, *s);
	}
	return value_keep(p, ret, strbuf_steal(&b));
}

static int give_bool(struct value *ret, bool on)
{
	*ret = (struct value) {.kind = VALUE_BOOL, .number = on};
	return 0;
}

static int fn_eq(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	bool any = false;
	for (size_t i = 1; i < n; i++)
		any = any || str_eq(value_text(p, &v[0]), value_text(p, &v[i]));
	return give_bool(ret, any);
}

static int fn_ne(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return give_bool(ret, !str_eq(value_text(p, &v[0]), value_text(p, &v[1])));
}

/* <0, 0, >0: numbers by size, all else as text */
static int order(struct pool *p, const struct value *v)
{
	if (!is_number(&v[0]) || !is_number(&v[1]))
		return strcmp(value_text(p, &v[0]), value_text(p, &v[1]));
	double a = as_double(&v[0]), b = as_double(&v[1]);
	return (a > b) - (a < b);
}

static int fn_lt(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return give_bool(ret, order(p, v) < 0);
}

static int fn_le(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return give_bool(ret, order(p, v) <= 0);
}

static int fn_gt(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return give_bool(ret, order(p, v) > 0);
}

static int fn_ge(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return give_bool(ret, order(p, v) >= 0);
}

static int fn_not(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	return give_bool(ret, !value_is_true(&v[0]));
}

static int fn_and(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	size_t i = 0;
	while (i + 1 < n && value_is_true(&v[i]))
		i++;
	*ret = v[i];
	return 0;
}

static int fn_or(struct pool *p, const struct value *v, size_t n, struct value *ret)
{
	size_t i = 0;
	while (i + 1 < n && !value_is_true(&v[i]))
		i++;
	*ret = v[i];
	return 0;
}

#define ANY TEMPLATE_ARGS_MAX
static const struct function functions[] = {
	{"json", 1, 1, fn_json},     {"len", 1, 1, fn_len},         {"index", 1, ANY, fn_index},     {"slice", 1, 3, fn_slice},  {"join", 2, 2, fn_join},
	{"split", 2, 2, fn_split},   {"upper", 1, 1, fn_upper},     {"lower", 1, 1, fn_lower},       {"title", 1, 1, fn_title},  {"pad", 3, 3, fn_pad},
	{"truncate", 2, 2, fn_truncate}, {"print", 0, ANY, fn_print}, {"println", 0, ANY, fn_println}, {"printf", 1, ANY, fn_printf}, {"html", 1, 1, fn_html},
	{"eq", 2, ANY, fn_eq},     {"ne", 2, 2, fn_ne},             {"lt", 2, 2, fn_lt},        {"le", 2, 2, fn_le},
	{"gt", 2, 2, fn_gt},         {"ge", 2, 2, fn_ge},           {"not", 1, 1, fn_not},           {"and", 1, ANY, fn_and},    {"or", 1, ANY, fn_or},
};

const struct function *function_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(functions) && len > 0; i++)
		if (strlen(functions[i].name) == len && strncmp(functions[i].name, name, len) == 0)
			return &functions[i];
	return NULL;
}
