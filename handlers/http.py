"""``http``: calls a URL with the job's data, so that a job can be written in any language.

Whoever can submit a job can name any URL. So an address is checked where it is used, when its
socket is made: whatever stood in the URL, in DNS or in a redirect, that is the address which is
connected to. docs/handlers-http.md tells all of it to users.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import socket
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Literal

import aiohttp
import msgspec
from aiohttp import AddrInfoType
from multidict import CIMultiDict
from yarl import URL

from jobs import Context, Discard, Resources, Retry, handler, shutdown, startup
from jobs.codec import encode_json
from jobs.durations import NS_PER_S
from jobs.errors import InvalidRequest

MAX_BODY_BYTES = 100_000  # of an answer; the rest is not read
MAX_RETRY_AFTER_S = 3_600.0
MAX_REDIRECTS = 5
MAX_URL_CHARS = 8_000
CONNECT_S = 30.0  # for one address; the attempt's own timeout is over all

Verdict = Literal["done", "failed", "rerun"]
Network = IPv4Network | IPv6Network

_DEFAULTS: dict[Verdict, tuple[str, ...]] = {
    "done": ("2xx",),
    "failed": (),
    "rerun": ("408", "425", "429", "5xx"),
}
_OTHERWISE: Verdict = "failed"
_REDIRECTS = (301, 302, 303, 307, 308)
# Of an answer's headers, those that help a reader; cookies and the like stay out of the row.
_KEPT = ("Content-Type", "Date", "ETag", "Last-Modified", "Location", "Retry-After", "X-Request-Id")
_CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "windows-1251", "windows-1252", "koi8-r")
_SIGNATURE = "X-Job-Signature"
# The connection is ours, and what a receiver trusts must come from the worker.
_REFUSED_HEADERS = re.compile(
    "host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|"
    "proxy-connection|proxy-authorization|proxy-authenticate|accept-encoding|"
    "x-job-id|x-job-attempt|x-job-signature"
)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}", re.ASCII)
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{0,8000}")
_CODE = re.compile(r"[1-5](?:xx|[0-9]{2})", re.ASCII)
_HOST_NAME = re.compile(r"(?=.*[a-z])[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)

# IANA's special-purpose registries, multicast, and what is reserved. Written out, since what
# `is_global` answers depends on the version of Python.
_INSIDE_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' own networks
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays to IPv6
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "168.63.129.16",  # public by its number, but each Azure machine's own host
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")  # all that is given out; the rest is local or reserved
_INSIDE_6 = tuple(
    IPv6Network(text)
    # Special purposes with Teredo, documentation (twice), and 6to4, which carries any IPv4.
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_NAT64 = IPv6Network("64:ff9b::/96")  # how a machine with IPv6 only reaches IPv4


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
        inner = _inner(outer)
        if any(outer in network or inner in network for network in self.networks):
            return True
        if isinstance(inner, IPv4Address):
            return not any(inner in network for network in _INSIDE_4)
        return inner in _PUBLIC_6 and not any(inner in network for network in _INSIDE_6)


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
        _checked_url(self.url)
        _check_headers(self.headers)
        lists = (self.done, self.failed, self.rerun)
        given = [_code(each) for codes in lists for each in codes or ()]
        twice = next((each for each in given if given.count(each) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} stands twice in done, failed and rerun")
        if self.body and self.body_bytes is None:
            kind = _content_type(CIMultiDict(self.headers))
            raise ValueError(f"a body that is sent as {kind} must be a string")

    @property
    def body_bytes(self) -> bytes | None:
        """The body as it is sent; ``None`` if it can't be."""
        raw = bytes(self.body)
        if not raw or _is_json(_content_type(CIMultiDict(self.headers))):
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


@dataclass(slots=True)
class _Hop:
    """One request: the host it goes to, and whether a socket was made or refused for it."""

    host: str
    tried: bool = False
    refused: bool = False


_hop: ContextVar[_Hop] = ContextVar("http_hop")


@dataclass(frozen=True, slots=True)
class _Answer:
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


class HttpClient:
    """The session that all attempts of a worker share. Make it within the event loop."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        # No limit of connections: a worker's slots are one.
        self._connector = aiohttp.TCPConnector(limit=0, socket_factory=self._socket)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),  # one job's login is not another's
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            auto_decompress=False,  # a small answer must not become a large one
            trust_env=False,  # a proxy would connect for us, to where we can't see
        )

    async def close(self) -> None:
        """End its connections."""
        await self._session.close()

    async def call(self, ctx: Context, call: HttpCall) -> dict[str, Any]:
        """Call, and judge the answer; what the job's result is.

        Raises:
            Retry: no connection, or an answer that is worth a rerun.
            Discard: an answer that isn't, or an address that jobs may not reach.
        """
        url, method, body = URL(call.url), call.method, call.body_bytes or b""
        headers = CIMultiDict({"User-Agent": "jobs-on-kafka", "Idempotency-Key": ctx.key})
        headers.update(call.headers)
        if body:
            headers["Content-Type"] = _content_type(headers)
        headers.update({"X-Job-Id": str(ctx.job_id), "X-Job-Attempt": str(ctx.attempt)})
        headers["Accept-Encoding"] = "identity"
        own_origin = url.origin()
        for _ in range(MAX_REDIRECTS + 1):
            if self._settings.secrets and url.origin() == own_origin:
                headers[_SIGNATURE] = signature(
                    self._settings.secrets[0], int(time.time()), ctx.job_id, ctx.attempt, body
                )
            answer = await self._ask(ctx, method, url, headers, body)
            verdict = call.verdict(answer.status)
            target = self._redirect(url, answer) if verdict == "failed" else None
            if target is None:
                return _judged(f"{method} {_shown(url)}", verdict, answer)
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, body = "GET", b""
                headers.pop("Content-Type", None)
            if target.origin() != own_origin:  # keys and tokens were for the first one
                for name in (*call.headers, _SIGNATURE):
                    if name.lower() not in ("content-type", "accept", "user-agent"):
                        headers.pop(name, None)
            url = target
        raise Discard(f"{call.method} {_shown(URL(call.url))}: more than {MAX_REDIRECTS} redirects")

    async def _ask(
        self, ctx: Context, method: str, url: URL, headers: Mapping[str, str], body: bytes
    ) -> _Answer:
        what = f"{method} {_shown(url)}"
        hop = _Hop(url.raw_host or "")
        _hop.set(hop)  # the tasks that connect copy it; each attempt is a task of its own
        try:
            async with self._session.request(
                method, url, headers=headers, data=body or None, allow_redirects=False
            ) as response:
                content = bytearray()
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > MAX_BODY_BYTES:
                        response.close()  # for what is left, the connection isn't kept
                        break
                whole = len(content) <= MAX_BODY_BYTES
                return _Answer(
                    response.status, response.headers, bytes(content[:MAX_BODY_BYTES]), not whole
                )
        except aiohttp.InvalidURL as exc:
            raise Discard(f"{what}: {exc}") from exc
        except (aiohttp.ClientError, OSError) as exc:  # TimeoutError is an OSError
            if hop.refused and not hop.tried:
                ctx.logger.warning("%s: its address is none that JOBS_HTTP_ALLOW allows", what)
                raise Discard(
                    f"{what}: jobs may not reach {hop.host}: its address is private, loopback, "
                    "link-local or otherwise not public. To allow it, name it in JOBS_HTTP_ALLOW "
                    "of the workers"
                ) from exc
            raise Retry(f"{what}: {type(exc).__name__}: {exc}") from exc

    def _socket(self, info: AddrInfoType) -> socket.socket:
        """A socket for one address, which it is connected to next; here nothing can be spoofed."""
        family, kind, proto, _, address = info
        hop = _hop.get()
        if not self._settings.permits(hop.host, str(address[0])):
            hop.refused = True
            raise PermissionError(f"jobs may not reach {address[0]}")
        hop.tried = True
        return socket.socket(family, kind, proto)

    def _redirect(self, url: URL, answer: _Answer) -> URL | None:
        location = answer.headers.get("Location")
        if answer.status not in _REDIRECTS or not location or not self._settings.redirects:
            return None
        try:
            target = _checked_url(str(url.join(URL(location))))
        except ValueError as exc:
            raise Discard(f"{_shown(url)} redirects to where jobs may not go: {exc}") from None
        if url.scheme == "https" and target.scheme == "http":
            raise Discard(f"{_shown(url)} redirects from https to http")
        return target


@startup
async def open_client() -> HttpClient:
    """The shared client; wrong settings stop the worker's start."""
    return HttpClient(HttpSettings.of(os.environ))


@shutdown
async def close_client(resources: Resources) -> None:
    """End its connections."""
    await resources.get(HttpClient).close()


@handler("http", timeout="30s")
async def http(ctx: Context, data: HttpCall) -> dict[str, Any]:
    """Calls a URL with the job's data: jobs in any language."""
    if ctx.rehearsal:
        return {"status": None, "headers": {}, "body": None, "note": "a rehearsal: not called"}
    return await ctx.get(HttpClient).call(ctx, data)


def signature(secret: str, when: int, job_id: object, attempt: int, body: bytes) -> str:
    """The value of ``X-Job-Signature``; ``when`` is in seconds since 1970."""
    message = f"{when}.{job_id}.{attempt}.".encode() + body
    digest = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return f"t={when},v1={digest}"


def retry_after_s(text: str, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` asks for, at most an hour; ``None`` for the usual backoff."""
    text = text.strip()
    if re.fullmatch(r"\d{1,12}", text, re.ASCII):
        seconds = float(text)
    else:
        try:
            at = parsedate_to_datetime(text)
            seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
    # None for "at once", too: a server that is in trouble, or a clock that goes wrong.
    return min(seconds, MAX_RETRY_AFTER_S) if seconds > 0 else None


def _judged(what: str, verdict: Verdict, answer: _Answer) -> dict[str, Any]:
    if verdict == "done":
        return _result(answer)
    start = " ".join(answer.text[:1_000].split())[:200]
    reason = f"{what} answered {answer.status}{': ' if start else ''}{start}"
    if verdict == "rerun":
        delay_s = retry_after_s(answer.headers.get("Retry-After", ""), datetime.now(UTC))
        raise Retry(reason, delay=None if delay_s is None else round(delay_s * NS_PER_S))
    if answer.status in _REDIRECTS:
        reason += " (a redirect; they are followed where JOBS_HTTP_REDIRECTS is 1)"
    raise Discard(reason)


def _result(answer: _Answer) -> dict[str, Any]:
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
    if _is_json(answer.headers.get("Content-Type", "")):
        try:
            value = msgspec.json.decode(answer.content)
            encode_json(value)  # a row must be able to hold it
            result["body"] = value
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidRequest):
            pass  # it says that it is JSON, but isn't: the text is all there is
    return result


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _checked_url(text: str) -> URL:
    """A URL that can be called.

    Raises:
        ValueError: it can't.
    """
    if len(text) > MAX_URL_CHARS or re.search(r"[\x00-\x20\x7f\\]", text):
        raise ValueError(f"url has spaces or control characters, or over {MAX_URL_CHARS} of them")
    try:
        url = URL(text)
    except ValueError as exc:
        raise ValueError(f"url can't be read: {exc}") from None
    if url.scheme not in ("http", "https") or not url.host or not url.port:
        raise ValueError("url must be http://… or https://…, with a host")
    if url.user is not None or url.password is not None:
        raise ValueError("url has a user or password: put them into a header Authorization")
    return url


def _check_headers(headers: Mapping[str, str]) -> None:
    seen = set()
    for name, value in headers.items():
        low = name.lower()
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"headers: {name[:60]!r} is no name of a header")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"headers: the value of {name} has a line break, or is too long")
        if _REFUSED_HEADERS.fullmatch(low):
            raise ValueError(f"headers: {name} is set by the worker")
        if low in seen:
            raise ValueError(f"headers: {name} stands there twice")
        seen.add(low)


def _code(value: int | str) -> str:
    text = str(value).lower()
    if not _CODE.fullmatch(text):
        raise ValueError(f"{str(value)[:20]!r} is no status: give 404, '404' or '4xx'")
    return text


def _content_type(headers: CIMultiDict[str]) -> str:
    return headers.get("Content-Type", "application/json")


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _shown(url: URL) -> str:
    """For messages: without the query, which may hold keys."""
    return str(url.with_query(None).with_fragment(None))[:300]


def _listed(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in environ.get(name, "").split(",") if part.strip())
