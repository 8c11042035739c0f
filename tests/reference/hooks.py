"""What Schemathesis can't know of our formats, and which requests aren't sent to a worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import schemathesis
from hypothesis import strategies as st

_DURATIONS = st.builds(
    "{}{}".format, st.integers(1, 600_000), st.sampled_from(["ns", "us", "µs", "ms", "s"])
)
# Local times of long ago are so many seconds from UTC, which RFC 3339 can't write.
_TIMES = st.datetimes(timezones=st.timezones()).filter(
    lambda at: 1 < at.year < 2199 and not (at.utcoffset() or timedelta()) % timedelta(minutes=1)
)

schemathesis.openapi.format("duration-text", _DURATIONS)
# Short ones: a wait of five minutes is right, too.
schemathesis.openapi.format("wait-text", st.sampled_from(["0", "1ms", "20ms", "0.05s"]))
schemathesis.openapi.format("date-time", _TIMES.map(lambda at: at.isoformat()))


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Without the handler `http`: what it asks of its data is its own, and isn't told there; and
    without keys of submissions: one that comes again with another body is refused."""
    request = raw_schema["components"]["schemas"]["WireRequest"]["properties"]
    request["handler"]["anyOf"][0]["enum"].remove("http")
    submit = raw_schema["paths"]["/job"]["post"]
    submit["parameters"] = [p for p in submit["parameters"] if p["name"] != "Idempotency-Key"]


@schemathesis.hook
def filter_body(context: Any, body: Any) -> bool:
    """Without what JSON Schema doesn't say: a delay beside a time, and a duration of `3.0`, which
    is refused (it may be seconds)."""
    if not isinstance(body, dict):
        return True
    if any(isinstance(body.get(name), float) for name in ("timeout", "delay")):
        return False
    return body.get("delay") is None or body.get("run_at") is None


@schemathesis.hook
def filter_query(context: Any, query: Any) -> bool:
    """Without a cursor of several places beside the order by id, which has cursors of one."""
    if not isinstance(query, dict) or query.get("order", "id") != "id":
        return True
    return "." not in str(query.get("cursor", ""))
