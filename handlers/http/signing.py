"""The header by which a receiver knows that a call comes from the worker."""

from __future__ import annotations

import hashlib
import hmac

SIGNATURE = "X-Job-Signature"


def signature(secret: str, when: int, job_id: object, attempt: int, body: bytes) -> str:
    """The value of ``X-Job-Signature``; ``when`` is in seconds since 1970."""
    message = f"{when}.{job_id}.{attempt}.".encode() + body
    digest = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return f"t={when},v1={digest}"
