/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of Go's text/template that people use with --format: {{.A.B}}, {{json .A}}, {{index .M "key"}}, {{len .}}, {{join .A ","}},
 * upper, lower, title, print, println, eq, ne, not, and, or, pipes, parentheses, {{if}} {{else}} {{end}}, {{range}} {{else}} {{end}},
 * {{with}}, and the "-" that trims blanks. Values are JSON. Anything else is an error that names it.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"

/** template_run() - append what @text makes of @dot to @out. Return: 0; ERR_INVALID saying what is wrong in @text. */
int template_run(const char *text, const struct json *dot, struct strbuf *out, struct err *err);
