"""Traces from whoever submits a job to what its attempts do, with the real SDK and a collector."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.harness import Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"
HEADERS = {"traceparent": PARENT}


class Collector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                for each in ExportTraceServiceRequest.FromString(body).resource_spans:
                    named = {a.key: a.value.string_value for a in each.resource.attributes}
                    outer.resources.append(named)
                    outer.spans += [span for scope in each.scope_spans for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settings(self) -> dict[str, Any]:
        return {
            "JOBS_OTEL": "on",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def named(self, name: str, **attributes: Any) -> list[Any]:
        return [s for s in self.spans if s.name == name and attributes.items() <= of(s).items()]

    def with_id(self, span_id: bytes) -> list[Any]:
        return [s for s in self.spans if s.span_id == span_id]

    def one(self, name: str, **attributes: Any) -> Any:
        until(lambda: self.named(name, **attributes), 20, f"span {name} {attributes}")
        (span,) = self.named(name, **attributes)
        return span


def of(span: Any) -> dict[str, Any]:
    """A span's attributes."""
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def result(cluster: Cluster, worker: WorkerProcess, id: str) -> Any:
    assert cluster.all_final([id])[id]["status"] == "done", worker.status(id)
    return worker.status(id)["result"]


def test_from_a_caller_over_http_to_what_attempts_do(
    cluster: Cluster, collector: Collector
) -> None:
    worker = cluster.worker(
        JOBS_HANDLERS="tests.apps.traced", JOBS_PROCESSES="1", **collector.settings()
    )
    for handler in ("a-span", "t-span", "p-span"):
        answer = worker.post("/job", {"handler": handler}, headers=HEADERS)
        id = answer.json["id"]
        follow_up = result(cluster, worker, id)
        attempt = collector.one(f"job {handler}", **{"jobs.id": id, "jobs.attempt": 1})
        assert attempt.trace_id.hex() == TRACE
        assert of(attempt)["jobs.outcome"] == "returned"
        # submit → attempt → the handler's own span → the follow-up's submission → its attempt
        until(partial(collector.with_id, attempt.parent_span_id), 20, "its submission")
        (submitted,) = collector.with_id(attempt.parent_span_id)
        assert submitted.parent_span_id.hex() == CALLER
        inner = collector.one(f"inner {handler}")
        assert inner.parent_span_id == attempt.span_id
        assert result(cluster, worker, follow_up)["imported"]
        second = collector.one("job look", **{"jobs.id": follow_up})
        assert second.trace_id.hex() == TRACE
        until(partial(collector.with_id, second.parent_span_id), 20, "the follow-up's submission")
        (asked,) = collector.with_id(second.parent_span_id)
        # A process's question is asked by its worker, for the attempt.
        above = attempt if handler == "p-span" else inner
        assert asked.parent_span_id == above.span_id
    assert {each["service.name"] for each in collector.resources} == {cluster.app_id}


def test_reruns_belong_to_the_trace_of_the_record(cluster: Cluster, collector: Collector) -> None:
    worker = cluster.worker(JOBS_HANDLERS="tests.apps.traced", **collector.settings())
    (id,) = cluster.produce([b'{"handler": "again"}'], headers={"traceparent": PARENT.encode()})
    result(cluster, worker, id)
    for attempt, outcome in ((1, "failed"), (2, "returned")):
        span = collector.one("job again", **{"jobs.id": id, "jobs.attempt": attempt})
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)
        assert of(span)["jobs.outcome"] == outcome
    # One that nobody traces begins a trace of its own.
    alone = worker.submit(handler="look")
    result(cluster, worker, alone)
    assert collector.one("job look", **{"jobs.id": alone}).trace_id.hex() != TRACE


def test_a_collector_that_is_gone_stops_neither_jobs_nor_the_end(cluster: Cluster) -> None:
    gone = Collector()
    gone.server.shutdown()
    gone.server.server_close()
    worker = cluster.worker(JOBS_HANDLERS="tests.apps.traced", **gone.settings())
    result(cluster, worker, worker.submit(handler="look"))
    assert worker.terminate(30) == 0


def test_off_it_is_carried_on_and_nothing_is_imported(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_HANDLERS="tests.apps.traced")
    answer = worker.post("/job", {"handler": "plain"}, headers=HEADERS)
    follow_up = result(cluster, worker, answer.json["id"])
    assert result(cluster, worker, follow_up) == {"traceparent": PARENT, "imported": False}
    (rerun,) = cluster.produce([b'{"handler": "again"}'], headers={"traceparent": PARENT.encode()})
    assert result(cluster, worker, rerun) == PARENT
    # Neither one that is none, nor a job that has none, leaves a trace anywhere.
    for headers in ({"traceparent": f"00-{'0' * 32}-{CALLER}-01"}, {"traceparent": "x"}, {}):
        id = worker.post("/job", {"handler": "look"}, headers=headers).json["id"]
        assert result(cluster, worker, id) == {"traceparent": None, "imported": False}
        (record,) = [r for r in cluster.records(cluster.jobs) if f"{r.partition}-{r.offset}" == id]
        assert record.headers == {}
        assert all("traceparent" not in row for row in cluster.history()[id])
    rows = cluster.history()[rerun]
    assert [row.get("traceparent") for row in rows[:-1]] == [PARENT] * (len(rows) - 1)
    assert "traceparent" not in rows[-1], "a final row leaves it to the record"


def test_a_package_that_is_missing_is_a_line(cluster: Cluster, tmp_path: Any) -> None:
    hidden = tmp_path / "opentelemetry"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError('not here')\n")
    worker = cluster.worker(ready=False, JOBS_OTEL="on", PYTHONPATH=str(tmp_path))
    assert worker.process.wait(60) == 2
    assert re.search(r"^error: JOBS_OTEL=on needs .*pip install", worker.text(), re.M)
    assert "Traceback" not in worker.text()
