/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's interfaces: pairs whose inner end is born in its network namespace, made by the creator while init waits; init gives them
 * their addresses. Nothing here waits for the kernel: no link is moved, none is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/ip.h"
#include "dns/dns.h"
#include "kernel/link.h"
#include "kernel/netlink.h"
#include "sandbox/internal.h"

static int copy_name(char dst[IFNAMSIZ], const char *s)
{
	return str_empty(s) ? -EINVAL : str_copy(dst, IFNAMSIZ, s);
}

static int read_gateway(const char *s, struct ip_addr *ret)
{
	return str_empty(s) ? 0 : ip_parse(s, ret);
}

/* From the document's words. */
static int read_one(const struct interface_spec *s, struct interface *ret, struct err *err)
{
	*ret = (struct interface){.mtu = s->mtu, .ipv6 = s->ipv6, .isolated = s->isolated, .hairpin = s->hairpin};
	bool bad = copy_name(ret->name, s->name) < 0 || copy_name(ret->host_name, s->host_name) < 0 || copy_name(ret->bridge, s->bridge) < 0 || (s->gateway_bridge && copy_name(ret->gateway_bridge, s->gateway_bridge) < 0) || mac_parse(s->mac ?: "", ret->mac) < 0 ||
		   (s->gateway_mac && mac_parse(s->gateway_mac, ret->gateway_mac) < 0) || read_gateway(s->gateway4, &ret->gateway4) < 0 || read_gateway(s->gateway6, &ret->gateway6) < 0;
	STRV_FOREACH(a, s->addresses)
		bad = bad || ret->n_addresses == INTERFACE_ADDRESSES_MAX || ip_parse_prefix(a, &ret->addresses[ret->n_addresses++]) < 0;
	return bad ? err_set(err, ERR_INVALID, "coffer.interfaces: '%s' is not an interface", s->name && str_is_plain(s->name) ? s->name : "?") : 0;
}

static int why(struct err *err, int r, const struct interface *i, const char *what)
{
	if (r == -EXFULL)
		return err_set(err, ERR_QUOTA, "%s: bridge %s has no port left", i->name, i->bridge);
	return err_sys(err, r, "%s: %s", i->name, what);
}

static int make(const struct coffer_ext *ext, int ns, struct err *err)
{
	_cleanup_close_ int sock = nl_open(NETLINK_ROUTE);
	if (sock < 0 || ns < 0)
		return err_sys(err, sock < 0 ? sock : ns, "the container's network namespace");
	for (size_t k = 0; k < ext->n_interfaces; k++) {
		struct interface i;
		int r = read_one(&ext->interfaces[k], &i, err);
		if (r < 0)
			return r;
		r = link_join(sock, &i, ns);
		if (r < 0)
			return why(err, r, &i, "joining the container to its network");
	}
	return 0;
}

/* Inside. */
static int settle(const struct coffer_ext *ext, int proc_fd, struct err *err)
{
	_cleanup_close_ int sock = nl_open(NETLINK_ROUTE);
	if (sock < 0)
		return err_sys(err, sock, "rtnetlink");
	for (size_t k = 0; k < ext->n_interfaces; k++) {
		struct interface i;
		int r = read_one(&ext->interfaces[k], &i, err);
		if (r < 0)
			return r;
		r = link_switches(proc_fd, &i);
		r = r < 0 ? r : link_settle(sock, &i);
		if (r < 0)
			return why(err, r, &i, "setting it up");
	}
	return 0;
}

static int open_netns(pid_t pid)
{
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The engine's name server gets its sockets. One that was killed a moment ago is told again by whoever starts another. */
static int give_sockets(const struct coffer_ext *ext, int ns, struct err *err)
{
	int sockets[DNS_SOCKETS];
	if (str_empty(ext->dns_run) || str_empty(ext->dns_id))
		return 0;
	_cleanup_close_ int run = open(ext->dns_run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (run < 0)
		return err_sys(err, -errno, "opening '%s'", ext->dns_run);
	int r = dns_open_at(ns, sockets);
	if (r < 0)
		return err_sys(err, r, "opening the name server's sockets");
	r = dns_give(run, ext->dns_id, sockets);
	for (int i = 0; i < DNS_SOCKETS; i++)
		safe_close(sockets[i]);
	return r < 0 && r != -ECONNREFUSED ? err_sys(err, r, "giving the name server its sockets") : 0;
}

int interfaces_make(struct sandbox *s, struct err *err)
{
	if (s->ext->n_interfaces == 0)
		return 0;
	_cleanup_close_ int ns = open_netns(s->child.pid);
	int r = make(s->ext, ns, err);
	return r < 0 ? r : give_sockets(s->ext, ns, err);
}

int interfaces_settle(struct sandbox *s, struct err *err)
{
	return s->ext->n_interfaces == 0 ? 0 : settle(s->ext, s->proc_fd, err);
}

int interfaces_give(const struct coffer_ext *ext, pid_t pid, struct err *err)
{
	if (ext->n_interfaces == 0)
		return 0;
	_cleanup_close_ int ns = open_netns(pid), own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = make(ext, ns, err);
	r = r < 0 ? r : give_sockets(ext, ns, err);
	if (r < 0)
		return r;
	if (own < 0 || proc < 0 || setns(ns, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "joining the container's network namespace");
	r = settle(ext, proc, err);
	if (setns(own, CLONE_NEWNET) < 0 && r == 0)
		r = err_sys(err, -errno, "coming back from the container's network namespace");
	return r;
}
