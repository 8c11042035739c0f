"""More partitions for topics that are there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, UnsupportedVersionError

from log.topics import TopicNames, TopicsError, counts

_APPEAR_S = 30.0


async def grow(
    admin: AIOKafkaAdminClient, names: TopicNames, existing: Mapping[str, int], partitions: int
) -> list[str]:
    """Give each topic so many partitions, the topic of jobs last: as long as another one lacks a
    partition, that partition is nobody's, and there should be no jobs in it.

    A ``kill -9`` in the middle leaves topics with different counts; to grow them again mends it.

    Returns:
        The topics that had fewer.

    Raises:
        TopicsError: the broker refuses, or has no leaders for the new partitions in time.
    """
    grown = [name for name in reversed(names.all()) if existing[name] < partitions]
    for name in grown:
        try:
            await admin.create_partitions({name: NewPartitions(partitions)})
        except (UnsupportedVersionError, IncompatibleBrokerVersion):
            raise TopicsError("this broker can't add partitions to a topic") from None
        except KafkaError as exc:
            done = grown[: grown.index(name)]
            told = f"; {', '.join(done)} has its new ones, so do it again" if done else ""
            raise TopicsError(f"topic {name} gets no more partitions: {exc}{told}") from None
    deadline = asyncio.get_running_loop().time() + _APPEAR_S
    while True:
        found = await counts(admin, names)
        if all(found.get(name, 0) >= partitions for name in names.all()):
            return grown
        if asyncio.get_running_loop().time() > deadline:
            raise TopicsError(
                f"new partitions have no leader after {_APPEAR_S:g}s: look after the brokers"
            )
        await asyncio.sleep(0.1)
