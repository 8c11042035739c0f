"""A submission's journal, a file beside its input: how far it has got.

A line of JSON for each step, written to the disk before the next one. ``Head`` comes before the
first record is sent, and a ``Step`` when Kafka has acknowledged all lines up to one. So whatever is
in the log and not in the journal was sent after the last step, and stands behind its places.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec


class JournalError(Exception):
    """The journal can't be used; the text says what to do."""


class Head(msgspec.Struct, frozen=True):
    """Which submission it is. ``cluster`` is Kafka's own name of itself; ``places``: where the log
    ended before it."""

    name: str
    topic: str
    cluster: str
    places: dict[str, int]


class Step(msgspec.Struct, frozen=True):
    """All lines up to ``line`` are in the log, and what follows will stand behind ``places``.
    ``digest``: of these lines. ``last``: the id of one of them."""

    line: int = 0
    jobs: int = 0
    digest: str = ""
    places: dict[str, int] = {}
    last: str = ""


_BEGINS = b'{"name":'  # as the head does


class Journal:
    """An open journal; nobody else can open it meanwhile."""

    def __init__(self, path: Path) -> None:
        """Open it, or make a new one with no head.

        Raises:
            JournalError: it is something else, is open elsewhere, or can't be written.
        """
        self.path = path
        self.head: Head | None = None
        self.step = Step()
        try:
            self._file = path.open("a+b")
        except OSError as exc:
            raise JournalError(
                f"the journal {path} can't be written ({exc.strerror}): name another place by "
                "--journal, or the submission by --name"
            ) from None
        try:
            if not path.is_file():  # a device, which can be read for ever, and mustn't be removed
                raise JournalError(f"{path} is no file: name another place by --journal")
            _lock(path, self._file)
            self._read()
        except BaseException:
            self._file.close()
            raise

    def begin(self, head: Head) -> None:
        """A new submission, in place of what was there.

        Raises:
            JournalError: the disk doesn't take it.
        """
        self._file.truncate(0)
        self._write(head)
        self.head, self.step = head, Step(places=head.places)

    def write(self, step: Step) -> None:
        """Note a step, durably.

        Raises:
            JournalError: the disk doesn't take it.
        """
        self._write(step)
        self.step = step

    def close(self) -> None:
        """Let it go; one that was never begun leaves no file."""
        if self.head is None:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def _write(self, part: Head | Step) -> None:
        try:
            self._file.write(msgspec.json.encode(part) + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as exc:
            raise JournalError(f"the journal {self.path} can't be written: {exc.strerror}") from exc

    def _read(self) -> None:
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind(b"\n") + 1]  # a kill may have cut the last line
        if not whole:
            # Nothing is sent before the head is whole, so nothing was.
            if not (text.startswith(_BEGINS) or _BEGINS.startswith(text)):
                raise JournalError(self._foreign("it begins otherwise"))
            return
        first, *steps = whole.splitlines()
        try:
            self.head = msgspec.json.decode(first, type=Head)
            self.step = Step(places=self.head.places)
            if steps:
                self.step = msgspec.json.decode(steps[-1], type=Step)
            by_partition({**self.head.places, **self.step.places})
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as exc:
            raise JournalError(self._foreign(str(exc))) from None
        self._file.truncate(len(whole))

    def _foreign(self, why: str) -> str:
        return f"{self.path} is no journal of a submission ({why}): name another place by --journal"


def by_partition(places: Mapping[str, int]) -> dict[int, int]:
    """Places by partition; JSON's keys are text.

    Raises:
        ValueError: they are no numbers.
    """
    return {int(number): place for number, place in places.items()}


def _lock(path: Path, file: BinaryIO) -> None:
    try:
        import fcntl
    except ImportError:  # Windows; there two of them are the user's own matter
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise JournalError(f"another `submit` is at work with the journal {path}") from None
