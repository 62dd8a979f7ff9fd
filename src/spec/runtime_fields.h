/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of the runtime document that are plain values, as rows: one table serves reading and writing, so that a field
 * cannot be read under one name and written under another. Private to src/spec/runtime*.c.
 */
#pragma once

#include "codec/json.h"
#include "spec/runtime.h"

enum field_kind { FIELD_STR, FIELD_STRV, FIELD_BOOL, FIELD_U32, FIELD_U64, FIELD_I64, FIELD_INT };

#define NO_FLAG SIZE_MAX
struct field {
	const char *key;
	enum field_kind kind;
	size_t off;
	size_t flag; /* offset of the bool that says "present"; NO_FLAG: absent is the zero value */
};

struct field_table {
	const struct field *v;
	size_t n;
};

extern const struct field_table spec_process_fields, spec_mount_fields, spec_coffer_fields, spec_memory_fields, spec_cpu_fields, spec_pids_fields, spec_device_fields, spec_linux_fields,
	spec_top_fields;

/* Names by number; the last entry is NULL. */
extern const char *const spec_ns_names[NS_KIND_MAX_];

struct cap_set_field {
	const char *key;
	size_t off;
};
extern const struct cap_set_field spec_cap_set_fields[5];

int spec_fields_read(const struct field_table *t, const struct json *obj, void *base, struct err *err);
void spec_fields_write(const struct field_table *t, struct json_writer *w, const void *base);
/** spec_fields_any() - whether spec_fields_write() would write anything. */
bool spec_fields_any(const struct field_table *t, const void *base);
