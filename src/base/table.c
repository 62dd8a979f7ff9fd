/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <errno.h>

#define GAP 3
#define COLUMN_MIN 8
#define COLS_MAX 32

void table_done(struct table *t)
{
	t->cells = strv_free(t->cells);
}

int table_add(struct table *t, const char *cell)
{
	char *s = strdup(cell);
	for (char *c = s; c && *c; c++)
		if ((unsigned char) *c < 0x20 || *c == 0x7f)
			*c = *c == '\t' || *c == '\n' ? ' ' : '?'; /* what comes from images shall not drive the terminal */
	int r = strv_push_take(&t->cells, s);
	if (r < 0)
		free(s);
	return r;
}

size_t text_width(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char) *s & 0xc0) != 0x80;
	return n;
}

void text_ellipsis(struct strbuf *out, const char *s, size_t max)
{
	bool cut = text_width(s) > max;
	size_t left = cut && max > 0 ? max - 1 : max;
	for (; *s; s++) {
		if (((unsigned char) *s & 0xc0) != 0x80 && left-- == 0)
			break;
		strbuf_addc(out, *s);
	}
	if (cut && max > 0)
		strbuf_adds(out, "…");
}

/* Take from the widest column until all fit, but leave each COLUMN_MIN. */
static void fit(size_t *widths, size_t cols, size_t width)
{
	for (;;) {
		size_t total = 0, widest = 0;
		for (size_t c = 0; c < cols; c++) {
			total += widths[c] + (c + 1 < cols ? GAP : 0);
			if (widths[c] > widths[widest])
				widest = c;
		}
		if (total <= width || widths[widest] <= COLUMN_MIN)
			return;
		widths[widest]--;
	}
}

void table_render(const struct table *t, size_t width, struct strbuf *out)
{
	size_t widths[COLS_MAX] = {0}, cols = MIN(t->cols, (size_t) COLS_MAX), n = strv_len(t->cells);
	assert(t->cols > 0 && t->cols <= COLS_MAX);
	for (size_t i = 0; i < n; i++)
		widths[i % cols] = MAX(widths[i % cols], text_width(t->cells[i]));
	if (width > 0)
		fit(widths, cols, width);
	for (size_t i = 0; i < n; i++) {
		size_t c = i % cols, shown = MIN(text_width(t->cells[i]), widths[c]);
		text_ellipsis(out, t->cells[i], widths[c]);
		if (c + 1 < cols)
			strbuf_addf(out, "%*s", (int) (widths[c] - shown + GAP), "");
		else
			strbuf_addc(out, '\n');
	}
}
