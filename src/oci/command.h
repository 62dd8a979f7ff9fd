/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command of coffer-oci as a row of data: what the parser, the help and the manual page are made of.
 */
#pragma once

#include "base/err.h"
#include "base/flag.h"

struct oci;

enum oci_command_mode {
	OCI_STRICT_ORDER = 1, /* options end at the first positional argument: what follows is another program's */
};

#define OCI_ARGS_ANY SIZE_MAX

struct oci_command {
	const char *name;
	const char *usage;    /* "[OPTIONS] CONTAINER" */
	const char *summary;  /* one line */
	const char *examples; /* lines, each indented by two */
	const struct flag_table *flags; /* NULL: none */
	size_t options_size;  /* bytes of the struct that @flags fill; starts as zeros */
	size_t min_args, max_args;
	unsigned mode;        /* enum oci_command_mode */
	int fail_code;        /* exit code of a failure; 0: 1 */
	/** run() - @options: as @flags say. Return: exit code, or <0 with @err. */
	int (*run)(struct oci *o, void *options, const char **args, size_t n_args, struct err *err);
};

/** oci_commands() - every command, in the order of the help. */
const struct oci_command *const *oci_commands(size_t *ret_n);
/** oci_command_find() - NULL when there is none. */
const struct oci_command *oci_command_find(const char *name);

extern const struct flag_table oci_global_flags; /* before the command */
