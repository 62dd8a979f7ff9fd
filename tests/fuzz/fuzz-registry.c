/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry says in its headers: challenges, addresses, base64; what it finds, and its manifests of signatures. Nothing that is taken holds what a request line could be broken with. */
#include "base/base64.h"
#include "registry/answers.h"
#include "registry/challenge.h"
#include "registry/registry.h"
#include "registry/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_url(const char *text)
{
	struct url u, again, base;
	char out[URL_MAX + URL_HOST_MAX + 16];
	if (url_parse(text, &u, NULL) >= 0) {
		assert(u.path[0] == '/' && str_is_plain(u.path) && !strchr(u.path, ' ') && !strchr(u.host, '@') && !strchr(u.host, '/'));
		assert(url_text(&u, out) == 0 && url_parse(out, &again, NULL) >= 0 && url_same_origin(&u, &again) && str_eq(u.path, again.path));
	}
	assert(url_parse("https://registry.example/v2/", &base, NULL) >= 0);
	if (url_resolve(&base, text, &u, NULL) >= 0)
		assert(u.path[0] == '/' && str_is_plain(u.path));
}

static void try_answers(const char *text, size_t size)
{
	struct registry_results results;
	struct signature_layers layers;
	struct err err = {0};
	if (registry_results_parse(text, size, &results, &err) >= 0)
		for (size_t i = 0; i < results.n; i++)
			assert(str_is_plain(results.v[i].name) && str_is_plain(results.v[i].description));
	registry_results_done(&results);
	if (signature_layers_parse(text, size, &layers, &err) >= 0)
		for (size_t i = 0; i < layers.n; i++)
			assert(digest_is_valid(layers.v[i].digest) && layers.v[i].size > 0 && layers.v[i].signature[0]);
	signature_layers_done(&layers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[16384];
	struct challenge c;
	struct registry_auth a;
	struct err err = {0};
	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (challenge_parse(text, &c, &err) < 0)
		assert(err.kind == ERR_CORRUPT);
	try_url(text);
	try_answers((const char *) data, size);
	assert(registry_auth_parse(text, &a, NULL) >= 0);
	registry_auth_done(&a);
	return 0;
}
