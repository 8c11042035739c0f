"""The calls about the worker itself, and its pages."""

from __future__ import annotations

from web import shapes
from web.reference.model import HTML, JSON, Answer, Call
from web.shapes_about import AboutAnswer
from web.shapes_stats import StatsAnswer

_STATS = {
    "at": "2026-11-25T07:00:00.000Z",
    "jobs": {"waiting": 0, "executing": 1, "done": 41, "failed": 0, "canceled": 0},
    "lag": 0,
    "workers": [
        {
            "worker": "a:8080",
            "url": "http://a:8080",
            "partitions": [0],
            "jobs": {"waiting": 0, "executing": 1, "done": 41, "failed": 0, "canceled": 0},
            "open": 1,
            "executing": 1,
            "slots": {"first": {"used": 1, "of": 10}, "rerun": {"used": 0, "of": 10}},
            "gaps": {"jobs": 0, "jobs-retry": 0, "jobs-cancel": 0},
            "resumed": 0,
            "recovering": False,
            "draining": False,
            "started_at": "2026-11-25T06:00:00.000Z",
        }
    ],
    "partitions": [
        {"partition": 0, "worker": "http://a:8080", "position": 42, "end": 42, "lag": 0}
    ],
    "series": {
        "step_s": 10,
        "points": [
            {
                "at": "2026-11-25T06:59:50.000Z",
                "done": 3,
                "failed": 0,
                "canceled": 0,
                "run_ms": {"p50": 12, "p95": 30, "p99": 30},
                "wait_ms": None,
            }
        ],
    },
    "missing": [],
}

_ABOUT = {
    "worker": "http://a:8080",
    "kafka": "kafka:9092",
    "login": False,
    "topics": {
        "jobs": "jobs",
        "retry": "jobs-retry",
        "cancel": "jobs-cancel",
        "dead": "jobs-dead",
        "changelog": "jobs-jobs-changelog",
    },
    "handlers": [
        {
            "name": "email",
            "default": False,
            "doc": "Sends one mail.",
            "kind": "async",
            "timeout": "5s",
            "reruns": 2,
        }
    ],
}

CALLS = {
    ("GET", "/stats"): Call(
        name="getStats",
        tag="workers",
        summary="Counts over all workers, lag, and the last ten minutes",
        text="A worker that doesn't answer is named in `missing`.",
        curl="curl {url}/stats",
        answers={200: Answer(text="The counts", shape=StatsAnswer, example=_STATS)},
    ),
    ("GET", "/metrics"): Call(
        name="getMetrics",
        tag="workers",
        summary="This worker's numbers for Prometheus",
        text="In Prometheus's text format, or as OpenMetrics by `Accept`. `docs/operations` has a "
        "dashboard and alerts for them.",
        curl="curl {url}/metrics",
        answers={200: Answer(text="The metrics", media="text/plain")},
        any_query=True,
    ),
    ("GET", "/about"): Call(
        name="getAbout",
        tag="workers",
        summary="What this worker runs: broker, topics, handlers",
        text="It stays the same while the worker lives.",
        curl="curl {url}/about",
        answers={200: Answer(text="What it runs", shape=AboutAnswer, example=_ABOUT)},
    ),
    ("GET", "/healthz"): Call(
        name="isAlive",
        tag="workers",
        summary="Whether the process answers",
        curl="curl {url}/healthz",
        answers={200: Answer(text="Always", shape=shapes.Alive, example={"status": "ok"})},
        open=True,
        any_query=True,
    ),
    ("GET", "/readyz"): Call(
        name="isReady",
        tag="workers",
        summary="Whether requests should be sent here",
        text="A rebalance alone doesn't change it.",
        curl="curl -i {url}/readyz",
        answers={
            200: Answer(
                text="They should",
                shape=shapes.Ready,
                example={"status": "ready", "partitions": [0, 1]},
            )
        },
        problems={503: "The worker is recovering partitions, or stopping"},
        open=True,
        any_query=True,
    ),
    ("GET", "/login"): Call(
        name="getLogin",
        tag="access",
        summary="The form by which browsers log in",
        curl="curl {url}/login",
        answers={
            200: Answer(text="The form", media=HTML),
            303: Answer(text="No token is asked for", media=""),
        },
        open=True,
        any_query=True,
    ),
    ("POST", "/login"): Call(
        name="logIn",
        tag="access",
        summary="A cookie for the token, for browsers",
        text="The body is a form with the field `token`. The cookie is good for twelve hours, at "
        "any worker. Programs send the token itself.",
        curl='curl -i {url}/login -d "token=$JOBS_API_TOKEN"',
        answers={
            303: Answer(text="The cookie is set, or no token is asked for", media=""),
            403: Answer(text="It is not the token: the form again", media=HTML),
        },
        problems={
            408: "The body takes too long",
            413: "The body is too large",
            415: "The body is of another kind",
            429: "Too many tries from this address",
        },
        open=True,
        any_query=True,
    ),
    ("POST", "/logout"): Call(
        name="logOut",
        tag="access",
        summary="Let the browser forget the cookie",
        curl="curl -i -X POST {url}/logout",
        answers={303: Answer(text="The cookie is gone", media="")},
        open=True,
        any_query=True,
    ),
    ("GET", "/openapi.json"): Call(
        name="getOpenApi",
        tag="reference",
        summary="This API as an OpenAPI 3.1 document",
        curl="curl {url}/openapi.json",
        answers={200: Answer(text="The document", media=JSON)},
    ),
    ("GET", "/docs"): Call(
        name="getDocs",
        tag="reference",
        summary="This API as a page to read",
        curl="curl {url}/docs",
        answers={200: Answer(text="The page", media=HTML)},
        any_query=True,
    ),
    ("GET", "/assets/{name}"): Call(
        name="getAsset",
        tag="reference",
        summary="A file of the pages",
        curl="curl {url}/assets/docs.css",
        answers={
            200: Answer(text="The file", media="*/*"),
            304: Answer(text="It is still the one that `If-None-Match` names", media=""),
        },
        problems={404: "There is no such file"},
        open=True,
        any_query=True,
    ),
    ("GET", "/"): Call(
        name="getPage",
        tag="reference",
        summary="The page that shows what is happening",
        curl="curl {url}/",
        answers={
            200: Answer(text="The page", media=HTML),
            304: Answer(text="It is still the one that `If-None-Match` names", media=""),
        },
        any_query=True,
    ),
}
