/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile as docker's JSON. Everything has a word there but SECCOMP_OP_NOT_IN32, which is spelt out: the 32-bit values other
 * than a given few are covered by MASKED_EQ conditions, one for each branch of the binary tree that holds none of them.
 */
#include <errno.h>
#include <linux/seccomp.h>

#include "codec/json.h"
#include "seccomp/internal.h"

static void write_cond(struct json_writer *w, const struct seccomp_cond *c)
{
	jw_obj(w, NULL);
	jw_uint(w, "index", c->arg);
	jw_uint(w, "value", c->value);
	if (c->op == SECCOMP_OP_MASKED_EQ)
		jw_uint(w, "valueTwo", c->value2);
	jw_str(w, "op", seccomp_op_name(c->op));
	jw_end(w);
}

/* Below the prefix (@mask, @bits) at @bit: cut off what holds neither value of @c, descend into what does. */
static void write_not_in32(struct json_writer *w, const struct seccomp_cond *c, uint32_t mask, uint32_t bits, int bit)
{
	bool holds = (c->value & mask) == bits || (c->value2 & mask) == bits;
	if (!holds) {
		write_cond(w, &(struct seccomp_cond){c->arg, SECCOMP_OP_MASKED_EQ, mask, bits});
		return;
	}
	if (bit < 0)
		return;
	uint32_t b = 1u << bit;
	write_not_in32(w, c, mask | b, bits, bit - 1);
	write_not_in32(w, c, mask | b, bits | b, bit - 1);
}

static void write_conds(struct json_writer *w, const struct seccomp_rule *r)
{
	if (r->n_conds == 0)
		return;
	jw_arr(w, "args");
	for (size_t i = 0; i < r->n_conds; i++) {
		if (r->conds[i].op == SECCOMP_OP_NOT_IN32)
			write_not_in32(w, &r->conds[i], 0, 0, 31);
		else
			write_cond(w, &r->conds[i]);
	}
	jw_end(w);
}

static void write_gate(struct json_writer *w, const char *key, const struct seccomp_gate *g)
{
	if (!g->caps && !g->has_arches && !g->has_kernel)
		return;
	jw_obj(w, key);
	if (g->caps) {
		jw_arr(w, "caps");
		for (unsigned c = 0; seccomp_cap_name(c); c++)
			if (g->caps >> c & 1)
				jw_str(w, NULL, seccomp_cap_name(c));
		jw_end(w);
	}
	if (g->has_arches) {
		jw_arr(w, "arches");
		for (int a = 0; a < SECCOMP_ARCH_MAX_; a++)
			if (g->arches >> a & 1)
				jw_str(w, NULL, seccomp_goarch_name(a));
		if (g->arches == 0)
			jw_str(w, NULL, "other"); /* a list of nothing but foreign architectures; an empty one would be no gate at all */
		jw_end(w);
	}
	if (g->has_kernel) {
		char buf[32];
		(void) str_format(buf, sizeof(buf), "%u.%u", g->kernel_major, g->kernel_minor); /* fits: two 16-bit numbers */
		jw_str(w, "minKernel", buf);
	}
	jw_end(w);
}

static void write_action(struct json_writer *w, const char *k_action, const char *k_ret, uint32_t ret)
{
	uint32_t action = ret & SECCOMP_RET_ACTION_FULL;
	jw_str(w, k_action, seccomp_action_name(ret));
	if (action == SECCOMP_RET_ERRNO || action == SECCOMP_RET_TRACE)
		jw_uint(w, k_ret, ret & SECCOMP_RET_DATA);
}

static void write_rule(struct json_writer *w, const struct seccomp_rule *r, bool gates)
{
	jw_obj(w, NULL);
	jw_arr(w, "names");
	for (size_t i = 0; r->names[i]; i++)
		jw_str(w, NULL, r->names[i]);
	jw_end(w);
	write_action(w, "action", "errnoRet", r->ret);
	write_conds(w, r);
	if (gates) {
		write_gate(w, "includes", &r->includes);
		write_gate(w, "excludes", &r->excludes);
	}
	jw_end(w);
}

static void write_flags(struct json_writer *w, uint32_t flags)
{
	uint32_t bit = 0;
	if (!flags)
		return;
	jw_arr(w, "flags");
	for (size_t i = 0; seccomp_flag_name(i, &bit); i++)
		if (flags & bit)
			jw_str(w, NULL, seccomp_flag_name(i, &bit));
	jw_end(w);
}

/* @env: leave out what does not count there, and every gate; NULL: all of it. */
static int write_profile(const struct seccomp_profile *p, const struct seccomp_env *env, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	write_action(&w, "defaultAction", "defaultErrnoRet", p->default_ret);
	jw_arr(&w, "architectures");
	for (int a = 0; a < SECCOMP_ARCH_MAX_; a++)
		if (p->arches >> a & 1)
			jw_str(&w, NULL, seccomp_arch_token(a));
	jw_end(&w);
	write_flags(&w, p->flags);
	if (p->listener_path)
		jw_str(&w, "listenerPath", p->listener_path);
	if (p->listener_metadata)
		jw_str(&w, "listenerMetadata", p->listener_metadata);
	jw_arr(&w, "syscalls");
	for (size_t i = 0; i < p->n_rules; i++)
		if (!env || seccomp_rule_counts(&p->rules[i], env, env->arch))
			write_rule(&w, &p->rules[i], /* gates= */ !env);
	jw_end(&w);
	jw_end(&w);
	int r = strbuf_err(out);
	return r < 0 ? err_sys(err, r, "writing the seccomp profile") : 0;
}

int seccomp_profile_write(const struct seccomp_profile *p, struct strbuf *out, struct err *err)
{
	return write_profile(p, NULL, out, err);
}

int seccomp_profile_write_oci(const struct seccomp_profile *p, const struct seccomp_env *env, struct strbuf *out, struct err *err)
{
	return write_profile(p, env, out, err);
}

int seccomp_default_write_json(struct strbuf *out, struct err *err)
{
	return seccomp_profile_write(seccomp_profile_default(), out, err);
}
