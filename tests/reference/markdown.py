"""The second half of ``docs/http.md``, made from the OpenAPI document: ``make docs`` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jobs.registry import HANDLERS
from tests.harness import ROOT
from web.reference import CALLS
from web.reference.document import document
from web.reference.page import kind, meaning

PAGE = ROOT / "docs" / "http.md"
MARK = "<!-- From here on `make docs` writes it, from the descriptions in web/reference. -->\n"
URL = "http://127.0.0.1:8080"
BUILT_IN = ("echo", "fail", "http", "simulate", "sleep")


def whole(page: Path = PAGE) -> str:
    """The page as it should be."""
    first, mark, _ = page.read_text().partition(MARK)
    assert mark, f"{page.name} has lost the line {MARK}"
    return first + MARK + "\n" + "\n".join(made())


def made() -> Iterator[str]:
    """Its lines."""
    names = [each.name for each in HANDLERS if each.name in BUILT_IN]
    told = document(CALLS, sorted(names))
    calls = [
        (f"{method.upper()} {path}", call)
        for path, methods in told["paths"].items()
        for method, call in methods.items()
    ]
    yield "## Calls\n"
    yield from _table(
        ("call", "what it is for"),
        ((f"[`{name}`](#{_anchor(name)})", call["summary"]) for name, call in calls),
    )
    schemas = told["components"]["schemas"]
    for name, call in calls:
        yield from _call(name, call, schemas)
    yield "## Types\n"
    for name in sorted(set(schemas) - {"Problem"} - _bodies(told)):
        yield from _schema(f"### {name}\n", schemas[name])


def _call(name: str, call: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield f"{call['summary']}. {call['description']}".strip() + "\n"
    if call["parameters"]:
        yield from _table(
            ("parameter", "in", "type", "meaning"),
            (
                (f"`{p['name']}`", p["in"], kind(p["schema"]), p["description"])
                for p in call["parameters"]
            ),
        )
    for each in call.get("requestBody", {}).get("content", {}).values():
        yield from _schema("Body, which may be empty:\n", schemas[kind(each["schema"])])
    yield from _table(
        ("status", "body", "when"),
        ((s, _body(each), each["description"]) for s, each in call["responses"].items()),
    )
    yield "```console"
    yield f"$ {call['x-curl'].format(url=URL)}"
    for each in call["responses"].values():
        for content in each.get("content", {}).values():
            if "example" in content:
                yield json.dumps(content["example"], separators=(",", ":"))
                yield "```\n"
                return
    yield "```\n"


def _schema(title: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield title
    if schema.get("description") and title.startswith("#"):
        yield schema["description"].replace("\n\n", " ") + "\n"
    if "enum" in schema:
        yield kind(schema) + "\n"
    else:
        yield from _table(
            ("field", "type", "meaning"),
            (
                (f"`{name}`", kind(each), meaning(each))
                for name, each in schema["properties"].items()
            ),
        )


def _bodies(told: Mapping[str, Any]) -> set[str]:
    return {
        kind(each["schema"])
        for methods in told["paths"].values()
        for call in methods.values()
        for each in call.get("requestBody", {}).get("content", {}).values()
    }


def _body(answer: Mapping[str, Any]) -> str:
    for media, content in answer.get("content", {}).items():
        if "schema" not in content:
            return f"`{media}`"
        name = kind(content["schema"])
        return "Problem" if name == "Problem" else f"[{name}](#{name.lower()})"
    return ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")
