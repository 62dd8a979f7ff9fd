/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime document as JSON text: what runtime_parse.c reads back as an equal struct and what a foreign runtime accepts.
 * Absent parts are left out.
 */
#include "spec/runtime_fields.h"

int runtime_spec_write(const struct runtime_spec *s, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	spec_fields_write(&spec_document_fields, &w, s);
	jw_end(&w);
	int r = strbuf_err(out);
	return r < 0 ? err_sys(err, r, "writing the runtime document") : 0;
}

int process_spec_write(const struct process_spec *p, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	spec_fields_write(&spec_process_fields, &w, p);
	jw_end(&w);
	int r = strbuf_err(out);
	return r < 0 ? err_sys(err, r, "writing the process document") : 0;
}

int exec_spec_write(const struct process_spec *p, const struct coffer_ext *ext, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	jw_obj(&w, "process");
	spec_fields_write(&spec_process_fields, &w, p);
	jw_end(&w);
	if (ext && ext->present) {
		jw_obj(&w, "coffer");
		spec_fields_write(&spec_coffer_fields, &w, ext);
		jw_end(&w);
	}
	jw_end(&w);
	int r = strbuf_err(out);
	return r < 0 ? err_sys(err, r, "writing the exec document") : 0;
}
