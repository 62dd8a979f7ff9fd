/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/resolv.h"

#include <arpa/inet.h>
#include <errno.h>

void resolv_done(struct resolv *r)
{
	strv_free(r->servers);
	strv_free(r->search);
	strv_free(r->options);
	*r = (struct resolv) {0};
}

static bool is_address(const char *s)
{
	uint8_t a[16];
	char plain[INET6_ADDRSTRLEN];
	size_t n = strcspn(s, "%");
	if (n >= sizeof(plain))
		return false;
	memcpy(plain, s, n);
	plain[n] = '\0';
	return inet_pton(AF_INET6, plain, a) == 1 || (!s[n] && inet_pton(AF_INET, plain, a) == 1);
}

static int add_words(char ***v, char *words)
{
	char *save = NULL;
	for (char *w = strtok_r(words, " \t\r", &save); w; w = strtok_r(NULL, " \t\r", &save)) {
		if (strv_len(*v) == RESOLV_WORDS_MAX || !str_is_plain(w))
			continue;
		if (strv_push(v, w) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int take_server(struct resolv *r, char *rest)
{
	char *save = NULL, *w = strtok_r(rest, " \t\r", &save);
	return !w || !is_address(w) || !str_is_plain(w) || strv_len(r->servers) == RESOLV_SERVERS_MAX ? 0 : strv_push(&r->servers, w);
}

static int take_search(struct resolv *r, char *rest)
{
	r->search = strv_free(r->search);
	return add_words(&r->search, rest);
}

static int take_options(struct resolv *r, char *rest)
{
	return add_words(&r->options, rest);
}

static const struct {
	const char *word;
	int (*fn)(struct resolv *r, char *rest);
} lines[] = {{"nameserver", take_server}, {"search", take_search}, {"domain", take_search}, {"options", take_options}};

static int take_line(struct resolv *r, char *line)
{
	line[strcspn(line, "#;")] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		size_t n = strlen(lines[i].word);
		if (strncmp(line, lines[i].word, n) == 0 && (line[n] == ' ' || line[n] == '\t'))
			return lines[i].fn(r, line + n);
	}
	return 0;
}

int resolv_parse(const char *text, size_t len, struct resolv *ret)
{
	_cleanup_resolv_ struct resolv r = {0};
	_cleanup_free_ char *copy = strndup(text, len);
	if (!copy)
		return -ENOMEM;
	char *save = NULL;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (take_line(&r, line) < 0)
			return -ENOMEM;
	*ret = r;
	r = (struct resolv) {0};
	return 0;
}

bool resolv_is_loopback(const char *address)
{
	struct in_addr a4;
	struct in6_addr a6;
	if (inet_pton(AF_INET, address, &a4) == 1)
		return (ntohl(a4.s_addr) >> 24) == 127 || a4.s_addr == 0;
	if (inet_pton(AF_INET6, address, &a6) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&a6))
		return a6.s6_addr[12] == 127 || a6.s6_addr[12] == 0;
	return IN6_IS_ADDR_LOOPBACK(&a6) || IN6_IS_ADDR_UNSPECIFIED(&a6);
}
