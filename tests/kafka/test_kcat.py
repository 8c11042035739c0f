"""``kcat`` reads the record that ``faust -A app inspect`` shows, by the command that it names."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from tests.commands.running import faust
from tests.harness import Cluster
from tests.kafka import ApacheKafka

pytestmark = pytest.mark.processes
FORMAT = r"%o\n%T\n%k\n%h\n%s\n"


@pytest.fixture
def kcat() -> None:
    if shutil.which("kcat") is None:
        text = "kcat isn't there: apt-get install kcat"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)


def test_the_same_record(kcat: None, kafka_of_its_own: ApacheKafka, tmp_path: Path) -> None:
    cluster = Cluster(kafka_of_its_own.address, tmp_path)
    assert faust("topics", "--create", cluster=cluster).returncode == 0
    value = '{"handler": "echo", "data": "grüße"}'
    others = cluster.produce([b'{"handler": "echo"}'] * 3, partition=2)
    [id] = cluster.produce([value.encode()], key=b"k1", headers={"tenant": b"a"}, partition=2)
    assert id not in others
    page = faust("inspect", id, cluster=cluster).stdout
    command = re.search(r"kcat -C .*", page)
    assert command, page
    read = subprocess.run(
        [*shlex.split(command[0]), "-q", "-f", FORMAT], capture_output=True, timeout=60, check=True
    )
    offset, timestamp, key, headers, text = read.stdout.decode().splitlines()
    shown = json.loads(faust("inspect", id, "--json", cluster=cluster).stdout)["record"]
    assert f"2-{offset}" == id
    assert (key, headers, text) == ("k1", "tenant=a", value)
    assert (shown["partition"], shown["offset"]) == (2, int(offset))
    assert (shown["key"], shown["headers"]) == ("k1", {"tenant": "a"})
    assert shown["value"] == json.loads(text)
    assert datetime.fromisoformat(shown["timestamp"]).timestamp() == int(timestamp) / 1000
    cluster.close()
