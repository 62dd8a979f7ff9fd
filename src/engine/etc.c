/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/etc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "dns/dns.h"
#include "dns/resolv.h"

#define FILE_MAX (256u << 10) /* of a hosts file; what a container makes larger is made anew */
#define LIST_MAX 32
#define WORD_MAX 255
#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
#define GATEWAY "host-gateway"

/* Checks */

static bool is_address(const char *s, size_t len)
{
	uint8_t a[16];
	char text[INET6_ADDRSTRLEN];
	if (len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	return inet_pton(AF_INET, text, a) == 1 || inet_pton(AF_INET6, text, a) == 1;
}

static bool is_name(const char *s, size_t len)
{
	return len > 0 && len <= WORD_MAX && s[0] != '-' && s[0] != '.' && strspn(s, HOST_CHARS) >= len;
}

/* "name:address", "name=address", "name:[v6]"; *@ret_address of *@ret_len bytes, without brackets. Return: length of the name; 0: malformed. */
static size_t split_host(const char *entry, const char **ret_address, size_t *ret_len)
{
	size_t n = strcspn(entry, ":=");
	if (!is_name(entry, n) || !entry[n])
		return 0;
	const char *a = entry + n + 1;
	size_t len = strlen(a);
	if (len > 2 && a[0] == '[' && a[len - 1] == ']') {
		a++;
		len -= 2;
	}
	*ret_address = a;
	*ret_len = len;
	return n;
}

static int check_server(const struct container_request *r, const char *s, struct err *err)
{
	return is_address(s, strlen(s)) ? 0 : err_set(err, ERR_INVALID, "HostConfig.Dns (--dns): '%.80s' is not an IP address", s);
}

static int check_search(const struct container_request *r, const char *s, struct err *err)
{
	return str_eq(s, ".") || is_name(s, strlen(s)) ? 0 : err_set(err, ERR_INVALID, "HostConfig.DnsSearch (--dns-search): '%.80s' is not a valid domain ('.' alone: none)", s);
}

static int check_option(const struct container_request *r, const char *s, struct err *err)
{
	bool word = *s && strlen(s) <= WORD_MAX && str_is_plain(s) && !strpbrk(s, " #;");
	return word ? 0 : err_set(err, ERR_INVALID, "HostConfig.DnsOptions (--dns-option): '%.80s' is not one word of resolv.conf(5), such as ndots:2", s);
}

static int check_host(const struct container_request *r, const char *s, struct err *err)
{
	const char *address;
	size_t len;
	if (split_host(s, &address, &len) == 0)
		return err_set(err, ERR_INVALID, "HostConfig.ExtraHosts (--add-host): bad format for add-host: '%.80s': use NAME:ADDRESS", s);
	if (str_eq(address, GATEWAY) && str_eq(r->network_mode, "none"))
		return err_set(err, ERR_INVALID, "HostConfig.ExtraHosts (--add-host): '%.80s': with --network none there is no gateway", s);
	if (!str_eq(address, GATEWAY) && !is_address(address, len))
		return err_set(err, ERR_INVALID, "HostConfig.ExtraHosts (--add-host): invalid IP address in add-host: '%.80s'", address);
	return 0;
}

int etc_check(const struct container_request *r, struct err *err)
{
	const struct {
		const char *field;
		char *const *v;
		size_t max;
		int (*check)(const struct container_request *r, const char *s, struct err *err);
	} rows[] = {
		{"HostConfig.Dns (--dns)", r->dns, DNS_SERVERS_MAX, check_server},
		{"HostConfig.DnsSearch (--dns-search)", r->dns_search, LIST_MAX, check_search},
		{"HostConfig.DnsOptions (--dns-option)", r->dns_options, LIST_MAX, check_option},
		{"HostConfig.ExtraHosts (--add-host)", r->extra_hosts, SIZE_MAX, check_host},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strv_len(rows[i].v) > rows[i].max)
			return err_set(err, ERR_INVALID, "%s: %zu entries, at most %zu are taken", rows[i].field, strv_len(rows[i].v), rows[i].max);
		STRV_FOREACH(s, rows[i].v) {
			int r2 = rows[i].check(r, s, err);
			if (r2 < 0)
				return r2;
		}
	}
	return 0;
}

/* hosts */

static int add_extra_host(const struct etc *e, const char *entry, struct strbuf *out, struct err *err)
{
	const char *address;
	size_t len, n = split_host(entry, &address, &len);
	if (n == 0)
		return err_set(err, ERR_INVALID, "bad format for add-host: '%.80s'", entry);
	if (!str_eq(address, GATEWAY)) {
		strbuf_addf(out, "%.*s\t%.*s\n", (int) len, address, (int) n, entry);
		return 0;
	}
	if (!e->gateway[0] && !e->gateway[1])
		return err_set(err, ERR_UNSUPPORTED, "--add-host '%.80s': this network has no gateway; give the address itself", entry);
	for (size_t i = 0; i < ARRAY_LEN(e->gateway); i++)
		if (e->gateway[i])
			strbuf_addf(out, "%s\t%.*s\n", e->gateway[i], (int) n, entry);
	return 0;
}

static void add_self(const struct etc *e, const char *address, struct strbuf *out)
{
	if (str_empty(e->req->domainname))
		strbuf_addf(out, "%s\t%s\n", address, e->hostname);
	else
		strbuf_addf(out, "%s\t%s.%s %s\n", address, e->hostname, e->req->domainname, e->hostname);
}

/* What changes with the networks. */
static void add_own_lines(const struct etc *e, struct strbuf *out)
{
	for (size_t i = 0; i < e->n_lines; i++)
		strbuf_addf(out, "%s\t%s\n", e->lines[i].address, e->lines[i].names);
	for (size_t i = 0; i < e->n_addresses; i++)
		add_self(e, e->addresses[i], out);
}

int etc_hosts(const struct etc *e, struct strbuf *out, struct err *err)
{
	bool host = e->resolver == ETC_RESOLVER_HOST && e->host_hosts;
	if (host) {
		strbuf_adds(out, e->host_hosts);
		if (out->len && out->s[out->len - 1] != '\n')
			strbuf_addc(out, '\n');
	} else
		strbuf_adds(out, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n"
				 "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");
	STRV_FOREACH(entry, e->req->extra_hosts) {
		int r = add_extra_host(e, entry, out, err);
		if (r < 0)
			return r;
	}
	add_own_lines(e, out);
	if (e->n_addresses == 0) /* its own name is known without a network, too */
		add_self(e, "127.0.0.1", out);
	return strbuf_err(out) < 0 ? err_sys(err, strbuf_err(out), "writing /etc/hosts") : 0;
}

/* resolv.conf */

static void add_line(struct strbuf *out, const char *word, char *const *v)
{
	if (!v)
		return;
	strbuf_adds(out, word);
	STRV_FOREACH(s, v)
		strbuf_addf(out, " %s", s);
	strbuf_addc(out, '\n');
}

/* The host's resolv.conf as a container can use it: links of the host, and its loopback, are out of reach. */
static int read_host(const struct etc *e, struct resolv *ret)
{
	char **reachable = NULL;
	const char *text = e->resolver == ETC_RESOLVER_NONE ? "" : e->host_resolv ?: "";
	int r = resolv_parse(text, strlen(text), ret);
	if (r < 0 || e->resolver == ETC_RESOLVER_HOST)
		return r;
	STRV_FOREACH(s, ret->servers)
		if (!resolv_is_loopback(s) && !strchr(s, '%') && strv_push(&reachable, s) < 0)
			r = -ENOMEM;
	strv_free(ret->servers);
	ret->servers = reachable;
	return r;
}

bool etc_needs_server(const struct etc *e)
{
	_cleanup_resolv_ struct resolv host = {0};
	if (e->resolver != ETC_RESOLVER_BRIDGE)
		return e->resolver == ETC_RESOLVER_OWN;
	return !e->req->dns && (read_host(e, &host) < 0 || !host.servers);
}

/* Names of containers have no dot, and "ndots:0" asks for them as they are before the search list is tried: what docker does. */
static bool says_ndots(char *const *options)
{
	STRV_FOREACH(s, options)
		if (str_after(s, "ndots:"))
			return true;
	return false;
}

static bool is_no_search(char *const *v)
{
	return strv_len(v) == 1 && str_eq(v[0], ".");
}

int etc_resolv(const struct etc *e, struct strbuf *out, struct err *err)
{
	_cleanup_resolv_ struct resolv host = {0};
	bool own = etc_needs_server(e);
	if (read_host(e, &host) < 0)
		return err_oom(err);
	char *const *servers = e->req->dns ?: host.servers, *const *search = e->req->dns_search ?: host.search, *const *options = e->req->dns_options ?: host.options;
	strbuf_adds(out, "# generated by coffer\n");
	if (e->resolver == ETC_RESOLVER_NONE && !servers)
		strbuf_adds(out, "# no network: no name servers\n");
	if (own)
		strbuf_adds(out, "nameserver " DNS_ADDRESS "\n");
	else
		STRV_FOREACH(s, servers)
			strbuf_addf(out, "nameserver %s\n", s);
	if (!is_no_search(search))
		add_line(out, "search", search);
	if (e->resolver == ETC_RESOLVER_OWN && !says_ndots(options)) {
		strbuf_adds(out, "options");
		STRV_FOREACH(s, options)
			strbuf_addf(out, " %s", s);
		strbuf_adds(out, " ndots:0\n");
	} else
		add_line(out, "options", options);
	return strbuf_err(out) < 0 ? err_sys(err, strbuf_err(out), "writing /etc/resolv.conf") : 0;
}

/* Files */

static int write_one(int dir, const char *name, const struct strbuf *b, struct err *err)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : write_all(fd, b->s, b->len);
	if (r >= 0 && fchmod(fd, 0644) < 0) /* whatever the umask is */
		r = -errno;
	return r < 0 ? err_sys(err, r, "writing '%s' of the container", name) : 0;
}

int etc_write(int dir, const struct etc *e, struct err *err)
{
	_cleanup_strbuf_ struct strbuf hosts = STRBUF_INIT(FILE_MAX), resolv = STRBUF_INIT(FILE_MAX), hostname = STRBUF_INIT(256);
	strbuf_addf(&hostname, "%s\n", e->hostname);
	int r = strbuf_err(&hostname) < 0 ? err_oom(err) : etc_hosts(e, &hosts, err);
	r = r < 0 ? r : etc_resolv(e, &resolv, err);
	r = r < 0 ? r : write_one(dir, "hosts", &hosts, err);
	r = r < 0 ? r : write_one(dir, "hostname", &hostname, err);
	return r < 0 ? r : write_one(dir, "resolv.conf", &resolv, err);
}

/* Changing hosts in place */

/* @text without the lines of @gone, each of which goes once. */
static void copy_others(const char *text, struct strbuf *gone, struct strbuf *out)
{
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");
		n += line[n] == '\n';
		char *found = gone->s;
		while (found && (found = memmem(found, gone->len - (size_t) (found - gone->s), line, n)) && found != gone->s && found[-1] != '\n')
			found++;
		if (found && n > 1)
			found[0] = '\1'; /* no line begins so */
		else
			strbuf_add(out, line, n);
		line += n;
	}
	if (out->len && out->s[out->len - 1] != '\n')
		strbuf_addc(out, '\n');
}

static int rewrite(int dir, const char *name, const struct strbuf *b, struct err *err)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : write_all(fd, b->s, b->len);
	if (r >= 0 && ftruncate(fd, (off_t) b->len) < 0) /* after the write: whoever reads meanwhile finds a whole file, or an old tail */
		r = -errno;
	return r < 0 ? err_sys(err, r, "changing '%s' of the container", name) : 0;
}

/* From resolvers of the host's to coffer-dns, which answers for both; what the container made of the file stays. There is no way back before its end. */
static int update_resolv(int dir, const struct etc *before, const struct etc *after, struct err *err)
{
	_cleanup_strbuf_ struct strbuf was = STRBUF_INIT(FILE_MAX), is = STRBUF_INIT(FILE_MAX);
	_cleanup_free_ char *text = NULL;
	if (after->resolver != ETC_RESOLVER_OWN || before->resolver == ETC_RESOLVER_OWN)
		return 0;
	int r = etc_resolv(before, &was, err);
	r = r < 0 ? r : etc_resolv(after, &is, err);
	if (r < 0)
		return r;
	ssize_t n = read_file(dir, "resolv.conf", FILE_MAX, &text);
	return n < 0 || (size_t) n != was.len || memcmp(text, was.s, was.len) != 0 ? 0 : rewrite(dir, "resolv.conf", &is, err);
}

int etc_update(int dir, const struct etc *before, const struct etc *after, struct err *err)
{
	_cleanup_strbuf_ struct strbuf gone = STRBUF_INIT(FILE_MAX), fresh = STRBUF_INIT(2 * FILE_MAX);
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(dir, "hosts", FILE_MAX, &text);
	if (n == -ENOENT)
		return 0;
	if (n < 0 && n != -EFBIG)
		return err_sys(err, (int) n, "reading 'hosts' of the container");
	if (n >= 0 && memchr(text, '\0', (size_t) n) == NULL) {
		add_own_lines(before, &gone);
		if (before->n_addresses == 0)
			add_self(before, "127.0.0.1", &gone);
		copy_others(text, &gone, &fresh);
		add_own_lines(after, &fresh);
		if (after->n_addresses == 0)
			add_self(after, "127.0.0.1", &fresh);
	} else { /* the container made something else of it */
		int r = etc_hosts(after, &fresh, err);
		if (r < 0)
			return r;
	}
	if (strbuf_err(&gone) < 0 || strbuf_err(&fresh) < 0)
		return err_sys(err, strbuf_err(&gone) < 0 ? strbuf_err(&gone) : strbuf_err(&fresh), "changing 'hosts' of the container");
	int r = rewrite(dir, "hosts", &fresh, err);
	return r < 0 ? r : update_resolv(dir, before, after, err);
}

int etc_readdress(int dir, const char *names, const char *address, struct err *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(2 * FILE_MAX);
	_cleanup_free_ char *text = NULL;
	bool changed = false;
	ssize_t n = read_file(dir, "hosts", FILE_MAX, &text);
	if (n < 0 || memchr(text, '\0', (size_t) n))
		return n >= 0 || n == -ENOENT || n == -EFBIG ? 0 : err_sys(err, (int) n, "reading 'hosts' of the container"); /* ended, or no file of ours any more */
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n"), at = MIN(strcspn(line, "\t"), len), next = len + (line[len] == '\n');
		bool it = at < len && len - at - 1 == strlen(names) && memcmp(line + at + 1, names, len - at - 1) == 0 && !(strlen(address) == at && memcmp(line, address, at) == 0);
		if (it)
			strbuf_adds(&out, address);
		strbuf_add(&out, line + (it ? at : 0), next - (it ? at : 0));
		changed |= it;
		line += next;
	}
	if (strbuf_err(&out) < 0)
		return err_sys(err, strbuf_err(&out), "changing 'hosts' of the container");
	return changed ? rewrite(dir, "hosts", &out, err) : 0;
}
