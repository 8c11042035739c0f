"""Small batches, and no pause before something is tried again."""

from collections.abc import Iterator

import pytest

from agents import feed as module


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RETRY_S", 0)
        patch.setattr(module, "BATCH", 4)
        patch.setattr(module, "INBOX", 10)
        yield
