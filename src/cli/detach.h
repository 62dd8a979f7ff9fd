/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The detach sequence: parsed from docker's notation, and recognised in a stream of typed bytes. Bytes that may be the sequence's
 * beginning are held back until they are known not to be.
 */
#pragma once

#include "base/err.h"

#define DETACH_KEYS_MAX 16
#define DETACH_DEFAULT "ctrl-p,ctrl-q"

struct detach {
	unsigned char keys[DETACH_KEYS_MAX];
	size_t n;       /* 0: never detach */
	size_t matched; /* keys seen so far, held back */
};

/** detach_parse() - "ctrl-p,ctrl-q", "a,b", ...: single characters or ctrl- with a letter or one of @[\]^_. Return: 0; ERR_INVALID. */
int detach_parse(const char *text, struct detach *ret, struct err *err);
/** detach_scan() - pass @in[@n] through; *@ret_n bytes of @out (room for @n + DETACH_KEYS_MAX) are to be sent on.
 *  Return: true when the sequence is complete (the rest of @in is dropped). */
bool detach_scan(struct detach *d, const char *in, size_t n, char *out, size_t *ret_n);
