/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The detach sequence in a terminal's input, as a state machine over bytes. Bytes that might begin the sequence are held back until they do or
 * do not; then they are forwarded, and the search goes on in what was held (so that "a a b" is found in "a a a b").
 */
#pragma once

#include "monitor/proto.h"

struct keys {
	uint8_t seq[MONITOR_DETACH_KEYS_MAX];
	uint8_t n;   /* length of the sequence; 0: never matches */
	uint8_t pos; /* how much of it has been seen and held back; always < n, or 0 */
};

/** keys_scan() - pass @len bytes of @in through to @out (room for @len + MONITOR_DETACH_KEYS_MAX), minus what is held back. *@ret_len: bytes
 *  in @out. Return: true when the sequence is complete (the rest of @in is dropped). */
bool keys_scan(struct keys *k, const uint8_t *in, size_t len, uint8_t *out, size_t *ret_len);
