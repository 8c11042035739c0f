"""The handlers that come with the worker."""

from typing import Any

import pytest

from handlers import builtin
from jobs import Context
from jobs.model import JobId


def context(attempt: int = 1) -> Context:
    return Context(job_id=JobId(0, 0), attempt=attempt, max_attempts=3)


@pytest.mark.asyncio
@pytest.mark.parametrize("data", [None, 1, "text", {"a": [1]}])
async def test_echo_and_simulate_give_their_data_back(
    data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin, "MAX_SIMULATED_S", 0.0)
    assert await builtin.echo(context(), data) is data
    assert await builtin.simulate(context(), data) is data


@pytest.mark.asyncio
@pytest.mark.parametrize("data", [0, 0.0, 0.001])
async def test_sleep_gives_its_data_back(data: float) -> None:
    assert await builtin.sleep(context(), data) == data


@pytest.mark.asyncio
async def test_fail_fails_as_often_as_it_is_told() -> None:
    for attempt in (1, 2):
        with pytest.raises(RuntimeError, match=f"^attempt {attempt} of 2 that shall fail$"):
            await builtin.fail(context(attempt), 2)
    assert await builtin.fail(context(3), 2) == {"succeeded_on_attempt": 3}
    assert await builtin.fail(context(1), 0) == {"succeeded_on_attempt": 1}


@pytest.mark.asyncio
@pytest.mark.parametrize("data", [None, True, False, "3", "", -1, -0.5, [], [1], {}, {"s": 1}])
@pytest.mark.parametrize("name", ["sleep", "fail"])
async def test_bad_data_is_told_clearly(name: str, data: Any) -> None:
    with pytest.raises(ValueError, match=f"^'{name}' takes data that is a number ≥ 0") as caught:
        await getattr(builtin, name)(context(), data)
    assert str(caught.value).endswith(f"it got {data!r}")
