/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

usec_t now_usec(void)
{
	struct timespec t;
	(void) clock_gettime(CLOCK_MONOTONIC, &t);
	return (usec_t) t.tv_sec * USEC_PER_SEC + (usec_t) t.tv_nsec / 1000;
}

int64_t now_ns(void)
{
	struct timespec t;
	(void) clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t) t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

/* Civil date <-> days since 1970-01-01, proleptic Gregorian: the era arithmetic of Howard Hinnant's "chrono-compatible
 * low-level date algorithms", written for our types. timegm() is not used: it consults locale state we do not want in helpers. */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned) (y - era * 400);
	unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + (int64_t) doe - 719468;
}

static void civil_from_days(int64_t z, int64_t *y, unsigned *m, unsigned *d)
{
	z += 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned) (z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;
	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = (int64_t) yoe + era * 400 + (*m <= 2);
}

char *time_format_rfc3339(char *buf, int64_t ns, bool fixed)
{
	if (ns == 0) {
		(void) str_copy(buf, TIME_RFC3339_MAX, fixed ? "0001-01-01T00:00:00.000000000Z" : "0001-01-01T00:00:00Z");
		return buf;
	}
	int64_t s = ns / NSEC_PER_SEC, frac = ns % NSEC_PER_SEC;
	if (frac < 0) {
		frac += NSEC_PER_SEC;
		s--;
	}
	int64_t days = s / 86400, sod = s % 86400;
	if (sod < 0) {
		sod += 86400;
		days--;
	}
	int64_t y;
	unsigned m, d;
	civil_from_days(days, &y, &m, &d);
	int n = snprintf(buf, TIME_RFC3339_MAX, "%04d-%02u-%02uT%02d:%02d:%02d", (int) y, m, d, (int) (sod / 3600),
			 (int) (sod / 60 % 60), (int) (sod % 60));
	if (frac || fixed) {
		n += snprintf(buf + n, TIME_RFC3339_MAX - (size_t) n, ".%09d", (int) frac);
		while (!fixed && buf[n - 1] == '0')
			buf[--n] = '\0';
	}
	(void) snprintf(buf + n, TIME_RFC3339_MAX - (size_t) n, "Z");
	return buf;
}

/* exactly @n digits at *@p */
static int digits(const char **p, int n, unsigned *ret)
{
	unsigned v = 0;
	for (int i = 0; i < n; i++, (*p)++) {
		if (!isdigit((unsigned char) **p))
			return -EINVAL;
		v = v * 10 + (unsigned) (**p - '0');
	}
	*ret = v;
	return 0;
}

static int fraction(const char **p, int64_t *ret_ns)
{
	int64_t ns = 0, unit = NSEC_PER_SEC / 10;
	if (!isdigit((unsigned char) **p))
		return -EINVAL;
	for (; isdigit((unsigned char) **p); (*p)++, unit /= 10)
		ns += (**p - '0') * unit;
	*ret_ns = ns;
	return 0;
}

/* RFC 3339, the time and zone optional when @loose (then midnight and UTC) */
static int parse_date(const char *s, bool loose, int64_t *ret_ns)
{
	unsigned y, mo, d, h = 0, mi = 0, se = 0, oh = 0, om = 0;
	int64_t frac = 0, off = 0;
	if (digits(&s, 4, &y) < 0 || *s++ != '-' || digits(&s, 2, &mo) < 0 || *s++ != '-' || digits(&s, 2, &d) < 0)
		return -EINVAL;
	if (*s == 'T' || *s == 't' || *s == ' ') {
		s++;
		if (digits(&s, 2, &h) < 0 || *s++ != ':' || digits(&s, 2, &mi) < 0)
			return -EINVAL;
		if (*s == ':' && (s++, digits(&s, 2, &se) < 0))
			return -EINVAL;
		if (*s == '.' && (s++, fraction(&s, &frac) < 0))
			return -EINVAL;
	} else if (!loose)
		return -EINVAL;
	if (*s == 'Z' || *s == 'z')
		s++;
	else if (*s == '+' || *s == '-') {
		int sign = *s++ == '-' ? -1 : 1;
		if (digits(&s, 2, &oh) < 0 || *s++ != ':' || digits(&s, 2, &om) < 0)
			return -EINVAL;
		off = sign * (int64_t) (oh * 3600 + om * 60);
	} else if (!loose)
		return -EINVAL;
	if (*s || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || se > 60 || y > 2261)
		return -EINVAL;
	if (y < 1678) { /* before what int64 ns can hold: Go's zero time */
		*ret_ns = 0;
		return 0;
	}
	int64_t secs = days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 + se - off;
	*ret_ns = secs * NSEC_PER_SEC + frac;
	return 0;
}

int time_parse_rfc3339(const char *s, int64_t *ret_ns)
{
	return parse_date(s, false, ret_ns);
}

int time_parse_duration(const char *s, int64_t *ret_ns)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"h", 3600 * NSEC_PER_SEC}, {"m", 60 * NSEC_PER_SEC}, {"s", NSEC_PER_SEC}};
	int64_t total = 0;
	if (!*s)
		return -EINVAL;
	while (*s) {
		int64_t whole = 0, frac = 0;
		if (!isdigit((unsigned char) *s))
			return -EINVAL;
		for (; isdigit((unsigned char) *s); s++)
			if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, *s - '0', &whole))
				return -EINVAL;
		if (*s == '.' && (s++, fraction(&s, &frac) < 0))
			return -EINVAL;
		size_t i = 0;
		while (i < ARRAY_LEN(units) && !str_after(s, units[i].name))
			i++;
		if (i == ARRAY_LEN(units))
			return -EINVAL;
		s += strlen(units[i].name);
		int64_t part;
		if (__builtin_mul_overflow(whole, units[i].ns, &part) || __builtin_add_overflow(total, part, &total))
			return -EINVAL;
		total += (int64_t) ((__int128) frac * units[i].ns / NSEC_PER_SEC);
	}
	*ret_ns = total;
	return 0;
}

int time_parse_when(const char *s, int64_t now, int64_t *ret_ns)
{
	int64_t v;
	if (time_parse_duration(s, &v) == 0) {
		*ret_ns = now - v;
		return 0;
	}
	if (parse_date(s, true, ret_ns) == 0)
		return 0;
	int64_t secs = 0, frac = 0;
	const char *p = s;
	if (!isdigit((unsigned char) *p))
		return -EINVAL;
	for (; isdigit((unsigned char) *p); p++)
		if (__builtin_mul_overflow(secs, 10, &secs) || __builtin_add_overflow(secs, *p - '0', &secs))
			return -EINVAL;
	if (*p == '.' && (p++, fraction(&p, &frac) < 0))
		return -EINVAL;
	if (*p || secs > INT64_MAX / NSEC_PER_SEC - 1)
		return -EINVAL;
	*ret_ns = secs * NSEC_PER_SEC + frac;
	return 0;
}

char *time_format_ago(char *buf, size_t size, int64_t ns)
{
	int64_t s = ns / NSEC_PER_SEC, m = s / 60, h = m / 60;
	if (s < 1)
		(void) snprintf(buf, size, "Less than a second");
	else if (s == 1)
		(void) snprintf(buf, size, "1 second");
	else if (s < 60)
		(void) snprintf(buf, size, "%d seconds", (int) s);
	else if (m == 1)
		(void) snprintf(buf, size, "About a minute");
	else if (m < 60)
		(void) snprintf(buf, size, "%d minutes", (int) m);
	else if ((m + 30) / 60 == 1)
		(void) snprintf(buf, size, "About an hour");
	else if (h < 48)
		(void) snprintf(buf, size, "%d hours", (int) h);
	else if (h < 24 * 7 * 2)
		(void) snprintf(buf, size, "%d days", (int) (h / 24));
	else if (h < 24 * 30 * 2)
		(void) snprintf(buf, size, "%d weeks", (int) (h / 24 / 7));
	else if (h < 24 * 365 * 2)
		(void) snprintf(buf, size, "%d months", (int) (h / 24 / 30));
	else
		(void) snprintf(buf, size, "%d years", (int) (h / 24 / 365));
	return buf;
}
