"""Every route is described, and the description is of what there is."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from multidict import MultiDict

from jobs.codec import WireRequest, decode_request
from jobs.errors import InvalidRequest
from web.problems import BadRequest
from web.query import ListQuery, check_names
from web.reference import CALLS
from web.reference.document import document
from web.reference.page import page
from web.routes import ROUTES

DOCUMENT = document(CALLS, ["echo", "simulate"])


def methods() -> set[tuple[str, str]]:
    """What the views answer to; HEAD is GET without a body."""
    there = set()
    for path, view in ROUTES:
        made = view.__new__(view)
        made.__dict__.update(
            methods={m: getattr(made, m) for m in ("get", "post", "put", "delete")}
        )
        there |= {(method, path) for method in made.get_methods() - {"HEAD"}}
    return there


def test_each_route_has_its_description_and_each_description_its_route() -> None:
    assert methods() == set(CALLS), "describe it in web/reference/"


def test_names_are_those_of_one_call() -> None:
    names = [call.name for call in CALLS.values()]
    assert len(names) == len(set(names))
    for call in CALLS.values():
        for answer in call.answers.values():
            assert set(answer.links) <= set(names)


def test_examples_are_of_their_types() -> None:
    seen = 0
    for call in CALLS.values():
        for answer in call.answers.values():
            if answer.example is not None and answer.shape is not None:
                body = msgspec.json.encode(answer.example)
                msgspec.json.decode(body, type=answer.shape, strict=True)
                assert answer.example.keys() <= {
                    f.encode_name for f in msgspec.structs.fields(answer.shape)
                }
                seen += 1
        if call.body is not None:
            msgspec.json.decode(msgspec.json.encode(call.body_example), type=call.body)
    assert seen > 5


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


def test_each_reference_leads_to_a_schema_and_none_is_left_over() -> None:
    schemas = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert references(DOCUMENT) == schemas


def test_the_limits_of_a_request_are_those_that_are_checked() -> None:
    fields = DOCUMENT["components"]["schemas"]["WireRequest"]["properties"]
    assert set(fields) == {f.name for f in msgspec.structs.fields(WireRequest)}
    tried = 0
    for name, told in fields.items():
        for kind in told.get("anyOf", ()):
            for least_or_most, beyond in (("minimum", -1), ("maximum", 1)):
                if least_or_most in kind:
                    limit = kind[least_or_most]
                    decode_request(msgspec.json.encode({name: limit}))
                    with pytest.raises(InvalidRequest, match=f"^{name}: "):
                        decode_request(msgspec.json.encode({name: limit + beyond}))
                    tried += 1
    assert tried == 6


def test_handlers_are_those_of_the_worker() -> None:
    handler = DOCUMENT["components"]["schemas"]["WireRequest"]["properties"]["handler"]
    assert handler["anyOf"][0]["enum"] == ["echo", "simulate"]


def test_a_token_is_asked_for_where_it_is() -> None:
    secured = document(CALLS, [], secured=True)
    for (method, path), call in CALLS.items():
        told = secured["paths"][path][method.lower()]
        assert ("security" in told) is ("401" in told["responses"]) is (not call.open)
        assert "security" not in DOCUMENT["paths"][path][method.lower()]


def test_the_page_has_each_call_with_an_example_and_runs_nothing() -> None:
    text = page(DOCUMENT, "http://127.0.0.1:8080")
    for call in CALLS.values():
        assert f'id="{call.name}"' in text
        assert f'href="#{call.name}"' in text
    assert text.count("curl ") >= len(CALLS)
    assert "{" not in "".join(re.findall(r"http://127\S*", text)), "it runs as it stands"
    assert not re.search(r"""<script|<style|style=|src=|href="(?!#|/)|url\(""", text)
    assert "<b>" not in page(DOCUMENT, "<b>")


def test_the_page_sends_the_token_where_one_is_asked_for() -> None:
    assert "Authorization" not in page(DOCUMENT, "http://me")
    text = page(document(CALLS, [], secured=True), "http://me")
    assert text.count("Authorization: Bearer $JOBS_API_TOKEN") == sum(
        not call.open for call in CALLS.values()
    )


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (["stauts"], "stauts"),
        (["limit", "limit"], "limit"),
        (["status", "Limit"], "Limit"),
        (["x" * 500], "x" * 57 + "..."),
    ],
)
def test_a_parameter_that_there_is_not_is_named(given: list[str], field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_names(MultiDict([(n, "1") for n in given]), CALLS["GET", "/job/all"].parameters)
    assert caught.value.field == field
    assert len(str(caught.value)) < 200


def test_parameters_that_there_are_may_stand_in_any_order() -> None:
    assert CALLS["GET", "/job/all"].query is ListQuery
    given = dict.fromkeys(["cursor", "status", "limit", "handler"], "1")
    check_names(given, CALLS["GET", "/job/all"].parameters)
    check_names({}, ())
