"""The database, with the real library."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tables.rocks import Rocks, StoreLocked, StoreMissing, remove


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "jobs-8080"


@pytest.fixture
def rocks(folder: Path) -> Iterator[Rocks]:
    opened = Rocks(folder)
    yield opened
    opened.close()


def fill(rocks: Rocks, partition: int, count: int, known: bytes = b"known") -> None:
    rocks.replace(partition, ((n, b"row %d" % n) for n in range(count)))
    rocks.write({partition: known}, {}, {partition: {b"swept": b"mark"}})


def test_a_partition_is_read_as_it_was_written(rocks: Rocks) -> None:
    rocks.write({3: b"k"}, {3: {300: b"c", 2: b"a", 10: b"b", 4: None}}, {3: {b"fired-x": b"m"}})
    fill(rocks, 2, 3)
    fill(rocks, 4, 3)
    assert rocks.read(3) == (b"k", {2: b"a", 10: b"b", 300: b"c"}, {b"fired-x": b"m"})
    assert list(rocks.read(3)[1]) == [2, 10, 300], "in the order of their places"
    rocks.write({3: b"l"}, {3: {10: None, 11: b"d"}}, {})
    assert rocks.read(3) == (b"l", {2: b"a", 11: b"d", 300: b"c"}, {b"fired-x": b"m"})
    assert rocks.read(5) == (None, {}, {})


def test_what_is_known_is_told_without_the_rows(rocks: Rocks) -> None:
    assert rocks.known() == {}
    for n in (0, 255, 256, 9_999):
        fill(rocks, n, 100, b"%d" % n)
    rocks.write({}, {7: {1: b"rows, of which nothing is known"}}, {})
    assert rocks.known() == {0: b"0", 255: b"255", 256: b"256", 9_999: b"9999"}


def test_replacing_a_partition_leaves_nothing_of_it_and_all_of_its_neighbours(
    rocks: Rocks,
) -> None:
    for n in (2, 3, 4):
        fill(rocks, n, 1000)
    rocks.write({}, {3: {5_000: b"later"}}, {})
    rocks.replace(3, iter([(6, b"new"), (2**40, b"far")]))
    assert rocks.read(3) == (None, {6: b"new", 2**40: b"far"}, {})
    rocks.clear(3)
    assert rocks.read(3) == (None, {}, {})
    for n in (2, 4):
        known, rows, marks = rocks.read(n)
        assert (known, len(rows), marks) == (b"known", 1000, {b"swept": b"mark"})


def test_it_is_there_after_it_was_opened_again(folder: Path) -> None:
    rocks = Rocks(folder)
    fill(rocks, 1, 1000)
    rocks.write({1: b"then"}, {1: {7: b"seven"}}, {})
    rocks.close()
    again = Rocks(folder)
    known, rows, _ = again.read(1)
    again.close()
    assert (known, len(rows), rows[7], rows[8]) == (b"then", 1000, b"seven", b"row 8")


def test_another_process_cant_open_it(rocks: Rocks, folder: Path) -> None:
    code = "import sys, pathlib, tables.rocks as r\nr.Rocks(pathlib.Path(sys.argv[1]))"
    other = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert "StoreLocked: another worker uses the folder" in other.stderr
    assert str(folder) in other.stderr
    with pytest.raises(StoreLocked):
        Rocks(folder)


def test_without_the_library_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rocksdict", None)
    with pytest.raises(StoreMissing, match="pip install rocksdict"):
        Rocks(folder)
    assert not folder.exists()


def test_removing_it_leaves_what_is_somebody_elses(folder: Path) -> None:
    rocks = Rocks(folder)
    fill(rocks, 1, 1000)
    rocks.close()
    (folder / "notes.txt").touch()
    remove(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    Rocks(folder).close()
    remove(folder)
    assert not folder.exists()
    remove(folder)


def test_half_a_database_is_no_database(folder: Path) -> None:
    """What an interrupted `rm -r` leaves: RocksDB would take in the log of a database that it
    makes anew, and that holds the last rows only."""
    rocks = Rocks(folder)
    fill(rocks, 1, 10)
    rocks.close()
    (folder / "CURRENT").unlink()
    again = Rocks(folder)
    assert again.read(1) == (None, {}, {})
    again.close()


def test_a_full_disk_is_an_error(folder: Path) -> None:
    code = """
import pathlib, resource, sys, tables.rocks as r
rocks = r.Rocks(pathlib.Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for i in range(100):
    rocks.write({1: b"k"}, {1: {i: bytes(5_000)}}, {})
"""
    other = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1, "no signal"
    assert os.strerror(errno.EFBIG) in other.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100_000
    again = Rocks(folder)
    known, rows, _ = again.read(1)
    again.close()
    assert known == b"k"
    assert list(rows) == list(range(len(rows))), "up to some write, all is there"
