/* SPDX-License-Identifier: Apache-2.0 */
/* Names for containers that were given none: an adjective and a surname of somebody who made or kept things. */
#include <stdio.h>
#include <sys/random.h>

#include "engine/internal.h"

static const char *const adjectives[] = {
	"able",	  "airy",   "amber",  "ample",	"apt",	  "blithe", "bold",   "brave",	"breezy", "brisk",  "calm",   "candid", "civil",  "clear",
	"clever", "cosy",   "crisp",  "daring", "deft",	  "eager",  "early",  "fair",	"fleet",  "fond",   "frank",  "fresh",	"gentle", "glad",
	"golden", "grand",  "handy",  "hardy",	"hazel",  "honest", "jolly",  "keen",	"kind",	  "lively", "loyal",  "lucid",	"mellow", "merry",
	"mild",	  "modest", "neat",   "nimble", "noble",  "patient", "placid", "plucky", "polite", "prime",  "proud",  "quick",	"quiet",  "ready",
	"robust", "rosy",   "serene", "sharp",	"silent", "sleek",  "snug",   "sober",	"solid",  "sound",  "spry",   "steady", "sunny",  "sure",
	"swift",  "tender", "tidy",   "trim",	"true",	  "trusty", "upbeat", "vivid",	"warm",	  "wise",   "witty",  "worthy", "young",  "zesty",
};

static const char *const surnames[] = {
	"abel",	   "agnesi",  "ampere",	 "banneker", "bell",	"boole",   "brahe",   "carver",	 "cauchy", "cayley",  "clarke",	"copland", "cray",     "crick",
	"daguerre", "darwin", "deere",	 "dekker",   "dijkstra", "drew",   "earhart", "eckert",	 "elion",  "erdos",   "euler",	"faraday", "fermat",   "fourier",
	"franklin", "fuller", "gauss",	 "germain",  "goldberg", "hahn",   "halley",  "hamilton", "harvey", "hawking", "herschel", "hertz", "hopper",	"huygens",
	"jacquard", "joule",  "kay",	 "kepler",   "khayyam",	"knuth",   "kovalevskaya", "lamarr", "laplace", "lavoisier", "leavitt", "lovelace", "lumiere", "maxwell",
	"mayer",   "mcnulty", "meitner", "mendel",   "mercator", "mirzakhani", "mitchell", "moore", "morse", "napier", "nobel", "noether", "oersted", "ohm",
	"pascal",  "pasteur", "payne",	 "perlman",  "planck",	"poincare", "ptolemy", "raman",	 "ride",   "ritchie", "rubin",	"sinclair", "snow",	"tesla",
	"thompson", "torvald", "turing", "villani",  "volta",	"watt",	   "wescoff", "wing",	 "wozniak", "wright", "wu",	"yalow",   "yonath",   "zeiss",
};

static uint32_t random_below(uint32_t n)
{
	uint32_t v = 0;
	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		v = (uint32_t) now_ns(); /* a name need not be secret, only new */
	return v % n;
}

void name_generate(unsigned attempt, char *buf, size_t size)
{
	const char *a = adjectives[random_below(ARRAY_LEN(adjectives))], *s = surnames[random_below(ARRAY_LEN(surnames))];
	if (attempt < 4)
		(void) str_format(buf, size, "%s_%s", a, s); /* callers give 128 bytes */
	else
		(void) str_format(buf, size, "%s_%s%u", a, s, random_below(attempt < 12 ? 100 : 1000000000));
}
