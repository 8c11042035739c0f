"""Builds tiny histories for the checker's own tests: a good one step by step, as the product
would have left it; then a test breaks it."""

from __future__ import annotations

import json
from typing import Any

from tests.faults.checker import model
from tests.faults.checker.model import Call, Event, History, Record, Run
from tests.faults.checker.shown import shown

ONE, TWO = "w1:8001", "w2:8002"  # workers' names in rows; the journal has their ports


class Builder:
    """One clock in ms: each step is later than the one before. Partition 0 is owned by ``ONE``
    from the start; ``own`` gives it to another."""

    def __init__(self) -> None:
        self.history = History(partitions=1, topics={name: [] for name in model.TOPICS})
        self.rows: dict[str, dict[str, Any]] = {}
        self._ms = 1_000_000
        self._removed: set[str] = set()
        self.fence, self.worker = "0 none", ""
        self._count: int | None = None
        self.own(1, "a", ONE)

    def tick(self) -> int:
        """The next ms."""
        self._ms += 10
        return self._ms

    def wait(self, seconds: float) -> None:
        """Nothing happens for a while."""
        self._ms += round(seconds * 1000)

    def put(self, topic: str, key: str | None, value: Any, **headers: str) -> Record:
        """A record at the end of a topic."""
        records = self.history.topics[topic]
        record = Record(
            0,
            len(records),
            self.tick(),
            None if key is None else key.encode(),
            None if value is None else json.dumps(value).encode(),
            {name.replace("_", "-"): text.encode() for name, text in headers.items()},
        )
        records.append(record)
        return record

    def own(self, number: int, instance: str, worker: str, *, counting: bool = False) -> None:
        """A takeover; by a worker that is ``counting``, its records have counts."""
        self.fence, self.worker = f"{number} {instance}", worker
        self._count = 0 if counting else None
        self.put("changelog", "owner", {"worker": worker}, **self.stamp())

    def stamp(self) -> dict[str, str]:
        """The headers of the owner's next record."""
        if self._count is None:
            return {"fence": self.fence}
        self._count += 1
        return {"fence": self.fence, "seq": str(self._count)}

    def copy(self, offset: int) -> Record:
        """A record of the changelog lands once more, at its end."""
        records = self.history.topics["changelog"]
        # A copy has the time of its batch.
        records.append(records[offset]._replace(offset=len(records)))
        return records[-1]

    def again(self, job: str) -> None:
        """The row that stands is written again, behind a void one."""
        self.put("changelog", job, self.rows.get(job), **self.stamp(), again="")

    def call(self, method: str, path: str, status: int, answer: Any, **more: Any) -> Call:
        """A call of a client, answered."""
        at = self.tick() / 1000
        given: dict[str, Any] = {"client": "c1", "begin": at, "end": at + 0.005, "worker": ONE}
        made = Call(
            **given | more,
            at=at,
            method=method,
            path=path,
            status=status,
            answer=answer,
            line=len(self.history.calls) + 1,
        )
        self.history.calls.append(made)
        return made

    def submit(self, *, accepted: bool = True, key: str | None = None, **request: Any) -> str:
        """A job by HTTP, under an idempotency key if there is one; its id."""
        body = {"handler": "h", **request}
        headers = {} if key is None else {"idempotency_key": key}
        job = self.put("jobs", None, body, **headers).job
        if accepted:
            self.accept(job, **request)
        return job

    def accept(self, job: str, method: str = "POST", **request: Any) -> Call:
        """A request for a job is told that it is this one."""
        answer = {"id": job, "status": "waiting"}
        body = json.dumps({"handler": "h", **request})
        if method == "PRODUCE":
            return self.call(method, "jobs", 0, {"id": job}, body=body)
        return self.call(method, "/job", 202, answer, body=body)

    def row(self, job: str, fence: str | None = None, **fields: Any) -> None:
        """A row in place of the last one, by today's owner; another ``fence`` leaves it void,
        and doesn't become the last one."""
        record = self.history.topics["jobs"][model.place(job)[1]]
        now = self.tick()
        before = self.rows.get(job, {"submitted_at": record.timestamp, "handler": "h"})
        doc = {k: v for k, v in {**before, **fields}.items() if v is not None}
        if fields.get("status") == "executing":
            doc |= {"worker": fields.get("worker", self.worker), "started_at": now}
        if doc["status"] in model.FINAL:
            doc["finished_at"] = now
        if doc["status"] == "failed" and fence is None:
            self.letter(job)
        self.put("changelog", job, doc, **({"fence": fence} if fence else self.stamp()))
        if fence is None:
            self.rows[job] = doc

    def remove(self, job: str) -> None:
        """A final row leaves after its time."""
        self.put("changelog", job, None, **self.stamp())
        del self.rows[job]
        self._removed.add(job)

    def letter(self, job: str) -> None:
        """A dead letter."""
        record = self.history.topics["jobs"][model.place(job)[1]]
        value = json.loads(record.value or b"null")
        self.put("dead", job, value, source_partition="0", source_offset=str(record.offset))

    def begin(self, job: str, attempt: int, *, row: bool = True, worker: str | None = None) -> Run:
        """An attempt: its row, and its run."""
        if row:
            if attempt > 1:
                self.put("retry", job, {"id": job, "attempt": attempt})
            self.row(job, status="executing", attempt=attempt)
        at, name = self.tick() / 1000, worker or self.worker
        port = name.rpartition(":")[2]
        run = Run(job=job, attempt=attempt, pid=1, worker=port, begin=at, at=at, last=at)
        self.history.runs.append(run)
        return run

    def end(self, run: Run) -> None:
        """The end of a run."""
        run.last, run.ended = self.tick() / 1000, True

    def done(self, job: str, attempt: int = 1) -> str:
        """An attempt from its begin to its good end."""
        run = self.begin(job, attempt)
        self.end(run)
        self.row(job, status="done", result=1)
        return job

    def read(self, job: str, answer: dict[str, Any] | None = None, **more: Any) -> Call:
        """A client asks for the status and is shown the last row, or ``answer``."""
        told = answer if answer is not None else {"id": job, **shown(self.rows[job])}
        return self.call("GET", f"/job/{job}/status", 200, told, **more)

    def cancel(self, job: str, status: int = 200) -> Call:
        """A cancel as it is answered."""
        answer: dict[str, Any] = {"status": status}
        if status in (200, 202):  # 202: before it is carried out
            state = "canceled" if status == 200 else self.rows[job]["status"]
            answer = {"id": job, "status": state}
        return self.call("POST", f"/job/{job}/cancel", status, answer)

    def cancel_by_record(self, job: str, **more: Any) -> Call:
        """A cancel as a record that Kafka has acknowledged."""
        value = {"id": job, **more}
        place = self.put("cancel", None, value).job
        return self.call("PRODUCE", "cancel", 0, {"id": place}, body=json.dumps(value))

    def list(self, query: str = "", **more: Any) -> Call:
        """A page with all jobs."""
        ids = [record.job for record in self.history.topics["jobs"]]
        jobs = [self._entry(job) for job in ids if job not in self._removed]
        answer = {"jobs": jobs, "next": None, "missing": []}
        return self.call("GET", f"/job/all{query}", 200, answer, **more)

    def _entry(self, job: str) -> dict[str, Any]:
        doc = self.rows.get(job)
        return (
            {"id": job, "status": "waiting", "attempt": 0}
            if doc is None
            else {"id": job, **shown(doc)}
        )

    def kill(self, worker: str) -> None:
        """A worker is killed."""
        self.event("kill", worker)

    def event(self, what: str, worker: str) -> None:
        """Something is done to a worker."""
        port = worker.rpartition(":")[2]
        self.history.events.append(Event(what=what, worker=port, at=self.tick() / 1000))

    def rest(self) -> History:
        """What is asked at rest; the history is whole with it."""
        before = len(self.history.calls)
        for job in self.rows:
            self.read(job, client="rest")
        self.list(client="rest")
        own = self.list(client="rest", forwarded=True)
        own.answer["partitions"] = [0]
        self.history.served = self.history.calls[before:]
        del self.history.calls[before:]
        return self.history
