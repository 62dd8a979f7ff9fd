/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the distribution API (OCI distribution-spec 1.1, docker's v2) for one repository. Knows protocols and documents' digests, nothing of
 * the store. What it promises (R17, R19): bytes are hashed before they are parsed; a pinned digest must match; credentials go to the
 * registry's own origin and to the token server that it names over TLS, never along a redirect; redirects and token servers may lead no
 * deeper into the host's networks than the registry itself lies; certificates are verified unless the operator named the
 * registry; there is no fallback to plain HTTP except on the loopback interface.
 *
 * A struct registry is shared by threads; each uses a connection of its own.
 */
#pragma once

#include <stdatomic.h>

#include "base/str.h"
#include "spec/image.h"

struct json;

/* The operator's word; all borrowed for the life of what is opened with it. */
struct registry_config {
	const char *fetch_path;       /* absolute path of coffer-fetch */
	char *const *mirrors;         /* base addresses tried before docker.io */
	char *const *insecure;        /* "host[:port]" or "net/bits": certificates are not verified, plain HTTP is spoken where TLS is not */
	const char *http_proxy, *https_proxy, *no_proxy; /* NULL: none */
	bool public_only;             /* for strangers: no registry on private, loopback or link-local addresses that is not in @insecure */
};
/* A caller's credentials for one registry; owned by the caller. */
struct registry_auth {
	char *username, *password, *identity_token, *registry_token; /* owned; NULL or "": none */
	char *server;                 /* owned; as login wrote it */
};
void registry_auth_done(struct registry_auth *a);
/** registry_auth_parse() - of X-Registry-Auth: base64 of JSON. What cannot be read is no credentials, as docker has it. */
int registry_auth_parse(const char *header, struct registry_auth *ret, struct err *err);

enum registry_actions { REGISTRY_PULL = 1, REGISTRY_PUSH = 2 };
struct registry;
struct registry_conn;
/** registry_open() - nothing is asked yet. @ref: copied (its domain and path). @auth: copied. @cancel: borrowed, see fetch.h. */
int registry_open(const struct registry_config *cfg, const struct image_ref *ref, const struct registry_auth *auth, unsigned actions,
		  const atomic_bool *cancel, struct registry **ret, struct err *err);
/** registry_lenders() - repositories that blobs may be mounted from: a token is asked for that may read them. @paths: borrowed strv, for the life of @r; NULL: none. */
void registry_lenders(struct registry *r, char *const *paths);
struct registry *registry_close(struct registry *r);
/** registry_connect() - a connection for one thread; NULL when out of memory. */
struct registry_conn *registry_connect(struct registry *r);
struct registry_conn *registry_disconnect(struct registry_conn *c);
void registry_disconnectp(struct registry_conn **c);

struct registry_document {
	char *text; /* owned */
	size_t len;
	char digest[DIGEST_TEXT_MAX]; /* of the text */
	char media_type[160];
};
void registry_document_done(struct registry_document *d);
/** registry_manifest() - manifest or index by tag or digest (then it must have it). Tries the mirrors first. ERR_NOT_FOUND in docker's words when
 *  there is none or it may not be seen; ERR_UNAUTHORIZED; ERR_CORRUPT. */
int registry_manifest(struct registry_conn *c, const char *tag_or_digest, struct registry_document *ret, struct err *err);
/* Signatures found beside an image. */
struct registry_signature {
	char *payload; /* owned; as the digest in their manifest says, and no more is known of them */
	size_t len;
	char *signature; /* owned */
};
struct registry_signatures {
	struct registry_signature *v; /* owned */
	size_t n;
};
void registry_signatures_done(struct registry_signatures *s);
/** registry_signatures() - append those of the manifest or index @digest to @s: by the tag "sha256-HEX.sig", else by referrers. That there are none is no error. */
int registry_signatures(struct registry_conn *c, const char *digest, struct registry_signatures *s, struct err *err);
/** registry_tags() - every tag. *@ret: owned strv. */
int registry_tags(struct registry_conn *c, char ***ret, struct err *err);

/* Where a blob goes. Both return 0 or an error. */
struct registry_sink {
	int (*write)(void *ctx, const void *p, size_t n, struct err *err);
	void *ctx;
};
/** registry_blob() - bytes from @offset to @size of a blob; takes up where a connection broke, a bounded number of times. The caller hashes. */
int registry_blob(struct registry_conn *c, const char *digest, uint64_t size, uint64_t offset, const struct registry_sink *sink, struct err *err);

/** registry_blob_exists() - Return: 1, 0, ERR_*. */
int registry_blob_exists(struct registry_conn *c, const char *digest, struct err *err);
/** registry_blob_mount() - have the registry take @digest over from repository @from. Return: 1 done; 0 it must be uploaded. */
int registry_blob_mount(struct registry_conn *c, const char *digest, const char *from, struct err *err);
struct registry_progress {
	void (*fn)(void *ctx, uint64_t current);
	void *ctx;
};
/** registry_upload() - the file @fd of @size bytes as blob @digest, in pieces; takes up where it broke off as far as the registry says. */
int registry_upload(struct registry_conn *c, const char *digest, int fd, uint64_t size, const struct registry_progress *p, struct err *err);
/** registry_put_manifest() - @text as @tag_or_digest. */
int registry_put_manifest(struct registry_conn *c, const char *tag_or_digest, const char *media_type, const char *text, size_t len, struct err *err);
/** registry_login() - are the credentials good for registry @server ("https://index.docker.io/v1/", "host:port")? *@ret_token: owned identity token, "" when there
 *  is none. ERR_UNAUTHORIZED. */
int registry_login(const struct registry_config *cfg, const char *server, const struct registry_auth *auth, char **ret_token, struct err *err);

struct registry_result {
	char *name, *description; /* owned; a line of plain text each */
	uint32_t stars;
	bool official;
};
struct registry_results {
	struct registry_result *v; /* owned */
	size_t n;
};
void registry_results_done(struct registry_results *s);
/** registry_search() - repositories that match @term, at the registry that it begins with or at Docker Hub. *@ret: to be released in every case. ERR_UNSUPPORTED where
 *  there is no search. */
int registry_search(const struct registry_config *cfg, const char *term, unsigned limit, const struct registry_auth *auth, struct registry_results *ret, struct err *err);
