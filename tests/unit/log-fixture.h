/* SPDX-License-Identifier: Apache-2.0 */
/* A monitor's log in a directory of its own. For programs that have cmocka's headers already. */
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "monitor/log.h"

#define T0 1700000000123456789 /* when every record is from */

struct fixture {
	char dir[64];
	int dir_fd;
	struct log *log;
};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	(void) str_copy(f->dir, sizeof(f->dir), "/tmp/coffer-test-log-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->log = calloc(1, sizeof(*f->log));
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	log_close(f->log);
	safe_close(f->dir_fd);
	assert_int_equal(rm_rf_at(AT_FDCWD, f->dir), 0);
	free(f->log);
	free(f);
	return 0;
}
