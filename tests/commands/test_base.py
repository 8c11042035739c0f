"""What all commands do alike: their output, their ends, their docs."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import click
import pytest
from faust.cli.base import cli

import commands  # noqa: F401 - registers them
from commands.base import PlainCommand
from commands.kafka import TopicCommand
from tests.commands.running import faust
from tests.harness import ROOT

pytestmark = pytest.mark.processes
OURS = sorted(
    name
    for name, command in cli.commands.items()
    if str(getattr(command.callback, "__module__", "")).startswith("commands.")
)


def test_a_reader_that_went_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = faust("handlers", stdout=writing)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_is_told_in_a_line() -> None:
    with open("/dev/full", "w") as full:
        ended = faust("handlers", stdout=full)
    said = "error: it ended half-way: [Errno 28] No space left on device\n"
    assert (ended.returncode, ended.stderr) == (1, said)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_streams_that_are_closed(closed: str) -> None:
    command = f'exec "$0" -m faust -A app handlers {closed}'
    ended = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ("simulate" in ended.stdout) is (closed != ">&-")


def test_options_are_shown_in_their_order() -> None:
    names = [param.name for param in cli.commands["topics"].params]
    assert names == ["create", "check", "grow", "as_json", "topic", "app_id", "kafka"]


def test_each_command_has_a_row_in_the_docs_and_no_other() -> None:
    page = (ROOT / "docs/cli.md").read_text()
    assert re.findall(r"^\| `([\w-]+)[ `]", page, re.M) == sorted(OURS)


@pytest.mark.parametrize("name", OURS)
def test_the_help_has_an_example(name: str) -> None:
    with click.Context(cli.commands[name], info_name=name) as context:
        text = cli.commands[name].get_help(context)
    assert re.search(rf"^ +\$ .*faust -A app {name}\b", text, re.M), text
    assert "--json" in text


def test_commands_on_topics_can_be_pointed_elsewhere() -> None:
    for kind in TopicCommand.__subclasses__():
        names = {opt for param in cli.commands[kind.__name__.lower()].params for opt in param.opts}
        assert {"--kafka", "--app-id", "--topic", "--json"} <= names


def test_all_of_ours_end_alike() -> None:
    kinds = {*PlainCommand.__subclasses__(), *TopicCommand.__subclasses__()} - {TopicCommand}
    assert {each.__name__.lower() for each in kinds} == set(OURS)
