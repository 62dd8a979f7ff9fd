/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean": the offered name with the smallest edit distance to a mistyped one, if it is near enough to be meant.
 */
#pragma once

#include "base/macro.h"

struct suggest {
	char word[40];    /* what was typed */
	const char *best; /* borrowed */
	size_t distance;
};

void suggest_init(struct suggest *s, const char *word, size_t len);
/** suggest_offer() - @name: borrowed for as long as @s. */
void suggest_offer(struct suggest *s, const char *name);
/** suggest_best() - nearest name, or NULL when none is near. */
const char *suggest_best(const struct suggest *s);
