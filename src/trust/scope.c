/* SPDX-License-Identifier: Apache-2.0 */
/* Which scope of a policy holds for an image. Source: containers-policy.json(5). */
#include <ctype.h>

#include "trust/internal.h"

void scope_canonical(char *name)
{
	size_t host = strcspn(name, "/"), port = host;
	for (size_t i = 0; i < host; i++)
		name[i] = (char) tolower((unsigned char) name[i]);
	while (port > 0 && isdigit((unsigned char) name[port - 1]))
		port--;
	if (port < 2 || port == host || name[port - 1] != ':')
		return;
	size_t digits = port + strspn(name + port, "0");
	bool usual = host - digits == 3 && strncmp(name + digits, "443", 3) == 0;
	size_t to = usual ? port - 1 : port, from = usual ? host : digits;
	memmove(name + to, name + from, strlen(name + from) + 1);
}

const struct policy_scope *scope_find(const struct trust_policy *p, const char *transport, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (str_eq(p->scopes[i].transport, transport) && str_eq(p->scopes[i].name, name))
			return &p->scopes[i];
	return NULL;
}

/* "registry.example:5000" to "*.example", "a.b.c" to "*.b.c" and then "*.c". */
static const struct policy_scope *find_domain(const struct trust_policy *p, const char *host)
{
	char star[300];
	int n = (int) strcspn(host, ":");
	for (const char *dot = memchr(host, '.', (size_t) n); dot; dot = memchr(dot + 1, '.', (size_t) (host + n - dot - 1))) {
		(void) str_format(star, sizeof(star), "*%.*s", (int) (host + n - dot), dot);
		const struct policy_scope *s = scope_find(p, "docker", star);
		if (s)
			return s;
	}
	return NULL;
}

const struct policy_scope *trust_policy_registry(const struct trust_policy *p, const struct image_ref *ref)
{
	_cleanup_free_ char *name = str_printf("%s/%s", ref->domain, ref->path);
	if (!name)
		return NULL;
	scope_canonical(name);
	_cleanup_free_ char *full = ref->digest ? str_printf("%s@%s", name, ref->digest) : str_printf("%s:%s", name, ref->tag);
	if (!full)
		return NULL;
	const struct policy_scope *s = scope_find(p, "docker", full);
	s = s ?: scope_find(p, "docker", name);
	for (char *slash; !s && (slash = strrchr(name, '/'));) {
		*slash = '\0';
		s = scope_find(p, "docker", name);
	}
	s = s ?: find_domain(p, name); /* the host is what is left of it */
	return s ?: scope_find(p, "docker", "") ?: &p->scopes[0];
}

int trust_policy_archive(const struct trust_policy *p, const char *transport, const struct policy_scope **ret, struct err *err)
{
	for (size_t i = 0; i < p->n; i++)
		if (str_eq(p->scopes[i].transport, transport) && *p->scopes[i].name && !str_eq(transport, "tarball")) /* whose scopes are ignored, by its description */
			return err_set(err, ERR_DENIED, "the signature policy has a scope '%.200s' for '%s', and an archive that comes as a stream has no path", p->scopes[i].name, transport);
	*ret = scope_find(p, transport, "") ?: &p->scopes[0];
	return 0;
}
