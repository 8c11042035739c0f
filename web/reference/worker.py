"""The calls about the worker itself, and its pages."""

from __future__ import annotations

from web import shapes
from web.reference.model import HTML, JSON, Answer, Call
from web.shapes_stats import StatsAnswer

CALLS = {
    ("GET", "/stats"): Call(
        name="getStats",
        tag="workers",
        summary="Counts over all workers, lag, and the last ten minutes",
        text="A worker that doesn't answer is named in `missing`.",
        curl="curl {url}/stats",
        answers={200: Answer(text="The counts", shape=StatsAnswer)},
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
        summary="The front page",
        curl="curl {url}/",
        answers={200: Answer(text="The page", media=HTML)},
        any_query=True,
    ),
}
