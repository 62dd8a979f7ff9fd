/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an image may come in: what the policy asks for, held against the signatures that there are. */
#pragma once

#include "trust/policy.h"
#include "trust/signature.h"

/* An image from a registry, or from an archive (then @ref is NULL and there are no signatures). */
struct trust_image {
	const struct image_ref *ref;
	/* borrowed; what a signature may be of: the document that was named and, when that is an index, the manifest that was taken out of it. */
	const char *digests[2]; /* NULL: none */
	const struct trust_signature *signatures;
	size_t n_signatures;
};
/** trust_wants_signatures() - must signatures be fetched before the verdict? */
bool trust_wants_signatures(const struct policy_scope *s);
/** trust_verdict() - reads the keys' files. Return: 0 it may come; ERR_DENIED says what is missing. Whatever cannot be read or checked is a denial. */
int trust_verdict(const struct policy_scope *s, const struct trust_image *i, struct err *err);
/** trust_identity_matches() - is @reference, a payload's word, what @id wants of an image called @ref? */
bool trust_identity_matches(const struct signed_identity *id, const struct image_ref *ref, const char *reference);
