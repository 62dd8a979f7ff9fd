/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate: what a registry asks for. */
#pragma once

#include "base/err.h"

struct challenge {
	bool basic, bearer;
	char realm[2048], service[512], scope[1024], error[256]; /* of Bearer */
};
/** challenge_parse() - the value of one or more WWW-Authenticate headers, joined by ", " (RFC 7235). Schemes that are not known are skipped.
 *  ERR_CORRUPT when the grammar is broken, a parameter of Bearer comes twice or is too long. */
int challenge_parse(const char *s, struct challenge *ret, struct err *err);
