/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/device_filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"

static const struct bpf_device_rule refuse_all = {.allow = false, .type = 'a', .major = -1, .minor = -1, .access = BPF_DEVICE_ALL};

/* config-linux.md "Default Devices", and mknod of anything: a node that cannot be opened harms nobody, and tar makes them. */
static const struct bpf_device_rule defaults[] = {
	{true, 'c', -1, -1, BPF_DEVICE_MKNOD}, {true, 'b', -1, -1, BPF_DEVICE_MKNOD},
	{true, 'c', 1, 3, BPF_DEVICE_ALL},  /* null */
	{true, 'c', 1, 5, BPF_DEVICE_ALL},  /* zero */
	{true, 'c', 1, 7, BPF_DEVICE_ALL},  /* full */
	{true, 'c', 1, 8, BPF_DEVICE_ALL},  /* random */
	{true, 'c', 1, 9, BPF_DEVICE_ALL},  /* urandom */
	{true, 'c', 5, 0, BPF_DEVICE_ALL},  /* tty */
	{true, 'c', 5, 1, BPF_DEVICE_ALL},  /* console */
	{true, 'c', 5, 2, BPF_DEVICE_ALL},  /* ptmx */
	{true, 'c', 136, -1, BPF_DEVICE_ALL}, /* pts */
};

static unsigned access_bits(const char *access)
{
	unsigned bits = 0;
	for (const char *p = access; *p; p++)
		bits |= *p == 'm' ? BPF_DEVICE_MKNOD : *p == 'r' ? BPF_DEVICE_READ : *p == 'w' ? BPF_DEVICE_WRITE : 0;
	return *access ? bits : BPF_DEVICE_ALL;
}

static bool is_whole(const struct bpf_device_rule *r)
{
	return r->type == 'a' && r->major < 0 && r->minor < 0 && r->access == BPF_DEVICE_ALL;
}

int device_filter_rules(const struct resources_spec *r, bool foreign, struct bpf_device_rule **ret, size_t *ret_n, struct err *err)
{
	struct bpf_device_rule *v = calloc(r->n_devices + ARRAY_LEN(defaults) + 1, sizeof(*v));
	size_t n = 1, whole = 0;
	if (!v)
		return err_oom(err);
	v[0] = refuse_all;
	for (size_t i = 0; i < r->n_devices; i++) {
		const struct device_rule *d = &r->devices[i];
		v[n] = (struct bpf_device_rule) {.allow = d->allow, .type = d->type, .major = d->major, .minor = d->minor, .access = access_bits(d->access)};
		if (is_whole(&v[n]))
			whole = n;
		n++;
	}
	/* what stands before a rule for everything is past */
	memmove(v, v + whole, (n - whole) * sizeof(*v));
	n -= whole;
	if (foreign && !v[0].allow) {
		memcpy(v + n, defaults, sizeof(defaults));
		n += ARRAY_LEN(defaults);
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

static bool meet(int64_t a, int64_t b)
{
	return a < 0 || b < 0 || a == b;
}

/* Whether exception @e stands in the way of @r, which says the opposite: they meet, and taking @r's bits from @e would leave something of @r unsaid. */
static bool in_the_way(const struct bpf_device_rule *e, const struct bpf_device_rule *r)
{
	bool same = e->type == r->type && e->major == r->major && e->minor == r->minor;
	return e->access & r->access && (e->type == r->type || e->type == 'a' || r->type == 'a') && meet(e->major, r->major) && meet(e->minor, r->minor) && !same;
}

int device_filter_fits_v1(const struct bpf_device_rule *rules, size_t n)
{
	bool base = false;
	size_t first = 0;
	for (size_t i = 0; i < n; i++) {
		if (is_whole(&rules[i])) {
			base = rules[i].allow;
			first = i + 1;
			continue;
		}
		if (rules[i].allow != base)
			continue; /* one more exception */
		for (size_t e = first; e < i; e++)
			if (rules[e].allow != base && in_the_way(&rules[e], &rules[i]))
				return (int) i;
	}
	return -1;
}

static void number_or_star(char *buf, size_t size, int64_t v)
{
	if (v < 0)
		(void) snprintf(buf, size, "*");
	else
		(void) snprintf(buf, size, "%lld", (long long) v);
}

static void rule_text(const struct bpf_device_rule *r, char type, char *buf, size_t size)
{
	char major[24], minor[24];
	number_or_star(major, sizeof(major), r->major);
	number_or_star(minor, sizeof(minor), r->minor);
	(void) snprintf(buf, size, "%c %s:%s %s%s%s", type, major, minor, r->access & BPF_DEVICE_READ ? "r" : "", r->access & BPF_DEVICE_WRITE ? "w" : "",
			r->access & BPF_DEVICE_MKNOD ? "m" : "");
}

/* One write a rule (cgroup-v1/devices.rst); v1's own "a" is everything, so a narrower one is said for both types. */
static int write_rule(int dfd, const struct bpf_device_rule *r, struct err *err)
{
	const char *file = r->allow ? "devices.allow" : "devices.deny";
	char text[96] = "a";
	const char *types = is_whole(r) ? "a" : r->type == 'a' ? "bc" : r->type == 'b' ? "b" : "c";
	for (const char *t = types; *t && r->access; t++) {
		if (*t != 'a')
			rule_text(r, *t, text, sizeof(text));
		int e = write_file(dfd, file, text);
		if (e < 0)
			return err_sys(err, e, "linux.resources.devices: writing '%s' to %s", text, file);
	}
	return 0;
}

static int apply_v1(int dfd, const struct bpf_device_rule *rules, size_t n, struct err *err)
{
	int bad = device_filter_fits_v1(rules, n);
	if (bad >= 0) {
		char text[96];
		rule_text(&rules[bad], rules[bad].type, text, sizeof(text));
		return err_set(err, ERR_UNSUPPORTED, "linux.resources.devices: cgroup v1 cannot %s '%s' out of a wider or narrower rule before it", rules[bad].allow ? "allow" : "deny", text);
	}
	for (size_t i = 0; i < n; i++) {
		int r = write_rule(dfd, &rules[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_v2(int dfd, const struct bpf_device_rule *rules, size_t n, struct err *err)
{
	if (n == 1 && rules[0].allow && bpf_device_count(dfd) == 0)
		return 0; /* everything is allowed as it is; no program says so too */
	struct bpf_insn *insns;
	char log[512] = "";
	int len = bpf_device_program(rules, n, &insns);
	if (len < 0)
		return err_set(err, ERR_INVALID, "linux.resources.devices: %s", len == -E2BIG ? "too many rules" : len == -ENOMEM ? "out of memory" : "a rule that fits no device");
	_cleanup_close_ int prog = bpf_device_load(insns, (size_t) len, log, sizeof(log));
	free(insns);
	if (prog < 0) {
		log[strcspn(log, "\n")] = '\0';
		return err_sys(err, prog, "linux.resources.devices: loading the device filter (bpf(2))%s%.200s", *log ? ": " : "", log);
	}
	int r = bpf_device_attach(dfd, prog);
	return r < 0 ? err_sys(err, r, "linux.resources.devices: attaching the device filter") : 0;
}

int device_filter_apply(const struct cgroup *cg, const struct resources_spec *r, bool foreign, struct err *err)
{
	_cleanup_free_ struct bpf_device_rule *rules = NULL;
	size_t n;
	if (r->n_devices == 0)
		return 0;
	int version, dfd = cgroup_dir(cg, CG_DEVICES, &version);
	if (dfd < 0)
		return err_set(err, ERR_UNSUPPORTED, "linux.resources.devices: this host has neither a v1 devices cgroup nor cgroup v2 to keep devices closed with");
	int e = device_filter_rules(r, foreign, &rules, &n, err);
	if (e < 0)
		return e;
	return version == 1 ? apply_v1(dfd, rules, n, err) : apply_v2(dfd, rules, n, err);
}
