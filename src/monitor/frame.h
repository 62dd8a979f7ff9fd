/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame that separates streams on an attach without a terminal: stream, three zero bytes, length big-endian, payload.
 * Source: Engine API, "Attach to a container", stream format.
 */
#pragma once

#include "base/macro.h"

#define FRAME_HEADER 8

enum frame_stream { FRAME_STDOUT = 1, FRAME_STDERR = 2, FRAME_SYSTEM_ERROR = 3 };

static inline void frame_header(uint8_t h[FRAME_HEADER], enum frame_stream stream, uint32_t len)
{
	h[0] = (uint8_t) stream;
	h[1] = h[2] = h[3] = 0;
	h[4] = (uint8_t) (len >> 24);
	h[5] = (uint8_t) (len >> 16);
	h[6] = (uint8_t) (len >> 8);
	h[7] = (uint8_t) len;
}
