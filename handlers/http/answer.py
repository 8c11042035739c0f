"""An answer, and the job's result or error that it becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from handlers.http.call import Verdict
from handlers.http.content import is_json
from handlers.http.retry_after import retry_after_s
from jobs import Discard, Retry
from jobs.codec import encode_json
from jobs.durations import NS_PER_S
from jobs.errors import InvalidRequest

MAX_BODY_BYTES = 100_000  # of an answer; the rest is not read
REDIRECTS = (301, 302, 303, 307, 308)
# Of an answer's headers, those that help a reader; cookies and the like stay out of the row.
_KEPT = ("Content-Type", "Date", "ETag", "Last-Modified", "Location", "Retry-After", "X-Request-Id")
_CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "windows-1251", "windows-1252", "koi8-r")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``cut`` if its body was longer than we read."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    cut: bool

    @property
    def text(self) -> str:
        """Its body as text, whatever it is."""
        match = re.search(r"charset=[\"']?([\w-]+)", self.headers.get("Content-Type", ""), re.I)
        charset = match[1].lower() if match else ""
        return self.content.decode(charset if charset in _CHARSETS else "utf-8", "replace")


def judged(what: str, verdict: Verdict, answer: Answer) -> dict[str, Any]:
    """The job's result.

    Raises:
        Retry: the answer is worth a rerun.
        Discard: it isn't.
    """
    if verdict == "done":
        return _result(answer)
    start = " ".join(answer.text[:1_000].split())[:200]
    reason = f"{what} answered {answer.status}{': ' if start else ''}{start}"
    if verdict == "rerun":
        delay_s = retry_after_s(answer.headers.get("Retry-After", ""), datetime.now(UTC))
        raise Retry(reason, delay=None if delay_s is None else round(delay_s * NS_PER_S))
    if answer.status in REDIRECTS:
        reason += " (a redirect; they are followed where JOBS_HTTP_REDIRECTS is 1)"
    raise Discard(reason)


def _result(answer: Answer) -> dict[str, Any]:
    headers = {
        # aiohttp gives wrong bytes as lone surrogates, which have no JSON form.
        name: answer.headers[name].encode("utf-8", "replace").decode()[:1_000]
        for name in _KEPT
        if name in answer.headers
    }
    result: dict[str, Any] = {"status": answer.status, "headers": headers, "body": answer.text}
    encoding = answer.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        note = f"the body came as {encoding[:20]}, which was not asked for, and is left out"
        return {**result, "body": None, "note": note}
    if answer.cut:
        note = f"the body is longer than {MAX_BODY_BYTES} bytes; this is its beginning"
        return {**result, "note": note}
    if is_json(answer.headers.get("Content-Type", "")):
        try:
            value = msgspec.json.decode(answer.content)
            encode_json(value)  # a row must be able to hold it
            result["body"] = value
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidRequest):
            pass  # it says that it is JSON, but isn't: the text is all there is
    return result
