/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus/message.h"

#include <errno.h>

enum { FIELD_PATH = 1, FIELD_INTERFACE, FIELD_MEMBER, FIELD_ERROR_NAME, FIELD_REPLY_SERIAL, FIELD_DESTINATION, FIELD_SENDER, FIELD_SIGNATURE, FIELD_UNIX_FDS };

static const char zeros[8];

static void pad(struct strbuf *b, size_t align)
{
	strbuf_add(b, zeros, (align - b->len % align) % align);
}

void dbus_put_u8(struct strbuf *b, uint8_t v)
{
	strbuf_add(b, &v, 1);
}

void dbus_put_u32(struct strbuf *b, uint32_t v)
{
	pad(b, 4);
	strbuf_add(b, &v, 4);
}

void dbus_put_u64(struct strbuf *b, uint64_t v)
{
	pad(b, 8);
	strbuf_add(b, &v, 8);
}

void dbus_put_bool(struct strbuf *b, bool v)
{
	dbus_put_u32(b, v);
}

void dbus_put_str(struct strbuf *b, const char *s)
{
	size_t n = strlen(s);
	dbus_put_u32(b, (uint32_t) n);
	strbuf_add(b, s, n + 1);
}

void dbus_put_signature(struct strbuf *b, const char *s)
{
	size_t n = strlen(s);
	assert(n < 256);
	dbus_put_u8(b, (uint8_t) n);
	strbuf_add(b, s, n + 1);
}

size_t dbus_begin_array(struct strbuf *b, size_t align)
{
	dbus_put_u32(b, 0);
	size_t at = b->len;
	pad(b, align);
	return at;
}

void dbus_end_array(struct strbuf *b, size_t array, size_t align)
{
	if (strbuf_err(b) < 0)
		return;
	/* the length counts from the first element: padding before it is not part of the array */
	size_t first = array + (align - array % align) % align;
	uint32_t n = (uint32_t) (b->len - first);
	memcpy(b->s + array - 4, &n, 4);
}

void dbus_begin_struct(struct strbuf *b)
{
	pad(b, 8);
}

static void put_field(struct strbuf *b, uint8_t code, const char *signature, const char *value)
{
	if (!value || !*value)
		return;
	dbus_begin_struct(b);
	dbus_put_u8(b, code);
	dbus_put_signature(b, signature);
	if (signature[0] == 'g')
		dbus_put_signature(b, value);
	else
		dbus_put_str(b, value);
}

void dbus_put_call(struct strbuf *b, uint32_t serial, const char *dest, const char *path, const char *interface, const char *member, const char *signature,
		   const struct strbuf *body)
{
	assert(b->len == 0);
	dbus_put_u8(b, 'l');
	dbus_put_u8(b, DBUS_CALL);
	dbus_put_u8(b, 0); /* flags: an answer is wanted */
	dbus_put_u8(b, 1); /* version */
	dbus_put_u32(b, (uint32_t) (body ? body->len : 0));
	dbus_put_u32(b, serial);
	size_t fields = dbus_begin_array(b, 8);
	put_field(b, FIELD_PATH, "o", path);
	put_field(b, FIELD_INTERFACE, "s", interface);
	put_field(b, FIELD_MEMBER, "s", member);
	put_field(b, FIELD_DESTINATION, "s", dest);
	put_field(b, FIELD_SIGNATURE, "g", signature);
	dbus_end_array(b, fields, 8);
	pad(b, 8);
	if (body && body->len)
		strbuf_add(b, body->s, body->len);
	if (body && strbuf_err(body) < 0 && b->err == 0)
		b->err = strbuf_err(body);
}

void dbus_get_align(struct dbus_cursor *c, size_t align)
{
	size_t skip = (align - c->at % align) % align;
	if (skip > c->end - c->at)
		c->bad = true;
	if (!c->bad)
		c->at += skip;
}

/* @n bytes, or NULL. */
static const uint8_t *take(struct dbus_cursor *c, size_t n)
{
	if (c->bad || n > c->end - c->at) {
		c->bad = true;
		return NULL;
	}
	c->at += n;
	return c->p + c->at - n;
}

uint8_t dbus_get_u8(struct dbus_cursor *c)
{
	const uint8_t *p = take(c, 1);
	return p ? *p : 0;
}

uint32_t dbus_get_u32(struct dbus_cursor *c)
{
	uint32_t v = 0;
	dbus_get_align(c, 4);
	const uint8_t *p = take(c, 4);
	if (p)
		memcpy(&v, p, 4);
	return v;
}

uint64_t dbus_get_u64(struct dbus_cursor *c)
{
	uint64_t v = 0;
	dbus_get_align(c, 8);
	const uint8_t *p = take(c, 8);
	if (p)
		memcpy(&v, p, 8);
	return v;
}

/* @n characters and the NUL behind them, with none before. */
static const char *take_text(struct dbus_cursor *c, size_t n)
{
	const uint8_t *p = n < c->end ? take(c, n + 1) : take(c, SIZE_MAX);
	if (!p || p[n] != '\0' || memchr(p, '\0', n)) {
		c->bad = true;
		return "";
	}
	return (const char *) p;
}

const char *dbus_get_str(struct dbus_cursor *c)
{
	size_t n = dbus_get_u32(c);
	return take_text(c, n);
}

const char *dbus_get_signature(struct dbus_cursor *c)
{
	size_t n = dbus_get_u8(c);
	return take_text(c, n);
}

int dbus_message_size(const uint8_t head[DBUS_HEAD], size_t *ret)
{
	uint32_t body, fields;
	memcpy(&body, head + 4, 4);
	memcpy(&fields, head + 12, 4);
	if (head[0] != 'l' || head[1] < DBUS_CALL || head[1] > DBUS_SIGNAL || head[3] != 1)
		return -EBADMSG;
	if (body > DBUS_MESSAGE_MAX || fields > DBUS_MESSAGE_MAX)
		return -EMSGSIZE;
	size_t n = ((size_t) DBUS_HEAD + fields + 7) / 8 * 8 + body;
	if (n > DBUS_MESSAGE_MAX)
		return -EMSGSIZE;
	*ret = n;
	return 0;
}

/* One header field: a byte that names it and a variant. */
static void read_field(struct dbus_cursor *c, struct dbus_message *m)
{
	dbus_get_align(c, 8);
	uint8_t code = dbus_get_u8(c);
	const char *signature = dbus_get_signature(c), *text = "";
	uint32_t number = 0;
	if (signature[0] == '\0' || signature[1] != '\0')
		c->bad = true; /* all known fields have simple types, and no peer of ours sends unknown ones */
	else if (signature[0] == 's' || signature[0] == 'o')
		text = dbus_get_str(c);
	else if (signature[0] == 'g')
		text = dbus_get_signature(c);
	else if (signature[0] == 'u')
		number = dbus_get_u32(c);
	else
		c->bad = true;
	const char **const texts[] = {
		[FIELD_PATH] = &m->path, [FIELD_INTERFACE] = &m->interface, [FIELD_MEMBER] = &m->member, [FIELD_ERROR_NAME] = &m->error, [FIELD_SIGNATURE] = &m->signature,
	};
	if (code == FIELD_REPLY_SERIAL && signature[0] == 'u')
		m->reply_serial = number;
	else if (code < ARRAY_LEN(texts) && texts[code] && signature[0] != 'u')
		*texts[code] = text;
}

int dbus_message_parse(const uint8_t *bytes, size_t len, struct dbus_message *ret)
{
	size_t want;
	if (len < DBUS_HEAD || dbus_message_size(bytes, &want) < 0 || want != len)
		return -EBADMSG;
	struct dbus_cursor c = {.p = bytes, .at = 4, .end = len};
	*ret = (struct dbus_message) {.type = (enum dbus_type) bytes[1], .path = "", .interface = "", .member = "", .error = "", .signature = ""};
	size_t body = dbus_get_u32(&c);
	ret->serial = dbus_get_u32(&c);
	size_t fields = dbus_get_u32(&c);
	c.end = DBUS_HEAD + fields; /* inside, by the sum above */
	while (!c.bad && c.at < c.end)
		read_field(&c, ret);
	if (c.bad || ret->serial == 0)
		return -EBADMSG;
	ret->body = (struct dbus_cursor) {.p = bytes + len - body, .at = 0, .end = body};
	return 0;
}
