/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a directory, sorted as bytes: the order of everything that is written here. */
#pragma once

#include "base/err.h"

struct listing {
	char **names; /* owned */
	size_t n;
};
/** listing_read() - without "." and "..". @fd: O_RDONLY, its offset moves. Return: 0 or -errno. */
int listing_read(int fd, struct listing *ret);
void listing_done(struct listing *l);
