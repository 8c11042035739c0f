"""What can be wrong with a job, before it runs.

Where code of a user's is called outside of an attempt (a type's own checks, a serializer, a retry
policy), all that it raises is caught, ``SystemExit`` too, which would end the worker: that code
awaits nothing, so there is no ``CancelledError`` but its own.

JobError
├── InvalidId            text that is no job id
├── InvalidRequest       a request that can't be a job; names the field
│   └── InvalidDuration  a duration that can't be read; its user adds the field
├── InvalidTime          text that is no time, or one in the future
├── NotSubmitted         a follow-up job that Kafka didn't acknowledge
└── IllegalTransition    a change that the state machine doesn't have
"""

from __future__ import annotations


class JobError(Exception):
    """Root of everything that this package raises on purpose."""


class InvalidId(JobError):
    """The text is not ``{partition}-{offset}``."""

    def __init__(self, text: str) -> None:
        shown = text if len(text) <= 60 else text[:57] + "..."
        super().__init__(
            f"{shown!r} is no job id: an id is {{partition}}-{{offset}}, for example 3-1042"
        )


class InvalidRequest(JobError):
    """A request that can't become a job.

    ``field`` is the name on the wire (``timeout``), or ``None`` when the
    whole record is at fault.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidDuration(InvalidRequest):
    """A duration that is neither nanoseconds nor text like ``3s``."""


class InvalidTime(JobError):
    """The text is no time that a person could ask for."""


class NotSubmitted(JobError):
    """Kafka didn't acknowledge a follow-up job. It may have been accepted all the same."""


class IllegalTransition(JobError):
    """The state machine has no such arrow."""


def text_of(error: BaseException) -> str:
    """An exception's message. Its ``__str__`` may be a user's code, and raise, too."""
    try:
        return str(error)
    except BaseException:  # also SystemExit, which would stop the event loop
        return "(it can't be shown: its __str__ raises)"


def not_json(error: Exception) -> str:
    """Why bytes are no JSON, and at which of them: what msgspec says, without its opening, which
    says the same once more."""
    return f"not JSON: {str(error).removeprefix('JSON is malformed: ')}"


def told(error: BaseException) -> str:
    """An exception's type and message, whatever code it comes from."""
    return f"{type(error).__name__}: {text_of(error)}"
