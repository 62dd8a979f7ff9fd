/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object by a template: what version, info and system df -v do with --format.
 */
#pragma once

#include "base/err.h"

/** show_template() - print what @format ("json", or a template) makes of the JSON @text[@len], and a newline. Return: 0; ERR_INVALID. */
int show_template(const char *format, const char *text, size_t len, struct err *err);
