/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of a signature, and what it says of a name. */
#include "trust/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct simple_signing s = {NULL};
	struct err err = {0};
	struct image_ref ref = {0};
	if (simple_signing_parse((const char *) data, size, &s, &err) < 0) {
		assert(err.kind == ERR_INVALID);
		return 0;
	}
	assert(digest_is_valid(s.digest) && s.reference[0] && str_is_plain(s.reference));
	int r = image_ref_parse("registry.example/a/b:1", &ref, NULL);
	assert(r == 0);
	bool exact = trust_identity_matches(&(struct signed_identity) {IDENTITY_EXACT}, &ref, s.reference);
	bool repository = trust_identity_matches(&(struct signed_identity) {IDENTITY_REPOSITORY}, &ref, s.reference);
	assert(!exact || (repository && str_eq(s.reference, "registry.example/a/b:1")));
	image_ref_done(&ref);
	simple_signing_done(&s);
	return 0;
}
