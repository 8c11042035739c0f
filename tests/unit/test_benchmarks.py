"""The parts of the benchmarks that make figures of what was measured."""

from __future__ import annotations

import os
import re
import sys
import types
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

import pytest

from benchmarks import docs, notes, place, smoke
from benchmarks.__main__ import main
from benchmarks.catalogue import PEERS
from benchmarks.figures import Figures, Row
from benchmarks.measuring import measure
from benchmarks.peers import installing
from benchmarks.peers.apart import falling
from benchmarks.peers.apps import asked
from benchmarks.peers.base import Load, Peer, Span
from benchmarks.place import Place
from benchmarks.processes import PeerError, Running
from benchmarks.sampling import Sample, Sampler
from benchmarks.workloads.base import Sizes
from benchmarks.workloads.drain import Drain
from benchmarks.workloads.latency import quantiles
from settings import table


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


def test_the_fastest_of_those_that_lose_nothing() -> None:
    drain = rows(
        ("ours", "kafka", [100.0]),
        ("bare aiokafka", "kafka", [900.0]),
        ("quick", "redis", [200.0]),
        ("fair", "redis", [50.0]),
        ("slow", "redis", [10.0]),
    )
    lost = {"bare aiokafka": 0.0, "quick": 1.0, "fair": 0.0, "slow": 0.0}
    brokers = {row.peer: row.broker for row in drain}
    killed = [Row(peer, brokers[peer], runs=[{"lost": n}]) for peer, n in lost.items()]
    assert Figures(tables={"drain": drain, "killed": killed}).safe() == ("fair", 2.0)
    assert Figures(tables={"drain": drain}).safe() is None


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


def test_figures_of_other_peers_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    Figures({}, {"drain": rows(("ours", "kafka", [1.0]), ("bare", "kafka", [9.0]))}).update(path)
    Figures({}, {"drain": rows(("ours", "kafka", [2.0])), "other": []}).update(path)
    kept = Figures.read(path)
    assert [(row.peer, row.median("rate")) for row in kept.tables["drain"]] == [
        ("ours", 2.0),
        ("bare", 9.0),
    ]
    assert "other" in kept.tables


def test_a_run_that_fails_leaves_the_figures_that_there_were(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    Figures({}, {"drain": rows(("ours", "kafka", [1.0]))}).update(path)
    Figures({}, {"drain": [Row("ours", "kafka", problem="broken")]}).update(path)
    (kept,) = Figures.read(path).tables["drain"]
    assert (kept.median("rate"), kept.problem) == (1.0, "")


def test_whatever_ends_a_peers_run_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    class Breaking(Drain):
        def once(self, peer: Peer, place: Place, load: Load, variant: str) -> dict[str, float]:
            if peer.name == "ours":
                raise ConnectionResetError(104, "Connection reset by peer")
            return {"rate": 5.0}

    figures, said = Figures(), list[str]()
    peers = [PEERS[name]() for name in ("ours", "naive")]
    measure(figures, [Breaking(Sizes())], peers, Place(tmp_path), "kafka", 2, said.append)
    ours, naive = figures.tables["drain"]
    assert (ours.runs, naive.runs) == ([], [{"rate": 5.0}] * 2)
    assert "Connection reset by peer" in ours.problem
    assert "Connection reset by peer" in said[0]


def test_jobs_at_a_rate_wait_for_none_behind_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are noted as submitted when they were due, however late their feeder is."""
    path = tmp_path / "submitted"
    monkeypatch.setenv("BENCH_SUBMITTED", str(path))
    monkeypatch.setattr(sys, "argv", ["feeder", "noop", "5", "0"])
    assert [len(each) for each in asked.chunks(asked.jobs(), 2)] == [2, 2, 1]
    monkeypatch.setattr(sys, "argv", ["feeder", "noop", "5", "0", "1000"])
    assert [len(each) for each in asked.chunks(asked.jobs(), 2)] == [1] * 5
    at = [note.at for note in notes.read(path)]
    assert [round(each - at[0], 4) for each in at] == [0.0, 0.001, 0.002, 0.003, 0.004]


def drained(ours: float, naive: float) -> Figures:
    return Figures({}, {"drain": rows(("ours", "kafka", [ours]), ("naive", "kafka", [naive]))})


@pytest.mark.parametrize(
    ("measured", "rounds", "wrong"),
    [
        ([100.0], 1, []),
        ([70.0], 1, []),
        ([60.0, 95.0], 2, []),
        (
            [60.0, 50.0, 65.0],
            3,
            ["against naive ours was 4.00 times as fast and is 2.60 times"],
        ),
    ],
)
def test_a_ratio_that_falls_by_more_than_a_third_is_an_error_if_it_stays_so(
    measured: list[float], rounds: int, wrong: list[str]
) -> None:
    asked: list[float] = []

    def measure() -> Figures:
        asked.append(measured[len(asked)])
        return drained(asked[-1], 25.0)

    assert smoke.judge({"naive": 4.0}, measure, lambda line: None) == wrong
    assert len(asked) == rounds


def test_a_peer_that_could_not_be_measured_is_an_error() -> None:
    nothing = Figures({}, {"drain": rows(("ours", "kafka", [9.0]), ("naive", "kafka", []))})
    assert len(smoke.judge({"naive": 4.0}, lambda: nothing, lambda line: None)) == 1


def test_a_round_in_which_ours_leaves_jobs_undone_is_an_error() -> None:
    quick = drained(100.0, 25.0)
    quick.tables["drain"][0].runs[0]["left"] = 3.0
    assert smoke.judge({"naive": 4.0}, lambda: quick, lambda line: None) == [
        "ours left 3 jobs undone"
    ]


def test_the_floor_has_a_ratio_for_each_peer_on_both_brokers() -> None:
    names = {PEERS[name].name for name in smoke.PEERS} - {"ours"}
    assert {broker: set(ratios) for broker, ratios in smoke.read().items()} == {
        "kafka": names,
        "embedded": names,
    }


def test_the_docs_get_what_was_measured_between_their_marks(tmp_path: Path) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "drain.svg"
    page.write_text(f"above\n{docs.BEGIN}\nold\n{docs.END}\nbelow\n")
    drain = rows(("ours", "kafka", [300.0]), ("Celery, <x>", "redis", [100.0]))
    drain.append(Row("RQ", "redis", problem="RQ can't be fed: no"))
    lost = [Row("Celery, <x>", "redis", runs=[{"lost": 0.0}, {"lost": 2.0}])]
    docs.write(Figures({"cores": "2"}, {"drain": drain, "killed": lost}), page, picture)
    text = page.read_text()
    assert text.startswith(f"above\n{docs.BEGIN}\n")
    assert text.endswith(f"{docs.END}\nbelow\n")
    assert "old" not in text
    assert re.search(r"^\| Celery, <x> \| redis \|.* 100 \|.* 3\.00 × \|$", text, re.M)
    assert "- RQ on redis: RQ can't be fed: no" in text
    drawn = ElementTree.fromstring(picture.read_text())
    words = ["".join(each.itertext()) for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert words[2:] == [
        "ours (kafka)",
        "300",
        "Celery, <x> (redis)",
        "100, loses jobs when killed",
    ]


def test_docs_lose_no_figure_that_was_not_measured_again(tmp_path: Path) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "drain.svg"
    page.write_text(f"{docs.BEGIN}\n{docs.END}\n")
    both = rows(("ours", "kafka", [300.0]), ("RQ", "redis", [100.0]))
    docs.write(Figures({}, {"drain": both}), page, picture)
    before = page.read_text()
    with pytest.raises(docs.PageError, match=r"Drain, RQ, redis; 1 in all"):
        docs.write(Figures({}, {"drain": both[:1]}), page, picture)
    assert page.read_text() == before
    page.write_text("".join(x for x in before.splitlines(True) if not x.startswith("| RQ")))
    docs.write(Figures({}, {"drain": both[:1]}), page, picture)
    assert "| RQ" not in page.read_text()


def test_docs_without_marks_are_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("mine")
    with pytest.raises(docs.PageError, match=r"must have the lines"):
        docs.write(Figures(), page, tmp_path / "drain.svg")
    assert page.read_text() == "mine"


def test_the_page_has_the_marks() -> None:
    text = docs.PAGE.read_text()
    assert text.index(docs.BEGIN) < text.index(docs.END)


def test_the_page_names_each_setting_as_it_is() -> None:
    named = set(re.findall(r"\bJOBS_[A-Z_]+\b", docs.PAGE.read_text()))
    assert len(named) > 8
    assert named <= {name for name, _, _ in table()}


@pytest.mark.parametrize(
    ("found_s", "of", "told"),
    [
        ([0.003, 0.001, 0.002], 3, {"x_50": 2.0, "x_99": 3.0}),
        ([0.001] * 60, 100, {"x_50": 1.0}),  # the slowest never came: there is no such figure
        ([], 10, {}),
    ],
)
def test_what_never_came_is_slower_than_all_that_did(
    found_s: list[float], of: int, told: dict[str, float]
) -> None:
    assert quantiles("x", found_s, of) == pytest.approx(told)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "none is named 'nosuch' (drain, "),
        (["drain", "--jobs", "-5"], "'-5' isn't a count"),
        (["drain", "--runs", "0"], "must be at least 1"),
        (["drain", "--peers", "nobody"], "invalid choice: 'nobody'"),
        (["drain", "--peers"], "expected at least one argument"),
        (["drain", "--smoke"], "name none"),
        (["--docs", "--peers", "ours"], "name none"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kafka", ":x"], "error: no Kafka answers at ':x'"),
        (["--kafka", "localhost:99999"], "error: no Kafka answers at 'localhost:99999'"),
        (["--json", "{folder}/none/there/x.json"], "x.json can't be written: No such file"),
        (["--json", "{folder}/text"], "text has no figures in it"),
        (["--json", "{folder}"], "is no file"),
        (["--json", "/dev/zero"], "/dev/zero is no file"),
    ],
)
def test_what_would_fail_in_the_end_is_told_before_it_begins(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place, "ANSWER_S", 1.0)
    (tmp_path / "text").write_text("no figures")
    given = [text.replace("{folder}", str(tmp_path)) for text in arguments]
    default = [] if "--json" in given else ["--json", str(tmp_path / "latest.json")]
    assert main(["drain", "--peers", "ours", *default, *given]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert not (tmp_path / "latest.json").exists()


@pytest.mark.parametrize("text", ["", "no figures", '{"tables": {"drain": [{"peer": null}]}}'])
def test_docs_from_what_is_no_file_of_figures_are_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert main(["--docs", "--json", str(path)]) == 1
    assert "x.json has no figures in it" in capsys.readouterr().err
