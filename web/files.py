"""``GET /`` and ``GET /assets/{name}``: the page, and the files of all pages. They are read once;
no path is ever opened."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from web.page import FILES_POLICY
from web.problems import NotFound
from web.site import JobsView

FOLDER = Path(__file__).parent / "assets"
_KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
}


class File(NamedTuple):
    """One of them."""

    body: bytes
    kind: str
    tag: str


def _read(path: Path, kind: str) -> File:
    body = path.read_bytes()
    return File(body, kind, sha256(body).hexdigest()[:16])


def _all() -> dict[str, File]:
    return {
        path.name: _read(path, _KINDS[path.suffix])
        for path in sorted(FOLDER.iterdir())
        if path.suffix in _KINDS
    }


FILES = _all()
PAGE = _read(FOLDER / "index.html", "text/html")


class Page(JobsView):
    """``GET /``."""

    async def get(self, request: web.Request) -> web.Response:
        """The page that shows what is happening; its scripts ask for the rest."""
        response = _answer(request, PAGE)
        response.headers["Content-Security-Policy"] = FILES_POLICY
        return response


class Asset(JobsView):
    """``GET /assets/{name}``."""

    async def get(self, request: web.Request, name: str) -> web.Response:
        """The file; a browser asks each time whether its copy is still right."""
        file = FILES.get(name)
        if file is None:
            raise NotFound("there is no such file")
        return _answer(request, file)


def _answer(request: web.Request, file: File) -> web.Response:
    response = web.Response(
        headers={"Cache-Control": "no-cache"}, content_type=file.kind, charset=_charset(file)
    )
    response.etag = file.tag
    given = request.if_none_match or ()
    if any(etag.value in (file.tag, "*") for etag in given):
        response.set_status(304)
    else:
        response.body = file.body
    return response


def _charset(file: File) -> str | None:
    return "utf-8" if file.kind.startswith("text/") else None
