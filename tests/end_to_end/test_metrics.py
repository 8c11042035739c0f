"""What a running worker gives to Prometheus, read by Prometheus's own parsers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from prometheus_client import parser as text
from prometheus_client.openmetrics import parser as openmetrics

from devbroker import Broker
from tests.harness import ROOT, Answer, Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
UNITS = ("seconds", "bytes", "records")
# Of what is a count of things and has no unit.
BARE = {
    "jobs_http_requests_in_progress",
    "jobs_current", "jobs_open", "jobs_open_limit", "jobs_slots", "jobs_slots_used",
    "jobs_partitions_owned", "jobs_recovering", "jobs_draining", "jobs_kafka_reachable",
    "jobs_build_info",
}  # fmt: skip


class Scrape:
    """One answer, parsed. Samples are looked for by name and some of their labels."""

    def __init__(self, answer: Answer) -> None:
        assert answer.status == 200
        body = answer.body.decode()
        self.kind = answer.headers["content-type"]
        parse: Any = openmetrics if "openmetrics" in self.kind else text
        self.families = list(parse.text_string_to_metric_families(body))
        self.samples = [sample for family in self.families for sample in family.samples]

    def all(self, name: str, **labels: str) -> list[Any]:
        return [
            s for s in self.samples if s.name == name and labels.items() <= dict(s.labels).items()
        ]

    def value(self, name: str, **labels: str) -> float:
        return float(sum(s.value for s in self.all(name, **labels)))


def scrape(worker: WorkerProcess, accept: str = OPENMETRICS) -> Scrape:
    return Scrape(worker.get("/metrics", headers={"Accept": accept}))


@pytest.fixture
def busy(cluster: Cluster) -> WorkerProcess:
    """A worker to which a bit of everything has happened."""
    worker = cluster.worker()
    ids = [worker.submit(handler="echo", data=i) for i in range(5)]
    ids.append(worker.submit(handler="fail", data=1))
    ids.append(worker.submit(handler="fail", data=9, ttl=0))
    ids += cluster.produce([b'{"handler": "no-such"}', b'{"handler": "nor-this"}'])
    cluster.all_final(ids)
    for path in ("/job/0-0/status", "/job/1-0/status", "/job/none/status", "/wp-login.php"):
        worker.get(path)
    return worker


def test_what_happened_is_counted_in_both_formats(busy: WorkerProcess) -> None:
    for accept, kind in ((OPENMETRICS, "application/openmetrics-text"), ("", "text/plain")):
        seen = scrape(busy, accept)
        assert seen.kind.startswith(kind)
        finished = "jobs_finished_total"
        assert seen.value(finished, handler="echo", state="done") == 5
        assert seen.value(finished, handler="fail", state="done") == 1
        assert seen.value(finished, handler="fail", state="failed") == 1
        # Two names that anybody made up are one label.
        assert seen.value(finished, handler="unknown", state="failed") == 2
        assert {s.labels["handler"] for s in seen.all(finished)} == {"echo", "fail", "unknown"}
        assert seen.value("jobs_current", state="done") == 6
        assert seen.value("jobs_current", state="failed") == 3
        assert len(seen.all("jobs_current")) == 5
        assert seen.value("jobs_attempt_duration_seconds_count", handler="echo") == 5
        assert seen.value("jobs_attempt_duration_seconds_count", handler="fail") == 3
        assert seen.value("jobs_queue_wait_seconds_count") == 8
        assert seen.value("jobs_reruns_total", handler="fail") == 1
        assert seen.value("jobs_dead_letters_total") == 3
        rows = 8 + 8 + 2  # executing; after that; refused at the door
        assert seen.value("jobs_changelog_ack_seconds_count") == rows
        assert seen.value("jobs_partitions_owned") == 4
        assert len(seen.all("jobs_lag_records")) == 4
        assert seen.value("jobs_lag_records") == 0
        assert seen.value("jobs_kafka_reachable") == 1
        assert seen.value("jobs_rebalances_total") >= 1
        assert seen.value("jobs_open") == 0
        assert seen.value("jobs_slots", lane="first") == 10
        assert seen.value("jobs_recovery_seconds_count") >= 1
        assert seen.value("process_resident_memory_bytes") > 1e6
        assert len(seen.all("jobs_build_info")) == 1


def test_requests_are_counted_by_route_and_never_by_id(busy: WorkerProcess) -> None:
    seen = scrape(busy)
    requests = "jobs_http_requests_total"
    assert seen.value(requests, route="/job", method="POST", status="202") == 7
    assert seen.value(requests, route="/job/{id}/status", method="GET", status="200") == 2
    assert seen.value(requests, route="/job/{id}/status", method="GET", status="400") == 1
    assert seen.value(requests, route="unmatched", status="404") == 1
    assert seen.value("jobs_http_request_duration_seconds_count", route="/job") == 7
    values = {value for s in seen.samples for value in s.labels.values()}
    assert not [value for value in values if re.search(r"\d+-\d+|wp-login|no-such", value)]


def test_names_follow_prometheuss_rules(busy: WorkerProcess) -> None:
    seen = scrape(busy)
    ours = [family for family in seen.families if family.name.startswith("jobs_")]
    assert len(ours) > 20
    for family in ours:
        assert re.fullmatch(r"jobs(_[a-z]+)+", family.name)
        assert family.documentation.endswith(".")
        names = {s.name for s in family.samples}
        if family.type == "counter":
            assert names <= {f"{family.name}_total"}
        elif family.type == "histogram":
            assert family.name.endswith("_seconds"), "a histogram of durations says its unit"
            bounds = [float(s.labels["le"]) for s in family.samples if s.name.endswith("_bucket")]
            assert not family.samples or float("inf") in bounds
        else:
            assert not any(name.endswith(("_total", "_count", "_sum")) for name in names)
            assert names <= BARE or family.name.endswith(UNITS), family.name
        for sample in family.samples:
            assert set(sample.labels) <= {
                "state", "handler", "lane", "partition", "topic", "method", "route", "status", "le",
                "version", "python", "faust", "aiokafka",
            }  # fmt: skip


def test_a_scrape_does_not_wait_for_a_broker_that_is_gone(tmp_path: Any) -> None:
    with Broker(0) as broker:
        cluster = Cluster(broker.address, tmp_path)
        worker = cluster.worker()
        assert scrape(worker).value("jobs_kafka_reachable") == 1
    try:
        # Each of these would fail by its own time limit if it waited for the broker's.
        def gone() -> bool:
            seen = Scrape(worker.get("/metrics", timeout_s=5))
            return seen.value("jobs_kafka_reachable") == 0 and not seen.all("jobs_lag_records")

        until(gone, 60, "it says that Kafka can't be reached")
    finally:
        cluster.close()


def test_the_dashboard_and_the_alerts_use_what_there_is(busy: WorkerProcess) -> None:
    seen = scrape(busy)
    # Families, since a counter of something that never happened has no sample yet.
    there = {"up", *(family.name for family in seen.families)}
    for family in seen.families:
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        there.update(f"{family.name}{end}" for end in suffixes.get(family.type, ("", "_info")))
    folder = ROOT / "docs/operations"
    dashboard = (folder / "grafana.json").read_text()
    queries = [
        target["expr"] for panel in json.loads(dashboard)["panels"] for target in panel["targets"]
    ]
    alerts = (folder / "alerts.yml").read_text()
    page = (folder / "README.md").read_text()
    named = re.compile(r"\b(?:jobs|process|python)_[a-z_]+\b")
    assert len(queries) > 10
    for source in (*queries, alerts):
        assert set(named.findall(source)) <= there
    listed = set(re.findall(r"^\| `(jobs_[a-z_]+)` \|", page, re.M))
    ours = {family.name for family in seen.families if family.name.startswith("jobs_")}
    counters = {family.name for family in seen.families if family.type == "counter"}
    assert listed == {
        f"{name}_total" if name in counters else "jobs_build_info" if name == "jobs_build" else name
        for name in ours
    }
