/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cgroup has used, read from v1 and v2 files into one struct: for `coffer-oci events --stats` and docker's stats. A part that the host
 * does not account has its `has` unset; nothing is an error but a cgroup that is gone. Units are in the names.
 */
#pragma once

#include "base/str.h"
#include "kernel/cgroup.h"

#define CGROUP_NO_LIMIT UINT64_MAX

struct cgroup_usage { /* one resource that is counted against a limit */
	bool has;
	uint64_t usage, limit, max, failcnt; /* bytes (pids: processes); limit CGROUP_NO_LIMIT: none; max: highest usage seen, 0 unknown */
};

struct cgroup_key { /* one line of a flat keyed file */
	char name[40];
	uint64_t value;
};

struct cgroup_keys {
	struct cgroup_key *v; /* owned */
	size_t n;
};

struct cgroup_io_row {
	uint32_t major, minor;
	char op[16]; /* "Read", "Write", "Sync", "Async", "Discard", "Total"; "" where the file has none */
	uint64_t value;
};

struct cgroup_io_rows {
	struct cgroup_io_row *v; /* owned */
	size_t n;
};

/* The lists that runc's events show; v2 fills the first two from io.stat (rbytes, wbytes, rios, wios). */
enum cgroup_io_kind { CG_IO_BYTES, CG_IO_SERVICED, CG_IO_QUEUED, CG_IO_SERVICE_TIME, CG_IO_WAIT_TIME, CG_IO_MERGED, CG_IO_TIME, CG_IO_SECTORS, CG_IO_KIND_MAX_ };

struct cgroup_psi_line {
	uint32_t avg10, avg60, avg300; /* hundredths of a percent: 1234 is 12.34 */
	uint64_t total_usec;
};

struct cgroup_psi {
	bool has; /* v2 with CONFIG_PSI */
	struct cgroup_psi_line some, full;
};

struct cgroup_hugetlb {
	char page_size[16]; /* "2MB" */
	struct cgroup_usage usage, rsvd;
};

struct cgroup_stats {
	int version; /* 1: the memory controller is v1, 2: v2 */
	struct {
		bool has;
		uint64_t total_ns, user_ns, kernel_ns;
		uint64_t *percpu_ns; /* owned; v1 only */
		size_t n_percpu;
		bool has_throttling;
		uint64_t periods, throttled_periods, throttled_ns;
		uint64_t shares; /* v1 cpu.shares, v2 cpu.weight; 0 unknown */
		struct cgroup_psi psi;
	} cpu;
	struct {
		struct cgroup_usage usage;  /* memory */
		struct cgroup_usage swap;   /* v1: memory+swap; v2: memory+swap as runc shows it, summed */
		struct cgroup_usage kernel, kernel_tcp; /* v1 only */
		uint64_t cache_bytes;       /* page cache: v1 total_cache, v2 file */
		bool use_hierarchy;
		struct cgroup_keys raw;     /* memory.stat as it is */
		uint64_t oom_kills;
		struct cgroup_psi psi;
	} memory;
	struct cgroup_usage pids;           /* pids.current, pids.max */
	struct cgroup_io_rows io[CG_IO_KIND_MAX_];
	struct cgroup_psi io_psi;
	struct cgroup_hugetlb *hugetlb;     /* owned */
	size_t n_hugetlb;
	char *cpuset_cpus, *cpuset_mems;    /* owned; effective lists; NULL: no cpuset */
};

/** cgroup_stats_read() - read everything that @cg's controllers account. Return: 0; -ENOENT when it is gone; -ENOMEM. *@ret is to be released in any case.
 *  Source: Documentation/admin-guide/cgroup-v1/{memory,cpuacct,blkio-controller,hugetlb}.rst, cgroup-v2.rst. Linux >= 4.5. */
int cgroup_stats_read(const struct cgroup *cg, struct cgroup_stats *ret);
void cgroup_stats_done(struct cgroup_stats *s);

/* The formats, as pure functions (cgroup-v2.rst "Format"); text need not end in a newline, odd lines are passed over. Return: 0 or -ENOMEM. */
/** cgroup_parse_keys() - "name value" lines, at most 1024 of them. */
int cgroup_parse_keys(const char *text, struct cgroup_keys *ret);
/** cgroup_key_value() - the value of @name, or @missing. */
uint64_t cgroup_key_value(const struct cgroup_keys *k, const char *name, uint64_t missing);
/** cgroup_parse_io_v1() - "MAJ:MIN [OP] N" lines; the closing "Total N" is left out. Rows are appended. */
int cgroup_parse_io_v1(const char *text, struct cgroup_io_rows *rows);
/** cgroup_parse_io_stat() - v2's "MAJ:MIN rbytes=N wbytes=N rios=N wios=N dbytes=N dios=N" into CG_IO_BYTES and CG_IO_SERVICED rows of Read, Write, Discard. */
int cgroup_parse_io_stat(const char *text, struct cgroup_io_rows *bytes, struct cgroup_io_rows *serviced);
/** cgroup_parse_psi() - "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and "full ..." (Documentation/accounting/psi.rst). */
void cgroup_parse_psi(const char *text, struct cgroup_psi *ret);
