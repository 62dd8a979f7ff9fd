/* SPDX-License-Identifier: Apache-2.0 */
/* What a name inside an archive may mean: pure text, no file system. */
#pragma once

#include "base/err.h"

/** tar_path_clean() - @name to "a/b/c" without leading, trailing or double slashes and "." components; "" is the root itself. An absolute
 *  name is taken below the root, as every unpacker does. @out: at least @path_max + 1 bytes. Return: 0; ERR_CORRUPT for an empty name, a ".."
 *  component or one over 255 bytes; ERR_QUOTA over @path_max or @depth_max. */
int tar_path_clean(const char *name, size_t path_max, size_t depth_max, char *out, struct err *err);
/** tar_path_split() - cut a clean, non-empty path in place at its last slash. *@ret_name: last component. Return: the parent, "" for the root. */
const char *tar_path_split(char *path, const char **ret_name);
