/* SPDX-License-Identifier: Apache-2.0 */
/* A sigstore signature as cosign makes it: a payload that names an image, and a signature over the payload's bytes. */
#pragma once

#include "base/err.h"
#include "spec/image.h"

/* What came with an image; nothing of it is believed. */
struct trust_signature {
	const char *payload; /* borrowed; JSON */
	size_t len;
	const char *signature; /* borrowed; base64 */
};
/* What a payload says. */
struct simple_signing {
	char *reference;              /* owned; "registry.example/a/b[:tag]" */
	char digest[DIGEST_TEXT_MAX]; /* of the manifest or index */
};
/** simple_signing_parse() - strict: "critical" holds the three members that it has, of the one type that is known; what stands in "optional" means nothing. ERR_INVALID. */
int simple_signing_parse(const char *text, size_t len, struct simple_signing *ret, struct err *err);
void simple_signing_done(struct simple_signing *s);
