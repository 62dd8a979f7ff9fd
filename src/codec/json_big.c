/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json_internal.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "base/num.h"

#define MARK '\x01'
#define MARK_JSON "\\u0001" /* as it stands in a JSON text */
enum { MARK_LEN = sizeof("\"" MARK_JSON "\"") - 1, DIGITS_MIN = 19, DIGITS_MAX = 20 };

static size_t digits(const char *s, size_t n)
{
	size_t i = 0;
	while (i < n && s[i] >= '0' && s[i] <= '9')
		i++;
	return i;
}

static bool is_big(const char *s, size_t n)
{
	char buf[DIGITS_MAX + 1];
	uint64_t v;
	if (n < DIGITS_MIN || n > DIGITS_MAX || s[0] == '0')
		return false;
	memcpy(buf, s, n);
	buf[n] = '\0';
	return parse_u64(buf, &v) == 0 && v > INT64_MAX;
}

/* The next big number outside strings at or after @i, or @n. A sign, a point or an exponent makes it something else. */
static size_t next_big(const char *s, size_t n, size_t i, size_t *ret_len)
{
	while (i < n) {
		if (s[i] == '"') {
			for (i++; i < n && s[i] != '"'; i++)
				if (s[i] == '\\')
					i++;
			i++;
			continue;
		}
		size_t d = digits(s + i, n - i);
		if (d == 0) {
			i++;
			continue;
		}
		bool alone = (i == 0 || !strchr("-+.eE", s[i - 1])) && (i + d == n || !strchr(".eE", s[i + d]));
		if (alone && is_big(s + i, d)) {
			*ret_len = d;
			return i;
		}
		i += d;
	}
	return n;
}

/* Whether there are 19 digits in a row anywhere: they would cover every 19th byte. Nearly every document is done with here. */
static bool has_long_run(const char *s, size_t n)
{
	for (size_t i = DIGITS_MIN - 1; i < n; i += DIGITS_MIN) {
		if (s[i] < '0' || s[i] > '9')
			continue;
		size_t from = i;
		while (from > 0 && s[from - 1] >= '0' && s[from - 1] <= '9')
			from--;
		if (digits(s + from, n - from) >= DIGITS_MIN)
			return true;
	}
	return false;
}

int json_big_quote(const char *text, size_t len, char **ret, size_t *ret_len)
{
	size_t d = 0, count = 0;
	*ret = NULL;
	if (!has_long_run(text, len))
		return 0;
	for (size_t i = next_big(text, len, 0, &d); i < len; i = next_big(text, len, i + d, &d))
		count++;
	if (count == 0)
		return 0;
	char *copy = malloc(len + count * MARK_LEN), *to = copy;
	if (!copy)
		return -ENOMEM;
	size_t done = 0;
	for (size_t i = next_big(text, len, 0, &d); i < len; i = next_big(text, len, i + d, &d)) {
		to = mempcpy(to, text + done, i - done);
		to = mempcpy(to, "\"" MARK_JSON, sizeof("\"" MARK_JSON) - 1);
		to = mempcpy(to, text + i, d);
		*to++ = '"';
		done = i + d;
	}
	to = mempcpy(to, text + done, len - done);
	*ret = copy;
	*ret_len = (size_t) (to - copy);
	return 0;
}

bool json_big_value(const char *s, uint64_t *ret)
{
	if (!s || s[0] != MARK || !is_big(s + 1, strlen(s + 1)))
		return false;
	return !ret || parse_u64(s + 1, ret) == 0;
}

void json_big_unquote(char *text)
{
	static const char mark[] = "\"" MARK_JSON;
	for (char *p = strstr(text, mark); p; p = strstr(p, mark)) {
		char *num = p + sizeof(mark) - 1;
		size_t d = digits(num, strlen(num));
		if (num[d] != '"' || !is_big(num, d)) {
			p = num;
			continue;
		}
		memmove(p, num, d);
		memmove(p + d, num + d + 1, strlen(num + d + 1) + 1);
		p += d;
	}
}
