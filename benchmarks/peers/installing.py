"""An environment for each peer that isn't among our own packages, made on its first use."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.processes import PeerError
from tests.harness import ROOT

CACHE = ROOT / ".bench"
REQUIREMENTS = Path(__file__).parent / "requirements"
WITHIN_S = 600


def installed(name: str) -> Path:
    """The folder of an environment with what ``requirements/NAME.txt`` says.

    Raises:
        PeerError: it can't be had.
    """
    wanted = (REQUIREMENTS / f"{name}.txt").read_bytes()
    digest = hashlib.sha256(wanted + sys.version.encode()).hexdigest()[:8]
    folder = CACHE / f"{name}-{digest}"
    if (folder / "ready").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)  # of a call that was broken off
    _run(name, [sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _run(name, [*pip, "--disable-pip-version-check", "-r", str(REQUIREMENTS / f"{name}.txt")])
    (folder / "ready").touch()
    return folder


def versions(folder: Path, names: tuple[str, ...]) -> str:
    """Of packages in an environment."""
    asked = "import importlib.metadata as m, json, sys; print(json.dumps([m.version(n) for n in "
    code = f"{asked}{list(names)!r}]))"
    ran = subprocess.run(
        [str(folder / "bin" / "python"), "-c", code], capture_output=True, text=True, check=True
    )
    found = json.loads(ran.stdout)
    return ", ".join(f"{name} {version}" for name, version in zip(names, found, strict=True))


def _run(name: str, command: list[str]) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        raise PeerError(f"{name} isn't installed after {WITHIN_S} s") from None
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines()
        raise PeerError(f"{name} can't be installed: {said[-1] if said else 'pip has failed'}")
