/* SPDX-License-Identifier: Apache-2.0 */
/* What a signature says of the image's name, held against what the policy wants it to say. Names are compared in full. */
#include "trust/verdict.h"

/* Name, and name with tag or digest, of what was asked for. Owned. */
struct names {
	char *repository, *full; /* full: NULL when there is neither tag nor digest */
	bool tagged;
};

static void names_done(struct names *n)
{
	free(n->repository);
	free(n->full);
}

/* "a/b/c:tag" into its repository: does it have a tag or digest? */
static bool split(char *reference)
{
	char *at = strchr(reference, '@'), *slash = strrchr(reference, '/'), *colon = strrchr(slash ? slash : reference, ':');
	char *end = at ? at : colon;
	if (end)
		*end = '\0';
	return end != NULL;
}

/* A payload may name the hub's images without the host, and a repository alone. */
static bool read_signed(const char *text, struct names *n)
{
	struct image_ref ref = {0};
	_cleanup_free_ char *bare = strdup(text);
	if (!bare || image_ref_parse(text, &ref, NULL) < 0)
		return false;
	n->tagged = split(bare);
	n->repository = str_printf("%s/%s", ref.domain, ref.path);
	n->full = n->tagged ? image_ref_full(&ref) : NULL;
	image_ref_done(&ref);
	return n->repository && (!n->tagged || n->full);
}

/* As pulled: a digest goes first, as everywhere. */
static bool name_image(const struct image_ref *ref, const struct signed_identity *id, struct names *n)
{
	_cleanup_free_ char *name = str_printf("%s/%s", ref->domain, ref->path);
	const char *rest = name && id->match == IDENTITY_REMAP ? str_after(name, id->prefix) : NULL;
	if (!name)
		return false;
	n->repository = rest && (!*rest || *rest == '/') ? str_printf("%s%s", id->signed_prefix, rest) : strdup(name);
	n->tagged = !ref->digest;
	n->full = n->repository ? str_printf("%s%c%s", n->repository, n->tagged ? ':' : '@', n->tagged ? ref->tag : ref->digest) : NULL;
	return n->full;
}

static bool matches(const struct signed_identity *id, const struct names *have, const struct names *image)
{
	switch (id->match) {
	case IDENTITY_EXACT:
		return have->full && str_eq(have->full, image->full);
	case IDENTITY_REPO_DIGEST_OR_EXACT:
	case IDENTITY_REMAP:
		return image->tagged ? have->full && str_eq(have->full, image->full) : str_eq(have->repository, image->repository);
	case IDENTITY_REPOSITORY:
		return str_eq(have->repository, image->repository);
	case IDENTITY_EXACT_REFERENCE:
		return have->full && str_eq(have->full, id->name);
	case IDENTITY_EXACT_REPOSITORY:
		return str_eq(have->repository, id->name);
	default:
		return false;
	}
}

bool trust_identity_matches(const struct signed_identity *id, const struct image_ref *ref, const char *reference)
{
	struct names have = {NULL}, image = {NULL};
	bool yes = read_signed(reference, &have) && name_image(ref, id, &image) && matches(id, &have, &image);
	names_done(&have);
	names_done(&image);
	return yes;
}
