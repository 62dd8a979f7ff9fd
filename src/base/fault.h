/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named points of the sequences that must survive a kill -9 at any instruction (P8): the harness (tests/e2e/faults.py) walks all of
 * them. A point costs one test of a static bool unless the program was started with COFFER_FAULT=FILE, where FILE is a page that the
 * harness made, and that every process of one engine maps: CLI, daemon, monitor, creator and container's init. The mapping outlives
 * fork, close_range and pivot_root, needs no descriptor, and can be armed anew while everything runs.
 *
 *   the harness                            the process that comes to the armed point
 *     name, action, nth, state = ARMED -->
 *                                    <---  state = HELD, pid; waits                        (FAULT_HOLD)
 *     kills whom it wants to
 *     state = RELEASED              --->   goes on
 *
 * A held process is killed from outside, since a pid 1 cannot kill itself; the others end at once (FAULT_KILL), fail (FAULT_FAIL) or are
 * slow (FAULT_DELAY). Whatever is armed, every point that is passed is written into the page's log: one that no test passes is a
 * failure of the harness.
 */
#pragma once

#include "base/err.h"

#define FAULT_MAGIC 0x31544c46 /* "FLT1" */
#define FAULT_NAME_MAX 48
#define FAULT_LOG_MAX 4000

enum fault_action { FAULT_NONE, FAULT_HOLD, FAULT_KILL, FAULT_FAIL, FAULT_DELAY };
enum fault_state { FAULT_IDLE, FAULT_ARMED, FAULT_HELD, FAULT_RELEASED };

/* The file's content; tests/e2e/faults.py has the same. */
struct fault_page {
	uint32_t magic;
	uint32_t action; /* enum fault_action */
	int32_t value;	 /* FAULT_FAIL: errno; FAULT_DELAY: ms */
	uint32_t nth;	 /* 1: the first process that comes there */
	uint32_t state;	 /* enum fault_state */
	int32_t pid;	 /* of the held process, in its own pid namespace */
	uint32_t n_log;	 /* may exceed FAULT_LOG_MAX: the rest is lost */
	uint32_t pad;
	char name[FAULT_NAME_MAX]; /* the armed point */
	struct {
		int32_t pid;
		char name[FAULT_NAME_MAX];
	} log[FAULT_LOG_MAX];
};

extern bool fault_on;

/** fault_init() - first thing in main(): map COFFER_FAULT's page, if there is one. */
void fault_init(void);
/** fault_hit() - the process is at @name. Return: 0, or -errno when it is to fail. Async-signal-safe. */
int fault_hit(const char *name);
/** fault_hit_err() - the same with @err filled. */
int fault_hit_err(const char *name, struct err *err);
/** fault_list() - print the names of the points of this program, one a line, on stdout. Return: 0 or -errno. */
int fault_list(void);

/* Every point has a row in a section of its own; that is how the program knows them all. */
#define FAULT_ROW_(name_)                                                                                                                  \
	static const char *const fault_row_ __attribute__((used, section("fault_points"))) = (name_)

/** fault_mark() - a point that can be killed, held or delayed at, but that cannot fail. */
#define fault_mark(name_)                                                                                                                  \
	do {                                                                                                                               \
		FAULT_ROW_(name_);                                                                                                         \
		if (__builtin_expect(fault_on, 0))                                                                                         \
			(void) fault_hit(fault_row_);                                                                                      \
	} while (0)

/** fault_point() - one that can fail, too. Return: 0, or <0 with @err filled. */
#define fault_point(name_, err)                                                                                                            \
	({                                                                                                                                 \
		FAULT_ROW_(name_);                                                                                                         \
		__builtin_expect(fault_on, 0) ? fault_hit_err(fault_row_, err) : 0;                                                        \
	})
