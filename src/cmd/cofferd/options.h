/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of cofferd as rows of data: parsed by main.c, shown by --help and in the manual page.
 */
#pragma once

#include "base/flag.h"

struct options {
	char **hosts; /* owned strv */
	const char *config_file, *group, *log_level, *data_root, *exec_root, *pidfile, *userns_remap; /* borrowed */
	bool debug, validate, version;
};

extern const struct flag_table *const cofferd_flags[]; /* ended by NULL */
extern const char *const cofferd_examples;             /* lines, each indented by two */

/** cofferd_help() - to stdout. */
void cofferd_help(void);
