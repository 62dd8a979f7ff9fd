/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small macros that every room uses: cleanup attributes, array lengths, ownership hand-over.
 * Nothing here allocates, logs or has state.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _must_ __attribute__((warn_unused_result))
#define _unused_ __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/** take_ptr() - hand a pointer over: yields its value and leaves NULL behind. */
#define take_ptr(p)                                                                                                    \
	({                                                                                                             \
		__typeof__(p) *pp_ = &(p);                                                                             \
		__typeof__(p) v_ = *pp_;                                                                               \
		*pp_ = NULL;                                                                                           \
		v_;                                                                                                    \
	})

static inline void freep(void *p)
{
	free(*(void **) p);
	*(void **) p = NULL;
}
#define _cleanup_free_ _cleanup_(freep)
