"""Spans of OpenTelemetry: one for each submission, one for each attempt.

This module is imported only where ``JOBS_OTEL=on``; nothing else imports OpenTelemetry. Where spans
go, how they are sampled and what they are called is OpenTelemetry's own: the ``OTEL_…`` settings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from execution.executor import Outcome, Returned
from jobs.model import Job, JobId
from jobs.trace import TRACEPARENT, current

_FLUSH_MS = 2_000


class Tracing:
    """Makes spans. There is one in a process."""

    def __init__(self, service: str, instance: str) -> None:
        """``service``: its name, unless OTEL_SERVICE_NAME says another one."""
        self.service, self.instance = service, instance
        found = trace.get_tracer_provider()
        if not isinstance(found, TracerProvider):  # else a module of handlers has set one up
            given = {"service.instance.id": instance}
            if "OTEL_SERVICE_NAME" not in os.environ:
                given["service.name"] = service
            found = TracerProvider(resource=Resource.create(given))
            found.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            trace.set_tracer_provider(found)
        self._provider = found
        self._tracer = found.get_tracer("jobs")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def submission(self, parent: str | None) -> Iterator[str | None]:
        """A job is put on the topic; gives what its record carries. Without ``parent`` it belongs
        to what runs here."""
        with self._tracer.start_as_current_span(
            "submit job", context=self._context(parent) if parent else None, kind=SpanKind.PRODUCER
        ):
            yield self._traceparent()

    @contextmanager
    def attempt(self, job_id: JobId, row: Job) -> Iterator[Callable[[Outcome], None]]:
        """An attempt runs; what it gives is to be called with its outcome. The handler's own spans
        are children of this one."""
        with self._tracer.start_as_current_span(
            f"job {row.handler}",
            context=self._context(row.traceparent),
            kind=SpanKind.CONSUMER,
            attributes={
                "messaging.system": "kafka",
                "jobs.id": str(job_id),
                "jobs.handler": row.handler,
                "jobs.attempt": row.attempt,
                "jobs.max_attempts": row.max_attempts,
            },
        ) as span:
            token = current.set(self._traceparent())
            try:
                yield lambda outcome: _told(span, outcome)
            finally:
                current.reset(token)

    @contextmanager
    def beneath(self, parent: str | None) -> Iterator[None]:
        """In a handler's process: its spans are children of the attempt's."""
        token = contexts.attach(self._context(parent))
        try:
            yield
        finally:
            contexts.detach(token)

    def close(self) -> None:
        """Send what is left, as far as a moment is enough for it."""
        self._provider.force_flush(_FLUSH_MS)
        self._provider.shutdown()

    def _context(self, parent: str | None) -> contexts.Context:
        empty = contexts.Context()
        if parent is None:
            return empty
        return self._propagator.extract({TRACEPARENT: parent}, context=empty)

    def _traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get(TRACEPARENT)


def _told(span: Span, outcome: Outcome) -> None:
    word = type(outcome).__name__.lower()
    span.set_attribute("jobs.outcome", word)
    if not isinstance(outcome, Returned):
        error = getattr(outcome, "error", None)
        if isinstance(error, BaseException):
            span.record_exception(error)
        span.set_status(StatusCode.ERROR, word)
