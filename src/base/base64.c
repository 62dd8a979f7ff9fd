/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <errno.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct strbuf *out, const unsigned char *p, size_t n, const char *digits)
{
	for (; n > 0; p += MIN(n, (size_t) 3), n -= MIN(n, (size_t) 3)) {
		uint32_t v = (uint32_t) p[0] << 16 | (n > 1 ? (uint32_t) p[1] << 8 : 0) | (n > 2 ? p[2] : 0u);
		const char quad[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=', n > 2 ? digits[v & 63] : '='};
		strbuf_add(out, quad, sizeof(quad));
	}
}

void base64_add(struct strbuf *out, const void *p, size_t n)
{
	encode(out, p, n, standard);
}

void base64url_add(struct strbuf *out, const void *p, size_t n)
{
	encode(out, p, n, url);
}

static int digit(char c)
{
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	const char *at = c ? strchr(standard, c) : NULL;
	return at ? (int) (at - standard) : -1;
}

int base64_decode(const char *s, struct strbuf *out)
{
	size_t n = strlen(s), pad = 0;
	while (pad < 2 && n > 0 && s[n - 1] == '=') {
		n--;
		pad++;
	}
	if (n % 4 == 1 || (pad > 0 && (n + pad) % 4 != 0))
		return -EINVAL;
	uint32_t v = 0;
	for (size_t i = 0; i < n; i++) {
		int d = digit(s[i]);
		if (d < 0)
			return -EINVAL;
		v = v << 6 | (uint32_t) d;
		if (i % 4 == 3) {
			const char b[3] = {(char) (v >> 16), (char) (v >> 8), (char) v};
			strbuf_add(out, b, 3);
			v = 0;
		}
	}
	if (n % 4 == 2) {
		strbuf_addc(out, (char) (v >> 4));
	} else if (n % 4 == 3) {
		strbuf_addc(out, (char) (v >> 10));
		strbuf_addc(out, (char) (v >> 2));
	}
	return strbuf_err(out);
}
