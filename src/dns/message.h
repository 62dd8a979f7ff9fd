/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages on the wire: what a client asks, what we answer, what a resolver answers us. Bytes come from containers and from the network: every
 * length is checked, names follow pointers backwards only, nothing allocates. Source: RFC 1035, 2181, 2308, 6891, 9619.
 */
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include "base/macro.h"

#define DNS_HEADER 12
#define DNS_WIRE_NAME_MAX 255 /* length bytes and the root label included */
#define DNS_TEXT_NAME_MAX 255 /* "a.b.c" and its NUL fit */
#define DNS_MESSAGE_MAX 65535
#define DNS_QUERY_MAX 4096    /* what we read of a question; it needs 300 bytes, and options may come along */
#define DNS_PLAIN_MAX 512     /* of an answer by UDP to who says no EDNS size */
#define DNS_EDNS_MAX 1232     /* what fits through every path unfragmented; dnsflagday.net/2020 */

enum dns_type { DNS_TYPE_A = 1, DNS_TYPE_PTR = 12, DNS_TYPE_AAAA = 28, DNS_TYPE_OPT = 41, DNS_TYPE_IXFR = 251, DNS_TYPE_AXFR = 252 };
enum dns_rcode { DNS_NOERROR, DNS_FORMERR, DNS_SERVFAIL, DNS_NXDOMAIN, DNS_NOTIMP, DNS_REFUSED, DNS_BADVERS = 16 };
enum dns_flag { DNS_QR = 0x8000, DNS_AA = 0x0400, DNS_TC = 0x0200, DNS_RD = 0x0100, DNS_RA = 0x0080, DNS_AD = 0x0020, DNS_CD = 0x0010 };
#define DNS_CLASS_IN 1

struct dns_question {
	uint16_t id, flags;    /* of the header, as sent */
	uint16_t type, class;
	uint16_t udp_size;     /* EDNS: what the client takes; 0: it does not speak EDNS */
	bool dnssec_ok;        /* EDNS DO */
	uint8_t name_len;
	uint8_t name[DNS_WIRE_NAME_MAX]; /* in the client's own case */
};

/** dns_question_parse() - read a client's message. Return: 0; an enum dns_rcode to answer (then *@ret holds what was understood: dns_refusal()); -EBADMSG
 *  when it deserves no answer (too short, or an answer itself: answering those makes loops). */
int dns_question_parse(const uint8_t *p, size_t len, struct dns_question *ret);
/** dns_name_text() - a wire name in lower case with dots and no final one ("" is the root). Return: 0; -EINVAL when a label holds a dot or anything
 *  that is not printable ASCII: no container is called so. */
int dns_name_text(const uint8_t *wire, size_t len, char ret[DNS_TEXT_NAME_MAX]);
/** dns_name_wire() - the reverse. Return: bytes written to @ret[DNS_WIRE_NAME_MAX], or -EINVAL (a label over 63 bytes, too long, empty labels). */
int dns_name_wire(const char *text, uint8_t ret[DNS_WIRE_NAME_MAX]);
/** dns_reverse_text() - "4.3.2.1.in-addr.arpa", "....ip6.arpa" -> "1.2.3.4". @ret: INET6_ADDRSTRLEN, as inet_ntop(3) writes. Return: 0, -EINVAL. */
int dns_reverse_text(const char *name, char *ret);

/* An answer that is being written. */
struct dns_writer {
	uint8_t *p;       /* borrowed */
	size_t len, max;
	size_t records;
	bool full;        /* a record did not fit: the answer is marked truncated */
};

/** dns_answer_begin() - header and question of an answer of at most @max bytes (>= DNS_PLAIN_MAX) to @q at @p. */
void dns_answer_begin(struct dns_writer *w, const struct dns_question *q, uint8_t *p, size_t max);
/** dns_answer_add() - a record that belongs to the question's name. One that does not fit is left out, as are those that come after it. */
void dns_answer_add(struct dns_writer *w, uint16_t type, uint32_t ttl, const void *data, size_t len);
/** dns_answer_end() - fill in what is known last. Return: bytes of the message. */
size_t dns_answer_end(struct dns_writer *w, const struct dns_question *q, unsigned rcode);
/** dns_refusal() - a whole answer without records. Return as dns_answer_end(). */
size_t dns_refusal(const struct dns_question *q, unsigned rcode, uint8_t *p, size_t max);
/** dns_udp_max() - what an answer to @q by UDP may have at most, not above @ceiling. */
size_t dns_udp_max(const struct dns_question *q, size_t ceiling);

/** dns_forward_write() - @q as our own question: same name in the case of @name, type, class, RD, CD, AD and DO, id @id; no option of the client's.
 *  @p: DNS_PLAIN_MAX bytes. Return: length. */
size_t dns_forward_write(const struct dns_question *q, const uint8_t *name, uint16_t id, uint8_t *p);

enum dns_check { DNS_CHECK_FOREIGN, DNS_CHECK_CASE, DNS_CHECK_BROKEN, DNS_CHECK_OK };
/** dns_forward_check() - is @p what a resolver answers to the question written with @name and @id? FOREIGN: it answers something else and is to
 *  be ignored; CASE: it does, but in other letters; BROKEN: it does, and does not parse; OK and CASE: *@ret_len is its length without trailing garbage. */
enum dns_check dns_forward_check(const struct dns_question *q, const uint8_t *name, uint16_t id, const uint8_t *p, size_t len, size_t *ret_len);
/** dns_forward_rcode() - of a message that dns_forward_check() has passed. */
unsigned dns_forward_rcode(const uint8_t *p);
/** dns_forward_finish() - make it the answer to the client: its id, its letters, RA set, AA not. @max: what the client takes; more is cut down to the
 *  question with TC set. Return: length. */
size_t dns_forward_finish(const struct dns_question *q, uint8_t *p, size_t len, size_t max);
