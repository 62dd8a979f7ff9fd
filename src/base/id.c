/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

void hex_encode(const void *p, size_t n, char *out)
{
	static const char digit[] = "0123456789abcdef";
	const unsigned char *b = p;
	for (size_t i = 0; i < n; i++) {
		*out++ = digit[b[i] >> 4];
		*out++ = digit[b[i] & 15];
	}
	*out = '\0';
}

int id_new(char buf[ID_LEN + 1])
{
	unsigned char raw[ID_LEN / 2];
	for (;;) {
		if (getrandom(raw, sizeof(raw), 0) != (ssize_t) sizeof(raw))
			return errno ? -errno : -EIO;
		hex_encode(raw, sizeof(raw), buf);
		/* docker's rule: a short id must not be all digits, or tools take it for a number */
		for (int i = 0; i < ID_SHORT_LEN; i++)
			if (!isdigit((unsigned char) buf[i]))
				return 0;
	}
}

static size_t hex_run(const char *s)
{
	return strspn(s, "0123456789abcdef");
}

bool id_is_full(const char *s)
{
	return hex_run(s) == ID_LEN && s[ID_LEN] == '\0';
}

bool id_is_prefix(const char *s)
{
	size_t n = hex_run(s);
	return n >= 1 && n <= ID_LEN && s[n] == '\0';
}

bool name_is_valid(const char *s)
{
	if (!isalnum((unsigned char) *s))
		return false;
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
	return s[n] == '\0' && n >= 2 && n <= 128;
}
