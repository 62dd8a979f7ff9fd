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
