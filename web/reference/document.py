"""The OpenAPI document, made from the types that check what comes in and bear what goes out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from jobs.registry import DEFAULT_HANDLER
from web import shapes
from web.reference.model import JSON, Answer, Call

PROBLEM = "application/problem+json"
_REF = "#/components/schemas/{name}"
_ABOUT = (
    "Any worker answers for any job. A job's id is its place in the topic, `partition-offset`. "
    "Errors are problem documents (RFC 9457) that say what to do. Bodies are JSON, whatever "
    "`Content-Type` says of it."
)
_HANDLER = "Which function runs it; `{}` unless given. Those of the worker that was asked"


def document(
    calls: Mapping[tuple[str, str], Call], handlers: list[str], *, secured: bool = False
) -> dict[str, Any]:
    """The document of a worker.

    Args:
        handlers: the names that a job may have as its ``handler``.
        secured: a token is asked for.
    """
    components = _components(calls)
    request = components.get("WireRequest")
    if request is not None:
        # A handler that only other workers have is refused here, too.
        request["properties"]["handler"] = {
            "anyOf": [{"type": "string", "enum": handlers}, {"type": "null"}],
            "description": _HANDLER.format(DEFAULT_HANDLER),
        }
        # To JSON Schema 3.0 is an integer, too.
        ttl = request["properties"]["ttl"]
        ttl["anyOf"] = [kind for kind in ttl["anyOf"] if kind["type"] != "number"]
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), call in calls.items():
        told = _operation(path, call, components, secured)
        paths.setdefault(path, {})[method.lower()] = told
    return {
        "openapi": "3.1.0",
        "info": {"title": "Jobs on Kafka", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/", "description": "This worker"}],
        "paths": paths,
        "components": {
            "schemas": {n: s for n, s in components.items() if n not in _parameter_types(calls)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "JOBS_API_TOKEN"}
            },
        },
    }


def _components(calls: Mapping[tuple[str, str], Call]) -> dict[str, Any]:
    kinds: list[Any] = [shapes.Problem]
    for call in calls.values():
        kinds += [kind for kind in (call.query, call.headers, call.body) if kind is not None]
        kinds += [each.shape for each in call.answers.values() if each.shape is not None]
    unique = list(dict.fromkeys(kinds))
    return msgspec.json.schema_components(unique, ref_template=_REF)[1]


def _parameter_types(calls: Mapping[tuple[str, str], Call]) -> set[str]:
    kinds = [kind for call in calls.values() for kind in (call.query, call.headers) if kind]
    return {kind.__name__ for kind in kinds}


def _operation(
    path: str, call: Call, components: Mapping[str, Any], secured: bool
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": call.name,
        "tags": [call.tag],
        "summary": call.summary,
        "description": call.text,
        "parameters": [
            *(_path_parameter(name) for name in re.findall(r"{(\w+)}", path)),
            *_parameters("query", call.query, components),
            *_parameters("header", call.headers, components),
        ],
        "responses": _responses(call, secured),
        "x-curl": call.curl,
    }
    if call.body is not None:
        told["requestBody"] = {
            "required": False,
            "content": {JSON: {"schema": _ref(call.body), "example": call.body_example}},
        }
    if secured and not call.open:
        told["security"] = [{"bearer": []}]
    return told


def _path_parameter(name: str) -> dict[str, Any]:
    kind = shapes.Id if name == "id" else str
    schema = msgspec.json.schema(kind)
    if name == "name":
        schema["examples"] = ["docs.css"]
    text = schema.pop("description", "")
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _parameters(
    place: str, kind: type[msgspec.Struct] | None, components: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if kind is None:
        return []
    told = components[kind.__name__]
    found = []
    for name, given in told["properties"].items():
        schema = dict(given)
        text = schema.pop("description", "")
        needed = name in told.get("required", ())
        found.append(
            {"name": name, "in": place, "required": needed, "description": text, "schema": schema}
        )
    return found


def _responses(call: Call, secured: bool) -> dict[str, Any]:
    problems = dict(call.problems)
    if not call.any_query:
        problems.setdefault(400, "The query has a parameter that there isn't")
    if secured and not call.open:
        problems.setdefault(401, "No token is given, or a wrong one")
        problems.setdefault(429, "Too many wrong tokens from this address")
    told = {str(status): _answer(each) for status, each in call.answers.items()}
    told |= {str(status): _problem(status, text) for status, text in sorted(problems.items())}
    return told


def _answer(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if answer.shape is not None:
        content["schema"] = _ref(answer.shape)
    if answer.example is not None:
        content["example"] = answer.example
    told: dict[str, Any] = {"description": answer.text}
    if answer.media:
        told["content"] = {answer.media: content}
    if answer.headers or answer.at_times:
        told["headers"] = {name: _header(text) for name, text in answer.headers.items()}
        for name, text in answer.at_times.items():
            told["headers"][name] = _header(text, required=False)
    if answer.links:
        told["links"] = {
            name: {"operationId": name, "parameters": {"id": place}}
            for name, place in answer.links.items()
        }
    return told


def _problem(status: int, text: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": text,
        "content": {PROBLEM: {"schema": _ref(shapes.Problem)}},
    }
    if status in (429, 503):
        told["headers"] = {"Retry-After": _header("Seconds to wait", "integer")}
    return told


def _header(text: str, kind: str = "string", required: bool = True) -> dict[str, Any]:
    return {"description": text, "required": required, "schema": {"type": kind}}


def _ref(kind: Any) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}
