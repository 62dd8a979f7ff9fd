/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signature policy where images come in: pull, load, import. It is read each time, so that a change needs no restart; one that cannot be read lets
 * nothing in. There being no file at the usual place means that nothing is asked for, as with docker.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "engine/internal.h"
#include "registry/registry.h"
#include "trust/verdict.h"

#define POLICY_PATH "/etc/containers/policy.json"

/* Nothing is there, not even a link that leads nowhere. */
static bool is_absent(const char *path)
{
	struct stat st;
	return fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* *@ret: owned; NULL: there is none. */
static int read_policy(const struct engine *e, struct trust_policy **ret, struct err *err)
{
	const char *path = e->signature_policy[0] ? e->signature_policy : POLICY_PATH;
	_cleanup_free_ char *text = NULL;
	struct err why = {0};
	ssize_t n = read_file(AT_FDCWD, path, TRUST_POLICY_MAX, &text);
	if (n == -ENOENT && !e->signature_policy[0] && is_absent(path)) {
		*ret = NULL;
		return 0;
	}
	int r = n < 0 ? err_sys(&why, (int) n, "reading '%.200s'", path) : trust_policy_parse(text, (size_t) n, path, ret, &why);
	return r < 0 ? err_set(err, ERR_DENIED, "the signature policy cannot be read, and so no image may come in: %.400s", why.msg) : 0;
}

/* Those beside the image, and where it came by an index those beside its own manifest, too. */
static int fetch_signatures(struct registry_conn *conn, const char *const digests[2], struct registry_signatures *s, struct err *err)
{
	int r = registry_signatures(conn, digests[0], s, err);
	return r < 0 || !digests[1] ? r : registry_signatures(conn, digests[1], s, err);
}

int trust_check_pull(struct engine *e, struct registry_conn *conn, const struct image_ref *ref, const char *digest, const char *manifest, struct err *err)
{
	_cleanup_trust_policy_ struct trust_policy *p = NULL;
	struct trust_image image = {.ref = ref, .digests = {digest, manifest}};
	struct registry_signatures found = {NULL};
	struct trust_signature *v = NULL;
	int r = read_policy(e, &p, err);
	if (r < 0 || !p)
		return r;
	const struct policy_scope *scope = trust_policy_registry(p, ref);
	if (!scope)
		return err_oom(err);
	if (trust_wants_signatures(scope))
		r = fetch_signatures(conn, image.digests, &found, err);
	if (r >= 0 && !(v = calloc(MAX(found.n, (size_t) 1), sizeof(*v))))
		r = err_oom(err);
	for (size_t i = 0; r >= 0 && i < found.n; i++)
		v[i] = (struct trust_signature) {found.v[i].payload, found.v[i].len, found.v[i].signature};
	image.signatures = v;
	image.n_signatures = found.n;
	r = r < 0 ? r : trust_verdict(scope, &image, err);
	free(v);
	registry_signatures_done(&found);
	return r;
}

int engine_archive_check(struct engine *e, const char *kind, struct err *err)
{
	_cleanup_trust_policy_ struct trust_policy *p = NULL;
	const struct policy_scope *scope = NULL;
	const struct trust_image image = {NULL};
	int r = read_policy(e, &p, err);
	if (r < 0 || !p)
		return r;
	r = trust_policy_archive(p, kind, &scope, err);
	return r < 0 ? r : trust_verdict(scope, &image, err);
}
