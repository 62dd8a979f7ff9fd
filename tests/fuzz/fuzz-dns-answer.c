/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody answers in a resolver's place to "wEb.example A"; the input is what follows id and flags. */
#include <stdint.h>
#include <string.h>

#include "dns/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_question q = {.id = 7, .flags = DNS_RD, .type = DNS_TYPE_A, .class = DNS_CLASS_IN, .udp_size = size & 1 ? 1232 : 0};
	uint8_t name[DNS_WIRE_NAME_MAX];
	size_t len = 0;
	if (size > DNS_MESSAGE_MAX - 4)
		return 0;
	q.name_len = (uint8_t) dns_name_wire("web.example", q.name);
	(void) dns_name_wire("wEb.example", name);
	uint8_t *p = malloc(4 + size); /* exact, for the sanitizer */
	if (!p)
		return 0;
	memcpy(p, "\x42\x42\x81\x80", 4);
	memcpy(p + 4, data, size);
	enum dns_check c = dns_forward_check(&q, name, 0x4242, p, 4 + size, &len);
	if (c == DNS_CHECK_OK || c == DNS_CHECK_CASE) {
		assert(len <= 4 + size && len >= DNS_HEADER);
		uint8_t whole[DNS_MESSAGE_MAX + DNS_PLAIN_MAX];
		memcpy(whole, p, len);
		assert(dns_forward_finish(&q, whole, len, DNS_PLAIN_MAX) <= DNS_PLAIN_MAX);
	}
	free(p);
	return 0;
}
