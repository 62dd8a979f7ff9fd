/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pretty.h"

#include <ctype.h>

static void new_line(struct strbuf *out, const char *indent, size_t level)
{
	strbuf_addc(out, '\n');
	for (size_t i = 0; i < level; i++)
		strbuf_adds(out, indent);
}

static const char *skip(const char *p)
{
	while (isspace((unsigned char) *p))
		p++;
	return p;
}

/* A string with its quotes. Return: behind it. */
static const char *copy_string(const char *p, struct strbuf *out)
{
	const char *end = p + 1;
	while (*end && *end != '"')
		end += *end == '\\' && end[1] ? 2 : 1;
	end += *end == '"';
	strbuf_add(out, p, (size_t) (end - p));
	return end;
}

void json_pretty_by(const char *text, const char *indent, size_t level, struct strbuf *out)
{
	for (const char *p = skip(text); *p; p = skip(p)) {
		if (*p == '"') {
			p = copy_string(p, out);
			continue;
		}
		char c = *p++;
		if (c == '{' || c == '[') {
			const char *next = skip(p);
			strbuf_addc(out, c);
			if (*next == '}' || *next == ']') {
				strbuf_addc(out, *next);
				p = next + 1;
			} else
				new_line(out, indent, ++level);
		} else if (c == '}' || c == ']') {
			new_line(out, indent, level > 0 ? --level : 0);
			strbuf_addc(out, c);
		} else {
			strbuf_addc(out, c);
			if (c == ',')
				new_line(out, indent, level);
			else if (c == ':')
				strbuf_addc(out, ' ');
		}
	}
}

void json_pretty(const char *text, size_t level, struct strbuf *out)
{
	json_pretty_by(text, "    ", level, out);
}
