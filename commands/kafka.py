"""Commands that read, and some write, topics: with no worker, and in no consumer group."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import click
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faust.cli import option

from commands.base import CommandError, PlainCommand
from inspection.wanted import Wanted
from log import topics
from log.access import Access, check
from log.patience import answers_within
from log.reader import LogReader
from log.topics import BrokerError, TopicNames
from log.writer import LogWriter
from settings import Settings, SettingsError, load
from worker.tls import Tls

CONNECT_S = 4.0  # then there is no Kafka
ANSWER_S = 10.0  # then it is gone while it is read
READ_BYTES = 1024 * 1024  # of a partition in one answer: what is held at once, about 20 times that

_FLAGS = {"kafka": "KAFKA", "app_id": "JOBS_APP_ID", "topic": "JOBS_TOPIC"}


@dataclass(frozen=True, slots=True)
class Kafka:
    """An open way to the topics. ``partitions``: of each of them; 0 if
    there are none."""

    settings: Settings
    names: TopicNames
    access: Access
    admin: AIOKafkaAdminClient
    reader: LogReader
    existing: Mapping[str, int]
    partitions: int

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[LogWriter]:
        """What writes records, each acknowledged by as many brokers as its topic says."""
        s = self.settings
        producer = AIOKafkaProducer(
            bootstrap_servers=s.kafka,
            acks="all",
            max_request_size=s.max_record_bytes,
            max_batch_size=s.max_batch_bytes,
            request_timeout_ms=round(s.write_timeout_s * 1000),
            **self.access.options(),
        )
        await producer.start()
        try:
            yield LogWriter(lambda: producer, s.write_timeout_s)
        finally:
            await producer.stop()


class TopicCommand(PlainCommand):
    """A command that opens Kafka by ``self.kafka()``. All about Kafka is set as for a worker, in
    the environment; the most usual things may be flags."""

    abstract: ClassVar[bool] = True
    common = (
        *PlainCommand.common,
        option("--topic", help="The jobs topic, instead of JOBS_TOPIC.", metavar="NAME"),
        option("--app-id", help="The app, instead of JOBS_APP_ID.", metavar="NAME"),
        option("--kafka", help="The broker, instead of KAFKA.", metavar="HOST:PORT"),
    )

    def __init__(
        self,
        ctx: click.Context,
        *args: Any,
        kafka: str | None = None,
        app_id: str | None = None,
        topic: str | None = None,
        **given: Any,
    ) -> None:
        super().__init__(ctx, *args, **given)
        flags = {"kafka": kafka, "app_id": app_id, "topic": topic}
        self._empty = [k for k, v in flags.items() if v is not None and not v.strip()]
        self._environ = os.environ | {_FLAGS[k]: v for k, v in flags.items() if v is not None}

    @property
    def settings(self) -> Settings:
        """Those of the environment and the flags.

        Raises:
            CommandError: a flag's value is wrong, or empty: it isn't what the environment says.
        """
        for flag in self._empty:
            raise CommandError(f"--{flag.replace('_', '-')} is empty: leave it out, or name one")
        try:
            return load(self._environ)
        except SettingsError as exc:
            raise CommandError(str(exc)) from None

    @asynccontextmanager
    async def kafka(
        self, needed: Iterable[str] | None = None, *, agreed: bool = True
    ) -> AsyncIterator[Kafka]:
        """Open the topics.

        Args:
            needed: those that must be there; all of ours if not given.
            agreed: whether all of them must have the same number of partitions.

        Raises:
            CommandError, BrokerError, AccessDenied, TopicsError: it can't be done; nothing is sent.
        """
        settings = self.settings
        names = TopicNames.of(settings.topic, settings.app_id, "jobs")
        try:
            access = Tls.of(settings).kafka
        except SettingsError as exc:
            raise CommandError(str(exc)) from None
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, **access.options())
        answers_within(admin._client, ANSWER_S)
        reader = LogReader(
            settings.kafka, fetch_bytes=READ_BYTES, timeout_s=ANSWER_S, access=access
        )
        try:
            await _start(admin, settings, access)
            existing = await topics.counts(admin, names)
            partitions = (topics.agreed(names, existing) if agreed else 0) or 0
            missing = [n for n in (names.all() if needed is None else needed) if n not in existing]
            if missing:
                raise CommandError(
                    f"there is no topic {', '.join(missing)} at {settings.kafka}: `faust -A app "
                    "topics --create` makes what is missing, as does a worker; or is JOBS_TOPIC or "
                    "JOBS_APP_ID another one?"
                )
            yield Kafka(settings, names, access, admin, reader, existing, partitions)
        finally:
            await reader.close()
            await admin.close()


def check_partitions(kafka: Kafka, wanted: Wanted) -> None:
    """Whether the ids that are asked for lie in partitions that there are.

    Raises:
        CommandError: one doesn't.
    """
    for each in wanted.ids:
        if each.partition >= kafka.partitions:
            raise CommandError(
                f"{each}: there is no partition {each.partition}; {kafka.names.jobs} has "
                f"{kafka.partitions}, counted from 0"
            )


async def _start(admin: AIOKafkaAdminClient, settings: Settings, access: Access) -> None:
    try:
        async with asyncio.timeout(CONNECT_S):
            await check(settings.kafka, access)
            await admin.start()
    except (KafkaError, OSError, TimeoutError):
        raise BrokerError(
            f"no Kafka answers at {settings.kafka}: is it running, and is KAFKA (or --kafka) "
            f"right?{access.hint}"
        ) from None


__all__ = ["Kafka", "TopicCommand", "check_partitions", "option"]
