/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output side of an attach, exec or logs stream: raw bytes of a terminal, or frames that say stdout or stderr (byte 0: stream,
 * bytes 4-7: length, big endian). Turns a buffer of received bytes into slices to write.
 */
#pragma once

#include "base/macro.h"

struct demux {
	bool raw;           /* everything is stdout */
	unsigned char head[8];
	size_t head_len;    /* bytes of the current frame's head that came */
	uint32_t remaining; /* payload of the current frame still to come */
};

/** demux_next() - consume from *@p (*@n bytes) up to the end of one slice. Return: 1 or 2 (stdout, stderr) with the slice in *@ret, *@ret_len;
 *  0 when more input is needed; -EPROTO for an unknown stream. A system error frame (3) is shown on stderr. */
int demux_next(struct demux *d, const char **p, size_t *n, const char **ret, size_t *ret_len);
