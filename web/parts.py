"""What the web views are given by the wiring."""

from __future__ import annotations

from dataclasses import dataclass

from agents.cancels import Cancels
from agents.feed import Feed
from agents.lifecycle import Lifecycle
from agents.resume import Resume
from agents.runner import Runner
from agents.submit import Submitter
from log.reader import LogReader
from log.topics import TopicNames
from settings import Settings
from tables.jobs import JobTable
from worker.tls import Tls


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a worker that a view may ask. ``jobs`` is the feed of the jobs topic;
    ``tail_reader`` is for those who listen to events."""

    settings: Settings
    names: TopicNames
    table: JobTable
    jobs: Feed
    reader: LogReader
    tail_reader: LogReader
    submitter: Submitter
    cancels: Cancels
    runner: Runner
    resume: Resume
    lifecycle: Lifecycle
    tls: Tls
