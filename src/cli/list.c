/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/list.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/table.h"
#include "base/term.h"
#include "cli/template.h"
#include "cli/template_value.h"

#define OUTPUT_MAX (256 << 20)
#define TABLE_COLS_MAX 24

void cell_na(const struct json *item, size_t i, const struct list_view *v, struct strbuf *out)
{
	strbuf_adds(out, "N/A");
}

void cell_ago(int64_t then_s, const struct list_view *v, struct strbuf *out)
{
	char buf[48];
	if (then_s <= 0) {
		strbuf_adds(out, "N/A");
		return;
	}
	strbuf_addf(out, "%s ago", time_format_ago(buf, sizeof(buf), MAX(v->now_ns - then_s * NSEC_PER_SEC, (int64_t) 0)));
}

void cell_date(int64_t then_s, struct strbuf *out)
{
	char buf[TIME_RFC3339_MAX];
	(void) time_format_rfc3339(buf, then_s * NSEC_PER_SEC, false);
	strbuf_addf(out, "%.10s %.8s +0000 UTC", buf, buf + 11);
}

void cell_id(const char *id, const struct list_view *v, struct strbuf *out)
{
	const char *hex = str_after(id, "sha256:");
	if (v->no_trunc)
		strbuf_adds(out, id);
	else
		strbuf_addf(out, "%.*s", ID_SHORT_LEN, hex ? hex : id);
}

void cell_labels(const struct json *labels, struct strbuf *out)
{
	_cleanup_strv_ char **keys = NULL;
	if (sorted_keys(labels, &keys) < 0)
		out->err = -ENOMEM;
	STRV_FOREACH (key, keys)
		strbuf_addf(out, "%s%s=%s", key == keys[0] ? "" : ",", key, json_str(json_get(labels, key), ""));
}

int list_filters(char *const *filters, char **ret, struct err *err)
{
	struct strbuf b = STRBUF_INIT(32 << 10);
	struct json_writer w;
	if (!filters) {
		*ret = NULL;
		return 0;
	}
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	for (char *const *f = filters; *f; f++) {
		char key[64];
		size_t n = strcspn(*f, "=");
		if (!(*f)[n] || str_format(key, sizeof(key), "%.*s", (int) n, *f) <= 0) {
			strbuf_done(&b);
			return err_set(err, ERR_INVALID, "bad format of filter '%.80s': use key=value", *f);
		}
		bool seen = false;
		for (char *const *g = filters; g < f && !seen; g++)
			seen = strncmp(*g, *f, n + 1) == 0;
		if (seen)
			continue;
		jw_obj(&w, key);
		for (char *const *g = f; *g; g++)
			if (strncmp(*g, *f, n + 1) == 0)
				jw_bool(&w, *g + n + 1, true);
		jw_end(&w);
	}
	jw_end(&w);
	char *s = strbuf_steal(&b);
	if (!s)
		return err_oom(err);
	*ret = s;
	return 0;
}

/* The row as a JSON object of strings, which templates read. */
static int row_json(const struct list_kind *k, const struct json *item, size_t i, const struct list_view *v, struct strbuf *out, struct err *err)
{
	_cleanup_strbuf_ struct strbuf cell = STRBUF_INIT(4 << 20);
	struct json_writer w;
	strbuf_reset(out);
	jw_init(&w, out);
	jw_obj(&w, NULL);
	for (size_t c = 0; c < k->n; c++) {
		strbuf_reset(&cell);
		if (!k->columns[c].cell) {
			jw_null(&w, k->columns[c].name);
			continue;
		}
		k->columns[c].cell(item, i, v, &cell);
		jw_str(&w, k->columns[c].name, cell.s ? cell.s : "");
	}
	jw_end(&w);
	return strbuf_err(out) < 0 || strbuf_err(&cell) < 0 ? err_set(err, ERR_CORRUPT, "a row of the list is too large to show") : 0;
}

/* {"Label": {...}} of @item; without an item, of none. *@ret: owned; NULL when the kind has no labels. */
static int methods(const struct list_kind *k, const struct json *item, struct json **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(4 << 20);
	_cleanup_free_ char *labels = item && json_kind(json_get(item, k->labels)) == JSON_KIND_OBJECT ? json_dump(json_get(item, k->labels)) : NULL;
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	jw_raw(&w, "Label", labels ? labels : "{}");
	jw_end(&w);
	return strbuf_err(&b) < 0 ? err_oom(err) : json_parse(b.s, b.len, b.max, "labels", ret, err);
}

static int headers(const struct list_kind *k, struct json **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 16);
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	for (size_t c = 0; c < k->n; c++)
		jw_str(&w, k->columns[c].name, k->columns[c].header);
	jw_end(&w);
	return strbuf_err(&b) < 0 ? err_oom(err) : json_parse(b.s, b.len, b.max, "headers", ret, err);
}

struct printer {
	const struct list_kind *kind;
	const struct list_view *view;
	struct strbuf out;           /* owned */
	struct table table;          /* owned; table mode */
	char *formats[TABLE_COLS_MAX]; /* borrowed from text; one a column, or just one */
	size_t n_formats;
	char *text;                  /* owned */
	bool is_table;
	bool is_json;                /* of whole rows, with <>& escaped as docker has them there */
};

/* docker's users write \t and \n in a shell's single quotes */
static char *unescape(const char *s)
{
	char *out = strdup(s), *o = out;
	for (const char *p = s; out && *p; p++) {
		bool hit = *p == '\\' && (p[1] == 't' || p[1] == 'n');
		*o++ = !hit ? *p : p[1] == 't' ? '\t' : '\n';
		p += hit;
	}
	if (out)
		*o = '\0';
	return out;
}

/* The columns' templates, tabs between them: the kind's own, or what follows "table "; NULL: not a table. */
static const char *table_format(const struct list_kind *k, const struct list_view *v)
{
	const char *rest = v->format ? str_after(v->format, "table") : "";
	if (!rest || (*rest && *rest != ' '))
		return NULL;
	if (*rest)
		return rest + 1;
	return v->quiet ? NULL : k->table;
}

static int printer_init(struct printer *p, struct err *err)
{
	const struct list_view *v = p->view;
	const char *table = table_format(p->kind, v), *format = v->format && !str_eq(v->format, "table") ? v->format : p->kind->quiet;
	p->is_table = table;
	p->is_json = str_eq(format, "json") || str_eq(format, "{{json .}}");
	p->text = unescape(table ? table : format);
	if (!p->text)
		return err_oom(err);
	for (char *s = p->text; s; p->n_formats++) {
		if (p->n_formats == TABLE_COLS_MAX)
			return err_set(err, ERR_INVALID, "--format: more than %d columns", TABLE_COLS_MAX);
		p->formats[p->n_formats] = s;
		s = p->is_table ? strchr(s, '\t') : NULL;
		if (s)
			*s++ = '\0';
	}
	p->table.cols = p->n_formats;
	for (size_t i = 0; i < p->n_formats; i++) {
		int r = p->is_json ? 0 : template_check(p->formats[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_row(struct printer *p, const struct template_row *row, struct err *err)
{
	_cleanup_strbuf_ struct strbuf cell = STRBUF_INIT(4 << 20);
	for (size_t i = 0; i < p->n_formats; i++) {
		strbuf_reset(&cell);
		int r = template_row(p->formats[i], row, p->is_table ? &cell : &p->out, err);
		if (r == 0 && p->is_table)
			r = table_add(&p->table, cell.s ? cell.s : "") < 0 ? err_oom(err) : 0;
		if (r < 0)
			return r;
	}
	if (!p->is_table)
		strbuf_addc(&p->out, '\n');
	return 0;
}

/* As Go writes JSON by default. */
static void add_escaped(struct strbuf *out, const char *json)
{
	for (; *json; json++) {
		if (strchr("<>&", *json))
			strbuf_addf(out, "\\u%04x", (unsigned) *json);
		else
			strbuf_addc(out, *json);
	}
}

static int print_row(struct printer *p, const struct json *item, const char *text, size_t len, struct err *err)
{
	_cleanup_json_ struct json *dot = NULL, *labels = NULL;
	if (p->is_json) {
		add_escaped(&p->out, text);
		strbuf_addc(&p->out, '\n');
		return 0;
	}
	int r = json_parse(text, len, SIZE_MAX, "row", &dot, err);
	if (r == 0 && p->kind->labels)
		r = methods(p->kind, item, &labels, err);
	return r < 0 ? r : add_row(p, &(struct template_row) {.dot = dot, .methods = labels}, err);
}

static int print_item(struct printer *p, const struct json *item, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(8 << 20);
	size_t n = p->kind->rows ? p->kind->rows(item) : 1;
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		if ((r = row_json(p->kind, item, i, p->view, &text, err)) == 0)
			r = print_row(p, item, text.s, text.len, err);
	return r;
}

static int print_headers(struct printer *p, struct err *err)
{
	_cleanup_json_ struct json *dot = NULL, *labels = NULL;
	int r = headers(p->kind, &dot, err);
	if (r == 0 && p->kind->labels)
		r = methods(p->kind, NULL, &labels, err);
	return r < 0 ? r : add_row(p, &(struct template_row) {.dot = dot, .methods = labels, .header = true}, err);
}

static int print_all(struct printer *p, const struct json *items, struct err *err)
{
	unsigned rows, cols = 0;
	int r = printer_init(p, err);
	if (r == 0 && p->is_table)
		r = print_headers(p, err);
	for (size_t i = 0; r == 0 && i < json_len(items); i++)
		r = print_item(p, json_at(items, i), err);
	if (r < 0)
		return r;
	if (p->is_table) {
		if (p->view->no_trunc || p->view->format || !term_size(STDOUT_FILENO, &rows, &cols))
			cols = 0;
		table_render(&p->table, cols, &p->out);
	}
	if (strbuf_err(&p->out) < 0)
		return err_set(err, ERR_INVALID, "the list is too large to show: filter it");
	(void) fwrite(p->out.s ? p->out.s : "", 1, p->out.len, stdout);
	return 0;
}

int list_print(const struct list_kind *k, const struct json *items, const struct list_view *v, struct err *err)
{
	struct printer p = {.kind = k, .view = v, .out = STRBUF_INIT(OUTPUT_MAX)};
	int r = print_all(&p, items, err);
	strbuf_done(&p.out);
	table_done(&p.table);
	free(p.text);
	return r;
}

int list_json(const struct list_kind *k, const struct json *items, const struct list_view *v, struct strbuf *out, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(8 << 20);
	bool first = true;
	strbuf_addc(out, '[');
	JSON_FOREACH(item, n, items)
		for (size_t i = 0, rows = k->rows ? k->rows(item) : 1; i < rows; i++) {
			int r = row_json(k, item, i, v, &text, err);
			if (r < 0)
				return r;
			strbuf_addf(out, "%s%s", first ? "" : ",", text.s);
			first = false;
		}
	strbuf_addc(out, ']');
	return strbuf_err(out) < 0 ? err_set(err, ERR_INVALID, "the list is too large to show: filter it") : 0;
}
