#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Render openapi.json as one HTML page without scripts or outside resources.

    docs.py openapi.json OUT.c
"""
import html
import json
import pathlib
import re
import sys

from contract import METHODS, blob, resolve

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
h2{border-bottom:1px solid var(--line);margin-top:3rem}
code,pre{font:14px/1.4 ui-monospace,monospace}
pre{background:var(--soft);padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere;border-radius:4px}
details{border:1px solid var(--line);border-radius:4px;margin:.5rem 0;padding:.3rem .6rem}
summary{cursor:pointer}summary b{display:inline-block;min-width:4.5rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.2rem .5rem;
text-align:left;vertical-align:top}nav a{margin-right:1rem}.dim{opacity:.7}
"""


def esc(value):
    return html.escape(str(value))


def line(text):
    """One line, with `code`."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", esc(text))


def such_as(value):
    """An example behind a description; of true and false nobody needs one."""
    if isinstance(value, bool):
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return f'. <span class="dim">Example:</span> <code>{esc(text)}</code>'


def prose(text):
    """Paragraphs, with `code` and **bold**."""
    paragraphs = [p for p in re.split(r"\n\s*\n", text.strip()) if p]
    marked = []
    for p in paragraphs:
        marked.append("<p>" + re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", line(p)) + "</p>")
    return "\n".join(marked)


class Page:
    def __init__(self, doc):
        self.doc = doc

    def resolve(self, node):
        return resolve(self.doc, node)

    def type_text(self, node):
        if "$ref" in node:
            name = node["$ref"].rsplit("/", 1)[1]
            if self.resolve(node).get("type") == "object":
                return f'<a href="#schema-{name}">{name}</a>'
            node = self.resolve(node)
        kind = node.get("type", "any")
        text = " or ".join(kind) if isinstance(kind, list) else kind
        if "array" in text and "items" in node:
            text = f"array of {self.type_text(node['items'])}"
        if "enum" in node:
            text += ": " + ", ".join(esc(v) for v in node["enum"] if v is not None)
        limits = [f"{label} {json.dumps(node[key])}" for key, label in
                  (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"), ("default", "default")) if key in node]
        return text + (f' <span class="dim">{esc(", ".join(limits))}</span>' if limits else "")

    def rows(self, schema, prefix=""):
        for name, child in schema.get("properties", {}).items():
            node = self.resolve(child)
            mark = " *" if name in schema.get("required", []) else ""
            example = such_as(node["examples"][0]) if node.get("examples") else ""
            yield (f"<tr><td><code>{esc(prefix + name)}</code>{mark}</td><td>{self.type_text(child)}</td>"
                   f"<td>{line(node.get('description', ''))}{example}</td></tr>")
            if "$ref" not in child and node.get("type") == "object":
                yield from self.rows(node, f"{prefix}{name}.")

    def schema(self, name, schema):
        rows = "".join(self.rows(schema))
        return (f'<details id="schema-{name}"><summary><b>{name}</b> {line(schema["description"])}</summary>'
                f"<table><tr><th>field<th>type<th>meaning</tr>{rows}</table></details>")

    def parameters(self, item, op):
        rows = ""
        for parameter in item.get("parameters", []) + op.get("parameters", []):
            parameter = self.resolve(parameter)
            rows += (f"<tr><td><code>{esc(parameter['name'])}</code> <span class=dim>{parameter['in']}</span></td>"
                     f"<td>{self.type_text(parameter['schema'])}</td>"
                     f"<td>{line(parameter['description'])}{such_as(parameter['example'])}</td></tr>")
        return f"<table><tr><th>parameter<th>type<th>meaning</tr>{rows}</table>" if rows else ""

    def curl(self, path, method, item, op):
        for parameter in item.get("parameters", []):
            parameter = self.resolve(parameter)
            path = path.replace("{" + parameter["name"] + "}", str(parameter["example"]))
        words = ["curl", "--cacert ca.crt", '-H "Authorization: Bearer $TOKEN"']
        if method != "get":
            words.append(f"-X {method.upper()}")
        body = op.get("requestBody", {}).get("content", {})
        if body:
            media, content = next(iter(body.items()))
            example = content["example"]
            if "json" in media:
                words.append("--json '" + json.dumps(example) + "'")
            else:
                words.append("-T FILE" if method == "put" else f"--data-binary '{example.strip()}'")
        return esc(" ".join(words) + f" https://HOST:8443{path}")

    def operation(self, path, method, item, op):
        answers = "".join(f"<tr><td>{code}</td><td>{line(self.resolve(r)['description'])}</td></tr>"
                          for code, r in op["responses"].items())
        body = op.get("requestBody", {}).get("content", {})
        taken = "".join(f"<p>Body, {esc(media)}: {self.type_text(content['schema'])}</p>" for media, content in body.items())
        filters = f"<p>Filter columns: <code>{', '.join(op['x-filter'])}</code></p>" if "x-filter" in op else ""
        return (f'<details id="{op["operationId"]}"><summary><b>{method.upper()}</b> <code>{esc(path)}</code> '
                f'{esc(op["summary"])}</summary>{prose(op["description"])}'
                f'<p class="dim">Roles: {", ".join(op["x-roles"])}</p>{self.parameters(item, op)}{filters}{taken}'
                f"<pre>{self.curl(path, method, item, op)}</pre>"
                f"<table><tr><th>status<th>answer</tr>{answers}</table></details>")

    def render(self):
        doc = self.doc
        out = ["<!DOCTYPE html><html lang=en><head><meta charset=utf-8>",
               '<meta name=viewport content="width=device-width,initial-scale=1">',
               f"<title>{esc(doc['info']['title'])} API</title><style>{STYLE}</style></head><body>",
               f"<h1>{esc(doc['info']['title'])} API {esc(doc['info']['version'])}</h1><nav>"]
        out += [f'<a href="#tag-{t["name"]}">{t["name"]}</a>' for t in doc["tags"]]
        out += ['<a href="#schemas">schemas</a><a href="#problems">problems</a><a href="/v1/openapi.json">JSON</a></nav>',
                prose(doc["info"]["description"])]
        for tag in doc["tags"]:
            out.append(f'<h2 id="tag-{tag["name"]}">{tag["name"]}</h2>{prose(tag["description"])}')
            for path, item in doc["paths"].items():
                out += [self.operation(path, m, item, item[m]) for m in METHODS
                        if m in item and tag["name"] in item[m]["tags"]]
        out.append("<h2 id=schemas>schemas</h2>")
        out += [self.schema(n, s) for n, s in doc["components"]["schemas"].items() if s.get("type") == "object"]
        out.append("<h2 id=problems>problems</h2><table><tr><th>type<th>status<th>meaning<th>what to do</tr>")
        out += [f'<tr id="problem-{n}"><td><code>{n}</code></td><td>{p["status"]}</td><td>{esc(p["title"])}</td>'
                f'<td>{line(p["remedy"])}</td></tr>' for n, p in doc["x-problems"].items()]
        out.append("</table></body></html>")
        return "\n".join(out)


def main():
    page = Page(json.loads(pathlib.Path(sys.argv[1]).read_text())).render()
    lines = ["/* Generated from openapi.yaml by docs.py. */", "#include <stddef.h>",
             "extern const unsigned char contract_html[];", "extern const size_t contract_html_size;"]
    pathlib.Path(sys.argv[2]).write_text("\n".join(lines + blob("contract_html", page.encode())))


if __name__ == "__main__":
    main()
