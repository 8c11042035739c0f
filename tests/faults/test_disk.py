"""The disk of the faults: what is full, is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.disk import Disk, NoDisk


def test_it_is_full_until_it_is_freed(tmp_path: Path) -> None:
    try:
        disk = Disk(tmp_path / "disk")
    except NoDisk as why:
        pytest.skip(f"no disk can be mounted here: {why}")
    try:
        file = tmp_path / "disk" / "file"
        file.write_bytes(b"before")
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "disk" / "more").write_bytes(bytes(100_000))
        assert file.read_bytes() == b"before"
        disk.free()
        (tmp_path / "disk" / "more").write_bytes(bytes(100_000))
    finally:
        disk.close()
    assert not file.exists(), "it is still mounted"
