"""A small disk of its own, which can be made full. It is a tmpfs, so it needs root on Linux."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

SIZE = "24m"  # some stores of the faults' load, which are a few MB each
BLOCK = bytes(64 * 1024)


class NoDisk(Exception):
    """This machine lets us mount none; the text says why."""


class Disk:
    """Mounted at a folder. ``with`` isn't used: whoever made it calls ``close``."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            NoDisk: it can't be mounted.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if sys.platform != "linux":
            raise NoDisk("only Linux has a tmpfs")
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as exc:
            raise NoDisk(f"mount can't be run: {exc}") from None
        if done.returncode:
            raise NoDisk(done.stderr.strip() or f"mount ended with {done.returncode}")
        self._folder = folder

    def fill(self) -> None:
        """Nothing more can be written to it."""
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as out:
            while out.write(BLOCK):
                pass

    def free(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it, with all that is on it; also while somebody has files open there."""
        subprocess.run(["umount", "-l", str(self._folder)], check=False, capture_output=True)

    @property
    def _ballast(self) -> Path:
        return self._folder / "ballast"
