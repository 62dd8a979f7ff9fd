/* SPDX-License-Identifier: Apache-2.0 */
/* The words of `run` and `create` that are about networks: --network and what belongs to it, and --publish and --expose. */
#pragma once

#include "cli/options.h"
#include "codec/json.h"

/** network_mode_arg() - NetworkMode: the first --network's name; NULL: none was given. @buf: 256 bytes, for the long form. */
const char *network_mode_arg(const struct container_options *o, char *buf);
/** network_is_user_defined() - a network, and not one of the modes or the default one. */
bool network_is_user_defined(const char *name);
/** put_networking() - NetworkingConfig, when there is something to say. */
int put_networking(struct json_writer *w, const struct container_options *o, struct err *err);
/** put_exposed_ports() - ExposedPorts of the configuration. put_port_bindings(): PortBindings and PublishAllPorts of HostConfig. */
int put_exposed_ports(struct json_writer *w, const struct container_options *o, struct err *err);
int put_port_bindings(struct json_writer *w, const struct container_options *o, struct err *err);
