/* SPDX-License-Identifier: Apache-2.0 */
/* Records of docker's json-file driver (moby daemon/logger/jsonfilelog/jsonlog/jsonlogbytes.go), one a line. */
#include <string.h>

#include "monitor/log.h"

static size_t put(uint8_t *out, const char *s)
{
	size_t n = strlen(s);
	memcpy(out, s, n);
	return n;
}

static size_t put_attrs(const struct log *l, uint8_t *out)
{
	if (!l->attrs_len)
		return 0;
	size_t n = put(out, "\"attrs\":");
	memcpy(out + n, l->attrs, l->attrs_len);
	n += l->attrs_len;
	out[n++] = ',';
	return n;
}

static size_t encode(struct log *l, uint8_t *out, enum log_stream stream, const uint8_t *s, size_t len, bool newline, int64_t time_ns)
{
	static const char *const tails[LOG_STREAMS] = {"\",\"stream\":\"stdout\",", "\",\"stream\":\"stderr\","};
	uint8_t *o = out;
	o += put(o, "{\"log\":\"");
	o += log_escape(o, s, len);
	if (newline)
		o += put(o, "\\n");
	o += put(o, tails[stream]);
	o += put_attrs(l, o);
	o += put(o, "\"time\":\"");
	o += put(o, log_stamp(l, time_ns));
	o += put(o, "\"}\n");
	return (size_t) (o - out);
}

static size_t whole(const uint8_t *p, size_t len, uint64_t *ret_records)
{
	const uint8_t *start = p, *end = p + len, *nl;
	*ret_records = 0;
	for (; (nl = memchr(p, '\n', (size_t) (end - p))) != NULL; p = nl + 1)
		++*ret_records;
	return (size_t) (p - start);
}

const struct log_format log_json = {"json.log", encode, whole};
