"""Bytes ↔ model. Wrong bytes from outside become a value (``Malformed``), never a crash."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

from jobs.durations import NS_PER_S, format_duration, parse_duration
from jobs.errors import InvalidDuration, InvalidRequest, not_json, told
from jobs.model import Job, JobRequest, Malformed

MAX_TTL = 100  # reruns; the wire's rule
MAX_TIMEOUT_NS = 7 * 86_400 * NS_PER_S  # an attempt that takes a week is a mistake in the unit
MAX_DELAY_NS = 366 * 86_400 * NS_PER_S
MAX_YEAR = 2199  # of run_at; later is a mistake, and no calendar need bear it
MAX_DEPTH = 200  # levels of nesting in data or a result; readers everywhere recurse
OPTIONS = ("timeout", "ttl", "delay", "run_at")  # of a request, beside its handler and data

T = TypeVar("T")

_NULL = msgspec.Raw(b"null")
_EMPTY = JobRequest(data=_NULL)


def _told(text: str, **schema: Any) -> msgspec.Meta:
    """What ``/openapi.json`` says of a field; what isn't checked by its type is by us."""
    return msgspec.Meta(description=text, extra_json_schema=schema)


_TEXT = Annotated[str, _told("Text with units, such as `3s` or `1m30s`", format="duration-text")]


class WireRequest(msgspec.Struct, gc=False):
    """A job as it is asked for. `null` means "not set" for every option."""

    data: Annotated[msgspec.Raw, _told("Any JSON value; the handler gets it")] = msgspec.field(
        default_factory=lambda: _NULL
    )
    timeout: (
        Annotated[
            int,
            _told(
                "Limit of one attempt, ns, with no decimal point", minimum=1, maximum=MAX_TIMEOUT_NS
            ),
        ]
        | _TEXT
        | None
    ) = None
    # JSON has one kind of number: some programs write 3.0 for 3, and nothing else can be meant.
    ttl: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=MAX_TTL)]
        | Annotated[float, msgspec.Meta(ge=0, le=MAX_TTL, multiple_of=1)]
        | None,
        msgspec.Meta(description="Reruns after a failure"),
    ] = None
    handler: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None
    delay: (
        Annotated[
            int,
            _told(
                "Starts so much later, ns, with no decimal point", minimum=0, maximum=MAX_DELAY_NS
            ),
        ]
        | _TEXT
        | None
    ) = None
    run_at: (
        Annotated[
            datetime,
            msgspec.Meta(
                tz=True,
                description=f"Starts then; up to the year {MAX_YEAR}, and not beside a delay",
            ),
        ]
        | None
    ) = None
    parent: (
        Annotated[str, msgspec.Meta(max_length=40, description="The job that submitted it")] | None
    ) = None


_wire = msgspec.json.Decoder(WireRequest)
_row = msgspec.json.Decoder(Job)
_any = msgspec.json.Decoder()


def _dumped(value: object) -> Any:
    """A pydantic model as JSON has it; of pydantic itself nothing is needed for that."""
    dump = getattr(type(value), "model_dump", None)
    if dump is None:
        raise TypeError(f"objects of type {type(value).__name__} aren't supported")
    try:
        return dump(value, mode="json")
    except BaseException as exc:  # a serializer is a user's code
        raise TypeError(told(exc)) from exc


_encoder = msgspec.json.Encoder()
_result_encoder = msgspec.json.Encoder(enc_hook=_dumped)
_AT_FIELD = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def decode_request(value: bytes) -> JobRequest:
    """Read a request: an HTTP body, or a record's value. An empty body is a request too.

    Raises:
        InvalidRequest: it isn't JSON (``field`` is ``None``), or a field is wrong.
    """
    if not value:
        return _EMPTY
    try:
        str(value, "utf-8")  # msgspec passes over `data` without looking into its strings
        wire = _wire.decode(value)
        _check_data(wire.data)
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"not UTF-8 at byte {exc.start}: send JSON in UTF-8") from None
    except msgspec.ValidationError as exc:
        raise _with_field(str(exc)) from None
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidRequest(not_json(exc)) from None
    if too_deep(wire.data):
        raise InvalidRequest(f"data is nested more than {MAX_DEPTH} levels deep", "data")
    if wire.run_at is not None and wire.run_at.year > MAX_YEAR:
        raise InvalidRequest(f"run_at: must be no later than the year {MAX_YEAR}", "run_at")
    if wire.delay is not None and wire.run_at is not None:
        raise InvalidRequest("delay and run_at are both set: give one of them", "delay")
    return JobRequest(
        data=wire.data,
        timeout_ns=_duration("timeout", wire.timeout, 1, MAX_TIMEOUT_NS),
        ttl=None if wire.ttl is None else int(wire.ttl),
        handler=wire.handler,
        delay_ns=_duration("delay", wire.delay, 0, MAX_DELAY_NS),
        run_at=wire.run_at,
        parent=wire.parent,
    )


def decode_record(key: bytes | None, value: bytes | None) -> JobRequest | Malformed:
    """Read a record of the topic ``jobs``; what is wrong with it is told in the answer."""
    if value is None:
        return Malformed("the record's value is null: a job is a JSON object, at least {}")
    if key is not None:
        try:
            str(key, "utf-8")
        except UnicodeDecodeError as exc:
            return Malformed(f"the record's key is not UTF-8 at byte {exc.start}")
    try:
        if not value:
            return Malformed("the record's value is empty: a job is a JSON object, at least {}")
        return decode_request(value)
    except InvalidRequest as exc:
        return Malformed(str(exc))


def encode_row(job: Job) -> bytes:
    """A row as it stands in the changelog."""
    return _encoder.encode(job)


def decode_row(value: bytes) -> Job:
    """Read a row of the changelog.

    Raises:
        msgspec.DecodeError: the bytes are no row (another program wrote them).
    """
    return decode_as(_row, value)


def decode_as(decoder: msgspec.json.Decoder[T], value: bytes | None) -> T:
    """Read a record of one kind; no value is a wrong one.

    Raises:
        msgspec.DecodeError: whatever is wrong with it.
    """
    try:
        return decoder.decode(value or b"")
    except (UnicodeDecodeError, RecursionError) as exc:  # msgspec lets these two through
        raise msgspec.DecodeError(str(exc)) from None


def encode_json(value: Any) -> msgspec.Raw:
    """A handler's result as JSON.

    Raises:
        InvalidRequest: the value has no JSON form, or is nested too deep.
    """
    if value is None:
        return _NULL  # most results
    try:
        raw = msgspec.Raw(_result_encoder.encode(value))
        _any.decode(raw)  # a Raw inside, or a string with lone surrogates, could be no JSON
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as exc:
        raise InvalidRequest(f"{type(value).__name__} has no JSON form: {exc}") from None
    except BaseException as exc:  # of a property, say, that stands for a field
        text = f"{type(value).__name__} has no JSON form: {told(exc)}"
        raise InvalidRequest(text) from None
    if too_deep(raw):
        raise InvalidRequest(f"it is nested more than {MAX_DEPTH} levels deep")
    return raw


def encode_field(field: str, value: Any) -> msgspec.Raw:
    """A value of a request, whose form is looked at later, as JSON.

    Raises:
        InvalidRequest: names the field; its value has no JSON form.
    """
    try:
        return encode_json(value)
    except InvalidRequest as exc:
        raise InvalidRequest(f"{field}: {exc}", field) from None


def check_options(options: Iterable[str]) -> None:
    """Whether a job can have what is given beside its handler and data.

    Raises:
        TypeError: names the option, and those that there are.
    """
    for option in options:
        if option not in OPTIONS:
            raise TypeError(f"a job has no option {option!r} (it has {', '.join(OPTIONS)})")


def too_deep(raw: msgspec.Raw) -> bool:
    """Whether JSON is nested deeper than ``MAX_DEPTH``; a count rules out nearly all at once."""
    if len(raw) <= MAX_DEPTH:
        return False
    text = bytes(raw)
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _BRACKETS.finditer(text):
        first = text[match.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif first in b"]}":
            depth -= 1
    return False


def _with_field(message: str) -> InvalidRequest:
    """msgspec's ``Expected `int`, got `str` - at `$.ttl` `` as ``ttl: expected …``."""
    match = _AT_FIELD.fullmatch(message)
    text = (match[1] if match else message).replace("`", "").replace(" | null", "")
    field = match[2] if match else ""
    text = text.replace("int | float", "int").replace("float that's a multiple of 1.0", "int")
    text = text[:1].lower() + text[1:]
    if field in ("timeout", "delay") and text.endswith("got float"):
        text += ": an integer is nanoseconds, and others are text with a unit, such as '3s'"
    if not field:
        return InvalidRequest(f"a job is a JSON object: {text}")
    return InvalidRequest(f"{field}: {text}", field)


def _check_data(data: msgspec.Raw) -> None:
    try:
        _any.decode(data)
    except msgspec.ValidationError as exc:  # JSON, but a number that no reader can hold
        text = str(exc).partition(" - at ")[0]
        raise InvalidRequest(f"data: {text[:1].lower()}{text[1:]}", "data") from None


def _duration(field: str, value: int | str | None, least: int, most: int) -> int | None:
    if value is None:
        return None
    try:
        ns = parse_duration(value)
    except InvalidDuration as exc:
        raise InvalidRequest(f"{field}: {exc}", field) from None
    if not least <= ns <= most:
        raise InvalidRequest(
            f"{field}: must be {'more than 0' if least else 'at least 0'} "
            f"and at most {format_duration(most)} (an integer is nanoseconds)",
            field,
        )
    return ns
