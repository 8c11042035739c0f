"""Certificates and keys, from files that the settings name: for HTTP, other workers, Kafka."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from faust.auth import SASLCredentials, SSLCredentials

from log.access import Access
from settings import Settings, SettingsError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tls:
    """``web``: HTTP is served with it; ``None``: in the clear. ``peers``: other workers are asked
    with it. ``kafka``: how brokers are reached."""

    web: ssl.SSLContext | None
    peers: ssl.SSLContext | None
    kafka: Access

    @classmethod
    def of(cls, s: Settings) -> Tls:
        """Read the files.

        Raises:
            SettingsError: one doesn't hold what it should.
        """
        return cls(_web(s), _peers(s), _kafka(s))

    @classmethod
    def of_or_exit(cls, s: Settings) -> Tls:
        """``of``; what is wrong is told in a plain line, with exit code 2."""
        try:
            return cls.of(s)
        except SettingsError as exc:
            print(f"error: {exc}", file=sys.stderr)
            raise SystemExit(2) from None

    def credentials(self) -> SASLCredentials | SSLCredentials | None:
        """The same way to the brokers, as Faust has it."""
        access = self.kafka
        if access.user is not None:
            return SASLCredentials(
                username=access.user,
                password=access.password,
                ssl_context=access.context,
                mechanism=access.mechanism,
            )
        return None if access.context is None else SSLCredentials(access.context)


def _web(s: Settings) -> ssl.SSLContext | None:
    if s.tls_cert is None or s.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_chain(context, "JOBS_TLS", s.tls_cert, s.tls_key)
    return context


def _peers(s: Settings) -> ssl.SSLContext | None:
    return None if s.tls_ca is None else _trusting("JOBS_TLS_CA", s.tls_ca)


def _kafka(s: Settings) -> Access:
    context = None
    if s.kafka_security.endswith("ssl"):
        context = _trusting("JOBS_KAFKA_CA", s.kafka_ca)
        if s.kafka_cert is not None and s.kafka_key is not None:
            _load_chain(context, "JOBS_KAFKA", s.kafka_cert, s.kafka_key)
    protocol = s.kafka_security.upper()
    if not protocol.startswith("SASL"):
        return Access(protocol, context)
    return Access(protocol, context, s.kafka_mechanism, s.kafka_user, s.kafka_password)


def _trusting(name: str, ca: str | None) -> ssl.SSLContext:
    """Of a client that checks certificates and host names; by the system's CAs if none is given."""
    context = _read(
        f"{name}={ca!r}: must be a PEM file with certificates",
        lambda: ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca),
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load_chain(context: ssl.SSLContext, name: str, cert: str, key: str) -> None:
    _read(
        f"{name}_CERT={cert!r}, {name}_KEY={key!r}: must be PEM files with a certificate and the "
        "key that belongs to it, without a password",
        # Without this it would ask at the terminal.
        lambda: context.load_cert_chain(cert, key, password=lambda: ""),
    )


def _read(wrong: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        reason = exc.strerror or exc.reason if isinstance(exc, ssl.SSLError) else exc
        raise SettingsError(f"{wrong} ({reason})") from None
