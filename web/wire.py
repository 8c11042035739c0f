"""Bodies of requests other than a job's."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agents.cancels import MAX_WHY_CHARS


class CancelBody(msgspec.Struct, frozen=True):
    """What may be said with a cancel."""

    why: (
        Annotated[str, msgspec.Meta(max_length=MAX_WHY_CHARS, description="For the job's error")]
        | None
    ) = None
