"""A table: what is asked of each peer, and what is told of it."""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from benchmarks.peers.base import Load, Peer
from benchmarks.place import Place


class Column(NamedTuple):
    """``form``: how a figure is written. ``more``: whether more is better; ``None``: neither.
    ``of``: what of all runs is told."""

    key: str
    head: str
    form: str = "{:,.0f}"
    more: bool | None = None
    of: Callable[[list[float]], float] = statistics.median


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
    """``key``: as it is asked for. ``only``: names of those that it can be asked of; all if empty.
    ``without``: those that it makes no sense for. ``claim``: the column whose ratios are told."""

    key: ClassVar[str]
    title: ClassVar[str]
    how: ClassVar[str]
    columns: ClassVar[Sequence[Column]]
    claim: ClassVar[str] = ""
    only: ClassVar[frozenset[str]] = frozenset()
    without: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes

    def asks(self, peer: Peer) -> bool:
        """Whether it is in this table."""
        return peer.name not in self.without and (not self.only or peer.name in self.only)

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
