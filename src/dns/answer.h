/* SPDX-License-Identifier: Apache-2.0 */
/* What is answered without asking anybody. */
#pragma once

#include "dns/message.h"
#include "dns/random.h"
#include "dns/state.h"

#define DNS_TTL 5 /* seconds; a container that is started again has another address */

/** dns_answer_local() - answer @q of container @m into @p[@max] (max >= DNS_PLAIN_MAX). Return: length; 0: it is for the resolvers. */
size_t dns_answer_local(const struct dns_state *st, const struct dns_member *m, const struct dns_question *q, struct dns_random *random, uint8_t *p, size_t max);
