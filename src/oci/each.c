/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/each.h"

#include <regex.h>

#include "oci/container.h"

int each_match(const struct oci *o, const char *pattern, int (*fn)(const struct oci *o, const char *id, void *ctx, struct err *err), void *ctx, struct err *err)
{
	_cleanup_strv_ char **ids = NULL;
	regex_t re;
	int result = container_ids(o, &ids, err);
	if (result < 0)
		return result;
	int e = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);
	if (e != 0) {
		char why[100];
		(void) regerror(e, &re, why, sizeof(why));
		return err_set(err, ERR_INVALID, "--regex: '%.80s': %s", pattern, why);
	}
	STRV_FOREACH(id, ids) {
		struct err one = {};
		if (regexec(&re, id, 0, NULL, 0) != 0)
			continue;
		int r = fn(o, id, ctx, &one);
		if (r < 0 && result == 0) {
			*err = one;
			result = r;
		} else if (r < 0)
			oci_fail(o, one.msg);
	}
	regfree(&re);
	return result;
}
