/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 of RFC 4648, both alphabets. Decoding takes either and padding or none, and refuses everything else.
 */
#pragma once

#include "base/str.h"

/** base64_add() - append @n bytes of @p, encoded with padding, to @out. Failures latch in @out. */
void base64_add(struct strbuf *out, const void *p, size_t n);
/** base64url_add() - the same in the alphabet of URLs. */
void base64url_add(struct strbuf *out, const void *p, size_t n);
/** base64_decode() - append what @s says to @out. Return: 0; -EINVAL; or what latched in @out. */
int base64_decode(const char *s, struct strbuf *out);
