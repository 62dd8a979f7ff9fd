/* SPDX-License-Identifier: Apache-2.0 */
/* What is written to a registry: blobs (asked for, mounted from another repository, or uploaded in pieces), manifests. And login. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/num.h"
#include "registry/internal.h"

enum { PIECE_BYTES = 16 << 20, ANSWER_MAX = 1 << 20, SECONDS = 120, UPLOAD_SECONDS = 3600 };

static int path_of(const struct registry_conn *c, char *path, size_t size, const char *kind, const char *rest, struct err *err)
{
	return str_format(path, size, "%s/%s/%s", c->reg->ref.path, kind, rest) < 0 ? err_set(err, ERR_INVALID, "a name that is too long") : 0;
}

/* Pushes go to the registry itself, never to a mirror. */
static int use_own(struct registry_conn *c, struct err *err)
{
	return session_use(c, c->reg->n_endpoints - 1, err);
}

int registry_blob_exists(struct registry_conn *c, const char *digest, struct err *err)
{
	char path[600];
	const struct exchange x = {.method = FETCH_HEAD_ONLY, .path = path, .body_fd = -EBADF, .answer_max = ANSWER_MAX, .follow = true, .total_s = SECONDS};
	int r = use_own(c, err);
	r = r < 0 ? r : path_of(c, path, sizeof(path), "blobs", digest, err);
	int status = r < 0 ? r : session_request(c, &x, err);
	if (status < 0 || status == 200 || status == 404)
		return status < 0 ? status : status == 200;
	return session_refused(c, status, "blob", err);
}

int registry_blob_mount(struct registry_conn *c, const char *digest, const char *from, struct err *err)
{
	char path[1200], rest[600];
	const struct exchange x = {.method = FETCH_POST, .path = path, .body_fd = -EBADF, .answer_max = ANSWER_MAX, .total_s = SECONDS};
	int r = use_own(c, err);
	if (r < 0 || (r = str_format(rest, sizeof(rest), "uploads/?mount=%s&from=%s", digest, from)) < 0 || (r = path_of(c, path, sizeof(path), "blobs", rest, err)) < 0)
		return r;
	int status = session_request(c, &x, err);
	return status < 0 ? status : status == 201; /* else it was not let, or does not know how: the upload that may have begun is left to expire */
}

/* Where the upload goes on: the registry's word, held to what a redirect is held to. */
static int next_address(struct registry_conn *c, struct url *u, struct err *err)
{
	const char *location = fetch_head(c->fetcher)->location;
	return *location ? session_resolve(c, &c->at->base, location, u, err) : err_set(err, ERR_CORRUPT, "the registry named no address to upload to");
}

static int begin_upload(struct registry_conn *c, struct url *ret, struct err *err)
{
	char path[600];
	const struct exchange x = {.method = FETCH_POST, .path = path, .body_fd = -EBADF, .answer_max = ANSWER_MAX, .total_s = SECONDS};
	int r = path_of(c, path, sizeof(path), "blobs", "uploads/", err);
	int status = r < 0 ? r : session_request(c, &x, err);
	if (status < 0)
		return status;
	return status == 202 ? next_address(c, ret, err) : session_refused(c, status, "upload", err);
}

/* "Range: 0-99": the registry has 100 bytes. */
static int read_range(const char *range, uint64_t size, uint64_t *ret, struct err *err)
{
	const char *dash = strchr(range, '-');
	uint64_t last;
	if (!*range || str_eq(range, "0-0") || !dash) /* says "nothing yet" and "one byte" alike: nothing is safe */
		*ret = 0;
	else if (parse_u64(dash + 1, &last) < 0 || last >= size)
		return err_set(err, ERR_CORRUPT, "the registry says it has more of the upload than there is");
	else
		*ret = last + 1;
	return 0;
}

/* How far did it get before the network broke? */
static int ask_progress(struct registry_conn *c, struct url *at, uint64_t size, uint64_t *ret, struct err *err)
{
	const struct exchange x = {.method = FETCH_GET, .url = at, .body_fd = -EBADF, .answer_max = ANSWER_MAX, .total_s = SECONDS};
	int status = session_request(c, &x, err);
	if (status < 0)
		return status;
	if (status != 204 && status != 202)
		return session_refused(c, status, "upload", err);
	char range[128];
	(void) str_copy(range, sizeof(range), fetch_head(c->fetcher)->range);
	int r = *fetch_head(c->fetcher)->location ? next_address(c, at, err) : 0;
	return r < 0 ? r : read_range(range, size, ret, err);
}

struct upload {
	struct registry_conn *c;
	struct url at;
	int fd;
	uint64_t sent, size;
};

/* Return: 0; ERR_*, *@ret_net when another try may help. */
static int send_piece(struct upload *u, bool *ret_net, struct err *err)
{
	char headers[160];
	uint64_t n = MIN(u->size - u->sent, (uint64_t) PIECE_BYTES);
	(void) snprintf(headers, sizeof(headers), "Content-Type: application/octet-stream\nContent-Range: %llu-%llu\n", (unsigned long long) u->sent,
			(unsigned long long) (u->sent + n - 1));
	const struct exchange x = {.method = FETCH_PATCH, .url = &u->at, .headers = headers, .body_fd = u->fd, .body_offset = u->sent, .body_len = n,
		.answer_max = ANSWER_MAX, .total_s = UPLOAD_SECONDS};
	int status = session_request(u->c, &x, err);
	*ret_net = status < 0 && status != -ECANCELED && fetch_failure(u->c->fetcher) == FETCH_FAIL_RETRY;
	if (status < 0)
		return status;
	if (status != 202)
		return session_refused(u->c, status, "upload", err);
	int r = next_address(u->c, &u->at, err);
	if (r >= 0)
		u->sent += n;
	return r;
}

static int finish_upload(struct upload *u, const char *digest, struct err *err)
{
	size_t n = strlen(u->at.path);
	if (str_format(u->at.path + n, sizeof(u->at.path) - n, "%cdigest=%s", strchr(u->at.path, '?') ? '&' : '?', digest) < 0)
		return err_set(err, ERR_INVALID, "an address that is too long");
	const struct exchange x = {.method = FETCH_PUT, .url = &u->at, .headers = "Content-Type: application/octet-stream\n", .body_fd = -EBADF, .answer_max = ANSWER_MAX,
		.total_s = UPLOAD_SECONDS};
	int status = session_request(u->c, &x, err);
	if (status < 0)
		return status;
	return status == 201 || status == 204 ? 0 : session_refused(u->c, status, "upload", err);
}

int registry_upload(struct registry_conn *c, const char *digest, int fd, uint64_t size, const struct registry_progress *p, struct err *err)
{
	struct upload u = {.c = c, .fd = fd, .size = size};
	int r = use_own(c, err);
	r = r < 0 ? r : begin_upload(c, &u.at, err);
	for (int tries = 0; r >= 0 && u.sent < size;) {
		bool net = false;
		r = send_piece(&u, &net, err);
		if (r >= 0 && p)
			p->fn(p->ctx, u.sent);
		if (r >= 0 || !net || ++tries >= TRIES_MAX)
			continue;
		r = session_pause(c->reg, 200u << tries, err);
		r = r < 0 ? r : ask_progress(c, &u.at, size, &u.sent, err);
	}
	fault_mark("registry.push.sent");
	r = r < 0 ? r : finish_upload(&u, digest, err);
	return r < 0 && r != -ECANCELED ? err_wrap(err, "blob %s", digest) : r;
}

int registry_put_manifest(struct registry_conn *c, const char *reference, const char *media_type, const char *text, size_t len, struct err *err)
{
	char path[600], headers[300];
	_cleanup_close_ int fd = memfd_create("manifest", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : write_all(fd, text, len);
	if (r < 0)
		return err_sys(err, r, "preparing a request");
	r = use_own(c, err);
	r = r < 0 ? r : path_of(c, path, sizeof(path), "manifests", reference, err);
	r = r < 0 ? r : fault_point("registry.push.manifest", err);
	if (r < 0)
		return r;
	(void) snprintf(headers, sizeof(headers), "Content-Type: %.200s\n", media_type);
	const struct exchange x = {.method = FETCH_PUT, .path = path, .headers = headers, .body_fd = fd, .body_len = len, .answer_max = ANSWER_MAX, .total_s = SECONDS};
	int status = session_request(c, &x, err);
	if (status < 0)
		return status;
	return status == 201 || status == 200 ? 0 : session_refused(c, status, "manifest", err);
}

/* "https://index.docker.io/v1/", "host:port", "https://host/": the domain that images of it have. */
static void domain_of(const char *server, char *out, size_t size)
{
	const char *s = str_after(server, "https://");
	s = s ? s : str_after(server, "http://");
	s = s ? s : server;
	(void) snprintf(out, size, "%.*s", (int) strcspn(s, "/"), s);
	if (str_eq(out, "index.docker.io") || !*out)
		(void) str_copy(out, size, "docker.io");
}

int registry_login(const struct registry_config *cfg, const char *server, const struct registry_auth *auth, char **ret_token, struct err *err)
{
	char domain[URL_HOST_MAX];
	struct registry *reg = NULL;
	domain_of(server, domain, sizeof(domain));
	const struct image_ref ref = {.domain = domain};
	const struct exchange x = {.method = FETCH_GET, .path = "", .body_fd = -EBADF, .answer_max = ANSWER_MAX, .total_s = SECONDS};
	int r = registry_open(cfg, &ref, auth, REGISTRY_PUSH, NULL, &reg, err);
	struct registry_conn *c = r < 0 ? NULL : registry_connect(reg);
	r = r < 0 ? r : c ? use_own(c, err) : err_oom(err);
	int status = r < 0 ? r : session_request(c, &x, err);
	if (status == 401)
		r = err_set(err, ERR_UNAUTHORIZED, "login to '%s' failed: unauthorized: incorrect username or password", domain);
	else if (status >= 0 && status != 200)
		r = session_refused(c, status, "login", err);
	else
		r = MIN(status, 0);
	(void) registry_disconnect(c);
	if (r >= 0) {
		*ret_token = reg->identity ? take_ptr(reg->identity) : strdup("");
		r = *ret_token ? 0 : err_oom(err);
	}
	(void) registry_close(reg);
	return r;
}
