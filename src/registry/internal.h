/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the registry room only: an endpoint, a session with it, one exchange. */
#pragma once

#include <pthread.h>

#include "fetch/fetch.h"
#include "registry/registry.h"
#include "registry/url.h"

#define DOCKER_HUB "registry-1.docker.io"
#define DOCUMENT_MAX (4 << 20)
#define TRIES_MAX 6
#define REDIRECTS_MAX 5

/* One way to a registry. */
struct endpoint {
	struct url base;    /* path "/" or a mirror's prefix, ending in "/" */
	bool mirror;        /* no credentials, pulls alone */
	bool insecure;      /* named by the operator */
	bool loopback;      /* by its name: plain HTTP is spoken if it is all that it speaks */
	bool plain;         /* found to speak plain HTTP, or asked for so */
	bool met;           /* it has answered before: worth waiting for */
	enum fetch_reach reach; /* the farthest its address may be; once spoken to: what it is */
	char *ca, *cert, *key; /* owned; PEM from certs.d, NULL: none */
	char *authorization;   /* owned; header value that works, NULL: none yet */
	unsigned auth_generation;
};
struct registry {
	const struct registry_config *cfg; /* borrowed */
	const atomic_bool *cancel;         /* borrowed */
	struct image_ref ref;              /* owned; domain and path */
	struct registry_auth auth;         /* owned */
	unsigned actions;
	char *const *lenders;              /* borrowed; read by the same token */
	pthread_mutex_t lock; /* what follows */
	struct endpoint *endpoints; /* owned */
	size_t n_endpoints, current; /* current: the one that works */
	char *identity;       /* owned; a token in the password's place that the token server gave, NULL: none */
};
struct registry_conn {
	struct registry *reg;     /* borrowed */
	struct endpoint *at;      /* borrowed; the endpoint of @fetcher */
	struct fetcher *fetcher;  /* owned; NULL: none yet */
};

/* One request of the distribution API. */
struct exchange {
	enum fetch_method method;
	const char *path;    /* borrowed; below "/v2/"; or @url */
	const char *root;    /* borrowed; in place of "v2/", NULL: that */
	const struct url *url; /* borrowed; an address that the registry gave (upload sessions); NULL: @path */
	const char *headers; /* borrowed; whole lines, NULL: none */
	int body_fd;
	uint64_t body_offset, body_len, answer_max;
	bool follow;         /* redirects */
	unsigned total_s;
};

/* Endpoints (endpoint.c). */
int endpoints_find(struct registry *r, struct err *err);
void registry_endpoint_done(struct endpoint *e);
/** registry_endpoint_find() - the one way to @host. */
int registry_endpoint_find(const struct registry_config *cfg, const char *host, struct endpoint *ret, struct err *err);

/** session_request() - @x at the connection's endpoint: with credentials as they are asked for, redirects, patience. The body is still to be read from
 *  the connection's fetcher. Return: the HTTP status; ERR_* when there was no answer. */
int session_request(struct registry_conn *c, const struct exchange *x, struct err *err);
/** session_use() - turn the connection to endpoint @i. */
int session_use(struct registry_conn *c, size_t i, struct err *err);
/** session_refused() - the error that status @status with the body at hand stands for. Return: its negative errno. @what: "manifest for busybox:1". */
int session_refused(struct registry_conn *c, int status, const char *what, struct err *err);
/** session_reach() - how far from the open network a connection of @c may lead, as far as is known now. */
enum fetch_reach session_reach(struct registry_conn *c);
/** session_resolve() - where @location of an answer from @base leads, if it may be gone to: over TLS, or to the plain registry's own origin, or where
 *  the operator says so. @ret may be @base. */
int session_resolve(const struct registry_conn *c, const struct url *base, const char *location, struct url *ret, struct err *err);
/** session_body() - the whole body; ERR_QUOTA over DOCUMENT_MAX. */
int session_body(struct registry_conn *c, struct strbuf *out, struct err *err);
/** session_pause() - wait @ms, or until cancelled (-ECANCELED). */
int session_pause(const struct registry *r, unsigned ms, struct err *err);

/* Credentials (auth.c). */
/** auth_answer() - get what @challenge asks for into @c->at->authorization; @generation: of the one that was refused. Return: 1 try again; ERR_UNAUTHORIZED. */
int auth_answer(struct registry_conn *c, const char *challenge, unsigned generation, struct err *err);
/** auth_realm_check() - may credentials go to @realm on the word of @e? */
int auth_realm_check(const struct registry_config *cfg, const struct endpoint *e, const struct url *realm, struct err *err);
