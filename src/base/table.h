/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of text cells: columns as wide as their widest cell, three blanks between them and ten characters at least, as docker prints; fitted to
 * a terminal by giving up the air first and then shortening the widest columns, the first one last.
 */
#pragma once

#include "base/str.h"

struct table {
	size_t cols;
	size_t min_width; /* of a column with the gap behind it, as far as the terminal allows; 0: 10, docker's */
	char **cells;     /* owned strv, row by row */
};

void table_done(struct table *t);
#define _cleanup_table_ _cleanup_(table_done)
/** table_add() - next cell; a copy. Control characters become '?'. Return: 0 or -ENOMEM. */
int table_add(struct table *t, const char *cell);
/** table_render() - append the rows to @out. @width: columns of the terminal, 0: as wide as it gets. */
void table_render(const struct table *t, size_t width, struct strbuf *out);
/** text_width() - characters of UTF-8 @s. */
size_t text_width(const char *s);
/** text_ellipsis() - append @s cut to @max characters, the last one "…" when it was cut. */
void text_ellipsis(struct strbuf *out, const char *s, size_t max);
