/* SPDX-License-Identifier: Apache-2.0 */
/* policy.json: what is taken has requirements everywhere, and one of its scopes for every image; without signatures nothing comes in where some are wanted. */
#include "trust/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const images[] = {"busybox", "registry.example.com:5000/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000005"};
	_cleanup_trust_policy_ struct trust_policy *p = NULL;
	struct err err = {0};
	if (trust_policy_parse((const char *) data, size, "policy.json", &p, &err) < 0) {
		assert(err.kind == ERR_INVALID);
		return 0;
	}
	for (size_t i = 0; i < p->n; i++) {
		assert(p->scopes[i].n > 0);
		for (size_t k = 0; k < p->scopes[i].n; k++) {
			struct requirement *q = &p->scopes[i].v[k];
			assert(q->kind != REQUIRE_SIGSTORE || q->key_paths || q->key_texts);
			strv_freep(&q->key_paths); /* no file is opened here */
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(images); i++) {
		struct image_ref ref = {0};
		const struct trust_image image = {.ref = &ref, .digests = {"sha256:0000000000000000000000000000000000000000000000000000000000000005"}};
		int r = image_ref_parse(images[i], &ref, NULL);
		assert(r == 0);
		const struct policy_scope *s = trust_policy_registry(p, &ref);
		bool demanding = false;
		for (size_t k = 0; k < s->n; k++)
			demanding = demanding || s->v[k].kind != REQUIRE_NOTHING;
		assert((trust_verdict(s, &image, &err) < 0) == demanding);
		image_ref_done(&ref);
	}
	return 0;
}
