"""What brokers know of consumer groups and of sizes, and aiokafka's admin client doesn't ask, or
not in a way that every broker answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchRequestStruct
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String

_OLDEST_SURE = 2  # the version of OffsetFetch that each broker has, and answers as it should


class _OffsetFetch(OffsetFetchRequest):
    """Tansu 0.6.0 cuts its answer short in version 3, the highest that aiokafka knows."""

    def prepare(self, versions: dict[int, tuple[int, int]]) -> OffsetFetchRequestStruct:
        least, most = versions[self.API_KEY]
        return super().prepare({**versions, self.API_KEY: (least, min(most, _OLDEST_SURE))})


async def committed(
    admin: AIOKafkaAdminClient, group: str, partitions: dict[str, Iterable[int]]
) -> dict[tuple[str, int], int]:
    """The places that a group has committed, by topic and partition; none where it hasn't.

    Raises:
        KafkaError: the broker doesn't tell.
    """
    asked = [(topic, list(numbers)) for topic, numbers in partitions.items()]
    node = await admin.find_coordinator(group)
    answer = await admin._client.send(node, _OffsetFetch(group, asked))
    found = {}
    for topic, parts in answer.topics:
        for p, offset, _, code in parts:
            if code:
                raise for_code(code)(f"asking for what group {group} has committed")
            if offset >= 0:
                found[topic, p] = offset
    return found


class _LogDirsResponse(Response):
    API_KEY = 35
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "log_dirs",
            Array(
                ("error_code", Int16),
                ("log_dir", String("utf-8")),
                (
                    "topics",
                    Array(
                        ("name", String("utf-8")),
                        (
                            "partitions",
                            Array(
                                ("partition", Int32),
                                ("size", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )


class _LogDirsStruct(RequestStruct):
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE = _LogDirsResponse
    SCHEMA = Schema(
        ("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))),
    )


class _LogDirs(Request[_LogDirsStruct]):
    """DescribeLogDirs: how many bytes a broker has of each partition."""

    API_KEY = 35

    def __init__(self, partitions: list[tuple[str, list[int]]]) -> None:
        self._partitions = partitions

    def build(self, request_struct_class: type[_LogDirsStruct]) -> _LogDirsStruct:
        return request_struct_class(self._partitions)


async def sizes(
    admin: AIOKafkaAdminClient, nodes: Iterable[int], partitions: dict[str, Iterable[int]]
) -> dict[tuple[str, int], int]:
    """Bytes on disk of one copy of each partition, by topic and partition. Nothing where a broker
    doesn't tell: not each can, and not each may."""
    asked = [(topic, list(numbers)) for topic, numbers in partitions.items()]
    found: defaultdict[tuple[str, int], int] = defaultdict(int)
    for node in nodes:
        try:
            answer: Any = await admin._client.send(node, _LogDirs(asked))
        except (KafkaError, KeyError):
            return {}
        for code, _, topics in answer.log_dirs:
            for topic, parts in topics:
                for p, size, _, is_future in parts:
                    if not code and not is_future:
                        found[topic, p] = max(found[topic, p], size)
    return dict(found)
