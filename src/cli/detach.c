/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/detach.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"

/* One key of the notation. Return: its byte, or -1. */
static int key_byte(const char *s, size_t n)
{
	if (n == 1 && (unsigned char) *s < 0x80)
		return *s;
	if (n != 6 || strncmp(s, "ctrl-", 5) != 0)
		return -1;
	char c = s[5];
	if (islower((unsigned char) c))
		return c - 'a' + 1;
	static const char others[] = "@[\\]^_";
	static const char bytes[] = {0, 27, 28, 29, 30, 31};
	const char *hit = c ? strchr(others, c) : NULL;
	return hit ? bytes[hit - others] : -1;
}

int detach_parse(const char *text, struct detach *ret, struct err *err)
{
	struct detach d = {};
	for (const char *p = text; *text;) {
		size_t n = *p == ',' && (!p[1] || p[1] == ',') ? 1 : strcspn(p, ",");
		int b = key_byte(p, n);
		if (b < 0 || d.n == DETACH_KEYS_MAX)
			return err_set(err, ERR_INVALID,
				       "invalid detach keys '%.60s': use up to %d of a character or ctrl-X (X: a-z @ [ \\ ] ^ _), joined by commas", text,
				       DETACH_KEYS_MAX);
		d.keys[d.n++] = (unsigned char) b;
		p += n;
		if (!*p)
			break;
		p++;
	}
	*ret = d;
	return 0;
}

/* The longest beginning of the keys that is also the end of what has been typed: keys[0..matched) and then @c. */
static size_t next_match(const struct detach *d, unsigned char c)
{
	for (size_t k = d->matched + 1; k > 0; k--) /* keep the last k-1 of the held bytes, and c */
		if (d->keys[k - 1] == c && memcmp(d->keys, d->keys + d->matched - (k - 1), k - 1) == 0)
			return k;
	return 0;
}

bool detach_scan(struct detach *d, const char *in, size_t n, char *out, size_t *ret_n)
{
	size_t o = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char) in[i];
		size_t k = d->n > 0 ? next_match(d, c) : 0;
		size_t release = d->matched + 1 - k; /* held bytes (and perhaps c) that can no longer belong to the sequence */
		for (size_t j = 0; j < release; j++)
			out[o++] = j < d->matched ? (char) d->keys[j] : (char) c;
		d->matched = k;
		if (d->n > 0 && k == d->n) {
			*ret_n = o;
			return true;
		}
	}
	*ret_n = o;
	return false;
}
