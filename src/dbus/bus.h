/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a message bus, or to a service itself (systemd's private socket), for a caller that does one thing at a time: connect, call, wait for one
 * signal. Every wait has a deadline; what comes unasked is passed over. docs/adr/0011 tells why this is not libdbus.
 */
#pragma once

#include "base/clock.h"
#include "base/err.h"
#include "dbus/message.h"

struct dbus_bus {
	int fd;          /* owned; -EBADF when closed */
	bool direct;     /* a service itself, no bus in between: no Hello, no names, no match rules */
	uint32_t serial; /* of the last call */
	uint8_t *in;     /* owned; the last message received */
	usec_t deadline; /* of the call or wait that goes on */
	/* while a call waits for its answer: signals are shown here first; NULL: they are dropped */
	void (*on_signal)(void *ctx, const struct dbus_message *m);
	void *ctx;
};
#define DBUS_BUS_NULL ((struct dbus_bus) {.fd = -EBADF})

/** dbus_connect() - @address: "unix:path=/run/dbus/system_bus_socket" or "unix:abstract=NAME", several with ';' between them, or the path of a service's own socket, which
 *  makes the connection direct. Authenticates as who we are (SASL EXTERNAL). Return: 0; ERR_NOT_FOUND nobody listens; other <0. */
int dbus_connect(struct dbus_bus *b, const char *address, struct err *err);
void dbus_close(struct dbus_bus *b);
/** dbus_call() - call and wait for the answer, at most @timeout_ms. @body: NULL for none. *@reply (may be NULL): borrowed until the next call. Return: 0; ERR_SYSTEM with the
 *  peer's own words, its error name in front ("org.freedesktop.systemd1.NoSuchUnit: ..."); err.sys is -EREMOTEIO then. */
int dbus_call(struct dbus_bus *b, const char *dest, const char *path, const char *interface, const char *member, const char *signature, const struct strbuf *body,
	      int timeout_ms, struct dbus_message *reply, struct err *err);
/** dbus_match() - ask the bus for the signals that @rule names; a direct peer needs no asking. */
int dbus_match(struct dbus_bus *b, const char *rule, struct err *err);
/** dbus_next_signal() - the next signal, until @deadline. *@ret: borrowed until the next call. Return: 0; -ETIMEDOUT; other <0 with @err. */
int dbus_next_signal(struct dbus_bus *b, usec_t deadline, struct dbus_message *ret, struct err *err);
