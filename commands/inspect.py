"""``faust -A app inspect ID``: all that the logs say of one job."""

from __future__ import annotations

from typing import Any

import msgspec

from commands.asked import TIMES, parse_at, parse_id
from commands.base import CommandError, argument, option
from commands.kafka import Kafka, TopicCommand
from commands.output import STATUS_STYLES, Output
from inspection import told
from inspection.job import Inspected, NoJob, inspect
from inspection.letters import headers_of
from inspection.owner import Owner
from jobs.durations import NS_PER_MS, format_duration
from jobs.model import Job
from jobs.times import format_time

_PAST = ("at", "status", "attempt", "worker", "fence", "place", "error")
_MOST_TEXT = 2_000  # characters of a value on a terminal


class Inspect(TopicCommand):
    """Show a job: its record, its row, what became of it, who owns it, its dead letter.

    \b
        $ faust -A app inspect 3-1042
        $ faust -A app inspect 3-1042 --at "10m ago"
        $ faust -A app inspect 3-1042 --json | jq .row.error

    It is read from the topics, and no worker is asked: it seeks, however many jobs there are. The
    owner is the worker that took the partition over last; whether it is alive isn't in the log.
    """

    arguments = (
        argument("id"),
        option("--at", help=f"The row as it was at {TIMES}.", metavar="TIME"),
        option("--full", is_flag=True, help="Cut no long values."),
    )

    async def run(self, id: str, at: str | None, full: bool) -> None:
        """Look, and show."""
        job_id = parse_id(id)
        until = parse_at("--at", at)
        async with self.kafka() as kafka:
            with self.out.progress("reading the changelog", None) as advance:
                try:
                    found = await inspect(
                        kafka.reader,
                        kafka.names,
                        job_id,
                        kafka.partitions,
                        until=until,
                        advance=advance,
                    )
                except NoJob as exc:
                    raise CommandError(str(exc)) from None
            if self.json:
                self.out.json(_json(found, kafka, until))
            else:
                _Page(self.out, kafka, None if full else _MOST_TEXT).show(found, until)


def _json(found: Inspected, kafka: Kafka, until: int | None) -> dict[str, Any]:
    names, job_id = kafka.names, found.job_id
    return {
        "id": str(job_id),
        **({} if until is None else {"at": format_time(until)}),
        "record": None if found.record is None else told.record(job_id, names.jobs, found.record),
        "row": None if found.row is None else told.whole(job_id, found.row),
        "unread": found.unread,
        "transitions": [told.transition(each) for each in found.transitions],
        "complete": found.missing is None,
        **({} if found.missing is None else {"detail": found.missing}),
        "owner": None if found.owner is None else _owner(found.owner),
        "dead_letter": None if found.letter is None else told.letter(found.letter),
    }


def _owner(owner: Owner) -> dict[str, Any]:
    return {
        "worker": owner.worker,
        "since": format_time(owner.since),
        "released": owner.released,
        "fence": {"number": owner.fence.number, "instance": owner.fence.instance},
    }


class _Page:
    """What a person sees."""

    def __init__(self, out: Output, kafka: Kafka, most: int | None) -> None:
        self._out = out
        self._kafka = kafka
        self._most = most

    def show(self, found: Inspected, until: int | None) -> None:
        """All of it."""
        row = found.row
        state = "expired" if row is None else row.status.value
        when = "" if until is None else f" at {format_time(until)}"
        self._out.line(f"job {found.job_id}  {state}{when}", STATUS_STYLES.get(state, "bold"))
        if row is None:
            self._field("", "it was final, and its row is gone: see JOBS_KEEP")
        elif found.unread:
            self._field("", "no worker had read it" if until else "no worker has read it yet")
        if row is not None:
            self._row(row)
        self._record(found)
        self._transitions(found)
        self._owner(found.owner)
        if found.letter is not None:
            place = found.letter.place
            self._head(f"dead letter  {self._kafka.names.dead}, {_kafka_place(*place)}")
            self._field("at", format_time(found.letter.at))
            self._field("reason", found.letter.reason)

    def _row(self, job: Job) -> None:
        self._field("handler", job.handler)
        self._field("attempt", f"{job.attempt} of {job.max_attempts}")
        self._field("submitted", format_time(job.submitted_at))
        self._field("started", format_time(job.started_at))
        took = None
        if job.finished_at is not None and job.started_at is not None:
            ran = format_duration(max(0, job.finished_at - job.started_at) * NS_PER_MS)
            took = f"{format_time(job.finished_at)} (after {ran})"
        self._field("finished", took or format_time(job.finished_at))
        self._field("next attempt", format_time(job.next_attempt_at))
        if job.timeout_ns is not None:
            self._field("timeout", format_duration(job.timeout_ns))
        self._field("worker", job.worker)
        self._field("replay of", job.replay_of)
        self._field("parent", job.parent)
        self._field("schedule", job.schedule)
        self._field("error", job.error)
        self._field("trace", job.trace)
        if not isinstance(job.result, msgspec.UnsetType):
            cut = "" if job.result_bytes is None else f"(cut; {job.result_bytes} bytes) "
            self._field("result", cut + _pretty(bytes(job.result)))

    def _record(self, found: Inspected) -> None:
        s, record = self._kafka.settings, found.record
        p, offset = found.job_id
        self._head(f"record  {s.topic}, {_kafka_place(p, offset)}")
        if record is None:
            self._field("", "it has expired")
            return
        self._field("", f"kcat -C -b {s.kafka} -t {s.topic} -p {p} -o {offset} -c 1")
        self._field("timestamp", format_time(record.timestamp))
        self._field("key", None if record.key is None else _pretty(record.key))
        for name, value in headers_of(record.headers).items():
            self._field("header", f"{name}: {value}")
        self._field("value", "null" if record.value is None else _pretty(record.value))

    def _transitions(self, found: Inspected) -> None:
        if found.transitions:
            self._head("transitions")
            rows = [
                {
                    "at": format_time(each.at),
                    "status": each.job.status.value,
                    "attempt": each.job.attempt,
                    "worker": each.job.worker,
                    "fence": f"{each.fence.number} {each.fence.instance}",
                    "place": f"{each.job_id.partition}@{each.place}",
                    "error": _cut(each.job.error or "", 80) or None,
                }
                for each in found.transitions
            ]
            self._out.table(_PAST, rows)
        if found.missing is not None:
            self._out.warn(found.missing)

    def _owner(self, owner: Owner | None) -> None:
        self._head("owner")
        if owner is None:
            self._field("", "no worker has taken the partition over yet")
            return
        who = owner.worker or f"a worker ({owner.fence.instance})"
        since = format_time(owner.since)
        if owner.released:
            self._field("", f"nobody: {who} has let the partition go, at {since}")
        else:
            self._field("", f"{who}, since {since or 'long ago'}, fence {owner.fence.number}")

    def _head(self, text: str) -> None:
        self._out.line()
        self._out.line(text, "bold")

    def _field(self, name: str, value: Any) -> None:
        if value in (None, ""):
            return
        text = str(value) if self._most is None else _cut(str(value), self._most)
        lines = text.rstrip().splitlines() or [""]
        self._out.line(f"  {name:<13}{lines[0]}")
        for line in lines[1:]:
            self._out.line(f"  {'':<13}{line}")


def _kafka_place(partition: int, offset: int) -> str:
    return f"partition {partition}, offset {offset}"


def _pretty(value: bytes) -> str:
    try:
        return msgspec.json.format(value, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return value.decode("utf-8", "replace")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters; see --full)"
