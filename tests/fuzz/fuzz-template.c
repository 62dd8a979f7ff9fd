/* SPDX-License-Identifier: Apache-2.0 */
/* --format: any text is refused with a reason or makes something of a document; one that fails the check never runs. */
#include <stdio.h>

#include "cli/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "{\"Id\":\"abc\",\"N\":3,\"F\":1.5,\"Off\":false,\"None\":null,\"M\":{\"a.b\":\"x\",\"c\":{\"d\":[1,2]}},\"L\":[\"A=1\",\"B=2\"],\"Empty\":[]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *dot = NULL;
	_cleanup_free_ char *format = strndup((const char *) data, size);
	struct strbuf out = STRBUF_INIT(1 << 20);
	struct err bad = {0}, err = {0};
	if (!format || json_parse(text, sizeof(text) - 1, sizeof(text), "doc", &dot, &err) < 0)
		abort();
	int checked = template_check(format, &bad), ran = template_run(format, dot, &out, &err);
	if ((checked < 0 && !bad.msg[0]) || (ran < 0 && !err.msg[0]) || (checked < 0 && ran >= 0))
		abort();
	strbuf_reset(&out);
	const struct template_row row = {.dot = dot, .methods = json_get(dot, "M"), .header = true};
	(void) template_row(format, &row, &out, &err); /* any answer will do */
	strbuf_done(&out);
	return 0;
}
