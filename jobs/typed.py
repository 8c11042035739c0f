"""Typed data: a handler's annotation says what its data is, and it is checked before it runs.

msgspec decodes ``Struct``, dataclasses, ``TypedDict`` and plain types; pydantic models, which
are recognised by their ``model_validate_json``, decode themselves.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec

from jobs.errors import InvalidRequest

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
    if hasattr(kind, "model_validate_json"):
        return _by_pydantic(kind)
    try:
        decoder = msgspec.json.Decoder(kind)
    except TypeError as exc:
        raise TypeError(f"data of {name} can't be decoded as {kind!r}: {exc}") from exc
    return _by_msgspec(decoder)


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
        except Exception as exc:  # of a __post_init__, say: it refuses the data in its own way
            raise _refused(exc) from None

    return decode


def _by_pydantic(model: Any) -> Decode:
    def decode(data: msgspec.Raw) -> Any:
        try:
            return model.model_validate_json(bytes(data))
        except ValueError as exc:  # pydantic's ValidationError is one
            first = exc.errors()[0] if hasattr(exc, "errors") else {"loc": (), "msg": str(exc)}
            field = ".".join(["data", *(str(part) for part in first["loc"])])
            raise InvalidRequest(f"{field}: {first['msg']}", field) from None
        except Exception as exc:
            raise _refused(exc) from None

    return decode


def _refused(error: Exception) -> InvalidRequest:
    return InvalidRequest(f"data: refused with {type(error).__name__}: {error}", "data")
