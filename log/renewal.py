"""Topics and a group deleted, and the topics made again as they were set up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupIdNotFound,
    InvalidGroupIdError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import DeleteGroupsRequest

from log.topics import TopicsError

_GONE_S = 30.0
_OF_THE_TOPIC = 1  # a config entry's source, where it was set for this topic
_NO_GROUP = (GroupIdNotFound, InvalidGroupIdError, GroupCoordinatorNotAvailableError)


@dataclass(frozen=True, slots=True)
class Setup:
    """How a topic was made; ``configs``: what was set for it, and isn't the broker's own."""

    partitions: int
    copies: int
    configs: Mapping[str, str]


async def members(admin: AIOKafkaAdminClient, group: str) -> int:
    """How many are in a group.

    Raises:
        KafkaError: the broker doesn't tell.
    """
    answers = await admin.describe_consumer_groups([group])
    return sum(
        len(those)
        for answer in answers
        for code, name, *_, those in answer.groups
        if name == group and not code  # one broker answers otherwise where there is no group
    )


async def setups(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, Setup]:
    """How topics are set up.

    Raises:
        KafkaError: the broker doesn't tell.
    """
    configs: dict[str, dict[str, str]] = {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    for answer in await admin.describe_configs(resources):
        for _, _, _, name, entries, *_ in answer.resources:
            own = [each for each in entries if each[3] == _OF_THE_TOPIC and each[1] is not None]
            configs[name] = {each[0]: each[1] for each in own}
    return {
        topic["topic"]: Setup(
            len(topic["partitions"]),
            max(len(p["replicas"]) for p in topic["partitions"]),
            configs.get(topic["topic"], {}),
        )
        for topic in await admin.describe_topics(list(topics))
    }


async def delete_group(admin: AIOKafkaAdminClient, group: str) -> None:
    """Delete a group with the places that it has committed; one that isn't there is no error.

    Raises:
        KafkaError: the broker doesn't do it.
    """
    try:
        node = await admin.find_coordinator(group)
        answer = await admin._client.send(node, DeleteGroupsRequest([group]))
    except _NO_GROUP:
        return
    for _, code in answer.results:
        error = for_code(code)
        if code and not issubclass(error, _NO_GROUP):
            raise error(f"deleting group {group}")


async def delete_topics(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> None:
    """Delete topics, and wait until they are gone.

    Raises:
        KafkaError, TopicsError: they aren't.
    """
    answer = await admin.delete_topics(list(topics))
    for topic, code, *_ in answer.topic_error_codes:
        error = for_code(code)
        if code and error is not UnknownTopicOrPartitionError:
            raise error(f"deleting topic {topic}")
    await _until_there(admin, topics, there=False)


async def make_topics(admin: AIOKafkaAdminClient, wanted: Mapping[str, Setup]) -> None:
    """Make topics, and wait until they are there.

    Raises:
        KafkaError, TopicsError: they can't be made.
    """
    new = [
        NewTopic(name, setup.partitions, setup.copies, topic_configs=dict(setup.configs))
        for name, setup in wanted.items()
    ]
    answer = await admin.create_topics(new)
    for name, code, message in answer.topic_errors:
        if code:
            raise for_code(code)(f"making topic {name}: {message}")
    await _until_there(admin, wanted, there=True)


async def _until_there(admin: AIOKafkaAdminClient, topics: Iterable[str], *, there: bool) -> None:
    deadline = asyncio.get_running_loop().time() + _GONE_S
    while True:
        listed = set(await admin.list_topics())
        wrong = [name for name in topics if (name in listed) is not there]
        if not wrong:
            return
        if asyncio.get_running_loop().time() > deadline:
            state = "aren't there yet" if there else "are still there"
            raise TopicsError(f"topics {', '.join(wrong)} {state} after {_GONE_S:g}s")
        await asyncio.sleep(0.1)
