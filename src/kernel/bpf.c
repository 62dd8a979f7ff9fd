/* SPDX-License-Identifier: Apache-2.0 */
/* bpf(2) for the device filter: load, attach, replace, count. The program itself is made in bpf_device.c. */
#include "kernel/bpf.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#define PROGRAM_NAME "coffer_device" /* at most 15 characters: by it we know our own among others' */
#define PROGRAMS_MAX 64              /* BPF_CGROUP_MAX_PROGS, include/linux/bpf-cgroup.h */

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	int r;
	do
		r = (int) syscall(SYS_bpf, cmd, attr, sizeof(*attr));
	while (r < 0 && errno == EAGAIN && cmd == BPF_PROG_LOAD); /* the verifier was interrupted by a signal */
	return r < 0 ? -errno : r;
}

int bpf_device_load(const struct bpf_insn *insns, size_t n, char *log, size_t size)
{
	union bpf_attr a = {0};
	a.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	a.insns = (uint64_t) (uintptr_t) insns;
	a.insn_cnt = (uint32_t) n;
	a.license = (uint64_t) (uintptr_t) "Apache-2.0";
	memcpy(a.prog_name, PROGRAM_NAME, sizeof(PROGRAM_NAME));
	int r = sys_bpf(BPF_PROG_LOAD, &a);
	if (r >= 0 || !log || size < 128)
		return r;
	log[0] = '\0';
	a.log_buf = (uint64_t) (uintptr_t) log;
	a.log_size = (uint32_t) size;
	a.log_level = 1;
	int again = sys_bpf(BPF_PROG_LOAD, &a);
	return again >= 0 || again == -ENOSPC ? (safe_close(again), r) : again; /* the words alone were wanted */
}

/* The ids of the device programs at @dir_fd itself. Return: how many. */
static int query(int dir_fd, uint32_t ids[PROGRAMS_MAX])
{
	union bpf_attr a = {0};
	a.query.target_fd = (uint32_t) dir_fd;
	a.query.attach_type = BPF_CGROUP_DEVICE;
	a.query.prog_ids = (uint64_t) (uintptr_t) ids;
	a.query.prog_cnt = PROGRAMS_MAX;
	int r = sys_bpf(BPF_PROG_QUERY, &a);
	return r < 0 ? r : (int) a.query.prog_cnt;
}

int bpf_device_count(int dir_fd)
{
	uint32_t ids[PROGRAMS_MAX];
	return query(dir_fd, ids);
}

/* A descriptor of program @id when it is one of ours, -ENOENT when not. */
static int open_ours(uint32_t id)
{
	union bpf_attr a = {0};
	a.prog_id = id;
	_cleanup_close_ int fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &a);
	if (fd < 0)
		return fd;
	struct bpf_prog_info info = {0};
	a = (union bpf_attr) {0};
	a.info.bpf_fd = (uint32_t) fd;
	a.info.info_len = sizeof(info);
	a.info.info = (uint64_t) (uintptr_t) &info;
	int r = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &a);
	if (r < 0)
		return r;
	return strcmp(info.name, PROGRAM_NAME) == 0 ? take_fd(&fd) : -ENOENT;
}

static int find_ours(int dir_fd)
{
	uint32_t ids[PROGRAMS_MAX];
	int n = query(dir_fd, ids);
	for (int i = 0; i < n; i++) {
		int fd = open_ours(ids[i]);
		if (fd != -ENOENT)
			return fd;
	}
	return n < 0 ? n : -ENOENT;
}

int bpf_device_attach(int dir_fd, int prog_fd)
{
	_cleanup_close_ int old = find_ours(dir_fd);
	if (old < 0 && old != -ENOENT)
		return old;
	union bpf_attr a = {0};
	a.target_fd = (uint32_t) dir_fd;
	a.attach_bpf_fd = (uint32_t) prog_fd;
	a.attach_type = BPF_CGROUP_DEVICE;
	a.attach_flags = BPF_F_ALLOW_MULTI;
	if (old >= 0) {
		a.attach_flags |= BPF_F_REPLACE;
		a.replace_bpf_fd = (uint32_t) old;
	}
	int r = sys_bpf(BPF_PROG_ATTACH, &a);
	return r < 0 ? r : 0;
}
