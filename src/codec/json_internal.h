/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole numbers from 2^63 to 2^64-1 (an rlimit without limit, a system call's argument) do not fit jansson's 64 signed bits. Before the text
 * is parsed they are put between quotes behind one control byte; whoever reads a value sees a whole number again. Private to src/codec/json*.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** json_big_quote() - a copy of @text with each such number marked, or *@ret NULL when there is none. Return: 0 or -ENOMEM. */
int json_big_quote(const char *text, size_t len, char **ret, size_t *ret_len);
/** json_big_value() - whether the string @s is a marked number, and its value. @ret may be NULL. */
bool json_big_value(const char *s, uint64_t *ret);
/** json_big_unquote() - turn marked numbers in a dumped text back into numbers, in place. */
void json_big_unquote(char *text);
