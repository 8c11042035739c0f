"""Typed data: a handler's annotation says what its data is, and it is checked before it runs.

msgspec decodes ``Struct``, dataclasses, ``TypedDict`` and plain types; an annotation that holds
anything of pydantic's is decoded by pydantic (``jobs.modelled``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from jobs.errors import InvalidRequest, told
from jobs.modelled import adapter_for, holds_pydantic, wrong_field
from jobs.signature import data_type, never_json

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
    kind = data_type(function)
    if kind is Any:
        return plain
    try:
        if holds_pydantic(kind):
            return _by_pydantic(adapter_for(kind))
        decoder = msgspec.json.Decoder(kind)
        never = never_json(kind)
        if never is not None:
            raise TypeError(f"no JSON becomes what {never.__qualname__} says")
        return _by_msgspec(decoder)
    except TypeError as exc:
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"data of {name} can't be decoded as {kind!r}: {exc}") from exc


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
