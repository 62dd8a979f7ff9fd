# SPDX-License-Identifier: Apache-2.0
"""A client of the Kubernetes container runtime interface (CRI v1), as small as the tests of it: gRPC by curl, protobuf here.

A message is a dict {field name: value}; SCHEMA has the field numbers and kinds of the messages used (from
k8s.io/cri-api/pkg/apis/runtime/v1/api.proto). Unknown fields of an answer are dropped.

Kinds: "s" string, "y" bytes, "i" any varint, "m" map of strings, the name of another message; a list [kind] is repeated.
"""

import os
import struct
import subprocess
import tempfile

SCHEMA = {
    "VersionRequest": {"version": (1, "s")},
    "VersionResponse": {"version": (1, "s"), "runtime_name": (2, "s"), "runtime_version": (3, "s"), "runtime_api_version": (4, "s")},
    "IDMapping": {"host_id": (1, "i"), "container_id": (2, "i"), "length": (3, "i")},
    "UserNamespace": {"mode": (1, "i"), "uids": (2, ["IDMapping"]), "gids": (3, ["IDMapping"])},
    "NamespaceOption": {"network": (1, "i"), "pid": (2, "i"), "ipc": (3, "i"), "target_id": (4, "s"), "userns_options": (5, "UserNamespace")},
    "Int64Value": {"value": (1, "i")},
    "SecurityProfile": {"profile_type": (1, "i"), "localhost_ref": (2, "s")},
    "LinuxSandboxSecurityContext": {"namespace_options": (1, "NamespaceOption"), "seccomp": (9, "SecurityProfile")},
    "LinuxPodSandboxConfig": {"cgroup_parent": (1, "s"), "security_context": (2, "LinuxSandboxSecurityContext"), "sysctls": (3, "m")},
    "PodSandboxMetadata": {"name": (1, "s"), "uid": (2, "s"), "namespace": (3, "s"), "attempt": (4, "i")},
    "PodSandboxConfig": {"metadata": (1, "PodSandboxMetadata"), "hostname": (2, "s"), "log_directory": (3, "s"), "labels": (6, "m"), "annotations": (7, "m"), "linux": (8, "LinuxPodSandboxConfig")},
    "RunPodSandboxRequest": {"config": (1, "PodSandboxConfig"), "runtime_handler": (2, "s")},
    "RunPodSandboxResponse": {"pod_sandbox_id": (1, "s")},
    "StopPodSandboxRequest": {"pod_sandbox_id": (1, "s")},
    "RemovePodSandboxRequest": {"pod_sandbox_id": (1, "s")},
    "PodSandboxStatusRequest": {"pod_sandbox_id": (1, "s"), "verbose": (2, "i")},
    "PodSandboxNetworkStatus": {"ip": (1, "s")},
    "PodSandboxStatus": {"id": (1, "s"), "metadata": (2, "PodSandboxMetadata"), "state": (3, "i"), "network": (5, "PodSandboxNetworkStatus"), "runtime_handler": (9, "s")},
    "PodSandboxStatusResponse": {"status": (1, "PodSandboxStatus"), "info": (2, "m")},
    "ImageSpec": {"image": (1, "s")},
    "KeyValue": {"key": (1, "s"), "value": (2, "s")},
    "Mount": {"container_path": (1, "s"), "host_path": (2, "s"), "readonly": (3, "i"), "propagation": (5, "i")},
    "Device": {"container_path": (1, "s"), "host_path": (2, "s"), "permissions": (3, "s")},
    "LinuxContainerResources": {"cpu_period": (1, "i"), "cpu_quota": (2, "i"), "cpu_shares": (3, "i"), "memory_limit_in_bytes": (4, "i"), "oom_score_adj": (5, "i"), "cpuset_cpus": (6, "s")},
    "Capability": {"add_capabilities": (1, ["s"]), "drop_capabilities": (2, ["s"])},
    "LinuxContainerSecurityContext": {"capabilities": (1, "Capability"), "privileged": (2, "i"), "namespace_options": (3, "NamespaceOption"), "run_as_user": (5, "Int64Value"), "run_as_group": (12, "Int64Value"),
                                      "readonly_rootfs": (7, "i"), "supplemental_groups": (8, ["i"]), "no_new_privs": (11, "i"), "masked_paths": (13, ["s"]), "readonly_paths": (14, ["s"]), "seccomp": (15, "SecurityProfile")},
    "LinuxContainerConfig": {"resources": (1, "LinuxContainerResources"), "security_context": (2, "LinuxContainerSecurityContext")},
    "ContainerMetadata": {"name": (1, "s"), "attempt": (2, "i")},
    "ContainerConfig": {"metadata": (1, "ContainerMetadata"), "image": (2, "ImageSpec"), "command": (3, ["s"]), "args": (4, ["s"]), "working_dir": (5, "s"), "envs": (6, ["KeyValue"]), "mounts": (7, ["Mount"]),
                        "devices": (8, ["Device"]), "labels": (9, "m"), "annotations": (10, "m"), "log_path": (11, "s"), "tty": (14, "i"), "linux": (15, "LinuxContainerConfig")},
    "CreateContainerRequest": {"pod_sandbox_id": (1, "s"), "config": (2, "ContainerConfig"), "sandbox_config": (3, "PodSandboxConfig")},
    "CreateContainerResponse": {"container_id": (1, "s")},
    "StartContainerRequest": {"container_id": (1, "s")},
    "StopContainerRequest": {"container_id": (1, "s"), "timeout": (2, "i")},
    "RemoveContainerRequest": {"container_id": (1, "s")},
    "UpdateContainerResourcesRequest": {"container_id": (1, "s"), "linux": (2, "LinuxContainerResources")},
    "ContainerStatusRequest": {"container_id": (1, "s"), "verbose": (2, "i")},
    "ContainerStatus": {"id": (1, "s"), "metadata": (2, "ContainerMetadata"), "state": (3, "i"), "started_at": (5, "i"), "finished_at": (6, "i"), "exit_code": (7, "i"), "reason": (10, "s"), "message": (11, "s")},
    "ContainerStatusResponse": {"status": (1, "ContainerStatus"), "info": (2, "m")},
    "ExecSyncRequest": {"container_id": (1, "s"), "cmd": (2, ["s"]), "timeout": (3, "i")},
    "ExecSyncResponse": {"stdout": (1, "y"), "stderr": (2, "y"), "exit_code": (3, "i")},
    "UInt64Value": {"value": (1, "i")},
    "CpuUsage": {"timestamp": (1, "i"), "usage_core_nano_seconds": (2, "UInt64Value")},
    "MemoryUsage": {"timestamp": (1, "i"), "working_set_bytes": (2, "UInt64Value")},
    "ContainerStats": {"cpu": (2, "CpuUsage"), "memory": (3, "MemoryUsage")},
    "ContainerStatsRequest": {"container_id": (1, "s")},
    "ContainerStatsResponse": {"stats": (1, "ContainerStats")},
}


# ---- protobuf ----------------------------------------------------------------------------------------------------------


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, kind, value):
    if kind == "i":
        return varint(number << 3) + varint(int(value))
    if kind == "m":
        return b"".join(field(number, "KeyValue", {"key": k, "value": v}) for k, v in value.items())
    data = value.encode() if kind == "s" else bytes(value) if kind == "y" else encode(kind, value)
    return varint(number << 3 | 2) + varint(len(data)) + data


def encode(message, values):
    """The bytes of @values as @message. KeyError for a field that SCHEMA lacks."""
    out = b""
    for name, value in values.items():
        number, kind = SCHEMA[message][name]
        out += b"".join(field(number, kind[0], v) for v in value) if isinstance(kind, list) else field(number, kind, value)
    return out


def take_varint(data, at):
    n = shift = 0
    while True:
        n |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 128:
            return n, at


def decode(message, data):
    """The dict of a @message: absent fields are absent, except in a message nobody gave a schema, which is {}."""
    known = {number: (name, kind) for name, (number, kind) in SCHEMA.get(message, {}).items()}
    out, at = {}, 0
    while at < len(data):
        tag, at = take_varint(data, at)
        if tag & 7 == 0:
            value, at = take_varint(data, at)
        elif tag & 7 == 2:
            size, at = take_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            size = {1: 8, 5: 4}[tag & 7]
            value, at = data[at:at + size], at + size
        name, kind = known.get(tag >> 3, (None, None))
        if name:
            put(out, name, kind, value)
    return out


def put(out, name, kind, value):
    many = isinstance(kind, list)
    kind = kind[0] if many else kind
    if kind == "m":
        pair = decode("KeyValue", value)
        out.setdefault(name, {})[pair.get("key", "")] = pair.get("value", "")
        return
    if kind == "s":
        value = value.decode()
    elif kind not in ("i", "y"):
        value = decode(kind, value)
    if many:
        out.setdefault(name, []).append(value)
    else:
        out[name] = value


# ---- gRPC --------------------------------------------------------------------------------------------------------------


class Error(Exception):
    """A call that the service refused: `status` is gRPC's number, the text its message."""

    def __init__(self, method, status, text):
        super().__init__(f"{method}: status {status}: {text}")
        self.status, self.text = status, text


class Client:
    """Calls to the runtime service at the unix socket @path, by @run (Arena.argv's words in front, or none)."""

    def __init__(self, path, argv=lambda *words: list(words)):
        self.path, self.argv = path, argv

    def call(self, method, **values):
        """@method with the fields of its request. Return: its answer, a dict. Raises Error."""
        body = encode(method + "Request", values)
        with tempfile.TemporaryDirectory(prefix="cri.") as folder:
            names = [os.path.join(folder, n) for n in ("in", "out", "headers")]
            with open(names[0], "wb") as f:
                f.write(b"\0" + struct.pack(">I", len(body)) + body)
            words = ["curl", "--silent", "--show-error", "--http2-prior-knowledge", "--unix-socket", self.path, "--max-time", "60", "-H", "content-type: application/grpc", "-H", "te: trailers",
                     "--data-binary", "@" + names[0], "-o", names[1], "-D", names[2], f"http://localhost/runtime.v1.RuntimeService/{method}"]
            p = subprocess.run(self.argv(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if p.returncode != 0:
                raise Error(method, -1, p.stderr.strip())
            with open(names[2]) as f:
                headers = dict(line.rstrip("\r\n").split(": ", 1) for line in f if ": " in line)
            if headers.get("grpc-status", "0") != "0":
                raise Error(method, int(headers["grpc-status"]), headers.get("grpc-message", ""))
            with open(names[1], "rb") as f:
                return decode(method + "Response", f.read()[5:])
