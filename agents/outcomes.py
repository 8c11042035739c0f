"""From what an attempt came to, to the job's next row."""

from __future__ import annotations

import logging
import random
from typing import Any

from execution.executor import Canceled, Failed, Interrupted, Outcome, Returned, TimedOut
from execution.processes import HandlerFailed, ProcessDied
from execution.traces import traced
from jobs import state
from jobs.codec import MAX_DELAY_NS, encode_json, encode_row
from jobs.durations import NS_PER_MS, NS_PER_S, format_duration
from jobs.errors import InvalidRequest, text_of, told
from jobs.model import Job
from jobs.registry import Handler
from jobs.retry import RetryPolicy
from jobs.steering import Discard, Retry

logger = logging.getLogger(__name__)

PREVIEW_CHARS = 1_000  # of a result that is cut
MAX_TRACE_CHARS = 4_000


class Outcomes:
    """Makes rows of outcomes, by the worker's limits and the handler's options."""

    def __init__(self, retry: RetryPolicy, max_result_bytes: int) -> None:
        self._retry = retry
        self._max_result_bytes = max_result_bytes

    def kept(
        self, job: Job, handler: Handler | None, outcome: Outcome, now: int
    ) -> tuple[Job, bytes]:
        """As ``row``, and it can be written in any case: the row as bytes, too."""
        try:
            after = self.row(job, handler, outcome, now)
            return after, encode_row(after)
        except BaseException as exc:  # a handler's options or texts that nobody thought of
            logger.exception("a job's outcome can't be kept; please report this")
            error = f"its outcome can't be kept ({type(exc).__name__}); see the worker's log"
            after = state.failed(job, now=now, error=error, delay_ms=0, again=False)
            return after, encode_row(after)

    def row(self, job: Job, handler: Handler | None, outcome: Outcome, now: int) -> Job:
        """The row after ``outcome`` of the attempt that ``job`` says is executing."""
        match outcome:
            case Returned(value):
                return self._returned(job, value, now)
            case Failed(error):
                return self._raised(job, handler, error, now)
            case TimedOut(timeout_s):
                limit = format_duration(round(timeout_s * NS_PER_S))
                return self._failed(job, handler, f"timed out after {limit}", now)
            case Canceled(who, why):
                return state.canceled(job, now=now, who=who, why=why)
            case Interrupted():
                return state.interrupted(job, now=now, crashed=False)

    def _raised(self, job: Job, handler: Handler | None, error: BaseException, now: int) -> Job:
        if isinstance(error, Discard):
            return self._failed(job, handler, text_of(error) or "discarded", now, again=False)
        if isinstance(error, Retry):
            delay_ns = getattr(error, "delay_ns", None)  # a subclass may have left it out
            # One may also have set it past Retry's own check: then it is the usual backoff.
            delay_ms = None
            if isinstance(delay_ns, int) and 0 <= delay_ns <= MAX_DELAY_NS:
                delay_ms = delay_ns // NS_PER_MS
            text = text_of(error) or "the handler asked for a rerun"
            return self._failed(job, handler, text, now, delay_ms=delay_ms)
        if isinstance(error, HandlerFailed):  # told by its process
            answer = error.answer
            trace, again = _end(answer.trace), answer.worth_a_rerun
            return self._failed(job, handler, answer.error, now, again=again, trace=trace)
        if isinstance(error, ProcessDied) and error.exit_code is not None:
            delay_ms = self._delay_ms(handler, job.crashes + 1)
            return state.died(job, now=now, exit_code=error.exit_code, delay_ms=delay_ms)
        again = handler is None or handler.worth_a_rerun(error)
        return self._failed(job, handler, told(error), now, again=again, trace=_end(traced(error)))

    def _failed(
        self,
        job: Job,
        handler: Handler | None,
        error: str,
        now: int,
        *,
        again: bool = True,
        delay_ms: int | None = None,
        trace: str | None = None,
    ) -> Job:
        if delay_ms is None:
            delay_ms = self._delay_ms(handler, job.attempt)
        return state.failed(job, now=now, error=error, delay_ms=delay_ms, again=again, trace=trace)

    def _delay_ms(self, handler: Handler | None, failures: int) -> int:
        own = None if handler is None else handler.backoff
        delay_s = (own or self._retry).delay_s(failures, random.random)
        # A policy may be a handler's own; a job must not wait for ever by its mistake.
        return min(round(delay_s * 1000), MAX_DELAY_NS // NS_PER_MS)

    def _returned(self, job: Job, value: Any, now: int) -> Job:
        try:
            result = encode_json(value)
        except InvalidRequest as exc:
            error = f"the handler's result can't be kept: {exc}"
            return self._failed(job, None, error, now, again=False)  # it would be the same again
        whole = len(result)
        if whole <= self._max_result_bytes:
            return state.returned(job, now=now, result=result)
        preview = bytes(result)[: 4 * PREVIEW_CHARS].decode("utf-8", "ignore")[:PREVIEW_CHARS]
        return state.returned(job, now=now, result=encode_json(preview), whole_bytes=whole)


def _end(text: str) -> str | None:
    """The last frames count most."""
    text = text.strip("\n")
    if len(text) > MAX_TRACE_CHARS:
        text = "..." + text[3 - MAX_TRACE_CHARS :]
    return text or None
