/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/netdev.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define MESSAGE_MAX 1024
#define ANSWER_MAX 32768 /* what the kernel fills at most per dump message (rtnetlink(7)) */

struct request {
	_Alignas(NLMSG_ALIGNTO) char bytes[MESSAGE_MAX];
};

static struct nlmsghdr *begin(struct request *r, uint16_t type, uint16_t flags, size_t body)
{
	memset(r, 0, sizeof(*r));
	struct nlmsghdr *h = (struct nlmsghdr *) r->bytes;
	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags);
	h->nlmsg_len = (uint32_t) NLMSG_LENGTH(body);
	return h;
}

/* Ours are all small: what does not fit is a mistake of the caller's. */
static void put(struct nlmsghdr *h, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *) ((char *) h + NLMSG_ALIGN(h->nlmsg_len));
	assert(NLMSG_ALIGN(h->nlmsg_len) + RTA_SPACE(len) <= MESSAGE_MAX);
	a->rta_type = type;
	a->rta_len = (uint16_t) RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	h->nlmsg_len = (uint32_t) (NLMSG_ALIGN(h->nlmsg_len) + RTA_SPACE(len));
}

int netdev_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return fd < 0 ? -errno : fd;
}

static int request(int sock, const struct nlmsghdr *h)
{
	_Alignas(NLMSG_ALIGNTO) char answer[4096];
	if (send(sock, h, h->nlmsg_len, 0) < 0)
		return -errno;
	ssize_t n = recv(sock, answer, sizeof(answer), 0);
	const struct nlmsghdr *a = (const struct nlmsghdr *) answer;
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(a, (uint32_t) n) || a->nlmsg_type != NLMSG_ERROR || a->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return -EBADMSG;
	return ((const struct nlmsgerr *) NLMSG_DATA(a))->error;
}

int netdev_index(int sock, const char *name)
{
	struct ifreq r = {0};
	_cleanup_close_ int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (any < 0)
		return -errno;
	if (str_copy(r.ifr_name, sizeof(r.ifr_name), name) < 0)
		return -ENODEV;
	return ioctl(any, SIOCGIFINDEX, &r) < 0 ? -errno : r.ifr_ifindex;
}

static void take_address(const struct nlmsghdr *h, int index, struct netdev_addresses *ret, int *error)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	struct netdev_address a = {.family = m->ifa_family, .prefix = m->ifa_prefixlen};
	const size_t size = a.family == AF_INET ? 4 : 16;
	uint32_t flags = m->ifa_flags;
	bool has = false;
	if ((int) m->ifa_index != index || m->ifa_scope != RT_SCOPE_UNIVERSE || (a.family != AF_INET && a.family != AF_INET6))
		return;
	unsigned left = (unsigned) IFA_PAYLOAD(h);
	for (const struct rtattr *t = IFA_RTA(m); RTA_OK(t, left); t = RTA_NEXT(t, left)) {
		size_t len = RTA_PAYLOAD(t);
		if (t->rta_type == IFA_FLAGS && len >= 4)
			memcpy(&flags, RTA_DATA(t), 4);
		/* IFA_LOCAL where there is one: IFA_ADDRESS is the peer's on a point-to-point link */
		if ((t->rta_type == IFA_LOCAL || (t->rta_type == IFA_ADDRESS && !has)) && len == size) {
			memcpy(a.local, RTA_DATA(t), size);
			has |= t->rta_type == IFA_LOCAL;
		}
		if (t->rta_type == IFA_BROADCAST && len == 4)
			memcpy(a.broadcast, RTA_DATA(t), 4);
	}
	if (!(flags & IFA_F_PERMANENT))
		return;
	if (ret->n == NETDEV_ADDRESSES_MAX)
		*error = -E2BIG;
	else
		ret->v[ret->n++] = a;
}

int netdev_addresses(int sock, int index, struct netdev_addresses *ret)
{
	struct request r;
	struct nlmsghdr *h = begin(&r, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	_Alignas(NLMSG_ALIGNTO) char answer[ANSWER_MAX];
	int error = 0;
	ret->n = 0;
	if (send(sock, h, h->nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(sock, answer, sizeof(answer), 0);
		if (n < 0)
			return -errno;
		unsigned left = (unsigned) n;
		for (const struct nlmsghdr *m = (const struct nlmsghdr *) answer; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
			if (m->nlmsg_type == NLMSG_DONE)
				return error;
			if (m->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *) NLMSG_DATA(m))->error;
			if (m->nlmsg_type == RTM_NEWADDR)
				take_address(m, index, ret, &error);
		}
	}
}

static struct nlmsghdr *link_request(struct request *r, int index, unsigned flags, unsigned change)
{
	struct nlmsghdr *h = begin(r, RTM_NEWLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
	*(struct ifinfomsg *) NLMSG_DATA(h) = (struct ifinfomsg) {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = flags, .ifi_change = change};
	return h;
}

int netdev_move(int sock, int index, int netns_fd, const char *name)
{
	struct request r;
	struct nlmsghdr *h = link_request(&r, index, 0, 0);
	if (strlen(name) >= IFNAMSIZ)
		return -EINVAL;
	uint32_t fd = (uint32_t) netns_fd;
	put(h, IFLA_NET_NS_FD, &fd, sizeof(fd));
	put(h, IFLA_IFNAME, name, strlen(name) + 1);
	return request(sock, h);
}

int netdev_up(int sock, int index)
{
	struct request r;
	return request(sock, link_request(&r, index, IFF_UP, IFF_UP));
}

int netdev_add_address(int sock, int index, const struct netdev_address *a)
{
	static const uint8_t none[4];
	struct request r;
	const size_t size = a->family == AF_INET ? 4 : 16;
	struct nlmsghdr *h = begin(&r, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifaddrmsg));
	*(struct ifaddrmsg *) NLMSG_DATA(h) = (struct ifaddrmsg) {.ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_scope = RT_SCOPE_UNIVERSE, .ifa_index = (unsigned) index};
	put(h, IFA_LOCAL, a->local, size);
	put(h, IFA_ADDRESS, a->local, size);
	if (a->family == AF_INET && memcmp(a->broadcast, none, 4) != 0)
		put(h, IFA_BROADCAST, a->broadcast, 4);
	return request(sock, h);
}
