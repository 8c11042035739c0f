"""pydantic, which stays optional: it is imported only where an annotation brings it.

An annotation brings it when anything in it is pydantic's: a model, a pydantic dataclass, a type
such as ``EmailStr``, ``Field(gt=0)`` in an ``Annotated``. The fields of dataclasses, ``TypedDict``
and ``Struct`` are looked through as well.
"""

from __future__ import annotations

from typing import Any, get_args, get_origin, get_type_hints

from jobs.errors import text_of

# Of `Annotated`: pydantic writes its own constraints in the second one's terms, and only pydantic
# checks them.
_CONSTRAINTS = ("pydantic", "annotated_types")
# By these, a class that isn't derived from one of pydantic's says that pydantic is to decode it.
_MARKS = ("__pydantic_validator__", "__get_pydantic_core_schema__")


def holds_pydantic(kind: Any) -> bool:
    """Whether an annotation has anything of pydantic's in it."""
    return _holds(kind, set())


def adapter_for(kind: Any) -> Any:
    """pydantic's decoder of an annotation.

    Raises:
        TypeError: pydantic isn't there, or doesn't know something in the annotation.
    """
    try:
        from pydantic import TypeAdapter
    except ImportError as exc:
        raise TypeError(f"it needs pydantic, 2 or newer: {exc}") from exc
    try:
        return TypeAdapter(kind)
    except BaseException as exc:  # pydantic's own errors, or those of a type's own hook
        if _has_struct(kind):
            raise TypeError(
                "a msgspec Struct can't hold what is pydantic's or annotated_types'; its own "
                "constraints are msgspec.Meta(ge=0) and the like"
            ) from exc
        raise TypeError(text_of(exc).partition("\n")[0] or type(exc).__name__) from exc


def wrong_field(error: dict[str, Any], data: Any) -> str:
    """The path of what pydantic refuses. It names members of unions, too (``data.Cat.age``);
    what isn't in the data is left out, unless just that is the fault."""
    path, at = "data", data
    for place in error["loc"]:
        missing = error["type"] == "missing" and place == error["loc"][-1]
        if isinstance(at, list) and isinstance(place, int) and place < len(at):
            path, at = f"{path}[{place}]", at[place]
        elif isinstance(at, dict) and (place in at or missing):
            path, at = f"{path}.{place}", at.get(place)
    return path


def _holds(kind: Any, seen: set[int]) -> bool:
    if id(kind) in seen:
        return False
    seen.add(id(kind))
    if isinstance(kind, type) and get_origin(kind) is None:
        if not hasattr(kind, "__struct_fields__") and _is_pydantics(kind):
            return True
        return any(_holds(field, seen) for field in _fields(kind))
    if any(_module(type(extra)) in _CONSTRAINTS for extra in getattr(kind, "__metadata__", ())):
        return True
    return any(_holds(part, seen) for part in _parts(kind))


def _has_struct(kind: Any) -> bool:
    todo, seen = [kind], set()
    while todo:
        each = todo.pop()
        if hasattr(each, "__struct_fields__"):
            return True
        if id(each) not in seen:
            seen.add(id(each))
            todo += [*_parts(each), *_fields(each)]
    return False


def _is_pydantics(kind: type) -> bool:
    return any(hasattr(kind, mark) for mark in _MARKS) or any(
        _module(base) == "pydantic" for base in kind.__mro__
    )


def _parts(kind: Any) -> list[Any]:
    """What a type is made of: ``X`` and ``Y`` of ``dict[X, Y]``, and what an alias stands for."""
    aliased = [getattr(kind, name, None) for name in ("__value__", "__supertype__")]
    return [get_origin(kind), *get_args(kind), *aliased]


def _fields(kind: Any) -> list[Any]:
    if not isinstance(kind, type) or not hasattr(kind, "__annotations__"):
        return []
    try:
        return list(get_type_hints(kind, include_extras=True).values())
    except Exception:  # a name that can't be resolved; who decodes it says so
        return []


def _module(kind: type) -> str:
    return kind.__module__.partition(".")[0]
