/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text for people: indented by four as docker's inspect prints it, members in the order they came.
 */
#pragma once

#include "base/str.h"

/** json_pretty() - append valid JSON @text, indented, to @out. @level: depth it starts at. */
void json_pretty(const char *text, size_t level, struct strbuf *out);
/** json_pretty_by() - the same, by @indent a level. */
void json_pretty_by(const char *text, const char *indent, size_t level, struct strbuf *out);
