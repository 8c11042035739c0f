"""``/docs``: the OpenAPI document as a page; no script, and nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from string import Template
from typing import Any

import msgspec

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Jobs on Kafka: the API</title>
<link rel="stylesheet" href="/assets/docs.css">
</head>
<body>
<header><h1>Jobs on Kafka: the API</h1>
<p>$about</p>
<p><a href="/openapi.json">OpenAPI document</a> · <a href="/">Front page</a></p>
<nav aria-label="Calls"><ul>
$contents
</ul></nav></header>
<main>
$calls
</main>
</body>
</html>
""")


def page(document: Mapping[str, Any], url: str) -> str:
    """The page, with examples for the worker at ``url``."""
    calls = [
        (method.upper(), path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]
    return _PAGE.substitute(
        about=_text(document["info"]["description"]),
        contents="\n".join(
            f'<li><a href="#{told["operationId"]}"><code>{method} {escape(path)}</code></a></li>'
            for method, path, told in calls
        ),
        calls="\n".join(
            "\n".join(_call(document, method, path, told, url)) for method, path, told in calls
        ),
    )


def _call(
    document: Mapping[str, Any], method: str, path: str, told: Mapping[str, Any], url: str
) -> Iterator[str]:
    yield f'<article id="{told["operationId"]}">'
    yield f'<h2><code class="method">{method}</code> <code>{escape(path)}</code></h2>'
    yield f"<p><strong>{_text(told['summary'])}.</strong> {_text(told['description'])}</p>"
    secured = ' -H "Authorization: Bearer $JOBS_API_TOKEN"' if "security" in told else ""
    example = re.sub(r"^curl", f"curl{secured}", told["x-curl"].format(url=url))
    yield f'<pre tabindex="0"><code>{escape(example)}</code></pre>'
    given = [
        (each["name"], f"{each['in']}, {kind(each['schema'])}", each["description"])
        for each in told["parameters"]
    ]
    if given:
        yield _table("Parameters", ("Name", "What", "Meaning"), given)
    if "requestBody" in told:
        yield _fields(document, "Body", told["requestBody"]["content"])
    answers = [(status, "", each["description"]) for status, each in told["responses"].items()]
    yield _table("Answers", ("Status", "", "When"), answers)
    for status, each in told["responses"].items():
        for content in each.get("content", {}).values():
            if "example" in content:
                body = msgspec.json.format(msgspec.json.encode(content["example"])).decode()
                yield f"<h3>{status}, for example</h3>"
                yield f'<pre tabindex="0"><code>{escape(body)}</code></pre>'
        if status.startswith("2") and "schema" in next(iter(each["content"].values()), {}):
            yield _fields(document, f"Fields of {status}", each["content"])
    yield "</article>"


def _fields(document: Mapping[str, Any], title: str, content: Mapping[str, Any]) -> str:
    schema = next(iter(content.values()))["schema"]
    shown = document["components"]["schemas"][_name(schema)]
    fields = [
        (name, kind(each), meaning(each)) for name, each in shown.get("properties", {}).items()
    ]
    return _table(title, ("Field", "What", "Meaning"), fields)


def _table(title: str, head: tuple[str, ...], rows: list[tuple[str, str, str]]) -> str:
    used = [i for i in range(3) if any(row[i] for row in rows) or i != 1]
    heads = "".join(f'<th scope="col">{head[i]}</th>' for i in used)
    lines = [
        "<tr>"
        + "".join(
            f"<td><code>{escape(row[i])}</code></td>" if i == 0 else f"<td>{_text(row[i])}</td>"
            for i in used
        )
        + "</tr>"
        for row in rows
    ]
    return (
        f'<h3>{escape(title)}</h3><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(title)}"><table><thead><tr>{heads}</tr></thead><tbody>'
        + "\n".join(lines)
        + "</tbody></table></div>"
    )


def kind(schema: Mapping[str, Any]) -> str:
    """What a schema takes, in words."""
    if "$ref" in schema:
        return _name(schema)
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    said = schema.get("type", "any value")
    if said == "array":
        return f"list of {kind(schema['items'])}"
    if "minimum" in schema and "maximum" in schema:
        return f"{said} {schema['minimum']} to {schema['maximum']}"
    if "default" in schema and schema["default"] is not None:
        return f"{said} (default {schema['default']})"
    return f"{said} ({schema['format']})" if "format" in schema else str(said)


def meaning(schema: Mapping[str, Any]) -> str:
    """What is said of a field, also by the types that it may be of."""
    told = [schema.get("description", "")]
    told += [each.get("description", "") for each in schema.get("anyOf", ())]
    return ". ".join(text for text in told if text)


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _text(text: str) -> str:
    """Text whose code stands between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
