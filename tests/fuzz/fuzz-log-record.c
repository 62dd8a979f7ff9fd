/* SPDX-License-Identifier: Apache-2.0 */
/* Both formats of logs on whatever a file holds: a record lies inside its frame, its text inside its bounds. The first byte chooses. */
#include "engine/log_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct log_kind *k = log_kind_of(data[0] & 1 ? "local" : "json-file");
	const char *p = (const char *) data + 1;
	struct strbuf scratch = STRBUF_INIT(4 * LOG_RECORD_MAX);
	for (size_t left = size - 1; left > 0;) {
		struct logs_record r = {.attrs = ""};
		size_t skip, len;
		ssize_t n = k->frame(p, left, &skip, &len);
		if (n <= 0)
			break;
		assert((size_t) n <= left && skip + len <= (size_t) n);
		if (k->parse(p + skip, len, &scratch, &r) == 0) {
			assert(r.stream == 1 || r.stream == 2);
			assert(r.len <= 4 * LOG_RECORD_MAX && (r.len == 0 || r.text[r.len - 1] || !r.text[r.len - 1]));
			assert(strlen(r.attrs) <= 4 * LOG_RECORD_MAX);
		}
		p += n;
		left -= (size_t) n;
	}
	strbuf_done(&scratch);
	return 0;
}
