"""What a command prints: tables and colours for people at a terminal, plain lines and JSON for
programs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, NoReturn

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from commands.listing import as_table, cell
from jobs.model import Status

Advance = Callable[[int], None]
"""Tells that so many more are done."""

Rows = Sequence[Mapping[str, Any]]
_FOLDED = 8  # characters of a line in a column that is folded, at least
_WHOLE = 20  # what isn't longer in the first column, an id or a name, is never folded

STATUS_STYLES: Mapping[str, str] = {
    Status.WAITING: "yellow",
    Status.EXECUTING: "cyan",
    Status.DONE: "green",
    Status.FAILED: "bold red",
    Status.CANCELED: "magenta",
}

# JSON leaves these as they are: DEL, the second set of controls, and what turns lines around.
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Rich would end the process by itself, with another code than the rest of us."""
        raise BrokenPipeError


class Output:
    """Standard output and standard error of one command."""

    def __init__(self, *, as_json: bool, quiet: bool = False, out: IO[str] | None = None) -> None:
        self.as_json = as_json
        self.console = _Console(file=out or sys.stdout, highlight=False, soft_wrap=True)
        self.err = _Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._bar: Progress | None = None

    @property
    def pretty(self) -> bool:
        """Whether a person looks at it: else there are no colours, and no lines are cut."""
        return self.console.is_terminal and not self.as_json

    def line(self, text: str = "", style: str = "") -> None:
        """One line of text, as it is: whatever a job brings along is no markup."""
        self.print(Text(shown(text), style=style))

    def print(self, *texts: Text) -> None:
        """Lines with styles."""
        with self._aside():
            for text in texts:
                self.console.print(text)

    def cut(self, line: Text) -> Text:
        """As much of it as a terminal is wide; all of it elsewhere."""
        if self.pretty:
            line.truncate(self.console.width, overflow="ellipsis")
        return line

    def flush(self) -> None:
        """What is printed is read at once, by a program too."""
        self.console.file.flush()

    def lines(self, lines: Iterable[str]) -> None:
        """Many lines, as they are."""
        self._write("\n".join(lines))

    def json(self, value: Any) -> None:
        """One JSON document, for people's eyes too."""
        self._write(msgspec.json.format(json_text(value), indent=2))

    def json_line(self, value: Any) -> None:
        """One of many JSON documents, each on a line of its own."""
        self._write(json_text(value))

    def table(
        self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, title: str = ""
    ) -> None:
        """Rows under a header: ``-`` where there is nothing, states in their colours."""
        found = list(rows)
        if not self.pretty:
            told = [{name: flat(row[name]) for name in columns} for row in found]
            self._write(as_table(columns, told))
            return
        with self._aside():
            if _narrowest(columns, found) > self.console.width:
                self._stacked(columns, found, title)
            else:
                self._table(columns, found, title)

    def _table(self, columns: Sequence[str], rows: Rows, title: str) -> None:
        made = Table(box=None, header_style="bold", title=title or None, title_justify="left")
        whole = _longest(rows, columns[0]) <= _WHOLE
        for n, name in enumerate(columns):
            numbers = bool(rows) and all(isinstance(r[name], int | None) for r in rows)
            made.add_column(
                name.upper(),
                justify="right" if numbers else "left",
                overflow="fold",
                no_wrap=n == 0 and whole,
            )
        for row in rows:
            made.add_row(*(_styled(row[name]) for name in columns))
        self.console.print(made, soft_wrap=False)

    def _stacked(self, columns: Sequence[str], rows: Rows, title: str) -> None:
        """Where columns beside each other can't be read: one below the other, for each row."""
        if title:
            self.console.print(Text(title, style="italic"))
        width = max(map(len, columns))
        for row in rows:
            for n, name in enumerate(columns):
                head = f"{name.upper():<{width}}  ", "" if n else "bold"
                self.console.print(Text.assemble(head, _styled(row[name])))

    def note(self, text: str) -> None:
        """Something beside the answer: a line on standard error."""
        if not self._quiet:
            self.err.print(Text(shown(text), style="dim"))

    def warn(self, text: str) -> None:
        """What one should know before believing the answer."""
        self.err.print(Text("warning: ", style="yellow").append(shown(text)))

    def error(self, text: str) -> None:
        """Why there is no answer: one line."""
        self.err.print(Text("error: ", style="bold red").append(shown(" ".join(text.split()))))

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Advance]:
        """A bar on standard error while a long scan goes on, if a person looks at it."""
        if self._quiet or not self.err.is_terminal:
            yield lambda count: None
            return
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.completed:,}"),
            TimeRemainingColumn(),
            console=self.err,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,  # what is left on the screen is the answer
        )
        with bar:
            task = bar.add_task(escape(what), total=total)
            self._bar = bar
            try:
                yield lambda count: bar.advance(task, count)
            finally:
                self._bar = None

    def _write(self, text: str) -> None:
        with self._aside():
            self.console.file.write(text + "\n")

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """The bar makes room for what is printed, where both are on one screen."""
        bar = self._bar
        if bar is None or not self.console.is_terminal:
            yield
            return
        bar.stop()
        try:
            yield
            self.console.file.flush()
        finally:
            bar.start()


def json_text(value: Any) -> str:
    """JSON on one line, the same for a program; what a terminal would obey is escaped."""
    return _OBEYED.sub(lambda m: f"\\u{ord(m[0]):04x}", msgspec.json.encode(value).decode())


def shown(text: str) -> str:
    """Text of anybody's making, with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def flat(value: Any) -> str:
    """A value in one line."""
    return " ".join(shown(cell(value)).split())


def _narrowest(columns: Sequence[str], rows: Rows) -> int:
    """How wide a table must be to be read."""
    needed = 0
    for n, name in enumerate(columns):
        longest = _longest(rows, name)
        least = longest if n == 0 and longest <= _WHOLE else min(longest, _FOLDED)
        needed += 2 + max(len(name), least)
    return needed


def _longest(rows: Rows, name: str) -> int:
    return max((len(flat(row[name])) for row in rows), default=0)


def _styled(value: Any) -> Text:
    return Text(flat(value), style=STATUS_STYLES.get(str(value), ""))
