/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile text to struct seccomp_profile. Every refusal names the field, its value and the rule it is in ("syscalls[3]:
 * args[0]: op: unknown 'SCMP_CMP_XX'"); nothing is guessed.
 */
#include "seccomp/profile.h"

#include <errno.h>
#include <linux/seccomp.h>

#include "base/num.h"
#include "codec/json.h"
#include "seccomp/internal.h"

#define LIST_MAX 256 /* architectures, capabilities, flags */

static void rule_done(struct seccomp_rule *r)
{
	(void) strv_free((char **) r->names);
	free((void *) r->conds);
}

struct seccomp_profile *seccomp_profile_free(struct seccomp_profile *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->n_rules; i++)
		rule_done((struct seccomp_rule *) &p->rules[i]);
	free((void *) p->rules);
	free(p->listener_path);
	free(p->listener_metadata);
	free(p);
	return NULL;
}

void seccomp_profile_freep(struct seccomp_profile **p)
{
	*p = seccomp_profile_free(*p);
}

/* Unknown keys: refused when they say something, passed when they are empty (R15). */
static bool json_says_nothing(const struct json *v)
{
	switch (json_kind(v)) {
	case JSON_KIND_ABSENT:
	case JSON_KIND_NULL:
		return true;
	case JSON_KIND_BOOL:
		return !json_bool(v, true);
	case JSON_KIND_STRING:
		return !*json_str(v, "x");
	case JSON_KIND_ARRAY:
	case JSON_KIND_OBJECT:
		return json_len(v) == 0;
	default:
		return false;
	}
}

static int check_keys(const struct json *obj, const char *const *known, struct err *err)
{
	JSON_FOREACH_MEMBER(key, val, obj)
	{
		bool found = json_says_nothing(val);
		for (size_t i = 0; known[i] && !found; i++)
			found = str_eq(known[i], key);
		if (!found)
			return err_set(err, ERR_INVALID, "%.100s: no such field in a seccomp profile; remove it or correct its name", key);
	}
	return 0;
}

/* What may stand where: known keys, and those whose value is an object, or a list of objects, with a shape of its own. */
struct shape {
	const char *const *keys; /* NULL-terminated */
	struct {
		const char *key;
		const struct shape *shape;
	} inside[3]; /* ends with a NULL key when there are fewer */
};
#define KEYS(...) (const char *const[]){__VA_ARGS__, NULL}
static const struct shape cond_shape = {.keys = KEYS("index", "value", "valueTwo", "op")};
static const struct shape gate_shape = {.keys = KEYS("caps", "arches", "minKernel")};
static const struct shape arch_shape = {.keys = KEYS("architecture", "subArchitectures")};
static const struct shape rule_shape = {.keys = KEYS("names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes"),
					.inside = {{"args", &cond_shape}, {"includes", &gate_shape}, {"excludes", &gate_shape}}};
static const struct shape profile_shape = {.keys = KEYS("defaultAction", "defaultErrnoRet", "defaultErrno", "archMap", "architectures", "flags", "listenerPath", "listenerMetadata",
							"syscalls", "comment", "$schema"),
					   .inside = {{"syscalls", &rule_shape}, {"archMap", &arch_shape}}};

static int check_tree(const struct json *obj, const struct shape *shape, struct err *err)
{
	int r = check_keys(obj, shape->keys, err);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(shape->inside) && shape->inside[i].key; i++) {
		const struct json *v = json_get_fold(obj, shape->inside[i].key);
		r = check_tree(v, shape->inside[i].shape, err);
		if (r < 0)
			return err_wrap(err, "%s", shape->inside[i].key);
		if (json_kind(v) != JSON_KIND_ARRAY)
			continue;
		JSON_FOREACH(e, k, v) {
			r = check_tree(e, shape->inside[i].shape, err);
			if (r < 0)
				return err_wrap(err, "%s[%zu]", shape->inside[i].key, k);
		}
	}
	return r;
}

static int strv_bounded(const struct json *obj, const char *key, size_t max, char ***ret, struct err *err)
{
	int r = json_read_strv(obj, key, ret, err);
	if (r < 0)
		return r;
	if (strv_len(*ret) > max)
		return err_set(err, ERR_INVALID, "%s: %zu entries, at most %zu are taken", key, strv_len(*ret), max);
	return 0;
}

/* An action with its errno: "action" + "errnoRet" (docker, OCI) or "errno" by name (podman). */
static int read_action(const struct json *obj, const char *k_action, const char *k_ret, const char *k_name, uint32_t *ret, struct err *err)
{
	const char *name = NULL, *errname = NULL;
	int64_t data = -1;
	int r = json_read_str(obj, k_action, &name, err);
	if (r >= 0)
		r = json_read_str(obj, k_name, &errname, err);
	if (r >= 0)
		r = json_read_i64(obj, k_ret, &data, err);
	if (r < 0)
		return r;
	if (str_empty(name))
		return err_set(err, ERR_INVALID, "%s: missing; give one of SCMP_ACT_ALLOW, _ERRNO, _KILL_PROCESS, ...", k_action);
	const struct seccomp_action *a = seccomp_action_find(name);
	if (!a)
		return err_set(err, ERR_INVALID, "%s: unknown action '%.100s'", k_action, name);
	bool given = json_kind(json_get(obj, k_ret)) == JSON_KIND_INT;
	if (given && a->data_max == 0)
		return err_set(err, ERR_INVALID, "%s: %lld goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only, not with %s", k_ret,
			       (long long) data, name);
	if (given && (data < 0 || data > a->data_max))
		return err_set(err, ERR_INVALID, "%s: %lld is not within 0..%u", k_ret, (long long) data, a->data_max);
	if (!str_empty(errname)) {
		int e = seccomp_errno_find(errname);
		if (e < 0 || a->data_max == 0)
			return err_set(err, ERR_INVALID, "%s: '%.100s' is no error that %s can return", k_name, errname, name);
		if (given && data != e)
			return err_set(err, ERR_INVALID, "%s: '%s' is %d, but %s is %lld; give one of them", k_name, errname, e, k_ret,
				       (long long) data);
		given = true;
		data = e;
	}
	*ret = a->ret | (a->data_max == 0 ? 0 : given ? (uint32_t) data : EPERM);
	return 0;
}

static int read_op(const struct json *obj, uint8_t *ret, struct err *err)
{
	const char *name = NULL;
	int r = json_read_str(obj, "op", &name, err);
	if (r < 0)
		return r;
	int op = name ? seccomp_op_find(name) : -1;
	if (op < 0)
		return err_set(err, ERR_INVALID, "op: unknown operator '%.100s'; give one of SCMP_CMP_NE, LT, LE, EQ, GE, GT, MASKED_EQ",
			       name ? name : "");
	*ret = (uint8_t) op;
	return 0;
}

static int read_cond(const struct json *obj, struct seccomp_cond *ret, struct err *err)
{
	uint32_t index = UINT32_MAX;
	if (json_kind(obj) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "expected an object, got %s", json_kind_name(json_kind(obj)));
	int r = json_read_u32(obj, "index", &index, err);
	if (r >= 0)
		r = json_read_u64(obj, "value", &ret->value, err);
	if (r >= 0)
		r = json_read_u64(obj, "valueTwo", &ret->value2, err);
	if (r >= 0)
		r = read_op(obj, &ret->op, err);
	if (r < 0)
		return r;
	if (index == UINT32_MAX)
		return err_set(err, ERR_INVALID, "index: missing; give the argument's number, 0..%d", SECCOMP_ARGS - 1);
	if (index >= SECCOMP_ARGS)
		return err_set(err, ERR_INVALID, "index: %u is not within 0..%d", index, SECCOMP_ARGS - 1);
	ret->arg = (uint8_t) index;
	return 0;
}

static int read_conds(const struct json *obj, struct seccomp_rule *rule, struct err *err)
{
	const struct json *arr = NULL;
	int r = json_read_arr(obj, "args", &arr, err);
	size_t n = json_len(arr);
	if (r < 0 || n == 0)
		return r;
	if (n > SECCOMP_CONDS_MAX)
		return err_set(err, ERR_INVALID, "args: %zu conditions, at most %d are taken", n, SECCOMP_CONDS_MAX);
	struct seccomp_cond *conds = calloc(n, sizeof(*conds));
	if (!conds)
		return err_oom(err);
	rule->conds = conds;
	unsigned seen = 0;
	for (size_t i = 0; i < n; i++) {
		r = read_cond(json_at(arr, i), &conds[i], err);
		if (r < 0)
			return err_wrap(err, "args[%zu]", i);
		rule->any = rule->any || (seen & 1u << conds[i].arg);
		seen |= 1u << conds[i].arg;
	}
	rule->n_conds = n;
	return 0;
}

static int read_kernel(const char *text, struct seccomp_gate *g, struct err *err)
{
	char buf[32];
	uint32_t major = 0, minor = 0;
	char *dot = NULL;
	bool ok = str_copy(buf, sizeof(buf), text) == 0 && (dot = strchr(buf, '.')) != NULL;
	if (ok) {
		*dot = 0;
		ok = parse_u32(buf, &major) == 0 && parse_u32(dot + 1, &minor) == 0 && major <= UINT16_MAX && minor <= UINT16_MAX &&
		     major > 0;
	}
	if (!ok)
		return err_set(err, ERR_INVALID, "minKernel: '%.100s' is not of the form MAJOR.MINOR", text);
	g->has_kernel = true;
	g->kernel_major = (uint16_t) major;
	g->kernel_minor = (uint16_t) minor;
	return 0;
}

static int read_gate_arches(const struct json *obj, struct seccomp_gate *g, struct err *err)
{
	_cleanup_strv_ char **v = NULL;
	int r = strv_bounded(obj, "arches", LIST_MAX, &v, err);
	if (r < 0)
		return r;
	STRV_FOREACH(s, v)
	{
		enum seccomp_arch a = seccomp_goarch_find(s);
		g->has_arches = true;
		if (a != SECCOMP_ARCH_INVALID_)
			g->arches |= 1u << a; /* others are architectures that we never compile for */
	}
	return 0;
}

static int read_gate(const struct json *rule, const char *key, struct seccomp_gate *g, struct err *err)
{
	const struct json *obj = NULL;
	_cleanup_strv_ char **caps = NULL;
	const char *kernel = NULL;
	int r = json_read_obj(rule, key, &obj, err);
	if (r < 0 || !obj)
		return r;
	r = read_gate_arches(obj, g, err);
	if (r >= 0)
		r = strv_bounded(obj, "caps", LIST_MAX, &caps, err);
	if (r >= 0)
		r = json_read_str(obj, "minKernel", &kernel, err);
	if (r >= 0 && !str_empty(kernel))
		r = read_kernel(kernel, g, err);
	STRV_FOREACH(s, caps)
	{
		int cap = seccomp_cap_find(s);
		if (r >= 0 && cap < 0)
			r = err_set(err, ERR_INVALID, "caps: unknown capability '%.100s'", s);
		if (r >= 0)
			g->caps |= UINT64_C(1) << cap;
	}
	return r < 0 ? err_wrap(err, "%s", key) : 0;
}

static int read_names(const struct json *obj, struct seccomp_rule *rule, size_t *budget, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	const char *name = NULL;
	int r = strv_bounded(obj, "names", *budget, &names, err);
	if (r >= 0)
		r = json_read_str(obj, "name", &name, err);
	if (r < 0)
		return r;
	if (!str_empty(name) && names)
		return err_set(err, ERR_INVALID, "name: '%.100s' given beside names; give one of them", name);
	if (!str_empty(name) && strv_push(&names, name) < 0)
		return err_oom(err);
	if (!names)
		return err_set(err, ERR_INVALID, "names: empty; give the system calls that the rule is for");
	STRV_FOREACH(s, names)
	if (str_empty(s) || !str_is_plain(s) || strlen(s) > 64)
		return err_set(err, ERR_INVALID, "names: '%.70s' is no system call's name", str_is_plain(s) ? s : "?");
	*budget -= strv_len(names);
	rule->names = (const char *const *) take_ptr(names);
	return 0;
}

static int read_rule(const struct json *obj, struct seccomp_rule *rule, size_t *budget, struct err *err)
{
	if (json_kind(obj) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "expected an object, got %s", json_kind_name(json_kind(obj)));
	int r = read_names(obj, rule, budget, err);
	if (r >= 0)
		r = read_action(obj, "action", "errnoRet", "errno", &rule->ret, err);
	if (r >= 0)
		r = read_conds(obj, rule, err);
	if (r >= 0)
		r = read_gate(obj, "includes", &rule->includes, err);
	if (r >= 0)
		r = read_gate(obj, "excludes", &rule->excludes, err);
	return r;
}

static int read_rules(const struct json *root, struct seccomp_profile *p, struct err *err)
{
	const struct json *arr = NULL;
	size_t budget = SECCOMP_NAMES_MAX;
	int r = json_read_arr(root, "syscalls", &arr, err);
	size_t n = json_len(arr);
	if (r < 0 || n == 0)
		return r;
	if (n > SECCOMP_RULES_MAX)
		return err_set(err, ERR_INVALID, "syscalls: %zu rules, at most %d are taken", n, SECCOMP_RULES_MAX);
	struct seccomp_rule *rules = calloc(n, sizeof(*rules));
	if (!rules)
		return err_oom(err);
	p->rules = rules;
	p->n_rules = n; /* all zeroed, so a half-read array can be freed */
	for (size_t i = 0; i < n; i++) {
		r = read_rule(json_at(arr, i), &rules[i], &budget, err);
		if (r < 0)
			return err_wrap(err, "syscalls[%zu]", i);
	}
	return 0;
}

static int add_arch(struct seccomp_profile *p, const char *name, const char *field, struct err *err)
{
	bool known = false;
	enum seccomp_arch a = seccomp_arch_find(name, &known);
	if (!known)
		return err_set(err, ERR_INVALID, "%s: unknown architecture '%.100s'", field, name);
	if (a != SECCOMP_ARCH_INVALID_)
		p->arches |= 1u << a;
	return 0;
}

static int read_arch_list(const struct json *root, struct seccomp_profile *p, struct err *err)
{
	_cleanup_strv_ char **v = NULL;
	int r = strv_bounded(root, "architectures", LIST_MAX, &v, err);
	STRV_FOREACH(s, v)
	if (r >= 0)
		r = add_arch(p, s, "architectures", err);
	return r;
}

/* docker's archMap: the row of the native architecture brings its sub-architectures. */
static int read_arch_row(const struct json *row, struct seccomp_profile *p, struct err *err)
{
	_cleanup_strv_ char **subs = NULL;
	const char *name = NULL;
	bool known = false;
	if (json_kind(row) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "expected an object, got %s", json_kind_name(json_kind(row)));
	int r = json_read_str(row, "architecture", &name, err);
	if (r >= 0)
		r = strv_bounded(row, "subArchitectures", LIST_MAX, &subs, err);
	if (r < 0)
		return r;
	enum seccomp_arch main_arch = seccomp_arch_find(name ? name : "", &known);
	if (!known)
		return err_set(err, ERR_INVALID, "architecture: unknown architecture '%.100s'", name ? name : "");
	struct seccomp_profile scratch = {0}; /* rows of other architectures are checked, not kept */
	struct seccomp_profile *into = main_arch == seccomp_native_arch() ? p : &scratch;
	r = add_arch(into, name, "architecture", err);
	STRV_FOREACH(s, subs)
	if (r >= 0)
		r = add_arch(into, s, "subArchitectures", err);
	return r;
}

static int read_arches(const struct json *root, struct seccomp_profile *p, struct err *err)
{
	const struct json *map = NULL;
	int r = json_read_arr(root, "archMap", &map, err);
	if (r < 0)
		return r;
	if (json_len(map) > 0 && json_len(json_get(root, "architectures")) > 0)
		return err_set(err, ERR_INVALID, "architectures: given beside archMap; give one of them");
	if (json_len(map) > LIST_MAX)
		return err_set(err, ERR_INVALID, "archMap: %zu entries, at most %d are taken", json_len(map), LIST_MAX);
	JSON_FOREACH(row, i, map)
	{
		r = read_arch_row(row, p, err);
		if (r < 0)
			return err_wrap(err, "archMap[%zu]", i);
	}
	return read_arch_list(root, p, err);
}

static int read_flags(const struct json *root, struct seccomp_profile *p, struct err *err)
{
	_cleanup_strv_ char **v = NULL;
	int r = strv_bounded(root, "flags", LIST_MAX, &v, err);
	STRV_FOREACH(s, v)
	{
		uint32_t bit = seccomp_flag_find(s);
		if (r >= 0 && bit == 0)
			r = err_set(err, ERR_INVALID, "flags: unknown flag '%.100s'", s);
		p->flags |= bit;
	}
	return r;
}

static int read_profile(const struct json *root, struct seccomp_profile *p, bool strict, struct err *err)
{
	if (json_kind(root) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "expected an object, got %s", json_kind_name(json_kind(root)));
	int r = strict ? check_tree(root, &profile_shape, err) : 0;
	if (r >= 0)
		r = read_action(root, "defaultAction", "defaultErrnoRet", "defaultErrno", &p->default_ret, err);
	if (r >= 0)
		r = read_arches(root, p, err);
	if (r >= 0)
		r = read_flags(root, p, err);
	if (r >= 0)
		r = json_read_dup(root, "listenerPath", &p->listener_path, err);
	if (r >= 0)
		r = json_read_dup(root, "listenerMetadata", &p->listener_metadata, err);
	if (r >= 0)
		r = read_rules(root, p, err);
	return r;
}

static int parse(const char *text, size_t len, const char *what, bool strict, struct seccomp_profile **ret, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	int r = json_parse(text, len, SECCOMP_PROFILE_MAX_BYTES, what, &root, err);
	if (r < 0)
		return r;
	_cleanup_seccomp_profile_ struct seccomp_profile *p = calloc(1, sizeof(*p));
	if (!p)
		return err_oom(err);
	r = read_profile(root, p, strict, err);
	if (r < 0)
		return err_wrap(err, "seccomp profile '%.200s'", what);
	*ret = take_ptr(p);
	return 0;
}

int seccomp_profile_parse(const char *text, size_t len, const char *what, struct seccomp_profile **ret, struct err *err)
{
	return parse(text, len, what, /* strict= */ true, ret, err);
}

int seccomp_profile_parse_oci(const char *text, size_t len, const char *what, struct seccomp_profile **ret, struct err *err)
{
	return parse(text, len, what, /* strict= */ false, ret, err);
}
