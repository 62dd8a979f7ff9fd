/* SPDX-License-Identifier: Apache-2.0 */
/*
 * D-Bus messages as bytes: as much of the specification (dbus.freedesktop.org, "Message Protocol", version 1) as a caller of systemd's manager needs. Written and read
 * in little-endian, which all our architectures are. A writer's alignment counts from its own start, so a body is written by itself and is put
 * behind a header. What is read is foreign: every length is checked against what is there, nothing is copied, nothing is recursive.
 */
#pragma once

#include "base/str.h"

#define DBUS_MESSAGE_MAX ((size_t) 1 << 18) /* ours; the protocol's own ceiling is 128 MiB */
#define DBUS_HEAD 16                        /* the fixed part, which tells how long the rest is */

enum dbus_type { DBUS_CALL = 1, DBUS_RETURN = 2, DBUS_ERROR = 3, DBUS_SIGNAL = 4 };

/* Writing. The buffer latches its first failure (strbuf_err()). */
void dbus_put_u8(struct strbuf *b, uint8_t v);
void dbus_put_u32(struct strbuf *b, uint32_t v);
void dbus_put_u64(struct strbuf *b, uint64_t v);
void dbus_put_bool(struct strbuf *b, bool v);
/** dbus_put_str() - a string or an object path. */
void dbus_put_str(struct strbuf *b, const char *s);
void dbus_put_signature(struct strbuf *b, const char *s);
/** dbus_begin_array() - an array whose elements are aligned to @align (structs and dictionary entries: 8). Return: what dbus_end_array() takes. */
size_t dbus_begin_array(struct strbuf *b, size_t align);
void dbus_end_array(struct strbuf *b, size_t array, size_t align);
/** dbus_begin_struct() - align for a struct. */
void dbus_begin_struct(struct strbuf *b);

/** dbus_put_call() - header and @body of a method call to @b. @dest NULL: a direct connection. @signature: of the body, "" for none. */
void dbus_put_call(struct strbuf *b, uint32_t serial, const char *dest, const char *path, const char *interface, const char *member, const char *signature,
		   const struct strbuf *body);

/* Reading. */
struct dbus_cursor {
	const uint8_t *p; /* borrowed; the start of what alignment counts from */
	size_t at, end;
	bool bad;         /* something did not fit: everything read since is empty */
};

struct dbus_message { /* strings are borrowed from the bytes; "" where the message has no such field */
	enum dbus_type type;
	uint32_t serial, reply_serial;
	const char *path, *interface, *member, *error, *signature;
	struct dbus_cursor body;
};

/** dbus_message_size() - how many bytes the message is long that begins with @head. Return: 0; -EBADMSG no message of the protocol; -EMSGSIZE. */
int dbus_message_size(const uint8_t head[DBUS_HEAD], size_t *ret);
/** dbus_message_parse() - understand @len bytes, exactly one message. Return: 0, -EBADMSG. */
int dbus_message_parse(const uint8_t *bytes, size_t len, struct dbus_message *ret);
uint8_t dbus_get_u8(struct dbus_cursor *c);
uint32_t dbus_get_u32(struct dbus_cursor *c);
uint64_t dbus_get_u64(struct dbus_cursor *c);
/** dbus_get_str() - a string or object path; "" when it is broken. */
const char *dbus_get_str(struct dbus_cursor *c);
const char *dbus_get_signature(struct dbus_cursor *c);
/** dbus_get_align() - skip padding, as before a struct (8). */
void dbus_get_align(struct dbus_cursor *c, size_t align);
