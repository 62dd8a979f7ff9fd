/* SPDX-License-Identifier: Apache-2.0 */
/* What a document's limits and annotations are called among a unit's properties (org.freedesktop.systemd1(5)). Private to the room. */
#pragma once

#include "base/err.h"
#include "dbus/message.h"
#include "spec/runtime.h"

/* Each appends structs (sv) to an array that the caller has begun. */
void systemd_put_str(struct strbuf *b, const char *name, const char *value);
void systemd_put_bool(struct strbuf *b, const char *name, bool value);
void systemd_put_u64(struct strbuf *b, const char *name, uint64_t value);
/** systemd_put_pids() - "PIDs" with one process. */
void systemd_put_pids(struct strbuf *b, pid_t pid);
/** systemd_put_limits() - the limits that @r sets, as the properties of @version (1 or 2); those that systemd has none for are left to the files. @devices: the device list
 *  too. Return: 0; ERR_INVALID. */
int systemd_put_limits(struct strbuf *b, const struct resources_spec *r, int version, bool devices, struct err *err);
/** systemd_put_annotations() - "org.systemd.property.NAME": VALUE, where VALUE is written as for systemd's own tools in GVariant text: true, 'text', 5, uint64 5, ['a', 'b'];
 *  a NAME that ends in "Sec" is in seconds and becomes "USec". As with runc and crun. Return: 0; ERR_INVALID naming the annotation. */
int systemd_put_annotations(struct strbuf *b, const struct keyval *v, size_t n, struct err *err);
/** systemd_cpu_quota() - microseconds of CPU a second for @quota in @period, rounded up to the 10 ms that systemd keeps; @quota <= 0: UINT64_MAX. */
uint64_t systemd_cpu_quota(int64_t quota, uint64_t period);
/** systemd_cpu_mask() - "0-3,8" as bits, lowest byte first. Return: bytes used, -EINVAL. */
int systemd_cpu_mask(const char *list, uint8_t *mask, size_t size);
