/* SPDX-License-Identifier: Apache-2.0 */
/* A message to the name server: what is taken holds words and ids only. */
#include <stdint.h>
#include <string.h>

#include "dns/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_told t = {0};
	char *text = strndup((const char *) data, size);
	if (text && dns_told_parse(text, &t) == 0) {
		assert(t.verb == DNS_VERB_TELL || t.n_stays + t.n_links + t.n_servers == 0);
		assert(t.verb != DNS_VERB_TELL || (dns_word_ok(t.name) && id_is_full(t.id)));
		for (size_t i = 0; i < t.n_stays; i++) {
			assert(id_is_full(t.stays[i].id) && dns_word_ok(t.stays[i].name) && strv_len(t.stays[i].names) <= DNS_NAMES_MAX);
			STRV_FOREACH(name, t.stays[i].names)
				assert(dns_word_ok(name));
		}
	}
	dns_told_done(&t);
	free(text);
	return 0;
}
