"""Where a handler raised, as it is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from execution.traces import traced


def test_files_are_named_as_imports_find_them() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - it is only to have a trace
        json.loads("{")
    trace = traced(caught.value)
    assert 'File "tests/unit/test_traces.py", line' in trace
    assert "json.loads" in trace
    assert 'File "json/decoder.py", line' in trace
    for folder in (str(Path(__file__).parents[2]), sys.prefix, sys.base_prefix):
        assert folder not in trace


def test_a_folder_inside_another_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "raises_in_inner.py").write_text("def fall():\n    raise KeyError\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(f"{inner}/")
    from raises_in_inner import fall  # type: ignore[import-not-found] # it was written just now

    with pytest.raises(KeyError) as caught:
        fall()
    assert 'File "raises_in_inner.py", line 2, in fall' in traced(caught.value)


def test_what_is_no_file_stays_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        exec("1 / 0")  # noqa: S102 - a frame of no file
    assert 'File "<string>", line 1, in <module>' in traced(caught.value)


def test_a_statement_of_several_lines() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - it is only to have a trace
        json.loads(
            "{",
        )
    assert "    json.loads(\n" in traced(caught.value)
