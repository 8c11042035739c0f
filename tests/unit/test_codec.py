"""Bytes from outside: each becomes a request, or tells what is wrong with it."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.codec import (
    MAX_DEPTH,
    MAX_TTL,
    decode_record,
    decode_request,
    decode_row,
    encode_json,
    encode_row,
    too_deep,
)
from jobs.errors import InvalidRequest
from jobs.model import Job, JobRequest, Malformed, Status

WEEK_NS = 7 * 86_400 * 10**9
YEAR_NS = 366 * 86_400 * 10**9

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
WIRE = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.sampled_from(["3s", "", "2026-01-01T00:00:00Z", 0, -1, 1, 10**20])
        for name in ("data", "timeout", "ttl", "handler", "delay", "run_at", "other")
    },
)


def short(value: Any) -> str | None:
    return repr(value)[:40] if isinstance(value, bytes) else None


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def request(value: bytes) -> JobRequest:
    decoded = decode_record(b"key", value)
    assert isinstance(decoded, JobRequest), decoded
    return decoded


def refusal(value: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(value)
    assert decode_record(None, value) == Malformed(str(caught.value))
    return caught.value


@pytest.mark.parametrize(
    ("value", "field", "text"),
    [
        (b'{"timeout":0}', "timeout", "more than 0 and at most 7d"),
        (b'{"timeout":-1}', "timeout", "more than 0"),
        (b'{"timeout":-99999999999999999999}', "timeout", "more than 0"),
        (b'{"timeout":604800000000001}', "timeout", "at most 7d"),
        (b'{"timeout":99999999999999999999}', "timeout", "at most 7d"),
        (b'{"timeout":%s}' % (b"9" * 5_000), "timeout", "out of range"),
        (b'{"timeout":true}', "timeout", "expected int | str, got bool"),
        (b'{"timeout":1.5}', "timeout", "got float"),
        (b'{"timeout":3e9}', "timeout", "got float"),
        (b'{"timeout":1e999}', "timeout", "out of range"),
        (b'{"timeout":[]}', "timeout", "got array"),
        (b'{"timeout":{}}', "timeout", "got object"),
        (b'{"timeout":"soon"}', "timeout", "'soon' is no duration"),
        (b'{"timeout":"3"}', "timeout", "is no duration"),
        (b'{"timeout":""}', "timeout", "is no duration"),
        (b'{"timeout":"0s"}', "timeout", "more than 0"),
        (b'{"timeout":"0.1ns"}', "timeout", "more than 0"),
        (b'{"timeout":"8d"}', "timeout", "at most 7d"),
        (b'{"ttl":-1}', "ttl", ">= 0"),
        (b'{"ttl":101}', "ttl", "<= 100"),
        (b'{"ttl":99999999999999999999}', "ttl", "<= 100"),
        (b'{"ttl":1.5}', "ttl", "expected int"),
        (b'{"ttl":101.0}', "ttl", "<= 100"),
        (b'{"ttl":-1.0}', "ttl", ">= 0"),
        (b'{"ttl":"2"}', "ttl", "got str"),
        (b'{"ttl":false}', "ttl", "got bool"),
        (b'{"handler":""}', "handler", "length >= 1"),
        (b'{"handler":"%s"}' % (b"a" * 101), "handler", "length <= 100"),
        (b'{"handler":5}', "handler", "got int"),
        (b'{"delay":-1}', "delay", "at least 0 and at most 366d"),
        (b'{"delay":"367d"}', "delay", "at most 366d"),
        (b'{"delay":true}', "delay", "got bool"),
        (b'{"delay":"later"}', "delay", "is no duration"),
        (b'{"run_at":"2026-01-01T00:00:00"}', "run_at", "timezone"),
        (b'{"run_at":"tomorrow"}', "run_at", "RFC3339"),
        (b'{"run_at":1767225600}', "run_at", "got int"),
        (b'{"run_at":"2026-01-01T00:00:00+25:00"}', "run_at", "RFC3339"),
        (b'{"delay":1,"run_at":"2026-01-01T00:00:00Z"}', "delay", "delay and run_at are both set"),
        (b'{"data":1e999}', "data", "out of range"),
        (b'{"data":{"a":[-1e999]}}', "data", "out of range"),
        (b'{"data":%s}' % (b"9" * 5_000), "data", "out of range"),
        (b'{"data":%s}' % nested(MAX_DEPTH + 1), "data", "more than 200 levels"),
    ],
    ids=short,
)
def test_a_wrong_field_is_named(value: bytes, field: str, text: str) -> None:
    wrong = refusal(value)
    assert wrong.field == field
    assert str(wrong).startswith(field)
    assert text in str(wrong)
    assert "`" not in str(wrong)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"[]", "a job is a JSON object: expected object, got array"),
        (b"null", "got null"),
        (b"3", "got int"),
        (b'"text"', "got str"),
        (b"true", "got bool"),
        (b"  ", "not JSON"),
        (b"{", "not JSON"),
        (b"{}{}", "trailing characters"),
        (b"{} x", "trailing characters"),
        (b"{}\x00", "trailing characters"),
        (b'{"ttl":1,}', "trailing comma"),
        (b"{'ttl':1}", "not JSON: object keys must be strings (byte 1)"),
        (b'{"data":NaN}', "not JSON"),
        (b'{"data":Infinity}', "not JSON"),
        (b'{"data":01}', "not JSON"),
        (b'{"data":"\x00"}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),  # a byte order mark
        ('{"ttl":1}'.encode("utf-16"), "not UTF-8 at byte 0"),
        (b'{"data":"\xff"}', "not UTF-8 at byte 9"),
        (b'{"other":"\xc3"}', "not UTF-8"),
        (b'{"handler":"\xed\xa0\x80"}', "not UTF-8"),  # a surrogate, encoded
        (b'{"data":"\\ud800"}', "not JSON"),
        (b'{"data":"\\udc00\\ud800"}', "not JSON"),
        (b'{"data":%s}' % nested(100_000), "not JSON: maximum recursion depth"),
        (b'{"other":%s}' % nested(100_000), "not JSON: maximum recursion depth"),
        (b"[" * 100_000, "a job is a JSON object"),
    ],
    ids=short,
)
def test_what_is_no_json_object_in_utf8(value: bytes, text: str) -> None:
    wrong = refusal(value)
    assert wrong.field is None
    assert text in str(wrong)


def test_a_record_needs_a_value_but_a_body_does_not() -> None:
    empty, null = decode_record(None, b""), decode_record(b"key", None)
    assert isinstance(empty, Malformed)
    assert "value is empty" in empty.reason
    assert isinstance(null, Malformed)
    assert "value is null" in null.reason
    assert decode_request(b"") == request(b"{}")


def test_the_key_must_be_utf8() -> None:
    assert isinstance(decode_record("schlüssel".encode(), b"{}"), JobRequest)
    bad = decode_record(b"ab\xff", b"{}")
    assert isinstance(bad, Malformed)
    assert "key is not UTF-8 at byte 2" in bad.reason


def test_nothing_is_asked_for_by_an_empty_object_or_by_nulls() -> None:
    nulls = b'{"data":null,"timeout":null,"ttl":null,"handler":null,"delay":null,"run_at":null}'
    for value in (b"{}", b" {} ", nulls):
        found = request(value)
        assert bytes(found.data) == b"null"
        rest = (found.timeout_ns, found.ttl, found.handler, found.delay_ns, found.run_at)
        assert rest == (None,) * 5


def test_a_request_with_everything() -> None:
    found = request(
        b'{"data":[1, 2],"timeout":3000000000,"ttl":5,"handler":"resize","delay":"1m30s"}'
    )
    assert bytes(found.data) == b"[1, 2]"
    assert (found.timeout_ns, found.ttl, found.handler) == (3 * 10**9, 5, "resize")
    assert (found.delay_ns, found.run_at) == (90 * 10**9, None)


@pytest.mark.parametrize(
    ("value", "field", "expected"),
    [
        (b'{"timeout":1}', "timeout_ns", 1),
        (b'{"timeout":"250ms"}', "timeout_ns", 250_000_000),
        (b'{"timeout":"7d"}', "timeout_ns", WEEK_NS),
        (b'{"timeout":604800000000000}', "timeout_ns", WEEK_NS),
        (b'{"ttl":0}', "ttl", 0),
        (b'{"ttl":100}', "ttl", MAX_TTL),
        (b'{"ttl":3.0}', "ttl", 3),
        (b'{"ttl":1e2}', "ttl", 100),
        (b'{"ttl":-0.0}', "ttl", 0),
        (b'{"handler":"a"}', "handler", "a"),
        (b'{"handler":"%s"}' % (b"a" * 100), "handler", "a" * 100),
        (b'{"delay":0}', "delay_ns", 0),
        (b'{"delay":"366d"}', "delay_ns", YEAR_NS),
        (b'{"run_at":"2026-01-01T02:00:00+02:00"}', "run_at", datetime(2026, 1, 1, tzinfo=UTC)),
        (b'{"ttl":1,"ttl":2}', "ttl", 2),  # the last one counts, as in most readers
        (b'{"TTL":1}', "ttl", None),
        (b'{"other":{"ttl":1},"id":7,"ttl":3}', "ttl", 3),
    ],
)
def test_a_field(value: bytes, field: str, expected: Any) -> None:
    assert getattr(request(value), field) == expected


def test_of_two_data_the_last_one_counts() -> None:
    assert bytes(request(b'{"data":1,"data":2}').data) == b"2"


@given(st.binary() | WIRE.map(lambda wire: json.dumps(wire).encode()), st.none() | st.binary())
def test_any_bytes_give_a_request_or_say_why_not(value: bytes, key: bytes | None) -> None:
    decoded = decode_record(key, value)
    if isinstance(decoded, Malformed):
        assert decoded.reason
        decoded.reason.encode()
    else:
        json.loads(bytes(decoded.data))


@given(JSON, st.booleans())
def test_any_json_comes_back_through_data(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    found = request(b'{"data":%s,"ttl":1}' % text)
    assert bytes(found.data) == text
    assert msgspec.json.decode(found.data) == value


# Rows


def raws() -> st.SearchStrategy[msgspec.Raw | msgspec.UnsetType]:
    return st.just(msgspec.UNSET) | JSON.map(lambda value: msgspec.Raw(json.dumps(value).encode()))


MOMENTS = st.none() | st.integers(-1, 2**62)
ROWS = st.builds(
    Job,
    status=st.sampled_from(Status),
    submitted_at=st.integers(-1, 2**62),
    handler=st.text(max_size=20),
    attempt=st.integers(0, 101),
    max_attempts=st.integers(0, 101),
    timeout_ns=st.none() | st.integers(1, WEEK_NS),
    data=raws(),
    started_at=MOMENTS,
    finished_at=MOMENTS,
    next_attempt_at=MOMENTS,
    error=st.none() | st.text(max_size=50),
    result=raws(),
    result_bytes=st.none() | st.integers(0, 2**40),
    crashes=st.integers(0, 3),
    worker=st.none() | st.text(max_size=20),
)


def plain(row: Job) -> dict[str, Any]:
    return {
        name: bytes(value) if isinstance(value, msgspec.Raw) else value
        for name, value in msgspec.structs.asdict(row).items()
    }


@given(ROWS)
def test_a_row_comes_back(row: Job) -> None:
    text = encode_row(row)
    assert plain(decode_row(text)) == plain(row)
    assert encode_row(decode_row(text)) == text
    json.loads(text)


def test_a_row_holds_only_what_is_set() -> None:
    row = encode_row(Job(status=Status.WAITING, submitted_at=5))
    assert json.loads(row) == {"status": "waiting", "submitted_at": 5}


ROW = b'{"status":"waiting","submitted_at":1,'


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"{}",
        b'{"status":"waiting"}',
        b'{"status":"lost","submitted_at":1}',
        ROW + b'"attempt":"1"}',
        ROW + b'"handler":"\xff"}',
        ROW + b'"handler":"\\ud800"}',
        ROW + b'"other":%s}' % nested(100_000),
        ROW + b'"data":%s}' % nested(100_000),
    ],
    ids=short,
)
def test_bytes_that_are_no_row(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_row(value)


@given(st.binary().map(lambda tail: ROW + tail) | st.binary())
def test_any_bytes_are_a_row_or_refused(value: bytes) -> None:
    try:
        assert decode_row(value).status in Status
    except msgspec.DecodeError:
        pass


# Results


@given(JSON)
def test_a_result_that_is_json(value: Any) -> None:
    assert json.loads(bytes(encode_json(value))) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), b"null"),
        (float("inf"), b"null"),
        ((1, 2), b"[1,2]"),
        ({1: 2}, b'{"1":2}'),
        (b"x", b'"eA=="'),
        (datetime(2026, 1, 1, tzinfo=UTC), b'"2026-01-01T00:00:00Z"'),
        (msgspec.Raw(b"[1]"), b"[1]"),
    ],
)
def test_a_result_that_has_a_json_form(value: Any, text: bytes) -> None:
    assert bytes(encode_json(value)) == text


def cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {(1, 2): 3},
        {None: 1},
        "\ud800",
        ["\udfff"],
        pytest.param(10**5_000, id="digits"),
        cyclic(),
        msgspec.Raw(b""),
        [msgspec.Raw(b"1 2")],
        lambda: 1,
    ],
)
def test_a_result_that_has_no_json_form(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="has no JSON form") as caught:
        encode_json(value)
    assert str(caught.value).startswith(type(value).__name__)


def test_a_result_that_is_nested_too_deep() -> None:
    assert bytes(encode_json(json.loads(nested(MAX_DEPTH)))) == nested(MAX_DEPTH)
    with pytest.raises(InvalidRequest, match="nested more than 200 levels"):
        encode_json(json.loads(nested(MAX_DEPTH + 1)))


# Depth


@pytest.mark.parametrize(
    ("text", "deep"),
    [
        (b"1", False),
        (nested(MAX_DEPTH), False),
        (nested(MAX_DEPTH + 1), True),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), True),
        (b"[" + b",".join([b"[]"] * 1_000) + b"]", False),  # wide
        (b'["' + b"[" * 1_000 + b'"]', False),  # brackets in text
        (b'["\\"' + b"[" * 1_000 + b'"]', False),  # … behind an escaped quote
        (b'["\\\\",' + nested(MAX_DEPTH) + b"]", True),  # … and behind an escaped backslash
        (b'["' + b"]" * 300 + b'",' + nested(MAX_DEPTH) + b"]", True),
    ],
    ids=short,
)
def test_depth(text: bytes, deep: bool) -> None:
    json.loads(text)
    assert too_deep(msgspec.Raw(text)) is deep


@given(JSON, st.integers(0, 300))
def test_depth_is_what_a_walk_finds(value: Any, around: int) -> None:
    def depth(inner: Any) -> int:
        if isinstance(inner, dict):
            return 1 + max(map(depth, inner.values()), default=0)
        return 1 + max(map(depth, inner), default=0) if isinstance(inner, list) else 0

    text = b"[" * around + json.dumps(value).encode() + b"]" * around
    assert too_deep(msgspec.Raw(text)) is (around + depth(value) > MAX_DEPTH)
