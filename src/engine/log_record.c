/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/log_record.h"

#include <ctype.h>
#include <errno.h>

#include "base/clock.h"

/* json-file */

static ssize_t json_frame(const char *p, size_t len, size_t *ret_skip, size_t *ret_len)
{
	const char *nl = memchr(p, '\n', len);
	*ret_skip = 0;
	*ret_len = nl ? (size_t) (nl - p) : 0;
	return nl ? nl - p + 1 : 0;
}

/* As Go's url.QueryEscape() does. */
static void put_escaped(struct strbuf *out, const char *s)
{
	for (; *s; s++)
		if (isalnum((unsigned char) *s) || strchr("-_.~", *s))
			strbuf_addc(out, *s);
		else if (*s == ' ')
			strbuf_addc(out, '+');
		else
			strbuf_addf(out, "%%%02X", (unsigned) (unsigned char) *s);
}

/* "k=v,k2=v2"; the monitor's are in order. */
static const char *attrs_text(const struct json *attrs, struct strbuf *out)
{
	bool first = true;
	JSON_FOREACH_MEMBER(key, v, attrs) {
		strbuf_adds(out, first ? "" : ",");
		put_escaped(out, key);
		strbuf_addc(out, '=');
		put_escaped(out, json_str(v, ""));
		first = false;
	}
	return out->s && strbuf_err(out) == 0 ? out->s : "";
}

static int json_record(const char *rec, size_t len, struct strbuf *scratch, struct logs_record *ret)
{
	_cleanup_json_ struct json *doc = NULL;
	if (json_parse(rec, len, LOG_RECORD_MAX, "log", &doc, NULL) < 0)
		return -EINVAL;
	const char *stream = json_str(json_get(doc, "stream"), NULL), *text = json_str(json_get(doc, "log"), NULL);
	if (!text || !stream || time_parse_rfc3339(json_str(json_get(doc, "time"), ""), &ret->time_ns) < 0)
		return -EINVAL;
	ret->stream = str_eq(stream, "stderr") ? 2 : 1;
	/* the document goes: text and attributes stay in @scratch, one behind the other */
	strbuf_reset(scratch);
	const struct json *attrs = json_get(doc, "attrs");
	ret->len = strlen(text);
	strbuf_adds(scratch, text);
	strbuf_addc(scratch, '\0');
	(void) attrs_text(attrs, scratch);
	if (strbuf_err(scratch) < 0)
		return -EINVAL;
	ret->text = scratch->s;
	ret->attrs = scratch->s + ret->len + 1;
	return 0;
}

/* local */

static uint32_t get_length(const char *p)
{
	const uint8_t *u = (const uint8_t *) p;
	return (uint32_t) u[0] << 24 | (uint32_t) u[1] << 16 | (uint32_t) u[2] << 8 | u[3];
}

static ssize_t local_frame(const char *p, size_t len, size_t *ret_skip, size_t *ret_len)
{
	if (len < 4)
		return 0;
	uint32_t n = get_length(p);
	if (n == 0 || n > LOG_RECORD_MAX - 8)
		return -EBADMSG;
	if (len < n + 8)
		return 0;
	*ret_skip = 4;
	*ret_len = n;
	return get_length(p + 4 + n) == n ? (ssize_t) (n + 8) : -EBADMSG;
}

/* Return: bytes; 0 none. */
static size_t get_varint(const char *p, size_t len, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < len && i < 10; i++) {
		*ret |= (uint64_t) ((uint8_t) p[i] & 0x7f) << (7 * i);
		if (!((uint8_t) p[i] & 0x80))
			return i + 1;
	}
	return 0;
}

struct local_entry {
	const char *source, *line; /* borrowed */
	size_t source_len, line_len;
	uint64_t time_ns;
	bool partial;
};

/* Fields that are not known are passed over (protobuf's encoding). */
static int local_fields(const char *p, size_t len, struct local_entry *e)
{
	while (len > 0) {
		uint64_t key, v = 0;
		size_t n = get_varint(p, len, &key);
		size_t k = n && ((key & 7) == 0 || (key & 7) == 2) ? get_varint(p + n, len - n, &v) : 0;
		if (!k)
			return -EINVAL;
		p += n + k;
		len -= n + k;
		bool bytes = (key & 7) == 2;
		if (bytes && v > len)
			return -EINVAL;
		if (key == (1 << 3 | 2)) {
			e->source = p;
			e->source_len = v;
		} else if (key == (3 << 3 | 2)) {
			e->line = p;
			e->line_len = v;
		} else if (key == 2 << 3)
			e->time_ns = v;
		else if (key == 4 << 3)
			e->partial = v != 0;
		p += bytes ? v : 0;
		len -= bytes ? v : 0;
	}
	return 0;
}

static int local_record(const char *rec, size_t len, struct strbuf *scratch, struct logs_record *ret)
{
	struct local_entry e = {.line = ""};
	int rc = local_fields(rec, len, &e);
	if (rc < 0 || !e.source)
		return -EINVAL;
	strbuf_reset(scratch);
	strbuf_add(scratch, e.line, e.line_len);
	if (!e.partial)
		strbuf_addc(scratch, '\n');
	if (strbuf_err(scratch) < 0)
		return -EINVAL;
	*ret = (struct logs_record) {
		.stream = e.source_len == 6 && memcmp(e.source, "stderr", 6) == 0 ? 2 : 1, .text = scratch->s ? scratch->s : "", .len = scratch->len, .time_ns = (int64_t) e.time_ns, .attrs = "",
	};
	return 0;
}

const struct log_kind *log_kind_of(const char *driver)
{
	static const struct log_kind kinds[] = {{"json.log", json_frame, json_record}, {"local.log", local_frame, local_record}};
	return str_eq(driver, "none") ? NULL : &kinds[str_eq(driver, "local")];
}
