"""What topics and brokers are set to, as far as jobs depend on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

_APPEAR_S = 30.0

Configs = Mapping[str, Mapping[str, Any]]
"""Topic → its configuration, as far as the broker tells it."""


async def configs_of(
    admin: AIOKafkaAdminClient, topics: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """The configuration of each topic, as far as the broker tells it.

    Raises:
        KafkaError: it doesn't, for some time.
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in topics}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in found]
    deadline = asyncio.get_running_loop().time() + _APPEAR_S
    while True:
        codes = set()
        for answer in await admin.describe_configs(resources):
            for code, _, _, name, entries, *_ in answer.resources:
                codes.add(code)
                found[name] = {entry[0]: entry[1] for entry in entries}
        # Any broker is asked, and not each has heard of a topic that is new.
        if UnknownTopicOrPartitionError.errno not in codes:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise UnknownTopicOrPartitionError(f"the configuration of {', '.join(found)}")
        await asyncio.sleep(0.1)


def few_copies(topics: Iterable[Mapping[str, Any]], configs: Configs) -> tuple[str, ...]:
    """A line for each topic that has copies enough and doesn't wait for a second one. ``topics``:
    as the broker describes them."""
    return tuple(
        f"topic {topic['topic']} has min.insync.replicas=1: what only one broker has is "
        "acknowledged, and lost with it. Set it to 2 (kafka-configs --alter --topic "
        f"{topic['topic']} --add-config min.insync.replicas=2)"
        for topic in topics
        if all(len(p["replicas"]) >= 3 for p in topic["partitions"])
        and configs[topic["topic"]].get("min.insync.replicas") == "1"
    )


async def session_limits(
    admin: AIOKafkaAdminClient, about: dict[str, Any]
) -> tuple[int, int] | None:
    """Ask one broker; all of a cluster should have the same. ``None``: it doesn't say, or it
    is not for us to know."""
    node = str(about["brokers"][0]["node_id"])
    try:
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, node)])
    except KafkaError:
        return None
    told = {entry[0]: entry[1] for a in answers for r in a.resources for entry in r[4]}
    try:
        least, most = (int(told[f"group.{end}.session.timeout.ms"]) for end in ("min", "max"))
    except (KeyError, TypeError, ValueError):
        return None
    return least, most


def changelog_problem(name: str, config: Mapping[str, Any], max_record_bytes: int) -> str | None:
    """Why the changelog can't be used as it is set up; says what to do."""
    policy = config.get("cleanup.policy", "compact")
    if "compact" not in policy:
        return (
            f"topic {name} has cleanup.policy={policy}: jobs would be lost when it is cleaned. Set "
            f"it to compact (kafka-configs --alter --topic {name} --add-config "
            "cleanup.policy=compact)"
        )
    limit = int(config.get("max.message.bytes") or max_record_bytes)
    if limit < max_record_bytes:
        return (
            f"topic {name} takes records of {limit} bytes, but rows may need {max_record_bytes}: "
            "set its max.message.bytes to that, or lower JOBS_MAX_ROW"
        )
    return None
