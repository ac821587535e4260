#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn openapi.yaml into what the program needs.

    contract.py openapi.yaml OUTDIR

writes contract_ids.h (enums that the backend uses too), contract_tables.c (routes, parameters, schemas,
problems) and openapi.json (the contract as served). Refuses a contract that lacks a
description or an example anywhere, or uses a schema word that the validator does not know.
"""
import copy
import json
import pathlib
import sys

import yaml

METHODS = ("get", "head", "put", "post", "patch", "delete")
TYPES = {"null": 1, "boolean": 2, "integer": 4, "number": 8, "string": 16, "array": 32, "object": 64}
ROLES = ("none", "admin", "operator", "viewer", "metrics", "console")
BYTES_PATTERN = "^[1-9][0-9]{0,12}(KiB|MiB|GiB|TiB)$"
KNOWN = {"type", "description", "examples", "properties", "additionalProperties", "required", "enum",
         "minimum", "maximum", "maxLength", "pattern", "items", "maxItems", "maxProperties",
         "propertyNames", "default", "readOnly", "writeOnly", "x-bytes", "format"}


def fail(where, what):
    sys.exit(f"openapi.yaml: {where}: {what}")


def upper(name):
    return name.replace("-", "_").upper()


def as_list(value):
    return value if isinstance(value, list) else [value]


# Headers that every route of a kind takes; the paths do not repeat them.
MUTATION_HEADERS = ("if_match", "idempotency_key", "prefer")
UPLOAD_HEADERS = MUTATION_HEADERS + ("content_range",)


def headers_of(method, op):
    if "x-mutation" in op:
        return MUTATION_HEADERS
    if "x-upload" in op:
        return UPLOAD_HEADERS
    names = [p.get("name", p.get("$ref", "").rsplit("/", 1)[-1]) for p in op.get("parameters", [])]
    return ("if_none_match",) if method == "get" and any(n.endswith("fields") for n in names) else ()


def resolve(doc, node):
    """Follow a $ref one step at a time until there is none."""
    while "$ref" in node:
        target = doc
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part]
        node = target
    return node


class Contract:
    def __init__(self, path):
        self.doc = yaml.safe_load(pathlib.Path(path).read_text())
        self.schemas = self.doc["components"]["schemas"]
        self.plain = copy.deepcopy(self.schemas)
        self.expand_schemas()
        self.expand_operations()
        self.check_schemas()

    def resolve(self, node):
        return resolve(self.doc, node)

    # --- derived schemas ---

    def inline(self, node):
        """A copy of a plain schema without references."""
        if "$ref" in node:
            return self.inline(self.plain[node["$ref"].rsplit("/", 1)[1]])
        node = copy.deepcopy(node)
        for key, child in node.get("properties", {}).items():
            node["properties"][key] = self.inline(child)
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                node[key] = self.inline(node[key])
        return node

    def request_form(self, node, patch):
        """What a client may send: nothing that only the server sets."""
        node.pop("writeOnly", None)
        if node.pop("x-bytes", False):
            node.update({"type": ["integer", "string"], "pattern": BYTES_PATTERN, "maxLength": 16, "x-bytes": True})
        if patch:
            node.pop("default", None)
        required = node.get("required", [])
        properties = {}
        for key, child in node.get("properties", {}).items():
            if child.get("readOnly"):
                continue
            child = self.request_form(child, patch)
            if patch and key not in required:
                self.make_nullable(child)
            properties[key] = child
        if "properties" in node:
            node["properties"] = properties
        if patch:
            node.pop("required", None)
        elif "required" in node:
            node["required"] = [key for key in required if key in properties]
        if isinstance(node.get("additionalProperties"), dict):
            child = self.request_form(node["additionalProperties"], patch)
            if patch:
                self.make_nullable(child)
            node["additionalProperties"] = child
        return node

    @staticmethod
    def make_nullable(node):
        if "null" not in as_list(node["type"]):
            node["type"] = as_list(node["type"]) + ["null"]
        if "enum" in node and None not in node["enum"]:
            node["enum"] = node["enum"] + [None]

    @staticmethod
    def answer_form(node):
        """What the server answers: nothing that only a client sends, and its own members always."""
        node["properties"] = {k: v for k, v in node["properties"].items() if not v.get("writeOnly")}
        always = ("uuid", "revision", "created_at", "updated_at", "status")
        node["required"] = node.get("required", []) + [
            k for k in always if k in node["properties"] and k not in node.get("required", [])]

    def list_form(self, name):
        item = {"$ref": f"#/components/schemas/{name}"}
        return {
            "type": "object", "description": f"A page of {name} objects",
            "required": ["items", "sequence"], "additionalProperties": False,
            "properties": {
                "items": {"type": "array", "description": "The objects", "items": item, "examples": [[]]},
                "next": {"type": ["string", "null"], "examples": [None],
                         "description": "Send it as page_token for the next page; null at the end"},
                "total_estimate": {"type": "integer", "description": "How many objects match", "minimum": 0,
                                   "examples": [1]},
                "sequence": {"type": "integer", "minimum": 0, "examples": [42],
                             "description": "Everything up to this event is in the answer; send it as since"},
                "oldest": {"type": "integer", "minimum": 0, "examples": [1],
                           "description": "Of events: the oldest sequence kept"},
                "deleted": {
                    "type": "array", "description": "With since: what was deleted", "examples": [[]],
                    "items": {"type": "object", "description": "A deleted object", "additionalProperties": False,
                              "properties": {
                                  "uuid": {"type": "string", "description": "Its uuid",
                                           "examples": ["7c0b4c1e-8f5e-4d8e-9b36-0d5a3f1f2a10"]},
                                  "name": {"type": "string", "description": "Its last name", "examples": ["web"]},
                                  "sequence": {"type": "integer", "description": "The event of its deletion",
                                               "minimum": 0, "examples": [42]}}}}}}

    def expand_schemas(self):
        bases = set()
        for name, schema in list(self.schemas.items()):
            rule = schema.get("x-derive")
            if not rule:
                continue
            base = rule["from"]
            if rule["as"] == "list":
                self.schemas[name] = self.list_form(base)
                continue
            bases.add(base)
            derived = self.inline(self.plain[base])
            if rule["as"] == "extend":
                self.answer_form(derived)
                derived["description"] = schema["description"]
                derived["properties"].update(schema["properties"])
            else:
                derived = self.request_form(derived, rule["as"] == "patch")
                if "only" in rule:
                    derived["properties"] = {k: derived["properties"][k] for k in rule["only"]}
                for key in rule.get("keep", []):
                    derived["properties"][key]["type"].remove("null")
            self.schemas[name] = derived
        for base in sorted(bases):
            self.answer_form(self.schemas[base])
        for schema in self.schemas.values():
            self.drop_bytes(schema, keep=False)

    def drop_bytes(self, node, keep):
        """In answers sizes are integers only; request forms keep the mark for the validator."""
        if node.get("x-bytes") and node.get("type") == "integer":
            del node["x-bytes"]
        for child in node.get("properties", {}).values():
            self.drop_bytes(child, keep)
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                self.drop_bytes(node[key], keep)

    # --- operations ---

    def operations(self):
        for path, item in self.doc["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item, item[method]

    def expand_operations(self):
        for path, method, item, op in self.operations():
            where = f"{method} {path}"
            for key in ("operationId", "summary", "description", "tags", "x-roles", "responses"):
                if key not in op:
                    fail(where, f"lacks {key}")
            op["parameters"] = op.get("parameters", []) + [
                {"$ref": f"#/components/parameters/{name}"} for name in headers_of(method, op)]
            op["all"] = [self.resolve(p) for p in item.get("parameters", []) + op.get("parameters", [])]
            for parameter in op["all"]:
                if not parameter.get("description") or "example" not in parameter:
                    fail(where, f"parameter {parameter['name']} lacks a description or an example")
            for content in op.get("requestBody", {}).get("content", {}).values():
                if "example" not in content:
                    fail(where, "the request body lacks an example")

    def published(self):
        """The contract as clients see it."""
        doc = copy.deepcopy(self.doc)
        for item in doc["paths"].values():
            for method in METHODS:
                if method not in item:
                    continue
                op = item[method]
                op.pop("all", None)
                op["responses"] = dict(op["responses"], default={"$ref": "#/components/responses/Problem"})
                if op["x-roles"] == ["public"]:
                    op["security"] = []
                content = op.get("requestBody", {}).get("content", {})
                if "application/merge-patch+json" in content:
                    content["application/json"] = content["application/merge-patch+json"]
        return doc

    # --- checks ---

    def check_schemas(self):
        for name, schema in self.schemas.items():
            self.check_schema(schema, name, top=True)

    def check_schema(self, node, where, top=False):
        if "$ref" in node:
            return
        for key in node:
            if key not in KNOWN:
                fail(where, f"the validator does not know {key}")
        if not node.get("description"):
            fail(where, "lacks a description")
        if not top and "examples" not in node and not {"object", "array"} & set(as_list(node["type"])):
            fail(where, "lacks an example")
        for key, child in node.get("properties", {}).items():
            self.check_schema(child, f"{where}/{key}")
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                self.check_schema(node[key], f"{where}/{key}")


def c_text(value):
    return "NULL" if value is None else json.dumps(value)


class Tables:
    """Collects C initializers. Index 0 of each table is "none"."""

    def __init__(self, contract):
        self.contract = contract
        self.schemas = ["{0}"]
        self.properties = []
        self.words = []
        self.seen = {}

    def word_range(self, words):
        start = len(self.words)
        self.words += [c_text(w) for w in words]
        return start, len(words)

    def schema(self, node):
        node = self.contract.resolve(node)
        key = json.dumps(node, sort_keys=True)
        if key in self.seen:
            return self.seen[key]
        index = self.seen[key] = len(self.schemas)
        self.schemas.append(None)
        types = sum(TYPES[t] for t in as_list(node.get("type", list(TYPES))))
        children = [(name, self.schema(child), name in node.get("required", []))
                    for name, child in sorted(node.get("properties", {}).items())]
        extra = node.get("additionalProperties")
        extra = self.schema(extra) if isinstance(extra, dict) else 0
        items = self.schema(node["items"]) if "items" in node else 0
        first = len(self.properties)
        self.properties += [f"{{{c_text(n)}, {i}, {str(r).lower()}}}" for n, i, r in children]
        enum_first, enum_count = self.word_range([w for w in node.get("enum", []) if w is not None])
        low, high = node.get("minimum"), node.get("maximum")
        self.schemas[index] = (
            f"{{.types = {types}, .closed = {str(node.get('additionalProperties') is False).lower()}, "
            f".bytes = {str(bool(node.get('x-bytes'))).lower()}, "
            f".has_minimum = {str(low is not None).lower()}, .has_maximum = {str(high is not None).lower()}, "
            f".property_first = {first}, .property_count = {len(children)}, .additional = {extra}, "
            f".items = {items}, .enum_first = {enum_first}, .enum_count = {enum_count}, "
            f".minimum = {int(low or 0)}, .maximum = {int(high or 0)}, "
            f".max_length = {node.get('maxLength', 0)}, .max_items = {node.get('maxItems', 0)}, "
            f".max_properties = {node.get('maxProperties', 0)}, {self.pattern('pattern', node)}, "
            f"{self.pattern('name_pattern', node.get('propertyNames', {}))}}}")
        return index

    def pattern(self, member, node):
        """A pattern, and in words what it asks for."""
        text = node.get("pattern")
        if text is not None and text not in self.contract.doc["x-patterns"]:
            fail("x-patterns", f"lacks words for {text}")
        return f".{member} = {c_text(text)}, .{member}_words = {c_text(self.contract.doc['x-patterns'].get(text))}"

    def answer(self, op):
        """The schema of the object that a route answers, or of each one of a list."""
        content = op["responses"].get("200", {}).get("content", {}).get("application/json")
        if not content or not any(p["name"] == "fields" for p in op["all"]):
            return 0
        node = self.contract.resolve(content["schema"])
        return self.schema(node["properties"]["items"]["items"] if "x-list" in op else node)

    def parameter(self, parameter):
        schema = self.schema(parameter["schema"])
        empty = str(bool(parameter.get("allowEmptyValue"))).lower()
        return f"{{{c_text(parameter['name'])}, {schema}, {empty}}}"


def render_ids(contract):
    out = ["/* Generated from openapi.yaml by contract.py. */", "#ifndef BULKHEAD_API_CONTRACT_IDS_H",
           "#define BULKHEAD_API_CONTRACT_IDS_H", "", "enum api_route {"]
    out += [f"    API_{upper(op['operationId'])}," for *_, op in contract.operations()]
    out += ["    API_ROUTE_COUNT", "};", "", "enum api_collection {", "    API_COLLECTION_NONE,"]
    out += [f"    API_COLLECTION_{upper(name)}," for name in collections(contract)]
    out += ["    API_COLLECTION_COUNT", "};", "", "enum api_problem_type {", "    API_PROBLEM_NONE,"]
    out += [f"    API_PROBLEM_{upper(name)}," for name in contract.doc["x-problems"]]
    out += ["    API_PROBLEM_COUNT", "};", "", "#endif", ""]
    return "\n".join(out)


def collections(contract):
    return sorted({op["x-list"] for *_, op in contract.operations() if "x-list" in op})


def render_route(tables, path, method, op, parameters):
    roles = 0
    for role in op["x-roles"]:
        roles |= 1 << ROLES.index("none" if role == "public" else role)
    queries = [p for p in op["all"] if p["in"] == "query"]
    first = len(parameters)
    parameters += [tables.parameter(p) for p in queries]
    filter_first, filter_count = tables.word_range(op.get("x-filter", []))
    media, schema = None, 0
    body = op.get("requestBody")
    if body:
        media, content = next(iter(body["content"].items()))
        schema = tables.schema(content["schema"]) if "json" in media else 0
    collection = f"API_COLLECTION_{upper(op['x-list'])}" if "x-list" in op else "API_COLLECTION_NONE"
    flag = lambda key: str(bool(op.get(key))).lower()
    return (f"    [API_{upper(op['operationId'])}] = {{.method = {c_text(method.upper())}, .path = {c_text(path)}, "
            f".name = {c_text(op['operationId'])}, .roles = {roles}, .is_mutation = {flag('x-mutation')}, "
            f".is_upload = {flag('x-upload')}, .allows_scope = {flag('x-scope')}, .collection = {collection}, "
            f".filter_first = {filter_first}, .filter_count = {filter_count}, .parameter_first = {first}, "
            f".parameter_count = {len(queries)}, .media_type = {c_text(media)}, .body_schema = {schema}, "
            f".answer_schema = {tables.answer(op)}, .body_required = {str(bool(body and body.get('required'))).lower()}}},")


def render_tables(contract, published):
    tables = Tables(contract)
    parameters = []
    routes = [render_route(tables, path, method, op, parameters)
              for path, method, _, op in contract.operations()]
    problems = [f"    [API_PROBLEM_{upper(n)}] = {{{c_text(n)}, {p['status']}, {c_text(p['title'])}, {c_text(p['remedy'])}}},"
                for n, p in contract.doc["x-problems"].items()]
    names = [f"    [API_COLLECTION_{upper(n)}] = {c_text(n)}," for n in collections(contract)]
    out = ["/* Generated from openapi.yaml by contract.py. */", '#include "api/contract.h"', ""]
    out += ["const struct contract_route contract_routes[API_ROUTE_COUNT] = {"] + routes + ["};", ""]
    out += ["const struct contract_parameter contract_parameters[] = {"]
    out += [f"    {p}," for p in parameters] + ["};", "", "const struct contract_schema contract_schemas[] = {"]
    out += [f"    {s}," for s in tables.schemas] + ["};"]
    out += [f"const size_t contract_schema_count = {len(tables.schemas)};", "",
            "const struct contract_property contract_properties[] = {"]
    out += [f"    {p}," for p in tables.properties] + ["};", "", "const char *const contract_words[] = {"]
    out += [f"    {w}," for w in tables.words] + ["    NULL", "};", "",
            "const struct contract_problem contract_problems[API_PROBLEM_COUNT] = {"] + problems + ["};", ""]
    out += ["const char *const contract_collections[API_COLLECTION_COUNT] = {"] + names + ["};", ""]
    out += blob("contract_json", published)
    return "\n".join(out) + "\n"


def blob(name, data):
    lines = [", ".join(str(b) for b in data[i:i + 32]) for i in range(0, len(data), 32)]
    return [f"const unsigned char {name}[] = {{"] + [f"    {line}," for line in lines] + [
        "};", f"const size_t {name}_size = {len(data)};", ""]


def main():
    source, out = sys.argv[1], pathlib.Path(sys.argv[2])
    contract = Contract(source)
    published = json.dumps(contract.published(), ensure_ascii=False, separators=(",", ":")).encode()
    out.mkdir(parents=True, exist_ok=True)
    (out / "contract_ids.h").write_text(render_ids(contract))
    (out / "contract_tables.c").write_text(render_tables(contract, published))
    (out / "openapi.json").write_bytes(published)


if __name__ == "__main__":
    main()
