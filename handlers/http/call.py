"""The data of a job: what to call, and what its answers count as."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from multidict import CIMultiDict

from handlers.http.content import content_type, is_json
from handlers.http.headers import check_headers
from handlers.http.urls import checked_url

Verdict = Literal["done", "failed", "rerun"]

_DEFAULTS: dict[Verdict, tuple[str, ...]] = {
    "done": ("2xx",),
    "failed": (),
    "rerun": ("408", "425", "429", "5xx"),
}
_OTHERWISE: Verdict = "failed"
_CODE = re.compile(r"[1-5](?:xx|[0-9]{2})", re.ASCII)


class HttpCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Data of a job for ``http``.

    ``done``, ``failed`` and ``rerun`` say which answers count as what: ``404``, ``"404"`` or
    ``"4xx"``. One that is given takes the place of its default and wins over the others' defaults.
    """

    url: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b"")  # as it was written: numbers keep their digits
    done: list[int | str] | None = None
    failed: list[int | str] | None = None
    rerun: list[int | str] | None = None

    def __post_init__(self) -> None:
        checked_url(self.url)
        check_headers(self.headers)
        lists = (self.done, self.failed, self.rerun)
        given = [_code(each) for codes in lists for each in codes or ()]
        twice = next((each for each in given if given.count(each) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} stands twice in done, failed and rerun")
        if self.body and self.body_bytes is None:
            kind = content_type(CIMultiDict(self.headers))
            raise ValueError(f"a body that is sent as {kind} must be a string")

    @property
    def body_bytes(self) -> bytes | None:
        """The body as it is sent; ``None`` if it can't be."""
        raw = bytes(self.body)
        if not raw or is_json(content_type(CIMultiDict(self.headers))):
            return raw
        text = msgspec.json.decode(raw)
        return text.encode() if isinstance(text, str) else None

    def verdict(self, status: int) -> Verdict:
        """What an answer counts as. What was given wins over defaults, then 404 over 4xx."""
        best, answer = (False, False), _OTHERWISE
        for name, default in _DEFAULTS.items():
            given = getattr(self, name)
            for code in default if given is None else map(_code, given):
                rank = (given is not None, not code.endswith("xx"))
                if code in (str(status), f"{status // 100}xx") and rank >= best:
                    best, answer = rank, name
        return answer


def _code(value: int | str) -> str:
    text = str(value).lower()
    if not _CODE.fullmatch(text):
        raise ValueError(f"{str(value)[:20]!r} is no status: give 404, '404' or '4xx'")
    return text
