"""What surrounds the code: lock files, the Makefile, the image and the compose file."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

CHECKOUT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock"]
PINNED = re.compile(r"^([a-z0-9-]+)==\S+", re.MULTILINE)


def text_of(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def pins(name: str) -> dict[str, str]:
    return {match[1]: match[0] for match in PINNED.finditer(text_of(name))}


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text_of("docker-compose.yml"))
    return loaded


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_no_path(lock: str) -> None:
    code = re.sub(r"^ *#.*$", "", text_of(lock), flags=re.MULTILINE)
    for told_off in ("://", "--index-url", "--extra-index-url", "--find-links", "--trusted-host"):
        assert told_off not in text_of(lock)
    assert not re.search(r"(^|\s)/|file:|@", code)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_in_a_lock_has_hashes(lock: str) -> None:
    entries = text_of(lock).replace("\\\n", "").splitlines()
    packages = [line for line in entries if PINNED.match(line)]
    assert len(packages) > 20
    assert [line for line in packages if "--hash=sha256:" not in line] == []


def test_the_two_locks_agree() -> None:
    runtime, dev = pins(LOCKS[0]), pins(LOCKS[1])
    assert {name: dev.get(name) for name in runtime} == runtime


def test_the_locks_hold_every_dependency() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    named = {
        LOCKS[0]: project["dependencies"],
        LOCKS[1]: project["optional-dependencies"]["dev"],
    }
    for lock, requirements in named.items():
        names = {re.split(r"[<>=;\[ ]", one, maxsplit=1)[0].lower() for one in requirements}
        assert names - pins(lock).keys() == set(), f"run `make lock`: {lock}"


def test_make_help_lists_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.+)$", text_of("Makefile"), re.MULTILINE)
    assert targets
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"^ *make ([\w-]+) +\S", listed, re.MULTILINE) == targets[1].split()


def test_the_compose_file_follows_its_specification() -> None:
    PyCompose.from_yaml(text_of("docker-compose.yml")).validate()


def test_the_compose_file_starts_kafka_before_the_worker(compose: dict[str, Any]) -> None:
    kafka, worker = compose["services"]["kafka"], compose["services"]["worker"]
    assert worker["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert kafka["healthcheck"]["test"]
    listener, port = worker["environment"]["KAFKA"].split(":")
    assert listener in compose["services"]
    assert f"INTERNAL://{listener}:{port}" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_the_compose_file_keeps_what_kafka_holds(compose: dict[str, Any]) -> None:
    kafka = compose["services"]["kafka"]
    assert kafka["volumes"] == [f"kafka-data:{kafka['environment']['KAFKA_LOG_DIRS']}"]
    assert "kafka-data" in compose["volumes"]


def test_no_topic_is_made_by_accident_and_one_broker_is_enough(compose: dict[str, Any]) -> None:
    environment = compose["services"]["kafka"]["environment"]
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    counts = [
        value
        for name, value in environment.items()
        if name.endswith(("REPLICATION_FACTOR", "MIN_ISR"))
    ]
    assert counts
    assert set(counts) == {1}
    assert compose["services"]["worker"]["environment"]["JOBS_REPLICATION"] == 1


def test_the_image_runs_without_root_and_takes_the_flags() -> None:
    dockerfile = text_of("Dockerfile")
    assert 'ENTRYPOINT ["python", "app.py"]' in dockerfile
    assert "--require-hashes" in dockerfile
    user = re.findall(r"^USER (\d+)$", dockerfile, re.MULTILINE)
    assert user
    assert user[-1] != "0"


def test_health_checks_ask_as_the_settings_say(compose: dict[str, Any]) -> None:
    """By https where there is a certificate; a command with an address of its own wouldn't."""
    ask = ["python", "-m", "worker.health"]
    check = compose["services"]["worker"]["healthcheck"]["test"]
    assert check == ["CMD", *ask, "/readyz"]
    assert f"CMD {json.dumps(ask)}" in text_of("Dockerfile")


def test_the_image_holds_each_package_that_the_worker_is_made_of() -> None:
    """A package that .dockerignore doesn't let in is missed only when the image runs."""
    let_in = {line[1:].rstrip("/") for line in text_of(".dockerignore").split() if line[0] == "!"}
    checked = tomllib.loads(text_of("pyproject.toml"))["tool"]["mypy"]["files"]
    assert set(checked) - {"devbroker", "testing", "examples", "tests", "benchmarks"} <= let_in
