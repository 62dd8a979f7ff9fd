/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recursive-descent interpreter that walks the text once; a branch not taken is walked with output off, and checking a text is walking it with
 * everything off. Depth and the number of strings made are bounded by the text's own length and by the data's.
 */
#include "cli/template.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/num.h"
#include "cli/template_value.h"

#define DEPTH_MAX 32
#define VARS_MAX 32

enum jump { JUMP_NONE, JUMP_BREAK, JUMP_CONTINUE };

struct var {
	const char *name; /* borrowed from the text */
	size_t len;
	struct value value;
};

struct run {
	const char *p;              /* where we are */
	const struct template_row *row;
	struct strbuf *out;         /* NULL: a branch that is not taken */
	struct pool pool;
	struct var vars[VARS_MAX];
	size_t n_vars;
	unsigned depth, loops;
	enum jump jump;             /* to the end of the innermost loop's body */
	struct err *err;
};

enum stop { STOP_END_OF_TEXT, STOP_END, STOP_ELSE };

static int block(struct run *x, const struct value *dot, enum stop *ret_stop);
static int pipeline(struct run *x, const struct value *dot, struct value *ret);

static int fail(struct run *x, const char *what)
{
	return err_set(x->err, ERR_INVALID, "template: %s at \"%.40s\"", what, x->p);
}

/* Whether what is read also happens. */
static bool is_live(const struct run *x)
{
	return x->out && x->jump == JUMP_NONE;
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

static size_t name_len(const char *s)
{
	size_t n = 0;
	while (is_name(s[n]))
		n++;
	return n;
}

/* ---- variables ---- */

static struct var *find_var(struct run *x, const char *name, size_t len)
{
	for (size_t i = x->n_vars; i > 0; i--)
		if (x->vars[i - 1].len == len && strncmp(x->vars[i - 1].name, name, len) == 0)
			return &x->vars[i - 1];
	return NULL;
}

static int push_var(struct run *x, const char *name, size_t len, struct value value)
{
	if (x->n_vars == VARS_MAX)
		return fail(x, "too many variables");
	x->vars[x->n_vars++] = (struct var) {name, len, value};
	return 0;
}

/* "$x :=" or "$x =" at the cursor? Steps over it. *@ret_new: whether it declares. */
static bool take_assignment(struct run *x, const char **ret_name, size_t *ret_len, bool *ret_new)
{
	skip_blanks(x);
	size_t n = *x->p == '$' ? name_len(x->p + 1) : 0;
	if (n == 0)
		return false;
	const char *s = x->p + 1 + n;
	while (isspace((unsigned char) *s))
		s++;
	bool declares = s[0] == ':' && s[1] == '=';
	if (!declares && !(s[0] == '=' && s[1] != '='))
		return false;
	*ret_name = x->p + 1;
	*ret_len = n;
	*ret_new = declares;
	x->p = s + 1 + declares;
	return true;
}

/* ---- expressions ---- */

static int read_string(struct run *x, struct value *ret)
{
	struct strbuf b = STRBUF_INIT(1 << 16);
	char quote = *x->p++;
	strbuf_adds(&b, "");
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
	return value_keep(&x->pool, ret, strbuf_steal(&b));
}

/* The member @name of @at. A field that the data's top lacks, and any field of nothing, is an error; a field that an inner object lacks has no value. */
static int read_field(struct run *x, struct value *at, const char *name)
{
	bool top = at->kind == VALUE_JSON && at->json == x->row->dot;
	const struct json *next = at->kind == VALUE_JSON ? json_get_fold(at->json, name) : NULL;
	bool nothing = at->kind == VALUE_MISSING || (at->kind == VALUE_JSON && json_kind(at->json) <= JSON_KIND_NULL);
	if (!next && is_live(x) && nothing)
		return err_set(x->err, ERR_INVALID, "template: there is no field '%s' in nothing", name);
	if (!next && is_live(x) && top)
		return err_set(x->err, ERR_INVALID, "template: there is no field '%s'", name);
	*at = value_of(next);
	return 0;
}

static int read_path(struct run *x, struct value from, struct value *ret)
{
	while (*x->p == '.' && is_name(x->p[1])) {
		char name[128];
		size_t n = name_len(++x->p);
		if (str_format(name, sizeof(name), "%.*s", (int) n, x->p) < 0)
			return fail(x, "a field's name is too long");
		int r = read_field(x, &from, name);
		if (r < 0)
			return r;
		x->p += n;
	}
	*ret = from;
	return 0;
}

static int read_number(struct run *x, struct value *ret)
{
	char text[24];
	size_t n = strspn(x->p + 1, "0123456789") + 1;
	if (x->p[n] == '.' && isdigit((unsigned char) x->p[n + 1])) {
		n += 1 + strspn(x->p + n + 1, "0123456789");
		x->p += n;
		return value_number(&x->pool, ret, x->p - n, n);
	}
	*ret = (struct value) {.kind = VALUE_INT};
	if (str_format(text, sizeof(text), "%.*s", (int) n, x->p) < 0 || parse_i64(text, &ret->number) < 0)
		return fail(x, "not a number");
	x->p += n;
	return 0;
}

/* "$" is the data, "$x" a variable */
static int read_variable(struct run *x, struct value *ret)
{
	size_t n = name_len(x->p + 1);
	const struct var *v = n ? find_var(x, x->p + 1, n) : NULL;
	if (n && !v)
		return fail(x, "undefined variable");
	x->p += 1 + n;
	return read_path(x, v ? v->value : value_of(x->row->dot), ret);
}

static int read_parentheses(struct run *x, const struct value *dot, struct value *ret)
{
	struct value inner;
	if (++x->depth > DEPTH_MAX)
		return fail(x, "too many levels");
	x->p++;
	int r = pipeline(x, dot, &inner);
	x->depth--;
	if (r < 0)
		return r;
	skip_blanks(x);
	if (*x->p != ')')
		return fail(x, "')' is missing");
	x->p++;
	return read_path(x, inner, ret);
}

static bool take_literal(struct run *x, const char *word)
{
	size_t n = strlen(word);
	if (strncmp(x->p, word, n) != 0 || is_name(x->p[n]))
		return false;
	x->p += n;
	return true;
}

static int read_operand(struct run *x, const struct value *dot, struct value *ret)
{
	skip_blanks(x);
	if (*x->p == '"' || *x->p == '`')
		return read_string(x, ret);
	if (*x->p == '$')
		return read_variable(x, ret);
	if (*x->p == '.' && is_name(x->p[1]))
		return read_path(x, *dot, ret);
	if (*x->p == '.') {
		x->p++;
		*ret = *dot;
		return 0;
	}
	if (isdigit((unsigned char) *x->p) || (*x->p == '-' && isdigit((unsigned char) x->p[1])))
		return read_number(x, ret);
	if (*x->p == '(')
		return read_parentheses(x, dot, ret);
	if (take_literal(x, "nil")) {
		*ret = (struct value) {};
		return 0;
	}
	for (int on = 0; on < 2; on++)
		if (take_literal(x, on ? "true" : "false")) {
			*ret = (struct value) {.kind = VALUE_BOOL, .number = on};
			return 0;
		}
	return fail(x, "cannot read this");
}

static bool at_operand(struct run *x)
{
	skip_blanks(x);
	return *x->p && *x->p != '|' && *x->p != ')' && !str_after(x->p, "}}") && !str_after(x->p, "-}}");
}

/* {{.Label "key"}} of a list's row. Return: 1 when it was one. */
static int method(struct run *x, const struct value *dot, struct value *ret)
{
	char name[64];
	struct value arg;
	const char *start = x->p;
	size_t n = *x->p == '.' ? name_len(x->p + 1) : 0;
	if (n == 0 || x->p[1 + n] == '.' || str_format(name, sizeof(name), "%.*s", (int) n, x->p + 1) < 0)
		return 0;
	x->p += 1 + n;
	if (!at_operand(x)) {
		x->p = start;
		return 0;
	}
	const struct json *table = json_get(x->row->methods, name);
	if (!table && is_live(x))
		return err_set(x->err, ERR_INVALID, "template: '%s' takes no argument", name);
	int r = read_operand(x, dot, &arg);
	if (r < 0)
		return r;
	const char *key = value_text(&x->pool, &arg);
	*ret = (struct value) {.kind = VALUE_TEXT, .text = x->row->header ? key : json_str(json_get(table, key), "")};
	return 1;
}

static int call_function(struct run *x, const struct value *dot, const struct function *f, const struct value *piped, struct value *ret)
{
	struct value v[TEMPLATE_ARGS_MAX];
	size_t n = 0;
	while (at_operand(x)) {
		if (n == TEMPLATE_ARGS_MAX - 1)
			return fail(x, "too many arguments");
		int r = read_operand(x, dot, &v[n++]);
		if (r < 0)
			return r;
	}
	if (piped)
		v[n++] = *piped;
	if (n < f->min || n > f->max)
		return err_set(x->err, ERR_INVALID, "template: wrong number of arguments for %s", f->name);
	if (is_live(x))
		return f->call(&x->pool, v, n, ret);
	*ret = (struct value) {};
	return 0;
}

/* A function with its arguments, a method, or one operand. @piped: what came through a pipe, as the last argument; NULL: none. */
static int command(struct run *x, const struct value *dot, const struct value *piped, struct value *ret)
{
	skip_blanks(x);
	size_t len = name_len(x->p);
	const struct function *f = function_find(x->p, len);
	if (f) {
		x->p += len;
		return call_function(x, dot, f, piped, ret);
	}
	if (piped)
		return fail(x, "a pipe must end in a function");
	int r = method(x, dot, ret);
	if (r == 0)
		r = read_operand(x, dot, ret);
	return MIN(r, 0);
}

static int pipeline(struct run *x, const struct value *dot, struct value *ret)
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
	return take_literal(x, word);
}

/* A pipeline that may be kept: "$x := .A". *@ret_kept: it was, and prints nothing. */
static int assignment(struct run *x, const struct value *dot, struct value *ret, bool *ret_kept)
{
	const char *name;
	size_t len;
	bool declares;
	*ret_kept = take_assignment(x, &name, &len, &declares);
	int r = pipeline(x, dot, ret);
	if (r < 0 || !*ret_kept)
		return r;
	if (declares)
		return push_var(x, name, len, *ret);
	struct var *v = find_var(x, name, len);
	if (!v)
		return fail(x, "undefined variable");
	if (is_live(x))
		v->value = *ret;
	return 0;
}

/* Walk one branch, with or without output; what it declares ends with it. */
static int branch(struct run *x, const struct value *dot, bool taken, enum stop *stop)
{
	struct strbuf *out = x->out;
	size_t n_vars = x->n_vars;
	if (!taken)
		x->out = NULL;
	int r = block(x, dot, stop);
	x->out = out;
	x->n_vars = n_vars;
	return r;
}

/* {{if}} and {{with}}: behind the condition, up to and with {{end}} */
static int choose(struct run *x, const struct value *dot, const struct value *inner, bool yes, bool is_with)
{
	enum stop stop;
	int r = branch(x, inner, yes, &stop);
	if (r == 0 && stop == STOP_ELSE && take_word(x, is_with ? "with" : "if")) { /* {{else if X}} */
		struct value v;
		bool kept;
		struct strbuf *out = x->out;
		if (yes)
			x->out = NULL;
		if ((r = assignment(x, dot, &v, &kept)) == 0 && (r = close_action(x)) == 0)
			r = choose(x, dot, is_with ? &v : dot, value_is_true(&v), is_with);
		x->out = out;
		return r;
	}
	if (r == 0 && stop == STOP_ELSE && (r = close_action(x)) == 0)
		r = branch(x, dot, !yes, &stop);
	if (r == 0 && stop != STOP_END)
		return fail(x, "{{end}} is missing");
	return r;
}

/* What one {{range}} goes over, and where. */
struct loop {
	const struct json *list;
	const char *body, *after;           /* after: behind the body, once it has been walked */
	const char *names[2];               /* "$k, $v :="; NULL: none */
	size_t lens[2];
	enum stop stop;
	bool broken;
};

static int once(struct run *x, struct loop *l, struct value key, const struct json *e)
{
	struct value v = value_of(e);
	size_t n_vars = x->n_vars;
	int r = 0;
	if (l->broken)
		return 0;
	x->p = l->body;
	if (l->names[1])
		r = push_var(x, l->names[0], l->lens[0], key);
	if (r == 0 && l->names[0])
		r = push_var(x, l->names[l->names[1] != NULL], l->lens[l->names[1] != NULL], v);
	if (r == 0)
		r = branch(x, &v, true, &l->stop);
	x->n_vars = n_vars;
	l->after = x->p;
	l->broken = x->jump == JUMP_BREAK;
	x->jump = JUMP_NONE;
	return r;
}

static int each_element(struct run *x, struct loop *l)
{
	_cleanup_strv_ char **keys = NULL;
	int r = 0;
	JSON_FOREACH(e, i, json_kind(l->list) == JSON_KIND_ARRAY ? l->list : NULL)
		if (r == 0)
			r = once(x, l, (struct value) {.kind = VALUE_INT, .number = (int64_t) i}, e);
	if (json_kind(l->list) == JSON_KIND_OBJECT && sorted_keys(l->list, &keys) < 0)
		return err_oom(x->err);
	STRV_FOREACH (key, keys) {
		struct value name;
		if (r < 0 || l->broken)
			break;
		if ((r = value_keep(&x->pool, &name, strdup(key))) == 0) /* a copy: variables may outlive this loop's keys */
			r = once(x, l, name, json_get(l->list, key));
	}
	return r;
}

/* Behind the head of {{range}}, up to and with {{end}} */
static int each(struct run *x, const struct value *dot, struct loop *l)
{
	size_t n = is_live(x) ? json_len(l->list) : 0;
	int r = 0;
	x->loops++;
	if (n > 0)
		r = each_element(x, l);
	if (r == 0 && !l->after) { /* never walked: find its end, with names for what it names */
		for (size_t i = 0; r == 0 && i < 2 && l->names[i]; i++)
			r = push_var(x, l->names[i], l->lens[i], (struct value) {});
		x->p = l->body;
		r = r < 0 ? r : branch(x, dot, false, &l->stop);
		x->n_vars -= MIN(x->n_vars, (size_t) (l->names[0] != NULL) + (l->names[1] != NULL));
	}
	x->loops--;
	if (r == 0 && l->stop == STOP_ELSE && (r = close_action(x)) == 0)
		r = branch(x, dot, n == 0, &l->stop);
	if (r == 0 && l->stop != STOP_END)
		return fail(x, "{{end}} is missing");
	return r;
}

/* "{{range": "$v :=" or "$k, $v :=", the list, and all up to {{end}} */
static int range(struct run *x, const struct value *dot)
{
	struct loop l = {.stop = STOP_END};
	struct value v;
	bool declares = false;
	skip_blanks(x);
	size_t n = *x->p == '$' ? name_len(x->p + 1) : 0;
	const char *s = x->p + 1 + n;
	while (n && isspace((unsigned char) *s))
		s++;
	if (n && *s == ',') {
		l.names[0] = x->p + 1;
		l.lens[0] = n;
		x->p = s + 1;
	}
	size_t at = l.names[0] != NULL;
	if (!take_assignment(x, &l.names[at], &l.lens[at], &declares) && at)
		return fail(x, "':=' is missing");
	int r = pipeline(x, dot, &v);
	if (r < 0 || (r = close_action(x)) < 0)
		return r;
	l.list = v.kind == VALUE_JSON ? v.json : NULL;
	l.body = x->p;
	return each(x, dot, &l);
}

static int comment(struct run *x)
{
	const char *end = strstr(x->p, "*/");
	if (!end)
		return fail(x, "a comment does not end");
	x->p = end + 2;
	return close_action(x);
}

static int leave_body(struct run *x, enum jump jump)
{
	if (x->loops == 0)
		return fail(x, "no loop to leave");
	if (is_live(x))
		x->jump = jump;
	return close_action(x);
}

/* One action behind "{{". *@stop: set when it ends the block. */
static int action(struct run *x, const struct value *dot, enum stop *stop, bool *ended)
{
	struct value v;
	bool kept;
	int r;
	if (str_after(x->p, "/*"))
		return comment(x);
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
	if (take_word(x, "break"))
		return leave_body(x, JUMP_BREAK);
	if (take_word(x, "continue"))
		return leave_body(x, JUMP_CONTINUE);
	if (take_word(x, "range"))
		return range(x, dot);
	bool is_if = take_word(x, "if"), is_with = !is_if && take_word(x, "with");
	size_t n_vars = x->n_vars;
	if ((r = assignment(x, dot, &v, &kept)) < 0 || (r = close_action(x)) < 0)
		return r;
	if (is_if || is_with) {
		r = choose(x, dot, is_with ? &v : dot, value_is_true(&v), is_with);
		x->n_vars = n_vars;
		return r;
	}
	if (is_live(x) && !kept)
		value_print(x->out, &v);
	return 0;
}

static int block(struct run *x, const struct value *dot, enum stop *ret_stop)
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
		if (is_live(x))
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

static int walk(const char *text, const struct template_row *row, struct strbuf *out, struct err *err)
{
	struct run x = {.p = text, .row = row, .out = out, .err = err, .pool = {.header = row->header, .err = err}};
	const struct value dot = value_of(row->dot);
	enum stop stop = STOP_END_OF_TEXT;
	int r = block(&x, &dot, &stop);
	if (r == 0 && stop != STOP_END_OF_TEXT)
		r = err_set(err, ERR_INVALID, "template: {{end}} or {{else}} without a beginning");
	if (r == 0 && out && strbuf_err(out) < 0)
		r = err_set(err, ERR_INVALID, "template: the output is too large");
	pool_done(&x.pool);
	return r;
}

int template_row(const char *text, const struct template_row *row, struct strbuf *out, struct err *err)
{
	return walk(text, row, out, err);
}

int template_run(const char *text, const struct json *dot, struct strbuf *out, struct err *err)
{
	return walk(text, &(struct template_row) {.dot = dot}, out, err);
}

int template_check(const char *text, struct err *err)
{
	return walk(text, &(struct template_row) {}, NULL, err);
}
