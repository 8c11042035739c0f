"""Kafka by TLS and SASL: jobs run; a wrong password or an unknown CA is a line and an exit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from devbroker import ports
from tests.certificates import Authority, Pair
from tests.commands.running import faust
from tests.harness import ROOT, Cluster, free_port, until
from tests.kafka import ApacheKafka

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("secured-broker"),
]
USER, PASSWORD = "worker", "pass word,=42"
PLAIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    f'username="admin" password="x" user_{USER}="{PASSWORD}";'
)
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


@dataclass
class Secured:
    kafka: ApacheKafka
    ports: dict[str, int]
    ca: Path
    other_ca: Path
    client: Pair

    def settings(self, security: str, **more: str) -> dict[str, str]:
        """How a worker gets in there."""
        protocol = security.upper()
        settings = {
            "KAFKA": f"127.0.0.1:{self.ports[protocol]}",
            "JOBS_KAFKA_SECURITY": security,
        }
        if protocol.endswith("SSL"):
            settings["JOBS_KAFKA_CA"] = str(self.ca)
        if protocol == "SSL":
            settings |= {
                "JOBS_KAFKA_CERT": str(self.client.cert),
                "JOBS_KAFKA_KEY": str(self.client.key),
            }
        if protocol.startswith("SASL"):
            settings |= {"JOBS_KAFKA_USER": USER, "JOBS_KAFKA_PASSWORD": PASSWORD}
        return settings | more


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    ca, other = Authority(folder), Authority(folder, "other")
    broker = ca.sign("broker")
    taken = {name: ports.find_free() for name in ("SSL", "SASL_PLAINTEXT", "SASL_SSL")}
    properties = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(broker.both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(ca.cert),
        "listener.name.ssl.ssl.client.auth": "required",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,"
        "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
    }
    for listener in ("sasl_plaintext", "sasl_ssl"):
        name = f"listener.name.{listener}"
        properties |= {
            f"{name}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            f"{name}.plain.sasl.jaas.config": PLAIN,
            f"{name}.scram-sha-256.sasl.jaas.config": SCRAM,
            f"{name}.scram-sha-512.sasl.jaas.config": SCRAM,
        }
    with ApacheKafka(properties=properties, listeners=taken) as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.address})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            info = ScramCredentialInfo(mechanism, 4096)
            one = UserScramCredentialUpsertion(USER, info, PASSWORD.encode())
            admin.alter_user_scram_credentials([one])[USER].result(20)
        yield Secured(kafka, taken, ca.cert, other.cert, ca.sign("client"))


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize(
    ("security", "more"),
    [
        ("sasl_ssl", {}),
        ("sasl_ssl", {"JOBS_KAFKA_SASL_MECHANISM": "PLAIN"}),
        ("sasl_plaintext", {"JOBS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256"}),
        ("ssl", {}),
    ],
)
def test_a_worker_runs_jobs(
    secured: Secured, tmp_path: Path, security: str, more: dict[str, str]
) -> None:
    cluster = Cluster(secured.kafka.address, tmp_path)  # the observer comes by the open listener
    try:
        worker = cluster.worker(ready=True, kind=None, **secured.settings(security, **more))
        ids = [worker.submit(handler="echo", data=n) for n in range(8)]
        ids.append(worker.submit(handler="fail", data=1, ttl=1))
        states = cluster.all_final(ids)
        assert {states[id]["status"] for id in ids} == {"done"}
        listed = worker.get("/job/all").json
        assert len(listed["jobs"]) == len(ids)
        assert worker.terminate() == 0
        assert PASSWORD not in worker.text()
        assert "Traceback" not in worker.text()
    finally:
        cluster.close()


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize("security", ["sasl_ssl", "ssl"])
def test_commands_get_in_as_workers_do(secured: Secured, tmp_path: Path, security: str) -> None:
    cluster = Cluster(secured.kafka.address, tmp_path)
    settings = secured.settings(security)
    made = faust("topics", "--create", cluster=cluster, **settings)
    assert made.returncode == 0, made.stderr
    ended = faust("submit", "--handler", "echo", "--data", "1", cluster=cluster, **settings)
    assert ended.returncode == 0, ended.stderr
    id = ended.stdout.strip()
    for command in (["inspect", id], ["jobs"], ["replay", id, "--dry-run"]):
        ended = faust(*command, cluster=cluster, **settings)
        assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended
        assert id in ended.stdout
        assert PASSWORD not in ended.stdout + ended.stderr
    wrong = {"JOBS_KAFKA_CA": str(secured.other_ca)}
    ended = faust("jobs", cluster=cluster, **settings | wrong)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "can't be trusted" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    cluster.close()


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_wrong_password(secured: Secured, mechanism: str) -> None:
    wrong = {"JOBS_KAFKA_PASSWORD": "not-this-one", "JOBS_KAFKA_SASL_MECHANISM": mechanism}
    told = refused(secured.settings("sasl_ssl", **wrong))
    assert f"doesn't let 'worker' in by {mechanism}" in told
    assert "JOBS_KAFKA_PASSWORD" in told


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize("security", ["sasl_ssl", "ssl"])
def test_an_unknown_ca(secured: Secured, security: str) -> None:
    told = refused(secured.settings(security, JOBS_KAFKA_CA=str(secured.other_ca)))
    assert "can't be trusted" in told
    assert "JOBS_KAFKA_CA" in told


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize(
    "wrong",
    [
        {"JOBS_KAFKA_CERT": "", "JOBS_KAFKA_KEY": ""},
        {"KAFKA": "PLAINTEXT"},
    ],
)
def test_a_broker_that_hangs_up_may_be_starting_and_is_asked_again_with_a_word(
    secured: Secured, tmp_path: Path, wrong: dict[str, str]
) -> None:
    if "KAFKA" in wrong:
        wrong = {"KAFKA": secured.kafka.address}
    cluster = Cluster(secured.kafka.address, tmp_path)
    try:
        worker = cluster.worker(ready=False, kind=None, **secured.settings("ssl", **wrong))
        told = "Is that a listener for JOBS_KAFKA_SECURITY=ssl, and does it ask for a client"
        until(lambda: told in worker.text(), 60, "it says what may be wrong")
        assert worker.terminate() == 0
        assert "Traceback" not in worker.text()
    finally:
        cluster.close()


def refused(settings: dict[str, str]) -> str:
    """What a worker says, in one line, that can't start."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JOBS_", "KAFKA"))}
    ended = subprocess.run(
        [sys.executable, "app.py", "-p", str(free_port())],
        cwd=ROOT,
        env=clean | settings,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert settings.get("JOBS_KAFKA_PASSWORD", "\0") not in ended.stderr
    assert ended.stdout == ""
    return ended.stderr
