"""RocksDB as the cache uses it: one folder, one thread at a time, keys by partition.

    {partition}            what is known of the partition, see ``tables.trust.Kept``
    {partition} m {key}    a mark
    {partition} r {offset} a row

Numbers are big-endian, so that a partition's rows lie together, in the order of their places:
many of them are then written as one sorted file, which costs neither a log nor a compaction.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:  # an optional package, see ``StoreMissing``
    from rocksdict import Options, Rdict, WriteBatch

# What RocksDB and rocksdict write; nothing else is ever removed.
_OURS = re.compile(
    r"\d+\.(sst|log|dbtmp)|CURRENT|IDENTITY|LOCK|LOG(\.old\.\d+)?|(MANIFEST|OPTIONS)-\d+(\.dbtmp)?"
    r"|rocksdict-config\.json|\d+\.rows"
)
_MARK, _ROW = b"m", b"r"
_BUFFER_BYTES = 8 * 1024 * 1024


class StoreMissing(Exception):
    """The library isn't installed; the text says what to do."""


class StoreLocked(Exception):
    """Another process has the folder; the text says what to do."""


class Rocks:
    """The database in one folder. Methods block; their errors are the library's."""

    def __init__(self, folder: Path) -> None:
        """Open it, or make it.

        Raises:
            StoreMissing: rocksdict isn't there.
            StoreLocked: another process has it open.
            Exception: anything else that is wrong with the folder or what is in it.
        """
        try:
            import rocksdict
        except ImportError:
            raise StoreMissing(
                "JOBS_STORE=rocksdb needs the package rocksdict: install it "
                "(pip install rocksdict), or leave JOBS_STORE out"
            ) from None
        self._lib = rocksdict
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "CURRENT").exists():
            # Half a database: RocksDB would make a new one and still take in an old log.
            remove(folder)
            folder.mkdir(exist_ok=True)
        self._options = _options(rocksdict.Options(raw_mode=True))
        try:
            self._db: Rdict = rocksdict.Rdict(str(folder), self._options)
        except Exception as exc:
            if "lock hold by" in str(exc) or "While lock file" in str(exc):
                raise StoreLocked(
                    f"another worker uses the folder {folder}: give each worker a JOBS_STORE_DIR "
                    "or a JOBS_PORT of its own"
                ) from None
            raise

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def known(self) -> dict[int, bytes]:
        """What is known of each partition: partition → value."""
        found = {}
        key = b""
        it = self._db.iter()
        it.seek(key)
        while it.valid():
            key = it.key()
            partition = int.from_bytes(key[:4])
            if len(key) == 4:
                found[partition] = it.value()
            it.seek(_prefix(partition + 1))  # rows may be many: jump over them
        it.status()  # raises what ended the reading
        return found

    def read(self, partition: int) -> tuple[bytes | None, dict[int, bytes], dict[bytes, bytes]]:
        """All that stands there of a partition, as of one moment: what is known of it, rows by
        offset, marks by key."""
        known: bytes | None = None
        rows: dict[int, bytes] = {}
        marks: dict[bytes, bytes] = {}
        items = self._db.items(from_key=_prefix(partition))
        for key, value in cast(Iterator[tuple[bytes, bytes]], items):
            if key[:4] != _prefix(partition):
                break
            kind = key[4:5]
            if kind == _ROW:
                rows[int.from_bytes(key[5:])] = value
            elif kind == _MARK:
                marks[key[5:]] = value
            else:
                known = value
        return known, rows, marks

    def write(
        self,
        known: Mapping[int, bytes],
        rows: Mapping[int, Mapping[int, bytes | None]],
        marks: Mapping[int, Mapping[bytes, bytes]],
    ) -> None:
        """Put what has changed, by partition, as one: after a crash it is all there, or none.
        ``None`` removes a row."""
        batch = self._batch()
        for p, changed in rows.items():
            for offset, value in changed.items():
                if value is None:
                    batch.delete(_row(p, offset))
                else:
                    batch.put(_row(p, offset), value)
        for p, some in marks.items():
            for key, mark in some.items():
                batch.put(_prefix(p) + _MARK + key, mark)
        for p, value in known.items():
            batch.put(_prefix(p), value)
        self._db.write(batch)

    def replace(self, partition: int, rows: Iterator[tuple[int, bytes]]) -> None:
        """Put these rows, ordered by offset, in place of all that is there of a partition.
        After it, and after a crash within it, nothing is known of the partition."""
        batch = self._batch()
        batch.delete(_prefix(partition))  # the range alone doesn't hide it from a look ahead
        batch.delete_range(_prefix(partition), _prefix(partition + 1))
        self._db.write(batch)
        path = str(self._folder / f"{partition}.rows")
        file = self._lib.SstFileWriter(self._options)
        file.open(path)
        empty = True
        for offset, value in rows:
            file[_row(partition, offset)] = value
            empty = False
        if empty:
            return  # a file with nothing in it is none
        file.finish()
        moved = self._lib.IngestExternalFileOptions()
        moved.set_move_files(True)
        self._db.ingest_external_file([path], moved)

    def clear(self, partition: int) -> None:
        """Remove all that is there of a partition."""
        self.replace(partition, iter(()))

    def _batch(self) -> WriteBatch:
        return self._lib.WriteBatch(raw_mode=True)


def remove(folder: Path) -> None:
    """Remove a database that is closed, as far as that can be done."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    path.unlink()
        folder.rmdir()


def _options(options: Options) -> Options:
    options.create_if_missing(True)
    options.set_write_buffer_size(_BUFFER_BYTES)
    options.set_max_total_wal_size(4 * _BUFFER_BYTES)
    options.set_max_open_files(128)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1024 * 1024)
    return options


def _prefix(partition: int) -> bytes:
    return partition.to_bytes(4)


def _row(partition: int, offset: int) -> bytes:
    return _prefix(partition) + _ROW + offset.to_bytes(8)
