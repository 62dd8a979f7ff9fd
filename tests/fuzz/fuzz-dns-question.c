/* SPDX-License-Identifier: Apache-2.0 */
/* A packet of a container's, on its way through everything that looks at it: parse, answer, forward. */
#include <stdint.h>
#include <string.h>

#include "dns/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DNS_ANSWER_FUZZ_MAX 4096
#define ID "1111111111111111111111111111111111111111111111111111111111111111"

static struct dns_member *world(struct dns_state *st)
{
	char text[] = "tell " ID " web\nnetwork " ID " net external\naddress 10.0.0.2\naddress fd00::2\nname web\nname all\n";
	struct dns_told t = {0};
	struct dns_member *m = NULL;
	if (dns_state_init(st) < 0 || dns_told_parse(text, &t) < 0 || dns_state_tell(st, &t, &m) < 0)
		abort();
	return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dns_state st;
	static struct dns_member *m;
	static struct dns_random random;
	struct dns_question q;
	uint8_t p[DNS_ANSWER_FUZZ_MAX], again[DNS_PLAIN_MAX];
	if (!m)
		m = world(&st);
	int r = dns_question_parse(data, size, &q);
	if (r < 0)
		return 0;
	size_t max = dns_udp_max(&q, sizeof(p)), n = r > 0 ? dns_refusal(&q, (unsigned) r, p, max) : dns_answer_local(&st, m, &q, &random, p, max);
	assert(n <= max);
	if (n == 0) {
		struct dns_question back;
		n = dns_forward_write(&q, q.name, 1, again);
		assert(n <= sizeof(again) && dns_question_parse(again, n, &back) == 0 && back.name_len == q.name_len && back.type == q.type);
	}
	return 0;
}
