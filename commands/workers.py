"""Asking running workers, over HTTP. Any worker answers for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from commands.base import CommandError, option
from settings import Settings, SettingsError
from worker.tls import Tls

CONNECT_S = 4.0
ANSWER_S = 15.0

URL = option(
    "--url",
    help="A worker's address; else the one of JOBS_ADVERTISED_URL, or JOBS_BIND and JOBS_PORT.",
    metavar="URL",
    show_default=False,
)


class NoWorker(CommandError):
    """No worker answers."""


class Workers:
    """GETs of one worker, with the token of the settings."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None) -> None:
        self.url = url
        self._session = session
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and document of an answer.

        Raises:
            NoWorker: there is none, or it is something else.
        """
        try:
            async with self._session.get(
                self.url + path, params=query, headers=self._headers, allow_redirects=False
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            raise NoWorker(
                f"no worker answers at {self.url} ({type(exc).__name__}): is one running, and is "
                "--url (or JOBS_ADVERTISED_URL) right?"
            ) from None
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise NoWorker(f"what answers at {self.url} is no worker: give another --url") from None
        if answer.status == 401:
            raise CommandError(f"the worker at {self.url} asks for another JOBS_API_TOKEN")
        return answer.status, document

    async def must(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The document of an answer that should be 200.

        Raises:
            CommandError: it isn't; the worker's own words say why.
        """
        status, document = await self.get(path, query)
        if status != 200 or not isinstance(document, dict):
            detail = document.get("detail") if isinstance(document, dict) else None
            raise CommandError(f"the worker at {self.url} answers {status}: {detail or path}")
        return document


@asynccontextmanager
async def workers(settings: Settings, url: str | None) -> AsyncIterator[Workers]:
    """A way to the workers.

    Raises:
        CommandError: what is set for it can't be used.
    """
    try:
        tls = Tls.of(settings).peers
    except SettingsError as exc:
        raise CommandError(str(exc)) from None
    token = settings.api_tokens[0] if settings.api_tokens else None
    timeout = aiohttp.ClientTimeout(total=ANSWER_S, connect=CONNECT_S)
    connector = aiohttp.TCPConnector(ssl=tls or True)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield Workers(session, (url or settings.url).rstrip("/"), token)
    await asyncio.sleep(0)  # connections are closed in the next turn


__all__ = ["URL", "NoWorker", "Workers", "workers"]
