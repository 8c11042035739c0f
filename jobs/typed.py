"""Typed data: a handler's annotation says what its data is, and it is checked before it runs.

msgspec decodes ``Struct``, dataclasses, ``TypedDict`` and plain types; an annotation that holds
anything of pydantic's is decoded by pydantic (``jobs.modelled``).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec

from jobs.errors import InvalidRequest, told
from jobs.modelled import adapter_for, holds_pydantic, wrong_field

Decode = Callable[[msgspec.Raw], Any]
_any = msgspec.json.Decoder()
_AT = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL)


def plain(data: msgspec.Raw) -> Any:
    """Data of a handler with no annotation: decoded JSON as it is."""
    return _any.decode(data)


def decoder_for(function: Callable[..., Any]) -> Decode:
    """How the data of a handler is decoded, by the annotation of its second parameter.

    Raises:
        TypeError: the function takes no ``(ctx, data)``, or its annotation can't be used.
    """
    name = getattr(function, "__qualname__", repr(function))
    parameters = list(inspect.signature(function).parameters.values())
    if (
        len(parameters) < 2
        or not all(_by_place(p) for p in parameters[:2])
        or any(
            p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            for p in parameters[2:]
        )
    ):
        raise TypeError(f"a handler takes two arguments, (ctx, data): {name} doesn't")
    try:
        kind = get_type_hints(function, include_extras=True).get(parameters[1].name, Any)
    except Exception as exc:
        raise TypeError(f"the annotations of {name} can't be resolved: {exc}") from exc
    if kind is Any or kind is inspect.Parameter.empty:
        return plain
    try:
        if holds_pydantic(kind):
            return _by_pydantic(adapter_for(kind))
        return _by_msgspec(msgspec.json.Decoder(kind))
    except TypeError as exc:
        raise TypeError(f"data of {name} can't be decoded as {kind!r}: {exc}") from exc


def _by_place(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)


def _by_msgspec(decoder: msgspec.json.Decoder[Any]) -> Decode:
    def decode(data: msgspec.Raw) -> Any:
        try:
            return decoder.decode(data)
        except msgspec.ValidationError as exc:
            match = _AT.fullmatch(str(exc))
            text, path = (match[1], match[2]) if match else (str(exc), "")
            field = f"data{path}"
            text = text.replace("`", "")
            raise InvalidRequest(f"{field}: {text[:1].lower()}{text[1:]}", field) from None
        except BaseException as exc:  # of a __post_init__, say: it refuses it in its own way
            raise _refused(exc) from None

    return decode


def _by_pydantic(adapter: Any) -> Decode:
    def decode(data: msgspec.Raw) -> Any:
        try:
            return adapter.validate_json(bytes(data))
        except BaseException as exc:
            raise _by_errors(exc, data) or _refused(exc) from None

    return decode


def _by_errors(error: BaseException, data: msgspec.Raw) -> InvalidRequest | None:
    """What pydantic's ``ValidationError`` says, in our words."""
    try:
        errors: Any = error
        first = errors.errors(include_url=False, include_context=False, include_input=False)[0]
        field, text = wrong_field(first, plain(data)), str(first["msg"])
    except BaseException:  # another exception, or its text is a validator's, whose __str__ raises
        return None
    return InvalidRequest(f"{field}: {text[:1].lower()}{text[1:]}", field)


def _refused(error: BaseException) -> InvalidRequest:
    return InvalidRequest(f"data: refused with {told(error)}", "data")
