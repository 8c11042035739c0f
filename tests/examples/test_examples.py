"""Each example as its README runs it: a real worker, on the embedded broker."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jobs.testing import JobsWorker
from tests.harness import ROOT, until

pytest_plugins = ["jobs.pytest_plugin"]
pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

SECRET = "a secret of this test"
PAGES = {
    "/": '<title>Home</title> <a href="/a">a</a> <a href="b#part">b</a> <a href="{other}">o</a>',
    "/a": '<title>A &amp; co</title> <a href="/">home</a> <a href="/b">b</a> <a href="/deep">d</a>',
    "/b": '<title>B</title> <a href="/a">a</a> <a href="//[">bad</a> <a href="/gone">gone</a>',
    "/deep": '<title>Deep</title> <a href="/too-deep">further</a>',
}


@pytest.fixture(scope="module")
def jobs_handlers() -> str:
    return ",".join(
        f"examples.{name}"
        for name in (
            "thumbnails.thumbnails",
            "crawler.crawler",
            "nightly_report.nightly_report",
        )
    )


def test_each_example_says_how_it_is_run(jobs_handlers: str) -> None:
    folders = {each.parent for each in (ROOT / "examples").glob("*/*") if each.is_file()}
    assert len(folders) == 4
    named: set[str] = set()
    for each in folders:
        text = (each / "README.md").read_text()
        assert "make run" in text
        assert len(text.splitlines()) <= 20
        named.update(re.findall(r"JOBS_HANDLERS=([\w.]+)", text))
    assert named == set(jobs_handlers.split(","))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def jobs_settings(folder: Path) -> Mapping[str, str]:
    return {
        "THUMBNAILS_FOLDER": str(folder),
        "REPORT_FOLDER": str(folder),
        "REPORT_CRON": "* * * * * *",
        "JOBS_PROCESSES": "1",
        "JOBS_HTTP_SECRET": SECRET,
        "JOBS_HTTP_ALLOW": "127.0.0.1",
    }


def test_thumbnails(jobs_worker: JobsWorker, folder: Path) -> None:
    (folder / "trip").mkdir()
    Image.new("RGB", (800, 600), "green").save(folder / "trip/cat.jpg")
    (folder / "notes.jpg").write_text("not a picture")
    job = jobs_worker.run("thumbnail", {"picture": "trip/cat.jpg", "width": 200})
    assert job["status"] == "done", job
    size = (folder / "trip/cat-200x256.webp").stat().st_size
    assert job["result"] == {
        "thumbnail": "trip/cat-200x256.webp",
        "width": 200,
        "height": 150,
        "bytes": size,
    }
    with Image.open(folder / "trip/cat-200x256.webp") as small:
        assert small.size == (200, 150)
    assert sorted(p.name for p in (folder / "trip").iterdir()) == ["cat-200x256.webp", "cat.jpg"]
    for picture, error in (
        ("notes.jpg", "UnidentifiedImageError"),
        ("nowhere.jpg", "FileNotFoundError"),
        ("../cat.jpg", "../cat.jpg is outside of the folder of pictures"),
        ("/etc/hostname", "is outside of the folder"),
    ):
        failed = jobs_worker.run("thumbnail", {"picture": picture})
        assert (failed["status"], failed["attempt"]) == ("failed", 1)
        assert error in failed["error"]
    with pytest.raises(AssertionError, match=r"422: .*data\.width: expected int, got str"):
        jobs_worker.submit("thumbnail", {"picture": "trip/cat.jpg", "width": "200"})


class Site(BaseHTTPRequestHandler):
    """A small site that counts who asks; ``/deep`` is busy at first."""

    server: Host

    def do_GET(self) -> None:
        """A page, or 404."""
        host = self.server
        host.asked[self.path] += 1
        busy = self.path == "/deep" and host.asked["/deep"] == 1
        page = PAGES.get(self.path)
        self.send_response(503 if busy else 404 if page is None else 200)
        if busy:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write((page or "").replace("{other}", host.elsewhere).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


class Host(ThreadingHTTPServer):
    """One server of the site."""

    def __init__(self, elsewhere: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Site)
        self.asked: Counter[str] = Counter()
        self.elsewhere = elsewhere
        self.url = f"http://127.0.0.1:{self.server_port}/"


@contextlib.contextmanager
def serving(host: Host) -> Iterator[Host]:
    thread = threading.Thread(target=host.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        thread.join()
        host.server_close()


def test_the_crawler(jobs_worker: JobsWorker) -> None:
    with serving(Host()) as other, serving(Host(other.url)) as site:
        first = jobs_worker.run("crawl", {"url": site.url, "depth": 2})
        jobs = {first["id"]: first}
        left = list(first["result"]["jobs"])
        while left:
            job = jobs_worker.wait(left.pop(0))
            jobs[job["id"]] = job
            assert job["parent"] in jobs
            left += (job["result"] or {}).get("jobs", [])
        titles = {job["result"]["title"] for job in jobs.values() if job["status"] == "done"}
        assert titles == {"Home", "A & co", "B", "Deep"}
        assert other.asked == {}, "it stays on its host"
        assert site.asked == {"/": 1, "/a": 1, "/b": 1, "/gone": 1, "/deep": 2}
        (gone,) = [job for job in jobs.values() if job["status"] == "failed"]
        assert (gone["error"], gone["attempt"]) == (f"{site.url}gone answers 404", 1)
        (deep,) = [j for j in jobs.values() if (j["result"] or {}).get("title") == "Deep"]
        assert (deep["attempt"], deep["result"]["jobs"]) == (2, [])


def test_the_nightly_report(jobs_worker: JobsWorker, folder: Path) -> None:
    day = datetime.now(UTC).date() - timedelta(days=1)
    (folder / f"{day}-a.log").write_text("one\ntwo\n")
    (folder / f"{day}-b.log").write_text("three\n")
    report = folder / f"report-{day}.txt"
    want = f"{day}: 3 lines in 2 files\n"
    until(lambda: report.exists() and report.read_text() == want, 30, "the report is made")
    times = [
        job["scheduled_at"]
        for each in jobs_worker.list(handler="nightly-report")
        if (job := jobs_worker.wait(each["id"]))["status"] == "done"
    ]
    assert times
    assert len(set(times)) == len(times), "a time was run twice"


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The address of the service in Node.js."""
    node = shutil.which("node")
    if node is None:
        # CI has it; a laptop may not.
        assert "CI" not in os.environ, "node isn't installed"
        pytest.skip("node isn't installed")
    script = ROOT / "examples/node_service/service.js"
    environ = {**os.environ, "JOBS_HTTP_SECRET": SECRET, "PORT": "0"}
    process = subprocess.Popen([node, str(script)], env=environ, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("ready: ").strip()
        process.terminate()
    assert process.returncode == 0


def test_the_service_in_another_language(jobs_worker: JobsWorker, service: str) -> None:
    job = jobs_worker.run("http", {"url": service, "body": {"text": "to be or not to be"}})
    assert job["status"] == "done", job
    assert job["result"]["body"] == {"words": {"to": 2, "be": 2, "or": 1, "not": 1}}
    wrong = jobs_worker.run("http", {"url": service, "body": {"text": 5}})
    assert (wrong["status"], wrong["attempt"]) == ("failed", 1)
    assert "text: must be a string" in wrong["error"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(service, b'{"text": "anybody"}', timeout=10)
