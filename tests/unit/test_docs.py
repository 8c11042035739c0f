"""The docs say what the code does: settings, the state machine, flags."""

from __future__ import annotations

import re
from pathlib import Path

from jobs.state import TRANSITIONS
from settings import table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_every_setting_is_documented_as_it_is() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.*?) \| (.*) \|$", (ROOT / "docs/settings.md").read_text(), re.M
    )
    assert [(name, default.strip("`"), text) for name, default, text in rows] == table()


def test_the_readmes_picture_is_the_state_machine() -> None:
    arrows = re.findall(r"^    (\S+) --> (\w+) : (\w+)$", README, re.M)
    assert {(a, event): b for a, b, event in arrows} == {
        ("[*]" if status is None else status.value, event.value): after.value
        for (status, event), after in TRANSITIONS.items()
    }


def test_the_readme_names_each_flag_with_its_setting() -> None:
    from worker.command import _FLAGS

    rows = dict(re.findall(r"^\| `(-\w+)` \| `(\w+)` \|", README, re.M))
    assert rows == {flag: name for flag, name, _ in _FLAGS}


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)


def test_the_tests_that_the_docs_name_are_there() -> None:
    named = set()
    for page in (ROOT / "docs").glob("*.md"):
        named.update(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text()))
    assert len(named) > 20
    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.M)
    ]
    assert missing == []
