"""Settings: defaults that hold, and one plain line for each that is wrong."""

import dataclasses
import socket
from pathlib import Path
from typing import Any

import pytest

from settings import Settings, SettingsError, load, load_or_exit, table

ROWS = {row.metadata["name"]: row for row in dataclasses.fields(Settings)}


def one(name: str, text: str) -> Any:
    return getattr(load({name: text}), ROWS[name].name)


def lines(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    return str(caught.value).splitlines()


def test_the_defaults() -> None:
    assert dataclasses.asdict(load({})) == {
        "kafka": "localhost:9092",
        "app_id": "jobs",
        "topic": "jobs",
        "partitions": 8,
        "replication": 1,
        "port": 8080,
        "bind": "127.0.0.1",
        "advertised_url": None,
        "handlers": (),
        "workers": 10,
        "rerun_workers": 10,
        "processes": 0,
        "max_open": 1000,
        "timeout_s": None,
        "default_timeout_s": 3.0,
        "backoff_s": 1.0,
        "backoff_max_s": 60.0,
        "grace_s": 30.0,
        "keep_s": 86_400.0,
        "history_s": 86_400.0,
        "max_body_bytes": 1_000_000,
        "max_row_bytes": 2_000_000,
        "max_result_bytes": 250_000,
        "session_s": None,
        "write_timeout_s": 30.0,
        "store": "memory",
        "store_dir": "jobs-state",
        "log": "text",
        "otel": "off",
        "audit_s": 2.0,
        "api_tokens": None,
        "allowed_hosts": (),
        "submit_rate": 0,
        "submit_burst": 0,
        "tls_cert": None,
        "tls_key": None,
        "tls_ca": None,
        "kafka_security": "plaintext",
        "kafka_ca": None,
        "kafka_cert": None,
        "kafka_key": None,
        "kafka_mechanism": "SCRAM-SHA-512",
        "kafka_user": "",
        "kafka_password": "",
    }


@pytest.mark.parametrize("name", ROWS)
def test_a_default_given_outright_or_as_nothing_is_the_same(name: str) -> None:
    default = ROWS[name].metadata["default"]
    assert load({name: default}) == load({name: "  "}) == load({name: f" {default}\n"}) == load({})


def test_the_table_for_the_docs_has_every_row() -> None:
    assert [row[0] for row in table()] == list(ROWS)
    assert len(set(ROWS)) == len(dataclasses.fields(Settings))
    for name, default, text in table():
        assert ROWS[name].metadata["default"] == default
        assert text


def test_other_variables_are_left_alone() -> None:
    assert load({"PATH": "/bin", "JOBS_TYPO": "x", "jobs_port": "1"}) == load({})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load({}).port = 1  # type: ignore[misc] # the mistake is meant


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("KAFKA", "kafka", "kafka:9092"),
        ("KAFKA", "kafka:1", "kafka:1"),
        ("KAFKA", "kafka://a:1,b, kafka://c:65535", "a:1,b:9092,c:65535"),
        ("KAFKA", "10.0.0.1", "10.0.0.1:9092"),
        ("KAFKA", "[::1]", "[::1]:9092"),
        ("KAFKA", "[fe80::1]:1234", "[fe80::1]:1234"),
        ("JOBS_APP_ID", "a.b_c-D9", "a.b_c-D9"),
        ("JOBS_TOPIC", "x" * 200, "x" * 200),
        ("JOBS_PARTITIONS", "10000", 10_000),
        ("JOBS_PORT", "1", 1),
        ("JOBS_PORT", "65535", 65_535),
        ("JOBS_BIND", "::", "::"),
        ("JOBS_ADVERTISED_URL", "https://a.example:1/", "https://a.example:1"),
        ("JOBS_WORKERS", "100000", 100_000),
        ("JOBS_HANDLERS", " myapp.jobs, other ,", ("myapp.jobs", "other")),
        ("JOBS_TIMEOUT", "1ms", 0.001),
        ("JOBS_TIMEOUT", "7d", 604_800.0),
        ("JOBS_BACKOFF", "0", 0.0),
        ("JOBS_BACKOFF", "0s", 0.0),
        ("JOBS_GRACE", "0", 0.0),
        ("JOBS_KEEP", "1d12h", 129_600.0),
        ("JOBS_MAX_ROW", "100000000", 100_000_000),
        ("JOBS_SESSION_TIMEOUT", "1s", 1.0),
        ("JOBS_AUDIT", "100ms", 0.1),
        ("JOBS_API_TOKEN", "0123456789abcdef", ("0123456789abcdef",)),
        ("JOBS_API_TOKEN", f"{'a' * 16}==, {'b' * 500}", ("a" * 16 + "==", "b" * 500)),
        ("JOBS_ALLOWED_HOSTS", "Jobs.example, *.svc,a", ("jobs.example", "*.svc", "a")),
        ("JOBS_ALLOWED_HOSTS", "*", ("*",)),
        ("JOBS_SUBMIT_RATE", "1000000", 1_000_000),
    ],
)
def test_a_value(name: str, text: str, value: Any) -> None:
    assert one(name, text) == value


WHOLE = "must be a whole number from"
DURATION = "must be a duration such as '3s' or '250ms', from"
WRONG = [
    *[("KAFKA", text, "must be host or host:port") for text in (
        ":9092", "a:0", "a:65536", "a:x", "a:123456", "a b", "a,", "a,,b", "http://a", "::1",
        "a/b", "ü", "a:٩", "kafka://", "a:1:2",
    )],
    *[(name, text, "letters, digits") for name in ("JOBS_APP_ID", "JOBS_TOPIC") for text in (
        "a b", "a/b", "ä", "x" * 201, ".", "..", "a\nb",
    )],
    *[("JOBS_PARTITIONS", text, f"{WHOLE} 1 to 10000") for text in ("0", "10001", "-1", "1.0")],
    *[("JOBS_REPLICATION", text, f"{WHOLE} 1 to 1000") for text in ("0", "1001", "three")],
    *[("JOBS_PORT", text, f"{WHOLE} 1 to 65535") for text in (
        "0", "65536", "-1", "http", "8_080", "+80", "٣", "80 80", "0x50", "9" * 30, "1e3",
    )],
    *[("JOBS_BIND", text, "must be an address") for text in ("a b", "http://a", "a/b", "x" * 256)],
    *[("JOBS_ADVERTISED_URL", text, "must be http://host:port") for text in (
        "a:1", "ftp://a", "http://", "http://a/b", "http://a?b", "http://a#b", "http://a b",
    )],
    *[(name, text, f"{WHOLE} 1 to 100000") for text in ("0", "100001", "many") for name in (
        "JOBS_WORKERS", "JOBS_RERUN_WORKERS", "JOBS_MAX_OPEN",
    )],
    ("JOBS_HANDLERS", "a b", "'a b' is no module name"),
    ("JOBS_PROCESSES", "-1", f"{WHOLE} 0 to 1000"),
    *[(name, text, f"{DURATION} 0.001s") for name in ("JOBS_TIMEOUT", "JOBS_DEFAULT_TIMEOUT")
      for text in ("0", "0s", "999us", "8d", "abc", "3", "-3s", "3 s", "inf", "nan")],
    *[("JOBS_BACKOFF", text, f"{DURATION} 0s to 86400s") for text in ("1", "-1s", "25h", "no")],
    ("JOBS_BACKOFF_MAX", "8d", f"{DURATION} 0s"),
    ("JOBS_GRACE", "25h", f"{DURATION} 0s"),
    ("JOBS_KEEP", "0", f"{DURATION} 1s"),
    ("JOBS_KEEP", "367d", f"{DURATION} 1s"),
    ("JOBS_HISTORY", "367d", f"{DURATION} 0s"),
    ("JOBS_MAX_BODY", "99", WHOLE),
    ("JOBS_MAX_ROW", "9999", WHOLE),
    ("JOBS_MAX_RESULT", "100000001", WHOLE),
    ("JOBS_SESSION_TIMEOUT", "999ms", f"{DURATION} 1s to 1800s"),
    ("JOBS_WRITE_TIMEOUT", "0", f"{DURATION} 1s to 600s"),
    ("JOBS_LOG", "xml", "must be text or json"),
    ("JOBS_OTEL", "yes", "must be off or on"),
    ("JOBS_STORE", "disk", "must be memory or rocksdb"),
    ("JOBS_STORE_DIR", "a\0b", "must be the path of a folder"),
    ("JOBS_AUDIT", "99ms", f"{DURATION} 0.1s"),
    *[("JOBS_ALLOWED_HOSTS", text, "must be host names") for text in (
        "a b", "http://a", "a:1", "a.*",
    )],
    *[(name, text, f"{WHOLE} 0 to 1000000") for text in ("-1", "0.5", "10/s") for name in (
        "JOBS_SUBMIT_RATE", "JOBS_SUBMIT_BURST",
    )],
    *[(name, "/nowhere/x.pem", "must be a file that this worker may read (No") for name in (
        "JOBS_TLS_CERT", "JOBS_TLS_KEY", "JOBS_TLS_CA",
        "JOBS_KAFKA_CA", "JOBS_KAFKA_CERT", "JOBS_KAFKA_KEY",
    )],
    ("JOBS_KAFKA_SECURITY", "tls", "must be plaintext or ssl or sasl_plaintext or sasl_ssl"),
    ("JOBS_KAFKA_SASL_MECHANISM", "GSSAPI", "must be PLAIN or"),
    ("JOBS_KAFKA_USER", "a\nb", "must be one line"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "told"), WRONG)
def test_a_wrong_value_gives_one_line_that_names_it(name: str, text: str, told: str) -> None:
    (line,) = lines(**{name: text})
    assert line.startswith(f"{name}={text!r}: ")
    assert told in line


def test_every_setting_that_can_be_wrong_was_tried() -> None:
    assert {name for name, _, _ in WRONG} | {name for name, _, _ in SECRETS} == set(ROWS)


SECRETS = [
    *[("JOBS_API_TOKEN", text, "must be 16 to 500 letters") for text in (
        "fifteen-letters", "sixteen letters!", "x" * 501, f"{'x' * 16},", f"{'x' * 16},short",
        "ü" * 16,
    )],
    ("JOBS_KAFKA_PASSWORD", "se\ncret", "must be one line"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "told"), SECRETS)
def test_a_wrong_secret_is_not_shown(name: str, text: str, told: str) -> None:
    (line,) = lines(**{name: text})
    assert line.startswith(f"{name}: {told}")
    assert text not in line


def test_secrets_are_in_no_repr() -> None:
    secret = "a-secret-of-length"
    shown = repr(
        load(
            {
                "JOBS_API_TOKEN": secret,
                "JOBS_KAFKA_SECURITY": "sasl_ssl",
                "JOBS_KAFKA_USER": "me",
                "JOBS_KAFKA_PASSWORD": secret,
            }
        )
    )
    assert secret not in shown
    assert "'me'" in shown


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{'a' * 16}\n")
    assert load({"JOBS_API_TOKEN_FILE": str(file)}).api_tokens == ("a" * 16,)
    both = {"JOBS_API_TOKEN_FILE": str(file), "JOBS_API_TOKEN": "b" * 16}
    assert load(both).api_tokens == ("b" * 16,)


@pytest.mark.parametrize(
    ("content", "told"), [(b" \n", "the file is empty"), (b"\xff", "text"), (None, "No such file")]
)
def test_a_secret_file_with_nothing_in_it_leaves_nothing_open(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    (line,) = lines(JOBS_API_TOKEN_FILE=str(file))
    assert line.startswith("JOBS_API_TOKEN: JOBS_API_TOKEN_FILE=")
    assert told in line


def test_several_wrong_values_give_a_line_each() -> None:
    told = lines(JOBS_PORT="0", KAFKA="a b", JOBS_KEEP="long", JOBS_WORKERS="5")
    assert [line.partition("=")[0] for line in told] == ["KAFKA", "JOBS_PORT", "JOBS_KEEP"]


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"JOBS_BACKOFF": "2s", "JOBS_BACKOFF_MAX": "1999ms"},
            "JOBS_BACKOFF_MAX: must not be less than JOBS_BACKOFF",
        ),
        (
            {"JOBS_MAX_RESULT": "1000001"},
            "JOBS_MAX_RESULT: must be at most half of JOBS_MAX_ROW",
        ),
        (
            {"JOBS_MAX_BODY": "1995001"},
            "JOBS_MAX_BODY: must be at least 5000 less than JOBS_MAX_ROW",
        ),
        (
            {"JOBS_TLS_CERT": __file__},
            "JOBS_TLS_CERT and JOBS_TLS_KEY: give both, or neither",
        ),
        (
            {"JOBS_KAFKA_SECURITY": "ssl", "JOBS_KAFKA_KEY": __file__},
            "JOBS_KAFKA_CERT and JOBS_KAFKA_KEY: give both, or neither",
        ),
        (
            {"JOBS_KAFKA_CA": __file__},
            "JOBS_KAFKA_CA, JOBS_KAFKA_CERT: need JOBS_KAFKA_SECURITY=ssl or sasl_ssl",
        ),
        *(
            (
                environ,
                "JOBS_KAFKA_USER, JOBS_KAFKA_PASSWORD: give both with "
                "JOBS_KAFKA_SECURITY=sasl_ssl or sasl_plaintext, and none without",
            )
            for environ in (
                {"JOBS_KAFKA_SECURITY": "sasl_ssl", "JOBS_KAFKA_USER": "a"},
                {"JOBS_KAFKA_SECURITY": "sasl_plaintext"},
                {"JOBS_KAFKA_USER": "a", "JOBS_KAFKA_PASSWORD": "b"},
                {"JOBS_KAFKA_SECURITY": "ssl", "JOBS_KAFKA_PASSWORD": "b"},
            )
        ),
    ],
)
def test_values_that_do_not_go_together(environ: dict[str, str], line: str) -> None:
    assert lines(**environ) == [line]


def test_all_that_does_not_go_together_is_told_at_once() -> None:
    told = lines(JOBS_BACKOFF="2m", JOBS_MAX_ROW="10000")
    assert [line.partition(":")[0] for line in told] == [
        "JOBS_BACKOFF_MAX",
        "JOBS_MAX_RESULT",
        "JOBS_MAX_BODY",
    ]


def test_values_that_just_go_together() -> None:
    load({"JOBS_BACKOFF": "60s", "JOBS_MAX_RESULT": "1000000", "JOBS_MAX_BODY": "1995000"})


def test_the_largest_record_holds_the_largest_row() -> None:
    assert load({"JOBS_MAX_ROW": "3000000"}).max_record_bytes > 3_000_000


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"JOBS_BIND": "worker-1", "JOBS_PORT": "1"}, "http://worker-1:1"),
        ({"JOBS_BIND": "::1"}, "http://[::1]:8080"),
        ({"JOBS_BIND": "0.0.0.0"}, f"http://{socket.gethostname()}:8080"),
        ({"JOBS_BIND": "::"}, f"http://{socket.gethostname()}:8080"),
        ({"JOBS_TLS_CERT": __file__, "JOBS_TLS_KEY": __file__}, "https://127.0.0.1:8080"),
        ({"JOBS_BIND": "::", "JOBS_ADVERTISED_URL": "https://a:1/"}, "https://a:1"),
    ],
)
def test_the_address_that_other_workers_are_told(environ: dict[str, str], url: str) -> None:
    assert load(environ).url == url


def test_wrong_settings_end_the_program_in_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_or_exit({"JOBS_PORT": "0", "KAFKA": ":"})
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: KAFKA=':': ")
    assert len(err.splitlines()) == 2
    assert load_or_exit({}) == load({})


def test_a_worker_has_a_folder_of_its_own_if_it_keeps_rows() -> None:
    assert load({}).store_folder is None
    mine = {"JOBS_STORE": "rocksdb", "JOBS_APP_ID": "mail", "JOBS_PORT": "81"}
    assert load(mine).store_folder == Path("jobs-state/mail-81")
