/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include <stdio.h>

#include "cli/template.h"

#define OUTPUT_MAX ((size_t) 256 << 20)

int show_template(const char *format, const char *text, size_t len, struct err *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(OUTPUT_MAX);
	_cleanup_json_ struct json *doc = NULL;
	int r = json_parse(text, len, OUTPUT_MAX, "the engine's answer", &doc, err);
	if (r == 0)
		r = template_run(str_eq(format, "json") ? "{{json .}}" : format, doc, &out, err);
	if (r == 0)
		(void) printf("%s\n", out.s ? out.s : "");
	return r;
}
