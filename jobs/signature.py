"""Whether a function takes ``(ctx, data)``, and data that JSON can give: looked at on import."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from jobs.context import Context
from jobs.errors import told

_CONTEXTS = ("ctx", "context")
_DECODED: tuple[Any, ...] = (None, True, 1, 1.5, "", [], {})  # one of each that JSON has


def data_type(function: Callable[..., Any]) -> Any:
    """The annotation of its second parameter, ``Any`` if there is none.

    Raises:
        TypeError: the function takes no ``(ctx, data)``, or an annotation can't be resolved.
    """
    name = getattr(function, "__qualname__", repr(function))
    takes = "a handler takes two arguments, (ctx, data)"
    parameters = list(inspect.signature(function).parameters.values())
    if (
        len(parameters) < 2
        or not all(_by_place(p) for p in parameters[:2])
        or any(
            p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            for p in parameters[2:]
        )
    ):
        raise TypeError(f"{takes}: {name} doesn't")
    try:
        hints = get_type_hints(function, include_extras=True)
    except BaseException as exc:
        raise TypeError(f"the annotations of {name} can't be resolved: {told(exc)}") from exc
    first, second = (p.name for p in parameters[:2])
    context, data = hints.get(first, Any), hints.get(second, Any)
    unnamed = context is Any and second not in hints
    if data is Context or (unnamed and second in _CONTEXTS and first not in _CONTEXTS):
        raise TypeError(f"{takes}: {name} takes ({first}, {second}); the context comes first")
    if not _takes_context(context):
        raise TypeError(f"{takes}: {name} has {context!r} for its context")
    return data


def never_json(kind: Any) -> Any:
    """The part of a type that no JSON can give, such as ``Callable``; ``None`` if there is none.

    Raises:
        TypeError: msgspec doesn't take the type.
    """
    todo: list[Any] = [msgspec.inspect.type_info(kind)]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if id(each) in seen:  # a type may hold itself
            continue
        seen.add(id(each))
        if isinstance(each, msgspec.inspect.CustomType) and not _can_be(each.cls):
            return each.cls
        # Not the types of a union: another one may do.
        todo += [getattr(each, part, None) for part in ("item_type", "key_type", "value_type")]
        todo += getattr(each, "item_types", ())
        todo += [f.type for f in getattr(each, "fields", ()) if f.required]
    return None


def _by_place(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)


def _takes_context(kind: Any) -> bool:
    """Whether a context may be given where ``kind`` stands; only a plain class can say no."""
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        return any(map(_takes_context, get_args(kind)))
    if kind is Any or not isinstance(kind, type) or getattr(kind, "_is_protocol", False):
        return True
    return issubclass(Context, kind) or issubclass(kind, Context)


def _can_be(kind: type) -> bool:
    try:
        return any(isinstance(value, kind) for value in _DECODED)
    except BaseException:  # of a type's own __instancecheck__
        return True
