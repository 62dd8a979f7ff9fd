/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers from text, strictly: decimal digits only (a leading '-' where signed), no sign tricks, no blanks, no
 * overflow, the whole string. Every number from outside enters here (CVE-2024-40635: a user id that overflowed).
 */
#pragma once

#include "base/macro.h"

/** parse_u32() - Return: 0; -EINVAL not a number; -ERANGE too big. *@ret untouched on failure. */
int parse_u32(const char *s, uint32_t *ret);
int parse_u64(const char *s, uint64_t *ret);
int parse_i64(const char *s, int64_t *ret);
/** parse_oct() - octal digits, as file modes are written. */
int parse_oct(const char *s, uint32_t *ret);
/** parse_size() - bytes with docker's binary suffixes: 512, 64b, 64k, 64kb, 64KiB, 1.5g, 2t (1k = 1024). Return as parse_u32(). */
int parse_size(const char *s, uint64_t *ret);
/** parse_decimal() - a decimal fraction such as "1.5" times @scale, exactly (for --cpus: scale 1e9). Return as parse_u32(). */
int parse_decimal(const char *s, uint64_t scale, uint64_t *ret);
/** format_size() - "1.5MB" as docker prints (powers of 1000, 4 significant digits, @buf at least 24 bytes). Return: @buf. */
char *format_size(char *buf, size_t size, uint64_t bytes);
/** format_size_short() - the same with 3 significant digits, as docker prints sizes in its lists of images and containers. */
char *format_size_short(char *buf, size_t size, uint64_t bytes);
/** format_size_binary() - "23.54GiB" (powers of 1024, 4 significant digits), as docker prints memory. */
char *format_size_binary(char *buf, size_t size, uint64_t bytes);
