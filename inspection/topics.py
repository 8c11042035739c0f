"""Our topics as the broker has them: how they are set up, what they hold, how far the group is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from log.configs import configs_of
from log.groups import committed, sizes
from log.reader import LogReader
from log.topics import TopicNames

_TOLD = ("cleanup.policy", "retention.ms", "min.compaction.lag.ms", "min.insync.replicas")
LAGGING = ("jobs", "retry", "cancel")  # those that the group reads, by their names in TopicNames


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. ``bytes``: of one copy on disk; ``None`` where the broker doesn't tell."""

    name: str
    partitions: int
    copies: int
    config: Mapping[str, str]
    starts: Mapping[int, int]
    ends: Mapping[int, int]
    bytes: int | None
    leaders: Mapping[int, int]
    behind: tuple[int, ...]  # partitions of which a copy isn't in sync

    @property
    def records(self) -> int:
        """Places from the first to the end; a compacted topic has fewer records than that."""
        return sum(end - self.starts[p] for p, end in self.ends.items())


@dataclass(frozen=True, slots=True)
class Overview:
    """All that exist, in their order. ``lag``: topic → partition → records that the group hasn't
    committed; nothing for a partition where it has committed no place, or the broker doesn't
    tell."""

    topics: tuple[Topic, ...]
    lag: Mapping[str, Mapping[int, int]]
    full: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    async def read(
        cls, admin: AIOKafkaAdminClient, reader: LogReader, names: TopicNames, group: str
    ) -> Overview:
        """Ask the brokers.

        Raises:
            KafkaError: they don't answer.
        """
        there = set(await admin.list_topics())
        existing = [name for name in names.all() if name in there]
        if not existing:
            return cls((), {})
        about = {topic["topic"]: topic for topic in await admin.describe_topics(existing)}
        configs = await configs_of(admin, existing)
        numbers = {
            name: [p["partition"] for p in about[name]["partitions"] if p["leader"] >= 0]
            for name in existing
        }
        nodes = [node["node_id"] for node in (await admin.describe_cluster())["brokers"]]
        on_disk = await sizes(admin, nodes, {**numbers})
        starts = {name: await reader.starts(name, numbers[name]) for name in existing}
        ends = {name: await reader.ends(name, numbers[name]) for name in existing}
        topics = tuple(
            Topic(
                name,
                len(about[name]["partitions"]),
                min((len(p["replicas"]) for p in about[name]["partitions"]), default=0),
                {key: configs[name][key] for key in _TOLD if configs[name].get(key) is not None},
                starts[name],
                ends[name],
                sum(on_disk.get((name, p), 0) for p in numbers[name]) if on_disk else None,
                {p["partition"]: p["leader"] for p in about[name]["partitions"]},
                tuple(
                    sorted(
                        p["partition"]
                        for p in about[name]["partitions"]
                        if len(p["isr"]) < len(p["replicas"])
                    )
                ),
            )
            for name in existing
        )
        read = [getattr(names, each) for each in LAGGING if getattr(names, each) in existing]
        try:
            places = await committed(admin, group, {name: numbers[name] for name in read})
        except KafkaError:
            places = {}
        lag = {
            name: {
                p: max(0, ends[name][p] - places[name, p])
                for p in sorted(numbers[name])
                if (name, p) in places
            }
            for name in read
        }
        return cls(topics, lag, configs)
