/* SPDX-License-Identifier: Apache-2.0 */
/* Image references by the grammar of distribution/reference, with docker's defaults: docker.io, library/, latest. */
#include <ctype.h>
#include <errno.h>

#include "base/id.h"
#include "spec/image.h"

#define DEFAULT_DOMAIN "docker.io"
#define DEFAULT_NAMESPACE "library/"
#define LOWER_ALNUM "abcdefghijklmnopqrstuvwxyz0123456789"
#define ALNUM LOWER_ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
enum { NAME_MAX_LEN = 255, TAG_MAX_LEN = 128, REF_MAX_LEN = 512 };

bool digest_is_valid(const char *s)
{
	const char *hex = s ? str_after(s, "sha256:") : NULL;
	return hex && id_is_full(hex);
}

static bool tag_is_valid(const char *s)
{
	size_t n = strspn(s, ALNUM "_.-");
	return s[n] == '\0' && n >= 1 && n <= TAG_MAX_LEN && s[0] != '.' && s[0] != '-';
}

/* [a-z0-9]+ with single '.', one or two '_' or any number of '-' between. */
static bool component_is_valid(const char *s, size_t len)
{
	size_t i = 0;
	for (;;) {
		size_t run = 0;
		while (i + run < len && s[i + run] && strchr(LOWER_ALNUM, s[i + run]))
			run++;
		if (run == 0)
			return false;
		i += run;
		if (i == len)
			return true;
		size_t sep = 1;
		char c = s[i];
		if (c != '.' && c != '_' && c != '-')
			return false;
		while (i + sep < len && s[i + sep] == c && (c == '-' || (c == '_' && sep < 2)))
			sep++;
		i += sep;
	}
}

static bool path_is_valid(const char *path)
{
	for (const char *p = path;; p++) {
		size_t n = strcspn(p, "/");
		if (!component_is_valid(p, n))
			return false;
		p += n;
		if (!*p)
			return true;
	}
}

static bool host_is_valid(const char *s, size_t len)
{
	if (len > 2 && s[0] == '[' && s[len - 1] == ']')
		return strspn(s + 1, "0123456789abcdefABCDEF:") == len - 2;
	for (size_t i = 0; i < len;) {
		size_t n = 0;
		while (i + n < len && s[i + n] != '.')
			n++;
		if (n == 0 || s[i] == '-' || s[i + n - 1] == '-')
			return false;
		for (size_t k = i; k < i + n; k++)
			if (!isalnum((unsigned char) s[k]) && s[k] != '-')
				return false;
		i += n;
		if (i < len && ++i == len)
			return false; /* ends in a dot */
	}
	return len > 0;
}

static bool domain_is_valid(const char *s)
{
	size_t len = strlen(s);
	const char *colon = s[0] == '[' ? strstr(s, "]:") : strrchr(s, ':');
	if (colon && s[0] == '[')
		colon++;
	if (colon) {
		size_t digits = strspn(colon + 1, "0123456789");
		if (digits < 1 || digits > 5 || colon[1 + digits])
			return false;
		len = (size_t) (colon - s);
	}
	return host_is_valid(s, len);
}

/* Whether what stands before the first slash is a registry and not a namespace. */
static bool is_domain(const char *s, size_t len)
{
	if (len == strlen("localhost") && strncmp(s, "localhost", len) == 0)
		return true;
	for (size_t i = 0; i < len; i++)
		if (s[i] == '.' || s[i] == ':' || isupper((unsigned char) s[i]))
			return true;
	return false;
}

void image_ref_done(struct image_ref *r)
{
	free(r->domain);
	free(r->path);
	free(r->tag);
	free(r->digest);
	*r = (struct image_ref) {0};
}

static int bad(const char *s, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID, "invalid reference format: '%.200s': %s", str_is_plain(s) ? s : "(unprintable)", why);
}

/* Take "@digest" and ":tag" off the end of @name. */
static int cut_suffixes(const char *s, char *name, struct image_ref *ret, struct err *err)
{
	char *at = strchr(name, '@');
	if (at) {
		*at = '\0';
		if (!digest_is_valid(at + 1))
			return bad(s, "the digest must be 'sha256:' and 64 lower-case hex digits", err);
		ret->digest = strdup(at + 1);
	}
	char *slash = strrchr(name, '/'), *colon = strrchr(slash ? slash : name, ':');
	if (colon) {
		*colon = '\0';
		if (!tag_is_valid(colon + 1))
			return bad(s, "a tag is 1 to 128 letters, digits, '_', '.' and '-', and starts with none of the last two", err);
		ret->tag = strdup(colon + 1);
	} else if (!at)
		ret->tag = strdup("latest");
	return (at && !ret->digest) || ((colon || !at) && !ret->tag) ? err_oom(err) : 0;
}

static int split_domain(const char *s, const char *name, struct image_ref *ret, struct err *err)
{
	const char *slash = strchr(name, '/'), *path = name;
	size_t len = slash ? (size_t) (slash - name) : 0;
	if (slash && is_domain(name, len)) {
		ret->domain = strndup(name, len);
		path = slash + 1;
	} else
		ret->domain = strdup(DEFAULT_DOMAIN);
	if (!ret->domain)
		return err_oom(err);
	if (strcmp(ret->domain, "index.docker.io") == 0) {
		free(ret->domain);
		ret->domain = strdup(DEFAULT_DOMAIN);
	}
	bool official = str_eq(ret->domain, DEFAULT_DOMAIN) && !strchr(path, '/');
	ret->path = str_printf("%s%s", official ? DEFAULT_NAMESPACE : "", path);
	if (!ret->path || !ret->domain)
		return err_oom(err);
	if (!domain_is_valid(ret->domain))
		return bad(s, "what stands before the first '/' is no registry host", err);
	for (const char *p = ret->path; *p; p++)
		if (isupper((unsigned char) *p))
			return bad(s, "repository name must be lowercase", err);
	if (!path_is_valid(ret->path))
		return bad(s, "a repository name is made of lower-case letters and digits with '.', '_', '__' or '-' between, and '/'", err);
	if (strlen(ret->domain) + 1 + strlen(ret->path) > NAME_MAX_LEN)
		return bad(s, "the repository name is longer than 255 characters", err);
	return 0;
}

int image_ref_parse(const char *s, struct image_ref *ret, struct err *err)
{
	struct image_ref ref = {0};
	if (!*s)
		return err_set(err, ERR_INVALID, "invalid reference format: an empty image name");
	if (strlen(s) > REF_MAX_LEN)
		return err_set(err, ERR_INVALID, "invalid reference format: longer than %d characters", REF_MAX_LEN);
	if (id_is_full(s))
		return bad(s, "a name cannot be 64 hex digits, since ids look like that", err);
	char name[REF_MAX_LEN + 1];
	(void) str_copy(name, sizeof(name), s);
	int r = cut_suffixes(s, name, &ref, err);
	if (r >= 0)
		r = split_domain(s, name, &ref, err);
	if (r < 0) {
		image_ref_done(&ref);
		return r;
	}
	*ret = ref;
	return 0;
}

static char *with_suffixes(const struct image_ref *r, const char *domain, const char *path)
{
	return str_printf("%s%s%s%s%s%s%s", domain, *domain ? "/" : "", path, r->tag ? ":" : "", r->tag ? r->tag : "", r->digest ? "@" : "",
			  r->digest ? r->digest : "");
}

char *image_ref_familiar(const struct image_ref *r)
{
	if (strcmp(r->domain, DEFAULT_DOMAIN) != 0)
		return with_suffixes(r, r->domain, r->path);
	const char *p = str_after(r->path, DEFAULT_NAMESPACE), *slash = strchr(r->path, '/');
	if (slash && is_domain(r->path, (size_t) (slash - r->path))) /* docker.io/localhost/x: short, it would be another registry's */
		return with_suffixes(r, r->domain, r->path);
	return with_suffixes(r, "", p && !strchr(p, '/') ? p : r->path);
}

char *image_ref_full(const struct image_ref *r)
{
	return with_suffixes(r, r->domain, r->path);
}
