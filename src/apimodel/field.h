/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field-table machine. A JSON object of the Engine API is a table of `struct field`; one
 * reader and one writer walk it, so that what is parsed, what is stored and what inspect shows cannot drift apart (R15).
 *
 * Reading collects the members first (keys folded to ASCII case, a key given twice in two spellings is refused), then applies
 * the fields in table order, so that the result never depends on the order of keys.
 */
#pragma once

#include "codec/json.h"

#define UNKNOWN_MAX 64       /* names of unknown keys that are collected */
#define PATH_FIELD_MAX 160   /* "HostConfig.Mounts[12].VolumeOptions.NoCopy" */

/* Where a read stands: names the field in errors. */
struct reader {
	char path[PATH_FIELD_MAX]; /* "" at the root, else "HostConfig." or "HostConfig.Mounts[0]." */
	char ***unknown;           /* borrowed */
	struct err *err;           /* borrowed */
};

enum field_kind {
	FIELD_STR,    /* char *; "" reads as NULL */
	FIELD_BOOL,   /* bool */
	FIELD_I64,    /* int64_t in [min, max] */
	FIELD_U64,
	FIELD_U32,
	FIELD_TRI,    /* int: -1 unset, 0, 1 */
	FIELD_STRV,   /* char **; set_offset names the "was given" flag if there is one */
	FIELD_KEYS,   /* char **; an object whose keys count and whose values are empty */
	FIELD_KV,     /* struct kv_list */
	FIELD_OBJ,    /* sub-table over the same struct */
	FIELD_CUSTOM, /* read and write functions */
	FIELD_FIXED,  /* not there yet: written as `text`, reported as unknown when it is given and not empty */
	FIELD_IGNORED, /* means nothing to a daemon: written as `text`, read without a word */
	FIELD_KIND_MAX_,
};

/* How "unset" is written. */
enum field_empty { EMPTY_ZERO, EMPTY_NULL, EMPTY_OMIT };

enum field_flags {
	FIELD_TEXT = 1,   /* control characters are fine: the value never reaches a generated line file */
	FIELD_SCALAR = 2, /* FIELD_STRV: a bare string is taken as a list of one, as Go's strslice does */
	FIELD_RESET = 4,  /* FIELD_STRV: [""] means set, and empty */
};

struct field {
	const char *name;
	uint8_t kind;    /* enum field_kind */
	uint8_t empty;   /* enum field_empty */
	uint8_t flags;   /* enum field_flags */
	uint32_t offset; /* into the struct the table describes */
	uint32_t set_offset; /* of a bool, 0: none (never the first member) */
	uint32_t max_items, max_bytes; /* 0: the defaults below; max_bytes counts one string */
	int64_t min, max, unset; /* FIELD_I64; min == max == 0: any number >= 0 */
	const char *text;        /* FIELD_FIXED, FIELD_IGNORED */
	const struct field *sub; /* FIELD_OBJ; ends with a NULL name */
	int (*check)(struct reader *rd, const struct field *f, void *obj); /* after a value was read; NULL: nothing more */
	int (*read)(struct reader *rd, const struct field *f, const struct json *v, void *obj);
	void (*write)(struct json_writer *w, const struct field *f, const void *obj);
};

#define FIELD_ITEMS_DEFAULT 1024
#define FIELD_BYTES_DEFAULT 4096

/** fields_read() - apply the object @v to @obj by @table. null and absent leave everything unset. Return: 0; ERR_INVALID. */
int fields_read(struct reader *rd, const struct field *table, const struct json *v, void *obj);
/** fields_write() - the members of one object; the caller opened it. */
void fields_write(struct json_writer *w, const struct field *table, const void *obj);
/** reader_fail() - ERR_INVALID "PATH.NAME: ...". Return: its errno. */
int reader_fail(struct reader *rd, const char *name, const char *fmt, ...) _printf_(3, 4);
/** reader_enter() / reader_enter_item() - descend; give the return to reader_leave(). */
size_t reader_enter(struct reader *rd, const char *name);
size_t reader_enter_item(struct reader *rd, const char *name, size_t i);
void reader_leave(struct reader *rd, size_t mark);
/** reader_unknown() - note a key or option that is not understood. Return: 0 or ERR_SYSTEM (memory). */
int reader_unknown(struct reader *rd, const char *name);
/** reader_kind() - check @v for @want. Return: 1 yes, 0 null or absent, ERR_INVALID. */
int reader_kind(struct reader *rd, const char *name, const struct json *v, enum json_kind want);
/** value_is_empty() - null, false, 0, "", [] and {}: what clients send for "unset". */
bool value_is_empty(const struct json *v);

/** word_is_one_of() - is @s in the NULL-terminated list @words? */
bool word_is_one_of(const char *const *words, const char *s);
