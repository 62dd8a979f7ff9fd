/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of KEY=VALUE lines as docker reads them for --env-file and --label-file: '#' starts a comment line, leading blanks are
 * dropped, the value is taken to the end of the line as it stands.
 */
#pragma once

#include "base/err.h"

enum envfile_flags {
	ENVFILE_LOOKUP = 1, /* a name without '=' takes the caller's value; without one it is left out */
};

/** envfile_read() - append the entries of @path ("-": not special) to *@v. Return: 0; ERR_INVALID naming file and line; ERR_SYSTEM. */
int envfile_read(const char *path, unsigned flags, char ***v, struct err *err);
/** envfile_parse() - the same from @text, named @what in errors. @text is changed. */
int envfile_parse(char *text, const char *what, unsigned flags, char ***v, struct err *err);
/** env_resolve() - "KEY=VALUE" as it stands, "KEY" with the caller's value if it has one. Appends to *@v. Return: 0; ERR_INVALID. */
int env_resolve(const char *entry, char ***v, struct err *err);
