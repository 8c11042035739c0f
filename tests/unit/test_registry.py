"""Handlers by name."""

from typing import Any

import pytest

from jobs import Context
from jobs import handler as exported
from jobs import registry as module
from jobs.errors import InvalidDuration
from jobs.model import JobId
from jobs.registry import DEFAULT_HANDLER, HANDLERS, Handler, Registry, handler


async def work(ctx: Context, data: Any) -> Any:
    return data


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An empty registry in place of the process's own."""
    mine = Registry()
    monkeypatch.setattr(module, "HANDLERS", mine)
    return mine


def test_a_handler_is_found_by_its_name() -> None:
    registry = Registry()
    assert registry.get("a") is None
    assert registry.names() == "none"
    assert list(registry) == []
    b = Handler(name="b", function=work)
    a = Handler(name="a", function=work, timeout_ns=5, reruns=1)
    registry.add(b)
    registry.add(a)
    assert registry.get("a") is a
    assert registry.get("A") is None
    assert registry.names() == "a, b"
    assert list(registry) == [b, a]


def test_a_name_is_taken_once() -> None:
    registry = Registry()
    first = Handler(name="a", function=work)
    registry.add(first)
    with pytest.raises(ValueError, match="a handler named 'a' is registered already"):
        registry.add(Handler(name="a", function=work))
    assert registry.get("a") is first


def test_the_decorator_registers_and_gives_the_function_back(handlers: Registry) -> None:
    assert handler("plain")(work) is work
    assert handlers.get("plain") == Handler(name="plain", function=work)


@pytest.mark.parametrize(
    ("timeout", "ns"), [("30s", 30 * 10**9), (5, 5), ("1m30s", 90 * 10**9), (None, None)]
)
def test_the_decorators_options(
    handlers: Registry, timeout: int | str | None, ns: int | None
) -> None:
    handler("resize", timeout=timeout, reruns=0)(work)
    assert handlers.get("resize") == Handler(name="resize", function=work, timeout_ns=ns, reruns=0)


def test_the_decorator_refuses_what_it_cannot_read_and_a_taken_name(handlers: Registry) -> None:
    with pytest.raises(InvalidDuration, match="'soon' is no duration"):
        handler("resize", timeout="soon")
    handler("resize")(work)
    with pytest.raises(ValueError, match="registered already"):
        handler("resize")(work)


def test_what_the_package_offers_to_handlers() -> None:
    assert exported is handler
    context = Context(job_id=JobId(3, 1042), attempt=2, max_attempts=3)
    assert (str(context.job_id), context.attempt, context.max_attempts) == ("3-1042", 2, 3)


def test_the_default_handler_comes_with_the_worker() -> None:
    import handlers as shipped

    assert shipped.builtin is not None
    assert {"simulate", "echo", "sleep", "fail"} <= {each.name for each in HANDLERS}
    assert HANDLERS.get(DEFAULT_HANDLER) is not None
