"""Apache Kafka as the tests run it: it answers, it keeps what it took, it never outlives us."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from devbroker import ports
from tests.harness import ROOT, until
from tests.kafka import ApacheKafka, ApacheKafkaError, server

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


def make_topic(kafka: ApacheKafka, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.address})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(20)


def produce(kafka: ApacheKafka, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.address})
    for _ in range(count):
        producer.produce(topic, b"x")
    assert producer.flush(20) == 0


def end(kafka: ApacheKafka, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": "none"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)[1]
    finally:
        consumer.close()


def test_port_and_records_outlast_a_stop_and_a_kill(kafka_of_its_own: ApacheKafka) -> None:
    kafka = kafka_of_its_own
    make_topic(kafka, "t")
    produce(kafka, "t", 100)
    address = kafka.address
    for end_it, wanted in ((kafka.stop, 100), (kafka.kill, 101)):
        end_it()
        assert not kafka.alive
        assert ports.is_free(kafka.port)
        kafka.start()
        assert kafka.address == address
        assert end(kafka, "t") == wanted
        produce(kafka, "t", 1)


def test_a_topic_that_nobody_made_is_an_error(kafka_of_its_own: ApacheKafka) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka_of_its_own.address,
            "group.id": "none",
            "allow.auto.create.topics": True,
        }
    )
    try:
        with pytest.raises(KafkaException) as raised:
            consumer.get_watermark_offsets(TopicPartition("nobodys", 0), timeout=5)
        error: KafkaError = raised.value.args[0]
        assert error.name() in ("_UNKNOWN_PARTITION", "UNKNOWN_TOPIC_OR_PART"), error
    finally:
        consumer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills what a dead process started")
@pytest.mark.usefixtures("kafka_of_its_own")  # so that it is skipped where there is no Java
def test_it_goes_with_a_starter_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from tests.kafka import ApacheKafka; from pathlib import Path; "
        "print(ApacheKafka(Path(sys.argv[1])).start().pid, flush=True); time.sleep(600)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    with starter, starter.stdout:
        broker = psutil.Process(int(starter.stdout.readline()))
        assert broker.is_running()
        starter.kill()
    until(gone(broker), 20, "the broker is gone")


def gone(process: psutil.Process) -> Callable[[], bool]:
    """Whoever is above it need not have asked for its exit code yet."""

    def check() -> bool:
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return check


@pytest.mark.usefixtures("kafka_of_its_own")
def test_a_command_beside_it_has_its_address_its_signals_and_its_exit_code() -> None:
    code = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
        "print(os.environ['KAFKA'], flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kafka", sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process, process.stdout:
        said, address = (process.stdout.readline().strip() for _ in range(2))
        assert said.startswith(f"Apache Kafka: {address}; ")
        time.sleep(0.2)  # the command's handler is set before it prints; ours, right after it began
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 7
    assert ports.is_free(int(address.rpartition(":")[2]))


def test_java_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ApacheKafkaError, match=r"Java 17 .*no `java` on the path.*KAFKA=host:port"):
        ApacheKafka(tmp_path).start()
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(ApacheKafkaError, match=r"no `java` in JAVA_HOME=/nowhere"):
        ApacheKafka(tmp_path).start()


def test_maven_is_needed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ApacheKafkaError, match=r"no `mvn` on the path.*KAFKA=host:port"):
        server.jars()
