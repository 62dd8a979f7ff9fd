/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/systemd_properties.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "sandbox/cgroup_knobs.h"
#include "sandbox/device_filter.h"

#define ANNOTATION "org.systemd.property."
#define MASK_BYTES 1024

static void begin(struct strbuf *b, const char *name, const char *signature)
{
	dbus_begin_struct(b);
	dbus_put_str(b, name);
	dbus_put_signature(b, signature);
}

void systemd_put_str(struct strbuf *b, const char *name, const char *value)
{
	begin(b, name, "s");
	dbus_put_str(b, value);
}

void systemd_put_bool(struct strbuf *b, const char *name, bool value)
{
	begin(b, name, "b");
	dbus_put_bool(b, value);
}

void systemd_put_u64(struct strbuf *b, const char *name, uint64_t value)
{
	begin(b, name, "t");
	dbus_put_u64(b, value);
}

void systemd_put_pids(struct strbuf *b, pid_t pid)
{
	begin(b, "PIDs", "au");
	size_t a = dbus_begin_array(b, 4);
	dbus_put_u32(b, (uint32_t) pid);
	dbus_end_array(b, a, 4);
}

uint64_t systemd_cpu_quota(int64_t quota, uint64_t period)
{
	if (quota <= 0)
		return UINT64_MAX;
	unsigned __int128 us = (unsigned __int128) (uint64_t) quota * 1000000 / (period ? period : 100000);
	us = (us + 9999) / 10000 * 10000;
	return us < UINT64_MAX ? (uint64_t) us : UINT64_MAX;
}

int systemd_cpu_mask(const char *list, uint8_t *mask, size_t size)
{
	int used = 0;
	memset(mask, 0, size);
	for (const char *p = list; *p;) {
		char word[32];
		uint32_t first, last;
		size_t n = strcspn(p, ",\n");
		if (n == 0 || n >= sizeof(word))
			return -EINVAL;
		memcpy(word, p, n);
		word[n] = '\0';
		p += n + (p[n] != '\0');
		char *dash = strchr(word, '-');
		if (dash)
			*dash = '\0';
		if (parse_u32(word, &first) < 0 || (dash && parse_u32(dash + 1, &last) < 0))
			return -EINVAL;
		last = dash ? last : first;
		if (last < first || last >= size * 8)
			return -EINVAL;
		for (uint32_t i = first; i <= last; i++)
			mask[i / 8] |= (uint8_t) (1u << i % 8);
		used = MAX(used, (int) (last / 8 + 1));
	}
	return used;
}

static int put_mask(struct strbuf *b, const char *name, const char *list, const char *field, struct err *err)
{
	uint8_t mask[MASK_BYTES];
	int n = systemd_cpu_mask(list, mask, sizeof(mask));
	if (n < 0)
		return err_set(err, ERR_INVALID, "linux.resources.%s: '%s' is no list like 0-3,8", field, list);
	begin(b, name, "ay");
	size_t a = dbus_begin_array(b, 1);
	strbuf_add(b, mask, (size_t) n);
	dbus_end_array(b, a, 1);
	return 0;
}

/* -1 and below: no limit, which systemd writes as the largest number. */
static void put_limit(struct strbuf *b, const char *name, int64_t v)
{
	systemd_put_u64(b, name, v < 0 ? UINT64_MAX : (uint64_t) v);
}

static void put_memory(struct strbuf *b, const struct resources_spec *r, int version)
{
	int64_t swap;
	if (r->has_memory && r->memory != 0)
		put_limit(b, version == 1 ? "MemoryLimit" : "MemoryMax", r->memory);
	if (version == 1)
		return;
	if (r->has_reservation && r->reservation != 0)
		put_limit(b, "MemoryLow", r->reservation);
	if (r->has_swap && r->swap != 0 && cgroup_swap_max(r->has_memory ? r->memory : 0, r->swap, &swap) == 0)
		put_limit(b, "MemorySwapMax", swap);
}

static void put_cpu(struct strbuf *b, const struct resources_spec *r, int version)
{
	bool idle = r->has_idle && r->idle == 1;
	if (r->has_shares && r->shares != 0 && version == 1)
		systemd_put_u64(b, "CPUShares", r->shares);
	else if (r->has_shares && r->shares != 0 && !idle)
		systemd_put_u64(b, "CPUWeight", cgroup_weight_of_shares(r->shares));
	if (idle && version == 2)
		systemd_put_u64(b, "CPUWeight", 0); /* "idle", systemd 252 */
	if (r->has_period && r->period != 0)
		systemd_put_u64(b, "CPUQuotaPeriodUSec", r->period);
	if (r->has_quota && r->quota != 0)
		systemd_put_u64(b, "CPUQuotaPerSecUSec", systemd_cpu_quota(r->quota, r->has_period ? r->period : 0));
}

/* The name that systemd has for all nodes of a major number: "char-pts". Return: 0, -ENOENT. */
static int group_name(const struct bpf_device_rule *d, const char *devices, char *buf, size_t size)
{
	const char *p = strstr(devices, d->type == 'b' ? "Block devices:" : "Character devices:");
	while (p && *(p += strcspn(p, "\n")) && *++p && *p != '\n') {
		unsigned long major;
		char name[64];
		if (sscanf(p, "%lu %63s", &major, name) == 2 && major == (unsigned long) d->major)
			return str_format(buf, size, "%s-%s", d->type == 'b' ? "block" : "char", name) < 0 ? -ENOENT : 0;
	}
	return -ENOENT;
}

static void put_device(struct strbuf *b, const struct bpf_device_rule *d, const char *devices)
{
	char node[96], access[4] = "";
	const char *type = d->type == 'b' ? "block" : "char";
	if (d->major < 0)
		(void) snprintf(node, sizeof(node), "%s-*", type);
	else if (d->minor >= 0)
		(void) snprintf(node, sizeof(node), "/dev/%s/%lld:%lld", type, (long long) d->major, (long long) d->minor);
	else if (group_name(d, devices, node, sizeof(node)) < 0)
		return; /* no driver has that number: no node of it can be opened */
	for (size_t i = 0, n = 0; i < 3; i++)
		if (d->access & (unsigned[]) {BPF_DEVICE_READ, BPF_DEVICE_WRITE, BPF_DEVICE_MKNOD}[i])
			access[n++] = "rwm"[i];
	dbus_begin_struct(b);
	dbus_put_str(b, node);
	dbus_put_str(b, access);
}

/* What is left of the list when each "deny" has taken its bits from the very rule that it repeats. */
static void fold(struct bpf_device_rule *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t e = 0; e < i; e++)
			if (v[e].type == v[i].type && v[e].major == v[i].major && v[e].minor == v[i].minor)
				v[e].access &= ~v[i].access;
}

/* systemd's list can only allow: one that is more than "nothing but these" is left to our own filter, which stands beside systemd's. */
static int put_devices(struct strbuf *b, const struct resources_spec *r, struct err *err)
{
	_cleanup_free_ struct bpf_device_rule *v = NULL;
	_cleanup_free_ char *devices = NULL;
	size_t n;
	int e = device_filter_rules(r, true, &v, &n, err);
	if (e < 0)
		return e;
	if (v[0].allow || device_filter_fits_v1(v, n) >= 0 || read_file(AT_FDCWD, "/proc/devices", 1 << 20, &devices) < 0) {
		systemd_put_str(b, "DevicePolicy", "auto");
		return 0;
	}
	systemd_put_str(b, "DevicePolicy", "strict");
	begin(b, "DeviceAllow", "a(ss)"); /* an empty list forgets the one before */
	dbus_end_array(b, dbus_begin_array(b, 8), 8);
	begin(b, "DeviceAllow", "a(ss)");
	size_t a = dbus_begin_array(b, 8);
	fold(v, n);
	for (size_t i = 1; i < n; i++)
		if (v[i].allow && v[i].access && v[i].type != 'a')
			put_device(b, &v[i], devices);
	dbus_end_array(b, a, 8);
	return 0;
}

/* Those unified files that are one number and have a property: systemd would put its own idea back at the next reload. */
static void put_unified(struct strbuf *b, const struct keyval *kv)
{
	static const char *const names[][2] = {
		{"memory.max", "MemoryMax"},     {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"}, {"memory.min", "MemoryMin"}, {"memory.swap.max", "MemorySwapMax"},
		{"memory.zswap.max", "MemoryZSwapMax"}, {"pids.max", "TasksMax"},      {"cpu.weight", "CPUWeight"},
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		uint64_t v = UINT64_MAX;
		if (str_eq(kv->key, names[i][0]) && (str_eq(kv->value, "max") || parse_u64(kv->value, &v) == 0))
			systemd_put_u64(b, names[i][1], v);
	}
}

int systemd_put_limits(struct strbuf *b, const struct resources_spec *r, int version, bool devices, struct err *err)
{
	int e = 0;
	if (r->has_pids)
		put_limit(b, "TasksMax", r->pids > 0 ? r->pids : -1);
	put_memory(b, r, version);
	put_cpu(b, r, version);
	if (r->has_blkio_weight && r->blkio_weight != 0)
		systemd_put_u64(b, version == 1 ? "BlockIOWeight" : "IOWeight", version == 1 ? r->blkio_weight : cgroup_io_weight_of_blkio(r->blkio_weight));
	if (version == 2 && !str_empty(r->cpus))
		e = put_mask(b, "AllowedCPUs", r->cpus, "cpu.cpus", err);
	if (e == 0 && version == 2 && !str_empty(r->mems))
		e = put_mask(b, "AllowedMemoryNodes", r->mems, "cpu.mems", err);
	for (size_t i = 0; version == 2 && i < r->n_unified; i++)
		put_unified(b, &r->unified[i]);
	return e == 0 && devices && r->n_devices ? put_devices(b, r, err) : e;
}

/* A quoted text at *@p, copied and stepped over. Escapes are not needed for any property. */
static int take_text(const char **p, char *buf, size_t size)
{
	char quote = **p;
	const char *end = quote == '\'' || quote == '"' ? strchr(*p + 1, quote) : NULL;
	if (!end || memchr(*p, '\\', (size_t) (end - *p)) || str_format(buf, size, "%.*s", (int) (end - *p - 1), *p + 1) < 0)
		return -EINVAL;
	*p = end + 1;
	return 0;
}

static int put_texts(struct strbuf *b, const char *name, const char *p)
{
	begin(b, name, "as");
	size_t a = dbus_begin_array(b, 4);
	for (p++, p += strspn(p, " "); *p && *p != ']';) {
		char text[1024];
		if (take_text(&p, text, sizeof(text)) < 0)
			return -EINVAL;
		dbus_put_str(b, text);
		p += strspn(p, " ,");
	}
	dbus_end_array(b, a, 4);
	return str_eq(p, "]") ? 0 : -EINVAL;
}

static int put_number(struct strbuf *b, const char *name, const char *text)
{
	static const struct {
		const char *word, *signature;
		bool is_signed, wide;
	} kinds[] = {{"int32 ", "i", true, false}, {"uint32 ", "u", false, false}, {"int64 ", "x", true, true}, {"uint64 ", "t", false, true}, {"", "i", true, false}};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *digits = str_after(text, kinds[i].word);
		int64_t s = 0;
		uint64_t u = 0;
		if (!digits)
			continue;
		if ((kinds[i].is_signed ? parse_i64(digits, &s) : parse_u64(digits, &u)) < 0)
			return -EINVAL;
		if (!kinds[i].wide && (kinds[i].is_signed ? s < INT32_MIN || s > INT32_MAX : u > UINT32_MAX))
			return -EINVAL;
		begin(b, name, kinds[i].signature);
		uint64_t v = kinds[i].is_signed ? (uint64_t) s : u;
		if (kinds[i].wide)
			dbus_put_u64(b, v);
		else
			dbus_put_u32(b, (uint32_t) v);
		return 0;
	}
	return -EINVAL;
}

/* "TimeoutStopSec": 1.5 is "TimeoutStopUSec": uint64 1500000. */
static int put_seconds(struct strbuf *b, const char *name, const char *text)
{
	char usec[80];
	uint64_t v;
	size_t n = strlen(name);
	const char *space = strrchr(text, ' ');
	if (parse_decimal(space ? space + 1 : text, USEC_PER_SEC, &v) < 0 || str_format(usec, sizeof(usec), "%.*sUSec", (int) (n - 3), name) < 0)
		return -EINVAL;
	systemd_put_u64(b, usec, v);
	return 0;
}

static int put_annotation(struct strbuf *b, const char *name, const char *value)
{
	char text[1024];
	const char *p = value;
	size_t n = strlen(name);
	if (n < 3 || n > 64 || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != n || strlen(value) >= sizeof(text))
		return -EINVAL;
	if (n > 4 && str_eq(name + n - 3, "Sec") && name[n - 4] >= 'a' && name[n - 4] <= 'z')
		return put_seconds(b, name, value);
	if (str_eq(value, "true") || str_eq(value, "false")) {
		systemd_put_bool(b, name, value[0] == 't');
		return 0;
	}
	if (*p == '[')
		return put_texts(b, name, p);
	if (*p == '\'' || *p == '"') {
		if (take_text(&p, text, sizeof(text)) < 0 || *p)
			return -EINVAL;
		systemd_put_str(b, name, text);
		return 0;
	}
	return put_number(b, name, value);
}

int systemd_put_annotations(struct strbuf *b, const struct keyval *v, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const char *name = str_after(v[i].key, ANNOTATION);
		if (name && put_annotation(b, name, v[i].value) < 0)
			return err_set(err, ERR_INVALID, "annotations: %.100s: '%.200s' is not a value like true, 'text', 5, uint64 5 or ['a', 'b']", v[i].key, v[i].value);
	}
	return 0;
}
