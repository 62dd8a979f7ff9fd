/* SPDX-License-Identifier: Apache-2.0 */
#include "base/signo.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>

#include "base/num.h"
#include "base/str.h"

static const struct {
	const char *name;
	int sig;
} signals[] = {
	{"HUP", SIGHUP},   {"INT", SIGINT},	  {"QUIT", SIGQUIT}, {"ILL", SIGILL},	{"TRAP", SIGTRAP},   {"ABRT", SIGABRT}, {"IOT", SIGIOT},
	{"BUS", SIGBUS},   {"FPE", SIGFPE},	  {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},   {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},
	{"ALRM", SIGALRM}, {"TERM", SIGTERM},	  {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD}, {"CLD", SIGCHLD}, {"CONT", SIGCONT}, {"STOP", SIGSTOP},
	{"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},	  {"TTOU", SIGTTOU}, {"URG", SIGURG},	{"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
	{"PROF", SIGPROF}, {"WINCH", SIGWINCH},	  {"IO", SIGIO},     {"POLL", SIGPOLL}, {"PWR", SIGPWR},     {"SYS", SIGSYS},
};

static int realtime_signal(const char *s)
{
	uint32_t n = 0;
	const char *min = str_after(s, "RTMIN"), *max = str_after(s, "RTMAX");
	const char *rest = min ? min : max;
	if (!rest || (*rest && (*rest != (min ? '+' : '-') || parse_u32(rest + 1, &n) < 0 || n > 30)))
		return -EINVAL;
	return min ? 34 + (int) n : 64 - (int) n; /* as the kernel and docker count, whatever libc keeps for itself */
}

int signal_parse(const char *s, struct err *err)
{
	uint32_t n;
	if (parse_u32(s, &n) == 0 && n >= 1 && n <= 64)
		return (int) n;
	char up[16];
	if (str_copy(up, sizeof(up), s) == 0) {
		for (char *p = up; *p; p++)
			*p = (char) toupper((unsigned char) *p);
		const char *name = str_after(up, "SIG") ?: up;
		for (size_t i = 0; i < ARRAY_LEN(signals); i++)
			if (str_eq(signals[i].name, name))
				return signals[i].sig;
		int rt = realtime_signal(name);
		if (rt > 0)
			return rt;
	}
	return err_set(err, ERR_INVALID, "invalid signal: %.64s", s);
}
