"""What the docs show is what happens: their Python is run, and their console blocks are compared.

In an expected answer ``…`` stands for anything, and ids are those that the answers gave.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import Context, handler
from jobs.testing import JobsWorker, Run, run
from tests.harness import ROOT

pytest_plugins = ["jobs.pytest_plugin"]
pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

WITHIN_S = 30.0
RUN = ("curl ", ".venv/bin/python -m pytest ")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Each command with what it answers, lines joined."""
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, answer = part.partition("\n")
            if command.startswith(RUN):
                yield command, answer.replace("\n", "")


def write_files(page: str, folder: Path) -> None:
    """The Python blocks; those that name the same file follow one another."""
    for block in blocks(page, "python"):
        name = re.match(r"# (\w+\.py)\n", block)
        assert name, f"{page}: a Python block names its file in the first line"
        with (folder / name[1]).open("a") as file:
            file.write(block + "\n")


class Reader:
    """Types what a page says, and compares."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.ids: dict[str, str] = {}  # in the page → here

    def type(self, command: str, expected: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while True:
            said = self._said(command)
            found = re.fullmatch(self._pattern(expected), said)
            if found:
                break
            # Only a look may be repeated: a person takes a second to type the next one.
            assert command.endswith("/status"), (command, said)
            assert time.monotonic() < deadline, (command, said)
            time.sleep(0.05)
        if "-d" in command and '"id"' in expected:
            shown, real = (re.findall(r'"id":"(\d+-\d+)"', text)[0] for text in (expected, said))
            self.ids[shown] = real

    def _said(self, command: str) -> str:
        command = command.replace("http://127.0.0.1:8080", self.url)
        command = command.replace(".venv/bin/python", sys.executable)
        for shown, real in self.ids.items():
            command = command.replace(f"/{shown}/", f"/{real}/")
        ended = subprocess.run(  # noqa: S602 - as a reader types it, and it is our own page
            command,
            shell=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "*", "no_proxy": "*"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return ended.stdout.replace("\n", "")

    def _pattern(self, expected: str) -> str:
        for shown, real in self.ids.items():
            expected = expected.replace(f'"{shown}"', f'"{real}"')
        pattern = re.escape(expected).replace("…", ".*")
        if '"status":"waiting"}' in expected:  # a new job's id isn't known before
            pattern = re.sub(r'(?<="id":")[^"]+', r"\\d+-\\d+", pattern)
        # How far it is when a reader looks is the reader's own.
        return re.sub(r'(?<="fraction":)[^,]+,"note":"\d+', r'[0-9.]+,"note":"\\d+', pattern)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_a_page_shows_what_happens(page: str, jobs_broker: str, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    settings = {"KAFKA": jobs_broker, "JOBS_HANDLERS": "myjobs", "JOBS_PARTITIONS": "8"}
    with JobsWorker(settings, tmp_path) as worker:
        reader = Reader(worker.url, tmp_path)
        typed = 0
        for command, expected in commands(page):
            reader.type(command, expected)
            typed += 1
        assert typed >= 2
        ready = next(line for line in worker.log().splitlines() if line.startswith("ready:"))
    shown = re.findall(r"^ready: .*$", (ROOT / page).read_text(), re.M)
    assert set(shown) == {ready.replace(worker.url, "http://127.0.0.1:8080")}


@pytest.mark.parametrize("page", ["handlers", "schedules"])
def test_the_reference_runs(page: str, tmp_path: Path) -> None:
    module = tmp_path / "reference.py"
    module.write_text("\n".join(["import handlers", *blocks(f"docs/{page}.md", "python")]))
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    # Imported, as a worker does.
    program = [sys.executable, "-W", "error", "-c", "import reference"]
    subprocess.run(program, env=environ, check=True, timeout=60)


def test_the_reference_is_complete() -> None:
    page = (ROOT / "docs/handlers.md").read_text()
    options = set(inspect.signature(handler).parameters)
    table = page[page.index("## Options") : page.index("## Typed data")]
    assert options == set(re.findall(r"^\| `(\w+)` \|", table, re.M))
    inner = {"report", "resources", "send", "send_sync", "stopped"}
    context = {n for n in dir(Context) if n[0] != "_"} - inner
    assert {name for name in context if f"`{name}" not in page} == set()
    testing = page[page.index("## Testing") :]
    words = {*inspect.signature(run).parameters} - {"handler", "data"} | {*Run.__annotations__}
    words |= {n for n in vars(JobsWorker) if n[0] != "_" and n != "url"}
    assert {word for word in words if not re.search(rf"`{word}\b", testing)} == set()
