/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of an answer into a file of the user's.
 */
#pragma once

#include "cli/call.h"

/** download() - GET @target into @path, or to stdout when it is NULL. A regular file appears under its name only once it is whole; what is
 *  there and no regular file (a pipe, a device) is written to as it is; a terminal is not. Return: an exit code, what went wrong is told. */
int download(struct cli *cli, const struct strbuf *target, const char *path);
