/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "dns/resolv.h"
#include "kernel/netdev.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define LOOK_EVERY USEC_PER_SEC
#define BAD_FOR (15 * USEC_PER_SEC)
#define PORT 53

/* "fe80::1%eth0", "fe80::1%2" */
static int parse_scoped(const char *text, struct dns_address *ret)
{
	char plain[INET6_ADDRSTRLEN];
	const char *scope = strchr(text, '%');
	size_t n = scope ? (size_t) (scope - text) : strlen(text);
	struct dns_address a;
	if (n >= sizeof(plain))
		return -EINVAL;
	memcpy(plain, text, n);
	plain[n] = '\0';
	if (dns_address_parse(plain, &a) < 0)
		return -EINVAL;
	if (scope && parse_u32(scope + 1, &a.scope) < 0) {
		int index = netdev_index(-EBADF, scope + 1);
		if (index < 0)
			return index;
		a.scope = (uint32_t) index;
	}
	*ret = a;
	return 0;
}

static void read_host(struct upstream *u)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_resolv_ struct resolv r = {0};
	ssize_t n = read_file(AT_FDCWD, RESOLV_CONF, RESOLV_MAX, &text);
	if (n < 0 || resolv_parse(text, (size_t) n, &r) < 0)
		return; /* as before */
	u->n_host = 0;
	STRV_FOREACH(s, r.servers)
		if (u->n_host < DNS_SERVERS_MAX && parse_scoped(s, &u->host[u->n_host]) == 0)
			u->n_host++;
}

static void look(struct upstream *u)
{
	struct stat st;
	usec_t now = now_usec();
	if (u->looked_at && now - u->looked_at < LOOK_EVERY)
		return;
	u->looked_at = now;
	if (stat(RESOLV_CONF, &st) < 0)
		return;
	const int64_t seen[] = {(int64_t) st.st_dev, (int64_t) st.st_ino, st.st_size, (int64_t) st.st_mtim.tv_sec * NSEC_PER_SEC + st.st_mtim.tv_nsec};
	if (memcmp(seen, u->seen, sizeof(seen)) == 0)
		return;
	memcpy(u->seen, seen, sizeof(seen));
	read_host(u);
}

static bool same(const struct dns_address *a, const struct dns_address *b)
{
	return a->family == b->family && a->scope == b->scope && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static bool is_bad(const struct upstream *u, const struct dns_address *a)
{
	usec_t now = now_usec();
	for (size_t i = 0; i < UPSTREAM_BAD_MAX; i++)
		if (u->bad[i].until > now && same(&u->bad[i].address, a))
			return true;
	return false;
}

void upstream_bad(struct upstream *u, const struct dns_address *a)
{
	size_t at = u->next_bad;
	for (size_t i = 0; i < UPSTREAM_BAD_MAX; i++)
		if (same(&u->bad[i].address, a))
			at = i;
	if (at == u->next_bad)
		u->next_bad = (u->next_bad + 1) % UPSTREAM_BAD_MAX;
	u->bad[at].address = *a;
	u->bad[at].until = now_usec() + BAD_FOR;
}

/* What a container's owner chose leads nowhere on the host itself: there, only the host's own choice may. */
static bool is_host_itself(const struct dns_address *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t zero[15] = {0};
	if (a->family == AF_INET)
		return a->bytes[0] == 127 || a->bytes[0] == 0;
	if (memcmp(a->bytes, mapped, sizeof(mapped)) == 0)
		return a->bytes[12] == 127 || a->bytes[12] == 0;
	return memcmp(a->bytes, zero, sizeof(zero)) == 0 && a->bytes[15] <= 1;
}

static int connected(const struct dns_address *a, bool tcp)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to = {0};
	socklen_t size = a->family == AF_INET ? sizeof(to.in) : sizeof(to.in6);
	to.sa.sa_family = a->family;
	if (a->family == AF_INET) {
		to.in.sin_port = htons(PORT);
		memcpy(&to.in.sin_addr, a->bytes, 4);
	} else {
		to.in6.sin6_port = htons(PORT);
		to.in6.sin6_scope_id = a->scope;
		memcpy(&to.in6.sin6_addr, a->bytes, 16);
	}
	_cleanup_close_ int fd = socket(a->family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, &to.sa, size) < 0 && errno != EINPROGRESS)
		return -errno;
	return take_fd(&fd);
}

int upstream_socket(struct upstream *u, const struct dns_member *m, bool tcp, bool again, uint32_t tried, uint32_t *ret_index, struct dns_address *ret_address)
{
	bool own = m->told.n_servers > 0;
	if (!dns_state_external(m))
		return -EACCES;
	if (!own)
		look(u);
	const struct dns_address *v = own ? m->told.servers : u->host;
	size_t n = own ? m->told.n_servers : u->n_host;
	/* the good ones that were not tried, the silent ones that were not, and then whichever */
	for (int turn = 0; turn < (again ? 3 : 2); turn++)
		for (uint32_t i = 0; i < n; i++) {
			if ((own && is_host_itself(&v[i])) || (turn < 2 && (tried >> i & 1 || is_bad(u, &v[i]) != (turn == 1))))
				continue;
			int fd = connected(&v[i], tcp);
			if (fd < 0)
				continue; /* no route to it: the next one */
			*ret_index = i;
			*ret_address = v[i];
			return fd;
		}
	return -ENOENT;
}
