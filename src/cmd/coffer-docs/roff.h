/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A manual page in the man(7) macros, into a buffer. Texts are escaped here, so that nothing in a flag's help can be taken for a request.
 */
#pragma once

#include "base/flag.h"
#include "base/str.h"

struct page {
	const char *name, *section; /* "coffer-run", "1" */
	struct strbuf out;          /* owned */
};
#define PAGE_MAX (1 << 20)

/** page_begin() - heading and NAME. @summary: one line. */
void page_begin(struct page *p, const char *name, const char *section, const char *summary);
/** page_section() - ".SH". */
void page_section(struct page *p, const char *title);
/** page_text() - paragraphs of plain text, an empty line between two; a line that begins with a blank stays as it is. */
void page_text(struct page *p, const char *text);
/** page_synopsis() - @command in bold, @usage behind it. */
void page_synopsis(struct page *p, const char *command, const char *usage);
/** page_item() - a tagged paragraph: @tag in bold, @text below it. */
void page_item(struct page *p, const char *tag, const char *text);
/** page_flags() - an item for each flag that is shown. */
void page_flags(struct page *p, const struct flag_table *t);
/** page_verbatim() - lines as they are. */
void page_verbatim(struct page *p, const char *lines);
/** page_see() - SEE ALSO; @names: "coffer(1) coffer-ps(1)". */
void page_see(struct page *p, const char *names);
