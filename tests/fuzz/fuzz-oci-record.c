/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's state file: what is read is what is written, and no record lets a pid or an id through that is none. */
#include "oci/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record *a = NULL, *b = NULL;
	struct err err;
	struct strbuf first = STRBUF_INIT(4 * RECORD_BYTES_MAX), second = STRBUF_INIT(4 * RECORD_BYTES_MAX);
	if (record_parse((const char *) data, size, &a, &err) < 0)
		return 0;
	assert(a->pid > 0 && container_id_check(a->id, NULL) == 0 && a->bundle[0] == '/' && a->rootfs[0] == '/' && a->cgroup_path && a->oci_version);
	assert(record_write(a, &first, &err) == 0);
	if (first.len <= RECORD_BYTES_MAX) {
		assert(record_parse(first.s, first.len, &b, &err) == 0);
		assert(record_write(b, &second, &err) == 0);
		assert(first.len == second.len && memcmp(first.s, second.s, first.len) == 0);
	}
	(void) record_free(a);
	(void) record_free(b);
	strbuf_done(&first);
	strbuf_done(&second);
	return 0;
}
