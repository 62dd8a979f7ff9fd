/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int parse_digits(const char *s, unsigned base, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned d = (unsigned) (*s - '0');
		if (*s < '0' || d >= base)
			return -EINVAL;
		if (v > (max - d) / base)
			return -ERANGE;
		v = v * base + d;
	}
	*ret = v;
	return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
	return parse_digits(s, 10, UINT64_MAX, ret);
}

int parse_u32(const char *s, uint32_t *ret)
{
	uint64_t v = 0;
	int r = parse_digits(s, 10, UINT32_MAX, &v);
	if (r == 0)
		*ret = (uint32_t) v;
	return r;
}

int parse_oct(const char *s, uint32_t *ret)
{
	uint64_t v = 0;
	int r = parse_digits(s, 8, UINT32_MAX, &v);
	if (r == 0)
		*ret = (uint32_t) v;
	return r;
}

int parse_i64(const char *s, int64_t *ret)
{
	bool neg = *s == '-';
	uint64_t v = 0;
	int r = parse_digits(s + neg, 10, neg ? (uint64_t) INT64_MAX + 1 : INT64_MAX, &v);
	if (r == 0)
		*ret = neg ? (int64_t) (~v + 1) : (int64_t) v;
	return r;
}

/* "12.34" -> v = 1234, frac = 100; returns how many characters were read, or -errno */
static int parse_fraction(const char *s, uint64_t *v, uint64_t *frac)
{
	uint64_t val = 0, div = 1;
	bool dot = false, digit = false;
	const char *p = s;
	for (; isdigit((unsigned char) *p) || (*p == '.' && !dot); p++) {
		if (*p == '.') {
			dot = true;
			continue;
		}
		digit = true;
		if (dot && div >= 1000000000)
			continue; /* finer than any unit we scale to */
		if (val > (UINT64_MAX - 9) / 10)
			return -ERANGE;
		val = val * 10 + (uint64_t) (*p - '0');
		if (dot)
			div *= 10;
	}
	if (!digit)
		return -EINVAL;
	*v = val;
	*frac = div;
	return (int) (p - s);
}

static int scale_to(uint64_t v, uint64_t div, uint64_t scale, uint64_t *ret)
{
	unsigned __int128 x = (unsigned __int128) v * scale / div;
	if (x > UINT64_MAX)
		return -ERANGE;
	*ret = (uint64_t) x;
	return 0;
}

int parse_decimal(const char *s, uint64_t scale, uint64_t *ret)
{
	uint64_t v, div;
	int n = parse_fraction(s, &v, &div);
	if (n < 0)
		return n;
	return s[n] ? -EINVAL : scale_to(v, div, scale, ret);
}

int parse_size(const char *s, uint64_t *ret)
{
	uint64_t v, div;
	int n = parse_fraction(s, &v, &div);
	if (n < 0)
		return n;
	const char *u = s + n;
	uint64_t scale = 1;
	static const char units[] = "kmgtp";
	const char *hit = *u ? strchr(units, tolower((unsigned char) *u)) : NULL;
	if (hit) {
		scale = 1ULL << (10 * (hit - units + 1));
		u++;
		if (strcasecmp(u, "ib") == 0)
			u += 2;
	}
	if (strcasecmp(u, "b") == 0)
		u++;
	return *u ? -EINVAL : scale_to(v, div, scale, ret);
}

static char *format_scaled(char *buf, size_t size, double v, double base, const char *const *units, size_t n_units, int digits)
{
	const double full = base - 0.5 * (digits == 3 ? 1 : 0.1); /* what would round up to the next unit */
	size_t i = 0;
	while (v >= (base > 1000 ? base : full) && i + 1 < n_units) {
		v /= base;
		i++;
	}
	(void) snprintf(buf, size, "%.*g%s", digits, v, units[i]);
	return buf;
}

static const char *const decimal_units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};

char *format_size(char *buf, size_t size, uint64_t bytes)
{
	return format_scaled(buf, size, (double) bytes, 1000, decimal_units, ARRAY_LEN(decimal_units), 4);
}

char *format_size_short(char *buf, size_t size, uint64_t bytes)
{
	return format_scaled(buf, size, (double) bytes, 1000, decimal_units, ARRAY_LEN(decimal_units), 3);
}

char *format_size_binary(char *buf, size_t size, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	return format_scaled(buf, size, (double) bytes, 1024, units, ARRAY_LEN(units), 4);
}
