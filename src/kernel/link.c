/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/netlink.h"

#define MAKE (NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK)

static size_t addr_len(const struct ip_addr *a)
{
	return a->family == AF_INET ? 4 : 16;
}

int link_index(int sock, const char *name)
{
	struct ifreq r = {0};
	(void) sock;
	if (str_copy(r.ifr_name, sizeof(r.ifr_name), name) < 0)
		return -ENODEV;
	_cleanup_close_ int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (any < 0)
		return -errno;
	return ioctl(any, SIOCGIFINDEX, &r) < 0 ? -errno : r.ifr_ifindex;
}

/* Bridges */

static void build_bridge(struct nl_buf *b, const struct bridge *br)
{
	const struct ifinfomsg up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	nl_begin(b, RTM_NEWLINK, MAKE, &up, sizeof(up));
	nl_put_str(b, IFLA_IFNAME, br->name);
	nl_put(b, IFLA_ADDRESS, br->mac, MAC_LEN);
	if (br->mtu)
		nl_put_u32(b, IFLA_MTU, br->mtu);
	size_t info = nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "bridge");
	size_t data = nl_nest(b, IFLA_INFO_DATA);
	nl_put_u32(b, IFLA_BR_FORWARD_DELAY, 0); /* no spanning tree: a new port forwards at once */
	nl_put_u8(b, IFLA_BR_MCAST_SNOOPING, 0); /* nobody here asks for memberships: without a querier snooping loses them */
	nl_nest_end(b, data);
	nl_nest_end(b, info);
}

static void build_address(struct nl_buf *b, int index, const struct ip_addr *a)
{
	const struct ifaddrmsg m = {.ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_index = (unsigned) index, .ifa_scope = RT_SCOPE_UNIVERSE,
				    .ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0}; /* unique by the engine's table: no second of silence */
	nl_begin(b, RTM_NEWADDR, MAKE, &m, sizeof(m));
	nl_put(b, IFA_LOCAL, a->bytes, addr_len(a));
	nl_put(b, IFA_ADDRESS, a->bytes, addr_len(a));
	if (a->family == AF_INET && a->prefix < 31) {
		uint8_t last[4];
		for (int i = 0; i < 4; i++) {
			int host_bits = MIN(MAX(32 - a->prefix - 8 * (3 - i), 0), 8);
			last[i] = (uint8_t) (a->bytes[i] | ((1u << host_bits) - 1));
		}
		nl_put(b, IFA_BROADCAST, last, 4);
	}
}

int link_add_address(int sock, int index, const struct ip_addr *a)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	build_address(&b, index, a);
	return nl_call(sock, &b, NULL);
}

int link_make_bridge(int sock, const struct bridge *br)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	build_bridge(&b, br);
	int r = nl_call(sock, &b, NULL);
	int index = r < 0 ? r : link_index(sock, br->name);
	for (size_t i = 0; index > 0 && r == 0 && i < br->n_addresses; i++)
		r = link_add_address(sock, index, &br->addresses[i]);
	if (r < 0 && r != -EEXIST && index > 0)
		(void) link_delete(sock, br->name); /* half of one is none */
	return index < 0 ? index : r;
}

/* Pairs */

static void begin_pair(struct nl_buf *b, const char *name, int master, uint32_t mtu)
{
	const struct ifinfomsg up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	nl_begin(b, RTM_NEWLINK, MAKE, &up, sizeof(up));
	nl_put_str(b, IFLA_IFNAME, name);
	nl_put_u32(b, IFLA_MASTER, (uint32_t) master);
	if (mtu)
		nl_put_u32(b, IFLA_MTU, mtu);
}

struct pair {
	size_t info, data, peer;
};

static struct pair begin_peer(struct nl_buf *b, const char *name, uint32_t mtu)
{
	const struct ifinfomsg m = {0};
	struct pair p = {.info = nl_nest(b, IFLA_LINKINFO)};
	nl_put_str(b, IFLA_INFO_KIND, "veth");
	p.data = nl_nest(b, IFLA_INFO_DATA);
	p.peer = nl_nest(b, VETH_INFO_PEER);
	nl_raw(b, &m, sizeof(m));
	nl_put_str(b, IFLA_IFNAME, name);
	if (mtu)
		nl_put_u32(b, IFLA_MTU, mtu);
	return p;
}

static void end_peer(struct nl_buf *b, const struct pair *p)
{
	nl_nest_end(b, p->peer);
	nl_nest_end(b, p->data);
	nl_nest_end(b, p->info);
}

static int set_port(int sock, int index, const struct interface *i)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	const struct ifinfomsg m = {.ifi_family = AF_BRIDGE, .ifi_index = index};
	nl_begin(&b, RTM_SETLINK, NLM_F_ACK, &m, sizeof(m));
	size_t info = nl_nest(&b, IFLA_PROTINFO);
	nl_put_u8(&b, IFLA_BRPORT_ISOLATED, i->isolated);
	nl_put_u8(&b, IFLA_BRPORT_MODE, i->hairpin);
	nl_nest_end(&b, info);
	return nl_call(sock, &b, NULL);
}

int link_join(int sock, const struct interface *i, int netns_fd)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	int bridge = link_index(sock, i->bridge), gateway = i->gateway_bridge[0] ? link_index(sock, i->gateway_bridge) : bridge;
	if (bridge < 0 || gateway < 0)
		return bridge < 0 ? bridge : gateway;
	begin_pair(&b, i->host_name, bridge, i->mtu);
	struct pair p = begin_peer(&b, i->name, i->mtu);
	nl_put(&b, IFLA_ADDRESS, i->mac, MAC_LEN);
	nl_put_u32(&b, IFLA_NET_NS_FD, (uint32_t) netns_fd);
	end_peer(&b, &p);
	int r = nl_call(sock, &b, NULL);
	/* once it has its gateway the first packet to the container need not be preceded by a question */
	for (size_t k = 0; r == 0 && k < i->n_addresses; k++)
		r = link_neighbour(sock, gateway, &i->addresses[k], i->mac);
	if (r == 0 && (i->isolated || i->hairpin)) {
		int index = link_index(sock, i->host_name);
		r = index < 0 ? index : set_port(sock, index, i);
	}
	return r;
}

int link_trunk(int sock, const char *a, const char *name_a, const char *b_name, const char *name_b, uint32_t mtu)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	int index_a = link_index(sock, a), index_b = link_index(sock, b_name);
	if (index_a < 0 || index_b < 0)
		return index_a < 0 ? index_a : index_b;
	begin_pair(&b, name_a, index_a, mtu);
	struct pair p = begin_peer(&b, name_b, mtu); /* brought up below: before it has its other end it cannot be */
	end_peer(&b, &p);
	int r = nl_call(sock, &b, NULL), other = r < 0 ? r : link_index(sock, name_b);
	if (other < 0)
		return other;
	nl_buf_done(&b);
	const struct ifinfomsg m = {.ifi_index = other, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	nl_begin(&b, RTM_NEWLINK, NLM_F_ACK, &m, sizeof(m));
	nl_put_u32(&b, IFLA_MASTER, (uint32_t) index_b);
	return nl_call(sock, &b, NULL);
}

/* Inside */

static void build_route(struct nl_buf *b, int index, const struct ip_addr *gateway, bool on)
{
	const struct rtmsg m = {.rtm_family = gateway->family, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST,
				.rtm_flags = RTNH_F_ONLINK};
	nl_begin(b, on ? RTM_NEWROUTE : RTM_DELROUTE, on ? MAKE : NLM_F_ACK, &m, sizeof(m));
	nl_put(b, RTA_GATEWAY, gateway->bytes, addr_len(gateway));
	nl_put_u32(b, RTA_OIF, (uint32_t) index);
}

static void build_neighbour(struct nl_buf *b, int index, const struct ip_addr *a, const uint8_t *mac)
{
	const struct ndmsg m = {.ndm_family = a->family, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT};
	nl_begin(b, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof(m));
	nl_put(b, NDA_DST, a->bytes, addr_len(a));
	nl_put(b, NDA_LLADDR, mac, MAC_LEN);
}

int link_neighbour(int sock, int bridge_index, const struct ip_addr *a, const uint8_t mac[MAC_LEN])
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	build_neighbour(&b, bridge_index, a, mac);
	return nl_call(sock, &b, NULL);
}

int link_forget_neighbour(int sock, int bridge_index, const struct ip_addr *a)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	const struct ndmsg m = {.ndm_family = a->family, .ndm_ifindex = bridge_index};
	nl_begin(&b, RTM_DELNEIGH, NLM_F_ACK, &m, sizeof(m));
	nl_put(&b, NDA_DST, a->bytes, addr_len(a));
	return nl_call(sock, &b, NULL);
}

static bool has_mac(const uint8_t *mac)
{
	static const uint8_t none[MAC_LEN];
	return memcmp(mac, none, MAC_LEN) != 0;
}

int link_default_route(int sock, const struct interface *i, bool on)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	int index = link_index(sock, i->name);
	if (index < 0)
		return index;
	if (i->gateway4.family)
		build_route(&b, index, &i->gateway4, on);
	if (i->gateway6.family)
		build_route(&b, index, &i->gateway6, on);
	return nl_call(sock, &b, NULL);
}

int link_switches(int proc_fd, const struct interface *i)
{
	static const struct {
		const char *name, *value;
		bool without; /* when there is no IPv6 */
	} rows[] = {{"disable_ipv6", "1", true}, {"accept_ra", "0", false}, {"accept_redirects", "0", false}};
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		char path[80];
		if (rows[k].without == i->ipv6)
			continue;
		(void) str_format(path, sizeof(path), "sys/net/ipv6/conf/%s/%s", i->name, rows[k].name); /* fits */
		int r = write_file(proc_fd, path, rows[k].value);
		if (r == -ENOENT && !i->ipv6)
			return 0; /* a kernel without IPv6 has none to switch off */
		if (r < 0)
			return r;
	}
	return 0;
}

int link_settle(int sock, const struct interface *i)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	int index = link_index(sock, i->name);
	if (index < 0)
		return index;
	for (size_t k = 0; k < i->n_addresses; k++)
		build_address(&b, index, &i->addresses[k]);
	const struct ifinfomsg up = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	nl_begin(&b, RTM_NEWLINK, NLM_F_ACK, &up, sizeof(up));
	const struct ip_addr *gateways[] = {&i->gateway4, &i->gateway6};
	for (size_t k = 0; k < ARRAY_LEN(gateways); k++) {
		if (!gateways[k]->family)
			continue;
		build_route(&b, index, gateways[k], true);
		if (has_mac(i->gateway_mac))
			build_neighbour(&b, index, gateways[k], i->gateway_mac);
	}
	return nl_call(sock, &b, NULL);
}

/* Removal */

int link_delete(int sock, const char *name)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	const struct ifinfomsg m = {0};
	nl_begin(&b, RTM_DELLINK, NLM_F_ACK, &m, sizeof(m));
	nl_put_str(&b, IFLA_IFNAME, name);
	return nl_call(sock, &b, NULL);
}

/* A group of interfaces goes with one grace period (rtnl_group_dellink()). */
#define DOOMED 0x0c0ff0e0

int link_delete_many(int sock, char *const *names)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	const struct ifinfomsg m = {0};
	size_t n = 0;
	STRV_FOREACH(name, names) {
		int index = link_index(sock, name);
		if (index < 0)
			continue;
		const struct ifinfomsg one = {.ifi_index = index};
		nl_begin(&b, RTM_NEWLINK, NLM_F_ACK, &one, sizeof(one));
		nl_put_u32(&b, IFLA_GROUP, DOOMED);
		n++;
	}
	if (n == 0)
		return 0;
	nl_begin(&b, RTM_DELLINK, NLM_F_ACK, &m, sizeof(m));
	nl_put_u32(&b, IFLA_GROUP, DOOMED);
	int r = nl_call(sock, &b, NULL);
	return r == -ENODEV ? 0 : r;
}

/* Looking */

struct each_link {
	int (*fn)(void *ctx, int index, const char *name, int master);
	void *ctx;
	int master;
};

static int see_link(void *ctx, const struct nlmsghdr *h)
{
	const struct each_link *e = ctx;
	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return 0;
	const struct ifinfomsg *m = NLMSG_DATA(h);
	size_t left = h->nlmsg_len - NLMSG_SPACE(sizeof(*m)), len;
	const char *attrs = (const char *) m + NLMSG_ALIGN(sizeof(*m)), *name = nl_attr_find(attrs, left, IFLA_IFNAME, &len);
	if (!name || len == 0 || name[len - 1] != '\0')
		return 0;
	uint32_t master = 0;
	const void *p = nl_attr_find(attrs, left, IFLA_MASTER, &len);
	if (p && len == sizeof(master))
		memcpy(&master, p, sizeof(master));
	return e->master && (int) master != e->master ? 0 : e->fn(e->ctx, m->ifi_index, name, (int) master);
}

int link_each(int sock, int master, int (*fn)(void *ctx, int index, const char *name, int master), void *ctx)
{
	_cleanup_nl_buf_ struct nl_buf b = NL_BUF_INIT;
	const struct ifinfomsg m = {.ifi_family = AF_UNSPEC};
	struct each_link e = {.fn = fn, .ctx = ctx, .master = master};
	nl_begin(&b, RTM_GETLINK, NLM_F_DUMP, &m, sizeof(m));
	if (master)
		nl_put_u32(&b, IFLA_MASTER, (uint32_t) master); /* the kernel leaves the others out where it can */
	return nl_dump(sock, &b, see_link, &e);
}

struct each_subnet {
	int (*fn)(void *ctx, const struct ip_addr *subnet);
	void *ctx;
};

static int tell_subnet(const struct each_subnet *e, uint8_t family, uint8_t prefix, const void *bytes, size_t len)
{
	struct ip_addr a = {.family = family, .prefix = prefix};
	if ((family != AF_INET && family != AF_INET6) || prefix == 0 || len != addr_len(&a))
		return 0;
	memcpy(a.bytes, bytes, len);
	return e->fn(e->ctx, &a);
}

static int see_address(void *ctx, const struct nlmsghdr *h)
{
	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
		return 0;
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	size_t left = h->nlmsg_len - NLMSG_SPACE(sizeof(*m)), len;
	const void *p = nl_attr_find((const char *) m + NLMSG_ALIGN(sizeof(*m)), left, IFA_ADDRESS, &len);
	return p ? tell_subnet(ctx, m->ifa_family, m->ifa_prefixlen, p, len) : 0;
}

static int see_route(void *ctx, const struct nlmsghdr *h)
{
	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
		return 0;
	const struct rtmsg *m = NLMSG_DATA(h);
	size_t left = h->nlmsg_len - NLMSG_SPACE(sizeof(*m)), len;
	if (m->rtm_table != RT_TABLE_MAIN || m->rtm_type != RTN_UNICAST)
		return 0;
	const void *p = nl_attr_find((const char *) m + NLMSG_ALIGN(sizeof(*m)), left, RTA_DST, &len);
	return p ? tell_subnet(ctx, m->rtm_family, m->rtm_dst_len, p, len) : 0;
}

int link_each_subnet(int sock, int (*fn)(void *ctx, const struct ip_addr *subnet), void *ctx)
{
	_cleanup_nl_buf_ struct nl_buf addresses = NL_BUF_INIT, routes = NL_BUF_INIT;
	struct each_subnet e = {.fn = fn, .ctx = ctx};
	const struct ifaddrmsg a = {.ifa_family = AF_UNSPEC};
	const struct rtmsg r = {.rtm_family = AF_UNSPEC, .rtm_table = RT_TABLE_MAIN};
	nl_begin(&addresses, RTM_GETADDR, NLM_F_DUMP, &a, sizeof(a));
	int rc = nl_dump(sock, &addresses, see_address, &e);
	if (rc != 0)
		return rc;
	nl_begin(&routes, RTM_GETROUTE, NLM_F_DUMP, &r, sizeof(r));
	return nl_dump(sock, &routes, see_route, &e);
}
