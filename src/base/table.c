/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <errno.h>

#define GAP 3
#define MIN_WIDTH 10
#define COLUMN_MIN 8
#define COLUMN_NARROW 3
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

static size_t total_width(const size_t *widths, size_t cols, size_t gap)
{
	size_t total = 0;
	for (size_t c = 0; c < cols; c++)
		total += widths[c] + (c + 1 < cols ? gap : 0);
	return total;
}

/* Take from the widest column from @first on until all fit, but leave each @min. */
static void shorten(size_t *widths, size_t cols, size_t first, size_t gap, size_t min, size_t width)
{
	while (total_width(widths, cols, gap) > width) {
		size_t widest = first;
		for (size_t c = first; c < cols; c++)
			if (widths[c] > widths[widest])
				widest = c;
		if (widest >= cols || widths[widest] <= min)
			return;
		widths[widest]--;
	}
}

/* What is cut first: the middle of long texts, then the gaps, then the first column, by which things are named. */
static void fit(size_t *widths, size_t cols, size_t width, size_t *gap)
{
	shorten(widths, cols, 1, *gap, COLUMN_MIN, width);
	while (*gap > 1 && total_width(widths, cols, *gap) > width)
		(*gap)--;
	shorten(widths, cols, 1, *gap, COLUMN_NARROW, width);
	shorten(widths, cols, 0, *gap, COLUMN_NARROW, width);
}

/* Wide columns as docker's, unless the terminal is too narrow for them. */
static void spread(const struct table *t, size_t *widths, size_t cols, size_t width)
{
	size_t wide[COLS_MAX], min = (t->min_width ? t->min_width : MIN_WIDTH) - GAP;
	for (size_t c = 0; c < cols; c++)
		wide[c] = c + 1 < cols ? MAX(widths[c], min) : widths[c];
	if (width == 0 || total_width(wide, cols, GAP) <= width)
		memcpy(widths, wide, cols * sizeof(*widths));
}

void table_render(const struct table *t, size_t width, struct strbuf *out)
{
	size_t widths[COLS_MAX] = {0}, cols = MIN(t->cols, (size_t) COLS_MAX), n = strv_len(t->cells), gap = GAP;
	assert(t->cols > 0 && t->cols <= COLS_MAX);
	for (size_t i = 0; i < n; i++)
		widths[i % cols] = MAX(widths[i % cols], text_width(t->cells[i]));
	spread(t, widths, cols, width);
	if (width > 0)
		fit(widths, cols, width, &gap);
	for (size_t i = 0; i < n; i++) {
		size_t c = i % cols, shown = MIN(text_width(t->cells[i]), widths[c]);
		text_ellipsis(out, t->cells[i], widths[c]);
		if (c + 1 < cols)
			strbuf_addf(out, "%*s", (int) (widths[c] - shown + gap), "");
		else
			strbuf_addc(out, '\n');
	}
}
