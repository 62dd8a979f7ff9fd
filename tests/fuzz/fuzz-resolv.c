/* SPDX-License-Identifier: Apache-2.0 */
/* A resolv.conf: whatever is in it, what comes out is plain words. */
#include <stdint.h>
#include <string.h>

#include "dns/resolv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolv r = {0};
	if (resolv_parse((const char *) data, size, &r) == 0) {
		char **all[] = {r.servers, r.search, r.options};
		for (size_t i = 0; i < ARRAY_LEN(all); i++)
			STRV_FOREACH(s, all[i])
				assert(str_is_plain(s) && *s);
		STRV_FOREACH(s, r.servers)
			(void) resolv_is_loopback(s);
	}
	resolv_done(&r);
	return 0;
}
