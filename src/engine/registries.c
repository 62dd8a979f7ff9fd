/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's word about registries, kept for the life of the engine. */
#include "engine/internal.h"
#include "registry/registry.h"

int registries_open(const struct engine_config *cfg, struct registry_config **ret, struct err *err)
{
	struct registry_config *r = calloc(1, sizeof(*r));
	if (!r)
		return err_oom(err);
	const struct {
		const char *src;
		const char **dst;
	} texts[] = {{cfg->http_proxy, &r->http_proxy}, {cfg->https_proxy, &r->https_proxy}, {cfg->no_proxy, &r->no_proxy}};
	bool ok = strv_dup(cfg->registry_mirrors, (char ***) &r->mirrors) >= 0 && strv_dup(cfg->insecure_registries, (char ***) &r->insecure) >= 0 &&
		  (r->fetch_path = str_printf("%s/coffer-fetch", cfg->libexec_dir));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ok = ok && (str_empty(texts[i].src) || (*texts[i].dst = strdup(texts[i].src)));
	if (!ok) {
		(void) registries_free(r);
		return err_oom(err);
	}
	*ret = r;
	return 0;
}

struct registry_config *registries_free(struct registry_config *r)
{
	if (!r)
		return NULL;
	(void) strv_free((char **) r->mirrors);
	(void) strv_free((char **) r->insecure);
	free((char *) r->fetch_path);
	free((char *) r->http_proxy);
	free((char *) r->https_proxy);
	free((char *) r->no_proxy);
	free(r);
	return NULL;
}

static void write_index(struct json_writer *w, const char *name, char *const *mirrors, bool secure, bool official)
{
	jw_obj(w, name);
	jw_str(w, "Name", name);
	jw_strv(w, "Mirrors", mirrors);
	jw_bool(w, "Secure", secure);
	jw_bool(w, "Official", official);
	jw_end(w);
}

/* "http://user:password@host" as docker shows it: with neither. */
static void write_proxy(struct json_writer *w, const char *key, const char *proxy)
{
	const char *scheme = proxy ? strstr(proxy, "://") : NULL, *host = scheme ? scheme + 3 : proxy, *at = host ? strrchr(host, '@') : NULL;
	_cleanup_free_ char *masked = at ? str_printf("%.*sxxxxx:xxxxx%s", (int) (host - proxy), proxy, at) : NULL;
	jw_str(w, key, at ? masked ?: "" : proxy ?: "");
}

void registries_write(const struct engine *e, struct json_writer *w)
{
	const struct registry_config *r = e->registries;
	static const char *const local[] = {"::1/128", "127.0.0.0/8"}; /* may speak plain HTTP unasked */
	jw_obj(w, "RegistryConfig");
	jw_arr(w, "InsecureRegistryCIDRs");
	for (size_t i = 0; i < ARRAY_LEN(local); i++)
		jw_str(w, NULL, local[i]);
	STRV_FOREACH(s, r->insecure)
		if (strchr(s, '/'))
			jw_str(w, NULL, s);
	jw_end(w);
	jw_obj(w, "IndexConfigs");
	write_index(w, "docker.io", r->mirrors, /* secure= */ true, /* official= */ true);
	STRV_FOREACH(s, r->insecure)
		if (!strchr(s, '/'))
			write_index(w, s, NULL, /* secure= */ false, /* official= */ false);
	jw_end(w);
	jw_strv(w, "Mirrors", r->mirrors);
	jw_end(w);
	write_proxy(w, "HttpProxy", r->http_proxy);
	write_proxy(w, "HttpsProxy", r->https_proxy);
	jw_str(w, "NoProxy", r->no_proxy ?: "");
}
