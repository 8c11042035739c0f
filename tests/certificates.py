"""A certificate authority for a test, and what it signs; made by the openssl of the machine."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM files. ``both``: key and certificate in one, as Kafka reads them."""

    cert: Path
    key: Path

    @property
    def both(self) -> Path:
        return self.cert.with_suffix(".both.pem")


class Authority:
    """Its own certificate is ``cert``."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._name = name
        self.cert, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl(
            *("req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN=test {name}"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-addext", "keyUsage=critical,keyCertSign"),
            *("-keyout", str(self._key), "-out", str(self.cert)),
        )

    def sign(self, name: str, names: str = NAMES) -> Pair:
        """A certificate for these names."""
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        _openssl(
            *("req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-CA", str(self.cert), "-CAkey", str(self._key)),
            *("-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"),
            *("-keyout", str(pair.key), "-out", str(pair.cert)),
        )
        pair.both.write_text(pair.key.read_text() + pair.cert.read_text())
        return pair


def _openssl(*arguments: str) -> None:
    ended = subprocess.run(
        ["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
