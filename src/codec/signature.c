/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/signature.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/str.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 16384, PEM_MAX = 64 << 10 };

static EVP_PKEY *pkey(const struct public_key *k)
{
	return (EVP_PKEY *) (void *) k; /* struct public_key is this and nothing else */
}

struct public_key *public_key_free(struct public_key *k)
{
	EVP_PKEY_free(pkey(k));
	return NULL;
}

void public_key_freep(struct public_key **k)
{
	*k = public_key_free(*k);
}

/* One block, and blanks around it: a second key that is never looked at would mislead its owner. */
static bool is_alone(const char *pem, size_t len)
{
	static const char begin[] = "-----BEGIN PUBLIC KEY-----", end[] = "-----END PUBLIC KEY-----";
	const char *e = memmem(pem, len, end, sizeof(end) - 1);
	while (len > 0 && isspace((unsigned char) *pem)) {
		pem++;
		len--;
	}
	if (!e || len < sizeof(begin) || memcmp(pem, begin, sizeof(begin) - 1) != 0)
		return false;
	for (const char *p = e + sizeof(end) - 1; p < pem + len; p++)
		if (!isspace((unsigned char) *p))
			return false;
	return true;
}

static int check_kind(EVP_PKEY *k, struct err *err)
{
	char group[40] = "";
	int bits = EVP_PKEY_get_bits(k);
	switch (EVP_PKEY_get_base_id(k)) {
	case EVP_PKEY_ED25519:
		return 0;
	case EVP_PKEY_RSA:
		return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? 0 : err_set(err, ERR_UNSUPPORTED, "an RSA key of %d bits: %d to %d are taken", bits, RSA_BITS_MIN, RSA_BITS_MAX);
	case EVP_PKEY_EC:
		if (EVP_PKEY_get_group_name(k, group, sizeof(group), NULL) == 1 && (str_eq(group, "prime256v1") || str_eq(group, "secp384r1") || str_eq(group, "secp521r1")))
			return 0;
		return err_set(err, ERR_UNSUPPORTED, "an elliptic curve that is none of P-256, P-384 and P-521");
	default:
		return err_set(err, ERR_UNSUPPORTED, "a key that is neither ECDSA, Ed25519 nor RSA");
	}
}

int public_key_parse(const char *pem, size_t len, struct public_key **ret, struct err *err)
{
	if (len > PEM_MAX || !is_alone(pem, len))
		return err_set(err, ERR_INVALID, "not one public key in PEM form (-----BEGIN PUBLIC KEY-----)");
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		return err_set(err, ERR_SYSTEM, "libcrypto does not start");
	BIO *in = BIO_new_mem_buf(pem, (int) len);
	if (!in)
		return err_oom(err);
	EVP_PKEY *k = PEM_read_bio_PUBKEY(in, NULL, NULL, NULL);
	(void) BIO_free(in);
	ERR_clear_error();
	if (!k)
		return err_set(err, ERR_INVALID, "a public key in PEM form that cannot be read");
	int r = check_kind(k, err);
	if (r < 0) {
		EVP_PKEY_free(k);
		return r;
	}
	*ret = (struct public_key *) (void *) k;
	return 0;
}

int public_key_verify(const struct public_key *k, const void *data, size_t len, const void *sig, size_t sig_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!ctx)
		return -ENOMEM;
	const EVP_MD *md = EVP_PKEY_get_base_id(pkey(k)) == EVP_PKEY_ED25519 ? NULL : EVP_sha256(); /* Ed25519 hashes by itself */
	bool ok = EVP_DigestVerifyInit(ctx, NULL, md, NULL, pkey(k)) == 1 && EVP_DigestVerify(ctx, sig, sig_len, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error(); /* a signature that is none leaves its reasons in the thread's queue */
	return ok;
}
