"""The front page: no script, nothing from elsewhere."""

from __future__ import annotations

import re
from html import escape
from string import Template

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

# Of a page whose files come from /assets/.
FILES_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

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
<p><a href="/docs">All calls, with examples</a> · <a href="/openapi.json">OpenAPI document</a> ·
<a href="/stats">Counts</a> · <a href="/job/all">Jobs</a></p>
<h2>Submit a job</h2>
<pre>$example</pre>
</html>
""")  # noqa: E501 - style rules, one a line


def base_url(scheme: str, host: str, otherwise: str) -> str:
    """The address by which this page was asked for, if it can stand in a shell command as it is
    (the host is whatever the client wrote)."""
    plain = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?", host, re.ASCII)
    return f"{scheme}://{host}" if plain else otherwise.rstrip("/")


def front(url: str) -> str:
    """The page, with an example for the worker at ``url``."""
    example = """curl -i {url}/job -d '{{"handler": "echo", "data": "hello"}}'"""
    return _PAGE.substitute(example=escape(example.format(url=url)))
