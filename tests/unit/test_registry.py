"""Handlers by name."""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import partial
from threading import Event
from typing import Any, Protocol

import pytest

from jobs import Context, Retry
from jobs import handler as exported
from jobs import registry as module
from jobs.errors import InvalidDuration
from jobs.model import JobId
from jobs.registry import DEFAULT_HANDLER, HANDLERS, Handler, Registry, handler
from jobs.retry import RetryPolicy
from jobs.testing import run
from tests.apps import kinds


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


WORST = 10**30
POLICY = RetryPolicy(1.0, 60.0)


@pytest.mark.parametrize(
    ("option", "value", "error", "says"),
    [
        ("timeout", 3.0, InvalidDuration, "timeout: 3.0 is no duration: say '3s'"),
        ("timeout", True, InvalidDuration, "timeout: True is no duration: say '3s'"),
        ("timeout", "soon", InvalidDuration, "timeout: 'soon' is no duration"),
        ("timeout", 0, ValueError, "timeout must be more than 0 and at most 7d, not 0"),
        ("timeout", "8d", ValueError, "timeout must be more than 0 and at most 7d, not '8d'"),
        ("reruns", 1.5, TypeError, "reruns must be a whole number, not 1.5"),
        ("reruns", True, TypeError, "reruns must be a whole number, not True"),
        ("reruns", "2", TypeError, "reruns must be a whole number, not '2'"),
        ("reruns", -1, ValueError, "reruns must be from 0 to 100, not -1"),
        ("reruns", 101, ValueError, "reruns must be from 0 to 100, not 101"),
        ("max_size", 1e6, TypeError, "max_size must be a whole number, not 1000000.0"),
        ("max_size", 0, ValueError, "max_size must be at least 1, not 0"),
        ("max_running", "2", TypeError, "max_running must be a whole number, not '2'"),
        ("max_running", 0, ValueError, "max_running must be at least 1, not 0"),
        ("backoff", 1.5, InvalidDuration, "backoff: 1.5 is no duration: say '3s'"),
        ("backoff", -1, ValueError, "backoff must be at least 0 and at most 1h, not -1"),
        ("backoff", "2h", ValueError, "backoff must be at least 0 and at most 1h, not '2h'"),
        ("backoff", RetryPolicy(-1.0), ValueError, "backoff's base_s must be from 0 to 31622400"),
        ("backoff", RetryPolicy(1, 1e9), ValueError, "backoff's cap_s must be from 0 to 31622400"),
        ("backoff", RetryPolicy(float("nan")), ValueError, "backoff's base_s must be from 0"),
        ("backoff", RetryPolicy("1s"), TypeError, "backoff's base_s must be seconds, not '1s'"),  # type: ignore[arg-type] # the mistake is meant
        ("rate", 10, TypeError, "rate is text such as '10/s', not 10"),
        ("rate", "10", ValueError, "rate: '10' is no rate: give a count and a time"),
        ("process", 1, TypeError, "process is True or False, not 1"),
        ("rehearse", "yes", TypeError, "rehearse is True or False, not 'yes'"),
        ("retry_on", "OSError", TypeError, "retry_on takes exception types, not 'OSError'"),
        ("retry_on", (OSError, 5), TypeError, "retry_on takes exception types, not 5"),
        ("discard_on", OSError("x"), TypeError, "discard_on takes exception types, not OSError"),
        ("discard_on", [int], TypeError, "discard_on takes exception types, not <class 'int'>"),
        ("discard_on", None, TypeError, "discard_on takes exception types, not None"),
    ],
)
def test_an_option_that_makes_no_sense(
    handlers: Registry, option: str, value: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        handler("resize", **{option: value})(work)
    assert str(caught.value).startswith(f"handler 'resize': {says}")
    assert list(handlers) == []


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"timeout": "7d"}, {"timeout_ns": 7 * 86_400 * 10**9}),
        ({"reruns": 100}, {"reruns": 100}),
        ({"backoff": 0}, {"backoff": RetryPolicy(0.0, 3_600.0)}),
        ({"backoff": "1h"}, {"backoff": RetryPolicy(3_600.0, 3_600.0)}),
        ({"backoff": POLICY}, {"backoff": POLICY}),
        ({"max_running": 1, "max_size": 1}, {"max_running": 1, "max_size": 1}),
        ({"retry_on": OSError}, {"retry_on": (OSError,)}),
        ({"retry_on": [OSError, KeyError]}, {"retry_on": (OSError, KeyError)}),
        ({"discard_on": {KeyError}}, {"discard_on": (KeyError,)}),
        ({"retry_on": ()}, {"retry_on": ()}),
    ],
)
def test_options_at_their_bounds(
    handlers: Registry, options: dict[str, Any], kept: dict[str, Any]
) -> None:
    handler("resize", **options)(work)
    assert handlers.get("resize") == Handler(name="resize", function=work, **kept)


def test_which_exceptions_are_worth_a_rerun() -> None:
    picky = Handler(name="a", function=work, retry_on=(OSError,), discard_on=(FileNotFoundError,))
    assert picky.worth_a_rerun(TimeoutError())
    assert not picky.worth_a_rerun(FileNotFoundError())
    assert not picky.worth_a_rerun(ValueError())
    usual = Handler(name="b", function=work)
    assert all(usual.worth_a_rerun(error) for error in (ValueError(), GeneratorExit()))


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        (work, TypeError, '@handler needs a name: write @handler("work") over work'),
        (None, TypeError, "a handler's name is text, not None"),
        (5, TypeError, "a handler's name is text, not 5"),
        ("", ValueError, "a handler's name has 1 to 100 characters, not 0"),
        ("a" * 101, ValueError, "a handler's name has 1 to 100 characters, not 101"),
    ],
)
def test_a_name_that_is_none(name: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        handler(name)


async def generates(ctx: Context, data: Any) -> AsyncIterator[int]:
    yield 1


def yields(ctx: Context, data: Any) -> Iterator[int]:
    yield 1


class Callable_:
    def __init__(self, ctx: Context = None, data: Any = None) -> None: ...  # type: ignore[assignment] # never called

    async def __call__(self, ctx: Context, data: Any) -> None: ...

    async def method(self, ctx: Context, data: Any) -> None: ...


async def of_one(ctx: Context) -> None: ...


async def swapped(data, ctx): ...


async def swapped_types(data: int, ctx: Context) -> None: ...


async def no_context(ctx: int, data: int) -> None: ...


async def uncalled(ctx: Context, data: Callable[[], int]) -> None: ...


@dataclass
class Work:
    event: Event
    name: str = ""


async def locked(ctx: Context, data: list[Work]) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (generates, "generates has a yield; a handler returns its result"),
        (yields, "yields has a yield; a handler returns its result"),
        (Callable_, "it must be a function (def or async def), not the class Callable_"),
        (Callable_(), "it must be a function (def or async def), not an object of type Callable_"),
        (
            partial(work, data=1),
            "it must be a function (def or async def), not a functools.partial",
        ),
        (len, "it must be a function (def or async def), not the built-in len"),
        (None, "it must be a function (def or async def), not an object of type NoneType"),
        (staticmethod(work), "it must be a function (def or async def), not an object of type"),
        (of_one, "a handler takes two arguments, (ctx, data): of_one doesn't"),
        (
            swapped,
            "a handler takes two arguments, (ctx, data): swapped takes (data, ctx); the context "
            "comes first",
        ),
        (swapped_types, "a handler takes two arguments, (ctx, data): swapped_types takes (data, c"),
        (
            no_context,
            "a handler takes two arguments, (ctx, data): no_context has <class 'int'> for its cont",
        ),
        (
            uncalled,
            "data of uncalled can't be decoded as collections.abc.Callable[[], int]: no JSON "
            "becomes what Callable says",
        ),
        (
            locked,
            f"data of locked can't be decoded as {list[Work]!r}: no JSON becomes what Event says",
        ),
    ],
)
def test_what_can_not_be_a_handler(handlers: Registry, function: Any, says: str) -> None:
    with pytest.raises(TypeError) as caught:
        handler("resize")(function)
    assert str(caught.value).startswith(f"handler 'resize': {says}")
    assert list(handlers) == []


@dataclass
class Cached:
    name: str
    event: Event = dataclass_field(default_factory=Event)


class Like(Protocol):
    attempt: int


async def defaulted(ctx: Context, data: Cached) -> None: ...


async def of_anything(c: object, context: object) -> None: ...


async def like(ctx: Like, data: Iterable[int]) -> None: ...


async def optional(ctx: Context | None, data: Cached | None) -> None: ...


async def named_so(c: Context, context: dict[str, int]) -> None: ...


async def unnamed(a, b): ...


@pytest.mark.parametrize("function", [defaulted, of_anything, like, optional, named_so, unnamed])
def test_what_can_be_a_handler(handlers: Registry, function: Any) -> None:
    handler("resize")(function)
    assert handlers.get("resize") is not None


def test_a_method_can_be_a_handler(handlers: Registry) -> None:
    handler("resize")(Callable_().method)
    found = handlers.get("resize")
    assert found is not None
    assert found.kind == "async"


def blocks(ctx: Context, data: Any) -> None: ...


def test_what_a_process_can_not_import_is_refused(
    handlers: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def local(ctx: Context, data: Any) -> None: ...

    says = "with process=True it must be a function at the top of a module"
    for function in (local, lambda ctx, data: None):
        with pytest.raises(ValueError, match=says):
            handler("resize", process=True)(function)
    with pytest.raises(TypeError, match="with process=True it must be def, not async def"):
        handler("resize", process=True)(work)
    handler("resize", process=True)(blocks)
    monkeypatch.setattr(blocks, "__module__", "__main__")
    with pytest.raises(ValueError, match=f"{says} .*, not blocks of __main__"):
        handler("other", process=True)(blocks)


@pytest.mark.parametrize(
    ("delay", "says"),
    [
        (WORST, "Retry's delay must be at least 0 and at most 366d, not 1000"),
        ("367d", "Retry's delay must be at least 0 and at most 366d, not '367d'"),
        (-1, "Retry's delay must be at least 0 and at most 366d, not -1"),
        (30.0, "Retry's delay: 30.0 is no duration: say '3s', or give integer nanoseconds"),
        ("soon", "Retry's delay: 'soon' is no duration"),
    ],
)
def test_a_delay_that_can_not_be_waited_is_the_jobs_error(delay: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        Retry("busy", delay=delay)


@pytest.mark.parametrize("name", ["steer", pytest.param("process", marks=pytest.mark.processes)])
def test_an_attempt_with_such_a_delay_fails_with_its_text(name: str) -> None:
    assert kinds.steer is not None
    job = run(name, "too long", timeout="60s")
    assert (job.status, job.attempts) == ("waiting", 1)
    assert job.error is not None
    assert job.error.startswith("ValueError: Retry's delay must be at least 0 and at most 366d")


def test_delays_at_their_bounds() -> None:
    assert (Retry(delay=0).delay_ns, Retry().delay_ns) == (0, None)
    assert Retry(delay="366d").delay_ns == 366 * 86_400 * 10**9


def test_what_the_package_offers_to_handlers() -> None:
    assert exported is handler
    context = Context(job_id=JobId(3, 1042), attempt=2, max_attempts=3)
    assert (str(context.job_id), context.attempt, context.max_attempts) == ("3-1042", 2, 3)


def test_the_default_handler_comes_with_the_worker() -> None:
    import handlers as shipped

    assert shipped.builtin is not None
    assert {"simulate", "echo", "sleep", "fail"} <= {each.name for each in HANDLERS}
    assert HANDLERS.get(DEFAULT_HANDLER) is not None
