"""The parts of the benchmarks that make figures of what was measured."""

from __future__ import annotations

import os
import types
from pathlib import Path
from typing import cast

import pytest

from benchmarks import notes
from benchmarks.figures import Figures, Row
from benchmarks.peers import installing
from benchmarks.peers.apart import falling
from benchmarks.peers.base import Load, Span
from benchmarks.processes import PeerError, Running
from benchmarks.sampling import Sample, Sampler


def rows(*rates: tuple[str, str, list[float]]) -> list[Row]:
    return [Row(peer, broker, runs=[{"rate": r} for r in of]) for peer, broker, of in rates]


def test_a_rate_counts_from_the_first_outcome() -> None:
    assert Span(10.0, 12.0, 101).rate == 50.0


def test_a_rows_figure_is_the_median_of_its_runs() -> None:
    (row,) = rows(("ours", "kafka", [10.0, 90.0, 20.0]))
    assert row.median("rate") == 20.0
    assert row.spread("rate") == 4.0
    assert row.median("cpu") is None


def test_ratios_are_of_ours_on_the_same_broker_and_on_apache_kafka_for_those_on_redis() -> None:
    made = rows(
        ("ours", "kafka", [100.0]),
        ("ours", "embedded", [60.0]),
        ("naive", "kafka", [50.0]),
        ("naive", "embedded", [20.0]),
        ("elsewhere", "redis", [25.0]),
        ("broken", "kafka", []),
    )
    assert list(Figures(tables={"drain": made}).ratios("drain", "rate")) == [
        ("naive", "kafka", 2.0),
        ("naive", "embedded", 3.0),
        ("elsewhere", "redis", 4.0),
    ]


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = Figures({"cores": "2"}, {"drain": rows(("ours", "kafka", [1.0, 2.0, 3.0]))})
    made.write(tmp_path / "new" / "latest.json")
    assert Figures.read(tmp_path / "new" / "latest.json") == made


def test_processor_time_between_two_times_lies_on_the_line_between_samples() -> None:
    sampler = Sampler(os.getpid())
    sampler.samples = [Sample(0.0, 1.0, 5), Sample(10.0, 2.0, 9), Sample(20.0, 12.0, 7)]
    assert sampler.cpu_s(5.0, 15.0) == pytest.approx(5.5)
    assert sampler.cpu_s(-5.0, 30.0) == pytest.approx(11.0)
    assert sampler.most_bytes == 9


def test_notes_are_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.peers.apps.note import note

    path = tmp_path / "notes"
    assert notes.read(path) == []
    monkeypatch.setenv("BENCH_NOTES", str(path))
    for n in (7, 3, 7):
        note(n)
    with path.open("ab") as out:
        out.write(b"9 17")  # a write that a kill cut off
    assert [each.number for each in notes.read(path)] == [7, 3, 7]
    assert notes.times_run(notes.read(path)) == {7: 2, 3: 1}


def test_pauses_are_given_in_turn() -> None:
    assert list(Load("pause", 5, 1, (0, 4)).pauses()) == [0, 4, 0, 4, 0]


def test_a_count_that_falls_tells_when_the_first_and_the_last_were_done() -> None:
    counts = iter([10, 10, 8, 8, 3, 0])
    with_itself = cast(Running, types.SimpleNamespace(name="x", check=lambda: None))
    span = falling(lambda: next(counts), 10, with_itself)
    assert (span.outcomes, span.outcomes_first) == (10, 2)
    assert span.last > span.first


def test_a_peer_that_cant_be_installed_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "CACHE", tmp_path)
    monkeypatch.setattr(installing, "REQUIREMENTS", tmp_path)
    (tmp_path / "nobody.txt").write_text(f"{tmp_path}/nothing-here\n")
    with pytest.raises(PeerError, match=r"^nobody can't be installed: .*nothing-here.*$"):
        installing.installed("nobody")
    assert not list(tmp_path.glob("*/ready"))
