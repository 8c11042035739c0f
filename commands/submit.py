"""``faust -A app submit``: one job, or many of a file or a stream, each of them once."""

from __future__ import annotations

from typing import Any

from commands.base import CommandError, argument
from commands.kafka import TopicCommand, option
from commands.many import Asked, Many
from commands.single import SINGLE, request_of, submit_one
from jobs.labels import is_key
from submission.earlier import MAX_NAME_CHARS
from submission.journal import JournalError
from submission.lines import BadLine
from submission.source import Source


class Submit(TopicCommand):
    """Submit a job, or one for each line of FILE (- is standard input).

    \b
        $ faust -A app submit --handler greet --data '"you"'
        $ faust -A app submit orders.jsonl
        $ make-orders | faust -A app submit - --name orders-2026-11-27

    Each line is a job's JSON object, as in POST /job. A file is checked as a whole before
    anything is sent. What was interrupted, by kill -9 too, goes on when the same command is run
    again, and no line becomes two jobs: a journal beside the file (FILE.submitted) says how far
    it has got, and the log what was sent since. A stream goes on by its --name.
    """

    arguments = (
        argument("file", required=False),
        *SINGLE,
        option("--name", help="Of the submission: the same name goes on with it."),
        option("--journal", help="Where the journal is: else FILE.submitted.", metavar="PATH"),
        option("--again", is_flag=True, help="Submit a file anew that was submitted before."),
        option("--ids", is_flag=True, help="Print the id of each job that is sent."),
        option(
            "--any-handler",
            is_flag=True,
            help="Leave it to the workers which handlers there are, and what their data is.",
        ),
    )

    async def run(
        self,
        file: str | None,
        name: str | None,
        journal: str | None,
        again: bool,
        ids: bool,
        any_handler: bool,
        key: str | None,
        **single: Any,
    ) -> None:
        """Submit them."""
        given = [flag for flag, value in {**single, "key": key}.items() if value is not None]
        if file is None:
            if not given:
                raise CommandError("which job? Give --handler or --data, or a FILE of jobs, or -")
            value = request_of(self.settings, any_handler=any_handler, **single)
            async with self.kafka([self.settings.topic]) as kafka:
                await submit_one(kafka, self.out, value, key)
            return
        if given:
            raise CommandError(f"--{given[0].replace('_', '-')} is for one job; lines say it all")
        if name is not None and not (is_key(name) and len(name) <= MAX_NAME_CHARS):
            raise CommandError(
                f"--name must be 1 to {MAX_NAME_CHARS} printable ASCII characters, not {name!r}"
            )
        try:
            source = Source(file)
        except OSError as exc:
            raise CommandError(f"{file} can't be read: {exc.strerror}") from None
        try:
            await self._submit(Asked(source, name, journal, again, ids, any_handler))
        except BadLine as exc:
            where = "standard input" if file == "-" else file
            raise CommandError(f"{where}: {exc}; nothing was sent") from None
        except BrokenPipeError:  # nobody reads the ids any more
            raise
        except (JournalError, OSError) as exc:
            raise CommandError(str(exc)) from None
        finally:
            source.close()

    async def _submit(self, asked: Asked) -> None:
        async with self.kafka([self.settings.topic]) as kafka:
            many = Many(kafka, self.out, asked)
            try:
                await many.run()
            finally:
                many.close()
