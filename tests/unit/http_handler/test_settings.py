"""Data and settings that are refused before anything is sent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from handlers import http as module
from handlers.http import (
    HttpSettings,
    HttpSettingsError,
)
from jobs import Resources
from jobs.errors import InvalidRequest
from tests.unit.http_handler.serving import (
    SECRET,
    decoded,
)

DOCS = (Path(__file__).parents[3] / "docs/handlers-http.md").read_text()

pytestmark = pytest.mark.timeout(30)


# Data that is refused before it runs


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, "missing required field url"),
        ({"url": 1}, "data.url: expected str"),
        ({"url": ""}, "url must be http"),
        ({"url": "example.com/x"}, "url must be http"),
        ({"url": "ftp://example.com/"}, "url must be http"),
        ({"url": "file:///etc/passwd"}, "url must be http"),
        ({"url": "gopher://example.com:70/"}, "url must be http"),
        ({"url": "unix:///var/run/docker.sock"}, "url must be http"),
        ({"url": "http+unix://x/y"}, "url must be http"),
        ({"url": "http://"}, "url must be http"),
        ({"url": "http:///x"}, "url must be http"),
        ({"url": "http://a:0/"}, "url must be http"),
        ({"url": "http://a:99999/"}, "url can't be read"),
        ({"url": "http://[::1/"}, "url can't be read"),
        ({"url": "http://user:pass@example.com/"}, "user or password"),
        ({"url": "http://example.com@127.0.0.1/"}, "user or password"),
        ({"url": "http://a b/"}, "spaces or control"),
        ({"url": " http://a/"}, "spaces or control"),
        ({"url": "http://a/\r\nX: y"}, "spaces or control"),
        ({"url": "http://example.com\\@127.0.0.1/"}, "spaces or control"),
        ({"url": "http://a/" + "x" * 9000}, "8000"),
        ({"method": "TRACE"}, "data.method: invalid enum value 'TRACE'"),
        ({"method": "post"}, "data.method: invalid enum value 'post'"),
        ({"methods": "GET"}, "unknown field methods"),
        ({"headers": {"X": 1}}, "data.headers"),
        ({"headers": {"X": "a\r\nY: b"}}, "line break"),
        ({"headers": {"X": "a\nb"}}, "line break"),
        ({"headers": {"X": "a\rb"}}, "line break"),
        ({"headers": {"X": "a\0b"}}, "line break"),
        ({"headers": {"X\r\nY": "a"}}, "is no name"),
        ({"headers": {"X Y": "a"}}, "is no name"),
        ({"headers": {"": "a"}}, "is no name"),
        ({"headers": {"X:": "a"}}, "is no name"),
        ({"headers": {"ü": "a"}}, "is no name"),
        ({"headers": {"X": "a", "x": "b"}}, "twice"),
        ({"headers": {"Host": "other"}}, "set by the worker"),
        ({"headers": {"hOsT": "other"}}, "set by the worker"),
        ({"headers": {"Connection": "close"}}, "set by the worker"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "set by the worker"),
        ({"headers": {"Content-Length": "0"}}, "set by the worker"),
        ({"headers": {"Upgrade": "h2c"}}, "set by the worker"),
        ({"headers": {"X-Job-Signature": "t=1,v1=0"}}, "set by the worker"),
        ({"headers": {"x-job-id": "0-0"}}, "set by the worker"),
        ({"headers": {"X-Job-Foo": "a"}}, "X-Job-Foo is set by the worker"),
        ({"headers": {"X-Job_Id": "0-0"}}, "X-Job_Id is set by the worker"),
        ({"headers": {"x_job_signature": "t=1,v1=0"}}, "set by the worker"),
        ({"headers": {"X.Job.Id": "0-0"}}, "set by the worker"),
        ({"headers": {"Idempotency-Key": "a"}}, "Idempotency-Key is set by the worker"),
        ({"headers": {"IDEMPOTENCY_KEY": "a"}}, "set by the worker"),
        ({"headers": {"Transfer_Encoding": "chunked"}}, "set by the worker"),
        ({"done": ["20x"]}, "'20x' is no status"),
        ({"rerun": [600]}, "'600' is no status"),
        ({"failed": [True]}, "data.failed"),
        ({"done": ["404"], "failed": [404]}, "404 stands twice"),
        ({"headers": {"Content-Type": "text/plain"}, "body": {"a": 1}}, "must be a string"),
    ],
)
def test_wrong_data_is_told(data: dict[str, Any], error: str) -> None:
    if data and "url" not in data:
        data = {"url": "http://example.com", **data}
    with pytest.raises(InvalidRequest, match=r"^data") as caught:
        decoded(**data)
    assert error in str(caught.value)


# Settings


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("JOBS_HTTP_SECRET", "short", "at least 16 characters"),
        ("JOBS_HTTP_SECRET", f"{SECRET},short", "at least 16 characters"),
        ("JOBS_HTTP_REDIRECTS", "yes", "JOBS_HTTP_REDIRECTS='yes': must be 0 or 1"),
        ("JOBS_HTTP_ALLOW", "10.0.0.1/8", "'10.0.0.1/8' is no host name, .* has host bits set"),
        ("JOBS_HTTP_ALLOW", "10.0.0.0/99", "is no host name"),
        ("JOBS_HTTP_ALLOW", "300.0.0.1", "is no host name"),
        ("JOBS_HTTP_ALLOW", "http://a/", "is no host name"),
        ("JOBS_HTTP_ALLOW", "*.example.com", "is no host name"),
        ("JOBS_HTTP_ALLOW", "a:80", "is no host name"),
        ("JOBS_HTTP_ALLOW", "::1::", "is no host name"),
    ],
)
def test_wrong_settings_are_told(name: str, value: str, error: str) -> None:
    with pytest.raises(HttpSettingsError, match=error) as caught:
        HttpSettings.of({name: value})
    assert "short" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_settings_as_they_are_when_nothing_is_set() -> None:
    assert HttpSettings.of({}) == HttpSettings()
    assert HttpSettings.of({"JOBS_HTTP_SECRET": " ", "JOBS_HTTP_REDIRECTS": ""}) == HttpSettings()


def test_a_secret_is_not_shown() -> None:
    assert SECRET not in repr(HttpSettings.of({"JOBS_HTTP_SECRET": SECRET}))


@pytest.mark.asyncio
async def test_the_hooks_open_and_close_it(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = Resources()
    resources.put(await module.open_client())
    await module.close_client(resources)
    monkeypatch.setenv("JOBS_HTTP_REDIRECTS", "2")
    with pytest.raises(HttpSettingsError):
        await module.open_client()


def test_every_setting_is_documented() -> None:
    rows = set(re.findall(r"^\| `(JOBS_HTTP_\w+)` \|", DOCS, re.M))
    code = "".join(each.read_text() for each in Path(module.__file__).parent.glob("*.py"))
    assert rows == set(re.findall(r"JOBS_HTTP_[A-Z]+", code))
