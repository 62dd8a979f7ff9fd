/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/coffer-docs/roff.h"

#include <ctype.h>

/* Of the pages' text, not of the build: the same sources make the same bytes. */
#define MANUAL_DATE "2026-11-29"

/* Text of one line. A line must not begin with a request's dot or quote. */
static void add(struct strbuf *b, const char *s, size_t n)
{
	bool start = b->len == 0 || b->s[b->len - 1] == '\n';
	for (size_t i = 0; i < n; i++) {
		if (start && (s[i] == '.' || s[i] == '\''))
			strbuf_adds(b, "\\&");
		start = false;
		if (s[i] == '\\')
			strbuf_adds(b, "\\e");
		else if (s[i] == '-')
			strbuf_adds(b, "\\-");
		else if (s[i] == '\'')
			strbuf_adds(b, "\\(aq");
		else if (s[i] == '`')
			strbuf_adds(b, "\\(ga");
		else if (s[i] == '^')
			strbuf_adds(b, "\\(ha");
		else if (s[i] == '~')
			strbuf_adds(b, "\\(ti");
		else
			strbuf_addc(b, s[i]);
		if (strchr(",|/=", s[i]) && i + 1 < n && s[i + 1] != ' ')
			strbuf_adds(b, "\\:"); /* a long word may be broken here */
	}
}

static void adds(struct strbuf *b, const char *s)
{
	add(b, s, strlen(s));
}

void page_begin(struct page *p, const char *name, const char *section, const char *summary)
{
	*p = (struct page) {.name = name, .section = section, .out = STRBUF_INIT(PAGE_MAX)};
	strbuf_adds(&p->out, ".TH ");
	for (const char *s = name; *s; s++)
		strbuf_addc(&p->out, (char) toupper((unsigned char) *s));
	strbuf_addf(&p->out, " %s %s \"Coffer %s\" \"Coffer's manual\"\n.nh\n.ad l\n", section, MANUAL_DATE, COFFER_VERSION);
	page_section(p, "NAME");
	adds(&p->out, name);
	strbuf_adds(&p->out, " \\- ");
	add(&p->out, summary, strlen(summary));
	strbuf_addc(&p->out, '\n');
}

void page_section(struct page *p, const char *title)
{
	strbuf_addf(&p->out, ".SH %s\n", title);
}

void page_synopsis(struct page *p, const char *command, const char *usage)
{
	for (bool first = true;; first = false) {
		size_t n = strcspn(usage, "\n");
		strbuf_adds(&p->out, first ? "\\fB" : ".br\n\\fB");
		adds(&p->out, command);
		strbuf_adds(&p->out, "\\fR ");
		add(&p->out, usage, n);
		strbuf_addc(&p->out, '\n');
		if (!usage[n])
			return;
		usage += n + 1 + strspn(usage + n + 1, " \t"); /* one more way to use it, with the command's name again */
		const char *rest = str_after(usage, command);
		usage = rest ? rest + strspn(rest, " ") : usage;
	}
}

void page_text(struct page *p, const char *text)
{
	bool verbatim = false, first = true;
	for (const char *s = text; *s;) {
		size_t n = strcspn(s, "\n");
		bool blank = *s == ' ';
		if (n == 0 && !verbatim && !first)
			strbuf_adds(&p->out, ".PP\n");
		if (blank != verbatim && n > 0) {
			strbuf_adds(&p->out, blank ? ".nf\n" : ".fi\n.PP\n");
			verbatim = blank;
		}
		if (n > 0) {
			add(&p->out, s, n);
			strbuf_addc(&p->out, '\n');
		}
		first = false;
		s += n + (s[n] == '\n');
	}
	if (verbatim)
		strbuf_adds(&p->out, ".fi\n");
}

void page_item(struct page *p, const char *tag, const char *text)
{
	strbuf_adds(&p->out, ".TP\n\\fB");
	adds(&p->out, tag);
	strbuf_adds(&p->out, "\\fR\n");
	adds(&p->out, text);
	strbuf_adds(&p->out, ".\n");
}

static const char *value_name(const struct flag *f)
{
	static const char *const by_kind[] = {[FLAG_STR] = "string", [FLAG_LIST] = "list", [FLAG_INT] = "number", [FLAG_SIZE] = "bytes", [FLAG_SET] = "value", [FLAG_FILTER] = "key=value"};
	if (!flag_takes_value(f))
		return NULL;
	return f->arg ? f->arg : (size_t) f->kind < ARRAY_LEN(by_kind) && by_kind[f->kind] ? by_kind[f->kind] : "value";
}

void page_flags(struct page *p, const struct flag_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct flag *f = &t->rows[i];
		const char *value = value_name(f);
		if (!f->help || f->kind == FLAG_REFUSED || f->kind == FLAG_REFUSED_BOOL)
			continue;
		strbuf_adds(&p->out, ".TP\n");
		if (f->abbr)
			strbuf_addf(&p->out, "\\fB\\-%c\\fR, ", f->abbr);
		strbuf_adds(&p->out, "\\fB\\-\\-");
		adds(&p->out, f->name);
		strbuf_adds(&p->out, "\\fR");
		if (value) {
			strbuf_adds(&p->out, " \\fI");
			adds(&p->out, value);
			strbuf_adds(&p->out, "\\fR");
		}
		strbuf_addc(&p->out, '\n');
		adds(&p->out, f->help);
		strbuf_adds(&p->out, ".\n");
	}
}

void page_verbatim(struct page *p, const char *lines)
{
	strbuf_adds(&p->out, ".nf\n");
	for (const char *s = lines; *s;) {
		size_t n = strcspn(s, "\n");
		add(&p->out, s, n);
		strbuf_addc(&p->out, '\n');
		s += n + (s[n] == '\n');
	}
	strbuf_adds(&p->out, ".fi\n");
}

void page_see(struct page *p, const char *names)
{
	page_section(p, "SEE ALSO");
	for (const char *s = names; *s;) {
		size_t n = strcspn(s, " "), name = strcspn(s, "(");
		strbuf_adds(&p->out, ".BR ");
		add(&p->out, s, MIN(name, n));
		strbuf_addf(&p->out, " %.*s%s\n", (int) (n - MIN(name, n)), s + MIN(name, n), s[n] ? " ," : "");
		s += n + (s[n] == ' ');
	}
}
