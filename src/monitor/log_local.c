/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of docker's local driver (moby daemon/logger/local, api/types/plugins/logdriver/entry.proto): a protobuf message with its length before and behind it,
 *   u32 big-endian N, N bytes of { 1: source "stdout", 2: time in ns, 3: line without its newline, 4: partial }, u32 big-endian N
 * Nothing is escaped: it is the smaller and the cheaper form. The second length is for reading backwards.
 */
#include <string.h>

#include "monitor/log.h"

#define LENGTH 4
enum { SOURCE = 1 << 3 | 2, TIME_NANO = 2 << 3, LINE = 3 << 3 | 2, PARTIAL = 4 << 3 }; /* field << 3 | wire type */

static uint8_t *put_varint(uint8_t *o, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*o++ = (uint8_t) (v | 0x80);
	*o++ = (uint8_t) v;
	return o;
}

static uint8_t *put_bytes(uint8_t *o, uint8_t key, const void *s, size_t len)
{
	*o++ = key;
	o = put_varint(o, len);
	memcpy(o, s, len);
	return o + len;
}

static void put_length(uint8_t *o, uint32_t n)
{
	for (int i = 0; i < LENGTH; i++)
		o[i] = (uint8_t) (n >> (24 - 8 * i));
}

static uint32_t get_length(const uint8_t *p)
{
	return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static size_t encode(struct log *l, uint8_t *out, enum log_stream stream, const uint8_t *s, size_t len, bool newline, int64_t time_ns)
{
	uint8_t *o = put_bytes(out + LENGTH, SOURCE, stream == LOG_STDOUT ? "stdout" : "stderr", 6);
	*o++ = TIME_NANO;
	o = put_varint(o, (uint64_t) time_ns);
	o = put_bytes(o, LINE, s, len);
	if (!newline) {
		*o++ = PARTIAL;
		*o++ = 1;
	}
	uint32_t n = (uint32_t) (o - out - LENGTH);
	put_length(out, n);
	put_length(o, n);
	return LENGTH + n + LENGTH;
}

static size_t whole(const uint8_t *p, size_t len, uint64_t *ret_records)
{
	size_t at = 0;
	*ret_records = 0;
	while (len - at >= 2 * LENGTH && len - at - 2 * LENGTH >= get_length(p + at)) {
		at += 2 * LENGTH + get_length(p + at);
		++*ret_records;
	}
	return at;
}

const struct log_format log_local = {"local.log", encode, whole};
