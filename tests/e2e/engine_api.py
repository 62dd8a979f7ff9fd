# SPDX-License-Identifier: Apache-2.0
"""The Engine API's own description (swagger 2.0, API 1.50) as a judge of answers.

    api = engine_api.load(self)                   # skips the test where the description is not beside the checkout
    api.problems("GET", "/containers/json", 200, "application/json", body)   -> [] or complaints

It is not part of the repository: it lies in shared/ beside the checkout, or where COFFER_ENGINE_API says. Types, required members, enums, formats,
ranges, patterns and unknown members are checked; null is allowed where moby writes it: for slices, maps and pointers. What differs on purpose is data below.
"""

import ipaddress
import json
import os
import re

import coffer

try:
    import yaml
except ImportError:  # python3-yaml is in tools/deps
    yaml = None

METHODS = ("get", "post", "put", "delete", "head")

# ---- deviations: from the description, not from docker --------------------------------------------------------------

NULLABLE = {  # docker writes null for "unset" although the description does not say so
    "MemorySwappiness", "ExitCode",
}
OURS = {  # docs/api-extensions.md
    "IdMappings", "UidMaps", "GidMaps", "IDMap", "InheritedMounts",
    "ContainerConfig",  # of images: gone from the description, and docker-compose 1 looks into it still
}
EVENT_OLD = {"status", "id", "from"}  # of events: gone from the description, and still sent (compose v1 reads them)
PATHS_OURS = (r"^/containers/[^/]+/posture$", r"^/(grpc|session)$", r"^/build/cancel$", r"^/plugins/.*$", r"^/distribution/.*$")
ERRORS_EVERYWHERE = {400, 401, 403, 404, 409, 500, 501, 503}  # docker's middleware answers with these on any path
EMPTY_STATUSES = {204, 304}

_description = None


def description_path():
    return os.environ.get("COFFER_ENGINE_API") or os.path.join(os.path.dirname(coffer.SOURCE), "shared", "engine-api.yaml")


def find():
    """The description, or None where it is not beside this checkout."""
    global _description
    if _description is None and os.path.exists(description_path()):
        if yaml is None:
            raise AssertionError("python3-yaml is missing: tools/deps test")
        _description = Description(description_path())
    return _description


def load(test):
    """The description, or a skip of @test."""
    if not find():
        test.skipTest("the Engine API's description is not beside this checkout")
    return find()


def dechunk(body):
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        n = int(size.split(b";")[0], 16)
        if n == 0:
            break
        out, body = out + body[:n], body[n + 2:]
    return out


FORMATS = {
    "uint8": lambda v: 0 <= v < 1 << 8,
    "uint16": lambda v: 0 <= v < 1 << 16,
    "uint32": lambda v: 0 <= v < 1 << 32,
    "uint64": lambda v: 0 <= v < 1 << 64,
    "int32": lambda v: -1 << 31 <= v < 1 << 31,
    "int64": lambda v: -1 << 63 <= v < 1 << 63,
    "dateTime": lambda v: v == "" or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", v),
}
FORMATS["date-time"] = FORMATS["dateTime"]


def _address(v, make):
    try:
        return v == "" or make(v)
    except ValueError:
        return False


FORMATS["ip-address"] = lambda v: _address(v, ipaddress.ip_address)
FORMATS["CIDR"] = lambda v: _address(v, ipaddress.ip_network)


class Description:
    def __init__(self, path):
        with open(path) as f:
            self.doc = yaml.load(f, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self._routes = []
        for template, item in self.doc["paths"].items():
            greedy = template.startswith(("/images/", "/plugins/", "/distribution/"))
            pattern = re.sub(r"\{[a-z]+\}", "(.+)" if greedy else "([^/]+)", re.sub(r"\.", r"\\.", template))
            for method in item:
                if method in METHODS:
                    self._routes.append((method.upper(), re.compile(f"^{pattern}$"), template))
        self._routes.sort(key=lambda r: (r[2].count("{"), -len(r[2])))  # names after words

    # -- schemas ------------------------------------------------------------------------------------------------

    def resolve(self, s):
        while "$ref" in s:
            node = self.doc
            for part in s["$ref"].removeprefix("#/").split("/"):
                node = node[part]
            s = node
        return s

    def properties(self, s):
        """(properties, required) of an object, allOf merged."""
        s = self.resolve(s)
        props, required = dict(s.get("properties", {})), set(s.get("required", []))
        for part in s.get("allOf", []):
            p, r = self.properties(part)
            props.update(p)
            required |= r
        return props, required

    def answer(self, method, path, status):
        return self.doc["paths"][path][method.lower()]["responses"][status].get("schema")

    def definition(self, name):
        return self.doc["definitions"][name]

    def check(self, s, value, where, found):
        """Append to @found what of @value does not fit."""
        s = self.resolve(s)
        kind = s.get("type") or ("object" if "allOf" in s or "properties" in s else None)
        if value is None:
            # Go writes an empty slice, map or pointer as null: docker does so for these kinds
            if kind not in ("object", "array") and not s.get("x-nullable") and where.rsplit(".", 1)[-1] not in NULLABLE:
                found.append(f"{where}: null")
            return
        test = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}.get(kind)
        if test and (not isinstance(value, test) or (kind in ("integer", "number") and isinstance(value, bool))):
            found.append(f"{where}: {value!r} is no {kind}")
        elif kind == "array":
            for i, v in enumerate(value):
                self.check(s.get("items", {}), v, f"{where}[{i}]", found)
        elif kind == "object":
            self.check_object(s, value, where, found)
        else:
            self.check_scalar(s, value, where, found)

    @staticmethod
    def check_scalar(s, value, where, found):
        if s.get("enum") and value not in s["enum"]:
            found.append(f"{where}: {value!r} is none of {s['enum']}")
        fits = FORMATS.get(s.get("format"))
        if fits and not fits(value):
            found.append(f"{where}: {value!r} is no {s['format']}")
        if isinstance(value, (int, float)) and not s.get("minimum", value) <= value <= s.get("maximum", value):
            found.append(f"{where}: {value!r} is out of range")
        if s.get("pattern") and isinstance(value, str) and not re.search(s["pattern"], value):
            found.append(f"{where}: {value!r} does not match {s['pattern']}")

    def check_object(self, s, value, where, found):
        props, required = self.properties(s)
        more = s.get("additionalProperties")
        for key in required - set(value):
            found.append(f"{where}.{key}: missing")
        for key, v in value.items():
            if key in props:
                self.check(props[key], v, f"{where}.{key}", found)
            elif isinstance(more, dict):
                self.check(more, v, f"{where}.{key}", found)
            elif props and key not in OURS:
                found.append(f"{where}.{key}: unknown")

    # -- answers ------------------------------------------------------------------------------------------------

    def route(self, method, path):
        """The template of @path, or None."""
        for m, pattern, template in self._routes:
            if m == method and pattern.match(path):
                return template
        return None

    def problems(self, method, target, status, content_type, body):
        """What is wrong with an answer to @method @target (with or without a version and a query)."""
        path = re.sub(r"^/v[0-9.]+(?=/)", "", target.split("?", 1)[0])
        where = f"{method} {path} {status}"
        template = self.route(method, path)
        if method == "HEAD":
            return [f"{where}: a body of {len(body)} bytes"] if body else []
        if status >= 400:
            return self.error_problems(where, content_type, body)
        if status in EMPTY_STATUSES:
            return [f"{where}: a body of {len(body)} bytes"] if body else []
        if template is None:
            return [] if any(re.match(p, path) for p in PATHS_OURS) else [f"{where}: not in the description"]
        responses = self.doc["paths"][template][method.lower()]["responses"]
        if status not in responses:
            return [f"{where}: the description has {sorted(responses)}"]
        return self.body_problems(where, template, responses[status].get("schema"), content_type, body)

    @staticmethod
    def error_problems(where, content_type, body):
        if content_type != "application/json":
            return [] if content_type and content_type.startswith(("text/plain", "application/vnd.docker.raw-stream")) else [f"{where}: an error of type {content_type!r}"]
        try:
            doc = json.loads(body)
        except ValueError:
            return [f"{where}: {body[:100]!r} is no JSON"]
        fits = isinstance(doc, dict) and list(doc) == ["message"] and isinstance(doc["message"], str) and doc["message"]
        return [] if fits and body.endswith(b"\n") else [f"{where}: {body[:200]!r} is no error"]

    def body_problems(self, where, template, schema, content_type, body):
        found = []
        if template == "/events":
            for line in body.splitlines():
                self.check(self.definition("EventMessage"), {k: v for k, v in json.loads(line).items() if k not in EVENT_OLD}, where, found)
            return found
        if template in ("/images/load", "/images/create", "/build", "/images/{name}/push"):
            for line in body.splitlines():
                found += [] if isinstance(json.loads(line), dict) else [f"{where}: {line!r}"]
            return found
        if schema is None or schema.get("format") == "binary" or content_type != "application/json":
            return found
        try:
            value = json.loads(body)
        except ValueError:
            return [f"{where}: {body[:100]!r} is no JSON"]
        if not body.endswith(b"\n"):
            found.append(f"{where}: no newline at the end")
        self.check(schema, value, where, found)
        return found
