/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which images may come in: policy.json as struct, read as strictly as containers-policy.json(5) has it. A document that holds anything that is not known
 * is no policy at all: its reader refuses it, and whoever asked refuses the image (P5). What is known but cannot be checked here (GPG's signedBy, sigstore's
 * certificates and transparency log) is a requirement that nothing fulfils.
 */
#pragma once

#include "base/err.h"
#include "spec/image.h"

#define TRUST_POLICY_MAX (1 << 20)

/* What a signature must say of the image's name. */
enum identity_match {
	IDENTITY_REPO_DIGEST_OR_EXACT, /* pulled by tag: the same name and tag; by digest: the same repository */
	IDENTITY_EXACT,
	IDENTITY_REPOSITORY,
	IDENTITY_EXACT_REFERENCE,      /* @name, whatever the image is called here */
	IDENTITY_EXACT_REPOSITORY,     /* the same, of a repository */
	IDENTITY_REMAP,                /* as the first, with @prefix of the image's name replaced by @signed_prefix */
	IDENTITY_MATCH_MAX_,
};
struct signed_identity {
	enum identity_match match;
	char *name, *prefix, *signed_prefix; /* owned; fully expanded; NULL where the kind has none */
};
enum requirement_kind { REQUIRE_NOTHING, REQUIRE_REJECT, REQUIRE_SIGSTORE, REQUIRE_UNSUPPORTED };
struct requirement {
	enum requirement_kind kind;
	char *what;                  /* owned; UNSUPPORTED: what it asks for */
	char **key_paths, **key_texts; /* owned; SIGSTORE: PEM files, and PEM texts; any one of the keys will do */
	struct signed_identity identity;
};
/* All of @v must be fulfilled. */
struct policy_scope {
	char *transport, *name; /* owned; "docker", "registry.example/team"; both "": the default of all */
	struct requirement *v;  /* owned */
	size_t n;
};
struct trust_policy {
	struct policy_scope *scopes; /* owned; the first is the default */
	size_t n;
};

/** trust_policy_parse() - @what: names the document in errors. *@ret: owned. ERR_INVALID names the place. */
int trust_policy_parse(const char *text, size_t len, const char *what, struct trust_policy **ret, struct err *err);
struct trust_policy *trust_policy_free(struct trust_policy *p);
void trust_policy_freep(struct trust_policy **p);
#define _cleanup_trust_policy_ _cleanup_(trust_policy_freep)

/** trust_policy_registry() - what holds for the image @ref of a registry: the most specific scope of "docker": its name with digest or tag, its repository, the
 *  namespaces above it, the host, "*." and the domains above it, then "", then the default. NULL when out of memory. */
const struct policy_scope *trust_policy_registry(const struct trust_policy *p, const struct image_ref *ref);
/** trust_policy_archive() - what holds for an archive that comes as a stream, of @transport "docker-archive", "oci-archive" or "tarball". ERR_DENIED when the policy
 *  tells archives apart by their paths, since a stream has none. */
int trust_policy_archive(const struct trust_policy *p, const char *transport, const struct policy_scope **ret, struct err *err);
