"""From what is asked for to slices of the jobs topic."""

from __future__ import annotations

from commands.base import CommandError
from commands.kafka import Kafka, check_partitions
from inspection.chosen import narrowed
from inspection.slices import Extent, extents
from inspection.wanted import IdRange, Wanted


async def check_ids(kafka: Kafka, wanted: Wanted) -> None:
    """Whether there are, or have been, the jobs that are asked for by id.

    Raises:
        CommandError: no such place, or not yet.
        KafkaError: the topic can't be read.
    """
    check_partitions(kafka, wanted)
    if not wanted.ids:
        return
    numbers = wanted.partitions(kafka.partitions)
    there = await extents(kafka.reader, kafka.names.jobs, numbers)
    for each in wanted.ids:
        if each.first >= there[each.partition].stop:
            raise CommandError(_no_job(each, there[each.partition]))


async def slices_of(kafka: Kafka, wanted: Wanted) -> dict[int, Extent]:
    """Where the jobs are that are asked for by id and time.

    Raises:
        CommandError: there can be none.
        KafkaError: the topic can't be read.
    """
    await check_ids(kafka, wanted)
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
    return _no_job(first, all_of_it[first.partition])


def _no_job(asked: IdRange, extent: Extent) -> str:
    n, (start, stop) = asked.partition, extent
    there = f"partition {n} has {n}-{start} to {n}-{stop - 1}"
    return f"there is no job {asked}: {there if start < stop else 'its partition is empty'}"
