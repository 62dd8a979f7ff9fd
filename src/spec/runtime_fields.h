/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of the runtime document as rows: one table serves reading, writing and freeing, so that a field cannot be read under one name
 * and written under another, or read and forgotten. Tables nest: an object, a list of objects and a map of objects name the table of what is
 * inside. Errors name the whole path: every reader says "FIELD: what is wrong", and whoever holds it puts its own name and a dot in front.
 * Private to src/spec/runtime*.c.
 */
#pragma once

#include "codec/json.h"
#include "spec/runtime.h"

enum field_kind {
	FIELD_STR,    /* char * */
	FIELD_STRV,   /* char ** */
	FIELD_BOOL,   /* bool */
	FIELD_CHAR,   /* char; one of @words[0] */
	FIELD_U16,    /* uint16_t */
	FIELD_U32,    /* uint32_t */
	FIELD_U64,    /* uint64_t */
	FIELD_I64,    /* int64_t */
	FIELD_INT,    /* int */
	FIELD_U32V,   /* uint32_t * and a count */
	FIELD_CAPS,   /* uint64_t: capability names as a mask; names that are not known are passed over, see process_warnings() */
	FIELD_RAW,    /* char *: the object as text */
	FIELD_STRMAP, /* struct keyval * and a count: an object of strings */
	FIELD_OBJ,    /* a struct of its own, or the same struct (@off 0) */
	FIELD_LIST,   /* an array of structs and a count */
	FIELD_MAP,    /* the same as an object: the name of each member goes to @key_off */
	FIELD_OTHER,  /* @read and @write do it */
};

struct field_table;

struct field {
	const char *key;
	enum field_kind kind;
	size_t off;
	size_t flag;    /* 1 + offset of the bool that says "present"; 0: absent is the zero value */
	size_t n_off;   /* counted kinds: offset of the size_t count */
	size_t key_off; /* FIELD_MAP */
	size_t size, max; /* FIELD_LIST, FIELD_MAP: bytes of an element, most elements */
	int64_t lo, hi; /* numbers: what is taken; both 0: all that the type holds */
	bool need;      /* refuse an object without it */
	bool always;    /* write it when it is zero or empty too */
	const char *const *words; /* strings: NULL-terminated list of those taken; NULL: any */
	const struct field_table *sub;
	int (*read)(const struct json *v, void *base, struct err *err); /* FIELD_OTHER; @v is not null */
	void (*write)(struct json_writer *w, const char *key, const void *base);
};

struct field_table {
	const struct field *v;
	size_t n;
	const void *blank; /* what an element of a list or a map is before it is read; NULL: zeros */
	int (*check)(void *base, const struct json *obj, struct err *err); /* after reading; NULL: nothing more to ask */
};

#define FIELD(type, key_, kind_, member, ...) {.key = (key_), .kind = (kind_), .off = offsetof(type, member) __VA_OPT__(, ) __VA_ARGS__}
#define HAS(type, member) .flag = 1 + offsetof(type, member)
#define COUNT(type, member) .n_off = offsetof(type, member)
#define LIST_OF(type, member, count, table, max_)                                                                                                     \
	COUNT(type, count), .size = sizeof(*((type *) NULL)->member), .max = (max_), .sub = &(table)
#define TABLE(rows, ...) {.v = (rows), .n = ARRAY_LEN(rows) __VA_OPT__(, ) __VA_ARGS__}

#define FIELD_LIST_MAX 4096 /* mounts, devices, rules, groups, entries of a map: far above any real document */

extern const struct field_table spec_document_fields, spec_process_fields, spec_hooks_fields, spec_linux_fields, spec_resources_fields, spec_id_fields, spec_mount_fields,
	spec_coffer_fields;

/** spec_fields_read() - fill @base from @obj. Return: 0; ERR_INVALID "PATH: what is wrong". */
int spec_fields_read(const struct field_table *t, const struct json *obj, void *base, struct err *err);
void spec_fields_write(const struct field_table *t, struct json_writer *w, const void *base);
/** spec_fields_any() - whether spec_fields_write() would write anything. */
bool spec_fields_any(const struct field_table *t, const void *base);
/** spec_fields_done() - free what spec_fields_read() allocated; what FIELD_OTHER rows hold is left to the caller. */
void spec_fields_done(const struct field_table *t, void *base);

/** spec_err_in() - put a name in front of a filled error: "NAME.msg", or "NAMEmsg" before an index. Return: its negative errno. */
int spec_err_in(struct err *err, const char *fmt, ...) _printf_(2, 3);
/** spec_need_absolute() - refuse a path that is not NULL and not absolute. @what: the field's name. */
int spec_need_absolute(const char *path, const char *what, struct err *err);
/** spec_need_absolutes() - the same for each string of a vector. */
int spec_need_absolutes(char *const *paths, const char *what, struct err *err);

/** spec_map_check() - an id map's extents: none empty, none past the last id, none over another. @what: "uidMappings". */
int spec_map_check(const struct id_map *m, const char *what, struct err *err);

/* Names that the document and `features` know; NULL-terminated, spec_ns_names by number. */
extern const char *const spec_ns_names[NS_KIND_MAX_ + 1], *const spec_mempolicy_modes[], *const spec_mempolicy_flags[];
