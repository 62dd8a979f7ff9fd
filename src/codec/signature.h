/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures by a public key, over libcrypto: ECDSA on the NIST curves and RSA (PKCS #1 v1.5) with SHA-256, Ed25519. Unlike digest.h this is the library's
 * high-level side with its default provider; no configuration file of it is read, so that nobody's openssl.cnf decides what is verified.
 */
#pragma once

#include "base/err.h"

struct public_key;
/** public_key_parse() - PEM "PUBLIC KEY" (SubjectPublicKeyInfo), one, nothing else beside it but blanks. RSA has 2048 bits at least. *@ret: owned. ERR_INVALID
 *  says what it is instead; ERR_UNSUPPORTED for other kinds of key. */
int public_key_parse(const char *pem, size_t len, struct public_key **ret, struct err *err);
/** public_key_free() - takes NULL. Return: NULL. */
struct public_key *public_key_free(struct public_key *k);
void public_key_freep(struct public_key **k);
#define _cleanup_public_key_ _cleanup_(public_key_freep)
/** public_key_verify() - is @sig (DER for ECDSA) @k's over the @len bytes at @data? Return: 1, 0, -ENOMEM. */
int public_key_verify(const struct public_key *k, const void *data, size_t len, const void *sig, size_t sig_len);
