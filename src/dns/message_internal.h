/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of the wire, for message*.c. */
#pragma once

#include "base/macro.h"

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t) (p[0] << 8 | p[1]);
}

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t) (v >> 8);
	p[1] = (uint8_t) v;
}
