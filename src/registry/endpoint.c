/* SPDX-License-Identifier: Apache-2.0 */
/* Where a registry is, and whom to trust there: mirrors, certs.d, what the operator named insecure. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "registry/internal.h"

enum { PEM_MAX = 4 << 20, CERTS_MAX = 100 };
static const char *const certs_dirs[] = {"/etc/coffer/certs.d", "/etc/docker/certs.d"};
static const char *const system_bundles[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"};

void registry_endpoint_done(struct endpoint *e)
{
	free(e->ca);
	free(e->cert);
	if (e->key)
		explicit_bzero(e->key, strlen(e->key));
	free(e->key);
	if (e->authorization)
		explicit_bzero(e->authorization, strlen(e->authorization));
	free(e->authorization);
	*e = (struct endpoint) {0};
}

static bool is_loopback_name(const char *name)
{
	struct in_addr a;
	return str_eq(name, "localhost") || str_eq(name, "[::1]") || (inet_pton(AF_INET, name, &a) == 1 && ntohl(a.s_addr) >> 24 == 127);
}

/* "10.0.0.0/8" of an operator holds the literal address @name. Names are not looked up: who answers for them may change. */
static bool in_net(const char *net, const char *name)
{
	char host[64];
	struct in_addr want, have;
	uint32_t bits = 32;
	const char *slash = strchr(net, '/');
	if (!slash || (size_t) (slash - net) >= sizeof(host) || parse_u32(slash + 1, &bits) < 0 || bits > 32)
		return false;
	memcpy(host, net, (size_t) (slash - net));
	host[slash - net] = '\0';
	if (inet_pton(AF_INET, host, &want) != 1 || inet_pton(AF_INET, name, &have) != 1)
		return false;
	return bits == 0 || (ntohl(want.s_addr) ^ ntohl(have.s_addr)) >> (32 - bits) == 0;
}

static bool is_insecure(const struct registry_config *cfg, const char *domain, const struct url *u)
{
	STRV_FOREACH(s, cfg->insecure)
		if (str_eq(s, domain) || str_eq(s, u->host) || str_eq(s, u->name) || in_net(s, u->name))
			return true;
	return false;
}

static int add_file(int dir, const char *name, struct strbuf *out)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(dir, name, PEM_MAX, &text);
	if (n < 0)
		return (int) n;
	strbuf_add(out, text, (size_t) n);
	strbuf_addc(out, '\n');
	explicit_bzero(text, (size_t) n);
	return strbuf_err(out);
}

static bool ends_in(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);
	return n > t && strcmp(s + n - t, tail) == 0;
}

/* One *.cert with its *.key. */
static int add_pair(int dir, const char *cert, struct strbuf *certs, struct strbuf *keys, struct err *err)
{
	char key[300];
	if (certs->len > 0)
		return 0; /* the first pair is the one that is shown */
	(void) snprintf(key, sizeof(key), "%.*s.key", (int) (strlen(cert) - strlen(".cert")), cert);
	int r = add_file(dir, cert, certs);
	if (r >= 0)
		r = add_file(dir, key, keys);
	return r < 0 ? err_sys(err, r, "certs.d: reading '%.200s' and its key", cert) : 0;
}

static int read_dir(int dirfd_consume, struct strbuf *cas, struct strbuf *certs, struct strbuf *keys, struct err *err)
{
	DIR *d = fdopendir(dirfd_consume);
	struct dirent *e;
	int r = 0, n = 0;
	if (!d) {
		(void) safe_close(dirfd_consume);
		return err_oom(err);
	}
	while (r >= 0 && (e = readdir(d)) && n++ < CERTS_MAX) {
		if (ends_in(e->d_name, ".crt"))
			r = add_file(dirfd(d), e->d_name, cas) < 0 ? err_set(err, ERR_SYSTEM, "certs.d: '%.200s' cannot be read", e->d_name) : 0;
		else if (ends_in(e->d_name, ".cert"))
			r = add_pair(dirfd(d), e->d_name, certs, keys, err);
	}
	(void) closedir(d);
	return r;
}

/* What is trusted at @domain: the system's certificates and those of certs.d/DOMAIN. */
static int read_certs(const char *domain, struct endpoint *e, struct err *err)
{
	_cleanup_strbuf_ struct strbuf cas = STRBUF_INIT(2 * PEM_MAX), certs = STRBUF_INIT(PEM_MAX), keys = STRBUF_INIT(PEM_MAX);
	const char *bundle = getenv("SSL_CERT_FILE");
	int r = 0;
	if (strchr(domain, '/') || str_eq(domain, "..") || str_eq(domain, "."))
		return 0;
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(certs_dirs); i++) {
		char path[400];
		(void) snprintf(path, sizeof(path), "%s/%.300s", certs_dirs[i], domain);
		int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0)
			r = read_dir(dir, &cas, &certs, &keys, err);
		else if (errno != ENOENT && errno != ENOTDIR)
			r = err_sys(err, -errno, "opening '%s'", path);
	}
	if (r < 0)
		return r;
	bool found = false;
	if (!str_empty(bundle)) {
		r = add_file(AT_FDCWD, bundle, &cas);
		if (r < 0)
			return err_sys(err, r, "SSL_CERT_FILE: reading '%.200s'", bundle);
	} else
		for (size_t i = 0; cas.len > 0 && !found && i < ARRAY_LEN(system_bundles); i++)
			found = add_file(AT_FDCWD, system_bundles[i], &cas) >= 0;
	e->ca = cas.len > 0 ? strbuf_steal(&cas) : NULL;
	e->cert = certs.len > 0 ? strbuf_steal(&certs) : NULL;
	e->key = keys.len > 0 ? strbuf_steal(&keys) : NULL;
	return 0;
}

int registry_endpoint_find(const struct registry_config *cfg, const char *host, struct endpoint *ret, struct err *err)
{
	char text[URL_HOST_MAX + 16];
	struct endpoint e = {0};
	if (str_format(text, sizeof(text), "https://%s/", host) < 0)
		return err_set(err, ERR_INVALID, "registry '%.100s': the name is too long", host);
	int r = url_parse(text, &e.base, err);
	if (r < 0)
		return r;
	e.insecure = is_insecure(cfg, host, &e.base);
	e.loopback = is_loopback_name(e.base.name);
	e.reach = cfg->public_only && !e.insecure ? FETCH_REACH_PUBLIC : FETCH_REACH_LOOPBACK;
	r = read_certs(host, &e, err);
	if (r < 0) {
		registry_endpoint_done(&e);
		return r;
	}
	*ret = e;
	return 0;
}

static int add_mirror(struct registry *r, const char *address, struct err *err)
{
	struct endpoint *e = &r->endpoints[r->n_endpoints];
	struct url u;
	int rc = url_parse(address, &u, err);
	if (rc < 0)
		return err_wrap(err, "mirror");
	const char *host = strstr(address, "://") + 3;
	char domain[URL_HOST_MAX];
	(void) snprintf(domain, sizeof(domain), "%.*s", (int) strcspn(host, "/"), host);
	rc = registry_endpoint_find(r->cfg, domain, e, err);
	if (rc < 0)
		return rc;
	e->mirror = true;
	e->base = u;
	if (e->base.path[strlen(e->base.path) - 1] != '/')
		(void) strncat(e->base.path, "/", sizeof(e->base.path) - strlen(e->base.path) - 1);
	e->plain = !u.https; /* the operator wrote so */
	r->n_endpoints++;
	return 0;
}

int endpoints_find(struct registry *r, struct err *err)
{
	bool hub = str_eq(r->ref.domain, "docker.io");
	size_t n = hub && r->actions == REGISTRY_PULL ? strv_len(r->cfg->mirrors) : 0;
	r->endpoints = calloc(n + 1, sizeof(*r->endpoints));
	if (!r->endpoints)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		int rc = add_mirror(r, r->cfg->mirrors[i], err);
		if (rc < 0)
			return rc;
	}
	int rc = registry_endpoint_find(r->cfg, hub ? DOCKER_HUB : r->ref.domain, &r->endpoints[r->n_endpoints], err);
	if (rc >= 0)
		r->n_endpoints++;
	return rc;
}
