/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of the new process, dropped in the one order that works: groups, gid, uid (keeping permitted capabilities), bounding
 * set, no_new_privs, Landlock, capability sets, and seccomp last. Without no_new_privs the filter needs CAP_SYS_ADMIN to load, so it
 * goes in before the capabilities go (seccomp(2)); that is one of the ways in which such a container is weaker.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/caps.h"
#include "kernel/confine.h"
#include "sandbox/internal.h"

/* Straight system calls: glibc's wrappers signal every thread of the process, and a child of ours has one. */
static int set_ids(uint32_t uid, uint32_t gid)
{
	if (uid == UINT32_MAX || gid == UINT32_MAX)
		return -EINVAL; /* "unchanged" */
	if (syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
		return -errno;
	return 0;
}

int creds_become_root(struct sandbox *s, struct err *err)
{
	int r = set_ids(0, 0);
	return r < 0 ? err_sys(err, r, "becoming root of the user namespace") : 0;
}

int creds_keyring(struct sandbox *s, struct err *err)
{
	if (s->flags & SANDBOX_KEEP_KEYRING)
		return 0;
	int r = confine_keyring();
	/* a kernel without keys has nothing to keep apart; over quota is a failure like any other */
	return r < 0 && r != -ENOSYS ? err_sys(err, r, "joining a new session keyring") : 0;
}

/* The highest capability of the document may be newer than the kernel: the kernel's own set is the ceiling. */
static uint64_t known(uint64_t set)
{
	return set & ((2ULL << caps_last()) - 1);
}

/* What the command may use at execve: as docker, another user than root has nothing but its ambient set. A foreign document is obeyed. */
static uint64_t usable(const struct sandbox *s, uint64_t set)
{
	const struct caps_spec *c = &s->process->caps;
	return known(s->ext->present && s->user.uid != 0 ? set & c->ambient : set);
}

int creds_ids(struct sandbox *s, struct err *err)
{
	const struct sandbox_user *u = &s->user;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(err, -errno, "keeping capabilities");
	gid_t groups[SANDBOX_GROUPS_MAX];
	for (size_t i = 0; i < u->n_groups; i++)
		groups[i] = u->groups[i];
	/* setgroups is denied in a user namespace whose owner mapped its own gid alone (user_namespaces(7)): nothing can be dropped or added there */
	bool denied_is_fine = (s->rootless || s->nested) && s->process->n_groups == 0;
	if (syscall(SYS_setgroups, u->n_groups, groups) < 0 && !(errno == EPERM && denied_is_fine))
		return err_sys(err, -errno, "setting %zu groups", u->n_groups);
	int r = set_ids(u->uid, u->gid);
	if (r == -EINVAL)
		return err_set(err, ERR_INVALID, "user %u:%u is outside the container's id range", u->uid, u->gid);
	if (r < 0)
		return err_sys(err, r, "becoming %u:%u", u->uid, u->gid);
	/* the working directory and the command are looked up with what the command itself will have */
	struct cap_sets have;
	r = caps_get(&have);
	if (r == 0)
		r = caps_set(s->process->has_caps ? usable(s, s->process->caps.effective) & have.permitted : have.permitted, have.permitted, 0);
	return r < 0 ? err_sys(err, r, "setting capabilities") : 0;
}

int creds_bounding(struct sandbox *s, struct err *err)
{
	/* what the look-up went without is needed for the next steps */
	struct cap_sets have;
	int r = caps_get(&have);
	if (r == 0)
		r = caps_set(have.permitted, have.permitted, 0);
	if (r == 0 && s->process->has_caps)
		r = caps_drop_bounding(s->process->caps.bounding);
	return r < 0 ? err_sys(err, r, "the bounding set") : 0;
}

int creds_caps(struct sandbox *s, struct err *err)
{
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_sys(err, -errno, "keepcaps");
	if (!s->process->has_caps)
		return 0;
	const struct caps_spec *c = &s->process->caps;
	struct cap_sets have = {.permitted = UINT64_MAX};
	/* what cannot be granted is left out: "runtimes SHOULD NOT fail if the container configuration requests capabilities that cannot be granted"
	 * (config.md "capabilities"); `--privileged` on a host that lacks one itself asks for it */
	int r = sandbox_obeys(s) ? caps_get(&have) : 0;
	if (r == 0)
		r = caps_set(usable(s, c->effective) & have.permitted, usable(s, c->permitted) & have.permitted, known(c->inheritable) & have.permitted);
	/* a document may name ambient capabilities that it keeps from the sets they must be in (runc's own "spec" does): the kernel has none of those */
	if (r == 0)
		r = caps_raise_ambient(known(sandbox_obeys(s) ? c->ambient & c->permitted & c->inheritable & have.permitted : c->ambient));
	return r < 0 ? err_sys(err, r, "the capability sets") : 0;
}

int creds_no_new_privs(struct sandbox *s, struct err *err)
{
	if (!s->process->no_new_privileges)
		return 0;
	int r = confine_no_new_privs();
	return r < 0 ? err_sys(err, r, "prctl") : 0;
}

int creds_landlock(struct sandbox *s, struct err *err)
{
	if (!s->ext->landlock)
		return 0;
	/* with the host's network the host's abstract sockets are in reach; with an own one there are none but the container's, and scoping
	 * would keep exec'ed processes (a sibling domain) from them */
	int r = confine_landlock(/* scope_abstract= */ s->spec->ns[NS_NET].mode == NS_MODE_HOST);
	if (r == -EOPNOTSUPP)
		return 0; /* absent on this host: the posture says so */
	return r < 0 ? err_sys(err, r, "landlock_restrict_self") : 0;
}

int creds_filter_load(struct sandbox *s, struct err *err)
{
	const char *path = s->ext->seccomp_filter;
	if (!path && s->spec->seccomp_json && s->compile)
		return s->compile(s, err);
	if (!path)
		return s->spec->seccomp_json
			? err_set(err, ERR_UNSUPPORTED, "linux.seccomp: the bundle has a profile and no compiled filter")
			: 0;
	s->filter_flags = s->ext->seccomp_flags;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "seccomp filter '%s'", path);
	if (st.st_size == 0 || st.st_size % (off_t) sizeof(struct sock_filter) || st.st_size > BPF_MAXINSNS * (off_t) sizeof(struct sock_filter))
		return err_set(err, ERR_CORRUPT, "seccomp filter '%s' has %lld bytes", path, (long long) st.st_size);
	s->filter = malloc((size_t) st.st_size);
	if (!s->filter)
		return err_oom(err);
	ssize_t n = read_full(fd, s->filter, (size_t) st.st_size);
	if (n != st.st_size)
		return err_sys(err, n < 0 ? (int) n : -EIO, "seccomp filter '%s'", path);
	s->filter_len = (size_t) st.st_size / sizeof(struct sock_filter);
	return 0;
}

static int load_filter(struct sandbox *s, struct err *err)
{
	if (!s->filter)
		return 0;
	int r = s->filter_notify ? listener_load(s) : confine_seccomp(s->filter, s->filter_len, s->filter_flags);
	return r < 0 ? err_sys(err, r, "%zu instructions", s->filter_len) : 0;
}

int creds_seccomp_early(struct sandbox *s, struct err *err)
{
	return s->process->no_new_privileges ? 0 : load_filter(s, err);
}

int creds_seccomp(struct sandbox *s, struct err *err)
{
	return s->process->no_new_privileges ? load_filter(s, err) : 0;
}
