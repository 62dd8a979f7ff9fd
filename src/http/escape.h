/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Percent-encoding of what a client puts into a request target.
 */
#pragma once

#include "base/str.h"

/** http_escape() - append @s to @out; everything but RFC 3986's unreserved characters and "/:@" (legal raw in a path and in a
 *  query, and how docker's clients write image names) becomes %XX. Failures latch in @out. */
void http_escape(struct strbuf *out, const char *s);
