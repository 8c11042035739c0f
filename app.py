"""The whole flow of a worker, on one screen.

    jobs ────────► intake ───► rows ───► slots ───► handler ───► rows ───► HTTP
    jobs-retry ──► retries ─────────────► ▲            └─ jobs-retry when due, or jobs-dead
    jobs-cancel ─► cancels ──► rows       └─ resume, after each rebalance

``faust -A app worker -l info`` runs it, as does, with the seed's flags,
``python app.py -p 8080 -t 3000 -kh localhost -twrk 10 -rwrk 10``.
"""

from __future__ import annotations

import os
import secrets
import socket
from typing import cast

import commands  # noqa: F401 - registers the commands beside ``worker``
import handlers  # noqa: F401 - registers the job functions that come with the worker
import web
from agents import streams
from agents.callers import Callers
from agents.cancels import Cancels
from agents.dead import DeadLetters
from agents.feed import Feed
from agents.jobs import Intake
from agents.lifecycle import Lifecycle
from agents.limits import Limits
from agents.resume import Resume
from agents.retries import Retries
from agents.runner import Runner
from agents.schedules import Scheduler
from agents.submit import Submitter
from agents.tracing import tracing_or_exit
from handlers.loading import load_or_exit as load_handlers_or_exit
from jobs.registry import HANDLERS
from jobs.resources import Resources
from jobs.schedules import SCHEDULES
from log.reader import LogReader
from log.topics import TopicNames
from log.writer import LogWriter
from settings import load_or_exit
from tables.cache import Cache
from tables.jobs import JobTable, now_ms
from tables.takeover import Identity, Takeover
from worker.app import JobsApp
from worker.command import run_with_flags
from worker.tls import Tls

if __name__ == "__main__":
    run_with_flags(__file__)

settings = load_or_exit(os.environ)
tls = Tls.of_or_exit(settings)
load_handlers_or_exit(settings.handlers)
names = TopicNames.of(settings.topic, settings.app_id, "jobs")
me = Identity(f"{socket.gethostname()}:{settings.port}", secrets.token_hex(4))

app = JobsApp(
    settings.app_id,
    broker_credentials=tls.credentials(),
    broker=[f"kafka://{host}" for host in settings.kafka.split(",")],
    producer_max_request_size=settings.max_record_bytes,
    producer_max_batch_size=settings.max_batch_bytes,
    producer_request_timeout=settings.write_timeout_s,
    web_bind=settings.bind,
    web_port=settings.port,
    canonical_url=settings.url,
    web_ssl_context=tls.web,
    web_application_options=web.application_options(settings),
    Table=JobTable,
)

app.log_json, app.worker_name = settings.log == "json", me.worker

# The log: a reader for takeovers, which read much, one for events, and one for all else.
bulk_reader = LogReader(settings.kafka, access=tls.kafka)
tail_reader = LogReader(settings.kafka, access=tls.kafka)
reader = LogReader(settings.kafka, access=tls.kafka)
writer = LogWriter(app.log_producer, settings.write_timeout_s)
table = cast(JobTable, app.Table("jobs", help="one row for each job"))
table.open(writer, HANDLERS.has)

# From a record to its outcome.
dead = DeadLetters(reader, writer, names.jobs, names.dead, settings.max_row_bytes)
retries = Retries(writer, names.retry)
submitter = Submitter(writer, names.jobs, app.partitions)
resources = Resources()
callers = Callers.of(settings, HANDLERS, resources, submitter.submit)
runner = Runner(table, callers, dead, Limits.of(settings), me.worker, retries.ask)
retries.runner = runner
tracing = tracing_or_exit(settings.otel == "on", settings.app_id, me.worker)
runner.tracing = submitter.tracing = tracing
callers.traced = (tracing.service, tracing.instance) if tracing else None
scheduler = Scheduler(SCHEDULES, table, writer, names.jobs, app.partitions)
intake = Intake(table, runner, dead, HANDLERS, settings.max_row_bytes)

# From the topics: each feed gives its records once, in order, with none left out.
jobs = Feed(names.jobs, reader, table.served, intake.handle, app.position, app.hold)
cancels = Cancels(table, runner, reader, writer, (names.jobs, names.cancel), jobs.places)
reruns = Feed(names.retry, reader, table.served, retries.handle, app.position, app.hold)
stops = Feed(names.cancel, reader, table.served, cancels.handle, app.position, app.hold)
streams.attach(app, {"jobs": jobs, "retries": reruns, "cancels": stops})

feeds = [jobs, reruns, stops]

# From start to stop, and through rebalances.
cache = Cache(settings.store_folder, now_ms)
takeover = Takeover(bulk_reader, writer, names.changelog, me, cache)
resume = Resume(app, table, takeover, runner, dead, reader, feeds, names.changelog)
readers = [reader, bulk_reader, tail_reader]
lifecycle = Lifecycle(
    app, settings, names, table, cache, runner, resume, feeds, readers, resources, scheduler
)
lifecycle.access = tls.kafka
lifecycle.attach()

web.attach(
    app,
    web.Parts(
        settings,
        names,
        table,
        jobs,
        reader,
        tail_reader,
        submitter,
        cancels,
        runner,
        resume,
        lifecycle,
        tls,
    ),
)
