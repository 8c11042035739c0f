"""What is wrong with how topics are set up."""

from __future__ import annotations

from collections.abc import Iterator

from inspection.topics import Overview, Topic
from log.configs import changelog_problem, few_copies
from log.topics import TopicNames


def problems(
    found: Overview, names: TopicNames, *, max_record_bytes: int, history_ms: int
) -> Iterator[str]:
    """What keeps workers from starting, or may lose jobs: a line each, that says what to do."""
    topics = {topic.name: topic for topic in found.topics}
    for name in names.all():
        if name not in topics:
            yield f"topic {name} isn't there: `faust -A app topics --create` makes it"
    counts = {topic.partitions for topic in found.topics}
    if len(counts) > 1:
        listed = ", ".join(f"{topic.name} has {topic.partitions}" for topic in found.topics)
        yield (
            f"all topics need the same number of partitions, but {listed}: "
            f"`faust -A app topics --grow {max(counts)}` adds what is missing"
        )
    for topic in found.topics:
        yield from _of_brokers(topic)
        policy = found.full[topic.name].get("cleanup.policy", "")
        if topic.name != names.changelog and "compact" in policy:
            yield (
                f"topic {topic.name} has cleanup.policy={policy}: records with the same key would "
                f"be removed. Set it to delete (kafka-configs --alter --topic {topic.name} "
                "--add-config cleanup.policy=delete)"
            )
    if names.changelog in topics:
        yield from _of_changelog(found, names.changelog, max_record_bytes, history_ms)
    copies = [
        {"topic": topic.name, "partitions": [{"replicas": range(topic.copies)}] * topic.partitions}
        for topic in found.topics
    ]
    yield from few_copies(copies, found.full)


def _of_brokers(topic: Topic) -> Iterator[str]:
    leaderless = sorted(p for p, leader in topic.leaders.items() if leader < 0)
    if leaderless:
        yield f"topic {topic.name}: partitions {leaderless} have no leader: see to the brokers"
    if topic.behind:
        yield (
            f"topic {topic.name}: partitions {list(topic.behind)} have copies that aren't in sync: "
            "see to the brokers"
        )


def _of_changelog(
    found: Overview, name: str, max_record_bytes: int, history_ms: int
) -> Iterator[str]:
    config = found.full[name]
    problem = changelog_problem(name, config, max_record_bytes)
    if problem is not None:
        yield problem
    lag_ms = config.get("min.compaction.lag.ms")
    if lag_ms is not None and int(lag_ms) < history_ms:
        yield (
            f"topic {name} has min.compaction.lag.ms={lag_ms}, less than JOBS_HISTORY: histories "
            f"may be gone sooner. Set it to {history_ms} (kafka-configs --alter --topic {name} "
            f"--add-config min.compaction.lag.ms={history_ms})"
        )
