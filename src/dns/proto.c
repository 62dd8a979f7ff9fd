/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/proto.h"

#include <arpa/inet.h>
#include <errno.h>

#define WORDS_MAX 4
#define WORD_MAX 255

bool dns_word_ok(const char *s)
{
	return !str_empty(s) && strlen(s) <= WORD_MAX && str_is_plain(s) && !strchr(s, ' ');
}

int dns_address_parse(const char *text, struct dns_address *ret)
{
	struct dns_address a = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	if (inet_pton(a.family, text, a.bytes) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

void dns_told_done(struct dns_told *t)
{
	for (size_t i = 0; i < t->n_stays; i++) {
		free(t->stays[i].name);
		strv_free(t->stays[i].names);
	}
	for (size_t i = 0; i < t->n_links; i++) {
		free(t->links[i].name);
		free(t->links[i].target);
	}
	free(t->stays);
	free(t->links);
	free(t->name);
	*t = (struct dns_told) {0};
}

static char *lower(char *s)
{
	for (char *p = s; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char) (*p | 0x20);
	return s;
}

static int copy_id(const char *word, char ret[ID_LEN + 1])
{
	if (!id_is_full(word))
		return -EINVAL;
	memcpy(ret, word, ID_LEN + 1);
	return 0;
}

static int take_tell(struct dns_told *t, char **w)
{
	t->name = strdup(lower(w[2]));
	return t->name ? copy_id(w[1], t->id) : -ENOMEM;
}

static int take_id(struct dns_told *t, char **w)
{
	return copy_id(w[1], t->id);
}

static int take_watch(struct dns_told *t, char **w)
{
	return 0;
}

static int take_server(struct dns_told *t, char **w)
{
	return t->n_servers == DNS_SERVERS_MAX ? -E2BIG : dns_address_parse(w[1], &t->servers[t->n_servers++]);
}

static int take_link(struct dns_told *t, char **w)
{
	if (t->n_links == DNS_LINKS_MAX)
		return -E2BIG;
	struct dns_alias *v = reallocarray(t->links, t->n_links + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	t->links = v;
	struct dns_alias *l = &v[t->n_links++];
	*l = (struct dns_alias) {.name = strdup(lower(w[1])), .target = strdup(lower(w[2]))};
	return l->name && l->target ? 0 : -ENOMEM;
}

static int take_network(struct dns_told *t, char **w)
{
	bool internal = str_eq(w[3], "internal");
	if (t->n_stays == DNS_NETWORKS_MAX)
		return -E2BIG;
	if (!internal && !str_eq(w[3], "external"))
		return -EINVAL;
	struct dns_stay *v = reallocarray(t->stays, t->n_stays + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	t->stays = v;
	v[t->n_stays] = (struct dns_stay) {.name = strdup(lower(w[2])), .internal = internal};
	return v[t->n_stays++].name ? copy_id(w[1], v[t->n_stays - 1].id) : -ENOMEM;
}

static int take_address(struct dns_told *t, char **w)
{
	struct dns_address a;
	if (t->n_stays == 0 || dns_address_parse(w[1], &a) < 0)
		return -EINVAL;
	struct dns_stay *s = &t->stays[t->n_stays - 1];
	struct dns_address *to = a.family == AF_INET ? &s->v4 : &s->v6;
	if (to->family)
		return -EINVAL;
	*to = a;
	return 0;
}

static int take_name(struct dns_told *t, char **w)
{
	struct dns_stay *s = t->n_stays ? &t->stays[t->n_stays - 1] : NULL;
	if (!s)
		return -EINVAL;
	if (strv_has(s->names, lower(w[1])))
		return 0;
	return strv_len(s->names) == DNS_NAMES_MAX ? -E2BIG : strv_push(&s->names, w[1]);
}

static const struct {
	const char *word;
	enum dns_verb verb; /* 0: a line of "tell" */
	size_t words;
	int (*fn)(struct dns_told *t, char **w);
} lines[] = {
	{"tell", DNS_VERB_TELL, 3, take_tell},
	{"sockets", DNS_VERB_SOCKETS, 2, take_id},
	{"forget", DNS_VERB_FORGET, 2, take_id},
	{"watch", DNS_VERB_WATCH, 1, take_watch},
	{"server", 0, 2, take_server},
	{"link", 0, 3, take_link},
	{"network", 0, 4, take_network},
	{"address", 0, 2, take_address},
	{"name", 0, 2, take_name},
};

static int split(char *line, char *words[WORDS_MAX], size_t *ret_n)
{
	size_t n = 0;
	for (char *p = line; p;) {
		char *end = strchr(p, ' ');
		if (end)
			*end++ = '\0';
		if (n == WORDS_MAX || !dns_word_ok(p))
			return -EINVAL;
		words[n++] = p;
		p = end;
	}
	*ret_n = n;
	return 0;
}

static int parse_line(char *line, struct dns_told *t)
{
	char *w[WORDS_MAX];
	size_t n = 0;
	if (split(line, w, &n) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		if (!str_eq(lines[i].word, w[0]))
			continue;
		bool first = lines[i].verb != 0;
		if (n != lines[i].words || first != (t->verb == 0) || (!first && t->verb != DNS_VERB_TELL))
			return -EINVAL;
		if (first)
			t->verb = lines[i].verb;
		return lines[i].fn(t, w);
	}
	return -EINVAL;
}

int dns_told_parse(char *text, struct dns_told *ret)
{
	_cleanup_dns_told_ struct dns_told t = {0};
	for (char *line = text; *line;) {
		char *end = strchr(line, '\n');
		if (!end)
			return -EINVAL; /* cut off */
		*end = '\0';
		int r = parse_line(line, &t);
		if (r < 0)
			return r;
		line = end + 1;
	}
	if (!t.verb)
		return -EINVAL;
	*ret = t;
	t = (struct dns_told) {0};
	return 0;
}

/* Writing */

static int check_word(const char *s, const char *what, struct err *err)
{
	return dns_word_ok(s) ? 0 : err_set(err, ERR_INVALID, "%s '%s': a name is at most %d characters, without blanks and control characters", what, s ? s : "", WORD_MAX);
}

static int write_network(const struct dns_network *n, struct strbuf *out, struct err *err)
{
	const char *addresses[] = {n->v4, n->v6};
	int r = check_word(n->name, "network", err);
	if (r < 0)
		return r;
	if (strv_len(n->names) > DNS_NAMES_MAX)
		return err_set(err, ERR_QUOTA, "network '%s': %zu names and aliases, at most %d are taken", n->name, strv_len(n->names), DNS_NAMES_MAX);
	strbuf_addf(out, "network %s %s %s\n", n->id, n->name, n->internal ? "internal" : "external");
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
		if (!str_empty(addresses[i]))
			strbuf_addf(out, "address %s\n", addresses[i]);
	STRV_FOREACH(name, n->names) {
		r = check_word(name, "alias", err);
		if (r < 0)
			return r;
		strbuf_addf(out, "name %s\n", name);
	}
	return 0;
}

int dns_told_write(const struct dns_container *c, struct strbuf *out, struct err *err)
{
	int r = check_word(c->name, "container", err);
	if (r < 0)
		return r;
	strbuf_addf(out, "tell %s %s\n", c->id, c->name);
	STRV_FOREACH(server, c->servers)
		strbuf_addf(out, "server %s\n", server);
	for (size_t i = 0; i < c->n_links; i++) {
		r = check_word(c->links[i].alias, "link", err);
		r = r < 0 ? r : check_word(c->links[i].target, "link", err);
		if (r < 0)
			return r;
		strbuf_addf(out, "link %s %s\n", c->links[i].alias, c->links[i].target);
	}
	for (size_t i = 0; i < c->n_networks; i++) {
		r = write_network(&c->networks[i], out, err);
		if (r < 0)
			return r;
	}
	if (strbuf_err(out) < 0)
		return err_sys(err, strbuf_err(out), "telling the name server of '%s'", c->name);
	return 0;
}
