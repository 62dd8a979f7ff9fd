/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.netDevices: interfaces of the caller's network namespace that move into the container's (config-linux.md "Network Devices").
 * A move takes the addresses away: they are read before the clone, so that init, which inherits the memory, can give them back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/netdev.h"
#include "sandbox/internal.h"

struct netdevice {
	int index;
	struct netdev_addresses addresses;
};

static int move_all(struct sandbox *s, int sock, int ns, struct err *err)
{
	for (size_t i = 0; i < s->spec->n_net_devices; i++) {
		const struct net_device_spec *d = &s->spec->net_devices[i];
		const char *name = str_empty(d->name) ? d->host : d->name;
		int r = netdev_move(sock, s->netdevices[i].index, ns, name);
		if (r == -EEXIST)
			return err_set(err, ERR_CONFLICT, "linux.netDevices: '%s': the container has an interface '%s' already", d->host, name);
		if (r < 0)
			return err_sys(err, r, "linux.netDevices: moving '%s' as '%s'", d->host, name);
	}
	return 0;
}

int netdevices_read(struct sandbox *s, struct err *err)
{
	size_t n = s->spec->n_net_devices;
	if (n == 0)
		return 0;
	if (!s->has_own[NS_NET])
		return err_set(err, ERR_INVALID, "linux.netDevices: '%s' cannot move: the container has no network namespace of its own", s->spec->net_devices[0].host);
	s->netdevices = calloc(n, sizeof(*s->netdevices));
	_cleanup_close_ int sock = netdev_open();
	if (!s->netdevices || sock < 0)
		return s->netdevices ? err_sys(err, sock, "netlink") : err_oom(err);
	for (size_t i = 0; i < n; i++) {
		struct netdevice *d = &s->netdevices[i];
		d->index = netdev_index(sock, s->spec->net_devices[i].host);
		int r = d->index < 0 ? d->index : netdev_addresses(sock, d->index, &d->addresses);
		if (r < 0)
			return err_sys(err, r, "linux.netDevices: '%s'", s->spec->net_devices[i].host);
	}
	/* into a namespace that is joined by path at once: after the join neither the interface nor the right to move it is in reach */
	return s->ns_fds[NS_NET] >= 0 ? move_all(s, sock, s->ns_fds[NS_NET], err) : 0;
}

int netdevices_move(struct sandbox *s, struct err *err)
{
	if (s->spec->n_net_devices == 0 || s->spec->ns[NS_NET].mode != NS_MODE_NEW)
		return 0;
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) s->child.pid);
	_cleanup_close_ int sock = netdev_open(), ns = open(path, O_RDONLY | O_CLOEXEC);
	if (sock < 0 || ns < 0)
		return err_sys(err, sock < 0 ? sock : -errno, "linux.netDevices: the container's network namespace");
	return move_all(s, sock, ns, err);
}

int netdevices_settle(struct sandbox *s, struct err *err)
{
	if (s->spec->n_net_devices == 0)
		return 0;
	_cleanup_close_ int sock = netdev_open();
	if (sock < 0)
		return err_sys(err, sock, "netlink");
	for (size_t i = 0; i < s->spec->n_net_devices; i++) {
		const struct netdevice *d = &s->netdevices[i]; /* an interface keeps its index where that is free, as in a fresh namespace */
		const struct net_device_spec *spec = &s->spec->net_devices[i];
		const char *name = str_empty(spec->name) ? spec->host : spec->name;
		int index = strchr(name, '%') ? d->index : netdev_index(sock, name);
		int r = index < 0 ? index : 0;
		for (size_t k = 0; r == 0 && k < d->addresses.n; k++) {
			r = netdev_add_address(sock, index, &d->addresses.v[k]);
			r = r == -EEXIST ? 0 : r;
		}
		if (r == 0)
			r = netdev_up(sock, index);
		if (r < 0)
			return err_sys(err, r, "linux.netDevices: setting '%s' up", name);
	}
	return 0;
}
