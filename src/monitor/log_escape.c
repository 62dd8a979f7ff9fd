/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Container output as JSON text, without memory of its own. Runs of plain bytes are copied at once: that is nearly everything.
 */
#include <string.h>

#include "monitor/log.h"

/* How a byte is written: 0 as it is; a letter after a backslash; 'u' as \u00XX; 'm' when it begins (or fails to begin) a longer sequence. */
static const char kinds[256] = {
	[0 ... '\b' - 1] = 'u', ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\v'] = 'u', ['\f'] = 'f', ['\r'] = 'r', ['\r' + 1 ... 0x1f] = 'u',
	['"'] = '"', ['\\'] = '\\', [0x80 ... 0xff] = 'm',
};

/* Valid second bytes by first byte, so that overlong forms, surrogates and what is above U+10FFFF fail. Source: Unicode 15, table 3-7. */
static void second_byte(uint8_t first, uint8_t *lo, uint8_t *hi)
{
	*lo = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	*hi = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
}

int log_utf8_len(const uint8_t *s, size_t len)
{
	uint8_t c = s[0], lo, hi;
	int n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
	second_byte(c, &lo, &hi);
	for (int i = 1; i < n; i++) {
		if ((size_t) i >= len)
			return -1;
		if (s[i] < (i == 1 ? lo : 0x80) || s[i] > (i == 1 ? hi : 0xbf))
			return 0;
	}
	return n;
}

static size_t put_multi(uint8_t *out, const uint8_t *s, size_t len, size_t *ret_taken)
{
	int n = log_utf8_len(s, len);
	*ret_taken = n > 0 ? (size_t) n : 1;
	if (n <= 0) {
		memcpy(out, "\\ufffd", 6);
		return 6;
	}
	memcpy(out, s, (size_t) n);
	return (size_t) n;
}

static size_t put_control(uint8_t *out, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	memcpy(out, "\\u00", 4);
	out[4] = (uint8_t) hex[c >> 4];
	out[5] = (uint8_t) hex[c & 15];
	return 6;
}

size_t log_escape(uint8_t *out, const uint8_t *s, size_t len)
{
	uint8_t *o = out;
	for (size_t i = 0; i < len;) {
		size_t run = i, taken = 1;
		while (run < len && !kinds[s[run]])
			run++;
		memcpy(o, s + i, run - i);
		o += run - i;
		if ((i = run) == len)
			break;
		char kind = kinds[s[i]];
		if (kind == 'm')
			o += put_multi(o, s + i, len - i, &taken);
		else if (kind == 'u')
			o += put_control(o, s[i]);
		else {
			*o++ = '\\';
			*o++ = (uint8_t) kind;
		}
		i += taken;
	}
	return (size_t) (o - out);
}
