/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the manual says beyond the tables: paragraphs by command. Lines that begin with a blank are shown as they are.
 */
#include "cmd/coffer-docs/prose.h"

#include "base/str.h"

static const struct {
	const char *name, *text;
} rows[] = {
	{"", "Coffer is a container engine. Every container has a user namespace and a range of host ids of its own, so that its root is nobody on the host; the files of "
	     "images and volumes are shifted into the range as they are mounted. Seccomp, capabilities, limits and the host's security module stand behind that, and "
	     "coffer posture reads back from the kernel what confines a container.\n"
	     "\n"
	     "coffer speaks the Docker Engine API. With a socket (--host, COFFER_HOST, /run/coffer/coffer.sock) it is a client of cofferd(8). As root, without a daemon, it runs "
	     "an engine of its own for the length of the command: containers and images are the same ones, and containers go on without it.\n"
	     "\n"
	     "Commands and flags have docker's names and meaning. What of docker's is not there yet is refused by name, and never ignored.\n"},
	{"--format", "Lists (ps, images, history, volume ls, system df) take a template of Go's for each row, \"json\", \"table\", or \"table TEMPLATE\" with the columns' headers. "
		     "inspect, info, version and events take a template or \"json\". \"--format json\" shows which fields there are.\n"
		     "\n"
		     "A template has {{.Field.Inner}}, {{$x := .Field}}, pipes, {{if}} {{else}} {{end}}, {{range $k, $v := .Map}} with {{break}} and {{continue}}, {{with}}, comments and the "
		     "- that trims blanks. Its functions are json, join, split, upper, lower, title, pad, truncate, index, slice, len, print, printf, println, html, eq, ne, lt, le, "
		     "gt, ge, not, and, or. Rows with labels have {{.Label \"key\"}}.\n"},
	{"run", "Creates a container, starts it, and stays with it: its output comes here, signals go there, and its exit code is coffer's. With -d the id is printed instead, and "
		"the container goes on by itself. With -i stdin goes to the process; with -t it has a terminal, which follows this one's size.\n"
		"\n"
		"Without --userns the container has a range of 65,536 host ids that no other has; --userns remap, map and container:NAME choose otherwise. host asks the operator's "
		"leave, see coffer-daemon.json(5).\n"
		"\n"
		"ctrl-p ctrl-q (or --detach-keys) leaves a terminal and lets the container run on. A second name for nearly every flag is docker's.\n"},
	{"exec", "Runs one more process in a running container, with the container's confinement. Without -d its exit code is coffer's.\n"},
	{"ps", "Shows the containers that run, or with -a all. Filters of one key are alternatives, those of different keys must all match; labels must all match.\n"},
	{"logs", "Shows what a container wrote to stdout and stderr, each where it belongs. With -f it goes on until the container ends.\n"},
	{"events", "Shows what happens until it is interrupted, or until --until. The daemon remembers the newest events for --since.\n"},
	{"inspect", "A name is looked for among containers, then images, volumes and networks, unless --type says where.\n"},
	{"stop", "Sends the container's stop signal, waits for its patience (10 s unless the container or -t say otherwise), and then kills it.\n"},
	{"kill", "Sends a signal, KILL by default, and does not wait for what comes of it.\n"},
	{"rm", "A container that runs is refused without -f. Named volumes are kept; -v removes the anonymous ones.\n"},
	{"load", "Archives of docker save and OCI archives, plain or compressed with gzip or zstd, and directories with an OCI layout. A reader that is confined to its own user namespace "
		 "unpacks them. On a terminal each layer has a bar.\n"},
	{"completion", "Packages install the scripts already. By hand:\n"
		       "\n"
		       "  bash: source <(coffer completion bash)\n"
		       "  zsh:  source <(coffer completion zsh)\n"
		       "  fish: coffer completion fish | source\n"},
	{"system check", "Hashes every blob of the image store, unpacks each layer's blob once more and compares the result with the tree that containers run from, and looks at what the "
			 "database says of images and containers and at what lies on disk without being named there. Each flaw is told with the images that it hits and the containers that run from "
			 "it. It takes the time of a pull without its network, and the disk space of the largest layer.\n"
			 "\n"
			 "With --repair a bad tree is replaced by the one that was just unpacked, unless a container runs from it; a bad blob is put aside, and the next pull or load of its image "
			 "brings it back; what nobody names is removed. The exit code is 0 when nothing is wrong (any more), 1 when flaws are left, 2 when the check could not be done.\n"},
	{"system prune", "Asks before it removes anything, unless -f. Volumes are kept without --volumes, which removes anonymous ones only.\n"},
	{"cofferd", "cofferd serves the Docker Engine API, versions 1.24 to 1.50, on unix sockets, so that the docker CLI, compose and every client library work unchanged:\n"
		    "\n"
		    "  export DOCKER_HOST=unix:///run/coffer/coffer.sock\n"
		    "\n"
		    "It shares its state with coffer(1). Containers outlive it, and killing it loses nothing but the events that it remembered. Who may use the socket is root on this host.\n"},
	{"coffer-oci", "coffer-oci runs containers from bundles: a directory with config.json and a root filesystem. Its commands, options and output are those of runc and crun, whose place it "
		       "takes under containerd, Kubernetes, Podman and Docker.\n"},
	{"daemon.json", "An object of JSON that cofferd(8) and coffer(1) read, or the file that --config-file names. Key names are docker's where docker has them. Every key is checked; "
			"one that is unknown, or that is docker's and has no meaning here yet, is an error that names it. cofferd --validate checks a file and leaves. What a flag of cofferd says as "
			"well is an error, too.\n"},
};

const char *prose_of(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_eq(rows[i].name, command))
			return rows[i].text;
	return NULL;
}
