"""The settings ``JOBS_HTTP_…``, and what they permit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from handlers.http.addresses import Network, inner_address, is_public

_HOST_NAME = re.compile(r"(?=.*[a-z])[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)


class HttpSettingsError(Exception):
    """Settings of this handler are wrong; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """What the handler ``http`` was told."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    redirects: bool = False

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> HttpSettings:
        """Read and check ``JOBS_HTTP_…``.

        Raises:
            HttpSettingsError: one is wrong. A secret is never shown.
        """
        secrets = _listed(environ, "JOBS_HTTP_SECRET")
        if any(len(secret) < 16 for secret in secrets):
            raise HttpSettingsError("JOBS_HTTP_SECRET: each secret has at least 16 characters")
        redirects = environ.get("JOBS_HTTP_REDIRECTS", "").strip() or "0"
        if redirects not in ("0", "1"):
            raise HttpSettingsError(f"JOBS_HTTP_REDIRECTS={redirects!r}: must be 0 or 1")
        hosts, networks = set(), []
        for text in _listed(environ, "JOBS_HTTP_ALLOW"):
            try:
                networks.append(ip_network(text))
            except ValueError as exc:
                name = text.lower().rstrip(".")
                if not _HOST_NAME.fullmatch(name):
                    raise HttpSettingsError(
                        f"JOBS_HTTP_ALLOW: {text!r} is no host name, address or network such as "
                        f"10.1.0.0/16 ({exc})"
                    ) from None
                hosts.add(name)
        return cls(
            secrets=secrets,
            hosts=frozenset(hosts),
            networks=tuple(networks),
            redirects=redirects == "1",
        )

    def permits(self, host: str, address: str) -> bool:
        """Whether jobs may connect to ``address``, which the name ``host`` has led to."""
        if host.lower().rstrip(".") in self.hosts:
            return True
        try:
            outer = ip_address(address)
        except ValueError:  # what we can't judge, the system may still understand: 127.1
            return False
        inner = inner_address(outer)
        if any(outer in network or inner in network for network in self.networks):
            return True
        return is_public(inner)


def _listed(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in environ.get(name, "").split(",") if part.strip())
