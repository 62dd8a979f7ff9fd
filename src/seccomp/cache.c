/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/id.h"
#include "base/num.h"
#include "codec/digest.h"
#include "seccomp/simulate.h"

#define FILTER_BYTES_MAX (4096 * sizeof(struct sock_filter))
#define SUM_MAX 256

/* FNV-1a: finds a torn file in a microsecond. */
static uint64_t checksum(const void *p, size_t n)
{
	const unsigned char *b = p;
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* Everything that the filter depends on. */
static int name_default(const struct seccomp_env *env, char *buf)
{
	return str_format(buf, SECCOMP_CACHE_NAME_MAX, "default-v%d-%s-%u.%u-%llx-%x", SECCOMP_DEFAULT_VERSION,
			  seccomp_arch_name(env->arch), env->kernel_major, env->kernel_minor, (unsigned long long) env->caps, env->flags);
}

static int name_custom(const struct seccomp_source *src, const struct seccomp_env *env, char *buf)
{
	char head[SECCOMP_CACHE_NAME_MAX], hex[DIGEST_SHA256_HEX + 1];
	struct digest d;
	int r = name_default(env, head);
	if (r < 0)
		return r;
	digest_init(&d);
	digest_update(&d, head, strlen(head) + 1);
	digest_update(&d, src->json, src->len);
	digest_final_hex(&d, hex);
	return str_format(buf, SECCOMP_CACHE_NAME_MAX, "custom-v%d-%s", SECCOMP_DEFAULT_VERSION, hex);
}

/* Whole file into @buf. Return: its length, -ENOENT, -EFBIG. */
static ssize_t slurp(int dfd, const char *name, void *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ssize_t n = read_full(fd, buf, size);
	return n == (ssize_t) size ? -EFBIG : n;
}

/* Return: true and *@ret when filter and sum are there and agree. */
static bool cache_read(int dfd, struct seccomp_filter *ret)
{
	char sum[SUM_MAX], sum_name[SECCOMP_CACHE_NAME_MAX + 8];
	struct sock_filter insn[4096 + 1];
	unsigned long long len = 0, check = 0;
	unsigned flags = 0;
	if (str_format(sum_name, sizeof(sum_name), "%s.sum", ret->name) < 0)
		return false;
	ssize_t n = slurp(dfd, sum_name, sum, sizeof(sum));
	if (n <= 0)
		return false;
	sum[n] = 0;
	char end = 0;
	if (sscanf(sum, "v1 %llu %16llx %64[0-9a-f] %x%c", &len, &check, ret->hash, &flags, &end) != 5 || end != '\n' ||
	    !id_is_full(ret->hash))
		return false;
	n = slurp(dfd, ret->name, insn, sizeof(insn));
	if (n <= 0 || (unsigned long long) n != len || n % sizeof(insn[0]) != 0 || checksum(insn, (size_t) n) != check)
		return false;
	if (seccomp_check_program(insn, (size_t) n / sizeof(insn[0]), NULL) < 0)
		return false;
	ret->len = (size_t) n;
	ret->flags = flags;
	return true;
}

static int cache_write(int dfd, const struct seccomp_program *p, struct seccomp_filter *ret, struct err *err)
{
	char sum[SUM_MAX], sum_name[SECCOMP_CACHE_NAME_MAX + 8];
	ret->len = p->n * sizeof(p->insn[0]);
	ret->flags = p->flags;
	digest_sha256_hex(p->insn, ret->len, ret->hash);
	int n = str_format(sum, sizeof(sum), "v1 %zu %016llx %s %x\n", ret->len, (unsigned long long) checksum(p->insn, ret->len),
			   ret->hash, ret->flags);
	int r = n < 0 ? n : str_format(sum_name, sizeof(sum_name), "%s.sum", ret->name);
	if (r >= 0)
		r = write_file_atomic(dfd, sum_name, sum, (size_t) n, 0600);
	if (r >= 0)
		r = write_file_atomic(dfd, ret->name, p->insn, ret->len, 0600);
	return r < 0 ? err_sys(err, r, "writing seccomp filter '%s' to the cache", ret->name) : 0;
}

static int build(int dfd, const struct seccomp_source *src, const struct seccomp_env *env, struct seccomp_filter *ret, struct err *err)
{
	_cleanup_seccomp_profile_ struct seccomp_profile *own = NULL;
	_cleanup_seccomp_program_ struct seccomp_program prog = {0};
	const struct seccomp_profile *p = seccomp_profile_default();
	int r = src->json ? seccomp_profile_parse(src->json, src->len, src->what ? src->what : "seccomp", &own, err) : 0;
	if (r < 0)
		return r;
	r = seccomp_compile(own ? own : p, env, &prog, err);
	if (r < 0)
		return r;
	ret->built = true;
	return cache_write(dfd, &prog, ret, err);
}

int seccomp_filter_get(int cache_dfd, const struct seccomp_source *src, const struct seccomp_env *env, struct seccomp_filter *ret,
		       struct err *err)
{
	struct seccomp_filter f = {0};
	if (src->json && src->len > SECCOMP_PROFILE_MAX_BYTES)
		return err_set(err, ERR_INVALID, "seccomp profile '%.200s': %zu bytes, at most %u are taken",
			       src->what ? src->what : "seccomp", src->len, SECCOMP_PROFILE_MAX_BYTES);
	int r = src->json ? name_custom(src, env, f.name) : name_default(env, f.name);
	if (r < 0)
		return err_sys(err, r, "naming the seccomp filter");
	if (!cache_read(cache_dfd, &f)) {
		r = build(cache_dfd, src, env, &f, err);
		if (r < 0)
			return r;
	}
	*ret = f;
	return 0;
}
