/* SPDX-License-Identifier: Apache-2.0 */
/* References: what is taken can be written and read again, both ways, and comes out the same. */
#include "spec/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct image_ref *r, char *text_take)
{
	struct image_ref again;
	assert(text_take && image_ref_parse(text_take, &again, NULL) >= 0);
	assert(str_eq(r->domain, again.domain) && str_eq(r->path, again.path) && str_eq(r->tag, again.tag) && str_eq(r->digest, again.digest));
	image_ref_done(&again);
	free(text_take);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[1024];
	struct image_ref r;
	struct err err = {0};
	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (image_ref_parse(text, &r, &err) < 0) {
		assert(err.kind == ERR_INVALID && str_is_plain(err.msg));
		return 0;
	}
	assert(!strstr(r.path, "..") && r.path[0] != '/' && (r.tag || r.digest));
	same(&r, image_ref_full(&r));
	same(&r, image_ref_familiar(&r));
	image_ref_done(&r);
	return 0;
}
