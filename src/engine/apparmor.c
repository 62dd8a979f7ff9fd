/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/apparmor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/internal.h"
#include "kernel/lsm.h"
#include "kernel/spawn.h"

#define SYS "/sys"
#define TEXT_MAX (16u << 10)
#define BINARY_MAX (4u << 20)
#define ABI_FILE "/etc/apparmor.d/abi/3.0"

/* The template: %s is the profile's name. Paths are seen from the container's root. What a rule does not name is denied, except for files,
 * capabilities and the network, where the other layers are finer; "deny" also keeps the log quiet. */
static const char rules[] =
	"	file,\n"
	"	capability,\n"
	"	deny capability mac_admin,\n"
	"	deny capability mac_override,\n"
	"	deny capability sys_module,\n"
	"	network,\n"
	"	deny network alg,\n"
	"	unix,\n"
	"\n"
	"	# nobody but the host, and processes of this container among themselves\n"
	"	signal (receive) peer=unconfined,\n"
	"	signal (send, receive) peer=@NAME@,\n"
	"	ptrace (trace, tracedby, read, readby) peer=@NAME@,\n"
	"\n"
	"	deny mount,\n"
	"	deny remount,\n"
	"	deny umount,\n"
	"	deny pivot_root,\n"
	"\n"
	"	# of /proc only the processes' own directories are written to\n"
	"	deny /proc/* wkl,\n"
	"	deny /proc/[^0-9]*/** wkl,\n"
	"	deny /proc/{kcore,kmem,mem,kpagecgroup,kpagecount,kpageflags,sysrq-trigger} rwkl,\n"
	"	deny /proc/acpi/** rwkl,\n"
	"	deny /proc/[0-9]*/{attr,task/[0-9]*/attr}/** w,\n"
	"\n"
	"	# of /sys only cgroups, where they are the container's\n"
	"	deny /sys/* wkl,\n"
	"	deny /sys/[^f]*/** wkl,\n"
	"	deny /sys/f[^s]*/** wkl,\n"
	"	deny /sys/fs/* wkl,\n"
	"	deny /sys/fs/[^c]*/** wkl,\n"
	"	deny /sys/fs/c[^g]*/** wkl,\n"
	"	deny /sys/firmware/** rwkl,\n"
	"	deny /sys/kernel/{debug,security,tracing}/ r,\n"
	"	deny /sys/kernel/{debug,security,tracing}/** rwkl,\n"
	"	deny /sys/devices/virtual/powercap/ r,\n"
	"	deny /sys/devices/virtual/powercap/** rwkl,\n";

int apparmor_name_check(const char *profile, struct err *err)
{
	const char *what = "HostConfig.SecurityOpt (--security-opt): apparmor";
	if (str_empty(profile))
		return err_set(err, ERR_INVALID, "%s: no profile was named: use the name of a loaded one, or unconfined", what);
	if (strlen(profile) >= LSM_LABEL_MAX / 2 || !str_is_plain(profile) || strpbrk(profile, "\" ") || *profile == ':' || strstr(profile, "//&"))
		return err_set(err, ERR_INVALID, "%s: '%.64s' is not the name of a profile", what, profile);
	if (str_after(profile, APPARMOR_DEFAULT "-"))
		return err_set(err, ERR_DENIED, "%s: '%.64s' belongs to one container: " APPARMOR_DEFAULT " gives this one its own", what, profile);
	return 0;
}

int apparmor_text(const char *name, const char *kernel, bool abi, struct strbuf *out)
{
	/* the release is part of what is compared: a parser compiles for the features of the running kernel */
	strbuf_addf(out, "# the default profile of Coffer's containers; compiled for Linux %s; written anew when that changes\n", kernel);
	if (abi)
		strbuf_adds(out, "abi <abi/3.0>,\n");
	strbuf_addf(out, "profile %s flags=(attach_disconnected, mediate_deleted) {\n", name);
	for (const char *p = rules, *at; *p; p = at + strlen("@NAME@")) {
		at = strstr(p, "@NAME@");
		if (!at) {
			strbuf_adds(out, p);
			break;
		}
		strbuf_add(out, p, (size_t) (at - p));
		strbuf_adds(out, name);
	}
	strbuf_adds(out, "}\n");
	return strbuf_err(out);
}

/* Whether @name below @dfd holds exactly @text. */
static bool holds(int dfd, const char *name, const struct strbuf *text)
{
	_cleanup_free_ char *have = NULL;
	ssize_t n = read_file(dfd, name, TEXT_MAX, &have);
	return n >= 0 && (size_t) n == text->len && memcmp(have, text->s, text->len) == 0;
}

/* Compiling */

static const char *find_parser(void)
{
	static const char *const paths[] = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

/* Exit status 0 of the parser; its words go to the file @log_fd. */
static int run_parser(const char *parser, const char *text_path, const char *out_path, int log_fd)
{
	const char *const argv[] = {"apparmor_parser", "--quiet", "--skip-cache", "--skip-kernel-load", "--ofile", out_path, text_path, NULL};
	const char *const envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
	struct pidref p = PIDREF_NULL;
	int status = 0;
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	const struct spawn_fd fds[] = {{null, 0}, {log_fd, 1}, {log_fd, 2}};
	int r = spawn_program(parser, (char *const *) argv, (char *const *) envp, fds, ARRAY_LEN(fds), &p);
	if (r < 0)
		return r;
	r = process_wait(p.pid, &status);
	safe_close(p.fd);
	return r < 0 ? r : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ENOEXEC;
}

static int compile_failed(struct err *err, int dir, const char *log, int r)
{
	_cleanup_free_ char *words = NULL;
	ssize_t n = read_file(dir, log, TEXT_MAX, &words);
	if (n > 0)
		words[strcspn(words, "\n")] = '\0';
	return err_sys(err, r, "AppArmor: compiling the default profile with apparmor_parser%s%.200s", n > 0 ? ": " : "", n > 0 ? words : "");
}

static int compile(struct engine *e, int dir, const char *name, const struct strbuf *text, struct err *err)
{
	char bin[96], tmp[96], log[96];
	(void) str_format(bin, sizeof(bin), "%s.bin", name); /* names are ours and short */
	(void) str_format(tmp, sizeof(tmp), "%s.tmp", name);
	(void) str_format(log, sizeof(log), "%s.log", name);
	const char *parser = find_parser();
	if (!parser)
		return err_set(err, ERR_UNSUPPORTED, "AppArmor is on, and apparmor_parser, which compiles the default profile once, is not installed (Debian: apt install apparmor); "
						     "or go without: --security-opt apparmor=unconfined");
	(void) unlinkat(dir, bin, 0); /* text and binary always belong together */
	int r = write_file_atomic(dir, name, text->s, text->len, 0600);
	if (r < 0)
		return err_sys(err, r, "writing '%s/apparmor/%s'", e->state_dir, name);
	_cleanup_free_ char *text_path = str_printf("%s/apparmor/%s", e->state_dir, name), *out_path = str_printf("%s/apparmor/%s", e->state_dir, tmp);
	if (!text_path || !out_path)
		return err_oom(err);
	_cleanup_close_ int log_fd = openat(dir, log, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = log_fd < 0 ? -errno : run_parser(parser, text_path, out_path, log_fd);
	if (r < 0)
		return compile_failed(err, dir, log, r);
	(void) unlinkat(dir, log, 0); /* nothing to tell */
	return renameat(dir, tmp, dir, bin) < 0 ? err_sys(err, -errno, "keeping '%s/apparmor/%s'", e->state_dir, bin) : 0;
}

/* Loading */

static int load(struct engine *e, int dir, int marks, const char *name, const struct strbuf *text, struct err *err)
{
	char bin[96];
	_cleanup_free_ char *data = NULL;
	(void) str_format(bin, sizeof(bin), "%s.bin", name); /* fits */
	ssize_t n = read_file(dir, bin, BINARY_MAX, &data);
	if (n < 0)
		return err_sys(err, (int) n, "reading '%s/apparmor/%s'", e->state_dir, bin);
	int r = lsm_apparmor_load(SYS, data, (size_t) n);
	if (r < 0) {
		(void) unlinkat(dir, bin, 0); /* compiled anew at the next start */
		return err_sys(err, r, "AppArmor: loading profile '%s' into the kernel", name);
	}
	r = write_file_atomic(marks, name, text->s, text->len, 0600);
	return r < 0 ? err_sys(err, r, "noting that profile '%s' is loaded", name) : 0;
}

int apparmor_load_default(struct engine *e, const char *name, struct err *err)
{
	char mode[32], bin[96];
	struct utsname u;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_MAX);
	(void) uname(&u); /* cannot fail with a valid pointer */
	if (apparmor_text(name, u.release, access(ABI_FILE, R_OK) == 0, &text) < 0 || str_format(bin, sizeof(bin), "%s.bin", name) < 0)
		return err_oom(err);
	_cleanup_close_ int marks = mkdir_open_at(e->run_fd, "apparmor", 0700);
	if (marks < 0)
		return err_sys(err, marks, "making '%s/apparmor'", e->run_dir);
	int loaded = lsm_apparmor_mode(SYS, name, mode);
	if (loaded < 0)
		return err_sys(err, loaded, "AppArmor is on, and its list of profiles cannot be read (is securityfs mounted on /sys/kernel/security?)");
	if (loaded && holds(marks, name, &text))
		return 0;
	_cleanup_close_ int dir = mkdir_open_at(e->state_fd, "apparmor", 0700);
	if (dir < 0)
		return err_sys(err, dir, "making '%s/apparmor'", e->state_dir);
	int r = holds(dir, name, &text) && faccessat(dir, bin, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : compile(e, dir, name, &text, err);
	return r < 0 ? r : load(e, dir, marks, name, &text, err);
}

int apparmor_require(const char *profile, struct err *err)
{
	char mode[32];
	int r = lsm_apparmor_mode(SYS, profile, mode);
	if (r < 0)
		return err_sys(err, r, "AppArmor's list of profiles (is securityfs mounted on /sys/kernel/security?)");
	return r ? 0 : err_set(err, ERR_NOT_FOUND, "HostConfig.SecurityOpt (--security-opt): apparmor: no profile '%.128s' is loaded (apparmor_parser -r FILE loads one, aa-status lists them)",
			       profile);
}
