"""How Kafka is reached: in the clear or by TLS, and as whom."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

CONNECT_S = 5.0

_REFUSED = (
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    IllegalSaslStateError,
    AuthenticationFailedError,
)


class AccessDenied(Exception):
    """A broker is there and doesn't let us in, or isn't the one that it should be."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a Kafka client is told beside the broker's address. ``protocol``: Kafka's own word.
    ``context``: for TLS. ``user``, ``password``, ``mechanism``: for SASL."""

    protocol: str = "PLAINTEXT"
    context: ssl.SSLContext | None = None
    mechanism: str = "PLAIN"
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def options(self) -> dict[str, Any]:
        """Keyword arguments of aiokafka's clients."""
        return {
            "security_protocol": self.protocol,
            "ssl_context": self.context,
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
        }

    @property
    def hint(self) -> str:
        """What to look at when a broker hangs up with no word, for an error's text."""
        if self.protocol == "PLAINTEXT":
            return ""
        return (
            f" Is that a listener for JOBS_KAFKA_SECURITY={self.protocol.lower()}, and does it ask "
            "for a client certificate (JOBS_KAFKA_CERT)?"
        )


OPEN = Access()


async def check(bootstrap: str, access: Access) -> None:
    """Try whether one of the brokers lets us in. aiokafka's clients only log why they can't.

    Raises:
        AccessDenied: none does, and at least one of them says that it never will.
    """
    if access.protocol == "PLAINTEXT":
        return
    denied = None
    for host, port, _ in collect_hosts(bootstrap):
        try:
            connection = await create_conn(
                host, port, request_timeout_ms=round(CONNECT_S * 1000), **access.options()
            )
        except ssl.SSLCertVerificationError as exc:
            denied = (
                f"the certificate of Kafka at {host}:{port} can't be trusted "
                f"({exc.verify_message}): does JOBS_KAFKA_CA name its CA, and KAFKA the host that "
                "the certificate is for?"
            )
        except ssl.SSLError as exc:
            denied = (
                f"Kafka at {host}:{port} and this worker can't agree on TLS "
                f"({exc.reason or exc}): is it a TLS listener, and does it ask for a client "
                "certificate (JOBS_KAFKA_CERT)?"
            )
        except _REFUSED as exc:
            denied = (
                f"Kafka at {host}:{port} doesn't let {access.user!r} in by {access.mechanism} "
                f"({type(exc).__name__}): check JOBS_KAFKA_USER, JOBS_KAFKA_PASSWORD and "
                "JOBS_KAFKA_SASL_MECHANISM"
            )
        except (TimeoutError, KafkaError, OSError):
            continue  # it is away, and may come; whoever connects next tells
        else:
            connection.close()
            return
    if denied is not None:
        raise AccessDenied(denied)


__all__ = ["OPEN", "Access", "AccessDenied", "check"]
