"""A table: what is asked of each peer, and what is told of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from benchmarks.peers.base import Load, Peer
from benchmarks.place import Place


class Column(NamedTuple):
    """``form``: how a figure is written. ``more``: whether more is better; ``None``: neither."""

    key: str
    head: str
    form: str = "{:,.0f}"
    more: bool | None = None


@dataclass(frozen=True)
class Sizes:
    """How much is asked for."""

    jobs: int = 50_000
    slots: int = 200
    rates: tuple[int, ...] = (100, 500, 1_000)
    seconds: int = 20
    rows: tuple[int, ...] = (0, 100_000, 1_000_000)
    partitions: tuple[int, ...] = (1, 8, 64)


class Workload(ABC):
    """``key``: as it is asked for. ``peers``: names of those that it can be asked of; all if empty.
    ``claim``: the column whose ratios are told."""

    key: ClassVar[str]
    title: ClassVar[str]
    how: ClassVar[str]
    columns: ClassVar[Sequence[Column]]
    claim: ClassVar[str] = ""
    peers: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes

    def variants(self) -> Mapping[str, Load]:
        """Rows for each peer, by what is added to its name."""
        return {"": self.load()}

    @abstractmethod
    def load(self) -> Load:
        """Of a row."""

    @abstractmethod
    def once(self, peer: Peer, place: Place, load: Load, variant: str) -> Mapping[str, float]:
        """One run; figures by column.

        Raises:
            PeerError: it came to nothing.
        """
