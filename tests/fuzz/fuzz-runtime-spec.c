/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a runtime or exec document: refused, or written back and read again as the same text. */
#include "base/str.h"
#include "spec/runtime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_spec(const char *text, size_t len)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = NULL, *t = NULL;
	_cleanup_strbuf_ struct strbuf a = STRBUF_INIT(64 << 20), b = STRBUF_INIT(64 << 20);
	struct err err;
	if (runtime_spec_parse(text, len, &s, &err) < 0)
		return;
	if (runtime_spec_write(s, &a, &err) < 0 || a.len > 4 << 20)
		return;
	if (runtime_spec_parse(a.s, a.len, &t, &err) < 0 || runtime_spec_write(t, &b, &err) < 0 || !str_eq(a.s, b.s))
		abort();
}

static void try_exec(const char *text, size_t len)
{
	struct process_spec p = {0};
	struct coffer_ext e = {0};
	struct err err;
	if (exec_spec_parse(text, len, &p, &e, &err) < 0)
		return;
	process_spec_done(&p);
	coffer_ext_done(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_spec((const char *) data, size);
	try_exec((const char *) data, size);
	return 0;
}
