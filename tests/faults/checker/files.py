"""A recorded run as a folder: JSON lines, which any program can write.

``about.json`` {"partitions"}; ``topics.jsonl`` all records; ``calls*.jsonl`` what clients did, a
file for each process of clients; ``served.jsonl`` what was asked at rest; ``runs.jsonl`` the
handlers' journal; ``events.jsonl`` what was done to workers. Bytes are text, with what isn't
UTF-8 as lone surrogates, so that nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.faults.checker.model import TOPICS, Call, Event, History, Record, Run


class Unreadable(Exception):
    """A file of the folder is missing or wrong; the text says which, where and why."""


def load(folder: Path) -> History:
    """Read a folder.

    Raises:
        Unreadable: it holds no run, or not all of it.
    """
    about = folder / "about.json"
    if not about.exists() or not (folder / "topics.jsonl").exists():
        raise Unreadable(f"{folder}: about.json and topics.jsonl must be there: a recorded run")
    topics: dict[str, list[Record]] = {name: [] for name in TOPICS}
    for _, line in _lines(folder / "topics.jsonl"):
        topics[line.pop("topic")].append(_record(line))
    calls = [call for path in sorted(folder.glob("calls*.jsonl")) for call in _calls(path)]
    return History(
        partitions=int(json.loads(about.read_text())["partitions"]),
        topics={name: sorted(records, key=lambda r: r[:2]) for name, records in topics.items()},
        calls=calls,
        served=_calls(folder / "served.jsonl"),
        runs=_runs(folder / "runs.jsonl"),
        events=[Event(**_only(Event, line)) for _, line in _lines(folder / "events.jsonl")],
    )


def save_topics(folder: Path, partitions: int, topics: dict[str, list[Record]]) -> None:
    """Write what was read of Kafka."""
    (folder / "about.json").write_text(json.dumps({"partitions": partitions}) + "\n")
    with (folder / "topics.jsonl").open("w") as out:
        for name, records in topics.items():
            for record in records:
                line = record._asdict() | {
                    "topic": name,
                    "key": _text(record.key),
                    "value": _text(record.value),
                    "headers": {k: _text(v) for k, v in record.headers.items()},
                }
                out.write(json.dumps(line) + "\n")


def _record(line: dict[str, Any]) -> Record:
    headers = {k: _bytes(v) or b"" for k, v in line.pop("headers").items()}
    key, value = _bytes(line.pop("key")), _bytes(line.pop("value"))
    return Record(**line, key=key, value=value, headers=headers)


def _calls(path: Path) -> list[Call]:
    return [Call(**_only(Call, line), line=n) for n, line in _lines(path)]


def _runs(path: Path) -> list[Run]:
    """Runs by the token that each of their lines has: a begin, signs of life, an end."""
    runs: dict[str, Run] = {}
    for n, line in _lines(path):
        if line["what"] == "begin":
            runs[line["run"]] = Run(
                job=line["job"],
                attempt=line["attempt"],
                pid=line["pid"],
                worker=line["worker"],
                begin=line["mono"],
                at=line["at"],
                last=line["mono"],
                line=n,
            )
        else:
            run = runs[line["run"]]
            run.last = line["mono"]
            run.ended = line["what"] == "end"
    return list(runs.values())


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not path.exists():
        return
    with path.open() as lines:
        for n, line in enumerate(lines, 1):
            try:
                yield n, json.loads(line)
            except ValueError as exc:
                raise Unreadable(f"{path}, line {n} is no JSON: {exc}") from None


def _only(kind: type, line: dict[str, Any]) -> dict[str, Any]:
    names: Iterable[str] = kind.__dataclass_fields__  # type: ignore[attr-defined] # a dataclass
    return {name: line[name] for name in names if name in line}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")
