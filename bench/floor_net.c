/* SPDX-License-Identifier: Apache-2.0 */
#include "floor_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BRIDGE "floor0"
#define INNER "eth0"

static int route = -1, nft = -1, held = -1, bridge;
static unsigned slot, count;
static pid_t creator;
static uint32_t seq;

static long must(long r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
		_exit(99);
	}
	return r;
}

/* ---- messages ---- */

struct buf {
	_Alignas(8) char p[2048];
	size_t len, msg;
};

static void raw(struct buf *b, const void *p, size_t n)
{
	memcpy(b->p + b->len, p, n);
	b->len += NLMSG_ALIGN(n);
}

static void begin(struct buf *b, uint16_t type, uint16_t flags, const void *body, size_t n)
{
	b->msg = b->len;
	raw(b, &(struct nlmsghdr) {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++seq}, sizeof(struct nlmsghdr));
	raw(b, body, n);
}

static size_t nest(struct buf *b, uint16_t type)
{
	size_t at = b->len;
	raw(b, &(struct nlattr) {.nla_type = type}, sizeof(struct nlattr));
	return at;
}

static void end(struct buf *b, size_t at)
{
	((struct nlattr *) (b->p + at))->nla_len = (uint16_t) (b->len - at);
}

static void put(struct buf *b, uint16_t type, const void *p, size_t n)
{
	size_t at = nest(b, type);
	raw(b, p, n);
	((struct nlattr *) (b->p + at))->nla_len = (uint16_t) (NLA_HDRLEN + n);
}

static void finish(struct buf *b)
{
	((struct nlmsghdr *) (b->p + b->msg))->nlmsg_len = (uint32_t) (b->len - b->msg);
}

/* Everything is sent, and one answer read: the last message alone asks for one, and a failure of any comes first. */
static void call(int sock, const struct buf *b, const char *what)
{
	_Alignas(8) char answer[4096];
	must(send(sock, b->p, b->len, 0), what);
	must(recv(sock, answer, sizeof(answer), 0), what);
	const struct nlmsghdr *h = (const struct nlmsghdr *) answer;
	int error = h->nlmsg_type == NLMSG_ERROR ? ((const struct nlmsgerr *) NLMSG_DATA(h))->error : -EBADMSG;
	errno = -error;
	must(error, what);
}

/* ---- the host's side ---- */

static uint32_t address(void)
{
	return htonl(0x0a580000 + (slot + 1) * 1024 + count % 1000 + 2);
}

static uint16_t port(void)
{
	return htons((uint16_t) (20000 + slot * 1000 + count % 1000));
}

static void outer_name(char name[IFNAMSIZ])
{
	(void) snprintf(name, IFNAMSIZ, "fl%x.%x", (unsigned) creator, count); /* fits; the last process's may still be going */
}

static void hold_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = port()};
	held = (int) must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	must(bind(held, (struct sockaddr *) &a, sizeof(a)), "bind");
}

void net_open(unsigned number)
{
	struct ifreq r = {.ifr_name = BRIDGE};
	slot = number;
	creator = getpid();
	route = (int) must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "rtnetlink");
	nft = (int) must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER), "nfnetlink");
	int any = (int) must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
	must(ioctl(any, SIOCGIFINDEX, &r), BRIDGE);
	close(any);
	bridge = r.ifr_ifindex;
}

static void make_pair(pid_t pid)
{
	struct buf b = {.len = 0};
	char name[IFNAMSIZ];
	const uint32_t inside = (uint32_t) pid, master = (uint32_t) bridge;
	const struct ifinfomsg up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, none = {.ifi_flags = 0};
	outer_name(name);
	begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &up, sizeof(up));
	put(&b, IFLA_IFNAME, name, strlen(name) + 1);
	put(&b, IFLA_MASTER, &master, 4);
	size_t info = nest(&b, IFLA_LINKINFO);
	put(&b, IFLA_INFO_KIND, "veth", 5);
	size_t data = nest(&b, IFLA_INFO_DATA), peer = nest(&b, VETH_INFO_PEER);
	raw(&b, &none, sizeof(none));
	put(&b, IFLA_IFNAME, INNER, sizeof(INNER));
	put(&b, IFLA_NET_NS_PID, &inside, 4);
	end(&b, peer);
	end(&b, data);
	end(&b, info);
	finish(&b);
	call(route, &b, "making a pair");
}

static void element(struct buf *b, int on, uint8_t family, const char *set, const void *key, size_t key_len, const void *value, size_t value_len, uint16_t flags)
{
	begin(b, NFNL_SUBSYS_NFTABLES << 8 | (on ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM), (uint16_t) (flags | (on ? NLM_F_CREATE : 0)), &(struct nfgenmsg) {.nfgen_family = family}, sizeof(struct nfgenmsg));
	put(b, NFTA_SET_ELEM_LIST_TABLE, "floor", 6);
	put(b, NFTA_SET_ELEM_LIST_SET, set, strlen(set) + 1);
	size_t list = nest(b, NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED), one = nest(b, NFTA_LIST_ELEM | NLA_F_NESTED), k = nest(b, NFTA_SET_ELEM_KEY | NLA_F_NESTED);
	put(b, NFTA_DATA_VALUE, key, key_len);
	end(b, k);
	if (on && value) {
		size_t v = nest(b, NFTA_SET_ELEM_DATA | NLA_F_NESTED);
		put(b, NFTA_DATA_VALUE, value, value_len);
		end(b, v);
	}
	end(b, one);
	end(b, list);
	finish(b);
}

static void change_elements(int on)
{
	struct buf b = {.len = 0};
	const struct nfgenmsg edge = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
	struct {
		char name[IFNAMSIZ];
		uint32_t address;
	} sender = {.address = address()};
	struct {
		uint8_t proto, pad[3];
		uint16_t port, pad2;
	} from = {.proto = IPPROTO_TCP, .port = port()};
	struct {
		uint32_t address;
		uint16_t port, pad;
	} to = {.address = address(), .port = htons(80)};
	outer_name(sender.name);
	begin(&b, NFNL_MSG_BATCH_BEGIN, 0, &edge, sizeof(edge));
	finish(&b);
	element(&b, on, NFPROTO_BRIDGE, "senders", &sender, sizeof(sender), NULL, 0, 0);
	element(&b, on, NFPROTO_INET, "ports", &from, sizeof(from), &to, sizeof(to), NLM_F_ACK);
	begin(&b, NFNL_MSG_BATCH_END, 0, &edge, sizeof(edge));
	finish(&b);
	call(nft, &b, on ? "putting elements in" : "taking elements out");
}

void net_join(pid_t pid)
{
	hold_port();
	make_pair(pid);
	change_elements(1);
}

void net_leave(void)
{
	change_elements(0);
	close(held);
	count++;
}

/* ---- inside ---- */

void net_settle(int sock, int proc_root)
{
	struct buf b = {.len = 0};
	struct ifreq r = {.ifr_name = INNER};
	const uint32_t own = address(), gateway = htonl(0x0a580001);
	int off = (int) must(openat(proc_root, "proc/sys/net/ipv6/conf/" INNER "/disable_ipv6", O_WRONLY | O_CLOEXEC), "disable_ipv6");
	must(write(off, "1", 1), "disable_ipv6");
	close(off);
	must(ioctl(sock, SIOCGIFINDEX, &r), INNER);
	const uint32_t index = (uint32_t) r.ifr_ifindex;
	int inner = (int) must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "rtnetlink");
	begin(&b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &(struct ifaddrmsg) {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = index}, sizeof(struct ifaddrmsg));
	put(&b, IFA_LOCAL, &own, 4);
	put(&b, IFA_ADDRESS, &own, 4);
	finish(&b);
	begin(&b, RTM_NEWLINK, 0, &(struct ifinfomsg) {.ifi_index = (int) index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP}, sizeof(struct ifinfomsg));
	finish(&b);
	begin(&b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
	      &(struct rtmsg) {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST}, sizeof(struct rtmsg));
	put(&b, RTA_GATEWAY, &gateway, 4);
	put(&b, RTA_OIF, &index, 4);
	finish(&b);
	call(inner, &b, "address and route");
	close(inner);
}
