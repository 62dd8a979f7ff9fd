/* SPDX-License-Identifier: Apache-2.0 */
/* Manifest, index and config: one input goes through all three; nothing may be two things at once. */
#include "spec/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_descriptor(const struct descriptor *d)
{
	assert(digest_is_valid(d->digest) && d->media_type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest *m = NULL;
	struct image_index *x = NULL;
	struct image_config *c = NULL;
	struct err err;
	const char *text = (const char *) data;
	bool is_manifest = manifest_parse(text, size, &m, &err) >= 0, is_index = image_index_parse(text, size, &x, &err) >= 0;
	assert(!is_manifest || !is_index);
	if (is_manifest) {
		assert(m->n_layers <= IMAGE_LAYERS_MAX);
		check_descriptor(&m->config);
		for (size_t i = 0; i < m->n_layers; i++)
			assert((check_descriptor(&m->layers[i]), layer_coding_from_media_type(m->layers[i].media_type) >= 0));
	}
	for (size_t i = 0; is_index && i < x->n; i++)
		check_descriptor(&x->manifests[i]);
	if (image_config_parse(text, size, &c, &err) >= 0) {
		assert(strv_len(c->diff_ids) <= IMAGE_LAYERS_MAX && strv_len(c->label_keys) == strv_len(c->label_values));
		STRV_FOREACH(d, c->diff_ids)
			assert(digest_is_valid(d));
	}
	(void) manifest_free(m);
	(void) image_index_free(x);
	(void) image_config_free(c);
	return 0;
}
