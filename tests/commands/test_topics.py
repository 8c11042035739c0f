"""``faust -A app topics``: made, listed, checked."""

from __future__ import annotations

import json
import os

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.commands.running import faust, refused
from tests.harness import Cluster, until

pytestmark = pytest.mark.processes


def make(cluster: Cluster, name: str, partitions: int = 4, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.kafka})
    made = NewTopic(name, partitions, 1, config={k.replace("_", "."): v for k, v in config.items()})
    admin.create_topics([made])[name].result(30)


def test_made_then_listed(cluster: Cluster) -> None:
    told = refused("topics", cluster=cluster)
    assert f"there is no topic of ours at {cluster.kafka} ({cluster.jobs} and others)" in told
    assert "topics --create" in told
    ended = faust("topics", "--create", cluster=cluster)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith(f"made: {cluster.jobs}, {cluster.jobs}-retry, ")
    head, *lines = ended.stdout.splitlines()
    assert head.split() == ["TOPIC", "PARTITIONS", "COPIES", "RECORDS", "SIZE", "CONFIGURATION"]
    assert [line.split()[0] for line in lines[:5]] == [
        cluster.jobs,
        f"{cluster.jobs}-retry",
        f"{cluster.jobs}-cancel",
        f"{cluster.jobs}-dead",
        cluster.changelog,
    ]
    assert "cleanup.policy=compact min.compaction.lag.ms=1d" in lines[4]
    again = faust("topics", "--create", cluster=cluster)
    assert (again.returncode, again.stderr) == (0, "all topics are there already\n")
    assert again.stdout == ended.stdout


def test_lag_by_partition(cluster: Cluster) -> None:
    worker = cluster.worker()
    cluster.all_final(cluster.produce([b'{"handler": "echo"}'] * 8))

    def handled() -> bool:
        lags = told(cluster)["topics"][0]["partitions"]
        return all(each["lag"] == 0 for each in lags)

    until(handled, 30, "all committed")
    assert worker.terminate() == 0
    cluster.produce([b'{"handler": "echo"}'] * 3, partition=2)
    jobs, *others = told(cluster)["topics"]
    assert jobs["topic"] == cluster.jobs
    assert jobs["records"] == 11
    assert [(p["partition"], p["end"], p["lag"]) for p in jobs["partitions"]] == [
        (0, 2, 0),
        (1, 2, 0),
        (2, 5, 3),
        (3, 2, 0),
    ]
    assert "lag" not in others[-1]["partitions"][0]  # nobody commits places of the changelog
    table = faust("topics", cluster=cluster).stdout.splitlines()
    assert table[-5].split(" ")[0] == "PARTITION"
    assert table[-2].split() == ["2", "0", "5", "3", "0", "0"]


def told(cluster: Cluster) -> dict:
    ended = faust("topics", "--json", cluster=cluster)
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def test_a_check_that_finds_nothing(cluster: Cluster) -> None:
    faust("topics", "--create", cluster=cluster)
    ended = faust("topics", "--check", cluster=cluster)
    assert (ended.returncode, ended.stdout) == (0, "all topics are as they should be\n")
    ended = faust("topics", "--check", "--json", cluster=cluster)
    assert json.loads(ended.stdout) == {"ok": True, "problems": []}


def test_a_check_tells_all_that_is_wrong(cluster: Cluster) -> None:
    make(cluster, cluster.jobs, cleanup_policy="compact")
    make(cluster, f"{cluster.jobs}-retry", 2)
    make(
        cluster,
        cluster.changelog,
        cleanup_policy="delete",
        min_compaction_lag_ms="1000",
        max_message_bytes="1000012",
    )
    ended = faust("topics", "--check", cluster=cluster)
    assert (ended.returncode, ended.stderr) == (1, "")
    text = ended.stdout
    assert f"topic {cluster.jobs}-cancel isn't there: `faust -A app topics --create`" in text
    assert f"topic {cluster.jobs}-dead isn't there" in text
    assert f"{cluster.jobs} has 4, {cluster.jobs}-retry has 2, {cluster.changelog} has 4" in text
    assert "`faust -A app topics --grow 4` adds what is missing" in text
    assert f"topic {cluster.jobs} has cleanup.policy=compact: records with the same key" in text
    assert f"topic {cluster.changelog} has cleanup.policy=delete: jobs would be lost" in text
    assert "min.compaction.lag.ms=1000, less than JOBS_HISTORY" in text
    listed = faust("topics", cluster=cluster)
    assert listed.returncode == 0
    assert sum(line.startswith("warning: ") for line in listed.stderr.splitlines()) == len(
        text.splitlines()
    )
    told = json.loads(faust("topics", "--check", "--json", cluster=cluster).stdout)
    assert told == {"ok": False, "problems": text.splitlines()}


def test_less_than_there_is(cluster: Cluster) -> None:
    assert "there is no topic" in refused("topics", "--grow", "8", cluster=cluster)
    faust("topics", "--create", cluster=cluster)
    told = refused("topics", "--grow", "3", cluster=cluster)
    assert told == "--grow 3: there are 4 partitions, and none can be taken away"
    ended = faust("topics", "--grow", "4", cluster=cluster)
    assert (ended.returncode, ended.stderr) == (0, "all topics have 4 partitions already\n")


def test_topics_that_can_not_be_made_are_told(cluster: Cluster) -> None:
    make(cluster, cluster.jobs, 4)
    make(cluster, f"{cluster.jobs}-retry", 2)
    told = refused("topics", "--create", cluster=cluster)
    assert "all topics need the same number of partitions" in told


@pytest.mark.parametrize("command", ["topics"])
def test_no_broker(command: str) -> None:
    assert "no Kafka answers at 127.0.0.1:" in refused(command)
    assert "JOBS_PARTITIONS='x': must be a whole number" in refused(command, JOBS_PARTITIONS="x")
    assert "KAFKA='a b': must be host or host:port" in refused(command, "--kafka", "a b")
    assert "JOBS_TOPIC='a b': must be 1 to 200 letters" in refused(command, "--topic", "a b")


def test_flags_stand_in_for_the_environment(cluster: Cluster) -> None:
    faust("topics", "--create", cluster=cluster)
    flags = ["--kafka", cluster.kafka, "--topic", cluster.jobs, "--app-id", cluster.app_id]
    ended = faust("topics", "--check", *flags)
    assert (ended.returncode, ended.stdout) == (0, "all topics are as they should be\n")


@pytest.mark.skipif(bool(os.environ.get("KAFKA")), reason="other brokers can: tests/kafka")
def test_the_embedded_broker_adds_no_partitions(cluster: Cluster) -> None:
    faust("topics", "--create", cluster=cluster)
    told = refused("topics", "--grow", "6", cluster=cluster)
    assert told == "this broker can't add partitions to a topic"
