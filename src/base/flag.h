/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags as rows of data, parsed the way docker's clients are used to (pflag): --name value, --name=value, -n value, -nvalue,
 * -n=value, -it, --bool, --bool=false, "--" ends them. The help text is made from the same rows (help.h).
 */
#pragma once

#include "base/err.h"

enum flag_kind {
	FLAG_BOOL,     /* bool */
	FLAG_TRISTATE, /* int8_t: -1 unset, 0, 1 */
	FLAG_STR,      /* const char *, borrowed from argv */
	FLAG_LIST,     /* char **, owned strv, one entry a use */
	FLAG_INT,      /* int64_t */
	FLAG_SIZE,     /* int64_t bytes, docker's suffixes */
	FLAG_SET,      /* any field: row->set() reads the value; may return an error message */
	FLAG_REFUSED,  /* docker has it, we do not yet: using it is an error that says row->help */
	FLAG_REFUSED_BOOL, /* the same for a flag without a value */
	FLAG_FILTER,   /* as FLAG_LIST; every entry is key=value */
};

struct flag {
	const char *name; /* without dashes */
	char abbr;        /* 0: none */
	enum flag_kind kind;
	size_t offset;    /* of the field in the command's options */
	const char *arg;  /* what the value is called in the help; NULL: none or "string" */
	const char *help; /* NULL: a second name, not shown */
	/** set() - FLAG_SET: @field is options + offset. Return: 0, or ERR_INVALID with only the reason in @err. */
	int (*set)(void *field, const char *value, struct err *err);
};

struct flag_table {
	const struct flag *rows;
	size_t n;
};
#define FLAG_TABLE(rows_) {(rows_), ARRAY_LEN(rows_)}
/* FLAGS() - the table of an array, for a command's row. */
#define FLAGS(rows_) (&(const struct flag_table) FLAG_TABLE(rows_))
#define FLAG_TABLES_MAX 4

enum flag_parse_mode {
	FLAG_INTERSPERSED = 1, /* flags may follow positional arguments */
};

#define FLAG_HELP 1 /* flag_parse(): the user asked for help */

/** flag_parse() - read @argv[0..argc) into @options. @tables: ended by NULL. @args: room for @argc
 *  pointers; filled with the positional arguments, borrowed; *@ret_n_args: how many. Return: 0; FLAG_HELP; ERR_INVALID; ERR_UNSUPPORTED for
 *  a refused flag. */
int flag_parse(const struct flag_table *const *tables, int argc, char **argv, unsigned mode, void *options, const char **args, size_t *ret_n_args,
	       struct err *err);
/** flag_release() - free what FLAG_LIST rows own. */
void flag_release(const struct flag_table *const *tables, void *options);
/** flag_takes_value() - whether "--name" wants an argument. */
bool flag_takes_value(const struct flag *f);
/** parse_bool() - pflag's words: 1 t T TRUE true True 0 f F FALSE false False. Return: 0 or -EINVAL. */
int parse_bool(const char *s, bool *ret);
