/* SPDX-License-Identifier: Apache-2.0 */
#include "http/escape.h"

#include <ctype.h>

void http_escape(struct strbuf *out, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char) *s;
		if (isalnum(c) || strchr("-._~/:@", c))
			strbuf_addc(out, (char) c);
		else
			strbuf_addf(out, "%%%02X", c);
	}
}
