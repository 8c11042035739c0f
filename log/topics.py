"""The topics: their names, how they are made, and what must be true of them on start."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from log.access import OPEN, Access, check
from log.configs import changelog_problem, configs_of, few_copies, session_limits

EMBEDDED_CLUSTER_ID = "tansu_cluster"  # what Tansu 0.6.0, the embedded broker, calls itself
_APPEAR_S = 30.0
_TOMBSTONES_MS = 86_400_000  # Kafka's own, where the broker tells no delete.retention.ms


class TopicsError(Exception):
    """The topics can't be used as they are; the text says what to do."""


class BrokerError(Exception):
    """The broker can't be reached."""


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Names of all topics of one app."""

    jobs: str
    retry: str
    cancel: str
    dead: str
    changelog: str

    @classmethod
    def of(cls, topic: str, app_id: str, table: str) -> TopicNames:
        """The changelog's name is Faust's: ``{app}-{table}-changelog``."""
        return cls(
            topic,
            f"{topic}-retry",
            f"{topic}-cancel",
            f"{topic}-dead",
            f"{app_id}-{table}-changelog",
        )

    def all(self) -> tuple[str, ...]:
        """All of them, in the order in which they are listed."""
        return (self.jobs, self.retry, self.cancel, self.dead, self.changelog)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was found on start: partitions of every topic, whether the broker is the embedded
    one, which wants other timings, how long the changelog keeps tombstones at least, and what
    should be told but stops nothing. ``session_ms``: the session timeouts that the broker takes,
    from and to, if it says so."""

    partitions: int
    embedded: bool
    tombstones_ms: int
    warnings: tuple[str, ...] = ()
    session_ms: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """How topics that don't exist yet are made. ``history_ms``: the changelog's window in
    which every transition stays; ``max_record_bytes``: of rows and dead letters."""

    partitions: int
    replication: int
    history_ms: int
    max_record_bytes: int

    def configs(self, names: TopicNames, topic: str) -> dict[str, str]:
        """What is set for a topic."""
        own = {"cleanup.policy": "delete"}
        if topic == names.changelog:
            own = {"cleanup.policy": "compact", "min.compaction.lag.ms": str(self.history_ms)}
        if topic in (names.dead, names.changelog):
            own["max.message.bytes"] = str(self.max_record_bytes)
        return own | _copies(self.replication)


async def prepare(
    bootstrap: str, names: TopicNames, plan: TopicPlan, access: Access = OPEN
) -> Cluster:
    """Make the topics that are missing and check all of them.

    Raises:
        AccessDenied: a broker is there and doesn't let us in.
        BrokerError: nothing answers at ``bootstrap``.
        KafkaError: a broker doesn't answer, or not as it should; by ``retriable``, ask again.
        TopicsError: partition counts differ, or a topic is set up so that jobs would be lost.
    """
    await check(bootstrap, access)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **access.options())
    try:
        try:
            await admin.start()
        except (KafkaError, OSError) as exc:
            raise BrokerError(
                f"Kafka at {bootstrap} can't be reached: {exc}{access.hint and '.' + access.hint}"
            ) from None
        about = await admin.describe_cluster()
        existing = await counts(admin, names)
        partitions = agreed(names, existing) or plan.partitions
        await _create(admin, names, plan, partitions, [n for n in names.all() if n not in existing])
        await _appear(admin, names, partitions)
        configs = await configs_of(admin, names.all())
        changelog = configs[names.changelog]
        problem = changelog_problem(names.changelog, changelog, plan.max_record_bytes)
        if problem is not None:
            raise TopicsError(problem)
        embedded = about.get("cluster_id") == EMBEDDED_CLUSTER_ID
        return Cluster(
            partitions,
            embedded,
            int(changelog.get("delete.retention.ms") or _TOMBSTONES_MS),
            few_copies(await admin.describe_topics(list(names.all())), configs),
            None if embedded else await session_limits(admin, about),
        )
    finally:
        await admin.close()


async def counts(admin: AIOKafkaAdminClient, names: TopicNames) -> dict[str, int]:
    """Partitions of each of our topics that exists and whose partitions all have a leader."""
    # Asked without names: naming a topic that doesn't exist makes some brokers create it.
    there = set(await admin.list_topics()) & set(names.all())
    if not there:
        return {}
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in await admin.describe_topics(sorted(there))
        if topic["error_code"] == 0
        and all(p["error_code"] == 0 and p["leader"] >= 0 for p in topic["partitions"])
    }


def agreed(names: TopicNames, counts: dict[str, int]) -> int | None:
    """The one partition count of the topics that exist.

    Raises:
        TopicsError: they have several.
    """
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {counts[name]}" for name in names.all() if name in counts)
        raise TopicsError(
            f"all topics need the same number of partitions, but {listed}. Add partitions to "
            f"the smaller ones (faust -A app topics --grow {max(counts.values())}), "
            "or choose other names with JOBS_TOPIC and JOBS_APP_ID"
        )
    return next(iter(counts.values()), None)


async def _create(
    admin: AIOKafkaAdminClient,
    names: TopicNames,
    plan: TopicPlan,
    partitions: int,
    missing: list[str],
) -> None:
    if not missing:
        return
    answer = await admin.create_topics(
        [
            NewTopic(
                name,
                partitions,
                plan.replication,
                topic_configs=plan.configs(names, name),
            )
            for name in missing
        ]
    )
    for name, code, message in answer.topic_errors:
        error = for_code(code)
        # Another worker that starts at the same time may have been quicker.
        if code and error is not TopicAlreadyExistsError:
            if error.retriable:  # such as a controller that has just died
                raise error(f"topic {name} can't be made yet: {message}")
            raise TopicsError(
                f"topic {name} can't be made ({error.__name__}: {message}). JOBS_PARTITIONS="
                f"{partitions} and JOBS_REPLICATION={plan.replication} were asked for"
            )


async def _appear(admin: AIOKafkaAdminClient, names: TopicNames, partitions: int) -> None:
    """Wait until the broker shows all topics with a leader for each partition."""
    deadline = asyncio.get_running_loop().time() + _APPEAR_S
    while True:
        found = await counts(admin, names)
        agreed(names, found)
        missing = [name for name in names.all() if name not in found]
        if not missing:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise TopicsError(
                f"topics {', '.join(missing)} have partitions without a leader after "
                f"{_APPEAR_S:g}s: look after the brokers"
            )
        await asyncio.sleep(0.1)


def _copies(replication: int) -> dict[str, str]:
    """What keeps acknowledged records when a broker dies.

    With three copies two must have a record before it is acknowledged: one broker may be away,
    and the next one to die takes nothing along. Of two copies both would have to, and then no
    broker might be away; of one there is nothing to say.
    """
    if replication < 2:
        return {}
    safe = {"unclean.leader.election.enable": "false"}  # else a copy that lacks records may lead
    return safe if replication < 3 else {"min.insync.replicas": "2", **safe}
