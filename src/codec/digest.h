/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256, one-shot and streaming, over libcrypto (this room's door). The plain block functions are used, not EVP: they need
 * no provider, read no openssl.cnf and take no locks, so that a confined helper and a static program can call them at any time.
 * A context is plain bytes: nothing to free.
 */
#pragma once

#include "base/macro.h"

#define DIGEST_SHA256_LEN 32
#define DIGEST_SHA256_HEX 64

struct digest {
	uint64_t state[16]; /* opaque; large enough for the library's context */
	uint64_t bytes;     /* hashed so far */
};

/** digest_init() - start a SHA-256. */
void digest_init(struct digest *d);
/** digest_update() - add @len bytes. */
void digest_update(struct digest *d, const void *p, size_t len);
/** digest_final() - finish; @d must be initialised again before its next use. */
void digest_final(struct digest *d, unsigned char out[DIGEST_SHA256_LEN]);
/** digest_final_hex() - finish as 64 lower-case hex digits and a NUL. */
void digest_final_hex(struct digest *d, char out[DIGEST_SHA256_HEX + 1]);
/** digest_sha256() - one shot. Return: 0. */
int digest_sha256(const void *p, size_t len, unsigned char out[DIGEST_SHA256_LEN]);
/** digest_sha256_hex() - one shot, as hex. */
void digest_sha256_hex(const void *p, size_t len, char out[DIGEST_SHA256_HEX + 1]);
