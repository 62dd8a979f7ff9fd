/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What engine and monitor say to each other: SOCK_SEQPACKET messages, a fixed header plus at most MONITOR_PAYLOAD_MAX bytes,
 * descriptors by SCM_RIGHTS. No text is parsed on the monitor's side.
 *
 * The monitor is spawned with its first connection as fd 3 (argv: just its name and the short id, for ps). Further
 * connections come through BUNDLE/ctl (a 0700 directory, R13). Every request is answered by exactly one reply of the same
 * `seq`; WAIT answers when the container has exited.
 *
 *   engine                                   monitor
 *     SETUP {setup} [bundle, logdir, lock]  -->  (lock: of the container; closed when the start is decided, before the answer)
 *     ATTACH {attach} [stream]        ---->  (before START: gets every byte of output)
 *     START                           ---->  fork creator ... exec
 *                                     <----  REPLY ok {started}  |  REPLY failed {err}
 *     WAIT                            ---->
 *                                     <----  REPLY exited {exit}
 *
 * When the container has exited the monitor has flushed every stream, written BUNDLE/exit (struct monitor_exit), answered
 * the WAITs, and leaves; if the connection that sent SETUP is gone by then it execs `setup.reaper reap ID` instead of
 * leaving silently. BUNDLE/state (struct monitor_state) exists from the moment that the container runs. A WAIT that finds the
 * monitor gone (EPIPE, ECONNRESET, end of file) finds its answer in BUNDLE/exit. A START that fails leaves neither file.
 *
 * Slow readers. The log comes first. A client has a queue of 1 MiB; while one that takes part has it full, the process's output is not
 * read, so a slow reader slows the process down as under dockerd and loses nothing. It cannot do so for ever: a client that takes less
 * than 64 KiB in 10 s with a full queue is left behind. It still gets what is queued, at its own pace, then a message of stream 3
 * ("output skipped", as text when raw) and the end of file; log, process and the other clients go on without it. After the exit a client
 * is waited for by the same measure before WAITs are answered; one that is slower is served on for as long as it takes a byte in 10
 * minutes. Input of a client that nobody wants is read and thrown away, and a stream is closed only when it holds no unread input.
 *
 * Exits. Output that background processes still hold open (a shared pid namespace, children of an exec) is read for 2 s after the exit, as
 * dockerd does. An exec that cannot be started answers EXEC with the err, writes its text to the stream as dockerd does, and has an exit
 * record with code 127 (no such command) or 126.
 *
 * Health. With a MONITOR_HEALTH the monitor starts a probe every so often, as an exec of document BUNDLE/health.json that nobody is attached to. What it
 * knows is in BUNDLE/health (struct monitor_health_head and what follows), from the first probe's end on; every socket in RUN/events is told by a struct
 * monitor_note when a probe starts, when it ends, and when the verdict changes. See src/monitor/health.c.
 *
 * Ceilings: 32 streams attached to the container, 64 execs at once, 256 connections, 512 waiting requests.
 */
#pragma once

#include "base/err.h"
#include "base/id.h"

#define MONITOR_PAYLOAD_MAX 8192
#define MONITOR_PATH_MAX 256
#define MONITOR_LOG_ATTRS_MAX 4096

enum monitor_verb {
	MONITOR_SETUP = 1,
	MONITOR_START,
	MONITOR_ATTACH,  /* fd: the hijacked stream, its HTTP head already answered */
	MONITOR_WAIT,
	MONITOR_KILL,    /* struct monitor_kill */
	MONITOR_RESIZE,  /* struct monitor_resize */
	MONITOR_EXEC,    /* struct monitor_exec; fd: stream or none when detached */
	MONITOR_HOLD,    /* fds (at most MONITOR_HOLD_FDS): kept open until the monitor leaves; published ports. No reply unless it fails */
	MONITOR_EXEC_WAIT, /* struct monitor_exec_ref: answers when that exec has ended */
	MONITOR_REPLY,   /* from the monitor; result + body by verb */
	MONITOR_HEALTH,  /* struct monitor_health, between SETUP and START: probe by BUNDLE/health.json */
};

#define MONITOR_HOLD_FDS 64

struct monitor_header {
	uint32_t verb; /* enum monitor_verb */
	uint32_t seq;  /* chosen by the caller, echoed in the reply */
	int32_t result; /* replies: 0, or < 0 and the payload is a struct err */
	uint32_t len;  /* bytes of payload behind this header */
};

enum monitor_flags {
	MONITOR_TTY = 1,
	MONITOR_OPEN_STDIN = 2,  /* keep the container's stdin open for attachers */
	MONITOR_STDIN_ONCE = 4,  /* close it when the first attacher that had stdin leaves or sends its end of file (never a terminal's) */
	MONITOR_FOREIGN = 16,    /* another runtime makes init, which becomes the monitor's child when that one has left */
	MONITOR_LOG = 8,         /* log into logdir: json.log, json.log.1, ...; see monitor/log.h */
	MONITOR_LOG_LOCAL = 32,  /* local.log in place of that */
	MONITOR_LOG_COMPRESS = 64, /* what was rotated */
	MONITOR_SHED = 128,      /* its mounts may outlive it for a moment: nothing of the host's is among them, and nobody mounts its writable layer again */
};

/* Behind it: the JSON object that every record of json.log carries, if any. */
struct monitor_setup {
	char id[ID_LEN + 1];
	uint32_t flags;          /* enum monitor_flags */
	uint64_t log_max_bytes;  /* rotate above this; 0: never */
	uint32_t log_max_files;  /* how many to keep, >= 1 */
	char reaper[MONITOR_PATH_MAX]; /* absolute path of `coffer` to exec for reaping; "": none */
	char fail_step[64];      /* fault injection for tests; "" */
	char cgroup_path[MONITOR_PATH_MAX]; /* for the OOM verdict */
};

#define MONITOR_DETACH_KEYS_MAX 16

struct monitor_attach {
	uint32_t streams;  /* 1 stdin, 2 stdout, 4 stderr */
	uint32_t raw;      /* 1: raw bytes both ways (TTY); 0: stdcopy frames towards the client */
	uint32_t n_keys;   /* detach sequence, 0: none (only honoured with MONITOR_TTY) */
	uint8_t keys[MONITOR_DETACH_KEYS_MAX];
	uint32_t early_len; /* stdin bytes that had been read behind the HTTP head; they follow this struct */
};

struct monitor_kill {
	int32_t sig;
};

struct monitor_resize {
	char exec_id[ID_LEN + 1]; /* "": the container's own terminal */
	uint16_t rows, cols;
};

struct monitor_exec {
	char exec_id[ID_LEN + 1]; /* document: BUNDLE/exec-<exec_id>.json */
	uint32_t flags;           /* MONITOR_TTY, MONITOR_OPEN_STDIN */
	struct monitor_attach attach; /* how the stream behaves; ignored without a descriptor */
};

struct monitor_exec_ref {
	char exec_id[ID_LEN + 1];
};

/* All times > 0, but for the start period. */
struct monitor_health {
	int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns;
	uint32_t retries; /* >= 1 */
	uint32_t pad;
};

enum monitor_health_status { MONITOR_HEALTH_STARTING, MONITOR_HEALTH_HEALTHY, MONITOR_HEALTH_UNHEALTHY };
enum monitor_health_flags { MONITOR_HEALTH_TIMED_OUT = 1, MONITOR_HEALTH_CUT = 2 /* there was more output */ };
#define MONITOR_HEALTH_MAGIC 0x31544c48 /* "HLT1" */
#define MONITOR_HEALTH_LOG_MAX 5
#define MONITOR_HEALTH_OUTPUT_MAX 4096

/* The content of BUNDLE/health: this, and @n entries, the oldest first, each with @len bytes behind it. */
struct monitor_health_head {
	uint32_t magic;
	uint32_t status; /* enum monitor_health_status */
	uint32_t streak; /* failures in a row */
	uint32_t n;
};
struct monitor_health_entry {
	int64_t start_ns, end_ns;
	int32_t code;	/* of the probe; -1: it was not to be started, or took too long */
	uint32_t flags; /* enum monitor_health_flags */
	uint32_t len;	/* bytes of output behind this; at most MONITOR_HEALTH_OUTPUT_MAX */
	uint32_t pad;
};

enum monitor_note_kind { MONITOR_NOTE_PROBE_STARTED = 1, MONITOR_NOTE_PROBE_ENDED, MONITOR_NOTE_HEALTH };
#define MONITOR_NOTE_MAGIC 0x31544e01 /* begins with a byte that no tenant's name does: engines' own messages begin with one */

/* A datagram to each socket in RUN/events. */
struct monitor_note {
	uint32_t magic;
	uint32_t kind;		  /* enum monitor_note_kind */
	char id[ID_LEN + 1];	  /* the container */
	char exec_id[ID_LEN + 1]; /* the probe */
	uint16_t pad;
	int32_t value;		  /* the probe's exit code, or enum monitor_health_status */
};

/* REPLY to START and EXEC. */
struct monitor_started {
	int32_t pid;
	int32_t pad;
	uint64_t start_ticks; /* field 22 of /proc/PID/stat: names the process for good together with the pid */
	int64_t started_ns;
};

#define MONITOR_EXIT_MAGIC 0x31544958 /* "XIT1" */

/* REPLY to WAIT and EXEC_WAIT, and the content of BUNDLE/exit and BUNDLE/exec-<id>.exit. */
struct monitor_exit {
	uint32_t magic;
	int32_t code;     /* exit status, 128 + n after signal n */
	int32_t signal;   /* 0: none */
	int32_t oom;      /* 1: its memory cgroup counted an OOM kill */
	int64_t started_ns, finished_ns;
};

#define MONITOR_STATE_MAGIC 0x31415453 /* "STA1" */

/* The content of BUNDLE/state. */
struct monitor_state {
	uint32_t magic;
	int32_t pid;          /* init */
	uint64_t start_ticks;
	int32_t monitor_pid;
	int32_t pad;
	uint64_t monitor_ticks;
	int64_t started_ns;
};
