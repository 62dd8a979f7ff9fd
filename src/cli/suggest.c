/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/suggest.h"

#include <string.h>

#define WORD_MAX 39

void suggest_init(struct suggest *s, const char *word, size_t len)
{
	*s = (struct suggest) {.distance = SIZE_MAX};
	memcpy(s->word, word, MIN(len, (size_t) WORD_MAX));
}

/* Levenshtein distance with one row of the table (both words at most WORD_MAX long). */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], n = strlen(b);
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

void suggest_offer(struct suggest *s, const char *name)
{
	if (strlen(name) > WORD_MAX)
		return;
	size_t d = distance(s->word, name);
	if (strlen(s->word) >= 3 && strncmp(name, s->word, strlen(s->word)) == 0)
		d = 1; /* an abbreviation */
	if (d < s->distance) {
		s->distance = d;
		s->best = name;
	}
}

const char *suggest_best(const struct suggest *s)
{
	size_t len = strlen(s->word);
	return s->best && s->distance <= (len <= 4 ? 1 : len / 3) ? s->best : NULL;
}
