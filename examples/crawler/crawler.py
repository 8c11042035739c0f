"""Crawls one host: a job is a page, and the links on it are its follow-up jobs.

``max_running`` and ``rate`` are how polite it is, for all pages together; what is over them waits
without taking a slot from other jobs.
"""

import contextlib
from html.parser import HTMLParser
from typing import Annotated
from urllib.parse import urldefrag, urljoin, urlsplit

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from jobs import Context, Discard, Resources, Retry, handler, shutdown, startup

MAX_PAGE_BYTES = 1_000_000
MAX_LINKS = 100  # of one page that are followed
RETRY_LATER = {429, 502, 503, 504}


class Page(msgspec.Struct, omit_defaults=True):
    """What a job asks for. ``depth``: how many links further it may go."""

    url: Annotated[str, msgspec.Meta(pattern="^https?://[^/]+", max_length=2000)]
    depth: Annotated[int, msgspec.Meta(ge=0, le=5)] = 1
    crawl: str = ""  # the id of the job that it all began with


class Seen:
    """The pages that this worker has followed, by crawl. Other workers have their own, and a
    restart begins anew: a page may be fetched once by each, and ``depth`` ends it all the same."""

    def __init__(self) -> None:
        self._pages: set[tuple[str, str]] = set()

    def add(self, crawl: str, url: str) -> bool:
        """Note a page; whether it is new."""
        before = len(self._pages)
        self._pages.add((crawl, url))
        return len(self._pages) > before


@startup
async def open_session() -> ClientSession:
    """One session for all pages: it keeps connections open."""
    return ClientSession(timeout=ClientTimeout(total=8))


@startup
def begin() -> Seen:
    """Nothing is seen yet."""
    return Seen()


@shutdown
async def close_session(resources: Resources) -> None:
    """After the last job."""
    await resources.get(ClientSession).close()


@handler("crawl", timeout="10s", reruns=3, backoff="1s", max_running=4, rate="20/s")
async def crawl(ctx: Context, data: Page) -> dict[str, object]:
    """Fetches a page; its title, and the ids of the jobs for its links."""
    crawl = data.crawl or str(ctx.job_id)
    seen = ctx.get(Seen)
    seen.add(crawl, data.url)
    page = await fetch(ctx.get(ClientSession), data.url)
    ctx.progress(0.5, f"{len(page.links)} links")
    jobs = []
    for url in page.links[:MAX_LINKS] if data.depth else []:
        if same_host(url, data.url) and seen.add(crawl, url):
            follow = Page(url, data.depth - 1, crawl)
            jobs.append(str(await ctx.submit("crawl", follow)))
    return {"url": data.url, "title": page.title.strip(), "jobs": jobs}


async def fetch(session: ClientSession, url: str) -> "Links":
    """The title and the links of a page. Redirects aren't followed: they may leave the host."""
    try:
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status in RETRY_LATER:
                raise Retry(f"{url} answers {answer.status}", delay=retry_after(answer))
            if answer.status != 200:
                raise Discard(f"{url} answers {answer.status}")
            if answer.content_type != "text/html":
                raise Discard(f"{url} is {answer.content_type}, not text/html")
            page = Links(url)
            page.feed(await text_of(answer))
            return page
    except ClientError as exc:
        raise Retry(f"{url} can't be fetched: {exc}") from exc


async def text_of(answer: ClientResponse) -> str:
    """The page, or its first part if it is long."""
    read = bytearray()
    async for chunk in answer.content.iter_chunked(65_536):
        read += chunk
        if len(read) >= MAX_PAGE_BYTES:
            break
    return read[:MAX_PAGE_BYTES].decode("utf-8", "replace")


def retry_after(answer: ClientResponse) -> str | None:
    """The seconds that a busy server asks for; the usual backoff if it names none."""
    seconds = answer.headers.get("Retry-After", "")
    return f"{seconds}s" if seconds.isdecimal() and len(seconds) < 6 else None


def same_host(one: str, other: str) -> bool:
    """Whether two addresses are of one server, port included."""
    return urlsplit(one)[:2] == urlsplit(other)[:2]


class Links(HTMLParser):
    """Collects a page's title and links."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.title = ""
        self.links: list[str] = []
        self._url = url
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A link, or where the title begins."""
        self._in_title = tag == "title"
        href = dict(attrs).get("href")
        if tag == "a" and href:
            with contextlib.suppress(ValueError):  # a link that is no address is the page's mistake
                self.links.append(urldefrag(urljoin(self._url, href)).url)

    def handle_endtag(self, tag: str) -> None:
        """Where the title ends."""
        self._in_title = False

    def handle_data(self, data: str) -> None:
        """The title's text."""
        if self._in_title:
            self.title += data
