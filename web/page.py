"""The front page: no script, nothing from elsewhere."""

from __future__ import annotations

import re
from html import escape
from string import Template

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

# What each URL is for, and how to call it.
CALLS = (
    ("POST /job", "submit a job; an empty body is one, too",
     """curl -i {url}/job -d '{{"handler": "echo", "data": "hello"}}'"""),
    ("GET /job/{id}/status", "how it is doing, and its result; ?wait=30s answers when it is final",
     "curl {url}/job/0-0/status"),
    ("GET /job/all", "all jobs, of all workers; ?status=, ?handler=, ?limit=, ?cursor=",
     "curl '{url}/job/all?status=waiting&limit=10'"),
    ("GET /job/events", "what happens, as it happens; ?status=, ?handler=, ?id=",
     "curl -N {url}/job/events"),
    ("POST /job/{id}/cancel", "stop it for good",
     """curl -X POST {url}/job/0-0/cancel -d '{{"why": "not needed"}}'"""),
    ("GET /stats", "counts and lag over all workers", "curl {url}/stats"),
    ("GET /healthz", "whether the process answers", "curl {url}/healthz"),
    ("GET /readyz", "whether requests should be sent here", "curl -i {url}/readyz"),
)  # fmt: skip

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Jobs on Kafka</title>
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
  h1 { font-size: 1.5rem } h2 { font-size: 1rem; margin: 1.5rem 0 0 } p { margin: .25rem 0 }
  pre { padding: .5rem .75rem; margin: .25rem 0; overflow-x: auto; background: #8882; border-radius: 4px }
</style>
<h1>Jobs on Kafka</h1>
<p>A worker that runs jobs from a Kafka topic. A job's id is its place in the topic,
<code>partition-offset</code>. Any worker answers for any job. Answers are JSON; errors are
problem documents (RFC 9457).</p>
$calls
</html>
""")  # noqa: E501 - style rules, one a line


def base_url(scheme: str, host: str, otherwise: str) -> str:
    """The address by which this page was asked for, if it can stand in a shell command as it is
    (the host is whatever the client wrote)."""
    plain = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?", host, re.ASCII)
    return f"{scheme}://{host}" if plain else otherwise.rstrip("/")


def front(url: str) -> str:
    """The page, with examples for the worker at ``url``."""
    return _PAGE.substitute(
        calls="\n".join(
            f"<h2><code>{escape(call)}</code></h2>\n<p>{escape(text)}</p>\n"
            f"<pre>{escape(example.format(url=url))}</pre>"
            for call, text, example in CALLS
        )
    )
