/* SPDX-License-Identifier: Apache-2.0 */
/* crun's --regex: one command on every container whose id matches. */
#pragma once

#include "oci/internal.h"

/** each_match() - call @fn for every container whose id contains a match of the extended regular expression @pattern (regex(7)). Goes on after a failure.
 *  Return: 0; the first failure's with @err. */
int each_match(const struct oci *o, const char *pattern, int (*fn)(const struct oci *o, const char *id, void *ctx, struct err *err), void *ctx, struct err *err);
