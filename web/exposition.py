"""A worker's own numbers as Prometheus's metrics. Their names are a contract: docs/operations."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from jobs.histogram import Histogram
from web.parts import Parts
from web.timing import HttpTimes
from web.version import VERSION


class WorkerCollector(Collector):
    """Reads what the parts have counted. Nothing of this runs unless somebody scrapes."""

    def __init__(self, parts: Parts, times: HttpTimes) -> None:
        self._parts = parts
        self._times = times
        # What has to be awaited, as the scrape left it.
        self.states: Mapping[str, int] = {}
        self.lags: Mapping[int, int] = {}
        self.reachable = True

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering doesn't collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        yield from self._jobs()
        yield from self._worker()
        yield from self._kafka()
        yield from self._http()
        yield InfoMetricFamily(
            "jobs_build",
            "Versions of the worker and of what it stands on.",
            {
                "version": VERSION,
                "python": platform.python_version(),
                "faust": version("faust-streaming"),
                "aiokafka": version("aiokafka"),
            },
        )

    def _jobs(self) -> Iterator[Metric]:
        done = self._parts.table.transitions
        yield _gauges(
            "jobs_current",
            "Jobs that this worker keeps, by state; final ones until JOBS_KEEP.",
            ["state"],
            {(state,): count for state, count in self.states.items()},
        )
        yield _counters(
            "jobs_finished",
            "Jobs that have become final, by handler and state.",
            ["handler", "state"],
            {(handler, status.value): n for (handler, status), n in done.finished.items()},
        )
        yield _histograms(
            "jobs_attempt_duration_seconds",
            "How long attempts took, whatever came of them.",
            ["handler"],
            {(name,): took for name, took in self._parts.runner.took.items()},
        )
        yield _histograms(
            "jobs_queue_wait_seconds",
            "From when an attempt was due (a job's submission, at first) to its start.",
            [],
            {(): done.waited},
        )
        yield _counters(
            "jobs_reruns",
            "Attempts that failed or timed out and are followed by a rerun.",
            ["handler"],
            {(name,): n for name, n in done.reruns.items()},
        )
        yield _counters(
            "jobs_interruptions",
            "Attempts that were broken off by a stop, a death or a rebalance, to be begun again.",
            ["handler"],
            {(name,): n for name, n in done.interruptions.items()},
        )
        letters = self._parts.runner.dead.letters
        yield _counter("jobs_dead_letters", "Records written to the dead letters topic.", letters)

    def _worker(self) -> Iterator[Metric]:
        runner, resume = self._parts.runner, self._parts.resume
        yield _gauge(
            "jobs_open",
            "Jobs that are ready or running: what JOBS_MAX_OPEN limits.",
            runner.room.open,
        )
        yield _gauge("jobs_open_limit", "JOBS_MAX_OPEN.", runner.room.most)
        slots = runner.slots
        used = {(lane,): n for lane, (n, _) in slots.items()}
        yield _gauges("jobs_slots_used", "Slots that an attempt runs in.", ["lane"], used)
        have = {(lane,): n for lane, (_, n) in slots.items()}
        yield _gauges("jobs_slots", "Slots for first attempts and for reruns.", ["lane"], have)
        owned = len(self._parts.table.served)
        yield _gauge("jobs_partitions_owned", "Partitions that this worker serves.", owned)
        yield _counter("jobs_rebalances", "Assignments by the consumer group.", resume.rebalances)
        yield _counter(
            "jobs_resumed",
            "Unfinished jobs taken up after a takeover of their partition.",
            resume.resumed,
        )
        yield _histograms(
            "jobs_recovery_seconds",
            "From an assignment until all of its partitions were served.",
            [],
            {(): resume.recovered},
        )
        yield _gauge(
            "jobs_recovering",
            "1 while partitions are ours that aren't served yet.",
            resume.recovering,
        )
        draining = self._parts.lifecycle.draining
        yield _gauge("jobs_draining", "1 from SIGTERM on.", draining)

    def _kafka(self) -> Iterator[Metric]:
        acknowledged = self._parts.table.transitions.acknowledged
        yield _histograms(
            "jobs_changelog_ack_seconds",
            "From sending a row to Kafka's acknowledgement.",
            [],
            {(): acknowledged},
        )
        yield _gauges(
            "jobs_lag_records",
            "Records of the jobs topic that intake hasn't handled, by partition of this worker.",
            ["partition"],
            {(str(p),): lag for p, lag in self.lags.items()},
        )
        yield _gauge(
            "jobs_kafka_reachable",
            "Whether the ends of the jobs topic can be read.",
            self.reachable,
        )
        yield _counters(
            "jobs_gaps",
            "Records that were never delivered and were read from the log instead.",
            ["topic"],
            {(feed.topic,): feed.gaps for feed in self._parts.lifecycle.feeds},
        )

    def _http(self) -> Iterator[Metric]:
        yield _counters(
            "jobs_http_requests",
            "HTTP requests by method, route and status.",
            ["method", "route", "status"],
            {(m, route, str(code)): n for (m, route, code), n in self._times.requests.items()},
        )
        yield _gauges(
            "jobs_http_requests_in_progress",
            "Requests that aren't answered yet: streams, waits, and what is being worked on.",
            ["method", "route"],
            dict(self._times.open),
        )
        yield _histograms(
            "jobs_http_request_duration_seconds",
            "How long answers took; of a stream, how long it lasted.",
            ["method", "route"],
            dict(self._times.took),
        )


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(name, help, value=value)


def _gauges(name: str, help: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, help, labels=labels)
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


def _counters(name: str, help: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    family = CounterMetricFamily(name, help, labels=labels)
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


def _bound(seconds: float) -> str:
    return "+Inf" if seconds == float("inf") else repr(float(seconds))


def _histograms(name: str, help: str, labels: list[str], values: Mapping[Any, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, help, labels=labels)
    for key, value in values.items():
        buckets = [(_bound(bound), count) for bound, count in value.cumulative()]
        family.add_metric(list(key), buckets, value.total_s)
    return family
