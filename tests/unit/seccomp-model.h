/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the seccomp tests share: a model that evaluates a profile rule by rule as profile.h words it (M1-M5, C1-C3), and the
 * calls worth asking about: every number, and for numbers with conditions the values around each boundary.
 */
#pragma once

#include <linux/seccomp.h>

#include "seccomp/compile.h"

/** model_verdict() - what @p says to @d in @env, straight from the rules. */
uint32_t model_verdict(const struct seccomp_profile *p, const struct seccomp_env *env, const struct seccomp_data *d);
/** model_rule_counts() - includes and excludes. */
bool model_rule_counts(const struct seccomp_rule *r, const struct seccomp_env *env, enum seccomp_arch arch);
/** model_each_call() - call @fn for every number 0..1023 of @arch, for x32 and odd numbers, and for boundary arguments where @p has
 *  conditions. Stops when @fn returns non-zero. Return: that, or 0. */
int model_each_call(const struct seccomp_profile *p, enum seccomp_arch arch, int (*fn)(const struct seccomp_data *d, void *ctx), void *ctx);
/** model_random() - xorshift: the same sequence everywhere. */
uint64_t model_random(uint64_t *state);
/** model_random_profile() - a profile text (caller frees) drawn from @state. @clean: rules of one call never overlap with different
 * verdicts, which is where libseccomp's answer depends on its own ordering. */
char *model_random_profile(uint64_t *state, bool clean);
/** hand_profiles - hand-written profiles, NULL-terminated; one feature each, named in its comment. */
extern const char *const hand_profiles[];
