/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A long sequence is a table of named steps (STYLE 26): the loop times each one when asked, makes a chosen one fail for the
 * fail-closed tests (P5), and puts the step's layer in front of its error. Every layer of confinement is a step of its own, so
 * that "which layer could not be applied" is always known.
 */
#pragma once

#include "base/err.h"

struct step {
	const char *name; /* for tests and traces: "seccomp" */
	const char *what; /* for people: "loading the seccomp filter" */
	int (*fn)(void *ctx, struct err *err);
};

struct step_table {
	const struct step *v;
	size_t n;
};

/* A row; the function may take its own context type. */
#define STEP(name_, what_, fn_) {name_, what_, (int (*)(void *, struct err *)) (fn_)}

/** steps_run() - run @n steps in order until one fails. @fail: name of a step that must fail (NULL: none). @trace_fd: each
 *  step's microseconds go there as text lines (-EBADF: nowhere). Return: 0, or the step's error, wrapped in "what: ". */
int steps_run(const struct step *steps, size_t n, void *ctx, const char *fail, int trace_fd, struct err *err);

/** sandbox_steps() - every step's name, creator's then init's then exec's, for `coffer-monitor --list-steps`. NULL-terminated. */
const char *const *sandbox_steps(void);
