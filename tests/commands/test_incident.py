"""``docs/incident.md``, typed as it stands: its files are written, its commands are run, and what
they say is compared. ``…`` stands for anything; ids are those that the first list showed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import ROOT, Cluster, WorkerProcess

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

PAGE = ROOT / "docs/incident.md"
WITHIN_S = 60.0
WORKER = "faust -A app worker"
CODES = {"faust -A app rehearse": 1}  # that something differs is what was meant


def steps() -> Iterator[tuple[str, str]]:
    """Each file with its text, each command with what it says, in the page's order."""
    for language, block in re.findall(
        r"^```(python|console)\n(.*?)^```$", PAGE.read_text(), re.M | re.S
    ):
        if language == "python":
            name = re.match(r"# (\w+\.py)\n", block)
            assert name, "a Python block names its file in the first line"
            yield name[1], block
            continue
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, answer = part.partition("\n")
            yield command, answer


class Reader:
    """Somebody at a terminal, with a folder of his own."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.environ = {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
        self.ids: dict[str, str] = {}  # in the page → here
        self.worker: WorkerProcess | None = None

    def type(self, command: str, expected: str) -> None:
        """Run a command, and look at what it says. Only a look may be repeated: jobs take their
        time, as a person does to type the next one."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            said = self._run(command)
            found = re.fullmatch(self._pattern(command, expected), said, re.S)
            if found:
                break
            assert command.startswith("faust -A app jobs"), f"{command}\n{said}"
            assert time.monotonic() < deadline, f"{command}\n{said}"
        if "--limit" in command:
            shown, real = (re.findall(r"^\d+-\d+", text, re.M) for text in (expected, said))
            self.ids = dict(zip(shown, real, strict=True))

    def _run(self, command: str) -> str:
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self.environ[name] = value
            return ""
        if command.startswith(WORKER):
            self.worker = self.cluster.worker(ready=True, kind=None, **self.environ)
            lines = self.worker.text().splitlines(keepends=True)
            return next(line for line in lines if line.startswith("ready:"))
        if command == "kill %1":
            assert self.worker is not None
            assert self.worker.terminate() == 0
            return ""
        for shown, real in self.ids.items():
            command = re.sub(rf"\b{shown}\b", real, command)
        python = f"'{sys.executable}'"
        typed = re.sub(r"^faust", f"{python} -m faust", command)
        ended = subprocess.run(  # noqa: S602 - as a reader types it, and it is our own page
            re.sub(r"^python\b", python, typed),
            shell=True,
            cwd=self.folder,
            env=self.cluster.environ(**self.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        code = next((code for known, code in CODES.items() if command.startswith(known)), 0)
        assert ended.returncode == code, (command, ended)
        return ended.stdout

    def _pattern(self, command: str, expected: str) -> str:
        for shown, real in self.ids.items():
            expected = re.sub(rf"\b{shown}\b", real, expected)
        pattern = re.escape(expected).replace("…", ".*")
        if "--limit" in command:  # ids aren't known before
            pattern = re.sub(r"(?m)^\d+\\-\d+", r"\\d+-\\d+", pattern)
        return pattern


def test_the_page_as_it_stands(cluster: Cluster, tmp_path: Path) -> None:
    reader = Reader(cluster, tmp_path)
    typed = []
    for command, expected in steps():
        if command.endswith(".py"):
            (tmp_path / command).write_text(expected)
            continue
        reader.type(command, expected)
        typed.append(command.split()[3] if command.startswith("faust") else command)
    assert {"submit", "jobs", "inspect", "rehearse", "replay", "verify"} <= set(typed)
