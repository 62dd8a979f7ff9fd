/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of Go's text/template that people use with --format: {{.A.B}}, {{$x := .A}}, pipes, parentheses, {{if}} {{else}} {{end}},
 * {{range $k, $v := .M}} with {{break}} and {{continue}}, {{with}}, comments, and the "-" that trims blanks; Go's functions index slice len print
 * printf println html eq ne lt le gt ge not and or, and docker's json split join title lower upper pad truncate. Values are JSON.
 * Anything else is an error that names it.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"

/** template_check() - whether @text can be read at all. Return: 0; ERR_INVALID saying what is wrong in it. */
int template_check(const char *text, struct err *err);
/** template_run() - append what @text makes of @dot to @out. Return: 0; ERR_INVALID saying what is wrong in @text. */
int template_run(const char *text, const struct json *dot, struct strbuf *out, struct err *err);

struct template_row {
	const struct json *dot;
	const struct json *methods; /* {"Label": {"a": "b"}}: what {{.Label "a"}} finds; NULL: none */
	bool header;                /* a method gives its argument, functions change nothing */
};
/** template_row() - the same on a row of a list. */
int template_row(const char *text, const struct template_row *row, struct strbuf *out, struct err *err);
