/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED 1 /* the block functions are what we want, see digest.h */
#include "codec/digest.h"

#include <openssl/sha.h>

#include "base/id.h"

static_assert(sizeof(SHA256_CTX) <= sizeof(((struct digest *) 0)->state), "the context fits");
static_assert(SHA256_DIGEST_LENGTH == DIGEST_SHA256_LEN, "32 bytes");

static SHA256_CTX *ctx(struct digest *d)
{
	return (SHA256_CTX *) (void *) d->state;
}

void digest_init(struct digest *d)
{
	d->bytes = 0;
	int ok = SHA256_Init(ctx(d));
	assert(ok == 1);
}

void digest_update(struct digest *d, const void *p, size_t len)
{
	if (len == 0)
		return;
	int ok = SHA256_Update(ctx(d), p, len);
	assert(ok == 1);
	d->bytes += len;
}

void digest_final(struct digest *d, unsigned char out[DIGEST_SHA256_LEN])
{
	int ok = SHA256_Final(out, ctx(d));
	assert(ok == 1);
}

void digest_final_hex(struct digest *d, char out[DIGEST_SHA256_HEX + 1])
{
	unsigned char raw[DIGEST_SHA256_LEN];
	digest_final(d, raw);
	hex_encode(raw, sizeof(raw), out);
}

int digest_sha256(const void *p, size_t len, unsigned char out[DIGEST_SHA256_LEN])
{
	struct digest d;
	digest_init(&d);
	digest_update(&d, p, len);
	digest_final(&d, out);
	return 0;
}

void digest_sha256_hex(const void *p, size_t len, char out[DIGEST_SHA256_HEX + 1])
{
	unsigned char raw[DIGEST_SHA256_LEN];
	(void) digest_sha256(p, len, raw);
	hex_encode(raw, sizeof(raw), out);
}
