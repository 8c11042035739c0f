"""Data by a handler's annotation: pydantic's types anywhere in it, and plain ones by msgspec."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
from typing import Annotated, Any, Literal, NewType, Optional

import annotated_types
import msgspec
import pydantic.dataclasses
import pytest
from pydantic import (
    BaseModel,
    Field,
    PositiveInt,
    field_serializer,
    field_validator,
)
from typing_extensions import TypedDict

from jobs.codec import encode_json
from jobs.errors import InvalidRequest
from jobs.modelled import holds_pydantic
from jobs.typed import Decode, decoder_for


class Size(BaseModel):
    width: int
    parts: list[Size] = []

    @field_validator("width")
    @classmethod
    def _known(cls, width: int) -> int:
        return {0: 0, 3: 3}[width] if width < 5 else width


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


@pydantic.dataclasses.dataclass
class Checked:
    size: Size


@dataclasses.dataclass
class Plain:
    size: Size | None
    count: Annotated[int, Field(lt=10)] = 0


class Dictionary(TypedDict):
    count: PositiveInt


class Struct(msgspec.Struct):
    size: Size


class Bounded(msgspec.Struct):
    count: Annotated[int, annotated_types.Ge(0)]


class Tree(msgspec.Struct):
    kids: list[Tree] = []


@dataclasses.dataclass
class Point:
    x: Annotated[int, msgspec.Meta(ge=0)]


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


def decoder(kind: Any) -> Decode:
    def function(ctx: Any, data: Any) -> None: ...

    function.__annotations__["data"] = kind
    return decoder_for(function)


def decoded(kind: Any, data: Any) -> Any:
    return decoder(kind)(msgspec.Raw(json.dumps(data).encode()))


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (Size, {"width": 3}, Size(width=3)),
        (Size | None, {"width": 3}, Size(width=3)),
        (Optional[Size], None, None),  # noqa: UP045 - users write it so
        (list[Size], [{"width": 3}], [Size(width=3)]),
        (dict[str, Size], {"a": {"width": 3}}, {"a": Size(width=3)}),
        (Checked, {"size": {"width": 3}}, Checked(Size(width=3))),
        (Plain, {"size": {"width": 3}}, Plain(Size(width=3))),
        (Dictionary, {"count": 1}, {"count": 1}),
        (Annotated[int, Field(gt=0)], 1, 1),
        (list[Pet], [{"kind": "dog", "name": "a"}], [Dog(kind="dog", name="a")]),
        (NewType("Sizes", list[Size]), [], []),
    ],
)
def test_types_of_pydantics_are_decoded(kind: Any, data: Any, value: Any) -> None:
    assert decoded(kind, data) == value


@pytest.mark.parametrize(
    ("kind", "data", "says"),
    [
        (Size, {"width": "x"}, "data.width: input should be a valid integer"),
        (Size, {"width": 9, "parts": [{"width": 9}, {}]}, "data.parts[1].width: field required"),
        (Size | None, {}, "data.width: field required"),
        (list[Size], [{"width": 9}, 5], "data[1]: input should be an object"),
        (dict[str, Size], {"a": {"width": []}}, "data.a.width: input should be a valid integer"),
        (dict[int, Size], {"a": {"width": 9}}, "data.a: input should be a valid integer"),
        (Checked, {"size": {}}, "data.size.width: field required"),
        (Plain, {"size": None, "count": 10}, "data.count: input should be less than 10"),
        (Dictionary, {"count": 0}, "data.count: input should be greater than 0"),
        (Annotated[int, Field(gt=0)], 0, "data: input should be greater than 0"),
        (PositiveInt, 0, "data: input should be greater than 0"),
        (Pet, {"kind": "dog"}, "data.name: field required"),
        (Size | int, "x", "data: input should be"),
        (Size, {"width": 4}, "data: refused with KeyError: 4"),
    ],
)
def test_what_pydantic_refuses_names_the_field(kind: Any, data: Any, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(kind, data)
    assert str(caught.value).startswith(says)
    assert caught.value.field == says.partition(":")[0]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (
            Struct,
            "a msgspec Struct can't hold what is pydantic's",
        ),
        (
            list[Struct],
            "a msgspec Struct can't hold what is pydantic's",
        ),
        (Bounded, "its own constraints are msgspec.Meta(ge=0) and the like"),
        (dict[Size, object] | type(sys), "Unable to generate pydantic-core schema"),
    ],
)
def test_what_can_not_be_decoded_is_refused_on_import(kind: Any, says: str) -> None:
    with pytest.raises(TypeError, match=r"data of .*function can't be decoded as") as caught:
        decoder(kind)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [int, Tree, Point, list[Tree | None], Annotated[int, "a note"]])
def test_plain_types_go_by_msgspec(kind: Any) -> None:
    assert not holds_pydantic(kind)
    with pytest.raises(InvalidRequest, match="data: expected"):
        decoded(kind, "x")


class Unshown(Exception):
    def __str__(self) -> str:
        raise SystemExit("no text")


ENDINGS = [
    (SystemExit(3), "SystemExit: 3"),
    (KeyboardInterrupt(), "KeyboardInterrupt: "),
    (GeneratorExit("x"), "GeneratorExit: x"),
    (asyncio.CancelledError("y"), "CancelledError: y"),
    (Unshown(), "Unshown: (it can't be shown: its __str__ raises)"),
]
_raised: list[BaseException] = []


@dataclasses.dataclass
class Ending:
    x: int

    def __post_init__(self) -> None:
        raise _raised[-1]


class EndingModel(BaseModel):
    x: int

    @field_validator("x")
    @classmethod
    def _end(cls, x: int) -> int:
        raise _raised[-1]


class EndingResult(BaseModel):
    def model_dump(self, **options: Any) -> dict[str, int]:
        raise _raised[-1]


@pytest.mark.parametrize(("error", "says"), ENDINGS)
@pytest.mark.parametrize("kind", [Ending, EndingModel, list[Ending], EndingModel | None])
def test_a_check_that_would_end_the_worker_refuses_the_data(
    kind: Any, error: BaseException, says: str
) -> None:
    _raised.append(error)
    data = [{"x": 1}] if kind == list[Ending] else {"x": 1}
    with pytest.raises(InvalidRequest) as caught:
        decoded(kind, data)
    assert (str(caught.value), caught.value.field) == (f"data: refused with {says}", "data")


@pytest.mark.parametrize(("error", "says"), ENDINGS)
def test_a_result_that_would_end_the_worker_has_no_json_form(
    error: BaseException, says: str
) -> None:
    _raised.append(error)
    with pytest.raises(InvalidRequest, match=r"^EndingResult has no JSON form: ") as caught:
        encode_json(EndingResult())
    assert says in str(caught.value)


def test_a_validators_text_that_can_not_be_shown() -> None:
    class Mute(ValueError):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    _raised.append(Mute())
    with pytest.raises(InvalidRequest, match=r"^data"):
        decoded(EndingModel, {"x": 1})


def test_pydantic_is_imported_for_an_annotation_only() -> None:
    code = """
import sys, dataclasses, msgspec
from jobs import handler

@dataclasses.dataclass
class Size:
    width: int

@handler("typed")
async def typed(ctx, data: list[Size | None]): ...

assert "pydantic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_pydantic_the_error_names_it() -> None:
    code = """
import sys
from typing import Annotated
from annotated_types import Gt
from jobs import handler

sys.modules["pydantic"] = None
try:
    @handler("typed")
    async def typed(ctx, data: Annotated[int, Gt(0)]): ...
except TypeError as exc:
    assert "it needs pydantic, 2 or newer" in str(exc), exc
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class Secretive(BaseModel):
    text: str

    @field_serializer("text")
    def _never(self, text: str) -> str:
        raise LookupError(text)


def test_models_are_results() -> None:
    size = Size(width=3, parts=[Size(width=0)])
    tree = {"width": 3, "parts": [{"width": 0, "parts": []}]}
    assert json.loads(bytes(encode_json(size))) == tree
    assert json.loads(bytes(encode_json({"a": [size], "b": Plain(size)}))) == {
        "a": [tree],
        "b": {"size": tree, "count": 0},
    }
    with pytest.raises(InvalidRequest, match=r"Secretive has no JSON form: .*LookupError"):
        encode_json(Secretive(text="a"))
