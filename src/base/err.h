/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error object: 512 plain bytes on the caller's stack, nothing to free, one write() carries it between
 * processes. Rooms 0-1 return -errno; rooms 2-5 take a last parameter `struct err *err` that is filled exactly when the
 * return is < 0. Messages are lower case, without a full stop, foreign strings in ticks; context is added when
 * crossing a room: "creating 'web': mounting '/data': permission denied".
 */
#pragma once

#include "base/macro.h"

enum err_kind {
	ERR_NONE,
	ERR_INVALID,     /* the caller's input: 400, CLI 125 */
	ERR_NOT_FOUND,   /* 404 */
	ERR_CONFLICT,    /* 409 */
	ERR_DENIED,      /* policy or permission: 403 */
	ERR_QUOTA,       /* a limit or a full pool: 403 with the limit named */
	ERR_UNSUPPORTED, /* this host or this version cannot: 501 */
	ERR_CORRUPT,     /* stored or received data is not what it claims: 400 */
	ERR_SYSTEM,      /* the kernel or the disk said no: 500 */
	ERR_CMD_NOT_FOUND, /* the container's command does not exist: 400, CLI 127 */
	ERR_CMD_DENIED,  /* the container's command cannot be executed: 400, CLI 126 */
	ERR_NOT_MODIFIED, /* already in the state that was asked for: 304 */
	ERR_UNAUTHORIZED, /* a registry wants (other) credentials: 401 */
	ERR_KIND_MAX_,
};

struct err {
	uint16_t kind; /* enum err_kind */
	uint16_t pad;
	int32_t sys;    /* negative errno that goes with it, never 0 once filled */
	char msg[504];
};
static_assert(sizeof(struct err) == 512, "struct err travels in one write");

/** err_set() - fill @err (may be NULL). Return: the negative errno that stands for @kind. Async-signal-safe: no, but no malloc. */
int err_set(struct err *err, enum err_kind kind, const char *fmt, ...) _printf_(3, 4);

/** err_sys() - fill @err from a negative errno @r: kind ERR_SYSTEM, text "fmt: strerror". Return: @r. */
int err_sys(struct err *err, int r, const char *fmt, ...) _printf_(3, 4);

/** err_wrap() - put "fmt: " in front of the message of a filled @err. Return: its negative errno. */
int err_wrap(struct err *err, const char *fmt, ...) _printf_(2, 3);

/** err_oom() - fill @err with "out of memory". Return: -ENOMEM. */
int err_oom(struct err *err);

/** err_kind_name() - stable lower-case name of a kind, for logs and JSON. */
const char *err_kind_name(enum err_kind kind);
