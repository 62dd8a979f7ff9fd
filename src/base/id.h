/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine-minted ids: 64 lower-case hex digits from getrandom(2), shown short as 12 (R16). Names are map keys, never paths.
 */
#pragma once

#include "base/macro.h"

#define ID_LEN 64
#define ID_SHORT_LEN 12

/** id_new() - fill @buf[ID_LEN + 1]. Return: 0 or -errno. */
int id_new(char buf[ID_LEN + 1]);
/** id_is_full() - exactly 64 lower-case hex digits. */
bool id_is_full(const char *s);
/** id_is_prefix() - 1..64 lower-case hex digits. */
bool id_is_prefix(const char *s);
/** name_is_valid() - ^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$ as docker's names (one character is refused there too). */
bool name_is_valid(const char *s);
/** hex_encode() - @n bytes to 2n digits and NUL. */
void hex_encode(const void *p, size_t n, char *out);
