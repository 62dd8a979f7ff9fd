/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json.h"

void jw_init(struct json_writer *w, struct strbuf *out)
{
	*w = (struct json_writer) {.out = out};
}

static void quote(struct strbuf *b, const char *s, size_t n);

/* Comma and key before a value. */
static void lead(struct json_writer *w, const char *key)
{
	uint64_t bit = 1ULL << w->depth;
	if (w->depth > 0 && (w->has_items & bit))
		strbuf_addc(w->out, ',');
	w->has_items |= bit;
	if (key) {
		assert(w->depth > 0 && !(w->is_array & bit));
		quote(w->out, key, strlen(key));
		strbuf_addc(w->out, ':');
	}
}

static void open_level(struct json_writer *w, const char *key, bool array)
{
	lead(w, key);
	strbuf_addc(w->out, array ? '[' : '{');
	assert(w->depth < 63);
	uint64_t bit = 1ULL << ++w->depth;
	w->has_items &= ~bit;
	w->is_array = array ? w->is_array | bit : w->is_array & ~bit;
}

void jw_obj(struct json_writer *w, const char *key)
{
	open_level(w, key, false);
}

void jw_arr(struct json_writer *w, const char *key)
{
	open_level(w, key, true);
}

void jw_end(struct json_writer *w)
{
	assert(w->depth > 0);
	strbuf_addc(w->out, w->is_array & (1ULL << w->depth) ? ']' : '}');
	w->depth--;
}

/* Length of the well-formed UTF-8 sequence at @s, 0 if it is none (RFC 3629: no surrogates, no overlong forms). */
static size_t utf8_seq(const unsigned char *s, size_t n)
{
	if (s[0] < 0x80)
		return 1;
	size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || n < len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

static void escape(struct strbuf *b, unsigned char c)
{
	static const char *const shorts[] = {['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t", ['\b'] = "\\b", ['\f'] = "\\f"};
	if (c == '"' || c == '\\') {
		strbuf_addc(b, '\\');
		strbuf_addc(b, (char) c);
	} else if (c < ARRAY_LEN(shorts) && shorts[c])
		strbuf_adds(b, shorts[c]);
	else
		strbuf_addf(b, "\\u%04x", c);
}

/* What stands for itself: ASCII but for controls, quote and backslash. */
static const bool plain[256] = {
	[0x20 ... 0x21] = true,
	[0x23 ... 0x5b] = true,
	[0x5d ... 0x7f] = true,
};

static void quote(struct strbuf *b, const char *s, size_t n)
{
	strbuf_addc(b, '"');
	size_t run = 0, i = 0;
	for (;;) {
		while (i < n && plain[(unsigned char) s[i]])
			i++;
		if (i == n)
			break;
		unsigned char c = (unsigned char) s[i];
		size_t seq = utf8_seq((const unsigned char *) s + i, n - i);
		if (seq > 1) {
			i += seq;
			continue;
		}
		strbuf_add(b, s + run, i - run);
		if (seq == 0)
			strbuf_adds(b, "\xef\xbf\xbd");
		else
			escape(b, c);
		run = ++i;
	}
	strbuf_add(b, s + run, n - run);
	strbuf_addc(b, '"');
}

void jw_strn(struct json_writer *w, const char *key, const char *s, size_t n)
{
	lead(w, key);
	quote(w->out, s, n);
}

void jw_str(struct json_writer *w, const char *key, const char *s)
{
	if (s)
		jw_strn(w, key, s, strlen(s));
	else
		jw_null(w, key);
}

static void add_digits(struct strbuf *b, uint64_t v)
{
	char digits[20]; /* of UINT64_MAX */
	size_t at = sizeof(digits);
	do
		digits[--at] = (char) ('0' + v % 10);
	while (v /= 10);
	strbuf_add(b, digits + at, sizeof(digits) - at);
}

void jw_int(struct json_writer *w, const char *key, int64_t v)
{
	lead(w, key);
	if (v < 0)
		strbuf_addc(w->out, '-');
	add_digits(w->out, v < 0 ? 0 - (uint64_t) v : (uint64_t) v);
}

void jw_uint(struct json_writer *w, const char *key, uint64_t v)
{
	lead(w, key);
	add_digits(w->out, v);
}

void jw_bool(struct json_writer *w, const char *key, bool v)
{
	lead(w, key);
	strbuf_adds(w->out, v ? "true" : "false");
}

void jw_null(struct json_writer *w, const char *key)
{
	lead(w, key);
	strbuf_adds(w->out, "null");
}

void jw_raw(struct json_writer *w, const char *key, const char *json)
{
	lead(w, key);
	strbuf_adds(w->out, json);
}

void jw_strv(struct json_writer *w, const char *key, char *const *v)
{
	jw_arr(w, key);
	STRV_FOREACH(s, v)
		jw_str(w, NULL, s);
	jw_end(w);
}
