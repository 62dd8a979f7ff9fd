/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports. A port is a row, unique among ours, and a socket that is bound and never listens: whoever else on the host wants the port
 * hears that it is taken, and we hear it before the container starts. No packet reaches the socket: the rules lead them to the container.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/str.h"
#include "network/internal.h"

#define HELD_MAX 512	  /* sockets; the ports of a longer range are looked at, and not held */
#define EPHEMERAL_TRIES 64

static const struct {
	const char *name;
	uint8_t proto;
	int type;
} protos[] = {{"tcp", IPPROTO_TCP, SOCK_STREAM}, {"udp", IPPROTO_UDP, SOCK_DGRAM}, {"sctp", IPPROTO_SCTP, SOCK_STREAM}};

const char *proto_name(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_LEN(protos); i++)
		if (protos[i].proto == proto)
			return protos[i].name;
	return "?";
}

/* The socket's side */

struct socket_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} u;
	socklen_t len;
};

static struct socket_address address_of(const struct ip_addr *a, uint16_t port)
{
	struct socket_address s = {0};
	if (a->family == AF_INET) {
		s.u.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
		memcpy(&s.u.v4.sin_addr, a->bytes, 4);
		s.len = sizeof(s.u.v4);
	} else {
		s.u.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
		memcpy(&s.u.v6.sin6_addr, a->bytes, 16);
		s.len = sizeof(s.u.v6);
	}
	return s;
}

/* Return: fd; -ENOPROTOOPT this kernel does not know the protocol, so that nobody can be in the way; -errno. *@port 0: filled in. */
static int hold(const struct ip_addr *a, uint8_t proto, uint16_t *port)
{
	static const int on = 1;
	int type = SOCK_STREAM;
	for (size_t i = 0; i < ARRAY_LEN(protos); i++)
		if (protos[i].proto == proto)
			type = protos[i].type;
	_cleanup_close_ int fd = socket(a->family, type | SOCK_CLOEXEC, proto);
	if (fd < 0)
		return proto == IPPROTO_SCTP && (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT) ? -ENOPROTOOPT : -errno;
	if (a->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	struct socket_address s = address_of(a, *port);
	if (bind(fd, &s.u.any, s.len) < 0 || getsockname(fd, &s.u.any, &s.len) < 0)
		return -errno;
	*port = ntohs(a->family == AF_INET ? s.u.v4.sin_port : s.u.v6.sin6_port);
	return take_fd(&fd);
}

/* The row's side */

static int holder(struct network_room *r, const struct ip_addr *a, uint8_t proto, uint16_t port, char ret[ID_LEN + 1], struct err *err)
{
	char text[IP_TEXT_MAX];
	const char *any = a->family == AF_INET ? "0.0.0.0" : "::";
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT container FROM network_port WHERE proto=?1 AND host_port=?2 AND (host=?3 OR host=?4 OR (?3=?4 AND (instr(host,':')>0)=(instr(?4,':')>0)))", "iiss",
			  (int64_t) proto, (int64_t) port, ip_text(text, a), any);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc > 0)
		(void) str_copy(ret, ID_LEN + 1, db_text(st, 0) ?: ""); /* as we wrote it */
	return rc;
}

struct taking {
	struct network_room *r;
	const struct endpoint *gateway;
	struct network_plan *plan;
	struct ip_addr hosts[NETWORK_FAMILIES]; /* where this one is published */
	size_t n_hosts;
};

static int add_fd(struct network_plan *plan, int fd_take)
{
	if (fd_take < 0)
		return 0;
	if (plan->n_fds == HELD_MAX) {
		safe_close(fd_take);
		return 0;
	}
	int *v = realloc(plan->fds, (plan->n_fds + 1) * sizeof(*v));
	if (!v) {
		safe_close(fd_take);
		return -ENOMEM;
	}
	plan->fds = v;
	v[plan->n_fds++] = fd_take;
	return 0;
}

static int refuse(const struct ip_addr *a, const struct port *p, uint16_t port, int r, struct err *err)
{
	char text[IP_TEXT_MAX];
	const char *open = a->family == AF_INET6 ? "[" : "", *close = a->family == AF_INET6 ? "]" : "";
	(void) ip_text(text, a);
	if (r == -EADDRINUSE)
		return err_set(err, ERR_CONFLICT, "Bind for %s%s%s:%u failed: port is already allocated: a program of this host has port %u/%s", open, text, close, port, port, proto_name(p->proto));
	if (r == -EADDRNOTAVAIL)
		return err_set(err, ERR_INVALID, "Bind for %s%s%s:%u failed: '%s' is not an address of this host", open, text, close, port, text);
	return err_sys(err, r, "Bind for %s%s%s:%u/%s", open, text, close, port, proto_name(p->proto));
}

/* One address. Return: 1 *@ret_fd holds it (-EBADF: nothing can), 0 taken (@err says by whom), <0. */
static int try_address(struct taking *t, const struct port *p, const struct ip_addr *host, uint16_t *port, int *ret_fd, struct err *err)
{
	char by[ID_LEN + 1], text[IP_TEXT_MAX];
	int rc = *port ? holder(t->r, host, p->proto, *port, by, err) : 0;
	if (rc > 0)
		(void) err_set(err, ERR_CONFLICT, "Bind for %s:%u failed: port is already allocated: container %.12s has it", ip_text(text, host), *port, by);
	if (rc != 0)
		return rc > 0 ? 0 : rc;
	int fd = hold(host, p->proto, port);
	if (fd < 0 && fd != -ENOPROTOOPT) {
		rc = refuse(host, p, *port, fd, err);
		return fd == -EADDRINUSE ? 0 : rc;
	}
	*ret_fd = fd < 0 ? -EBADF : fd;
	return 1;
}

static int keep(struct taking *t, const struct port *p, const struct ip_addr *host, uint16_t port, int fd_take, struct err *err)
{
	char text[IP_TEXT_MAX];
	int rc = db_exec(t->r->db, err, "INSERT INTO network_port(proto,host,host_port,container,container_port,network) VALUES(?1,?2,?3,?4,?5,?6)", "isisis", (int64_t) p->proto, ip_text(text, host),
			 (int64_t) port, t->gateway->container, (int64_t) p->container_port, t->gateway->network);
	if (rc < 0) {
		safe_close(fd_take);
		return rc;
	}
	struct port *at = &t->plan->ports[t->plan->n_ports++];
	*at = (struct port){.proto = p->proto, .container_port = p->container_port, .host = *host, .host_port = port, .host_port_last = port};
	memcpy(at->network, t->gateway->network, sizeof(at->network));
	return add_fd(t->plan, fd_take) < 0 ? err_oom(err) : 0;
}

/* Every address of @t with @port (0: the first chooses). Return: 1 done, 0 taken (@err says by whom), <0. */
static int try_port(struct taking *t, const struct port *p, uint16_t port, struct err *err)
{
	int fds[NETWORK_FAMILIES] = {-EBADF, -EBADF}, rc = 1;
	static_assert(NETWORK_FAMILIES == 2, "as many descriptors");
	for (size_t i = 0; rc == 1 && i < t->n_hosts; i++)
		rc = try_address(t, p, &t->hosts[i], &port, &fds[i], err);
	if (rc == 1 && port == 0)
		rc = err_set(err, ERR_UNSUPPORTED, "port %u/%s: this kernel cannot choose a port for it: give one", p->container_port, proto_name(p->proto));
	for (size_t i = 0; rc == 1 && i < t->n_hosts; i++)
		rc = keep(t, p, &t->hosts[i], port, take_fd(&fds[i]), err) ?: 1;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = safe_close(fds[i]);
	return rc;
}

/* Return: 0; ERR_CONFLICT and others. */
static int take_one(struct taking *t, const struct port *p, struct err *err)
{
	struct err own, *why = err ?: &own;
	int rc = 0;
	if (p->host_port == 0) {
		for (int i = 0; rc == 0 && i < EPHEMERAL_TRIES; i++)
			rc = try_port(t, p, 0, why);
	} else
		for (uint32_t port = p->host_port; rc == 0 && port <= MAX(p->host_port, p->host_port_last); port++)
			rc = try_port(t, p, (uint16_t) port, why);
	return rc > 0 ? 0 : rc < 0 ? rc : why->sys; /* the last one's reason */
}

static void choose_hosts(struct taking *t, const struct network *n, const struct endpoint *gateway, const struct port *p)
{
	bool has[NETWORK_FAMILIES] = {false, false};
	const struct ip_addr *given = p->host.family ? &p->host : &n->publish_on;
	t->n_hosts = 0;
	for (size_t i = 0; i < gateway->i.n_addresses; i++)
		has[gateway->i.addresses[i].family == AF_INET ? NETWORK_V4 : NETWORK_V6] = true;
	if (given->family) {
		t->hosts[t->n_hosts++] = *given;
		return;
	}
	if (has[NETWORK_V4])
		t->hosts[t->n_hosts++] = (struct ip_addr){.family = AF_INET, .prefix = 32};
	if (has[NETWORK_V6])
		t->hosts[t->n_hosts++] = (struct ip_addr){.family = AF_INET6, .prefix = 128};
}

static int check_family(const struct endpoint *gateway, const struct port *p, const struct ip_addr *host, struct err *err)
{
	char text[IP_TEXT_MAX];
	for (size_t i = 0; i < gateway->i.n_addresses; i++)
		if (gateway->i.addresses[i].family == host->family) {
			if (host->family == AF_INET6 && ip_is_loopback(host))
				return err_set(err, ERR_UNSUPPORTED, "port %u/%s: ::1 cannot be translated by the kernel: publish on 127.0.0.1", p->container_port, proto_name(p->proto));
			return 0;
		}
	return err_set(err, ERR_INVALID, "port %u/%s: published on %s, but the container has no such address: its network has %s", p->container_port, proto_name(p->proto), ip_text(text, host),
		       host->family == AF_INET6 ? "no IPv6 (--ipv6)" : "no IPv4");
}

int ports_take(struct network_room *r, const struct network *n, const struct endpoint *gateway, const struct port *want, size_t n_want, struct network_plan *plan, struct err *err)
{
	struct taking t = {.r = r, .gateway = gateway, .plan = plan};
	if (n_want == 0)
		return 0;
	plan->ports = calloc(n_want * NETWORK_FAMILIES, sizeof(*plan->ports));
	if (!plan->ports)
		return err_oom(err);
	int rc = 0;
	/* those that say which first: a free one must not be what somebody else of the same container asks for */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; rc == 0 && i < n_want; i++) {
			if ((want[i].host_port == 0) != (pass == 1))
				continue;
			choose_hosts(&t, n, gateway, &want[i]);
			for (size_t k = 0; rc == 0 && k < t.n_hosts; k++)
				rc = check_family(gateway, &want[i], &t.hosts[k], err);
			rc = rc < 0 ? rc : take_one(&t, &want[i], err);
		}
	return rc;
}

void port_rules(struct nft_batch *b, const char *table, const struct port *p, const struct endpoint *v, size_t n, bool on)
{
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; v[k].up && str_eq(v[k].network, p->network) && i < v[k].i.n_addresses; i++)
			if (v[k].i.addresses[i].family == p->host.family)
				rules_port(b, table,
					   &(struct rules_port){.host = p->host, .proto = p->proto, .host_port = p->host_port, .to = v[k].i.addresses[i], .to_port = p->container_port}, on);
}

int ports_all(struct network_room *r, const char *container, struct port **ret, char (**ret_holders)[ID_LEN + 1], size_t *ret_n, struct err *err)
{
	_cleanup_free_ struct port *v = NULL;
	_cleanup_free_ char(*holders)[ID_LEN + 1] = NULL;
	_cleanup_stmt_ struct db_stmt *st = NULL;
	size_t n = 0;
	const char *sql = container ? "SELECT proto,host,host_port,container_port,network,container FROM network_port WHERE container=?1 ORDER BY container_port,proto,host_port,host"
				    : "SELECT proto,host,host_port,container_port,network,container FROM network_port WHERE ?1 IS NULL ORDER BY container,container_port,proto,host_port,host";
	int rc = db_query(r->db, &st, err, sql, "s", container);
	while (rc >= 0 && (rc = db_step(st, err)) > 0) {
		struct port p = {.proto = (uint8_t) db_int(st, 0), .host_port = (uint16_t) db_int(st, 2), .container_port = (uint16_t) db_int(st, 3)};
		p.host_port_last = p.host_port;
		if (ip_parse(db_text(st, 1) ?: "", &p.host) < 0 || str_copy(p.network, sizeof(p.network), db_text(st, 4) ?: "") < 0)
			continue; /* not as it was written: nothing leads there */
		if ((n & (n - 1)) == 0) {
			struct port *more = reallocarray(v, MAX(2 * n, (size_t) 1), sizeof(*v));
			v = more ?: v;
			void *held = more ? reallocarray(holders, MAX(2 * n, (size_t) 1), sizeof(*holders)) : NULL;
			if (!held)
				return err_oom(err);
			holders = held;
		}
		(void) str_copy(holders[n], sizeof(holders[n]), db_text(st, 5) ?: ""); /* as we wrote it */
		v[n++] = p;
	}
	if (rc < 0)
		return rc;
	*ret = take_ptr(v);
	*ret_holders = holders;
	holders = NULL;
	*ret_n = n;
	return 0;
}

int ports_of(struct network_room *r, const char *container, struct port **ret, size_t *ret_n, struct err *err)
{
	char(*holders)[ID_LEN + 1] = NULL;
	int rc = ports_all(r, container, ret, &holders, ret_n, err);
	free(holders);
	return rc;
}
