/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of an answer into a file of the user's.
 */
#pragma once

#include "cli/call.h"

/** download() - GET @target into @path, or to stdout when it is NULL. A regular file appears under its name only once it is whole; what is
 *  there and no regular file (a pipe, a device) is written to as it is. Return: 0; ERR_*. */
int download(struct cli *cli, const struct strbuf *target, const char *path, struct err *err);
