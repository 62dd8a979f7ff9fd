/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/url.h"

#include <ctype.h>
#include <stdio.h>

#include "base/num.h"
#include "base/str.h"

static int bad(const char *s, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID, "address '%.200s': %s", str_is_plain(s) ? s : "(unprintable)", why);
}

static bool host_is_valid(const char *s, size_t n)
{
	if (n > 2 && s[0] == '[' && s[n - 1] == ']')
		return strspn(s + 1, "0123456789abcdefABCDEF:.") == n - 2;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char) s[i]) && s[i] != '-' && s[i] != '.' && s[i] != '_')
			return false;
	return n > 0 && n < 254;
}

/* "host[:port]" of @n bytes. */
static int read_authority(const char *all, const char *s, size_t n, struct url *u, struct err *err)
{
	size_t host = n;
	uint32_t port = u->https ? 443 : 80;
	const char *end = s[0] == '[' ? memchr(s, ']', n) : NULL;
	const char *colon = end ? (end + 1 < s + n && end[1] == ':' ? end + 1 : NULL) : memchr(s, ':', n);
	if (colon) {
		char digits[8] = "";
		host = (size_t) (colon - s);
		if (n - host - 1 == 0 || n - host - 1 >= sizeof(digits))
			return bad(all, "the port is none", err);
		memcpy(digits, colon + 1, n - host - 1);
		if (parse_u32(digits, &port) < 0 || port == 0 || port > 65535)
			return bad(all, "the port is none", err);
	}
	if (!host_is_valid(s, host))
		return bad(all, "the host is none", err);
	for (size_t i = 0; i < host; i++)
		u->name[i] = (char) tolower((unsigned char) s[i]);
	u->name[host] = '\0';
	(void) snprintf(u->host, sizeof(u->host), "%.280s:%u", u->name, port);
	return 0;
}

static int set_path(const char *all, const char *path, struct url *u, struct err *err)
{
	size_t n = strcspn(path, "#");
	if (n + 2 > sizeof(u->path))
		return bad(all, "too long", err);
	(void) snprintf(u->path, sizeof(u->path), "%s%.*s", path[0] == '/' ? "" : "/", (int) n, path);
	return 0;
}

static bool has_blanks(const char *s)
{
	for (; *s; s++)
		if ((unsigned char) *s <= 0x20 || (unsigned char) *s >= 0x7f || *s == '\\')
			return true;
	return false;
}

int url_parse(const char *s, struct url *ret, struct err *err)
{
	struct url u;
	const char *rest = str_after(s, "https://");
	u.https = rest != NULL;
	rest = rest ? rest : str_after(s, "http://");
	if (!rest)
		return bad(s, "neither http:// nor https://", err);
	if (strlen(s) >= URL_MAX)
		return bad(s, "too long", err);
	if (has_blanks(s))
		return bad(s, "holds blanks or control characters", err);
	size_t n = strcspn(rest, "/?#");
	if (memchr(rest, '@', n))
		return bad(s, "holds user information", err);
	int r = read_authority(s, rest, n, &u, err);
	r = r < 0 ? r : set_path(s, rest + n, &u, err);
	if (r >= 0)
		*ret = u;
	return r;
}

int url_resolve(const struct url *base, const char *location, struct url *ret, struct err *err)
{
	if (location[0] != '/' || location[1] == '/')
		return url_parse(location, ret, err);
	if (has_blanks(location))
		return bad(location, "holds blanks or control characters", err);
	struct url u = *base;
	int r = set_path(location, location, &u, err);
	if (r >= 0)
		*ret = u;
	return r;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->https == b->https && str_eq(a->host, b->host);
}

int url_text(const struct url *u, char buf[URL_MAX + URL_HOST_MAX + 16])
{
	return MIN(str_format(buf, URL_MAX + URL_HOST_MAX + 16, "%s://%s%s", u->https ? "https" : "http", u->host, u->path), 0);
}

void url_query_add(struct strbuf *b, const char *key, const char *value)
{
	static const char hex[] = "0123456789ABCDEF";
	strbuf_addf(b, "%s=", key);
	for (const unsigned char *p = (const unsigned char *) value; *p; p++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~:/,", *p)) {
			strbuf_addc(b, (char) *p);
		} else {
			strbuf_addc(b, '%');
			strbuf_addc(b, hex[*p >> 4]);
			strbuf_addc(b, hex[*p & 15]);
		}
}
