"""Job ids: one job, one id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidId, JobError
from jobs.model import MAX_OFFSET, MAX_PARTITION, JobId


@given(st.integers(0, MAX_PARTITION), st.integers(0, MAX_OFFSET))
def test_an_id_is_read_as_it_is_written(partition: int, offset: int) -> None:
    job_id = JobId(partition, offset)
    assert JobId.parse(str(job_id)) == job_id
    assert str(job_id) == f"{partition}-{offset}"


@given(st.text() | st.from_regex(r"[-0-9 ]{0,30}", fullmatch=True))
def test_a_text_is_the_one_id_of_its_job_or_refused(text: str) -> None:
    try:
        job_id = JobId.parse(text)
    except InvalidId:
        return
    assert str(job_id) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "abc",
        "1",
        "1-",
        "-1",
        "-1-2",
        "1--2",
        "1-2-3",
        "01-2",
        "1-02",
        "00-0",
        "+1-2",
        "1.0-2",
        "1_0-2",
        "0x1-2",
        "1-99999999999999999999",
        f"0-{MAX_OFFSET + 1}",
        f"{MAX_PARTITION + 1}-0",
        "9999999999-0",
        "٣-١٠٤٢",
        "1-١",
        "1-²",
        " 1-2",
        "1-2 ",
        "1 -2",
        "1-2\n",
        "\n1-2",
        "1-2\x00",
        "1–2",  # a dash that isn't the hyphen
    ],
)
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(InvalidId, match=r"is no job id: .* for example 3-1042"):
        JobId.parse(text)


@pytest.mark.parametrize("text", ["0-0", f"{MAX_PARTITION}-{MAX_OFFSET}"])
def test_the_first_and_the_last_id(text: str) -> None:
    assert str(JobId.parse(text)) == text


def test_a_long_text_is_cut_in_the_message() -> None:
    assert len(str(InvalidId("x" * 100_000))) < 200
    assert repr("x" * 60) in str(InvalidId("x" * 60))
    assert issubclass(InvalidId, JobError)
