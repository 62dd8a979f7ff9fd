/* SPDX-License-Identifier: Apache-2.0 */
/* The two sockets of the server in a container's network namespace. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "dns/dns.h"
#include "kernel/lo_port.h"

#define TRIES 16       /* for one port that is free for UDP and TCP: both are, in a namespace that has just been made */
#define TCP_BACKLOG 64

static int bound(int type, struct sockaddr_in *address)
{
	_cleanup_close_ int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*address);
	if (fd < 0 || bind(fd, (const struct sockaddr *) address, sizeof(*address)) < 0 || getsockname(fd, (struct sockaddr *) address, &len) < 0)
		return -errno;
	return take_fd(&fd);
}

static int open_pair(int ret[DNS_SOCKETS], uint16_t *ret_port)
{
	for (int i = 0;; i++) {
		struct sockaddr_in a = {.sin_family = AF_INET};
		(void) inet_pton(AF_INET, DNS_ADDRESS, &a.sin_addr);
		_cleanup_close_ int udp = bound(SOCK_DGRAM, &a);
		if (udp < 0)
			return udp;
		_cleanup_close_ int tcp = bound(SOCK_STREAM, &a);
		if (tcp == -EADDRINUSE && i < TRIES)
			continue;
		if (tcp < 0)
			return tcp;
		if (listen(tcp, TCP_BACKLOG) < 0)
			return -errno;
		*ret_port = ntohs(a.sin_port);
		ret[DNS_UDP] = take_fd(&udp);
		ret[DNS_TCP] = take_fd(&tcp);
		return 0;
	}
}

/* The address is lo's, and a socket that is bound before it is there would answer from another one. */
static int lo_up(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return -errno;
	/* even if it is up: somebody else may be in the middle of it, with the address still to come, and setting waits for that */
	r.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &r) < 0 ? -errno : 0;
}

int dns_open(int ret[DNS_SOCKETS])
{
	int sockets[DNS_SOCKETS] = {-EBADF, -EBADF};
	uint16_t port = 0;
	struct in_addr a;
	(void) inet_pton(AF_INET, DNS_ADDRESS, &a);
	int r = lo_up();
	r = r < 0 ? r : open_pair(sockets, &port);
	if (r < 0)
		return r;
	r = lo_port_show(a, 53, port);
	for (int i = 0; i < DNS_SOCKETS; i++)
		if (r < 0)
			(void) close(sockets[i]);
		else
			ret[i] = sockets[i];
	return r;
}

int dns_open_at(int netns_fd, int ret[DNS_SOCKETS])
{
	_cleanup_close_ int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0 || setns(netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	int r = dns_open(ret);
	if (setns(home, CLONE_NEWNET) < 0)
		abort(); /* a thread that is lost in a container must not go on */
	return r;
}
