/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

bool fault_on;
static struct fault_page *page;

/* the linker's names for the section's ends; weak: a program may have no point */
extern const char *const __start_fault_points[] __attribute__((weak));
extern const char *const __stop_fault_points[] __attribute__((weak));

void fault_init(void)
{
	const char *path = getenv("COFFER_FAULT");
	struct stat st;
	if (!path)
		return;
	_cleanup_close_ int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t) sizeof(*page))
		return;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fault_on = page != MAP_FAILED && page->magic == FAULT_MAGIC;
}

static void record(const char *name)
{
	uint32_t at = __atomic_fetch_add(&page->n_log, 1, __ATOMIC_RELAXED);
	if (at >= FAULT_LOG_MAX)
		return;
	page->log[at].pid = getpid();
	(void) str_copy(page->log[at].name, FAULT_NAME_MAX, name); /* names are shorter */
}

static void hold(void)
{
	page->pid = getpid();
	__atomic_store_n(&page->state, FAULT_HELD, __ATOMIC_RELEASE);
	while (__atomic_load_n(&page->state, __ATOMIC_ACQUIRE) == FAULT_HELD) {
		const struct timespec soon = {.tv_nsec = 2000000};
		(void) nanosleep(&soon, NULL); /* the harness writes a file: nobody wakes a futex */
	}
}

/* Only the nth process that comes here is the one. */
static bool is_mine(const char *name)
{
	if (__atomic_load_n(&page->state, __ATOMIC_ACQUIRE) != FAULT_ARMED || strncmp(page->name, name, FAULT_NAME_MAX) != 0)
		return false;
	if (__atomic_sub_fetch(&page->nth, 1, __ATOMIC_ACQ_REL) != 0)
		return false;
	uint32_t armed = FAULT_ARMED;
	return __atomic_compare_exchange_n(&page->state, &armed, FAULT_RELEASED, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

int fault_hit(const char *name)
{
	record(name);
	if (!is_mine(name))
		return 0;
	const struct timespec delay = {.tv_sec = page->value / 1000, .tv_nsec = page->value % 1000 * 1000000L};
	switch (page->action) {
	case FAULT_HOLD:
		hold();
		return 0;
	case FAULT_KILL:
		(void) kill(getpid(), SIGKILL);
		return 0; /* a pid 1 is still there */
	case FAULT_FAIL:
		return -page->value;
	case FAULT_DELAY:
		(void) nanosleep(&delay, NULL);
		return 0;
	default:
		return 0;
	}
}

int fault_hit_err(const char *name, struct err *err)
{
	int r = fault_hit(name);
	return r < 0 ? err_sys(err, r, "made to fail at '%s'", name) : 0;
}

int fault_list(void)
{
	for (const char *const *p = __start_fault_points; p < __stop_fault_points; p++) {
		char line[FAULT_NAME_MAX + 1];
		int n = str_format(line, sizeof(line), "%s\n", *p);
		int r = n < 0 ? n : write_all(STDOUT_FILENO, line, (size_t) n);
		if (r < 0)
			return r;
	}
	return 0;
}
