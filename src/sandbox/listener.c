/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/listener.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/process.h"

static int fetch(struct listener_page *page, struct err *err)
{
	usec_t end = now_usec() + LISTENER_WAIT;
	while (atomic_load(&page->state) == LISTENER_NONE && now_usec() < end)
		(void) nanosleep(&(struct timespec) {.tv_nsec = 20000}, NULL);
	if (atomic_load(&page->state) != LISTENER_LOADED)
		return err_set(err, ERR_SYSTEM, "linux.seccomp: loading the filter with a listener: %s", page->fd < 0 ? strerror(-page->fd) : "the process did not say");
	_cleanup_close_ int pidfd = process_pidfd(page->pid);
	int fd = pidfd < 0 ? pidfd : (int) syscall(SYS_pidfd_getfd, pidfd, page->fd, 0);
	return fd < 0 ? err_sys(err, pidfd < 0 ? pidfd : -errno, "linux.seccomp: fetching the listener") : fd;
}

static int send_to_agent(const struct listener_page *page, int fd, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_close_ int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return err_sys(err, -errno, "socket");
	(void) str_copy(a.sun_path, sizeof(a.sun_path), page->path); /* the same size */
	if (connect(sock, (struct sockaddr *) &a, sizeof(a)) < 0)
		return err_sys(err, -errno, "linux.seccomp.listenerPath: '%s'", page->path);
	int r = send_fds(sock, page->json, strnlen(page->json, sizeof(page->json)), &fd, 1);
	return r < 0 ? err_sys(err, r, "linux.seccomp.listenerPath: sending the listener to '%s'", page->path) : 0;
}

int listener_serve(int mem_fd, struct err *err)
{
	struct stat st;
	if (fstat(mem_fd, &st) < 0 || st.st_size < (off_t) sizeof(struct listener_page))
		return err_sys(err, -EBADMSG, "the listener's memory");
	struct listener_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, mem_fd, 0);
	if (page == MAP_FAILED)
		return err_sys(err, -errno, "the listener's memory");
	_cleanup_close_ int fd = fetch(page, err);
	int r = fd < 0 ? fd : send_to_agent(page, fd, err);
	atomic_store(&page->state, r < 0 ? LISTENER_FAILED : LISTENER_SENT);
	(void) munmap(page, sizeof(*page));
	return r;
}
