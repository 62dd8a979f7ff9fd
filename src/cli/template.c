/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recursive-descent interpreter that walks the text once; a branch not taken is walked with output off. Depth and the number of
 * strings made are bounded by the text's own length.
 */
#include "cli/template.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/num.h"

#define DEPTH_MAX 32
#define ARGS_MAX 8
#define LOOP_OUTPUT_MAX (16 << 20)

enum value_kind { VALUE_MISSING, VALUE_JSON, VALUE_TEXT, VALUE_INT, VALUE_BOOL };

struct value {
	enum value_kind kind;
	const struct json *json; /* borrowed */
	const char *text;        /* borrowed from the pool */
	int64_t number;
};

struct run {
	const char *p;           /* where we are */
	const struct json *root;
	struct strbuf *out;      /* NULL: a branch that is not taken */
	char **pool;             /* owned strv: strings made on the way */
	unsigned depth;
	struct err *err;
};

enum stop { STOP_END_OF_TEXT, STOP_END, STOP_ELSE };

static int block(struct run *x, const struct json *dot, enum stop *ret_stop);
static int pipeline(struct run *x, const struct json *dot, struct value *ret);

static int fail(struct run *x, const char *what)
{
	return err_set(x->err, ERR_INVALID, "template: %s at \"%.40s\"", what, x->p);
}

static const char *keep(struct run *x, char *s)
{
	if (strv_push_take(&x->pool, s) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

static void skip_blanks(struct run *x)
{
	while (isspace((unsigned char) *x->p))
		x->p++;
}

static bool is_name(char c)
{
	return isalnum((unsigned char) c) || c == '_';
}

/* ---- values ---- */

static void print_json(struct strbuf *b, const struct json *v, bool top)
{
	bool first = true;
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
		JSON_FOREACH_MEMBER(key, e, v) {
			strbuf_addf(b, "%s%s:", first ? "" : " ", key);
			first = false;
			print_json(b, e, false);
		}
		strbuf_addc(b, ']');
		break;
	default:
		strbuf_adds(b, top ? "<no value>" : "<nil>");
	}
}

static void print_value(struct strbuf *b, const struct value *v)
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

static const char *as_text(struct run *x, const struct value *v)
{
	struct strbuf b = STRBUF_INIT(LOOP_OUTPUT_MAX);
	if (v->kind == VALUE_TEXT)
		return v->text;
	print_value(&b, v);
	const char *s = keep(x, strbuf_steal(&b));
	return s ? s : ""; /* out of memory: the text stays empty */
}

static bool is_true(const struct value *v)
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

/* ---- functions ---- */

static int make_text(struct run *x, struct value *ret, char *owned)
{
	const char *s = keep(x, owned);
	if (!s)
		return err_oom(x->err);
	*ret = (struct value) {.kind = VALUE_TEXT, .text = s};
	return 0;
}

static int fn_json(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	if (v->kind == VALUE_JSON && v->json)
		return make_text(x, ret, json_dump(v->json));
	struct strbuf b = STRBUF_INIT(LOOP_OUTPUT_MAX);
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
	return make_text(x, ret, strbuf_steal(&b));
}

static int fn_len(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	size_t len = v->kind == VALUE_TEXT ? strlen(v->text) : 0;
	if (v->kind == VALUE_JSON)
		len = json_kind(v->json) == JSON_KIND_STRING ? strlen(json_str(v->json, "")) : json_len(v->json);
	*ret = (struct value) {.kind = VALUE_INT, .number = (int64_t) len};
	return 0;
}

static int fn_index(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	struct value at = v[0];
	for (size_t i = 1; i < n; i++) {
		const struct json *next = NULL;
		if (at.kind == VALUE_JSON && v[i].kind == VALUE_INT && v[i].number >= 0)
			next = json_at(at.json, (size_t) v[i].number);
		else if (at.kind == VALUE_JSON && v[i].kind != VALUE_INT)
			next = json_get(at.json, as_text(x, &v[i]));
		at = next ? (struct value) {.kind = VALUE_JSON, .json = next} : (struct value) {.kind = VALUE_TEXT, .text = ""};
	}
	*ret = at;
	return 0;
}

static int fn_join(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	struct strbuf b = STRBUF_INIT(LOOP_OUTPUT_MAX);
	JSON_FOREACH(e, i, v[0].kind == VALUE_JSON ? v[0].json : NULL) {
		if (i > 0)
			strbuf_adds(&b, as_text(x, &v[1]));
		print_json(&b, e, false);
	}
	return make_text(x, ret, strbuf_steal(&b));
}

static int change_case(struct run *x, const struct value *v, int (*first)(int), int (*rest)(int), struct value *ret)
{
	const char *text = as_text(x, v);
	char *s = text ? strdup(text) : NULL;
	for (char *c = s; c && *c; c++)
		*c = (char) (c == s || c[-1] == ' ' ? first : rest)((unsigned char) *c);
	return make_text(x, ret, s);
}

static int same(int c)
{
	return c;
}

static int fn_upper(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	return change_case(x, v, toupper, toupper, ret);
}

static int fn_lower(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	return change_case(x, v, tolower, tolower, ret);
}

static int fn_title(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	return change_case(x, v, toupper, same, ret);
}

static int print_all(struct run *x, const struct value *v, size_t n, const char *between, const char *end, struct value *ret)
{
	struct strbuf b = STRBUF_INIT(LOOP_OUTPUT_MAX);
	for (size_t i = 0; i < n; i++) {
		strbuf_adds(&b, i > 0 ? between : "");
		print_value(&b, &v[i]);
	}
	strbuf_adds(&b, end);
	return make_text(x, ret, strbuf_steal(&b));
}

static int fn_print(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	return print_all(x, v, n, "", "", ret);
}

static int fn_println(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	return print_all(x, v, n, " ", "\n", ret);
}

static int give_bool(struct value *ret, bool on)
{
	*ret = (struct value) {.kind = VALUE_BOOL, .number = on};
	return 0;
}

static int fn_eq(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	bool any = false;
	for (size_t i = 1; i < n; i++)
		any = any || str_eq(as_text(x, &v[0]), as_text(x, &v[i]));
	return give_bool(ret, any);
}

static int fn_ne(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	return give_bool(ret, !str_eq(as_text(x, &v[0]), as_text(x, &v[1])));
}

static int fn_not(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	return give_bool(ret, !is_true(&v[0]));
}

static int fn_and(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	size_t i = 0;
	while (i + 1 < n && is_true(&v[i]))
		i++;
	*ret = v[i];
	return 0;
}

static int fn_or(struct run *x, const struct value *v, size_t n, struct value *ret)
{
	size_t i = 0;
	while (i + 1 < n && !is_true(&v[i]))
		i++;
	*ret = v[i];
	return 0;
}

static const struct function {
	const char *name;
	size_t min, max;
	int (*call)(struct run *x, const struct value *v, size_t n, struct value *ret);
} functions[] = {
	{"json", 1, 1, fn_json},   {"len", 1, 1, fn_len},     {"index", 1, ARGS_MAX, fn_index}, {"join", 2, 2, fn_join},
	{"upper", 1, 1, fn_upper}, {"lower", 1, 1, fn_lower}, {"title", 1, 1, fn_title},        {"print", 0, ARGS_MAX, fn_print},
	{"println", 0, ARGS_MAX, fn_println}, {"eq", 2, ARGS_MAX, fn_eq}, {"ne", 2, 2, fn_ne},  {"not", 1, 1, fn_not},
	{"and", 1, ARGS_MAX, fn_and}, {"or", 1, ARGS_MAX, fn_or},
};

/* ---- expressions ---- */

static int read_string(struct run *x, struct value *ret)
{
	struct strbuf b = STRBUF_INIT(1 << 16);
	char quote = *x->p++;
	for (; *x->p && *x->p != quote; x->p++) {
		if (quote == '"' && *x->p == '\\' && x->p[1]) {
			x->p++;
			strbuf_addc(&b, *x->p == 'n' ? '\n' : *x->p == 't' ? '\t' : *x->p);
		} else
			strbuf_addc(&b, *x->p);
	}
	if (*x->p != quote) {
		strbuf_done(&b);
		return fail(x, "a string does not end");
	}
	x->p++;
	return make_text(x, ret, strbuf_steal(&b));
}

/* ".A.B" behind @from; a missing first field of the root is an error, a missing inner one has no value */
static int read_path(struct run *x, const struct json *from, struct value *ret)
{
	const struct json *at = from;
	for (bool first = true; *x->p == '.' && is_name(x->p[1]); first = false) {
		char name[128];
		size_t n = 0;
		x->p++;
		while (is_name(x->p[n]))
			n++;
		if (str_format(name, sizeof(name), "%.*s", (int) n, x->p) < 0)
			return fail(x, "a field's name is too long");
		const struct json *next = json_get_fold(at, name);
		if (!next && first && from == x->root && x->out)
			return err_set(x->err, ERR_INVALID, "template: there is no field '%s'", name);
		at = next;
		x->p += n;
	}
	*ret = at ? (struct value) {.kind = VALUE_JSON, .json = at} : (struct value) {};
	return 0;
}

static int read_number(struct run *x, struct value *ret)
{
	char text[24];
	size_t n = strspn(x->p + 1, "0123456789") + 1;
	*ret = (struct value) {.kind = VALUE_INT};
	if (str_format(text, sizeof(text), "%.*s", (int) n, x->p) < 0 || parse_i64(text, &ret->number) < 0)
		return fail(x, "not a number");
	x->p += n;
	return 0;
}

static int read_operand(struct run *x, const struct json *dot, struct value *ret)
{
	skip_blanks(x);
	if (*x->p == '"' || *x->p == '`')
		return read_string(x, ret);
	if (*x->p == '$') {
		x->p++;
		return read_path(x, x->root, ret);
	}
	if (*x->p == '.') {
		if (is_name(x->p[1]))
			return read_path(x, dot, ret);
		x->p++;
		*ret = (struct value) {.kind = VALUE_JSON, .json = dot};
		return 0;
	}
	if (isdigit((unsigned char) *x->p) || (*x->p == '-' && isdigit((unsigned char) x->p[1])))
		return read_number(x, ret);
	if (*x->p == '(') {
		if (++x->depth > DEPTH_MAX)
			return fail(x, "too many levels");
		x->p++;
		int r = pipeline(x, dot, ret);
		x->depth--;
		if (r < 0)
			return r;
		skip_blanks(x);
		if (*x->p++ != ')')
			return fail(x, "')' is missing");
		return 0;
	}
	for (int on = 0; on < 2; on++) {
		const char *word = on ? "true" : "false";
		if (str_after(x->p, word) && !is_name(x->p[strlen(word)])) {
			x->p += strlen(word);
			return give_bool(ret, on);
		}
	}
	return fail(x, "cannot read this");
}

static bool at_operand(struct run *x)
{
	skip_blanks(x);
	return *x->p && *x->p != '|' && *x->p != ')' && !str_after(x->p, "}}") && !str_after(x->p, "-}}");
}

/* A function with its arguments, or one operand. @piped: what came through a pipe, as the last argument; NULL: none. */
static int command(struct run *x, const struct json *dot, const struct value *piped, struct value *ret)
{
	struct value v[ARGS_MAX];
	size_t n = 0, len = 0;
	skip_blanks(x);
	while (is_name(x->p[len]))
		len++;
	const struct function *f = NULL;
	for (size_t i = 0; i < ARRAY_LEN(functions) && len > 0; i++)
		if (strlen(functions[i].name) == len && strncmp(functions[i].name, x->p, len) == 0)
			f = &functions[i];
	if (!f)
		return piped ? fail(x, "a pipe must end in a function") : read_operand(x, dot, ret);
	x->p += len;
	while (at_operand(x)) {
		if (n == ARGS_MAX - 1)
			return fail(x, "too many arguments");
		int r = read_operand(x, dot, &v[n++]);
		if (r < 0)
			return r;
	}
	if (piped)
		v[n++] = *piped;
	if (n < f->min || n > f->max)
		return err_set(x->err, ERR_INVALID, "template: wrong number of arguments for %s", f->name);
	return f->call(x, v, n, ret);
}

static int pipeline(struct run *x, const struct json *dot, struct value *ret)
{
	struct value v;
	int r = command(x, dot, NULL, &v);
	for (skip_blanks(x); r == 0 && *x->p == '|'; skip_blanks(x)) {
		struct value next;
		x->p++;
		r = command(x, dot, &v, &next);
		v = next;
	}
	if (r == 0)
		*ret = v;
	return r;
}

/* ---- actions ---- */

/* Behind an action's last word: "}}", or "-}}" which also eats the blanks that follow. */
static int close_action(struct run *x)
{
	skip_blanks(x);
	bool trim = *x->p == '-';
	x->p += trim;
	if (!str_after(x->p, "}}"))
		return fail(x, "'}}' is missing");
	x->p += 2;
	if (trim)
		skip_blanks(x);
	return 0;
}

static bool take_word(struct run *x, const char *word)
{
	skip_blanks(x);
	size_t n = strlen(word);
	if (strncmp(x->p, word, n) != 0 || is_name(x->p[n]))
		return false;
	x->p += n;
	return true;
}

/* Walk one branch, with or without output. */
static int branch(struct run *x, const struct json *dot, bool taken, enum stop *stop)
{
	struct strbuf *out = x->out;
	if (!taken)
		x->out = NULL;
	int r = block(x, dot, stop);
	x->out = out;
	return r;
}

/* {{if}} and {{with}}: behind the condition, up to and with {{end}} */
static int choose(struct run *x, const struct json *dot, const struct json *inner, bool yes)
{
	enum stop stop;
	int r = branch(x, inner, yes, &stop);
	if (r == 0 && stop == STOP_ELSE && take_word(x, "if")) { /* {{else if X}} */
		struct value v;
		if ((r = pipeline(x, dot, &v)) < 0 || (r = close_action(x)) < 0)
			return r;
		struct strbuf *out = x->out;
		if (yes)
			x->out = NULL;
		r = choose(x, dot, dot, is_true(&v));
		x->out = out;
		return r;
	}
	if (r == 0 && stop == STOP_ELSE && (r = close_action(x)) == 0)
		r = branch(x, dot, !yes, &stop);
	if (r == 0 && stop != STOP_END)
		return fail(x, "{{end}} is missing");
	return r;
}

static int each(struct run *x, const struct json *dot, const struct json *list)
{
	const char *body = x->p, *after = NULL;
	enum stop stop = STOP_END;
	int r = 0;
	size_t n = json_len(list);
	JSON_FOREACH(e, i, json_kind(list) == JSON_KIND_ARRAY ? list : NULL) {
		x->p = body;
		if (r == 0)
			r = branch(x, e, true, &stop);
		after = x->p;
	}
	if (json_kind(list) == JSON_KIND_OBJECT)
		JSON_FOREACH_MEMBER(key, e, list) {
			x->p = body;
			if (r == 0)
				r = branch(x, e, true, &stop);
			after = x->p;
		}
	if (r == 0 && !after)
		r = branch(x, dot, false, &stop);
	if (r == 0 && stop == STOP_ELSE && (r = close_action(x)) == 0)
		r = branch(x, dot, n == 0, &stop);
	if (r == 0 && stop != STOP_END)
		return fail(x, "{{end}} is missing");
	return r;
}

/* One action behind "{{". *@stop: set when it ends the block. */
static int action(struct run *x, const struct json *dot, enum stop *stop, bool *ended)
{
	struct value v;
	int r;
	if (str_after(x->p, "/*")) {
		const char *end = strstr(x->p, "*/");
		if (!end)
			return fail(x, "a comment does not end");
		x->p = end + 2;
		return close_action(x);
	}
	if (take_word(x, "end")) {
		*stop = STOP_END;
		*ended = true;
		return close_action(x);
	}
	if (take_word(x, "else")) {
		*stop = STOP_ELSE; /* its "}}", or an "if", is read by the caller */
		*ended = true;
		return 0;
	}
	bool is_if = take_word(x, "if"), is_with = !is_if && take_word(x, "with"), is_range = !is_if && !is_with && take_word(x, "range");
	if ((r = pipeline(x, dot, &v)) < 0 || (r = close_action(x)) < 0)
		return r;
	if (is_if || is_with)
		return choose(x, dot, is_with && v.kind == VALUE_JSON ? v.json : dot, is_true(&v));
	if (is_range)
		return each(x, dot, v.kind == VALUE_JSON ? v.json : NULL);
	if (x->out)
		print_value(x->out, &v);
	return 0;
}

static int block(struct run *x, const struct json *dot, enum stop *ret_stop)
{
	bool ended = false;
	int r = 0;
	if (++x->depth > DEPTH_MAX)
		return fail(x, "too many levels");
	while (r == 0 && !ended) {
		const char *open = strstr(x->p, "{{");
		size_t n = open ? (size_t) (open - x->p) : strlen(x->p);
		bool trim = open && open[2] == '-' && isspace((unsigned char) open[3]);
		size_t shown = n;
		while (trim && shown > 0 && isspace((unsigned char) x->p[shown - 1]))
			shown--;
		if (x->out)
			strbuf_add(x->out, x->p, shown);
		x->p += n;
		if (!open) {
			*ret_stop = STOP_END_OF_TEXT;
			break;
		}
		x->p += 2 + trim;
		r = action(x, dot, ret_stop, &ended);
	}
	x->depth--;
	return r;
}

int template_run(const char *text, const struct json *dot, struct strbuf *out, struct err *err)
{
	struct run x = {.p = text, .root = dot, .out = out, .err = err};
	enum stop stop = STOP_END_OF_TEXT;
	int r = block(&x, dot, &stop);
	if (r == 0 && stop != STOP_END_OF_TEXT)
		r = err_set(err, ERR_INVALID, "template: {{end}} or {{else}} without a beginning");
	if (r == 0 && strbuf_err(out) < 0)
		r = err_set(err, ERR_INVALID, "template: the output is too large");
	(void) strv_free(x.pool);
	return r;
}
