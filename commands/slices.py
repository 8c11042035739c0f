"""From what is asked for to slices of the jobs topic."""

from __future__ import annotations

from commands.base import CommandError
from commands.kafka import Kafka
from inspection.chosen import narrowed
from inspection.slices import Extent, extents
from inspection.wanted import Wanted


async def slices_of(kafka: Kafka, wanted: Wanted) -> dict[int, Extent]:
    """Where the jobs are that are asked for by id and time.

    Raises:
        CommandError: there can be none.
        KafkaError: the topic can't be read.
    """
    for each in wanted.ids:
        if each.partition >= kafka.partitions:
            raise CommandError(
                f"{each}: there is no partition {each.partition}; {kafka.names.jobs} has "
                f"{kafka.partitions}, from 0 on"
            )
    topic, numbers = kafka.names.jobs, wanted.partitions(kafka.partitions)
    all_of_it = await extents(kafka.reader, topic, numbers, wanted.span)
    found = narrowed(all_of_it, wanted)
    if not found:
        raise CommandError(_nothing(kafka, wanted, all_of_it))
    return found


def _nothing(kafka: Kafka, wanted: Wanted, all_of_it: dict[int, Extent]) -> str:
    if wanted.span:
        return "no job was submitted in that time"
    if not wanted.ids:
        return f"there is no job on topic {kafka.names.jobs}"
    first = wanted.ids[0]
    start, stop = all_of_it[first.partition]
    has = f"{first.partition}-{start} to {first.partition}-{stop - 1}"
    there = f"partition {first.partition} has {has}" if start < stop else "its partition is empty"
    return f"there is no job {first}: {there}"
