/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of registries that are no images: pure text, strict. */
#pragma once

#include "registry/registry.h"

/** registry_results_parse() - the answer to a search. *@ret: to be released in every case. ERR_INVALID. */
int registry_results_parse(const char *text, size_t len, struct registry_results *ret, struct err *err);

#define SIGNATURE_PAYLOAD_MAX (64 << 10)
#define SIGNATURES_MAX 64

/* Where a payload lies, and the signature over it. */
struct signature_layer {
	char digest[DIGEST_TEXT_MAX];
	uint64_t size;   /* 1 to SIGNATURE_PAYLOAD_MAX */
	char *signature; /* owned; not empty */
};
struct signature_layers {
	struct signature_layer *v; /* owned */
	size_t n;
};
/** signature_layers_parse() - those of a manifest of signatures; layers that are none are passed over. *@ret: to be released in every case. ERR_INVALID, ERR_CORRUPT, ERR_QUOTA
 *  for more than SIGNATURES_MAX. */
int signature_layers_parse(const char *text, size_t len, struct signature_layers *ret, struct err *err);
void signature_layers_done(struct signature_layers *s);
