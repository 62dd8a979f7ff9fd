/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI runtime on the command line: what containerd, Kubernetes, Podman, Docker and people call. Commands, options, output and
 * messages are those of runc and crun, so that it stands in for either. The container itself is the sandbox room's work; here are argv, the
 * state below --root, consoles, signals and the order of things.
 */
#pragma once

/** oci_main() - one invocation. @argv as main() got it. Return: exit code. Context: single-threaded. */
int oci_main(int argc, char **argv);
