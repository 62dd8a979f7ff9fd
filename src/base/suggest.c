/* SPDX-License-Identifier: Apache-2.0 */
#include "base/suggest.h"

#include <string.h>

#define WORD_MAX 39

void suggest_init(struct suggest *s, const char *word, size_t len)
{
	*s = (struct suggest) {.distance = SIZE_MAX};
	memcpy(s->word, word, MIN(len, (size_t) WORD_MAX));
}

/* Edit distance with swaps of neighbours (optimal string alignment), three rows of the table at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], n = strlen(b), *before = rows[0], *last = rows[1], *now = rows[2];
	for (size_t j = 0; j <= n; j++)
		before[j] = last[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		now[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t change = last[j - 1] + (a[i - 1] != b[j - 1]);
			now[j] = MIN(change, MIN(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = MIN(now[j], before[j - 2] + 1);
		}
		size_t *oldest = before;
		before = last;
		last = now;
		now = oldest;
	}
	return last[n];
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
