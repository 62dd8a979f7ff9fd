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

extern const struct field_table process_fields, mount_fields, coffer_fields, memory_fields, cpu_fields, pids_fields, device_fields, linux_fields,
	top_fields;

/* Names by number; the last entry is NULL. */
extern const char *const ns_names[NS_KIND_MAX_];

struct cap_set_field {
	const char *key;
	size_t off;
};
extern const struct cap_set_field cap_set_fields[5];

int fields_read(const struct field_table *t, const struct json *obj, void *base, struct err *err);
void fields_write(const struct field_table *t, struct json_writer *w, const void *base);
/** fields_any() - whether fields_write() would write anything. */
bool fields_any(const struct field_table *t, const void *base);
